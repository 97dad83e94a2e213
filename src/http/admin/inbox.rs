//! `/inbox`: verified certificates of nobody, to be given to somebody.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::certificates::{self, known};
use super::operation::{Call, Page, answer};
use super::pattern::{By, Ca};
use super::problem::Problem;
use crate::operator::{Approval, ApproveError, Approver, NameFrom, Wave, approve_all};

/// To whom a certificate is given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Approval)]
pub(super) struct Approve {
    username: String,
    /// What of the certificate counts; sha256 if absent.
    #[serde(default)]
    by: By,
    /// Add the user if there is none.
    #[serde(default)]
    create: bool,
    note: Option<String>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub(super) struct Approved {
    username: String,
    mapping: i64,
    /// The user was not there before.
    is_new_user: bool,
    /// The user does not come in yet: disabled, or outside of its window.
    is_user_disabled: bool,
}

/// Each certificate for the user that it names.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Wave)]
pub(super) struct ApproveAll {
    user_from: UserFrom,
    /// Only those of this issuer; needed for names (every user_from but renewal).
    issuer: Option<Ca>,
    /// Only names before this domain; needed for names before an @ (san_email.local, san_upn.local).
    domain: Option<String>,
    #[serde(default)]
    by: By,
    /// Add users who are not there.
    #[serde(default)]
    create: bool,
}

/// Where a user's name comes from.
#[derive(Clone, Copy, Deserialize, ToSchema)]
pub(super) enum UserFrom {
    /// Its only common name.
    #[serde(rename = "common_name")]
    CommonName,
    /// The one user whose certificate it follows.
    #[serde(rename = "renewal")]
    Renewal,
    /// What stands before the @ of its only e-mail address.
    #[serde(rename = "san_email.local")]
    SanEmailLocal,
    /// What stands before the @ of its only user principal name.
    #[serde(rename = "san_upn.local")]
    SanUpnLocal,
}

/// What became of everything.
#[derive(Serialize, ToSchema)]
pub(super) struct Outcomes {
    outcomes: Vec<Outcome>,
}

/// What became of one certificate.
#[derive(Serialize, ToSchema)]
pub(super) struct Outcome {
    sha256: String,
    subject: String,
    /// For whom, as far as it names somebody.
    username: Option<String>,
    /// The mapping; null if there is none.
    mapping: Option<i64>,
    /// The user was not there before.
    is_new_user: bool,
    /// The user does not come in yet: disabled, or outside of its window.
    is_user_disabled: bool,
    /// Why not.
    skipped: Option<String>,
}

/// Whether the inbox tells of a certificate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ignore {
    /// False lists it again.
    ignored: bool,
}

pub(super) async fn list(call: &mut Call) -> Result<Value, Problem> {
    let limit = call.query.limit();
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let directory = call.directory()?;
    let mut after = call.query.cursor().map(str::to_owned);
    let mut waiting = Vec::new();
    loop {
        let rows = call.work.inbox_page(after.as_deref(), limit + 1).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.sha256.clone());
        // The table knows the last decision; what was mapped since then is nobody's no more.
        let known = rows.into_iter().filter_map(|row| known(call, row, &directory));
        waiting.extend(known.filter(certificates::KnownCertificate::is_unmapped));
        if waiting.len() >= wanted {
            break;
        }
    }
    answer(Page::cut(waiting, limit, |one| one.sha256.clone()))
}

pub(super) async fn approve(call: &mut Call) -> Result<Value, Problem> {
    let body: Approve = call.body()?;
    let (_, certificate) = certificates::found(call).await?;
    let approval = Approval {
        username: body.username,
        binding: body.by.into(),
        create: body.create,
        note: body.note,
        created_by: call.creator(),
    };
    let ground = call.ground.clone();
    let mut approver = Approver::start(&mut call.work, &ground).await?;
    let approved = approver.approve(&certificate, &approval).await?;
    answer(Approved {
        username: approval.username,
        mapping: approved.mapping,
        is_new_user: approved.is_new_user,
        is_user_disabled: approved.is_user_disabled,
    })
}

pub(super) async fn approve_everything(call: &mut Call) -> Result<Value, Problem> {
    let body: ApproveAll = call.body()?;
    let wave = Wave {
        names: match body.user_from {
            UserFrom::CommonName => NameFrom::CommonName,
            UserFrom::Renewal => NameFrom::Renewal,
            UserFrom::SanEmailLocal => NameFrom::SanEmailLocal,
            UserFrom::SanUpnLocal => NameFrom::SanUpnLocal,
        },
        issuer: body.issuer.map(Ca::read).transpose()?,
        domain: body.domain,
        binding: body.by.into(),
        create: body.create,
        note: None,
        created_by: call.creator(),
    };
    let ground = call.ground.clone();
    let outcomes = approve_all(&mut call.work, &ground, &wave).await?;
    let mut told = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let (approved, skipped) = match outcome.result {
            Ok(approved) => (Some(approved), None),
            Err(skipped) => (None, Some(skipped.to_string())),
        };
        told.push(Outcome {
            sha256: outcome.certificate.sha256.to_string(),
            subject: outcome.certificate.subject.to_string(),
            username: outcome.username,
            mapping: approved.as_ref().map(|approved| approved.mapping),
            is_new_user: approved.as_ref().is_some_and(|approved| approved.is_new_user),
            is_user_disabled: approved.as_ref().is_some_and(|approved| approved.is_user_disabled),
            skipped,
        });
    }
    answer(Outcomes { outcomes: told })
}

pub(super) async fn ignore(call: &mut Call) -> Result<Value, Problem> {
    let body: Ignore = call.body()?;
    let (row, certificate) = certificates::found(call).await?;
    call.work.certificate_set_ignored(&row.sha256, body.ignored).await?;
    let row = call.work.certificate_show(&row.sha256).await?;
    let row = row.ok_or_else(|| Problem::missing("certificate", certificate.sha256))?;
    certificates::told(call, row, &certificate).await
}

impl From<ApproveError> for Problem {
    fn from(error: ApproveError) -> Self {
        match error {
            ApproveError::Store(error) => error.into(),
            ApproveError::NoSuchUser { .. } => Self::missing("user", error),
            error => Self::conflict("not_approved", error.to_string()),
        }
    }
}

impl From<crate::operator::WaveError> for Problem {
    fn from(error: crate::operator::WaveError) -> Self {
        match error {
            crate::operator::WaveError::Store(error) => error.into(),
            error => Self::conflict("not_approved", error.to_string()),
        }
    }
}
