//! `certgate audit`: who changed what, undoing a mistake, and taking away what is old.

use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::desk::Desk;
use super::output::{Fields, Printer, Table};
use crate::operator::{self, Undone};
use crate::pki::UnixTime;
use crate::store::{AuditFilter, AuditRow, StoreError, Work};

/// What `certgate audit` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List what was changed, newest first
    #[command(after_help = "\
Examples:
  certgate audit list --since 2d --user alice
  certgate audit list --action delete --json")]
    List(ListArgs),
    /// Show one change: the row before and after
    #[command(after_help = "\
Example:
  certgate audit show 4711")]
    Show {
        /// The number that `audit list` shows
        id: i64,
    },
    /// Undo a mistake: put back what was there before
    ///
    /// Refused if anything changed the row since, or if somebody else would get what is put back.
    #[command(after_help = "\
Examples:
  certgate audit undo 4711 --dry-run
  certgate audit undo --transaction 7391.1764345600")]
    Undo(UndoArgs),
    /// Remove what is old; that is itself written down
    ///
    /// On PostgreSQL for the owner of the tables alone.
    #[command(after_help = "\
Examples:
  certgate audit prune --older-than 400d
  certgate audit prune --before 2027-01-01")]
    Prune(PruneArgs),
}

/// `certgate audit list`
#[derive(Args, Clone, Debug)]
pub(super) struct ListArgs {
    /// From then on: a time, or how long ago, such as 2d or 90m
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,
    /// Before then
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<When>,
    /// About this user, a membership or a mapping of theirs
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// By this person: as claimed, or the user of the database
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Of this table
    #[arg(long)]
    relation: Option<RelationValue>,
    /// Of the row of this key: a name, `user,group`, an id, a priority
    #[arg(long)]
    key: Option<String>,
    /// What was done
    #[arg(long)]
    action: Option<ActionValue>,
    /// What was done in one transaction
    #[arg(long, value_name = "TRANSACTION")]
    transaction: Option<String>,
    /// Only rows below this number: the next page
    #[arg(long, value_name = "ID")]
    below: Option<i64>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100,
        value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
}

