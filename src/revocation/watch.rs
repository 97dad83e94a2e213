//! Looks at the files again and again, in a thread of its own: when the system tells of a change,
//! on SIGHUP, and every second all the same.
//!
//! A request never waits for it, and a bad file never ends it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::{Authorities, Loader, Published, is_current, notice};
use crate::metrics::{CrlFigures, CrlTimes, Metrics};
use crate::pki::{Fingerprint, RevocationList, UnixTime};

/// More than the allocator keeps among small pieces.
const LARGE_BYTES: usize = 64 * 1024 * 1024;
/// How long a change can go unseen where the system does not tell of it (network file systems).
const INTERVAL: Duration = Duration::from_secs(1);
/// A warning is given when less than this part of a list's life is left: a third is time enough to
/// mend what publishes it.
const WARN_WITHIN: i64 = 3;

/// Everything that a watch needs.
#[derive(Debug)]
pub struct Watch {
    /// What looks.
    pub loader: Loader,
    /// Where it publishes.
    pub published: Arc<Published>,
    /// Where it counts.
    pub metrics: Metrics,
    /// The clock.
    pub now: fn() -> UnixTime,
}

/// Wakes a watch.
#[derive(Clone, Debug)]
pub struct Waker(Sender<Wake>);

/// Why a watch is woken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wake {
    /// Something has changed.
    Changed,
    /// Read everything anew.
    Everything,
}

impl Waker {
    /// Has everything read anew, as on SIGHUP. A watch that has ended is not told.
    pub fn read_everything(&self) {
        let _ = self.0.send(Wake::Everything);
    }
}

impl Watch {
    /// Looks for the first time, publishes what there is, and returns it with what is wrong.
    pub fn look_first(&mut self) -> &BTreeMap<PathBuf, String> {
        let looked = self.loader.look((self.now)());
        self.metrics.count_crl_load_failures(looked.failures);
        let published = Arc::clone(&self.published);
        self.metrics.set_crl_times({
            let now = self.now;
            move || times(&published.current(), now())
        });
        self.publish(&BTreeMap::new());
        self.loader.problems()
    }

    /// Goes on looking, in a thread of its own.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn spawn(mut self) -> io::Result<Waker> {
        self.loader.slow_down();
        let (sender, receiver) = channel();
        let notice = sender.clone();
        let wake = move || notice.send(Wake::Changed).is_ok();
        if let Err(error) = notice::listen(self.loader.sources(), wake) {
            tracing::warn!(%error, "changed files are seen by looking every second only");
        }
        thread::Builder::new().name("revocation".to_owned()).spawn(move || self.run(&receiver))?;
        Ok(Waker(sender))
    }

    fn run(mut self, wakes: &Receiver<Wake>) {
        let mut warned = Vec::new();
        loop {
            match wakes.recv_timeout(INTERVAL) {
                Ok(Wake::Everything) => self.loader.forget_stamps(),
                Ok(Wake::Changed) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // One look is enough for all that has happened until it begins.
            while let Ok(wake) = wakes.try_recv() {
                if wake == Wake::Everything {
                    self.loader.forget_stamps();
                }
            }
            give_back();
            let before = self.loader.problems().clone();
            let now = (self.now)();
            let looked = self.loader.look(now);
            self.metrics.count_crl_load_failures(looked.failures);
            if looked.is_news {
                self.publish(&before);
            }
            warn_of_old_lists(self.loader.authorities(), now, &mut warned);
        }
    }

    /// Publishes what the loader has, and tells once of what is wrong.
    fn publish(&self, before: &BTreeMap<PathBuf, String>) {
        self.published.publish(&self.loader);
        let authorities = self.loader.authorities();
        let problems = self.loader.problems();
        self.metrics.set_crl_figures(CrlFigures {
            lists: authorities.lists.iter().count(),
            entries: authorities.lists.iter().map(|list| list.len()).sum(),
            unusable_files: problems.len(),
        });
        for (path, why) in problems {
            if before.get(path) != Some(why) {
                tracing::error!(file.path = %path.display(), file.problem = why,
                    "a file of CRLs or CAs cannot be used; what held before stays in force");
            }
        }
        for path in before.keys().filter(|path| !problems.contains_key(*path)) {
            tracing::info!(file.path = %path.display(), "the file can be used again");
        }
        tracing::info!(
            crl.lists = authorities.lists.iter().count(),
            crl.entries = authorities.lists.iter().map(|list| list.len()).sum::<usize>(),
            trust.anchors = authorities.store.anchors().len(),
            "CRLs and CAs as they hold from here on"
        );
    }
}

