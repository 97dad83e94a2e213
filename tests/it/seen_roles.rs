//! The roles of `deploy/roles.sql` on a real PostgreSQL: each can do its work, and nothing else.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certgate::store::Store;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::seen_serve::{People, ask, metric, seen_in_readyz, wait_for_sql, wait_until};
use crate::support::certgate::{Certgate, program};
use crate::support::database::{Database, Kind};
use crate::support::office::Call;

const PASSWORD: &str = "throw-away";

const ROLES: [&str; 4] = ["service", "editor", "auditor", "api"];

/// A migrated database with the roles, which go with it.
struct Office {
    database: Database,
}

impl Office {
    fn open() -> Self {
        let database = Database::empty(Kind::Postgres);
        let office = Self { database };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(Store::migrate(&office.database.url())).unwrap();
        office.run_script();
        for role in ROLES {
            let role = office.role(role);
            office.database.sql(&format!("alter role {role} password '{PASSWORD}'"));
        }
        office
    }

    fn role(&self, role: &str) -> String {
        format!("{}_{role}", self.database.name())
    }

    fn run_script(&self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/roles.sql");
        let mut psql = Command::new("psql");
        psql.arg("-qX").arg("-f").arg(script).arg("-d").arg(self.database.secret_url());
        for role in ROLES {
            psql.arg("-v").arg(format!("{role}={}", self.role(role)));
        }
        let output = psql.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }

    fn url(&self, role: &str) -> String {
        self.database.secret_url_as(&self.role(role), PASSWORD)
    }

