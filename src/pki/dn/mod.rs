//! Distinguished names, RFC 5280 4.1.2.4 and RFC 4514, with one canonical form.
//!
//! Two names are equal when OpenSSL's `X509_NAME_cmp` says so. Nothing here may compare printed
//! text, and nothing may fold what OpenSSL does not fold: look-alikes are other names.

mod near;
mod parse;
mod print;
#[cfg(test)]
mod tests;
mod value;

use std::hash::{Hash, Hasher};

pub use self::near::{Likeness, name_likeness, text_likeness};
use self::value::Value;
use super::attribute::{COMMON_NAME, Lookup, Oid, lookup};
use super::der::{self, DerError};

/// The name of a subject or an issuer.
///
/// Equality and hash follow [`DistinguishedName::canonical`].
#[derive(Clone)]
pub struct DistinguishedName {
    /// In the order of the DER: the most general name first.
    rdns: Vec<Rdn>,
    canonical: Box<[u8]>,
    has_control: bool,
}

/// The attributes of one relative name, in the order in which they came; never empty.
type Rdn = Vec<Attribute>;

/// An attribute's type and value.
#[derive(Clone)]
struct Attribute {
    oid: Oid,
    value: Value,
}

/// Whether the text may be in OpenSSL's old form, `/C=FR/O=Example/CN=alice`.
///
/// That form escapes too little: an OpenSSL before 3.0 prints a value with a slash as two
/// attributes. So it is for text that an operator wrote, and for headers only where
/// `proxy.legacy_dn` says that the proxy's OpenSSL is newer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SlashForm {
    /// Read it where it is unambiguous. This is text of an operator, so the word `uid`, which to
    /// OpenSSL is `uniqueIdentifier` and to everyone else `userId`, is refused with a hint.
    Accept,
    /// Refuse it. This is text of a proxy, so `uid` is what OpenSSL means by it.
    Refuse,
}

/// A type of attribute, as an operator names it: OpenSSL's short or long name, or a dotted OID.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AttributeType(Oid);

impl AttributeType {
    /// Reads a word.
    ///
    /// # Errors
    /// A word that is no attribute, or that means two (`uid`).
    pub fn parse(word: &str) -> Result<Self, DnError> {
        parse::attribute_type(word, SlashForm::Accept).map(Self)
    }

    /// Whether it is `commonName`.
    #[must_use]
    pub fn is_common_name(&self) -> bool {
        self.0.as_bytes() == COMMON_NAME
    }
}

impl DistinguishedName {
    /// Reads the DER of a Name, with nothing after it.
    ///
    /// A string whose bytes do not decode is refused, as OpenSSL does: such a name has no
    /// canonical form. An empty name is read; it equals only an empty name.
    pub fn from_der(der: &[u8]) -> Result<Self, DnError> {
        if der.len() > MAX_DN_BYTES {
            return Err(DnError::TooLong);
        }
        der::check(der)?;
        let mut names = der::single(der, der::SEQUENCE)?.reader();
        let mut rdns = Vec::new();
        while !names.is_empty() {
            let mut attributes = names.expect(der::SET)?.reader();
            let mut rdn = Rdn::new();
            while !attributes.is_empty() {
                let mut attribute = attributes.expect(der::SEQUENCE)?.reader();
                let oid = attribute.expect(der::OBJECT_IDENTIFIER)?;
                let oid = Oid::from_der(oid.content).ok_or(DnError::AttributeType)?;
                let value = Value::from_tlv(attribute.any()?)?;
                attribute.finish()?;
                rdn.push(Attribute { oid, value });
            }
            if rdn.is_empty() {
                return Err(DnError::EmptyRdn);
            }
            rdns.push(rdn);
        }
        Self::from_rdns(rdns)
    }

