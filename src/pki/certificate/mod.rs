//! Certificates, RFC 5280: parsed whole and strictly, or refused.
//!
//! Nothing here verifies a signature, looks at a clock or applies a policy.

mod bundle;
mod extensions;
mod pem;
#[cfg(test)]
mod tests;

use std::fmt;

use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

pub use self::bundle::{BundleError, MAX_BUNDLE_BYTES, split_certificates};
use self::extensions::{Extensions, RawExtension};
pub use self::pem::PemError;
pub(super) use self::pem::all as all_pem_blocks;
use super::der::{self, DerError, Reader, Tlv};
use super::{
    DistinguishedName, DnError, ExtendedKeyUsage, Fingerprint, NameError, SerialNumber,
    SubjectAltNames, UnixTime,
};

/// A certificate, owned and complete: one that exists has been parsed whole.
#[derive(Clone)]
#[non_exhaustive]
pub struct Certificate {
    /// SHA-256 of the DER.
    pub sha256: Fingerprint,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub spki_sha256: Fingerprint,
    /// RFC 5280 4.1.2.2; identifies only together with the issuer.
    pub serial: SerialNumber,
    /// RFC 5280 4.1.2.4; not empty.
    pub issuer: DistinguishedName,
    /// RFC 5280 4.1.2.6; empty if the names are in the SAN alone.
    pub subject: DistinguishedName,
    /// The first second of validity.
    pub not_before: UnixTime,
    /// The last second of validity, inclusive (RFC 5280 4.1.2.5).
    pub not_after: UnixTime,
    /// See [`DistinguishedName::common_name`].
    pub common_name: Option<String>,
    /// Empty if there is no such extension.
    pub san: SubjectAltNames,
    /// The issuer's key identifier, as this certificate's issuer claims it (4.2.1.1).
    pub authority_key_id: Option<Vec<u8>>,
    /// This key's identifier (4.2.1.2).
    pub subject_key_id: Option<Vec<u8>>,
    /// `cA` of the basic constraints (4.2.1.9).
    pub is_ca: bool,
    /// How many CAs may follow below this one (4.2.1.9); none means any number.
    pub path_length: Option<u32>,
    /// The DER of the name constraints (4.2.1.10).
    pub name_constraints: Option<Box<[u8]>>,
    /// The bits of the key usage (4.2.1.3): bit 0 of the extension is the lowest one here.
    pub key_usage: Option<u16>,
    /// The extended key usage (4.2.1.12).
    pub usage: ExtendedKeyUsage,
    /// Policy identifiers (4.2.1.4), dotted.
    pub policies: Vec<String>,
    /// The certificate itself.
    pub der: Box<[u8]>,
}

impl Certificate {
    /// Reads exactly one certificate of strict DER with nothing after it.
    ///
    /// An extension that does not parse makes the certificate malformed: a name or a constraint
    /// must not vanish because it is broken.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_DER_BYTES {
            return Err(CertificateError::TooLarge { bytes: der.len() });
        }
        der::check(der)?;
        let fields = Fields::read(der)?;
        let extensions = Extensions::read(&fields.extensions)?;
        let subject = DistinguishedName::from_der(fields.subject)?;
        let issuer = DistinguishedName::from_der(fields.issuer)?;
        if issuer.is_empty() {
            return Err(CertificateError::EmptyIssuer);
        }
        check_with_library(der, fields.extensions.len())?;
        Ok(Self {
            sha256: Fingerprint::of(der),
            spki_sha256: Fingerprint::of(fields.spki),
            serial: SerialNumber::from_der(fields.serial),
            common_name: subject.common_name(),
            issuer,
            subject,
            not_before: fields.not_before,
            not_after: fields.not_after,
            san: extensions.san,
            authority_key_id: extensions.authority_key_id,
            subject_key_id: extensions.subject_key_id,
            is_ca: extensions.is_ca,
            path_length: extensions.path_length,
            name_constraints: extensions.name_constraints,
            key_usage: extensions.key_usage,
            usage: extensions.usage,
            policies: extensions.policies,
            der: der.into(),
        })
    }

    /// The DER of the subjectPublicKeyInfo (4.1.2.7).
    pub fn public_key_info(&self) -> &[u8] {
        // These bytes have been taken apart before, so that this does not fail.
        Fields::read(&self.der).map_or(&[], |fields| fields.spki)
    }

    /// Reads every certificate in a file that an operator names: one in DER, or any number in PEM.
    /// Blocks of other kinds beside them are passed over; one that does not parse refuses all.
    pub fn all_from_file_bytes(bytes: &[u8]) -> Result<Vec<Self>, CertificateError> {
        match pem::all(bytes, [CERTIFICATE_LABEL], &mut || {})? {
            Some([certificates]) => certificates.iter().map(|der| Self::from_der(der)).collect(),
            None => Ok(vec![Self::from_der(bytes)?]),
        }
    }

    /// Reads exactly one `CERTIFICATE` block, RFC 7468: nothing but white space around it,
    /// canonical base64 in it, white space of any kind between its characters.
    pub fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        Self::from_der(&pem::strict(text)?)
    }

    /// Reads a file that an operator names: DER, or PEM that holds exactly one certificate.
    ///
    /// Text around the block (as `openssl x509 -text` writes it) and blocks of other kinds beside
    /// it are passed over; several certificates are refused.
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Self, CertificateError> {
        match pem::from_file(bytes)? {
            Some(der) => Self::from_der(&der),
            None => Self::from_der(bytes),
        }
    }
}

