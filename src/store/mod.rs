//! All the SQL: PostgreSQL and SQLite behind one store, checked by one contract suite.
//!
//! Layout:
//! * [`DatabaseUrl`], [`StoreError`]: where the database is, and what can go wrong there;
//! * `schema`: migrations; `constraint`: the schema's rules by name;
//! * [`Session`]: follows the directory: load, then every change;
//! * [`Work`]: one transaction of an operator, in which `operator` has what people do: users, groups,
//!   mappings, blocks, rules;
//! * `audit`: who changed what, which the database writes itself;
//! * `seen`: what a running service reports: certificates, denials, whom a rule brings.
//!
//! It must not decide anything: rows leave it unjudged, and no request waits for it.

mod audit;
mod connect;
mod constraint;
mod copy;
mod denied;
mod error;
pub(crate) mod follow;
mod health;
mod known;
mod operator;
mod read;
mod schema;
mod seen;
mod triggers;
mod url;
mod value;
mod work;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{ConnectOptions, PgPool, SqlitePool};

pub use self::audit::{AuditFilter, AuditRow};
pub use self::copy::{Copied, CopyError};
pub use self::denied::{DeniedRow, KeptCertificate};
pub use self::error::{NotFed, StoreError};
pub use self::follow::{Looked, Manner, Session};
pub use self::health::{ServerHealth, WeakTriggers};
pub use self::operator::{
    Block, BlockEdit, CertificateFacts, Digits, Edit, GivenBlock, GivenMapping, Mapping,
    MappingEdit, Member, NewBlock, NewMapping, NewUser, PatternText, Rule, RuleEdit, RuleText,
    StoredCertificate, User, UserEdit, UserFilter,
};
pub use self::read::Sink;
pub use self::schema::{Migrated, SCHEMA_VERSION};
pub use self::seen::{Denial, HeldCertificate, Reported, SeenCertificate};
pub use self::url::DatabaseUrl;
pub use self::work::{By, Source, Work};

use self::error::{Subject, classify};
use self::schema::{Applied, Failure};
use self::url::Place;

/// A connected database with a schema that this program can use. Clones share their connections.
#[derive(Clone, Debug)]
pub enum Store {
    /// One server, or a cluster behind its address.
    Postgres(PostgresStore),
    /// One file.
    Sqlite(SqliteStore),
}

/// The PostgreSQL side of a [`Store`].
#[derive(Clone, Debug)]
pub struct PostgresStore {
    url: DatabaseUrl,
    pool: PgPool,
    options: PgConnectOptions,
}

/// The SQLite side of a [`Store`].
#[derive(Clone, Debug)]
pub struct SqliteStore {
    url: DatabaseUrl,
    pool: SqlitePool,
    options: SqliteConnectOptions,
}

/// Whether opening may make a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Open {
    /// May make the file and apply migrations to SQLite: `serve`, `demo`, `migrate`, `copy`.
    Create,
    /// Makes nothing and migrates nothing: every other command.
    Existing,
}

/// Runs the same code over whichever database it is.
macro_rules! on_either {
    ($store:expr, $side:ident => $body:expr) => {
        match $store {
            $crate::store::Store::Postgres($side) => $body,
            $crate::store::Store::Sqlite($side) => $body,
        }
    };
}
pub(crate) use on_either;

impl Store {
    /// Connects and checks the schema. SQLite with [`Open::Create`] is migrated; PostgreSQL never
    /// is: that is for [`Store::migrate`].
    pub async fn open(url: &DatabaseUrl, open: Open) -> Result<Self, StoreError> {
        let place = url.to_string();
        match url.place() {
            Place::Postgres(_) => {
                let server = connect::postgres(url).await?;
                let options = server.options.clone();
                server.check_schema().await?;
                let pool = PgPoolOptions::new()
                    .max_connections(MAX_CONNECTIONS)
                    .acquire_timeout(CONNECT_LIMIT)
                    .idle_timeout(IDLE_LIMIT)
                    .connect_lazy_with(options.clone());
                Ok(Self::Postgres(PostgresStore { url: url.clone(), pool, options }))
            }
            Place::Sqlite(path) => {
                let (mut connection, options) = connect_sqlite(url, path, open).await?;
                if open == Open::Create {
                    migrate_sqlite(url, &mut connection).await?;
                }
                let found = limited(url, LOOK_LIMIT, schema::applied_sqlite(&mut connection));
                Applied::check(found.await?, &place)?;
                let pool = SqlitePoolOptions::new()
                    .max_connections(MAX_CONNECTIONS)
                    .acquire_timeout(CONNECT_LIMIT)
                    .connect_lazy_with(options.clone());
                Ok(Self::Sqlite(SqliteStore { url: url.clone(), pool, options }))
            }
        }
    }

