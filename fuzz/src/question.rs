//! A whole question, from raw header lines to the decision, against a fixed directory.
//!
//! The first line is a digit for the dialect, a letter whose low bits are switches, and the query;
//! the other lines are headers: `0@ require=group:ops`, then `X-SSL-Client-Verify: SUCCESS`.

use std::sync::OnceLock;
use std::time::Duration;

use certgate::config;
use certgate::decide::{
    Allow, Chains, Decision, Options, Policy, Question, Trust, TrustPolicy, View, decide,
};
use certgate::directory::row::{BlockRow, GroupRow, MappingRow, PatternRow, RuleRow, UserRow};
use certgate::directory::{Directory, Kind, Kinds, Rows, Settings};
use certgate::pki::{Certificate, Fingerprint, SlashForm};
use certgate::proxy::{ChainsBy, Memory, Presented, Reader};

use super::golden;
use super::lines::{Lines, reader, says_success};

/// Switches in the low bits of the second byte.
const SLASH: u8 = 1;
const OWN_TRUST: u8 = 2;
const BLOCKED: u8 = 4;
const NOT_READY: u8 = 8;

/// Nobody comes in without the proxy's exact success or, where chains are verified here, without
/// the CA's signature; what a worker remembers changes no decision; nobody in particular comes in
/// only where that is asked for.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let [dialect, switches, query @ ..] = parts.next().unwrap_or_default() else { return };
    let Ok(query) = std::str::from_utf8(query.trim_ascii()) else { return };
    let all = config::Dialect::ALL;
    let Some(dialect) = all.get(usize::from(*dialect & 0x0F) % all.len()) else { return };
    let is_on = |switch: u8| switches & switch != 0;
    let chains = if is_on(OWN_TRUST) { ChainsBy::Us } else { ChainsBy::Proxy };
    let slash = if is_on(SLASH) { SlashForm::Accept } else { SlashForm::Refuse };
    let reader = reader(*dialect, chains, slash);
    let lines = Lines::read(parts.next().unwrap_or_default());

    let policy = policy(chains);
    let directory = directory(is_on(BLOCKED));
    let view = View {
        directory: (!is_on(NOT_READY)).then_some(directory),
        age: Duration::ZERO,
        now: golden::NOW,
        trust: Trust { authorities: Some(golden::authorities()), memory: None },
        policy: &policy,
    };
    let mut memory = Memory::default();
    let _ = ask(&reader, &Lines::read(KNOWN), "", &view, &mut memory);
    let (remembered, _) = ask(&reader, &lines, query, &view, &mut memory);
    let (decision, presented) = ask(&reader, &lines, query, &view, &mut Memory::default());
    assert_eq!(remembered.code(), decision.code());
    assert_eq!(user(&remembered), user(&decision));
    assert_eq!(decision.status() == 200, matches!(decision, Decision::Allow(_)));

    let Decision::Allow(allow) = &decision else { return };
    assert!(!is_on(NOT_READY));
    let options = Options::parse(query).unwrap_or_default();
    let Some(presented) = presented else { panic!("an answer that nothing was read for") };
    if matches!(allow, Allow::Anonymous) {
        assert!(matches!(presented, Presented::Nobody));
        assert!(options.certificate_is_optional && options.required.is_empty());
        assert!(!says_success(&reader, &lines));
        return;
    }
    match reader.chains {
        ChainsBy::Proxy => assert!(says_success(&reader, &lines)),
        ChainsBy::Us => assert!(is_vouched(&presented)),
    }
    assert!(!(is_on(BLOCKED) && is_of_golden_issuer(&presented)));
    assert!(allow.user().is_some_and(|user| options.admits(user)));
}

/// The header of alice's certificate, which a worker saw before.
const KNOWN: &[u8] = include_bytes!("../../tests/golden/nginx/success.txt");

fn ask<'v>(
    reader: &Reader,
    lines: &Lines<'_>,
    query: &str,
    view: &View<'v>,
    memory: &mut Memory,
) -> (Decision<'v>, Option<Presented>) {
    let mut seen = None;
    let presented = || {
        let presented = reader.read(lines, memory)?;
        seen = Some(presented.clone());
        Ok(presented)
    };
    let options = Options::parse(query);
    let decision = decide(Question { options, proxy_is_trusted: true, presented }, view);
    (decision, seen)
}

fn user<'d>(decision: &'d Decision<'_>) -> Option<&'d str> {
    match decision {
        Decision::Allow(allow) => allow.user().map(|user| &*user.username),
        Decision::Deny(_) | Decision::Undecided(_) => None,
    }
}

/// Whether a signature that only the golden CA can make is on it: nobody but alice and carol has
/// one. An ECDSA signature has two spellings, so the signed part is what is compared.
fn is_vouched(presented: &Presented) -> bool {
    static KEYS: OnceLock<Vec<(Fingerprint, String)>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let pems = [golden::SUCCESS, golden::REVOKED].map(golden::certificate);
        pems.iter().map(|one| (one.spki_sha256, one.serial.to_string())).collect()
    });
    let Presented::Certificate(shown) = presented else { return false };
    let certificate = &shown.certificate;
    keys.contains(&(certificate.spki_sha256, certificate.serial.to_string()))
}

