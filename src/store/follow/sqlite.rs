//! Following SQLite: the file's own counter says when to look, the last change says what is new.
//!
//! It must not keep following a file that is no longer the one at its path.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Row as _};

use super::{Connection, Row, StoreError, limited};
use crate::store::read::{Readable as _, read_all};
use crate::store::schema::{self, Applied};
use crate::store::url::DatabaseUrl;
use crate::store::{CONNECT_LIMIT, LOAD_LIMIT, LOOK_LIMIT, SqliteStore};

/// The last change that a snapshot has seen. Its time is there for a backup that was restored
/// into the same file: ids can meet again, with other changes behind them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Position {
    last_id: i64,
    last_at: Option<Vec<u8>>,
}

/// The last change; a single statement, so a single snapshot.
pub(super) async fn position(connection: &mut SqliteConnection) -> Result<Position, sqlx::Error> {
    let row = sqlx::query(
        "select coalesce((select seq from sqlite_sequence where name = 'change'), 0),
            (select at from change order by id desc limit 1)",
    )
    .fetch_one(connection)
    .await?;
    Ok(Position { last_id: row.try_get(0)?, last_at: row.text_or_null(1)? })
}

/// Reads everything in one transaction, which on SQLite is one snapshot.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    each: &mut (impl FnMut(Row) + Send),
) -> Result<Position, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let position = position(&mut transaction).await?;
    read_all!(transaction, each);
    transaction.commit().await?;
    Ok(position)
}

/// A connection of its own: `data_version` counts what others commit.
#[derive(Debug)]
pub(super) struct Follower {
    url: DatabaseUrl,
    path: PathBuf,
    file: FileId,
    connection: SqliteConnection,
    data_version: Option<i64>,
    cursor: Option<Position>,
    looked_at: Option<Instant>,
}

impl Follower {
    pub(super) async fn start(store: &SqliteStore) -> Result<Self, StoreError> {
        let url = store.url.clone();
        let path = store.options.get_filename().to_owned();
        let before = FileId::of(&path)?;
        let mut connection = limited(&url, CONNECT_LIMIT, store.options.connect()).await?;
        let found = limited(&url, LOOK_LIMIT, schema::applied_sqlite(&mut connection)).await?;
        Applied::check(found, &url.to_string())?;
        // Between the two looks at the path the file was opened: it is the same one.
        let file = FileId::of(&path)?;
        if file != before {
            return Err(StoreError::FileReplaced { path });
        }
        let (data_version, cursor, looked_at) = (None, None, None);
        Ok(Self { url, path, file, connection, data_version, cursor, looked_at })
    }

    pub(super) async fn load(
        &mut self,
        each: &mut (impl FnMut(Row) + Send),
    ) -> Result<Position, StoreError> {
        let started = Instant::now();
        let position = limited(&self.url, LOAD_LIMIT, load(&mut self.connection, each)).await?;
        self.check_file()?;
        self.looked_at = Some(started);
        self.cursor = Some(position.clone());
        // The next look compares, whatever was counted before.
        self.data_version = None;
        Ok(position)
    }

    pub(super) async fn changed(&mut self, timeout: Duration) -> Result<bool, StoreError> {
        let Some(cursor) = self.cursor.clone() else {
            return Ok(true);
        };
        let deadline = Instant::now() + timeout;
        loop {
            let started = Instant::now();
            self.check_file()?;
            let changed = self.look(&cursor).await?;
            self.looked_at = Some(started);
            if changed {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            tokio::time::sleep(left.min(POLL_INTERVAL)).await;
        }
    }

    pub(super) const fn looked_at(&self) -> Option<Instant> {
        self.looked_at
    }

    pub(super) fn place(&self) -> String {
        self.url.to_string()
    }

    async fn look(&mut self, cursor: &Position) -> Result<bool, StoreError> {
        let connection = &mut self.connection;
        let version = sqlx::query_scalar("pragma data_version").fetch_one(&mut *connection);
        let version: i64 = limited(&self.url, LOOK_LIMIT, version).await?;
        if self.data_version == Some(version) {
            return Ok(false);
        }
        let found = limited(&self.url, LOOK_LIMIT, position(connection)).await?;
        if found != *cursor {
            return Ok(true);
        }
        self.data_version = Some(version);
        Ok(false)
    }

    fn check_file(&self) -> Result<(), StoreError> {
        match FileId::of(&self.path)? == self.file {
            true => Ok(()),
            false => Err(StoreError::FileReplaced { path: self.path.clone() }),
        }
    }
}

/// Which file is at a path, as the kernel counts them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> Result<Self, StoreError> {
        let metadata = std::fs::metadata(path)
            .map_err(|_| StoreError::FileReplaced { path: path.to_owned() })?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// How often to ask for `data_version`, which costs microseconds: a change holds within a blink.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
