//! What a block keeps out, and where it matches in doubt.

use super::{
    World, block, by_issuer_serial, by_issuer_subject, by_sha256, by_subject, params, presented,
    shown, text,
};
use crate::directory::row::PatternRow;
use crate::directory::{Kind, Kinds};
use crate::pki::Identity;
use crate::proxy::Presented;

#[test]
fn a_block_matches_in_doubt() {
    let alice = shown(params("alice"));
    let blocked_by = |pattern: PatternRow| {
        let mut world = World::new().map("alice", by_sha256(&alice));
        world.rows.blocks.push(block(pattern));
        world.ask(presented(&alice), "")
    };
    let subject = |text: &str| PatternRow {
        subject: Some(text.as_bytes().to_vec()),
        ..PatternRow::default()
    };
    assert_eq!(blocked_by(by_issuer_serial(&alice)), "401 blocked -");
    assert_eq!(blocked_by(subject("CN=ALICE,C=fr")), "401 blocked -", "without case");
    assert_eq!(blocked_by(subject("C=FR,CN=alice")), "401 blocked -", "in the other order");
    let mut half_readable = subject("CN=alice,C=FR");
    half_readable.serial = Some(b"no serial".to_vec());
    assert_eq!(blocked_by(half_readable), "401 blocked -", "what is unreadable agrees");
    let mut other = subject("CN=alice,C=FR");
    other.serial = text("01");
    assert_eq!(blocked_by(other), "200 mapped alice", "another serial is another certificate");
    let common_name = PatternRow { common_name: Some(b"ALICE".to_vec()), ..PatternRow::default() };
    assert_eq!(blocked_by(common_name), "401 blocked -");
    let whole_ca = PatternRow { issuer: text(&alice.certificate.issuer), ..PatternRow::default() };
    assert_eq!(blocked_by(whole_ca), "401 blocked -");
}

#[test]
fn a_block_counts_only_within_its_window_and_always_if_that_cannot_be_read() {
    let alice = shown(params("alice"));
    let mut world = World::new().map("alice", by_sha256(&alice));
    world.rows.blocks.push(block(by_sha256(&alice)));
    world.rows.blocks[0].valid_from = text("2026-06-01T00:00:01Z");
    assert_eq!(world.ask(presented(&alice), ""), "200 mapped alice");
    world.rows.blocks[0].valid_from = Some(b"soon".to_vec());
    assert_eq!(world.ask(presented(&alice), ""), "401 blocked -");
    world.rows.blocks[0].valid_from = None;
    world.rows.blocks[0].enabled = 0;
    assert_eq!(world.ask(presented(&alice), ""), "200 mapped alice");
}

#[test]
fn headers_show_less_so_mappings_by_what_they_hide_never_agree_and_blocks_do() {
    let alice = shown(params("alice"));
    let certificate = &alice.certificate;
    let headers = |serial: bool| {
        Ok(Presented::Headers(Box::new(Identity::from_headers(
            serial.then(|| certificate.serial.clone()),
            Some(certificate.subject.clone()),
            Some(certificate.issuer.clone()),
        ))))
    };
    let world = World::new().map("alice", by_sha256(&alice));
    assert_eq!(world.ask(headers(true), ""), "401 unmapped -");
    let mut world = World::new().map("alice", by_issuer_subject(&alice));
    assert_eq!(world.ask(headers(true), ""), "200 mapped alice");
    let mut pattern = by_issuer_serial(&alice);
    pattern.sha256 = text(certificate.sha256);
    world.rows.blocks.push(block(pattern));
    assert_eq!(world.ask(headers(true), ""), "401 blocked -", "the fingerprint is not visible");
    assert_eq!(world.ask(headers(false), ""), "401 blocked -", "nor is the serial");
    world.rows.blocks[0].pattern = by_sha256(&alice);
    assert_eq!(world.ask(headers(true), ""), "200 mapped alice", "nothing could be compared");
}

#[test]
fn a_proxy_that_sends_no_issuer_cannot_get_round_a_block_by_issuer_and_serial() {
    let alice = shown(params("alice"));
    let certificate = &alice.certificate;
    let (serial, subject) = (certificate.serial.clone(), certificate.subject.clone());
    let headers = || {
        let identity = Identity::from_headers(Some(serial.clone()), Some(subject.clone()), None);
        Ok(Presented::Headers(Box::new(identity)))
    };
    let mut world = World::new().map("bob", by_issuer_serial(&alice));
    world.policy.kinds = Kinds::with_weak(&[Kind::Subject]);
    assert_eq!(world.ask(headers(), ""), "401 unmapped -", "an invisible issuer never agrees");
    let mut world = world.map("alice", by_subject(&alice));
    assert_eq!(world.ask(headers(), ""), "200 mapped alice");
    world.rows.blocks.push(block(by_issuer_serial(&alice)));
    assert_eq!(world.ask(headers(), ""), "401 blocked -");
}
