//! The decision: who may come in, as a pure function of values.
//!
//! Read this first. [`decide`] does no I/O, reads no clock and knows no HTTP; the order of its
//! lines is the order of the codes in the contract. Any doubt is a deny with a reason of its own;
//! "could not decide" is a value too, and never an allow.

mod foresight;
mod options;
mod trust;
mod usage;

use std::borrow::Borrow;
use std::time::Duration;

pub use foresight::{Lockout, foresee};
pub use options::{Options, OptionsError, Required};
pub use trust::{Chains, Lapsed, RevocationPolicy, Trust, TrustPolicy, subjects};
pub use usage::{RequiredUsage, UsageFault};

use crate::directory::{Directory, Found, Holder, Kinds, Ruled, User, Wish};
use crate::pki::{Certificate, DistinguishedName, Identity, UnixTime};
use crate::proxy::{Presented, Shown};
use crate::reason::{AllowReason, DenyReason, UndecidedReason};

/// Everything a decision may look at besides the request.
#[derive(Clone, Copy, Debug)]
pub struct View<'v> {
    /// The directory, or none before the first load.
    pub directory: Option<&'v Directory>,
    /// How old the directory's last good look is.
    pub age: Duration,
    /// The instant of the request.
    pub now: UnixTime,
    /// What is known of the CAs.
    pub trust: Trust<'v>,
    /// What the operator configured.
    pub policy: &'v Policy,
}

/// What the operator configured of the decision.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Mapping kinds that may match (`identity.weak`).
    pub kinds: Kinds,
    /// Issuers allowed (`identity.issuers`); empty means whatever the proxy trusts.
    pub issuers: Vec<AllowedIssuer>,
    /// Oldest directory that may decide (`directory.max_staleness`); none means unlimited.
    pub max_staleness: Option<Duration>,
    /// What of chains and CRLs is checked here (`trust.mode`, `revocation.*`).
    pub trust: TrustPolicy,
    /// What a certificate must be made for (`usage.*`).
    pub usage: RequiredUsage,
}

/// A CA whose certificates are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedIssuer {
    /// Its name.
    pub name: DistinguishedName,
    /// Its key identifier, if the operator gave its certificate: then both must agree.
    pub key_id: Option<Vec<u8>>,
}

/// A request, as far as it counts; what cannot be read is a value here, not an absence.
#[derive(Debug)]
pub struct Question<P> {
    /// The options of nginx's own configuration.
    pub options: Result<Options, OptionsError>,
    /// Whether the peer and its secret are those of a proxy that may ask.
    pub proxy_is_trusted: bool,
    /// Reads what was presented, or shows where it was put; asked only if the proxy is trusted.
    pub presented: P,
}

/// The answer to one request.
#[derive(Clone, Debug)]
pub enum Decision<'d> {
    /// 200.
    Allow(Allow<'d>),
    /// 401, or 403 for a known user who lacks a group.
    Deny(DenyReason),
    /// 503: nginx turns it into an error page, so closed.
    Undecided(UndecidedReason),
}

/// Who is let in.
#[derive(Clone, Debug)]
pub enum Allow<'d> {
    /// Nobody in particular: `certificate=optional`, and none was presented.
    Anonymous,
    /// A user of the directory, by the mapping of that id.
    Mapped(User<'d>, i64),
    /// The user whom the rule of that priority gives: one of the directory, or a name of the
    /// certificate's values.
    Rule(User<'d>, i64),
}

impl<'d> Allow<'d> {
    /// Who it is; none for nobody in particular.
    #[must_use]
    pub fn user(&self) -> Option<&User<'d>> {
        match self {
            Self::Anonymous => None,
            Self::Mapped(user, _) | Self::Rule(user, _) => Some(user),
        }
    }

    const fn reason(&self) -> AllowReason {
        match self {
            Self::Anonymous => AllowReason::Anonymous,
            Self::Mapped(..) => AllowReason::Mapped,
            Self::Rule(..) => AllowReason::Rule,
        }
    }
}

impl Decision<'_> {
    /// The code of the contract: metric label, log field, header.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Allow(allow) => allow.reason().code(),
            Self::Deny(reason) => reason.code(),
            Self::Undecided(reason) => reason.code(),
        }
    }

    /// The code's place in [`crate::reason::CODES`].
    #[must_use]
    pub fn code_number(&self) -> usize {
        match self {
            Self::Allow(allow) => allow.reason().number(),
            Self::Deny(reason) => reason.number(),
            Self::Undecided(reason) => reason.number(),
        }
    }

    /// The HTTP status of the contract.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Allow(_) => 200,
            Self::Deny(DenyReason::GroupRequired) => 403,
            Self::Deny(_) => 401,
            Self::Undecided(_) => 503,
        }
    }
}

impl Decision<'_> {
    /// Whether the certificate that was presented had been verified before this was decided: by
    /// the proxy, or, where chains are verified here, by us. In doubt it was not.
    #[must_use]
    pub fn is_about_verified(&self, policy: &Policy) -> bool {
        match self {
            Self::Allow(Allow::Anonymous) | Self::Undecided(_) => false,
            Self::Allow(_) => true,
            Self::Deny(reason) => trust::is_after_verification(*reason, policy.trust.chains),
        }
    }
}

