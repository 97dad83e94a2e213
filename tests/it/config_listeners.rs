//! The listeners as the program opens them: bound, inherited, served and asked.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpServer, rt};
use certgate::cli::healthcheck::{self, HealthcheckArgs};
use certgate::config::{Config, Environment, Listen, Places};
use certgate::http::listener::{Address, Bound, Listeners, OpenError, Socket, open};
use certgate::http::metrics::Metrics;
use certgate::http::ops::{OpsState, Readiness, configure};
use listenfd::ListenFd;

fn config(env: &[(&str, &str)]) -> Config {
    let nowhere = PathBuf::from("/nonexistent/certgate.toml");
    let places = Places { system: nowhere.clone(), working: nowhere, user: 0 };
    let env: Environment =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load_from(None, &env, &places).expect("configuration").config
}

fn open_alone(config: &Config) -> Result<Listeners, OpenError> {
    open(config, &mut ListenFd::empty(), &Environment::new())
}

/// Serves the ops routes at `bound` and asks for readiness; gives the exit code and what was
/// printed.
fn ask_served(bound: Bound, ready: bool) -> (u8, String) {
    let state = OpsState {
        metrics: Metrics::new(&["mapped"], "0.0.0", Duration::ZERO),
        readiness: Arc::new(move || Readiness {
            ready,
            reason: (!ready).then_some("directory_stale"),
            details: serde_json::Value::Null,
        }),
    };
    let listen = match &bound.address {
        Address::Tcp(address) => Listen::Tcp(*address),
        Address::Unix(path) => Listen::Unix(path.clone().expect("a path")),
    };
    rt::System::new().block_on(async move {
        let app = move || {
            let state = state.clone();
            App::new().configure(move |cfg| configure(cfg, state))
        };
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = match bound.socket {
            Socket::Tcp(socket) => server.listen(socket),
            Socket::Unix(socket) => server.listen_uds(socket),
        };
        let server = server.expect("listen").run();
        let handle = server.handle();
        let served = rt::spawn(server);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = HealthcheckArgs { live: false };
        let code = healthcheck::run(&args, &listen, &mut out, &mut err).await.expect("written");
        handle.stop(true).await;
        served.await.expect("joined").expect("served");
        drop(bound.file);
        (code, String::from_utf8(out).expect("UTF-8"))
    })
}

#[test]
fn healthcheck_agrees_with_a_real_server_on_tcp_and_on_a_unix_socket() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("ops.sock");
    let unix = format!("unix:{}", path.display());
    for place in ["127.0.0.1:0", &unix] {
        for (ready, code, reason) in [(true, 0, "null"), (false, 1, "\"directory_stale\"")] {
            let env = [("CERTGATE_AUTH__LISTEN", "off"), ("CERTGATE_OPS__LISTEN", place)];
            let listeners = open_alone(&config(&env)).expect("open");
            assert!(listeners.auth.is_none() && listeners.admin.is_none());
            let (exit, printed) = ask_served(listeners.ops.expect("ops"), ready);
            assert_eq!(exit, code, "{place}");
            let expected = format!("{{\"details\":null,\"ready\":{ready},\"reason\":{reason}}}\n");
            assert_eq!(printed, expected, "{place}");
            assert!(!path.exists(), "the socket is removed when the listener ends");
        }
    }
}

#[test]
fn a_second_program_at_the_same_place_is_refused_and_the_first_goes_on() {
    let first = config(&[
        ("CERTGATE_AUTH__LISTEN", "127.0.0.1:0"),
        ("CERTGATE_OPS__LISTEN", "127.0.0.1:0"),
    ]);
    let first = open_alone(&first).expect("open");
    let Address::Tcp(taken) = first.auth.expect("auth").address else { panic!("TCP") };
    // The socket was dropped with `auth`; hold the port as another program would.
    let _other = TcpListener::bind(taken).expect("bind");
    let taken = taken.to_string();
    let second = config(&[
        ("CERTGATE_AUTH__LISTEN", taken.as_str()),
        ("CERTGATE_OPS__LISTEN", "127.0.0.1:0"),
    ]);
    let error = open_alone(&second).expect_err("taken").to_string();
    assert_eq!(error, format!("auth.listen: {taken} is in use by another process"));
}

