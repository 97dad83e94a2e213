//! Every rule of the schema, by its name: a row that it refuses and a neighbour that it lets in,
//! typed into the stock shell of either database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use super::support::shells::{Database, Which, on_both};

on_both! {
    every_named_rule_refuses_its_row_and_lets_the_neighbour_in,
    what_must_not_be_null_is_refused_as_null,
    what_is_not_a_boolean_is_refused,
    the_same_rules_stand_on_both_databases,
}

/// A rule of the schema.
struct Rule {
    name: String,
    refused: Vec<String>,
    accepted: Vec<String>,
}

async fn every_named_rule_refuses_its_row_and_lets_the_neighbour_in(database: &Database) {
    database.sql(
        "insert into app_user (username) values ('alice');
         insert into app_user (username) values ('bob');",
    );
    let rules = rules(database);
    let known: BTreeSet<_> = rules.iter().map(|rule| rule.name.clone()).collect();
    assert_eq!(known, names_in_the_schema(database), "a rule without a row, or a row without one");
    for rule in &rules {
        let refused = database.errors(&rule.refused);
        for (statement, error) in rule.refused.iter().zip(refused) {
            let error = error.unwrap_or_else(|| panic!("{}: accepted {statement}", rule.name));
            let shown = match database.which {
                // SQLite does not name keys.
                Which::Sqlite if rule.name.ends_with("_pkey") => "UNIQUE constraint failed",
                _ => &rule.name,
            };
            assert!(error.contains(shown), "{}: {statement}: {error}", rule.name);
        }
        let accepted = database.errors(&rule.accepted);
        for (statement, error) in rule.accepted.iter().zip(accepted) {
            assert_eq!(error, None, "{}: {statement}", rule.name);
        }
    }
}

async fn what_must_not_be_null_is_refused_as_null(database: &Database) {
    database.sql("insert into app_user (username) values ('alice')");
    let statements = [
        "insert into app_user (username) values (null)",
        "insert into app_user (username, origin) values ('x', null)",
        "insert into app_user (username, enabled) values ('x', null)",
        "insert into app_user (username, mapped_only) values ('x', null)",
        "insert into app_user (username, created_at) values ('x', null)",
        "insert into user_group (username, group_name) values (null, 'ops')",
        "insert into user_group (username, group_name) values ('alice', null)",
        "insert into mapping (username, serial) values (null, '01')",
        "insert into mapping (username, serial, enabled) values ('alice', '01', null)",
        "insert into mapping (username, serial, created_at) values ('alice', '01', null)",
        "insert into block (serial, enabled) values ('01', null)",
        "insert into block (serial, created_at) values ('01', null)",
        "update mapping set username = null",
        "update app_user set username = null",
    ]
    .map(str::to_owned);
    database.sql("insert into mapping (username, serial) values ('alice', '0a')");
    for (statement, error) in statements.iter().zip(database.errors(&statements)) {
        assert!(error.is_some(), "{statement}");
    }
}

async fn what_is_not_a_boolean_is_refused(database: &Database) {
    for value in ["2", "-1", "'maybe'", "1.5", "x'01'"] {
        database.error(&format!("insert into app_user (username, enabled) values ('x', {value})"));
        database.error(&format!("insert into block (serial, enabled) values ('1', {value})"));
    }
    for (name, value) in [("a", "true"), ("b", "false")] {
        database
            .sql(&format!("insert into app_user (username, enabled) values ('{name}', {value})"));
    }
}

/// Names that only one database has, with the reason.
const ONLY_ON_POSTGRES: [&str; 1] = [
    // SQLite's feed is numbered: a follower finds out what is not there.
    "change_kept",
];
const ONLY_ON_SQLITE: [&str; 10] = [
    // PostgreSQL keeps who acts in the settings of the transaction.
    "acting_one_row",
    "acting_pkey",
    // PostgreSQL has a type for these.
    "app_user_enabled_boolean",
    "app_user_mapped_only_boolean",
    "block_enabled_boolean",
    "mapping_enabled_boolean",
    "rule_enabled_boolean",
    // `update or replace` exists nowhere else.
    "block_id_fixed",
    "mapping_id_fixed",
    // SQLite's feed is numbered, PostgreSQL's has no key.
    "change_pkey",
];

/// How many rules both databases have, under the same names.
const SHARED_RULES: usize = 110;

