//! What lists say of certificates, and what becomes of files that change, on lists made for it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rcgen::{KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use super::*;
use crate::pki::crl::forge::{CrlForge, DELTA, authority, authority_for, entry, reason, utc};
use crate::pki::forge::tlv;
use crate::pki::{Certificate, DistinguishedName, SerialNumber, SlashForm, UnixTime};

const SIGNS: &[KeyUsagePurpose] = &[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];

fn at(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

fn now() -> UnixTime {
    at("2026-06-01T00:00:00Z")
}

/// A folder of CRLs and the CA "Example CA", whose certificate lies beside them.
struct World {
    folder: TempDir,
    issuer: Certificate,
    key: KeyPair,
    loader: Loader,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (issuer, key) = authority("Example CA", SIGNS);
        fs::write(folder.path().join("ca.crt"), &issuer.der).unwrap();
        let crl = vec![folder.path().to_owned()];
        let loader = Loader::new(Sources { crl, ..Sources::default() });
        Self { folder, issuer, key, loader }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file in place as one should: written elsewhere, then moved.
    fn put(&self, name: &str, bytes: &[u8]) {
        let hidden = self.path(&format!(".{name}"));
        fs::write(&hidden, bytes).unwrap();
        fs::rename(hidden, self.path(name)).unwrap();
    }

    fn list(&self, number: u8, serials: &[u8]) -> Vec<u8> {
        let list = CrlForge::new("Example CA", number);
        serials.iter().fold(list, |list, serial| list.revoke(&[*serial])).der(&self.key)
    }

    fn look(&mut self) -> Looked {
        self.loader.look(now())
    }

    /// What holds of a serial of this issuer.
    fn status(&self, serial: u8) -> String {
        word(self.loader.authorities(), &self.issuer, serial, now())
    }

    fn problem(&self, name: &str) -> Option<&str> {
        self.loader.problems().get(&self.path(name)).map(String::as_str)
    }
}

fn word(known: &Authorities, issuer: &Certificate, serial: u8, now: UnixTime) -> String {
    let key = IssuerKey::Claimed(issuer.subject_key_id.as_deref().unwrap());
    word_for(known, key, serial, now)
}

fn word_for(known: &Authorities, key: IssuerKey<'_>, serial: u8, now: UnixTime) -> String {
    let name = DistinguishedName::parse("CN=Example CA", SlashForm::Refuse).unwrap();
    let serial = SerialNumber::from_der(&[serial]);
    let subject = Subject { issuer: &name, key, serial: &serial, is_ca: false };
    match known.lists.status(&subject, now, Duration::from_secs(3600)) {
        Status::Expired(_) => "expired".to_owned(),
        Status::Good(_) => "good".to_owned(),
        Status::Revoked(_, reason) => format!("revoked {}", reason.as_str()),
        Status::Unknown => "unknown".to_owned(),
    }
}

#[test]
fn a_new_list_holds_after_the_next_look() {
    let mut world = World::new();
    world.look();
    assert_eq!(world.status(5), "unknown");
    world.put("a.crl", &world.list(1, &[]));
    assert!(world.look().is_news);
    assert_eq!(world.status(5), "good");
    world.put("a.crl", &world.list(2, &[5]));
    assert!(world.look().is_news);
    assert_eq!(world.status(5), "revoked unspecified");
    assert_eq!(world.status(6), "good");
    assert!(!world.look().is_news);
    assert!(world.loader.problems().is_empty());
}

#[test]
fn a_bad_file_keeps_the_old_list_and_is_told_of_until_it_is_good_again() {
    let mut world = World::new();
    world.put("a.crl", &world.list(2, &[5]));
    world.look();
    let good = world.list(3, &[]);
    let (_, foreign) = authority("Example CA", SIGNS);
    let wrong_issuer = CrlForge::new("Other CA", 9).der(&world.key);
    let wrong_signature = CrlForge::new("Example CA", 9).der(&foreign);
    let older = world.list(1, &[]);
    let table = [
        (&good[..good.len() / 2], "not a CRL"),
        (&[][..], "empty"),
        (b"garbage", "not a CRL"),
        (&wrong_issuer, "no certificate of its issuer"),
        (&wrong_signature, "the signature is of none"),
        (&older, "going back is refused"),
    ];
    for (bytes, part) in table {
        world.put("a.crl", bytes);
        let looked = world.look();
        assert!(looked.is_news && looked.failures == 1, "{part}");
        let why = world.problem("a.crl").unwrap().to_owned();
        assert!(why.contains(part), "{part}: {why}");
        assert_eq!(world.status(5), "revoked unspecified", "{part}");
        assert_eq!(world.look().failures, 0, "{part}");
    }
    fs::remove_file(world.path("a.crl")).unwrap();
    world.look();
    assert!(world.problem("a.crl").unwrap().contains("gone"));
    assert_eq!(world.status(5), "revoked unspecified");
    world.put("a.crl", &good);
    world.look();
    assert_eq!(world.problem("a.crl"), None);
    assert_eq!(world.status(5), "good");
}

#[test]
fn of_two_files_the_newer_list_counts_in_either_order() {
    let mut world = World::new();
    world.put("a.crl", &world.list(2, &[5]));
    world.put("b.crl", &world.list(1, &[]));
    world.look();
    assert_eq!(world.status(5), "revoked unspecified");
    assert!(world.loader.problems().is_empty());
    assert!(world.loader.is_superseded(&world.path("b.crl")));
    world.put("b.crl", &world.list(3, &[]));
    world.look();
    assert_eq!(world.status(5), "good");
}

#[test]
fn a_list_waits_for_its_issuer_and_for_its_time() {
    let mut world = World::new();
    let (other, key) = authority("Other CA", SIGNS);
    let mut list = CrlForge::new("Other CA", 1);
    list.this_update = utc("260601000100Z");
    world.put("other.crl", &list.der(&key));
    world.look();
    assert!(world.problem("other.crl").unwrap().contains("no certificate of its issuer"));
    world.put("other.crt", &other.der);
    world.look();
    assert!(world.problem("other.crl").unwrap().contains("from the future"));
    world.loader.look(at("2026-06-01T00:02:00Z"));
    assert_eq!(world.problem("other.crl"), None);
    assert_eq!(world.loader.authorities().lists.iter().count(), 1);
}

#[test]
fn a_list_past_its_next_update_and_grace_is_not_enough_to_be_good() {
    let mut world = World::new();
    world.put("a.crl", &world.list(1, &[5]));
    world.look();
    let known = world.loader.authorities();
    let word = |serial, time| word(known, &world.issuer, serial, at(time));
    assert_eq!(word(6, "2026-12-31T00:00:00Z"), "good");
    assert_eq!(word(6, "2026-12-31T01:00:00Z"), "good");
    assert_eq!(word(6, "2026-12-31T01:00:01Z"), "expired");
    assert_eq!(word(5, "2030-01-01T00:00:00Z"), "revoked unspecified");
}

#[test]
fn two_authorities_of_one_name_are_told_apart_by_their_keys() {
    let mut world = World::new();
    let (twin, twin_key) = authority("Example CA", SIGNS);
    world.put("twin.crt", &twin.der);
    world.put("a.crl", &world.list(1, &[5]));
    world.look();
    // Only one of them has a list: what it lists may be meant, what it does not list is unknown.
    let known = world.loader.authorities();
    assert_eq!(word(known, &twin, 5, now()), "revoked unspecified");
    assert_eq!(word(known, &twin, 6, now()), "unknown");
    world.put("twin.crl", &CrlForge::new("Example CA", 9).revoke(&[6]).der(&twin_key));
    world.look();
    let known = world.loader.authorities();
    assert_eq!(known.lists.iter().count(), 2);
    assert_eq!(word(known, &world.issuer, 5, now()), "revoked unspecified");
    assert_eq!(word(known, &twin, 5, now()), "good");
    assert_eq!(word(known, &world.issuer, 6, now()), "good");
    assert_eq!(word(known, &twin, 6, now()), "revoked unspecified");
    let verified = |issuer: &Certificate, serial| {
        word_for(known, IssuerKey::Verified(&issuer.spki_sha256), serial, now())
    };
    assert_eq!(verified(&twin, 5), "good");
    assert_eq!(verified(&world.issuer, 5), "revoked unspecified");
    // Where nothing tells the key, any list counts.
    for serial in [5, 6] {
        assert_eq!(word_for(known, IssuerKey::Unknown, serial, now()), "revoked unspecified");
    }
    assert_eq!(word_for(known, IssuerKey::Unknown, 7, now()), "good");
    assert_eq!(word_for(known, IssuerKey::Claimed(b"other"), 5, now()), "revoked unspecified");
    assert_eq!(word_for(known, IssuerKey::Claimed(b"other"), 7, now()), "unknown");
}

#[test]
fn the_trust_store_is_read_anew_and_a_bad_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let (first, _) = authority("Example CA", SIGNS);
    let (second, _) = authority("Second CA", SIGNS);
    fs::write(&path, &first.der).unwrap();
    let mut loader = Loader::new(Sources { anchors: vec![path.clone()], ..Sources::default() });
    assert!(loader.look(now()).is_news);
    assert_eq!(loader.authorities().generation, 1);
    replace(&path, &second.der);
    assert!(loader.look(now()).is_news);
    assert_eq!(loader.authorities().generation, 2);
    assert_eq!(loader.authorities().store.anchors(), std::slice::from_ref(&second));
    for bad in [&b""[..], b"garbage", &first.der[..100]] {
        replace(&path, bad);
        loader.look(now());
        assert!(loader.problems().contains_key(&path));
        assert_eq!(loader.authorities().store.anchors(), std::slice::from_ref(&second));
    }
    let no_ca =
        authority_for("Example CA", &[KeyUsagePurpose::CrlSign], &KeyPair::generate().unwrap());
    replace(&path, &no_ca.der);
    loader.look(now());
    assert!(loader.problems()[&path].contains("keyCertSign"));
    replace(&path, &second.der);
    loader.look(now());
    assert!(loader.problems().is_empty());
    assert_eq!(loader.authorities().generation, 2);
}

