//! Every change leaves its row of the audit in the same transaction, whoever makes it and how.

use crate::store_contract::on_both;
use crate::support::database::{Database, Kind};

on_both! {
    a_claim_never_breaks_a_change,
    a_rolled_back_change_leaves_nothing,
    a_rule_is_kept_word_for_word,
    every_kind_of_change_leaves_its_row,
    many_rows_cost_little_whatever_was_planned_before,
    nobody_changes_or_removes_what_is_written,
    rows_of_many_changes_at_once_are_paired,
    what_changes_nothing_leaves_nothing,
    what_follows_a_user_says_so,
}

/// The rows since the last call, oldest first: action, relation, key, whether it followed.
fn written(database: &Database) -> Vec<String> {
    let rows = database.sql(
        "select action || ' ' || relation || ' ' || key
             || case when followed then ' followed' else '' end
         from audit where id > (select coalesce(max(id), 0) from audit where action = 'mark')
         order by id;",
    );
    let overriding = match database.kind {
        Kind::Postgres => "overriding system value",
        Kind::Sqlite => "",
    };
    database.sql(&format!(
        "insert into audit (id, source, action, relation, key) {overriding}
         select max(id) + 1000, 'test', 'mark', '', '' from audit;"
    ));
    if database.kind == Kind::Postgres {
        database.sql("select setval('audit_id_seq', (select max(id) from audit));");
    }
    rows.lines().map(str::to_owned).collect()
}

/// One value of the last row but marks.
fn last(database: &Database, what: &str) -> String {
    database
        .sql(&format!("select {what} from audit where action <> 'mark' order by id desc limit 1;"))
}

async fn every_kind_of_change_leaves_its_row(database: Database) {
    let rule = "insert into rule (priority, issuer, conditions, username)
         values (1, 'CN=x', '{\"all\": []}', 'x');";
    for (sql, rows) in [
        ("insert into app_user (username) values ('alice');", &["insert app_user alice"][..]),
        ("update app_user set note = 'x';", &["update app_user alice"]),
        ("insert into user_group values ('alice', 'ops');", &["insert user_group alice,ops"]),
        ("update user_group set group_name = 'staff';", &["update user_group alice,staff"]),
        ("delete from user_group;", &["delete user_group alice,staff"]),
        ("insert into mapping (username, serial) values ('alice', '1');", &["insert mapping 1"]),
        ("update mapping set revoked_at = '2026-01-01T00:00:00Z';", &["update mapping 1"]),
        ("delete from mapping;", &["delete mapping 1"]),
        ("insert into block (serial) values ('1');", &["insert block 1"]),
        ("update block set enabled = not enabled;", &["update block 1"]),
        ("delete from block;", &["delete block 1"]),
        (rule, &["insert rule 1"]),
        ("update rule set priority = 2;", &["update rule 2"]),
        ("delete from rule;", &["delete rule 2"]),
        ("delete from app_user;", &["delete app_user alice"]),
    ] {
        database.sql(sql);
        assert_eq!(written(&database), rows, "{sql}");
        let user = match database.kind {
            Kind::Postgres => "certgate",
            Kind::Sqlite => "",
        };
        assert_eq!(last(&database, "coalesce(db_user, '')"), user);
        assert_eq!(last(&database, "source || coalesce(actor, '-')"), "sql-");
    }
    if database.kind == Kind::Postgres {
        database.sql("truncate app_user cascade;");
        let mut found = written(&database);
        found.sort_unstable();
        let found: Vec<_> = found.iter().map(|row| row.trim_end()).collect();
        assert_eq!(found, ["truncate app_user", "truncate mapping", "truncate user_group"]);
        // A session that replays is written down as well.
        database.sql(
            "set session_replication_role = replica; insert into block (serial) values ('2');",
        );
        assert_eq!(written(&database), ["insert block 2"]);
        return;
    }
    // What SQLite replaces fires no delete trigger.
    database.sql(
        "insert into app_user (username) values ('bob');
         insert or replace into app_user (username, note) values ('bob', 'new');
         insert or ignore into app_user (username) values ('bob');
         insert into app_user (username) values ('bob')
             on conflict (username) do update set note = 'newer';
         insert into user_group values ('bob', 'a'), ('bob', 'b');
         update or replace user_group set group_name = 'b' where group_name = 'a';
         delete from app_user;
         insert into app_user (username) values ('bob');",
    );
    assert_eq!(
        written(&database),
        [
            "insert app_user bob",
            "update app_user bob",
            "update app_user bob",
            "insert user_group bob,a",
            "insert user_group bob,b",
            "delete user_group bob,b",
            "update user_group bob,b",
            "delete app_user bob",
            "delete user_group bob,b followed",
            "insert app_user bob",
        ]
    );
    assert_eq!(last(&database, "before is null"), "1", "nothing of the one before");
}

