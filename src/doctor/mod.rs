//! What is wrong with an installation, as values: nginx's configuration as `nginx -T` prints it.
//!
//! Pure: no I/O, no database. It must not change anything, and says nothing of what is right.

pub mod nginx;

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing is wrong.
    Ok,
    /// It works and should be different, or may fail some day.
    Warning,
    /// Somebody might come in who must not, or nobody can.
    Failure,
}

/// One check and what it found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// Which check, as one word with hyphens.
    pub check: &'static str,
    /// How much it matters.
    pub result: Outcome,
    /// What was found, and the remedy.
    pub what: String,
    /// Where, if it is a place in a file.
    pub place: Option<String>,
}

impl Finding {
    /// A check that found nothing wrong.
    #[must_use]
    pub fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, result: Outcome::Ok, what: what.into(), place: None }
    }

    /// Something to be different.
    #[must_use]
    pub fn warning(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, result: Outcome::Warning, what: what.into(), place: None }
    }

    /// Something that must not be.
    #[must_use]
    pub fn failure(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, result: Outcome::Failure, what: what.into(), place: None }
    }

    /// At this place.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }
}
