//! What was read: people, claims to certificates, and bans, each with the place it stands at.

use std::fmt;
use std::sync::Arc;

use crate::pki::Certificate;
use crate::store::PatternText;

/// Everything that was read from one or more files.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// Users, by name.
    pub people: Vec<Placed<Person>>,
    /// Who is said to hold which certificate.
    pub claims: Vec<Placed<Claim>>,
    /// Which certificates are to be kept out.
    pub bans: Vec<Placed<Ban>>,
    /// What could not be read, and why.
    pub refused: Vec<Refused>,
    /// What was passed over on purpose, for people.
    pub remarks: Vec<String>,
}

/// Where something stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// The file.
    pub file: Arc<str>,
    /// The line, the entry or the certificate in it; none where the whole file is meant.
    pub part: Option<(&'static str, u64)>,
}

impl Place {
    /// A whole file.
    #[must_use]
    pub fn file(file: &str) -> Self {
        Self { file: file.into(), part: None }
    }

    /// One part of the same file.
    #[must_use]
    pub fn at(&self, what: &'static str, number: u64) -> Self {
        Self { file: Arc::clone(&self.file), part: Some((what, number)) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match self.part {
            Some((what, number)) => write!(f, ", {what} {number}"),
            None => Ok(()),
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placed<T> {
    /// Where.
    pub place: Place,
    /// What.
    pub value: T,
}

/// Something that is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Where it stands.
    pub place: Place,
    /// Why, in words for the person who has to mend it.
    pub why: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

/// A user as a file describes one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Person {
    /// The name that applications get.
    pub username: String,
    /// The full name.
    pub display_name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Groups to be in.
    pub groups: Vec<String>,
    /// No rule leads to this user.
    pub mapped_only: bool,
    /// The file says that the user does not count.
    pub disabled: bool,
    /// Start of the window, RFC 3339.
    pub valid_from: Option<String>,
    /// End of the window, exclusive.
    pub valid_until: Option<String>,
    /// A remark.
    pub note: Option<String>,
}

/// Whose a certificate is said to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Whose {
    /// The file names the user.
    Named(String),
    /// The certificate or its file's name is to say it: the file's name without its ending.
    Unnamed {
        /// `alice` of `alice.pem`.
        stem: String,
    },
}

/// What is claimed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Meant {
    /// This very certificate.
    Certificate(Arc<Certificate>),
    /// What these columns agree with.
    Pattern(Box<PatternText>),
}

/// A mapping as a file asks for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// Whose.
    pub whose: Whose,
    /// Which certificates.
    pub meant: Meant,
    /// The mapping is switched off in the file.
    pub disabled: bool,
    /// Start of the window, RFC 3339.
    pub valid_from: Option<String>,
    /// End of the window, exclusive.
    pub valid_until: Option<String>,
    /// Revoked from then on.
    pub revoked_at: Option<String>,
    /// Why.
    pub revoked_reason: Option<String>,
    /// A remark.
    pub note: Option<String>,
}

impl Claim {
    /// A claim without a window.
    #[must_use]
    pub fn new(whose: Whose, meant: Meant) -> Self {
        Self {
            whose,
            meant,
            disabled: false,
            valid_from: None,
            valid_until: None,
            revoked_at: None,
            revoked_reason: None,
            note: None,
        }
    }
}

/// A block as a file asks for it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ban {
    /// Which certificates.
    pub pattern: PatternText,
    /// The block is switched off in the file.
    pub disabled: bool,
    /// Start of the window, RFC 3339.
    pub valid_from: Option<String>,
    /// End of the window, exclusive.
    pub valid_until: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// A remark.
    pub note: Option<String>,
}

impl Feed {
    /// Puts what another file says behind what this one has.
    pub fn append(&mut self, mut other: Self) {
        self.people.append(&mut other.people);
        self.claims.append(&mut other.claims);
        self.bans.append(&mut other.bans);
        self.refused.append(&mut other.refused);
        self.remarks.append(&mut other.remarks);
    }

    /// Names something that cannot be taken.
    pub fn refuse(&mut self, place: Place, why: impl Into<String>) {
        self.refused.push(Refused { place, why: why.into() });
    }

    /// A file of which nothing can be taken.
    #[must_use]
    pub fn unreadable(file: &str, why: impl Into<String>) -> Self {
        let mut feed = Self::default();
        feed.refuse(Place::file(file), why);
        feed
    }
}
