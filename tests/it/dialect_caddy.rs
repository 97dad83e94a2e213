//! Caddy, which asks by itself and hands certgate's refusal to its client.

use crate::support::pki::Issued;
use crate::support::proxies::{APP, OTHER, Proxied, SECRET};

fn get(proxied: &Proxied, certificate: Option<&Issued>, target: &str, more: &[&str]) -> String {
    proxied.curl(certificate, APP, target, more)
}

fn body(answer: &str) -> &str {
    answer.split_once("\n\n").map_or("", |(_, body)| body)
}

/// The values that the application saw under a name, in any spelling that CGI takes for it.
fn all_seen<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let pairs = body(answer).lines().filter_map(|line| line.split_once(": "));
    let same = |other: &str| other.replace('_', "-").eq_ignore_ascii_case(name);
    pairs.filter(|(other, _)| same(other)).map(|(_, value)| value).collect()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("")
}

#[test]
fn alice_gets_through_and_the_application_sees_her_with_her_groups() {
    let proxied = Proxied::caddy();
    let post = ["--data", "a body of her own"];
    for more in [&[][..], &["--http1.1"], &post] {
        let answer = get(&proxied, Some(&proxied.alice), "/page?x=1", more);
        assert_eq!(status(&answer), "200", "{answer}");
        assert_eq!(all_seen(&answer, "X-Remote-User"), ["alice"], "{answer}");
        assert_eq!(all_seen(&answer, "X-Remote-Groups"), ["ops,staff"], "{answer}");
        assert!(body(&answer).contains(" /page?x=1 HTTP/1.1"), "{answer}");
    }
    let answer = get(&proxied, Some(&proxied.alice), "/", &post);
    assert!(body(&answer).contains("body: 17 bytes"), "{answer}");
}

#[test]
fn a_refused_person_gets_one_line_with_the_code_and_the_request_id() {
    let proxied = Proxied::caddy();
    let answer = get(&proxied, Some(&proxied.bob), "/", &["--header", "X-Request-ID: forged"]);
    assert_eq!(status(&answer), "401", "{answer}");
    let lower = answer.to_lowercase();
    assert!(lower.contains("\ncontent-type: text/plain; charset=utf-8\n"), "{answer}");
    let line = body(&answer).strip_suffix('\n').unwrap();
    let id = line.strip_prefix("certgate: unmapped (request ").unwrap().strip_suffix(')').unwrap();
    assert_eq!(id.len(), "404af992-92f4-4d57-8755-0b8573f13092".len(), "{line}");
    assert_eq!(proxied.application.requests(), 0);
}

#[test]
fn no_handshake_without_a_verified_certificate() {
    let proxied = Proxied::caddy();
    for certificate in [None, Some(&proxied.mallory)] {
        assert_eq!(get(&proxied, certificate, "/", &[]), "");
    }
}

#[test]
fn the_handshake_of_an_open_site_opens_no_other() {
    let proxied = Proxied::caddy();
    let open = proxied.curl(None, OTHER, "/", &[]);
    assert_eq!((status(&open), body(&open)), ("200", "open"));
    let host = format!("Host: {APP}:{}", proxied.front.port());
    for certificate in [None, Some(&proxied.alice)] {
        for version in ["--http1.1", "--http2"] {
            let answer = proxied.curl(certificate, OTHER, "/", &["--header", &host, version]);
            assert_eq!(status(&answer), "421", "{answer}");
        }
    }
    assert_eq!(proxied.application.requests(), 0);
}

fn forged(victim: &Issued) -> Vec<String> {
    let der: String = victim.text.lines().filter(|line| !line.starts_with("-----")).collect();
    let mut headers = vec![
        format!("Client-Cert: :{der}:"),
        format!("client_cert: :{der}:"),
        format!("Client-Cert-Chain: :{der}:"),
        "X-SSL-Client-Verify: SUCCESS".to_owned(),
        format!("X-Certgate-Secret: {SECRET}"),
    ];
    for name in ["X-Remote-", "X_Remote_", "X-Remote_", "Remote-", "X-Auth-Request-"] {
        for part in ["User", "Groups", "Name", "Email"] {
            headers.push(format!("{name}{part}: forged"));
        }
    }
    headers.iter().flat_map(|header| ["--header".to_owned(), header.clone()]).collect()
}

#[test]
fn what_a_client_sends_itself_counts_for_nothing() {
    let proxied = Proxied::caddy();
    let forged = forged(&proxied.alice);
    let forged: Vec<_> = forged.iter().map(String::as_str).collect();
    let answer = get(&proxied, Some(&proxied.bob), "/", &forged);
    assert_eq!(status(&answer), "401", "{answer}");
    assert_eq!(proxied.application.requests(), 0);
    let answer = get(&proxied, Some(&proxied.alice), "/", &forged);
    assert_eq!(status(&answer), "200", "{answer}");
    assert_eq!(all_seen(&answer, "X-Remote-User"), ["alice"], "{answer}");
    assert!(!answer.contains("forged"), "{answer}");
}

#[test]
fn a_client_cannot_choose_options_by_its_own_query() {
    let proxied = Proxied::caddy();
    for query in ["certificate=optional", "require=user:bob", "require=group:nobody", "x"] {
        let answer = get(&proxied, Some(&proxied.alice), &format!("/?{query}"), &[]);
        assert_eq!(status(&answer), "200", "{query}: {answer}");
        let answer = get(&proxied, Some(&proxied.bob), &format!("/?{query}"), &[]);
        assert_eq!(status(&answer), "401", "{query}: {answer}");
    }
}
