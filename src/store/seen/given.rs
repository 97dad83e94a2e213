//! Certificates that an operator gives, and those that are there.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Postgres, QueryBuilder, Row as _, Sqlite};

use super::SeenCertificate;
use crate::pki::{Certificate, UnixTime};
use crate::store::error::{StoreError, Subject};
use crate::store::operator::insert_rows;
use crate::store::value::{NewJson, NewMoment};
use crate::store::work::{Side, Work, act, on_side};
use crate::store::{LOAD_LIMIT, limited};

/// A certificate of the table.
#[derive(Clone, Debug)]
pub struct HeldCertificate {
    /// The certificate, from its DER.
    pub certificate: Arc<Certificate>,
    /// An operator gave it; otherwise it was only seen.
    pub is_given: bool,
}

impl Work {
    /// Keeps certificates that an operator gives. One that was only seen counts as given from then
    /// on, and is not taken away any more.
    pub async fn certificates_give(
        &mut self,
        certificates: &[Arc<Certificate>],
    ) -> Result<(), StoreError> {
        let rows = certificates.iter();
        let rows = rows.map(|one| SeenCertificate::new(one, 1, Duration::ZERO, "", None));
        let time = |seconds: i64| NewMoment::parse(&UnixTime::from_seconds(seconds).to_string());
        let rows: Vec<_> = rows
            .map(|row| {
                let (from, until) = (time(row.not_before), time(row.not_after));
                (row.sha256.to_string(), row.spki_sha256.to_string(), from, until, row)
            })
            .collect();
        insert_rows!(
            self,
            Subject::default(),
            "insert into certificate (sha256, der, subject, issuer, serial, spki_sha256, names, \
             not_before, not_after, origin) ",
            &rows,
            " on conflict (sha256) do update set origin = 'given'",
            |values, row| {
                let (sha256, spki, from, until, row) = row;
                values
                    .push_bind(sha256)
                    .push_bind(&row.der[..])
                    .push_bind(&row.subject)
                    .push_bind(&row.issuer)
                    .push_bind(&row.serial)
                    .push_bind(spki)
                    .push_bind(row.names.as_deref().map(NewJson))
                    .push_bind(*from)
                    .push_bind(*until)
                    .push_bind("given");
            }
        )
    }

    /// The certificates of the table that are wanted, one after the other. What is no certificate
    /// is passed over: nothing is decided by this table.
    pub async fn certificates_held(
        &mut self,
        mut is_wanted: impl FnMut(&Certificate) -> bool,
    ) -> Result<Vec<HeldCertificate>, StoreError> {
        let mut held = Vec::new();
        let work = async {
            on_side!(self.side, side => {
                let mut rows =
                    sqlx::query("select der, origin from certificate").fetch(&mut **side);
                while let Some(row) = std::future::poll_fn(|cx| rows.as_mut().poll_next(cx)).await {
                    let row = row?;
                    let der: Vec<u8> = row.try_get(0)?;
                    let origin: String = row.try_get(1)?;
                    let Ok(certificate) = Certificate::from_der(&der) else { continue };
                    if is_wanted(&certificate) {
                        let certificate = Arc::new(certificate);
                        held.push(HeldCertificate { certificate, is_given: origin == "given" });
                    }
                }
            });
            Ok(())
        };
        limited(&self.url, LOAD_LIMIT, work).await?;
        Ok(held)
    }
}
