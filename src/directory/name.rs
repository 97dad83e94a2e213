//! Names of users and groups: what may stand in an answer's header.

use std::fmt;

/// Longest name in bytes; the schema has the same bound.
pub const MAX_NAME_BYTES: usize = 256;

/// The name of a user or of a group: visible ASCII without a comma, 1 to 256 bytes.
///
/// A value that exists can stand in an HTTP header and in a comma-separated list as it is. Names
/// compare byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A byte that is not visible ASCII, or the comma.
    #[error("byte 0x{byte:02X} at position {position} is not visible ASCII without comma")]
    Byte {
        /// The byte.
        byte: u8,
        /// Its position, from 0.
        position: usize,
    },
    /// No byte at all.
    #[error("is empty")]
    Empty,
    /// Longer than [`MAX_NAME_BYTES`].
    #[error("is {length} bytes long, more than {MAX_NAME_BYTES}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl Name {
    /// The only door: checks bytes as they come from a database, a header option or a shell.
    ///
    /// # Errors
    /// Every text that could change the meaning of a header, and every text the schema refuses.
    pub fn parse(bytes: &[u8]) -> Result<Self, NameError> {
        Self::check(bytes).map(|name| Self(name.into()))
    }

    /// As [`Name::parse`], without a copy.
    pub(super) fn check(bytes: &[u8]) -> Result<&str, NameError> {
        if bytes.is_empty() {
            return Err(NameError::Empty);
        }
        if bytes.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong { length: bytes.len() });
        }
        let bad = |byte: &u8| !byte.is_ascii_graphic() || *byte == b',';
        if let Some(position) = bytes.iter().position(bad) {
            let byte = bytes.get(position).copied().unwrap_or_default();
            return Err(NameError::Byte { byte, position });
        }
        std::str::from_utf8(bytes).map_err(|error| {
            let position = error.valid_up_to();
            NameError::Byte { byte: bytes.get(position).copied().unwrap_or_default(), position }
        })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAME_BYTES, Name, NameError};

    #[test]
    fn a_name_is_visible_ascii_without_comma() {
        for good in
            ["alice", "a", "alice@example.com", "EXAMPLE\\alice", "svc-1.web/api", "~!#$%&'()*+"]
        {
            assert_eq!(Name::parse(good.as_bytes()).unwrap().as_str(), good);
        }
        assert!(Name::parse("x".repeat(MAX_NAME_BYTES).as_bytes()).is_ok());
    }

    #[test]
    fn what_could_change_a_header_is_no_name() {
        let byte = |byte, position| Err(NameError::Byte { byte, position });
        assert_eq!(Name::parse(b""), Err(NameError::Empty));
        assert_eq!(Name::parse(b"alice "), byte(b' ', 5));
        assert_eq!(Name::parse(b"alice\r\nX-Remote-User: bob"), byte(b'\r', 5));
        assert_eq!(Name::parse(b"a,b"), byte(b',', 1));
        assert_eq!(Name::parse(b"a\0b"), byte(0, 1));
        assert_eq!(Name::parse("al\u{200b}ice".as_bytes()), byte(0xE2, 2));
        assert_eq!(
            Name::parse("x".repeat(MAX_NAME_BYTES + 1).as_bytes()),
            Err(NameError::TooLong { length: MAX_NAME_BYTES + 1 })
        );
    }
}
