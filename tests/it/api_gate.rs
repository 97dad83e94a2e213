//! Who may use the API, and how it must be asked: every route, enumerated from its own document.

use certgate::pki::Certificate;
use serde_json::{Value, json};

use crate::support::database::Kind;
use crate::support::office::{Call, ORIGIN, Office};

/// A body that each call takes, by the call's name in the document; a call that is missing here
/// fails the test.
fn body(name: &str, pem: &str) -> Option<Value> {
    let none = Value::Null;
    let body = match name {
        "add_user" => json!({ "username": "bobby" }),
        "edit_user" | "edit_mapping" | "edit_block" | "edit_rule" => json!({ "note": "changed" }),
        "rename_user" => json!({ "new_name": "bobby.two" }),
        "add_members" => json!({ "usernames": ["bob"] }),
        "remove_members" => json!({ "usernames": ["bob"] }),
        "add_mapping" => json!({ "username": "bob", "pattern": { "sha256": "ab".repeat(32) } }),
        "revoke_mapping" => json!({ "reason": "stolen" }),
        "add_block" => json!({ "pattern": { "sha256": "cd".repeat(32) } }),
        "add_rule" => {
            json!({ "priority": 20, "issuer": "CN=Example CA", "username": "{subject.CN}" })
        }
        "add_certificate" | "explain_certificate" => json!({ "certificate": pem }),
        "block_certificate" | "block_inbox" => json!({ "reason": "lost" }),
        "approve" => json!({ "username": "bob" }),
        "approve_all" => json!({
            "user_from": "common_name", "issuer": { "name": "CN=Example CA,O=Example" }
        }),
        "ignore" => json!({ "ignored": true }),
        "reissue" => json!({ "old": { "name": "CN=Old CA" }, "new": { "name": "CN=New CA" } }),
        "remove_user" | "undo_change" | "remove_mapping" | "remove_block" | "remove_rule"
        | "enable_user" | "disable_user" | "enable_mapping" | "disable_mapping"
        | "enable_block" | "disable_block" | "enable_rule" | "disable_rule" => none,
        other => panic!("say what {other} takes"),
    };
    Some(body).filter(|body| !body.is_null())
}

/// Every call of the document: method, path with values in it, name.
fn calls(document: &Value, sha256: &str, change: &str) -> Vec<(String, String, String)> {
    let mut calls = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            let path = path.strip_prefix("/api/v1").unwrap();
            let group = if name == "add_members" { "staff" } else { "ops" };
            let path = path
                .replace("{username}", "bob")
                .replace("{group}", group)
                .replace("{priority}", "10")
                // Bob's mapping, the change that made the one block, and that block.
                .replace(
                    "{id}",
                    match path.split('/').nth(1).unwrap() {
                        "mappings" => "2",
                        "audit" => change,
                        _ => "1",
                    },
                )
                .replace("{request_id}", REQUEST)
                .replace("{sha256}", sha256);
            calls.push((method.to_uppercase(), path, name));
        }
    }
    calls
}

/// A request that was denied.
const REQUEST: &str = "request-1";

/// An office with one row of each kind: its calls, and the PEM of a certificate that is nobody's.
fn furnished() -> (Office, Vec<(String, String, String)>, Value, String) {
    let office = Office::open(Kind::Sqlite);
    office.certgate.run(&["block", "add", "--sha256", &"ef".repeat(32)]);
    let stranger = office.ca.client("bob-2");
    let question = format!(
        "GET /auth HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\nX-Request-ID: {REQUEST}\r\n\
         X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-Cert: {}\r\n\r\n",
        stranger.escaped()
    );
    assert!(office.certgate.ask(&question).contains("unmapped"));
    let path = format!("/explain/{REQUEST}");
    office.ask_until(&Call::get(&path).by(&office.alice), 200);
    let add = json!({ "certificate": stranger.text });
    let answer = office.ask(&Call::meant("POST", "/certificates").json(&add).by(&office.alice));
    assert_eq!(answer.status, 201, "{answer:?}");
    let sha256 = answer.json()["sha256"].as_str().unwrap().to_owned();
    let document = office.ask(&Call::get("/openapi.json").by(&office.alice)).json();
    let changes = office.ask(&Call::get("/audit?relation=block").by(&office.alice)).json();
    let calls = calls(&document, &sha256, &changes["items"][0]["id"].to_string());
    (office, calls, document, stranger.text)
}

/// The operation of that name.
fn operation<'d>(document: &'d Value, name: &str) -> &'d Value {
    let paths = document["paths"].as_object().unwrap().values();
    let mut operations = paths.flat_map(|item| item.as_object().unwrap().values());
    operations.find(|operation| operation["operationId"] == name).unwrap()
}

fn complete(method: &str, path: &str, name: &str, pem: &str) -> Call {
    let call = Call::meant(method, path);
    match body(name, pem) {
        Some(body) => call.json(&body),
        None => call,
    }
}

