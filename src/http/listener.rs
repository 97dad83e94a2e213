//! Opens the listeners: TCP, unix sockets of our own, and sockets inherited from a service manager.
//!
//! The rules of who may reach a listener are applied to the address that is really bound. A unix socket
//! in use is never taken over, and there is no moment at which a socket can be reached with a mode or
//! group other than the configured one. What speaks on a listener is not this room's matter.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{Flock, FlockArg};

use crate::config::{
    Callers, Exposure, Listen, Listener, Reach, Role, SOCKET_PATH_BYTES_MAX, check_exposure,
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
    #[error("{}: the path {} is too long to prepare a socket beside it", role.key(), path.display())]
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

/// Applies the rules to what is really bound. Fails closed: a socket whose mode cannot be seen counts
/// as open to everybody.
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

/// Binds in a folder that only we can enter, sets group and mode there, and only then gives the socket
/// its name. The folder of the name is locked meanwhile, so that two of us never clear each other away.
fn bind_unix(role: Role, path: &Path, listener: &Listener) -> Result<Bound, ListenError> {
    let failed = |action: &'static str, place: &Path| {
        let place = place.display().to_string();
        move |source: io::Error| ListenError::Io { role, action, place, source }
    };
    let group = listener.socket_group.as_deref().map(|name| group_id(role, name)).transpose()?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let lock = File::open(folder).map_err(failed("open the folder", folder))?;
    let lock = Flock::lock(lock, FlockArg::LockExclusive)
        .map_err(|(_, errno)| failed("lock the folder", folder)(errno.into()))?;
    clear(role, path)?;

    let nest = Nest::build(role, folder, path)?;
    let prepared = nest.path.join("s");
    let socket = UnixListener::bind(&prepared).map_err(failed("prepare a socket at", &prepared))?;
    if let Some(group) = group {
        chown(&prepared, None, Some(group)).map_err(failed("set the group of", path))?;
    }
    let mode = fs::Permissions::from_mode(listener.socket_mode.bits());
    fs::set_permissions(&prepared, mode).map_err(failed("set the mode of", path))?;
    let facts = fs::symlink_metadata(&prepared).map_err(failed("look at", path))?;
    // A link, not a rename: it never replaces anything.
    fs::hard_link(&prepared, path).map_err(failed("name the socket", path))?;
    drop(nest);
    drop(lock);
    let file = SocketFile { path: path.to_owned(), device: facts.dev(), inode: facts.ino() };
    Ok(Bound {
        role,
        socket: Socket::Unix(socket),
        address: Address::Unix(Some(path.to_owned())),
        file: Some(file),
    })
}

/// Makes the path free, if what is there is a socket on which nobody listens.
fn clear(role: Role, path: &Path) -> Result<(), ListenError> {
    let failed = |action: &'static str| {
        let place = path.display().to_string();
        move |source: io::Error| ListenError::Io { role, action, place, source }
    };
    let facts = match fs::symlink_metadata(path) {
        Ok(facts) => facts,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
    };
    if !facts.file_type().is_socket() {
        return Err(ListenError::NotASocket { role, path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ListenError::SocketInUse { role, path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove the left-over socket"))
        }
        // Not ours to connect to, or busy: somebody may well be there.
        Err(error) => Err(failed("tell whether a process listens at")(error)),
    }
}

fn group_id(role: Role, name: &str) -> Result<u32, ListenError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match nix::unistd::Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(ListenError::NoSuchGroup { role, group: name.to_owned() }),
        Err(errno) => Err(ListenError::Io {
            role,
            action: "look up the group",
            place: name.to_owned(),
            source: errno.into(),
        }),
    }
}

/// A short-named folder of mode 0700 in which a socket is prepared; removed when dropped.
struct Nest {
    path: PathBuf,
}

/// Tells apart the nests of one process.
static NEST: AtomicU32 = AtomicU32::new(0);

