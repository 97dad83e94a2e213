//! Readers by tables and by hostile input; what is written is read back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::{Claim, Feed, Meant, Whose, json, ldif, openssl, sheet};
use crate::pki::Certificate;
use crate::store::{Block, Mapping, PatternText, User};

const ALICE: &[u8] = include_bytes!("../../benches/alice.pem");

fn alice() -> Certificate {
    Certificate::from_file_bytes(ALICE).unwrap()
}

/// What was refused, each with its place.
fn refused(feed: &Feed) -> Vec<String> {
    feed.refused.iter().map(ToString::to_string).collect()
}

fn only_refused(feed: &Feed, why: &str) {
    assert_eq!((feed.people.len(), feed.claims.len(), feed.bans.len()), (0, 0, 0), "{why}");
    let refused = refused(feed);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].contains(why), "{why}: {refused:?}");
}

#[test]
fn json_that_is_not_exactly_an_import_is_refused_whole() {
    for (text, why) in [
        ("", "is not the JSON"),
        ("[]", "is not the JSON"),
        ("{\"users\": [{\"username\": \"alice\"}]", "is not the JSON"),
        ("{\"people\": []}", "unknown field"),
        ("{\"users\": [{\"username\": \"alice\", \"admin\": true}]}", "unknown field"),
        ("{\"users\": [{\"username\": \"alice\", \"username\": \"bob\"}]}", "duplicate field"),
        ("{\"users\": [{\"username\": \"a b\"}]}", "user 1: username"),
        ("{\"users\": [{\"username\": \"alice\", \"groups\": [\"a,b\"]}]}", "user 1: group"),
        ("{\"users\": [{\"username\": \"alice\", \"email\": \"a\\u0000b\"}]}", "email"),
        ("{\"users\": [{\"username\": \"alice\", \"valid_until\": \"soon\"}]}", "valid_until"),
        ("{\"mappings\": [{\"username\": \"alice\"}]}", "no column"),
        ("{\"mappings\": [{\"username\": \"alice\", \"issuer\": \"CN=A\"}]}", "issuer alone"),
        ("{\"mappings\": [{\"username\": \"alice\", \"sha256\": \"ab\"}]}", "column sha256"),
        ("{\"mappings\": [{\"username\": \"alice\", \"certificate\": \"MAA=\"}]}", "certificate"),
        ("{\"blocks\": [{\"reason\": \"stolen\"}]}", "no column"),
    ] {
        only_refused(&json::read("f.json", text.as_bytes()), why);
    }
    only_refused(&json::read("f.json", b"{\"users\": [{\"username\": \"\xff\"}]}"), "not the JSON");
    let deep = "[".repeat(100_000);
    only_refused(&json::read("f.json", deep.as_bytes()), "is not the JSON");
}

#[test]
fn a_row_of_a_table_is_a_user_and_a_mapping_or_what_it_says_it_is() {
    let sha256 = "ab".repeat(32);
    let text = format!(
        "\u{feff}username, email ,groups,sha256\nalice,alice@example.com,ops staff,{sha256}\n\
         bob,,,\n"
    );
    let feed = sheet::read("f.csv", text.as_bytes());
    assert_eq!(refused(&feed), [""; 0]);
    assert_eq!(feed.people.len(), 2);
    assert_eq!(feed.people[0].value.groups, ["ops", "staff"]);
    assert_eq!(feed.claims.len(), 1);
    assert_eq!(feed.claims[0].place.to_string(), "f.csv, line 2");
    let pattern = PatternText { sha256: Some(sha256), ..PatternText::default() };
    let expected = Claim::new(Whose::Named("alice".into()), Meant::Pattern(Box::new(pattern)));
    assert_eq!(feed.claims[0].value, expected);

    let pem = String::from_utf8(ALICE.to_vec()).unwrap();
    let text = format!("username,certificate\nalice,\"{pem}\"\n");
    let feed = sheet::read("f.csv", text.as_bytes());
    let Meant::Certificate(found) = &feed.claims[0].value.meant else { panic!("{feed:?}") };
    assert_eq!(**found, alice());
}

