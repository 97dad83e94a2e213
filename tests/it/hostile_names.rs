//! Hostile names by every door, seen at every place where names come out: each is refused, or
//! harmless in headers, the log, tables, JSON and CSV.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use certgate::cli::demo::programs;
use certgate::pki::Certificate;
use certgate::store::{Reported, SeenCertificate};
use rcgen::KeyPair;
use serde_json::Value;

use super::pki_nginx_dn::forge::{CN, Forge, UTF8, attribute, name, rdn};
use super::spoof_seeds::pem;
use crate::support::certgate::{Certgate, program};
use crate::support::database::{Database, Kind};
use crate::support::office::{Call, Office};
use crate::support::pki::Issued;

/// A batch takes seconds; this is for a machine that is very busy.
const DEADLINE: Duration = Duration::from_secs(20);

/// What is hostile to somebody who reads it: to HTTP, terminals, logs, eyes, SQL, shells, browsers,
/// JSON, spreadsheets, or to whoever believes that it is text.
const SEEDS: &[&[u8]] = &[
    b"\r\nX-Remote-User: bob",
    b"\n",
    b"\r",
    b"\0",
    b"\x08",
    b"\x1b[2J",
    b"\x1b]0;bob\x07",
    b"\x7f",
    "\u{80}".as_bytes(),
    "\u{85}".as_bytes(),
    "\u{9b}31m".as_bytes(),
    "\u{9f}".as_bytes(),
    "\u{61c}".as_bytes(),
    "\u{200e}".as_bytes(),
    "\u{202e}bob".as_bytes(),
    "\u{2066}".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{200d}".as_bytes(),
    "\u{2060}".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{2029}".as_bytes(),
    "\u{e0041}".as_bytes(),
    b" ",
    b"\t",
    "\u{a0}".as_bytes(),
    "\u{3000}".as_bytes(),
    b",bob",
    b";bob",
    b"|bob",
    b"%",
    b"%0d%0aX-Remote-User:%20bob",
    b"%00",
    b"\"",
    b"'",
    b"\\",
    "é".as_bytes(),
    "e\u{301}".as_bytes(),
    "日本".as_bytes(),
    "\u{1f600}".as_bytes(),
    "\u{10ffff}".as_bytes(),
    "\u{430}lice".as_bytes(),
    "\u{ff41}lice".as_bytes(),
    b"\xff",
    b"\xc3\x28",
    b"\xc0\x8a",
    b"\xed\xa0\x80",
    b"=HYPERLINK(1)",
    b"=cmd|'/C calc'!A0",
    b"+1",
    b"-1",
    b"@SUM(1)",
    "\u{ff1d}1".as_bytes(),
    "\u{ff20}SUM(1)".as_bytes(),
    b"\t=1",
    b"$(id)",
    b"`id`",
    b"&&id",
    b"<script>alert(1)</script>",
    b"<!--",
    b"&lt;",
    b"\",\"username\":\"bob",
    b"\\u0000",
    b"' or '1'='1",
    b"');drop/**/table/**/app_user;--",
    b"%s%n",
    b"../../x",
    b"{subject.CN}",
];

/// Each seed alone, before, after and within a name, and what is too long.
fn names() -> Vec<Vec<u8>> {
    let mut names: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let long = [vec![b'a'; 257], vec![b'a'; 5_000], "é".repeat(2_500).into_bytes()];
    for seed in SEEDS {
        for (before, after) in [("", ""), ("", "zoe"), ("zoe", ""), ("z", "oe")] {
            let name = [before.as_bytes(), seed, after.as_bytes()].concat();
            names.insert(name.to_ascii_lowercase(), name);
        }
    }
    names.extend(long.map(|name| (name.clone(), name)));
    assert!(names.len() >= 200, "{}", names.len());
    names.into_values().collect()
}

/// What the contract says of a user and a group.
fn is_name(name: &[u8]) -> bool {
    (1..=256).contains(&name.len())
        && name.iter().all(|byte| (0x21..=0x7e).contains(byte) && *byte != b',')
}

