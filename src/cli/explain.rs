//! `certgate explain`: who a certificate is, and why, by the code that answers nginx.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::facts::{Facts, read_certificate};
use super::output::{Printer, Table};
use crate::app;
use crate::config::{self, Config};
use crate::decide::{self, Allow, Decision, Options, Question, View};
use crate::directory::{Considered, Directory, Rows};
use crate::pki::{Certificate, Identity};
use crate::proxy::{Headers, Memory, Presented, Shown};
use crate::reason::DenyReason;
use crate::store::Store;

/// Say who a certificate is, and why
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
It assumes that the proxy verified the certificate: only the proxy sees the handshake. With
identity.source = \"headers\" it sees no more of the certificate than the service does.

Examples:
  certgate explain --cert alice.pem
  certgate explain --cert alice.pem --require group:ops
  certgate explain --cert alice.pem --json")]
pub(super) struct Explain {
    /// The certificate, PEM or DER
    #[arg(long, value_name = "FILE")]
    pub(super) cert: PathBuf,
    /// As if the location asked for this: group:NAME or user:NAME (repeat: any of)
    #[arg(long, value_name = "WHAT")]
    pub(super) require: Vec<String>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Explanation {
    decision: &'static str,
    status: u16,
    reason: &'static str,
    user: Option<String>,
    assumed: &'static str,
    certificate: Facts,
    considered: Vec<Considered>,
}

const ASSUMED: &str = "the proxy verified this certificate";
/// With `identity.source = "headers"`.
const ASSUMED_OF_HEADERS: &str =
    "the proxy verified this certificate and sends only its serial and names";

/// Explains; exit code 0 if the answer would be 200, 1 for a deny, 2 if there is no decision.
pub(super) async fn run(
    args: &Explain,
    config: &Config,
    store: &Store,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let certificate = read_certificate(&args.cert)?;
    let query: Vec<String> = args.require.iter().map(|what| format!("require={what}")).collect();
    let options = Options::parse(&query.join("&"));
    if let Err(error) = &options {
        anyhow::bail!("--{error}; write group:NAME or user:NAME");
    }
    let rows = Rows::from(store.load().await?);
    let separator = config.output.group_separator.as_str().chars().next().unwrap_or(',');
    let directory = Directory::build(&rows, separator);
    let policy = app::gate::policy(config);
    let now = app::now();
    let view = View { directory: Some(&directory), age: Duration::ZERO, now, policy: &policy };
    let facts = Facts::from(&certificate);
    let presented = present(certificate, config);
    let question = Question { options, proxy_is_trusted: true, presented: || presented.clone() };
    let decision = decide::decide(question, &view);
    let explanation = Explanation {
        decision: word(&decision),
        status: decision.status(),
        reason: decision.code(),
        user: user(&decision),
        assumed: match config.identity.source {
            config::Source::Certificate => ASSUMED,
            config::Source::Headers => ASSUMED_OF_HEADERS,
        },
        certificate: facts,
        considered: match identity(&presented) {
            Some(identity) => directory.consider(identity, now, policy.kinds),
            None => Vec::new(),
        },
    };
    print(&explanation, printer)?;
    Ok(match decision {
        Decision::Allow(_) => ExitCode::SUCCESS,
        Decision::Deny(_) => ExitCode::from(1),
        Decision::Undecided(_) => ExitCode::from(2),
    })
}

/// What the service would see of this certificate, as it is configured.
fn present(certificate: Certificate, config: &Config) -> Result<Presented, DenyReason> {
    match config.identity.source {
        config::Source::Certificate => {
            Ok(Presented::Certificate(Arc::new(Shown::from(certificate))))
        }
        config::Source::Headers => {
            let reader = app::gate::reader(config);
            let names = &reader.names;
            let lines = [
                (&names.verify, "SUCCESS".to_owned()),
                (&names.serial, certificate.serial.to_string()),
                (&names.subject, certificate.subject.to_string()),
                (&names.issuer, certificate.issuer.to_string()),
            ];
            let lines = lines.into_iter().filter_map(|(name, text)| Some((name.clone()?, text)));
            reader.read(&Lines(lines.collect()), &mut Memory::default())
        }
    }
}

fn identity(presented: &Result<Presented, DenyReason>) -> Option<&Identity> {
    match presented {
        Ok(Presented::Certificate(shown)) => Some(&shown.identity),
        Ok(Presented::Headers(identity)) => Some(identity),
        Ok(Presented::Nobody) | Err(_) => None,
    }
}

/// The headers that the proxy would send.
struct Lines(Vec<(String, String)>);

impl Headers for Lines {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_bytes()))
    }
}

fn word(decision: &Decision<'_>) -> &'static str {
    match decision {
        Decision::Allow(_) => "allow",
        Decision::Deny(_) => "deny",
        Decision::Undecided(_) => "error",
    }
}

fn user(decision: &Decision<'_>) -> Option<String> {
    match decision {
        Decision::Allow(Allow::Mapped(user, _)) => Some(user.username.to_string()),
        _ => None,
    }
}

fn print(explanation: &Explanation, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    if printer.is_json() {
        return printer.json(explanation);
    }
    printer.line(explanation.reason)?;
    match &explanation.user {
        Some(user) => printer.line(&format!("{} {user}", explanation.status))?,
        None => printer.line(&format!("{} {}", explanation.status, explanation.decision))?,
    }
    printer.line(&format!("assumed: {}", explanation.assumed))?;
    for (name, value) in explanation.certificate.lines() {
        printer.line(&format!("  {name:<13} {value}"))?;
    }
    if explanation.considered.is_empty() {
        return printer.line("no mapping or block has anything in common with it");
    }
    let mut table = Table::new(&["kind", "id", "user", "matched", "why"]);
    for one in &explanation.considered {
        table.row([
            one.kind.to_owned(),
            one.id.to_string(),
            one.username.clone().unwrap_or_default(),
            if one.matched { "yes" } else { "no" }.to_owned(),
            one.why.clone(),
        ]);
    }
    printer.table(&table)
}
