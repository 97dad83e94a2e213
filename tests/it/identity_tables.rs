//! One certificate, every spelling: the rows that people write by hand find it, and no other.

use certgate::directory::{Directory, Found, Kind, Kinds, Rows, Settings};
use certgate::pki::{Certificate, Identity, UnixTime};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

use super::pki_nginx_dn::forge::{C, CN, Forge, O, UTF8, attribute, common_name, name, rdn};
use super::support::shells::{Database, on_both};

on_both! {
    every_spelling_of_a_serial_finds_the_same_row,
    every_spelling_of_a_name_finds_the_same_row,
    certificates_that_share_all_but_one_thing_are_told_apart,
}

/// One serial: as nginx, OpenSSL, browsers, .NET, Django and people write it.
const SERIALS: [&str; 19] = [
    "CA92CBE98DDD421A9E4263254E413017",
    "ca92cbe98ddd421a9e4263254e413017",
    "Ca92cBe98dDd421a9E4263254e413017",
    "00CA92CBE98DDD421A9E4263254E413017",
    "0000ca92cbe98ddd421a9e4263254e413017",
    "0CA92CBE98DDD421A9E4263254E413017",
    "0xCA92CBE98DDD421A9E4263254E413017",
    "0Xca92cbe98ddd421a9e4263254e413017",
    "0x00ca92cbe98ddd421a9e4263254e413017",
    "CA:92:CB:E9:8D:DD:42:1A:9E:42:63:25:4E:41:30:17",
    "ca:92:cb:e9:8d:dd:42:1a:9e:42:63:25:4e:41:30:17",
    "00:CA:92:CB:E9:8D:DD:42:1A:9E:42:63:25:4E:41:30:17",
    "ca92cbe9-8ddd-421a-9e42-63254e413017",
    "CA92CBE9-8DDD-421A-9E42-63254E413017",
    "Ca92cbe9-8ddd-421A-9e42-63254e413017",
    "{ca92cbe9-8ddd-421a-9e42-63254e413017}",
    "{CA92CBE9-8DDD-421A-9E42-63254E413017}",
    "00000000CA92CBE98DDD421A9E4263254E413017",
    "0x0ca92cbe98ddd421a9e4263254e413017",
];

/// Nearly that serial.
const OTHER_SERIALS: [&str; 6] = [
    "CA92CBE98DDD421A9E4263254E413018",
    "CA92CBE98DDD421A9E4263254E4130",
    "92CBE98DDD421A9E4263254E413017",
    "CA92CBE98DDD421A9E4263254E41301700",
    "1730414E2563429E1A42DD8DE9CB92CA",
    "e9cb92ca-dd8d-1a42-9e42-63254e413017",
];

/// One name: as RFC 4514, RFC 2253, OpenSSL old and new, and people write it.
const NAMES: [&str; 16] = [
    "CN=Zo\\C3\\AB O\\27Neil,O=Acme\\, Inc.,C=FR",
    "CN=Zo\u{eb} O'Neil,O=Acme\\, Inc.,C=FR",
    "cn=Zo\u{eb} O'Neil,o=Acme\\, Inc.,c=FR",
    "CN=Zo\u{eb} O'Neil, O=Acme\\, Inc., C=FR",
    "CN=Zo\u{eb} O'Neil,O=\"Acme, Inc.\",C=FR",
    "CN=Zo\u{eb} O'Neil,O=Acme\\2C Inc.,C=FR",
    "CN=zo\u{eb} o'neil,O=ACME\\, INC.,C=fr",
    "CN=Zo\u{eb}  O'Neil,O=Acme\\,  Inc.,C=FR",
    "CN=\\ Zo\u{eb} O'Neil\\ ,O=Acme\\, Inc.,C=FR",
    "commonName=Zo\u{eb} O'Neil,organizationName=Acme\\, Inc.,countryName=FR",
    "2.5.4.3=Zo\u{eb} O'Neil,2.5.4.10=Acme\\, Inc.,2.5.4.6=FR",
    "CN=#0C0B5A6FC3AB204F274E65696C,O=Acme\\, Inc.,C=FR",
    "CN=Zo\\C3\\AB O'Neil,O=Acme\\, Inc.,C=#13024652",
    "C = FR, O = \"Acme, Inc.\", CN = Zo\u{eb} O'Neil",
    "C = FR, O = Acme\\, Inc., CN = Zo\\C3\\AB O'Neil",
    "/C=FR/O=Acme, Inc./CN=Zo\u{eb} O'Neil",
];

