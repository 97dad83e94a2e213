//! Caddy, which asks by itself and hands certgate's refusal to its client: with its own verification,
//! and with certgate's.

use time::OffsetDateTime;

use crate::support::pki::{Issued, Leaf};
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

/// The code in the line that a refused person gets.
fn code(answer: &str) -> &str {
    assert_eq!(status(answer), "401", "{answer}");
    let (_, rest) = answer.rsplit_once("certgate: ").unwrap_or_else(|| panic!("{answer}"));
    rest.split(' ').next().unwrap()
}

#[test]
fn where_caddy_verifies_nothing_certgate_does_and_says_why() {
    let proxied = Proxied::caddy_unverified();
    let answer = get(&proxied, Some(&proxied.alice), "/page?x=1", &[]);
    assert_eq!(status(&answer), "200", "{answer}");
    assert_eq!(all_seen(&answer, "X-Remote-User"), ["alice"], "{answer}");
    assert_eq!(all_seen(&answer, "X-Remote-Groups"), ["ops,staff"], "{answer}");
    let before = proxied.application.requests();
    let long_ago = OffsetDateTime::now_utc() - time::Duration::days(30);
    let old = Leaf::client("alice").valid(long_ago, long_ago + time::Duration::DAY);
    let expired = proxied.ca.issue("expired", old);
    for (certificate, expected) in [
        (None, "no_certificate"),
        (Some(&proxied.bob), "unmapped"),
        (Some(&proxied.mallory), "chain_untrusted"),
        (Some(&expired), "certificate_expired"),
    ] {
        assert_eq!(code(&get(&proxied, certificate, "/", &[])), expected);
    }
    assert_eq!(proxied.application.requests(), before);
}

#[test]
fn where_caddy_verifies_nothing_a_client_cannot_show_somebody_elses_certificate() {
    let proxied = Proxied::caddy_unverified();
    let der: String = proxied.alice.text.lines().filter(|line| !line.starts_with("---")).collect();
    let mut forged = forged(&proxied.alice);
    for name in ["X-Client-Cert", "X_Client_Cert", "x-client_cert"] {
        forged.extend(["--header".to_owned(), format!("{name}: {der}")]);
    }
    let forged: Vec<_> = forged.iter().map(String::as_str).collect();
    assert_eq!(code(&get(&proxied, None, "/", &forged)), "no_certificate");
    assert_eq!(code(&get(&proxied, Some(&proxied.bob), "/", &forged)), "unmapped");
    assert_eq!(code(&get(&proxied, Some(&proxied.mallory), "/", &forged)), "chain_untrusted");
    assert_eq!(proxied.application.requests(), 0);
    let answer = get(&proxied, Some(&proxied.alice), "/", &forged);
    assert_eq!(all_seen(&answer, "X-Remote-User"), ["alice"], "{answer}");
}

#[test]
fn a_certificate_without_the_secret_is_only_something_public() {
    for (proxied, header) in [
        (Proxied::caddy_unverified(), "X-Client-Cert"),
        (Proxied::traefik_unrun(), "X-Forwarded-Tls-Client-Cert"),
    ] {
        let ask = |certificate: &Issued, more: &str| {
            let der: String =
                certificate.text.lines().filter(|line| !line.starts_with("---")).collect();
            let answer = proxied.certgate.ask(&format!(
                "GET /auth HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\n{header}: {der}\r\n{more}\r\n"
            ));
            let lower = answer.to_lowercase();
            let (_, rest) = lower.split_once("x-auth-reason: ").unwrap();
            (status(&answer).to_owned(), rest.split('\r').next().unwrap().to_owned())
        };
        let is = |expected: (&str, &str)| (expected.0.to_owned(), expected.1.to_owned());
        let secret = format!("X-Certgate-Secret: {SECRET}\r\n");
        assert_eq!(ask(&proxied.alice, ""), is(("401", "proxy_not_trusted")), "{header}");
        assert_eq!(ask(&proxied.alice, &secret), is(("200", "mapped")), "{header}");
        assert_eq!(ask(&proxied.mallory, &secret), is(("401", "chain_untrusted")), "{header}");
    }
}
