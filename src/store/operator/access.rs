//! What is known of certificates, for a report of who has access.

use super::{Shown, about};
use crate::store::error::StoreError;
use crate::store::read::Readable;
use crate::store::work::{Work, act, on_side};

/// What a report tells of a certificate that was given or seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFacts {
    /// SHA-256 over the certificate.
    pub sha256: String,
    /// SHA-256 over its key.
    pub spki_sha256: String,
    /// Distinguished name of the issuer; none if it is too long for a text.
    pub issuer: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// When its validity ends, RFC 3339.
    pub not_after: Option<String>,
    /// When it last came with a request.
    pub last_seen: Option<String>,
    /// Whom it last let in.
    pub last_username: Option<String>,
}

impl Work {
    /// Every certificate that was given or seen.
    ///
    /// # Errors
    /// The role may not read them, or the database does not answer.
    pub async fn certificate_facts(&mut self) -> Result<Vec<CertificateFacts>, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let rows = sqlx::query(SELECT).persistent(false).fetch_all(&mut **side).await?;
                rows.iter().map(facts).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }
}

const SELECT: &str = "select sha256, spki_sha256, issuer, serial, not_after, last_seen, \
     last_username from certificate";

fn facts(row: &impl Readable) -> Result<CertificateFacts, sqlx::Error> {
    let mut row = Shown::from(row, 0);
    Ok(CertificateFacts {
        sha256: row.text()?,
        spki_sha256: row.text()?,
        issuer: row.text_or_null()?,
        serial: row.text_or_null()?,
        not_after: row.moment()?,
        last_seen: row.moment()?,
        last_username: row.text_or_null()?,
    })
}
