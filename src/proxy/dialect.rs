//! The manners of speaking, one small room each; this one only leads to them.

use super::fields::Fields;
use super::sent::{HeaderError, Sent};
use super::verify::VerifyResult;
use super::{apache, caddy, haproxy, nginx, rfc9440, traefik};

/// How a proxy speaks of a client's certificate. Chosen once, at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Apache's mod_ssl and mod_headers.
    Apache,
    /// Caddy's `forward_auth`; no word about verification.
    Caddy,
    /// HAProxy's `ssl_c_*`.
    Haproxy,
    /// nginx's `$ssl_client_*`, and header names of others with the same values.
    Nginx,
    /// RFC 9440, with nginx's word about verification.
    Rfc9440,
    /// Traefik's PassTLSClientCert; no word about verification.
    Traefik,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: &[Self] =
        &[Self::Apache, Self::Caddy, Self::Haproxy, Self::Nginx, Self::Rfc9440, Self::Traefik];

    /// What stands in a header where the proxy has nothing to say; an empty header always does.
    pub(super) fn nothing(self) -> &'static [u8] {
        match self {
            Self::Apache => apache::NOTHING,
            Self::Caddy => caddy::NOTHING,
            Self::Haproxy | Self::Nginx | Self::Rfc9440 | Self::Traefik => b"",
        }
    }

    /// What the proxy says of the handshake.
    pub(super) fn verify(self, fields: &Fields<'_>) -> VerifyResult {
        match self {
            Self::Apache | Self::Nginx | Self::Rfc9440 => nginx::verify(fields.verify),
            Self::Haproxy => haproxy::verify(fields.used, fields.verify),
            Self::Caddy | Self::Traefik => VerifyResult::Unsaid,
        }
    }

    /// Takes a certificate out of its material ([`Fields::material`]), and looks at nothing else.
    pub(super) fn decode(self, material: &[u8]) -> Result<Sent, HeaderError> {
        match self {
            Self::Apache => apache::decode(material),
            Self::Caddy => caddy::decode(material),
            Self::Haproxy => haproxy::decode(material),
            Self::Nginx => nginx::decode(material),
            Self::Rfc9440 => rfc9440::decode(material),
            Self::Traefik => traefik::decode(material),
        }
    }
}
