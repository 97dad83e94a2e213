//! What can go wrong at the database, in words for an operator.
//!
//! A variant is a class that callers act on: retry, exit, or tell the operator. No text here may
//! hold a password.

use std::path::PathBuf;
use std::time::Duration;

use super::constraint::{self, Rule};
use super::url::{DatabaseUrl, Place};

/// Why the store could not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The user is in that group already.
    #[error("user {username:?} is in group {group:?} already")]
    AlreadyMember {
        /// The member.
        username: String,
        /// The group.
        group: String,
    },
    /// A value breaks the rule of its column.
    #[error("{column}: {rule}")]
    BadValue {
        /// The column.
        column: String,
        /// What the column takes.
        rule: &'static str,
    },
    /// SQLite, or a table that a migration changes, was locked for longer than the limit.
    #[error("{place}: locked by another program for {}s; end that program's transaction", limit.as_secs())]
    Busy {
        /// The database.
        place: String,
        /// How long certgate waited.
        limit: Duration,
    },
    /// A rule of the schema that no sentence is written for.
    #[error("the database refuses this: constraint {name}")]
    Constraint {
        /// The constraint's name.
        name: String,
    },
    /// The server has no such database.
    #[error(
        "{place}: there is no such database; create it (createdb), then run `certgate migrate`"
    )]
    DatabaseMissing {
        /// The database.
        place: String,
    },
    /// A session's file is no longer the one at its path.
    #[error("{path}: another file has taken its place, or it is gone", path = path.display())]
    FileReplaced {
        /// The path.
        path: PathBuf,
    },
    /// The folder that the file should be made in is not there.
    #[error("{}: the folder {} does not exist; create it", path.display(), folder.display())]
    FolderMissing {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// `database.url` is not one.
    #[error("database.url: {reason}")]
    MalformedUrl {
        /// What is wrong; never the URL itself.
        reason: String,
    },
    /// There is no file and this command makes none.
    #[error("{path}: no database there; check --config and database.url, or create it with `certgate migrate`", path = path.display())]
    NoDatabaseFile {
        /// The path that was looked at.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("{}: this file is not a SQLite database; check database.url", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// Changes are not all written down, so that a look finds nothing, whatever changed.
    #[error("{place}: changes may not take effect, a revocation neither: {why}")]
    NotFed {
        /// The database.
        place: String,
        /// What keeps them from it.
        why: NotFed,
    },
    /// The mapping, block or membership that was named does not exist.
    #[error("no such {noun}: {name}")]
    NotFound {
        /// What was asked for: `mapping`, `block`, `member`.
        noun: &'static str,
        /// Which one.
        name: String,
    },
    /// No user of that name, byte for byte.
    #[error("no such user: {username:?}; add it with `certgate user add`")]
    NoSuchUser {
        /// The name that was given.
        username: String,
    },
    /// The role may not do this.
    #[error("{place}: the database role may not do this: {message}")]
    Permission {
        /// The database.
        place: String,
        /// The server's words.
        message: String,
    },
    /// The schema has no tables of certgate.
    #[error("{place}: holds no certgate schema; run `certgate migrate`")]
    SchemaMissing {
        /// The database.
        place: String,
    },
    /// The schema is older than this program.
    #[error(
        "{place}: schema version {found} is older than this program's {needed}; run `certgate migrate`"
    )]
    SchemaOld {
        /// The database.
        place: String,
        /// The version found.
        found: i64,
        /// The version of this program.
        needed: i64,
    },
    /// The schema is newer than this program can run on.
    #[error(
        "{place}: schema version {found} needs a program that knows version {compatible_from}, this one knows {known}; upgrade certgate"
    )]
    SchemaTooNew {
        /// The database.
        place: String,
        /// The version found.
        found: i64,
        /// The oldest program that can run on it.
        compatible_from: i64,
        /// What this program knows.
        known: i64,
    },
    /// No answer in time.
    #[error("{place}: no answer within {}s", limit.as_secs())]
    TimedOut {
        /// The database.
        place: String,
        /// The limit that passed.
        limit: Duration,
    },
    /// Cannot be reached now, or the connection broke; worth another try.
    #[error("{place}: cannot be reached: {reason}")]
    Unreachable {
        /// The database.
        place: String,
        /// Why.
        reason: String,
    },
    /// Something is there, but not a database that can be used.
    #[error("{place}: cannot be used: {reason}")]
    Unreadable {
        /// The database.
        place: String,
        /// Why.
        reason: String,
    },
    /// There is a user of that name, or of that name in another case.
    #[error("user {username:?} exists already, perhaps in another case")]
    UserExists {
        /// The name that was given.
        username: String,
    },
    /// The server refuses the role or its password.
    #[error(
        "{place}: the server refuses this role: {message}; check the user and password of database.url"
    )]
    WrongPassword {
        /// The database.
        place: String,
        /// The server's words.
        message: String,
    },
}

impl StoreError {
    /// Whether what was asked for is not there, which is an answer and no failure.
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::NoSuchUser { .. })
    }

    /// Whether the same call may succeed later, without anybody changing anything by hand.
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. }
                | Self::FileReplaced { .. }
                | Self::TimedOut { .. }
                | Self::Unreachable { .. }
        )
    }
}

