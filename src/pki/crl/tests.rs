//! Every rule of the reader, on lists made for it.

use rcgen::{KeyPair, KeyUsagePurpose};

use super::forge::{
    CERTIFICATE_ISSUER, CrlForge, DELTA, DISTRIBUTION, authority, authority_for, entry, reason, utc,
};
use super::*;
use crate::pki::forge::{common_name, extension, tlv};

const SIGNS: &[KeyUsagePurpose] = &[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];

fn now() -> UnixTime {
    UnixTime::parse_rfc3339("2026-06-01T00:00:00Z").unwrap()
}

fn read(der: &[u8], issuers: &[Certificate]) -> Result<RevocationList, CrlError> {
    SignedList::from_der(der)?.verify(issuers.iter(), now())
}

fn serial(octets: &[u8]) -> SerialNumber {
    SerialNumber::from_der(octets)
}

#[test]
fn a_list_is_read_with_every_reason_and_every_one_of_them_revokes() {
    let (issuer, key) = authority("Example CA", SIGNS);
    let mut list = CrlForge::new("Example CA", 7).revoke(&[0x00, 0xCA, 0x92]);
    for code in [0, 1, 2, 3, 4, 5, 6, 8, 9, 10] {
        list.entries.push(entry(&[0x40 + code], &[reason(code)]));
    }
    for odd in [&[0xFB][..], &[0x00], &[0x01; 30]] {
        list.entries.push(entry(odd, &[]));
    }
    let list = read(&list.der(&key), std::slice::from_ref(&issuer)).unwrap();
    assert_eq!(list.len(), 14);
    assert_eq!(list.number.as_ref().unwrap().to_string(), "07");
    assert_eq!(list.signer, issuer.spki_sha256);
    assert_eq!(list.signer_key_ids, [issuer.subject_key_id.unwrap()]);
    assert_eq!(list.scope, Scope::All);
    assert_eq!(list.find(&serial(&[0x00, 0xCA, 0x92])), Some(ReasonCode::Unspecified));
    assert_eq!(list.find(&SerialNumber::parse("ca92").unwrap()), Some(ReasonCode::Unspecified));
    assert_eq!(list.find(&serial(&[0x46])), Some(ReasonCode::CertificateHold));
    assert_eq!(list.find(&serial(&[0x48])), Some(ReasonCode::RemoveFromCrl));
    for odd in [&[0xFB][..], &[0x00], &[0x01; 30]] {
        assert_eq!(list.find(&serial(odd)), Some(ReasonCode::Unspecified));
    }
    // -5 is listed, 251 with the same octets is another number.
    assert_eq!(list.find(&serial(&[0x00, 0xFB])), None);
    assert_eq!(list.find(&serial(&[0x47])), None);
}

#[test]
fn a_list_of_version_1_has_no_number_and_counts() {
    let (issuer, key) = authority("Example CA", SIGNS);
    let mut list = CrlForge::new("Example CA", 1).revoke(&[5]);
    list.version = Vec::new();
    let with_extensions = list.der(&key);
    let issuers = [issuer];
    let refused = read(&with_extensions, &issuers).unwrap_err();
    assert_eq!(refused, CrlError::FieldsOfOtherVersion);
    list.extensions = Vec::new();
    let list = read(&list.der(&key), &issuers).unwrap();
    assert!(list.number.is_none());
    assert!(list.find(&serial(&[5])).is_some());
}

#[test]
fn scopes_of_users_and_of_authorities_are_told_apart() {
    let (issuer, key) = authority("Example CA", SIGNS);
    let issuers = [issuer];
    for (tag, scope) in [(0x81, Scope::Users), (0x82, Scope::Authorities)] {
        let point = tlv(0x30, &[&tlv(tag, &[&[0xff]])]);
        let list = CrlForge::new("Example CA", 1).extend(DISTRIBUTION, true, &point).der(&key);
        let list = read(&list, &issuers).unwrap();
        assert_eq!(list.scope, scope);
        assert_eq!(list.scope.covers(true), scope == Scope::Authorities);
        assert_eq!(list.scope.covers(false), scope == Scope::Users);
    }
}

