//! What the change feed of PostgreSQL says since a cursor: pure, so that it can be simulated.
//!
//! Transactions neither end in the order of their ids nor in that of their changes. So a cursor is
//! the oldest transaction that had not ended, and the later ones that were visible already, with
//! how many changes each had: a transaction that stays open for long hides nothing, and does not
//! make every look a change.

use std::collections::BTreeMap;

use super::keys::{KeyError, Keys, MAX_KEYS};

/// How far a snapshot has seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Position {
    /// System, timeline, recovery state, tables and triggers: of another, nothing here is worth
    /// anything.
    pub(crate) server: String,
    /// Every transaction before this one had ended: `pg_snapshot_xmin`.
    pub(crate) next: u64,
    /// How far the feed was trimmed; it grows with every trim.
    pub(crate) trimmed_to: u64,
    /// The transactions from `next` on that were visible, and how many changes each had. The
    /// number is there for a restored dump: its changes carry ids that come again here.
    pub(crate) seen: BTreeMap<u64, u64>,
}

/// What a look reads first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Glance {
    pub(crate) server: String,
    pub(crate) next: u64,
    pub(crate) trimmed_to: u64,
    /// Changes that are visible of transactions from the cursor on.
    pub(crate) since_cursor: u64,
}

/// A change that the cursor has not seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) xid: u64,
    /// How many changes of this transaction are visible.
    pub(crate) of_xid: u64,
    pub(crate) relation: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

/// What a glance tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Glanced {
    /// Ask for the entries.
    News,
    /// Load anew.
    Reload(&'static str),
    /// Nothing is new; go on from here.
    Same(Position),
}

impl Position {
    /// Whether anything is new. A change is never taken for none: when in doubt, all is loaded.
    pub(crate) fn glance(&self, glance: &Glance) -> Glanced {
        if glance.server != self.server {
            return Glanced::Reload("another server, or other tables or triggers");
        }
        if glance.trimmed_to > self.next && glance.trimmed_to != self.trimmed_to {
            return Glanced::Reload("the feed was trimmed past what was seen");
        }
        if glance.next < self.next {
            return Glanced::Reload("the server's transactions went back");
        }
        if glance.since_cursor != self.seen.values().sum::<u64>() {
            return Glanced::News;
        }
        Glanced::Same(self.at(glance))
    }

    /// The keys that changed and where to go on, given all entries that this position has not
    /// seen, or at least one more than [`MAX_KEYS`] of them.
    pub(crate) fn take(
        &self,
        glance: &Glance,
        entries: &[Entry],
    ) -> Result<(Self, Keys), &'static str> {
        if entries.is_empty() {
            return Err("the feed has lost changes");
        }
        if entries.len() > MAX_KEYS {
            return Err(KeyError::TooMany.why());
        }
        let mut after = self.at(glance);
        let mut keys = Keys::default();
        for entry in entries {
            if entry.xid >= after.next {
                after.seen.insert(entry.xid, entry.of_xid);
            }
            keys.add(&entry.relation, &entry.key).map_err(KeyError::why)?;
        }
        Ok((after, keys))
    }

    /// The same, as of a later snapshot.
    fn at(&self, glance: &Glance) -> Self {
        let seen = self.seen.range(glance.next..).map(|(xid, count)| (*xid, *count)).collect();
        Self { server: self.server.clone(), next: glance.next, trimmed_to: glance.trimmed_to, seen }
    }
}
