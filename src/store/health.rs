//! What `certgate doctor` asks of the database: the clock, the rights, whether a word gets through,
//! whether every change is written down.
//!
//! It changes nothing.

use std::time::{Duration, Instant};

use sqlx::postgres::PgListener;

use super::triggers;
use super::value::Moment;
use super::{LOOK_LIMIT, Store, StoreError, limited};

/// What the database server says of itself and of us; SQLite is a file, and says nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerHealth {
    /// Its clock, RFC 3339.
    pub clock: String,
    /// How long the question took: the clock may be as much older.
    pub took: Duration,
    /// Whether it only replays what a primary writes.
    pub is_standby: bool,
    /// Tables of certgate that this role may write to.
    pub writable: Vec<String>,
    /// Whether a notification came back to us in time; a standby has none.
    pub listens: bool,
}

/// Triggers that do not do in every session what certgate relies on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WeakTriggers {
    /// PostgreSQL's.
    Postgres {
        /// Off or gone.
        off: Vec<String>,
        /// They do not fire where a session replays (`session_replication_role`).
        not_always: Vec<String>,
    },
    /// SQLite's, gone or not as the migrations make them.
    Sqlite(Vec<String>),
}

impl Store {
    /// Asks the server. None for SQLite.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn health(&self) -> Result<Option<ServerHealth>, StoreError> {
        let Self::Postgres(side) = self else { return Ok(None) };
        let started = Instant::now();
        let clock = async {
            let row = sqlx::query(CLOCK).persistent(false).fetch_one(&side.pool).await?;
            let clock: Moment = sqlx::Row::try_get(&row, 0)?;
            let is_standby: bool = sqlx::Row::try_get(&row, 1)?;
            Ok((String::from_utf8_lossy(&clock.0).into_owned(), is_standby))
        };
        let (clock, is_standby) = limited(self.url(), LOOK_LIMIT, clock).await?;
        let took = started.elapsed();
        let rights = sqlx::query_scalar(WRITABLE).persistent(false).fetch_all(&side.pool);
        let writable = limited(self.url(), LOOK_LIMIT, rights).await?;
        let listens = !is_standby && limited(self.url(), LOOK_LIMIT, hear(side)).await.is_ok();
        Ok(Some(ServerHealth { clock, took, is_standby, writable, listens }))
    }

    /// Which triggers cannot be relied on, in the order of their names.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn weak_triggers(&self) -> Result<WeakTriggers, StoreError> {
        let work = async {
            match self {
                Self::Postgres(side) => {
                    let rows = sqlx::query_as(TRIGGERS).persistent(false).fetch_all(&side.pool);
                    let rows: Vec<(String, bool)> = rows.await?;
                    let (late, off): (Vec<_>, Vec<_>) =
                        rows.into_iter().partition(|(_, fires)| *fires);
                    let names = |rows: Vec<(String, bool)>| {
                        rows.into_iter().map(|(name, _)| name).collect()
                    };
                    Ok(WeakTriggers::Postgres { off: names(off), not_always: names(late) })
                }
                Self::Sqlite(side) => {
                    let mut transaction = side.pool.begin().await?;
                    let altered = triggers::altered(&mut transaction).await?.into_iter();
                    Ok(WeakTriggers::Sqlite(altered.map(|one| one.name).collect()))
                }
            }
        };
        limited(self.url(), LOOK_LIMIT, work).await
    }
}

/// Sends a word and waits for it, over two connections, as a change and a follower do.
async fn hear(side: &super::PostgresStore) -> Result<(), sqlx::Error> {
    let channel = format!("certgate_doctor_{}", std::process::id());
    let mut listener = PgListener::connect_with(&side.pool).await?;
    listener.listen(&channel).await?;
    sqlx::query(NOTIFY).bind(&channel).persistent(false).execute(&side.pool).await?;
    listener.recv().await.map(drop)
}

const CLOCK: &str = "select clock_timestamp(), pg_is_in_recovery()";
const NOTIFY: &str = "select pg_notify($1, '')";
const WRITABLE: &str = "select table_name from (values ('app_user'), ('user_group'), ('mapping'), \
     ('block'), ('rule'), ('certificate'), ('denial'), ('change'), ('feed'), ('certgate_schema')) \
     as certgate (table_name) \
     where to_regclass(table_name) is not null \
     and has_table_privilege(table_name, 'insert, update, delete, truncate')";
/// `A`: always, as the migrations leave them; `O`: where nothing is replayed.
const TRIGGERS: &str = "select needed.name, coalesce(tgenabled = 'O', false) \
     from (select relation, relation || '_' || kind || '_' || event \
         from unnest(array['app_user', 'user_group', 'mapping', 'block', 'rule']) relation, \
             unnest(array['audited', 'changed']) kind, \
             unnest(array['insert', 'update', 'delete', 'truncate']) event \
         union all values ('audit', 'audit_append_only'), ('change', 'change_kept') \
     ) needed (relation, name) \
     left join pg_trigger on tgrelid = to_regclass(needed.relation) and tgname = needed.name \
     where tgenabled is distinct from 'A' order by needed.name";
