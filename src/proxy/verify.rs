//! What the proxy says of the handshake.

use crate::reason::DenyReason;

/// The proxy's verdict on the client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyResult {
    /// No certificate: absent, empty, or the word for none.
    Absent,
    /// A certificate that did not verify.
    Failed(Failure),
    /// A certificate that did.
    Success,
    /// The dialect has no such word: whether there is a certificate, and whether it verified, is
    /// not said.
    Unsaid,
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

/// One of OpenSSL's verification errors: its number, and its texts in 1.1 and 3.
/// <https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/#error-codes>
struct Known(&'static str, &'static [&'static str], Failure);

const KNOWN: &[Known] = &[
    Known("2", &["unable to get issuer certificate"], Failure::UnknownIssuer),
    Known("9", &["certificate is not yet valid"], Failure::NotYetValid),
    Known("10", &["certificate has expired"], Failure::Expired),
    Known("18", &["self signed certificate", "self-signed certificate"], Failure::UnknownIssuer),
    Known(
        "19",
        &[
            "self signed certificate in certificate chain",
            "self-signed certificate in certificate chain",
        ],
        Failure::UnknownIssuer,
    ),
    Known("20", &["unable to get local issuer certificate"], Failure::UnknownIssuer),
    Known("21", &["unable to verify the first certificate"], Failure::UnknownIssuer),
    Known("23", &["certificate revoked"], Failure::Revoked),
];

impl Failure {
    /// Reads the text of `X509_verify_cert_error_string`, as nginx and Apache send it.
    pub(super) fn from_openssl_text(text: &[u8]) -> Self {
        Self::find(|Known(_, texts, _)| texts.iter().any(|known| known.as_bytes() == text))
    }

    /// Reads the number of `SSL_get_verify_result` in decimal, as HAProxy sends it.
    pub(super) fn from_openssl_number(text: &[u8]) -> Self {
        Self::find(|Known(number, _, _)| number.as_bytes() == text)
    }

    fn find(is_it: impl Fn(&Known) -> bool) -> Self {
        KNOWN.iter().find(|known| is_it(known)).map_or(Self::Other, |Known(_, _, failure)| *failure)
    }

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
    use super::Failure;

    #[test]
    fn texts_and_numbers_of_openssl_are_told_apart() {
        let table = [
            ("certificate has expired", "10", Failure::Expired),
            ("certificate is not yet valid", "9", Failure::NotYetValid),
            ("certificate revoked", "23", Failure::Revoked),
            ("unable to get issuer certificate", "2", Failure::UnknownIssuer),
            ("self-signed certificate", "18", Failure::UnknownIssuer),
            ("self signed certificate", "18", Failure::UnknownIssuer),
            ("self-signed certificate in certificate chain", "19", Failure::UnknownIssuer),
            ("unable to get local issuer certificate", "20", Failure::UnknownIssuer),
            ("unable to verify the first certificate", "21", Failure::UnknownIssuer),
            ("CRL has expired", "12", Failure::Other),
            ("unsuitable certificate purpose", "26", Failure::Other),
            ("certificate has expired ", "010", Failure::Other),
            ("Certificate has expired", "10 ", Failure::Other),
            ("ok", "0", Failure::Other),
            ("", "", Failure::Other),
        ];
        for (text, number, failure) in table {
            assert_eq!(Failure::from_openssl_text(text.as_bytes()), failure, "{text}");
            assert_eq!(Failure::from_openssl_number(number.as_bytes()), failure, "{number}");
        }
    }
}
