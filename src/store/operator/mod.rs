//! What operators do by command line and API: one function per act, one SQL text for both
//! databases.
//!
//! No check before a write: the schema refuses, and the refusal is turned into a sentence. It
//! must not print, and must not read the clock.

mod access;
mod administrator;
mod block;
mod certificate;
mod group;
mod import;
mod mapping;
mod page;
mod rule;
mod user;

use super::constraint;
use super::error::{StoreError, Subject};
use super::read::Readable;
use super::value::NewMoment;
use crate::directory::row::PatternRow;
use crate::pki::UnixTime;

pub use self::access::CertificateFacts;
pub use self::administrator::Digits;
pub use self::block::{Block, BlockEdit, NewBlock};
pub use self::certificate::StoredCertificate;
pub use self::group::Member;
pub(super) use self::import::insert_rows;
pub use self::import::{GivenBlock, GivenMapping};
pub use self::mapping::{Mapping, MappingEdit, NewMapping};
pub use self::page::UserFilter;
pub use self::rule::{Rule, RuleEdit, RuleText};
pub use self::user::{NewUser, User, UserEdit};

/// What to do with a column that may be empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Edit<T> {
    /// Make it empty.
    Clear,
    /// Leave it as it is.
    #[default]
    Keep,
    /// Give it this value.
    Set(T),
}

impl<T> Edit<T> {
    /// Whether the column changes, and to what.
    fn parts(&self) -> (bool, Option<&T>) {
        match self {
            Self::Clear => (true, None),
            Self::Keep => (false, None),
            Self::Set(value) => (true, Some(value)),
        }
    }
}

/// The columns that say which certificates are meant, as an operator writes them.
///
/// When read back, bytes that are no UTF-8 are shown as U+FFFD: this is for people.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PatternText {
    /// SHA-256 over the certificate, 64 hexadecimal digits.
    pub sha256: Option<String>,
    /// SHA-256 over the public key.
    pub spki_sha256: Option<String>,
    /// Distinguished name of the issuer.
    pub issuer: Option<String>,
    /// Authority key identifier.
    pub issuer_key_id: Option<String>,
    /// Serial number, hexadecimal.
    pub serial: Option<String>,
    /// Distinguished name of the subject.
    pub subject: Option<String>,
    /// An e-mail address of the subject alternative name.
    pub san_email: Option<String>,
    /// A user principal name of the subject alternative name.
    pub san_upn: Option<String>,
    /// A URI of the subject alternative name.
    pub san_uri: Option<String>,
    /// A DNS name of the subject alternative name.
    pub san_dns: Option<String>,
    /// The only common name of the subject.
    pub common_name: Option<String>,
}

impl PatternText {
    /// The same columns as a row would hold them, to be read before they are written.
    #[must_use]
    pub fn row(&self) -> PatternRow {
        let bytes = |text: &Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
        PatternRow {
            sha256: bytes(&self.sha256),
            spki_sha256: bytes(&self.spki_sha256),
            issuer: bytes(&self.issuer),
            issuer_key_id: bytes(&self.issuer_key_id),
            serial: bytes(&self.serial),
            subject: bytes(&self.subject),
            san_email: bytes(&self.san_email),
            san_upn: bytes(&self.san_upn),
            san_uri: bytes(&self.san_uri),
            san_dns: bytes(&self.san_dns),
            common_name: bytes(&self.common_name),
        }
    }

    /// A row as people see it.
    #[must_use]
    pub fn shown(row: PatternRow) -> Self {
        let text = |bytes: Option<Vec<u8>>| bytes.map(shown);
        Self {
            sha256: text(row.sha256),
            spki_sha256: text(row.spki_sha256),
            issuer: text(row.issuer),
            issuer_key_id: text(row.issuer_key_id),
            serial: text(row.serial),
            subject: text(row.subject),
            san_email: text(row.san_email),
            san_upn: text(row.san_upn),
            san_uri: text(row.san_uri),
            san_dns: text(row.san_dns),
            common_name: text(row.common_name),
        }
    }
}

/// Binds the eleven pattern columns, in the order of the schema.
macro_rules! bind_pattern {
    ($query:expr, $pattern:expr) => {
        $query
            .bind(&$pattern.sha256)
            .bind(&$pattern.spki_sha256)
            .bind(&$pattern.issuer)
            .bind(&$pattern.issuer_key_id)
            .bind(&$pattern.serial)
            .bind(&$pattern.subject)
            .bind(&$pattern.san_email)
            .bind(&$pattern.san_upn)
            .bind(&$pattern.san_uri)
            .bind(&$pattern.san_dns)
            .bind(&$pattern.common_name)
    };
}
pub(super) use bind_pattern;

pub(super) fn about(username: &str) -> Subject<'_> {
    Subject { username, group: "" }
}

fn found(count: u64, noun: &'static str, name: impl ToString) -> Result<(), StoreError> {
    match count {
        0 => Err(StoreError::NotFound { noun, name: name.to_string() }),
        _ => Ok(()),
    }
}

fn user_found(count: u64, username: &str) -> Result<(), StoreError> {
    match count {
        0 => Err(StoreError::NoSuchUser { username: username.to_owned() }),
        _ => Ok(()),
    }
}

/// Reads an operator's RFC 3339 text.
pub(super) fn moment(
    column: &'static str,
    text: Option<&String>,
) -> Result<Option<NewMoment>, StoreError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let malformed = || StoreError::BadValue { column: column.to_owned(), rule: constraint::TIME };
    NewMoment::parse(text).map(Some).ok_or_else(malformed)
}

fn shown(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A time in the one form that is shown, whatever form SQLite keeps; text that is no time as it is.
fn shown_moment(text: String) -> String {
    UnixTime::parse_rfc3339(&text).map_or(text, |time| time.to_string())
}

/// Reads columns one after the other, as text for people.
pub(super) struct Shown<'r, R> {
    row: &'r R,
    column: usize,
}

impl<'r, R: Readable> Shown<'r, R> {
    pub(super) const fn from(row: &'r R, column: usize) -> Self {
        Self { row, column }
    }

    pub(super) fn text(&mut self) -> Result<String, sqlx::Error> {
        self.row.text(self.step()).map(shown)
    }

    pub(super) fn text_or_null(&mut self) -> Result<Option<String>, sqlx::Error> {
        Ok(self.row.text_or_null(self.step())?.map(shown))
    }

    pub(super) fn moment(&mut self) -> Result<Option<String>, sqlx::Error> {
        Ok(self.row.moment(self.step())?.map(shown).map(shown_moment))
    }

    pub(super) fn flag(&mut self) -> Result<bool, sqlx::Error> {
        Ok(self.row.flag(self.step())? == 1)
    }

    pub(super) fn id(&mut self) -> Result<i64, sqlx::Error> {
        self.row.id(self.step())
    }

    const fn step(&mut self) -> usize {
        self.column += 1;
        self.column - 1
    }
}
