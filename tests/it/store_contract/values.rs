//! What a column takes and what it refuses: the same on both databases.

use super::on_both;
use crate::support::database::Database;

on_both! {
    a_hostile_name_is_refused,
    a_mapping_by_issuer_alone_is_refused_and_such_a_block_is_not,
    a_serial_is_taken_in_any_spelling,
    a_time_is_really_a_date_between_1970_and_9999,
    every_column_refuses_what_is_not_one,
}

async fn a_hostile_name_is_refused(database: Database) {
    let mut parts: Vec<Vec<u8>> = (0..=0x20).chain([0x2c, 0x7f]).map(|byte| vec![byte]).collect();
    let letters = "\u{80}\u{85}\u{9b}\u{a0}\u{ad}éßıſ\u{061c}א\u{0430}\u{180e}\u{200b}\u{200c}\
         \u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{3000}\u{feff}\
         \u{ff0c}\u{fffd}\u{1f600}\u{e0001}";
    parts.extend(letters.chars().map(|letter| letter.to_string().into_bytes()));
    parts.extend([vec![0x80], vec![0xff], vec![0xc0, 0xac], vec![0xed, 0xa0, 0x80]]);
    let mut names = vec![Vec::new(), vec![b'a'; 257], vec![b'a'; 5_000]];
    for part in parts {
        names.push([&part[..], b"alice"].concat());
        names.push([b"al", &part[..], b"ice"].concat());
        names.push([b"alice", &part[..]].concat());
    }
    assert!(names.len() > 200, "{}", names.len());
    database.sql("insert into app_user (username) values ('bob');");
    for name in &names {
        let name = database.text(name);
        database.sql_whatever_fails(&format!(
            "insert into app_user (username) values ({name});
             insert into user_group (username, group_name) values ('bob', {name});
             update app_user set username = {name};"
        ));
    }
    assert_eq!(database.sql("select username from app_user;"), "bob");
    assert_eq!(database.sql("select count(*) from user_group;"), "0");
    let longest = "~".repeat(256);
    database.sql(&format!("insert into app_user (username) values ('{longest}');"));
}

async fn a_serial_is_taken_in_any_spelling(database: Database) {
    database.sql("insert into app_user (username) values ('alice');");
    let good = [
        "CA92CBE9",
        "CA:92:CB:E9",
        "ca:92",
        "0xCA92",
        "0Xca92",
        "a",
        "1001",
        "00CA92",
        "00:ca:92",
        "ffffffffffffffffffffffffffffffffffffffff",
        "00:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff:ff",
        "ca92cbe9-8ddd-421a-9e42-63254e413017",
        "{CA92CBE9-8DDD-421A-9E42-63254E413017}",
    ];
    for serial in good {
        database.sql(&format!(
            "insert into mapping (username, issuer, serial)
             values ('alice', 'CN=Example CA,O=Example,C=FR', '{serial}');
             insert into block (serial) values ('{serial}');"
        ));
    }
    database.sql("insert into mapping (username, serial) values ('alice', '1001');");
    let bad = [
        "",
        " ",
        "0",
        "00",
        "0x",
        "0x0",
        "00:00",
        "-1",
        "+1",
        "g",
        "CA 92",
        "CA92 ",
        " CA92",
        "CA92\n",
        "ca:",
        ":ca",
        "ca::92",
        "ca:9",
        "cafe:92",
        "ca-92",
        "0x0xca",
        "dec:4097",
        "{ca92}",
        "{ca92cbe9-8ddd-421a-9e42-63254e413017",
        "ca92cbe9-8ddd-421a-9e42-63254e413017}",
        "}ca92cbe9-8ddd-421a-9e42-63254e413017{",
        "ca92cbe9-8ddd-421a-9e42-63254e41301",
        "ca92cbe98-ddd-421a-9e42-63254e413017",
        "00000000-0000-0000-0000-000000000000",
        "1ffffffffffffffffffffffffffffffffffffffff",
        "0xca:92",
        "a:92",
        "ca92h",
        "CÀ",
    ];
    for serial in bad {
        let error = database.refused(&format!(
            "insert into mapping (username, serial) values ('alice', '{serial}');"
        ));
        assert!(error.contains("mapping_serial_"), "{serial}: {error}");
        database.refused(&format!("insert into block (serial) values ('{serial}');"));
    }
}

