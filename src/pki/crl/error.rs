//! Why a list does not count.

use crate::pki::{DerError, DnError, UnixTime};

/// Why bytes are not a list that can be relied on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// The signed part names another algorithm than the signature (5.1.1.2).
    #[error("the two signature algorithms differ")]
    AlgorithmMismatch,
    /// A list about attribute certificates (5.2.5).
    #[error("the list is about attribute certificates")]
    AttributeCertificates,
    /// A delta that does not say where it stands (5.2.4).
    #[error("this is a delta CRL without a cRLNumber")]
    DeltaWithoutNumber,
    /// Not strict DER, or not the structure of a list.
    #[error("not a CRL in DER: {0}")]
    Der(#[from] DerError),
    /// An extension is there twice.
    #[error("an extension is there twice")]
    DuplicateExtension,
    /// The issuer has no name (5.1.2.3).
    #[error("the issuer's name is empty")]
    EmptyIssuer,
    /// An extension whose content is not what its definition says.
    #[error("the extension {oid} does not parse")]
    Extension {
        /// Dotted.
        oid: String,
    },
    /// Extensions in version 1 (5.1.2.1).
    #[error("version 1 has no extensions, and this list has some")]
    FieldsOfOtherVersion,
    /// thisUpdate has not come.
    #[error("the list is from the future ({this_update}): check the clocks")]
    FromTheFuture {
        /// When it is from.
        this_update: UnixTime,
    },
    /// A list about certificates of other issuers too (5.2.5, 5.3.3).
    #[error("this is an indirect CRL, which is not supported")]
    Indirect,
    /// The key that signed it may not sign lists (4.2.1.3).
    #[error(
        "the issuer's certificate is no CA's, or does not allow its key to sign CRLs (cRLSign)"
    )]
    IssuerMayNotSign,
    /// The issuer's name.
    #[error("the issuer's name: {0}")]
    Name(#[from] DnError),
    /// No certificate of an issuer of that name is known.
    #[error(
        "no certificate of its issuer is known: name it in trust.anchors or trust.intermediates, \
         or put it beside the CRL"
    )]
    NoIssuer,
    /// Without nextUpdate (5.1.2.5) nobody could tell a current list from an old one.
    #[error("the list does not say when the next one comes (nextUpdate)")]
    NoNextUpdate,
    /// A list about a part of the certificates, by distribution point (5.2.5).
    #[error("this CRL is partitioned by distribution point, which is not supported")]
    Partitioned,
    /// Of another key, or changed since.
    #[error("the signature is of none of the issuer's keys that are known")]
    Signature,
    /// A list about some reasons only (5.2.5).
    #[error("the list is about some reasons only, which is not supported")]
    SomeReasons,
    /// A time that does not exist, or nextUpdate before thisUpdate.
    #[error("a time in the list is not one")]
    Time,
    /// A critical extension that is not understood (5.2: the list must not be used).
    #[error("the critical extension {oid} is not understood")]
    UnknownCriticalExtension {
        /// Dotted.
        oid: String,
    },
    /// SHA-1, RSA below 2048 bits and the like.
    #[error("the signature algorithm or the kind of key is not accepted")]
    UnsupportedAlgorithm,
    /// Neither version 1 nor 2.
    #[error("there is no such version of CRLs")]
    Version,
}

impl CrlError {
    /// The failure that tells more: any of a known issuer is more than "no issuer".
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::NoIssuer { other } else { self }
    }
}
