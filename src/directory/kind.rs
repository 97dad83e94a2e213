//! What a mapping hangs on, strongest first.

use super::pattern::Column;

/// The first of a mapping's columns in the order of strength; its other columns only narrow.
///
/// The first three are *strong*: each names one certificate, one key, or one certificate of one
/// CA. The rest are *weak*: whoever issues names can issue them again, so they count only if the
/// operator's `identity.weak` says so.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum Kind {
    /// `sha256`
    Sha256,
    /// `spki_sha256`
    Spki,
    /// `issuer` and `serial`
    IssuerSerial,
    /// `issuer` and `subject`
    IssuerSubject,
    /// `subject` without an issuer
    Subject,
    /// `san_email`
    SanEmail,
    /// `san_upn`
    SanUpn,
    /// `san_uri`
    SanUri,
    /// `san_dns`
    SanDns,
    /// `common_name`
    CommonName,
    /// `serial` without an issuer
    Serial,
}

impl Kind {
    /// Every kind, strongest first.
    pub const ALL: [Self; 11] = [
        Self::Sha256,
        Self::Spki,
        Self::IssuerSerial,
        Self::IssuerSubject,
        Self::Subject,
        Self::SanEmail,
        Self::SanUpn,
        Self::SanUri,
        Self::SanDns,
        Self::CommonName,
        Self::Serial,
    ];

    /// The name in configuration, JSON and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Spki => "spki",
            Self::IssuerSerial => "issuer_serial",
            Self::IssuerSubject => "issuer_subject",
            Self::Subject => "subject",
            Self::SanEmail => "san_email",
            Self::SanUpn => "san_upn",
            Self::SanUri => "san_uri",
            Self::SanDns => "san_dns",
            Self::CommonName => "common_name",
            Self::Serial => "serial",
        }
    }

    /// The kind of that name; none for any other text.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it names one certificate, one key, or one certificate of one CA.
    #[must_use]
    pub fn is_strong(self) -> bool {
        self <= Self::IssuerSerial
    }

    /// The columns that must be set for a pattern to be of this kind.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Sha256 => &[Column::Sha256],
            Self::Spki => &[Column::SpkiSha256],
            Self::IssuerSerial => &[Column::Issuer, Column::Serial],
            Self::IssuerSubject => &[Column::Issuer, Column::Subject],
            Self::Subject => &[Column::Subject],
            Self::SanEmail => &[Column::SanEmail],
            Self::SanUpn => &[Column::SanUpn],
            Self::SanUri => &[Column::SanUri],
            Self::SanDns => &[Column::SanDns],
            Self::CommonName => &[Column::CommonName],
            Self::Serial => &[Column::Serial],
        }
    }
}

/// The kinds that may match: the strong ones, and the weak ones that the operator named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u16);

impl Kinds {
    /// The strong kinds and these weak ones (`identity.weak`).
    #[must_use]
    pub fn with_weak(weak: &[Kind]) -> Self {
        let strong = Kind::ALL.into_iter().filter(|kind| kind.is_strong());
        Self(strong.chain(weak.iter().copied()).fold(0, |bits, kind| bits | bit(kind)))
    }

    /// Whether mappings of this kind may match.
    #[must_use]
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }
}

fn bit(kind: Kind) -> u16 {
    1 << (kind as u16)
}

#[cfg(test)]
mod tests {
    use super::{Kind, Kinds};

    #[test]
    fn three_kinds_are_strong_and_always_on() {
        let strong: Vec<_> = Kind::ALL.into_iter().filter(|kind| kind.is_strong()).collect();
        assert_eq!(strong, [Kind::Sha256, Kind::Spki, Kind::IssuerSerial]);
        let kinds = Kinds::with_weak(&[Kind::Subject]);
        for kind in Kind::ALL {
            assert_eq!(kinds.contains(kind), kind.is_strong() || kind == Kind::Subject, "{kind:?}");
        }
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_name("sha1"), None);
    }
}
