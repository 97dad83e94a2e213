//! The schema: which migrations there are, which are applied, and applying the others.
//!
//! A runner of our own, because sqlx's takes no lock on SQLite: here everything happens in one
//! transaction behind one lock, so of two programs one applies and the other finds nothing to do.
//! An applied migration is never edited; there is no way back.

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::BUSY_LIMIT;
use super::error::StoreError;

/// One step of the schema.
struct Migration {
    version: i64,
    /// The oldest program, named by the last version it knows, that can run after this step. No
    /// program runs on a SQLite file that has lost a trigger which it knows.
    compatible_from: i64,
    postgres: &'static str,
    sqlite: &'static str,
}

const MIGRATIONS: [Migration; 10] = [
    Migration {
        version: 1,
        compatible_from: 1,
        postgres: include_str!("../../migrations/postgres/0001_directory.sql"),
        sqlite: include_str!("../../migrations/sqlite/0001_directory.sql"),
    },
    Migration {
        version: 2,
        compatible_from: 2,
        postgres: include_str!("../../migrations/postgres/0002_feed.sql"),
        sqlite: include_str!("../../migrations/sqlite/0002_feed.sql"),
    },
    // A program that knows no rules keeps out those whom only a rule lets in: it can run on.
    Migration {
        version: 3,
        compatible_from: 2,
        postgres: include_str!("../../migrations/postgres/0003_rule.sql"),
        sqlite: include_str!("../../migrations/sqlite/0003_rule.sql"),
    },
    // Nothing of what was seen decides anything.
    Migration {
        version: 4,
        compatible_from: 2,
        postgres: include_str!("../../migrations/postgres/0004_seen.sql"),
        sqlite: include_str!("../../migrations/sqlite/0004_seen.sql"),
    },
    // The database writes the audit by itself: who names nobody is written down as raw SQL.
    Migration {
        version: 5,
        compatible_from: 2,
        postgres: include_str!("../../migrations/postgres/0005_audit.sql"),
        sqlite: include_str!("../../migrations/sqlite/0005_audit.sql"),
    },
    // Indexes alone.
    Migration {
        version: 6,
        compatible_from: 2,
        postgres: include_str!("../../migrations/postgres/0006_inbox.sql"),
        sqlite: include_str!("../../migrations/sqlite/0006_inbox.sql"),
    },
    // Indexes alone.
    Migration {
        version: 7,
        compatible_from: 2,
        postgres: include_str!("../../migrations/postgres/0007_audit_lookup.sql"),
        sqlite: include_str!("../../migrations/sqlite/0007_audit_lookup.sql"),
    },
    // Indexes alone.
    Migration {
        version: 8,
        compatible_from: 2,
        postgres: include_str!("../../migrations/postgres/0008_administrators.sql"),
        sqlite: include_str!("../../migrations/sqlite/0008_administrators.sql"),
    },
    // What is refused no program does.
    Migration {
        version: 9,
        compatible_from: 2,
        postgres: include_str!("../../migrations/postgres/0009_feed_kept.sql"),
        sqlite: include_str!("../../migrations/sqlite/0009_feed_kept.sql"),
    },
    // Indexes alone.
    Migration {
        version: 10,
        compatible_from: 2,
        postgres: include_str!("../../migrations/postgres/0010_audit_bulk.sql"),
        sqlite: include_str!("../../migrations/sqlite/0010_audit_bulk.sql"),
    },
];

/// The schema that this program was written for: the last migration it knows.
pub const SCHEMA_VERSION: i64 = 10;

/// What a migration did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Migrated {
    /// The version found; 0: no schema.
    pub from: i64,
    /// The version left.
    pub to: i64,
}

/// The one row of `certgate_schema`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Applied {
    pub(super) version: i64,
    pub(super) compatible_from: i64,
}

impl Applied {
    /// Whether this program can run on what it found. Unknown is no: `None` has no schema.
    pub(super) fn check(found: Option<Self>, place: &str) -> Result<(), StoreError> {
        let place = place.to_owned();
        let Some(found) = found else {
            return Err(StoreError::SchemaMissing { place });
        };
        if found.compatible_from > SCHEMA_VERSION {
            return Err(found.too_new(place));
        }
        if found.version < SCHEMA_VERSION {
            let (found, needed) = (found.version, SCHEMA_VERSION);
            return Err(StoreError::SchemaOld { place, found, needed });
        }
        Ok(())
    }

    const fn too_new(self, place: String) -> StoreError {
        StoreError::SchemaTooNew {
            place,
            found: self.version,
            compatible_from: self.compatible_from,
            known: SCHEMA_VERSION,
        }
    }

    /// The steps still to do, or that the schema is too new to touch.
    fn pending(
        found: Option<Self>,
        place: &str,
    ) -> Result<(i64, &'static [Migration]), StoreError> {
        let Some(found) = found else {
            return Ok((0, &MIGRATIONS));
        };
        if found.compatible_from > SCHEMA_VERSION {
            return Err(found.too_new(place.to_owned()));
        }
        let first = MIGRATIONS.partition_point(|step| step.version <= found.version);
        Ok((found.version, MIGRATIONS.get(first..).unwrap_or_default()))
    }
}

/// Either what the driver said or what we found; the caller gives the first one its class.
pub(super) enum Failure {
    Driver(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

pub(super) async fn applied_postgres(
    connection: &mut PgConnection,
) -> Result<Option<Applied>, sqlx::Error> {
    // A pooler may hand the next words to a server that does not know a named statement.
    let exists: bool = sqlx::query_scalar("select to_regclass('certgate_schema') is not null")
        .persistent(false)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(None);
    }
    let row: Option<(i64, i64)> =
        sqlx::query_as("select version::bigint, compatible_from::bigint from certgate_schema")
            .persistent(false)
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|(version, compatible_from)| Applied { version, compatible_from }))
}

