//! One certificate's mapping is revoked: from then on nobody comes in by it, whatever else matches.

use crate::directory::{Kind, parse_pattern};
use crate::store::{StoreError, Work};

/// Why a mapping is not revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// It stands for every certificate of a name or a key.
    #[error(
        "mapping {id} is not bound to one certificate{}; to refuse the certificate that is meant \
         use `certgate certificate block FILE`, to refuse them all `certgate mapping disable {id}`",
        kind.map(|kind| format!(" (its kind is {kind})")).unwrap_or_default()
    )]
    NotOneCertificate {
        /// The mapping.
        id: i64,
        /// Its kind; none if it cannot be read.
        kind: Option<&'static str>,
    },
    /// A database that did not answer, or no such mapping.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Revokes a mapping that is bound to one certificate: from `at` on, or at once.
///
/// # Errors
/// Nothing was changed.
pub async fn revoke_mapping(
    work: &mut Work,
    id: i64,
    reason: Option<&str>,
    at: Option<&str>,
) -> Result<(), RevokeError> {
    let mapping = work.mapping_show(id).await?;
    let kind = parse_pattern(&mapping.pattern.row()).ok().and_then(|pattern| pattern.kind());
    match kind {
        Some(Kind::Sha256 | Kind::IssuerSerial) => Ok(work.mapping_revoke(id, reason, at).await?),
        kind => Err(RevokeError::NotOneCertificate { id, kind: kind.map(Kind::name) }),
    }
}
