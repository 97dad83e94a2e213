//! A certificate that is known, by what an operator has of it.

use crate::pki::{DistinguishedName, Fingerprint, FingerprintError, SerialNumber, SlashForm};
use crate::store::{StoreError, StoredCertificate, Work};

/// Fewest digits of a fingerprint that name a certificate: 32 bits, so that few share them.
const MIN_PREFIX_DIGITS: usize = 8;
/// How many certificates are named where more than one is meant.
const MAX_NAMED: i64 = 10;

/// Why a text names no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// Several are meant.
    #[error("{text:?} can be any of {}; give more of its fingerprint", sha256.join(", "))]
    Ambiguous {
        /// What was given.
        text: String,
        /// The fingerprints of the first of them.
        sha256: Vec<String>,
    },
    /// None is known.
    #[error("no such certificate is known: {text:?}; give its file")]
    NotKnown {
        /// What was given.
        text: String,
    },
    /// None is known, and what was given looks like a SHA-1 fingerprint.
    #[error(
        "no such certificate is known: {text:?} is nobody's serial; as a fingerprint it would be \
         SHA-1, which can be forged: give SHA-256 (64 digits)"
    )]
    Sha1 {
        /// What was given.
        text: String,
    },
    /// A database that did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Neither a fingerprint nor a serial nor a name.
    #[error(
        "{text:?} names no certificate: give a fingerprint (SHA-256, or its first 8 digits or \
         more), a serial, a subject's DN or a file"
    )]
    Unreadable {
        /// What was given.
        text: String,
    },
}

impl FindError {
    /// Whether there is just no such certificate, which is an answer and no failure.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::NotKnown { .. } | Self::Sha1 { .. })
    }
}

/// The one certificate that the text names: a fingerprint or its beginning, a serial in any
/// spelling, or the subject's name in any form.
///
/// # Errors
/// None, or more than one.
pub async fn find_certificate(work: &mut Work, text: &str) -> Result<StoredCertificate, FindError> {
    let given = || text.to_owned();
    if text.contains('=') {
        let found = by_name(work, text).await?;
        return only(found, text);
    }
    let fingerprint = Fingerprint::parse(text);
    if let Ok(sha256) = fingerprint {
        let found = work.certificate_show(&sha256.to_string()).await?;
        return found.ok_or_else(|| FindError::NotKnown { text: given() });
    }
    let mut found = Vec::new();
    let serial = SerialNumber::parse_cli(text);
    if let Ok(serial) = &serial {
        found = work.certificates_by_serial(&serial.to_string(), MAX_NAMED).await?;
    }
    let prefix = prefix(text);
    if let Some(prefix) = &prefix {
        for one in work.certificates_by_prefix(prefix, MAX_NAMED).await? {
            if found.iter().all(|other| other.sha256 != one.sha256) {
                found.push(one);
            }
        }
    }
    if serial.is_err() && prefix.is_none() {
        return Err(FindError::Unreadable { text: given() });
    }
    if found.is_empty() && fingerprint == Err(FingerprintError::Sha1) {
        return Err(FindError::Sha1 { text: given() });
    }
    only(found, text)
}

/// The one certificate whose fingerprint this is, or begins so.
///
/// # Errors
/// None, or more than one.
pub async fn find_by_fingerprint(
    work: &mut Work,
    text: &str,
) -> Result<StoredCertificate, FindError> {
    let found = match (Fingerprint::parse(text), prefix(text)) {
        (Ok(sha256), _) => work.certificate_show(&sha256.to_string()).await?.into_iter().collect(),
        (Err(FingerprintError::Sha1), _) => {
            return Err(FindError::Sha1 { text: text.to_owned() });
        }
        (Err(_), Some(digits)) => work.certificates_by_prefix(&digits, MAX_NAMED).await?,
        (Err(_), None) => return Err(FindError::Unreadable { text: text.to_owned() }),
    };
    only(found, text)
}

fn only(mut found: Vec<StoredCertificate>, text: &str) -> Result<StoredCertificate, FindError> {
    let text = text.to_owned();
    if found.len() > 1 {
        let sha256 = found.into_iter().map(|one| one.sha256).collect();
        return Err(FindError::Ambiguous { text, sha256 });
    }
    found.pop().ok_or(FindError::NotKnown { text })
}

/// The beginning of a fingerprint: some hexadecimal digits, colons or none.
fn prefix(text: &str) -> Option<String> {
    let digits = text.replace(':', "").to_ascii_lowercase();
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_hex && (MIN_PREFIX_DIGITS..64).contains(&digits.len())).then_some(digits)
}

/// As it is printed first, which an index finds; then every name that is equal in another case or
/// another type of string.
async fn by_name(work: &mut Work, text: &str) -> Result<Vec<StoredCertificate>, FindError> {
    let name = DistinguishedName::parse(text, SlashForm::Accept)
        .map_err(|_| FindError::Unreadable { text: text.to_owned() })?;
    let found = work.certificates_by_subject(&name.to_string(), MAX_NAMED).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    let mut sha256 = Vec::new();
    work.each_subject(|one, subject| {
        let subject = DistinguishedName::parse(subject, SlashForm::Refuse);
        if subject.is_ok_and(|subject| subject == name) {
            sha256.push(one.to_owned());
        }
    })
    .await?;
    let mut found = Vec::new();
    for one in sha256.iter().take(usize::try_from(MAX_NAMED).unwrap_or(usize::MAX)) {
        found.extend(work.certificate_show(one).await?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn the_beginning_of_a_fingerprint_has_eight_digits_or_more() {
        assert_eq!(prefix("AB:CD:EF:01").as_deref(), Some("abcdef01"));
        assert_eq!(prefix(&"a".repeat(63)).as_deref(), Some("a".repeat(63).as_str()));
        for other in ["", "abcdef0", "alice123", &"a".repeat(64)] {
            assert_eq!(prefix(other), None, "{other}");
        }
    }
}
