//! Builds lists that no honest CA would publish, for tests alone.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SigningKey as _,
};

use crate::pki::Certificate;
use crate::pki::forge::{common_name, extension, tlv};

/// A list field by field, each as finished DER; change what the test is about.
#[derive(Clone)]
pub(crate) struct CrlForge {
    pub(crate) version: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) this_update: Vec<u8>,
    pub(crate) next_update: Vec<u8>,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) outer_algorithm: Vec<u8>,
}

impl CrlForge {
    /// An empty list of this issuer with this number, for the year 2026.
    pub(crate) fn new(issuer: &str, number: u8) -> Self {
        Self {
            version: tlv(0x02, &[&[1]]),
            issuer: common_name(issuer),
            this_update: utc("260101000000Z"),
            next_update: utc("261231000000Z"),
            entries: Vec::new(),
            extensions: vec![extension(NUMBER, false, &tlv(0x02, &[&[number]]))],
            outer_algorithm: tlv(0x30, &[ECDSA_SHA256]),
        }
    }

    pub(crate) fn revoke(mut self, serial: &[u8]) -> Self {
        self.entries.push(entry(serial, &[]));
        self
    }

    pub(crate) fn extend(mut self, oid: &[u8], critical: bool, value: &[u8]) -> Self {
        self.extensions.push(extension(oid, critical, value));
        self
    }

    /// The list, signed by this key.
    pub(crate) fn der(&self, key: &KeyPair) -> Vec<u8> {
        let entries = match &*self.entries {
            [] => Vec::new(),
            some => tlv_long(0x30, &some.concat()),
        };
        let extensions = match &*self.extensions {
            [] => Vec::new(),
            some => tlv(0xa0, &[&tlv(0x30, &[&some.concat()])]),
        };
        let signed = tlv_long(
            0x30,
            &[
                &*self.version,
                &tlv(0x30, &[ECDSA_SHA256]),
                &self.issuer,
                &self.this_update,
                &self.next_update,
                &entries,
                &extensions,
            ]
            .concat(),
        );
        let signature = key.sign(&signed).unwrap();
        let signature = tlv(0x03, &[&[0], &signature]);
        tlv_long(0x30, &[&*signed, &self.outer_algorithm, &signature].concat())
    }
}

/// An entry of the list with these content octets as its serial.
pub(crate) fn entry(serial: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = match extensions {
        [] => Vec::new(),
        some => tlv(0x30, &[&some.concat()]),
    };
    tlv(0x30, &[&tlv(0x02, &[serial]), &utc("260101000000Z"), &extensions])
}

/// The reason in an entry.
pub(crate) fn reason(code: u8) -> Vec<u8> {
    extension(&[0x55, 0x1d, 21], false, &tlv(0x0a, &[&[code]]))
}

pub(crate) fn utc(text: &str) -> Vec<u8> {
    tlv(0x17, &[text.as_bytes()])
}

/// As `tlv`, for any length.
pub(crate) fn tlv_long(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    crate::pki::der::push(&mut out, tag, content);
    out
}

/// A CA of that name with a key of its own.
pub(crate) fn authority(name: &str, usages: &[KeyUsagePurpose]) -> (Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (authority_for(name, usages, &key), key)
}

pub(crate) fn authority_for(name: &str, usages: &[KeyUsagePurpose], key: &KeyPair) -> Certificate {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = usages.to_vec();
    Certificate::from_der(params.self_signed(key).unwrap().der()).unwrap()
}

/// Content octets of object identifiers.
pub(crate) const NUMBER: &[u8] = &[0x55, 0x1d, 20];
pub(crate) const DELTA: &[u8] = &[0x55, 0x1d, 27];
pub(crate) const DISTRIBUTION: &[u8] = &[0x55, 0x1d, 28];
pub(crate) const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
/// ecdsa-with-SHA256, RFC 5758.
const ECDSA_SHA256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
