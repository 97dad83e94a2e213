//! The database is away: answers go on from memory, but not for longer than was allowed.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::certgate::Certgate;
use crate::support::cluster::Cluster;
use crate::support::pki::Issuer;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(10);

#[test]
fn with_a_limit_of_5_s_answers_end_when_it_is_reached_and_come_back_with_the_database() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let alice = Issuer::root(folder.path(), "Example CA").client("alice");
    let certgate = Certgate::start_at(&cluster.url(), "directory.max_staleness = \"5s\"\n");
    certgate.run(&["user", "add", "alice"]);
    certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    certgate.wait_for_reason(&alice, "mapped");
    assert!(certgate.metric("certgate_directory_age_seconds") < 5.0);

    cluster.kill();
    let killed = Instant::now();
    let stale_after = loop {
        match certgate.reason(&alice).as_str() {
            "mapped" => assert!(killed.elapsed() < Duration::from_secs(8), "still answering"),
            "directory_stale" => break killed.elapsed(),
            other => panic!("{other}"),
        }
        thread::sleep(PAUSE);
    };
    println!("directory_stale {stale_after:?} after the kill");
    // The age runs from the last look; the time of one look is allowed on top.
    assert!(stale_after >= Duration::from_secs(5), "{stale_after:?}");
    assert!(stale_after < Duration::from_secs(6), "{stale_after:?}");
    let readyz = certgate.readyz();
    assert_eq!(readyz["ready"], false);
    assert_eq!(readyz["reason"], "directory_stale");
    assert!(readyz["details"]["directory"]["age_seconds"].as_f64().unwrap() > 5.0);
    assert!(readyz["details"]["database"]["error"].is_string());
    thread::sleep(Duration::from_millis(400));
    assert!(certgate.metric("certgate_directory_stale") > 0.0);
    assert!(certgate.metric("certgate_directory_age_seconds") > 5.0);

    cluster.up();
    let back = Instant::now();
    certgate.wait_for_reason(&alice, "mapped");
    println!("mapped {:?} after the return", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(1), "{:?}", back.elapsed());
}

#[test]
fn whoever_waits_for_the_database_is_not_ready_and_then_is_within_a_second() {
    let cluster = Cluster::start();
    cluster.sql("insert into app_user (username) values ('alice')");
    cluster.down();
    let folder = tempfile::tempdir().unwrap();
    let alice = Issuer::root(folder.path(), "Example CA").client("alice");
    let certgate = Certgate::launch_at(&cluster.url(), "directory.wait_for_database = true\n");
    assert_eq!(certgate.reason(&alice), "not_ready");
    let launched = Instant::now();
    while certgate.readyz()["details"]["database"]["error"] == "nothing was loaded yet" {
        assert!(launched.elapsed() < Duration::from_secs(20), "the database was not tried");
        thread::sleep(PAUSE);
    }
    assert_eq!(certgate.reason(&alice), "not_ready");
    cluster.up();
    let back = Instant::now();
    certgate.wait_for_reason(&alice, "unmapped");
    assert!(back.elapsed() < Duration::from_secs(1), "{:?}", back.elapsed());
}
