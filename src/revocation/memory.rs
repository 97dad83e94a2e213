//! Chains that were verified a moment ago.
//!
//! Verifying takes a signature or two, far longer than a decision. What is remembered is that a
//! certificate, by all of its bytes, has a verified chain under one set of anchors; never a failure,
//! never a decision. The chain's validity is looked at again each time. Each worker has its own.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use crate::pki::{Certificate, Chain, ChainError, Fingerprint, TrustStore, UnixTime};

/// How many chains one worker remembers: as many as it remembers certificates. A chain has about
/// 1 KiB, so that this is about 1 MiB.
const MAX_REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// Verified chains by the SHA-256 of their first certificate.
#[derive(Debug)]
pub struct ChainMemory(RefCell<LruCache<Fingerprint, (u64, Arc<Chain>)>>);

impl Default for ChainMemory {
    fn default() -> Self {
        Self(RefCell::new(LruCache::new(MAX_REMEMBERED)))
    }
}

impl ChainMemory {
    /// The chain of this certificate under the store of this generation, verified now or before.
    ///
    /// # Errors
    /// Those of [`TrustStore::verify`].
    pub fn verify(
        &self,
        store: &TrustStore,
        generation: u64,
        leaf: &Certificate,
        sent: &[Certificate],
        now: UnixTime,
    ) -> Result<Arc<Chain>, ChainError> {
        if let Some((under, chain)) = self.0.borrow_mut().get(&leaf.sha256)
            && *under == generation
            && chain.validity.holds_at(now)
        {
            return Ok(Arc::clone(chain));
        }
        let chain = Arc::new(store.verify(leaf, sent, now)?);
        self.0.borrow_mut().put(leaf.sha256, (generation, Arc::clone(&chain)));
        Ok(chain)
    }
}
