//! The database: its clock, our rights, whether a word gets through and changes are written down,
//! and rows that do nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::app;
use crate::config::Config;
use crate::directory::row::{MappingRow, PatternRow};
use crate::directory::{Column, Directory, Rows, Severity, parse_pattern};
use crate::doctor::Finding;
use crate::pki::{Certificate, UnixTime};
use crate::revocation::Loader;
use crate::store::{ServerHealth, Store, WeakTriggers};

/// A clock that is off by more than this makes windows and expiry wrong by as much.
const CLOCK_WARNING_SECONDS: i64 = 2;
/// A clock that is off by more than this is set wrong.
const CLOCK_FAILURE_SECONDS: i64 = 60;
/// This program is younger than any clock that says an earlier time: 2024-01-01.
const EARLIEST_SECOND: i64 = 1_704_067_200;

/// The server, or the file.
pub(super) async fn check_server(store: &Store, now: UnixTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    if now.as_seconds() < EARLIEST_SECOND {
        let what = format!("this machine's clock says {now}: no certificate is valid then");
        findings.push(Finding::failure("clock", what));
    }
    match store.health().await {
        Ok(None) => {
            if findings.is_empty() {
                findings.push(Finding::ok("clock", now.to_string()));
            }
        }
        Ok(Some(health)) => {
            findings.push(clock(&health, app::now()));
            findings.push(rights(&health));
            findings.push(listens(&health));
        }
        Err(error) => {
            findings.push(Finding::failure("database", error.to_string()));
            return findings;
        }
    }
    match store.weak_triggers().await {
        Ok(weak) => findings.push(triggers(&weak)),
        Err(error) => findings.push(Finding::failure("database", error.to_string())),
    }
    findings
}

fn clock(health: &ServerHealth, now: UnixTime) -> Finding {
    let Ok(theirs) = UnixTime::parse_rfc3339(&health.clock) else {
        let what = format!("the database says {:?} when asked for the time", health.clock);
        return Finding::failure("clock", what);
    };
    let took = i64::try_from(health.took.as_micros()).unwrap_or(i64::MAX);
    let off = now.as_micros().saturating_sub(theirs.as_micros()).saturating_abs();
    let off = off.saturating_sub(took).max(0) / 1_000_000;
    let what = format!("this machine's clock and the database's differ by {off} s");
    match off {
        CLOCK_FAILURE_SECONDS.. => Finding::failure("clock", what),
        CLOCK_WARNING_SECONDS.. => Finding::warning("clock", what),
        _ => Finding::ok("clock", what),
    }
}

fn rights(health: &ServerHealth) -> Finding {
    if health.writable.is_empty() {
        return Finding::ok("role", "the role of database.url writes to no table");
    }
    Finding::warning(
        "role",
        format!(
            "the role of database.url can write to {}: let the service connect as the service role \
             of deploy/roles.sql",
            health.writable.join(", ")
        ),
    )
}

fn listens(health: &ServerHealth) -> Finding {
    match (health.is_standby, health.listens) {
        (true, _) => Finding::ok("listen", "a standby: changes are polled for, every second"),
        (false, true) => Finding::ok("listen", "a notification comes back"),
        (false, false) => Finding::warning(
            "listen",
            "no notification comes back within 2 s (a pooler in transaction mode?): changes are \
             found by polling, every second",
        ),
    }
}

fn triggers(weak: &WeakTriggers) -> Finding {
    let (off, remedy, not_always) = match weak {
        WeakTriggers::Postgres { off, not_always } => (
            off,
            "off or gone: changes may not take effect, or are not in the audit; put each on again \
             with `alter table ... enable always trigger ...`, or, where it is gone, take everything \
             into a new database with `certgate copy`",
            not_always.as_slice(),
        ),
        WeakTriggers::Sqlite(altered) => (
            altered,
            "gone or altered, as after a table was made anew: changes may not take effect, or are \
             not in the audit; take everything into a new file with `certgate copy`",
            &[][..],
        ),
    };
    if !off.is_empty() {
        return Finding::failure("triggers", format!("{} {remedy}", off.join(", ")));
    }
    if !not_always.is_empty() {
        return Finding::warning(
            "triggers",
            format!(
                "{} not always on: what a session changes that replays (session_replication_role) \
                 is not seen, or not in the audit; put each on for all with `alter table ... enable \
                 always trigger ...`",
                not_always.join(", ")
            ),
        );
    }
    Finding::ok("triggers", "none is off or gone")
}

