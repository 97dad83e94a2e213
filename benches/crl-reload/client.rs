//! What `benches/crl-reload/run` needs besides certgate: lists of that many entries, and the time
//! that requests take while one is read, beside the time that they take in between.
//!
//!   crl-reload lists FOLDER ENTRIES COUNT        a CA, alice's certificate, COUNT lists
//!   crl-reload measure AUTH OPS FOLDER ENTRIES COUNT CONNECTIONS RATE SECONDS PID

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and prints"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber,
};

/// Octets of a listed serial: as most public and private CAs make them.
const SERIAL_OCTETS: usize = 16;
/// Between two looks at the metrics; the error of a load time.
const POLL: Duration = Duration::from_millis(5);
/// A file younger than two seconds is read again at each look, as its time could hide a change: until
/// then the server is not idle, and its memory not what it keeps.
const SETTLING: Duration = Duration::from_secs(4);
/// A list that has not come into force by then never will.
const DEADLINE: Duration = Duration::from_secs(60);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    match words[..] {
        ["lists", folder, entries, count] => {
            make_lists(Path::new(folder), number(entries), number(count));
        }
        ["measure", auth, ops, folder, entries, count, connections, rate, seconds, pid] => {
            let bench = Bench {
                auth: auth.to_owned(),
                ops: ops.to_owned(),
                folder: folder.into(),
                entries: number(entries),
                lists: number(count),
                connections: number(connections),
                rate: number(rate),
                idle: Duration::from_secs(number(seconds)),
                pid: number(pid),
            };
            bench.run();
        }
        _ => panic!("lists FOLDER ENTRIES COUNT | measure AUTH OPS FOLDER ENTRIES COUNT ..."),
    }
}

/// The list of each number has so many entries and as many more as its number, so that the metric
/// tells which one is in force; the last of all has none.
fn make_lists(folder: &Path, entries: u64, count: u64) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Example CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("CA");
    fs::create_dir(folder.join("crls")).expect("folder");
    fs::write(folder.join("crls/ca.pem"), ca.pem()).expect("write");

    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "alice");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(&[0x5A, 0x01]));
    let alice = params.signed_by(&KeyPair::generate().expect("key"), &ca).expect("certificate");
    fs::write(folder.join("alice.pem"), alice.pem()).expect("write");

    let now = time::OffsetDateTime::now_utc();
    let entry = |number: u64| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&serial(number)),
        revocation_time: now - time::Duration::HOUR,
        reason_code: None,
        invalidity_date: None,
    };
    for number in 0..=count {
        let entries = if number == 0 { 0 } else { entries + number };
        let list = CertificateRevocationListParams {
            this_update: now - time::Duration::HOUR,
            next_update: now + time::Duration::DAY,
            crl_number: SerialNumber::from(number + 1),
            issuing_distribution_point: None,
            revoked_certs: (0..entries).map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&ca).expect("list");
        fs::write(folder.join(format!("{number}.crl")), list.der()).expect("write");
    }
    fs::rename(folder.join("0.crl"), folder.join("crls/ca.crl")).expect("rename");
}

/// Spread over the whole range and in no order, as serials that a CA draws at random.
fn serial(number: u64) -> [u8; SERIAL_OCTETS] {
    let mut octets = [0; SERIAL_OCTETS];
    // The multiplier of Knuth's MMIX generator: odd, so that no two numbers meet.
    let mixed = number.wrapping_add(1).wrapping_mul(6_364_136_223_846_793_005);
    octets[..8].copy_from_slice(&mixed.to_be_bytes());
    octets[8..].copy_from_slice(&mixed.rotate_left(29).to_be_bytes());
    octets[0] = octets[0] & 0x7f | 0x40;
    octets
}

struct Bench {
    auth: String,
    ops: String,
    folder: PathBuf,
    entries: u64,
    lists: u64,
    connections: u64,
    /// Requests a second of all connections together; 0 for as many as can be.
    rate: u64,
    idle: Duration,
    pid: u64,
}

/// One answer: when it was asked for, and how long it took.
type Sample = (Instant, Duration);

/// A round's times in microseconds.
struct Round {
    idle: [f64; 2],
    reload: [f64; 2],
    load_ms: f64,
}

impl Bench {
    /// Rounds of an idle stretch and a reload, the same connections asking all the time.
    fn run(&self) {
        let alice = fs::read_to_string(self.folder.join("alice.pem")).expect("alice.pem");
        let request = format!(
            "GET /auth HTTP/1.1\r\nHost: certgate\r\nX-SSL-Client-Verify: SUCCESS\r\n\
             X-SSL-Client-Cert: {}\r\n\r\n",
            escaped(&alice)
        );
        std::thread::sleep(SETTLING);
        println!("resident before the first load: {}", self.resident());
        println!("round  idle p50    p99 us  reload p50    p99 us  ratio  requests  load ms");
        let mut rounds = Vec::new();
        for number in 1..=self.lists {
            let (round, line) = self.round(number, &request);
            println!("{line}");
            rounds.push(round);
        }
        let median = |value: fn(&Round) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let (idle, reload) = (median(|round| round.idle[1]), median(|round| round.reload[1]));
        println!(
            "median p50 {:.0} idle, {:.0} reload; p99 {idle:.0} idle, {reload:.0} reload: ratio \
             {:.2} (median of the rounds' ratios {:.2}); load {:.0} ms",
            median(|round| round.idle[0]),
            median(|round| round.reload[0]),
            reload / idle,
            median(|round| round.reload[1] / round.idle[1]),
            median(|round| round.load_ms),
        );
        std::thread::sleep(SETTLING);
        println!("resident after {} loads: {}", self.lists, self.resident());
    }

