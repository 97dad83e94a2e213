//! `/groups`: who is in which group. A group exists while somebody is in it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::operation::{Call, Page, answer};
use super::problem::Problem;
use super::users::check_separator;

/// A group.
#[derive(Serialize, ToSchema)]
pub(super) struct Group {
    group_name: String,
    /// How many users are in it.
    members: i64,
}

/// A member of a group.
#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    username: String,
    group_name: String,
}

/// Users to put into a group, or to take out of it: all of them or none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Members {
    #[schema(min_items = 1)]
    usernames: Vec<String>,
}

pub(super) async fn list(call: &mut Call) -> Result<Value, Problem> {
    let limit = call.query.limit();
    let groups = call.work.group_page(call.query.cursor(), limit + 1).await?;
    let group = |(group_name, members)| Group { group_name, members };
    let groups = groups.into_iter().map(group).collect();
    answer(Page::cut(groups, limit, |group: &Group| group.group_name.clone()))
}

pub(super) async fn show(call: &mut Call) -> Result<Value, Problem> {
    let group = call.name().to_owned();
    let (cursor, limit) = (call.query.cursor(), call.query.limit());
    let members = call.work.member_page(&group, cursor, limit + 1).await?;
    if members.is_empty() && cursor.is_none() {
        return Err(Problem::missing("group", format!("nobody is in {group:?}")));
    }
    let member = |username| Member { username, group_name: group.clone() };
    let members = members.into_iter().map(member).collect();
    answer(Page::cut(members, limit, |member| member.username.clone()))
}

/// The groups of one user.
pub(super) async fn of_user(call: &mut Call) -> Result<Value, Problem> {
    let username = call.name().to_owned();
    let groups = call.work.user_show(&username).await?.groups;
    let member = |group_name| Member { username: username.clone(), group_name };
    let members: Vec<_> = groups.into_iter().map(member).collect();
    let all = u32::try_from(members.len()).unwrap_or(u32::MAX);
    answer(Page::cut(members, all, |member| member.group_name.clone()))
}

pub(super) async fn add(call: &mut Call) -> Result<Value, Problem> {
    let usernames = usernames(call)?;
    let group = call.name().to_owned();
    check_separator(call, &group)?;
    call.work.group_add_all(&usernames, &group).await?;
    answer(written(&group, usernames))
}

pub(super) async fn remove(call: &mut Call) -> Result<Value, Problem> {
    let usernames = usernames(call)?;
    let group = call.name().to_owned();
    call.work.group_remove_all(&usernames, &group).await?;
    answer(written(&group, usernames))
}

/// The users of the body, each once.
fn usernames(call: &Call) -> Result<Vec<String>, Problem> {
    let body: Members = call.body()?;
    let mut usernames = body.usernames;
    if usernames.is_empty() {
        return Err(Problem::malformed("the body: usernames names nobody"));
    }
    usernames.sort_unstable();
    usernames.dedup();
    Ok(usernames)
}

/// What was written, as a page of members.
fn written(group: &str, usernames: Vec<String>) -> Page<Member> {
    let member = |username| Member { username, group_name: group.to_owned() };
    let members: Vec<_> = usernames.into_iter().map(member).collect();
    let all = u32::try_from(members.len()).unwrap_or(u32::MAX);
    Page::cut(members, all, |member| member.username.clone())
}
