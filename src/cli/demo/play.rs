//! The requests of the demo: who sends what, what should come of it, and what did.
//!
//! It must not take nginx's or certgate's word for the outcome: the status is what the client got,
//! the user is what the application saw; only the reason and the resumption come from nginx's log.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use comfy_table::Table;

use super::Say;
use super::application::seen;
use super::client::{Answer, Session, TlsVersion};
use super::scene::Scene;

/// One row of the table.
#[derive(Debug)]
struct Row {
    who: &'static str,
    what: &'static str,
    expected: Expected,
    got: Got,
}

/// What should come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expected {
    status: u16,
    code: &'static str,
    /// What the application sees as user and groups; `None`: the request does not reach it.
    user: Option<(&'static str, &'static str)>,
    resumed: bool,
}

#[derive(Debug)]
struct Got {
    status: u16,
    code: String,
    user: Option<(String, String)>,
    resumed: bool,
}

impl Row {
    fn is_as_expected(&self) -> bool {
        let user = self.got.user.as_ref().map(|(user, groups)| (user.as_str(), groups.as_str()));
        let got = (self.got.status, self.got.code.as_str(), user, self.got.resumed);
        let Expected { status, code, user, resumed } = self.expected;
        got == (status, code, user, resumed)
    }
}

/// Sends every request of the demo and shows the table.
///
/// # Errors
/// A connection breaks or a command fails; a row that is not as expected is no error but `false`.
pub fn play(scene: &Scene<'_>, say: Say) -> Result<bool> {
    say("Sending real mTLS requests ...");
    let mut stage = Stage { scene, rows: Vec::new() };
    stage.first_act()?;
    stage.carol_is_blocked(say)?;
    stage.without_a_valid_certificate()?;
    stage.forgers()?;
    say(&stage.table());
    let wrong = stage.rows.iter().filter(|row| !row.is_as_expected()).count();
    if wrong == 0 {
        say("Every row is as expected.");
    } else {
        say(&format!("{wrong} of {} rows are NOT as expected.", stage.rows.len()));
    }
    Ok(wrong == 0)
}

#[derive(Debug)]
struct Stage<'a> {
    scene: &'a Scene<'a>,
    rows: Vec<Row>,
}

