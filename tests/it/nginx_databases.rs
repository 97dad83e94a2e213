//! The same answers from PostgreSQL and from SQLite, and SQL alone is enough to change them.

use std::time::{Duration, Instant};

use certgate::cli::demo::application::seen;

use crate::support::database::{Database, Kind};
use crate::support::nginx::Site;
use crate::support::pki::Issued;
use crate::support::tls::get;
use crate::support::world::World;

/// How soon a change by SQL must be the answer through nginx.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

const KINDS: [Kind; 2] = [Kind::Postgres, Kind::Sqlite];

#[test]
fn alice_gets_through_with_her_groups_on_either_database() {
    for kind in KINDS {
        let database = Database::empty(kind);
        let world = World::on(&database, &Site::Example);
        let text = get(&world.nginx, Some(&world.alice), "/", &[]).text();
        assert_eq!(seen(&text, "X-Remote-User"), Some("alice"), "{kind:?}: {text}");
        assert_eq!(seen(&text, "X-Remote-Groups"), Some("ops,staff"), "{kind:?}: {text}");
        for (certificate, code) in [
            (Some(&world.bob), "unmapped"),
            (Some(&world.mallory), "chain_untrusted"),
            (None, "no_certificate"),
        ] {
            let path = format!("/{code}");
            assert_eq!(get(&world.nginx, certificate, &path, &[]).status, 401, "{kind:?} {code}");
            assert_eq!(world.nginx.logged(&path).code(), code, "{kind:?}");
        }
    }
}

#[test]
fn sql_alone_lets_in_and_keeps_out_within_a_second() {
    for kind in KINDS {
        let database = Database::empty(kind);
        let world = World::on(&database, &Site::Example);
        let (issuer, serial) = issuer_and_serial(&world.bob);
        database.sql("insert into app_user (username) values ('bob')");
        for spelling in spellings(&serial) {
            database.sql(&format!(
                "insert into mapping (username, issuer, serial) \
                 values ('bob', '{issuer}', '{spelling}')"
            ));
            becomes(&world, &world.bob, 200, &format!("{kind:?} {spelling}"));
            database.sql("update mapping set enabled = false where username = 'bob'");
            becomes(&world, &world.bob, 401, &format!("{kind:?} disabled"));
            database.sql("update mapping set enabled = true where username = 'bob'");
            becomes(&world, &world.bob, 200, &format!("{kind:?} enabled"));
            database.sql("delete from mapping where username = 'bob'");
            becomes(&world, &world.bob, 401, &format!("{kind:?} deleted"));
        }
    }
}

#[test]
fn a_user_deleted_and_created_anew_has_no_certificates() {
    for kind in KINDS {
        let database = Database::empty(kind);
        let world = World::on(&database, &Site::Example);
        database.sql("delete from app_user where username = 'alice'");
        becomes(&world, &world.alice, 401, &format!("{kind:?} gone"));
        database.sql("insert into app_user (username) values ('alice')");
        world.certgate.wait_for_reason(&world.alice, "unmapped");
        assert_eq!(database.sql("select count(*) from mapping where username = 'alice'"), "0");
        assert_eq!(database.sql("select count(*) from user_group where username = 'alice'"), "0");
    }
}

/// What certgate prints of a certificate, as an operator would copy it.
fn issuer_and_serial(certificate: &Issued) -> (String, String) {
    let pem = std::fs::read(&certificate.alone).unwrap();
    let certificate = certgate::pki::Certificate::from_pem(&pem).unwrap();
    (certificate.issuer.to_string(), certificate.serial.to_string())
}

/// One serial as nginx, OpenSSL, a browser or a person writes it.
fn spellings(serial: &str) -> Vec<String> {
    let pairs: Vec<String> = serial
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).into_owned())
        .collect();
    let colons = pairs.join(":");
    vec![
        serial.to_owned(),
        serial.to_lowercase(),
        colons.clone(),
        colons.to_lowercase(),
        format!("0x{serial}"),
        format!("00{serial}"),
    ]
}

fn becomes(world: &World, certificate: &Issued, status: u16, what: &str) {
    let start = Instant::now();
    loop {
        let answer = get(&world.nginx, Some(certificate), "/", &[]).status;
        if answer == status {
            return;
        }
        assert!(start.elapsed() < SEEN_WITHIN, "{what}: still {answer}");
    }
}
