//! `certgate config` and `certgate healthcheck`, with the exit codes that scripts hang on.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Instant;

use certgate::cli::config::{ConfigArgs, ConfigCommand, run};
use certgate::cli::healthcheck::{self, HEALTHCHECK_TIMEOUT, HealthcheckArgs};
use certgate::config::{Config, ConfigErrors, Environment, Listen, Loaded, Places, example};

struct Output {
    code: u8,
    out: String,
    err: String,
}

fn load(env: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    let nowhere = PathBuf::from("/nonexistent/certgate.toml");
    let places = Places { system: nowhere.clone(), working: nowhere, user: 0 };
    let env: Environment =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load_from(None, &env, &places)
}

fn config((command, json): Asked, env: &[(&str, &str)]) -> Output {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code =
        run(&ConfigArgs { command }, json, || load(env), &mut out, &mut err).expect("written");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Output { code, out: text(out), err: text(err) }
}

/// A command, and whether programs read its answer.
type Asked = (ConfigCommand, bool);

const CHECK: Asked = (ConfigCommand::Check, false);
const CHECK_JSON: Asked = (ConfigCommand::Check, true);
const SHOW: Asked = (ConfigCommand::Show, false);
const SHOW_JSON: Asked = (ConfigCommand::Show, true);

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn check_of_a_good_configuration_is_0_and_tells_its_warnings() {
    let output = config(CHECK, &[("CERTGATE_IDENTITY__WEAK", "subject")]);
    assert_eq!(output.code, 0);
    assert_eq!(output.out, "ok: no file, only defaults and the environment\n");
    assert!(output.err.starts_with("warning: identity.issuers is empty while"), "{}", output.err);
    let output = config(CHECK_JSON, &[]);
    assert_eq!(
        json(&output.out),
        serde_json::json!({"ok": true, "file": null, "warnings": [], "revocation": null})
    );
}

#[test]
fn check_of_a_broken_configuration_is_2_with_every_problem() {
    let env = [("CERTGATE_AUTH__LISTN", "off"), ("CERTGATE_LOG__FORMAT", "xml")];
    let output = config(CHECK, &env);
    assert_eq!((output.code, output.out.as_str()), (2, ""));
    assert_eq!(output.err.lines().count(), 2, "{}", output.err);
    let output = config(CHECK_JSON, &env);
    assert_eq!(output.code, 2);
    let answer = json(&output.out);
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["problems"].as_array().expect("problems").len(), 2);
    assert_eq!(config(SHOW, &env).code, 2);
}

#[test]
fn show_gives_values_with_their_origin_and_no_password() {
    let env = [
        ("CERTGATE_DATABASE__URL", "postgres://alice:hunter2@db/certgate"),
        ("CERTGATE_PROXY__DIALECT", "django-x509"),
    ];
    let output = config(SHOW, &env);
    assert_eq!(output.code, 0);
    for line in [
        "database.url = \"postgres://alice:***@db/certgate\"  # CERTGATE_DATABASE__URL",
        "auth.listen = \"127.0.0.1:9180\"  # default",
        "identity.source = \"headers\"  # from proxy.dialect",
        "proxy.headers.subject = \"ssl-client-dn\"  # from proxy.dialect",
        "proxy.legacy_dn = false  # default",
        "# proxy.secret_file is not set",
    ] {
        assert!(output.out.lines().any(|shown| shown == line), "{line}\n{}", output.out);
    }
    assert!(!output.out.contains("hunter2"));
    let answer = json(&config(SHOW_JSON, &env).out);
    assert!(!answer.to_string().contains("hunter2"));
    let entry = &answer["keys"]["proxy.dialect"];
    assert_eq!(entry["value"], "django-x509");
    assert_eq!(entry["origin"], "CERTGATE_PROXY__DIALECT");
}

