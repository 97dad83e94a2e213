//! Rules through the real program: the command line, the answer to nginx, the explanation.

use std::process::Command;
use std::time::{Duration, Instant};

use certgate::cli::demo::workshop::Workshop;
use rcgen::string::Ia5String;
use rcgen::{DnType, OtherNameValue, SanType};

use crate::support::certgate::{Certgate, program};
use crate::support::database::{Database, Kind};
use crate::support::pki::{Issued, Issuer, Leaf};

const USER_PRINCIPAL_NAME: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 20, 2, 3];
const SERIAL_NUMBER: &[u64] = &[2, 5, 4, 5];
const GIVEN_NAME: &[u64] = &[2, 5, 4, 42];
const SURNAME: &[u64] = &[2, 5, 4, 4];

/// A change is seen within milliseconds; this is for a machine that is very busy.
const DEADLINE: Duration = Duration::from_secs(10);

/// A CA and where its files are.
struct People {
    ca: Issuer,
    _folder: Workshop,
}

impl People {
    fn new() -> Self {
        let folder = Workshop::open("certgate-rules").unwrap();
        let ca = Issuer::root(&folder.folder().join("ca"), "Example CA");
        Self { ca, _folder: folder }
    }

    fn upn(&self, upn: &str) -> Issued {
        let name = OtherNameValue::Utf8String(upn.to_owned());
        let name = SanType::OtherName((USER_PRINCIPAL_NAME.to_vec(), name));
        self.ca.issue(&upn.replace('@', "-"), Leaf::client("Alice Dupont").names(vec![name]))
    }

    fn issuer(&self) -> &str {
        self.ca.pem.to_str().unwrap()
    }
}

fn answer(certgate: &Certgate, certificate: &Issued) -> String {
    certgate.ask(&format!(
        "GET /auth HTTP/1.1\r\nHost: certgate\r\nConnection: close\r\n\
         X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-Cert: {}\r\n\r\n",
        certificate.escaped()
    ))
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let lines = answer.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .next()
        .unwrap_or("(none)")
}