/// Without the DER, which is long and has been taken apart.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("sha256", &self.sha256)
            .field("subject", &self.subject)
            .field("issuer", &self.issuer)
            .field("serial", &self.serial)
            .field("san", &self.san)
            .finish_non_exhaustive()
    }
}

impl Eq for Certificate {}

/// Two certificates are equal if their bytes are.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

/// Why bytes are not one certificate that can be relied on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The signed part names another signature algorithm than the signature (4.1.1.2).
    #[error("the two signature algorithms differ")]
    AlgorithmMismatch,
    /// Not strict DER, or not the structure of a certificate.
    #[error("not a certificate in DER: {0}")]
    Der(#[from] DerError),
    /// An extension is there twice (4.2).
    #[error("the extension {oid} is there twice")]
    DuplicateExtension {
        /// Dotted.
        oid: String,
    },
    /// The issuer has no name (4.1.2.4).
    #[error("the issuer's name is empty")]
    EmptyIssuer,
    /// An extension whose content is not what its definition says.
    #[error("the extension {oid} does not parse")]
    Extension {
        /// Dotted.
        oid: String,
    },
    /// Extensions or unique identifiers in a version that has none (4.1.2.1).
    #[error("the version of the certificate does not have the fields that are there")]
    FieldsOfOtherVersion,
    /// The library that reads X.509 refuses what passed our own checks.
    #[error("not a certificate")]
    Library,
    /// A subject's or issuer's name.
    #[error("a name in the certificate: {0}")]
    Name(#[from] DnError),
    /// Not exactly one PEM block of a certificate.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A subject alternative name with bytes that no such name has.
    #[error("a subject alternative name: {0}")]
    SubjectAltName(#[from] NameError),
    /// A time that does not exist.
    #[error("a time in the certificate is not one")]
    Time,
    /// Above [`MAX_CERTIFICATE_DER_BYTES`].
    #[error("a certificate has at most {MAX_CERTIFICATE_DER_BYTES} bytes, this one {bytes}")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// A critical extension that nobody here understands (4.2: it must be rejected).
    #[error("the critical extension {oid} is not understood")]
    UnknownCriticalExtension {
        /// Dotted.
        oid: String,
    },
    /// Neither version 1, 2 nor 3.
    #[error("there is no such version of certificates")]
    Version,
}

/// What a PEM block of a certificate is called.
const CERTIFICATE_LABEL: &[u8] = b"CERTIFICATE";
/// Bytes of DER: real client certificates have 1 to 4 KiB; far above that is an attack.
pub const MAX_CERTIFICATE_DER_BYTES: usize = 32 * 1024;

/// The fields of a TBSCertificate, each with its raw bytes.
struct Fields<'a> {
    serial: &'a [u8],
    issuer: &'a [u8],
    not_before: UnixTime,
    not_after: UnixTime,
    subject: &'a [u8],
    spki: &'a [u8],
    extensions: Vec<RawExtension<'a>>,
}

impl<'a> Fields<'a> {
    /// Walks RFC 5280 4.1 with nothing left over anywhere.
    fn read(der: &'a [u8]) -> Result<Self, CertificateError> {
        let mut certificate = der::single(der, der::SEQUENCE)?.reader();
        let mut tbs = certificate.expect(der::SEQUENCE)?.reader();
        let outer_algorithm = algorithm(&mut certificate)?;
        octets(&mut certificate)?;
        certificate.finish()?;

        let version = version(&mut tbs)?;
        let serial = tbs.expect(der::INTEGER)?.content;
        if algorithm(&mut tbs)? != outer_algorithm {
            return Err(CertificateError::AlgorithmMismatch);
        }
        let issuer = tbs.expect(der::SEQUENCE)?.raw;
        let mut validity = tbs.expect(der::SEQUENCE)?.reader();
        let not_before = time(validity.any()?)?;
        let not_after = time(validity.any()?)?;
        validity.finish()?;
        let subject = tbs.expect(der::SEQUENCE)?.raw;
        let spki = tbs.expect(der::SEQUENCE)?;
        let mut key = spki.reader();
        algorithm(&mut key)?;
        octets(&mut key)?;
        key.finish()?;

        for identifier in [ISSUER_UNIQUE_ID, SUBJECT_UNIQUE_ID] {
            if tbs.optional(identifier)?.is_some() && version == V1 {
                return Err(CertificateError::FieldsOfOtherVersion);
            }
        }
        let extensions = match tbs.optional(EXTENSIONS)? {
            Some(_) if version != V3 => return Err(CertificateError::FieldsOfOtherVersion),
            Some(explicit) => extensions::list(explicit)?,
            None => Vec::new(),
        };
        tbs.finish()?;
        let spki = spki.raw;
        Ok(Self { serial, issuer, not_before, not_after, subject, spki, extensions })
    }
}

fn version(tbs: &mut Reader<'_>) -> Result<u8, CertificateError> {
    let Some(explicit) = tbs.optional(VERSION)? else {
        return Ok(V1);
    };
    match der::single(explicit.content, der::INTEGER)?.content {
        [version @ V1..=V3] => Ok(*version),
        _ => Err(CertificateError::Version),
    }
}

/// An AlgorithmIdentifier: an OID and at most one value.
fn algorithm<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], CertificateError> {
    let algorithm = reader.expect(der::SEQUENCE)?;
    let mut fields = algorithm.reader();
    fields.expect(der::OBJECT_IDENTIFIER)?;
    if !fields.is_empty() {
        fields.any()?;
    }
    fields.finish()?;
    Ok(algorithm.raw)
}

