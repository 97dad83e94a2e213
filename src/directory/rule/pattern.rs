//! Patterns over one value, in an engine that takes linear time, and always over the whole value.
//!
//! A pattern works on bytes and knows ASCII alone: no look-alike of a letter or a digit is one.

use regex::bytes::{Regex, RegexBuilder};

/// Longest pattern in bytes: a name's shape fits, a list of names does not belong here.
const MAX_PATTERN_BYTES: usize = 1024;
/// Most bytes that a compiled pattern may take: counted repetitions multiply.
const MAX_COMPILED_BYTES: usize = 128 * 1024;
/// Deepest nesting of groups.
const MAX_NESTING: u32 = 16;

/// Whether ASCII letters of both cases are the same: as the values of the field compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// They are different.
    Exact,
    /// They are the same.
    Folded,
}

/// A pattern that matches whole values.
#[derive(Clone, Debug)]
pub(super) struct ValuePattern {
    whole: Regex,
    domain: Option<Box<str>>,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    /// No text: it would match the empty value alone, which no certificate shows.
    #[error("a pattern is empty")]
    Empty,
    /// A group option; `(?:` and `(?i` are all there is.
    #[error("a pattern uses a group option other than (?: and (?i")]
    Option,
    /// The engine refuses it, alone.
    #[error("a pattern is not one: {0}")]
    Syntax(String),
    /// Above [`MAX_PATTERN_BYTES`].
    #[error("a pattern is {length} bytes long, more than {MAX_PATTERN_BYTES}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl ValuePattern {
    /// Compiles the pattern alone first, so that no half of it can close the anchored group that
    /// it is put into afterwards.
    pub(super) fn parse(text: &str, case: Case) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong { length: text.len() });
        }
        if !has_only_plain_groups(text) {
            return Err(PatternError::Option);
        }
        compile(text, case)?;
        let whole = compile(&format!("^(?:{text})$"), case)?;
        Ok(Self { whole, domain: pinned_domain(text, case).map(String::into_boxed_str) })
    }

    /// Whether the whole value is of this shape.
    pub(super) fn matches(&self, value: &str) -> bool {
        self.whole.is_match(value.as_bytes())
    }

    /// The domain in which every matching value ends, in lower case, if the pattern shows one.
    pub(super) fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }
}

fn compile(text: &str, case: Case) -> Result<Regex, PatternError> {
    RegexBuilder::new(text)
        .unicode(false)
        .case_insensitive(case == Case::Folded)
        .size_limit(MAX_COMPILED_BYTES)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| PatternError::Syntax(last_line(&error.to_string())))
}

/// The engine draws the pattern and puts the reason last.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// Whether every `(?` is `(?:` or switches case off. Others could make `#` begin a comment or `$`
/// mean the end of a line. A set that holds `(?` is refused as well; it can be written `[?(]`.
fn has_only_plain_groups(text: &str) -> bool {
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if next == '\\' {
            // What is escaped opens nothing.
            rest = rest.get(1..).unwrap_or_default();
            let escaped = rest.chars().next().map_or(0, char::len_utf8);
            rest = rest.get(escaped..).unwrap_or_default();
            continue;
        }
        if let Some(option) = rest.strip_prefix("(?")
            && !["i)", "i:", ":"].iter().any(|plain| option.starts_with(plain))
        {
            return false;
        }
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    true
}

