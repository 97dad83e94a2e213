//! `certgate rule`: users by what their certificates say.
//!
//! A rule is read by the code that answers nginx before it is written: what is accepted can match.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::desk::Desk;
use super::facts::read_certificate;
use super::output::{Fields, Printer, Table};
use super::pattern::PatternArgs;
use super::values::{self, IssuerValue};
use super::window::{WindowArgs, edit};
use crate::directory::{Directory, Holder, check_rule};
use crate::pki::Identity;
use crate::store::{Rule, RuleEdit, RuleText};

/// What `certgate rule` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum RuleCommand {
    /// Add a rule
    #[command(after_help = "\
Rules are asked where no mapping matches, the lowest number first; the first whose conditions hold
decides alone. docs/rules.md describes conditions and templates.

Examples:
  certgate rule add 10 --issuer ca.pem --users existing --username '{san_upn.local|lower}' \\
      --conditions '{\"all\":[{\"san_upn\":{\"domain\":\"ad.example.com\"}}]}'
  certgate rule add 20 --issuer ca.pem --users any --group machines --username 'host/{san_dns}' \\
      --conditions '{\"all\":[{\"san_dns\":{\"pattern\":\"[a-z0-9-]+\\\\.m\\\\.example\\\\.com\"}}]}'")]
    Add(Box<Add>),
    /// Show one rule
    #[command(after_help = "\
Example:
  certgate rule show 10")]
    Show {
        /// Its priority
        priority: i64,
    },
    /// List the rules in the order in which they are asked
    #[command(after_help = "\
Example:
  certgate rule list")]
    List,
    /// Change a rule; its issuer never changes
    #[command(after_help = "\
Example:
  certgate rule edit 10 --move-to 5 --users provision")]
    Edit(Box<Change>),
    /// Let it count again
    #[command(after_help = "\
Example:
  certgate rule enable 10")]
    Enable {
        /// Its priority
        priority: i64,
    },
    /// Let it not count for now
    #[command(after_help = "\
Example:
  certgate rule disable 10")]
    Disable {
        /// Its priority
        priority: i64,
    },
    /// Remove it for good; users whom it has added stay
    #[command(after_help = "\
Example:
  certgate rule remove 10")]
    Remove {
        /// Its priority
        priority: i64,
    },
    /// Say what every rule makes of a certificate; mappings and blocks are left aside
    #[command(after_help = "\
Example:
  certgate rule test --cert alice.pem")]
    Test {
        /// The certificate, PEM or DER
        #[arg(long, value_name = "FILE")]
        cert: PathBuf,
    },
}

/// `certgate rule add`
#[derive(Args, Clone, Debug)]
pub(super) struct Add {
    /// Its place in the order, a number of its own
    priority: i64,
    /// The issuer: a DN, or the CA's certificate as a file, which pins its key too
    #[arg(long, value_name = "DN|FILE", value_parser = values::issuer)]
    issuer: IssuerValue,
    /// The issuer's key identifier, hex
    #[arg(long, value_name = "HEX", value_parser = values::key_id)]
    issuer_key_id: Option<String>,
    /// What must hold: JSON, or @FILE with it; everything of this issuer if absent
    #[arg(long, value_name = "JSON|@FILE", default_value = EVERYTHING)]
    conditions: String,
    /// The user's name, such as {san_upn} or {subject.serialNumber|lower}
    #[arg(long, value_name = "TEMPLATE")]
    username: String,
    /// The name for people (not with existing users)
    #[arg(long, value_name = "TEMPLATE")]
    display_name: Option<String>,
    /// The mail address (not with existing users)
    #[arg(long, value_name = "TEMPLATE")]
    email: Option<String>,
    /// A group (repeat for more; not with existing users)
    #[arg(long)]
    group: Vec<String>,
    /// Who comes in
    #[arg(long, value_enum, default_value_t)]
    users: Users,
    /// What people call it
    #[arg(long, value_parser = values::text)]
    name: Option<String>,
    #[command(flatten)]
    window: WindowArgs,
    /// A remark
    #[arg(long, value_parser = values::text)]
    note: Option<String>,
}

/// Every certificate of the issuer.
const EVERYTHING: &str = r#"{"all":[]}"#;

