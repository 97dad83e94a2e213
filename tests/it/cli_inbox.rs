//! `certgate inbox`: what came, was verified and is nobody's, and how it becomes somebody's.

use std::process::Child;

use certgate::decide::RequiredUsage;
use certgate::directory::{Kinds, Settings};
use certgate::operator::{Approval, ApproveError, Approver, Ground, Sees};
use certgate::pki::{Certificate, UnixTime};
use certgate::store::By;
use rcgen::{KeyPair, SanType};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::cli_desk::{Desk, path, sha256};
use crate::seen_serve::wait_until;
use crate::support::database::{Database, Kind};
use crate::support::nginx::Site;
use crate::support::pki::{Issued, Issuer, Leaf};
use crate::support::tls::get;
use crate::support::world::World;

/// Runs each case on both databases.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::cli_desk::Desk;
            use crate::support::database::Kind;
            $(#[test] fn $name() { super::$name(&Desk::on(Kind::Sqlite)); })*
        }
        mod postgres {
            use crate::cli_desk::Desk;
            use crate::support::database::Kind;
            $(#[test] fn $name() { super::$name(&Desk::on(Kind::Postgres)); })*
        }
    };
}

on_both! {
    a_certificate_is_listed_and_approved,
    a_disabled_or_ended_mapping_refuses_and_is_named,
    a_lookalike_of_another_issuer_is_nobodys_renewal,
    a_lost_key_is_lost_in_every_certificate,
    a_renewal_is_told_and_approved,
    a_wave_by_names_is_about_one_issuer_and_no_administrator,
    a_wave_by_names_needs_issuer_and_domain_whatever_waits,
    an_ignored_one_is_not_listed_and_a_blocked_one_is_refused,
    what_a_wave_cannot_give_stays_and_says_why,
    what_speaks_against_an_approval_refuses_it,
}

fn unmapped(desk: &Desk, issued: &Issued) {
    desk.see(issued, "unmapped", None);
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one["sha256"].as_str().unwrap().into()).collect()
}

fn a_certificate_is_listed_and_approved(desk: &Desk) {
    let bob = desk.ca.client("bob");
    assert_eq!(desk.run(&["inbox", "list"]), "The inbox is empty.\n");
    unmapped(desk, &bob);
    let id = sha256(&bob);
    let list = desk.json(&["inbox", "list"]);
    assert_eq!(ids(&list), [id.as_str()]);
    assert_eq!((&list[0]["code"], &list[0]["looks_like"]), (&json!("unmapped"), &json!([])));
    let text = desk.run(&["inbox", "list"]);
    assert!(text.contains(&id[..16]) && text.contains("CN=bob,O=Example"), "{text}");

    let error = desk.refused(1, &["inbox", "approve", &id[..8], "--user", "bob"]);
    assert!(error.starts_with("no such user: \"bob\""), "{error}");
    let approve = ["inbox", "approve", &id[..8], "--user", "bob", "--create"];
    let dry = desk.json(&[&approve[..], &["--dry-run"]].concat());
    assert_eq!((&dry["mapping"], &dry["new_user"]), (&Value::Null, &json!(true)));
    assert_eq!(desk.json(&["user", "list"]), json!([]), "a dry run changes nothing");
    let done = desk.json(&approve);
    assert_eq!((&done["username"], &done["kind"]), (&json!("bob"), &json!("sha256")));
    assert_eq!(desk.json(&["explain", "--cert", &path(&bob)])["reason"], "mapped");
    let mapping = desk.json(&["mapping", "show", &done["mapping"].to_string()]);
    assert_eq!((&mapping["sha256"], &mapping["created_by"]), (&json!(id), &json!("carol")));
    assert_eq!(desk.json(&["inbox", "list"]), json!([]), "at once, before it comes again");
    assert_eq!(desk.json(&["certificate", "show", &id])["origin"], "given");
}

