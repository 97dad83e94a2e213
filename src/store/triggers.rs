//! Whether SQLite's triggers are those that the migrations make.
//!
//! Anybody who may write the file may alter its tables: one that is made anew has lost its
//! triggers, and one that is renamed takes them along, so that those of other tables write to it
//! under its new name. What is not as it was made is not relied on.

use std::collections::BTreeSet;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::schema::{self, SCHEMA_VERSION};
use super::value::Text;

/// As `sqlite_schema` has it, the text byte for byte.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Trigger {
    table: Vec<u8>,
    name: Vec<u8>,
    /// What it does.
    sql: Vec<u8>,
}

/// What triggers are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// They write the audit.
    Audit,
    /// They keep the directory whole and write its changes down.
    Directory,
}

impl Trigger {
    fn purpose(&self) -> Purpose {
        let name = String::from_utf8_lossy(&self.name);
        match AUDIT.iter().any(|part| name.contains(part)) {
            true => Purpose::Audit,
            false => Purpose::Directory,
        }
    }
}

/// The names of those that are gone or are not as the migrations make them, in order. Of a schema
/// that is newer than this program it cannot be said what they do, only whether they are there.
pub(super) async fn altered(
    connection: &mut SqliteConnection,
    purpose: Purpose,
) -> Result<Vec<String>, sqlx::Error> {
    let version = schema::applied_sqlite(connection).await?.map(|applied| applied.version);
    let found = triggers(connection).await?;
    let names: BTreeSet<_> = found.iter().map(|one| (&one.table, &one.name)).collect();
    let is_there = |made: &Trigger| match version {
        Some(SCHEMA_VERSION) => found.contains(made),
        _ => names.contains(&(&made.table, &made.name)),
    };
    let made = made().await?;
    let altered = made.iter().filter(|one| one.purpose() == purpose && !is_there(one));
    Ok(altered.map(|one| String::from_utf8_lossy(&one.name).into_owned()).collect())
}

/// Those of a schema that was made a moment ago.
async fn made() -> Result<BTreeSet<Trigger>, sqlx::Error> {
    let mut memory = SqliteConnection::connect("sqlite::memory:").await?;
    schema::make_sqlite(&mut memory).await?;
    let made = triggers(&mut memory).await?;
    memory.close().await?;
    Ok(made)
}

async fn triggers(connection: &mut SqliteConnection) -> Result<BTreeSet<Trigger>, sqlx::Error> {
    let rows: Vec<(Text, Text, Text)> = sqlx::query_as(
        "select tbl_name, name, coalesce(sql, '') from sqlite_schema where type = 'trigger'",
    )
    .fetch_all(connection)
    .await?;
    let trigger = |(table, name, sql): (Text, Text, Text)| Trigger {
        table: table.0,
        name: name.0,
        sql: sql.0,
    };
    Ok(rows.into_iter().map(trigger).collect())
}

/// Parts of the names of those that write the audit, or keep it.
const AUDIT: [&str; 3] = ["_audited_", "_replaced", "audit_append_only_"];
