//! `certgate audit`: what was changed is listed, a mistake is undone, and what is old goes.

use crate::cli_desk::Desk;
use crate::support::database::Kind;

/// Runs each case on both databases, as `postgres::name` and `sqlite::name`.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            $(#[test] fn $name() { super::$name(&crate::cli_desk::Desk::on(super::Kind::Postgres)); })*
        }
        mod sqlite {
            $(#[test] fn $name() { super::$name(&crate::cli_desk::Desk::on(super::Kind::Sqlite)); })*
        }
    };
}

on_both! {
    a_mistake_is_undone,
    a_removed_user_comes_back_with_everything,
    a_rename_is_undone_with_what_followed,
    nothing_is_given_to_somebody_else,
    what_changed_since_is_not_undone,
    what_is_old_goes_and_that_is_said,
    what_the_command_line_does_names_who_did_it,
    who_has_access_is_reported,
}

/// The numbers of the audit's rows that this filter finds, newest first.
fn found(desk: &Desk, filter: &[&str]) -> Vec<String> {
    let rows = desk.json(&[&["audit", "list"][..], filter].concat());
    rows.as_array().unwrap().iter().map(|row| row["id"].to_string()).collect()
}

fn transaction(desk: &Desk, filter: &[&str]) -> String {
    let rows = desk.json(&[&["audit", "list"][..], filter].concat());
    rows[0]["transaction_id"].as_str().unwrap().to_owned()
}

const MAPPED: [&str; 6] = ["mapping", "add", "alice", "--issuer", "CN=Example CA", "--serial=CA92"];

fn what_the_command_line_does_names_who_did_it(desk: &Desk) {
    desk.run(&["user", "add", "alice", "--group", "ops"]);
    desk.run(&["user", "edit", "alice", "--note", "left"]);
    let rows = desk.json(&["audit", "list", "--user", "alice"]);
    let of = |row: usize, name: &str| rows[row][name].as_str().unwrap().to_owned();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    for row in 0..3 {
        assert_eq!((of(row, "actor"), of(row, "source")), ("carol".to_owned(), "cli".to_owned()));
    }
    assert_eq!(of(1, "transaction_id"), of(2, "transaction_id"));
    assert_ne!(of(0, "transaction_id"), of(2, "transaction_id"));
    assert_eq!(rows[0]["after"]["note"], "left");
    assert_eq!(rows[0]["before"]["note"], serde_json::Value::Null);
    let table = desk.run(&["audit", "list", "--since", "1h", "--relation", "app_user"]);
    assert!(table.lines().nth(1).unwrap().ends_with("note"), "{table}");
    assert_eq!(found(desk, &["--until", "1h"]), [""; 0]);
    assert_eq!(found(desk, &["--actor", "mallory"]), [""; 0]);
    assert_eq!(found(desk, &["--action", "update"]).len(), 1);
    let page = found(desk, &["--limit", "2"]);
    assert_eq!(found(desk, &["--below", page.last().unwrap()]).len(), 1);
    assert_eq!(desk.say(&["audit", "show", "999999"]).code, 1);
}

fn a_mistake_is_undone(desk: &Desk) {
    desk.run(&["user", "add", "alice"]);
    desk.run(&MAPPED);
    desk.run(&["mapping", "edit", "1", "--note", "lent", "--valid-until", "2030-01-01"]);
    let before = desk.json(&["mapping", "show", "1"]);
    desk.run(&["mapping", "disable", "1"]);
    desk.run(&["audit", "undo", &found(desk, &[])[0]]);
    assert_eq!(desk.json(&["mapping", "show", "1"]), before);
    desk.run(&["mapping", "remove", "1"]);
    let removal = &found(desk, &["--action", "delete"])[0];
    let said = desk.run(&["audit", "undo", removal, "--dry-run"]);
    assert!(said.contains("would be put back"), "{said}");
    assert_eq!(desk.say(&["mapping", "show", "1"]).code, 1);
    desk.run(&["audit", "undo", removal]);
    assert_eq!(desk.json(&["mapping", "show", "1"]), before);
    let rule = ["rule", "add", "7", "--issuer", "CN=Example CA", "--username", "{subject.CN}"];
    desk.run(&rule);
    desk.run(&["audit", "undo", &found(desk, &[])[0]]);
    assert_eq!(desk.json(&["rule", "list"]).as_array().unwrap().len(), 0);
    desk.run(&["audit", "undo", &found(desk, &[])[0]]);
    assert_eq!(desk.json(&["rule", "list"]).as_array().unwrap().len(), 1);
}

fn what_changed_since_is_not_undone(desk: &Desk) {
    desk.run(&["user", "add", "alice"]);
    desk.run(&["user", "edit", "alice", "--note", "one"]);
    desk.run(&["user", "edit", "alice", "--note", "two"]);
    let rows = found(desk, &[]);
    let said = desk.say(&["audit", "undo", &rows[1]]);
    assert!(said.code == 2 && said.err.contains("not what this change left"), "{said:?}");
    desk.run(&MAPPED);
    let said = desk.say(&["audit", "undo", &rows[2]]);
    assert_eq!(said.code, 2, "{said:?}");
    desk.run(&["audit", "undo", &rows[0]]);
    assert_eq!(desk.json(&["user", "show", "alice"])["note"], "one");
    let said = desk.say(&["audit", "undo", "--transaction", "nothing"]);
    assert_eq!(said.code, 1, "{said:?}");
}