async fn what_changes_nothing_leaves_nothing(database: Database) {
    database.sql(
        "insert into app_user (username) values ('alice');
         insert into mapping (username, serial) values ('alice', '1'), ('alice', '2');",
    );
    written(&database);
    database.sql(
        "update app_user set note = note; update mapping set note = null;
         update mapping set serial = '3' where serial = '9'; delete from block;",
    );
    assert_eq!(written(&database), [""; 0]);
    database.sql("update mapping set note = 'x' where serial = '1';");
    database.sql("update mapping set note = 'x';");
    assert_eq!(written(&database), ["update mapping 1", "update mapping 2"]);
}

async fn a_rolled_back_change_leaves_nothing(database: Database) {
    database.sql("insert into app_user (username) values ('alice');");
    written(&database);
    database.sql("begin; update app_user set note = 'x'; rollback;");
    database.refused("update app_user set note = 'x'; insert into app_user values ('a b');");
    assert_eq!(written(&database), ["update app_user alice"], "the first statement, alone");
    database.sql("begin; update app_user set note = 'y'; delete from app_user; commit;");
    assert_eq!(written(&database), ["update app_user alice", "delete app_user alice"]);
    if database.kind == Kind::Postgres {
        let transactions =
            "select count(distinct transaction_id) from audit where action <> 'mark'";
        assert_eq!(database.sql(transactions), "3");
    }
}

async fn what_follows_a_user_says_so(database: Database) {
    database.sql(
        "insert into app_user (username) values ('alice'), ('bob');
         insert into user_group values ('alice', 'ops');
         insert into mapping (username, serial) values ('alice', '1'), ('bob', '2');",
    );
    written(&database);
    database.sql("update app_user set username = 'carol' where username = 'alice';");
    let mut rows = written(&database);
    assert_eq!(rows.remove(0), "update app_user carol");
    rows.sort_unstable();
    assert_eq!(rows, ["update mapping 1 followed", "update user_group carol,ops followed"]);
    // A mapping that somebody else gets is no rename.
    database.sql("update mapping set username = 'carol' where serial = '2';");
    assert_eq!(written(&database), ["update mapping 2"]);
    database.sql("delete from app_user where username = 'carol';");
    let mut rows = written(&database);
    assert_eq!(rows.remove(0), "delete app_user carol");
    rows.sort_unstable();
    let followed = [
        "delete mapping 1 followed",
        "delete mapping 2 followed",
        "delete user_group carol,ops followed",
    ];
    assert_eq!(rows, followed);
}

async fn rows_of_many_changes_at_once_are_paired(database: Database) {
    database.sql(
        "insert into app_user (username, note) values ('u1', '1'), ('u2', '2'), ('u3', '3');
         insert into user_group select username, note from app_user;",
    );
    written(&database);
    database.sql("update app_user set username = 'x' || username, email = 'e' || note;");
    database.sql("update user_group set group_name = 'g' || group_name;");
    let pairs = database.sql(
        "select count(*) from audit where action = 'update' and relation = 'app_user'
             and before ->> 'note' = after ->> 'note'
             and after ->> 'username' = 'x' || (before ->> 'username');",
    );
    assert_eq!(pairs, "3");
    let pairs = database.sql(
        "select count(*) from audit where action = 'update' and relation = 'user_group'
             and not followed and after ->> 'group_name' = 'g' || (before ->> 'group_name');",
    );
    assert_eq!(pairs, "3");
}

async fn a_rule_is_kept_word_for_word(database: Database) {
    database.sql(
        "insert into rule (priority, issuer, conditions, username, enabled, valid_from)
         values (7, 'CN=x', '{\"all\":[]}', '{subject.CN}', false, '2026-01-01T00:00:00Z');",
    );
    assert_eq!(last(&database, "after -> 'conditions'"), "{\"all\":[]}");
    let boolean = last(&database, "after ->> 'enabled'");
    assert!(["false", "0"].contains(&boolean.as_str()), "{boolean}");
    assert!(last(&database, "after").contains("\"enabled\":false"), "the same on both");
    assert!(last(&database, "after ->> 'valid_from'").starts_with("2026-01-01T00:00:00"));
}

