//! The audit: who changed what. The database writes it itself; here it is read, and pruned.
//!
//! It must not write what a trigger writes, or the two could differ.

mod restore;

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::error::StoreError;
use super::operator::{Shown, about, moment};
use super::read::Readable;
use super::work::{By, Side, Work, act, on_side};

/// What one change did to one row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditRow {
    /// The order in which rows were written.
    pub id: i64,
    /// When the statement ran.
    pub at: Option<String>,
    /// Equal for all that was changed in one transaction; none for raw SQL on SQLite.
    pub transaction_id: Option<String>,
    /// Whom the database let in; none on SQLite.
    pub db_user: Option<String>,
    /// Who acted, as claimed.
    pub actor: Option<String>,
    /// `api`, `cli`, `provision` or `sql`.
    pub source: String,
    /// The request that asked for it, as claimed.
    pub request_id: Option<String>,
    /// `insert`, `update`, `delete`, `truncate` or `prune`.
    pub action: String,
    /// The table.
    pub relation: String,
    /// The row's key, after the change if there is one.
    pub key: String,
    /// The row only followed its user, who was renamed or removed.
    pub followed: bool,
    /// The row before, as a JSON object.
    pub before: Option<String>,
    /// The row after, as a JSON object.
    pub after: Option<String>,
}

/// Which rows of the audit; what is none is not looked at.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuditFilter {
    /// From this instant on, RFC 3339.
    pub since: Option<String>,
    /// Before this instant.
    pub until: Option<String>,
    /// About this user: the user, a membership or a mapping, before or after the change.
    pub user: Option<String>,
    /// By this person: as claimed, or as the database knows them.
    pub actor: Option<String>,
    /// Of this table.
    pub relation: Option<String>,
    /// Of the row of this key.
    pub key: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// Of this transaction.
    pub transaction_id: Option<String>,
    /// Written before the row of this id: where the next page goes on.
    pub below: Option<i64>,
    /// At most so many; none: all.
    pub limit: Option<i64>,
}

impl Work {
    /// Rows of the audit, newest first.
    ///
    /// # Errors
    /// A time that is none, or the database does not answer.
    pub async fn audit_list(&mut self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let since = moment("since", filter.since.as_ref())?;
        let until = moment("until", filter.until.as_ref())?;
        let time = self.dialect().time;
        let sql = format!(
            "{SELECT} \
             where ({since} is null or at >= {since}) \
             and ({until} is null or at < {until}) \
             and (cast($3 as text) is null or (relation in ('app_user', 'user_group', 'mapping') \
             and (before ->> 'username' = $3 or after ->> 'username' = $3))) \
             and (cast($4 as text) is null or actor = $4 or db_user = $4) \
             and (cast($5 as text) is null or relation = $5) \
             and (cast($6 as text) is null or key = $6) \
             and (cast($7 as text) is null or action = $7) \
             and (cast($8 as text) is null or transaction_id = $8) \
             and (cast($9 as bigint) is null or id < $9) \
             order by id desc limit $10",
            since = time.replace('?', "$1"),
            until = time.replace('?', "$2"),
        );
        let work = async {
            on_side!(self.side, side => {
                let rows = sqlx::query(AssertSqlSafe(sql))
                    .bind(since)
                    .bind(until)
                    .bind(&filter.user)
                    .bind(&filter.actor)
                    .bind(&filter.relation)
                    .bind(&filter.key)
                    .bind(&filter.action)
                    .bind(&filter.transaction_id)
                    .bind(filter.below)
                    .bind(filter.limit.unwrap_or(i64::MAX))
                    .persistent(false)
                    .fetch_all(&mut **side)
                    .await?;
                rows.iter().map(row).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// One row of the audit.
    ///
    /// # Errors
    /// There is none of this id, or the database does not answer.
    pub async fn audit_show(&mut self, id: i64) -> Result<AuditRow, StoreError> {
        let sql = format!("{SELECT} where id = $1");
        let work = async {
            on_side!(self.side, side => {
                let found = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(&mut **side);
                found.await?.map(|found| row(&found)).transpose()
            })
        };
        let found = act(&self.url, &mut self.broken, about(""), work).await?;
        found.ok_or_else(|| StoreError::NotFound { noun: "audit row", name: id.to_string() })
    }

    /// Removes what is older, which the audit then says; how many rows went. On PostgreSQL for the
    /// owner of the tables alone.
    ///
    /// # Errors
    /// Nothing was removed.
    pub async fn audit_prune(&mut self, before: &str) -> Result<i64, StoreError> {
        let text = before.to_owned();
        let at = moment("before", Some(&text))?;
        let work = async {
            match &mut self.side {
                Side::Postgres(side) => {
                    sqlx::query_scalar("select certgate_audit_prune($1)")
                        .bind(at)
                        .fetch_one(&mut **side)
                        .await
                }
                Side::Sqlite(side) => {
                    sqlx::query("update acting set pruning = 1").execute(&mut **side).await?;
                    let removed = sqlx::query(PRUNE_SQLITE)
                        .bind(at)
                        .execute(&mut **side)
                        .await?
                        .rows_affected();
                    let removed = i64::try_from(removed).unwrap_or(i64::MAX);
                    sqlx::query(PRUNED_SQLITE).bind(removed).bind(at).execute(&mut **side).await?;
                    sqlx::query("update acting set pruning = 0").execute(&mut **side).await?;
                    Ok(removed)
                }
            }
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }
}

/// Tells SQLite who acts, in the transaction that was just begun.
pub(super) async fn begin_acting(
    connection: &mut SqliteConnection,
    by: &By,
) -> Result<(), sqlx::Error> {
    end_acting(connection).await?;
    sqlx::query("insert into acting (actor, source, request_id) values ($1, $2, $3)")
        .bind(&by.actor)
        .bind(by.source.word())
        .bind(&by.request_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes that back before the commit: whoever writes next is somebody else.
pub(super) async fn end_acting(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("delete from acting").execute(connection).await?;
    Ok(())
}

fn row(row: &impl Readable) -> Result<AuditRow, sqlx::Error> {
    let mut row = Shown::from(row, 0);
    Ok(AuditRow {
        id: row.id()?,
        at: row.moment()?,
        transaction_id: row.text_or_null()?,
        db_user: row.text_or_null()?,
        actor: row.text_or_null()?,
        source: row.text()?,
        request_id: row.text_or_null()?,
        action: row.text()?,
        relation: row.text()?,
        key: row.text()?,
        followed: row.flag()?,
        before: row.text_or_null()?,
        after: row.text_or_null()?,
    })
}

const SELECT: &str = "select id, at, transaction_id, db_user, actor, source, request_id, action, \
     relation, key, followed, cast(before as text), cast(after as text) from audit";
const PRUNE_SQLITE: &str = "delete from audit \
     where at < strftime('%Y-%m-%dT%H:%M:%fZ', $1) and action <> 'prune'";
const PRUNED_SQLITE: &str = "insert into audit (transaction_id, actor, source, request_id, \
     action, relation, key, after) \
     select transaction_id, actor, source, request_id, 'prune', 'audit', '', \
     json_object('removed', $1, 'before', $2) from claimed";
