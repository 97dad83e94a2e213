//! `docs/operating.md`: a year of people and certificates, line by line as the page prints it, on
//! both databases and through a real nginx.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use certgate::cli::demo::application::seen;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::seen_serve::{ask, wait_for_sql, wait_until};
use crate::support::certgate::{Certgate, program};
use crate::support::database::{Database, Kind};
use crate::support::nginx::{Nginx, Site};
use crate::support::office::{Call, Office};
use crate::support::pki::{Issued, Issuer, Leaf};
use crate::support::tls::get;

const PAGE: &str = include_str!("../../docs/operating.md");
const SOURCE: &str = include_str!("operating_year.rs");
/// Machines whose certificates are renewed in one wave.
const WAVE: usize = 300;

/// The names of the page's blocks, in order.
fn names() -> Vec<&'static str> {
    let lines: Vec<_> = PAGE.lines().collect();
    let fences = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.strip_prefix("```").is_some_and(|language| !language.is_empty()));
    fences
        .map(|(at, line)| {
            let name =
                lines[at - 1].strip_prefix("<!-- ").and_then(|name| name.strip_suffix(" -->"));
            let name = name.unwrap_or_else(|| panic!("a block without a name at line {}", at + 1));
            assert!(name.ends_with(&line.replace("```", ".")), "{name} is {line}");
            name
        })
        .collect()
}

fn block(name: &str) -> &'static str {
    let marker = format!("<!-- {name} -->\n```");
    let mut found = PAGE.split(&marker).skip(1);
    let rest = found.next().unwrap_or_else(|| panic!("the page has no block {name}"));
    assert!(found.next().is_none(), "the page has {name} twice");
    let (_, body) = rest.split_once('\n').unwrap();
    body.split("```").next().unwrap()
}

#[test]
fn every_block_of_the_operating_page_is_run() {
    let names = names();
    assert!(names.len() > 15, "{names:?}");
    let different: BTreeSet<_> = names.iter().collect();
    assert_eq!(different.len(), names.len(), "a name stands twice");
    for name in names {
        assert!(SOURCE.contains(&format!("\"{name}\"")), "nothing runs {name}");
    }
}

/// The service, nginx before it, the CA, and the folder that the operator works in.
struct Year<'d> {
    database: &'d Database,
    nginx: Nginx,
    certgate: Certgate,
    ca: Issuer,
    next: Issuer,
    next_again: Issuer,
}

impl<'d> Year<'d> {
    fn new(database: &'d Database) -> Self {
        let certgate = Certgate::start_on_with(
            database,
            "identity.weak = [\"issuer_subject\", \"subject\"]\n",
        );
        let desk = certgate.config().parent().unwrap().to_owned();
        let ca = Issuer::root(&desk.join("ca"), "Example CA");
        let next = Issuer::root(&desk.join("next"), "Next CA");
        let next_again = Issuer::root(&desk.join("next-2"), "Next CA");
        let trusted = [&ca, &next, &next_again].map(|ca| fs::read_to_string(&ca.pem).unwrap());
        for (file, text) in ["example-ca.pem", "next-ca.pem", "next-ca-2.pem"].iter().zip(&trusted)
        {
            fs::write(desk.join(file), text).unwrap();
        }
        // nginx trusts all three; what certgate tells apart is not its concern.
        fs::write(&ca.pem, trusted.concat()).unwrap();
        let nginx = Nginx::start(&Site::Example, certgate.auth(), &ca);
        Self { database, nginx, certgate, ca, next, next_again }
    }

    /// The folder that the commands run in.
    fn desk(&self) -> PathBuf {
        self.certgate.config().parent().unwrap().to_owned()
    }

