//! Lists page by page: in the order of the key, from the key of the page before.
//!
//! A filter that is not set is one that holds for every row, so that there is one text for all.

use sqlx::AssertSqlSafe;

use super::block::{self, Block};
use super::certificate::{self, StoredCertificate};
use super::mapping::{self, Mapping};
use super::user::{self, User};
use super::{about, shown};
use crate::store::error::StoreError;
use crate::store::read::Readable as _;
use crate::store::work::{Side, Work, act, on_side};

/// Which users to list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserFilter {
    /// Part of a name, a name for people or a mail address, in any case.
    pub search: Option<String>,
    /// Members of this group.
    pub group: Option<String>,
    /// Switched on, or off.
    pub enabled: Option<bool>,
}

impl Work {
    /// Users after this one, sorted by name.
    pub async fn user_page(
        &mut self,
        filter: &UserFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<User>, StoreError> {
        // Every user has a name, and the empty text comes before all of them.
        let sql = format!(
            "{} where username > $1 \
             and (lower(username) like $2 escape '\\' or lower(display_name) like $2 escape '\\' \
                 or lower(email) like $2 escape '\\') \
             and ($3 = '' or exists (select 1 from user_group where \
                 user_group.username = app_user.username and user_group.group_name = $3)) \
             and ($4 or enabled = $5) \
             order by username limit $6",
            user::SELECT
        );
        let search = filter.search.as_deref().map_or_else(|| "%".to_owned(), containing);
        let work = async {
            on_side!(self.side, side => {
                let rows = sqlx::query(AssertSqlSafe(sql))
                    .bind(after.unwrap_or_default())
                    .bind(search)
                    .bind(filter.group.as_deref().unwrap_or_default())
                    .bind(filter.enabled.is_none())
                    .bind(filter.enabled.unwrap_or_default())
                    .bind(i64::from(limit))
                    .fetch_all(&mut **side)
                    .await?;
                rows.iter().map(user::user).collect::<Result<Vec<User>, _>>()
            })
        };
        let mut users = act(&self.url, &mut self.broken, about(""), work).await?;
        let names: Vec<String> = users.iter().map(|user| user.username.clone()).collect();
        for (username, group) in self.groups_of(names).await? {
            if let Some(user) = users.iter_mut().find(|user| user.username == username) {
                user.groups.push(group);
            }
        }
        Ok(users)
    }

    /// The memberships of these users, sorted.
    async fn groups_of(&mut self, names: Vec<String>) -> Result<Vec<(String, String)>, StoreError> {
        let work = async {
            let pair = |username, group| (shown(username), shown(group));
            match &mut self.side {
                Side::Postgres(side) => sqlx::query(
                    "select username, group_name from user_group where username = any($1) \
                     order by username, group_name",
                )
                .bind(names)
                .fetch_all(&mut **side)
                .await?
                .iter()
                .map(|row| Ok(pair(row.text(0)?, row.text(1)?)))
                .collect(),
                Side::Sqlite(side) => sqlx::query(
                    "select username, group_name from user_group \
                     where username in (select value from json_each($1)) \
                     order by username, group_name",
                )
                .bind(serde_json::Value::from(names).to_string())
                .fetch_all(&mut **side)
                .await?
                .iter()
                .map(|row| Ok(pair(row.text(0)?, row.text(1)?)))
                .collect(),
            }
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Mappings after this one, of one user if one is named.
    pub async fn mapping_page(
        &mut self,
        username: Option<&str>,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Mapping>, StoreError> {
        let of_user = if username.is_some() { "and username = $3" } else { "" };
        let sql = format!("{} where id > $1 {of_user} order by id limit $2", mapping::SELECT);
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query(AssertSqlSafe(sql));
                let query = query.bind(after.unwrap_or(i64::MIN)).bind(i64::from(limit));
                let query = match username {
                    Some(username) => query.bind(username),
                    None => query,
                };
                query.fetch_all(&mut **side).await?.iter().map(mapping::mapping).collect()
            })
        };
        act(&self.url, &mut self.broken, about(username.unwrap_or_default()), work).await
    }

    /// Blocks after this one.
    pub async fn block_page(
        &mut self,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Block>, StoreError> {
        let sql = format!("{} where id > $1 order by id limit $2", block::SELECT);
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query(AssertSqlSafe(sql));
                let query = query.bind(after.unwrap_or(i64::MIN)).bind(i64::from(limit));
                query.fetch_all(&mut **side).await?.iter().map(block::block).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Certificates that are known after this one, by fingerprint.
    pub async fn certificate_page(
        &mut self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        let sql = format!("{} where sha256 > $1 order by sha256 limit $2", certificate::SELECT);
        let after = after.unwrap_or_default();
        self.certificates(sql, after, i64::from(limit)).await
    }

    /// Verified certificates of nobody after this one, by fingerprint.
    pub async fn inbox_page(
        &mut self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        let sql = format!(
            "{} where sha256 in (select sha256 from inbox) and sha256 > $1 \
             order by sha256 limit $2",
            certificate::SELECT
        );
        self.certificates(sql, after.unwrap_or_default(), i64::from(limit)).await
    }

    /// Groups after this one, and how many are in each.
    pub async fn group_page(
        &mut self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let rows = sqlx::query(
                    "select group_name, count(*) from user_group where group_name > $1 \
                     group by group_name order by group_name limit $2",
                )
                .bind(after.unwrap_or_default())
                .bind(i64::from(limit))
                .fetch_all(&mut **side)
                .await?;
                rows.iter().map(|row| Ok((shown(row.text(0)?), row.id(1)?))).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Members of a group after this one, by name.
    pub async fn member_page(
        &mut self,
        group: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let work = async {
            on_side!(self.side, side => {
                let rows = sqlx::query(
                    "select username from user_group where group_name = $1 and username > $2 \
                     order by username limit $3",
                )
                .bind(group)
                .bind(after.unwrap_or_default())
                .bind(i64::from(limit))
                .fetch_all(&mut **side)
                .await?;
                rows.iter().map(|row| Ok(shown(row.text(0)?))).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }
}

/// A pattern of `like` for a text that holds this one.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
