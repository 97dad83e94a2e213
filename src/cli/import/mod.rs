//! `certgate import`: users, mappings and blocks from files, whole or not at all.

mod files;
mod progress;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use self::files::Format;
pub(super) use self::progress::Progress;
use super::desk::Desk;
use super::output::Printer;
use super::pattern::By;
use super::{NO, values};
use crate::directory::{Kind, Kinds};
use crate::operator::import::{Admin, Limit, Terms, UserFrom, Users, apply, look, marker, plan};

/// `certgate import`
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Everything or nothing: one row that is refused stops the whole import, unless --skip-refused. A
second run changes nothing. What is there is never changed, and what somebody disabled, ended,
revoked or blocked never comes back by an import: such a row is refused and named.

Examples:
  certgate import people.csv --dry-run
  certgate import certificates/ --user-from filename --group staff
  certgate import new.p7b --user-from renewal --retire-old 14d
  certgate import /etc/easy-rsa/pki --user-from common_name
  certgate import people.ldif --source ldap --prune --max-removals 10%")]
pub(super) struct Import {
    /// Files, folders of certificates, or the folder of an OpenSSL CA
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What the files are [default: as they look]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave out what is refused and take the rest
    #[arg(long)]
    skip_refused: bool,
    /// Whose a certificate is that no file names
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Certificates")]
    user_from: Option<From>,
    /// Domain whose local parts are names of users (repeat for more)
    #[arg(long, value_name = "DOMAIN", help_heading = "Certificates")]
    domain: Vec<String>,
    /// What of a certificate counts
    #[arg(long, value_enum, default_value = "sha256", value_name = "WHAT")]
    #[arg(help_heading = "Certificates")]
    by: By,
    /// The CA's certificate, for an index.txt [default: found beside it]
    #[arg(long, value_name = "FILE", help_heading = "Certificates")]
    ca: Option<PathBuf>,
    /// End the renewed certificates' mappings after this long, such as 14d
    #[arg(long, value_name = "AFTER", value_parser = humantime::parse_duration)]
    #[arg(help_heading = "Certificates")]
    retire_old: Option<Duration>,
    /// Add it although it cannot match as certgate is configured
    #[arg(long, help_heading = "Certificates")]
    anyway: bool,
    /// A group that every user joins (repeat for more)
    #[arg(long, value_name = "GROUP", value_parser = values::name, help_heading = "Users")]
    group: Vec<String>,
    /// Add no user: refuse rows of users that are not there
    #[arg(long, help_heading = "Users")]
    existing_users: bool,
    /// The attribute of an LDIF that is the user's name [default: sAMAccountName, else uid, else cn]
    #[arg(long, value_name = "ATTRIBUTE", help_heading = "Users")]
    name_attribute: Option<String>,
    /// Let users join the administrators' group, and administrators get mappings
    #[arg(long, help_heading = "Users")]
    allow_admin_group: bool,
    /// The name of this feed: what it brings is marked with it (created_by)
    #[arg(long, value_name = "NAME", value_parser = values::name, help_heading = "A feed")]
    source: Option<String>,
    /// Remove what this feed brought and no longer has (mappings in force, users without any other)
    #[arg(long, requires = "source", help_heading = "A feed")]
    prune: bool,
    /// Refuse to remove more, of what the feed brought: a part or a number
    #[arg(long, value_name = "LIMIT", default_value = "10%", help_heading = "A feed")]
    max_removals: Limit,
}

/// Whose a certificate is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum From {
    /// The name of its file, without the ending
    Filename,
    /// Its only common name
    #[value(name = "common_name")]
    CommonName,
    /// What stands before the @ of its only e-mail address
    #[value(name = "san_email.local")]
    SanEmailLocal,
    /// What stands before the @ of its only user principal name
    #[value(name = "san_upn.local")]
    SanUpnLocal,
    /// The user of a certificate with the same issuer, subject and names
    Renewal,
}

/// Runs the command; exit code 1 if something is refused and so nothing was done.
pub(super) async fn run(
    args: &Import,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let terms = terms(args, desk)?;
    let mut progress = Progress::on_standard_error();
    let feed = files::read(args, &mut progress)?;
    let mut work = desk.store.begin(&desk.by()).await?;
    let before = desk.administrators(&mut work).await?;
    progress.show("looking at what is there");
    let existing = look(&mut work, &feed).await?;
    let plan = plan(&feed, &existing, &terms);
    let is_whole = plan.refused.is_empty() || args.skip_refused;
    let is_done = is_whole && plan.forbidden.is_none();
    if is_done {
        // A dry run writes too, so that the database has its say, and is then given up.
        apply(&mut work, &plan, |step| progress.step(step)).await?;
        if let Err(error) = desk.check_administrators(before, &mut work).await {
            progress.clear();
            return Err(error);
        }
        if !args.dry_run {
            progress.show("making it count");
            work.commit().await?;
        }
    }
    progress.clear();
    report::print(&plan, args.dry_run, is_done, printer)?;
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

fn terms(args: &Import, desk: &Desk<'_>) -> anyhow::Result<Terms> {
    let is_renewal = args.user_from == Some(From::Renewal);
    anyhow::ensure!(
        args.retire_old.is_none() || is_renewal,
        "--retire-old is for --user-from renewal: only a renewal says which mapping is the old one"
    );
    let seconds = args.retire_old.map(|after| i64::try_from(after.as_secs())).transpose()?;
    Ok(Terms {
        user_from: args.user_from.map(|from| match from {
            From::Filename => UserFrom::Filename,
            From::CommonName => UserFrom::CommonName,
            From::SanEmailLocal => UserFrom::SanEmailLocal,
            From::SanUpnLocal => UserFrom::SanUpnLocal,
            From::Renewal => UserFrom::Renewal,
        }),
        domains: args.domain.clone(),
        by: match args.by {
            By::Sha256 => Kind::Sha256,
            By::Spki => Kind::Spki,
            By::IssuerSerial => Kind::IssuerSerial,
            By::IssuerSubject => Kind::IssuerSubject,
            By::Subject => Kind::Subject,
        },
        groups: args.group.clone(),
        users: if args.existing_users { Users::Existing } else { Users::Add },
        admin: Admin {
            group: desk.settings().admin_group.to_string(),
            is_allowed: args.allow_admin_group,
        },
        created_by: match &args.source {
            Some(source) => Some(marker(source)),
            None => desk.actor.clone(),
        },
        prune: args.prune.then_some(args.max_removals),
        retire_after_seconds: seconds,
        kinds: if args.anyway { Kinds::with_weak(&Kind::ALL) } else { desk.kinds() },
        now: desk.now,
    })
}
