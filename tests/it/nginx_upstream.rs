//! Between nginx and the auth listener: one kept connection, and nobody let in when it hangs.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use certgate::cli::demo::workshop::Workshop;

use crate::support::nginx::{Nginx, Site};
use crate::support::pki::Issuer;
use crate::support::tls::get;

fn nginx_in_front_of(auth: SocketAddr) -> Nginx {
    let folder = Workshop::open("certgate-ca").unwrap();
    let ca = Issuer::root(folder.folder(), "Example CA");
    Nginx::start(&Site::Example, auth, &ca)
}

/// Refuses everybody, in the form of certgate's answers, for as long as nginx likes.
fn refuse(connection: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
        }
        reader.get_mut().write_all(
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\
              X-Auth-Reason: no_certificate\r\n\r\n",
        )?;
    }
}

#[test]
fn nginx_asks_over_one_kept_connection_for_refusals_too() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let auth = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    thread::spawn(move || {
        for connection in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || refuse(connection?));
        }
    });
    let nginx = nginx_in_front_of(auth);
    for _ in 0..20 {
        assert_eq!(get(&nginx, None, "/", &[]).status, 401);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_certgate_that_hangs_costs_half_a_second_and_lets_nobody_in() {
    // The backlog takes the connection, and nobody ever answers.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let nginx = nginx_in_front_of(listener.local_addr().unwrap());
    let start = Instant::now();
    assert_eq!(get(&nginx, None, "/", &[]).status, 500);
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(nginx.application.requests(), 0);
}
