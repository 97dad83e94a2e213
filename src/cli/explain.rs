//! `certgate explain`: who a certificate or a request is, and why, by the code that answers nginx.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::crl;
use super::desk::Desk;
use super::facts::{read_bytes, read_certificate};
use super::output::{Printer, Table};
use super::values;
use crate::app;
use crate::decide::{Options, Required, Trust, View};
use crate::directory::{Directory, Rows};
use crate::explain::{
    Asked, Explanation, Handle, MAX_HEADERS_BYTES, Problem, RawHeaders, Scene, UsageFacts,
};

/// Say who a certificate or a request is, and why
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
With --cert it assumes that the proxy verified the certificate: only the proxy sees the handshake.
With --headers it reads what the proxy said by the configured dialect, and assumes that the proxy
may ask. With identity.source = \"headers\" it sees no more of a certificate than the service does.

Examples:
  certgate explain --cert alice.pem
  certgate explain --cert alice.pem --require group:ops --json
  certgate explain --headers request.txt")]
#[group(id = "what", required = true, multiple = false)]
pub(super) struct Explain {
    /// The certificate, PEM or DER
    #[arg(long, value_name = "FILE", group = "what")]
    cert: Option<PathBuf>,
    /// The headers that a proxy sent, one `Name: value` a line; - is standard input
    #[arg(long, value_name = "FILE", group = "what")]
    headers: Option<PathBuf>,
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
    let (asked, handle) = if let Some(file) = &args.cert {
        (Asked::of_certificate(read_certificate(file)?, &reader), Handle::File(file))
    } else if let Some(file) = &args.headers {
        (Asked::of_headers(&read_headers(file)?, &reader), Handle::Values)
    } else {
        anyhow::bail!("give --cert or --headers");
    };
    let options = Options {
        required: args.require.clone(),
        certificate_is_optional: args.certificate_optional,
    };
    let explanation = explain(&asked, &options, handle, desk).await?;
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
    let unusable_files: Vec<Problem> = known
        .problems()
        .iter()
        .map(|(file, why)| Problem { file: file.clone(), why: why.clone() })
        .collect();
    let scene = Scene { view: &view, siblings: &[], unusable_files: &unusable_files, handle };
    Ok(asked.explain(options, &scene))
}

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
