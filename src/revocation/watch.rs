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
use crate::pki::{Fingerprint, UnixTime};

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
    pub fn spawn(self) -> io::Result<Waker> {
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

/// How old the oldest list is, and how soon the first one's nextUpdate comes.
fn times(authorities: &Authorities, now: UnixTime) -> Option<CrlTimes> {
    let seconds = |from: UnixTime, to: UnixTime| to.as_seconds().saturating_sub(from.as_seconds());
    let lists = || authorities.lists.iter();
    Some(CrlTimes {
        oldest_age_seconds: lists().map(|list| seconds(list.this_update, now)).max()?,
        next_update_seconds: lists().map(|list| seconds(now, list.next_update)).min()?,
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
