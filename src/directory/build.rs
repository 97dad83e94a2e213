//! Making a directory: of all rows, or of another one and the keys that changed.
//!
//! Both ways end in the same functions, so a directory that followed every change equals one that
//! was loaded anew.

use std::collections::HashSet;
use std::sync::Arc;

use super::block::Block;
use super::index::UserIndex;
use super::mapping::Mapping;
use super::name::Name;
use super::pattern::{Issuers, Pattern};
use super::row::{BlockRow, Change, GroupRow, MappingRow, Row, RuleRow, UserRow};
use super::rule::Rules;
use super::unusable::{Key, Relation, RowError, Severity, Unusable};
use super::user::{Groups, User};
use super::waiting::Waiting;
use super::{Directory, Settings};

/// Takes the rows of one snapshot, in any order, and makes a directory of them. Memberships that
/// come before their users cost least.
#[derive(Debug)]
pub struct Builder {
    pub(super) directory: Directory,
    /// Memberships of users who had not come yet.
    memberships: Waiting,
    /// How many of them found their user.
    taken: usize,
    /// Names of rows that are no users: what hangs on them was told of.
    nobodies: HashSet<Box<[u8]>>,
    rules: Vec<RuleRow>,
    issuers: Issuers,
}

/// What is said of a row whose user is not there.
const NO_USER: &str = "no usable user of that name";

impl Builder {
    /// Nothing yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let users = UserIndex::new(settings.group_separator);
        let directory = Directory { users, settings: settings.clone(), ..Directory::default() };
        Self {
            directory,
            memberships: Waiting::default(),
            taken: 0,
            nobodies: HashSet::new(),
            rules: Vec::new(),
            issuers: Issuers::default(),
        }
    }

    /// Takes one row.
    pub fn add(&mut self, row: Row) {
        match row {
            Row::Block(row) => self.add_block(&row),
            Row::Group(row) => self.add_group(&row),
            Row::Mapping(row) => self.add_mapping(&row),
            Row::Rule(row) => self.rules.push(row),
            Row::User(row) => self.add_user(&row),
        }
    }

    /// The directory of all that was taken.
    #[must_use]
    pub fn finish(self) -> Directory {
        let Self { mut directory, memberships, taken, nobodies, rules, .. } = self;
        if taken != memberships.len() {
            for (username, group) in memberships.iter() {
                let is_told = nobodies.contains(username);
                if !is_told && !directory.users.holds_bytes(username) {
                    directory.join(username, [group].into_iter());
                }
            }
        }
        // Before something of its size is made.
        drop(memberships);
        directory.report_orphans();
        directory.set_rules(rules);
        directory
    }

    pub(super) fn add_user(&mut self, row: &UserRow) {
        let hash = self.directory.users.hash(&row.username);
        let groups: Vec<&[u8]> = self.memberships.of(hash, &row.username).collect();
        self.taken += groups.len();
        if !self.directory.add_user(row, groups.into_iter()) {
            self.nobodies.insert(row.username.as_slice().into());
        }
    }

    pub(super) fn add_group(&mut self, row: &GroupRow) {
        let group = row.group_name.as_slice();
        let is_there = self.directory.users.holds_bytes(&row.username);
        if is_there || self.nobodies.contains(&*row.username) {
            return self.directory.join(&row.username, [group].into_iter());
        }
        let hash = self.directory.users.hash(&row.username);
        if !self.memberships.insert(hash, &row.username, group) {
            self.directory.report_member(&row.username, group, no_room());
        }
    }

    pub(super) fn add_mapping(&mut self, row: &MappingRow) {
        self.directory.add_mapping(row, &mut self.issuers);
    }

    pub(super) fn add_block(&mut self, row: &BlockRow) {
        self.directory.add_block(row);
    }

    pub(super) fn add_rule(&mut self, row: &RuleRow) {
        self.rules.push(row.clone());
    }
}

impl Directory {
    /// The directory with these keys as they stand now, all at once. None where only a load of
    /// everything would tell what is true.
    #[must_use]
    pub fn apply(&self, changes: &[Change]) -> Option<Self> {
        let mut next = self.clone();
        let mut keys = HashSet::new();
        // Of a key that is named twice the last word counts.
        let changes: Vec<&Change> =
            changes.iter().rev().filter(|change| keys.insert(key(change))).collect();
        next.forget_faults(&keys);
        let mut rules = None;
        let mut issuers = Issuers::default();
        for change in &changes {
            match change {
                Change::Block(id, row) => {
                    Arc::make_mut(&mut next.blocks).remove(*id);
                    row.iter().for_each(|row| next.add_block(row));
                }
                Change::Mapping(id, row) => {
                    next.mappings.remove(*id);
                    row.iter().for_each(|row| next.add_mapping(row, &mut issuers));
                }
                Change::Rule(priority, row) => {
                    let rules = rules.get_or_insert_with(|| self.rules.sources().to_vec());
                    rules.retain(|rule: &RuleRow| rule.priority != *priority);
                    rules.extend(row.clone());
                }
                Change::User { username, row, groups } => {
                    let groups = groups.iter().map(|row| row.group_name.as_slice());
                    next.replace_user(username, row.as_ref(), groups)?;
                }
            }
        }
        next.report_new_orphans(&changes);
        if let Some(rules) = rules {
            next.set_rules(rules);
        }
        Some(next)
    }

