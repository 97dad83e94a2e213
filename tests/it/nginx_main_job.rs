//! The main job: the right person gets through with a name, everybody else is told why not.

use std::time::{Duration, Instant};

use certgate::cli::demo::application::seen;
use time::OffsetDateTime;

use crate::support::nginx::Site;
use crate::support::pki::Leaf;
use crate::support::tls::{TlsVersion, caller, get};
use crate::support::world::World;

#[test]
fn alice_gets_through_and_the_application_sees_her_with_her_groups() {
    let world = World::new(&Site::Example);
    for (path, name) in [("/", "X-Remote-"), ("/php/x", "HTTP_X_REMOTE_")] {
        let text = get(&world.nginx, Some(&world.alice), path, &[]).text();
        assert_eq!(seen(&text, &format!("{name}User")), Some("alice"), "{text}");
        assert_eq!(seen(&text, &format!("{name}Groups")), Some("ops,staff"), "{text}");
        assert_eq!(seen(&text, &format!("{name}Name")), Some("Alice Dupont"), "{text}");
        assert_eq!(seen(&text, &format!("{name}Email")), Some("alice@example.com"), "{text}");
        let line = world.nginx.logged(path);
        assert_eq!((line.code(), line.user()), ("mapped", "alice"));
    }
}

#[test]
fn everybody_else_gets_401_with_a_reason_of_their_own_in_the_log() {
    let world = World::new(&Site::Example);
    let long_ago = OffsetDateTime::now_utc() - time::Duration::days(30);
    let old = Leaf::client("alice").valid(long_ago, long_ago + time::Duration::DAY);
    let expired = world.ca.issue("expired", old);
    let tomorrow = OffsetDateTime::now_utc() + time::Duration::DAY;
    let young = Leaf::client("alice").valid(tomorrow, tomorrow + time::Duration::DAY);
    let not_yet = world.ca.issue("not-yet", young);
    let carol = world.carol.pem.to_str().unwrap();
    world.certgate.run(&["certificate", "block", carol, "--reason", "stolen"]);
    world.certgate.wait_for_reason(&world.carol, "blocked");

    for (path, certificate, code) in [
        ("/nobody", None, "no_certificate"),
        ("/bob", Some(&world.bob), "unmapped"),
        ("/carol", Some(&world.carol), "blocked"),
        ("/mallory", Some(&world.mallory), "chain_untrusted"),
        ("/expired", Some(&expired), "certificate_expired"),
        ("/not-yet", Some(&not_yet), "certificate_not_yet_valid"),
    ] {
        let answer = get(&world.nginx, certificate, path, &[]);
        let line = world.nginx.logged(path);
        assert_eq!((answer.status, line.code(), line.user()), (401, code, "-"), "{path}");
        // The answer's headers are for nginx.
        for name in ["X-Auth-Reason", "X-Remote-User", "X-Remote-Groups", "WWW-Authenticate"] {
            assert_eq!(answer.header(name), None, "{path}");
        }
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{path}");
        let page = answer.text();
        assert!(page.contains(&format!("<dd>{code}</dd>")), "{path}: {page}");
        assert!(page.contains(&format!("<dd>{}</dd>", line.request_id())), "{path}: {page}");
    }
    assert_eq!(world.nginx.application.requests(), 0);
}

#[test]
fn a_name_in_any_script_arrives_percent_encoded() {
    let world = World::new(&Site::Example);
    world.certgate.run(&["user", "add", "bob", "--name", "Zo\u{eb} 100%"]);
    world.map("bob", &world.bob);
    for (path, name) in [("/", "X-Remote-Name"), ("/php/", "HTTP_X_REMOTE_NAME")] {
        let text = get(&world.nginx, Some(&world.bob), path, &[]).text();
        assert_eq!(seen(&text, name), Some("Zo%C3%AB 100%25"), "{text}");
    }
}

