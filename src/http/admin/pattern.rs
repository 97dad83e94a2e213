//! Which certificates a mapping or a block is about: columns, or a certificate to take them from.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;
use crate::directory::{Agreement, Pattern, parse_pattern};
use crate::operator::{Authority, Binding, BindingError};
use crate::pki::{Certificate, DistinguishedName, Identity, SlashForm};
use crate::store::PatternText;

/// The columns that are looked at; null is not.
#[derive(Serialize, ToSchema)]
pub(super) struct Columns {
    /// SHA-256 of the certificate.
    sha256: Option<String>,
    /// SHA-256 of the public key.
    spki_sha256: Option<String>,
    /// The issuer's DN.
    issuer: Option<String>,
    /// The issuer's key identifier.
    issuer_key_id: Option<String>,
    /// Hexadecimal.
    serial: Option<String>,
    /// The subject's DN.
    subject: Option<String>,
    san_email: Option<String>,
    san_upn: Option<String>,
    san_uri: Option<String>,
    san_dns: Option<String>,
    /// The common name, if the certificate has exactly one.
    common_name: Option<String>,
}

impl From<PatternText> for Columns {
    fn from(text: PatternText) -> Self {
        Self {
            sha256: text.sha256,
            spki_sha256: text.spki_sha256,
            issuer: text.issuer,
            issuer_key_id: text.issuer_key_id,
            serial: text.serial,
            subject: text.subject,
            san_email: text.san_email,
            san_upn: text.san_upn,
            san_uri: text.san_uri,
            san_dns: text.san_dns,
            common_name: text.common_name,
        }
    }
}

/// Which certificates: columns, or a certificate to take them from, or both, which must agree.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Pattern)]
pub(super) struct Wanted {
    /// A certificate, PEM.
    certificate: Option<String>,
    /// What of the certificate counts; sha256 if absent.
    by: Option<By>,
    sha256: Option<String>,
    spki_sha256: Option<String>,
    issuer: Option<String>,
    issuer_key_id: Option<String>,
    serial: Option<String>,
    subject: Option<String>,
    san_email: Option<String>,
    san_upn: Option<String>,
    san_uri: Option<String>,
    san_dns: Option<String>,
    common_name: Option<String>,
}

/// What of a certificate becomes the pattern.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    /// This certificate only.
    #[default]
    Sha256,
    /// Its key: a renewal with the same key still matches.
    Spki,
    /// Its issuer and serial number.
    IssuerSerial,
    /// Its issuer and subject.
    IssuerSubject,
    /// Its subject, whoever issued it.
    Subject,
}

/// A pattern that can be read back.
pub(super) struct Chosen {
    pub(super) text: PatternText,
    pub(super) pattern: Pattern,
    pub(super) certificate: Option<Certificate>,
}

impl Wanted {
    /// Reads it by the code that reads rows.
    ///
    /// # Errors
    /// 422 for a value that no row could hold, none at all, or one that the certificate contradicts.
    pub(super) fn read(self) -> Result<Chosen, Problem> {
        let certificate = self.certificate.as_deref().map(read_certificate).transpose()?;
        let taken = match &certificate {
            Some(certificate) => Binding::from(self.by.unwrap_or_default()).pattern(certificate)?,
            None if self.by.is_some() => {
                return Err(Problem::refused("bad_value", "by: there is no certificate to take"));
            }
            None => PatternText::default(),
        };
        let text = PatternText {
            sha256: self.sha256.or(taken.sha256),
            spki_sha256: self.spki_sha256.or(taken.spki_sha256),
            issuer: self.issuer.or(taken.issuer),
            issuer_key_id: self.issuer_key_id.or(taken.issuer_key_id),
            serial: self.serial.or(taken.serial),
            subject: self.subject.or(taken.subject),
            san_email: self.san_email.or(taken.san_email),
            san_upn: self.san_upn.or(taken.san_upn),
            san_uri: self.san_uri.or(taken.san_uri),
            san_dns: self.san_dns.or(taken.san_dns),
            common_name: self.common_name.or(taken.common_name),
        };
        let pattern = parse_pattern(&text.row())
            .map_err(|error| Problem::refused("bad_value", error.to_string()))?;
        if pattern.is_empty() {
            return Err(Problem::refused("bad_value", "name a certificate, or columns of one"));
        }
        if let Some(certificate) = &certificate {
            check_agreement(&pattern, certificate)?;
        }
        Ok(Chosen { text, pattern, certificate })
    }
}

/// Reads one certificate, PEM.
///
/// # Errors
/// 422.
pub(super) fn read_certificate(pem: &str) -> Result<Certificate, Problem> {
    Certificate::from_pem(pem.as_bytes())
        .map_err(|error| Problem::refused("bad_certificate", format!("certificate: {error}")))
}

/// A CA: by its certificate, which tells its key too, or by its name alone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ca {
    /// PEM.
    certificate: Option<String>,
    /// Its DN.
    name: Option<String>,
}

impl Ca {
    /// Reads it.
    ///
    /// # Errors
    /// 422 for neither or both, for what cannot be read, and for a certificate that is no CA's.
    pub(super) fn read(self) -> Result<Authority, Problem> {
        match (self.certificate, self.name) {
            (Some(pem), None) => {
                let certificate = read_certificate(&pem)?;
                if !certificate.is_ca {
                    return Err(Problem::refused(
                        "bad_certificate",
                        "this is no certificate of a CA",
                    ));
                }
                Ok(Authority::of(&certificate))
            }
            (None, Some(name)) => {
                let name = DistinguishedName::parse(&name, SlashForm::Accept);
                let name =
                    name.map_err(|error| Problem::refused("bad_value", format!("name: {error}")))?;
                Ok(Authority { name, key_id: None })
            }
            _ => Err(Problem::refused("bad_value", "name a CA by its certificate or by its name")),
        }
    }
}

impl From<By> for Binding {
    fn from(by: By) -> Self {
        match by {
            By::Sha256 => Self::Sha256,
            By::Spki => Self::Spki,
            By::IssuerSerial => Self::IssuerSerial,
            By::IssuerSubject => Self::IssuerSubject,
            By::Subject => Self::Subject,
        }
    }
}

impl From<BindingError> for Problem {
    fn from(error: BindingError) -> Self {
        Self::refused("bad_certificate", error.to_string())
    }
}

/// A pattern made from a certificate has to match it.
fn check_agreement(pattern: &Pattern, certificate: &Certificate) -> Result<(), Problem> {
    let identity = Identity::from_certificate(certificate);
    let differing: Vec<_> = pattern
        .columns()
        .filter(|(column, value)| value.compare(*column, &identity) != Agreement::Same)
        .map(|(column, _)| column.name())
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    let why = format!(
        "this would not match the certificate, which says otherwise, or nothing, of: {}",
        differing.join(", ")
    );
    Err(Problem::refused("bad_value", why))
}
