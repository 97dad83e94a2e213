//! What administrators do through the API, on both databases.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use certgate::pki::{Certificate, UnixTime};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::seen_serve::wait_until;
use crate::support::database::Kind;
use crate::support::office::{Call, Office};
use crate::support::pki::Issued;

const KINDS: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];

fn post(path: &str, body: &Value) -> Call {
    Call::meant("POST", path).json(body)
}

fn patch(path: &str, body: &Value) -> Call {
    Call::meant("PATCH", path).json(body)
}

#[test]
fn people_and_their_certificates_are_managed_and_nginx_hears_of_it() {
    for kind in KINDS {
        let office = Office::open(kind);
        let alice = &office.alice;
        let fresh = office.ca.client("bob-2");
        let add =
            json!({ "username": "bobby", "display_name": "Zo\u{eb}", "groups": ["staff", "ops"] });
        let answer = office.ask(&post("/users", &add).by(alice));
        assert_eq!(answer.status, 201, "{kind:?} {answer:?}");
        assert_eq!(answer.json()["groups"], json!(["ops", "staff"]));
        assert_eq!(answer.json()["created_by"], "alice");
        let mapping = json!({ "username": "bobby", "pattern": { "certificate": fresh.text } });
        let answer = office.ask(&post("/mappings", &mapping).by(alice));
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.json()["kind"], "sha256");
        let id = answer.json()["id"].as_i64().unwrap();
        office.certgate.wait_for_reason(&fresh, "mapped");
        let gone = json!({ "valid_until": "2020-01-01T00:00:00Z" });
        let answer = office.ask(&patch(&format!("/mappings/{id}"), &gone).by(alice));
        assert_eq!(answer.json()["valid_until"], "2020-01-01T00:00:00Z", "{answer:?}");
        office.certgate.wait_for_reason(&fresh, "mapping_disabled");
        let back = json!({ "valid_until": null });
        assert_eq!(office.ask(&patch(&format!("/mappings/{id}"), &back).by(alice)).status, 200);
        office.certgate.wait_for_reason(&fresh, "mapped");
        let blocked = json!({ "pattern": { "certificate": fresh.text }, "reason": "lost" });
        let answer = office.ask(&post("/blocks", &blocked).by(alice));
        assert_eq!((answer.status, &answer.json()["reason"]), (201, &json!("lost")));
        let block = answer.json()["id"].as_i64().unwrap();
        office.certgate.wait_for_reason(&fresh, "blocked");
        let answer = office.ask(&Call::meant("DELETE", &format!("/blocks/{block}")).by(alice));
        assert_eq!(answer.status, 200);
        office.certgate.wait_for_reason(&fresh, "mapped");
        let told = Call::get("/audit?actor=alice&relation=block&action=delete").by(alice);
        let told = office.ask(&told).json();
        assert_eq!(told["items"][0]["source"], "api", "{told}");
        assert_eq!(told["items"][0]["before"]["reason"], "lost", "{told}");
        let undo = Call::meant("POST", &format!("/audit/{}/undo", told["items"][0]["id"]));
        assert_eq!(office.ask(&undo.by(alice)).json()["undone"][0]["what"], "put back");
        office.certgate.wait_for_reason(&fresh, "blocked");
        let answer = office.ask(&Call::meant("DELETE", &format!("/blocks/{block}")).by(alice));
        assert_eq!(answer.status, 200);
        office.certgate.wait_for_reason(&fresh, "mapped");
        let renamed = json!({ "new_name": "bobby.lopez" });
        let answer = office.ask(&post("/users/bobby/rename", &renamed).by(alice));
        assert_eq!(answer.json()["username"], "bobby.lopez", "{answer:?}");
        let revoked = json!({ "reason": "stolen" });
        let answer = office.ask(&post(&format!("/mappings/{id}/revoke"), &revoked).by(alice));
        assert_eq!(answer.json()["revoked_reason"], "stolen", "{answer:?}");
        office.certgate.wait_for_reason(&fresh, "mapping_revoked");
        let answer = office.ask(&Call::meant("DELETE", "/users/bobby.lopez").by(alice));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["blocks"].as_array().map(Vec::len), Some(1), "{answer:?}");
        // What a mapping of theirs had revoked stays out.
        office.certgate.wait_for_reason(&fresh, "blocked");
    }
}

