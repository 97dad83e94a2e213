//! A mapping: which certificates belong to a user.

use super::kind::Kind;
use super::pattern::Pattern;
use super::read;
use super::row::MappingRow;
use super::unusable::RowError;
use super::window::Window;
use crate::pki::{Identity, UnixTime};

/// A readable mapping. A row of which any column cannot be read is never one: it would match more
/// than was meant.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The row's id.
    pub id: i64,
    /// Position of its user in the directory.
    pub(super) user: usize,
    /// What it hangs on.
    pub kind: Kind,
    /// What it expects.
    pub pattern: Pattern,
    /// When it counts.
    pub window: Window,
    /// From when on it is revoked.
    pub revoked_at: Option<UnixTime>,
}

impl Mapping {
    pub(super) fn read(row: &MappingRow, user: usize) -> Result<Self, RowError> {
        let read = Pattern::read(&row.pattern);
        if let Some(fault) = read.faults.into_iter().next() {
            return Err(RowError::new(fault.column.name(), fault.why));
        }
        let kind = read.pattern.kind().ok_or_else(|| {
            RowError::new("issuer", "nothing but the issuer is set: whom would it name?")
        })?;
        Ok(Self {
            id: row.id,
            user,
            kind,
            pattern: read.pattern,
            window: read::window(
                row.enabled,
                row.valid_from.as_deref(),
                row.valid_until.as_deref(),
            )?,
            revoked_at: read::time("revoked_at", row.revoked_at.as_deref())?,
        })
    }

    /// Whether what was presented is what this mapping expects; never for an odd serial.
    #[must_use]
    pub fn matches(&self, identity: &Identity) -> bool {
        self.pattern.agrees(identity)
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
