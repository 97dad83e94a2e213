//! The change feed and the sessions that follow it.

use std::time::{Duration, Instant};

use certgate::store::{Looked, Session, Store, StoreError};

use super::on_both;
use crate::support::database::{Database, Kind, by};
use crate::support::follower::Follow as _;

on_both! {
    a_change_by_raw_sql_is_seen_within_a_second,
    a_change_is_seen_though_others_were_taken_out_by_hand,
    a_row_that_nobody_can_read_as_text_is_loaded_all_the_same,
    a_transaction_that_commits_after_a_later_one_is_seen,
    an_open_transaction_does_not_make_every_look_a_change,
    each_change_leaves_its_old_and_new_keys,
    loading_gives_every_row,
    many_random_changes_end_in_the_same_directory,
    what_changed_while_a_trigger_was_away_is_loaded,
}

/// A change must be seen within this.
const BLINK: Duration = Duration::from_secs(1);
/// After this a test that waits has failed.
const DEADLINE: Duration = Duration::from_secs(20);

const ALICE: &str = "insert into app_user (username) values ('alice');
    insert into mapping (username, serial) values ('alice', '1');
    insert into user_group (username, group_name) values ('alice', 'ops');
    insert into block (serial) values ('2');";

const RULE: &str = "(priority, issuer, conditions, username)
    values (10, 'CN=Example CA', '{\"all\": []}', '{subject.CN}')";

async fn wait_for_change(session: &mut Session) -> Duration {
    let started = Instant::now();
    while !session.changed(BLINK).await.unwrap() {
        assert!(started.elapsed() < DEADLINE, "no change was seen");
    }
    started.elapsed()
}

/// On PostgreSQL: until the open shell's transaction stands idle.
fn wait_until_begun(database: &Database) {
    let idle = "select count(*) from pg_stat_activity
        where datname = current_database() and state = 'idle in transaction';";
    let started = Instant::now();
    while database.sql(idle) != "1" {
        assert!(started.elapsed() < DEADLINE);
    }
}

fn keys(database: &Database, after: &str) -> Vec<String> {
    let keys = database.sql(after);
    let mut keys: Vec<_> = keys.lines().map(str::to_owned).collect();
    keys.sort();
    keys
}

async fn each_change_leaves_its_old_and_new_keys(database: Database) {
    let rows = "select relation || ' ' || coalesce(nullif(key, ''), 'all') from change;";
    let expect = |sql: &str, expected: &[&str]| {
        database.forget_changes();
        database.sql(sql);
        assert_eq!(keys(&database, rows), expected, "{sql}");
    };
    expect(ALICE, &["app_user alice", "block 1", "mapping 1", "user_group alice,ops"]);
    expect(
        "update app_user set username = 'bob';",
        &[
            "app_user alice",
            "app_user bob",
            "mapping 1",
            "user_group alice,ops",
            "user_group bob,ops",
        ],
    );
    expect("update mapping set note = 'x' where id = 1;", &["mapping 1"]);
    expect("update mapping set note = 'x' where id = 7;", &[]);
    expect("update block set enabled = not enabled;", &["block 1"]);
    expect(
        "update user_group set group_name = 'staff';",
        &["user_group bob,ops", "user_group bob,staff"],
    );
    expect("delete from app_user;", &["app_user bob", "mapping 1", "user_group bob,staff"]);
    expect("delete from block;", &["block 1"]);
    if database.kind == Kind::Postgres {
        expect("truncate block;", &["block all"]);
        expect("truncate app_user cascade;", &["app_user all", "mapping all", "user_group all"]);
        expect(
            "set session_replication_role = replica; insert into block (serial) values ('1');",
            &["block 2"],
        );
    }
}

