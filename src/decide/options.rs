//! The options in the URI of the question, which only nginx's own configuration sets.

use crate::directory::{Name, NameError, User};
use crate::proxy::{PercentError, percent_decode_strict};

/// Most `require` options of one location; more is a mistake.
const MAX_REQUIRED: usize = 64;

/// What a location asks for besides a valid certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Any one of these admits; none asks for nothing.
    pub required: Vec<Required>,
    /// Whether somebody without any certificate comes in, as nobody.
    pub certificate_is_optional: bool,
}

/// One `require` option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Required {
    /// A member of this group.
    Group(Name),
    /// This very user.
    User(Name),
}

/// Why the options cannot be read: a mistake in nginx's configuration, answered with 503.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A name in `require` that is no name.
    #[error("require: {0}")]
    Name(#[from] NameError),
    /// A broken escape.
    #[error("require: {0}")]
    Percent(#[from] PercentError),
    /// A single option twice.
    #[error("option `{0}` twice")]
    Repeated(&'static str),
    /// More than a location can mean.
    #[error("more than {MAX_REQUIRED} require options")]
    TooMany,
    /// An option nobody knows; an ignored restriction would open a door.
    #[error("unknown option")]
    Unknown,
    /// A value the option does not have.
    #[error("bad value of option `{0}`")]
    Value(&'static str),
}

impl Options {
    /// Reads the query of the question, without its `?`.
    ///
    /// # Errors
    /// Anything that is not exactly an option with its value: half-understood restrictions are
    /// never applied.
    pub fn parse(query: &str) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        if query.is_empty() {
            return Ok(options);
        }
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("require", value)) => options.required.push(Required::parse(value)?),
                Some(("certificate", "optional")) if options.certificate_is_optional => {
                    return Err(OptionsError::Repeated("certificate"));
                }
                Some(("certificate", "optional")) => options.certificate_is_optional = true,
                Some(("certificate", _)) => return Err(OptionsError::Value("certificate")),
                _ => return Err(OptionsError::Unknown),
            }
        }
        if options.required.len() > MAX_REQUIRED {
            return Err(OptionsError::TooMany);
        }
        Ok(options)
    }

    /// Whether this user is what the location asks for.
    #[must_use]
    pub fn admits(&self, user: &User<'_>) -> bool {
        if self.required.is_empty() {
            return true;
        }
        self.required.iter().any(|required| match required {
            Required::Group(group) => user.is_member(group.as_str()),
            Required::User(username) => user.username == username.as_str(),
        })
    }
}

impl Required {
    fn parse(value: &str) -> Result<Self, OptionsError> {
        let bytes = percent_decode_strict(value.as_bytes())?;
        if let Some(group) = bytes.strip_prefix(b"group:") {
            return Ok(Self::Group(Name::parse(group)?));
        }
        if let Some(username) = bytes.strip_prefix(b"user:") {
            return Ok(Self::User(Name::parse(username)?));
        }
        Err(OptionsError::Value("require"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, Options, OptionsError, Required};

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn options_are_read_exactly() {
        let group = |text| Required::Group(name(text));
        let user = |text| Required::User(name(text));
        let table = [
            ("", vec![], false),
            ("require=group:ops", vec![group("ops")], false),
            ("require=group:ops&require=user:alice", vec![group("ops"), user("alice")], false),
            ("certificate=optional", vec![], true),
            ("certificate=optional&require=user:alice", vec![user("alice")], true),
            ("require=group:a%26b", vec![group("a&b")], false),
            ("require=user:alice@example.com", vec![user("alice@example.com")], false),
        ];
        for (query, required, certificate_is_optional) in table {
            assert_eq!(
                Options::parse(query),
                Ok(Options { required, certificate_is_optional }),
                "{query}"
            );
        }
    }

    #[test]
    fn a_restriction_that_is_not_understood_is_an_error() {
        for query in [
            "&",
            "require",
            "require=",
            "require=ops",
            "require=group:",
            "require=group:a%20b",
            "require=group:a%2",
            "require=group:a,b",
            "Require=group:ops",
            "require=group:ops&",
            "certificate=",
            "certificate=required",
            "certificate=optional&certificate=optional",
            "user=alice",
            "require=role:ops",
        ] {
            assert!(Options::parse(query).is_err(), "{query}");
        }
        let many = vec!["require=user:alice"; 65].join("&");
        assert_eq!(Options::parse(&many), Err(OptionsError::TooMany));
    }
}
