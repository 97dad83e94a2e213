//! `certgate mapping reissue`: a CA is replaced.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::certificate::shifted;
use super::desk::Desk;
use super::facts::read_certificate;
use super::output::{Fields, Printer, Table};
use super::pattern::{self, authority, authority_of};
use super::values::{self, IssuerValue};
use crate::operator::{Reissue, ReissueError, Reissued, reissue};

/// `certgate mapping reissue`
#[derive(Args, Clone, Debug)]
pub(super) struct ReissueArgs {
    /// The CA that goes: a DN, or its certificate as a file, which tells its key too
    #[arg(long, value_name = "DN|FILE", value_parser = values::issuer)]
    issuer: IssuerValue,
    /// The certificate of the CA that comes
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// End the old ones after this time, where they have a twin
    #[arg(long, value_name = "SPAN", value_parser = values::span)]
    retire_old: Option<Duration>,
    /// Give rules a copy for the new CA too, where no other rule of it is in the way and nobody comes
    /// in whom the old CA's blocks and mappings keep out
    #[arg(long)]
    rules: bool,
}

pub(super) async fn run(
    args: &ReissueArgs,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let new = read_certificate(&args.to).context("--to")?;
    let wish = Reissue {
        old: authority(&args.issuer)?,
        new: authority_of(&args.to, &new).context("--to")?,
        retire_at: args.retire_old.map(|span| shifted(desk.now, span, 1)),
        rules: args.rules,
        created_by: desk.actor.clone(),
    };
    let mut work = desk.store.begin(&desk.by()).await?;
    let before = desk.administrators(&mut work).await?;
    let done = reissue(&mut work, &desk.ground(), &wish).await.map_err(|error| match error {
        ReissueError::Store(error) => error.into(),
        error => anyhow::Error::from(error),
    })?;
    desk.check_administrators(before, &mut work).await?;
    if !args.dry_run {
        work.commit().await?;
    }
    if printer.is_json() {
        return printer.json(&document(&done, args.dry_run));
    }
    print(&done, args, printer)
}

fn document(done: &Reissued, is_dry_run: bool) -> Value {
    let carried = done.carried.iter().map(|one| {
        let fields = Fields::default()
            .with("id", one.id)
            .with("twin", one.twin)
            .with("new", one.is_new)
            .with("username", one.username.as_str())
            .with("kind", one.kind)
            .with_texts(pattern::columns(&one.pattern));
        Value::from(fields)
    });
    let not_carried = done.not_carried.iter().map(
        |one| json!({"id": one.id, "username": one.username, "kind": one.kind, "why": one.why}),
    );
    let rules = done
        .rules
        .iter()
        .map(|one| json!({"priority": one.priority, "twin": one.twin, "why": one.why}));
    json!({
        "dry_run": is_dry_run,
        "carried": carried.collect::<Value>(),
        "not_carried": not_carried.collect::<Value>(),
        "rules": rules.collect::<Value>(),
        "retired": done.retired,
    })
}

fn print(done: &Reissued, args: &ReissueArgs, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let new = done.carried.iter().filter(|one| one.is_new).count();
    let there = done.carried.len() - new;
    let would = if args.dry_run { "would be " } else { "" };
    printer.line(&format!(
        "{new} mappings {would}carried over, {there} have their twin already, {} are not carried \
         over, {} old ones {would}ended later",
        done.not_carried.len(),
        done.retired.len()
    ))?;
    if !done.carried.is_empty() {
        let mut table = Table::new(&["id", "twin", "user", "kind", "pattern of the twin"]);
        for one in &done.carried {
            // The number that a dry run gets is nobody's.
            let is_made = !one.is_new || !args.dry_run;
            table.row([
                one.id.to_string(),
                if is_made { one.twin.to_string() } else { "-".to_owned() },
                one.username.clone(),
                one.kind.to_owned(),
                pattern::line(&one.pattern),
            ]);
        }
        printer.table(&table)?;
    }
    if !done.not_carried.is_empty() {
        printer.line("Not carried over:")?;
        let mut table = Table::new(&["id", "user", "kind", "why"]);
        for one in &done.not_carried {
            let kind = one.kind.to_owned();
            table.row([one.id.to_string(), one.username.clone(), kind, one.why.clone()]);
        }
        printer.table(&table)?;
    }
    if !done.rules.is_empty() {
        printer.line("Rules of the old CA:")?;
        let mut table = Table::new(&["priority", "copy", "what"]);
        for one in &done.rules {
            let twin = one.twin.map(|twin| twin.to_string()).unwrap_or_default();
            table.row([one.priority.to_string(), twin, one.why.clone()]);
        }
        printer.table(&table)?;
    }
    Ok(())
}
