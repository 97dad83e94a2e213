//! A directory piece by piece, as bytes, so that it can be kept in a file and made again of it.
//!
//! Whoever keeps the pieces sees to it that they are whole and its own; each is checked all the
//! same when it comes back. It does no I/O.

use std::borrow::Cow;

use super::mapping::Mapping;
use super::name::Name;
use super::row::{BlockRow, RuleRow};
use super::user::User;
use super::{Builder, Directory};

/// The form of the pieces; another form has another number.
pub const PART_VERSION: u32 = 3;

/// What a piece is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A block's row.
    Block,
    /// A mapping's record.
    Mapping,
    /// A rule's row.
    Rule,
    /// A user's record, with its groups.
    User,
}

impl Part {
    /// Every kind of piece.
    pub const ALL: [Self; 4] = [Self::Block, Self::Mapping, Self::Rule, Self::User];

    /// Its letter in a file.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Self::Block => b'b',
            Self::Mapping => b'm',
            Self::Rule => b'r',
            Self::User => b'u',
        }
    }
}

/// A piece that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {part:?} in it cannot be read")]
pub struct PartError {
    /// What it should have been.
    pub part: Part,
}

impl Directory {
    /// Every piece, users first. Rows that count for nothing, because they could not be read, and
    /// mappings of nobody are not among them.
    pub fn parts(&self) -> impl Iterator<Item = (Part, Cow<'_, [u8]>)> {
        let packed = |bytes: Result<Vec<u8>, _>| Cow::Owned(bytes.unwrap_or_default());
        let users = self.users.records().map(|record| (Part::User, Cow::Borrowed(record)));
        let has_user = |record: &&[u8]| {
            Mapping::unpack(record).is_some_and(|one| self.users.holds(one.username))
        };
        let mappings = self.mappings.records().filter(has_user);
        let mappings = mappings.map(|record| (Part::Mapping, Cow::Borrowed(record)));
        let blocks = self.blocks.rows().map(move |block| {
            (Part::Block, packed(postcard::to_allocvec(block.source()).map_err(drop)))
        });
        let rules = self
            .rules
            .sources()
            .iter()
            .map(move |rule| (Part::Rule, packed(postcard::to_allocvec(rule).map_err(drop))));
        users.chain(mappings).chain(blocks).chain(rules)
    }
}

impl Builder {
    /// Takes one piece of [`Directory::parts`], made with the same settings.
    ///
    /// # Errors
    /// What is not such a piece; the builder is then worth nothing.
    pub fn restore(&mut self, part: Part, bytes: &[u8]) -> Result<(), PartError> {
        let error = PartError { part };
        match part {
            Part::User => {
                let separator = self.directory.settings.group_separator;
                let user = User::unpack(bytes, separator).ok_or(error)?;
                let is_name = |name: &str| Name::parse(name.as_bytes()).is_ok();
                let are_names = is_name(&user.username) && user.groups.iter().all(is_name);
                let is_put = are_names && self.directory.users.put(&user);
                is_put.then_some(()).ok_or(error)
            }
            Part::Mapping => {
                let mapping = Mapping::unpack(bytes).ok_or(error)?;
                let is_put = mapping.is_sound() && self.directory.mappings.insert(&mapping);
                is_put.then_some(()).ok_or(error)
            }
            Part::Block => {
                let row: BlockRow = postcard::from_bytes(bytes).map_err(|_| error)?;
                self.add_block(&row);
                Ok(())
            }
            Part::Rule => {
                let row: RuleRow = postcard::from_bytes(bytes).map_err(|_| error)?;
                self.add_rule(&row);
                Ok(())
            }
        }
    }
}
