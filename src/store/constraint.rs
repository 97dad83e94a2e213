//! The schema's rules by name: which rule a refusal by the database is about.
//!
//! The names are those of the migrations, the same on both databases, in the form
//! `<table>_<column>_<rule>`. It must not check values itself: the database has the only copy.

/// What a constraint's name stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rule<'a> {
    /// One column's value is not one.
    Column {
        /// The column, or several.
        column: &'a str,
        /// What it takes.
        rule: &'static str,
    },
    /// The membership exists.
    Member,
    /// A user of the name exists.
    UserExists,
    /// The user does not exist.
    UserKnown,
}

/// The rule behind a constraint's name, `None` for a name that is not certgate's.
pub(super) fn rule(name: &str) -> Option<Rule<'_>> {
    match name {
        "app_user_pkey" | "app_user_username_without_case" => return Some(Rule::UserExists),
        "user_group_pkey" => return Some(Rule::Member),
        "rule_pkey" => return Some(Rule::Column { column: "priority", rule: TAKEN }),
        "mapping_username_known" | "user_group_username_known" => return Some(Rule::UserKnown),
        "mapping_pattern_specific" => {
            return Some(Rule::Column { column: "pattern", rule: SPECIFIC });
        }
        "block_pattern_present" => return Some(Rule::Column { column: "pattern", rule: PRESENT }),
        "user_group_header_size" => {
            return Some(Rule::Column { column: "group_name", rule: HEADER_SIZE });
        }
        "certificate_origin_known" => {
            return Some(Rule::Column { column: "origin", rule: "takes given or seen" });
        }
        "certificate_state_known" => {
            return Some(Rule::Column { column: "state", rule: "takes new or ignored" });
        }
        "certificate_names_object" => {
            return Some(Rule::Column { column: "names", rule: "takes a JSON object" });
        }
        "certificate_der_octets" => {
            return Some(Rule::Column { column: "der", rule: "takes at most 32 KiB of DER" });
        }
        _ => {}
    }
    let column = TABLES.iter().find_map(|table| name.strip_prefix(table))?;
    let (column, suffix) = column.rsplit_once('_')?;
    let rule = match suffix {
        "boolean" => "takes 0 or 1",
        "code" => "takes a code of the contract, such as unmapped",
        "count" => "takes a whole number, 0 or more",
        "digits" => "takes a SHA-256 fingerprint: 64 hexadecimal digits in lower case",
        "fixed" => "does not change",
        "hex" => {
            "takes a SHA-256 fingerprint: 64 hexadecimal digits (40 would be SHA-1, which \
                  can be forged), colons between pairs allowed"
        }
        "kind" => "takes existing, any or provision",
        "known" => "takes operator or rule",
        "name" => "takes 1 to 256 bytes of visible ASCII: no blank, no comma, no control character",
        "object" => "takes JSON: {\"all\": [...]}",
        "octets" => "takes at most 20 octets, and not zero (RFC 5280, 4.1.2.2)",
        "range" => "takes a whole number from 0 to 2147483647",
        "size" => "takes at most 16 KiB",
        "order" => return Some(Rule::Column { column: "valid_until", rule: ORDER }),
        "spelling" => "takes hexadecimal: CA92, ca:92, 0xCA92 or a UUID; no sign, no decimal",
        "text" => TEXT,
        "time" => TIME,
        _ => return None,
    };
    Some(Rule::Column { column, rule })
}

/// The constraint's name in the text of an SQLite error: its own texts for checks and keys, and
/// `name: text` from our triggers.
pub(super) fn name_in_sqlite_message(message: &str) -> &str {
    if let Some(name) = message.strip_prefix("CHECK constraint failed: ") {
        return name;
    }
    match message {
        "UNIQUE constraint failed: app_user.username" => "app_user_pkey",
        "UNIQUE constraint failed: user_group.username, user_group.group_name" => "user_group_pkey",
        "UNIQUE constraint failed: rule.priority" => "rule_pkey",
        other => other.split_once(": ").map_or(other, |(name, _)| name),
    }
}

/// What the names of constraints begin with.
const TABLES: [&str; 7] =
    ["app_user_", "user_group_", "mapping_", "block_", "rule_", "certificate_", "denial_"];
/// What every text column takes.
pub(super) const TEXT: &str = "takes 1 to 4096 bytes of text without control characters";
/// What every time column takes.
pub(super) const TIME: &str =
    "takes a time between 1970 and 9999 in RFC 3339, such as 2027-01-31T12:00:00Z";
const HEADER_SIZE: &str =
    "the user and all its groups together would exceed the 8 KiB of an answer header";
const ORDER: &str = "must be after valid_from";
const PRESENT: &str = "give at least one column of the certificate";
const TAKEN: &str = "is the number of another rule already";
const SPECIFIC: &str = "give at least one column besides issuer and issuer_key_id: those \
     alone are everybody's certificate";

#[cfg(test)]
mod tests {
    use super::*;

    const MIGRATIONS: [&str; 2] = [
        concat!(
            include_str!("../../migrations/postgres/0001_directory.sql"),
            include_str!("../../migrations/postgres/0003_rule.sql"),
            include_str!("../../migrations/postgres/0004_seen.sql")
        ),
        concat!(
            include_str!("../../migrations/sqlite/0001_directory.sql"),
            include_str!("../../migrations/sqlite/0003_rule.sql"),
            include_str!("../../migrations/sqlite/0004_seen.sql")
        ),
    ];

    /// The names after the word `constraint` that begin a line.
    fn names(migration: &str) -> Vec<&str> {
        let lines = migration.lines().map(str::trim_start);
        let mut names: Vec<_> = lines
            .filter_map(|line| line.strip_prefix("constraint ")?.split_whitespace().next())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_named_rule_of_the_schema_has_a_sentence() {
        for migration in MIGRATIONS {
            let names = names(migration);
            assert!(names.len() > 50, "{}", names.len());
            for name in names {
                let no_key = !name.ends_with("_pkey");
                if no_key && !name.starts_with("certgate_schema") {
                    assert!(rule(name).is_some(), "{name}");
                }
            }
        }
    }

    #[test]
    fn both_databases_name_the_same_rules() {
        let [postgres, sqlite] = MIGRATIONS.map(|migration| {
            // PostgreSQL has booleans, and foreign keys where SQLite has triggers; SQLite names
            // an id's key in the line of the id.
            let others =
                ["_boolean", "username_known", "mapping_pkey", "block_pkey", "denial_pkey"];
            let mut names = names(migration);
            names.retain(|name| !others.iter().any(|other| name.ends_with(other)));
            names
        });
        assert_eq!(postgres, sqlite);
    }

    #[test]
    fn the_column_is_named() {
        let column = |name| match rule(name) {
            Some(Rule::Column { column, .. }) => column.to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(column("mapping_issuer_key_id_text"), "issuer_key_id");
        assert_eq!(column("app_user_window_order"), "valid_until");
        assert_eq!(column("block_serial_spelling"), "serial");
        assert_eq!(rule("somebody_elses"), None);
    }
}
