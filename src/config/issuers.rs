//! `identity.issuers`: each entry is a DN or the PEM file of a CA.

use std::path::PathBuf;

use super::problem::Fault;

/// One allowed issuer, as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IssuerText {
    /// A DN in one of the forms that certgate reads.
    DistinguishedName(String),
    /// The CA's own certificate: name and key must agree.
    File(PathBuf),
}

impl IssuerText {
    /// Reads one entry. A DN holds `=`; a path holds none, or begins with `file:`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.chars().any(char::is_control) {
            return Err(Fault::new(format!("{text:?} holds a control character"), ""));
        }
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(PathBuf::from(path)));
        }
        if text.contains('=') {
            return Ok(Self::DistinguishedName(text.to_owned()));
        }
        Ok(Self::File(PathBuf::from(text)))
    }
}

/// Whether the entry can be used: a file must be readable. What is inside is read by the room that
/// knows certificates.
pub(super) fn check(issuer: &IssuerText) -> Result<(), Fault> {
    match issuer {
        IssuerText::DistinguishedName(_) => Ok(()),
        IssuerText::File(path) => std::fs::File::open(path).map(|_| ()).map_err(|error| {
            Fault::new(
                format!("{}: {error}", path.display()),
                "write a DN, as CN=Example CA,O=Example,C=FR, or the path of the CA's PEM file",
            )
        }),
    }
}
