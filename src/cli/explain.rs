//! `certgate explain`: who a certificate is, and why, by the code that answers nginx.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::crl::{self, TrustFacts};
use super::facts::{Facts, read_certificate};
use super::output::{Printer, Table};
use crate::app;
use crate::config::{self, Config};
use crate::decide::{self, Decision, Options, Question, Trust, View};
use crate::directory::{Considered, Directory, Holder, Rows};
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
    trust: TrustFacts,
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
    let settings = app::gate::settings(config);
    let directory = Directory::build(&rows, &settings);
    let policy = app::gate::policy(config);
    let now = app::now();
    let known = crl::read(config, now);
    let view = View {
        directory: Some(&directory),
        age: Duration::ZERO,
        now,
        trust: Trust { authorities: Some(known.authorities()), memory: None },
        policy: &policy,
    };
    let shown = Arc::new(Shown::from(certificate));
    let presented = present(&shown, config);
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
        certificate: Facts::from(&shown.certificate),
        trust: TrustFacts::new(&shown, &known, &policy, now),
        considered: match holder(&presented) {
            Some(holder) => directory.consider(holder, now, policy.kinds),
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
fn present(shown: &Arc<Shown>, config: &Config) -> Result<Presented, DenyReason> {
    match config.identity.source {
        config::Source::Certificate => Ok(Presented::Certificate(Arc::clone(shown))),
        config::Source::Headers => {
            let reader = app::gate::reader(config);
            let names = &reader.names;
            let certificate = &shown.certificate;
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

fn holder(presented: &Result<Presented, DenyReason>) -> Option<Holder<'_>> {
    match presented {
        Ok(Presented::Certificate(shown)) => {
            Some(Holder { identity: &shown.identity, certificate: Some(&shown.certificate) })
        }
        Ok(Presented::Headers(identity)) => Some(Holder { identity, certificate: None }),
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
        Decision::Allow(allow) => allow.user().map(|user| user.username.to_string()),
        Decision::Deny(_) | Decision::Undecided(_) => None,
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
    for line in explanation.trust.lines() {
        printer.line(&line)?;
    }
    if explanation.considered.is_empty() {
        return printer.line("no mapping, block or rule has anything in common with it");
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
