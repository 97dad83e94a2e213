//! Groups: a group exists while somebody is in it.

use sqlx::AssertSqlSafe;

use super::{about, found, shown};
use crate::store::error::{StoreError, Subject};
use crate::store::read::Readable as _;
use crate::store::work::{Work, act, on_side};

/// A membership.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// The user.
    pub username: String,
    /// The group.
    pub group_name: String,
}

impl Work {
    /// Puts a user into a group.
    pub async fn group_add(&mut self, username: &str, group: &str) -> Result<(), StoreError> {
        self.group_add_all(&[username], group).await
    }

    /// Puts users into a group.
    pub async fn group_add_all(
        &mut self,
        usernames: &[impl AsRef<str>],
        group: &str,
    ) -> Result<(), StoreError> {
        for username in usernames.iter().map(AsRef::as_ref) {
            let insert = async {
                on_side!(self.side, side => {
                    sqlx::query("insert into user_group (username, group_name) values ($1, $2)")
                        .bind(username)
                        .bind(group)
                        .execute(&mut **side)
                        .await
                        .map(drop)
                })
            };
            act(&self.url, &mut self.broken, Subject { username, group }, insert).await?;
        }
        Ok(())
    }

    /// Takes a user out of a group.
    pub async fn group_remove(&mut self, username: &str, group: &str) -> Result<(), StoreError> {
        self.group_remove_all(&[username], group).await
    }

    /// Takes users out of a group; one who is not in it is an error.
    pub async fn group_remove_all(
        &mut self,
        usernames: &[impl AsRef<str>],
        group: &str,
    ) -> Result<(), StoreError> {
        for username in usernames.iter().map(AsRef::as_ref) {
            let delete = async {
                Ok(on_side!(self.side, side => {
                    sqlx::query("delete from user_group where username = $1 and group_name = $2")
                        .bind(username)
                        .bind(group)
                        .execute(&mut **side)
                        .await?
                        .rows_affected()
                }))
            };
            let subject = Subject { username, group };
            let removed = act(&self.url, &mut self.broken, subject, delete).await?;
            found(removed, "member", format!("{username} in {group}"))?;
        }
        Ok(())
    }

    /// Who is in which group, sorted by user and group; of one user if one is named.
    pub async fn group_members(
        &mut self,
        username: Option<&str>,
    ) -> Result<Vec<Member>, StoreError> {
        let select = "select username, group_name from user_group";
        let sql = match username {
            Some(_) => format!("{select} where username = $1 order by username, group_name"),
            None => format!("{select} order by username, group_name"),
        };
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query(AssertSqlSafe(sql));
                let query = match username {
                    Some(username) => query.bind(username),
                    None => query,
                };
                let rows = query.fetch_all(&mut **side).await?;
                rows.iter()
                    .map(|row| Ok(Member {
                        username: shown(row.text(0)?),
                        group_name: shown(row.text(1)?),
                    }))
                    .collect()
            })
        };
        act(&self.url, &mut self.broken, about(username.unwrap_or_default()), work).await
    }
}