fn what_speaks_against_an_approval_refuses_it(desk: &Desk) {
    for user in ["alice", "bob"] {
        desk.run(&["user", "add", user]);
    }
    let mapped = |name: &str| {
        let issued = desk.ca.client(name);
        unmapped(desk, &issued);
        desk.run(&["mapping", "add", "bob", "--cert", &path(&issued)]);
        issued
    };
    let refused = |issued: &Issued, code, part: &str| {
        let error = desk.refused(code, &["inbox", "approve", &sha256(issued), "--user", "alice"]);
        assert!(error.contains(part), "{error}");
    };
    refused(&mapped("taken"), 2, "mapping 1 gives it to bob");
    let revoked = mapped("revoked");
    desk.run(&["mapping", "revoke", "2"]);
    refused(&revoked, 2, "mapping 2 of bob is revoked");
    let blocked = desk.ca.client("blocked");
    unmapped(desk, &blocked);
    desk.run(&["certificate", "block", &path(&blocked)]);
    refused(&blocked, 2, "block 1 keeps it out");
    let now = OffsetDateTime::now_utc();
    let past = Leaf::client("past").valid(now - time::Duration::days(9), now - time::Duration::DAY);
    let past = desk.ca.issue("past", past);
    unmapped(desk, &past);
    refused(&past, 2, "it expired at");
    let unknown = desk.ca.client("unknown");
    refused(&unknown, 1, "no such certificate is known");
    let server = desk.ca.issue("server", Leaf::server());
    unmapped(desk, &server);
    refused(&server, 2, "not a client's");
    let error = desk.refused(2, &["inbox", "show", "1234567"]);
    assert!(error.contains("its first 8 digits or more"), "{error}");
    let error = desk.refused(1, &["inbox", "show", &"a".repeat(40)]);
    assert!(error.contains("SHA-1"), "{error}");
    assert_eq!(desk.json(&["mapping", "list", "--user", "alice"]), json!([]));
}

fn a_disabled_or_ended_mapping_refuses_and_is_named(desk: &Desk) {
    desk.run(&["user", "add", "alice"]);
    let [off, over, mine] = ["off", "over", "mine"].map(|name| desk.ca.client(name));
    for issued in [&off, &over, &mine] {
        unmapped(desk, issued);
        desk.run(&["mapping", "add", "alice", "--cert", &path(issued)]);
    }
    desk.run(&["mapping", "disable", "1"]);
    desk.run(&["mapping", "edit", "2", "--valid-until", "2020-01-01"]);
    for (issued, part) in [
        (&off, "mapping 1 of alice is about it and does not count"),
        (&over, "mapping 2 of alice is about it and does not count"),
        (&mine, "mapping 3 gives it to alice already"),
    ] {
        let error = desk.refused(2, &["inbox", "approve", &sha256(issued), "--user", "alice"]);
        assert!(error.contains(part), "{error}");
    }
}

fn a_renewal_is_told_and_approved(desk: &Desk) {
    desk.run(&["user", "add", "alice"]);
    let names = || vec![SanType::Rfc822Name("alice@example.com".try_into().unwrap())];
    let old = desk.ca.issue("old", Leaf::client("alice").names(names()));
    desk.run(&["mapping", "add", "alice", "--cert", &path(&old)]);
    let new = desk.ca.issue("new", Leaf::client("alice").names(names()));
    // The same subject, but not the same names.
    let other = desk.ca.issue("other", Leaf::client("alice"));
    for issued in [&new, &other] {
        unmapped(desk, issued);
    }
    let list = desk.json(&["inbox", "list"]);
    let alike = |id: &str| {
        let mut rows = list.as_array().unwrap().iter();
        rows.find(|one| one["sha256"] == id).unwrap()["looks_like"].clone()
    };
    let likeness =
        json!({"username": "alice", "sha256": sha256(&old), "same": "names", "live": true});
    assert_eq!(alike(&sha256(&new)), json!([likeness]));
    assert_eq!(alike(&sha256(&other)), json!([]));
    let text = desk.run(&["inbox", "show", &sha256(&new)]);
    let expected = "looks like alice's renewal (same issuer, subject and names)\n";
    assert!(text.ends_with(expected), "{text}");
    let wave = ["inbox", "approve", "--all", "--user-from", "renewal"];
    let dry = desk.json(&[&wave[..], &["--dry-run"]].concat());
    assert_eq!(dry["approved"].as_array().unwrap().len(), 1, "{dry}");
    assert_eq!(desk.json(&["mapping", "list"]).as_array().unwrap().len(), 1);
    let done = desk.json(&wave);
    assert_eq!(done["approved"][0]["sha256"], sha256(&new));
    assert_eq!(done["skipped"][0]["sha256"], sha256(&other));
    for issued in [&old, &new] {
        assert_eq!(desk.json(&["explain", "--cert", &path(issued)])["user"], "alice");
    }
    assert_eq!(desk.say(&["explain", "--cert", &path(&other)]).code, 1);

    // Whose certificate was lost is not renewed by itself.
    let next = desk.ca.issue("next", Leaf::client("alice").names(names()));
    unmapped(desk, &next);
    // A number that a dry run took is not given again.
    for mapping in desk.json(&["mapping", "list"]).as_array().unwrap() {
        desk.run(&["mapping", "revoke", &mapping["id"].to_string()]);
    }
    assert_eq!(desk.json(&["inbox", "show", &sha256(&next)])["looks_like"], json!([]));
}

