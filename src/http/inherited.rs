//! Sockets inherited from a service manager (`sd_listen_fds(3)`).
//!
//! They may come with names; without them the order counts. Whatever is not understood is refused:
//! a socket handed to the wrong listener would be open to the wrong people.

use std::os::unix::net::UnixListener;
use std::path::Path;

use listenfd::ListenFd;

use super::listener::{Address, Bound, ListenError, Socket, check_bound};
use crate::config::{Callers, Environment, Role};

/// The variable that names the inherited sockets, with colons between.
const NAMES_VARIABLE: &str = "LISTEN_FDNAMES";

/// Why inherited sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// A socket that is neither TCP nor a unix stream.
    #[error("the inherited socket {index} is neither a TCP nor a unix stream socket")]
    Kind {
        /// Its position, counted from 0.
        index: usize,
    },
    /// It may not be served.
    #[error("an inherited socket is refused: {0}")]
    Listen(#[from] ListenError),
    /// Some of the names are ours and some are not, or one stands twice.
    #[error(
        "the inherited sockets are named {names:?}: name each one auth, ops or admin once \
         (FileDescriptorName=), or none of them"
    )]
    Names {
        /// The names given.
        names: String,
    },
    /// More sockets than listeners.
    #[error("{count} sockets were inherited, and there are only auth, ops and admin")]
    TooMany {
        /// How many.
        count: usize,
    },
}

/// Takes every inherited socket and says which listener it is. The address in the configuration
/// then does not count for that listener; the rules of who may reach it do.
pub fn inherit(
    sockets: &mut ListenFd,
    env: &Environment,
    callers: Callers,
) -> Result<Vec<Bound>, InheritError> {
    let names = env.get(NAMES_VARIABLE).map(String::as_str);
    let roles = assign(sockets.len(), names)?;
    let mut bound = Vec::new();
    for (index, role) in roles.into_iter().enumerate() {
        let one = take(sockets, index, role)?;
        check_bound(&one, callers)?;
        bound.push(one);
    }
    Ok(bound)
}

/// Which listener each socket is, by name, or in the order auth, ops, admin if none has a name of
/// ours.
fn assign(count: usize, names: Option<&str>) -> Result<Vec<Role>, InheritError> {
    if count > Role::ALL.len() {
        return Err(InheritError::TooMany { count });
    }
    let given = names.unwrap_or_default();
    let named: Vec<Role> = given.split(':').filter_map(|name| Role::parse(name).ok()).collect();
    if named.is_empty() {
        return Ok(Role::ALL.iter().copied().take(count).collect());
    }
    let refused = || InheritError::Names { names: given.to_owned() };
    if named.len() != count || given.split(':').count() != count {
        return Err(refused());
    }
    let twice = named
        .iter()
        .enumerate()
        .any(|(index, role)| named.iter().take(index).any(|other| other == role));
    if twice {
        return Err(refused());
    }
    Ok(named)
}

fn take(sockets: &mut ListenFd, index: usize, role: Role) -> Result<Bound, InheritError> {
    // A refused socket stays where it is, so that the other kind can be tried.
    if let Ok(Some(socket)) = sockets.take_unix_listener(index) {
        let address = Address::Unix(path_of(&socket));
        return Ok(Bound { role, socket: Socket::Unix(socket), address, file: None });
    }
    match sockets.take_tcp_listener(index) {
        Ok(Some(socket)) => {
            let address = socket.local_addr().map_err(|source| ListenError::Io {
                role,
                action: "find the address of",
                place: format!("inherited socket {index}"),
                source,
            })?;
            let address = Address::Tcp(address);
            Ok(Bound { role, socket: Socket::Tcp(socket), address, file: None })
        }
        _ => Err(InheritError::Kind { index }),
    }
}

fn path_of(socket: &UnixListener) -> Option<std::path::PathBuf> {
    socket.local_addr().ok()?.as_pathname().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_told_apart_by_name_else_by_order() {
        let assigned = |count, names| assign(count, names).expect("assigned");
        assert_eq!(assigned(0, None), []);
        assert_eq!(assigned(2, None), [Role::Auth, Role::Ops]);
        assert_eq!(assigned(1, Some("certgate.socket")), [Role::Auth]);
        assert_eq!(assigned(2, Some("unknown:unknown")), [Role::Auth, Role::Ops]);
        assert_eq!(assigned(2, Some("ops:auth")), [Role::Ops, Role::Auth]);
        assert_eq!(assigned(1, Some("admin")), [Role::Admin]);
    }

    #[test]
    fn a_surprise_among_inherited_sockets_is_refused() {
        for (count, names) in [
            (4, None),
            (4, Some("auth:ops:admin:more")),
            (2, Some("auth:certgate.socket")),
            (2, Some("auth:auth")),
            (1, Some("auth:ops")),
            (2, Some("auth")),
            (0, Some("auth")),
            (2, Some("auth:")),
        ] {
            assert!(assign(count, names).is_err(), "{count} {names:?}");
        }
    }
}
