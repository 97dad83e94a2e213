//! Users: the people whom certificates are mapped to.

use sqlx::AssertSqlSafe;

use super::{Edit, Shown, about, moment, user_found};
use crate::store::error::StoreError;
use crate::store::read::Readable;
use crate::store::work::{Work, act, on_side};

/// A user as the database holds it, as text for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// The name that applications get.
    pub username: String,
    /// The full name.
    pub display_name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// `operator` or `rule`.
    pub origin: String,
    /// No rule leads to this user.
    pub mapped_only: bool,
    /// The user counts.
    pub enabled: bool,
    /// Start of the window, RFC 3339.
    pub valid_from: Option<String>,
    /// End of the window, exclusive.
    pub valid_until: Option<String>,
    /// An operator's remark.
    pub note: Option<String>,
    /// Who added the user, as claimed.
    pub created_by: Option<String>,
    /// When.
    pub created_at: Option<String>,
    /// The user's groups, sorted by byte.
    pub groups: Vec<String>,
}

/// A user to add.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NewUser {
    /// The name: visible ASCII without comma.
    pub username: String,
    /// The full name.
    pub display_name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// No rule shall lead to this user.
    pub mapped_only: bool,
    /// The user does not count until it is turned on.
    pub disabled: bool,
    /// Start of the window, RFC 3339.
    pub valid_from: Option<String>,
    /// End of the window, exclusive.
    pub valid_until: Option<String>,
    /// A remark.
    pub note: Option<String>,
    /// Who adds; by default the database role.
    pub created_by: Option<String>,
    /// Groups to join at once.
    pub groups: Vec<String>,
}

/// Changes to a user.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserEdit {
    /// The full name.
    pub display_name: Edit<String>,
    /// The e-mail address.
    pub email: Edit<String>,
    /// No rule leads to this user.
    pub mapped_only: Option<bool>,
    /// Start of the window, RFC 3339.
    pub valid_from: Edit<String>,
    /// End of the window, exclusive.
    pub valid_until: Edit<String>,
    /// A remark.
    pub note: Edit<String>,
}

impl Work {
    /// Adds a user and its memberships.
    pub async fn user_add(&mut self, new: &NewUser) -> Result<(), StoreError> {
        let from = moment("valid_from", new.valid_from.as_ref())?;
        let until = moment("valid_until", new.valid_until.as_ref())?;
        let created_by = new.created_by.as_deref().or(self.role.as_deref());
        let work = async {
            on_side!(self.side, side => {
                sqlx::query(
                    "insert into app_user (username, display_name, email, mapped_only, \
                     enabled, valid_from, valid_until, note, created_by) \
                     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                )
                .bind(&new.username)
                .bind(&new.display_name)
                .bind(&new.email)
                .bind(new.mapped_only)
                .bind(!new.disabled)
                .bind(from)
                .bind(until)
                .bind(&new.note)
                .bind(created_by)
                .execute(&mut **side)
                .await?;
                for group in &new.groups {
                    sqlx::query("insert into user_group (username, group_name) values ($1, $2)")
                        .bind(&new.username)
                        .bind(group)
                        .execute(&mut **side)
                        .await?;
                }
                Ok(())
            })
        };
        act(&self.url, &mut self.broken, about(&new.username), work).await
    }

    /// One user, byte for byte.
    pub async fn user_show(&mut self, username: &str) -> Result<User, StoreError> {
        let sql = format!("{SELECT} where username = $1 and username || '' = $1");
        let work = async {
            on_side!(self.side, side => {
                let row = sqlx::query(AssertSqlSafe(sql))
                    .bind(username)
                    .fetch_optional(&mut **side)
                    .await?;
                row.map(|row| user(&row)).transpose()
            })
        };
        let user = act(&self.url, &mut self.broken, about(username), work).await?;
        let mut user =
            user.ok_or_else(|| StoreError::NoSuchUser { username: username.to_owned() })?;
        let members = self.group_members(Some(username)).await?;
        user.groups = members.into_iter().map(|member| member.group_name).collect();
        Ok(user)
    }

    /// All users, sorted by name.
    pub async fn user_list(&mut self) -> Result<Vec<User>, StoreError> {
        let sql = format!("{SELECT} order by username");
        let work = async {
            on_side!(self.side, side => {
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut **side).await?;
                rows.iter().map(user).collect::<Result<Vec<User>, _>>()
            })
        };
        let mut users = act(&self.url, &mut self.broken, about(""), work).await?;
        let mut members = std::collections::HashMap::<String, Vec<String>>::new();
        for member in self.group_members(None).await? {
            members.entry(member.username).or_default().push(member.group_name);
        }
        for user in &mut users {
            user.groups = members.remove(&user.username).unwrap_or_default();
        }
        Ok(users)
    }

