//! Whether a certificate is made for what it is presented for.
//!
//! Only its own extensions are looked at. What the CAs above it may issue is the matter of its chain.

use std::fmt;

use crate::pki::{Certificate, key_usage_names, purpose_text};

/// What the operator wants of a client's certificate beyond the rule for all of them (`usage.*`).
///
/// Each that is asked for must be said by the certificate itself: an extension that is absent, and
/// the special values for "any", restrict nothing and show nothing, so that they do not count
/// (RFC 5280 4.2.1.12 has a CA name the particular purpose beside "any" for those who ask for it).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequiredUsage {
    /// Purposes, dotted: every one of them.
    pub extended_key_usage: Vec<String>,
    /// Bits of the key usage: every one of them. None asks for nothing.
    pub key_usage: u16,
    /// Policies, dotted: one of them at least.
    pub policies: Vec<String>,
}

/// Why a certificate is not one to come in with (`usage_not_allowed`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UsageFault<'r> {
    /// A CA's own certificate is no client (RFC 5280 4.2.1.9).
    #[error("it is a CA's own certificate, which is never a client's")]
    Authority,
    /// The key usage lacks these bits, or is absent.
    #[error(
        "its key usage lacks {} (usage.require_key_usage); {OF_TWO} is the one that has it",
        Bits(*.lacking)
    )]
    KeyUsage {
        /// The bits that are missing.
        lacking: u16,
    },
    /// The extended key usage restricts the key to other purposes.
    #[error(
        "its extended key usage permits neither clientAuth nor any; {OF_TWO} is the one for \
         authentication, not the one for signatures, encryption or servers"
    )]
    NotForClients,
    /// None of the policies is named.
    #[error(
        "it names none of the policies {} (usage.require_policies); {OF_TWO} is the one issued \
         under one of them",
        .wanted.join(", ")
    )]
    Policies {
        /// The policies, one of which would do.
        wanted: &'r [String],
    },
    /// The extended key usage does not name this purpose, or is absent.
    #[error(
        "its extended key usage does not name {} (usage.require_extended_key_usage); {OF_TWO} is \
         the one that does",
        purpose_text(.lacking)
    )]
    Purpose {
        /// The purpose that is missing, dotted.
        lacking: &'r str,
    },
}

/// How each text begins to say which one to pick.
const OF_TWO: &str = "of two certificates on a card, the one to pick";

impl RequiredUsage {
    /// Whether nothing beyond the rule for all is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.extended_key_usage.is_empty() && self.key_usage == 0 && self.policies.is_empty()
    }

    /// Judges the usages that the certificate itself states.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn judge(&self, certificate: &Certificate) -> Result<(), UsageFault<'_>> {
        if !certificate.usage.allows_client_auth() {
            return Err(UsageFault::NotForClients);
        }
        if certificate.is_ca {
            return Err(UsageFault::Authority);
        }
        let is_named = |oid: &&String| certificate.usage.names(oid);
        if let Some(lacking) = self.extended_key_usage.iter().find(|oid| !is_named(oid)) {
            return Err(UsageFault::Purpose { lacking });
        }
        let lacking = self.key_usage & !certificate.key_usage.unwrap_or(0);
        if lacking != 0 {
            return Err(UsageFault::KeyUsage { lacking });
        }
        let wanted = &self.policies;
        if !wanted.is_empty() && !wanted.iter().any(|oid| certificate.policies.contains(oid)) {
            return Err(UsageFault::Policies { wanted });
        }
        Ok(())
    }
}

/// Bits of the key usage, by name.
struct Bits(u16);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_usage_names(self.0).join(" and "))
    }
}