#[test]
fn a_server_that_demands_a_certificate_says_so_in_the_same_way() {
    let world = World::changed(&Site::Example, |folder| {
        let path = folder.join("sites/site.conf");
        let text = std::fs::read_to_string(&path).unwrap();
        let on = text.replace("ssl_verify_client      optional;", "ssl_verify_client on;");
        assert_ne!(on, text);
        std::fs::write(path, on).unwrap();
    });
    let answer = get(&world.nginx, None, "/nobody", &[]);
    let line = world.nginx.logged("/nobody");
    assert_eq!((answer.status, line.code()), (401, "no_certificate"));
    assert!(answer.text().contains("<dd>no_certificate</dd>"), "{}", answer.text());
    assert_eq!(get(&world.nginx, Some(&world.alice), "/", &[]).status, 200);
}

#[test]
fn many_and_long_headers_of_a_client_are_not_certgates_concern() {
    let world = World::new(&Site::Example);
    let long = "x".repeat(7000);
    let names: Vec<String> = (0..120).map(|number| format!("X-Header-{number}")).collect();
    let mut headers: Vec<_> = names.iter().map(|name| (name.as_str(), "value")).collect();
    headers.extend([("X-Long", long.as_str()), ("Cookie", long.as_str())]);
    assert_eq!(get(&world.nginx, Some(&world.alice), "/", &headers).status, 200);
}

#[test]
fn the_denied_page_keeps_the_status_and_shows_the_reason_and_the_request_id() {
    let world = World::new(&Site::Example);
    for (path, certificate, status, code) in
        [("/bob", &world.bob, 401, "unmapped"), ("/ops/carol", &world.carol, 403, "group_required")]
    {
        let answer = get(&world.nginx, Some(certificate), path, &[]);
        let line = world.nginx.logged(path);
        assert_eq!((answer.status, line.code()), (status, code));
        assert_eq!(answer.header("Content-Type"), Some("text/html; charset=utf-8"));
        let page = answer.text();
        assert!(page.contains(&format!("<dd>{code}</dd>")), "{page}");
        assert!(page.contains(&format!("<dd>{}</dd>", line.request_id())), "{page}");
    }
}

#[test]
fn a_group_is_required_in_a_nested_location_too() {
    let world = World::new(&Site::Example);
    for path in ["/ops/", "/ops/x.php", "/ops/x.php?require=group:guests"] {
        assert_eq!(get(&world.nginx, Some(&world.alice), path, &[]).status, 200, "{path}");
        assert_eq!(get(&world.nginx, Some(&world.carol), path, &[]).status, 403, "{path}");
        assert_eq!(get(&world.nginx, Some(&world.bob), path, &[]).status, 401, "{path}");
        assert_eq!(get(&world.nginx, None, path, &[]).status, 401, "{path}");
    }
}

#[test]
fn certificate_or_password_lets_nobody_in_as_nobody_and_refuses_a_bad_certificate() {
    let world = World::new(&Site::Example);
    let answer = get(&world.nginx, None, "/either/nobody", &[("X-Remote-User", "alice")]);
    assert_eq!((answer.status, seen(&answer.text(), "X-Remote-User")), (200, None));
    assert_eq!(world.nginx.logged("/either/nobody").code(), "anonymous");
    let answer = get(&world.nginx, Some(&world.alice), "/either/", &[]);
    assert_eq!(seen(&answer.text(), "X-Remote-User"), Some("alice"));
    assert_eq!(get(&world.nginx, Some(&world.bob), "/either/", &[]).status, 401);
    assert_eq!(get(&world.nginx, Some(&world.mallory), "/either/", &[]).status, 401);
}

#[test]
fn a_megabyte_is_posted_through_in_under_a_second() {
    let world = World::new(&Site::Example);
    let body = vec![b'x'; 1 << 20];
    for (path, times) in [("/upload", 3), ("/php/upload", 3)] {
        for _ in 0..times {
            let caller = caller(&world.nginx, Some(&world.alice), TlsVersion::Tls13);
            let mut session = caller.connect().unwrap();
            let start = Instant::now();
            let answer = session.send("POST", path, &[], &body).unwrap();
            assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
            assert_eq!(answer.status, 200);
            assert_eq!(seen(&answer.text(), "body"), Some("1048576 bytes"));
        }
    }
}

