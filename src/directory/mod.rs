//! The directory: everything that decides who a certificate belongs to, complete and in memory.
//!
//! It is one immutable value: built from the rows of a store, published whole, read without
//! waiting; its next version shares what did not change. It holds no database handle and does no
//! I/O.

mod block;
mod build;
mod consider;
mod index;
mod kind;
mod known;
mod mapping;
mod name;
mod near;
mod part;
mod partial;
mod pattern;
mod read;
pub mod row;
mod rule;
mod shelf;
#[cfg(test)]
mod tests;
mod unusable;
mod user;
mod waiting;
mod window;

use std::sync::Arc;

use index::{BlockIndex, MappingIndex, UserIndex};
use row::{BlockRow, GroupRow, MappingRow, Row, RuleRow, UserRow};
use rule::Rules;

pub use block::Block;
pub use build::Builder;
pub use consider::{Candidates, Considered, Standing};
pub use kind::{Kind, Kinds};
pub use known::KnownCertificate;
pub use mapping::Mapping;
pub use name::{MAX_NAME_BYTES, Name, NameError};
pub use near::{Near, Sibling};
pub use part::{PART_VERSION, Part, PartError};
pub use partial::partial_identity;
pub use pattern::{
    Agreement, Column, ColumnError, Pattern, Value as PatternValue, parse_pattern, readable_pattern,
};
pub use rule::{Holder, MAX_RULES, Ruled, Wish, check_rule, provisioning_rule};
pub use unusable::{Relation, RowError, Severity, Unusable};
pub use user::{Groups, MAX_USER_AND_GROUPS_BYTES, User};
pub use window::Window;

use crate::pki::{Identity, UnixTime};

/// Every row a directory is built from, as one consistent snapshot of a store.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// `app_user`
    pub users: Vec<UserRow>,
    /// `user_group`
    pub groups: Vec<GroupRow>,
    /// `mapping`
    pub mappings: Vec<MappingRow>,
    /// `block`
    pub blocks: Vec<BlockRow>,
    /// `rule`
    pub rules: Vec<RuleRow>,
}

impl Rows {
    /// Adds a row where it belongs.
    pub fn push(&mut self, row: Row) {
        match row {
            Row::Block(row) => self.blocks.push(row),
            Row::Group(row) => self.groups.push(row),
            Row::Mapping(row) => self.mappings.push(row),
            Row::Rule(row) => self.rules.push(row),
            Row::User(row) => self.users.push(row),
        }
    }
}

/// What the operator configured of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Joins groups in the answer; a group that holds it is left out.
    pub group_separator: char,
    /// The administrators' group (`admin.group`), which no rule leads into.
    pub admin_group: Box<str>,
}

impl Default for Settings {
    /// As the configuration's defaults.
    fn default() -> Self {
        Self { group_separator: ',', admin_group: "certgate-admin".into() }
    }
}

/// Users, groups, mappings, blocks and rules, indexed by canonical keys.
///
/// Its copies share everything; [`Directory::apply`] copies what it changes.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    users: UserIndex,
    mappings: MappingIndex,
    blocks: Arc<BlockIndex>,
    rules: Arc<Rules>,
    settings: Settings,
    unusable: Arc<Vec<Unusable>>,
}

/// What the mappings say of a certificate.
#[derive(Clone, Debug)]
pub enum Found<'d> {
    /// Active mappings of the strongest matching kind name one user; the first of them.
    Active(Mapping<'d>, User<'d>),
    /// Active mappings of the strongest matching kind name two users or more.
    Ambiguous(Kind),
    /// Mappings of the strongest matching kind match, and none is active.
    Disabled(Kind),
    /// No mapping matches.
    Nothing,
    /// A strong mapping matches whose revocation has been reached.
    Revoked(Mapping<'d>),
}

