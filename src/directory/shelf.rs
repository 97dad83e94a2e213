//! Packed records found by hash: compact, and cheap to copy and change.
//!
//! A shelf is cut into shards; a copy shares all of them with the original, and a change copies
//! the shard it touches. So a directory of a million rows has a next version at the cost of a few
//! shards, while readers go on with the one they hold. It must not look into a record.

use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::IterHash;

/// Shards of a shelf, a power of two: a million rows make about a thousand in each, which is
/// whose places are copied in a few microseconds; an empty shelf costs a few pages.
const SHARDS: usize = 1024;
/// Bits of a hash that choose the shard: the upper ones.
pub(super) const SHARD_BITS: u32 = SHARDS.ilog2();
/// Bits of a place that say where in its block a record begins.
const BLOCK_BITS: u32 = 12;
/// Bytes of a block: a page less what counts its owners. All blocks have one size, so that the room
/// of a directory that is gone fits the next one; a longer record has a block of its own.
const BLOCK: usize = (1 << BLOCK_BITS) - 2 * size_of::<usize>();
/// A shard is copied together once this part of it is left over from removed records.
const MAX_WASTE: usize = 4;
/// Bytes before a record: its hash and its length.
const HEAD: usize = 8;

/// Records by a hash of 32 bits; records of one hash stand side by side.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    shards: Box<[Arc<Shard>]>,
    count: usize,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    /// Hash, length, record; one after the other. Versions share the blocks.
    blocks: Vec<Arc<[u8]>>,
    /// Bytes of the last block that are taken.
    filled: usize,
    /// Where the records begin: the number of the block, then where in it.
    places: HashTable<u32>,
    /// Bytes of all records, and of those that were removed.
    used: usize,
    waste: usize,
}

impl Default for Shelf {
    fn default() -> Self {
        let empty = Arc::new(Shard::default());
        Self { shards: std::iter::repeat_n(empty, SHARDS).collect(), count: 0 }
    }
}

impl Shelf {
    /// How many records there are.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// The records of this hash.
    pub(super) fn find(&self, hash: u32) -> Records<'_> {
        self.shards.get(place_of(hash)).map_or(Records::NONE, |shard| shard.find(hash))
    }

    /// Every record, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// Puts a record beside those of its hash. False, and nothing is put, only where a shard is
    /// full at 4 GiB.
    #[must_use]
    pub(super) fn insert(&mut self, hash: u32, record: &[u8]) -> bool {
        let shard = self.shards.get_mut(place_of(hash)).map(Arc::make_mut);
        let is_put = shard.is_some_and(|shard| shard.insert(hash, record));
        self.count += usize::from(is_put);
        is_put
    }

    /// Takes away the first record of this hash of which it is said, and returns it.
    pub(super) fn remove(
        &mut self,
        hash: u32,
        mut is: impl FnMut(&[u8]) -> bool,
    ) -> Option<Vec<u8>> {
        let shard = self.shards.get_mut(place_of(hash))?;
        // Looked up before anything is copied.
        let record = shard.find(hash).find(|record| is(record))?.to_vec();
        Arc::make_mut(shard).remove(hash, &record);
        self.count -= 1;
        Some(record)
    }
}

impl Shard {
    fn find(&self, hash: u32) -> Records<'_> {
        Records { hash, places: Some(self.places.iter_hash(spread(hash))), blocks: &self.blocks }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().filter_map(|place| self.at(*place)).map(|(_, record)| record)
    }

    fn at(&self, place: u32) -> Option<(u32, &[u8])> {
        at(&self.blocks, place)
    }

    fn insert(&mut self, hash: u32, record: &[u8]) -> bool {
        let Ok(length) = u32::try_from(record.len()) else { return false };
        let needed = HEAD + record.len();
        if self.blocks.last().is_none_or(|last| last.len() - self.filled < needed) {
            self.blocks.push(std::iter::repeat_n(0, needed.max(BLOCK)).collect());
            self.filled = 0;
        }
        let number = u32::try_from(self.blocks.len() - 1).ok();
        let number = number.filter(|number| *number < 1 << (u32::BITS - BLOCK_BITS));
        let Some((number, block)) = number.zip(self.blocks.last_mut()) else { return false };
        let Ok(start) = u32::try_from(self.filled) else { return false };
        let room = Arc::make_mut(block).get_mut(self.filled..self.filled + needed);
        let Some((head, body)) = room.and_then(|room| room.split_first_chunk_mut::<HEAD>()) else {
            return false;
        };
        *head = (u64::from(length) << u32::BITS | u64::from(hash)).to_le_bytes();
        body.copy_from_slice(record);
        self.filled += needed;
        self.used += needed;
        let place = (number << BLOCK_BITS) | start;
        let blocks = &self.blocks;
        let hash_of = |place: &u32| at(blocks, *place).map_or(0, |(hash, _)| spread(hash));
        self.places.insert_unique(spread(hash), place, hash_of);
        true
    }

    /// Takes away one record that is equal to this one.
    fn remove(&mut self, hash: u32, record: &[u8]) {
        let blocks = &self.blocks;
        let is = |place: &u32| at(blocks, *place) == Some((hash, record));
        let Ok(entry) = self.places.find_entry(spread(hash), is) else { return };
        entry.remove();
        self.waste += HEAD + record.len();
        if self.waste * MAX_WASTE > self.used {
            *self = self.packed();
        }
    }

    /// The same records without what is left over.
    fn packed(&self) -> Self {
        let places = HashTable::with_capacity(self.places.len());
        let mut packed = Self { places, ..Self::default() };
        for (hash, record) in self.places.iter().filter_map(|place| self.at(*place)) {
            packed.insert(hash, record);
        }
        packed
    }
}