#[test]
fn lists_come_page_by_page_and_filtered() {
    for kind in KINDS {
        let office = Office::open(kind);
        for number in 0..25 {
            let name = format!("machine-{number:02}");
            office.certgate.run(&[
                "user",
                "add",
                &name,
                "--group",
                "machines",
                "--name",
                "100%_Pump",
            ]);
        }
        let all = |path: &str| {
            let mut found = Vec::new();
            let mut cursor = String::new();
            loop {
                let answer = office.ask(&Call::get(&format!("{path}{cursor}")).by(&office.alice));
                assert_eq!(answer.status, 200, "{answer:?}");
                let page = answer.json();
                let items = page["items"].as_array().unwrap().clone();
                assert!(items.len() <= 7, "{items:?}");
                found.extend(items);
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => return found,
                }
            }
        };
        let names = |users: Vec<Value>| -> Vec<String> {
            users.iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect()
        };
        let users = names(all("/users?limit=7"));
        assert_eq!(users.len(), 29, "{kind:?} {users:?}");
        assert!(users.is_sorted());
        assert_eq!(all("/users?limit=7&group=machines").len(), 25);
        assert_eq!(names(all("/users?limit=7&search=ALI")), ["alice"]);
        assert_eq!(all("/users?limit=7&search=%25_pu").len(), 25, "the text itself");
        assert_eq!(all("/users?limit=7&search=100%25x").len(), 0);
        assert_eq!(all("/users?limit=7&enabled=false").len(), 0);
        assert_eq!(all("/groups/machines?limit=7").len(), 25);
        let groups = all("/groups?limit=1");
        let machines = json!({ "group_name": "machines", "members": 25 });
        assert!(groups.contains(&machines), "{groups:?}");
        assert_eq!(all("/mappings?limit=2").len(), 3);
        assert_eq!(all("/mappings?limit=2&user=bob").len(), 1);
        let first = office.ask(&Call::get("/users?limit=2").by(&office.alice)).json();
        assert_eq!(first["items"][0]["groups"], json!(["certgate-admin", "ops"]));
    }
}

