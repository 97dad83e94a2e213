//! Rows as the audit has them, compared with those of the tables and put back: what undoing is made
//! of. Whether that may be done is for the caller to judge.

use sqlx::AssertSqlSafe;

use super::super::error::StoreError;
use super::super::operator::about;
use super::super::work::{Side, Work, act, on_side};
use super::AuditRow;
use crate::directory::Relation;

/// How a database reads a time and a row of JSON.
pub(in crate::store) struct Dialect {
    /// A time to compare with; `?` stands for the value.
    pub(super) time: &'static str,
    is_postgres: bool,
}

impl Work {
    pub(in crate::store) const fn dialect(&self) -> Dialect {
        match self.side {
            Side::Postgres(_) => Dialect { time: "cast(? as timestamptz)", is_postgres: true },
            Side::Sqlite(_) => {
                Dialect { time: "strftime('%Y-%m-%dT%H:%M:%fZ', ?)", is_postgres: false }
            }
        }
    }

    /// Whether the table holds exactly this row.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn row_stands(&mut self, relation: Relation, row: &str) -> Result<bool, StoreError> {
        let table = relation.name();
        let sql = if self.dialect().is_postgres {
            format!(
                "select exists (select from {table} t \
                 join json_populate_record(null::{table}, cast($1 as json)) w on {} \
                 where t operator(pg_catalog.*=) w)",
                equal(relation, "t", "w")
            )
        } else {
            let parts: Vec<_> = columns(relation)
                .iter()
                .map(|column| match *column {
                    "enabled" | "mapped_only" => {
                        format!("'{column}', json(iif({column}, 'true', 'false'))")
                    }
                    "conditions" => "'conditions', json(conditions)".to_owned(),
                    column => format!("'{column}', {column}"),
                })
                .collect();
            format!(
                "select exists (select 1 from {table} where {} and json_object({}) = $1)",
                found(relation, "$1"),
                parts.join(", ")
            )
        };
        self.ask(sql, row).await
    }

    async fn ask(&mut self, sql: String, row: &str) -> Result<bool, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(row);
                query.persistent(false).fetch_one(&mut **side).await
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Waits until nobody else writes what the audit is about, and keeps it so until this
    /// transaction ends. On SQLite no other writer is there anyway.
    ///
    /// # Errors
    /// Another writer does not come to an end.
    pub async fn lock_directory(&mut self) -> Result<(), StoreError> {
        // Who approves judges by what was there before.
        self.lock_approvals().await?;
        let work = async {
            match &mut self.side {
                Side::Postgres(side) => {
                    let lock = "lock table app_user, user_group, mapping, block, rule \
                         in share row exclusive mode";
                    sqlx::query(lock).execute(&mut **side).await.map(drop)
                }
                Side::Sqlite(_) => Ok(()),
            }
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// The newest row of the audit; 0 if there is none.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn audit_newest(&mut self) -> Result<i64, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                sqlx::query_scalar("select coalesce(max(id), 0) from audit")
                    .fetch_one(&mut **side)
                    .await
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// The rows of the audit after this one about the row of this key, or the whole table.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn audit_later(
        &mut self,
        relation: Relation,
        key: &str,
        id: i64,
    ) -> Result<Vec<i64>, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query_scalar(
                    "select id from audit where relation = $1 and key in ($2, '') and id > $3",
                );
                query.bind(relation.name()).bind(key).bind(id).fetch_all(&mut **side).await
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// The rows of the audit after this one about whoever has this name, or about all users.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn audit_of_user_after(
        &mut self,
        username: &str,
        id: i64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let sql = format!(
            "{} where relation = 'app_user' and id > $2 \
             and (key = '' or before ->> 'username' = $1 or after ->> 'username' = $1)",
            super::SELECT
        );
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(username).bind(id);
                let found = query.persistent(false).fetch_all(&mut **side).await?;
                found.iter().map(super::row).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Adds a row as the audit has it, its id and all.
    ///
    /// # Errors
    /// The schema refuses it.
    pub async fn row_put_back(&mut self, relation: Relation, row: &str) -> Result<(), StoreError> {
        let (table, columns) = (relation.name(), columns(relation));
        let names = columns.join(", ");
        let sql = if self.dialect().is_postgres {
            format!(
                "insert into {table} ({names}) select {names} \
                 from json_populate_record(null::{table}, cast($1 as json))"
            )
        } else {
            let values: Vec<_> = columns.iter().map(|column| value("$1", column)).collect();
            format!("insert into {table} ({names}) select {}", values.join(", "))
        };
        self.put(sql, row, None).await
    }

    /// Makes the row `present` what `wanted` says, its key too.
    ///
    /// # Errors
    /// The schema refuses it.
    pub async fn row_change_back(
        &mut self,
        relation: Relation,
        present: &str,
        wanted: &str,
    ) -> Result<(), StoreError> {
        let table = relation.name();
        let set = |value: &dyn Fn(&str) -> String| {
            let parts = columns(relation).iter();
            // On SQLite an id never changes, and on PostgreSQL it does not here.
            let parts = parts.filter(|column| **column != "id");
            parts
                .map(|column| format!("{column} = {}", value(column)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let sql = if self.dialect().is_postgres {
            let set = set(&|column| format!("w.{column}"));
            format!(
                "update {table} t set {set} \
                 from json_populate_record(null::{table}, cast($1 as json)) o, \
                 json_populate_record(null::{table}, cast($2 as json)) w where {}",
                equal(relation, "t", "o")
            )
        } else {
            let set = set(&|column| value("$2", column));
            format!("update {table} set {set} where {}", found(relation, "$1"))
        };
        self.put(sql, present, Some(wanted)).await
    }

    /// Removes the row.
    ///
    /// # Errors
    /// The schema refuses it.
    pub async fn row_take_away(&mut self, relation: Relation, row: &str) -> Result<(), StoreError> {
        let table = relation.name();
        let sql = if self.dialect().is_postgres {
            format!(
                "delete from {table} t \
                 using json_populate_record(null::{table}, cast($1 as json)) o where {}",
                equal(relation, "t", "o")
            )
        } else {
            format!("delete from {table} where {}", found(relation, "$1"))
        };
        self.put(sql, row, None).await
    }

    async fn put(
        &mut self,
        sql: String,
        first: &str,
        second: Option<&str>,
    ) -> Result<(), StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(first);
                let query = match second {
                    Some(second) => query.bind(second),
                    None => query,
                };
                query.persistent(false).execute(&mut **side).await.map(drop)
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }
}

/// A column of a row of JSON, on SQLite.
fn value(row: &str, column: &str) -> String {
    format!("json_extract({row}, '$.{column}')")
}

/// The row of that key, on SQLite.
fn found(relation: Relation, row: &str) -> String {
    let keys = keys(relation).iter();
    keys.map(|key| format!("{key} = {}", value(row, key))).collect::<Vec<_>>().join(" and ")
}

fn equal(relation: Relation, one: &str, other: &str) -> String {
    let keys = keys(relation).iter();
    keys.map(|key| format!("{one}.{key} = {other}.{key}")).collect::<Vec<_>>().join(" and ")
}

const fn keys(relation: Relation) -> &'static [&'static str] {
    match relation {
        Relation::AppUser => &["username"],
        Relation::Block | Relation::Mapping => &["id"],
        Relation::Rule => &["priority"],
        Relation::UserGroup => &["username", "group_name"],
    }
}

/// The columns, in the order of the audit's JSON.
const fn columns(relation: Relation) -> &'static [&'static str] {
    match relation {
        Relation::AppUser => &[
            "username",
            "display_name",
            "email",
            "origin",
            "mapped_only",
            "enabled",
            "valid_from",
            "valid_until",
            "note",
            "created_by",
            "created_at",
        ],
        Relation::Block => &[
            "id",
            "sha256",
            "spki_sha256",
            "issuer",
            "issuer_key_id",
            "serial",
            "subject",
            "san_email",
            "san_upn",
            "san_uri",
            "san_dns",
            "common_name",
            "enabled",
            "valid_from",
            "valid_until",
            "reason",
            "note",
            "created_by",
            "created_at",
        ],
        Relation::Mapping => &[
            "id",
            "username",
            "sha256",
            "spki_sha256",
            "issuer",
            "issuer_key_id",
            "serial",
            "subject",
            "san_email",
            "san_upn",
            "san_uri",
            "san_dns",
            "common_name",
            "enabled",
            "valid_from",
            "valid_until",
            "revoked_at",
            "revoked_reason",
            "note",
            "created_by",
            "created_at",
        ],
        Relation::Rule => &[
            "priority",
            "name",
            "issuer",
            "issuer_key_id",
            "conditions",
            "username",
            "display_name",
            "email",
            "group_names",
            "users",
            "enabled",
            "valid_from",
            "valid_until",
            "note",
            "created_by",
            "created_at",
        ],
        Relation::UserGroup => &["username", "group_name"],
    }
}
