//! `certgate certificate`: one certificate, from its file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::desk::Desk;
use super::facts::read_certificate;
use super::mapping::{self, kind, mapping_state};
use super::output::{Fields, Printer, Table};
use super::pattern::{self, By, from_certificate, is_sent};
use super::values;
use super::window::ENABLED;
use crate::config::Source;
use crate::directory::{
    Column, Considered, Directory, Holder, Kind, Relation, Rows, parse_pattern,
};
use crate::explain::Facts;
use crate::pki::{Certificate, Identity};
use crate::store::{Mapping, NewBlock, PatternText};

/// What `certgate certificate` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum CertificateCommand {
    /// Show what a certificate says, in the forms that certgate compares
    #[command(after_help = "\
It needs no database.

Examples:
  certgate certificate show alice.pem
  certgate certificate show alice.pem --json")]
    Show {
        /// The certificate, PEM or DER
        file: PathBuf,
    },
    /// Keep this one certificate out; say what its holder can still use
    #[command(after_help = "\
Example:
  certgate certificate block laptop.pem --reason stolen")]
    Block(BlockOne),
}

/// `certgate certificate block`
#[derive(Args, Clone, Debug)]
pub(super) struct BlockOne {
    /// The certificate, PEM or DER
    file: PathBuf,
    /// Why
    #[arg(long, value_parser = values::text)]
    reason: Option<String>,
}

/// Shows a certificate; needs no database.
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

/// Blocks one certificate, then tells what its holder can still use.
pub(super) async fn block(
    args: &BlockOne,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let certificate = read_certificate(&args.file)?;
    let block = NewBlock {
        pattern: this_one(&certificate, desk)?,
        reason: args.reason.clone(),
        created_by: desk.actor.clone(),
        ..NewBlock::default()
    };
    let id = desk.act(async |work| work.block_add(&block).await).await?;
    // It holds from here on, whatever the rest finds.
    let left = Left::find(&certificate, desk).await?;
    let sha256 = certificate.sha256.to_string();
    if printer.is_json() {
        let still: Value = left.mappings.iter().map(LeftMapping::fields).collect();
        let done = Fields::default()
            .with("id", id)
            .with("sha256", sha256)
            .with("users", left.users)
            .with("still_usable", still)
            .with("rules", left.rules);
        printer.json(&done)?;
        return Ok(ExitCode::SUCCESS);
    }
    printer.line(&format!("added block {id}: certificate {sha256} is refused"))?;
    left.print(printer)?;
    Ok(ExitCode::SUCCESS)
}

/// This certificate only, as far as the service can tell certificates apart: where it sees headers
/// only, a fingerprint alone would keep nobody out.
fn this_one(certificate: &Certificate, desk: &Desk<'_>) -> anyhow::Result<PatternText> {
    let mut pattern = from_certificate(certificate, By::Sha256)?;
    if desk.config.identity.source == Source::Certificate {
        return Ok(pattern);
    }
    let is_sent = |column| is_sent(column, desk.config);
    if is_sent(Column::Serial) && !certificate.serial.is_odd() {
        pattern.serial = Some(certificate.serial.to_string());
    }
    if is_sent(Column::Issuer) {
        pattern.issuer = Some(certificate.issuer.to_exact_text());
    }
    if is_sent(Column::Subject) && !certificate.subject.is_empty() {
        pattern.subject = Some(certificate.subject.to_exact_text());
    }
    Ok(pattern)
}

/// What the holder of a certificate that is blocked can still use.
struct Left {
    /// Whom the certificate was mapped to.
    users: Vec<String>,
    mappings: Vec<LeftMapping>,
    /// Rules whose conditions hold, by priority: they let in other certificates like this one.
    rules: Vec<i64>,
}

/// A mapping of theirs that lets another certificate in.
struct LeftMapping {
    mapping: Mapping,
    why: &'static str,
}

impl Left {
    async fn find(certificate: &Certificate, desk: &Desk<'_>) -> anyhow::Result<Self> {
        let rows = Rows::from(desk.store.load().await?);
        let directory = Directory::build(&rows, &desk.settings());
        let identity = Identity::from_certificate(certificate);
        let kinds = desk.kinds();
        let holder = Holder { identity: &identity, certificate: Some(certificate) };
        let considered = directory.consider(holder, &[], desk.now, kinds).rows;
        let users = users(&considered);
        let rules = considered.iter().filter(|one| one.kind == "rule").filter(|one| one.matched);
        let rules = rules.map(|one| one.id).collect();
        let mut mappings = Vec::new();
        for username in &users {
            let user = directory.user(username).and_then(|user| user.window);
            if !user.is_some_and(|window| window.is_open(desk.now)) {
                continue;
            }
            for mapping in desk.store.read().await?.mapping_list(Some(username)).await? {
                // The directory left it out: it matches nothing.
                if is_unusable(&directory, mapping.id) {
                    continue;
                }
                let state = mapping_state(&mapping, kinds, desk.now);
                if state != ENABLED && state != "not yet" {
                    continue;
                }
                if let Some(why) = why_left(&mapping, &identity) {
                    mappings.push(LeftMapping { mapping, why });
                }
            }
        }
        Ok(Self { users, mappings, rules })
    }

    fn print(&self, printer: &mut Printer<'_>) -> anyhow::Result<()> {
        for rule in &self.rules {
            printer
                .line(&format!("Rule {rule} still lets in other certificates like this one."))?;
        }
        let users = self.users.join(", ");
        if self.users.is_empty() {
            return printer.line("It was mapped to nobody.");
        }
        if self.mappings.is_empty() {
            return printer
                .line(&format!("It was {users}'s; no mapping lets in another certificate."));
        }
        printer.line(&format!("It was {users}'s. These mappings still let in:"))?;
        let mut table = Table::new(&["id", "user", "kind", "lets in", "pattern"]);
        for LeftMapping { mapping, why } in &self.mappings {
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
}

impl LeftMapping {
    fn fields(&self) -> Fields {
        mapping::fields(&self.mapping).with("why", self.why)
    }
}

/// Whom the certificate was mapped to.
fn users(considered: &[Considered]) -> Vec<String> {
    let matched = considered.iter().filter(|one| one.matched);
    let mut names: Vec<String> = matched.filter_map(|one| one.username.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn is_unusable(directory: &Directory, id: i64) -> bool {
    let id = id.to_string();
    let mut unusable = directory.unusable().iter();
    unusable.any(|row| row.relation == Relation::Mapping && row.key == id)
}

/// Which other certificates a mapping lets in; none if it names the one that is blocked and no
/// other. In doubt it is told: an operator can judge it.
fn why_left(mapping: &Mapping, identity: &Identity) -> Option<&'static str> {
    let pattern = parse_pattern(&mapping.pattern.row()).ok()?;
    let is_this_one = pattern.agrees(identity);
    match pattern.kind()? {
        Kind::Sha256 | Kind::IssuerSerial if is_this_one => None,
        Kind::Spki if is_this_one => Some("another certificate of the same key"),
        _ if is_this_one => Some("another certificate of the same name"),
        Kind::Sha256 | Kind::IssuerSerial => Some("another certificate"),
        Kind::Spki => Some("certificates of another key"),
        _ => Some("certificates of another name"),
    }
}
