//! What the proxy says of the handshake.

use crate::reason::DenyReason;

/// The proxy's verdict on the client's certificate, nginx `$ssl_client_verify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyResult {
    /// No certificate: absent, empty, or the word for none.
    Absent,
    /// A certificate that did not verify.
    Failed(Failure),
    /// A certificate that did.
    Success,
}

/// Why a certificate did not verify, as far as the proxy's text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Past its `notAfter`.
    Expired,
    /// Before its `notBefore`.
    NotYetValid,
    /// Anything else, and every text that is not exactly known.
    Other,
    /// On the proxy's CRL.
    Revoked,
    /// No chain to a trusted CA.
    UnknownIssuer,
}

impl VerifyResult {
    /// Reads nginx's `SUCCESS`, `NONE` or `FAILED:reason` (reason since 1.11.7), byte for byte.
    ///
    /// The texts are OpenSSL's `X509_verify_cert_error_string`, of 1.1 and 3. Anything not known
    /// is a failure.
    #[must_use]
    pub fn parse_nginx(value: Option<&[u8]>) -> Self {
        match value {
            None | Some(b"" | b"NONE") => Self::Absent,
            Some(b"SUCCESS") => Self::Success,
            Some(other) => {
                Self::Failed(other.strip_prefix(b"FAILED:").map_or(Failure::Other, failure))
            }
        }
    }
}

fn failure(reason: &[u8]) -> Failure {
    match reason {
        b"certificate has expired" => Failure::Expired,
        b"certificate is not yet valid" => Failure::NotYetValid,
        b"certificate revoked" => Failure::Revoked,
        b"unable to verify the first certificate"
        | b"unable to get local issuer certificate"
        | b"unable to get issuer certificate"
        | b"self signed certificate"
        | b"self-signed certificate"
        | b"self signed certificate in certificate chain"
        | b"self-signed certificate in certificate chain" => Failure::UnknownIssuer,
        _ => Failure::Other,
    }
}

impl Failure {
    /// The code that tells of it.
    #[must_use]
    pub fn reason(self) -> DenyReason {
        match self {
            Self::Expired => DenyReason::CertificateExpired,
            Self::NotYetValid => DenyReason::CertificateNotYetValid,
            Self::Other => DenyReason::NotVerified,
            Self::Revoked => DenyReason::CertificateRevoked,
            Self::UnknownIssuer => DenyReason::ChainUntrusted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, VerifyResult};

    #[test]
    fn only_the_exact_word_is_a_success() {
        assert_eq!(VerifyResult::parse_nginx(Some(b"SUCCESS")), VerifyResult::Success);
        for absent in [None, Some(&b""[..]), Some(b"NONE")] {
            assert_eq!(VerifyResult::parse_nginx(absent), VerifyResult::Absent);
        }
        for other in [
            "success",
            "Success",
            "SUCCESS ",
            " SUCCESS",
            "SUCCESS:x",
            "SUCCESS,SUCCESS",
            "none",
            "SUCCESS\0",
            "FAILED",
            "FAILED:",
            "GENEROUS",
            "0",
            "1",
            "(null)",
            "FAILED:SUCCESS",
        ] {
            let read = VerifyResult::parse_nginx(Some(other.as_bytes()));
            assert_eq!(read, VerifyResult::Failed(Failure::Other), "{other}");
        }
    }

    #[test]
    fn known_failures_are_told_apart() {
        let table = [
            ("certificate has expired", Failure::Expired),
            ("certificate is not yet valid", Failure::NotYetValid),
            ("certificate revoked", Failure::Revoked),
            ("unable to verify the first certificate", Failure::UnknownIssuer),
            ("unable to get local issuer certificate", Failure::UnknownIssuer),
            ("self-signed certificate in certificate chain", Failure::UnknownIssuer),
            ("certificate has expired ", Failure::Other),
            ("CRL has expired", Failure::Other),
            ("unsuitable certificate purpose", Failure::Other),
        ];
        for (reason, failure) in table {
            let text = format!("FAILED:{reason}");
            assert_eq!(
                VerifyResult::parse_nginx(Some(text.as_bytes())),
                VerifyResult::Failed(failure),
                "{reason}"
            );
        }
    }
}
