//! From three Django packages: what `docs/migrating.md` says is done, on both databases and in
//! both ways, with the packages' own tables in miniature.

use std::process::Command;

use certgate::cli::demo::application::seen;
use certgate::cli::demo::workshop::Workshop;
use rcgen::DnType;

use super::migrating_page::{Pages, Scene, block};
use crate::support::database::{Database, Kind};
use crate::support::pki::{Issued, Issuer, Leaf};
use crate::support::tls::get;

const KINDS: [Kind; 2] = [Kind::Postgres, Kind::Sqlite];

/// Who comes with which certificate, and what certgate says of it.
type Row = (&'static str, Issued, Result<&'static str, &'static str>);

fn people(ca: &Issuer, package: &str) -> Vec<Row> {
    match package {
        "tls" => vec![
            ("alice", ca.client("alice"), Ok("alice")),
            ("carol", ca.client("carol"), Err("user_disabled")),
            ("bob", ca.client("bob"), Err("unmapped")),
            ("case", ca.client("Alice"), Err("unmapped")),
            ("spoof", named(ca, &[(O, "x CN=alice"), (CN, "mallory")]), Err("unmapped")),
        ],
        "ssl" => vec![
            ("card", card(ca, "42", "FI"), Ok("42")),
            ("off", card(ca, "43", "FI"), Err("user_disabled")),
            ("unknown", card(ca, "44", "FI"), Err("unmapped")),
            ("abroad", card(ca, "42", "SE"), Err("unmapped")),
            ("spoof", named(ca, &[(C, "FI"), (CN, "x/serialNumber=42")]), Err("unmapped")),
        ],
        _ => vec![
            ("uuid", numbered(ca, "uuid", [0x00, 0xCA]), Ok("alice")),
            ("off", numbered(ca, "off", [0x12, 0x01]), Err("user_disabled")),
            ("over", numbered(ca, "over", [0x12, 0x02]), Err("mapping_disabled")),
            ("both", numbered(ca, "both", [0x12, 0x03]), Err("ambiguous")),
            ("order", numbered(ca, "order", [0x12, 0x04]), Err("unmapped")),
            ("unknown", numbered(ca, "unknown", [0x12, 0x05]), Err("unmapped")),
        ],
    }
}

fn check_package(package: &str) {
    for kind in KINDS {
        let folder = Workshop::open("certgate-django").unwrap();
        let ca = Issuer::root(&folder.folder().join("ca"), "Example CA");
        let other = Issuer::root(&folder.folder().join("other"), "Other CA");
        let people = people(&ca, package);
        let stranger = people_of_another(&other, package);
        let database = copied(kind, package);
        let short = Pages {
            ask: Some(block(&format!("{package}.short.nginx"))),
            server: block("django.right.nginx"),
            ..Pages::default()
        };
        let right = Pages { server: block("django.right.nginx"), ..Pages::default() };
        let right_toml = block(&format!("{package}.right.toml"));
        let short_toml = block(&format!("{package}.short.toml"));
        for (way, pages, toml) in [("right", right, right_toml), ("short", short, short_toml)] {
            let scene = Scene::start(Some(&database), &toml, &ca, &pages);
            for (what, certificate, expected) in &people {
                let case = format!("{package} {way} {kind:?} {what}");
                let path = format!("/{what}");
                let forged = [("X-Remote-User", "alice"), ("X-Client-Cert-Dn", "CN=alice")];
                let (answer, code) = scene.ask(Some(certificate), &path, &forged);
                let text = answer.text();
                let user = seen(&text, "X-Remote-User").filter(|_| answer.status == 200);
                match expected {
                    Ok(name) => assert_eq!((answer.status, user), (200, Some(*name)), "{case}"),
                    Err(reason) => {
                        assert_eq!((answer.status, code.as_str()), (401, *reason), "{case}");
                    }
                }
            }
            let allowed = people.iter().filter(|(.., expected)| expected.is_ok()).count();
            let (answer, code) = scene.ask(Some(&stranger), "/stranger", &[]);
            assert_eq!((answer.status, code.as_str()), (401, "chain_untrusted"), "{package} {way}");
            let (answer, code) = scene.ask(None, "/nobody", &[]);
            assert_eq!((answer.status, code.as_str()), (401, "no_certificate"), "{package} {way}");
            assert_eq!(scene.nginx.application.requests(), allowed, "{package} {way} {kind:?}");
            assert_headers_need_an_issuer(&scene, way, package);
        }
    }
}

/// Text of another CA that nginx trusts as well is not enough: the rows pin the issuer.
fn assert_headers_need_an_issuer(scene: &Scene, way: &str, package: &str) {
    if way != "short" {
        return;
    }
    let (verify, what) = match package {
        "tls" => ("X-Client-Cert-Valid", "X-Client-Cert-Dn: CN=alice"),
        "ssl" => ("X-SSL-Authenticated", "X-SSL-User-DN: serialNumber=42,C=FI"),
        _ => ("SSL-Client-Verify", "SSL-Client-Serial: 00CA92CBE98DDD421A9E4263254E4130"),
    };
    for (issuer, status) in [
        ("X-SSL-Client-I-DN: CN=Example CA,O=Example\r\n", "200"),
        ("X-SSL-Client-I-DN: CN=Other CA,O=Example\r\n", "401"),
        ("", "401"),
    ] {
        let answer = scene.certgate.ask(&format!(
            "GET /auth HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\n\
             {verify}: SUCCESS\r\n{what}\r\n{issuer}\r\n"
        ));
        assert_eq!(answer.get(9..12), Some(status), "{package} {issuer}: {answer}");
    }
}

#[test]
fn people_of_django_tls_certificate_auth_come_over() {
    check_package("tls");
}

#[test]
fn people_of_django_ssl_auth_come_over() {
    check_package("ssl");
}

#[test]
fn people_of_django_x509_come_over() {
    check_package("x509");
}

#[test]
fn users_come_with_groups_names_and_addresses_and_their_tables_go_again() {
    for kind in KINDS {
        let database = copied(kind, "x509");
        let alice = "select display_name || ' ' || email from app_user where username = 'alice'";
        assert_eq!(database.sql(alice), "Alice Dupont alice@example.com", "{kind:?}");
        let groups = "select group_name from user_group where username = 'alice' order by 1";
        assert_eq!(database.sql(groups), "ops\nstaff", "{kind:?}");
        let nameless = "select count(*) from app_user where username = '42' \
                        and display_name is null and email is null";
        assert_eq!(database.sql(nameless), "1", "{kind:?}");
        let gone = database.refused("select count(*) from auth_user");
        assert!(gone.contains("auth_user"), "{gone}");
        assert!(database.refused("select 1 from django_certificate").contains("django_cert"));
    }
}

#[test]
fn a_name_that_certgate_cannot_have_stops_the_copy_and_leaves_nothing_behind() {
    for kind in KINDS {
        for (change, constraint) in [
            ("update auth_user set username = 'al ice' where id = 1", "app_user_username_name"),
            ("update auth_user set username = 'zo\u{eb}' where id = 1", "app_user_username_name"),
            ("update auth_user set username = 'ALICE' where id = 2", "username"),
            ("update auth_group set name = 'on call' where id = 1", "user_group_group_name_name"),
        ] {
            let database = Database::empty(kind);
            migrate(&database);
            database.sql(&django_tables(kind));
            database.sql(change);
            let error = database.refused(&block("django.people.sql"));
            assert!(error.contains(constraint), "{kind:?} {change}: {error}");
            assert_eq!(database.sql("select count(*) from app_user"), "0", "{kind:?} {change}");
        }
    }
}

#[test]
fn the_old_locations_send_what_the_dialects_read() {
    let folder = Workshop::open("certgate-old").unwrap();
    let ca = Issuer::root(&folder.folder().join("ca"), "Example CA");
    let alice = ca.issue("alice", Leaf::client("alice").serial(&[0x0A, 0x1B]));
    for (package, headers) in [
        ("tls", &[("X-Client-Cert-Valid", "SUCCESS"), ("X-Client-Cert-Dn", DN)][..]),
        ("ssl", &[("X-SSL-Authenticated", "SUCCESS"), ("X-SSL-User-DN", DN)]),
        ("x509", &[("SSL-Client-Verify", "SUCCESS"), ("SSL-Client-Serial", "0A1B")]),
    ] {
        let pages = Pages { server: block(&format!("{package}.old.nginx")), ..Pages::default() };
        let scene = Scene::start(None, "", &ca, &pages);
        let text = get(&scene.nginx, Some(&alice), "/", &[]).text();
        for (name, value) in headers {
            assert_eq!(seen(&text, name), Some(*value), "{package}: {text}");
            let short = block(&format!("{package}.short.nginx"));
            assert!(short.contains(&format!("{name} ")), "{package} {name}");
        }
    }
}

/// A migrated database with the people of a Django one, copied as the page says.
fn copied(kind: Kind, package: &str) -> Database {
    let (django, database) = (Database::empty(kind), Database::empty(kind));
    migrate(&database);
    django.sql(&django_tables(kind));
    let script = match kind {
        Kind::Postgres => block("django.tables.postgres.sh"),
        Kind::Sqlite => block("django.tables.sqlite.sh"),
    };
    let place = |database: &Database| match kind {
        Kind::Postgres => database.secret_url().to_owned(),
        Kind::Sqlite => database.path().display().to_string(),
    };
    let output = Command::new("bash")
        .args(["-e", "-o", "pipefail", "-c", &script])
        .env("DJANGO", place(&django))
        .env("CERTGATE", place(&database))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    database.sql(&block("django.people.sql"));
    database.sql(&block(&format!("{package}.sql")));
    database.sql(&block("django.cleanup.sql"));
    database
}

fn migrate(database: &Database) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(certgate::store::Store::migrate(&database.url())).unwrap();
}

