//! A database of its own for each test, gone at its end, and the shells that operators use on it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use certgate::store::{By, DatabaseUrl, Open, Store};

/// Somebody at a command line, who does not say who.
pub(crate) const fn by() -> By {
    By::cli(None)
}

/// Which of the two databases.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Postgres,
    Sqlite,
}

/// An empty database; nothing of certgate is in it until it is migrated.
pub(crate) struct Database {
    pub(crate) kind: Kind,
    url: String,
    name: String,
    folder: tempfile::TempDir,
}

impl Database {
    pub(crate) fn empty(kind: Kind) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("certgate_test_{}_{number}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let url = match kind {
            Kind::Sqlite => format!("sqlite://{}", folder.path().join("certgate.db").display()),
            Kind::Postgres => {
                administer(&format!("create database {name} template template0 encoding 'UTF8'"));
                named(&admin_url(), &name)
            }
        };
        Self { kind, url, name, folder }
    }

    pub(crate) async fn migrated(kind: Kind) -> Self {
        let database = Self::empty(kind);
        Store::migrate(&database.url()).await.unwrap();
        database
    }

    /// The URL as a configuration has it, password included.
    pub(crate) fn secret_url(&self) -> &str {
        &self.url
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        DatabaseUrl::parse(&self.url).unwrap()
    }

    /// The URL with one text in it replaced.
    pub(crate) fn url_with(&self, from: &str, to: &str) -> DatabaseUrl {
        assert!(self.url.contains(from), "the URL has no {from}");
        DatabaseUrl::parse(&self.url.replace(from, to)).unwrap()
    }

    /// The URL for another role of the same server.
    pub(crate) fn url_as(&self, role: &str, password: &str) -> DatabaseUrl {
        let (_, place) = self.url.split_once('@').unwrap();
        DatabaseUrl::parse(&format!("postgres://{role}:{password}@{place}")).unwrap()
    }

    /// The same with the password, for a configuration.
    pub(crate) fn secret_url_as(&self, role: &str, password: &str) -> String {
        let (_, place) = self.url.split_once('@').unwrap();
        format!("postgres://{role}:{password}@{place}")
    }

    /// Nobody gets into this database, and whoever is in it is thrown out.
    pub(crate) fn cut_off(&self) {
        let name = &self.name;
        administer(&format!("alter database {name} allow_connections false"));
        administer(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        ));
    }

    /// Everybody gets in again.
    pub(crate) fn let_in(&self) {
        administer(&format!("alter database {} allow_connections true", self.name));
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("certgate.db")
    }

    pub(crate) async fn store(&self) -> Store {
        Store::open(&self.url(), Open::Existing).await.unwrap()
    }

    /// What the stock shell prints; every statement must succeed.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let output = self.shell(sql, true);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{sql}: {error}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Empties the feed, which nobody may do by hand: for tests that look at what comes next.
    pub(crate) fn forget_changes(&self) {
        self.sql(match self.kind {
            Kind::Postgres => "set certgate.tending = 'on'; delete from change;",
            Kind::Sqlite => "delete from change;",
        });
    }

    /// What the stock shell says when it refuses.
    pub(crate) fn refused(&self, sql: &str) -> String {
        let output = self.shell(sql, true);
        assert!(!output.status.success(), "not refused: {sql}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Runs all statements, whatever fails.
    pub(crate) fn sql_whatever_fails(&self, sql: &str) {
        self.shell(sql, false);
    }

    /// A shell in which statements can be left open; it ends when dropped.
    pub(crate) fn open_shell(&self) -> OpenShell {
        let mut child = self.command(true).stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        OpenShell { child, input: Some(input) }
    }

    /// These bytes as a text value, whatever they are.
    pub(crate) fn text(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.kind {
            Kind::Postgres => format!("convert_from('\\x{hex}'::bytea, 'UTF8')"),
            Kind::Sqlite => format!("cast(x'{hex}' as text)"),
        }
    }

    fn shell(&self, sql: &str, stop: bool) -> Output {
        let mut child = self
            .command(stop)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let sql = sql.as_bytes().to_vec();
        // At the side: a shell with much to complain of waits until somebody reads it.
        let writer = std::thread::spawn(move || input.write_all(&sql));
        let output = child.wait_with_output().unwrap();
        // A shell that stops at an error may not read to the end.
        let _ = writer.join().unwrap();
        output
    }

    fn command(&self, stop: bool) -> Command {
        match self.kind {
            Kind::Postgres => {
                let mut command = Command::new("psql");
                command.args(["-qAtX", "-v", if stop { "ON_ERROR_STOP=1" } else { "X=1" }]);
                command.arg("-d").arg(&self.url);
                command
            }
            Kind::Sqlite => {
                let mut command = Command::new("sqlite3");
                command.args(if stop { &["-batch", "-bail"][..] } else { &["-batch"][..] });
                command.args(["-cmd", ".timeout 5000"]).arg(self.path());
                command
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.kind == Kind::Postgres {
            administer(&format!("drop database if exists {} with (force)", self.name));
        }
    }
}

/// A shell that stays open.
pub(crate) struct OpenShell {
    child: std::process::Child,
    input: Option<std::process::ChildStdin>,
}

impl OpenShell {
    pub(crate) fn send(&mut self, sql: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{sql}").unwrap();
        input.flush().unwrap();
    }
}

impl Drop for OpenShell {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

fn administer(sql: &str) {
    let status = Command::new("psql")
        .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql, "-d", &admin_url()])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{sql}");
}

#[expect(clippy::disallowed_methods, reason = "where the tests' server is, nobody else can say")]
fn admin_url() -> String {
    std::env::var("CERTGATE_TEST_POSTGRES").expect(
        "CERTGATE_TEST_POSTGRES names no PostgreSQL server for the tests: run tests/run, which \
         starts one",
    )
}

fn named(url: &str, name: &str) -> String {
    let (head, tail) = url
        .split_once('?')
        .map_or((url, String::new()), |(head, parameters)| (head, format!("?{parameters}")));
    let (server, _) = head.rsplit_once('/').unwrap();
    format!("{server}/{name}{tail}")
}
