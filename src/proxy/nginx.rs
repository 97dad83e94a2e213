//! nginx: `$ssl_client_verify` and `$ssl_client_escaped_cert`.
//! <https://nginx.org/en/docs/http/ngx_http_ssl_module.html#variables>

use super::percent::percent_decode_strict;
use super::sent::{HeaderError, Sent};
use super::verify::{Failure, VerifyResult};

/// Reads `SUCCESS`, `NONE` or `FAILED:reason` (reason since 1.11.7), byte for byte. Anything else
/// is a failure.
pub(super) fn verify(value: Option<&[u8]>) -> VerifyResult {
    match value {
        None | Some(b"NONE") => VerifyResult::Absent,
        Some(b"SUCCESS") => VerifyResult::Success,
        Some(other) => VerifyResult::Failed(
            other.strip_prefix(b"FAILED:").map_or(Failure::Other, Failure::from_openssl_text),
        ),
    }
}

/// Reads PEM, percent-encoded once (since 1.13.5). A `+` is a digit of base64, never a space.
pub(super) fn decode(material: &[u8]) -> Result<Sent, HeaderError> {
    Ok(Sent::Pem(percent_decode_strict(material)?))
}

#[cfg(test)]
mod tests {
    use super::verify;
    use crate::proxy::verify::{Failure, VerifyResult};

    #[test]
    fn only_the_exact_word_is_a_success() {
        assert_eq!(verify(Some(b"SUCCESS")), VerifyResult::Success);
        for absent in [None, Some(&b"NONE"[..])] {
            assert_eq!(verify(absent), VerifyResult::Absent);
        }
        for other in [
            "success",
            "Success",
            "SUCCESS ",
            " SUCCESS",
            "SUCCESS:x",
            "SUCCESS,SUCCESS",
            "SUCCESS, SUCCESS",
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
            let read = verify(Some(other.as_bytes()));
            assert_eq!(read, VerifyResult::Failed(Failure::Other), "{other}");
        }
    }

    #[test]
    fn known_failures_are_told_apart() {
        let text = b"FAILED:certificate has expired";
        assert_eq!(verify(Some(text)), VerifyResult::Failed(Failure::Expired));
        let text = b"FAILED:certificate has expired ";
        assert_eq!(verify(Some(text)), VerifyResult::Failed(Failure::Other));
    }
}
