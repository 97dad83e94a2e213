//! The admin API: JSON below `/api/v1`, on a listener of its own.
//!
//! Layout:
//! * `caller`: who calls: our own gate; `browser`: that it was meant;
//! * `routes`: every route in one table, of `operation`s; `document`: OpenAPI from that table;
//! * `body`, `query`, `edit`: what a call says; `problem`: what is said when it is not done;
//! * one file for each noun: what is done, in one transaction that this file begins and ends.
//!
//! No act can forget what protects a change: all of that stands here, before and after it.

mod audit;
mod blocks;
mod body;
mod browser;
mod caller;
mod certificates;
mod denied;
mod document;
mod edit;
mod explain;
mod groups;
mod inbox;
mod mappings;
mod operation;
mod pattern;
mod problem;
mod query;
mod reissue;
mod routes;
mod rules;
#[cfg(test)]
mod tests;
mod users;
mod whoami;

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::{Bytes, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;
use tokio::sync::Mutex;

use self::caller::{Caller, Remembered};
use self::operation::{Call, Operation};
use self::problem::Problem;
use self::query::{DRY_RUN, Query};
use self::routes::Routed;
use super::authorize::{Gate, request_id};
use crate::directory::Name;
use crate::operator::{Administrators, Ground};
use crate::store::{By, DatabaseUrl, Open, Source, Store, StoreError, Work};

/// How long a body may take to come; the proxy has it whole already.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// How long to wait for the database before saying that it is away.
const BEGIN_LIMIT: Duration = Duration::from_millis(1500);
/// How long an act may take; most take milliseconds, one on a thousand certificates takes seconds.
const ACT_LIMIT: Duration = Duration::from_secs(30);

/// Says that nothing of the answer counts.
const DRY_RUN_HEADER: HeaderName = HeaderName::from_static("x-certgate-dry-run");

/// Everything the admin listener needs.
#[derive(Debug)]
pub struct Admin {
    /// The gate that answers nginx, which decides about administrators too.
    pub gate: Arc<Gate>,
    /// Where changes are made.
    pub database: DatabaseUrl,
    /// The group of administrators (`admin.group`).
    pub group: Name,
    /// The only web origin whose pages may change anything (`admin.origin`).
    pub origin: Option<String>,
    /// What acts stand on; the time in it is each call's own.
    pub ground: Ground,
}

/// The one worker's share.
struct Worker {
    admin: Arc<Admin>,
    remembered: Remembered,
    /// Opened at the first call, and again after the database was away: it may be another host then.
    store: Arc<Mutex<Option<Store>>>,
}

/// Puts the API on a listener; every other path and method answers a problem.
pub fn configure(config: &mut ServiceConfig, admin: Arc<Admin>) {
    let worker = Worker { admin, remembered: Remembered::default(), store: Arc::default() };
    config.app_data(Rc::new(worker));
    config.default_service(web::to(answer));
}

async fn answer(request: HttpRequest, payload: Payload) -> HttpResponse {
    let Some(worker) = request.app_data::<Rc<Worker>>().map(Rc::clone) else {
        return HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = match worker.answer(&request, payload).await {
        Ok(response) => response,
        Err(problem) => {
            report_refusal(&request, &problem);
            problem.response()
        }
    };
    let headers = response.headers_mut();
    for (name, value) in GUARDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// No answer may be kept, framed, run as a page or read by one of another site.
const GUARDS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// What is to be done, once it is known who asks.
struct Order {
    operation: &'static Operation,
    variables: Vec<String>,
    query: Query,
    body: Bytes,
    caller: Caller,
    is_dry_run: bool,
    by: By,
}

impl Worker {
    async fn answer(
        &self,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<HttpResponse, Problem> {
        let admin = &*self.admin;
        // Nothing is held for somebody who is not let in; and once more when everything has arrived,
        // which takes its time.
        let admit = || caller::admit(request, &admin.gate, &admin.group, &self.remembered);
        admit()?;
        let body = within(BODY_LIMIT, body::read(payload)).await;
        let body = body.unwrap_or_else(|| {
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body did not come"))
        })?;
        let order = self.read(request, body, admit()?)?;
        let status = StatusCode::from_u16(order.operation.status).unwrap_or(StatusCode::OK);
        let (is_dry_run, username) = (order.is_dry_run, order.caller.username.clone());
        let is_mutating = order.operation.verb.is_mutating();
        let value = if is_mutating { self.change(order).await } else { self.look(order).await };
        let value = match value {
            Ok(value) => value,
            Err(problem) => {
                if matches!(problem.code, "database_away" | "database" | "outcome_unknown") {
                    self.store.lock().await.take();
                }
                return Err(problem);
            }
        };
        if is_mutating {
            tracing::info!(
                user.name = username,
                request.method = request.method().as_str(),
                request.path = request.path(),
                request.id = request_id(request.headers()),
                dry_run = is_dry_run,
                "an administrator's call was done"
            );
        }
        let mut response = HttpResponse::build(status);
        if is_dry_run {
            response.insert_header((DRY_RUN_HEADER, "true"));
        }
        Ok(response.json(value))
    }

    /// What the call asks for.
    fn read(&self, request: &HttpRequest, body: Bytes, caller: Caller) -> Result<Order, Problem> {
        let (operation, variables) = match routes::route(request.method(), request.path()) {
            Routed::Found(operation, variables) => (operation, variables),
            Routed::OtherMethods(verbs) => return Err(other_methods(&verbs)),
            Routed::Nowhere => {
                let why = "nothing is at this path; see /api/v1/openapi.json";
                return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_path", why));
            }
        };
        let headers = request.headers();
        let mut known = operation.query.to_vec();
        if operation.verb.is_to_be_meant() {
            browser::check(headers, self.admin.origin.as_deref(), !body.is_empty())?;
        }
        if operation.verb.is_mutating() {
            known.push(DRY_RUN);
        }
        if operation.body.is_none() && !body.is_empty() {
            return Err(Problem::malformed("this call takes no body"));
        }
        let query = Query::parse(request.query_string(), &known)?;
        let id = Some(request_id(headers)).filter(|id| !id.is_empty()).map(str::to_owned);
        Ok(Order {
            operation,
            variables,
            is_dry_run: query.flag(DRY_RUN.name).unwrap_or_default(),
            query,
            body,
            by: By { actor: Some(caller.username.clone()), source: Source::Api, request_id: id },
            caller,
        })
    }

    /// Answers a question: everything as of one instant, and nothing can be changed.
    async fn look(&self, order: Order) -> Result<Value, Problem> {
        let work = self.begin(async |store: Store| store.read().await).await?;
        let act = order.operation.act;
        let mut call = self.call(order, work);
        limited(act(&mut call)).await
    }

    /// Makes a change in one transaction: judges the caller once more as the database knows him
    /// there, acts, and sees that an administrator is left.
    async fn change(&self, order: Order) -> Result<Value, Problem> {
        let by = order.by.clone();
        let work = self.begin(async |store: Store| store.begin(&by).await).await?;
        let (act, is_dry_run) = (order.operation.act, order.is_dry_run);
        let mut call = self.call(order, work);
        let value = limited(guarded(act, &mut call)).await?;
        if !is_dry_run {
            call.work.commit().await.map_err(unknown_outcome)?;
        }
        Ok(value)
    }

    fn call(&self, order: Order, work: Work) -> Call {
        let Order { operation: _, variables, query, body, caller, is_dry_run: _, by: _ } = order;
        let gate = &self.admin.gate;
        Call {
            work,
            caller,
            gate: Arc::clone(gate),
            ground: Ground { now: (gate.now)(), ..self.admin.ground.clone() },
            query,
            variables,
            body,
        }
    }

    /// Opens the database if need be and begins.
    async fn begin(
        &self,
        begin: impl AsyncFnOnce(Store) -> Result<Work, StoreError>,
    ) -> Result<Work, Problem> {
        let work = async {
            let opening = open(Arc::clone(&self.store), self.admin.database.clone());
            // A task of its own: of several hosts the one that answers may be the last, and then
            // the next call finds it open.
            let opened = actix_web::rt::spawn(opening).await;
            let store = opened.map_err(|error| StoreError::Unreachable {
                place: self.admin.database.to_string(),
                reason: error.to_string(),
            })??;
            begin(store).await
        };
        match within(BEGIN_LIMIT, work).await {
            // Whatever keeps the database from being used keeps everybody from using it.
            Some(work) => {
                work.map_err(|error| Problem::unavailable("database_away", error.to_string()))
            }
            None => Err(Problem::unavailable(
                "database_away",
                format!("{}: no answer in time; nothing was changed", self.admin.database),
            )),
        }
    }
}

/// The store that is open, or a new one.
async fn open(kept: Arc<Mutex<Option<Store>>>, url: DatabaseUrl) -> Result<Store, StoreError> {
    let mut kept = kept.lock().await;
    match &*kept {
        Some(store) => Ok(store.clone()),
        None => {
            let store = Store::open(&url, Open::Existing).await?;
            Ok(kept.insert(store).clone())
        }
    }
}

/// The act between the two judgements that nothing may change without.
async fn guarded(act: operation::Act, call: &mut Call) -> Result<Value, Problem> {
    let (ground, caller) = (call.ground.clone(), call.caller.shown.clone());
    call.work.lock_administrators().await?;
    let before = Administrators::read(&mut call.work, &ground, Some(&caller)).await?;
    let admitted = before.admits(&caller.identity, ground.now);
    if admitted.as_deref() != Some(&call.caller.username) {
        let why = "the database no longer knows the caller as an administrator";
        return Err(Problem::new(StatusCode::FORBIDDEN, "no_longer_administrator", why));
    }
    let value = act(call).await?;
    let after = Administrators::read(&mut call.work, &ground, Some(&caller)).await?;
    before.check_left(&after, ground.now)?;
    Ok(value)
}

async fn limited<T>(act: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    within(ACT_LIMIT, act).await.unwrap_or_else(|| {
        Err(Problem::unavailable("too_slow", "this took too long; nothing was changed"))
    })
}

/// The result, if it comes in time.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

/// The database went away while it was told to keep the change.
fn unknown_outcome(error: StoreError) -> Problem {
    if !error.is_retryable() {
        return error.into();
    }
    Problem::unavailable("outcome_unknown", format!("{error}; look whether the change was made"))
}

fn other_methods(verbs: &[operation::Verb]) -> Problem {
    let mut methods: Vec<_> = verbs.iter().map(|verb| verb.method().to_string()).collect();
    methods.dedup();
    let allow = methods.join(", ");
    let why = format!("this path takes {allow}");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "other_methods", why);
    Problem { allow: Some(allow), ..problem }
}

/// One line for a call that was not done.
fn report_refusal(request: &HttpRequest, problem: &Problem) {
    tracing::info!(
        request.method = request.method().as_str(),
        request.path = request.path(),
        request.id = request_id(request.headers()),
        response.status = problem.status.as_u16(),
        problem.code = problem.code,
        "an administrator's call was refused"
    );
}
