//! The tables of what was seen: their bounds, and what hostile certificates can do to them.

use std::time::Duration;

use certgate::pki::Certificate;
use certgate::store::{Denial, Reported, SeenCertificate};
use rcgen::KeyPair;

use crate::pki_nginx_dn::forge::{
    CN, Forge, OU, UTF8, attribute, common_name, extension, name, rdn, tlv,
};
use crate::store_contract::on_both;
use crate::support::database::{Database, Kind};

on_both! {
    a_certificate_seen_again_is_counted_and_keeps_what_an_operator_said,
    denials_are_bounded_by_number_and_age,
    hostile_certificates_are_kept_and_harmless,
    seen_certificates_are_bounded_and_given_ones_stay,
    strangers_push_out_nobody_but_strangers,
}

fn certificate(forge: &Forge) -> Certificate {
    let key = KeyPair::generate().unwrap();
    Certificate::from_der(&forge.der(&key)).unwrap()
}

fn seen(certificate: &Certificate, code: &'static str, username: Option<&str>) -> SeenCertificate {
    SeenCertificate::new(certificate, 3, Duration::from_secs(1), code, username)
}

fn denial(certificate: Option<&Certificate>) -> Denial {
    Denial {
        age: Duration::from_secs(2),
        host: None,
        request_id: None,
        code: "unmapped",
        certificate: certificate.map(|certificate| certificate.sha256),
        peer: Some([192, 0, 2, 7].into()),
    }
}

async fn report(database: &Database, certificates: &[SeenCertificate], denials: &[Denial]) {
    let store = database.store().await;
    assert_eq!(store.report(certificates, denials).await.unwrap(), Reported::Written);
    store.close().await;
}

async fn a_certificate_seen_again_is_counted_and_keeps_what_an_operator_said(database: Database) {
    let alice = certificate(&Forge::default());
    report(&database, &[seen(&alice, "unmapped", None)], &[]).await;
    let row = "select origin, state, hits, last_code, last_username,
         first_seen <= last_seen from certificate";
    let is = |expected: &str| {
        let yes = if database.kind == Kind::Postgres { "t" } else { "1" };
        assert_eq!(database.sql(row), format!("{expected}|{yes}"));
    };
    is("seen|new|3|unmapped|");
    database.sql(
        "update certificate set origin = 'given', state = 'ignored', first_seen = null,
         last_seen = null, hits = 0",
    );
    report(&database, &[seen(&alice, "mapped", Some("alice"))], &[]).await;
    is("given|ignored|3|mapped|alice");
    report(&database, &[seen(&alice, "user_disabled", None)], &[]).await;
    is("given|ignored|6|user_disabled|alice");
}

/// SQL that makes rows 1 to `last` as `n`.
fn numbers(database: &Database, insert: &str, select: &str, last: u32) -> String {
    match database.kind {
        Kind::Postgres => {
            format!("{insert} select {select} from generate_series(1, {last}) as n;")
        }
        Kind::Sqlite => format!(
            "with recursive numbers (n) as (select 1 union all select n + 1 from numbers
                 where n < {last}) {insert} select {select} from numbers;"
        ),
    }
}

async fn denials_are_bounded_by_number_and_age(database: Database) {
    let into = "insert into denial (at, code, certificate)";
    let at = match database.kind {
        Kind::Postgres => "clock_timestamp() - interval '1 hour'",
        Kind::Sqlite => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour')",
    };
    let digits = "a".repeat(64);
    let count = |what: &str| database.sql(&format!("select count(*) from denial where {what}"));
    database.sql(&numbers(&database, into, &format!("{at}, 'unmapped', '{digits}'"), 2000));
    database.sql(&numbers(&database, into, &format!("{at}, 'no_certificate', null"), 3000));
    report(&database, &[], &[denial(None)]).await;
    assert_eq!(count("certificate is null"), "2500");
    assert_eq!(count("certificate is not null"), "2000");
    assert_eq!(count("peer = '192.0.2.7'"), "1", "the newest stays");
    database.sql(&numbers(&database, into, &format!("{at}, 'unmapped', '{digits}'"), 8000));
    report(&database, &[], &[denial(None)]).await;
    assert_eq!(count("code is not null"), "10000");
    assert_eq!(count("peer = '192.0.2.7'"), "2", "the newest stay");
    let old = match database.kind {
        Kind::Postgres => "clock_timestamp() - interval '169 hours'",
        Kind::Sqlite => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-169 hours')",
    };
    database.sql(&format!("update denial set at = {old} where peer is null"));
    report(&database, &[], &[]).await;
    report(&database, &[], &[]).await;
    assert_eq!(count("code is not null"), "2", "whatever is older than seven days is gone");
}

/// Adds certificates whose SHA-256 begins with this digit, seen an hour ago.
fn add_certificates(database: &Database, first: char, last: u32, columns: [&str; 3]) {
    let [origin, state, username] = columns;
    let (digits, at, der) = match database.kind {
        Kind::Postgres => {
            ("lpad(n::text, 63, '0')", "clock_timestamp() - interval '1 hour'", r"'\x30'")
        }
        Kind::Sqlite => {
            ("printf('%063d', n)", "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour')", "x'30'")
        }
    };
    let (from, until) = ("'2026-01-01T00:00:00Z'", "'2027-01-01T00:00:00Z'");
    let (from, until) = match database.kind {
        Kind::Postgres => (format!("timestamptz {from}"), format!("timestamptz {until}")),
        Kind::Sqlite => (from.to_owned(), until.to_owned()),
    };
    let insert = "insert into certificate (sha256, der, spki_sha256, not_before, not_after, \
         origin, state, first_seen, last_seen, last_code, last_username)";
    let select = format!(
        "'{first}' || {digits}, {der}, '{first}' || {digits}, {from}, {until}, '{origin}', \
         '{state}', {at}, {at}, 'unmapped', {username}"
    );
    database.sql(&numbers(database, insert, &select, last));
}