/// The records of one hash. A request walks it once or twice, so it is written as a plain loop: the
/// library's adapters, one in the other, cost more than what they look for.
#[derive(Debug)]
pub(super) struct Records<'s> {
    hash: u32,
    places: Option<IterHash<'s, u32>>,
    blocks: &'s [Arc<[u8]>],
}

impl Records<'_> {
    /// No records at all.
    pub(super) const NONE: Self = Self { hash: 0, places: None, blocks: &[] };
}

impl<'s> Iterator for Records<'s> {
    type Item = &'s [u8];

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let place = self.places.as_mut()?.next()?;
            if let Some((hash, record)) = at(self.blocks, *place)
                && hash == self.hash
            {
                return Some(record);
            }
        }
    }
}

fn at(blocks: &[Arc<[u8]>], place: u32) -> Option<(u32, &[u8])> {
    /// The bits of a place that [`BLOCK_BITS`] counts.
    const START: u32 = (1 << BLOCK_BITS) - 1;
    let block = blocks.get(usize::try_from(place >> BLOCK_BITS).ok()?)?;
    let rest = block.get(usize::try_from(place & START).ok()?..)?;
    let (hash, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let record = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((u32::from_le_bytes(*hash), record))
}

fn place_of(hash: u32) -> usize {
    usize::try_from(hash >> (u32::BITS - SHARD_BITS)).unwrap_or(0)
}

/// A table of hashes wants all of 64 bits; in a shard the upper ones of a hash are all the same.
pub(super) fn spread(hash: u32) -> u64 {
    /// 2^64 divided by the golden ratio, odd: neighbours end up far from each other.
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    u64::from(hash).wrapping_mul(GOLDEN)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::Shelf;

    /// The records of a hash, sorted.
    fn found(shelf: &Shelf, hash: u32) -> Vec<Vec<u8>> {
        let mut found: Vec<_> = shelf.find(hash).map(<[u8]>::to_vec).collect();
        found.sort_unstable();
        found
    }

    /// Mostly short; some that share a block with few others, and some longer than a block.
    fn record() -> impl Strategy<Value = Vec<u8>> {
        let bytes = |sizes| prop::collection::vec(any::<u8>(), sizes);
        prop_oneof![8 => bytes(0..40), 2 => bytes(1000..3000), 1 => bytes(4000..9000)]
    }

    proptest! {
        /// Few hashes and few shards, so that records meet.
        #[test]
        fn a_shelf_holds_what_was_put_and_not_what_was_taken(
            steps in prop::collection::vec(
                (any::<bool>(), 0..6_u32, record()), 0..100),
        ) {
            let mut shelf = Shelf::default();
            let mut model: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
            let mut versions = Vec::new();
            for (is_put, hash, record) in steps {
                // Three hashes in one shard, three in another.
                let hash = hash % 3 + hash / 3 * 0x8000_0000;
                let records = model.entry(hash).or_default();
                if is_put {
                    prop_assert!(shelf.insert(hash, &record));
                    records.push(record);
                } else if let Some(first) = records.first().cloned() {
                    records.remove(0);
                    prop_assert_eq!(shelf.remove(hash, |other| other == first), Some(first));
                } else {
                    prop_assert_eq!(shelf.remove(hash, |_| true), None);
                }
                versions.push((shelf.clone(), model.clone()));
            }
            // Every version that was ever there is still what it was.
            for (shelf, model) in versions {
                for (hash, mut records) in model.clone() {
                    records.sort_unstable();
                    prop_assert_eq!(found(&shelf, hash), records);
                }
                let total: usize = model.values().map(Vec::len).sum();
                prop_assert_eq!((shelf.len(), shelf.iter().count()), (total, total));
            }
        }
    }

    #[test]
    fn a_copy_shares_every_shard_but_the_one_that_changed() {
        let mut shelf = Shelf::default();
        for hash in 0..2048_u32 {
            assert!(shelf.insert(hash << 21, b"row"));
        }
        let before = shelf.clone();
        assert!(shelf.remove(7 << 21, |_| true).is_some());
        let shards = before.shards.iter().zip(&shelf.shards);
        let copied = shards.filter(|(old, new)| !std::sync::Arc::ptr_eq(old, new)).count();
        assert_eq!(copied, 1);
        assert_eq!((before.len(), shelf.len()), (2048, 2047));
    }

    #[test]
    fn what_is_changed_for_ever_does_not_grow_for_ever() {
        let mut shelf = Shelf::default();
        for round in 0..10_000_u32 {
            assert!(shelf.insert(1, &round.to_le_bytes()));
            if round >= 10 {
                assert!(shelf.remove(1, |row| *row == (round - 10).to_le_bytes()).is_some());
            }
        }
        let blocks: usize = shelf.shards.iter().map(|shard| shard.blocks.len()).sum();
        assert_eq!(blocks, 1, "for ten rows");
    }
}
