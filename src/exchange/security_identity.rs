//! `altSecurityIdentities` of Active Directory, as columns of ours.
//!
//! Microsoft writes names with the most general part first and a serial's octets in reverse; both
//! are turned round here, and here only.
//! <https://learn.microsoft.com/en-us/windows/win32/adschema/a-altsecurityidentities>

use crate::pki::{DistinguishedName, SerialNumber, SlashForm};
use crate::store::PatternText;

/// What a value is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Identity {
    /// Certificates with these columns.
    Certificate(Box<PatternText>),
    /// Something that is no certificate, such as a Kerberos name.
    Other,
}

/// Reads a value, such as `X509:<I>DC=com,DC=example,CN=Example CA<SR>0BCD`.
pub(super) fn read(value: &str) -> Result<Identity, String> {
    let Some(rest) = value.strip_prefix("X509:") else {
        return Ok(Identity::Other);
    };
    let mut pattern = PatternText::default();
    for (tag, text) in parts(rest)? {
        let column = match tag {
            "I" => set(&mut pattern.issuer, name(text)?),
            "S" => set(&mut pattern.subject, name(text)?),
            "SR" => set(&mut pattern.serial, serial(text)?),
            "RFC822" => set(&mut pattern.san_email, text.to_owned()),
            "SKI" => {
                return Err(unknown(tag, "a subject key identifier is whatever its CA writes"));
            }
            _ => return Err(unknown(tag, "SHA-1 can be forged")),
        };
        column.map_err(|()| format!("<{tag}> is there twice"))?;
    }
    let PatternText { issuer, serial, subject, san_email, .. } = &pattern;
    let set = [issuer, serial, subject, san_email].map(Option::is_some);
    let known = TOGETHER.contains(&set);
    if !known {
        return Err("these parts do not go together: <I><SR>, <I><S>, <S> or <RFC822>".to_owned());
    }
    Ok(Identity::Certificate(Box::new(pattern)))
}

fn set(column: &mut Option<String>, text: String) -> Result<(), ()> {
    if column.is_some() {
        return Err(());
    }
    *column = Some(text);
    Ok(())
}

fn unknown(tag: &str, why: &str) -> String {
    format!("<{tag}> is not taken: {why}; give the certificate itself (userCertificate)")
}

/// Takes `<I>..<S>..` apart: a value goes as far as the next tag that there is.
fn parts(mut rest: &str) -> Result<Vec<(&'static str, &str)>, String> {
    let mut found = Vec::new();
    let begins = |text: &str| {
        TAGS.into_iter().find(|tag| {
            let after = text.strip_prefix('<').and_then(|text| text.strip_prefix(tag));
            after.is_some_and(|text| text.starts_with('>'))
        })
    };
    while !rest.is_empty() {
        let tag = begins(rest).ok_or("it does not begin with a part that is known, such as <I>")?;
        let body = rest.get(tag.len() + 2..).unwrap_or_default();
        let marks = body.match_indices('<').map(|(at, _)| at);
        let end = marks
            .into_iter()
            .find(|at| body.get(*at..).is_some_and(|text| begins(text).is_some()))
            .unwrap_or(body.len());
        let (text, next) = body.split_at_checked(end).unwrap_or((body, ""));
        if text.is_empty() {
            return Err(format!("<{tag}> is empty"));
        }
        found.push((tag, text));
        rest = next;
    }
    Ok(found)
}

/// A name with the most general part first and a comma between the parts.
fn name(text: &str) -> Result<String, String> {
    if text.starts_with('/') || text.contains(" =") {
        return Err("a name is written DC=com,DC=example,CN=alice here".to_owned());
    }
    let name = DistinguishedName::parse(text, SlashForm::Accept).map_err(|why| why.to_string())?;
    Ok(name.reversed().to_exact_text())
}

/// A serial whose octets stand in reverse.
fn serial(text: &str) -> Result<String, String> {
    let digits = text.as_bytes();
    if digits.len() % 2 == 1 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err("<SR> has to be pairs of hexadecimal digits".to_owned());
    }
    let turned: Vec<u8> = digits.chunks(2).rev().flatten().copied().collect();
    let turned = String::from_utf8_lossy(&turned);
    SerialNumber::parse(&turned).map(|serial| serial.to_string()).map_err(|why| why.to_string())
}

/// Issuer, serial, subject, e-mail: which of them make a mapping.
const TOGETHER: [[bool; 4]; 4] = [
    [true, true, false, false],
    [true, false, true, false],
    [false, false, true, false],
    [false, false, false, true],
];
/// Longer ones first where one begins like another.
const TAGS: [&str; 6] = ["SHA1-PUKEY", "RFC822", "SKI", "SR", "S", "I"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microsofts_order_is_turned_round() {
        let columns = |value: &str| match read(value) {
            Ok(Identity::Certificate(pattern)) => *pattern,
            other => panic!("{value}: {other:?}"),
        };
        let none = PatternText::default;
        let text = |text: &str| Some(text.to_owned());
        let issuer = text("CN=Example CA,DC=example,DC=com");
        for (value, expected) in [
            (
                "X509:<I>DC=com,DC=example,CN=Example CA<SR>2B0000000011AC0000000012",
                PatternText {
                    issuer: issuer.clone(),
                    serial: text("1200000000AC11000000002B"),
                    ..none()
                },
            ),
            (
                "X509:<I>DC=com,DC=example,CN=Example CA<S>DC=com,DC=example,CN=alice",
                PatternText { issuer, subject: text("CN=alice,DC=example,DC=com"), ..none() },
            ),
            (
                "X509:<S>C=FR,O=\"Acme, Inc.\",CN=alice",
                PatternText { subject: text("CN=alice,O=Acme\\, Inc.,C=FR"), ..none() },
            ),
            (
                "X509:<RFC822>alice@example.com",
                PatternText { san_email: text("alice@example.com"), ..none() },
            ),
        ] {
            assert_eq!(columns(value), expected);
        }
        assert_eq!(read("Kerberos:alice@EXAMPLE.COM"), Ok(Identity::Other));
    }

    #[test]
    fn what_names_no_certificate_for_sure_is_refused() {
        for (value, why) in [
            ("X509:<SKI>0102", "<SKI> is not taken"),
            ("X509:<SHA1-PUKEY>0102", "SHA-1 can be forged"),
            ("X509:<I>CN=Example CA", "do not go together"),
            ("X509:<SR>0102", "do not go together"),
            ("X509:<I>CN=A<SR>01<S>CN=b", "do not go together"),
            ("X509:<I>CN=A<I>CN=B<SR>01", "twice"),
            ("X509:<I>CN=A<SR>012", "pairs"),
            ("X509:<I>CN=A<SR>00", "zero"),
            ("X509:<I><SR>01", "<I> is empty"),
            ("X509:<I>C = FR, CN = A<SR>01", "a name is written"),
            ("X509:<I>/CN=A<SR>01", "a name is written"),
            ("X509:<XX>1", "does not begin"),
            ("X509:", "do not go together"),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(why), "{value}: {error}");
        }
    }
}
