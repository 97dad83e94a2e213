//! Follows the directory: one snapshot, then every change, with no gap between the two.
//!
//! A session is one connection. Whatever breaks it ends it, and its owner starts a new one, which
//! loads anew; nothing here may reconnect by itself, because what happened meanwhile is unknown.

mod feed;
mod freshness;
mod keys;
mod postgres;
mod sqlite;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::Connection;

use super::error::{NotFed, StoreError, Subject, classify};
use super::read::Sink;
use super::{LOAD_LIMIT, Store, limited};
use crate::directory::Rows;
use crate::directory::row::{Change, Row};

#[cfg(test)]
pub(crate) use self::feed::{Entry, Glance, Glanced, Position as FeedPosition};
#[cfg(test)]
pub(crate) use self::freshness::{Beat, Freshness};

/// What a session's look found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Looked {
    /// What stands under the keys that changed, as of one instant: to be published all at once.
    Changes(Vec<Change>),
    /// Load anew, and why.
    Reload(&'static str),
    /// Nothing changed.
    Same,
}

impl Looked {
    /// Whether anything may be different.
    #[must_use]
    pub const fn is_news(&self) -> bool {
        !matches!(self, Self::Same)
    }
}

/// How a session learns of changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manner {
    /// SQLite's file is asked every few milliseconds.
    File,
    /// PostgreSQL's primary notifies, and a poll makes up for what gets lost.
    Notified,
    /// A pooler stands between: notifications do not come through it, so only the poll is left.
    PolledPooler,
    /// A hot standby cannot notify: only the poll is left.
    PolledStandby,
}

impl Manner {
    /// A word for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Notified => "notified",
            Self::PolledPooler => "polled: behind a pooler",
            Self::PolledStandby => "polled: standby",
        }
    }
}

impl Store {
    /// Reads the whole directory as of one instant, if it could be followed from there.
    pub async fn load(&self) -> Result<Rows, StoreError> {
        let mut rows = Rows::default();
        let mut each = |row: Row| rows.push(row);
        let work = async {
            match self {
                Self::Postgres(side) => {
                    let mut connection = side.pool.acquire().await?;
                    postgres::load(&mut connection, &mut each).await.map(drop)
                }
                Self::Sqlite(side) => {
                    let mut connection = side.pool.acquire().await?;
                    sqlite::load(&mut connection, &mut each).await.map(drop)
                }
            }
        };
        limited(self.url(), LOAD_LIMIT, work).await?;
        Ok(rows)
    }
}

/// One unbroken connection to the database, following the directory.
///
/// `start`, then `load`, then `wait` and `look` again and again; after a [`Looked::Reload`],
/// `load`. An error ends the session for good.
#[derive(Debug)]
pub struct Session {
    side: Side,
    ended: bool,
}

#[derive(Debug)]
enum Side {
    Postgres(postgres::Follower),
    Sqlite(sqlite::Follower),
}

impl Session {
    /// Connects and subscribes, so that no change after this moment can be missed.
    pub async fn start(store: &Store) -> Result<Self, StoreError> {
        let side = match store {
            Store::Postgres(store) => Side::Postgres(postgres::Follower::start(store).await?),
            Store::Sqlite(store) => Side::Sqlite(sqlite::Follower::start(store).await?),
        };
        Ok(Self { side, ended: false })
    }

    /// Reads the whole directory as of one instant, and follows from there.
    pub async fn load(&mut self) -> Result<Rows, StoreError> {
        let mut rows = Rows::default();
        self.load_each(|row: Row| rows.push(row)).await?;
        Ok(rows)
    }

    /// As [`Session::load`], handing over row by row: groups, users, mappings, blocks, rules. On an
    /// error what was handed over is part of a snapshot and worth nothing.
    pub async fn load_each(&mut self, mut each: impl Sink) -> Result<(), StoreError> {
        self.check()?;
        let count = AtomicU64::new(0);
        let mut each = Counted { sink: &mut each, count: &count };
        let place = self.place();
        let work = async {
            match &mut self.side {
                Side::Postgres(side) => side.load(&mut each).await,
                Side::Sqlite(side) => side.load(&mut each).await,
            }
        };
        let loaded = while_rows_come(&place, LOAD_LIMIT, &count, work).await;
        self.ended = loaded.is_err();
        loaded
    }

