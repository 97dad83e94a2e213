//! `certgate user`: people and machines that certificates are mapped to.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::desk::Desk;
use super::group::{check_separator, once_each};
use super::mapping;
use super::output::{Fields, Printer, Table};
use super::values;
use super::window::{WindowArgs, edit, state};
use crate::operator::{RemoveError, remove_user};
use crate::pki::UnixTime;
use crate::store::{NewUser, User, UserEdit};

/// What `certgate user` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user, with groups
    #[command(after_help = "\
Examples:
  certgate user add alice --name \"Alice Dupont\" --email alice@example.com --group ops --group staff
  certgate user add bob --valid-until 2027-01-31 --note \"contract ends\"")]
    Add(Add),
    /// Show a user with groups and mappings
    #[command(after_help = "\
Example:
  certgate user show alice")]
    Show {
        /// The user
        username: String,
    },
    /// List all users
    #[command(after_help = "\
Examples:
  certgate user list
  certgate user list --json")]
    List,
    /// Change a user's name, address, window or note
    #[command(after_help = "\
Examples:
  certgate user edit alice --email alice@example.org
  certgate user edit alice --clear valid-until")]
    Edit(Change),
    /// Let a user in again
    #[command(after_help = "\
Example:
  certgate user enable alice")]
    Enable {
        /// The user
        username: String,
    },
    /// Keep a user out, whatever is mapped
    #[command(after_help = "\
Example:
  certgate user disable alice")]
    Disable {
        /// The user
        username: String,
    },
    /// Give a user another name; groups and mappings follow
    #[command(after_help = "\
Example:
  certgate user rename alice alice.dupont")]
    Rename {
        /// The user
        username: String,
        /// The new name
        #[arg(value_parser = values::name)]
        new_name: String,
    },
    /// Remove a user with all groups
    #[command(after_help = "\
A user of the same name that is added later has no groups and no mappings. What a mapping of theirs
revokes stays out: it is blocked.

Examples:
  certgate user remove alice
  certgate user remove alice --with-mappings")]
    Remove {
        /// The user
        username: String,
        /// Also while mappings of theirs let in, which go too
        #[arg(long)]
        with_mappings: bool,
    },
}

/// `certgate user add`
#[derive(Args, Clone, Debug)]
pub(super) struct Add {
    /// The name that applications get: visible ASCII without comma
    #[arg(value_parser = values::name)]
    username: String,
    /// A name for people
    #[arg(long, value_parser = values::text)]
    name: Option<String>,
    /// A mail address
    #[arg(long, value_parser = values::text)]
    email: Option<String>,
    /// A group (repeat for more)
    #[arg(long, value_parser = values::name)]
    group: Vec<String>,
    /// Only mappings lead to this user, never a rule
    #[arg(long)]
    mapped_only: bool,
    /// Keep the user out until `certgate user enable`
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    window: WindowArgs,
    /// A remark
    #[arg(long, value_parser = values::text)]
    note: Option<String>,
}