#[test]
fn whatever_is_wrong_with_a_call_has_its_status_and_changes_nothing() {
    for kind in KINDS {
        let office = Office::open(kind);
        let before = office.state();
        let long = "x".repeat(1024 * 1024);
        let user = |name: &str| json!({ "username": name });
        for (call, status, code) in [
            (
                Call::meant("POST", "/users")
                    .header("Content-Type", "application/json")
                    .body(b"{\"username\":\"x\",\"username\":\"y\"}"),
                400,
                "malformed",
            ),
            (
                Call::meant("POST", "/users").header("Content-Type", "application/json").body(b"{"),
                400,
                "malformed",
            ),
            (post("/users", &json!({ "username": "x", "admin": true })), 400, "malformed"),
            (post("/users", &json!({ "name": "x" })), 400, "malformed"),
            (post("/users", &json!([])), 400, "malformed"),
            (post("/users", &user("")), 422, "bad_value"),
            (post("/users", &user("a,b")), 422, "bad_value"),
            (post("/users", &user("a\u{0}b")), 422, "bad_value"),
            (post("/users", &user("a\r\nX-Remote-User: root")), 422, "bad_value"),
            (post("/users", &user("ALICE")), 409, "user_exists"),
            (
                post("/users", &json!({ "username": "x", "display_name": long })),
                413,
                "body_too_large",
            ),
            (
                post("/users", &json!({ "username": "x", "valid_from": "tomorrow" })),
                422,
                "bad_value",
            ),
            (post("/users", &json!({ "username": "x", "groups": ["a,b"] })), 422, "bad_value"),
            (patch("/users/nobody", &json!({ "note": "x" })), 404, "not_found"),
            (Call::meant("POST", "/users/ALICE/disable"), 404, "not_found"),
            (post("/groups/ops/add", &json!({ "usernames": ["bob"] })), 409, "already_member"),
            (
                post("/groups/staff/add", &json!({ "usernames": ["bob", "nobody"] })),
                404,
                "not_found",
            ),
            (post("/groups/staff/remove", &json!({ "usernames": ["bob"] })), 404, "not_found"),
            (post("/mappings", &json!({ "username": "bob", "pattern": {} })), 422, "bad_value"),
            (
                post(
                    "/mappings",
                    &json!({ "username": "bob", "pattern": { "issuer": "CN=Example CA" } }),
                ),
                422,
                "bad_value",
            ),
            (
                post(
                    "/mappings",
                    &json!({ "username": "bob", "pattern": { "common_name": "bob" } }),
                ),
                422,
                "weak_kind",
            ),
            (
                post(
                    "/mappings",
                    &json!({ "username": "bob", "pattern": { "certificate": "bob" } }),
                ),
                422,
                "bad_certificate",
            ),
            (
                post(
                    "/mappings",
                    &json!({ "username": "nobody", "pattern": { "serial": "01", "issuer": "CN=x" } }),
                ),
                404,
                "not_found",
            ),
            (post("/mappings/3/revoke", &json!({})), 409, "not_one_certificate"),
            (
                post(
                    "/rules",
                    &json!({ "priority": 4294967296_i64, "issuer": "CN=x", "username": "{subject.CN}" }),
                ),
                422,
                "bad_value",
            ),
            (
                post(
                    "/rules",
                    &json!({ "priority": 10, "issuer": "CN=x", "username": "{subject.CN}" }),
                ),
                422,
                "bad_value",
            ),
            (
                post(
                    "/rules",
                    &json!({ "priority": 1, "issuer": "CN=x", "username": "{subject.CN}", "users": "any", "group_names": "certgate-admin" }),
                ),
                422,
                "bad_value",
            ),
            (
                post(
                    "/rules",
                    &json!({ "priority": 1, "issuer": "CN=x", "username": "{subject.CN}", "conditions": { "none": [] } }),
                ),
                422,
                "bad_value",
            ),
            (Call::meant("DELETE", "/users/bob"), 409, "mappings_live"),
            (post("/certificates", &json!({ "certificate": "" })), 422, "bad_certificate"),
            (Call::get("/certificates/abc"), 400, "malformed"),
            (Call::get(&format!("/certificates/{}", "ab".repeat(32))), 404, "not_found"),
            (Call::get("/explain/never-came"), 404, "not_found"),
            (Call::get("/denied?reason=nothing"), 400, "malformed"),
            (Call::meant("DELETE", "/mappings/999"), 404, "not_found"),
            (Call::meant("DELETE", "/mappings/x"), 400, "malformed"),
            (Call::meant("DELETE", "/users/bob").json(&json!({})), 400, "malformed"),
            (Call::meant("DELETE", "/users/bob?force=true"), 400, "malformed"),
            (Call::meant("PUT", "/users/bob"), 405, "other_methods"),
            (Call::meant("POST", "/nothing"), 404, "no_such_path"),
            (Call::get("/users?limit=0"), 400, "malformed"),
            (Call::get("/mappings?cursor=x"), 400, "malformed"),
            (Call::get("/users/nobody"), 404, "not_found"),
        ] {
            let answer = office.ask(&call.clone().by(&office.alice));
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", brief(&call));
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(answer.json()["status"], status);
        }
        assert_eq!(office.state(), before, "{kind:?}");
    }
}

/// Enough of a call to know it by.
fn brief(call: &Call) -> String {
    format!("{call:?}").chars().take(200).collect()
}

