//! `certgate mapping` and `certgate block`: which certificates are meant, and what is refused.

use serde_json::{Value, json};

use crate::cli_desk::{Desk, path};
use crate::support::database::Kind;
use crate::support::pki::Leaf;

fn desk_with_alice() -> Desk {
    let desk = Desk::new();
    desk.run(&["user", "add", "alice"]);
    desk
}

/// The columns of a mapping that are set, without those that every mapping has.
fn set(mapping: &Value) -> Vec<(&str, &str)> {
    let columns = ["sha256", "spki_sha256", "issuer", "issuer_key_id", "serial", "subject"]
        .into_iter()
        .chain(["san_email", "san_upn", "san_uri", "san_dns", "common_name"]);
    columns.filter_map(|name| Some((name, mapping[name].as_str()?))).collect()
}

fn a_mapping_is_added_changed_revoked_and_removed(kind: Kind) {
    let desk = Desk::on(kind);
    desk.run(&["user", "add", "alice"]);
    let file = desk.client("alice");
    let mapping = desk.json(&["mapping", "add", "alice", "--cert", &file, "--note", "laptop"]);
    assert_eq!((&mapping["id"], &mapping["kind"]), (&json!(1), &json!("sha256")));
    assert_eq!((&mapping["created_by"], &mapping["note"]), (&json!("carol"), &json!("laptop")));
    let facts = desk.json(&["certificate", "show", &file]);
    assert_eq!(set(&mapping), [("sha256", facts["sha256"].as_str().unwrap())]);
    desk.run(&["mapping", "edit", "1", "--valid-from", "2020-01-01", "--clear", "note"]);
    desk.run(&["mapping", "disable", "1"]);
    let mapping = desk.json(&["mapping", "show", "1"]);
    assert_eq!(mapping["valid_from"], "2020-01-01T00:00:00Z");
    assert_eq!((&mapping["note"], &mapping["enabled"]), (&Value::Null, &json!(false)));
    desk.run(&["mapping", "enable", "1"]);
    desk.run(&["mapping", "revoke", "1", "--reason", "stolen"]);
    let list = desk.json(&["mapping", "list", "--user", "alice"]);
    assert_eq!(list[0]["revoked_reason"], "stolen");
    assert!(list[0]["revoked_at"].is_string());
    let enabled = desk.run(&["mapping", "enable", "1"]);
    assert!(enabled.contains("stays revoked"), "{enabled}");
    assert_eq!(desk.json(&["mapping", "remove", "1"]), json!({"id": 1, "removed": true}));
    assert_eq!(desk.json(&["mapping", "list"]), json!([]));
    assert_eq!(desk.refused(1, &["mapping", "show", "1"]), "no such mapping: 1");
}

#[test]
fn a_mapping_is_added_changed_revoked_and_removed_on_sqlite() {
    a_mapping_is_added_changed_revoked_and_removed(Kind::Sqlite);
}

#[test]
fn a_mapping_is_added_changed_revoked_and_removed_on_postgresql() {
    a_mapping_is_added_changed_revoked_and_removed(Kind::Postgres);
}

