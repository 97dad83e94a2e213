//! Whatever sequence of SQL is typed into both shells: both databases accept and refuse the same,
//! hold the same, and a follower misses none of it.

use certgate::directory::{Directory, Rows, Settings};
use certgate::store::{Session, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::time::Duration;

use super::support::follower::Follow as _;
use super::support::shells::{Database, Which};

/// Few: each types its statements into two shells.
const CASES: u32 = 12;
/// Statements between two comparisons.
const MAX_STATEMENTS: usize = 25;

const NAMES: [&str; 7] = ["alice", "ALICE", "bob", "Bob", "carol", "a b", "a,b"];
const GROUPS: [&str; 4] = ["ops", "OPS", "staff", ""];
const SERIALS: [&str; 8] = ["0a", "A", "0x0A", "0b:0c", "0", "", "x", "CA 92"];
const TIMES: [&str; 5] = [
    "null",
    "'2026-01-01T00:00:00Z'",
    "'2026-01-01T01:00:00+01:00'",
    "'2027-06-30T12:00:00.5Z'",
    "'1969-12-31T23:59:59Z'",
];

/// One statement that means the same on both databases.
fn statement() -> impl Strategy<Value = String> {
    let user = || prop::sample::select(&NAMES[..]);
    let group = || prop::sample::select(&GROUPS[..]);
    let serial = || prop::sample::select(&SERIALS[..]);
    let time = || prop::sample::select(&TIMES[..]);
    let id = || 1..5_i64;
    prop_oneof![
        4 => user().prop_map(|user| format!("insert into app_user (username) values ('{user}')")),
        1 => user().prop_map(|user| format!(
            "insert into app_user (username, note) values ('{user}', 'x') \
             on conflict (username) do update set note = 'y'")),
        2 => user().prop_map(|user| format!("delete from app_user where username = '{user}' and \
            username || '' = '{user}'")),
        2 => (user(), user()).prop_map(|(old, new)| format!(
            "update app_user set username = '{new}' where username || '' = '{old}'")),
        1 => (user(), time(), time()).prop_map(|(user, from, until)| format!(
            "update app_user set valid_from = {from}, valid_until = {until} where username || '' \
                = '{user}'")),
        3 => (user(), group()).prop_map(|(user, group)| format!(
            "insert into user_group (username, group_name) values ('{user}', '{group}')")),
        1 => (group(), group()).prop_map(|(old, new)| format!(
            "update user_group set group_name = '{new}' where group_name = '{old}' and username \
                = 'alice'")),
        1 => (user(), group()).prop_map(|(user, group)| format!(
            "delete from user_group where username = '{user}' and group_name = '{group}'")),
        4 => (id(), user(), serial()).prop_map(|(id, user, serial)| format!(
            "insert into mapping (id, username, serial) values ({id}, '{user}', '{serial}')")),
        2 => (id(), user(), time()).prop_map(|(id, user, time)| format!(
            "update mapping set username = '{user}', revoked_at = {time} where id = {id}")),
        1 => (id(), serial()).prop_map(|(id, serial)| format!(
            "update mapping set serial = '{serial}', enabled = not enabled where id = {id}")),
        1 => id().prop_map(|id| format!("delete from mapping where id = {id}")),
        2 => (id(), serial(), time()).prop_map(|(id, serial, time)| format!(
            "insert into block (id, serial, valid_from) values ({id}, '{serial}', {time})")),
        1 => id().prop_map(|id| format!("delete from block where id = {id}")),
        1 => Just("delete from app_user".to_owned()),
    ]
}

/// The rows in one order, times as instants: SQLite keeps the zone that was written.
fn comparable(rows: Rows) -> String {
    let time = |time: Option<Vec<u8>>| {
        time.map(|text| {
            let text = String::from_utf8(text).unwrap();
            certgate::pki::UnixTime::parse_rfc3339(&text).unwrap().to_string().into_bytes()
        })
    };
    let mut lines = Vec::new();
    for mut row in rows.users {
        (row.valid_from, row.valid_until) = (time(row.valid_from), time(row.valid_until));
        lines.push(format!("{row:?}"));
    }
    lines.extend(rows.groups.iter().map(|row| format!("{row:?}")));
    for mut row in rows.mappings {
        row.revoked_at = time(row.revoked_at);
        lines.push(format!("{row:?}"));
    }
    for mut row in rows.blocks {
        row.valid_from = time(row.valid_from);
        lines.push(format!("{row:?}"));
    }
    lines.sort();
    lines.join("\n")
}

fn counts(directory: &Directory) -> (usize, usize, usize, usize) {
    let unusable = directory.unusable().len();
    (directory.user_count(), directory.mapping_count(), directory.block_count(), unusable)
}

/// A database, and a follower of it that has seen everything so far.
struct Followed {
    database: Database,
    session: Session,
    seen: String,
}

impl Followed {
    async fn new(which: Which) -> Self {
        let database = Database::empty(which);
        Store::migrate(&database.url()).await.unwrap();
        let mut session = Session::start(&database.store().await).await.unwrap();
        let seen = comparable(session.load().await.unwrap());
        Self { database, session, seen }
    }

    /// Runs the statements; which of them were refused, and what there is then.
    async fn run(&mut self, statements: &[String]) -> (Vec<bool>, Rows) {
        let refused = self.database.errors(statements).iter().map(Option::is_some).collect();
        let rows = self.database.rows().await;
        if comparable(rows.clone()) != self.seen {
            let changed = self.session.changed(Duration::from_secs(1)).await.unwrap();
            assert!(changed, "the follower missed {statements:#?}");
        }
        self.seen = comparable(self.session.load().await.unwrap());
        assert_eq!(self.seen, comparable(rows.clone()));
        (refused, rows)
    }
}

#[test]
fn both_databases_say_and_hold_the_same_and_a_follower_misses_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // The sessions end inside the runtime they were made in.
    let _inside = runtime.enter();
    let followed = runtime.block_on(async {
        [Followed::new(Which::Postgres).await, Followed::new(Which::Sqlite).await]
    });
    let followed = std::cell::RefCell::new(followed);
    let mut runner = TestRunner::new(Config { cases: CASES, ..Config::default() });
    let statements = prop::collection::vec(statement(), 1..MAX_STATEMENTS);
    runner
        .run(&statements, |mut statements| {
            let empty = ["delete from app_user", "delete from block"];
            statements.splice(0..0, empty.map(str::to_owned));
            let [postgres, sqlite] = &mut *followed.borrow_mut();
            let (one, other) = runtime.block_on(async {
                (postgres.run(&statements).await, sqlite.run(&statements).await)
            });
            prop_assert_eq!(&one.0, &other.0, "refused by one alone: {:#?}", statements);
            let directories =
                [&one.1, &other.1].map(|rows| Directory::build(rows, &Settings::default()));
            prop_assert_eq!(comparable(one.1), comparable(other.1));
            prop_assert_eq!(counts(&directories[0]), counts(&directories[1]));
            prop_assert_eq!(directories[0].unusable(), []);
            Ok(())
        })
        .unwrap();
}