    fn put(&self, file: &str, certificate: &Issued) {
        let path = self.desk().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &certificate.text).unwrap();
    }

    /// Runs a block of the page, with what is different here; every line must succeed.
    fn run(&self, name: &str, different: &[(&str, &str)]) -> String {
        let mut text = block(name).to_owned();
        for (printed, here) in different {
            assert!(text.contains(printed), "{name} has no {printed}");
            text = text.replace(printed, here);
        }
        if name.ends_with(".sql") {
            return self.database.sql(&text);
        }
        let path = std::env::var_os("PATH").unwrap();
        let path = format!("{}:{}", program().parent().unwrap().display(), path.to_string_lossy());
        let output = Command::new("sh")
            .args(["-euc", &text])
            .env("PATH", path)
            .env("USER", "carol")
            .env("CERTGATE_CONFIG", self.certgate.config())
            .current_dir(self.desk())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{name}: {out}{error}");
        out
    }

    /// What a command says as JSON, be it yes or no.
    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.certgate.try_run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Who comes in with it through nginx, once certgate knows what was just changed.
    fn comes_in(&self, certificate: &Issued, user: &str) {
        self.certgate.wait_for_reason(certificate, "mapped");
        let answer = get(&self.nginx, Some(certificate), "/", &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(seen(&answer.text(), "X-Remote-User"), Some(user), "{}", answer.text());
    }

    /// Nobody comes in with it; gives back the number of the request.
    fn is_kept_out(&self, certificate: &Issued, code: &str, path: &str) -> String {
        self.certgate.wait_for_reason(certificate, code);
        let answer = get(&self.nginx, Some(certificate), path, &[]);
        let line = self.nginx.logged(path);
        assert_eq!((answer.status, line.code()), (401, code), "{}", answer.text());
        line.request_id().to_owned()
    }
}

fn sha256(certificate: &Issued) -> String {
    let bytes = certificate.text.as_bytes();
    certgate::pki::Certificate::from_file_bytes(bytes).unwrap().sha256.to_string()
}

fn a_year(kind: Kind) {
    let database = Database::empty(kind);
    let year = Year::new(&database);

    let people = ["alice", "bob", "carol", "mallory", "bob-admin"];
    let certificates = people.map(|name| year.ca.client(name));
    for (name, certificate) in people.iter().zip(&certificates) {
        year.put(&format!("people/{name}.pem"), certificate);
    }
    year.run("enrol.sh", &[]);
    for (name, certificate) in people.iter().zip(&certificates) {
        year.comes_in(certificate, name);
    }
    let [alice, bob, carol, _, _] = &certificates;
    let answer = get(&year.nginx, Some(alice), "/", &[]).text();
    assert_eq!(seen(&answer, "X-Remote-Groups"), Some("ops,staff"), "{answer}");
    assert_eq!(seen(&answer, "X-Remote-Name"), Some("Alice Dupont"), "{answer}");

    let phone = year.ca.client("bob phone");
    year.is_kept_out(&phone, "unmapped", "/phone");
    let id = &sha256(&phone)[..8];
    wait_until("it is in the inbox", || year.certgate.run(&["inbox", "list"]).contains(id));
    year.run("inbox.sh", &[("1f0c5b7a", id)]);
    year.comes_in(&phone, "bob");

    let spare = year.ca.client("spare token");
    year.put("spare-token.pem", &spare);
    year.run("lend.sh", &[]);
    year.comes_in(&spare, "carol");
    let ended = OffsetDateTime::now_utc() - time::Duration::DAY;
    year.run("lend.sql", &[("2026-12-31T00:00:00Z", &format!("{}T00:00:00Z", ended.date()))]);
    year.is_kept_out(&spare, "mapping_disabled", "/lent");

    a_laptop_is_lost(&year, alice);
    a_wave_is_renewed(&year);
    a_ca_is_replaced(&year);
    bob_is_denied(&year, bob);
    what_expires_is_listed(&year);
    a_mistake_is_undone(&year, carol);

    year.run("report.sh", &[]);
    let report = fs::read_to_string(year.desk().join("access.csv")).unwrap();
    assert!(people.iter().all(|name| report.contains(name)), "{report}");
    let changes = fs::read_to_string(year.desk().join("changes.json")).unwrap();
    assert!(serde_json::from_str::<Value>(&changes).is_ok(), "{changes}");
    if kind == Kind::Sqlite {
        the_people_move_to_postgresql(&year, carol);
    }
}

