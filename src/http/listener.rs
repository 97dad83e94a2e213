//! Opens the listeners: TCP, unix sockets of our own, and sockets inherited from a service manager.
//!
//! The rules of who may reach a listener are applied to the address that is really bound. A unix
//! socket in use is never taken over, and there is no moment at which a socket can be reached with
//! a mode or group other than the configured one. What speaks on a listener is not this room's
//! matter.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{SockRef, TcpKeepalive};

use super::inherited::{InheritError, inherit};
pub use super::unix_socket::SocketFile;
use super::unix_socket::bind_unix;
use crate::config::{
    Callers, Config, Environment, Exposure, Listen, Listener, Reach, Role, check_exposure,
};

/// A listener that is open and may be served.
#[derive(Debug)]
pub struct Bound {
    /// Which of the three.
    pub role: Role,
    /// The socket, for `HttpServer::listen` or `listen_uds`.
    pub socket: Socket,
    /// Where it can be reached, the real port included.
    pub address: Address,
    /// Removes our unix socket when the listener ends; `None` for TCP and for inherited sockets.
    pub file: Option<SocketFile>,
}

/// The two kinds of sockets.
#[derive(Debug)]
pub enum Socket {
    /// For `HttpServer::listen`.
    Tcp(TcpListener),
    /// For `HttpServer::listen_uds`.
    Unix(UnixListener),
}

/// How long a connection is silent before its peer is asked whether it is there, how long after a
/// question comes the next, and how many may stay without an answer: two minutes in all.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_secs(15);
const MAX_PROBES: u32 = 4;

impl Socket {
    /// Has the system find peers of idle connections that vanished without a word; what is accepted
    /// inherits it (tcp(7)). The peers of a unix socket cannot vanish.
    ///
    /// # Errors
    /// What the system says.
    pub fn probe_idle_peers(&self) -> io::Result<()> {
        let Self::Tcp(socket) = self else { return Ok(()) };
        let probes = TcpKeepalive::new()
            .with_time(PROBE_AFTER)
            .with_interval(PROBE_EVERY)
            .with_retries(MAX_PROBES);
        SockRef::from(socket).set_tcp_keepalive(&probes)
    }
}

/// Where a listener can be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket; an inherited one may have no path.
    Unix(Option<PathBuf>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix:"),
        }
    }
}

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken.
    #[error("{}: {address} is in use by another process", role.key())]
    AddressInUse {
        /// The listener.
        role: Role,
        /// The address.
        address: SocketAddr,
    },
    /// The rules of who may reach it are not met.
    #[error("{}: {source}", role.key())]
    Exposed {
        /// The listener.
        role: Role,
        /// The rule.
        source: Exposure,
    },
    /// The system refused.
    #[error("{}: cannot {action} {place}: {source}", role.key())]
    Io {
        /// The listener.
        role: Role,
        /// What was tried.
        action: &'static str,
        /// On what.
        place: String,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no such group.
    #[error("{}: the system has no group {group:?}", role.key())]
    NoSuchGroup {
        /// The listener.
        role: Role,
        /// Its name.
        group: String,
    },
    /// Something that is no socket is in the way.
    #[error("{}: {} exists and is not a socket; it is left alone", role.key(), path.display())]
    NotASocket {
        /// The listener.
        role: Role,
        /// Its path.
        path: PathBuf,
    },
    /// There is no room for the short name under which a socket is prepared.
    #[error("{}: {} is too long a path to prepare a socket beside", role.key(), path.display())]
    PathTooLong {
        /// The listener.
        role: Role,
        /// Its path.
        path: PathBuf,
    },
    /// A process listens there.
    #[error("{}: a process already listens at {}", role.key(), path.display())]
    SocketInUse {
        /// The listener.
        role: Role,
        /// Its path.
        path: PathBuf,
    },
}

/// The open listeners; `None` is one that is off.
#[derive(Debug)]
pub struct Listeners {
    /// Where nginx asks.
    pub auth: Option<Bound>,
    /// Health and metrics.
    pub ops: Option<Bound>,
    /// The API.
    pub admin: Option<Bound>,
}

/// Why the listeners could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The inherited sockets cannot be used.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// One could not be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A socket was inherited for a listener that is off.
    #[error("{} is off, and a socket was inherited for it", .0.key())]
    Off(Role),
}

