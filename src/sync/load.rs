//! From the rows of a session to a directory, without holding them all and without taking a
//! thread from those who answer.

use tokio::sync::mpsc::{self, Sender};

use crate::directory::row::Row;
use crate::directory::{Builder, Directory, Settings};
use crate::store::{Session, Sink, StoreError};

/// Rows that travel together: a channel costs more than a row does.
const BATCH_ROWS: usize = 512;
/// Batches on their way. A builder that is slower than the database holds the reading up.
const MAX_BATCHES: usize = 8;

/// Loads everything and builds a directory of it.
pub(super) async fn whole(
    session: &mut Session,
    settings: &Settings,
) -> Result<Directory, StoreError> {
    let (sender, mut batches) = mpsc::channel::<Vec<Row>>(MAX_BATCHES);
    let mut builder = Builder::new(settings);
    let built = tokio::task::spawn_blocking(move || {
        while let Some(batch) = batches.blocking_recv() {
            batch.into_iter().for_each(|row| builder.add(row));
        }
        builder.finish()
    });
    let mut batches = Batches { sender, rows: Vec::with_capacity(BATCH_ROWS) };
    session.load_each(&mut batches).await?;
    batches.send().await;
    drop(batches);
    match built.await {
        Ok(directory) => Ok(directory),
        Err(error) if error.is_panic() => {
            let reason = "its rows could not be indexed: this is a fault of certgate".to_owned();
            Err(StoreError::Unreadable { place: "the directory".to_owned(), reason })
        }
        // Only a runtime that is ending cancels it; then nobody follows any more.
        Err(_) => std::future::pending().await,
    }
}

/// Rows on their way to the builder.
struct Batches {
    sender: Sender<Vec<Row>>,
    rows: Vec<Row>,
}

impl Batches {
    async fn send(&mut self) {
        let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(BATCH_ROWS));
        // A builder that is gone says so when it is waited for.
        let _ = self.sender.send(rows).await;
    }
}

impl Sink for &mut Batches {
    async fn take(&mut self, row: Row) {
        self.rows.push(row);
        if self.rows.len() == BATCH_ROWS {
            self.send().await;
        }
    }
}
