//! A key is lost: its certificate is refused, and what its holder can still use is told.

use super::Ground;
use crate::directory::{Column, Directory, Kind, Relation, Ruled, parse_pattern};
use crate::pki::{Certificate, Identity, UnixTime};
use crate::store::{Mapping, NewBlock, PatternText, StoreError, Work};

/// What the holder of a certificate that is blocked can still use.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// Whose the certificate was.
    pub users: Vec<String>,
    /// Mappings of theirs that let other certificates in.
    pub mappings: Vec<LeftMapping>,
    /// The rule that lets in other certificates like this one, by priority.
    pub rules: Vec<i64>,
}

/// A mapping that lets another certificate in.
#[derive(Clone, Debug)]
pub struct LeftMapping {
    /// The mapping.
    pub mapping: Mapping,
    /// Which certificates it lets in.
    pub why: &'static str,
}

/// Refuses this certificate and no other; gives back the block's id. The certificate is kept in
/// mind, so that another one of its key is known for what it is.
///
/// # Errors
/// Nothing was changed.
pub async fn block_certificate(
    work: &mut Work,
    ground: &Ground,
    certificate: &Certificate,
    reason: Option<&str>,
    created_by: Option<&str>,
) -> Result<i64, StoreError> {
    let block = NewBlock {
        pattern: this_one(certificate, ground),
        reason: reason.map(str::to_owned),
        created_by: created_by.map(str::to_owned),
        ..NewBlock::default()
    };
    work.certificate_add(certificate).await?;
    work.block_add(&block).await
}

/// This certificate only, as far as the service can tell certificates apart: where it sees headers
/// only, a fingerprint alone would keep nobody out.
fn this_one(certificate: &Certificate, ground: &Ground) -> PatternText {
    let mut pattern =
        PatternText { sha256: Some(certificate.sha256.to_string()), ..PatternText::default() };
    if ground.shows(Column::Sha256) {
        return pattern;
    }
    if ground.shows(Column::Serial) && !certificate.serial.is_odd() {
        pattern.serial = Some(certificate.serial.to_string());
    }
    if ground.shows(Column::Issuer) {
        pattern.issuer = Some(certificate.issuer.to_exact_text());
    }
    if ground.shows(Column::Subject) && !certificate.subject.is_empty() {
        pattern.subject = Some(certificate.subject.to_exact_text());
    }
    pattern
}

/// What the holder can still use, whether the block is there yet or not.
///
/// # Errors
/// The database does not answer.
pub async fn left_to(
    work: &mut Work,
    ground: &Ground,
    certificate: &Certificate,
) -> Result<Left, StoreError> {
    let rows = work.load().await?;
    let directory = Directory::build(&rows, &ground.settings);
    // What the certificate says counts here, whatever of it requests show.
    let identity = Identity::from_certificate(certificate);
    let matching =
        directory.matching(&identity).filter(|mapping| ground.kinds.contains(mapping.kind));
    let mut left = Left {
        users: matching.map(|mapping| mapping.username.to_owned()).collect(),
        ..Left::default()
    };
    let seen = ground.identity(certificate);
    if let Ruled::User(user, priority) =
        directory.ask_rules(ground.holder(&seen, certificate), ground.now)
    {
        left.users.push(user.username.into_owned());
        left.rules.push(priority);
    }
    left.users.sort_unstable();
    left.users.dedup();
    for username in &left.users {
        let window = directory.user(username).and_then(|user| user.window);
        if !window.is_some_and(|window| window.is_open(ground.now)) {
            continue;
        }
        for mapping in work.mapping_list(Some(username)).await? {
            // The directory left it out: it matches nothing.
            if is_unusable(&directory, mapping.id) || !can_still_match(&mapping, ground) {
                continue;
            }
            if let Some(why) = why_left(&mapping, &identity) {
                left.mappings.push(LeftMapping { mapping, why });
            }
        }
    }
    Ok(left)
}

/// Whether a mapping lets somebody in now, or will. A row that cannot be read does not.
pub(super) fn can_still_match(mapping: &Mapping, ground: &Ground) -> bool {
    let Ok(pattern) = parse_pattern(&mapping.pattern.row()) else { return false };
    if !pattern.kind().is_some_and(|kind| ground.kinds.contains(kind)) || !mapping.enabled {
        return false;
    }
    let is_ahead = |text: &Option<String>| match text {
        Some(text) => UnixTime::parse_rfc3339(text).is_ok_and(|at| at > ground.now),
        None => true,
    };
    let reads = |text: &Option<String>| {
        text.as_ref().is_none_or(|text| UnixTime::parse_rfc3339(text).is_ok())
    };
    reads(&mapping.valid_from) && is_ahead(&mapping.valid_until) && is_ahead(&mapping.revoked_at)
}

fn is_unusable(directory: &Directory, id: i64) -> bool {
    let id = id.to_string();
    let mut unusable = directory.unusable().iter();
    unusable.any(|row| row.relation == Relation::Mapping && row.key == id)
}

/// Which other certificates a mapping lets in; none if it names the one that is blocked and no
/// other. In doubt it is told: an operator can judge it.
fn why_left(mapping: &Mapping, identity: &Identity) -> Option<&'static str> {
    let pattern = parse_pattern(&mapping.pattern.row()).ok()?;
    let is_this_one = pattern.agrees(identity);
    match pattern.kind()? {
        Kind::Sha256 | Kind::IssuerSerial if is_this_one => None,
        Kind::Spki if is_this_one => Some("another certificate of the same key"),
        _ if is_this_one => Some("another certificate of the same name"),
        Kind::Sha256 | Kind::IssuerSerial => Some("another certificate"),
        Kind::Spki => Some("certificates of another key"),
        _ => Some("certificates of another name"),
    }
}
