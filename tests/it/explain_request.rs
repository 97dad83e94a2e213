//! `certgate explain` and `certgate denied`: from a request's headers, from its number, and what
//! comes close; the commands that it names are run as they stand.

use std::fs;
use std::process::{Command, Output};

use certgate::cli::demo::programs;
use rcgen::{DnType, KeyPair};
use serde_json::Value;

use crate::seen_serve::{People, ask, wait_for_sql};
use crate::support::certgate::{Certgate, program};
use crate::support::database::{Database, Kind};
use crate::support::pki::{Issued, Issuer, Leaf};

fn on_both(test: impl Fn(&Database, &Certgate, &People)) {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = Database::empty(kind);
        let certgate = Certgate::start_on(&database);
        test(&database, &certgate, &People::new());
    }
}

fn run(certgate: &Certgate, arguments: &[&str]) -> Output {
    let mut command: Command = programs::certgate(&program(), &certgate.config());
    command.args(arguments).output().unwrap()
}

fn json(certgate: &Certgate, arguments: &[&str]) -> Value {
    let output = run(certgate, &[arguments, &["--json"]].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {error}"))
}

fn explain(certgate: &Certgate, certificate: &Issued) -> Value {
    json(certgate, &["explain", "--cert", certificate.alone.to_str().unwrap()])
}

/// Runs a command line as a shell does that finds `certgate`.
fn shell(certgate: &Certgate, line: &str) {
    let rest = line.strip_prefix("certgate ").expect("a command of ours");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("\"$CERTGATE_PROGRAM\" {rest}"));
    shell.env("CERTGATE_PROGRAM", program()).env("CERTGATE_CONFIG", certgate.config());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

fn commands(explanation: &Value) -> Vec<String> {
    let steps = explanation["remedy"].as_array().unwrap().iter();
    steps.filter_map(|step| step["command"].as_str().map(str::to_owned)).collect()
}

/// The near misses, in their order.
fn near(explanation: &Value) -> Vec<&str> {
    let considered = explanation["considered"].as_array().unwrap().iter();
    considered.filter_map(|one| one["near"].as_str()).collect()
}

#[test]
fn the_headers_of_a_request_are_explained_as_the_service_answers_them() {
    on_both(|_, certgate, people| {
        let [alice, bob] = ["alice", "bob"].map(|name| people.ca.client(name));
        certgate.run(&["user", "add", "alice", "--group", "ops"]);
        certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
        certgate.wait_for_reason(&alice, "mapped");
        let (of_alice, of_bob) = (alice.escaped(), bob.escaped());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("request.txt");
        for (lines, expected) in [
            (format!("X-SSL-Client-Verify: SUCCESS\nX-SSL-Client-Cert: {of_alice}\n"), "mapped"),
            (
                format!(
                    "x-ssl-client-verify:SUCCESS\r\nX-SSL-CLIENT-CERT:  {of_bob}  \r\n\r\nX: y"
                ),
                "unmapped",
            ),
            (
                format!(
                    "X-SSL-Client-Verify: SUCCESS\nX-SSL-Client-Verify: SUCCESS\nX-SSL-Client-Cert: {of_alice}\n"
                ),
                "malformed_header",
            ),
            (
                format!("X-SSL-Client-Verify: success\nX-SSL-Client-Cert: {of_alice}\n"),
                "not_verified",
            ),
            (
                format!(
                    "X-SSL-Client-Verify: FAILED:certificate has expired\nX-SSL-Client-Cert: {of_alice}\n"
                ),
                "certificate_expired",
            ),
            (
                format!(
                    "X-SSL-Client-Verify: SUCCESS\nX-SSL-Client-Cert: {of_alice}\nX-SSL-Client-Serial: 01\n"
                ),
                "header_mismatch",
            ),
            ("X-SSL-Client-Verify: NONE\n".to_owned(), "no_certificate"),
            ("Host: app.example.com\n".to_owned(), "no_certificate"),
        ] {
            fs::write(&file, format!("GET /auth HTTP/1.1\n{lines}")).unwrap();
            let told = json(certgate, &["explain", "--headers", file.to_str().unwrap()]);
            let head: Vec<&str> = lines.lines().take_while(|line| !line.is_empty()).collect();
            let answer = certgate.ask(&format!(
                "GET /auth HTTP/1.1\r\nConnection: close\r\nHost: x\r\n{}\r\n\r\n",
                head.iter()
                    .filter(|line| !line.starts_with("Host"))
                    .map(|line| line.trim_end())
                    .collect::<Vec<_>>()
                    .join("\r\n")
            ));
            let code = format!("x-auth-reason: {}\r\n", told["reason"].as_str().unwrap());
            assert!(answer.to_lowercase().contains(&code), "{lines} {told} {answer}");
            assert_eq!(told["reason"], expected, "{lines}");
            assert!(told["assumed"].as_str().unwrap().contains("X-Certgate-Secret"));
        }
        let optional = ["explain", "--headers", file.to_str().unwrap(), "--certificate-optional"];
        assert_eq!(json(certgate, &optional)["reason"], "anonymous");
        fs::write(&file, format!("X-SSL-Client-Verify: SUCCESS\nX-SSL-Client-Cert: {of_alice}\n"))
            .unwrap();
        let required =
            ["explain", "--headers", file.to_str().unwrap(), "--require", "group:admins"];
        let told = json(certgate, &required);
        assert_eq!((&told["reason"], &told["status"]), (&"group_required".into(), &403.into()));
        assert_eq!(commands(&told), ["certgate group add admins alice"]);
        for line in commands(&told) {
            shell(certgate, &line);
        }
        assert_eq!(json(certgate, &required)["user"], "alice");
        for (text, why) in [("a b\n", "line 1"), (" X: y\n", "folded"), ("", "no header line")] {
            fs::write(&file, text).unwrap();
            let output = run(certgate, &["explain", "--headers", file.to_str().unwrap()]);
            assert_eq!(output.status.code(), Some(2));
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(error.contains(why), "{error}");
        }
    });
}

#[test]
fn a_request_that_was_denied_is_explained_by_its_number_then_and_now() {
    on_both(|database, certgate, people| {
        let bob = people.ca.client("bob");
        certgate.run(&["user", "add", "bob"]);
        let about = "X-Request-ID: 5d1f\r\nX-Real-IP: 192.0.2.7\r\n\
                     X-Original-Host: app.example.com\r\n";
        ask(certgate, Some(&bob), about);
        ask(certgate, None, "X-Request-ID: nobody\r\n");
        let count = "select count(*) from denial where request_id in ('5d1f', 'nobody')";
        wait_for_sql(database, count, "2");
        let by_number = ["explain", "--request-id", "5d1f"];
        let told = json(certgate, &by_number);
        assert_eq!(told["reason"], "unmapped");
        assert_eq!(told["then"]["reason"], "unmapped");
        assert_eq!(told["then"]["host"], "app.example.com");
        assert_eq!(told["then"]["peer"], "192.0.2.7");
        assert_eq!(told["certificate"]["subject"], "CN=bob,O=Example");
        let lines = commands(&told);
        assert_eq!(lines.len(), 1, "{told}");
        shell(certgate, &lines[0]);
        let told = json(certgate, &by_number);
        let now =
            (told["decision"].as_str(), told["user"].as_str(), told["then"]["reason"].as_str());
        assert_eq!(now, (Some("allow"), Some("bob"), Some("unmapped")));

        let nobody = json(certgate, &["explain", "--request-id", "nobody"]);
        assert_eq!(
            (&nobody["reason"], &nobody["certificate"]),
            (&"no_certificate".into(), &Value::Null)
        );
        assert!(nobody["assumed"].as_str().unwrap().contains("no verified certificate"));
        database.sql("delete from certificate");
        let gone = json(certgate, &by_number);
        assert!(gone["assumed"].as_str().unwrap().contains("not kept any more"), "{gone}");
        assert_eq!(gone["reason"], "unmapped");
        let missing = run(certgate, &["explain", "--request-id", "never"]);
        assert_eq!(missing.status.code(), Some(1));
        assert!(String::from_utf8(missing.stderr).unwrap().contains("it was not denied"));
    });
}

#[test]
fn denials_are_listed_by_user_time_reason_and_request() {
    on_both(|database, certgate, people| {
        let [alice, bob] = ["alice", "bob"].map(|name| people.ca.client(name));
        certgate.run(&["user", "add", "alice"]);
        certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
        certgate.wait_for_reason(&alice, "mapped");
        certgate.run(&["mapping", "disable", "1"]);
        certgate.wait_for_reason(&alice, "mapping_disabled");
        ask(certgate, Some(&alice), "X-Request-ID: a1\r\n");
        ask(certgate, Some(&bob), "X-Request-ID: b1\r\n");
        let count = "select count(*) from denial where request_id in ('a1', 'b1')";
        wait_for_sql(database, count, "2");
        database.sql(
            "insert into denial (at, request_id, code)
             values ('2020-01-01T00:00:00Z', 'old', 'no_certificate')",
        );
        let ids = |arguments: &[&str]| {
            let rows = json(certgate, &[&["denied"], arguments].concat());
            let ids = rows.as_array().unwrap().iter().filter_map(|row| row["request_id"].as_str());
            let mut ids: Vec<String> = ids.map(str::to_owned).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&["--user", "alice"]), ["a1"]);
        assert_eq!(ids(&["--user", "mallory"]), [""; 0]);
        assert_eq!(ids(&["--since", "2h"]), ["a1", "b1"]);
        assert_eq!(ids(&["--since", "2019-12-31"]), ["a1", "b1", "old"]);
        assert_eq!(ids(&["--reason", "unmapped"]), ["b1"]);
        assert_eq!(ids(&["--request-id", "a1"]), ["a1"]);
        assert_eq!(ids(&["--limit", "1"]), ["old"]);
        // Whoever was let in once stays findable when nothing is left of the mapping.
        database.sql(
            "update certificate set last_username = 'alice'
             where subject = 'CN=bob,O=Example'",
        );
        assert_eq!(ids(&["--user", "alice"]), ["a1", "b1"]);
        let table = String::from_utf8(run(certgate, &["denied"]).stdout).unwrap();
        assert!(table.starts_with("AT ") && table.contains("CN=bob,O=Example"), "{table}");
        for (option, value) in [("--since", "soon"), ("--reason", "unmaped")] {
            let output = run(certgate, &["denied", option, value]);
            assert_eq!(output.status.code(), Some(2));
            assert!(String::from_utf8(output.stderr).unwrap().contains(option));
        }
    });
}

