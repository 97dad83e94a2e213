//! Rules on real certificates.

use proptest::prelude::*;
use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, KeyPair, OtherNameValue,
    SanType,
};

use super::{Holder, Ruled, check_rule, provisioning_rule};
use crate::directory::row::{GroupRow, RuleRow, UserRow};
use crate::directory::{Directory, Rows, Settings, Wish};
use crate::pki::{Certificate, DistinguishedName, Identity, SlashForm, UnixTime};

const USER_PRINCIPAL_NAME: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 20, 2, 3];
const SMARTCARD_LOGON: &str = "1.3.6.1.4.1.311.20.2.2";
const GIVEN_NAME: &[u64] = &[2, 5, 4, 42];
const SURNAME: &[u64] = &[2, 5, 4, 4];
const SERIAL_NUMBER: &[u64] = &[2, 5, 4, 5];

/// A certificate that a test describes by its names.
#[derive(Default)]
struct Card {
    subject: Vec<(DnType, String)>,
    names: Vec<SanType>,
    usages: Vec<ExtendedKeyUsagePurpose>,
    extensions: Vec<CustomExtension>,
}

impl Card {
    fn named(common_name: &str) -> Self {
        Self::default().attribute(DnType::CommonName, common_name)
    }

    fn attribute(mut self, kind: DnType, value: &str) -> Self {
        self.subject.push((kind, value.to_owned()));
        self
    }

    fn upn(mut self, upn: &str) -> Self {
        let name = OtherNameValue::Utf8String(upn.to_owned());
        self.names.push(SanType::OtherName((USER_PRINCIPAL_NAME.to_vec(), name)));
        self
    }

    fn email(mut self, email: &str) -> Self {
        self.names.push(SanType::Rfc822Name(Ia5String::try_from(email).unwrap()));
        self
    }

    fn dns(mut self, name: &str) -> Self {
        self.names.push(SanType::DnsName(Ia5String::try_from(name).unwrap()));
        self
    }

    fn usage(mut self, oid: &[u64]) -> Self {
        self.usages.push(ExtendedKeyUsagePurpose::Other(oid.to_vec()));
        self
    }

    /// Self-signed by nobody who matters: the issuer is set by [`Shown::by`].
    fn issue(self) -> Shown {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in self.subject {
            params.distinguished_name.push(kind, value);
        }
        params.subject_alt_names = self.names;
        params.extended_key_usages = self.usages;
        params.custom_extensions = self.extensions;
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.distinguished_name = rcgen::DistinguishedName::new();
        ca.distinguished_name.push(DnType::CommonName, "Example CA");
        let ca = rcgen::Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
        let certificate = Certificate::from_der(certificate.der()).unwrap();
        Shown { identity: Identity::from_certificate(&certificate), certificate }
    }
}

struct Shown {
    certificate: Certificate,
    identity: Identity,
}

impl Shown {
    fn holder(&self) -> Holder<'_> {
        Holder { identity: &self.identity, certificate: Some(&self.certificate) }
    }
}

fn rule(priority: i64, users: &str, conditions: &str, username: &str) -> RuleRow {
    RuleRow {
        priority,
        issuer: b"CN=Example CA".to_vec(),
        conditions: conditions.into(),
        username: username.into(),
        users: users.into(),
        enabled: 1,
        ..RuleRow::default()
    }
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

fn now() -> UnixTime {
    UnixTime::parse_rfc3339("2026-06-01T00:00:00Z").unwrap()
}

fn directory(rows: &Rows) -> Directory {
    let directory = Directory::build(rows, &Settings::default());
    assert_eq!(directory.unusable(), [], "every rule of this test can be read");
    directory
}

/// The name and groups that these rules give, `-` for nobody.
fn ask(rows: &Rows, shown: &Shown) -> String {
    match directory(rows).ask_rules(shown.holder(), now()) {
        Ruled::Nobody => "-".to_owned(),
        Ruled::User(user, priority) => {
            let groups: Vec<_> = user.groups.iter().map(ToString::to_string).collect();
            format!("{} [{}] by {priority}", user.username, groups.join(","))
        }
    }
}

fn any(conditions: &str, username: &str) -> Rows {
    Rows { rules: vec![rule(10, "any", conditions, username)], ..Rows::default() }
}

fn refusal(row: &RuleRow) -> String {
    check_rule(row, &Settings::default()).unwrap_err().to_string()
}

const ALL: &str = r#"{"all":[]}"#;
const AD: &str = r#"{"all":[{"san_upn":{"domain":"ad.example.com"}},
    {"extended_key_usage":"1.3.6.1.4.1.311.20.2.2"}]}"#;

