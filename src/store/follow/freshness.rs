//! Until when what was read is known to be complete: pure, so that it can be simulated.

use std::time::{Duration, Instant};

/// The primary's heartbeat, as seen on a standby.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Beat {
    /// When the primary's heart beat, in microseconds since 1970 by its clock.
    pub(crate) at: i64,
    /// How long ago that was by the standby's clock; never less than nothing.
    pub(crate) age: Duration,
}

/// The last moment up to which everything that was committed has been seen.
///
/// On a primary that is when the last good look began. A standby that is cut off answers every
/// look and knows nothing, and one that lags answers with what was true then: there it is the
/// primary's heartbeat that counts. It errs on the side of older.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Freshness {
    known: Option<Instant>,
    beat: Option<i64>,
}

impl Freshness {
    /// Notes a load or a look that began then; with a beat it was on a standby.
    pub(crate) fn note(&mut self, began: Instant, beat: Option<Beat>) {
        let Some(beat) = beat else {
            self.beat = None;
            self.known = self.known.max(Some(began));
            return;
        };
        if self.beat == Some(beat.at) {
            return;
        }
        self.beat = Some(beat.at);
        let heard = began.checked_sub(beat.age).unwrap_or(began);
        self.known = self.known.max(Some(heard));
    }

    /// That moment; none before the first load.
    pub(crate) const fn known(&self) -> Option<Instant> {
        self.known
    }
}
