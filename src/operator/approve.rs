//! Giving a certificate to somebody: one after the other, so that no certificate gets two owners.

use super::{Binding, BindingError, Ground, Standing};
use crate::directory::row::{Change, MappingRow, UserRow};
use crate::directory::{Directory, Mapping, Name, NameError, parse_pattern};
use crate::pki::{Certificate, Identity, UnixTime};
use crate::store::{NewMapping, NewUser, StoreError, Work};

/// Whose a certificate shall be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Approval {
    /// Whose.
    pub username: String,
    /// What the mapping hangs on.
    pub binding: Binding,
    /// Adds the user if there is none.
    pub create: bool,
    /// A remark.
    pub note: Option<String>,
    /// Who approves, for `created_by`.
    pub created_by: Option<String>,
}

/// What was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Approved {
    /// The mapping.
    pub mapping: i64,
    /// The user was not there before.
    pub is_new_user: bool,
    /// The user is disabled, or outside of its window: the certificate lets nobody in yet.
    pub is_user_disabled: bool,
}

/// Why a certificate is not given to that user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApproveError {
    /// It is theirs.
    #[error("mapping {mapping} gives it to {username} already")]
    AlreadyMapped {
        /// By which mapping.
        mapping: i64,
        /// Whose.
        username: String,
    },
    /// It cannot be bound in that way.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// It is kept out.
    #[error("block {block} keeps it out; look at `certgate block show {block}`")]
    Blocked {
        /// By which block.
        block: i64,
    },
    /// Such a mapping matches nothing as certgate is configured.
    #[error(
        "a mapping of kind {kind} could not match as certgate is configured (identity.weak, \
             identity.source); choose another --by"
    )]
    CannotMatch {
        /// The kind.
        kind: &'static str,
    },
    /// It is over.
    #[error("it expired at {at}")]
    Expired {
        /// When.
        at: UnixTime,
    },
    /// Whoever has the lost certificate's key can use this one.
    #[error(
        "its key is that of the certificate {sha256}, which {row} keeps out; its holder needs a new \
         key"
    )]
    LostKey {
        /// The certificate that is kept out.
        sha256: String,
        /// By which block or mapping.
        row: String,
    },
    /// It is a CA's, or made for something else than clients.
    #[error("it is not a client's: a CA's, or its extended key usage says otherwise")]
    NotAClients,
    /// The user's name is none.
    #[error("{username:?} is no user's name: {why}")]
    NotAName {
        /// What was given.
        username: String,
        /// What is wrong.
        why: NameError,
    },
    /// Nobody of that name.
    #[error("no such user: {username:?}; add it with --create or `certgate user add`")]
    NoSuchUser {
        /// The name.
        username: String,
    },
    /// Somebody has revoked it.
    #[error("mapping {mapping} of {username} is revoked, and with it this certificate")]
    Revoked {
        /// By which mapping.
        mapping: i64,
        /// Whose.
        username: String,
    },
    /// A rule gives it to somebody else.
    #[error("rule {rule} gives it to {username}; to overrule that, use `certgate mapping add`")]
    RuleDecides {
        /// Its priority.
        rule: i64,
        /// To whom.
        username: String,
    },
    /// A database that did not answer, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A mapping that matches is switched off or outside of its window.
    #[error(
        "mapping {mapping} of {username} is about it and does not count (disabled, over, or not \
         yet); enable, edit or remove that one"
    )]
    SwitchedOff {
        /// Which.
        mapping: i64,
        /// Whose.
        username: String,
    },
    /// It is somebody else's.
    #[error("mapping {mapping} gives it to {username}")]
    Taken {
        /// By which mapping.
        mapping: i64,
        /// To whom.
        username: String,
    },
    /// A user of the name in another case.
    #[error("there is a user of that name in another case than {username:?}")]
    UserOfOtherCase {
        /// The name.
        username: String,
    },
}

/// Approves certificates within one transaction, on the directory as it stands in it.
#[derive(Debug)]
pub struct Approver<'w> {
    work: &'w mut Work,
    ground: &'w Ground,
    directory: Directory,
}

impl<'w> Approver<'w> {
    /// Keeps every other approver out until the transaction ends, then looks at what is mapped.
    ///
    /// # Errors
    /// The database does not answer, or another approver does not come to an end.
    pub async fn start(work: &'w mut Work, ground: &'w Ground) -> Result<Self, StoreError> {
        work.lock_approvals().await?;
        let rows = work.load().await?;
        let directory = Directory::build(&rows, &ground.settings);
        Ok(Self { work, ground, directory })
    }

    /// The directory, with what was approved here.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The transaction.
    pub const fn work(&mut self) -> &mut Work {
        self.work
    }

    /// Gives a certificate that is nobody's to this user.
    ///
    /// # Errors
    /// Whatever speaks against it; nothing was changed. After [`ApproveError::Store`] the
    /// transaction can only be dropped.
    pub async fn approve(
        &mut self,
        certificate: &Certificate,
        approval: &Approval,
    ) -> Result<Approved, ApproveError> {
        let pattern = approval.binding.pattern(certificate)?;
        let username = &approval.username;
        Name::parse(username.as_bytes())
            .map_err(|why| ApproveError::NotAName { username: username.clone(), why })?;
        self.check(certificate, approval)?;
        self.check_key(certificate).await?;
        let user = self.directory.user(username);
        let is_new_user = user.is_none();
        let is_user_disabled = user
            .is_some_and(|user| !user.window.is_some_and(|window| window.is_open(self.ground.now)));
        let mut changes = Vec::new();
        if is_new_user {
            changes.push(self.add_user(approval).await?);
        }
        let new = NewMapping {
            username: username.clone(),
            pattern,
            note: approval.note.clone(),
            created_by: approval.created_by.clone(),
            ..NewMapping::default()
        };
        let mapping = self.work.mapping_add(&new).await?;
        self.work.certificate_add(certificate).await?;
        changes.push(Change::Mapping(mapping, Some(row(mapping, &new))));
        match self.directory.apply(&changes) {
            Some(directory) => self.directory = directory,
            None => {
                let rows = self.work.load().await?;
                self.directory = Directory::build(&rows, &self.ground.settings);
            }
        }
        Ok(Approved { mapping, is_new_user, is_user_disabled })
    }