#[test]
fn a_row_that_cannot_be_meant_is_named_by_its_line() {
    for (text, why) in [
        ("", "there is no column"),
        ("name\nalice\n", "there is no column \"name\""),
        ("username,username\nalice,bob\n", "twice"),
        ("username\n\"a b\"\n", "line 2: username"),
        ("username,email\nalice\n", "line 2: has 1 cells"),
        ("record,username\nperson,alice\n", "none of user, mapping and block"),
        ("record,username,sha256\nuser,alice,ab\n", "a row of record user has none"),
        ("record,username,reason\nmapping,alice,stolen\n", "a row of record mapping has none"),
        ("record,username,serial\nblock,alice,01\n", "a row of record block has none"),
        ("username,enabled,serial\nalice,maybe,01\n", "enabled: write true or false"),
        ("username,enabled\nalice,false\n", "name it in a column record"),
        ("username,serial\nalice,dec:12\n", "serial"),
    ] {
        let feed = sheet::read("f.csv", text.as_bytes());
        if text.is_empty() {
            assert!(feed.people.is_empty() && feed.claims.is_empty());
            continue;
        }
        only_refused(&feed, why);
    }
    only_refused(&sheet::read("f.csv", b"username\n\xff\n"), "is not UTF-8");
    only_refused(&sheet::read("f.csv", b"username\nal\0ice\n"), "username");
}

#[test]
fn a_cell_is_never_a_formula_and_is_read_back_as_it_was() {
    for name in ["=cmd", "+1", "-1", "@SUM", "'=x", "'x", "''", "x", "a'b", "'"] {
        let user = User { username: "alice".into(), display_name: Some(name.into()), ..user() };
        let text = sheet::write(&[user], &[], &[]);
        let row = text.lines().nth(1).unwrap();
        for cell in row.split(',') {
            let cell = cell.trim_matches('"');
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{row}");
        }
        let feed = sheet::read("f.csv", text.as_bytes());
        assert_eq!(feed.people[0].value.display_name.as_deref(), Some(name), "{row}");
    }
    let user = User { display_name: Some("a\u{1b}[2J\u{9b}\nb".into()), ..user() };
    let text = sheet::write(&[user], &[], &[]);
    assert!(text.chars().all(|one| one == '\n' || !one.is_control()), "{text:?}");
}

fn index(lines: &str) -> Feed {
    let authority = authority();
    let pem = ALICE.to_vec();
    openssl::read("index.txt", lines.as_bytes(), &authority, |serial| {
        (serial != "0B").then(|| pem.clone())
    })
}

/// A certificate whose subject is alice's issuer, as far as this reader looks.
fn authority() -> Certificate {
    let alice = alice();
    let mut authority = alice.clone();
    authority.subject = alice.issuer.clone();
    authority.sha256 = crate::pki::Fingerprint::of(b"another");
    authority
}

#[test]
fn an_index_gives_claims_of_what_is_valid_and_bans_of_what_is_revoked() {
    let alice = alice();
    let serial = alice.serial.to_string();
    let feed = index(&format!(
        "V\t351231000000Z\t\t{serial}\tunknown\t/CN=alice\n\
         R\t351231000000Z\t260101000000Z,keyCompromise\t0A92\tunknown\t/CN=bob\n\
         R\t351231000000Z\t260101000000Z\t0A93\tunknown\t/CN=bob\r\n\
         E\t200101000000Z\t\t0A94\tunknown\t/CN=carol\n\n"
    ));
    assert_eq!(refused(&feed), [""; 0]);
    assert_eq!((feed.claims.len(), feed.bans.len(), feed.remarks.len()), (1, 2, 1));
    let ban = &feed.bans[0].value;
    assert_eq!(ban.pattern.serial.as_deref(), Some("0A92"));
    assert_eq!(ban.pattern.issuer, Some(alice.issuer.to_exact_text()));
    assert_eq!(ban.reason.as_deref(), Some("revoked by its CA: keyCompromise"));
    assert_eq!(feed.bans[1].value.reason.as_deref(), Some("revoked by its CA"));
}