async fn loading_gives_every_row(database: Database) {
    database.sql(ALICE);
    database.sql(
        "update mapping set valid_from = '2027-01-31T12:00:00Z', san_email = 'alice@example.com';
         update app_user set enabled = not enabled, display_name = 'Älice';",
    );
    let store = database.store().await;
    let mut session = Session::start(&store).await.unwrap();
    let snapshot = session.load().await.unwrap();
    assert_eq!(snapshot.users[0].username, b"alice");
    assert_eq!(snapshot.users[0].display_name.as_deref(), Some("Älice".as_bytes()));
    assert_eq!((snapshot.users[0].enabled, snapshot.users[0].mapped_only), (0, 0));
    assert_eq!(snapshot.groups[0].group_name, b"ops");
    let mapping = &snapshot.mappings[0];
    assert_eq!(mapping.valid_from.as_deref(), Some(&b"2027-01-31T12:00:00Z"[..]));
    assert_eq!(mapping.pattern.san_email.as_deref(), Some(&b"alice@example.com"[..]));
    assert_eq!(mapping.pattern.serial.as_deref(), Some(&b"1"[..]));
    assert_eq!((mapping.enabled, mapping.valid_until.is_none()), (1, true));
    assert_eq!(snapshot.blocks[0].pattern.serial.as_deref(), Some(&b"2"[..]));
    assert_eq!(session.look().await.unwrap(), Looked::Same);
    database.sql("update block set reason = 'stolen';");
    assert!(session.look().await.unwrap().is_news());
    assert_eq!(store.load().await.unwrap().users[0].username, b"alice");
}

async fn a_row_that_nobody_can_read_as_text_is_loaded_all_the_same(database: Database) {
    if database.kind == Kind::Postgres {
        return;
    }
    database.sql(ALICE);
    database.sql("update mapping set san_email = cast(x'ff41' as text);");
    let snapshot = database.store().await.load().await.unwrap();
    assert_eq!(snapshot.mappings[0].pattern.san_email.as_deref(), Some(&b"\xff\x41"[..]));
    database.sql(
        "pragma ignore_check_constraints = on; update mapping set enabled = 7, valid_from = 'x';",
    );
    let snapshot = database.store().await.load().await.unwrap();
    assert_eq!(snapshot.mappings[0].enabled, 7);
    assert_eq!(snapshot.mappings[0].valid_from.as_deref(), Some(&b"x"[..]));
}

async fn a_change_by_raw_sql_is_seen_within_a_second(database: Database) {
    let store = database.store().await;
    let mut session = Session::start(&store).await.unwrap();
    // Between the subscription and the load, and after the load.
    database.sql(ALICE);
    assert_eq!(session.load().await.unwrap().users.len(), 1);
    while session.changed(BLINK).await.unwrap() {
        session.load().await.unwrap();
    }
    for sql in [
        "update mapping set enabled = not enabled;",
        "update app_user set username = 'bob';",
        "delete from block;",
    ] {
        database.sql(sql);
        let waited = wait_for_change(&mut session).await;
        assert!(waited < BLINK, "{sql}: {waited:?}");
        // What was handed over is not handed over again.
        assert!(!session.changed(Duration::ZERO).await.unwrap());
        session.load().await.unwrap();
        assert!(session.looked_at().unwrap().elapsed() < DEADLINE);
    }
    assert!(!session.changed(Duration::from_millis(100)).await.unwrap());
}

async fn a_transaction_that_commits_after_a_later_one_is_seen(database: Database) {
    if database.kind == Kind::Sqlite {
        return;
    }
    database.sql(ALICE);
    let store = database.store().await;
    let mut session = Session::start(&store).await.unwrap();
    let mut slow = database.open_shell();
    slow.send("begin; update mapping set enabled = false;");
    wait_until_begun(&database);
    session.load().await.unwrap();
    database.sql("update block set reason = 'later, but first';");
    wait_for_change(&mut session).await;
    assert_eq!(session.load().await.unwrap().mappings[0].enabled, 1);
    slow.send("commit;");
    wait_for_change(&mut session).await;
    assert_eq!(session.load().await.unwrap().mappings[0].enabled, 0);
}

async fn a_change_is_seen_though_others_were_taken_out_by_hand(database: Database) {
    let mut open = database.open_shell();
    if database.kind == Kind::Postgres {
        // What commits behind an open transaction is counted at each look.
        open.send("begin; select pg_current_xact_id();");
        wait_until_begun(&database);
    }
    database.sql(ALICE);
    let store = database.store().await;
    for changes in [
        // One that was seen goes and one comes: there are as many as before.
        "delete from change where key = '1'; update mapping set enabled = false;",
        // One goes that nobody has seen.
        "update mapping set enabled = true; delete from change where key = '1';",
        "update mapping set enabled = false; delete from change;",
    ] {
        let mut session = Session::start(&store).await.unwrap();
        session.load().await.unwrap();
        match database.kind {
            // Nobody may: a row can leave the feed without a trace there.
            Kind::Postgres => database.sql_whatever_fails(changes),
            Kind::Sqlite => drop(database.sql(changes)),
        }
        assert!(session.look().await.unwrap().is_news(), "{changes}");
    }
}