#[test]
fn the_last_administrator_stays_whatever_is_tried_and_may_go_when_there_is_another() {
    for kind in KINDS {
        let office = Office::open(kind);
        let alice = &office.alice;
        // A block that does not count would, if it were switched on.
        let file = alice.alone.to_str().unwrap();
        office.certgate.run(&["block", "add", "--cert", file, "--valid-until", "2020-01-01"]);
        let past = json!({ "valid_until": "2020-01-01T00:00:00Z" });
        let changes = office.ask(&Call::get("/audit?relation=user_group&user=alice").by(alice));
        let changes = changes.json()["items"].as_array().unwrap().clone();
        let is_of_admins =
            |change: &&Value| change["after"]["group_name"].as_str() == Some("certgate-admin");
        let joined = changes.iter().find(is_of_admins).unwrap()["id"].clone();
        let whole_ca =
            post("/blocks", &json!({ "pattern": { "issuer": "CN=Example CA,O=Example" } }));
        let tries = [
            Call::meant("POST", "/users/alice/disable"),
            Call::meant("DELETE", "/users/alice?with_mappings=true"),
            patch("/users/alice", &past),
            post("/groups/certgate-admin/remove", &json!({ "usernames": ["alice"] })),
            Call::meant("POST", "/mappings/1/disable"),
            Call::meant("DELETE", "/mappings/1"),
            patch("/mappings/1", &past),
            post("/mappings/1/revoke", &json!({})),
            post("/blocks", &json!({ "pattern": { "certificate": alice.text } })),
            whole_ca.clone(),
            post("/blocks", &json!({ "pattern": { "subject": "cn=ALICE,o=example" } })),
            patch("/blocks/1", &json!({ "valid_until": null })),
            Call::meant("POST", &format!("/audit/{joined}/undo")),
            // Ambiguous: her certificate would be two people's.
            post(
                "/mappings",
                &json!({ "username": "bob", "pattern": { "certificate": alice.text } }),
            ),
        ];
        let before = office.state();
        for call in &tries {
            let answer = office.ask(&call.clone().by(alice));
            let told = (answer.status, answer.code());
            assert_eq!(told, (409, "last_administrator".to_owned()), "{kind:?} {call:?}");
            assert_eq!(office.state(), before, "{call:?}");
        }
        // Another one of the group counts only if really able to come in.
        let second = office.ca.client("carol-2");
        let map = json!({ "username": "carol", "pattern": { "certificate": second.text } });
        assert_eq!(office.ask(&post("/mappings", &map).by(alice)).status, 201);
        for call in &tries {
            let answer = office.ask(&call.clone().rehearsed().by(alice));
            if format!("{call:?}") == format!("{whole_ca:?}") {
                assert_eq!(answer.code(), "last_administrator", "hers is of that CA too");
                continue;
            }
            assert!(matches!(answer.status, 200 | 201), "{kind:?} {answer:?}");
        }
        let answer =
            office.ask(&Call::meant("DELETE", "/users/alice?with_mappings=true").by(alice));
        assert_eq!(answer.status, 200, "{answer:?}");
        office.ask_until(&Call::get("/whoami").by(alice), 401);
        assert_eq!(office.ask(&Call::get("/whoami").by(&second)).json()["username"], "carol");
        let answer =
            office.ask(&Call::meant("DELETE", "/users/carol?with_mappings=true").by(&second));
        assert_eq!(answer.code(), "last_administrator");
    }
}

#[test]
fn two_administrators_who_remove_each_other_at_once_leave_one() {
    for kind in KINDS {
        let office = Office::open(kind);
        let second = office.ca.client("carol-2");
        let map = json!({ "username": "carol", "pattern": { "certificate": second.text } });
        assert_eq!(office.ask(&post("/mappings", &map).by(&office.alice)).status, 201);
        office.certgate.wait_for_reason(&second, "mapped");
        for round in 0..5 {
            let each = |who: &Issued, other: &str| {
                office.ask(&Call::meant("POST", &format!("/users/{other}/disable")).by(who)).status
            };
            let (one, two) = std::thread::scope(|scope| {
                let one = scope.spawn(|| each(&office.alice, "carol"));
                let two = scope.spawn(|| each(&second, "alice"));
                (one.join().unwrap(), two.join().unwrap())
            });
            // The other is refused as the last one, or as one who is out already.
            let done = [one, two].into_iter().filter(|status| *status == 200).count();
            assert_eq!(done, 1, "{kind:?} {round}: {one} {two}");
            for user in ["alice", "carol"] {
                office.certgate.run(&["user", "enable", user]);
            }
            for who in [&office.alice, &second] {
                office.ask_until(&Call::get("/whoami").by(who), 200);
            }
        }
    }
}

