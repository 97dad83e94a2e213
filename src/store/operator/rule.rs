//! Rules: users by what their certificates say.

use sqlx::AssertSqlSafe;

use super::{Edit, Shown, about, found, moment};
use crate::directory::row::RuleRow;
use crate::store::error::StoreError;
use crate::store::read::Readable;
use crate::store::value::NewJson;
use crate::store::work::{Work, act, on_side};

/// The columns of a rule that say what it does, as an operator writes them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RuleText {
    /// The key: the lowest number is asked first.
    pub priority: i64,
    /// What people call it.
    pub name: Option<String>,
    /// Distinguished name of the issuer.
    pub issuer: String,
    /// Authority key identifier.
    pub issuer_key_id: Option<String>,
    /// What must hold, JSON.
    pub conditions: String,
    /// Template of the user's name.
    pub username: String,
    /// Template of the full name.
    pub display_name: Option<String>,
    /// Template of the e-mail address.
    pub email: Option<String>,
    /// Groups, joined by commas.
    pub group_names: Option<String>,
    /// `existing`, `any` or `provision`.
    pub users: String,
    /// Start of the window, RFC 3339.
    pub valid_from: Option<String>,
    /// End of the window, exclusive.
    pub valid_until: Option<String>,
    /// A remark.
    pub note: Option<String>,
}

/// A rule as the database holds it, as text for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// What it does.
    pub text: RuleText,
    /// The rule counts.
    pub enabled: bool,
    /// Who added it, as claimed.
    pub created_by: Option<String>,
    /// When.
    pub created_at: Option<String>,
}

/// Changes to a rule.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RuleEdit {
    /// Another place in the order.
    pub priority: Option<i64>,
    /// What people call it.
    pub name: Edit<String>,
    /// What must hold, JSON.
    pub conditions: Option<String>,
    /// Template of the user's name.
    pub username: Option<String>,
    /// Template of the full name.
    pub display_name: Edit<String>,
    /// Template of the e-mail address.
    pub email: Edit<String>,
    /// Groups, joined by commas.
    pub group_names: Edit<String>,
    /// `existing`, `any` or `provision`.
    pub users: Option<String>,
    /// Start of the window, RFC 3339.
    pub valid_from: Edit<String>,
    /// End of the window, exclusive.
    pub valid_until: Edit<String>,
    /// A remark.
    pub note: Edit<String>,
}

impl RuleText {
    /// The same columns as a row would hold them, to be read before they are written.
    #[must_use]
    pub fn row(&self, enabled: bool) -> RuleRow {
        let bytes = |text: &Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
        RuleRow {
            priority: self.priority,
            name: bytes(&self.name),
            issuer: self.issuer.clone().into_bytes(),
            issuer_key_id: bytes(&self.issuer_key_id),
            conditions: self.conditions.clone().into_bytes(),
            username: self.username.clone().into_bytes(),
            display_name: bytes(&self.display_name),
            email: bytes(&self.email),
            group_names: bytes(&self.group_names),
            users: self.users.clone().into_bytes(),
            enabled: i64::from(enabled),
            valid_from: bytes(&self.valid_from),
            valid_until: bytes(&self.valid_until),
        }
    }

    /// As it will be after the edit.
    #[must_use]
    pub fn edited(mut self, edit: &RuleEdit) -> Self {
        let replace = |column: &mut String, value: &Option<String>| {
            if let Some(value) = value {
                column.clone_from(value);
            }
        };
        let change = |column: &mut Option<String>, edit: &Edit<String>| {
            let (is_changed, value) = edit.parts();
            if is_changed {
                *column = value.cloned();
            }
        };
        self.priority = edit.priority.unwrap_or(self.priority);
        change(&mut self.name, &edit.name);
        replace(&mut self.conditions, &edit.conditions);
        replace(&mut self.username, &edit.username);
        change(&mut self.display_name, &edit.display_name);
        change(&mut self.email, &edit.email);
        change(&mut self.group_names, &edit.group_names);
        replace(&mut self.users, &edit.users);
        change(&mut self.valid_from, &edit.valid_from);
        change(&mut self.valid_until, &edit.valid_until);
        change(&mut self.note, &edit.note);
        self
    }
}

