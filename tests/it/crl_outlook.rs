//! `certgate config check` with CRLs: whom they would deny is told before they do, on both databases.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::cli_desk::{Desk, path};
use super::support::database::Kind;
use super::support::pki::{Issuer, Leaf};

const ALICE: &[u8] = &[0x5A, 0x01];
const MALLORY: &[u8] = &[0x5A, 0x02];

/// A desk whose CRLs are in a folder, with the CA's certificate beside them.
fn desk(kind: Kind) -> Desk {
    let desk = Desk::on(kind);
    let folder = desk.folder().join("crls");
    fs::create_dir(&folder).unwrap();
    fs::copy(&desk.ca.pem, folder.join("ca.pem")).unwrap();
    desk.with("REVOCATION__CRL", folder.to_str().unwrap())
}

fn put(desk: &Desk, name: &str, bytes: &[u8]) {
    fs::write(desk.folder().join("crls").join(name), bytes).unwrap();
}

/// A user with a certificate of this CA, by its issuer and serial.
fn add(desk: &Desk, ca: &Issuer, user: &str, serial: &[u8]) {
    let issued = ca.issue(user, Leaf::client(user).serial(serial));
    desk.run(&["user", "add", user]);
    desk.run(&["mapping", "add", user, "--by", "issuer-serial", "--cert", &path(&issued)]);
}

/// What a check says of the mappings.
fn mappings(desk: &Desk) -> Value {
    let mut said = desk.json(&["config", "check"]);
    assert_eq!(said["revocation"]["database_error"], Value::Null, "{said}");
    said["revocation"]["mappings"].take()
}

/// How many for which cause, the first word of each.
fn counts(mappings: &Value) -> Vec<(String, String, u64)> {
    let reasons = mappings["reasons"].as_array().unwrap().iter();
    let mut counts: Vec<_> = reasons
        .map(|reason| {
            let text = |key: &str| reason[key].as_str().unwrap().to_owned();
            let why = text("why").split(' ').take(2).collect::<Vec<_>>().join(" ");
            (text("code"), why, reason["count"].as_u64().unwrap())
        })
        .collect();
    counts.sort();
    counts
}

/// The names of those who would be denied.
fn named(mappings: &Value) -> Vec<&str> {
    let named = mappings["named"].as_array().unwrap().iter();
    named.map(|one| one["username"].as_str().unwrap()).collect()
}

fn the_first_list_of_one_ca_locks_out_nobody_of_another_by_surprise(kind: Kind) {
    let desk = desk(kind);
    let other = Issuer::root(&desk.folder().join("other"), "Other CA");
    add(&desk, &desk.ca, "alice", ALICE);
    add(&desk, &desk.ca, "mallory", MALLORY);
    add(&desk, &other, "bob", &[0x01]);
    add(&desk, &other, "carol", &[0x02]);
    put(&desk, "ca.crl", &desk.ca.list(1, &[MALLORY]));

    let told = mappings(&desk);
    assert_eq!((&told["bound_to_serial"], &told["would_be_denied"]), (&json!(4), &json!(3)));
    let of = |code: &str, why: &str, count| (code.to_owned(), why.to_owned(), count);
    let revoked = || of("certificate_revoked", "revoked by", 1);
    assert_eq!(counts(&told), [revoked(), of("revocation_unknown", "no CRL", 2)]);
    assert_eq!(named(&told), ["mallory", "bob", "carol"]);
    assert_eq!(told["named"][1]["issuer"], "CN=Other CA,O=Example");
    assert_eq!(told["named"][1]["serial"], "01");
    let said = desk.run(&["config", "check"]);
    for line in [
        "3 of 4 mappings bound to a serial would be denied",
        "  2: no CRL of CN=Other CA,O=Example (revocation.unknown = deny)",
    ] {
        assert!(said.lines().any(|one| one == line), "{line} in {said}");
    }
    let line = said.lines().find(|line| line.starts_with("  1: revoked by CRL 01 of ")).unwrap();
    assert!(line.ends_with("crls/ca.crl"), "{line}");

    // The lists of both, then one of them too old.
    fs::copy(&other.pem, desk.folder().join("crls/other.pem")).unwrap();
    put(&desk, "other.crl", &other.list(1, &[]));
    assert_eq!(counts(&mappings(&desk)), [revoked()]);
    let long_ago = OffsetDateTime::now_utc() - Duration::days(3);
    put(&desk, "other.crl", &other.list_until(1, &[], long_ago));
    let told = mappings(&desk);
    assert_eq!(told["would_be_denied"], 3);
    assert!(counts(&told).contains(&of("revocation_unknown", "CRL 01", 2)), "{told}");
    let desk = desk.with("REVOCATION__EXPIRED", "allow");
    assert_eq!(counts(&mappings(&desk)), [revoked()]);

    // Without the other's list, where that is no reason to deny.
    fs::remove_file(desk.folder().join("crls/other.crl")).unwrap();
    assert_eq!(mappings(&desk)["would_be_denied"], 3);
    let desk = desk.with("REVOCATION__UNKNOWN", "allow");
    assert_eq!(counts(&mappings(&desk)), [revoked()]);
}

#[test]
fn the_first_list_of_one_ca_locks_out_nobody_of_another_by_surprise_on_sqlite() {
    the_first_list_of_one_ca_locks_out_nobody_of_another_by_surprise(Kind::Sqlite);
}

#[test]
fn the_first_list_of_one_ca_locks_out_nobody_of_another_by_surprise_on_postgresql() {
    the_first_list_of_one_ca_locks_out_nobody_of_another_by_surprise(Kind::Postgres);
}