/// Worked example: Active Directory by user principal name.
#[test]
fn active_directory_comes_in_by_user_principal_name() {
    let oid: Vec<u64> = SMARTCARD_LOGON.split('.').map(|arc| arc.parse().unwrap()).collect();
    let rows = any(AD, "{san_upn.local|lower}");
    let alice = Card::named("Alice Dupont").upn("Alice@AD.Example.com").usage(&oid).issue();
    assert_eq!(ask(&rows, &alice), "alice [] by 10");
    let elsewhere = Card::named("Alice Dupont").upn("alice@example.org").usage(&oid).issue();
    assert_eq!(ask(&rows, &elsewhere), "-");
    let no_card = Card::named("Alice Dupont").upn("alice@ad.example.com").issue();
    assert_eq!(ask(&rows, &no_card), "-");
    let below = Card::named("x").upn("alice@ad.example.com.example.org").usage(&oid).issue();
    assert_eq!(ask(&rows, &below), "-");
}

/// Worked example: machines by DNS name.
#[test]
fn machines_come_in_by_dns_name() {
    let conditions = r#"{"all":[{"san_dns":{"pattern":"[a-z0-9-]+\\.m\\.example\\.com"}}]}"#;
    let mut rows = any(conditions, "host/{san_dns}");
    rows.rules[0].group_names = Some(b"machines, metrics".to_vec());
    let machine = Card::default().dns("web-1.m.example.com").dns("www.example.org").issue();
    assert_eq!(ask(&rows, &machine), "host/web-1.m.example.com [machines,metrics] by 10");
    let wildcard = Card::default().dns("*.m.example.com").issue();
    assert_eq!(ask(&rows, &wildcard), "-");
    let two = Card::default().dns("web-1.m.example.com").dns("web-2.m.example.com").issue();
    assert_eq!(ask(&rows, &two), "-", "never the first by chance");
}

/// Worked example: a Finnish identity card.
#[test]
fn a_fineid_card_comes_in_by_its_electronic_identity() {
    let card = |serial: &str| {
        Card::default()
            .attribute(DnType::CountryName, "FI")
            .attribute(DnType::CustomDnType(SERIAL_NUMBER.to_vec()), serial)
            .attribute(DnType::CustomDnType(GIVEN_NAME.to_vec()), "ALICE MARIA")
            .attribute(DnType::CustomDnType(SURNAME.to_vec()), "DUPONT")
            .attribute(DnType::CommonName, "DUPONT ALICE MARIA 99912345X")
    };
    let conditions = r#"{"all":[{"attribute":"C","equals":"FI"},
        {"attribute":"serialNumber","pattern":"[0-9]{8}[0-9A-Z]"}]}"#;
    let mut rows = any(conditions, "{subject.serialNumber|lower}");
    rows.rules[0].display_name = Some(b"{subject.GN} {subject.SN}".to_vec());
    assert_eq!(ask(&rows, &card("99912345X").issue()), "99912345x [] by 10");
    assert_eq!(ask(&rows, &card("99912345X2").issue()), "-");
    assert_eq!(ask(&rows, &card("999 12345").issue()), "-");
    let directory = directory(&rows);
    let shown = card("99912345X").issue();
    let Ruled::User(user, _) = directory.ask_rules(shown.holder(), now()) else { panic!() };
    assert_eq!(user.display_name.as_deref(), Some("ALICE MARIA DUPONT"));
}

