//! The security headers of one request, each counted.

use std::borrow::Cow;

use crate::reason::DenyReason;

/// Longest certificate header in bytes: 32 KiB of DER are 44 KiB of PEM, and escaping adds a few
/// per cent; what is longer than this cannot be read at all. All lines of a chain together have
/// the same limit.
const MAX_CERTIFICATE_HEADER_BYTES: usize = 96 * 1024;

/// Longest header that holds a name; a whole subject of 64 RDNs fits.
const MAX_NAME_HEADER_BYTES: usize = 8 * 1024;

/// Longest header that holds a serial or the verdict; OpenSSL's longest reason has 60 bytes.
const MAX_SHORT_HEADER_BYTES: usize = 256;

/// What stands between the lines of a certificate's material: no header holds it.
pub(super) const LINE_END: u8 = b'\n';

/// The headers of a request, whatever holds them.
pub trait Headers {
    /// Every line of the headers that [`HeaderNames::all`] names, in the order in which they came
    /// where one has several; the name in lower case. Lines of others may be among them.
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])>;
}

/// Which headers carry what, in lower case; none where the dialect has no such header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderNames {
    /// The proxy's verdict.
    pub verify: Option<String>,
    /// Whether the client showed a certificate at all, where the verdict alone does not tell.
    pub used: Option<String>,
    /// The certificate itself.
    pub certificate: Option<String>,
    /// The certificates between it and a trusted CA; the one header that may have several lines.
    pub chain: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its subject's name.
    pub subject: Option<String>,
    /// Its issuer's name.
    pub issuer: Option<String>,
}

impl HeaderNames {
    /// Every header that is read.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let Self { verify, used, certificate, chain, serial, subject, issuer } = self;
        let names = [verify, used, certificate, chain, serial, subject, issuer];
        names.into_iter().filter_map(|name| name.as_deref())
    }
}

/// The security headers; empty is absent, and so is the dialect's own word for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields<'r> {
    pub(super) verify: Option<&'r [u8]>,
    pub(super) used: Option<&'r [u8]>,
    pub(super) certificate: Option<&'r [u8]>,
    pub(super) chain: Vec<&'r [u8]>,
    pub(super) serial: Option<&'r [u8]>,
    pub(super) subject: Option<&'r [u8]>,
    pub(super) issuer: Option<&'r [u8]>,
}

impl<'r> Fields<'r> {
    /// Collects the security headers and leaves the others alone. `nothing` is what the dialect
    /// writes where it has nothing to say.
    ///
    /// In a dialect without a header for chains the certificate's own bytes are left to
    /// [`Fields::check_certificate`], for whoever uses or leaves them: of one that is remembered
    /// they were looked at before.
    ///
    /// # Errors
    /// `malformed_header`: one of them twice (even if equal or empty: whose is the second?), with
    /// a byte that is not printable ASCII, or too long.
    pub(super) fn collect(
        names: &HeaderNames,
        nothing: &[u8],
        headers: &'r impl Headers,
    ) -> Result<Self, DenyReason> {
        let mut fields = Self::default();
        let mut chain_room = MAX_CERTIFICATE_HEADER_BYTES;
        for (name, value) in headers.lines() {
            let is = |wanted: &Option<String>| wanted.as_deref() == Some(name);
            if is(&names.chain) {
                check(value, chain_room)?;
                chain_room -= value.len();
                fields.chain.push(value);
                continue;
            }
            let (field, limit) = if is(&names.certificate) {
                (&mut fields.certificate, MAX_CERTIFICATE_HEADER_BYTES)
            } else if is(&names.verify) {
                (&mut fields.verify, MAX_SHORT_HEADER_BYTES)
            } else if is(&names.used) {
                (&mut fields.used, MAX_SHORT_HEADER_BYTES)
            } else if is(&names.serial) {
                (&mut fields.serial, MAX_SHORT_HEADER_BYTES)
            } else if is(&names.subject) {
                (&mut fields.subject, MAX_NAME_HEADER_BYTES)
            } else if is(&names.issuer) {
                (&mut fields.issuer, MAX_NAME_HEADER_BYTES)
            } else {
                continue;
            };
            // With such a header at once: what is remembered must not be one of a line and what looks like
            // the end of it.
            if names.chain.is_some() || !is(&names.certificate) {
                check(value, limit)?;
            }
            if field.replace(value).is_some() {
                return Err(DenyReason::MalformedHeader);
            }
        }
        Ok(fields.without(nothing))
    }

    /// Whether the certificate's header can hold one, whatever it says.
    ///
    /// # Errors
    /// `malformed_header`: a byte that is not printable ASCII, or too long.
    pub(super) fn check_certificate(&self) -> Result<(), DenyReason> {
        self.certificate.map_or(Ok(()), |value| check(value, MAX_CERTIFICATE_HEADER_BYTES))
    }

    /// Whether anything about a certificate was sent.
    pub(super) fn has_material(&self) -> bool {
        let single = [self.certificate, self.serial, self.subject, self.issuer];
        single.iter().any(Option::is_some) || !self.chain.is_empty()
    }

    /// Everything that a certificate is parsed from: its header, then each line of its chain, with
    /// [`LINE_END`] before each. Whoever parses this and nothing else may remember the result
    /// under it. `None` where there is no certificate.
    pub(super) fn material(&self) -> Option<Cow<'r, [u8]>> {
        let certificate = self.certificate?;
        if self.chain.is_empty() {
            return Some(Cow::Borrowed(certificate));
        }
        let mut material = certificate.to_vec();
        for line in &self.chain {
            material.push(LINE_END);
            material.extend_from_slice(line);
        }
        Some(Cow::Owned(material))
    }

    fn without(mut self, nothing: &[u8]) -> Self {
        let says = |value: &&'r [u8]| !value.is_empty() && *value != nothing;
        self.chain.retain(says);
        Self {
            verify: self.verify.filter(says),
            used: self.used.filter(says),
            certificate: self.certificate.filter(says),
            chain: self.chain,
            serial: self.serial.filter(says),
            subject: self.subject.filter(says),
            issuer: self.issuer.filter(says),
        }
    }
}

fn check(value: &[u8], limit: usize) -> Result<(), DenyReason> {
    if value.len() > limit {
        return Err(DenyReason::MalformedHeader);
    }
    // One maximum over all bytes, without an early end, is many bytes at a time: a certificate has
    // thousands, and one by one they are a quarter of all work for a request.
    let most = value.iter().fold(0, |most: u8, byte| most.max(byte.wrapping_sub(b' ')));
    if most <= b'~' - b' ' { Ok(()) } else { Err(DenyReason::MalformedHeader) }
}
