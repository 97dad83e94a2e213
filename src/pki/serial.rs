//! Serial numbers of certificates.
//!
//! A serial identifies a certificate only together with its issuer (RFC 5280, 4.1.2.2); this
//! file must not offer a number type, an order by value, or a guess between decimal and hex.

use std::fmt;

use super::fingerprint::{hex_digit, hex_octet, pairs};

/// The serial number of a certificate, RFC 5280 4.1.2.2.
///
/// A usual one is positive, minimal and at most 20 octets. An *odd* one (negative, zero, longer,
/// not minimal) can only come from DER: it is looked up in CRLs and matches no mapping. An odd
/// serial never equals a usual one.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SerialNumber(Form);

#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Form {
    /// Big-endian in the first `length` octets, the others zero; the first octet is not zero.
    Usual { octets: [u8; MAX_SERIAL_OCTETS], length: u8 },
    /// The content octets of the INTEGER, as they came.
    Odd(Box<[u8]>),
}

impl SerialNumber {
    /// Takes the content octets of a DER INTEGER; never fails, odd ones are marked.
    pub fn from_der(content_octets: &[u8]) -> Self {
        let unsigned = match content_octets {
            [] | [0x80..=0xff, ..] | [0] | [0, ..=0x7f, ..] => None,
            [0, octets @ ..] | octets => Self::usual(octets),
        };
        unsigned.unwrap_or_else(|| Self(Form::Odd(content_octets.into())))
    }

    /// Reads hexadecimal, always: `CA92`, `ca:92`, `0xCA92`, or a UUID's spelling.
    ///
    /// Leading zeros (and so the `00` sign octet) fall away. A sign, zero, more than 20 octets
    /// and decimal by any mark are refused: an all-digit text is hexadecimal here, as nginx
    /// prints it.
    pub fn parse(text: &str) -> Result<Self, SerialError> {
        if text.len() > MAX_SERIAL_TEXT_BYTES {
            return Err(SerialError::TooLong);
        }
        match text.as_bytes() {
            [] => return Err(SerialError::Empty),
            [b'+' | b'-', ..] => return Err(SerialError::Signed),
            [b'd' | b'D', b'e' | b'E', b'c' | b'C', b':', ..] => return Err(SerialError::Decimal),
            _ => {}
        }
        let octets = match undashed(text)? {
            Some(digits) => octets_of(&digits)?,
            None => {
                let body = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
                octets_of(body.unwrap_or(text).as_bytes())?
            }
        };
        Self::from_unsigned(&octets)
    }

    /// As [`SerialNumber::parse`], and `dec:4097` too: for the command line, where a person says
    /// which base a number is in.
    pub fn parse_cli(text: &str) -> Result<Self, SerialError> {
        let Some(digits) = text.strip_prefix("dec:") else {
            return Self::parse(text);
        };
        match digits.as_bytes() {
            [] => return Err(SerialError::Empty),
            [b'+' | b'-', ..] => return Err(SerialError::Signed),
            _ => {}
        }
        // One octet more than allowed, so that 2^160 is seen to be too long.
        let mut octets = [0; MAX_SERIAL_OCTETS + 1];
        for byte in digits.bytes() {
            if !byte.is_ascii_digit() {
                return Err(SerialError::Syntax);
            }
            let mut carry = u16::from(byte - b'0');
            for octet in octets.iter_mut().rev() {
                let [high, low] = (u16::from(*octet) * 10 + carry).to_be_bytes();
                *octet = low;
                carry = u16::from(high);
            }
            if octets.first() != Some(&0) {
                return Err(SerialError::TooLong);
            }
        }
        Self::from_unsigned(&octets)
    }

    /// Whether this serial breaks RFC 5280 4.1.2.2: then it matches no mapping.
    pub const fn is_odd(&self) -> bool {
        matches!(self.0, Form::Odd(_))
    }

    /// Unsigned big-endian without a leading zero; of an odd one the raw content octets.
    ///
    /// An odd serial's octets can be those of a usual one: compare values, not these octets.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Usual { octets, length } => octets.get(..usize::from(*length)).unwrap_or(octets),
            Form::Odd(octets) => octets,
        }
    }

    /// In decimal, without a mark; nothing for an odd one. For people, never to compare.
    #[must_use]
    pub fn to_decimal(&self) -> Option<String> {
        if self.is_odd() {
            return None;
        }
        // Least significant digit first.
        let mut digits = vec![0_u8];
        for octet in self.as_bytes() {
            let mut carry = u16::from(*octet);
            for digit in &mut digits {
                let value = u16::from(*digit) * 256 + carry;
                *digit = u8::try_from(value % 10).unwrap_or_default();
                carry = value / 10;
            }
            while carry > 0 {
                digits.push(u8::try_from(carry % 10).unwrap_or_default());
                carry /= 10;
            }
        }
        Some(digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect())
    }

    fn from_unsigned(octets: &[u8]) -> Result<Self, SerialError> {
        let start = octets.iter().position(|octet| *octet != 0).ok_or(SerialError::Zero)?;
        octets.get(start..).and_then(Self::usual).ok_or(SerialError::TooLong)
    }

    fn usual(octets: &[u8]) -> Option<Self> {
        let mut padded = [0; MAX_SERIAL_OCTETS];
        padded.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(Self(Form::Usual { octets: padded, length: u8::try_from(octets.len()).ok()? }))
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{self}", if self.is_odd() { "odd " } else { "" })
    }
}

