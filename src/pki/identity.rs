//! The columns by which a presented certificate can be known.
//!
//! It holds values only and decides nothing: which of them count is the business of the directory.

use super::{
    Certificate, DistinguishedName, Fingerprint, SerialNumber, canonical_dns, canonical_email,
    canonical_upn,
};

/// What the input can show at all, so that an absent value can be told from an invisible one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// A whole certificate: an absent value is known to be absent.
    Certificate,
    /// Serial and names as text headers only: every other column is invisible, and so is each of
    /// these whose header is absent.
    Headers,
    /// What a row tells of a certificate that is not at hand: every column that is not set is
    /// invisible. No request shows this.
    Parts,
}

/// What was presented, in the canonical form of each column.
///
/// An absent value never makes a mapping agree. Values are read from a certificate, or from
/// headers that were parsed strictly; nothing here is matched as free text.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Whether absence here means "not in the certificate" or "not visible".
    pub shows: Shows,
    /// SHA-256 over the whole DER.
    pub sha256: Option<Fingerprint>,
    /// SHA-256 over the DER of the subjectPublicKeyInfo.
    pub spki_sha256: Option<Fingerprint>,
    /// The issuer's name, RFC 5280 4.1.2.4.
    pub issuer: Option<DistinguishedName>,
    /// keyIdentifier of the authorityKeyIdentifier, RFC 5280 4.2.1.1.
    pub issuer_key_id: Option<Vec<u8>>,
    /// RFC 5280 4.1.2.2; odd ones never match a mapping.
    pub serial: Option<SerialNumber>,
    /// The subject's name, RFC 5280 4.1.2.6.
    pub subject: Option<DistinguishedName>,
    /// rfc822Name values, canonical.
    pub san_email: Vec<String>,
    /// userPrincipalName values, canonical.
    pub san_upn: Vec<String>,
    /// uniformResourceIdentifier values, exact.
    pub san_uri: Vec<String>,
    /// dNSName values, canonical; a wildcard is text like any other.
    pub san_dns: Vec<String>,
    /// The common name, only if there is exactly one.
    pub common_name: Option<String>,
}

impl Identity {
    /// The columns of a parsed certificate.
    #[must_use]
    pub fn from_certificate(certificate: &Certificate) -> Self {
        let san = &certificate.san;
        Self {
            shows: Shows::Certificate,
            sha256: Some(certificate.sha256),
            spki_sha256: Some(certificate.spki_sha256),
            issuer: Some(certificate.issuer.clone()),
            issuer_key_id: certificate.authority_key_id.clone(),
            serial: Some(certificate.serial.clone()),
            subject: Some(certificate.subject.clone()),
            san_email: san.email.iter().map(|name| canonical_email(name)).collect(),
            san_upn: san.upn.iter().map(|name| canonical_upn(name)).collect(),
            san_uri: san.uri.clone(),
            san_dns: san.dns.iter().map(|name| canonical_dns(name)).collect(),
            common_name: certificate.common_name.clone(),
        }
    }

    /// The columns that text headers can show; each is absent where its header was.
    #[must_use]
    pub fn from_headers(
        serial: Option<SerialNumber>,
        subject: Option<DistinguishedName>,
        issuer: Option<DistinguishedName>,
    ) -> Self {
        let common_name = subject.as_ref().and_then(DistinguishedName::common_name);
        Self {
            shows: Shows::Headers,
            sha256: None,
            spki_sha256: None,
            issuer,
            issuer_key_id: None,
            serial,
            subject,
            san_email: Vec::new(),
            san_upn: Vec::new(),
            san_uri: Vec::new(),
            san_dns: Vec::new(),
            common_name,
        }
    }
}
