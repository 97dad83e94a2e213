//! A rule's conditions: JSON that an operator writes, read strictly.
//!
//! `{"all": [...]}`: every condition must hold. A condition names one thing of the certificate and
//! one test; it holds if any value of that thing passes. What the input cannot show passes nothing.

use std::fmt;

use serde::Deserialize;

use super::field::{Field, Holder};
use super::pattern::{PatternError, ValuePattern};
use crate::pki::{ExtendedKeyUsage, parse_oid};

/// Most bytes of the JSON; the schema has the same bound.
const MAX_CONDITIONS_BYTES: usize = 16 * 1024;
/// Most conditions of one rule: each costs every request that asks the rule.
const MAX_CONDITIONS: usize = 32;

/// What must hold, all of it.
#[derive(Clone, Debug)]
pub(super) struct Conditions(Vec<Condition>);

#[derive(Clone, Debug)]
enum Condition {
    ExtendedKeyUsage(String),
    Policy(String),
    Value(Field, Test),
}

#[derive(Clone, Debug)]
enum Test {
    /// What stands after the only `@`.
    Domain(String),
    Equals(String),
    Pattern(ValuePattern),
}

/// Why a text is no set of conditions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConditionError {
    /// No attribute of that name.
    #[error("condition {number}: {why}")]
    Attribute { number: usize, why: String },
    /// A domain for something that has none, or that is not a domain.
    #[error(
        "condition {number}: `domain` is a name like ad.example.com, for san_email and san_upn"
    )]
    Domain { number: usize },
    /// Not this JSON.
    #[error("{0}")]
    Json(String),
    /// Not a dotted object identifier.
    #[error("condition {number}: an object identifier is dotted, like 1.3.6.1.5.5.7.3.2")]
    Oid { number: usize },
    /// Not a pattern.
    #[error("condition {number}: {error}")]
    Pattern { number: usize, error: PatternError },
    /// Not exactly one thing, or not exactly one test for it.
    #[error(
        "condition {number}: name one thing (attribute, san_email, san_upn, san_uri, san_dns, \
         extended_key_usage, policy) and for a name one test (equals, pattern, domain)"
    )]
    Shape { number: usize },
    /// More text or conditions than a rule may have.
    #[error("more than {MAX_CONDITIONS} conditions or {MAX_CONDITIONS_BYTES} bytes")]
    TooMany,
    /// A value that no such name has.
    #[error("condition {number}: {why}")]
    Value { number: usize, why: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConditions {
    all: Vec<RawCondition>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawCondition {
    attribute: Option<String>,
    equals: Option<String>,
    pattern: Option<String>,
    san_dns: Option<RawTest>,
    san_email: Option<RawTest>,
    san_upn: Option<RawTest>,
    san_uri: Option<RawTest>,
    extended_key_usage: Option<String>,
    policy: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawTest {
    domain: Option<String>,
    equals: Option<String>,
    pattern: Option<String>,
}

impl Conditions {
    pub(super) fn parse(json: &[u8]) -> Result<Self, ConditionError> {
        if json.len() > MAX_CONDITIONS_BYTES {
            return Err(ConditionError::TooMany);
        }
        let raw: RawConditions = serde_json::from_slice(json)
            .map_err(|error| ConditionError::Json(error.to_string()))?;
        if raw.all.len() > MAX_CONDITIONS {
            return Err(ConditionError::TooMany);
        }
        let numbered = raw.all.into_iter().zip(1..);
        numbered
            .map(|(raw, number)| Condition::read(raw, number))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The first condition that does not hold, by its number from 1 and its text.
    pub(super) fn failing(&self, holder: Holder<'_>) -> Option<(usize, String)> {
        let mut numbered = self.0.iter().zip(1..);
        let failing = numbered.find(|(condition, _)| !condition.holds(holder));
        failing.map(|(condition, number)| (number, condition.to_string()))
    }

    pub(super) fn hold(&self, holder: Holder<'_>) -> bool {
        self.0.iter().all(|condition| condition.holds(holder))
    }

    /// Whether a value passes every test that there is for its field.
    pub(super) fn qualifies(&self, field: &Field, value: &str) -> bool {
        self.tests(field).all(|test| test.passes(value))
    }

    /// The domain that every qualifying value of this field has, in lower case.
    pub(super) fn pinned_domain(&self, field: &Field) -> Option<&str> {
        self.tests(field).find_map(Test::domain)
    }

    fn tests<'c, 'f>(&'c self, field: &'f Field) -> impl Iterator<Item = &'c Test> + use<'c, 'f> {
        self.0.iter().filter_map(move |condition| match condition {
            Condition::Value(other, test) if other.is_same(field) => Some(test),
            _ => None,
        })
    }
}

impl Condition {
    fn read(raw: RawCondition, number: usize) -> Result<Self, ConditionError> {
        let oid = |text: &str| parse_oid(text).ok_or(ConditionError::Oid { number });
        let RawCondition { attribute, equals, pattern, .. } = raw;
        let has_test = equals.is_some() || pattern.is_some();
        let own = RawTest { domain: None, equals, pattern };
        let mut named = Vec::new();
        if let Some(word) = attribute {
            let field =
                Field::attribute(&word).map_err(|why| ConditionError::Attribute { number, why })?;
            named.push(Self::Value(field.clone(), own.read(&field, number)?));
        } else if has_test {
            return Err(ConditionError::Shape { number });
        }
        for (field, test) in [
            (Field::SanDns, raw.san_dns),
            (Field::SanEmail, raw.san_email),
            (Field::SanUpn, raw.san_upn),
            (Field::SanUri, raw.san_uri),
        ] {
            if let Some(test) = test {
                let test = test.read(&field, number)?;
                named.push(Self::Value(field, test));
            }
        }
        if let Some(text) = raw.extended_key_usage {
            named.push(Self::ExtendedKeyUsage(oid(&text)?));
        }
        if let Some(text) = raw.policy {
            named.push(Self::Policy(oid(&text)?));
        }
        match (named.pop(), named.is_empty()) {
            (Some(condition), true) => Ok(condition),
            _ => Err(ConditionError::Shape { number }),
        }
    }

    fn holds(&self, holder: Holder<'_>) -> bool {
        match self {
            Self::Value(field, test) => {
                field.values(holder).texts.iter().any(|value| test.passes(value))
            }
            Self::ExtendedKeyUsage(wanted) => {
                holder.certificate.is_some_and(|certificate| match &certificate.usage {
                    ExtendedKeyUsage::Absent => false,
                    ExtendedKeyUsage::Present { oids, .. } => oids.contains(wanted),
                })
            }
            Self::Policy(wanted) => {
                holder.certificate.is_some_and(|certificate| certificate.policies.contains(wanted))
            }
        }
    }
}

impl RawTest {
    fn read(self, field: &Field, number: usize) -> Result<Test, ConditionError> {
        match self {
            Self { domain: Some(domain), equals: None, pattern: None } => {
                if !field.has_domain() || !is_domain(&domain) {
                    return Err(ConditionError::Domain { number });
                }
                Ok(Test::Domain(domain.to_ascii_lowercase()))
            }
            Self { domain: None, equals: Some(text), pattern: None } => field
                .canonical(&text)
                .map(Test::Equals)
                .map_err(|why| ConditionError::Value { number, why }),
            Self { domain: None, equals: None, pattern: Some(text) } => {
                ValuePattern::parse(&text, field.case())
                    .map(Test::Pattern)
                    .map_err(|error| ConditionError::Pattern { number, error })
            }
            _ => Err(ConditionError::Shape { number }),
        }
    }
}

impl Test {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::Domain(domain) => local_part(value, domain).is_some(),
            Self::Equals(wanted) => value == wanted,
            Self::Pattern(pattern) => pattern.matches(value),
        }
    }

    fn domain(&self) -> Option<&str> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Equals(value) => value.rsplit_once('@').map(|(_, domain)| domain),
            Self::Pattern(pattern) => pattern.domain(),
        }
    }
}

/// What stands before the only `@`, if this domain stands after it. A quoted local part with an
/// `@` of its own has none: not everybody would cut it at the same place.
pub(super) fn local_part<'v>(value: &'v str, domain: &str) -> Option<&'v str> {
    let (local, shown) = value.rsplit_once('@')?;
    if local.is_empty() || local.contains('@') {
        return None;
    }
    shown.eq_ignore_ascii_case(domain).then_some(local)
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.split('.').all(is_label)
}

/// For an explanation; the test itself is in the row.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(field, Test::Domain(_)) => write!(f, "domain of {field}"),
            Self::Value(field, Test::Equals(_)) => write!(f, "value of {field}"),
            Self::Value(field, Test::Pattern(_)) => write!(f, "pattern of {field}"),
            Self::ExtendedKeyUsage(oid) => write!(f, "extended key usage {oid}"),
            Self::Policy(oid) => write!(f, "policy {oid}"),
        }
    }
}