fn a_lookalike_of_another_issuer_is_nobodys_renewal(desk: &Desk) {
    desk.run(&["user", "add", "alice"]);
    let key = KeyPair::generate().unwrap();
    let copy = || KeyPair::try_from(key.serialize_der()).unwrap();
    let (same_key, third_key) = (copy(), copy());
    let alice = desk.ca.issue("alice", Leaf::client("alice").key(key));
    desk.run(&["mapping", "add", "alice", "--cert", &path(&alice)]);
    // Another CA of another name, and one of the very same name.
    let foreign = Issuer::root(&desk.folder().join("foreign"), "Foreign CA");
    let twin = Issuer::root(&desk.folder().join("twin"), "Example CA");
    let strangers = [foreign.client("alice"), twin.client("alice")];
    for issued in &strangers {
        unmapped(desk, issued);
        assert_eq!(desk.json(&["inbox", "show", &sha256(issued)])["looks_like"], json!([]));
    }
    let done = desk.json(&["inbox", "approve", "--all", "--user-from", "renewal"]);
    assert_eq!(done["approved"], json!([]), "{done}");
    let error =
        desk.refused(2, &["inbox", "approve", &sha256(&strangers[1]), "--user-from", "renewal"]);
    assert!(error.starts_with("it looks like nobody's renewal"), "{error}");
    // The key is hers whoever certifies it, until it is lost.
    let moved = foreign.issue("moved", Leaf::client("somebody").key(same_key));
    unmapped(desk, &moved);
    let shown = desk.json(&["inbox", "show", &sha256(&moved)]);
    assert_eq!(shown["looks_like"][0]["same"], "key", "{shown}");
    let done = desk.json(&["inbox", "approve", "--all", "--user-from", "renewal"]);
    assert_eq!(done["approved"][0]["sha256"], sha256(&moved));
    assert_eq!(done["skipped"].as_array().unwrap().len(), 2);
    let again = foreign.issue("again", Leaf::client("again").key(third_key));
    unmapped(desk, &again);
    let like = || desk.json(&["inbox", "show", &sha256(&again)])["looks_like"].clone();
    assert_eq!(like().as_array().unwrap().len(), 2);
    desk.run(&["certificate", "block", &path(&alice)]);
    assert_eq!(like(), json!([]), "though the other one still lets her in");
}

fn a_lost_key_is_lost_in_every_certificate(desk: &Desk) {
    desk.run(&["user", "add", "alice"]);
    let key = KeyPair::generate().unwrap();
    let issue = |file: &str| {
        let copy = KeyPair::try_from(key.serialize_der()).unwrap();
        desk.ca.issue(file, Leaf::client("alice").key(copy))
    };
    let refused = |issued: &Issued, part: &str| {
        let id = sha256(issued);
        let error = desk.refused(2, &["inbox", "approve", &id, "--user", "alice"]);
        assert!(error.contains(part), "{error}");
        let wave = ["inbox", "approve", "--all", "--user-from", "common_name"];
        let done = desk.json(&[&wave[..], &["--issuer", desk.ca.pem.to_str().unwrap()]].concat());
        assert_eq!(done["approved"], json!([]), "{done}");
        assert!(done["skipped"][0]["why"].as_str().unwrap().contains(part), "{done}");
    };
    // The stolen laptop never came with a request, and renews itself.
    let [stolen, renewed] = ["stolen", "renewed"].map(issue);
    desk.run(&["certificate", "block", &path(&stolen)]);
    unmapped(desk, &renewed);
    let id = sha256(&stolen);
    refused(&renewed, &format!("its key is that of the certificate {id}, which block 1 keeps out"));
    // Blocks that are taken back count no more; a mapping that is revoked does.
    desk.run(&["block", "disable", "1"]);
    desk.run(&["mapping", "add", "alice", "--cert", &path(&stolen)]);
    desk.run(&["mapping", "revoke", "1"]);
    // However many others of the key came since.
    for round in 0..55 {
        desk.see(&issue(&format!("round-{round}")), "chain_untrusted", None);
    }
    refused(&renewed, "which the revoked mapping 1 keeps out");
    desk.sql("delete from mapping");
    desk.run(&["inbox", "approve", &sha256(&renewed), "--user", "alice"]);
}