#[test]
fn the_first_rule_whose_conditions_hold_decides_alone() {
    let alice = Card::named("alice").email("a@example.com").issue();
    let mut rows = Rows {
        rules: vec![
            rule(30, "any", ALL, "third"),
            rule(20, "any", ALL, "{san_upn}"),
            rule(10, "any", r#"{"all":[{"attribute":"CN","equals":"bob"}]}"#, "bob"),
        ],
        ..Rows::default()
    };
    assert_eq!(ask(&rows, &alice), "-", "20 holds and gives no name; 30 is not asked");
    rows.rules[1].enabled = 0;
    assert_eq!(ask(&rows, &alice), "third [] by 30");
    rows.rules[1].enabled = 1;
    rows.rules[1].valid_until = Some(b"2026-01-01T00:00:00Z".to_vec());
    assert_eq!(ask(&rows, &alice), "third [] by 30");
    rows.rules[1].valid_until = Some(b"2026-06-01T00:00:01Z".to_vec());
    assert_eq!(ask(&rows, &alice), "-");
}

#[test]
fn a_rule_is_about_its_issuer_and_its_key() {
    let alice = Card::named("alice").issue();
    let mut rows = any(ALL, "{subject.CN}");
    assert_eq!(ask(&rows, &alice), "alice [] by 10");
    rows.rules[0].issuer_key_id = Some(b"00:11".to_vec());
    assert_eq!(ask(&rows, &alice), "-");
    rows.rules[0].issuer_key_id = None;
    rows.rules[0].issuer = b"CN=Foreign CA".to_vec();
    assert_eq!(ask(&rows, &alice), "-");
    rows.rules[0].issuer = b"cn=example  ca".to_vec();
    assert_eq!(ask(&rows, &alice), "alice [] by 10");
}

#[test]
fn whom_a_rule_gives_depends_on_users() {
    let shown = Card::named("alice").issue();
    let rows = |users: &str, stored: Vec<UserRow>| Rows {
        users: stored,
        groups: Vec::new(),
        rules: vec![rule(1, users, ALL, "{subject.CN}")],
        ..Rows::default()
    };
    for users in ["existing", "any", "provision"] {
        assert_eq!(ask(&rows(users, vec![user("alice")]), &shown), "alice [] by 1");
        let mapped_only = UserRow { mapped_only: 1, ..user("alice") };
        assert_eq!(ask(&rows(users, vec![mapped_only]), &shown), "-", "{users}");
        // Another name to us, the same to whoever folds case.
        assert_eq!(ask(&rows(users, vec![user("Alice")]), &shown), "-", "{users}");
    }
    assert_eq!(ask(&rows("existing", Vec::new()), &shown), "-");
    assert_eq!(ask(&rows("provision", Vec::new()), &shown), "-");
    assert_eq!(ask(&rows("any", Vec::new()), &shown), "alice [] by 1");
}

#[test]
fn a_stored_user_is_what_is_stored() {
    let shown = Card::named("alice").issue();
    let mut rows = any(ALL, "{subject.CN}");
    rows.rules[0].group_names = Some(b"guests".to_vec());
    assert_eq!(ask(&rows, &shown), "alice [guests] by 10");
    rows.users.push(user("alice"));
    rows.groups.push(GroupRow { username: b"alice".to_vec(), group_name: b"ops".to_vec() });
    assert_eq!(ask(&rows, &shown), "alice [ops] by 10");
}

#[test]
fn no_rule_leads_into_the_administrators_group() {
    for group in ["certgate-admin", "Certgate-Admin"] {
        let row = RuleRow {
            group_names: Some(format!("ops,{group}").into_bytes()),
            ..rule(1, "any", ALL, "{subject.CN}")
        };
        assert!(refusal(&row).contains("administrators"), "{group}");
        let shown = Card::named("alice").issue();
        let mut rows = any(ALL, "{subject.CN}");
        rows.users.push(user("alice"));
        for name in [group, "ops"] {
            rows.groups.push(GroupRow { username: b"alice".to_vec(), group_name: name.into() });
        }
        assert_eq!(ask(&rows, &shown), "alice [ops] by 10");
    }
}

#[test]
fn a_provisioning_rule_wishes_for_whom_it_does_not_find() {
    let shown = Card::named("Alice Dupont").upn("alice@ad.example.com").issue();
    let mut row = rule(7, "provision", ALL, "{san_upn}");
    row.display_name = Some(b"{subject.CN}".to_vec());
    row.email = Some(b"{san_email}".to_vec());
    row.group_names = Some(b"staff".to_vec());
    let mut rows = Rows { rules: vec![row], ..Rows::default() };
    let wish = directory(&rows).wish(shown.holder(), now()).unwrap();
    let Wish { priority, username, display_name, email, groups } = wish;
    assert_eq!((priority, username.as_str(), email), (7, "alice@ad.example.com", None));
    assert_eq!((display_name.as_deref(), groups.len()), (Some("Alice Dupont"), 1));
    for name in ["alice@ad.example.com", "ALICE@AD.example.com"] {
        rows.users = vec![UserRow { enabled: 0, ..user(name) }];
        assert_eq!(directory(&rows).wish(shown.holder(), now()), None);
    }
}

#[test]
fn a_name_is_made_of_exactly_one_value_or_none() {
    let ou = |value: &str| Card::named("alice").attribute(DnType::OrganizationalUnitName, value);
    let table = [
        ("{subject.OU}", Card::named("alice"), "-"),
        ("{subject.OU}", ou("Staff"), "Staff [] by 10"),
        ("{subject.2.5.4.11|lower}", ou("Staff"), "staff [] by 10"),
        ("u-{subject.common_name}-x", ou("Staff"), "u-alice-x [] by 10"),
        ("{subject.OU}/{subject.CN}", ou("Staff"), "Staff/alice [] by 10"),
        ("{subject.OU}/{subject.CN}", ou("Staff/alice"), "-"),
        ("{subject.OU}", ou("Staff Paris"), "-"),
        ("{subject.OU}", ou("a,b"), "-"),
        ("{subject.OU}", ou("Zoë"), "-"),
        ("{subject.OU}", ou("a\r\nb"), "-"),
        ("{subject.OU}", ou("a\0b"), "-"),
        ("{subject.OU}", ou(&"x".repeat(257)), "-"),
        ("{subject.OU}", ou("\u{0430}lice"), "-"),
        ("{san_email}", Card::named("x").email("a@example.com"), "a@example.com [] by 10"),
        ("{san_email}", Card::named("x").email("a@example.com").email("b@example.com"), "-"),
        ("{san_email}", Card::named("x").email("a@example.com").email("a@example.com"), "-"),
        ("{subject.CN}", Card::named("{san_upn}").upn("bob"), "{san_upn} [] by 10"),
    ];
    for (template, card, given) in table {
        assert_eq!(ask(&any(ALL, template), &card.issue()), given, "{template}");
    }
}

#[test]
fn a_value_that_a_condition_picks_is_the_one_that_is_used() {
    let conditions = r#"{"all":[{"san_email":{"domain":"Example.com"}}]}"#;
    let rows = any(conditions, "{san_email.local}");
    let card = Card::named("x").email("alice@example.com").email("bob@example.org");
    assert_eq!(ask(&rows, &card.issue()), "alice [] by 10");
    let quoted = Card::named("x").email("\"bob@x\"@example.com");
    assert_eq!(ask(&rows, &quoted.issue()), "-");
    // Two conditions that two values fulfil: both hold, and no value qualifies.
    let conditions = r#"{"all":[{"san_email":{"domain":"example.com"}},
        {"san_email":{"pattern":"bob@.*"}}]}"#;
    let card = Card::named("x").email("alice@example.com").email("bob@example.org");
    assert_eq!(ask(&any(conditions, "{san_email.local}"), &card.issue()), "-");
}

