//! `certgate explain`: who a certificate or a request is, and why, by the code that answers nginx.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::crl;
use super::desk::Desk;
use super::facts::{read_bytes, read_certificate};
use super::output::{Printer, Table};
use super::values;
use crate::app;
use crate::decide::{Options, Required, Trust, View};
use crate::directory::{Directory, Sibling};
use crate::explain::{
    Asked, Explanation, Handle, MAX_HEADERS_BYTES, PastDenial, Problem, RawHeaders, Scene,
    UsageFacts,
};
use crate::pki::Certificate;

/// Say who a certificate or a request is, and why
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
With --cert it assumes that the proxy verified the certificate: only the proxy sees the handshake.
With --headers it reads what the proxy said by the configured dialect, and assumes that the proxy
may ask. With identity.source = \"headers\" it sees no more of a certificate than the service does.

Examples:
  certgate explain --cert alice.pem
  certgate explain --cert alice.pem --require group:ops --json
  certgate explain --headers request.txt
  certgate explain --request-id 5d1f2c0a9b3e4d7c8a6b5c4d3e2f1a0b")]
#[command(group = clap::ArgGroup::new("what").required(true))]
#[group(skip)]
pub(super) struct Explain {
    /// The certificate, PEM or DER
    #[arg(long, value_name = "FILE", group = "what")]
    cert: Option<PathBuf>,
    /// The headers that a proxy sent, one `Name: value` a line; - is standard input
    #[arg(long, value_name = "FILE", group = "what")]
    headers: Option<PathBuf>,
    /// The proxy's number of a request that was denied, as in its log and on its denied page
    #[arg(long, value_name = "ID", group = "what")]
    request_id: Option<String>,
    /// As if the location asked for this: group:NAME or user:NAME (repeat: any of)
    #[arg(long, value_name = "WHAT", value_parser = values::required)]
    require: Vec<Required>,
    /// As if the location let in those without a certificate
    #[arg(long)]
    certificate_optional: bool,
}

/// Explains; exit code 0 if the answer would be 200, 1 for a deny, 2 if there is no decision.
pub(super) async fn run(
    args: &Explain,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let reader = app::gate::reader(desk.config);
    let mut then = None;
    let (asked, handle) = if let Some(file) = &args.cert {
        (Asked::of_certificate(read_certificate(file)?, &reader), Handle::File(file))
    } else if let Some(file) = &args.headers {
        (Asked::of_headers(&read_headers(file)?, &reader), Handle::Values)
    } else if let Some(id) = &args.request_id {
        let (asked, past) = of_request(id, desk).await?;
        then = Some(past);
        (asked, Handle::Values)
    } else {
        anyhow::bail!("give --cert, --headers or --request-id");
    };
    let options = Options {
        required: args.require.clone(),
        certificate_is_optional: args.certificate_optional,
    };
    let mut explanation = explain(&asked, &options, handle, desk).await?;
    explanation.then = then;
    print(&explanation, printer)?;
    Ok(exit_code(&explanation))
}

/// Everything that the service would look at, as it is at this moment.
async fn explain(
    asked: &Asked,
    options: &Options,
    handle: Handle<'_>,
    desk: &Desk<'_>,
) -> anyhow::Result<Explanation> {
    let rows = desk.store.load().await?;
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
    let unusable_files: Vec<Problem> = known
        .problems()
        .iter()
        .map(|(file, why)| Problem { file: file.clone(), why: why.clone() })
        .collect();
    let siblings = siblings(asked, desk).await;
    let scene = Scene { view: &view, siblings: &siblings, unusable_files: &unusable_files, handle };
    Ok(asked.explain(options, &scene))
}

/// Certificates like this one, for hints only: a role that may not read them goes without.
async fn siblings(asked: &Asked, desk: &Desk<'_>) -> Vec<Sibling> {
    let Some(certificate) = asked.certificate() else { return Vec::new() };
    let Ok(mut work) = desk.store.read().await else { return Vec::new() };
    work.siblings(certificate).await.unwrap_or_default()
}

