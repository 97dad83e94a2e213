//! Reads what was seen, for people who ask why: denials, and the certificates behind them.
//!
//! Only people come here; a service's role may read none of it.

use super::error::{StoreError, Subject};
use super::read::Readable;
use super::work::{Work, act, on_side};
use crate::directory::Sibling;
use crate::pki::{Certificate, Fingerprint, UnixTime};

/// Most denials that one question reads: as many as the table keeps.
const MAX_DENIALS: i64 = 20_000;
/// Most certificates that are told of as being like another.
const MAX_SIBLINGS: i64 = 100;
/// Most certificates of which issuers are looked at.
const MAX_ISSUED: i64 = 20_000;

/// A request that was denied, as its row has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeniedRow {
    /// When, RFC 3339.
    pub at: String,
    /// The host that the client asked for.
    pub host: Option<String>,
    /// The proxy's number of the request.
    pub request_id: Option<String>,
    /// Why.
    pub code: String,
    /// The certificate's fingerprint, if one was verified.
    pub certificate: Option<String>,
    /// The client's address.
    pub peer: Option<String>,
}

/// A certificate that is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptCertificate {
    /// Its fingerprint.
    pub sha256: String,
    /// The certificate.
    pub der: Vec<u8>,
    /// Whom it last let in.
    pub last_username: Option<String>,
}

/// Reads a certificate's row; its DER has a type of its own on each database.
macro_rules! kept {
    ($row:expr) => {{
        let row = $row;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(KeptCertificate {
            sha256: text(row.text(0)?),
            der: sqlx::Row::try_get(&row, 1)?,
            last_username: row.text_or_null(2)?.map(text),
        })
    }};
}
impl Work {
    /// The denials that are kept, the newest first; of one request alone if it is named.
    ///
    /// # Errors
    /// The database does not answer, or the role may not read them.
    pub async fn denials(
        &mut self,
        request_id: Option<&str>,
    ) -> Result<Vec<DeniedRow>, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let query = match request_id {
                    Some(request_id) => sqlx::query(OF_REQUEST).bind(MAX_DENIALS).bind(request_id),
                    None => sqlx::query(DENIALS).bind(MAX_DENIALS),
                };
                query.fetch_all(&mut **side).await?.iter().map(denied).collect()
            })
        };
        act(&self.url, &mut self.broken, Subject::default(), work).await
    }

    /// One certificate that is kept; none if it is not.
    ///
    /// # Errors
    /// As [`Work::denials`].
    pub async fn kept_certificate(
        &mut self,
        sha256: &str,
    ) -> Result<Option<KeptCertificate>, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let row = sqlx::query(ONE).bind(sha256).fetch_optional(&mut **side);
                row.await?.map(|row| kept!(row)).transpose()
            })
        };
        act(&self.url, &mut self.broken, Subject::default(), work).await
    }

    /// Every certificate behind a denial that is kept.
    ///
    /// # Errors
    /// As [`Work::denials`].
    pub async fn denied_certificates(&mut self) -> Result<Vec<KeptCertificate>, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let rows = sqlx::query(DENIED).fetch_all(&mut **side).await?;
                rows.into_iter().map(|row| kept!(row)).collect()
            })
        };
        act(&self.url, &mut self.broken, Subject::default(), work).await
    }

    /// Certificates that are kept and have the key of this one, or its issuer and subject.
    ///
    /// # Errors
    /// As [`Work::denials`].
    pub async fn siblings(&mut self, of: &Certificate) -> Result<Vec<Sibling>, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query(SIBLINGS)
                    .bind(of.sha256.to_string())
                    .bind(of.spki_sha256.to_string())
                    .bind(of.issuer.to_string())
                    .bind(of.subject.to_string())
                    .bind(MAX_SIBLINGS);
                query.fetch_all(&mut **side).await?.iter().map(sibling).collect::<Result<Vec<_>, _>>()
            })
        };
        let found = act(&self.url, &mut self.broken, Subject::default(), work).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The certificates that were seen last, as DER: whose keys issuers sign with.
    ///
    /// # Errors
    /// As [`Work::denials`].
    pub async fn issued(&mut self) -> Result<Vec<Vec<u8>>, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let rows = sqlx::query(ISSUED).bind(MAX_ISSUED).fetch_all(&mut **side).await?;
                rows.iter().map(|row| sqlx::Row::try_get(row, 0)).collect()
            })
        };
        act(&self.url, &mut self.broken, Subject::default(), work).await
    }
}

fn denied(row: &impl Readable) -> Result<DeniedRow, sqlx::Error> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let at = text(row.moment(0)?.unwrap_or_default());
    Ok(DeniedRow {
        at: UnixTime::parse_rfc3339(&at).map_or(at, |time| time.to_string()),
        host: row.text_or_null(1)?.map(text),
        request_id: row.text_or_null(2)?.map(text),
        code: text(row.text(3)?),
        certificate: row.text_or_null(4)?.map(text),
        peer: row.text_or_null(5)?.map(text),
    })
}

/// None for a row that somebody wrote by hand and that is none.
fn sibling(row: &impl Readable) -> Result<Option<Sibling>, sqlx::Error> {
    let digest = |bytes: Vec<u8>| Fingerprint::parse(&String::from_utf8_lossy(&bytes)).ok();
    let (sha256, spki_sha256) = (digest(row.text(0)?), digest(row.text(1)?));
    Ok(sha256.zip(spki_sha256).map(|(sha256, spki_sha256)| Sibling { sha256, spki_sha256 }))
}

const DENIALS: &str = "select at, host, request_id, code, certificate, peer from denial \
     order by id desc limit $1";
const OF_REQUEST: &str = "select at, host, request_id, code, certificate, peer from denial \
     where request_id = $2 order by id desc limit $1";
const ONE: &str = "select sha256, der, last_username from certificate where sha256 = $1";
const DENIED: &str = "select sha256, der, last_username from certificate \
     where sha256 in (select certificate from denial)";
const SIBLINGS: &str = "select sha256, spki_sha256 from certificate \
     where sha256 <> $1 and (spki_sha256 = $2 or (issuer = $3 and subject = $4)) \
     order by sha256 limit $5";
const ISSUED: &str = "select der from certificate order by last_seen desc limit $1";
