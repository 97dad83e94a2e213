//! Counts decisions and their durations, each worker for itself.
//!
//! This is on the path of every request: no lock, no lookup by name, no cache line shared by
//! workers. `prometheus-client`'s own histogram takes a lock for each observation, so that it is
//! not used here.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// Upper bounds of the decision's duration: a decision from memory takes microseconds; the upper
/// ones show a machine in trouble.
const DURATION_BOUNDS: [Duration; 12] = [
    Duration::from_micros(1),
    Duration::from_micros(2),
    Duration::from_micros(5),
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(10),
    Duration::from_millis(100),
];

/// Counts the decisions of one worker, without a lookup or a lock. It is in the hands of one thread
/// at a time, and has no copies: nobody else writes what it counts.
#[derive(Debug)]
pub struct DecisionRecorder {
    shard: Arc<Shard>,
    one_thread_at_a_time: PhantomData<Cell<()>>,
}

impl DecisionRecorder {
    /// Counts one decision: its code's position in the list given to
    /// [`Metrics::new`](super::Metrics::new), and how long it took. A position outside the
    /// list is counted in the duration only.
    pub fn record(&self, code: usize, took: Duration) {
        if let Some(counter) = self.shard.codes.get(code) {
            add(counter, 1);
        }
        let bucket = DURATION_BOUNDS.iter().position(|bound| took <= *bound);
        // The last one is for what is longer than every bound.
        let bucket = bucket.unwrap_or(DURATION_BOUNDS.len());
        if let Some(counter) = self.shard.buckets.get(bucket) {
            add(counter, 1);
        }
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        add(&self.shard.nanoseconds, nanoseconds);
    }
}

/// Without the lock of a `fetch_add`: nobody else writes here.
fn add(counter: &AtomicU64, much: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(much), Ordering::Relaxed);
}

/// One worker's counters.
#[derive(Debug)]
struct Shard {
    codes: Box<[AtomicU64]>,
    buckets: [AtomicU64; DURATION_BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Shard {
    fn new(codes: usize) -> Self {
        Self {
            codes: (0..codes).map(|_| AtomicU64::new(0)).collect(),
            buckets: Default::default(),
            nanoseconds: AtomicU64::new(0),
        }
    }
}

/// The sum over all workers.
#[derive(Clone, Debug)]
pub(super) struct Decisions {
    inner: Arc<DecisionsInner>,
}

#[derive(Debug)]
struct DecisionsInner {
    codes: &'static [&'static str],
    shards: Mutex<Vec<Arc<Shard>>>,
}

impl Decisions {
    /// Counters for these codes, without a worker.
    pub(super) fn new(codes: &'static [&'static str]) -> Self {
        Self { inner: Arc::new(DecisionsInner { codes, shards: Mutex::default() }) }
    }

    /// A worker's own counters. They are kept for ever, so that no count goes back when a worker
    /// ends.
    pub(super) fn recorder(&self) -> DecisionRecorder {
        let shard = Arc::new(Shard::new(self.inner.codes.len()));
        let mut shards = self.inner.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.push(Arc::clone(&shard));
        DecisionRecorder { shard, one_thread_at_a_time: PhantomData }
    }
}

impl Collector for Decisions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let shards = self.inner.shards.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sum = |pick: &dyn Fn(&Shard) -> Option<u64>| -> u64 {
            shards.iter().filter_map(|shard| pick(shard)).sum()
        };
        let mut family = encoder.encode_descriptor(
            "decisions",
            "Decisions, by code.",
            None,
            MetricType::Counter,
        )?;
        for (index, code) in self.inner.codes.iter().enumerate() {
            let total = sum(&|shard| Some(shard.codes.get(index)?.load(Ordering::Relaxed)));
            let label = [("code", *code)];
            ConstCounter::new(total).encode(family.encode_family(&label)?)?;
        }
        let mut count = 0;
        let mut buckets = Vec::new();
        let bounds = DURATION_BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        for (index, bound) in bounds.enumerate() {
            let inside = sum(&|shard| Some(shard.buckets.get(index)?.load(Ordering::Relaxed)));
            count += inside;
            buckets.push((bound, inside));
        }
        let nanoseconds = sum(&|shard| Some(shard.nanoseconds.load(Ordering::Relaxed)));
        let total = Duration::from_nanos(nanoseconds).as_secs_f64();
        let mut histogram = encoder.encode_descriptor(
            "decision_duration_seconds",
            "Time from the request's arrival to its decision.",
            None,
            MetricType::Histogram,
        )?;
        histogram.encode_histogram::<NoLabelSet>(total, count, &buckets, None)
    }
}
