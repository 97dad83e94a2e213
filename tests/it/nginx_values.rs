//! What nginx really says of a certificate, so that parsers and documents can rely on it
//! (STYLE section 3.1). A row that stops being true is a change in nginx or OpenSSL to look at.

use rcgen::{DnType, KeyPair};

use crate::support::nginx::{Nginx, Site};
use crate::support::pki::{Issued, Issuer, Leaf};
use crate::support::tls::get;
use crate::support::world::World;
use certgate::cli::demo::workshop::Workshop;

const SAY: &str = "location / {
    default_type text/plain;
    return 200 '$ssl_client_verify
$ssl_client_serial
$ssl_client_s_dn
$ssl_client_i_dn
$ssl_client_escaped_cert
';
}";

struct Said {
    verify: String,
    serial: String,
    subject: String,
    issuer: String,
    certificate: String,
}

fn ask(nginx: &Nginx, certificate: Option<&Issued>) -> Said {
    let text = get(nginx, certificate, "/", &[]).text();
    let mut lines = text.lines().map(str::to_owned);
    let mut next = || lines.next().unwrap();
    let (verify, serial, subject) = (next(), next(), next());
    Said { verify, serial, subject, issuer: next(), certificate: next() }
}

fn start() -> (Workshop, Issuer, Nginx) {
    let folder = Workshop::open("certgate-values").unwrap();
    let ca = Issuer::root(folder.folder(), "Example CA");
    let nginx = Nginx::start(&Site::Own(SAY), "127.0.0.1:1".parse().unwrap(), &ca);
    (folder, ca, nginx)
}

#[test]
fn a_serial_is_upper_hex_with_even_digits_and_without_padding() {
    let (_folder, ca, nginx) = start();
    for (bytes, expected) in [
        (&[0x0A, 0x1B, 0x2C][..], "0A1B2C"),
        (&[0x0F], "0F"),
        (&[0x80, 0x01], "8001"),
        (&[0x00, 0xA1, 0xB2], "A1B2"),
    ] {
        let certificate = ca.issue("serial", Leaf::client("alice").serial(bytes));
        assert_eq!(ask(&nginx, Some(&certificate)).serial, expected);
    }
}

#[test]
fn a_name_is_rfc_2253_backwards_with_openssls_escapes() {
    let (_folder, ca, nginx) = start();
    let subject = [
        (DnType::CountryName, "US"),
        (DnType::OrganizationName, "Acme, Inc."),
        (DnType::OrganizationalUnitName, "R+D"),
        (DnType::CommonName, "Zo\u{eb} \"Q\" <x>"),
    ];
    let certificate = ca.issue("name", Leaf::client("x").subject(&subject));
    let said = ask(&nginx, Some(&certificate));
    assert_eq!(said.subject, r#"CN=Zo\C3\AB \"Q\" \<x\>,OU=R\+D,O=Acme\, Inc.,C=US"#);
    assert_eq!(said.issuer, "CN=Example CA,O=Example");
    assert_eq!((said.verify.as_str(), said.certificate), ("SUCCESS", certificate.escaped()));
}

#[test]
fn without_a_certificate_everything_but_none_is_empty() {
    let (_folder, _ca, nginx) = start();
    let said = ask(&nginx, None);
    assert_eq!(said.verify, "NONE");
    assert_eq!([said.serial, said.subject, said.issuer, said.certificate], ["", "", "", ""]);
}

#[test]
fn a_mapping_of_a_certificate_does_not_follow_its_key_or_its_names() {
    let world = World::new(&Site::Example);
    let key = KeyPair::from_pem(&std::fs::read_to_string(&world.alice.key).unwrap()).unwrap();
    let renewed = world.ca.issue("renewed", Leaf::client("alice").key(key));
    let answer = get(&world.nginx, Some(&renewed), "/renewed", &[]);
    assert_eq!((answer.status, world.nginx.logged("/renewed").code()), (401, "unmapped"));
}
