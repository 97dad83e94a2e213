//! A real nginx with the shipped files, an application behind it, and everything in a folder that
//! goes away. It runs as an ordinary process, as root and as an ordinary user alike.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use certgate::cli::demo::application::Application;
use certgate::cli::demo::client::{Caller, TlsVersion};
use certgate::cli::demo::programs;
use certgate::cli::demo::shipped::{self, Fitting};
use certgate::cli::demo::workshop::Workshop;

use super::certgate::free_addresses;
use super::fastcgi::FastCgi;
use super::pki::{Issuer, Leaf};

/// Which site nginx serves.
pub(crate) enum Site {
    /// The shipped one of the admin API, whose socket is there.
    Admin(PathBuf),
    /// The shipped example.
    Example,
    /// The shipped one that only observes.
    Observe,
    /// The lines of a server of the test's own, behind the same `listen` and `ssl_` lines as in
    /// the example. `{app}` and `{fastcgi}` stand for the applications' addresses.
    Own(&'static str),
}

/// A running nginx.
pub(crate) struct Nginx {
    workshop: Workshop,
    fitting: Fitting,
    server_ca: PathBuf,
    /// The application behind `proxy_pass`.
    pub(crate) application: Application,
    /// The application behind `fastcgi_pass`.
    pub(crate) fastcgi: FastCgi,
}

impl Nginx {
    /// Starts nginx in front of the auth listener and waits until it answers.
    pub(crate) fn start(site: &Site, auth: SocketAddr, client_ca: &Issuer) -> Self {
        Self::start_changed(site, auth, client_ca, |_| {})
    }

    /// As [`Nginx::start`]; `change` may edit the files in the folder before nginx reads them.
    pub(crate) fn start_changed(
        site: &Site,
        auth: SocketAddr,
        client_ca: &Issuer,
        change: impl Fn(&Path),
    ) -> Self {
        let mut attempt = 1;
        loop {
            // A free port can be taken between the look and the start.
            match Self::try_start(site, auth, client_ca, &change) {
                Ok(nginx) => return nginx,
                Err(error) => assert!(attempt < 3, "{error:#}"),
            }
            attempt += 1;
        }
    }

    fn try_start(
        site: &Site,
        auth: SocketAddr,
        client_ca: &Issuer,
        change: &impl Fn(&Path),
    ) -> anyhow::Result<Self> {
        let workshop = Workshop::open("certgate-nginx")?;
        let folder = workshop.folder().to_owned();
        let own = Issuer::root(&folder.join("pki"), "Server CA");
        let server = own.issue("server", Leaf::server());
        let (application, fastcgi) = (Application::start()?, FastCgi::start());
        let [listen] = free_addresses();
        let fitting = Fitting {
            listen,
            auth: auth.to_string(),
            application: application.address(),
            fastcgi: fastcgi.address(),
            server_certificate: server.pem,
            server_key: server.key,
            client_ca: client_ca.pem.clone(),
        };
        let text = match site {
            Site::Admin(socket) => shipped::admin_site(&folder, &fitting, socket)?,
            Site::Example => shipped::example_site(&folder, &fitting)?,
            Site::Observe => shipped::observe_site(&folder, &fitting)?,
            Site::Own(lines) => own_site(&folder, &fitting, lines)?,
        };
        shipped::lay_out(&folder, &fitting, &[("site.conf", text)])?;
        change(&folder);
        let program = programs::find("nginx").expect("nginx is installed");
        workshop.run(programs::nginx(&program, &folder).arg("-t"))?;
        workshop.spawn("nginx", &mut programs::nginx(&program, &folder))?;
        let server_ca = own.pem;
        let caller = Caller::new(listen, &server_ca, None, TlsVersion::Tls12)?;
        workshop.wait_for("nginx", || caller.connect().map(drop))?;
        Ok(Self { workshop, fitting, server_ca, application, fastcgi })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.fitting.listen
    }

    /// The issuer of nginx's own certificate.
    pub(crate) fn server_ca(&self) -> &Path {
        &self.server_ca
    }

    /// What nginx warned of, or worse, while it started.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let text = fs::read_to_string(self.workshop.folder().join("logs/error.log")).unwrap();
        let serious = ["[warn]", "[error]", "[crit]", "[alert]", "[emerg]"];
        let lines = text.lines().filter(|line| serious.iter().any(|word| line.contains(word)));
        lines.map(str::to_owned).collect()
    }

    /// What nginx logged for this request line's path, once it has.
    pub(crate) fn logged(&self, path: &str) -> LogLine {
        let request = format!(" {path} HTTP/1.1\"");
        let log = self.workshop.folder().join("logs/access.log");
        let start = Instant::now();
        loop {
            let text = fs::read_to_string(&log).unwrap_or_default();
            if let Some(line) = text.lines().find(|line| line.contains(&request)) {
                return LogLine(line.to_owned());
            }
            assert!(start.elapsed() < LOG_DEADLINE, "no {path} in {text}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A line in the shipped log format.
#[derive(Debug)]
pub(crate) struct LogLine(String);

impl LogLine {
    /// certgate's code.
    pub(crate) fn code(&self) -> &str {
        self.field("code=")
    }

    /// Whether the TLS session was resumed.
    pub(crate) fn resumed(&self) -> bool {
        self.field("resumed=") == "r"
    }

    /// The request id.
    pub(crate) fn request_id(&self) -> &str {
        self.field("request_id=")
    }

    /// The user; `-` for nobody.
    pub(crate) fn user(&self) -> &str {
        self.0.split(' ').nth(2).unwrap()
    }

    fn field(&self, name: &str) -> &str {
        self.0.split(' ').find_map(|word| word.strip_prefix(name)).unwrap()
    }
}

/// The head of the example site, up to its first location, and the given lines.
fn own_site(folder: &Path, fitting: &Fitting, lines: &str) -> anyhow::Result<String> {
    let example = shipped::example_site(folder, fitting)?;
    let (head, _) = example.split_once("    include snippets/certgate-ask.conf;").unwrap();
    let lines = lines
        .replace("{app}", &fitting.application.to_string())
        .replace("{fastcgi}", &fitting.fastcgi.to_string());
    Ok(format!("{head}{lines}\n}}\n"))
}

/// nginx writes its log when a request ends, a moment after the client has the answer.
const LOG_DEADLINE: Duration = Duration::from_secs(5);
