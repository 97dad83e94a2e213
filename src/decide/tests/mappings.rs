//! Which mapping decides, where several match or none does.

use super::{
    World, at, block, by_issuer_serial, by_issuer_subject, by_sha256, by_subject, params,
    presented, shown, text,
};
use crate::directory::row::MappingRow;
use crate::directory::{Kind, Kinds};

#[test]
fn a_revoked_strong_mapping_beats_whatever_else_matches() {
    let alice = shown(params("alice"));
    let mut world =
        World::new().map("alice", by_sha256(&alice)).map("alice", by_issuer_serial(&alice));
    world.rows.mappings[1].revoked_at = text("2026-06-01T00:00:00Z");
    assert_eq!(world.ask(presented(&alice), ""), "401 mapping_revoked -");
    world.now = at("2026-05-31T23:59:59Z");
    assert_eq!(world.ask(presented(&alice), ""), "200 mapped alice", "not reached yet");
}

#[test]
fn the_strongest_kind_decides_alone() {
    let shown = shown(params("alice"));
    let world = World::new().map("bob", by_issuer_subject(&shown)).map("alice", by_sha256(&shown));
    assert_eq!(world.ask(presented(&shown), ""), "200 mapped alice");
    let mut world = world;
    world.rows.mappings[1].enabled = 0;
    assert_eq!(world.ask(presented(&shown), ""), "401 mapping_disabled -", "bob's is weaker");
    world.rows.mappings[1].enabled = 1;
    world.rows.mappings[1].valid_until = text("2026-06-01T00:00:00Z");
    assert_eq!(world.ask(presented(&shown), ""), "401 mapping_disabled -", "its window is over");
}

#[test]
fn two_users_of_one_kind_are_ambiguous_and_one_user_twice_is_not() {
    let shown = shown(params("alice"));
    let mut world = World::new().map("alice", by_sha256(&shown)).map("alice", by_sha256(&shown));
    assert_eq!(world.ask(presented(&shown), ""), "200 mapped alice");
    world = world.map("bob", by_sha256(&shown));
    assert_eq!(world.ask(presented(&shown), ""), "401 ambiguous -");
    world.rows.mappings[2].enabled = 0;
    assert_eq!(world.ask(presented(&shown), ""), "200 mapped alice", "an inactive one has no say");
}

#[test]
fn a_weak_kind_matches_only_if_the_operator_named_it() {
    let alice = shown(params("alice"));
    let mut world = World::new().map("alice", by_subject(&alice));
    assert_eq!(world.ask(presented(&alice), ""), "401 unmapped -");
    world.policy.kinds = Kinds::with_weak(&[Kind::Subject]);
    assert_eq!(world.ask(presented(&alice), ""), "200 mapped alice");
}

#[test]
fn a_row_that_cannot_be_read_never_matches() {
    let alice = shown(params("alice"));
    let mut pattern = by_sha256(&alice);
    pattern.subject = Some(b"not a name".to_vec());
    let world = World::new().map("alice", pattern);
    assert_eq!(world.ask(presented(&alice), ""), "401 unmapped -");
    let mut world = World::new().map("alice", by_sha256(&alice));
    world.rows.mappings[0].valid_until = Some(b"some day".to_vec());
    assert_eq!(world.ask(presented(&alice), ""), "401 unmapped -");
    let mut world = World::new().map("alice", by_sha256(&alice));
    world.rows.users[0].valid_until = Some(b"some day".to_vec());
    assert_eq!(world.ask(presented(&alice), ""), "401 user_disabled -");
}

/// A change of a row, and the answer.
type Case<'c> = (&'c dyn Fn(&mut MappingRow), &'static str);

/// It lets nobody in, but what was revoked by it stays revoked: else a weaker mapping would decide.
#[test]
fn a_revoked_row_that_cannot_be_read_as_a_whole_revokes_by_what_is_strong_of_it() {
    let alice = shown(params("alice"));
    let bob = shown(params("bob"));
    let world = |change: &dyn Fn(&mut MappingRow)| {
        let by_subject = by_issuer_subject;
        let mut world = World::new()
            .map("alice", by_sha256(&alice))
            .map("alice", by_subject(&alice))
            .map("bob", by_subject(&bob));
        change(&mut world.rows.mappings[0]);
        world
    };
    let revoked = |row: &mut MappingRow| row.revoked_at = text("2026-01-01T00:00:00Z");
    let broken_name = |row: &mut MappingRow| row.pattern.subject = Some(b"not a name".to_vec());
    let changes: [Case<'_>; 8] = [
        (&|_| (), "200 mapped alice"),
        (&revoked, "401 mapping_revoked -"),
        (&broken_name, "200 mapped alice"),
        (
            &|row| {
                revoked(row);
                broken_name(row);
            },
            "401 mapping_revoked -",
        ),
        (
            &|row| {
                revoked(row);
                row.enabled = 7;
            },
            "401 mapping_revoked -",
        ),
        (&|row| row.revoked_at = Some(b"yesterday".to_vec()), "401 mapping_revoked -"),
        (
            &|row| {
                row.revoked_at = text("2999-01-01T00:00:00Z");
                broken_name(row);
            },
            "200 mapped alice",
        ),
        (
            &|row| {
                revoked(row);
                row.pattern.sha256 = Some(b"not a digest".to_vec());
                row.pattern.san_email = Some(b"alice@example.com".to_vec());
            },
            "200 mapped alice",
        ),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        let world = world(change);
        assert_eq!(world.ask(presented(&alice), ""), expected, "{number}");
        assert_eq!(world.ask(presented(&bob), ""), "200 mapped bob", "{number}");
    }
}

#[test]
fn a_revoked_weak_mapping_gives_way_to_a_stronger_one() {
    let alice = shown(params("alice"));
    let mut world =
        World::new().map("alice", by_sha256(&alice)).map("bob", by_issuer_subject(&alice));
    world.rows.mappings[1].revoked_at = text("2026-01-01T00:00:00Z");
    assert_eq!(world.ask(presented(&alice), ""), "200 mapped alice");
    world.rows.mappings.remove(0);
    assert_eq!(world.ask(presented(&alice), ""), "401 mapping_disabled -");
}

#[test]
fn two_issuers_with_one_serial_never_cross() {
    let one = shown(params("one"));
    let two = shown(params("two"));
    let world =
        World::new().map("alice", by_issuer_serial(&one)).map("bob", by_issuer_serial(&two));
    assert_eq!(world.ask(presented(&one), ""), "200 mapped alice");
    assert_eq!(world.ask(presented(&two), ""), "200 mapped bob");
}

#[test]
fn a_name_with_a_control_character_agrees_with_no_mapping_though_it_equals_one_without() {
    let broken = shown(params("alice\n"));
    let clean = shown(params("alice"));
    assert_eq!(broken.certificate.subject, clean.certificate.subject);
    for pattern in [by_subject(&clean), by_issuer_subject(&clean), by_subject(&broken)] {
        let mut world = World::new().map("alice", pattern);
        world.policy.kinds = Kinds::with_weak(&[Kind::Subject, Kind::IssuerSubject]);
        assert_eq!(world.ask(presented(&broken), ""), "401 unmapped -");
    }
    // What keeps people out is not so particular.
    let mut world = World::new().map("alice", by_sha256(&broken));
    assert_eq!(world.ask(presented(&broken), ""), "200 mapped alice");
    world.rows.blocks.push(block(by_subject(&clean)));
    assert_eq!(world.ask(presented(&broken), ""), "401 blocked -");
}