    /// Waits until something may have changed, or the time has passed; which of the two is only
    /// for those who count. Any gap is an error.
    pub async fn wait(&mut self, limit: Duration) -> Result<bool, StoreError> {
        self.check()?;
        let woken = match &mut self.side {
            Side::Postgres(side) => side.wait(limit).await,
            Side::Sqlite(side) => side.wait(limit).await,
        };
        self.ended = woken.is_err();
        woken
    }

    /// Reads what changed since the last look or load, in one snapshot. Before the first load
    /// the answer is [`Looked::Reload`].
    pub async fn look(&mut self) -> Result<Looked, StoreError> {
        self.check()?;
        let looked = match &mut self.side {
            Side::Postgres(side) => side.look().await,
            Side::Sqlite(side) => side.look().await,
        };
        self.ended = looked.is_err();
        looked
    }

    /// The last moment of which it is known that what was loaded, or found changed, was true.
    ///
    /// On a standby it stands still while the primary's heartbeat does: a standby that is cut off
    /// answers every look and knows nothing. `None` before the first load.
    pub fn looked_at(&self) -> Option<Instant> {
        match &self.side {
            Side::Postgres(side) => side.looked_at(),
            Side::Sqlite(side) => side.looked_at(),
        }
    }

    /// How it learns of changes.
    pub fn manner(&self) -> Manner {
        match &self.side {
            Side::Postgres(side) => side.manner(),
            Side::Sqlite(_) => Manner::File,
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        if !self.ended {
            return Ok(());
        }
        let reason = "this session has ended".to_owned();
        Err(StoreError::Unreachable { place: self.place(), reason })
    }

    fn place(&self) -> String {
        match &self.side {
            Side::Postgres(side) => side.place(),
            Side::Sqlite(side) => side.place(),
        }
    }
}

/// Counts what a sink takes.
struct Counted<'c, S> {
    sink: &'c mut S,
    count: &'c AtomicU64,
}

impl<S: Sink> Sink for Counted<'_, S> {
    fn take(&mut self, row: Row) -> impl Future<Output = ()> + Send {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sink.take(row)
    }
}

/// Waits for a load for as long as rows come: ten million on a busy machine take minutes, and a
/// server that was cut off sends none.
async fn while_rows_come<T>(
    place: &str,
    limit: Duration,
    count: &AtomicU64,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut work = std::pin::pin!(work);
    loop {
        let before = count.load(Ordering::Relaxed);
        match tokio::time::timeout(limit, work.as_mut()).await {
            Ok(loaded) => return loaded,
            Err(_) if count.load(Ordering::Relaxed) > before => {}
            Err(_) => return Err(StoreError::TimedOut { place: place.to_owned(), limit }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    /// A load that gets so many rows, one each time that it is asked, and ends after so many asks.
    async fn load(rows: u32, asks: u32) -> Result<(), StoreError> {
        let (count, mut asked) = (AtomicU64::new(0), 0);
        let work = std::future::poll_fn(|_| {
            asked += 1;
            count.fetch_add(u64::from(asked <= rows), Ordering::Relaxed);
            if asked < asks { Poll::Pending } else { Poll::Ready(Ok(())) }
        });
        while_rows_come("here", Duration::ZERO, &count, work).await
    }

    #[tokio::test]
    async fn a_load_may_take_long_and_must_not_stand_still() {
        assert!(load(100, 100).await.is_ok());
        assert!(matches!(load(5, 100).await, Err(StoreError::TimedOut { .. })));
        assert!(matches!(load(0, u32::MAX).await, Err(StoreError::TimedOut { .. })));
    }
}
