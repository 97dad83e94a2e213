//! The rows that say who administers, and the lock under which that is judged.

use sqlx::{AssertSqlSafe, Row as _};

use super::about;
use crate::directory::Rows;
use crate::directory::row::Row;
use crate::store::error::StoreError;
use crate::store::read;
use crate::store::work::{Side, Work, act, on_side};

/// Certificates of one mapping that are looked at; one has one, unless it is bound to a key.
const MAX_CERTIFICATES: i64 = 20;

/// The digits that strong mappings hang on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Digits {
    /// Of certificates.
    pub sha256: Vec<String>,
    /// Of keys.
    pub spki_sha256: Vec<String>,
    /// Serial numbers.
    pub serial: Vec<String>,
}

/// A serial as its digits alone: `0xCA92`, `ca:92` and a UUID are spellings.
const BARE_SERIAL: &str = "lower(ltrim(replace(replace(replace(replace(replace(replace(serial, \
     'x', ''), 'X', ''), ':', ''), '-', ''), '{', ''), '}', ''), '0'))";

fn json(values: &[String]) -> String {
    serde_json::Value::from(values).to_string()
}

impl Work {
    /// Waits until nobody else judges who administers, and keeps it so until this transaction
    /// ends. On SQLite no other writer is there anyway.
    pub async fn lock_administrators(&mut self) -> Result<(), StoreError> {
        let work = async {
            match &mut self.side {
                Side::Postgres(side) => {
                    let lock = "select pg_advisory_xact_lock(hashtextextended(\
                         'certgate administrators ' || current_schema(), 0))";
                    sqlx::query(lock).execute(&mut **side).await.map(drop)
                }
                Side::Sqlite(_) => Ok(()),
            }
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// The members of a group with all that decides about them: their memberships, their mappings,
    /// and every block.
    pub async fn administrator_rows(&mut self, group: &str) -> Result<Rows, StoreError> {
        self.see_every_row().await?;
        let mut rows = Rows::default();
        let of_members = "username in (select username from user_group where group_name = $1)";
        let work = async {
            on_side!(self.side, side => {
                for (select, read) in [
                    (read::GROUPS, read::group as fn(&_) -> Result<Row, sqlx::Error>),
                    (read::USERS, read::user),
                    (read::MAPPINGS, read::mapping),
                ] {
                    let sql = AssertSqlSafe(format!("{select} where {of_members}"));
                    for row in sqlx::query(sql).bind(group).fetch_all(&mut **side).await? {
                        rows.push(read(&row)?);
                    }
                }
                for row in sqlx::query(read::BLOCKS).fetch_all(&mut **side).await? {
                    rows.push(read::block(&row)?);
                }
            });
            Ok(())
        };
        act(&self.url, &mut self.broken, about(""), work).await?;
        Ok(rows)
    }

    /// Mappings of users outside of a group that hang on one of these fingerprints, keys or serials,
    /// however they are spelled, and those users. Digits are given in lower case and without
    /// anything between them, serials without leading zeros.
    pub async fn administrator_rivals(
        &mut self,
        group: &str,
        digits: Digits,
    ) -> Result<Rows, StoreError> {
        let values = match self.side {
            Side::Postgres(_) => "any(array(select json_array_elements_text(cast(? as json))))",
            Side::Sqlite(_) => "(select value from json_each(?))",
        };
        let is = match self.side {
            Side::Postgres(_) => "=",
            Side::Sqlite(_) => "in",
        };
        // One question for each index of 0008_administrators.
        let of = |column: &str, digits: &str, number: &str| {
            let values = values.replace('?', number);
            format!("select id from mapping where {column} is not null and {digits} {is} {values}")
        };
        let rival = format!(
            "username not in (select username from user_group where group_name = $1) \
             and id in ({} union all {} union all {})",
            of("sha256", "lower(replace(sha256, ':', ''))", "$2"),
            of("spki_sha256", "lower(replace(spki_sha256, ':', ''))", "$3"),
            of("serial", BARE_SERIAL, "$4"),
        );
        let mut rows = Rows::default();
        if digits == Digits::default() {
            // Every mapping would be looked at for nothing.
            return Ok(rows);
        }
        let work = async {
            on_side!(self.side, side => {
                let users = format!("username in (select username from mapping where {rival})");
                for (select, condition, read) in [
                    (read::MAPPINGS, &rival, read::mapping as fn(&_) -> Result<Row, sqlx::Error>),
                    (read::USERS, &users, read::user),
                ] {
                    let sql = AssertSqlSafe(format!("{select} where {condition}"));
                    let query = sqlx::query(sql)
                        .bind(group)
                        .bind(json(&digits.sha256))
                        .bind(json(&digits.spki_sha256))
                        .bind(json(&digits.serial));
                    for row in query.fetch_all(&mut **side).await? {
                        rows.push(read(&row)?);
                    }
                }
            });
            Ok(())
        };
        act(&self.url, &mut self.broken, about(""), work).await?;
        Ok(rows)
    }

    /// Certificates that were given or seen and have this fingerprint, this key or this serial, as
    /// DER; not judged.
    pub async fn administrator_certificates(
        &mut self,
        sha256: Option<&str>,
        spki_sha256: Option<&str>,
        serial: Option<&str>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let rows = sqlx::query(
                    "select der from certificate where sha256 = $1 or spki_sha256 = $2 \
                     or serial = $3 order by sha256 limit $4",
                )
                .bind(sha256)
                .bind(spki_sha256)
                .bind(serial)
                .bind(MAX_CERTIFICATES)
                .fetch_all(&mut **side)
                .await?;
                rows.iter().map(|row| row.try_get(0)).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }
}