/// Exit code and both outputs of a command that may fail.
fn try_to(certgate: &Certgate, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(program())
        .arg("--config")
        .arg(certgate.config())
        .args(arguments)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

const AD: &str = r#"{"all":[{"san_upn":{"domain":"ad.example.com"}}]}"#;

/// Worked example of docs/rules.md.
#[test]
fn active_directory_comes_in_without_a_row_for_anybody() {
    let (people, certgate) = (People::new(), Certgate::start());
    let alice = people.upn("alice@AD.example.com");
    certgate.wait_for_reason(&alice, "unmapped");
    let rule = ["rule", "add", "10", "--issuer", people.issuer(), "--users", "any", "--group"];
    let name = ["staff", "--username", "{san_upn.local|lower}", "--display-name", "{subject.CN}"];
    certgate.run(&[&rule[..], &name, &["--conditions", AD]].concat());
    certgate.wait_for_reason(&alice, "rule");
    let said = answer(&certgate, &alice);
    assert_eq!(header(&said, "x-remote-user"), "alice");
    assert_eq!(header(&said, "x-remote-groups"), "staff");
    assert_eq!(header(&said, "x-remote-name"), "Alice Dupont");
    assert_eq!(header(&said, "x-remote-email"), "");
    let elsewhere = people.upn("alice@ad.example.org");
    certgate.wait_for_reason(&elsewhere, "unmapped");

    let file = alice.alone.to_str().unwrap();
    let explained = certgate.run(&["explain", "--cert", file, "--json"]);
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained["reason"], "rule");
    assert_eq!(explained["user"], "alice");
    let considered = &explained["considered"][0];
    assert_eq!((considered["kind"].as_str(), considered["id"].as_i64()), (Some("rule"), Some(10)));
    assert_eq!(considered["username"], "alice");
    let (code, text) =
        try_to(&certgate, &["rule", "test", "--cert", elsewhere.alone.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(text.contains("condition 1 (domain of san_upn) does not hold"), "{text}");

    // A disabled user of that name wins over the rule that needs none.
    certgate.run(&["user", "add", "alice"]);
    certgate.run(&["user", "disable", "alice"]);
    certgate.wait_for_reason(&alice, "user_disabled");
    certgate.run(&["user", "remove", "alice"]);
    certgate.wait_for_reason(&alice, "rule");
    certgate.run(&["rule", "disable", "10"]);
    certgate.wait_for_reason(&alice, "unmapped");
}

/// Worked example of docs/rules.md.
#[test]
fn machines_and_identity_cards_come_in_by_rules_of_their_own() {
    let (people, certgate) = (People::new(), Certgate::start());
    let add = ["rule", "add"];
    let machines = r#"{"all":[{"san_dns":{"pattern":"[a-z0-9-]+\\.m\\.example\\.com"}}]}"#;
    let cards = r#"{"all":[{"attribute":"C","equals":"FI"},
        {"attribute":"serialNumber","pattern":"[0-9]{8}[0-9A-Z]"}]}"#;
    let issuer = ["--issuer", people.issuer(), "--users", "any"];
    let by_name = ["--username", "host/{san_dns}", "--group", "machines"];
    let by_number = ["--username", "fi-{subject.serialNumber|lower}"];
    let names = ["--display-name", "{subject.GN} {subject.SN}"];
    certgate.run(&[&add[..], &["10"], &issuer, &by_name, &["--conditions", machines]].concat());
    let parts = [&add[..], &["20"], &issuer, &by_number, &names, &["--conditions", cards]];
    certgate.run(&parts.concat());

    let dns = SanType::DnsName(Ia5String::try_from("web-1.m.example.com").unwrap());
    let machine = people.ca.issue("machine", Leaf::client("web-1").names(vec![dns]));
    certgate.wait_for_reason(&machine, "rule");
    let said = answer(&certgate, &machine);
    assert_eq!(header(&said, "x-remote-user"), "host/web-1.m.example.com");
    assert_eq!(header(&said, "x-remote-groups"), "machines");

    let custom = |oid: &[u64]| DnType::CustomDnType(oid.to_vec());
    let card = people.ca.issue(
        "card",
        Leaf::client("").subject(&[
            (DnType::CountryName, "FI"),
            (custom(SERIAL_NUMBER), "99912345X"),
            (custom(GIVEN_NAME), "ALICE"),
            (custom(SURNAME), "DUPONT"),
            (DnType::CommonName, "DUPONT ALICE 99912345X"),
        ]),
    );
    certgate.wait_for_reason(&card, "rule");
    let said = answer(&certgate, &card);
    assert_eq!(header(&said, "x-remote-user"), "fi-99912345x");
    assert_eq!(header(&said, "x-remote-name"), "ALICE DUPONT");
    let listed = certgate.run(&["rule", "list"]);
    assert!(listed.find("host/{san_dns}") < listed.find("fi-{subject.serialNumber"), "{listed}");
}