#[test]
fn what_is_only_half_understood_is_refused() {
    let (issuer, key) = authority("Example CA", SIGNS);
    let issuers = [issuer];
    let base = || CrlForge::new("Example CA", 1).revoke(&[5]);
    let point = |field: &[u8]| base().extend(DISTRIBUTION, true, &tlv(0x30, &[field]));
    let full_name = tlv(0xa0, &[&tlv(0xa0, &[&tlv(0x86, &[b"http://example.com/1.crl"])])]);
    let with_entry = |extra: Vec<u8>| {
        let mut list = base();
        list.entries.push(entry(&[6], &[extra]));
        list
    };
    let other_issuer = tlv(0x30, &[&tlv(0xa4, &[&common_name("Other CA")])]);
    let changed = |change: fn(&mut CrlForge)| {
        let mut list = base();
        change(&mut list);
        list
    };
    let unknown = |critical| extension(&[0x2a, 0x03, 0x04], critical, &[0x05, 0x00]);
    let dotted = || "1.2.3.4".to_owned();
    let table = [
        (
            {
                let delta = base().extend(DELTA, true, &tlv(0x02, &[&[1]]));
                CrlForge { extensions: delta.extensions[1..].to_vec(), ..delta }
            },
            CrlError::DeltaWithoutNumber,
        ),
        (
            base().extend(DELTA, true, &[0x05, 0x00]),
            CrlError::Extension { oid: "2.5.29.27".to_owned() },
        ),
        (point(&full_name), CrlError::Partitioned),
        (point(&tlv(0x83, &[&[1, 0x40]])), CrlError::SomeReasons),
        (point(&tlv(0x84, &[&[0xff]])), CrlError::Indirect),
        (point(&tlv(0x85, &[&[0xff]])), CrlError::AttributeCertificates),
        (
            point(&[tlv(0x81, &[&[0xff]]), tlv(0x82, &[&[0xff]])].concat()),
            CrlError::Extension { oid: "2.5.29.28".to_owned() },
        ),
        (with_entry(extension(CERTIFICATE_ISSUER, true, &other_issuer)), CrlError::Indirect),
        (with_entry(unknown(true)), CrlError::UnknownCriticalExtension { oid: dotted() }),
        (with_entry(reason(7)), CrlError::Extension { oid: "2.5.29.21".to_owned() }),
        (
            base().extend(&[0x2a, 0x03, 0x04], true, &[0x05, 0x00]),
            CrlError::UnknownCriticalExtension { oid: dotted() },
        ),
        (base().extend(super::forge::NUMBER, false, &[2, 1, 1]), CrlError::DuplicateExtension),
        (changed(|list| list.version = tlv(0x02, &[&[2]])), CrlError::Version),
        (changed(|list| list.next_update = Vec::new()), CrlError::NoNextUpdate),
        (changed(|list| list.next_update = utc("251231000000Z")), CrlError::Time),
        (changed(|list| list.this_update = utc("261301000000Z")), CrlError::Time),
        (changed(|list| list.issuer = tlv(0x30, &[])), CrlError::EmptyIssuer),
        (changed(|list| list.issuer = common_name("Other CA")), CrlError::NoIssuer),
        (
            changed(|list| list.outer_algorithm = tlv(0x30, &[&[0x06, 1, 0x2a]])),
            CrlError::AlgorithmMismatch,
        ),
        (
            changed(|list| list.this_update = utc("260701000000Z")),
            CrlError::FromTheFuture {
                this_update: UnixTime::parse_rfc3339("2026-07-01T00:00:00Z").unwrap(),
            },
        ),
    ];
    for (list, expected) in table {
        assert_eq!(read(&list.der(&key), &issuers).unwrap_err(), expected);
    }
    read(&with_entry(unknown(false)).der(&key), &issuers).unwrap();
}

#[test]
fn only_a_key_of_the_issuer_that_may_sign_lists_counts() {
    let (issuer, key) = authority("Example CA", SIGNS);
    let (same_name, other_key) = authority("Example CA", SIGNS);
    let list = CrlForge::new("Example CA", 1).revoke(&[5]);
    let der = list.der(&key);
    assert_eq!(read(&der, &[]).unwrap_err(), CrlError::NoIssuer);
    assert_eq!(read(&der, std::slice::from_ref(&same_name)).unwrap_err(), CrlError::Signature);
    let both = [same_name, issuer];
    assert_eq!(read(&der, &both).unwrap().signer, both[1].spki_sha256);
    assert_eq!(read(&list.der(&other_key), &both).unwrap().signer, both[0].spki_sha256);
    let foreign = KeyPair::generate().unwrap();
    assert_eq!(read(&list.der(&foreign), &both).unwrap_err(), CrlError::Signature);

    let no_lists = authority_for("Example CA", &[KeyUsagePurpose::KeyCertSign], &key);
    assert_eq!(read(&der, &[no_lists]).unwrap_err(), CrlError::IssuerMayNotSign);
    let unrestricted = authority_for("Example CA", &[], &key);
    read(&der, &[unrestricted]).unwrap();
    let mut flipped = der.clone();
    let at = der.windows(2).position(|pair| pair == [0x02, 0x01]).unwrap();
    let last_serial = der.windows(3).rposition(|window| window == [0x02, 0x01, 0x05]).unwrap();
    assert!(last_serial > at);
    flipped[last_serial + 2] = 6;
    assert_eq!(read(&flipped, &both).unwrap_err(), CrlError::Signature);
}

