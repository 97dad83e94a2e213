//! Caddy: `{http.request.tls.client.certificate_der_base64}`.
//! <https://caddyserver.com/docs/json/apps/http/#docs>
//!
//! There is no word about verification: a site with `client_auth { mode request }` fills the same
//! placeholder with a certificate that nobody has verified.

use super::sent::{HeaderError, Sent, decode_base64};

/// What Caddy leaves in the header if there is no certificate: its placeholder as it stands.
pub(super) const NOTHING: &[u8] = b"{http.request.tls.client.certificate_der_base64}";

/// Reads DER in base64.
pub(super) fn decode(material: &[u8]) -> Result<Sent, HeaderError> {
    Ok(Sent::leaf(decode_base64(material)?))
}
