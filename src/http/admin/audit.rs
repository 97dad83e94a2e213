//! `/audit`: who changed what, and undoing a mistake.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::operation::{Call, Page, answer};
use super::problem::Problem;
use crate::operator::{self, UndoError};
use crate::store::{AuditFilter, AuditRow};

/// What one change did to one row.
#[derive(Serialize, ToSchema)]
pub(super) struct Change {
    /// The order in which rows were written.
    id: i64,
    at: Option<String>,
    /// Equal for all that was changed in one transaction.
    transaction_id: Option<String>,
    /// Whom the database let in.
    db_user: Option<String>,
    /// Who acted, as claimed.
    actor: Option<String>,
    /// api, cli, provision or sql.
    source: String,
    /// The request that asked for it, as claimed.
    request_id: Option<String>,
    /// insert, update, delete, truncate or prune.
    action: String,
    /// The table.
    relation: String,
    /// The row's key, after the change if there is one.
    key: String,
    /// The row only followed its user, who was renamed or removed.
    followed: bool,
    /// The row before; null if there was none.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// The row after; null if there is none.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl From<AuditRow> for Change {
    fn from(row: AuditRow) -> Self {
        let object = |text: Option<String>| {
            text.map(|text| {
                serde_json::from_str(&text)
                    .unwrap_or_else(|_| serde_json::json!({ "unreadable": text }))
            })
        };
        Self {
            id: row.id,
            at: row.at,
            transaction_id: row.transaction_id,
            db_user: row.db_user,
            actor: row.actor,
            source: row.source,
            request_id: row.request_id,
            action: row.action,
            relation: row.relation,
            key: row.key,
            followed: row.followed,
            before: object(row.before),
            after: object(row.after),
        }
    }
}

/// What undoing did.
#[derive(Serialize, ToSchema)]
pub(super) struct Undone {
    undone: Vec<UndoneChange>,
}

/// What undoing one change did.
#[derive(Serialize, ToSchema)]
pub(super) struct UndoneChange {
    id: i64,
    /// removed, changed back or put back.
    what: String,
    relation: String,
    key: String,
}

pub(super) async fn list(call: &mut Call) -> Result<Value, Problem> {
    let limit = call.query.limit();
    let text = |name| call.query.text(name).map(str::to_owned);
    let filter = AuditFilter {
        since: text("since"),
        until: text("until"),
        user: text("user"),
        actor: text("actor"),
        relation: text("relation"),
        key: text("key"),
        action: text("action"),
        transaction_id: text("transaction_id"),
        below: call.query.cursor_id()?,
        limit: Some(i64::from(limit) + 1),
    };
    let rows = call.work.audit_list(&filter).await?;
    let changes = rows.into_iter().map(Change::from).collect();
    answer(Page::cut(changes, limit, |change: &Change| change.id.to_string()))
}

pub(super) async fn show(call: &mut Call) -> Result<Value, Problem> {
    let id = call.id()?;
    answer(Change::from(call.work.audit_show(id).await?))
}

pub(super) async fn undo(call: &mut Call) -> Result<Value, Problem> {
    let id = call.id()?;
    let row = call.work.audit_show(id).await?;
    let rows = if call.query.flag("transaction").unwrap_or_default() {
        let Some(transaction) = row.transaction_id else {
            let why = format!(
                "audit row {id}: raw SQL wrote it, and which rows went with it is not known; undo \
                 it alone"
            );
            return Err(Problem::conflict("not_undone", why));
        };
        let filter = AuditFilter { transaction_id: Some(transaction), ..AuditFilter::default() };
        call.work.audit_list(&filter).await?
    } else {
        vec![row]
    };
    let done = operator::undo(&mut call.work, &call.ground, &rows).await?;
    let undone = done.into_iter().map(|one| UndoneChange {
        id: one.id,
        what: one.what.to_owned(),
        relation: one.relation.name().to_owned(),
        key: one.key,
    });
    answer(Undone { undone: undone.collect() })
}

impl From<UndoError> for Problem {
    fn from(error: UndoError) -> Self {
        match error {
            UndoError::Store(error) => error.into(),
            error => Self::conflict("not_undone", error.to_string()),
        }
    }
}
