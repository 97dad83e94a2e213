//! `certgate group`: who is in which group. A group exists while somebody is in it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Subcommand;

use super::Missing;
use super::desk::Desk;
use super::output::{Fields, Printer, Table};
use super::values;
use crate::store::Store;

/// What `certgate group` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Put users into a group: all of them or, if one cannot be, none
    #[command(after_help = "\
Example:
  certgate group add ops alice bob")]
    Add {
        /// The group: visible ASCII without comma
        #[arg(value_parser = values::name)]
        group: String,
        /// The users
        #[arg(required = true, value_name = "USER", value_parser = values::name)]
        users: Vec<String>,
    },
    /// Take users out of a group: all of them or, if one is not in it, none
    #[command(after_help = "\
Example:
  certgate group remove ops bob")]
    Remove {
        /// The group
        group: String,
        /// The users
        #[arg(required = true, value_name = "USER")]
        users: Vec<String>,
    },
    /// List every group with its members
    #[command(after_help = "\
Examples:
  certgate group list
  certgate group list --json")]
    List,
    /// Show who is in a group; exit code 1 if nobody is
    #[command(after_help = "\
Example:
  certgate group show ops")]
    Show {
        /// The group
        group: String,
    },
}

/// Runs the command; a group nobody is in is not found, which is exit code 1.
pub(super) async fn run(
    command: &GroupCommand,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    match command {
        GroupCommand::Add { group, users } => {
            check_separator(group, desk)?;
            let users = once_each(users);
            desk.act(async |work| work.group_add_all(&users, group).await).await?;
            let sentence = format!("added {} to group {group}", users.join(", "));
            printer.done(&sentence, &fields(group, &users))?;
        }
        GroupCommand::Remove { group, users } => {
            let users = once_each(users);
            desk.act(async |work| work.group_remove_all(&users, group).await).await?;
            let sentence = format!("removed {} from group {group}", users.join(", "));
            printer.done(&sentence, &fields(group, &users))?;
        }
        GroupCommand::List => list(&members(desk.store).await?, printer)?,
        GroupCommand::Show { group } => {
            let users = members(desk.store).await?.remove(group);
            let Some(users) = users else {
                anyhow::bail!(Missing(format!("no such group: nobody is in {group:?}")));
            };
            printer.fields(&fields(group, &users))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A group that holds what stands between groups would be two to an application.
pub(super) fn check_separator(group: &str, desk: &Desk<'_>) -> anyhow::Result<()> {
    let separator = desk.settings().group_separator;
    anyhow::ensure!(
        !group.contains(separator),
        "group {group:?} holds {separator:?}, which stands between groups \
         (output.group_separator)"
    );
    Ok(())
}

/// The same names, each once, in the order in which they came.
pub(super) fn once_each(names: &[String]) -> Vec<String> {
    let mut once: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if !once.contains(name) {
            once.push(name.clone());
        }
    }
    once
}

async fn members(store: &Store) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for member in store.read().await?.group_members(None).await? {
        groups.entry(member.group_name).or_default().push(member.username);
    }
    Ok(groups)
}

fn list(groups: &BTreeMap<String, Vec<String>>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let mut table = Table::new(&["group", "users"]);
    for (group, users) in groups {
        table.row([group.clone(), users.join(" ")]);
    }
    let rows: Vec<_> = groups.iter().map(|(group, users)| fields(group, users)).collect();
    printer.list(&rows, &table)
}

fn fields(group: &str, users: &[String]) -> Fields {
    Fields::default().with("group_name", group).with("usernames", users)
}