#[test]
fn no_truncation_and_no_leftover_is_a_list() {
    let (issuer, key) = authority("Example CA", SIGNS);
    let issuers = [issuer];
    let der = CrlForge::new("Example CA", 1).revoke(&[5]).revoke(&[6]).der(&key);
    for length in 0..der.len() {
        assert!(read(&der[..length], &issuers).is_err(), "{length}");
    }
    let mut longer = der.clone();
    longer.push(0);
    assert!(read(&longer, &issuers).is_err());
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 0x01;
        assert!(read(&changed, &issuers).is_err(), "byte {at}");
    }
}

#[test]
fn age_is_by_number_and_else_by_this_update() {
    let (issuer, key) = authority("Example CA", SIGNS);
    let issuers = [issuer];
    let list = |number, this_update: &str| {
        let mut list = CrlForge::new("Example CA", number);
        list.this_update = utc(this_update);
        read(&list.der(&key), &issuers).unwrap()
    };
    let older = list(1, "260201000000Z");
    let newer = list(2, "260101000000Z");
    assert!(older.is_older_than(&newer));
    assert!(!newer.is_older_than(&older));
    assert!(!newer.is_older_than(&newer));
    assert!(list(2, "260101000000Z").is_older_than(&list(2, "260102000000Z")));
    let mut first = CrlForge::new("Example CA", 9);
    first.version = Vec::new();
    first.extensions = Vec::new();
    let first = read(&first.der(&key), &issuers).unwrap();
    assert!(first.is_older_than(&older));
    assert!(!older.is_older_than(&first));
}

#[test]
fn pem_holds_any_number_of_lists_and_a_truncated_file_holds_none() {
    use base64::Engine as _;
    let pem = |der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n")
    };
    let both = format!("text before\n{}{}", pem(&[1, 2]), pem(&[3]));
    let split = |text: &[u8]| split_lists(text, &mut || {}).map(|file| file.map(|file| file.lists));
    assert_eq!(split(both.as_bytes()), Ok(Some(vec![vec![1, 2], vec![3]])));
    assert_eq!(split(&[0x30, 0x00]), Ok(None));
    for cut in 75..both.len() - 1 {
        let cut = &both.as_bytes()[..cut];
        if let Ok(Some(lists)) = split(cut) {
            assert!(lists.len() < 2, "{}", String::from_utf8_lossy(cut));
        }
    }
}

#[test]
fn long_pem_is_read_in_steps_and_as_strictly_as_short_pem() {
    use base64::Engine as _;
    let encode = |der: &[u8]| base64::engine::general_purpose::STANDARD.encode(der);
    let pem = |text: &str, width: usize| {
        let lines: Vec<_> = text.as_bytes().chunks(width).map(String::from_utf8_lossy).collect();
        let body = lines.join("\n");
        format!("-----BEGIN X509 CRL-----\n{body}\n \n-----END X509 CRL-----\n")
    };
    for length in [12_283, 12_288, 12_289, 50_000, 100_001] {
        let der: Vec<u8> = (0..=250).cycle().take(length).collect();
        for width in [1, 3, 64, 65, usize::MAX] {
            let mut pauses = 0;
            let text = format!("{}{}", pem(&encode(&[5]), width), pem(&encode(&der), width));
            let file = split_lists(text.as_bytes(), &mut || pauses += 1).unwrap().unwrap();
            assert_eq!(file.lists, [vec![5], der.clone()]);
            assert!(pauses > length / 16_384);
        }
    }
    for padded in [12_286, 12_287] {
        let (one, other) = (encode(&vec![7; padded]), encode(&vec![7; 30_000]));
        assert!(one.ends_with('='));
        let text = pem(&format!("{one}{other}"), 64);
        assert_eq!(split_lists(text.as_bytes(), &mut || {}), Err(PemError::Base64), "{padded}");
        let text = pem(&format!("{other}:{one}"), 64);
        assert_eq!(split_lists(text.as_bytes(), &mut || {}), Err(PemError::Headers), "{padded}");
    }
}