    /// Applies the migrations that are pending, all or none. Safe to run twice at once.
    pub async fn migrate(url: &DatabaseUrl) -> Result<Migrated, StoreError> {
        match url.place() {
            Place::Postgres(_) => {
                let mut connection = connect::postgres(url).await?.into_connection();
                let place = url.to_string();
                let work = schema::migrate_postgres(&mut connection, &place);
                let migrated = within(url, LOAD_LIMIT, work).await?;
                migrated.map_err(|failure| classify_failure(failure, url))
            }
            Place::Sqlite(path) => {
                let (mut connection, _) = connect_sqlite(url, path, Open::Create).await?;
                migrate_sqlite(url, &mut connection).await
            }
        }
    }

    /// Which database this is.
    pub fn url(&self) -> &DatabaseUrl {
        on_either!(self, side => &side.url)
    }

    /// Ends all connections of this store and its clones, sessions excepted.
    pub async fn close(&self) {
        on_either!(self, side => side.pool.close().await);
    }

    /// The role that writes, for `created_by`; SQLite knows none.
    fn role(&self) -> Option<&str> {
        match self {
            Self::Postgres(side) => Some(side.options.get_username()),
            Self::Sqlite(_) => None,
        }
    }
}

/// Opens the file. Switching it to WAL takes a lock that SQLite does not wait for, so that is
/// asked for only where the file may be new, and tried again until the limit.
async fn connect_sqlite(
    url: &DatabaseUrl,
    path: &Path,
    open: Open,
) -> Result<(SqliteConnection, SqliteConnectOptions), StoreError> {
    let create = open == Open::Create;
    if !create && !path.exists() {
        return Err(StoreError::NoDatabaseFile { path: path.to_owned() });
    }
    if let Some(folder) = path.parent().filter(|folder| create && !folder.is_dir()) {
        let (path, folder) = (path.to_owned(), folder.to_owned());
        return Err(StoreError::FolderMissing { path, folder });
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .busy_timeout(BUSY_LIMIT)
        .foreign_keys(false)
        .row_buffer_size(ROW_CHANNEL);
    let mut connection = limited(url, CONNECT_LIMIT, options.connect()).await?;
    let encoding: String =
        limited(url, LOOK_LIMIT, sqlx::query_scalar("pragma encoding").fetch_one(&mut connection))
            .await?;
    if encoding != "UTF-8" {
        let reason = format!("its encoding is {encoding}, certgate needs UTF-8");
        return Err(StoreError::Unreadable { place: url.to_string(), reason });
    }
    if create {
        let wal = options.clone().journal_mode(SqliteJournalMode::Wal);
        let deadline = tokio::time::Instant::now() + CONNECT_LIMIT;
        connection = loop {
            match limited(url, CONNECT_LIMIT, wal.connect()).await {
                Err(StoreError::Busy { .. }) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                connected => break connected?,
            }
        };
    }
    // A database that others made read-only or put into another directory opens without this.
    Ok((connection, options.create_if_missing(false)))
}

async fn migrate_sqlite(
    url: &DatabaseUrl,
    connection: &mut SqliteConnection,
) -> Result<Migrated, StoreError> {
    let place = url.to_string();
    let migrated = within(url, LOAD_LIMIT, schema::migrate_sqlite(connection, &place)).await?;
    migrated.map_err(|failure| classify_failure(failure, url))
}

fn classify_failure(failure: Failure, url: &DatabaseUrl) -> StoreError {
    match failure {
        Failure::Driver(error) => classify(error, url, Subject::default()),
        Failure::Store(error) => error,
    }
}

/// Waits for the driver, but not for ever: a server that was cut off never answers.
async fn limited<T>(
    url: &DatabaseUrl,
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    within(url, limit, work).await?.map_err(|error| classify(error, url, Subject::default()))
}

async fn within<T>(
    url: &DatabaseUrl,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, StoreError> {
    let timed_out = |_| StoreError::TimedOut { place: url.to_string(), limit };
    tokio::time::timeout(limit, work).await.map_err(timed_out)
}

/// To connect: an operator waits no longer for an address that does not answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// For one small query: the heartbeat that finds a deaf connection, within 3 s of the last answer.
const LOOK_LIMIT: Duration = Duration::from_millis(1800);
/// For what an operator asks: also waits for another's transaction on the same row.
const OPERATOR_LIMIT: Duration = Duration::from_secs(15);
/// To load everything or to migrate: a million rows take seconds.
const LOAD_LIMIT: Duration = Duration::from_secs(60);
/// How long SQLite waits for another writer, and a migration of PostgreSQL for a table.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// Between two attempts to switch a file to WAL.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// Connections of one program: operators are few, and requests need none.
const MAX_CONNECTIONS: u32 = 4;
/// An idle connection is given back to the server after this long.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// Rows that SQLite's thread reads ahead of the loader.
const ROW_CHANNEL: usize = 512;
