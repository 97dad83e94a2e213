//! Why there is no chain, or no store.

/// Why there is no chain that counts.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A CA's key may not sign certificates (keyCertSign, 4.2.1.3).
    #[error("{subject} may not sign certificates (keyCertSign)")]
    AuthorityMayNotSign {
        /// The CA.
        subject: String,
    },
    /// An anchor past its validity, or before it: webpki takes anchors as they are.
    #[error("the anchor {subject} is not valid at this time")]
    AnchorNotValid {
        /// The anchor.
        subject: String,
    },
    /// More CAs below the anchor than it allows (4.2.1.9).
    #[error("{subject} allows fewer CAs below it")]
    AnchorPathLength {
        /// The anchor.
        subject: String,
    },
    /// A CA may vouch for some mail domains only, and a subject below it has an `emailAddress`,
    /// which RFC 5280 4.2.1.10 puts under that constraint and webpki does not look at.
    #[error("{subject} constrains mail domains, and a subject below it holds an emailAddress")]
    EmailConstraint {
        /// The CA.
        subject: String,
    },
    /// webpki's own reason.
    #[error("{0}")]
    Path(String),
    /// There is nothing to trust.
    #[error("trust.anchors is empty")]
    NoAnchors,
    /// A constraint that does not parse.
    #[error("the name constraints of {subject} do not parse")]
    NameConstraints {
        /// The CA.
        subject: String,
    },
}

impl From<webpki::Error> for ChainError {
    fn from(error: webpki::Error) -> Self {
        use webpki::Error;
        Self::Path(match error {
            Error::UnknownIssuer => "no chain leads to a trusted anchor".to_owned(),
            Error::CertExpired { .. } => "a certificate in the chain has expired".to_owned(),
            Error::CertNotValidYet { .. } => {
                "a certificate in the chain is not yet valid".to_owned()
            }
            Error::EndEntityUsedAsCa => "a certificate in between is no CA's".to_owned(),
            Error::NameConstraintViolation => {
                "a name breaks the constraints of a CA, or they are of a kind that is not judged"
                    .to_owned()
            }
            Error::PathLenConstraintViolated => {
                "more CAs in a row than one of them allows".to_owned()
            }
            Error::UnsupportedCriticalExtension => {
                "a critical extension in the chain is not understood".to_owned()
            }
            Error::RequiredEkuNotFoundContext(_) => "a CA may not issue for clients".to_owned(),
            other => other.to_string(),
        })
    }
}

/// Why certificates make no store.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// webpki cannot use it as an anchor.
    #[error("cannot be used as an anchor: {0}")]
    Anchor(webpki::Error),
    /// Not a CA's, by its basic constraints or key usage (4.2.1.9, 4.2.1.3).
    #[error("{subject} is no CA: its certificate does not say CA:TRUE, or not keyCertSign")]
    NoAuthority {
        /// Whose certificate it is.
        subject: String,
    },
}
