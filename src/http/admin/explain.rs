//! `/explain`: who a certificate or a request is, and why, by the very directory that answers nginx.

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::operation::{Call, answer};
use super::pattern::read_certificate;
use super::problem::Problem;
use crate::decide::{Options, Required, Trust, View};
use crate::directory::{Name, Sibling};
use crate::explain::{Asked, Explanation, Handle, PastDenial, Scene};
use crate::pki::Certificate;

/// What is to be explained.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// A certificate, PEM: as if it came with a request and the proxy had verified it.
    certificate: String,
    /// As if the location asked for any one of these: group:NAME or user:NAME.
    #[serde(default)]
    require: Vec<String>,
}

/// What `certgate explain --json` prints.
pub(super) enum Explained {}

impl PartialSchema for Explained {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        ObjectBuilder::new()
            .property("decision", text().enum_values(Some(["allow", "deny", "error"])))
            .required("decision")
            .property("status", ObjectBuilder::new().schema_type(Type::Integer))
            .required("status")
            .property("reason", text())
            .required("reason")
            .build()
            .into()
    }
}

impl ToSchema for Explained {
    fn name() -> std::borrow::Cow<'static, str> {
        "Explanation".into()
    }
}

pub(super) async fn certificate(call: &mut Call) -> Result<Value, Problem> {
    let body: Question = call.body()?;
    let certificate = read_certificate(&body.certificate)?;
    let required = body.require.iter().map(|text| required(text)).collect::<Result<_, _>>()?;
    let options = Options { required, certificate_is_optional: false };
    let asked = Asked::of_certificate(certificate, call.gate.input.reader());
    let explanation = explain(call, &asked, &options).await?;
    answer(explanation)
}

/// A request that was denied, by the proxy's number of it.
pub(super) async fn request(call: &mut Call) -> Result<Value, Problem> {
    let id = call.name().to_owned();
    let rows = call.work.denials(Some(&id)).await?;
    let Some(row) = rows.first() else {
        return Err(Problem::missing("denial that is kept, of request", id));
    };
    let kept = match &row.certificate {
        Some(sha256) => call.work.kept_certificate(sha256).await?,
        None => None,
    };
    let then = PastDenial {
        at: row.at.clone(),
        reason: row.code.clone(),
        request_id: row.request_id.clone(),
        host: row.host.clone(),
        peer: row.peer.clone(),
        certificate: row.certificate.clone(),
        denials: rows.len(),
    };
    let certificate = kept.and_then(|kept| Certificate::from_der(&kept.der).ok());
    let chains = call.gate.policy.trust.chains;
    let asked = Asked::of_past(&then, certificate, call.gate.input.reader(), chains);
    let asked = asked.ok_or_else(|| {
        Problem::conflict("unknown_code", "it was denied with a code of another version")
    })?;
    let mut explanation = explain(call, &asked, &Options::default()).await?;
    explanation.then = Some(then);
    answer(explanation)
}

/// By everything that the gate looks at, as it is at this moment.
async fn explain(
    call: &mut Call,
    asked: &Asked,
    options: &Options,
) -> Result<Explanation, Problem> {
    let siblings: Vec<Sibling> = match asked.certificate() {
        Some(certificate) => call.work.siblings(certificate).await?,
        None => Vec::new(),
    };
    let gate = &call.gate;
    let directory = gate.replica.directory();
    let authorities = gate.authorities.current();
    let view = View {
        directory: directory.as_deref(),
        age: gate.replica.age(call.ground.now),
        now: call.ground.now,
        trust: Trust { authorities: Some(&authorities), memory: None },
        policy: &gate.policy,
    };
    let scene =
        Scene { view: &view, siblings: &siblings, unusable_files: &[], handle: Handle::Values };
    Ok(asked.explain(options, &scene))
}

fn required(text: &str) -> Result<Required, Problem> {
    let refused = || Problem::refused("bad_value", "require: takes group:NAME or user:NAME");
    let name = |text: &str| Name::parse(text.as_bytes()).map_err(|_| refused());
    match text.split_once(':') {
        Some(("group", group)) => name(group).map(Required::Group),
        Some(("user", username)) => name(username).map(Required::User),
        _ => Err(refused()),
    }
}
