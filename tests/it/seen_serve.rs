//! What the running service writes of what it saw, and that nobody ever waits for it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use certgate::cli::demo::workshop::Workshop;

use crate::support::certgate::Certgate;
use crate::support::database::{Database, Kind};
use crate::support::pki::{Issued, Issuer};

/// A batch is written every second; this is for a machine that is very busy.
const DEADLINE: Duration = Duration::from_secs(20);

/// A CA and where its files are.
pub(crate) struct People {
    pub(crate) ca: Issuer,
    folder: Workshop,
}

impl People {
    pub(crate) fn new() -> Self {
        let folder = Workshop::open("certgate-seen").unwrap();
        Self { ca: Issuer::root(&folder.folder().join("ca"), "Example CA"), folder }
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.folder()
    }
}

/// Waits until it holds; `what` is what was waited for.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the statement prints this.
pub(crate) fn wait_for_sql(database: &Database, sql: &str, expected: &str) {
    wait_until(&format!("{sql} is not {expected}, but {}", database.sql(sql)), || {
        database.sql(sql) == expected
    });
}

/// Asks as nginx does, with further header lines.
pub(crate) fn ask(certgate: &Certgate, certificate: Option<&Issued>, further: &str) -> String {
    let certificate = certificate.map_or(String::new(), |certificate| {
        format!("X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-Cert: {}\r\n", certificate.escaped())
    });
    certgate.ask(&format!(
        "GET /auth HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\n{certificate}{further}\r\n",
    ))
}

/// The value of a series of `/metrics`.
pub(crate) fn metric(certgate: &Certgate, series: &str) -> u64 {
    let text = certgate.ask_ops("/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(series)).expect(series);
    line.trim().parse().unwrap()
}

/// What `/readyz` says of the writing.
pub(crate) fn seen_in_readyz(certgate: &Certgate) -> serde_json::Value {
    let answer = certgate.ask_ops("/readyz");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["details"]["seen"].take()
}

fn on_both(test: impl Fn(&Database, &Certgate, &People)) {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = Database::empty(kind);
        let certgate = Certgate::start_on(&database);
        test(&database, &certgate, &People::new());
    }
}

#[test]
fn certificates_and_denials_appear_in_the_tables() {
    on_both(|database, certgate, people| {
        let [alice, bob] = ["alice", "bob"].map(|name| people.ca.client(name));
        certgate.run(&["user", "add", "alice"]);
        certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
        certgate.wait_for_reason(&alice, "mapped");
        let about = "X-Request-ID: 5d1f\r\nX-Real-IP: 192.0.2.7\r\n\
                     X-Original-Host: app.example.com\r\n";
        ask(certgate, Some(&bob), about);
        ask(certgate, None, "");

        // Hers was given with her mapping.
        let known = "select subject, issuer, origin, state, last_code, last_username
             from certificate where last_username is not null";
        let row = "CN=alice,O=Example|CN=Example CA,O=Example|given|new|mapped|alice";
        // An answer that follows another within a second is told of when it comes again.
        wait_until("alice is known", || {
            ask(certgate, Some(&alice), "");
            database.sql(known) == row
        });
        let inbox = "select subject from inbox";
        wait_for_sql(database, inbox, "CN=bob,O=Example");
        let denied = "select code, host, request_id, peer, subject from denial
             join certificate on certificate.sha256 = denial.certificate where code = 'unmapped'
             and host is not null";
        wait_for_sql(database, denied, "unmapped|app.example.com|5d1f|192.0.2.7|CN=bob,O=Example");
        let nobody = "select host, request_id, certificate, peer from denial
             where code = 'no_certificate'";
        wait_for_sql(database, nobody, "|||127.0.0.1");
        let seen = seen_in_readyz(certgate);
        assert_eq!((&seen["writing"], &seen["dropped"]), (&true.into(), &0.into()), "{seen}");

        // Mapped by hand, he leaves the inbox at once, and soon his row says why.
        let sha256 = database.sql("select sha256 from inbox");
        database.sql(&format!(
            "insert into app_user (username) values ('bob');
             insert into mapping (username, sha256) values ('bob', upper('{sha256}'));"
        ));
        assert_eq!(database.sql(inbox), "");
        certgate.wait_for_reason(&bob, "mapped");
        let last =
            format!("select last_code, last_username from certificate where sha256 = '{sha256}'");
        wait_until("bob is mapped", || {
            ask(certgate, Some(&bob), "");
            database.sql(&last) == "mapped|bob"
        });
        // Nobody else counts for an inbox: this row says nothing of when it came.
        database.sql("update certificate set state = 'ignored'");
        assert_eq!(database.sql("select count(*) from certificate"), "2");
    });
}