#[test]
fn a_line_of_an_index_that_is_none_is_refused() {
    for (line, why) in [
        ("V\t351231000000Z\t\t0A92\tunknown", "six columns"),
        ("X\t351231000000Z\t\t0A92\tunknown\t/CN=a", "none of V, E and R"),
        ("V\t351231000000Z\t\t../../etc/passwd\tunknown\t/CN=a", "not hexadecimal"),
        ("V\t351231000000Z\t\t00\tunknown\t/CN=a", "the serial"),
        ("V\t351231000000Z\t\t0B\tunknown\t/CN=a", "there is no 0B.pem"),
        ("V\t351231000000Z\t\t0A92\tunknown\t/CN=a", "has another serial"),
        ("R\t351231000000Z\t2601,a b\t0A92\tunknown\t/CN=a", "not one word"),
    ] {
        only_refused(&index(line), why);
    }
    let other = openssl::read(
        "index.txt",
        format!("V\t1Z\t\t{}\tunknown\t/CN=a", alice().serial).as_bytes(),
        &alice(),
        |_| Some(ALICE.to_vec()),
    );
    assert!(other.claims.is_empty());
}

#[test]
fn an_entry_of_a_directory_server_is_a_user_with_certificates() {
    let der = STANDARD.encode(&alice().der);
    let (first, rest) = der.split_at(60);
    let text = format!(
        "version: 1\n# people\ndn: CN=Alice,DC=example,DC=com\nobjectClass: person\n\
         sAMAccountName: alice\ncn: Alice Dupont\nmail: alice@example.com\n\
         memberOf: CN=ops,CN=Users,DC=example,DC=com\nmemberOf: CN=Domain Users,DC=example\n\
         userAccountControl: 514\nuserCertificate;binary:: {first}\n {rest}\n\
         altSecurityIdentities: X509:<I>DC=com,CN=Example CA<SR>920A\n\
         altSecurityIdentities: Kerberos:alice@EXAMPLE.COM\n\n\
         dn: OU=people,DC=example,DC=com\nobjectClass: organizationalUnit\n"
    );
    let feed = ldif::read("f.ldif", text.as_bytes(), None);
    assert_eq!(refused(&feed), [""; 0]);
    let person = &feed.people[0].value;
    assert_eq!((person.username.as_str(), person.disabled), ("alice", true));
    assert_eq!(person.display_name.as_deref(), Some("Alice Dupont"));
    assert_eq!(
        (person.email.as_deref(), &person.groups[..]),
        (Some("alice@example.com"), &["ops".to_owned()][..])
    );
    assert_eq!(feed.claims.len(), 2);
    let Meant::Certificate(found) = &feed.claims[0].value.meant else { panic!() };
    assert_eq!(**found, alice());
    let Meant::Pattern(pattern) = &feed.claims[1].value.meant else { panic!() };
    assert_eq!(pattern.serial.as_deref(), Some("0A92"));
    assert_eq!(pattern.issuer.as_deref(), Some("CN=Example CA,DC=com"));
    assert_eq!(feed.remarks.len(), 3, "{:?}", feed.remarks);
    assert!(ldif::is_like_one(text.as_bytes()) && !ldif::is_like_one(ALICE));
}

#[test]
fn an_entry_that_cannot_be_read_whole_is_refused() {
    let der = STANDARD.encode(&alice().der);
    for (lines, why) in [
        (format!("uid: alice\nuserCertificate;binary:: {}", &der[..80]), "userCertificate"),
        ("uid: alice\nuserCertificate;binary:: %%".to_owned(), "base64"),
        ("uid: alice\nuserCertificate;binary:< file:///etc/passwd".to_owned(), "not fetched"),
        (format!("uid: alice\nchangetype: delete\nuserCertificate:: {der}"), "changes an entry"),
        (format!("uid: alice\nuid: bob\nuserCertificate:: {der}"), "several values"),
        (format!("uid: a b\nuserCertificate:: {der}"), "uid"),
        (format!("sn: alice\nuserCertificate:: {der}"), "has none of"),
        ("uid: alice\naltSecurityIdentities: X509:<SKI>0102".to_owned(), "<SKI> is not taken"),
        (format!("uid: alice\nmail:: AA==\nuserCertificate:: {der}"), "email"),
        (format!("uid: alice\nnonsense\nuserCertificate:: {der}"), "no colon"),
    ] {
        let text = format!("dn: CN=alice\n{lines}\n");
        only_refused(&ldif::read("f.ldif", text.as_bytes(), None), why);
    }
}

