//! Keeps the directory in memory equal to the store.
//!
//! One session is: connect, subscribe, *then* load, then look whenever something may have changed.
//! Any gap ends the session and a new one starts from a whole load. While the store is away the
//! last directory stays, and its age says so; nothing here ever guesses.

mod replica;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use replica::Asked;
pub use replica::{Replica, SyncState};

use crate::directory::{Directory, Severity};
use crate::pki::UnixTime;
use crate::store::{Session, Store, StoreError};

/// Pause before the first new session after a failure.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
/// Longest pause between sessions: a store that returns is seen within a second.
const LAST_BACK_OFF: Duration = Duration::from_millis(800);
/// Longest wait for a notification before the store is asked anyway.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Most rows at fault that one load reports one by one.
const MAX_REPORTED_ROWS: usize = 20;

/// Follows a store until told to stop.
#[derive(Debug)]
pub struct Follower {
    /// Where the rows are.
    pub store: Store,
    /// Where the directory is published.
    pub replica: Arc<Replica>,
    /// Joins groups in the answer.
    pub group_separator: char,
    /// The clock.
    pub now: fn() -> UnixTime,
}

impl Follower {
    /// Runs session after session; returns only when `stop` turns true or its sender is gone.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.follow() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn follow(&self) {
        let mut back_off = FIRST_BACK_OFF;
        loop {
            let loads = self.replica.loads();
            let error = match self.session().await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            self.replica.session_lost(&error);
            if self.replica.loads() > loads {
                back_off = FIRST_BACK_OFF;
            }
            tokio::time::sleep(back_off).await;
            back_off = (back_off * 2).min(LAST_BACK_OFF);
        }
    }

    /// One session; ends only by an error.
    async fn session(&self) -> Result<std::convert::Infallible, StoreError> {
        let mut session = Session::start(&self.store).await?;
        self.load(&mut session).await?;
        loop {
            let asked = Asked::new((self.now)());
            if session.changed(POLL_INTERVAL).await? {
                self.load(&mut session).await?;
            } else {
                self.replica.looked(asked);
            }
        }
    }

    async fn load(&self, session: &mut Session) -> Result<(), StoreError> {
        let asked = Asked::new((self.now)());
        let snapshot = session.load().await?;
        let separator = self.group_separator;
        let directory =
            tokio::task::spawn_blocking(move || Directory::build(&snapshot.rows, separator))
                .await
                .map_err(|_| StoreError::Interrupted)?;
        report_unusable(&directory);
        self.replica.publish(directory, asked);
        Ok(())
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
                row.relation = relation, row.key = key, %error, "a row cannot be used as it was meant"
            ),
        }
    }
    let rest = directory.unusable().len().saturating_sub(MAX_REPORTED_ROWS);
    if rest > 0 {
        tracing::warn!(row.count = rest, "more rows cannot be used");
    }
}
