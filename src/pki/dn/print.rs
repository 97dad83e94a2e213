//! Names as text, byte for byte as nginx sends them.
//!
//! nginx prints with OpenSSL's `X509_NAME_print_ex` and `XN_FLAG_RFC2253`. Whoever changes this
//! file must run `tests/it/pki_nginx_dn.rs`, which asks a real nginx.

use std::fmt::{self, Write};

use super::value::Value;
use super::{Attribute, DistinguishedName, Rdn};
use crate::pki::attribute::Oid;
use crate::pki::der;

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What nginx prints in `$ssl_client_s_dn`: `CN=Zo\C3\AB \"Q\" \<x\>,OU=R\+D,O=Acme\, Inc.,C=US`.
///
/// The text is visible ASCII and spaces, whatever the certificate holds.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, &self.rdns, Oid::short_name, |value| is_printed_as_text(value.tag()))
    }
}

/// As `Display`, with `#` and DER for every type that text would lose, and with the long name where
/// the short one is refused in an operator's text.
pub(super) fn exact(rdns: &[Rdn]) -> String {
    let keeps_type = |value: &Value| {
        !matches!(value.tag(), der::NUMERIC_STRING | der::UTC_TIME | der::GENERALIZED_TIME)
            && is_printed_as_text(value.tag())
    };
    let word = |oid: &Oid| match oid.short_name() {
        Some("uid") => Some("uniqueIdentifier"),
        other => other,
    };
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_name(&mut text, rdns, word, keeps_type);
    text
}

/// Last relative name first, and the attributes within one reversed too.
fn write_name(
    out: &mut impl Write,
    rdns: &[Rdn],
    word: impl Fn(&Oid) -> Option<&'static str>,
    is_text: impl Fn(&Value) -> bool,
) -> fmt::Result {
    for (at, rdn) in rdns.iter().rev().enumerate() {
        for (within, Attribute { oid, value }) in rdn.iter().rev().enumerate() {
            match (at, within) {
                (0, 0) => {}
                (_, 0) => out.write_char(',')?,
                (..) => out.write_char('+')?,
            }
            match word(oid) {
                Some(name) => write!(out, "{name}=")?,
                None => write!(out, "{oid}=")?,
            }
            let text = value.decode().and_then(Result::ok);
            // OpenSSL dumps every value of an attribute that it has no name for.
            match text.filter(|_| is_text(value) && oid.short_name().is_some()) {
                Some(text) => write_text(out, &text)?,
                None => write_dump(out, value)?,
            }
        }
    }
    Ok(())
}

/// The types that OpenSSL prints as characters; it dumps the others.
const fn is_printed_as_text(tag: u8) -> bool {
    matches!(
        tag,
        der::UTF8_STRING
            | der::NUMERIC_STRING
            | der::PRINTABLE_STRING
            | der::T61_STRING
            | der::IA5_STRING
            | der::UTC_TIME
            | der::GENERALIZED_TIME
            | der::VISIBLE_STRING
            | der::UNIVERSAL_STRING
            | der::BMP_STRING
    )
}

fn write_text(out: &mut impl Write, text: &str) -> fmt::Result {
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => write!(out, "\\{}", byte as char)?,
            b' ' if at == 0 || at == last => out.write_str("\\ ")?,
            // OpenSSL takes a value's only character for its last, so a lone `#` stays bare.
            b'#' if at == 0 && at != last => out.write_str("\\#")?,
            0x20..=0x7e => out.write_char(byte as char)?,
            _ => write!(out, "\\{byte:02X}")?,
        }
    }
    Ok(())
}

fn write_dump(out: &mut impl Write, value: &Value) -> fmt::Result {
    out.write_char('#')?;
    value.to_der().iter().try_for_each(|octet| write!(out, "{octet:02X}"))
}
