//! The directory: everything that decides who a certificate belongs to, complete and in memory.
//!
//! It is one immutable value: built from the rows of a store, published whole, read without
//! waiting. It holds no database handle and does no I/O.

mod block;
mod consider;
mod index;
mod kind;
mod known;
mod mapping;
mod name;
mod pattern;
mod read;
pub mod row;
mod rule;
mod unusable;
mod user;
mod window;

use std::collections::HashMap;

use index::{BlockIndex, MappingIndex};
use row::{BlockRow, Change, GroupRow, MappingRow, Row, RuleRow, UserRow};
use rule::{Rule, Rules};

pub use block::Block;
pub use consider::Considered;
pub use kind::{Kind, Kinds};
pub use known::KnownCertificate;
pub use mapping::Mapping;
pub use name::{MAX_NAME_BYTES, Name, NameError};
pub use pattern::{Agreement, Column, ColumnError, Pattern, parse_pattern};
pub use rule::{Holder, MAX_RULES, Ruled, Wish, check_rule, provisioning_rule};
pub use unusable::{Relation, RowError, Severity, Unusable};
pub use user::{MAX_USER_AND_GROUPS_BYTES, User};
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

/// Takes the rows of one snapshot, in any order, and makes a directory of them.
#[derive(Debug)]
pub struct Builder {
    rows: Rows,
    settings: Settings,
}