/// Rows that cannot be used, one by one.
pub(super) fn check_rows(directory: &Directory) -> Vec<Finding> {
    let unusable = directory.unusable();
    if unusable.is_empty() {
        return vec![Finding::ok("rows", "every row of the directory can be used")];
    }
    let finding = |one: &crate::directory::Unusable| {
        let what = format!("{} {}: {}", one.relation.name(), one.key, one.error);
        match one.severity {
            Severity::Critical => Finding::failure("rows", format!("{what}; it keeps nobody out")),
            Severity::Warning => Finding::warning("rows", what),
        }
    };
    unusable.iter().map(finding).collect()
}

/// Issuers of one name that sign with several keys, where mappings say the name alone.
pub(super) async fn check_issuers(store: &Store, rows: &Rows, config: &Config) -> Vec<Finding> {
    let mut keys: BTreeMap<Vec<u8>, (String, BTreeSet<Vec<u8>>)> = BTreeMap::new();
    let mut note = |certificate: &Certificate| {
        let Some(key) = &certificate.authority_key_id else { return };
        let name = &certificate.issuer;
        let known = keys
            .entry(name.canonical().to_vec())
            .or_insert_with(|| (name.to_string(), BTreeSet::new()));
        known.1.insert(key.to_vec());
    };
    let mut loader = Loader::new(app::gate::sources(config));
    loader.look(app::now());
    loader.authorities().store.authorities().for_each(&mut note);
    // What was seen is no secret of the service's role, but need not be readable to it.
    let issued = match store.read().await {
        Ok(mut work) => work.issued().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    for der in issued {
        if let Ok(certificate) = Certificate::from_der(&der) {
            note(&certificate);
        }
    }
    keys.retain(|_, (_, keys)| keys.len() > 1);
    let mut affected: BTreeMap<&[u8], usize> = BTreeMap::new();
    let mut last: Option<(&[u8], Option<Vec<u8>>)> = None;
    let by_name = |row: &&MappingRow| row.pattern.issuer_key_id.is_none();
    for row in rows.mappings.iter().filter(by_name).filter(|_| !keys.is_empty()) {
        let Some(text) = row.pattern.issuer.as_deref() else { continue };
        // The rows of one issuer are read once.
        if last.as_ref().is_none_or(|(known, _)| *known != text) {
            last = Some((text, canonical(text)));
        }
        let name = last.as_ref().and_then(|(_, name)| name.as_deref());
        if let Some((name, _)) = name.and_then(|name| keys.get_key_value(name)) {
            *affected.entry(name).or_default() += 1;
        }
    }
    let finding = |(name, count): (&&[u8], &usize)| {
        let (text, keys) = keys.get(*name)?;
        Some(Finding::warning(
            "issuer-keys",
            format!(
                "{} keys sign as {text}, and {count} mappings name it without issuer_key_id: either \
                 CA can issue for them; add mappings with --issuer CA.pem",
                keys.len()
            ),
        ))
    };
    affected.iter().filter_map(finding).collect()
}

fn canonical(text: &[u8]) -> Option<Vec<u8>> {
    let row = PatternRow { issuer: Some(text.to_vec()), ..PatternRow::default() };
    let pattern = parse_pattern(&row).ok()?;
    match pattern.value(Column::Issuer)? {
        crate::directory::PatternValue::Name(name) => Some(name.to_vec()),
        _ => None,
    }
}