fn a_laptop_is_lost(year: &Year<'_>, alice: &Issued) {
    year.certgate.run(&["mapping", "add", "alice", "--subject", "CN=alice,O=Example"]);
    // It fits everybody of the CA who is a user.
    year.database.sql(
        "insert into rule (priority, issuer, conditions, username) \
         values (10, 'CN=Example CA,O=Example', '{\"all\":[]}', '{subject.common_name}')",
    );
    let new = year.ca.issue("alice-new", Leaf::client("alice"));
    year.put("alice-new.pem", &new);
    let said = year.run("lost.sh", &[]);
    assert!(said.contains("alice"), "{said}");
    year.is_kept_out(alice, "blocked", "/stolen");
    year.comes_in(&new, "alice");
    let card = year.ca.issue("alice-card", Leaf::client("alice"));
    year.comes_in(&card, "alice");
    let other = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4";
    year.run("lost.sql", &[(other, &sha256(&card))]);
    year.is_kept_out(&card, "blocked", "/stolen-card");
}

fn a_wave_is_renewed(year: &Year<'_>) {
    let machine = |at: usize| format!("machine-{at}");
    let old: Vec<_> = (0..WAVE).map(|at| year.ca.client(&machine(at))).collect();
    for (at, certificate) in old.iter().enumerate() {
        year.put(&format!("machines/{}.pem", machine(at)), certificate);
    }
    year.certgate.run(&["import", "machines/", "--user-from", "filename"]);
    year.comes_in(&old[WAVE - 1], &machine(WAVE - 1));
    let renewed = |at: usize| year.ca.issue(&format!("renewed-{at}"), Leaf::client(&machine(at)));
    let new: Vec<_> = (0..WAVE).map(renewed).collect();
    for (at, certificate) in new.iter().enumerate() {
        year.put(&format!("renewed/{at}.pem"), certificate);
    }
    year.run("renew.sh", &[]);
    for at in [0, WAVE / 2, WAVE - 1] {
        year.comes_in(&new[at], &machine(at));
        year.comes_in(&old[at], &machine(at));
    }
    let ending = year.database.sql("select count(*) from mapping where valid_until is not null");
    assert!(ending.parse::<usize>().unwrap() >= WAVE, "the old ones end: {ending}");
}

fn a_ca_is_replaced(year: &Year<'_>) {
    // Bob's machine is known by its subject under the CA that goes.
    year.certgate.run(&["user", "add", "build-host"]);
    let issuer = "CN=Example CA,O=Example";
    let subject = "CN=build-host,O=Example";
    year.certgate.run(&["mapping", "add", "build-host", "--issuer", issuer, "--subject", subject]);
    let [old, new] = [&year.ca, &year.next].map(|ca| ca.client("build-host"));
    year.comes_in(&old, "build-host");
    year.is_kept_out(&new, "unmapped", "/not-carried");
    year.run("rollover-name.sh", &[]);
    year.comes_in(&new, "build-host");
    year.comes_in(&old, "build-host");
    // The same name with another key: a mapping that a CA's file was given for knows the key.
    year.certgate.run(&["user", "add", "web-host"]);
    let subject = "CN=web-host,O=Example";
    let issuer = ["--issuer", "next-ca.pem", "--subject", subject];
    year.certgate.run(&[&["mapping", "add", "web-host"][..], &issuer].concat());
    let [before, after] = [&year.next, &year.next_again].map(|ca| ca.client("web-host"));
    year.comes_in(&before, "web-host");
    year.is_kept_out(&after, "unmapped", "/another-key");
    year.run("rollover-key.sh", &[]);
    year.comes_in(&after, "web-host");
    year.comes_in(&before, "web-host");
}

