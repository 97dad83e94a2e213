//! The value of an attribute: its ASN.1 type, its bytes, and the text they are, if they are text.

use std::borrow::Cow;

use super::DnError;
use crate::pki::der::{self, Tlv};

/// A value as it came: the identifier octet and the content octets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Value {
    tag: u8,
    content: Box<[u8]>,
}

impl Value {
    /// Takes a value of strict DER; a string must decode.
    pub(super) fn from_tlv(value: Tlv<'_>) -> Result<Self, DnError> {
        if value.tag & der::CLASS != 0 {
            return Err(der::DerError::Identifier { tag: value.tag }.into());
        }
        let value = Self { tag: value.tag, content: value.content.into() };
        match value.decode() {
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(value),
        }
    }

    /// The value that a text is: a UTF8String.
    pub(super) fn from_text(text: String) -> Self {
        Self { tag: der::UTF8_STRING, content: text.into_bytes().into() }
    }

    pub(super) const fn tag(&self) -> u8 {
        self.tag
    }

    /// The text, if the type is one of strings.
    pub(super) fn text(&self) -> Option<String> {
        self.decode()?.ok().map(Cow::into_owned)
    }

    /// The whole value in DER.
    pub(super) fn to_der(&self) -> Vec<u8> {
        let mut out = Vec::new();
        der::push(&mut out, self.tag, &self.content);
        out
    }

    /// The bytes that decide equality: a tag octet (that of UTF8String for every string type that
    /// OpenSSL brings to one form), then the folded text or the content as it is.
    pub(super) fn canonical(&self) -> Result<Vec<u8>, DnError> {
        let folds = matches!(
            self.tag,
            der::UTF8_STRING
                | der::BMP_STRING
                | der::UNIVERSAL_STRING
                | der::PRINTABLE_STRING
                | der::T61_STRING
                | der::IA5_STRING
                | der::VISIBLE_STRING
        );
        let mut out = Vec::with_capacity(self.content.len() + 1);
        match self.decode().filter(|_| folds) {
            Some(text) => {
                out.push(der::UTF8_STRING);
                fold_into(&mut out, text?.as_bytes());
            }
            None => {
                out.push(self.tag);
                out.extend_from_slice(&self.content);
            }
        }
        Ok(out)
    }

    /// The text as OpenSSL reads it: T61String and the ASCII types are ISO 8859-1 to it.
    ///
    /// `None` if the type is not one of strings.
    pub(super) fn decode(&self) -> Option<Result<Cow<'_, str>, DnError>> {
        let content = &*self.content;
        let text = match self.tag {
            der::UTF8_STRING => std::str::from_utf8(content).ok().map(Cow::Borrowed),
            der::BMP_STRING => wide::<2>(content).map(Cow::Owned),
            der::UNIVERSAL_STRING => wide::<4>(content).map(Cow::Owned),
            der::NUMERIC_STRING
            | der::PRINTABLE_STRING
            | der::T61_STRING
            | der::IA5_STRING
            | der::VISIBLE_STRING
            | der::UTC_TIME
            | der::GENERALIZED_TIME => Some(latin1(content)),
            _ => return None,
        };
        Some(text.ok_or(DnError::Undecodable))
    }
}

/// Characters of `WIDTH` octets each, big-endian. A surrogate is no character, in UCS-2 too.
fn wide<const WIDTH: usize>(content: &[u8]) -> Option<String> {
    let (characters, []) = content.as_chunks::<WIDTH>() else {
        return None;
    };
    let number = |octets: &[u8; WIDTH]| {
        octets.iter().fold(0, |number, octet| number << 8 | u32::from(*octet))
    };
    characters.iter().map(|octets| char::from_u32(number(octets))).collect()
}

fn latin1(content: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(content) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(content.iter().copied().map(char::from).collect()),
    }
}

/// As OpenSSL's `asn1_string_canon`: ASCII letters lowered, blanks trimmed and collapsed.
fn fold_into(out: &mut Vec<u8>, text: &[u8]) {
    let words = text.split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
    for (at, word) in words.enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend(word.iter().map(u8::to_ascii_lowercase));
    }
}

/// As OpenSSL's `ossl_isspace`: with the vertical tab, which Rust's own function leaves out.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}
