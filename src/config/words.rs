//! Settings whose values are a few fixed words, each word written once.

use super::problem::Fault;

/// Declares an enum whose values are words, with one table for reading and writing them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that stands for the value.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Reads exactly one of the words.
            pub fn parse(text: &str) -> Result<Self, $crate::config::Fault> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::config::words::not_a_word(text, &[$($word),+])),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use words;

pub(super) fn not_a_word(text: &str, words: &[&'static str]) -> Fault {
    let remedy = super::source::nearest(text, words.iter().copied()).map_or_else(
        || format!("write one of {}", words.join(", ")),
        |word| format!("did you mean {word:?}? The values are {}", words.join(", ")),
    );
    Fault::new(format!("{text:?} is not known"), remedy)
}

words! {
    /// What is done when revocation cannot be told.
    Policy {
        /// The request goes on.
        Allow = "allow",
        /// The request is denied; the default.
        Deny = "deny",
    }
}

words! {
    /// Who verifies the chain of certificates.
    TrustMode {
        /// The proxy and certgate; both must agree.
        Both = "both",
        /// certgate alone.
        Own = "own",
        /// The proxy alone; the default.
        Proxy = "proxy",
    }
}

words! {
    /// What identity is derived from.
    Source {
        /// The certificate itself; headers that are sent too must agree with it.
        Certificate = "certificate",
        /// Serial and DN headers only.
        Headers = "headers",
    }
}

words! {
    /// A kind of mapping that another certificate of another CA, or of another day, may match too.
    WeakKind {
        /// Issuer and subject.
        IssuerSubject = "issuer_subject",
        /// The subject alone.
        Subject = "subject",
        /// An e-mail address among the alternative names.
        SanEmail = "san_email",
        /// A Microsoft user principal name among the alternative names.
        SanUpn = "san_upn",
        /// A URI among the alternative names.
        SanUri = "san_uri",
        /// A DNS name among the alternative names.
        SanDns = "san_dns",
        /// The subject's only common name.
        CommonName = "common_name",
        /// The serial number alone.
        Serial = "serial",
    }
}

impl WeakKind {
    /// Whether a mapping of this kind names the issuer.
    pub fn names_issuer(self) -> bool {
        self == Self::IssuerSubject
    }
}

words! {
    /// What stands between two groups in the answer.
    GroupSeparator {
        /// A comma; the default.
        Comma = ",",
        /// A vertical bar.
        Bar = "|",
        /// A semicolon.
        Semicolon = ";",
    }
}

words! {
    /// How a log line is written.
    LogFormat {
        /// One JSON object.
        Json = "json",
        /// Text for people.
        Text = "text",
    }
}
