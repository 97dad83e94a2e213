//! The store on PostgreSQL.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow};
use sqlx::{Connection as _, Error, PgConnection, PgPool, Row as _};

use super::error::StoreError;
use super::migrate::{self, COMPATIBLE_FROM, Migrated, SCHEMA_VERSION, Schema, Verdict};
use super::rows::{BLOCKS, Columns, GROUPS, MAPPINGS, USERS};
use super::url::DatabaseUrl;
use super::{CONNECT_LIMIT, LOAD_LIMIT, LOOK_LIMIT, within};
use crate::directory::Rows;

/// The channel on which the triggers notify.
const CHANNEL: &str = "certgate";
/// Connections of one program besides the session's own.
const MAX_CONNECTIONS: u32 = 4;
/// How often the feed is tended; a standby's follower takes silence for a cut.
const TEND_INTERVAL: Duration = Duration::from_secs(3);
/// Two programs that migrate at once meet at this lock: "cert" and "gate" in ASCII.
const MIGRATION_LOCK: i64 = 0x6365_7274_6761_7465;

/// A pool for commands; it connects when it is needed.
pub(super) fn pool(options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(CONNECT_LIMIT)
        .connect_lazy_with(options.clone())
}

async fn connect(
    url: &DatabaseUrl,
    options: &PgConnectOptions,
) -> Result<PgConnection, StoreError> {
    within(url, CONNECT_LIMIT, PgConnection::connect_with(options)).await
}

/// Connects once, and refuses a schema that this program cannot use.
pub(super) async fn check_schema(
    url: &DatabaseUrl,
    options: &PgConnectOptions,
) -> Result<(), StoreError> {
    let mut connection = connect(url, options).await?;
    let schema = within(url, LOOK_LIMIT, schema(&mut connection)).await?;
    // A polite goodbye; the server notices a rude one as well.
    let _ = tokio::time::timeout(LOOK_LIMIT, connection.close()).await;
    match migrate::judge(url, schema)? {
        Verdict::Usable => Ok(()),
        Verdict::Pending { from } => Err(migrate::needs_migration(url, from)),
    }
}

async fn schema(connection: &mut PgConnection) -> Result<Option<Schema>, Error> {
    let found: bool = sqlx::query_scalar("select to_regclass('certgate_schema') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !found {
        return Ok(None);
    }
    let row = sqlx::query("select version::bigint, compatible_from::bigint from certgate_schema")
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok(Schema { version: row.try_get(0)?, compatible_from: row.try_get(1)? }))
        .transpose()
}