    /// Reads text; which forms, and what is refused, is described at the top of the parser.
    ///
    /// * RFC 4514 and RFC 2253: `CN=alice,O=Example,C=FR`, the most specific name first. Blanks
    ///   around `,`, `+` and after `=` and the quoted form `"Acme, Inc."` are accepted, as
    ///   RFC 2253 section 4 asks.
    /// * OpenSSL's ` = ` text: `C = FR, O = Example, CN = alice`, the most general name first.
    ///   A blank before the `=` is its mark; a text must have it everywhere or nowhere.
    /// * The slash form, if `slash` accepts it.
    pub fn parse(text: &str, slash: SlashForm) -> Result<Self, DnError> {
        if text.len() > MAX_DN_BYTES {
            return Err(DnError::TooLong);
        }
        parse::rdns(text, slash).and_then(Self::from_rdns)
    }

    fn from_rdns(rdns: Vec<Rdn>) -> Result<Self, DnError> {
        if rdns.iter().map(Vec::len).sum::<usize>() > MAX_DN_ATTRIBUTES {
            return Err(DnError::TooManyAttributes);
        }
        let canonical = canonical(&rdns)?.into_boxed_slice();
        let mut texts = rdns.iter().flatten().filter_map(|attribute| attribute.value.text());
        let has_control = texts.any(|text| text.contains(char::is_control));
        Ok(Self { rdns, canonical, has_control })
    }

    /// The bytes that are equal exactly if the names are, as OpenSSL's `X509_NAME_cmp` has it.
    ///
    /// UTF8, BMP, Universal, Printable, T61, IA5 and Visible strings are decoded, ASCII letters
    /// folded, blanks at the ends dropped and others collapsed; nothing else is folded. Any other
    /// type compares by tag and bytes, NumericString among them. The order of relative names
    /// matters, the order of attributes within one does not.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The same name with its relative names in the opposite order.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let rdns = self.rdns.iter().rev().cloned().collect::<Vec<_>>();
        // The parts are those of a name whose canonical form exists, so this one's does too.
        let canonical = canonical(&rdns).unwrap_or_default().into_boxed_slice();
        Self { rdns, canonical, has_control: self.has_control }
    }

    /// Whether a value holds a control character. Equality takes a line feed at the end of a value
    /// for a blank, as OpenSSL does: whoever lets somebody in by such a name asks here first.
    #[must_use]
    pub const fn has_control_character(&self) -> bool {
        self.has_control
    }

    /// Whether there is no relative name at all (a certificate that has only a SAN).
    pub const fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// The decoded text of every value of an attribute, in the order of the DER.
    ///
    /// The attribute is a name or a dotted OID as in [`DistinguishedName::parse`]; an unknown or
    /// ambiguous one has no values. Values that are not text are left out.
    pub fn values(&self, attribute: &str) -> Vec<String> {
        let (Lookup::Exact(oid) | Lookup::Folded(oid)) = lookup(attribute) else {
            return Vec::new();
        };
        self.of_type(oid.as_bytes()).filter_map(Value::text).collect()
    }

    /// The decoded text of every value of an attribute, in the order of the DER; `None` for one
    /// that is not text, so that nobody takes the others for all there are.
    pub fn texts_of<'a>(
        &'a self,
        kind: &'a AttributeType,
    ) -> impl Iterator<Item = Option<String>> + use<'a> {
        self.of_type(kind.0.as_bytes()).map(Value::text)
    }

    /// The common name, if the whole name has exactly one, and it is text without control
    /// characters and not empty. Otherwise there is none that could be relied on.
    pub fn common_name(&self) -> Option<String> {
        let mut values = self.of_type(COMMON_NAME);
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let is_clean = |text: &String| !text.is_empty() && !text.contains(char::is_control);
        value.text().filter(is_clean)
    }

    /// Text that [`DistinguishedName::parse`] always reads back as this very name.
    ///
    /// It is what `Display` prints, save for NumericString values, which text cannot tell from
    /// other strings and which are therefore written as `#` and their DER.
    pub fn to_exact_text(&self) -> String {
        print::exact(&self.rdns)
    }

    /// Whether an attribute of this type (content octets) is there, whatever its value.
    pub(in crate::pki) fn has_attribute(&self, oid: &[u8]) -> bool {
        self.of_type(oid).next().is_some()
    }

    fn of_type<'a>(&'a self, oid: &'a [u8]) -> impl Iterator<Item = &'a Value> {
        let attributes = self.rdns.iter().flatten();
        attributes.filter(move |one| one.oid.as_bytes() == oid).map(|one| &one.value)
    }
}

