//! Certificate revocation lists, RFC 5280 section 5: read strictly, verified once, kept in few bytes.
//!
//! A list that is only half understood is refused: indirect and partitioned lists, lists for some
//! reasons, unknown critical extensions. A delta only ever adds to what is revoked. Nothing here fetches a list, reads a clock or decides
//! what an absent list means.

mod error;
mod extensions;
#[cfg(test)]
pub(crate) mod forge;
mod reason;
mod sort;
mod table;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

pub use self::error::CrlError;
use self::extensions::ListExtensions;
pub use self::reason::ReasonCode;
use self::table::{Builder, Table};
use super::certificate::all_pem_blocks;
use super::der::{self, DerError, Reader, Tlv};
use super::signature::{self, SignatureError};
use super::{Certificate, DistinguishedName, Fingerprint, PemError, SerialNumber, UnixTime};

/// A list whose issuer's signature has been verified: only this is ever asked.
pub struct RevocationList {
    /// Whose certificates it is about, 5.1.2.3.
    pub issuer: DistinguishedName,
    /// SHA-256 of the SubjectPublicKeyInfo that signed it.
    pub signer: Fingerprint,
    /// The key identifiers by which that key is known; empty if none is.
    pub signer_key_ids: Vec<Vec<u8>>,
    /// cRLNumber, 5.2.3; a list of version 1 has none.
    pub number: Option<CrlNumber>,
    /// When it was issued, 5.1.2.4.
    pub this_update: UnixTime,
    /// When the next one is issued at the latest, 5.1.2.5.
    pub next_update: UnixTime,
    /// Which certificates it is about.
    pub scope: Scope,
    /// Whether it holds only what changed since a complete one (5.2.4): from its silence nothing
    /// follows.
    pub is_delta: bool,
    /// SHA-256 of the whole list.
    pub sha256: Fingerprint,
    entries: Table,
}

impl RevocationList {
    /// Why this serial is revoked; none if it is not listed.
    pub fn find(&self, serial: &SerialNumber) -> Option<ReasonCode> {
        self.entries.find(serial)
    }

    /// How many certificates are listed.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// Every serial with its reason, in no order that means anything.
    pub fn entries(&self) -> impl Iterator<Item = (SerialNumber, ReasonCode)> {
        self.entries.iter()
    }

    /// Whether this list is of the same issuer's key and about the same certificates as `other`.
    pub fn replaces(&self, other: &Self) -> bool {
        let is_issuers = self.issuer == other.issuer && self.signer == other.signer;
        is_issuers && self.scope == other.scope
    }

    /// Whether this list is older than `other`: by cRLNumber where both have one, else, and where
    /// the numbers are equal, by thisUpdate.
    pub fn is_older_than(&self, other: &Self) -> bool {
        let by_number = match (&self.number, &other.number) {
            (Some(own), Some(other)) => own.cmp(other),
            _ => Ordering::Equal,
        };
        by_number.then(self.this_update.cmp(&other.this_update)) == Ordering::Less
    }
}

/// Without the serials, which can be a million.
impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("issuer", &self.issuer)
            .field("number", &self.number)
            .field("this_update", &self.this_update)
            .field("next_update", &self.next_update)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// cRLNumber, 5.2.3: at most 20 octets, not negative; compared by value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CrlNumber(Box<[u8]>);

impl Ord for CrlNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for CrlNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Upper-case hexadecimal, as `openssl crl` prints it.
impl fmt::Display for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("00");
        }
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
    }
}

/// Which certificates of the issuer a list is about, 5.2.5.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scope {
    /// All of them.
    All,
    /// CAs' certificates only.
    Authorities,
    /// Certificates that are not a CA's.
    Users,
}

impl Scope {
    /// Whether a list of this scope says anything about such a certificate.
    #[must_use]
    pub fn covers(self, is_ca: bool) -> bool {
        match self {
            Self::All => true,
            Self::Authorities => is_ca,
            Self::Users => !is_ca,
        }
    }
}

/// A list as it came: its form is right, its signature has not been looked at and its entries have
/// not been read.
#[derive(Clone, Copy)]
pub struct SignedList<'a> {
    der: &'a [u8],
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    issuer: &'a [u8],
    this_update: UnixTime,
    next_update: Option<UnixTime>,
    entries: Option<Tlv<'a>>,
    extensions: Option<Tlv<'a>>,
}