    /// Changes what the edit names and nothing else.
    pub async fn user_edit(&mut self, username: &str, edit: &UserEdit) -> Result<(), StoreError> {
        let (edit_name, name) = edit.display_name.parts();
        let (edit_email, email) = edit.email.parts();
        let (edit_from, from) = edit.valid_from.parts();
        let (edit_until, until) = edit.valid_until.parts();
        let (edit_note, note) = edit.note.parts();
        let from = moment("valid_from", from)?;
        let until = moment("valid_until", until)?;
        let work = async {
            Ok(on_side!(self.side, side => sqlx::query(
                "update app_user set \
                 display_name = case when $2 then $3 else display_name end, \
                 email = case when $4 then $5 else email end, \
                 mapped_only = coalesce($6, mapped_only), \
                 valid_from = case when $7 then $8 else valid_from end, \
                 valid_until = case when $9 then $10 else valid_until end, \
                 note = case when $11 then $12 else note end \
                 where username = $1 and username || '' = $1",
            )
            .bind(username)
            .bind(edit_name)
            .bind(name)
            .bind(edit_email)
            .bind(email)
            .bind(edit.mapped_only)
            .bind(edit_from)
            .bind(from)
            .bind(edit_until)
            .bind(until)
            .bind(edit_note)
            .bind(note)
            .execute(&mut **side)
            .await?
            .rows_affected()))
        };
        user_found(act(&self.url, &mut self.broken, about(username), work).await?, username)
    }

    /// Turns a user on or off; memberships and mappings stay.
    pub async fn user_set_enabled(&mut self, username: &str, on: bool) -> Result<(), StoreError> {
        let work = async {
            Ok(on_side!(self.side, side => sqlx::query(
                "update app_user set enabled = $2 where username = $1 and username || '' = $1",
            )
            .bind(username)
            .bind(on)
            .execute(&mut **side)
            .await?
            .rows_affected()))
        };
        user_found(act(&self.url, &mut self.broken, about(username), work).await?, username)
    }

    /// Gives a user another name; memberships and mappings follow.
    pub async fn user_rename(&mut self, username: &str, new_name: &str) -> Result<(), StoreError> {
        let work = async {
            Ok(on_side!(self.side, side => sqlx::query(
                "update app_user set username = $2 where username = $1 and username || '' = $1",
            )
            .bind(username)
            .bind(new_name)
            .execute(&mut **side)
            .await?
            .rows_affected()))
        };
        user_found(act(&self.url, &mut self.broken, about(new_name), work).await?, username)
    }

    /// Removes a user with its memberships and mappings.
    pub async fn user_remove(&mut self, username: &str) -> Result<(), StoreError> {
        let work = async {
            Ok(on_side!(self.side, side => sqlx::query(
                "delete from app_user where username = $1 and username || '' = $1",
            )
            .bind(username)
            .execute(&mut **side)
            .await?
            .rows_affected()))
        };
        user_found(act(&self.url, &mut self.broken, about(username), work).await?, username)
    }
}

// `username || ''` has no collation of its own: SQLite's key folds case, an operator must not.
pub(super) const SELECT: &str = "select username, display_name, email, origin, mapped_only, enabled, \
     valid_from, valid_until, note, created_by, created_at from app_user";

pub(super) fn user(row: &impl Readable) -> Result<User, sqlx::Error> {
    let mut row = Shown::from(row, 0);
    Ok(User {
        username: row.text()?,
        display_name: row.text_or_null()?,
        email: row.text_or_null()?,
        origin: row.text()?,
        mapped_only: row.flag()?,
        enabled: row.flag()?,
        valid_from: row.moment()?,
        valid_until: row.moment()?,
        note: row.text_or_null()?,
        created_by: row.text_or_null()?,
        created_at: row.moment()?,
        groups: Vec::new(),
    })
}
