//! The keys that changed, as the feed writes them.
//!
//! A key that cannot be read is never left out: then everything has to be loaded anew.

use std::collections::BTreeMap;

use crate::directory::row::{BlockRow, Change, GroupRow, MappingRow, Row, RuleRow, UserRow};

/// Most changed keys that one look reads row by row. More are loaded with everything else, which
/// costs a million rows some seconds; this many cost about a tenth of one.
pub(crate) const MAX_KEYS: usize = 10_000;

/// Why keys cannot be read one by one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyError {
    /// The feed says: any row of the table.
    Any,
    /// Not a key of that table.
    Odd,
    /// More than [`MAX_KEYS`].
    TooMany,
    /// A table that this program does not know.
    UnknownRelation,
}

impl KeyError {
    /// In words.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Any => "a table was truncated, or changed in bulk",
            Self::Odd => "a changed key cannot be read",
            Self::TooMany => "too many rows changed at once",
            Self::UnknownRelation => "a table changed that this program does not know",
        }
    }
}

/// The keys of one look, each once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Keys {
    users: BTreeMap<String, Member>,
    mappings: BTreeMap<i64, Option<MappingRow>>,
    blocks: BTreeMap<i64, Option<BlockRow>>,
    rules: BTreeMap<i64, Option<RuleRow>>,
}

/// A user and its memberships, as far as they were found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Member {
    row: Option<UserRow>,
    groups: Vec<GroupRow>,
}

impl Keys {
    /// Takes one entry of the feed.
    pub(crate) fn add(&mut self, relation: &[u8], key: &[u8]) -> Result<(), KeyError> {
        if key.is_empty() {
            return Err(KeyError::Any);
        }
        let text = std::str::from_utf8(key).map_err(|_| KeyError::Odd)?;
        match relation {
            b"app_user" => {
                if text.contains(',') {
                    return Err(KeyError::Odd);
                }
                self.users.entry(text.to_owned()).or_default();
            }
            b"user_group" => {
                let (user, group) = text.split_once(',').ok_or(KeyError::Odd)?;
                if user.is_empty() || group.is_empty() || group.contains(',') {
                    return Err(KeyError::Odd);
                }
                self.users.entry(user.to_owned()).or_default();
            }
            b"mapping" => drop(self.mappings.entry(number(text)?).or_default()),
            b"block" => drop(self.blocks.entry(number(text)?).or_default()),
            b"rule" => drop(self.rules.entry(number(text)?).or_default()),
            _ => return Err(KeyError::UnknownRelation),
        }
        Ok(())
    }

    /// The users to read, with all their memberships.
    pub(crate) fn usernames(&self) -> Vec<String> {
        self.users.keys().cloned().collect()
    }

    /// The mappings to read.
    pub(crate) fn mappings(&self) -> Vec<i64> {
        self.mappings.keys().copied().collect()
    }

    /// The blocks to read.
    pub(crate) fn blocks(&self) -> Vec<i64> {
        self.blocks.keys().copied().collect()
    }

    /// The rules to read.
    pub(crate) fn rules(&self) -> Vec<i64> {
        self.rules.keys().copied().collect()
    }

    /// Whether nothing was found under one of the keys: it was removed, or its table looked empty.
    pub(crate) fn lack_rows(&self) -> bool {
        self.users.values().any(|member| member.row.is_none() || member.groups.is_empty())
            || self.mappings.values().any(Option::is_none)
            || self.blocks.values().any(Option::is_none)
            || self.rules.values().any(Option::is_none)
    }

    /// Takes a row that stands under one of these keys. One that was not asked for (SQLite finds
    /// users in any case) has an entry of its own if it changed.
    pub(crate) fn found(&mut self, row: Row) {
        match row {
            Row::Block(row) => {
                if let Some(place) = self.blocks.get_mut(&row.id) {
                    *place = Some(row);
                }
            }
            Row::Group(row) => {
                if let Some(member) = self.member(&row.username) {
                    member.groups.push(row);
                }
            }
            Row::Mapping(row) => {
                if let Some(place) = self.mappings.get_mut(&row.id) {
                    *place = Some(row);
                }
            }
            Row::Rule(row) => {
                if let Some(place) = self.rules.get_mut(&row.priority) {
                    *place = Some(row);
                }
            }
            Row::User(row) => {
                if let Some(member) = self.member(&row.username) {
                    member.row = Some(row);
                }
            }
        }
    }

    /// What stands under each key; a key without a row is gone.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        let users = self.users.into_iter().map(|(username, member)| Change::User {
            username: username.into_bytes(),
            row: member.row,
            groups: member.groups,
        });
        users
            .chain(self.mappings.into_iter().map(|(id, row)| Change::Mapping(id, row)))
            .chain(self.blocks.into_iter().map(|(id, row)| Change::Block(id, row)))
            .chain(self.rules.into_iter().map(|(id, row)| Change::Rule(id, row)))
            .collect()
    }

    fn member(&mut self, username: &[u8]) -> Option<&mut Member> {
        self.users.get_mut(std::str::from_utf8(username).ok()?)
    }
}

/// An id or a priority, in the one form that the database writes.
fn number(text: &str) -> Result<i64, KeyError> {
    let number: i64 = text.parse().map_err(|_| KeyError::Odd)?;
    if number.to_string() != text {
        return Err(KeyError::Odd);
    }
    Ok(number)
}