fn user() -> User {
    User {
        username: "alice".into(),
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
        groups: Vec::new(),
    }
}

/// Text as the schema lets it in.
fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[^\\p{Cc}]{1,12}|[=+@'-][^\\p{Cc}]{0,4}")
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[!-+./-~-]{1,8}", 0..3).prop_map(|set| set.into_iter().collect())
}

prop_compose! {
    fn any_user()(name in "[!-+./-~-]{1,8}", display_name in text(), email in text(), note in text(),
        groups in names(), enabled: bool, mapped_only: bool, ends: bool) -> User {
        let valid_until = ends.then(|| "2030-01-01T00:00:00Z".to_owned());
        User { username: name, display_name, email, note, groups, enabled, mapped_only, valid_until,
            ..user() }
    }
}

prop_compose! {
    fn any_mapping()(username in "[!-+./-~-]{1,8}", digest in any::<[u8; 32]>(), serial in 1_u32..,
        by_serial: bool, note in text(), enabled: bool, revoked: bool, why in text()) -> Mapping {
        let pattern = if by_serial {
            PatternText { issuer: Some("CN=Example CA,O=Example\\, Inc.".into()),
                serial: Some(format!("{serial:08X}")), ..PatternText::default() }
        } else {
            let sha256 = digest.iter().map(|octet| format!("{octet:02x}")).collect();
            PatternText { sha256: Some(sha256), ..PatternText::default() }
        };
        Mapping { id: 1, username, pattern, enabled, valid_from: None, valid_until: None,
            revoked_at: revoked.then(|| "2026-01-01T00:00:00Z".to_owned()),
            revoked_reason: why.filter(|_| revoked), note, created_by: None, created_at: None }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(user in any_user(), mapping in any_mapping(), reason in text()) {
        let block = Block { id: 1, pattern: mapping.pattern.clone(), enabled: mapping.enabled,
            valid_from: None, valid_until: None, reason, note: mapping.note.clone(),
            created_by: None, created_at: None };
        let rows = (&[user.clone()][..], &[mapping.clone()][..], &[block.clone()][..]);
        let read = [
            json::read("f", json::write(rows.0, rows.1, rows.2).as_bytes()),
            sheet::read("f", sheet::write(rows.0, rows.1, rows.2).as_bytes()),
        ];
        for feed in read {
            prop_assert_eq!(refused(&feed), Vec::<String>::new());
            let person = &feed.people[0].value;
            prop_assert_eq!(&person.username, &user.username);
            prop_assert_eq!(&person.display_name, &user.display_name);
            prop_assert_eq!(&person.email, &user.email);
            prop_assert_eq!(&person.groups, &user.groups);
            prop_assert_eq!((person.disabled, person.mapped_only), (!user.enabled, user.mapped_only));
            prop_assert_eq!((&person.valid_until, &person.note), (&user.valid_until, &user.note));
            let claim = &feed.claims[0].value;
            prop_assert_eq!(&claim.whose, &Whose::Named(mapping.username.clone()));
            prop_assert_eq!(&claim.meant, &Meant::Pattern(Box::new(mapping.pattern.clone())));
            prop_assert_eq!((claim.disabled, &claim.note), (!mapping.enabled, &mapping.note));
            prop_assert_eq!(&claim.revoked_at, &mapping.revoked_at);
            prop_assert_eq!(&claim.revoked_reason, &mapping.revoked_reason);
            let ban = &feed.bans[0].value;
            prop_assert_eq!((&ban.pattern, &ban.reason), (&block.pattern, &block.reason));
        }
    }
}
