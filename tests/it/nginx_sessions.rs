//! What is decided holds from the next request on: inside an open connection and in a TLS session
//! that is resumed, where nginx itself goes on saying SUCCESS (THREATS N9).

use std::fs;
use std::thread;
use std::time::Duration;

use time::OffsetDateTime;

use crate::support::nginx::Site;
use crate::support::pki::{Issued, Leaf};
use crate::support::tls::{Caller, Session, TlsVersion, caller};
use crate::support::world::World;

/// carol's connections in both versions of TLS: open ones, and callers that can resume.
struct Held {
    open: Vec<Session>,
    callers: Vec<Caller>,
}

impl Held {
    /// Connects, is let in, and keeps everything.
    fn new(world: &World, certificate: &Issued) -> Self {
        let (mut open, mut callers) = (Vec::new(), Vec::new());
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let caller = caller(&world.nginx, Some(certificate), version);
            let mut session = caller.connect().unwrap();
            assert_eq!(session.get("/", &[]).unwrap().status, 200);
            open.push(session);
            // A second one for a ticket that no open connection has used.
            let mut second = caller.connect().unwrap();
            assert_eq!(second.get("/", &[]).unwrap().status, 200);
            callers.push(caller);
        }
        Self { open, callers }
    }

    /// Every way back in is closed, for this reason.
    fn expect_refused(mut self, world: &World, code: &str) {
        for (number, session) in self.open.iter_mut().enumerate() {
            let path = format!("/open-{number}-{code}");
            assert_eq!(session.get(&path, &[]).unwrap().status, 401, "{path}");
            assert_eq!(world.nginx.logged(&path).code(), code);
        }
        for (number, caller) in self.callers.iter().enumerate() {
            // Chained: each resumption gives the ticket for the next one.
            for link in 0..3 {
                let mut session = caller.connect().unwrap();
                assert!(session.resumed(), "{number}, {link}");
                let path = format!("/resumed-{number}-{link}-{code}");
                assert_eq!(session.get(&path, &[]).unwrap().status, 401, "{path}");
                let line = world.nginx.logged(&path);
                assert_eq!((line.code(), line.resumed()), (code, true), "{path}");
            }
        }
    }
}

#[test]
fn a_block_holds_in_open_and_resumed_sessions() {
    let world = World::new(&Site::Example);
    let held = Held::new(&world, &world.carol);
    let file = world.carol.pem.to_str().unwrap();
    world.certgate.run(&["certificate", "block", file, "--reason", "stolen"]);
    world.certgate.wait_for_reason(&world.carol, "blocked");
    held.expect_refused(&world, "blocked");
}

/// nginx itself has no `ssl_crl` here: with one, it would neither look at a new one without a
/// reload, nor at resumed sessions after it.
#[test]
fn a_revocation_by_crl_holds_in_open_and_resumed_sessions() {
    let world = World::revocable(&Site::Example);
    let held = Held::new(&world, &world.carol);
    let carol = certgate::pki::Certificate::from_pem(world.carol.text.as_bytes()).unwrap();
    fs::write(world.crls().join(".new"), world.ca.list(2, &[carol.serial.as_bytes()])).unwrap();
    fs::rename(world.crls().join(".new"), world.crls().join("ca.crl")).unwrap();
    world.certgate.wait_for_reason(&world.carol, "certificate_revoked");
    held.expect_refused(&world, "certificate_revoked");
    let alice = caller(&world.nginx, Some(&world.alice), TlsVersion::Tls13);
    assert_eq!(alice.connect().unwrap().get("/", &[]).unwrap().status, 200);
}

#[test]
fn a_disabled_user_is_out_in_open_and_resumed_sessions() {
    let world = World::new(&Site::Example);
    let held = Held::new(&world, &world.carol);
    world.certgate.run(&["user", "disable", "carol"]);
    world.certgate.wait_for_reason(&world.carol, "user_disabled");
    held.expect_refused(&world, "user_disabled");
}

#[test]
fn a_certificate_that_expires_is_out_in_open_and_resumed_sessions() {
    let world = World::new(&Site::Example);
    let now = OffsetDateTime::now_utc();
    // Long enough for the handshakes; nginx would refuse a full one afterwards.
    let end = now + time::Duration::seconds(4);
    let short = Leaf::client("carol").valid(now - time::Duration::DAY, end);
    let certificate = world.ca.issue("short", short);
    world.map("carol", &certificate);
    let held = Held::new(&world, &certificate);
    // notAfter is part of the validity and in whole seconds: the second after it is outside.
    let rest = end + time::Duration::seconds(1) - OffsetDateTime::now_utc();
    // Waiting is what this test is about; there is no condition but the clock.
    thread::sleep(Duration::try_from(rest).unwrap_or_default());
    world.certgate.wait_for_reason(&certificate, "certificate_expired");
    held.expect_refused(&world, "certificate_expired");
}

#[test]
fn a_new_mapping_lets_in_through_the_connection_that_was_refused() {
    let world = World::new(&Site::Example);
    let mut session = caller(&world.nginx, Some(&world.bob), TlsVersion::Tls13).connect().unwrap();
    assert_eq!(session.get("/", &[]).unwrap().status, 401);
    world.certgate.run(&["user", "add", "bob"]);
    world.map("bob", &world.bob);
    assert_eq!(session.get("/", &[]).unwrap().status, 200);
}