/// What the contract says of a text.
fn is_text(text: &[u8]) -> bool {
    let is_clean = |text: &str| !text.chars().any(char::is_control);
    (1..=4096).contains(&text.len()) && std::str::from_utf8(text).is_ok_and(is_clean)
}

/// Nothing that a terminal acts on, that ends a line or that hides.
fn assert_harmless(what: &str, text: &[u8]) {
    let text = std::str::from_utf8(text).unwrap_or_else(|error| panic!("{what}: {error}"));
    for character in text.chars().filter(|character| *character != '\n') {
        let is_hidden = matches!(u32::from(character),
            0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff
            | 0xe0000..=0xe007f);
        let near = || text.lines().find(|line| line.contains(character)).unwrap_or_default();
        assert!(!character.is_control() && !is_hidden, "{what}: {character:?} in {:?}", near());
    }
}

/// Runs a command with arguments of any octets: its exit code and both outputs.
fn run(certgate: &Certgate, arguments: &[&[u8]]) -> (i32, Vec<u8>, Vec<u8>) {
    let mut command = programs::certgate(&program(), &certgate.config());
    command.args(arguments.iter().map(|argument| OsStr::from_bytes(argument)));
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.code().unwrap(), output.stdout, output.stderr)
}

/// Everybody but those who were there before.
const STRANGERS: &str =
    "delete from app_user where username not in ('alice', 'bob', 'carol', 'mallory');";

/// By command line, each seed in one of its places.
fn by_command_line(office: &Office) {
    let names = names();
    for (number, name) in names.iter().enumerate().filter(|(number, _)| number % 4 == 1) {
        // No argument can hold one.
        if name.contains(&0) {
            continue;
        }
        let what = format!("{:?}", String::from_utf8_lossy(name));
        let text = |option: &str| [option.as_bytes(), b"=", name].concat();
        let texts = [text("--name"), text("--email"), text("--note")];
        let texts = texts.each_ref().map(Vec::as_slice);
        let group = text("--group");
        let user = format!("cli-{number}");
        for (arguments, is_good) in [
            (vec![&b"user"[..], b"add", &group, b"--", name], is_name(name)),
            ([&[&b"user"[..], b"add", user.as_bytes()][..], &texts].concat(), is_text(name)),
        ] {
            let (code, out, err) = run(&office.certgate, &arguments);
            assert_eq!(code, if is_good { 0 } else { 2 }, "{what}: {err:?}");
            assert_harmless(&what, &out);
            assert_harmless(&what, &err);
        }
    }
    office.database.sql(STRANGERS);
}

/// JSON with this as a string, though it may be none.
fn quoted(octets: &[u8]) -> Vec<u8> {
    std::str::from_utf8(octets)
        .map_or_else(|_| [b"\"", octets, b"\""].concat(), |text| serde_json::to_vec(text).unwrap())
}

fn by_api(office: &Office) {
    for (number, name) in names().iter().enumerate() {
        let what = String::from_utf8_lossy(name);
        let (quoted, user) = (quoted(name), format!("\"api-{number}\""));
        let add = |user: &[u8], field: &str, is_list: bool| {
            let (open, close): (&[u8], &[u8]) = if is_list { (b"[", b"]") } else { (b"", b"") };
            let field = format!(",\"{field}\":");
            [b"{\"username\":", user, field.as_bytes(), open, &quoted, close, b"}"].concat()
        };
        for (body, is_good) in [
            (add(&quoted, "groups", true), is_name(name)),
            (add(user.as_bytes(), "display_name", false), is_text(name)),
        ] {
            let call = Call::meant("POST", "/users").header("Content-Type", "application/json");
            let answer = office.ask(&call.body(&body).by(&office.alice));
            let is_refused = matches!(answer.status, 400 | 422);
            assert!(
                if is_good { answer.status == 201 } else { is_refused },
                "{what:?}: {answer:?}"
            );
            assert!(answer.json().is_object(), "{what:?}: {answer:?}");
            assert_eq!(answer.header("x-remote-user"), None);
            if is_good {
                let shown = answer.json();
                let (column, shown) = match shown["display_name"].as_str() {
                    Some(text) => ("display_name", text.to_owned()),
                    None => ("username", shown["username"].as_str().unwrap().to_owned()),
                };
                assert_eq!(shown.as_bytes(), &**name, "{column}");
            }
        }
        let path = percent_encoding::percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        let answer = office.ask(&Call::get(&format!("/groups/{path}")).by(&office.alice));
        assert!(matches!(answer.status, 200 | 400 | 404 | 414 | 431), "{what:?}: {answer:?}");
    }
    office.database.sql(STRANGERS);
}

