//! Certificates that are known: found by any spelling, listed by whose they are, lost and left.

use rcgen::KeyPair;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::cli_desk::{Desk, path, sha256};
use crate::support::database::Kind;
use crate::support::pki::{Issuer, Leaf};

fn on_both(test: impl Fn(&Desk)) {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        test(&Desk::on(kind));
    }
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one["sha256"].as_str().unwrap().into()).collect()
}

#[test]
fn a_known_certificate_is_found_by_any_spelling() {
    on_both(|desk| {
        let alice = desk.ca.issue("alice", Leaf::client("alice").serial(&[0x10, 0x01]));
        let shared = desk.ca.issue("bob", Leaf::client("bob").serial(&[0x77; 20]));
        let foreign = Issuer::root(&desk.folder().join("foreign"), "Foreign CA");
        let twin = foreign.issue("twin", Leaf::client("carol").serial(&[0x77; 20]));
        let files = [&alice, &shared, &twin].map(path);
        let [one, two, three] = files.each_ref().map(String::as_str);
        desk.run(&["certificate", "add", one, two, three]);
        let id = sha256(&alice);
        let colons: Vec<_> = id.as_bytes().chunks(2).map(String::from_utf8_lossy).collect();
        for spelling in [
            "1001",
            "10:01",
            "0x1001",
            "dec:4097",
            "CN=alice,O=Example",
            "cn=ALICE, o=example",
            "/O=Example/CN=alice",
            "O = Example, CN = alice",
            &id,
            &id.to_uppercase(),
            &colons.join(":"),
            &id[..8],
        ] {
            let shown = desk.json(&["certificate", "show", spelling]);
            assert_eq!(shown["sha256"], id.as_str(), "{spelling}");
            assert_eq!((&shown["origin"], &shown["code"]), (&json!("given"), &json!("unmapped")));
        }
        // A serial is an issuer's: of two, neither is shown.
        let serial = "77".repeat(20);
        let error = desk.refused(2, &["certificate", "show", &serial]);
        assert!(error.contains(&sha256(&shared)) && error.contains(&sha256(&twin)), "{error}");
        let error = desk.refused(1, &["certificate", "show", &"ab".repeat(20)]);
        assert!(error.contains("SHA-1, which can be forged: give SHA-256"), "{error}");
        let error = desk.refused(1, &["certificate", "show", "CN=mallory"]);
        assert!(error.starts_with("no such certificate is known"), "{error}");
        let error = desk.refused(2, &["certificate", "show", "nowhere.pem"]);
        assert!(error.starts_with("cannot read nowhere.pem"), "{error}");
    });
}

