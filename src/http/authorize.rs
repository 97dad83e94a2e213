//! The question that nginx asks for every request.
//!
//! It turns a request into values, calls [`decide`] and turns the decision into an answer; it
//! decides nothing itself, waits for nothing and never touches the database.

use std::cell::{OnceCell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_http::{HttpMessage as _, Request};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use subtle::ConstantTimeEq as _;

use super::denial_log::DenialLog;
use super::input::Input;
use super::output::{self, Output};
use crate::decide::{self, Allow, Decision, Options, Policy, Question, View};

use crate::metrics::{DecisionRecorder, Metrics};
use crate::pki::UnixTime;
use crate::proxy::{Memory, Presented};
use crate::reason::DenyReason;
use crate::revocation::{ChainMemory, Published};
use crate::seen::{Denied, Sampler, Seen};
use crate::sync::Replica;

/// Header in which a proxy shows the shared secret.
const SECRET_HEADER: HeaderName = HeaderName::from_static("x-certgate-secret");
/// Header that tells the code of the decision.
const REASON_HEADER: HeaderName = HeaderName::from_static("x-auth-reason");
/// nginx's `$request_id`: logged, never decided on.
const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is kept.
const MAX_REQUEST_ID_BYTES: usize = 128;
/// The client's address as the proxy saw it: logged, never decided on.
const REAL_IP_HEADER: HeaderName = HeaderName::from_static("x-real-ip");
/// The host the client asked for: logged, never decided on.
const ORIGINAL_HOST_HEADER: HeaderName = HeaderName::from_static("x-original-host");
/// Longest host name that is kept, RFC 1035 2.3.4.
const MAX_HOST_BYTES: usize = 255;

/// Who may ask.
#[derive(Debug, Default)]
pub struct Trust {
    /// Networks of the TCP peer (`proxy.trusted`); empty asks for none.
    pub networks: Vec<IpNet>,
    /// The shared secret (`proxy.secret_file`).
    pub secret: Option<Box<[u8]>>,
}

impl Trust {
    /// Whether this peer may ask: with networks and a secret, both must hold.
    pub(super) fn admits(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
        if !self.networks.is_empty() {
            let Some(peer) = peer.map(|peer| peer.to_canonical()) else { return false };
            if !self.networks.iter().any(|network| network.contains(&peer)) {
                return false;
            }
        }
        let Some(secret) = &self.secret else { return true };
        let mut shown = headers.get_all(SECRET_HEADER);
        match (shown.next(), shown.next()) {
            (Some(value), None) => value.as_bytes().ct_eq(secret).into(),
            _ => false,
        }
    }
}

/// Everything the auth listener needs, shared by its workers.
#[derive(Debug)]
pub struct Gate {
    /// Who may ask.
    pub trust: Trust,
    /// How the proxy speaks.
    pub input: Input,
    /// What counts.
    pub policy: Policy,
    /// How the answer names its headers.
    pub output: Output,
    /// The directory.
    pub replica: Arc<Replica>,
    /// Where to leave what was seen, and whom a rule asks to be added.
    pub seen: Seen,
    /// What is known of the CAs.
    pub authorities: Arc<Published>,
    /// Where decisions are counted.
    pub metrics: Metrics,
    /// The clock.
    pub now: fn() -> UnixTime,
}

/// One worker's share: the gate, and what this worker parsed and verified a moment ago.
#[derive(Debug)]
pub(super) struct Worker {
    gate: Arc<Gate>,
    recorder: DecisionRecorder,
    memory: RefCell<Memory>,
    chains: ChainMemory,
    sampler: Sampler,
    denial_log: DenialLog,
}

/// When a request came, and the moment for which it is decided: later, if it had to wait.
#[derive(Clone, Copy)]
pub(super) struct Clocks {
    pub(super) arrived: Instant,
    pub(super) now: Instant,
}

/// An answer that decides nothing and is not 2xx.
pub(super) fn refusal(status: StatusCode) -> HttpResponse {
    HttpResponse::build(status).insert_header((header::CACHE_CONTROL, NO_STORE)).finish()
}

/// No answer of ours may be given to somebody else later.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

impl Worker {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self {
            recorder: gate.metrics.recorder(),
            sampler: Sampler::new(gate.seen.clone()),
            gate,
            memory: RefCell::default(),
            chains: ChainMemory::default(),
            denial_log: DenialLog::default(),
        }
    }

    /// Whether this request's certificate would have to be parsed.
    pub(super) fn must_parse(&self, request: &Request) -> bool {
        self.is_trusted(request) && !self.gate.input.knows(request.headers(), &self.memory.borrow())
    }

    /// How often a certificate had to be parsed.
    pub(super) fn parses(&self) -> u64 {
        self.memory.borrow().parses()
    }

    fn is_trusted(&self, request: &Request) -> bool {
        self.gate.trust.admits(request.peer_addr().map(|peer| peer.ip()), request.headers())
    }

    /// Decides and answers.
    pub(super) fn authorize(&self, request: &Request, clocks: Clocks) -> HttpResponse {
        let Clocks { arrived, now: started } = clocks;
        let gate = &*self.gate;
        let now = (gate.now)();
        let directory = gate.replica.directory();
        let asks_authorities = gate.policy.trust.asks_authorities();
        let authorities = asks_authorities.then(|| gate.authorities.current());
        let view = View {
            directory: directory.as_deref(),
            age: gate.replica.age_at(started, now),
            now,
            trust: decide::Trust {
                authorities: authorities.as_ref().map(|current| &***current),
                memory: Some(&self.chains),
            },
            policy: &gate.policy,
        };
        let headers = request.headers();
        // Read inside the decision, told of after it.
        let seen = OnceCell::new();
        let question = Question {
            options: Options::parse(request.uri().query().unwrap_or_default()),
            proxy_is_trusted: self.is_trusted(request),
            presented: || {
                let mut memory = self.memory.borrow_mut();
                let presented = gate.input.read(headers, &mut memory)?;
                Ok(seen.get_or_init(|| presented))
            },
        };
        let decision = decide::decide(question, &view);
        let seen = seen.get();
        let mut response = respond(&gate.output, &decision);
        if !matches!(decision, Decision::Allow(_)) && output::is_copied(headers) {
            output::write_refusal(decision.code(), request_id(headers), &mut response);
        }
        if matches!(decision, Decision::Deny(DenyReason::Unmapped)) {
            let wish = seen.and_then(|presented| decide::wish(presented, &view));
            if let Some(wish) = wish {
                gate.seen.wish(wish);
            }
        }
        if matches!(decision, Decision::Deny(_)) && matches!(seen, Some(Presented::Certificate(_)))
        {
            let is_verified = decision.is_about_verified(&gate.policy);
            gate.input.set_aside(headers, &mut self.memory.borrow_mut(), is_verified);
        }
        self.recorder.record(decision.code_number(), arrived.elapsed());
        self.tell(&decision, seen, request, started);
        if let Some(count) = self.denial_log.settled(started) {
            tracing::info!(denials.left_out = count, "denials were left out of the log: too many");
        }
        if matches!(decision, Decision::Allow(_)) || self.denial_log.admits(started) {
            report(&decision, seen, headers);
        }
        response
    }

    /// Tells what was seen, if anybody should know: certificates that were verified, and denials.
    fn tell(
        &self,
        decision: &Decision<'_>,
        seen: Option<&Presented>,
        request: &Request,
        now: Instant,
    ) {
        let verified = match seen {
            Some(Presented::Certificate(shown))
                if decision.is_about_verified(&self.gate.policy) =>
            {
                Some(shown)
            }
            _ => None,
        };
        let username = match decision {
            Decision::Allow(allow) => allow.user().map(|user| &*user.username),
            Decision::Deny(_) => None,
            Decision::Undecided(_) => return,
        };
        if let Some(shown) = verified {
            self.sampler.certificate(shown, decision.code(), username, now);
        }
        let Decision::Deny(reason) = decision else { return };
        let certificate = verified.map(|shown| shown.certificate.sha256);
        let headers = request.headers();
        let text = |text: &str| (!text.is_empty()).then(|| text.into());
        self.sampler.denied(certificate, now, || {
            let about = Denied {
                at: now,
                code: reason.code(),
                certificate,
                host: None,
                request_id: None,
                peer: request.peer_addr().map(|peer| peer.ip().to_canonical()),
            };
            // What somebody says who may not ask is not worth keeping.
            if *reason == DenyReason::ProxyNotTrusted {
                return about;
            }
            Denied {
                host: text(original_host(headers)),
                request_id: text(request_id(headers)),
                peer: client_address(headers).or(about.peer),
                ..about
            }
        });
    }
}

