//! `certgate denied`: who was kept out, when and why; from the database, so from any host.

use std::collections::HashMap;
use std::process::ExitCode;

use clap::Args;

use super::desk::Desk;
use super::output::{Fields, Printer, Table};
use crate::directory::{Directory, Holder};
use crate::pki::{Certificate, Identity, UnixTime};
use crate::reason::CODES;
use crate::store::{DeniedRow, KeptCertificate};

/// Who was kept out, and why
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The last 10,000 denials of 7 days are kept, sampled under a flood. --user finds the certificates
that belong to the user now, whatever the state of the mapping, or that last let the user in.

Examples:
  certgate denied --since 2h
  certgate denied --user alice --json
  certgate denied --reason unmapped --limit 20")]
pub(super) struct Denied {
    /// Only those of this user's certificates
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only those since then: 2h, 3days, or a time as RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only those of this code, such as unmapped
    #[arg(long, value_name = "CODE", value_parser = code)]
    reason: Option<String>,
    /// Only those of this request
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// At most this many, the newest
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
}

/// A certificate behind a denial.
struct Behind {
    certificate: Option<Certificate>,
    last_username: Option<String>,
}

/// Lists; exit code 0 even if there is nobody.
pub(super) async fn run(
    args: &Denied,
    desk: &Desk<'_>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let since = args.since.as_deref().map(|text| since(text, desk.now)).transpose()?;
    let mut work = desk.store.read().await?;
    let rows = work.denials(args.request_id.as_deref()).await?;
    let behind: HashMap<String, Behind> = work
        .denied_certificates()
        .await?
        .into_iter()
        .map(|KeptCertificate { sha256, der, last_username }| {
            (sha256, Behind { certificate: Certificate::from_der(&der).ok(), last_username })
        })
        .collect();
    let directory = match &args.user {
        Some(_) => Some(Directory::build(&work.load().await?, &desk.settings())),
        None => None,
    };
    let is_wanted = |row: &&DeniedRow| {
        let at = UnixTime::parse_rfc3339(&row.at).ok();
        let certificate = row.certificate.as_ref().and_then(|sha256| behind.get(sha256));
        let is_users = |user: &String| {
            certificate.is_some_and(|one| is_of(one, user, directory.as_ref(), desk.now))
        };
        since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && args.reason.as_ref().is_none_or(|code| *code == row.code)
            && args.user.as_ref().is_none_or(is_users)
    };
    let wanted: Vec<&DeniedRow> = rows.iter().filter(is_wanted).take(args.limit).collect();
    let mut table =
        Table::new(&["at", "reason", "last user", "subject", "host", "peer", "request id"]);
    let mut list = Vec::new();
    for row in wanted {
        let certificate = row.certificate.as_ref().and_then(|sha256| behind.get(sha256));
        let last = certificate.and_then(|one| one.last_username.clone());
        let of = |text: fn(&Certificate) -> String| {
            certificate.and_then(|one| one.certificate.as_ref()).map(text)
        };
        let subject = of(|certificate| certificate.subject.to_string());
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        table.row([
            row.at.clone(),
            row.code.clone(),
            text(&last),
            text(&subject),
            text(&row.host),
            text(&row.peer),
            text(&row.request_id),
        ]);
        list.push(
            Fields::default()
                .with("at", row.at.clone())
                .with("reason", row.code.clone())
                .with("request_id", row.request_id.clone())
                .with("host", row.host.clone())
                .with("peer", row.peer.clone())
                .with("certificate", row.certificate.clone())
                .with("subject", subject)
                .with("issuer", of(|certificate| certificate.issuer.to_string()))
                .with("serial", of(|certificate| certificate.serial.to_string()))
                .with("last_username", last),
        );
    }
    printer.list(&list, &table)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a certificate last let this user in, or a mapping or a rule names the user for it.
fn is_of(behind: &Behind, user: &str, directory: Option<&Directory>, now: UnixTime) -> bool {
    if behind.last_username.as_deref() == Some(user) {
        return true;
    }
    let (Some(certificate), Some(directory)) = (&behind.certificate, directory) else {
        return false;
    };
    let identity = Identity::from_certificate(certificate);
    let holder = Holder { identity: &identity, certificate: Some(certificate) };
    directory.holders(holder, now).iter().any(|name| name == user)
}

/// A span before now, or an instant.
fn since(text: &str, now: UnixTime) -> anyhow::Result<UnixTime> {
    if let Ok(span) = humantime::parse_duration(text) {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        return Ok(UnixTime::from_micros(now.as_micros().saturating_sub(micros)));
    }
    UnixTime::parse_rfc3339(text).map_err(|_| {
        anyhow::anyhow!("--since {text:?}: write a span such as 2h or 3days, or a time as RFC 3339")
    })
}

fn code(text: &str) -> Result<String, String> {
    if CODES.contains(&text) {
        return Ok(text.to_owned());
    }
    let near = CODES
        .iter()
        .max_by(|one, other| strsim::jaro(one, text).total_cmp(&strsim::jaro(other, text)));
    Err(format!("is no code; did you mean {}?", near.unwrap_or(&"unmapped")))
}
