//! Writes what was seen, where the database takes it; else drops, counts and says so.
//!
//! It has connections of its own, so that it is never in the follower's way.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use tokio::sync::mpsc::Receiver;

use super::status::{State, Status};
use super::tally::Batch;
use crate::directory::{Name, Wish};
use crate::metrics::{Metrics, SeenKind};
use crate::store::{DatabaseUrl, Open, Reported, Store, StoreError};

/// Names that were added or refused a moment ago.
const MAX_REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");
/// How long such a name is not tried again, however often it asks.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);
/// Pause after the database could not be written: it may be back at any moment.
const FAILING_PAUSE: Duration = Duration::from_secs(1);
/// Pause while it is a standby: a promotion is noticed after that.
const STANDBY_PAUSE: Duration = Duration::from_secs(2);
/// Pause while the role may not: somebody has to run deploy/roles.sql.
const NOT_GRANTED_PAUSE: Duration = Duration::from_secs(10);

/// Writes batches.
#[derive(Debug)]
pub(super) struct Pen {
    url: DatabaseUrl,
    store: Option<Store>,
    status: Arc<Status>,
    metrics: Metrics,
    recent: LruCache<Name, Instant>,
    retry_at: Option<Instant>,
}

impl Pen {
    pub(super) fn new(url: DatabaseUrl, status: Arc<Status>, metrics: Metrics) -> Self {
        let recent = LruCache::new(MAX_REMEMBERED);
        Self { url, store: None, status, metrics, recent, retry_at: None }
    }

    /// Writes until no batch can come any more.
    pub(super) async fn run(mut self, mut batches: Receiver<Batch>) {
        while let Some(batch) = batches.recv().await {
            if self.retry_at.is_some_and(|at| Instant::now() < at) {
                self.dropped(&batch.counts());
                continue;
            }
            self.write(batch).await;
        }
    }

    async fn write(&mut self, batch: Batch) {
        let counts = batch.counts();
        match self.report(&batch).await {
            Ok(Reported::Written) => {
                self.now_is(State::Writing, None, None);
                for (kind, rows) in counts.into_iter().filter(|(kind, _)| *kind != SeenKind::User) {
                    self.metrics.count_seen_written(kind, rows);
                }
                for wish in batch.wishes {
                    self.provision(&wish).await;
                }
            }
            Ok(Reported::Standby) => {
                self.now_is(State::Standby, None, Some(STANDBY_PAUSE));
                self.dropped(&counts);
            }
            Err(error) => {
                self.failed(&error);
                self.dropped(&counts);
            }
        }
    }

    async fn report(&mut self, batch: &Batch) -> Result<Reported, StoreError> {
        let store = match self.store.take() {
            Some(store) => store,
            None => Store::open(&self.url, Open::Existing).await?,
        };
        let (certificates, denials) = batch.rows(Instant::now());
        let reported = store.report(&certificates, &denials).await?;
        if reported == Reported::Written {
            self.store = Some(store);
        }
        Ok(reported)
    }

    async fn provision(&mut self, wish: &Wish) {
        if self.recent.get(&wish.username).is_some_and(|at| at.elapsed() < REMEMBERED_FOR) {
            return;
        }
        let Some(store) = &self.store else {
            self.dropped(&[(SeenKind::User, 1)]);
            return;
        };
        match store.provision(wish).await {
            Ok(is_added) => {
                self.recent.put(wish.username.clone(), Instant::now());
                self.metrics.count_seen_written(SeenKind::User, usize::from(is_added));
                report_wish(wish, is_added);
            }
            Err(error) => {
                tracing::warn!(
                    user.name = wish.username.as_str(), rule.priority = wish.priority, %error,
                    "a user could not be added; it is tried again when they come again"
                );
                self.dropped(&[(SeenKind::User, 1)]);
                self.store = None;
            }
        }
    }

    fn failed(&mut self, error: &StoreError) {
        let (state, pause) = match error {
            StoreError::Permission { .. } => (State::NotGranted, NOT_GRANTED_PAUSE),
            _ => (State::Failing, FAILING_PAUSE),
        };
        self.now_is(state, Some(error.to_string()), Some(pause));
    }

    /// Notes where the writing stands, and says each change once.
    fn now_is(&mut self, state: State, error: Option<String>, pause: Option<Duration>) {
        self.retry_at = pause.map(|pause| Instant::now() + pause);
        self.metrics.set_seen_writable(state == State::Writing);
        if !self.status.set(state, error.clone()) {
            return;
        }
        match state {
            State::Writing => tracing::info!("what is seen is written to the database"),
            State::Standby => tracing::info!(
                "the database is a standby; what is seen is not written, and nobody is added"
            ),
            State::Failing | State::NotGranted | State::Starting => tracing::warn!(
                error = error.unwrap_or_default(),
                "what is seen cannot be written; it is counted in certgate_seen_dropped"
            ),
        }
    }

    fn dropped(&self, counts: &[(SeenKind, usize)]) {
        for (kind, rows) in counts {
            self.metrics.count_seen_dropped(*kind, *rows);
        }
    }
}

fn report_wish(wish: &Wish, is_added: bool) {
    let (name, priority) = (wish.username.as_str(), wish.priority);
    if is_added {
        tracing::info!(
            user.name = name,
            rule.priority = priority,
            "a rule added a user, disabled; enable them with certgate user enable"
        );
    } else {
        tracing::info!(
            user.name = name,
            rule.priority = priority,
            "a rule did not add a user: one of that name exists, or too many wait to be enabled"
        );
    }
}
