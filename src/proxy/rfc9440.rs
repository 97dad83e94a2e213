//! RFC 9440: `Client-Cert` and `Client-Cert-Chain`, as structured fields (RFC 9651).
//! <https://www.rfc-editor.org/rfc/rfc9440.html#section-2>
//!
//! The RFC has no word about verification; nginx's is used beside it.

use super::fields::LINE_END;
use super::sent::{HeaderError, MAX_CHAIN_CERTIFICATES, Sent, decode_base64};

/// Reads `Client-Cert` (section 2.2), exactly one byte sequence, and the lines of
/// `Client-Cert-Chain` (section 2.3), a list of them. Neither may have parameters.
pub(super) fn decode(material: &[u8]) -> Result<Sent, HeaderError> {
    let mut lines = material.split(|byte| *byte == LINE_END);
    let leaf = byte_sequence(lines.next().unwrap_or_default())?;
    let mut chain = Vec::new();
    for member in lines.flat_map(|line| line.split(|byte| *byte == b',')) {
        if chain.len() == MAX_CHAIN_CERTIFICATES {
            return Err(HeaderError::ChainTooLong);
        }
        // White space is optional on both sides of a list's comma (RFC 9651, section 4.2.1).
        chain.push(byte_sequence(member.trim_ascii())?);
    }
    Ok(Sent::Der { leaf, chain })
}

fn byte_sequence(text: &[u8]) -> Result<Vec<u8>, HeaderError> {
    let inner = text.strip_prefix(b":").and_then(|text| text.strip_suffix(b":"));
    decode_base64(inner.ok_or(HeaderError::ByteSequence)?)
}

#[cfg(test)]
mod tests {
    use super::{HeaderError, MAX_CHAIN_CERTIFICATES, Sent, decode};

    #[test]
    fn a_chain_may_be_split_over_lines() {
        let der = vec![0x30, 0];
        let chain = vec![der.clone(), der.clone(), der.clone()];
        for text in [":MAA=:\n:MAA=:, :MAA=:,:MAA=:", ":MAA=:\n:MAA=:\n:MAA=: , :MAA=:"] {
            let expected = Sent::Der { leaf: der.clone(), chain: chain.clone() };
            assert_eq!(decode(text.as_bytes()), Ok(expected), "{text:?}");
        }
        assert_eq!(decode(b":MAA=:"), Ok(Sent::leaf(der)));
    }

    #[test]
    fn nothing_but_byte_sequences_is_read() {
        for text in [
            "",
            ":",
            "MAA=",
            ":MAA=",
            "MAA=:",
            " :MAA=:",
            ":MAA=: ",
            ":MAA=:;a=1",
            "\"MAA=\"",
            ":MAA=:\n",
            ":MAA=:\n:MAA=:,",
            ":MAA=:\n:MAA=:;a, :MAA=:",
            ":MAA=:\n(:MAA=:)",
        ] {
            assert_eq!(decode(text.as_bytes()), Err(HeaderError::ByteSequence), "{text:?}");
        }
        for text in ["::", ":MAA:", ":MAA=:, :MAA=:", ": MAA=:", ":MAA=:\n::", ":MA%3D:"] {
            assert_eq!(decode(text.as_bytes()), Err(HeaderError::Base64), "{text:?}");
        }
    }

    #[test]
    fn a_chain_has_a_limit() {
        let list = |count: usize| format!(":MAA=:\n{}", vec![":MAA=:"; count].join(", "));
        assert!(decode(list(MAX_CHAIN_CERTIFICATES).as_bytes()).is_ok());
        let longer = list(MAX_CHAIN_CERTIFICATES + 1);
        assert_eq!(decode(longer.as_bytes()), Err(HeaderError::ChainTooLong));
    }
}