async fn the_same_rules_stand_on_both_databases(database: &Database) {
    let mut names = names_in_the_schema(database);
    let (own, others): (&[&str], &[&str]) = match database.which {
        Which::Postgres => (&ONLY_ON_POSTGRES, &ONLY_ON_SQLITE),
        Which::Sqlite => (&ONLY_ON_SQLITE, &ONLY_ON_POSTGRES),
    };
    for name in own {
        assert!(names.remove(*name), "{name}");
    }
    assert!(others.iter().all(|name| !names.contains(*name)));
    assert_eq!(names.len(), SHARED_RULES, "{}", names.len());
}

/// Every constraint, unique index and rule of a trigger that has a name.
fn names_in_the_schema(database: &Database) -> BTreeSet<String> {
    match database.which {
        Which::Postgres => database
            .sql(
                "select conname from pg_constraint where connamespace = 'public'::regnamespace
                 union select indexrelid::regclass::text from pg_index join pg_class on
                 pg_class.oid = indrelid where relnamespace = 'public'::regnamespace and indisunique
                 union select substring(prosrc from '(?:constraint = '')(\\w+)') from pg_proc
                 where pronamespace = 'public'::regnamespace and prosrc like '%constraint = %'",
            )
            .lines()
            .map(str::to_owned)
            .collect(),
        Which::Sqlite => {
            let text = database.sql("select sql || ' ' from sqlite_schema where sql is not null");
            let words: Vec<_> = text.split([' ', '\n', '(', '\'']).collect();
            words
                .windows(3)
                .filter_map(|words| match words {
                    ["constraint", name, ..] => Some((*name).to_owned()),
                    ["abort,", _, name] => Some(name.trim_end_matches(':').to_owned()),
                    _ => None,
                })
                .collect()
        }
    }
}

fn rules(database: &Database) -> Vec<Rule> {
    let mut rules = RuleBook(BTreeMap::new());
    rules.keys(database);
    rules.users();
    rules.rules();
    rules.patterns();
    rules.texts(database);
    rules.times();
    rules.seen(database);
    if database.which == Which::Sqlite {
        rules.only_on_sqlite();
    }
    let der = match database.which {
        Which::Postgres => r"'\x30'::bytea",
        Which::Sqlite => "x'30'",
    };
    let mut rules: Vec<_> = rules.0.into_values().collect();
    for rule in &mut rules {
        for statement in rule.refused.iter_mut().chain(&mut rule.accepted) {
            *statement = statement.replace(DER, der);
        }
    }
    rules
}

/// Stands for a certificate: the two databases write octets differently.
const DER: &str = "{der}";

struct RuleBook(BTreeMap<String, Rule>);

impl RuleBook {
    fn refuse(&mut self, name: &str, statement: impl Into<String>) {
        self.rule(name).refused.push(statement.into());
    }

    fn accept(&mut self, name: &str, statement: impl Into<String>) {
        self.rule(name).accepted.push(statement.into());
    }

    fn rule(&mut self, name: &str) -> &mut Rule {
        self.0.entry(name.to_owned()).or_insert_with(|| Rule {
            name: name.to_owned(),
            refused: vec![],
            accepted: vec![],
        })
    }