/// A certificate of this CA, of this subject and serial.
fn issue(ca: &Issuer, file: &str, subject: &[(DnType, &str)], serial: &[u8]) -> Issued {
    ca.issue(file, Leaf::client("x").subject(subject).serial(serial))
}

#[test]
fn what_nearly_matches_is_told_and_the_named_command_mends_it() {
    on_both(|database, certgate, people| {
        let organisation = (DnType::OrganizationName, "Example");
        let of = |name| [organisation.clone(), (DnType::CommonName, name)];
        let alice = issue(&people.ca, "alice", &of("alice"), &[0x10, 0x01]);
        let sub = "insert into app_user (username) values ('alice'); ";
        database.sql(sub);
        let rows = [
            // The serial 1001 is 4097 in decimal.
            ("issuer, serial", "'CN=Example CA,O=Example', '4097'", "decimal"),
            ("issuer, subject", "'CN=Example CA,O=Example', 'O=Example,CN=alice'", "rdn_order"),
            ("issuer, subject", "'CN=Other CA,O=Example', 'CN=alice,O=Example'", "other_issuer"),
            (
                "issuer, issuer_key_id, subject",
                "'CN=Example CA,O=Example', 'abcd', 'CN=alice,O=Example'",
                "other_issuer_key",
            ),
            ("issuer, subject", "'CN=Example CA,O=Example', 'CN=al1ce,O=Example'", "look_alike"),
            ("issuer, subject", "'CN=Example CA,O=Example', 'CN=ali ce,O=Example'", "space"),
            ("common_name", "'ALICE'", "case"),
        ];
        for (columns, values, expected) in rows {
            database.sql(&format!(
                "insert into mapping (username, {columns}) values ('alice', {values})"
            ));
            let told = explain(certgate, &alice);
            assert_eq!(told["reason"], "unmapped", "{expected}");
            assert_eq!(near(&told), [expected], "{told}");
            let lines = commands(&told);
            if expected == "look_alike" {
                assert_eq!(lines, [""; 0], "{told}");
            } else {
                lines.iter().for_each(|line| shell(certgate, line));
                assert_eq!(explain(certgate, &alice)["user"], "alice", "{lines:?}");
            }
            database.sql("delete from mapping");
        }
    });
}