/// A certificate of this subject, and another one of a subject that says nothing.
struct Pair {
    hostile: Option<Certificate>,
    hostile_pem: Issued,
    plain: Certificate,
    plain_pem: Issued,
}

fn pair(key: &KeyPair, number: usize, value: &[u8]) -> Pair {
    let issued = |der: Vec<u8>| {
        let text = pem(&der);
        Issued { pem: "".into(), alone: "".into(), key: "".into(), text }
    };
    let serial = |first: u8| [&[first][..], &u16::try_from(number).unwrap().to_be_bytes()].concat();
    let subject = name(&[rdn(&[attribute(CN, UTF8, value)])]);
    let hostile = Forge { subject, serial: serial(1), ..Forge::default() }.der(key);
    let plain = Forge { serial: serial(2), ..Forge::default() }.der(key);
    Pair {
        hostile: Certificate::from_der(&hostile).ok(),
        hostile_pem: issued(hostile),
        plain: Certificate::from_der(&plain).unwrap(),
        plain_pem: issued(plain),
    }
}

/// By SQL, where they stay: users whose texts and groups are hostile, each with a certificate, and
/// users of hostile names with certificates of hostile subjects.
fn by_sql(database: &Database, names: &[Vec<u8>], pairs: &[Pair]) {
    let mut sql = String::new();
    for (number, (name, pair)) in names.iter().zip(pairs).enumerate() {
        let (text, user) = (database.text(name), format!("user-{number}"));
        let plain = pair.plain.sha256;
        sql.push_str(&format!(
            "insert into app_user (username) values ('{user}');
             update app_user set display_name = {text} where username = '{user}';
             update app_user set email = {text} where username = '{user}';
             update app_user set note = {text} where username = '{user}';
             insert into user_group values ('{user}', {text});
             insert into mapping (username, sha256) values ('{user}', '{plain}');
             update mapping set note = {text} where username = '{user}';
             insert into block (serial, reason) values ('7f{number:04x}', {text});
             insert into app_user (username, note) values ({text}, 'hostile');\n"
        ));
        if let Some(hostile) = &pair.hostile {
            let sha256 = hostile.sha256;
            sql.push_str(&format!(
                "insert into mapping (username, sha256) values ({text}, '{sha256}');\n"
            ));
        }
    }
    if database.kind == Kind::Sqlite {
        // What fails there is one statement, and not all of the transaction.
        sql = format!("begin;\n{sql}commit;\n");
    }
    database.sql_whatever_fails(&sql);
    let count = |what: &str| database.sql(&format!("select count(*) from {what};"));
    let expected =
        |is_good: fn(&[u8]) -> bool| names.iter().filter(|name| is_good(name)).count().to_string();
    assert_eq!(count("app_user where note = 'hostile'"), expected(is_name));
    assert_eq!(count("user_group where username like 'user-%'"), expected(is_name));
    assert_eq!(count("app_user where username like 'user-%'"), names.len().to_string());
    if database.kind == Kind::Sqlite {
        // It takes octets that are no text; whoever reads them has to cope.
        return;
    }
    assert_eq!(count("app_user where display_name is not null"), expected(is_text));
    assert_eq!(count("app_user where email is not null"), expected(is_text));
    assert_eq!(count("block where reason is not null"), expected(is_text));
}

