//! What hostile and odd values become: refused by the schema, or kept out by whoever reads them.

use certgate::store::{Open, Store};

use super::support::shells::{Database, Which, on_both, only_on};

on_both! {
    hostile_names_are_refused_for_users_and_groups,
    every_spelling_of_a_serial_is_let_in_and_can_be_used,
    what_is_no_serial_is_refused,
    what_is_no_time_is_refused,
    times_that_are_let_in_can_be_used,
}
only_on! { on_sqlite: Sqlite:
    bytes_that_are_no_text_are_refused_or_unreadable_rows,
    rows_past_the_rules_are_unreadable_and_nothing_panics,
}

/// Two hundred names that are none: every byte that is not visible ASCII, the comma, and what
/// looks like nothing or like something else.
fn hostile_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for byte in (0_u8..=0x20).chain([b',', 0x7f]) {
        for (before, after) in [("", ""), ("alice", ""), ("", "alice"), ("al", "ice")] {
            names.push([before.as_bytes(), &[byte], after.as_bytes()].concat());
        }
    }
    for odd in [
        "\u{85}",
        "\u{a0}",
        "\u{ad}",
        "\u{200b}",
        "\u{200d}",
        "\u{200e}",
        "\u{202e}",
        "\u{2028}",
        "\u{2060}",
        "\u{feff}",
        "é",
        "ａ",
        "а",
        "日本",
        "\u{1f600}",
        "\u{10ffff}",
        "\u{301}",
    ] {
        for (before, after) in [("", ""), ("alice", ""), ("al", "ice")] {
            names.push(format!("{before}{odd}{after}").into_bytes());
        }
    }
    names.extend([b"".to_vec(), b"alice\r\nX-Remote-User: bob".to_vec(), b"a, b".to_vec()]);
    names.extend([257, 300, 5_000, 100_000].map(|length| vec![b'a'; length]));
    names.push("é".repeat(200).into_bytes());
    assert!(names.len() >= 199, "{}", names.len());
    names
}

async fn hostile_names_are_refused_for_users_and_groups(database: &Database) {
    database.sql("insert into app_user (username) values ('bob')");
    database.sql("insert into user_group (username, group_name) values ('bob', 'ops')");
    let mut statements = Vec::new();
    for name in hostile_names() {
        let name = database.text_of(&name);
        statements.extend([
            format!("insert into app_user (username) values ({name})"),
            format!("update app_user set username = {name}"),
            format!("insert into user_group (username, group_name) values ('bob', {name})"),
            format!("update user_group set group_name = {name}"),
        ]);
    }
    for (statement, error) in statements.iter().zip(database.errors(&statements)) {
        assert!(error.is_some(), "accepted: {}", &statement[..statement.len().min(200)]);
    }
    assert_eq!(database.sql("select username from app_user"), "bob");
    assert_eq!(database.sql("select username, group_name from user_group"), "bob|ops");
}

async fn every_spelling_of_a_serial_is_let_in_and_can_be_used(database: &Database) {
    database.sql("insert into app_user (username) values ('alice')");
    let spellings = [
        "CA92",
        "ca92",
        "Ca92",
        "CA:92",
        "ca:92",
        "0xCA92",
        "0Xca92",
        "00CA92",
        "00:CA:92",
        "A92",
        "1001",
        "1",
        "0x1",
        "0b",
        "E1234",
        "00000000000000000000000000000000000000000000CA92",
        "CA92CBE98DDD421A9E4263254E413017",
        "ca92cbe9-8ddd-421a-9e42-63254e413017",
        "{CA92CBE9-8DDD-421A-9E42-63254E413017}",
        "00:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff",
        "0xffffffffffffffffffffffffffffffffffffffff",
        &format!("0x{}CA92", "0".repeat(60)),
    ];
    for serial in spellings {
        database.sql(&format!(
            "insert into mapping (username, issuer, serial) values ('alice', 'CN=Example CA', \
                '{serial}');
             insert into block (serial) values ('{serial}');"
        ));
    }
    let directory = database.directory().await;
    assert_eq!(directory.unusable(), []);
    assert_eq!(directory.mapping_count(), spellings.len());
    let rows = database.rows().await;
    let mut read: Vec<_> = rows.mappings.into_iter().filter_map(|row| row.pattern.serial).collect();
    let mut written: Vec<_> = spellings.iter().map(|serial| serial.as_bytes().to_vec()).collect();
    read.sort();
    written.sort();
    assert_eq!(read, written);
}

