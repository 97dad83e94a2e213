//! Keeps the directory in memory equal to the store.
//!
//! One session is: connect, subscribe, *then* load, then look whenever something may have changed.
//! Any gap ends the session and a new one starts from a whole load. While the store is away the
//! last directory stays, and its age says so; nothing here ever guesses.

mod keeper;
mod load;
mod machine;
mod replica;
#[cfg(test)]
mod simulator;
mod snapshot;
mod staleness;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use keeper::Keeper;
use machine::{Action, Event, POLL_INTERVAL, State};
use replica::Asked;
pub use replica::Replica;
pub use snapshot::{SnapshotError, SnapshotFile};
pub use staleness::StalenessWatch;

use crate::directory::row::Change;
use crate::directory::{Directory, Relation, Settings, Severity};
use crate::metrics::{DirectoryRows, Metrics, SyncState};
use crate::pki::UnixTime;
use crate::store::{DatabaseUrl, Looked, Open, Session, Store, StoreError};

/// Between two looks at whether a directory that was replaced is still being read.
const RETIRE_PAUSE: Duration = Duration::from_millis(10);
/// Looks in the time that a directory may be old.
const LOOKS_PER_STALENESS: u32 = 50;
/// Shortest time between two looks without a notification.
const SHORTEST_POLL: Duration = Duration::from_millis(100);
/// Most rows at fault that one load reports one by one.
const MAX_REPORTED_ROWS: usize = 20;

/// Follows a store and publishes what it holds.
#[derive(Debug)]
pub struct Follower {
    /// Where the store is.
    pub url: DatabaseUrl,
    /// Where the directory is published.
    pub replica: Arc<Replica>,
    /// Where sizes and failures are shown.
    pub metrics: Metrics,
    /// What is configured of names.
    pub settings: Settings,
    /// From which age on requests are refused; none is never.
    pub max_staleness: Option<Duration>,
    /// The clock.
    pub now: fn() -> UnixTime,
}

impl Follower {
    /// Opens a session and publishes its first load.
    ///
    /// # Errors
    /// Whatever keeps the store from being read whole.
    pub async fn start_session(&self, store: &Store) -> Result<Session, StoreError> {
        let mut session = Session::start(store).await?;
        self.load(&mut session).await?;
        Ok(session)
    }

    /// Publishes what was kept in a file, as old as it is, while the database is away.
    pub fn start_from_snapshot(&self, directory: Directory, true_at: UnixTime, away: &StoreError) {
        report_unusable(&directory);
        self.show(&directory);
        self.replica.publish_old(directory, true_at, (self.now)());
        self.lost(away);
    }

    /// Goes on with this session, if there is one, and opens a new one after every failure; never
    /// returns.
    pub async fn run(self, session: Option<Session>) {
        let (mut state, mut action) = match session {
            Some(_) => State::loaded(Instant::now()),
            None => State::START,
        };
        let mut hands = Hands { follower: self, session, changes: Vec::new(), asked: None };
        loop {
            let event = hands.perform(action).await;
            (state, action) = state.step(event);
        }
    }

    /// A database that was there and is gone comes back by its operator's hand. An empty one made
    /// meanwhile would be in the way of that, and would be believed.
    async fn open(&self) -> Result<Session, StoreError> {
        let open = match self.replica.directory().is_some() {
            true => Open::Existing,
            false => Open::Create,
        };
        let store = Store::open(&self.url, open).await?;
        Session::start(&store).await
    }

    async fn load(&self, session: &mut Session) -> Result<(), StoreError> {
        let asked = Asked::new((self.now)());
        let directory = load::whole(session, &self.settings).await?;
        self.metrics.count_sync_reload();
        report_unusable(&directory);
        self.publish(directory, asked.known(session.looked_at()));
        self.replica.set_manner(session.manner());
        if self.replica.set_trouble(None) {
            tracing::info!(sync.manner = session.manner().as_str(), "following the database");
        }
        self.metrics.set_sync_state(SyncState::Following);
        Ok(())
    }

    /// The directory with these changes, or none where all has to be loaded.
    async fn apply(&self, changes: Vec<Change>) -> Option<Directory> {
        let before = self.replica.directory().clone()?;
        // Ten thousand rows take a while to index: not on a thread that answers.
        let after = tokio::task::spawn_blocking(move || before.apply(&changes));
        match after.await {
            Ok(after) => after,
            // A fault in there is answered by a load, which does without it.
            Err(error) if error.is_panic() => None,
            // Only a runtime that is ending cancels it; then nobody follows any more.
            Err(_) => std::future::pending().await,
        }
    }

    fn publish(&self, directory: Directory, asked: Asked) {
        self.show(&directory);
        if let Some(before) = self.replica.publish(directory, asked) {
            tokio::spawn(retire(before));
        }
    }

    fn lost(&self, error: &StoreError) {
        self.metrics.count_sync_failure();
        self.metrics.set_sync_state(match self.replica.directory().is_some() {
            true => SyncState::Retrying,
            false => SyncState::Starting,
        });
        if self.replica.set_trouble(Some(error.to_string())) {
            tracing::warn!(%error, "the database cannot be followed; answering from memory");
        }
    }