async fn a_time_is_really_a_date_between_1970_and_9999(database: Database) {
    let insert = |column: &str, time: &str| {
        format!("insert into block (serial, {column}) values ('1', '{time}');")
    };
    for time in [
        "1970-01-01T00:00:00Z",
        "2027-01-31T12:00:00Z",
        "2027-01-31 12:00:00",
        "2028-02-29T23:59:59.999999+14:00",
        "9999-12-31T23:59:59Z",
    ] {
        database.sql(&insert("valid_from", time));
        database.sql(&insert("valid_until", time));
    }
    for time in [
        "",
        "soon",
        "2027",
        "2027-02-29T00:00:00Z",
        "2027-04-31T00:00:00Z",
        "2027-13-01T00:00:00Z",
        "2027-01-00T00:00:00Z",
        "2027-01-01T25:00:00Z",
        "2027-01-01T00:61:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "infinity",
        "-infinity",
        "0044-03-15T00:00:00Z",
        "2027-01-01T00:00:00Zjunk",
    ] {
        database.refused(&insert("valid_from", time));
        database.refused(&insert("valid_until", time));
        database
            .refused(&format!("insert into block (serial, created_at) values ('1', '{time}');"));
    }
    let window = |from: &str, until: &str| {
        format!(
            "insert into block (serial, valid_from, valid_until) values ('1', '{from}', '{until}');"
        )
    };
    database.sql(&window("2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z"));
    // The same instant in two zones, and one that is later as text only.
    database.refused(&window("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"));
    database.refused(&window("2027-01-01T00:00:00Z", "2027-01-01T01:00:00+01:00"));
    let error = database.refused(&window("2027-01-01T00:00:00Z", "2027-01-01T00:30:00+02:00"));
    assert!(error.contains("block_window_order"), "{error}");
}

async fn a_mapping_by_issuer_alone_is_refused_and_such_a_block_is_not(database: Database) {
    database.sql("insert into app_user (username) values ('alice');");
    for columns in ["issuer", "issuer_key_id", "issuer, issuer_key_id"] {
        let values = columns.replace("issuer_key_id", "'AA'").replace("issuer", "'CN=x'");
        let error = database.refused(&format!(
            "insert into mapping (username, {columns}) values ('alice', {values});"
        ));
        assert!(error.contains("mapping_pattern_specific"), "{error}");
        database.sql(&format!("insert into block ({columns}) values ({values});"));
    }
    let error = database.refused("insert into mapping (username) values ('alice');");
    assert!(error.contains("mapping_pattern_specific"), "{error}");
    let error = database.refused("insert into block (reason) values ('x');");
    assert!(error.contains("block_pattern_present"), "{error}");
}

/// Each row: table, column, a value that breaks the column's rule, the rule's name.
async fn every_column_refuses_what_is_not_one(database: Database) {
    database.sql(
        "insert into app_user (username) values ('alice');
         insert into mapping (username, serial) values ('alice', '1');
         insert into block (serial) values ('1');",
    );
    let texts = [
        ("app_user", "display_name email note created_by"),
        (
            "mapping",
            "issuer issuer_key_id subject san_email san_upn san_uri san_dns common_name \
             revoked_reason note created_by",
        ),
        (
            "block",
            "issuer issuer_key_id subject san_email san_upn san_uri san_dns common_name reason \
             note created_by",
        ),
    ];
    for (table, columns) in texts {
        for column in columns.split_whitespace() {
            for value in [&b""[..], b"a\nb", b"a\x7f", b"\x01", "a\u{85}".as_bytes(), &[b'x'; 4097]]
            {
                let value = database.text(value);
                let error = database.refused(&format!("update {table} set {column} = {value};"));
                assert!(error.contains(&format!("{table}_{column}_text")), "{error}");
            }
            database.refused(&format!("update {table} set {column} = {};", database.text(b"a\0b")));
            let long = database.text(&[b'x'; 4096]);
            database.sql(&format!("update {table} set {column} = {long};"));
        }
    }
    let digest = "0123456789abcdefABCDEF".repeat(3)[..64].to_owned();
    let pairs: Vec<_> = digest.as_bytes().chunks(2).map(String::from_utf8_lossy).collect();
    for table in ["mapping", "block"] {
        for column in ["sha256", "spki_sha256"] {
            for value in [&digest, &pairs.join(":")] {
                database.sql(&format!("update {table} set {column} = '{value}';"));
            }
            let moved = format!("{}:{}", &digest[..1], &digest[1..]);
            for value in ["", &digest[..40], &digest[..63], &pairs.join("-"), &moved, "x"] {
                let error = database.refused(&format!("update {table} set {column} = '{value}';"));
                assert!(error.contains(&format!("{table}_{column}_hex")), "{error}");
            }
        }
    }
    for (sql, name) in [
        ("update app_user set origin = 'x';", "app_user_origin_known"),
        ("insert into user_group values ('alice', 'a,b');", "user_group_group_name_name"),
        ("insert into app_user (username) values ('a b');", "app_user_username_name"),
        (
            "insert into certgate_schema (version, compatible_from) values (1, 1);",
            "certgate_schema",
        ),
        ("insert into feed default values;", "feed"),
    ] {
        let error = database.refused(sql);
        assert!(error.contains(name), "{error}");
    }
    for table in ["app_user", "mapping", "block"] {
        database.refused(&format!("update {table} set enabled = null;"));
        database.refused(&format!("update {table} set enabled = 2;"));
    }
}
