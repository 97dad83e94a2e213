//! The security headers of one request, each counted.

use crate::reason::DenyReason;

/// Longest certificate header in bytes: 32 KiB of DER are 44 KiB of PEM, and escaping adds a few
/// per cent; what is longer than this cannot be read at all.
const MAX_CERTIFICATE_HEADER_BYTES: usize = 96 * 1024;

/// Longest header that holds a name; a whole subject of 64 RDNs fits.
const MAX_NAME_HEADER_BYTES: usize = 8 * 1024;

/// Longest header that holds a serial or the verdict; OpenSSL's longest reason has 60 bytes.
const MAX_SHORT_HEADER_BYTES: usize = 256;

/// The headers of a request, whatever holds them.
pub trait Headers {
    /// Every header line, its name in lower case.
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])>;
}

/// Which headers carry what, in lower case; none where the dialect has no such header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderNames {
    /// The proxy's verdict.
    pub verify: Option<String>,
    /// The certificate itself.
    pub certificate: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its subject's name.
    pub subject: Option<String>,
    /// Its issuer's name.
    pub issuer: Option<String>,
}

/// The security headers; empty is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields<'r> {
    pub(super) verify: Option<&'r [u8]>,
    pub(super) certificate: Option<&'r [u8]>,
    pub(super) serial: Option<&'r [u8]>,
    pub(super) subject: Option<&'r [u8]>,
    pub(super) issuer: Option<&'r [u8]>,
}

impl<'r> Fields<'r> {
    /// Collects the security headers and leaves the others alone.
    ///
    /// # Errors
    /// `malformed_header`: one of them twice (even if equal or empty: whose is the second?), with
    /// a byte that is not printable ASCII, or too long.
    pub(super) fn collect(
        names: &HeaderNames,
        headers: &'r impl Headers,
    ) -> Result<Self, DenyReason> {
        let mut fields = Self::default();
        for (name, value) in headers.lines() {
            let is = |wanted: &Option<String>| wanted.as_deref() == Some(name);
            let (field, limit) = if is(&names.certificate) {
                (&mut fields.certificate, MAX_CERTIFICATE_HEADER_BYTES)
            } else if is(&names.verify) {
                (&mut fields.verify, MAX_SHORT_HEADER_BYTES)
            } else if is(&names.serial) {
                (&mut fields.serial, MAX_SHORT_HEADER_BYTES)
            } else if is(&names.subject) {
                (&mut fields.subject, MAX_NAME_HEADER_BYTES)
            } else if is(&names.issuer) {
                (&mut fields.issuer, MAX_NAME_HEADER_BYTES)
            } else {
                continue;
            };
            if field.is_some() {
                return Err(DenyReason::MalformedHeader);
            }
            if value.len() > limit {
                return Err(DenyReason::MalformedHeader);
            }
            if !value.iter().all(|byte| (0x20..=0x7E).contains(byte)) {
                return Err(DenyReason::MalformedHeader);
            }
            *field = Some(value);
        }
        Ok(fields.without_empty())
    }

    /// Whether anything about a certificate was sent.
    pub(super) fn has_material(&self) -> bool {
        [self.certificate, self.serial, self.subject, self.issuer].iter().any(Option::is_some)
    }

    fn without_empty(self) -> Self {
        let keep = |field: Option<&'r [u8]>| field.filter(|value| !value.is_empty());
        Self {
            verify: keep(self.verify),
            certificate: keep(self.certificate),
            serial: keep(self.serial),
            subject: keep(self.subject),
            issuer: keep(self.issuer),
        }
    }
}