impl Eq for DistinguishedName {}

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Hash for DistinguishedName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

/// Why bytes or a text are not a name that can be relied on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DnError {
    /// A slash form with a backslash, or with a piece that is not `name=value`.
    #[error("this slash form has more than one reading; write the name as CN=...,O=...,C=...")]
    AmbiguousSlashForm,
    /// A word that means another attribute in other letter case.
    #[error("{name:?} means two attributes: write UID for userId, or uniqueIdentifier")]
    AmbiguousAttribute {
        /// The word.
        name: String,
    },
    /// An object identifier beyond all reason.
    #[error("an attribute's object identifier is not usable")]
    AttributeType,
    /// A backslash that is not followed by a special character or two hexadecimal digits.
    #[error("a backslash must be followed by a special character or two hexadecimal digits")]
    BadEscape,
    /// `#` is not followed by the hexadecimal digits of one value's DER.
    #[error("a value that begins with # must be the DER of one value in hexadecimal")]
    BadHex,
    /// A control character that is not escaped.
    #[error("the name contains a control character")]
    ControlCharacter,
    /// The last character is a backslash (what HTTP leaves of an escaped blank at the end).
    #[error("the name ends in a backslash")]
    DanglingBackslash,
    /// Not strict DER.
    #[error("not the DER of a name: {0}")]
    Der(#[from] DerError),
    /// No text.
    #[error("the name is empty")]
    Empty,
    /// Nothing between two separators, or a SET without an attribute.
    #[error("a part of the name is empty")]
    EmptyRdn,
    /// A part without an equals sign.
    #[error("a part of the name has no '='; a comma or plus within a value needs a backslash")]
    MissingEquals,
    /// Some equals signs have a blank before them and some do not.
    #[error("either every '=' has blanks around it, as OpenSSL writes it, or none")]
    MixedForms,
    /// A value that begins with a quote and does not end with one.
    #[error("a quoted value must be quoted as a whole")]
    Quotes,
    /// The slash form where it is not accepted.
    #[error("the slash form /C=.../CN=... is not accepted here")]
    SlashForm,
    /// Above [`MAX_DN_BYTES`].
    #[error("a name has at most {MAX_DN_BYTES} bytes")]
    TooLong,
    /// Above [`MAX_DN_ATTRIBUTES`].
    #[error("a name has at most {MAX_DN_ATTRIBUTES} attributes")]
    TooManyAttributes,
    /// `"`, `;`, `<` or `>` without a backslash (RFC 4514 section 2.4).
    #[error("the character {character:?} needs a backslash before it")]
    Unescaped {
        /// The character.
        character: char,
    },
    /// A word that is no attribute of OpenSSL's or of RFC 4514's.
    #[error("{name:?} is not the name of an attribute")]
    UnknownAttribute {
        /// The word, cut to a limit.
        name: String,
    },
    /// A string that is not in the encoding that its type promises.
    #[error("a value is not in the encoding of its type")]
    Undecodable,
}

/// Bytes of a name's text or DER: what one header of a proxy holds.
pub const MAX_DN_BYTES: usize = 16 * 1024;
/// Attributes of one name; real ones have about 10. It bounds the work of sorting and comparing.
pub const MAX_DN_ATTRIBUTES: usize = 256;

/// Frames every part with its length, so that no two different names give the same bytes.
fn canonical(rdns: &[Rdn]) -> Result<Vec<u8>, DnError> {
    let mut out = Vec::new();
    for rdn in rdns {
        let mut attributes = Vec::with_capacity(rdn.len());
        for attribute in rdn {
            let mut bytes = Vec::new();
            push_framed(&mut bytes, attribute.oid.as_bytes())?;
            push_framed(&mut bytes, &attribute.value.canonical()?)?;
            attributes.push(bytes);
        }
        attributes.sort_unstable();
        push_framed(&mut out, &attributes.concat())?;
    }
    Ok(out)
}

/// Appends a length in two octets (a name of at most 16 KiB never needs more) and the bytes.
fn push_framed(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), DnError> {
    let length = u16::try_from(bytes.len()).map_err(|_| DnError::TooLong)?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}
