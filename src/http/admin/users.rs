//! `/users`: people and machines that certificates are mapped to.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::edit;
use super::operation::{Call, Page, answer};
use super::problem::Problem;
use crate::operator::{RemoveError, remove_user};
use crate::store::{self, Edit, NewUser, UserEdit, UserFilter};

/// A user.
#[derive(Serialize, ToSchema)]
pub(super) struct User {
    /// The name that applications get.
    username: String,
    /// A name for people.
    display_name: Option<String>,
    /// A mail address.
    email: Option<String>,
    /// Sorted.
    groups: Vec<String>,
    /// operator, or rule for one whom a rule added.
    origin: String,
    /// No rule leads to this user.
    mapped_only: bool,
    /// The operator's switch.
    enabled: bool,
    /// Start of the window, RFC 3339.
    valid_from: Option<String>,
    /// End of the window, exclusive.
    valid_until: Option<String>,
    /// A remark.
    note: Option<String>,
    /// Who added the user, as claimed.
    created_by: Option<String>,
    /// When.
    created_at: Option<String>,
}

impl From<store::User> for User {
    fn from(user: store::User) -> Self {
        Self {
            username: user.username,
            display_name: user.display_name,
            email: user.email,
            groups: user.groups,
            origin: user.origin,
            mapped_only: user.mapped_only,
            enabled: user.enabled,
            valid_from: user.valid_from,
            valid_until: user.valid_until,
            note: user.note,
            created_by: user.created_by,
            created_at: user.created_at,
        }
    }
}

/// A user to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser)]
pub(super) struct Add {
    /// Visible ASCII without comma.
    #[schema(min_length = 1, max_length = 256, pattern = "^[!-+\\-.-~]{1,256}$")]
    username: String,
    display_name: Option<String>,
    email: Option<String>,
    /// Groups to join at once.
    #[serde(default)]
    groups: Vec<String>,
    /// No rule shall lead to this user.
    #[serde(default)]
    mapped_only: bool,
    /// The user does not come in until enabled.
    #[serde(default)]
    disabled: bool,
    /// RFC 3339.
    valid_from: Option<String>,
    /// RFC 3339, exclusive.
    valid_until: Option<String>,
    note: Option<String>,
}

/// Changes to a user; what is absent stays, null makes empty.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChange)]
pub(super) struct Change {
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    display_name: Edit<String>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    email: Edit<String>,
    mapped_only: Option<bool>,
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

/// What went with a user, and what stays.
#[derive(Serialize, ToSchema)]
pub(super) struct RemovedUser {
    /// Always true.
    removed: bool,
    /// Mappings that let somebody in, which are gone.
    mappings: Vec<i64>,
    /// Blocks that keep out what revoked mappings of theirs kept out.
    blocks: Vec<i64>,
}

/// Another name for a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    /// Visible ASCII without comma.
    #[schema(min_length = 1, max_length = 256, pattern = "^[!-+\\-.-~]{1,256}$")]
    new_name: String,
}

pub(super) async fn list(call: &mut Call) -> Result<Value, Problem> {
    let filter = UserFilter {
        search: call.query.text("search").map(str::to_owned),
        group: call.query.text("group").map(str::to_owned),
        enabled: call.query.flag("enabled"),
    };
    let limit = call.query.limit();
    let users = call.work.user_page(&filter, call.query.cursor(), limit + 1).await?;
    let users = users.into_iter().map(User::from).collect();
    answer(Page::cut(users, limit, |user| user.username.clone()))
}

pub(super) async fn show(call: &mut Call) -> Result<Value, Problem> {
    let username = call.name().to_owned();
    told(call, &username).await
}

pub(super) async fn add(call: &mut Call) -> Result<Value, Problem> {
    let body: Add = call.body()?;
    for group in &body.groups {
        check_separator(call, group)?;
    }
    let mut groups = body.groups;
    groups.sort_unstable();
    groups.dedup();
    let new = NewUser {
        username: body.username,
        display_name: body.display_name,
        email: body.email,
        mapped_only: body.mapped_only,
        disabled: body.disabled,
        valid_from: body.valid_from,
        valid_until: body.valid_until,
        note: body.note,
        created_by: call.creator(),
        groups,
    };
    call.work.user_add(&new).await?;
    told(call, &new.username).await
}

pub(super) async fn edit(call: &mut Call) -> Result<Value, Problem> {
    let body: Change = call.body()?;
    let username = call.name().to_owned();
    let edit = UserEdit {
        display_name: body.display_name,
        email: body.email,
        mapped_only: body.mapped_only,
        valid_from: body.valid_from,
        valid_until: body.valid_until,
        note: body.note,
    };
    if edit != UserEdit::default() {
        call.work.user_edit(&username, &edit).await?;
    }
    told(call, &username).await
}

pub(super) async fn enable(call: &mut Call) -> Result<Value, Problem> {
    set_enabled(call, true).await
}

pub(super) async fn disable(call: &mut Call) -> Result<Value, Problem> {
    set_enabled(call, false).await
}

async fn set_enabled(call: &mut Call, on: bool) -> Result<Value, Problem> {
    let username = call.name().to_owned();
    call.work.user_set_enabled(&username, on).await?;
    told(call, &username).await
}

pub(super) async fn rename(call: &mut Call) -> Result<Value, Problem> {
    let body: Rename = call.body()?;
    let username = call.name().to_owned();
    call.work.user_rename(&username, &body.new_name).await?;
    told(call, &body.new_name).await
}

pub(super) async fn remove(call: &mut Call) -> Result<Value, Problem> {
    let username = call.name().to_owned();
    let with_mappings = call.query.flag("with_mappings").unwrap_or_default();
    let (ground, by) = (call.ground.clone(), call.creator());
    let gone =
        remove_user(&mut call.work, &ground, &username, with_mappings, by.as_deref()).await?;
    answer(RemovedUser { removed: true, mappings: gone.mappings, blocks: gone.blocks })
}

async fn told(call: &mut Call, username: &str) -> Result<Value, Problem> {
    answer(User::from(call.work.user_show(username).await?))
}

impl From<RemoveError> for Problem {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::MappingsLive { .. } => Self::conflict(
                "mappings_live",
                "certificates still lead to this user; disable the user, or say with_mappings=true",
            ),
            RemoveError::RevocationUnread { .. } => {
                Self::conflict("revocation_unread", error.to_string())
            }
            RemoveError::RuleAddsAgain { .. } => Self::conflict("comes_back", error.to_string()),
            RemoveError::Store(error) => error.into(),
        }
    }
}

/// A group that holds what stands between groups would be two to an application.
pub(super) fn check_separator(call: &Call, group: &str) -> Result<(), Problem> {
    let separator = call.ground.settings.group_separator;
    if !group.contains(separator) {
        return Ok(());
    }
    let why = format!("group {group:?} holds {separator:?}, which stands between groups");
    Err(Problem::refused("bad_value", why))
}
