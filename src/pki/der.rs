//! Strict DER (X.690): a check of a whole value, and a reader over what has been checked.
//!
//! x509-parser tolerates leftovers inside of sequences, odd dates and constructed strings. What a
//! library tolerates must not decide who somebody is, so bytes pass here first; nothing here knows
//! what a certificate is.

use super::UnixTime;
use super::time::{from_generalized_time, from_utc_time};

/// Why bytes are not DER.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DerError {
    /// A primitive value's content breaks the rules of its type.
    #[error("the content of a value with tag {tag} is not DER")]
    Content {
        /// The identifier octet.
        tag: u8,
    },
    /// Nested more deeply than any certificate.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    Depth,
    /// An identifier octet that DER or this program does not allow there.
    #[error("a value with tag {tag} is not allowed")]
    Identifier {
        /// The identifier octet.
        tag: u8,
    },
    /// Indefinite, or not in the fewest octets.
    #[error("a length is not in its one DER form")]
    Length,
    /// Something follows where nothing may.
    #[error("bytes follow after the end")]
    Trailing,
    /// The bytes end within a value.
    #[error("the bytes end within a value")]
    Truncated,
    /// Another value than the standard wants at this place.
    #[error("tag {expected} was expected")]
    Unexpected {
        /// The identifier octet that had to come.
        expected: u8,
    },
}

/// One value: its identifier octet, its content, and both with the length between them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Tlv<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) raw: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// A reader over the values inside.
    pub(super) const fn reader(self) -> Reader<'a> {
        Reader { rest: self.content }
    }
}

/// Reads values one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over bytes that [`check`] has accepted (or that are read one level deep).
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next value, whatever it is.
    pub(super) fn any(&mut self) -> Result<Tlv<'a>, DerError> {
        let start = self.rest;
        let [tag, length, rest @ ..] = start else {
            return Err(DerError::Truncated);
        };
        if tag & HIGH_TAG_NUMBER == HIGH_TAG_NUMBER {
            return Err(DerError::Identifier { tag: *tag });
        }
        let (length, rest) = match *length {
            short @ ..=0x7f => (usize::from(short), rest),
            long => long_length(usize::from(long & 0x7f), rest)?,
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(DerError::Truncated)?;
        let raw = start.get(..start.len() - rest.len()).ok_or(DerError::Truncated)?;
        self.rest = rest;
        Ok(Tlv { tag: *tag, content, raw })
    }

    /// The next value, which must have this identifier octet.
    pub(super) fn expect(&mut self, expected: u8) -> Result<Tlv<'a>, DerError> {
        self.optional(expected)?.ok_or(DerError::Unexpected { expected })
    }

    /// The next value if it has this identifier octet.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, DerError> {
        if self.rest.first() == Some(&tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// Nothing may be left.
    pub(super) const fn finish(self) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError::Trailing) }
    }
}

/// Reads the one value that these bytes are.
pub(super) fn single(bytes: &[u8], expected: u8) -> Result<Tlv<'_>, DerError> {
    let mut reader = Reader::new(bytes);
    let value = reader.expect(expected)?;
    reader.finish()?;
    Ok(value)
}

/// Checks that these bytes are exactly one value in DER, down to the innermost one.
///
/// Departures from X.690, both as OpenSSL has it: the order within a SET is not checked, and an
/// encoded default value is accepted. The content of strings is the business of who reads them.
pub(super) fn check(bytes: &[u8]) -> Result<(), DerError> {
    let mut reader = Reader::new(bytes);
    check_value(reader.any()?, 0)?;
    reader.finish()
}

fn check_value(value: Tlv<'_>, depth: usize) -> Result<(), DerError> {
    if depth > MAX_DEPTH {
        return Err(DerError::Depth);
    }
    if value.tag & CLASS == 0 {
        check_universal(value)?;
    }
    if value.tag & CONSTRUCTED != 0 {
        let mut reader = value.reader();
        while !reader.is_empty() {
            check_value(reader.any()?, depth + 1)?;
        }
    }
    Ok(())
}

