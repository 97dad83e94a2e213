//! What a route is: one value from which the router, the document and the tests all read.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Ref, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::body;
use super::caller::Caller;
use super::problem::Problem;
use super::query::{Parameter, Query};
use crate::directory::Directory;
use crate::http::authorize::Gate;
use crate::operator::Ground;
use crate::store::Work;

/// One method of one path.
pub(super) struct Operation {
    pub(super) verb: Verb,
    /// The path below `/api/v1`, with `{names}` for its variables.
    pub(super) path: &'static str,
    /// Its name in the document, and the noun it belongs to.
    pub(super) name: &'static str,
    pub(super) noun: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: &'static [Parameter],
    /// What the body is; none takes none.
    pub(super) body: Option<Shape>,
    /// The status of a success, and what it says.
    pub(super) status: u16,
    pub(super) answer: Shape,
    pub(super) act: Act,
}

/// The methods that are used; `Get` and `Ask` change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// A POST whose body is a question.
    Ask,
    Delete,
    Get,
    Patch,
    Post,
}

impl Verb {
    pub(super) const fn method(self) -> Method {
        match self {
            Self::Delete => Method::DELETE,
            Self::Get => Method::GET,
            Self::Patch => Method::PATCH,
            Self::Ask | Self::Post => Method::POST,
        }
    }

    /// Whether it may change something, so that everything that protects a change applies.
    pub(super) const fn is_mutating(self) -> bool {
        !matches!(self, Self::Ask | Self::Get)
    }

    /// Whether it must be told that it was meant: everything that a GET is not.
    pub(super) const fn is_to_be_meant(self) -> bool {
        !matches!(self, Self::Get)
    }
}

/// What is done: it reads and writes in the one transaction of the call and commits nothing.
pub(super) type Act = for<'c> fn(&'c mut Call) -> Doing<'c>;
pub(super) type Doing<'c> = Pin<Box<dyn Future<Output = Result<Value, Problem>> + 'c>>;

/// A call that was let in and read.
pub(super) struct Call {
    /// The one transaction: it is committed, or not, when the act is done.
    pub(super) work: Work,
    pub(super) caller: Caller,
    /// What answers nginx: what it knows is what is told of.
    pub(super) gate: Arc<Gate>,
    pub(super) ground: Ground,
    pub(super) query: Query,
    /// The path's variables in their order.
    pub(super) variables: Vec<String>,
    pub(super) body: actix_web::web::Bytes,
}

impl Call {
    /// The path's first variable.
    pub(super) fn name(&self) -> &str {
        self.variables.first().map_or("", String::as_str)
    }

    /// The path's first variable as a number.
    ///
    /// # Errors
    /// 400 for what is none.
    pub(super) fn id(&self) -> Result<i64, Problem> {
        let malformed = || Problem::malformed(format!("the path: {:?} is no number", self.name()));
        self.name().parse().map_err(|_| malformed())
    }

    /// The body as what the route takes.
    ///
    /// # Errors
    /// 400, with the place.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        body::parse(&self.body)
    }

    /// The directory that answers nginx.
    ///
    /// # Errors
    /// 503 before the first load; who calls was let in by it, so it is there.
    pub(super) fn directory(&self) -> Result<Arc<Directory>, Problem> {
        let missing = || Problem::unavailable("not_ready", "nothing is loaded yet");
        self.gate.replica.directory().as_ref().map(Arc::clone).ok_or_else(missing)
    }

    /// Who adds, for a new row.
    pub(super) fn creator(&self) -> Option<String> {
        Some(self.caller.username.clone())
    }
}

/// The answer of an act.
pub(super) fn answer(value: impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|error| {
        // Values of ours are plain; this is a defect.
        tracing::error!(%error, "an answer could not be written as JSON");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "defect", "the answer could not be written")
    })
}

/// The type of a body or an answer, as the document tells it.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) name: fn() -> Cow<'static, str>,
    pub(super) schema: fn() -> RefOr<Schema>,
    pub(super) parts: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    pub(super) const fn of<T: ToSchema + PartialSchema>() -> Self {
        Self { name: T::name, schema: T::schema, parts: T::schemas }
    }
}

/// One page of a list.
#[derive(Serialize)]
pub(super) struct Page<T> {
    /// In the order of their keys.
    items: Vec<T>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

impl<T> PartialSchema for Page<T>
where
    T: ToSchema,
{
    fn schema() -> RefOr<Schema> {
        let cursor = SchemaType::from_iter([Type::String, Type::Null]);
        ObjectBuilder::new()
            .property("items", ArrayBuilder::new().items(Ref::from_schema_name(T::name())))
            .required("items")
            .property("next_cursor", ObjectBuilder::new().schema_type(cursor))
            .required("next_cursor")
            .build()
            .into()
    }
}

impl<T> ToSchema for Page<T>
where
    T: ToSchema,
{
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(parts: &mut Vec<(String, RefOr<Schema>)>) {
        parts.push((T::name().into_owned(), T::schema()));
        T::schemas(parts);
    }
}

impl<T> Page<T> {
    /// Of a list that was asked for one more than a page holds.
    pub(super) fn cut(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| has_more).map(key);
        Self { items, next_cursor }
    }
}

/// What is left of something that was removed.
#[derive(Serialize, ToSchema)]
pub(super) struct Removed {
    /// Always true.
    removed: bool,
}

impl Removed {
    pub(super) const DONE: Self = Self { removed: true };
}
