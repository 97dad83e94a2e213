//! `certgate mapping reissue`: a CA is replaced, and nobody comes in who did not before.

use certgate::pki::Certificate;
use serde_json::{Value, json};

use crate::cli_desk::{Desk, path, sha256};
use crate::support::database::Kind;
use crate::support::pki::{Issued, Issuer, Leaf};

fn on_both(test: impl Fn(&Desk)) {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let desk = Desk::on(kind).with("IDENTITY__WEAK", "issuer_subject,subject,san_email");
        for user in ["alice", "bob"] {
            desk.run(&["user", "add", user]);
        }
        test(&desk);
    }
}

fn who(desk: &Desk, issued: &Issued) -> Value {
    let said = desk.say(&["explain", "--cert", &path(issued), "--json"]);
    let explained: Value = serde_json::from_str(&said.out).unwrap();
    match &explained["user"] {
        Value::Null => explained["reason"].clone(),
        user => user.clone(),
    }
}

fn pem(issuer: &Issuer) -> &str {
    issuer.pem.to_str().unwrap()
}

fn why(done: &Value, id: i64) -> &str {
    let rows = done["not_carried"].as_array().unwrap();
    rows.iter().find(|one| one["id"] == id).unwrap()["why"].as_str().unwrap()
}

#[test]
fn mappings_get_a_twin_for_the_new_ca_and_the_rest_is_told() {
    on_both(|desk| {
        let new = Issuer::root(&desk.folder().join("new"), "New CA");
        let old_file = path(&desk.ca.issue("old", Leaf::client("alice")));
        let by = |how: &'static str| {
            ["mapping", "add", "alice", "--cert", &old_file, "--by", how].map(str::to_owned)
        };
        for how in ["issuer-subject", "issuer-serial", "sha256", "spki"] {
            desk.run(&by(how).each_ref().map(String::as_str));
        }
        // By a name and pinned to the CA's key as well.
        let pinned = ["mapping", "add", "bob", "--san-email", "bob@example.com", "--issuer"];
        desk.run(&[&pinned[..], &[pem(&desk.ca), "--note", "mail"]].concat());
        let alice = new.issue("alice", Leaf::client("alice"));
        assert_eq!(who(desk, &alice), "unmapped");
        let act = ["mapping", "reissue", "--issuer", pem(&desk.ca), "--to", pem(&new)];
        let dry = desk.json(&[&act[..], &["--dry-run"]].concat());
        assert_eq!(desk.json(&["mapping", "list"]).as_array().unwrap().len(), 5);
        let done = desk.json(&act);
        for done in [&dry, &done] {
            let carried = done["carried"].as_array().unwrap();
            let ids: Vec<_> = carried.iter().map(|one| (&one["id"], &one["new"])).collect();
            assert_eq!(ids, [(&json!(1), &json!(true)), (&json!(5), &json!(true))], "{done}");
            assert!(why(done, 2).contains("names a serial"), "{done}");
            assert!(why(done, 3).contains("by its fingerprint"), "{done}");
            assert_eq!(done["not_carried"].as_array().unwrap().len(), 2);
        }
        let twin = |id: i64| {
            let carried = done["carried"].as_array().unwrap();
            let one = carried.iter().find(|one| one["id"] == id).unwrap();
            desk.json(&["mapping", "show", &one["twin"].to_string()])
        };
        assert_eq!(twin(1)["issuer"], "CN=New CA,O=Example");
        assert_eq!(twin(1)["issuer_key_id"], Value::Null);
        let ca = desk.json(&["certificate", "show", &path(&alice)]);
        assert_eq!(twin(5)["issuer_key_id"], ca["issuer_key_id"]);
        assert_eq!((&twin(5)["note"], &twin(5)["username"]), (&json!("mail"), &json!("bob")));
        assert_eq!(who(desk, &alice), "alice");
        // A second time there is nothing to do, and the old ones go when told to.
        let again = desk.json(&[&act[..], &["--retire-old", "30d"]].concat());
        assert_eq!(again["retired"], json!([1, 5]));
        assert!(again["carried"].as_array().unwrap().iter().all(|one| one["new"] == false));
        assert_eq!(desk.json(&["mapping", "list"]).as_array().unwrap().len(), 7);
        assert!(desk.json(&["mapping", "show", "1"])["valid_until"].is_string());
        assert_eq!(twin(1)["valid_until"], Value::Null);
        let text = desk.run(&act);
        assert!(
            text.starts_with("0 mappings carried over, 2 have their twin already, 2 are not"),
            "{text}"
        );
    });
}

