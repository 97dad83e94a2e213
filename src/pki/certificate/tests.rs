//! Certificates of real tools, and what hostile ones must not get past.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use rcgen::KeyPair;

use super::*;
use crate::pki::forge::{self, CN, Forge, UTF8, attribute, extension, name, rdn, tlv};

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());

fn read(forge: &Forge) -> Result<Certificate, CertificateError> {
    Certificate::from_der(&forge.der(&KEY))
}

fn with_extensions(extensions: Vec<Vec<u8>>) -> Result<Certificate, CertificateError> {
    read(&Forge { extensions, ..Forge::default() })
}

/// An extension below id-ce, 2.5.29, not critical.
fn ce(number: u8, value: &[u8]) -> Vec<u8> {
    extension(&[0x55, 0x1d, number], false, value)
}

fn san(names: &[Vec<u8>]) -> Vec<u8> {
    ce(17, &tlv(0x30, &[&names.concat()]))
}

fn upn(tag: u8, text: &[u8]) -> Vec<u8> {
    let oid = tlv(0x06, &[b"\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03"]);
    tlv(0xa0, &[&oid, &tlv(0xa0, &[&tlv(tag, &[text])])])
}

fn malformed(number: u8) -> CertificateError {
    CertificateError::Extension { oid: format!("2.5.29.{number}") }
}

