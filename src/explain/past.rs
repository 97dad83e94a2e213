//! A request that was denied some time ago, beside what would be answered today.

use serde::Serialize;

use super::Asked;
use crate::decide::Chains;
use crate::pki::Certificate;
use crate::proxy::Reader;
use crate::reason::DenyReason;

/// What was decided then.
#[derive(Clone, Debug, Serialize)]
pub struct PastDenial {
    /// When, RFC 3339.
    pub at: String,
    /// The code.
    pub reason: String,
    /// The proxy's number of the request.
    pub request_id: Option<String>,
    /// The host that the client asked for.
    pub host: Option<String>,
    /// The client's address.
    pub peer: Option<String>,
    /// The fingerprint of its certificate, if one was verified.
    pub certificate: Option<String>,
    /// How many denials are kept under this request id; this is the last.
    pub denials: usize,
}

impl PastDenial {
    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!("then: {} at {}", self.reason, self.at);
        for (word, value) in [("host", &self.host), ("from", &self.peer)] {
            if let Some(value) = value {
                line.push_str(&format!(", {word} {value}"));
            }
        }
        if self.denials > 1 {
            line.push_str(&format!(", the last of {} with this request id", self.denials));
        }
        line
    }
}

impl Asked {
    /// A request that was denied, by its certificate if that is still kept; else only the code is
    /// known. None for a code that this version does not have.
    #[must_use]
    pub fn of_past(
        past: &PastDenial,
        certificate: Option<Certificate>,
        reader: &Reader,
        chains: Chains,
    ) -> Option<Self> {
        let Some(certificate) = certificate else {
            let reason = DenyReason::ALL.iter().find(|reason| reason.code() == past.reason)?;
            let why = match past.certificate {
                Some(_) => "the certificate of this request is not kept any more",
                None => "no verified certificate came with this request",
            };
            return Some(Self {
                presented: Err(*reason),
                certificate: None,
                headers: Vec::new(),
                assumed: vec![format!("{why}: only what was decided then is known")],
            });
        };
        let mut asked = Self::of_certificate(certificate, reader);
        asked.assumed.push("what the location asked for is not kept: say it (require)".to_owned());
        if chains == Chains::Verified {
            asked.assumed.push("the chain that the proxy sent is not kept".to_owned());
        }
        Some(asked)
    }
}