/// Django's tables in miniature, as its migrations make them on this database.
fn django_tables(kind: Kind) -> String {
    let (id, boolean, time, uuid) = match kind {
        Kind::Postgres => ("integer", "boolean", "timestamp with time zone", "uuid"),
        Kind::Sqlite => ("integer", "bool", "datetime", "char(32)"),
    };
    // Django writes a UUID as 32 digits where the database has no type for it.
    let serial = |start: &str| {
        let text = format!("{start}92cb-e98d-dd42-1a9e-4263254e4130");
        if kind == Kind::Sqlite { text.replace('-', "") } else { text }
    };
    let [alice, carol, over, both, order] = ["00ca", "1201", "1202", "1203", "1204"].map(serial);
    format!(
        "create table auth_user (id {id} not null primary key, password varchar(128) not null,
            last_login {time}, is_superuser {boolean} not null, username varchar(150) not null
            unique, first_name varchar(150) not null, last_name varchar(150) not null,
            email varchar(254) not null, is_staff {boolean} not null, is_active {boolean} not null,
            date_joined {time} not null);
        create table auth_group (id {id} not null primary key, name varchar(150) not null unique);
        create table auth_user_groups (id {id} not null primary key,
            user_id {id} not null references auth_user (id),
            group_id {id} not null references auth_group (id));
        create table django_content_type (id {id} not null primary key,
            app_label varchar(100) not null, model varchar(100) not null);
        create table django_certificate (id {id} not null primary key,
            serial {uuid} not null unique, dn text not null, created_at {time}, expire_at {time});
        create table django_genericcertificatem2m (id {id} not null primary key,
            object_id integer not null,
            certificate_id {id} not null references django_certificate (id),
            content_type_id {id} not null references django_content_type (id));
        insert into auth_user values
            (1, '!', null, true, 'alice', 'Alice', 'Dupont', 'alice@example.com', true, true,
                '2020-01-01 00:00:00'),
            (2, '!', null, false, 'carol', 'Carol', '', '', false, false, '2020-01-01 00:00:00'),
            (3, '!', null, false, '42', '', '', '', false, true, '2020-01-01 00:00:00'),
            (4, '!', null, false, '43', '', '', '', false, false, '2020-01-01 00:00:00');
        insert into auth_group values (1, 'staff'), (2, 'ops');
        insert into auth_user_groups values (1, 1, 1), (2, 1, 2), (3, 2, 1);
        insert into django_content_type values (6, 'auth', 'user'), (9, 'shop', 'order');
        insert into django_certificate values
            (1, '{alice}', '/CN=alice', null, '2090-01-01 00:00:00'),
            (2, '{carol}', '/CN=carol', null, null),
            (3, '{over}', '/CN=alice', null, '2021-01-01 00:00:00'),
            (4, '{both}', '/CN=alice', null, null),
            (5, '{order}', '/CN=alice', null, null);
        insert into django_genericcertificatem2m values
            (1, 1, 1, 6), (2, 2, 2, 6), (3, 1, 3, 6), (4, 1, 4, 6), (5, 3, 4, 6), (6, 1, 5, 9);"
    )
}