    fn keys(&mut self, database: &Database) {
        self.refuse(
            "certgate_schema_pkey",
            "insert into certgate_schema (one, version, compatible_from) values (true, 1, 1)",
        );
        self.accept("certgate_schema_pkey", "update certgate_schema set one = true");
        self.refuse("certgate_schema_one_row", "update certgate_schema set one = false");
        self.accept("certgate_schema_one_row", "update certgate_schema set one = true");
        self.refuse("certgate_schema_order", "update certgate_schema set compatible_from = 0");
        self.refuse("certgate_schema_order", "update certgate_schema set compatible_from = 99");
        self.accept("certgate_schema_order", "update certgate_schema set compatible_from = 1");
        self.refuse("feed_pkey", "insert into feed (one) values (true)");
        self.accept("feed_pkey", "update feed set one = true");
        self.refuse("feed_one_row", "update feed set one = false");
        self.accept("feed_one_row", "update feed set one = true");
        if database.which == Which::Sqlite {
            let row = "insert into change (id, relation, key) values";
            self.refuse("change_pkey", format!("{row} (1, 'app_user', 'x')"));
            self.accept("change_pkey", format!("{row} (5000, 'app_user', 'x')"));
            let row = "insert into acting (one, source) values";
            self.refuse("acting_pkey", format!("{row} (1, 'cli'), (1, 'cli')"));
            self.accept("acting_pkey", format!("{row} (1, 'cli')"));
            self.refuse("acting_one_row", format!("{row} (2, 'cli')"));
            self.accept("acting_one_row", "update acting set one = 1");
        }
        let columns = "insert into audit (id, source, action, relation, key)";
        let row = match database.which {
            Which::Postgres => format!("{columns} overriding system value"),
            Which::Sqlite => columns.to_owned(),
        };
        if database.which == Which::Postgres {
            let twice = "(9000, '', '', '', ''), (9000, '', '', '', '')";
            self.refuse("audit_pkey", format!("{row} values {twice}"));
            self.refuse("change_kept", "delete from change");
            self.accept("change_kept", "set certgate.tending = 'on'; delete from change");
        }
        self.accept("audit_pkey", format!("{row} values (9001, '', '', '', '')"));
        self.refuse("audit_append_only", "update audit set key = key");
        self.refuse("audit_append_only", "delete from audit");
        self.accept("audit_append_only", format!("{row} values (9002, '', '', '', '')"));
        for (table, id) in [("mapping", "username, id, serial"), ("block", "reason, id, serial")] {
            let name = format!("{table}_pkey");
            let row =
                |id_value| format!("insert into {table} ({id}) values ('alice', {id_value}, '01')");
            // The shell runs the refused statements first.
            self.refuse(&name, format!("{} on conflict do nothing; {}", row(1000), row(1000)));
            self.accept(&name, row(1001));
        }
        let row = "insert into user_group (username, group_name) values";
        self.refuse("user_group_pkey", format!("{row} ('bob', 'a'), ('bob', 'a')"));
        self.accept("user_group_pkey", format!("{row} ('bob', 'b'), ('bob', 'B')"));
    }

    fn users(&mut self) {
        let user = "insert into app_user (username) values";
        self.refuse("app_user_pkey", format!("{user} ('alice')"));
        self.accept("app_user_pkey", format!("{user} ('alice2')"));
        let name = "app_user_username_without_case";
        self.refuse(name, format!("{user} ('ALICE')"));
        self.refuse(name, "update app_user set username = 'Bob' where username = 'alice'");
        self.accept(name, "update app_user set username = 'Bob' where username = 'bob'");
        self.accept(name, "update app_user set username = 'bob' where username = 'Bob'");
        let name = "app_user_username_name";
        for bad in ["", "a,b", "a b", " a", "a ", "é", &"x".repeat(257)] {
            self.refuse(name, format!("{user} ('{bad}')"));
        }
        for good in ["carol@example.com", "~", "!", "''", &"x".repeat(256)] {
            self.accept(name, format!("{user} ('{good}')"));
        }
        let origin = "insert into app_user (username, origin) values";
        self.refuse("app_user_origin_known", format!("{origin} ('o1', 'nobody')"));
        self.refuse("app_user_origin_known", format!("{origin} ('o2', 'Rule')"));
        self.accept("app_user_origin_known", format!("{origin} ('o3', 'rule')"));

        let group = "insert into user_group (username, group_name) values";
        let name = "user_group_group_name_name";
        for bad in ["", "a,b", "a b", " a", "a ", "é", &"x".repeat(257)] {
            self.refuse(name, format!("{group} ('alice', '{bad}')"));
        }
        for good in ["ops", "OPS", "\"", &"x".repeat(256)] {
            self.accept(name, format!("{group} ('alice', '{good}')"));
        }
        for (name, row) in [
            ("user_group_username_known", group),
            ("mapping_username_known", "insert into mapping (username, serial) values"),
        ] {
            self.refuse(name, format!("{row} ('mallory', '0b')"));
            self.refuse(name, format!("{row} ('Alice', '0b')"));
            self.accept(name, format!("{row} ('alice', '0b')"));
        }
        let update = "update mapping set username =";
        self.refuse("mapping_username_known", format!("{update} 'mallory'"));
        self.refuse("mapping_username_known", format!("{update} 'Alice'"));
        self.refuse("user_group_username_known", "update user_group set username = 'mallory'");
        // 5 + 32 * (1 + 255) - 1 bytes is 8196; one less than 32 groups fit.
        let name = "user_group_header_size";
        let groups = |count: usize| {
            let all = (0..count).map(|number| format!("('bob', '{number:0255}')"));
            format!("{group} {}", all.collect::<Vec<_>>().join(", "))
        };
        self.refuse(name, groups(32));
        self.accept(name, "delete from user_group where username = 'bob'");
        self.accept(name, groups(31));
        self.accept(name, "delete from user_group where username = 'bob'");
    }

