//! A mapping: which certificates belong to a user.

use std::borrow::Cow;

use super::kind::Kind;
use super::name::Name;
use super::pattern::{self, Agreement, Column, Value, compare};
use super::read;
use super::row::MappingRow;
use super::unusable::RowError;
use super::window::Window;
use crate::pki::{Identity, UnixTime};

/// A record longer than this takes a second piece of memory while it is packed.
const USUAL_BYTES: usize = 256;

/// A mapping, borrowed from the directory. A row of which any column cannot be read never lets
/// anybody in, because it would match more than was meant; if it is revoked and something strong of
/// it can be read, it goes on revoking by that.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Mapping<'d> {
    /// The row's id.
    pub id: i64,
    /// Whose it is.
    pub username: &'d str,
    /// What it hangs on.
    pub kind: Kind,
    /// When it counts.
    pub window: Window,
    /// From when on it is revoked.
    pub revoked_at: Option<UnixTime>,
    /// Whether a part of the row cannot be read, so that it only ever revokes.
    pub is_doubtful: bool,
    /// Each column that is set and its canonical bytes, packed one after the other in the order of
    /// strength: most rows set two of eleven, and a request looks at each once.
    #[serde(borrow)]
    columns: Cow<'d, [u8]>,
}

/// A row, if it counts for anything, and what of it cannot be read.
pub(super) struct Read<'d> {
    pub(super) mapping: Option<Mapping<'d>>,
    pub(super) fault: Option<RowError>,
}

impl<'d> Mapping<'d> {
    /// Reads a row; `pattern` is what was read of its columns.
    pub(super) fn read(row: &'d MappingRow, pattern: &'d pattern::Read) -> Read<'d> {
        let mut fault = None;
        let username = std::str::from_utf8(&row.username)
            .inspect_err(|_| fault = Some(RowError::new("username", "is not UTF-8")))
            .unwrap_or_default();
        if let Some(error) = pattern.faults.first() {
            fault.get_or_insert_with(|| RowError::new(error.column.name(), error.why.clone()));
        }
        let pattern = &pattern.pattern;
        let window =
            read::window(row.enabled, row.valid_from.as_deref(), row.valid_until.as_deref())
                .unwrap_or_else(|error| {
                    fault.get_or_insert(error);
                    Window { enabled: false, valid_from: None, valid_until: None }
                });
        let revoked_at =
            read::time("revoked_at", row.revoked_at.as_deref()).unwrap_or_else(|error| {
                // It was meant to be revoked; from when on is not known, so always.
                fault.get_or_insert(error);
                Some(UnixTime::from_micros(i64::MIN))
            });
        let Some(kind) = pattern.kind() else {
            let why = "nothing but the issuer is set: whom would it name?";
            let fault = fault.unwrap_or_else(|| RowError::new("issuer", why));
            return Read { mapping: None, fault: Some(fault) };
        };
        let is_doubtful = fault.is_some();
        if is_doubtful && !(kind.is_strong() && revoked_at.is_some()) {
            return Read { mapping: None, fault };
        }
        let columns = Cow::Owned(pack_columns(pattern.columns()));
        let mapping =
            Mapping { id: row.id, username, kind, window, revoked_at, is_doubtful, columns };
        Read { mapping: Some(mapping), fault }
    }

    /// The record that [`Mapping::unpack`] reads.
    pub(super) fn pack(&self) -> Vec<u8> {
        // Only a sink that is full fails, and this one grows.
        postcard::to_extend(self, Vec::with_capacity(USUAL_BYTES)).unwrap_or_default()
    }

    /// Reads a record; none for what is no record.
    pub(super) fn unpack(record: &'d [u8]) -> Option<Self> {
        postcard::from_bytes(record).ok()
    }

    /// Whether it can be read to its end, its kind is that of its columns and its name is one.
    pub(super) fn is_sound(&self) -> bool {
        let mut columns = self.columns();
        let set: Vec<_> = columns.by_ref().filter(|(_, want)| !want.is_empty()).collect();
        let is_set = |column: &Column| set.iter().any(|(set, _)| set == column);
        let kind = Kind::ALL.into_iter().find(|kind| kind.columns().iter().all(is_set));
        columns.rest.is_empty()
            && kind == Some(self.kind)
            && Name::parse(self.username.as_bytes()).is_ok()
    }

    /// The columns that are set and what they expect, in the order of strength.
    pub(super) fn columns(&self) -> Columns<'_> {
        Columns { rest: &self.columns }
    }

    /// The parts of the key it is found by, the second empty where its kind hangs on one column.
    pub(super) fn key(&self) -> (&[u8], &[u8]) {
        let part = |wanted: &Column| {
            self.columns().find(|(column, _)| column == wanted).map_or(&[][..], |(_, want)| want)
        };
        match self.kind.columns() {
            [first, second, ..] => (part(first), part(second)),
            [only] => (part(only), &[]),
            [] => (&[], &[]),
        }
    }

    /// Whether what was presented is what this mapping expects; never for an odd serial, nor for
    /// a name with a control character.
    #[must_use]
    pub fn matches(&self, identity: &Identity) -> bool {
        let mut columns = self.columns();
        // A mapping of no column would match everybody, one whose end cannot be read too many.
        let mut compared = false;
        let agree = columns.all(|(column, want)| {
            compared = true;
            compare(column, want, identity) == Agreement::Same
        });
        agree && compared && columns.rest.is_empty()
    }

    /// Whether its revocation has been reached.
    #[must_use]
    pub fn is_revoked(&self, now: UnixTime) -> bool {
        self.revoked_at.is_some_and(|at| at <= now)
    }

    /// Whether it lets its user in at `now`.
    #[must_use]
    pub fn is_active(&self, now: UnixTime) -> bool {
        !self.is_doubtful && self.window.is_open(now) && !self.is_revoked(now)
    }
}

