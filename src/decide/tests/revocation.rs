//! Row 9 of the contract, by lists of a CA made for it, and its place between rows 7, 8, 10 and 14.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};

use super::{World, at, block, by_sha256, params, presented};
use crate::decide::{Lapsed, RevocationPolicy};
use crate::pki::Certificate;
use crate::pki::crl::forge::CrlForge;
use crate::proxy::Shown;
use crate::revocation::{Loader, Sources};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = params("Example CA");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Example CA");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Authority::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// alice's certificate, serial 0A92, as this CA issues it.
fn issued(by: &Authority) -> Arc<Shown> {
    let key = KeyPair::generate().unwrap();
    let certificate = params("alice").signed_by(&key, by).unwrap();
    Arc::new(Shown::from(Certificate::from_der(certificate.der()).unwrap()))
}

/// alice is mapped; `revocation.crl` names a folder with this list, if one is given.
fn world(alice: &Shown, by: &Authority, list: Option<CrlForge>) -> World {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.crt"), by.der()).unwrap();
    if let Some(list) = list {
        fs::write(folder.path().join("ca.crl"), list.der(by.key())).unwrap();
    }
    let crl = vec![folder.path().to_owned()];
    let mut loader = Loader::new(Sources { crl, ..Sources::default() });
    let mut world = World::new().map("alice", by_sha256(alice));
    loader.look(world.now);
    assert!(loader.problems().is_empty(), "{:?}", loader.problems());
    world.authorities = Some(Arc::clone(loader.authorities()));
    world.policy.trust.revocation = Some(RevocationPolicy {
        unknown: Lapsed::Deny,
        expired: Lapsed::Deny,
        grace: Duration::ZERO,
    });
    world
}

fn nobody_revoked() -> Option<CrlForge> {
    Some(CrlForge::new("Example CA", 1))
}

fn alice_revoked() -> Option<CrlForge> {
    Some(CrlForge::new("Example CA", 1).revoke(&[0x0A, 0x92]))
}

#[test]
fn row_9_stands_behind_rows_7_and_8_and_before_row_10() {
    let by = authority();
    let alice = issued(&by);
    for (list, code) in [(alice_revoked(), "certificate_revoked"), (None, "revocation_unknown")] {
        let mut world = world(&alice, &by, list);
        world.rows.blocks.push(block(by_sha256(&alice)));
        world.rows.mappings[0].revoked_at = Some(b"2026-01-01T00:00:00Z".to_vec());
        let ask = |world: &World| world.ask(presented(&alice), "require=group:nobody");
        assert_eq!(ask(&world), format!("401 {code} -"), "before the block and the mapping");
        world.age = Duration::from_secs(61);
        assert_eq!(ask(&world), "503 directory_stale -", "{code}");
        world.is_loaded = false;
        assert_eq!(ask(&world), "503 not_ready -", "{code}");
        world.now = at("2028-06-01T00:00:00Z");
        assert_eq!(ask(&world), "401 certificate_expired -", "{code}");
    }
    let mut world = world(&alice, &by, nobody_revoked());
    assert_eq!(world.ask(presented(&alice), ""), "200 mapped alice");
    world.rows.blocks.push(block(by_sha256(&alice)));
    assert_eq!(world.ask(presented(&alice), ""), "401 blocked -");
}

#[test]
fn revoked_is_said_before_unknown_and_whatever_the_policies_say() {
    let by = authority();
    let alice = issued(&by);
    let mut world = world(&alice, &by, alice_revoked());
    for lapsed in [Lapsed::Allow, Lapsed::Deny] {
        let policy = world.policy.trust.revocation.as_mut().unwrap();
        (policy.unknown, policy.expired) = (lapsed, lapsed);
        assert_eq!(world.ask(presented(&alice), ""), "401 certificate_revoked -");
    }
}

#[test]
fn what_no_list_decides_is_as_the_policies_say() {
    let by = authority();
    let alice = issued(&by);
    let mut unlisted = world(&alice, &by, None);
    assert_eq!(unlisted.ask(presented(&alice), ""), "401 revocation_unknown -");
    unlisted.policy.trust.revocation.as_mut().unwrap().unknown = Lapsed::Allow;
    assert_eq!(unlisted.ask(presented(&alice), ""), "200 mapped alice");
    unlisted.authorities = None;
    assert_eq!(
        unlisted.ask(presented(&alice), ""),
        "401 revocation_unknown -",
        "without anything known of the CAs no policy lets in"
    );
    let mut old = world(&alice, &by, nobody_revoked());
    // The list was good until the beginning of this day, the certificate is until its end.
    old.now = at("2026-12-31T12:00:00Z");
    assert_eq!(old.ask(presented(&alice), ""), "401 revocation_unknown -");
    old.policy.trust.revocation.as_mut().unwrap().expired = Lapsed::Allow;
    assert_eq!(old.ask(presented(&alice), ""), "200 mapped alice");
    old.policy.trust.revocation = None;
    old.authorities = None;
    assert_eq!(old.ask(presented(&alice), ""), "200 mapped alice", "CRLs are not checked at all");
}
