//! Whose renewal a certificate looks like, by the certificates that are known.
//!
//! A resemblance lets nobody in: it is shown to an operator, who approves. Names count only beside
//! the same issuer, which is its name and its key: anybody can found a CA of any name.

use super::{Ground, Standing};
use crate::directory::Directory;
use crate::pki::{Certificate, DistinguishedName, SubjectAltNames};
use crate::pki::{canonical_dns, canonical_email, canonical_upn};
use crate::reason::DenyReason;
use crate::store::{StoreError, Work};

/// Known certificates that are looked at for one: a person has few.
const MAX_COMPARED: i64 = 50;

/// A known certificate of somebody that this one resembles.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Likeness {
    /// Whose it is.
    pub username: String,
    /// The known certificate.
    pub sha256: String,
    /// What they have in common.
    pub resemblance: Resemblance,
    /// The known one has not expired.
    pub is_live: bool,
}

/// What two certificates have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resemblance {
    /// The key: whoever holds the one can use the other.
    Key,
    /// Issuer, subject and all alternative names.
    Names,
}

impl Resemblance {
    /// A word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Names => "names",
        }
    }
}

/// Whose renewal this certificate looks like: the known certificates of people that it resembles.
/// One whose mapping is off, over or revoked, or that is blocked, is nobody's; and with a key that
/// was blocked or revoked in any certificate, there is none at all.
///
/// # Errors
/// The database does not answer.
pub async fn likenesses(
    work: &mut Work,
    certificate: &Certificate,
    directory: &Directory,
    ground: &Ground,
) -> Result<Vec<Likeness>, StoreError> {
    let known = work.certificates_like(certificate, MAX_COMPARED).await?;
    let mut found = Vec::new();
    for stored in known.iter().filter(|known| known.sha256 != certificate.sha256.to_string()) {
        let Ok(other) = Certificate::from_der(&stored.der) else { continue };
        let Some(resemblance) = resemblance(certificate, &other) else { continue };
        let standing = Standing::of(&other, directory, ground);
        let is_lost = standing.block.is_some() || standing.code == REVOKED;
        if is_lost && resemblance == Resemblance::Key {
            return Ok(Vec::new());
        }
        // By a mapping in force; a rule would let the new one in as well.
        let (Some(username), Some(_)) = (standing.username, standing.mapping) else { continue };
        if is_lost || standing.code == DISABLED {
            continue;
        }
        let is_live = other.not_after.as_seconds() >= ground.now.as_seconds();
        found.push(Likeness { username, sha256: stored.sha256.clone(), resemblance, is_live });
    }
    Ok(found)
}

/// The one user of whom live certificates resemble this one; none of nobody or of two.
#[must_use]
pub fn renewed_user(likenesses: &[Likeness]) -> Option<&str> {
    let mut live = likenesses.iter().filter(|one| one.is_live).map(|one| one.username.as_str());
    let first = live.next()?;
    live.all(|other| other == first).then_some(first)
}

/// What they have in common, the stronger first.
fn resemblance(one: &Certificate, other: &Certificate) -> Option<Resemblance> {
    if one.spki_sha256 == other.spki_sha256 {
        return Some(Resemblance::Key);
    }
    let is_same_issuer =
        is_equal(&one.issuer, &other.issuer) && one.authority_key_id == other.authority_key_id;
    if !is_same_issuer || !is_equal(&one.subject, &other.subject) {
        return None;
    }
    let (names, others) = (canonical(&one.san), canonical(&other.san));
    // Nothing but an issuer in common is nothing.
    let is_nameless = one.subject.is_empty() && names.iter().all(Vec::is_empty);
    (!is_nameless && names == others).then_some(Resemblance::Names)
}

fn is_equal(one: &DistinguishedName, other: &DistinguishedName) -> bool {
    one == other && !one.has_control_character() && !other.has_control_character()
}

/// The alternative names of each kind as they compare, in an order of their own.
fn canonical(san: &SubjectAltNames) -> [Vec<String>; 4] {
    let sorted = |mut names: Vec<String>| {
        names.sort_unstable();
        names.dedup();
        names
    };
    [
        sorted(san.email.iter().map(|name| canonical_email(name)).collect()),
        sorted(san.upn.iter().map(|name| canonical_upn(name)).collect()),
        sorted(san.uri.clone()),
        sorted(san.dns.iter().map(|name| canonical_dns(name)).collect()),
    ]
}

const DISABLED: &str = DenyReason::MappingDisabled.code();
const REVOKED: &str = DenyReason::MappingRevoked.code();
