//! What rules look at: values of the subject and of the subject alternative name.

use std::borrow::Cow;
use std::fmt;

use super::pattern::Case;
use crate::pki::{
    AttributeType, Certificate, Identity, parse_dns, parse_email, parse_text, parse_upn, parse_uri,
};

/// Whoever asks: what was presented, and the certificate itself unless only headers were sent.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'h> {
    /// The columns.
    pub identity: &'h Identity,
    /// The certificate; without it usages and policies are invisible.
    pub certificate: Option<&'h Certificate>,
}

/// One kind of value that a condition or a template names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// An attribute of the subject; the common name only if there is exactly one.
    Attribute(AttributeType, Box<str>),
    SanDns,
    SanEmail,
    SanUpn,
    SanUri,
}

/// The values of a field, in the form in which mappings compare them.
pub(super) struct Values<'h> {
    /// Those that are clean text.
    pub(super) texts: Vec<Cow<'h, str>>,
    /// Whether there are others: no text, empty, or with a control character.
    pub(super) others: bool,
}

impl Field {
    /// An attribute by its name or OID; `common_name` is `CN`.
    pub(super) fn attribute(word: &str) -> Result<Self, String> {
        let name = if word == "common_name" { "CN" } else { word };
        let kind = AttributeType::parse(name).map_err(|error| error.to_string())?;
        Ok(Self::Attribute(kind, word.into()))
    }

    /// The values shown; none where the input cannot show them.
    pub(super) fn values<'h>(&self, holder: Holder<'h>) -> Values<'h> {
        let identity = holder.identity;
        let borrowed = |texts: &'h [String]| Values {
            texts: texts.iter().map(|text| Cow::Borrowed(text.as_str())).collect(),
            others: false,
        };
        match self {
            Self::SanDns => borrowed(&identity.san_dns),
            Self::SanEmail => borrowed(&identity.san_email),
            Self::SanUpn => borrowed(&identity.san_upn),
            Self::SanUri => borrowed(&identity.san_uri),
            Self::Attribute(kind, _) if kind.is_common_name() => {
                borrowed(identity.common_name.as_slice())
            }
            Self::Attribute(kind, _) => {
                let mut values = Values { texts: Vec::new(), others: false };
                for text in identity.subject.iter().flat_map(|subject| subject.texts_of(kind)) {
                    match text.filter(|text| is_clean(text)) {
                        Some(text) => values.texts.push(Cow::Owned(text)),
                        None => values.others = true,
                    }
                }
                values
            }
        }
    }

    /// An operator's value in the form in which this field's values are compared.
    pub(super) fn canonical(&self, text: &str) -> Result<String, String> {
        let parse = match self {
            Self::Attribute(..) => parse_text,
            Self::SanDns => parse_dns,
            Self::SanEmail => parse_email,
            Self::SanUpn => parse_upn,
            Self::SanUri => parse_uri,
        };
        parse(text).map_err(|error| error.to_string())
    }

    /// Whether letter case counts in its values.
    pub(super) fn case(&self) -> Case {
        match self {
            Self::SanDns | Self::SanUpn => Case::Folded,
            Self::Attribute(..) | Self::SanEmail | Self::SanUri => Case::Exact,
        }
    }

    /// Whether its values have a domain after an `@`.
    pub(super) fn has_domain(&self) -> bool {
        matches!(self, Self::SanEmail | Self::SanUpn)
    }

    /// Whether both name the same values.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Attribute(one, _), Self::Attribute(two, _)) => one == two,
            _ => self == other,
        }
    }
}

fn is_clean(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

/// As a template names it.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(_, word) => write!(f, "subject.{word}"),
            Self::SanDns => f.write_str("san_dns"),
            Self::SanEmail => f.write_str("san_email"),
            Self::SanUpn => f.write_str("san_upn"),
            Self::SanUri => f.write_str("san_uri"),
        }
    }
}
