//! Builds names and certificates that no honest CA would issue, for tests alone.
//!
//! The integration tests include this file too, so it depends on nothing of the crate: what it
//! builds must not come from the code that it tests.

use rcgen::{KeyPair, PublicKeyData, SigningKey};

/// One value: the identifier octet, the length, and the parts as its content.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        short @ 0..0x80 => out.push(u8::try_from(short).unwrap()),
        long @ 0x80..0x100 => out.extend([0x81, u8::try_from(long).unwrap()]),
        longer => {
            out.push(0x82);
            out.extend(u16::try_from(longer).unwrap().to_be_bytes());
        }
    }
    out.extend(content);
    out
}

/// An attribute: the content octets of its type, the identifier octet and content of its value.
pub(crate) fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&tlv(0x06, &[oid]), &tlv(tag, &[value])])
}

/// A relative name of these attributes, in the order given.
pub(crate) fn rdn(attributes: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x31, &[&attributes.concat()])
}

/// A name of these relative names, the most general first.
pub(crate) fn name(rdns: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &[&rdns.concat()])
}

/// A name with one attribute, a UTF8String.
pub(crate) fn common_name(value: &str) -> Vec<u8> {
    name(&[rdn(&[attribute(CN, UTF8, value.as_bytes())])])
}

/// An extension: the content octets of its OID and the DER of its value.
pub(crate) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    tlv(0x30, &[&tlv(0x06, &[oid]), critical, &tlv(0x04, &[value])])
}

/// A certificate field by field, each as finished DER; change what the test is about.
pub(crate) struct Forge {
    /// With its `[0]`, or empty for version 1.
    pub(crate) version: Vec<u8>,
    /// Content octets.
    pub(crate) serial: Vec<u8>,
    pub(crate) inner_algorithm: Vec<u8>,
    pub(crate) outer_algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) validity: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
    /// Appended within the signed part.
    pub(crate) tail: Vec<u8>,
}

impl Default for Forge {
    fn default() -> Self {
        Self {
            version: tlv(0xa0, &[&tlv(0x02, &[&[2]])]),
            serial: vec![0x11],
            inner_algorithm: tlv(0x30, &[ECDSA_SHA256]),
            outer_algorithm: tlv(0x30, &[ECDSA_SHA256]),
            issuer: common_name("Example CA"),
            validity: tlv(
                0x30,
                &[&tlv(0x17, &[b"200101000000Z"]), &tlv(0x18, &[b"20991231235959Z"])],
            ),
            subject: common_name("alice"),
            extensions: Vec::new(),
            tail: Vec::new(),
        }
    }
}

impl Forge {
    /// The certificate for this key, signed by it.
    pub(crate) fn der(&self, key: &KeyPair) -> Vec<u8> {
        let extensions = match &*self.extensions {
            [] => Vec::new(),
            some => tlv(0xa3, &[&tlv(0x30, &[&some.concat()])]),
        };
        let signed = tlv(
            0x30,
            &[
                &self.version,
                &tlv(0x02, &[&self.serial]),
                &self.inner_algorithm,
                &self.issuer,
                &self.validity,
                &self.subject,
                &key.subject_public_key_info(),
                &extensions,
                &self.tail,
            ],
        );
        let signature = key.sign(&signed).unwrap();
        tlv(0x30, &[&signed, &self.outer_algorithm, &tlv(0x03, &[&[0], &signature])])
    }
}

/// Content octets of attribute types.
pub(crate) const CN: &[u8] = &[0x55, 0x04, 3];
pub(crate) const SURNAME: &[u8] = &[0x55, 0x04, 4];
pub(crate) const C: &[u8] = &[0x55, 0x04, 6];
pub(crate) const O: &[u8] = &[0x55, 0x04, 10];
pub(crate) const OU: &[u8] = &[0x55, 0x04, 11];
pub(crate) const DC: &[u8] = b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x19";
pub(crate) const UID: &[u8] = b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x01";
pub(crate) const UNIQUE_IDENTIFIER: &[u8] = b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x2C";
pub(crate) const EMAIL: &[u8] = b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x01";
/// 1.2.3.4, which OpenSSL has no name for.
pub(crate) const UNKNOWN: &[u8] = &[0x2a, 0x03, 0x04];

/// Identifier octets of string types.
pub(crate) const UTF8: u8 = 0x0c;
pub(crate) const NUMERIC: u8 = 0x12;
pub(crate) const PRINTABLE: u8 = 0x13;
pub(crate) const T61: u8 = 0x14;
pub(crate) const IA5: u8 = 0x16;
pub(crate) const VISIBLE: u8 = 0x1a;
pub(crate) const UNIVERSAL: u8 = 0x1c;
pub(crate) const BMP: u8 = 0x1e;

/// ecdsa-with-SHA256, RFC 5758.
const ECDSA_SHA256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
