//! `certgate doctor`: what is wrong with this installation, one check after the other.
//!
//! It changes nothing and needs no running server.

mod database;
mod host;
mod nginx;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::output::{Printer, Table};
use crate::app;
use crate::config::{Config, ConfigErrors, Loaded};
use crate::directory::{Directory, Kind};
use crate::doctor::{Finding, Outcome};
use crate::store::{Open, Store};

/// Find out what is wrong: nginx's configuration, the database, CRLs, sockets
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
It reads what `nginx -T` prints: from --nginx, else from nginx itself if it is here and may be read.
Exit code 0: all well; 1: warnings; 2: a failure, somebody might come in who must not, or nobody can.

Examples:
  sudo certgate doctor
  nginx -T 2>/dev/null | certgate doctor --nginx -
  certgate doctor --nginx nginx.txt --json")]
pub(super) struct Doctor {
    /// The output of `nginx -T`; - is standard input
    #[arg(long, value_name = "FILE")]
    nginx: Option<PathBuf>,
}

/// Runs every check; exit code 0, 1 or 2 by the worst of what was found.
pub(super) async fn run(
    args: &Doctor,
    loaded: Result<Loaded, ConfigErrors>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    match loaded {
        Ok(loaded) => {
            findings.extend(configuration(&loaded));
            findings.extend(nginx::check(args.nginx.as_deref(), &loaded.config)?);
            findings.extend(host::check(&loaded));
            findings.extend(database(&loaded.config).await);
        }
        Err(errors) => {
            let of =
                |one: &crate::config::Problem| Finding::failure("configuration", one.to_string());
            findings.extend(errors.0.iter().map(of));
        }
    }
    let worst = findings.iter().map(|one| one.result).max().unwrap_or(Outcome::Ok);
    print(&findings, worst, printer)?;
    Ok(ExitCode::from(match worst {
        Outcome::Ok => 0,
        Outcome::Warning => 1,
        Outcome::Failure => 2,
    }))
}

fn print(findings: &[Finding], worst: Outcome, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    if printer.is_json() {
        return printer.json(&json!({ "result": worst, "checks": findings }));
    }
    let mut table = Table::new(&["result", "check", "what"]);
    for one in findings {
        let what = match &one.place {
            Some(place) => format!("{place}: {}", one.what),
            None => one.what.clone(),
        };
        table.row([word(one.result).to_owned(), one.check.to_owned(), what]);
    }
    printer.table(&table)
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Warning => "warning",
        Outcome::Failure => "FAILURE",
    }
}

/// What the configuration itself warns of, and kinds that hang on names of whichever issuer.
fn configuration(loaded: &Loaded) -> Vec<Finding> {
    let mut findings: Vec<Finding> = loaded
        .warnings
        .iter()
        .map(|one| Finding::warning("configuration", one.to_string()))
        .collect();
    let config = &loaded.config;
    let weak = config.identity.weak.iter().filter(|kind| {
        Kind::from_name(kind.as_str()).is_some_and(|kind| kind != Kind::IssuerSubject)
    });
    let weak: Vec<&str> = weak.map(|kind| kind.as_str()).collect();
    if !weak.is_empty() && config.identity.issuers.is_empty() {
        findings.push(Finding::warning(
            "weak-kinds",
            format!(
                "identity.weak has {} and identity.issuers is empty: every CA that the proxy \
                 trusts can issue these names",
                weak.join(", ")
            ),
        ));
    }
    if findings.is_empty() {
        let what = match &loaded.file {
            Some(file) => file.display().to_string(),
            None => "no file, only defaults and the environment".to_owned(),
        };
        findings.push(Finding::ok("configuration", what));
    }
    findings
}

async fn database(config: &Config) -> Vec<Finding> {
    let opened = match app::database_url(config) {
        Ok(url) => Store::open(&url, Open::Existing).await.map_err(anyhow::Error::from),
        Err(error) => Err(error.into()),
    };
    let store = match opened {
        Ok(store) => store,
        Err(error) => return vec![Finding::failure("database", format!("{error:#}"))],
    };
    let mut findings = vec![Finding::ok("database", format!("{}, its schema too", store.url()))];
    findings.extend(database::check_server(&store, app::now()).await);
    match store.load().await {
        Ok(rows) => {
            let directory = Directory::build(&rows, &app::gate::settings(config));
            findings.extend(database::check_rows(&directory));
            findings.extend(database::check_issuers(&store, &rows, config).await);
        }
        Err(error) => findings.push(Finding::failure("database", error.to_string())),
    }
    store.close().await;
    findings
}
