//! Rows that cannot be used, so that somebody hears of them.

/// The relations a directory is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// `app_user`
    AppUser,
    /// `block`
    Block,
    /// `mapping`
    Mapping,
    /// `rule`
    Rule,
    /// `user_group`
    UserGroup,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Self; 5] =
        [Self::AppUser, Self::Block, Self::Mapping, Self::Rule, Self::UserGroup];

    /// Its name in the schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AppUser => "app_user",
            Self::Block => "block",
            Self::Mapping => "mapping",
            Self::Rule => "rule",
            Self::UserGroup => "user_group",
        }
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {why}")]
pub struct RowError {
    /// The column at fault.
    pub column: &'static str,
    /// Why, without the raw bytes.
    pub why: String,
}

impl RowError {
    pub(super) fn new(column: &'static str, why: impl Into<String>) -> Self {
        Self { column, why: why.into() }
    }
}

/// How much a row that cannot be used matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody who should be kept out might come in: a block of which nothing can be read.
    Critical,
    /// Somebody who should come in is kept out.
    Warning,
}

/// A row that cannot be used, or not as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Where it is.
    pub relation: Relation,
    /// Its key, escaped for people.
    pub key: String,
    /// What is wrong.
    pub error: RowError,
    /// How much it matters.
    pub severity: Severity,
    /// The key under which the row is read again; of a membership, its user's.
    pub(super) row: Key,
}

/// The key of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// An id or a priority.
    Id(i64),
    /// A user's name, as it stands.
    Name(Box<[u8]>),
}

impl Unusable {
    pub(super) fn new(relation: Relation, row: Key, error: RowError, severity: Severity) -> Self {
        let key = match &row {
            Key::Id(id) => id.to_string(),
            Key::Name(name) => shown(name),
        };
        Self { relation, key, error, severity, row }
    }

    pub(super) fn of_member(username: &[u8], group: &[u8], error: RowError) -> Self {
        let key = format!("{} {}", shown(username), shown(group));
        let (relation, severity) = (Relation::UserGroup, Severity::Warning);
        Self { relation, key, error, severity, row: Key::Name(username.into()) }
    }

    pub(super) fn is_of(&self, relation: Relation, key: &Key) -> bool {
        self.relation == relation && self.row == *key
    }
}

/// Most characters of a hostile key that a message repeats.
const MAX_SHOWN_CHARS: usize = 80;

/// A key as a message may show it: escaped, cut.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().map(char::from).take(MAX_SHOWN_CHARS).collect()
}
