//! What is read from headers, in nginx's dialect.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};

use super::{ChainsBy, Dialect, HeaderNames, Headers, Memory, Presented, Reader, Source};
use crate::pki::SlashForm;

const VERIFY: &str = "x-ssl-client-verify";
const CERT: &str = "x-ssl-client-cert";
const SERIAL: &str = "x-ssl-client-serial";
const SUBJECT: &str = "x-ssl-client-s-dn";
const ISSUER: &str = "x-ssl-client-i-dn";

struct Lines<'l>(&'l [(&'l str, &'l str)]);

impl Headers for Lines<'_> {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (*name, value.as_bytes()))
    }
}

fn reader(source: Source) -> Reader {
    let name = |name: &str| Some(name.to_owned());
    Reader {
        dialect: Dialect::Nginx,
        names: HeaderNames {
            verify: name(VERIFY),
            certificate: name(CERT),
            serial: name(SERIAL),
            subject: name(SUBJECT),
            issuer: name(ISSUER),
            ..HeaderNames::default()
        },
        source,
        slash_form: SlashForm::Refuse,
        chains: ChainsBy::Proxy,
    }
}

/// What the reader says, in a word: a common name, "nobody", or the code of a deny.
fn read_with(reader: &Reader, memory: &mut Memory, lines: &[(&str, &str)]) -> String {
    match reader.read(&Lines(lines), memory) {
        Ok(Presented::Nobody) => "nobody".to_owned(),
        Ok(Presented::Certificate(shown)) => shown.identity.common_name.clone().unwrap(),
        Ok(Presented::Headers(identity)) => identity.common_name.clone().unwrap_or_default(),
        Err(reason) => reason.code().to_owned(),
    }
}

fn read(lines: &[(&str, &str)]) -> String {
    read_with(&reader(Source::Certificate), &mut Memory::default(), lines)
}

/// A certificate as nginx sends it; its own issuer, serial 0A92.
fn escaped(common_name: &str) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "FR");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(&[0x0A, 0x92]));
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    utf8_percent_encode(&certificate.pem(), NON_ALPHANUMERIC).to_string()
}

#[test]
fn a_header_that_disagrees_with_the_certificate_is_a_mismatch() {
    let cert = escaped("alice");
    let with = |name: &str, value: &str| read(&[(VERIFY, "SUCCESS"), (CERT, &cert), (name, value)]);
    for (name, same, other) in [
        (SERIAL, ["0A92", "0xa92"], "0A93"),
        (SUBJECT, ["CN=alice,C=FR", "c = fr, cn = ALICE"], "CN=mallory,C=FR"),
        (ISSUER, ["CN=alice,C=FR", "c = fr, cn = ALICE"], "CN=mallory,C=FR"),
    ] {
        for value in same {
            assert_eq!(with(name, value), "alice", "{name} {value}");
        }
        assert_eq!(with(name, other), "header_mismatch", "{name}");
        assert_eq!(with(name, ""), "alice", "an empty {name} is absent");
        assert_eq!(with(name, "="), "malformed_header", "{name}");
        let [spelled, respelled] = same;
        let twice = [(VERIFY, "SUCCESS"), (CERT, &cert), (name, spelled), (name, respelled)];
        assert_eq!(read(&twice), "malformed_header", "{name} twice");
    }
    assert_eq!(with(SUBJECT, "/C=FR/CN=alice"), "malformed_header", "the slash form");
}

#[test]
fn one_header_that_disagrees_is_enough() {
    let cert = escaped("alice");
    let names = [(SERIAL, "0A92"), (SUBJECT, "CN=alice,C=FR"), (ISSUER, "CN=alice,C=FR")];
    let all = |wrong: Option<usize>| {
        let mut lines = vec![(VERIFY, "SUCCESS"), (CERT, cert.as_str())];
        lines.extend(names);
        if let Some(wrong) = wrong {
            lines[wrong + 2].1 = if wrong == 0 { "0B" } else { "CN=bob,C=FR" };
        }
        read(&lines)
    };
    assert_eq!(all(None), "alice");
    for (wrong, (name, _)) in names.into_iter().enumerate() {
        assert_eq!(all(Some(wrong)), "header_mismatch", "{name}");
    }
}

#[test]
fn every_security_header_counts_once_and_is_short_printable_ascii() {
    let cert = escaped("alice");
    for (name, limit) in
        [(VERIFY, 256), (CERT, 96 * 1024), (SERIAL, 256), (SUBJECT, 8192), (ISSUER, 8192)]
    {
        let long = "A".repeat(limit + 1);
        for bad in ["CN=zo\u{eb}", "a\tb", "a\u{7f}", long.as_str()] {
            assert_eq!(read(&[(name, bad)]), "malformed_header", "{name}: {bad:.9}");
        }
        for (one, two) in [("", ""), ("SUCCESS", ""), ("", "SUCCESS"), ("0A", "0A")] {
            assert_eq!(read(&[(name, one), (name, two)]), "malformed_header", "{name} twice");
        }
    }
    let others =
        [(VERIFY, "SUCCESS"), (CERT, cert.as_str()), ("x-other", "\u{eb}"), ("x-other", "")];
    assert_eq!(read(&others), "alice", "other headers are none of ours");
}