fn a_removed_user_comes_back_with_everything(desk: &Desk) {
    desk.run(&["user", "add", "alice", "--group", "ops", "--group", "staff"]);
    desk.run(&MAPPED);
    let (user, mapping) =
        (desk.json(&["user", "show", "alice"]), desk.json(&["mapping", "show", "1"]));
    desk.run(&["user", "remove", "alice", "--with-mappings"]);
    let rows = desk.json(&["audit", "list", "--relation", "mapping", "--action", "delete"]);
    let said = desk.say(&["audit", "undo", &rows[0]["id"].to_string()]);
    assert!(said.code == 2 && said.err.contains("followed its user"), "{said:?}");
    let removal = transaction(desk, &["--relation", "app_user", "--action", "delete"]);
    desk.run(&["audit", "undo", "--transaction", &removal]);
    assert_eq!(desk.json(&["user", "show", "alice"]), user);
    assert_eq!(desk.json(&["mapping", "show", "1"]), mapping);
}

fn a_rename_is_undone_with_what_followed(desk: &Desk) {
    desk.run(&["user", "add", "alice", "--group", "ops"]);
    desk.run(&MAPPED);
    let user = desk.json(&["user", "show", "alice"]);
    desk.run(&["user", "rename", "alice", "bob"]);
    let rename = transaction(desk, &["--relation", "app_user", "--action", "update"]);
    desk.run(&["audit", "undo", "--transaction", &rename]);
    assert_eq!(desk.json(&["user", "show", "alice"]), user);
    assert_eq!(desk.json(&["mapping", "show", "1"])["username"], "alice");
}

/// Another alice has come: what was the first one's is not hers.
fn nothing_is_given_to_somebody_else(desk: &Desk) {
    desk.run(&["user", "add", "alice", "--group", "ops"]);
    desk.run(&MAPPED);
    desk.run(&["group", "remove", "ops", "alice"]);
    desk.run(&["mapping", "remove", "1"]);
    let removals = found(desk, &["--action", "delete"]);
    desk.run(&["user", "remove", "alice", "--with-mappings"]);
    let said = desk.say(&["audit", "undo", &removals[0]]);
    assert_eq!(said.code, 2, "nobody of the name: {said:?}");
    desk.run(&["user", "add", "alice"]);
    for removal in &removals {
        let said = desk.say(&["audit", "undo", removal]);
        let is_refused = said.code == 2 && said.err.contains("somebody else");
        assert!(is_refused, "{said:?}");
    }
    let removal = transaction(desk, &["--relation", "app_user", "--action", "delete"]);
    assert_eq!(desk.say(&["audit", "undo", "--transaction", &removal]).code, 2);
    assert_eq!(desk.json(&["mapping", "list"]).as_array().unwrap().len(), 0);
}

fn what_is_old_goes_and_that_is_said(desk: &Desk) {
    desk.run(&["user", "add", "alice"]);
    desk.run(&["audit", "prune", "--older-than", "400d"]);
    assert_eq!(desk.json(&["audit", "list"]).as_array().unwrap().len(), 2);
    let said = desk.say(&["audit", "prune", "--before", "2999-01-01"]);
    assert_eq!(said.code, 2, "{said:?}");
    desk.run(&["audit", "prune", "--older-than", "0s"]);
    let rows = desk.json(&["audit", "list"]);
    let actions: Vec<_> = rows.as_array().unwrap().iter().map(|row| &row["action"]).collect();
    assert_eq!(actions, ["prune", "prune"], "what was pruned stays written down");
    assert_eq!(rows[0]["after"]["removed"], 1);
    assert_eq!(rows[0]["actor"], "carol");
    assert_eq!(desk.say(&["audit", "undo", &rows[0]["id"].to_string()]).code, 2);
}

fn who_has_access_is_reported(desk: &Desk) {
    let certificate = desk.client("alice");
    desk.run(&["user", "add", "alice", "--name", "=HYPERLINK(1)", "--group", "ops"]);
    desk.run(&["user", "add", "bob"]);
    desk.run(&["user", "disable", "bob"]);
    desk.run(&["mapping", "add", "alice", "--cert", &certificate]);
    desk.run(&["rule", "add", "7", "--issuer", "CN=Example CA", "--username", "{subject.CN}"]);
    // SQLite knows no user, and writes octets otherwise.
    let is_sqlite = desk.json(&["audit", "list"])[0]["db_user"].is_null();
    let der = if is_sqlite { "x'30'" } else { "'\\x30'::bytea" };
    desk.sql(&format!(
        "delete from certificate;
         insert into certificate (sha256, der, spki_sha256, not_before, not_after, origin,
             last_seen, last_username)
         select sha256, {der}, sha256, '2026-01-01T00:00:00Z', '2030-01-01T00:00:00Z', 'seen',
             '2026-02-01T00:00:00Z', 'alice'
         from mapping;"
    ));
    let rows = desk.json(&["report", "access"]);
    let column = |name: &str| {
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row[name].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(column("username"), ["alice", "bob", "{subject.CN}"]);
    assert_eq!(column("way"), ["mapping", "none", "rule"]);
    assert_eq!(column("kind"), ["sha256", "-", "-"]);
    assert_eq!(column("user_state"), ["enabled", "disabled", "existing users"]);
    assert_eq!(column("expires"), ["2030-01-01T00:00:00Z", "-", "-"]);
    assert_eq!(column("last_seen"), ["2026-02-01T00:00:00Z", "-", "-"]);
    assert_eq!(rows[0]["groups"][0], "ops");
    let csv = desk.run(&["report", "access", "--csv"]);
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("username,display_name,email,groups,"), "{csv}");
    assert!(lines[1].starts_with("alice,'=HYPERLINK(1),,ops,"), "{csv}");
}