    fn show(&self, directory: &Directory) {
        self.metrics.set_directory_rows(DirectoryRows {
            users: directory.user_count(),
            mappings: directory.mapping_count(),
            blocks: directory.block_count(),
            rules: directory.rule_count(),
        });
        for relation in Relation::ALL {
            let rows = directory.unusable().iter().filter(|row| row.relation == relation).count();
            self.metrics.set_unusable_rows(relation.name(), rows);
        }
    }
}

fn report_unusable(directory: &Directory) {
    for row in directory.unusable().iter().take(MAX_REPORTED_ROWS) {
        let (relation, key, error) = (row.relation.name(), row.key.as_str(), &row.error);
        match row.severity {
            Severity::Critical => tracing::error!(
                row.relation = relation, row.key = key, %error,
                "a block cannot be read: whom it should keep out is not known"
            ),
            Severity::Warning => tracing::warn!(
                row.relation = relation, row.key = key, %error,
                "a row cannot be used as it was meant"
            ),
        }
    }
    let rest = directory.unusable().len().saturating_sub(MAX_REPORTED_ROWS);
    if rest > 0 {
        tracing::warn!(row.count = rest, "more rows cannot be used");
    }
}

/// What carries out the machine's actions: one session, and what its last look found.
struct Hands {
    follower: Follower,
    session: Option<Session>,
    changes: Vec<Change>,
    asked: Option<Asked>,
}

impl Hands {
    async fn perform(&mut self, action: Action) -> Event {
        match self.try_to(action).await {
            Ok(event) => event,
            Err(error) => {
                self.session = None;
                self.follower.lost(&error);
                Event::Failed { jitter: jitter() }
            }
        }
    }

    async fn try_to(&mut self, action: Action) -> Result<Event, StoreError> {
        match action {
            Action::Open => {
                self.session = Some(self.follower.open().await?);
                Ok(Event::Opened)
            }
            Action::Pause(pause) => {
                self.session = None;
                tokio::time::sleep(pause).await;
                Ok(Event::Woken { at: Instant::now() })
            }
            Action::Load => {
                let session = self.session.as_mut().ok_or_else(no_session)?;
                self.follower.load(session).await?;
                Ok(Event::Loaded { at: Instant::now() })
            }
            Action::WaitUntil(moment) => {
                let session = self.session.as_mut().ok_or_else(no_session)?;
                let limit = moment.saturating_duration_since(Instant::now());
                session.wait(limit.min(poll_interval(self.follower.max_staleness))).await?;
                self.follower
                    .replica
                    .looked(Asked::new((self.follower.now)()).known(session.looked_at()));
                Ok(Event::Woken { at: Instant::now() })
            }
            Action::Look => self.look().await,
            Action::Apply => Ok(self.apply().await),
        }
    }

    async fn look(&mut self) -> Result<Event, StoreError> {
        let session = self.session.as_mut().ok_or_else(no_session)?;
        let asked = Asked::new((self.follower.now)());
        let looked = session.look().await?;
        let asked = asked.known(session.looked_at());
        Ok(match looked {
            Looked::Same => {
                self.follower.replica.looked(asked);
                Event::LookedSame
            }
            Looked::Changes(changes) => {
                self.changes = changes;
                self.asked = Some(asked);
                Event::LookedChanges
            }
            Looked::Reload(why) => {
                tracing::info!(sync.reason = why, "reading the whole directory anew");
                Event::LookedReload
            }
        })
    }

    async fn apply(&mut self) -> Event {
        let changes = std::mem::take(&mut self.changes);
        let directory = self.follower.apply(changes).await;
        let (Some(directory), Some(asked)) = (directory, self.asked.take()) else {
            return Event::CannotApply;
        };
        self.follower.metrics.count_sync_applied();
        self.follower.publish(directory, asked);
        Event::Applied { at: Instant::now() }
    }
}

/// Longest wait before a look. What may not be old is looked at often: the age that a database
/// which goes away leaves behind is then nearly nothing, and its limit holds nearly whole.
#[must_use]
pub fn poll_interval(max_staleness: Option<Duration>) -> Duration {
    let often = max_staleness.map_or(POLL_INTERVAL, |limit| limit / LOOKS_PER_STALENESS);
    often.clamp(SHORTEST_POLL, POLL_INTERVAL)
}

fn no_session() -> StoreError {
    let (place, reason) = ("the database".to_owned(), "there is no session".to_owned());
    StoreError::Unreachable { place, reason }
}

/// Any number from 0 to 1.
fn jitter() -> f64 {
    f64::from(u16::try_from(RandomState::new().build_hasher().finish() & 0xffff).unwrap_or(0))
        / f64::from(u16::MAX)
}

/// Frees a directory once nobody reads it any more, and not on a thread that answers: a million
/// rows take a while to free.
async fn retire(directory: Arc<Directory>) {
    while Arc::strong_count(&directory) > 1 {
        tokio::time::sleep(RETIRE_PAUSE).await;
    }
    let _ = tokio::task::spawn_blocking(move || drop(directory)).await;
}