fn only_mappings_that_let_somebody_in_are_counted_and_twenty_are_named(kind: Kind) {
    let desk = desk(kind);
    put(&desk, "ca.crl", &desk.ca.list(1, &[]));
    desk.run(&["user", "add", "alice"]);
    let insert = |columns: &str, values: &str| {
        desk.sql(&format!("insert into mapping (username, {columns}) values ('alice', {values})"));
    };
    for serial in 0x10..0x29 {
        insert("issuer, serial", &format!("'CN=Nobody', '{serial:x}'"));
    }
    insert("issuer, serial, enabled", "'CN=Nobody', 'A1', false");
    insert("issuer, serial, revoked_at", "'CN=Nobody', 'A2', '2020-01-01T00:00:00Z'");
    insert("issuer, serial, valid_until", "'CN=Nobody', 'A3', '2020-01-01T00:00:00Z'");
    insert("sha256", &format!("'{}'", "ab".repeat(32)));
    let told = mappings(&desk);
    assert_eq!((&told["bound_to_serial"], &told["would_be_denied"]), (&json!(25), &json!(25)));
    assert_eq!((&told["others"], &told["unreadable"]), (&json!(4), &json!(0)));
    assert_eq!(named(&told).len(), 20);
    let said = desk.run(&["config", "check"]);
    for line in [
        "25 of 25 mappings bound to a serial would be denied",
        "not counted: 4 mappings that are not in force or name no serial",
        "and 5 more",
    ] {
        assert!(said.lines().any(|one| one == line), "{line} in {said}");
    }
}

#[test]
fn only_mappings_that_let_somebody_in_are_counted_and_twenty_are_named_on_sqlite() {
    only_mappings_that_let_somebody_in_are_counted_and_twenty_are_named(Kind::Sqlite);
}

#[test]
fn only_mappings_that_let_somebody_in_are_counted_and_twenty_are_named_on_postgresql() {
    only_mappings_that_let_somebody_in_are_counted_and_twenty_are_named(Kind::Postgres);
}

#[test]
fn of_two_cas_with_one_name_the_list_of_one_is_not_taken_for_the_others() {
    let desk = desk(Kind::Sqlite);
    let twin = Issuer::root(&desk.folder().join("twin"), "Example CA");
    put(&desk, "ca.crl", &desk.ca.list(1, &[]));
    add(&desk, &desk.ca, "alice", ALICE);
    assert_eq!(mappings(&desk)["would_be_denied"], 0);
    // From here on it is known that there are two; a mapping that names no key can mean either.
    fs::copy(&twin.pem, desk.folder().join("crls/twin.pem")).unwrap();
    assert_eq!(mappings(&desk)["would_be_denied"], 1);
    let key_id = |pem: &Path| {
        let said = desk.json(&["certificate", "show", pem.to_str().unwrap()]);
        said["issuer_key_id"].as_str().map(str::to_owned)
    };
    let issued = desk.ca.issue("key", Leaf::client("alice").serial(&[0x77]));
    let key_id = key_id(&issued.alone).unwrap();
    desk.sql(&format!("update mapping set issuer_key_id = '{key_id}'"));
    assert_eq!(mappings(&desk)["would_be_denied"], 0);
}

#[test]
fn where_chains_are_verified_the_list_about_the_ca_itself_is_needed_too() {
    let desk = desk(Kind::Sqlite);
    let middle = desk.ca.intermediate("Middle CA");
    add(&desk, &middle, "alice", ALICE);
    put(&desk, "middle.crl", &middle.list(1, &[]));
    let (root, between) = (desk.ca.pem.clone(), middle.pem.clone());
    let desk = desk
        .with("TRUST__ANCHORS", root.to_str().unwrap())
        .with("TRUST__INTERMEDIATES", between.to_str().unwrap());
    assert_eq!(mappings(&desk)["would_be_denied"], 0, "the proxy verifies the chain");
    let desk = desk.with("TRUST__MODE", "both");
    let told = mappings(&desk);
    assert_eq!(told["reasons"][0]["code"], "revocation_unknown");
    let why = "no current CRL about the CA CN=Middle CA,O=Example itself, or one above it";
    assert_eq!(told["reasons"][0]["why"], why);
    put(&desk, "ca.crl", &desk.ca.list(1, &[]));
    assert_eq!(mappings(&desk)["would_be_denied"], 0);
}

#[test]
fn a_check_without_the_database_says_so_and_makes_none() {
    let desk = desk_without_database();
    put(&desk, "ca.crl", b"garbage");
    let said = desk.run(&["config", "check"]);
    let line = |start: &str| said.lines().any(|line| line.starts_with(start));
    assert!(line("ok: "), "{said}");
    assert!(line("cannot be used: ") && said.contains("crls/ca.crl: "), "{said}");
    assert!(line("whom the CRLs would deny is not known: the database cannot be read: "), "{said}");
    let told = desk.json(&["config", "check"]);
    assert_eq!((&told["ok"], &told["revocation"]["mappings"]), (&json!(true), &Value::Null));
    assert!(told["revocation"]["database_error"].is_string(), "{told}");
    assert_eq!(told["revocation"]["unusable_files"].as_array().unwrap().len(), 1);
    desk.refused(2, &["user", "list"]);
}

fn desk_without_database() -> Desk {
    let desk = Desk::unmigrated(Kind::Sqlite);
    let folder = desk.folder().join("crls");
    fs::create_dir(&folder).unwrap();
    desk.with("REVOCATION__CRL", folder.to_str().unwrap())
}
