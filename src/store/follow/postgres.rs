//! Following PostgreSQL: `LISTEN` says when to look, the transactions say what is new.
//!
//! A notification is never data. It must not compare ids or times of changes: they are not in
//! the order of commits.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow};
use sqlx::{PgConnection, Row as _};

use super::feed::{Entry, Glance, Glanced, Position};
use super::freshness::{Beat, Freshness};
use super::keys::{Keys, MAX_KEYS};
use super::{Connection, Looked, Manner, NotFed, Sink, StoreError, Subject, classify, limited};
use crate::store::read::{HOLD, READ_WHOLE, read_all, read_keys};
use crate::store::url::DatabaseUrl;
use crate::store::{CONNECT_LIMIT, LOOK_LIMIT, PostgresStore, connect};

/// What one glance saw.
struct Seen {
    glance: Glance,
    /// On a standby; none on a primary.
    beat: Option<Beat>,
    is_own_backend: bool,
}

/// Reads everything in one transaction of one snapshot.
pub(super) async fn load(
    connection: &mut PgConnection,
    each: &mut impl Sink,
) -> Result<(Position, Option<Beat>), sqlx::Error> {
    let mut transaction = connection.begin_with(READ_WHOLE).await?;
    sqlx::query(HOLD).persistent(false).execute(&mut *transaction).await?;
    let row =
        sqlx::query(GLANCE).persistent(false).bind(LAST_XID).fetch_one(&mut *transaction).await?;
    let seen = seen(&row)?;
    let not_always: Option<String> = row.try_get(11)?;
    if let Some(triggers) = not_always {
        tracing::warn!(
            triggers,
            "not always on: what a session changes that replays is not seen; see `certgate doctor`"
        );
    }
    let rows = sqlx::query(SEEN).persistent(false).fetch_all(&mut *transaction).await?;
    let counts: Result<BTreeMap<u64, u64>, sqlx::Error> =
        rows.iter().map(|row| Ok((unsigned(row, 0)?, count(row, 1)?))).collect();
    let Glance { server, next, trimmed_to, .. } = seen.glance;
    let position = Position { server, next, trimmed_to, seen: counts? };
    read_all!(transaction, each);
    transaction.commit().await?;
    Ok((position, seen.beat))
}

/// One statement, so one snapshot.
async fn glance(connection: &mut PgConnection, cursor: &Position) -> Result<Seen, sqlx::Error> {
    let next = cursor.next.to_string();
    seen(&sqlx::query(GLANCE).persistent(false).bind(next).fetch_one(connection).await?)
}

/// What a look found, and where to go on unless it has to be loaded anew.
struct Found {
    seen: Seen,
    outcome: Outcome,
}

