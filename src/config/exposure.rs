//! Who can reach a listener, and whether that is safe.
//!
//! The same rules judge the address that was written and the address that was bound, inherited
//! sockets included. They fail closed: what is not known to be safe does not start.

use std::net::SocketAddr;

use super::words::words;

words! {
    /// One of the three listeners.
    Role {
        /// nginx asks here.
        Auth = "auth",
        /// Health and metrics.
        Ops = "ops",
        /// The API.
        Admin = "admin",
    }
}

impl Role {
    /// The key that says where it listens.
    pub fn key(self) -> &'static str {
        match self {
            Self::Admin => "admin.listen",
            Self::Auth => "auth.listen",
            Self::Ops => "ops.listen",
        }
    }
}

/// What tells the proxy from anybody else who can connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Callers {
    /// `proxy.trusted` names networks.
    pub trusted: bool,
    /// `proxy.secret_file` is set.
    pub secret: bool,
}

/// Where a listener can be reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// At a TCP address.
    Tcp(SocketAddr),
    /// At a unix socket of this mode.
    Unix {
        /// The permission bits.
        mode: u32,
    },
}

/// Why a listener may not be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Exposure {
    /// A unix socket of the API that every local process may use.
    #[error(
        "the admin socket's mode {0:04o} lets every local process send an administrator's \
         certificate, which is public; take the last digit away or set proxy.secret_file"
    )]
    AdminSocketOpen(u32),
    /// The API on TCP without the secret, loopback included.
    #[error(
        "the admin listener on TCP ({0}) needs proxy.secret_file, on loopback too: any local \
         process could send an administrator's certificate, which is public; set it or use unix:/PATH"
    )]
    AdminWithoutSecret(SocketAddr),
    /// The auth listener reachable from other machines without a check of who asks.
    #[error(
        "{0} can be reached from other machines, which could claim any certificate; set \
         proxy.trusted or proxy.secret_file, or use 127.0.0.1 or unix:/PATH"
    )]
    AuthOpenToNetwork(SocketAddr),
    /// `proxy.trusted` on a unix socket, where no peer has an address.
    #[error(
        "proxy.trusted looks at the TCP peer's address and a unix socket has none, so that nobody \
         could ask; use proxy.secret_file, or the socket's mode and group"
    )]
    TrustedOnUnix,
}

/// Permission bits of everybody who is neither owner nor group.
const MODE_OTHERS: u32 = 0o007;

/// Whether `role` may be reached at `reach`, given what tells callers apart.
pub fn check(role: Role, reach: Reach, callers: Callers) -> Result<(), Exposure> {
    match (role, reach) {
        (Role::Ops, _) => Ok(()),
        (Role::Auth, Reach::Tcp(address)) => {
            if address.ip().to_canonical().is_loopback() {
                return Ok(());
            }
            if callers.trusted || callers.secret {
                return Ok(());
            }
            Err(Exposure::AuthOpenToNetwork(address))
        }
        (Role::Auth, Reach::Unix { .. }) => {
            if callers.trusted {
                return Err(Exposure::TrustedOnUnix);
            }
            Ok(())
        }
        (Role::Admin, Reach::Tcp(address)) => {
            if callers.secret {
                return Ok(());
            }
            Err(Exposure::AdminWithoutSecret(address))
        }
        (Role::Admin, Reach::Unix { mode }) => {
            if callers.secret {
                return Ok(());
            }
            if mode & MODE_OTHERS == 0 {
                return Ok(());
            }
            Err(Exposure::AdminSocketOpen(mode))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Callers = Callers { trusted: false, secret: false };
    const TRUSTED: Callers = Callers { trusted: true, secret: false };
    const SECRET: Callers = Callers { trusted: false, secret: true };
    const BOTH: Callers = Callers { trusted: true, secret: true };

    #[test]
    fn auth_leaves_loopback_only_with_a_check_of_who_asks() {
        for loopback in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let reach = Reach::Tcp(loopback.parse().expect("address"));
            assert_eq!(check(Role::Auth, reach, NOBODY), Ok(()), "{loopback}");
        }
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1", "[fe80::1]:1"] {
            let reach = Reach::Tcp(open.parse().expect("address"));
            assert!(check(Role::Auth, reach, NOBODY).is_err(), "{open}");
            for callers in [TRUSTED, SECRET, BOTH] {
                assert_eq!(check(Role::Auth, reach, callers), Ok(()), "{open}");
            }
        }
    }

    #[test]
    fn auth_on_a_unix_socket_refuses_trusted_networks_even_with_the_secret() {
        let reach = Reach::Unix { mode: 0o660 };
        assert_eq!(check(Role::Auth, reach, NOBODY), Ok(()));
        assert_eq!(check(Role::Auth, reach, SECRET), Ok(()));
        assert_eq!(check(Role::Auth, reach, TRUSTED), Err(Exposure::TrustedOnUnix));
        assert_eq!(check(Role::Auth, reach, BOTH), Err(Exposure::TrustedOnUnix));
    }

    #[test]
    fn admin_on_tcp_needs_the_secret_on_loopback_too() {
        let reach = Reach::Tcp("127.0.0.1:1".parse().expect("address"));
        assert!(check(Role::Admin, reach, NOBODY).is_err());
        assert!(check(Role::Admin, reach, TRUSTED).is_err());
        assert_eq!(check(Role::Admin, reach, SECRET), Ok(()));
    }

    #[test]
    fn an_admin_socket_that_everybody_may_use_needs_the_secret() {
        assert_eq!(check(Role::Admin, Reach::Unix { mode: 0o660 }, NOBODY), Ok(()));
        let open = Reach::Unix { mode: 0o666 };
        assert_eq!(check(Role::Admin, open, NOBODY), Err(Exposure::AdminSocketOpen(0o666)));
        assert_eq!(check(Role::Admin, open, SECRET), Ok(()));
    }
}
