//! Following PostgreSQL: `LISTEN` says when to look, the transactions say what is new.
//!
//! A notification is never data. It must not compare ids or times of changes: they are not in
//! the order of commits.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection, Row as _};

use super::{Connection, Row, StoreError, Subject, classify, limited};
use crate::store::read::read_all;
use crate::store::schema::{self, Applied};
use crate::store::url::DatabaseUrl;
use crate::store::{CONNECT_LIMIT, LOAD_LIMIT, LOOK_LIMIT, PostgresStore};

/// What a snapshot has seen of the change feed.
///
/// Every transaction before `next` had ended and is in the snapshot or never will be. Of those
/// from `next` on, the changes that were visible are counted: their number only grows, and when
/// it does, something is new. So a transaction that stays open for long hides nothing and does
/// not make every look a change. What a trim had taken away by then was in the snapshot; a later
/// one may take away what was not, and lets `trimmed_to` grow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Position {
    /// System identifier, timeline and recovery state: transactions of another are not ours.
    server: String,
    /// `pg_snapshot_xmin`, as PostgreSQL writes it.
    next: String,
    /// Changes by transactions from `next` on that were visible.
    seen: i64,
    /// How far the feed was trimmed; it grows with every trim.
    trimmed_to: String,
}

/// The primary's heartbeat, as seen on a standby; `None` on a primary.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Beat {
    at: i64,
    age_seconds: f64,
}

/// What a look found.
pub(super) struct Seen {
    /// Where to go on, if nothing changed.
    pub(super) unchanged: Option<Position>,
    beat: Option<Beat>,
}

/// Reads everything in one transaction of one snapshot.
pub(super) async fn load(
    connection: &mut PgConnection,
    each: &mut (impl FnMut(Row) + Send),
) -> Result<(Position, Option<Beat>), sqlx::Error> {
    let mut transaction =
        connection.begin_with("begin isolation level repeatable read, read only").await?;
    let row = sqlx::query(LOOK).bind(LAST_XID).bind(LAST_XID).fetch_one(&mut *transaction).await?;
    let position = position(&row)?;
    let beat = beat(&row)?;
    read_all!(transaction, each);
    transaction.commit().await?;
    Ok((position, beat))
}

/// One statement, so one snapshot.
pub(super) async fn look(
    connection: &mut PgConnection,
    cursor: &Position,
) -> Result<Seen, sqlx::Error> {
    let row =
        sqlx::query(LOOK).bind(&cursor.next).bind(&cursor.trimmed_to).fetch_one(connection).await?;
    let next = position(&row)?;
    let since_cursor: i64 = row.try_get(3)?;
    let whole: bool = row.try_get(4)?;
    let beat = beat(&row)?;
    let same = [next.server == cursor.server, since_cursor == cursor.seen, whole];
    Ok(Seen { unchanged: (same == [true; 3]).then_some(next), beat })
}

fn position(row: &sqlx::postgres::PgRow) -> Result<Position, sqlx::Error> {
    Ok(Position {
        server: row.try_get(0)?,
        next: row.try_get(1)?,
        seen: row.try_get(2)?,
        trimmed_to: row.try_get(8)?,
    })
}

fn beat(row: &sqlx::postgres::PgRow) -> Result<Option<Beat>, sqlx::Error> {
    let standby: bool = row.try_get(5)?;
    let beat = Beat { at: row.try_get(6)?, age_seconds: row.try_get(7)? };
    Ok(standby.then_some(beat))
}

/// A connection that listens and looks.
pub(super) struct Follower {
    url: DatabaseUrl,
    listener: PgListener,
    cursor: Option<Position>,
    beat: Option<Beat>,
    looked_at: Option<Instant>,
    tended_at: Option<Instant>,
    tends: bool,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl Follower {
    pub(super) async fn start(store: &PostgresStore) -> Result<Self, StoreError> {
        let url = store.url.clone();
        // A pool hides why it cannot connect, so a plain connection asks first. The schema may
        // have been migrated since the store was opened.
        let mut probe = limited(&url, CONNECT_LIMIT, store.options.connect()).await?;
        let found = limited(&url, LOOK_LIMIT, schema::applied_postgres(&mut probe)).await?;
        Applied::check(found, &url.to_string())?;
        drop(probe);
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_LIMIT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(store.options.clone());
        let mut listener = limited(&url, CONNECT_LIMIT, PgListener::connect_with(&pool)).await?;
        listener.eager_reconnect(false);
        let standby = sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut listener);
        let standby: bool = limited(&url, LOOK_LIMIT, standby).await?;
        if !standby {
            limited(&url, LOOK_LIMIT, listener.listen(CHANNEL)).await?;
            // A role whose transactions only read by default tends the feed all the same.
            let writes = sqlx::query(MAY_WRITE).execute(&mut listener);
            limited(&url, LOOK_LIMIT, writes).await?;
        }
        Ok(Self {
            url,
            listener,
            cursor: None,
            beat: None,
            looked_at: None,
            tended_at: None,
            tends: !standby,
        })
    }

