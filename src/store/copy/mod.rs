//! Everything from one database into another one that is empty, in one transaction, compared at the
//! end row by row.
//!
//! Rows are copied and not made again: ids, times and the audit stay what they were. Nothing is
//! judged, and nothing is left out: a row that the other database cannot hold ends the copy.

mod cells;
mod tables;

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, PgConnection, Row as _, SqliteConnection};

use self::cells::{Digest, Line, insert, lines};
use self::tables::{COUNTED, TABLES, Table};
use super::error::{StoreError, Subject, classify};
use super::schema::SCHEMA_VERSION;
use super::url::Place;
use super::work::{Side, Work, on_side};
use super::{By, LOAD_LIMIT, Store, within};

/// Why nothing was copied. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// What was written is not what was read.
    #[error(
        "table {table}: what arrived is not what was sent ({sent} rows sent, {arrived} arrived)"
    )]
    Differs {
        /// The table.
        table: &'static str,
        /// Rows read.
        sent: usize,
        /// Rows found at the end.
        arrived: usize,
    },
    /// There is something already.
    #[error("{place}: table {table} has rows; the target of a copy must be empty")]
    NotEmpty {
        /// The target.
        place: String,
        /// A table with rows.
        table: &'static str,
    },
    /// Both are one.
    #[error("{place}: source and target are the same database")]
    Same {
        /// The database.
        place: String,
    },
    /// A database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A value that the other database cannot hold.
    #[error("table {table}, row {row}, column {column}: {why}; mend the row, then copy again")]
    Value {
        /// The table.
        table: &'static str,
        /// Its key.
        row: String,
        /// The column.
        column: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// Another schema.
    #[error(
        "{place}: schema version {found}, this program copies {SCHEMA_VERSION}; use the program of \
         that version"
    )]
    Version {
        /// The database.
        place: String,
        /// Its version.
        found: i64,
    },
}

/// How many rows of a table were copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Copied {
    /// The table.
    pub table: &'static str,
    /// Rows.
    pub rows: usize,
}

impl Store {
    /// Copies everything into a database that is empty. What is told is a table and how many of its
    /// rows are written.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn copy_to(
        &self,
        target: &Self,
        mut told: impl FnMut(Copied),
    ) -> Result<Vec<Copied>, CopyError> {
        let mut from = self.read().await?;
        let mut to = target.begin(&By::cli(None)).await?;
        self.check_different(target)?;
        from.hold().await?;
        for work in [&mut from, &mut to] {
            work.see_every_row().await?;
            let found = work.schema_version().await?;
            if found != SCHEMA_VERSION {
                return Err(CopyError::Version { place: work.url.to_string(), found });
            }
        }
        to.check_empty().await?;
        let audited = to.still_audit().await?;
        let mut copied = Vec::new();
        let mut sent: HashMap<&'static str, Vec<Digest>> = HashMap::new();
        for table in TABLES {
            let digests = copy_table(&mut from, &mut to, table, &mut told).await?;
            copied.push(Copied { table: table.name, rows: digests.len() });
            sent.insert(table.name, digests);
        }
        for table in COUNTED {
            let next = from.next_id(table).await?;
            to.set_next_id(table, next).await?;
        }
        to.audit_again(audited).await?;
        for table in TABLES {
            let mut arrived = Vec::new();
            read_table(&mut to, table, async |_, line| {
                arrived.push(line.digest());
                Ok(())
            })
            .await?;
            let mut sent = sent.remove(table.name).unwrap_or_default();
            sent.sort_unstable();
            arrived.sort_unstable();
            if sent != arrived {
                let (sent, arrived) = (sent.len(), arrived.len());
                return Err(CopyError::Differs { table: table.name, sent, arrived });
            }
        }
        to.commit().await?;
        Ok(copied)
    }

    fn check_different(&self, target: &Self) -> Result<(), CopyError> {
        let is_same = match (self.url().place(), target.url().place()) {
            (Place::Sqlite(one), Place::Sqlite(other)) => {
                let real = |path: &std::path::Path| std::fs::canonicalize(path).ok();
                real(one) == real(other)
            }
            _ => self.url().to_string() == target.url().to_string(),
        };
        if is_same { Err(CopyError::Same { place: self.url().to_string() }) } else { Ok(()) }
    }
}

/// Reads a table of one database and writes it to the other, a few hundred rows at a time.
async fn copy_table(
    from: &mut Work,
    to: &mut Work,
    table: &'static Table,
    told: &mut impl FnMut(Copied),
) -> Result<Vec<Digest>, CopyError> {
    let mut digests = Vec::new();
    let mut waiting: Vec<Line> = Vec::new();
    read_table(from, table, async |_, line| {
        digests.push(line.digest());
        waiting.push(line);
        if waiting.len() >= ROWS_OF_A_STATEMENT {
            to.write(table, &waiting).await?;
            waiting.clear();
            told(Copied { table: table.name, rows: digests.len() });
        }
        Ok(())
    })
    .await?;
    to.write(table, &waiting).await?;
    Ok(digests)
}

async fn read_table(
    work: &mut Work,
    table: &'static Table,
    mut each: impl AsyncFnMut(usize, Line) -> Result<(), CopyError>,
) -> Result<(), CopyError> {
    let url = work.url.clone();
    let failed = |error| CopyError::Store(classify(error, &url, Subject::default()));
    let sql = AssertSqlSafe(table.select());
    on_side!(work.side, side => {
        let mut rows = sqlx::query(sql).persistent(false).fetch(&mut **side);
        let mut number = 0;
        while let Some(row) = std::future::poll_fn(|cx| rows.as_mut().poll_next(cx)).await {
            let line = lines(&row.map_err(failed)?, table).map_err(failed)?;
            each(number, line.map_err(|fault| fault.of(table))?).await?;
            number += 1;
        }
    });
    Ok(())
}

