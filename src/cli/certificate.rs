//! `certgate certificate`: one certificate from its file, and those that are known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::desk::Desk;
use super::facts::read_certificate;
use super::known::{self, Known, given};
use super::mapping::{self, kind};
use super::output::{Fields, Printer, Table};
use super::pattern::{self, authority};
use super::values::{self, IssuerValue};
use crate::directory::{Directory, Kind};
use crate::explain::Facts;
use crate::operator::{
    Authority, Ground, Left, LeftMapping, Standing, block_certificate, find_certificate, left_to,
};
use crate::pki::{Certificate, UnixTime};
use crate::store::StoredCertificate;

/// What `certgate certificate` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum CertificateCommand {
    /// Show what a certificate says, in the forms that certgate compares
    #[command(after_help = "\
A file needs no database. Of a certificate that is known, it also shows when it was seen and whose
it is.

Examples:
  certgate certificate show alice.pem
  certgate certificate show CA:92:CB:E9
  certgate certificate show dec:4097
  certgate certificate show 'CN=alice,O=Example,C=FR'
  certgate certificate show 1f0c5b7a --json")]
    Show {
        /// A file, PEM or DER; or a serial, a subject's DN, a SHA-256 fingerprint or its first 8 digits
        #[arg(value_name = "FILE|SERIAL|DN|FINGERPRINT", allow_hyphen_values = true)]
        what: String,
    },
    /// List the certificates that are known: given by operators, or seen with requests
    #[command(after_help = "\
Whose a certificate is, is asked of the mappings and rules as they are now.

Examples:
  certgate certificate list --user alice
  certgate certificate list --expiring 30d
  certgate certificate list --unused 90d --issuer old-ca.pem --json")]
    List(List),
    /// Keep certificates in mind that somebody handed in; it maps them to nobody
    #[command(after_help = "\
Example:
  certgate certificate add alice.pem bob.pem")]
    Add {
        /// A certificate, PEM or DER
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Keep this one certificate out; say what its holder can still use
    #[command(after_help = "\
Examples:
  certgate certificate block laptop.pem --reason stolen
  certgate certificate block CA:92:CB:E9 --reason stolen")]
    Block(BlockOne),
}

/// `certgate certificate list`
#[derive(Args, Clone, Debug)]
pub(super) struct List {
    /// Only those of this user
    #[arg(long)]
    user: Option<String>,
    /// Only those of nobody
    #[arg(long, conflicts_with = "user")]
    unmapped: bool,
    /// Only those that expire within this time
    #[arg(long, value_name = "SPAN", value_parser = values::span)]
    expiring: Option<Duration>,
    /// Only those that did not come for this time, or never
    #[arg(long, value_name = "SPAN", value_parser = values::span)]
    unused: Option<Duration>,
    /// Only those of this issuer: a DN, or the CA's certificate as a file, which tells its key too
    #[arg(long, value_name = "DN|FILE", value_parser = values::issuer)]
    issuer: Option<IssuerValue>,
    /// At most so many
    #[arg(long, default_value_t = 1000, value_name = "NUMBER")]
    limit: usize,
}

/// `certgate certificate block`
#[derive(Args, Clone, Debug)]
pub(super) struct BlockOne {
    /// A file, PEM or DER; or of a known one a serial, a DN, a fingerprint or its first 8 digits
    #[arg(value_name = "FILE|SERIAL|DN|FINGERPRINT", allow_hyphen_values = true)]
    what: String,
    /// Why
    #[arg(long, value_parser = values::text)]
    reason: Option<String>,
}