fn respond(output: &Output, decision: &Decision<'_>) -> HttpResponse {
    let status =
        StatusCode::from_u16(decision.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::new(status);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(REASON_HEADER, HeaderValue::from_static(decision.code()));
    let written = match decision {
        Decision::Allow(allow) => output.write(allow.user(), headers),
        Decision::Deny(_) | Decision::Undecided(_) => Ok(()),
    };
    match written {
        Ok(()) => response,
        Err(error) => {
            // Names are checked when the directory is built, so this is a defect; closed all the same.
            tracing::error!(%error, "the answer's headers could not be written");
            refusal(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// One log line: allows at debug, denies at info, "could not decide" at warn.
fn report(decision: &Decision<'_>, seen: Option<&Presented>, headers: &HeaderMap) {
    macro_rules! say {
        ($level:ident, $message:literal $(, $field:ident . $name:ident = $value:expr)*) => {
            tracing::$level!(
                decision.reason = decision.code(),
                request.id = request_id(headers),
                $($field.$name = $value,)*
                $message
            )
        };
    }
    match decision {
        Decision::Allow(Allow::Anonymous) => say!(debug, "allowed without a certificate"),
        Decision::Allow(Allow::Mapped(user, mapping)) => {
            say!(debug, "allowed", user.name = &*user.username, mapping.id = mapping);
        }
        Decision::Allow(Allow::Rule(user, priority)) => {
            say!(debug, "allowed", user.name = &*user.username, rule.priority = priority);
        }
        Decision::Deny(_) if tracing::enabled!(tracing::Level::INFO) => {
            let identity = match seen {
                Some(Presented::Certificate(shown)) => Some(&shown.identity),
                Some(Presented::Headers(identity)) => Some(&**identity),
                Some(Presented::Nobody) | None => None,
            };
            let text = |part: Option<String>| part.unwrap_or_default();
            say!(
                info,
                "denied",
                client.address =
                    client_address(headers).map(|at| at.to_string()).unwrap_or_default(),
                request.host = original_host(headers),
                certificate.subject =
                    text(identity.and_then(|i| Some(i.subject.as_ref()?.to_string()))),
                certificate.issuer =
                    text(identity.and_then(|i| Some(i.issuer.as_ref()?.to_string()))),
                certificate.serial =
                    text(identity.and_then(|i| Some(i.serial.as_ref()?.to_string()))),
                certificate.sha256 =
                    text(identity.and_then(|i| Some(i.sha256.as_ref()?.to_string())))
            );
        }
        Decision::Deny(_) => {}
        Decision::Undecided(_) => say!(warn, "could not decide"),
    }
}

/// The proxy's request id, if it is one: `[A-Za-z0-9._-]{1,128}`, else nothing.
pub(super) fn request_id(headers: &HeaderMap) -> &str {
    let id = headers.get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok()).unwrap_or("");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if id.len() <= MAX_REQUEST_ID_BYTES && id.bytes().all(is_plain) { id } else { "" }
}

/// The client's address, if the proxy sent one and it is one.
fn client_address(headers: &HeaderMap) -> Option<IpAddr> {
    let text = headers.get(REAL_IP_HEADER).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok())
}

/// The host the client asked for, if it looks like one.
fn original_host(headers: &HeaderMap) -> &str {
    let host = headers.get(ORIGINAL_HOST_HEADER).and_then(|value| value.to_str().ok());
    host.filter(|host| host.len() <= MAX_HOST_BYTES).unwrap_or_default()
}
