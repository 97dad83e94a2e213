//! What the fuzz targets run: each a parser of hostile bytes, with what must hold of its answer.
//!
//! The targets in `fuzz/` are three lines each, and `tests/it/fuzz_regressions.rs` replays found
//! inputs without a fuzzer. Not part of the library's interface.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::{Config, Places};
use crate::decide::Options;
use crate::directory::row::{BlockRow, GroupRow, MappingRow, PatternRow, RuleRow, UserRow};
use crate::directory::{Directory, Holder, Kind, Kinds, Rows, Settings};
use crate::pki::{Certificate, DistinguishedName, Identity, SerialNumber, SlashForm, UnixTime};
use crate::proxy::{ChainsBy, Dialect, HeaderNames, Headers, Memory, Presented, Reader, Source};

/// A serial that parses prints as a text that parses to the same serial.
pub fn serial(bytes: &[u8]) {
    let odd_or_not = SerialNumber::from_der(bytes);
    assert!(!odd_or_not.to_string().is_empty(), "a serial prints as something");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(serial) = SerialNumber::parse_cli(text) {
        assert!(!serial.is_odd(), "no text stands for an odd serial");
        assert_eq!(SerialNumber::parse(&serial.to_string()), Ok(serial));
    }
}

/// A name that parses, from text or DER, survives being printed; turned round twice it is itself.
pub fn name(bytes: &[u8]) {
    let mut names = Vec::from_iter(DistinguishedName::from_der(bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        names.extend(DistinguishedName::parse(text, SlashForm::Refuse));
        names.extend(DistinguishedName::parse(text, SlashForm::Accept));
    }
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        assert!(name.reversed().reversed() == name, "turned round twice: {name}");
        let exact = name.to_exact_text();
        match DistinguishedName::parse(&exact, SlashForm::Refuse) {
            Ok(again) => assert!(again == name, "{exact}"),
            // Printing can make a text longer than the parser takes; nothing else may fail.
            Err(error) => assert!(exact.len() > 4096, "{exact}: {error}"),
        }
        assert!(name.to_string().is_ascii(), "nginx prints ASCII only");
    }
}

/// What parses as a certificate is one in every door, and its columns can be taken.
pub fn certificate(bytes: &[u8]) {
    let _ = Certificate::from_file_bytes(bytes);
    let _ = Certificate::from_pem(bytes);
    if let Ok(certificate) = Certificate::from_der(bytes) {
        assert_eq!(&*certificate.der, bytes, "trailing bytes are refused");
        let identity = Identity::from_certificate(&certificate);
        assert_eq!(identity.sha256, Some(certificate.sha256));
    }
}

/// Without an exact success of the proxy nobody gets past the reader.
pub fn headers(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else { return };
    let place = usize::from(*choice) % Dialect::ALL.len();
    let Some(dialect) = Dialect::ALL.get(place).copied() else { return };
    let lines: Vec<(String, Vec<u8>)> = text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split_first())
        .map(|(name, value)| (header_name(*name), value.to_vec()))
        .collect();
    let source = if *choice < 128 { Source::Certificate } else { Source::Headers };
    let slash_form = SlashForm::Refuse;
    let reader = Reader { dialect, names: names(), source, slash_form, chains: ChainsBy::Proxy };
    let lines = Lines(lines);
    let read = reader.read(&lines, &mut Memory::default());
    if matches!(read, Ok(Presented::Certificate(_) | Presented::Headers(_))) {
        assert!(says_success(dialect, &lines), "{dialect:?} let in without a success");
    }
}

fn says_success(dialect: Dialect, lines: &Lines) -> bool {
    let values = |wanted: &str| -> Vec<&[u8]> {
        lines.lines().filter(|(name, _)| *name == wanted).map(|(_, value)| value).collect()
    };
    match dialect {
        Dialect::Apache | Dialect::Nginx | Dialect::Rfc9440 => {
            values("verify") == [b"SUCCESS".as_slice()]
        }
        Dialect::Haproxy => {
            values("used") == [b"1".as_slice()] && values("verify") == [b"0".as_slice()]
        }
        Dialect::Caddy | Dialect::Traefik => false,
    }
}

