//! The revocation lists that hold, and what they say of a certificate. Pure and immutable.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::pki::{
    DistinguishedName, Fingerprint, ReasonCode, RevocationList, SerialNumber, UnixTime,
};

/// Every list, by the name of its issuer.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    by_issuer: HashMap<DistinguishedName, Vec<Arc<RevocationList>>>,
}

/// Which certificate is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'c> {
    /// Who issued it.
    pub issuer: &'c DistinguishedName,
    /// The key that signed it, as far as that is known.
    pub key: IssuerKey<'c>,
    /// Its serial.
    pub serial: &'c SerialNumber,
    /// Whether it is a CA's.
    pub is_ca: bool,
}

/// The key that signed a certificate. Two CAs can have one name, so that the name is not enough.
#[derive(Clone, Copy, Debug)]
pub enum IssuerKey<'c> {
    /// Named by its identifier in the certificate (RFC 5280 4.2.1.1).
    Claimed(&'c [u8]),
    /// Nothing tells.
    Unknown,
    /// Known from a verified chain: SHA-256 of its SubjectPublicKeyInfo.
    Verified(&'c Fingerprint),
}

/// What the lists say of a certificate.
#[derive(Clone, Copy, Debug)]
pub enum Status<'l> {
    /// Its issuer's list is too old to say that it is not revoked.
    Expired(&'l RevocationList),
    /// Its issuer's list is current and does not hold it.
    Good(&'l RevocationList),
    /// It is listed.
    Revoked(&'l RevocationList, ReasonCode),
    /// There is no list of its issuer.
    Unknown,
}

/// Why a list was not taken in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Taken {
    /// It holds from here on, or held already.
    InForce,
    /// A newer one of the same issuer, key and scope holds.
    Older,
}

impl Lists {
    /// What the lists say of a certificate at `now`, with lists counted until `grace` after their
    /// nextUpdate.
    ///
    /// In doubt towards "revoked": a serial that is listed by any list that could be meant is
    /// revoked, and only current lists of every key that could be meant make a certificate good. A
    /// delta adds to what a complete list revokes and takes nothing back.
    #[must_use]
    pub fn status(&self, subject: &Subject<'_>, now: UnixTime, grace: Duration) -> Status<'_> {
        let Some(named) = self.by_issuer.get(subject.issuer) else {
            return Status::Unknown;
        };
        let named = || named.iter().map(|list| &**list);
        let may_mean = |list: &&RevocationList| {
            list.scope.covers(subject.is_ca) && may_mean(list, subject.key)
        };
        let meant: Vec<&RevocationList> =
            named().filter(|list| !list.is_delta).filter(may_mean).collect();
        let is_overtaken = |delta: &RevocationList| {
            named().any(|list| !list.is_delta && list.replaces(delta) && !list.is_older_than(delta))
        };
        let looked_at = named().filter(|list| meant.is_empty() || may_mean(list));
        for list in looked_at {
            let listed = match list.find(subject.serial) {
                Some(ReasonCode::RemoveFromCrl) if list.is_delta => None,
                Some(_) if list.is_delta && is_overtaken(list) => None,
                listed => listed,
            };
            if let Some(reason) = listed {
                return Status::Revoked(list, reason);
            }
        }
        // Of each key, one current list is enough: an old list of all certificates does not lock
        // out once the CA has gone over to one for users.
        let is_current = |list: &RevocationList| is_current(list, now, grace);
        let lacks_current = |list: &&&RevocationList| {
            !meant.iter().any(|other| other.signer == list.signer && is_current(other))
        };
        match (meant.iter().find(lacks_current), meant.iter().find(|list| is_current(list))) {
            (Some(list), _) => Status::Expired(list),
            (None, Some(list)) => Status::Good(list),
            (None, None) => Status::Unknown,
        }
    }

    /// Every list.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.by_issuer.values().flatten()
    }

    /// The list that this one would stand in the place of.
    pub(super) fn held(&self, list: &RevocationList) -> Option<&Arc<RevocationList>> {
        let same = |held: &&Arc<RevocationList>| is_successor(list, held);
        self.by_issuer.get(&list.issuer)?.iter().find(same)
    }

    /// Takes a list in, in the place of an older one of the same issuer, key and scope; going back
    /// is refused.
    pub(super) fn take(&mut self, list: Arc<RevocationList>) -> Taken {
        let named = self.by_issuer.entry(list.issuer.clone()).or_default();
        let same = |held: &&mut Arc<RevocationList>| is_successor(&list, held);
        match named.iter_mut().find(same) {
            Some(held) if list.is_older_than(held) => Taken::Older,
            Some(held) => {
                *held = list;
                Taken::InForce
            }
            None => {
                named.push(list);
                Taken::InForce
            }
        }
    }
}

/// Whether one list is another state of the other: of the same key, about the same certificates.
fn is_successor(list: &RevocationList, held: &RevocationList) -> bool {
    list.replaces(held) && list.is_delta == held.is_delta
}

/// Whether the list may be of the key that signed the certificate. A list whose key has no
/// identifier may be of any.
fn may_mean(list: &RevocationList, key: IssuerKey<'_>) -> bool {
    match key {
        IssuerKey::Claimed(id) => {
            list.signer_key_ids.is_empty() || list.signer_key_ids.iter().any(|known| known == id)
        }
        IssuerKey::Unknown => true,
        IssuerKey::Verified(signer) => list.signer == *signer,
    }
}

/// Whether a list still says of what it does not hold that it is not revoked.
#[must_use]
pub fn is_current(list: &RevocationList, now: UnixTime, grace: Duration) -> bool {
    let grace = i64::try_from(grace.as_micros()).unwrap_or(i64::MAX);
    now.as_micros() <= list.next_update.as_micros().saturating_add(grace)
}
