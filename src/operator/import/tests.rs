//! What a plan gives and what it refuses, by tables.

use std::sync::Arc;

use super::{Admin, Existing, Limit, Plan, Terms, UserFrom, Users, marker, plan};
use crate::directory::{Kind, Kinds};
use crate::exchange::{Claim, Feed, Meant, Person, Place, Placed, Whose};
use crate::pki::{Certificate, UnixTime};
use crate::store::{Block, HeldCertificate, Mapping, PatternText, User};

fn alice() -> Arc<Certificate> {
    Arc::new(Certificate::from_file_bytes(include_bytes!("../../../benches/alice.pem")).unwrap())
}

fn now() -> UnixTime {
    UnixTime::parse_rfc3339("2026-06-01T00:00:00Z").unwrap()
}

fn terms() -> Terms {
    Terms {
        user_from: Some(UserFrom::Filename),
        domains: Vec::new(),
        by: Kind::Sha256,
        groups: Vec::new(),
        users: Users::Add,
        admin: Admin { group: "certgate-admin".into(), is_allowed: false },
        created_by: None,
        prune: None,
        retire_after_seconds: None,
        kinds: Kinds::with_weak(&[Kind::IssuerSubject]),
        now: now(),
    }
}

fn feed(claims: Vec<Claim>) -> Feed {
    let placed = (1..).zip(claims);
    let claims = placed.map(|(n, value)| Placed { place: Place::file("f").at("line", n), value });
    Feed { claims: claims.collect(), ..Feed::default() }
}

fn pem(user: &str) -> Claim {
    Claim::new(Whose::Unnamed { stem: user.into() }, Meant::Certificate(alice()))
}

fn row(user: &str, pattern: PatternText) -> Claim {
    Claim::new(Whose::Named(user.into()), Meant::Pattern(Box::new(pattern)))
}

