//! Everything the demo runs: certificates, certgate, the application, nginx, and alice and carol
//! in the database.
//!
//! It must not use anything but what an operator has: the shipped files, the configuration file,
//! the commands of `certgate`.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::application::Application;
use super::client::{Caller, TlsVersion};
use super::pki::Pki;
use super::shipped::{self, Fitting};
use super::workshop::Workshop;
use super::{Say, programs};

/// The installed programs, and this one.
#[derive(Debug)]
pub struct Tools {
    /// This program: the service and the commands of the demo are the real ones.
    pub certgate: PathBuf,
    /// nginx.
    pub nginx: PathBuf,
    /// openssl.
    pub openssl: PathBuf,
}

/// The running demo.
#[derive(Debug)]
pub struct Scene<'a> {
    workshop: &'a Workshop,
    tools: &'a Tools,
    /// The certificates.
    pub pki: Pki,
    /// The application behind nginx.
    pub application: Application,
    /// Where nginx listens.
    pub address: SocketAddr,
    config: PathBuf,
}

impl<'a> Scene<'a> {
    /// Builds it all up in the workshop's folder and waits until nginx answers.
    ///
    /// # Errors
    /// Says which step failed, with the words of the program that failed.
    pub fn build(workshop: &'a Workshop, tools: &'a Tools, say: Say) -> Result<Self> {
        say("Making a throw-away PKI with openssl ...");
        let pki = Pki::make(workshop, &tools.openssl)?;
        let application = Application::start().context("start the application")?;
        let mut scene = Self {
            workshop,
            tools,
            pki,
            application,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            config: workshop.folder().join("certgate.toml"),
        };
        let mut attempt = 1;
        // A free port can be taken between the look and the start; another try takes others.
        while let Err(error) = scene.start(attempt, say) {
            let port_was_taken = error.to_string().contains("in use");
            if attempt == START_ATTEMPTS || !port_was_taken {
                return Err(error);
            }
            workshop.stop("nginx");
            workshop.stop("certgate");
            attempt += 1;
        }
        Ok(scene)
    }

    /// Runs a command of certgate as an operator would, and shows it.
    ///
    /// # Errors
    /// The command fails; its words are in the error.
    pub fn operate(&self, say: Say, arguments: &[&str]) -> Result<()> {
        say(&format!("  $ certgate {}", shown(arguments)));
        let mut command = programs::certgate(&self.tools.certgate, &self.config);
        command.current_dir(self.workshop.folder().join("pki")).args(arguments);
        self.workshop.run(&mut command).map(drop)
    }

    /// A caller of nginx with this person's certificate, or none.
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn caller(&self, person: Option<&str>, version: TlsVersion) -> Result<Caller> {
        let credentials = person.map(|person| self.pki.credentials(person)).transpose()?;
        Caller::new(self.address, &self.pki.file("ca.pem"), credentials, version)
    }

    /// nginx's access log.
    #[must_use]
    pub fn access_log(&self) -> PathBuf {
        self.workshop.folder().join("logs/access.log")
    }

    /// The configuration file of the demo's certgate.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    fn start(&mut self, attempt: u32, say: Say) -> Result<()> {
        let [listen, auth, ops] = free_addresses()?;
        let database = self.workshop.folder().join("certgate.db");
        let config = format!(
            "[database]\nurl = \"sqlite://{}\"\n\n[auth]\nlisten = \"{auth}\"\n\n\
             [ops]\nlisten = \"{ops}\"\n",
            database.display()
        );
        fs::write(&self.config, config).context("write certgate.toml")?;
        if attempt == 1 {
            say("Making the database and two users ...");
            self.people(say)?;
        }
        say("Starting certgate, the application, and nginx with the shipped files ...");
        let mut serve = programs::certgate(&self.tools.certgate, &self.config);
        self.workshop.spawn("certgate", serve.current_dir(self.workshop.folder()).arg("serve"))?;
        self.workshop.wait_for("certgate", || ask_readyz(ops))?;
        self.address = listen;
        self.start_nginx(auth)
    }

    fn people(&self, say: Say) -> Result<()> {
        self.operate(say, &["migrate"])?;
        let alice = ["--name", "Alice Dupont", "--email", "alice@example.com"];
        let alice = [&["user", "add", "alice"][..], &alice, &["--group", "ops"]].concat();
        self.operate(say, &alice)?;
        self.operate(say, &["mapping", "add", "alice", "--cert", "alice.pem"])?;
        self.operate(say, &["user", "add", "carol", "--group", "guests"])?;
        self.operate(say, &["mapping", "add", "carol", "--cert", "carol.pem"])
    }

    fn start_nginx(&self, auth: SocketAddr) -> Result<()> {
        let folder = self.workshop.folder();
        let fitting = Fitting {
            listen: self.address,
            auth: auth.to_string(),
            application: self.application.address(),
            // Nothing of the demo speaks FastCGI; the port is the application's, so that it is
            // not a stranger's.
            fastcgi: self.application.address(),
            server_certificate: self.pki.file("server.pem"),
            server_key: self.pki.file("server.key"),
            client_ca: self.pki.file("ca.pem"),
        };
        let site = shipped::example_site(folder, &fitting)?;
        shipped::lay_out(folder, &fitting, &[("example.conf", site)])?;
        let nginx = || programs::nginx(&self.tools.nginx, folder);
        self.workshop.run(nginx().arg("-t")).context("nginx refuses its configuration")?;
        self.workshop.spawn("nginx", &mut nginx())?;
        // The handshake checks that it is our nginx that answers on this port.
        let caller = self.caller(None, TlsVersion::Tls13)?;
        self.workshop.wait_for("nginx", || caller.connect().map(drop))
    }
}

fn ask_readyz(ops: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&ops, ASK_TIMEOUT)?;
    stream.set_read_timeout(Some(ASK_TIMEOUT))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    ensure!(&status == b"HTTP/1.1 200", "/readyz: {}", String::from_utf8_lossy(&status));
    Ok(())
}

/// Three addresses that were free a moment ago; taken together, so that they differ.
fn free_addresses() -> Result<[SocketAddr; 3]> {
    let bind = || TcpListener::bind(("127.0.0.1", 0)).context("find a free port");
    let [a, b, c] = [bind()?, bind()?, bind()?];
    Ok([a.local_addr()?, b.local_addr()?, c.local_addr()?])
}

fn shown(arguments: &[&str]) -> String {
    let quote = |argument: &&str| match argument.contains(' ') {
        true => format!("\"{argument}\""),
        false => (*argument).to_owned(),
    };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// The service's answer comes from memory.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// Each with other ports.
const START_ATTEMPTS: u32 = 3;

/// The command line with which an operator speaks to the demo's database.
#[must_use]
pub fn by_hand(tools: &Tools, config: &Path) -> String {
    let command = Command::new(&tools.certgate);
    format!("{} --config {}", command.get_program().to_string_lossy(), config.display())
}
