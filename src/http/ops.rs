//! The ops listener: `/healthz`, `/readyz` and `/metrics`.
//!
//! It may listen anywhere, so that nothing it says may name a person, a DN, a serial or a password.
//! It decides nothing: whether `/auth` can decide is asked of the closure that the wiring gives.

use std::fmt;
use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::metrics::{self, Metrics};

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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use actix_web::http::{Method, StatusCode};
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, rt};

    use super::*;

    /// Asks a fresh app, ready or not.
    fn ask(ready: bool, method: Method, path: &str) -> (StatusCode, String, String) {
        let state = OpsState {
            metrics: Metrics::new(&["mapped"], "0.0.0", Duration::ZERO),
            readiness: Arc::new(move || Readiness {
                ready,
                reason: (!ready).then_some("not_ready"),
                details: json!({ "users": 3 }),
            }),
        };
        let request = TestRequest::with_uri(path).method(method);
        rt::System::new().block_on(async {
            let app = init_service(App::new().configure(|cfg| configure(cfg, state))).await;
            let response = call_service(&app, request.to_request()).await;
            let kind = response.headers().get(CONTENT_TYPE);
            let kind = kind.map_or("", |kind| kind.to_str().expect("text")).to_owned();
            let status = response.status();
            let body = read_body(response).await;
            (status, kind, String::from_utf8(body.to_vec()).expect("UTF-8"))
        })
    }

    #[test]
    fn healthz_is_200_though_nothing_is_ready() {
        let (status, _, body) = ask(false, Method::GET, "/healthz");
        assert_eq!(status, StatusCode::OK);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(body, format!("{{\"status\":\"ok\",\"version\":\"{version}\"}}"));
    }

    #[test]
    fn readyz_is_200_exactly_while_ready_and_says_why_not() {
        let (status, kind, body) = ask(true, Method::GET, "/readyz");
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json"));
        assert_eq!(body, "{\"details\":{\"users\":3},\"ready\":true,\"reason\":null}");
        let (status, _, body) = ask(false, Method::GET, "/readyz");
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, "{\"details\":{\"users\":3},\"ready\":false,\"reason\":\"not_ready\"}");
    }

    #[test]
    fn readiness_is_asked_anew_each_time() {
        let ready = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&ready);
        let state = OpsState {
            metrics: Metrics::new(&[], "0.0.0", Duration::ZERO),
            readiness: Arc::new(move || Readiness {
                ready: asked.load(Ordering::Relaxed),
                reason: None,
                details: Value::Null,
            }),
        };
        rt::System::new().block_on(async {
            let app = init_service(App::new().configure(|cfg| configure(cfg, state))).await;
            let ask = || TestRequest::with_uri("/readyz").to_request();
            assert_eq!(call_service(&app, ask()).await.status(), 503);
            ready.store(true, Ordering::Relaxed);
            assert_eq!(call_service(&app, ask()).await.status(), 200);
        });
    }

    #[test]
    fn metrics_are_openmetrics_text() {
        let (status, kind, body) = ask(true, Method::GET, "/metrics");
        assert_eq!((status, kind.as_str()), (StatusCode::OK, metrics::CONTENT_TYPE));
        assert!(body.contains("certgate_decisions_total{code=\"mapped\"} 0"));
        assert!(body.ends_with("# EOF\n"));
    }

    #[test]
    fn only_get_and_head_of_three_paths_answer() {
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(ask(true, Method::HEAD, path).0, StatusCode::OK, "{path}");
            for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
                let status = ask(true, method, path).0;
                assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            }
        }
        for path in ["/", "/auth", "/healthz/", "/readyz/x", "/metrics?", "//metrics", "/HEALTHZ"] {
            let status = ask(true, Method::GET, path).0;
            let expected = if path == "/metrics?" { StatusCode::OK } else { StatusCode::NOT_FOUND };
            assert_eq!(status, expected, "{path}");
        }
    }
}
