//! The headers that the proxy would send of a certificate, where it sends no certificate.
//!
//! It must not read them by itself: the reader that answers nginx does.

use crate::pki::Certificate;
use crate::proxy::{Dialect, Headers, Memory, Presented, Reader};
use crate::reason::DenyReason;

/// Header lines.
struct Sent(Vec<(String, String)>);

impl Headers for Sent {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }
}

/// What is presented by a request whose proxy verified this certificate and sends its serial and
/// names.
///
/// # Errors
/// The reason to deny: a serial or a name that is not one in a header.
pub(crate) fn as_headers(
    certificate: &Certificate,
    reader: &Reader,
) -> Result<Presented, DenyReason> {
    let success = if reader.dialect == Dialect::Haproxy { "0" } else { "SUCCESS" };
    let names = &reader.names;
    let lines = [
        (&names.verify, success.to_owned()),
        (&names.used, "1".to_owned()),
        (&names.serial, certificate.serial.to_string()),
        (&names.subject, certificate.subject.to_string()),
        (&names.issuer, certificate.issuer.to_string()),
    ];
    let sent = lines.into_iter().filter_map(|(name, value)| Some((name.clone()?, value)));
    reader.read(&Sent(sent.collect()), &mut Memory::default())
}
