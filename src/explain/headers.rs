//! The headers of one request as its proxy sent them, from text: `Name: value` lines.
//!
//! It reads lines and judges nothing: the reader that answers nginx does.

use serde::Serialize;

use crate::proxy::{HeaderNames, Headers};

/// Most bytes of a request's head; the auth listener takes no more either.
pub const MAX_HEADERS_BYTES: usize = 256 * 1024;

/// Header lines, their names in lower case.
#[derive(Clone, Debug)]
pub struct RawHeaders(Vec<(String, Vec<u8>)>);

/// Why a text is not the head of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadersError {
    /// No header line at all.
    #[error("no header line; write one `Name: value` a line")]
    Empty,
    /// A line that begins with a blank goes on with the one before; certgate answers 400 to it.
    #[error("line {0} begins with a blank: a folded header, to which certgate answers 400")]
    Folded(usize),
    /// A line that is no header.
    #[error("line {0} is not `Name: value`")]
    NotAHeader(usize),
    /// Above [`MAX_HEADERS_BYTES`].
    #[error("more than {MAX_HEADERS_BYTES} bytes")]
    TooLong,
}

/// One security header of a request.
#[derive(Clone, Debug, Serialize)]
pub struct HeaderFacts {
    /// Its name.
    pub name: String,
    /// What it is read for: `verify`, `certificate`, `serial`, ...
    pub role: &'static str,
    /// How often it came; more than once is a deny, but for a chain.
    pub count: usize,
    /// The first one's value, cut; of a certificate its length only.
    pub value: Option<String>,
}

impl RawHeaders {
    /// Reads lines up to an empty one. A request line before them is passed over.
    ///
    /// # Errors
    /// A line that is no header, and why.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeadersError> {
        if bytes.len() > MAX_HEADERS_BYTES {
            return Err(HeadersError::TooLong);
        }
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                // Nothing before the first line, and the end of the head after it.
                if lines.is_empty() { continue } else { break }
            }
            if number == 1 && is_request_line(line) {
                continue;
            }
            if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
                return Err(HeadersError::Folded(number));
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = colon
                .and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?)))
                .filter(|(name, _)| !name.is_empty() && name.iter().all(|byte| is_token(*byte)))
                .ok_or(HeadersError::NotAHeader(number))?;
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            lines.push((name, value.trim_ascii().to_vec()));
        }
        if lines.is_empty() { Err(HeadersError::Empty) } else { Ok(Self(lines)) }
    }

    /// What is said of each security header.
    pub(super) fn facts(&self, names: &HeaderNames) -> Vec<HeaderFacts> {
        let roles = [
            ("verify", &names.verify),
            ("used", &names.used),
            ("certificate", &names.certificate),
            ("chain", &names.chain),
            ("serial", &names.serial),
            ("subject", &names.subject),
            ("issuer", &names.issuer),
        ];
        let known = roles.into_iter().filter_map(|(role, name)| Some((role, name.as_ref()?)));
        let facts = known.map(|(role, name)| {
            let values =
                || self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
            let text = |value: &Vec<u8>| match role {
                "certificate" | "chain" => format!("{} bytes", value.len()),
                _ => String::from_utf8_lossy(value).chars().take(MAX_SHOWN_CHARS).collect(),
            };
            let (count, value) = (values().count(), values().next().map(text));
            HeaderFacts { name: name.clone(), role, count, value }
        });
        facts.collect()
    }
}

/// Most characters of a value that are shown.
const MAX_SHOWN_CHARS: usize = 500;

impl Headers for RawHeaders {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

impl HeaderFacts {
    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let value = match (self.count, &self.value) {
            (0, _) | (_, None) => "absent".to_owned(),
            (1, Some(value)) if value.is_empty() => "empty".to_owned(),
            (1, Some(value)) => value.clone(),
            (count, Some(value)) => format!("{count} times, first: {value}"),
        };
        format!("{} ({}): {value}", self.name, self.role)
    }
}

/// `GET /auth HTTP/1.1`, as a proxy's trace has it first.
fn is_request_line(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    matches!((words.next(), words.next(), words.next(), words.next()),
        (Some(method), Some(_), Some(version), None)
            if method.iter().all(u8::is_ascii_uppercase) && version.starts_with(b"HTTP/"))
}

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