fn a_block_is_added_changed_and_removed(kind: Kind) {
    let desk = Desk::on(kind);
    let file = desk.client("alice");
    let block = desk.json(&["block", "add", "--cert", &file, "--reason", "stolen"]);
    assert_eq!((&block["id"], &block["reason"]), (&json!(1), &json!("stolen")));
    desk.run(&["block", "edit", "1", "--reason", "found", "--valid-until", "2020-01-01"]);
    let list = desk.run(&["block", "list"]);
    assert!(list.contains("expired  found"), "{list}");
    desk.run(&["block", "disable", "1"]);
    desk.run(&["block", "enable", "1"]);
    assert_eq!(desk.json(&["block", "show", "1"])["enabled"], true);
    let ca = desk.run(&["block", "add", "--issuer", desk.ca.pem.to_str().unwrap()]);
    assert_eq!(ca, "added block 2\nIt keeps out every certificate of this CA.\n");
    assert!(desk.json(&["block", "show", "2"])["issuer_key_id"].is_string());
    assert_eq!(desk.json(&["block", "remove", "1"]), json!({"id": 1, "removed": true}));
    assert_eq!(desk.refused(1, &["block", "show", "1"]), "no such block: 1");
    for act in ["enable", "disable", "remove"] {
        desk.refused(1, &["block", act, "1"]);
    }
    assert_eq!(desk.json(&["block", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_block_is_added_changed_and_removed_on_sqlite() {
    a_block_is_added_changed_and_removed(Kind::Sqlite);
}

#[test]
fn a_block_is_added_changed_and_removed_on_postgresql() {
    a_block_is_added_changed_and_removed(Kind::Postgres);
}

#[test]
fn every_way_to_take_a_mapping_from_a_certificate_matches_it() {
    let desk = desk_with_alice().with("IDENTITY__WEAK", "issuer_subject,subject");
    let file = desk.client("alice");
    let facts = desk.json(&["certificate", "show", &file]);
    for (by, kind, columns) in [
        ("sha256", "sha256", &["sha256"][..]),
        ("spki", "spki", &["spki_sha256"]),
        ("issuer-serial", "issuer_serial", &["issuer", "serial"]),
        ("issuer-subject", "issuer_subject", &["issuer", "subject"]),
        ("subject", "subject", &["subject"]),
    ] {
        let mapping = desk.json(&["mapping", "add", "alice", "--cert", &file, "--by", by]);
        assert_eq!(mapping["kind"], kind);
        let expected: Vec<_> =
            columns.iter().map(|name| (*name, facts[*name].as_str().unwrap())).collect();
        assert_eq!(set(&mapping), expected, "{by}");
        let explained = desk.json(&["explain", "--cert", &file]);
        assert_eq!(explained["reason"], "mapped", "{by}");
        assert_eq!(explained["considered"][0]["kind"], kind);
        desk.run(&["mapping", "remove", &mapping["id"].to_string()]);
    }
}

#[test]
fn columns_are_written_the_one_way_that_certgate_writes_them() {
    let desk = desk_with_alice().with("IDENTITY__WEAK", "issuer_subject,san_email,san_upn,san_dns");
    let digest = "AB:".repeat(31) + "CD";
    for (options, expected) in [
        (&["--sha256", &digest][..], ("sha256", digest.to_lowercase().replace(':', ""))),
        (&["--san-email", "Alice@Example.COM"], ("san_email", "Alice@example.com".to_owned())),
        (&["--san-upn", "Alice@AD"], ("san_upn", "alice@ad".to_owned())),
        (&["--san-dns", "Host.Example"], ("san_dns", "host.example".to_owned())),
    ] {
        let mapping = desk.json(&[&["mapping", "add", "alice"], options].concat());
        assert_eq!(set(&mapping), [(expected.0, expected.1.as_str())]);
    }
    let issuer = ["mapping", "add", "alice", "--issuer", "/C=FR/O=Example/CN=Example CA"];
    for (serial, expected) in [("dec:4097", "1001"), ("00:ca:92", "CA92"), ("0xCA92", "CA92")] {
        let mapping = desk.json(&[&issuer[..], &["--serial", serial]].concat());
        let columns = [("issuer", "CN=Example CA,O=Example,C=FR"), ("serial", expected)];
        assert_eq!(set(&mapping), columns, "{serial}");
    }
}

#[test]
fn an_issuer_given_as_a_file_pins_its_key() {
    let desk = desk_with_alice();
    let (file, ca) = (desk.client("alice"), desk.ca.pem.to_str().unwrap());
    let by = ["--cert", &file, "--by", "issuer-serial", "--issuer", ca];
    let mapping = desk.json(&[&["mapping", "add", "alice"][..], &by].concat());
    let columns: Vec<_> = set(&mapping).iter().map(|(name, _)| *name).collect();
    assert_eq!(columns, ["issuer", "issuer_key_id", "serial"]);
    assert_eq!(mapping["remarks"], json!([]));
    assert_eq!(desk.json(&["explain", "--cert", &file])["reason"], "mapped");
}

#[test]
fn a_mapping_by_fingerprint_tells_of_renewals() {
    let desk = desk_with_alice();
    let file = desk.client("alice");
    let said = desk.run(&["mapping", "add", "alice", "--cert", &file]);
    assert!(said.starts_with("added mapping 1 for alice by sha256\n"), "{said}");
    for word in ["renewed", "--by spki", "--by issuer-subject"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a_weak_kind_that_is_off_is_refused_unless_anyway() {
    let desk = desk_with_alice();
    let weak = ["mapping", "add", "alice", "--san-email", "alice@example.com"];
    let error = desk.refused(2, &weak);
    assert!(error.contains("identity.weak does not name it"), "{error}");
    assert!(error.contains("add san_email to identity.weak"), "{error}");
    assert!(error.ends_with("--anyway"), "{error}");
    desk.run(&[&weak[..], &["--anyway"]].concat());
    let list = desk.run(&["mapping", "list"]);
    assert!(list.contains("san_email  weak, off  san_email=alice@example.com"), "{list}");
    let error = desk.refused(2, &["mapping", "revoke", "1"]);
    assert!(error.contains("certgate certificate block"), "{error}");
}

#[test]
fn what_could_not_match_is_refused_in_one_line_that_names_the_option() {
    let desk = desk_with_alice();
    let (file, ca) = (desk.client("alice"), desk.ca.pem.to_str().unwrap().to_owned());
    let zero = path(&desk.ca.issue("zero", Leaf::client("zero").serial(&[0])));
    let nameless = path(&desk.ca.issue("nameless", Leaf::client("x").subject(&[])));
    let nothing = desk.file("nothing.pem", b"nothing").display().to_string();
    for (options, part) in [
        (&[][..], "name a certificate: --cert FILE, or columns of it"),
        (&["--issuer", "CN=Example CA"], "the issuer alone names nobody"),
        (&["--serial", "12", "--issuer", "nowhere.pem"], "cannot read nowhere.pem"),
        (&["--serial", "12", "--issuer", &file], "is not the certificate of a CA"),
        (&["--serial", "-1", "--issuer", "CN=x"], "--serial \"-1\": a serial has no sign"),
        (&["--serial", "0", "--issuer", "CN=x"], "--serial \"0\": "),
        (&["--sha256", "abc"], "--sha256 \"abc\": "),
        (&["--subject", "alice"], "--subject \"alice\": a part of the name has no '='"),
        (&["--subject", "XYZ=alice"], "--subject \"XYZ=alice\": \"XYZ\" is not the name"),
        (&["--san-email", "zo\u{eb}@x"], "--san-email \"zo\u{eb}@x\": "),
        (&["--issuer-key-id", "abc"], "--issuer-key-id \"abc\": has an odd number"),
        (&["--cert", "nowhere.pem"], "cannot read nowhere.pem: No such file"),
        (&["--cert", &nothing], "does not hold one certificate"),
        (&["--cert", &ca], "is that of a CA, which is never accepted as a client's"),
        (&["--cert", &file, "--serial", "12"], "would not match the certificate of --cert"),
        (&["--cert", &zero, "--by", "issuer-serial"], "such a serial matches nothing"),
        (&["--cert", &nameless, "--by", "issuer-subject"], "has no subject"),
    ] {
        let error = desk.refused(2, &[&["mapping", "add", "alice"], options].concat());
        assert!(error.contains(part), "{options:?}: {error}");
    }
    assert_eq!(desk.json(&["mapping", "list"]), json!([]));
}

#[test]
fn a_block_that_no_header_can_match_is_refused() {
    let desk = desk_with_alice().with("IDENTITY__SOURCE", "headers");
    let file = desk.client("alice");
    let add = ["block", "add", "--cert", &file];
    let error = desk.refused(2, &add);
    assert!(error.contains("the proxy's headers do not show sha256"), "{error}");
    desk.run(&[&add[..], &["--by", "issuer-serial"]].concat());
    desk.run(&[&add[..], &["--anyway"]].concat());
    let mapping = desk.json(&["mapping", "add", "alice", "--cert", &file]);
    assert!(mapping["remarks"][0].as_str().unwrap().starts_with("It cannot match"), "{mapping}");
}

#[test]
fn what_sql_has_written_is_shown_as_it_counts() {
    let desk = desk_with_alice();
    desk.sql("insert into mapping (username, issuer, serial) values ('alice', 'nonsense', 'CA')");
    desk.sql(
        "insert into mapping (username, sha256, valid_until) \
         values ('alice', '0000000000000000000000000000000000000000000000000000000000000000', \
         '2020-01-01 12:00:00')",
    );
    let list = desk.run(&["mapping", "list"]);
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[1].starts_with("1   alice  -       unreadable"), "{list}");
    assert!(lines[2].starts_with("2   alice  sha256  expired"), "{list}");
    assert_eq!(desk.json(&["mapping", "show", "2"])["valid_until"], "2020-01-01T12:00:00Z");
}