    fn rules(&mut self) {
        let name = "rule_pkey";
        let taken = "insert into rule (priority, issuer, conditions, username) values \
             (1, 'CN=x', '{}', 'x'), (1, 'CN=x', '{}', 'x')";
        self.refuse(name, taken);
        self.accept(name, taken.replace("(1, 'CN=x', '{}', 'x'), (1,", "(1,"));
        for (rule, column, bad, good) in [
            ("priority_range", "priority", "-1", "0"),
            ("conditions_object", "conditions", "'[]'", "'{}'"),
            ("users_kind", "users", "'Any'", "'any'"),
        ] {
            let name = format!("rule_{rule}");
            self.refuse(&name, row_of("rule", column, bad));
            self.accept(&name, row_of("rule", column, good));
        }
        let json = |length: usize| format!("{{\"\":\"{}\"}}", "x".repeat(length - 7));
        self.refuse("rule_conditions_size", row("rule", "conditions", &json(16 * 1024 + 1)));
        self.accept("rule_conditions_size", row("rule", "conditions", &json(16 * 1024)));
    }

    fn seen(&mut self, database: &Database) {
        let name = "certificate_pkey";
        let digits = format!("'{}'", "9".repeat(64));
        let taken = row_of("certificate", "sha256", &digits);
        self.refuse(name, format!("{taken} on conflict do nothing; {taken}"));
        self.accept(name, format!("delete from certificate; {taken}"));
        let taken = insert("denial", &[("id", "7")]);
        let taken = match database.which {
            Which::Postgres => taken.replace(" values ", " overriding system value values "),
            Which::Sqlite => taken,
        };
        self.refuse("denial_pkey", format!("{taken} on conflict do nothing; {taken}"));
        self.accept("denial_pkey", taken.replace("(7,", "(9000000,"));
        let column = |table, column| format!("{table}_{column}_digits");
        for (table, of) in
            [("certificate", "sha256"), ("certificate", "spki_sha256"), ("denial", "certificate")]
        {
            for bad in ["", &"a".repeat(63), &"a".repeat(65), &"A".repeat(64), &"g".repeat(64)] {
                self.refuse(&column(table, of), row(table, of, bad));
            }
            self.accept(&column(table, of), row(table, of, &"0f".repeat(32)));
        }
        for (table, of) in [("certificate", "last_code"), ("denial", "code")] {
            let name = format!("{table}_{of}_code");
            for bad in ["", "a b", "Mapped", "a1", "é", &"a".repeat(65)] {
                self.refuse(&name, row(table, of, bad));
            }
            self.accept(&name, row(table, of, "not_ready"));
            self.accept(&name, row(table, of, &"a".repeat(64)));
        }
        for (rule, of, bad, good) in [
            ("names_object", "names", "'[]'", "'{}'"),
            ("origin_known", "origin", "'given '", "'given'"),
            ("state_known", "state", "'old'", "'ignored'"),
            ("hits_count", "hits", "-1", "0"),
            ("last_username_name", "last_username", "'a b'", "'alice'"),
            ("last_username_name", "last_username", "'a,b'", "'~'"),
        ] {
            let name = format!("certificate_{rule}");
            self.refuse(&name, row_of("certificate", of, bad));
            self.accept(&name, row_of("certificate", of, good));
        }
        let json = |length: usize| format!("{{\"\":\"{}\"}}", "x".repeat(length - 7));
        let name = "certificate_names_size";
        self.refuse(name, row("certificate", "names", &json(16 * 1024 + 1)));
        self.accept(name, row("certificate", "names", &json(16 * 1024)));
        let octets = |count: usize| match database.which {
            Which::Postgres => format!("decode(repeat('30', {count}), 'hex')"),
            Which::Sqlite => format!("zeroblob({count})"),
        };
        for (count, is_refused) in
            [(0, true), (1, false), (32 * 1024, false), (32 * 1024 + 1, true)]
        {
            let statement = row_of("certificate", "der", &octets(count));
            match is_refused {
                true => self.refuse("certificate_der_octets", statement),
                false => self.accept("certificate_der_octets", statement),
            }
        }
    }

