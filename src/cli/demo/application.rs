//! The small application behind nginx: it answers with what it received, in plain text.
//!
//! It must not decide anything: it believes every header, as real applications do, and so shows
//! whether nginx let a forged one through.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// The running application; it stops when this is dropped.
#[derive(Debug)]
pub struct Application {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
}

impl Application {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// No loopback port can be bound.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let requests = Arc::new(AtomicUsize::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        let (counter, stop) = (Arc::clone(&requests), Arc::clone(&stopping));
        thread::Builder::new().name("application".to_owned()).spawn(move || {
            for connection in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(connection) = connection else { continue };
                let counter = Arc::clone(&counter);
                // A connection that breaks is nginx's to report.
                let _ = thread::Builder::new().spawn(move || answer(&connection, &counter));
            }
        })?;
        Ok(Self { address, requests, stopping })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have reached it.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread so that it sees the flag; if nobody answers, it has ended.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(200));
    }
}

/// The value that the application saw under this header name, from the text of its answer.
#[must_use]
pub fn seen<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (other, value) = line.split_once(": ")?;
        other.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn answer(mut connection: &TcpStream, requests: &AtomicUsize) -> io::Result<()> {
    connection.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let start = head.len();
        reader.by_ref().take(HEAD_MAX_BYTES).read_line(&mut head)?;
        let line = head.get(start..).unwrap_or_default().trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    if head.trim().is_empty() {
        return Ok(()); // a connection without a request
    }
    requests.fetch_add(1, Ordering::SeqCst);
    let received = io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
    let body = format!("{}\nbody: {received} bytes\n", head.replace('\r', "").trim_end());
    write!(
        connection,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    connection.flush()
}

/// nginx sends at once what it has.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A certificate header of 48 KiB and some more.
const HEAD_MAX_BYTES: u64 = 128 * 1024;
