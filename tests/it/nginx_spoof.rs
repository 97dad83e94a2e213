//! A client that lies about itself. The rows are those of the threat model (H1 to H7, N1, N7), each
//! through a real nginx with the shipped site.

use crate::support::nginx::Site;
use crate::support::tls::{Body, TlsVersion, all_seen, caller, get};
use crate::support::world::World;

/// Every name under which some application looks for a user.
const IDENTITY_NAMES: [&str; 13] = [
    "X-Remote-User",
    "X-Remote-Groups",
    "X-Remote-Name",
    "X-Remote-Email",
    "Remote-User",
    "Remote-Groups",
    "Remote-Name",
    "Remote-Email",
    "X-Auth-Request-User",
    "X-Auth-Request-Groups",
    "X-Auth-Request-Email",
    "X-Forwarded-User",
    "X-Forwarded-Groups",
];

/// Closed pages of the example site: proxied, FastCGI, with a group, nested with a group.
const CLOSED: [&str; 4] = ["/", "/php/", "/ops/", "/ops/x.php"];

#[test]
fn h1_a_client_without_a_certificate_cannot_speak_for_nginx() {
    let world = World::new(&Site::Example);
    let victim = world.alice.escaped();
    let verify = ["X-SSL-Client-Verify", "x-ssl-client-verify", "X-Ssl-Client-VERIFY"];
    for path in CLOSED {
        for name in verify {
            let certificate = (name.replace(&name[13..], "Cert"), victim.as_str());
            let one = vec![(name, "SUCCESS"), (certificate.0.as_str(), certificate.1)];
            let twice = [one.clone(), one.clone()].concat();
            let all = [
                &one[..],
                &[("X-SSL-Client-Serial", "01"), ("X-SSL-Client-S-DN", "CN=alice,O=Example")],
                &[("X-SSL-Client-I-DN", "CN=Example CA,O=Example"), ("X-Remote-User", "alice")],
            ]
            .concat();
            for forged in [one, twice, all] {
                let answer = get(&world.nginx, None, path, &forged);
                assert_eq!(answer.status, 401, "{path} {forged:?}");
            }
        }
        assert_eq!(world.nginx.logged(path).code(), "no_certificate");
    }
    assert_eq!((world.nginx.application.requests(), world.nginx.fastcgi.requests()), (0, 0));
}

#[test]
fn h1_a_valid_certificate_does_not_carry_that_of_somebody_else() {
    let world = World::new(&Site::Example);
    let victim = world.alice.escaped();
    let forged = [("X-SSL-Client-Cert", victim.as_str()), ("X-SSL-Client-Verify", "SUCCESS")];
    for path in CLOSED {
        assert_eq!(get(&world.nginx, Some(&world.bob), path, &forged).status, 401, "{path}");
    }
    let answer = get(&world.nginx, Some(&world.carol), "/", &forged);
    assert_eq!(all_seen(&answer, "X-Remote-User"), ["carol"]);
    assert_eq!(all_seen(&answer, "X-SSL-Client-Cert"), Vec::<String>::new());
}

/// The application sees alice and nothing of what was sent under an identity's name.
fn assert_only_alice(world: &World, path: &str, forged: &[(&str, &str)]) {
    let answer = get(&world.nginx, Some(&world.alice), path, forged);
    assert_eq!(answer.status, 200, "{path}");
    assert!(!answer.text().contains("forged"), "{path}: {}", answer.text());
    assert_eq!(all_seen(&answer, "X-Remote-User"), ["alice"], "{path}");
    assert_eq!(all_seen(&answer, "X-Remote-Groups"), ["ops,staff"], "{path}");
}

