//! Files that hold certificates: DER, PEM with several, and PKCS #7 that carries nothing else.
//!
//! It takes a file apart and judges none of the certificates in it. What is truncated or not all
//! certificates is refused whole: what such a file still holds is not what was meant.

use super::pem;
use super::{MAX_CERTIFICATE_DER_BYTES, PemError};
use crate::pki::der::{self, DerError, Reader};

/// The DER of every certificate in a file: one certificate in DER, a `certs-only` PKCS #7 message
/// in DER (RFC 5652 5.1 with nothing signed), or PEM with any number of either.
///
/// PEM blocks of other kinds beside them, such as keys, are passed over. The certificates are not
/// parsed: each is for [`super::Certificate::from_der`], so that one that is broken can be named.
///
/// # Errors
/// Nothing of the file counts.
pub fn split_certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, BundleError> {
    if bytes.len() > MAX_BUNDLE_BYTES {
        return Err(BundleError::TooLarge { bytes: bytes.len() });
    }
    let Some(blocks) = pem::labelled(bytes)? else {
        return from_der(bytes);
    };
    let mut found = Vec::new();
    for (label, body) in &blocks {
        match *label {
            CERTIFICATE | X509_CERTIFICATE => found.push(pem::decode_body(body, &mut || {})?),
            PKCS7 | CMS => found.extend(certs_only(&pem::decode_body(body, &mut || {})?)?),
            _ => {}
        }
        if found.len() > MAX_CERTIFICATES {
            return Err(BundleError::TooMany);
        }
    }
    if found.is_empty() {
        let label = blocks.first().map(|(label, _)| *label).unwrap_or_default();
        return Err(pem::other_label(label).into());
    }
    Ok(found)
}

/// Why a file is not one of certificates alone.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// No certificate in it.
    #[error("the PKCS #7 message holds no certificate")]
    Empty,
    /// Neither a certificate nor a PKCS #7 message.
    #[error("neither PEM nor DER of a certificate or of PKCS #7: {0}")]
    NotDer(#[from] DerError),
    /// Something else than X.509 certificates among them.
    #[error("the PKCS #7 message holds something that is no X.509 certificate")]
    OtherCertificate,
    /// Another message than signed data.
    #[error("this PKCS #7 message is of another type than signed data")]
    OtherContent,
    /// PEM that is broken, or of other things.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A message that says something: its certificates are there to check it, not to be given.
    #[error("this PKCS #7 message is signed content, not a bundle of certificates")]
    Signed,
    /// Above [`MAX_BUNDLE_BYTES`].
    #[error("a file of certificates has at most {MAX_BUNDLE_BYTES} bytes, this one {bytes}")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// More certificates than any file should hold.
    #[error("a file holds at most {MAX_CERTIFICATES} certificates")]
    TooMany,
}

/// A file that is one DER value: a certificate begins with a sequence, a message with its type.
fn from_der(bytes: &[u8]) -> Result<Vec<Vec<u8>>, BundleError> {
    let outer = der::single(bytes, der::SEQUENCE)?;
    let mut fields = outer.reader();
    if fields.optional(der::OBJECT_IDENTIFIER)?.is_some() {
        return certs_only(bytes);
    }
    if bytes.len() > MAX_CERTIFICATE_DER_BYTES {
        return Err(BundleError::TooLarge { bytes: bytes.len() });
    }
    Ok(vec![bytes.to_vec()])
}

/// The certificates of a SignedData without content and without signers (RFC 5652 5.1), which is
/// how certificates are handed out.
fn certs_only(bytes: &[u8]) -> Result<Vec<Vec<u8>>, BundleError> {
    der::check(bytes)?;
    let mut message = der::single(bytes, der::SEQUENCE)?.reader();
    if message.expect(der::OBJECT_IDENTIFIER)?.content != SIGNED_DATA {
        return Err(BundleError::OtherContent);
    }
    let explicit = message.expect(CONTENT)?;
    message.finish()?;
    let mut signed = der::single(explicit.content, der::SEQUENCE)?.reader();
    signed.expect(der::INTEGER)?;
    signed.expect(der::SET)?;
    let mut content = signed.expect(der::SEQUENCE)?.reader();
    content.expect(der::OBJECT_IDENTIFIER)?;
    if !content.is_empty() {
        return Err(BundleError::Signed);
    }
    let certificates = signed.optional(CERTIFICATES)?;
    signed.optional(LISTS)?;
    if !signed.expect(der::SET)?.content.is_empty() {
        return Err(BundleError::Signed);
    }
    signed.finish()?;
    let found = match certificates {
        Some(set) => each(set.reader())?,
        None => Vec::new(),
    };
    if found.is_empty() { Err(BundleError::Empty) } else { Ok(found) }
}