#[test]
fn what_headers_cannot_show_fulfils_no_condition() {
    let name = |text: &str| Some(DistinguishedName::parse(text, SlashForm::Refuse).unwrap());
    let identity = Identity::from_headers(None, name("OU=Staff,CN=alice"), name("CN=Example CA"));
    let holder = Holder { identity: &identity, certificate: None };
    let table = [
        (r#"{"attribute":"OU","equals":"Staff"}"#, true),
        (r#"{"attribute":"OU","equals":"staff"}"#, false),
        (r#"{"san_upn":{"pattern":".*"}}"#, false),
        (r#"{"san_dns":{"pattern":".*"}}"#, false),
        (r#"{"extended_key_usage":"1.3.6.1.5.5.7.3.2"}"#, false),
        (r#"{"policy":"1.2.3"}"#, false),
    ];
    for (condition, holds) in table {
        let directory = directory(&any(&format!("{{\"all\":[{condition}]}}"), "{subject.CN}"));
        let found = matches!(directory.ask_rules(holder, now()), Ruled::User(..));
        assert_eq!(found, holds, "{condition}");
    }
    let no_issuer = Identity::from_headers(None, name("CN=alice"), None);
    let holder = Holder { identity: &no_issuer, certificate: None };
    let directory = directory(&any(ALL, "{subject.CN}"));
    assert!(matches!(directory.ask_rules(holder, now()), Ruled::Nobody));
}

#[test]
fn a_policy_is_known_by_its_identifier() {
    // certificatePolicies with 1.2.246.517.1.10.
    let der = b"\x30\x0b\x30\x09\x06\x07\x2a\x81\x76\x84\x05\x01\x0a";
    let mut card = Card::named("alice");
    card.extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 32], der.to_vec()));
    let shown = card.issue();
    let conditions = |oid: &str| format!(r#"{{"all":[{{"policy":"{oid}"}}]}}"#);
    assert_eq!(ask(&any(&conditions("1.2.246.517.1.10"), "x"), &shown), "x [] by 10");
    assert_eq!(ask(&any(&conditions("1.2.246.517.1.1"), "x"), &shown), "-");
}

#[test]
fn two_common_names_are_none() {
    let two = Card::named("alice").attribute(DnType::CustomDnType(vec![2, 5, 4, 3]), "mallory");
    let two = two.issue();
    assert_eq!(two.identity.subject.as_ref().unwrap().values("CN").len(), 2);
    assert_eq!(ask(&any(ALL, "{subject.CN}"), &two), "-");
    for name in ["alice", "mallory"] {
        let conditions = format!(r#"{{"all":[{{"attribute":"CN","equals":"{name}"}}]}}"#);
        assert_eq!(ask(&any(&conditions, "{subject.CN}"), &two), "-");
    }
}

#[test]
fn what_cannot_be_read_as_it_was_meant_is_refused() {
    for (conditions, says) in [
        ("", "EOF"),
        ("[]", "invalid"),
        ("{}", "missing field `all`"),
        (r#"{"all":[],"any":[]}"#, "unknown field"),
        (r#"{"all":[],"all":[]}"#, "duplicate field"),
        (r#"{"all":[{}]}"#, "condition 1: name one thing"),
        (r#"{"all":[{"attribute":"OU"}]}"#, "condition 1: name one thing"),
        (r#"{"all":[{"equals":"x"}]}"#, "condition 1: name one thing"),
        (r#"{"all":[{"attribute":"OU","equals":"x","pattern":"x"}]}"#, "name one thing"),
        (r#"{"all":[{"policy":"1.2.3","san_dns":{"equals":"x"}}]}"#, "name one thing"),
        (r#"{"all":[{"policy":"1.2.3","equals":"x"}]}"#, "name one thing"),
        (r#"{"all":[{"san_dns":{}}]}"#, "name one thing"),
        (r#"{"all":[{"san_dns":{"domain":"example.com"}}]}"#, "`domain` is a name"),
        (r#"{"all":[{"san_upn":{"domain":"a..b"}}]}"#, "`domain` is a name"),
        (r#"{"all":[{"san_upn":{"glob":"*"}}]}"#, "unknown field"),
        (r#"{"all":[{"san_upn":{"pattern":"a)|(?:.*"}}]}"#, "a pattern is not one"),
        (r#"{"all":[{"attribute":"nonsense","equals":"x"}]}"#, "not the name of an attribute"),
        (r#"{"all":[{"attribute":"uid","equals":"x"}]}"#, "two attributes"),
        (r#"{"all":[{"attribute":"OU","equals":"a\u0000b"}]}"#, "control character"),
        (r#"{"all":[{"extended_key_usage":"clientAuth"}]}"#, "dotted"),
    ] {
        let why = refusal(&rule(1, "any", conditions, "x"));
        assert!(why.contains("column conditions") && why.contains(says), "{conditions}: {why}");
    }
    let many = vec![r#"{"policy":"1.2.3"}"#; 33].join(",");
    assert!(refusal(&rule(1, "any", &format!("{{\"all\":[{many}]}}"), "x")).contains("more than"));
    for (template, says) in [
        ("", "is empty"),
        ("{san_upn", "around a value"),
        ("san_upn}", "around a value"),
        ("{{san_upn}}", "no value"),
        ("{}", "no value"),
        ("{subject}", "no value"),
        ("{subject.nonsense}", "no value"),
        ("{san_upn|upper}", "no value"),
        ("{san_dns.local}", "no value"),
        ("{san_email.local}", "pins the domain"),
        ("{san_upn.local|lower}", "pins the domain"),
        ("{san_upn}{subject.CN}", "between"),
        ("{subject.CN},x", "visible ASCII"),
        ("a b", "visible ASCII"),
    ] {
        let why = refusal(&rule(1, "any", ALL, template));
        assert!(why.contains("column username") && why.contains(says), "{template}: {why}");
    }
    let good = rule(1, "existing", ALL, "x");
    let set = |change: fn(&mut RuleRow)| {
        let mut row = good.clone();
        change(&mut row);
        refusal(&row)
    };
    assert!(set(|row| row.users = b"all".to_vec()).contains("column users"));
    assert!(set(|row| row.issuer = b"nobody".to_vec()).contains("column issuer"));
    assert!(set(|row| row.issuer_key_id = Some(b"x".to_vec())).contains("column issuer_key_id"));
    assert!(set(|row| row.enabled = 2).contains("column enabled"));
    assert!(set(|row| row.group_names = Some(b"a".to_vec())).contains("column group_names"));
    assert!(set(|row| row.email = Some(b"a".to_vec())).contains("column email"));
    for groups in ["a,,b", "a b", ",", "a;b", "a,\u{e9}"] {
        let row = RuleRow { group_names: Some(groups.into()), ..rule(1, "any", ALL, "x") };
        let settings = Settings { group_separator: ';', ..Settings::default() };
        assert!(check_rule(&row, &settings).is_err(), "{groups}");
    }
}

#[test]
fn a_rule_that_cannot_be_read_is_told_of_and_never_matches() {
    let mut rows = any(ALL, "{subject.CN}");
    rows.rules.push(rule(5, "any", "nonsense", "{subject.CN}"));
    let directory = Directory::build(&rows, &Settings::default());
    let [unusable] = directory.unusable() else { panic!() };
    assert_eq!((unusable.relation.name(), unusable.key.as_str()), ("rule", "5"));
    let shown = Card::named("alice").issue();
    assert!(matches!(directory.ask_rules(shown.holder(), now()), Ruled::User(_, 10)));
}

#[test]
fn a_provisioning_rule_that_would_add_a_user_again_is_found() {
    let settings = Settings::default();
    let find = |template: &str, name: &str| {
        let conditions = r#"{"all":[{"san_upn":{"domain":"example.com"}}]}"#;
        let rows = [rule(3, "provision", conditions, template)];
        provisioning_rule(&rows, &settings, name, now())
    };
    assert_eq!(find("{san_upn}", "alice@example.com"), Some(3));
    assert_eq!(find("ext-{san_upn.local}", "ext-alice"), Some(3));
    assert_eq!(find("ext-{san_upn.local}", "alice"), None);
    assert_eq!(find("{san_upn.local}-ext", "alice-ext"), Some(3));
    assert_eq!(find("{san_upn.local}-ext", "alice-ext2"), None);
    assert_eq!(find("kiosk", "kiosk2"), None);
    let mut row = rule(3, "provision", ALL, "{san_upn}");
    row.enabled = 0;
    assert_eq!(provisioning_rule(&[row], &settings, "alice", now()), None);
    let row = rule(3, "any", ALL, "{san_upn}");
    assert_eq!(provisioning_rule(&[row], &settings, "alice", now()), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a CA writes into a name, what comes out is that very name, or nobody.
    #[test]
    fn a_hostile_value_is_itself_or_nobody(value in "[\\x00-\\x7f\u{e9}\u{202e}]{1,12}") {
        let shown = Card::named("x").attribute(DnType::OrganizationalUnitName, &value).issue();
        let directory = directory(&any(ALL, "u-{subject.OU}"));
        if let Ruled::User(user, _) = directory.ask_rules(shown.holder(), now()) {
            prop_assert_eq!(&*user.username, format!("u-{value}"));
            prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','));
        }
    }

    /// No two different pairs of values give the same name.
    #[test]
    fn two_values_do_not_run_together(
        one in ("[a-]{1,4}", "[a-]{1,4}"),
        two in ("[a-]{1,4}", "[a-]{1,4}"),
    ) {
        let name = |(ou, cn): &(String, String)| {
            let card = Card::named(cn).attribute(DnType::OrganizationalUnitName, ou);
            ask(&any(ALL, "{subject.OU}--{subject.CN}"), &card.issue())
        };
        let (first, second) = (name(&one), name(&two));
        prop_assert!(one == two || first == "-" || first != second, "{one:?} {two:?}");
    }

    #[test]
    fn no_conditions_make_the_reader_fall(text in "\\PC{0,60}") {
        let _ = check_rule(&rule(1, "any", &text, &text), &Settings::default());
    }
}
