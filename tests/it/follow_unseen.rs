//! Rows may be written where no trigger fires: nobody follows as if nothing had changed, or says
//! nothing about it.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::certgate::Certgate;
use crate::support::cluster::Cluster;
use crate::support::database::{Database, Kind};
use crate::support::pki::Issuer;

/// Longest wait for anything here.
const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn tables_that_a_subscription_writes_are_not_followed_until_it_is_gone() {
    let cluster = Cluster::start();
    cluster.sql("alter system set wal_level = logical");
    cluster.down();
    cluster.up();
    let folder = tempfile::tempdir().unwrap();
    let alice = Issuer::root(folder.path(), "Example CA").client("alice");
    let certgate = Certgate::start_at(&cluster.url(), "directory.max_staleness = \"5s\"\n");
    certgate.run(&["user", "add", "alice"]);
    certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    certgate.wait_for_reason(&alice, "mapped");

    // On one server a subscription would wait for itself to make its slot.
    certgate.run(&["copy", "--from", &cluster.url(), "--to", &publisher(&cluster)]);
    cluster.sql_in("publisher", "create publication rows for table app_user, mapping");
    cluster.sql_in("publisher", "select pg_create_logical_replication_slot('rows', 'pgoutput')");
    cluster.sql(&format!(
        "create subscription rows connection '{}' publication rows
             with (create_slot = false, copy_data = false)",
        cluster.url_of("publisher")
    ));
    cluster.sql_in("publisher", "update mapping set revoked_at = now()");
    wait_for(|| cluster.sql("select revoked_at is not null from mapping") == "t");

    wait_for(|| certgate.reason(&alice) == "directory_stale");
    let database = certgate.readyz()["details"]["database"].clone();
    assert_eq!(database["following"], false, "{database}");
    let error = database["error"].as_str().unwrap();
    assert!(error.contains("a subscription writes app_user, mapping, "), "{error}");

    cluster.sql("drop subscription rows");
    wait_for(|| certgate.reason(&alice) == "mapping_revoked");
}

/// As a restore with `--disable-triggers` leaves them.
#[test]
fn triggers_that_are_not_always_on_are_told_when_everything_is_read() {
    let database = Database::empty(Kind::Postgres);
    let certgate = Certgate::start_on(&database);
    let log = certgate.config().with_file_name("certgate.log");
    let lines = || {
        let log = std::fs::read_to_string(&log).unwrap();
        log.lines()
            .filter(|line| line.contains("not always on"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(), Vec::<String>::new());
    database.sql("alter table block disable trigger all; alter table block enable trigger all;");
    wait_for(|| !lines().is_empty());
    let told: serde_json::Value = serde_json::from_str(&lines()[0]).unwrap();
    assert_eq!(told["level"], "WARN", "{told}");
    assert_eq!(
        told["triggers"],
        "block_changed_delete, block_changed_insert, block_changed_truncate, block_changed_update"
    );
    // It is followed all the same.
    database.sql("insert into app_user (username) values ('alice');");
    wait_for(|| certgate.readyz()["details"]["directory"]["users"] == 1);
}

/// An empty database beside, with certgate's schema.
fn publisher(cluster: &Cluster) -> String {
    use certgate::store::{DatabaseUrl, Store};
    cluster.sql("create database publisher");
    let url = cluster.url_of("publisher");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Store::migrate(&DatabaseUrl::parse(&url).unwrap())).unwrap();
    url
}

fn wait_for(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "not so after {DEADLINE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
