//! Chains of certificates up to a trusted CA, RFC 5280 section 6: built and verified by webpki, with
//! the rules added that webpki leaves out.
//!
//! What cannot be judged is refused, not guessed: policy constraints, constraints on directory names
//! and URIs. Names are compared byte for byte. Nothing is fetched, and revocation is looked at
//! elsewhere. A verified chain is no proof that somebody holds the key.

mod error;

use std::cell::Cell;
use std::fmt;

use rustls::pki_types::{self, CertificateDer, TrustAnchor};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, VerifiedPath,
};

pub use self::error::{ChainError, StoreError};
use super::attribute::EMAIL_ADDRESS;
use super::der::{self, DerError};
use super::signature::ALGORITHMS;
use super::{Certificate, DistinguishedName, Fingerprint, SerialNumber, UnixTime};

/// The CAs that a chain may end in, and those in between that are known. Immutable.
#[derive(Default)]
pub struct TrustStore {
    /// In the order of `anchors`.
    webpki_anchors: Vec<TrustAnchor<'static>>,
    anchors: Vec<Certificate>,
    intermediates: Vec<Certificate>,
}

impl TrustStore {
    /// Takes CAs' certificates.
    ///
    /// # Errors
    /// Which of them is no CA's certificate: a store that exists holds nothing else.
    pub fn new(
        anchors: Vec<Certificate>,
        intermediates: Vec<Certificate>,
    ) -> Result<Self, StoreError> {
        let is_no_ca = |one: &&Certificate| !one.is_ca || !may_sign_certificates(one);
        if let Some(other) = anchors.iter().chain(&intermediates).find(is_no_ca) {
            return Err(StoreError::NoAuthority { subject: other.subject.to_string() });
        }
        let webpki_anchors = anchors.iter().map(|anchor| {
            let der = CertificateDer::from(&*anchor.der);
            let anchor = webpki::anchor_from_trusted_cert(&der).map(|anchor| anchor.to_owned());
            anchor.map_err(StoreError::Anchor)
        });
        let webpki_anchors = webpki_anchors.collect::<Result<_, _>>()?;
        Ok(Self { webpki_anchors, anchors, intermediates })
    }

    /// Whether no chain can end anywhere.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// Every CA's certificate that is known.
    pub fn authorities(&self) -> impl Iterator<Item = &Certificate> + Clone {
        self.anchors.iter().chain(&self.intermediates)
    }

    /// The CAs that a chain may end in.
    pub fn anchors(&self) -> &[Certificate] {
        &self.anchors
    }

    /// Builds and verifies a chain from a client's certificate to an anchor; `sent` are further
    /// certificates that came with it, which nobody has vouched for.
    ///
    /// # Errors
    /// Why there is none. Any doubt is an error.
    pub fn verify(
        &self,
        leaf: &Certificate,
        sent: &[Certificate],
        now: UnixTime,
    ) -> Result<Chain, ChainError> {
        if self.anchors.is_empty() {
            return Err(ChainError::NoAnchors);
        }
        let sent = sent.iter().take(MAX_CHAIN_CERTIFICATES);
        let between: Vec<&Certificate> = self.intermediates.iter().chain(sent).collect();
        let ders: Vec<CertificateDer<'_>> =
            between.iter().map(|one| CertificateDer::from(&*one.der)).collect();
        let search = Search { store: self, leaf, between, now, refused: Cell::new(None) };

        let der = CertificateDer::from(&*leaf.der);
        let end = EndEntityCert::try_from(&der).map_err(ChainError::from)?;
        let seconds = u64::try_from(now.as_seconds()).unwrap_or_default();
        let time = pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let accept = |path: &VerifiedPath<'_>| match search.examine(path) {
            Ok(_) => Ok(()),
            Err(refused) => {
                search.refused.set(Some(refused));
                Err(webpki::Error::UnknownIssuer)
            }
        };
        let verified = end.verify_for_usage(
            ALGORITHMS,
            &self.webpki_anchors,
            &ders,
            time,
            ClientUsage,
            None,
            Some(&accept),
        );
        match verified {
            Ok(path) => search.examine(&path),
            Err(error) => Err(search.refused.take().unwrap_or_else(|| ChainError::from(error))),
        }
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustStore")
            .field("anchors", &self.anchors)
            .field("intermediates", &self.intermediates)
            .finish_non_exhaustive()
    }
}

