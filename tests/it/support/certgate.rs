//! The real certgate in a folder of its own: its configuration, its database, its commands.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use certgate::cli::demo::programs;
use certgate::cli::demo::workshop::Workshop;

use super::database::Database;
use super::pki::Issued;

/// A running certgate; it is stopped by SIGTERM and its folder removed when this is dropped.
pub(crate) struct Certgate {
    workshop: Workshop,
    auth: SocketAddr,
    ops: SocketAddr,
}

/// What nginx asks about a certificate that it has verified, over a connection of its own.
pub(crate) fn question(certificate: &Issued) -> String {
    format!(
        "GET /auth HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\n\
         X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-Cert: {}\r\n\r\n",
        certificate.escaped()
    )
}

/// The code in an answer of the auth listener.
pub(crate) fn reason_of(answer: &str) -> String {
    let answer = answer.to_lowercase();
    let (_, after) = answer.split_once("x-auth-reason: ").expect("a code");
    after.lines().next().unwrap().to_owned()
}

impl Certgate {
    /// Starts with SQLite on free ports and waits until it is ready to decide.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// As [`Certgate::start`], with further lines for `certgate.toml`.
    pub(crate) fn start_with(further_configuration: &str) -> Self {
        let workshop = Workshop::open("certgate-test").unwrap();
        let url = format!("sqlite://{}", workshop.folder().join("certgate.db").display());
        Self::start_in(workshop, &url, further_configuration)
    }

    /// As [`Certgate::start`], on this database.
    pub(crate) fn start_on(database: &Database) -> Self {
        Self::start_on_with(database, "")
    }

    /// As [`Certgate::start_with`], on this database.
    pub(crate) fn start_on_with(database: &Database, further_configuration: &str) -> Self {
        let workshop = Workshop::open("certgate-test").unwrap();
        Self::start_in(workshop, database.secret_url(), further_configuration)
    }

    /// As [`Certgate::start_with`], on the database of this URL, whose schema is there.
    pub(crate) fn start_at(url: &str, further_configuration: &str) -> Self {
        let certgate =
            Self::written(Workshop::open("certgate-test").unwrap(), url, further_configuration);
        certgate.serve();
        certgate
    }

    /// As [`Certgate::start_at`], without waiting until it is ready.
    pub(crate) fn launch_at(url: &str, further_configuration: &str) -> Self {
        let certgate =
            Self::written(Workshop::open("certgate-test").unwrap(), url, further_configuration);
        let mut command = programs::certgate(&program(), &certgate.config());
        command.current_dir(certgate.workshop.folder()).arg("serve");
        certgate.workshop.spawn("certgate", &mut command).unwrap();
        let listens = || TcpStream::connect(certgate.ops).map(drop).map_err(Into::into);
        certgate.workshop.wait_for("certgate", listens).unwrap();
        certgate
    }

    fn start_in(workshop: Workshop, url: &str, further_configuration: &str) -> Self {
        let certgate = Self::written(workshop, url, further_configuration);
        certgate.run(&["migrate"]);
        certgate.serve();
        certgate
    }

    fn written(workshop: Workshop, url: &str, further_configuration: &str) -> Self {
        let [auth, ops] = free_addresses();
        let text = format!(
            "database.url = \"{url}\"\nauth.listen = \"{auth}\"\nops.listen = \"{ops}\"\n\
             {further_configuration}",
        );
        fs::write(workshop.folder().join("certgate.toml"), text).unwrap();
        Self { workshop, auth, ops }
    }

    /// The code that the auth listener answers with, once.
    pub(crate) fn reason(&self, certificate: &Issued) -> String {
        reason_of(&self.ask(&question(certificate)))
    }

    /// What `/readyz` says, whether ready or not.
    pub(crate) fn readyz(&self) -> serde_json::Value {
        let answer = self.ask_ops("/readyz");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// Starts the service, for a test that has stopped it.
    pub(crate) fn serve(&self) {
        let mut command = programs::certgate(&program(), &self.config());
        command.current_dir(self.workshop.folder()).arg("serve");
        self.workshop.spawn("certgate", &mut command).unwrap();
        self.workshop.wait_for("certgate", || ask_readyz(self.ops)).unwrap();
    }

    /// Stops the service and keeps the folder.
    pub(crate) fn stop(&self) {
        self.workshop.stop("certgate");
    }

    /// Kills the service, which can do nothing about it, and keeps the folder.
    pub(crate) fn kill(&self) {
        self.send(nix::sys::signal::Signal::SIGKILL);
        self.workshop.stop("certgate");
    }

    /// Sends SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.send(nix::sys::signal::Signal::SIGHUP);
    }

    fn send(&self, signal: nix::sys::signal::Signal) {
        let id = self.workshop.process_id("certgate").unwrap();
        let id = nix::unistd::Pid::from_raw(i32::try_from(id).unwrap());
        nix::sys::signal::kill(id, signal).unwrap();
    }

    /// Runs a command against this database; it has to succeed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let mut command = programs::certgate(&program(), &self.config());
        command.current_dir(self.workshop.folder()).args(arguments);
        let output = self.workshop.run(&mut command).unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that may say no, and gives back what it prints.
    pub(crate) fn try_run(&self, arguments: &[&str]) -> String {
        let mut command = programs::certgate(&program(), &self.config());
        let output = command.current_dir(self.workshop.folder()).args(arguments).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command and gives back its exit code and what it complains of.
    pub(crate) fn say(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = programs::certgate(&program(), &self.config());
        let output = command.current_dir(self.workshop.folder()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Asks the auth listener itself, as nginx does, until it answers with this code.
    pub(crate) fn wait_for_reason(&self, certificate: &Issued, code: &str) {
        let start = Instant::now();
        loop {
            let answer = self.ask(&question(certificate));
            // A connection that broke has no answer at all.
            if answer.to_lowercase().contains(&format!("x-auth-reason: {code}\r\n")) {
                return;
            }
            assert!(start.elapsed() < CHANGE_DEADLINE, "not {code}, but: {answer}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends bytes to the auth listener and returns all that comes back until it closes.
    pub(crate) fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.auth).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A listener that resets the connection after its answer has answered all the same.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// What the ops listener says under this path.
    pub(crate) fn ask_ops(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.ops).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let metrics = self.ask_ops("/metrics");
        let mut values =
            metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next().expect("the metric").parse().unwrap()
    }

    /// The memory that the service holds.
    pub(crate) fn resident_kib(&self) -> u64 {
        let id = self.workshop.process_id("certgate").unwrap();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The auth listener.
    pub(crate) fn auth(&self) -> SocketAddr {
        self.auth
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.workshop.folder().join("certgate.toml")
    }
}

/// The program under test: the one just built, or an installed one that a packager names.
pub(crate) fn program() -> PathBuf {
    let installed = std::env::var_os("CERTGATE_UNDER_TEST");
    installed.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_certgate")), PathBuf::from)
}

/// Addresses that were free a moment ago; taken together, so that they differ.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

fn ask_readyz(ops: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&ops, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    ensure!(&status == b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&status));
    Ok(())
}

/// A change in SQLite is looked for every 25 ms; this is for a machine that is very busy.
const CHANGE_DEADLINE: Duration = Duration::from_secs(5);
