//! How long a revocation takes: from the statement in the stock shell to the first 401 that each of
//! three certgates brings about, through its own nginx, under a load of 2,000 requests a second.
//!
//! Not run with the others; `docs/performance.md` has the command. `CERTGATE_LATENCY=1000` revokes
//! as often as that (20 times without it), `CERTGATE_LATENCY_ROWS=1000000` puts so many other mappings
//! beside, and `CERTGATE_LATENCY_LOAD=300` is another load, for which the limit of an idle machine
//! holds. It prints what it found.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::certgate::Certgate;
use crate::support::database::{Database, Kind};
use crate::support::nginx::{Nginx, Site};
use crate::support::pki::{Issued, Issuer};
use crate::support::tls::{TlsVersion, caller};

/// Followers of one database.
const FOLLOWERS: usize = 3;
/// The load that the figures are for, in requests a second of all.
const LOAD: usize = 2_000;
/// Tries in a hundred: callers that are late now and then reach the load all the same.
const TRIES: usize = 110;
/// A line for each refusal is a gigabyte here, and the disk is PostgreSQL's too.
const QUIET: &str = "log.filter = \"warn\"\n";
/// Longest wait for one change.
const DEADLINE: Duration = Duration::from_secs(60);
/// What half of all revocations, and 99 of 100, may take under that load.
const P50: Duration = Duration::from_millis(20);
const P99: Duration = Duration::from_millis(250);
/// The same 99 of 100 on a machine that does nearly nothing else.
const P99_IDLE: Duration = Duration::from_millis(50);

/// One certgate's answers, as somebody sees them who asks all the time.
struct Watched {
    /// The last status that was news, and when it came.
    last: Mutex<(u16, Instant)>,
    requests: AtomicU64,
}

#[expect(clippy::disallowed_methods, reason = "how often, only the caller can say")]
fn asked(variable: &str, otherwise: usize) -> usize {
    let text = std::env::var(variable).ok();
    text.map_or(otherwise, |text| text.parse().expect("a number"))
}

fn load() -> usize {
    asked("CERTGATE_LATENCY_LOAD", LOAD)
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
    let ca = Issuer::root(folder.path(), "Example CA");
    let alice = ca.client("alice");
    let more = (1..FOLLOWERS).map(|_| start_beside_many(&database));
    let certgates: Vec<Certgate> = std::iter::once(first).chain(more).collect();
    certgates[0].run(&["user", "add", "alice"]);
    certgates[0].run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    let nginxes: Vec<Nginx> =
        certgates.iter().map(|one| Nginx::start(&Site::Example, one.auth(), &ca)).collect();
    let watched: Vec<Watched> = certgates.iter().map(|_| Watched::new()).collect();
    let ends = AtomicBool::new(false);
    let started = Instant::now();
    let times = thread::scope(|scope| {
        for (nginx, watched) in nginxes.iter().zip(&watched) {
            let (alice, ends) = (&alice, &ends);
            scope.spawn(move || watched.ask(nginx, alice, ends));
        }
        let work = std::panic::AssertUnwindSafe(|| revoke(&database, &watched));
        let times = std::panic::catch_unwind(work);
        ends.store(true, Ordering::Relaxed);
        times.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let requests: u64 = watched.iter().map(|one| one.requests.load(Ordering::Relaxed)).sum();
    judge(kind, times, requests, started.elapsed());
}

/// Another certgate, once it has read all that is there.
fn start_beside_many(database: &Database) -> Certgate {
    let certgate = Certgate::launch_at(database.secret_url(), QUIET);
    let began = Instant::now();
    while certgate.readyz()["ready"] != true {
        assert!(began.elapsed() < DEADLINE, "not loaded after {DEADLINE:?}");
        thread::sleep(Duration::from_millis(10));
    }
    certgate
}

/// How long each revocation took for each follower.
fn revoke(database: &Database, watched: &[Watched]) -> Vec<Duration> {
    let mut shell = database.open_shell();
    let mut times = Vec::new();
    for one in watched {
        one.wait_for(200);
    }
    for _ in 0..asked("CERTGATE_LATENCY", 20) {
        let sent = Instant::now();
        shell.send(
            "update mapping set revoked_at = '2020-01-01T00:00:00Z' where username = 'alice';",
        );
        for one in watched {
            times.push(one.wait_for(401).saturating_duration_since(sent));
        }
        shell.send("update mapping set revoked_at = null where username = 'alice';");
        for one in watched {
            one.wait_for(200);
        }
    }
    times
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn judge(kind: Kind, mut times: Vec<Duration>, requests: u64, took: Duration) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    #[expect(clippy::cast_precision_loss, reason = "some millions at most")]
    let rate = requests as f64 / took.as_secs_f64();
    let (p50, p99, most) = (at(50), at(99), at(100));
    println!(
        "{kind:?}: {} times, p50 {p50:?}, p99 {p99:?}, most {most:?}; {rate:.0} requests/s",
        times.len()
    );
    if asked("CERTGATE_LATENCY", 0) == 0 {
        // An unoptimised build on a busy machine shows only that nothing waits for a poll.
        assert!(p50 < Duration::from_millis(500), "{p50:?}");
    } else {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let wanted = load() as f64;
        assert!(rate >= wanted, "the load was {rate:.0}/s");
        assert!(p99 <= if load() < LOAD { P99_IDLE } else { P99 }, "{p99:?}");
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
        if kind == Kind::Postgres {
            // Otherwise it goes on with what so many new rows leave to be done.
            database.sql("vacuum analyze;");
            database.sql("checkpoint;");
        }
    }
}

impl Watched {
    fn new() -> Self {
        Self { last: Mutex::new((0, Instant::now())), requests: AtomicU64::new(0) }
    }

    /// Asks at its pace until it ends.
    fn ask(&self, nginx: &Nginx, certificate: &Issued, ends: &AtomicBool) {
        let caller = caller(nginx, Some(certificate), TlsVersion::Tls13);
        let mut session = None;
        let mut due = Instant::now();
        let tries = u32::try_from(load() * TRIES / 100).unwrap();
        let pace = Duration::from_secs(1) * u32::try_from(FOLLOWERS).unwrap() / tries;
        while !ends.load(Ordering::Relaxed) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            // Who is late catches up, but not on all of a long pause.
            due = (due + pace).max(Instant::now() - 10 * pace);
            let open = session.get_or_insert_with(|| caller.connect().unwrap());
            // nginx closes a connection after a thousand requests.
            let Ok(answer) = open.get("/", &[]) else {
                session = None;
                continue;
            };
            let came = Instant::now();
            self.requests.fetch_add(1, Ordering::Relaxed);
            if answer.header("connection").is_some_and(|word| word == "close") {
                session = None;
            }
            let mut last = self.last.lock().unwrap();
            if last.0 != answer.status {
                *last = (answer.status, came);
            }
        }
    }

    /// When the answer became this one.
    fn wait_for(&self, status: u16) -> Instant {
        let began = Instant::now();
        loop {
            let (last, came) = *self.last.lock().unwrap();
            if last == status {
                return came;
            }
            assert!(began.elapsed() < DEADLINE, "{last} and not {status}");
            thread::sleep(Duration::from_micros(200));
        }
    }
}