#[test]
fn what_is_off_is_never_carried_over_nor_counted_as_done() {
    on_both(|desk| {
        let new = Issuer::root(&desk.folder().join("new"), "New CA");
        let add = |user: &str, subject: &str, ca: &Issuer| {
            let subject = format!("CN={subject},O=Example");
            desk.run(&["mapping", "add", user, "--subject", &subject, "--issuer", pem(ca)]);
        };
        for name in ["off", "over", "copied", "shared", "given"] {
            add("alice", name, &desk.ca);
        }
        desk.run(&["mapping", "disable", "1"]);
        desk.run(&["mapping", "edit", "2", "--valid-until", "2020-01-01"]);
        add("alice", "copied", &new);
        desk.run(&["mapping", "disable", "6"]);
        add("bob", "shared", &desk.ca);
        add("bob", "given", &new);
        // Weaker, and kept out by the first one.
        let mail = ["mapping", "add", "alice", "--san-email", "alice@example.com"];
        desk.run(&[&mail[..], &["--issuer", pem(&desk.ca)]].concat());
        let act = ["mapping", "reissue", "--issuer", pem(&desk.ca), "--to", pem(&new)];
        let done = desk.json(&[&act[..], &["--retire-old", "1d"]].concat());
        assert_eq!((&done["carried"], &done["retired"]), (&json!([]), &json!([])), "{done}");
        for (id, part) in [
            (1, "is disabled"),
            (2, "is over"),
            (3, "mapping 6 is its copy and is disabled"),
            (4, "two users have the same one"),
            (5, "mapping 8 gives the same to bob"),
            (7, "two users have the same one"),
            (9, "of the stronger kind issuer_subject, is off and decides"),
        ] {
            assert!(why(&done, id).contains(part), "{id}: {done}");
        }
        let names = ["off", "over", "copied", "shared"];
        for name in names {
            let issued = new.issue(name, Leaf::client(name));
            assert!(
                ["unmapped", "mapping_disabled"].contains(&who(desk, &issued).as_str().unwrap())
            );
        }
    });
}

#[test]
fn a_new_key_of_the_same_name_needs_both_keys() {
    on_both(|desk| {
        let new = Issuer::root(&desk.folder().join("new"), "Example CA");
        let subject = |name: &str| format!("CN={name},O=Example");
        let name = "CN=Example CA,O=Example";
        desk.run(&[
            "mapping",
            "add",
            "alice",
            "--subject",
            &subject("alice"),
            "--issuer",
            pem(&desk.ca),
        ]);
        desk.run(&["mapping", "add", "bob", "--subject", &subject("bob"), "--issuer", name]);
        let error = desk.refused(2, &["mapping", "reissue", "--issuer", name, "--to", pem(&new)]);
        assert!(
            error.contains("only their keys tell them apart, in the column issuer_key_id"),
            "{error}"
        );
        let same = ["mapping", "reissue", "--issuer", pem(&desk.ca), "--to", pem(&desk.ca)];
        assert!(desk.refused(2, &same).contains("are the same"));
        let issued = new.issue("alice-new", Leaf::client("alice"));
        assert_eq!(who(desk, &issued), "unmapped");
        let done = desk.json(&["mapping", "reissue", "--issuer", pem(&desk.ca), "--to", pem(&new)]);
        assert_eq!(done["carried"].as_array().unwrap().len(), 1);
        assert!(why(&done, 2).contains("holds for the new CA of the same name already"));
        assert_eq!(who(desk, &issued), "alice");
        let leaf = desk.client("alice");
        let error = desk.refused(2, &["mapping", "reissue", "--issuer", name, "--to", &leaf]);
        assert!(error.contains("is not the certificate of a CA"), "{error}");
    });
}