impl Work {
    /// Adds a rule.
    pub async fn rule_add(&mut self, new: &RuleText, by: Option<&str>) -> Result<(), StoreError> {
        let from = moment("valid_from", new.valid_from.as_ref())?;
        let until = moment("valid_until", new.valid_until.as_ref())?;
        let created_by = by.or(self.role.as_deref());
        let work = async {
            on_side!(self.side, side => sqlx::query(
                "insert into rule (priority, name, issuer, issuer_key_id, conditions, username, \
                 display_name, email, group_names, users, valid_from, valid_until, note, \
                 created_by) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            )
            .bind(new.priority)
            .bind(&new.name)
            .bind(&new.issuer)
            .bind(&new.issuer_key_id)
            .bind(NewJson(&new.conditions))
            .bind(&new.username)
            .bind(&new.display_name)
            .bind(&new.email)
            .bind(&new.group_names)
            .bind(&new.users)
            .bind(from)
            .bind(until)
            .bind(&new.note)
            .bind(created_by)
            .execute(&mut **side)
            .await
            .map(drop))
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// One rule.
    pub async fn rule_show(&mut self, priority: i64) -> Result<Rule, StoreError> {
        let sql = format!("{SELECT} where priority = $1");
        let work = async {
            on_side!(self.side, side => {
                let query = sqlx::query(AssertSqlSafe(sql)).bind(priority);
                query.fetch_optional(&mut **side).await?.map(|row| rule(&row)).transpose()
            })
        };
        let rule = act(&self.url, &mut self.broken, about(""), work).await?;
        rule.ok_or_else(|| StoreError::NotFound { noun: "rule", name: priority.to_string() })
    }

    /// All rules, in the order in which they are asked.
    pub async fn rule_list(&mut self) -> Result<Vec<Rule>, StoreError> {
        let sql = format!("{SELECT} order by priority");
        let work = async {
            on_side!(self.side, side => {
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut **side).await?;
                rows.iter().map(rule).collect()
            })
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Changes what the edit names and nothing else.
    pub async fn rule_edit(&mut self, priority: i64, edit: &RuleEdit) -> Result<(), StoreError> {
        let (edit_from, from) = edit.valid_from.parts();
        let (edit_until, until) = edit.valid_until.parts();
        let from = moment("valid_from", from)?;
        let until = moment("valid_until", until)?;
        let texts = [&edit.name, &edit.display_name, &edit.email, &edit.group_names, &edit.note];
        let [name, display_name, email, group_names, note] = texts.map(Edit::parts);
        let work = async {
            Ok(on_side!(self.side, side => sqlx::query(
                "update rule set \
                 priority = coalesce($2, priority), \
                 name = case when $3 then $4 else name end, \
                 conditions = coalesce($5, conditions), \
                 username = coalesce($6, username), \
                 display_name = case when $7 then $8 else display_name end, \
                 email = case when $9 then $10 else email end, \
                 group_names = case when $11 then $12 else group_names end, \
                 users = coalesce($13, users), \
                 valid_from = case when $14 then $15 else valid_from end, \
                 valid_until = case when $16 then $17 else valid_until end, \
                 note = case when $18 then $19 else note end \
                 where priority = $1",
            )
            .bind(priority)
            .bind(edit.priority)
            .bind(name.0)
            .bind(name.1)
            .bind(edit.conditions.as_deref().map(NewJson))
            .bind(&edit.username)
            .bind(display_name.0)
            .bind(display_name.1)
            .bind(email.0)
            .bind(email.1)
            .bind(group_names.0)
            .bind(group_names.1)
            .bind(&edit.users)
            .bind(edit_from)
            .bind(from)
            .bind(edit_until)
            .bind(until)
            .bind(note.0)
            .bind(note.1)
            .execute(&mut **side)
            .await?
            .rows_affected()))
        };
        found(act(&self.url, &mut self.broken, about(""), work).await?, "rule", priority)
    }

    /// Turns a rule on or off.
    pub async fn rule_set_enabled(&mut self, priority: i64, on: bool) -> Result<(), StoreError> {
        let work = async {
            Ok(on_side!(self.side, side => {
                let query = sqlx::query("update rule set enabled = $2 where priority = $1");
                query.bind(priority).bind(on).execute(&mut **side).await?.rows_affected()
            }))
        };
        found(act(&self.url, &mut self.broken, about(""), work).await?, "rule", priority)
    }

    /// Removes a rule; users whom it has added stay.
    pub async fn rule_remove(&mut self, priority: i64) -> Result<(), StoreError> {
        let work = async {
            Ok(on_side!(self.side, side => {
                let query = sqlx::query("delete from rule where priority = $1").bind(priority);
                query.execute(&mut **side).await?.rows_affected()
            }))
        };
        found(act(&self.url, &mut self.broken, about(""), work).await?, "rule", priority)
    }
}

const SELECT: &str = "select cast(priority as bigint), name, issuer, issuer_key_id, \
     cast(conditions as text), username, display_name, email, group_names, users, valid_from, \
     valid_until, note, enabled, created_by, created_at from rule";

fn rule(row: &impl Readable) -> Result<Rule, sqlx::Error> {
    let mut row = Shown::from(row, 0);
    let text = RuleText {
        priority: row.id()?,
        name: row.text_or_null()?,
        issuer: row.text()?,
        issuer_key_id: row.text_or_null()?,
        conditions: row.text()?,
        username: row.text()?,
        display_name: row.text_or_null()?,
        email: row.text_or_null()?,
        group_names: row.text_or_null()?,
        users: row.text()?,
        valid_from: row.moment()?,
        valid_until: row.moment()?,
        note: row.text_or_null()?,
    };
    Ok(Rule {
        text,
        enabled: row.flag()?,
        created_by: row.text_or_null()?,
        created_at: row.moment()?,
    })
}
