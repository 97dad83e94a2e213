//! The shipped files of other proxies, each run by the real program, in front of the real certgate.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use certgate::cli::demo::application::Application;
use certgate::cli::demo::client::{Answer, Caller, Credentials, TlsVersion};
use certgate::cli::demo::programs;
use certgate::cli::demo::shipped::{self, Fitting};
use certgate::cli::demo::workshop::Workshop;
use rcgen::SanType;

use super::certgate::{Certgate, free_addresses};
use super::pki::{Issued, Issuer, Leaf};

/// What the proxies show certgate.
pub(crate) const SECRET: &str = "a-secret-of-the-tests-0123456789";

/// The name of the shipped sites.
pub(crate) const APP: &str = "app.example.com";
/// The name of a site beside it that asks for no certificate.
pub(crate) const OTHER: &str = "other.example.com";

/// A terminator in front of an nginx that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terminator {
    /// `deploy/proxies/apache.conf`.
    Apache,
    /// `deploy/proxies/haproxy.cfg`.
    Haproxy,
}

/// Who verifies the client's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verifies {
    Certgate,
    Proxy,
}

/// The people, certgate and the programs in front of it. Fields are dropped in their order.
pub(crate) struct Proxied {
    workshop: Workshop,
    /// Where clients come.
    pub(crate) front: SocketAddr,
    /// Where the nginx listens that stands behind; the front itself for Caddy.
    pub(crate) behind: SocketAddr,
    /// Behind all of them.
    pub(crate) application: Application,
    /// The service.
    pub(crate) certgate: Certgate,
    /// Mapped; in ops and staff.
    pub(crate) alice: Issued,
    /// Valid and unmapped.
    pub(crate) bob: Issued,
    /// From an issuer that no proxy knows.
    pub(crate) mallory: Issued,
    /// The issuer that the proxies know.
    pub(crate) ca: Issuer,
    server_ca: PathBuf,
}

impl Proxied {
    /// The terminator, an nginx behind it, and certgate.
    pub(crate) fn behind(terminator: Terminator) -> Self {
        Self::start(|| {
            let proxied = Self::new(
                match terminator {
                    Terminator::Apache => "apache",
                    Terminator::Haproxy => "haproxy",
                },
                Verifies::Proxy,
            );
            proxied.start_nginx()?;
            match terminator {
                Terminator::Apache => proxied.start_apache()?,
                Terminator::Haproxy => proxied.start_haproxy()?,
            }
            Ok(proxied)
        })
    }

    /// Caddy, which asks by itself.
    pub(crate) fn caddy() -> Self {
        Self::start(|| {
            let proxied = Self::new("rfc9440", Verifies::Proxy);
            proxied.start_caddy("Caddyfile")?;
            Ok(proxied)
        })
    }

    /// Caddy, which asks by itself and verifies nothing.
    pub(crate) fn caddy_unverified() -> Self {
        Self::start(|| {
            let proxied = Self::new("caddy", Verifies::Certgate);
            proxied.start_caddy("caddy-own.Caddyfile")?;
            Ok(proxied)
        })
    }

    /// Certgate alone, as Traefik would ask it.
    pub(crate) fn traefik_unrun() -> Self {
        Self::new("traefik", Verifies::Certgate)
    }