/// Why changes are not all written down. It travels among the driver's errors until it is known of
/// which database it is said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotFed {
    /// SQLite's triggers are not those that the migrations make.
    #[error(
        "{0} gone or altered, as after a table was made anew; take everything into a new file with \
         `certgate copy`"
    )]
    Altered(String),
    /// PostgreSQL reads and writes the rows of a table that inherits through the other one as well, and
    /// fires the triggers of that one alone.
    #[error(
        "{0}: inherited tables are written without each other's triggers; take everything into a new \
         database with `certgate copy`"
    )]
    Inherited(String),
    /// PostgreSQL fires no statement triggers for replicated rows.
    #[error(
        "a subscription writes {0}, and no trigger fires for what it writes; drop the subscription, \
         or let certgate follow its publisher"
    )]
    Subscription(String),
    /// PostgreSQL's triggers do nothing.
    #[error(
        "{0} off or gone; put each on again with `alter table ... enable always trigger ...`, or, \
         where it is gone, take everything into a new database with `certgate copy`"
    )]
    Triggers(String),
}

/// What an error of the driver is about: the database, and the row that was being written.
#[derive(Clone, Copy, Default)]
pub(super) struct Subject<'a> {
    pub(super) username: &'a str,
    pub(super) group: &'a str,
}

/// Turns the driver's error into one with a class. Unknown errors count as unreadable: the
/// operator must look, retrying would hide it.
pub(super) fn classify(error: sqlx::Error, url: &DatabaseUrl, subject: Subject<'_>) -> StoreError {
    let place = url.to_string();
    match error {
        sqlx::Error::Database(error) => match url.place() {
            Place::Postgres(_) => postgres(&*error, place, subject),
            Place::Sqlite(path) => sqlite(&*error, place, path, subject),
        },
        sqlx::Error::Io(error) => StoreError::Unreachable { place, reason: error.to_string() },
        sqlx::Error::Tls(error) => {
            StoreError::Unreadable { place, reason: format!("TLS: {error}") }
        }
        sqlx::Error::PoolTimedOut => StoreError::TimedOut { place, limit: super::CONNECT_LIMIT },
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            StoreError::Unreachable { place, reason: error.to_string() }
        }
        sqlx::Error::Configuration(error) => match error.downcast::<NotFed>() {
            Ok(why) => StoreError::NotFed { place, why: *why },
            Err(error) => StoreError::Unreadable { place, reason: error.to_string() },
        },
        error => StoreError::Unreadable { place, reason: error.to_string() },
    }
}

fn postgres(
    error: &dyn sqlx::error::DatabaseError,
    place: String,
    subject: Subject<'_>,
) -> StoreError {
    let message = error.message().to_owned();
    let code = error.code().unwrap_or_default();
    if let Some(name) = error.constraint() {
        return broken(name, subject);
    }
    // https://www.postgresql.org/docs/15/errcodes-appendix.html
    match &*code {
        "28000" | "28P01" => StoreError::WrongPassword { place, message },
        "3D000" => StoreError::DatabaseMissing { place },
        "42501" => StoreError::Permission { place, message },
        "42P01" => StoreError::SchemaMissing { place },
        "25006" => StoreError::Permission { place, message },
        // A NUL or bytes that are no UTF-8.
        "22021" => StoreError::BadValue { column: "a value".to_owned(), rule: constraint::TEXT },
        "53300" | "55P03" | "40001" | "40P01" => StoreError::Unreachable { place, reason: message },
        code if code.starts_with("57P0") || code.starts_with("08") => {
            StoreError::Unreachable { place, reason: message }
        }
        code => StoreError::Unreadable { place, reason: format!("{message} ({code})") },
    }
}

fn sqlite(
    error: &dyn sqlx::error::DatabaseError,
    place: String,
    path: &std::path::Path,
    subject: Subject<'_>,
) -> StoreError {
    let message = error.message();
    let code: u32 = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    // https://www.sqlite.org/rescode.html: the low byte is the class, the rest the detail.
    match code & 0xff {
        5 | 6 => StoreError::Busy { place, limit: super::BUSY_LIMIT },
        3 | 8 => StoreError::Permission { place, message: message.to_owned() },
        14 if !path.exists() => StoreError::NoDatabaseFile { path: path.to_owned() },
        26 => StoreError::NotADatabase { path: path.to_owned() },
        19 => broken(constraint::name_in_sqlite_message(message), subject),
        _ if message.starts_with("no such table") => StoreError::SchemaMissing { place },
        _ => StoreError::Unreadable { place, reason: message.to_owned() },
    }
}

fn broken(name: &str, subject: Subject<'_>) -> StoreError {
    let username = subject.username.to_owned();
    match constraint::rule(name) {
        Some(Rule::Column { column, rule }) => {
            StoreError::BadValue { column: column.to_owned(), rule }
        }
        Some(Rule::Member) => {
            StoreError::AlreadyMember { username, group: subject.group.to_owned() }
        }
        Some(Rule::UserExists) => StoreError::UserExists { username },
        Some(Rule::UserKnown) => StoreError::NoSuchUser { username },
        None => StoreError::Constraint { name: name.to_owned() },
    }
}
