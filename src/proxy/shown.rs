//! What was presented.

use std::sync::Arc;

use crate::pki::{Certificate, Identity};

/// What was presented.
#[derive(Clone, Debug)]
pub enum Presented {
    /// No certificate at all.
    Nobody,
    /// A certificate that the proxy verified.
    Certificate(Arc<Shown>),
    /// Text of a certificate that the proxy verified.
    Headers(Box<Identity>),
}

/// A certificate with what is asked of it again and again.
#[derive(Debug)]
pub struct Shown {
    /// The certificate.
    pub certificate: Certificate,
    /// Its columns.
    pub identity: Identity,
    /// The certificates that the proxy sent with it, its issuer's first, if the dialect has them.
    /// Claims, not facts: nobody has verified a signature of theirs here.
    pub chain: Vec<Certificate>,
    pub(super) subject_text: String,
    pub(super) issuer_text: String,
    pub(super) serial_text: String,
}

impl From<Certificate> for Shown {
    fn from(certificate: Certificate) -> Self {
        Self {
            identity: Identity::from_certificate(&certificate),
            chain: Vec::new(),
            subject_text: certificate.subject.to_string(),
            issuer_text: certificate.issuer.to_string(),
            serial_text: certificate.serial.to_string(),
            certificate,
        }
    }
}
