//! Users, and what hangs on them, as raw SQL changes them in the stock shells.

use super::support::shells::{Database, on_both, only_on};

on_both! {
    a_user_deleted_and_made_anew_has_no_mappings_and_no_groups,
    a_rename_takes_mappings_and_groups_along,
    a_rename_by_case_alone_takes_them_along,
    an_upsert_keeps_what_hangs_on_the_user,
    a_rename_that_makes_the_header_too_long_is_refused_whole,
    deleting_everybody_leaves_nothing_behind,
    a_statement_that_fails_half_way_changes_nothing,
}
only_on! { on_sqlite: Sqlite:
    insert_or_replace_never_hands_a_mapping_to_somebody_else,
    update_or_replace_never_hands_a_mapping_to_somebody_else,
    recursive_triggers_and_foreign_keys_change_nothing,
}
only_on! { on_postgres: Postgres:
    truncating_users_needs_cascade_and_takes_everything,
    a_replaying_session_still_feeds_the_followers,
    a_role_with_rights_on_the_tables_alone_can_write_them,
}

const PEOPLE: &str = "
    insert into app_user (username) values ('alice'), ('bob');
    insert into user_group (username, group_name) values ('alice', 'ops'), ('alice', 'staff'), \
    ('bob', 'ops');
    insert into mapping (username, serial) values ('alice', '0a'), ('alice', '0b'), ('bob', '0c');";

/// Who has what, in one line.
fn state(database: &Database) -> String {
    database
        .sql(
            "select username || ':' || coalesce((select string_agg(serial, '+' order by serial)
                 from mapping where mapping.username = app_user.username), '') || ':'
                 || coalesce((select string_agg(group_name, '+' order by group_name)
                 from user_group where user_group.username = app_user.username), '')
             from app_user order by 1"
                .replace("string_agg(serial, '+' order by serial)", aggregate(database, "serial"))
                .replace(
                    "string_agg(group_name, '+' order by group_name)",
                    aggregate(database, "group_name"),
                )
                .as_str(),
        )
        .replace('\n', " ")
}

/// The stock shell of Debian 12 knows no `order by` inside an aggregate.
fn aggregate(database: &Database, column: &'static str) -> &'static str {
    use super::support::shells::Which;
    match (database.which, column) {
        (Which::Postgres, "serial") => "string_agg(serial, '+' order by serial)",
        (Which::Postgres, _) => "string_agg(group_name, '+' order by group_name)",
        (Which::Sqlite, "serial") => "group_concat(serial, '+')",
        (Which::Sqlite, _) => "group_concat(group_name, '+')",
    }
}

/// Mappings and groups of users who do not exist.
fn orphans(database: &Database) -> String {
    database.sql(
        "select count(*) from (
            select username from mapping union all select username from user_group) owned
         where username not in (select username from app_user)",
    )
}

async fn a_user_deleted_and_made_anew_has_no_mappings_and_no_groups(database: &Database) {
    database.sql(PEOPLE);
    database.sql(
        "delete from app_user where username = 'alice';
         insert into app_user (username) values ('alice');",
    );
    assert_eq!(state(database), "alice:: bob:0c:ops");
    // Also within one transaction, and by a name in another case.
    database.sql(
        "begin; delete from app_user where username = 'bob'; insert into app_user (username) \
            values ('Bob'); commit;",
    );
    assert_eq!(state(database), "Bob:: alice::");
    assert_eq!(orphans(database), "0");
}

async fn a_rename_takes_mappings_and_groups_along(database: &Database) {
    database.sql(PEOPLE);
    database.sql("update app_user set username = 'carol' where username = 'alice'");
    assert_eq!(state(database), "bob:0c:ops carol:0a+0b:ops+staff");
    database.sql("insert into app_user (username) values ('alice')");
    assert_eq!(state(database), "alice:: bob:0c:ops carol:0a+0b:ops+staff");
}