fn check_universal(Tlv { tag, content, .. }: Tlv<'_>) -> Result<(), DerError> {
    // X.690 10.2: strings are primitive in DER, and only these two types are constructed.
    let is_constructed = tag & CONSTRUCTED != 0;
    if is_constructed != matches!(tag | CONSTRUCTED, SEQUENCE | SET) {
        return Err(DerError::Identifier { tag });
    }
    let fits = match tag {
        BOOLEAN => matches!(content, [0 | 0xff]),
        INTEGER | ENUMERATED => !matches!(content, [] | [0, ..=0x7f, ..] | [0xff, 0x80..=0xff, ..]),
        BIT_STRING => bit_string(content).is_some(),
        NULL => content.is_empty(),
        OBJECT_IDENTIFIER => is_oid(content),
        UTC_TIME => from_utc_time(content).is_some(),
        GENERALIZED_TIME => from_generalized_time(content).is_some(),
        END_OF_CONTENTS => return Err(DerError::Identifier { tag }),
        _ => true,
    };
    if fits { Ok(()) } else { Err(DerError::Content { tag }) }
}

/// The octets of a BIT STRING whose unused bits are zero, and how many of its bits are unused.
pub(super) fn bit_string(content: &[u8]) -> Option<(&[u8], u8)> {
    match content {
        [0, octets @ ..] => Some((octets, 0)),
        [unused @ 1..=7, octets @ .., last] if last.trailing_zeros() >= u32::from(*unused) => {
            // The slice with its last octet again.
            content.get(1..=octets.len() + 1).map(|octets| (octets, *unused))
        }
        _ => None,
    }
}

/// Whether these are the content octets of an OBJECT IDENTIFIER (X.690 8.19).
pub(super) fn is_oid(content: &[u8]) -> bool {
    let ends = content.last().is_some_and(|last| last & 0x80 == 0);
    let mut at_start = true;
    ends && content.iter().all(|octet| {
        let padded = at_start && *octet == 0x80;
        at_start = octet & 0x80 == 0;
        !padded
    })
}

/// The instant that a UTCTime or GeneralizedTime says; none for what is neither.
pub(super) fn time(value: Tlv<'_>) -> Option<UnixTime> {
    match value.tag {
        UTC_TIME => from_utc_time(value.content),
        GENERALIZED_TIME => from_generalized_time(value.content),
        _ => None,
    }
}

fn long_length(octets: usize, rest: &[u8]) -> Result<(usize, &[u8]), DerError> {
    // Zero octets is the indefinite form; five octets are already beyond every limit of ours.
    if !(1..=MAX_LENGTH_OCTETS).contains(&octets) {
        return Err(DerError::Length);
    }
    let (digits, rest) = rest.split_at_checked(octets).ok_or(DerError::Truncated)?;
    let length = digits.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
    if length < 0x80 || digits.first() == Some(&0) {
        return Err(DerError::Length);
    }
    Ok((length, rest))
}

/// Appends one value.
pub(super) fn push(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    match u8::try_from(content.len()) {
        Ok(short @ ..=0x7f) => out.push(short),
        _ => {
            let octets = content.len().to_be_bytes();
            let digits = octets.iter().skip_while(|octet| **octet == 0);
            out.push(0x80 | u8::try_from(digits.clone().count()).unwrap_or(8));
            out.extend(digits);
        }
    }
    out.extend_from_slice(content);
}