async fn what_is_no_serial_is_refused(database: &Database) {
    database.sql("insert into app_user (username) values ('alice')");
    let too_long = "f".repeat(41);
    let too_many = vec!["ff"; 22].join(":");
    let bad = [
        "",
        " ",
        "0",
        "00",
        "00:00",
        "0x",
        "0x0",
        "x1",
        "g",
        "CA 92",
        " CA92",
        "CA92 ",
        "CA92\u{a0}",
        "-CA92",
        "+1",
        "CA:",
        ":CA",
        "CA::92",
        "A:92",
        "C:A:9",
        "CAB:92",
        "CA:9",
        "CA-92",
        "ca:92-01",
        "dec:4097",
        "0x0xCA",
        "0xCA:92",
        "CA92h",
        "१",
        "CA92\n",
        "CA92\0",
        &too_long,
        &too_many,
        "ca92cbe9-8ddd-421a-9e42-63254e41301",
        "ca92cbe98ddd-421a-9e42-63254e413017",
        "{ca92cbe9-8ddd-421a-9e42-63254e413017",
        "ca92cbe9-8ddd-421a-9e42-63254e413017}",
        "{{ca92cbe9-8ddd-421a-9e42-63254e413017}",
        "}ca92cbe9-8ddd-421a-9e42-63254e413017{",
        "{ca92cbe98ddd421a9e4263254e413017}",
        "00000000-0000-0000-0000-000000000000",
        "ca92cbe9-8ddd-421a-9e42-63254e41301-",
        "--------------------------------------",
    ];
    let mut statements = Vec::new();
    for serial in bad {
        let serial = database.text_of(serial.as_bytes());
        statements
            .push(format!("insert into mapping (username, serial) values ('alice', {serial})"));
        statements.push(format!("insert into block (serial) values ({serial})"));
    }
    for (statement, error) in statements.iter().zip(database.errors(&statements)) {
        assert!(error.is_some(), "{statement}");
    }
}

const TIME_COLUMNS: [&str; 4] = ["valid_from", "valid_until", "revoked_at", "created_at"];

async fn what_is_no_time_is_refused(database: &Database) {
    database.sql("insert into app_user (username) values ('alice')");
    let mut bad = vec![
        "2026-02-30T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-10T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:60:00Z",
        "10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-05:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:30:00+01:00",
        "0000-01-01T00:00:00Z",
        "-2026-01-01T00:00:00Z",
        "infinity",
        "-infinity",
        "soon",
        "",
        "2026-01-01T00:00:00+99:00",
    ];
    if database.which == Which::Sqlite {
        // PostgreSQL reads some of these, and keeps an instant; SQLite would keep the text.
        bad.extend([
            "now",
            "today",
            "1767225600",
            "2461041.5",
            "2026-01-01",
            "2026-01-01T00:00Z",
            "2026-1-1T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            " 2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00Z ",
            "2026-01-01T00:00:00 Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567890Z",
            "2026-01-01T00:00:00.5.5Z",
            "2026-01-01T00:00:00+1",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00+01:00Z",
            "2026-01-01T00:00:00-",
            "2026-01-01T00:00:00\0",
            "2026-01-01T00:00:00 CET",
            "2026-01-01 BC",
            "２026-01-01T00:00:00Z",
        ]);
    }
    let mut statements = Vec::new();
    for time in &bad {
        let time = database.text_of(time.as_bytes());
        for column in TIME_COLUMNS {
            let time = match database.which {
                Which::Postgres => format!("{time}::timestamptz"),
                Which::Sqlite => time.clone(),
            };
            statements.push(format!(
                "insert into mapping (username, serial, {column}) values ('alice', '01', {time})"
            ));
        }
    }
    for (statement, error) in statements.iter().zip(database.errors(&statements)) {
        assert!(error.is_some(), "{statement}");
    }
}

