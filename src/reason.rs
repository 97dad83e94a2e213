//! The codes of the contract, one to one: the answers a request can get.
//!
//! The same text is the metric label, the log field, the header and the first line of an
//! explanation.

/// Declares an enum of codes with its texts, so that none can be forgotten in a list.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code: metric label, log field, `X-Auth-Reason`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

codes! {
    /// Why somebody is let in.
    AllowReason {
        /// No certificate, and none is needed.
        Anonymous = "anonymous",
        /// A mapping names the user.
        Mapped = "mapped",
        /// A rule names the user.
        Rule = "rule",
    }
}

codes! {
    /// Why somebody is kept out.
    DenyReason {
        /// Active mappings of one kind name two users.
        Ambiguous = "ambiguous",
        /// A block in force matches.
        Blocked = "blocked",
        /// Past `notAfter`.
        CertificateExpired = "certificate_expired",
        /// Not exactly one strict certificate, or an extension that does not parse.
        CertificateMalformed = "certificate_malformed",
        /// Before `notBefore`.
        CertificateNotYetValid = "certificate_not_yet_valid",
        /// Revoked, by the proxy's word or by CRL.
        CertificateRevoked = "certificate_revoked",
        /// More DER than allowed.
        CertificateTooLarge = "certificate_too_large",
        /// No trusted chain, by the proxy's word or our own.
        ChainUntrusted = "chain_untrusted",
        /// A known user who is in none of the required groups.
        GroupRequired = "group_required",
        /// A serial or name header that disagrees with the certificate.
        HeaderMismatch = "header_mismatch",
        /// Not one of `identity.issuers`.
        IssuerNotAllowed = "issuer_not_allowed",
        /// A security header twice, not ASCII, too long, undecodable.
        MalformedHeader = "malformed_header",
        /// The strongest matching mappings are switched off or outside their windows.
        MappingDisabled = "mapping_disabled",
        /// A matching strong mapping is revoked.
        MappingRevoked = "mapping_revoked",
        /// Nothing was presented.
        NoCertificate = "no_certificate",
        /// The proxy did not say success.
        NotVerified = "not_verified",
        /// Not a proxy that may ask.
        ProxyNotTrusted = "proxy_not_trusted",
        /// No CRL for this issuer.
        RevocationUnknown = "revocation_unknown",
        /// No mapping and no rule.
        Unmapped = "unmapped",
        /// Not a client certificate by its own extensions, or not of a usage that is required.
        UsageNotAllowed = "usage_not_allowed",
        /// The user is disabled or outside its window.
        UserDisabled = "user_disabled",
    }
}

codes! {
    /// Why there is no decision.
    UndecidedReason {
        /// An option of nginx's configuration that cannot be read.
        BadOptions = "bad_options",
        /// The directory is older than allowed.
        DirectoryStale = "directory_stale",
        /// Nothing was loaded yet.
        NotReady = "not_ready",
    }
}

const DENY_FROM: usize = AllowReason::ALL.len();
const UNDECIDED_FROM: usize = DENY_FROM + DenyReason::ALL.len();
const CODE_COUNT: usize = UNDECIDED_FROM + UndecidedReason::ALL.len();

/// Every code, so that a metric can show each from the start.
pub const CODES: [&str; CODE_COUNT] = codes();

impl AllowReason {
    /// Its place in [`CODES`].
    #[must_use]
    pub const fn number(self) -> usize {
        self as usize
    }
}

impl DenyReason {
    /// Its place in [`CODES`].
    #[must_use]
    pub const fn number(self) -> usize {
        DENY_FROM + self as usize
    }
}

impl UndecidedReason {
    /// Its place in [`CODES`].
    #[must_use]
    pub const fn number(self) -> usize {
        UNDECIDED_FROM + self as usize
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated while compiling; out of bounds is an error")]
const fn codes() -> [&'static str; CODE_COUNT] {
    let mut codes = [""; CODE_COUNT];
    let mut place = 0;
    while place < CODE_COUNT {
        codes[place] = if place < DENY_FROM {
            AllowReason::ALL[place].code()
        } else if place < UNDECIDED_FROM {
            DenyReason::ALL[place - DENY_FROM].code()
        } else {
            UndecidedReason::ALL[place - UNDECIDED_FROM].code()
        };
        place += 1;
    }
    codes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{AllowReason, CODES, DenyReason, UndecidedReason};

    #[test]
    fn every_code_has_its_own_text_and_place() {
        assert_eq!(CODES.iter().collect::<BTreeSet<_>>().len(), CODES.len());
        for reason in AllowReason::ALL {
            assert_eq!(CODES[reason.number()], reason.code());
        }
        for reason in DenyReason::ALL {
            assert_eq!(CODES[reason.number()], reason.code());
        }
        for reason in UndecidedReason::ALL {
            assert_eq!(CODES[reason.number()], reason.code());
        }
    }
}
