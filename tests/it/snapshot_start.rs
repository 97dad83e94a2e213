//! A start while the database is away: from the snapshot, as old as it is, or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use certgate::cli::demo::programs;

use crate::support::certgate::{Certgate, program};
use crate::support::cluster::Cluster;
use crate::support::pki::Issuer;

/// Longest wait for the file.
const DEADLINE: Duration = Duration::from_secs(20);

/// Until the file at this path is another one than `before`.
fn wait_for_file(path: &Path, before: Option<&[u8]>) -> Vec<u8> {
    let began = Instant::now();
    loop {
        if let Ok(bytes) = fs::read(path)
            && before != Some(&bytes)
        {
            return bytes;
        }
        assert!(began.elapsed() < DEADLINE, "no snapshot was written");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Starts the service, which ends by itself.
fn refused(certgate: &Certgate) -> String {
    let mut command = programs::certgate(&program(), &certgate.config());
    let Output { status, stderr, .. } = command.arg("serve").output().unwrap();
    assert_eq!(status.code(), Some(2));
    String::from_utf8(stderr).unwrap()
}

#[test]
fn without_the_database_a_start_goes_on_from_the_snapshot_and_then_follows_again() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot");
    let ca = Issuer::root(folder.path(), "Example CA");
    let (alice, bob) = (ca.client("alice"), ca.client("bob"));
    let setting = format!("directory.snapshot_file = \"{}\"\n", file.display());
    let certgate = Certgate::start_at(&cluster.url(), &setting);
    let first = wait_for_file(&file, None);
    for (name, certificate) in [("alice", &alice), ("bob", &bob)] {
        certgate.run(&["user", "add", name, "--group", "ops"]);
        certgate.run(&["mapping", "add", name, "--cert", certificate.alone.to_str().unwrap()]);
    }
    certgate.run(&["user", "disable", "bob"]);
    certgate.wait_for_reason(&alice, "mapped");
    certgate.wait_for_reason(&bob, "user_disabled");
    // The last change may be in a later file than the first one that differs.
    let mut last = wait_for_file(&file, Some(&first));
    certgate.run(&["user", "edit", "alice", "--note", "seen"]);
    last = wait_for_file(&file, Some(&last));
    certgate.stop();
    cluster.down();

    certgate.serve();
    assert_eq!(certgate.reason(&alice), "mapped");
    assert_eq!(certgate.reason(&bob), "user_disabled");
    let readyz = certgate.readyz();
    assert!(readyz["details"]["database"]["error"].is_string(), "{readyz}");
    assert!(readyz["details"]["directory"]["age_seconds"].as_f64().unwrap() > 0.0, "{readyz}");

    cluster.up();
    cluster.sql("update app_user set enabled = false where username = 'alice'");
    certgate.wait_for_reason(&alice, "user_disabled");
    certgate.stop();
    cluster.down();

    // What is in doubt does not stand in for the database.
    let mut damaged = last.clone();
    damaged[last.len() / 2] ^= 1;
    fs::write(&file, damaged).unwrap();
    let error = refused(&certgate);
    assert!(error.contains("the file is damaged"), "{error}");
    fs::write(&file, &last).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let error = refused(&certgate);
    assert!(error.contains("others may write it"), "{error}");
    fs::remove_file(&file).unwrap();
    let error = refused(&certgate);
    assert!(error.contains("the snapshot cannot stand in"), "{error}");
}

#[test]
fn a_snapshot_that_is_older_than_answers_may_be_does_not_stand_in_for_the_database() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot");
    let setting = format!(
        "directory.snapshot_file = \"{}\"\ndirectory.max_staleness = \"5s\"\n",
        file.display()
    );
    let certgate = Certgate::start_at(&cluster.url(), &setting);
    wait_for_file(&file, None);
    certgate.stop();
    cluster.down();
    let written = fs::metadata(&file).unwrap().modified().unwrap();
    while written.elapsed().unwrap() < Duration::from_millis(5100) {
        thread::sleep(Duration::from_millis(20));
    }
    let error = refused(&certgate);
    assert!(error.contains("older than directory.max_staleness"), "{error}");
}