pub(super) const END_OF_CONTENTS: u8 = 0x00;
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const NUMERIC_STRING: u8 = 0x12;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const T61_STRING: u8 = 0x14;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const VISIBLE_STRING: u8 = 0x1a;
pub(super) const UNIVERSAL_STRING: u8 = 0x1c;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Bits of the identifier octet: the class, zero for the universal one.
pub(super) const CLASS: u8 = 0xc0;
/// Bit of the identifier octet: constructed.
const CONSTRUCTED: u8 = 0x20;
/// Bits of the identifier octet: the tag number follows in further octets. Nothing in X.509 does.
const HIGH_TAG_NUMBER: u8 = 0x1f;
/// Octets: a length of 4 GiB; a CRL of a million entries has 35 MiB and needs four.
const MAX_LENGTH_OCTETS: usize = 4;
/// Levels: a certificate needs about 10; this bounds the stack.
const MAX_DEPTH: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push(&mut out, tag, content);
        out
    }

    #[test]
    fn der_is_accepted() {
        for bytes in [
            value(SEQUENCE, &[]),
            value(BOOLEAN, &[0xff]),
            value(INTEGER, &[0x00, 0x80]),
            value(INTEGER, &[0xff, 0x7f]),
            value(BIT_STRING, &[0]),
            value(BIT_STRING, &[3, 0x08]),
            value(OBJECT_IDENTIFIER, &[0x55, 0x81, 0x00]),
            value(OCTET_STRING, &[7; 127]),
            value(OCTET_STRING, &[7; 128]),
            value(OCTET_STRING, &[7; 70_000]),
            value(SEQUENCE, &value(SET, &value(UTF8_STRING, b"alice"))),
            value(0xa3, &value(NULL, &[])),
            value(0x80, &[1, 2, 3]),
        ] {
            assert_eq!(check(&bytes), Ok(()), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_only_ber_or_broken_is_refused() {
        use DerError::{Content, Identifier, Length, Trailing, Truncated};
        for (bytes, expected) in [
            (&[][..], Truncated),
            (&[0x30], Truncated),
            (&[0x30, 0x01], Truncated),
            (&[0x30, 0x82, 0x01], Truncated),
            (&[0x30, 0x00, 0x00], Trailing),
            (&[0x30, 0x80, 0x00, 0x00], Length),
            (&[0x04, 0x81, 0x01, 0x00], Length),
            (&[0x04, 0x82, 0x00, 0x80], Length),
            (&[0x04, 0x84, 0x01, 0x00, 0x00, 0x00], Truncated),
            (&[0x04, 0x85, 0x01, 0x00, 0x00, 0x00, 0x00], Length),
            (&[0x04, 0xff], Length),
            (&[0x1f, 0x81, 0x00, 0x00], Identifier { tag: 0x1f }),
            (&[0x24, 0x03, 0x04, 0x01, 0x61], Identifier { tag: 0x24 }),
            (&[0x10, 0x00], Identifier { tag: 0x10 }),
            (&[0x00, 0x00], Identifier { tag: 0x00 }),
            (&[0x01, 0x01, 0x01], Content { tag: BOOLEAN }),
            (&[0x01, 0x00], Content { tag: BOOLEAN }),
            (&[0x02, 0x00], Content { tag: INTEGER }),
            (&[0x02, 0x02, 0x00, 0x7f], Content { tag: INTEGER }),
            (&[0x02, 0x02, 0xff, 0x80], Content { tag: INTEGER }),
            (&[0x03, 0x00], Content { tag: BIT_STRING }),
            (&[0x03, 0x01, 0x01], Content { tag: BIT_STRING }),
            (&[0x03, 0x02, 0x08, 0x00], Content { tag: BIT_STRING }),
            (&[0x03, 0x02, 0x01, 0x01], Content { tag: BIT_STRING }),
            (&[0x05, 0x01, 0x00], Content { tag: NULL }),
            (&[0x06, 0x00], Content { tag: OBJECT_IDENTIFIER }),
            (&[0x06, 0x02, 0x55, 0x84], Content { tag: OBJECT_IDENTIFIER }),
            (&[0x06, 0x03, 0x55, 0x80, 0x04], Content { tag: OBJECT_IDENTIFIER }),
            (&[0x30, 0x03, 0x04, 0x02, 0x00], Truncated),
        ] {
            assert_eq!(check(bytes), Err(expected), "{bytes:02x?}");
        }
        let offset = value(UTC_TIME, b"261123100000+0000");
        assert_eq!(check(&offset), Err(Content { tag: UTC_TIME }));
        let deep = (0..100).fold(Vec::new(), |inner, _| value(SEQUENCE, &inner));
        assert_eq!(check(&deep), Err(DerError::Depth));
    }

    #[test]
    fn the_octets_of_a_bit_string_are_all_returned() {
        assert_eq!(bit_string(&[0]), Some((&[][..], 0)));
        assert_eq!(bit_string(&[0, 1, 2]), Some((&[1, 2][..], 0)));
        assert_eq!(bit_string(&[7, 0x80]), Some((&[0x80][..], 7)));
        assert_eq!(bit_string(&[4, 1, 0xa0]), Some((&[1, 0xa0][..], 4)));
    }
}
