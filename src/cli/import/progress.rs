//! How far a long command has come: one line on a terminal, nothing anywhere else.

use std::io::{self, IsTerminal as _, Write as _};

use crate::operator::import::Step;

/// The line on standard error.
pub(in crate::cli) struct Progress {
    is_shown: bool,
    last: usize,
}

impl Progress {
    /// Shows something only if somebody sits there.
    pub(in crate::cli) fn on_standard_error() -> Self {
        Self { is_shown: io::stderr().is_terminal(), last: 0 }
    }

    /// What is being done.
    pub(in crate::cli) fn show(&mut self, what: &str) {
        if self.is_shown {
            // A terminal that is gone has nobody to tell.
            let _ = write!(io::stderr(), "\r\u{1b}[K{what} ..");
        }
    }

    /// How many of something, now and then.
    pub(in crate::cli) fn count(&mut self, what: &str, done: usize, total: usize) {
        if done / EVERY == self.last {
            return;
        }
        self.last = done / EVERY;
        match total {
            0 => self.show(&format!("{done} {what}")),
            total => self.show(&format!("{done} of {total} {what}")),
        }
    }

    /// A piece of writing.
    pub(in crate::cli) fn step(&mut self, step: Step) {
        self.show(&format!("{} of {} {} written", step.done, step.total, step.noun));
    }

    /// Leaves the terminal as it was.
    pub(in crate::cli) fn clear(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

/// Files between two lines.
const EVERY: usize = 500;
