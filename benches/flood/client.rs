//! What `benches/flood/run` needs besides certgate: certificates, and the time that another user's
//! requests take while strangers come as fast as they are answered.
//!
//!   flood people FOLDER                   alice's certificate, and one that strangers are made of
//!   flood measure AUTH FOLDER COUNT PID   COUNT different strangers

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
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};

/// Where strangers differ: the first four octets of it are their number.
const SERIAL: &[u8] = b"\x41serial.";
/// The other user asks so often.
const PAUSE: Duration = Duration::from_millis(2);
/// For so long each time, before and between the floods.
const STRETCH: Duration = Duration::from_secs(5);
/// Requests that one flooding connection sends before it reads their answers.
const AT_ONCE: u32 = 20;
/// Flooding connections.
const CONNECTIONS: usize = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["people", folder] => make_people(Path::new(folder)),
        ["measure", auth, folder, count, pid] => {
            let alice = fs::read(Path::new(folder).join("alice.der")).expect("alice.der");
            let stranger = fs::read(Path::new(folder).join("stranger.der")).expect("stranger.der");
            let count = count.parse().expect("a number");
            measure(auth, &alice, &stranger, count, pid);
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

fn measure(auth: &str, alice: &[u8], stranger: &[u8], count: u32, pid: &str) {
    let alice = request(alice);
    println!("alice asks 500 times a second; resident {}", resident(pid));
    let idle = watch(auth, &alice, || std::thread::sleep(STRETCH));
    println!("nobody else:             p50 {:>6.0} us  p99 {:>6.0} us", idle.0, idle.1);
    let known = watch(auth, &alice, || flood(auth, count, &|_| alice.clone()));
    println!("one known certificate:   p50 {:>6.0} us  p99 {:>6.0} us", known.0, known.1);
    let at = stranger.windows(SERIAL.len()).position(|part| part == SERIAL).expect("the serial");
    let one = |number: u32| {
        let mut der = stranger.to_vec();
        der[at..at + 4].copy_from_slice(&(number | 0x4000_0000).to_be_bytes());
        request(&der)
    };
    let began = Instant::now();
    let strangers = watch(auth, &alice, || flood(auth, count, &one));
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    println!("{count} strangers:        p50 {:>6.0} us  p99 {:>6.0} us", strangers.0, strangers.1);
    println!(
        "p99: {:.2} of nobody else's, {:.2} of the known one's; {rate:.0} strangers/s; resident {}",
        strangers.1 / idle.1,
        strangers.1 / known.1,
        resident(pid)
    );
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
                assert_eq!(answers(&mut stream, 1), (1, 0), "alice was kept out");
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

/// So many requests over several connections, as fast as they are answered.
fn flood(auth: &str, count: u32, one: &(dyn Fn(u32) -> Vec<u8> + Sync)) {
    let next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(auth).expect("auth");
                loop {
                    let first = next.fetch_add(AT_ONCE, Ordering::Relaxed);
                    if first >= count {
                        return;
                    }
                    let requests: Vec<u8> = (first..first + AT_ONCE).flat_map(one).collect();
                    stream.write_all(&requests).expect("write");
                    let (allowed, denied) = answers(&mut stream, AT_ONCE as usize);
                    assert_eq!(allowed + denied, AT_ONCE as usize, "some other answer");
                }
            });
        }
    });
}

/// Reads so many answers; how many were 200, and how many 401.
fn answers(stream: &mut TcpStream, wanted: usize) -> (usize, usize) {
    let (mut text, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    let count =
        |text: &[u8], what: &[u8]| text.windows(what.len()).filter(|part| *part == what).count();
    while count(&text, b"\r\n\r\n") < wanted {
        let read = stream.read(&mut buffer).expect("read");
        assert!(read > 0, "the connection was closed");
        text.extend_from_slice(&buffer[..read]);
    }
    (count(&text, b"HTTP/1.1 200 "), count(&text, b"HTTP/1.1 401 "))
}

fn resident(pid: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().to_owned()
}
