//! One transaction of an operator: what is read and written in it holds together or not at all.
//!
//! It knows who acts, and tells the database, which keeps the audit. Dropped without a commit it
//! leaves nothing behind: that is what a dry run is.

use std::future::Future;

use sqlx::{Postgres, Sqlite, Transaction};

use super::audit;
use super::error::{StoreError, Subject, classify};
use super::read::{self, Sink as _};
use super::url::DatabaseUrl;
use super::{CONNECT_LIMIT, LOAD_LIMIT, OPERATOR_LIMIT, Store, limited, within};
use crate::directory;
use crate::directory::row::Row;

/// Who acts, as the audit tells it. All of it is claimed: the database's own user is kept apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct By {
    /// The person.
    pub actor: Option<String>,
    /// By which way.
    pub source: Source,
    /// The proxy's number of the request, for a call of the API.
    pub request_id: Option<String>,
}

impl By {
    /// A person at a command line.
    #[must_use]
    pub const fn cli(actor: Option<String>) -> Self {
        Self { actor, source: Source::Cli, request_id: None }
    }
}

/// By which way a change comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// A call of the API.
    Api,
    /// The command line.
    Cli,
    /// A rule that adds people.
    Provision,
}

impl Source {
    /// The word in the audit.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Cli => "cli",
            Self::Provision => "provision",
        }
    }
}

/// An open transaction. After an error of the database it can only be dropped.
#[derive(Debug)]
pub struct Work {
    pub(super) url: DatabaseUrl,
    /// The role that writes, for `created_by`; SQLite knows none.
    pub(super) role: Option<String>,
    pub(super) side: Side,
    /// The database refused something: what was done before it must not count by itself.
    pub(super) broken: bool,
    /// The database was told who acts: it writes.
    acting: bool,
}

/// The transaction of one database or the other.
#[derive(Debug)]
pub(super) enum Side {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
}

/// Runs the same code in the transaction of whichever database it is.
macro_rules! on_side {
    ($side:expr, $transaction:ident => $body:expr) => {
        match &mut $side {
            $crate::store::work::Side::Postgres($transaction) => $body,
            $crate::store::work::Side::Sqlite($transaction) => $body,
        }
    };
}
pub(super) use on_side;

impl Store {
    /// Begins to write. On SQLite no other writer comes in between, from here on.
    ///
    /// # Errors
    /// The database is not there, or is busy for longer than the limit.
    pub async fn begin(&self, by: &By) -> Result<Work, StoreError> {
        let url = self.url();
        let work = async {
            Ok(match self {
                Self::Postgres(side) => {
                    let mut transaction = side.pool.begin().await?;
                    sqlx::query(ACTING)
                        .bind(by.actor.as_deref().unwrap_or_default())
                        .bind(by.source.word())
                        .bind(by.request_id.as_deref().unwrap_or_default())
                        .persistent(false)
                        .execute(&mut *transaction)
                        .await?;
                    Side::Postgres(transaction)
                }
                Self::Sqlite(side) => {
                    let mut transaction = side.pool.begin_with("begin immediate").await?;
                    audit::begin_acting(&mut transaction, by).await?;
                    Side::Sqlite(transaction)
                }
            })
        };
        let side = limited(url, OPERATOR_LIMIT, work).await?;
        Ok(self.work(side, true))
    }

    /// Begins to read: everything as of one instant.
    ///
    /// # Errors
    /// The database is not there.
    pub async fn read(&self) -> Result<Work, StoreError> {
        let work = async {
            Ok(match self {
                Self::Postgres(side) => Side::Postgres(side.pool.begin_with(read::READ).await?),
                Self::Sqlite(side) => Side::Sqlite(side.pool.begin().await?),
            })
        };
        let side = limited(self.url(), CONNECT_LIMIT, work).await?;
        Ok(self.work(side, false))
    }

    /// Acts in a transaction of its own, which counts if the act does.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn act<T>(
        &self,
        by: &By,
        act: impl AsyncFnOnce(&mut Work) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut work = self.begin(by).await?;
        let done = act(&mut work).await?;
        work.commit().await?;
        Ok(done)
    }

    fn work(&self, side: Side, acting: bool) -> Work {
        let role = self.role().map(str::to_owned);
        Work { url: self.url().clone(), role, side, broken: false, acting }
    }
}

impl Work {
    /// Makes everything that was done here count, all at once.
    ///
    /// # Errors
    /// Nothing counts; so too if the database refused any of it before.
    pub async fn commit(self) -> Result<(), StoreError> {
        let Self { url, role: _, side, broken, acting } = self;
        if broken {
            // A server turns such a commit into a rollback and calls that a success.
            let reason = "a part of this change was refused, so nothing of it counts".to_owned();
            return Err(StoreError::Unreadable { place: url.to_string(), reason });
        }
        let work = async {
            match side {
                Side::Postgres(transaction) => transaction.commit().await,
                Side::Sqlite(mut transaction) => {
                    if acting {
                        audit::end_acting(&mut transaction).await?;
                    }
                    transaction.commit().await
                }
            }
        };
        limited(&url, OPERATOR_LIMIT, work).await
    }

    /// The whole directory as this transaction sees it.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn load(&mut self) -> Result<directory::Rows, StoreError> {
        let mut rows = directory::Rows::default();
        let mut each = |row: Row| rows.push(row);
        self.see_every_row().await?;
        self.hold().await?;
        let work = async {
            on_side!(self.side, transaction => {
                read::read_all!(*transaction, each);
            });
            Ok(())
        };
        limited(&self.url, LOAD_LIMIT, work).await?;
        Ok(rows)
    }

    /// From here on the database refuses what row-level security would leave rows out of, whatever
    /// its policies say.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn see_every_row(&mut self) -> Result<(), StoreError> {
        self.say(read::WHOLE).await
    }

    /// Nobody empties the directory's tables before this ends ([`read::HOLD`]).
    pub(super) async fn hold(&mut self) -> Result<(), StoreError> {
        self.say(read::HOLD).await
    }

    /// Says something to PostgreSQL, and nothing to SQLite.
    async fn say(&mut self, words: &'static str) -> Result<(), StoreError> {
        let Side::Postgres(transaction) = &mut self.side else { return Ok(()) };
        let said = sqlx::query(words).persistent(false).execute(&mut **transaction);
        limited(&self.url, LOAD_LIMIT, said).await.map(drop)
    }
}

/// One act within its time limit; what the database says is put into words about the subject.
pub(super) async fn act<T>(
    url: &DatabaseUrl,
    broken: &mut bool,
    subject: Subject<'_>,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    // Until it is known to have gone well.
    let was_broken = std::mem::replace(broken, true);
    let done = within(url, OPERATOR_LIMIT, work).await?;
    let done = done.map_err(|error| classify(error, url, subject))?;
    *broken = was_broken;
    Ok(done)
}

/// Who acts, for the triggers that keep the audit; ends with the transaction.
const ACTING: &str = "select set_config('certgate.actor', $1, true), \
     set_config('certgate.source', $2, true), set_config('certgate.request_id', $3, true)";
