//! The inbox, known certificates, explanations and a CA's replacement through the API.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::database::Kind;
use crate::support::office::{Call, Office};

fn post(path: &str, body: &serde_json::Value) -> Call {
    Call::meant("POST", path).json(body)
}

#[test]
fn a_stranger_is_found_in_the_inbox_approved_and_explained() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let office = Office::open(kind);
        let alice = &office.alice;
        let stranger = office.ca.client("bobby");
        let question = format!(
            "GET /auth HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\nX-Request-ID: r-17\r\n\
             X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-Cert: {}\r\n\r\n",
            stranger.escaped()
        );
        let start = Instant::now();
        let sha256 = loop {
            // Once more each time: what is seen is sampled and written in batches.
            assert!(office.certgate.ask(&question).contains("unmapped"));
            let inbox = office.ask(&Call::get("/inbox").by(alice)).json();
            if let Some(one) = inbox["items"].as_array().and_then(|items| items.first()) {
                assert_eq!(one["subject"], "CN=bobby,O=Example", "{inbox}");
                break one["sha256"].as_str().unwrap().to_owned();
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{inbox}");
        };
        let then = office.ask_until(&Call::get("/explain/r-17").by(alice), 200).json();
        assert_eq!(
            (&then["reason"], &then["then"]["reason"]),
            (&json!("unmapped"), &json!("unmapped"))
        );
        let denied = office.ask(&Call::get("/denied?reason=unmapped&limit=1").by(alice)).json();
        assert_eq!(denied["items"][0]["request_id"], "r-17", "{denied}");
        // The only one that waits is no reason to take names of whoever issued it.
        let wave = json!({ "user_from": "common_name", "create": true });
        let answer = office.ask(&post("/inbox/all/approve", &wave).by(alice));
        assert_eq!((answer.status, answer.code()), (409, "not_approved".into()), "{answer:?}");
        let approval = json!({ "username": "bobby", "create": true });
        let path = format!("/inbox/{sha256}/approve");
        let rehearsed = office.ask(&post(&path, &approval).rehearsed().by(alice));
        assert_eq!(rehearsed.status, 201, "{rehearsed:?}");
        assert_eq!(rehearsed.header("x-certgate-dry-run"), Some("true"));
        assert_eq!(office.ask(&Call::get("/users/bobby").by(alice)).status, 404);
        let answer = office.ask(&post(&path, &approval).by(alice));
        assert_eq!(
            (answer.status, &answer.json()["is_new_user"]),
            (201, &json!(true)),
            "{answer:?}"
        );
        office.certgate.wait_for_reason(&stranger, "mapped");
        assert_eq!(office.ask(&post(&path, &approval).by(alice)).code(), "not_approved");
        let inbox = office.ask(&Call::get("/inbox").by(alice)).json();
        assert_eq!(inbox["items"], json!([]), "{kind:?}");
        let shown = office.ask(&Call::get(&format!("/certificates/{sha256}")).by(alice)).json();
        assert_eq!((&shown["code"], &shown["username"]), (&json!("mapped"), &json!("bobby")));
        let ask = json!({ "certificate": stranger.text, "require": ["group:ops"] });
        let explained = office.ask(&post("/explain", &ask).by(alice)).json();
        assert_eq!(explained["reason"], "group_required", "{explained}");
        let lost = json!({ "reason": "lost" });
        let blocked = office.ask(&post(&format!("/certificates/{sha256}/block"), &lost).by(alice));
        assert_eq!(
            (blocked.status, &blocked.json()["users"]),
            (201, &json!(["bobby"])),
            "{blocked:?}"
        );
        office.certgate.wait_for_reason(&stranger, "blocked");
    }
}

#[test]
fn the_inbox_comes_page_by_page() {
    let office = Office::open(Kind::Sqlite);
    let strangers = ["one", "two", "three"].map(|name| office.ca.client(name));
    let page =
        |query: &str| office.ask(&Call::get(&format!("/inbox{query}")).by(&office.alice)).json();
    let start = Instant::now();
    while page("")["items"].as_array().unwrap().len() < strangers.len() {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", page(""));
        for stranger in &strangers {
            office.certgate.wait_for_reason(stranger, "unmapped");
        }
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(&format!("?limit=1{cursor}"));
        assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
        found.push(page["items"][0]["sha256"].as_str().unwrap().to_owned());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(found.is_sorted(), "{found:?}");
    let mut expected = strangers.map(|one| crate::cli_desk::sha256(&one));
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_ca_is_replaced_and_everything_bound_to_it_is_carried_over() {
    let office = Office::open(Kind::Sqlite);
    let pinned = json!({
        "username": "bob", "pattern": { "issuer": "CN=Example CA,O=Example", "serial": "0A" }
    });
    assert_eq!(office.ask(&post("/mappings", &pinned).by(&office.alice)).status, 201);
    let wish = json!({
        "old": { "name": "CN=Example CA,O=Example" }, "new": { "name": "CN=Example CA 2,O=Example" }
    });
    let answer = office.ask(&post("/reissue", &wish).by(&office.alice));
    assert_eq!(answer.status, 200, "{answer:?}");
    // Carol's is by name and is carried over; a serial says nothing at another CA.
    let done = answer.json();
    assert_eq!(done["carried"][0]["username"], "carol", "{done}");
    let same = json!({ "old": { "name": "CN=x" }, "new": { "name": "CN=x" } });
    assert_eq!(office.ask(&post("/reissue", &same).by(&office.alice)).status, 422);
}
