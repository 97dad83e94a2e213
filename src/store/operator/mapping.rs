//! Mappings: whose certificate this is.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Edit, PatternText, Shown, about, bind_pattern, found, moment};
use crate::store::error::StoreError;
use crate::store::read::{self, Readable};
use crate::store::work::{Side, Work, act, on_side};

/// A mapping as the database holds it, as text for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mapping {
    /// Names the mapping in answers and in the log.
    pub id: i64,
    /// Whose certificate this is.
    pub username: String,
    /// Which certificate.
    pub pattern: PatternText,
    /// The mapping counts.
    pub enabled: bool,
    /// Start of the window, RFC 3339.
    pub valid_from: Option<String>,
    /// End of the window, exclusive.
    pub valid_until: Option<String>,
    /// From then on the certificate is refused.
    pub revoked_at: Option<String>,
    /// Why.
    pub revoked_reason: Option<String>,
    /// An operator's remark.
    pub note: Option<String>,
    /// Who added the mapping, as claimed.
    pub created_by: Option<String>,
    /// When.
    pub created_at: Option<String>,
}

/// A mapping to add.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NewMapping {
    /// An existing user.
    pub username: String,
    /// Which certificate; at least one column besides the issuer's.
    pub pattern: PatternText,
    /// Start of the window, RFC 3339.
    pub valid_from: Option<String>,
    /// End of the window, exclusive.
    pub valid_until: Option<String>,
    /// A remark.
    pub note: Option<String>,
    /// Who adds; by default the database role.
    pub created_by: Option<String>,
}

/// Changes to a mapping. What it matches never changes: that would be another mapping.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MappingEdit {
    /// Start of the window, RFC 3339.
    pub valid_from: Edit<String>,
    /// End of the window, exclusive.
    pub valid_until: Edit<String>,
    /// A remark.
    pub note: Edit<String>,
}

impl Work {
    /// Adds a mapping and returns its id.
    pub async fn mapping_add(&mut self, new: &NewMapping) -> Result<i64, StoreError> {
        let from = moment("valid_from", new.valid_from.as_ref())?;
        let until = moment("valid_until", new.valid_until.as_ref())?;
        let created_by = new.created_by.as_deref().or(self.role.as_deref());
        let work = async {
            on_side!(self.side, side => bind_pattern!(sqlx::query(
                "insert into mapping (sha256, spki_sha256, issuer, issuer_key_id, serial, \
                 subject, san_email, san_upn, san_uri, san_dns, common_name, username, \
                 valid_from, valid_until, note, created_by) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
                 returning id",
            ), new.pattern)
            .bind(&new.username)
            .bind(from)
            .bind(until)
            .bind(&new.note)
            .bind(created_by)
            .fetch_one(&mut **side)
            .await?
            .try_get(0))
        };
        act(&self.url, &mut self.broken, about(&new.username), work).await
    }

    /// One mapping.
    pub async fn mapping_show(&mut self, id: i64) -> Result<Mapping, StoreError> {
        let sql = format!("{SELECT} where id = $1");
        let work = async {
            on_side!(self.side, side => {
                let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(&mut **side);
                row.await?.map(|row| mapping(&row)).transpose()
            })
        };
        let mapping = act(&self.url, &mut self.broken, about(""), work).await?;
        mapping.ok_or_else(|| StoreError::NotFound { noun: "mapping", name: id.to_string() })
    }

