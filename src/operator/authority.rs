//! A CA as an operator names it.

use crate::directory::{Column, Pattern, PatternValue};
use crate::pki::{Certificate, DistinguishedName};

/// A CA: its name, and which key of that name, where that is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authority {
    /// Its name.
    pub name: DistinguishedName,
    /// Its key identifier; none: any key of that name.
    pub key_id: Option<Vec<u8>>,
}

impl Authority {
    /// The CA whose own certificate this is.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        Self { name: certificate.subject.clone(), key_id: certificate.subject_key_id.clone() }
    }

    /// Whether it issued the certificate. One that does not say by which key was issued by no
    /// particular one.
    #[must_use]
    pub fn issued(&self, certificate: &Certificate) -> bool {
        if certificate.issuer != self.name || certificate.issuer.has_control_character() {
            return false;
        }
        self.key_id.is_none() || certificate.authority_key_id == self.key_id
    }

    /// Whether a pattern is bound to this CA, by its name, its key or both.
    pub(super) fn is_pinned_by(&self, pattern: &Pattern) -> bool {
        let name = match pattern.value(Column::Issuer) {
            Some(PatternValue::Name(name)) => Some(&**name == self.name.canonical()),
            _ => None,
        };
        let key = match (pattern.value(Column::IssuerKeyId), &self.key_id) {
            (None, _) => None,
            (Some(PatternValue::KeyId(key)), Some(own)) => Some(**key == **own),
            // Any key of that name; without the name it can be anybody's.
            (Some(PatternValue::KeyId(_)), None) => Some(name == Some(true)),
            (Some(_), _) => Some(false),
        };
        match (name, key) {
            (None, None) => false,
            (name, key) => name.unwrap_or(true) && key.unwrap_or(true),
        }
    }
}