    /// Whether both were made of rows that mean the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        fn sorted<'d>(records: impl Iterator<Item = &'d [u8]>) -> Vec<&'d [u8]> {
            let mut records: Vec<_> = records.collect();
            records.sort_unstable();
            records
        }
        let blocks = |directory: &Self| {
            let mut rows: Vec<BlockRow> =
                directory.blocks.rows().map(|block| block.source().clone()).collect();
            rows.sort_by_key(|row| row.id);
            rows
        };
        let unusable = |directory: &Self| {
            let mut rows: Vec<_> =
                directory.unusable.iter().map(|row| format!("{row:?}")).collect();
            rows.sort_unstable();
            rows
        };
        sorted(self.users.records()) == sorted(other.users.records())
            && sorted(self.mappings.records()) == sorted(other.mappings.records())
            && blocks(self) == blocks(other)
            && self.rules.sources() == other.rules.sources()
            && self.settings == other.settings
            && unusable(self) == unusable(other)
    }

    /// None where rows of other relations hang on a user who was not there before.
    fn replace_user<'r>(
        &mut self,
        username: &[u8],
        row: Option<&UserRow>,
        groups: impl Iterator<Item = &'r [u8]>,
    ) -> Option<()> {
        let was_there = std::str::from_utf8(username).is_ok_and(|name| self.users.remove(name));
        match row {
            Some(row) => {
                let has_orphans = self.unusable.iter().any(|row| row.error.why == NO_USER);
                if !was_there && has_orphans {
                    return None;
                }
                self.add_user(row, groups);
            }
            None => {
                let names = self.read_groups(username, groups);
                self.report_without_user(username, &names);
            }
        }
        Some(())
    }

    /// False where the row is nobody's.
    fn add_user<'r>(&mut self, row: &UserRow, groups: impl Iterator<Item = &'r [u8]>) -> bool {
        let mut names = self.read_groups(&row.username, groups);
        let groups = Groups::new(&mut names, self.settings.group_separator);
        let key = || Key::Name(row.username.as_slice().into());
        match User::read(row, groups) {
            Ok((user, fault)) => {
                fault.into_iter().for_each(|error| self.report(Relation::AppUser, key(), error));
                let is_put = self.users.put(&user);
                if !is_put {
                    self.report(Relation::AppUser, key(), no_room());
                }
                is_put
            }
            Err(error) => {
                self.report(Relation::AppUser, key(), error);
                self.report_without_user(&row.username, &names);
                false
            }
        }
    }

    /// Adds groups to a user who is there already, or tells that there is none.
    fn join<'r>(&mut self, username: &[u8], groups: impl Iterator<Item = &'r [u8]>) {
        let mut names = self.read_groups(username, groups);
        let user = std::str::from_utf8(username).ok().and_then(|name| self.users.get(name));
        let Some(user) = user.map(User::into_owned) else {
            return self.report_without_user(username, &names);
        };
        names.extend(user.groups.iter().filter_map(|name| Name::parse(name.as_bytes()).ok()));
        let groups = Groups::new(&mut names, self.settings.group_separator);
        let (user, fault) = user.with_groups(groups);
        let key = || Key::Name(username.into());
        fault.into_iter().for_each(|error| self.report(Relation::AppUser, key(), error));
        if !self.users.put(&user) {
            self.report(Relation::AppUser, key(), no_room());
        }
    }

    /// The names that can be used; the others are reported.
    fn read_groups<'r>(
        &mut self,
        username: &[u8],
        groups: impl Iterator<Item = &'r [u8]>,
    ) -> Vec<Name> {
        let separator = self.settings.group_separator;
        let mut names = Vec::new();
        for group in groups {
            match Name::parse(group) {
                Ok(name) if name.as_str().contains(separator) => {
                    let why = format!("holds the group separator `{separator}`");
                    self.report_member(username, group, RowError::new("group_name", why));
                }
                Ok(name) => names.push(name),
                Err(error) => {
                    let error = RowError::new("group_name", error.to_string());
                    self.report_member(username, group, error);
                }
            }
        }
        names
    }

    /// Whether its user is there is looked at later.
    fn add_mapping(&mut self, row: &MappingRow, issuers: &mut Issuers) {
        let key = Key::Id(row.id);
        let pattern = Pattern::read_with(&row.pattern, issuers);
        let read = Mapping::read(row, &pattern);
        let is_put = read.mapping.is_none_or(|mapping| self.mappings.insert(&mapping));
        if let Some(error) = read.fault {
            self.report(Relation::Mapping, key, error);
        } else if !is_put {
            self.report(Relation::Mapping, key, no_room());
        }
    }

    fn add_block(&mut self, row: &BlockRow) {
        let read = Block::read(row);
        let severity = if read.block.is_some() { Severity::Warning } else { Severity::Critical };
        if let Some(block) = read.block {
            Arc::make_mut(&mut self.blocks).insert(block);
        }
        let faults = read.faults.into_iter();
        let relation = Relation::Block;
        let key = Key::Id(row.id);
        let unusable = faults.map(|error| Unusable::new(relation, key.clone(), error, severity));
        let unusable: Vec<_> = unusable.collect();
        if !unusable.is_empty() {
            Arc::make_mut(&mut self.unusable).extend(unusable);
        }
    }

    fn set_rules(&mut self, rows: Vec<RuleRow>) {
        if self.unusable.iter().any(|row| row.relation == Relation::Rule) {
            Arc::make_mut(&mut self.unusable).retain(|row| row.relation != Relation::Rule);
        }
        let (rules, faults) = Rules::read(rows, &self.settings);
        self.rules = Arc::new(rules);
        for (priority, error) in faults {
            self.report(Relation::Rule, Key::Id(priority), error);
        }
    }

    /// Drops what was said of rows that are read again.
    fn forget_faults(&mut self, keys: &HashSet<(Relation, Key)>) {
        let is_old = |row: &Unusable| {
            // A membership is read again with its user.
            let relation = match row.relation {
                Relation::UserGroup => Relation::AppUser,
                other => other,
            };
            keys.contains(&(relation, row.row.clone()))
        };
        if self.unusable.iter().any(is_old) {
            Arc::make_mut(&mut self.unusable).retain(|row| !is_old(row));
        }
    }

    fn report_orphans(&mut self) {
        let users = &self.users;
        let mut names = Vec::with_capacity(self.mappings.len());
        // Of a row that cannot be read that was told already.
        let read = self.mappings.iter().filter(|one| !one.is_doubtful);
        names.extend(read.map(|one| (users.hash(one.username.as_bytes()), one.username, one.id)));
        // In the order in which users lie in memory: a million looks here and there take a second.
        names.sort_unstable_by_key(|(hash, ..)| *hash);
        let orphans = names.into_iter().filter(|(_, username, _)| !users.holds(username));
        let orphans: Vec<i64> = orphans.map(|(_, _, id)| id).collect();
        orphans.into_iter().for_each(|id| self.report_orphan(id));
    }

    fn report_new_orphans(&mut self, changes: &[&Change]) {
        for change in changes {
            let Change::Mapping(id, Some(row)) = change else { continue };
            let user = std::str::from_utf8(&row.username).ok();
            let is_read = !self.has_fault(Relation::Mapping, *id);
            if is_read && !user.is_some_and(|name| self.users.holds(name)) {
                self.report_orphan(*id);
            }
        }
    }

    fn has_fault(&self, relation: Relation, id: i64) -> bool {
        self.unusable.iter().any(|row| row.is_of(relation, &Key::Id(id)))
    }

    fn report_orphan(&mut self, id: i64) {
        let error = RowError::new("username", NO_USER);
        self.report(Relation::Mapping, Key::Id(id), error);
    }

    fn report_without_user(&mut self, username: &[u8], groups: &[Name]) {
        for group in groups {
            let error = RowError::new("username", NO_USER);
            self.report_member(username, group.as_str().as_bytes(), error);
        }
    }

    fn report_member(&mut self, username: &[u8], group: &[u8], error: RowError) {
        let unusable = Unusable::of_member(username, group, error);
        Arc::make_mut(&mut self.unusable).push(unusable);
    }

    fn report(&mut self, relation: Relation, key: Key, error: RowError) {
        let unusable = Unusable::new(relation, key, error, Severity::Warning);
        Arc::make_mut(&mut self.unusable).push(unusable);
    }
}

/// The key under which a change is read.
fn key(change: &Change) -> (Relation, Key) {
    match change {
        Change::Block(id, _) => (Relation::Block, Key::Id(*id)),
        Change::Mapping(id, _) => (Relation::Mapping, Key::Id(*id)),
        Change::Rule(priority, _) => (Relation::Rule, Key::Id(*priority)),
        Change::User { username, .. } => (Relation::AppUser, Key::Name(username.as_slice().into())),
    }
}

fn no_room() -> RowError {
    RowError::new("id", "there is no room left for it in memory")
}