impl fmt::Debug for SignedList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedList").field("bytes", &self.der.len()).finish_non_exhaustive()
    }
}

impl<'a> SignedList<'a> {
    /// Takes the frame of exactly one list apart, RFC 5280 5.1, with nothing left over.
    ///
    /// # Errors
    /// What is not the form of a list.
    pub fn from_der(der: &'a [u8]) -> Result<Self, CrlError> {
        let mut list = der::single(der, der::SEQUENCE)?.reader();
        let tbs = list.expect(der::SEQUENCE)?;
        let algorithm = list.expect(der::SEQUENCE)?.raw;
        let Some((signature, 0)) = der::bit_string(list.expect(der::BIT_STRING)?.content) else {
            return Err(DerError::Content { tag: der::BIT_STRING }.into());
        };
        list.finish()?;

        let mut fields = tbs.reader();
        let version = match fields.optional(der::INTEGER)?.map(|version| version.content) {
            None => V1,
            Some([V2]) => V2,
            Some(_) => return Err(CrlError::Version),
        };
        if fields.expect(der::SEQUENCE)?.raw != algorithm {
            return Err(CrlError::AlgorithmMismatch);
        }
        let issuer = fields.expect(der::SEQUENCE)?.raw;
        let this_update = der::time(fields.any()?).ok_or(CrlError::Time)?;
        let next_update = time_if_there(&mut fields)?;
        let entries = fields.optional(der::SEQUENCE)?;
        let extensions = fields.optional(EXTENSIONS)?;
        fields.finish()?;
        if extensions.is_some() && version == V1 {
            return Err(CrlError::FieldsOfOtherVersion);
        }
        let signed = tbs.raw;
        Ok(Self {
            der,
            signed,
            algorithm,
            signature,
            issuer,
            this_update,
            next_update,
            entries,
            extensions,
        })
    }

