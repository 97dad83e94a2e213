//! The codes that rules give, and what is asked before them.

use super::{
    World, block, by_issuer_subject, by_sha256, group, params, presented, shown, text, user,
};
use crate::decide::{Trust, View, wish};
use crate::directory::row::RuleRow;
use crate::directory::{Directory, Settings};
use crate::proxy::{Presented, Shown};

/// The issuer's common name as the user's name.
fn rule(users: &str, shown: &Shown) -> RuleRow {
    RuleRow {
        priority: 1,
        issuer: text(&shown.certificate.issuer).unwrap(),
        conditions: br#"{"all":[{"attribute":"C","equals":"FR"}]}"#.to_vec(),
        username: b"{subject.CN}".to_vec(),
        users: users.into(),
        enabled: 1,
        ..RuleRow::default()
    }
}

fn world(users: &str, shown: &Shown) -> World {
    let mut world = World::new();
    world.rows.rules.push(rule(users, shown));
    world
}

#[test]
fn a_rule_lets_in_whom_no_mapping_names() {
    let alice = shown(params("alice"));
    assert_eq!(world("existing", &alice).ask(presented(&alice), ""), "200 rule alice");
    let carol = shown(params("carol"));
    assert_eq!(world("existing", &carol).ask(presented(&carol), ""), "401 unmapped -");
    assert_eq!(world("provision", &carol).ask(presented(&carol), ""), "401 unmapped -");
    let mut any = world("any", &carol);
    assert_eq!(any.ask(presented(&carol), ""), "200 rule carol");
    assert_eq!(any.ask(presented(&carol), "require=group:guests"), "403 group_required -");
    any.rows.rules[0].group_names = text("guests");
    assert_eq!(any.ask(presented(&carol), "require=group:guests"), "200 rule carol");
    assert_eq!(any.ask(presented(&carol), "require=user:alice"), "403 group_required -");
    any.rows.rules[0].conditions = b"broken".to_vec();
    assert_eq!(any.ask(presented(&carol), ""), "401 unmapped -");
}

#[test]
fn whoever_is_disabled_or_blocked_stays_out_whatever_a_rule_says() {
    for users in ["existing", "any", "provision"] {
        let alice = shown(params("alice"));
        let mut world = world(users, &alice);
        world.rows.users[0].enabled = 0;
        assert_eq!(world.ask(presented(&alice), ""), "401 user_disabled -");
        world.rows.users[0].enabled = 1;
        world.rows.users[0].valid_until = text("2026-01-01T00:00:00Z");
        assert_eq!(world.ask(presented(&alice), ""), "401 user_disabled -");
        world.rows.users[0].valid_until = Some(b"some day".to_vec());
        // What cannot be read counts as marked for mappings only, too.
        assert_eq!(world.ask(presented(&alice), ""), "401 unmapped -");
        world.rows.users[0].valid_until = None;
        world.rows.users[0].mapped_only = 1;
        assert_eq!(world.ask(presented(&alice), ""), "401 unmapped -");
        world.rows.users[0].mapped_only = 0;
        world.rows.blocks.push(block(by_sha256(&alice)));
        assert_eq!(world.ask(presented(&alice), ""), "401 blocked -");
    }
}

#[test]
fn rules_are_asked_only_if_no_mapping_matched_at_all() {
    let alice = shown(params("alice"));
    let mut world = world("any", &alice).map("bob", by_issuer_subject(&alice));
    assert_eq!(world.ask(presented(&alice), ""), "200 mapped bob");
    world.rows.mappings[0].enabled = 0;
    assert_eq!(world.ask(presented(&alice), ""), "401 mapping_disabled -");
    world.rows.mappings[0].enabled = 1;
    let world = world.map("alice", by_issuer_subject(&alice));
    assert_eq!(world.ask(presented(&alice), ""), "401 ambiguous -");
}

#[test]
fn a_rule_never_satisfies_the_administrators_group() {
    let alice = shown(params("alice"));
    let mut world = world("existing", &alice);
    world.rows.groups.push(group("alice", "certgate-admin"));
    let query = "require=group:certgate-admin";
    assert_eq!(world.ask(presented(&alice), query), "403 group_required -");
    assert_eq!(world.ask(presented(&alice), "require=group:ops"), "200 rule alice");
    let world = world.map("alice", by_sha256(&alice));
    assert_eq!(world.ask(presented(&alice), query), "200 mapped alice");
}

#[test]
fn only_whom_a_provisioning_rule_misses_is_wished_for() {
    let carol = shown(params("carol"));
    let wished = |world: &World, presented: Presented| {
        let directory = Directory::build(&world.rows, &Settings::default());
        let view = View {
            directory: Some(&directory),
            age: world.age,
            now: world.now,
            trust: Trust::default(),
            policy: &world.policy,
        };
        wish(&presented, &view).map(|wish| wish.username.to_string())
    };
    let certificate = || presented(&carol).unwrap();
    let mut world = world("provision", &carol);
    assert_eq!(wished(&world, certificate()).as_deref(), Some("carol"));
    assert_eq!(wished(&world, Presented::Nobody), None);
    world.rows.users.push(user("carol"));
    assert_eq!(wished(&world, certificate()), None);
    world.rows.users.clear();
    world.rows.groups.clear();
    for users in ["any", "existing"] {
        world.rows.rules[0] = rule(users, &carol);
        assert_eq!(wished(&world, certificate()), None);
    }
}
