//! Names that are somebody else to the systems people come from, and nobody here: through a real
//! nginx, from the certificate and from text headers in every old dialect.

use std::collections::BTreeMap;
use std::fs;

use certgate::cli::demo::application::seen;
use certgate::cli::demo::workshop::Workshop;

use super::migrating_page::{Pages, Scene, block};
use super::pki_nginx_dn::forge::{
    BMP, C, CN, EMAIL, Forge, IA5, O, OU, PRINTABLE, SURNAME, T61, UID, UNIVERSAL, UTF8, attribute,
    name, rdn, tlv,
};
use crate::support::database::{Database, Kind};
use crate::support::pki::{Issued, Issuer};
use crate::support::tls::{TlsVersion, caller};

/// alice and the holder of card 42, by every column that a name can match.
const PEOPLE: &str = "
    insert into app_user (username) values ('alice'), ('admin'), ('42');
    insert into mapping (username, issuer, subject) values
        ('alice', 'CN=Example CA,O=Example', 'CN=alice,O=Example'),
        ('admin', 'CN=Example CA,O=Example', 'UID=admin');
    insert into mapping (username, subject) values
        ('alice', 'CN=alice'), ('alice', 'CN=alice,O=Example'), ('alice', 'CN=alice,O=x'),
        ('admin', 'UID=admin'), ('admin', 'CN=admin'), ('42', 'serialNumber=42');
    insert into mapping (username, common_name) values ('alice', 'alice'), ('admin', 'admin');
    insert into rule (priority, issuer, conditions, username, users) values
        (1, 'CN=Example CA,O=Example', '{\"all\": []}', '{subject.serialNumber}', 'existing'),
        (2, 'CN=Example CA,O=Example', '{\"all\": []}', '{subject.CN}', 'existing');";

/// Every kind that a name can match is on.
const WEAK: &str = "identity.weak = [\"issuer_subject\", \"subject\", \"common_name\"]\n";

/// A subject that is not alice's, and the codes other than `unmapped`.
struct Spoof {
    what: &'static str,
    subject: Vec<u8>,
    /// The code from the certificate.
    certificate: &'static str,
    /// The code from nginx's text of the name.
    text: &'static str,
    /// The code from a slash header with `proxy.legacy_dn`; without it, it is always
    /// `malformed_header`.
    slash: &'static str,
}

fn spoof(what: &'static str, rdns: &[Vec<u8>]) -> Spoof {
    Spoof {
        what,
        subject: name(rdns),
        certificate: "unmapped",
        text: "unmapped",
        slash: "unmapped",
    }
}

impl Spoof {
    /// OpenSSL's slash form has a backslash, and so two readings.
    fn escaped(self) -> Self {
        Self { slash: "malformed_header", ..self }
    }
}

fn one(oid: &[u8], text: &str) -> Vec<u8> {
    rdn(&[attribute(oid, UTF8, text.as_bytes())])
}

fn typed(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    rdn(&[attribute(oid, tag, value)])
}

/// What a value says to a reader of text.
fn in_texts() -> Vec<Spoof> {
    let mallory = || one(CN, "mallory");
    vec![
        spoof("a CN after a blank", &[one(O, "x CN=alice"), mallory()]),
        spoof("a CN after a slash", &[one(O, "x/CN=alice"), mallory()]).escaped(),
        spoof("a CN after a comma", &[one(O, "x,CN=alice"), mallory()]),
        spoof("a CN after a comma and a blank", &[one(O, "x, CN=alice"), mallory()]),
        spoof("a CN after a plus", &[one(O, "x+CN=alice"), mallory()]).escaped(),
        spoof("a CN after a semicolon", &[one(O, "x;CN=alice"), mallory()]),
        spoof("a CN after a quote", &[one(O, "x\",CN=alice"), mallory()]),
        spoof("a CN after a backslash", &[one(O, "x\\,CN=alice"), mallory()]).escaped(),
        spoof("a CN in the CN", &[one(CN, "CN=alice")]),
        spoof("a CN after a comma in the CN", &[one(CN, "mallory,CN=alice")]),
        spoof("alice and a slash", &[one(CN, "alice/engineering")]).escaped(),
        spoof("alice and a comma", &[one(CN, "alice,O=Example")]),
        spoof("alice and a plus", &[one(CN, "alice+UID=admin")]).escaped(),
        spoof("a card number in the CN", &[one(CN, "x/serialNumber=42")]).escaped(),
        spoof("a card number in the OU", &[one(OU, "/serialNumber=42"), mallory()]).escaped(),
        spoof("a hash", &[one(CN, "#0C05616C696365")]),
        spoof("percent signs", &[one(CN, "%61lice")]),
        spoof("escapes", &[one(CN, "\\61lice")]).escaped(),
    ]
}

