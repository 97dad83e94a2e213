//! HAProxy: `ssl_c_used`, `ssl_c_verify` and `ssl_c_der,base64`.
//! <https://docs.haproxy.org/2.6/configuration.html#7.3.4-ssl_c_der>

use super::sent::{HeaderError, Sent, decode_base64};
use super::verify::{Failure, VerifyResult};

/// Reads both words: without a certificate HAProxy says used `0` and verify `0`, so that verify's
/// `0` counts only beside used `1`. A failure is a failure even if nothing was used.
pub(super) fn verify(used: Option<&[u8]>, verify: Option<&[u8]>) -> VerifyResult {
    match (used, verify) {
        (Some(b"1"), Some(b"0")) => VerifyResult::Success,
        (None | Some(b"0"), None | Some(b"0")) => VerifyResult::Absent,
        (_, None | Some(b"0")) => VerifyResult::Failed(Failure::Other),
        (_, Some(number)) => VerifyResult::Failed(Failure::from_openssl_number(number)),
    }
}

/// Reads DER in base64.
pub(super) fn decode(material: &[u8]) -> Result<Sent, HeaderError> {
    Ok(Sent::leaf(decode_base64(material)?))
}

#[cfg(test)]
mod tests {
    use super::verify;
    use crate::proxy::verify::{Failure, VerifyResult};

    #[test]
    fn success_needs_both_words() {
        use VerifyResult::{Absent, Failed, Success};
        let table = [
            (Some("1"), Some("0"), Success),
            (Some("0"), Some("0"), Absent),
            (None, Some("0"), Absent),
            (Some("0"), None, Absent),
            (None, None, Absent),
            (Some("1"), None, Failed(Failure::Other)),
            (Some("2"), Some("0"), Failed(Failure::Other)),
            (Some("01"), Some("0"), Failed(Failure::Other)),
            (Some("1, 1"), Some("0"), Failed(Failure::Other)),
            (Some("true"), Some("0"), Failed(Failure::Other)),
            (Some("1"), Some("00"), Failed(Failure::Other)),
            (Some("1"), Some("-0"), Failed(Failure::Other)),
            (Some("1"), Some("0, 0"), Failed(Failure::Other)),
            (Some("1"), Some("SUCCESS"), Failed(Failure::Other)),
            (Some("1"), Some("10"), Failed(Failure::Expired)),
            (Some("0"), Some("10"), Failed(Failure::Expired)),
            (None, Some("23"), Failed(Failure::Revoked)),
        ];
        for (used, verdict, expected) in table {
            let read = verify(used.map(str::as_bytes), verdict.map(str::as_bytes));
            assert_eq!(read, expected, "{used:?} {verdict:?}");
        }
    }
}
