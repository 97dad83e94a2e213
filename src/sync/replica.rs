//! The directory as the data plane sees it: one immutable value, and how old it is.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwapOption, Guard};

use crate::directory::Directory;
use crate::pki::UnixTime;
use crate::store::Manner;

/// A complete copy of the store's directory, and how fresh it is.
#[derive(Debug)]
pub struct Replica {
    directory: ArcSwapOption<Directory>,
    started: Instant,
    /// Counts what was published.
    version: AtomicU64,
    /// Microseconds from `started` to the last moment known to be true; negative if that was
    /// before.
    looked_after: AtomicI64,
    /// The wall clock at the last moment known to be true, in microseconds.
    looked_at: AtomicI64,
    /// Why the store cannot be followed at the moment; none while it is.
    trouble: Mutex<Option<String>>,
    /// How the store is followed; none before the first load.
    manner: Mutex<Option<Manner>>,
}

impl Default for Replica {
    fn default() -> Self {
        Self {
            directory: ArcSwapOption::empty(),
            started: Instant::now(),
            version: AtomicU64::new(0),
            looked_after: AtomicI64::new(0),
            looked_at: AtomicI64::new(0),
            trouble: Mutex::new(Some("nothing was loaded yet".to_owned())),
            manner: Mutex::new(None),
        }
    }
}

impl Replica {
    /// The directory, or none before the first load; never waits.
    pub fn directory(&self) -> Guard<Option<Arc<Directory>>> {
        self.directory.load()
    }

    /// How old the directory is at `now`: since the last moment known to be true (where the last
    /// good look *began*; on a standby, where its primary was last heard), by the monotonic or the
    /// wall clock, whichever says more. A machine that slept, or a clock that jumped ahead, makes
    /// it older; nothing makes it younger but a look that learned something.
    #[must_use]
    pub fn age(&self, now: UnixTime) -> Duration {
        self.age_at(Instant::now(), now)
    }

    /// As [`Replica::age`], for one who has looked at both clocks.
    #[must_use]
    pub fn age_at(&self, instant: Instant, now: UnixTime) -> Duration {
        let elapsed = instant.saturating_duration_since(self.started).as_micros();
        let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
        let monotonic = elapsed.saturating_sub(self.looked_after.load(Ordering::Acquire));
        let wall = now.as_micros().saturating_sub(self.looked_at.load(Ordering::Acquire));
        Duration::from_micros(u64::try_from(monotonic.max(wall)).unwrap_or(0))
    }