fn each(mut set: Reader<'_>) -> Result<Vec<Vec<u8>>, BundleError> {
    let mut found = Vec::new();
    while !set.is_empty() {
        let one = set.any()?;
        if one.tag != der::SEQUENCE {
            return Err(BundleError::OtherCertificate);
        }
        found.push(one.raw.to_vec());
        if found.len() > MAX_CERTIFICATES {
            return Err(BundleError::TooMany);
        }
    }
    Ok(found)
}

const CERTIFICATE: &[u8] = b"CERTIFICATE";
/// What some old programs call it.
const X509_CERTIFICATE: &[u8] = b"X509 CERTIFICATE";
const PKCS7: &[u8] = b"PKCS7";
const CMS: &[u8] = b"CMS";
/// 1.2.840.113549.1.7.2, content octets.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// Context-specific identifier octets, RFC 5652 3 and 5.1.
const CONTENT: u8 = 0xa0;
const CERTIFICATES: u8 = 0xa0;
const LISTS: u8 = 0xa1;
/// Bytes: 100,000 certificates of two kilobytes in PEM, twice; it bounds the memory.
pub const MAX_BUNDLE_BYTES: usize = 512 * 1024 * 1024;
/// Certificates of one file: as many as the largest directory has.
const MAX_CERTIFICATES: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        der::push(&mut out, tag, &parts.concat());
        out
    }

    /// A message with these certificates, this inner content and these signers.
    fn message(kind: &[u8], certificates: &[u8], content: &[u8], signers: &[u8]) -> Vec<u8> {
        let kind = value(der::OBJECT_IDENTIFIER, &[kind]);
        let data = value(der::OBJECT_IDENTIFIER, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1]]);
        let inner = value(der::SEQUENCE, &[&data, content]);
        let certificates = match certificates {
            [] => Vec::new(),
            some => value(CERTIFICATES, &[some]),
        };
        let signers = value(der::SET, &[signers]);
        let version = value(der::INTEGER, &[&[1]]);
        let digests = value(der::SET, &[]);
        let parts = [&version[..], &digests, &inner, &certificates, &signers];
        let signed = value(der::SEQUENCE, &parts);
        value(der::SEQUENCE, &[&kind, &value(CONTENT, &[&signed])])
    }

    #[test]
    fn a_bundle_of_certificates_alone_is_taken_apart() {
        let (one, two) = (value(der::SEQUENCE, &[b"\x05\x00"]), value(der::SEQUENCE, &[]));
        let both = [one.clone(), two.clone()].concat();
        let bundle = message(SIGNED_DATA, &both, &[], &[]);
        assert_eq!(split_certificates(&bundle), Ok(vec![one, two]));
    }

    #[test]
    fn any_other_message_is_refused_with_what_is_wrong() {
        let one = value(der::SEQUENCE, &[]);
        let content = value(CONTENT, &[&value(der::OCTET_STRING, &[b"hello"])]);
        let signer = value(der::SEQUENCE, &[]);
        let attribute = value(0xa1, &[]);
        let enveloped = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3];
        for (bytes, expected) in [
            (message(SIGNED_DATA, &[], &[], &[]), BundleError::Empty),
            (message(SIGNED_DATA, &one, &content, &[]), BundleError::Signed),
            (message(SIGNED_DATA, &one, &[], &signer), BundleError::Signed),
            (message(SIGNED_DATA, &attribute, &[], &[]), BundleError::OtherCertificate),
            (message(&enveloped, &one, &[], &[]), BundleError::OtherContent),
            (b"garbage".to_vec(), DerError::Unexpected { expected: der::SEQUENCE }.into()),
            (Vec::new(), DerError::Unexpected { expected: der::SEQUENCE }.into()),
        ] {
            assert_eq!(split_certificates(&bytes), Err(expected), "{bytes:02x?}");
        }
        let whole = message(SIGNED_DATA, &one, &[], &[]);
        for length in 0..whole.len() {
            assert!(split_certificates(&whole[..length]).is_err(), "{length}");
        }
        let trailing = [whole, vec![0]].concat();
        assert_eq!(split_certificates(&trailing), Err(DerError::Trailing.into()));
    }

    #[test]
    fn a_file_of_pem_without_a_certificate_says_so() {
        let key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(split_certificates(key), Err(BundleError::Pem(PemError::PrivateKey)));
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert_eq!(split_certificates(cut), Err(BundleError::Pem(PemError::Truncated)));
    }
}