fn replace(path: &Path, bytes: &[u8]) {
    let hidden = path.with_extension("new");
    fs::write(&hidden, bytes).unwrap();
    fs::rename(hidden, path).unwrap();
}

#[test]
fn a_delta_adds_to_the_complete_list_until_that_has_overtaken_it_and_takes_nothing_back() {
    let mut world = World::new();
    let delta = |number: u8, base: u8| {
        CrlForge::new("Example CA", number).extend(DELTA, true, &tlv(0x02, &[&[base]]))
    };
    let mut first = delta(3, 2).revoke(&[6]);
    first.entries.push(entry(&[5], &[reason(8)]));
    world.put("delta.crl", &first.der(&world.key));
    world.look();
    assert_eq!(world.status(7), "unknown", "a delta alone makes nothing good");
    assert_eq!(world.status(6), "revoked unspecified");
    world.put("a.crl", &world.list(2, &[5]));
    world.look();
    assert_eq!(world.status(5), "revoked unspecified");
    assert_eq!(world.status(6), "revoked unspecified");
    assert_eq!(world.status(7), "good");
    world.put("delta.crl", &delta(2, 1).der(&world.key));
    world.look();
    assert!(world.problem("delta.crl").unwrap().contains("going back is refused"));
    assert_eq!(world.status(6), "revoked unspecified");
    world.put("a.crl", &world.list(4, &[]));
    world.look();
    assert_eq!([5, 6, 7].map(|serial| world.status(serial)), ["good", "good", "good"]);
}

