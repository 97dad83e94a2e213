//! Makes the next [`Authorities`] from files. What is bad stays out and is told of; what was good
//! before stays in force.
//!
//! It decides nothing about certificates and never waits for a request; a look at a million entries
//! takes a second or two of its own thread.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::contents::{DEFECT, read_authorities, read_contents};
use super::lists::Taken;
use super::pace::Pacer;
use super::sources::{self, Sources, Stamp};
use super::{Ancestry, Authorities, Lists};
use crate::pki::{
    Certificate, CrlError, Fingerprint, RevocationList, SignedList, TrustStore, UnixTime,
};

/// Reads the files again and again.
#[derive(Debug)]
pub struct Loader {
    sources: Sources,
    /// The CRL files that were seen, those that have gone among them.
    files: BTreeMap<PathBuf, Seen>,
    /// The stamps under which the trust store was read.
    store_stamps: Vec<Option<Stamp>>,
    store_is_settled: bool,
    authorities: Arc<Authorities>,
    /// What is wrong, by file.
    problems: BTreeMap<PathBuf, String>,
    pacer: Pacer,
}

/// What a look found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Looked {
    /// Whether there is something new to publish: lists, certificates, or what is wrong.
    pub is_news: bool,
    /// How many files are newly found to be unusable as they are.
    pub failures: usize,
}

/// A CRL file as it was read last.
#[derive(Debug, Default)]
struct Seen {
    stamp: Option<Stamp>,
    is_settled: bool,
    certificates: Vec<Certificate>,
    /// The lists that it has brought into force, by SHA-256.
    brought: Vec<Fingerprint>,
    /// Whether a list in it is older than one in another file.
    is_superseded: bool,
    retry: Retry,
}

/// When a file is read again although it has not changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Retry {
    /// At each look: time alone will mend it.
    Always,
    /// Not at all.
    #[default]
    Never,
    /// When another issuer's certificate is known.
    WithIssuers,
}