/// What is known of a request that was denied.
async fn of_request(id: &str, desk: &Desk<'_>) -> anyhow::Result<(Asked, PastDenial)> {
    let mut work = desk.store.read().await?;
    let rows = work.denials(Some(id)).await?;
    let Some(row) = rows.first() else {
        return Err(
            super::Missing(format!("no denial of request {id:?} is kept: {NOT_KEPT}")).into()
        );
    };
    let kept = match &row.certificate {
        Some(sha256) => work.kept_certificate(sha256).await?,
        None => None,
    };
    let past = PastDenial {
        at: row.at.clone(),
        reason: row.code.clone(),
        request_id: row.request_id.clone(),
        host: row.host.clone(),
        peer: row.peer.clone(),
        certificate: row.certificate.clone(),
        denials: rows.len(),
    };
    let certificate = kept.and_then(|kept| Certificate::from_der(&kept.der).ok());
    let reader = app::gate::reader(desk.config);
    let chains = app::gate::policy(desk.config).trust.chains;
    let asked = Asked::of_past(&past, certificate, &reader, chains).with_context(|| {
        let code = &past.reason;
        format!("request {id:?} was denied as {code:?}, a code that this version does not know")
    })?;
    Ok((asked, past))
}

/// Why a denial can be missing.
const NOT_KEPT: &str = "it was not denied, or came a second ago, or is older than 7 days or than \
     the last 10,000 denials (2,500 without a certificate), or was left out under a flood; the log \
     of the service may have it";

fn read_headers(file: &Path) -> anyhow::Result<RawHeaders> {
    let bytes = read_bytes(file, MAX_HEADERS_BYTES, "the headers of a request")?;
    RawHeaders::parse(&bytes).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))
}

fn exit_code(explanation: &Explanation) -> ExitCode {
    match explanation.decision {
        "allow" => ExitCode::SUCCESS,
        "deny" => ExitCode::from(super::NO),
        _ => ExitCode::from(super::ERROR),
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
    if let Some(then) = &explanation.then {
        printer.line(&then.line())?;
    }
    printer.line(&format!("assumed: {}", explanation.assumed))?;
    for header in &explanation.headers {
        printer.line(&format!("  {}", header.line()))?;
    }
    if let Some(certificate) = &explanation.certificate {
        for (name, value) in certificate.lines() {
            printer.line(&format!("  {name:<13} {value}"))?;
        }
    }
    if let Some(names) = &explanation.names {
        let texts =
            [("subject", &names.subject), ("issuer", &names.issuer), ("serial", &names.serial)];
        for (name, value) in texts {
            printer.line(&format!("  {name:<13} {}", value.as_deref().unwrap_or("not shown")))?;
        }
    }
    if let Some(line) = explanation.usage.as_ref().and_then(UsageFacts::line) {
        printer.line(&line)?;
    }
    if let Some(trust) = &explanation.trust {
        for line in trust.lines() {
            printer.line(&line)?;
        }
    }
    print_considered(explanation, printer)?;
    if explanation.unusable_rows > 0 {
        let count = explanation.unusable_rows;
        printer
            .line(&format!("rows that cannot be used: {count}; `certgate doctor` lists them"))?;
    }
    for step in &explanation.remedy {
        printer.line(&step.what)?;
        if let Some(command) = &step.command {
            printer.line(&format!("  {command}"))?;
        }
    }
    Ok(())
}

fn print_considered(explanation: &Explanation, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    if explanation.considered.is_empty() {
        return match explanation.certificate.is_some() || explanation.names.is_some() {
            true => printer.line("no mapping, block or rule has anything in common with it"),
            false => Ok(()),
        };
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
    printer.table(&table)?;
    match explanation.considered_left_out {
        0 => Ok(()),
        count => printer.line(&format!("and {count} more that do not match")),
    }
}
