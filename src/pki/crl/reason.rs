//! The reasons in a list. They are for people: every one of them keeps out.

/// Why a certificate is on a list, 5.3.1. Every one of them, hold among them, keeps out.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ReasonCode {
    /// No reason is given, or "unspecified".
    Unspecified,
    /// keyCompromise.
    KeyCompromise,
    /// cACompromise.
    CaCompromise,
    /// affiliationChanged.
    AffiliationChanged,
    /// superseded.
    Superseded,
    /// cessationOfOperation.
    CessationOfOperation,
    /// certificateHold: revoked as long as it is listed.
    CertificateHold,
    /// removeFromCRL: in a complete list, where it has no meaning, the certificate is still listed
    /// and revoked. In a delta it revokes nothing, and takes nothing back either: that waits for
    /// the next complete list.
    RemoveFromCrl,
    /// privilegeWithdrawn.
    PrivilegeWithdrawn,
    /// aACompromise.
    AaCompromise,
}

impl ReasonCode {
    /// The name in RFC 5280.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::RemoveFromCrl => "removeFromCRL",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
        }
    }
}
