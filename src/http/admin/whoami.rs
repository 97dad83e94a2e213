//! `/whoami`: whom certgate takes the caller for; and the document of all this.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::document::document;
use super::operation::{Call, answer};
use super::problem::Problem;

/// The caller.
#[derive(Serialize, ToSchema)]
pub(super) struct Whoami {
    username: String,
    groups: Vec<String>,
    /// The mapping by which the caller came in.
    mapping: i64,
    /// The certificate; null where the proxy sends headers only.
    sha256: Option<String>,
}

/// This document.
#[derive(Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub(super) struct Document(#[schema(value_type = Object)] Value);

pub(super) async fn show(call: &mut Call) -> Result<Value, Problem> {
    let username = call.caller.username.clone();
    let user = call.work.user_show(&username).await?;
    answer(Whoami {
        username,
        groups: user.groups,
        mapping: call.caller.mapping,
        sha256: call.caller.identity.sha256.map(|sha256| sha256.to_string()),
    })
}

pub(super) async fn openapi(_: &mut Call) -> Result<Value, Problem> {
    answer(Document(document()))
}
