//! What of an answer is worth telling: the share of one worker.
//!
//! A request pays for one look into a small table. The same certificate is told of at once when it
//! first comes or its answer changes, and then once in a while with how often it came.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;

use super::{Denied, Report, Seen, Sighting};
use crate::metrics::SeenKind;
use crate::pki::Fingerprint;
use crate::proxy::Shown;

/// How many certificates one worker remembers having told of: 1 MiB. One that was forgotten is
/// told of again, and what it was counted meanwhile is lost.
const MAX_MARKS: NonZeroUsize = NonZeroUsize::new(8192).expect("it is not zero");
/// How often a certificate is told of that lets somebody in: "last seen" is as exact as that.
const ALLOWED_EVERY: Duration = Duration::from_secs(60);
/// How often one is that does not: an operator may be waiting for it to show up.
const DENIED_EVERY: Duration = Duration::from_secs(5);
/// How often one is whose answers differ from request to request; also after a full queue.
const CHANGED_EVERY: Duration = Duration::from_secs(1);
/// Denials of one certificate that one worker tells of in a second: a page and what is on it.
const MAX_DENIALS_OF_ONE: u32 = 5;
/// Denials of all verified certificates that one worker tells of in a second.
const MAX_DENIALS_OF_VERIFIED: u32 = 50;
/// Denials without one: anybody can cause them, and few are as good as many.
const MAX_DENIALS_OF_OTHERS: u32 = 10;
/// What those are counted over.
const BUDGET_EVERY: Duration = Duration::from_secs(1);

/// One worker's share.
#[derive(Debug)]
pub struct Sampler {
    seen: Seen,
    marks: RefCell<LruCache<Fingerprint, Mark>>,
    verified: Budget,
    others: Budget,
}

/// What was told of a certificate.
#[derive(Debug)]
struct Mark {
    /// The answer that was told, and when; none before the first time.
    told: Option<(&'static str, Instant)>,
    /// How often it came since.
    hits: u32,
    /// No more tries before: the queue was full.
    not_before: Option<Instant>,
    denials: Budget,
}

impl Sampler {
    /// A worker's share of this queue.
    #[must_use]
    pub fn new(seen: Seen) -> Self {
        let marks = RefCell::new(LruCache::new(MAX_MARKS));
        Self { seen, marks, verified: Budget::default(), others: Budget::default() }
    }

    /// A verified certificate got this answer; `username` is whom it let in.
    pub fn certificate(
        &self,
        shown: &Arc<Shown>,
        code: &'static str,
        username: Option<&str>,
        now: Instant,
    ) {
        let mut marks = self.marks.borrow_mut();
        let mark = marks.get_or_insert_mut(shown.certificate.sha256, Mark::new);
        mark.hits = mark.hits.saturating_add(1);
        let every = if username.is_some() { ALLOWED_EVERY } else { DENIED_EVERY };
        if !mark.is_due(code, every, now) {
            return;
        }
        let sighting = Sighting {
            shown: Arc::clone(shown),
            hits: mark.hits,
            at: now,
            code,
            username: username.map(Into::into),
        };
        if self.seen.leave(Report::Certificate(sighting)) {
            *mark = Mark { told: Some((code, now)), denials: mark.denials.clone(), ..Mark::new() };
        } else {
            mark.not_before = Some(now + CHANGED_EVERY);
        }
    }

    /// A request was denied; `denied` is asked for the rest only if it is told of.
    pub fn denied(
        &self,
        certificate: Option<Fingerprint>,
        now: Instant,
        denied: impl FnOnce() -> Denied,
    ) {
        let has_room = match certificate {
            Some(sha256) => {
                let mut marks = self.marks.borrow_mut();
                let mark = marks.get_or_insert_mut(sha256, Mark::new);
                mark.denials.take(MAX_DENIALS_OF_ONE, now)
                    && self.verified.take(MAX_DENIALS_OF_VERIFIED, now)
            }
            None => self.others.take(MAX_DENIALS_OF_OTHERS, now),
        };
        if has_room {
            self.seen.leave(Report::Denied(denied()));
        } else {
            self.seen.drop_one(SeenKind::Denial);
        }
    }
}

impl Mark {
    fn new() -> Self {
        Self { told: None, hits: 0, not_before: None, denials: Budget::default() }
    }

    fn is_due(&self, code: &str, every: Duration, now: Instant) -> bool {
        if self.not_before.is_some_and(|at| now < at) {
            return false;
        }
        let Some((told, at)) = self.told else { return true };
        let every = if told == code { every } else { CHANGED_EVERY };
        now.saturating_duration_since(at) >= every
    }
}

/// So many in each stretch of time.
#[derive(Clone, Debug, Default)]
struct Budget(Cell<Option<(Instant, u32)>>);

impl Budget {
    fn take(&self, most: u32, now: Instant) -> bool {
        let taken = match self.0.get() {
            Some((since, taken)) if now.saturating_duration_since(since) < BUDGET_EVERY => {
                if taken >= most {
                    return false;
                }
                (since, taken + 1)
            }
            _ => (now, 1),
        };
        self.0.set(Some(taken));
        true
    }
}