    /// A free port can be taken between the look and the start: then all of it is tried again.
    fn start(attempt: impl Fn() -> Result<Self>) -> Self {
        for _ in 0..2 {
            if let Ok(proxied) = attempt() {
                return proxied;
            }
        }
        attempt().unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn new(dialect: &str, verifies: Verifies) -> Self {
        let workshop = Workshop::open("certgate-proxies").unwrap();
        let folder = workshop.folder().to_owned();
        let secret = folder.join("proxy-secret");
        fs::write(&secret, SECRET).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let ca = Issuer::root(&folder.join("ca"), "Example CA");
        let trust = match verifies {
            Verifies::Certgate => {
                format!("trust.mode = \"own\"\ntrust.anchors = [\"{}\"]\n", ca.pem.display())
            }
            Verifies::Proxy => String::new(),
        };
        let certgate = Certgate::start_with(&format!(
            "proxy.dialect = \"{dialect}\"\nproxy.secret_file = \"{}\"\n{trust}",
            secret.display()
        ));
        let [alice, bob] = ["alice", "bob"].map(|name| ca.client(name));
        let mallory = Issuer::root(&folder.join("foreign"), "Foreign CA").client("mallory");
        let server_issuer = Issuer::root(&folder.join("server"), "Server CA");
        let names = [APP, OTHER].map(|name| SanType::DnsName(name.try_into().unwrap()));
        let loopback = SanType::IpAddress([127, 0, 0, 1].into());
        let names = names.into_iter().chain([loopback]).collect();
        let server = server_issuer.issue("server", Leaf::server().names(names));
        let both = format!("{}{}", server.text, fs::read_to_string(&server.key).unwrap());
        fs::write(folder.join("server/both.pem"), both).unwrap();
        certgate.run(&["user", "add", "alice", "--group", "staff", "--group", "ops"]);
        certgate.run(&["mapping", "add", "alice", "--cert", path(&alice.alone)]);
        let [front, behind] = free_addresses();
        Self {
            workshop,
            front,
            behind,
            application: Application::start().unwrap(),
            certgate,
            alice,
            bob,
            mallory,
            ca,
            server_ca: server_issuer.pem,
        }
    }

    fn folder(&self) -> &Path {
        self.workshop.folder()
    }

    fn start_nginx(&self) -> Result<()> {
        let folder = self.folder().join("nginx");
        fs::create_dir_all(&folder).unwrap();
        let fitting = Fitting {
            listen: self.behind,
            auth: self.certgate.auth().to_string(),
            application: self.application.address(),
            fastcgi: self.application.address(),
            server_certificate: PathBuf::from("/unused"),
            server_key: PathBuf::from("/unused"),
            client_ca: PathBuf::from("/unused"),
        };
        let site = fitted(
            "nginx-behind.conf",
            &[
                ("127.0.0.1:8080", &self.behind.to_string()),
                ("127.0.0.1:8000", &self.application.address().to_string()),
                ("/var/log/nginx/app.access.log", path(&folder.join("logs/access.log"))),
            ],
        );
        shipped::lay_out(&folder, &fitting, &[("behind.conf", site)]).unwrap();
        let ask = fitted("certgate-ask-behind.conf", &[]);
        fs::write(folder.join("snippets/certgate-ask-behind.conf"), ask).unwrap();
        let program = program("nginx");
        self.workshop.run(programs::nginx(&program, &folder).arg("-t"))?;
        // The check has made the file too.
        fs::remove_file(folder.join("nginx.pid"))?;
        self.workshop.spawn("nginx", &mut programs::nginx(&program, &folder))?;
        // nginx writes this file once the port is its own, and not somebody else's.
        let own = || Ok(fs::metadata(folder.join("nginx.pid")).map(drop)?);
        self.workshop.wait_for("nginx", own)
    }

    fn start_haproxy(&self) -> Result<()> {
        let file = self.write(
            "haproxy.cfg",
            &[
                ("bind :443", &format!("bind {}", self.front)),
                ("/etc/haproxy/tls/server.pem", path(&self.folder().join("server/both.pem"))),
                ("/etc/haproxy/tls/client-ca.pem", path(&self.ca.pem)),
                ("127.0.0.1:8080", &self.behind.to_string()),
            ],
        );
        let command = || {
            let mut command = Command::new(program("haproxy"));
            command.env("CERTGATE_SECRET", SECRET).arg("-f").arg(&file);
            command
        };
        self.workshop.run(command().arg("-c"))?;
        // -dR: never share a port with another HAProxy.
        self.workshop.spawn("haproxy", command().args(["-db", "-dR"]))?;
        self.wait_for_front("haproxy")
    }

    fn start_apache(&self) -> Result<()> {
        let folder = self.folder();
        let secret = folder.join("secret.conf");
        fs::write(&secret, format!("Define CERTGATE_SECRET \"{SECRET}\"\n")).unwrap();
        let site = fitted(
            "apache.conf",
            &[
                ("*:443", &self.front.to_string()),
                ("/etc/apache2/certgate-secret.conf", path(&secret)),
                ("/etc/apache2/tls/server.pem", path(&folder.join("server/server.alone.pem"))),
                ("/etc/apache2/tls/server.key", path(&folder.join("server/server.key"))),
                ("/etc/apache2/tls/client-ca.pem", path(&self.ca.pem)),
                ("127.0.0.1:8080", &self.behind.to_string()),
            ],
        );
        let modules = ["mpm_event", "authz_core", "ssl", "headers", "proxy", "proxy_http"];
        let mut text = format!(
            "ServerRoot {0}\nPidFile {0}/apache.pid\nErrorLog {0}/apache.error.log\n\
             ServerName localhost\nListen {1}\nSSLSessionCache none\n",
            path(folder),
            self.front
        );
        for module in modules {
            let file = format!("/usr/lib/apache2/modules/mod_{module}.so");
            text.push_str(&format!("LoadModule {module}_module {file}\n"));
        }
        let file = folder.join("apache.conf");
        fs::write(&file, text + &site).unwrap();
        let command = || {
            let mut command = Command::new(program("apache2"));
            command.arg("-f").arg(&file);
            command
        };
        self.workshop.run(command().arg("-t"))?;
        self.workshop.spawn("apache2", command().arg("-DFOREGROUND"))?;
        self.wait_for_front("apache2")
    }

    fn start_caddy(&self, file: &str) -> Result<()> {
        let folder = self.folder();
        let certificate = folder.join("server/server.alone.pem");
        let key = folder.join("server/server.key");
        // A certificate of the test's own and no other listener; the rest is the shipped file.
        let tls = format!("tls {} {} {{", path(&certificate), path(&key));
        let site = fitted(
            file,
            &[
                ("app.example.com {", &format!("https://app.example.com:{} {{", self.front.port())),
                ("tls {", &tls),
                ("127.0.0.1:9180", &self.certgate.auth().to_string()),
                ("127.0.0.1:8000", &self.application.address().to_string()),
            ],
        )
        .replace("/etc/caddy/client-ca.pem", path(&self.ca.pem));
        let file = folder.join("Caddyfile");
        // A second site that asks for no certificate: a way round the first one, were Caddy lax.
        let port = self.front.port();
        let other = format!(
            "https://{OTHER}:{port} {{\n\t{tls}\n\t}}\n\trespond \"open\"\n}}\n",
            tls = tls
        );
        let head = "{\n\tadmin off\n\tauto_https off\n}\n";
        fs::write(&file, format!("{head}{other}{site}")).unwrap();
        let command = |verb: &str| {
            let mut command = Command::new(program("caddy"));
            command.env("CERTGATE_SECRET", SECRET).env("HOME", folder).env("XDG_DATA_HOME", folder);
            command.env("XDG_CONFIG_HOME", folder).arg(verb).arg("--config").arg(&file);
            command.args(["--adapter", "caddyfile"]);
            command
        };
        self.workshop.run(&mut command("validate"))?;
        self.workshop.spawn("caddy", &mut command("run"))?;
        self.wait_for_front("caddy")
    }

    fn write(&self, name: &str, pairs: &[(&str, &str)]) -> PathBuf {
        let file = self.folder().join(name);
        fs::write(&file, fitted(name, pairs)).unwrap();
        file
    }

    /// Waits until the front answers with the certificate made here: it is ours, whatever else
    /// runs on this machine.
    fn wait_for_front(&self, name: &'static str) -> Result<()> {
        let caller = self.caller(Some(&self.alice), TlsVersion::Tls12);
        self.workshop.wait_for(name, || caller.connect().map(drop))
    }

    /// A caller of the front, with this certificate or none.
    pub(crate) fn caller(&self, certificate: Option<&Issued>, version: TlsVersion) -> Caller {
        let credentials =
            certificate.map(|issued| Credentials::read(&issued.pem, &issued.key).unwrap());
        Caller::new(self.front, &self.server_ca, credentials, version).unwrap()
    }

    /// One request over a connection of its own; `None` where the handshake fails.
    pub(crate) fn get(
        &self,
        certificate: Option<&Issued>,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Option<Answer> {
        let caller = self.caller(certificate, TlsVersion::Tls13);
        // In TLS 1.3 the client learns only by its first read that its certificate was refused.
        caller.connect().and_then(|mut session| session.get(target, headers)).ok()
    }

    /// One request to `https://<host>` by curl, which can name a host and follow its handshake:
    /// status, headers and body as text; empty where the handshake fails.
    pub(crate) fn curl(
        &self,
        certificate: Option<&Issued>,
        host: &str,
        target: &str,
        more: &[&str],
    ) -> String {
        let port = self.front.port();
        let mut command = Command::new(program("curl"));
        command.args(["--silent", "--include", "--max-time", "10", "--noproxy", "*"]);
        command.arg("--cacert").arg(&self.server_ca);
        for name in [APP, OTHER] {
            command.args(["--resolve", &format!("{name}:{port}:127.0.0.1")]);
        }
        if let Some(issued) = certificate {
            command.args(["--cert", path(&issued.pem), "--key", path(&issued.key)]);
        }
        command.args(more).arg(format!("https://{host}:{port}{target}"));
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).replace('\r', "")
    }
}

/// A shipped file with addresses and paths replaced; each of them has to be there.
pub(crate) fn fitted(name: &str, pairs: &[(&str, &str)]) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/proxies").join(name);
    let mut text = fs::read_to_string(file).unwrap();
    for (from, to) in pairs {
        assert!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, to);
    }
    text
}

fn program(name: &str) -> PathBuf {
    programs::find(name).unwrap_or_else(|| panic!("{name} is not installed; see tests/run"))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
