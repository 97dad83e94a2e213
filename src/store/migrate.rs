//! Which migrations there are, and which of them a database still needs.
//!
//! Each database's own room runs them: all pending ones in one transaction, under a lock, so that
//! of two programs one migrates and the other finds nothing to do. Applied ones are never edited.

use super::error::StoreError;
use super::url::DatabaseUrl;

/// The schema version that this program knows: the number of its last migration.
pub const SCHEMA_VERSION: i64 = 2;

/// The oldest program, by its schema version, that can run on the schema as it is now.
pub(super) const COMPATIBLE_FROM: i64 = 2;

/// PostgreSQL's migrations; the first has number 1.
pub(super) const POSTGRES: [&str; 2] = [
    include_str!("../../migrations/postgres/0001_directory.sql"),
    include_str!("../../migrations/postgres/0002_feed.sql"),
];

/// SQLite's migrations, of the same numbers.
pub(super) const SQLITE: [&str; 2] = [
    include_str!("../../migrations/sqlite/0001_directory.sql"),
    include_str!("../../migrations/sqlite/0002_feed.sql"),
];

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version before; 0 if there was no schema.
    pub from: i64,
    /// The version now.
    pub to: i64,
}

/// The one row of `certgate_schema`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schema {
    pub(super) version: i64,
    pub(super) compatible_from: i64,
}

/// What has to be done with a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Usable,
    /// Migrations after this version are missing; 0 if there is no schema at all.
    Pending {
        /// The version that is there.
        from: i64,
    },
}

/// Judges a schema; none means that there is no table `certgate_schema`.
pub(super) fn judge(url: &DatabaseUrl, schema: Option<Schema>) -> Result<Verdict, StoreError> {
    let Some(schema) = schema else { return Ok(Verdict::Pending { from: 0 }) };
    if schema.compatible_from > SCHEMA_VERSION {
        return Err(StoreError::SchemaTooNew {
            place: url.to_string(),
            found: schema.version,
            compatible_from: schema.compatible_from,
            ours: SCHEMA_VERSION,
        });
    }
    if schema.version < SCHEMA_VERSION {
        return Ok(Verdict::Pending { from: schema.version });
    }
    Ok(Verdict::Usable)
}

/// The migrations after a version.
pub(super) fn pending(all: &'static [&'static str], from: i64) -> &'static [&'static str] {
    usize::try_from(from).ok().and_then(|from| all.get(from..)).unwrap_or_default()
}

/// The error for a schema that only `certgate migrate` may bring up to date.
pub(super) fn needs_migration(url: &DatabaseUrl, from: i64) -> StoreError {
    let place = url.to_string();
    if from == 0 {
        return StoreError::SchemaMissing { place };
    }
    StoreError::SchemaOld { place, found: from, needed: SCHEMA_VERSION }
}
