//! The serials of a revocation list in few bytes: a million of them take 22 MB.
//!
//! It only stores and finds; what a hit means is decided elsewhere.

use super::ReasonCode;
use super::sort::sort_in_steps;
use crate::pki::{MAX_SERIAL_OCTETS, SerialNumber};

/// A usual serial and why it was revoked.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Row {
    /// Big-endian; what follows the length is zero.
    octets: [u8; MAX_SERIAL_OCTETS],
    length: u8,
    reason: ReasonCode,
}

impl Row {
    /// Octets of a serial with its length.
    pub(super) const KEY_OCTETS: usize = MAX_SERIAL_OCTETS + 1;

    /// An octet of the serial, the length as its last: rows are in the order of these.
    pub(super) fn key_octet(&self, at: usize) -> u8 {
        self.octets.get(at).copied().unwrap_or(self.length)
    }

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

/// Collects serials in any order.
#[derive(Default)]
pub(super) struct Builder {
    usual: Vec<Row>,
    odd: Vec<(SerialNumber, ReasonCode)>,
}

impl Builder {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self { usual: Vec::with_capacity(rows), odd: Vec::new() }
    }

    pub(super) fn push(&mut self, serial: SerialNumber, reason: ReasonCode) {
        match usual(&serial) {
            Some((octets, length)) => self.usual.push(Row { octets, length, reason }),
            None => self.odd.push((serial, reason)),
        }
    }

    /// Sorts them, with a call of `pause` after every short step.
    pub(super) fn finish(mut self, pause: &mut dyn FnMut()) -> Table {
        sort_in_steps(&mut self.usual, pause);
        let mut compared = 0_usize;
        self.usual.dedup_by(|one, other| {
            compared += 1;
            if compared.is_multiple_of(STEP) {
                pause();
            }
            one.serial() == other.serial()
        });
        self.odd.sort_unstable();
        self.odd.dedup_by(|one, other| one.0 == other.0);
        Table { usual: self.usual.into_boxed_slice(), odd: self.odd.into_boxed_slice() }
    }
}

/// Rows between two pauses.
const STEP: usize = 4096;

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
            let mut builder = Builder::default();
            for serial in &serials {
                builder.push(serial.clone(), ReasonCode::KeyCompromise);
            }
            let table = builder.finish(&mut || {});
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

    /// More rows than are sorted in one go, in the orders that lists have and in the worst ones.
    #[test]
    fn long_lists_are_sorted_in_steps() {
        let serial = |octets: &[u8]| SerialNumber::from_der(octets);
        let number = |at: u32| at.wrapping_mul(2_654_435_761).to_be_bytes();
        let random = |at: u32| serial(&[&[0x40][..], &number(at), &number(at ^ 7)].concat());
        let shape_of = |shape: &str, at: u32| match shape {
            "upwards" => at,
            "downwards" => 20_000 - at,
            "each ten times" => at / 10,
            _ => 1,
        };
        let mut pauses = 0;
        for shape in ["upwards", "downwards", "each ten times", "all the same"] {
            for is_random in [false, true] {
                let serials = (0..20_000).map(|at| {
                    let at = shape_of(shape, at);
                    if is_random {
                        random(at)
                    } else {
                        serial(&[&[0x01; 9][..], &at.to_be_bytes()].concat())
                    }
                });
                let mut builder = Builder::default();
                let mut wanted: Vec<_> = serials.collect();
                for (at, serial) in wanted.iter().enumerate() {
                    let reasons = [ReasonCode::Superseded, ReasonCode::KeyCompromise];
                    builder.push(serial.clone(), reasons[at % 2]);
                }
                let table = builder.finish(&mut || pauses += 1);
                assert!(table.usual.is_sorted(), "{shape}");
                let found: Vec<_> = table.iter().map(|(serial, _)| serial).collect();
                wanted.sort();
                wanted.dedup();
                assert_eq!(found, wanted, "{shape}");
                assert!(wanted.iter().all(|serial| table.find(serial).is_some()), "{shape}");
            }
        }
        assert!(pauses > 8 * 20, "{pauses}");
    }

    #[test]
    fn a_row_takes_22_bytes() {
        assert_eq!(size_of::<Row>(), 22);
    }
}