#[test]
fn who_is_taken_out_while_the_body_is_on_its_way_writes_nothing() {
    let office = Office::open(Kind::Sqlite);
    let second = office.ca.client("carol-2");
    let file = second.alone.to_str().unwrap();
    office.certgate.run(&["mapping", "add", "carol", "--cert", file]);
    let call = post("/users", &json!({ "username": "mallory.two" })).by(&office.alice).bytes();
    let mut stream = UnixStream::connect(office.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (head, last) = call.split_at(call.len() - 1);
    stream.write_all(head).unwrap();
    office.ask_until(&Call::get("/whoami").by(&office.alice), 200);
    office.certgate.run(&["group", "remove", "certgate-admin", "alice"]);
    office.ask_until(&Call::get("/whoami").by(&office.alice), 403);
    stream.write_all(last).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert_eq!(office.ask(&Call::get("/users/mallory.two").by(&second)).status, 404);
}

#[test]
fn who_is_taken_out_in_the_database_writes_nothing_though_the_gate_does_not_know_yet() {
    let office = Office::open(Kind::Sqlite);
    let second = office.ca.client("carol-2");
    let file = second.alone.to_str().unwrap();
    office.certgate.run(&["mapping", "add", "carol", "--cert", file]);
    let start = Instant::now();
    for round in 0.. {
        // The call waits at the database for somebody who takes its caller out.
        let mut shell = office.database.open_shell();
        shell.send("begin immediate; delete from user_group where username = 'alice';");
        shell.send(".print taken");
        let name = format!("mallory-{round}");
        let call = post("/users", &json!({ "username": name })).by(&office.alice).bytes();
        let mut stream = UnixStream::connect(office.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&call).unwrap();
        // Answered by the same worker, after it has read the other call.
        office.ask(&Call::get("/whoami").by(&office.alice));
        shell.send("commit;");
        drop(shell);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 201"),
            "{answer}"
        );
        if answer.contains("no_longer_administrator") {
            return;
        }
        // The shell was not first, or the gate knew already: once more.
        assert!(start.elapsed() < Duration::from_secs(20), "{answer}");
        office.certgate.try_run(&["group", "add", "certgate-admin", "alice"]);
        office.ask_until(&Call::get("/whoami").by(&office.alice), 200);
    }
}

#[test]
fn a_database_that_is_away_or_busy_is_told_of_within_two_seconds() {
    let slow = Duration::from_secs(2);
    let add = post("/users", &json!({ "username": "bobby" }));
    let office = Office::open(Kind::Postgres);
    office.database.cut_off();
    for call in [&add, &Call::get("/users")] {
        let start = Instant::now();
        let answer = office.ask(&call.clone().by(&office.alice));
        assert_eq!((answer.status, answer.code().as_str()), (503, "database_away"), "{answer:?}");
        assert!(start.elapsed() < slow, "{:?}", start.elapsed());
    }
    office.database.let_in();
    office.ask_until(&add.clone().by(&office.alice), 201);

    let office = Office::open(Kind::Sqlite);
    let mut shell = office.database.open_shell();
    shell.send("begin immediate; update app_user set note = 'x' where username = 'bob';");
    // Until the shell has the lock a dry run gets through.
    let busy = office.ask_until(&add.clone().rehearsed().by(&office.alice), 503);
    assert_eq!(busy.code(), "database_away");
    let start = Instant::now();
    assert_eq!(office.ask(&add.clone().by(&office.alice)).status, 503);
    assert!(start.elapsed() < slow, "{:?}", start.elapsed());
    assert_eq!(office.ask(&Call::get("/users").by(&office.alice)).status, 200, "reading goes on");
    shell.send("rollback;");
    drop(shell);
    office.ask_until(&add.by(&office.alice), 201);
}

