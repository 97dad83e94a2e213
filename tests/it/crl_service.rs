//! CRLs in the running service: what is replaced holds from the next answer on, in open connections
//! too, and nothing that is put in place makes an answer wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::support::certgate::Certgate;
use super::support::pki::{Issued, Issuer, Leaf};
use certgate::cli::demo::workshop::Workshop;

/// A folder of CRLs with the issuer's certificate beside them, and who is mapped.
struct World {
    certgate: Certgate,
    ca: Issuer,
    crls: PathBuf,
    alice: Issued,
    bob: Issued,
    _workshop: Workshop,
}

const ALICE: &[u8] = &[0x5A, 0x01];
const BOB: &[u8] = &[0x5A, 0x02];

impl World {
    /// alice and bob are mapped, and a list with the number 1 revokes nobody.
    fn new(further: &str) -> Self {
        let workshop = Workshop::open("certgate-crl").unwrap();
        let ca = Issuer::root(&workshop.folder().join("ca"), "Example CA");
        let crls = workshop.folder().join("crls");
        fs::create_dir(&crls).unwrap();
        fs::copy(&ca.pem, crls.join("ca.pem")).unwrap();
        fs::write(crls.join("ca.crl"), ca.list(1, &[])).unwrap();
        let alice = ca.issue("alice", Leaf::client("alice").serial(ALICE));
        let bob = ca.issue("bob", Leaf::client("bob").serial(BOB));
        let certgate =
            Certgate::start_with(&format!("revocation.crl = [\"{}\"]\n{further}", crls.display()));
        let world = Self { certgate, ca, crls, alice, bob, _workshop: workshop };
        for (user, certificate) in [("alice", &world.alice), ("bob", &world.bob)] {
            world.certgate.run(&["user", "add", user]);
            let file = certificate.alone.to_str().unwrap();
            world.certgate.run(&["mapping", "add", user, "--cert", file]);
            world.certgate.wait_for_reason(certificate, "mapped");
        }
        world
    }

    fn put(&self, bytes: &[u8]) {
        put(&self.crls, bytes);
    }
}

/// Puts a file in place as one should.
fn put(crls: &Path, bytes: &[u8]) {
    fs::write(crls.join(".new"), bytes).unwrap();
    fs::rename(crls.join(".new"), crls.join("ca.crl")).unwrap();
}

/// One open connection to the auth listener.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(certgate: &Certgate) -> Self {
        let stream = TcpStream::connect(certgate.auth()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// The status and the code of the answer about this certificate.
    fn ask(&mut self, certificate: &str) -> (String, String) {
        let request = format!(
            "GET /auth HTTP/1.1\r\nHost: certgate\r\nX-SSL-Client-Verify: SUCCESS\r\n\
             X-SSL-Client-Cert: {certificate}\r\n\r\n"
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut status, mut code) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "closed");
            let line = line.trim_end().to_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().unwrap().to_owned();
            } else if let Some(value) = line.strip_prefix("x-auth-reason: ") {
                code = value.to_owned();
            } else if line.is_empty() {
                return (status, code);
            }
        }
    }
}

#[test]
fn a_revocation_holds_in_an_open_connection_and_explain_names_the_list() {
    let world = World::new("");
    let mut connection = Connection::open(&world.certgate);
    let escaped = world.alice.escaped();
    assert_eq!(connection.ask(&escaped), ("200".to_owned(), "mapped".to_owned()));
    world.put(&world.ca.list(2, &[ALICE]));
    world.certgate.wait_for_reason(&world.alice, "certificate_revoked");
    assert_eq!(connection.ask(&escaped), ("401".to_owned(), "certificate_revoked".to_owned()));
    assert_eq!(connection.ask(&world.bob.escaped()).1, "mapped");
    let list = world.certgate.run(&["crl", "list"]);
    assert!(list.contains("CN=Example CA,O=Example"), "{list}");
    let ready = world.certgate.ask_ops("/readyz");
    assert!(ready.contains("\"entries\":1") && ready.contains("\"unusable_files\":[]"), "{ready}");
    assert!(!ready.contains("Example CA"), "{ready}");
    let metrics = world.certgate.ask_ops("/metrics");
    assert!(metrics.contains("\ncertgate_crl_entries 1\n"), "{metrics}");
    assert!(metrics.contains("\ncertgate_crl_last_load_successful 1\n"), "{metrics}");
}

#[test]
fn a_certificate_of_an_issuer_without_a_list_is_kept_out_unless_configured() {
    let workshop = Workshop::open("certgate-crl-other").unwrap();
    let other = Issuer::root(workshop.folder(), "Other CA");
    let carol = other.client("carol");
    for (policy, code) in [("deny", "revocation_unknown"), ("allow", "unmapped")] {
        let world = World::new(&format!("revocation.unknown = \"{policy}\"\n"));
        world.certgate.wait_for_reason(&carol, code);
    }
}

