//! What every command has in common: the database that must be there, exit codes, `migrate`,
//! certificates and explanations.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::cli_desk::{Desk, columns, path};
use crate::support::database::Kind;
use crate::support::pki::Leaf;

/// A command of every noun that works on the database.
const COMMANDS: [&[&str]; 7] = [
    &["user", "list"],
    &["group", "list"],
    &["mapping", "list"],
    &["block", "list"],
    &["rule", "list"],
    &["explain", "--cert", "alice.pem"],
    &["certificate", "block", "alice.pem"],
];

#[test]
fn no_command_makes_a_database() {
    let desk = Desk::unmigrated(Kind::Sqlite);
    std::fs::copy(desk.client("alice"), desk.folder().join("alice.pem")).unwrap();
    for command in COMMANDS {
        let error = desk.refused(2, command);
        for part in ["certgate.db: no database there", "--config", "database.url", "migrate"] {
            assert!(error.contains(part), "{command:?}: {error}");
        }
    }
    // It says which configuration was read.
    let toml = desk.file("certgate.toml", b"");
    let toml = toml.to_str().unwrap();
    let error = desk.refused(2, &["--config", toml, "user", "list"]);
    assert!(error.contains(&format!("configured by {toml}")), "{error}");
    desk.refused(2, &["--config", "/nonexistent/certgate.toml", "user", "list"]);
}

#[test]
fn a_postgresql_without_schema_is_told_of() {
    let desk = Desk::unmigrated(Kind::Postgres);
    let error = desk.refused(2, &["user", "list"]);
    assert!(error.ends_with("holds no certgate schema; run `certgate migrate`"), "{error}");
}

fn migrate_tells_from_which_version_to_which(kind: Kind) {
    let desk = Desk::unmigrated(kind);
    let first = desk.json(&["migrate"]);
    assert_eq!(columns(&first), ["database", "from", "to"]);
    assert_eq!(first["from"], 0);
    let again = desk.json(&["migrate"]);
    assert_eq!((&again["from"], &again["to"]), (&first["to"], &first["to"]));
    let said = desk.run(&["migrate"]);
    assert!(said.ends_with(&format!("schema version {}, nothing to do\n", first["to"])), "{said}");
}

#[test]
fn migrate_tells_from_which_version_to_which_on_sqlite() {
    migrate_tells_from_which_version_to_which(Kind::Sqlite);
}

#[test]
fn migrate_tells_from_which_version_to_which_on_postgresql() {
    migrate_tells_from_which_version_to_which(Kind::Postgres);
}

#[test]
fn a_command_line_that_cannot_be_read_is_2_and_harmless() {
    let desk = Desk::new();
    for arguments in [
        &[][..],
        &["nonsense"],
        &["user"],
        &["user", "add"],
        &["user", "list", "--nonsense\u{1b}[2J"],
        &["mapping", "show", "one"],
        &["mapping", "add", "alice", "--by", "sha1"],
        &["user", "edit", "alice", "--clear", "username"],
    ] {
        let said = desk.say(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
        assert!(!said.err.is_empty(), "{arguments:?}");
        assert!(!said.err.contains('\u{1b}'), "{said:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["help", "user", "add"]] {
        assert!(!desk.run(arguments).is_empty());
    }
}

#[test]
fn a_closed_pipe_is_no_story_and_no_yes() {
    let desk = Desk::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = desk.command(&["user", "list"]);
    let output = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(2), 0), "{output:?}");
}

#[test]
fn a_certificate_is_shown_in_the_forms_that_are_compared() {
    let desk = Desk::unmigrated(Kind::Sqlite);
    let leaf = Leaf::client("alice").serial(&[0x0a, 0x1b, 0x2c]);
    let file = path(&desk.ca.issue("alice", leaf));
    let facts = desk.json(&["certificate", "show", &file]);
    assert_eq!(facts["serial"], "0A1B2C");
    assert_eq!(facts["subject"], "CN=alice,O=Example");
    assert_eq!(facts["issuer"], "CN=Example CA,O=Example");
    assert_eq!(facts["san"], json!({"email": [], "upn": [], "uri": [], "dns": []}));
    let text = desk.run(&["certificate", "show", &file]);
    assert!(text.contains("serial        0A1B2C\n"), "{text}");
    assert!(desk.refused(2, &["certificate", "show", "/nonexistent"]).contains("cannot read"));
}