async fn strangers_push_out_nobody_but_strangers(database: Database) {
    add_certificates(&database, 'a', 10_300, ["seen", "new", "null"]);
    add_certificates(&database, 'b', 40, ["seen", "new", "'alice'"]);
    add_certificates(&database, 'c', 30, ["seen", "ignored", "null"]);
    add_certificates(&database, 'd', 20, ["given", "new", "null"]);
    let bob = certificate(&Forge::default());
    report(&database, &[seen(&bob, "unmapped", None)], &[]).await;
    let count = |what: &str| {
        let sql = format!("select count(*) from certificate where {what}");
        database.sql(&sql).parse::<u32>().unwrap()
    };
    let strangers = "origin = 'seen' and state = 'new' and last_username is null";
    // Rows seen at the same moment go together.
    assert!(count(strangers) <= 10_000, "{}", count(strangers));
    assert_eq!(count(&format!("sha256 = '{}'", bob.sha256)), 1, "the newest stays");
    assert_eq!(count(&format!("not ({strangers})")), 90);
}

async fn seen_certificates_are_bounded_and_given_ones_stay(database: Database) {
    add_certificates(&database, 'b', 200_100, ["seen", "new", "'alice'"]);
    add_certificates(&database, 'd', 20, ["given", "new", "null"]);
    let bob = certificate(&Forge::default());
    report(&database, &[seen(&bob, "mapped", Some("bob"))], &[]).await;
    let count = |what: &str| {
        let sql = format!("select count(*) from certificate where {what}");
        database.sql(&sql).parse::<u32>().unwrap()
    };
    assert!(count("origin = 'seen'") <= 200_000, "{}", count("origin = 'seen'"));
    assert_eq!(count("last_username = 'bob'"), 1, "the newest stays");
    assert_eq!(count("origin = 'given'"), 20);
}

/// Alternative names of the kinds that are kept: mail, DNS and URI.
fn names(values: &[(u8, &str)]) -> Vec<u8> {
    let values: Vec<_> = values.iter().map(|(tag, text)| tlv(*tag, &[text.as_bytes()])).collect();
    extension(&[0x55, 0x1d, 0x11], false, &tlv(0x30, &[&values.concat()]))
}

async fn hostile_certificates_are_kept_and_harmless(database: Database) {
    let with_cn = |text: &str| Forge { subject: common_name(text), ..Forge::default() };
    let long = name(&vec![rdn(&[attribute(OU, UTF8, &[b'x'; 64])]); 70]);
    // Fits its column, and is longer than what a tree of an index takes.
    let noise = |n: u8| -> Vec<u8> {
        use sha2::Digest as _;
        sha2::Sha256::digest([n]).iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect()
    };
    let rather_long: Vec<_> = (0..55).map(|n| rdn(&[attribute(OU, UTF8, &noise(n))])).collect();
    let crowd: Vec<_> = (0..700).map(|n| format!("host-{n:04}.example.com")).collect();
    let crowd: Vec<_> = crowd.iter().map(|name| (0x82, name.as_str())).collect();
    let early = [tlv(0x17, &[b"500101000000Z"]), tlv(0x18, &[b"99991231235959Z"])];
    let two = [attribute(CN, UTF8, b"a\nb"), attribute(CN, UTF8, b"c\0d\x1b[2J")];
    let hostile = [
        with_cn("'; drop table certificate; --"),
        with_cn("\"\\}{,$1 %00%0a"),
        with_cn("\u{202e}ecila\u{200b}\u{feff}"),
        with_cn("\u{85}\u{9b}2J"),
        Forge { subject: name(&[rdn(&two)]), ..Forge::default() },
        Forge { subject: tlv(0x30, &[]), ..Forge::default() },
        Forge { subject: long, ..Forge::default() },
        Forge { subject: name(&rather_long), ..Forge::default() },
        Forge { serial: vec![0x80; 200], ..Forge::default() },
        Forge { serial: vec![0x55; 4000], ..Forge::default() },
        Forge { serial: vec![0], ..Forge::default() },
        Forge { validity: tlv(0x30, &[&early.concat()]), ..Forge::default() },
        Forge { extensions: vec![names(&crowd)], ..Forge::default() },
        Forge {
            extensions: vec![names(&[(0x81, "a'b\"@x\\u0000"), (0x86, "x:{}"), (0x82, "*")])],
            ..Forge::default()
        },
    ];
    let hostile: Vec<_> = hostile.iter().map(certificate).collect();
    let rows: Vec<_> = hostile.iter().map(|hostile| seen(hostile, "unmapped", None)).collect();
    let denials: Vec<_> = hostile.iter().map(|hostile| denial(Some(hostile))).collect();
    report(&database, &rows, &denials).await;
    let count = |sql: &str| database.sql(&format!("select count(*) from {sql}"));
    let all = hostile.len().to_string();
    assert_eq!(count("inbox"), all);
    assert_eq!(count("denial join certificate on certificate.sha256 = denial.certificate"), all);
    assert_eq!(count("certificate where subject is null"), "2", "the empty one and the long one");
    assert_eq!(count("certificate where serial is null"), "1", "the long one");
    assert_eq!(count("certificate where names is null"), "1", "the crowd");
    let shown = database.sql("select subject || serial || names from certificate");
    let is_plain = |c: char| c == '\n' || (' '..='~').contains(&c);
    assert!(shown.chars().all(is_plain), "{shown}");
    assert_eq!(database.sql("select min(hits) from certificate"), "3");
}