async fn a_rename_by_case_alone_takes_them_along(database: &Database) {
    database.sql(PEOPLE);
    database.sql("update app_user set username = 'ALICE' where username = 'alice'");
    assert_eq!(state(database), "ALICE:0a+0b:ops+staff bob:0c:ops");
    assert_eq!(database.directory().await.unusable(), []);
}

async fn an_upsert_keeps_what_hangs_on_the_user(database: &Database) {
    database.sql(PEOPLE);
    database.sql(
        "insert into app_user (username, email) values ('alice', 'alice@example.com')
         on conflict (username) do update set email = excluded.email;
         insert into app_user (username) values ('bob') on conflict (username) do nothing;",
    );
    assert_eq!(state(database), "alice:0a+0b:ops+staff bob:0c:ops");
    let error = database.error(
        "insert into app_user (username) values ('ALICE') on conflict (username) do update set \
            enabled = false",
    );
    assert!(error.contains("app_user_username_without_case"), "{error}");
}

async fn a_rename_that_makes_the_header_too_long_is_refused_whole(database: &Database) {
    let groups: Vec<_> = (0..32).map(|number| format!("('al', '{number:0253}')")).collect();
    database.sql("insert into app_user (username) values ('al')");
    database
        .sql(&format!("insert into user_group (username, group_name) values {}", groups.join(",")));
    // 2 + 32 * 254 - 1 is 8129 bytes: 64 more do not fit, 63 do.
    let longer = |length: usize| format!("update app_user set username = '{}'", "x".repeat(length));
    let error = database.error(&longer(66));
    assert!(error.contains("user_group_header_size"), "{error}");
    assert_eq!(database.sql("select distinct username from user_group"), "al");
    database.sql(&longer(65));
    assert_eq!(orphans(database), "0");
    assert_eq!(database.directory().await.unusable(), []);
}

async fn deleting_everybody_leaves_nothing_behind(database: &Database) {
    database.sql(PEOPLE);
    database.sql("delete from app_user");
    assert_eq!(database.sql("select count(*) from mapping"), "0");
    assert_eq!(database.sql("select count(*) from user_group"), "0");
}

async fn a_statement_that_fails_half_way_changes_nothing(database: &Database) {
    database.sql(PEOPLE);
    let before = state(database);
    database.error("insert into app_user (username) values ('carol'), ('BOB')");
    database
        .error("insert into mapping (username, serial) values ('alice', '0d'), ('nobody', '0e')");
    database.error("update app_user set username = 'carol'");
    assert_eq!(state(database), before);
}

async fn insert_or_replace_never_hands_a_mapping_to_somebody_else(database: &Database) {
    database.sql(PEOPLE);
    // The same name is the same user: nothing is lost, nothing is gained.
    database
        .sql("insert or replace into app_user (username, email) values ('alice', 'a@example.com')");
    assert_eq!(state(database), "alice:0a+0b:ops+staff bob:0c:ops");
    for statement in [
        "insert or replace into app_user (username) values ('ALICE')",
        "replace into app_user (username) values ('Bob')",
        "insert or ignore into app_user (username) values ('Bob')",
        "insert or fail into app_user (username) values ('Bob')",
        "insert or replace into mapping (username, serial) values ('nobody', '0d')",
        "insert or replace into user_group (username, group_name) values ('nobody', 'ops')",
    ] {
        database.error(statement);
    }
    let id = database.sql("select id from mapping where serial = '0c'");
    database.forget_changes();
    database.sql(&format!(
        "insert or replace into mapping (id, username, serial) values ({id}, 'alice', '0d')"
    ));
    assert_eq!(state(database), "alice:0a+0b+0d:ops+staff bob::ops");
    assert_eq!(database.sql("select relation, key from change"), format!("mapping|{id}"));
    database
        .sql("insert or replace into user_group (username, group_name) values ('alice', 'ops')");
    assert_eq!(orphans(database), "0");
}

