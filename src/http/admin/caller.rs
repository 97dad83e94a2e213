//! Who calls: our own gate, with one more lock.
//!
//! The proxy shows the caller's certificate as it shows any other, and the same function decides
//! about it with the same view. On top of that only a strong mapping counts: who may issue names
//! must not be able to issue administrators. Nothing that a client says of itself is looked at.

use std::cell::RefCell;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use super::problem::Problem;
use crate::decide::{self, Allow, Decision, Options, Question, Required, View};
use crate::directory::{Directory, Name};
use crate::http::authorize::Gate;
use crate::operator::Shown;
use crate::proxy::{Memory, Presented};
use crate::revocation::ChainMemory;

/// An administrator who was let in.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Who it is.
    pub(super) username: String,
    /// By which mapping.
    pub(super) mapping: i64,
    /// By which certificate.
    pub(super) shown: Shown,
}

/// What one worker parsed and verified a moment ago.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    memory: RefCell<Memory>,
    chains: ChainMemory,
}

/// Lets an administrator in, or says why not.
///
/// # Errors
/// 401 and 403 with the code of the decision, 403 `not_strong` where a rule or a weak mapping let
/// the caller in, 503 where nothing can be decided.
pub(super) fn admit(
    request: &HttpRequest,
    gate: &Gate,
    group: &Name,
    remembered: &Remembered,
) -> Result<Caller, Problem> {
    let now = (gate.now)();
    let directory = gate.replica.directory();
    let authorities = gate.authorities.current();
    let view = View {
        directory: directory.as_deref(),
        age: gate.replica.age(now),
        now,
        trust: decide::Trust { authorities: Some(&authorities), memory: Some(&remembered.chains) },
        policy: &gate.policy,
    };
    let headers = request.headers();
    let mut shown = None;
    let question = Question {
        options: Ok(Options {
            required: vec![Required::Group(group.clone())],
            certificate_is_optional: false,
        }),
        proxy_is_trusted: gate.trust.admits(request.peer_addr().map(|peer| peer.ip()), headers),
        presented: || {
            let mut memory = remembered.memory.borrow_mut();
            let presented = gate.input.read(headers, &mut memory)?;
            shown = Some(presented.clone());
            Ok(presented)
        },
    };
    let decision = decide::decide(question, &view);
    let admitted = judge(&decision, view.directory, shown.clone());
    if let Err(problem) = &admitted {
        tell(problem, shown.as_ref());
    }
    admitted
}

fn judge(
    decision: &Decision<'_>,
    directory: Option<&Directory>,
    shown: Option<Presented>,
) -> Result<Caller, Problem> {
    let (user, mapping) = match decision {
        Decision::Allow(Allow::Mapped(user, mapping)) => (user, *mapping),
        Decision::Allow(_) => return Err(not_strong()),
        Decision::Deny(_) | Decision::Undecided(_) => return Err(denied(decision)),
    };
    let kind = directory.and_then(|directory| directory.mapping(mapping));
    if !kind.is_some_and(|mapping| mapping.kind.is_strong()) {
        return Err(not_strong());
    }
    let (identity, certificate) = match shown {
        Some(Presented::Certificate(shown)) => {
            (shown.identity.clone(), Some(shown.certificate.clone()))
        }
        Some(Presented::Headers(identity)) => (*identity, None),
        // Nobody was let in as somebody: cannot be, so closed.
        Some(Presented::Nobody) | None => return Err(not_strong()),
    };
    let shown = Shown { identity, certificate, is_certain: true };
    Ok(Caller { username: user.username.to_string(), mapping, shown })
}

/// One line for a caller who was not let in: whose certificate it was, so that he can be found.
fn tell(problem: &Problem, shown: Option<&Presented>) {
    let identity = match shown {
        Some(Presented::Certificate(shown)) => Some(&shown.identity),
        Some(Presented::Headers(identity)) => Some(&**identity),
        Some(Presented::Nobody) | None => None,
    };
    let subject = identity.and_then(|one| one.subject.as_ref()).map(ToString::to_string);
    let sha256 = identity.and_then(|one| one.sha256.as_ref()).map(ToString::to_string);
    tracing::info!(
        problem.code = problem.code,
        certificate.subject = subject.unwrap_or_default(),
        certificate.sha256 = sha256.unwrap_or_default(),
        "a caller of the API was not let in"
    );
}

fn denied(decision: &Decision<'_>) -> Problem {
    let status = StatusCode::from_u16(decision.status());
    let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let detail = match status {
        StatusCode::FORBIDDEN => "the certificate's user is no administrator (admin.group)",
        StatusCode::UNAUTHORIZED => "the certificate that came with this call lets nobody in",
        _ => "nothing can be decided at the moment",
    };
    Problem::new(status, decision.code(), detail)
}

fn not_strong() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "not_strong",
        "an administrator comes in by a mapping of sha256, spki or issuer and serial, not by a \
         rule or a weak mapping; see `certgate mapping add --cert`",
    )
}
