//! `certgate block`: certificates that are kept out, whatever they are mapped to.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::mapping::{pattern_columns, pattern_line};
use super::output::{Printer, Table};
use super::pattern::PatternArgs;
use super::window::{WindowArgs, edit};
use crate::store::{Block, BlockEdit, NewBlock, Store};

/// What `certgate block` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum BlockCommand {
    /// Keep certificates out
    #[command(after_help = "\
A block compares without case, and in doubt it matches. An issuer alone blocks a whole CA.

Examples:
  certgate block add --cert laptop.pem --reason stolen
  certgate block add --subject 'CN=mallory,O=Example,C=FR' --reason 'left the company'
  certgate block add --issuer old-ca.pem --valid-from 2027-01-31")]
    Add(Box<Add>),
    /// Show one block
    Show {
        /// Its id
        id: i64,
    },
    /// List all blocks
    List,
    /// Change a block's window, reason or note; what it matches never changes
    Edit(Change),
    /// Let it count again
    Enable {
        /// Its id
        id: i64,
    },
    /// Let it not count for now
    Disable {
        /// Its id
        id: i64,
    },
    /// Remove it for good
    Remove {
        /// Its id
        id: i64,
    },
}

/// `certgate block add`
#[derive(Args, Clone, Debug)]
pub(super) struct Add {
    #[command(flatten)]
    pattern: PatternArgs,
    #[command(flatten)]
    window: WindowArgs,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    /// A remark
    #[arg(long)]
    note: Option<String>,
}

/// `certgate block edit`
#[derive(Args, Clone, Debug)]
pub(super) struct Change {
    /// Its id
    id: i64,
    #[command(flatten)]
    window: WindowArgs,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    /// A remark
    #[arg(long)]
    note: Option<String>,
    /// Make a value empty (repeat for more)
    #[arg(long, value_enum)]
    clear: Vec<Field>,
}

/// A value of a block that can be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Field {
    ValidFrom,
    ValidUntil,
    Reason,
    Note,
}

pub(super) async fn run(
    command: &BlockCommand,
    store: &Store,
    actor: Option<String>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    match command {
        BlockCommand::Add(add) => {
            let block = NewBlock {
                pattern: add.pattern.read()?.text,
                valid_from: add.window.valid_from.clone(),
                valid_until: add.window.valid_until.clone(),
                reason: add.reason.clone(),
                note: add.note.clone(),
                created_by: actor,
            };
            let id = store.block_add(&block).await?;
            printer.done(&format!("added block {id}"), &json!({"id": id}))?;
        }
        BlockCommand::Show { id } => printer.fields(&block_json(&store.block_show(*id).await?))?,
        BlockCommand::List => list(&store.block_list().await?, printer)?,
        BlockCommand::Edit(change) => {
            store.block_edit(change.id, &block_edit(change)).await?;
            printer.done(&format!("changed block {}", change.id), &json!({"id": change.id}))?;
        }
        BlockCommand::Enable { id } => {
            store.block_set_enabled(*id, true).await?;
            printer.done(&format!("enabled block {id}"), &json!({"id": id, "enabled": true}))?;
        }
        BlockCommand::Disable { id } => {
            store.block_set_enabled(*id, false).await?;
            printer.done(&format!("disabled block {id}"), &json!({"id": id, "enabled": false}))?;
        }
        BlockCommand::Remove { id } => {
            store.block_remove(*id).await?;
            printer.done(&format!("removed block {id}"), &json!({"id": id}))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn block_edit(change: &Change) -> BlockEdit {
    let clear = |field| change.clear.contains(&field);
    BlockEdit {
        valid_from: edit(change.window.valid_from.as_ref(), clear(Field::ValidFrom)),
        valid_until: edit(change.window.valid_until.as_ref(), clear(Field::ValidUntil)),
        reason: edit(change.reason.as_ref(), clear(Field::Reason)),
        note: edit(change.note.as_ref(), clear(Field::Note)),
    }
}

fn list(blocks: &[Block], printer: &mut Printer<'_>) -> anyhow::Result<()> {
    if printer.is_json() {
        return printer.json(&blocks.iter().map(block_json).collect::<Vec<_>>());
    }
    let mut table = Table::new(&["id", "state", "reason", "pattern"]);
    for block in blocks {
        table.row([
            block.id.to_string(),
            if block.enabled { "enabled" } else { "disabled" }.to_owned(),
            block.reason.clone().unwrap_or_default(),
            pattern_line(&block.pattern),
        ]);
    }
    printer.table(&table)
}

fn block_json(block: &Block) -> Value {
    let mut fields = serde_json::Map::new();
    fields.insert("id".into(), json!(block.id));
    for (name, value) in pattern_columns(&block.pattern) {
        fields.insert(name.into(), json!(value));
    }
    for (name, value) in [
        ("enabled", json!(block.enabled)),
        ("valid_from", json!(block.valid_from)),
        ("valid_until", json!(block.valid_until)),
        ("reason", json!(block.reason)),
        ("note", json!(block.note)),
        ("created_by", json!(block.created_by)),
        ("created_at", json!(block.created_at)),
    ] {
        fields.insert(name.into(), value);
    }
    Value::Object(fields)
}