impl Loader {
    /// A loader that has not looked yet.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self {
            sources,
            files: BTreeMap::new(),
            store_stamps: Vec::new(),
            store_is_settled: false,
            authorities: Arc::default(),
            problems: BTreeMap::new(),
            pacer: Pacer::hurried(),
        }
    }

    /// Has it rest between short steps from here on, because requests are answered meanwhile.
    pub fn slow_down(&mut self) {
        self.pacer.slow_down();
    }

    /// How often it has rested.
    #[cfg(test)]
    pub(super) fn rests(&self) -> u64 {
        self.pacer.count()
    }

    /// The value that the last look left.
    #[must_use]
    pub fn authorities(&self) -> &Arc<Authorities> {
        &self.authorities
    }

    /// What is wrong with which file.
    #[must_use]
    pub fn problems(&self) -> &BTreeMap<PathBuf, String> {
        &self.problems
    }

    /// The files and folders that are looked at.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Whether a list in this file is older than one of the same issuer in another.
    #[must_use]
    pub fn is_superseded(&self, path: &Path) -> bool {
        let holds =
            |sha256: &Fingerprint| self.authorities.lists.iter().any(|list| list.sha256 == *sha256);
        self.files
            .get(path)
            .is_some_and(|seen| seen.is_superseded || !seen.brought.iter().all(holds))
    }

    /// Forgets the stamps, so that the next look reads everything anew.
    pub fn forget_stamps(&mut self) {
        self.store_is_settled = false;
        self.files.values_mut().for_each(|seen| seen.is_settled = false);
    }

    /// Reads what has changed.
    pub fn look(&mut self, now: UnixTime) -> Looked {
        self.pacer.begin();
        let before = self.problems.clone();
        let store = self.look_at_store(now);
        let issuers_before = self.issuers_beside();
        let has_new_store = store.is_some();
        let store = store.unwrap_or_else(|| Arc::clone(&self.authorities.store));

        let changed = self.read_changed(now);
        let has_new_issuers = has_new_store || issuers_before != self.issuers_beside();
        let mut lists = self.authorities.lists.clone();
        let mut origins = self.authorities.origins.clone();
        let mut has_new_lists = false;
        for (path, contents) in self.with_retries(changed, has_new_issuers) {
            let brought = self.take_lists(&path, &contents, &store, now, &mut lists);
            has_new_lists |= !brought.is_empty();
            origins.extend(brought.into_iter().map(|sha256| (sha256, path.clone())));
        }
        let has_news = has_new_store || has_new_issuers || has_new_lists;
        if has_news {
            let held: Vec<Fingerprint> = lists.iter().map(|list| list.sha256).collect();
            origins.retain(|sha256, _| held.contains(sha256));
            let generation = self.authorities.generation + u64::from(has_new_store);
            let beside = self.files.values().flat_map(|seen| &seen.certificates);
            let known: Vec<&Certificate> = store.authorities().chain(beside).collect();
            let ancestry = Ancestry::build(&known, &lists);
            let next = Authorities { generation, store, lists, ancestry, origins };
            self.authorities = Arc::new(next);
        }
        let is_new = |(path, why): &(&PathBuf, &String)| before.get(*path) != Some(*why);
        let failures = self.problems.iter().filter(is_new).count();
        Looked { is_news: has_news || before != self.problems, failures }
    }

    /// The issuers' certificates that lie beside the lists.
    fn issuers_beside(&self) -> BTreeSet<Fingerprint> {
        let certificates = self.files.values().flat_map(|seen| &seen.certificates);
        certificates.map(|certificate| certificate.sha256).collect()
    }

    /// Reads the trust store anew if one of its files has changed; none if not, or if it is bad.
    fn look_at_store(&mut self, now: UnixTime) -> Option<Arc<TrustStore>> {
        let paths: Vec<PathBuf> =
            self.sources.anchors.iter().chain(&self.sources.intermediates).cloned().collect();
        let stamps: Vec<Option<Stamp>> = paths.iter().map(|path| Stamp::look(path)).collect();
        let is_first = self.store_stamps.len() != stamps.len();
        if self.store_is_settled && !is_first && stamps == self.store_stamps {
            return None;
        }
        self.store_is_settled = stamps.iter().flatten().all(|stamp| stamp.is_settled(now));
        self.store_stamps = stamps;
        paths.iter().for_each(|path| drop(self.problems.remove(path)));
        let read = |paths: &[PathBuf]| -> Result<Vec<Certificate>, (PathBuf, String)> {
            let mut all = Vec::new();
            for path in paths {
                all.extend(read_authorities(path).map_err(|why| (path.clone(), why))?);
            }
            Ok(all)
        };
        let store = read(&self.sources.anchors)
            .and_then(|anchors| Ok((anchors, read(&self.sources.intermediates)?)))
            .and_then(|(anchors, between)| {
                let first = paths.first().cloned().unwrap_or_default();
                TrustStore::new(anchors, between).map_err(|error| (first, error.to_string()))
            });
        match store {
            Ok(store) => {
                let old: Vec<_> = self.authorities.store.authorities().collect();
                let is_same = old.iter().copied().eq(store.authorities())
                    && self.authorities.store.anchors().len() == store.anchors().len();
                (!is_same).then(|| Arc::new(store))
            }
            Err((path, why)) => {
                self.problems.insert(path, why);
                None
            }
        }
    }

    /// The contents of the CRL files that are new or have changed.
    fn read_changed(&mut self, now: UnixTime) -> BTreeMap<PathBuf, Vec<Vec<u8>>> {
        let mut there = Vec::new();
        for path in &self.sources.crl {
            match sources::files_of(path) {
                Ok(files) => {
                    self.problems.remove(path);
                    there.extend(files);
                }
                Err(error) => drop(self.problems.insert(path.clone(), error.to_string())),
            }
        }
        self.miss(&there);
        let mut changed = BTreeMap::new();
        for path in there {
            let seen = self.files.entry(path.clone()).or_default();
            let stamp = Stamp::look(&path);
            if seen.is_settled && seen.stamp.is_some() && seen.stamp == stamp {
                continue;
            }
            match read_contents(&path, &mut || self.pacer.pause()) {
                Ok((contents, stamp)) => {
                    self.problems.remove(&path);
                    seen.stamp = Some(stamp);
                    seen.is_settled = stamp.is_settled(now);
                    seen.certificates = contents.certificates;
                    changed.insert(path, contents.lists);
                }
                Err(why) => {
                    seen.stamp = stamp;
                    seen.is_settled = stamp.is_some_and(|stamp| stamp.is_settled(now));
                    self.problems.insert(path, why);
                }
            }
        }
        changed
    }

    /// A file that has gone takes nothing with it: a revocation must not be lost by clearing up.
    fn miss(&mut self, there: &[PathBuf]) {
        for (path, seen) in &mut self.files {
            if there.contains(path) {
                continue;
            }
            if seen.brought.is_empty() && seen.certificates.is_empty() {
                self.problems.remove(path);
            } else {
                self.problems.insert(path.clone(), GONE.to_owned());
            }
            seen.stamp = None;
        }
    }

    /// Adds the files whose lists could not be verified and now might be.
    fn with_retries(
        &mut self,
        mut changed: BTreeMap<PathBuf, Vec<Vec<u8>>>,
        has_new_issuers: bool,
    ) -> BTreeMap<PathBuf, Vec<Vec<u8>>> {
        for (path, seen) in &self.files {
            let again = match seen.retry {
                Retry::Always => true,
                Retry::Never => false,
                Retry::WithIssuers => has_new_issuers,
            };
            if again
                && !changed.contains_key(path)
                && let Ok((contents, _)) = read_contents(path, &mut || self.pacer.pause())
            {
                changed.insert(path.clone(), contents.lists);
            }
        }
        changed
    }

    /// Verifies the lists of one file and takes in those that count; what it brought.
    fn take_lists(
        &mut self,
        path: &Path,
        ders: &[Vec<u8>],
        store: &TrustStore,
        now: UnixTime,
        lists: &mut Lists,
    ) -> Vec<Fingerprint> {
        let beside: Vec<Certificate> =
            self.files.values().flat_map(|seen| seen.certificates.iter().cloned()).collect();
        let issuers = || store.authorities().chain(&beside);
        let brought_before = self.files.get(path).map(|seen| seen.brought.clone());
        let brought_before = brought_before.unwrap_or_default();
        let mut brought = Vec::new();
        let mut in_force = Vec::new();
        let mut retry = Retry::Never;
        let mut is_superseded = false;
        let mut wrong = None;
        for der in ders {
            let sha256 = Fingerprint::of_in_steps(der, &mut || self.pacer.pause());
            if lists.iter().any(|held| held.sha256 == sha256) {
                in_force.push(sha256);
                continue;
            }
            match verify(der, issuers(), now, &mut || self.pacer.pause()) {
                Ok(list) => {
                    let list = Arc::new(list);
                    let held = lists.held(&list);
                    let own = held.is_some_and(|held| brought_before.contains(&held.sha256));
                    match lists.take(list) {
                        Taken::InForce => brought.push(sha256),
                        // Of two files with the same issuer's list, the newer one counts. But one
                        // file must not go back: that is how a revocation would be undone.
                        Taken::Older if own => {
                            in_force.extend(&brought_before);
                            wrong = Some(OLDER.to_owned());
                        }
                        Taken::Older => is_superseded = true,
                    }
                }
                Err(refused) => {
                    retry = refused.retry(retry);
                    in_force.extend(&brought_before);
                    wrong = Some(refused.why);
                }
            }
        }
        if let Some(seen) = self.files.get_mut(path) {
            seen.retry = retry;
            seen.is_superseded = is_superseded;
            seen.brought = in_force;
            seen.brought.extend(&brought);
        }
        match wrong {
            Some(why) => drop(self.problems.insert(path.to_owned(), why)),
            None => drop(self.problems.remove(path)),
        }
        brought
    }
}

