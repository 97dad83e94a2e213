//! Random histories on real databases: whatever was written, by whom and through which faults, the
//! directory that is followed ends equal to one that is loaded.
//!
//! `CERTGATE_HISTORIES=100` plays that many on each database; `CERTGATE_HISTORIES_SEED=7` one again.

use std::thread;
use std::time::{Duration, Instant};

use certgate::directory::{Directory, Settings};
use certgate::store::{Looked, Session};

use super::support::shells::{Database, Which, run};

/// How many histories the usual test run plays on each database.
const USUAL: u64 = 4;
/// Writers of one history, each a shell of its own.
const WRITERS: u64 = 3;
/// Statements of one writer.
const STATEMENTS: u64 = 14;
/// After the last write everything is seen within this, faults included.
const LIMIT: Duration = Duration::from_secs(20);
/// Nothing new in this time is the end.
const QUIET: Duration = Duration::from_millis(400);

/// The same numbers for a seed on every machine (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// One statement; one that is refused is a statement too.
fn statement(random: &mut Random, which: Which) -> String {
    let (user, other) = (random.below(6), random.below(6));
    let (id, serial) = (1 + random.below(8), 10 + random.below(80));
    match random.below(16) {
        0..=2 => format!("insert into app_user (username) values ('user{user}')"),
        3 => format!("delete from app_user where username = 'user{user}'"),
        4 => format!("update app_user set username = 'user{other}' where username = 'user{user}'"),
        5 => format!("update app_user set enabled = not enabled where username = 'user{user}'"),
        6 => format!("insert into user_group values ('user{user}', 'group{other}')"),
        7 => format!("delete from user_group where group_name = 'group{other}'"),
        8..=10 => format!(
            "insert into mapping (id, username, issuer, serial) values \
             ({id}, 'user{user}', 'CN=Example CA', '{serial}')"
        ),
        11 => format!("update mapping set revoked_at = '2026-01-01T00:00:00Z' where id = {id}"),
        12 => format!("delete from mapping where id = {id}"),
        13 => format!("insert into block (id, serial) values ({id}, '{serial}')"),
        14 => format!("delete from block where id <> {id}"),
        _ => match which {
            Which::Postgres => "truncate block".to_owned(),
            Which::Sqlite => {
                format!("insert or replace into block (id, serial) values ({id}, '1')")
            }
        },
    }
}

/// What one writer types: single statements, transactions that stay open, some rolled back, a bulk
/// load now and then.
fn script(random: &mut Random, which: Which) -> String {
    let mut text = match which {
        Which::Postgres => "set lock_timeout = '2s';\n".to_owned(),
        Which::Sqlite => String::new(),
    };
    for _ in 0..STATEMENTS {
        let line = statement(random, which);
        match random.below(8) {
            0 => {
                let more = statement(random, which);
                let wait = match which {
                    Which::Postgres => "select pg_sleep(0.1)",
                    Which::Sqlite => "select 1",
                };
                let end = if random.below(3) == 0 { "rollback" } else { "commit" };
                text.push_str(&format!("begin;\n{line};\n{wait};\n{more};\n{end};\n"));
            }
            1 if random.below(6) == 0 => text.push_str(
                "insert into block (serial) with recursive n (n) as (select 1 union all \
                 select n + 1 from n where n < 12000) select cast(n as text) from n;\n",
            ),
            _ => text.push_str(&format!("{line};\n")),
        }
    }
    text
}

/// A follower as the program is one: whatever breaks a session is made good by a new one.
struct Followed<'a> {
    database: &'a Database,
    session: Option<Session>,
    directory: Directory,
    applied: u32,
}

impl Followed<'_> {
    async fn step(&mut self, limit: Duration) -> bool {
        let looked = match &mut self.session {
            Some(session) => match session.wait(limit).await {
                Ok(_) => session.look().await,
                Err(error) => Err(error),
            },
            None => {
                let mut session = Session::start(&self.database.store().await).await.unwrap();
                self.directory = load(&mut session).await;
                self.session = Some(session);
                return true;
            }
        };
        match looked {
            Ok(Looked::Same) => false,
            Ok(Looked::Changes(changes)) => {
                match self.directory.apply(&changes) {
                    Some(directory) => {
                        self.directory = directory;
                        self.applied += 1;
                    }
                    None => self.directory = load(self.session.as_mut().unwrap()).await,
                }
                true
            }
            Ok(Looked::Reload(_)) => {
                self.directory = load(self.session.as_mut().unwrap()).await;
                true
            }
            Err(_) => {
                self.session = None;
                true
            }
        }
    }
}

async fn load(session: &mut Session) -> Directory {
    Directory::build(&session.load().await.unwrap(), &Settings::default())
}

async fn play(database: &Database, seed: u64) -> u32 {
    let mut random = Random(seed);
    database.sql("delete from app_user; delete from block;");
    let mut followed =
        Followed { database, session: None, directory: Directory::default(), applied: 0 };
    followed.step(QUIET).await;
    let scripts: Vec<String> = (0..WRITERS).map(|_| script(&mut random, database.which)).collect();
    let drops = random.below(3);
    thread::scope(|scope| {
        let writers: Vec<_> = scripts
            .iter()
            .map(|script| scope.spawn(move || database.whatever_fails(script)))
            .collect();
        let runtime = tokio::runtime::Handle::current();
        let mut dropped = 0;
        while writers.iter().any(|writer| !writer.is_finished()) {
            tokio::task::block_in_place(|| runtime.block_on(followed.step(QUIET / 8)));
            if dropped < drops && database.which == Which::Postgres {
                dropped += 1;
                database.sql(
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                     where datname = current_database() and application_name = 'certgate'",
                );
            }
        }
    });
    let end = Instant::now() + LIMIT;
    loop {
        let is_news = followed.step(QUIET).await;
        if !is_news && followed.directory.is_same(&database.directory().await) {
            return followed.applied;
        }
        assert!(Instant::now() < end, "the directory is not the tables: seed {seed}");
    }
}

#[expect(clippy::disallowed_methods, reason = "how many histories, only the caller can say")]
fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[expect(clippy::print_stdout, reason = "a figure for docs/following.md")]
fn play_all(which: Which) {
    run(which, async |database| {
        if let Some(seed) = asked("CERTGATE_HISTORIES_SEED") {
            play(database, seed).await;
            return;
        }
        let count = asked("CERTGATE_HISTORIES").unwrap_or(USUAL);
        let mut applied = 0;
        for seed in 0..count {
            applied += play(database, seed).await;
        }
        println!("{count} histories on {which:?}: {applied} looks were applied row by row");
        assert!(applied > 0);
    });
}

#[test]
fn a_followed_directory_ends_equal_to_the_tables_on_postgresql() {
    play_all(Which::Postgres);
}

#[test]
fn a_followed_directory_ends_equal_to_the_tables_on_sqlite() {
    play_all(Which::Sqlite);
}
