//! How long a revocation takes: from the statement in the stock shell to the first 401 of each of
//! three certgates, while they answer as fast as they can be asked.
//!
//! Not run with the others; `docs/performance.md` has the command. `CERTGATE_LATENCY=1000` revokes as often as that (20 times without it), and
//! `CERTGATE_LATENCY_ROWS=1000000` puts so many other mappings beside; both print what they found.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::certgate::Certgate;
use crate::support::database::{Database, Kind};
use crate::support::pki::{Issued, Issuer};

/// Followers of one database.
const FOLLOWERS: usize = 3;
/// A line for each refusal is a gigabyte here, and the disk is PostgreSQL's too.
const QUIET: &str = "log.filter = \"warn\"\n";
/// Longest wait for one change.
const DEADLINE: Duration = Duration::from_secs(60);
/// What half of all revocations, and 99 of 100, may take under load.
const P50: Duration = Duration::from_millis(20);
const P99: Duration = Duration::from_millis(250);

/// One certgate's answers, as somebody sees them who asks all the time.
struct Watched {
    /// The last code that was news, and when it came.
    last: Mutex<(String, Instant)>,
    requests: AtomicU64,
}

#[expect(clippy::disallowed_methods, reason = "how often, only the caller can say")]
fn asked(variable: &str, otherwise: usize) -> usize {
    let text = std::env::var(variable).ok();
    text.map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
#[ignore = "a measurement, for a quiet machine and a release build: see docs/performance.md"]
fn a_revocation_on_postgres_is_there_at_once_for_every_follower() {
    measure(Kind::Postgres);
}

#[test]
#[ignore = "a measurement, for a quiet machine and a release build: see docs/performance.md"]
fn a_revocation_on_sqlite_is_there_at_once_for_every_follower() {
    measure(Kind::Sqlite);
}

fn measure(kind: Kind) {
    let database = Database::empty(kind);
    // The first one makes the tables.
    let first = Certgate::start_on_with(&database, QUIET);
    fill(&database, kind, asked("CERTGATE_LATENCY_ROWS", 0));
    let folder = tempfile::tempdir().unwrap();
    let alice = Issuer::root(folder.path(), "Example CA").client("alice");
    let more = (1..FOLLOWERS).map(|_| Certgate::start_on_with(&database, QUIET));
    let certgates: Vec<Certgate> = std::iter::once(first).chain(more).collect();
    certgates[0].run(&["user", "add", "alice"]);
    certgates[0].run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    let watched: Vec<Watched> = certgates.iter().map(|_| Watched::new()).collect();
    let ends = AtomicBool::new(false);
    let times = thread::scope(|scope| {
        for (certgate, watched) in certgates.iter().zip(&watched) {
            let (auth, alice, ends) = (certgate.auth(), &alice, &ends);
            scope.spawn(move || watched.ask(auth, alice, ends));
        }
        let work = std::panic::AssertUnwindSafe(|| revoke(&database, &watched));
        let times = std::panic::catch_unwind(work);
        ends.store(true, Ordering::Relaxed);
        times.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    judge(kind, times, &watched);
}

/// How long each revocation took for each follower.
fn revoke(database: &Database, watched: &[Watched]) -> Vec<Duration> {
    let mut shell = database.open_shell();
    let mut times = Vec::new();
    for one in watched {
        one.wait_for("mapped");
    }
    for _ in 0..asked("CERTGATE_LATENCY", 20) {
        let sent = Instant::now();
        shell.send(
            "update mapping set revoked_at = '2020-01-01T00:00:00Z' where username = 'alice';",
        );
        for one in watched {
            times.push(one.wait_for("mapping_revoked").saturating_duration_since(sent));
        }
        shell.send("update mapping set revoked_at = null where username = 'alice';");
        for one in watched {
            one.wait_for("mapped");
        }
    }
    times
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn judge(kind: Kind, mut times: Vec<Duration>, watched: &[Watched]) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let requests: u64 = watched.iter().map(|one| one.requests.load(Ordering::Relaxed)).sum();
    let (p50, p99, most) = (at(50), at(99), at(100));
    println!(
        "{kind:?}: {} times, p50 {p50:?}, p99 {p99:?}, most {most:?}; {requests} requests",
        times.len()
    );
    if cfg!(debug_assertions) {
        // An unoptimised build on a busy machine shows only that nothing waits for a poll.
        assert!(p50 < Duration::from_millis(500), "{p50:?}");
    } else {
        assert!(p99 <= P99, "{p99:?}");
        assert!(kind == Kind::Sqlite || p50 <= P50, "{p50:?}");
    }
}

/// Other people's rows.
fn fill(database: &Database, kind: Kind, rows: usize) {
    let (numbers, serial) = match kind {
        Kind::Postgres => {
            (format!("select i from generate_series(1, {rows}) i"), "right('0000000' || i, 8)")
        }
        Kind::Sqlite => (
            format!(
                "with recursive n (i) as (select 1 union all select i + 1 from n where i < {rows}) \
                 select i from n"
            ),
            "substr('0000000' || i, -8)",
        ),
    };
    if rows > 0 {
        database.sql(&format!(
            "insert into app_user (username) select 'user' || i from ({numbers}) numbers;
             insert into mapping (username, issuer, serial)
             select 'user' || i, 'CN=Example CA,O=Example,C=FR', 'AB' || {serial}
             from ({numbers}) numbers;"
        ));
    }
}

impl Watched {
    fn new() -> Self {
        let last = Mutex::new((String::new(), Instant::now()));
        Self { last, requests: AtomicU64::new(0) }
    }

    /// Asks over one connection until it ends.
    fn ask(&self, auth: SocketAddr, certificate: &Issued, ends: &AtomicBool) {
        let mut stream = TcpStream::connect(auth).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let request = format!(
            "GET /auth HTTP/1.1\r\nHost: certgate\r\nX-SSL-Client-Verify: SUCCESS\r\n\
             X-SSL-Client-Cert: {}\r\n\r\n",
            certificate.escaped()
        );
        let mut buffer = vec![0; 16 * 1024];
        while !ends.load(Ordering::Relaxed) {
            stream.write_all(request.as_bytes()).unwrap();
            let mut length = 0;
            while !buffer[..length].ends_with(b"\r\n\r\n") {
                let more = stream.read(&mut buffer[length..]).unwrap();
                assert!(more > 0, "the connection was closed");
                length += more;
            }
            let came = Instant::now();
            let answer = String::from_utf8_lossy(&buffer[..length]).to_lowercase();
            let (_, code) = answer.split_once("x-auth-reason: ").unwrap();
            let code = code.lines().next().unwrap();
            self.requests.fetch_add(1, Ordering::Relaxed);
            let mut last = self.last.lock().unwrap();
            if last.0 != code {
                *last = (code.to_owned(), came);
            }
        }
    }

    /// When the answer became this one.
    fn wait_for(&self, code: &str) -> Instant {
        let began = Instant::now();
        loop {
            let (last, came) = self.last.lock().unwrap().clone();
            if last == code {
                return came;
            }
            assert!(began.elapsed() < DEADLINE, "{last} and not {code}");
            thread::sleep(Duration::from_micros(200));
        }
    }
}
