//! A person leaves for good.

use super::Ground;
use super::lost::can_still_match;
use crate::directory::{Column, Kind, provisioning_rule, readable_pattern};
use crate::pki::UnixTime;
use crate::store::{Mapping, NewBlock, PatternText, StoreError, Work};

/// How many mappings are named.
const MAX_NAMED: usize = 10;

/// What went with the user, and what stays.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Removed {
    /// Mappings that let somebody in.
    pub mappings: Vec<i64>,
    /// Blocks that keep out what revoked mappings of theirs kept out.
    pub blocks: Vec<i64>,
}

/// Why a user stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// Certificates still lead there.
    #[error(
        "{username} still has {count} mappings that let in ({}); to keep this user out use \
         `certgate user disable {username}`, or say --with-mappings",
        ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
    )]
    MappingsLive {
        /// The user.
        username: String,
        /// How many.
        count: usize,
        /// The first of them.
        ids: Vec<i64>,
    },
    /// A revocation that would be gone with its row, and of which no block can be made.
    #[error(
        "mapping {id} of {username} is revoked and cannot be read well enough for a block of its own; \
         block that certificate with `certgate certificate block`, then remove mapping {id}"
    )]
    RevocationUnread {
        /// The mapping.
        id: i64,
        /// The user.
        username: String,
    },
    /// A rule would add the user again, and what had been noted of them would be gone.
    #[error(
        "rule {priority} would add {username} again at the next request; to keep this user out use \
         `certgate user disable {username}`, or disable the rule first"
    )]
    RuleAddsAgain {
        /// The rule.
        priority: i64,
        /// The user.
        username: String,
    },
    /// A database that did not answer, or no such user.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes a user with groups and mappings. Certificates that a mapping of theirs revokes stay out:
/// each gets a block.
///
/// # Errors
/// Nothing was changed. Mappings that let in refuse, unless they are to go too.
pub async fn remove_user(
    work: &mut Work,
    ground: &Ground,
    username: &str,
    with_mappings: bool,
    created_by: Option<&str>,
) -> Result<Removed, RemoveError> {
    let user = work.user_show(username).await?;
    if user.origin == "rule" {
        let rules = work.rule_list().await?;
        let rows: Vec<_> = rules.iter().map(|rule| rule.text.row(rule.enabled)).collect();
        if let Some(priority) = provisioning_rule(&rows, &ground.settings, username, ground.now) {
            let username = username.to_owned();
            return Err(RemoveError::RuleAddsAgain { priority, username });
        }
    }
    let all = work.mapping_list(Some(username)).await?;
    let live = all.iter().filter(|one| can_still_match(one, ground));
    let live: Vec<i64> = live.map(|one| one.id).collect();
    if !live.is_empty() && !with_mappings {
        return Err(RemoveError::MappingsLive {
            username: username.to_owned(),
            count: live.len(),
            ids: live.into_iter().take(MAX_NAMED).collect(),
        });
    }
    let mut removed = Removed { mappings: live, blocks: Vec::new() };
    let blocks = all.iter().filter_map(|mapping| instead_of(mapping, created_by).transpose());
    for block in blocks.collect::<Result<Vec<_>, _>>()? {
        removed.blocks.push(work.block_add(&block).await?);
    }
    work.user_remove(username).await?;
    Ok(removed)
}

/// The block that refuses what a revoked mapping refuses, whatever else matches: by what of it can
/// be read, as the mapping did.
fn instead_of(
    mapping: &Mapping,
    created_by: Option<&str>,
) -> Result<Option<NewBlock>, RemoveError> {
    let Some(revoked_at) = &mapping.revoked_at else { return Ok(None) };
    let (id, username) = (mapping.id, &mapping.username);
    let pattern = readable(&mapping.pattern);
    if !readable_pattern(&pattern.row()).kind().is_some_and(Kind::is_strong) {
        return match pattern == mapping.pattern {
            true => Ok(None),
            false => Err(RemoveError::RevocationUnread { id, username: username.clone() }),
        };
    }
    // A time that cannot be read revokes from ever on.
    let valid_from = UnixTime::parse_rfc3339(revoked_at).is_ok().then(|| revoked_at.clone());
    let reason = mapping.revoked_reason.clone();
    Ok(Some(NewBlock {
        pattern,
        valid_from,
        reason: reason.or_else(|| Some("revoked".to_owned())),
        note: Some(format!("instead of the revoked mapping {id} of {username}, who was removed")),
        created_by: created_by.map(str::to_owned),
        ..NewBlock::default()
    }))
}

/// The columns that can be read. One with octets that are no text was not shown as it stands.
fn readable(text: &PatternText) -> PatternText {
    let pattern = readable_pattern(&text.row());
    let keep = |text: &Option<String>, column| {
        let is_read = |text: &&String| {
            pattern.value(column).is_some() && !text.contains(char::REPLACEMENT_CHARACTER)
        };
        text.as_ref().filter(is_read).cloned()
    };
    PatternText {
        sha256: keep(&text.sha256, Column::Sha256),
        spki_sha256: keep(&text.spki_sha256, Column::SpkiSha256),
        issuer: keep(&text.issuer, Column::Issuer),
        issuer_key_id: keep(&text.issuer_key_id, Column::IssuerKeyId),
        serial: keep(&text.serial, Column::Serial),
        subject: keep(&text.subject, Column::Subject),
        san_email: keep(&text.san_email, Column::SanEmail),
        san_upn: keep(&text.san_upn, Column::SanUpn),
        san_uri: keep(&text.san_uri, Column::SanUri),
        san_dns: keep(&text.san_dns, Column::SanDns),
        common_name: keep(&text.common_name, Column::CommonName),
    }
}
