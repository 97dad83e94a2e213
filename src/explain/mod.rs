//! Why a certificate or a request is answered as it is, by the code that answers nginx.
//!
//! Values in, a value out that the command line prints and the API sends: no I/O, no clock. It must
//! decide nothing itself: the answer is [`decide::decide`]'s, and everything else here says what
//! that looked at.

mod facts;
mod headers;
mod past;
mod remedy;
mod sent;
mod trust;
mod usage;

use std::sync::Arc;

use serde::Serialize;

pub use self::facts::{Facts, Names, hex};
pub use self::headers::{HeaderFacts, HeadersError, MAX_HEADERS_BYTES, RawHeaders};
pub use self::past::PastDenial;
pub use self::remedy::{Handle, Step, quoted};
pub(crate) use self::sent::as_headers;
pub use self::trust::{ListFacts, Problem, TrustFacts};
pub use self::usage::UsageFacts;

use crate::config::HEADER_MODE_UNCHECKED;
use crate::decide::{self, Decision, Options, Question, View};
use crate::directory::{Candidates, Considered, Holder, Sibling};
use crate::pki::{Certificate, Identity};
use crate::proxy::{Memory, Presented, Reader, Shown, Source};
use crate::reason::DenyReason;
use crate::revocation::Authorities;

/// What is to be explained.
#[derive(Debug)]
pub struct Asked {
    presented: Result<Presented, DenyReason>,
    /// The certificate itself, shown in the request or given by an operator.
    certificate: Option<Arc<Shown>>,
    headers: Vec<HeaderFacts>,
    assumed: Vec<String>,
}

/// What an explanation looks at besides what was asked.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'s> {
    /// What a decision looks at.
    pub view: &'s View<'s>,
    /// Certificates that are known and are like this one; see [`Asked::certificate`].
    pub siblings: &'s [Sibling],
    /// Files of CAs that cannot be used.
    pub unusable_files: &'s [Problem],
    /// How the certificate is named in a command.
    pub handle: Handle<'s>,
}

/// Who it is and why; what `certgate explain --json` prints.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// `allow`, `deny` or `error`.
    pub decision: &'static str,
    /// The HTTP status of the contract.
    pub status: u16,
    /// The code of the contract.
    pub reason: &'static str,
    /// Who is let in.
    pub user: Option<String>,
    /// What the answer takes for granted.
    pub assumed: String,
    /// What was decided when the request came, for one that is asked about afterwards.
    pub then: Option<PastDenial>,
    /// The certificate; none if none was shown, or none that can be read.
    pub certificate: Option<Facts>,
    /// What headers show instead of a certificate.
    pub names: Option<ShownNames>,
    /// The security headers of a request.
    pub headers: Vec<HeaderFacts>,
    /// Whether the certificate is made for what it is presented for.
    pub usage: Option<UsageFacts>,
    /// What the CAs say of it.
    pub trust: Option<TrustFacts>,
    /// Every block, mapping and rule that matches or nearly does, and why.
    pub considered: Vec<Considered>,
    /// How many more that do not match are not listed.
    pub considered_left_out: usize,
    /// How many rows of the directory cannot be used; `certgate doctor` lists them.
    pub unusable_rows: usize,
    /// What would change the answer.
    pub remedy: Vec<Step>,
}

/// What headers show where there is no certificate.
#[derive(Debug, Serialize)]
pub struct ShownNames {
    /// The subject, as nginx sends it.
    pub subject: Option<String>,
    /// The issuer.
    pub issuer: Option<String>,
    /// The serial.
    pub serial: Option<String>,
}

impl Asked {
    /// A certificate, as if a request came with it and the proxy had verified it.
    #[must_use]
    pub fn of_certificate(certificate: Certificate, reader: &Reader) -> Self {
        let shown = Arc::new(Shown::from(certificate));
        let presented = match reader.source {
            Source::Certificate => Ok(Presented::Certificate(Arc::clone(&shown))),
            Source::Headers => as_headers(&shown.certificate, reader),
        };
        let assumed = vec![match reader.source {
            Source::Certificate => "the proxy verified this certificate".to_owned(),
            Source::Headers => format!(
                "the proxy verified this certificate and sends its names in headers \
                 (identity.source); {}",
                unchecked()
            ),
        }];
        Self { presented, certificate: Some(shown), headers: Vec::new(), assumed }
    }

