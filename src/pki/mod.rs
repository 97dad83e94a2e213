//! The vocabulary of the RFCs: serials, names, fingerprints, times and certificates, each a type
//! with one canonical form and one door.
//!
//! This room is pure: it must not read a clock, a file or a header, and it must never compare or
//! print by means of a library's `Display`, which is made for humans and is ambiguous.

mod attribute;
mod certificate;
mod chain;
pub(crate) mod crl;
mod der;
mod dn;
mod fingerprint;
#[cfg(test)]
#[expect(dead_code, reason = "the integration tests use the rest")]
pub(crate) mod forge;
mod identity;
mod names;
mod serial;
mod signature;
mod time;
mod usage;

pub use attribute::parse_oid;
pub use certificate::{
    BundleError, Certificate, CertificateError, MAX_BUNDLE_BYTES, MAX_CERTIFICATE_DER_BYTES,
    PemError, split_certificates,
};
pub use chain::{
    Chain, ChainError, Link, MAX_CHAIN_CERTIFICATES, StoreError, TrustStore, Validity,
};
pub use crl::{CrlError, ListFile, ReasonCode, RevocationList, Scope, SignedList, split_lists};
pub use der::DerError;
pub use dn::{
    AttributeType, DistinguishedName, DnError, Likeness, MAX_DN_ATTRIBUTES, MAX_DN_BYTES,
    SlashForm, name_likeness, text_likeness,
};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use identity::{Identity, Shows};
pub use names::{
    MAX_NAME_BYTES, NameError, SubjectAltNames, canonical_dns, canonical_email, canonical_upn,
    parse_dns, parse_email, parse_text, parse_upn, parse_uri,
};
pub use serial::{MAX_SERIAL_OCTETS, SerialError, SerialNumber};
pub use time::{TimeError, UnixTime};
pub use usage::{
    ANY_POLICY, ANY_PURPOSE, ExtendedKeyUsage, KEY_USAGES, PURPOSES, key_usage_bit,
    key_usage_names, purpose_text,
};
