//! `/whoami`: whom certgate takes the caller for; and the document of all this.

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

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

/// The document itself: OpenAPI's own schema says what is in it.
pub(super) enum Document {}

impl PartialSchema for Document {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Object).required("openapi").build().into()
    }
}

impl ToSchema for Document {}

pub(super) async fn show(call: &mut Call) -> Result<Value, Problem> {
    let username = call.caller.username.clone();
    let user = call.work.user_show(&username).await?;
    answer(Whoami {
        username,
        groups: user.groups,
        mapping: call.caller.mapping,
        sha256: call.caller.shown.identity.sha256.map(|sha256| sha256.to_string()),
    })
}

pub(super) async fn openapi(_: &mut Call) -> Result<Value, Problem> {
    Ok(document())
}