/// Somebody of the group is somebody who is left only if they come in, by what everybody's rows say
/// and at every instant of the next day.
#[test]
fn who_could_not_come_in_is_nobody_who_is_left() {
    for kind in KINDS {
        let office = Office::open(kind);
        let second = office.ca.client("carol-2");
        let file = second.alone.to_str().unwrap();
        let disable = ["user", "disable", "alice"];
        let stays = |why: &str| {
            let (code, said) = office.certgate.say(&disable);
            assert!(code == Some(2) && said.contains("--anyway"), "{kind:?} {why}: {said}");
        };
        office.certgate.run(&["mapping", "add", "carol", "--sha256", &"ab".repeat(32)]);
        stays("nobody has ever shown that certificate");
        office.certgate.run(&["mapping", "add", "carol", "--cert", file]);
        let sha256 = Certificate::from_pem(second.text.as_bytes()).unwrap().sha256.to_string();
        let pairs: Vec<_> = sha256.as_bytes().chunks(2).map(String::from_utf8_lossy).collect();
        office.database.sql(&format!(
            "insert into mapping (username, sha256, revoked_at)
             values ('bob', '{}', '2026-01-01T00:00:00Z');",
            pairs.join(":").to_uppercase()
        ));
        stays("bob's row revokes it");
        office
            .database
            .sql("delete from mapping where username = 'bob' and revoked_at is not null;");
        let now = OffsetDateTime::now_utc();
        let in_hours =
            |hours: i64| UnixTime::from_seconds(now.unix_timestamp() + hours * 3600).to_string();
        office.certgate.run(&["user", "edit", "carol", "--valid-from", &in_hours(12)]);
        stays("carol comes later");
        let (code, said) =
            office.certgate.say(&["user", "edit", "alice", "--valid-until", &in_hours(6)]);
        assert!(code == Some(2) && said.contains("--anyway"), "{kind:?}, six hours: {said}");
        office.certgate.run(&["user", "edit", "alice", "--valid-until", &in_hours(18)]);
        office.certgate.run(&["user", "edit", "carol", "--clear", "valid-from"]);
        office.certgate.run(&disable);
    }
}