    /// All mappings, or those of one user, in the order in which they were added.
    pub async fn mapping_list(
        &mut self,
        username: Option<&str>,
    ) -> Result<Vec<Mapping>, StoreError> {
        let sql = match username {
            Some(_) => format!("{SELECT} where username = $1 order by id"),
            None => format!("{SELECT} order by id"),
        };
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query(AssertSqlSafe(sql));
                let query = match username {
                    Some(username) => query.bind(username),
                    None => query,
                };
                query.fetch_all(&mut **side).await?.iter().map(mapping).collect()
            })
        };
        act(&self.url, &mut self.broken, about(username.unwrap_or_default()), work).await
    }

    /// Changes what the edit names and nothing else.
    pub async fn mapping_edit(&mut self, id: i64, edit: &MappingEdit) -> Result<(), StoreError> {
        let (edit_from, from) = edit.valid_from.parts();
        let (edit_until, until) = edit.valid_until.parts();
        let (edit_note, note) = edit.note.parts();
        let from = moment("valid_from", from)?;
        let until = moment("valid_until", until)?;
        let work = async {
            Ok(on_side!(self.side, side => sqlx::query(
                "update mapping set \
                 valid_from = case when $2 then $3 else valid_from end, \
                 valid_until = case when $4 then $5 else valid_until end, \
                 note = case when $6 then $7 else note end \
                 where id = $1",
            )
            .bind(id)
            .bind(edit_from)
            .bind(from)
            .bind(edit_until)
            .bind(until)
            .bind(edit_note)
            .bind(note)
            .execute(&mut **side)
            .await?
            .rows_affected()))
        };
        found(act(&self.url, &mut self.broken, about(""), work).await?, "mapping", id)
    }

    /// Turns a mapping on or off.
    pub async fn mapping_set_enabled(&mut self, id: i64, on: bool) -> Result<(), StoreError> {
        let work = async {
            Ok(on_side!(self.side, side => {
                let query = sqlx::query("update mapping set enabled = $2 where id = $1");
                query.bind(id).bind(on).execute(&mut **side).await?.rows_affected()
            }))
        };
        found(act(&self.url, &mut self.broken, about(""), work).await?, "mapping", id)
    }

    /// Refuses the certificate from `at` on, whatever else it is mapped to; `None`: from now on,
    /// by the database's clock. An earlier revocation stays as early as it is.
    pub async fn mapping_revoke(
        &mut self,
        id: i64,
        reason: Option<&str>,
        at: Option<&str>,
    ) -> Result<(), StoreError> {
        let at = moment("revoked_at", at.map(str::to_owned).as_ref())?;
        let work = async {
            Ok(match &mut self.side {
                Side::Postgres(side) => sqlx::query(REVOKE_POSTGRES)
                    .bind(id)
                    .bind(at)
                    .bind(reason)
                    .execute(&mut **side)
                    .await?
                    .rows_affected(),
                Side::Sqlite(side) => sqlx::query(REVOKE_SQLITE)
                    .bind(id)
                    .bind(at)
                    .bind(reason)
                    .execute(&mut **side)
                    .await?
                    .rows_affected(),
            })
        };
        found(act(&self.url, &mut self.broken, about(""), work).await?, "mapping", id)
    }

    /// Removes a mapping; its id is never used again.
    pub async fn mapping_remove(&mut self, id: i64) -> Result<(), StoreError> {
        let work = async {
            Ok(on_side!(self.side, side => {
                let query = sqlx::query("delete from mapping where id = $1").bind(id);
                query.execute(&mut **side).await?.rows_affected()
            }))
        };
        found(act(&self.url, &mut self.broken, about(""), work).await?, "mapping", id)
    }
}

pub(super) const SELECT: &str = "select sha256, spki_sha256, issuer, issuer_key_id, serial, subject, \
     san_email, san_upn, san_uri, san_dns, common_name, id, username, enabled, valid_from, \
     valid_until, revoked_at, revoked_reason, note, created_by, created_at from mapping";

// `least` knows no null; the clock has another name on each database.
const REVOKE_POSTGRES: &str = "update mapping set \
     revoked_at = least(revoked_at, coalesce($2, now())), \
     revoked_reason = coalesce($3, revoked_reason) where id = $1";
const REVOKE_SQLITE: &str = "update mapping set \
     revoked_at = case \
         when julianday(revoked_at) <= julianday(coalesce($2, 'now')) then revoked_at \
         else coalesce($2, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) end, \
     revoked_reason = coalesce($3, revoked_reason) where id = $1";

pub(super) fn mapping(row: &impl Readable) -> Result<Mapping, sqlx::Error> {
    let pattern = PatternText::shown(read::pattern(row)?);
    let mut row = Shown::from(row, 11);
    Ok(Mapping {
        pattern,
        id: row.id()?,
        username: row.text()?,
        enabled: row.flag()?,
        valid_from: row.moment()?,
        valid_until: row.moment()?,
        revoked_at: row.moment()?,
        revoked_reason: row.text_or_null()?,
        note: row.text_or_null()?,
        created_by: row.text_or_null()?,
        created_at: row.moment()?,
    })
}
