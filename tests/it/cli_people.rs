//! `certgate user` and `certgate group`.

use serde_json::{Value, json};

use crate::cli_desk::{Desk, columns, path, sha256};
use crate::support::database::Kind;

const ALICE: [&str; 10] = [
    "user",
    "add",
    "alice",
    "--name",
    "Alice Dupont",
    "--email",
    "alice@example.com",
    "--group",
    "staff",
    "--group=ops",
];

fn a_user_is_added_changed_and_removed(kind: Kind) {
    let desk = Desk::on(kind);
    let alice = desk.json(&ALICE);
    assert_eq!(alice["display_name"], "Alice Dupont");
    assert_eq!(alice["email"], "alice@example.com");
    assert_eq!(alice["groups"], json!(["ops", "staff"]));
    assert_eq!(alice["created_by"], "carol");
    assert_eq!((&alice["enabled"], &alice["mapped_only"]), (&json!(true), &json!(false)));
    desk.run(&["user", "edit", "alice", "--valid-until", "2027-01-31", "--clear", "email"]);
    desk.run(&["user", "edit", "alice", "--mapped-only", "true", "--note", "contract"]);
    let alice = desk.json(&["user", "show", "alice"]);
    assert_eq!(alice["valid_until"], "2027-01-31T00:00:00Z");
    assert_eq!((&alice["email"], &alice["note"]), (&Value::Null, &json!("contract")));
    assert_eq!((&alice["mapped_only"], &alice["mappings"]), (&json!(true), &json!([])));
    assert_eq!(desk.run(&["user", "disable", "alice"]), "disabled user alice\n");
    assert_eq!(desk.json(&["user", "list"])[0]["enabled"], false);
    assert_eq!(desk.run(&["user", "enable", "alice"]), "enabled user alice\n");
    assert_eq!(desk.run(&["user", "rename", "alice", "bob"]), "renamed user alice to bob\n");
    assert_eq!(desk.json(&["user", "show", "bob"])["groups"], json!(["ops", "staff"]));
    let removed = json!({"username": "bob", "removed": true, "mappings": [], "blocks": []});
    assert_eq!(desk.json(&["user", "remove", "bob"]), removed);
    assert_eq!(desk.json(&["user", "list"]), json!([]));
    assert_eq!(desk.json(&["group", "list"]), json!([]));
}

#[test]
fn a_user_is_added_changed_and_removed_on_sqlite() {
    a_user_is_added_changed_and_removed(Kind::Sqlite);
}

#[test]
fn a_user_is_added_changed_and_removed_on_postgresql() {
    a_user_is_added_changed_and_removed(Kind::Postgres);
}

fn groups_change_all_or_none(kind: Kind) {
    let desk = Desk::on(kind);
    for user in ["alice", "bob"] {
        desk.run(&["user", "add", user]);
    }
    let ops = json!({"group_name": "ops", "usernames": ["alice", "bob"]});
    let added = desk.run(&["group", "add", "ops", "alice", "bob", "alice"]);
    assert_eq!(added, "added alice, bob to group ops\n");
    assert_eq!(desk.json(&["group", "show", "ops"]), ops);
    let error = desk.refused(1, &["group", "add", "staff", "alice", "carol"]);
    assert!(error.starts_with("no such user: \"carol\""), "{error}");
    let error = desk.refused(1, &["group", "remove", "ops", "alice", "carol"]);
    assert_eq!(error, "no such member: carol in ops");
    let error = desk.refused(2, &["group", "add", "ops", "bob"]);
    assert_eq!(error, "user \"bob\" is in group \"ops\" already");
    assert_eq!(desk.json(&["group", "list"]), json!([ops]));
    desk.run(&["group", "remove", "ops", "alice", "bob"]);
    assert_eq!(desk.refused(1, &["group", "show", "ops"]), "no such group: nobody is in \"ops\"");
}

#[test]
fn groups_change_all_or_none_on_sqlite() {
    groups_change_all_or_none(Kind::Sqlite);
}

#[test]
fn groups_change_all_or_none_on_postgresql() {
    groups_change_all_or_none(Kind::Postgres);
}

fn a_revocation_that_is_half_read_goes_on_or_the_user_stays(kind: Kind) {
    let desk = Desk::on(kind);
    let stolen = desk.ca.client("stolen");
    desk.run(&["user", "add", "alice"]);
    let add = |columns: &str, values: &str| {
        desk.sql(&format!(
            "insert into mapping (username, {columns}, revoked_at)
             values ('alice', {values}, '2026-01-01T00:00:00Z')"
        ));
    };
    add("issuer, serial", "'nobody knows', '0A'");
    let error = desk.refused(2, &["user", "remove", "alice", "--with-mappings"]);
    assert!(error.starts_with("mapping 1 of alice is revoked and cannot be read"), "{error}");
    desk.run(&["mapping", "remove", "1"]);
    add("sha256, issuer", &format!("'{}', 'nobody knows'", sha256(&stolen)));
    let removed = desk.json(&["user", "remove", "alice"]);
    assert_eq!(removed["blocks"], json!([1]), "{removed}");
    let explained = desk.say(&["explain", "--cert", &path(&stolen), "--json"]);
    assert!(explained.out.contains("\"reason\":\"blocked\""), "{explained:?}");
}