/// What the auth listener says: its status, and its headers with their names in lower case.
fn asked(certgate: &Certgate, who: &Issued, host: &[u8]) -> (u16, Vec<(String, Vec<u8>)>) {
    let mut stream = TcpStream::connect(certgate.auth()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "GET /auth HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\n\
         X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-Cert: {}\r\nX-Original-Host: ",
        who.escaped()
    );
    stream.write_all(&[head.as_bytes(), host, b"\r\n\r\n"].concat()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = &answer[..end];
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
    let first = String::from_utf8(lines.next().unwrap().to_vec()).unwrap();
    let headers = lines.map(|line| {
        let colon = line.iter().position(|byte| *byte == b':').expect("a header");
        let name = String::from_utf8(line[..colon].to_ascii_lowercase()).unwrap();
        (name, line[colon + 1..].strip_prefix(b" ").unwrap_or_default().to_vec())
    });
    (first[9..12].parse().unwrap(), headers.collect())
}

/// The one value of a header.
fn value<'h>(headers: &'h [(String, Vec<u8>)], name: &str) -> Option<&'h [u8]> {
    let mut values = headers.iter().filter(|(this, _)| this == name).map(|(_, value)| &**value);
    let value = values.next();
    assert_eq!(values.next(), None, "a second {name}");
    value
}

fn assert_headers(certgate: &Certgate, names: &[Vec<u8>], pairs: &[Pair], kind: Kind) {
    for (number, (name, pair)) in names.iter().zip(pairs).enumerate() {
        let what = String::from_utf8_lossy(name);
        // As a client would have to send it for nginx to pass it on.
        let host = if name.iter().any(|byte| b"\r\n\0".contains(byte)) { b"x" } else { &**name };
        let (status, headers) = asked(certgate, &pair.plain_pem, b"x");
        let is_readable = kind == Kind::Postgres || std::str::from_utf8(name).is_ok();
        assert_eq!(status, if is_readable { 200 } else { 401 }, "{what:?}: {headers:?}");
        let user = format!("user-{number}");
        if is_readable {
            assert_eq!(value(&headers, "x-remote-user"), Some(user.as_bytes()), "{what:?}");
            let groups = if is_name(name) { &**name } else { b"" };
            assert_eq!(value(&headers, "x-remote-groups"), Some(groups), "{what:?}");
            let text = if is_text(name) { &**name } else { b"" };
            for header in ["x-remote-name", "x-remote-email"] {
                let shown = value(&headers, header).unwrap();
                let is_ascii = shown.iter().all(|byte| (0x20..=0x7e).contains(byte));
                assert!(is_ascii, "{what:?}: {shown:?}");
                let read: Vec<u8> = percent_encoding::percent_decode(shown).collect();
                // A blank at an end does not survive HTTP.
                assert_eq!(read.trim_ascii(), text.trim_ascii(), "{what:?}");
            }
        }
        for host in [b"x", host] {
            let (status, headers) = asked(certgate, &pair.hostile_pem, host);
            let is_let_in = is_name(name) && pair.hostile.is_some();
            let is_expected = match status {
                200 => is_let_in,
                // HTTP itself does not take such a header.
                400 => host != b"x",
                401 => !is_let_in,
                _ => false,
            };
            assert!(is_expected, "{what:?}: {status} {headers:?}");
            let user = (status == 200).then_some(&**name);
            assert_eq!(value(&headers, "x-remote-user"), user, "{what:?}");
        }
    }
}

/// Every list of the command line, as a table and as JSON.
const LISTS: [&[&str]; 9] = [
    &["user", "list"],
    &["group", "list"],
    &["mapping", "list"],
    &["block", "list"],
    &["certificate", "list"],
    &["inbox", "list"],
    &["denied"],
    &["audit", "list", "--limit", "1000"],
    &["report", "access"],
];