fn is_of_golden_issuer(presented: &Presented) -> bool {
    let identity = match presented {
        Presented::Nobody => return false,
        Presented::Certificate(shown) => &shown.identity,
        Presented::Headers(identity) => identity,
    };
    static ISSUER: OnceLock<Certificate> = OnceLock::new();
    let issuer = ISSUER.get_or_init(|| golden::certificate(golden::INTERMEDIATE));
    identity.issuer.as_ref() == Some(&issuer.subject)
}

fn policy(chains: ChainsBy) -> Policy {
    Policy {
        kinds: Kinds::with_weak(&Kind::ALL),
        issuers: Vec::new(),
        max_staleness: None,
        trust: TrustPolicy {
            chains: match chains {
                ChainsBy::Proxy => Chains::Proxy,
                ChainsBy::Us => Chains::Verified,
            },
            revocation: None,
        },
    }
}

/// Every kind of mapping is there, and rules for the rest; in the second directory everybody is
/// blocked besides.
fn directory(blocked: bool) -> &'static Directory {
    static DIRECTORIES: OnceLock<[Directory; 2]> = OnceLock::new();
    let [open, closed] = DIRECTORIES.get_or_init(|| {
        let rows = rows();
        let open = Directory::build(&rows, &Settings::default());
        let closed = Directory::build(&Rows { blocks: blocks(), ..rows }, &Settings::default());
        assert_eq!(open.unusable(), []);
        assert_eq!(closed.unusable(), []);
        [open, closed]
    });
    if blocked { closed } else { open }
}

fn rows() -> Rows {
    let alice = golden::certificate(golden::SUCCESS);
    let carol = golden::certificate(golden::REVOKED);
    let mallory = golden::certificate(golden::UNTRUSTED);
    let none = PatternRow::default;
    let text = |text: String| Some(text.into_bytes());
    let patterns = [
        ("alice", PatternRow { sha256: text(alice.sha256.to_string()), ..none() }),
        ("carol", PatternRow { spki_sha256: text(carol.spki_sha256.to_string()), ..none() }),
        (
            "alice",
            PatternRow {
                issuer: text(alice.issuer.to_exact_text()),
                serial: text(alice.serial.to_string()),
                ..none()
            },
        ),
        (
            "alice",
            PatternRow {
                issuer: text(alice.issuer.to_exact_text()),
                subject: text(alice.subject.to_exact_text()),
                ..none()
            },
        ),
        ("bob", PatternRow { subject: text(mallory.subject.to_exact_text()), ..none() }),
        ("bob", PatternRow { serial: text("2A".to_owned()), ..none() }),
        ("bob", PatternRow { common_name: text("bob".to_owned()), ..none() }),
        ("alice", PatternRow { san_email: text("alice@example.com".to_owned()), ..none() }),
        ("bob", PatternRow { san_dns: text("bob.example.com".to_owned()), ..none() }),
        ("bob", PatternRow { san_uri: text("https://example.com/bob".to_owned()), ..none() }),
        ("bob", PatternRow { san_upn: text("bob@example.com".to_owned()), ..none() }),
    ];
    let mappings = patterns.into_iter().zip(1..);
    Rows {
        users: ["alice", "bob", "carol"].map(user_row).into(),
        groups: vec![GroupRow { username: b"alice".to_vec(), group_name: b"ops".to_vec() }],
        mappings: mappings.map(|((user, pattern), id)| mapping_row(id, user, pattern)).collect(),
        blocks: Vec::new(),
        rules: vec![RuleRow {
            priority: 1,
            issuer: b"CN=Example Client CA 1,OU=PKI,O=Example Org,C=DE".to_vec(),
            conditions: br#"{"all":[{"attribute":"O","equals":"Example"}]}"#.to_vec(),
            username: b"example-{subject.CN}".to_vec(),
            group_names: Some(b"staff".to_vec()),
            users: b"any".to_vec(),
            enabled: 1,
            ..RuleRow::default()
        }],
    }
}

/// Whoever has the golden CA's certificate.
fn blocks() -> Vec<BlockRow> {
    let issuer = golden::certificate(golden::INTERMEDIATE).subject.to_exact_text().into_bytes();
    vec![BlockRow {
        id: 1,
        pattern: PatternRow { issuer: Some(issuer), ..PatternRow::default() },
        enabled: 1,
        valid_from: None,
        valid_until: None,
        reason: None,
    }]
}

fn user_row(username: &str) -> UserRow {
    UserRow {
        username: username.into(),
        display_name: None,
        email: None,
        origin: b"operator".to_vec(),
        mapped_only: 0,
        enabled: 1,
        valid_from: None,
        valid_until: None,
    }
}

fn mapping_row(id: i64, username: &str, pattern: PatternRow) -> MappingRow {
    MappingRow {
        id,
        username: username.into(),
        pattern,
        enabled: 1,
        valid_from: None,
        valid_until: None,
        revoked_at: None,
        revoked_reason: None,
        note: None,
    }
}