/// More than one name, or a name of another kind.
fn in_structures() -> Vec<Spoof> {
    let two = |a: &str, b: &str| {
        let attributes = [a, b].map(|text| attribute(CN, UTF8, text.as_bytes()));
        rdn(&attributes)
    };
    let with_uid = [attribute(UID, UTF8, b"admin"), attribute(CN, UTF8, b"mallory")];
    let mut turned = with_uid.clone();
    turned.reverse();
    vec![
        spoof("two CNs, alice first", &[one(O, "Example"), one(CN, "alice"), one(CN, "mallory")]),
        spoof("two CNs, alice last", &[one(O, "Example"), one(CN, "mallory"), one(CN, "alice")]),
        spoof("alice twice", &[one(O, "Example"), one(CN, "alice"), one(CN, "alice")]),
        spoof("two CNs in one", &[one(O, "Example"), two("alice", "mallory")]),
        spoof("two CNs in one, turned", &[one(O, "Example"), two("mallory", "alice")]),
        spoof("UID and CN in one", &[rdn(&with_uid)]),
        spoof("UID and CN in one, turned", &[rdn(&turned)]),
        spoof("alice as another attribute", &[one(O, "Example"), one(SURNAME, "alice")]),
        spoof("alice as an e-mail", &[typed(EMAIL, IA5, b"alice"), one(CN, "mallory")]),
        spoof("the RDNs in the wrong order", &[one(CN, "alice"), one(O, "Example"), one(CN, "x")]),
        spoof("two card numbers", &[one(SERIAL, "42"), one(SERIAL, "43")]),
        spoof("an empty subject", &[]),
        spoof("an empty CN", &[one(O, "Example"), one(CN, "")]),
        Spoof {
            certificate: "certificate_malformed",
            ..spoof("an empty relative name", &[tlv(0x31, &[]), one(CN, "mallory")])
        },
    ]
}

/// Characters that are dropped, folded or not seen by others.
fn in_characters() -> Vec<Spoof> {
    let escaped = |what, text: &str| spoof(what, &[one(O, "Example"), one(CN, text)]).escaped();
    let other = |what, tag, value: &[u8]| spoof(what, &[one(O, "Example"), typed(CN, tag, value)]);
    // OpenSSL ends the handshake of a name that it cannot decode.
    let unreadable = |spoof: Spoof| {
        let code = "handshake";
        Spoof { certificate: code, text: code, slash: code, ..spoof }
    };
    vec![
        escaped("NUL after alice", "alice\0"),
        escaped("NUL and more", "alice\0.mallory"),
        escaped("NUL before", "\0alice"),
        escaped("CR and LF", "mallory\r\nCN=alice"),
        escaped("a header line", "mallory\r\nX-Remote-User: alice\r\n"),
        escaped("LF within", "ali\nce"),
        escaped("CR within", "ali\rce"),
        escaped("escape", "alice\u{1b}"),
        escaped("backspace", "alicex\u{8}"),
        escaped("zero width space", "ali\u{200b}ce"),
        escaped("zero width joiner", "alice\u{200d}"),
        escaped("byte order mark", "\u{feff}alice"),
        escaped("soft hyphen", "ali\u{ad}ce"),
        escaped("right to left", "\u{202e}ecila"),
        escaped("a Cyrillic a", "\u{430}lice"),
        escaped("a dotless i", "al\u{131}ce"),
        escaped("a capital dotted I", "AL\u{130}CE"),
        escaped("full width", "\u{ff41}lice"),
        escaped("a no-break space", "alice\u{a0}"),
        escaped("a combining mark", "alice\u{301}"),
        other("BMP octets that spell a CN", BMP, b"CN=alice"),
        other("a full width BMP comma", BMP, b"\0x\xff\x0c\0C\0N\0=\0a\0l\0i\0c\0e").escaped(),
        other("BMP with a comma", BMP, b"\0x\0,\0C\0N\0=\0a\0l\0i\0c\0e").escaped(),
        other("BMP with a NUL", BMP, b"\0a\0l\0i\0c\0e\0\0").escaped(),
        other("Universal with a NUL", UNIVERSAL, b"\0\0\0a\0\0\0\0").escaped(),
        other("T61 with a high octet", T61, b"alic\xe9").escaped(),
        other("T61 with a comma", T61, b"x,CN=alice"),
        other("T61 with an escape sequence", T61, b"alice\x1b\x28\x42").escaped(),
        unreadable(other("BMP of odd length", BMP, b"\0a\0l\0i\0c\0e\0")),
        unreadable(other("broken UTF-8", UTF8, b"alice\xff")),
        unreadable(other("overlong UTF-8", UTF8, b"\xc1\xa1lice")),
    ]
}

