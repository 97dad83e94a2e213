//! Following: whatever is committed is seen, at once where that can be, and a session that might
//! have missed something ends with an error.

use std::fs;
use std::time::{Duration, Instant};

use certgate::store::{Session, StoreError};
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::support::follower::Follow as _;
use super::support::shells::{Database, Which, on_both, only_on};

on_both! {
    a_change_by_the_shell_is_seen_within_a_second,
    nothing_new_is_said_only_after_a_look,
    what_is_written_between_subscribing_and_loading_is_seen,
    what_is_written_before_the_first_load_counts_as_changed,
    two_changes_are_seen_one_after_the_other,
    a_change_of_every_table_is_seen,
    a_rolled_back_change_is_not_seen,
    a_transaction_is_seen_once_it_commits_however_long_it_took,
    a_hundred_thousand_mappings_are_loaded_whole,
}
only_on! { on_postgres: Postgres:
    an_earlier_transaction_that_commits_later_is_seen,
    an_open_transaction_does_not_make_every_look_find_changes,
    changes_trimmed_away_unseen_count_as_changed,
    a_flood_under_a_forgotten_transaction_is_trimmed_and_followed,
    a_connection_that_is_killed_ends_the_session,
    a_lost_notification_is_made_up_for_by_the_poll,
    a_truncate_is_seen,
    a_role_that_only_reads_by_default_tends_the_feed,
}
only_on! { on_sqlite: Sqlite:
    a_file_moved_over_the_old_one_ends_the_session,
    a_file_replaced_before_the_first_load_ends_the_session,
    a_deleted_file_ends_the_session,
    a_follower_keeps_nobody_from_emptying_the_log,
}

/// The poll that the program uses.
const POLL: Duration = Duration::from_secs(1);
/// Long enough for several looks, short enough for a test.
const SHORT: Duration = Duration::from_millis(120);

const ALICE: &str = "insert into app_user (username) values ('alice');";

async fn followed(database: &Database) -> Session {
    let mut session = Session::start(&database.store().await).await.unwrap();
    session.load().await.unwrap();
    session
}

async fn sees(session: &mut Session) {
    assert!(session.changed(POLL).await.unwrap(), "one poll went by and nothing was seen");
}

async fn sees_nothing(session: &mut Session) {
    for _ in 0..3 {
        assert!(!session.changed(SHORT).await.unwrap(), "there was nothing to see");
    }
}

async fn a_change_by_the_shell_is_seen_within_a_second(database: &Database) {
    let mut session = followed(database).await;
    database.sql(ALICE);
    let committed = Instant::now();
    sees(&mut session).await;
    assert!(committed.elapsed() < Duration::from_secs(1));
    assert_eq!(session.load().await.unwrap().users[0].username, b"alice");
}

async fn nothing_new_is_said_only_after_a_look(database: &Database) {
    let mut session = followed(database).await;
    let start = Instant::now();
    assert!(!session.changed(SHORT).await.unwrap());
    assert!(start.elapsed() >= SHORT);
    sees_nothing(&mut session).await;
}

async fn what_is_written_between_subscribing_and_loading_is_seen(database: &Database) {
    let mut session = Session::start(&database.store().await).await.unwrap();
    database.sql(ALICE);
    assert_eq!(session.load().await.unwrap().users.len(), 1);
    // A look may find it again, and must not find it for ever.
    if session.changed(SHORT).await.unwrap() {
        session.load().await.unwrap();
    }
    sees_nothing(&mut session).await;
}

async fn what_is_written_before_the_first_load_counts_as_changed(database: &Database) {
    let mut session = Session::start(&database.store().await).await.unwrap();
    database.sql(ALICE);
    sees(&mut session).await;
}

async fn two_changes_are_seen_one_after_the_other(database: &Database) {
    let mut session = followed(database).await;
    database.sql(ALICE);
    sees(&mut session).await;
    session.load().await.unwrap();
    database.sql("update app_user set enabled = false");
    sees(&mut session).await;
    assert_eq!(session.load().await.unwrap().users[0].enabled, 0);
    sees_nothing(&mut session).await;
    // Two between two looks are one.
    database.sql("update app_user set enabled = true");
    database.sql("update app_user set note = 'x'");
    sees(&mut session).await;
    session.load().await.unwrap();
    sees_nothing(&mut session).await;
}

async fn a_change_of_every_table_is_seen(database: &Database) {
    let mut session = followed(database).await;
    for statement in [
        "insert into app_user (username) values ('alice')",
        "insert into user_group (username, group_name) values ('alice', 'ops')",
        "insert into mapping (username, serial) values ('alice', '0a')",
        "insert into block (serial) values ('0b')",
        "update block set enabled = false",
        "update mapping set revoked_at = '2026-01-01T00:00:00Z'",
        "update user_group set group_name = 'staff'",
        "update app_user set username = 'carol'",
        "delete from block",
        "delete from mapping",
        "delete from user_group",
        "delete from app_user",
    ] {
        database.sql(statement);
        assert!(session.changed(POLL).await.unwrap(), "{statement}");
        session.load().await.unwrap();
    }
}

