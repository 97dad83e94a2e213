//! From the configuration to what the auth listener needs.

use std::sync::Arc;

use actix_web::http::header::HeaderName;
use anyhow::Context as _;

use crate::config::{self, Config, MaxStaleness, OutputHeaders, TrustMode};
use crate::decide::{Chains, Lapsed, Policy, RevocationPolicy, TrustPolicy};
use crate::directory::{Kind, Kinds, Name, Settings};
use crate::http::admin::Admin;
use crate::http::authorize::{Gate, Trust};
use crate::http::input::Input;
use crate::http::output::Output;
use crate::metrics::Metrics;
use crate::operator::{Ground, Sees};
use crate::pki::{SlashForm, UnixTime};
use crate::proxy::{ChainsBy, Dialect, HeaderNames, Reader, Source};
use crate::revocation::{Published, Sources};
use crate::seen::Seen;
use crate::sync::{Replica, poll_interval};

/// Builds the gate.
///
/// # Errors
/// What of the configuration cannot be used; nothing is left out silently.
pub(super) fn build(
    config: &Config,
    replica: Arc<Replica>,
    seen: Seen,
    authorities: Arc<Published>,
    metrics: Metrics,
) -> anyhow::Result<Gate> {
    Ok(Gate {
        trust: Trust {
            networks: config.proxy.trusted.clone(),
            secret: config.proxy.secret.as_ref().map(|secret| secret.expose().into()),
        },
        input: Input::new(reader(config)).context("a name in proxy.headers is none of a header")?,
        policy: policy(config),
        output: output(config)?,
        replica,
        seen,
        authorities,
        metrics,
        now: super::now,
    })
}

/// Builds what the admin listener needs around the gate.
///
/// # Errors
/// What of the configuration cannot be used.
pub(super) fn admin(config: &Config, gate: &Arc<Gate>) -> anyhow::Result<Arc<Admin>> {
    let group = Name::parse(config.admin.group.as_bytes());
    Ok(Arc::new(Admin {
        gate: Arc::clone(gate),
        database: super::database_url(config)?,
        group: group.context("admin.group is no name of a group")?,
        origin: config.admin.origin.clone(),
        ground: ground(config, super::now()),
    }))
}

/// How the proxy speaks.
#[must_use]
pub fn reader(config: &Config) -> Reader {
    let names = &config.proxy.headers;
    let text = |name: &Option<config::HeaderName>| name.as_ref().map(|name| name.as_str().into());
    Reader {
        dialect: dialect(config.proxy.dialect),
        names: HeaderNames {
            verify: text(&names.verify),
            used: text(&names.used),
            certificate: text(&names.certificate),
            chain: text(&names.chain),
            serial: text(&names.serial),
            subject: text(&names.subject),
            issuer: text(&names.issuer),
        },
        source: match config.identity.source {
            config::Source::Certificate => Source::Certificate,
            config::Source::Headers => Source::Headers,
        },
        slash_form: if config.proxy.legacy_dn { SlashForm::Accept } else { SlashForm::Refuse },
        chains: match config.trust.mode {
            TrustMode::Own => ChainsBy::Us,
            TrustMode::Both | TrustMode::Proxy => ChainsBy::Proxy,
        },
    }
}

/// The manner of speaking behind a dialect's name; the `django-*` ones are nginx's values under
/// other header names.
fn dialect(name: config::Dialect) -> Dialect {
    match name {
        config::Dialect::Apache => Dialect::Apache,
        config::Dialect::Caddy => Dialect::Caddy,
        config::Dialect::Haproxy => Dialect::Haproxy,
        config::Dialect::Nginx
        | config::Dialect::DjangoX509
        | config::Dialect::DjangoTlsCertificateAuth
        | config::Dialect::DjangoSslAuth => Dialect::Nginx,
        config::Dialect::Rfc9440 => Dialect::Rfc9440,
        config::Dialect::Traefik => Dialect::Traefik,
    }
}

/// What is configured of names.
#[must_use]
pub fn settings(config: &Config) -> Settings {
    Settings {
        group_separator: config.output.group_separator.as_str().chars().next().unwrap_or(','),
        admin_group: config.admin.group.as_str().into(),
    }
}

/// What an operator's act stands on.
#[must_use]
pub fn ground(config: &Config, now: UnixTime) -> Ground {
    let headers = &config.proxy.headers;
    let policy = policy(config);
    Ground {
        now,
        kinds: policy.kinds,
        issuers: policy.issuers,
        usage: policy.usage,
        settings: settings(config),
        sees: match config.identity.source {
            config::Source::Certificate => Sees::Certificate,
            config::Source::Headers => Sees::Headers {
                issuer: headers.issuer.is_some(),
                serial: headers.serial.is_some(),
                subject: headers.subject.is_some(),
            },
        },
    }
}

/// What counts in a decision.
#[must_use]
pub fn policy(config: &Config) -> Policy {
    let weak: Vec<Kind> =
        config.identity.weak.iter().filter_map(|kind| Kind::from_name(kind.as_str())).collect();
    Policy {
        kinds: Kinds::with_weak(&weak),
        issuers: config.identity.issuers.clone(),
        max_staleness: match config.directory.max_staleness {
            // The database can go away just before a look: what was allowed is counted from
            // then, and the age from the last look.
            MaxStaleness::Limited(limit) => Some(limit + poll_interval(Some(limit))),
            MaxStaleness::Unlimited => None,
        },
        trust: TrustPolicy {
            chains: match config.trust.mode {
                TrustMode::Proxy => Chains::Proxy,
                TrustMode::Both | TrustMode::Own => Chains::Verified,
            },
            revocation: (!config.revocation.crl.is_empty()).then(|| RevocationPolicy {
                unknown: lapsed(config.revocation.unknown),
                expired: lapsed(config.revocation.expired),
                grace: config.revocation.grace,
            }),
        },
        usage: config.usage.clone(),
    }
}

fn lapsed(policy: config::Policy) -> Lapsed {
    match policy {
        config::Policy::Allow => Lapsed::Allow,
        config::Policy::Deny => Lapsed::Deny,
    }
}

/// Which files tell of CAs.
#[must_use]
pub fn sources(config: &Config) -> Sources {
    Sources {
        crl: config.revocation.crl.clone(),
        anchors: config.trust.anchors.clone(),
        intermediates: config.trust.intermediates.clone(),
    }
}

fn output(config: &Config) -> anyhow::Result<Output> {
    let names = &config.output.headers;
    let header = |name: &config::HeaderName| {
        let name = HeaderName::from_bytes(name.as_str().as_bytes())
            .with_context(|| format!("output.headers: {name} is no header name"))?;
        // Kept for ever: a name that counts its owners is a place in memory that the workers would
        // take from each other with every answer.
        anyhow::Ok(HeaderName::from_static(name.as_str().to_owned().leak()))
    };
    let OutputHeaders { user, groups, name, email } = names;
    Ok(Output::from([header(user)?, header(groups)?, header(name)?, header(email)?]))
}
