//! The ops listener: `/healthz`, `/readyz` and `/metrics`.
//!
//! It may listen anywhere, so that nothing it says may name a person, a DN, a serial or a password. It
//! decides nothing: whether `/auth` can decide is asked of the closure that the wiring gives.

use std::fmt;
use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::metrics::{self, Metrics};

/// Whether `/auth` can decide, and what an operator should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Readiness {
    /// Whether it can.
    pub ready: bool,
    /// The code of why not: `not_ready` or `directory_stale`.
    pub reason: Option<&'static str>,
    /// Everything else. Without names of persons, DNs or serials.
    pub details: Value,
}

/// What the ops listener needs.
#[derive(Clone)]
pub struct OpsState {
    /// The figures.
    pub metrics: Metrics,
    /// Asked anew for every `/readyz`.
    pub readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
}

impl fmt::Debug for OpsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpsState").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}

/// Adds the routes. Any other path is 404, any other method 405.
pub fn configure(cfg: &mut web::ServiceConfig, state: OpsState) {
    let data = web::Data::new(state);
    cfg.app_data(data)
        .service(
            web::resource("/healthz").route(web::get().to(healthz)).route(web::head().to(healthz)),
        )
        .service(
            web::resource("/readyz").route(web::get().to(readyz)).route(web::head().to(readyz)),
        )
        .service(
            web::resource("/metrics")
                .route(web::get().to(prometheus))
                .route(web::head().to(prometheus)),
        );
}

/// 200 while the process runs. Says nothing about readiness.
async fn healthz() -> HttpResponse {
    let body = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body)
}

/// 200 exactly while `/auth` can decide.
async fn readyz(state: web::Data<OpsState>) -> HttpResponse {
    let readiness = (state.readiness)();
    let body = json!({
        "ready": readiness.ready,
        "reason": readiness.reason,
        "details": readiness.details,
    });
    let mut response =
        if readiness.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((CACHE_CONTROL, "no-store")).json(body)
}

async fn prometheus(state: web::Data<OpsState>) -> HttpResponse {
    match state.metrics.encode() {
        Ok(text) => {
            HttpResponse::Ok().insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE)).body(text)
        }
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written as text");
            HttpResponse::InternalServerError().finish()
        }
    }
}
