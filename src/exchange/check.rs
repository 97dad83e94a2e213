//! What a file says, checked before it is taken: by the code that reads the database's rows, and to
//! the limits that the schema has.

use super::feed::{Ban, Claim, Meant, Person, Whose};
use crate::directory::{MAX_USER_AND_GROUPS_BYTES, Name, parse_pattern};
use crate::pki::{UnixTime, parse_text};
use crate::store::PatternText;

/// Bytes of one text file: a hundred thousand certificates as JSON; it bounds the memory.
pub const MAX_FILE_BYTES: usize = 512 * 1024 * 1024;
/// Lines, entries or rows of one file: as many as the largest directory has mappings, twice.
pub const MAX_ITEMS: usize = 2_000_000;

/// Checks a person, and sorts the groups.
pub(super) fn person(mut person: Person) -> Result<Person, String> {
    name("username", &person.username)?;
    person.groups.sort_unstable();
    person.groups.dedup();
    let mut bytes = person.username.len() + person.groups.len().saturating_sub(1);
    for group in &person.groups {
        name("group", group)?;
        bytes += group.len();
    }
    if bytes > MAX_USER_AND_GROUPS_BYTES {
        return Err(format!("user and groups exceed {MAX_USER_AND_GROUPS_BYTES} bytes"));
    }
    texts(&[
        ("display_name", &person.display_name),
        ("email", &person.email),
        ("note", &person.note),
    ])?;
    window(&mut person.valid_from, &mut person.valid_until)?;
    Ok(person)
}

/// Checks a claim; its times are written the one way that the store takes.
pub(super) fn claim(mut claim: Claim) -> Result<Claim, String> {
    if let Whose::Named(username) = &claim.whose {
        name("username", username)?;
    }
    if let Meant::Pattern(text) = &claim.meant {
        let kind = pattern(text)?;
        if kind.is_none() {
            return Err("the issuer alone names nobody; give sha256, serial or subject".to_owned());
        }
    }
    texts(&[("revoked_reason", &claim.revoked_reason), ("note", &claim.note)])?;
    window(&mut claim.valid_from, &mut claim.valid_until)?;
    claim.revoked_at = time("revoked_at", claim.revoked_at)?;
    Ok(claim)
}

/// Checks a block.
pub(super) fn ban(mut ban: Ban) -> Result<Ban, String> {
    pattern(&ban.pattern)?;
    texts(&[("reason", &ban.reason), ("note", &ban.note)])?;
    window(&mut ban.valid_from, &mut ban.valid_until)?;
    Ok(ban)
}

/// Whether the columns can be read, and what they hang on.
fn pattern(text: &PatternText) -> Result<Option<crate::directory::Kind>, String> {
    let row = text.row();
    for text in columns(text).into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
        let (name, text) = text;
        parse_text(text).map_err(|error| format!("{name}: {error}"))?;
    }
    let pattern = parse_pattern(&row).map_err(|error| error.to_string())?;
    if pattern.is_empty() {
        return Err("no column says which certificate is meant".to_owned());
    }
    Ok(pattern.kind())
}

/// The columns of a pattern by their names in the schema.
pub(super) fn columns(pattern: &PatternText) -> [(&'static str, &Option<String>); 11] {
    [
        ("sha256", &pattern.sha256),
        ("spki_sha256", &pattern.spki_sha256),
        ("issuer", &pattern.issuer),
        ("issuer_key_id", &pattern.issuer_key_id),
        ("serial", &pattern.serial),
        ("subject", &pattern.subject),
        ("san_email", &pattern.san_email),
        ("san_upn", &pattern.san_upn),
        ("san_uri", &pattern.san_uri),
        ("san_dns", &pattern.san_dns),
        ("common_name", &pattern.common_name),
    ]
}

/// The same columns to be filled.
pub(super) fn columns_mut(pattern: &mut PatternText) -> [(&'static str, &mut Option<String>); 11] {
    [
        ("sha256", &mut pattern.sha256),
        ("spki_sha256", &mut pattern.spki_sha256),
        ("issuer", &mut pattern.issuer),
        ("issuer_key_id", &mut pattern.issuer_key_id),
        ("serial", &mut pattern.serial),
        ("subject", &mut pattern.subject),
        ("san_email", &mut pattern.san_email),
        ("san_upn", &mut pattern.san_upn),
        ("san_uri", &mut pattern.san_uri),
        ("san_dns", &mut pattern.san_dns),
        ("common_name", &mut pattern.common_name),
    ]
}

/// Checks the name of a user or of a group.
pub(super) fn name(what: &str, text: &str) -> Result<(), String> {
    Name::parse(text.as_bytes()).map(drop).map_err(|error| format!("{what}: {error}"))
}

fn texts(columns: &[(&str, &Option<String>)]) -> Result<(), String> {
    for (name, text) in columns {
        if let Some(text) = text {
            parse_text(text).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(())
}

fn time(name: &str, text: Option<String>) -> Result<Option<String>, String> {
    let read = |text: String| {
        let time = UnixTime::parse_rfc3339(&text).map_err(|error| format!("{name}: {error}"))?;
        Ok(time.to_string())
    };
    text.map(read).transpose()
}

fn window(from: &mut Option<String>, until: &mut Option<String>) -> Result<(), String> {
    *from = time("valid_from", from.take())?;
    *until = time("valid_until", until.take())?;
    let instant =
        |text: &Option<String>| text.as_deref().and_then(|text| UnixTime::parse_rfc3339(text).ok());
    match (instant(from), instant(until)) {
        (Some(from), Some(until)) if from >= until => {
            Err("valid_until is not after valid_from".to_owned())
        }
        _ => Ok(()),
    }
}