impl Work {
    async fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Side) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let url = self.url.clone();
        let done = within(&url, LOAD_LIMIT, work(&mut self.side)).await?;
        done.map_err(|error| classify(error, &url, Subject::default()))
    }

    async fn write(&mut self, table: &'static Table, rows: &[Line]) -> Result<(), CopyError> {
        if rows.is_empty() {
            return Ok(());
        }
        Ok(self.run(async |side| insert(side, table, rows).await).await?)
    }

    async fn schema_version(&mut self) -> Result<i64, StoreError> {
        let sql = "select cast(version as bigint) from certgate_schema";
        self.run(async |side| {
            on_side!(*side, side => sqlx::query_scalar(sql).fetch_one(&mut **side).await)
        })
        .await
    }

    /// Nobody writes in between, and nothing is there.
    async fn check_empty(&mut self) -> Result<(), CopyError> {
        let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        let lock = format!("lock table {} in access exclusive mode", names.join(", "));
        self.run(async |side| {
            if let Side::Postgres(side) = side {
                sqlx::query(AssertSqlSafe(lock)).execute(&mut **side).await?;
            }
            Ok(())
        })
        .await?;
        for table in TABLES {
            let sql = format!("select 1 from {} limit 1", table.name);
            let found = self
                .run(async |side| {
                    on_side!(*side, side => {
                        let row = sqlx::query(AssertSqlSafe(sql)).fetch_optional(&mut **side);
                        row.await.map(|row| row.is_some())
                    })
                })
                .await?;
            if found {
                let place = self.url.to_string();
                return Err(CopyError::NotEmpty { place, table: table.name });
            }
        }
        Ok(())
    }

    /// Keeps the audit from taking the copied rows for new ones; what gives it back.
    async fn still_audit(&mut self) -> Result<Vec<String>, StoreError> {
        self.run(async |side| match side {
            Side::Postgres(side) => still_postgres(side).await,
            Side::Sqlite(side) => still_sqlite(side).await,
        })
        .await
    }

    async fn audit_again(&mut self, statements: Vec<String>) -> Result<(), StoreError> {
        self.run(async |side| {
            for statement in statements {
                on_side!(*side, side => {
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut **side).await?;
                });
            }
            Ok(())
        })
        .await
    }

    /// The id that the next row would get: one that was used is never used again.
    async fn next_id(&mut self, table: &'static str) -> Result<i64, StoreError> {
        self.run(async |side| match side {
            Side::Postgres(side) => {
                let sequence: String =
                    sqlx::query_scalar("select pg_get_serial_sequence($1, 'id')")
                        .bind(table)
                        .fetch_one(&mut **side)
                        .await?;
                let sql = format!("select last_value, is_called from {sequence}");
                let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut **side).await?;
                let (last, is_called): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
                Ok(last.saturating_add(i64::from(is_called)))
            }
            Side::Sqlite(side) => {
                let last: Option<i64> =
                    sqlx::query_scalar("select seq from sqlite_sequence where name = $1")
                        .bind(table)
                        .fetch_optional(&mut **side)
                        .await?;
                Ok(last.unwrap_or(0).saturating_add(1))
            }
        })
        .await
    }

    async fn set_next_id(&mut self, table: &'static str, next: i64) -> Result<(), StoreError> {
        self.run(async |side| match side {
            Side::Postgres(side) => {
                let sql = format!("alter table {table} alter column id restart with {next}");
                sqlx::query(AssertSqlSafe(sql)).execute(&mut **side).await.map(drop)
            }
            Side::Sqlite(side) => {
                sqlx::query("delete from sqlite_sequence where name = $1")
                    .bind(table)
                    .execute(&mut **side)
                    .await?;
                sqlx::query("insert into sqlite_sequence (name, seq) values ($1, $2)")
                    .bind(table)
                    .bind(next.saturating_sub(1))
                    .execute(&mut **side)
                    .await
                    .map(drop)
            }
        })
        .await
    }
}

/// The triggers are switched off, and on again as they were, within the transaction.
async fn still_postgres(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let rows = sqlx::query(
        "select relname::text, tgname::text from pg_trigger \
         join pg_class on pg_class.oid = tgrelid \
         where relnamespace = current_schema()::regnamespace \
             and tgname like '%\\_audited\\_insert' and not tgisinternal",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut again = Vec::new();
    for row in rows {
        let (table, trigger): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let off = format!("alter table \"{table}\" disable trigger \"{trigger}\"");
        sqlx::query(AssertSqlSafe(off)).execute(&mut *connection).await?;
        again.push(format!("alter table \"{table}\" enable always trigger \"{trigger}\""));
    }
    Ok(again)
}

/// SQLite cannot switch one off: they are dropped, and made again from their own text.
async fn still_sqlite(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let rows = sqlx::query(
        "select name, sql from sqlite_master \
         where type = 'trigger' and name like '%\\_audited\\_insert' escape '\\'",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut again = Vec::new();
    for row in rows {
        let (name, text): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let drop = format!("drop trigger \"{name}\"");
        sqlx::query(AssertSqlSafe(drop)).execute(&mut *connection).await?;
        again.push(text);
    }
    Ok(again)
}

/// Rows of one statement, far below the number of values that a statement may have.
const ROWS_OF_A_STATEMENT: usize = 500;