#[test]
fn rules_are_listed_and_copied_where_that_is_simple() {
    on_both(|desk| {
        let new = Issuer::root(&desk.folder().join("new"), "New CA");
        let add = |priority: &str, issuer: &str, attribute: &str| {
            let username = format!("{{subject.{attribute}}}");
            desk.run(&["rule", "add", priority, "--issuer", issuer, "--username", &username]);
        };
        add("10", pem(&desk.ca), "O");
        add("11", pem(&desk.ca), "CN");
        add("20", pem(&desk.ca), "OU");
        desk.run(&["rule", "disable", "20"]);
        let act = ["mapping", "reissue", "--issuer", pem(&desk.ca), "--to", pem(&new)];
        let listed = desk.json(&act);
        let twins = |done: &Value| -> Vec<(i64, Option<i64>)> {
            let rules = done["rules"].as_array().unwrap().iter();
            rules.map(|one| (one["priority"].as_i64().unwrap(), one["twin"].as_i64())).collect()
        };
        assert_eq!(twins(&listed), [(10, None), (11, None), (20, None)]);
        let done = desk.json(&[&act[..], &["--rules"]].concat());
        assert_eq!(twins(&done), [(10, Some(12)), (11, Some(13)), (20, None)]);
        let rule = desk.json(&["rule", "show", "13"]);
        assert_eq!(
            (&rule["issuer"], &rule["username"]),
            (&json!("CN=New CA,O=Example"), &json!("{subject.CN}"))
        );
        let again = desk.json(&[&act[..], &["--rules"]].concat());
        assert_eq!(twins(&again), [(10, Some(12)), (11, Some(13)), (20, None)]);
        assert_eq!(desk.json(&["rule", "list"]).as_array().unwrap().len(), 5);
        // Another rule of the new CA: their order is for an operator to say.
        add("30", pem(&desk.ca), "L");
        add("5", pem(&new), "ST");
        let done = desk.json(&[&act[..], &["--rules"]].concat());
        assert_eq!(twins(&done)[3], (30, None));
    });
}

#[test]
fn fingerprints_of_the_old_ca_are_told_of_where_its_certificates_are_known() {
    on_both(|desk| {
        let new = Issuer::root(&desk.folder().join("new"), "New CA");
        let [ours, theirs] = [desk.ca.client("ours"), new.client("theirs")];
        for issued in [&ours, &theirs] {
            desk.run(&["mapping", "add", "alice", "--cert", &path(issued)]);
        }
        let done = desk.json(&["mapping", "reissue", "--issuer", pem(&desk.ca), "--to", pem(&new)]);
        assert_eq!(done["not_carried"].as_array().unwrap().len(), 1, "{done}");
        assert_eq!(done["not_carried"][0]["id"], 1);
        assert_eq!(desk.json(&["mapping", "show", "1"])["sha256"], sha256(&ours));
    });
}