#[test]
fn what_show_prints_is_toml_that_loads() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("shown.toml");
    std::fs::write(&path, config(SHOW, &[]).out).expect("write");
    let nowhere = folder.path().join("nowhere.toml");
    let places = Places { system: nowhere.clone(), working: nowhere, user: 0 };
    let loaded = Config::load_from(Some(&path), &BTreeMap::new(), &places).expect("load");
    assert_eq!(loaded.config, load(&[]).expect("defaults").config);
}

#[test]
fn example_needs_no_configuration_at_all() {
    let command = ConfigCommand::Example { markdown: false };
    let output = config((command, false), &[("CERTGATE_AUTH__LISTN", "off")]);
    assert_eq!((output.code, output.out), (0, example()));
}

fn healthcheck(ops: &Listen, live: bool) -> Output {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let args = HealthcheckArgs { live };
    let question = healthcheck::run(&args, ops, &mut out, &mut err);
    let code = runtime.expect("runtime").block_on(question).expect("written");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Output { code, out: text(out), err: text(err) }
}

/// Answers one connection with `answer` and gives back the question.
fn answer_once<S: Read + Write>(mut stream: S, answer: &str) -> String {
    let mut question = [0; 1024];
    let count = stream.read(&mut question).expect("question");
    stream.write_all(answer.as_bytes()).expect("answer");
    String::from_utf8_lossy(&question[..count]).into_owned()
}

fn tcp() -> (TcpListener, Listen) {
    let server = TcpListener::bind("127.0.0.1:0").expect("bind");
    let listen = Listen::Tcp(server.local_addr().expect("address"));
    (server, listen)
}

#[test]
fn healthcheck_is_0_when_ready_1_when_not_and_prints_the_reason() {
    for (status, code) in [("200 OK", 0), ("503 Service Unavailable", 1), ("204 No Content", 1)] {
        let (server, listen) = tcp();
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n{{\"reason\":\"x\"}}");
        let served =
            std::thread::spawn(move || answer_once(server.accept().expect("accept").0, &answer));
        let output = healthcheck(&listen, false);
        assert_eq!((output.code, output.out.as_str()), (code, "{\"reason\":\"x\"}\n"), "{status}");
        assert!(served.join().expect("served").starts_with("GET /readyz HTTP/1.1\r\n"));
    }
}

#[test]
fn healthcheck_asks_a_unix_socket_and_for_life_only() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("ops.sock");
    let server = UnixListener::bind(&path).expect("bind");
    let served = std::thread::spawn(move || {
        answer_once(server.accept().expect("accept").0, "HTTP/1.1 200 OK\r\n\r\nfine\u{1b}")
    });
    let output = healthcheck(&Listen::Unix(path), true);
    assert_eq!((output.code, output.out.as_str()), (0, "fine\\u{1b}\n"));
    assert!(served.join().expect("served").starts_with("GET /healthz HTTP/1.1\r\n"));
}

#[test]
fn healthcheck_is_2_when_nobody_can_be_asked() {
    let (server, nobody) = tcp();
    drop(server);
    let port_zero = Listen::Tcp("127.0.0.1:0".parse().expect("address"));
    let missing = Listen::Unix(PathBuf::from("/nonexistent/ops.sock"));
    for listen in [nobody, port_zero, missing, Listen::Off] {
        let output = healthcheck(&listen, false);
        assert_eq!((output.code, output.out.as_str()), (2, ""), "{listen}");
        assert!(output.err.contains("cannot be asked"), "{}", output.err);
    }
    let (server, listen) = tcp();
    let served = std::thread::spawn(move || {
        answer_once(server.accept().expect("accept").0, "SSH-2.0-x\r\n")
    });
    assert_eq!(healthcheck(&listen, false).code, 2);
    served.join().expect("served");
}

#[test]
fn healthcheck_does_not_wait_for_ever() {
    // Accepted by the kernel, never answered.
    let (_server, listen) = tcp();
    let start = Instant::now();
    let output = healthcheck(&listen, false);
    assert_eq!(output.code, 2);
    assert!(output.err.contains("no answer within 2 seconds"), "{}", output.err);
    assert!(start.elapsed() < HEALTHCHECK_TIMEOUT * 3);
}