/// `certgate audit undo`
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("what").required(true).args(["id", "transaction"]))]
pub(super) struct UndoArgs {
    /// The number that `audit list` shows
    id: Option<i64>,
    /// Everything that was changed in this transaction, newest first
    #[arg(long, value_name = "TRANSACTION")]
    transaction: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// `certgate audit prune`
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("age").required(true).args(["before", "older_than"]))]
pub(super) struct PruneArgs {
    /// What is older than this time
    #[arg(long, value_name = "TIME", value_parser = when)]
    before: Option<When>,
    /// What is older than this, such as 400d
    #[arg(long, value_name = "AGE", value_parser = when)]
    older_than: Option<When>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum RelationValue {
    AppUser,
    UserGroup,
    Mapping,
    Block,
    Rule,
    Audit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum ActionValue {
    Insert,
    Update,
    Delete,
    Truncate,
    Prune,
}

/// A time, or how long ago.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    Ago(std::time::Duration),
    At(UnixTime),
}

impl When {
    fn before(self, now: UnixTime) -> UnixTime {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => {
                let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
                UnixTime::from_micros(now.as_micros().saturating_sub(micros).max(0))
            }
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    if let Ok(span) = humantime::parse_duration(text) {
        return Ok(When::Ago(span));
    }
    let time = UnixTime::parse_rfc3339(text).map(When::At);
    time.map_err(|error| format!("{error}, a date alone, or how long ago, such as 2d or 90m"))
}

/// Runs the command.
pub(super) async fn run(
    command: &AuditCommand,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::List(args) => list(args, desk, printer).await?,
        AuditCommand::Show { id } => {
            let row = desk.store.read().await?.audit_show(*id).await?;
            printer.fields(&fields(&row))?;
        }
        AuditCommand::Undo(args) => undo(args, desk, printer).await?,
        AuditCommand::Prune(args) => prune(args, desk, printer).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: &ListArgs, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let time = |when: Option<When>| when.map(|when| when.before(desk.now).to_string());
    let word =
        |value: Option<clap::builder::PossibleValue>| value.map(|it| it.get_name().to_owned());
    let filter = AuditFilter {
        since: time(args.since),
        until: time(args.until),
        user: args.user.clone(),
        actor: args.actor.clone(),
        relation: word(args.relation.and_then(|value| value.to_possible_value())),
        key: args.key.clone(),
        action: word(args.action.and_then(|value| value.to_possible_value())),
        transaction_id: args.transaction.clone(),
        below: args.below,
        limit: Some(args.limit),
    };
    let rows = desk.store.read().await?.audit_list(&filter).await?;
    let mut table =
        Table::new(&["id", "at", "who", "source", "action", "relation", "key", "columns"]);
    for row in &rows {
        table.row([
            row.id.to_string(),
            row.at.clone().unwrap_or_default(),
            who(row),
            row.source.clone(),
            row.action.clone(),
            row.relation.clone(),
            row.key.clone(),
            changed(row).join(" "),
        ]);
    }
    let fields: Vec<_> = rows.iter().map(fields).collect();
    printer.list(&fields, &table)?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == args.limit);
    if let (true, false, Some(last)) = (is_full, printer.is_json(), rows.last()) {
        printer.line(&format!("older ones: --below {}", last.id))?;
    }
    Ok(())
}

async fn undo(args: &UndoArgs, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let mut work = desk.store.begin(&desk.by()).await?;
    let before = desk.administrators(&mut work).await?;
    let rows = rows_to_undo(args, &mut work).await?;
    let done = operator::undo(&mut work, &rows).await?;
    desk.check_administrators(before, &mut work).await?;
    if !args.dry_run {
        work.commit().await?;
    }
    for undone in &done {
        let would = if args.dry_run { "would be " } else { "" };
        let Undone { id, what, relation, key } = undone;
        let sentence = format!("audit row {id}: {} {key} {would}{what}", relation.name());
        let fields = Fields::default()
            .with("id", *id)
            .with("relation", relation.name())
            .with("key", key.as_str())
            .with("what", *what)
            .with("dry_run", args.dry_run);
        printer.done(&sentence, &fields)?;
    }
    Ok(())
}

async fn rows_to_undo(args: &UndoArgs, work: &mut Work) -> anyhow::Result<Vec<AuditRow>> {
    if let Some(id) = args.id {
        return Ok(vec![work.audit_show(id).await?]);
    }
    let filter = AuditFilter { transaction_id: args.transaction.clone(), ..AuditFilter::default() };
    let rows = work.audit_list(&filter).await?;
    let name = args.transaction.clone().unwrap_or_default();
    anyhow::ensure!(!rows.is_empty(), StoreError::NotFound { noun: "transaction", name });
    Ok(rows)
}

async fn prune(args: &PruneArgs, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let when = args.before.or(args.older_than);
    let Some(time) = when.map(|when| when.before(desk.now)) else {
        anyhow::bail!("--before or --older-than says what is old");
    };
    anyhow::ensure!(time <= desk.now, "{time}: the audit is pruned up to a time that has passed");
    let time = time.to_string();
    let removed = desk.act(async |work| work.audit_prune(&time).await).await?;
    let sentence = format!("removed {removed} rows of before {time}");
    let fields = Fields::default().with("removed", removed).with("before", time.as_str());
    printer.done(&sentence, &fields)
}

/// Who acted: as claimed, and whom the database let in where that is somebody else.
fn who(row: &AuditRow) -> String {
    match (&row.actor, &row.db_user) {
        (Some(actor), Some(user)) if actor != user => format!("{actor} ({user})"),
        (Some(name), _) | (None, Some(name)) => name.clone(),
        (None, None) => String::new(),
    }
}

/// The columns that an update changed.
fn changed(row: &AuditRow) -> Vec<String> {
    let (Value::Object(before), Value::Object(after)) = (json(&row.before), json(&row.after))
    else {
        return Vec::new();
    };
    let different = after.into_iter().filter(|(name, value)| before.get(name) != Some(value));
    different.map(|(name, _)| name).collect()
}

fn json(side: &Option<String>) -> Value {
    side.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn fields(row: &AuditRow) -> Fields {
    Fields::default()
        .with("id", row.id)
        .with_texts([
            ("at", row.at.as_deref()),
            ("transaction_id", row.transaction_id.as_deref()),
            ("db_user", row.db_user.as_deref()),
            ("actor", row.actor.as_deref()),
            ("source", Some(row.source.as_str())),
            ("request_id", row.request_id.as_deref()),
            ("action", Some(row.action.as_str())),
            ("relation", Some(row.relation.as_str())),
            ("key", Some(row.key.as_str())),
        ])
        .with("followed", row.followed)
        .with("before", json(&row.before))
        .with("after", json(&row.after))
}
