//! Undoing a mistake: puts back what the audit says was there before.
//!
//! It refuses wherever the present row is not the one that the change left, and wherever somebody
//! else would get what was once alice's.

use serde_json::Value;

use crate::directory::Relation;
use crate::store::{AuditRow, StoreError, Work};

/// What undoing one row of the audit did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Undone {
    /// The row of the audit.
    pub id: i64,
    /// What was done: `removed`, `changed back` or `put back`.
    pub what: &'static str,
    /// The table.
    pub relation: Relation,
    /// The row, as the audit names it.
    pub key: String,
}

/// Why a change is not undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// Something changed the row again.
    #[error(
        "audit row {id}: {relation} {key} is not what this change left; look at \
         `certgate audit list --relation {relation} --key {key}`"
    )]
    Changed {
        /// The row of the audit.
        id: i64,
        /// The table.
        relation: &'static str,
        /// The row.
        key: String,
    },
    /// The user was renamed or removed, and this row went along.
    #[error(
        "audit row {id}: {relation} {key} only followed its user, who was renamed or removed; undo \
         that change, with all that followed, by `certgate audit undo --transaction`"
    )]
    Followed {
        /// The row of the audit.
        id: i64,
        /// The table.
        relation: &'static str,
        /// The row.
        key: String,
    },
    /// Nothing that could be undone.
    #[error("audit row {id}: a {action} cannot be undone")]
    NotUndoable {
        /// The row of the audit.
        id: i64,
        /// What was done.
        action: String,
    },
    /// There is a user of the name, but another one.
    #[error(
        "audit row {id}: {username} is not the user whom this was about; nothing is given to \
         somebody else"
    )]
    SomebodyElse {
        /// The row of the audit.
        id: i64,
        /// The name.
        username: String,
    },
    /// A database that did not answer, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user to be taken away has got more since.
    #[error(
        "audit row {id}: {username} has mappings or groups by now, which would go with the user; \
         `certgate user remove {username}` says which"
    )]
    StillInUse {
        /// The row of the audit.
        id: i64,
        /// The user.
        username: String,
    },
}

/// Undoes one change, or all those of one transaction, newest first; the caller commits.
///
/// # Errors
/// The first row that cannot be undone: the transaction is then to be dropped.
pub async fn undo(work: &mut Work, rows: &[AuditRow]) -> Result<Vec<Undone>, UndoError> {
    let is_group = rows.len() > 1;
    let mut newest_first: Vec<_> = rows.iter().collect();
    newest_first.sort_by_key(|row| std::cmp::Reverse(row.id));
    let (followed, own): (Vec<_>, Vec<_>) = newest_first.into_iter().partition(|row| row.followed);
    let mut done = Vec::new();
    for row in own {
        done.push(undo_one(work, row).await?);
    }
    // The user is back: what went along comes back too. What was renamed along followed by itself.
    for row in followed {
        if is_group && row.action == "delete" {
            done.push(undo_one(work, row).await?);
        } else if !is_group {
            let (id, key) = (row.id, row.key.clone());
            return Err(UndoError::Followed { id, relation: relation(row)?.name(), key });
        }
    }
    Ok(done)
}

async fn undo_one(work: &mut Work, row: &AuditRow) -> Result<Undone, UndoError> {
    let relation = relation(row)?;
    let what = match (row.before.as_deref(), row.after.as_deref()) {
        (None, Some(after)) => {
            check_stands(work, row, relation, after).await?;
            if relation == Relation::AppUser {
                check_unused(work, row, after).await?;
            }
            work.row_take_away(relation, after).await?;
            "removed"
        }
        (Some(before), Some(after)) => {
            check_stands(work, row, relation, after).await?;
            check_owner(work, row, relation, before, Some(after)).await?;
            work.row_change_back(relation, after, before).await?;
            "changed back"
        }
        (Some(before), None) => {
            check_owner(work, row, relation, before, None).await?;
            work.row_put_back(relation, before).await?;
            "put back"
        }
        (None, None) => return Err(not_undoable(row)),
    };
    Ok(Undone { id: row.id, what, relation, key: row.key.clone() })
}

async fn check_stands(
    work: &mut Work,
    row: &AuditRow,
    relation: Relation,
    after: &str,
) -> Result<(), UndoError> {
    if work.row_stands(relation, after).await? {
        return Ok(());
    }
    Err(UndoError::Changed { id: row.id, relation: relation.name(), key: row.key.clone() })
}

async fn check_unused(work: &mut Work, row: &AuditRow, user: &str) -> Result<(), UndoError> {
    let Some(username) = text(user, "username") else { return Err(not_undoable(row)) };
    let groups = work.group_members(Some(&username)).await?;
    let mappings = work.mapping_list(Some(&username)).await?;
    if groups.is_empty() && mappings.is_empty() {
        return Ok(());
    }
    Err(UndoError::StillInUse { id: row.id, username })
}

/// A membership or a mapping goes back to whom it was taken from, and to nobody else of that name.
async fn check_owner(
    work: &mut Work,
    row: &AuditRow,
    relation: Relation,
    before: &str,
    after: Option<&str>,
) -> Result<(), UndoError> {
    if !matches!(relation, Relation::Mapping | Relation::UserGroup) {
        return Ok(());
    }
    let Some(username) = text(before, "username") else { return Err(not_undoable(row)) };
    if after.and_then(|after| text(after, "username")).as_ref() == Some(&username) {
        // The row is there as it was left, so its user is: rows go with their user.
        return Ok(());
    }
    let other = || UndoError::SomebodyElse { id: row.id, username: username.clone() };
    let Some(known) = work.audit_of_user_at(&username, row.id).await? else {
        // Nothing ever happened to this user, not since there is an audit.
        return Ok(());
    };
    let of_name = |side: &Option<String>| {
        let side =
            side.as_deref().filter(|side| text(side, "username").as_ref() == Some(&username));
        side.and_then(|side| text(side, "created_at"))
    };
    // The first row after the change says who was there before it, the last one up to it who came.
    let then = if known.id > row.id {
        of_name(&known.before)
    } else {
        of_name(&known.after).or_else(|| of_name(&known.before))
    };
    let then = then.ok_or_else(other)?;
    if work.user_is_of(&username, &then).await? { Ok(()) } else { Err(other()) }
}

fn relation(row: &AuditRow) -> Result<Relation, UndoError> {
    let known = Relation::ALL.into_iter().find(|relation| relation.name() == row.relation);
    known.ok_or_else(|| not_undoable(row))
}

fn not_undoable(row: &AuditRow) -> UndoError {
    UndoError::NotUndoable { id: row.id, action: row.action.clone() }
}

/// A column of a row of the audit, if it holds text.
fn text(row: &str, column: &str) -> Option<String> {
    let row: Value = serde_json::from_str(row).ok()?;
    row.get(column)?.as_str().map(str::to_owned)
}
