//! `certgate block`: certificates that are kept out, whatever they are mapped to.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::desk::Desk;
use super::output::{Fields, Printer, Table};
use super::pattern::{self, Chosen, PatternArgs};
use super::values;
use super::window::{WindowArgs, edit, state};
use crate::store::{Block, BlockEdit, NewBlock};

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
    #[command(after_help = "\
Example:
  certgate block show 3")]
    Show {
        /// Its id
        id: i64,
    },
    /// List all blocks
    #[command(after_help = "\
Examples:
  certgate block list
  certgate block list --json")]
    List,
    /// Change a block's window, reason or note; what it matches never changes
    #[command(after_help = "\
Examples:
  certgate block edit 3 --reason 'stolen, reported'
  certgate block edit 3 --clear valid-until")]
    Edit(Change),
    /// Let it count again
    #[command(after_help = "\
Example:
  certgate block enable 3")]
    Enable {
        /// Its id
        id: i64,
    },
    /// Let it not count for now
    #[command(after_help = "\
Example:
  certgate block disable 3")]
    Disable {
        /// Its id
        id: i64,
    },
    /// Remove it for good
    #[command(after_help = "\
Example:
  certgate block remove 3")]
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
    #[command(flatten, next_help_heading = "The block itself")]
    window: WindowArgs,
    /// Why
    #[arg(long, value_parser = values::text, help_heading = "The block itself")]
    reason: Option<String>,
    /// A remark
    #[arg(long, value_parser = values::text, help_heading = "The block itself")]
    note: Option<String>,
    /// Add it although it cannot match as certgate is configured
    #[arg(long, help_heading = "The block itself")]
    anyway: bool,
}

/// `certgate block edit`
#[derive(Args, Clone, Debug)]
pub(super) struct Change {
    /// Its id
    id: i64,
    #[command(flatten)]
    window: WindowArgs,
    /// Why
    #[arg(long, value_parser = values::text)]
    reason: Option<String>,
    /// A remark
    #[arg(long, value_parser = values::text)]
    note: Option<String>,
    /// Make a value empty (repeat for more)
    #[arg(long, value_enum, value_name = "FIELD")]
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

/// Runs the command; a block that is not there is exit code 1.
pub(super) async fn run(
    command: &BlockCommand,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let store = desk.store;
    let (id, done, remarks) = match command {
        BlockCommand::Show { id } => {
            printer.fields(&fields(&store.read().await?.block_show(*id).await?))?;
            return Ok(ExitCode::SUCCESS);
        }
        BlockCommand::List => {
            list(&store.read().await?.block_list().await?, desk, printer)?;
            return Ok(ExitCode::SUCCESS);
        }
        BlockCommand::Remove { id } => {
            desk.act(async |work| work.block_remove(*id).await).await?;
            let done = Fields::default().with("id", *id).with("removed", true);
            printer.done(&format!("removed block {id}"), &done)?;
            return Ok(ExitCode::SUCCESS);
        }
        BlockCommand::Add(new) => add(new, desk).await?,
        BlockCommand::Edit(change) => {
            let edit = block_edit(change)?;
            desk.act(async |work| work.block_edit(change.id, &edit).await).await?;
            (change.id, format!("changed block {}", change.id), Vec::new())
        }
        BlockCommand::Enable { id } => {
            desk.act(async |work| work.block_set_enabled(*id, true).await).await?;
            (*id, format!("enabled block {id}"), Vec::new())
        }
        BlockCommand::Disable { id } => {
            desk.act(async |work| work.block_set_enabled(*id, false).await).await?;
            (*id, format!("disabled block {id}"), Vec::new())
        }
    };
    if printer.is_json() {
        let block = fields(&store.read().await?.block_show(id).await?);
        printer.json(&block.with("remarks", remarks))?;
        return Ok(ExitCode::SUCCESS);
    }
    printer.line(&done)?;
    for remark in remarks {
        printer.line(&remark)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Adds a block; gives back its id, what was done, and what its operator should know.
async fn add(new: &Add, desk: &Desk<'_>) -> anyhow::Result<(i64, String, Vec<String>)> {
    let chosen = new.pattern.read()?;
    if !new.anyway {
        check_useful(&chosen, desk)?;
    }
    let mut remarks = Vec::new();
    if chosen.kind.is_none() {
        remarks.push("It keeps out every certificate of this CA.".to_owned());
    }
    let block = NewBlock {
        pattern: chosen.text,
        valid_from: new.window.valid_from.clone(),
        valid_until: new.window.valid_until.clone(),
        reason: new.reason.clone(),
        note: new.note.clone(),
        created_by: desk.actor.clone(),
    };
    let id = desk.act(async |work| work.block_add(&block).await).await?;
    Ok((id, format!("added block {id}"), remarks))
}

/// A block that no request can match would keep nobody out.
fn check_useful(chosen: &Chosen, desk: &Desk<'_>) -> anyhow::Result<()> {
    anyhow::ensure!(
        !chosen.is_invisible(desk.config),
        "this block could not keep anybody out: identity.source is \"headers\", and the proxy's \
         headers do not show {}; choose --by issuer-serial, issuer-subject or subject, or say \
         --anyway",
        chosen.invisible(desk.config).join(", ")
    );
    Ok(())
}

fn block_edit(change: &Change) -> anyhow::Result<BlockEdit> {
    let is_text = change.reason.is_some() || change.note.is_some();
    anyhow::ensure!(
        is_text || !change.window.is_empty() || !change.clear.is_empty(),
        "nothing to change: give --valid-from, --valid-until, --reason, --note or --clear"
    );
    let clear = |field| change.clear.contains(&field);
    let (from, until) = (change.window.valid_from.as_ref(), change.window.valid_until.as_ref());
    Ok(BlockEdit {
        valid_from: edit("valid-from", from, clear(Field::ValidFrom))?,
        valid_until: edit("valid-until", until, clear(Field::ValidUntil))?,
        reason: edit("reason", change.reason.as_ref(), clear(Field::Reason))?,
        note: edit("note", change.note.as_ref(), clear(Field::Note))?,
    })
}

fn list(blocks: &[Block], desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let mut table = Table::new(&["id", "state", "reason", "pattern", "note"]);
    for block in blocks {
        let (from, until) = (block.valid_from.as_ref(), block.valid_until.as_ref());
        table.row([
            block.id.to_string(),
            block_state(state(block.enabled, from, until, desk.now)).to_owned(),
            block.reason.clone().unwrap_or_default(),
            pattern::line(&block.pattern),
            block.note.clone().unwrap_or_default(),
        ]);
    }
    printer.list(&blocks.iter().map(fields).collect::<Vec<_>>(), &table)
}

/// In doubt a block counts: so does one whose window cannot be read.
fn block_state(state: &'static str) -> &'static str {
    if state == "unreadable" { "unreadable, counts" } else { state }
}

/// A block's columns.
pub(super) fn fields(block: &Block) -> Fields {
    Fields::default()
        .with("id", block.id)
        .with_texts(pattern::columns(&block.pattern))
        .with("enabled", block.enabled)
        .with_texts([
            ("valid_from", block.valid_from.as_deref()),
            ("valid_until", block.valid_until.as_deref()),
            ("reason", block.reason.as_deref()),
            ("note", block.note.as_deref()),
            ("created_by", block.created_by.as_deref()),
            ("created_at", block.created_at.as_deref()),
        ])
}
