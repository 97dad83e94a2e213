//! Whether a certificate is made for what it is presented for.

use serde::Serialize;

use crate::decide::RequiredUsage;
use crate::pki::{Certificate, key_usage_names, purpose_text};

/// Whether the certificate is made for what it is presented for; what is asked of all (a client's,
/// no CA's) is not listed.
#[derive(Debug, Serialize)]
pub struct UsageFacts {
    allowed: bool,
    why: Option<String>,
    required: RequiredFacts,
}

/// What `usage.*` asks for.
#[derive(Debug, Serialize)]
struct RequiredFacts {
    extended_key_usage: Vec<String>,
    key_usage: Vec<&'static str>,
    policies: Vec<String>,
}

impl UsageFacts {
    /// Judges as the decision does.
    #[must_use]
    pub fn new(certificate: &Certificate, required: &RequiredUsage) -> Self {
        let judged = required.judge(certificate);
        Self {
            allowed: judged.is_ok(),
            why: judged.err().map(|fault| fault.to_string()),
            required: RequiredFacts {
                extended_key_usage: required.extended_key_usage.clone(),
                key_usage: key_usage_names(required.key_usage),
                policies: required.policies.clone(),
            },
        }
    }

    /// One line for people, where there is something to say.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        let required = &self.required;
        let purposes = required.extended_key_usage.iter().map(|oid| purpose_text(oid));
        let asked: Vec<&str> = purposes.chain(required.key_usage.iter().copied()).collect();
        let policies = required.policies.join(" or ");
        match &self.why {
            Some(why) => Some(format!("usage: not allowed: {why}")),
            None if asked.is_empty() && policies.is_empty() => None,
            None if policies.is_empty() => Some(format!("usage: has {}", asked.join(", "))),
            None => Some(format!("usage: has {}", [&asked[..], &[&policies]].concat().join(", "))),
        }
    }
}
