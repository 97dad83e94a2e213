//! The text of names, read strictly.
//!
//! Decisions, where the RFCs and OpenSSL differ:
//! * RFC 2253's quoted form is read: OpenSSL's ` = ` text uses it. A quote elsewhere is refused.
//! * RFC 2253's semicolon as a separator is refused: RFC 4514 wants it escaped.
//! * A bare `=` within a value is read (RFC 4514 section 2.4); so are a `#` not at the beginning,
//!   and a lone `#`, which OpenSSL prints bare.
//! * Bare UTF-8 is read (Apache sends it), a bare control character is not.
//! * Blanks that are not escaped fall away at the ends of a value.

use super::value::Value;
use super::{Attribute, DnError, Rdn, SlashForm};
use crate::pki::attribute::{Lookup, Oid, lookup};
use crate::pki::der::{self, Reader};
use crate::pki::fingerprint::hex_octet;

/// Reads text into relative names in the order of the DER.
pub(super) fn rdns(text: &str, slash: SlashForm) -> Result<Vec<Rdn>, DnError> {
    if text.contains(char::is_control) {
        return Err(DnError::ControlCharacter);
    }
    let text = text.trim_start_matches(' ');
    match (text.strip_prefix('/'), slash) {
        (Some(rest), SlashForm::Accept) => slash_form(rest),
        (Some(_), SlashForm::Refuse) => Err(DnError::SlashForm),
        (None, _) if text.is_empty() => Err(DnError::Empty),
        (None, _) => separated(text, slash),
    }
}

/// Reads the RFCs' form or OpenSSL's ` = ` form, which the first attribute tells apart.
fn separated(text: &str, slash: SlashForm) -> Result<Vec<Rdn>, DnError> {
    let mut cursor = Cursor { rest: text };
    let mut form = None;
    let mut rdns = Vec::new();
    let mut rdn = Rdn::new();
    loop {
        let (word, this) = cursor.attribute_type()?;
        if *form.get_or_insert(this) != this {
            return Err(DnError::MixedForms);
        }
        let oid = attribute_type(word, slash)?;
        let value = cursor.value()?;
        rdn.push(Attribute { oid, value });
        match cursor.next() {
            Some('+') => {}
            Some(_) => rdns.push(std::mem::take(&mut rdn)),
            None => break,
        }
    }
    rdns.push(rdn);
    if form != Some(Form::Spaced) {
        // RFC 4514 2.1: the last relative name comes first. OpenSSL turns the attributes within
        // one round too, so this gives back what it printed; their order decides nothing.
        rdns.reverse();
        rdns.iter_mut().for_each(|rdn| rdn.reverse());
    }
    Ok(rdns)
}

/// Whether a blank stands before the equals sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Compact,
    Spaced,
}

