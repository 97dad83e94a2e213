//! Says when the directory has become too old to answer from, and when it is current again.
//!
//! It decides nothing: every request reckons the age for itself.

use std::sync::Arc;
use std::time::Duration;

use super::Replica;
use crate::metrics::Metrics;
use crate::pki::UnixTime;

/// How often the age is looked at: an operator's log is no finer.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Watches the age of a replica.
#[derive(Debug)]
pub struct StalenessWatch {
    /// Whose age.
    pub replica: Arc<Replica>,
    /// From which age on requests are refused; none is never.
    pub max_staleness: Option<Duration>,
    /// Where it is shown.
    pub metrics: Metrics,
    /// The clock.
    pub now: fn() -> UnixTime,
}

impl StalenessWatch {
    /// Watches; never returns.
    pub async fn run(self) {
        let Some(limit) = self.max_staleness else { return };
        let mut was_stale = false;
        loop {
            let age = self.replica.age((self.now)());
            let is_stale = self.replica.directory().is_some() && age > limit;
            if is_stale != was_stale {
                self.metrics.set_directory_stale(is_stale);
                report(is_stale, age, limit);
                was_stale = is_stale;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

fn report(is_stale: bool, age: Duration, limit: Duration) {
    let (age, limit) = (age.as_secs_f64(), limit.as_secs_f64());
    if is_stale {
        tracing::error!(
            directory.age_seconds = age,
            directory.max_staleness_seconds = limit,
            "the directory is older than directory.max_staleness: every request is refused"
        );
    } else {
        tracing::info!(directory.age_seconds = age, "the directory is current again");
    }
}