async fn an_open_transaction_does_not_make_every_look_a_change(database: Database) {
    database.sql(ALICE);
    let store = database.store().await;
    let mut session = Session::start(&store).await.unwrap();
    let mut open = database.open_shell();
    open.send("begin; update block set reason = 'forgotten';");
    // Committed behind the open one: its number is higher, so each look reads it again.
    if database.kind == Kind::Postgres {
        database.sql("update mapping set note = 'x';");
    }
    session.load().await.unwrap();
    let started = Instant::now();
    let mut looks = 0;
    while looks < 3 {
        match session.changed(Duration::from_millis(50)).await.unwrap() {
            true => drop(session.load().await.unwrap()),
            false => looks += 1,
        }
        assert!(started.elapsed() < DEADLINE, "every look is a change");
    }
    open.send("rollback;");
}

async fn many_random_changes_end_in_the_same_directory(database: Database) {
    database.sql(ALICE);
    let store = database.store().await;
    let mut session = Session::start(&store).await.unwrap();
    let mut followed = session.load().await.unwrap();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let sql: String = (0..25)
                .map(|step| {
                    let serial = format!("{:x}", writer * 100 + step + 16);
                    format!(
                        "begin; insert into mapping (username, serial) values ('alice', '{serial}');
                         update mapping set note = 'n{step}' where serial = '{serial}';
                         {} commit;\n",
                        if step % 3 == 0 {
                            format!("delete from mapping where serial = '{serial}';")
                        } else {
                            String::new()
                        }
                    )
                })
                .collect();
            match database.kind {
                Kind::Postgres => sql,
                // One writer at a time is all that SQLite has.
                Kind::Sqlite => sql.replace("begin;", "begin immediate;"),
            }
        })
        .collect();
    std::thread::scope(|scope| {
        for sql in &writers {
            scope.spawn(|| database.sql(sql));
        }
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                // Until nothing is new any more and all writers have written.
                let expected = 1 + 4 * (25 - 9);
                let started = Instant::now();
                loop {
                    if session.changed(Duration::from_millis(100)).await.unwrap() {
                        followed = session.load().await.unwrap();
                    } else if followed.mappings.len() == expected {
                        break;
                    }
                    assert!(started.elapsed() < DEADLINE, "{}", followed.mappings.len());
                }
            });
        });
    });
    assert_eq!(followed.mappings.len(), store.load().await.unwrap().mappings.len());
}

#[tokio::test]
async fn a_file_that_takes_the_place_of_another_ends_the_session() {
    let database = Database::migrated(Kind::Sqlite).await;
    let other = Database::migrated(Kind::Sqlite).await;
    let store = database.store().await;
    let mut session = Session::start(&store).await.unwrap();
    session.load().await.unwrap();
    std::fs::rename(other.path(), database.path()).unwrap();
    let error = session.changed(BLINK).await.unwrap_err();
    assert!(matches!(error, StoreError::FileReplaced { .. }), "{error}");
    assert!(session.changed(BLINK).await.is_err(), "an ended session stays ended");
}

#[tokio::test]
async fn a_lost_connection_ends_the_session() {
    let database = Database::migrated(Kind::Postgres).await;
    let store = database.store().await;
    let mut session = Session::start(&store).await.unwrap();
    session.load().await.unwrap();
    database.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid();",
    );
    let error = session.changed(BLINK).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(session.load().await.is_err(), "an ended session stays ended");
    let mut next = Session::start(&store).await.unwrap();
    next.load().await.unwrap();
}

#[tokio::test]
async fn while_changes_are_not_all_written_down_no_session_goes_on() {
    let database = Database::migrated(Kind::Postgres).await;
    database.sql(ALICE);
    let store = database.store().await;
    for (off, on, named) in [
        (
            "mapping disable trigger mapping_changed_update",
            "mapping enable trigger all",
            ": mapping_changed_update off",
        ),
        (
            "block disable trigger all",
            "block enable trigger all",
            ": block_changed_delete, block_changed_insert, block_changed_truncate, \
             block_changed_update off",
        ),
        (
            "rule enable replica trigger rule_changed_insert",
            "rule enable trigger all",
            ": rule_changed_insert off",
        ),
        (
            "change disable trigger change_kept",
            "change enable always trigger change_kept",
            ": change_kept off",
        ),
    ] {
        let mut before = Session::start(&store).await.unwrap();
        before.load().await.unwrap();
        database.sql(&format!("alter table {off};"));
        let mut after = Session::start(&store).await.unwrap();
        for error in [before.look().await.unwrap_err(), after.load().await.unwrap_err()] {
            assert!(error.to_string().contains(named), "{off}: {error}");
        }
        database.sql(&format!("alter table {on};"));
        let mut again = Session::start(&store).await.unwrap();
        again.load().await.unwrap();
        assert!(!again.look().await.unwrap().is_news(), "{on}");
    }
}

