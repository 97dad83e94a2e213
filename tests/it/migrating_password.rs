//! "Certificate or password" as `docs/migrating.md` says it: what is open then, and what is not.

use certgate::cli::demo::application::seen;
use certgate::cli::demo::workshop::Workshop;
use time::{Duration, OffsetDateTime};

use super::migrating_page::{Pages, Scene, block};
use crate::support::pki::{Issued, Issuer, Leaf};
use crate::support::tls::{all_seen, get};

/// `bob:password`, who is in the password file.
const RIGHT: [(&str, &str); 1] = [("Authorization", "Basic Ym9iOnBhc3N3b3Jk")];
/// `admin:guess`, who is not.
const WRONG: [(&str, &str); 1] = [("Authorization", "Basic YWRtaW46Z3Vlc3M=")];

struct Case {
    scene: Scene,
    alice: Issued,
    /// Of an accepted CA, and of nobody.
    unmapped: Issued,
    /// Mapped to carol, and blocked.
    blocked: Issued,
    /// Of an accepted CA, and nginx itself rejects it.
    expired: Issued,
    _folder: Workshop,
}

fn case(server: String) -> Case {
    let folder = Workshop::open("certgate-password").unwrap();
    let ca = Issuer::root(&folder.folder().join("ca"), "Example CA");
    let pages = Pages { http: block("password.http.nginx"), server, ..Pages::default() };
    let scene = Scene::start(None, "", &ca, &pages);
    let [alice, unmapped, blocked] = ["alice", "bob", "carol"].map(|name| ca.client(name));
    let long_ago = OffsetDateTime::now_utc() - Duration::days(30);
    let old = Leaf::client("alice").valid(long_ago, long_ago + Duration::DAY);
    let expired = ca.issue("expired", old);
    let run = |arguments: &[&str]| scene.certgate.run(arguments);
    for (name, certificate) in [("alice", &alice), ("carol", &blocked)] {
        run(&["user", "add", name, "--group", "staff"]);
        run(&["mapping", "add", name, "--cert", certificate.alone.to_str().unwrap()]);
    }
    run(&["certificate", "block", blocked.alone.to_str().unwrap(), "--reason", "stolen"]);
    scene.certgate.wait_for_reason(&alice, "mapped");
    scene.certgate.wait_for_reason(&blocked, "blocked");
    Case { scene, alice, unmapped, blocked, expired, _folder: folder }
}

impl Case {
    /// The status, and every user that the application could take.
    fn comes(&self, certificate: Option<&Issued>, password: &[(&str, &str)]) -> (u16, Vec<String>) {
        let forged = [("X-Remote-User", "forged"), ("X_Remote_User", "forged")];
        let answer = get(&self.scene.nginx, certificate, "/", &[&forged, password].concat());
        let users = all_seen(&answer, "X-Remote-User");
        if answer.status == 200 {
            assert_eq!(seen(&answer.text(), "Authorization"), None);
        }
        (answer.status, if answer.status == 200 { users } else { Vec::new() })
    }
}

fn in_as(name: &str) -> (u16, Vec<String>) {
    (200, vec![name.to_owned()])
}

fn refused() -> (u16, Vec<String>) {
    (401, Vec::new())
}

#[test]
fn satisfy_any_lets_in_by_either_and_nobody_by_neither() {
    let case = case(block("password.any.nginx"));
    for (what, certificate, password, expected) in [
        ("a mapped certificate", Some(&case.alice), &[][..], in_as("alice")),
        ("and a wrong password", Some(&case.alice), &WRONG, in_as("alice")),
        ("and a right one", Some(&case.alice), &RIGHT, in_as("bob")),
        ("a right password", None, &RIGHT, in_as("bob")),
        ("a wrong one", None, &WRONG, refused()),
        ("nothing", None, &[], refused()),
        ("blocked", Some(&case.blocked), &[], refused()),
        ("blocked, a wrong password", Some(&case.blocked), &WRONG, refused()),
        ("blocked, a right password", Some(&case.blocked), &RIGHT, in_as("bob")),
        ("unmapped", Some(&case.unmapped), &[], refused()),
        ("unmapped, a right password", Some(&case.unmapped), &RIGHT, in_as("bob")),
        ("expired", Some(&case.expired), &[], refused()),
        ("expired, a right password", Some(&case.expired), &RIGHT, refused()),
    ] {
        assert_eq!(case.comes(certificate, password), expected, "{what}");
    }
    assert_no_groups(&case);
    assert_asks_for_a_password(&case);
    let (answer, code) = case.scene.ask(Some(&case.expired), "/expired", &RIGHT);
    assert_eq!((answer.status, code.as_str()), (401, "certificate_expired"));

    case.scene.certgate.stop();
    assert_eq!(case.comes(Some(&case.alice), &[]).0, 500);
    assert_eq!(case.comes(None, &[]).0, 500);
    assert_eq!(case.comes(None, &WRONG).0, 500);
    assert_eq!(case.comes(None, &RIGHT), in_as("bob"));
}

