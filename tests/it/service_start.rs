//! What keeps the service from starting: one clear line each, and exit code 2.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::support::certgate::{free_addresses, program};
use super::support::running::Running;

/// A folder and the settings of a service that is about to be started there.
struct Start {
    folder: TempDir,
    settings: Vec<(String, String)>,
}

impl Start {
    fn new() -> Self {
        let [auth, ops] = free_addresses();
        let start = Self { folder: tempfile::tempdir().unwrap(), settings: Vec::new() };
        let database = start.path("certgate.db");
        start
            .with("AUTH__LISTEN", &auth.to_string())
            .with("OPS__LISTEN", &ops.to_string())
            .with("DATABASE__URL", &format!("sqlite://{database}"))
            .with("LOG__FORMAT", "text")
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        let name = format!("CERTGATE_{key}");
        self.settings.retain(|(other, _)| *other != name);
        self.settings.push((name, value.to_owned()));
        self
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.env_clear().current_dir(self.folder.path()).args(arguments);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Runs the service, which must refuse, and gives back its one line.
    fn refusal(&self) -> String {
        refusal(&self.command(&["serve"]).output().unwrap())
    }
}

fn refusal(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("certgate: ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(!text.contains("panicked"), "{text}");
    lines[0].to_owned()
}

fn assert_says(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = Start::new().with("AUTH__LISTEN", &address).refusal();
    assert_says(&line, &["auth.listen", &address, "in use"]);
}

#[test]
fn an_unsafe_address_is_refused_with_the_remedies() {
    let line = Start::new().with("AUTH__LISTEN", "0.0.0.0:0").refusal();
    assert_says(&line, &["auth.listen", "proxy.trusted", "proxy.secret_file", "unix:"]);
}

#[test]
fn a_socket_path_that_is_too_long_is_refused_with_the_limit() {
    let start = Start::new();
    let path = format!("unix:{}", start.path(&"s".repeat(120)));
    assert_says(&start.with("AUTH__LISTEN", &path).refusal(), &["auth.listen", "107"]);
}

#[test]
fn a_live_socket_in_the_way_is_left_alone() {
    let start = Start::new();
    let path = start.path("auth.sock");
    let live = UnixListener::bind(&path).unwrap();
    let start = start.with("AUTH__LISTEN", &format!("unix:{path}"));
    assert_says(&start.refusal(), &["auth.listen", "already listens", &path]);
    drop(live);
}

#[test]
fn an_unknown_setting_is_named_with_a_suggestion() {
    let line = Start::new().with("AUTH__LISTN", "127.0.0.1:1").refusal();
    assert_says(&line, &["CERTGATE_AUTH__LISTN", "CERTGATE_AUTH__LISTEN"]);
}

#[test]
fn a_bad_name_among_the_issuers_is_shown() {
    let line = Start::new().with("IDENTITY__ISSUERS", "CN=Example CA,Nope").refusal();
    assert_says(&line, &["identity.issuers", "CN=Example CA,Nope"]);
}

#[test]
fn an_unreadable_file_is_named() {
    let start = Start::new();
    let path = start.path("missing.toml");
    let output = start.command(&["--config", &path, "serve"]).output().unwrap();
    assert_says(&refusal(&output), &["missing.toml", "No such file"]);
    let secret = start.path("secret");
    std::fs::write(&secret, "0123456789abcdef").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let line = start.with("PROXY__SECRET_FILE", &secret).refusal();
    assert_says(&line, &["proxy.secret_file", "secret"]);
}

#[test]
fn a_database_that_does_not_answer_is_named_without_its_password() {
    let closed = free_addresses::<1>()[0];
    let url = format!("postgres://certgate:hunter22@{closed}/certgate");
    let line = Start::new().with("DATABASE__URL", &url).refusal();
    assert_says(&line, &[&closed.to_string(), "cannot be reached"]);
    assert!(!line.contains("hunter22"), "{line}");
}

#[test]
fn a_file_that_is_no_database_is_left_as_it_is() {
    let start = Start::new();
    std::fs::write(start.path("certgate.db"), "not a database, but precious").unwrap();
    assert_says(&start.refusal(), &["certgate.db", "not a SQLite database"]);
    assert_eq!(
        std::fs::read_to_string(start.path("certgate.db")).unwrap(),
        "not a database, but precious"
    );
}

#[test]
fn a_schema_of_a_newer_program_is_refused() {
    let start = Start::new();
    assert!(start.command(&["migrate"]).status().unwrap().success());
    let newer = "update certgate_schema set version = 1000, compatible_from = 1000";
    let shell = Command::new("sqlite3").arg(start.path("certgate.db")).arg(newer).status();
    assert!(shell.unwrap().success());
    assert_says(&start.refusal(), &["1000", "upgrade certgate"]);
}

#[test]
fn a_command_creates_no_database() {
    let start = Start::new();
    let output = start.command(&["user", "list"]).output().unwrap();
    assert_says(&refusal(&output), &["certgate.db", "--config"]);
    assert!(!std::path::Path::new(&start.path("certgate.db")).exists());
}

#[test]
fn the_service_manager_is_told_of_the_start_and_of_the_end() {
    let start = Start::new();
    let notify = UnixDatagram::bind(start.path("notify")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = start.command(&["serve"]);
    command.env("NOTIFY_SOCKET", start.path("notify")).stderr(Stdio::null());
    let running = Running::start(&mut command);
    let mut message = [0; 256];
    let mut next = || {
        let length = notify.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    assert!(next().contains("READY=1"));
    running.terminate();
    assert!(next().contains("STOPPING=1"));
    assert_eq!(running.wait().0.code(), Some(0));
}

#[test]
fn a_unix_socket_has_its_mode_and_goes_with_the_service() {
    use std::io::{Read as _, Write as _};
    let start = Start::new();
    let path = start.path("auth.sock");
    let start =
        start.with("AUTH__LISTEN", &format!("unix:{path}")).with("AUTH__SOCKET_MODE", "0600");
    let notify = UnixDatagram::bind(start.path("notify")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = start.command(&["serve"]);
    command.env("NOTIFY_SOCKET", start.path("notify")).stderr(Stdio::null());
    let running = Running::start(&mut command);
    notify.recv(&mut [0; 64]).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.to_lowercase().contains("x-auth-reason: no_certificate"), "{answer}");
    running.terminate();
    assert_eq!(running.wait().0.code(), Some(0));
    assert!(!std::path::Path::new(&path).exists(), "the socket's file is gone");
}

#[test]
fn a_denial_is_one_line_with_what_helps_and_nothing_raw() {
    use std::io::{Read as _, Write as _};
    let start = Start::new().with("LOG__FORMAT", "json");
    let address = start.settings.iter().find(|(name, _)| name == "CERTGATE_AUTH__LISTEN").unwrap();
    let address = address.1.clone();
    let notify = UnixDatagram::bind(start.path("notify")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = start.command(&["serve"]);
    command.env("NOTIFY_SOCKET", start.path("notify")).stderr(Stdio::piped());
    let running = Running::start(&mut command);
    notify.recv(&mut [0; 64]).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream
        .write_all(
            b"GET /auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-ID: abc-123\r\n\
              X-Real-IP: 192.0.2.7\r\nX-Original-Host: app.example.com\r\n\
              X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-Verify: SUCCESS\r\n\r\n",
        )
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.to_lowercase().contains("x-auth-reason: malformed_header"), "{answer}");
    running.terminate();
    let (_, log) = running.wait();
    let denials: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| event["message"] == "denied")
        .collect();
    assert_eq!(denials.len(), 1, "{log}");
    let denial = &denials[0];
    assert_eq!(denial["decision.reason"], "malformed_header");
    assert_eq!(denial["request.id"], "abc-123");
    assert_eq!(denial["client.address"], "192.0.2.7");
    assert_eq!(denial["request.host"], "app.example.com");
}
