//! `deploy/fetch-crl`: what verifies is moved into place, everything else changes nothing.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use super::support::certgate::program;
use super::support::pki::Issuer;

/// A web server that always has the same file to give.
struct Publisher {
    address: String,
    body: Arc<Mutex<Vec<u8>>>,
}

impl Publisher {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let body = Arc::new(Mutex::new(Vec::new()));
        let given = Arc::clone(&body);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                let body = given.lock().unwrap().clone();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let answer = [head.as_bytes(), &body].concat();
                reader.get_mut().write_all(&answer).unwrap();
            }
        });
        Self { address, body }
    }

    fn publish(&self, bytes: &[u8]) {
        *self.body.lock().unwrap() = bytes.to_vec();
    }
}

struct World {
    folder: tempfile::TempDir,
    ca: Issuer,
    publisher: Publisher,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Issuer::root(&folder.path().join("ca"), "Example CA");
        let publisher = Publisher::start();
        fs::create_dir(folder.path().join("crls")).unwrap();
        let list = format!("# one\n\nexample.crl {}/ca.crl\n", publisher.address);
        fs::write(folder.path().join("list"), list).unwrap();
        let config = format!(
            "revocation.crl = [\"{}\"]\ntrust.anchors = [\"{}\"]\n",
            folder.path().join("crls").display(),
            ca.pem.display()
        );
        fs::write(folder.path().join("certgate.toml"), config).unwrap();
        Self { folder, ca, publisher }
    }

    fn fetch(&self) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/fetch-crl");
        Command::new(script)
            .args([self.folder.path().join("list"), self.folder.path().join("crls")])
            .env("CERTGATE", program())
            .env("CERTGATE_CONFIG", self.folder.path().join("certgate.toml"))
            .env_remove("http_proxy")
            .output()
            .unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("crls")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn a_list_that_verifies_is_put_in_place_and_nothing_else_is() {
    let world = World::new();
    let target = world.folder.path().join("crls/example.crl");
    let first = world.ca.list(5, &[&[0x11]]);
    world.publisher.publish(&first);
    let output = world.fetch();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read(&target).unwrap(), first);
    assert!(world.fetch().status.success(), "the same one again");
    let foreign = Issuer::root(&world.folder.path().join("foreign"), "Foreign CA");
    let twin = Issuer::root(&world.folder.path().join("twin"), "Example CA");
    let bad = [
        b"garbage".to_vec(),
        Vec::new(),
        first[..first.len() - 1].to_vec(),
        world.ca.list(4, &[]),
        foreign.list(9, &[]),
        twin.list(9, &[]),
    ];
    for bytes in bad {
        world.publisher.publish(&bytes);
        let output = world.fetch();
        assert_eq!(output.status.code(), Some(1), "{bytes:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("what was there stays"));
        assert_eq!(fs::read(&target).unwrap(), first);
        assert_eq!(world.files(), std::slice::from_ref(&target), "nothing is left lying about");
    }
    let next = world.ca.list(6, &[]);
    world.publisher.publish(&next);
    assert!(world.fetch().status.success());
    assert_eq!(fs::read(&target).unwrap(), next);
}

#[test]
fn names_that_lead_elsewhere_and_other_kinds_of_addresses_are_refused() {
    let world = World::new();
    for line in ["../a.crl http://127.0.0.1/", ".a http://127.0.0.1/", "a", "a file:///etc/passwd"]
    {
        fs::write(world.folder.path().join("list"), format!("{line}\n")).unwrap();
        assert_eq!(world.fetch().status.code(), Some(1), "{line}");
        assert!(world.files().is_empty(), "{line}");
    }
}

/// systemd itself says whether it understands them; it only warns of what it would ignore.
#[test]
fn systemd_understands_the_shipped_units() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let folder = tempfile::tempdir().unwrap();
    let units: Vec<PathBuf> = fs::read_dir(deploy)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|kind| ["service", "timer", "socket"].iter().any(|k| kind == *k))
        })
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            // The programs are not installed where the tests run; their arguments stay.
            let lines = text.lines().map(|line| match line.strip_prefix("ExecStart=/") {
                Some(command) => {
                    format!(
                        "ExecStart=/bin/true {}\n",
                        command.split_once(' ').map_or("", |it| it.1)
                    )
                }
                None => format!("{line}\n"),
            });
            let copy = folder.path().join(path.file_name().unwrap());
            fs::write(&copy, lines.collect::<String>()).unwrap();
            copy
        })
        .collect();
    assert!(units.len() >= 2, "{units:?}");
    let verify = Command::new("systemd-analyze").args(["--man=no", "verify"]).args(&units).output();
    let Ok(output) = verify else {
        writeln!(std::io::stderr(), "skipped: systemd-analyze is not here").unwrap();
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