    /// Why the store cannot be followed at the moment; none while it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the store is, or was last, followed; none before the first load.
    #[must_use]
    pub fn manner(&self) -> Option<Manner> {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how the store is followed.
    pub(super) fn set_manner(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = Some(manner);
    }

    /// How often a directory was published: another number is another directory.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Publishes a directory that was true at `asked`; gives back the one before.
    pub(super) fn publish(&self, directory: Directory, asked: Asked) -> Option<Arc<Directory>> {
        let before = self.directory.swap(Some(Arc::new(directory)));
        self.note(self.after(asked), asked);
        self.version.fetch_add(1, Ordering::AcqRel);
        before
    }

    /// Publishes a directory that was true at `true_at`, perhaps before this program began.
    pub(super) fn publish_old(&self, directory: Directory, true_at: UnixTime, now: UnixTime) {
        let asked = Asked::new(now);
        let age = now.as_micros().saturating_sub(true_at.as_micros()).max(0);
        self.directory.store(Some(Arc::new(directory)));
        let after = self.after(asked).saturating_sub(age);
        self.note(after, Asked { at: true_at, ..asked });
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that what is published was still true at `asked`. A moment that is known already says
    /// nothing new: its wall clock must not be reckoned again, as the machine may have slept since.
    pub(super) fn looked(&self, asked: Asked) {
        let after = self.after(asked);
        if after > self.looked_after.load(Ordering::Acquire) {
            self.note(after, asked);
        }
    }

    fn after(&self, asked: Asked) -> i64 {
        let after = asked.instant.saturating_duration_since(self.started).as_micros();
        i64::try_from(after).unwrap_or(i64::MAX)
    }

    fn note(&self, after: i64, asked: Asked) {
        self.looked_after.store(after, Ordering::Release);
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

/// A moment by both clocks, as when a look began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    instant: Instant,
    at: UnixTime,
}

impl Asked {
    pub(super) fn new(at: UnixTime) -> Self {
        Self { instant: Instant::now(), at }
    }

    /// The last moment known to be true, if that is earlier than this one: on a standby that is
    /// cut off, a look tells nothing.
    pub(super) fn known(self, looked_at: Option<Instant>) -> Self {
        let Some(instant) = looked_at.filter(|known| *known < self.instant) else { return self };
        let earlier = self.instant.saturating_duration_since(instant).as_micros();
        let earlier = i64::try_from(earlier).unwrap_or(i64::MAX);
        let at = UnixTime::from_micros(self.at.as_micros().saturating_sub(earlier));
        Self { instant, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A moment of the wall clock.
    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_micros(seconds * 1_000_000)
    }

    /// Room for the time the test itself takes.
    fn is_about(age: Duration, expected: Duration) -> bool {
        age >= expected && age < expected + Duration::from_secs(60)
    }

    #[test]
    fn age_is_the_larger_of_the_two_clocks() {
        let replica = Replica::default();
        let asked = Asked::new(at(100_000));
        replica.publish(Directory::default(), asked);
        assert!(is_about(replica.age(at(100_000)), Duration::ZERO));
        assert!(is_about(replica.age(at(103_600)), HOUR), "a machine that slept");
        assert!(is_about(replica.age(at(90_000)), Duration::ZERO), "a clock that was set back");
        let replica = Replica { started: asked.instant - HOUR, ..Replica::default() };
        replica.publish(Directory::default(), Asked { instant: asked.instant - HOUR, ..asked });
        assert!(is_about(replica.age(at(90_000)), HOUR), "the clock was set back meanwhile");
    }

    #[test]
    fn a_directory_of_a_file_is_as_old_as_the_file_says_by_both_clocks() {
        let replica = Replica::default();
        replica.publish_old(Directory::default(), at(100_000), at(103_600));
        assert!(is_about(replica.age(at(103_600)), HOUR));
        assert!(is_about(replica.age(at(90_000)), HOUR), "the clock was set back meanwhile");
        assert!(is_about(replica.age(at(107_200)), 2 * HOUR), "the machine slept meanwhile");
        replica.looked(Asked::new(at(103_600)));
        assert!(is_about(replica.age(at(103_600)), Duration::ZERO));
    }

    #[test]
    fn a_look_makes_the_directory_young_again() {
        let replica = Replica { started: Instant::now() - HOUR, ..Replica::default() };
        let asked = Asked::new(at(100_000));
        replica.publish(Directory::default(), asked.known(asked.instant.checked_sub(HOUR / 2)));
        assert!(is_about(replica.age(at(100_000)), HOUR / 2));
        replica.looked(asked);
        assert!(is_about(replica.age(at(100_000)), Duration::ZERO));
    }

    #[test]
    fn a_standby_that_is_cut_off_grows_older_though_it_answers_every_look() {
        let replica = Replica { started: Instant::now() - HOUR, ..Replica::default() };
        let first = Asked::new(at(100_000));
        let heard = first.instant.checked_sub(HOUR / 2);
        replica.publish(Directory::default(), first.known(heard));
        replica.looked(Asked::new(at(100_001)).known(heard));
        assert!(is_about(replica.age(at(100_001)), HOUR / 2));
        // The machine sleeps for an hour, which the monotonic clock does not count.
        replica.looked(Asked::new(at(103_601)).known(heard));
        assert!(is_about(replica.age(at(103_601)), HOUR + HOUR / 2));
    }

    #[test]
    fn a_moment_before_the_program_began_counts_in_full() {
        let replica = Replica::default();
        let asked = Asked::new(at(100_000));
        replica.publish(Directory::default(), asked.known(asked.instant.checked_sub(HOUR)));
        assert!(is_about(replica.age(at(100_000)), HOUR));
    }

    #[test]
    fn a_later_moment_than_the_question_is_not_taken() {
        let asked = Asked::new(at(100_000));
        let known = asked.known(Some(asked.instant + HOUR));
        assert_eq!((known.instant, known.at), (asked.instant, asked.at));
        assert_eq!(asked.known(None).at, asked.at);
    }
}
