//! Rows as the database holds them, before anybody has judged them.
//!
//! Nothing here may be trusted: text is bytes (SQLite keeps any bytes in a text column), an
//! integer need not be 0 or 1, a time need not be one. Whoever reads a row decides whether it
//! can be read at all; nothing in this file may guess.

/// A time as the store hands it over: RFC 3339 text.
///
/// From PostgreSQL always in UTC with a `Z`, or `infinity`, `-infinity` and other text that is no
/// time where the value has no RFC 3339 form. From SQLite what was written: perhaps with a blank
/// for the `T`, with another offset, or without a zone, which means UTC.
pub type TimeText = Vec<u8>;

/// A row of any table of the directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Row {
    /// A row of `block`.
    Block(BlockRow),
    /// A row of `user_group`.
    Group(GroupRow),
    /// A row of `mapping`.
    Mapping(MappingRow),
    /// A row of `rule`.
    Rule(RuleRow),
    /// A row of `app_user`.
    User(UserRow),
}

/// What stands in the store now under a key that changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// A row of `block`, or none under that id.
    Block(i64, Option<BlockRow>),
    /// A row of `mapping`, or none under that id.
    Mapping(i64, Option<MappingRow>),
    /// A row of `rule`, or none of that priority.
    Rule(i64, Option<RuleRow>),
    /// A user, or none of exactly that name, with every membership under it: also the answer to a
    /// changed row of `user_group`.
    User {
        /// The key.
        username: Vec<u8>,
        /// Its row.
        row: Option<UserRow>,
        /// Its memberships.
        groups: Vec<GroupRow>,
    },
}

/// A row of `app_user`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserRow {
    /// The key.
    pub username: Vec<u8>,
    /// The full name.
    pub display_name: Option<Vec<u8>>,
    /// The e-mail address.
    pub email: Option<Vec<u8>>,
    /// `operator` or `rule`.
    pub origin: Vec<u8>,
    /// 1: no rule leads to this user. Anything but 0 and 1 is unreadable.
    pub mapped_only: i64,
    /// 1: the user counts. Anything but 0 and 1 is unreadable.
    pub enabled: i64,
    /// Start of the window, inclusive.
    pub valid_from: Option<TimeText>,
    /// End of the window, exclusive.
    pub valid_until: Option<TimeText>,
}

/// A row of `user_group`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupRow {
    /// The member.
    pub username: Vec<u8>,
    /// The group.
    pub group_name: Vec<u8>,
}

/// The columns that say which certificates a mapping or block is about; null is not looked at.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PatternRow {
    /// SHA-256 over the certificate.
    pub sha256: Option<Vec<u8>>,
    /// SHA-256 over the public key.
    pub spki_sha256: Option<Vec<u8>>,
    /// Distinguished name of the issuer.
    pub issuer: Option<Vec<u8>>,
    /// Authority key identifier.
    pub issuer_key_id: Option<Vec<u8>>,
    /// Serial number, hexadecimal.
    pub serial: Option<Vec<u8>>,
    /// Distinguished name of the subject.
    pub subject: Option<Vec<u8>>,
    /// An e-mail address of the subject alternative name.
    pub san_email: Option<Vec<u8>>,
    /// A user principal name of the subject alternative name.
    pub san_upn: Option<Vec<u8>>,
    /// A URI of the subject alternative name.
    pub san_uri: Option<Vec<u8>>,
    /// A DNS name of the subject alternative name.
    pub san_dns: Option<Vec<u8>>,
    /// The only common name of the subject.
    pub common_name: Option<Vec<u8>>,
}

/// A row of `mapping`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MappingRow {
    /// The key.
    pub id: i64,
    /// Whose certificate this is.
    pub username: Vec<u8>,
    /// Which certificate.
    pub pattern: PatternRow,
    /// 1: the mapping counts. Anything but 0 and 1 is unreadable.
    pub enabled: i64,
    /// Start of the window, inclusive.
    pub valid_from: Option<TimeText>,
    /// End of the window, exclusive.
    pub valid_until: Option<TimeText>,
    /// From then on the certificate is refused.
    pub revoked_at: Option<TimeText>,
    /// Why.
    pub revoked_reason: Option<Vec<u8>>,
    /// An operator's remark.
    pub note: Option<Vec<u8>>,
}

/// A row of `block`.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BlockRow {
    /// The key.
    pub id: i64,
    /// Which certificates.
    pub pattern: PatternRow,
    /// 1: the block counts. Anything but 0 and 1 is unreadable.
    pub enabled: i64,
    /// Start of the window, inclusive.
    pub valid_from: Option<TimeText>,
    /// End of the window, exclusive.
    pub valid_until: Option<TimeText>,
    /// Why.
    pub reason: Option<Vec<u8>>,
}

/// A row of `rule`.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RuleRow {
    /// The key, and the order in which rules are asked.
    pub priority: i64,
    /// What people call it.
    pub name: Option<Vec<u8>>,
    /// Distinguished name of the issuer.
    pub issuer: Vec<u8>,
    /// Authority key identifier.
    pub issuer_key_id: Option<Vec<u8>>,
    /// Conditions, JSON.
    pub conditions: Vec<u8>,
    /// Template of the user's name.
    pub username: Vec<u8>,
    /// Template of the full name.
    pub display_name: Option<Vec<u8>>,
    /// Template of the e-mail address.
    pub email: Option<Vec<u8>>,
    /// Groups, joined by commas.
    pub group_names: Option<Vec<u8>>,
    /// `existing`, `any` or `provision`.
    pub users: Vec<u8>,
    /// 1: the rule counts. Anything but 0 and 1 is unreadable.
    pub enabled: i64,
    /// Start of the window, inclusive.
    pub valid_from: Option<TimeText>,
    /// End of the window, exclusive.
    pub valid_until: Option<TimeText>,
}
