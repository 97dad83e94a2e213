//! From headers to what was presented, for proxies that speak as nginx does.

use std::sync::Arc;

use super::fields::{Fields, HeaderNames, Headers};
use super::memory::Memory;
use super::percent::percent_decode_strict;
use super::verify::{Failure, VerifyResult};
use crate::pki::{
    Certificate, CertificateError, DistinguishedName, Identity, SerialNumber, SlashForm,
};
use crate::reason::DenyReason;

/// Where an identity is read from (`identity.source`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the certificate; serial and name headers, if sent, must agree with it.
    Certificate,
    /// From the serial and name headers alone. Expiry, usage and CRLs cannot be checked.
    Headers,
}

/// What was presented.
#[derive(Clone, Debug)]
pub enum Presented {
    /// No certificate at all.
    Nobody,
    /// A certificate that the proxy verified.
    Certificate(Arc<Shown>),
    /// Text of a certificate that the proxy verified.
    Headers(Box<Identity>),
}

/// A certificate with what is asked of it again and again.
#[derive(Debug)]
pub struct Shown {
    /// The certificate.
    pub certificate: Certificate,
    /// Its columns.
    pub identity: Identity,
    subject_text: String,
    issuer_text: String,
    serial_text: String,
}

impl Shown {
    /// The certificates that came with it, by the proxy's word, as DER; nobody has vouched for them.
    #[must_use]
    pub fn sent(&self) -> &[Box<[u8]>] {
        &[]
    }
}

impl From<Certificate> for Shown {
    fn from(certificate: Certificate) -> Self {
        Self {
            identity: Identity::from_certificate(&certificate),
            subject_text: certificate.subject.to_string(),
            issuer_text: certificate.issuer.to_string(),
            serial_text: certificate.serial.to_string(),
            certificate,
        }
    }
}

/// Reads the headers of one dialect.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Which headers carry what.
    pub names: HeaderNames,
    /// Where the identity comes from.
    pub source: Source,
    /// Whether a name header may have the slash form (`proxy.legacy_dn`).
    pub slash_form: SlashForm,
    /// Who says whether a chain leads to a trusted CA.
    pub chains: ChainsBy,
}

/// Who says whether a chain leads to a trusted CA (`trust.mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainsBy {
    /// The proxy: its "unknown issuer" denies.
    Proxy,
    /// We alone (`own`): its "unknown issuer" is no answer, and the decision verifies the chain.
    Us,
}

impl Reader {
    /// Reads what was presented.
    ///
    /// # Errors
    /// The reason to deny. Only an exact success of the proxy, and in certificate mode exactly one
    /// strict certificate with which every other header agrees, gets past.
    pub fn read(
        &self,
        headers: &impl Headers,
        memory: &mut Memory,
    ) -> Result<Presented, DenyReason> {
        let fields = Fields::collect(&self.names, headers)?;
        match VerifyResult::parse_nginx(fields.verify) {
            VerifyResult::Success => {}
            // Whom to trust is ours to say then; any other failure stays the proxy's word.
            VerifyResult::Failed(Failure::UnknownIssuer) if self.chains == ChainsBy::Us => {}
            VerifyResult::Absent if !fields.has_material() => return Ok(Presented::Nobody),
            VerifyResult::Absent => {
                self.parse_texts(&fields)?;
                return Err(DenyReason::NotVerified);
            }
            VerifyResult::Failed(failure) => {
                self.parse_texts(&fields)?;
                return Err(failure.reason());
            }
        }
        match self.source {
            Source::Certificate => self.read_certificate(&fields, memory),
            Source::Headers => {
                let (serial, subject, issuer) = self.parse_texts(&fields)?;
                let identity = Identity::from_headers(serial, subject, issuer);
                Ok(Presented::Headers(Box::new(identity)))
            }
        }
    }

    fn read_certificate(
        &self,
        fields: &Fields<'_>,
        memory: &mut Memory,
    ) -> Result<Presented, DenyReason> {
        let header = fields.certificate.ok_or(DenyReason::CertificateMalformed)?;
        let shown = memory.recall(header, parse_escaped_pem)?;
        if !self.agrees(fields, &shown)? {
            return Err(DenyReason::HeaderMismatch);
        }
        Ok(Presented::Certificate(shown))
    }

    /// Whether every serial or name header says what the certificate says. Equal text is the usual
    /// case; other spellings are compared as parsed.
    fn agrees(&self, fields: &Fields<'_>, shown: &Shown) -> Result<bool, DenyReason> {
        let is_text =
            |field: Option<&[u8]>, text: &str| field.is_none_or(|value| value == text.as_bytes());
        let serial_is_text = is_text(fields.serial, &shown.serial_text);
        let subject_is_text = is_text(fields.subject, &shown.subject_text);
        let issuer_is_text = is_text(fields.issuer, &shown.issuer_text);
        if serial_is_text && subject_is_text && issuer_is_text {
            return Ok(true);
        }
        let certificate = &shown.certificate;
        let (serial, subject, issuer) = self.parse_texts(&Fields {
            serial: fields.serial.filter(|_| !serial_is_text),
            subject: fields.subject.filter(|_| !subject_is_text),
            issuer: fields.issuer.filter(|_| !issuer_is_text),
            ..Fields::default()
        })?;
        Ok(serial.is_none_or(|serial| serial == certificate.serial)
            && subject.is_none_or(|subject| subject == certificate.subject)
            && issuer.is_none_or(|issuer| issuer == certificate.issuer))
    }

    /// Parses the serial and name headers that are there, strictly.
    fn parse_texts(&self, fields: &Fields<'_>) -> Result<Texts, DenyReason> {
        let serial = fields.serial.map(|text| {
            SerialNumber::parse(as_text(text)?).map_err(|_| DenyReason::MalformedHeader)
        });
        let name = |field: Option<&[u8]>| {
            field
                .map(|text| {
                    DistinguishedName::parse(as_text(text)?, self.slash_form)
                        .map_err(|_| DenyReason::MalformedHeader)
                })
                .transpose()
        };
        Ok((serial.transpose()?, name(fields.subject)?, name(fields.issuer)?))
    }
}

type Texts = (Option<SerialNumber>, Option<DistinguishedName>, Option<DistinguishedName>);

fn as_text(bytes: &[u8]) -> Result<&str, DenyReason> {
    std::str::from_utf8(bytes).map_err(|_| DenyReason::MalformedHeader)
}

/// Reads `$ssl_client_escaped_cert`: PEM, percent-encoded once.
/// <https://nginx.org/en/docs/http/ngx_http_ssl_module.html#var_ssl_client_escaped_cert>
fn parse_escaped_pem(header: &[u8]) -> Result<Shown, DenyReason> {
    let pem = percent_decode_strict(header).map_err(|_| DenyReason::MalformedHeader)?;
    match Certificate::from_pem(&pem) {
        Ok(certificate) => Ok(Shown::from(certificate)),
        Err(CertificateError::TooLarge { .. }) => Err(DenyReason::CertificateTooLarge),
        Err(_) => Err(DenyReason::CertificateMalformed),
    }
}