/// Sees bob once more, under this request id.
fn see(certgate: &Certgate, bob: &Issued, request_id: &str) {
    let answer = ask(certgate, Some(bob), &format!("X-Request-ID: {request_id}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

fn state(certgate: &Certgate) -> String {
    seen_in_readyz(certgate)["state"].as_str().unwrap().to_owned()
}

const DROPPED_DENIALS: &str = "certgate_seen_dropped_total{kind=\"denial\"}";

/// The database goes away and comes back.
fn goes_away(database: &Database, certgate: &Certgate, go: impl FnOnce(), come: impl FnOnce()) {
    let bob = People::new().ca.client("bob");
    see(certgate, &bob, "before");
    let count = |id: &str| format!("select count(*) from denial where request_id = '{id}'");
    wait_for_sql(database, &count("before"), "1");
    go();
    let mut longest = Duration::ZERO;
    wait_until("the writing fails", || {
        let start = Instant::now();
        see(certgate, &bob, "meanwhile");
        longest = longest.max(start.elapsed());
        state(certgate) == "failing"
    });
    assert!(longest < Duration::from_secs(1), "an answer waited for {longest:?}");
    let dropped = metric(certgate, DROPPED_DENIALS);
    wait_until("what is seen meanwhile is dropped and counted", || {
        see(certgate, &bob, "lost");
        metric(certgate, DROPPED_DENIALS) > dropped
    });
    assert_eq!(metric(certgate, "certgate_seen_writable"), 0);
    come();
    wait_until("the writing goes on", || state(certgate) == "writing");
    see(certgate, &bob, "after");
    wait_for_sql(database, &count("after"), "1");
    assert_eq!(metric(certgate, "certgate_seen_writable"), 1);
}

#[test]
fn while_postgresql_is_away_answers_go_on_and_what_is_seen_is_dropped() {
    let database = Database::empty(Kind::Postgres);
    let certgate = Certgate::start_on(&database);
    goes_away(&database, &certgate, || database.cut_off(), || database.let_in());
}

#[test]
fn while_sqlite_is_locked_answers_go_on_and_what_is_seen_is_dropped() {
    let database = Database::empty(Kind::Sqlite);
    let certgate = Certgate::start_on(&database);
    let shell = RefCell::new(database.open_shell());
    let send = |sql: &str| shell.borrow_mut().send(sql);
    goes_away(&database, &certgate, || send("begin immediate;"), || send("rollback;"));
}

#[test]
fn on_a_standby_what_is_seen_is_dropped_and_readyz_says_so() {
    let database = Database::empty(Kind::Postgres);
    let standby = crate::support::shells::standby_url();
    let (server, _) = standby.rsplit_once('/').unwrap();
    let url = format!("{server}/{}", database.name());
    let primary = Certgate::start_on(&database);
    wait_until("the schema arrives", || {
        let mut psql = std::process::Command::new("psql");
        psql.args(["-qAtX", "-c", "select version from certgate_schema", "-d", &url]);
        psql.output().unwrap().status.success()
    });
    primary.stop();
    let certgate = Certgate::start_at(&url, "");
    let bob = People::new().ca.client("bob");
    wait_until("the standby is recognised", || state(&certgate) == "standby");
    let dropped = metric(&certgate, DROPPED_DENIALS);
    wait_until("what is seen is dropped and counted", || {
        see(&certgate, &bob, "lost");
        metric(&certgate, DROPPED_DENIALS) > dropped
    });
    assert_eq!(database.sql("select count(*) from denial"), "0");
}

/// What nobody may say who may not ask, and what no header may bring into a table.
#[test]
fn hostile_headers_of_a_denial_are_left_out() {
    on_both(|database, certgate, people| {
        let bob = people.ca.client("bob");
        let host = "a'b\"c;drop table denial;--";
        ask(certgate, Some(&bob), &format!("X-Original-Host: {host}\r\nX-Request-ID: good\r\n"));
        wait_for_sql(database, "select host from denial where request_id = 'good'", host);
        for further in [
            "X-Original-Host: caf\u{e9}\r\nX-Request-ID: a b\r\nX-Real-IP: 192.0.2.1.evil\r\n"
                .to_owned(),
            format!(
                "X-Original-Host: {}\r\nX-Request-ID: {}\r\n",
                "h".repeat(256),
                "i".repeat(129)
            ),
        ] {
            ask(certgate, Some(&bob), &further);
        }
        let empty = "select count(*) from denial where host is null and request_id is null
             and peer = '127.0.0.1'";
        wait_for_sql(database, empty, "2");
    });
}

#[test]
fn what_somebody_says_who_may_not_ask_is_not_kept() {
    let database = Database::empty(Kind::Sqlite);
    let certgate = Certgate::start_on_with(&database, "proxy.trusted = [\"192.0.2.0/24\"]\n");
    let bob = People::new().ca.client("bob");
    let claims = "X-Original-Host: app.example.com\r\nX-Request-ID: 5d1f\r\n\
                  X-Real-IP: 192.0.2.7\r\n";
    ask(&certgate, Some(&bob), claims);
    let row = "select code, host, request_id, certificate, peer from denial";
    wait_for_sql(&database, row, "proxy_not_trusted||||127.0.0.1");
    assert_eq!(database.sql("select count(*) from certificate"), "0");
}
