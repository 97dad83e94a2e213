//! The real program at an operator's desk: a database, certificates, no server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use certgate::pki::Certificate;
use certgate::store::{Reported, SeenCertificate};
use serde_json::Value;

use crate::support::certgate::program;
use crate::support::database::{Database, Kind};
use crate::support::pki::{Issued, Issuer};

/// A migrated database, a CA and the commands.
pub(crate) struct Desk {
    database: Database,
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
    pub(crate) ca: Issuer,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    /// On SQLite.
    pub(crate) fn new() -> Self {
        Self::on(Kind::Sqlite)
    }

    pub(crate) fn on(kind: Kind) -> Self {
        let desk = Self::unmigrated(kind);
        desk.run(&["migrate"]);
        desk
    }

    pub(crate) fn unmigrated(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Issuer::root(folder.path(), "Example CA");
        Self { database: Database::empty(kind), folder, settings: Vec::new(), ca }
    }

    /// The same with a setting, such as `IDENTITY__WEAK`.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.push((format!("CERTGATE_{key}"), value.to_owned()));
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.env_clear().current_dir(self.folder.path()).args(arguments);
        command.env("USER", "carol").env("CERTGATE_DATABASE__URL", self.database.secret_url());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command, however it ends.
    pub(crate) fn say(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command that has to succeed, silently on standard error.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let said = self.say(arguments);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{arguments:?}: {said:?}");
        said.out
    }

    /// Runs a command with `--json` that has to succeed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Runs a command that has to end with this code and one line on standard error.
    pub(crate) fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let said = self.say(arguments);
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{arguments:?}: {said:?}");
        let line = said.err.strip_suffix('\n').unwrap();
        assert_eq!(line.lines().count(), 1, "{arguments:?}: {}", said.err);
        line.strip_prefix("certgate: ").unwrap().to_owned()
    }

    /// A certificate of the CA, by the path of its file.
    pub(crate) fn client(&self, name: &str) -> String {
        path(&self.ca.client(name))
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Where its database is, password and all.
    pub(crate) fn url(&self) -> &str {
        self.database.secret_url()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A request came with this certificate, and got this answer.
    pub(crate) fn see(&self, issued: &Issued, code: &'static str, username: Option<&str>) {
        let certificate = Certificate::from_pem(issued.text.as_bytes()).unwrap();
        let seen = SeenCertificate::new(&certificate, 3, Duration::from_secs(1), code, username);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = self.database.store().await;
            assert_eq!(store.report(&[seen], &[]).await.unwrap(), Reported::Written);
            store.close().await;
        });
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.database.sql(sql)
    }
}

/// The file with the certificate alone.
pub(crate) fn path(issued: &Issued) -> String {
    issued.alone.to_str().unwrap().to_owned()
}

/// The fingerprint of a certificate.
pub(crate) fn sha256(issued: &Issued) -> String {
    Certificate::from_pem(issued.text.as_bytes()).unwrap().sha256.to_string()
}

/// The names of an object's members, in any order.
pub(crate) fn columns(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