fn bob_is_denied(year: &Year<'_>, bob: &Issued) {
    year.certgate.run(&["user", "disable", "bob"]);
    let request = year.is_kept_out(bob, "user_disabled", "/bob");
    let count = format!("select count(*) from denial where request_id = '{request}'");
    wait_for_sql(year.database, &count, "1");
    // An answer of no is what these two are asked for.
    let explained = year.json(&["explain", "--request-id", &request]);
    assert_eq!(explained["reason"], "user_disabled", "{explained}");
    let script = block("denied.sh").replace("5d1fa0c2", &request);
    for line in script.lines() {
        let words: Vec<_> = line.split(' ').skip(1).collect();
        let said = year.certgate.try_run(&words);
        assert!(said.contains("user_disabled"), "{line}: {said}");
    }
    let row = year.run("denied.sql", &[("5d1fa0c2", &request)]);
    assert!(row.contains("user_disabled"), "{row}");
    year.certgate.run(&["user", "enable", "bob"]);
    year.comes_in(bob, "bob");
}

fn what_expires_is_listed(year: &Year<'_>) {
    let now = OffsetDateTime::now_utc();
    let leaf =
        Leaf::client("soon over").valid(now - time::Duration::DAY, now + time::Duration::days(9));
    let soon = year.ca.issue("soon", leaf);
    year.put("soon.pem", &soon);
    year.certgate.run(&["mapping", "add", "bob", "--cert", "soon.pem"]);
    let listed = year.run("expires.sh", &[]);
    assert!(listed.contains("soon over"), "{listed}");
    let until = (now + time::Duration::days(30)).date();
    let rows = year.run("expires.sql", &[("2027-01-31T00:00:00Z", &format!("{until}T00:00:00Z"))]);
    assert!(rows.contains("soon over"), "{rows}");
}

fn a_mistake_is_undone(year: &Year<'_>, carol: &Issued) {
    year.comes_in(carol, "carol");
    year.run("mistake.sh", &[]);
    year.certgate.wait_for_reason(carol, "unmapped");
    let rows = year.json(&["audit", "list", "--user", "carol", "--action", "delete"]);
    let transaction = rows[0]["transaction_id"].as_str().unwrap().to_owned();
    let said = year.run("undo.sh", &[("7391.1764345600", &transaction)]);
    assert!(said.contains("carol"), "{said}");
    year.comes_in(carol, "carol");
    let answer = get(&year.nginx, Some(carol), "/", &[]).text();
    assert_eq!(seen(&answer, "X-Remote-Groups"), Some("staff"), "{answer}");
}

fn the_people_move_to_postgresql(year: &Year<'_>, carol: &Issued) {
    let target = Database::empty(Kind::Postgres);
    year.certgate.stop();
    let printed = "postgres://certgate@db.example.com/certgate";
    let here = format!("sqlite://{}", year.database.path().display());
    let different = [(printed, target.secret_url()), ("sqlite://certgate.db", &here)];
    year.run("move.sh", &different);
    let config = fs::read_to_string(year.certgate.config()).unwrap();
    let old = year.database.secret_url();
    assert!(config.contains(old), "{config}");
    fs::write(year.certgate.config(), config.replace(old, target.secret_url())).unwrap();
    year.certgate.serve();
    year.comes_in(carol, "carol");
    let users = "select count(*) from app_user";
    assert_eq!(target.sql(users), year.database.sql(users));
    year.certgate.stop();
}

#[test]
fn an_operators_year_by_command_line_on_sqlite() {
    a_year(Kind::Sqlite);
}

#[test]
fn an_operators_year_by_command_line_on_postgresql() {
    a_year(Kind::Postgres);
}