#[test]
fn a_renewal_is_told_from_the_certificates_that_are_known() {
    on_both(|database, certgate, people| {
        let key = KeyPair::generate().unwrap();
        let copy = KeyPair::from_pem(&key.serialize_pem()).unwrap();
        let old = people.ca.issue("old", Leaf::client("alice").key(key));
        let same_key = people.ca.issue("same-key", Leaf::client("alice").key(copy));
        let new = people.ca.issue("new", Leaf::client("alice"));
        certgate.run(&["user", "add", "alice"]);
        certgate.run(&["mapping", "add", "alice", "--cert", old.alone.to_str().unwrap()]);
        certgate.wait_for_reason(&old, "mapped");
        wait_for_sql(database, "select count(*) from certificate", "1");
        // The one that was mapped first is known by then as well.
        let rows = [(&same_key, &["other_certificate"][..]), (&new, &["same_name", "same_name"])];
        for (certificate, expected) in rows {
            let told = explain(certgate, certificate);
            assert_eq!((told["reason"].as_str(), &near(&told)[..]), (Some("unmapped"), expected));
            let lines = commands(&told);
            assert_eq!(lines.len(), 1, "{told}");
            shell(certgate, &lines[0]);
            assert_eq!(explain(certgate, certificate)["user"], "alice");
        }
    });
}