#[test]
fn h5_no_identity_header_of_a_client_reaches_an_application() {
    let world = World::new(&Site::Example);
    let forged: Vec<_> = IDENTITY_NAMES.iter().map(|name| (*name, "forged")).collect();
    for path in ["/", "/php/", "/ops/", "/ops/x.php", "/either/"] {
        assert_only_alice(&world, path, &forged);
    }
    for path in ["/public/", "/either/"] {
        let answer = get(&world.nginx, None, path, &forged);
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains("forged"), "{path}: {}", answer.text());
        assert_eq!(all_seen(&answer, "X-Remote-User"), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn h5_the_user_of_an_unchecked_password_does_not_become_remote_user() {
    let world = World::new(&Site::Example);
    // "forged:" in base64; the stock fastcgi_params hand this name on as REMOTE_USER.
    let authorization = [("Authorization", "Basic Zm9yZ2VkOg==")];
    let answer = get(&world.nginx, Some(&world.alice), "/php/", &authorization);
    let text = answer.text();
    let last = text.lines().rfind(|line| line.starts_with("REMOTE_USER: "));
    assert_eq!(last, Some("REMOTE_USER: alice"), "{text}");
}

const UNDERSCORES: &str = "
    underscores_in_headers on;
    include snippets/certgate-ask.conf;
    auth_request /_certgate;
    location / { include snippets/certgate-identity-proxy.conf; proxy_pass http://{app}; }
    location /php/ {
        include fastcgi_params;
        include snippets/certgate-identity-fastcgi.conf;
        fastcgi_pass {fastcgi};
    }";

#[test]
fn h3_an_underscore_is_no_second_spelling_with_underscores_on_or_off() {
    for site in [Site::Example, Site::Own(UNDERSCORES)] {
        let world = World::new(&site);
        let victim = world.alice.escaped();
        let nginx_names = [("X_SSL_Client_Verify", "SUCCESS"), ("X_SSL_Client_Cert", &victim)];
        let mut forged = Vec::new();
        for form in ["X_Remote_", "X-Remote_", "X_Remote-", "Remote_", "REMOTE_"] {
            for part in ["User", "Groups", "Name", "Email"] {
                forged.push(format!("{form}{part}"));
            }
        }
        let forged: Vec<_> = forged.iter().map(|name| (name.as_str(), "forged")).collect();
        for path in ["/", "/php/"] {
            assert_eq!(get(&world.nginx, None, path, &nginx_names).status, 401, "{path}");
            assert_only_alice(&world, path, &forged);
        }
    }
}

#[test]
fn h4_connection_does_not_strip_what_nginx_sets() {
    let world = World::new(&Site::Example);
    let names = "close, X-SSL-Client-Verify, X-SSL-Client-Cert, X-Remote-User, X-Remote-Groups";
    for path in CLOSED {
        assert_only_alice(&world, path, &[("Connection", names)]);
        assert_eq!(get(&world.nginx, None, path, &[("Connection", names)]).status, 401);
    }
}

#[test]
fn h6_a_malformed_head_is_never_let_in() {
    let world = World::new(&Site::Example);
    let forged = format!(
        "X-SSL-Client-Verify: SUCCESS\nX-SSL-Client-Cert: {}\nX-Remote-User: alice\n",
        world.alice.escaped()
    );
    let crlf = forged.replace('\n', "\r\n");
    let hidden = format!("GET / HTTP/1.1\r\nHost: x\r\n{crlf}\r\n");
    let length = hidden.len();
    let heads = [
        format!("GET / HTTP/1.1\r\nHost: x\r\n{crlf}\r\n"),
        format!("GET / HTTP/1.1\nHost: x\n{forged}\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-A: b\n{forged}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n {crlf}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\x00{crlf}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n{crlf}\r\n"),
        format!("GET /%0d%0a HTTP/1.1\r\nHost: x\r\n{crlf}\r\n"),
        format!("GET / HTTP/1.0\r\n{crlf}\r\n"),
        format!("GET https://x/ HTTP/1.1\r\nHost: certgate\r\n{crlf}\r\n"),
        format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("GET /_certgate HTTP/1.1\r\nHost: x\r\n{crlf}\r\n"),
        format!("GET //_certgate/ HTTP/1.1\r\nHost: x\r\n{crlf}\r\n"),
        format!("GET /x/../_certgate HTTP/1.1\r\nHost: certgate\r\n{crlf}\r\n"),
        format!("OPTIONS * HTTP/1.1\r\nHost: x\r\n{crlf}\r\n"),
        format!("TRACE / HTTP/1.1\r\nHost: x\r\n{crlf}\r\n"),
    ];
    for head in heads {
        let caller = caller(&world.nginx, None, TlsVersion::Tls13);
        // A connection that nginx just closes is a refusal as well.
        if let Ok(answer) = caller.connect().unwrap().send_raw(head.as_bytes(), Body::Expected) {
            assert!(answer.status >= 400, "{} for {head:?}", answer.status);
        }
    }
    assert_eq!(world.nginx.application.requests(), 0);
}

#[test]
fn h7_a_path_cannot_add_a_header() {
    let world = World::new(&Site::Example);
    for breaks in ["%0d%0a", "%0a", "%0d", "%E5%98%8A%E5%98%8D", "%00"] {
        for path in ["/x", "/php/x", "/ops/x", "/x?y="] {
            let path = format!("{path}{breaks}X-Remote-User:%20forged");
            let answer = get(&world.nginx, Some(&world.alice), &path, &[]);
            if answer.status == 200 {
                assert_eq!(all_seen(&answer, "X-Remote-User"), ["alice"], "{path}");
            } else {
                assert_eq!(answer.status, 400, "{path}");
            }
            assert!(get(&world.nginx, None, &path, &[]).status >= 400, "{path}");
        }
    }
}

#[test]
fn n7_nobody_can_call_the_internal_locations() {
    let world = World::new(&Site::Example);
    for certificate in [None, Some(&world.alice), Some(&world.bob)] {
        for path in [
            "/_certgate",
            "/_certgate/",
            "/_certgate/require=group:ops",
            "/_certgate/certificate=optional",
            "/_certgate_rejected",
            "/_certgate_denied",
            "/x/..//_certgate",
            "/%5fcertgate",
        ] {
            assert_eq!(get(&world.nginx, certificate, path, &[]).status, 404, "{path}");
        }
    }
}

#[test]
fn n1_nothing_but_auth_answers_2xx_on_the_auth_listener() {
    let world = World::new(&Site::Example);
    let identity =
        format!("X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-Cert: {}\r\n", world.alice.escaped());
    let ask = |method: &str, path: &str, headers: &str| {
        let answer = world.certgate.ask(&format!(
            "{method} {path} HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\n{headers}\r\n"
        ));
        answer.get(9..12).unwrap_or("none").to_owned()
    };
    assert_eq!(ask("GET", "/auth", &identity), "200");
    let elsewhere =
        ["/", "/healthz", "/readyz", "/metrics", "/auth/", "/auth/x", "//auth", "/AUTH", "/api"];
    for path in elsewhere {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            assert!(!ask(method, path, &identity).starts_with('2'), "{method} {path}");
        }
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "X"] {
        assert!(!ask(method, "/auth", &identity).starts_with('2'), "{method}");
    }
    assert_eq!(ask("GET", "/auth", ""), "401");
    assert_eq!(ask("GET", "/auth", &format!("{identity}{identity}")), "401");
}