/// The columns of a mapping, read as they are asked for.
#[derive(Clone, Debug)]
pub(super) struct Columns<'m> {
    /// What is not yet read; not empty at the end if that is no column.
    rest: &'m [u8],
}

impl<'m> Iterator for Columns<'m> {
    type Item = (Column, &'m [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (column, rest) = postcard::take_from_bytes(self.rest).ok()?;
        self.rest = rest;
        Some(column)
    }
}

/// What [`Columns`] reads.
fn pack_columns<'v>(columns: impl Iterator<Item = (Column, &'v Value)>) -> Vec<u8> {
    let packed = columns
        .map(|(column, value)| (column, value.bytes()))
        .try_fold(Vec::with_capacity(USUAL_BYTES), |packed, one| postcard::to_extend(&one, packed));
    // Only a sink that is full fails, and this one grows. Without any column it matches nobody.
    packed.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::row::PatternRow;
    use crate::pki::{Certificate, forge::Forge};

    #[test]
    fn a_mapping_that_cannot_be_read_to_its_end_matches_nobody() {
        let der = Forge::default().der(&rcgen::KeyPair::generate().unwrap());
        let identity = Identity::from_certificate(&Certificate::from_der(&der).unwrap());
        let sha256 = identity.sha256.as_ref().unwrap().to_string().into_bytes();
        let row = PatternRow { sha256: Some(sha256), ..PatternRow::default() };
        let pattern = pattern::Pattern::read(&row).pattern;
        let with = |columns: Vec<u8>| Mapping {
            id: 1,
            username: "alice",
            kind: Kind::Sha256,
            window: Window { enabled: true, valid_from: None, valid_until: None },
            revoked_at: None,
            is_doubtful: false,
            columns: Cow::Owned(columns),
        };
        let whole = pack_columns(pattern.columns());
        assert!(with(whole.clone()).matches(&identity) && with(whole.clone()).is_sound());
        // A column nobody knows, one whose value is cut off, and one that is not begun.
        for rest in [&[0xFF, 0][..], &[0, 4, b'a'], &[0]] {
            let mapping = with([&whole[..], rest].concat());
            assert!(!mapping.matches(&identity) && !mapping.is_sound(), "{rest:?}");
        }
        assert!(!with(Vec::new()).matches(&identity) && !with(Vec::new()).is_sound());
    }
}
