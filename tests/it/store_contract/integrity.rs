//! The rules between rows hold for raw SQL in `psql` and in the stock `sqlite3` shell.

use super::on_both;
use crate::support::database::{Database, Kind};

on_both! {
    a_deleted_user_takes_its_mappings_along,
    a_mapping_needs_a_user_of_that_name_byte_for_byte,
    a_rename_is_followed,
    a_rename_onto_another_user_is_refused,
    groups_that_do_not_fit_a_header_are_refused,
    or_replace_loses_no_other_row,
    two_users_do_not_differ_by_case_alone,
}

const ALICE: &str = "insert into app_user (username) values ('alice');
    insert into mapping (username, issuer, serial) values ('alice', 'CN=Example CA', 'CA92');
    insert into user_group (username, group_name) values ('alice', 'ops');";

async fn a_deleted_user_takes_its_mappings_along(database: Database) {
    database.sql(ALICE);
    database.sql("delete from app_user where username = 'alice';");
    database.sql("insert into app_user (username) values ('alice');");
    assert_eq!(database.sql("select count(*) from mapping;"), "0");
    assert_eq!(database.sql("select count(*) from user_group;"), "0");
}

async fn a_mapping_needs_a_user_of_that_name_byte_for_byte(database: Database) {
    database.sql(ALICE);
    for name in ["bob", "Alice", "alice ", ""] {
        let error = database
            .refused(&format!("insert into mapping (username, serial) values ('{name}', '1');"));
        assert!(error.contains("mapping_username_known"), "{error}");
        let error = database.refused(&format!(
            "insert into user_group (username, group_name) values ('{name}', 'x');"
        ));
        assert!(error.contains("user_group_username_known"), "{error}");
        database.refused(&format!("update mapping set username = '{name}';"));
        database.refused(&format!("update user_group set username = '{name}';"));
    }
}

async fn a_rename_is_followed(database: Database) {
    database.sql(ALICE);
    for (from, to) in [("alice", "bob"), ("bob", "Bob")] {
        database.sql(&format!("update app_user set username = '{to}' where username = '{from}';"));
        assert_eq!(database.sql("select username from mapping;"), to);
        assert_eq!(database.sql("select username from user_group;"), to);
    }
}

async fn a_rename_onto_another_user_is_refused(database: Database) {
    database.sql(ALICE);
    database.sql("insert into app_user (username) values ('bob');");
    let statements = match database.kind {
        Kind::Postgres => &["update"][..],
        Kind::Sqlite => &["update", "update or replace", "update or ignore"],
    };
    for statement in statements {
        for name in ["bob", "BOB"] {
            database.refused(&format!(
                "{statement} app_user set username = '{name}' where username = 'alice';"
            ));
        }
    }
    assert_eq!(database.sql("select username from app_user order by username;"), "alice\nbob");
    assert_eq!(database.sql("select username from mapping;"), "alice");
}

async fn groups_that_do_not_fit_a_header_are_refused(database: Database) {
    database.sql("insert into app_user (username) values ('alice');");
    // 5 bytes of name, 31 groups of 256 and their separators: 7,971. Then 8,192 exactly.
    for number in 10..41 {
        let group = format!("{number}{}", "g".repeat(254));
        database.sql(&format!("insert into user_group values ('alice', '{group}');"));
    }
    let fits = "h".repeat(220);
    let error = database.refused(&format!("insert into user_group values ('alice', '{fits}i');"));
    assert!(error.contains("8192"), "{error}");
    database.sql(&format!("insert into user_group values ('alice', '{fits}');"));
    database.refused(&format!(
        "update user_group set group_name = '{fits}i' where group_name = '{fits}';"
    ));
    // A longer name takes its groups over the limit, too.
    database.refused("update app_user set username = 'alice2';");
    database.sql("update app_user set username = 'Alice';");
}

async fn or_replace_loses_no_other_row(database: Database) {
    if database.kind == Kind::Postgres {
        return;
    }
    database.sql(ALICE);
    database.sql(
        "insert into app_user (username) values ('bob');
         insert into mapping (username, serial) values ('bob', '2');",
    );
    // Itself: the row is replaced, and what hangs on it stays.
    database.sql("insert or replace into app_user (username, note) values ('alice', 'x');");
    assert_eq!(database.sql("select username from mapping order by id;"), "alice\nbob");
    database.sql("insert or ignore into app_user (username) values ('alice');");
    database.sql(
        "insert into app_user (username) values ('alice')
         on conflict (username) do update set note = 'y';",
    );
    for sql in [
        "insert or replace into app_user (username) values ('ALICE');",
        "update or replace mapping set id = 2 where id = 1;",
        "update or replace mapping set rowid = 2 where id = 1;",
        "insert or replace into mapping (username, serial) values ('carol', '3');",
        "insert or ignore into mapping (username, serial) values ('carol', '3');",
    ] {
        database.refused(sql);
        database.refused(&format!("pragma recursive_triggers = on; {sql}"));
    }
    assert_eq!(database.sql("select id, username from mapping order by id;"), "1|alice\n2|bob");
    database.sql("insert or replace into mapping (id, username, serial) values (1, 'bob', '4');");
    assert_eq!(database.sql("select key from change order by id desc limit 1;"), "1");
}

async fn two_users_do_not_differ_by_case_alone(database: Database) {
    database.sql(ALICE);
    let error = database.refused("insert into app_user (username) values ('Alice');");
    assert!(error.contains("app_user_username_without_case"), "{error}");
    let error = database.refused("insert into app_user (username) values ('alice');");
    assert!(error.contains("app_user"), "{error}");
}