#[tokio::test]
async fn a_sqlite_file_whose_triggers_are_not_as_they_were_made_is_not_followed() {
    for (alteration, named) in [
        ("drop trigger mapping_changed_update;", ": mapping_changed_update gone"),
        ("drop trigger app_user_gone;", ": app_user_gone gone"),
        (
            // Its triggers stay with the old table, under their names.
            "alter table rule rename to old_rule; create table rule as select * from old_rule;",
            ": rule_changed_delete, rule_changed_insert, rule_changed_update gone",
        ),
        (
            // Those of other tables write to the renamed one.
            "alter table change rename to old_change;
             create table change (id integer primary key autoincrement, at text not null
                 default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), relation text, key text);
             insert into change select * from old_change;",
            ": app_user_changed_delete, app_user_changed_insert, app_user_changed_update, ",
        ),
        (
            "drop trigger block_changed_insert;
             create trigger block_changed_insert after insert on block begin select 1; end;",
            ": block_changed_insert gone or altered",
        ),
    ] {
        let database = Database::migrated(Kind::Sqlite).await;
        database.sql(ALICE);
        let store = database.store().await;
        let mut session = Session::start(&store).await.unwrap();
        session.load().await.unwrap();
        database.sql(alteration);
        assert!(session.wait(DEADLINE).await.unwrap(), "{alteration}");
        assert!(matches!(session.look().await.unwrap(), Looked::Reload(_)), "{alteration}");
        let mut other = Session::start(&store).await.unwrap();
        for error in [session.load().await.unwrap_err(), other.load().await.unwrap_err()] {
            assert!(error.to_string().contains(named), "{alteration}: {error}");
        }
    }
}

#[tokio::test]
async fn a_newer_schema_may_have_other_triggers_and_none_fewer() {
    let database = Database::migrated(Kind::Sqlite).await;
    let store = database.store().await;
    database.sql(
        "update certgate_schema set version = version + 1;
         drop trigger block_changed_insert;
         create trigger block_changed_insert after insert on block
         begin insert into change (relation, key) values ('block', new.id + 0); end;",
    );
    store.load().await.unwrap();
    database
        .sql("alter table rule rename to old_rule; create table rule as select * from old_rule;");
    let error = store.load().await.unwrap_err().to_string();
    assert!(error.contains(": rule_changed_delete, rule_changed_insert, "), "{error}");
}

