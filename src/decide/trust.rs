//! What the CAs say: whether a chain leads to a trusted one, and whether the certificate is revoked.
//!
//! Pure: files are read elsewhere, and what is remembered is only that signatures verified.

use std::sync::Arc;
use std::time::Duration;

use super::View;
use crate::pki::{Chain, Link};
use crate::proxy::Shown;
use crate::reason::DenyReason;
use crate::revocation::{Authorities, ChainMemory, IssuerKey, Status, Subject};

/// What is known of the CAs. Without it, whatever the policy wants of it denies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust<'v> {
    /// Whom a chain may end in, and what is revoked.
    pub authorities: Option<&'v Authorities>,
    /// Chains verified before; without it each is verified anew.
    pub memory: Option<&'v ChainMemory>,
}

/// What the operator wants of the CAs.
#[derive(Clone, Debug, Default)]
pub struct TrustPolicy {
    /// Who verifies chains.
    pub chains: Chains,
    /// How CRLs count; none means that they do not (`revocation.crl` is empty).
    pub revocation: Option<RevocationPolicy>,
}

impl TrustPolicy {
    /// Whether any decision looks at [`Trust::authorities`].
    #[must_use]
    pub fn asks_authorities(&self) -> bool {
        self.chains != Chains::Proxy || self.revocation.is_some()
    }
}

/// Who verifies that a chain leads to a trusted CA (`trust.mode`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Chains {
    /// The proxy.
    #[default]
    Proxy,
    /// We do; with `both` the proxy had to as well, which its word shows before.
    Verified,
}

/// How CRLs count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RevocationPolicy {
    /// What holds without a list of the issuer.
    pub unknown: Lapsed,
    /// What holds when that list is past its nextUpdate plus grace.
    pub expired: Lapsed,
    /// How long a list counts after its nextUpdate.
    pub grace: Duration,
}

/// What holds where no current list says anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lapsed {
    /// Not known to be revoked is good enough.
    Allow,
    /// Not known to be good is not.
    Deny,
}

/// Verifies the chain if that is ours to do; none if it is the proxy's. Closed in any doubt.
pub(super) fn verify_chain(
    shown: Option<&Shown>,
    view: &View<'_>,
) -> Result<Option<Arc<Chain>>, DenyReason> {
    if view.policy.trust.chains == Chains::Proxy {
        return Ok(None);
    }
    let shown = shown.ok_or(DenyReason::ChainUntrusted)?;
    let authorities = view.trust.authorities.ok_or(DenyReason::ChainUntrusted)?;
    let (store, leaf) = (&authorities.store, &shown.certificate);
    let chain = match view.trust.memory {
        Some(memory) => memory.verify(store, authorities.generation, leaf, &shown.chain, view.now),
        None => store.verify(leaf, &shown.chain, view.now).map(Arc::new),
    };
    chain.map(Some).map_err(|_| DenyReason::ChainUntrusted)
}

/// Looks the certificate up in the CRLs, and with a verified chain every CA below the anchor too.
/// Without one, CAs that are known count if they are listed. Listed is revoked whatever the policies
/// say; the policies are for what no list decides.
pub(super) fn judge_revocation(
    shown: Option<&Shown>,
    chain: Option<&Chain>,
    view: &View<'_>,
) -> Result<(), DenyReason> {
    let Some(policy) = &view.policy.trust.revocation else {
        return Ok(());
    };
    let shown = shown.ok_or(DenyReason::RevocationUnknown)?;
    let authorities = view.trust.authorities.ok_or(DenyReason::RevocationUnknown)?;
    let (issuer, key) = (&shown.certificate.issuer, shown.certificate.authority_key_id.as_deref());
    if chain.is_none() && authorities.ancestry.is_issuer_revoked(issuer, key) {
        return Err(DenyReason::CertificateRevoked);
    }
    let mut outcome = Ok(());
    for subject in subjects(shown, chain) {
        let lapsed = match authorities.lists.status(&subject, view.now, policy.grace) {
            Status::Revoked(..) => return Err(DenyReason::CertificateRevoked),
            Status::Good(_) => continue,
            Status::Expired(_) => policy.expired,
            Status::Unknown => policy.unknown,
        };
        if lapsed == Lapsed::Deny {
            outcome = Err(DenyReason::RevocationUnknown);
        }
    }
    outcome
}

/// Whether this reason is given only once the chain was verified by whoever verifies it. A reason
/// that can come before says nothing of that: then anybody may have made the certificate.
pub(super) const fn is_after_verification(reason: DenyReason, chains: Chains) -> bool {
    match reason {
        DenyReason::Ambiguous
        | DenyReason::Blocked
        | DenyReason::CertificateRevoked
        | DenyReason::GroupRequired
        | DenyReason::MappingDisabled
        | DenyReason::MappingRevoked
        | DenyReason::RevocationUnknown
        | DenyReason::Unmapped
        | DenyReason::UserDisabled => true,
        // Decided by our own clock and policy: after the proxy's word, before our own look.
        DenyReason::CertificateExpired
        | DenyReason::CertificateNotYetValid
        | DenyReason::IssuerNotAllowed
        | DenyReason::UsageNotAllowed => matches!(chains, Chains::Proxy),
        DenyReason::CertificateMalformed
        | DenyReason::CertificateTooLarge
        | DenyReason::ChainUntrusted
        | DenyReason::HeaderMismatch
        | DenyReason::MalformedHeader
        | DenyReason::NoCertificate
        | DenyReason::NotVerified
        | DenyReason::ProxyNotTrusted => false,
    }
}

/// The certificates whose revocation counts: those of the verified chain, else the client's alone,
/// tied to its issuer's key by the identifier that it names.
pub fn subjects<'c>(
    shown: &'c Shown,
    chain: Option<&'c Chain>,
) -> impl Iterator<Item = Subject<'c>> {
    let links = chain.map_or(&[][..], |chain| &chain.links);
    let alone = links.is_empty().then(|| {
        let certificate = &shown.certificate;
        let claimed = certificate.authority_key_id.as_deref();
        Subject {
            issuer: &certificate.issuer,
            key: claimed.map_or(IssuerKey::Unknown, IssuerKey::Claimed),
            serial: &certificate.serial,
            is_ca: certificate.is_ca,
        }
    });
    let verified = |link: &'c Link| Subject {
        issuer: &link.issuer,
        key: IssuerKey::Verified(&link.issuer_spki),
        serial: &link.serial,
        is_ca: link.is_ca,
    };
    alone.into_iter().chain(links.iter().map(verified))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is added here is written into tables and shown to operators as verified.
    #[test]
    fn a_reason_that_comes_before_the_chain_says_nothing_of_it() {
        let after = |chains| {
            let all = DenyReason::ALL.iter().copied();
            let after = all.filter(|reason| is_after_verification(*reason, chains));
            after.map(DenyReason::code).collect::<Vec<_>>()
        };
        let by_us = [
            "ambiguous",
            "blocked",
            "certificate_revoked",
            "group_required",
            "mapping_disabled",
            "mapping_revoked",
            "revocation_unknown",
            "unmapped",
            "user_disabled",
        ];
        assert_eq!(after(Chains::Verified), by_us);
        let by_clock = [
            "certificate_expired",
            "certificate_not_yet_valid",
            "issuer_not_allowed",
            "usage_not_allowed",
        ];
        let mut by_proxy = [&by_us[..], &by_clock].concat();
        by_proxy.sort_unstable();
        assert_eq!(after(Chains::Proxy), by_proxy);
    }
}
