//! Whose renewal a certificate looks like, by the certificates that are known.
//!
//! A resemblance lets nobody in: it is shown to an operator, who approves. Names count only beside
//! the same issuer, which is its name and its key: anybody can found a CA of any name.

use super::{Ground, Standing};
use crate::directory::Directory;
use crate::pki::{Certificate, DistinguishedName, SubjectAltNames};
use crate::pki::{canonical_dns, canonical_email, canonical_upn};
use crate::store::{StoreError, StoredCertificate, Work};

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
/// One whose mapping is off, over or revoked, or that is blocked, is nobody's.
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
    let known = known.iter().filter(|known| known.sha256 != certificate.sha256.to_string());
    Ok(known.filter_map(|known| likeness(certificate, known, directory, ground)).collect())
}

/// The one user of whom live certificates resemble this one; none of nobody or of two.
#[must_use]
pub fn renewed_user(likenesses: &[Likeness]) -> Option<&str> {
    let mut live = likenesses.iter().filter(|one| one.is_live).map(|one| one.username.as_str());
    let first = live.next()?;
    live.all(|other| other == first).then_some(first)
}

fn likeness(
    certificate: &Certificate,
    known: &StoredCertificate,
    directory: &Directory,
    ground: &Ground,
) -> Option<Likeness> {
    let other = Certificate::from_der(&known.der).ok()?;
    let resemblance = resemblance(certificate, &other)?;
    let standing = Standing::of(&other, directory, ground);
    // By a mapping in force; a rule would let the new one in as well.
    if standing.block.is_some() || standing.code == DISABLED || standing.code == REVOKED {
        return None;
    }
    standing.mapping?;
    Some(Likeness {
        username: standing.username?,
        sha256: known.sha256.clone(),
        resemblance,
        is_live: other.not_after.as_seconds() >= ground.now.as_seconds(),
    })
}

const DISABLED: &str = crate::reason::DenyReason::MappingDisabled.code();
const REVOKED: &str = crate::reason::DenyReason::MappingRevoked.code();

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
