//! Which known CAs are themselves revoked, for certificates whose chain is the proxy's to verify.
//!
//! nginx says nothing of the CAs between a certificate and its root, and looks at their revocation
//! only with `ssl_crl`. Here the CAs whose certificates are known are looked up when the files are
//! read; what is not known is not judged. A verified chain needs none of this.

use std::collections::HashMap;
use std::time::Duration;

use super::lists::{IssuerKey, Lists, Status, Subject};
use crate::pki::{Certificate, DistinguishedName, UnixTime};

/// The known CAs by their names.
#[derive(Clone, Debug, Default)]
pub struct Ancestry {
    by_name: HashMap<DistinguishedName, Vec<Authority>>,
}

#[derive(Clone, Debug)]
struct Authority {
    key_id: Option<Vec<u8>>,
    is_revoked: bool,
}

impl Ancestry {
    /// Looks each of these CAs up, and those above it.
    pub(super) fn build(authorities: &[&Certificate], lists: &Lists) -> Self {
        let mut by_name: HashMap<_, Vec<Authority>> = HashMap::new();
        for one in authorities {
            let is_revoked = is_revoked(one, authorities, lists, &mut Vec::new());
            let key_id = one.subject_key_id.clone();
            by_name.entry(one.subject.clone()).or_default().push(Authority { key_id, is_revoked });
        }
        Self { by_name }
    }

    /// Whether every known certificate of the CA of this name, and of this key if that is claimed, is
    /// revoked: a CA with two certificates, one of them good, can still be trusted by the other.
    #[must_use]
    pub fn is_issuer_revoked(&self, issuer: &DistinguishedName, claimed: Option<&[u8]>) -> bool {
        let mut meant = self
            .named(issuer)
            .iter()
            .filter(|one| may_be(one.key_id.as_deref(), claimed))
            .peekable();
        meant.peek().is_some() && meant.all(|one| one.is_revoked)
    }

    /// The key identifiers of the known CAs of this name; none in the place of one without.
    pub fn key_ids(&self, name: &DistinguishedName) -> impl Iterator<Item = Option<&[u8]>> {
        self.named(name).iter().map(|one| one.key_id.as_deref())
    }

    fn named(&self, name: &DistinguishedName) -> &[Authority] {
        self.by_name.get(name).map_or(&[], |named| named)
    }
}

/// Whether a CA, or all of the known ones above it, is on a list. `below` are those on the way up,
/// so that CAs that certify one another do not go round for ever.
fn is_revoked<'c>(
    one: &'c Certificate,
    all: &[&'c Certificate],
    lists: &Lists,
    below: &mut Vec<&'c Certificate>,
) -> bool {
    let claimed = one.authority_key_id.as_deref();
    let subject = Subject {
        issuer: &one.issuer,
        key: claimed.map_or(IssuerKey::Unknown, IssuerKey::Claimed),
        serial: &one.serial,
        is_ca: true,
    };
    // Listed is revoked at any time, so that the clock does not matter here.
    let status = lists.status(&subject, UnixTime::from_micros(0), Duration::ZERO);
    if matches!(status, Status::Revoked(..)) {
        return true;
    }
    if one.subject == one.issuer || below.len() == MAX_DEPTH {
        return false;
    }
    below.push(one);
    let above: Vec<&Certificate> = all
        .iter()
        .copied()
        .filter(|issuer| issuer.subject == one.issuer && !below.contains(issuer))
        .filter(|issuer| may_be(issuer.subject_key_id.as_deref(), claimed))
        .collect();
    let are_revoked =
        !above.is_empty() && above.iter().all(|issuer| is_revoked(issuer, all, lists, below));
    below.pop();
    are_revoked
}

/// Whether a CA's key may be the one that a certificate claims; what is not said may be any.
fn may_be(own: Option<&[u8]>, claimed: Option<&[u8]>) -> bool {
    match (own, claimed) {
        (Some(own), Some(claimed)) => own == claimed,
        _ => true,
    }
}

/// CAs above one another; real chains have one to three.
const MAX_DEPTH: usize = 8;