#[test]
fn a_revocation_that_is_half_read_goes_on_on_sqlite() {
    a_revocation_that_is_half_read_goes_on_or_the_user_stays(Kind::Sqlite);
}

#[test]
fn a_revocation_that_is_half_read_goes_on_on_postgresql() {
    a_revocation_that_is_half_read_goes_on_or_the_user_stays(Kind::Postgres);
}

#[test]
fn who_is_not_there_is_exit_code_1() {
    let desk = Desk::new();
    for arguments in [
        &["user", "show", "alice"][..],
        &["user", "edit", "alice", "--note", "x"],
        &["user", "enable", "alice"],
        &["user", "disable", "alice"],
        &["user", "rename", "alice", "bob"],
        &["user", "remove", "alice"],
        &["mapping", "list", "--user", "alice"],
        &["mapping", "add", "alice", "--sha256", &"a".repeat(64)],
    ] {
        let error = desk.refused(1, arguments);
        assert!(error.starts_with("no such user: \"alice\""), "{arguments:?}: {error}");
    }
}

#[test]
fn a_refused_value_names_its_option_in_one_line() {
    let desk = Desk::new();
    desk.run(&["user", "add", "alice"]);
    for (arguments, start) in [
        (&["user", "add", "a b"][..], "USERNAME \"a b\": byte 0x20 at position 1"),
        (&["user", "add", "bob", "--group", "a,b"], "--group \"a,b\": byte 0x2C"),
        (&["user", "add", "bob", "--name", ""], "--name \"\": is empty"),
        (&["user", "add", "bob", "--note", "a\u{1b}[2J"], "--note \"a\\u{1b}[2J\": has a control"),
        (&["user", "add", "bob", "--valid-from", "soon"], "--valid-from \"soon\": not a time"),
        (&["user", "add", "bob", "--valid-until", "2027-02-30"], "--valid-until \"2027-02-30\": "),
        (&["user", "add", "Alice"], "user \"Alice\" exists already"),
        (&["user", "rename", "alice", "a,b"], "NEW_NAME \"a,b\": "),
        (&["user", "edit", "alice"], "nothing to change: give --name"),
        (
            &["user", "edit", "alice", "--note", "x", "--clear", "note"],
            "--note and --clear note contradict each other",
        ),
        (
            &["user", "add", "bob", "--valid-from", "2027-01-31", "--valid-until", "2027-01-01"],
            "valid_until: must be after valid_from",
        ),
    ] {
        let error = desk.refused(2, arguments);
        assert!(error.starts_with(start), "{arguments:?}: {error}");
    }
    assert_eq!(desk.json(&["user", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_group_that_holds_the_separator_is_refused() {
    let desk = Desk::new().with("OUTPUT__GROUP_SEPARATOR", ";");
    desk.run(&["user", "add", "alice"]);
    for arguments in
        [&["group", "add", "a;b", "alice"][..], &["user", "add", "bob", "--group", "a;b"]]
    {
        let error = desk.refused(2, arguments);
        assert!(error.ends_with("stands between groups (output.group_separator)"), "{error}");
    }
}

#[test]
fn a_user_can_be_added_disabled_and_with_a_window() {
    let desk = Desk::new();
    desk.run(&["user", "add", "alice", "--disabled"]);
    desk.run(&["user", "add", "bob", "--valid-until", "2020-01-01"]);
    desk.run(&["user", "add", "carol", "--valid-from", "9000-01-01"]);
    desk.run(&["user", "add", "mallory", "--valid-from", "2020-01-01T12:00:00+02:00"]);
    let list = desk.run(&["user", "list"]);
    let states: Vec<_> = list.lines().map(|line| line.trim_end()).collect();
    assert_eq!(
        states,
        [
            "USERNAME  STATE     NAME  EMAIL  GROUPS",
            "alice     disabled",
            "bob       expired",
            "carol     not yet",
            "mallory   enabled"
        ]
    );
    assert_eq!(desk.json(&["user", "show", "mallory"])["valid_from"], "2020-01-01T10:00:00Z");
}

#[test]
fn a_user_in_json_has_the_columns_of_the_table() {
    let desk = Desk::new();
    let user = desk.json(&["user", "add", "alice"]);
    let named = [
        "created_at",
        "created_by",
        "display_name",
        "email",
        "enabled",
        "groups",
        "mapped_only",
        "note",
        "origin",
        "username",
        "valid_from",
        "valid_until",
    ];
    assert_eq!(columns(&user), named);
}

#[test]
fn what_the_database_holds_cannot_act_on_a_terminal() {
    let desk = Desk::new();
    desk.run(&["user", "add", "alice", "--name", "A\u{202e}B"]);
    for arguments in
        [&["user", "list"][..], &["user", "show", "alice"], &["user", "list", "--json"]]
    {
        let text = desk.run(arguments);
        assert!(!text.contains('\u{202e}'), "{text:?}");
        assert!(text.contains("202e"), "{text:?}");
    }
    assert_eq!(desk.json(&["user", "list"])[0]["display_name"], "A\u{202e}B");
}
