//! The query of a call: every parameter one that the route knows, and at most once.

use actix_web::web;

use super::problem::Problem;

/// A parameter that a route knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) about: &'static str,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    /// A whole number from 1 to [`MAX_LIMIT`].
    Limit,
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// Most items of one page.
pub(super) const MAX_LIMIT: u32 = 500;
/// Items of a page if the caller does not say.
const DEFAULT_LIMIT: u32 = 100;

pub(super) const DRY_RUN: Parameter = Parameter {
    name: "dry_run",
    kind: Kind::Boolean,
    about: "Do everything, tell how it went, and leave nothing changed",
};
pub(super) const LIMIT: Parameter =
    Parameter { name: "limit", kind: Kind::Limit, about: "Most items of this page" };
pub(super) const CURSOR: Parameter =
    Parameter { name: "cursor", kind: Kind::Text, about: "The next_cursor of the page before" };

/// What was sent.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads it.
    ///
    /// # Errors
    /// 400 for a parameter that the route does not know, twice the same, or a value it cannot have:
    /// a filter that is ignored would show what was not asked for.
    pub(super) fn parse(text: &str, known: &[Parameter]) -> Result<Self, Problem> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(text);
        let pairs = pairs.map_err(|_| Problem::malformed("the query cannot be read"))?.into_inner();
        for (place, (name, value)) in pairs.iter().enumerate() {
            let Some(parameter) = known.iter().find(|parameter| parameter.name == name) else {
                return Err(Problem::malformed(format!("the query: no parameter {name:?} here")));
            };
            if pairs.iter().take(place).any(|(earlier, _)| earlier == name) {
                return Err(Problem::malformed(format!("the query: {name} stands twice")));
            }
            parameter.check(value)?;
        }
        Ok(Self(pairs))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.text(name).map(|value| value == "true")
    }

    pub(super) fn limit(&self) -> u32 {
        self.text("limit").and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_LIMIT)
    }

    pub(super) fn cursor(&self) -> Option<&str> {
        self.text("cursor")
    }

    /// A cursor that is a number.
    ///
    /// # Errors
    /// 400 for one that no answer gave.
    pub(super) fn cursor_id(&self) -> Result<Option<i64>, Problem> {
        let parse = |text: &str| text.parse().map_err(|_| Problem::malformed("the cursor is none"));
        self.cursor().map(parse).transpose()
    }
}

impl Parameter {
    pub(super) const fn text(name: &'static str, about: &'static str) -> Self {
        Self { name, kind: Kind::Text, about }
    }

    pub(super) const fn boolean(name: &'static str, about: &'static str) -> Self {
        Self { name, kind: Kind::Boolean, about }
    }

    fn check(&self, value: &str) -> Result<(), Problem> {
        let is_good = match self.kind {
            Kind::Boolean => matches!(value, "true" | "false"),
            Kind::Limit => value.parse::<u32>().is_ok_and(|limit| (1..=MAX_LIMIT).contains(&limit)),
            Kind::Text => !value.is_empty() && !value.contains('\0'),
            Kind::Word(words) => words.contains(&value),
        };
        if is_good {
            return Ok(());
        }
        let takes = match self.kind {
            Kind::Boolean => "true or false".to_owned(),
            Kind::Limit => format!("a whole number from 1 to {MAX_LIMIT}"),
            Kind::Text => "text".to_owned(),
            Kind::Word(words) => words.join(", "),
        };
        Err(Problem::malformed(format!("the query: {} takes {takes}", self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_parameters_with_good_values_are_taken_and_each_once() {
        let known = [LIMIT, CURSOR, DRY_RUN, Parameter::text("user", "")];
        for (text, is_read) in [
            ("", true),
            ("limit=1&cursor=a%26b&dry_run=true&user=alice", true),
            ("limit=500", true),
            ("limit=0", false),
            ("limit=501", false),
            ("limit=-1", false),
            ("limit=", false),
            ("dry_run=yes", false),
            ("dry_run=true&dry_run=true", false),
            ("dry_run", false),
            ("user=", false),
            ("user=a%00", false),
            ("usr=alice", false),
            ("=", false),
        ] {
            assert_eq!(Query::parse(text, &known).is_ok(), is_read, "{text}");
        }
        let query = Query::parse("user=a%26b+c", &known).unwrap();
        assert_eq!((query.text("user"), query.limit()), (Some("a&b c"), 100));
        assert_eq!(query.flag("dry_run"), None);
    }
}