/// What is left of the text to read.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let first = characters.next();
        self.rest = characters.as_str();
        first
    }

    /// Reads up to and with the equals sign.
    fn attribute_type(&mut self) -> Result<(&'a str, Form), DnError> {
        let end = self.rest.find(['=', ',', '+', '\\', '"']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let Some(rest) = rest.strip_prefix('=') else {
            let is_empty = word.trim_matches(' ').is_empty();
            return Err(if is_empty { DnError::EmptyRdn } else { DnError::MissingEquals });
        };
        self.rest = rest;
        let form = if word.ends_with(' ') { Form::Spaced } else { Form::Compact };
        Ok((word.trim_matches(' '), form))
    }

    /// Reads a value up to the separator, which stays.
    fn value(&mut self) -> Result<Value, DnError> {
        self.rest = self.rest.trim_start_matches(' ');
        match self.rest.strip_prefix('"') {
            Some(rest) => {
                self.rest = rest;
                self.quoted().map(Value::from_text)
            }
            None => match self.hex_digits() {
                Some(digits) => hex_value(digits),
                None => self.plain().map(Value::from_text),
            },
        }
    }

    /// The digits after a `#`; a lone `#` is a character.
    fn hex_digits(&mut self) -> Option<&'a str> {
        let rest = self.rest.strip_prefix('#')?;
        let end = rest.find([',', '+']).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at(end);
        let digits = digits.trim_end_matches(' ');
        if digits.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(digits)
    }

    fn plain(&mut self) -> Result<String, DnError> {
        let mut octets = Vec::new();
        // How much of the value stays when bare blanks at the end are dropped.
        let mut kept = 0;
        while let Some(character) = self.rest.chars().next() {
            match character {
                ',' | '+' => break,
                '\\' => octets.push(self.escaped()?),
                '"' | ';' | '<' | '>' => return Err(DnError::Unescaped { character }),
                _ => {
                    self.next();
                    octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    if character == ' ' {
                        continue;
                    }
                }
            }
            kept = octets.len();
        }
        octets.truncate(kept);
        String::from_utf8(octets).map_err(|_| DnError::Undecodable)
    }

    fn quoted(&mut self) -> Result<String, DnError> {
        let mut octets = Vec::new();
        loop {
            match self.rest.chars().next() {
                None => return Err(DnError::Quotes),
                Some('\\') => octets.push(self.escaped()?),
                Some('"') => break,
                Some(character) => {
                    self.next();
                    octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
        self.next();
        self.rest = self.rest.trim_start_matches(' ');
        if !(self.rest.is_empty() || self.rest.starts_with([',', '+'])) {
            return Err(DnError::Quotes);
        }
        String::from_utf8(octets).map_err(|_| DnError::Undecodable)
    }

    /// Reads a backslash and what it escapes: one special character, or one octet in hexadecimal.
    fn escaped(&mut self) -> Result<u8, DnError> {
        self.next();
        match *self.rest.as_bytes() {
            [] => Err(DnError::DanglingBackslash),
            [
                special @ (b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' | b' ' | b'#' | b'='),
                ..,
            ] => {
                self.next();
                Ok(special)
            }
            [high, low, ..] => {
                let octet = hex_octet(&[high, low]).ok_or(DnError::BadEscape)?;
                self.next();
                self.next();
                Ok(octet)
            }
            [_] => Err(DnError::BadEscape),
        }
    }
}

pub(super) fn attribute_type(word: &str, slash: SlashForm) -> Result<Oid, DnError> {
    let name = || word.chars().take(MAX_QUOTED_CHARACTERS).collect::<String>();
    match lookup(word) {
        Lookup::Exact(_) if slash == SlashForm::Accept && word == "uid" => {
            Err(DnError::AmbiguousAttribute { name: name() })
        }
        Lookup::Exact(oid) | Lookup::Folded(oid) => Ok(oid),
        Lookup::Ambiguous => Err(DnError::AmbiguousAttribute { name: name() }),
        Lookup::Unknown => Err(DnError::UnknownAttribute { name: name() }),
    }
}

/// RFC 4514 2.4: `#` and the DER of the value. It must be strict, and one value only.
fn hex_value(digits: &str) -> Result<Value, DnError> {
    let octets = digits.as_bytes().chunks(2).map(hex_octet).collect::<Option<Vec<_>>>();
    let octets = octets.ok_or(DnError::BadHex)?;
    der::check(&octets).map_err(|_| DnError::BadHex)?;
    let value = Reader::new(&octets).any().map_err(|_| DnError::BadHex)?;
    Value::from_tlv(value)
}

/// Reads `C=FR/O=Example/CN=alice`, what follows the first slash.
///
/// OpenSSL escapes a slash and a plus sign with a backslash, other bytes as `\xC3`, and a
/// backslash not at all. So a text with a backslash has two readings, and none is taken.
fn slash_form(text: &str) -> Result<Vec<Rdn>, DnError> {
    if text.contains('\\') {
        return Err(DnError::AmbiguousSlashForm);
    }
    let attribute = |piece: &str| {
        let (word, value) = piece.split_once('=').ok_or(DnError::AmbiguousSlashForm)?;
        let oid = attribute_type(word, SlashForm::Accept)?;
        Ok(Attribute { oid, value: Value::from_text(value.to_owned()) })
    };
    text.split('/').map(|rdn| rdn.split('+').map(attribute).collect()).collect()
}

/// Characters of an unknown word that an error repeats.
const MAX_QUOTED_CHARACTERS: usize = 40;
