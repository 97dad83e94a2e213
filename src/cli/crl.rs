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
use crate::decide::{Chains, Policy, subjects};
use crate::pki::{Chain, RevocationList, UnixTime};
use crate::proxy::Shown;
use crate::revocation::{Authorities, Loader, Sources, Status, is_current};

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

/// A list, for people and programs.
#[derive(Debug, Serialize)]
struct ListFacts {
    issuer: String,
    number: Option<String>,
    this_update: String,
    next_update: String,
    entries: usize,
    state: &'static str,
    file: Option<PathBuf>,
    sha256: String,
}

impl ListFacts {
    fn new(list: &RevocationList, known: &Authorities, now: UnixTime, policy: &Policy) -> Self {
        let grace = policy.trust.revocation.as_ref().map(|policy| policy.grace).unwrap_or_default();
        Self {
            issuer: list.issuer.to_string(),
            number: list.number.as_ref().map(ToString::to_string),
            this_update: list.this_update.to_string(),
            next_update: list.next_update.to_string(),
            entries: list.len(),
            state: match (now <= list.next_update, is_current(list, now, grace)) {
                (true, _) => "current",
                (false, true) => "in grace",
                (false, false) => "expired",
            },
            file: known.origins.get(&list.sha256).cloned(),
            sha256: list.sha256.to_string(),
        }
    }
}

/// A file that cannot be used.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) file: PathBuf,
    pub(super) why: String,
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

/// What the CAs say of one certificate, for `certgate explain`.
#[derive(Debug, Serialize)]
pub(super) struct TrustFacts {
    chain: Option<ChainFacts>,
    revocation: Vec<RevocationFacts>,
    unusable_files: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct ChainFacts {
    verified: bool,
    anchor: Option<String>,
    anchor_sha256: Option<String>,
    why: Option<String>,
}

#[derive(Debug, Serialize)]
struct RevocationFacts {
    issuer: String,
    serial: String,
    status: &'static str,
    reason: Option<&'static str>,
    crl: Option<ListFacts>,
}

/// What the files tell of the CAs at this moment.
pub(super) fn read(config: &Config, now: UnixTime) -> Loader {
    let mut loader = Loader::new(app::gate::sources(config));
    loader.look(now);
    loader
}

impl TrustFacts {
    /// Asks what a decision asks, one thing after the other.
    pub(super) fn new(shown: &Shown, loader: &Loader, policy: &Policy, now: UnixTime) -> Self {
        let known = loader.authorities();
        let verified = (policy.trust.chains == Chains::Verified)
            .then(|| known.store.verify(&shown.certificate, &shown.chain, now));
        let chain = verified.as_ref().and_then(|verified| verified.as_ref().ok());
        let unusable = loader.problems().iter();
        Self {
            chain: verified.as_ref().map(|verified| match verified {
                Ok(chain) => ChainFacts {
                    verified: true,
                    anchor: Some(chain.anchor.to_string()),
                    anchor_sha256: Some(chain.anchor_sha256.to_string()),
                    why: None,
                },
                Err(error) => ChainFacts {
                    verified: false,
                    anchor: None,
                    anchor_sha256: None,
                    why: Some(error.to_string()),
                },
            }),
            revocation: revocation(shown, chain, known, policy, now),
            unusable_files: unusable
                .map(|(file, why)| Problem { file: file.clone(), why: why.clone() })
                .collect(),
        }
    }

    /// One line each, for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(chain) = &self.chain {
            lines.push(match (&chain.anchor, &chain.why) {
                (Some(anchor), _) => format!("chain: ends in the anchor {anchor}"),
                (None, why) => format!("chain: {}", why.as_deref().unwrap_or("none")),
            });
        }
        for one in &self.revocation {
            let crl = one.crl.as_ref().map_or("no CRL of this issuer".to_owned(), |crl| {
                let number = crl.number.as_deref().unwrap_or("without a number");
                let file = crl.file.as_ref().map(|file| file.display().to_string());
                format!(
                    "CRL {number} of {}, {} until {}, {}",
                    crl.issuer,
                    crl.state,
                    crl.next_update,
                    file.unwrap_or_default()
                )
            });
            let reason = one.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            lines.push(format!("serial {}: {}{reason} by {crl}", one.serial, one.status));
        }
        for problem in &self.unusable_files {
            lines.push(format!("cannot be used: {}: {}", problem.file.display(), problem.why));
        }
        lines
    }
}

fn revocation(
    shown: &Shown,
    chain: Option<&Chain>,
    known: &Authorities,
    policy: &Policy,
    now: UnixTime,
) -> Vec<RevocationFacts> {
    let Some(checked) = &policy.trust.revocation else {
        return Vec::new();
    };
    let facts = |list: &RevocationList| Some(ListFacts::new(list, known, now, policy));
    subjects(shown, chain)
        .map(|subject| {
            let status = known.lists.status(&subject, now, checked.grace);
            let (status, reason, crl) = match status {
                Status::Expired(list) => ("not known", None, facts(list)),
                Status::Good(list) => ("not revoked", None, facts(list)),
                Status::Revoked(list, why) => ("revoked", Some(why.as_str()), facts(list)),
                Status::Unknown => ("not known", None, None),
            };
            let (issuer, serial) = (subject.issuer.to_string(), subject.serial.to_string());
            RevocationFacts { issuer, serial, status, reason, crl }
        })
        .collect()
}