fn a_wave_by_names_is_about_one_issuer_and_no_administrator(desk: &Desk) {
    for user in ["alice", "bob"] {
        desk.run(&["user", "add", user]);
    }
    desk.run(&["group", "add", "certgate-admin", "bob"]);
    let foreign = Issuer::root(&desk.folder().join("foreign"), "Foreign CA");
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| desk.ca.client(name));
    let mallory = foreign.client("alice");
    for issued in [&alice, &bob, &carol, &mallory] {
        unmapped(desk, issued);
    }
    let wave = ["inbox", "approve", "--all", "--user-from", "common_name"];
    let error = desk.refused(2, &wave);
    assert!(error.contains("say of which, with --issuer; there is: CN=Example CA"), "{error}");
    assert!(error.contains("; CN=Foreign CA"), "{error}");
    let ca = desk.ca.pem.to_str().unwrap();
    // One by one on the same conditions.
    let one = |issued: &Issued, more: &[&str]| {
        let id = sha256(issued);
        desk.refused(2, &[&["inbox", "approve", &id, "--user-from", "common_name"], more].concat())
    };
    assert!(one(&alice, &[]).contains("say of which, with --issuer"));
    assert!(one(&mallory, &["--issuer", ca]).contains("it is not of that issuer"));
    assert!(one(&bob, &["--issuer", ca]).starts_with("bob is an administrator"));
    let done = desk.json(&[&wave[..], &["--issuer", ca]].concat());
    assert_eq!(ids(&done["approved"]), [sha256(&alice)]);
    let why: Vec<String> =
        done["skipped"].as_array().unwrap().iter().map(|one| one["why"].to_string()).collect();
    assert_eq!(why.len(), 2, "{why:?}");
    assert!(why.iter().any(|why| why.contains("bob is an administrator")), "{why:?}");
    assert!(why.iter().any(|why| why.contains("no such user: \\\"carol\\\"")), "{why:?}");
    assert_eq!(desk.say(&["explain", "--cert", &path(&mallory)]).code, 1);
    let done = desk.json(&[&wave[..], &["--issuer", ca, "--create"]].concat());
    assert_eq!(ids(&done["approved"]), [sha256(&carol)]);
    assert_eq!(done["approved"][0]["new_user"], true);
}

fn a_wave_by_names_needs_issuer_and_domain_whatever_waits(desk: &Desk) {
    desk.run(&["user", "add", "alice"]);
    let mail = vec![SanType::Rfc822Name("alice@partner.example".try_into().unwrap())];
    let foreign = desk.ca.issue("partner", Leaf::client("x").names(mail));
    let ca = desk.ca.pem.to_str().unwrap();
    let id = sha256(&foreign);
    let check = |part: &str, more: &[&str]| {
        for what in ["--all", &id] {
            let command = ["inbox", "approve", what, "--user-from", "san_email.local"];
            let error = desk.refused(2, &[&command[..], more].concat());
            assert!(error.contains(part), "{error}");
        }
    };
    // The only one that waits this night, of the one issuer and the one domain there is.
    unmapped(desk, &foreign);
    check("--issuer; there is: CN=Example CA", &[]);
    check("--domain; there is: partner.example", &["--issuer", ca]);
    let command = ["inbox", "approve", &id, "--user-from", "san_email.local", "--issuer", ca];
    let error = desk.refused(2, &[&command[..], &["--domain", "example.com"]].concat());
    assert!(error.contains("names nobody before that domain"), "{error}");
    assert_eq!(desk.json(&["mapping", "list"]), json!([]));
    desk.run(&[&command[..], &["--domain", "partner.example", "--note", "asked"]].concat());
    let mapping = &desk.json(&["mapping", "list"])[0];
    assert_eq!((&mapping["username"], &mapping["note"]), (&json!("alice"), &json!("asked")));
}