/// Decides. Total and pure: the same values give the same answer, and every path that is not an
/// explicit allow at its end is a deny or "undecided".
pub fn decide<'v, P, B>(question: Question<P>, view: &View<'v>) -> Decision<'v>
where
    P: FnOnce() -> Result<B, DenyReason>,
    B: Borrow<Presented>,
{
    let Ok(options) = question.options else {
        return Decision::Undecided(UndecidedReason::BadOptions);
    };
    if !question.proxy_is_trusted {
        return Decision::Deny(DenyReason::ProxyNotTrusted);
    }
    let presented = match (question.presented)() {
        Ok(presented) => presented,
        Err(reason) => return Decision::Deny(reason),
    };
    match presented.borrow() {
        Presented::Nobody => decide_nobody(&options, view),
        Presented::Certificate(shown) => {
            if let Err(reason) = judge_certificate(&shown.certificate, view) {
                return Decision::Deny(reason);
            }
            decide_identity(&shown.identity, Some(shown), &options, view)
        }
        Presented::Headers(identity) => decide_identity(identity, None, &options, view),
    }
}

/// Whether a directory is there and fresh enough to decide; `/readyz` asks the same.
///
/// # Errors
/// Why it is not.
pub fn ready_directory<'v>(view: &View<'v>) -> Result<&'v Directory, UndecidedReason> {
    let directory = view.directory.ok_or(UndecidedReason::NotReady)?;
    if view.policy.max_staleness.is_some_and(|limit| view.age > limit) {
        return Err(UndecidedReason::DirectoryStale);
    }
    Ok(directory)
}

/// Nobody presented anything: let in only where nginx's configuration says so and asks for nobody.
fn decide_nobody<'v>(options: &Options, view: &View<'v>) -> Decision<'v> {
    if !options.certificate_is_optional {
        return Decision::Deny(DenyReason::NoCertificate);
    }
    if !options.required.is_empty() {
        return Decision::Deny(DenyReason::NoCertificate);
    }
    match ready_directory(view) {
        Ok(_) => Decision::Allow(Allow::Anonymous),
        Err(reason) => Decision::Undecided(reason),
    }
}

/// What a certificate says of itself, by our own clock and policy: nginx looks at the handshake
/// only, and a session outlives the certificate.
fn judge_certificate(certificate: &Certificate, view: &View<'_>) -> Result<(), DenyReason> {
    if view.now < certificate.not_before {
        return Err(DenyReason::CertificateNotYetValid);
    }
    // notAfter is inclusive and has whole seconds (RFC 5280 4.1.2.5).
    if view.now.as_seconds() > certificate.not_after.as_seconds() {
        return Err(DenyReason::CertificateExpired);
    }
    view.policy.usage.judge(certificate).map_err(|_| DenyReason::UsageNotAllowed)
}

/// Headers show no certificate: then there is none whose chain or CRL could be checked, and the
/// configuration refuses to ask for it.
fn decide_identity<'v>(
    identity: &Identity,
    shown: Option<&Shown>,
    options: &Options,
    view: &View<'v>,
) -> Decision<'v> {
    if !is_issuer_allowed(identity, &view.policy.issuers) {
        return Decision::Deny(DenyReason::IssuerNotAllowed);
    }
    let chain = match trust::verify_chain(shown, view) {
        Ok(chain) => chain,
        Err(reason) => return Decision::Deny(reason),
    };
    let directory = match ready_directory(view) {
        Ok(directory) => directory,
        Err(reason) => return Decision::Undecided(reason),
    };
    if let Err(reason) = trust::judge_revocation(shown, chain.as_deref(), view) {
        return Decision::Deny(reason);
    }
    if directory.find_block(identity, view.now).is_some() {
        return Decision::Deny(DenyReason::Blocked);
    }
    let allow = match directory.find(identity, view.now, view.policy.kinds) {
        Found::Active(mapping, user) => Allow::Mapped(user, mapping.id),
        Found::Ambiguous(_) => return Decision::Deny(DenyReason::Ambiguous),
        Found::Disabled(_) => return Decision::Deny(DenyReason::MappingDisabled),
        Found::Nothing => match directory.ask_rules(holder(identity, shown), view.now) {
            Ruled::User(user, priority) => Allow::Rule(user, priority),
            Ruled::Nobody => return Decision::Deny(DenyReason::Unmapped),
        },
        Found::Revoked(_) => return Decision::Deny(DenyReason::MappingRevoked),
    };
    let Some(user) = allow.user() else { return Decision::Deny(DenyReason::Unmapped) };
    if !user.window.is_some_and(|window| window.is_open(view.now)) {
        return Decision::Deny(DenyReason::UserDisabled);
    }
    if !options.admits(user) {
        return Decision::Deny(DenyReason::GroupRequired);
    }
    Decision::Allow(allow)
}

/// Whom the rules ask to be added of somebody who was denied as `unmapped`; for any other answer
/// there is nothing to ask.
#[must_use]
pub fn wish(presented: &Presented, view: &View<'_>) -> Option<Wish> {
    let holder = match presented {
        Presented::Nobody => return None,
        Presented::Certificate(shown) => holder(&shown.identity, Some(shown)),
        Presented::Headers(identity) => holder(identity, None),
    };
    view.directory?.wish(holder, view.now)
}

/// Headers show no certificate: what only it could show, no condition finds.
fn holder<'h>(identity: &'h Identity, shown: Option<&'h Shown>) -> Holder<'h> {
    Holder { identity, certificate: shown.map(|shown| &shown.certificate) }
}

/// An empty list allows whatever the proxy trusts. An issuer given with its key needs the key to
/// be shown: fails closed where it is not.
#[must_use]
pub fn is_issuer_allowed(identity: &Identity, allowed: &[AllowedIssuer]) -> bool {
    if allowed.is_empty() {
        return true;
    }
    allowed.iter().any(|issuer| {
        let is_named =
            |shown: &DistinguishedName| *shown == issuer.name && !shown.has_control_character();
        if !identity.issuer.as_ref().is_some_and(is_named) {
            return false;
        }
        issuer.key_id.is_none() || identity.issuer_key_id == issuer.key_id
    })
}

#[cfg(test)]
mod tests;
