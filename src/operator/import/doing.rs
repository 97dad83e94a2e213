//! Looking at what is there, and doing what was planned, inside the caller's transaction.

use std::collections::HashSet;

use super::naming::name_key;
use super::{Existing, Plan};
use crate::exchange::{Feed, Meant};
use crate::pki::SerialNumber;
use crate::store::{StoreError, Work};

/// How far an import has come, for whoever shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// What is being written.
    pub noun: &'static str,
    /// How many are done.
    pub done: usize,
    /// Of how many.
    pub total: usize,
}

/// Reads what is there; nobody else changes users, mappings or blocks until the transaction ends.
///
/// # Errors
/// The database does not answer.
pub async fn look(work: &mut Work, feed: &Feed) -> Result<Existing, StoreError> {
    work.hold_writers().await?;
    let (mut digests, mut keys, mut names) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut serials: HashSet<SerialNumber> = HashSet::new();
    for claim in &feed.claims {
        match &claim.value.meant {
            Meant::Certificate(certificate) => {
                digests.insert(certificate.sha256.to_string());
                keys.insert(certificate.spki_sha256.to_string());
                serials.insert(certificate.serial.clone());
                names.extend(name_key(certificate));
            }
            Meant::Pattern(pattern) => {
                let plain = |text: &String| text.replace(':', "").to_ascii_lowercase();
                digests.extend(pattern.sha256.as_ref().map(plain));
                keys.extend(pattern.spki_sha256.as_ref().map(plain));
                let serial = pattern.serial.as_deref();
                serials.extend(serial.and_then(|serial| SerialNumber::parse(serial).ok()));
            }
        }
    }
    let certificates = work
        .certificates_held(|certificate| {
            serials.contains(&certificate.serial)
                || digests.contains(&certificate.sha256.to_string())
                || keys.contains(&certificate.spki_sha256.to_string())
                || name_key(certificate).is_some_and(|key| names.contains(&key))
        })
        .await?;
    // A claim by fingerprint may be of a key that other certificates have too.
    let found: HashSet<_> = certificates.iter().map(|held| held.certificate.spki_sha256).collect();
    let is_more = certificates.iter().any(|held| {
        digests.contains(&held.certificate.sha256.to_string())
            && !keys.contains(&held.certificate.spki_sha256.to_string())
    });
    let certificates = if is_more {
        let kept: HashSet<_> = certificates.iter().map(|held| held.certificate.sha256).collect();
        work.certificates_held(|certificate| {
            kept.contains(&certificate.sha256) || found.contains(&certificate.spki_sha256)
        })
        .await?
    } else {
        certificates
    };
    Ok(Existing {
        users: work.user_list().await?,
        mappings: work.mapping_list(None).await?,
        blocks: work.block_list().await?,
        certificates,
    })
}

/// Does what was planned; what is not taken is left out. Whether it counts is the caller's commit.
///
/// # Errors
/// The database refuses something; then nothing of it may count.
pub async fn apply(
    work: &mut Work,
    plan: &Plan,
    mut told: impl FnMut(Step),
) -> Result<(), StoreError> {
    // Who is kept out first, then who comes in.
    for chunk in steps(&plan.blocks, "blocks", &mut told) {
        work.blocks_give(chunk).await?;
    }
    for chunk in steps(&plan.users, "users", &mut told) {
        work.users_give(chunk).await?;
    }
    for chunk in steps(&plan.members, "memberships", &mut told) {
        work.members_give(chunk).await?;
    }
    for chunk in steps(&plan.certificates, "certificates", &mut told) {
        work.certificates_give(chunk).await?;
    }
    for chunk in steps(&plan.mappings, "mappings", &mut told) {
        work.mappings_give(chunk).await?;
    }
    for (id, until) in &plan.retired {
        work.mapping_end(*id, until).await?;
    }
    for id in &plan.removed_mappings {
        work.mapping_remove(*id).await?;
    }
    for username in &plan.removed_users {
        work.user_remove(username).await?;
    }
    Ok(())
}

/// Rows in pieces; before each, how far it has come.
fn steps<'r, T>(
    rows: &'r [T],
    noun: &'static str,
    told: &mut impl FnMut(Step),
) -> impl Iterator<Item = &'r [T]> {
    let total = rows.len();
    rows.chunks(ROWS_OF_A_STEP).enumerate().map(move |(number, chunk)| {
        told(Step { noun, done: number * ROWS_OF_A_STEP, total });
        chunk
    })
}

/// Rows of one statement: enough that the way to the server does not count, and few enough for the
/// number of values that a statement may have (32,766 on SQLite).
const ROWS_OF_A_STEP: usize = 500;
