//! The document of the API, OpenAPI 3.1, made from the very table that routes.

use serde_json::{Value, json};
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter as Documented, ParameterBuilder, ParameterIn,
    ParameterStyle,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Ref, Schema, SchemaFormat, Type};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, OpenApiBuilder, PathItem,
    PathsBuilder, RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::operation::{Operation, Shape, Verb};
use super::problem::{self, ProblemBody};
use super::query::{DRY_RUN, Kind, MAX_LIMIT, Parameter};
use super::routes::{OPERATIONS, PREFIX, variables};

/// The whole document.
pub(super) fn document() -> Value {
    let mut components =
        ComponentsBuilder::new().schema(ProblemBody::name(), ProblemBody::schema());
    let mut parts = Vec::new();
    for shape in shapes() {
        parts.push(((shape.name)().into_owned(), (shape.schema)()));
        (shape.parts)(&mut parts);
    }
    components = components.schemas_from_iter(parts);
    let mut paths = PathsBuilder::new();
    for operation in OPERATIONS {
        let path = format!("{PREFIX}{}", operation.path);
        let item = PathItem::new(method(operation.verb), describe(operation));
        // The builder merges the methods of one path.
        paths = paths.path(path, item);
    }
    let info = InfoBuilder::new()
        .title("certgate")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .build();
    let document = OpenApiBuilder::new()
        .info(info)
        .paths(paths.build())
        .components(Some(components.build()))
        .build();
    serde_json::to_value(document).unwrap_or_else(|error| {
        // Plain values of ours: a defect, which the tests of the document find.
        tracing::error!(%error, "the API's document could not be written");
        json!({})
    })
}

const ABOUT: &str = "The caller is an administrator by the client certificate that the proxy \
    passes. Every call that is no GET needs the header X-Certgate-Request: 1 and, with a body, \
    Content-Type: application/json.";

pub(super) fn shapes() -> impl Iterator<Item = Shape> {
    OPERATIONS.iter().flat_map(|operation| operation.body.into_iter().chain([operation.answer]))
}

fn describe(operation: &Operation) -> OperationBuilder {
    let mut described = OperationBuilder::new()
        .operation_id(Some(operation.name))
        .tag(operation.noun)
        .summary(Some(operation.summary));
    for name in variables(operation.path) {
        described = described.parameter(variable(name));
    }
    for parameter in operation.query {
        described = described.parameter(in_query(parameter));
    }
    if operation.verb.is_mutating() {
        described = described.parameter(in_query(&DRY_RUN));
    }
    if operation.verb.is_to_be_meant() {
        described = described.parameter(request_header());
    }
    if let Some(body) = operation.body {
        let content = ContentBuilder::new().schema(Some(reference(body))).build();
        let body = RequestBodyBuilder::new()
            .content("application/json", content)
            .required(Some(Required::True))
            .build();
        described = described.request_body(Some(body));
    }
    let content = ContentBuilder::new().schema(Some(reference(operation.answer))).build();
    let done = ResponseBuilder::new().description("Done").content("application/json", content);
    described = described.response(operation.status.to_string(), done.build());
    for (status, about) in problems(operation) {
        described = described.response(status.to_string(), refusal(status, about));
    }
    described
}

/// What can go wrong with this operation.
fn problems(operation: &Operation) -> Vec<(u16, &'static str)> {
    let mut problems = vec![
        (400, "The call cannot be read"),
        (401, "The certificate lets nobody in"),
        (403, "Not an administrator, or not asked for by one"),
        (404, "What it names is not there"),
        (405, "The path takes other methods"),
        (422, "A value breaks a rule"),
        (503, "Nothing can be decided, or the database is away"),
    ];
    if operation.verb.is_to_be_meant() {
        problems.extend([
            (408, "The body did not come"),
            (409, "It does not fit what is there, or no administrator would be left"),
            (413, "The body is too long"),
            (415, "The body is not JSON"),
        ]);
    }
    problems.sort_unstable_by_key(|(status, _)| *status);
    problems
}

fn refusal(status: u16, about: &'static str) -> Response {
    let content =
        ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemBody::name()))).build();
    let refusal = ResponseBuilder::new().description(about).content(problem::MEDIA_TYPE, content);
    if status != 405 {
        return refusal.build();
    }
    let allow = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .description(Some("The methods"))
        .build();
    refusal.header("Allow", allow).build()
}

fn variable(name: &str) -> Documented {
    let schema = match name {
        "id" => whole_number(0, i64::MAX),
        "priority" => whole_number(0, i64::from(i32::MAX)),
        "sha256" => ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9a-f]{64}$"))
            .build()
            .into(),
        _ => ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[!-+\\-.0-~]{1,256}$"))
            .build()
            .into(),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}

fn in_query(parameter: &Parameter) -> Documented {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let schema = match parameter.kind {
        Kind::Boolean => ObjectBuilder::new().schema_type(Type::Boolean).build().into(),
        Kind::Limit => whole_number(1, i64::from(MAX_LIMIT)),
        Kind::Text => text().min_length(Some(1)).build().into(),
        Kind::Word(words) => text().enum_values(Some(words.to_vec())).build().into(),
    };
    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .style(Some(ParameterStyle::Form))
        .description(Some(parameter.about))
        .schema(Some(schema))
        .build()
}

fn request_header() -> Documented {
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["1"])).build();
    ParameterBuilder::new()
        .name("X-Certgate-Request")
        .parameter_in(ParameterIn::Header)
        .required(Required::True)
        .description(Some("Says that a program asks and no form of another site"))
        .schema(Some(schema))
        .build()
}

fn whole_number(least: i64, most: i64) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(least))
        .maximum(Some(most))
        .build()
        .into()
}

fn reference(shape: Shape) -> RefOr<Schema> {
    Ref::from_schema_name((shape.name)()).into()
}

const fn method(verb: Verb) -> HttpMethod {
    match verb {
        Verb::Delete => HttpMethod::Delete,
        Verb::Get => HttpMethod::Get,
        Verb::Patch => HttpMethod::Patch,
        Verb::Ask | Verb::Post => HttpMethod::Post,
    }
}
