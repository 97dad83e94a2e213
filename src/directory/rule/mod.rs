//! Rules: users by what their certificates say, for organisations that do not want a row for each.
//!
//! Rules are asked only where no mapping matched, in the order of their priorities; the first whose
//! conditions hold decides alone, also where it leads nowhere. A rule never makes a member of the
//! administrators' group. No I/O: whom to provision is a value that somebody else writes.

mod ask;
mod condition;
mod field;
mod pattern;
mod template;
#[cfg(test)]
mod tests;

use condition::Conditions;
use template::Template;

pub use ask::{Ruled, Wish};
pub(super) use ask::{Rules, Verdict};
pub use field::Holder;

use super::name::Name;
use super::pattern::Pattern;
use super::row::{PatternRow, RuleRow};
use super::unusable::RowError;
use super::user::MAX_USER_AND_GROUPS_BYTES;
use super::window::Window;
use super::{MAX_NAME_BYTES, Settings, read};
use crate::pki::UnixTime;

/// Most rules; the rest, those of the highest numbers, are never asked and are told of.
pub const MAX_RULES: usize = 1000;

/// Whose name a rule gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Users {
    /// Anybody's; nothing has to be stored.
    Any,
    /// An existing user's.
    Existing,
    /// An existing user's, whom the control plane adds disabled when somebody comes.
    Provision,
}

/// A readable rule. A row of which any column cannot be read is never one.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) priority: i64,
    issuer: Pattern,
    conditions: Conditions,
    username: Template,
    display_name: Option<Template>,
    email: Option<Template>,
    groups: Vec<Name>,
    pub(super) users: Users,
    pub(super) window: Window,
}

impl Rule {
    pub(super) fn read(row: &RuleRow, settings: &Settings) -> Result<Self, RowError> {
        read::text("name", row.name.as_deref())?;
        let conditions = Conditions::parse(&row.conditions)
            .map_err(|error| RowError::new("conditions", error.to_string()))?;
        let users = users(&row.users)?;
        let rule = Self {
            priority: row.priority,
            issuer: issuer(row)?,
            username: username(&row.username, &conditions)?,
            display_name: for_people("display_name", row.display_name.as_deref(), &conditions)?,
            email: for_people("email", row.email.as_deref(), &conditions)?,
            groups: groups(row.group_names.as_deref(), settings)?,
            users,
            window: read::window(
                row.enabled,
                row.valid_from.as_deref(),
                row.valid_until.as_deref(),
            )?,
            conditions,
        };
        rule.check_unused()?;
        Ok(rule)
    }

    /// What would silently have no effect is refused.
    fn check_unused(&self) -> Result<(), RowError> {
        if self.users != Users::Existing {
            return Ok(());
        }
        let unused = [
            ("group_names", !self.groups.is_empty()),
            ("display_name", self.display_name.is_some()),
            ("email", self.email.is_some()),
        ];
        match unused.into_iter().find(|(_, is_set)| *is_set) {
            Some((column, _)) => {
                Err(RowError::new(column, "an existing user has its own; say users = any"))
            }
            None => Ok(()),
        }
    }
}

/// Reads a row that an operator is about to write.
///
/// # Errors
/// What would make the rule one that never matches.
pub fn check_rule(row: &RuleRow, settings: &Settings) -> Result<(), RowError> {
    Rule::read(row, settings).map(drop)
}

/// The priority of a provisioning rule that would add a user of this name again, if there is one
/// that is switched on and not over.
#[must_use]
pub fn provisioning_rule(
    rows: &[RuleRow],
    settings: &Settings,
    username: &str,
    now: UnixTime,
) -> Option<i64> {
    let rules = rows.iter().filter_map(|row| Rule::read(row, settings).ok());
    let mut fits = rules.filter(|rule| {
        let is_over = rule.window.valid_until.is_some_and(|until| until <= now);
        let is_on = rule.window.enabled && !is_over && rule.users == Users::Provision;
        is_on && rule.username.could_be(username)
    });
    fits.next().map(|rule| rule.priority)
}

fn issuer(row: &RuleRow) -> Result<Pattern, RowError> {
    let read = Pattern::read(&PatternRow {
        issuer: Some(row.issuer.clone()),
        issuer_key_id: row.issuer_key_id.clone(),
        ..PatternRow::default()
    });
    match read.faults.into_iter().next() {
        Some(fault) => Err(RowError::new(fault.column.name(), fault.why)),
        None => Ok(read.pattern),
    }
}

fn users(bytes: &[u8]) -> Result<Users, RowError> {
    match bytes {
        b"any" => Ok(Users::Any),
        b"existing" => Ok(Users::Existing),
        b"provision" => Ok(Users::Provision),
        _ => Err(RowError::new("users", "is neither existing, any nor provision")),
    }
}

/// A template of names: its own text must be good in one.
fn username(bytes: &[u8], conditions: &Conditions) -> Result<Template, RowError> {
    let error = |why: String| RowError::new("username", why);
    let template = template("username", Some(bytes), conditions)?;
    let template = template.ok_or_else(|| error("is empty".to_owned()))?;
    for literal in template.literals() {
        Name::parse(literal.as_bytes()).map_err(|why| error(format!("its text {why}")))?;
    }
    Ok(template)
}

fn template(
    column: &'static str,
    bytes: Option<&[u8]>,
    conditions: &Conditions,
) -> Result<Option<Template>, RowError> {
    let Some(text) = read::text(column, bytes)? else { return Ok(None) };
    Template::parse(text, conditions)
        .map(Some)
        .map_err(|error| RowError::new(column, error.to_string()))
}

fn for_people(
    column: &'static str,
    bytes: Option<&[u8]>,
    conditions: &Conditions,
) -> Result<Option<Template>, RowError> {
    Ok(template(column, bytes, conditions)?.map(Template::for_people))
}

/// Groups joined by commas, blanks around them allowed; sorted, each once.
fn groups(bytes: Option<&[u8]>, settings: &Settings) -> Result<Vec<Name>, RowError> {
    let error = |why: String| RowError::new("group_names", why);
    let Some(text) = read::text("group_names", bytes)? else { return Ok(Vec::new()) };
    let mut groups = Vec::new();
    for part in text.split(',') {
        let group = Name::parse(part.trim_matches(' ').as_bytes());
        let group = group.map_err(|why| error(why.to_string()))?;
        if group.as_str().contains(settings.group_separator) {
            return Err(error(format!("{group} holds the group separator")));
        }
        if settings.is_admin(group.as_str()) {
            return Err(error(format!("{group} is the administrators' group (admin.group)")));
        }
        groups.push(group);
    }
    groups.sort_unstable();
    groups.dedup();
    let bytes: usize = groups.iter().map(|group| group.as_str().len() + 1).sum();
    if MAX_NAME_BYTES + bytes > MAX_USER_AND_GROUPS_BYTES {
        return Err(error("with a user's name too long for the answer's headers".to_owned()));
    }
    Ok(groups)
}
