//! PostgreSQL is killed, frozen, stopped and cut off under load, and nobody who is let in or kept
//! out notices; what was revoked just before each fault holds after it.
//!
//! `CERTGATE_FAULTS=full` plays all of it: 20 kills, 10 s frozen, 60 s stopped, 2,000 requests per
//! second; without it a short form of the same.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::certgate::{Certgate, free_addresses};
use crate::support::cluster::Cluster;
use crate::support::nginx::{Nginx, Site};
use crate::support::pki::{Issued, Issuer};
use crate::support::tls::{TlsVersion, caller};

/// Callers at once, each with a connection of its own.
const CALLERS: usize = 8;
/// After the database is back, everything it holds is honoured within this.
const RECOVERY: Duration = Duration::from_secs(5);
/// A connection that is deaf is found within this.
const DEAF: Duration = Duration::from_secs(3);

/// How much of everything.
struct Measure {
    kills: usize,
    frozen: Duration,
    stopped: Duration,
    requests_per_second: f64,
}

impl Measure {
    #[expect(clippy::disallowed_methods, reason = "how long, only the caller can say")]
    fn asked() -> Self {
        let seconds = Duration::from_secs;
        match std::env::var("CERTGATE_FAULTS").as_deref() {
            Ok("full") => Self {
                kills: 20,
                frozen: seconds(10),
                stopped: seconds(60),
                requests_per_second: 2_000.0,
            },
            _ => {
                Self { kills: 2, frozen: seconds(3), stopped: seconds(3), requests_per_second: 0.0 }
            }
        }
    }
}

/// What the callers have seen.
#[derive(Default)]
struct Seen {
    ends: AtomicBool,
    requests: AtomicU32,
    wrong: AtomicU32,
}

#[test]
fn no_fault_of_the_database_is_seen_by_anybody_and_no_revocation_is_lost() {
    let measure = Measure::asked();
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.port());
    let folder = tempfile::tempdir().unwrap();
    let ca = Issuer::root(&folder.path().join("ca"), "Example CA");
    let url = format!("postgres://certgate@{}/postgres", proxy.address);
    let certgate = Certgate::start_at(&url, "");
    let nginx = Nginx::start(&Site::Example, certgate.auth(), &ca);
    let (alice, mallory) = (ca.client("alice"), ca.client("mallory"));
    map(&certgate, "alice", &alice);
    let seen = Seen::default();
    let mut revoked: Vec<Issued> = Vec::new();
    let started = Instant::now();
    thread::scope(|scope| {
        for number in 0..CALLERS {
            let (seen, nginx, alice, mallory) = (&seen, &nginx, &alice, &mallory);
            scope.spawn(move || match number % 4 {
                0 => ask(nginx, mallory, 401, seen),
                _ => ask(nginx, alice, 200, seen),
            });
        }
        let faults = std::panic::AssertUnwindSafe(|| {
            let mut fault = |name: &str, happens: &dyn Fn()| {
                let person = format!("{name}{}", revoked.len());
                let certificate = ca.client(&person);
                map(&certgate, &person, &certificate);
                cluster.sql(&format!(
                    "update mapping set revoked_at = now() where username = '{person}'"
                ));
                happens();
                wait_for(RECOVERY, || certgate.reason(&certificate) == "mapping_revoked");
                revoked.push(certificate);
                for certificate in &revoked {
                    assert_eq!(certgate.reason(certificate), "mapping_revoked", "{name}");
                }
            };
            for _ in 0..measure.kills {
                fault("killed", &|| {
                    cluster.kill();
                    thread::sleep(Duration::from_millis(300));
                    cluster.up();
                });
            }
            fault("frozen", &|| {
                cluster.signal_all(Signal::SIGSTOP);
                thread::sleep(measure.frozen);
                assert_eq!(certgate.readyz()["details"]["database"]["following"], false);
                cluster.signal_all(Signal::SIGCONT);
            });
            fault("stopped", &|| {
                cluster.down();
                thread::sleep(measure.stopped);
                cluster.up();
            });
            fault("cut", &|| {
                proxy.deaf.store(true, Ordering::Relaxed);
                let found = || certgate.readyz()["details"]["database"]["following"] == false;
                let cut = Instant::now();
                wait_for(DEAF, found);
                println!("a connection cut in one direction is found after {:?}", cut.elapsed());
                proxy.deaf.store(false, Ordering::Relaxed);
            });
        });
        let outcome = std::panic::catch_unwind(faults);
        seen.ends.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    let requests = seen.requests.load(Ordering::Relaxed);
    let rate = f64::from(requests) / started.elapsed().as_secs_f64();
    println!("{requests} requests, {rate:.0}/s, through {} faults", revoked.len());
    assert_eq!(seen.wrong.load(Ordering::Relaxed), 0);
    assert!(requests > 0);
    assert!(rate >= measure.requests_per_second, "the load was {rate:.0}/s");
}

/// Asks again and again over one connection, and counts every answer that is not this one.
fn ask(nginx: &Nginx, certificate: &Issued, expected: u16, seen: &Seen) {
    let caller = caller(nginx, Some(certificate), TlsVersion::Tls13);
    let mut session = None;
    while !seen.ends.load(Ordering::Relaxed) {
        let open = session.get_or_insert_with(|| caller.connect().unwrap());
        match open.get("/", &[]) {
            Ok(answer) => {
                seen.requests.fetch_add(1, Ordering::Relaxed);
                if answer.status != expected {
                    seen.wrong.fetch_add(1, Ordering::Relaxed);
                }
                if answer.header("connection").is_some_and(|word| word == "close") {
                    session = None;
                }
            }
            // nginx closes a connection after a thousand requests.
            Err(_) => session = None,
        }
    }
}

fn map(certgate: &Certgate, user: &str, certificate: &Issued) {
    certgate.run(&["user", "add", user]);
    certgate.run(&["mapping", "add", user, "--cert", certificate.alone.to_str().unwrap()]);
    certgate.wait_for_reason(certificate, "mapped");
}

fn wait_for(limit: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < limit, "not so after {limit:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Stands between certgate and its database; deaf, it lets nothing through from the database, and
/// closes nothing.
struct Proxy {
    address: SocketAddr,
    deaf: Arc<AtomicBool>,
}

impl Proxy {
    fn start(port: u16) -> Self {
        let [address] = free_addresses();
        let listener = TcpListener::bind(address).unwrap();
        let deaf = Arc::new(AtomicBool::new(false));
        let is_deaf = Arc::clone(&deaf);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Without a server behind it, the connection closes.
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || copy(from, to, None));
                let is_deaf = Arc::clone(&is_deaf);
                thread::spawn(move || copy(server, client, Some(is_deaf)));
            }
        });
        Self { address, deaf }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, deaf: Option<Arc<AtomicBool>>) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        while deaf.as_ref().is_some_and(|deaf| deaf.load(Ordering::Relaxed)) {
            thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}
