//! A directory that followed every change is the one that a load of everything gives.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::row::{BlockRow, Change, GroupRow, MappingRow, PatternRow, Row, RuleRow, UserRow};
use super::{Builder, Directory, Part, Rows, Settings};

/// The tables as a database holds them, by key.
#[derive(Clone, Debug, Default)]
struct Tables {
    users: BTreeMap<Vec<u8>, UserRow>,
    groups: BTreeMap<(Vec<u8>, Vec<u8>), GroupRow>,
    mappings: BTreeMap<i64, MappingRow>,
    blocks: BTreeMap<i64, BlockRow>,
    rules: BTreeMap<i64, RuleRow>,
}

/// One change of the tables, some of which no constraint would let through.
#[derive(Clone, Debug)]
enum Step {
    User(&'static str, Option<i64>),
    Group(&'static str, &'static str, bool),
    Mapping(i64, Option<(&'static str, PatternRow, i64)>),
    Block(i64, Option<PatternRow>),
    Rule(i64, Option<&'static str>),
}

const NAMES: [&str; 6] = ["alice", "Alice", "bob", "carol", "mallory", "not a name"];
const GROUPS: [&str; 4] = ["ops", "staff", "a;b", "no,group"];

fn pattern() -> impl Strategy<Value = PatternRow> {
    let text = |texts: &'static [&'static str]| {
        prop::option::of(prop::sample::select(texts).prop_map(|text| text.as_bytes().to_vec()))
    };
    (
        text(&["CN=CA", "CN=Other", "no name"]),
        text(&["01", "02", "0x"]),
        text(&["CN=alice", "CN=bob"]),
        text(&["alice@example.com"]),
    )
        .prop_map(|(issuer, serial, subject, san_email)| PatternRow {
            issuer,
            serial,
            subject,
            san_email,
            ..PatternRow::default()
        })
}

fn step() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(&NAMES[..]);
    prop_oneof![
        (name(), prop::option::of(0..3_i64)).prop_map(|(name, row)| Step::User(name, row)),
        (name(), prop::sample::select(&GROUPS[..]), any::<bool>())
            .prop_map(|(name, group, is_in)| Step::Group(name, group, is_in)),
        (0..5_i64, prop::option::of((name(), pattern(), 0..3_i64)))
            .prop_map(|(id, row)| Step::Mapping(id, row)),
        (0..3_i64, prop::option::of(pattern())).prop_map(|(id, row)| Step::Block(id, row)),
        (0..3_i64, prop::option::of(prop::sample::select(&["existing", "any", "?"][..])))
            .prop_map(|(priority, row)| Step::Rule(priority, row)),
    ]
}

impl Tables {
    /// Makes the change and says what a follower reads of it.
    fn take(&mut self, step: Step) -> Change {
        match step {
            Step::User(name, row) => {
                let key = name.as_bytes().to_vec();
                match row {
                    Some(enabled) => drop(self.users.insert(key, user(name, enabled))),
                    None => drop(self.users.remove(&key)),
                }
                self.user_change(name)
            }
            Step::Group(name, group, is_in) => {
                let key = (name.as_bytes().to_vec(), group.as_bytes().to_vec());
                let row = GroupRow { username: key.0.clone(), group_name: key.1.clone() };
                match is_in {
                    true => drop(self.groups.insert(key, row)),
                    false => drop(self.groups.remove(&key)),
                }
                self.user_change(name)
            }
            Step::Mapping(id, row) => {
                let row = row.map(|(name, pattern, enabled)| MappingRow {
                    id,
                    username: name.as_bytes().to_vec(),
                    pattern,
                    enabled,
                    valid_from: None,
                    valid_until: None,
                    revoked_at: None,
                    revoked_reason: None,
                    note: None,
                });
                match row.clone() {
                    Some(row) => drop(self.mappings.insert(id, row)),
                    None => drop(self.mappings.remove(&id)),
                }
                Change::Mapping(id, row)
            }
            Step::Block(id, pattern) => {
                let row = pattern.map(|pattern| BlockRow {
                    id,
                    pattern,
                    enabled: 1,
                    valid_from: None,
                    valid_until: None,
                    reason: None,
                });
                match row.clone() {
                    Some(row) => drop(self.blocks.insert(id, row)),
                    None => drop(self.blocks.remove(&id)),
                }
                Change::Block(id, row)
            }
            Step::Rule(priority, users) => {
                let row = users.map(|users| RuleRow {
                    priority,
                    issuer: b"CN=CA".to_vec(),
                    conditions: b"[]".to_vec(),
                    username: b"{subject.common_name}".to_vec(),
                    users: users.as_bytes().to_vec(),
                    enabled: 1,
                    ..RuleRow::default()
                });
                match row.clone() {
                    Some(row) => drop(self.rules.insert(priority, row)),
                    None => drop(self.rules.remove(&priority)),
                }
                Change::Rule(priority, row)
            }
        }
    }

    fn user_change(&self, name: &str) -> Change {
        let username = name.as_bytes().to_vec();
        let row = self.users.get(&username).cloned();
        let of_user = self.groups.values().filter(|row| row.username == username);
        Change::User { row, groups: of_user.cloned().collect(), username }
    }

    fn rows(&self) -> Rows {
        Rows {
            users: self.users.values().cloned().collect(),
            groups: self.groups.values().cloned().collect(),
            mappings: self.mappings.values().cloned().collect(),
            blocks: self.blocks.values().cloned().collect(),
            rules: self.rules.values().cloned().collect(),
        }
    }
}

fn user(name: &str, enabled: i64) -> UserRow {
    UserRow {
        username: name.as_bytes().to_vec(),
        display_name: None,
        email: Some(format!("{name}@example.com").into_bytes()),
        origin: b"operator".to_vec(),
        mapped_only: 0,
        enabled,
        valid_from: None,
        valid_until: None,
    }
}

fn settings() -> Settings {
    Settings { group_separator: ';', ..Settings::default() }
}

proptest! {
    #[test]
    fn following_every_change_gives_what_a_load_gives(
        looks in prop::collection::vec(prop::collection::vec(step(), 0..6), 0..20),
    ) {
        let mut tables = Tables::default();
        let mut directory = Directory::build(&tables.rows(), &settings());
        for steps in looks {
            let changes: Vec<Change> = steps.into_iter().map(|step| tables.take(step)).collect();
            // Of a key that changed twice a look reads the last state twice.
            let changes: Vec<Change> = changes.iter().map(|change| match change {
                Change::User { username, .. } => {
                    tables.user_change(std::str::from_utf8(username).unwrap())
                }
                Change::Mapping(id, _) => Change::Mapping(*id, tables.mappings.get(id).cloned()),
                Change::Block(id, _) => Change::Block(*id, tables.blocks.get(id).cloned()),
                Change::Rule(id, _) => Change::Rule(*id, tables.rules.get(id).cloned()),
            }).collect();
            let loaded = Directory::build(&tables.rows(), &settings());
            directory = directory.apply(&changes).unwrap_or_else(|| loaded.clone());
            let orphans = |one: &Directory| {
                let of_user = "no usable user of that name";
                one.unusable().iter().filter(|row| row.error.why != of_user).count()
            };
            prop_assert_eq!(orphans(&directory), orphans(&loaded));
            prop_assert_eq!(directory.mapping_count(), loaded.mapping_count());
            // A mapping left behind by a user who went is told of by the next load.
            let mappings = tables.mappings.values();
            let mut names = mappings.map(|row| &row.username);
            if names.all(|name| tables.users.contains_key(name)) {
                prop_assert!(directory.is_same(&loaded), "{directory:?} {loaded:?}");
            }
        }
    }

    #[test]
    fn rows_may_come_in_any_order(steps in prop::collection::vec(step(), 0..30), seed: u64) {
        let mut tables = Tables::default();
        steps.into_iter().for_each(|step| drop(tables.take(step)));
        let rows = tables.rows();
        let mut all: Vec<Row> = Vec::new();
        all.extend(rows.users.iter().cloned().map(Row::User));
        all.extend(rows.groups.iter().cloned().map(Row::Group));
        all.extend(rows.mappings.iter().cloned().map(Row::Mapping));
        all.extend(rows.blocks.iter().cloned().map(Row::Block));
        all.extend(rows.rules.iter().cloned().map(Row::Rule));
        let mut builder = Builder::new(&settings());
        let mut state = seed;
        while !all.is_empty() {
            // Knuth's multiplier: any order will do.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(state >> 33).unwrap() % all.len();
            builder.add(all.swap_remove(at));
        }
        prop_assert!(builder.finish().is_same(&Directory::build(&rows, &settings())));
    }
}

proptest! {
    #[test]
    fn the_parts_of_a_directory_make_it_again(steps in prop::collection::vec(step(), 0..30)) {
        let mut tables = Tables::default();
        steps.into_iter().for_each(|step| drop(tables.take(step)));
        let directory = Directory::build(&tables.rows(), &settings());
        let mut builder = Builder::new(&settings());
        for (part, bytes) in directory.parts() {
            prop_assert_eq!(builder.restore(part, &bytes), Ok(()));
        }
        let again = builder.finish();
        prop_assert_eq!(again.user_count(), directory.user_count());
        let sorted = |directory: &Directory| {
            let mut parts: Vec<_> =
                directory.parts().map(|(part, bytes)| (part.letter(), bytes.to_vec())).collect();
            parts.sort_unstable();
            parts
        };
        prop_assert_eq!(sorted(&again), sorted(&directory));
    }

    #[test]
    fn what_is_no_part_is_refused_and_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut builder = Builder::new(&settings());
        for part in Part::ALL {
            let _ = builder.restore(part, &bytes);
        }
        for mapping in builder.finish().parts() {
            prop_assert!(!mapping.1.is_empty());
        }
    }
}

#[test]
fn a_version_that_readers_hold_does_not_change() {
    let mut tables = Tables::default();
    let mapping = (
        "alice",
        PatternRow { san_email: Some(b"alice@example.com".to_vec()), ..PatternRow::default() },
        1,
    );
    tables.take(Step::User("alice", Some(1)));
    let before = Directory::build(&tables.rows(), &settings());
    let change = tables.take(Step::Mapping(1, Some(mapping)));
    let after = before.apply(&[change]).unwrap();
    assert_eq!((before.mapping_count(), after.mapping_count()), (0, 1));
    let gone = after.apply(&[tables.take(Step::Mapping(1, None))]).unwrap();
    assert_eq!((after.mapping_count(), gone.mapping_count()), (1, 0));
    assert!(gone.is_same(&before));
}

#[test]
fn a_mapping_that_changes_for_ever_is_always_as_it_was_left() {
    let mut tables = Tables::default();
    tables.take(Step::User("alice", Some(1)));
    let mut directory = Directory::build(&tables.rows(), &settings());
    for round in 0..3_000 {
        let pattern =
            PatternRow { san_email: Some(b"alice@example.com".to_vec()), ..PatternRow::default() };
        let change = tables.take(Step::Mapping(1, Some(("alice", pattern, round % 2))));
        directory = directory.apply(&[change]).unwrap();
        let states: Vec<bool> =
            directory.mappings.iter().map(|mapping| mapping.window.enabled).collect();
        assert_eq!(states, [round % 2 == 1], "round {round}");
    }
}
