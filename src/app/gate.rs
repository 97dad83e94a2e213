//! From the configuration to what the auth listener needs.

use std::path::Path;
use std::sync::Arc;

use actix_web::http::header::HeaderName;
use anyhow::Context as _;

use crate::config::{self, Config, IssuerText, MaxStaleness};
use crate::decide::{AllowedIssuer, Policy};
use crate::directory::{Kind, Kinds};
use crate::http::authorize::{Gate, Trust};
use crate::http::output::Output;
use crate::metrics::Metrics;
use crate::pki::{Certificate, DistinguishedName, SlashForm};
use crate::proxy::{HeaderNames, Reader, Source};
use crate::sync::Replica;

/// Builds the gate.
///
/// # Errors
/// What of the configuration cannot be used; nothing is left out silently.
pub(super) fn build(
    config: &Config,
    replica: Arc<Replica>,
    metrics: Metrics,
) -> anyhow::Result<Gate> {
    Ok(Gate {
        trust: Trust {
            networks: config.proxy.trusted.clone(),
            secret: config.proxy.secret.as_ref().map(|secret| secret.expose().into()),
        },
        reader: reader(config),
        policy: policy(config)?,
        output: output(config)?,
        replica,
        metrics,
        now: super::now,
    })
}

/// How the proxy speaks.
#[must_use]
pub fn reader(config: &Config) -> Reader {
    let names = &config.proxy.headers;
    let text = |name: &Option<config::HeaderName>| name.as_ref().map(|name| name.as_str().into());
    Reader {
        names: HeaderNames {
            verify: text(&names.verify),
            certificate: text(&names.certificate),
            serial: text(&names.serial),
            subject: text(&names.subject),
            issuer: text(&names.issuer),
        },
        source: match config.identity.source {
            config::Source::Certificate => Source::Certificate,
            config::Source::Headers => Source::Headers,
        },
        slash_form: if config.proxy.legacy_dn { SlashForm::Accept } else { SlashForm::Refuse },
    }
}

/// What counts in a decision.
///
/// # Errors
/// An issuer that is neither a name nor the certificate of a CA.
pub fn policy(config: &Config) -> anyhow::Result<Policy> {
    let weak: Vec<Kind> =
        config.identity.weak.iter().filter_map(|kind| Kind::from_name(kind.as_str())).collect();
    let issuers: anyhow::Result<Vec<_>> = config.identity.issuers.iter().map(issuer).collect();
    Ok(Policy {
        kinds: Kinds::with_weak(&weak),
        issuers: issuers?,
        max_staleness: match config.directory.max_staleness {
            MaxStaleness::Limited(limit) => Some(limit),
            MaxStaleness::Unlimited => None,
        },
    })
}

fn issuer(text: &IssuerText) -> anyhow::Result<AllowedIssuer> {
    match text {
        IssuerText::DistinguishedName(text) => {
            let name = DistinguishedName::parse(text, SlashForm::Accept)
                .with_context(|| format!("identity.issuers: cannot read the DN {text:?}"))?;
            Ok(AllowedIssuer { name, key_id: None })
        }
        IssuerText::File(path) => issuer_of_file(path)
            .with_context(|| format!("identity.issuers: cannot use {}", path.display())),
    }
}

fn issuer_of_file(path: &Path) -> anyhow::Result<AllowedIssuer> {
    let certificate = Certificate::from_file_bytes(&std::fs::read(path)?)?;
    anyhow::ensure!(certificate.is_ca, "it is not the certificate of a CA");
    let key_id = certificate
        .subject_key_id
        .context("it has no subjectKeyIdentifier to tell its key by; write its DN instead")?;
    Ok(AllowedIssuer { name: certificate.subject, key_id: Some(key_id) })
}

fn output(config: &Config) -> anyhow::Result<Output> {
    let names = &config.output.headers;
    let header = |name: &config::HeaderName| {
        HeaderName::from_bytes(name.as_str().as_bytes())
            .with_context(|| format!("output.headers: {name} is no header name"))
    };
    let separator = config.output.group_separator.as_str().chars().next();
    Ok(Output {
        user: header(&names.user)?,
        groups: header(&names.groups)?,
        name: header(&names.name)?,
        email: header(&names.email)?,
        group_separator: separator.context("output.group_separator is empty")?,
    })
}
