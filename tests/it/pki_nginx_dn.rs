//! Names and serials as a real nginx and a real OpenSSL print and compare them.
//!
//! These tests need `nginx` and `openssl` installed, and fail without them.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use certgate::pki::{Certificate, DistinguishedName, SerialNumber, SlashForm};
use rcgen::KeyPair;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SignatureScheme, StreamOwned};

use self::corpus::{hostile_names, look_alikes};
use self::forge::Forge;

mod corpus;
#[path = "../../src/pki/forge.rs"]
pub(crate) mod forge;

#[test]
fn every_hostile_subject_prints_as_nginx_prints_it() {
    let key = KeyPair::generate().unwrap();
    let nginx = Nginx::start();
    let mut agreed = 0;
    for (what, subject) in hostile_names() {
        let forge = Forge { subject: subject.clone(), issuer: subject, ..Forge::default() };
        let der = forge.der(&key);
        let ours = Certificate::from_der(&der);
        let Some(seen) = nginx.sees(&der, &key) else {
            assert_eq!(ours.is_ok(), ONLY_OURS.contains(&what), "{what}: {ours:?}");
            continue;
        };
        assert_eq!(ours.is_err(), ONLY_OPENSSL.contains(&what), "{what}: {ours:?}");
        let Ok(ours) = ours else { continue };
        assert_eq!(ours.subject.to_string(), seen.subject, "{what}");
        assert_eq!(ours.issuer.to_string(), seen.issuer, "{what}");
        let pem = percent_encoding::percent_decode_str(&seen.escaped_certificate);
        assert_eq!(Certificate::from_pem(&pem.collect::<Vec<_>>()).as_ref(), Ok(&ours), "{what}");
        assert_reads_back(what, &ours.subject, &seen.subject);
        agreed += 1;
    }
    assert!(agreed >= 60, "{agreed}");
}

/// What nginx prints must be read as the name it printed; only a NumericString cannot be told
/// from other strings in its text.
fn assert_reads_back(what: &str, name: &DistinguishedName, text: &str) {
    let read = DistinguishedName::parse(text, SlashForm::Refuse).unwrap();
    if what.contains("NumericString") {
        assert_ne!(&read, name, "{what}");
    } else {
        assert_eq!(&read, name, "{what}");
    }
    let exact = DistinguishedName::parse(&name.to_exact_text(), SlashForm::Refuse);
    assert_eq!(exact.as_ref(), Ok(name), "{what}");
}

#[test]
fn every_serial_prints_as_nginx_prints_it() {
    let key = KeyPair::generate().unwrap();
    let nginx = Nginx::start();
    for serial in [
        &[0x0A, 0x1B, 0x2C][..],
        &[0x00],
        &[0x01],
        &[0x0F],
        &[0x7F],
        &[0x00, 0x80],
        &[0x00, 0x80, 0x01],
        &[0x01, 0x00],
        &[0x10, 0x01],
        &[0xFB],
        &[0x80],
        &[0x80, 0x00],
        &[0xFF, 0x7F],
        &[0x00, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6, 0x07, 0x18],
        &[&[0x00, 0xFF][..], &[0x00; 18], &[0x01]].concat(),
        &[&[0x00][..], &[0xFF; 20]].concat(),
        &[&[0x00][..], &[0xFF; 21]].concat(),
        &[0x7F; 21],
        &[0x01; 35],
    ] {
        let der = Forge { serial: serial.to_vec(), ..Forge::default() }.der(&key);
        let seen = nginx.sees(&der, &key).unwrap();
        let ours = Certificate::from_der(&der).unwrap().serial;
        assert_eq!(ours.to_string(), seen.serial, "{serial:02x?}");
        assert_eq!(ours, SerialNumber::from_der(serial));
        assert_eq!(SerialNumber::parse(&seen.serial).is_err(), ours.is_odd(), "{serial:02x?}");
    }
    // OpenSSL breaks the line of a longer one with a backslash; one line is ours.
    let der = Forge { serial: vec![0x01; 40], ..Forge::default() }.der(&key);
    let seen = nginx.sees(&der, &key).unwrap();
    let ours = Certificate::from_der(&der).unwrap().serial;
    assert!(ours.is_odd());
    assert!(seen.serial.contains("\\\n"));
    assert_eq!(ours.to_string(), seen.serial.replace("\\\n", ""));
}