#[test]
fn a_bad_file_is_told_of_and_a_hangup_reads_everything_anew() {
    let world = World::new("");
    world.put(b"garbage");
    let start = Instant::now();
    loop {
        let ready = world.certgate.ask_ops("/readyz");
        if ready.contains("ca.crl") {
            assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{ready}");
        thread::sleep(Duration::from_millis(10));
    }
    world.certgate.wait_for_reason(&world.alice, "mapped");
    world.certgate.hang_up();
    world.put(&world.ca.list(2, &[BOB]));
    world.certgate.wait_for_reason(&world.bob, "certificate_revoked");
    let metrics = world.certgate.ask_ops("/metrics");
    assert!(metrics.contains("\ncertgate_crl_unusable_files 0\n"), "{metrics}");
}

/// What alice's and bob's answers may be while a list is put in place: those before and after it.
#[test]
fn a_thousand_replacements_under_load_give_no_wrong_answer() {
    let world = World::new("");
    let foreign = Issuer::root(&world.crls.join("../foreign"), "Foreign CA");
    let twin = Issuer::root(&world.crls.join("../twin"), "Example CA");
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU64::new(0));
    let alice = world.alice.escaped();
    let bob = world.bob.escaped();
    // alice is revoked from the start and stays it, whatever comes; bob never is.
    world.put(&world.ca.list(2, &[ALICE]));
    world.certgate.wait_for_reason(&world.alice, "certificate_revoked");
    let askers: Vec<_> = (0..2)
        .map(|_| {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            let (alice, bob) = (alice.clone(), bob.clone());
            let mut connection = Connection::open(&world.certgate);
            thread::spawn(move || {
                let mut wrong = BTreeMap::new();
                while !stop.load(Ordering::Relaxed) {
                    for (who, expected) in [(&alice, "certificate_revoked"), (&bob, "mapped")] {
                        let (status, code) = connection.ask(who);
                        if code != expected {
                            *wrong.entry(format!("{status} {code} for {expected}")).or_insert(0) +=
                                1;
                        }
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                }
                wrong
            })
        })
        .collect();
    for round in 0..REPLACEMENTS {
        let number = 3 + u64::from(round);
        let good = world.ca.list(number, &[ALICE]);
        let bytes = match round % 8 {
            0 => good[..good.len() / 2].to_vec(),
            1 => Vec::new(),
            2 => b"garbage".to_vec(),
            3 => world.ca.list(1, &[]),
            4 => foreign.list(number, &[]),
            5 => twin.list(number, &[]),
            6 => {
                let mut changed = good;
                let last = changed.len() - 1;
                changed[last] ^= 1;
                changed
            }
            _ => good,
        };
        let before = asked.load(Ordering::Relaxed);
        world.put(&bytes);
        let start = Instant::now();
        while asked.load(Ordering::Relaxed) < before + 4 {
            assert!(start.elapsed() < Duration::from_secs(20), "no answer any more");
            thread::yield_now();
        }
    }
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        assert_eq!(asker.join().unwrap(), BTreeMap::new());
    }
    world.put(&world.ca.list(3 + u64::from(REPLACEMENTS), &[BOB]));
    world.certgate.wait_for_reason(&world.bob, "certificate_revoked");
    world.certgate.wait_for_reason(&world.alice, "mapped");
    let metrics = world.certgate.ask_ops("/metrics");
    assert!(!metrics.contains("certgate_crl_load_failures_total 0\n"), "{metrics}");
}

const REPLACEMENTS: u32 = 1000;

#[test]
fn own_verification_takes_a_proxys_unknown_issuer_and_no_other_failure() {
    let workshop = Workshop::open("certgate-own").unwrap();
    let root = Issuer::root(&workshop.folder().join("ca"), "Example CA");
    let between = root.intermediate("Between CA");
    let foreign = Issuer::root(&workshop.folder().join("foreign"), "Example CA");
    let certgate = Certgate::start_with(&format!(
        "trust.mode = \"own\"\ntrust.anchors = [\"{}\"]\ntrust.intermediates = [\"{}\"]\n\
         proxy.trusted = [\"127.0.0.1\"]\n",
        root.pem.display(),
        between.pem.display()
    ));
    let alice = between.client("alice");
    let mallory = foreign.client("mallory");
    let code = |verify: &str, certificate: &Issued| {
        let answer = certgate.ask(&format!(
            "GET /auth HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\n\
             X-SSL-Client-Verify: {verify}\r\nX-SSL-Client-Cert: {}\r\n\r\n",
            certificate.escaped()
        ));
        let answer = answer.to_lowercase();
        let (_, rest) = answer.split_once("x-auth-reason: ").unwrap();
        rest.split('\r').next().unwrap().to_owned()
    };
    let unknown = "FAILED:unable to get local issuer certificate";
    for verify in ["SUCCESS", unknown] {
        assert_eq!(code(verify, &alice), "unmapped", "{verify}");
        assert_eq!(code(verify, &mallory), "chain_untrusted", "{verify}");
    }
    assert_eq!(code("FAILED:certificate revoked", &alice), "certificate_revoked");
    assert_eq!(code("FAILED:certificate has expired", &alice), "certificate_expired");
    assert_eq!(code("FAILED:unsuitable certificate purpose", &alice), "not_verified");
    assert_eq!(code("NONE", &alice), "not_verified");
}