#[test]
fn a_certificate_header_is_looked_at_wherever_its_bytes_are_used_or_left() {
    let cert = escaped("alice");
    let headers = reader(Source::Headers);
    let long = format!("{cert}{}", "%0A".repeat(32 * 1024));
    for bad in [format!("{cert}\t"), format!("\u{eb}{cert}"), format!("{cert}\u{7f}"), long] {
        let mut memory = Memory::default();
        let mut read = |reader: &Reader, lines: &[_]| read_with(reader, &mut memory, lines);
        let certificate = reader(Source::Certificate);
        // A good one that is remembered opens no door for one that only looks like it.
        assert_eq!(read(&certificate, &[(VERIFY, "SUCCESS"), (CERT, &cert)]), "alice");
        for verify in ["SUCCESS", "NONE", "FAILED:certificate has expired"] {
            let lines = [(VERIFY, verify), (CERT, bad.as_str())];
            assert_eq!(read(&certificate, &lines), "malformed_header", "{verify}");
            assert_eq!(read(&headers, &lines), "malformed_header", "{verify}");
        }
    }
}

#[test]
fn nobody_is_only_who_shows_nothing_at_all() {
    for nobody in [&[][..], &[(VERIFY, "")], &[(VERIFY, "NONE")], &[(VERIFY, "NONE"), (CERT, "")]] {
        assert_eq!(read(nobody), "nobody", "{nobody:?}");
    }
    let cert = escaped("alice");
    for material in
        [(CERT, cert.as_str()), (SERIAL, "0A92"), (SUBJECT, "CN=alice"), (ISSUER, "CN=alice")]
    {
        for verify in ["", "NONE", "FAILED", "success"] {
            assert_eq!(read(&[(VERIFY, verify), material]), "not_verified", "{material:?}");
        }
        assert_eq!(read(&[material]), "not_verified", "{material:?}");
    }
    assert_eq!(read(&[(VERIFY, "SUCCESS")]), "certificate_malformed", "success of nothing");
    assert_eq!(read(&[(VERIFY, "FAILED:certificate has expired")]), "certificate_expired");
}

#[test]
fn exactly_one_certificate_percent_encoded_once_is_read() {
    let cert = escaped("alice");
    let with = |cert: &str| read(&[(VERIFY, "SUCCESS"), (CERT, cert)]);
    assert_eq!(with(&cert), "alice");
    assert_eq!(with(&format!("{cert}{cert}")), "certificate_malformed", "two");
    assert_eq!(with(&format!("{cert}junk")), "certificate_malformed", "something behind it");
    assert_eq!(with(&cert.replace('%', "%25")), "certificate_malformed", "encoded twice");
    assert_eq!(with(&format!("{cert}%")), "malformed_header", "a broken escape");
    assert_eq!(with("junk"), "certificate_malformed");
}

#[test]
fn what_is_remembered_is_found_by_all_bytes_of_the_header() {
    let (reader, memory) = (reader(Source::Certificate), &mut Memory::default());
    let [alice, bob] = ["alice", "bob"].map(escaped);
    for _ in 0..2 {
        for (cert, name) in [(&alice, "alice"), (&bob, "bob")] {
            let lines = [(VERIFY, "SUCCESS"), (CERT, cert.as_str())];
            assert_eq!(read_with(&reader, memory, &lines), name);
            // What is remembered of a certificate excuses nothing else.
            let failed = [(VERIFY, "FAILED:certificate revoked"), (CERT, cert.as_str())];
            assert_eq!(read_with(&reader, memory, &failed), "certificate_revoked");
            let other = [lines[0], lines[1], (SERIAL, "0A93")];
            assert_eq!(read_with(&reader, memory, &other), "header_mismatch");
        }
        let broken = format!("{alice}x");
        let lines = [(VERIFY, "SUCCESS"), (CERT, broken.as_str())];
        assert_eq!(read_with(&reader, memory, &lines), "certificate_malformed");
    }
}

#[test]
fn header_mode_reads_names_alone_and_only_after_a_success() {
    let read =
        |lines: &[(&str, &str)]| read_with(&reader(Source::Headers), &mut Memory::default(), lines);
    let names = [(SERIAL, "0A92"), (SUBJECT, "CN=alice,C=FR"), (ISSUER, "CN=Example CA")];
    let verified = |verify| [(VERIFY, verify), names[0], names[1], names[2]];
    assert_eq!(read(&verified("SUCCESS")), "alice");
    assert_eq!(read(&verified("NONE")), "not_verified");
    assert_eq!(read(&names), "not_verified");
    assert_eq!(read(&[]), "nobody");
    assert_eq!(read(&[(VERIFY, "SUCCESS"), (SERIAL, "-05")]), "malformed_header");
    assert_eq!(read(&[(VERIFY, "SUCCESS"), (SUBJECT, "/CN=alice")]), "malformed_header");
}