fn spoofs() -> Vec<Spoof> {
    [in_texts(), in_structures(), in_characters()].into_iter().flatten().collect()
}

/// A certificate with this subject, signed by the CA's key and for it.
fn forged(ca: &Issuer, number: usize, subject: Vec<u8>) -> Issued {
    let issuer = name(&[one(O, "Example"), one(CN, "Example CA")]);
    let serial = vec![0x40, u8::try_from(number).unwrap()];
    let der = Forge { subject, issuer, serial, ..Forge::default() }.der(ca.key());
    let text = pem(&der);
    let file = |end: &str| ca.folder().join(format!("forged-{number}.{end}"));
    let issued =
        Issued { pem: file("pem"), alone: file("alone.pem"), key: file("key"), text: text.clone() };
    fs::write(&issued.pem, &text).unwrap();
    fs::write(&issued.alone, &text).unwrap();
    fs::write(&issued.key, ca.key().serialize_pem()).unwrap();
    issued
}

/// How nginx and certgate speak, and what a spoof is to them.
struct Mode {
    toml: String,
    /// The lines in `certgate-ask.conf`.
    ask: Option<String>,
    code: fn(&Spoof) -> &'static str,
    /// Whether this honest name comes in.
    lets_in: fn(&str) -> bool,
}

/// Every spoof is refused with its code in this mode, and the honest ones come in.
fn check(mode: &Mode) {
    let folder = Workshop::open("certgate-spoof").unwrap();
    let ca = Issuer::root(&folder.folder().join("ca"), "Example CA");
    let database = people();
    let server = block("django.right.nginx");
    let pages = Pages { server, ask: mode.ask.clone(), ..Pages::default() };
    let scene = Scene::start(Some(&database), &format!("{WEAK}{}", mode.toml), &ca, &pages);
    let mut wrong = BTreeMap::new();
    let spoofs = spoofs();
    for (number, spoof) in spoofs.iter().enumerate() {
        let certificate = forged(&ca, number, spoof.subject.clone());
        let expected = (mode.code)(spoof);
        let seen = ask(&scene, &certificate, &format!("/{number}"));
        if seen != expected {
            wrong.insert(spoof.what, format!("{seen}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(spoofs.len() > 50, "{}", spoofs.len());
    assert_eq!(scene.nginx.application.requests(), 0);
    for (number, (what, subject, user)) in honest().into_iter().enumerate() {
        let certificate = forged(&ca, 100 + number, subject);
        let (answer, code) = scene.ask(Some(&certificate), &format!("/honest/{number}"), &[]);
        let text = answer.text();
        if (mode.lets_in)(what) {
            assert_eq!(seen(&text, "X-Remote-User"), Some(user), "{what} {code}");
        } else {
            assert_eq!((answer.status, code.as_str()), (401, "malformed_header"), "{what}");
        }
    }
}

fn people() -> Database {
    let database = Database::empty(Kind::Sqlite);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(certgate::store::Store::migrate(&database.url())).unwrap();
    database.sql(PEOPLE);
    database
}

/// certgate's code of a refusal; `handshake` where nginx cannot even read the certificate.
fn ask(scene: &Scene, certificate: &Issued, path: &str) -> String {
    let caller = caller(&scene.nginx, Some(certificate), TlsVersion::Tls13);
    let answer = caller.connect().and_then(|mut session| session.get(path, &[]));
    let Ok(answer) = answer else { return "handshake".to_owned() };
    match answer.status {
        401 => scene.nginx.logged(path).code().to_owned(),
        other => format!("{other} {}", scene.nginx.logged(path).code()),
    }
}

/// Subjects that are whose they say, each in a form of its own.
fn honest() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let other_types = [typed(O, PRINTABLE, b"EXAMPLE"), typed(CN, T61, b"alice ")];
    let bmp = typed(CN, BMP, b"\0a\0l\0i\0c\0e");
    vec![
        ("plain", name(&[one(O, "Example"), one(CN, "alice")]), "alice"),
        ("other types, case and blanks", name(&other_types), "alice"),
        ("a BMPString", name(&[typed(O, BMP, b"\0x"), bmp]), "alice"),
        ("an attribute alone", name(&[one(UID, "admin")]), "admin"),
        ("a card", name(&[one(C, "FI"), one(SERIAL, "42"), one(CN, "Dupont Alice")]), "42"),
    ]
}

#[test]
fn nobody_is_somebody_else_by_the_certificate() {
    check(&Mode {
        toml: String::new(),
        ask: None,
        code: |spoof| spoof.certificate,
        lets_in: |_| true,
    });
}

/// The page's lines and configuration of a dialect, without what `WEAK` says already.
fn dialect(package: &str) -> (String, String) {
    let toml = block(&format!("{package}.short.toml"));
    let toml = toml.split("[identity]").next().unwrap().to_owned();
    (toml, block(&format!("{package}.short.nginx")))
}

#[test]
fn nobody_is_somebody_else_by_the_headers_of_an_old_dialect() {
    for package in ["tls", "ssl", "x509"] {
        let (toml, ask) = dialect(package);
        check(&Mode { toml, ask: Some(ask), code: |spoof| spoof.text, lets_in: |_| true });
    }
}

/// RFC 5280 7.1 and OpenSSL's `X509_NAME_cmp`: a line break is a blank, and blanks at the ends do
/// not count. So such a name equals another's, and no mapping may let it in.
#[test]
fn a_name_with_a_line_break_at_its_end_is_nobody_though_it_equals_one_without() {
    let folder = Workshop::open("certgate-blank").unwrap();
    let ca = Issuer::root(&folder.folder().join("ca"), "Example CA");
    let pages = Pages { server: block("django.right.nginx"), ..Pages::default() };
    let scene = Scene::start(Some(&people()), WEAK, &ca, &pages);
    let by_subject = forged(&ca, 1, name(&[one(O, "Example"), one(CN, "alice\n")]));
    let (answer, code) = scene.ask(Some(&by_subject), "/subject", &[]);
    assert_eq!((answer.status, code.as_str()), (401, "unmapped"));
    let without = forged(&ca, 3, name(&[one(O, "Example"), one(CN, "alice")]));
    let (answer, code) = scene.ask(Some(&without), "/subject?clean", &[]);
    assert_eq!((answer.status, code.as_str()), (200, "mapped"));
    let by_common_name = forged(&ca, 2, name(&[one(O, "Other"), one(CN, "alice\n")]));
    let (answer, code) = scene.ask(Some(&by_common_name), "/common", &[]);
    assert_eq!((answer.status, code.as_str()), (401, "unmapped"));
}

/// What the page says of `proxy.legacy_dn`: OpenSSL prints the octets of a BMPString in that form,
/// so a text of two other letters reads as a name. Nothing in the header tells of it.
#[test]
fn the_slash_form_of_a_bmp_string_is_the_one_that_nobody_can_tell() {
    let folder = Workshop::open("certgate-bmp").unwrap();
    let ca = Issuer::root(&folder.folder().join("ca"), "Example CA");
    let certificate = forged(&ca, 1, name(&[one(O, "Example"), typed(CN, BMP, b"bob ")]));
    let (toml, lines) = dialect("ssl");
    let slash = lines.replace("$ssl_client_s_dn;", "$ssl_client_s_dn_legacy;");
    let legacy = format!("{toml}legacy_dn = true\n");
    for (toml, lines, status) in
        [(String::new(), None, 401), (toml, Some(lines), 401), (legacy, Some(slash), 200)]
    {
        let database = people();
        database.sql(
            "insert into app_user (username) values ('bob');
             insert into mapping (username, common_name) values ('bob', 'bob')",
        );
        let pages = Pages { server: block("django.right.nginx"), ask: lines, ..Pages::default() };
        let scene = Scene::start(Some(&database), &format!("{WEAK}{toml}"), &ca, &pages);
        assert_eq!(scene.ask(Some(&certificate), "/bob", &[]).0.status, status, "{toml}");
    }
}

#[test]
fn nobody_is_somebody_else_by_a_header_in_slash_form() {
    let (toml, ask) = dialect("ssl");
    let ask = ask.replace("$ssl_client_s_dn;", "$ssl_client_s_dn_legacy;");
    assert!(ask.contains("_legacy"));
    check(&Mode {
        toml: format!("{toml}legacy_dn = true\n"),
        ask: Some(ask.clone()),
        code: |spoof| spoof.slash,
        // Its octets of zero are escapes there.
        lets_in: |what| what != "a BMPString",
    });
    check(&Mode {
        toml,
        ask: Some(ask),
        code: |spoof| match (spoof.text, spoof.subject.as_slice()) {
            ("handshake", _) => "handshake",
            // There is no header at all then.
            (_, [0x30, 0]) => "unmapped",
            _ => "malformed_header",
        },
        lets_in: |_| false,
    });
}

/// A certificate as PEM.
pub(crate) fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// id-at-serialNumber, not in the forge's table.
const SERIAL: &[u8] = &[0x55, 0x04, 5];
