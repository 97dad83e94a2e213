//! `certgate explain`: who a certificate is, and why, by the code that answers nginx.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::crl::{self, TrustFacts};
use super::desk::Desk;
use super::facts::{Facts, read_certificate};
use super::output::{Printer, Table};
use super::sent::as_headers;
use super::values;
use crate::app;
use crate::config::{Config, HEADER_MODE_UNCHECKED, Source};
use crate::decide::{self, Decision, Options, Question, Required, RequiredUsage, Trust, View};
use crate::directory::{Considered, Directory, Holder, Rows};
use crate::pki::{Certificate, key_usage_names, purpose_text};
use crate::proxy::{Presented, Shown};
use crate::reason::DenyReason;

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
    #[arg(long, value_name = "WHAT", value_parser = values::required)]
    pub(super) require: Vec<Required>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Explanation {
    decision: &'static str,
    status: u16,
    reason: &'static str,
    user: Option<String>,
    assumed: String,
    certificate: Facts,
    usage: Option<UsageFacts>,
    trust: TrustFacts,
    considered: Vec<Considered>,
}

/// Whether the certificate is made for what it is presented for; what is asked of all (a client's,
/// no CA's) is not listed.
#[derive(Debug, Serialize)]
struct UsageFacts {
    allowed: bool,
    why: Option<String>,
    required: RequiredFacts,
}

/// What `usage.*` asks for.
#[derive(Debug, Serialize)]
struct RequiredFacts {
    extended_key_usage: Vec<String>,
    key_usage: Vec<&'static str>,
    policies: Vec<String>,
}

impl UsageFacts {
    fn new(certificate: &Certificate, required: &RequiredUsage) -> Self {
        let judged = required.judge(certificate);
        Self {
            allowed: judged.is_ok(),
            why: judged.err().map(|fault| fault.to_string()),
            required: RequiredFacts {
                extended_key_usage: required.extended_key_usage.clone(),
                key_usage: key_usage_names(required.key_usage),
                policies: required.policies.clone(),
            },
        }
    }

    /// One line for people, where there is something to say.
    fn line(&self) -> Option<String> {
        let required = &self.required;
        let purposes = required.extended_key_usage.iter().map(|oid| purpose_text(oid));
        let asked: Vec<&str> = purposes.chain(required.key_usage.iter().copied()).collect();
        let policies = required.policies.join(" or ");
        match &self.why {
            Some(why) => Some(format!("usage: not allowed: {why}")),
            None if asked.is_empty() && policies.is_empty() => None,
            None if policies.is_empty() => Some(format!("usage: has {}", asked.join(", "))),
            None => Some(format!("usage: has {}", [&asked[..], &[&policies]].concat().join(", "))),
        }
    }
}

/// Explains; exit code 0 if the answer would be 200, 1 for a deny, 2 if there is no decision.
pub(super) async fn run(
    args: &Explain,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let certificate = read_certificate(&args.cert)?;
    let options = Options { required: args.require.clone(), ..Options::default() };
    let rows = Rows::from(desk.store.load().await?);
    let directory = Directory::build(&rows, &desk.settings());
    let (policy, now) = (app::gate::policy(desk.config), desk.now);
    let known = crl::read(desk.config, now);
    let view = View {
        directory: Some(&directory),
        age: Duration::ZERO,
        now,
        trust: Trust { authorities: Some(known.authorities()), memory: None },
        policy: &policy,
    };
    let shown = Arc::new(Shown::from(certificate));
    let presented = presented(&shown, desk.config);
    let question =
        Question { options: Ok(options), proxy_is_trusted: true, presented: || presented.clone() };
    let decision = decide::decide(question, &view);
    let explanation = Explanation {
        decision: word(&decision),
        status: decision.status(),
        reason: decision.code(),
        user: user(&decision),
        assumed: assumed(desk.config),
        certificate: Facts::from(&shown.certificate),
        usage: matches!(presented, Ok(Presented::Certificate(_)))
            .then(|| UsageFacts::new(&shown.certificate, &policy.usage)),
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

/// What a request with this certificate presents, as certgate is configured.
fn presented(shown: &Arc<Shown>, config: &Config) -> Result<Presented, DenyReason> {
    match config.identity.source {
        Source::Certificate => Ok(Presented::Certificate(Arc::clone(shown))),
        Source::Headers => as_headers(&shown.certificate, config),
    }
}

/// Whose mappings, blocks and rules are to be told of.
fn holder(presented: &Result<Presented, DenyReason>) -> Option<Holder<'_>> {
    match presented {
        Ok(Presented::Certificate(shown)) => {
            Some(Holder { identity: &shown.identity, certificate: Some(&shown.certificate) })
        }
        Ok(Presented::Headers(identity)) => Some(Holder { identity, certificate: None }),
        Ok(Presented::Nobody) | Err(_) => None,
    }
}

/// What the answer takes for granted.
fn assumed(config: &Config) -> String {
    match config.identity.source {
        Source::Certificate => "the proxy verified this certificate".to_owned(),
        Source::Headers => format!(
            "the proxy verified this certificate and sends its names in headers \
             (identity.source); not checked: {}",
            HEADER_MODE_UNCHECKED.join(", ")
        ),
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
    if let Some(line) = explanation.usage.as_ref().and_then(UsageFacts::line) {
        printer.line(&line)?;
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
