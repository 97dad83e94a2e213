//! Certificates that were parsed a moment ago.
//!
//! Parsing the same PEM for every request halves the speed, and the same few clients come again
//! and again. What is remembered is only the parse, keyed by all bytes that the parse looks
//! at: nothing that can change, no decision. Each worker has its own, so nobody waits for a lock.
//! Who was kept out is forgotten first, so that strangers push out each other.
//!
//! Hashing a whole certificate costs more than comparing two. So those that come again and again
//! have a shortcut: a place chosen by a few of their bytes, where all of them are compared. Who is
//! found there does not count as used otherwise, which costs a parse now and then; a stranger who
//! comes again can take a place there, which costs its owner a hash.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::shown::Shown;
use crate::reason::DenyReason;

/// How many certificates one worker remembers.
const MAX_REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// Material longer than this is parsed anew each time, so that one worker's memory stays below
/// 50 MiB even if every client has such a certificate.
const MAX_REMEMBERED_BYTES: usize = 16 * 1024;

/// Places for shortcuts: two certificates that share one push out each other, and are hashed.
const SHORTCUTS: usize = 256;

/// Parsed certificates by the bytes they were parsed from. It serves one reader: another dialect
/// may read the same bytes otherwise.
#[derive(Debug)]
pub struct Memory {
    parsed: LruCache<Arc<[u8]>, Arc<Shown>>,
    shortcuts: Box<[Option<Shortcut>]>,
    parses: u64,
}

/// What is remembered, where it is found without hashing it.
#[derive(Clone, Debug)]
struct Shortcut {
    material: Arc<[u8]>,
    shown: Arc<Shown>,
}

impl Default for Memory {
    fn default() -> Self {
        let shortcuts = std::iter::repeat_n(None, SHORTCUTS).collect();
        Self { parsed: LruCache::new(MAX_REMEMBERED), shortcuts, parses: 0 }
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
        self.shortcut(material).is_some() || self.parsed.contains(material)
    }

    /// Makes these bytes the first to be forgotten, or forgets them.
    pub(super) fn set_aside(&mut self, material: &[u8], is_kept: bool) {
        if self.shortcut(material).is_some()
            && let Some(place) = self.shortcuts.get_mut(place_of(material))
        {
            *place = None;
        }
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
        if let Some(shown) = self.shortcut(material) {
            return Ok(Arc::clone(shown));
        }
        if let Some((material, shown)) = self.parsed.get_key_value(material) {
            // Whoever comes once has no shortcut, and takes nobody's.
            if let Some(place) = self.shortcuts.get_mut(place_of(material)) {
                *place =
                    Some(Shortcut { material: Arc::clone(material), shown: Arc::clone(shown) });
            }
            return Ok(Arc::clone(shown));
        }
        self.parses = self.parses.wrapping_add(1);
        let shown = Arc::new(parse(material)?);
        if material.len() <= MAX_REMEMBERED_BYTES {
            self.parsed.put(material.into(), Arc::clone(&shown));
        }
        Ok(shown)
    }

    fn shortcut(&self, material: &[u8]) -> Option<&Arc<Shown>> {
        let shortcut = self.shortcuts.get(place_of(material))?.as_ref()?;
        (*shortcut.material == *material).then_some(&shortcut.shown)
    }
}

/// A place for a shortcut, by a few bytes all over the material: what holds for many certificates
/// stands in some of them only. A place tells nothing; all bytes are compared there.
fn place_of(material: &[u8]) -> usize {
    /// 2^64 divided by the golden ratio, odd: what differs in any bit ends up elsewhere.
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let taken = (1..8).fold(0, |mixed: u64, eighth| {
        let bytes = material.get(material.len() / 8 * eighth..).and_then(<[u8]>::first_chunk);
        (mixed ^ bytes.copied().map_or(0, u64::from_le_bytes)).wrapping_mul(GOLDEN)
    });
    usize::try_from(taken >> (u64::BITS - SHORTCUTS.ilog2())).unwrap_or_default()
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

    /// Material in which the bytes that choose a place are always the same.
    fn alike(number: u32) -> Vec<u8> {
        let mut material = vec![b'x'; 800];
        let bytes = number.to_le_bytes();
        material.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        material
    }

    #[test]
    fn a_shortcut_leads_to_exactly_these_bytes_and_to_nobody_who_was_set_aside() {
        let key = KeyPair::generate().unwrap();
        let serial =
            |number: u32| Forge { serial: number.to_be_bytes().to_vec(), ..Forge::default() };
        let parse = |material: &[u8]| {
            let number = u32::from_le_bytes(*material.first_chunk().unwrap());
            Ok(Shown::from(Certificate::from_der(&serial(number).der(&key)).unwrap()))
        };
        let mut memory = Memory::default();
        let (alice, bob) = (alike(0x0101_0101), alike(0x0202_0202));
        assert_eq!(place_of(&alice), place_of(&bob), "what the test is about");
        for _ in 0..3 {
            for material in [&alice, &bob, &bob] {
                let shown = memory.recall(material, parse).unwrap();
                let expected = parse(material).unwrap();
                assert_eq!(shown.certificate.serial, expected.certificate.serial);
            }
        }
        assert_eq!(memory.parses(), 2);
        assert!(memory.shortcut(&bob).is_some() && memory.shortcut(&alice).is_none());
        memory.recall(&alike(0x0303_0303), parse).unwrap();
        assert!(memory.shortcut(&bob).is_some(), "who came once takes no place");
        memory.set_aside(&alice, false);
        assert!(memory.shortcut(&bob).is_some() && !memory.knows(&alice));
        memory.set_aside(&bob, true);
        assert!(memory.shortcut(&bob).is_none() && memory.knows(&bob));
        memory.set_aside(&bob, false);
        assert!(!memory.knows(&bob));
    }
}
