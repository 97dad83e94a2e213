//! A cluster's primary dies, its standby is promoted: everybody who follows is on it in seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::certgate::Certgate;
use crate::support::cluster::Cluster;
use crate::support::pki::Issuer;

/// From the promotion on.
const CONVERGED: Duration = Duration::from_secs(5);
/// For a standby on this machine to have replayed.
const REPLAYED: Duration = Duration::from_secs(30);

#[test]
fn a_promoted_standby_is_followed_within_5_s_while_writes_go_on() {
    let primary = Cluster::start();
    let standby = Cluster::standby_of(&primary);
    let folder = tempfile::tempdir().unwrap();
    let ca = Issuer::root(folder.path(), "Example CA");
    let [alice, bob] = ["alice", "bob"].map(|name| ca.client(name));
    let both = format!(
        "postgres://certgate@127.0.0.1:{},127.0.0.1:{}/postgres",
        primary.port(),
        standby.port()
    );
    let of_both = Certgate::start_at(&both, "");
    for name in ["alice", "bob"] {
        of_both.run(&["user", "add", name]);
    }
    of_both.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    of_both.run(&["mapping", "add", "bob", "--cert", bob.alone.to_str().unwrap()]);
    of_both.wait_for_reason(&alice, "mapped");
    assert_eq!(of_both.readyz()["details"]["database"]["manner"], "notified");
    // The other one knows the standby alone.
    let beside = Certgate::start_at(&standby.url(), "");
    assert_eq!(beside.readyz()["details"]["database"]["manner"], "polled: standby");
    wait_for(REPLAYED, || beside.reason(&bob) == "mapped");

    // What is revoked just before the fault holds after it.
    primary.sql("update mapping set revoked_at = now() where username = 'bob'");
    wait_for(REPLAYED, || {
        standby.sql("select count(*) from mapping where revoked_at is not null") == "1"
    });
    primary.kill();
    standby.promote();
    let promoted = Instant::now();
    let ends = Arc::new(AtomicBool::new(false));
    let writing = thread::scope(|scope| {
        let writes = scope.spawn(|| {
            let mut count = 0;
            while !ends.load(Ordering::Relaxed) {
                standby.sql(
                    "update app_user set note = clock_timestamp()::text where username = 'bob'",
                );
                count += 1;
            }
            count
        });
        standby.sql("update app_user set enabled = false where username = 'alice'");
        for certgate in [&of_both, &beside] {
            wait_for(CONVERGED, || certgate.reason(&alice) == "user_disabled");
            assert_eq!(certgate.reason(&bob), "mapping_revoked");
            // Each listens and tends again.
            wait_for(CONVERGED, || {
                certgate.readyz()["details"]["database"]["manner"] == "notified"
            });
        }
        let took = promoted.elapsed();
        ends.store(true, Ordering::Relaxed);
        println!("converged {took:?} after the promotion");
        assert!(took < CONVERGED, "{took:?}");
        writes.join().unwrap()
    });
    assert!(writing > 0);
    let beat = "select extract(epoch from beat_at) from feed";
    let before = standby.sql(beat);
    wait_for(REPLAYED, || standby.sql(beat) != before);
}

#[test]
fn a_host_that_is_gone_is_passed_over_at_the_start() {
    let cluster = Cluster::start();
    let [nobody] = crate::support::certgate::free_addresses();
    let url = format!("postgres://certgate@{nobody},127.0.0.1:{}/postgres", cluster.port());
    let certgate = Certgate::start_at(&url, "");
    assert_eq!(certgate.readyz()["details"]["database"]["manner"], "notified");
}

/// Asks until it is so.
fn wait_for(limit: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < limit, "not so after {limit:?}");
        thread::sleep(Duration::from_millis(5));
    }
}
