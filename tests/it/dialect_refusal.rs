//! The one line that a refused person gets through a proxy that copies answers, and nobody else.

use crate::support::certgate::Certgate;
use crate::support::nginx::{Nginx, Site};
use crate::support::pki::Issuer;
use crate::support::tls::get;

fn ask(certgate: &Certgate, method: &str, target: &str, headers: &str) -> String {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\n");
    certgate.ask(&format!("{head}{headers}\r\n"))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn a_refusal_has_a_text_only_for_who_copies_it() {
    let certgate = Certgate::start();
    let copied = "X-Forwarded-Method: GET\r\n";
    let with_id = format!("{copied}X-Request-ID: 4711-a\r\n");
    for (method, target, headers, expected) in [
        ("GET", "/auth", "", ""),
        ("GET", "/auth", "X-Request-ID: 4711-a\r\n", ""),
        ("GET", "/auth", copied, "certgate: no_certificate (request -)\n"),
        ("GET", "/auth", &with_id, "certgate: no_certificate (request 4711-a)\n"),
        ("GET", "/auth?x=1", &with_id, "certgate: bad_options (request 4711-a)\n"),
        ("HEAD", "/auth", &with_id, ""),
        ("GET", "/auth?certificate=optional", &with_id, ""),
    ] {
        let answer = ask(&certgate, method, target, headers);
        assert_eq!(body(&answer), expected, "{method} {target} {headers}: {answer}");
        let text = answer.to_lowercase().contains("content-type: text/plain; charset=utf-8\r\n");
        assert_eq!(text, headers.contains("Method") && !target.contains("optional"), "{answer}");
    }
}

#[test]
fn a_hostile_request_id_is_not_repeated() {
    let certgate = Certgate::start();
    for id in ["<script>", "a b", "a%0d%0ab", "x)", &"x".repeat(129)] {
        let headers = format!("X-Forwarded-Method: GET\r\nX-Request-ID: {id}\r\n");
        let answer = ask(&certgate, "GET", "/auth", &headers);
        assert_eq!(body(&answer), "certgate: no_certificate (request -)\n", "{id}");
    }
}

#[test]
fn a_client_of_nginx_cannot_ask_for_the_text() {
    let certgate = Certgate::start();
    let folder = certgate::cli::demo::workshop::Workshop::open("certgate-ca").unwrap();
    let ca = Issuer::root(folder.folder(), "Example CA");
    let nginx = Nginx::start(&Site::Example, certgate.auth(), &ca);
    let answer = get(&nginx, None, "/", &[("X-Forwarded-Method", "GET")]);
    assert_eq!(answer.status, 401);
    assert!(!answer.text().contains("certgate: "), "{}", answer.text());
}