fn assert_lists(office: &Office, names: &[Vec<u8>]) {
    let told = |arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(|text| text.as_bytes()).collect();
        let (code, out, err) = run(&office.certgate, &arguments);
        assert_eq!(code, 0, "{arguments:?}: {}", String::from_utf8_lossy(&err));
        assert_harmless(&format!("{arguments:?}"), &out);
        assert_harmless(&format!("{arguments:?}"), &err);
        String::from_utf8(out).unwrap()
    };
    // Who was kept out is written down in batches; one that finds the file locked is dropped.
    let start = Instant::now();
    while office.database.sql("select count(*) from denial;") == "0" {
        assert!(start.elapsed() < DEADLINE, "nobody was kept out");
        office.certgate.ask("GET /auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    for list in LISTS {
        assert!(told(list).lines().count() > 1, "{list:?}");
        let json: Value = serde_json::from_str(&told(&[list, &["--json"]].concat())).unwrap();
        assert!(!json.as_array().unwrap().is_empty(), "{list:?}");
        if list == ["user", "list"] {
            for name in names.iter().filter(|name| is_text(name)) {
                let is_it = |user: &Value| {
                    user["display_name"].as_str().is_some_and(|text| text.as_bytes() == &**name)
                };
                let name = String::from_utf8_lossy(name);
                assert!(json.as_array().unwrap().iter().any(is_it), "{name:?}");
            }
        }
    }
    let csv = told(&["report", "access", "--csv"]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let mut rows = 0;
    for row in reader.records() {
        for cell in &row.unwrap() {
            let first = cell.trim_start().chars().next().unwrap_or('x');
            assert!(!"=+-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".contains(first), "{cell:?}");
            assert!(!cell.contains('\n'), "{cell:?}");
        }
        rows += 1;
    }
    assert!(rows >= names.len(), "{rows}");
    for path in ["/users", "/groups", "/mappings", "/blocks", "/certificates", "/inbox", "/denied"]
    {
        let answer = office.ask(&Call::get(&format!("{path}?limit=500")).by(&office.alice));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(!answer.json()["items"].as_array().unwrap().is_empty(), "{path}");
    }
}

/// One event is one line, whatever is in it.
fn assert_log(certgate: &Certgate, is_json: bool) {
    let log = fs::read(certgate.config().parent().unwrap().join("certgate.log")).unwrap();
    assert_harmless("the log", &log);
    let log = String::from_utf8(log).unwrap();
    assert!(log.lines().count() > 3, "{log}");
    for line in log.lines() {
        if is_json {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            assert!(event["timestamp"].is_string(), "{line}");
        } else {
            let starts_with_a_time = line.starts_with("20") && line.contains("Z ");
            assert!(starts_with_a_time, "{line}");
        }
    }
}

/// They came, and are nobody's.
fn see(database: &Database, pairs: &[Pair]) {
    let seen: Vec<_> = pairs
        .iter()
        .filter_map(|pair| pair.hostile.as_ref())
        .map(|shown| SeenCertificate::new(shown, 1, Duration::from_secs(1), "unmapped", None))
        .collect();
    assert!(seen.len() > 150, "{}", seen.len());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = database.store().await;
        for some in seen.chunks(50) {
            assert_eq!(store.report(some, &[]).await.unwrap(), Reported::Written);
        }
        store.close().await;
    });
}

fn hostile_names_are_harmless(kind: Kind) {
    let is_json = kind == Kind::Sqlite;
    let format = if is_json { "json" } else { "text" };
    let office = Office::open_with(kind, &format!("log.format = \"{format}\"\n"));
    if kind == Kind::Sqlite {
        by_command_line(&office);
    }
    by_api(&office);
    let key = KeyPair::generate().unwrap();
    let names = names();
    let pairs: Vec<_> =
        names.iter().enumerate().map(|(number, name)| pair(&key, number, name)).collect();
    by_sql(&office.database, &names, &pairs);
    see(&office.database, &pairs);
    // The last one that was written is there, so everything is.
    let last = pairs.iter().zip(&names).rfind(|(_, name)| is_text(name)).unwrap().0;
    office.certgate.wait_for_reason(&last.plain_pem, "mapped");
    assert_headers(&office.certgate, &names, &pairs, kind);
    assert_lists(&office, &names);
    assert_log(&office.certgate, is_json);
}

#[test]
fn hostile_names_are_refused_or_harmless_on_postgresql() {
    hostile_names_are_harmless(Kind::Postgres);
}

#[test]
fn hostile_names_are_refused_or_harmless_on_sqlite() {
    hostile_names_are_harmless(Kind::Sqlite);
}