#[test]
fn a_revoked_authority_takes_its_certificates_with_it_unless_another_of_its_certificates_is_good() {
    let mut world = World::new();
    let below_key = KeyPair::generate().unwrap();
    let [below, renewed] =
        [0x22, 0x23].map(|serial| signed("Below CA", &below_key, serial, &world.key));
    let lowest_key = KeyPair::generate().unwrap();
    let lowest = signed("Lowest CA", &lowest_key, 0x33, &below_key);
    let leaf = signed("alice", &KeyPair::generate().unwrap(), 0x44, &lowest_key);
    world.put("below.crt", &below);
    world.put("lowest.crt", &lowest);
    world.put("a.crl", &world.list(1, &[]));
    world.look();
    let leaf = Certificate::from_der(&leaf).unwrap();
    let is_out = |world: &World| {
        let key = leaf.authority_key_id.as_deref();
        world.loader.authorities().ancestry.is_issuer_revoked(&leaf.issuer, key)
    };
    assert!(!is_out(&world));
    world.put("a.crl", &world.list(2, &[0x22]));
    world.look();
    assert!(is_out(&world));
    world.put("renewed.crt", &renewed);
    world.look();
    assert!(!is_out(&world));
}

/// A certificate of this subject and key, by the CA that its name's order gives.
fn signed(subject: &str, key: &KeyPair, serial: u8, issuer_key: &KeyPair) -> Vec<u8> {
    let issuer = match subject {
        "Below CA" => "Example CA",
        "Lowest CA" => "Below CA",
        _ => "Lowest CA",
    };
    let params = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.use_authority_key_identifier_extension = true;
        params
    };
    let issuer = rcgen::Issuer::new(params(issuer), issuer_key);
    let mut subject = params(subject);
    subject.serial_number = Some(vec![serial].into());
    subject.signed_by(key, &issuer).unwrap().der().to_vec()
}

