//! The directory as the data plane sees it: one immutable value, and how old it is.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwapOption, Guard};

use crate::directory::Directory;
use crate::pki::UnixTime;

/// A complete copy of the store's directory, and how fresh it is.
#[derive(Debug)]
pub struct Replica {
    directory: ArcSwapOption<Directory>,
    started: Instant,
    /// Microseconds from `started` to the start of the last good look.
    looked_after: AtomicU64,
    /// The wall clock at the start of the last good look, in microseconds.
    looked_at: AtomicI64,
    /// Why the store cannot be followed at the moment; none while it is.
    trouble: Mutex<Option<String>>,
}

impl Default for Replica {
    fn default() -> Self {
        Self {
            directory: ArcSwapOption::empty(),
            started: Instant::now(),
            looked_after: AtomicU64::new(0),
            looked_at: AtomicI64::new(0),
            trouble: Mutex::new(Some("nothing was loaded yet".to_owned())),
        }
    }
}

impl Replica {
    /// The directory, or none before the first load; never waits.
    pub fn directory(&self) -> Guard<Option<Arc<Directory>>> {
        self.directory.load()
    }

    /// How old the directory is at `now`: since the last good look *began*, by the monotonic or
    /// the wall clock, whichever says more. A machine that slept, or a clock that jumped ahead,
    /// makes it older; nothing makes it younger but a look.
    #[must_use]
    pub fn age(&self, now: UnixTime) -> Duration {
        let looked_after = Duration::from_micros(self.looked_after.load(Ordering::Acquire));
        let monotonic = self.started.elapsed().saturating_sub(looked_after);
        let wall = now.as_micros().saturating_sub(self.looked_at.load(Ordering::Acquire));
        monotonic.max(Duration::from_micros(u64::try_from(wall).unwrap_or(0)))
    }

    /// Why the store cannot be followed at the moment; none while it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Publishes a directory whose snapshot was asked for at `asked`.
    pub(super) fn publish(&self, directory: Directory, asked: Asked) {
        self.directory.store(Some(Arc::new(directory)));
        self.looked(asked);
    }

    /// Notes a good look that began at `asked`.
    pub(super) fn looked(&self, asked: Asked) {
        let after = asked.instant.saturating_duration_since(self.started).as_micros();
        self.looked_after.store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Release);
        self.looked_at.store(asked.at.as_micros(), Ordering::Release);
    }

    /// Notes why the store cannot be followed, or that it can; true if that is news.
    pub(super) fn set_trouble(&self, trouble: Option<String>) -> bool {
        let mut current = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *current != trouble;
        *current = trouble;
        is_news
    }
}

/// When a look began, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    instant: Instant,
    at: UnixTime,
}

impl Asked {
    pub(super) fn new(at: UnixTime) -> Self {
        Self { instant: Instant::now(), at }
    }
}
