//! Blocks: certificates that are refused whatever they are mapped to.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Edit, PatternText, Shown, about, bind_pattern, found, moment};
use crate::store::error::StoreError;
use crate::store::read::{self, Readable};
use crate::store::work::{Work, act, on_side};

/// A block as the database holds it, as text for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    /// Names the block in answers and in the log.
    pub id: i64,
    /// Which certificates.
    pub pattern: PatternText,
    /// The block counts.
    pub enabled: bool,
    /// Start of the window, RFC 3339.
    pub valid_from: Option<String>,
    /// End of the window, exclusive.
    pub valid_until: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// An operator's remark.
    pub note: Option<String>,
    /// Who added the block, as claimed.
    pub created_by: Option<String>,
    /// When.
    pub created_at: Option<String>,
}

/// A block to add.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NewBlock {
    /// Which certificates; an issuer or a key id alone blocks a CA.
    pub pattern: PatternText,
    /// Start of the window, RFC 3339.
    pub valid_from: Option<String>,
    /// End of the window, exclusive.
    pub valid_until: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// A remark.
    pub note: Option<String>,
    /// Who adds; by default the database role.
    pub created_by: Option<String>,
}

/// Changes to a block. What it matches never changes: that would be another block.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BlockEdit {
    /// Start of the window, RFC 3339.
    pub valid_from: Edit<String>,
    /// End of the window, exclusive.
    pub valid_until: Edit<String>,
    /// Why.
    pub reason: Edit<String>,
    /// A remark.
    pub note: Edit<String>,
}

impl Work {
    /// Adds a block and returns its id.
    pub async fn block_add(&mut self, new: &NewBlock) -> Result<i64, StoreError> {
        let from = moment("valid_from", new.valid_from.as_ref())?;
        let until = moment("valid_until", new.valid_until.as_ref())?;
        let created_by = new.created_by.as_deref().or(self.role.as_deref());
        let work = async {
            on_side!(self.side, side => bind_pattern!(sqlx::query(
                "insert into block (sha256, spki_sha256, issuer, issuer_key_id, serial, \
                 subject, san_email, san_upn, san_uri, san_dns, common_name, \
                 valid_from, valid_until, reason, note, created_by) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
                 returning id",
            ), new.pattern)
            .bind(from)
            .bind(until)
            .bind(&new.reason)
            .bind(&new.note)
            .bind(created_by)
            .fetch_one(&mut **side)
            .await?
            .try_get(0))
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// One block.
    pub async fn block_show(&mut self, id: i64) -> Result<Block, StoreError> {
        let sql = format!("{SELECT} where id = $1");
        let work = async {
            on_side!(self.side, side => {
                let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(&mut **side);
                row.await?.map(|row| block(&row)).transpose()
            })
        };
        let block = act(&self.url, &mut self.broken, about(""), work).await?;
        block.ok_or_else(|| StoreError::NotFound { noun: "block", name: id.to_string() })
    }

    /// All blocks, in the order in which they were added.
    pub async fn block_list(&mut self) -> Result<Vec<Block>, StoreError> {
        let sql = format!("{SELECT} order by id");
        let work = async {
            on_side!(self.side, side => {
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut **side).await?;
                rows.iter().map(block).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Changes what the edit names and nothing else.
    pub async fn block_edit(&mut self, id: i64, edit: &BlockEdit) -> Result<(), StoreError> {
        let (edit_from, from) = edit.valid_from.parts();
        let (edit_until, until) = edit.valid_until.parts();
        let (edit_reason, reason) = edit.reason.parts();
        let (edit_note, note) = edit.note.parts();
        let from = moment("valid_from", from)?;
        let until = moment("valid_until", until)?;
        let work = async {
            Ok(on_side!(self.side, side => sqlx::query(
                "update block set \
                 valid_from = case when $2 then $3 else valid_from end, \
                 valid_until = case when $4 then $5 else valid_until end, \
                 reason = case when $6 then $7 else reason end, \
                 note = case when $8 then $9 else note end \
                 where id = $1",
            )
            .bind(id)
            .bind(edit_from)
            .bind(from)
            .bind(edit_until)
            .bind(until)
            .bind(edit_reason)
            .bind(reason)
            .bind(edit_note)
            .bind(note)
            .execute(&mut **side)
            .await?
            .rows_affected()))
        };
        found(act(&self.url, &mut self.broken, about(""), work).await?, "block", id)
    }

    /// Turns a block on or off.
    pub async fn block_set_enabled(&mut self, id: i64, on: bool) -> Result<(), StoreError> {
        let work = async {
            Ok(on_side!(self.side, side => {
                let query = sqlx::query("update block set enabled = $2 where id = $1");
                query.bind(id).bind(on).execute(&mut **side).await?.rows_affected()
            }))
        };
        found(act(&self.url, &mut self.broken, about(""), work).await?, "block", id)
    }

    /// Removes a block; its id is never used again.
    pub async fn block_remove(&mut self, id: i64) -> Result<(), StoreError> {
        let work = async {
            Ok(on_side!(self.side, side => {
                let query = sqlx::query("delete from block where id = $1").bind(id);
                query.execute(&mut **side).await?.rows_affected()
            }))
        };
        found(act(&self.url, &mut self.broken, about(""), work).await?, "block", id)
    }
}

pub(super) const SELECT: &str = "select sha256, spki_sha256, issuer, issuer_key_id, serial, subject, \
     san_email, san_upn, san_uri, san_dns, common_name, id, enabled, valid_from, valid_until, \
     reason, note, created_by, created_at from block";

pub(super) fn block(row: &impl Readable) -> Result<Block, sqlx::Error> {
    let pattern = PatternText::shown(read::pattern(row)?);
    let mut row = Shown::from(row, 11);
    Ok(Block {
        pattern,
        id: row.id()?,
        enabled: row.flag()?,
        valid_from: row.moment()?,
        valid_until: row.moment()?,
        reason: row.text_or_null()?,
        note: row.text_or_null()?,
        created_by: row.text_or_null()?,
        created_at: row.moment()?,
    })
}