    async fn add_user(&mut self, approval: &Approval) -> Result<Change, ApproveError> {
        let username = approval.username.clone();
        if self.directory.has_user_of_any_case(&username) {
            return Err(ApproveError::UserOfOtherCase { username });
        }
        if !approval.create {
            return Err(ApproveError::NoSuchUser { username });
        }
        let created_by = approval.created_by.clone();
        let new = NewUser { username: username.clone(), created_by, ..NewUser::default() };
        self.work.user_add(&new).await?;
        let key = username.into_bytes();
        let row = UserRow {
            username: key.clone(),
            display_name: None,
            email: None,
            origin: b"operator".to_vec(),
            mapped_only: 0,
            enabled: 1,
            valid_from: None,
            valid_until: None,
        };
        Ok(Change::User { username: key, row: Some(row), groups: Vec::new() })
    }

    /// Fails closed: whatever is kept of this certificate and is not plainly this user's refuses.
    fn check(&self, certificate: &Certificate, approval: &Approval) -> Result<(), ApproveError> {
        let ground = self.ground;
        if ground.now.as_seconds() > certificate.not_after.as_seconds() {
            return Err(ApproveError::Expired { at: certificate.not_after });
        }
        if certificate.is_ca || !certificate.usage.allows_client_auth() {
            return Err(ApproveError::NotAClients);
        }
        let identity = ground.identity(certificate);
        if let Some(block) = self.directory.find_block(&identity, ground.now) {
            return Err(ApproveError::Blocked { block: block.id });
        }
        let matching: Vec<Mapping<'_>> = self
            .directory
            .matching(&identity)
            .filter(|mapping| ground.kinds.contains(mapping.kind))
            .collect();
        if let Some(error) = objection(&matching, &approval.username, ground.now) {
            return Err(error);
        }
        let standing = Standing::of(certificate, &self.directory, ground);
        if let (Some(rule), Some(username)) = (standing.rule, standing.username)
            && username != approval.username
        {
            return Err(ApproveError::RuleDecides { rule, username });
        }
        let kind = approval.binding.kind();
        let pattern = parse_pattern(&approval.binding.pattern(certificate)?.row());
        let does_agree = pattern.is_ok_and(|pattern| pattern.agrees(&identity));
        if !does_agree || !ground.kinds.contains(kind) {
            return Err(ApproveError::CannotMatch { kind: kind.name() });
        }
        Ok(())
    }

    /// A key that was lost with one certificate is lost in all, however many of it are known.
    async fn check_key(&mut self, certificate: &Certificate) -> Result<(), ApproveError> {
        let (directory, ground) = (&self.directory, self.ground);
        let mut lost = None;
        let key = certificate.spki_sha256.to_string();
        let look = |der: &[u8]| {
            if lost.is_none()
                && let Ok(other) = Certificate::from_der(der)
                && let Some(row) = kept_out(&other, directory, ground)
            {
                lost = Some((other.sha256.to_string(), row));
            }
        };
        self.work.each_of_key(&key, look).await?;
        match lost {
            Some((sha256, row)) => Err(ApproveError::LostKey { sha256, row }),
            None => Ok(()),
        }
    }
}

/// By which row a certificate was declared lost. What it says counts, whatever of it requests show.
fn kept_out(certificate: &Certificate, directory: &Directory, ground: &Ground) -> Option<String> {
    let full = Identity::from_certificate(certificate);
    for identity in [&full, &ground.identity(certificate)] {
        if let Some(block) = directory.find_block(identity, ground.now) {
            return Some(format!("block {}", block.id));
        }
    }
    let is_revoked = |one: &Mapping<'_>| one.kind.is_strong() && one.revoked_at.is_some();
    let mapping = directory.matching(&full).find(is_revoked)?;
    Some(format!("the revoked mapping {}", mapping.id))
}

/// What speaks against another mapping, the gravest first.
pub(super) fn objection(
    matching: &[Mapping<'_>],
    username: &str,
    now: UnixTime,
) -> Option<ApproveError> {
    let of = |mapping: &Mapping<'_>| (mapping.id, mapping.username.to_owned());
    if let Some((mapping, username)) = matching.iter().find(|one| one.revoked_at.is_some()).map(of)
    {
        return Some(ApproveError::Revoked { mapping, username });
    }
    let is_others = |one: &&Mapping<'_>| one.is_active(now) && one.username != username;
    if let Some((mapping, username)) = matching.iter().find(is_others).map(of) {
        return Some(ApproveError::Taken { mapping, username });
    }
    if let Some((mapping, username)) = matching.iter().find(|one| !one.is_active(now)).map(of) {
        return Some(ApproveError::SwitchedOff { mapping, username });
    }
    let (mapping, username) = matching.first().map(of)?;
    Some(ApproveError::AlreadyMapped { mapping, username })
}

/// The mapping as it was written.
fn row(id: i64, new: &NewMapping) -> MappingRow {
    MappingRow {
        id,
        username: new.username.clone().into_bytes(),
        pattern: new.pattern.row(),
        enabled: 1,
        valid_from: None,
        valid_until: None,
        revoked_at: None,
        revoked_reason: None,
        note: None,
    }
}
