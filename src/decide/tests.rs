//! Each code that this room gives, in the order of the contract, on real certificates.

mod rules;

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SerialNumber as RcgenSerial, date_time_ymd,
};

use super::{
    AllowedIssuer, Decision, Options, OptionsError, Policy, Question, Trust, TrustPolicy, View,
    decide,
};
use crate::directory::row::{BlockRow, GroupRow, MappingRow, PatternRow, UserRow};
use crate::directory::{Directory, Kind, Kinds, Rows, Settings};
use crate::pki::{Certificate, DistinguishedName, SlashForm, UnixTime};
use crate::proxy::{Presented, Shown};
use crate::reason::{DenyReason, UndecidedReason};

/// A directory, a policy and a clock to ask against.
struct World {
    rows: Rows,
    policy: Policy,
    now: UnixTime,
    age: Duration,
    is_loaded: bool,
}

impl World {
    /// alice in groups ops and staff, bob in none; nobody mapped.
    fn new() -> Self {
        let rows = Rows {
            users: vec![user("alice"), user("bob")],
            groups: vec![group("alice", "staff"), group("alice", "ops")],
            ..Rows::default()
        };
        let kinds = Kinds::with_weak(&[Kind::IssuerSubject]);
        let max_staleness = Some(Duration::from_secs(60));
        Self {
            rows,
            policy: Policy {
                kinds,
                issuers: Vec::new(),
                max_staleness,
                trust: TrustPolicy::default(),
            },
            now: at("2026-06-01T00:00:00Z"),
            age: Duration::ZERO,
            is_loaded: true,
        }
    }

    fn map(mut self, username: &str, pattern: PatternRow) -> Self {
        let id = i64::try_from(self.rows.mappings.len()).unwrap() + 1;
        self.rows.mappings.push(mapping(id, username, pattern));
        self
    }

    fn ask(&self, presented: Result<Presented, DenyReason>, query: &str) -> String {
        self.ask_as(Options::parse(query), true, presented)
    }

    fn ask_as(
        &self,
        options: Result<Options, OptionsError>,
        proxy_is_trusted: bool,
        presented: Result<Presented, DenyReason>,
    ) -> String {
        let directory = Directory::build(&self.rows, &Settings::default());
        let view = View {
            directory: self.is_loaded.then_some(&directory),
            age: self.age,
            now: self.now,
            trust: Trust::default(),
            policy: &self.policy,
        };
        let question = Question { options, proxy_is_trusted, presented: || presented };
        let decision = decide(question, &view);
        let user = match decision {
            Decision::Allow(ref allow) => {
                allow.user().map_or("-".to_owned(), |user| user.username.to_string())
            }
            _ => "-".to_owned(),
        };
        format!("{} {} {user}", decision.status(), decision.code())
    }
}

fn at(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

fn user(username: &str) -> UserRow {
    UserRow {
        username: username.into(),
        display_name: None,
        email: None,
        origin: b"operator".to_vec(),
        mapped_only: 0,
        enabled: 1,
        valid_from: None,
        valid_until: None,
    }
}

fn group(username: &str, group_name: &str) -> GroupRow {
    GroupRow { username: username.into(), group_name: group_name.into() }
}

fn mapping(id: i64, username: &str, pattern: PatternRow) -> MappingRow {
    MappingRow {
        id,
        username: username.into(),
        pattern,
        enabled: 1,
        valid_from: None,
        valid_until: None,
        revoked_at: None,
        revoked_reason: None,
        note: None,
    }
}

fn block(pattern: PatternRow) -> BlockRow {
    BlockRow { id: 1, pattern, enabled: 1, valid_from: None, valid_until: None, reason: None }
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "FR");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.serial_number = Some(RcgenSerial::from_slice(&[0x0A, 0x92]));
    params
}

/// A self-signed certificate: the issuer is the subject, and nobody here looks at the signature.
fn certificate(params: CertificateParams) -> Certificate {
    let key = KeyPair::generate().unwrap();
    Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap()
}

fn shown(params: CertificateParams) -> Arc<Shown> {
    Arc::new(Shown::from(certificate(params)))
}

fn text(value: impl ToString) -> Option<Vec<u8>> {
    Some(value.to_string().into_bytes())
}

