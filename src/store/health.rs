//! What `certgate doctor` asks of the database: the clock, the rights, whether a word gets through,
//! whether every change is written down.
//!
//! It changes nothing.

use std::time::{Duration, Instant};

use sqlx::postgres::PgListener;

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
    /// The triggers of the feed and of the audit that do not write down what any session does.
    pub weak_triggers: Vec<WeakTrigger>,
}

/// A trigger that does not fire in every session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WeakTrigger {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Whether it fires where a session does not replay (`session_replication_role`); else it is
    /// off or gone.
    pub fires: bool,
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
        let triggers = sqlx::query_as(TRIGGERS).persistent(false).fetch_all(&side.pool);
        let triggers: Vec<(String, String, bool)> =
            limited(self.url(), LOOK_LIMIT, triggers).await?;
        let weak = |(table, name, fires)| WeakTrigger { table, name, fires };
        let weak_triggers = triggers.into_iter().map(weak).collect();
        Ok(Some(ServerHealth { clock, took, is_standby, writable, listens, weak_triggers }))
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
const TRIGGERS: &str = "select needed.relation, needed.name, coalesce(tgenabled = 'O', false) \
     from (select relation, relation || '_' || kind || '_' || event \
         from unnest(array['app_user', 'user_group', 'mapping', 'block', 'rule']) relation, \
             unnest(array['audited', 'changed']) kind, \
             unnest(array['insert', 'update', 'delete', 'truncate']) event \
         union all values ('audit', 'audit_append_only'), ('change', 'change_kept') \
     ) needed (relation, name) \
     left join pg_trigger on tgrelid = to_regclass(needed.relation) and tgname = needed.name \
     where tgenabled is distinct from 'A' order by needed.name";