#[test]
fn a_list_says_whose_a_certificate_is_now() {
    on_both(|desk| {
        for user in ["alice", "bob"] {
            desk.run(&["user", "add", user]);
        }
        let now = OffsetDateTime::now_utc();
        let soon = Leaf::client("alice").valid(now - Duration::DAY, now + Duration::days(10));
        let soon = desk.ca.issue("soon", soon);
        let [late, stranger] = ["late", "stranger"].map(|name| desk.ca.client(name));
        let foreign = Issuer::root(&desk.folder().join("foreign"), "Foreign CA");
        let other = foreign.client("bob");
        for (user, issued) in [("alice", &soon), ("alice", &late), ("bob", &other)] {
            desk.run(&["mapping", "add", user, "--cert", &path(issued)]);
        }
        // What the last decision said is not what holds: it was bob's once.
        desk.see(&soon, "mapped", Some("bob"));
        desk.see(&stranger, "unmapped", None);
        let listed = |options: &[&str]| {
            let list = desk.json(&[&["certificate", "list"], options].concat());
            let mut found = ids(&list);
            found.sort_unstable();
            found
        };
        let sorted = |of: &[&crate::support::pki::Issued]| {
            let mut ids: Vec<_> = of.iter().map(|issued| sha256(issued)).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(listed(&[]), sorted(&[&soon, &late, &other, &stranger]));
        assert_eq!(listed(&["--user", "alice"]), sorted(&[&soon, &late]));
        assert_eq!(listed(&["--user", "bob"]), sorted(&[&other]));
        assert_eq!(listed(&["--unmapped"]), sorted(&[&stranger]));
        assert_eq!(listed(&["--expiring", "30d"]), sorted(&[&soon]));
        assert_eq!(listed(&["--issuer", "CN=Foreign CA,O=Example"]), sorted(&[&other]));
        let ca = desk.ca.pem.to_str().unwrap();
        assert_eq!(listed(&["--issuer", ca, "--user", "alice"]), sorted(&[&soon, &late]));
        // They are valid since yesterday; two came a second ago.
        assert_eq!(listed(&["--unused", "12h"]), sorted(&[&late, &other]));
        assert_eq!(listed(&["--unused", "90d"]), Vec::<String>::new());
        let text = desk.run(&["certificate", "list", "--limit", "1"]);
        assert!(text.ends_with("and 3 more; say --limit for them\n"), "{text}");
        let error = desk.refused(1, &["certificate", "list", "--user", "carol"]);
        assert!(error.starts_with("no such user"), "{error}");
        let error = desk.refused(2, &["certificate", "list", "--expiring", "soon"]);
        assert!(error.starts_with("--expiring \"soon\": "), "{error}");
        desk.run(&["user", "disable", "alice"]);
        desk.run(&["certificate", "block", &path(&late)]);
        let codes: Vec<_> = [&soon, &late]
            .iter()
            .map(|one| desk.json(&["certificate", "show", &sha256(one)])["code"].clone())
            .collect();
        assert_eq!(codes, ["user_disabled", "blocked"]);
        assert_eq!(listed(&["--user", "alice"]), sorted(&[&soon, &late]), "still hers");
    });
}

#[test]
fn a_lost_laptop_is_blocked_by_what_is_known_of_it() {
    on_both(|desk| {
        desk.run(&["user", "add", "alice"]);
        let ca = desk.ca.pem.to_str().unwrap();
        let rule = ["--users", "existing", "--username", "{subject.CN}"];
        desk.run(&[&["rule", "add", "10", "--issuer", ca][..], &rule].concat());
        let key = KeyPair::generate().unwrap();
        let laptop = desk.ca.issue("laptop", Leaf::client("alice").key(key));
        let laptop_file = path(&laptop);
        let add = ["mapping", "add", "alice", "--cert", &laptop_file];
        desk.run(&add);
        desk.run(&[&add[..], &["--by", "issuer-subject"]].concat());
        desk.run(&[&add[..], &["--by", "spki"]].concat());
        let done = desk.json(&["certificate", "block", &sha256(&laptop)[..12], "--reason", "lost"]);
        assert_eq!((&done["users"], &done["rules"]), (&json!(["alice"]), &json!([10])));
        let still = done["still_usable"].as_array().unwrap();
        assert_eq!(still.iter().map(|one| &one["id"]).collect::<Vec<_>>(), [&json!(2), &json!(3)]);
        // The old one is out, whatever else matches it; a new one is in.
        assert_eq!(desk.say(&["explain", "--cert", &path(&laptop)]).code, 1);
        let new = desk.ca.issue("new", Leaf::client("alice"));
        assert_eq!(desk.json(&["explain", "--cert", &path(&new)])["user"], "alice");
        let error = desk.refused(1, &["certificate", "block", &"0".repeat(64)]);
        assert!(error.starts_with("no such certificate is known"), "{error}");
        assert_eq!(desk.json(&["block", "list"]).as_array().unwrap().len(), 1);
    });
}

#[test]
fn only_a_mapping_of_one_certificate_is_revoked() {
    on_both(|desk| {
        desk.run(&["user", "add", "alice"]);
        let file = desk.client("alice");
        for by in ["sha256", "issuer-serial", "spki", "issuer-subject"] {
            desk.run(&["mapping", "add", "alice", "--cert", &file, "--by", by]);
        }
        for (id, kind) in [("3", "spki"), ("4", "issuer_subject")] {
            let error = desk.refused(2, &["mapping", "revoke", id]);
            assert!(error.contains(&format!("(its kind is {kind})")), "{error}");
            assert!(error.contains("certgate certificate block FILE"), "{error}");
            assert_eq!(desk.json(&["mapping", "show", id])["revoked_at"], Value::Null);
        }
        for id in ["1", "2"] {
            desk.run(&["mapping", "revoke", id]);
        }
        desk.refused(1, &["mapping", "revoke", "9"]);
    });
}

#[test]
fn a_user_with_live_mappings_stays_and_what_was_revoked_stays_out() {
    on_both(|desk| {
        desk.run(&["user", "add", "alice"]);
        desk.run(&["user", "add", "bob"]);
        let [stolen, phone] = ["stolen", "phone"].map(|name| desk.ca.client(name));
        for issued in [&stolen, &phone] {
            desk.run(&["mapping", "add", "alice", "--cert", &path(issued)]);
        }
        // Another way in for the same certificate, held up by the revocation alone.
        desk.run(&["mapping", "add", "bob", "--cert", &path(&stolen), "--by", "issuer-subject"]);
        desk.run(&["mapping", "revoke", "1", "--reason", "stolen"]);
        let error = desk.refused(2, &["user", "remove", "alice"]);
        assert!(error.starts_with("alice still has 1 mappings that let in (2)"), "{error}");
        assert!(error.contains("certgate user disable alice"), "{error}");
        let done = desk.json(&["user", "remove", "alice", "--with-mappings"]);
        assert_eq!((&done["mappings"], &done["blocks"]), (&json!([2]), &json!([1])));
        assert_eq!(desk.json(&["block", "show", "1"])["reason"], "stolen");
        let explained = desk.say(&["explain", "--cert", &path(&stolen), "--json"]);
        assert!(explained.out.contains("\"reason\":\"blocked\""), "{explained:?}");
        desk.run(&["user", "add", "carol"]);
        assert!(desk.run(&["user", "remove", "carol"]).starts_with("removed user carol"));
    });
}

#[test]
fn a_mapping_by_file_keeps_the_certificate_in_mind() {
    on_both(|desk| {
        desk.run(&["user", "add", "alice"]);
        let alice = desk.ca.client("alice");
        let add = ["mapping", "add", "alice", "--cert", &path(&alice), "--by", "issuer-subject"]
            .map(str::to_owned);
        desk.run(&add.each_ref().map(String::as_str));
        let shown = desk.json(&["certificate", "show", &sha256(&alice)]);
        assert_eq!((&shown["origin"], &shown["user"]), (&json!("given"), &json!("alice")));
        // A second time, and after it came: nothing is lost.
        desk.see(&alice, "mapped", Some("alice"));
        desk.run(&["certificate", "add", &path(&alice)]);
        let shown = desk.json(&["certificate", "show", &sha256(&alice)]);
        assert_eq!((&shown["hits"], &shown["last_username"]), (&json!(3), &json!("alice")));
    });
}
