//! Signatures over certificates and CRLs: which algorithms are good enough, in one list.
//!
//! Everything is verified by webpki and ring: no SHA-1, no RSA below 2048 bits. x509-parser's own
//! `verify` accepts both and must not be used.

use rustls::pki_types::SignatureVerificationAlgorithm;
use webpki::ring;

use super::der::{self, DerError};

/// Every signature algorithm that counts, RFC 5280 4.1.1.2. What is not here (P-521 among it, which
/// ring does not verify) is refused.
pub(super) const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
    ring::ED25519,
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Why bytes are not signed by a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum SignatureError {
    /// Not in [`ALGORITHMS`], or not for keys of this kind.
    #[error("the signature algorithm is not accepted")]
    Algorithm,
    /// The key is not one.
    #[error("the key does not parse: {0}")]
    Key(#[from] DerError),
    /// The signature is another one's, or of other bytes.
    #[error("the signature does not verify")]
    Mismatch,
}

/// Checks that the key of `spki` signed `message` (`spki` and `algorithm` are whole SEQUENCEs).
/// Anything that is not understood fails.
pub(super) fn verify(
    spki: &[u8],
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let algorithm = der::single(algorithm, der::SEQUENCE)?.content;
    let mut key = der::single(spki, der::SEQUENCE)?.reader();
    let key_algorithm = key.expect(der::SEQUENCE)?.content;
    let bits = key.expect(der::BIT_STRING)?;
    key.finish()?;
    let Some((key, 0)) = der::bit_string(bits.content) else {
        return Err(DerError::Content { tag: der::BIT_STRING }.into());
    };
    let fitting = ALGORITHMS.iter().filter(|known| {
        let is_signature = known.signature_alg_id().as_ref() == algorithm;
        is_signature && known.public_key_alg_id().as_ref() == key_algorithm
    });
    let mut outcome = Err(SignatureError::Algorithm);
    for known in fitting {
        match known.verify_signature(key, message, signature) {
            Ok(()) => return Ok(()),
            Err(_) => outcome = Err(SignatureError::Mismatch),
        }
    }
    outcome
}
