//! From a `map $ssl_client_s_dn` in nginx, as `docs/migrating.md` says it.

use certgate::cli::demo::application::seen;
use certgate::cli::demo::workshop::Workshop;
use rcgen::DnType;

use super::migrating_page::{Pages, Scene, block};
use crate::support::database::{Database, Kind};
use crate::support::pki::{Issuer, Leaf};
use crate::support::tls::get;

#[test]
fn a_map_becomes_rows_and_its_regular_expression_lets_nobody_else_in() {
    let folder = Workshop::open("certgate-map").unwrap();
    let ca = Issuer::root(&folder.folder().join("ca"), "Example CA");
    let [alice, bob] = ["alice", "bob"].map(|name| ca.client(name));
    let spoof = [(DnType::OrganizationName, "x CN=bob"), (DnType::CommonName, "mallory")];
    let mallory = ca.issue("mallory", Leaf::client("x").subject(&spoof));

    let old = Pages {
        http: block("map.old.http.nginx"),
        server: block("map.old.nginx"),
        ..Pages::default()
    };
    let old = Scene::start(None, "", &ca, &old);
    let user = |certificate| {
        let answer = get(&old.nginx, Some(certificate), "/", &[("X-Remote-User", "admin")]);
        seen(&answer.text(), "X-Remote-User").map(str::to_owned)
    };
    assert_eq!(user(&alice).as_deref(), Some("alice"));
    // What the page says of the old list is true.
    assert_eq!(user(&mallory).as_deref(), Some("bob"));
    assert_eq!(get(&old.nginx, None, "/", &[]).status, 403);

    for kind in [Kind::Postgres, Kind::Sqlite] {
        let database = Database::empty(kind);
        let pages = Pages { server: block("django.right.nginx"), ..Pages::default() };
        let scene = Scene::start(Some(&database), "", &ca, &pages);
        database.sql(&block("map.sql"));
        scene.certgate.wait_for_reason(&alice, "mapped");
        for (path, certificate, name) in [("/alice", &alice, "alice"), ("/bob", &bob, "bob")] {
            let (answer, code) = scene.ask(Some(certificate), path, &[]);
            assert_eq!((answer.status, code.as_str()), (200, "mapped"), "{kind:?} {path}");
            assert_eq!(seen(&answer.text(), "X-Remote-User"), Some(name), "{kind:?}");
        }
        let (answer, code) = scene.ask(Some(&mallory), "/mallory", &[]);
        assert_eq!((answer.status, code.as_str()), (401, "unmapped"), "{kind:?}");
    }
}
