//! The feed: which keys a change writes down, and that it stays short.

use std::time::{Duration, Instant};

use super::support::shells::{Database, Which, on_both, only_on};

on_both! {
    every_change_feeds_old_and_new_keys,
    a_statement_that_changes_nothing_feeds_nothing,
    a_refused_statement_feeds_nothing,
}
only_on! { on_postgres: Postgres:
    a_new_id_feeds_both,
    a_bulk_statement_feeds_one_key_for_all,
    a_merge_and_a_copy_are_fed,
    tending_removes_what_is_old_and_settled_only,
    tending_bounds_the_feed,
    tending_is_one_at_a_time_and_never_waits,
    nobody_else_takes_a_change_out_of_the_feed,
    every_function_of_a_definer_has_a_fixed_search_path,
}
only_on! { on_sqlite: Sqlite: the_feed_trims_itself, numbers_of_the_feed_are_never_used_again }

/// Runs it, and says what it fed.
fn fed(database: &Database, statement: &str) -> Vec<String> {
    database.forget_changes();
    database.sql(statement);
    let mut fed: Vec<_> = database
        .sql("select distinct relation || ' ' || key from change")
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    fed.sort();
    fed
}

async fn every_change_feeds_old_and_new_keys(database: &Database) {
    let rows: [(&str, &[&str]); 17] = [
        (
            "insert into app_user (username) values ('alice'), ('bob')",
            &["app_user alice", "app_user bob"],
        ),
        (
            "insert into user_group (username, group_name) values ('alice', 'ops')",
            &["user_group alice,ops"],
        ),
        (
            "insert into mapping (id, username, serial) values (1, 'alice', '0a'), (2, 'bob', \
                '0b')",
            &["mapping 1", "mapping 2"],
        ),
        ("insert into block (id, serial) values (3, '0c')", &["block 3"]),
        ("update app_user set enabled = false where username = 'bob'", &["app_user bob"]),
        (
            "update app_user set username = 'carol' where username = 'alice'",
            &[
                "app_user alice",
                "app_user carol",
                "mapping 1",
                "user_group alice,ops",
                "user_group carol,ops",
            ],
        ),
        (
            "update app_user set username = 'CAROL' where username = 'carol'",
            &[
                "app_user CAROL",
                "app_user carol",
                "mapping 1",
                "user_group CAROL,ops",
                "user_group carol,ops",
            ],
        ),
        (
            "update user_group set group_name = 'staff'",
            &["user_group CAROL,ops", "user_group CAROL,staff"],
        ),
        (
            "update user_group set username = 'bob'",
            &["user_group CAROL,staff", "user_group bob,staff"],
        ),
        ("update mapping set username = 'bob' where id = 1", &["mapping 1"]),
        ("update mapping set enabled = false", &["mapping 1", "mapping 2"]),
        ("update block set reason = 'x'", &["block 3"]),
        ("delete from block", &["block 3"]),
        ("delete from mapping where id = 1", &["mapping 1"]),
        ("delete from user_group", &["user_group bob,staff"]),
        ("delete from app_user where username = 'bob'", &["app_user bob", "mapping 2"]),
        ("delete from app_user", &["app_user CAROL"]),
    ];
    for (statement, keys) in rows {
        assert_eq!(fed(database, statement), keys, "{statement}");
    }
}

async fn a_statement_that_changes_nothing_feeds_nothing(database: &Database) {
    for statement in [
        "delete from mapping",
        "update app_user set enabled = false",
        "delete from block where id = 1",
    ] {
        assert!(fed(database, statement).is_empty(), "{statement}");
    }
}

async fn a_refused_statement_feeds_nothing(database: &Database) {
    database.error("insert into app_user (username) values ('alice'), ('a b')");
    database.error("insert into mapping (username, serial) values ('alice', '0a')");
    assert_eq!(database.sql("select count(*) from change"), "0");
}

async fn a_new_id_feeds_both(database: &Database) {
    database.sql(
        "insert into app_user (username) values ('alice');
         insert into mapping (id, username, serial) values (1, 'alice', '0a');
         insert into block (id, serial) values (1, '0a');",
    );
    assert_eq!(fed(database, "update mapping set id = 5"), ["mapping 1", "mapping 5"]);
    assert_eq!(fed(database, "update block set id = 5"), ["block 1", "block 5"]);
}

async fn a_bulk_statement_feeds_one_key_for_all(database: &Database) {
    let users = |from: u32, to: u32| {
        format!(
            "insert into app_user (username) select 'user' || n from generate_series({from}, \
                {to}) n"
        )
    };
    assert_eq!(fed(database, &users(1, 10_000)).len(), 10_000);
    assert_eq!(fed(database, &users(10_001, 20_001)), ["app_user"]);
    assert_eq!(fed(database, "update app_user set enabled = false"), ["app_user"]);
    assert_eq!(fed(database, "delete from app_user"), ["app_user"]);
}

async fn a_merge_and_a_copy_are_fed(database: &Database) {
    database.sql("insert into app_user (username) values ('alice'), ('bob')");
    let merge = "merge into app_user using (values ('alice'), ('carol')) given (name) on \
        username = given.name
        when matched then update set enabled = false
        when not matched then insert (username) values (given.name)";
    assert_eq!(fed(database, merge), ["app_user alice", "app_user carol"]);
    let copy = "copy mapping (id, username, serial) from program 'printf ''9\\tbob\\t0a\\n'''";
    assert_eq!(fed(database, copy), ["mapping 9"]);
}

