//! `/blocks`: certificates that are kept out, whatever they are mapped to.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::operation::{Call, Page, Removed, answer};
use super::pattern::{Columns, Wanted};
use super::problem::Problem;
use super::{body, edit};
use crate::store::{self, BlockEdit, Edit, NewBlock};

/// A block.
#[derive(Serialize, ToSchema)]
pub(super) struct Block {
    id: i64,
    pattern: Columns,
    /// The operator's switch.
    enabled: bool,
    /// Start of the window, RFC 3339.
    valid_from: Option<String>,
    /// End of the window, exclusive.
    valid_until: Option<String>,
    reason: Option<String>,
    note: Option<String>,
    created_by: Option<String>,
    created_at: Option<String>,
}

impl From<store::Block> for Block {
    fn from(block: store::Block) -> Self {
        Self {
            id: block.id,
            pattern: block.pattern.into(),
            enabled: block.enabled,
            valid_from: block.valid_from,
            valid_until: block.valid_until,
            reason: block.reason,
            note: block.note,
            created_by: block.created_by,
            created_at: block.created_at,
        }
    }
}

/// A block to add. It compares without case, in doubt it matches, and an issuer alone blocks a CA.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBlock)]
pub(super) struct Add {
    #[serde(deserialize_with = "body::object")]
    pattern: Wanted,
    /// RFC 3339.
    valid_from: Option<String>,
    /// RFC 3339, exclusive.
    valid_until: Option<String>,
    reason: Option<String>,
    note: Option<String>,
}

/// Changes to a block; what it matches never changes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BlockChange)]
pub(super) struct Change {
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    valid_from: Edit<String>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    valid_until: Edit<String>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    reason: Edit<String>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    note: Edit<String>,
}

pub(super) async fn list(call: &mut Call) -> Result<Value, Problem> {
    let (after, limit) = (call.query.cursor_id()?, call.query.limit());
    let blocks = call.work.block_page(after, limit + 1).await?;
    let blocks = blocks.into_iter().map(Block::from).collect();
    answer(Page::cut(blocks, limit, |block| block.id.to_string()))
}

pub(super) async fn show(call: &mut Call) -> Result<Value, Problem> {
    let id = call.id()?;
    told(call, id).await
}

pub(super) async fn add(call: &mut Call) -> Result<Value, Problem> {
    let body: Add = call.body()?;
    let new = NewBlock {
        pattern: body.pattern.read()?.text,
        valid_from: body.valid_from,
        valid_until: body.valid_until,
        reason: body.reason,
        note: body.note,
        created_by: call.creator(),
    };
    let id = call.work.block_add(&new).await?;
    told(call, id).await
}

pub(super) async fn edit(call: &mut Call) -> Result<Value, Problem> {
    let id = call.id()?;
    let body: Change = call.body()?;
    let edit = BlockEdit {
        valid_from: body.valid_from,
        valid_until: body.valid_until,
        reason: body.reason,
        note: body.note,
    };
    if edit != BlockEdit::default() {
        call.work.block_edit(id, &edit).await?;
    }
    told(call, id).await
}

pub(super) async fn enable(call: &mut Call) -> Result<Value, Problem> {
    set_enabled(call, true).await
}

pub(super) async fn disable(call: &mut Call) -> Result<Value, Problem> {
    set_enabled(call, false).await
}

async fn set_enabled(call: &mut Call, on: bool) -> Result<Value, Problem> {
    let id = call.id()?;
    call.work.block_set_enabled(id, on).await?;
    told(call, id).await
}

pub(super) async fn remove(call: &mut Call) -> Result<Value, Problem> {
    let id = call.id()?;
    call.work.block_remove(id).await?;
    answer(Removed::DONE)
}

pub(super) async fn told(call: &mut Call, id: i64) -> Result<Value, Problem> {
    answer(Block::from(call.work.block_show(id).await?))
}
