//! Certificates that were parsed a moment ago.
//!
//! Parsing the same PEM for every request halves the speed, and the same few clients come again
//! and again. What is remembered is only the parse, keyed by all bytes that the parse looks
//! at: nothing that can change, no decision. Each worker has its own, so nobody waits for a lock.
//! Who was kept out is forgotten first, so that strangers push out each other.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::shown::Shown;
use crate::reason::DenyReason;

/// How many certificates one worker remembers.
const MAX_REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// Material longer than this is parsed anew each time, so that one worker's memory stays below
/// 40 MiB even if every client has such a certificate.
const MAX_REMEMBERED_BYTES: usize = 16 * 1024;

/// Parsed certificates by the bytes they were parsed from. It serves one reader: another dialect
/// may read the same bytes otherwise.
#[derive(Debug)]
pub struct Memory {
    parsed: LruCache<Box<[u8]>, Arc<Shown>>,
    parses: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self { parsed: LruCache::new(MAX_REMEMBERED), parses: 0 }
    }
}

impl Memory {
    /// How often something had to be parsed: the dear part of a request.
    #[must_use]
    pub const fn parses(&self) -> u64 {
        self.parses
    }

    /// Whether these bytes need no parse.
    pub(super) fn knows(&self, material: &[u8]) -> bool {
        self.parsed.contains(material)
    }

    /// Makes these bytes the first to be forgotten, or forgets them.
    pub(super) fn set_aside(&mut self, material: &[u8], is_kept: bool) {
        if is_kept {
            self.parsed.demote(material);
        } else {
            self.parsed.pop(material);
        }
    }

    /// The parse of exactly these bytes, which are all that `parse` sees; a failure is not
    /// remembered.
    ///
    /// # Errors
    /// Those of `parse`.
    pub(super) fn recall(
        &mut self,
        material: &[u8],
        parse: impl FnOnce(&[u8]) -> Result<Shown, DenyReason>,
    ) -> Result<Arc<Shown>, DenyReason> {
        if let Some(shown) = self.parsed.get(material) {
            return Ok(Arc::clone(shown));
        }
        self.parses = self.parses.wrapping_add(1);
        let shown = Arc::new(parse(material)?);
        if material.len() <= MAX_REMEMBERED_BYTES {
            self.parsed.put(material.into(), Arc::clone(&shown));
        }
        Ok(shown)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::*;
    use crate::pki::Certificate;
    use crate::pki::forge::Forge;

    #[test]
    fn strangers_push_out_each_other_and_nobody_who_came_in() {
        let der = Forge::default().der(&KeyPair::generate().unwrap());
        let parse = |_: &[u8]| Ok(Shown::from(Certificate::from_der(&der).unwrap()));
        let known = |_: &[u8]| -> Result<Shown, DenyReason> { panic!("she is remembered") };
        let mut memory = Memory::default();
        let full = MAX_REMEMBERED.get() - 1;
        for number in 0..full {
            memory.recall(format!("in {number}").as_bytes(), parse).unwrap();
        }
        let parses = memory.parses();
        for number in 0..2_000 {
            let stranger = format!("out {number}");
            // Coming again changes nothing.
            for _ in 0..2 {
                memory.recall(stranger.as_bytes(), parse).unwrap();
                memory.set_aside(stranger.as_bytes(), true);
            }
        }
        assert_eq!(memory.parses() - parses, 2_000);
        for number in 0..full {
            memory.recall(format!("in {number}").as_bytes(), known).unwrap();
        }
        memory.set_aside(b"in 7", false);
        assert!(!memory.knows(b"in 7") && memory.knows(b"in 8"));
    }
}
