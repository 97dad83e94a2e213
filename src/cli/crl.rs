//! `certgate crl`: the CRLs as the service reads them, and what they say of a certificate.
//!
//! It reads the same files with the same code, and asks no running server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{Printer, Table};
use crate::app;
use crate::config::Config;
use crate::explain::{ListFacts, Problem};
use crate::pki::UnixTime;
use crate::revocation::{Loader, Sources};

/// `certgate crl`
#[derive(Clone, Debug, Subcommand)]
pub(super) enum CrlCommand {
    /// Say whether CRLs can be used: exit code 0 if all can, 1 if not
    Check(Check),
    /// Every CRL in force
    #[command(after_help = "\
Examples:
  certgate crl list
  certgate crl list --json")]
    List,
}

/// `certgate crl check`
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The issuers' certificates are those of trust.anchors and trust.intermediates, those beside the CRLs
of revocation.crl, and those among the files named here.

Examples:
  certgate crl check                     every file of revocation.crl
  certgate crl check new.crl             a new one, before it is put in place
  certgate crl check new.crl ca.pem      with its issuer's certificate")]
pub(super) struct Check {
    /// Files of CRLs [default: those of revocation.crl]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    lists: Vec<ListFacts>,
    problems: Vec<Problem>,
}

/// Runs the command; exit code 0, or 1 if a file cannot be used.
pub(super) fn run(
    command: &CrlCommand,
    config: &Config,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let now = app::now();
    let policy = app::gate::policy(config);
    let sources = app::gate::sources(config);
    let named = match command {
        CrlCommand::Check(check) if !check.files.is_empty() => &check.files[..],
        CrlCommand::Check(_) | CrlCommand::List => &[],
    };
    anyhow::ensure!(
        !named.is_empty() || !sources.is_empty(),
        "revocation.crl is empty: CRLs are not checked; name files, or another --config"
    );
    let mut loader = Loader::new(Sources { crl: [&sources.crl, named].concat(), ..sources });
    loader.look(now);
    let is_meant = |path: &PathBuf| named.is_empty() || named.contains(path);
    let mut problems: Vec<Problem> = loader
        .problems()
        .iter()
        .filter(|(path, _)| is_meant(path) || !loader.sources().crl.contains(path))
        .map(|(path, why)| Problem { file: path.clone(), why: why.clone() })
        .collect();
    problems.extend(named.iter().filter(|path| loader.is_superseded(path)).map(|path| Problem {
        file: path.clone(),
        why: "it is older than a CRL of the same issuer in another file".to_owned(),
    }));
    let known = loader.authorities();
    let mut lists: Vec<ListFacts> =
        known.lists.iter().map(|list| ListFacts::new(list, known, now, &policy)).collect();
    lists.retain(|list| list.file.as_ref().is_none_or(is_meant));
    lists.sort_by(|one, other| one.issuer.cmp(&other.issuer));
    let report = Report { ok: problems.is_empty(), lists, problems };
    print(&report, printer)?;
    let is_check = matches!(command, CrlCommand::Check(_));
    Ok(ExitCode::from(u8::from(is_check && !report.ok)))
}

fn print(report: &Report, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    if printer.is_json() {
        return printer.json(report);
    }
    if !report.lists.is_empty() {
        let mut table = Table::new(&[
            "issuer",
            "number",
            "entries",
            "this update",
            "next update",
            "state",
            "file",
        ]);
        for list in &report.lists {
            table.row([
                list.issuer.clone(),
                list.number.clone().unwrap_or_default(),
                list.entries.to_string(),
                list.this_update.clone(),
                list.next_update.clone(),
                list.state.to_owned(),
                list.file.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            ]);
        }
        printer.table(&table)?;
    }
    for problem in &report.problems {
        printer.line(&format!("{}: {}", problem.file.display(), problem.why))?;
    }
    if report.lists.is_empty() && report.problems.is_empty() {
        printer.line("no CRL")?;
    }
    Ok(())
}

/// What the files tell of the CAs at this moment.
pub(super) fn read(config: &Config, now: UnixTime) -> Loader {
    let mut loader = Loader::new(app::gate::sources(config));
    loader.look(now);
    loader
}