impl Stage<'_> {
    fn first_act(&mut self) -> Result<()> {
        let mut alice = self.connect(Some("alice"), TlsVersion::Tls13)?;
        self.row("alice", "mapped", allow("mapped", "alice", "ops"), &mut alice, "/", &[])?;
        let ops = allow("mapped", "alice", "ops");
        self.row("alice", "a page for ops or staff", ops, &mut alice, "/ops/", &[])?;
        let mut bob = self.connect(Some("bob"), TlsVersion::Tls13)?;
        self.row("bob", "valid, but unmapped", deny(401, "unmapped"), &mut bob, "/", &[])
    }

    /// carol's certificate is blocked while her connections are open: the open one and the
    /// sessions she resumes are refused from then on.
    fn carol_is_blocked(&mut self, say: Say) -> Result<()> {
        let old = self.scene.caller(Some("carol"), TlsVersion::Tls12)?;
        let new = self.scene.caller(Some("carol"), TlsVersion::Tls13)?;
        let mut open = new.connect()?;
        self.row("carol", "mapped", allow("mapped", "carol", "guests"), &mut open, "/", &[])?;
        let ops = deny(403, "group_required");
        self.row("carol", "a page for ops or staff", ops, &mut open, "/ops/", &[])?;
        old.connect()?.get("/?before-the-block", &[])?;

        self.scene.operate(say, &["certificate", "block", "carol.pem", "--reason", "stolen"])?;
        let start = Instant::now();
        while open.get("/?waiting-for-the-block", &[])?.status == 200 {
            if start.elapsed() > BLOCK_DEADLINE {
                break; // the rows below say what is wrong
            }
            thread::sleep(POLL_INTERVAL);
        }
        say(&format!("  ... holds {} ms after the command.", start.elapsed().as_millis()));

        let blocked = deny(401, "blocked");
        self.row("carol", "blocked; same connection", blocked, &mut open, "/", &[])?;
        let resumed = Expected { resumed: true, ..blocked };
        let mut session = new.connect()?;
        self.row("carol", "blocked; resumed TLS 1.3", resumed, &mut session, "/", &[])?;
        let mut session = old.connect()?;
        self.row("carol", "blocked; resumed TLS 1.2", resumed, &mut session, "/", &[])
    }

    fn without_a_valid_certificate(&mut self) -> Result<()> {
        let mut mallory = self.connect(Some("mallory"), TlsVersion::Tls13)?;
        let foreign = deny(401, "chain_untrusted");
        self.row("mallory", "certificate of a foreign CA", foreign, &mut mallory, "/", &[])?;
        let mut nobody = self.connect(None, TlsVersion::Tls13)?;
        let none = deny(401, "no_certificate");
        self.row("nobody", "no certificate", none, &mut nobody, "/", &[])
    }

    fn forgers(&mut self) -> Result<()> {
        let pem = fs::read_to_string(self.scene.pki.file("alice.pem"))?;
        let escaped = escape(&pem);
        let forged = [
            ("X-SSL-Client-Verify", "SUCCESS"),
            ("X-SSL-Client-Cert", escaped.as_str()),
            ("X-Remote-User", "alice"),
            ("X-Remote-Groups", "ops"),
        ];
        let mut forger = self.connect(None, TlsVersion::Tls13)?;
        let none = deny(401, "no_certificate");
        self.row("forger", "alice's certificate as header", none, &mut forger, "/", &forged)?;
        let nobody = Expected { status: 200, code: "-", user: Some(("", "")), resumed: false };
        self.row("forger", "the same, on a public page", nobody, &mut forger, "/public/", &forged)?;
        let mut alice = self.connect(Some("alice"), TlsVersion::Tls13)?;
        let admin = [("X-Remote-User", "admin"), ("X-Remote-Groups", "wheel")];
        let herself = allow("mapped", "alice", "ops");
        self.row("alice", "sends X-Remote-User: admin", herself, &mut alice, "/", &admin)
    }

    fn connect(&self, person: Option<&str>, version: TlsVersion) -> Result<Session> {
        self.scene.caller(person, version)?.connect()
    }

    fn row(
        &mut self,
        who: &'static str,
        what: &'static str,
        expected: Expected,
        session: &mut Session,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<()> {
        // A query of its own finds the request in the log; certgate never sees it.
        let path = format!("{path}?row={}.", self.rows.len());
        let answer =
            session.get(&path, headers).with_context(|| format!("the request of {who}"))?;
        let (code, resumed) = self.logged(&path)?;
        let user = received_user(&answer);
        let got = Got { status: answer.status, code, user, resumed };
        self.rows.push(Row { who, what, expected, got });
        Ok(())
    }

    /// The code and the resumption that nginx logged for this path.
    fn logged(&self, path: &str) -> Result<(String, bool)> {
        let request = format!("\"GET {path} HTTP/1.1\"");
        let start = Instant::now();
        while start.elapsed() < LOG_DEADLINE {
            let log = fs::read_to_string(self.scene.access_log()).unwrap_or_default();
            if let Some(line) = log.lines().find(|line| line.contains(&request)) {
                let field = |name: &str| {
                    let mut words = line.split(' ');
                    words.find_map(|word| word.strip_prefix(name)).unwrap_or("?")
                };
                return Ok((field("code=").to_owned(), field("resumed=") == "r"));
            }
            thread::sleep(POLL_INTERVAL);
        }
        bail!("nginx logged no request {request}")
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::ASCII_BORDERS_ONLY_CONDENSED);
        table.set_header(["", "who", "what", "status", "reason", "session", "application sees"]);
        for row in &self.rows {
            let mark = if row.is_as_expected() { "ok" } else { "WRONG" };
            let session = if row.got.resumed { "resumed" } else { "" };
            let sees = match &row.got.user {
                None => "nothing".to_owned(),
                Some((user, _)) if user.is_empty() => "no user".to_owned(),
                Some((user, groups)) => format!("{user} [{groups}]"),
            };
            let status = row.got.status.to_string();
            table.add_row([mark, row.who, row.what, &status, &row.got.code, session, &sees]);
        }
        table.to_string()
    }
}

const fn allow(code: &'static str, user: &'static str, groups: &'static str) -> Expected {
    Expected { status: 200, code, user: Some((user, groups)), resumed: false }
}

const fn deny(status: u16, code: &'static str) -> Expected {
    Expected { status, code, user: None, resumed: false }
}

/// What the application saw, if it was the application that answered.
fn received_user(answer: &Answer) -> Option<(String, String)> {
    let text = answer.text();
    if !text.starts_with("GET ") {
        return None;
    }
    let value = |name| seen(&text, name).unwrap_or_default().to_owned();
    Some((value("X-Remote-User"), value("X-Remote-Groups")))
}

/// As nginx escapes `$ssl_client_escaped_cert`.
fn escape(pem: &str) -> String {
    percent_encoding::utf8_percent_encode(pem, UNRESERVED).to_string()
}

const UNRESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// certgate looks at SQLite every 25 ms; this is for a machine that is very busy.
const BLOCK_DEADLINE: Duration = Duration::from_secs(3);
/// nginx writes its log when a request ends, a moment after the client has the answer.
const LOG_DEADLINE: Duration = Duration::from_secs(5);
/// Short enough not to be felt.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