fn names() -> HeaderNames {
    let name = |text: &str| Some(text.to_owned());
    HeaderNames {
        verify: name("verify"),
        used: name("used"),
        certificate: name("certificate"),
        chain: name("chain"),
        serial: name("serial"),
        subject: name("subject"),
        issuer: name("issuer"),
    }
}

fn header_name(byte: u8) -> String {
    match byte {
        b'v' => "verify",
        b'u' => "used",
        b'c' => "certificate",
        b'h' => "chain",
        b's' => "serial",
        b'n' => "subject",
        b'i' => "issuer",
        _ => "other",
    }
    .to_owned()
}

struct Lines(Vec<(String, Vec<u8>)>);

impl Headers for Lines {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

/// Options that parse contain nothing that was not asked for.
pub fn options(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(options) = Options::parse(text) {
        assert_eq!(options.required.len(), text.matches("require=").count(), "{text}");
        assert_eq!(options.certificate_is_optional, text.contains("certificate=optional"));
    }
}

/// Rows of any bytes make a directory; what cannot be read is listed and matches nothing.
pub fn rows(bytes: &[u8]) {
    let mut fields = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
    let mut next = || fields.next().filter(|field| !field.is_empty());
    let username = next().unwrap_or_default();
    let pattern = PatternRow {
        sha256: next(),
        spki_sha256: next(),
        issuer: next(),
        issuer_key_id: next(),
        serial: next(),
        subject: next(),
        san_email: next(),
        san_upn: next(),
        san_uri: next(),
        san_dns: next(),
        common_name: next(),
    };
    let (valid_from, valid_until, revoked_at) = (next(), next(), next());
    let rule = RuleRow {
        priority: 1,
        issuer: pattern.issuer.clone().unwrap_or_default(),
        conditions: next().unwrap_or_default(),
        username: next().unwrap_or_default(),
        users: b"any".to_vec(),
        enabled: 1,
        ..RuleRow::default()
    };
    let rows = Rows {
        rules: vec![rule],
        users: vec![UserRow {
            username: username.clone(),
            display_name: next(),
            email: next(),
            origin: b"operator".to_vec(),
            mapped_only: 0,
            enabled: 1,
            valid_from: None,
            valid_until: None,
        }],
        groups: vec![GroupRow {
            username: username.clone(),
            group_name: next().unwrap_or_default(),
        }],
        mappings: vec![MappingRow {
            id: 1,
            username,
            pattern: pattern.clone(),
            enabled: 1,
            valid_from: valid_from.clone(),
            valid_until: valid_until.clone(),
            revoked_at,
            revoked_reason: None,
            note: None,
        }],
        blocks: vec![BlockRow {
            id: 1,
            pattern,
            enabled: 1,
            valid_from,
            valid_until,
            reason: None,
        }],
    };
    let directory = Directory::build(&rows, &Settings::default());
    let total = directory.user_count() + directory.mapping_count() + directory.rule_count();
    assert!(total == 3 || !directory.unusable().is_empty(), "a lost row is listed");
    let kinds = Kinds::with_weak(&Kind::ALL);
    let nobody = Identity::from_headers(None, None, None);
    let holder = Holder { identity: &nobody, certificate: None };
    let now = UnixTime::from_seconds(0);
    assert!(directory.consider(holder, now, kinds).is_empty(), "nothing shown, nothing found");
}

/// Settings of any text are a configuration or problems, never a panic.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let env: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("CERTGATE_{name}"), value.to_owned()))
        .filter(|(name, _)| name.contains("__") && !name.ends_with("FILE"))
        .collect();
    let nowhere = PathBuf::from("/nonexistent/certgate.toml");
    let places = Places { system: nowhere.clone(), working: nowhere, user: 0 };
    if let Err(problems) = Config::load_from(None, &env, &places) {
        assert!(!problems.to_string().is_empty(), "a refusal says why");
    }
}
