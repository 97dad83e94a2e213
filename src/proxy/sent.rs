//! A certificate out of its header's encoding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::percent::PercentError;
use super::shown::Shown;
use crate::pki::{Certificate, CertificateError};
use crate::reason::DenyReason;

/// Certificates of a chain, the leaf apart; real chains have one to three.
pub(super) const MAX_CHAIN_CERTIFICATES: usize = 10;

/// What a certificate header holds, decoded and not yet looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Text that should be one PEM block.
    Pem(Vec<u8>),
    /// What should be DER, leaf and chain, the leaf's issuer first.
    Der {
        /// The client's own.
        leaf: Vec<u8>,
        /// The others that came with it.
        chain: Vec<Vec<u8>>,
    },
}

/// Why a certificate header cannot be decoded: the code is `malformed_header` for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderError {
    /// Not base64 in its canonical form (RFC 4648, section 4), or none at all.
    #[error("not canonical base64")]
    Base64,
    /// Not a byte sequence (RFC 9651, section 3.3.5) and nothing else.
    #[error("not a byte sequence between colons")]
    ByteSequence,
    /// More certificates than [`MAX_CHAIN_CERTIFICATES`] beside the leaf.
    #[error("more than {MAX_CHAIN_CERTIFICATES} certificates in the chain")]
    ChainTooLong,
    /// A percent sign that begins no escape.
    #[error(transparent)]
    Percent(#[from] PercentError),
}

impl Sent {
    /// A leaf without a chain.
    pub(super) fn leaf(leaf: Vec<u8>) -> Self {
        Self::Der { leaf, chain: Vec::new() }
    }

    /// Parses it. Fails closed: one bad certificate of a chain refuses all of it.
    ///
    /// # Errors
    /// `certificate_too_large` or `certificate_malformed`.
    pub(super) fn parse(self) -> Result<Shown, DenyReason> {
        let (certificate, chain) = match self {
            Self::Pem(text) => (Certificate::from_pem(&text), Vec::new()),
            Self::Der { leaf, chain } => (Certificate::from_der(&leaf), chain),
        };
        let mut shown = Shown::from(certificate.map_err(reason)?);
        let chain: Result<Vec<_>, _> = chain.iter().map(|der| Certificate::from_der(der)).collect();
        shown.chain = chain.map_err(reason)?;
        Ok(shown)
    }
}

fn reason(error: CertificateError) -> DenyReason {
    match error {
        CertificateError::TooLarge { .. } => DenyReason::CertificateTooLarge,
        _ => DenyReason::CertificateMalformed,
    }
}

/// Decodes base64 with its padding, without line ends, in the one form that encoders write.
pub(super) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, HeaderError> {
    if text.is_empty() {
        return Err(HeaderError::Base64);
    }
    STANDARD.decode(text).map_err(|_| HeaderError::Base64)
}

#[cfg(test)]
mod tests {
    use super::{HeaderError, decode_base64};

    #[test]
    fn base64_has_one_form() {
        assert_eq!(decode_base64(b"MAA="), Ok(vec![0x30, 0]));
        assert_eq!(decode_base64(b"+/+/"), Ok(vec![0xFB, 0xFF, 0xBF]));
        for other in ["", "MAA", "MAB=", "MAA=\n", " MAA=", "MA A=", "-_-_", "MAA==", "MAA=MAA="] {
            assert_eq!(decode_base64(other.as_bytes()), Err(HeaderError::Base64), "{other:?}");
        }
    }
}
