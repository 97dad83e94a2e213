//! A mapping: which certificates belong to a user.

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
    /// The canonical bytes of each column that is set, as in [`Column::ALL`].
    #[serde(borrow)]
    columns: [Option<&'d [u8]>; Column::ALL.len()],
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
        let columns = Column::ALL.map(|column| pattern.value(column).map(Value::bytes));
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

    /// Whether its kind is that of its columns and its name is one.
    pub(super) fn is_sound(&self) -> bool {
        let is_set =
            |column: &Column| self.columns().any(|(set, want)| set == *column && !want.is_empty());
        let kind = Kind::ALL.into_iter().find(|kind| kind.columns().iter().all(is_set));
        kind == Some(self.kind) && Name::parse(self.username.as_bytes()).is_ok()
    }

    /// The columns that are set and what they expect, in the order of strength.
    pub(super) fn columns(&self) -> impl Iterator<Item = (Column, &'d [u8])> {
        Column::ALL.into_iter().zip(self.columns).filter_map(|(column, want)| Some((column, want?)))
    }

    /// The parts of the key it is found by, the second empty where its kind hangs on one column.
    pub(super) fn key(&self) -> (&'d [u8], &'d [u8]) {
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
        // A mapping of no column would match everybody.
        let mut compared = false;
        self.columns().all(|(column, want)| {
            compared = true;
            compare(column, want, identity) == Agreement::Same
        }) && compared
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
