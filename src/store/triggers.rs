//! Whether SQLite's triggers are those that the migrations make.
//!
//! Anybody who may write the file may alter its tables: one that is made anew has lost its
//! triggers, and one that is renamed takes them along, so that those of other tables write to it
//! under its new name. One that is not as it was made is not relied on; whoever adds one to them is.

use std::collections::BTreeSet;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::OnceCell;

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

/// A trigger that is gone or not as the migrations make it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Altered {
    pub(super) name: String,
    /// Whether it writes or keeps the audit; else it keeps the directory whole or writes its changes
    /// down.
    pub(super) is_of_audit: bool,
}

/// Those that are altered, in the order of their names. Of a schema that is newer than this program it
/// cannot be said what they do, only whether they are there.
pub(super) async fn altered(
    connection: &mut SqliteConnection,
) -> Result<Vec<Altered>, sqlx::Error> {
    let version = schema::applied_sqlite(connection).await?.map(|applied| applied.version);
    let found = triggers(connection).await?;
    let names: BTreeSet<_> = found.iter().map(|one| (&one.table, &one.name)).collect();
    let is_there = |made: &Trigger| match version {
        Some(SCHEMA_VERSION) => found.contains(made),
        _ => names.contains(&(&made.table, &made.name)),
    };
    let made = MADE.get_or_try_init(make).await?;
    let altered = made.iter().filter(|one| !is_there(one)).map(|one| {
        let name = String::from_utf8_lossy(&one.name).into_owned();
        Altered { is_of_audit: AUDIT.iter().any(|part| name.contains(part)), name }
    });
    let mut altered: Vec<_> = altered.collect();
    altered.sort_unstable();
    Ok(altered)
}

/// Makes a schema to see its triggers.
async fn make() -> Result<BTreeSet<Trigger>, sqlx::Error> {
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

/// Those of a schema that was made a moment ago: always the same, and a load should not wait.
static MADE: OnceCell<BTreeSet<Trigger>> = OnceCell::const_new();
/// Parts of the names of those that write the audit, or keep it.
const AUDIT: [&str; 3] = ["_audited_", "_replaced", "audit_append_only_"];
