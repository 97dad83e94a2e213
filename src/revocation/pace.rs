//! Rests between short steps of long work, so that requests do not wait for a list of a million
//! entries.
//!
//! The loader has a thread of its own, but the machine has few cores: whoever takes one for a
//! quarter of a second leaves requests to wait for the others. It knows nothing of what the work
//! is, and work that is shorter than one step never rests.

use std::thread;
use std::time::{Duration, Instant};

/// How long the work goes on at a stretch: less than a request takes through nginx.
const STEP: Duration = Duration::from_micros(100);
/// How long it then rests. With what the system adds, a core is taken for about a quarter of the
/// time, and a million entries take between one and two seconds.
const REST: Duration = Duration::from_micros(250);

/// Counts the time since the last rest.
#[derive(Debug)]
pub(super) struct Pacer {
    /// Whether anybody could be kept waiting.
    rests: bool,
    since: Instant,
    /// How often it has rested.
    count: u64,
}

impl Pacer {
    /// One that never rests, for when nobody is answered yet.
    pub(super) fn hurried() -> Self {
        Self { rests: false, since: Instant::now(), count: 0 }
    }

    /// Has it rest from here on.
    pub(super) fn slow_down(&mut self) {
        self.rests = true;
    }

    /// Work begins.
    pub(super) fn begin(&mut self) {
        self.since = Instant::now();
    }

    /// To be called after every small piece of the work: rests if the step is over.
    pub(super) fn pause(&mut self) {
        if self.rests && self.since.elapsed() >= STEP {
            thread::sleep(REST);
            self.count += 1;
            self.since = Instant::now();
        }
    }

    /// How often it has rested.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works until a step is over, calling for a rest all the time.
    fn work(pacer: &mut Pacer) {
        pacer.begin();
        let began = Instant::now();
        while began.elapsed() < STEP * 2 {
            pacer.pause();
        }
    }

    #[test]
    fn long_work_rests_and_short_work_does_not() {
        let mut pacer = Pacer::hurried();
        pacer.slow_down();
        work(&mut pacer);
        assert!(pacer.count() > 0);
        let mut pacer = Pacer::hurried();
        work(&mut pacer);
        assert_eq!(pacer.count(), 0, "nobody waits yet");
        pacer.slow_down();
        pacer.since = Instant::now() + Duration::from_secs(60);
        pacer.pause();
        assert_eq!(pacer.count(), 0, "the step is not over");
    }
}
