//! The store in a SQLite file.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{Connection as _, Error, Row as _, SqliteConnection, SqlitePool};
use tokio::time::Instant;

use super::error::StoreError;
use super::migrate::{self, COMPATIBLE_FROM, Migrated, SCHEMA_VERSION, Schema, Verdict};
use super::rows::{BLOCKS, Columns, GROUPS, MAPPINGS, USERS};
use super::url::DatabaseUrl;
use super::{CONNECT_LIMIT, LOAD_LIMIT, LOOK_LIMIT, Open, within};
use crate::directory::Rows;

/// How long a writer waits for another; the shell's writers hold the file for milliseconds.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// How often the file is asked whether somebody wrote.
const WATCH_INTERVAL: Duration = Duration::from_millis(25);
/// Connections of one program.
const MAX_CONNECTIONS: u32 = 4;

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_LIMIT)
}

/// Opens the file; creates it only if that is allowed. Otherwise it is not touched: it may be
/// somebody else's.
pub(super) async fn pool(
    url: &DatabaseUrl,
    path: &Path,
    open: Open,
) -> Result<SqlitePool, StoreError> {
    let unusable_file = |error: std::io::Error| StoreError::UnusableFile {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut options = options(path);
    if !path.try_exists().map_err(unusable_file)? {
        if open == Open::Existing {
            return Err(StoreError::NoDatabaseFile { path: path.to_owned() });
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
            let (path, folder) = (path.to_owned(), folder.to_owned());
            return Err(StoreError::FolderMissing { path, folder });
        }
        options = options.create_if_missing(true);
    }
    let pool = SqlitePoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(CONNECT_LIMIT)
        .connect_with(options);
    within(url, CONNECT_LIMIT, pool).await.map_err(|error| of_file(path, error))
}

/// Sorts SQLite's errors of a file that is opened (<https://www.sqlite.org/rescode.html>).
fn of_file(path: &Path, error: StoreError) -> StoreError {
    let StoreError::Query { place, source: Error::Database(source) } = error else { return error };
    let reason = source.message().to_owned();
    let path = path.to_owned();
    match result_code(&*source) {
        Some(SQLITE_BUSY) => StoreError::Unreachable { place, reason },
        Some(SQLITE_CANTOPEN | SQLITE_CORRUPT | SQLITE_IOERR | SQLITE_READONLY) => {
            StoreError::UnusableFile { path, reason }
        }
        Some(SQLITE_NOTADB) => StoreError::NotADatabase { path },
        _ => StoreError::Query { place, source: Error::Database(source) },
    }
}

/// Migrates a schema that is there, or makes one where that is allowed.
pub(super) async fn bring_up_to_date(
    url: &DatabaseUrl,
    path: &Path,
    pool: &SqlitePool,
    open: Open,
) -> Result<(), StoreError> {
    let schema = within(url, LOOK_LIMIT, async { schema(&mut *pool.acquire().await?).await })
        .await
        .map_err(|error| of_file(path, error))?;
    match migrate::judge(url, schema)? {
        Verdict::Usable => Ok(()),
        Verdict::Pending { from: 0 } if open == Open::Existing => {
            Err(migrate::needs_migration(url, 0))
        }
        Verdict::Pending { .. } => migrate(url, path, pool).await.map(|_| ()),
    }
}

async fn schema(connection: &mut SqliteConnection) -> Result<Option<Schema>, Error> {
    let tables: i64 =
        sqlx::query_scalar("select count(*) from sqlite_schema where name = 'certgate_schema'")
            .fetch_one(&mut *connection)
            .await?;
    if tables == 0 {
        return Ok(None);
    }
    let row = sqlx::query("select version, compatible_from from certgate_schema")
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok(Schema { version: row.try_get(0)?, compatible_from: row.try_get(1)? }))
        .transpose()
}

/// Applies what is pending, in one transaction that keeps every other writer out from its start.
pub(super) async fn migrate(
    url: &DatabaseUrl,
    path: &Path,
    pool: &SqlitePool,
) -> Result<Migrated, StoreError> {
    let mut connection = within(url, CONNECT_LIMIT, pool.acquire()).await?;
    let locked = async {
        let mut transaction = connection.begin_with("begin immediate").await?;
        let schema = schema(&mut transaction).await?;
        Ok((transaction, schema))
    };
    let (mut transaction, schema) =
        within(url, LOAD_LIMIT, locked).await.map_err(|error| of_file(path, error))?;
    let from = match migrate::judge(url, schema)? {
        Verdict::Usable => {
            within(url, LOOK_LIMIT, transaction.rollback()).await?;
            within(url, LOAD_LIMIT, write_ahead(&mut connection)).await?;
            let version = schema.map_or(SCHEMA_VERSION, |schema| schema.version);
            return Ok(Migrated { from: version, to: version });
        }
        Verdict::Pending { from } => from,
    };
    let apply = async {
        for text in migrate::pending(&migrate::SQLITE, from) {
            sqlx::raw_sql(*text).execute(&mut *transaction).await?;
        }
        sqlx::query(
            "insert into certgate_schema (one, version, compatible_from) values (1, $1, $2) \
             on conflict (one) do update \
             set version = excluded.version, compatible_from = excluded.compatible_from",
        )
        .bind(SCHEMA_VERSION)
        .bind(COMPATIBLE_FROM)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    };
    within(url, LOAD_LIMIT, apply).await?;
    within(url, LOAD_LIMIT, write_ahead(&mut connection)).await?;
    Ok(Migrated { from, to: SCHEMA_VERSION })
}

