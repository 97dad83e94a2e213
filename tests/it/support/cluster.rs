//! A PostgreSQL of a test's own, to be killed, stopped, frozen and promoted.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use certgate::store::{DatabaseUrl, Store};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, chown};
use tempfile::TempDir;

use super::certgate::free_addresses;

/// A machine that is very busy starts a cluster within this.
const DEADLINE: Duration = Duration::from_secs(60);
/// PostgreSQL refuses to run as root: then it runs as this user, `nobody` on Debian.
const NOBODY: u32 = 65534;

/// A cluster; it ends with the test.
pub(crate) struct Cluster {
    folder: TempDir,
    port: u16,
}

impl Cluster {
    /// A running one with certgate's schema, that lets anybody in from this machine.
    pub(crate) fn start() -> Self {
        let cluster = Self::folder();
        let data = cluster.data();
        let arguments = ["-U", "certgate", "--auth=trust", "--encoding=UTF8", "--no-locale"];
        run(program("initdb").args(arguments).arg("--no-sync").arg("-D").arg(&data));
        cluster.up();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let url = DatabaseUrl::parse(&cluster.url()).unwrap();
        runtime.block_on(Store::migrate(&url)).unwrap();
        cluster
    }

    /// A running standby of another.
    pub(crate) fn standby_of(primary: &Self) -> Self {
        let cluster = Self::folder();
        let port = primary.port.to_string();
        let mut copy = program("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-p", &port, "-U", "certgate", "--write-recovery-conf"]);
        run(copy.args(["--checkpoint=fast", "--no-sync", "-D"]).arg(cluster.data()));
        cluster.up();
        cluster
    }

    fn folder() -> Self {
        let folder = TempDir::new().unwrap();
        if Uid::effective().is_root() {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let [address] = free_addresses();
        Self { folder, port: address.port() }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `database.url`.
    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Another of its databases.
    pub(crate) fn url_of(&self, database: &str) -> String {
        format!("postgres://certgate@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL; it has to succeed.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.sql_in("postgres", sql)
    }

    /// Runs SQL in another of its databases.
    pub(crate) fn sql_in(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new("psql");
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url_of(database)]);
        run(&mut psql)
    }

    /// Starts it, until it answers.
    pub(crate) fn up(&self) {
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} \
             -c max_connections=60 -c fsync=off -c autovacuum=off -c shared_buffers=16MB",
            self.port,
            self.folder.path().display()
        );
        let log = self.folder.path().join("server.log");
        let start = Instant::now();
        loop {
            let mut up = program("pg_ctl");
            up.arg("-D").arg(self.data()).arg("-l").arg(&log).args(["-w", "-t", "60", "-o"]);
            let up = up.arg(&options).arg("start").stdout(Stdio::null()).stderr(Stdio::null());
            // After a kill the old processes hold its memory for a moment.
            if up.status().unwrap().success() {
                return;
            }
            let words = fs::read_to_string(&log).unwrap_or_default();
            assert!(start.elapsed() < DEADLINE, "{words}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it at once and in order, as an operator does in a hurry.
    pub(crate) fn down(&self) {
        let mut down = program("pg_ctl");
        run(down.arg("-D").arg(self.data()).args(["-m", "fast", "-w", "stop"]));
    }

    /// As a crash ends it.
    pub(crate) fn kill(&self) {
        let _ = kill(self.postmaster(), Signal::SIGKILL);
    }

    /// Freezes every process of it, or has them go on.
    pub(crate) fn signal_all(&self, signal: Signal) {
        let postmaster = self.postmaster();
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let _ = kill(postmaster, signal);
        for child in fs::read_to_string(children).unwrap_or_default().split_whitespace() {
            let _ = kill(Pid::from_raw(child.parse().unwrap()), signal);
        }
    }

    /// Makes a primary of a standby.
    pub(crate) fn promote(&self) {
        run(program("pg_ctl").arg("-D").arg(self.data()).args(["-w", "promote"]));
    }

    fn postmaster(&self) -> Pid {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        Pid::from_raw(file.lines().next().unwrap().trim().parse().unwrap())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.signal_all(Signal::SIGCONT);
            let mut down = program("pg_ctl");
            down.arg("-D").arg(self.data()).args(["-m", "immediate", "-w", "stop"]);
            let _ = down.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// A program of the newest PostgreSQL server, as a user whom it accepts.
fn program(name: &str) -> Command {
    let debian = Path::new("/usr/lib/postgresql");
    let versions = fs::read_dir(debian).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = versions.max_by_key(|path| {
        path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()).unwrap_or(0)
    });
    let path = newest.map_or_else(|| PathBuf::from(name), |folder| folder.join("bin").join(name));
    let mut command = Command::new(path);
    as_owner(&mut command);
    command
}

/// As the user whom PostgreSQL and pgbouncer accept.
pub(crate) fn as_owner(command: &mut Command) {
    command.current_dir("/tmp");
    if Uid::effective().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