/// Opens every listener: those inherited, then the others at their configured places. Nothing stays
/// open if one fails.
pub fn open(
    config: &Config,
    sockets: &mut ListenFd,
    env: &Environment,
) -> Result<Listeners, OpenError> {
    let callers = config.proxy.callers();
    let mut inherited = inherit(sockets, env, callers)?;
    let mut one = |role: Role, listener: &Listener| -> Result<Option<Bound>, OpenError> {
        let Some(index) = inherited.iter().position(|bound| bound.role == role) else {
            return Ok(bind(role, listener, callers)?);
        };
        if listener.listen == Listen::Off {
            return Err(OpenError::Off(role));
        }
        Ok(Some(inherited.swap_remove(index)))
    };
    Ok(Listeners {
        auth: one(Role::Auth, &config.auth)?,
        ops: one(Role::Ops, &config.ops)?,
        admin: one(Role::Admin, &config.admin.listener)?,
    })
}

/// Opens the listener at its configured place; `None` if it is off.
pub fn bind(
    role: Role,
    listener: &Listener,
    callers: Callers,
) -> Result<Option<Bound>, ListenError> {
    let bound = match &listener.listen {
        Listen::Off => return Ok(None),
        Listen::Tcp(address) => bind_tcp(role, *address)?,
        Listen::Unix(path) => bind_unix(role, path, listener)?,
    };
    check_bound(&bound, callers)?;
    Ok(Some(bound))
}

/// Applies the rules to what is really bound. Fails closed: a socket whose mode cannot be seen
/// counts as open to everybody.
pub(super) fn check_bound(bound: &Bound, callers: Callers) -> Result<(), ListenError> {
    let reach = match &bound.address {
        Address::Tcp(address) => Reach::Tcp(*address),
        Address::Unix(path) => {
            let mode = path.as_ref().and_then(|path| fs::metadata(path).ok());
            Reach::Unix { mode: mode.map_or(0o777, |facts| facts.mode() & 0o777) }
        }
    };
    let role = bound.role;
    check_exposure(role, reach, callers).map_err(|source| ListenError::Exposed { role, source })
}

fn bind_tcp(role: Role, address: SocketAddr) -> Result<Bound, ListenError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::AddressInUse { role, address },
        _ => ListenError::Io { role, action: "listen at", place: address.to_string(), source },
    };
    let socket = TcpListener::bind(address).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok(Bound { role, socket: Socket::Tcp(socket), address: Address::Tcp(address), file: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SocketMode;

    const NOBODY: Callers = Callers { trusted: false, secret: false };

    fn tcp(address: &str) -> Listener {
        let listen = Listen::Tcp(address.parse().expect("address"));
        let socket_mode = SocketMode::parse("0660").expect("mode");
        Listener { listen, socket_mode, socket_group: None }
    }

    #[test]
    fn an_idle_peer_is_asked_after_a_minute_and_gone_after_two() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let socket = Socket::Tcp(listener.try_clone().expect("clone"));
        socket.probe_idle_peers().expect("set");
        let options = SockRef::from(&listener);
        assert!(options.keepalive().expect("read"));
        assert_eq!(options.tcp_keepalive_time().expect("read"), Duration::from_secs(60));
        assert_eq!(options.tcp_keepalive_interval().expect("read"), Duration::from_secs(15));
        assert_eq!(options.tcp_keepalive_retries().expect("read"), 4);
    }

    #[test]
    fn off_opens_nothing() {
        let listener = Listener { listen: Listen::Off, ..tcp("127.0.0.1:0") };
        assert!(bind(Role::Admin, &listener, NOBODY).expect("off").is_none());
    }

    #[test]
    fn port_zero_tells_the_port_it_got() {
        let bound = bind(Role::Auth, &tcp("127.0.0.1:0"), NOBODY).expect("bind").expect("on");
        assert!(matches!(bound.address, Address::Tcp(address) if address.port() != 0));
    }

    #[test]
    fn a_taken_port_names_the_key_and_the_address() {
        let first = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = first.local_addr().expect("address").to_string();
        let error = bind(Role::Ops, &tcp(&address), NOBODY).expect_err("taken");
        assert_eq!(
            error.to_string(),
            format!("ops.listen: {address} is in use by another process")
        );
    }

    #[test]
    fn auth_on_every_address_is_refused_after_the_bind_too() {
        let error = bind(Role::Auth, &tcp("0.0.0.0:0"), NOBODY).expect_err("open");
        assert!(matches!(error, ListenError::Exposed { role: Role::Auth, .. }));
        let secret = Callers { trusted: false, secret: true };
        assert!(bind(Role::Auth, &tcp("0.0.0.0:0"), secret).is_ok());
    }
}
