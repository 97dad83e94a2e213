//! What can go wrong with a store: each message names the thing, the place and the remedy.

use std::path::PathBuf;

/// Why the store could not do what was asked. No message holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The server is there and the database is not.
    #[error(
        "{place}: there is no such database; create it with `createdb`, then `certgate migrate`"
    )]
    DatabaseMissing {
        /// Where.
        place: String,
    },
    /// The file is to be made in a folder that is not there.
    #[error("{}: the folder {} does not exist; create it", path.display(), folder.display())]
    FolderMissing {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// The file was moved or replaced while it was followed.
    #[error("{}: the file was replaced by another", path.display())]
    FileReplaced {
        /// The file.
        path: PathBuf,
    },
    /// A task of ours was cancelled; only while stopping.
    #[error("interrupted while stopping")]
    Interrupted,
    /// `database.url` is no URL of a database.
    #[error("database.url: {reason}")]
    MalformedUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// A command that creates nothing found no file.
    #[error(
        "{}: there is no database here; name the right configuration with --config, or create it \
         with `certgate migrate`",
        path.display()
    )]
    NoDatabaseFile {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("{}: this file is not a SQLite database; correct database.url", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The row is not there.
    #[error("there is no {what}")]
    NotFound {
        /// What was looked for, with its key.
        what: String,
    },
    /// The database refused a query.
    #[error("{place}: {source}")]
    Query {
        /// Where.
        place: String,
        /// Its answer.
        source: sqlx::Error,
    },
    /// A rule of the schema refused a change.
    #[error("{message}")]
    Refused {
        /// The constraint's name in the schema.
        constraint: String,
        /// The rule in words.
        message: String,
    },
    /// There is a database without our tables.
    #[error("{place}: it has no certgate schema; run `certgate migrate`")]
    SchemaMissing {
        /// Where.
        place: String,
    },
    /// Our tables are of an older program.
    #[error(
        "{place}: schema version {found} is older than this program needs ({needed}); run `certgate migrate`"
    )]
    SchemaOld {
        /// Where.
        place: String,
        /// What is there.
        found: i64,
        /// What this program needs.
        needed: i64,
    },
    /// Our tables are of a newer program that shuts this one out.
    #[error(
        "{place}: schema version {found} can only be used by programs of schema version \
         {compatible_from} or later, and this one is of {ours}; update certgate"
    )]
    SchemaTooNew {
        /// Where.
        place: String,
        /// What is there.
        found: i64,
        /// The oldest program that can run on it.
        compatible_from: i64,
        /// This program.
        ours: i64,
    },
    /// The connection that listens is gone.
    #[error("{place}: the connection was lost")]
    SessionLost {
        /// Where.
        place: String,
    },
    /// No answer in time.
    #[error("{place}: no answer within {seconds} s")]
    TimedOut {
        /// Where.
        place: String,
        /// How long was waited.
        seconds: u64,
    },
    /// Nobody answers there.
    #[error("{place}: cannot be reached: {reason}")]
    Unreachable {
        /// Where.
        place: String,
        /// The system's word.
        reason: String,
    },
    /// The file cannot be read or written, or is damaged.
    #[error("{}: the file cannot be used: {reason}", path.display())]
    UnusableFile {
        /// The file.
        path: PathBuf,
        /// The system's or SQLite's word.
        reason: String,
    },
    /// The server does not let us in.
    #[error("{place}: the server refuses this user or password; correct database.url")]
    WrongPassword {
        /// Where.
        place: String,
    },
}

impl StoreError {
    /// Whether waiting may help: nobody answered, or the server was not ready.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::SessionLost { .. } | Self::TimedOut { .. } | Self::Unreachable { .. })
    }

    /// Sorts an error of the driver.
    pub(super) fn of(place: impl std::fmt::Display, source: sqlx::Error) -> Self {
        let place = place.to_string();
        let code = match &source {
            sqlx::Error::Io(error) => {
                return Self::Unreachable { place, reason: error.to_string() };
            }
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
                return Self::Unreachable { place, reason: "no connection in time".to_owned() };
            }
            sqlx::Error::Database(error) => error.code().map(|code| code.into_owned()),
            _ => None,
        };
        match code.as_deref() {
            Some("28P01" | "28000") => Self::WrongPassword { place },
            Some("3D000") => Self::DatabaseMissing { place },
            // Shutting down, crashed, starting up, too many connections, not our turn to write.
            Some("57P01" | "57P02" | "57P03" | "53300" | "25006") => {
                Self::Unreachable { place, reason: source.to_string() }
            }
            _ => Self::Query { place, source },
        }
    }
}
