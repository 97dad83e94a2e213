//! SHA-256 fingerprints of certificates and of public keys.
//!
//! No other digest may come in: SHA-1, which nginx calls the fingerprint, can be forged.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

/// A SHA-256 digest: of a certificate's DER, or of its SubjectPublicKeyInfo.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint([u8; 32]);

/// Eight octets of a digest tell it from others; which place they choose, the hasher's key says.
impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let first = self.0.first_chunk().copied().unwrap_or_default();
        hasher.write_u64(u64::from_le_bytes(first));
    }
}

impl Fingerprint {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// As [`Fingerprint::of`], with a call of `pause` after every short step.
    pub fn of_in_steps(bytes: &[u8], pause: &mut dyn FnMut()) -> Self {
        let mut digest = Sha256::new();
        for step in bytes.chunks(STEP_BYTES) {
            digest.update(step);
            pause();
        }
        Self(digest.finalize().into())
    }

    /// Reads 64 hexadecimal digits of either case, in one piece or with a colon between all pairs.
    pub fn parse(text: &str) -> Result<Self, FingerprintError> {
        let mut octets = [0; 32];
        let mut count = 0;
        let colons = text.contains(':');
        for (at, pair) in pairs(text.as_bytes(), colons).enumerate() {
            let octet = hex_octet(pair).ok_or(FingerprintError::Syntax)?;
            if let Some(place) = octets.get_mut(at) {
                *place = octet;
            }
            count = at + 1;
        }
        match count {
            32 => Ok(Self(octets)),
            SHA1_OCTETS => Err(FingerprintError::Sha1),
            octets => Err(FingerprintError::Length { octets }),
        }
    }

    /// The 32 octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Why a text is not a SHA-256 fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// Hexadecimal, but of another length.
    #[error("a SHA-256 fingerprint has 64 hexadecimal digits, not {}", octets.saturating_mul(2))]
    Length {
        /// How many octets the text has.
        octets: usize,
    },
    /// 40 digits: a SHA-1 fingerprint, such as `$ssl_client_fingerprint`.
    #[error("this is a SHA-1 fingerprint, which is not accepted: SHA-1 can be forged; use SHA-256")]
    Sha1,
    /// Not hexadecimal digits, or colons elsewhere than between pairs.
    #[error("a SHA-256 fingerprint is 64 hexadecimal digits, with or without colons between pairs")]
    Syntax,
}

/// Cuts hexadecimal text into what should be pairs of digits.
pub(super) fn pairs(text: &[u8], colons: bool) -> impl Iterator<Item = &[u8]> {
    let joined = if colons { &[][..] } else { text };
    let split = colons.then(|| text.split(|byte| *byte == b':'));
    split.into_iter().flatten().chain(joined.chunks(2))
}

/// The octet that exactly two hexadecimal digits write.
pub(super) fn hex_octet(pair: &[u8]) -> Option<u8> {
    match pair {
        [high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
        _ => None,
    }
}

/// The value of one hexadecimal digit of either case.
pub(super) const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Bytes between two pauses: some tens of microseconds.
const STEP_BYTES: usize = 32 * 1024;
/// Octets of a SHA-1 digest.
const SHA1_OCTETS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4: the digest of `abc`.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_fingerprint_is_sha_256_in_lower_case_hex() {
        assert_eq!(Fingerprint::of(b"abc").to_string(), ABC);
        assert_eq!(format!("{:?}", Fingerprint::of(b"abc")), ABC);
        assert_eq!(Fingerprint::of(b"abc").as_bytes()[0], 0xba);
    }

    #[test]
    fn steps_make_no_other_digest() {
        for length in [0, 1, STEP_BYTES - 1, STEP_BYTES, 3 * STEP_BYTES + 7] {
            let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
            let mut pauses = 0;
            let stepped = Fingerprint::of_in_steps(&bytes, &mut || pauses += 1);
            assert_eq!(stepped, Fingerprint::of(&bytes));
            assert_eq!(pauses, length.div_ceil(STEP_BYTES));
        }
    }

    #[test]
    fn a_fingerprint_is_read_with_colons_and_in_any_case() {
        let expected = Ok(Fingerprint::of(b"abc"));
        let colons = ABC.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let colons = colons.collect::<Vec<_>>().join(":");
        assert_eq!(Fingerprint::parse(ABC), expected);
        assert_eq!(Fingerprint::parse(&ABC.to_uppercase()), expected);
        assert_eq!(Fingerprint::parse(&colons), expected);
        assert_eq!(Fingerprint::parse(&colons.to_uppercase()), expected);
    }

    #[test]
    fn a_sha_1_fingerprint_is_refused_by_name() {
        let sha1 = "0998474bf49b3dc38b173415326399af01046953";
        assert_eq!(Fingerprint::parse(sha1), Err(FingerprintError::Sha1));
        assert!(FingerprintError::Sha1.to_string().contains("SHA-1"));
    }

    #[test]
    fn anything_else_is_refused() {
        use FingerprintError::{Length, Syntax};
        for (text, expected) in [
            (String::new(), Length { octets: 0 }),
            ("ab".to_owned(), Length { octets: 1 }),
            (format!("{ABC}00"), Length { octets: 33 }),
            (ABC[..63].to_owned(), Syntax),
            (format!("{ABC}0"), Syntax),
            (format!("0x{ABC}"), Syntax),
            (format!(" {ABC}"), Syntax),
            (format!("{ABC}\n"), Syntax),
            (format!(":{ABC}"), Syntax),
            (format!("ba:{}", &ABC[2..]), Syntax),
            (ABC.replace('b', "g"), Syntax),
            (format!("sha256:{ABC}"), Syntax),
        ] {
            assert_eq!(Fingerprint::parse(&text), Err(expected), "{text}");
        }
    }
}