/// Nearly that name.
const OTHER_NAMES: [&str; 9] = [
    "C=FR,O=Acme\\, Inc.,CN=Zo\u{eb} O'Neil",
    "CN=Zo\u{eb} O'Neil,C=FR,O=Acme\\, Inc.",
    "CN=Zo\u{cb} O'Neil,O=Acme\\, Inc.,C=FR",
    "CN=Zoe\u{308} O'Neil,O=Acme\\, Inc.,C=FR",
    "CN=Zoe O'Neil,O=Acme\\, Inc.,C=FR",
    "CN=Zo\u{eb} O'Neil+O=Acme\\, Inc.,C=FR",
    "CN=Zo\u{eb} O'Neil,OU=Acme\\, Inc.,C=FR",
    "CN=Zo\u{eb} O'Neil,O=Acme\\\\\\, Inc.,C=FR",
    "/C=FR/O=Acme/CN=Zo\u{eb} O'Neil",
];

async fn every_spelling_of_a_serial_finds_the_same_row(database: &Database) {
    let certificate = certificate(&Axes::default());
    write_row(database, "issuer, serial", "'CN=Example CA', '01'");
    for (spellings, id) in [(&SERIALS[..], Some(1)), (&OTHER_SERIALS, None)] {
        for spelling in spellings {
            database.sql(&format!("update mapping set serial = '{spelling}'"));
            assert_eq!(found(&database.directory().await, &certificate), id, "{spelling}");
        }
    }
}

async fn every_spelling_of_a_name_finds_the_same_row(database: &Database) {
    let certificate = certificate(&Axes::default());
    write_row(database, "issuer, subject", "'CN=Example CA', 'CN=x'");
    for (spellings, id) in [(&NAMES[..], Some(1)), (&OTHER_NAMES, None)] {
        for spelling in spellings {
            let text = database.text_of(spelling.as_bytes());
            database.sql(&format!("update mapping set subject = {text}"));
            assert_eq!(found(&database.directory().await, &certificate), id, "{spelling}");
        }
    }
    // The same names as an issuer's: the serial alone is not enough beside another one.
    let swapped = Axes { issuer: subject(), ..Axes::default() };
    let certificate = self::certificate(&swapped);
    database.sql(&format!("update mapping set subject = null, serial = '{}'", SERIALS[0]));
    for (spellings, id) in [(&NAMES[..], Some(1)), (&OTHER_NAMES, None)] {
        for spelling in spellings {
            let text = database.text_of(spelling.as_bytes());
            database.sql(&format!("update mapping set issuer = {text}"));
            assert_eq!(found(&database.directory().await, &certificate), id, "{spelling}");
        }
    }
}