enum Outcome {
    Changes(Position, Keys),
    Reload(&'static str),
    Same(Position),
}

/// One transaction, so that what changed and what stands there now are of one snapshot.
async fn look(connection: &mut PgConnection, cursor: &Position) -> Result<Found, sqlx::Error> {
    let mut transaction = connection.begin_with(READ_WHOLE).await?;
    let seen = glance(&mut transaction, cursor).await?;
    let outcome = match cursor.glance(&seen.glance) {
        Glanced::Same(position) => Outcome::Same(position),
        Glanced::Reload(why) => Outcome::Reload(why),
        Glanced::News => {
            let entries = entries(&mut transaction, cursor).await?;
            match cursor.take(&seen.glance, &entries) {
                Err(why) => Outcome::Reload(why),
                Ok((position, mut keys)) => {
                    let found = &mut keys;
                    read_keys!(transaction, found, std::convert::identity, "= any($1)");
                    match keys.lack_rows() && is_rewritten(&mut transaction).await? {
                        true => Outcome::Reload("a table was truncated or written anew meanwhile"),
                        false => Outcome::Changes(position, keys),
                    }
                }
            }
        }
    };
    transaction.commit().await?;
    Ok(Found { seen, outcome })
}

/// Whether rows may be missing for another reason than that they were removed.
async fn is_rewritten(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(REWRITTEN).persistent(false).fetch_one(connection).await
}

async fn entries(
    connection: &mut PgConnection,
    cursor: &Position,
) -> Result<Vec<Entry>, sqlx::Error> {
    let xids: Vec<String> = cursor.seen.keys().map(u64::to_string).collect();
    let counts: Vec<String> = cursor.seen.values().map(u64::to_string).collect();
    let rows = sqlx::query(ENTRIES)
        .persistent(false)
        .bind(cursor.next.to_string())
        .bind(xids)
        .bind(counts)
        .bind(i64::try_from(MAX_KEYS + 1).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let entry = |row: &PgRow| {
        Ok(Entry {
            xid: unsigned(row, 0)?,
            of_xid: count(row, 1)?,
            relation: row.try_get::<String, _>(2)?.into_bytes(),
            key: row.try_get::<String, _>(3)?.into_bytes(),
        })
    };
    rows.iter().map(entry).collect()
}

fn seen(row: &PgRow) -> Result<Seen, sqlx::Error> {
    let told = |column: usize| row.try_get::<Option<String>, _>(column);
    let triggers = told(8)?.map(NotFed::Triggers);
    let subscription = told(9)?.map(NotFed::Subscription);
    let inherited = told(10)?.map(NotFed::Inherited);
    if let Some(why) = triggers.or(subscription).or(inherited) {
        return Err(sqlx::Error::Configuration(why.into()));
    }
    let glance = Glance {
        server: row.try_get(0)?,
        next: unsigned(row, 1)?,
        trimmed_to: unsigned(row, 2)?,
        since_cursor: count(row, 3)?,
    };
    let is_standby: bool = row.try_get(4)?;
    let age: f64 = row.try_get(6)?;
    let age = Duration::try_from_secs_f64(age).unwrap_or_default();
    let beat = is_standby.then_some(Beat { at: row.try_get(5)?, age });
    Ok(Seen { glance, beat, is_own_backend: row.try_get(7)? })
}

/// A transaction's id, which the driver knows as text alone.
fn unsigned(row: &PgRow, column: usize) -> Result<u64, sqlx::Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn count(row: &PgRow, column: usize) -> Result<u64, sqlx::Error> {
    let count: i64 = row.try_get(column)?;
    u64::try_from(count).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// A connection that listens and looks.
pub(super) struct Follower {
    url: DatabaseUrl,
    listener: PgListener,
    manner: Manner,
    cursor: Option<Position>,
    freshness: Freshness,
    is_standby: bool,
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
        // have been migrated, and another host become the primary, since the store was opened.
        let server = connect::postgres(&url).await?;
        let (is_standby, is_pooled) = (server.is_standby, server.is_pooled);
        let options = server.options.clone();
        server.check_schema().await?;
        let listener = listener(&url, &options).await?;
        let manner = match (is_pooled, is_standby) {
            (true, _) => Manner::PolledPooler,
            (false, true) => Manner::PolledStandby,
            (false, false) => Manner::Notified,
        };
        let mut follower = Self {
            url,
            listener,
            manner,
            cursor: None,
            freshness: Freshness::default(),
            is_standby,
            tended_at: None,
            tends: !is_standby,
        };
        if manner == Manner::Notified {
            let listens = follower.listener.listen(CHANNEL);
            limited(&follower.url, LOOK_LIMIT, listens).await?;
        }
        Ok(follower)
    }

    /// Its caller sees to it that it ends.
    pub(super) async fn load(&mut self, each: &mut impl Sink) -> Result<(), StoreError> {
        let started = Instant::now();
        let listener = &mut self.listener;
        let work = async { load(sqlx::Acquire::acquire(listener).await?, each).await };
        let loaded = work.await.map_err(|error| classify(error, &self.url, Subject::default()));
        let (position, beat) = loaded?;
        self.check_role(beat.is_some())?;
        self.freshness.note(started, beat);
        self.cursor = Some(position);
        Ok(())
    }

    pub(super) async fn look(&mut self) -> Result<Looked, StoreError> {
        self.tend().await?;
        let Some(cursor) = self.cursor.clone() else {
            return Ok(Looked::Reload("nothing was loaded yet"));
        };
        // One look answers a whole burst of what was notified before it.
        while self.listener.next_buffered().is_some() {}
        let started = Instant::now();
        let listener = &mut self.listener;
        let work = async { look(sqlx::Acquire::acquire(listener).await?, &cursor).await };
        let found = limited(&self.url, LOOK_LIMIT, work).await?;
        self.check_role(found.seen.beat.is_some())?;
        if self.manner != Manner::PolledPooler && !found.seen.is_own_backend {
            return Err(self.ended("a pooler has taken the connection's place"));
        }
        let (position, looked) = match found.outcome {
            Outcome::Same(position) => (position, Looked::Same),
            Outcome::Changes(position, keys) => (position, Looked::Changes(keys.into_changes())),
            // What is published now is not known to be true.
            Outcome::Reload(why) => return Ok(Looked::Reload(why)),
        };
        self.freshness.note(started, found.seen.beat);
        self.cursor = Some(position);
        Ok(looked)
    }

    pub(super) const fn looked_at(&self) -> Option<Instant> {
        self.freshness.known()
    }

    pub(super) const fn manner(&self) -> Manner {
        self.manner
    }

    pub(super) fn place(&self) -> String {
        self.url.to_string()
    }

    /// Until a notification comes or the time has passed. A connection that is lost here is a
    /// gap, and sqlx would reconnect at the next call, so it must be the last one.
    pub(super) async fn wait(&mut self, limit: Duration) -> Result<bool, StoreError> {
        match tokio::time::timeout(limit, self.listener.try_recv()).await {
            Err(_) => Ok(false),
            Ok(Ok(None)) => Err(self.ended("the listening connection was lost")),
            Ok(Err(error)) => Err(classify(error, &self.url, Subject::default())),
            Ok(Ok(Some(_))) => Ok(true),
        }
    }

    /// A standby that was promoted, or a primary that was demoted, needs another kind of session.
    fn check_role(&self, is_standby: bool) -> Result<(), StoreError> {
        match self.is_standby == is_standby {
            true => Ok(()),
            false => Err(self.ended("the server was promoted or demoted")),
        }
    }

    fn ended(&self, reason: &str) -> StoreError {
        StoreError::Unreachable { place: self.url.to_string(), reason: reason.to_owned() }
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
        let listener = &mut self.listener;
        let work = async {
            // A role whose transactions only read by default tends the feed all the same.
            let connection = sqlx::Acquire::acquire(listener).await?;
            let mut transaction = connection.begin_with("begin read write").await?;
            sqlx::query("select certgate_tend()")
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
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

/// A connection that can be listened on, for as long as it holds.
async fn listener(url: &DatabaseUrl, options: &PgConnectOptions) -> Result<PgListener, StoreError> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_LIMIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.clone());
    let mut listener = limited(url, CONNECT_LIMIT, PgListener::connect_with(&pool)).await?;
    listener.eager_reconnect(false);
    Ok(listener)
}

/// Server with its tables and triggers; where the next look starts; how far the feed is trimmed;
/// changes from the cursor on; standby; heartbeat and its age; whether this is our own backend; which
/// of the triggers are off or gone that write changes down and keep them; which tables a subscription
/// writes; which tables inherit from ours, or ours from; which of the triggers do not fire where a
/// session replays.
///
/// A restored dump makes the tables anew or turns the triggers off, and its changes carry ids of
/// another time: both are another server to a cursor. So is a table that was altered: that can write
/// every row, and fires no trigger.
const GLANCE: &str = "
    with ours (name, relation) as (
        select name, name::regclass
        from unnest(array['app_user', 'user_group', 'mapping', 'block', 'rule']) name
    ),
    needed (name, enabled) as (
        select name, tgenabled
        from (select relation, name || '_changed_' || event
            from ours, unnest(array['insert', 'update', 'delete', 'truncate']) event
            union all values ('change'::regclass, 'change_kept')) needed (relation, name)
        left join pg_trigger on tgrelid = relation and tgname = name
    )
    select (select system_identifier from pg_control_system()) || '/'
            || (select timeline_id from pg_control_checkpoint()) || '/' || pg_is_in_recovery()
            || '/' || (select md5(string_agg(
                tgrelid || ' ' || oid || ' ' || xmin || ' ' || tgenabled::text, ',' order by oid))
                from pg_trigger where not tgisinternal and tgrelid = any(array(select relation
                    from ours union all select 'change'::regclass)))
            || '/' || (select string_agg(oid || ' ' || xmin, ',' order by oid) from pg_class
                where oid = any(array(select relation
                    from ours union all select 'change'::regclass))),
        pg_snapshot_xmin(pg_current_snapshot())::text,
        feed.trimmed_to::text,
        (select count(*) from change where xid >= $1::xid8),
        pg_is_in_recovery(),
        (extract(epoch from feed.beat_at) * 1000000)::bigint,
        extract(epoch from clock_timestamp() - feed.beat_at)::float8,
        coalesce(current_setting('certgate.session', true), '') <> '',
        (select string_agg(name, ', ' order by name) from needed
            where coalesce(enabled, 'D') not in ('O', 'A')),
        (select string_agg(distinct name, ', ')
            from ours join pg_subscription_rel on srrelid = relation),
        (select string_agg(inhrelid::regclass || ' from ' || inhparent::regclass, ', ')
            from pg_inherits
            where inhparent = any(array(select relation from ours))
                or inhrelid = any(array(select relation from ours))),
        (select string_agg(name, ', ' order by name) from needed where enabled = 'O')
    from feed";
/// Whether a table has other files than when the snapshot was taken.
const REWRITTEN: &str = "
    select exists (select from pg_class
        where oid in ('app_user'::regclass, 'user_group'::regclass, 'mapping'::regclass,
            'block'::regclass, 'rule'::regclass)
        and relfilenode is distinct from pg_relation_filenode(oid))";
/// The transactions that a snapshot sees although older ones had not ended.
const SEEN: &str = "
    select xid::text, count(*) from change
    where xid >= pg_snapshot_xmin(pg_current_snapshot()) group by xid";
/// The changes of transactions from the cursor on that it has not seen, or not with so many.
const ENTRIES: &str = "
    with news as (
        select xid, count(*) as of_xid from change where xid >= $1::xid8 group by xid
        except
        select seen.xid::xid8, seen.of_xid::bigint
        from unnest($2::text[], $3::text[]) seen (xid, of_xid)
    )
    select news.xid::text, news.of_xid, change.relation, change.key
    from news join change on change.xid = news.xid
    limit $4";
/// The channel of the triggers' notifications.
const CHANNEL: &str = "certgate";
/// After every transaction: a load has no cursor, and so nothing to count from it on.
const LAST_XID: &str = "18446744073709551615";
/// How often to call `certgate_tend()`; what standbys know is at least as old.
const TEND_INTERVAL: Duration = Duration::from_secs(2);
