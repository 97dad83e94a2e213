//! How many denials one worker writes into the log: under a flood some, and how many were left out.
//!
//! It knows nothing of what a denial says. `/metrics` counts every one of them all the same.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Lines that one worker writes in a second: more than anybody reads, and little work.
const MAX_LINES: u32 = 100;
/// What those are counted over.
const STRETCH: Duration = Duration::from_secs(1);

/// One worker's share of the log.
#[derive(Debug, Default)]
pub(super) struct DenialLog {
    since: Cell<Option<Instant>>,
    written: Cell<u32>,
    left_out: Cell<u64>,
}

impl DenialLog {
    /// Whether this denial has a line; if not, it is counted.
    pub(super) fn admits(&self, now: Instant) -> bool {
        if self.is_over(now) {
            self.since.set(Some(now));
            self.written.set(0);
        }
        if self.written.get() < MAX_LINES {
            self.written.set(self.written.get() + 1);
            return true;
        }
        self.left_out.set(self.left_out.get() + 1);
        false
    }

    /// How many were left out in a stretch that is over, once; to be asked with every request, so
    /// that it is told as soon as the next one comes, denied or not.
    pub(super) fn settled(&self, now: Instant) -> Option<u64> {
        if self.left_out.get() == 0 || !self.is_over(now) {
            return None;
        }
        Some(self.left_out.replace(0))
    }

    fn is_over(&self, now: Instant) -> bool {
        self.since.get().is_none_or(|since| now.saturating_duration_since(since) >= STRETCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_has_some_lines_and_then_a_count_of_the_others() {
        let (log, start) = (DenialLog::default(), Instant::now());
        let lines = |from: Instant| (0..1000).filter(|_| log.admits(from)).count();
        assert_eq!(lines(start), 100);
        assert_eq!(log.settled(start), None, "the second is not over");
        let later = start + STRETCH;
        assert_eq!(log.settled(later), Some(900));
        assert_eq!(log.settled(later), None, "told once");
        assert_eq!(lines(later), 100);
        assert_eq!(log.settled(later + STRETCH), Some(900));
    }

    #[test]
    fn what_comes_now_and_then_is_never_left_out() {
        let (log, start) = (DenialLog::default(), Instant::now());
        for number in 0..1000 {
            assert!(log.admits(start + Duration::from_millis(number * 20)));
        }
        assert_eq!(log.settled(start + Duration::from_secs(60)), None);
    }
}