/// A certificate with this subject; its file's name is made of the values.
fn named(ca: &Issuer, attributes: &[(DnType, &str)]) -> Issued {
    let file: String = attributes.iter().map(|(_, value)| *value).collect();
    let file = file.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    ca.issue(&file, Leaf::client("x").subject(attributes))
}

/// A smart card.
fn card(ca: &Issuer, number: &str, country: &str) -> Issued {
    let serial = DnType::CustomDnType(vec![2, 5, 4, 5]);
    let given = DnType::CustomDnType(vec![2, 5, 4, 42]);
    let surname = DnType::CustomDnType(vec![2, 5, 4, 4]);
    named(
        ca,
        &[
            (C, country),
            (serial, number),
            (given, "Alice"),
            (surname, "Dupont"),
            (CN, "Dupont Alice"),
        ],
    )
}

/// A certificate whose serial is a UUID that starts like this.
fn numbered(ca: &Issuer, file: &str, start: [u8; 2]) -> Issued {
    let rest = [0x92, 0xCB, 0xE9, 0x8D, 0xDD, 0x42, 0x1A, 0x9E, 0x42, 0x63, 0x25, 0x4E, 0x41, 0x30];
    ca.issue(file, Leaf::client("alice").serial(&[&start[..], &rest].concat()))
}

/// The same as the first of the people, from a CA that nginx does not know.
fn people_of_another(other: &Issuer, package: &str) -> Issued {
    people(other, package).swap_remove(0).1
}

const C: DnType = DnType::CountryName;
const CN: DnType = DnType::CommonName;
const O: DnType = DnType::OrganizationName;
const DN: &str = "CN=alice,O=Example";
