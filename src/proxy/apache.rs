//! Apache: mod_ssl's variables, put into headers by mod_headers.
//! <https://httpd.apache.org/docs/2.4/mod/mod_ssl.html#envvars> and
//! <https://httpd.apache.org/docs/2.4/mod/mod_headers.html#header>
//!
//! The verdict has nginx's words. `GENEROUS` (`SSLVerifyClient optional_no_ca`) is none of them: a
//! certificate that nobody verified is no success.

use super::nginx;
use super::sent::{HeaderError, Sent};

/// What mod_headers writes for a variable that has no value.
pub(super) const NOTHING: &[u8] = b"(null)";

/// Reads PEM: as `%{SSL_CLIENT_CERT}s` writes it, with spaces for line ends, or percent-encoded by
/// `expr=%{escape:...}`. The two cannot be confused, as PEM has no percent sign.
pub(super) fn decode(material: &[u8]) -> Result<Sent, HeaderError> {
    nginx::decode(material)
}
