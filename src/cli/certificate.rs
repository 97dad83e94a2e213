//! `certgate certificate`: one certificate, from its file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::facts::{Facts, read_certificate};
use super::output::Printer;
use super::pattern::{By, from_certificate};
use crate::app;
use crate::config::{Config, Source};
use crate::directory::{Considered, Directory, Holder, Rows};
use crate::pki::{Certificate, Identity};
use crate::store::{NewBlock, PatternText, Store};

/// What `certgate certificate` does.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum CertificateCommand {
    /// Show what a certificate says, in the forms that certgate compares
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
    #[arg(long)]
    reason: Option<String>,
}

/// Shows a certificate; needs no database.
pub(super) fn show(file: &std::path::Path, printer: &mut Printer<'_>) -> anyhow::Result<ExitCode> {
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

/// Blocks a certificate by its fingerprint, and where the service sees headers only also by what
/// they show: a fingerprint alone would keep nobody out there.
pub(super) async fn block(
    args: &BlockOne,
    config: &Config,
    store: &Store,
    actor: Option<String>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<ExitCode> {
    let certificate = read_certificate(&args.file)?;
    let block = NewBlock {
        pattern: pattern(&certificate, config),
        reason: args.reason.clone(),
        created_by: actor,
        ..NewBlock::default()
    };
    let id = store.block_add(&block).await?;
    let settings = app::gate::settings(config);
    let directory = Directory::build(&Rows::from(store.load().await?), &settings);
    let identity = Identity::from_certificate(&certificate);
    let policy = app::gate::policy(config);
    let considered = directory.consider(
        Holder { identity: &identity, certificate: Some(&certificate) },
        app::now(),
        policy.kinds,
    );
    let holders = holders(&considered);
    let sha256 = certificate.sha256.to_string();
    let mut still = Vec::new();
    for holder in &holders {
        for mapping in store.mapping_list(Some(holder)).await? {
            if mapping.pattern.sha256.as_ref().is_some_and(|other| is_hex_of(other, &sha256)) {
                continue;
            }
            if mapping.enabled && mapping.revoked_at.is_none() {
                still.push(mapping);
            }
        }
    }
    if printer.is_json() {
        let still: Vec<_> = still.iter().map(super::mapping::mapping_json).collect();
        let done = json!({"id": id, "sha256": sha256, "users": holders, "still_usable": still});
        printer.json(&done)?;
        return Ok(ExitCode::SUCCESS);
    }
    printer.line(&format!("added block {id} for certificate {sha256}"))?;
    if holders.is_empty() {
        printer.line("It was mapped to nobody.")?;
    }
    if still.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    printer.line(&format!(
        "Mappings by which {} can still come in with another certificate:",
        holders.join(", ")
    ))?;
    super::mapping::print_list(&still, printer)?;
    Ok(ExitCode::SUCCESS)
}

/// This certificate only, as far as the service can tell certificates apart.
fn pattern(certificate: &Certificate, config: &Config) -> PatternText {
    let mut pattern = from_certificate(certificate, By::Sha256);
    if config.identity.source == Source::Certificate {
        return pattern;
    }
    let headers = &config.proxy.headers;
    let named = from_certificate(certificate, By::IssuerSerial);
    if headers.serial.is_some() && !certificate.serial.is_odd() {
        pattern.serial = named.serial;
    }
    if headers.issuer.is_some() {
        pattern.issuer = named.issuer;
    }
    if headers.subject.is_some() && !certificate.subject.is_empty() {
        pattern.subject = from_certificate(certificate, By::Subject).subject;
    }
    pattern
}

/// Whether a column of the database, in any spelling, is this fingerprint.
fn is_hex_of(column: &str, sha256: &str) -> bool {
    column.replace(':', "").eq_ignore_ascii_case(sha256)
}

/// Whom the certificate was mapped to.
fn holders(considered: &[Considered]) -> Vec<String> {
    let mut names: Vec<String> = considered
        .iter()
        .filter(|one| one.matched)
        .filter_map(|one| one.username.clone())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