    /// A request, by the headers that its proxy sent.
    #[must_use]
    pub fn of_headers(headers: &RawHeaders, reader: &Reader) -> Self {
        let presented = reader.read(headers, &mut Memory::default());
        let certificate = match &presented {
            Ok(Presented::Certificate(shown)) => Some(Arc::clone(shown)),
            _ => None,
        };
        let trusted = "these headers came from a proxy that may ask (its address and \
                       X-Certgate-Secret are not looked at)";
        let mut assumed = vec![trusted.to_owned()];
        if reader.source == Source::Headers {
            assumed.push(unchecked());
        }
        Self { presented, certificate, headers: headers.facts(&reader.names), assumed }
    }

    /// The certificate, if there is one: for whoever looks for its siblings.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref().map(|shown| &shown.certificate)
    }

    /// Decides as for a request, and tells what that looked at.
    #[must_use]
    pub fn explain(&self, options: &Options, scene: &Scene<'_>) -> Explanation {
        let view = scene.view;
        let question = Question {
            options: Ok(options.clone()),
            proxy_is_trusted: true,
            presented: || self.presented.clone(),
        };
        let decision = decide::decide(question, view);
        let holder = self.holder();
        let candidates = match (holder, view.directory) {
            (Some(holder), Some(directory)) => {
                directory.consider(holder, scene.siblings, view.now, view.policy.kinds)
            }
            _ => Candidates::default(),
        };
        let remedy = remedy::steps(&decision, holder, &candidates.rows, options, scene);
        let none = Authorities::default();
        let known = view.trust.authorities.unwrap_or(&none);
        let is_whole = matches!(self.presented, Ok(Presented::Certificate(_)));
        let facts = |shown: &Arc<Shown>| Facts::from(&shown.certificate);
        let usage = |shown: &Arc<Shown>| UsageFacts::new(&shown.certificate, &view.policy.usage);
        let trust = |shown: &Arc<Shown>| {
            TrustFacts::new(shown, known, scene.unusable_files, view.policy, view.now)
        };
        let shown = self.certificate.as_ref();
        Explanation {
            decision: word(&decision),
            status: decision.status(),
            reason: decision.code(),
            user: user(&decision),
            assumed: self.assumed.join("; "),
            then: None,
            certificate: shown.map(facts),
            names: self.names(),
            headers: self.headers.clone(),
            usage: shown.filter(|_| is_whole).map(usage),
            trust: shown.map(trust),
            considered: candidates.rows,
            considered_left_out: candidates.left_out,
            unusable_rows: view.directory.map_or(0, |directory| directory.unusable().len()),
            remedy,
        }
    }

    /// Whose mappings, blocks and rules are to be told of.
    fn holder(&self) -> Option<Holder<'_>> {
        match &self.presented {
            Ok(Presented::Certificate(shown)) => {
                Some(Holder { identity: &shown.identity, certificate: Some(&shown.certificate) })
            }
            Ok(Presented::Headers(identity)) => Some(Holder { identity, certificate: None }),
            Ok(Presented::Nobody) | Err(_) => None,
        }
    }

    /// What headers show, where the certificate itself is not known.
    fn names(&self) -> Option<ShownNames> {
        let Ok(Presented::Headers(identity)) = &self.presented else { return None };
        if self.certificate.is_some() {
            return None;
        }
        let identity: &Identity = identity;
        Some(ShownNames {
            subject: identity.subject.as_ref().map(ToString::to_string),
            issuer: identity.issuer.as_ref().map(ToString::to_string),
            serial: identity.serial.as_ref().map(ToString::to_string),
        })
    }
}

fn unchecked() -> String {
    format!("not checked: {}", HEADER_MODE_UNCHECKED.join(", "))
}

fn word(decision: &Decision<'_>) -> &'static str {
    match decision {
        Decision::Allow(_) => "allow",
        Decision::Deny(_) => "deny",
        Decision::Undecided(_) => "error",
    }
}

fn user(decision: &Decision<'_>) -> Option<String> {
    match decision {
        Decision::Allow(allow) => allow.user().map(|user| user.username.to_string()),
        Decision::Deny(_) | Decision::Undecided(_) => None,
    }
}
