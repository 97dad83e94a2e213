//! Importing: what a feed asks for, weighed against what is there, as a plan.
//!
//! An import gives and never changes: rows that are there stay as they are. Above all it never gives
//! back what somebody took away: where the same certificate, in whatever words, has a mapping that
//! is disabled, ended or revoked, or that is another user's, the claim is refused and named.
//!
//! Layout: [`Terms`], what the operator says; `known`, what is there; `naming`, whose an unnamed
//! certificate is; [`plan()`], the weighing; `prune`, what a feed no longer has; [`apply`], the doing.

mod doing;
mod known;
mod naming;
mod plan;
mod prune;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::directory::{Kind, Kinds};
use crate::exchange::Refused;
use crate::pki::{Certificate, UnixTime};
use crate::store::{
    Block, GivenBlock, GivenMapping, HeldCertificate, Mapping, Member, NewUser, PatternText, User,
};

pub use self::doing::{Step, apply, look};
pub use self::naming::{UserFrom, name_key};
pub use self::plan::plan;
pub use self::prune::Limit;

/// What the operator says about an import.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Whose a certificate is that nobody names.
    pub user_from: Option<UserFrom>,
    /// Domains whose local parts are names of ours; empty: the one that all addresses have.
    pub domains: Vec<String>,
    /// What of a certificate becomes the mapping.
    pub by: Kind,
    /// Groups that every user of the feed joins.
    pub groups: Vec<String>,
    /// Whether users may be added.
    pub users: Users,
    /// The administrators' group, and whether an import may touch it.
    pub admin: Admin,
    /// Who adds; of a feed that has a name, [`marker`].
    pub created_by: Option<String>,
    /// How much of what this feed brought earlier and no longer has may be taken away; none: nothing
    /// is.
    pub prune: Option<Limit>,
    /// How long a renewed certificate's predecessor still counts; none: as long as it did.
    pub retire_after_seconds: Option<i64>,
    /// The kinds that may match; a claim of another one is refused.
    pub kinds: Kinds,
    /// The moment.
    pub now: UnixTime,
}

/// Whether users that are not there are added.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Users {
    /// They are.
    #[default]
    Add,
    /// Their rows are refused.
    Existing,
}

/// What an import may do to administrators.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admin {
    /// The group (`admin.group`).
    pub group: String,
    /// Whether users may join it and its members may get mappings.
    pub is_allowed: bool,
}

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    /// Every user, with the groups.
    pub users: Vec<User>,
    /// Every mapping.
    pub mappings: Vec<Mapping>,
    /// Every block.
    pub blocks: Vec<Block>,
    /// The certificates that have to do with the feed.
    pub certificates: Vec<HeldCertificate>,
}

/// What an import does, and what it does not.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Users to add.
    pub users: Vec<NewUser>,
    /// Memberships to add, of users that are there.
    pub members: Vec<Member>,
    /// Mappings to add.
    pub mappings: Vec<GivenMapping>,
    /// Blocks to add.
    pub blocks: Vec<GivenBlock>,
    /// Certificates to keep.
    pub certificates: Vec<Arc<Certificate>>,
    /// Mappings whose window ends then.
    pub retired: Vec<(i64, String)>,
    /// Mappings to remove: the feed had them once.
    pub removed_mappings: Vec<i64>,
    /// Users to remove, likewise.
    pub removed_users: Vec<String>,
    /// How much is there already.
    pub already: Already,
    /// What is not taken, and why.
    pub refused: Vec<Refused>,
    /// Why nothing at all may be done, whatever is skipped.
    pub forbidden: Option<String>,
    /// For people.
    pub remarks: Vec<String>,
}

/// What needs nothing to be done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Already {
    /// Users.
    pub users: usize,
    /// Memberships.
    pub members: usize,
    /// Mappings.
    pub mappings: usize,
    /// Blocks.
    pub blocks: usize,
}

impl Plan {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
            && self.members.is_empty()
            && self.mappings.is_empty()
            && self.blocks.is_empty()
            && self.certificates.is_empty()
            && self.retired.is_empty()
            && self.removed_mappings.is_empty()
            && self.removed_users.is_empty()
    }
}

/// What `created_by` says of rows that the feed of this name brought.
#[must_use]
pub fn marker(source: &str) -> String {
    format!("import {source}")
}

/// The columns of a certificate that a mapping of this kind has.
///
/// # Errors
/// The certificate has no such value, or one that never matches.
pub fn pattern_of(certificate: &Certificate, kind: Kind) -> Result<PatternText, String> {
    let issuer = || Some(certificate.issuer.to_exact_text());
    let serial = || match certificate.serial.is_odd() {
        true => Err("its serial is zero, negative or too long, and such a serial matches nothing"),
        false => Ok(Some(certificate.serial.to_string())),
    };
    let subject = || match certificate.subject.is_empty() {
        true => Err("it has no subject"),
        false => Ok(Some(certificate.subject.to_exact_text())),
    };
    let none = PatternText::default();
    Ok(match kind {
        Kind::Sha256 => PatternText { sha256: Some(certificate.sha256.to_string()), ..none },
        Kind::Spki => {
            PatternText { spki_sha256: Some(certificate.spki_sha256.to_string()), ..none }
        }
        Kind::IssuerSerial => PatternText { issuer: issuer(), serial: serial()?, ..none },
        Kind::IssuerSubject => PatternText { issuer: issuer(), subject: subject()?, ..none },
        Kind::Subject => PatternText { subject: subject()?, ..none },
        other => return Err(format!("a certificate is not mapped by {} here", other.name())),
    })
}
