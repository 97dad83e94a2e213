//! From a request that a provisioning rule is about to a row: one bounded queue, one writer.
//!
//! A request never waits: a full queue drops the wish, which comes again with the next request.
//! Nothing here lets anybody in; what is added is disabled.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::directory::{Name, Wish};
use crate::metrics::Metrics;
use crate::store::{DatabaseUrl, Open, Store, StoreError};

/// Wishes that may wait to be written: a burst of new people on a Monday morning.
const MAX_WAITING: usize = 256;
/// Names that were written or refused a moment ago.
const MAX_REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");
/// How long such a name is not tried again, however often it asks.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);
/// Pause after the store could not be written: a standby cannot be, for as long as it is one.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Where the data plane leaves its wishes.
#[derive(Clone, Debug)]
pub struct Wishes {
    queue: Sender<Wish>,
    metrics: Metrics,
}

impl Wishes {
    /// Leaves a wish, or drops and counts it; never waits.
    pub fn send(&self, wish: Wish) {
        if self.queue.try_send(wish).is_err() {
            self.metrics.count_provision_dropped();
        }
    }
}

/// Writes what was wished.
#[derive(Debug)]
pub struct Provisioner {
    queue: Receiver<Wish>,
    url: DatabaseUrl,
    store: Option<Store>,
    recent: LruCache<Name, Instant>,
}

/// A queue and its writer.
#[must_use]
pub fn provisioning(url: DatabaseUrl, metrics: Metrics) -> (Wishes, Provisioner) {
    let (sender, queue) = mpsc::channel(MAX_WAITING);
    let recent = LruCache::new(MAX_REMEMBERED);
    (Wishes { queue: sender, metrics }, Provisioner { queue, url, store: None, recent })
}

impl Provisioner {
    /// Writes until nobody can wish any more.
    pub async fn run(mut self) {
        while let Some(wish) = self.queue.recv().await {
            if self.recent.get(&wish.username).is_some_and(|at| at.elapsed() < REMEMBERED_FOR) {
                continue;
            }
            match self.write(&wish).await {
                Ok(is_added) => {
                    self.recent.put(wish.username.clone(), Instant::now());
                    report(&wish, is_added);
                }
                Err(error) => {
                    tracing::warn!(
                        user.name = wish.username.as_str(), rule.priority = wish.priority, %error,
                        "a user could not be added; it is tried again when they come again"
                    );
                    self.store = None;
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }

    async fn write(&mut self, wish: &Wish) -> Result<bool, StoreError> {
        let store = match self.store.take() {
            Some(store) => store,
            None => Store::open(&self.url, Open::Existing).await?,
        };
        let is_added = store.provision(wish).await;
        self.store = Some(store);
        is_added
    }
}

fn report(wish: &Wish, is_added: bool) {
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
