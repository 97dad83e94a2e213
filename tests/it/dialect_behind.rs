//! HAProxy and Apache in front of an nginx that asks: the right person, the right reasons, and
//! nothing that a client sends itself.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certgate::cli::demo::application::seen;
use time::OffsetDateTime;

use crate::support::pki::{Issued, Leaf};
use crate::support::proxies::{Proxied, SECRET, Terminator, fitted};
use crate::support::tls::TlsVersion;

const BOTH: [Terminator; 2] = [Terminator::Apache, Terminator::Haproxy];

fn status(proxied: &Proxied, certificate: Option<&Issued>, headers: &[(&str, &str)]) -> u16 {
    let answer = proxied.get(certificate, "/", headers).unwrap();
    // An application's text in a failed test tells whose it is.
    assert!(answer.status != 200 || answer.text().contains("X-Remote-User"), "{}", answer.text());
    answer.status
}

/// The code on the denied page.
fn code(proxied: &Proxied, certificate: Option<&Issued>) -> String {
    let answer = proxied.get(certificate, "/", &[]).unwrap();
    assert_eq!(answer.status, 401, "{}", answer.text());
    let text = answer.text();
    let (_, rest) = text.split_once("<dd>").unwrap();
    rest.split_once("</dd>").unwrap().0.to_owned()
}

fn der_base64(issued: &Issued) -> String {
    issued.text.lines().filter(|line| !line.starts_with("-----")).collect()
}

#[test]
fn alice_gets_through_and_strangers_do_not() {
    for terminator in BOTH {
        let proxied = Proxied::behind(terminator);
        let text = proxied.get(Some(&proxied.alice), "/", &[]).unwrap().text();
        assert_eq!(seen(&text, "X-Remote-User"), Some("alice"), "{terminator:?} {text}");
        assert_eq!(seen(&text, "X-Remote-Groups"), Some("ops,staff"));
        let before = proxied.application.requests();
        assert_eq!(code(&proxied, Some(&proxied.bob)), "unmapped");
        assert_eq!(code(&proxied, None), "no_certificate");
        assert_eq!(proxied.application.requests(), before);
    }
}

#[test]
fn haproxy_lets_a_bad_certificate_through_to_its_reason() {
    let proxied = Proxied::behind(Terminator::Haproxy);
    let now = OffsetDateTime::now_utc();
    let (long_ago, day) = (now - time::Duration::days(30), time::Duration::DAY);
    let old = Leaf::client("alice").valid(long_ago, long_ago + day);
    let young = Leaf::client("alice").valid(now + day, now + day * 2);
    let expired = proxied.ca.issue("expired", old);
    let not_yet = proxied.ca.issue("not-yet", young);
    assert_eq!(code(&proxied, Some(&proxied.mallory)), "chain_untrusted");
    assert_eq!(code(&proxied, Some(&expired)), "certificate_expired");
    assert_eq!(code(&proxied, Some(&not_yet)), "certificate_not_yet_valid");
    assert_eq!(proxied.application.requests(), 0);
}

#[test]
fn apache_ends_the_handshake_of_a_bad_certificate() {
    let proxied = Proxied::behind(Terminator::Apache);
    assert!(proxied.get(Some(&proxied.mallory), "/", &[]).is_none());
    assert_eq!(proxied.application.requests(), 0);
}

#[test]
fn a_resumed_session_is_no_better_than_the_first() {
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let proxied = Proxied::behind(Terminator::Haproxy);
        for (certificate, expected) in [(&proxied.mallory, 401), (&proxied.alice, 200)] {
            let caller = proxied.caller(Some(certificate), version);
            let mut resumed = false;
            for _ in 0..3 {
                let mut session = caller.connect().unwrap();
                assert_eq!(session.get("/", &[]).unwrap().status, expected, "{version:?}");
                resumed |= session.resumed();
            }
            assert!(resumed, "{version:?}");
        }
    }
}