/// Has readers and writers not wait for each other; the file remembers it.
///
/// SQLite does not wait by itself for whoever is in the way of this.
async fn write_ahead(connection: &mut SqliteConnection) -> Result<(), Error> {
    loop {
        match sqlx::query("pragma journal_mode = wal").execute(&mut *connection).await {
            Ok(_) => return Ok(()),
            Err(Error::Database(error)) if result_code(&*error) == Some(SQLITE_BUSY) => {
                tokio::time::sleep(WATCH_INTERVAL).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The primary result code, without what extends it.
fn result_code(error: &dyn DatabaseError) -> Option<i64> {
    error.code()?.parse::<i64>().ok().map(|code| code & 0xff)
}

/// Everything in one snapshot.
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Rows, Error> {
    let mut transaction = connection.begin().await?;
    let users = all(&mut transaction, USERS, |row| Columns(row).user()).await?;
    let groups = all(&mut transaction, GROUPS, |row| Columns(row).group()).await?;
    let mappings = all(&mut transaction, MAPPINGS, |row| Columns(row).mapping()).await?;
    let blocks = all(&mut transaction, BLOCKS, |row| Columns(row).block()).await?;
    transaction.commit().await?;
    Ok(Rows { users, groups, mappings, blocks })
}

async fn all<T>(
    connection: &mut SqliteConnection,
    query: &'static str,
    read: impl Fn(&SqliteRow) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    use futures_util::TryStreamExt as _;
    let mut rows = sqlx::query(query).fetch(connection);
    let mut values = Vec::new();
    while let Some(row) = rows.try_next().await? {
        values.push(read(&row)?);
    }
    Ok(values)
}

/// Watching, loaded, looking; on one connection of its own.
#[derive(Debug)]
pub(super) struct Session {
    url: DatabaseUrl,
    path: PathBuf,
    file: File,
    connection: SqliteConnection,
    /// `pragma data_version` before the last load began.
    version: i64,
}

/// Which file a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct File {
    device: u64,
    inode: u64,
}

impl Session {
    pub(super) async fn start(url: &DatabaseUrl, path: &Path) -> Result<Self, StoreError> {
        // Which file first: if it is replaced before the connection opens, the first look finds out.
        let file = file(path)?;
        let options = options(path);
        let connection = SqliteConnection::connect_with(&options);
        let connection =
            within(url, CONNECT_LIMIT, connection).await.map_err(|error| of_file(path, error))?;
        let (url, path) = (url.clone(), path.to_owned());
        Ok(Self { url, path, file, connection, version: 0 })
    }

    pub(super) async fn load(&mut self) -> Result<Rows, StoreError> {
        let work = async {
            // Asked before the snapshot: what is written in between is seen again, never missed.
            let version = data_version(&mut self.connection).await?;
            Ok((version, load(&mut self.connection).await?))
        };
        let (version, rows) = within(&self.url, LOAD_LIMIT, work).await?;
        self.version = version;
        Ok(rows)
    }

    pub(super) async fn changed(&mut self, poll: Duration) -> Result<bool, StoreError> {
        let end = Instant::now() + poll;
        loop {
            if file(&self.path)? != self.file {
                return Err(StoreError::FileReplaced { path: self.path.clone() });
            }
            let version = data_version(&mut self.connection);
            if within(&self.url, LOOK_LIMIT, version).await? != self.version {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }
}

/// A number that changes when another connection has committed
/// (<https://www.sqlite.org/pragma.html#pragma_data_version>).
async fn data_version(connection: &mut SqliteConnection) -> Result<i64, Error> {
    sqlx::query_scalar("pragma data_version").fetch_one(connection).await
}

fn file(path: &Path) -> Result<File, StoreError> {
    std::fs::metadata(path).map(|facts| File { device: facts.dev(), inode: facts.ino() }).map_err(
        |error| match error.kind() {
            ErrorKind::NotFound => StoreError::NoDatabaseFile { path: path.to_owned() },
            _ => StoreError::UnusableFile { path: path.to_owned(), reason: error.to_string() },
        },
    )
}

/// SQLite's result codes.
const SQLITE_BUSY: i64 = 5;
const SQLITE_READONLY: i64 = 8;
const SQLITE_IOERR: i64 = 10;
const SQLITE_CORRUPT: i64 = 11;
const SQLITE_CANTOPEN: i64 = 14;
const SQLITE_NOTADB: i64 = 26;
