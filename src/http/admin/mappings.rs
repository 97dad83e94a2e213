//! `/mappings`: which certificates belong to a user.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::operation::{Call, Page, Removed, answer};
use super::pattern::{Chosen, Columns, Wanted};
use super::problem::Problem;
use super::{body, edit};
use crate::directory::{Kind, parse_pattern};
use crate::operator::{RevokeError, revoke_mapping};
use crate::store::{self, Edit, MappingEdit, NewMapping};

/// A mapping.
#[derive(Serialize, ToSchema)]
pub(super) struct Mapping {
    id: i64,
    username: String,
    /// What it hangs on; null for a row that cannot be read, which matches nothing.
    kind: Option<String>,
    pattern: Columns,
    /// The operator's switch.
    enabled: bool,
    /// Start of the window, RFC 3339.
    valid_from: Option<String>,
    /// End of the window, exclusive.
    valid_until: Option<String>,
    /// From then on the certificate is refused, whatever else matches.
    revoked_at: Option<String>,
    revoked_reason: Option<String>,
    note: Option<String>,
    created_by: Option<String>,
    created_at: Option<String>,
}

impl From<store::Mapping> for Mapping {
    fn from(mapping: store::Mapping) -> Self {
        Self {
            id: mapping.id,
            username: mapping.username,
            kind: kind(&mapping.pattern).map(|kind| kind.name().to_owned()),
            pattern: mapping.pattern.into(),
            enabled: mapping.enabled,
            valid_from: mapping.valid_from,
            valid_until: mapping.valid_until,
            revoked_at: mapping.revoked_at,
            revoked_reason: mapping.revoked_reason,
            note: mapping.note,
            created_by: mapping.created_by,
            created_at: mapping.created_at,
        }
    }
}

/// A mapping to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMapping)]
pub(super) struct Add {
    /// An existing user.
    username: String,
    #[serde(deserialize_with = "body::object")]
    pattern: Wanted,
    /// RFC 3339.
    valid_from: Option<String>,
    /// RFC 3339, exclusive.
    valid_until: Option<String>,
    note: Option<String>,
    /// Add it although it cannot match as certgate is configured.
    #[serde(default)]
    anyway: bool,
}

/// Changes to a mapping; what it matches never changes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MappingChange)]
pub(super) struct Change {
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    valid_from: Edit<String>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    valid_until: Edit<String>,
    #[serde(default, deserialize_with = "edit::read")]
    #[schema(value_type = Option<String>)]
    note: Edit<String>,
}

/// Why a certificate is refused from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    pub(super) reason: Option<String>,
}

pub(super) async fn list(call: &mut Call) -> Result<Value, Problem> {
    let (after, limit) = (call.query.cursor_id()?, call.query.limit());
    let user = call.query.text("user");
    let mappings = call.work.mapping_page(user, after, limit + 1).await?;
    let mappings = mappings.into_iter().map(Mapping::from).collect();
    answer(Page::cut(mappings, limit, |mapping| mapping.id.to_string()))
}

pub(super) async fn show(call: &mut Call) -> Result<Value, Problem> {
    let id = call.id()?;
    told(call, id).await
}

pub(super) async fn add(call: &mut Call) -> Result<Value, Problem> {
    let body: Add = call.body()?;
    let chosen = body.pattern.read()?;
    let Some(kind) = chosen.pattern.kind() else {
        return Err(Problem::refused("bad_value", "pattern: the issuer alone names nobody"));
    };
    if !body.anyway {
        check_useful(call, kind, &chosen)?;
    }
    let new = NewMapping {
        username: body.username,
        pattern: chosen.text,
        valid_from: body.valid_from,
        valid_until: body.valid_until,
        note: body.note,
        created_by: call.creator(),
    };
    let id = call.work.mapping_add(&new).await?;
    told(call, id).await
}

pub(super) async fn edit(call: &mut Call) -> Result<Value, Problem> {
    let id = call.id()?;
    let body: Change = call.body()?;
    let edit =
        MappingEdit { valid_from: body.valid_from, valid_until: body.valid_until, note: body.note };
    if edit != MappingEdit::default() {
        call.work.mapping_edit(id, &edit).await?;
    }
    told(call, id).await
}

pub(super) async fn enable(call: &mut Call) -> Result<Value, Problem> {
    set_enabled(call, true).await
}

pub(super) async fn disable(call: &mut Call) -> Result<Value, Problem> {
    set_enabled(call, false).await
}

async fn set_enabled(call: &mut Call, on: bool) -> Result<Value, Problem> {
    let id = call.id()?;
    call.work.mapping_set_enabled(id, on).await?;
    told(call, id).await
}

/// Revokes one certificate. A mapping by name stands for every certificate of that name.
pub(super) async fn revoke(call: &mut Call) -> Result<Value, Problem> {
    let id = call.id()?;
    let body: Reason = call.body()?;
    revoke_mapping(&mut call.work, id, body.reason.as_deref(), None).await?;
    told(call, id).await
}

pub(super) async fn remove(call: &mut Call) -> Result<Value, Problem> {
    let id = call.id()?;
    call.work.mapping_remove(id).await?;
    answer(Removed::DONE)
}

/// The mapping as it is, which this call has touched.
async fn told(call: &mut Call, id: i64) -> Result<Value, Problem> {
    call.touched.push(id);
    answer(Mapping::from(call.work.mapping_show(id).await?))
}

impl From<RevokeError> for Problem {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Store(error) => error.into(),
            _ => Self::conflict(
                "not_one_certificate",
                "the mapping is not bound to one certificate, so revoking it would not stop the one \
                 that is meant; block the certificate, or disable the mapping",
            ),
        }
    }
}

/// A mapping that could never match is a mistake, which nobody would notice until the user is
/// kept out.
fn check_useful(call: &Call, kind: Kind, chosen: &Chosen) -> Result<(), Problem> {
    if !call.ground.kinds.contains(kind) {
        let kind = kind.name();
        return Err(Problem::refused(
            "weak_kind",
            format!(
                "a mapping of kind {kind} could not match: identity.weak does not name it; choose \
                 a stronger kind, or say anyway"
            ),
        ));
    }
    if chosen.certificate.as_ref().is_some_and(|certificate| certificate.is_ca) {
        let why = "the certificate of a CA is never accepted as a client's; say anyway to add it";
        return Err(Problem::refused("bad_certificate", why));
    }
    Ok(())
}

/// What a mapping hangs on; none if it cannot be read.
fn kind(pattern: &store::PatternText) -> Option<Kind> {
    parse_pattern(&pattern.row()).ok()?.kind()
}
