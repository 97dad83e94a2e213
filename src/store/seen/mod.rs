//! What was seen: certificates and denials, reported in batches.
//!
//! Only the control plane comes here. On PostgreSQL everything goes through the functions of the
//! schema, so that a service needs no right on a table; on SQLite the same is done by hand. It
//! must never hold anybody up: each batch has a time limit, on the server's side too.

mod given;
mod postgres;
mod sqlite;

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;

use super::error::{StoreError, Subject, classify};
use super::{Store, within};
use crate::directory::Wish;
use crate::pki::{Certificate, Fingerprint};

pub use self::given::HeldCertificate;

/// For one batch, or for one person whom a rule brings.
pub(super) const REPORT_LIMIT: Duration = Duration::from_secs(3);
/// Longest text of a column, as the schema has it.
const MAX_TEXT_BYTES: usize = 4096;
/// Most bytes of names, as the schema has it.
const MAX_NAMES_BYTES: usize = 16 * 1024;
/// The last second of the year 9999, as the schema has it.
const LAST_SECOND: i64 = 253_402_300_799;

/// A certificate that came with requests and was verified.
#[derive(Clone, Debug)]
pub struct SeenCertificate {
    pub(in crate::store) sha256: Fingerprint,
    pub(in crate::store) der: Box<[u8]>,
    pub(in crate::store) subject: Option<String>,
    pub(in crate::store) issuer: Option<String>,
    pub(in crate::store) serial: Option<String>,
    pub(in crate::store) spki_sha256: Fingerprint,
    pub(in crate::store) names: Option<String>,
    pub(in crate::store) not_before: i64,
    pub(in crate::store) not_after: i64,
    hits: i64,
    age: Duration,
    code: &'static str,
    username: Option<Box<str>>,
}

impl SeenCertificate {
    /// What the database keeps of a certificate that came `hits` times, the last time `age` ago
    /// with this answer. Text that a column does not take is left out: the DER has it.
    #[must_use]
    pub fn new(
        certificate: &Certificate,
        hits: u64,
        age: Duration,
        code: &'static str,
        username: Option<&str>,
    ) -> Self {
        let seconds = |time: crate::pki::UnixTime| time.as_seconds().clamp(0, LAST_SECOND);
        Self {
            sha256: certificate.sha256,
            der: certificate.der.clone(),
            subject: column(certificate.subject.to_string()),
            issuer: column(certificate.issuer.to_string()),
            serial: column(certificate.serial.to_string()),
            spki_sha256: certificate.spki_sha256,
            names: names(certificate),
            not_before: seconds(certificate.not_before),
            not_after: seconds(certificate.not_after),
            hits: i64::try_from(hits).unwrap_or(i64::MAX).clamp(1, MAX_HITS),
            age,
            code,
            username: username.map(Into::into),
        }
    }
}

/// A request that was denied.
#[derive(Clone, Debug)]
pub struct Denial {
    /// How long ago.
    pub age: Duration,
    /// The host that the client asked for.
    pub host: Option<Box<str>>,
    /// The proxy's number of the request.
    pub request_id: Option<Box<str>>,
    /// Why.
    pub code: &'static str,
    /// The certificate, if one was verified.
    pub certificate: Option<Fingerprint>,
    /// The client's address.
    pub peer: Option<IpAddr>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reported {
    /// Nothing: this database only follows another one.
    Standby,
    /// It is in the tables, as far as they have room.
    Written,
}

impl Store {
    /// Writes a batch in one transaction, and takes away what is too much or too old. An empty one
    /// does the latter alone, and finds out whether the role may do this at all.
    ///
    /// # Errors
    /// Nothing of the batch was written.
    pub async fn report(
        &self,
        certificates: &[SeenCertificate],
        denials: &[Denial],
    ) -> Result<Reported, StoreError> {
        let url = self.url();
        let work = async {
            match self {
                Self::Postgres(side) => postgres::report(&side.pool, certificates, denials).await,
                Self::Sqlite(side) => sqlite::report(&side.pool, certificates, denials).await,
            }
        };
        let reported = within(url, REPORT_LIMIT, work).await?;
        reported.map_err(|error| classify(error, url, Subject::default()))
    }

    /// Adds the user and its memberships, disabled, unless there is one of that name in any case
    /// or too many wait already; whether it did.
    ///
    /// # Errors
    /// Nothing was added.
    pub async fn provision(&self, wish: &Wish) -> Result<bool, StoreError> {
        let work = async {
            match self {
                Self::Postgres(side) => postgres::provision(&side.pool, wish).await,
                Self::Sqlite(side) => sqlite::provision(&side.pool, wish).await,
            }
        };
        let subject = Subject { username: wish.username.as_str(), group: "" };
        let url = self.url();
        match within(url, REPORT_LIMIT, work).await? {
            Ok(added) => Ok(added),
            Err(error) => match classify(error, url, subject) {
                // SQLite's trigger for a name in another case aborts before the conflict does.
                StoreError::UserExists { .. } => Ok(false),
                error => Err(error),
            },
        }
    }
}

/// Text as a column takes it, or nothing.
fn column(text: String) -> Option<String> {
    let fits = (1..=MAX_TEXT_BYTES).contains(&text.len());
    let is_clean = !text.contains(char::is_control);
    (fits && is_clean).then_some(text)
}

/// The alternative names as JSON; nothing if they are more than the column takes. They hold no
/// control character, and so no NUL, which PostgreSQL takes in no form: such a certificate does not
/// parse.
fn names(certificate: &Certificate) -> Option<String> {
    let san = &certificate.san;
    let names = json!({ "email": san.email, "upn": san.upn, "uri": san.uri, "dns": san.dns });
    let names = names.to_string();
    // PostgreSQL writes a blank after each comma and colon: room for those.
    let blanks = names.bytes().filter(|byte| matches!(byte, b',' | b':')).count();
    (names.len() + blanks <= MAX_NAMES_BYTES).then_some(names)
}

/// Of one report; the sum of all has room in 64 bits.
const MAX_HITS: i64 = 1_000_000_000;
