//! What of a certificate a mapping hangs on.

use crate::directory::Kind;
use crate::pki::Certificate;
use crate::store::PatternText;

/// What of a certificate becomes a pattern.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Binding {
    /// This certificate only.
    #[default]
    Sha256,
    /// Its key.
    Spki,
    /// Its issuer and serial number.
    IssuerSerial,
    /// Its issuer and subject.
    IssuerSubject,
    /// Its subject, whoever issued it.
    Subject,
}

/// Why a certificate cannot be bound in that way.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// There is no subject.
    #[error("the certificate has no subject; choose another --by")]
    NoSubject,
    /// The serial is not one that matches.
    #[error(
        "the certificate's serial {serial} is zero, negative or longer than 20 octets (RFC 5280, \
         4.1.2.2), and such a serial matches nothing; choose another --by"
    )]
    OddSerial {
        /// As nginx prints it.
        serial: String,
    },
}

impl Binding {
    /// The kind of the mapping that this makes.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Sha256 => Kind::Sha256,
            Self::Spki => Kind::Spki,
            Self::IssuerSerial => Kind::IssuerSerial,
            Self::IssuerSubject => Kind::IssuerSubject,
            Self::Subject => Kind::Subject,
        }
    }

    /// The columns of this certificate.
    ///
    /// # Errors
    /// It has no subject, or a serial that never matches.
    pub fn pattern(self, certificate: &Certificate) -> Result<PatternText, BindingError> {
        let issuer = || Some(certificate.issuer.to_exact_text());
        let serial = || match certificate.serial.is_odd() {
            true => Err(BindingError::OddSerial { serial: certificate.serial.to_string() }),
            false => Ok(Some(certificate.serial.to_string())),
        };
        let subject = || match certificate.subject.is_empty() {
            true => Err(BindingError::NoSubject),
            false => Ok(Some(certificate.subject.to_exact_text())),
        };
        let none = PatternText::default();
        Ok(match self {
            Self::Sha256 => PatternText { sha256: Some(certificate.sha256.to_string()), ..none },
            Self::Spki => {
                PatternText { spki_sha256: Some(certificate.spki_sha256.to_string()), ..none }
            }
            Self::IssuerSerial => PatternText { issuer: issuer(), serial: serial()?, ..none },
            Self::IssuerSubject => PatternText { issuer: issuer(), subject: subject()?, ..none },
            Self::Subject => PatternText { subject: subject()?, ..none },
        })
    }
}
