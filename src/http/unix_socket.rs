//! Binds a unix socket without ever taking a live one over or being open wider than configured.
//!
//! actix would remove whatever stands at the path; here only a socket that refuses a connection goes.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{Flock, FlockArg};

use super::listener::{Address, Bound, ListenError, Socket};
use crate::config::{Listener, Role, SOCKET_PATH_BYTES_MAX};

/// Binds in a folder that only we can enter, sets group and mode there, and only then gives the socket
/// its name. The folder of the name is locked meanwhile, so that two of us never clear each other away.
pub(super) fn bind_unix(
    role: Role,
    path: &Path,
    listener: &Listener,
) -> Result<Bound, ListenError> {
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
}