/// A verified chain, as far as it counts afterwards.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain {
    /// From the client's certificate upwards; the anchor itself is not among them.
    pub links: Vec<Link>,
    /// The name of the anchor.
    pub anchor: DistinguishedName,
    /// SHA-256 of the anchor's certificate.
    pub anchor_sha256: Fingerprint,
    /// While all of its certificates are valid, the anchor among them.
    pub validity: Validity,
}

/// One certificate of a chain with the key that signed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// Who issued it.
    pub issuer: DistinguishedName,
    /// SHA-256 of the key that signed it.
    pub issuer_spki: Fingerprint,
    /// Its serial.
    pub serial: SerialNumber,
    /// Whether it is a CA's.
    pub is_ca: bool,
}

/// A span of time with both ends in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// The first instant.
    pub not_before: UnixTime,
    /// The last second.
    pub not_after: UnixTime,
}

impl Validity {
    fn of(certificate: &Certificate) -> Self {
        Self { not_before: certificate.not_before, not_after: certificate.not_after }
    }

    fn and(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.max(other.not_before),
            not_after: self.not_after.min(other.not_after),
        }
    }

    /// Whether this instant lies in it; notAfter has whole seconds and is inclusive (4.1.2.5).
    #[must_use]
    pub fn holds_at(&self, now: UnixTime) -> bool {
        self.not_before <= now && now.as_seconds() <= self.not_after.as_seconds()
    }
}

/// One search for a chain.
struct Search<'s> {
    store: &'s TrustStore,
    leaf: &'s Certificate,
    between: Vec<&'s Certificate>,
    now: UnixTime,
    /// Why the last path that webpki accepted was refused all the same.
    refused: Cell<Option<ChainError>>,
}

