//! A person or a machine that certificates are mapped to.

use std::borrow::Cow;

use super::name::Name;
use super::read;
use super::row::UserRow;
use super::unusable::RowError;
use super::window::Window;

/// Most bytes that a user name and its joined groups may have together, so that they fit into the
/// answer's headers and nginx's buffer (`proxy_buffer_size 16k` in the shipped include).
pub const MAX_USER_AND_GROUPS_BYTES: usize = 8 * 1024;

/// A user as the answer needs it: borrowed from the directory, or made by a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User<'d> {
    /// Who this is, as the application sees it; always a [`Name`].
    pub username: Cow<'d, str>,
    /// A name for people.
    pub display_name: Option<Cow<'d, str>>,
    /// A mail address, as the operator wrote it.
    pub email: Option<Cow<'d, str>>,
    /// Whether rules must leave this user alone.
    pub mapped_only: bool,
    /// Groups.
    pub groups: Groups<'d>,
    /// When the user may come in; none if the row cannot be used, which counts as disabled.
    pub window: Option<Window>,
}

/// Groups as the answer writes them: sorted bytewise, each once, joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups<'d> {
    joined: Cow<'d, str>,
    separator: char,
}

impl<'d> Groups<'d> {
    /// Sorts and joins; no name may hold the separator.
    pub(super) fn new(names: &mut Vec<Name>, separator: char) -> Self {
        names.sort_unstable();
        names.dedup();
        let length = names.iter().map(|name| name.as_str().len() + separator.len_utf8()).sum();
        let mut joined = String::with_capacity(length);
        for name in names {
            if !joined.is_empty() {
                joined.push(separator);
            }
            joined.push_str(name.as_str());
        }
        Self { joined: Cow::Owned(joined), separator }
    }

    /// Joined, with nothing around.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.joined
    }

    /// One by one, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.joined.split(self.separator).filter(|name| !name.is_empty())
    }

    /// Those of which it is said.
    pub(super) fn only(&self, mut keep: impl FnMut(&str) -> bool) -> Groups<'static> {
        let names = self.iter().filter(|name| keep(name));
        let names = names.filter_map(|name| Name::parse(name.as_bytes()).ok());
        Groups::new(&mut names.collect(), self.separator)
    }

    const fn borrowed(joined: &'d str, separator: char) -> Self {
        Self { joined: Cow::Borrowed(joined), separator }
    }
}

/// A record longer than this takes a second piece of memory while it is packed.
const USUAL_BYTES: usize = 256;

/// The record of a user.
#[derive(serde::Serialize, serde::Deserialize)]
struct Packed<'d> {
    username: &'d str,
    display_name: Option<&'d str>,
    email: Option<&'d str>,
    mapped_only: bool,
    groups: &'d str,
    window: Option<Window>,
}

impl<'d> User<'d> {
    /// Reads a row.
    ///
    /// # Errors
    /// Only a name that is no name: there is nobody to tell of. Anything else that cannot be read
    /// leaves the user without a window, so disabled, and is returned beside it.
    pub(super) fn read(
        row: &'d UserRow,
        groups: Groups<'d>,
    ) -> Result<(Self, Option<RowError>), RowError> {
        let username = Name::check(&row.username)
            .map_err(|error| RowError::new("username", error.to_string()))?;
        let mut user = User {
            username: Cow::Borrowed(username),
            display_name: None,
            email: None,
            mapped_only: true,
            groups,
            window: None,
        };
        let mut read = || -> Result<(), RowError> {
            let display_name = read::text("display_name", row.display_name.as_deref())?;
            let email = read::text("email", row.email.as_deref())?;
            let mapped_only = read::switch("mapped_only", row.mapped_only)?;
            let window =
                read::window(row.enabled, row.valid_from.as_deref(), row.valid_until.as_deref())?;
            user.check_length()?;
            user.display_name = display_name.map(Cow::Borrowed);
            user.email = email.map(Cow::Borrowed);
            (user.mapped_only, user.window) = (mapped_only, Some(window));
            Ok(())
        };
        let fault = read().err();
        Ok((user, fault))
    }

    /// The record that [`User::unpack`] reads.
    pub(super) fn pack(&self) -> Vec<u8> {
        let packed = Packed {
            username: &self.username,
            display_name: self.display_name.as_deref(),
            email: self.email.as_deref(),
            mapped_only: self.mapped_only,
            groups: self.groups.as_str(),
            window: self.window,
        };
        // Only a sink that is full fails, and this one grows.
        postcard::to_extend(&packed, Vec::with_capacity(USUAL_BYTES)).unwrap_or_default()
    }

    /// Reads a record; none for what is no record.
    pub(super) fn unpack(record: &'d [u8], separator: char) -> Option<Self> {
        let packed: Packed<'d> = postcard::from_bytes(record).ok()?;
        Some(Self {
            username: Cow::Borrowed(packed.username),
            display_name: packed.display_name.map(Cow::Borrowed),
            email: packed.email.map(Cow::Borrowed),
            mapped_only: packed.mapped_only,
            groups: Groups::borrowed(packed.groups, separator),
            window: packed.window,
        })
    }

    /// Whether a record is that of a user of exactly this name, which it begins with.
    pub(super) fn is_named(record: &[u8], username: &str) -> bool {
        let name = postcard::take_from_bytes::<&[u8]>(record);
        name.is_ok_and(|(name, _)| name == username.as_bytes())
    }

    /// Whether the user is in one of its groups by that exact name.
    #[must_use]
    pub fn is_member(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name == group)
    }

    /// The same user in these groups; without a window if that is too long, which is returned.
    pub(super) fn with_groups(self, groups: Groups<'d>) -> (Self, Option<RowError>) {
        let mut user = Self { groups, ..self };
        let fault = user.check_length().err();
        if fault.is_some() {
            user.window = None;
        }
        (user, fault)
    }

    /// The same user, borrowed from nobody.
    pub(super) fn into_owned(self) -> User<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        User {
            username: own(self.username),
            display_name: self.display_name.map(own),
            email: self.email.map(own),
            mapped_only: self.mapped_only,
            groups: Groups { joined: own(self.groups.joined), separator: self.groups.separator },
            window: self.window,
        }
    }

    fn check_length(&self) -> Result<(), RowError> {
        if self.username.len() + self.groups.as_str().len() <= MAX_USER_AND_GROUPS_BYTES {
            return Ok(());
        }
        let why = format!("with its groups longer than {MAX_USER_AND_GROUPS_BYTES} bytes");
        Err(RowError::new("username", why))
    }
}