#[test]
fn every_path_that_the_operating_page_names_is_there() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    for word in PAGE.split(['`', ' ', '\n', '(', ')', ',', ';']) {
        if ["docs/", "nginx/", "deploy/"].iter().any(|folder| word.starts_with(folder)) {
            assert!(project.join(word).exists(), "the page names {word}");
        }
    }
}

/// What stands for the text of a file in a body, replaced by it.
fn with_files(body: &mut Value, files: &[(&str, &str)]) {
    match body {
        Value::String(text) => {
            let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            if let Some(name) = name {
                let file = files.iter().find(|(file, _)| *file == name);
                *text = file.unwrap_or_else(|| panic!("no file {name}")).1.to_owned();
            }
        }
        Value::Object(members) => members.values_mut().for_each(|one| with_files(one, files)),
        _ => {}
    }
}

/// Makes the calls of a block of the page; each must go well. Gives back the last answer.
fn call(
    office: &Office,
    who: &Issued,
    name: &str,
    different: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Value {
    let mut text = block(name).to_owned();
    for (printed, here) in different {
        assert!(text.contains(printed), "{name} has no {printed}");
        text = text.replace(printed, here);
    }
    let mut last = Value::Null;
    for line in text.lines() {
        let (method, rest) = line.split_once(' ').unwrap();
        let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut call = Call::meant(method, path.strip_prefix("/api/v1").unwrap()).by(who);
        if !body.is_empty() {
            let mut body: Value = serde_json::from_str(body).unwrap();
            with_files(&mut body, files);
            call = call.json(&body);
        }
        let answer = office.ask(&call);
        assert!(matches!(answer.status, 200 | 201), "{line}: {answer:?}");
        last = answer.json();
    }
    last
}

fn a_year_of_calls(kind: Kind) {
    let office = Office::open(kind);
    let (certgate, ca) = (&office.certgate, &office.ca);
    let Office { alice, bob, .. } = &office;
    let is = |certificate: &Issued, code: &str| certgate.wait_for_reason(certificate, code);

    let second = ca.client("bob-admin");
    call(&office, alice, "enrol.http", &[], &[("bob-admin.pem", &second.text)]);
    is(&second, "mapped");

    let phone = ca.client("bob phone");
    is(&phone, "unmapped");
    let sha256_of_phone = sha256(&phone);
    wait_until("it is in the inbox", || {
        office.ask(&Call::get("/inbox").by(alice)).body.contains(&sha256_of_phone)
    });
    let printed = "1f0c5b7a6648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa";
    call(&office, alice, "inbox.http", &[(printed, &sha256_of_phone)], &[]);
    is(&phone, "mapped");

    let spare = ca.client("spare token");
    let week = (OffsetDateTime::now_utc() + time::Duration::days(7)).date();
    let until = [("2026-12-31T00:00:00Z", &*format!("{week}T00:00:00Z"))];
    call(&office, alice, "lend.http", &until, &[("spare-token.pem", &spare.text)]);
    is(&spare, "mapped");

    // Her new certificate comes first: she is the administrator who does all this.
    let new = ca.issue("alice-new", Leaf::client("alice"));
    let lost = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4";
    let files = [("alice-new.pem", new.text.as_str())];
    call(&office, alice, "lost.http", &[(lost, &sha256(alice))], &files);
    is(alice, "blocked");
    is(&new, "mapped");
    let refused = office.ask(&Call::get("/whoami").by(alice));
    assert_eq!((refused.status, refused.code().as_str()), (401, "blocked"));
    let alice = &new;
    office.ask_until(&Call::get("/whoami").by(alice), 200);

    let renewed = ca.issue("bob-renewed", Leaf::client("bob"));
    is(&renewed, "unmapped");
    wait_until("it is in the inbox", || {
        office.ask(&Call::get("/inbox").by(alice)).body.contains(&sha256(&renewed))
    });
    call(&office, alice, "renew.http", &[], &[]);
    is(&renewed, "mapped");

    let next = Issuer::root(&ca.folder().join("next"), "Next CA");
    let subject = "CN=build-host,O=Example";
    let issuer = "CN=Example CA,O=Example";
    certgate.run(&["user", "add", "build-host"]);
    certgate.run(&["mapping", "add", "build-host", "--issuer", issuer, "--subject", subject]);
    let host = next.client("build-host");
    is(&host, "unmapped");
    let [old, new_ca] = [ca, &next].map(|ca| fs::read_to_string(&ca.pem).unwrap());
    let files = [("example-ca.pem", old.as_str()), ("next-ca.pem", new_ca.as_str())];
    call(&office, alice, "rollover-name.http", &[], &files);
    is(&host, "mapped");

    let off = office.ask(&Call::meant("POST", "/users/bob/disable").by(alice));
    assert_eq!(off.status, 200, "{off:?}");
    is(bob, "user_disabled");
    let request = "5d1fa0c2b3";
    ask(certgate, Some(bob), &format!("X-Request-ID: {request}\r\n"));
    let count = format!("select count(*) from denial where request_id = '{request}'");
    wait_for_sql(&office.database, &count, "1");
    let now = OffsetDateTime::now_utc();
    let days = |days| (now + time::Duration::days(days)).date();
    let leaf =
        Leaf::client("soon over").valid(now - time::Duration::DAY, now + time::Duration::DAY);
    let soon = ca.issue("soon", leaf);
    let add = json!({ "certificate": soon.text });
    assert_eq!(office.ask(&Call::meant("POST", "/certificates").json(&add).by(alice)).status, 201);
    let (until, since) = (days(30).to_string(), days(-90).to_string());
    let printed = [("2027-01-31", &*until), ("2026-10-31", &*since)];
    // The last call of the block: who has not come for so long.
    let unused = call(&office, alice, "expires.http", &printed, &[])["items"].to_string();
    assert!(!unused.contains("soon over") && !unused.contains("bob phone"), "{unused}");
    let list = |query: &str| -> Vec<String> {
        let answer = office.ask(&Call::get(&format!("/certificates?{query}")).by(alice));
        let names = answer.json()["items"].as_array().unwrap().clone();
        names.iter().map(|one| one["subject"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(list(&format!("expires_before={until}T00:00:00Z")), ["CN=soon over,O=Example"]);
    assert_eq!(
        list(&format!("code=unmapped&expires_before={until}T00:00:00Z")),
        ["CN=soon over,O=Example"]
    );
    let hers = list("user=alice&limit=500");
    assert!(!hers.is_empty() && hers.iter().all(|one| one.starts_with("CN=alice")), "{hers:?}");
    let everything = list("limit=500");
    assert!(everything.len() > hers.len() + 1, "{everything:?}");
    let first = office.ask(&Call::get("/certificates?user=alice&limit=1").by(alice)).json();
    assert_eq!(first["next_cursor"].is_null(), hers.len() == 1, "{first}");

    let told = call(&office, alice, "denied.http", &[("5d1fa0c2", request)], &[]);
    assert_eq!(told["items"][0]["reason"], "user_disabled", "{told}");

    let removal = "/users/carol?with_mappings=true";
    let gone = office.ask(&Call::meant("DELETE", removal).by(alice));
    assert_eq!(gone.status, 200, "{gone:?}");
    is(&spare, "unmapped");
    let rows = office.ask(&Call::get("/audit?user=carol&action=delete").by(alice)).json();
    let id = rows["items"][0]["id"].to_string();
    call(&office, alice, "undo.http", &[("4711", &id)], &[]);
    is(&spare, "mapped");
}

#[test]
fn an_operators_year_by_calls_on_sqlite() {
    a_year_of_calls(Kind::Sqlite);
}

#[test]
fn an_operators_year_by_calls_on_postgresql() {
    a_year_of_calls(Kind::Postgres);
}