#[test]
fn no_command_leads_around_a_block_or_a_revocation() {
    on_both(|database, certgate, people| {
        let alice = people.ca.client("alice");
        let file = alice.alone.to_str().unwrap();
        certgate.run(&["user", "add", "alice"]);
        certgate.run(&["mapping", "add", "alice", "--cert", file]);
        certgate.run(&["mapping", "revoke", "1"]);
        assert_eq!(commands(&explain(certgate, &alice)), ["certgate mapping show 1"]);
        certgate.run(&["certificate", "block", file]);
        assert_eq!(explain(certgate, &alice)["reason"], "blocked");
        assert_eq!(commands(&explain(certgate, &alice)), ["certgate block show 1"]);
        // A row that is misread and revoked is not taken away.
        let bob = issue(&people.ca, "bob", &[(DnType::CommonName, "bob")], &[0x10, 0x01]);
        database.sql(
            "insert into mapping (username, issuer, serial, revoked_at)
             values ('alice', 'CN=Example CA,O=Example', '4097', '2026-01-01T00:00:00Z')",
        );
        let steps = |told: &Value| -> Vec<(String, Value)> {
            let steps = told["remedy"].as_array().unwrap().iter();
            let step =
                |step: &Value| (step["what"].as_str().unwrap().to_owned(), step["command"].clone());
            steps.map(step).collect()
        };
        let looks = |certificate: &Issued, row: &str| {
            let told = explain(certgate, certificate);
            assert_eq!(
                (told["reason"].as_str(), commands(&told)),
                (Some("unmapped"), vec![]),
                "{told}"
            );
            let told = steps(&told);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].0.starts_with(row), "{told:?}");
            assert!(told[0].0.ends_with(&format!("look at {row} first")), "{told:?}");
        };
        looks(&bob, "mapping 2");
        // A block that was meant for it and names another serial.
        database.sql("delete from mapping where id = 2");
        database
            .sql("insert into block (issuer, serial) values ('CN=Example CA,O=Example', '4097')");
        looks(&bob, "block 2");
        // Another certificate of a key that was revoked.
        let key = KeyPair::generate().unwrap();
        let copy = KeyPair::from_pem(&key.serialize_pem()).unwrap();
        let carol = people.ca.issue("carol", Leaf::client("carol").key(key));
        let again = people.ca.issue("again", Leaf::client("again").key(copy));
        certgate.run(&["mapping", "add", "alice", "--cert", carol.alone.to_str().unwrap()]);
        let id = database.sql("select max(id) from mapping");
        certgate.run(&["mapping", "revoke", &id]);
        looks(&again, &format!("mapping {id}"));
    });
}

#[test]
fn a_hostile_name_stays_one_word_of_the_command() {
    on_both(|_, certgate, people| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it's $(touch owned) `x` \"y\"; z.pem");
        let hostile = "'; touch owned; $(touch owned) \\ \" \u{202e}";
        let mallory = people.ca.issue("mallory", Leaf::client(hostile));
        fs::copy(&mallory.alone, &file).unwrap();
        certgate.run(&["user", "add", "--", "-rf"]);
        let told = json(certgate, &["explain", "--cert", file.to_str().unwrap()]);
        let lines = commands(&told);
        assert_eq!(lines.len(), 1, "{told}");
        shell(certgate, &format!("{} -- -rf", lines[0].replace(" USERNAME", "")));
        assert_eq!(json(certgate, &["explain", "--cert", file.to_str().unwrap()])["user"], "-rf");
        let owned = [folder.path().join("owned"), "owned".into()];
        assert!(owned.iter().all(|path| !path.exists()));
        certgate.run(&["user", "disable", "--", "-rf"]);
        let lines = commands(&json(certgate, &["explain", "--cert", file.to_str().unwrap()]));
        lines.iter().for_each(|line| shell(certgate, line));
        assert_eq!(json(certgate, &["explain", "--cert", file.to_str().unwrap()])["user"], "-rf");
    });
}