#[test]
fn a_certificate_of_rcgen_is_read_whole() {
    let mut params = rcgen::CertificateParams::new(vec!["alice.example".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CountryName, "FR");
    params.distinguished_name.push(rcgen::DnType::CommonName, "alice");
    params.serial_number = Some(vec![0xCA, 0x92].into());
    params.not_before = rcgen::date_time_ymd(2026, 1, 2);
    params.not_after = rcgen::date_time_ymd(2051, 1, 2);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages =
        vec![rcgen::KeyUsagePurpose::DigitalSignature, rcgen::KeyUsagePurpose::KeyAgreement];
    let made = params.self_signed(&*KEY).unwrap();
    let read = Certificate::from_pem(made.pem().as_bytes()).unwrap();
    assert_eq!(&*read.der, &**made.der());
    assert_eq!(read.sha256, Fingerprint::of(made.der()));
    let spki = rcgen::PublicKeyData::subject_public_key_info(&*KEY);
    assert_eq!(read.spki_sha256, Fingerprint::of(&spki));
    assert_eq!(read.subject.to_string(), "CN=alice,C=FR");
    assert_eq!(read.issuer, read.subject);
    assert_eq!(read.serial.to_string(), "CA92");
    assert_eq!(read.not_before.to_string(), "2026-01-02T00:00:00Z");
    assert_eq!(read.not_after.to_string(), "2051-01-02T00:00:00Z");
    assert_eq!(read.san.dns, ["alice.example"]);
    assert_eq!(read.common_name.as_deref(), Some("alice"));
    assert_eq!(read.key_usage, Some(0b1_0001));
    assert!(!read.is_ca);
    assert!(read.usage.allows_client_auth());
    assert_eq!(Certificate::from_der(made.der()), Ok(read.clone()));
    assert_eq!(Certificate::from_file_bytes(made.der()), Ok(read));
}

#[test]
fn a_certificate_without_extensions_has_none_of_their_facts() {
    for version in [vec![], tlv(0xa0, &[&[2, 1, 1]]), tlv(0xa0, &[&[2, 1, 2]])] {
        let read = read(&Forge { version, ..Forge::default() }).unwrap();
        assert_eq!(read.san, SubjectAltNames::default());
        assert_eq!(read.usage, ExtendedKeyUsage::Absent);
        assert_eq!((read.key_usage, read.is_ca), (None, false));
        assert_eq!((&read.authority_key_id, &read.subject_key_id), (&None, &None));
        assert!(read.policies.is_empty());
    }
}

#[test]
fn the_extensions_are_read() {
    let uri = tlv(0x86, &[b"spiffe://example/Alice"]);
    let other = tlv(0xa0, &[&[0x06, 2, 0x2a, 3], &tlv(0xa0, &[&[0x05, 0]])]);
    let read = with_extensions(vec![
        san(&[
            tlv(0x81, &[b"Alice@Example.com"]),
            tlv(0x82, &[b"*.example.com"]),
            tlv(0x82, &[b"alice.example.com"]),
            uri,
            tlv(0x87, &[&[127, 0, 0, 1]]),
            upn(UTF8, "zo\u{eb}@example.com".as_bytes()),
            other,
            tlv(0xa4, &[&forge::common_name("x")]),
        ]),
        ce(14, &tlv(0x04, &[&[1, 2, 3]])),
        ce(35, &tlv(0x30, &[&tlv(0x80, &[&[4, 5, 6]])])),
        ce(19, &tlv(0x30, &[&[0x01, 1, 0xff], &[0x02, 1, 0]])),
        ce(15, &[0x03, 3, 7, 0x06, 0x80]),
        ce(32, &tlv(0x30, &[&tlv(0x30, &[&[0x06, 4, 0x55, 0x1d, 0x20, 0]])])),
        ce(37, &tlv(0x30, &[&[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1]])),
    ])
    .unwrap();
    assert_eq!(read.san.email, ["Alice@Example.com"]);
    assert_eq!(read.san.dns, ["*.example.com", "alice.example.com"]);
    assert_eq!(read.san.uri, ["spiffe://example/Alice"]);
    assert_eq!(read.san.upn, ["zo\u{eb}@example.com"]);
    assert_eq!(read.subject_key_id.as_deref(), Some(&[1, 2, 3][..]));
    assert_eq!(read.authority_key_id.as_deref(), Some(&[4, 5, 6][..]));
    assert!(read.is_ca);
    assert_eq!(read.key_usage, Some(0b1_0110_0000));
    assert_eq!(read.policies, ["2.5.29.32.0"]);
    assert!(!read.usage.allows_client_auth());
}

#[test]
fn client_authentication_is_allowed_by_absence_by_name_or_by_any() {
    let server: &[u8] = &[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
    let client: &[u8] = &[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2];
    let any: &[u8] = &[0x06, 4, 0x55, 0x1d, 0x25, 0];
    for (purposes, expected) in [
        (&[server][..], false),
        (&[client], true),
        (&[any], true),
        (&[server, client], true),
        (&[server, any], true),
    ] {
        let read = with_extensions(vec![ce(37, &tlv(0x30, purposes))]).unwrap();
        assert_eq!(read.usage.allows_client_auth(), expected, "{purposes:?}");
    }
    assert_eq!(with_extensions(vec![ce(37, &[0x30, 0])]), Err(malformed(37)));
}

#[test]
fn a_broken_extension_makes_the_certificate_malformed() {
    let two: &[u8] = &[0x06, 1, 0x2a];
    for (number, value) in [
        (14, vec![]),
        (14, vec![0x04, 2, 1]),
        (14, vec![0x04, 1, 1, 0]),
        (15, vec![0x03, 1, 0]),
        (15, vec![0x03, 2, 8, 1]),
        (15, vec![0x03, 4, 0, 1, 1, 1]),
        (15, vec![0x04, 1, 1]),
        (17, vec![0x30, 0]),
        (17, vec![0x31, 0]),
        (17, tlv(0x30, &[&tlv(0x82, &[b"a"]), &[0x05, 0]])),
        (17, [tlv(0x30, &[&tlv(0x82, &[b"a"])]), vec![0]].concat()),
        (17, tlv(0x30, &[&tlv(0x89, &[b"a"])])),
        (17, tlv(0x30, &[&upn(0x16, b"alice@example.com")])),
        (17, tlv(0x30, &[&upn(UTF8, b"alice\xff")])),
        (17, tlv(0x30, &[&tlv(0xa0, &[two])])),
        (17, tlv(0x30, &[&tlv(0xa2, &[&tlv(0x16, &[b"a"])])])),
        (19, vec![0x30, 3, 0x01, 1, 1]),
        (19, vec![0x30, 3, 0x0c, 1, 0x61]),
        (19, vec![0x30, 6, 0x01, 1, 0xff, 0x01, 1, 0xff]),
        (19, vec![0x30, 0x80, 0, 0]),
        (32, vec![0x30, 0]),
        (32, tlv(0x30, &[two])),
        (35, tlv(0x30, &[&tlv(0x80, &[&[1]]), &tlv(0x80, &[&[2]])])),
        (35, tlv(0x30, &[&tlv(0x82, &[&[2]])])),
        (37, tlv(0x30, &[&[0x06, 1, 0x80]])),
        (37, tlv(0x30, &[two, &[0x05, 0]])),
        // Of those that only the library reads: cRLDistributionPoints, nameConstraints.
        (31, vec![0x04, 0]),
        (30, vec![0x04, 0]),
    ] {
        let result = with_extensions(vec![ce(number, &value)]);
        assert_eq!(result, Err(malformed(number)), "{number} {value:02x?}");
    }
}

#[test]
fn a_name_with_bytes_that_no_such_name_has_makes_the_certificate_malformed() {
    use NameError::{ControlCharacter, Empty, NotAscii, TooLong};
    let long = vec![b'a'; 5000];
    for (name, expected) in [
        (tlv(0x81, &[b"alice@example.com\0.mallory.example"]), ControlCharacter),
        (tlv(0x81, &[b"alice@example.com\n"]), ControlCharacter),
        (tlv(0x82, &[b"example.com\0"]), ControlCharacter),
        (tlv(0x86, &[b"spiffe://a\x7f"]), ControlCharacter),
        (upn(UTF8, b"alice\r@example.com"), ControlCharacter),
        (upn(UTF8, "alice\u{85}".as_bytes()), ControlCharacter),
        (tlv(0x81, &["zo\u{eb}@example.com".as_bytes()]), NotAscii),
        (tlv(0x82, &["\u{430}lice.example".as_bytes()]), NotAscii),
        (tlv(0x86, &[b"spiffe://\xff"]), NotAscii),
        (tlv(0x81, &[b""]), Empty),
        (tlv(0x82, &[b""]), Empty),
        (tlv(0x86, &[b""]), Empty),
        (upn(UTF8, b""), Empty),
        (tlv(0x82, &[&long]), TooLong),
    ] {
        let result = with_extensions(vec![san(&[tlv(0x82, &[b"ok"]), name.clone()])]);
        assert_eq!(result, Err(CertificateError::SubjectAltName(expected)), "{name:02x?}");
    }
}

#[test]
fn extensions_are_there_once_and_the_critical_ones_are_understood() {
    let ski = ce(14, &tlv(0x04, &[&[1]]));
    let own: &[u8] = &[0x2a, 0x03, 0x04];
    assert_eq!(
        with_extensions(vec![ski.clone(), san(&[tlv(0x82, &[b"a"])]), ski]),
        Err(CertificateError::DuplicateExtension { oid: "2.5.29.14".to_owned() })
    );
    assert_eq!(
        with_extensions(vec![extension(own, false, b"x"), extension(own, false, b"y")]),
        Err(CertificateError::DuplicateExtension { oid: "1.2.3.4".to_owned() })
    );
    assert!(with_extensions(vec![extension(own, false, b"not DER")]).is_ok());
    assert_eq!(
        with_extensions(vec![extension(own, true, b"x")]),
        Err(CertificateError::UnknownCriticalExtension { oid: "1.2.3.4".to_owned() })
    );
}

#[test]
fn a_structure_that_is_not_quite_a_certificate_is_refused() {
    use CertificateError::*;
    let default = Forge::default;
    let trailing = Der(DerError::Trailing);
    let time = |text: &[u8]| tlv(0x30, &[&tlv(0x17, &[text]), &tlv(0x17, &[b"490101000000Z"])]);
    let rsa = tlv(0x30, &[b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"]);
    let integer = Der(DerError::Content { tag: der::INTEGER });
    let utc_time = Der(DerError::Content { tag: der::UTC_TIME });
    let own_times = tlv(0x30, &[&tlv(0x0c, &[b"a"]), &tlv(0x0c, &[b"b"])]);
    for (forge, expected) in [
        (Forge { version: tlv(0xa0, &[&[2, 1, 3]]), ..default() }, Version),
        (Forge { version: tlv(0xa0, &[&[2, 1, 0xff]]), ..default() }, Version),
        (Forge { version: tlv(0xa0, &[&[2, 2, 1, 0]]), ..default() }, Version),
        (Forge { version: tlv(0xa0, &[&[2, 2, 0, 2]]), ..default() }, integer.clone()),
        (Forge { version: tlv(0xa0, &[&[2, 1, 2, 5, 0]]), ..default() }, trailing.clone()),
        (Forge { serial: vec![], ..default() }, integer.clone()),
        (Forge { serial: vec![0, 1], ..default() }, integer.clone()),
        (Forge { serial: vec![0xff, 0xff], ..default() }, integer),
        (Forge { inner_algorithm: rsa.clone(), ..default() }, AlgorithmMismatch),
        (Forge { outer_algorithm: rsa, ..default() }, AlgorithmMismatch),
        (Forge { issuer: vec![0x30, 0], ..default() }, EmptyIssuer),
        (Forge { subject: name(&[rdn(&[])]), ..default() }, Name(DnError::EmptyRdn)),
        (Forge { validity: time(b"260101000000+0000"), ..default() }, utc_time.clone()),
        (Forge { validity: time(b"2601010000Z"), ..default() }, utc_time.clone()),
        (Forge { validity: time(b"260230000000Z"), ..default() }, utc_time),
        (Forge { validity: own_times, ..default() }, Time),
        (Forge { validity: vec![0x30, 0], ..default() }, Der(DerError::Truncated)),
        (Forge { tail: vec![0x05, 0], ..default() }, trailing.clone()),
    ] {
        assert_eq!(read(&forge), Err(expected));
    }
    let unique = tlv(0x81, &[&[0, 1]]);
    let v1 = Forge { version: vec![], tail: unique.clone(), ..default() };
    assert_eq!(read(&v1), Err(FieldsOfOtherVersion));
    assert!(read(&Forge { tail: unique, ..default() }).is_ok());
    let v2 = Forge {
        version: tlv(0xa0, &[&[2, 1, 1]]),
        extensions: vec![ce(14, &[4, 1, 1])],
        ..default()
    };
    assert_eq!(read(&v2), Err(FieldsOfOtherVersion));
    let der = default().der(&KEY);
    assert_eq!(Certificate::from_der(&[&der[..], &[0; 4]].concat()), Err(trailing));
    assert_eq!(Certificate::from_der(&der[..der.len() - 1]), Err(Der(DerError::Truncated)));
    assert_eq!(Certificate::from_der(&[]), Err(Der(DerError::Truncated)));
}

#[test]
fn the_size_limit_is_its_own_error() {
    let padded = |length| {
        let value = vec![0; length];
        Forge { extensions: vec![extension(&[0x2a, 3, 4], false, &value)], ..Forge::default() }
    };
    let base = padded(20_000).der(&KEY).len() - 20_000;
    // An ECDSA signature varies by a few octets.
    let below = padded(MAX_CERTIFICATE_DER_BYTES - base - 16).der(&KEY);
    let above = padded(MAX_CERTIFICATE_DER_BYTES - base + 16).der(&KEY);
    let error = CertificateError::TooLarge { bytes: above.len() };
    assert!(Certificate::from_der(&below).is_ok());
    assert!(Certificate::from_pem(pem("CERTIFICATE", &below).as_bytes()).is_ok());
    assert_eq!(Certificate::from_der(&above), Err(error.clone()));
    assert_eq!(Certificate::from_pem(pem("CERTIFICATE", &above).as_bytes()), Err(error.clone()));
    assert_eq!(Certificate::from_file_bytes(&above), Err(error));
    let blanks = vec![b' '; 200_000];
    assert!(matches!(Certificate::from_pem(&blanks), Err(CertificateError::TooLarge { .. })));
}

#[test]
fn an_odd_serial_is_kept_and_marked() {
    for serial in [&[0][..], &[0xfb], &[1; 21], &[1; 200]] {
        let read = read(&Forge { serial: serial.to_vec(), ..Forge::default() }).unwrap();
        assert!(read.serial.is_odd());
        assert_eq!(read.serial.as_bytes(), serial);
    }
}

#[test]
fn a_hostile_subject_has_no_common_name() {
    let cn = |text: &[u8]| attribute(CN, UTF8, text);
    for subject in [
        vec![0x30, 0],
        name(&[rdn(&[cn(b"alice")]), rdn(&[cn(b"admin")])]),
        name(&[rdn(&[cn(b"alice\0")])]),
    ] {
        let read = read(&Forge { subject, ..Forge::default() }).unwrap();
        assert_eq!(read.common_name, None);
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap());
    let body = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[test]
fn pem_is_one_block_with_nothing_but_white_space_around_it() {
    let der = Forge::default().der(&KEY);
    let text = pem("CERTIFICATE", &der);
    let apache = text.replace('\n', " ");
    for text in [
        text.clone(),
        text.trim_end().to_owned(),
        format!("\r\n {text}\n\t"),
        text.replace('\n', "\r\n"),
        apache,
    ] {
        let read = Certificate::from_pem(text.as_bytes()).unwrap();
        assert_eq!(*read.der, *der, "{text}");
    }
}

#[test]
fn pem_that_is_not_exactly_one_canonical_block_is_refused() {
    use PemError::*;
    let der = Forge::default().der(&KEY);
    let text = pem("CERTIFICATE", &der);
    let label = |label: &str| Label { label: label.to_owned() };
    let headers = text.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1);
    for (text, expected) in [
        (String::new(), Truncated),
        ("alice".to_owned(), Truncated),
        ("-----BEGIN CERTIFICATE-----".to_owned(), Truncated),
        (text.replace("-----END", "-----end"), Truncated),
        (text.replace("END CERTIFICATE", "END X"), Truncated),
        (text.replace("-----END CERTIFICATE-----", ""), Truncated),
        (text.replace("-----BEGIN ", "----BEGIN "), Truncated),
        (format!("{text}{text}"), SeveralCertificates { count: 2 }),
        (text.repeat(3), SeveralCertificates { count: 3 }),
        (format!("x{text}"), Surroundings),
        (format!("subject=CN = alice\n{text}"), Surroundings),
        (format!("{text}x"), Surroundings),
        (format!("{text}\0"), Surroundings),
        (format!("{text}{}", pem("PRIVATE KEY", &der)), Surroundings),
        (pem("PRIVATE KEY", &der), PrivateKey),
        (pem("EC PRIVATE KEY", &der), PrivateKey),
        (pem("TRUSTED CERTIFICATE", &der), label("TRUSTED CERTIFICATE")),
        (pem("X509 CERTIFICATE", &der), label("X509 CERTIFICATE")),
        (pem("CERTIFICATE REQUEST", &der), label("CERTIFICATE REQUEST")),
        (pem("certificate", &der), label("certificate")),
        (headers, Headers),
        ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_owned(), Base64),
        (text.replace("\n-----END", "=\n-----END"), Base64),
        (text.replace("\n-----END", "A\n-----END"), Base64),
        (text.replacen("-----\n", "-----", 1), Base64),
    ] {
        assert_eq!(Certificate::from_pem(text.as_bytes()), Err(expected.into()), "{text}");
    }
    let digit = "-----BEGIN CERTIFICATE-----\nMII!\n-----END CERTIFICATE-----\n";
    assert_eq!(Certificate::from_pem(digit.as_bytes()), Err(Base64.into()));
    // The last digit before the padding has bits that belong to nothing.
    let sloppy = "-----BEGIN CERTIFICATE-----\nMB==\n-----END CERTIFICATE-----\n";
    assert_eq!(Certificate::from_pem(sloppy.as_bytes()), Err(Base64.into()));
    let inner = pem("CERTIFICATE", &[&der[..], &[0]].concat());
    let expected = CertificateError::Der(DerError::Trailing);
    assert_eq!(Certificate::from_pem(inner.as_bytes()), Err(expected));
    let twice = pem("CERTIFICATE", text.as_bytes());
    assert!(matches!(Certificate::from_pem(twice.as_bytes()), Err(CertificateError::Der(_))));
    let escaped = text.replace('\n', "%0A");
    assert_eq!(Certificate::from_pem(escaped.as_bytes()), Err(Base64.into()));
}

#[test]
fn a_file_may_hold_text_and_a_key_beside_its_one_certificate() {
    let der = Forge::default().der(&KEY);
    let text = pem("CERTIFICATE", &der);
    let key = pem("PRIVATE KEY", &[1, 2, 3]);
    for file in [
        der.clone(),
        text.clone().into_bytes(),
        format!("Certificate:\n    Data:\n{text}").into_bytes(),
        format!("{key}{text}").into_bytes(),
        format!("{text}{key}trailing text\n").into_bytes(),
        text.replace('\n', "\r\n").into_bytes(),
    ] {
        assert_eq!(*Certificate::from_file_bytes(&file).unwrap().der, *der);
    }
    let request = pem("CERTIFICATE REQUEST", &der);
    for (file, expected) in [
        (format!("{text}{key}{text}"), PemError::SeveralCertificates { count: 2 }),
        (text.repeat(4), PemError::SeveralCertificates { count: 4 }),
        (key.clone(), PemError::PrivateKey),
        (pem("ENCRYPTED PRIVATE KEY", &[1]), PemError::PrivateKey),
        (request, PemError::Label { label: "CERTIFICATE REQUEST".to_owned() }),
        (format!("{text}-----BEGIN CERTIFICATE-----\n"), PemError::Truncated),
    ] {
        assert_eq!(Certificate::from_file_bytes(file.as_bytes()), Err(expected.into()), "{file}");
    }
    assert!(Certificate::from_file_bytes(b"").is_err());
    assert!(Certificate::from_file_bytes(b"hello").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Certificate::from_der(&bytes);
        let _ = Certificate::from_pem(&bytes);
        let _ = Certificate::from_file_bytes(&bytes);
    }

    #[test]
    fn a_mutated_certificate_is_read_or_refused(
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        static RICH: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let names = san(&[tlv(0x81, &[b"alice@example.com"]), upn(UTF8, b"alice@example.com")]);
            let usage = ce(37, &tlv(0x30, &[&[0x06, 4, 0x55, 0x1d, 0x25, 0]]));
            let extensions = vec![names, usage, ce(15, &[3, 2, 7, 0x80])];
            Forge { extensions, ..Forge::default() }.der(&KEY)
        });
        let mut der = RICH.clone();
        let place = at.index(der.len());
        der[place] = octet;
        if let Ok(read) = Certificate::from_der(&der) {
            prop_assert_eq!(&*read.der, &*der);
        }
        let _ = Certificate::from_der(&der[..cut.index(der.len())]);
        let text = pem("CERTIFICATE", &der);
        prop_assert_eq!(Certificate::from_pem(text.as_bytes()), Certificate::from_der(&der));
    }
}