/// What nginx prints in `$ssl_client_serial`: upper-case hex, an even number of digits, no sign
/// octet, `-05` for a negative one, `00` for zero.
///
/// One departure: OpenSSL breaks a line after 35 octets, this stays on one line.
impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.as_bytes();
        let hex = |f: &mut fmt::Formatter<'_>, octets: &[u8]| {
            octets.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
        };
        match octets {
            [] => f.write_str("00"),
            [0x80..=0xff, ..] if self.is_odd() => {
                f.write_str("-")?;
                let magnitude = negated(octets);
                let start = magnitude.iter().position(|octet| *octet != 0).unwrap_or(0);
                hex(f, magnitude.get(start..).unwrap_or(&magnitude))
            }
            // The sign octet of a positive number; a second zero (not minimal) stays visible.
            [0, rest @ ..] if rest.first() >= Some(&0x80) => hex(f, rest),
            octets => hex(f, octets),
        }
    }
}

/// Why a text is not a serial number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SerialError {
    /// `dec:` where only hexadecimal is read.
    #[error("a serial is hexadecimal here; dec: is understood on the command line only")]
    Decimal,
    /// Nothing is there.
    #[error("the serial is empty")]
    Empty,
    /// A plus or minus sign.
    #[error("a serial has no sign")]
    Signed,
    /// Something that is not a hexadecimal digit, or a colon or dash in the wrong place.
    #[error("a serial is hexadecimal: CA92, ca:92, 0xCA92, or a UUID")]
    Syntax,
    /// More than 20 octets, RFC 5280 4.1.2.2.
    #[error("a serial has at most {MAX_SERIAL_OCTETS} octets")]
    TooLong,
    /// The number zero, which RFC 5280 forbids.
    #[error("a serial is not zero")]
    Zero,
}

/// The digits of a UUID's spelling (8-4-4-4-12, perhaps in braces), or `None` if it is not one.
fn undashed(text: &str) -> Result<Option<Vec<u8>>, SerialError> {
    if !text.bytes().any(|byte| matches!(byte, b'-' | b'{' | b'}')) {
        return Ok(None);
    }
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or(SerialError::Syntax)?,
        None => text,
    };
    if !inner.split('-').map(str::len).eq(UUID_GROUPS) {
        return Err(SerialError::Syntax);
    }
    Ok(Some(inner.bytes().filter(|byte| *byte != b'-').collect()))
}

/// The octets that hexadecimal digits write; an odd number of digits gets a zero in front.
fn octets_of(text: &[u8]) -> Result<Vec<u8>, SerialError> {
    let colons = text.contains(&b':');
    let (first, rest) = match text.split_first() {
        None => return Err(SerialError::Syntax),
        Some((first, rest)) if !colons && text.len() % 2 == 1 => (Some(*first), rest),
        Some(_) => (None, text),
    };
    let mut octets = Vec::with_capacity(text.len() / 2 + 1);
    if let Some(digit) = first {
        octets.push(hex_digit(digit).ok_or(SerialError::Syntax)?);
    }
    pairs(rest, colons).try_for_each(|pair| {
        octets.push(hex_octet(pair).ok_or(SerialError::Syntax)?);
        Ok(())
    })?;
    Ok(octets)
}

/// The two's complement of a negative number's octets.
fn negated(octets: &[u8]) -> Vec<u8> {
    let mut carry = true;
    let mut magnitude = octets.to_vec();
    for octet in magnitude.iter_mut().rev() {
        let (sum, overflow) = (!*octet).overflowing_add(u8::from(carry));
        *octet = sum;
        carry = overflow;
    }
    magnitude
}