/// Has the allocator give what was freed since the last look back to the system: it looks for that
/// only when a large piece of memory comes or goes, and a long list's file would stay until the next.
fn give_back() {
    // Never written to, so that it takes no memory itself.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE_BYTES)));
}

/// How old the oldest list is, how soon the first one's nextUpdate comes, and how much of the life of
/// the list that is closest to its end is left.
fn times(authorities: &Authorities, now: UnixTime) -> Option<CrlTimes> {
    let seconds = |from: UnixTime, to: UnixTime| to.as_seconds().saturating_sub(from.as_seconds());
    let lists = || authorities.lists.iter();
    let life_left = |list: &RevocationList| {
        let life = seconds(list.this_update, list.next_update).max(1);
        seconds(now, list.next_update).saturating_mul(1000) / life
    };
    Some(CrlTimes {
        oldest_age_seconds: lists().map(|list| seconds(list.this_update, now)).max()?,
        next_update_seconds: lists().map(|list| seconds(now, list.next_update)).min()?,
        life_left_thousandths: lists().map(|list| life_left(list)).min()?,
    })
}

/// Tells once of each list whose next one should have come long before it is needed.
fn warn_of_old_lists(authorities: &Authorities, now: UnixTime, warned: &mut Vec<Fingerprint>) {
    warned.retain(|sha256| authorities.lists.iter().any(|list| list.sha256 == *sha256));
    for list in authorities.lists.iter() {
        let life = list.next_update.as_seconds() - list.this_update.as_seconds();
        let left = list.next_update.as_seconds() - now.as_seconds();
        if left > life / WARN_WITHIN || warned.contains(&list.sha256) {
            continue;
        }
        warned.push(list.sha256);
        tracing::warn!(
            crl.issuer = %list.issuer,
            crl.next_update = %list.next_update,
            crl.is_current = is_current(list, now, Duration::ZERO),
            "a CRL comes to its end, and the next one is not here"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::KeyUsagePurpose;

    use super::*;
    use crate::pki::crl::forge::{CrlForge, authority, utc};
    use crate::revocation::Sources;

    fn at(text: &str) -> UnixTime {
        UnixTime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn the_end_of_a_list_is_told_of_long_before_it_comes_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let (issuer, key) = authority("Example CA", &[KeyUsagePurpose::CrlSign]);
        fs::write(folder.path().join("ca.crt"), &issuer.der).unwrap();
        let mut list = CrlForge::new("Example CA", 1);
        list.this_update = utc("260601000000Z");
        list.next_update = utc("260611000000Z");
        fs::write(folder.path().join("ca.crl"), list.der(&key)).unwrap();
        let crl = vec![folder.path().to_owned()];
        let mut loader = Loader::new(Sources { crl, ..Sources::default() });
        assert_eq!(times(loader.authorities(), at("2026-06-01T00:00:00Z")), None);
        loader.look(at("2026-06-01T00:00:00Z"));
        let known = loader.authorities();
        let day = 24 * 60 * 60;
        let mut warned = Vec::new();
        for (now, age, left, life, warnings) in [
            ("2026-06-01T00:00:00Z", 0, 10, 1000, 0),
            ("2026-06-07T00:00:00Z", 6, 4, 400, 0),
            ("2026-06-08T00:00:00Z", 7, 3, 300, 1),
            ("2026-06-11T00:00:00Z", 10, 0, 0, 1),
            ("2026-06-16T00:00:00Z", 15, -5, -500, 1),
        ] {
            let times = times(known, at(now)).unwrap();
            assert_eq!(times.oldest_age_seconds, age * day, "{now}");
            assert_eq!(times.next_update_seconds, left * day, "{now}");
            assert_eq!(times.life_left_thousandths, life, "{now}");
            warn_of_old_lists(known, at(now), &mut warned);
            assert_eq!(warned.len(), warnings, "{now}");
        }
    }
}
