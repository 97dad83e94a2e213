//! The auth listener: `GET|HEAD /auth`, and nothing else.
//!
//! A service of its own in the place of actix-web's `App`: for one path, what `App` does for every
//! request is a twentieth of its cost (`docs/decisions/0007-no-router-for-auth.md`).
//!
//! A request whose certificate is remembered waits for nothing; one that brings a certificate to
//! parse waits for its turn among others that do.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_http::Request;
use actix_web::HttpResponse;
use actix_web::dev::{AppConfig, Service, ServiceFactory, always_ready, fn_factory};
use actix_web::http::{Method, StatusCode};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

use super::authorize::{Clocks, Gate, Worker, refusal};

/// Longest wait for the turn to have a certificate parsed: well below the half second that the
/// shipped nginx files give us.
const TURN_LIMIT: Duration = Duration::from_millis(100);

/// Makes the service of one worker; every path and method but those of the question get an answer
/// that is not 2xx.
pub fn factory(
    gate: Arc<Gate>,
) -> impl ServiceFactory<
    Request,
    Config = AppConfig,
    Response = HttpResponse,
    Error = Infallible,
    InitError = Infallible,
    Service = Auth,
> {
    fn_factory(move || {
        let worker = Rc::new(Worker::new(Arc::clone(&gate)));
        async { Ok(Auth { worker, turn: Arc::default() }) }
    })
}

/// One worker of the listener.
#[derive(Debug)]
pub struct Auth {
    worker: Rc<Worker>,
    /// Held from one parse of a certificate to the next.
    turn: Arc<Mutex<()>>,
}

impl Service<Request> for Auth {
    type Response = HttpResponse;
    type Error = Infallible;
    type Future = Answer;

    always_ready!();

    fn call(&self, request: Request) -> Answer {
        let arrived = Instant::now();
        if request.path() != "/auth" {
            return Answer::Now(Some(refusal(StatusCode::NOT_FOUND)));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Answer::Now(Some(refusal(StatusCode::METHOD_NOT_ALLOWED)));
        }
        if self.must_wait(&request) {
            // A task of its own: a handler is asked no more once its connection is given up, and
            // a place in the queue that nobody asks holds up all behind it.
            let (worker, turn) = (Rc::clone(&self.worker), Arc::clone(&self.turn));
            let waiting = wait_and_authorize(worker, turn, request, arrived);
            return Answer::Later(actix_web::rt::spawn(waiting));
        }
        let clocks = Clocks { arrived, now: arrived };
        let turn = || Arc::clone(&self.turn).try_lock_owned().ok();
        Answer::Now(Some(authorize_in_turn(&self.worker, &request, clocks, turn)))
    }
}

impl Auth {
    /// Whether a certificate would have to be parsed while it is another's turn.
    ///
    /// A parse doubles what a request takes. So one is parsed at a time, and the requests of all
    /// whose certificates are known go between two of them: strangers that come in their thousands
    /// wait for each other.
    fn must_wait(&self, request: &Request) -> bool {
        // Whoever holds the turn or waits for it has a share of it: without one, which is the usual
        // case, the lock need not be asked.
        Arc::strong_count(&self.turn) > 1
            && self.turn.try_lock().is_err()
            && self.worker.must_parse(request)
    }
}

/// An answer, or a request that waits for its turn.
#[derive(Debug)]
pub enum Answer {
    /// Taken by whoever asks first.
    Now(Option<HttpResponse>),
    /// Decided by a task of its own.
    Later(JoinHandle<HttpResponse>),
}

impl Future for Answer {
    type Output = Result<HttpResponse, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut *self {
            Self::Now(answer) => answer.take(),
            Self::Later(task) => match Pin::new(task).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(joined) => joined.ok(),
            },
        };
        // The task ended without one: it could not be decided.
        Poll::Ready(Ok(answer.unwrap_or_else(|| refusal(StatusCode::SERVICE_UNAVAILABLE))))
    }
}

/// Waits until it is this request's turn to have a certificate parsed, and goes on without it
/// after [`TURN_LIMIT`]: the queue is for fairness, and the proxy does not wait for ever.
async fn wait_and_authorize(
    worker: Rc<Worker>,
    turn: Arc<Mutex<()>>,
    request: Request,
    arrived: Instant,
) -> HttpResponse {
    let turn = tokio::time::timeout(TURN_LIMIT, turn.lock_owned()).await.ok();
    // What is decided on must not be older than the answer: the clock is read again.
    let clocks = Clocks { arrived, now: Instant::now() };
    authorize_in_turn(&worker, &request, clocks, || turn)
}

/// Authorizes; if that took a parse, the turn ends only after all others that are ready.
fn authorize_in_turn(
    worker: &Worker,
    request: &Request,
    clocks: Clocks,
    turn: impl FnOnce() -> Option<OwnedMutexGuard<()>>,
) -> HttpResponse {
    let parses = worker.parses();
    let response = worker.authorize(request, clocks);
    if worker.parses() != parses {
        let turn = turn();
        actix_web::rt::spawn(async {
            tokio::task::yield_now().await;
            drop(turn);
        });
    }
    response
}