    fn round(&self, number: u64, request: &str) -> (Round, String) {
        std::thread::sleep(SETTLING);
        let over = AtomicBool::new(false);
        let (mut samples, window) = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..self.connections)
                .map(|_| scope.spawn(|| self.ask(request.as_bytes(), &over)))
                .collect();
            std::thread::sleep(self.idle);
            let window = self.reload(number);
            over.store(true, Ordering::Relaxed);
            let samples: Vec<Sample> =
                asking.into_iter().flat_map(|one| one.join().expect("asked")).collect();
            (samples, window)
        });
        samples.sort_by_key(|(_, took)| *took);
        let (from, until) = window;
        // In the reload is what was asked or was still waiting for its answer in it.
        let is_in = |(at, took): &&Sample| *at < until && *at + *took > from;
        let of = |samples: Vec<&Sample>| {
            assert!(samples.len() > 100, "only {} requests: not enough for p99", samples.len());
            let at = |part: usize| {
                let (_, took) = samples[(samples.len() - 1) * part / 100];
                took.as_secs_f64() * 1e6
            };
            ([at(50), at(99)], samples.len())
        };
        let (reload, reload_count) = of(samples.iter().filter(is_in).collect());
        let idle = samples.iter().filter(|sample| sample.0 + sample.1 <= from).collect();
        let (idle, idle_count) = of(idle);
        let load_ms = (until - from).as_secs_f64() * 1e3;
        let line = format!(
            "{number:>5}  {:>8.0}  {:>8.0}  {:>10.0}  {:>8.0}  {:>5.2}  {:>8}  {load_ms:>7.0}",
            idle[0],
            idle[1],
            reload[0],
            reload[1],
            reload[1] / idle[1],
            format!("{idle_count}+{reload_count}"),
        );
        (Round { idle, reload, load_ms }, line)
    }

    /// Puts the next list in place and waits until it is in force.
    fn reload(&self, number: u64) -> (Instant, Instant) {
        let next = self.folder.join(format!("{number}.crl"));
        let from = Instant::now();
        fs::rename(next, self.folder.join("crls/ca.crl")).expect("rename");
        let wanted = format!("\ncertgate_crl_entries {}\n", self.entries + number);
        while !self.metrics().contains(&wanted) {
            assert!(from.elapsed() < DEADLINE, "the list has not come into force");
            std::thread::sleep(POLL);
        }
        (from, Instant::now())
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.ops).expect("ops");
        let request = b"GET /metrics HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n";
        stream.write_all(request).expect("write");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("read");
        text
    }

    /// One connection's share of the requests; every answer must be alice.
    fn ask(&self, request: &[u8], over: &AtomicBool) -> Vec<Sample> {
        let mut stream = TcpStream::connect(&self.auth).expect("auth");
        stream.set_nodelay(true).expect("nodelay");
        let pause = (self.rate > 0)
            .then(|| Duration::from_secs(self.connections).div_f64(self.rate as f64));
        let mut samples = Vec::new();
        let mut buffer = [0; 4096];
        while !over.load(Ordering::Relaxed) {
            let at = Instant::now();
            stream.write_all(request).expect("write");
            let mut filled = 0;
            while !buffer[..filled].ends_with(b"\r\n\r\n") {
                let read = stream.read(&mut buffer[filled..]).expect("read");
                assert!(read > 0, "the connection was closed");
                filled += read;
            }
            let took = at.elapsed();
            assert!(buffer.starts_with(b"HTTP/1.1 200 "), "an answer was no");
            samples.push((at, took));
            if let Some(pause) = pause.and_then(|pause| pause.checked_sub(took)) {
                std::thread::sleep(pause);
            }
        }
        samples
    }

    /// Resident memory of the server, now and at its highest.
    fn resident(&self) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("status");
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
            let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok());
            kib.expect("KiB") / 1024.0
        };
        format!("{:.1} MiB, at its highest {:.1} MiB", mib("VmRSS:"), mib("VmHWM:"))
    }
}

/// As nginx writes `$ssl_client_escaped_cert`.
fn escaped(pem: &str) -> String {
    percent_encoding::utf8_percent_encode(pem, percent_encoding::NON_ALPHANUMERIC).to_string()
}