async fn update_or_replace_never_hands_a_mapping_to_somebody_else(database: &Database) {
    database.sql(PEOPLE);
    let before = state(database);
    for statement in [
        "update or replace app_user set username = 'bob' where username = 'alice'",
        "update or replace app_user set username = 'BOB' where username = 'alice'",
        "update or replace app_user set username = 'carol'",
        "update or ignore app_user set username = 'bob' where username = 'alice'",
        "update or replace mapping set id = (select max(id) from mapping) where serial = '0a'",
        "update or replace mapping set rowid = (select max(id) from mapping) where serial = '0a'",
        "update or replace mapping set username = 'nobody'",
    ] {
        database.error(statement);
        assert_eq!(state(database), before, "{statement}");
    }
    // Two memberships become one: the row that is left has the key that is fed.
    database.forget_changes();
    database.sql("update or replace user_group set group_name = 'ops' where group_name = 'staff'");
    assert_eq!(state(database), "alice:0a+0b:ops bob:0c:ops");
    let fed = database.sql("select key from change where relation = 'user_group' order by 1");
    assert_eq!(fed, "alice,ops\nalice,staff");
}

async fn recursive_triggers_and_foreign_keys_change_nothing(database: &Database) {
    database.sql(PEOPLE);
    database.sql(
        "pragma recursive_triggers = on; pragma foreign_keys = on;
         update app_user set username = 'carol' where username = 'alice';
         delete from app_user where username = 'bob';
         insert into app_user (username) values ('bob');",
    );
    assert_eq!(state(database), "bob:: carol:0a+0b:ops+staff");
    assert_eq!(orphans(database), "0");
}

async fn truncating_users_needs_cascade_and_takes_everything(database: &Database) {
    database.sql(PEOPLE);
    database.error("truncate app_user");
    database.forget_changes();
    database.sql("truncate app_user cascade");
    assert_eq!(state(database), "");
    let fed = database.sql("select relation, key from change order by 1");
    assert_eq!(fed, "app_user|\nmapping|\nuser_group|");
}

async fn a_replaying_session_still_feeds_the_followers(database: &Database) {
    database.sql(PEOPLE);
    database.forget_changes();
    database.sql(
        "set session_replication_role = replica;
         update mapping set enabled = false where serial = '0c';
         delete from user_group where username = 'bob';
         truncate block;",
    );
    let fed = database.sql(
        "select relation, case when relation = 'mapping' then '' else key end \
        from change order by 1",
    );
    assert_eq!(fed, "block|\nmapping|\nuser_group|bob,ops");
}

async fn a_role_with_rights_on_the_tables_alone_can_write_them(database: &Database) {
    let role = format!("{}_writer", database.name());
    let output = database.sql(&format!(
        "create role {role};
         grant usage on schema public to {role};
         grant select, insert, update, delete on app_user, user_group, mapping, block to {role};
         set role {role};
         {PEOPLE}
         update app_user set username = 'carol' where username = 'alice';
         delete from app_user where username = 'bob';
         select certgate_tend();
         select current_user = created_by from app_user;
         reset role;
         drop owned by {role};
         drop role {role};"
    ));
    assert_eq!(output.lines().last(), Some("t"));
    assert_eq!(state(database), "carol:0a+0b:ops+staff");
    let role = format!("{}_thief", database.name());
    let refused = [
        format!("create role {role}"),
        format!("grant usage, create on schema public to {role}"),
        format!("set role {role}"),
        "insert into change (relation, key) values ('mapping', '1')".to_owned(),
        "select certgate_note('mapping', array['1'])".to_owned(),
        "create table mine (username text); create trigger t after insert on mine for each \
            statement execute function certgate_app_user_changed()"
            .to_owned(),
        "select * from mapping".to_owned(),
        "reset role".to_owned(),
        format!("drop owned by {role}"),
        format!("drop role {role}"),
    ];
    let errors = database.errors(&refused);
    let shown: Vec<_> = errors.iter().map(Option::is_some).collect();
    assert_eq!(shown, [false, false, false, true, true, true, true, false, false, false]);
}
