//! The API through a real nginx with the shipped files, by curl and as a browser would ask.

use std::path::Path;
use std::process::Command;

use crate::support::database::Kind;
use crate::support::nginx::{Nginx, Site};
use crate::support::office::{ORIGIN, Office};
use crate::support::pki::Issued;

/// The office with nginx before it.
fn before(office: &Office) -> Nginx {
    let site = Site::Admin(office.socket().to_owned());
    Nginx::start(&site, office.certgate.auth(), &office.ca)
}

/// Status and body of a call by curl.
fn curl(nginx: &Nginx, who: Option<&Issued>, path: &str, arguments: &[&str]) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"]);
    command.arg("--cacert").arg(nginx.server_ca());
    if let Some(who) = who {
        command.arg("--cert").arg(&who.pem).arg("--key").arg(&who.key);
    }
    let url = format!("https://{}/api/v1{path}", nginx.address());
    let output = command.args(arguments).arg(url).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

const MEANT: [&str; 2] = ["--header", "X-Certgate-Request: 1"];
const JSON: [&str; 2] = ["--header", "Content-Type: application/json"];

#[test]
fn an_administrator_works_through_the_shipped_nginx_and_nobody_else() {
    let office = Office::open(Kind::Sqlite);
    let nginx = before(&office);
    assert_eq!(nginx.warnings(), Vec::<String>::new());
    let alice = Some(&office.alice);
    let (status, body) = curl(&nginx, alice, "/whoami", &[]);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"username\":\"alice\""), "{body}");
    let add = ["--data", r#"{"username": "bobby"}"#];
    let (status, body) = curl(&nginx, alice, "/users", &[&MEANT[..], &JSON, &add].concat());
    assert_eq!(status, 201, "{body}");
    // Names with every character that a path cannot hold as it is.
    let odd = ["--data", r#"{"username": "host/a?b#c%25"}"#];
    let (status, body) = curl(&nginx, alice, "/users", &[&MEANT[..], &JSON, &odd].concat());
    assert_eq!(status, 201, "{body}");
    let (status, body) = curl(&nginx, alice, "/users/host%2Fa%3Fb%23c%2525", &[]);
    assert_eq!(status, 200, "{body}");
    let before = office.state();
    // A client's own headers of nginx's kind are overwritten.
    let escaped = office.alice.escaped();
    let forged = [
        "--header",
        &format!("X-SSL-Client-Cert: {escaped}"),
        "--header",
        "X-SSL-Client-Verify: SUCCESS",
        "--header",
        "X-Remote-User: alice",
    ];
    for (who, status) in [(None, 401), (Some(&office.bob), 403), (Some(&office.carol), 403)] {
        assert_eq!(curl(&nginx, who, "/whoami", &forged).0, status);
        let change = [&forged[..], &MEANT, &JSON, &["--data", r#"{"username": "x"}"#]].concat();
        assert_eq!(curl(&nginx, who, "/users", &change).0, status);
    }
    assert_eq!(office.state(), before);
}

#[test]
fn what_a_page_of_another_site_can_make_a_browser_send_changes_nothing() {
    let office = Office::open(Kind::Sqlite);
    let nginx = before(&office);
    let alice = Some(&office.alice);
    let before = office.state();
    let header = |text: &'static str| ["--header", text];
    let evil = header("Origin: https://evil.example");
    let cross = header("Sec-Fetch-Site: cross-site");
    let disable = "/users/bob/disable";
    let post = ["--request", "POST"];
    for (arguments, status, why) in [
        (vec![post, evil, cross], 403, "an empty form"),
        (
            vec![post, evil, cross, header("Content-Type: text/plain"), ["--data", "{}"]],
            403,
            "a form",
        ),
        (vec![post], 403, "an old browser's form"),
        (vec![post, MEANT, evil, cross], 403, "a script, had it been allowed to"),
        (vec![post, MEANT, header("Origin: null")], 403, "a sandboxed frame"),
        (vec![["--request", "GET"], MEANT, cross], 405, "an image"),
        (
            vec![
                ["--request", "OPTIONS"],
                evil,
                cross,
                header("Access-Control-Request-Method: POST"),
                header("Access-Control-Request-Headers: x-certgate-request"),
            ],
            405,
            "a preflight",
        ),
    ] {
        let (told, body) = curl(&nginx, alice, disable, &arguments.concat());
        assert_eq!(told, status, "{why}: {body}");
        assert_eq!(office.state(), before, "{why}");
    }
    let preflight = ["--request", "OPTIONS", "--dump-header", "-"];
    let (_, answer) = curl(&nginx, alice, disable, &[&preflight[..], &evil].concat());
    assert!(!answer.to_lowercase().contains("access-control-allow"), "{answer}");
    let ours = format!("Origin: {ORIGIN}");
    let own = ["--header", &ours, "--header", "Sec-Fetch-Site: same-origin"];
    let (status, body) = curl(&nginx, alice, disable, &[&post[..], &MEANT, &own].concat());
    assert_eq!(status, 200, "{body}");
}

#[test]
fn the_commands_of_the_document_are_true() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md"));
    let text = text.unwrap();
    let office = Office::empty(Kind::Sqlite);
    let nginx = before(&office);
    let folder = tempfile::tempdir().unwrap();
    for (who, name) in [(&office.alice, "alice"), (&office.bob, "bob")] {
        std::fs::copy(&who.alone, folder.path().join(format!("{name}.pem"))).unwrap();
        std::fs::copy(&who.key, folder.path().join(format!("{name}.key"))).unwrap();
    }
    let address = nginx.address();
    // Where the name leads, and whose certificate the server has, is all that is not as printed.
    let settings = format!("insecure\nconnect-to = \"certgate.example.com:443:{address}\"\n");
    std::fs::write(folder.path().join(".curlrc"), settings).unwrap();
    let program = crate::support::certgate::program();
    let path = std::env::var_os("PATH").unwrap();
    let path = format!("{}:{}", program.parent().unwrap().display(), path.to_string_lossy());
    let mut run = 0;
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", block])
            .env("PATH", &path)
            .env("CURL_HOME", folder.path())
            .env("CERTGATE_CONFIG", office.certgate.config())
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{block}\n{said}\n{output:?}");
        run += 1;
        if block.contains("mapping add alice") {
            office.certgate.wait_for_reason(&office.alice, "mapped");
        }
    }
    assert!(run >= 5, "{run}");
    office.certgate.wait_for_reason(&office.bob, "mapping_revoked");
}
