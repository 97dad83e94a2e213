//! Strict percent-decoding, RFC 3986 2.1.

use percent_encoding::percent_decode;

/// A `%` that no two hexadecimal digits follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a % without two hexadecimal digits at byte {position}")]
pub struct PercentError {
    /// Where it is, from 0.
    pub position: usize,
}

/// Decodes once. A `+` stays a `+`: base64 uses it, and nginx never means a space by it.
///
/// # Errors
/// A `%` that is no escape; a lenient reader would keep it and read two texts as one.
pub fn percent_decode_strict(text: &[u8]) -> Result<Vec<u8>, PercentError> {
    for (position, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let digits = text.get(position + 1..position + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(PercentError { position });
        }
    }
    Ok(percent_decode(text).collect())
}

#[cfg(test)]
mod tests {
    use super::{PercentError, percent_decode_strict};

    #[test]
    fn only_whole_escapes_are_decoded_and_plus_stays() {
        assert_eq!(percent_decode_strict(b"a%2Bb+c%0a"), Ok(b"a+b+c\n".to_vec()));
        assert_eq!(percent_decode_strict(b""), Ok(Vec::new()));
        assert_eq!(percent_decode_strict(b"%252B"), Ok(b"%2B".to_vec()));
        for (text, position) in [(&b"%"[..], 0), (b"a%2", 1), (b"%zz", 0), (b"%2B%+1", 3)] {
            assert_eq!(percent_decode_strict(text), Err(PercentError { position }));
        }
    }
}