#[test]
fn names_are_equal_exactly_where_openssl_says_so() {
    let key = KeyPair::generate().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (what, subject) in hostile_names().into_iter().chain(look_alikes()) {
        let der = Forge { subject, ..Forge::default() }.der(&key);
        let Some(hash) = openssl(folder.path(), &der, &["-subject_hash"]) else {
            let ours = Certificate::from_der(&der);
            assert_eq!(ours.is_ok(), ONLY_OURS.contains(&what), "{what}: {ours:?}");
            continue;
        };
        let ours = Certificate::from_der(&der);
        assert_eq!(ours.is_err(), ONLY_OPENSSL.contains(&what), "{what}: {ours:?}");
        let Ok(Certificate { subject: ours, .. }) = ours else { continue };
        let printed = openssl(folder.path(), &der, &["-subject", "-nameopt", "RFC2253"]).unwrap();
        assert_eq!(printed, format!("subject={ours}"), "{what}");
        let spaced = openssl(folder.path(), &der, &["-subject", "-nameopt", "oneline"]).unwrap();
        let spaced = spaced.strip_prefix("subject=").unwrap();
        if !ours.is_empty() && !what.contains("NumericString") && !spaced.ends_with('=') {
            let read = DistinguishedName::parse(spaced, SlashForm::Refuse);
            assert_eq!(read.as_ref(), Ok(&ours), "{what}: {spaced}");
        }
        names.push((what, ours, hash));
    }
    let mut equal = 0;
    for (at, (what, name, hash)) in names.iter().enumerate() {
        for (other_what, other, other_hash) in names.iter().skip(at + 1) {
            assert_eq!(name == other, hash == other_hash, "{what} and {other_what}");
            equal += usize::from(name == other);
        }
    }
    assert!(equal >= 20, "{equal}");
}

/// What a certificate looks like to nginx.
#[derive(Debug)]
struct Seen {
    subject: String,
    issuer: String,
    escaped_certificate: String,
    serial: String,
}

/// An nginx of our own on a socket in a folder of our own; ends with the value.
struct Nginx {
    child: Child,
    folder: tempfile::TempDir,
    roots: RootCertStore,
}

impl Nginx {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let server = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(at.join("server.pem"), server.cert.pem()).unwrap();
        std::fs::write(at.join("server.key"), server.signing_key.serialize_pem()).unwrap();
        std::fs::write(at.join("nginx.conf"), CONFIGURATION).unwrap();
        let child = Command::new("nginx")
            .args(["-e", "error.log", "-p"])
            .arg(at)
            .args(["-c", "nginx.conf"])
            .env("PATH", SEARCH_PATH)
            .current_dir(at)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx must be installed");
        let mut roots = RootCertStore::empty();
        roots.add(server.cert.der().clone()).unwrap();
        let nginx = Self { child, folder, roots };
        let deadline = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(nginx.socket()).is_err() {
            let log = std::fs::read_to_string(nginx.folder.path().join("error.log"));
            assert!(Instant::now() < deadline, "nginx does not start: {log:?}");
            std::thread::yield_now();
        }
        nginx
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("socket")
    }

    /// Shows this certificate to nginx; `None` if the handshake fails.
    fn sees(&self, der: &[u8], key: &KeyPair) -> Option<Seen> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let private = provider.key_provider.load_private_key(private).unwrap();
        let shown = CertifiedKey::new(vec![CertificateDer::from(der.to_vec())], private);
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_client_cert_resolver(Arc::new(Shown(Arc::new(shown))));
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).ok()?;
        let mut answer = Vec::new();
        // A close without close_notify is an error of the read, and no matter here.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        let mut fields = body.splitn(4, '\n').map(str::to_owned);
        let mut field = || fields.next().unwrap();
        Some(Seen {
            subject: field(),
            issuer: field(),
            escaped_certificate: field(),
            serial: field(),
        })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows one certificate whatever the server asks for, and whatever is in it.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// What `openssl x509` prints of this certificate; `None` if it cannot read it.
fn openssl(folder: &Path, der: &[u8], arguments: &[&str]) -> Option<String> {
    let file = folder.join("certificate.der");
    std::fs::write(&file, der).unwrap();
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-inform", "DER", "-in"])
        .arg(&file)
        .args(arguments)
        .output()
        .expect("openssl must be installed");
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

/// One process, so that ending it ends all of it.
const CONFIGURATION: &str = r#"
daemon off;
master_process off;
pid nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen unix:socket ssl;
        ssl_certificate server.pem;
        ssl_certificate_key server.key;
        ssl_verify_client optional_no_ca;
        location / {
            return 200 "$ssl_client_s_dn
$ssl_client_i_dn
$ssl_client_escaped_cert
$ssl_client_serial";
        }
    }
}
"#;
/// Where distributions put nginx.
const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin";

/// Types of values that we read and OpenSSL does not: none of its proxies can ever show one, and
/// RFC 4514 text may name them.
const ONLY_OURS: &[&str] = &[
    "Visible",
    "boolean",
    "general string",
    "graphic string",
    "integer",
    "null",
    "octet string",
    "unknown type, octets",
    "utc time",
    "videotex string",
];
/// What OpenSSL reads and we do not: X.501 wants at least one attribute in a relative name.
const ONLY_OPENSSL: &[&str] = &["an empty SET"];
