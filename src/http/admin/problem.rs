//! What every answer that is not a success says: problem details, RFC 9457.
//!
//! Its detail is for an administrator who has been let in, or names the code of the decision and
//! no more; nothing of a request is repeated raw.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use crate::operator::LastAdministrator;
use crate::store::StoreError;

/// The media type of a problem.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a call was not done. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) detail: String,
    /// The methods that the path takes, with 405.
    pub(super) allow: Option<String>,
}

/// A problem as it is sent.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'p> {
    /// Always about:blank: the code tells which problem it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'p str,
    /// The status in words.
    title: &'p str,
    /// The HTTP status.
    #[schema(value_type = i32, minimum = 400, maximum = 599)]
    status: u16,
    /// Which problem it is: for 401, 403 and 503 the code of the decision where there is one.
    code: &'p str,
    /// What is wrong here, and the remedy.
    detail: &'p str,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), allow: None }
    }

    /// The call itself cannot be read.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// What it asks for does not fit what is there.
    pub(super) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// It can be read, and a value in it breaks a rule.
    pub(super) fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// What it names is not there.
    pub(super) fn missing(noun: &str, name: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("no such {noun}: {name}"))
    }

    /// The call may come again later.
    pub(super) fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    pub(super) fn response(&self) -> HttpResponse {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
        };
        let mut response = HttpResponse::build(self.status).json(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(allow) = self.allow.as_ref().and_then(|allow| allow.parse().ok()) {
            headers.insert(ALLOW, allow);
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::NoSuchUser { .. } | StoreError::NotFound { .. } => {
                Self::new(StatusCode::NOT_FOUND, "not_found", detail)
            }
            StoreError::AlreadyMember { .. } => Self::conflict("already_member", detail),
            StoreError::UserExists { .. } => Self::conflict("user_exists", detail),
            StoreError::BadValue { .. } | StoreError::Constraint { .. } => {
                Self::refused("bad_value", detail)
            }
            StoreError::Permission { .. } => Self::unavailable(
                "database_role",
                format!(
                    "{detail}; the API needs the role that deploy/roles.sql makes with -v api=NAME"
                ),
            ),
            error if error.is_retryable() => Self::unavailable("database_away", detail),
            _ => {
                tracing::error!(error = %detail, "the API could not use the database");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "database", detail)
            }
        }
    }
}

impl From<LastAdministrator> for Problem {
    fn from(error: LastAdministrator) -> Self {
        Self::conflict("last_administrator", error.to_string())
    }
}