    fn patterns(&mut self) {
        let hex = "0123456789abcdefABCDEF0123456789".repeat(2);
        let colons = ["aB"; 32].join(":");
        for table in ["mapping", "block"] {
            for column in ["sha256", "spki_sha256"] {
                let name = format!("{table}_{column}_hex");
                let odd = format!("a:{}", &colons[1..]);
                for bad in [
                    &hex[1..],
                    "",
                    &format!("{hex}0"),
                    &format!(" {}", &hex[1..]),
                    &odd,
                    &hex.replace('0', "g"),
                    &format!("{colons}:"),
                    &colons.replace(':', "-"),
                ] {
                    self.refuse(&name, row(table, column, bad));
                }
                for good in [&hex, &colons] {
                    self.accept(&name, row(table, column, good));
                }
            }
            let name = format!("{table}_serial_spelling");
            self.refuse(&name, row(table, "serial", "CA 92"));
            self.accept(&name, row(table, "serial", "CA92"));
            let name = format!("{table}_serial_octets");
            for bad in ["0", "00:00", "0x0", &"f".repeat(41)] {
                self.refuse(&name, row(table, "serial", bad));
            }
            for good in ["1", &"f".repeat(40), &format!("00{}", "f".repeat(40))] {
                self.accept(&name, row(table, "serial", good));
            }
        }
        let name = "mapping_pattern_specific";
        self.refuse(name, "insert into mapping (username) values ('alice')");
        let only = "insert into mapping (username, issuer, issuer_key_id) values";
        self.refuse(name, format!("{only} ('alice', 'CN=Example CA', null)"));
        self.refuse(name, format!("{only} ('alice', null, '0bad')"));
        self.refuse(name, format!("{only} ('alice', 'CN=Example CA', '0bad')"));
        self.refuse(name, "update mapping set serial = null, sha256 = null, spki_sha256 = null");
        self.accept(name, "insert into mapping (username, subject) values ('alice', 'CN=alice')");
        let name = "block_pattern_present";
        self.refuse(name, "insert into block (reason) values ('nothing')");
        self.accept(name, "insert into block (issuer) values ('CN=Example CA')");
        self.accept(name, "insert into block (issuer_key_id) values ('0badcafe')");
    }

    fn texts(&mut self, database: &Database) {
        const MAPPING: [&str; 11] = [
            "issuer",
            "issuer_key_id",
            "subject",
            "san_email",
            "san_upn",
            "san_uri",
            "san_dns",
            "common_name",
            "revoked_reason",
            "note",
            "created_by",
        ];
        const BLOCK: [&str; 11] = [
            "issuer",
            "issuer_key_id",
            "subject",
            "san_email",
            "san_upn",
            "san_uri",
            "san_dns",
            "common_name",
            "reason",
            "note",
            "created_by",
        ];
        const RULE: [&str; 9] = [
            "name",
            "issuer",
            "issuer_key_id",
            "username",
            "display_name",
            "email",
            "group_names",
            "note",
            "created_by",
        ];
        let columns = [
            ("app_user", &["display_name", "email", "note", "created_by"][..]),
            ("mapping", &MAPPING),
            ("block", &BLOCK),
            ("rule", &RULE),
            ("certificate", &["subject", "issuer", "serial"]),
            ("denial", &["host", "request_id", "peer"]),
        ];
        let quote = |text: &str| database.text_of(text.as_bytes());
        for (table, columns) in columns {
            for column in columns {
                let name = format!("{table}_{column}_text");
                for bad in ["", "a\nb", "\r", "a\t", "\u{1}", "\u{7f}", "\u{85}", "\u{9f}"] {
                    self.refuse(&name, row_of(table, column, &quote(bad)));
                }
                self.refuse(&name, row(table, column, &"x".repeat(4097)));
                self.refuse(&name, row_of(table, column, &quote(&"é".repeat(2049))));
                for good in ["é 日本 \u{a0}\u{ad}", "a, b", &"é".repeat(2048)] {
                    self.accept(&name, row_of(table, column, &quote(good)));
                }
            }
        }
    }