fn user(name: &str, groups: &[&str]) -> User {
    User {
        username: name.into(),
        display_name: None,
        email: None,
        origin: "operator".into(),
        mapped_only: false,
        enabled: true,
        valid_from: None,
        valid_until: None,
        note: None,
        created_by: None,
        created_at: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

fn mapping(user: &str, pattern: PatternText) -> Mapping {
    Mapping {
        id: 7,
        username: user.into(),
        pattern,
        enabled: true,
        valid_from: None,
        valid_until: None,
        revoked_at: None,
        revoked_reason: None,
        note: None,
        created_by: None,
        created_at: None,
    }
}

/// Every way to say which certificate alice's is.
fn words() -> Vec<PatternText> {
    let certificate = alice();
    let none = PatternText::default();
    let issuer = Some(certificate.issuer.to_exact_text());
    vec![
        PatternText { sha256: Some(certificate.sha256.to_string()), ..none.clone() },
        PatternText { spki_sha256: Some(certificate.spki_sha256.to_string()), ..none.clone() },
        PatternText {
            issuer: issuer.clone(),
            serial: Some(certificate.serial.to_string()),
            ..none.clone()
        },
        PatternText { issuer, subject: Some(certificate.subject.to_exact_text()), ..none },
    ]
}

fn refused(plan: &Plan) -> String {
    assert!(plan.mappings.is_empty(), "{plan:?}");
    assert_eq!(plan.refused.len(), 1, "{plan:?}");
    plan.refused[0].to_string()
}

fn held() -> Vec<HeldCertificate> {
    vec![HeldCertificate { certificate: alice(), is_given: true }]
}

#[test]
fn a_certificate_becomes_a_user_and_a_mapping_and_a_second_time_nothing() {
    let first = plan(&feed(vec![pem("alice")]), &Existing::default(), &terms());
    assert_eq!((first.users.len(), first.mappings.len(), first.certificates.len()), (1, 1, 1));
    let there = Existing {
        users: vec![user("alice", &[])],
        mappings: vec![mapping("alice", words()[0].clone())],
        certificates: held(),
        ..Existing::default()
    };
    let second = plan(&feed(vec![pem("alice"), pem("alice")]), &there, &terms());
    assert!(second.is_empty() && second.refused.is_empty(), "{second:?}");
    assert_eq!(second.already.mappings, 2);
}

#[test]
fn what_was_taken_away_comes_back_in_no_words() {
    type Take = fn(&mut Mapping);
    let away: [(&str, Take); 3] = [
        ("disabled", |mapping| mapping.enabled = false),
        ("ended", |mapping| mapping.valid_until = Some("2026-01-01T00:00:00Z".into())),
        ("revoked", |mapping| mapping.revoked_at = Some("2026-01-01T00:00:00Z".into())),
    ];
    for (word, take) in away {
        for (number, there) in words().into_iter().enumerate() {
            let mut mapping = mapping("alice", there);
            take(&mut mapping);
            let existing = Existing {
                users: vec![user("alice", &[])],
                mappings: vec![mapping],
                certificates: held(),
                ..Existing::default()
            };
            let claims = words().into_iter().take(3).map(|pattern| row("alice", pattern));
            for claim in claims.chain([pem("alice")]) {
                let why = refused(&plan(&feed(vec![claim.clone()]), &existing, &terms()));
                assert!(why.contains(word), "{number} {claim:?}: {why}");
            }
        }
    }
}

#[test]
fn what_is_anothers_is_not_given_away() {
    for there in words() {
        let existing = Existing {
            users: vec![user("alice", &[]), user("mallory", &[])],
            mappings: vec![mapping("alice", there)],
            certificates: held(),
            ..Existing::default()
        };
        let claims = words().into_iter().take(3).map(|pattern| row("mallory", pattern));
        for claim in claims.chain([pem("mallory")]) {
            let why = refused(&plan(&feed(vec![claim]), &existing, &terms()));
            assert!(why.contains("alice's"), "{why}");
        }
    }
    let twice = plan(&feed(vec![pem("alice"), pem("mallory")]), &Existing::default(), &terms());
    assert_eq!(twice.mappings.len(), 1);
    assert!(twice.refused[0].why.contains("f, line 1 gives the same certificate to alice"));
}

#[test]
fn what_is_blocked_gets_no_mapping() {
    for pattern in words() {
        let block = Block {
            id: 3,
            pattern,
            enabled: true,
            valid_from: None,
            valid_until: None,
            reason: None,
            note: None,
            created_by: None,
            created_at: None,
        };
        let existing =
            Existing { blocks: vec![block], certificates: held(), ..Existing::default() };
        let claims = words().into_iter().take(3).map(|pattern| row("alice", pattern));
        for claim in claims.chain([pem("alice")]) {
            let why = refused(&plan(&feed(vec![claim]), &existing, &terms()));
            assert!(why.contains("block 3 keeps it out"), "{why}");
        }
    }
}

#[test]
fn administrators_are_not_made_by_an_import() {
    let existing =
        Existing { users: vec![user("alice", &["certgate-admin"])], ..Existing::default() };
    let why = refused(&plan(&feed(vec![pem("alice")]), &existing, &terms()));
    assert!(why.contains("administrator"), "{why}");
    let person = Person {
        username: "bob".into(),
        groups: vec!["certgate-admin".into()],
        ..Person::default()
    };
    let mut joining = Feed::default();
    joining.people.push(Placed { place: Place::file("f"), value: person });
    for existing in [Existing::default(), Existing { users: vec![user("bob", &[])], ..existing }] {
        let why = refused(&plan(&joining, &existing, &terms()));
        assert!(why.contains("administrators' group"), "{why}");
        let mut terms = terms();
        terms.admin.is_allowed = true;
        assert!(plan(&joining, &existing, &terms).refused.is_empty());
    }
    let groups = Terms { groups: vec!["CERTGATE-ADMIN".into()], ..terms() };
    refused(&plan(&feed(vec![pem("bob")]), &Existing::default(), &groups));
}

#[test]
fn users_are_added_only_if_that_is_wanted_and_never_in_another_case() {
    let existing_only = Terms { users: Users::Existing, ..terms() };
    let why = refused(&plan(&feed(vec![pem("alice")]), &Existing::default(), &existing_only));
    assert!(why.contains("there is no user alice"), "{why}");
    let existing = Existing { users: vec![user("Alice", &[])], ..Existing::default() };
    let why = refused(&plan(&feed(vec![pem("alice")]), &existing, &terms()));
    assert!(why.contains("in another case"), "{why}");
    let why = refused(&plan(&feed(vec![pem("a b")]), &Existing::default(), &terms()));
    assert!(why.contains("no name of a user"), "{why}");
}

#[test]
fn a_kind_that_could_not_match_is_refused() {
    let pattern = PatternText { common_name: Some("alice".into()), ..PatternText::default() };
    let why = refused(&plan(&feed(vec![row("alice", pattern)]), &Existing::default(), &terms()));
    assert!(why.contains("identity.weak"), "{why}");
}

#[test]
fn a_feed_takes_away_what_it_brought_within_its_limit_and_nothing_else() {
    let sha256 =
        |digit: &str| PatternText { sha256: Some(digit.repeat(64)), ..PatternText::default() };
    let of = |id: i64, name: &str, digit: &str, by: Option<&str>| Mapping {
        id,
        created_by: by.map(marker),
        ..mapping(name, sha256(digit))
    };
    let brought = |name: &str| User { created_by: Some(marker("hr")), ..user(name, &[]) };
    let mut revoked = of(4, "dan", "4", Some("hr"));
    revoked.revoked_at = Some("2026-01-01T00:00:00Z".into());
    let existing = Existing {
        users: vec![brought("alice"), brought("bob"), brought("dan"), user("carol", &[])],
        mappings: vec![
            of(1, "alice", "1", Some("hr")),
            of(2, "bob", "2", Some("hr")),
            of(3, "carol", "3", None),
            revoked,
        ],
        ..Existing::default()
    };
    let feed = feed(vec![row("alice", sha256("1"))]);
    let terms = |limit| Terms { prune: Some(limit), created_by: Some(marker("hr")), ..terms() };
    let done = plan(&feed, &existing, &terms(Limit::Percent(50)));
    assert_eq!((done.forbidden.as_deref(), &done.removed_mappings[..]), (None, &[2][..]));
    assert_eq!(done.removed_users, ["bob"]);
    for limit in [Limit::Percent(39), Limit::Rows(1)] {
        let done = plan(&feed, &existing, &terms(limit));
        assert!(done.forbidden.is_some() && done.removed_mappings.is_empty(), "{limit:?}");
    }
    let empty = plan(&Feed::default(), &existing, &terms(Limit::Percent(10)));
    assert!(empty.forbidden.is_some());
    let mut broken = feed.clone();
    broken.refuse(Place::file("f"), "is broken");
    let done = plan(&broken, &existing, &terms(Limit::Percent(100)));
    assert!(done.forbidden.is_some_and(|why| why.contains("cannot be read")));
}

#[test]
fn a_limit_is_a_part_or_a_number() {
    assert_eq!("10%".parse(), Ok(Limit::Percent(10)));
    assert_eq!("25".parse(), Ok(Limit::Rows(25)));
    for text in ["", "%", "101%", "-1", "ten"] {
        assert!(text.parse::<Limit>().is_err(), "{text}");
    }
}
