//! `/reissue`: a CA is replaced, and what is bound to it is carried over to the new one.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::body;
use super::operation::{Call, answer};
use super::pattern::{Ca, Columns};
use super::problem::Problem;
use crate::operator::{self, ReissueError};
use crate::pki::UnixTime;

/// Which CA goes and which comes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reissue {
    #[serde(deserialize_with = "body::object")]
    old: Ca,
    #[serde(deserialize_with = "body::object")]
    new: Ca,
    /// From when on what was carried over no longer counts for the old one, RFC 3339.
    retire_at: Option<String>,
    /// Rules get a twin too, where that is simple.
    #[serde(default)]
    rules: bool,
}

/// What was done, and what not.
#[derive(Serialize, ToSchema)]
pub(super) struct Reissued {
    carried: Vec<Carried>,
    not_carried: Vec<NotCarried>,
    rules: Vec<CarriedRule>,
    /// Mappings whose window now ends.
    retired: Vec<i64>,
}

/// A mapping and its twin.
#[derive(Serialize, ToSchema)]
pub(super) struct Carried {
    id: i64,
    twin: i64,
    /// The twin was made now, and not at another time.
    is_new: bool,
    username: String,
    kind: String,
    pattern: Columns,
}

/// A mapping that somebody has to look at.
#[derive(Serialize, ToSchema)]
pub(super) struct NotCarried {
    id: i64,
    username: String,
    kind: String,
    why: String,
}

/// A rule of the old CA.
#[derive(Serialize, ToSchema)]
pub(super) struct CarriedRule {
    priority: i64,
    twin: Option<i64>,
    why: String,
}

pub(super) async fn reissue(call: &mut Call) -> Result<Value, Problem> {
    let body: Reissue = call.body()?;
    let retire_at = body.retire_at.as_deref().map(UnixTime::parse_rfc3339).transpose();
    let retire_at =
        retire_at.map_err(|error| Problem::refused("bad_value", format!("retire_at: {error}")))?;
    let wish = operator::Reissue {
        old: body.old.read()?,
        new: body.new.read()?,
        retire_at,
        rules: body.rules,
        created_by: call.creator(),
    };
    let ground = call.ground.clone();
    let done = operator::reissue(&mut call.work, &ground, &wish).await?;
    let carried = done.carried.into_iter().map(|one| Carried {
        id: one.id,
        twin: one.twin,
        is_new: one.is_new,
        username: one.username,
        kind: one.kind.to_owned(),
        pattern: one.pattern.into(),
    });
    let not_carried = done.not_carried.into_iter().map(|one| NotCarried {
        id: one.id,
        username: one.username,
        kind: one.kind.to_owned(),
        why: one.why,
    });
    let rules = done.rules.into_iter().map(|one| CarriedRule {
        priority: one.priority,
        twin: one.twin,
        why: one.why,
    });
    answer(Reissued {
        carried: carried.collect(),
        not_carried: not_carried.collect(),
        rules: rules.collect(),
        retired: done.retired,
    })
}

impl From<ReissueError> for Problem {
    fn from(error: ReissueError) -> Self {
        match error {
            ReissueError::Store(error) => error.into(),
            error => Self::refused("bad_value", error.to_string()),
        }
    }
}
