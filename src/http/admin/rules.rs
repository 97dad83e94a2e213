//! `/rules`: users by what their certificates say.
//!
//! A rule is read by the code that answers nginx before it is written: what is accepted can match.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::edit;
use super::operation::{Call, Page, Removed, answer};
use super::problem::Problem;
use crate::directory::check_rule;
use crate::store::{self, Edit, RuleEdit, RuleText};

/// A rule.
#[derive(Serialize, ToSchema)]
pub(super) struct Rule {
    /// Its place in the order.
    priority: i64,
    /// What people call it.
    name: Option<String>,
    issuer: String,
    issuer_key_id: Option<String>,
    /// What must hold; text for a row that is no JSON.
    #[schema(value_type = Object)]
    conditions: Value,
    /// Template of the user's name.
    username: String,
    display_name: Option<String>,
    email: Option<String>,
    /// Joined by commas.
    group_names: Option<String>,
    /// existing, any or provision.
    users: String,
    enabled: bool,
    valid_from: Option<String>,
    valid_until: Option<String>,
    note: Option<String>,
    created_by: Option<String>,
    created_at: Option<String>,
}

impl From<store::Rule> for Rule {
    fn from(rule: store::Rule) -> Self {
        let text = rule.text;
        Self {
            priority: text.priority,
            name: text.name,
            issuer: text.issuer,
            issuer_key_id: text.issuer_key_id,
            conditions: serde_json::from_str(&text.conditions)
                .unwrap_or_else(|_| serde_json::json!({ "unreadable": text.conditions })),
            username: text.username,
            display_name: text.display_name,
            email: text.email,
            group_names: text.group_names,
            users: text.users,
            enabled: rule.enabled,
            valid_from: text.valid_from,
            valid_until: text.valid_until,
            note: text.note,
            created_by: rule.created_by,
            created_at: rule.created_at,
        }
    }
}

/// Who comes in by a rule.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Users {
    /// Users who are there already.
    #[default]
    Existing,
    /// Anybody the rule names; nothing is stored.
    Any,
    /// Users whom an operator has enabled; the others are added, disabled.
    Provision,
}

impl Users {
    const fn word(self) -> &'static str {
        match self {
            Self::Existing => "existing",
            Self::Any => "any",
            Self::Provision => "provision",
        }
    }
}

/// A rule to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRule)]
pub(super) struct Add {
    /// Its place in the order, a number of its own.
    #[schema(minimum = 0, maximum = 2147483647)]
    priority: i64,
    name: Option<String>,
    /// The issuer's DN.
    issuer: String,
    /// Pins the issuer's key.
    issuer_key_id: Option<String>,
    /// What must hold; everything of this issuer if absent.
    #[schema(value_type = Option<Object>)]
    conditions: Option<serde_json::Map<String, Value>>,
    username: String,
    display_name: Option<String>,
    email: Option<String>,
    group_names: Option<String>,
    #[serde(default)]
    users: Users,
    valid_from: Option<String>,
    valid_until: Option<String>,
    note: Option<String>,
}

/// Changes to a rule; its issuer never changes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleChange)]
pub(super) struct Change {
    /// Another place in the order.
    #[schema(minimum = 0, maximum = 2147483647)]
    priority: Option<i64>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    name: Edit<String>,
    #[schema(value_type = Option<Object>)]
    conditions: Option<serde_json::Map<String, Value>>,
    username: Option<String>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    display_name: Edit<String>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    email: Edit<String>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    group_names: Edit<String>,
    users: Option<Users>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    valid_from: Edit<String>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    valid_until: Edit<String>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    note: Edit<String>,
}

pub(super) async fn list(call: &mut Call) -> Result<Value, Problem> {
    let (after, limit) = (call.query.cursor_id()?, call.query.limit());
    // There are few: the directory takes no more than a bounded number.
    let rules = call.work.rule_list().await?;
    let wanted = rules.into_iter().filter(|rule| Some(rule.text.priority) > after);
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let rules = wanted.take(most).map(Rule::from).collect();
    answer(Page::cut(rules, limit, |rule| rule.priority.to_string()))
}

pub(super) async fn show(call: &mut Call) -> Result<Value, Problem> {
    let priority = call.id()?;
    told(call, priority).await
}

pub(super) async fn add(call: &mut Call) -> Result<Value, Problem> {
    let body: Add = call.body()?;
    check_priority(body.priority)?;
    let rule = RuleText {
        priority: body.priority,
        name: body.name,
        issuer: body.issuer,
        issuer_key_id: body.issuer_key_id,
        conditions: body.conditions.map_or_else(|| EVERYTHING.to_owned(), written),
        username: body.username,
        display_name: body.display_name,
        email: body.email,
        group_names: body.group_names,
        users: body.users.word().to_owned(),
        valid_from: body.valid_from,
        valid_until: body.valid_until,
        note: body.note,
    };
    check(call, &rule, true)?;
    let by = call.creator();
    call.work.rule_add(&rule, by.as_deref()).await?;
    told(call, rule.priority).await
}

pub(super) async fn edit(call: &mut Call) -> Result<Value, Problem> {
    let priority = call.id()?;
    let body: Change = call.body()?;
    if let Some(priority) = body.priority {
        check_priority(priority)?;
    }
    let edit = RuleEdit {
        priority: body.priority,
        name: body.name,
        conditions: body.conditions.map(written),
        username: body.username,
        display_name: body.display_name,
        email: body.email,
        group_names: body.group_names,
        users: body.users.map(|users| users.word().to_owned()),
        valid_from: body.valid_from,
        valid_until: body.valid_until,
        note: body.note,
    };
    let rule = call.work.rule_show(priority).await?;
    if edit != RuleEdit::default() {
        check(call, &rule.text.edited(&edit), rule.enabled)?;
        call.work.rule_edit(priority, &edit).await?;
    }
    told(call, edit.priority.unwrap_or(priority)).await
}

pub(super) async fn enable(call: &mut Call) -> Result<Value, Problem> {
    set_enabled(call, true).await
}

pub(super) async fn disable(call: &mut Call) -> Result<Value, Problem> {
    set_enabled(call, false).await
}

async fn set_enabled(call: &mut Call, on: bool) -> Result<Value, Problem> {
    let priority = call.id()?;
    call.work.rule_set_enabled(priority, on).await?;
    told(call, priority).await
}

pub(super) async fn remove(call: &mut Call) -> Result<Value, Problem> {
    let priority = call.id()?;
    call.work.rule_remove(priority).await?;
    answer(Removed::DONE)
}

async fn told(call: &mut Call, priority: i64) -> Result<Value, Problem> {
    answer(Rule::from(call.work.rule_show(priority).await?))
}

fn check(call: &Call, rule: &RuleText, enabled: bool) -> Result<(), Problem> {
    check_rule(&rule.row(enabled), &call.ground.settings)
        .map_err(|error| Problem::refused("bad_value", error.to_string()))
}

/// The column is a PostgreSQL integer, and a number that is none would be an error of the server.
fn check_priority(priority: i64) -> Result<(), Problem> {
    if i32::try_from(priority).is_ok_and(|priority| priority >= 0) {
        return Ok(());
    }
    Err(Problem::refused("bad_value", "priority: takes a whole number from 0 to 2147483647"))
}

fn written(conditions: serde_json::Map<String, Value>) -> String {
    Value::Object(conditions).to_string()
}

/// Every certificate of the issuer.
const EVERYTHING: &str = r#"{"all":[]}"#;
