//! Templates: a name made of a certificate's values, or none.
//!
//! Text with `{subject.CN}`, `{san_upn}`, `{san_email.local}`, each perhaps with `|lower`. A value
//! is used only if exactly one qualifies; none is ever taken because it came first.

use std::borrow::Cow;

use super::condition::{Conditions, local_part};
use super::field::{Field, Holder};

/// Longest template in bytes.
const MAX_TEMPLATE_BYTES: usize = 1024;

#[derive(Clone, Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
    /// Characters of the text between two values: a value that holds one could pass a part of
    /// itself off as the other value.
    between: String,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Value(Value),
}

#[derive(Clone, Debug)]
struct Value {
    field: Field,
    /// The pinned domain, where only what stands before it is meant.
    local_of: Option<Box<str>>,
    lower: bool,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// Two values that nothing separates: who could tell where the first ends?
    #[error("two values need a character between them")]
    Adjacent,
    /// A brace that opens or closes nothing.
    #[error("`{{` and `}}` stand around a value, like {{san_upn}}, and nowhere else")]
    Brace,
    /// No text at all.
    #[error("is empty")]
    Empty,
    /// Nothing that a certificate has.
    #[error("{{{name}}} is no value: {why}")]
    Field { name: String, why: String },
    /// A local part whose domain the rule leaves open.
    #[error(
        "{{{name}}}: no condition of this rule pins the domain of it, and alice@ is somebody else \
         in another domain; add {{\"{field}\":{{\"domain\":\"example.com\"}}}}"
    )]
    OpenDomain { name: String, field: String },
    /// Above [`MAX_TEMPLATE_BYTES`].
    #[error("is longer than {MAX_TEMPLATE_BYTES} bytes")]
    TooLong,
}

/// Why a template gives no name for a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Blank {
    /// The value holds a character that separates it from another one.
    #[error("{{{0}}} holds a character that separates two values")]
    Ambiguous(Field),
    /// No value, or none that qualifies.
    #[error("no value of {{{0}}} qualifies")]
    Missing(Field),
    /// A value that is not clean text.
    #[error("a value of {{{0}}} is not clean text")]
    NotText(Field),
    /// Two values or more.
    #[error("more than one value of {{{0}}} qualifies")]
    Several(Field),
}

impl Template {
    /// Reads a template; `.local` needs conditions that pin the domain.
    pub(super) fn parse(text: &str, conditions: &Conditions) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateError::TooLong);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, from_brace) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
            if literal.contains('}') {
                return Err(TemplateError::Brace);
            }
            if !literal.is_empty() {
                parts.push(Part::Text(literal.into()));
            }
            let Some(inner) = from_brace.strip_prefix('{') else { break };
            let (name, after) = inner.split_once('}').ok_or(TemplateError::Brace)?;
            if matches!(parts.last(), Some(Part::Value(_))) {
                return Err(TemplateError::Adjacent);
            }
            parts.push(Part::Value(Value::parse(name, conditions)?));
            rest = after;
        }
        let between = between(&parts);
        Ok(Self { parts, between })
    }

    /// The same for people to read: who can tell where the first value ends does not matter.
    #[must_use]
    pub(super) fn for_people(self) -> Self {
        Self { between: String::new(), ..self }
    }

    /// The text for this certificate, which holds the rule's conditions.
    pub(super) fn render(
        &self,
        holder: Holder<'_>,
        conditions: &Conditions,
    ) -> Result<String, Blank> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Value(value) => {
                    let shown = value.render(holder, conditions)?;
                    if shown.contains(|character| self.between.contains(character)) {
                        return Err(Blank::Ambiguous(value.field.clone()));
                    }
                    text.push_str(&shown);
                }
            }
        }
        Ok(text)
    }

    /// Whether some certificate could give this name.
    pub(super) fn could_be(&self, name: &str) -> bool {
        let mut rest = name;
        let mut is_open = false;
        for part in &self.parts {
            match part {
                Part::Value(_) => is_open = true,
                Part::Text(literal) => {
                    let found = match is_open {
                        true => rest.find(&**literal),
                        false => rest.starts_with(&**literal).then_some(0),
                    };
                    let Some(after) = found.and_then(|at| rest.get(at + literal.len()..)) else {
                        return false;
                    };
                    rest = after;
                    is_open = false;
                }
            }
        }
        // The last text must end the name; that it also occurs before does not matter.
        match self.parts.last() {
            Some(Part::Text(literal)) => name.ends_with(&**literal),
            _ => true,
        }
    }

    /// The text around the values.
    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(literal) => Some(&**literal),
            Part::Value(_) => None,
        })
    }
}

/// The text that stands between two values.
fn between(parts: &[Part]) -> String {
    let is_value = |part: &Part| matches!(part, Part::Value(_));
    let first = parts.iter().position(is_value).unwrap_or_default();
    let last = parts.iter().rposition(is_value).unwrap_or_default();
    let inner = parts.get(first..=last).unwrap_or_default();
    inner.iter().fold(String::new(), |mut text, part| {
        if let Part::Text(literal) = part {
            text.push_str(literal);
        }
        text
    })
}

impl Value {
    fn parse(name: &str, conditions: &Conditions) -> Result<Self, TemplateError> {
        let (plain, lower) = match name.strip_suffix("|lower") {
            Some(plain) => (plain, true),
            None => (name, false),
        };
        let unknown = |why: String| TemplateError::Field { name: name.to_owned(), why };
        if let Some(word) = plain.strip_prefix("subject.") {
            let field = Field::attribute(word).map_err(unknown)?;
            return Ok(Self { field, local_of: None, lower });
        }
        let (plain, is_local) = match plain.strip_suffix(".local") {
            Some(plain) => (plain, true),
            None => (plain, false),
        };
        let field = match plain {
            "san_dns" => Field::SanDns,
            "san_email" => Field::SanEmail,
            "san_upn" => Field::SanUpn,
            "san_uri" => Field::SanUri,
            _ => {
                let known = "write subject.CN (or another attribute), san_email, san_upn, san_uri \
                             or san_dns, perhaps with |lower";
                return Err(unknown(known.to_owned()));
            }
        };
        if !is_local {
            return Ok(Self { field, local_of: None, lower });
        }
        if !field.has_domain() {
            return Err(unknown("only san_email and san_upn have a local part".to_owned()));
        }
        let Some(domain) = conditions.pinned_domain(&field) else {
            let field = field.to_string();
            return Err(TemplateError::OpenDomain { name: name.to_owned(), field });
        };
        Ok(Self { local_of: Some(domain.into()), field, lower })
    }

    fn render(&self, holder: Holder<'_>, conditions: &Conditions) -> Result<String, Blank> {
        let field = || self.field.clone();
        let values = self.field.values(holder);
        if values.others {
            return Err(Blank::NotText(field()));
        }
        let qualifies = |value: &&Cow<'_, str>| conditions.qualifies(&self.field, value);
        let mut qualifying = values.texts.iter().filter(qualifies);
        let value = match (qualifying.next(), qualifying.next()) {
            (Some(value), None) => &**value,
            (None, _) => return Err(Blank::Missing(field())),
            (Some(_), Some(_)) => return Err(Blank::Several(field())),
        };
        let value = match &self.local_of {
            Some(domain) => local_part(value, domain).ok_or_else(|| Blank::Missing(field()))?,
            None => value,
        };
        Ok(if self.lower { value.to_ascii_lowercase() } else { value.to_owned() })
    }
}