    /// Verifies it against the issuers' certificates that are known, and reads it whole.
    ///
    /// # Errors
    /// Why the list does not count. One that is not understood to its end counts as a whole not.
    pub fn verify<'c>(
        self,
        issuers: impl Iterator<Item = &'c Certificate> + Clone,
        now: UnixTime,
    ) -> Result<RevocationList, CrlError> {
        self.verify_in_steps(issuers, now, &mut || {})
    }

    /// As [`SignedList::verify`], with a call of `pause` after every short step. Only the library
    /// that verifies the signature hashes the list in one go.
    ///
    /// # Errors
    /// Those of [`SignedList::verify`].
    pub fn verify_in_steps<'c>(
        self,
        issuers: impl Iterator<Item = &'c Certificate> + Clone,
        now: UnixTime,
        pause: &mut dyn FnMut(),
    ) -> Result<RevocationList, CrlError> {
        let issuer = DistinguishedName::from_der(self.issuer)?;
        if issuer.is_empty() {
            return Err(CrlError::EmptyIssuer);
        }
        let signer = self.find_signer(&issuer, issuers.clone())?;
        pause();
        let extensions = ListExtensions::read(self.extensions)?;
        if self.this_update > now {
            return Err(CrlError::FromTheFuture { this_update: self.this_update });
        }
        let next_update = self.next_update.ok_or(CrlError::NoNextUpdate)?;
        if next_update < self.this_update {
            return Err(CrlError::Time);
        }
        let same_key = issuers.filter(|issuer| issuer.spki_sha256 == signer);
        let mut signer_key_ids: Vec<Vec<u8>> =
            same_key.filter_map(|issuer| issuer.subject_key_id.clone()).collect();
        signer_key_ids.extend(extensions.authority_key_id);
        signer_key_ids.sort_unstable();
        signer_key_ids.dedup();
        Ok(RevocationList {
            issuer,
            signer,
            signer_key_ids,
            number: extensions.number,
            this_update: self.this_update,
            next_update,
            scope: extensions.scope,
            is_delta: extensions.is_delta,
            sha256: Fingerprint::of_in_steps(self.der, pause),
            entries: self.read_entries(pause)?,
        })
    }

    /// The issuer's name, for messages about a list that is refused.
    pub fn issuer_text(&self) -> String {
        DistinguishedName::from_der(self.issuer)
            .map_or_else(|_| "an unreadable issuer".to_owned(), |name| name.to_string())
    }

    /// The key that signed it: of a CA of that name whose key may sign lists (4.2.1.3).
    fn find_signer<'c>(
        &self,
        name: &DistinguishedName,
        issuers: impl Iterator<Item = &'c Certificate>,
    ) -> Result<Fingerprint, CrlError> {
        let mut failure = CrlError::NoIssuer;
        for issuer in issuers.filter(|issuer| issuer.subject == *name) {
            let key = issuer.public_key_info();
            match signature::verify(key, self.algorithm, self.signed, self.signature) {
                Ok(()) => {}
                Err(SignatureError::Algorithm) => {
                    failure = failure.or(CrlError::UnsupportedAlgorithm);
                    continue;
                }
                Err(_) => {
                    failure = failure.or(CrlError::Signature);
                    continue;
                }
            }
            if may_sign_lists(issuer) {
                return Ok(issuer.spki_sha256);
            }
            failure = CrlError::IssuerMayNotSign;
        }
        Err(failure)
    }

    fn read_entries(&self, pause: &mut dyn FnMut()) -> Result<Table, CrlError> {
        let Some(entries) = self.entries else {
            return Ok(Table::default());
        };
        // Counted first: rows are then never moved about, and none of their room is left over.
        let mut count = 0_usize;
        let mut reader = entries.reader();
        while !reader.is_empty() {
            reader.any()?;
            count += 1;
            if count.is_multiple_of(ENTRIES_BETWEEN_PAUSES) {
                pause();
            }
        }
        let mut table = Builder::with_capacity(count);
        let mut reader = entries.reader();
        while !reader.is_empty() {
            count -= 1;
            if count.is_multiple_of(ENTRIES_BETWEEN_PAUSES) {
                pause();
            }
            let mut entry = reader.expect(der::SEQUENCE)?.reader();
            let serial = entry.expect(der::INTEGER)?.content;
            der::time(entry.any()?).ok_or(CrlError::Time)?;
            let reason = match entry.optional(der::SEQUENCE)? {
                Some(extensions) => extensions::entry_reason(extensions)?,
                None => ReasonCode::Unspecified,
            };
            entry.finish()?;
            table.push(SerialNumber::from_der(serial), reason);
        }
        Ok(table.finish(pause))
    }
}

/// What a PEM file of lists holds, as DER.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListFile {
    /// The lists.
    pub lists: Vec<Vec<u8>>,
    /// The issuers' certificates beside them.
    pub certificates: Vec<Vec<u8>>,
}

/// Everything in a file of lists, or `None` if the file is not PEM; with a call of `pause` after
/// every short step.
///
/// # Errors
/// A PEM file that is broken anywhere is refused whole.
pub fn split_lists(bytes: &[u8], pause: &mut dyn FnMut()) -> Result<Option<ListFile>, PemError> {
    let found = all_pem_blocks(bytes, [b"X509 CRL", b"CERTIFICATE"], pause)?;
    Ok(found.map(|[lists, certificates]| ListFile { lists, certificates }))
}

/// 4.2.1.3: without the extension a key is not restricted.
fn may_sign_lists(issuer: &Certificate) -> bool {
    if !issuer.is_ca {
        return false;
    }
    issuer.key_usage.is_none_or(|usage| usage & CRL_SIGN != 0)
}

fn time_if_there(fields: &mut Reader<'_>) -> Result<Option<UnixTime>, CrlError> {
    for tag in [der::UTC_TIME, der::GENERALIZED_TIME] {
        if let Some(value) = fields.optional(tag)? {
            return der::time(value).map(Some).ok_or(CrlError::Time);
        }
    }
    Ok(None)
}

const V1: u8 = 0;
const V2: u8 = 1;
/// Context-specific identifier octet of crlExtensions, 5.1.
const EXTENSIONS: u8 = 0xa0;
/// Some microseconds' worth.
const ENTRIES_BETWEEN_PAUSES: usize = 64;
/// Bit of the key usage: cRLSign.
const CRL_SIGN: u16 = 1 << 6;
