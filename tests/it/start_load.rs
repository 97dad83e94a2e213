//! A start reads everything before it decides anything: where that takes a while, whoever asks is
//! told so at once.
//!
//! A table that somebody else has locked holds the first load up for as long as a test needs.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use certgate::cli::demo::programs;

use crate::support::certgate::{Certgate, program, question, reason_of};
use crate::support::database::{Database, Kind, OpenShell};
use crate::support::pki::{Issued, Issuer};
use crate::support::running::Running;

/// Longest wait for anything here.
const DEADLINE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Until it holds.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "{what}: not after {DEADLINE:?}");
        thread::sleep(PAUSE);
    }
}

/// Somebody whose transaction lets nobody read the mappings until it ends.
fn locked(database: &Database) -> OpenShell {
    let mut shell = database.open_shell();
    shell.send("begin; lock table mapping in access exclusive mode;");
    let locks = "select count(*) from pg_locks where relation = 'mapping'::regclass
                 and mode = 'AccessExclusiveLock' and granted";
    wait_until("the table is locked", || database.sql(locks) == "1");
    shell
}

/// Until the service waits for the lock.
fn wait_for_load(database: &Database) {
    let waits = "select count(*) from pg_locks where relation = 'mapping'::regclass
                 and mode = 'AccessShareLock' and not granted";
    wait_until("the service reads the mappings", || database.sql(waits) == "1");
}

#[test]
fn until_everything_is_read_the_answer_is_not_ready() {
    let database = Database::empty(Kind::Postgres);
    let folder = tempfile::tempdir().unwrap();
    let alice = Issuer::root(folder.path(), "Example CA").client("alice");
    let certgate = Certgate::start_on(&database);
    certgate.run(&["user", "add", "alice"]);
    certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    certgate.wait_for_reason(&alice, "mapped");
    certgate.stop();

    let mut lock = locked(&database);
    let notify = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut command = programs::certgate(&program(), &certgate.config());
    command.arg("serve").env("NOTIFY_SOCKET", folder.path().join("notify"));
    let _running = Running::start(command.stderr(Stdio::null()));
    wait_for_load(&database);
    assert_eq!(certgate.reason(&alice), "not_ready");
    let readyz = certgate.readyz();
    assert_eq!(readyz["ready"], false, "{readyz}");
    assert_eq!(readyz["reason"], "not_ready", "{readyz}");
    assert!(certgate.ask_ops("/healthz").starts_with("HTTP/1.1 200 "));
    assert!(certgate.metric("certgate_directory_age_seconds").is_infinite());

    // Whoever starts after us starts once we can decide.
    notify.set_nonblocking(true).unwrap();
    assert_eq!(notify.recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::WouldBlock);
    notify.set_nonblocking(false).unwrap();
    lock.send("commit;");
    certgate.wait_for_reason(&alice, "mapped");
    let mut message = [0; 64];
    let length = notify.recv(&mut message).unwrap();
    assert!(message[..length].starts_with(b"READY=1"), "{:?}", &message[..length]);
    assert_eq!(certgate.readyz()["ready"], true);
    assert!(certgate.metric("certgate_directory_age_seconds").is_finite());
}

/// What somebody is told who asks on a socket before the service that inherits it is there.
fn asked_before_the_start(certgate: &Certgate, certificate: &Issued) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(question(certificate).as_bytes()).unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null"])
        .arg(program())
        .arg("--config")
        .arg(certgate.config())
        .arg("serve")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "auth")
        .stdin(Stdio::from(OwnedFd::from(socket)));
    let _running = Running::start(command.stderr(Stdio::null()));
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    reason_of(&answer)
}

#[test]
fn a_restart_on_an_inherited_socket_that_loads_fast_refuses_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let alice = Issuer::root(folder.path(), "Example CA").client("alice");
    let certgate = Certgate::start();
    certgate.run(&["user", "add", "alice"]);
    certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    certgate.stop();
    // On a busy machine a start may take longer than nginx would wait; not each time.
    let mut answers = (0..5).map(|_| asked_before_the_start(&certgate, &alice));
    assert!(answers.any(|answer| answer == "mapped"), "always refused");
}

#[test]
fn a_service_that_is_stopped_while_it_loads_ends_as_it_should() {
    let database = Database::empty(Kind::Postgres);
    let certgate = Certgate::start_on(&database);
    certgate.stop();
    let _lock = locked(&database);
    let running = Running::of(&certgate);
    wait_for_load(&database);
    running.terminate();
    let (status, log) = running.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn what_may_not_be_read_ends_a_start_that_answers_already() {
    let database = Database::empty(Kind::Postgres);
    let certgate = Certgate::start_on(&database);
    certgate.stop();
    let mut lock = locked(&database);
    let running = Running::of(&certgate);
    wait_for_load(&database);
    assert_eq!(certgate.readyz()["reason"], "not_ready");
    lock.send("alter table mapping rename column serial to number; commit;");
    let (status, log) = running.wait();
    assert_eq!(status.code(), Some(2), "{log}");
    let complaints: Vec<&str> = log.lines().filter(|line| line.starts_with("certgate: ")).collect();
    assert_eq!(complaints.len(), 1, "{log}");
    assert!(complaints[0].contains("cannot be used"), "{log}");
}
