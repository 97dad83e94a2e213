//! Revocation lists: as anybody could write one, and with a signature that holds.

use std::sync::OnceLock;

use certgate::pki::{Certificate, SerialNumber, SignedList, split_lists};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SigningKey as _,
};

use super::golden;

/// What has no signature of a known CA never counts. What has one is read whole or refused, and
/// then every serial in it is found.
pub fn check(data: &[u8]) {
    let (authority, key) = authority();
    let issuers = std::iter::once(authority);
    if let Ok(list) = SignedList::from_der(data) {
        assert!(!list.issuer_text().is_empty());
        assert!(list.verify(issuers.clone(), golden::NOW).is_err());
    }
    if let Ok(Some(file)) = split_lists(data, &mut || {}) {
        for list in &file.lists {
            let _ = SignedList::from_der(list);
        }
    }
    let der = signed(data, authority, key);
    let Ok(list) = SignedList::from_der(&der) else { return };
    let Ok(list) = list.verify(issuers, golden::NOW) else { return };
    assert!(list.issuer == authority.subject && list.this_update <= golden::NOW);
    assert_eq!(list.is_empty(), list.entries().next().is_none());
    for (serial, reason) in list.entries() {
        assert!(list.find(&serial).is_some(), "{serial:?} {reason:?}");
    }
    assert!(!list.is_older_than(&list) && list.replaces(&list));
    let absent = SerialNumber::from_der(&[0x7f; 21]);
    assert_eq!(list.find(&absent).is_some(), list.entries().any(|(serial, _)| serial == absent));
}

/// A CA that may sign lists.
fn authority() -> (&'static Certificate, &'static KeyPair) {
    static AUTHORITY: OnceLock<(Certificate, KeyPair)> = OnceLock::new();
    let (certificate, key) = AUTHORITY.get_or_init(|| {
        let made = || -> Result<_, rcgen::Error> {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, "Example CA");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::CrlSign];
            Ok((params.self_signed(&key)?, key))
        };
        match made().map(|(made, key)| (Certificate::from_der(made.der()), key)) {
            Ok((Ok(certificate), key)) => (certificate, key),
            other => panic!("{other:?}"),
        }
    });
    (certificate, key)
}

/// The list whose fields from thisUpdate on are these bytes, properly signed.
fn signed(fields: &[u8], authority: &Certificate, key: &KeyPair) -> Vec<u8> {
    let algorithm = tlv(0x30, &[&[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]]);
    let issuer = issuer(authority);
    let tbs = tlv(0x30, &[&[0x02, 1, 1], &algorithm, &issuer, fields]);
    let signature = match key.sign(&tbs) {
        Ok(signature) => tlv(0x03, &[&[0], &signature]),
        Err(error) => panic!("{error}"),
    };
    tlv(0x30, &[&tbs, &algorithm, &signature])
}

/// The DER of `CN=Example CA`, as the certificate has it.
fn issuer(authority: &Certificate) -> Vec<u8> {
    let name = tlv(0x0c, &[b"Example CA"]);
    let attribute = tlv(0x30, &[&[0x06, 3, 0x55, 0x04, 3], &name]);
    let issuer = tlv(0x30, &[&tlv(0x31, &[&attribute])]);
    debug_assert!(authority.der.windows(issuer.len()).any(|window| window == issuer));
    issuer
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let start = length.iter().position(|octet| *octet != 0).unwrap_or(length.len() - 1);
    let length = &length[start..];
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        out.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
    }
    out.extend_from_slice(length);
    out.extend_from_slice(&content);
    out
}
