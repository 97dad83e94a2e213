//! Keeps the directory in memory equal to the store.
//!
//! One session is: connect, subscribe, *then* load, then look whenever something may have changed.
//! Any gap ends the session and a new one starts from a whole load. While the store is away the
//! last directory stays, and its age says so; nothing here ever guesses.

mod replica;
mod snapshot;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use replica::Asked;
pub use replica::Replica;
pub use snapshot::{SnapshotError, SnapshotFile};

use crate::directory::{Directory, Relation, Rows, Settings, Severity};
use crate::metrics::{DirectoryRows, Metrics, SyncState};
use crate::pki::UnixTime;
use crate::store::{DatabaseUrl, Open, Session, Store, StoreError};

/// Pause before the first new session after a failure.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
/// Longest pause between sessions: a store that returns is seen within a second.
const LAST_BACK_OFF: Duration = Duration::from_millis(800);
/// Longest wait for a notification before the store is asked anyway.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
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

    /// Goes on with this session, if there is one, and opens a new one after every failure; never
    /// returns.
    pub async fn run(self, mut session: Option<Session>) {
        let mut back_off = FIRST_BACK_OFF;
        loop {
            let error = match session.take() {
                Some(session) => {
                    back_off = FIRST_BACK_OFF;
                    match self.follow(session).await {
                        Ok(never) => match never {},
                        Err(error) => error,
                    }
                }
                None => match self.reopen().await {
                    Ok(opened) => {
                        session = Some(opened);
                        continue;
                    }
                    Err(error) => error,
                },
            };
            self.lost(&error);
            tokio::time::sleep(back_off).await;
            back_off = (back_off * 2).min(LAST_BACK_OFF);
        }
    }

    /// A database that was there and is gone comes back by its operator's hand. An empty one made
    /// meanwhile would be in the way of that, and would be believed.
    async fn reopen(&self) -> Result<Session, StoreError> {
        let open = match self.replica.directory().is_some() {
            true => Open::Existing,
            false => Open::Create,
        };
        let store = Store::open(&self.url, open).await?;
        self.start_session(&store).await
    }

    /// Looks and loads until something fails.
    async fn follow(&self, mut session: Session) -> Result<Infallible, StoreError> {
        loop {
            let asked = Asked::new((self.now)());
            if session.changed(POLL_INTERVAL).await? {
                self.load(&mut session).await?;
            } else {
                self.replica.looked(asked.known(session.looked_at()));
            }
        }
    }

    async fn load(&self, session: &mut Session) -> Result<(), StoreError> {
        let asked = Asked::new((self.now)());
        let rows = Rows::from(session.load().await?);
        let settings = self.settings.clone();
        // A million rows take seconds to index: not on a thread that answers.
        let build = tokio::task::spawn_blocking(move || Directory::build(&rows, &settings));
        // Only a runtime that is ending cancels it; then nobody follows any more.
        let Ok(directory) = build.await else { return std::future::pending().await };
        self.show(&directory);
        self.replica.publish(directory, asked.known(session.looked_at()));
        if self.replica.set_trouble(None) {
            tracing::info!("following the database");
        }
        self.metrics.set_sync_state(SyncState::Following);
        Ok(())
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
        self.metrics.count_sync_reload();
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
        report_unusable(directory);
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
