//! SQLite's file is moved, missing, put back: the service answers from memory and touches nothing.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::certgate::Certgate;
use crate::support::pki::Issuer;

/// A file is looked at every 25 ms; this is for a machine that is very busy.
const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn a_database_that_is_moved_away_is_not_made_anew_and_counts_again_when_it_is_back() {
    let certgate = Certgate::start();
    let folder = tempfile::tempdir().unwrap();
    let alice = Issuer::root(folder.path(), "Example CA").client("alice");
    certgate.run(&["user", "add", "alice"]);
    certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    certgate.wait_for_reason(&alice, "mapped");

    let file = certgate.config().with_file_name("certgate.db");
    let away = file.with_extension("away");
    fs::rename(&file, &away).unwrap();
    wait_until(&certgate, |database| {
        database["following"] == false
            && database["error"].as_str().is_some_and(|error| error.contains("no database there"))
    });
    assert!(!file.exists(), "an empty database stands in the way of the real one");
    certgate.wait_for_reason(&alice, "mapped");

    fs::rename(&away, &file).unwrap();
    wait_until(&certgate, |database| database["following"] == true);
    certgate.run(&["user", "disable", "alice"]);
    certgate.wait_for_reason(&alice, "user_disabled");
}

/// Waits until `/readyz` says this of the database; the service stays ready all the while.
fn wait_until(certgate: &Certgate, says: impl Fn(&Value) -> bool) {
    let start = Instant::now();
    loop {
        let answer: Value = serde_json::from_str(&certgate.run(&["healthcheck"])).unwrap();
        if says(&answer["details"]["database"]) {
            return;
        }
        assert!(start.elapsed() < DEADLINE, "{answer}");
    }
}
