//! `certgate healthcheck`: asks the running server's ops listener, for containers and service
//! managers.
//!
//! Needs no shell and no HTTP client: one GET, one answer, one deadline. It reads the configuration
//! only to know where to ask.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::config::Listen;
use crate::telemetry::write_escaped;

/// How long the whole question may take: shorter than any usual interval between two checks.
pub const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes of an answer that are read; our own answers are far smaller.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Exit code: yes.
const YES: u8 = 0;
/// Exit code: no.
const NO: u8 = 1;
/// Exit code: error, nobody could be asked.
const ERROR: u8 = 2;

/// `certgate healthcheck`
#[derive(Args, Clone, Debug)]
pub struct HealthcheckArgs {
    /// Ask whether the process runs, not whether it can decide
    #[arg(long)]
    pub live: bool,
}

/// Why nobody could be asked.
#[derive(Debug, thiserror::Error)]
pub enum HealthcheckError {
    /// What answered speaks no HTTP.
    #[error("what answers there is not certgate")]
    NotHttp,
    /// The ops listener is off.
    #[error("ops.listen is off")]
    Off,
    /// The port is chosen anew at each start.
    #[error("ops.listen has port 0, so that nobody knows where to ask")]
    PortUnknown,
    /// No answer in time.
    #[error("no answer within {} seconds", HEALTHCHECK_TIMEOUT.as_secs())]
    TimedOut,
    /// The connection failed.
    #[error("{0}")]
    Unreachable(#[from] io::Error),
}

/// Asks the ops listener. Exit code 0 if the answer is 200, 1 for any other answer, 2 if nobody
/// could be asked; what the server says is printed to `out`.
pub async fn run(
    args: &HealthcheckArgs,
    ops: &Listen,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let path = if args.live { "/healthz" } else { "/readyz" };
    let answer = match tokio::time::timeout(HEALTHCHECK_TIMEOUT, ask(ops, path)).await {
        Ok(answer) => answer,
        Err(_) => Err(HealthcheckError::TimedOut),
    };
    match answer {
        Ok(answer) => {
            let mut line = String::new();
            // Writing into a String cannot fail.
            let _ = write_escaped(&mut line, answer.body.trim_end());
            writeln!(out, "{line}")?;
            Ok(if answer.status == 200 { YES } else { NO })
        }
        Err(error) => {
            writeln!(err, "certgate at {ops}{path} cannot be asked: {error}")?;
            Ok(ERROR)
        }
    }
}

struct Answer {
    status: u16,
    body: String,
}

async fn ask(ops: &Listen, path: &str) -> Result<Answer, HealthcheckError> {
    match ops {
        Listen::Off => Err(HealthcheckError::Off),
        Listen::Tcp(address) if address.port() == 0 => Err(HealthcheckError::PortUnknown),
        Listen::Tcp(address) => get(TcpStream::connect(reachable(*address)).await?, path).await,
        Listen::Unix(socket) => get(UnixStream::connect(socket).await?, path).await,
    }
}

/// The address to connect to: a listener on every address is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn get<S>(mut stream: S, path: &str) -> Result<Answer, HealthcheckError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let question = format!("GET {path} HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await?;
    parse_answer(&String::from_utf8_lossy(&bytes)).ok_or(HealthcheckError::NotHttp)
}

/// Status and body of an HTTP/1.1 answer (RFC 9112, 4); `None` if it is none.
fn parse_answer(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}
