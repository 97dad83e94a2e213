//! What `certgate doctor` says of the database, of rows, CRLs, sockets and issuers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::process::Command;

use certgate::cli::demo::programs;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::seen_serve::{ask, wait_for_sql};
use crate::support::certgate::{Certgate, program};
use crate::support::database::{Database, Kind};
use crate::support::pki::Issuer;

/// A configuration of nginx with nothing to say against.
const NGINX: &str = "http { server { listen 443 ssl; ssl_verify_client optional;
    auth_request /_certgate;
    location = /_certgate { internal; auth_request off; proxy_pass http://certgate/auth;
        proxy_pass_request_headers off; proxy_pass_request_body off;
        proxy_set_header X-SSL-Client-Verify $ssl_client_verify;
        proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert; }
    location / { root /srv; } } }";

/// What the doctor says of this database, further configured: the exit code and the findings.
fn doctor(url: &str, further: &str) -> (i32, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("certgate.toml");
    fs::write(&config, format!("database.url = \"{url}\"\n{further}")).unwrap();
    let nginx = folder.path().join("nginx.txt");
    fs::write(&nginx, NGINX).unwrap();
    let mut command: Command = programs::certgate(&program(), &config);
    let output = command.args(["doctor", "--json", "--nginx"]).arg(&nginx).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let words = ["ok", "warning", "failure"];
    let code = output.status.code().unwrap();
    assert_eq!(report["result"], words[usize::try_from(code).unwrap()], "{report}");
    (code, report["checks"].as_array().unwrap().clone())
}

/// The result and the text of the one finding of a check.
fn of<'f>(findings: &'f [Value], check: &str) -> (&'f str, &'f str) {
    let mut found = findings.iter().filter(|one| one["check"] == check);
    let one = found.next().unwrap_or_else(|| panic!("no {check} in {findings:#?}"));
    assert!(found.next().is_none(), "{findings:#?}");
    (one["result"].as_str().unwrap(), one["what"].as_str().unwrap())
}

async fn on_both(test: impl Fn(&Database)) {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        test(&Database::migrated(kind).await);
    }
}