async fn a_rolled_back_change_is_not_seen(database: &Database) {
    let mut session = followed(database).await;
    database.sql(&format!("begin; {ALICE} rollback;"));
    sees_nothing(&mut session).await;
}

/// A connection that keeps a transaction open.
enum Writer {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Writer {
    async fn begin(database: &Database) -> Self {
        let url = database.url_text();
        let mut writer = match database.which {
            Which::Postgres => Self::Postgres(PgConnection::connect(&url).await.unwrap()),
            Which::Sqlite => Self::Sqlite(SqliteConnection::connect(&url).await.unwrap()),
        };
        writer.run("begin").await;
        writer
    }

    async fn run(&mut self, sql: &'static str) {
        match self {
            Self::Postgres(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
            Self::Sqlite(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
        }
        .unwrap();
    }
}

async fn a_transaction_is_seen_once_it_commits_however_long_it_took(database: &Database) {
    let mut writer = Writer::begin(database).await;
    writer.run("insert into app_user (username) values ('alice')").await;
    let mut session = followed(database).await;
    sees_nothing(&mut session).await;
    writer.run("insert into mapping (username, serial) values ('alice', '0a')").await;
    sees_nothing(&mut session).await;
    writer.run("commit").await;
    sees(&mut session).await;
    assert_eq!(session.load().await.unwrap().mappings.len(), 1);
    sees_nothing(&mut session).await;
}

async fn an_earlier_transaction_that_commits_later_is_seen(database: &Database) {
    let mut session = followed(database).await;
    let mut slow = Writer::begin(database).await;
    slow.run("insert into app_user (username) values ('alice')").await;
    database.sql("insert into app_user (username) values ('bob')");
    sees(&mut session).await;
    assert_eq!(session.load().await.unwrap().users.len(), 1);
    sees_nothing(&mut session).await;
    slow.run("commit").await;
    sees(&mut session).await;
    assert_eq!(session.load().await.unwrap().users.len(), 2);
    sees_nothing(&mut session).await;
}

async fn an_open_transaction_does_not_make_every_look_find_changes(database: &Database) {
    let mut forgotten = Writer::begin(database).await;
    forgotten.run("create table forgotten (number integer)").await;
    let mut session = followed(database).await;
    for name in ["alice", "bob", "carol"] {
        database.sql(&format!("insert into app_user (username) values ('{name}')"));
        sees(&mut session).await;
        session.load().await.unwrap();
        sees_nothing(&mut session).await;
    }
    forgotten.run("rollback").await;
    sees_nothing(&mut session).await;
}

/// Has the feed's next tending happen now, and everything in it be old.
const TEND_OLD: &str = "set certgate.tending = 'on';
    update change set at = at - interval '1 hour';
    update feed set beat_at = beat_at - interval '1 hour';
    select certgate_tend();";

async fn changes_trimmed_away_unseen_count_as_changed(database: &Database) {
    let mut session = followed(database).await;
    database.sql(
        "set session_replication_role = replica; insert into app_user (username) values ('alice')",
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    // Other tests' transactions on the same server keep changes from being settled for a while.
    while database.sql("select count(*) from change") != "0" {
        database.sql(TEND_OLD);
        assert!(Instant::now() < deadline, "nothing was trimmed");
    }
    sees(&mut session).await;
    assert_eq!(session.load().await.unwrap().users.len(), 1);
    sees_nothing(&mut session).await;
}

async fn a_flood_under_a_forgotten_transaction_is_trimmed_and_followed(database: &Database) {
    let mut forgotten = Writer::begin(database).await;
    forgotten.run("create table forgotten (number integer)").await;
    let mut session = followed(database).await;
    database.sql(
        "insert into change (relation, key) select 'mapping', '1' from generate_series(1, 60000)",
    );
    database.sql(
        "insert into change (relation, key) select 'mapping', '2' from generate_series(1, 80000)",
    );
    sees(&mut session).await;
    session.load().await.unwrap();
    sees_nothing(&mut session).await;
    for _ in 0..3 {
        database
            .sql("update feed set beat_at = beat_at - interval '1 hour'; select certgate_tend()");
    }
    let left: u32 = database.sql("select count(*) from change").parse().unwrap();
    assert!(left <= 100_000, "{left} changes are left");
    // Trimmed past the cursor, it is loaded once more and quiet again, though the cursor, held by
    // the open transaction, cannot move.
    let mut loads = 0;
    while session.changed(SHORT).await.unwrap() {
        session.load().await.unwrap();
        loads += 1;
        assert!(loads <= 5, "a follower must not load for ever");
    }
    sees_nothing(&mut session).await;
    database.sql(ALICE);
    sees(&mut session).await;
    session.load().await.unwrap();
    sees_nothing(&mut session).await;
    forgotten.run("insert into app_user (username) values ('bob')").await;
    forgotten.run("commit").await;
    sees(&mut session).await;
    assert_eq!(session.load().await.unwrap().users.len(), 2);
}

async fn a_connection_that_is_killed_ends_the_session(database: &Database) {
    let mut session = followed(database).await;
    let killed = database.sql(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and application_name = 'certgate'",
    );
    assert_ne!(killed, "0");
    let error = session.changed(POLL).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    // It does not come back behind anybody's back; a new one makes good what was missed.
    database.sql(ALICE);
    session.changed(SHORT).await.unwrap_err();
    session.load().await.unwrap_err();
    let mut session = Session::start(&database.store().await).await.unwrap();
    assert_eq!(session.load().await.unwrap().users.len(), 1);
}

async fn a_lost_notification_is_made_up_for_by_the_poll(database: &Database) {
    database.sql(
        "create or replace function certgate_note(changed_relation text, keys text[]) returns void
         language sql set search_path from current as
         $$ insert into change (relation, key) select changed_relation, unnest(keys) $$",
    );
    let mut session = followed(database).await;
    database.sql(ALICE);
    sees(&mut session).await;
    session.load().await.unwrap();
    sees_nothing(&mut session).await;
}

async fn a_truncate_is_seen(database: &Database) {
    database.sql(ALICE);
    let mut session = followed(database).await;
    database.sql("truncate app_user cascade");
    sees(&mut session).await;
    assert_eq!(session.load().await.unwrap().users.len(), 0);
}

async fn a_role_that_only_reads_by_default_tends_the_feed(database: &Database) {
    let name = database.name();
    database.sql(&format!("alter database \"{name}\" set default_transaction_read_only = on"));
    let mut session = followed(database).await;
    let beat = database.sql("select beat_at from feed");
    let deadline = Instant::now() + Duration::from_secs(20);
    while database.sql("select beat_at from feed") == beat {
        assert!(Instant::now() < deadline, "the feed was not tended");
        session.changed(SHORT).await.unwrap();
    }
}

async fn a_file_moved_over_the_old_one_ends_the_session(database: &Database) {
    let mut session = followed(database).await;
    let copy = database.file().with_extension("copy");
    database.sql(&format!("vacuum into '{}'", copy.display()));
    fs::rename(&copy, database.file()).unwrap();
    let error = session.changed(POLL).await.unwrap_err();
    assert!(matches!(error, StoreError::FileReplaced { .. }), "{error:?}");
}

async fn a_file_replaced_before_the_first_load_ends_the_session(database: &Database) {
    let mut session = Session::start(&database.store().await).await.unwrap();
    let copy = database.file().with_extension("copy");
    database.sql(&format!("vacuum into '{}'", copy.display()));
    fs::rename(&copy, database.file()).unwrap();
    let error = session.load().await.unwrap_err();
    assert!(matches!(error, StoreError::FileReplaced { .. }), "{error:?}");
}

async fn a_deleted_file_ends_the_session(database: &Database) {
    let mut session = followed(database).await;
    fs::remove_file(database.file()).unwrap();
    let error = session.changed(POLL).await.unwrap_err();
    assert!(matches!(error, StoreError::FileReplaced { .. }), "{error:?}");
    assert!(!database.file().exists(), "following makes no file");
}

async fn a_follower_keeps_nobody_from_emptying_the_log(database: &Database) {
    let mut session = followed(database).await;
    database.sql(ALICE);
    sees(&mut session).await;
    session.load().await.unwrap();
    assert_eq!(database.sql("pragma wal_checkpoint(truncate)"), "0|0|0");
    let _ = session.changed(SHORT).await.unwrap();
}

async fn a_hundred_thousand_mappings_are_loaded_whole(database: &Database) {
    database.sql(
        "begin;
         insert into app_user (username)
             with recursive number (n) as (select 1 union all select n + 1 from number where n < \
             1000)
             select 'user' || n from number;
         insert into mapping (username, issuer, serial)
             with recursive number (n) as (select 1 union all select n + 1 from number where n < \
             100000)
             select 'user' || (n % 1000 + 1), 'CN=Example CA,O=Example,C=FR', '1' || n from number;
         commit;",
    );
    let mut session = followed(database).await;
    let rows = session.load().await.unwrap();
    assert_eq!(rows.mappings.len(), 100_000);
    sees_nothing(&mut session).await;
}
