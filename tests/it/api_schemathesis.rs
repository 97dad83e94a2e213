//! The API is asked whatever its own description allows, and whatever it does not allow, by a
//! program that has read nothing else.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use crate::support::database::Kind;
use crate::support::office::{Call, Office};

/// Examples of each phase and call: all of it takes well under three minutes.
const EXAMPLES: &str = "15";

/// What is checked of every answer. Not that every body the schema allows is accepted: a schema
/// cannot say what a DN or a certificate is.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,\
    unsupported_method,allow_header_conformance,use_after_free,ensure_resource_availability";

/// A removal that was a dry run removes nothing, which a check for use after removal does not know.
const SETTINGS: &str = "[[operations]]\ninclude-method = \"DELETE\"\n\
    parameters = { \"query.dry_run\" = false }\n";

#[expect(clippy::disallowed_methods, reason = "where the program is, nobody else can say")]
fn schemathesis() -> String {
    std::env::var("CERTGATE_TEST_SCHEMATHESIS").expect(
        "CERTGATE_TEST_SCHEMATHESIS names no schemathesis: run tests/run, which installs it",
    )
}

#[test]
fn no_call_that_the_document_allows_or_forbids_gets_an_answer_that_it_does_not_tell_of() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let folder = tempfile::tempdir().unwrap();
        let office = Office::open(kind);
        let address = forward(office.socket());
        office.certgate.run(&["block", "add", "--sha256", &"ef".repeat(32)]);
        let settings = folder.path().join("schemathesis.toml");
        fs::write(&settings, SETTINGS).unwrap();
        let certificate = format!("X-SSL-Client-Cert: {}", office.alice.escaped());
        let output = Command::new(schemathesis())
            .arg("--config-file")
            .arg(&settings)
            .arg("run")
            .arg(format!("http://{address}/api/v1/openapi.json"))
            .args(["--header", &certificate, "--header", "X-SSL-Client-Verify: SUCCESS"])
            .args(["--header", "X-Certgate-Request: 1"])
            .args(["--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", "1"])
            .args(["--continue-on-failure", "--no-color", "--generation-database", "none"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{kind:?}\n{said}");
        // All the while alice has stayed an administrator, whatever she is called by now.
        assert_eq!(office.ask(&Call::get("/whoami").by(&office.alice)).status, 200);
    }
}

/// A loopback port that leads to this socket: schemathesis speaks TCP.
fn forward(socket: &Path) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let socket = socket.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, UnixStream::connect(&socket)) else { continue };
            let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                copy(client, server, |server| server.shutdown(Shutdown::Write))
            });
            std::thread::spawn(move || {
                copy(forth, back, |client| client.shutdown(Shutdown::Write))
            });
        }
    });
    address
}

/// Hands bytes over until there are no more, and says so.
fn copy<W: Write>(mut from: impl Read, mut to: W, end: impl Fn(&W) -> io::Result<()>) {
    // Either side may hang up at any time.
    let _ = io::copy(&mut from, &mut to);
    let _ = end(&to);
}