/// Sixteen certificates: two issuers, two serials, two subjects and two keys, in every combination.
/// A row for each of them finds those that share what the row names, and nobody else.
async fn certificates_that_share_all_but_one_thing_are_told_apart(database: &Database) {
    let keys = [(); 2].map(|()| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
    let certificates: Vec<Certificate> = (0..16)
        .map(|number: usize| {
            let bit = |at: usize| number >> at & 1;
            certificate(&Axes {
                issuer: common_name(["Example CA", "Other CA"][bit(0)]),
                serial: [SERIAL, &[0x01]][bit(1)].to_vec(),
                subject: common_name(["alice", "bob"][bit(2)]),
                key: KeyPair::from_pem(&keys[bit(3)].serialize_pem()).unwrap(),
            })
        })
        .collect();
    database.sql("insert into app_user (username) values ('alice')");
    for (kind, columns, shared) in [
        (Kind::Sha256, "sha256", 0b1111),
        (Kind::Spki, "spki_sha256", 0b1000),
        (Kind::Spki, "issuer, spki_sha256", 0b1001),
        (Kind::IssuerSerial, "issuer, serial", 0b0011),
        (Kind::IssuerSerial, "issuer, serial, subject", 0b0111),
        (Kind::IssuerSubject, "issuer, subject", 0b0101),
        (Kind::Subject, "subject", 0b0100),
        (Kind::Serial, "serial", 0b0010),
    ] {
        let values = certificates.iter().map(|row| values(row, columns)).collect::<Vec<_>>();
        database.sql(&format!(
            "delete from mapping; insert into mapping (username, {columns}) values {}",
            values.join(", ")
        ));
        let rows = database.rows().await;
        assert_eq!(rows.mappings.len(), 16);
        let mut mappings = rows.mappings.clone();
        mappings.sort_by_key(|mapping| mapping.id);
        for (number, mapping) in mappings.into_iter().enumerate() {
            let alone = Rows { mappings: vec![mapping], ..rows.clone() };
            let directory = Directory::build(&alone, &Settings::default());
            for (other, certificate) in certificates.iter().enumerate() {
                let expected = (number ^ other) & shared == 0;
                let is_found = found(&directory, certificate).is_some();
                assert_eq!(is_found, expected, "{kind:?} {number:04b} {other:04b}");
            }
        }
    }
}

/// A row of alice's for this certificate.
fn values(certificate: &Certificate, columns: &str) -> String {
    let value = |column| match column {
        "sha256" => certificate.sha256.to_string(),
        "spki_sha256" => certificate.spki_sha256.to_string(),
        "issuer" => certificate.issuer.to_string(),
        "serial" => certificate.serial.to_string(),
        _ => certificate.subject.to_string(),
    };
    let values: Vec<_> = columns.split(", ").map(|column| format!("'{}'", value(column))).collect();
    format!("('alice', {})", values.join(", "))
}

/// What a certificate is made of.
struct Axes {
    issuer: Vec<u8>,
    serial: Vec<u8>,
    subject: Vec<u8>,
    key: KeyPair,
}

impl Default for Axes {
    fn default() -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = common_name("Example CA");
        Self { issuer, serial: SERIAL.to_vec(), subject: subject(), key }
    }
}

fn subject() -> Vec<u8> {
    let one = |oid, tag, text: &str| rdn(&[attribute(oid, tag, text.as_bytes())]);
    name(&[one(C, 0x13, "FR"), one(O, UTF8, "Acme, Inc."), one(CN, UTF8, "Zo\u{eb} O'Neil")])
}

fn certificate(axes: &Axes) -> Certificate {
    let forge = Forge {
        issuer: axes.issuer.clone(),
        serial: axes.serial.clone(),
        subject: axes.subject.clone(),
        ..Forge::default()
    };
    Certificate::from_der(&forge.der(&axes.key)).unwrap()
}

fn write_row(database: &Database, columns: &str, values: &str) {
    database.sql("insert into app_user (username) values ('alice')");
    database.sql(&format!("insert into mapping (username, {columns}) values ('alice', {values})"));
}

/// The row that decides, with every weak kind on.
fn found(directory: &Directory, certificate: &Certificate) -> Option<i64> {
    assert!(directory.unusable().is_empty(), "{:?}", directory.unusable());
    let identity = Identity::from_certificate(certificate);
    let now = UnixTime::from_seconds(1_800_000_000);
    match directory.find(&identity, now, Kinds::with_weak(&Kind::ALL)) {
        Found::Active(mapping, _) => Some(mapping.id),
        Found::Nothing => None,
        other => panic!("{other:?}"),
    }
}

/// The content octets of [`SERIALS`], sign octet included.
const SERIAL: &[u8] = &[
    0x00, 0xCA, 0x92, 0xCB, 0xE9, 0x8D, 0xDD, 0x42, 0x1A, 0x9E, 0x42, 0x63, 0x25, 0x4E, 0x41, 0x30,
    0x17,
];