impl Builder {
    /// Nothing yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { rows: Rows::default(), settings: settings.clone() }
    }

    /// Takes one row.
    pub fn add(&mut self, row: Row) {
        match row {
            Row::Block(row) => self.rows.blocks.push(row),
            Row::Group(row) => self.rows.groups.push(row),
            Row::Mapping(row) => self.rows.mappings.push(row),
            Row::Rule(row) => self.rows.rules.push(row),
            Row::User(row) => self.rows.users.push(row),
        }
    }

    /// The directory of all that was taken.
    #[must_use]
    pub fn finish(self) -> Directory {
        Directory::build(&self.rows, &self.settings)
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
#[derive(Clone, Debug, Default)]
pub struct Directory {
    users: Vec<User>,
    by_username: HashMap<Name, usize>,
    mappings: MappingIndex,
    blocks: BlockIndex,
    rules: Rules,
    settings: Settings,
    unusable: Vec<Unusable>,
}

/// What the mappings say of a certificate.
#[derive(Clone, Copy, Debug)]
pub enum Found<'d> {
    /// Active mappings of the strongest matching kind name one user; the first of them.
    Active(&'d Mapping, &'d User),
    /// Active mappings of the strongest matching kind name two users or more.
    Ambiguous(Kind),
    /// Mappings of the strongest matching kind match, and none is active.
    Disabled(Kind),
    /// No mapping matches.
    Nothing,
    /// A strong mapping matches whose revocation has been reached.
    Revoked(&'d Mapping),
}

impl Directory {
    /// Builds the directory. Rows that cannot be used are left out, or kept in the direction that
    /// keeps people out, and are listed in [`Directory::unusable`].
    #[must_use]
    pub fn build(rows: &Rows, settings: &Settings) -> Self {
        let separator = settings.group_separator;
        let mut directory = Self { settings: settings.clone(), ..Self::default() };
        for row in &rows.users {
            directory.add_user(row);
        }
        for row in &rows.groups {
            directory.add_group(row, separator);
        }
        directory.close_groups();
        for row in &rows.mappings {
            directory.add_mapping(row);
        }
        for row in &rows.blocks {
            directory.add_block(row);
        }
        directory.add_rules(&rows.rules);
        directory
    }

    /// The directory with these keys as they stand now, all at once. None where only a load of
    /// everything would tell what is true.
    #[must_use]
    pub fn apply(&self, changes: &[Change]) -> Option<Self> {
        changes.is_empty().then(|| self.clone())
    }

    /// The user of that exact name.
    #[must_use]
    pub fn user(&self, username: &str) -> Option<&User> {
        self.by_username.get(username).and_then(|&position| self.users.get(position))
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
    /// Fails closed: an odd serial, an invisible column or an unreadable row matches nothing.
    #[must_use]
    pub fn find<'d>(&'d self, identity: &Identity, now: UnixTime, kinds: Kinds) -> Found<'d> {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_strong()) {
            let revoked = |mapping: &&Mapping| mapping.is_revoked(now);
            if let Some(mapping) = self.mappings.matches(kind, identity).find(revoked) {
                return Found::Revoked(mapping);
            }
        }
        for kind in Kind::ALL.into_iter().filter(|kind| kinds.contains(*kind)) {
            let mut matches = self.mappings.matches(kind, identity).peekable();
            if matches.peek().is_some() {
                return self.judge(kind, matches.filter(|mapping| mapping.is_active(now)));
            }
        }
        Found::Nothing
    }

    /// Rows that cannot be used, or not as they were meant.
    #[must_use]
    pub fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }

    /// How many users there are.
    #[must_use]
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// How many readable mappings there are.
    #[must_use]
    pub fn mapping_count(&self) -> usize {
        self.mappings.rows().len()
    }

    /// How many readable blocks there are.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.blocks.rows().len()
    }

    fn judge<'d>(&'d self, kind: Kind, mut active: impl Iterator<Item = &'d Mapping>) -> Found<'d> {
        let Some(first) = active.next() else { return Found::Disabled(kind) };
        if active.any(|other| other.user != first.user) {
            return Found::Ambiguous(kind);
        }
        match self.users.get(first.user) {
            Some(user) => Found::Active(first, user),
            None => Found::Disabled(kind),
        }
    }

    fn add_user(&mut self, row: &UserRow) {
        let key = shown(&row.username);
        match User::read(row) {
            Ok((user, fault)) => {
                if let Some(error) = fault {
                    self.report(Relation::AppUser, key, error);
                }
                self.by_username.insert(user.username.clone(), self.users.len());
                self.users.push(user);
            }
            Err(error) => self.report(Relation::AppUser, key, error),
        }
    }

    fn add_group(&mut self, row: &GroupRow, separator: char) {
        let key = format!("{} {}", shown(&row.username), shown(&row.group_name));
        let group = match Name::parse(&row.group_name) {
            Ok(group) if group.as_str().contains(separator) => {
                let why = format!("holds the group separator `{separator}`");
                return self.report(Relation::UserGroup, key, RowError::new("group_name", why));
            }
            Ok(group) => group,
            Err(error) => {
                let error = RowError::new("group_name", error.to_string());
                return self.report(Relation::UserGroup, key, error);
            }
        };
        match self.position(&row.username).and_then(|position| self.users.get_mut(position)) {
            Some(user) => user.groups.push(group),
            None => {
                let error = RowError::new("username", "no usable user of that name");
                self.report(Relation::UserGroup, key, error);
            }
        }
    }

    /// Sorts the groups and shuts out users whose names would not fit into the answer.
    fn close_groups(&mut self) {
        let mut too_long = Vec::new();
        for user in &mut self.users {
            user.groups.sort_unstable();
            user.groups.dedup();
            if user.header_bytes() > MAX_USER_AND_GROUPS_BYTES {
                user.window = None;
                too_long.push(user.username.to_string());
            }
        }
        for key in too_long {
            let why = format!("with its groups longer than {MAX_USER_AND_GROUPS_BYTES} bytes");
            self.report(Relation::AppUser, key, RowError::new("username", why));
        }
    }

    fn add_mapping(&mut self, row: &MappingRow) {
        let mapping = match self.position(&row.username) {
            Some(user) => Mapping::read(row, user),
            None => Err(RowError::new("username", "no usable user of that name")),
        };
        match mapping {
            Ok(mapping) => self.mappings.insert(mapping),
            Err(error) => self.report(Relation::Mapping, row.id.to_string(), error),
        }
    }

    fn add_block(&mut self, row: &BlockRow) {
        let read = Block::read(row);
        let severity = if read.block.is_some() { Severity::Warning } else { Severity::Critical };
        if let Some(block) = read.block {
            self.blocks.insert(block);
        }
        let key = row.id.to_string();
        let relation = Relation::Block;
        self.unusable.extend(read.faults.into_iter().map(|error| Unusable {
            relation,
            key: key.clone(),
            error,
            severity,
        }));
    }

    /// Reads the rules in the order in which they are asked.
    fn add_rules(&mut self, rows: &[RuleRow]) {
        let mut rows: Vec<&RuleRow> = rows.iter().collect();
        rows.sort_by_key(|row| row.priority);
        let mut rules = Vec::new();
        for row in rows {
            let read = match rules.len() {
                ..MAX_RULES => Rule::read(row, &self.settings),
                _ => Err(RowError::new("priority", format!("more than {MAX_RULES} rules"))),
            };
            match read {
                Ok(rule) => rules.push(rule),
                Err(error) => self.report(Relation::Rule, row.priority.to_string(), error),
            }
        }
        self.rules = Rules::new(rules, &self.users);
    }

    fn position(&self, username: &[u8]) -> Option<usize> {
        let name = std::str::from_utf8(username).ok()?;
        self.by_username.get(name).copied()
    }

    fn report(&mut self, relation: Relation, key: String, error: RowError) {
        self.unusable.push(Unusable { relation, key, error, severity: Severity::Warning });
    }
}

/// Most characters of a hostile key that a message repeats.
const MAX_SHOWN_CHARS: usize = 80;

/// A key as a message may show it: escaped, cut.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().map(char::from).take(MAX_SHOWN_CHARS).collect()
}