impl Directory {
    /// Builds the directory. Rows that cannot be used are left out, or kept in the direction that
    /// keeps people out, and are listed in [`Directory::unusable`].
    #[must_use]
    pub fn build(rows: &Rows, settings: &Settings) -> Self {
        let mut builder = Builder::new(settings);
        rows.groups.iter().for_each(|row| builder.add_group(row));
        rows.users.iter().for_each(|row| builder.add_user(row));
        rows.mappings.iter().for_each(|row| builder.add_mapping(row));
        rows.blocks.iter().for_each(|row| builder.add_block(row));
        rows.rules.iter().for_each(|row| builder.add_rule(row));
        builder.finish()
    }

    /// The user of that exact name.
    #[must_use]
    pub fn user(&self, username: &str) -> Option<User<'_>> {
        self.users.get(username)
    }

    /// The mapping of that id, if it can be read.
    #[must_use]
    pub fn mapping(&self, id: i64) -> Option<Mapping<'_>> {
        self.mappings.get(id)
    }

    /// The first block in force that matches; blocks look neither at kinds nor at issuers allowed.
    #[must_use]
    pub fn find_block(&self, identity: &Identity, now: UnixTime) -> Option<&Block> {
        self.blocks
            .candidates(identity)
            .into_iter()
            .find(|block| block.is_in_force(now) && block.matches(identity))
    }

    /// What the mappings of these kinds say, by the rules of matching:
    ///
    /// 1. a matching strong mapping whose revocation is reached wins, whatever else matches;
    /// 2. the strongest kind with any match, active or not, decides alone.
    ///
    /// Fails closed: an odd serial, a name with a control character or an invisible column matches
    /// nothing; a row that cannot be read lets nobody in, and if it is revoked it still revokes by
    /// what is strong and can be read of it.
    #[must_use]
    pub fn find<'d>(&'d self, identity: &Identity, now: UnixTime, kinds: Kinds) -> Found<'d> {
        let mut found = Found::Nothing;
        for kind in Kind::ALL {
            if !self.mappings.has(kind) {
                continue;
            }
            let is_decided = !matches!(found, Found::Nothing);
            let may_match = kinds.contains(kind) && !is_decided;
            // A revocation is looked for in all of the strong ones.
            if !may_match && !kind.is_strong() {
                continue;
            }
            for mapping in self.mappings.matches(kind, identity) {
                let Some(user) = self.users.get(mapping.username) else { continue };
                if kind.is_strong() && mapping.is_revoked(now) {
                    return Found::Revoked(mapping);
                }
                if may_match && !mapping.is_doubtful {
                    found.add(kind, mapping, user, now);
                }
            }
        }
        found
    }

    /// Every mapping that matches, of whatever kind, active or not, the strongest first; that of a
    /// user who is not there as well.
    pub fn matching<'d, 'i>(
        &'d self,
        identity: &'i Identity,
    ) -> impl Iterator<Item = Mapping<'d>> + use<'d, 'i> {
        Kind::ALL.into_iter().flat_map(|kind| self.mappings.matches(kind, identity))
    }

    /// Whether there is a user whose name differs from this one by case at most.
    #[must_use]
    pub fn has_user_of_any_case(&self, username: &str) -> bool {
        self.users.of_any_case(username).next().is_some()
    }

    /// Rows that cannot be used, or not as they were meant.
    #[must_use]
    pub fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }

    /// How many users there are.
    #[must_use]
    pub const fn user_count(&self) -> usize {
        self.users.len()
    }

    /// How many mappings there are that count for anything.
    #[must_use]
    pub const fn mapping_count(&self) -> usize {
        self.mappings.len()
    }

    /// How many readable blocks there are.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }
}

impl<'d> Found<'d> {
    /// One more match of the same kind.
    fn add(&mut self, kind: Kind, mapping: Mapping<'d>, user: User<'d>, now: UnixTime) {
        match (&*self, mapping.is_active(now)) {
            (Self::Nothing, false) => *self = Self::Disabled(kind),
            (Self::Nothing | Self::Disabled(_), true) => *self = Self::Active(mapping, user),
            (Self::Active(_, other), true) if other.username != user.username => {
                *self = Self::Ambiguous(kind);
            }
            _ => {}
        }
    }
}
