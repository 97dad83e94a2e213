//! Following SQLite: the file's own counter says when to look, the last change says what is new.
//!
//! It must not keep following a file that is no longer the one at its path.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Row as _};

use super::freshness::Freshness;
use super::keys::{KeyError, Keys, MAX_KEYS};
use super::{Connection, Looked, NotFed, Sink, StoreError, Subject, classify, limited};
use crate::store::read::{Readable as _, read_all, read_keys};
use crate::store::schema::{self, Applied};
use crate::store::triggers;
use crate::store::url::DatabaseUrl;
use crate::store::{CONNECT_LIMIT, LOOK_LIMIT, SqliteStore};

/// The last change that a snapshot has seen. Its time is there for a backup that was restored
/// into the same file: ids can meet again, with other changes behind them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Position {
    /// Another one after every alteration of the schema, also after one that was taken back: what
    /// changed while a trigger was gone is not in the feed.
    schema: i64,
    last_id: i64,
    last_at: Option<Vec<u8>>,
}

/// The last change; a single statement, so a single snapshot.
async fn position(connection: &mut SqliteConnection) -> Result<Position, sqlx::Error> {
    let row = sqlx::query(
        "select (select schema_version from pragma_schema_version),
            coalesce((select seq from sqlite_sequence where name = 'change'), 0),
            (select at from change order by id desc limit 1)",
    )
    .fetch_one(connection)
    .await?;
    Ok(Position {
        schema: row.try_get(0)?,
        last_id: row.try_get(1)?,
        last_at: row.text_or_null(2)?,
    })
}

/// Reads everything in one transaction, which on SQLite is one snapshot.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    each: &mut impl Sink,
) -> Result<Position, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let position = position(&mut transaction).await?;
    let altered = triggers::altered(&mut transaction).await?.into_iter();
    let names: Vec<_> = altered.filter(|one| !one.is_of_audit).map(|one| one.name).collect();
    if !names.is_empty() {
        return Err(sqlx::Error::Configuration(NotFed::Altered(names.join(", ")).into()));
    }
    read_all!(transaction, each);
    transaction.commit().await?;
    Ok(position)
}

/// What a look found, and where to go on unless it has to be loaded anew.
enum Found {
    Changes(Position, Keys),
    Reload(&'static str),
    Same,
}

/// One transaction, so that what changed and what stands there now are of one snapshot.
async fn look(connection: &mut SqliteConnection, cursor: &Position) -> Result<Found, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let found = found(&mut transaction, cursor).await?;
    transaction.commit().await?;
    Ok(found)
}

async fn found(connection: &mut SqliteConnection, cursor: &Position) -> Result<Found, sqlx::Error> {
    let position = position(connection).await?;
    if position == *cursor {
        return Ok(Found::Same);
    }
    if position.schema != cursor.schema {
        return Ok(Found::Reload("the schema was altered, or the file made anew"));
    }
    let count = position.last_id.saturating_sub(cursor.last_id);
    // Ids and times that go back, or go on from another change, are those of a restored backup.
    if count <= 0 || at(connection, cursor.last_id).await? != cursor.last_at {
        return Ok(Found::Reload("the feed is not the one that was followed"));
    }
    let Some(count) = usize::try_from(count).ok().filter(|count| *count <= MAX_KEYS) else {
        return Ok(Found::Reload(KeyError::TooMany.why()));
    };
    let rows = sqlx::query("select relation, key from change where id > $1")
        .bind(cursor.last_id)
        .fetch_all(&mut *connection)
        .await?;
    if rows.len() != count {
        return Ok(Found::Reload("the feed has lost changes"));
    }
    let mut keys = Keys::default();
    for row in &rows {
        if let Err(error) = keys.add(&row.text(0)?, &row.text(1)?) {
            return Ok(Found::Reload(error.why()));
        }
    }
    let found = &mut keys;
    read_keys!(connection, found, array, "in (select value from json_each($1))");
    Ok(Found::Changes(position, keys))
}

/// When that change was made, if it is still there.
async fn at(connection: &mut SqliteConnection, id: i64) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let row = sqlx::query("select at from change where id = $1").bind(id);
    let row = row.fetch_optional(connection).await?;
    row.map(|row| row.text(0)).transpose()
}

/// Values as SQLite takes a list of them: one text of JSON.
fn array(values: impl IntoIterator<Item = impl Into<serde_json::Value>>) -> String {
    serde_json::Value::from_iter(values).to_string()
}

/// A connection of its own: `data_version` counts what others commit.
#[derive(Debug)]
pub(super) struct Follower {
    url: DatabaseUrl,
    path: PathBuf,
    file: FileId,
    connection: SqliteConnection,
    /// As of before the last look; none before the first.
    data_version: Option<i64>,
    cursor: Option<Position>,
    freshness: Freshness,
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
        let (data_version, cursor, freshness) = (None, None, Freshness::default());
        Ok(Self { url, path, file, connection, data_version, cursor, freshness })
    }

    /// Its caller sees to it that it ends.
    pub(super) async fn load(&mut self, each: &mut impl Sink) -> Result<(), StoreError> {
        let started = Instant::now();
        // Before the load: what is committed while it lasts is new.
        let version = self.version().await?;
        let loaded = load(&mut self.connection, each).await;
        let position = loaded.map_err(|error| classify(error, &self.url, Subject::default()))?;
        self.check_file()?;
        self.freshness.note(started, None);
        self.cursor = Some(position);
        self.data_version = Some(version);
        Ok(())
    }

    /// Until another program has committed anything, or the time has passed.
    pub(super) async fn wait(&mut self, limit: Duration) -> Result<bool, StoreError> {
        let deadline = Instant::now() + limit;
        loop {
            let started = Instant::now();
            self.check_file()?;
            let version = self.version().await?;
            if self.data_version != Some(version) {
                return Ok(true);
            }
            self.freshness.note(started, None);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            tokio::time::sleep(left.min(POLL_INTERVAL)).await;
        }
    }

    pub(super) async fn look(&mut self) -> Result<Looked, StoreError> {
        let Some(cursor) = self.cursor.clone() else {
            return Ok(Looked::Reload("nothing was loaded yet"));
        };
        let started = Instant::now();
        self.check_file()?;
        // Before the look: what is committed while it lasts is waited for no longer than a poll.
        let version = self.version().await?;
        let looked =
            match limited(&self.url, LOOK_LIMIT, look(&mut self.connection, &cursor)).await? {
                Found::Same => Looked::Same,
                Found::Reload(why) => return Ok(Looked::Reload(why)),
                Found::Changes(position, keys) => {
                    self.cursor = Some(position);
                    Looked::Changes(keys.into_changes())
                }
            };
        self.check_file()?;
        self.data_version = Some(version);
        self.freshness.note(started, None);
        Ok(looked)
    }

    pub(super) const fn looked_at(&self) -> Option<Instant> {
        self.freshness.known()
    }

    pub(super) fn place(&self) -> String {
        self.url.to_string()
    }

    async fn version(&mut self) -> Result<i64, StoreError> {
        let version = sqlx::query_scalar("pragma data_version").fetch_one(&mut self.connection);
        limited(&self.url, LOOK_LIMIT, version).await
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