fn by_sha256(shown: &Shown) -> PatternRow {
    PatternRow { sha256: text(shown.certificate.sha256), ..PatternRow::default() }
}

fn by_issuer_serial(shown: &Shown) -> PatternRow {
    let certificate = &shown.certificate;
    PatternRow {
        issuer: text(&certificate.issuer),
        serial: text(&certificate.serial),
        ..PatternRow::default()
    }
}

fn by_issuer_subject(shown: &Shown) -> PatternRow {
    let certificate = &shown.certificate;
    PatternRow {
        issuer: text(&certificate.issuer),
        subject: text(&certificate.subject),
        ..PatternRow::default()
    }
}

fn by_subject(shown: &Shown) -> PatternRow {
    PatternRow { subject: text(&shown.certificate.subject), ..PatternRow::default() }
}

fn presented(shown: &Arc<Shown>) -> Result<Presented, DenyReason> {
    Ok(Presented::Certificate(Arc::clone(shown)))
}

#[test]
fn a_mapped_certificate_is_its_user() {
    let alice = shown(params("alice"));
    for pattern in [by_sha256(&alice), by_issuer_serial(&alice), by_issuer_subject(&alice)] {
        let world = World::new().map("alice", pattern);
        assert_eq!(world.ask(presented(&alice), ""), "200 mapped alice");
    }
}

#[test]
fn an_earlier_line_of_the_contract_beats_every_later_one() {
    let alice = shown(params("alice"));
    let mut world = World::new().map("alice", by_sha256(&alice));
    world.rows.blocks.push(block(by_sha256(&alice)));
    world.rows.users[0].enabled = 0;
    let fault = || Err(DenyReason::MalformedHeader);
    let bad = || Err(OptionsError::Unknown);
    assert_eq!(world.ask_as(bad(), false, fault()), "503 bad_options -");
    let options = || Options::parse("require=group:nobody");
    assert_eq!(world.ask_as(options(), false, fault()), "401 proxy_not_trusted -");
    assert_eq!(world.ask_as(options(), true, fault()), "401 malformed_header -");
    world.is_loaded = false;
    world.now = at("2025-06-01T00:00:00Z");
    assert_eq!(world.ask(presented(&alice), ""), "401 certificate_not_yet_valid -");
    world.now = at("2028-06-01T00:00:00Z");
    assert_eq!(world.ask(presented(&alice), ""), "401 certificate_expired -");
    world.now = at("2026-06-01T00:00:00Z");
    assert_eq!(world.ask(presented(&alice), ""), "503 not_ready -");
    world.is_loaded = true;
    world.age = Duration::from_secs(61);
    assert_eq!(world.ask(presented(&alice), ""), "503 directory_stale -");
    world.age = Duration::from_secs(60);
    assert_eq!(world.ask(presented(&alice), ""), "401 blocked -");
    world.rows.blocks.clear();
    assert_eq!(world.ask(presented(&alice), "require=group:ops"), "401 user_disabled -");
    world.rows.users[0].enabled = 1;
    assert_eq!(world.ask(presented(&alice), "require=group:nobody"), "403 group_required -");
    assert_eq!(world.ask(presented(&alice), "require=group:ops"), "200 mapped alice");
}

#[test]
fn every_reason_of_the_reader_is_the_answer() {
    for reason in DenyReason::ALL {
        let status = if *reason == DenyReason::GroupRequired { 403 } else { 401 };
        assert_eq!(World::new().ask(Err(*reason), ""), format!("{status} {} -", reason.code()));
    }
}

#[test]
fn nobody_comes_in_only_where_the_certificate_is_optional_and_nobody_is_required() {
    let mut world = World::new();
    let nobody = || Ok(Presented::Nobody);
    assert_eq!(world.ask(nobody(), ""), "401 no_certificate -");
    assert_eq!(world.ask(nobody(), "certificate=optional"), "200 anonymous -");
    let query = "certificate=optional&require=user:alice";
    assert_eq!(world.ask(nobody(), query), "401 no_certificate -");
    world.is_loaded = false;
    assert_eq!(world.ask(nobody(), "certificate=optional"), "503 not_ready -");
    world.is_loaded = true;
    world.age = Duration::from_secs(61);
    assert_eq!(world.ask(nobody(), "certificate=optional"), "503 directory_stale -");
}