/// Rows that are read with a table, and for which its triggers do not fire.
#[tokio::test]
async fn tables_that_inherit_are_not_followed() {
    for (inheriting, named) in [
        ("create table block_of_a_site () inherits (block);", ": block_of_a_site from block: "),
        (
            "create table all_rules (like rule including constraints);
             alter table rule inherit all_rules;",
            ": rule from all_rules: ",
        ),
    ] {
        let database = Database::migrated(Kind::Postgres).await;
        let store = database.store().await;
        let mut session = Session::start(&store).await.unwrap();
        session.load().await.unwrap();
        database.sql(inheriting);
        for error in [session.look().await.unwrap_err(), store.load().await.unwrap_err()] {
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}

/// Until somebody waits for a lock on the table.
async fn wait_until_stopped(database: &Database, table: &str) {
    let waits = format!(
        "select count(*) from pg_locks where relation = '{table}'::regclass and not granted;"
    );
    let started = Instant::now();
    while database.sql(&waits) != "1" {
        assert!(started.elapsed() < DEADLINE, "nobody waits for {table}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A snapshot that is older than a truncation finds an empty table when the truncation is done.
#[tokio::test]
async fn a_table_that_is_emptied_and_filled_while_it_is_read_is_never_empty() {
    let database = Database::migrated(Kind::Postgres).await;
    database.sql(ALICE);
    let store = database.store().await;
    let again = "begin; truncate block; insert into block (serial) values ('2'), ('3');";
    let mut nightly = database.open_shell();
    nightly.send(again);
    let commit = async {
        wait_until_stopped(&database, "block").await;
        nightly.send("commit;");
    };
    let mut session = Session::start(&store).await.unwrap();
    let (loaded, ()) = tokio::join!(session.load(), commit);
    assert_eq!(loaded.unwrap().blocks.len(), 2);

    database.sql(&format!("insert into rule {RULE};"));
    for (table, change, again) in [
        ("block", "update block set note = 'x';", again.to_owned()),
        (
            "mapping",
            "update mapping set note = 'x';",
            "begin; truncate mapping; insert into mapping (username, serial) values ('alice', '1');"
                .to_owned(),
        ),
        (
            "user_group",
            "update app_user set note = 'x';",
            "begin; truncate user_group;
             insert into user_group (username, group_name) values ('alice', 'ops');"
                .to_owned(),
        ),
        (
            "app_user",
            "update app_user set note = 'y';",
            format!("begin; truncate app_user cascade; {ALICE}"),
        ),
        (
            "rule",
            "update rule set note = 'x';",
            format!("begin; truncate rule; insert into rule {RULE};"),
        ),
    ] {
        session.load().await.unwrap();
        database.sql(change);
        let mut nightly = database.open_shell();
        nightly.send(&again);
        wait_until_begun(&database);
        let commit = async {
            wait_until_stopped(&database, table).await;
            nightly.send("commit;");
        };
        let (looked, ()) = tokio::join!(session.look(), commit);
        let looked = looked.unwrap();
        assert!(matches!(looked, Looked::Reload(_)), "{table}: {looked:?}");
    }

    let mut nightly = database.open_shell();
    nightly.send(again);
    wait_until_begun(&database);
    let mut work = store.read().await.unwrap();
    let commit = async {
        wait_until_stopped(&database, "block").await;
        nightly.send("commit;");
    };
    let (loaded, ()) = tokio::join!(work.load(), commit);
    assert_eq!(loaded.unwrap().blocks.len(), 2);
}

#[tokio::test]
async fn rows_that_an_alteration_writes_are_loaded() {
    let database = Database::migrated(Kind::Postgres).await;
    database.sql(&format!("{ALICE} update block set enabled = false;"));
    let store = database.store().await;
    let mut session = Session::start(&store).await.unwrap();
    session.load().await.unwrap();
    // Neither is a change: no row is another one.
    database.sql("vacuum analyze block;");
    assert_eq!(session.look().await.unwrap(), Looked::Same);
    database.sql("alter table block alter column enabled type boolean using true;");
    assert!(matches!(session.look().await.unwrap(), Looked::Reload(_)));
    assert_eq!(session.load().await.unwrap().blocks[0].enabled, 1);
}

async fn what_changed_while_a_trigger_was_away_is_loaded(database: Database) {
    let (off, on) = match database.kind {
        Kind::Postgres => (
            "alter table block disable trigger block_changed_insert".to_owned(),
            "alter table block enable always trigger block_changed_insert".to_owned(),
        ),
        Kind::Sqlite => {
            let again = "select sql from sqlite_master where name = 'block_changed_insert';";
            ("drop trigger block_changed_insert".to_owned(), database.sql(again))
        }
    };
    let store = database.store().await;
    let mut session = Session::start(&store).await.unwrap();
    session.load().await.unwrap();
    // What another trigger wrote down alone would be followed.
    database.sql(&format!(
        "begin; {off}; insert into block (serial) values ('2'); {on};
         insert into app_user (username) values ('alice'); commit;"
    ));
    assert!(matches!(session.look().await.unwrap(), Looked::Reload(_)));
    assert_eq!(session.load().await.unwrap().blocks.len(), 1);
    assert!(!session.look().await.unwrap().is_news());
}

#[tokio::test]
async fn an_owner_who_is_no_superuser_migrates_tends_and_keeps_the_feed() {
    let database = Database::empty(Kind::Postgres);
    let (name, role) = (database.name(), format!("{}_owner", database.name()));
    database.sql(&format!(
        "create role {role} login password 'plain'; alter database {name} owner to {role};"
    ));
    Store::migrate(&database.url_as(&role, "plain")).await.unwrap();
    database.sql(&format!("set role {role}; {ALICE}"));
    let refused = database.refused(&format!("set role {role}; delete from change;"));
    assert!(refused.contains("followers count on"), "{refused}");
    let tend = format!(
        "set role {role};
         begin; set local certgate.tending = 'on'; update change set at = now() - interval '1 hour';
         commit;
         update feed set beat_at = now() - interval '1 hour';
         select certgate_tend();"
    );
    // Other tests' transactions on the same server keep changes from being settled for a while.
    let started = Instant::now();
    while database.sql("select count(*) from change;") != "0" {
        assert!(started.elapsed() < 3 * DEADLINE);
        database.sql(&tend);
    }
    database.sql(&format!(
        "alter database {name} owner to current_user; drop owned by {role}; drop role {role};"
    ));
}

#[tokio::test]
async fn a_trimmed_feed_asks_a_late_cursor_to_load_anew() {
    let database = Database::migrated(Kind::Postgres).await;
    let store = database.store().await;
    let mut late = Session::start(&store).await.unwrap();
    late.load().await.unwrap();
    database.sql(ALICE);
    // Other tests' transactions on the same server keep changes from being settled for a while.
    let started = Instant::now();
    while database.sql("select count(*) from change;") != "0" {
        assert!(started.elapsed() < 3 * DEADLINE, "nothing was trimmed");
        database.sql(
            "set certgate.tending = 'on';
             update change set at = now() - interval '1 hour';
             update feed set beat_at = now() - interval '1 hour';
             select certgate_tend();",
        );
    }
    assert_eq!(database.sql("select beat_at > now() - interval '1 minute' from feed;"), "t");
    assert!(matches!(late.look().await.unwrap(), Looked::Reload(_)));
    late.load().await.unwrap();
    assert_eq!(late.look().await.unwrap(), Looked::Same);
}

#[tokio::test]
async fn a_role_with_rights_on_the_tables_alone_writes_and_follows() {
    let database = Database::migrated(Kind::Postgres).await;
    let role = format!("{}_role", database.name());
    database.sql(&format!(
        "create role {role} login password 'throw-away';
         grant insert, update, delete, select on app_user, user_group, mapping, block to {role};
         grant select on rule, change, feed, certgate_schema to {role};
         set role {role}; {ALICE}"
    ));
    let url = database.url_as(&role, "throw-away");
    let store = certgate::store::Store::open(&url, certgate::store::Open::Existing).await.unwrap();
    let mut session = Session::start(&store).await.unwrap();
    assert_eq!(session.load().await.unwrap().mappings.len(), 1);
    assert!(!session.changed(Duration::ZERO).await.unwrap());
    drop(session);
    store.close().await;
    database.sql(&format!("drop owned by {role}; drop role {role};"));
}

/// Hidden blocks keep nobody out, and hidden changes are not followed.
#[tokio::test]
async fn where_row_level_security_applies_to_the_role_nothing_is_read_and_the_table_named() {
    let database = Database::migrated(Kind::Postgres).await;
    let role = format!("{}_role", database.name());
    database.sql(&format!(
        "{ALICE}
         create role {role} login password 'throw-away';
         grant select on all tables in schema public to {role};"
    ));
    let url = database.url_as(&role, "throw-away");
    let store = certgate::store::Store::open(&url, certgate::store::Open::Existing).await.unwrap();
    let is_named = |table: &str, error: StoreError| {
        let hidden = format!("row-level security policy for table \"{table}\"");
        assert!(error.to_string().contains(&hidden), "{error}");
    };
    for table in ["block", "change", "certgate_schema"] {
        let mut session = Session::start(&store).await.unwrap();
        session.load().await.unwrap();
        database.sql(&format!("alter table {table} enable row level security;"));
        if table == "certgate_schema" {
            is_named(table, Session::start(&store).await.unwrap_err());
        } else {
            database.sql("update block set note = 'x';");
            match session.look().await {
                Ok(Looked::Reload(_)) => is_named(table, session.load().await.unwrap_err()),
                looked => is_named(table, looked.unwrap_err()),
            }
            is_named(table, store.load().await.unwrap_err());
        }
        if table == "block" {
            for mut work in [store.read().await.unwrap(), store.begin(&by()).await.unwrap()] {
                is_named(table, work.load().await.unwrap_err());
            }
            let mut work = store.begin(&by()).await.unwrap();
            is_named(table, work.administrator_rows("admins").await.unwrap_err());
        }
        database.sql(&format!("alter table {table} disable row level security;"));
    }
    assert_eq!(store.load().await.unwrap().blocks.len(), 1);
    store.close().await;
    database.sql(&format!("drop owned by {role}; drop role {role};"));
}
