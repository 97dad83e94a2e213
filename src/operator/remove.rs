//! A person leaves for good.

use super::Ground;
use super::lost::can_still_match;
use crate::directory::{Kind, parse_pattern, provisioning_rule};
use crate::store::{Mapping, NewBlock, StoreError, Work};

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
    for mapping in &all {
        if let Some(block) = instead_of(mapping, created_by) {
            removed.blocks.push(work.block_add(&block).await?);
        }
    }
    work.user_remove(username).await?;
    Ok(removed)
}

/// The block that refuses what a revoked mapping refuses, whatever else matches.
fn instead_of(mapping: &Mapping, created_by: Option<&str>) -> Option<NewBlock> {
    let revoked_at = mapping.revoked_at.clone()?;
    let kind = parse_pattern(&mapping.pattern.row()).ok()?.kind();
    if !kind.is_some_and(Kind::is_strong) {
        return None;
    }
    let (id, username) = (mapping.id, &mapping.username);
    let reason = mapping.revoked_reason.clone();
    Some(NewBlock {
        pattern: mapping.pattern.clone(),
        valid_from: Some(revoked_at),
        reason: reason.or_else(|| Some("revoked".to_owned())),
        note: Some(format!("instead of the revoked mapping {id} of {username}, who was removed")),
        created_by: created_by.map(str::to_owned),
        ..NewBlock::default()
    })
}
