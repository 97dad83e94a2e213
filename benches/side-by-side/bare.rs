//! What certgate's speed is compared with: a handler that decides nothing and answers with the same
//! headers, as one would write it, with as many workers as certgate. What certgate leaves out of
//! actix, the router and the timer of idle connections, it has (`docs/decisions`, 7 and 8).
//! `benches/side-by-side/run` starts it.

#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::num::NonZeroUsize;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::{App, HttpResponse, HttpServer, web};

/// As certgate answers alice.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("x-auth-reason"), HeaderValue::from_static("mapped")),
    (HeaderName::from_static("x-remote-user"), HeaderValue::from_static("alice")),
    (HeaderName::from_static("x-remote-groups"), HeaderValue::from_static("ops,staff")),
    (HeaderName::from_static("x-remote-name"), HeaderValue::from_static("Alice Dupont")),
    (HeaderName::from_static("x-remote-email"), HeaderValue::from_static("alice@example.com")),
];

async fn answer() -> HttpResponse {
    let mut response = HttpResponse::Ok().finish();
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).expect("usage: bare ADDRESS:PORT [WORKERS]");
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = std::env::args()
        .nth(2)
        .map_or(cores.div_ceil(2), |workers| workers.parse().expect("WORKERS is a number"));
    actix_web::rt::System::new().block_on(async move {
        HttpServer::new(|| App::new().default_service(web::to(answer)))
            .workers(workers)
            .keep_alive(Duration::from_secs(75))
            .shutdown_timeout(10)
            .bind(address)?
            .run()
            .await
    })
}