fn a_certificate_is_explained(kind: Kind) {
    let desk = Desk::on(kind);
    let (alice, bob) = (desk.client("alice"), desk.client("bob"));
    desk.run(&["user", "add", "alice", "--group", "ops"]);
    desk.run(&["mapping", "add", "alice", "--cert", &alice]);
    let explained = desk.json(&["explain", "--cert", &alice]);
    for (name, value) in [("decision", "allow"), ("reason", "mapped"), ("user", "alice")] {
        assert_eq!(explained[name], value);
    }
    assert_eq!(explained["status"], 200);
    let certificate = &explained["certificate"];
    for name in ["subject", "issuer", "serial", "sha256", "spki_sha256", "not_before", "not_after"]
    {
        assert!(certificate[name].is_string(), "{name}: {certificate}");
    }
    assert!(certificate["san"].is_object());
    let considered = explained["considered"][0].clone();
    assert_eq!(columns(&considered), ["id", "kind", "matched", "username", "why"]);
    let expected = json!({"id": 1, "kind": "sha256", "matched": true, "username": "alice",
        "why": "matches and is active"});
    assert_eq!(considered, expected);
    let denied = |arguments: &[&str], reason: &str, status: u16| {
        let said = desk.say(&[&["explain", "--json"], arguments].concat());
        let explained: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(said.code, 1);
        assert_eq!(explained["decision"], "deny");
        assert_eq!((&explained["reason"], &explained["status"]), (&json!(reason), &json!(status)));
    };
    denied(&["--cert", &bob], "unmapped", 401);
    denied(&["--cert", &alice, "--require", "group:staff"], "group_required", 403);
    desk.run(&["explain", "--cert", &alice, "--require", "group:staff", "--require", "user:alice"]);
    for nonsense in ["ops", "group:a b", "group:ops&certificate=optional,"] {
        desk.refused(2, &["explain", "--cert", &alice, "--require", nonsense]);
    }
    desk.run(&["certificate", "block", &alice, "--reason", "stolen"]);
    denied(&["--cert", &alice], "blocked", 401);
    let text = desk.say(&["explain", "--cert", &alice]).out;
    assert!(text.starts_with("blocked\n401 deny\nassumed: the proxy verified"), "{text}");
}

#[test]
fn a_certificate_is_explained_on_sqlite() {
    a_certificate_is_explained(Kind::Sqlite);
}

#[test]
fn a_certificate_is_explained_on_postgresql() {
    a_certificate_is_explained(Kind::Postgres);
}

#[test]
fn blocking_a_certificate_tells_what_its_holder_can_still_use() {
    let desk = Desk::new();
    let [laptop, phone, old] = ["laptop", "phone", "old"].map(|name| desk.client(name));
    desk.run(&["user", "add", "alice"]);
    for (file, by, more) in [
        (&laptop, "sha256", &[][..]),
        (&laptop, "issuer-serial", &[]),
        (&laptop, "issuer-subject", &[]),
        (&laptop, "spki", &[]),
        (&phone, "sha256", &[]),
        (&old, "sha256", &["--valid-until", "2020-01-01"]),
        (&laptop, "subject", &["--anyway"]),
    ] {
        let add = ["mapping", "add", "alice", "--cert", file, "--by", by];
        desk.run(&[&add[..], more].concat());
    }
    let done = desk.json(&["certificate", "block", &laptop]);
    let why = |id: i64, why: &str| (json!(id), json!(why));
    let still = done["still_usable"].as_array().unwrap();
    let still: Vec<_> = still.iter().map(|one| (one["id"].clone(), one["why"].clone())).collect();
    assert_eq!(
        still,
        [
            why(3, "another certificate of the same name"),
            why(4, "another certificate of the same key"),
            why(5, "another certificate"),
        ]
    );
    assert_eq!((&done["users"], &done["rules"]), (&json!(["alice"]), &json!([])));
    let text = desk.run(&["certificate", "block", &phone]);
    assert!(text.contains("It was alice's. These mappings still let in:"), "{text}");
    desk.run(&["user", "disable", "alice"]);
    let text = desk.run(&["certificate", "block", &phone]);
    assert!(text.ends_with("It was alice's; no mapping lets in another certificate.\n"), "{text}");
    let stranger = desk.client("bob");
    let text = desk.run(&["certificate", "block", &stranger]);
    assert!(text.ends_with("It was mapped to nobody.\n"), "{text}");
}