/// What is held for somebody who is not let in is held for anybody.
#[test]
fn no_body_is_waited_for_from_somebody_who_is_not_let_in() {
    let office = Office::open(Kind::Sqlite);
    for (call, status) in [
        (post("/users", &json!({ "username": "x" })), 401),
        (post("/users", &json!({ "username": "x" })).by(&office.bob), 403),
    ] {
        let call = call.bytes();
        let (head, _) = call.split_at(call.len() - 1);
        let mut stream = UnixStream::connect(office.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(head).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(String::from_utf8_lossy(&start), format!("HTTP/1.1 {status}"));
    }
}

#[test]
fn what_raw_sql_did_in_one_transaction_is_not_guessed() {
    let office = Office::open(Kind::Sqlite);
    office.database.sql("insert into block (serial) values ('77'), ('78');");
    let changes = office.ask(&Call::get("/audit?relation=block").by(&office.alice)).json();
    let path = format!("/audit/{}/undo", changes["items"][0]["id"]);
    let whole = Call::meant("POST", &format!("{path}?transaction=true")).by(&office.alice);
    let answer = office.ask(&whole);
    assert_eq!((answer.status, answer.code()), (409, "not_undone".to_owned()), "{answer:?}");
    let answer = office.ask(&Call::meant("POST", &path).by(&office.alice));
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn the_command_line_keeps_the_last_administrator_too_unless_it_is_told_otherwise() {
    let office = Office::open(Kind::Sqlite);
    let file = office.alice.alone.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let blocks = folder.path().join("blocks.json");
    let pattern = json!({ "issuer": "CN=Example CA,O=Example", "reason": "stolen" });
    std::fs::write(&blocks, json!({ "blocks": [pattern] }).to_string()).unwrap();
    let blocks = blocks.to_str().unwrap();
    let before = office.state();
    for command in [
        &["user", "disable", "alice"][..],
        &["user", "edit", "alice", "--valid-until", "2020-01-01"],
        &["group", "remove", "certgate-admin", "alice"],
        &["mapping", "disable", "1"],
        &["mapping", "edit", "1", "--valid-until", "2020-01-01"],
        &["mapping", "remove", "1"],
        &["mapping", "revoke", "1"],
        &["user", "remove", "alice", "--with-mappings"],
        &["block", "add", "--cert", file],
        // Ambiguous: her certificate would be two people's.
        &["mapping", "add", "bob", "--cert", file],
        &["import", blocks, "--format", "json"],
    ] {
        let (code, said) = office.certgate.say(command);
        assert_eq!(code, Some(2), "{command:?}: {said}");
        assert!(said.contains("--anyway"), "{command:?}: {said}");
        assert_eq!(office.state(), before, "{command:?}");
    }
    office.certgate.run(&["user", "disable", "alice", "--anyway"]);
    office.ask_until(&Call::get("/whoami").by(&office.alice), 401);
    // Nobody is left, so that nothing more can be lost.
    office.certgate.run(&["user", "enable", "alice"]);
}

/// Every change reads it twice, and the tables can hold a million rows.
#[test]
fn who_administers_is_looked_for_by_index() {
    let bare_serial = ["x", "X", ":", "-", "{", "}"]
        .iter()
        .fold("serial".to_owned(), |inner, out| format!("replace({inner}, '{out}', '')"));
    let bare_serial = format!("lower(ltrim({bare_serial}, '0'))");
    let questions = [
        ("mapping", "sha256 is not null and lower(replace(sha256, ':', '')) = 'x'", "sha256"),
        (
            "mapping",
            "spki_sha256 is not null and lower(replace(spki_sha256, ':', '')) = 'x'",
            "spki_sha256",
        ),
        ("mapping", &format!("serial is not null and {bare_serial} = 'x'"), "serial"),
    ];
    let sqlite = Office::open(Kind::Sqlite);
    for (table, condition, column) in questions {
        let plan = sqlite
            .database
            .sql(&format!("explain query plan select * from {table} where {condition}"));
        assert!(plan.contains(&format!("mapping_{column}_digits")), "{plan}");
    }
    // PostgreSQL counts what was really read, and would read whole tables rather than indexes as
    // small as these.
    let office = Office::open(Kind::Postgres);
    let database = &office.database;
    database.sql(&format!("alter database {} set enable_seqscan = off", database.name()));
    let digest = "ab".repeat(32);
    for pattern in [["--sha256", &digest], ["--spki-sha256", &digest]] {
        office.certgate.run(&[&["mapping", "add", "alice"], &pattern[..]].concat());
    }
    const OTHERS: u32 = 2_000;
    database.sql(&format!(
        "insert into app_user (username) select 'user' || n from generate_series(1, {OTHERS}) n;
         insert into user_group (username, group_name)
         select 'user' || n, 'staff' from generate_series(1, {OTHERS}) n;
         insert into mapping (username, sha256) select 'user' || n,
         encode(sha256(n::text::bytea), 'hex') from generate_series(1, {OTHERS}) n;
         insert into mapping (username, spki_sha256) select 'user' || n,
         encode(sha256(n::text::bytea), 'hex') from generate_series(1, {OTHERS}) n;
         insert into mapping (username, issuer, serial) select 'user' || n, 'CN=Other', n::text
         from generate_series(1, {OTHERS}) n;
         analyze"
    ));
    let read = "select string_agg(indexrelname, ' ' order by indexrelname), sum(idx_tup_read)
         from pg_stat_user_indexes where idx_scan > 0
         and (indexrelname like 'mapping%digits' or indexrelname = 'user_group_group_name')";
    let all = "mapping_serial_digits mapping_sha256_digits mapping_spki_sha256_digits \
               user_group_group_name";
    wait_until("every index was used", || {
        office.certgate.run(&["user", "edit", "alice", "--note", "asked again"]);
        database.sql(read).starts_with(all)
    });
    let before = database.sql(
        "select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes \
         where indexrelname like 'mapping%digits' or indexrelname = 'user_group_group_name'",
    );
    for _ in 0..10 {
        office.certgate.run(&["user", "edit", "alice", "--note", "asked again"]);
    }
    let after = || -> u64 {
        database
            .sql(
                "select sum(idx_tup_read) from pg_stat_user_indexes \
             where indexrelname like 'mapping%digits' or indexrelname = 'user_group_group_name'",
            )
            .parse()
            .unwrap()
    };
    wait_until("the server has counted", || after() > before.parse().unwrap());
    let rows = after() - before.parse::<u64>().unwrap();
    assert!(rows < 10 * u64::from(OTHERS), "{rows} rows of indexes for ten changes");
}
