//! `certgate inbox`: verified certificates of nobody, to be given to somebody.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Missing;
use super::certificate::print_block;
use super::desk::Desk;
use super::known::{self, Known, day, short};
use super::output::{Fields, Printer, Table};
use super::pattern::{By, authority};
use super::values::{self, IssuerValue};
use crate::directory::Directory;
use crate::operator::{
    Approval, ApproveError, Approver, Binding, Ground, NameFrom, Outcome, Skipped, Standing, Wave,
    WaveError, approve_all, approve_named, block_certificate, find_by_fingerprint, left_to,
    likenesses,
};
use crate::pki::Certificate;
use crate::store::{StoredCertificate, Work};

/// What `certgate inbox` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum InboxCommand {
    /// List the certificates that came, were verified and are nobody's
    #[command(after_help = "\
An id is the beginning of a certificate's SHA-256 fingerprint; 8 digits or more name it.

Examples:
  certgate inbox list
  certgate inbox list --json")]
    List {
        /// At most so many, those that came last
        #[arg(long, default_value_t = 100, value_name = "NUMBER")]
        limit: usize,
    },
    /// Show one of them, and whose renewal it looks like
    #[command(after_help = "\
Example:
  certgate inbox show 1f0c5b7a")]
    Show {
        /// Its fingerprint, or the first 8 digits or more
        id: String,
    },
    /// Give one to a user, or each to the user that it names
    #[command(after_help = "\
Nothing is given that is blocked, revoked, expired or somebody's. Names are worth what their issuer
vouches for: --user-from with names needs --issuer, and --domain for names before an @, and never
approves for an administrator. A renewal has the issuer (name and key), subject and names of a
certificate of that user which is known and in force, or its key.

Examples:
  certgate inbox approve 1f0c5b7a --user alice
  certgate inbox approve 1f0c5b7a --user bob --create --by issuer-subject
  certgate inbox approve --all --user-from renewal --dry-run
  certgate inbox approve --all --user-from common_name --issuer ca.pem
  certgate inbox approve --all --user-from san_upn.local --issuer ca.pem --domain example.com")]
    Approve(Box<Approve>),
    /// Do not list one again
    #[command(after_help = "\
Examples:
  certgate inbox ignore 1f0c5b7a
  certgate inbox ignore 1f0c5b7a --undo")]
    Ignore {
        /// Its fingerprint, or the first 8 digits or more
        id: String,
        /// List it again
        #[arg(long)]
        undo: bool,
    },
    /// Keep one out, whatever it will be mapped to
    #[command(after_help = "\
Example:
  certgate inbox block 1f0c5b7a --reason 'nobody knows it'")]
    Block {
        /// Its fingerprint, or the first 8 digits or more
        id: String,
        /// Why
        #[arg(long, value_parser = values::text)]
        reason: Option<String>,
    },
}

/// `certgate inbox approve`
#[derive(Args, Clone, Debug)]
pub(super) struct Approve {
    /// Its fingerprint, or the first 8 digits or more
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// Everything in the inbox
    #[arg(long, requires = "user_from")]
    all: bool,
    /// The user
    #[arg(long, value_parser = values::name, required_unless_present = "user_from",
          conflicts_with = "user_from")]
    user: Option<String>,
    /// The user that the certificate names
    #[arg(long, value_enum, value_name = "WHAT")]
    user_from: Option<UserFrom>,
    /// What of the certificate counts
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    by: By,
    /// Add the user if there is none
    #[arg(long)]
    create: bool,
    /// Only those of this issuer: a DN, or the CA's certificate as a file (with --user-from)
    #[arg(long, value_name = "DN|FILE", value_parser = values::issuer, requires = "user_from")]
    issuer: Option<IssuerValue>,
    /// Only names before this domain (with --user-from)
    #[arg(long, requires = "user_from")]
    domain: Option<String>,
    /// A remark
    #[arg(long, value_parser = values::text, conflicts_with = "all")]
    note: Option<String>,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
}

/// Where a user's name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum UserFrom {
    /// Its only common name
    #[value(name = "common_name")]
    CommonName,
    /// What stands before the @ of its only e-mail address
    #[value(name = "san_email.local")]
    SanEmailLocal,
    /// What stands before the @ of its only user principal name
    #[value(name = "san_upn.local")]
    SanUpnLocal,
    /// The one user whose certificate it follows
    #[value(name = "renewal")]
    Renewal,
}

impl From<UserFrom> for NameFrom {
    fn from(from: UserFrom) -> Self {
        match from {
            UserFrom::CommonName => Self::CommonName,
            UserFrom::SanEmailLocal => Self::SanEmailLocal,
            UserFrom::SanUpnLocal => Self::SanUpnLocal,
            UserFrom::Renewal => Self::Renewal,
        }
    }
}

