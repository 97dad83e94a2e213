//! What an act stands on: the time and what is configured.

use crate::decide::{AllowedIssuer, RequiredUsage};
use crate::directory::{Column, Holder, Kinds, Settings};
use crate::pki::{Certificate, Identity, UnixTime};

/// The time and what is configured of matching.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Now.
    pub now: UnixTime,
    /// The kinds of mappings that may match.
    pub kinds: Kinds,
    /// What is configured of names.
    pub settings: Settings,
    /// What requests show of a certificate.
    pub sees: Sees,
    /// Issuers allowed; empty means whatever the proxy trusts.
    pub issuers: Vec<AllowedIssuer>,
    /// What a certificate must be made for.
    pub usage: RequiredUsage,
}

/// What requests show of a certificate, as certgate is configured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sees {
    /// All of it.
    Certificate,
    /// Names in headers, those of which the proxy sends.
    Headers {
        /// The issuer's name.
        issuer: bool,
        /// The serial number.
        serial: bool,
        /// The subject's name.
        subject: bool,
    },
}

impl Ground {
    /// The certificate as a request would show it.
    #[must_use]
    pub fn identity(&self, certificate: &Certificate) -> Identity {
        match self.sees {
            Sees::Certificate => Identity::from_certificate(certificate),
            Sees::Headers { issuer, serial, subject } => Identity::from_headers(
                serial.then(|| certificate.serial.clone()),
                subject.then(|| certificate.subject.clone()),
                issuer.then(|| certificate.issuer.clone()),
            ),
        }
    }

    /// What the rules see of it.
    pub(super) fn holder<'h>(
        &self,
        identity: &'h Identity,
        certificate: &'h Certificate,
    ) -> Holder<'h> {
        let certificate = (self.sees == Sees::Certificate).then_some(certificate);
        Holder { identity, certificate }
    }

    /// Whether a request shows this column at all.
    #[must_use]
    pub const fn shows(&self, column: Column) -> bool {
        let Sees::Headers { issuer, serial, subject } = self.sees else { return true };
        match column {
            Column::Issuer => issuer,
            Column::Serial => serial,
            Column::Subject | Column::CommonName => subject,
            _ => false,
        }
    }
}
