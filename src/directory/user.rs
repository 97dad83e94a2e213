//! A person or a machine that certificates are mapped to.

use super::name::Name;
use super::read;
use super::row::UserRow;
use super::unusable::RowError;
use super::window::Window;

/// Most bytes that a user name and its joined groups may have together, so that they fit into the
/// answer's headers and nginx's buffer (`proxy_buffer_size 16k` in the shipped include).
pub const MAX_USER_AND_GROUPS_BYTES: usize = 8 * 1024;

/// A user as the answer needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who this is, as the application sees it.
    pub username: Name,
    /// A name for people.
    pub display_name: Option<Box<str>>,
    /// A mail address, as the operator wrote it.
    pub email: Option<Box<str>>,
    /// Whether rules must leave this user alone.
    pub mapped_only: bool,
    /// Groups, sorted bytewise, each once.
    pub groups: Vec<Name>,
    /// When the user may come in; none if the row cannot be used, which counts as disabled.
    pub window: Option<Window>,
}

impl User {
    /// Reads a row; the groups come later.
    ///
    /// # Errors
    /// Only a name that is no name: there is nobody to tell of. Anything else that cannot be read
    /// leaves the user without a window, so disabled, and is returned beside it.
    pub(super) fn read(row: &UserRow) -> Result<(Self, Option<RowError>), RowError> {
        let username = Name::parse(&row.username)
            .map_err(|error| RowError::new("username", error.to_string()))?;
        let read = || -> Result<_, RowError> {
            Ok((
                read::text("display_name", row.display_name.as_deref())?,
                read::text("email", row.email.as_deref())?,
                read::switch("mapped_only", row.mapped_only)?,
                read::window(row.enabled, row.valid_from.as_deref(), row.valid_until.as_deref())?,
            ))
        };
        let groups = Vec::new();
        Ok(match read() {
            Ok((display_name, email, mapped_only, window)) => (
                Self { username, display_name, email, mapped_only, groups, window: Some(window) },
                None,
            ),
            Err(error) => (
                Self {
                    username,
                    display_name: None,
                    email: None,
                    mapped_only: true,
                    groups,
                    window: None,
                },
                Some(error),
            ),
        })
    }

    /// Whether the user is in one of its groups by that exact name.
    #[must_use]
    pub fn is_member(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name.as_str() == group)
    }

    /// Bytes of the name and of the groups joined with a one-byte separator.
    pub(super) fn header_bytes(&self) -> usize {
        let groups: usize = self.groups.iter().map(|group| group.as_str().len() + 1).sum();
        self.username.as_str().len() + groups.saturating_sub(1)
    }
}