async fn times_that_are_let_in_can_be_used(database: &Database) {
    database.sql("insert into app_user (username) values ('alice')");
    let times = [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("1969-12-31T23:30:00-01:00", "1970-01-01T00:30:00Z"),
        ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"),
        ("2026-01-01 00:00:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T01:02:03.123456Z", "2026-01-01T01:02:03.123456Z"),
        ("2026-01-01T01:02:03.5+05:30", "2025-12-31T19:32:03.5Z"),
        ("2026-01-01T01:02:03.000001-14:00", "2026-01-01T15:02:03.000001Z"),
        ("2026-01-01T01:02:03.123456789+00:00", "2026-01-01T01:02:03.123456Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ];
    if database.which == Which::Postgres {
        database.sql(&format!("alter database \"{}\" set timezone = 'UTC'", database.name()));
    }
    for (number, (time, _)) in times.iter().enumerate() {
        database.sql(&format!(
            "insert into mapping (id, username, serial, revoked_at) values ({number}, 'alice', \
                '01', '{time}')"
        ));
    }
    assert_eq!(database.directory().await.unusable(), []);
    let mut rows = database.rows().await.mappings;
    rows.sort_by_key(|row| row.id);
    for ((_, expected), row) in times.iter().zip(rows) {
        let text = String::from_utf8(row.revoked_at.unwrap()).unwrap();
        let read = certgate::pki::UnixTime::parse_rfc3339(&text).unwrap();
        // PostgreSQL rounds to the microsecond, a program cuts.
        let tolerance = i64::from(text.ends_with("03.123457Z"));
        let expected = certgate::pki::UnixTime::parse_rfc3339(expected).unwrap();
        assert_eq!(read.as_micros() - tolerance, expected.as_micros(), "{text}");
    }
}

async fn bytes_that_are_no_text_are_refused_or_unreadable_rows(database: &Database) {
    database.sql(
        "insert into app_user (username) values ('alice');
         insert into mapping (username, serial) values ('alice', '01');
         insert into block (serial) values ('02');
         insert into user_group (username, group_name) values ('alice', 'ops');",
    );
    let bytes = [
        "ff", "80", "c3", "c328", "c080", "c08a", "eda080", "f4908080", "f8888080", "410042",
        "4100",
    ];
    for (table, columns, tells) in [
        ("app_user", &["origin", "valid_from", "created_at"][..], false),
        (
            "mapping",
            &["username", "sha256", "spki_sha256", "serial", "valid_until", "revoked_at"],
            false,
        ),
        ("block", &["sha256", "serial", "valid_from"], false),
        ("user_group", &["group_name", "username"], false),
        ("app_user", &["display_name", "email"], true),
        (
            "mapping",
            &[
                "issuer",
                "issuer_key_id",
                "subject",
                "san_email",
                "san_upn",
                "san_uri",
                "san_dns",
                "common_name",
            ],
            true,
        ),
        (
            "block",
            &[
                "issuer",
                "issuer_key_id",
                "subject",
                "san_email",
                "san_upn",
                "san_uri",
                "san_dns",
                "common_name",
            ],
            true,
        ),
    ] {
        for (column, hex) in columns.iter().flat_map(|column| bytes.map(|hex| (column, hex))) {
            let statement = format!("update {table} set {column} = cast(x'{hex}' as text)");
            let error = database.errors(std::slice::from_ref(&statement)).remove(0);
            let refuses = error.is_some();
            assert!(refuses || (tells && !hex.contains("00")), "accepted: {statement}");
            if !refuses {
                // It is in a text column, and whoever reads it sees that it is no text.
                let directory = database.directory().await;
                assert_eq!(directory.unusable().len(), 1, "{statement}");
                database.sql(&format!("update {table} set {column} = null"));
            }
        }
    }
}

async fn rows_past_the_rules_are_unreadable_and_nothing_panics(database: &Database) {
    database.sql(
        "pragma ignore_check_constraints = on;
         insert into app_user (username) values ('alice'), ('with blank'), (cast(x'ff00' as text));
         update app_user set enabled = 9, valid_from = 'soon' where username = 'alice';
         insert into mapping (username, serial, enabled, revoked_at)
             values ('alice', '', -7, cast(x'ff' as text));
         insert into block (serial, enabled) values ('not a serial', 2);
         insert into user_group (username, group_name) values ('alice', cast(x'0d0a' as text));",
    );
    let store = Store::open(&database.url(), Open::Existing).await.unwrap();
    let rows = store.load().await.unwrap();
    assert_eq!(rows.users.len(), 3);
    assert!(rows.users.iter().any(|user| user.username == [0xff, 0]));
    let directory = database.directory().await;
    assert_eq!(directory.mapping_count(), 0);
    assert!(directory.unusable().len() >= 5, "{:?}", directory.unusable());
}