fn what_a_wave_cannot_give_stays_and_says_why(desk: &Desk) {
    desk.run(&["user", "add", "alice"]);
    let mail = |names: &[&str]| {
        let names = names.iter().map(|name| SanType::Rfc822Name((*name).try_into().unwrap()));
        Leaf::client("x").names(names.collect())
    };
    let one = desk.ca.issue("one", mail(&["alice@example.com"]));
    let two = desk.ca.issue("two", mail(&["alice@example.com", "bob@example.com"]));
    let far = desk.ca.issue("far", mail(&["alice@elsewhere.example"]));
    for issued in [&one, &two, &far] {
        unmapped(desk, issued);
    }
    let ca = desk.ca.pem.to_str().unwrap();
    let wave = ["inbox", "approve", "--all", "--user-from", "san_email.local", "--issuer", ca];
    let error = desk.refused(2, &wave);
    assert!(error.contains("elsewhere.example; example.com"), "{error}");
    let done = desk.json(&[&wave[..], &["--domain", "example.com"]].concat());
    assert_eq!(ids(&done["approved"]), [sha256(&one)]);
    assert_eq!(done["skipped"], json!([]), "one of two domains names nobody: {done}");
    let text = desk.run(&["inbox", "approve", "--all", "--user-from", "renewal"]);
    assert!(text.starts_with("approved 0, skipped 2\n"), "{text}");
}

fn an_ignored_one_is_not_listed_and_a_blocked_one_is_refused(desk: &Desk) {
    let [bob, mallory] = ["bob", "mallory"].map(|name| desk.ca.client(name));
    for issued in [&bob, &mallory] {
        unmapped(desk, issued);
    }
    let id = sha256(&bob);
    desk.run(&["inbox", "ignore", &id]);
    assert_eq!(ids(&desk.json(&["inbox", "list"])), [sha256(&mallory)]);
    unmapped(desk, &bob);
    assert_eq!(ids(&desk.json(&["inbox", "list"])), [sha256(&mallory)]);
    desk.run(&["inbox", "ignore", &id, "--undo"]);
    assert_eq!(desk.json(&["inbox", "list"]).as_array().unwrap().len(), 2);
    let done = desk.json(&["inbox", "block", &sha256(&mallory), "--reason", "nobody knows it"]);
    assert_eq!((&done["id"], &done["users"]), (&json!(1), &json!([])));
    assert_eq!(desk.json(&["block", "show", "1"])["reason"], "nobody knows it");
    let explained = desk.say(&["explain", "--cert", &path(&mallory), "--json"]);
    assert!(explained.out.contains("\"blocked\""), "{explained:?}");
    assert_eq!(ids(&desk.json(&["inbox", "list"])), [id]);
    desk.refused(1, &["inbox", "ignore", &"0".repeat(64)]);
}

/// Two operators at once: whoever comes second sees what the first did, and no certificate gets
/// two owners.
#[test]
fn of_two_approvals_at_once_one_is_refused() {
    for kind in [Kind::Postgres, Kind::Sqlite] {
        let desk = Desk::on(kind);
        for user in ["alice", "bob"] {
            desk.run(&["user", "add", user]);
        }
        for round in 0..5 {
            let issued = desk.ca.client(&format!("laptop-{round}"));
            unmapped(&desk, &issued);
            let id = sha256(&issued);
            let start = |user: &str| -> Child {
                let mut command = desk.command(&["inbox", "approve", &id, "--user", user]);
                command.stdout(std::process::Stdio::piped());
                command.stderr(std::process::Stdio::piped()).spawn().unwrap()
            };
            let children = [start("alice"), start("bob")];
            let done = children.map(|child| child.wait_with_output().unwrap());
            let mut codes = done.each_ref().map(|output| output.status.code().unwrap());
            codes.sort_unstable();
            assert_eq!(codes, [0, 2], "{done:?}");
            let loser = done.iter().find(|output| !output.status.success()).unwrap();
            let error = String::from_utf8_lossy(&loser.stderr);
            assert!(error.contains("gives it to"), "{error}");
            assert_eq!(desk.json(&["explain", "--cert", &path(&issued)])["reason"], "mapped");
        }
    }
}