/// Run it with `cargo test --release --lib -- --ignored a_million`.
#[test]
#[ignore = "a figure of the release build: 2 s of loading, 40 MiB kept"]
fn a_million_entries_are_loaded_in_two_seconds_and_take_40_mib() {
    let resident_kib = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let mut world = World::new();
    world.look();
    let der = {
        let mut list = CrlForge::new("Example CA", 1);
        list.entries = (0..1_000_000_u64)
            .map(|number| {
                let mut serial = [0x11; 16];
                serial[8..]
                    .copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
                entry(&serial, &[])
            })
            .collect();
        list.der(&world.key)
    };
    world.put("a.crl", &der);
    let bytes = der.len();
    drop(der);
    let before = resident_kib();
    let start = std::time::Instant::now();
    world.look();
    let took = start.elapsed();
    let kept = resident_kib().saturating_sub(before);
    println!("{bytes} bytes of DER: {took:?}, {kept} KiB kept");
    assert_eq!(world.loader.authorities().lists.iter().next().unwrap().len(), 1_000_000);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(kept < 40 * 1024, "{kept} KiB");
}

#[test]
fn a_long_list_is_read_with_rests_once_requests_are_answered() {
    let mut world = World::new();
    let long = |number: u8| {
        let mut list = CrlForge::new("Example CA", number);
        list.entries = (0..20_000_u32)
            .map(|at| entry(&[&[0x40][..], &at.to_be_bytes()].concat(), &[]))
            .collect();
        list.der(&world.key)
    };
    let (first, second) = (long(1), long(2));
    world.put("ca.crl", &first);
    assert!(world.look().is_news);
    assert_eq!(world.loader.rests(), 0, "nobody is answered yet");
    world.loader.slow_down();
    world.put("ca.crl", &second);
    assert!(world.look().is_news);
    assert!(world.loader.rests() > 5, "{}", world.loader.rests());
    let list = world.loader.authorities().lists.iter().next().unwrap();
    assert_eq!((list.len(), list.number.as_ref().unwrap().to_string().as_str()), (20_000, "02"));
}