impl Search<'_> {
    /// Adds what webpki does not look at: key usage of CAs (4.2.1.3), the anchor's own validity and
    /// path length, and mail constraints over `emailAddress`.
    fn examine(&self, path: &VerifiedPath<'_>) -> Result<Chain, ChainError> {
        let unknown = || ChainError::from(webpki::Error::UnknownIssuer);
        let mut certificates = vec![self.leaf];
        for one in path.intermediate_certificates() {
            let known = self.between.iter().find(|known| *known.der == *one.der());
            certificates.push(known.copied().ok_or_else(unknown)?);
        }
        let anchor = self.find_anchor(path, &certificates)?;
        let mut validity = Validity::of(anchor);
        let mut links = Vec::with_capacity(certificates.len());
        let issuers = certificates.iter().copied().skip(1).chain([anchor]);
        for (place, (one, issuer)) in certificates.iter().copied().zip(issuers).enumerate() {
            if !may_sign_certificates(issuer) {
                let subject = issuer.subject.to_string();
                return Err(ChainError::AuthorityMayNotSign { subject });
            }
            check_email(issuer, certificates.get(..=place).unwrap_or(&certificates))?;
            validity = validity.and(Validity::of(one));
            links.push(Link {
                issuer: one.issuer.clone(),
                issuer_spki: issuer.spki_sha256,
                serial: one.serial.clone(),
                is_ca: one.is_ca,
            });
        }
        Ok(Chain { links, anchor: anchor.subject.clone(), anchor_sha256: anchor.sha256, validity })
    }

    /// The anchor's certificate; of several with the same name and key (a renewed one beside the
    /// old), the first that counts.
    fn find_anchor(
        &self,
        path: &VerifiedPath<'_>,
        below: &[&Certificate],
    ) -> Result<&Certificate, ChainError> {
        let mut outcome = Err(ChainError::from(webpki::Error::UnknownIssuer));
        for (one, certificate) in self.store.webpki_anchors.iter().zip(&self.store.anchors) {
            if one != path.anchor() {
                continue;
            }
            match check_anchor(certificate, below, self.now) {
                Ok(()) => return Ok(certificate),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }
}

/// What an anchor says of itself, which webpki does not look at.
fn check_anchor(
    anchor: &Certificate,
    below: &[&Certificate],
    now: UnixTime,
) -> Result<(), ChainError> {
    let subject = || anchor.subject.to_string();
    if !Validity::of(anchor).holds_at(now) {
        return Err(ChainError::AnchorNotValid { subject: subject() });
    }
    // Self-issued CAs do not count (6.1.4 l), the client's certificate neither.
    let authorities = below.iter().skip(1).filter(|one| one.subject != one.issuer).count();
    let allowed = anchor.path_length.and_then(|allowed| usize::try_from(allowed).ok());
    if allowed.is_some_and(|allowed| authorities > allowed) {
        return Err(ChainError::AnchorPathLength { subject: subject() });
    }
    Ok(())
}

/// 4.2.1.3: without the extension a key is not restricted.
fn may_sign_certificates(authority: &Certificate) -> bool {
    authority.key_usage.is_none_or(|usage| usage & KEY_CERT_SIGN != 0)
}

fn check_email(issuer: &Certificate, below: &[&Certificate]) -> Result<(), ChainError> {
    let Some(constraints) = issuer.name_constraints.as_deref() else {
        return Ok(());
    };
    let subject = || issuer.subject.to_string();
    let constrains = constrains_email(constraints)
        .map_err(|_| ChainError::NameConstraints { subject: subject() })?;
    if !constrains {
        return Ok(());
    }
    if below.iter().any(|one| one.subject.has_attribute(EMAIL_ADDRESS)) {
        return Err(ChainError::EmailConstraint { subject: subject() });
    }
    Ok(())
}

/// Whether a permitted or excluded subtree is of mail addresses, 4.2.1.10.
fn constrains_email(constraints: &[u8]) -> Result<bool, DerError> {
    let mut subtrees = der::single(constraints, der::SEQUENCE)?.reader();
    while !subtrees.is_empty() {
        let mut list = subtrees.any()?.reader();
        while !list.is_empty() {
            let base = list.expect(der::SEQUENCE)?.reader().any()?;
            if base.tag == RFC822_NAME {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Extended key usage for clients, 4.2.1.12: absent, clientAuth or any; of CAs as well, where it
/// restricts what they may issue.
#[derive(Clone, Copy)]
struct ClientUsage;

impl ExtendedKeyUsageValidator for ClientUsage {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let good = [KeyPurposeId::new(CLIENT_AUTH), KeyPurposeId::new(ANY_USAGE)];
        let mut is_absent = true;
        let mut is_good = false;
        for usage in usages {
            is_absent = false;
            is_good |= good.contains(&usage?);
        }
        if is_absent || is_good {
            return Ok(());
        }
        Err(webpki::Error::RequiredEkuNotFoundContext(webpki::RequiredEkuNotFoundContext {
            required: webpki::KeyUsage::client_auth(),
            present: Vec::new(),
        }))
    }
}

/// Certificates that come with a client's: real chains have 1 to 3; more is work for nothing.
pub const MAX_CHAIN_CERTIFICATES: usize = 10;
/// Bit of the key usage: keyCertSign.
const KEY_CERT_SIGN: u16 = 1 << 5;
/// Identifier octet of a GeneralName.
const RFC822_NAME: u8 = 0x81;
/// Content octets: id-kp-clientAuth and anyExtendedKeyUsage.
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
