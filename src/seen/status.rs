//! Where the writing of what was seen stands, for `/readyz` and the log.
//!
//! It holds no name of a person; the error is one of the store's, which never shows a password.

use std::sync::{Mutex, PoisonError};

/// Where the writing stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum State {
    /// The database cannot be written at the moment.
    Failing,
    /// The role may not report.
    NotGranted,
    /// The database only follows another one.
    Standby,
    /// Nothing was tried yet.
    #[default]
    Starting,
    /// All is well.
    Writing,
}

impl State {
    /// Its word in `/readyz`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::NotGranted => "not_granted",
            Self::Standby => "standby",
            Self::Starting => "starting",
            Self::Writing => "writing",
        }
    }
}

/// Where the writing stands, and why.
#[derive(Debug, Default)]
pub struct Status(Mutex<(State, Option<String>)>);

impl Status {
    /// Where it stands, and the error if there is one.
    #[must_use]
    pub fn current(&self) -> (State, Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_writing(&self) -> bool {
        self.current().0 == State::Writing
    }

    /// Notes where it stands; true if that is news.
    pub(super) fn set(&self, state: State, error: Option<String>) -> bool {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = current.0 != state;
        *current = (state, error);
        is_news
    }
}