/// Runs the command; a certificate that is not known is exit code 1.
pub(super) async fn run(
    command: &InboxCommand,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    match command {
        InboxCommand::List { limit } => list(*limit, desk, printer).await?,
        InboxCommand::Show { id } => show(id, desk, printer).await?,
        InboxCommand::Approve(args) if args.all => approve_wave(args, desk, printer).await?,
        InboxCommand::Approve(args) => approve(args, desk, printer).await?,
        InboxCommand::Ignore { id, undo } => ignore(id, !undo, desk, printer).await?,
        InboxCommand::Block { id, reason } => block(id, reason.as_deref(), desk, printer).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A certificate with all that is to be said of it.
async fn look(
    stored: StoredCertificate,
    certificate: Certificate,
    standing: Standing,
    directory: &Directory,
    ground: &Ground,
    work: &mut Work,
) -> anyhow::Result<Known> {
    let alike = match standing.is_unmapped() {
        true => Some(likenesses(work, &certificate, directory, ground).await?),
        false => None,
    };
    Ok(Known { stored, certificate, standing, alike })
}

async fn list(limit: usize, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let ground = desk.ground();
    let mut work = desk.store.read().await?;
    let directory = Directory::build(&work.load().await?, &ground.settings);
    let mut rows = Vec::new();
    let mut more = 0_usize;
    for stored in work.inbox_list(None).await? {
        // The table knows the last decision; what was mapped since then is nobody's no more.
        let Ok(certificate) = Certificate::from_der(&stored.der) else { continue };
        let standing = Standing::of(&certificate, &directory, &ground);
        if !standing.is_unmapped() {
            continue;
        }
        if rows.len() >= limit {
            more += 1;
            continue;
        }
        rows.push(look(stored, certificate, standing, &directory, &ground, &mut work).await?);
    }
    if printer.is_json() {
        return printer.json(&known::array(&rows)?);
    }
    if rows.is_empty() {
        return printer.line("The inbox is empty.");
    }
    let headings = ["id", "subject", "issuer", "expires", "last seen", "hits", "remark"];
    let mut table = Table::new(&headings);
    for one in &rows {
        table.row([
            short(&one.stored.sha256),
            one.certificate.subject.to_string(),
            one.certificate.issuer.to_string(),
            day(&one.certificate.not_after.to_string()),
            one.stored.last_seen.as_deref().map(day).unwrap_or_default(),
            one.stored.hits.to_string(),
            one.remark().unwrap_or_default(),
        ]);
    }
    printer.table(&table)?;
    match more {
        0 => Ok(()),
        more => printer.line(&format!("and {more} more; say --limit for them")),
    }
}

async fn show(id: &str, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let ground = desk.ground();
    let mut work = desk.store.read().await?;
    let (stored, certificate) = named(id, &mut work).await?;
    let directory = Directory::build(&work.load().await?, &ground.settings);
    let standing = Standing::of(&certificate, &directory, &ground);
    let known = look(stored, certificate, standing, &directory, &ground, &mut work).await?;
    if printer.is_json() { printer.json(&known.json()?) } else { known.print(printer) }
}

/// The certificate of that id.
async fn named(id: &str, work: &mut Work) -> anyhow::Result<(StoredCertificate, Certificate)> {
    let stored = find_by_fingerprint(work, id).await.map_err(known::refusal)?;
    let certificate = known::parse(&stored)?;
    Ok((stored, certificate))
}

async fn approve(args: &Approve, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let ground = desk.ground();
    let mut work = desk.store.begin(&desk.by()).await?;
    let before = desk.administrators(&mut work).await?;
    let id = args.id.as_deref().unwrap_or_default();
    let (stored, certificate) = named(id, &mut work).await?;
    let binding = Binding::from(args.by);
    let (username, approved) = match &args.user {
        Some(username) => {
            let approval = Approval {
                username: username.clone(),
                binding,
                create: args.create,
                note: args.note.clone(),
                created_by: desk.actor.clone(),
            };
            let mut approver = Approver::start(&mut work, &ground).await?;
            let approved = approver.approve(&certificate, &approval).await.map_err(refusal)?;
            (approval.username, approved)
        }
        None => {
            let wave = wave(args, desk)?;
            let outcome = approve_named(&mut work, &ground, certificate, &wave).await;
            let outcome = outcome.map_err(wave_refusal)?;
            let approved = outcome.result.map_err(|skipped| match skipped {
                Skipped::Refused(error) => refusal(error),
                skipped => skipped.into(),
            })?;
            (outcome.username.unwrap_or_default(), approved)
        }
    };
    desk.check_administrators(before, &mut work).await?;
    if !args.dry_run {
        work.commit().await?;
    }
    let done = Fields::default()
        .with("sha256", stored.sha256.as_str())
        .with("username", username.as_str())
        .with("mapping", (!args.dry_run).then_some(approved.mapping))
        .with("kind", binding.kind().name())
        .with("new_user", approved.is_new_user)
        .with("user_disabled", approved.is_user_disabled)
        .with("dry_run", args.dry_run);
    let would = if args.dry_run { "would approve" } else { "approved" };
    let sentence = format!("{would} {} for {username}", short(&stored.sha256));
    printer.done(&sentence, &done)?;
    if approved.is_user_disabled && !printer.is_json() {
        printer
            .line(&format!("{username} is disabled, or outside of their window: not let in."))?;
    }
    Ok(())
}

/// A user who is not there is an answer: exit code 1.
fn refusal(error: ApproveError) -> anyhow::Error {
    match error {
        ApproveError::Store(error) => error.into(),
        error @ ApproveError::NoSuchUser { .. } => Missing(error.to_string()).into(),
        error => error.into(),
    }
}

fn wave(args: &Approve, desk: &Desk<'_>) -> anyhow::Result<Wave> {
    let Some(from) = args.user_from else { anyhow::bail!("say --user or --user-from") };
    Ok(Wave {
        names: from.into(),
        issuer: args.issuer.as_ref().map(authority).transpose()?,
        domain: args.domain.clone(),
        binding: args.by.into(),
        create: args.create,
        note: args.note.clone(),
        created_by: desk.actor.clone(),
    })
}

fn wave_refusal(error: WaveError) -> anyhow::Error {
    match error {
        WaveError::Store(error) => error.into(),
        error => error.into(),
    }
}

async fn approve_wave(
    args: &Approve,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let wave = wave(args, desk)?;
    let mut work = desk.store.begin(&desk.by()).await?;
    let before = desk.administrators(&mut work).await?;
    let outcomes = approve_all(&mut work, &desk.ground(), &wave).await.map_err(wave_refusal)?;
    desk.check_administrators(before, &mut work).await?;
    if !args.dry_run {
        work.commit().await?;
    }
    if printer.is_json() {
        let values = |is_approved: bool| -> Value {
            let of = outcomes.iter().filter(|one| one.result.is_ok() == is_approved);
            of.map(|one| outcome(one, args.dry_run)).collect()
        };
        return printer.json(&json!({
            "dry_run": args.dry_run,
            "approved": values(true),
            "skipped": values(false),
        }));
    }
    let count = outcomes.iter().filter(|one| one.result.is_ok()).count();
    let would = if args.dry_run { "would approve" } else { "approved" };
    printer.line(&format!("{would} {count}, skipped {}", outcomes.len() - count))?;
    if outcomes.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["id", "user", "subject", "result"]);
    for one in &outcomes {
        table.row([
            short(&one.certificate.sha256.to_string()),
            one.username.clone().unwrap_or_default(),
            one.certificate.subject.to_string(),
            match &one.result {
                Ok(approved) if approved.is_new_user => format!("{would}, a new user"),
                Ok(_) => would.to_owned(),
                Err(error) => error.to_string(),
            },
        ]);
    }
    printer.table(&table)
}

fn outcome(one: &Outcome, is_dry_run: bool) -> Value {
    let certificate = &one.certificate;
    let fields = Fields::default()
        .with("sha256", certificate.sha256.to_string())
        .with("subject", certificate.subject.to_string())
        .with("username", one.username.as_deref());
    match &one.result {
        Ok(approved) => fields
            .with("mapping", (!is_dry_run).then_some(approved.mapping))
            .with("new_user", approved.is_new_user)
            .with("user_disabled", approved.is_user_disabled),
        Err(error) => fields.with("why", error.to_string()),
    }
    .into()
}

async fn ignore(
    id: &str,
    is_ignored: bool,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let mut work = desk.store.begin(&desk.by()).await?;
    let (stored, _) = named(id, &mut work).await?;
    work.certificate_set_ignored(&stored.sha256, is_ignored).await?;
    work.commit().await?;
    let what = if is_ignored { "is not listed again" } else { "is listed again" };
    let done = Fields::default().with("sha256", stored.sha256.as_str()).with("ignored", is_ignored);
    printer.done(&format!("{} {what}", short(&stored.sha256)), &done)
}

async fn block(
    id: &str,
    reason: Option<&str>,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let ground = desk.ground();
    let mut work = desk.store.begin(&desk.by()).await?;
    let before = desk.administrators(&mut work).await?;
    let (_, certificate) = named(id, &mut work).await?;
    let actor = desk.actor.as_deref();
    let id = block_certificate(&mut work, &ground, &certificate, reason, actor).await?;
    desk.check_administrators(before, &mut work).await?;
    work.commit().await?;
    let left = left_to(&mut desk.store.read().await?, &ground, &certificate).await?;
    print_block(id, &certificate, left, printer)
}
