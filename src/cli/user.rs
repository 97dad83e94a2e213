//! `certgate user`: people and machines that certificates are mapped to.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::mapping::mapping_json;
use super::output::{Printer, Table};
use super::window::{WindowArgs, edit};
use crate::app;
use crate::config::Config;
use crate::directory::provisioning_rule;
use crate::store::{NewUser, Store, User, UserEdit};

/// What `certgate user` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user
    #[command(after_help = "\
Example:
  certgate user add alice --name \"Alice Dupont\" --email alice@example.com --group ops --group staff")]
    Add(Add),
    /// Show a user with groups and mappings
    Show {
        /// The user
        username: String,
    },
    /// List all users
    List,
    /// Change a user's name, address, window or note
    #[command(after_help = "\
Examples:
  certgate user edit alice --email alice@example.org
  certgate user edit alice --clear valid-until")]
    Edit(UserChange),
    /// Let a user in again
    Enable {
        /// The user
        username: String,
    },
    /// Keep a user out, whatever is mapped
    Disable {
        /// The user
        username: String,
    },
    /// Give a user another name; groups and mappings follow
    Rename {
        /// The user
        username: String,
        /// The new name
        new_name: String,
    },
    /// Remove a user with all groups and mappings
    Remove {
        /// The user
        username: String,
    },
}

/// `certgate user add`
#[derive(Args, Clone, Debug)]
pub(super) struct Add {
    /// The name that applications get: visible ASCII without comma
    username: String,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// A mail address
    #[arg(long)]
    email: Option<String>,
    /// A group (repeat for more)
    #[arg(long)]
    group: Vec<String>,
    /// Only mappings lead to this user, never a rule
    #[arg(long)]
    mapped_only: bool,
    #[command(flatten)]
    window: WindowArgs,
    /// A remark
    #[arg(long)]
    note: Option<String>,
}

/// `certgate user edit`
#[derive(Args, Clone, Debug)]
pub(super) struct UserChange {
    /// The user
    username: String,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// A mail address
    #[arg(long)]
    email: Option<String>,
    /// Whether only mappings lead to this user
    #[arg(long)]
    mapped_only: Option<bool>,
    #[command(flatten)]
    window: WindowArgs,
    /// A remark
    #[arg(long)]
    note: Option<String>,
    /// Make a value empty (repeat for more)
    #[arg(long, value_enum)]
    clear: Vec<Field>,
}

/// A value of a user that can be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Field {
    Name,
    Email,
    ValidFrom,
    ValidUntil,
    Note,
}

pub(super) async fn run(
    command: &UserCommand,
    config: &Config,
    store: &Store,
    actor: Option<String>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    match command {
        UserCommand::Add(add) => {
            store.user_add(&new_user(add, actor)).await?;
            printer.done(
                &format!("added user {}", add.username),
                &json!({"username": add.username}),
            )?;
        }
        UserCommand::Show { username } => show(username, store, printer).await?,
        UserCommand::List => list(&store.user_list().await?, printer)?,
        UserCommand::Edit(change) => {
            store.user_edit(&change.username, &user_edit(change)).await?;
            let done = json!({"username": change.username});
            printer.done(&format!("changed user {}", change.username), &done)?;
        }
        UserCommand::Enable { username } => {
            store.user_set_enabled(username, true).await?;
            let done = json!({"username": username, "enabled": true});
            printer.done(&format!("enabled user {username}"), &done)?;
        }
        UserCommand::Disable { username } => {
            store.user_set_enabled(username, false).await?;
            let done = json!({"username": username, "enabled": false});
            printer.done(&format!("disabled user {username}"), &done)?;
        }
        UserCommand::Rename { username, new_name } => {
            store.user_rename(username, new_name).await?;
            let done = json!({"username": new_name});
            printer.done(&format!("renamed user {username} to {new_name}"), &done)?;
        }
        UserCommand::Remove { username } => {
            check_removal(username, config, store).await?;
            store.user_remove(username).await?;
            printer.done(&format!("removed user {username}"), &json!({"username": username}))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A rule would add the user again at their next request, and what had been noted of them would be
/// gone: then disabling is what is meant.
async fn check_removal(username: &str, config: &Config, store: &Store) -> anyhow::Result<()> {
    if store.user_show(username).await?.origin != "rule" {
        return Ok(());
    }
    let rules = store.rule_list().await?;
    let rows: Vec<_> = rules.iter().map(|rule| rule.text.row(rule.enabled)).collect();
    let settings = app::gate::settings(config);
    match provisioning_rule(&rows, &settings, username, app::now()) {
        Some(priority) => anyhow::bail!(
            "rule {priority} would add {username} again at the next request; to keep this user \
             out use `certgate user disable {username}`, or disable the rule first"
        ),
        None => Ok(()),
    }
}

fn new_user(add: &Add, actor: Option<String>) -> NewUser {
    NewUser {
        username: add.username.clone(),
        display_name: add.name.clone(),
        email: add.email.clone(),
        mapped_only: add.mapped_only,
        valid_from: add.window.valid_from.clone(),
        valid_until: add.window.valid_until.clone(),
        note: add.note.clone(),
        created_by: actor,
        groups: add.group.clone(),
    }
}

fn user_edit(change: &UserChange) -> UserEdit {
    let clear = |field| change.clear.contains(&field);
    UserEdit {
        display_name: edit(change.name.as_ref(), clear(Field::Name)),
        email: edit(change.email.as_ref(), clear(Field::Email)),
        mapped_only: change.mapped_only,
        valid_from: edit(change.window.valid_from.as_ref(), clear(Field::ValidFrom)),
        valid_until: edit(change.window.valid_until.as_ref(), clear(Field::ValidUntil)),
        note: edit(change.note.as_ref(), clear(Field::Note)),
    }
}

async fn show(username: &str, store: &Store, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let user = store.user_show(username).await?;
    let mappings = store.mapping_list(Some(username)).await?;
    if printer.is_json() {
        let mut shown = user_json(&user);
        if let Value::Object(fields) = &mut shown {
            fields.insert("mappings".into(), mappings.iter().map(mapping_json).collect());
        }
        return printer.json(&shown);
    }
    printer.fields(&user_json(&user))?;
    super::mapping::print_list(&mappings, printer)
}

fn list(users: &[User], printer: &mut Printer<'_>) -> anyhow::Result<()> {
    if printer.is_json() {
        return printer.json(&users.iter().map(user_json).collect::<Vec<_>>());
    }
    let mut table = Table::new(&["username", "enabled", "name", "email", "groups"]);
    for user in users {
        table.row([
            user.username.clone(),
            if user.enabled { "yes" } else { "no" }.to_owned(),
            user.display_name.clone().unwrap_or_default(),
            user.email.clone().unwrap_or_default(),
            user.groups.join(","),
        ]);
    }
    printer.table(&table)
}

fn user_json(user: &User) -> Value {
    json!({
        "username": user.username,
        "display_name": user.display_name,
        "email": user.email,
        "groups": user.groups,
        "origin": user.origin,
        "mapped_only": user.mapped_only,
        "enabled": user.enabled,
        "valid_from": user.valid_from,
        "valid_until": user.valid_until,
        "note": user.note,
        "created_by": user.created_by,
        "created_at": user.created_at,
    })
}