#[test]
fn a_post_of_a_stranger_is_refused_and_the_connection_stays_in_step() {
    let world = World::new(&Site::Example);
    let mut session = caller(&world.nginx, Some(&world.bob), TlsVersion::Tls13).connect().unwrap();
    let smuggled = b"GET /public/ HTTP/1.1\r\nHost: x\r\n\r\n";
    for _ in 0..3 {
        assert_eq!(session.send("POST", "/", &[], smuggled).unwrap().status, 401);
    }
    assert_eq!(world.nginx.application.requests(), 0);
}

#[test]
fn eight_kilobytes_of_groups_reach_the_application() {
    let world = World::new(&Site::Example);
    // 31 names of 250 bytes and the separators: just under the limit of 8 KiB.
    let groups: Vec<String> = (0..31).map(|number| format!("{number:0>250}")).collect();
    let mut arguments = vec!["user", "add", "mallory"];
    for group in &groups {
        arguments.extend(["--group", group]);
    }
    world.certgate.run(&arguments);
    let certificate = world.ca.client("many groups");
    world.map("mallory", &certificate);
    let expected = groups.join(",");
    for (path, name) in [("/", "X-Remote-Groups"), ("/php/", "HTTP_X_REMOTE_GROUPS")] {
        let answer = get(&world.nginx, Some(&certificate), path, &[]);
        assert_eq!(answer.status, 200);
        assert_eq!(seen(&answer.text(), name), Some(expected.as_str()));
    }
}

#[test]
fn a_large_certificate_through_an_intermediate_issuer_passes() {
    let world = World::new(&Site::Example);
    let intermediate = world.ca.intermediate("Intermediate CA");
    let name = |number| format!("host-{number}.a-rather-long-name-of-a-machine.example.com");
    let names: Vec<_> =
        (0..250).map(|number| rcgen::SanType::DnsName(name(number).try_into().unwrap())).collect();
    let large = intermediate.issue("large", Leaf::client("alice").names(names));
    assert!(large.text.len() > 16 * 1024, "{}", large.text.len());
    world.map("alice", &large);
    let answer = get(&world.nginx, Some(&large), "/", &[]);
    assert_eq!((answer.status, seen(&answer.text(), "X-Remote-User")), (200, Some("alice")));
}

#[test]
fn the_observing_site_refuses_nobody_names_nobody_and_asks_about_everybody() {
    let world = World::new(&Site::Observe);
    for certificate in [None, Some(&world.alice), Some(&world.bob)] {
        let answer = get(&world.nginx, certificate, "/", &[("X-Remote-User", "admin")]);
        assert_eq!((answer.status, seen(&answer.text(), "X-Remote-User")), (200, None));
    }
    // It is asked in the background: a certgate that is away changes nothing either.
    world.certgate.stop();
    assert_eq!(get(&world.nginx, Some(&world.bob), "/", &[]).status, 200);
    assert_eq!(world.nginx.application.requests(), 4);
}

#[test]
fn the_mirrored_question_is_the_real_one() {
    use std::io::Read;
    use std::net::TcpListener;

    let world = World::new(&Site::Observe);
    let auth = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let nginx =
        crate::support::nginx::Nginx::start(&Site::Observe, auth.local_addr().unwrap(), &world.ca);
    let listening = std::thread::spawn(move || {
        let (mut stream, _) = auth.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    });
    let forged = [("X-SSL-Client-Verify", "NONE"), ("X-Forged", "yes")];
    assert_eq!(get(&nginx, Some(&world.alice), "/", &forged).status, 200);
    let head = listening.join().unwrap();
    assert!(head.starts_with("GET /auth HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("X-SSL-Client-Verify: SUCCESS\r\n"), "{head}");
    assert!(head.contains(&format!("X-SSL-Client-Cert: {}\r\n", world.alice.escaped())), "{head}");
    assert!(!head.contains("X-Forged") && !head.contains("NONE"), "{head}");
}