/// A list that was not taken in.
struct Refused {
    why: String,
    error: Option<CrlError>,
}

impl Refused {
    fn retry(&self, other: Retry) -> Retry {
        match (&self.error, other) {
            (Some(CrlError::FromTheFuture { .. }), _) | (_, Retry::Always) => Retry::Always,
            (Some(CrlError::NoIssuer | CrlError::Signature | CrlError::IssuerMayNotSign), _)
            | (_, Retry::WithIssuers) => Retry::WithIssuers,
            _ => Retry::Never,
        }
    }
}

/// Verifies one list. A defect of the reader must not end the thread that watches the files.
fn verify<'c>(
    der: &[u8],
    issuers: impl Iterator<Item = &'c Certificate> + Clone,
    now: UnixTime,
    pause: &mut dyn FnMut(),
) -> Result<RevocationList, Refused> {
    let verified = catch_unwind(AssertUnwindSafe(|| {
        let signed = SignedList::from_der(der).map_err(|error| (String::new(), error))?;
        signed
            .verify_in_steps(issuers, now, pause)
            .map_err(|error| (format!("{}: ", signed.issuer_text()), error))
    }));
    match verified {
        Ok(Ok(list)) => Ok(list),
        Ok(Err((of, error))) => Err(Refused { why: format!("{of}{error}"), error: Some(error) }),
        Err(_) => Err(Refused { why: DEFECT.to_owned(), error: None }),
    }
}

const OLDER: &str = "the CRL is older than the one in force; going back is refused";
const GONE: &str = "the file is gone; what it said stays in force until a restart";
