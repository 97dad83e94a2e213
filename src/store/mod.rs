//! All the SQL: users, groups, mappings and blocks in PostgreSQL or SQLite.
//!
//! It reads rows as they are and judges none of them; whether a row can be used is the
//! directory's business. One contract, two databases, one test suite for both.

mod error;
mod migrate;
mod postgres;
mod rows;
mod sqlite;
mod url;
mod value;

use std::time::Duration;

use sqlx::{PgPool, SqlitePool};

pub use error::StoreError;
pub use migrate::{Migrated, SCHEMA_VERSION};
pub use url::DatabaseUrl;

use crate::directory::Rows;
use url::Place;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long reading everything may take; ten million rows take less.
const LOAD_LIMIT: Duration = Duration::from_secs(120);
/// How long a look or a short statement may take.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// Whether opening may create what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Never: the caller would silently work on an empty database.
    Existing,
    /// A SQLite file and its tables; PostgreSQL's only by `certgate migrate`.
    Create,
}

/// An open store whose schema this program can use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    url: DatabaseUrl,
    pool: Pool,
}

#[derive(Clone, Debug)]
enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl Store {
    /// Connects and checks the schema. SQLite's is brought up to date on the way.
    ///
    /// # Errors
    /// Each way in which this database cannot be used, apart from the others.
    pub async fn open(url: &DatabaseUrl, open: Open) -> Result<Self, StoreError> {
        let pool = match url.place() {
            Place::Postgres(options) => {
                postgres::check_schema(url, options).await?;
                Pool::Postgres(postgres::pool(options))
            }
            Place::Sqlite(path) => {
                let pool = sqlite::pool(url, path, open).await?;
                sqlite::bring_up_to_date(url, path, &pool, open).await?;
                Pool::Sqlite(pool)
            }
        };
        Ok(Self { url: url.clone(), pool })
    }

    /// Everything a directory is built from, in one consistent snapshot.
    ///
    /// # Errors
    /// The database cannot be read, or not in time.
    pub async fn load(&self) -> Result<Rows, StoreError> {
        self.limit(LOAD_LIMIT, async {
            match &self.pool {
                Pool::Postgres(pool) => {
                    let mut connection = pool.acquire().await?;
                    Ok(postgres::load(&mut connection).await?.0)
                }
                Pool::Sqlite(pool) => sqlite::load(&mut *pool.acquire().await?).await,
            }
        })
        .await
    }

    /// Runs something with a deadline, and says where it failed.
    async fn limit<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        within(&self.url, limit, work).await
    }
}

/// Runs something with a deadline of our own: the driver has none, and a cut connection would
/// hang for ever.
async fn within<T>(
    url: &DatabaseUrl,
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(|error| StoreError::of(url, error)),
        Err(_) => Err(StoreError::TimedOut { place: url.to_string(), seconds: limit.as_secs() }),
    }
}

/// Brings the schema up to date, creating what is not there.
///
/// # Errors
/// The database cannot be changed, or belongs to a newer program.
pub async fn migrate(url: &DatabaseUrl) -> Result<Migrated, StoreError> {
    match url.place() {
        Place::Postgres(options) => postgres::migrate(url, options).await,
        Place::Sqlite(path) => {
            let pool = sqlite::pool(url, path, Open::Create).await?;
            sqlite::migrate(url, path, &pool).await
        }
    }
}

/// One unbroken stretch of following a store: subscribed first, loaded then, looking ever since.
///
/// Any error ends it; what was missed meanwhile is only made good by a new session's load.
#[derive(Debug)]
pub struct Session(Following);

#[derive(Debug)]
enum Following {
    Postgres(Box<postgres::Session>),
    Sqlite(Box<sqlite::Session>),
}

impl Session {
    /// Connects and subscribes.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn start(store: &Store) -> Result<Self, StoreError> {
        Ok(Self(match store.url.place() {
            Place::Postgres(options) => {
                Following::Postgres(Box::new(postgres::Session::start(&store.url, options).await?))
            }
            Place::Sqlite(path) => {
                Following::Sqlite(Box::new(sqlite::Session::start(&store.url, path).await?))
            }
        }))
    }

    /// Everything, in one consistent snapshot, from which the following looks go on.
    ///
    /// # Errors
    /// The session is over.
    pub async fn load(&mut self) -> Result<Rows, StoreError> {
        match &mut self.0 {
            Following::Postgres(session) => session.load().await,
            Following::Sqlite(session) => session.load().await,
        }
    }

    /// Waits for a sign of change, at most for `poll`, then looks: true if there is anything that
    /// the last load has not seen. False means "looked, and nothing is new"; a standby that hears
    /// nothing from its primary cannot say that, so there it goes on until it can.
    ///
    /// # Errors
    /// The session is over.
    pub async fn changed(&mut self, poll: Duration) -> Result<bool, StoreError> {
        match &mut self.0 {
            Following::Postgres(session) => session.changed(poll).await,
            Following::Sqlite(session) => session.changed(poll).await,
        }
    }
}
