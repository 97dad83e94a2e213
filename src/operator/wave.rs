//! Approving all of the inbox at once, each for the user that its certificate names.
//!
//! A name is worth what its issuer vouches for: who approves by names says of which issuer, and
//! before which domain; what happens to wait in the inbox says neither. It makes nobody an
//! administrator's double.

use std::collections::BTreeSet;
use std::fmt;

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
    /// Only those of this issuer; needed for names.
    pub issuer: Option<Authority>,
    /// Only names before this domain; needed for names before an `@`.
    pub domain: Option<String>,
    /// What the mappings hang on.
    pub binding: Binding,
    /// Adds users who are not there.
    pub create: bool,
    /// A remark.
    pub note: Option<String>,
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
    #[error("{username} is an administrator: approve it by its own fingerprint, and name the user")]
    Administrator {
        /// Who.
        username: String,
    },
    /// Not what was asked for.
    #[error("it is not of that issuer, or names nobody before that domain")]
    AnotherSource,
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
    /// Names before an `@`, and nobody said before which domain.
    #[error("a name before an @ is one of its domain: say of which, with --domain{0}")]
    DomainNeeded(Choices),
    /// Names, and nobody said whose.
    #[error("a name is worth what its issuer vouches for: say of which, with --issuer{0}")]
    IssuerNeeded(Choices),
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

/// What there is to choose from.
#[derive(Debug)]
pub struct Choices(BTreeSet<String>);

impl fmt::Display for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, text) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "; there is: " } else { "; " })?;
            f.write_str(text)?;
        }
        Ok(())
    }
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
    check_source(&certificates, wave)?;
    let mut outcomes = Vec::with_capacity(certificates.len());
    for certificate in certificates {
        outcomes.push(judge(certificate, &mut approver, ground, wave).await?);
    }
    Ok(outcomes)
}

/// Approves one certificate for the user that it names, on the conditions of a wave.
///
/// # Errors
/// Nothing may be committed.
pub async fn approve_named(
    work: &mut Work,
    ground: &Ground,
    certificate: Certificate,
    wave: &Wave,
) -> Result<Outcome, WaveError> {
    let mut approver = Approver::start(work, ground).await?;
    check_source(std::slice::from_ref(&certificate), wave)?;
    if !is_wanted(&certificate, wave) {
        let result = Err(Skipped::AnotherSource);
        return Ok(Outcome { certificate, username: None, result });
    }
    judge(certificate, &mut approver, ground, wave).await
}

async fn judge(
    certificate: Certificate,
    approver: &mut Approver<'_>,
    ground: &Ground,
    wave: &Wave,
) -> Result<Outcome, WaveError> {
    let (username, result) = match name(&certificate, approver, ground, wave).await? {
        Ok(username) => {
            let done = approve_one(&certificate, &username, approver, ground, wave).await;
            let result = match done {
                Err(Skipped::Refused(ApproveError::Store(error))) => return Err(error.into()),
                result => result,
            };
            (Some(username), result)
        }
        Err(error) => (None, Err(Skipped::Naming(error))),
    };
    Ok(Outcome { certificate, username, result })
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
        .filter(|one| is_wanted(one, wave))
        .filter(|one| Standing::of(one, directory, ground).is_unmapped())
        .collect()
}

/// Whether it is of the issuer and of the domain that were said.
fn is_wanted(certificate: &Certificate, wave: &Wave) -> bool {
    if wave.issuer.as_ref().is_some_and(|issuer| !issuer.issued(certificate)) {
        return false;
    }
    let Some(domain) = &wave.domain else { return true };
    let named = wave.names.read(certificate).ok().and_then(|named| named.domain);
    named.is_some_and(|named| named.eq_ignore_ascii_case(domain))
}

/// Names are taken of the issuer and the domain that an operator says, whatever lies in the inbox.
fn check_source(certificates: &[Certificate], wave: &Wave) -> Result<(), WaveError> {
    if wave.names == NameFrom::Renewal {
        return Ok(());
    }
    let mut issuers = BTreeSet::new();
    let mut texts = BTreeSet::new();
    for one in certificates {
        issuers.insert((one.issuer.canonical().to_vec(), one.authority_key_id.clone()));
        let key = one.authority_key_id.as_deref().map(hex);
        texts.insert(format!("{}, key {}", one.issuer, key.as_deref().unwrap_or("not named")));
    }
    if wave.issuer.is_none() {
        return Err(WaveError::IssuerNeeded(Choices(texts)));
    }
    // Of one name, and still of two keys.
    if issuers.len() > 1 {
        return Err(WaveError::SeveralIssuers(texts.into_iter().collect()));
    }
    if wave.names.has_domain() && wave.domain.is_none() {
        let named = certificates.iter().filter_map(|one| wave.names.read(one).ok());
        return Err(WaveError::DomainNeeded(Choices(
            named.filter_map(|named| named.domain).collect(),
        )));
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
        note: wave.note.clone(),
        created_by: wave.created_by.clone(),
    };
    approver.approve(certificate, &approval).await.map_err(Skipped::Refused)
}