/// The literal after the last `@`, if every match ends in it: there is no alternative, what
/// stands before is a pattern of its own, and what stands after is letters, digits, `-` and `\.`.
fn pinned_domain(text: &str, case: Case) -> Option<String> {
    if text.contains('|') {
        return None;
    }
    let (before, after) = text.rsplit_once('@')?;
    compile(before, case).ok()?;
    let domain = after.replace("\\.", "/");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'/';
    if domain.is_empty() || !domain.bytes().all(is_plain) {
        return None;
    }
    Some(domain.replace('/', ".").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Case, PatternError, ValuePattern};

    fn parse(text: &str) -> Result<ValuePattern, PatternError> {
        ValuePattern::parse(text, Case::Exact)
    }

    #[test]
    fn a_pattern_matches_whole_values_only() {
        let table = [
            ("alice", "alice", true),
            ("alice", "alice2", false),
            ("alice|bob", "bob", true),
            ("alice|bob", "alice2", false),
            ("alice|bob", "xbob", false),
            ("a$|b", "ab", false),
            ("[a-z]+", "alice\n", false),
            ("[a-z]+", "Alice", false),
            ("Zoë+", "Zoëë", true),
            ("(?i)[a-z]+", "Alice", true),
            (".*", "Zoë", true),
            ("[0-9]+", "\u{0661}", false),
            (r"\d+", "\u{0661}", false),
            (r"\d+", "42", true),
            (r"\(?x\)?", "(x)", true),
        ];
        for (text, value, matches) in table {
            assert_eq!(parse(text).unwrap().matches(value), matches, "{text} {value:?}");
        }
        let folded = ValuePattern::parse(r"[^@]+@AD\.EXAMPLE\.COM", Case::Folded).unwrap();
        assert!(folded.matches("alice@ad.example.com"));
    }

    #[test]
    fn a_pattern_that_would_leave_its_anchors_is_refused() {
        for text in [
            "a)|(?:.*",
            "a)|.*|(?:b",
            "a)",
            "(a",
            "[a",
            "a\\",
            "(?x)a #",
            "(?m)a",
            "(?s).",
            "(?u)a",
            "(?-i)a",
            "(?P<n>a)",
            "(?<n>a)",
            r"\pL",
            "[ë]",
            r"(a)\1",
            "a{1000}{1000}",
            "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(matches!(parse(&"a".repeat(1025)), Err(PatternError::TooLong { length: 1025 })));
    }

    #[test]
    fn a_domain_is_pinned_only_where_every_match_ends_in_it() {
        let table = [
            (r"[^@]+@ad\.example\.com", Some("ad.example.com")),
            (r"(?i)[^@]+@AD\.example\.com", Some("ad.example.com")),
            (r"[^@]+@localhost", Some("localhost")),
            (r"[^@]+@ad.example.com", None),
            (r"[^@]+@ad\.example\.com|bob", None),
            (r"[^@]+@(ad|bd)\.example\.com", None),
            (r"[^@]+\@ad\.example\.com", None),
            (r"[^@]+@", None),
            (r"[^@a]+", None),
            (r"[^@]+@ad\.example\.com?", None),
            (r"[^@]+@ad\\.example", None),
            ("alice", None),
        ];
        for (text, domain) in table {
            assert_eq!(parse(text).unwrap().domain(), domain, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever a pattern is, it says of a value what the engine says when it looks for the
        /// pattern alone and takes the span it finds.
        #[test]
        fn no_pattern_says_more_than_it_says_alone(
            text in r"[ab()|?:*.+\[\]\\^$#x-]{1,12}",
            value in "[abx#]{0,6}",
        ) {
            if let Ok(pattern) = parse(&text) {
                let alone = regex::bytes::RegexBuilder::new(&text).unicode(false).build().unwrap();
                if pattern.matches(&value) {
                    prop_assert!(alone.is_match(value.as_bytes()), "{text} {value}");
                }
            }
        }

        #[test]
        fn a_pinned_domain_ends_every_match(
            text in r"[ab@.*()|\[\]\\^-]{1,8}@[ab|\\.)]{1,6}",
            value in "[ab.@]{1,10}",
        ) {
            if let Ok(pattern) = parse(&text)
                && let Some(domain) = pattern.domain().filter(|_| pattern.matches(&value))
            {
                let end = format!("@{domain}");
                prop_assert!(value.ends_with(&end), "{text} {value}");
            }
        }
    }
}