#[test]
fn no_call_that_was_not_meant_and_nobody_but_an_administrator_changes_anything() {
    let (office, calls, document, pem) = furnished();
    let (pem, before) = (&pem, office.state());
    let mutating = calls.iter().filter(|(method, ..)| method != "GET");
    let mut tried = 0;
    for (method, path, name) in mutating {
        tried += 1;
        let bare = Call::bare(method, path).json(&body(name, pem).unwrap_or(json!({})));
        let good = || complete(method, path, name, pem);
        let form = "application/x-www-form-urlencoded";
        let alice = &office.alice;
        for (call, status, code, why) in [
            (bare.by(alice), 403, "request_header_required", "without the header"),
            (
                good().by(alice).header("Origin", "https://evil.example"),
                403,
                "foreign_origin",
                "another site",
            ),
            (good().by(alice).header("Origin", "null"), 403, "foreign_origin", "a sandbox"),
            (
                good().by(alice).header("Sec-Fetch-Site", "cross-site"),
                403,
                "cross_site",
                "cross-site",
            ),
            (
                good().by(alice).header("Sec-Fetch-Site", "same-site"),
                403,
                "cross_site",
                "same-site",
            ),
            (
                Call::meant(method, path).by(alice).header("Content-Type", form).body(b"a=b"),
                415,
                "not_json",
                "a form",
            ),
            (
                Call::meant(method, path)
                    .by(alice)
                    .header("Content-Type", "text/plain")
                    .body(b"{}"),
                415,
                "not_json",
                "text",
            ),
            (good().by(&office.bob), 403, "group_required", "no administrator"),
            (good().by(&office.carol), 403, "not_strong", "by a weak mapping"),
            (good().by(&office.mallory), 403, "group_required", "by a rule"),
            (good(), 401, "no_certificate", "without a certificate"),
            (
                good().header("X-Remote-User", "alice").header("X-Remote-Groups", "certgate-admin"),
                401,
                "no_certificate",
                "by header",
            ),
            (
                good().by(alice).header("X-SSL-Client-Verify", "SUCCESS"),
                401,
                "malformed_header",
                "verified twice",
            ),
        ] {
            let answer = office.ask(&call);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (status, code),
                "{method} {path}, {why}: {answer:?}"
            );
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        }
        assert_eq!(office.state(), before, "{method} {path}");
    }
    assert!(tried > 20, "{tried}");
    // The calls are good: only what was wrong with each has kept it out.
    for (method, path, name) in &calls {
        let call = if method == "GET" {
            Call::get(path)
        } else {
            let is_rehearsable = operation(&document, name).to_string().contains("\"dry_run\"");
            assert_eq!(is_rehearsable, name != "explain_certificate", "{name}");
            let call = complete(method, path, name, pem);
            let call = if name == "remove_user" { call.asking("with_mappings=true") } else { call };
            if is_rehearsable { call.rehearsed() } else { call }
                .header("Origin", ORIGIN)
                .header("Sec-Fetch-Site", "same-origin")
        };
        let answer = office.ask(&call.by(&office.alice));
        assert!(matches!(answer.status, 200 | 201), "{method} {path}: {answer:?}");
    }
    assert_eq!(office.state(), before, "a dry run leaves nothing");
}

#[test]
fn questions_are_for_administrators_too_and_change_nothing() {
    let (office, calls, ..) = furnished();
    let before = office.state();
    for (_, path, _) in calls.iter().filter(|(method, ..)| method == "GET") {
        for (call, status) in [
            (Call::get(path), 401),
            (Call::get(path).by(&office.bob), 403),
            (Call::get(path).by(&office.carol), 403),
            (Call::get(path).by(&office.mallory), 403),
            (Call::get(path).by(&office.alice), 200),
        ] {
            let answer = office.ask(&call);
            assert_eq!(answer.status, status, "{path}: {answer:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        }
        // A question is no way to change something, whatever comes with it.
        let answer = office.ask(&Call::get(&format!("{path}?dry_run=false")).by(&office.alice));
        assert_eq!(answer.status, 400, "{path}");
        let preflight = office.ask(&Call::bare("OPTIONS", path).by(&office.alice));
        assert_eq!(preflight.status, 405, "{path}");
        assert!(preflight.header("allow").is_some_and(|allow| allow.contains("GET")), "{path}");
    }
    assert_eq!(office.state(), before);
}

#[test]
fn a_caller_who_is_not_let_in_can_be_found_by_the_log() {
    let office = Office::open_with(Kind::Sqlite, "log.format = \"json\"\n");
    let answer = office.ask(&Call::get("/users").by(&office.bob));
    assert_eq!((answer.status, answer.code().as_str()), (403, "group_required"));
    let log = std::fs::read_to_string(office.certgate.config().with_file_name("certgate.log"));
    let log = log.unwrap();
    let line = log.lines().find(|line| line.contains("a caller of the API was not let in"));
    let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(line["problem.code"], "group_required");
    assert_eq!(line["certificate.subject"], "CN=bob,O=Example");
    let bob = Certificate::from_file_bytes(office.bob.text.as_bytes()).unwrap();
    assert_eq!(line["certificate.sha256"], bob.sha256.to_string());
}
