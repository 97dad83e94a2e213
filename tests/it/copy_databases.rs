//! `certgate copy`: everything, from one database into the other, or nothing.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::cli_desk::Desk;
use crate::support::certgate::program;
use crate::support::database::{Database, Kind};

/// A bit of everything.
fn furnish(desk: &Desk) {
    let certificate = desk.client("alice");
    desk.run(&["user", "add", "alice", "--group", "ops", "--name", "Alice Zo\u{eb}"]);
    desk.run(&["user", "add", "Bob"]);
    desk.run(&["user", "disable", "Bob"]);
    desk.run(&["mapping", "add", "Bob", "--sha256", &"ab".repeat(32)]);
    desk.run(&["mapping", "remove", "1"]);
    desk.run(&["import", &certificate, "--user-from", "common_name"]);
    desk.run(&[
        "mapping",
        "add",
        "Bob",
        "--sha256",
        &"cd".repeat(32),
        "--valid-until",
        "2030-01-31",
    ]);
    desk.run(&["mapping", "remove", "3"]);
    desk.run(&["block", "add", "--issuer", "CN=Old CA", "--reason", "gone"]);
    desk.sql(
        "insert into rule (priority, issuer, conditions, username) \
         values (10, 'CN=Example CA', '{\"all\":  []}', '{subject.CN}')",
    );
    desk.sql(
        "insert into denial (at, code, host) values ('2026-11-01T10:00:00Z', 'unmapped', 'x')",
    );
}

fn a_copy_is_equal_and_ids_go_on(from: Kind, to: Kind) {
    let (source, target) = (Desk::on(from), Desk::on(to));
    furnish(&source);
    let audit = "select count(*) from audit";
    let before = source.sql(audit);
    let copy = ["copy", "--from", source.url(), "--to", target.url()];
    let done = source.json(&copy);
    assert_eq!((&done["app_user"], &done["mapping"]), (&json!(2), &json!(1)));
    assert_eq!((&done["rule"], &done["certificate"]), (&json!(1), &json!(1)));
    for noun in ["mapping", "block", "rule"] {
        assert_eq!(source.json(&[noun, "list"]), target.json(&[noun, "list"]), "{noun}");
    }
    for name in ["alice", "Bob"] {
        let show = ["user", "show", name];
        assert_eq!(source.json(&show), target.json(&show));
    }
    assert_eq!(source.run(&["export"]), target.run(&["export"]));
    // Copied, not made again; and an id that was used is not used again.
    assert_eq!(target.sql(audit), before);
    let added = target.json(&["mapping", "add", "alice", "--sha256", &"ef".repeat(32)]);
    assert_eq!(added["id"], 4);
    let after: i64 = target.sql(audit).trim().parse().unwrap();
    assert_eq!(after, before.trim().parse::<i64>().unwrap() + 1);
    let again = source.refused(2, &copy);
    assert!(again.contains("the target of a copy must be empty"), "{again}");
}

#[test]
fn a_copy_from_sqlite_to_postgresql_is_equal_and_ids_go_on() {
    a_copy_is_equal_and_ids_go_on(Kind::Sqlite, Kind::Postgres);
}

#[test]
fn a_copy_from_postgresql_to_sqlite_is_equal_and_ids_go_on() {
    a_copy_is_equal_and_ids_go_on(Kind::Postgres, Kind::Sqlite);
}

#[test]
fn a_copy_that_fails_leaves_nothing_behind() {
    let (source, target) = (Desk::new(), Desk::on(Kind::Postgres));
    furnish(&source);
    // Bytes that no text of PostgreSQL holds.
    source.sql(
        "pragma ignore_check_constraints = 1; \
        update app_user set note = cast(x'ff' as text) where username = 'Bob'",
    );
    let said = source.refused(2, &["copy", "--from", source.url(), "--to", target.url()]);
    assert!(said.contains("table app_user, row Bob, column note: is not UTF-8"), "{said}");
    assert_eq!(target.json(&["user", "list"]), json!([]));
    assert_eq!(target.sql("select count(*) from audit").trim(), "0");

    let file = source.folder().join("new.db");
    let url = format!("sqlite://{}", file.display());
    source.refused(2, &["copy", "--from", source.url(), "--to", &url]);
    let names = fs::read_dir(source.folder()).unwrap();
    let left: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("new.db"))
        .collect();
    assert_eq!(left, [""; 0]);
    let same = source.refused(2, &["copy", "--from", source.url(), "--to", source.url()]);
    assert!(same.contains("are the same database"), "{same}");
}

/// Every table and every column of the schema is copied, or known not to be.
#[test]
fn nothing_of_the_schema_is_forgotten() {
    let code = include_str!("../../src/store/copy/tables.rs");
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let desk = Desk::on(kind);
        let sql = match kind {
            Kind::Sqlite => {
                "select t.name || ' ' || c.name from sqlite_master t, pragma_table_info(t.name) c \
                 where t.type = 'table'"
            }
            Kind::Postgres => {
                "select table_name || ' ' || column_name from information_schema.columns \
                 join information_schema.tables using (table_schema, table_name) \
                 where table_schema = current_schema() and table_type = 'BASE TABLE'"
            }
        };
        let own = ["certgate_schema", "feed", "change", "acting", "replaced", "sqlite_sequence"];
        let mut count = 0;
        for line in desk.sql(sql).lines() {
            let (table, column) = line.split_once(' ').unwrap();
            if own.contains(&table) {
                continue;
            }
            let start = code.find(&format!("name: \"{table}\"")).expect(table);
            let part = &code[start..];
            let part = &part[..part[1..].find("name: \"").map_or(part.len(), |end| end + 1)];
            assert!(part.contains(&format!("(\"{column}\",")), "{table}.{column}");
            count += 1;
        }
        assert!(count > 80, "{count}");
    }
}

#[tokio::test]
async fn what_writes_everything_out_refuses_where_row_level_security_may_hide_a_part() {
    let database = Database::migrated(Kind::Postgres).await;
    let role = format!("{}_auditor", database.name());
    database.sql(&format!(
        "create role {role} login password 'throw-away';
         grant select on all tables in schema public to {role};
         grant select on all sequences in schema public to {role};
         insert into block (serial) values ('1');"
    ));
    let url = database.secret_url_as(&role, "throw-away");
    let folder = tempfile::tempdir().unwrap();
    let copy = format!("sqlite://{}", folder.path().join("copy.db").display());
    let commands: [&[&str]; 4] = [
        &["export", "--format", "json"],
        &["export", "--format", "csv"],
        &["report", "access"],
        &["copy", "--from", &url, "--to", &copy],
    ];
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command.args(arguments).env("CERTGATE_DATABASE__URL", &url).current_dir(folder.path());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for table in ["mapping", "block"] {
        database.sql(&format!("alter table {table} enable row level security;"));
        for arguments in commands {
            // Who has access is no question of blocks.
            if arguments[0] == "report" && table == "block" {
                continue;
            }
            let (code, complaint) = run(arguments);
            assert_eq!(code, Some(2), "{arguments:?}: {complaint}");
            let named = format!("row-level security policy for table \"{table}\"");
            assert!(complaint.contains(&named), "{arguments:?}: {complaint}");
        }
        database.sql(&format!("alter table {table} disable row level security;"));
    }
    for arguments in commands {
        let (code, complaint) = run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {complaint}");
    }
    database.sql(&format!("drop owned by {role}; drop role {role};"));
}
