//! Binds a unix socket without ever taking a live one over or being open wider than configured.
//!
//! actix would remove whatever stands at the path; here only a socket that refuses a connection
//! goes.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::listener::{Address, Bound, ListenError, Socket};
use crate::config::{Listener, Role, SOCKET_PATH_BYTES_MAX};

/// Binds in a folder that only we can enter, sets group and mode there, and only then gives the
/// socket its name. The folder of the name is locked meanwhile, so that of several that find a
/// left-over socket none removes the live one of another.
pub(super) fn bind_unix(
    role: Role,
    path: &Path,
    listener: &Listener,
) -> Result<Bound, ListenError> {
    let failed = |action: &'static str| io_error(role, action, path);
    let group = listener.socket_group.as_deref().map(|name| group_id(role, name)).transpose()?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let _lock = lock(role, folder)?;
    let nest = Nest::build(role, folder, path)?;
    clear(role, path)?;

    let prepared = nest.prepared();
    let socket = UnixListener::bind(&prepared).map_err(failed("prepare a socket for"))?;
    if let Some(group) = group {
        chown(&prepared, None, Some(group)).map_err(failed("set the group of"))?;
    }
    let mode = fs::Permissions::from_mode(listener.socket_mode.bits());
    fs::set_permissions(&prepared, mode).map_err(failed("set the mode of"))?;
    let facts = fs::symlink_metadata(&prepared).map_err(failed("look at"))?;
    // A link, not a rename: it never replaces anything.
    match fs::hard_link(&prepared, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(ListenError::SocketInUse { role, path: path.to_owned() });
        }
        linked => linked.map_err(failed("name the socket"))?,
    }
    let file = SocketFile { role, path: path.to_owned(), device: facts.dev(), inode: facts.ino() };
    Ok(Bound {
        role,
        socket: Socket::Unix(socket),
        address: Address::Unix(Some(path.to_owned())),
        file: Some(file),
    })
}

/// How long to wait for another process that opens a socket in the same folder; that takes it
/// milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait between two tries for the lock.
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// Locks the folder against others of us. Bounded, as anybody who may read the folder can lock it.
fn lock(role: Role, folder: &Path) -> Result<Flock<File>, ListenError> {
    let mut file = File::open(folder).map_err(io_error(role, "open the folder", folder))?;
    let start = Instant::now();
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, Errno::EWOULDBLOCK)) if start.elapsed() < LOCK_TIMEOUT => {
                file = back;
                std::thread::sleep(LOCK_RETRY);
            }
            Err((_, errno)) => {
                return Err(io_error(role, "lock the folder", folder)(errno.into()));
            }
        }
    }
}

/// Makes the path free, if what is there is a socket on which nobody listens. The folder must be
/// locked.
fn clear(role: Role, path: &Path) -> Result<(), ListenError> {
    let failed = |action: &'static str| io_error(role, action, path);
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

fn io_error(
    role: Role,
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> ListenError + use<> {
    let place = path.display().to_string();
    move |source| ListenError::Io { role, action, place, source }
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
        let nest = Self { path: folder.join(format!(".{:x}{number:x}", std::process::id())) };
        if nest.prepared().as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(ListenError::PathTooLong { role, path: socket.to_owned() });
        }
        // One of the same name can only be left over from a process of our number that is gone.
        nest.remove();
        let made = DirBuilder::new().mode(0o700).create(&nest.path);
        made.map_err(io_error(role, "make a folder to prepare the socket in", folder))?;
        Ok(nest)
    }

    /// Where the new socket is prepared.
    fn prepared(&self) -> PathBuf {
        self.path.join("s")
    }

    fn remove(&self) {
        // What cannot be removed is a hidden folder of ours: not worth stopping for.
        let _ = fs::remove_file(self.prepared());
        let _ = fs::remove_dir(&self.path);
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A unix socket's file that is ours; removed when dropped, unless another has taken its place.
/// Where that cannot be told for sure it stays: a left-over socket does no harm.
#[derive(Debug)]
pub struct SocketFile {
    role: Role,
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let Ok(_lock) = lock(self.role, folder) else { return };
        let Ok(facts) = fs::symlink_metadata(&self.path) else { return };
        if (facts.dev(), facts.ino()) == (self.device, self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::super::listener::bind;
    use super::*;
    use crate::config::{Callers, Listen, SocketMode};

    const NOBODY: Callers = Callers { trusted: false, secret: false };

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

    #[test]
    fn a_folder_that_stays_locked_is_an_error_and_not_a_hang() {
        let folder = tempfile::tempdir().expect("folder");
        let file = File::open(folder.path()).expect("open");
        let _held = Flock::lock(file, FlockArg::LockExclusive).expect("lock");
        let path = folder.path().join("auth.sock");
        let error = bind(Role::Auth, &unix(&path, "0660"), NOBODY).expect_err("locked");
        assert!(error.to_string().contains("cannot lock the folder"), "{error}");
    }

    #[test]
    fn of_many_that_start_at_once_on_a_left_over_socket_exactly_one_listens() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("auth.sock");
        for _ in 0..20 {
            drop(UnixListener::bind(&path).expect("a left-over socket"));
            let starters: Vec<_> = (0..4)
                .map(|_| {
                    let listener = unix(&path, "0660");
                    std::thread::spawn(move || bind(Role::Auth, &listener, NOBODY))
                })
                .collect();
            let bound: Vec<_> = starters
                .into_iter()
                .filter_map(|starter| starter.join().expect("starter").ok())
                .collect();
            assert_eq!(bound.len(), 1, "{bound:?}");
            UnixStream::connect(&path).expect("the one that started answers");
            drop(bound);
            assert_eq!(names(folder.path()), [""; 0]);
        }
    }
}
