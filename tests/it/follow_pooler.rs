//! A pooler in transaction mode stands between: it swallows notifications and hands every
//! transaction to another server process. It is noticed, said, and followed by the poll.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use certgate::cli::demo::workshop::Workshop;
use nix::unistd::{Gid, Uid, chown};

use crate::support::certgate::{Certgate, free_addresses};
use crate::support::cluster::{Cluster, as_owner};
use crate::support::pki::Issuer;

/// The poll, and a look.
const POLLED: Duration = Duration::from_secs(3);

#[test]
fn behind_pgbouncer_in_transaction_mode_the_poll_is_lived_on_and_said() {
    for ignored in ["", "ignore_startup_parameters = options,extra_float_digits\n"] {
        behind_pgbouncer(ignored);
    }
}

fn behind_pgbouncer(further: &str) {
    let cluster = Cluster::start();
    let workshop = Workshop::open("certgate-pooler").unwrap();
    let [address] = free_addresses();
    let users = workshop.folder().join("users.txt");
    fs::write(&users, "\"certgate\" \"\"\n").unwrap();
    let ini = workshop.folder().join("pgbouncer.ini");
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {}\nunix_socket_dir =\npool_mode = transaction\nauth_type = trust\n\
         auth_file = {}\ndefault_pool_size = 3\n{further}",
        cluster.port(),
        address.port(),
        users.display()
    );
    fs::write(&ini, text).unwrap();
    if Uid::effective().is_root() {
        for path in [workshop.folder(), users.as_path(), ini.as_path()] {
            chown(path, Some(Uid::from_raw(65534)), Some(Gid::from_raw(65534))).unwrap();
        }
    }
    let mut pgbouncer = Command::new("/usr/sbin/pgbouncer");
    as_owner(&mut pgbouncer);
    workshop.spawn("pgbouncer", pgbouncer.arg(&ini).stdin(Stdio::null())).unwrap();
    let up = || Ok(std::net::TcpStream::connect(address).map(drop)?);
    workshop.wait_for("pgbouncer", up).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let alice = Issuer::root(folder.path(), "Example CA").client("alice");
    let direct = Certgate::start_at(&cluster.url(), "");
    direct.run(&["user", "add", "alice"]);
    direct.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    // Several of them share fewer server processes.
    let url = format!("postgres://certgate@{address}/postgres");
    let pooled = [(); 2].map(|()| Certgate::start_at(&url, ""));
    for certgate in &pooled {
        let database = &certgate.readyz()["details"]["database"];
        assert_eq!(database["manner"], "polled: behind a pooler", "{database}");
        certgate.wait_for_reason(&alice, "mapped");
    }
    for enabled in [false, true, false, true] {
        cluster.sql(&format!("update app_user set enabled = {enabled}"));
        let changed = Instant::now();
        for certgate in &pooled {
            certgate.wait_for_reason(&alice, if enabled { "mapped" } else { "user_disabled" });
        }
        assert!(changed.elapsed() < POLLED, "{:?}", changed.elapsed());
    }
    for certgate in &pooled {
        assert!(certgate.ask_ops("/metrics").contains("certgate_sync_failures_total 0"));
    }
}
