//! Keeps the published directory in a file, for the next start.
//!
//! It writes from memory, so the database never notices; and at most a small part of the time, so
//! a busy directory does not keep the disk busy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Replica, SnapshotFile};
use crate::pki::UnixTime;

/// How often it is looked whether something new was published.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A file whose directory did not change is written again once what it says is this much older
/// than what is known: its age counts.
const RENEW_INTERVAL: Duration = Duration::from_secs(60);
/// A pause is this many times as long as the write before it.
const PAUSES: u32 = 20;
/// Pause after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Writes a replica's directory down.
#[derive(Debug)]
pub struct Keeper {
    /// Where.
    pub file: SnapshotFile,
    /// Whose directory.
    pub replica: Arc<Replica>,
    /// The clock.
    pub now: fn() -> UnixTime,
}

/// What stands in the file.
#[derive(Clone, Copy)]
struct Written {
    version: u64,
    true_at: UnixTime,
}

impl Keeper {
    /// Writes whenever there is something new; never returns.
    pub async fn run(self) {
        let mut written = None;
        let mut trouble = None;
        loop {
            let pause = match self.due(written) {
                None => LOOK_INTERVAL,
                Some(next) => {
                    let began = Instant::now();
                    match self.write(next.true_at).await {
                        Ok(()) => {
                            written = Some(next);
                            if trouble.take().is_some() {
                                tracing::info!("the snapshot is written again");
                            }
                            LOOK_INTERVAL.max(began.elapsed() * PAUSES)
                        }
                        Err(error) => {
                            if trouble.as_ref() != Some(&error) {
                                tracing::error!(%error, "the snapshot cannot be written");
                            }
                            trouble = Some(error);
                            RETRY_INTERVAL
                        }
                    }
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// What should be written now, if anything.
    fn due(&self, written: Option<Written>) -> Option<Written> {
        // The version before the time: whatever is published between the two is written next.
        let version = self.replica.version();
        self.replica.directory().as_ref()?;
        let now = (self.now)();
        let age = i64::try_from(self.replica.age(now).as_micros()).unwrap_or(i64::MAX);
        let true_at = UnixTime::from_micros(now.as_micros().saturating_sub(age));
        let next = Written { version, true_at };
        let Some(written) = written else { return Some(next) };
        let newer = true_at.as_micros().saturating_sub(written.true_at.as_micros());
        let renew = i64::try_from(RENEW_INTERVAL.as_micros()).unwrap_or(i64::MAX);
        (version != written.version || newer >= renew).then_some(next)
    }

    async fn write(&self, true_at: UnixTime) -> Result<(), String> {
        let Some(directory) = self.replica.directory().clone() else { return Ok(()) };
        let file = self.file.clone();
        // Hundreds of megabytes: not on a thread that answers.
        let wrote = tokio::task::spawn_blocking(move || file.write(&directory, true_at)).await;
        match wrote {
            Ok(wrote) => wrote.map_err(|error| error.to_string()),
            Err(error) if error.is_panic() => {
                Err("writing it failed: this is a fault of certgate".to_owned())
            }
            // Only a runtime that is ending cancels it.
            Err(_) => std::future::pending().await,
        }
    }
}