pub(super) async fn applied_sqlite(
    connection: &mut SqliteConnection,
) -> Result<Option<Applied>, sqlx::Error> {
    let exists: i64 = sqlx::query_scalar(
        "select count(*) from sqlite_schema where type = 'table' and name = 'certgate_schema'",
    )
    .fetch_one(&mut *connection)
    .await?;
    if exists == 0 {
        return Ok(None);
    }
    let row: Option<(i64, i64)> =
        sqlx::query_as("select version, compatible_from from certgate_schema")
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|(version, compatible_from)| Applied { version, compatible_from }))
}

/// Applies what is pending, behind an advisory lock that other databases do not share.
pub(super) async fn migrate_postgres(
    connection: &mut PgConnection,
    place: &str,
) -> Result<Migrated, Failure> {
    let mut transaction = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *transaction)
        .await?;
    let encoding: String = sqlx::query_scalar("select current_setting('server_encoding')")
        .fetch_one(&mut *transaction)
        .await?;
    if encoding != "UTF8" {
        let reason = format!("its encoding is {encoding}; create it with encoding UTF8");
        return Err(StoreError::Unreadable { place: place.to_owned(), reason }.into());
    }
    let found = applied_postgres(&mut transaction).await?;
    let (from, pending) = Applied::pending(found, place)?;
    // Whoever waits for a table has all later writers wait behind.
    let patience = format!("set local lock_timeout = '{}ms'", BUSY_LIMIT.as_millis());
    sqlx::raw_sql(AssertSqlSafe(patience)).execute(&mut *transaction).await?;
    for step in pending {
        let applied = sqlx::raw_sql(step.postgres).execute(&mut *transaction).await;
        applied.map_err(|error| busy(error, place))?;
    }
    if let Some(last) = pending.last() {
        sqlx::raw_sql(AssertSqlSafe(record(last))).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(Migrated { from, to: pending.last().map_or(from, |step| step.version) })
}

/// Says of a lock that did not come what SQLite would say.
fn busy(error: sqlx::Error, place: &str) -> Failure {
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() {
        Some(LOCK_NOT_AVAILABLE | DEADLOCK_DETECTED) => {
            StoreError::Busy { place: place.to_owned(), limit: BUSY_LIMIT }.into()
        }
        _ => error.into(),
    }
}

/// Applies what is pending; `begin immediate` keeps every other writer out from the first read on.
pub(super) async fn migrate_sqlite(
    connection: &mut SqliteConnection,
    place: &str,
) -> Result<Migrated, Failure> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    let found = applied_sqlite(&mut transaction).await?;
    let (from, pending) = Applied::pending(found, place)?;
    for step in pending {
        sqlx::raw_sql(step.sqlite).execute(&mut *transaction).await?;
    }
    if let Some(last) = pending.last() {
        sqlx::raw_sql(AssertSqlSafe(record(last))).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(Migrated { from, to: pending.last().map_or(from, |step| step.version) })
}

/// Every step, for an empty database that nobody else knows.
pub(super) async fn make_sqlite(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    for step in &MIGRATIONS {
        sqlx::raw_sql(step.sqlite).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Numbers of our own only; the same text on both databases.
fn record(last: &Migration) -> String {
    format!(
        "delete from certgate_schema;
         insert into certgate_schema (version, compatible_from) values ({}, {})",
        last.version, last.compatible_from
    )
}

/// <https://www.postgresql.org/docs/15/errcodes-appendix.html>
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// The same page.
const DEADLOCK_DETECTED: &str = "40P01";
/// "certgate" as a number; any value would do that no other program takes in this database.
const MIGRATION_LOCK: i64 = 0x6365_7274_6761_7465;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_numbered_in_order_up_to_the_version_of_this_program() {
        let versions: Vec<_> = MIGRATIONS.iter().map(|step| step.version).collect();
        assert_eq!(versions, (1..=SCHEMA_VERSION).collect::<Vec<_>>());
        for step in &MIGRATIONS {
            assert!((1..=step.version).contains(&step.compatible_from));
        }
    }

    /// What stands in a database is not made again, and SQLite's triggers are compared with these.
    #[test]
    fn an_applied_migration_is_never_edited() {
        let first_ten: String =
            MIGRATIONS[..10].iter().flat_map(|step| [step.postgres, step.sqlite]).collect();
        let of_the_first_ten = crate::pki::Fingerprint::of(first_ten.as_bytes()).to_string();
        assert_eq!(
            of_the_first_ten,
            "51c78f3e9a573fd5eaad4c9f7d51a452869817bce8cfd8c22ba5c982a1af3fd4"
        );
    }

    #[test]
    fn a_program_runs_only_on_a_schema_it_is_compatible_with() {
        let check = |version, compatible_from| {
            Applied::check(Some(Applied { version, compatible_from }), "x")
        };
        assert!(matches!(Applied::check(None, "x"), Err(StoreError::SchemaMissing { .. })));
        assert!(matches!(check(1, 1), Err(StoreError::SchemaOld { .. })));
        assert!(check(SCHEMA_VERSION, SCHEMA_VERSION).is_ok());
        assert!(check(SCHEMA_VERSION + 5, SCHEMA_VERSION).is_ok());
        let newer = SCHEMA_VERSION + 1;
        assert!(matches!(check(newer, newer), Err(StoreError::SchemaTooNew { .. })));
    }
}
