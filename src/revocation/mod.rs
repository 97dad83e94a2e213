//! What is known of the CAs: whose chains are trusted, and which certificates they have revoked.
//!
//! [`Authorities`] is one immutable value that a decision reads without waiting; [`Loader`] makes the
//! next one from files, off the request threads, and [`watch`] tells it when to look. Nothing is ever
//! fetched from a network: a URL in a certificate is its holder's or CA's word, and following it
//! would let strangers make this service connect. `deploy/fetch-crl` fetches what an operator names.

mod ancestry;
mod contents;
mod lists;
mod loader;
mod memory;
mod notice;
mod pace;
mod sources;
#[cfg(test)]
mod tests;
pub mod watch;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::pki::{Fingerprint, TrustStore};

pub use self::ancestry::Ancestry;
pub use self::lists::{IssuerKey, Lists, Status, Subject, is_current};
pub use self::loader::{Loader, Looked};
pub use self::memory::ChainMemory;
pub use self::sources::Sources;

/// Everything known of the CAs at one moment.
#[derive(Debug, Default)]
pub struct Authorities {
    /// Counts the trust stores: a chain that was verified under one may not hold under another.
    pub generation: u64,
    /// Whom a chain may end in.
    pub store: Arc<TrustStore>,
    /// What is revoked.
    pub lists: Lists,
    /// Which known CAs are themselves revoked.
    pub ancestry: Ancestry,
    /// The file in which a list was found, by the list's SHA-256; for people.
    pub origins: HashMap<Fingerprint, PathBuf>,
}

/// Where the current value is found; reading never waits.
#[derive(Debug, Default)]
pub struct Published {
    current: ArcSwap<Authorities>,
    problems: ArcSwap<Vec<PathBuf>>,
}

impl Published {
    /// The value that holds at this moment.
    pub fn current(&self) -> Guard<Arc<Authorities>> {
        self.current.load()
    }

    /// The files that could not be used at the last look; what they said before still holds.
    pub fn problems(&self) -> Arc<Vec<PathBuf>> {
        self.problems.load_full()
    }

    /// Publishes what a loader has.
    pub fn publish(&self, loader: &Loader) {
        self.current.store(Arc::clone(loader.authorities()));
        self.problems.store(Arc::new(loader.problems().keys().cloned().collect()));
    }
}
