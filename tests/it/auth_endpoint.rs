//! The auth listener itself, asked as nginx asks: who may ask, what answers, how.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::support::certgate::Certgate;
use crate::support::pki::{Issued, Issuer};

/// A client of its own issuer; the folder goes with it.
fn alice() -> (tempfile::TempDir, Issued) {
    let folder = tempfile::tempdir().unwrap();
    let alice = Issuer::root(folder.path(), "Example CA").client("alice");
    (folder, alice)
}

/// Maps the certificate to alice.
fn map(certgate: &Certgate, alice: &Issued, by: &str) {
    certgate
        .run(&["user", "add", "alice", "--name", "Zo\u{eb}", "--group", "staff", "--group", "ops"]);
    let file = alice.alone.to_str().unwrap();
    certgate.run(&["mapping", "add", "alice", "--cert", file, "--by", by]);
}

/// A question with these headers besides.
fn question(start: &str, headers: &[(&str, &str)]) -> String {
    let mut text = format!("{start} HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n"
}

/// Status and code of an answer.
fn code(answer: &str) -> (u16, String) {
    let status = answer[9..12].parse().unwrap();
    (status, header(answer, "x-auth-reason").unwrap_or_default())
}

fn header(answer: &str, name: &str) -> Option<String> {
    let head = answer.split("\r\n\r\n").next().unwrap();
    head.lines().find_map(|line| {
        let (this, value) = line.split_once(':')?;
        this.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

#[test]
fn the_secret_counts_exactly_once_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let secret = "0123456789abcdef";
    fs::write(&file, secret).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let certgate = Certgate::start_with(&format!("proxy.secret_file = \"{}\"\n", file.display()));
    let ask = |headers: &[(&str, &str)]| code(&certgate.ask(&question("GET /auth", headers)));
    let refused = (401, "proxy_not_trusted".to_owned());
    let name = "X-Certgate-Secret";
    assert_eq!(ask(&[(name, secret)]), (401, "no_certificate".to_owned()));
    assert_eq!(ask(&[]), refused, "absent");
    assert_eq!(ask(&[(name, "")]), refused, "empty");
    assert_eq!(ask(&[(name, "0123456789abcdeF")]), refused, "wrong");
    assert_eq!(ask(&[(name, "0123456789abcde")]), refused, "its beginning");
    assert_eq!(ask(&[(name, secret), (name, secret)]), refused, "twice");
    assert_eq!(ask(&[(name, secret), (name, "x")]), refused, "with another");
}

#[test]
fn only_a_trusted_peer_may_ask() {
    let refused = (401, "proxy_not_trusted".to_owned());
    for (trusted, expected) in
        [("[\"10.0.0.0/8\"]", refused), ("[\"127.0.0.0/8\"]", (401, "no_certificate".to_owned()))]
    {
        let certgate = Certgate::start_with(&format!("proxy.trusted = {trusted}\n"));
        assert_eq!(code(&certgate.ask(&question("GET /auth", &[]))), expected, "{trusted}");
    }
}

#[test]
fn every_header_that_a_dialect_reads_is_read_and_counts_once() {
    let (_folder, alice) = alice();
    let pem = fs::read_to_string(&alice.alone).unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let (escaped, octets) = (alice.escaped(), format!(":{base64}:"));
    let verified = ("X-SSL-Client-Verify", "SUCCESS");
    let nginx = [verified, ("X-SSL-Client-Cert", escaped.as_str())];
    let (rfc9440, chain) = ([verified, ("Client-Cert", octets.as_str())], "Client-Cert-Chain");
    let haproxy = [
        ("X-SSL-Client-Verify", "0"),
        ("X-SSL-Client-Used", "1"),
        ("X-SSL-Client-DER", base64.as_str()),
    ];
    for (dialect, good) in [("nginx", &nginx[..]), ("rfc9440", &rfc9440), ("haproxy", &haproxy)] {
        let certgate = Certgate::start_with(&format!("proxy.dialect = \"{dialect}\"\n"));
        let ask = |start: &str, headers: &[(&str, &str)]| {
            let (status, code) = code(&certgate.ask(&question(start, headers)));
            assert_eq!(status, 401, "{dialect}: {headers:?}");
            code
        };
        let with = |more| [good, &[more]].concat();
        assert_eq!(ask("GET /auth", good), "unmapped", "{dialect}");
        for twice in good {
            assert_eq!(ask("GET /auth", &with(*twice)), "malformed_header", "{dialect}: {twice:?}");
        }
        if dialect == "nginx" {
            for (name, other) in [
                ("X-SSL-Client-Serial", "01"),
                ("X-SSL-Client-S-DN", "CN=mallory"),
                ("X-SSL-Client-I-DN", "CN=Other CA"),
            ] {
                assert_eq!(ask("GET /auth", &with((name, other))), "header_mismatch", "{name}");
            }
        }
        if dialect == "rfc9440" {
            let start = "GET /auth?certificate=optional";
            assert_eq!(ask(start, &with((chain, "no chain"))), "malformed_header");
            // Somebody's, who showed no certificate: not nobody, who would be let in here.
            assert_eq!(ask(start, &[(chain, &octets)]), "not_verified");
        }
    }
}

#[test]
fn only_get_and_head_of_one_path_can_allow_and_no_answer_may_be_kept() {
    let (_folder, alice) = alice();
    let certgate = Certgate::start();
    map(&certgate, &alice, "sha256");
    certgate.wait_for_reason(&alice, "mapped");
    let pem = alice.escaped();
    let headers = [("X-SSL-Client-Verify", "SUCCESS"), ("X-SSL-Client-Cert", pem.as_str())];
    for (start, status) in [
        ("GET /auth", 200),
        ("HEAD /auth", 200),
        ("GET /auth?require=user:alice", 200),
        ("GET /auth?require=group:nobody", 403),
        ("GET /auth?requir=user:alice", 503),
        ("POST /auth", 405),
        ("OPTIONS /auth", 405),
        ("GET /auth/", 404),
        ("GET /authx", 404),
        ("GET //auth", 404),
        ("GET /%61uth", 404),
        ("GET /./auth", 404),
        ("GET /auth;x", 404),
        ("GET http://certgate/auth", 200),
        ("GET http://certgate/auth/x", 404),
        ("CONNECT /auth", 405),
        ("DELETE /auth?require=user:alice", 405),
        ("GET /AUTH", 404),
        ("GET /", 404),
        ("GET /healthz", 404),
        ("GET /metrics", 404),
    ] {
        let answer = certgate.ask(&question(start, &headers));
        assert_eq!(code(&answer).0, status, "{start}: {answer}");
        assert_eq!(header(&answer, "cache-control").as_deref(), Some("no-store"), "{start}");
        let user = header(&answer, "x-remote-user");
        assert_eq!(user.as_deref(), (status == 200).then_some("alice"), "{start}");
        assert!(answer.ends_with("\r\n\r\n"), "{start} has no body: {answer}");
    }
}

#[test]
fn every_200_has_the_full_set_under_the_profiles_names() {
    let (_folder, alice) = alice();
    let certgate = Certgate::start_with(
        "output.profile = \"remote\"\noutput.group_separator = \"|\"\n\
         output.headers.email = \"X-Mail\"\n",
    );
    map(&certgate, &alice, "sha256");
    certgate.wait_for_reason(&alice, "mapped");
    let pem = alice.escaped();
    let headers = [("X-SSL-Client-Verify", "SUCCESS"), ("X-SSL-Client-Cert", pem.as_str())];
    let answer = certgate.ask(&question("GET /auth", &headers));
    let is = |name, value: &str| assert_eq!(header(&answer, name).as_deref(), Some(value));
    is("remote-user", "alice");
    is("remote-groups", "ops|staff");
    is("remote-name", "Zo%C3%AB");
    is("x-mail", "");
    let answer = certgate.ask(&question("GET /auth?certificate=optional", &[]));
    assert_eq!(code(&answer), (200, "anonymous".to_owned()));
    for name in ["remote-user", "remote-groups", "remote-name", "x-mail"] {
        assert_eq!(header(&answer, name).as_deref(), Some(""), "{name}");
    }
}

#[test]
fn an_idle_connection_is_still_there_for_the_next_question() {
    let certgate = Certgate::start();
    let mut stream = TcpStream::connect(certgate.auth()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /auth HTTP/1.1\r\nHost: certgate\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "closed");
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn the_system_asks_an_idle_peer_whether_it_is_still_there() {
    let certgate = Certgate::start();
    let stream = TcpStream::connect(certgate.auth()).unwrap();
    let port = |address: std::net::SocketAddr| format!(":{:04X}", address.port());
    let (client, server) = (port(stream.local_addr().unwrap()), port(stream.peer_addr().unwrap()));
    // Columns: number, local, remote, state, queues, timer; timer 2 is that of keep-alive.
    // <https://docs.kernel.org/networking/proc_net_tcp.html>
    let timer = || {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let mut rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row[1].ends_with(&server) && row[2].ends_with(&client))?;
        let (kind, left) = row[5].split_once(':')?;
        (kind == "02").then(|| u64::from_str_radix(left, 16).unwrap())
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let left = loop {
        assert!(Instant::now() < deadline, "nobody watches the connection");
        if let Some(left) = timer() {
            break left;
        }
    };
    // In hundredths of a second.
    assert!((5_000..=6_000).contains(&left), "{left}");
}

/// A certgate that reads headers only, and the headers of alice's certificate.
fn by_headers(certgate: &Certgate, alice: &Issued) -> [(&'static str, String); 4] {
    let file = alice.alone.to_str().unwrap();
    let shown = certgate.run(&["certificate", "show", file, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let text = |field: &str| shown[field].as_str().unwrap().to_owned();
    [
        ("X-SSL-Client-Verify", "SUCCESS".to_owned()),
        ("X-SSL-Client-Serial", text("serial")),
        ("X-SSL-Client-S-DN", text("subject")),
        ("X-SSL-Client-I-DN", text("issuer")),
    ]
}

#[test]
fn in_header_mode_a_blocked_certificate_is_kept_out_and_explain_says_what_the_service_says() {
    let (_folder, alice) = alice();
    let certgate = Certgate::start_with("identity.source = \"headers\"\n");
    let headers = by_headers(&certgate, &alice);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let file = alice.alone.to_str().unwrap();
    let becomes = |expected: &str| {
        let start = std::time::Instant::now();
        loop {
            let (_, code) = code(&certgate.ask(&question("GET /auth", &headers)));
            if code == expected {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(5), "{code}, not {expected}");
        }
        let explained = certgate.try_run(&["explain", "--cert", file]);
        assert_eq!(explained.lines().next(), Some(expected), "{explained}");
    };
    map(&certgate, &alice, "sha256");
    becomes("unmapped");
    certgate.run(&["mapping", "add", "alice", "--cert", file, "--by", "issuer-serial"]);
    becomes("mapped");
    certgate.run(&["certificate", "block", file]);
    becomes("blocked");
}
