//! What the CAs say of one certificate: its chain and its revocation, as the decision asks it.

use std::path::PathBuf;

use serde::Serialize;

use crate::decide::{Chains, Policy, subjects};
use crate::pki::{Chain, RevocationList, UnixTime};
use crate::proxy::Shown;
use crate::revocation::{Authorities, Status, is_current};

/// What the CAs say of one certificate, for `certgate explain`.
#[derive(Debug, Serialize)]
pub struct TrustFacts {
    chain: Option<ChainFacts>,
    revocation: Vec<RevocationFacts>,
    unusable_files: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct ChainFacts {
    verified: bool,
    anchor: Option<String>,
    anchor_sha256: Option<String>,
    why: Option<String>,
}

#[derive(Debug, Serialize)]
struct RevocationFacts {
    issuer: String,
    serial: String,
    status: &'static str,
    reason: Option<&'static str>,
    crl: Option<ListFacts>,
}

impl TrustFacts {
    /// Asks what a decision asks, one thing after the other.
    #[must_use]
    pub fn new(
        shown: &Shown,
        known: &Authorities,
        unusable_files: &[Problem],
        policy: &Policy,
        now: UnixTime,
    ) -> Self {
        let verified = (policy.trust.chains == Chains::Verified)
            .then(|| known.store.verify(&shown.certificate, &shown.chain, now));
        let chain = verified.as_ref().and_then(|verified| verified.as_ref().ok());
        Self {
            chain: verified.as_ref().map(|verified| match verified {
                Ok(chain) => ChainFacts {
                    verified: true,
                    anchor: Some(chain.anchor.to_string()),
                    anchor_sha256: Some(chain.anchor_sha256.to_string()),
                    why: None,
                },
                Err(error) => ChainFacts {
                    verified: false,
                    anchor: None,
                    anchor_sha256: None,
                    why: Some(error.to_string()),
                },
            }),
            revocation: revocation(shown, chain, known, policy, now),
            unusable_files: unusable_files.to_vec(),
        }
    }

    /// One line each, for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(chain) = &self.chain {
            lines.push(match (&chain.anchor, &chain.why) {
                (Some(anchor), _) => format!("chain: ends in the anchor {anchor}"),
                (None, why) => format!("chain: {}", why.as_deref().unwrap_or("none")),
            });
        }
        for one in &self.revocation {
            let crl = one.crl.as_ref().map_or("no CRL of this issuer".to_owned(), |crl| {
                let number = crl.number.as_deref().unwrap_or("without a number");
                let file = crl.file.as_ref().map(|file| file.display().to_string());
                format!(
                    "CRL {number} of {}, {} until {}, {}",
                    crl.issuer,
                    crl.state,
                    crl.next_update,
                    file.unwrap_or_default()
                )
            });
            let reason = one.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            lines.push(format!("serial {}: {}{reason} by {crl}", one.serial, one.status));
        }
        for problem in &self.unusable_files {
            lines.push(format!("cannot be used: {}: {}", problem.file.display(), problem.why));
        }
        lines
    }
}

fn revocation(
    shown: &Shown,
    chain: Option<&Chain>,
    known: &Authorities,
    policy: &Policy,
    now: UnixTime,
) -> Vec<RevocationFacts> {
    let Some(checked) = &policy.trust.revocation else {
        return Vec::new();
    };
    let facts = |list: &RevocationList| Some(ListFacts::new(list, known, now, policy));
    subjects(shown, chain)
        .map(|subject| {
            let status = known.lists.status(&subject, now, checked.grace);
            let (status, reason, crl) = match status {
                Status::Expired(list) => ("not known", None, facts(list)),
                Status::Good(list) => ("not revoked", None, facts(list)),
                Status::Revoked(list, why) => ("revoked", Some(why.as_str()), facts(list)),
                Status::Unknown => ("not known", None, None),
            };
            let (issuer, serial) = (subject.issuer.to_string(), subject.serial.to_string());
            RevocationFacts { issuer, serial, status, reason, crl }
        })
        .collect()
}

/// A list, for people and programs.
#[derive(Debug, Serialize)]
pub struct ListFacts {
    /// Whose it is.
    pub issuer: String,
    /// Its number, if it has one.
    pub number: Option<String>,
    /// When it was made.
    pub this_update: String,
    /// When the next one is due.
    pub next_update: String,
    /// How many certificates it revokes.
    pub entries: usize,
    /// `current`, `in grace` or `expired`.
    pub state: &'static str,
    /// Where it was read from.
    pub file: Option<PathBuf>,
    /// Its fingerprint.
    pub sha256: String,
}

impl ListFacts {
    /// The facts of a list among those that are known.
    #[must_use]
    pub fn new(list: &RevocationList, known: &Authorities, now: UnixTime, policy: &Policy) -> Self {
        let grace = policy.trust.revocation.as_ref().map(|policy| policy.grace).unwrap_or_default();
        Self {
            issuer: list.issuer.to_string(),
            number: list.number.as_ref().map(ToString::to_string),
            this_update: list.this_update.to_string(),
            next_update: list.next_update.to_string(),
            entries: list.len(),
            state: match (now <= list.next_update, is_current(list, now, grace)) {
                (true, _) => "current",
                (false, true) => "in grace",
                (false, false) => "expired",
            },
            file: known.origins.get(&list.sha256).cloned(),
            sha256: list.sha256.to_string(),
        }
    }
}

/// A file that cannot be used.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// Which.
    pub file: PathBuf,
    /// Why not.
    pub why: String,
}
