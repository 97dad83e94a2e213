//! A database of one's own for every test, on PostgreSQL and on SQLite, and its stock shell.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use certgate::directory::{Directory, Rows, Settings};
use certgate::store::{DatabaseUrl, Open, Store};
use tempfile::TempDir;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// A database of the server that `tests/run` has started.
    Postgres,
    /// A file in a folder of its own.
    Sqlite,
}

/// A database that goes with the test.
pub(crate) struct Database {
    pub(crate) which: Which,
    folder: TempDir,
    name: String,
}

/// Runs each of these functions on both databases, as `postgres::name` and `sqlite::name`.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod postgres {
            use crate::support::shells::{Which, run};
            $(#[test] fn $name() { run(Which::Postgres, super::$name); })+
        }
        mod sqlite {
            use crate::support::shells::{Which, run};
            $(#[test] fn $name() { run(Which::Sqlite, super::$name); })+
        }
    };
}

/// Runs each of these functions on one of the databases, as `on_postgres::name`.
macro_rules! only_on {
    ($module:ident: $which:ident: $($name:ident),+ $(,)?) => {
        mod $module {
            use crate::support::shells::{Which, run};
            $(#[test] fn $name() { run(Which::$which, super::$name); })+
        }
    };
}

pub(crate) use {on_both, only_on};

/// Runs a test on a migrated database.
pub(crate) fn run(which: Which, test: impl AsyncFnOnce(&Database)) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let database = Database::empty(which);
    runtime.block_on(async {
        Store::migrate(&database.url()).await.unwrap();
        test(&database).await;
    });
}

impl Database {
    /// A database without tables; on SQLite not even a file.
    pub(crate) fn empty(which: Which) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("certgate_shell_{}_{number}", std::process::id());
        if which == Which::Postgres {
            administer(&format!("create database {name}"));
        }
        Self { which, folder: TempDir::new().unwrap(), name }
    }

    /// `database.url`.
    pub(crate) fn url_text(&self) -> String {
        match self.which {
            Which::Postgres => self.on_server(&admin_url()),
            Which::Sqlite => format!("sqlite://{}", self.file().display()),
        }
    }

    /// This database on the standby.
    pub(crate) fn standby_url(&self) -> DatabaseUrl {
        DatabaseUrl::parse(&self.on_server(&standby_url())).unwrap()
    }

    fn on_server(&self, admin_url: &str) -> String {
        let (server, _) = admin_url.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        DatabaseUrl::parse(&self.url_text()).unwrap()
    }

    /// The database's name on PostgreSQL, and a name nobody else uses on both.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file on SQLite.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("certgate.db")
    }

    pub(crate) async fn store(&self) -> Store {
        Store::open(&self.url(), Open::Existing).await.unwrap()
    }

    pub(crate) async fn rows(&self) -> Rows {
        self.store().await.load().await.unwrap()
    }

    pub(crate) async fn directory(&self) -> Directory {
        Directory::build(&self.rows().await, &Settings::default())
    }

    /// Runs SQL in the stock shell; it has to succeed. Answers in lines, columns joined by `|`.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let output = self.shell(sql);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {errors}");
        assert!(!errors.to_lowercase().contains("error"), "{sql}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Runs SQL of any number of statements, whatever becomes of each.
    pub(crate) fn whatever_fails(&self, sql: &str) {
        self.shell(sql);
    }

    /// Runs each statement (one line, without end of line) whatever became of those before it;
    /// answers the error of each, if it had one.
    pub(crate) fn errors(&self, statements: &[String]) -> Vec<Option<String>> {
        assert!(statements.iter().all(|statement| !statement.contains('\n')));
        let output = self.shell(&format!("{};\n", statements.join(";\n")));
        let mut errors = vec![None; statements.len()];
        let mut last: Option<&mut Option<String>> = None;
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            match numbered(line) {
                Some((number, text)) => {
                    let error = &mut errors[number - 1 - self.preamble().lines().count()];
                    *error = Some(text.to_owned());
                    last = Some(error);
                }
                // The lines that follow belong to the same error.
                None => match &mut last {
                    Some(Some(error)) => *error = format!("{error}\n{line}"),
                    _ => panic!("an error of no statement: {line}"),
                },
            }
        }
        errors
    }

    /// The error of one statement, which must have one.
    pub(crate) fn error(&self, statement: &str) -> String {
        let errors = self.errors(&[statement.to_owned()]);
        errors[0].clone().unwrap_or_else(|| panic!("this was accepted: {statement}"))
    }

    /// Empties the feed, which nobody may do by hand: for tests that look at what comes next.
    pub(crate) fn forget_changes(&self) {
        self.sql(match self.which {
            Which::Postgres => "set certgate.tending = 'on'; delete from change",
            Which::Sqlite => "delete from change",
        });
    }

    /// How this database writes a text of arbitrary bytes.
    pub(crate) fn text_of(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.which {
            Which::Postgres => format!(r"convert_from('\x{hex}'::bytea, 'UTF8')"),
            Which::Sqlite => format!("cast(x'{hex}' as text)"),
        }
    }

    fn preamble(&self) -> &'static str {
        match self.which {
            Which::Postgres => "\\set VERBOSITY verbose\n",
            // The stock shell does not wait for other writers unless told to.
            Which::Sqlite => ".timeout 5000\n",
        }
    }

    fn shell(&self, sql: &str) -> Output {
        let mut command = match self.which {
            Which::Postgres => psql(&self.url_text()),
            Which::Sqlite => {
                let mut command = Command::new("sqlite3");
                command.args(["-batch", "-init", "/dev/null"]).arg(self.file());
                command
            }
        };
        feed(&mut command, &format!("{}{sql}\n", self.preamble()))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.which == Which::Postgres {
            administer(&format!("drop database if exists {} with (force)", self.name));
        }
    }
}

/// The server's own database, for a superuser.
pub(crate) fn admin_url() -> String {
    from_tests_run("CERTGATE_TEST_POSTGRES")
}

/// The same on a standby of that server.
pub(crate) fn standby_url() -> String {
    from_tests_run("CERTGATE_TEST_POSTGRES_STANDBY")
}

fn from_tests_run(variable: &str) -> String {
    std::env::var_os(variable)
        .and_then(|url| url.into_string().ok())
        .unwrap_or_else(|| panic!("{variable} is not set: run the tests by `tests/run`"))
}

fn administer(sql: &str) {
    let output = feed(psql(&admin_url()).args(["-v", "ON_ERROR_STOP=1"]), sql);
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
}

fn psql(url: &str) -> Command {
    let mut command = Command::new("psql");
    command
        .args(["-X", "-q", "-A", "-t", "-f", "-", url])
        .env("PGOPTIONS", "-c client_min_messages=warning");
    command
}

fn feed(command: &mut Command, text: &str) -> Output {
    let mut child = command
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = text.as_bytes().to_vec();
    let writer = std::thread::spawn(move || input.write_all(&text));
    let output = child.wait_with_output().unwrap();
    // A shell that stops early has said why.
    let _ = writer.join().unwrap();
    output
}

/// Reads `psql:<stdin>:3: ERROR:  ..` and `Runtime error near line 3: ..`.
fn numbered(line: &str) -> Option<(usize, &str)> {
    let rest = match line.strip_prefix("psql:<stdin>:") {
        Some(rest) => rest,
        None => line.split_once("rror near line ").or_else(|| line.split_once(": near line "))?.1,
    };
    let (number, text) = rest.split_once(": ")?;
    Some((number.parse().ok()?, text))
}