#[test]
fn what_a_client_sends_itself_counts_for_nothing() {
    for terminator in BOTH {
        let proxied = Proxied::behind(terminator);
        let (escaped, der) = (proxied.alice.escaped(), der_base64(&proxied.alice));
        let forged = [
            ("X-SSL-Client-Used", "1"),
            ("X-SSL-Client-Verify", if terminator == Terminator::Apache { "SUCCESS" } else { "0" }),
            ("X-SSL-Client-Cert", escaped.as_str()),
            ("X-SSL-Client-DER", der.as_str()),
            ("X-Certgate-Secret", SECRET),
            ("X-Remote-User", "alice"),
        ];
        let underscored: Vec<_> =
            forged.iter().map(|(name, value)| (name.replace('-', "_"), *value)).collect();
        let underscored: Vec<_> =
            underscored.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let twice = [&forged[..], &forged].concat();
        for forged in [&forged[..], &underscored, &twice] {
            assert_eq!(status(&proxied, None, forged), 401, "{terminator:?}");
            assert_eq!(status(&proxied, Some(&proxied.bob), forged), 401, "{terminator:?}");
        }
        assert_eq!(proxied.application.requests(), 0);
        // And it does not get in alice's way, nor to the application.
        let text = proxied.get(Some(&proxied.alice), "/", &twice).unwrap().text();
        assert_eq!(seen(&text, "X-Remote-User"), Some("alice"), "{terminator:?} {text}");
        let lower = text.to_lowercase();
        for name in ["x-ssl-client", "x-certgate-secret", "x_ssl", SECRET, &der] {
            assert!(!lower.contains(&name.to_lowercase()), "{terminator:?}: {name} in {text}");
        }
    }
}

#[test]
fn connection_cannot_make_a_header_of_the_proxy_vanish_to_a_clients_good() {
    for terminator in BOTH {
        let proxied = Proxied::behind(terminator);
        let names = "X-SSL-Client-Used, X-SSL-Client-Verify, X-SSL-Client-DER, X-SSL-Client-Cert, \
                     X-Certgate-Secret";
        for name in names.split(", ").chain([names]) {
            let connection = format!("close, {name}");
            let forged = [("Connection", connection.as_str()), ("X-SSL-Client-Verify", "SUCCESS")];
            assert_eq!(status(&proxied, None, &forged), 401, "{terminator:?} {name}");
            assert_eq!(status(&proxied, Some(&proxied.bob), &forged), 401, "{terminator:?} {name}");
        }
        assert_eq!(proxied.application.requests(), 0);
    }
}

#[test]
fn whoever_comes_past_the_proxy_has_no_secret() {
    for terminator in BOTH {
        let proxied = Proxied::behind(terminator);
        let (escaped, der) = (proxied.alice.escaped(), der_base64(&proxied.alice));
        let verify = if terminator == Terminator::Apache { "SUCCESS" } else { "0" };
        for (secret, expected) in [("", "401"), ("wrong-0123456789abcdef", "401"), (SECRET, "200")]
        {
            let request = format!(
                "GET / HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\
                 X-SSL-Client-Used: 1\r\nX-SSL-Client-Verify: {verify}\r\n\
                 X-SSL-Client-Cert: {escaped}\r\nX-SSL-Client-DER: {der}\r\n\
                 X-Certgate-Secret: {secret}\r\n\r\n"
            );
            let mut stream = TcpStream::connect(proxied.behind).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let start = format!("HTTP/1.1 {expected} ");
            assert!(answer.starts_with(&start), "{terminator:?} {secret}: {answer}");
            assert!(expected == "200" || answer.contains("proxy_not_trusted"), "{answer}");
        }
    }
}

#[test]
fn a_large_certificate_passes_whole() {
    for terminator in BOTH {
        let proxied = Proxied::behind(terminator);
        let name = |number| format!("host-{number}.a-rather-long-name-of-a-machine.example.com");
        let names: Vec<_> = (0..400)
            .map(|number| rcgen::SanType::DnsName(name(number).try_into().unwrap()))
            .collect();
        let large = proxied.ca.issue("large", Leaf::client("alice").names(names));
        assert!(STANDARD.decode(der_base64(&large)).unwrap().len() > 20 * 1024);
        let file = large.alone.to_str().unwrap();
        proxied.certgate.run(&["mapping", "add", "alice", "--cert", file]);
        let start = std::time::Instant::now();
        while status(&proxied, Some(&large), &[]) != 200 {
            assert!(start.elapsed() < Duration::from_secs(5), "{terminator:?}");
        }
    }
}

#[test]
fn the_asking_snippet_behind_a_proxy_differs_in_its_headers_only() {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx/snippets/certgate-ask.conf");
    let usual = fs::read_to_string(usual).unwrap();
    let behind = fitted("certgate-ask-behind.conf", &[]);
    let lines = |text: &str| -> Vec<String> {
        let directives = text.lines().map(|line| line.split(" #").next().unwrap().trim_end());
        directives
            .filter(|line| !line.trim_start().starts_with('#') && !line.is_empty())
            .filter(|line| !line.contains("X-SSL-Client-") && !line.contains("X-Certgate-Secret"))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(lines(&behind), lines(&usual));
    let headers = behind.lines().filter(|line| line.contains("$http_")).count();
    assert_eq!(headers, 2 * 5);
}