/// `certgate rule edit`
#[derive(Args, Clone, Debug)]
pub(super) struct Change {
    /// Its priority
    priority: i64,
    /// Another place in the order
    #[arg(long, value_name = "PRIORITY")]
    move_to: Option<i64>,
    /// What must hold: JSON, or @FILE with it
    #[arg(long, value_name = "JSON|@FILE")]
    conditions: Option<String>,
    /// The user's name
    #[arg(long, value_name = "TEMPLATE")]
    username: Option<String>,
    /// The name for people
    #[arg(long, value_name = "TEMPLATE")]
    display_name: Option<String>,
    /// The mail address
    #[arg(long, value_name = "TEMPLATE")]
    email: Option<String>,
    /// A group, instead of those it has (repeat for more)
    #[arg(long)]
    group: Vec<String>,
    /// Who comes in
    #[arg(long, value_enum)]
    users: Option<Users>,
    /// What people call it
    #[arg(long, value_parser = values::text)]
    name: Option<String>,
    #[command(flatten)]
    window: WindowArgs,
    /// A remark
    #[arg(long, value_parser = values::text)]
    note: Option<String>,
    /// Make a value empty (repeat for more)
    #[arg(long, value_enum, value_name = "FIELD")]
    clear: Vec<Field>,
}

/// Who comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Users {
    /// Users who are there already
    #[default]
    Existing,
    /// Anybody the rule names; nothing is stored
    Any,
    /// Users whom an operator has enabled; the others are added, disabled
    Provision,
}

impl Users {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Existing => "existing",
            Self::Any => "any",
            Self::Provision => "provision",
        }
    }
}

/// A value of a rule that can be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Field {
    Name,
    DisplayName,
    Email,
    Group,
    ValidFrom,
    ValidUntil,
    Note,
}