impl Nest {
    fn build(role: Role, folder: &Path, socket: &Path) -> Result<Self, ListenError> {
        let number = NEST.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".{:x}{number:x}", std::process::id()));
        let prepared = path.join("s");
        if prepared.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(ListenError::PathTooLong { role, path: socket.to_owned() });
        }
        let nest = Self { path };
        // One of the same name can only be left over from a process of our number that is gone.
        nest.remove();
        DirBuilder::new().mode(0o700).create(&nest.path).map_err(|source| ListenError::Io {
            role,
            action: "make a folder to prepare the socket in",
            place: folder.display().to_string(),
            source,
        })?;
        Ok(nest)
    }

    fn remove(&self) {
        // What cannot be removed is a hidden empty folder: not worth stopping for.
        let _ = fs::remove_file(self.path.join("s"));
        let _ = fs::remove_dir(&self.path);
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A unix socket's file that is ours; removed when dropped, unless another has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let Ok(facts) = fs::symlink_metadata(&self.path) else { return };
        if (facts.dev(), facts.ino()) == (self.device, self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::config::SocketMode;

    const NOBODY: Callers = Callers { trusted: false, secret: false };

    fn tcp(address: &str) -> Listener {
        let listen = Listen::Tcp(address.parse().expect("address"));
        let socket_mode = SocketMode::parse("0660").expect("mode");
        Listener { listen, socket_mode, socket_group: None }
    }

    fn unix(path: &Path, mode: &str) -> Listener {
        let socket_mode = SocketMode::parse(mode).expect("mode");
        Listener { listen: Listen::Unix(path.to_owned()), socket_mode, socket_group: None }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("folder");
        entries
            .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
            .collect()
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

    #[test]
    fn a_unix_socket_has_its_mode_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("auth.sock");
        let bound = bind(Role::Auth, &unix(&path, "0600"), NOBODY).expect("bind").expect("on");
        assert_eq!(fs::metadata(&path).expect("socket").mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["auth.sock"]);
        UnixStream::connect(&path).expect("connect");
        drop(bound);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn a_group_is_set_by_name_or_number_and_must_exist() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("auth.sock");
        let gid = nix::unistd::getegid();
        let name = nix::unistd::Group::from_gid(gid).expect("lookup").expect("group").name;
        for group in [name, gid.to_string()] {
            let listener = Listener { socket_group: Some(group), ..unix(&path, "0660") };
            let bound = bind(Role::Auth, &listener, NOBODY).expect("bind");
            assert_eq!(fs::metadata(&path).expect("socket").gid(), gid.as_raw());
            drop(bound);
        }
        let listener = Listener { socket_group: Some("no-such".into()), ..unix(&path, "0660") };
        let error = bind(Role::Auth, &listener, NOBODY).expect_err("no group");
        assert!(matches!(error, ListenError::NoSuchGroup { .. }));
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn a_live_socket_is_never_taken_over() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("auth.sock");
        let first = bind(Role::Auth, &unix(&path, "0660"), NOBODY).expect("bind");
        let error = bind(Role::Auth, &unix(&path, "0660"), NOBODY).expect_err("in use");
        assert!(matches!(error, ListenError::SocketInUse { .. }), "{error}");
        UnixStream::connect(&path).expect("the first still answers");
        drop(first);
    }

    #[test]
    fn a_left_over_socket_is_replaced() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("auth.sock");
        drop(UnixListener::bind(&path).expect("bind"));
        let refused = UnixStream::connect(&path).expect_err("left over");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let _bound = bind(Role::Auth, &unix(&path, "0660"), NOBODY).expect("bind");
        UnixStream::connect(&path).expect("connect");
    }

    #[test]
    fn what_is_not_a_socket_is_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("auth.sock");
        fs::write(&path, "precious").expect("write");
        let error = bind(Role::Auth, &unix(&path, "0660"), NOBODY).expect_err("a file");
        assert!(matches!(error, ListenError::NotASocket { .. }));
        assert_eq!(fs::read_to_string(&path).expect("read"), "precious");
        fs::remove_file(&path).expect("remove");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).expect("link");
        let error = bind(Role::Auth, &unix(&path, "0660"), NOBODY).expect_err("a link");
        assert!(matches!(error, ListenError::NotASocket { .. }));
    }

    #[test]
    fn the_socket_of_a_successor_is_not_removed() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("auth.sock");
        let first = bind(Role::Auth, &unix(&path, "0660"), NOBODY).expect("bind");
        fs::remove_file(&path).expect("remove");
        let _second = bind(Role::Auth, &unix(&path, "0660"), NOBODY).expect("bind");
        drop(first);
        UnixStream::connect(&path).expect("the second still answers");
    }

    #[test]
    fn a_path_without_room_for_the_preparation_is_refused_clearly() {
        let folder = tempfile::tempdir().expect("folder");
        let deep = folder.path().join("x".repeat(100 - folder.path().as_os_str().len()));
        fs::create_dir(&deep).expect("folder");
        let error = bind(Role::Auth, &unix(&deep.join("s"), "0660"), NOBODY).expect_err("long");
        assert!(matches!(error, ListenError::PathTooLong { .. }), "{error}");
    }
}
