//! What `benches/flood/run` needs besides certgate: certificates, a flood, and the time that another
//! user's requests take meanwhile.
//!
//!   flood people FOLDER                    alice's certificate, and one that strangers are made of
//!   flood measure AUTH FOLDER COUNT PID    COUNT different strangers
//!   flood strike AUTH FILE FIRST COUNT RATE   what `measure` starts: COUNT requests, RATE a second
//!                                          (0: as fast as they are answered), from number FIRST on
//!
//! The flood stands for other machines, so it is a process of its own at the lowest priority. It
//! asks as nginx does: over some connections, one question at a time on each.

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
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};

/// Where strangers differ: the first four octets of it are their number.
const SERIAL: &[u8] = b"\x41serial.";
/// The other user asks so often.
const PAUSE: Duration = Duration::from_millis(2);
/// The whole is done so often; on two cores the system's scheduler alone makes single rounds differ.
const ROUNDS: usize = 7;
/// For so long each time, before and between the floods.
const STRETCH: Duration = Duration::from_secs(5);
/// Flooding connections.
const CONNECTIONS: u32 = 16;
/// The rate of strangers that leaves the cores idle for most of the time.
const STEADY: u32 = 2000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["people", folder] => make_people(Path::new(folder)),
        ["measure", auth, folder, count, pid] => {
            let alice = fs::read(Path::new(folder).join("alice.der")).expect("alice.der");
            measure(auth, &alice, Path::new(folder), count.parse().expect("a number"), pid);
        }
        ["strike", auth, file, first, count, rate] => {
            let [first, count, rate] = [first, count, rate].map(|n| n.parse().expect("a number"));
            strike(auth, &fs::read(file).expect("FILE"), first, count, rate);
        }
        _ => panic!("people FOLDER | measure AUTH FOLDER COUNT PID"),
    }
}

fn make_people(folder: &Path) {
    for (name, serial) in [("alice", &b"\x5a\x01"[..]), ("stranger", SERIAL)] {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from_slice(serial));
        let certificate = params.self_signed(&KeyPair::generate().expect("key")).expect("signed");
        fs::write(folder.join(format!("{name}.der")), certificate.der()).expect("write");
    }
}

/// As nginx asks.
fn request(der: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(der).replace('+', "%2B").replace('=', "%3D").replace('/', "%2F");
    format!(
        "GET /auth HTTP/1.1\r\nHost: certgate\r\nX-SSL-Client-Verify: SUCCESS\r\n\
         X-SSL-Client-Cert: -----BEGIN%20CERTIFICATE-----%0A{text}%0A-----END%20CERTIFICATE-----%0A\r\n\r\n"
    )
    .into_bytes()
}

fn measure(auth: &str, alice: &[u8], folder: &Path, count: u32, pid: &str) {
    let alice = request(alice);
    let steady = STEADY * u32::try_from(STRETCH.as_secs()).expect("seconds");
    let floods = [
        ("one known certificate, steady", "alice.der", steady, STEADY),
        ("different strangers, steady", "stranger.der", steady, STEADY),
        ("one known certificate, as fast as possible", "alice.der", count, 0),
        ("different strangers, as fast as possible", "stranger.der", count, 0),
    ];
    println!("alice asks 500 times a second, {ROUNDS} rounds; resident {}", resident(pid));
    let mut first = 0;
    let mut idle = Vec::new();
    let mut rounds = vec![Vec::new(); floods.len()];
    for _ in 0..ROUNDS {
        let alone = watch(auth, &alice, || std::thread::sleep(STRETCH));
        idle.push([alone.0, alone.1, 1.0, 0.0]);
        for ((_, file, count, rate), round) in floods.iter().zip(&mut rounds) {
            let began = Instant::now();
            let times = watch(auth, &alice, || {
                let done = Command::new("nice")
                    .args(["-n", "19"])
                    .arg(std::env::current_exe().expect("this program"))
                    .args(["strike", auth])
                    .arg(folder.join(file))
                    .args([first, *count, *rate].map(|number: u32| number.to_string()))
                    .status();
                assert!(done.expect("nice").success(), "the flood failed");
            });
            let rate = f64::from(*count) / began.elapsed().as_secs_f64();
            round.push([times.0, times.1, times.1 / alone.1, rate]);
            // Strangers never come twice.
            first += count;
        }
    }
    println!("{:<44} p50 us  p99 us  of nobody else's p99 (worst)  requests/s", "medians");
    tell("nobody else", &idle);
    for ((what, ..), round) in floods.iter().zip(&rounds) {
        tell(what, round);
    }
    println!("resident {}", resident(pid));
}

fn tell(what: &str, rounds: &[[f64; 4]]) {
    let of = |column: usize| {
        let mut values: Vec<f64> = rounds.iter().map(|round| round[column]).collect();
        values.sort_by(f64::total_cmp);
        (values[values.len() / 2], values[values.len() - 1])
    };
    let ((p50, _), (p99, _), (ratio, worst), (rate, _)) = (of(0), of(1), of(2), of(3));
    println!("{what:<44} {p50:>6.0}  {p99:>6.0}  {ratio:>6.2} ({worst:.2}) {rate:>23.0}");
}

/// Microseconds, p50 and p99, of alice's answers while the other thing goes on.
fn watch(auth: &str, alice: &[u8], meanwhile: impl FnOnce()) -> (f64, f64) {
    let over = AtomicBool::new(false);
    let mut times = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut stream = TcpStream::connect(auth).expect("auth");
            stream.set_nodelay(true).expect("nodelay");
            let mut times = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let at = Instant::now();
                stream.write_all(alice).expect("write");
                assert_eq!(answer(&mut stream), Some(true), "alice was kept out");
                times.push(at.elapsed().as_secs_f64() * 1e6);
                std::thread::sleep(PAUSE);
            }
            times
        });
        meanwhile();
        over.store(true, Ordering::Relaxed);
        asking.join().expect("asked")
    });
    times.sort_by(f64::total_cmp);
    assert!(times.len() > 100, "only {} requests: not enough for p99", times.len());
    (times[times.len() / 2], times[(times.len() - 1) * 99 / 100])
}

/// So many requests over several connections. Certificates that hold [`SERIAL`] are each another one.
fn strike(auth: &str, der: &[u8], first: u32, count: u32, rate: u32) {
    let at = der.windows(SERIAL.len()).position(|part| part == SERIAL);
    let next = AtomicU32::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(auth).expect("auth");
                stream.set_nodelay(true).expect("nodelay");
                let mut der = der.to_vec();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    if let Some(at) = at {
                        let serial = (first + number) | 0x4000_0000;
                        der[at..at + 4].copy_from_slice(&serial.to_be_bytes());
                    }
                    if rate > 0 {
                        let due = Duration::from_secs_f64(f64::from(number) / f64::from(rate));
                        std::thread::sleep(due.saturating_sub(began.elapsed()));
                    }
                    stream.write_all(&request(&der)).expect("write");
                    assert!(answer(&mut stream).is_some(), "some other answer");
                }
            });
        }
    });
}

/// Reads one answer: whether it is 200; none if it is neither that nor 401.
fn answer(stream: &mut TcpStream) -> Option<bool> {
    let (mut text, mut buffer) = (Vec::new(), [0; 4 * 1024]);
    while !text.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer).expect("read");
        assert!(read > 0, "the connection was closed");
        text.extend_from_slice(&buffer[..read]);
    }
    match text.get(..13)? {
        b"HTTP/1.1 200 " => Some(true),
        b"HTTP/1.1 401 " => Some(false),
        _ => None,
    }
}

fn resident(pid: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().to_owned()
}