/// The same without luck: the second one waits until the first one's transaction has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_waits_for_another_that_is_under_way() {
    let database = Database::migrated(Kind::Postgres).await;
    let folder = tempfile::tempdir().unwrap();
    let text = Issuer::root(folder.path(), "Example CA").client("laptop").text;
    let certificate = Certificate::from_pem(text.as_bytes()).unwrap();
    database.sql("insert into app_user (username) values ('alice'), ('bob')");
    let ground = Ground {
        now: UnixTime::from_seconds(OffsetDateTime::now_utc().unix_timestamp()),
        kinds: Kinds::with_weak(&[]),
        settings: Settings::default(),
        sees: Sees::Certificate,
        issuers: Vec::new(),
        usage: RequiredUsage::default(),
    };
    let approval = |name: &str| Approval { username: name.to_owned(), ..Approval::default() };
    let by = By::cli(None);
    let store = database.store().await;
    let mut first = store.begin(&by).await.unwrap();
    let mut approver = Approver::start(&mut first, &ground).await.unwrap();
    approver.approve(&certificate, &approval("alice")).await.unwrap();
    let second = tokio::spawn({
        let (store, by, ground) = (store.clone(), by.clone(), ground.clone());
        let (certificate, approval) = (certificate.clone(), approval("bob"));
        async move {
            let mut work = store.begin(&by).await.unwrap();
            let mut approver = Approver::start(&mut work, &ground).await.unwrap();
            approver.approve(&certificate, &approval).await
        }
    });
    let database = tokio::task::spawn_blocking(move || {
        wait_until("the second one waits", || {
            database.sql(
                "select count(*) from pg_locks where locktype = 'advisory' and not granted \
                          and database = (select oid from pg_database where datname = \
                          current_database())",
            ) == "1"
        });
        database
    })
    .await
    .unwrap();
    first.commit().await.unwrap();
    let refused = second.await.unwrap();
    assert!(matches!(refused, Err(ApproveError::Taken { .. })), "{refused:?}");
    assert_eq!(database.sql("select username from mapping"), "alice");
}

/// The table can hold hundreds of thousands, and an inbox of thousands is compared with it.
#[test]
fn a_renewal_is_looked_for_by_index() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let desk = Desk::on(kind);
        let explain = match kind {
            Kind::Sqlite => "explain query plan",
            Kind::Postgres => "set enable_seqscan = off; explain",
        };
        for (condition, index) in [
            ("spki_sha256 = 'x'", "certificate_spki_sha256"),
            ("subject = 'x' and issuer = 'y'", "certificate_subject"),
            ("serial = 'x'", "certificate_serial"),
        ] {
            let plan =
                desk.sql(&format!("{explain} select sha256 from certificate where {condition}"));
            assert!(plan.contains(index), "{plan}");
        }
    }
}

#[test]
fn traffic_that_is_only_observed_fills_the_inbox() {
    let world = World::new(&Site::Observe);
    for certificate in [None, Some(&world.alice), Some(&world.bob)] {
        assert_eq!(get(&world.nginx, certificate, "/", &[]).status, 200, "nothing is enforced");
    }
    let list = || -> Value {
        serde_json::from_str(&world.certgate.run(&["inbox", "list", "--json"])).unwrap()
    };
    wait_until("bob is in the inbox", || ids(&list()) == [sha256(&world.bob)]);
    let id = sha256(&world.bob);
    world.certgate.run(&["inbox", "approve", &id, "--user", "bob", "--create"]);
    world.certgate.wait_for_reason(&world.bob, "mapped");
    assert_eq!(list(), json!([]));
}

#[test]
fn where_the_proxy_sends_headers_only_a_fingerprint_is_refused() {
    let desk = Desk::new().with("IDENTITY__SOURCE", "headers");
    desk.run(&["user", "add", "alice"]);
    let alice = desk.ca.client("alice");
    unmapped(&desk, &alice);
    let approve = ["inbox", "approve", &sha256(&alice), "--user", "alice"];
    let error = desk.refused(2, &approve);
    assert!(error.contains("could not match as certgate is configured"), "{error}");
    desk.run(&[&approve[..], &["--by", "issuer-serial"]].concat());
    assert_eq!(desk.json(&["explain", "--cert", &path(&alice)])["reason"], "mapped");
}
