//! A small HTTPS client that can show a certificate, keep a session open and resume one.
//!
//! It must not check less than a browser: nginx's certificate has to come from the given issuer.
//! It speaks just enough HTTP/1.1 for nginx's answers, and sends heads exactly as they are given.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

/// A certificate with its chain, and its key.
#[derive(Debug)]
pub struct Credentials {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Credentials {
    /// Reads a PEM chain, leaf first, and a PEM key.
    ///
    /// # Errors
    /// Names the file that cannot be read.
    pub fn read(chain: &Path, key: &Path) -> Result<Self> {
        let key = PrivateKeyDer::from_pem_file(key)
            .with_context(|| format!("read the key {}", key.display()))?;
        Ok(Self { chain: read_chain(chain)?, key })
    }
}

/// Which TLS a caller speaks; sessions resume differently in the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2: session ids and tickets.
    Tls12,
    /// TLS 1.3: tickets after the handshake.
    Tls13,
}

/// One caller: what it trusts, what it shows, and the sessions it remembers.
#[derive(Debug, Clone)]
pub struct Caller {
    config: Arc<ClientConfig>,
    address: SocketAddr,
}

impl Caller {
    /// A caller that trusts `server_ca` and shows `credentials`, or no certificate at all.
    ///
    /// # Errors
    /// The PEM files cannot be read, or key and certificate do not fit.
    pub fn new(
        address: SocketAddr,
        server_ca: &Path,
        credentials: Option<Credentials>,
        version: TlsVersion,
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in read_chain(server_ca)? {
            roots.add(certificate).context("trust the issuer of nginx's certificate")?;
        }
        let versions = match version {
            TlsVersion::Tls12 => [&rustls::version::TLS12],
            TlsVersion::Tls13 => [&rustls::version::TLS13],
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .context("choose the TLS version")?
            .with_root_certificates(roots);
        let config = match credentials {
            Some(Credentials { chain, key }) => builder
                .with_client_auth_cert(chain, key)
                .context("use the client certificate and its key")?,
            None => builder.with_no_client_auth(),
        };
        Ok(Self { config: Arc::new(config), address })
    }

    /// Opens a connection and finishes the handshake; resumes an earlier session if it can.
    ///
    /// # Errors
    /// nginx does not listen, or the handshake fails.
    pub fn connect(&self) -> Result<Session> {
        let tcp = TcpStream::connect_timeout(&self.address, ANSWER_TIMEOUT)
            .with_context(|| format!("connect to {}", self.address))?;
        tcp.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        tcp.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        tcp.set_nodelay(true)?;
        let name = ServerName::from(self.address.ip());
        let tls = ClientConnection::new(Arc::clone(&self.config), name)?;
        let mut stream = StreamOwned::new(tls, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).context("TLS handshake")?;
        }
        Ok(Session { stream: BufReader::new(stream), host: self.address.to_string() })
    }
}

/// One open TLS connection; requests go through it one after the other.
#[derive(Debug)]
pub struct Session {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    host: String,
}

impl Session {
    /// Whether this connection resumed an earlier session instead of a full handshake.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.stream.get_ref().conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// A `GET` with further header lines, each as it is given.
    ///
    /// # Errors
    /// The connection is closed, or the answer is not HTTP.
    pub fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        self.send("GET", path, headers, &[])
    }

    /// A request with a body.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.send_raw(&bytes, if method == "HEAD" { Body::Never } else { Body::Expected })
    }

    /// Sends bytes as they are and reads one answer.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub fn send_raw(&mut self, bytes: &[u8], body: Body) -> Result<Answer> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).context("send the request")?;
        stream.flush().context("send the request")?;
        self.read_answer(body)
    }

    fn read_answer(&mut self, body: Body) -> Result<Answer> {
        let status_line = self.read_line()?;
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|digits| digits.parse::<u16>().ok())
            .ok_or_else(|| anyhow!("not an HTTP status line: {status_line:?}"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            ensure!(headers.len() < HEADERS_MAX, "too many headers in the answer");
            let (name, value) = line.split_once(':').context("a header without a colon")?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        // RFC 9110 section 6.4.1: these two never have a body, with or without a length.
        let has_body = !matches!(status, 204 | 304);
        if has_body && body == Body::Expected {
            answer.body = self.read_body(&answer)?;
        }
        Ok(answer)
    }

    fn read_body(&mut self, answer: &Answer) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if answer.header("Transfer-Encoding") == Some("chunked") {
            loop {
                let size = self.read_line()?;
                let size = u64::from_str_radix(&size, 16).context("a chunk's size")?;
                ensure!(size <= BODY_MAX_BYTES, "a chunk of {size} bytes is too large");
                self.read_exactly(size, &mut body)?;
                let end = self.read_line()?;
                ensure!(end.is_empty(), "a chunk does not end where it should");
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        if let Some(length) = answer.header("Content-Length") {
            self.read_exactly(length.parse().context("Content-Length")?, &mut body)?;
            return Ok(body);
        }
        match self.stream.by_ref().take(BODY_MAX_BYTES).read_to_end(&mut body) {
            // nginx may close the connection without TLS's own farewell.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(body),
            other => other.map(|_| body).context("read the body"),
        }
    }

    fn read_exactly(&mut self, length: u64, body: &mut Vec<u8>) -> Result<()> {
        ensure!(length <= BODY_MAX_BYTES, "a body of {length} bytes is too large");
        let read = self.stream.by_ref().take(length).read_to_end(body).context("read the body")?;
        ensure!(u64::try_from(read)? == length, "the body ends early");
        Ok(())
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.stream.by_ref().take(LINE_MAX_BYTES).read_line(&mut line);
        if read.context("read the answer")? == 0 {
            bail!("nginx closed the connection");
        }
        let line = line.strip_suffix("\r\n").context("a line that does not end")?;
        Ok(line.to_owned())
    }
}

/// Whether an answer brings a body: one to `HEAD` never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// As its headers say.
    Expected,
    /// None, whatever its headers say.
    Never,
}

/// An answer of nginx.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// All headers in their order.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut same = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        same.next().map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .with_context(|| format!("read the certificates in {}", path.display()))
}

/// Longer than nginx's own limits towards certgate and the application in every shipped file.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// nginx sends a dozen.
const HEADERS_MAX: usize = 200;
/// A header line; nginx's own buffers end far below.
const LINE_MAX_BYTES: u64 = 64 * 1024;
/// The applications behind these nginxes answer with what they received, in text.
const BODY_MAX_BYTES: u64 = 4 * 1024 * 1024;
