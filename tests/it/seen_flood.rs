//! A flood of certificates that are good and nobody's: bounded in memory and in the database.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use serde_json::Value;

use crate::pki_nginx_dn::forge::Forge;
use crate::seen_serve::{People, metric, seen_in_readyz, wait_until};
use crate::support::certgate::Certgate;
use crate::support::database::{Database, Kind};

/// Different certificates, unless `CERTGATE_TEST_FLOOD` says how many: a program that was built for
/// tests needs minutes for 100,000.
const FLOOD: u32 = 10_000;
/// Requests that are sent before their answers are read.
const AT_ONCE: u32 = 50;
/// Strangers of one batch, as `src/seen/tally.rs` has it.
const MAX_STRANGERS: u64 = 100;
/// Denials that one worker tells of in a second, as `src/seen/sampler.rs` has it.
const MAX_DENIALS: u64 = 50;

/// A certificate whose serial can be changed in place; its signature then is nobody's, and it is
/// the proxy who would have verified it.
struct Press {
    der: Vec<u8>,
    at: usize,
}

impl Press {
    fn new() -> Self {
        let serial = b"\x41serial.".to_vec();
        let key = KeyPair::generate().unwrap();
        let der = Forge { serial: serial.clone(), ..Forge::default() }.der(&key);
        let at = der.windows(serial.len()).position(|window| window == serial).unwrap();
        Self { der, at: at + 4 }
    }

    fn request(&mut self, number: u32) -> String {
        self.der[self.at..self.at + 4].copy_from_slice(&number.to_be_bytes());
        let text = STANDARD.encode(&self.der).replace('+', "%2B").replace('=', "%3D");
        format!(
            "GET /auth HTTP/1.1\r\nHost: certgate\r\nX-SSL-Client-Verify: SUCCESS\r\n\
             X-SSL-Client-Cert: -----BEGIN%20CERTIFICATE-----%0A{}%0A\
             -----END%20CERTIFICATE-----%0A\r\n\r\n",
            text.replace('/', "%2F")
        )
    }
}

fn flood_size() -> u32 {
    let size = std::env::var_os("CERTGATE_TEST_FLOOD");
    size.map_or(FLOOD, |size| size.to_str().unwrap().parse().unwrap())
}

