//! The serials of a revocation list in few bytes: a million of them take 22 MB.
//!
//! It only stores and finds; what a hit means is decided elsewhere.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::ReasonCode;
use crate::pki::{MAX_SERIAL_OCTETS, SerialNumber};

/// A usual serial and why it was revoked.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Row {
    /// Big-endian; what follows the length is zero.
    octets: [u8; MAX_SERIAL_OCTETS],
    length: u8,
    reason: ReasonCode,
}

impl Row {
    fn serial(&self) -> (&[u8; MAX_SERIAL_OCTETS], u8) {
        (&self.octets, self.length)
    }
}

/// Serials with their reasons, sorted.
#[derive(Default)]
pub(super) struct Table {
    usual: Box<[Row]>,
    /// Negative, zero and over-long serials, which RFC 5280 4.1.2.2 forbids and some CAs issue.
    odd: Box<[(SerialNumber, ReasonCode)]>,
}

impl Table {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.usual.len() + self.odd.len()
    }

    /// The reason of this serial, by value; none if it is not listed.
    pub(super) fn find(&self, serial: &SerialNumber) -> Option<ReasonCode> {
        match usual(serial) {
            Some((octets, length)) => {
                let wanted = (&octets, length);
                let at = self.usual.binary_search_by(|row| row.serial().cmp(&wanted)).ok()?;
                self.usual.get(at).map(|row| row.reason)
            }
            None => {
                let at = self.odd.binary_search_by(|(odd, _)| odd.cmp(serial)).ok()?;
                self.odd.get(at).map(|(_, reason)| *reason)
            }
        }
    }

    /// Every serial with its reason, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SerialNumber, ReasonCode)> {
        let usual = self.usual.iter().map(|row| {
            let octets = row.octets.get(..usize::from(row.length)).unwrap_or(&row.octets);
            // A sign octet keeps the number positive, as DER writes it.
            let sign: &[u8] =
                if octets.first().is_some_and(|first| *first >= 0x80) { &[0] } else { &[] };
            (SerialNumber::from_der(&[sign, octets].concat()), row.reason)
        });
        usual.chain(self.odd.iter().cloned())
    }
}

/// Collects serials in any order, in steps: after each few of them it lets others have the processor.
pub(super) struct Builder<'r> {
    /// Sorted in runs of [`RUN_ROWS`], the last one excepted.
    usual: Vec<Row>,
    odd: Vec<(SerialNumber, ReasonCode)>,
    rest: &'r dyn Fn(),
}

impl<'r> Builder<'r> {
    pub(super) fn with_capacity(rows: usize, rest: &'r dyn Fn()) -> Self {
        Self { usual: Vec::with_capacity(rows), odd: Vec::new(), rest }
    }

    pub(super) fn push(&mut self, serial: SerialNumber, reason: ReasonCode) {
        let count = match usual(&serial) {
            Some((octets, length)) => {
                self.usual.push(Row { octets, length, reason });
                self.usual.len()
            }
            None => {
                self.odd.push((serial, reason));
                self.odd.len()
            }
        };
        if count % RUN_ROWS == 0 {
            // Sorted already, if it was an odd one that came: then this costs next to nothing.
            if let Some(run) = self.usual.chunks_exact_mut(RUN_ROWS).last() {
                run.sort_unstable();
            }
            (self.rest)();
        }
    }

    pub(super) fn finish(mut self) -> Table {
        if let Some(run) = self.usual.chunks_mut(RUN_ROWS).last() {
            run.sort_unstable();
        }
        self.odd.sort_unstable();
        self.odd.dedup_by(|one, other| one.0 == other.0);
        let usual = merge(&self.usual, self.rest).into_boxed_slice();
        Table { usual, odd: self.odd.into_boxed_slice() }
    }
}