/// The variable that carries the configuration's `auth.listen` to the inheriting child.
const CHILD: &str = "CHILD_OF_CONFIG_LISTENERS";

/// What a child process makes of a socket that it inherits as file descriptor 3: one line.
fn child_with(socket: OwnedFd, names: &str, auth: &str, secret: Option<&Path>) -> String {
    let test = std::env::current_exe().expect("this test");
    let mut command = Command::new("sh");
    command
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null"])
        .arg(test)
        .args(["--exact", "--ignored", "--nocapture", "config_listeners::child_that_inherits"])
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", names)
        .env(CHILD, auth)
        .stdin(Stdio::from(socket));
    if let Some(path) = secret {
        command.env("CERTGATE_PROXY__SECRET_FILE", path);
    }
    let output = command.output().expect("child");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let line = text.lines().find_map(|line| line.split_once("child: "));
    line.unwrap_or_else(|| panic!("{text}")).1.to_owned()
}

#[test]
#[ignore = "runs only as the child of the tests below"]
fn child_that_inherits() {
    let Some(auth) = std::env::vars().find(|(name, _)| name == CHILD) else { return };
    let env = certgate::config::environment();
    let secret = env.get("CERTGATE_PROXY__SECRET_FILE");
    let mut settings = vec![("CERTGATE_AUTH__LISTEN", auth.1.as_str())];
    settings.push(("CERTGATE_OPS__LISTEN", "off"));
    settings.extend(secret.map(|path| ("CERTGATE_PROXY__SECRET_FILE", path.as_str())));
    match open(&config(&settings), &mut ListenFd::from_env(), &env) {
        Ok(listeners) => {
            let auth = listeners.auth.map(|bound| bound.address.to_string());
            println!("child: auth={auth:?} ops={}", listeners.ops.is_some());
        }
        Err(error) => println!("child: {error}"),
    }
}

fn tcp_at(address: &str) -> (OwnedFd, SocketAddr) {
    let socket = TcpListener::bind(address).expect("bind");
    let address = socket.local_addr().expect("address");
    (socket.into(), address)
}

#[test]
fn an_inherited_socket_is_used_instead_of_the_configured_place() {
    for names in ["auth", "certgate.socket", ""] {
        let (socket, address) = tcp_at("127.0.0.1:0");
        let said = child_with(socket, names, "127.0.0.1:1", None);
        assert_eq!(said, format!("auth=Some(\"{address}\") ops=false"), "{names:?}");
    }
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("auth.sock");
    let socket = UnixListener::bind(&path).expect("bind");
    let said = child_with(socket.into(), "auth", "127.0.0.1:1", None);
    assert_eq!(said, format!("auth=Some(\"unix:{}\") ops=false", path.display()));
    assert!(path.exists(), "an inherited socket's file is the service manager's");
}

#[test]
fn an_inherited_socket_open_to_the_network_is_refused_without_a_check_of_who_asks() {
    let (socket, address) = tcp_at("0.0.0.0:0");
    let said = child_with(socket, "auth", "127.0.0.1:1", None);
    assert!(said.contains(&format!("{address} can be reached from other machines")), "{said}");
    let secret = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(secret.path(), "0123456789abcdef").expect("write");
    let (socket, address) = tcp_at("0.0.0.0:0");
    let said = child_with(socket, "auth", "127.0.0.1:1", Some(secret.path()));
    assert_eq!(said, format!("auth=Some(\"{address}\") ops=false"));
}

#[test]
fn a_socket_inherited_for_a_listener_that_is_off_is_refused() {
    let (socket, _) = tcp_at("127.0.0.1:0");
    let said = child_with(socket, "ops", "127.0.0.1:0", None);
    assert_eq!(said, "ops.listen is off, and a socket was inherited for it");
}

#[test]
fn an_inherited_descriptor_that_is_no_listener_is_refused() {
    let file = std::fs::File::open("/dev/null").expect("open");
    let said = child_with(file.into(), "auth", "127.0.0.1:0", None);
    assert_eq!(said, "the inherited socket 0 is neither a TCP nor a unix stream socket");
}
