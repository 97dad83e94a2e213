//! A mapping: which certificates belong to a user.

use super::kind::Kind;
use super::name::Name;
use super::pattern::{Agreement, Column, Pattern, Value, compare};
use super::read;
use super::row::MappingRow;
use super::unusable::RowError;
use super::window::Window;
use crate::pki::{Identity, UnixTime};

/// A record longer than this takes a second piece of memory while it is packed.
const USUAL_BYTES: usize = 256;

/// A readable mapping, borrowed from the directory. A row of which any column cannot be read is
/// never one: it would match more than was meant.
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
    /// The canonical bytes of each column that is set, as in [`Column::ALL`].
    #[serde(borrow)]
    columns: [Option<&'d [u8]>; Column::ALL.len()],
}

impl<'d> Mapping<'d> {
    /// Reads a row; `pattern` holds what it borrows besides.
    pub(super) fn read(row: &'d MappingRow, pattern: &'d Pattern) -> Result<Self, RowError> {
        let username = std::str::from_utf8(&row.username)
            .map_err(|_| RowError::new("username", "is not UTF-8"))?;
        let kind = pattern.kind().ok_or_else(|| {
            RowError::new("issuer", "nothing but the issuer is set: whom would it name?")
        })?;
        Ok(Mapping {
            id: row.id,
            username,
            kind,
            window: read::window(
                row.enabled,
                row.valid_from.as_deref(),
                row.valid_until.as_deref(),
            )?,
            revoked_at: read::time("revoked_at", row.revoked_at.as_deref())?,
            columns: Column::ALL.map(|column| pattern.value(column).map(Value::bytes)),
        })
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
        self.window.is_open(now) && !self.is_revoked(now)
    }
}