/// Merges the sorted runs into one; of a serial that is listed twice, the first reason counts.
fn merge(rows: &[Row], rest: &dyn Fn()) -> Vec<Row> {
    let mut runs: Vec<_> = rows.chunks(RUN_ROWS).map(|run| run.iter().copied()).collect();
    let heads = runs.iter_mut().enumerate();
    let mut heads: BinaryHeap<Reverse<(Row, usize)>> =
        heads.filter_map(|(number, run)| run.next().map(|row| Reverse((row, number)))).collect();
    let mut merged: Vec<Row> = Vec::with_capacity(rows.len());
    let mut taken: usize = 0;
    while let Some(mut head) = heads.peek_mut() {
        let Reverse((row, number)) = *head;
        if merged.last().is_none_or(|last| last.serial() != row.serial()) {
            merged.push(row);
        }
        match runs.get_mut(number).and_then(Iterator::next) {
            Some(next) => *head = Reverse((next, number)),
            None => drop(PeekMut::pop(head)),
        }
        taken += 1;
        if taken % RUN_ROWS == 0 {
            rest();
        }
    }
    // Only a list that repeats itself leaves room.
    merged.shrink_to_fit();
    merged
}

/// Rows that are taken in one step: a step lasts about a quarter of a millisecond, which is as long
/// as a request may have to wait for this thread's processor.
const RUN_ROWS: usize = 2048;

/// A usual serial in the form of a row; none for an odd one.
fn usual(serial: &SerialNumber) -> Option<([u8; MAX_SERIAL_OCTETS], u8)> {
    if serial.is_odd() {
        return None;
    }
    let bytes = serial.as_bytes();
    let mut octets = [0; MAX_SERIAL_OCTETS];
    octets.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some((octets, u8::try_from(bytes.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exactly_what_was_put_in_is_found(
            listed in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..24), 0..60),
            other in prop::collection::vec(any::<u8>(), 0..24),
        ) {
            let serials: Vec<_> = listed.iter().map(|der| SerialNumber::from_der(der)).collect();
            let mut builder = Builder::with_capacity(0, &|| ());
            for serial in &serials {
                builder.push(serial.clone(), ReasonCode::KeyCompromise);
            }
            let table = builder.finish();
            for serial in &serials {
                prop_assert_eq!(table.find(serial), Some(ReasonCode::KeyCompromise));
            }
            let other = SerialNumber::from_der(&other);
            prop_assert_eq!(table.find(&other).is_some(), serials.contains(&other));
            let mut all: Vec<_> = table.iter().map(|(serial, _)| serial).collect();
            let mut wanted = serials.clone();
            wanted.sort();
            wanted.dedup();
            all.sort();
            prop_assert_eq!(all, wanted);
        }
    }

    #[test]
    fn many_runs_make_one_table_in_which_the_first_reason_counts() {
        // Several runs, the last one short; every serial twice, far apart, with two reasons.
        let count: u32 = 3 * 2048 + 77;
        let serial = |number: u32| {
            SerialNumber::from_der(&(number.wrapping_mul(2_654_435_761) >> 1).to_be_bytes())
        };
        let rests = std::cell::Cell::new(0);
        let rest = || rests.set(rests.get() + 1);
        let mut builder = Builder::with_capacity(0, &rest);
        for reason in [ReasonCode::Superseded, ReasonCode::KeyCompromise] {
            for number in 0..count {
                builder.push(serial(number), reason);
            }
        }
        let table = builder.finish();
        let mut distinct: Vec<_> = (0..count).map(serial).collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(table.len(), distinct.len());
        let first = ReasonCode::KeyCompromise.min(ReasonCode::Superseded);
        for one in &distinct {
            assert_eq!(table.find(one), Some(first));
        }
        assert!(table.usual.windows(2).all(|pair| pair[0].serial() < pair[1].serial()));
        assert!(rests.get() >= 2 * 6, "{}", rests.get());
    }

    #[test]
    fn a_row_takes_22_bytes() {
        assert_eq!(size_of::<Row>(), 22);
    }
}
