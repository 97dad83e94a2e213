//! Whose a certificate is by what it says, where an operator trusts its issuer to say so.

use crate::directory::{Name, NameError};
use crate::pki::Certificate;

/// Where a user's name comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameFrom {
    /// The only common name.
    CommonName,
    /// What stands before the `@` of the only e-mail address.
    SanEmailLocal,
    /// What stands before the `@` of the only user principal name.
    SanUpnLocal,
    /// The one user whose renewal it looks like.
    Renewal,
}

/// A name, and the domain that it stood before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// The user's name.
    pub username: String,
    /// In lower case; none of a common name.
    pub domain: Option<String>,
}

/// Why a certificate names nobody.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NamingError {
    /// What it says is no name of a user.
    #[error("{text:?} is no user's name: {why}")]
    NotAName {
        /// What it says.
        text: String,
        /// What is wrong.
        why: NameError,
    },
    /// It says nothing, or more than one thing.
    #[error("it does not have exactly one {what}")]
    NotOne {
        /// Of what.
        what: &'static str,
    },
    /// Nobody's certificate that is in force resembles it, or those of two people do.
    #[error("it looks like nobody's renewal, or like those of two people")]
    NotOneRenewal,
}

impl NameFrom {
    /// Whether it is one of a domain.
    pub(super) const fn has_domain(self) -> bool {
        matches!(self, Self::SanEmailLocal | Self::SanUpnLocal)
    }

    /// The name that a certificate gives; [`NameFrom::Renewal`] is not answered by itself.
    ///
    /// # Errors
    /// It gives none that can be used.
    pub fn read(self, certificate: &Certificate) -> Result<Named, NamingError> {
        let san = &certificate.san;
        let (text, domain) = match self {
            Self::CommonName => {
                let name = certificate.common_name.clone();
                (name.ok_or(NamingError::NotOne { what: "common name" })?, None)
            }
            Self::SanEmailLocal => local(&san.email, "e-mail address")?,
            Self::SanUpnLocal => local(&san.upn, "user principal name")?,
            Self::Renewal => return Err(NamingError::NotOneRenewal),
        };
        match Name::parse(text.as_bytes()) {
            Ok(name) => Ok(Named { username: name.to_string(), domain }),
            Err(why) => Err(NamingError::NotAName { text, why }),
        }
    }
}

fn local(names: &[String], what: &'static str) -> Result<(String, Option<String>), NamingError> {
    let error = || NamingError::NotOne { what };
    let [name] = names else { return Err(error()) };
    let (local, domain) = name.split_once('@').ok_or_else(error)?;
    if local.is_empty() || domain.is_empty() || domain.contains('@') {
        return Err(error());
    }
    Ok((local.to_owned(), Some(domain.to_ascii_lowercase())))
}