#[test]
fn a_password_beside_a_certificate_is_asked_of_those_without_one_only() {
    let case = case(block("password.strict.nginx"));
    for (what, certificate, password, expected) in [
        ("a mapped certificate", Some(&case.alice), &[][..], in_as("alice")),
        ("and a wrong password", Some(&case.alice), &WRONG, in_as("alice")),
        ("and a right one", Some(&case.alice), &RIGHT, in_as("alice")),
        ("a right password", None, &RIGHT, in_as("bob")),
        ("a wrong one", None, &WRONG, refused()),
        ("nothing", None, &[], refused()),
        ("blocked", Some(&case.blocked), &[], refused()),
        ("blocked, a right password", Some(&case.blocked), &RIGHT, refused()),
        ("unmapped", Some(&case.unmapped), &[], refused()),
        ("unmapped, a right password", Some(&case.unmapped), &RIGHT, refused()),
        ("expired", Some(&case.expired), &[], refused()),
        ("expired, a right password", Some(&case.expired), &RIGHT, refused()),
    ] {
        assert_eq!(case.comes(certificate, password), expected, "{what}");
    }
    assert_no_groups(&case);
    assert_asks_for_a_password(&case);

    case.scene.certgate.stop();
    for (certificate, password) in [(Some(&case.alice), &[][..]), (None, &RIGHT)] {
        assert_eq!(case.comes(certificate, password).0, 500);
    }
}

#[test]
fn a_group_that_is_required_is_required_of_certificates_only() {
    let required = block("password.any.nginx")
        .replace("auth_request /_certgate;", "auth_request \"/_certgate/require=group:ops\";");
    assert!(required.contains("group:ops"));
    let case = case(required);
    // 401 wins over certgate's 403: the browser asks for a password.
    assert_eq!(case.comes(Some(&case.alice), &[]), refused());
    assert_eq!(case.comes(None, &RIGHT), in_as("bob"));
    assert_eq!(case.comes(Some(&case.alice), &RIGHT), in_as("bob"));
}

/// Why the page says "never": this is the mistake, and it is open.
#[test]
fn satisfy_any_with_an_optional_certificate_is_the_hole_that_the_page_warns_of() {
    let open = block("password.any.nginx")
        .replace("auth_request /_certgate;", "auth_request \"/_certgate/certificate=optional\";");
    assert!(open.contains("optional\";"));
    let case = case(open);
    assert_eq!(case.comes(None, &[]), (200, Vec::new()));
    assert_eq!(case.comes(None, &WRONG), in_as("admin"));
}

fn assert_no_groups(case: &Case) {
    let forged = [("X-Remote-Groups", "ops")];
    let answer = get(&case.scene.nginx, None, "/", &[&forged[..], &RIGHT].concat());
    assert_eq!(answer.status, 200);
    assert_eq!(all_seen(&answer, "X-Remote-Groups"), Vec::<String>::new());
}

/// The readable page, with the line by which a browser asks.
fn assert_asks_for_a_password(case: &Case) {
    let answer = get(&case.scene.nginx, None, "/", &[]);
    let asks = answer.header("WWW-Authenticate").unwrap_or_default().starts_with("Basic realm=");
    assert!(asks, "{answer:?}");
    assert!(answer.text().contains("Access denied"), "{}", answer.text());
    let answer = get(&case.scene.nginx, Some(&case.alice), "/", &[]);
    assert_eq!((answer.status, answer.header("WWW-Authenticate")), (200, None));
}