#[test]
fn a_certificate_that_fails_stays_out_where_the_certificate_is_optional() {
    let bob = shown(params("bob"));
    assert_eq!(World::new().ask(presented(&bob), "certificate=optional"), "401 unmapped -");
}

#[test]
fn validity_includes_its_last_second() {
    let alice = shown(params("alice"));
    let mut world = World::new().map("alice", by_sha256(&alice));
    for (now, answer) in [
        ("2025-12-31T23:59:59.999999Z", "401 certificate_not_yet_valid -"),
        ("2026-01-01T00:00:00Z", "200 mapped alice"),
        ("2027-01-01T00:00:00Z", "200 mapped alice"),
        ("2027-01-01T00:00:00.999999Z", "200 mapped alice"),
        ("2027-01-01T00:00:01Z", "401 certificate_expired -"),
    ] {
        world.now = at(now);
        assert_eq!(world.ask(presented(&alice), ""), answer, "{now}");
    }
}

#[test]
fn only_a_client_certificate_is_one() {
    let with = |usages: &[ExtendedKeyUsagePurpose]| {
        let mut params = params("alice");
        params.extended_key_usages = usages.to_vec();
        params
    };
    let mut authority = params("alice");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, EmailProtection, ServerAuth};
    for (params, answer) in [
        (with(&[]), "200 mapped alice"),
        (with(&[ClientAuth]), "200 mapped alice"),
        (with(&[ServerAuth, ClientAuth]), "200 mapped alice"),
        (with(&[Any]), "200 mapped alice"),
        (with(&[ServerAuth]), "401 usage_not_allowed -"),
        (with(&[EmailProtection]), "401 usage_not_allowed -"),
        (authority, "401 usage_not_allowed -"),
    ] {
        let alice = shown(params);
        let world = World::new().map("alice", by_sha256(&alice));
        assert_eq!(world.ask(presented(&alice), ""), answer, "{:?}", alice.certificate.usage);
    }
}

#[test]
fn an_issuer_that_is_not_listed_stays_out() {
    let alice = shown(params("alice"));
    let mut world = World::new().map("alice", by_sha256(&alice));
    let issuer = |text: &str, key_id: Option<Vec<u8>>| AllowedIssuer {
        name: DistinguishedName::parse(text, SlashForm::Refuse).unwrap(),
        key_id,
    };
    world.policy.issuers = vec![issuer("CN=Example CA,C=FR", None)];
    assert_eq!(world.ask(presented(&alice), ""), "401 issuer_not_allowed -");
    world.policy.issuers.push(issuer("CN=ALICE,C=FR", None));
    assert_eq!(world.ask(presented(&alice), ""), "200 mapped alice");
    world.policy.issuers = vec![issuer("CN=alice,C=FR", Some(vec![1; 20]))];
    assert_eq!(world.ask(presented(&alice), ""), "401 issuer_not_allowed -");
}

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
    use crate::pki::Identity;
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
    use crate::pki::Identity;
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
fn a_user_whose_groups_do_not_fit_into_the_answer_is_disabled_and_reported() {
    let alice = shown(params("alice"));
    let mut world = World::new().map("alice", by_sha256(&alice));
    // The name, 33 groups of 241 bytes and the separators behind them: 5 + 33 * 242 = 7991 bytes;
    // then one more group up to the limit.
    world.rows.groups = (0..33).map(|number| group("alice", &format!("{number:0>241}"))).collect();
    world.rows.groups.push(group("alice", &"x".repeat(8192 - 7991)));
    assert_eq!(Directory::build(&world.rows, &Settings::default()).unusable(), []);
    assert_eq!(world.ask(presented(&alice), ""), "200 mapped alice");
    world.rows.groups.pop();
    world.rows.groups.push(group("alice", &"x".repeat(8192 - 7991 + 1)));
    assert_eq!(Directory::build(&world.rows, &Settings::default()).unusable().len(), 1);
    assert_eq!(world.ask(presented(&alice), ""), "401 user_disabled -");
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
fn undecided_is_never_an_allow() {
    for reason in UndecidedReason::ALL {
        assert_eq!(Decision::Undecided(*reason).status(), 503);
    }
}
