//! Groups: a group exists while somebody is in it.

use sqlx::AssertSqlSafe;

use super::{about, found, shown};
use crate::store::error::{StoreError, Subject};
use crate::store::read::Readable as _;
use crate::store::{Store, on_either};

/// A membership.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// The user.
    pub username: String,
    /// The group.
    pub group_name: String,
}

impl Store {
    /// Puts a user into a group.
    pub async fn group_add(&self, username: &str, group: &str) -> Result<(), StoreError> {
        self.group_add_all(&[username], group).await
    }

    /// Puts users into a group, all or none.
    pub async fn group_add_all(
        &self,
        usernames: &[impl AsRef<str>],
        group: &str,
    ) -> Result<(), StoreError> {
        on_either!(self, side => {
            let mut transaction = self.act(about(""), side.pool.begin()).await?;
            for username in usernames.iter().map(AsRef::as_ref) {
                let insert =
                    sqlx::query("insert into user_group (username, group_name) values ($1, $2)")
                        .bind(username)
                        .bind(group)
                        .execute(&mut *transaction);
                self.act(Subject { username, group }, insert).await?;
            }
            self.act(about(""), transaction.commit()).await
        })
    }

    /// Takes a user out of a group.
    pub async fn group_remove(&self, username: &str, group: &str) -> Result<(), StoreError> {
        self.group_remove_all(&[username], group).await
    }

    /// Takes users out of a group; if one is not in it, none.
    pub async fn group_remove_all(
        &self,
        usernames: &[impl AsRef<str>],
        group: &str,
    ) -> Result<(), StoreError> {
        on_either!(self, side => {
            let mut transaction = self.act(about(""), side.pool.begin()).await?;
            for username in usernames.iter().map(AsRef::as_ref) {
                let delete =
                    sqlx::query("delete from user_group where username = $1 and group_name = $2")
                        .bind(username)
                        .bind(group)
                        .execute(&mut *transaction);
                let removed = self.act(Subject { username, group }, delete).await?;
                found(removed.rows_affected(), "member", format!("{username} in {group}"))?;
            }
            self.act(about(""), transaction.commit()).await
        })
    }

    /// Who is in which group, sorted by user and group; of one user if one is named.
    pub async fn group_members(&self, username: Option<&str>) -> Result<Vec<Member>, StoreError> {
        let select = "select username, group_name from user_group";
        let sql = match username {
            Some(_) => format!("{select} where username = $1 order by username, group_name"),
            None => format!("{select} order by username, group_name"),
        };
        let work = async {
            on_either!(self, side => {
                let query = sqlx::query(AssertSqlSafe(sql));
                let query = match username {
                    Some(username) => query.bind(username),
                    None => query,
                };
                let rows = query.fetch_all(&side.pool).await?;
                rows.iter()
                    .map(|row| Ok(Member {
                        username: shown(row.text(0)?),
                        group_name: shown(row.text(1)?),
                    }))
                    .collect()
            })
        };
        self.act(about(username.unwrap_or_default()), work).await
    }
}
