//! Values of options: each is read by the code that reads the database's rows, and written the one
//! way that certgate writes it.
//!
//! A function here is clap's `value_parser` of an option, so that a refusal names the option.

use std::path::PathBuf;
use std::time::Duration;

use crate::decide::Required;
use crate::directory::row::PatternRow;
use crate::directory::{Name, parse_pattern};
use crate::pki::{
    DistinguishedName, Fingerprint, NameError, SerialNumber, SlashForm, UnixTime, parse_dns,
    parse_email, parse_text, parse_upn, parse_uri,
};

/// The name of a user or of a group.
pub(super) fn name(text: &str) -> Result<String, String> {
    Name::parse(text.as_bytes()).map(|name| name.to_string()).map_err(|error| error.to_string())
}

/// A remark, a reason, a person's name.
pub(super) fn text(text: &str) -> Result<String, String> {
    parse_text(text).map_err(|error| match error {
        NameError::Empty => "is empty; `edit --clear` empties a value".to_owned(),
        NameError::ControlCharacter => "has a control character".to_owned(),
        _ => "is longer than 4096 bytes".to_owned(),
    })
}

/// An instant, written the one way the store takes.
pub(super) fn time(text: &str) -> Result<String, String> {
    UnixTime::parse_rfc3339(text)
        .map(|time| time.to_string())
        .map_err(|error| format!("{error}, or a date alone"))
}

/// A length of time, such as 30d.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 30d"))
}

/// A SHA-256 fingerprint.
pub(super) fn digest(text: &str) -> Result<String, String> {
    Fingerprint::parse(text).map(|digest| digest.to_string()).map_err(|error| error.to_string())
}

/// A distinguished name in any form, written in the form of RFC 4514.
pub(super) fn distinguished_name(text: &str) -> Result<String, String> {
    DistinguishedName::parse(text, SlashForm::Accept)
        .map(|name| name.to_exact_text())
        .map_err(|error| error.to_string())
}

/// A serial number, written as nginx prints it.
pub(super) fn serial(text: &str) -> Result<String, String> {
    SerialNumber::parse_cli(text).map(|serial| serial.to_string()).map_err(|error| {
        format!("{error}; write hexadecimal as nginx prints it, or decimal as dec:4097")
    })
}

/// A key identifier.
pub(super) fn key_id(text: &str) -> Result<String, String> {
    let row = PatternRow { issuer_key_id: Some(text.into()), ..PatternRow::default() };
    match parse_pattern(&row) {
        Err(error) => Err(error.why),
        Ok(_) if text.is_empty() => Err("is empty".to_owned()),
        Ok(_) => Ok(text.replace(':', "").to_ascii_lowercase()),
    }
}

/// An e-mail address of a certificate.
pub(super) fn san_email(text: &str) -> Result<String, NameError> {
    parse_email(text)
}

/// A user principal name of a certificate.
pub(super) fn san_upn(text: &str) -> Result<String, NameError> {
    parse_upn(text)
}

/// A URI of a certificate.
pub(super) fn san_uri(text: &str) -> Result<String, NameError> {
    parse_uri(text)
}

/// A DNS name of a certificate.
pub(super) fn san_dns(text: &str) -> Result<String, NameError> {
    parse_dns(text)
}

/// A common name of a certificate.
pub(super) fn common_name(text: &str) -> Result<String, NameError> {
    parse_text(text)
}

/// Whom a location asks for.
pub(super) fn required(text: &str) -> Result<Required, String> {
    let name = |text: &str| Name::parse(text.as_bytes()).map_err(|error| error.to_string());
    match text.split_once(':') {
        Some(("group", group)) => name(group).map(Required::Group),
        Some(("user", username)) => name(username).map(Required::User),
        _ => Err("write group:NAME or user:NAME".to_owned()),
    }
}

/// How `--issuer` names a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IssuerValue {
    /// By the file of its certificate, which tells its key too.
    File(PathBuf),
    /// By its name.
    Name(String),
}

/// A name has an equals sign; a file whose name has one is written `./a=b.pem`.
pub(super) fn issuer(text: &str) -> Result<IssuerValue, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    let is_path = text.starts_with("./") || !text.contains('=');
    if is_path {
        return Ok(IssuerValue::File(PathBuf::from(text)));
    }
    distinguished_name(text).map(IssuerValue::Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_written_one_way() {
        assert_eq!(serial("dec:4097").unwrap(), "1001");
        assert_eq!(serial("00:ca:92").unwrap(), "CA92");
        assert_eq!(digest(&"AB".repeat(32)).unwrap(), "ab".repeat(32));
        assert_eq!(key_id("AB:CD").unwrap(), "abcd");
        assert_eq!(time("2027-01-31").unwrap(), "2027-01-31T00:00:00Z");
        for spelling in ["/C=FR/O=Example/CN=alice", "CN = alice, O = Example, C = FR"] {
            assert!(distinguished_name(spelling).is_ok(), "{spelling}");
        }
        assert_eq!(distinguished_name("/C=FR/CN=alice").unwrap(), "CN=alice,C=FR");
        assert_eq!(san_email("Alice@Example.COM").unwrap(), "Alice@example.com");
    }

    #[test]
    fn an_issuer_is_a_name_or_a_file() {
        assert_eq!(issuer("CN=Example CA"), Ok(IssuerValue::Name("CN=Example CA".to_owned())));
        assert_eq!(issuer("ca.pem"), Ok(IssuerValue::File(PathBuf::from("ca.pem"))));
        assert_eq!(issuer("./a=b.pem"), Ok(IssuerValue::File(PathBuf::from("./a=b.pem"))));
        assert!(issuer("").is_err());
        assert!(issuer("XYZZY=1").is_err());
    }

    #[test]
    fn what_the_directory_could_not_read_is_refused() {
        for refused in [
            name(""),
            name("a,b"),
            name("a b"),
            name(&"a".repeat(257)),
            text(""),
            text("a\nb"),
            text(&"a".repeat(4097)),
            time("yesterday"),
            time("2027-02-30"),
            digest("abc"),
            digest(&"a".repeat(40)),
            serial("0"),
            serial("-1"),
            serial("dec:ab"),
            key_id(""),
            key_id("abc"),
            key_id("xy"),
            distinguished_name("alice"),
        ] {
            assert!(refused.is_err(), "{refused:?}");
        }
        assert!(san_email("zo\u{eb}@example.com").is_err());
    }
}