/// Applies what is pending, in one transaction.
pub(super) async fn migrate(
    url: &DatabaseUrl,
    options: &PgConnectOptions,
) -> Result<Migrated, StoreError> {
    let mut connection = connect(url, options).await?;
    let locked = async {
        let mut transaction = connection.begin().await?;
        sqlx::query("select pg_advisory_xact_lock($1)")
            .bind(MIGRATION_LOCK)
            .execute(&mut *transaction)
            .await?;
        let schema = schema(&mut transaction).await?;
        Ok((transaction, schema))
    };
    let (mut transaction, schema) = within(url, LOAD_LIMIT, locked).await?;
    let from = match migrate::judge(url, schema)? {
        Verdict::Usable => {
            let version = schema.map_or(SCHEMA_VERSION, |schema| schema.version);
            return Ok(Migrated { from: version, to: version });
        }
        Verdict::Pending { from } => from,
    };
    let apply = async {
        for text in migrate::pending(&migrate::POSTGRES, from) {
            sqlx::raw_sql(*text).execute(&mut *transaction).await?;
        }
        sqlx::query(
            "insert into certgate_schema (version, compatible_from) values ($1, $2) \
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
    Ok(Migrated { from, to: SCHEMA_VERSION })
}

/// Everything in one snapshot, and the mark from which looks go on.
pub(super) async fn load(connection: &mut PgConnection) -> Result<(Rows, Mark), Error> {
    let mut transaction =
        connection.begin_with("begin isolation level repeatable read, read only").await?;
    let mark = mark(&mut transaction).await?;
    let users = all(&mut transaction, USERS, |row| Columns(row).user()).await?;
    let groups = all(&mut transaction, GROUPS, |row| Columns(row).group()).await?;
    let mappings = all(&mut transaction, MAPPINGS, |row| Columns(row).mapping()).await?;
    let blocks = all(&mut transaction, BLOCKS, |row| Columns(row).block()).await?;
    transaction.commit().await?;
    Ok((Rows { users, groups, mappings, blocks }, mark))
}

async fn all<T>(
    connection: &mut PgConnection,
    query: &'static str,
    read: impl Fn(&PgRow) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    use futures_util::TryStreamExt as _;
    let mut rows = sqlx::query(query).fetch(connection);
    let mut values = Vec::new();
    while let Some(row) = rows.try_next().await? {
        values.push(read(&row)?);
    }
    Ok(values)
}

/// How far the feed has been seen.
///
/// The cursor is the oldest transaction that was still open: what it or a later one writes may
/// not have been seen. Which of those changes *were* seen is told by their number and newest
/// transaction, so that a long transaction does not make every look find the same changes again.
/// A trim since then may have taken some of them away; what was trimmed before was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    cursor: String,
    seen: String,
    trimmed_to: Option<String>,
}

async fn mark(connection: &mut PgConnection) -> Result<Mark, Error> {
    let row = sqlx::query(
        "with cut as materialized (select pg_snapshot_xmin(pg_current_snapshot()) as xid) \
         select cut.xid::text, \
             (select concat_ws(' ', count(*), max(change.xid)) from change \
              where change.xid >= cut.xid), \
             (select feed.trimmed_to::text from feed) \
         from cut",
    )
    .fetch_one(connection)
    .await?;
    Ok(Mark { cursor: row.try_get(0)?, seen: row.try_get(1)?, trimmed_to: row.try_get(2)? })
}

/// What one look at the feed found.
struct Look {
    next: Mark,
    /// What is there now from the last mark's cursor on.
    seen: String,
    /// Whether changes from the last mark's cursor on may be gone.
    is_cursor_trimmed: bool,
    is_standby: bool,
    /// When the primary last gave a sign of life; on a primary its own.
    beat: Option<String>,
}

/// Asks in one statement, which is one snapshot.
async fn look(connection: &mut PgConnection, mark: &Mark) -> Result<Look, Error> {
    let row = sqlx::query(
        "with cut as materialized (select pg_snapshot_xmin(pg_current_snapshot()) as xid) \
         select cut.xid::text, \
             (select concat_ws(' ', count(*), max(change.xid)) from change \
              where change.xid >= cut.xid), \
             (select concat_ws(' ', count(*), max(change.xid)) from change \
              where change.xid >= $1::text::xid8), \
             (select feed.trimmed_to::text from feed), \
             coalesce((select feed.trimmed_to > $1::text::xid8 from feed), true), \
             pg_is_in_recovery(), \
             (select feed.beat_at::text from feed) \
         from cut",
    )
    .bind(&mark.cursor)
    .fetch_one(connection)
    .await?;
    Ok(Look {
        next: Mark { cursor: row.try_get(0)?, seen: row.try_get(1)?, trimmed_to: row.try_get(3)? },
        seen: row.try_get(2)?,
        is_cursor_trimmed: row.try_get(4)?,
        is_standby: row.try_get(5)?,
        beat: row.try_get(6)?,
    })
}

impl Look {
    fn found_anything_since(&self, mark: &Mark) -> bool {
        if self.seen != mark.seen {
            return true;
        }
        self.is_cursor_trimmed && self.next.trimmed_to != mark.trimmed_to
    }
}

/// Subscribed, loaded, looking.
#[derive(Debug)]
pub(super) struct Session {
    url: DatabaseUrl,
    connection: PgConnection,
    /// None on a standby, which cannot `LISTEN`: there the poll finds everything.
    listener: Option<PgListener>,
    mark: Option<Mark>,
    /// The last sign of life of the primary that a look on a standby has seen.
    beat: Option<String>,
    tended: Instant,
}

impl Session {
    pub(super) async fn start(
        url: &DatabaseUrl,
        options: &PgConnectOptions,
    ) -> Result<Self, StoreError> {
        let mut connection = connect(url, options).await?;
        let is_standby = sqlx::query_scalar("select pg_is_in_recovery()");
        let is_standby: bool =
            within(url, LOOK_LIMIT, is_standby.fetch_one(&mut connection)).await?;
        let listener = match is_standby {
            true => None,
            false => Some(within(url, CONNECT_LIMIT, subscribe(options)).await?),
        };
        let (url, tended) = (url.clone(), Instant::now());
        Ok(Self { url, connection, listener, mark: None, beat: None, tended })
    }

    pub(super) async fn load(&mut self) -> Result<Rows, StoreError> {
        let (rows, mark) = within(&self.url, LOAD_LIMIT, load(&mut self.connection)).await?;
        self.mark = Some(mark);
        Ok(rows)
    }

    pub(super) async fn changed(&mut self, poll: Duration) -> Result<bool, StoreError> {
        loop {
            self.wait_for_sign(poll).await?;
            let Some(mark) = self.mark.clone() else { return Ok(true) };
            let looked = look(&mut self.connection, &mark);
            let look = within(&self.url, LOOK_LIMIT, looked).await?;
            if look.is_standby != self.listener.is_none() {
                // Promoted, or another server behind the same address.
                return Err(StoreError::SessionLost { place: self.url.to_string() });
            }
            // Before anything is said: a busy feed needs trimming most.
            self.tend().await?;
            if look.found_anything_since(&mark) {
                return Ok(true);
            }
            self.mark = Some(look.next);
            // A standby that is cut off from its primary has nothing new to show, and knows nothing.
            let is_cut_off = look.is_standby && look.beat == self.beat;
            self.beat = look.beat;
            if !is_cut_off {
                return Ok(false);
            }
        }
    }

    /// Waits for a notification, at most for `poll`.
    async fn wait_for_sign(&mut self, poll: Duration) -> Result<(), StoreError> {
        let Some(listener) = &mut self.listener else {
            tokio::time::sleep(poll).await;
            return Ok(());
        };
        match tokio::time::timeout(poll, listener.try_recv()).await {
            Err(_) => {}
            // What is notified between two looks means one look.
            Ok(Ok(Some(_))) => while listener.next_buffered().is_some() {},
            Ok(Ok(None)) => {
                return Err(StoreError::SessionLost { place: self.url.to_string() });
            }
            Ok(Err(error)) => return Err(StoreError::of(&self.url, error)),
        }
        Ok(())
    }

    /// Trims the feed and gives standbys a sign of life, where this is a primary.
    async fn tend(&mut self) -> Result<(), StoreError> {
        if self.listener.is_none() || self.tended.elapsed() < TEND_INTERVAL {
            return Ok(());
        }
        self.tended = Instant::now();
        let tend = async {
            // Said aloud, for a role whose transactions are read only by default.
            let mut transaction = self.connection.begin_with("begin read write").await?;
            sqlx::query("select certgate_tend()").execute(&mut *transaction).await?;
            transaction.commit().await
        };
        within(&self.url, LOOK_LIMIT, tend).await
    }
}

async fn subscribe(options: &PgConnectOptions) -> Result<PgListener, Error> {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    // A connection made anew behind our back would hide what was missed.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
