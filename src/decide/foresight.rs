//! What the revocation lists would say of certificates that are not there to be asked about: of
//! which only issuer and serial are known.
//!
//! It lets nobody in. Where what is known leaves open how the answer will be, it tells the worse.

use super::trust::{Chains, Lapsed, RevocationPolicy, TrustPolicy};
use crate::directory::KnownCertificate;
use crate::pki::{Certificate, DistinguishedName, ReasonCode, RevocationList, UnixTime};
use crate::reason::DenyReason;
use crate::revocation::{Authorities, IssuerKey, Status, Subject};

/// Why a certificate would be denied by the lists.
#[derive(Clone, Copy, Debug)]
pub enum Lockout<'l> {
    /// The CA that issued it, or one above that, is itself revoked.
    AuthorityRevoked,
    /// The list that it would need is past its nextUpdate and grace.
    Expired(&'l RevocationList),
    /// It is listed.
    Listed(&'l RevocationList, ReasonCode),
    /// No list is held for it.
    NoList,
    /// The CA above it is on no current list.
    NoListOfAuthority,
}

impl Lockout<'_> {
    /// The code that a request with it would get.
    #[must_use]
    pub const fn reason(&self) -> DenyReason {
        match self {
            Self::AuthorityRevoked | Self::Listed(..) => DenyReason::CertificateRevoked,
            Self::Expired(_) | Self::NoList | Self::NoListOfAuthority => {
                DenyReason::RevocationUnknown
            }
        }
    }
}

/// Judges a certificate as a request with it would be judged at `now`, as far as lists go.
///
/// # Errors
/// Why it would be denied.
pub fn foresee<'l>(
    known: &KnownCertificate,
    authorities: &'l Authorities,
    policy: &TrustPolicy,
    now: UnixTime,
) -> Result<(), Lockout<'l>> {
    let Some(revocation) = &policy.revocation else {
        return Ok(());
    };
    let view = Foresight { authorities, revocation, chains: policy.chains, now };
    let claimed = known.issuer_key_id.as_deref();
    if claimed.is_some() {
        return view.judge(known, claimed);
    }
    // The row does not tell which of several CAs of that name it means: it can be any of them.
    let mut keys = authorities.ancestry.key_ids(&known.issuer).peekable();
    if keys.peek().is_none() {
        return view.judge(known, None);
    }
    keys.try_for_each(|key| view.judge(known, key))
}

struct Foresight<'a, 'l> {
    authorities: &'l Authorities,
    revocation: &'a RevocationPolicy,
    chains: Chains,
    now: UnixTime,
}

impl<'l> Foresight<'_, 'l> {
    fn judge(&self, known: &KnownCertificate, key: Option<&[u8]>) -> Result<(), Lockout<'l>> {
        let (authorities, issuer) = (self.authorities, &known.issuer);
        let is_proxys = self.chains == Chains::Proxy;
        if is_proxys && authorities.ancestry.is_issuer_revoked(issuer, key) {
            return Err(Lockout::AuthorityRevoked);
        }
        let key_of = key.map_or(IssuerKey::Unknown, IssuerKey::Claimed);
        self.ask(&Subject { issuer, key: key_of, serial: &known.serial, is_ca: false })?;
        if is_proxys { Ok(()) } else { self.judge_authorities(issuer, key, MAX_DEPTH) }
    }

    /// Asks about the CAs between a certificate and its anchor, which a chain verified here shows.
    /// Where two ways lead up, the one that holds counts; a CA that only the proxy will show is not
    /// judged.
    fn judge_authorities(
        &self,
        name: &DistinguishedName,
        key: Option<&[u8]>,
        depth: usize,
    ) -> Result<(), Lockout<'l>> {
        let store = &self.authorities.store;
        let is_meant =
            |one: &&Certificate| one.subject == *name && may_be(one.subject_key_id.as_deref(), key);
        if store.anchors().iter().any(|anchor| is_meant(&anchor)) || depth == 0 {
            return Ok(());
        }
        let mut outcome = Ok(());
        for one in store.authorities().filter(is_meant) {
            outcome = self.judge_authority(one, depth);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn judge_authority(&self, one: &Certificate, depth: usize) -> Result<(), Lockout<'l>> {
        let claimed = one.authority_key_id.as_deref();
        let key = claimed.map_or(IssuerKey::Unknown, IssuerKey::Claimed);
        let subject = Subject { issuer: &one.issuer, key, serial: &one.serial, is_ca: true };
        match self.ask(&subject) {
            Ok(()) => self.judge_authorities(&one.issuer, claimed, depth - 1),
            Err(Lockout::Listed(..)) => Err(Lockout::AuthorityRevoked),
            Err(_) => Err(Lockout::NoListOfAuthority),
        }
    }

    fn ask(&self, subject: &Subject<'_>) -> Result<(), Lockout<'l>> {
        let policy = self.revocation;
        match self.authorities.lists.status(subject, self.now, policy.grace) {
            Status::Revoked(list, why) => Err(Lockout::Listed(list, why)),
            Status::Expired(list) if policy.expired == Lapsed::Deny => Err(Lockout::Expired(list)),
            Status::Unknown if policy.unknown == Lapsed::Deny => Err(Lockout::NoList),
            Status::Expired(_) | Status::Good(_) | Status::Unknown => Ok(()),
        }
    }
}

/// Whether a CA's key may be the one that is meant; what is not said may be any.
fn may_be(own: Option<&[u8]>, meant: Option<&[u8]>) -> bool {
    match (own, meant) {
        (Some(own), Some(meant)) => own == meant,
        _ => true,
    }
}

/// CAs above one another; real chains have one to three.
const MAX_DEPTH: usize = 8;
