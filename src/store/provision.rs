//! Adding the people whom a rule brings: disabled, until an operator enables them.

use super::error::{StoreError, Subject, classify};
use super::{OPERATOR_LIMIT, Store, on_either, within};
use crate::directory::Wish;

/// Most users that may wait for an operator: whoever can get certificates must not fill the
/// database with names.
const MAX_WAITING: i64 = 10_000;

impl Store {
    /// Adds the user and its memberships, disabled, unless there is one of that name in any case
    /// or too many wait already; whether it did.
    pub async fn provision(&self, wish: &Wish) -> Result<bool, StoreError> {
        let username = wish.username.as_str();
        let created_by = format!("rule {}", wish.priority);
        let work = async {
            on_either!(self, side => {
                let mut transaction = side.pool.begin().await?;
                let added = sqlx::query(
                    "insert into app_user (username, display_name, email, origin, enabled, \
                     created_by) \
                     select $1, $2, $3, 'rule', $4, $5 \
                     where $6 > (select count(*) from app_user where origin = 'rule' \
                         and not enabled) \
                     on conflict do nothing",
                )
                .bind(username)
                .bind(wish.display_name.as_deref())
                .bind(wish.email.as_deref())
                .bind(false)
                .bind(&created_by)
                .bind(MAX_WAITING)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
                if added == 0 {
                    return Ok(false);
                }
                for group in &wish.groups {
                    sqlx::query("insert into user_group (username, group_name) values ($1, $2)")
                        .bind(username)
                        .bind(group.as_str())
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await?;
                Ok(true)
            })
        };
        let subject = Subject { username, group: "" };
        let url = self.url();
        match within(url, OPERATOR_LIMIT, work).await? {
            Ok(added) => Ok(added),
            Err(error) => match classify(error, url, subject) {
                // SQLite's trigger for a name in another case aborts before the conflict does.
                StoreError::UserExists { .. } => Ok(false),
                error => Err(error),
            },
        }
    }
}