fn provisioned(certgate: &Certgate) {
    let people = People::new();
    let alice = people.upn("alice@ad.example.com");
    let rule = ["rule", "add", "10", "--issuer", people.issuer(), "--users", "provision"];
    let name = ["--username", "{san_upn}", "--display-name", "{subject.CN}", "--group", "staff"];
    certgate.run(&[&rule[..], &name, &["--conditions", AD]].concat());
    // The first request is unmapped; it brings the row, which brings the next reason.
    certgate.wait_for_reason(&alice, "user_disabled");
    let shown = certgate.run(&["user", "show", "alice@ad.example.com", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["enabled"], &shown["origin"]), (&false.into(), &"rule".into()));
    assert_eq!(shown["display_name"], "Alice Dupont");
    assert_eq!(shown["created_by"], "rule 10");
    let written = certgate.run(&["audit", "list", "--user", "alice@ad.example.com", "--json"]);
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    for (row, relation) in [(0, "user_group"), (1, "app_user")] {
        assert_eq!(written[row]["relation"], relation);
        assert_eq!(
            (&written[row]["source"], &written[row]["actor"]),
            (&"provision".into(), &"rule 10".into())
        );
    }
    certgate.run(&["user", "enable", "alice@ad.example.com"]);
    certgate.wait_for_reason(&alice, "rule");
    assert_eq!(header(&answer(certgate, &alice), "x-remote-groups"), "staff");

    let (code, text) = try_to(certgate, &["user", "remove", "alice@ad.example.com"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("certgate user disable alice@ad.example.com"), "{text}");
    certgate.run(&["rule", "remove", "10"]);
    certgate.run(&["user", "remove", "alice@ad.example.com"]);
    certgate.wait_for_reason(&alice, "unmapped");
}

#[test]
fn a_provisioned_user_waits_for_an_operator() {
    provisioned(&Certgate::start());
}

#[test]
fn a_provisioned_user_waits_for_an_operator_on_postgresql() {
    provisioned(&Certgate::start_on(&Database::empty(Kind::Postgres)));
}

#[test]
fn a_rule_that_cannot_be_read_is_refused_before_it_is_written() {
    let (people, certgate) = (People::new(), Certgate::start());
    let add = ["rule", "add", "10", "--issuer", people.issuer(), "--username"];
    for (further, says) in [
        (&["{san_email.local}"][..], "pins the domain"),
        (&["{san_upn"], "around a value"),
        (&["x", "--users", "any", "--group", "certgate-admin"], "administrators' group"),
        (&["x", "--group", "ops"], "an existing user has its own"),
        (&["x", "--conditions", "{}"], "missing field `all`"),
        (&["x", "--conditions", r#"{"all":[{"san_upn":{"pattern":"a)|(?:.*"}}]}"#], "pattern"),
        (&["x", "--conditions", "@/nonexistent"], "cannot read /nonexistent"),
    ] {
        let (code, text) = try_to(&certgate, &[&add[..], further].concat());
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(says), "{text}");
    }
    certgate.run(&[&add[..], &["{subject.CN}"]].concat());
    let (code, text) = try_to(&certgate, &[&add[..], &["{subject.CN}"]].concat());
    assert_eq!(code, Some(2));
    assert!(text.contains("number of another rule"), "{text}");
    let (code, text) = try_to(&certgate, &["rule", "edit", "10", "--group", "ops"]);
    assert_eq!(code, Some(2), "{text}");
    certgate.run(&["rule", "edit", "10", "--users", "any", "--group", "ops", "--move-to", "5"]);
    let shown = certgate.run(&["rule", "show", "5", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["group_names"], &shown["users"]), (&"ops".into(), &"any".into()));
    let (code, _) = try_to(&certgate, &["rule", "show", "10"]);
    assert_eq!(code, Some(1));
}

/// What an operator writes past the command line is told of, and lets nobody in.
#[test]
fn a_rule_written_by_hand_counts_within_a_blink() {
    let (people, certgate) = (People::new(), Certgate::start());
    let alice = people.ca.client("alice");
    certgate.wait_for_reason(&alice, "unmapped");
    let database = certgate.config().with_file_name("certgate.db");
    let sql = |sql: &str| {
        let output = Command::new("sqlite3")
            .args(["-batch", "-bail", "-cmd", ".timeout 5000"])
            .arg(&database)
            .arg(sql)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    sql("insert into rule (priority, issuer, conditions, username, users)
         values (1, 'CN=Example CA,O=Example', '{\"all\":[]}', '{subject.CN}', 'any');");
    let start = Instant::now();
    certgate.wait_for_reason(&alice, "rule");
    assert!(start.elapsed() < DEADLINE);
    sql("update rule set conditions = '{\"all\":[{}]}';");
    certgate.wait_for_reason(&alice, "unmapped");
    sql("update rule set conditions = '{\"all\":[]}', group_names = 'ops,certgate-admin';");
    certgate.wait_for_reason(&alice, "unmapped");
    sql("update rule set group_names = 'ops';");
    certgate.wait_for_reason(&alice, "rule");
}