    pub(super) async fn load(
        &mut self,
        each: &mut (impl FnMut(Row) + Send),
    ) -> Result<Position, StoreError> {
        let started = Instant::now();
        let listener = &mut self.listener;
        let work = async { load(sqlx::Acquire::acquire(listener).await?, each).await };
        let (position, beat) = limited(&self.url, LOAD_LIMIT, work).await?;
        // A standby may have been cut off long before this session came.
        let behind = beat.as_ref().map_or(Duration::ZERO, |beat| {
            Duration::try_from_secs_f64(beat.age_seconds).unwrap_or_default()
        });
        self.looked_at = started.checked_sub(behind).or(self.looked_at).or(Some(started));
        self.beat = beat;
        self.cursor = Some(position.clone());
        Ok(position)
    }

    pub(super) async fn changed(&mut self, timeout: Duration) -> Result<bool, StoreError> {
        let Some(cursor) = self.cursor.clone() else {
            return Ok(true);
        };
        self.wait(timeout.min(POLL_INTERVAL)).await?;
        self.tend().await?;
        let started = Instant::now();
        let listener = &mut self.listener;
        let work = async { look(sqlx::Acquire::acquire(listener).await?, &cursor).await };
        let seen = limited(&self.url, LOOK_LIMIT, work).await?;
        let advanced = match (&seen.beat, &self.beat) {
            (Some(now), Some(before)) => now.at != before.at,
            (None, _) | (_, None) => true,
        };
        if advanced {
            self.looked_at = Some(started);
        }
        self.beat = seen.beat;
        let Some(next) = seen.unchanged else {
            return Ok(true);
        };
        self.cursor = Some(next);
        Ok(false)
    }

    pub(super) const fn looked_at(&self) -> Option<Instant> {
        self.looked_at
    }

    pub(super) fn place(&self) -> String {
        self.url.to_string()
    }

    /// Until a notification comes or the time has passed. A connection that is lost here is a
    /// gap, and sqlx would reconnect at the next call, so it must be the last one.
    async fn wait(&mut self, limit: Duration) -> Result<(), StoreError> {
        let lost = || StoreError::Unreachable {
            place: self.url.to_string(),
            reason: "the listening connection was lost".to_owned(),
        };
        match tokio::time::timeout(limit, self.listener.try_recv()).await {
            Err(_) => return Ok(()),
            Ok(Ok(None)) => return Err(lost()),
            Ok(Err(error)) => return Err(classify(error, &self.url, Subject::default())),
            Ok(Ok(Some(_))) => {}
        }
        // One look answers a whole burst.
        while self.listener.next_buffered().is_some() {}
        Ok(())
    }

    /// Keeps the feed's heart beating. A role that may not costs standbys their heartbeat and
    /// nobody an answer: it is said once, and the session goes on.
    async fn tend(&mut self) -> Result<(), StoreError> {
        if !self.tends {
            return Ok(());
        }
        if self.tended_at.is_some_and(|at| at.elapsed() < TEND_INTERVAL) {
            return Ok(());
        }
        self.tended_at = Some(Instant::now());
        let work = async {
            sqlx::query("select certgate_tend()").execute(&mut self.listener).await.map(drop)
        };
        match limited(&self.url, LOOK_LIMIT, work).await {
            Err(error @ (StoreError::Permission { .. } | StoreError::Unreadable { .. })) => {
                self.tends = false;
                tracing::warn!(%error, "the change feed is not tended by this program");
                Ok(())
            }
            tended => tended,
        }
    }
}

/// Server; where the next look starts; changes from there on; changes from the cursor on; whether
/// the feed still holds everything from the cursor on; standby; heartbeat and its age;
/// how far the feed is trimmed.
const LOOK: &str = "
    select (select system_identifier from pg_control_system()) || '/'
            || (select timeline_id from pg_control_checkpoint()) || '/' || pg_is_in_recovery(),
        pg_snapshot_xmin(pg_current_snapshot())::text,
        (select count(*) from change where xid >= pg_snapshot_xmin(pg_current_snapshot())),
        (select count(*) from change where xid >= $1::xid8),
        feed.trimmed_to <= $1::xid8 or feed.trimmed_to = $2::xid8,
        pg_is_in_recovery(),
        (extract(epoch from feed.beat_at) * 1000000)::bigint,
        extract(epoch from clock_timestamp() - feed.beat_at)::float8,
        feed.trimmed_to::text
    from feed";
/// The channel of the triggers' notifications.
const CHANNEL: &str = "certgate";
/// Of this connection alone.
const MAY_WRITE: &str = "set default_transaction_read_only = off";
/// After every transaction: a load has no cursor, and so nothing to count from it on.
const LAST_XID: &str = "18446744073709551615";
/// How often to look without a notification, which can get lost; the only way on a standby.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often to call `certgate_tend()`.
const TEND_INTERVAL: Duration = Duration::from_secs(5);