    fn psql(&self, role: &str, sql: &str) -> Output {
        let mut psql = Command::new("psql");
        psql.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", &self.url(role)]);
        let pipes = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        // A statement that is refused while it is sent has its answer all the same.
        let _ = child.stdin.take().unwrap().write_all(sql.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn can(&self, role: &str, sql: &str) -> String {
        let output = self.psql(role, sql);
        assert!(output.status.success(), "{role} cannot: {sql}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// The role may not, for want of a right and for no other reason.
    fn cannot(&self, role: &str, sql: &str) {
        let output = self.psql(role, sql);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_refused = error.contains("permission denied") || error.contains("must be owner");
        assert!(!output.status.success() && is_refused, "{role}: {sql}: {error}");
    }

    /// The role may call it, and is told that this is none of it.
    fn refused(&self, role: &str, sql: &str) -> String {
        let output = self.psql(role, sql);
        assert!(!output.status.success(), "{role}: {sql}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        for role in ROLES {
            let role = self.role(role);
            self.database.sql_whatever_fails(&format!("drop owned by {role}; drop role {role};"));
        }
    }
}

const TABLES: [&str; 11] = [
    "app_user",
    "audit",
    "block",
    "certgate_schema",
    "certificate",
    "change",
    "denial",
    "feed",
    "mapping",
    "rule",
    "user_group",
];

/// With the rights of the two and no others: the whole of the API's suite needs no more.
#[test]
fn the_api_role_serves_and_changes_what_administrators_change() {
    let (office, people) = (Office::open(), People::new());
    let socket = people.folder().join("admin.sock");
    let group = match nix::unistd::geteuid().is_root() {
        true => "admin.socket_group = \"nogroup\"\n",
        false => "",
    };
    let further = format!("admin.listen = \"unix:{}\"\n{group}", socket.display());
    let certgate = Certgate::start_at(&office.url("api"), &further);
    let (alice, bob) = (people.ca.client("alice"), people.ca.client("bob"));
    certgate.run(&["user", "add", "alice", "--group", "certgate-admin"]);
    certgate.run(&["mapping", "add", "alice", "--cert", alice.alone.to_str().unwrap()]);
    certgate.wait_for_reason(&alice, "mapped");
    let ask = |call: &Call| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&call.clone().by(&alice).bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{call:?}: {answer}");
        answer
    };
    ask(&Call::meant("POST", "/users").json(&json!({ "username": "bob" })));
    let pattern = json!({ "certificate": bob.text });
    let mapping = json!({ "username": "bob", "pattern": pattern });
    ask(&Call::meant("POST", "/mappings").json(&mapping));
    certgate.wait_for_reason(&bob, "mapped");
    let id = office.database.sql("select id from mapping where username = 'bob'");
    ask(&Call::meant("DELETE", &format!("/mappings/{id}")));
    let change = office.database.sql("select max(id) from audit");
    ask(&Call::meant("POST", &format!("/audit/{change}/undo")));
    certgate.wait_for_reason(&bob, "mapped");
    ask(&Call::get("/inbox"));
    ask(&Call::get("/denied"));
    let stranger = people.ca.client("carol");
    certgate.wait_for_reason(&stranger, "unmapped");
    wait_for_sql(&office.database, "select subject from inbox", "CN=carol,O=Example");
    office.cannot("api", "select certgate_audit_prune(now());");
    office.cannot("api", "update certgate_schema set version = version;");
    office.cannot("api", "drop table rule;");
}

#[test]
fn the_service_role_follows_tends_reports_and_provisions() {
    let (office, people) = (Office::open(), People::new());
    let database = &office.database;
    let certgate = Certgate::start_at(&office.url("service"), "");
    let alice = people.ca.client("alice");
    certgate.wait_for_reason(&alice, "unmapped");
    wait_for_sql(database, "select subject from inbox", "CN=alice,O=Example");
    ask(&certgate, None, "X-Request-ID: 5d1f\r\n");
    wait_for_sql(database, "select code from denial where request_id = '5d1f'", "no_certificate");

    let sha256 = database.sql("select sha256 from inbox");
    database.sql(&format!(
        "insert into app_user (username) values ('alice');
         insert into mapping (username, sha256) values ('alice', '{sha256}');"
    ));
    certgate.wait_for_reason(&alice, "mapped");
    database.sql("update feed set beat_at = beat_at - interval '1 hour'");
    let beats = "select beat_at > now() - interval '1 minute' from feed";
    wait_for_sql(database, beats, "t");

    let carol = people.ca.client("carol");
    database.sql(
        r#"insert into rule (priority, issuer, conditions, username, users, group_names) values
            (10, 'CN=Example CA,O=Example', '{"all": []}', '{subject.CN}', 'provision', 'b, a')"#,
    );
    certgate.wait_for_reason(&carol, "user_disabled");
    let added =
        "select origin, enabled, created_by, string_agg(group_name, '+' order by group_name)
         from app_user join user_group using (username) where username = 'carol' group by 1, 2, 3";
    assert_eq!(database.sql(added), "rule|f|rule 10|a+b");
    let by =
        "select distinct source, actor, db_user from audit where after ->> 'username' = 'carol'";
    assert_eq!(database.sql(by), format!("provision|rule 10|{}", office.role("service")));
    database.sql("update app_user set note = 'x' where username = 'carol'");
    let by = "select source, coalesce(actor, '-') from audit order by id desc limit 1";
    assert_eq!(database.sql(by), "sql|-");
    assert_eq!(seen_in_readyz(&certgate)["state"], "writing");

    // Its command line can look and change nothing.
    certgate.run(&["user", "list"]);
    let mut command = Command::new(program());
    command.arg("--config").arg(certgate.config()).args(["user", "add", "mallory"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("may not do this"), "{output:?}");
}

#[test]
fn the_service_role_writes_to_no_table_and_reads_only_the_directory() {
    let office = Office::open();
    for table in TABLES {
        office.cannot("service", &format!("insert into {table} default values"));
        office.cannot("service", &format!("delete from {table}"));
        office.cannot("service", &format!("truncate {table} cascade"));
        office.cannot("service", &format!("alter table {table} disable trigger all"));
        office.cannot("service", &format!("drop table {table} cascade"));
    }
    for update in [
        "app_user set enabled = true",
        "audit set key = 'x'",
        "block set enabled = false",
        "certgate_schema set version = 1",
        "certificate set state = 'ignored'",
        "change set key = ''",
        "denial set code = 'x'",
        "feed set beat_at = now()",
        "mapping set enabled = true",
        "rule set enabled = true",
        "user_group set group_name = 'ops'",
    ] {
        office.cannot("service", &format!("update {update}"));
    }
    for secret in ["audit", "certificate", "denial", "inbox"] {
        office.cannot("service", &format!("select * from {secret}"));
    }
    for call in [
        "certgate_check_report('[]')",
        "certgate_ago(1)",
        "certgate_note('mapping', array['1'])",
        "certgate_acting()",
        "certgate_audit_prune(now())",
    ] {
        office.cannot("service", &format!("select {call}"));
    }
    office.cannot("service", "create table mine ()");
    office
        .cannot("service", "create function now() returns timestamptz language sql as 'select 1'");
}

/// A service that was taken over can add noise to what was seen, and that is all.
#[test]
fn what_the_service_role_reports_is_checked_and_touches_nothing_of_an_operator() {
    let office = Office::open();
    let database = &office.database;
    let call =
        |function: &str, json: &str| format!("select certgate_report_{function}('{json}'::jsonb)");
    let digits = |bytes: &[u8]| {
        Sha256::digest(bytes).iter().map(|octet| format!("{octet:02x}")).collect::<String>()
    };
    let row = |sha256: &str, der: &[u8], username: &str| {
        format!(
            r#"{{"sha256": "{sha256}", "der": "{}", "spki_sha256": "{sha256}", "not_before": 0,
                "not_after": 9, "hits": 1, "code": "mapped", "username": "{username}"}}"#,
            STANDARD.encode(der)
        )
    };
    let good = row(&digits(b"a"), b"a", "alice");
    assert_eq!(office.can("service", &call("seen", &format!("[{good}]"))), "1");
    let stolen = row(&digits(b"a"), b"b", "alice");
    assert_eq!(office.can("service", &call("seen", &format!("[{stolen}]"))), "0", "not its own");
    let crowd = vec![good.as_str(); 1001].join(",");
    assert!(office.refused("service", &call("seen", &format!("[{crowd}]"))).contains("1000 rows"));
    let crowd = vec!["{}"; 1001].join(",");
    assert!(
        office.refused("service", &call("denied", &format!("[{crowd}]"))).contains("1000 rows")
    );
    let huge = "select certgate_report_seen(jsonb_build_array(repeat('x', 9000000)))";
    assert!(office.refused("service", huge).contains("8 MiB"));
    assert!(office.refused("service", &call("seen", "{}")).contains("array"));
    let evil = row(&digits(b"c"), b"c", "al ice");
    assert!(office.refused("service", &call("seen", &format!("[{evil}]"))).contains("name"));
    assert!(office.refused("service", &call("denied", r#"[{"code": "X y"}]"#)).contains("code"));
    // It cannot say that something happened long ago or will happen.
    let times = r#"[{"code": "unmapped", "age": -1e9}, {"code": "unmapped", "age": 1e9}]"#;
    assert_eq!(office.can("service", &call("denied", times)), "2");
    let apart = "select max(at) - min(at) between interval '59 minutes' and interval '61 minutes',
         max(at) <= clock_timestamp() from denial";
    assert_eq!(database.sql(apart), "t|t");

    database.sql(
        "update certificate set origin = 'given', state = 'ignored';
         insert into app_user (username, enabled) values ('alice', false);
         insert into rule (priority, issuer, conditions, username, users, enabled) values
            (1, 'CN=x', '{\"all\": []}', 'x', 'provision', true),
            (2, 'CN=x', '{\"all\": []}', 'x', 'any', true),
            (3, 'CN=x', '{\"all\": []}', 'x', 'provision', false),
            (4, 'CN=x', '{\"all\": []}', 'x', 'provision', true);
         update rule set valid_until = '2020-01-01T00:00:00Z' where priority = 4;",
    );
    database.forget_changes();
    assert_eq!(office.can("service", &call("seen", &format!("[{good}]"))), "1");
    assert_eq!(database.sql("select origin, state, hits from certificate"), "given|ignored|2");
    let provision = |rule: i32, name: &str| {
        office.can("service", &format!("select certgate_provision({rule}, '{name}', 'x', null)"))
    };
    for (rule, name) in [(1, "alice"), (1, "ALICE"), (2, "bob"), (3, "bob"), (4, "bob"), (9, "bob")]
    {
        assert_eq!(provision(rule, name), "f", "{rule} {name}");
    }
    let people = "select username, display_name, origin, enabled from app_user order by 1";
    assert_eq!(database.sql(people), "alice||operator|f");
    assert_eq!(database.sql("select count(*) from change"), "0", "nothing was touched");
    assert_eq!(provision(1, "carol"), "t");
    assert_eq!(database.sql(people), "alice||operator|f\ncarol|x|rule|f");
    let error = office.refused("service", "select certgate_provision(1, 'a b', null, null)");
    assert!(error.contains("app_user_username_name"), "{error}");
}

#[test]
fn the_editor_does_the_everyday_statements_and_no_more() {
    let office = Office::open();
    for sql in [
        "insert into app_user (username) values ('bob'), ('carol')",
        "insert into user_group (username, group_name) values ('bob', 'ops')",
        "insert into mapping (username, issuer, serial) values ('bob', 'CN=Example CA', 'CA:92')",
        "update mapping set enabled = false where username = 'bob'",
        "update app_user set username = 'alice' where username = 'bob'",
        "insert into block (subject, reason) values ('CN=mallory', 'left')",
        "insert into rule (priority, issuer, conditions, username)
             values (1, 'CN=x', '{\"all\": []}', '{subject.CN}')",
        "delete from rule",
        "delete from block",
        "delete from app_user where username = 'alice'",
        "update certificate set state = 'ignored' where sha256 in (select sha256 from inbox)",
        "select * from denial",
        "select * from audit",
    ] {
        office.can("editor", sql);
    }
    let by = "select string_agg(distinct db_user, ' ') from audit where source = 'sql'";
    assert_eq!(office.can("editor", by), office.role("editor"), "the session's user, no other");
    let lie = "set certgate.actor = 'bob'; update app_user set note = 'x'; \
               select actor, db_user = session_user from audit order by id desc limit 1";
    assert_eq!(office.can("editor", lie), "bob|t", "a claim is kept apart");
    let created_by = office.can("editor", "select created_by = current_user from app_user");
    assert_eq!(created_by, "t");
    assert_eq!(office.database.sql("select count(*) > 5 from change"), "t", "followers see it");
    let url = office.url("editor");
    let mut command = Command::new(program());
    command.env("CERTGATE_DATABASE__URL", url).args(["user", "add", "dave", "--group", "ops"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for sql in [
        "insert into audit (source, action, relation, key) values ('sql', 'insert', 'rule', '1')",
        "update audit set actor = 'bob'",
        "delete from audit",
        "truncate audit",
        "alter table audit disable trigger all",
        "select certgate_audit_prune(now())",
        "insert into change (relation, key) values ('mapping', '1')",
        "delete from denial",
        "insert into denial (at, code) values (now(), 'x')",
        "update feed set beat_at = now()",
        "update certgate_schema set version = 1",
        "truncate mapping",
        "alter table mapping add column x text",
        "drop table mapping",
        "create table mine ()",
        "select certgate_report_seen('[]')",
        "select certgate_provision(1, 'x', null, null)",
    ] {
        office.cannot("editor", sql);
    }
}

#[test]
fn the_auditor_reads_everything_and_writes_nothing() {
    let office = Office::open();
    for table in TABLES.into_iter().chain(["inbox"]) {
        office.can("auditor", &format!("select * from {table}"));
    }
    for table in TABLES {
        office.cannot("auditor", &format!("insert into {table} default values"));
        office.cannot("auditor", &format!("delete from {table}"));
    }
    office.cannot("auditor", "update mapping set enabled = true");
    office.cannot("auditor", "update audit set actor = 'bob'");
    office.cannot("auditor", "truncate audit");
    office.cannot("auditor", "select certgate_audit_prune(now())");
    office.cannot("auditor", "select certgate_report_denied('[]')");
}

#[test]
fn the_script_may_run_again() {
    let office = Office::open();
    let rights = "select relname, relacl::text from pg_class where relacl is not null
         union all select proname, proacl::text from pg_proc where proacl is not null order by 1, 2";
    let first = office.database.sql(rights);
    office.run_script();
    // The order within a list is not the same, and says nothing.
    let sorted = |text: String| {
        let mut letters: Vec<_> = text.split(['{', '}', ',']).map(str::to_owned).collect();
        letters.sort_unstable();
        letters
    };
    assert_eq!(sorted(office.database.sql(rights)), sorted(first));
}

#[test]
fn without_the_grant_what_is_seen_is_dropped_until_the_script_has_run() {
    let (office, people) = (Office::open(), People::new());
    let service = office.role("service");
    office
        .database
        .sql(&format!("revoke execute on function certgate_report_denied(jsonb) from {service}"));
    let certgate = Certgate::start_at(&office.url("service"), "");
    let bob = people.ca.client("bob");
    wait_until("the missing grant is noticed", || {
        seen_in_readyz(&certgate)["state"] == "not_granted"
    });
    let error = seen_in_readyz(&certgate)["error"].as_str().unwrap().to_owned();
    assert!(error.contains("certgate_report_denied"), "{error}");
    wait_until("what is seen is dropped and counted", || {
        ask(&certgate, Some(&bob), "");
        metric(&certgate, "certgate_seen_dropped_total{kind=\"certificate\"}") > 0
    });
    assert_eq!(office.database.sql("select count(*) from certificate"), "0");
    office.run_script();
    wait_until("the writing begins", || seen_in_readyz(&certgate)["state"] == "writing");
    wait_until("bob is in the inbox", || {
        ask(&certgate, Some(&bob), "");
        office.database.sql("select count(*) from inbox") == "1"
    });
}

#[test]
fn the_doctor_finds_that_the_service_writes_to_no_table_and_the_editor_does() {
    let office = Office::open();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("certgate.toml");
    let nginx = folder.path().join("nginx.txt");
    std::fs::write(&nginx, "events {}\n").unwrap();
    for (role, expected) in [("service", "ok"), ("editor", "warning")] {
        std::fs::write(&config, format!("database.url = \"{}\"\n", office.url(role))).unwrap();
        let mut doctor = certgate::cli::demo::programs::certgate(&program(), &config);
        let output = doctor.args(["doctor", "--json", "--nginx"]).arg(&nginx).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let result = |check: &str| checks.iter().find(|one| one["check"] == check).unwrap();
        assert_eq!(result("role")["result"], expected, "{report}");
        assert_eq!(result("listen")["result"], "ok", "{report}");
    }
}