async fn a_claim_never_breaks_a_change(database: Database) {
    database.sql("insert into app_user (username) values ('alice');");
    let (begin, end) = match database.kind {
        Kind::Postgres => (
            "begin; select set_config('certgate.actor', repeat('é', 9000), true),
                 set_config('certgate.source', 'nonsense', true),
                 set_config('certgate.request_id', E'a\\nb', true);",
            "commit;",
        ),
        Kind::Sqlite => (
            "begin; insert into acting (actor, source, request_id)
                 values (replace(hex(zeroblob(4500)), '0', 'é'), 'nonsense', 'a' || char(10));",
            "delete from acting; commit;",
        ),
    };
    database.sql(&format!("{begin} update app_user set note = 'x'; {end}"));
    assert_eq!(last(&database, "length(actor)"), "256");
    assert_eq!(last(&database, "source"), "sql");
    assert!(last(&database, "request_id").contains('?'));
    database.sql("update app_user set note = 'y';");
    assert_eq!(
        last(&database, "coalesce(actor, 'nobody')"),
        "nobody",
        "it ends with the transaction"
    );
}

async fn nobody_changes_or_removes_what_is_written(database: Database) {
    database.sql("insert into app_user (username) values ('alice'), ('bob');");
    let mut hostile = vec!["update audit set actor = 'bob';", "delete from audit;"];
    match database.kind {
        Kind::Postgres => hostile.extend([
            "truncate audit;",
            "set session_replication_role = replica; delete from audit;",
            "set certgate.source = 'prune'; delete from audit;",
            "select certgate_audit_prune(now() + interval '1 day');",
        ]),
        Kind::Sqlite => hostile.extend([
            "insert or replace into audit (id, source, action, relation, key)
                 values (1, 'sql', 'insert', 'rule', '1');",
            "update or replace audit set id = 2 where id = 1;",
            "pragma recursive_triggers = on; delete from audit;",
        ]),
    }
    for sql in hostile {
        database.refused(sql);
        assert_eq!(written(&database).len(), if sql.contains("actor") { 2 } else { 0 }, "{sql}");
    }
    assert_eq!(database.sql("select count(*) from audit where relation = 'app_user';"), "2");
}

async fn many_rows_cost_little_whatever_was_planned_before(database: Database) {
    // A session plans its triggers once, here for one row.
    let (people, counted) = match database.kind {
        Kind::Postgres => (
            "select 'u' || n from generate_series(1, 10000) n",
            // In this session: another cannot tell it to hand over what it counted.
            "select pg_stat_force_next_flush();",
        ),
        Kind::Sqlite => (
            "with recursive c (n) as (select 1 union all select n + 1 from c where n < 10000)
             select 'u' || n from c",
            "",
        ),
    };
    let start = std::time::Instant::now();
    database.sql(&format!(
        "insert into app_user (username) values ('alice');
         insert into mapping (username, serial) values ('alice', '1');
         update mapping set note = 'x'; update app_user set note = 'x';
         insert into user_group values ('alice', 'ops');
         update user_group set group_name = 'staff';
         begin;
         insert into app_user (username) {people};
         insert into mapping (username, serial) select username, '0a' from app_user;
         update mapping set note = 'y';
         update app_user set note = 'y';
         insert into user_group select username, 'ops' from app_user;
         update user_group set group_name = 'all' where group_name = 'ops';
         delete from mapping;
         commit;
         {counted}"
    ));
    let took = start.elapsed();
    if database.kind == Kind::Postgres {
        no_index_walks_far(&database);
    }
    assert_eq!(database.sql("select count(*) > 70000 from audit;").replace('t', "1"), "1");
    // A nested loop over 10,000 rows takes minutes; this is for a machine that is very busy.
    assert!(took < std::time::Duration::from_secs(60), "{took:?}");
}

/// A row that is written touches a few blocks of each index, if that is a tree. Where equal keys stand
/// in one chain it touches more with each row of the same transaction.
fn no_index_walks_far(database: &Database) {
    let touched = database.sql(
        "select indexrelname, (idx_blks_hit + idx_blks_read) / (select count(*) from audit)
         from pg_statio_user_indexes where relname = 'audit' order by 1;",
    );
    let blocks = |line: &str| line.split_once('|').and_then(|(_, blocks)| blocks.parse().ok());
    assert_eq!(touched.lines().count(), 4, "{touched}");
    for line in touched.lines() {
        let few = blocks(line).is_some_and(|blocks: u64| (1..=5).contains(&blocks));
        assert!(few, "blocks of an index for each row of the audit:\n{touched}");
    }
}
