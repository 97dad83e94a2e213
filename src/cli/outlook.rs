//! What the configured CRLs would say of the certificates that the database knows, before they say
//! it to people: the first list of one CA can lock out those of another.
//!
//! It only reads, with the code that answers nginx, and changes no exit code: that somebody is
//! revoked is what a list is for.

use std::collections::BTreeMap;

use serde::Serialize;

use super::crl;
use super::output::{Printer, Table};
use crate::app;
use crate::config::Config;
use crate::decide::{Lockout, TrustPolicy, foresee};
use crate::directory::KnownCertificate;
use crate::explain::Problem;
use crate::pki::{RevocationList, UnixTime};
use crate::revocation::{Authorities, Loader};
use crate::store::{Open, Store, StoreError};

/// How many certificates are named; the counts are of all.
const NAMED_MAX: usize = 20;

/// What `certgate config check` says of the CRLs; nothing where none is configured.
#[derive(Debug, Serialize)]
pub(super) struct Outlook {
    lists: usize,
    unusable_files: Vec<Problem>,
    /// Why the database could not be read, so that nothing is counted.
    database_error: Option<String>,
    mappings: Option<Count>,
}

/// The mappings that are bound to issuer and serial, by what the lists say.
#[derive(Debug, Default, Serialize)]
struct Count {
    bound_to_serial: usize,
    would_be_denied: usize,
    /// Not counted: not in force, or bound to something else than a serial.
    others: usize,
    /// Not counted: rows that cannot be read.
    unreadable: usize,
    reasons: Vec<Reason>,
    named: Vec<Named>,
}

/// One cause, and how many it would deny.
#[derive(Debug, Serialize)]
struct Reason {
    code: &'static str,
    why: String,
    count: usize,
}

/// Somebody who would be denied.
#[derive(Debug, Serialize)]
struct Named {
    username: String,
    issuer: String,
    serial: String,
    why: String,
}

impl Outlook {
    /// Reads the CRLs, then the database; one that is not there is told of and not made.
    pub(super) fn look(config: &Config, now: UnixTime) -> anyhow::Result<Option<Self>> {
        if config.revocation.crl.is_empty() {
            return Ok(None);
        }
        let loader = crl::read(config, now);
        let work = count(config, loader.authorities(), now);
        let counted = super::runtime()?.block_on(work);
        let (mappings, database_error) = match counted {
            Ok(count) => (Some(count), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(Some(Self {
            lists: loader.authorities().lists.iter().count(),
            unusable_files: problems(&loader),
            database_error,
            mappings,
        }))
    }

    /// For people: the files first, then the counts, then names.
    pub(super) fn print(&self, printer: &mut Printer<'_>) -> anyhow::Result<()> {
        for problem in &self.unusable_files {
            let (file, why) = (problem.file.display(), &problem.why);
            printer.line(&format!("cannot be used: {file}: {why}"))?;
        }
        if let Some(error) = &self.database_error {
            let said = "whom the CRLs would deny is not known: the database cannot be read";
            printer.line(&format!("{said}: {error}"))?;
        }
        match &self.mappings {
            Some(count) => count.print(printer),
            None => Ok(()),
        }
    }
}

impl Count {
    fn add(&mut self, known: KnownCertificate, lockout: Option<String>) {
        self.bound_to_serial += 1;
        let Some(why) = lockout else { return };
        self.would_be_denied += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(Named {
                username: known.username,
                issuer: known.issuer.to_string(),
                serial: known.serial.to_string(),
                why,
            });
        }
    }

    fn print(&self, printer: &mut Printer<'_>) -> anyhow::Result<()> {
        let (denied, all) = (self.would_be_denied, self.bound_to_serial);
        printer.line(&format!("{denied} of {all} mappings bound to a serial would be denied"))?;
        for Reason { why, count, .. } in &self.reasons {
            printer.line(&format!("  {count}: {why}"))?;
        }
        if self.others > 0 {
            let others = self.others;
            printer.line(&format!(
                "not counted: {others} mappings that are not in force or name no serial"
            ))?;
        }
        if self.unreadable > 0 {
            printer.line(&format!("not counted: {} rows that cannot be read", self.unreadable))?;
        }
        if self.named.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&["user", "issuer", "serial", "why"]);
        for one in &self.named {
            let Named { username, issuer, serial, why } = one;
            table.row([username.clone(), issuer.clone(), serial.clone(), why.clone()]);
        }
        printer.table(&table)?;
        match denied - self.named.len() {
            0 => Ok(()),
            more => printer.line(&format!("and {more} more")),
        }
    }
}

/// What the lists say of every certificate that the database knows by issuer and serial: those of
/// the mappings. Whatever else it comes to know of certificates is read and added here.
async fn count(
    config: &Config,
    authorities: &Authorities,
    now: UnixTime,
) -> Result<Count, StoreError> {
    let store = Store::open(&app::database_url(config)?, Open::Existing).await?;
    let policy = app::gate::policy(config).trust;
    let mut count = Count::default();
    let mut reasons: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
    let read = store.each_mapping(|row| match KnownCertificate::of_mapping(&row, now) {
        Ok(Some(known)) => {
            let lockout = foresee(&known, authorities, &policy, now).err();
            let why = lockout.map(|lockout| text(&lockout, &known, authorities, &policy));
            if let (Some(lockout), Some(why)) = (&lockout, &why) {
                *reasons.entry((lockout.reason().code(), why.clone())).or_default() += 1;
            }
            count.add(known, why);
        }
        Ok(None) => count.others += 1,
        Err(_) => count.unreadable += 1,
    });
    let read = read.await;
    store.close().await;
    read?;
    count.reasons =
        reasons.into_iter().map(|((code, why), count)| Reason { code, why, count }).collect();
    count.reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    Ok(count)
}

fn text(
    lockout: &Lockout<'_>,
    known: &KnownCertificate,
    authorities: &Authorities,
    policy: &TrustPolicy,
) -> String {
    let list = |list: &RevocationList| {
        let number = list.number.as_ref().map_or("without a number".into(), ToString::to_string);
        let file = authorities.origins.get(&list.sha256);
        let file = file.map(|file| format!(", {}", file.display())).unwrap_or_default();
        format!("CRL {number} of {}{file}", list.issuer)
    };
    match lockout {
        Lockout::AuthorityRevoked => format!("the CA {} is revoked", known.issuer),
        Lockout::Expired(expired) => {
            let grace = policy.revocation.as_ref().map(|policy| policy.grace).unwrap_or_default();
            let grace = humantime::format_duration(grace);
            let (list, until) = (list(expired), expired.next_update);
            format!("{list} ended {until} (revocation.expired = deny, grace {grace})")
        }
        Lockout::Listed(listed, _) => format!("revoked by {}", list(listed)),
        Lockout::NoList => format!("no CRL of {} (revocation.unknown = deny)", known.issuer),
        Lockout::NoListOfAuthority => {
            format!("no current CRL about the CA {} itself, or one above it", known.issuer)
        }
    }
}

fn problems(loader: &Loader) -> Vec<Problem> {
    let problems = loader.problems().iter();
    problems.map(|(file, why)| Problem { file: file.clone(), why: why.clone() }).collect()
}