/// What certgate_tend() says of itself, so that the feed may be touched.
const BY_HAND: &str = "set certgate.tending = 'on';";
/// Has the next call tend, whoever did so lately.
const TEND: &str = "update feed set beat_at = beat_at - interval '1 hour'; select certgate_tend();";

/// Other tests' transactions on the same server keep changes from being settled for a while.
fn tend_until(database: &Database, left: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        database.sql(TEND);
        let keys = database.sql("select key from change order by 1");
        if keys == left {
            return;
        }
        assert!(Instant::now() < deadline, "{keys}");
    }
}

async fn tending_removes_what_is_old_and_settled_only(database: &Database) {
    use sqlx::Connection as _;
    database.sql("insert into app_user (username) values ('alice')");
    database.sql(&format!("{BY_HAND} update change set at = at - interval '11 minutes'"));
    let mut open = sqlx::PgConnection::connect(&database.url_text()).await.unwrap();
    sqlx::raw_sql("begin; create table mine (n integer)").execute(&mut open).await.unwrap();
    database.sql("insert into app_user (username) values ('bob')");
    database.sql(&format!(
        "{BY_HAND} update change set at = at - interval '11 minutes' where key = 'bob'"
    ));
    tend_until(database, "bob");
    database.sql(TEND);
    assert_eq!(database.sql("select key from change"), "bob", "its transaction is not settled");
    sqlx::raw_sql("commit").execute(&mut open).await.unwrap();
    database.sql("insert into app_user (username) values ('carol')");
    tend_until(database, "carol");
    let before = database.sql("select trimmed_to from feed");
    database.sql(TEND);
    assert_eq!(database.sql("select trimmed_to from feed"), before, "nothing was trimmed");
    let beat = "select clock_timestamp() - beat_at < interval '1 minute' from feed";
    assert_eq!(database.sql(beat), "t");
}

async fn tending_bounds_the_feed(database: &Database) {
    for _ in 0..4 {
        database.sql(
            "insert into change (relation, key) select 'mapping', n::text from \
            generate_series(1, 40000) n",
        );
    }
    let mut trimmed_to = 0_u64;
    for _ in 0..3 {
        database.sql(TEND);
        let now: u64 = database.sql("select trimmed_to from feed").parse().unwrap();
        assert!(now >= trimmed_to);
        trimmed_to = now;
    }
    let left: u32 = database.sql("select count(*) from change").parse().unwrap();
    assert!((80_000..=100_000).contains(&left), "{left}");
}

async fn tending_is_one_at_a_time_and_never_waits(database: &Database) {
    use sqlx::Connection as _;
    let mut first = sqlx::PgConnection::connect(&database.url_text()).await.unwrap();
    sqlx::raw_sql(
        "begin; update feed set beat_at = beat_at - interval '1 hour'; select certgate_tend();",
    )
    .execute(&mut first)
    .await
    .unwrap();
    database.sql("set lock_timeout = '100ms'; select certgate_tend();");
    sqlx::raw_sql("rollback").execute(&mut first).await.unwrap();
    // A call that finds it done lately does nothing.
    let beat = database.sql("select certgate_tend() is null; select beat_at from feed");
    assert!(
        beat.ends_with(&database.sql("select certgate_tend() is null; select beat_at from feed"))
    );
}

async fn nobody_else_takes_a_change_out_of_the_feed(database: &Database) {
    database.sql("insert into block (serial) values ('0a')");
    for by_hand in [
        "delete from change",
        "truncate change",
        "update change set xid = '5'",
        "set session_replication_role = replica; delete from change",
        "with gone as (delete from change returning 1) select count(*) from gone",
    ] {
        // Also when somebody tended in the same transaction.
        let refused = format!("begin; {TEND} {by_hand}");
        assert!(database.error(&refused).contains("followers count on"), "{by_hand}");
    }
    assert_eq!(database.sql("select relation, key from change"), "block|1");
    database.sql("truncate block");
    assert_eq!(database.sql("select relation, key from change where key = ''"), "block|");
}

async fn every_function_of_a_definer_has_a_fixed_search_path(database: &Database) {
    let functions = "from pg_proc where pronamespace = 'public'::regnamespace";
    let loose = format!(
        "select proname {functions} and not (proconfig @> array['search_path=public, pg_temp'])"
    );
    assert_eq!(database.sql(&loose), "");
    let open =
        format!("select proname {functions} and has_function_privilege('public', oid, 'execute')");
    assert_eq!(database.sql(&open), "certgate_tend");
}

async fn the_feed_trims_itself(database: &Database) {
    database.sql(
        "insert into change (relation, key)
         with recursive number (n) as (select 1 union all select n + 1 from number where n < 100050)
         select 'mapping', n from number",
    );
    assert_eq!(
        database.sql("select count(*), min(key + 0), max(key + 0) from change"),
        "100000|51|100050"
    );
}

async fn numbers_of_the_feed_are_never_used_again(database: &Database) {
    assert_eq!(database.which, Which::Sqlite);
    database.sql("insert into block (serial) values ('0a'), ('0b')");
    let last = database.sql("select max(id) from change");
    database.sql("delete from change; update block set reason = 'x' where serial = '0a'");
    let next: u32 = database.sql("select min(id) from change").parse().unwrap();
    assert_eq!(next, last.parse::<u32>().unwrap() + 1);
}
