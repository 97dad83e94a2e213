//! `certgate import`: from files of every kind into both databases, whole or not at all.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use certgate::pki::Certificate;
use serde_json::{Value, json};

use crate::cli_desk::{Desk, path};
use crate::support::database::Kind;
use crate::support::pki::{Issued, Leaf};

/// A folder of certificates under their owners' names.
fn folder(desk: &Desk, name: &str, people: &[(&str, &Issued)]) -> String {
    let folder = desk.folder().join(name);
    fs::create_dir(&folder).unwrap();
    for (person, issued) in people {
        fs::copy(&issued.alone, folder.join(format!("{person}.pem"))).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

/// What an import did, in numbers.
fn numbers(done: &Value) -> [u64; 4] {
    ["users", "memberships", "mappings", "blocks"].map(|name| done[name].as_u64().unwrap())
}

fn a_folder_is_imported_once(kind: Kind) {
    let desk = Desk::on(kind);
    let (alice, bob) = (desk.ca.client("alice"), desk.ca.client("bob"));
    let people = folder(&desk, "people", &[("alice", &alice), ("bob", &bob)]);
    let command = ["import", &people, "--user-from", "filename", "--group", "staff"];
    let dry = desk.run(&[&command[..], &["--dry-run"]].concat());
    assert!(dry.contains("add user alice in staff\n"), "{dry}");
    assert!(
        dry.ends_with("Would import: 2 new users, 2 new mappings; 0 there already.\n"),
        "{dry}"
    );
    assert_eq!(desk.json(&["user", "list"]), json!([]));
    let done = desk.json(&command);
    assert_eq!((numbers(&done), &done["imported"]), ([2, 0, 2, 0], &json!(true)));
    assert_eq!(desk.json(&["user", "show", "alice"])["groups"], json!(["staff"]));
    let explained = desk.json(&["explain", "--cert", &path(&alice)]);
    assert_eq!((&explained["reason"], &explained["user"]), (&json!("mapped"), &json!("alice")));
    assert_eq!(desk.sql("select count(*) from certificate where origin = 'given'").trim(), "2");
    let before = desk.json(&["mapping", "list"]);
    let again = desk.json(&command);
    assert_eq!(numbers(&again), [0; 4]);
    assert_eq!(again["already"]["mappings"], 2);
    assert_eq!(desk.json(&["mapping", "list"]), before);
}

#[test]
fn a_folder_is_imported_once_on_sqlite() {
    a_folder_is_imported_once(Kind::Sqlite);
}

#[test]
fn a_folder_is_imported_once_on_postgresql() {
    a_folder_is_imported_once(Kind::Postgres);
}

fn one_refused_row_stops_everything(kind: Kind) {
    let desk = Desk::on(kind);
    let file = desk.client("alice");
    desk.run(&["user", "add", "alice"]);
    desk.run(&["mapping", "add", "alice", "--cert", &file]);
    desk.run(&["mapping", "disable", "1"]);
    let sha256 = desk.json(&["certificate", "show", &file])["sha256"].as_str().unwrap().to_owned();
    let table = format!("username,sha256\nbob,{}\nalice,{sha256}\n", "ab".repeat(32));
    let table = desk.file("people.csv", table.as_bytes());
    let table = table.to_str().unwrap();
    let said = desk.say(&["import", table]);
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{said:?}");
    assert!(said.out.contains("people.csv, line 3: mapping 1 of alice for this is disabled"));
    assert!(
        said.out.ends_with("Nothing was imported: 1 refused; mend it, or say --skip-refused.\n")
    );
    assert_eq!(desk.json(&["user", "list"]).as_array().unwrap().len(), 1);
    let done = desk.json(&["import", table, "--skip-refused"]);
    assert_eq!(numbers(&done), [1, 0, 1, 0]);
    assert_eq!(desk.json(&["mapping", "show", "1"])["enabled"], false);
    // By its key, or by its file, it is the same certificate: known from the table by now.
    desk.run(&["mapping", "enable", "1"]);
    let people = folder(
        &desk,
        "people",
        &[(
            "alice",
            &Issued {
                alone: file.clone().into(),
                pem: file.clone().into(),
                key: file.clone().into(),
                text: String::new(),
            },
        )],
    );
    desk.run(&["import", &people, "--user-from", "filename"]);
    desk.run(&["mapping", "revoke", "1", "--reason", "stolen"]);
    let facts = desk.json(&["certificate", "show", &file]);
    for (columns, row) in [
        ("spki_sha256", facts["spki_sha256"].as_str().unwrap().to_owned()),
        (
            "issuer,serial",
            format!(
                "\"{}\",{}",
                facts["issuer"].as_str().unwrap(),
                facts["serial"].as_str().unwrap()
            ),
        ),
    ] {
        let text = format!("username,{columns}\nmallory,{row}\nalice,{row}\n");
        let table = desk.file("again.csv", text.as_bytes());
        let said = desk.say(&["import", table.to_str().unwrap()]);
        assert_eq!(said.code, 1, "{columns}: {said:?}");
        assert_eq!(said.out.matches("refused: ").count(), 2, "{said:?}");
        assert!(said.out.contains("mapping 1 of alice is revoked"), "{said:?}");
    }
}

#[test]
fn one_refused_row_stops_everything_on_sqlite() {
    one_refused_row_stops_everything(Kind::Sqlite);
}

#[test]
fn one_refused_row_stops_everything_on_postgresql() {
    one_refused_row_stops_everything(Kind::Postgres);
}

fn a_renewal_goes_to_whom_the_old_one_is_for(kind: Kind) {
    let desk = Desk::on(kind);
    let (old, new) = (desk.ca.client("alice"), desk.ca.issue("alice-new", Leaf::client("alice")));
    let stranger = desk.ca.client("bob");
    let people = folder(&desk, "people", &[("a.dupont", &old)]);
    desk.run(&["import", &people, "--user-from", "filename"]);
    let bundle = folder(&desk, "new", &[("x", &new)]);
    let command = ["import", &bundle, "--user-from", "renewal", "--retire-old", "14d"];
    let done = desk.json(&command);
    assert_eq!((numbers(&done), &done["retired"]), ([0, 0, 1, 0], &json!(1)));
    let list = desk.json(&["mapping", "list", "--user", "a.dupont"]);
    assert!(list[0]["valid_until"].is_string() && list[1]["valid_until"].is_null());
    for certificate in [&old, &new] {
        assert_eq!(desk.json(&["explain", "--cert", &path(certificate)])["user"], "a.dupont");
    }
    let again = desk.json(&command);
    assert_eq!((numbers(&again), &again["retired"]), ([0; 4], &json!(0)));
    assert_eq!(desk.json(&["mapping", "list", "--user", "a.dupont"]), list);
    let strange = folder(&desk, "strange", &[("a.dupont", &stranger)]);
    let said = desk.say(&["import", &strange, "--user-from", "renewal"]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("it renews nothing"), "{said:?}");
    // A stolen predecessor has no successor.
    desk.run(&["mapping", "remove", "2"]);
    desk.run(&["certificate", "block", &path(&old)]);
    let next = desk.ca.issue("alice-next", Leaf::client("alice"));
    let next = folder(&desk, "next", &[("x", &next)]);
    let said = desk.say(&["import", &next, "--user-from", "renewal"]);
    assert!(said.out.contains("it renews nothing"), "{said:?}");
}

#[test]
fn a_renewal_goes_to_whom_the_old_one_is_for_on_sqlite() {
    a_renewal_goes_to_whom_the_old_one_is_for(Kind::Sqlite);
}

#[test]
fn a_renewal_goes_to_whom_the_old_one_is_for_on_postgresql() {
    a_renewal_goes_to_whom_the_old_one_is_for(Kind::Postgres);
}

fn a_feed_takes_back_what_it_brought(kind: Kind) {
    let desk = Desk::on(kind);
    let rows = |count: usize| {
        let rows = (0..count).map(|n| format!("user{n},{n:064x}\n"));
        let text = format!("username,sha256\n{}", rows.collect::<String>());
        desk.file("feed.csv", text.as_bytes()).to_str().unwrap().to_owned()
    };
    let command = |file: &str| -> Vec<String> {
        ["import", file, "--source", "hr", "--prune"].map(str::to_owned).to_vec()
    };
    let run = |file: &str| {
        let command = command(file);
        desk.say(&command.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(run(&rows(20)).code, 0);
    desk.run(&["user", "add", "alice"]);
    desk.run(&["mapping", "add", "alice", "--sha256", &"cd".repeat(32)]);
    let said = run(&rows(15));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("more than --max-removals allows"), "{said:?}");
    assert_eq!(desk.json(&["mapping", "list"]).as_array().unwrap().len(), 21);
    let said = run(&rows(19));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("1 mappings removed, 1 users removed"), "{said:?}");
    let left = desk.json(&["user", "list"]);
    assert_eq!(left.as_array().unwrap().len(), 20);
    assert!(left.as_array().unwrap().iter().any(|user| user["username"] == "alice"));
    let marked = "select count(*) from mapping where created_by = 'import hr'";
    assert_eq!(desk.sql(marked).trim(), "19");
}

#[test]
fn a_feed_takes_back_what_it_brought_on_sqlite() {
    a_feed_takes_back_what_it_brought(Kind::Sqlite);
}

#[test]
fn a_feed_takes_back_what_it_brought_on_postgresql() {
    a_feed_takes_back_what_it_brought(Kind::Postgres);
}

fn openssl(desk: &Desk, arguments: &[&str]) {
    let output =
        Command::new("openssl").current_dir(desk.folder()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A real `openssl ca` writes the folder; a bundle of it is a real PKCS #7.
#[test]
fn the_folder_of_an_openssl_ca_becomes_users_and_blocks() {
    let desk = Desk::new();
    let root = desk.folder().join("pki");
    fs::create_dir_all(root.join("newcerts")).unwrap();
    fs::write(root.join("index.txt"), "").unwrap();
    fs::write(root.join("serial"), "0A92\n").unwrap();
    let config = "[ca]\ndefault_ca = here\n[here]\ndir = pki\ndatabase = pki/index.txt\n\
        new_certs_dir = pki/newcerts\nserial = pki/serial\ncertificate = pki/ca.crt\n\
        private_key = pki/ca.key\ndefault_md = sha256\ndefault_days = 30\npolicy = any\n\
        [any]\norganizationName = optional\ncommonName = supplied\n\
        [req]\ndistinguished_name = name\n[name]\n[v3]\nbasicConstraints = critical,CA:true\n";
    desk.file("ca.conf", config.as_bytes());
    let key =
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "ca.conf"];
    let own = ["req", "-x509", "-keyout", "pki/ca.key", "-out", "pki/ca.crt", "-extensions", "v3"];
    openssl(&desk, &[&own[..], &key, &["-subj", "/O=Example/CN=Old CA"]].concat());
    for name in ["alice", "bob"] {
        let subject = format!("/O=Example/CN={name}");
        let request = ["req", "-keyout", "x.key", "-out", "x.csr", "-subj", &subject];
        openssl(&desk, &[&request[..], &key].concat());
        openssl(&desk, &["ca", "-batch", "-config", "ca.conf", "-in", "x.csr", "-out", "x.pem"]);
    }
    let revoke = ["ca", "-config", "ca.conf", "-revoke", "pki/newcerts/0A93.pem"];
    openssl(&desk, &[&revoke[..], &["-crl_reason", "keyCompromise"]].concat());
    let pki = root.to_str().unwrap();
    let done = desk.json(&["import", pki, "--user-from", "common_name"]);
    assert_eq!(numbers(&done), [1, 0, 1, 1], "{done}");
    let block = desk.json(&["block", "show", "1"]);
    assert_eq!(
        (&block["serial"], &block["issuer"]),
        (&json!("0A93"), &json!("CN=Old CA,O=Example"))
    );
    let [alice, bob] = ["0A92", "0A93"].map(|serial| format!("{pki}/newcerts/{serial}.pem"));
    assert_eq!(desk.json(&["explain", "--cert", &alice])["user"], "alice");
    let blocked = desk.say(&["explain", "--cert", &bob]);
    assert!(blocked.out.starts_with("blocked\n"), "{blocked:?}");
    assert_eq!(numbers(&desk.json(&["import", pki, "--user-from", "common_name"])), [0; 4]);

    let bundle = ["crl2pkcs7", "-nocrl", "-certfile", "pki/newcerts/0A92.pem", "-certfile"];
    let out = ["pki/ca.crt", "-outform", "DER", "-out", "all.p7b"];
    openssl(&desk, &[&bundle[..], &out].concat());
    let file = desk.folder().join("all.p7b");
    let said = desk.run(&["import", file.to_str().unwrap(), "--user-from", "common_name"]);
    assert!(said.contains("passed over 1 certificates of CAs"), "{said}");
    assert!(said.ends_with("Imported: nothing new; 1 there already.\n"), "{said}");
}

#[test]
fn an_address_gives_a_name_in_one_domain_only() {
    let desk = Desk::new();
    let name = |address: &str| {
        let names = vec![rcgen::SanType::Rfc822Name(address.try_into().unwrap())];
        desk.ca.issue(&address.replace('@', "-"), Leaf::client("x").names(names))
    };
    let (ours, theirs) = (name("alice@example.com"), name("alice@example.net"));
    let both = folder(&desk, "both", &[("1", &ours), ("2", &theirs)]);
    let command = ["import", &both, "--user-from", "san_email.local"];
    let said = desk.say(&command);
    assert!(said.out.contains("somebody else in another one"), "{said:?}");
    let said = desk.say(&[&command[..], &["--domain", "example.com"]].concat());
    assert!(
        said.out.contains("2.pem: it has no e-mail address of a domain that counts"),
        "{said:?}"
    );
    let said = desk.say(&[&command[..], &["--domain", "example.com", "--skip-refused"]].concat());
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(desk.json(&["explain", "--cert", &path(&ours)])["user"], "alice");
}

fn an_export_is_imported_into_another_database(kind: Kind) {
    let desk = Desk::on(kind);
    let certificate = desk.client("alice");
    let named = ["--name", "=Alice, \"the\" Zo\u{eb}", "--email", "alice@example.com"];
    desk.run(
        &[&["user", "add", "alice", "--group", "ops", "--group", "staff"][..], &named].concat(),
    );
    desk.run(&["user", "add", "bob"]);
    desk.run(&["user", "disable", "bob"]);
    desk.run(&["mapping", "add", "alice", "--cert", &certificate, "--note", "@laptop"]);
    desk.run(&["mapping", "add", "bob", "--cert", &certificate, "--by", "issuer-subject"]);
    desk.run(&["mapping", "disable", "2"]);
    desk.run(&[
        "mapping",
        "add",
        "bob",
        "--sha256",
        &"12".repeat(32),
        "--valid-until",
        "2030-01-31",
    ]);
    desk.run(&["mapping", "revoke", "3", "--reason", "stolen"]);
    desk.run(&["block", "add", "--issuer", "CN=Old CA", "--serial", "01", "--reason=-1"]);
    for (format, file) in [("json", "all.json"), ("csv", "all.csv")] {
        let text = desk.run(&["export", "--format", format]);
        let file = desk.file(file, text.as_bytes());
        let file = file.to_str().unwrap();
        for other in [Desk::on(Kind::Sqlite), Desk::on(Kind::Postgres)] {
            let done = other.json(&["import", file]);
            assert_eq!(numbers(&done), [2, 0, 3, 1], "{format}");
            assert_eq!(other.run(&["export", "--format", format]), text);
            assert_eq!(numbers(&other.json(&["import", file])), [0; 4], "{format}");
        }
        assert_eq!(numbers(&desk.json(&["import", file])), [0; 4], "{format}");
    }
}

#[test]
fn an_export_of_sqlite_is_imported_into_another_database() {
    an_export_is_imported_into_another_database(Kind::Sqlite);
}

#[test]
fn an_export_of_postgresql_is_imported_into_another_database() {
    an_export_is_imported_into_another_database(Kind::Postgres);
}

fn an_import_that_is_killed_leaves_nothing(kind: Kind) {
    let desk = Desk::on(kind);
    let rows = (0..20_000).map(|n| format!("user{n},{n:064x}\n"));
    let text = format!("username,sha256\n{}", rows.collect::<String>());
    let file = desk.file("many.csv", text.as_bytes());
    let file = file.to_str().unwrap();
    for after in [50, 300, 700, 1200] {
        let mut command = desk.command(&["import", file]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_millis(after);
        while Instant::now() < end && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let count =
            |table: &str| desk.sql(&format!("select count(*) from {table}")).trim().to_owned();
        let counts = [count("app_user"), count("mapping")];
        let (none, all) = (["0", "0"], ["20000", "20000"]);
        assert!(counts == none || counts == all, "{after} ms: {counts:?}");
        if counts == all {
            return;
        }
    }
    // Whoever was killed holds nothing up.
    desk.run(&["user", "add", "alice"]);
}

#[test]
fn an_import_that_is_killed_leaves_nothing_on_sqlite() {
    an_import_that_is_killed_leaves_nothing(Kind::Sqlite);
}

#[test]
fn an_import_that_is_killed_leaves_nothing_on_postgresql() {
    an_import_that_is_killed_leaves_nothing(Kind::Postgres);
}

#[test]
fn a_file_that_is_nothing_is_named() {
    let desk = Desk::new();
    assert!(desk.refused(2, &["import", "missing.csv"]).starts_with("missing.csv: "));
    fs::create_dir(desk.folder().join("empty")).unwrap();
    assert!(desk.refused(2, &["import", "empty"]).contains("no file of certificates"));
    for (name, bytes, why) in [
        ("a.pem", &b"nothing"[..], "neither PEM nor DER"),
        ("a.json", b"\xff\xfe{}", "is not the JSON"),
        ("a.key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key"),
    ] {
        desk.file(name, bytes);
        let said = desk.say(&["import", name, "--user-from", "filename"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.out.contains(why), "{said:?}");
    }
    let certificate = desk.client("alice");
    let said = desk.say(&["import", &certificate]);
    assert!(said.out.contains("--user-from"), "{said:?}");
    let bytes = fs::read(&certificate).unwrap();
    assert!(Certificate::from_file_bytes(&bytes).is_ok());
}