pub(super) async fn run(
    command: &RuleCommand,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let store = desk.store;
    match command {
        RuleCommand::Add(new) => add(new, desk, printer).await?,
        RuleCommand::Show { priority } => {
            printer.fields(&fields(&store.read().await?.rule_show(*priority).await?))?;
        }
        RuleCommand::List => list(&store.read().await?.rule_list().await?, printer)?,
        RuleCommand::Edit(change) => change_rule(change, desk, printer).await?,
        RuleCommand::Enable { priority } => {
            desk.act(async |work| work.rule_set_enabled(*priority, true).await).await?;
            done("enabled", *priority, printer)?;
        }
        RuleCommand::Disable { priority } => {
            desk.act(async |work| work.rule_set_enabled(*priority, false).await).await?;
            done("disabled", *priority, printer)?;
        }
        RuleCommand::Remove { priority } => {
            desk.act(async |work| work.rule_remove(*priority).await).await?;
            done("removed", *priority, printer)?;
        }
        RuleCommand::Test { cert } => return test(cert, desk, printer).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn done(what: &str, priority: i64, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    printer.done(&format!("{what} rule {priority}"), &json!({"priority": priority, "done": what}))
}

async fn add(new: &Add, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let issuer = PatternArgs {
        issuer: Some(new.issuer.clone()),
        issuer_key_id: new.issuer_key_id.clone(),
        ..PatternArgs::default()
    };
    let issuer = issuer.read()?.text;
    let rule = RuleText {
        priority: new.priority,
        name: new.name.clone(),
        issuer: issuer.issuer.unwrap_or_default(),
        issuer_key_id: issuer.issuer_key_id,
        conditions: text_or_file(&new.conditions)?,
        username: new.username.clone(),
        display_name: new.display_name.clone(),
        email: new.email.clone(),
        group_names: groups(&new.group),
        users: new.users.as_str().to_owned(),
        valid_from: new.window.valid_from.clone(),
        valid_until: new.window.valid_until.clone(),
        note: new.note.clone(),
    };
    check_rule(&rule.row(true), &desk.settings())?;
    desk.act(async |work| work.rule_add(&rule, desk.actor.as_deref()).await).await?;
    done("added", new.priority, printer)?;
    if rule.issuer_key_id.is_none() {
        let remark = "Another CA of the same name would be taken for this one: give --issuer as the CA's \
             PEM file to pin its key.";
        if !printer.is_json() {
            printer.line(remark)?;
        }
    }
    Ok(())
}

async fn change_rule(
    change: &Change,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let clear = |field| change.clear.contains(&field);
    let edits = RuleEdit {
        priority: change.move_to,
        name: edit("name", change.name.as_ref(), clear(Field::Name))?,
        conditions: change.conditions.as_deref().map(text_or_file).transpose()?,
        username: change.username.clone(),
        display_name: edit(
            "display-name",
            change.display_name.as_ref(),
            clear(Field::DisplayName),
        )?,
        email: edit("email", change.email.as_ref(), clear(Field::Email))?,
        group_names: edit("group", groups(&change.group).as_ref(), clear(Field::Group))?,
        users: change.users.map(|users| users.as_str().to_owned()),
        valid_from: edit("valid-from", change.window.valid_from.as_ref(), clear(Field::ValidFrom))?,
        valid_until: edit(
            "valid-until",
            change.window.valid_until.as_ref(),
            clear(Field::ValidUntil),
        )?,
        note: edit("note", change.note.as_ref(), clear(Field::Note))?,
    };
    let rule = desk.store.read().await?.rule_show(change.priority).await?;
    let enabled = rule.enabled;
    check_rule(&rule.text.edited(&edits).row(enabled), &desk.settings())?;
    desk.act(async |work| work.rule_edit(change.priority, &edits).await).await?;
    done("changed", change.move_to.unwrap_or(change.priority), printer)
}

/// What every rule of its issuer makes of a certificate; exit code 0 if one gives a user.
async fn test(file: &Path, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<ExitCode> {
    let certificate = read_certificate(file)?;
    let identity = Identity::from_certificate(&certificate);
    let mut rows = desk.store.read().await?.load().await?;
    rows.mappings.clear();
    rows.blocks.clear();
    let directory = Directory::build(&rows, &desk.settings());
    let holder = Holder { identity: &identity, certificate: Some(&certificate) };
    let kinds = desk.kinds();
    let rules = directory.consider(holder, &[], desk.now, kinds).rows;
    let username = rules.iter().find_map(|rule| rule.username.clone());
    let code = if username.is_some() { ExitCode::SUCCESS } else { ExitCode::from(super::NO) };
    if printer.is_json() {
        printer.json(&json!({"user": username, "rules": rules}))?;
        return Ok(code);
    }
    if rules.is_empty() {
        printer.line("no rule is about the issuer of this certificate")?;
        return Ok(code);
    }
    let mut table = Table::new(&["priority", "user", "matched", "why"]);
    for rule in rules {
        table.row([
            rule.id.to_string(),
            rule.username.unwrap_or_default(),
            if rule.matched { "yes" } else { "no" }.to_owned(),
            rule.why,
        ]);
    }
    printer.table(&table)?;
    Ok(code)
}

/// The text itself, or what is in the file that `@` names.
fn text_or_file(text: &str) -> anyhow::Result<String> {
    match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("--conditions: cannot read {path}")),
        None => Ok(text.to_owned()),
    }
}

fn groups(groups: &[String]) -> Option<String> {
    if groups.is_empty() { None } else { Some(groups.join(",")) }
}

fn list(rules: &[Rule], printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let headings = ["priority", "name", "enabled", "users", "username", "groups", "issuer"];
    let mut table = Table::new(&headings);
    for Rule { text, enabled, .. } in rules {
        table.row([
            text.priority.to_string(),
            text.name.clone().unwrap_or_default(),
            if *enabled { "yes" } else { "no" }.to_owned(),
            text.users.clone(),
            text.username.clone(),
            text.group_names.clone().unwrap_or_default(),
            text.issuer.clone(),
        ]);
    }
    printer.list(&rules.iter().map(fields).collect::<Vec<_>>(), &table)
}

fn fields(rule: &Rule) -> Fields {
    let text = &rule.text;
    // What an operator has written past us need not be JSON on SQLite.
    let conditions = serde_json::from_str(&text.conditions);
    Fields::default()
        .with("priority", text.priority)
        .with_texts([
            ("name", text.name.as_deref()),
            ("issuer", Some(text.issuer.as_str())),
            ("issuer_key_id", text.issuer_key_id.as_deref()),
        ])
        .with("conditions", conditions.unwrap_or_else(|_| Value::from(text.conditions.as_str())))
        .with_texts([
            ("username", Some(text.username.as_str())),
            ("display_name", text.display_name.as_deref()),
            ("email", text.email.as_deref()),
            ("group_names", text.group_names.as_deref()),
            ("users", Some(text.users.as_str())),
        ])
        .with("enabled", rule.enabled)
        .with_texts([
            ("valid_from", text.valid_from.as_deref()),
            ("valid_until", text.valid_until.as_deref()),
            ("note", text.note.as_deref()),
            ("created_by", rule.created_by.as_deref()),
            ("created_at", rule.created_at.as_deref()),
        ])
}