#[tokio::test]
async fn a_sound_installation_is_called_sound() {
    on_both(|database| {
        let (code, findings) = doctor(database.secret_url(), "");
        for check in ["nginx", "database", "clock", "triggers", "rows", "configuration"] {
            assert_eq!(of(&findings, check).0, "ok", "{findings:#?}");
        }
        match database.kind {
            Kind::Sqlite => assert_eq!(code, 0, "{findings:#?}"),
            Kind::Postgres => {
                // The owner of the tables is no role for a service.
                assert_eq!((code, of(&findings, "role").0), (1, "warning"), "{findings:#?}");
                assert_eq!(of(&findings, "listen").0, "ok");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_trigger_that_does_not_write_down_what_every_session_does_is_told() {
    let database = Database::migrated(Kind::Postgres).await;
    // As a restore with --data-only --disable-triggers leaves them.
    database
        .sql("alter table mapping disable trigger all; alter table mapping enable trigger all;");
    let (code, findings) = doctor(database.secret_url(), "");
    let (result, what) = of(&findings, "triggers");
    assert_eq!((code, result), (1, "warning"), "{what}");
    assert!(what.starts_with("mapping_audited_delete, mapping_audited_insert, "), "{what}");
    assert!(what.contains("mapping_changed_update not always on"), "{what}");
    for (off, named) in [
        ("alter table block disable trigger block_audited_delete", "block_audited_delete off or"),
        ("drop trigger audit_append_only on audit", "audit_append_only, block_audited_delete off"),
    ] {
        database.sql(off);
        let (code, findings) = doctor(database.secret_url(), "");
        let (result, what) = of(&findings, "triggers");
        assert_eq!((code, result), (2, "failure"), "{what}");
        assert!(what.starts_with(named), "{what}");
        assert!(what.contains("enable always trigger "), "{what}");
    }
}

#[tokio::test]
async fn a_sqlite_file_that_does_not_write_its_audit_is_told() {
    let database = Database::migrated(Kind::Sqlite).await;
    database.sql("drop trigger block_audited_delete; drop trigger audit_append_only_delete;");
    let (code, findings) = doctor(database.secret_url(), "");
    let (result, what) = of(&findings, "triggers");
    assert_eq!((code, result), (2, "failure"), "{what}");
    assert!(what.starts_with("audit_append_only_delete, block_audited_delete gone"), "{what}");
    assert_eq!(of(&findings, "database").0, "ok", "it can be followed all the same");
}

#[tokio::test]
async fn a_database_whose_changes_are_not_seen_is_told_and_a_copy_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let copy = format!("sqlite://{}", folder.path().join("copy.db").display());
    for (kind, off) in [
        (Kind::Postgres, "drop trigger mapping_changed_update on mapping;"),
        (Kind::Sqlite, "drop trigger mapping_changed_update;"),
    ] {
        let database = Database::migrated(kind).await;
        database.sql("insert into app_user (username) values ('alice');");
        database.sql(off);
        let (code, findings) = doctor(database.secret_url(), "");
        assert_eq!(code, 2, "{findings:#?}");
        let told = |check: &str| {
            let is_it = |one: &&Value| one["check"] == check && one["result"] == "failure";
            findings.iter().find(is_it).unwrap()["what"].as_str().unwrap().to_owned()
        };
        for what in [told("triggers"), told("database")] {
            assert!(what.contains("mapping_changed_update "), "{what}");
            assert!(what.contains("`certgate copy`"), "{what}");
        }
        let copied = Command::new(program())
            .args(["copy", "--from", database.secret_url(), "--to", &copy])
            .output()
            .unwrap();
        assert!(copied.status.success(), "{copied:?}");
        let (code, findings) = doctor(&copy, "");
        assert_eq!(code, 0, "{findings:#?}");
        fs::remove_file(folder.path().join("copy.db")).unwrap();
    }
}

#[tokio::test]
async fn rows_that_cannot_be_used_are_listed_one_by_one() {
    on_both(|database| {
        database.sql(
            "insert into app_user (username) values ('alice');
             insert into mapping (username, subject) values ('alice', 'no name at all');",
        );
        let (code, findings) = doctor(database.secret_url(), "");
        let (result, what) = of(&findings, "rows");
        assert_eq!((code, result), (1, "warning"));
        assert!(what.starts_with("mapping 1: column subject"), "{what}");
        database.sql("delete from mapping; insert into block (subject) values ('no name at all');");
        let (code, findings) = doctor(database.secret_url(), "");
        let (result, what) = of(&findings, "rows");
        assert_eq!((code, result), (2, "failure"));
        assert!(what.starts_with("block 1:") && what.contains("keeps nobody out"), "{what}");
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_not_there_or_has_no_schema_is_a_failure() {
    let (code, findings) = doctor("sqlite:///nowhere/certgate.db", "");
    assert_eq!((code, of(&findings, "database").0), (2, "failure"));
    let empty = Database::empty(Kind::Postgres);
    let (code, findings) = doctor(empty.secret_url(), "");
    assert_eq!((code, of(&findings, "database").0), (2, "failure"));
}

#[tokio::test]
async fn weak_kinds_without_issuers_and_a_configuration_that_cannot_be_read_are_told() {
    let database = Database::migrated(Kind::Sqlite).await;
    let weak = "identity.weak = [\"issuer_subject\", \"common_name\"]\n";
    let (code, findings) = doctor(database.secret_url(), weak);
    let (result, what) = of(&findings, "weak-kinds");
    assert_eq!((code, result), (1, "warning"));
    assert!(what.contains("common_name") && !what.contains("issuer_subject"), "{what}");
    let named = format!("{weak}identity.issuers = \"CN=Example CA,O=Example\"\n");
    let (_, findings) = doctor(database.secret_url(), &named);
    assert!(findings.iter().all(|one| one["check"] != "weak-kinds"), "{findings:#?}");
    let (code, findings) = doctor(database.secret_url(), "auth.lisen = \"off\"\n");
    assert_eq!((code, of(&findings, "configuration").0), (2, "failure"));
}

#[tokio::test]
async fn the_ages_of_crls_are_told() {
    let database = Database::migrated(Kind::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = Issuer::root(folder.path(), "Example CA");
    let further = format!("revocation.crl = [\"{}\"]\n", folder.path().display());
    assert_eq!(of(&doctor(database.secret_url(), &further).1, "crl").0, "failure");
    let now = OffsetDateTime::now_utc();
    for (left, expected) in [
        (Duration::DAY, "ok"),
        (Duration::HOUR, "warning"),
        (-Duration::HOUR, "warning"),
        (-Duration::days(2), "failure"),
    ] {
        let list = ca.list_until(1, &[], now + left);
        fs::write(folder.path().join("ca.crl"), list).unwrap();
        let (_, findings) = doctor(database.secret_url(), &further);
        assert_eq!(of(&findings, "crl").0, expected, "{left} {findings:#?}");
    }
    fs::write(folder.path().join("ca.crl"), "-----BEGIN X509 CRL-----\nx\n").unwrap();
    assert_eq!(of(&doctor(database.secret_url(), &further).1, "crl").0, "failure");
}

#[tokio::test]
async fn a_socket_or_a_snapshot_that_is_open_to_all_is_told() {
    let database = Database::migrated(Kind::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let (socket, secret) = (folder.path().join("auth.sock"), folder.path().join("snapshot"));
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::write(&secret, "a copy").unwrap();
    let further = format!(
        "auth.listen = \"unix:{}\"\ndirectory.snapshot_file = \"{}\"\n",
        socket.display(),
        secret.display()
    );
    for (mode, of_socket, of_secret) in [(0o666, "failure", "warning"), (0o660, "ok", "ok")] {
        for path in [&socket, &secret] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let (_, findings) = doctor(database.secret_url(), &further);
        assert_eq!(of(&findings, "socket").0, of_socket, "{findings:#?}");
        assert_eq!(of(&findings, "secret").0, of_secret, "{findings:#?}");
    }
    fs::remove_file(&socket).unwrap();
    let (_, findings) = doctor(database.secret_url(), &further);
    assert_eq!(of(&findings, "socket").0, "warning");
}

#[test]
fn two_cas_of_one_name_are_told_where_mappings_say_the_name_alone() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = Database::empty(kind);
        let certgate = Certgate::start_on(&database);
        let folder = tempfile::tempdir().unwrap();
        let [old, new] =
            ["old", "new"].map(|name| Issuer::root(&folder.path().join(name), "Example CA"));
        database.sql("insert into app_user (username) values ('alice')");
        database.sql(
            "insert into mapping (username, issuer, subject)
             values ('alice', 'CN=Example CA,O=Example', 'CN=alice,O=Example')",
        );
        ask(&certgate, Some(&old.client("alice")), "");
        wait_for_sql(&database, "select count(*) from certificate", "1");
        let (_, findings) = doctor(database.secret_url(), "");
        assert!(findings.iter().all(|one| one["check"] != "issuer-keys"), "{findings:#?}");
        ask(&certgate, Some(&new.client("alice")), "");
        wait_for_sql(&database, "select count(*) from certificate", "2");
        let (_, findings) = doctor(database.secret_url(), "");
        let (result, what) = of(&findings, "issuer-keys");
        assert_eq!(result, "warning");
        assert!(
            what.starts_with("2 keys sign as CN=Example CA,O=Example, and 1 mapping"),
            "{what}"
        );
        database.sql("update mapping set issuer_key_id = 'abcd'");
        let (_, findings) = doctor(database.secret_url(), "");
        assert!(findings.iter().all(|one| one["check"] != "issuer-keys"), "{findings:#?}");
    }
}
