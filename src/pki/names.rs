//! Subject alternative names as text, and the forms in which they are compared.
//!
//! Nothing here expands a wildcard, converts an internationalised domain or normalises Unicode:
//! what looks alike stays different.

/// The names of a certificate's subjectAltName extension that people are known by, RFC 5280
/// 4.2.1.6; as they stand in the certificate, in its order.
///
/// They are clean: not empty, no control character, and ASCII where the type is IA5String.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SubjectAltNames {
    /// `rfc822Name`.
    pub email: Vec<String>,
    /// Microsoft's user principal name, `otherName` 1.3.6.1.4.1.311.20.2.3.
    pub upn: Vec<String>,
    /// `uniformResourceIdentifier`; compared exactly.
    pub uri: Vec<String>,
    /// `dNSName`.
    pub dns: Vec<String>,
}

/// The form in which e-mail addresses are compared: the domain in lower case (ASCII), the local
/// part as it is (RFC 5280 7.5). Without an `@` everything is local part.
pub fn canonical_email(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => address.to_owned(),
    }
}

/// The form in which user principal names are compared: ASCII letters in lower case.
pub fn canonical_upn(upn: &str) -> String {
    upn.to_ascii_lowercase()
}

/// The form in which domain names are compared: ASCII letters in lower case (RFC 5280 7.2).
pub fn canonical_dns(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Reads an operator's e-mail address into its canonical form.
pub fn parse_email(text: &str) -> Result<String, NameError> {
    clean_ascii(text).map(canonical_email)
}

/// Reads an operator's user principal name into its canonical form.
pub fn parse_upn(text: &str) -> Result<String, NameError> {
    clean(text).map(canonical_upn)
}

/// Reads an operator's URI, which is compared exactly.
pub fn parse_uri(text: &str) -> Result<String, NameError> {
    clean_ascii(text).map(str::to_owned)
}

/// Reads an operator's domain name into its canonical form; a wildcard is a name like another.
pub fn parse_dns(text: &str) -> Result<String, NameError> {
    clean_ascii(text).map(canonical_dns)
}

/// Reads an operator's text that is compared exactly, such as a common name.
pub fn parse_text(text: &str) -> Result<String, NameError> {
    clean(text).map(str::to_owned)
}

/// Why a text is not a name that a certificate can hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A control character: never in an honest name.
    #[error("a name must not contain a control character")]
    ControlCharacter,
    /// No text.
    #[error("a name must not be empty")]
    Empty,
    /// A character outside of ASCII in a name whose type is IA5String.
    #[error("this kind of name is ASCII only (an internationalised domain in its xn-- form)")]
    NotAscii,
    /// Above [`MAX_NAME_BYTES`].
    #[error("a name has at most {MAX_NAME_BYTES} bytes")]
    TooLong,
}

/// Text that can be a name: not empty, no control character.
pub(super) fn clean(text: &str) -> Result<&str, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong);
    }
    if text.contains(char::is_control) {
        return Err(NameError::ControlCharacter);
    }
    Ok(text)
}

/// As [`clean`], and ASCII.
pub(super) fn clean_ascii(text: &str) -> Result<&str, NameError> {
    if text.is_ascii() { clean(text) } else { Err(NameError::NotAscii) }
}

/// Bytes of one name: as much as the database's text columns hold.
pub const MAX_NAME_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_parts_without_case_are_folded() {
        assert_eq!(canonical_email("Alice.B@Example.COM"), "Alice.B@example.com");
        assert_eq!(canonical_email("\"A@B\"@Example.COM"), "\"A@B\"@example.com");
        assert_eq!(canonical_email("Alice"), "Alice");
        assert_eq!(canonical_upn("Alice@AD.Example.com"), "alice@ad.example.com");
        assert_eq!(canonical_dns("*.Example.COM"), "*.example.com");
        // U+212A KELVIN SIGN and U+0130 are not ASCII letters, whatever Unicode folds them to.
        assert_eq!(canonical_upn("\u{212A}\u{130}Ä"), "\u{212A}\u{130}Ä");
    }

    #[test]
    fn an_operators_name_is_read_or_refused() {
        use NameError::{ControlCharacter, Empty, NotAscii, TooLong};
        assert_eq!(parse_email("Alice@Example.com"), Ok("Alice@example.com".to_owned()));
        assert_eq!(parse_upn("Zoë@Example.com"), Ok("zoë@example.com".to_owned()));
        assert_eq!(parse_uri("spiffe://Example/a"), Ok("spiffe://Example/a".to_owned()));
        assert_eq!(parse_dns("Host.Example"), Ok("host.example".to_owned()));
        assert_eq!(parse_text("Zoë \"Q\""), Ok("Zoë \"Q\"".to_owned()));
        for parse in [parse_email, parse_upn, parse_uri, parse_dns, parse_text] {
            assert_eq!(parse(""), Err(Empty));
            assert_eq!(parse("alice\0"), Err(ControlCharacter));
            assert_eq!(parse("alice\r\n"), Err(ControlCharacter));
            assert_eq!(parse(&"a".repeat(5000)), Err(TooLong));
        }
        for parse in [parse_email, parse_uri, parse_dns] {
            assert_eq!(parse("zoë@example.com"), Err(NotAscii));
        }
        assert_eq!(parse_text("a\u{85}b"), Err(ControlCharacter));
    }
}