#[test]
fn whom_a_block_of_the_old_ca_keeps_out_gets_no_twin() {
    on_both(|desk| {
        let new = Issuer::root(&desk.folder().join("new"), "New CA");
        let map = |user: &str, name: &str| {
            let subject = format!("CN={name},O=Example");
            let add = ["mapping", "add", user, "--subject", &subject, "--issuer", pem(&desk.ca)];
            desk.run(&add);
        };
        map("alice", "alice");
        map("bob", "mallory");
        let block = |ca: &Issuer, more: &[&str]| {
            desk.json(&[&["block", "add", "--issuer", pem(ca)], more].concat())["id"].clone()
        };
        let subject = ["--subject", "CN=mallory,O=Example"];
        block(&desk.ca, &subject);
        // About the CA, and about another one: about nobody here.
        block(&desk.ca, &[]);
        let other = Issuer::root(&desk.folder().join("other"), "Other CA");
        block(&other, &["--subject", "CN=alice,O=Example"]);
        let act = ["mapping", "reissue", "--issuer", pem(&desk.ca), "--to", pem(&new), "--rules"];
        let dry = || desk.json(&[&act[..], &["--dry-run"]].concat());
        let carried = |done: &Value| -> Vec<i64> {
            let rows = done["carried"].as_array().unwrap().iter();
            rows.map(|one| one["id"].as_i64().unwrap()).collect()
        };
        desk.run(&["rule", "add", "10", "--issuer", pem(&desk.ca), "--username", "{subject.CN}"]);
        let done = desk.json(&act);
        assert_eq!(carried(&done), [1], "{done}");
        assert!(why(&done, 2).starts_with("block 1 of the old CA keeps it out"), "{done}");
        let rule = &done["rules"][0];
        assert_eq!(rule["twin"], Value::Null, "{done}");
        assert!(rule["why"].as_str().unwrap().starts_with("block 1 of the old CA"), "{done}");
        let mallory = new.issue("mallory", Leaf::client("mallory"));
        assert_eq!(who(desk, &mallory), "unmapped");

        // What a mapping does not say cannot be ruled out, and a block that is off is none.
        desk.run(&["block", "remove", "1"]);
        let id = block(&desk.ca, &["--san-email", "mallory@example.com"]).to_string();
        let mail = ["mapping", "add", "alice", "--san-email", "alice@example.com", "--issuer"];
        let mail = desk.json(&[&mail[..], &[pem(&desk.ca)]].concat())["id"].clone();
        let done = dry();
        let part = "may keep it out, which the mapping does not tell (san_email)";
        assert!(why(&done, 1).contains(part) && why(&done, 2).contains(part), "{done}");
        assert!(why(&done, mail.as_i64().unwrap()).contains(part), "a person has several: {done}");
        desk.run(&["mapping", "remove", &mail.to_string()]);
        desk.run(&["block", "disable", &id]);
        assert_eq!(carried(&dry()), [1, 2]);

        // A common name is what a subject says of it.
        let id = block(&desk.ca, &["--common-name", "MALLORY"]).to_string();
        assert_eq!(carried(&dry()), [1]);
        desk.run(&["block", "remove", &id]);

        // A serial says whose it is only where the certificate is known.
        let stolen = desk.ca.issue("stolen", Leaf::client("mallory"));
        let certificate = Certificate::from_pem(stolen.text.as_bytes()).unwrap();
        let id = block(&desk.ca, &["--serial", &certificate.serial.to_string()]).to_string();
        assert!(why(&dry(), 1).contains("names a certificate of the old CA that is not known"));
        desk.run(&["certificate", "add", &path(&stolen)]);
        let done = dry();
        assert_eq!(carried(&done), [1], "{done}");
        assert!(why(&done, 2).contains("keeps out a certificate of theirs"), "{done}");
        desk.run(&["block", "remove", &id]);

        // With a block of the new CA that says the same all go on, and mallory stays out.
        let id = block(&desk.ca, &subject).to_string();
        let copy = block(&new, &subject).to_string();
        desk.run(&["block", "edit", &copy, "--valid-until", "2100-01-01"]);
        assert_eq!(carried(&dry()), [1], "a block that ends earlier is no copy");
        desk.run(&["block", "edit", &copy, "--clear", "valid-until"]);
        let done = desk.json(&act);
        assert_eq!((carried(&done), &done["rules"][0]["twin"]), (vec![1, 2], &json!(11)), "{done}");
        assert_eq!(who(desk, &mallory), "blocked", "{id}");
    });
}

#[test]
fn no_rule_is_copied_past_a_mapping_that_keeps_somebody_out() {
    on_both(|desk| {
        let new = Issuer::root(&desk.folder().join("new"), "New CA");
        let subject = ["--subject", "CN=bob,O=Example", "--issuer", pem(&desk.ca)];
        desk.run(&[&["mapping", "add", "bob"], &subject[..]].concat());
        desk.run(&["mapping", "disable", "1"]);
        // One that names a certificate only keeps nobody else out.
        let old = path(&desk.ca.issue("old", Leaf::client("alice")));
        desk.run(&["mapping", "add", "alice", "--cert", &old, "--by", "issuer-serial"]);
        desk.run(&["mapping", "disable", "2"]);
        desk.run(&["rule", "add", "10", "--issuer", pem(&desk.ca), "--username", "{subject.CN}"]);
        let bob = new.issue("bob", Leaf::client("bob"));
        assert_eq!(who(desk, &desk.ca.issue("bob-old", Leaf::client("bob"))), "mapping_disabled");
        let act = ["mapping", "reissue", "--issuer", pem(&desk.ca), "--to", pem(&new), "--rules"];
        let done = desk.json(&act);
        let rule = &done["rules"][0];
        assert_eq!(rule["twin"], Value::Null, "{done}");
        assert!(rule["why"].as_str().unwrap().starts_with("mapping 1 is not carried"), "{done}");
        assert_eq!(who(desk, &bob), "unmapped");
        desk.run(&["mapping", "remove", "1"]);
        assert_eq!(desk.json(&act)["rules"][0]["twin"], 11);
        assert_eq!(who(desk, &bob), "bob");
    });
}
