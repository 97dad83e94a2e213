//! What of an answer is worth telling: the share of one worker.
//!
//! A request pays for one look into a small table. The same certificate is told of at once when it
//! first comes or its answer changes, and then once in a while with how often it came. In a flood of strangers not every one is told of.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;

use super::tally::MAX_STRANGERS;
use super::{Denied, Report, Seen, Sighting};
use crate::metrics::SeenKind;
use crate::pki::Fingerprint;
use crate::proxy::Shown;
use crate::reason::DenyReason;

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
    /// Certificates of nobody: each worker tells of as many in a second as a batch takes, so that a
    /// flood of them wakes the writer seldom.
    strangers: Budget,
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
        Self {
            seen,
            marks,
            strangers: Budget::default(),
            verified: Budget::default(),
            others: Budget::default(),
        }
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
        if code == DenyReason::Unmapped.code() && !self.strangers.take(MAX_STRANGERS, now) {
            mark.not_before = Some(now + CHANGED_EVERY);
            self.seen.drop_one(SeenKind::Certificate);
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

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;
    use tokio::sync::mpsc::{self, Receiver};

    use super::*;
    use crate::metrics::Metrics;
    use crate::pki::Certificate;
    use crate::pki::forge::{Forge, common_name};
    use crate::seen::Status;

    fn sampler(room: usize) -> (Sampler, Receiver<Report>) {
        let (queue, reports) = mpsc::channel(room);
        let metrics = Metrics::new(&[], "0.0.0", Duration::ZERO);
        (Sampler::new(Seen { queue, status: Arc::new(Status::default()), metrics }), reports)
    }

    fn shown(name: &str) -> Arc<Shown> {
        let forge = Forge { subject: common_name(name), ..Forge::default() };
        let der = forge.der(&KeyPair::generate().unwrap());
        Arc::new(Shown::from(Certificate::from_der(&der).unwrap()))
    }

    fn told(reports: &mut Receiver<Report>) -> Vec<(&'static str, u32)> {
        let sightings = std::iter::from_fn(|| reports.try_recv().ok());
        let each = sightings.map(|report| match report {
            Report::Certificate(sighting) => (sighting.code, sighting.hits),
            other => panic!("{other:?}"),
        });
        each.collect()
    }

    fn denied(at: Instant) -> Denied {
        Denied { at, code: "x", certificate: None, host: None, request_id: None, peer: None }
    }

    #[test]
    fn a_busy_certificate_is_told_of_once_a_minute_with_how_often_it_came() {
        let (sampler, mut reports) = sampler(8);
        let (alice, start) = (shown("alice"), Instant::now());
        for number in 0..60_000 {
            let now = start + Duration::from_micros(number);
            sampler.certificate(&alice, "mapped", Some("alice"), now);
        }
        assert_eq!(told(&mut reports), [("mapped", 1)]);
        sampler.certificate(&alice, "mapped", Some("alice"), start + ALLOWED_EVERY);
        assert_eq!(told(&mut reports), [("mapped", 60_000)]);
        // Another one does not wait for her.
        sampler.certificate(&shown("bob"), "unmapped", None, start);
        assert_eq!(told(&mut reports), [("unmapped", 1)]);
    }

    #[test]
    fn another_answer_is_told_at_once_but_not_with_each_request() {
        let (sampler, mut reports) = sampler(8);
        let (alice, start) = (shown("alice"), Instant::now());
        sampler.certificate(&alice, "unmapped", None, start);
        let later = start + CHANGED_EVERY;
        sampler.certificate(&alice, "mapped", Some("alice"), later);
        assert_eq!(told(&mut reports), [("unmapped", 1), ("mapped", 1)]);
        for _ in 0..100 {
            sampler.certificate(&alice, "group_required", None, later);
            sampler.certificate(&alice, "mapped", Some("alice"), later);
        }
        assert_eq!(told(&mut reports), []);
        sampler.certificate(&alice, "group_required", None, later + CHANGED_EVERY);
        assert_eq!(told(&mut reports), [("group_required", 201)]);
    }

    #[test]
    fn a_full_queue_loses_no_count_and_is_not_tried_with_each_request() {
        let (sampler, mut reports) = sampler(1);
        let (alice, bob, start) = (shown("alice"), shown("bob"), Instant::now());
        sampler.certificate(&bob, "unmapped", None, start);
        for _ in 0..100 {
            sampler.certificate(&alice, "unmapped", None, start);
        }
        assert_eq!(sampler.seen.metrics.seen_dropped(), 1);
        assert_eq!(told(&mut reports), [("unmapped", 1)]);
        sampler.certificate(&alice, "unmapped", None, start + CHANGED_EVERY);
        assert_eq!(told(&mut reports), [("unmapped", 101)]);
    }

    #[test]
    fn a_flood_of_strangers_is_told_of_in_part_and_hides_nobody_who_comes_in() {
        let (sampler, mut reports) = sampler(1000);
        let (key, start) = (KeyPair::generate().unwrap(), Instant::now());
        for number in 0..3 * MAX_STRANGERS {
            let [_, _, high, low] = number.to_be_bytes();
            let forge = Forge { serial: vec![1, high, low], ..Forge::default() };
            let certificate = Certificate::from_der(&forge.der(&key)).unwrap();
            sampler.certificate(&Arc::new(Shown::from(certificate)), "unmapped", None, start);
        }
        assert_eq!(told(&mut reports), [("unmapped", 1); MAX_STRANGERS as usize]);
        assert_eq!(sampler.seen.metrics.seen_dropped(), u64::from(2 * MAX_STRANGERS));
        sampler.certificate(&shown("alice"), "mapped", Some("alice"), start);
        assert_eq!(told(&mut reports), [("mapped", 1)]);
    }

    #[test]
    fn denials_are_few_of_one_certificate_few_of_all_and_fewer_without() {
        let (sampler, mut reports) = sampler(1000);
        let start = Instant::now();
        let mut count = |certificate: Option<Fingerprint>, now| {
            for _ in 0..100 {
                sampler.denied(certificate, now, || denied(now));
            }
            std::iter::from_fn(|| reports.try_recv().ok()).count()
        };
        assert_eq!(count(None, start), 10);
        let fingerprint = |number: u8| Some(Fingerprint::of(&[number]));
        let all: usize = (0..20).map(|number| count(fingerprint(number), start)).sum();
        assert_eq!(all, 50);
        assert_eq!(count(fingerprint(0), start), 0);
        let later = start + BUDGET_EVERY;
        assert_eq!((count(None, later), count(fingerprint(0), later)), (10, 5));
        assert_eq!(sampler.seen.metrics.seen_dropped(), 2400 - 75);
    }

    #[test]
    fn what_a_worker_remembers_is_bounded() {
        let (sampler, _reports) = sampler(1);
        let now = Instant::now();
        for number in 0..20_000_u32 {
            let sha256 = Fingerprint::of(&number.to_be_bytes());
            sampler.denied(Some(sha256), now, || denied(now));
        }
        assert_eq!(sampler.marks.borrow().len(), MAX_MARKS.get());
    }
}