/// `certgate user edit`
#[derive(Args, Clone, Debug)]
pub(super) struct Change {
    /// The user
    username: String,
    /// A name for people
    #[arg(long, value_parser = values::text)]
    name: Option<String>,
    /// A mail address
    #[arg(long, value_parser = values::text)]
    email: Option<String>,
    /// Whether only mappings lead to this user, never a rule
    #[arg(long, value_name = "true|false")]
    mapped_only: Option<bool>,
    #[command(flatten)]
    window: WindowArgs,
    /// A remark
    #[arg(long, value_parser = values::text)]
    note: Option<String>,
    /// Make a value empty (repeat for more)
    #[arg(long, value_enum, value_name = "FIELD")]
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

/// Runs the command; a user who is not there is exit code 1.
pub(super) async fn run(
    command: &UserCommand,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let store = desk.store;
    let (username, sentence) = match command {
        UserCommand::Show { username } => {
            show(username, desk, printer).await?;
            return Ok(ExitCode::SUCCESS);
        }
        UserCommand::List => {
            list(&store.read().await?.user_list().await?, desk.now, printer)?;
            return Ok(ExitCode::SUCCESS);
        }
        UserCommand::Remove { username, with_mappings } => {
            remove(username, *with_mappings, desk, printer).await?;
            return Ok(ExitCode::SUCCESS);
        }
        UserCommand::Add(add) => {
            let new = new_user(add, desk)?;
            desk.act(async |work| work.user_add(&new).await).await?;
            (&add.username, format!("added user {}", add.username))
        }
        UserCommand::Edit(change) => {
            let edit = user_edit(change)?;
            desk.act(async |work| work.user_edit(&change.username, &edit).await).await?;
            (&change.username, format!("changed user {}", change.username))
        }
        UserCommand::Enable { username } => {
            desk.act(async |work| work.user_set_enabled(username, true).await).await?;
            (username, format!("enabled user {username}"))
        }
        UserCommand::Disable { username } => {
            desk.act(async |work| work.user_set_enabled(username, false).await).await?;
            (username, format!("disabled user {username}"))
        }
        UserCommand::Rename { username, new_name } => {
            desk.act(async |work| work.user_rename(username, new_name).await).await?;
            (new_name, format!("renamed user {username} to {new_name}"))
        }
    };
    if printer.is_json() {
        printer.json(&fields(&store.read().await?.user_show(username).await?))?;
    } else {
        printer.line(&sentence)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes a user, and says what went with them.
async fn remove(
    username: &str,
    with_mappings: bool,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let ground = desk.ground();
    let mut work = desk.store.begin(&desk.by()).await?;
    let before = desk.administrators(&mut work).await?;
    let actor = desk.actor.as_deref();
    let removed = remove_user(&mut work, &ground, username, with_mappings, actor).await;
    let removed = removed.map_err(|error| match error {
        RemoveError::Store(error) => anyhow::Error::from(error),
        error => error.into(),
    })?;
    desk.check_administrators(before, &mut work).await?;
    work.commit().await?;
    let (mappings, blocks) = (removed.mappings.len(), removed.blocks.len());
    let done = Fields::default()
        .with("username", username)
        .with("removed", true)
        .with("mappings", removed.mappings)
        .with("blocks", removed.blocks);
    let what = match mappings {
        0 => "all groups".to_owned(),
        count => format!("all groups and {count} mappings that let in"),
    };
    printer.done(&format!("removed user {username} with {what}"), &done)?;
    if blocks > 0 && !printer.is_json() {
        printer.line(&format!("{blocks} certificates that were revoked are blocked instead."))?;
    }
    Ok(())
}

fn new_user(add: &Add, desk: &Desk<'_>) -> anyhow::Result<NewUser> {
    for group in &add.group {
        check_separator(group, desk)?;
    }
    Ok(NewUser {
        username: add.username.clone(),
        display_name: add.name.clone(),
        email: add.email.clone(),
        mapped_only: add.mapped_only,
        disabled: add.disabled,
        valid_from: add.window.valid_from.clone(),
        valid_until: add.window.valid_until.clone(),
        note: add.note.clone(),
        created_by: desk.actor.clone(),
        groups: once_each(&add.group),
    })
}

fn user_edit(change: &Change) -> anyhow::Result<UserEdit> {
    let texts = [&change.name, &change.email, &change.note];
    let is_empty = texts.iter().all(|text| text.is_none()) && change.clear.is_empty();
    anyhow::ensure!(
        !is_empty || !change.window.is_empty() || change.mapped_only.is_some(),
        "nothing to change: give --name, --email, --mapped-only, --valid-from, --valid-until, \
         --note or --clear"
    );
    let clear = |field| change.clear.contains(&field);
    let window = &change.window;
    let (from, until) = (window.valid_from.as_ref(), window.valid_until.as_ref());
    Ok(UserEdit {
        display_name: edit("name", change.name.as_ref(), clear(Field::Name))?,
        email: edit("email", change.email.as_ref(), clear(Field::Email))?,
        mapped_only: change.mapped_only,
        valid_from: edit("valid-from", from, clear(Field::ValidFrom))?,
        valid_until: edit("valid-until", until, clear(Field::ValidUntil))?,
        note: edit("note", change.note.as_ref(), clear(Field::Note))?,
    })
}

async fn show(username: &str, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let user = desk.store.read().await?.user_show(username).await?;
    let mappings = desk.store.read().await?.mapping_list(Some(username)).await?;
    if printer.is_json() {
        let mappings: Value = mappings.iter().map(mapping::fields).collect();
        return printer.json(&fields(&user).with("mappings", mappings));
    }
    printer.fields(&fields(&user))?;
    if mappings.is_empty() {
        return printer.line("no mapping: no certificate leads to this user");
    }
    printer.line("")?;
    mapping::list(&mappings, desk, printer)
}

fn list(users: &[User], now: UnixTime, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let mut table = Table::new(&["username", "state", "name", "email", "groups"]);
    for user in users {
        let (from, until) = (user.valid_from.as_ref(), user.valid_until.as_ref());
        table.row([
            user.username.clone(),
            state(user.enabled, from, until, now).to_owned(),
            user.display_name.clone().unwrap_or_default(),
            user.email.clone().unwrap_or_default(),
            user.groups.join(","),
        ]);
    }
    printer.list(&users.iter().map(fields).collect::<Vec<_>>(), &table)
}

fn fields(user: &User) -> Fields {
    Fields::default()
        .with("username", user.username.as_str())
        .with("display_name", user.display_name.as_deref())
        .with("email", user.email.as_deref())
        .with("groups", &user.groups[..])
        .with("origin", user.origin.as_str())
        .with("mapped_only", user.mapped_only)
        .with("enabled", user.enabled)
        .with_texts([
            ("valid_from", user.valid_from.as_deref()),
            ("valid_until", user.valid_until.as_deref()),
            ("note", user.note.as_deref()),
            ("created_by", user.created_by.as_deref()),
            ("created_at", user.created_at.as_deref()),
        ])
}
