//! Where administrators work: certgate with the API on a unix socket, asked as nginx asks.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::certgate::Certgate;
use super::database::{Database, Kind};
use super::pki::{Issued, Issuer};

use certgate::cli::demo::workshop::Workshop;

/// certgate with its API, and the people.
pub(crate) struct Office {
    pub(crate) certgate: Certgate,
    pub(crate) database: Database,
    pub(crate) ca: Issuer,
    /// An administrator.
    pub(crate) alice: Issued,
    /// Mapped, and no administrator.
    pub(crate) bob: Issued,
    /// In the administrators' group, and mapped by name only.
    pub(crate) carol: Issued,
    /// In the administrators' group, and let in by a rule only.
    pub(crate) mallory: Issued,
    socket: PathBuf,
    _folder: Workshop,
}

/// The only origin whose pages may ask.
pub(crate) const ORIGIN: &str = "https://certgate.example.com";

impl Office {
    pub(crate) fn open(kind: Kind) -> Self {
        Self::open_with(kind, "")
    }

    /// As [`Office::open`], with further lines for `certgate.toml`.
    pub(crate) fn open_with(kind: Kind, further: &str) -> Self {
        let office = Self::empty_with(kind, further);
        office.move_in();
        office
    }

    /// An office in which nobody is known yet.
    pub(crate) fn empty(kind: Kind) -> Self {
        Self::empty_with(kind, "")
    }

    fn empty_with(kind: Kind, further: &str) -> Self {
        let folder = Workshop::open("certgate-office").unwrap();
        let socket = folder.folder().join("admin.sock");
        let ca = Issuer::root(&folder.folder().join("ca"), "Example CA");
        let [alice, bob, carol, mallory] =
            ["alice", "bob", "carol", "mallory"].map(|name| ca.client(name));
        let database = Database::empty(kind);
        // An nginx that root starts works as nobody.
        let group = match nix::unistd::geteuid().is_root() {
            true => "admin.socket_group = \"nogroup\"\n",
            false => "",
        };
        let configuration = format!(
            "admin.listen = \"unix:{}\"\nadmin.origin = \"{ORIGIN}\"\n{group}{further}",
            socket.display()
        );
        let certgate = Certgate::start_on_with(&database, &configuration);
        Self { certgate, database, ca, alice, bob, carol, mallory, socket, _folder: folder }
    }

    fn move_in(&self) {
        let certgate = &self.certgate;
        certgate.run(&["user", "add", "alice", "--group", "certgate-admin", "--group", "ops"]);
        certgate.run(&["user", "add", "bob", "--group", "ops"]);
        certgate.run(&["user", "add", "carol", "--group", "certgate-admin"]);
        certgate.run(&["user", "add", "mallory", "--group", "certgate-admin"]);
        let map = |user: &str, certificate: &Issued, by: &str| {
            let file = certificate.alone.to_str().unwrap();
            certgate.run(&["mapping", "add", user, "--cert", file, "--by", by]);
        };
        map("alice", &self.alice, "sha256");
        map("bob", &self.bob, "sha256");
        map("carol", &self.carol, "issuer-subject");
        let rule = ["--username", "{subject.CN}", "--users", "existing"];
        let issuer = ["--issuer", self.ca.pem.to_str().unwrap()];
        let conditions = ["--conditions", r#"{"all":[{"attribute":"CN","equals":"mallory"}]}"#];
        certgate.run(&[&["rule", "add", "10"][..], &issuer, &rule, &conditions].concat());
        for who in [&self.alice, &self.bob, &self.carol] {
            certgate.wait_for_reason(who, "mapped");
        }
        certgate.wait_for_reason(&self.mallory, "rule");
    }

    /// Where the API listens.
    pub(crate) fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// Asks once.
    pub(crate) fn ask(&self, call: &Call) -> Answer {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // One that answers before it has read everything has answered all the same.
        let _ = stream.write_all(&call.bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::parse(&String::from_utf8_lossy(&answer))
    }

    /// Asks until the status is this one: what the gate knows comes a moment after the commit.
    pub(crate) fn ask_until(&self, call: &Call, status: u16) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.ask(call);
            if answer.status == status {
                return answer;
            }
            assert!(start.elapsed() < DEADLINE, "not {status}, but: {answer:?}");
        }
    }

    /// Everything that people can change, as text.
    pub(crate) fn state(&self) -> String {
        let tables = ["app_user", "user_group", "mapping", "block", "rule", "audit"];
        let certificates = "select sha256, origin, state from certificate \
             where origin = 'given' or state = 'ignored' order by 1;";
        let mut state = self.database.sql(certificates);
        for table in tables {
            state.push_str(&self.database.sql(&format!("select * from {table} order by 1, 2;")));
        }
        state
    }
}

/// A call to the API.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Call {
    /// Without any header that counts.
    pub(crate) fn bare(method: &str, path: &str) -> Self {
        let path = format!("/api/v1{path}");
        Self { method: method.to_owned(), path, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::bare("GET", path)
    }

    /// One that says that it was meant.
    pub(crate) fn meant(method: &str, path: &str) -> Self {
        Self::bare(method, path).header("X-Certgate-Request", "1")
    }

    /// With the certificate, as nginx passes it.
    pub(crate) fn by(self, who: &Issued) -> Self {
        self.header("X-SSL-Client-Verify", "SUCCESS").header("X-SSL-Client-Cert", &who.escaped())
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self, value: &Value) -> Self {
        self.header("Content-Type", "application/json").body(value.to_string().as_bytes())
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// The same as a dry run.
    pub(crate) fn rehearsed(self) -> Self {
        self.asking("dry_run=true")
    }

    /// With a parameter in the query.
    pub(crate) fn asking(mut self, parameter: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(parameter);
        self
    }

    /// As it goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.method,
            self.path,
            self.body.len()
        );
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        [text.as_bytes(), &self.body].concat()
    }
}

/// What the API said.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (this, value) = line.split_once(':')?;
            this.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A change is seen within milliseconds; this is for a machine that is very busy.
const DEADLINE: Duration = Duration::from_secs(10);