/// A BIT STRING of whole octets: a key or a signature.
fn octets(reader: &mut Reader<'_>) -> Result<(), CertificateError> {
    match der::bit_string(reader.expect(der::BIT_STRING)?.content) {
        Some((_, 0)) => Ok(()),
        _ => Err(DerError::Content { tag: der::BIT_STRING }.into()),
    }
}

fn time(value: Tlv<'_>) -> Result<UnixTime, CertificateError> {
    der::time(value).ok_or(CertificateError::Time)
}

/// A second opinion: the library must read the same bytes to their end, and every extension that
/// it knows. A critical one must be known to it.
fn check_with_library(der: &[u8], extensions: usize) -> Result<(), CertificateError> {
    let (rest, certificate) =
        X509Certificate::from_der(der).map_err(|_| CertificateError::Library)?;
    if !rest.is_empty() {
        return Err(CertificateError::Library);
    }
    if certificate.extensions().len() != extensions {
        return Err(CertificateError::Library);
    }
    for extension in certificate.extensions() {
        let oid = || extension.oid.to_id_string();
        match extension.parsed_extension() {
            ParsedExtension::ParseError { .. } | ParsedExtension::Unparsed => {
                return Err(CertificateError::Extension { oid: oid() });
            }
            ParsedExtension::UnsupportedExtension { .. } if extension.critical => {
                return Err(CertificateError::UnknownCriticalExtension { oid: oid() });
            }
            _ => {}
        }
    }
    Ok(())
}

const V1: u8 = 0;
const V3: u8 = 2;
/// Context-specific identifier octets of the TBSCertificate, RFC 5280 4.1.
const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;