    fn times(&mut self) {
        for (table, columns) in [
            ("app_user", &["valid_from", "valid_until", "created_at"][..]),
            ("mapping", &["valid_from", "valid_until", "created_at", "revoked_at"]),
            ("block", &["valid_from", "valid_until", "created_at"]),
            ("rule", &["valid_from", "valid_until", "created_at"]),
            ("certificate", &["not_before", "not_after", "first_seen", "last_seen"]),
            ("denial", &["at"]),
        ] {
            for column in columns {
                let name = format!("{table}_{column}_time");
                for bad in ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00"] {
                    self.refuse(&name, row(table, column, bad));
                }
                for good in ["1970-01-01T00:00:00Z", "9999-12-31 23:59:59.999Z"] {
                    self.accept(&name, row(table, column, good));
                }
            }
            if matches!(table, "certificate" | "denial") {
                continue;
            }
            let name = format!("{table}_window_order");
            for until in
                ["2026-01-01T00:00:00Z", "2026-01-01T00:59:59+01:00", "2025-01-01 00:00:00Z"]
            {
                self.refuse(&name, window(table, "2026-01-01T00:00:00Z", until));
            }
            for until in ["2026-01-01T00:00:00.001Z", "2026-01-01T00:00:01-01:00"] {
                self.accept(&name, window(table, "2026-01-01T00:00:00Z", until));
            }
        }
    }

    fn only_on_sqlite(&mut self) {
        for (table, column) in [
            ("app_user", "enabled"),
            ("app_user", "mapped_only"),
            ("mapping", "enabled"),
            ("block", "enabled"),
            ("rule", "enabled"),
        ] {
            let name = format!("{table}_{column}_boolean");
            self.refuse(&name, row_of(table, column, "2"));
            self.refuse(&name, row_of(table, column, "-1"));
            self.accept(&name, row_of(table, column, "0"));
        }
        for table in ["mapping", "block"] {
            let name = format!("{table}_id_fixed");
            self.refuse(&name, format!("update {table} set id = id + 10000"));
            self.refuse(
                &name,
                format!("update or replace {table} set rowid = 1001 where id <> 1001"),
            );
            self.accept(&name, format!("update {table} set id = id"));
        }
    }
}

fn row(table: &str, column: &str, value: &str) -> String {
    row_of(table, column, &format!("'{value}'"))
}

/// A row with this column, and what else a row of its table must have.
fn row_of(table: &str, column: &str, value: &str) -> String {
    insert(table, &[(column, value)])
}

fn window(table: &str, from: &str, until: &str) -> String {
    let [from, until] = [from, until].map(|time| format!("'{time}'"));
    insert(table, &[("valid_from", &from), ("valid_until", &until)])
}

fn insert(table: &str, given: &[(&str, &str)]) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(100);
    let username = format!("'n{}'", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut columns = given.to_vec();
    match table {
        "app_user" => columns.push(("username", &username)),
        "mapping" => columns.push(("username", "'alice'")),
        _ => {}
    }
    if matches!(table, "certificate" | "denial") {
        let sha256 = format!("'{:0>64}'", &username[2..username.len() - 1]);
        let (early, late) = ("'2026-01-01T00:00:00Z'", "'2027-01-01T00:00:00Z'");
        let needed: &[_] = match table {
            "denial" => &[("at", early), ("code", "'unmapped'")],
            _ => &[
                ("sha256", &sha256),
                ("der", DER),
                ("spki_sha256", &sha256),
                ("not_before", early),
                ("not_after", late),
            ],
        };
        let is_given = |name: &str| given.iter().any(|(column, _)| *column == name);
        columns.extend(needed.iter().filter(|(name, _)| !is_given(name)));
        return written(table, columns);
    }
    if table == "rule" {
        let priority: &str = &username[2..username.len() - 1];
        let needed = [
            ("priority", priority),
            ("issuer", "'CN=x'"),
            ("conditions", "'{}'"),
            ("username", "'x'"),
        ];
        let is_given = |name: &str| given.iter().any(|(column, _)| *column == name);
        columns.extend(needed.into_iter().filter(|(name, _)| !is_given(name)));
    } else if table != "app_user" && !given.iter().any(|(column, _)| *column == "serial") {
        columns.push(("serial", "'0c'"));
    }
    written(table, columns)
}

fn written(table: &str, columns: Vec<(&str, &str)>) -> String {
    let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    format!("insert into {table} ({}) values ({})", names.join(", "), values.join(", "))
}
