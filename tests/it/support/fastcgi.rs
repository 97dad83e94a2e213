//! A FastCGI application that answers with the parameters it received, one `NAME: value` a line;
//! a line break inside a value is written as an escape.
//!
//! Just enough of the FastCGI 1.0 specification for nginx as the only client: one request per
//! connection, no management records.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;

/// The running application; it stops when this is dropped.
pub(crate) struct FastCgi {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
}

impl FastCgi {
    /// Listens on a free loopback port.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stopping) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (counter, stop) = (Arc::clone(&requests), Arc::clone(&stopping));
        thread::spawn(move || {
            for connection in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let counter: Arc<AtomicUsize> = Arc::clone(&counter);
                thread::spawn(move || answer(connection?, &counter));
            }
        });
        Self { address, requests, stopping }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have reached it.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for FastCgi {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut connection: TcpStream, requests: &AtomicUsize) -> io::Result<()> {
    let (mut params, mut received) = (Vec::new(), 0);
    let id = loop {
        let (kind, id, content) = read_record(&mut connection)?;
        match kind {
            PARAMS => params.extend_from_slice(&content),
            STDIN if content.is_empty() => break id,
            STDIN => received += content.len(),
            _ => {}
        }
    };
    requests.fetch_add(1, Ordering::SeqCst);
    let mut text = String::from("Content-Type: text/plain\r\n\r\nFASTCGI\n");
    let mut rest = params.as_slice();
    while !rest.is_empty() {
        let (name_length, value_length) = (read_length(&mut rest), read_length(&mut rest));
        let (name, after_name) = rest.split_at(name_length);
        let (value, after_value) = after_name.split_at(value_length);
        let (name, value) = (name.escape_ascii(), value.escape_ascii());
        text.push_str(&format!("{name}: {value}\n"));
        rest = after_value;
    }
    text.push_str(&format!("body: {received} bytes\n"));
    for chunk in text.as_bytes().chunks(32 * 1024) {
        write_record(&mut connection, STDOUT, id, chunk)?;
    }
    write_record(&mut connection, STDOUT, id, &[])?;
    write_record(&mut connection, END_REQUEST, id, &[0; 8])
}

fn read_record(connection: &mut TcpStream) -> io::Result<(u8, [u8; 2], Vec<u8>)> {
    let mut head = [0; 8];
    connection.read_exact(&mut head)?;
    let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
    let mut content = vec![0; length + usize::from(head[6])];
    connection.read_exact(&mut content)?;
    content.truncate(length);
    Ok((head[1], [head[2], head[3]], content))
}

fn write_record(
    connection: &mut TcpStream,
    kind: u8,
    id: [u8; 2],
    content: &[u8],
) -> io::Result<()> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    connection.write_all(&[1, kind, id[0], id[1], high, low, 0, 0])?;
    connection.write_all(content)
}

/// One byte, or four with the highest bit set.
fn read_length(rest: &mut &[u8]) -> usize {
    let (length, bytes) = if rest[0] < 0x80 {
        (u32::from(rest[0]), 1)
    } else {
        (u32::from_be_bytes([rest[0] & 0x7F, rest[1], rest[2], rest[3]]), 4)
    };
    *rest = &rest[bytes..];
    usize::try_from(length).unwrap()
}