/// Shows a certificate's file; needs no database.
pub(super) fn show(file: &Path, printer: &mut Printer<'_>) -> anyhow::Result<ExitCode> {
    let facts = Facts::from(&read_certificate(file)?);
    if printer.is_json() {
        printer.json(&facts)?;
    } else {
        for (name, value) in facts.lines() {
            printer.line(&format!("{name:<13} {value}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs what needs the database.
pub(super) async fn run(
    command: &CertificateCommand,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    match command {
        CertificateCommand::Show { what } => show_known(what, desk, printer).await?,
        CertificateCommand::List(args) => list(args, desk, printer).await?,
        CertificateCommand::Add { files } => add(files, desk, printer).await?,
        CertificateCommand::Block(args) => block(args, desk, printer).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_known(what: &str, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let ground = desk.ground();
    let mut work = desk.store.read().await?;
    let stored = find_certificate(&mut work, what).await.map_err(known::refusal)?;
    let certificate = known::parse(&stored)?;
    let directory = Directory::build(&work.load().await?, &ground.settings);
    let standing = Standing::of(&certificate, &directory, &ground);
    let known = Known { stored, certificate, standing, alike: None };
    if printer.is_json() { printer.json(&known.json()?) } else { known.print(printer) }
}

async fn add(files: &[PathBuf], desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let certificates: Vec<Certificate> =
        files.iter().map(|file| read_certificate(file)).collect::<anyhow::Result<_>>()?;
    desk.act(async |work| {
        for certificate in &certificates {
            work.certificate_add(certificate).await?;
        }
        Ok(())
    })
    .await?;
    let sha256: Vec<String> = certificates.iter().map(|one| one.sha256.to_string()).collect();
    let sentence = format!("known: {}", sha256.join(", "));
    printer.done(&sentence, &Fields::default().with("sha256", sha256))
}

/// What is asked for.
struct Wanted<'a> {
    args: &'a List,
    issuer: Option<Authority>,
    /// Expires before this.
    expires_before: Option<UnixTime>,
    /// Did not come since.
    unused_since: Option<UnixTime>,
    directory: Directory,
    ground: &'a Ground,
}

impl Wanted<'_> {
    fn take(&self, stored: StoredCertificate) -> Option<Known> {
        let certificate = Certificate::from_der(&stored.der).ok()?;
        if !self.issuer.as_ref().is_none_or(|issuer| issuer.issued(&certificate)) {
            return None;
        }
        if let Some(before) = self.expires_before {
            let is_over = certificate.not_after.as_seconds() < self.ground.now.as_seconds();
            if is_over || certificate.not_after >= before {
                return None;
            }
        }
        if let Some(since) = self.unused_since {
            // One that never came is unused since it could come.
            let seen = stored.last_seen.as_deref().map(UnixTime::parse_rfc3339);
            let seen = seen.and_then(Result::ok).unwrap_or(certificate.not_before);
            if seen > since {
                return None;
            }
        }
        let standing = Standing::of(&certificate, &self.directory, self.ground);
        if self.args.unmapped && !standing.is_unmapped() {
            return None;
        }
        if self.args.user.is_some() && self.args.user != standing.username {
            return None;
        }
        Some(Known { stored, certificate, standing, alike: None })
    }

    /// What an operator looks at first comes first.
    fn order(&self, known: &Known) -> i64 {
        let seen = known.stored.last_seen.as_deref().map(UnixTime::parse_rfc3339);
        let seen = seen.and_then(Result::ok).map_or(0, UnixTime::as_micros);
        if self.expires_before.is_some() {
            known.certificate.not_after.as_micros()
        } else if self.unused_since.is_some() {
            seen
        } else {
            -seen
        }
    }
}

async fn list(args: &List, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let ground = desk.ground();
    let mut work = desk.store.read().await?;
    if let Some(user) = &args.user {
        // A name that was misspelt is an answer of its own.
        work.user_show(user).await?;
    }
    let directory = Directory::build(&work.load().await?, &ground.settings);
    let wanted = Wanted {
        args,
        issuer: args.issuer.as_ref().map(authority).transpose()?,
        expires_before: args.expiring.map(|span| shifted(desk.now, span, 1)),
        unused_since: args.unused.map(|span| shifted(desk.now, span, -1)),
        directory,
        ground: &ground,
    };
    // There can be hundreds of thousands: only those that are shown are kept.
    let mut kept = BTreeMap::new();
    let mut more = 0_usize;
    work.each_certificate(|stored| {
        let Some(known) = wanted.take(stored) else { return };
        kept.insert((wanted.order(&known), known.stored.sha256.clone()), known);
        if kept.len() > args.limit {
            kept.pop_last();
            more += 1;
        }
    })
    .await?;
    let rows: Vec<Known> = kept.into_values().collect();
    if printer.is_json() {
        return printer.json(&known::array(&rows)?);
    }
    printer.table(&known::table(&rows))?;
    match more {
        0 => Ok(()),
        more => printer.line(&format!("and {more} more; say --limit for them")),
    }
}

/// So long after, or before.
pub(super) fn shifted(now: UnixTime, span: Duration, sign: i64) -> UnixTime {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    UnixTime::from_micros(now.as_micros().saturating_add(micros.saturating_mul(sign)))
}

/// Blocks one certificate, then tells what its holder can still use.
async fn block(args: &BlockOne, desk: &Desk<'_>, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let ground = desk.ground();
    let certificate = given(&args.what, &mut desk.store.read().await?).await?;
    let (reason, actor) = (args.reason.as_deref(), desk.actor.as_deref());
    let id = desk
        .act(async |work| block_certificate(work, &ground, &certificate, reason, actor).await)
        .await?;
    // It holds from here on, whatever the rest finds.
    let left = left_to(&mut desk.store.read().await?, &ground, &certificate).await?;
    print_block(id, &certificate, left, printer)
}

/// What was blocked and what is left.
pub(super) fn print_block(
    id: i64,
    certificate: &Certificate,
    left: Left,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let sha256 = certificate.sha256.to_string();
    if printer.is_json() {
        let still: Value = left.mappings.iter().map(left_fields).collect();
        let done = Fields::default()
            .with("id", id)
            .with("sha256", sha256)
            .with("users", left.users)
            .with("still_usable", still)
            .with("rules", left.rules);
        return printer.json(&done);
    }
    printer.line(&format!("added block {id}: certificate {sha256} is refused"))?;
    print_left(&left, printer)
}

fn print_left(left: &Left, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    for rule in &left.rules {
        printer.line(&format!("Rule {rule} still lets in other certificates like this one."))?;
    }
    let users = left.users.join(", ");
    if left.users.is_empty() {
        return printer.line("It was mapped to nobody.");
    }
    if left.mappings.is_empty() {
        return printer.line(&format!("It was {users}'s; no mapping lets in another certificate."));
    }
    printer.line(&format!("It was {users}'s. These mappings still let in:"))?;
    let mut table = Table::new(&["id", "user", "kind", "lets in", "pattern"]);
    for LeftMapping { mapping, why } in &left.mappings {
        table.row([
            mapping.id.to_string(),
            mapping.username.clone(),
            kind(mapping).map_or("-", Kind::name).to_owned(),
            (*why).to_owned(),
            pattern::line(&mapping.pattern),
        ]);
    }
    printer.table(&table)
}

fn left_fields(left: &LeftMapping) -> Fields {
    mapping::fields(&left.mapping).with("why", left.why)
}
