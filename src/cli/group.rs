//! `certgate group`: who is in which group. A group exists while somebody is in it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::output::{Printer, Table};
use crate::store::Store;

/// What `certgate group` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Put users into a group
    #[command(after_help = "Example:\n  certgate group add ops alice bob")]
    Add {
        /// The group: visible ASCII without comma
        group: String,
        /// The users
        #[arg(required = true)]
        users: Vec<String>,
    },
    /// Take users out of a group
    Remove {
        /// The group
        group: String,
        /// The users
        #[arg(required = true)]
        users: Vec<String>,
    },
    /// List every group with its members
    List,
    /// Show who is in a group
    Show {
        /// The group
        group: String,
    },
}

/// Runs the command; a group nobody is in is not found, which is exit code 1.
pub(super) async fn run(
    command: &GroupCommand,
    store: &Store,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    match command {
        GroupCommand::Add { group, users } => {
            for user in users {
                store.group_add(user, group).await?;
                let done = json!({"username": user, "group_name": group});
                printer.done(&format!("{user} is in {group}"), &done)?;
            }
        }
        GroupCommand::Remove { group, users } => {
            for user in users {
                store.group_remove(user, group).await?;
                let done = json!({"username": user, "group_name": group});
                printer.done(&format!("{user} is no longer in {group}"), &done)?;
            }
        }
        GroupCommand::List => print(&members(store).await?, printer)?,
        GroupCommand::Show { group } => {
            let mut all = members(store).await?;
            all.retain(|name, _| name == group);
            if all.is_empty() {
                anyhow::bail!(super::Missing(format!("group {group}: nobody is in it")));
            }
            print(&all, printer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn members(store: &Store) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for member in store.group_members(None).await? {
        groups.entry(member.group_name).or_default().push(member.username);
    }
    Ok(groups)
}

fn print(groups: &BTreeMap<String, Vec<String>>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    if printer.is_json() {
        let all: Vec<_> = groups
            .iter()
            .map(|(group, users)| json!({"group_name": group, "usernames": users}))
            .collect();
        return printer.json(&all);
    }
    let mut table = Table::new(&["group", "users"]);
    for (group, users) in groups {
        table.row([group.clone(), users.join(" ")]);
    }
    printer.table(&table)
}
