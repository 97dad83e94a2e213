//! Certificates that are known: those that operators gave, and those that came with requests.

use std::future::poll_fn;

use futures_util::Stream as _;
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

use super::{Shown, about, found};
use crate::pki::Certificate;
use crate::store::error::StoreError;
use crate::store::read::Readable;
use crate::store::seen::SeenCertificate;
use crate::store::value::{NewJson, NewMoment};
use crate::store::work::{Side, Work, act, on_side};

/// A certificate as the database holds it. Whatever is shown of the certificate itself is read from
/// its DER.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredCertificate {
    /// SHA-256 over the certificate, 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// The certificate.
    pub der: Vec<u8>,
    /// `given` or `seen`.
    pub origin: String,
    /// `new` or `ignored`.
    pub state: String,
    /// When it first came with a request, RFC 3339.
    pub first_seen: Option<String>,
    /// When it last came.
    pub last_seen: Option<String>,
    /// About how often it came.
    pub hits: i64,
    /// The code of the last decision about it.
    pub last_code: Option<String>,
    /// Whom it last let in.
    pub last_username: Option<String>,
}

impl Work {
    /// Keeps a certificate that an operator gave; whatever was seen of it stays.
    pub async fn certificate_add(&mut self, certificate: &Certificate) -> Result<(), StoreError> {
        let new = SeenCertificate::new(certificate, 0, std::time::Duration::ZERO, "", None);
        let moment = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok().map(NewMoment);
        let work = async {
            on_side!(self.side, side => sqlx::query(
                "insert into certificate (sha256, der, subject, issuer, serial, spki_sha256, \
                 names, not_before, not_after, origin) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'given') \
                 on conflict (sha256) do update set origin = 'given'",
            )
            .bind(new.sha256.to_string())
            .bind(&new.der[..])
            .bind(&new.subject)
            .bind(&new.issuer)
            .bind(&new.serial)
            .bind(new.spki_sha256.to_string())
            .bind(new.names.as_deref().map(NewJson))
            .bind(moment(new.not_before))
            .bind(moment(new.not_after))
            .execute(&mut **side)
            .await
            .map(drop))
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// The certificate of this fingerprint, in lower case, if it is known.
    pub async fn certificate_show(
        &mut self,
        sha256: &str,
    ) -> Result<Option<StoredCertificate>, StoreError> {
        let sql = format!("{SELECT} where sha256 = $1 limit $2");
        let mut found = self.certificates(sql, sha256, 1).await?;
        Ok(found.pop())
    }

    /// Certificates whose fingerprint begins with these digits.
    pub async fn certificates_by_prefix(
        &mut self,
        digits: &str,
        limit: i64,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        // No digit comes after `f`.
        let sql =
            format!("{SELECT} where sha256 >= $1 and sha256 < $1 || 'g' order by sha256 limit $2");
        self.certificates(sql, digits, limit).await
    }

    /// Certificates of this serial, as nginx prints it.
    pub async fn certificates_by_serial(
        &mut self,
        serial: &str,
        limit: i64,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        let sql = format!("{SELECT} where serial = $1 order by sha256 limit $2");
        self.certificates(sql, serial, limit).await
    }

    /// Certificates of this subject, as nginx prints it.
    pub async fn certificates_by_subject(
        &mut self,
        subject: &str,
        limit: i64,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        let sql = format!("{SELECT} where subject = $1 order by sha256 limit $2");
        self.certificates(sql, subject, limit).await
    }

    /// Certificates with the same key, or with the same issuer and subject as they are printed.
    pub async fn certificates_like(
        &mut self,
        certificate: &Certificate,
        limit: i64,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        // Two look-ups by index; an "or" would read everything. Who came last comes first.
        let sql = format!(
            "{SELECT} where sha256 in (\
                 select sha256 from certificate where spki_sha256 = $1 \
                 union select sha256 from certificate where subject = $2 and issuer = $3) \
             order by last_seen desc nulls last, sha256 limit $4"
        );
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query(AssertSqlSafe(sql))
                    .bind(certificate.spki_sha256.to_string())
                    .bind(certificate.subject.to_string())
                    .bind(certificate.issuer.to_string())
                    .bind(limit);
                query.fetch_all(&mut **side).await?.iter().map(stored).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Verified certificates of nobody, who came last first; none: all.
    pub async fn inbox_list(
        &mut self,
        limit: Option<i64>,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        let sql = format!(
            "{SELECT} where sha256 in (select sha256 from inbox) \
             order by last_seen desc nulls last, sha256 limit $1"
        );
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(limit.unwrap_or(i64::MAX));
                query.fetch_all(&mut **side).await?.iter().map(stored).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Hands every certificate over, one after the other, in the order of fingerprints: there can be
    /// hundreds of thousands.
    pub async fn each_certificate(
        &mut self,
        mut each: impl FnMut(StoredCertificate) + Send,
    ) -> Result<(), StoreError> {
        let sql = format!("{SELECT} where sha256 > $1 order by sha256 limit $2");
        let mut after = String::new();
        loop {
            let page = self.certificates(sql.clone(), &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.sha256);
            page.into_iter().for_each(&mut each);
        }
    }

    /// Hands over the fingerprint and the subject, as nginx prints it, of every certificate.
    pub async fn each_subject(
        &mut self,
        mut each: impl FnMut(&str, &str) + Send,
    ) -> Result<(), StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let sql = "select sha256, subject from certificate where subject is not null";
                let mut rows = std::pin::pin!(sqlx::query(sql).fetch(&mut **side));
                while let Some(row) = poll_fn(|context| rows.as_mut().poll_next(context)).await {
                    let row = row?;
                    let text = |column| row.text(column).map(super::shown);
                    each(&text(0)?, &text(1)?);
                }
            });
            Ok(())
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Hands over the DER of every certificate of this issuer, as nginx prints it.
    pub async fn each_issued(
        &mut self,
        issuer: &str,
        mut each: impl FnMut(&[u8]) + Send,
    ) -> Result<(), StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let sql = "select der from certificate where issuer = $1";
                let mut rows = std::pin::pin!(sqlx::query(sql).bind(issuer).fetch(&mut **side));
                while let Some(row) = poll_fn(|context| rows.as_mut().poll_next(context)).await {
                    each(&row?.octets(0)?);
                }
            });
            Ok(())
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Hands over the DER of every certificate of this key.
    pub async fn each_of_key(
        &mut self,
        spki_sha256: &str,
        mut each: impl FnMut(&[u8]) + Send,
    ) -> Result<(), StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let sql = "select der from certificate where spki_sha256 = $1";
                let mut rows = std::pin::pin!(sqlx::query(sql).bind(spki_sha256).fetch(&mut **side));
                while let Some(row) = poll_fn(|context| rows.as_mut().poll_next(context)).await {
                    each(&row?.octets(0)?);
                }
            });
            Ok(())
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Whether the inbox tells of this certificate: an operator may not want to see it again.
    pub async fn certificate_set_ignored(
        &mut self,
        sha256: &str,
        is_ignored: bool,
    ) -> Result<(), StoreError> {
        let state = if is_ignored { "ignored" } else { "new" };
        let work = async {
            Ok(on_side!(self.side, side => {
                let sql = "update certificate set state = $2 where sha256 = $1";
                let query = sqlx::query(sql).bind(sha256).bind(state);
                query.execute(&mut **side).await?.rows_affected()
            }))
        };
        let count = act(&self.url, &mut self.broken, about(""), work).await?;
        found(count, "certificate", sha256)
    }

    /// Waits for every other transaction that has asked the same to end: who judges whose a
    /// certificate is before mapping it must not be overtaken by another who does. Nobody else
    /// waits; on SQLite there is one writer anyway.
    pub async fn lock_approvals(&mut self) -> Result<(), StoreError> {
        let work = async {
            match &mut self.side {
                Side::Postgres(side) => {
                    let query = sqlx::query("select pg_advisory_xact_lock($1)");
                    query.bind(APPROVAL_LOCK).persistent(false).execute(&mut **side).await?;
                }
                Side::Sqlite(_) => {}
            }
            Ok(())
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Certificates by a statement with one text and a limit.
    pub(super) async fn certificates(
        &mut self,
        sql: String,
        text: &str,
        limit: i64,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(text).bind(limit);
                query.fetch_all(&mut **side).await?.iter().map(stored).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }
}

pub(super) const SELECT: &str = "select sha256, der, origin, state, first_seen, last_seen, hits, last_code, \
     last_username from certificate";
/// Certificates that are read at once: some megabytes.
const PAGE: i64 = 1000;
/// "approve" as a number; any value would do that no other program takes in this database.
const APPROVAL_LOCK: i64 = 0x0061_7070_726f_7665;

fn stored(row: &impl Readable) -> Result<StoredCertificate, sqlx::Error> {
    let der = row.octets(1)?;
    let sha256 = row.text(0).map(super::shown)?;
    let mut row = Shown::from(row, 2);
    Ok(StoredCertificate {
        sha256,
        der,
        origin: row.text()?,
        state: row.text()?,
        first_seen: row.moment()?,
        last_seen: row.moment()?,
        hits: row.id()?,
        last_code: row.text_or_null()?,
        last_username: row.text_or_null()?,
    })
}