/// Sends them all over one connection, and looks at every answer.
fn flood(certgate: &Certgate, size: u32) {
    let mut press = Press::new();
    let mut stream = TcpStream::connect(certgate.auth()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    for first in (0..size).step_by(AT_ONCE as usize) {
        let requests: String =
            (first..first + AT_ONCE).map(|number| press.request(number)).collect();
        stream.write_all(requests.as_bytes()).unwrap();
        let (mut answers, mut unmapped) = (0, 0);
        let mut text = String::new();
        while answers < AT_ONCE as usize {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the connection was closed");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
            answers = text.matches("\r\n\r\n").count();
            unmapped = text.matches("x-auth-reason: unmapped\r\n").count();
        }
        assert_eq!((answers, unmapped), (AT_ONCE as usize, AT_ONCE as usize), "{text}");
    }
}

fn is_survived(kind: Kind) {
    let database = Database::empty(kind);
    let certgate = Certgate::start_on_with(&database, "log.filter = \"warn\"\n");
    if kind == Kind::Postgres {
        // Every batch leaves a mark, so that the writes can be counted.
        database.sql(
            "create table batch (at timestamptz default clock_timestamp());
             create function batch() returns trigger language plpgsql as $$
                 begin insert into batch default values; return null; end $$;
             create trigger batch after insert on denial for each statement
                 execute function batch();",
        );
    }
    let people = People::new();
    let alice = people.ca.client("alice");
    certgate.run(&["user", "add", "alice"]);
    certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    certgate.wait_for_reason(&alice, "mapped");
    let memory = certgate.resident_kib();
    let start = Instant::now();
    let size = flood_size();
    flood(&certgate, size);
    let seconds = start.elapsed().as_secs() + 1;
    let grown = certgate.resident_kib().saturating_sub(memory);
    certgate.wait_for_reason(&alice, "mapped");
    wait_until("alice was seen all the same", || {
        database.sql("select count(*) from certificate where last_username = 'alice'") == "1"
    });
    assert_eq!(seen_in_readyz(&certgate)["state"], "writing");

    let count = |sql: &str| database.sql(&format!("select count(*) from {sql}")).parse::<u64>();
    let of = |metrics: &str| metric(&certgate, &format!("{metrics}_total{{kind=\"certificate\"}}"));
    let both = || ["certgate_seen_written", "certgate_seen_dropped"].map(of);
    let [mut written, mut dropped] = both();
    wait_until("every one is written or counted", || {
        [written, dropped] = both();
        written + dropped >= u64::from(size)
    });
    let inbox = count("inbox").unwrap();
    let denials = count("denial").unwrap();
    // A batch more than seconds, and one that was on its way.
    assert!((1..=(seconds + 3) * MAX_STRANGERS).contains(&written), "{written}");
    assert!((1..=10_000.min(written)).contains(&inbox), "{inbox}");
    // Alice is told of too, once by each worker that she came to, and again as her answer changes.
    assert!(written + dropped <= u64::from(size) + 8, "{written} + {dropped}");
    assert!(denials <= (seconds + 3) * MAX_DENIALS * 4, "{denials}");
    if kind == Kind::Postgres {
        let batches = count("batch").unwrap();
        assert!(batches <= seconds + 3, "{batches} batches in {seconds} seconds");
    }
    // Each worker keeps 1024 parsed certificates, as it would of good ones.
    assert!(grown < 20 * 1024, "{grown} KiB");
}

#[test]
fn a_flood_of_denials_is_sampled_in_the_log_with_a_count_of_what_was_left_out() {
    const STRANGERS: u32 = 2_000;
    let certgate = Certgate::start_with("log.format = \"json\"\n");
    let people = People::new();
    let bob = people.ca.client("bob");
    let start = Instant::now();
    flood(&certgate, STRANGERS);
    let seconds = start.elapsed().as_secs() + 1;
    let log = certgate.config().with_file_name("certgate.log");
    let (mut lines, mut left_out) = (0, 0);
    // The count comes with the next request of the same worker, a second later.
    wait_until("every denial has a line or is counted", || {
        certgate.wait_for_reason(&bob, "unmapped");
        let text = std::fs::read_to_string(&log).unwrap();
        let told: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines = told.iter().filter(|line| line["message"] == "denied").count() as u64;
        left_out = told.iter().filter_map(|line| line["denials.left_out"].as_u64()).sum();
        lines + left_out >= u64::from(STRANGERS)
    });
    let written = 100 * 4 * seconds;
    assert!(left_out >= u64::from(STRANGERS).saturating_sub(written), "{left_out} left out");
    assert!(left_out <= u64::from(STRANGERS), "{left_out} left out");
}

#[test]
fn a_flood_of_strangers_is_bounded_on_postgresql() {
    is_survived(Kind::Postgres);
}

#[test]
fn a_flood_of_strangers_is_bounded_on_sqlite() {
    is_survived(Kind::Sqlite);
}

/// How many connections have an answer to read.
fn answered(streams: &[TcpStream]) -> usize {
    streams.iter().filter(|stream| stream.peek(&mut [0]).is_ok_and(|read| read > 0)).count()
}

#[test]
fn whose_certificate_is_known_does_not_wait_for_the_strangers_before() {
    const STRANGERS: u32 = 200;
    let certgate = Certgate::start();
    let people = People::new();
    let alice = people.ca.client("alice");
    certgate.run(&["user", "add", "alice"]);
    certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    certgate.wait_for_reason(&alice, "mapped");
    let asks = format!(
        "GET /auth HTTP/1.1\r\nHost: certgate\r\nX-SSL-Client-Verify: SUCCESS\r\n\
         X-SSL-Client-Cert: {}\r\n\r\n",
        alice.escaped()
    );
    let mut hers = TcpStream::connect(certgate.auth()).unwrap();
    hers.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut is_let_in = || {
        hers.write_all(asks.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let read = hers.read(&mut answer).unwrap();
        assert!(answer[..read].ends_with(b"\r\n\r\n"), "an answer in pieces");
        answer.starts_with(b"HTTP/1.1 200 ")
    };
    // The worker of this connection has parsed her certificate.
    assert!(is_let_in());
    let mut press = Press::new();
    let (mut first, mut tried) = (0, Vec::new());
    // On a quick machine the strangers may be through before she asks, and on a busy one before
    // anybody looks: that shows nothing.
    let has_overtaken = (1..=20).any(|round| {
        let count = STRANGERS * round.min(3);
        let strangers: Vec<String> =
            (first..first + count).map(|number| press.request(number)).collect();
        first += count;
        let streams: Vec<TcpStream> =
            strangers.iter().map(|_| TcpStream::connect(certgate.auth()).unwrap()).collect();
        for (mut stream, stranger) in streams.iter().zip(&strangers) {
            stream.set_nonblocking(true).unwrap();
            stream.write_all(stranger.as_bytes()).unwrap();
        }
        let waiting = streams.len() - answered(&streams);
        assert!(is_let_in());
        let overtaken = streams.len() - answered(&streams);
        wait_until("every stranger gets an answer", || answered(&streams) == streams.len());
        tried.push((overtaken, waiting));
        waiting >= 100 && overtaken * 2 > waiting
    });
    assert!(has_overtaken, "she waited behind the strangers: {tried:?}");
}
