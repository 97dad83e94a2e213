//! Follows the directory: one snapshot, then every change, with no gap between the two.
//!
//! A session is one connection. Whatever breaks it ends it, and its owner starts a new one, which
//! loads anew; nothing here may reconnect by itself, because what happened meanwhile is unknown.

mod postgres;
mod sqlite;

use std::time::{Duration, Instant};

use sqlx::Connection;

use super::error::{StoreError, Subject, classify};
use super::read::{Rows, Snapshot};
use super::{LOAD_LIMIT, LOOK_LIMIT, Store, limited};
use crate::directory::row::Row;

/// How far a snapshot or a look has seen. Worth nothing on another database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cursor(Position);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Position {
    Postgres(postgres::Position),
    Sqlite(sqlite::Position),
}

/// What a look found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Look {
    /// Something may be different: load anew.
    Changed,
    /// Nothing changed; look on from here.
    Same(Cursor),
}

impl Store {
    /// Reads the whole directory as of one instant.
    pub async fn load(&self) -> Result<Snapshot, StoreError> {
        let mut rows = Rows::default();
        let mut each = |row| rows.push(row);
        let url = self.url();
        let work = async {
            Ok(match self {
                Self::Postgres(side) => {
                    let mut connection = side.pool.acquire().await?;
                    Position::Postgres(postgres::load(&mut connection, &mut each).await?.0)
                }
                Self::Sqlite(side) => {
                    let mut connection = side.pool.acquire().await?;
                    Position::Sqlite(sqlite::load(&mut connection, &mut each).await?)
                }
            })
        };
        let position = limited(url, LOAD_LIMIT, work).await?;
        Ok(rows.at(Cursor(position)))
    }

    /// Whether anything changed since the cursor. When in doubt the answer is
    /// [`Look::Changed`]: a cursor of another server, or one that the feed was trimmed past.
    pub async fn look(&self, cursor: &Cursor) -> Result<Look, StoreError> {
        let work = async {
            Ok(match (self, &cursor.0) {
                (Self::Postgres(side), Position::Postgres(position)) => {
                    let mut connection = side.pool.acquire().await?;
                    let seen = postgres::look(&mut connection, position).await?;
                    seen.unchanged.map(Position::Postgres)
                }
                (Self::Sqlite(side), Position::Sqlite(position)) => {
                    let mut connection = side.pool.acquire().await?;
                    let found = sqlite::position(&mut connection).await?;
                    (found == *position).then_some(Position::Sqlite(found))
                }
                _ => None,
            })
        };
        let same = limited(self.url(), LOOK_LIMIT, work).await?;
        Ok(same.map_or(Look::Changed, |position| Look::Same(Cursor(position))))
    }
}

/// One unbroken connection to the database, following the directory.
///
/// `start`, then `load`, then `changed` again and again; after a `true`, `load`. An error ends
/// the session for good.
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
    pub async fn load(&mut self) -> Result<Snapshot, StoreError> {
        let mut rows = Rows::default();
        let cursor = self.load_each(|row| rows.push(row)).await?;
        Ok(rows.at(cursor))
    }

    /// As [`Session::load`], handing over row by row: users, groups, mappings, blocks, rules. On an
    /// error what was handed over is part of a snapshot and worth nothing.
    pub async fn load_each(
        &mut self,
        mut each: impl FnMut(Row) + Send,
    ) -> Result<Cursor, StoreError> {
        self.check()?;
        let loaded = match &mut self.side {
            Side::Postgres(side) => side.load(&mut each).await.map(Position::Postgres),
            Side::Sqlite(side) => side.load(&mut each).await.map(Position::Sqlite),
        };
        self.ended = loaded.is_err();
        loaded.map(Cursor)
    }

    /// Waits until something changed since the last load (`true`), or until the poll interval
    /// or the timeout has passed and a look found nothing (`false`). Any gap is an error.
    pub async fn changed(&mut self, timeout: Duration) -> Result<bool, StoreError> {
        self.check()?;
        let changed = match &mut self.side {
            Side::Postgres(side) => side.changed(timeout).await,
            Side::Sqlite(side) => side.changed(timeout).await,
        };
        self.ended = changed.is_err();
        changed
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

    fn check(&self) -> Result<(), StoreError> {
        if !self.ended {
            return Ok(());
        }
        let place = match &self.side {
            Side::Postgres(side) => side.place(),
            Side::Sqlite(side) => side.place(),
        };
        Err(StoreError::Unreachable { place, reason: "this session has ended".to_owned() })
    }
}