/// Octets: RFC 5280 4.1.2.2, of the number itself, without a sign octet.
pub const MAX_SERIAL_OCTETS: usize = 20;
/// Bytes: 20 octets with colons have 59; room for generous leading zeros.
const MAX_SERIAL_TEXT_BYTES: usize = 256;
/// Digits in the groups of a UUID, RFC 9562.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_spellings_of_one_serial_are_one_value() {
        let expected = SerialNumber::from_der(&[
            0x00, 0xCA, 0x92, 0xCB, 0xE9, 0x8D, 0xDD, 0x42, 0x1A, 0x9E, 0x42, 0x63, 0x25, 0x4E,
            0x41, 0x30, 0x17,
        ]);
        for text in [
            "CA92CBE98DDD421A9E4263254E413017",
            "ca92cbe98ddd421a9e4263254e413017",
            "Ca92cBe98ddD421a9E4263254e413017",
            "0xCA92CBE98DDD421A9E4263254E413017",
            "0Xca92cbe98ddd421a9e4263254e413017",
            "0x00CA92CBE98DDD421A9E4263254E413017",
            "00CA92CBE98DDD421A9E4263254E413017",
            "00ca92cbe98ddd421a9e4263254e413017",
            "0CA92CBE98DDD421A9E4263254E413017",
            "0000000000CA92CBE98DDD421A9E4263254E413017",
            "00000000000000000000000000000000CA92CBE98DDD421A9E4263254E413017",
            "CA:92:CB:E9:8D:DD:42:1A:9E:42:63:25:4E:41:30:17",
            "ca:92:cb:e9:8d:dd:42:1a:9e:42:63:25:4e:41:30:17",
            "Ca:92:cB:e9:8d:dD:42:1a:9e:42:63:25:4e:41:30:17",
            "00:CA:92:CB:E9:8D:DD:42:1A:9E:42:63:25:4E:41:30:17",
            "00:00:ca:92:cb:e9:8d:dd:42:1a:9e:42:63:25:4e:41:30:17",
            "0xCA:92:CB:E9:8D:DD:42:1A:9E:42:63:25:4E:41:30:17",
            "CA92CBE9-8DDD-421A-9E42-63254E413017",
            "ca92cbe9-8ddd-421a-9e42-63254e413017",
            "{CA92CBE9-8DDD-421A-9E42-63254E413017}",
            "{ca92cbe9-8ddd-421a-9e42-63254e413017}",
        ] {
            assert_eq!(SerialNumber::parse(text).as_ref(), Ok(&expected), "{text}");
            assert_eq!(SerialNumber::parse_cli(text).as_ref(), Ok(&expected), "{text}");
        }
        let decimal = "dec:269266266323115369431172688497617219607";
        assert_eq!(SerialNumber::parse_cli(decimal), Ok(expected.clone()));
        assert_eq!(expected.to_string(), "CA92CBE98DDD421A9E4263254E413017");
        assert_eq!(format!("{expected:?}"), "CA92CBE98DDD421A9E4263254E413017");
    }

    #[test]
    fn decimal_digits_are_those_that_the_command_line_reads_back() {
        for text in ["1", "FF", "1001", "A1B2C3D4E5F60718", "CA92CBE98DDD421A9E4263254E413017"] {
            let serial = SerialNumber::parse(text).unwrap();
            let decimal = format!("dec:{}", serial.to_decimal().unwrap());
            assert_eq!(SerialNumber::parse_cli(&decimal), Ok(serial), "{decimal}");
        }
        assert_eq!(SerialNumber::parse("1001").unwrap().to_decimal().as_deref(), Some("4097"));
        assert_eq!(SerialNumber::from_der(&[0x80]).to_decimal(), None);
    }

    #[test]
    fn digits_are_hexadecimal_unless_the_command_line_says_dec() {
        assert_eq!(SerialNumber::parse("1001").unwrap().as_bytes(), [0x10, 0x01]);
        assert_eq!(SerialNumber::parse("15").unwrap().as_bytes(), [0x15]);
        assert_eq!(SerialNumber::parse("F").unwrap().as_bytes(), [0x0F]);
        assert_eq!(SerialNumber::parse("DEC0").unwrap().as_bytes(), [0xDE, 0xC0]);
        assert_eq!(SerialNumber::parse_cli("1001").unwrap().as_bytes(), [0x10, 0x01]);
        assert_eq!(SerialNumber::parse_cli("dec:4097").unwrap().as_bytes(), [0x10, 0x01]);
        assert_eq!(SerialNumber::parse_cli("dec:0004097").unwrap().as_bytes(), [0x10, 0x01]);
        assert_eq!(
            SerialNumber::parse_cli("dec:11651590505119483672").unwrap().to_string(),
            "A1B2C3D4E5F60718"
        );
    }

    #[test]
    fn a_text_that_is_no_serial_is_refused() {
        use SerialError::{Decimal, Empty, Signed, Syntax, TooLong, Zero};
        for (text, expected) in [
            ("", Empty),
            ("-05", Signed),
            ("+05", Signed),
            ("-CA92CBE9-8DDD-421A-9E42-63254E413017", Signed),
            ("0", Zero),
            ("00", Zero),
            ("0x00", Zero),
            ("00:00", Zero),
            ("00000000-0000-0000-0000-000000000000", Zero),
            ("dec:4097", Decimal),
            ("DEC:4097", Decimal),
            ("0x", Syntax),
            ("x", Syntax),
            (" CA92", Syntax),
            ("CA92 ", Syntax),
            ("CA92\n", Syntax),
            ("CA 92", Syntax),
            ("CA9G", Syntax),
            (":CA92", Syntax),
            ("CA:92:", Syntax),
            ("CA::92", Syntax),
            ("CA9:2", Syntax),
            ("C:A9", Syntax),
            ("CA92:CB", Syntax),
            (":", Syntax),
            ("0x-5", Syntax),
            ("0x0x5", Syntax),
            ("CA-92", Syntax),
            ("CA92CBE98DDD-421A-9E42-6325-4E413017", Syntax),
            ("{CA92CBE9-8DDD-421A-9E42-63254E413017", Syntax),
            ("CA92CBE9-8DDD-421A-9E42-63254E413017}", Syntax),
            ("{CA92}", Syntax),
            ("0xCA92CBE9-8DDD-421A-9E42-63254E413017", Syntax),
            ("\u{0661}\u{0662}", Syntax),
            ("01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", TooLong),
        ] {
            assert_eq!(SerialNumber::parse(text), Err(expected), "{text}");
        }
        let zeros = "0".repeat(300);
        assert_eq!(SerialNumber::parse(&zeros), Err(TooLong));
        for (text, expected) in [
            ("dec:", Empty),
            ("dec:0", Zero),
            ("dec:-5", Signed),
            ("dec:12a", Syntax),
            ("dec: 5", Syntax),
            ("dec:1461501637330902918203684832716283019655932542976", TooLong),
            ("DEC:5", Decimal),
        ] {
            assert_eq!(SerialNumber::parse_cli(text), Err(expected), "{text}");
        }
        let largest = "dec:1461501637330902918203684832716283019655932542975";
        assert_eq!(SerialNumber::parse_cli(largest).unwrap().as_bytes(), [0xFF; 20]);
        assert!(SerialNumber::parse_cli(&format!("dec:{}", "9".repeat(5000))).is_err());
    }

    #[test]
    fn a_serial_prints_as_nginx_prints_it() {
        for (content, expected, odd) in [
            (&[0x0A, 0x1B, 0x2C][..], "0A1B2C", false),
            (&[0x05], "05", false),
            (&[0x00, 0x80], "80", false),
            (&[0x00, 0x80, 0x01], "8001", false),
            (&[0x00], "00", true),
            (&[], "00", true),
            (&[0xFB], "-05", true),
            (&[0x80], "-80", true),
            (&[0xFF, 0x7F], "-81", true),
            (&[0x80, 0x00], "-8000", true),
            (&[0xFF, 0xFB], "-05", true),
            (&[0x00, 0x05], "0005", true),
            (&[0x00, 0x00, 0x80], "000080", true),
        ] {
            let serial = SerialNumber::from_der(content);
            assert_eq!(serial.to_string(), expected, "{content:?}");
            assert_eq!(serial.is_odd(), odd, "{content:?}");
        }
        let longest = [&[0x00][..], &[0xFF; 20]].concat();
        assert_eq!(SerialNumber::from_der(&longest).to_string(), "FF".repeat(20));
        assert!(!SerialNumber::from_der(&longest).is_odd());
        let longer = [&[0x00][..], &[0xFF; 21]].concat();
        assert_eq!(SerialNumber::from_der(&longer).to_string(), "FF".repeat(21));
        assert!(SerialNumber::from_der(&longer).is_odd());
        assert!(SerialNumber::from_der(&[0x01; 200]).is_odd());
    }

    #[test]
    fn an_odd_serial_never_equals_a_usual_one() {
        let negative = SerialNumber::from_der(&[0xFB]);
        let positive = SerialNumber::from_der(&[0x00, 0xFB]);
        assert_eq!(negative.as_bytes(), positive.as_bytes());
        assert_ne!(negative, positive);
        assert_ne!(SerialNumber::from_der(&[0x00, 0x05]), SerialNumber::from_der(&[0x05]));
        assert_eq!(format!("{negative:?}"), "odd -05");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(content in prop::collection::vec(any::<u8>(), 0..24)) {
            let serial = SerialNumber::from_der(&content);
            let read = SerialNumber::parse(&serial.to_string());
            if serial.is_odd() {
                prop_assert_ne!(read, Ok(serial));
            } else {
                prop_assert_eq!(read, Ok(serial));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,64}") {
            if let Ok(serial) = SerialNumber::parse(&text) {
                prop_assert!(!serial.is_odd());
                prop_assert!((1..=MAX_SERIAL_OCTETS).contains(&serial.as_bytes().len()));
                prop_assert_ne!(serial.as_bytes()[0], 0);
            }
        }
    }
}
