//! Approving all of the inbox at once, each for the user that its certificate names.
//!
//! A name is worth what its issuer vouches for: a wave by names is about one issuer, and about one
//! domain, or says which. It makes nobody an administrator's double.

use std::collections::BTreeSet;

use super::likeness::renewed_user;
use super::reissue::hex;
use super::{Approval, ApproveError, Approved, Approver, Authority, Binding, Ground};
use super::{NameFrom, NamingError, Standing, likenesses};
use crate::pki::Certificate;
use crate::store::{StoreError, StoredCertificate, Work};

/// What to approve, and for whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wave {
    /// Where the names come from.
    pub names: NameFrom,
    /// Only those of this issuer.
    pub issuer: Option<Authority>,
    /// Only names before this domain.
    pub domain: Option<String>,
    /// What the mappings hang on.
    pub binding: Binding,
    /// Adds users who are not there.
    pub create: bool,
    /// Who approves, for `created_by`.
    pub created_by: Option<String>,
}

/// What became of one certificate.
#[derive(Debug)]
pub struct Outcome {
    /// The certificate.
    pub certificate: Certificate,
    /// For whom, as far as it names somebody.
    pub username: Option<String>,
    /// The mapping, or why there is none.
    pub result: Result<Approved, Skipped>,
}

/// Why a certificate stays in the inbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Skipped {
    /// Not by name.
    #[error("{username} is an administrator: approve it by its own fingerprint")]
    Administrator {
        /// Who.
        username: String,
    },
    /// It names nobody.
    #[error(transparent)]
    Naming(#[from] NamingError),
    /// Something speaks against it.
    #[error(transparent)]
    Refused(ApproveError),
}

/// Why there is no wave at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaveError {
    /// Names before several domains.
    #[error("the names in the inbox are of several domains ({}); choose one with --domain", .0.join(", "))]
    SeveralDomains(Vec<String>),
    /// Names that several issuers vouch for.
    #[error(
        "the certificates in the inbox are of several issuers ({}), and a name is worth what its \
         issuer vouches for; choose one with --issuer",
        .0.join("; ")
    )]
    SeveralIssuers(Vec<String>),
    /// A database that did not answer, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Approves what can be, and says why of the rest.
///
/// # Errors
/// Nothing may be committed.
pub async fn approve_all(
    work: &mut Work,
    ground: &Ground,
    wave: &Wave,
) -> Result<Vec<Outcome>, WaveError> {
    let mut approver = Approver::start(work, ground).await?;
    let rows = approver.work().inbox_list(None).await?;
    let certificates = candidates(&rows, approver.directory(), ground, wave);
    check_one_source(&certificates, wave)?;
    let mut outcomes = Vec::with_capacity(certificates.len());
    for certificate in certificates {
        let named = name(&certificate, &mut approver, ground, wave).await?;
        let (username, result) = match named {
            Ok(username) => {
                let done = approve_one(&certificate, &username, &mut approver, ground, wave).await;
                let result = match done {
                    Err(Skipped::Refused(ApproveError::Store(error))) => return Err(error.into()),
                    result => result,
                };
                (Some(username), result)
            }
            Err(error) => (None, Err(Skipped::Naming(error))),
        };
        outcomes.push(Outcome { certificate, username, result });
    }
    Ok(outcomes)
}

/// What is in the inbox and still nobody's.
fn candidates(
    rows: &[StoredCertificate],
    directory: &crate::directory::Directory,
    ground: &Ground,
    wave: &Wave,
) -> Vec<Certificate> {
    let parsed = rows.iter().filter_map(|row| Certificate::from_der(&row.der).ok());
    parsed
        .filter(|one| wave.issuer.as_ref().is_none_or(|issuer| issuer.issued(one)))
        .filter(|one| Standing::of(one, directory, ground).is_unmapped())
        .filter(|one| {
            let Some(domain) = &wave.domain else { return true };
            let named = wave.names.read(one).ok().and_then(|named| named.domain);
            named.is_some_and(|named| named.eq_ignore_ascii_case(domain))
        })
        .collect()
}

fn check_one_source(certificates: &[Certificate], wave: &Wave) -> Result<(), WaveError> {
    if wave.names == NameFrom::Renewal {
        return Ok(());
    }
    let mut issuers = BTreeSet::new();
    let mut texts = BTreeSet::new();
    let mut domains = BTreeSet::new();
    for one in certificates {
        issuers.insert((one.issuer.canonical().to_vec(), one.authority_key_id.clone()));
        let key = one.authority_key_id.as_deref().map(hex);
        texts.insert(format!("{}, key {}", one.issuer, key.as_deref().unwrap_or("not named")));
        domains.extend(wave.names.read(one).ok().and_then(|named| named.domain));
    }
    if issuers.len() > 1 {
        return Err(WaveError::SeveralIssuers(texts.into_iter().collect()));
    }
    if domains.len() > 1 {
        return Err(WaveError::SeveralDomains(domains.into_iter().collect()));
    }
    Ok(())
}

async fn name(
    certificate: &Certificate,
    approver: &mut Approver<'_>,
    ground: &Ground,
    wave: &Wave,
) -> Result<Result<String, NamingError>, StoreError> {
    if wave.names != NameFrom::Renewal {
        return Ok(wave.names.read(certificate).map(|named| named.username));
    }
    let directory = approver.directory().clone();
    let alike = likenesses(approver.work(), certificate, &directory, ground).await?;
    Ok(renewed_user(&alike).map(str::to_owned).ok_or(NamingError::NotOneRenewal))
}

async fn approve_one(
    certificate: &Certificate,
    username: &str,
    approver: &mut Approver<'_>,
    ground: &Ground,
    wave: &Wave,
) -> Result<Approved, Skipped> {
    let admin_group = &ground.settings.admin_group;
    let user = approver.directory().user(username);
    let is_admin = user.is_some_and(|user| {
        user.groups.iter().any(|group| group.eq_ignore_ascii_case(admin_group))
    });
    if is_admin {
        return Err(Skipped::Administrator { username: username.to_owned() });
    }
    let approval = Approval {
        username: username.to_owned(),
        binding: wave.binding,
        create: wave.create,
        note: None,
        created_by: wave.created_by.clone(),
    };
    approver.approve(certificate, &approval).await.map_err(Skipped::Refused)
}
