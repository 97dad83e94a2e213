//! Which tables there are, and what their columns hold.
//!
//! A test compares this with the schema of both databases: a column that is not here would be lost.

/// What a column holds, whatever either database calls it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Bytes,
    Flag,
    /// A `bigint`.
    Id,
    Json,
    Moment,
    /// An `integer` on PostgreSQL.
    Number,
    Text,
}

/// A table; its first column tells its rows apart for people.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
}

impl Table {
    /// Reads every column, in the order in which they are listed.
    pub(super) fn select(&self) -> String {
        let columns = self.columns.iter().map(|(name, kind)| match kind {
            Kind::Json => format!("cast({name} as text)"),
            Kind::Number => format!("cast({name} as bigint)"),
            _ => (*name).to_owned(),
        });
        let columns: Vec<String> = columns.collect();
        format!("select {} from {}", columns.join(", "), self.name)
    }

    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }
}

use Kind::{Bytes, Flag, Id, Json, Moment, Number, Text};

/// Every table, those that others refer to first.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "app_user",
        columns: &[
            ("username", Text),
            ("display_name", Text),
            ("email", Text),
            ("origin", Text),
            ("mapped_only", Flag),
            ("enabled", Flag),
            ("valid_from", Moment),
            ("valid_until", Moment),
            ("note", Text),
            ("created_by", Text),
            ("created_at", Moment),
        ],
    },
    Table { name: "user_group", columns: &[("username", Text), ("group_name", Text)] },
    Table {
        name: "mapping",
        columns: &[
            ("id", Id),
            ("username", Text),
            ("sha256", Text),
            ("spki_sha256", Text),
            ("issuer", Text),
            ("issuer_key_id", Text),
            ("serial", Text),
            ("subject", Text),
            ("san_email", Text),
            ("san_upn", Text),
            ("san_uri", Text),
            ("san_dns", Text),
            ("common_name", Text),
            ("enabled", Flag),
            ("valid_from", Moment),
            ("valid_until", Moment),
            ("revoked_at", Moment),
            ("revoked_reason", Text),
            ("note", Text),
            ("created_by", Text),
            ("created_at", Moment),
        ],
    },
    Table {
        name: "block",
        columns: &[
            ("id", Id),
            ("sha256", Text),
            ("spki_sha256", Text),
            ("issuer", Text),
            ("issuer_key_id", Text),
            ("serial", Text),
            ("subject", Text),
            ("san_email", Text),
            ("san_upn", Text),
            ("san_uri", Text),
            ("san_dns", Text),
            ("common_name", Text),
            ("enabled", Flag),
            ("valid_from", Moment),
            ("valid_until", Moment),
            ("reason", Text),
            ("note", Text),
            ("created_by", Text),
            ("created_at", Moment),
        ],
    },
    Table {
        name: "rule",
        columns: &[
            ("priority", Number),
            ("name", Text),
            ("issuer", Text),
            ("issuer_key_id", Text),
            ("conditions", Json),
            ("username", Text),
            ("display_name", Text),
            ("email", Text),
            ("group_names", Text),
            ("users", Text),
            ("enabled", Flag),
            ("valid_from", Moment),
            ("valid_until", Moment),
            ("note", Text),
            ("created_by", Text),
            ("created_at", Moment),
        ],
    },
    Table {
        name: "certificate",
        columns: &[
            ("sha256", Text),
            ("der", Bytes),
            ("subject", Text),
            ("issuer", Text),
            ("serial", Text),
            ("spki_sha256", Text),
            ("names", Json),
            ("not_before", Moment),
            ("not_after", Moment),
            ("origin", Text),
            ("state", Text),
            ("first_seen", Moment),
            ("last_seen", Moment),
            ("hits", Id),
            ("last_code", Text),
            ("last_username", Text),
        ],
    },
    Table {
        name: "denial",
        columns: &[
            ("id", Id),
            ("at", Moment),
            ("host", Text),
            ("request_id", Text),
            ("code", Text),
            ("certificate", Text),
            ("peer", Text),
        ],
    },
    Table {
        name: "audit",
        columns: &[
            ("id", Id),
            ("at", Moment),
            ("transaction_id", Text),
            ("db_user", Text),
            ("actor", Text),
            ("source", Text),
            ("request_id", Text),
            ("action", Text),
            ("relation", Text),
            ("key", Text),
            ("followed", Flag),
            ("before", Json),
            ("after", Json),
        ],
    },
];

/// Tables whose ids the database counts.
pub(super) const COUNTED: [&str; 4] = ["mapping", "block", "denial", "audit"];
