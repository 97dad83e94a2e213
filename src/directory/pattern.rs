//! What a mapping or a block expects of a certificate.
//!
//! A pattern compares canonical values only. It says whether the columns agree, never what
//! follows from it.

use std::sync::Arc;

use super::kind::Kind;
use super::row::PatternRow;
use crate::pki::{
    DistinguishedName, Fingerprint, Identity, NameError, SerialNumber, Shows, SlashForm, parse_dns,
    parse_email, parse_text, parse_upn, parse_uri,
};

/// One column of a pattern, by its name in the schema. Their order is part of the form of records:
/// another order has another [`PART_VERSION`](super::PART_VERSION).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Column {
    /// `common_name`
    CommonName,
    /// `issuer`
    Issuer,
    /// `issuer_key_id`
    IssuerKeyId,
    /// `san_dns`
    SanDns,
    /// `san_email`
    SanEmail,
    /// `san_upn`
    SanUpn,
    /// `san_uri`
    SanUri,
    /// `serial`
    Serial,
    /// `sha256`
    Sha256,
    /// `spki_sha256`
    SpkiSha256,
    /// `subject`
    Subject,
}

impl Column {
    /// The column's name in the schema.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CommonName => "common_name",
            Self::Issuer => "issuer",
            Self::IssuerKeyId => "issuer_key_id",
            Self::SanDns => "san_dns",
            Self::SanEmail => "san_email",
            Self::SanUpn => "san_upn",
            Self::SanUri => "san_uri",
            Self::Serial => "serial",
            Self::Sha256 => "sha256",
            Self::SpkiSha256 => "spki_sha256",
            Self::Subject => "subject",
        }
    }
}

/// The canonical value of one column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Text that compares as it stands: a SAN value, a common name.
    Text(Box<str>),
    /// A key identifier.
    KeyId(Box<[u8]>),
    /// The canonical form of a distinguished name, shared by the rows of one CA.
    Name(Arc<[u8]>),
    /// A serial number.
    Serial(SerialNumber),
    /// A SHA-256.
    Digest(Fingerprint),
}

/// Reads a pattern that somebody is about to write, by the code that reads it back.
///
/// # Errors
/// The first column that could not be read.
pub fn parse_pattern(row: &PatternRow) -> Result<Pattern, ColumnError> {
    let read = Pattern::read(row);
    match read.faults.into_iter().next() {
        Some(fault) => Err(fault),
        None => Ok(read.pattern),
    }
}

/// What of a pattern can be read: a revocation goes on by that.
#[must_use]
pub fn readable_pattern(row: &PatternRow) -> Pattern {
    Pattern::read(row).pattern
}

/// How one column compares with what was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// It shows another value, or none.
    Differs,
    /// The input cannot show this column at all.
    Invisible,
    /// It shows this value.
    Same,
}

/// Why a column's text cannot be read; names the column, never repeats hostile bytes raw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {}: {why}", .column.name())]
pub struct ColumnError {
    /// The column.
    pub column: Column,
    /// What is wrong with its text.
    pub why: String,
}

/// The readable columns of a row, in the order of strength.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pattern {
    columns: Box<[(Column, Value)]>,
}

/// A pattern and what of its row could not be read.
pub(super) struct Read {
    pub(super) pattern: Pattern,
    pub(super) faults: Vec<ColumnError>,
}

impl Pattern {
    /// Reads every column that is set, for a comparison by exact canonical values.
    pub(super) fn read(row: &PatternRow) -> Read {
        Self::read_with(row, &mut Issuers::default())
    }

    /// As [`Pattern::read`], for one row after the other.
    pub(super) fn read_with(row: &PatternRow, issuers: &mut Issuers) -> Read {
        let mut columns = Vec::with_capacity(texts(row).count());
        let mut faults = Vec::new();
        for (column, bytes) in texts(row) {
            let parsed = match column {
                Column::Issuer => issuers.parse(bytes),
                _ => parse(column, bytes),
            };
            match parsed {
                Ok(value) => columns.push((column, value)),
                Err(why) => faults.push(ColumnError { column, why }),
            }
        }
        Read { pattern: Self { columns: columns.into_boxed_slice() }, faults }
    }

    /// The columns that are set.
    pub fn columns(&self) -> impl Iterator<Item = (Column, &Value)> {
        self.columns.iter().map(|(column, value)| (*column, value))
    }

    /// The canonical value of a column, if it is set.
    #[must_use]
    pub fn value(&self, column: Column) -> Option<&Value> {
        self.columns().find(|(other, _)| *other == column).map(|(_, value)| value)
    }

    /// Whether no column is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The first kind, strongest first, whose columns are all set; none if only narrowing columns
    /// (`issuer`, `issuer_key_id`) are.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.columns().iter().all(|column| self.value(*column).is_some()))
    }

    /// Whether every column that is set shows its value. An invisible column does not, so a
    /// mapping fails closed.
    #[must_use]
    pub fn agrees(&self, identity: &Identity) -> bool {
        if self.is_empty() {
            return false;
        }
        self.columns().all(|(column, value)| value.compare(column, identity) == Agreement::Same)
    }
}

impl Value {
    /// Compares with what was presented, exactly.
    #[must_use]
    pub fn compare(&self, column: Column, identity: &Identity) -> Agreement {
        compare(column, self.bytes(), identity)
    }

    /// The canonical bytes: equal for equal values of one column.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Digest(digest) => digest.as_bytes(),
            Self::KeyId(bytes) => bytes,
            Self::Name(bytes) => bytes,
            Self::Serial(serial) => serial.as_bytes(),
            Self::Text(text) => text.as_bytes(),
        }
    }
}

/// Compares the canonical bytes of one column with what was presented, exactly.
///
/// A serial that breaks the RFC and a name that holds a control character agree with nothing: the
/// octets of the one can be those of another number, the other can equal a name without it.
pub(super) fn compare(column: Column, want: &[u8], identity: &Identity) -> Agreement {
    if !is_visible(column, identity) {
        return Agreement::Invisible;
    }
    let is_digest =
        |shown: Option<&Fingerprint>| shown.is_some_and(|digest| digest.as_bytes() == want);
    let is_named = |shown: Option<&DistinguishedName>| {
        shown.is_some_and(|name| !name.has_control_character() && name.canonical() == want)
    };
    let same = match column {
        Column::Sha256 => is_digest(identity.sha256.as_ref()),
        Column::SpkiSha256 => is_digest(identity.spki_sha256.as_ref()),
        Column::Serial => identity
            .serial
            .as_ref()
            .is_some_and(|shown| !shown.is_odd() && shown.as_bytes() == want),
        Column::Issuer => is_named(identity.issuer.as_ref()),
        Column::Subject => is_named(identity.subject.as_ref()),
        Column::IssuerKeyId => identity.issuer_key_id.as_deref() == Some(want),
        Column::SanEmail
        | Column::SanUpn
        | Column::SanUri
        | Column::SanDns
        | Column::CommonName => {
            shown_texts(column, identity).iter().any(|shown| shown.as_bytes() == want)
        }
    };
    if same { Agreement::Same } else { Agreement::Differs }
}

/// Whether the input could have shown a value in this column.
pub(super) fn is_visible(column: Column, identity: &Identity) -> bool {
    match identity.shows {
        Shows::Certificate => true,
        Shows::Headers => match column {
            Column::Serial => identity.serial.is_some(),
            Column::Subject | Column::CommonName => identity.subject.is_some(),
            Column::Issuer => identity.issuer.is_some(),
            _ => false,
        },
        Shows::Parts => match column {
            Column::CommonName => identity.common_name.is_some(),
            Column::Issuer => identity.issuer.is_some(),
            Column::IssuerKeyId => identity.issuer_key_id.is_some(),
            Column::SanDns | Column::SanEmail | Column::SanUpn | Column::SanUri => {
                !shown_texts(column, identity).is_empty()
            }
            Column::Serial => identity.serial.is_some(),
            Column::Sha256 => identity.sha256.is_some(),
            Column::SpkiSha256 => identity.spki_sha256.is_some(),
            Column::Subject => identity.subject.is_some(),
        },
    }
}

/// The values that a text column shows, canonical.
pub(super) fn shown_texts(column: Column, identity: &Identity) -> &[String] {
    match column {
        Column::SanEmail => &identity.san_email,
        Column::SanUpn => &identity.san_upn,
        Column::SanUri => &identity.san_uri,
        Column::SanDns => &identity.san_dns,
        Column::CommonName => identity.common_name.as_slice(),
        _ => &[],
    }
}

/// The set columns of a row, in the order of strength.
fn texts(row: &PatternRow) -> impl Iterator<Item = (Column, &[u8])> {
    [
        (Column::Sha256, &row.sha256),
        (Column::SpkiSha256, &row.spki_sha256),
        (Column::Issuer, &row.issuer),
        (Column::IssuerKeyId, &row.issuer_key_id),
        (Column::Serial, &row.serial),
        (Column::Subject, &row.subject),
        (Column::SanEmail, &row.san_email),
        (Column::SanUpn, &row.san_upn),
        (Column::SanUri, &row.san_uri),
        (Column::SanDns, &row.san_dns),
        (Column::CommonName, &row.common_name),
    ]
    .into_iter()
    .filter_map(|(column, text)| text.as_deref().map(|text| (column, text)))
}

/// The last issuer that was read: the rows of a CA come one after the other, and reading its name
/// costs more than all the rest of a row.
#[derive(Debug, Default)]
pub(super) struct Issuers {
    last: Option<(Vec<u8>, Value)>,
}

impl Issuers {
    fn parse(&mut self, bytes: &[u8]) -> Result<Value, String> {
        if let Some((_, value)) = self.last.as_ref().filter(|(text, _)| text == bytes) {
            return Ok(value.clone());
        }
        let value = parse(Column::Issuer, bytes)?;
        self.last = Some((bytes.to_vec(), value.clone()));
        Ok(value)
    }
}

/// Reads one column's text into its canonical value.
fn parse(column: Column, bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let name = |read: Result<String, NameError>| {
        read.map(|text| Value::Text(text.into())).map_err(|error| error.to_string())
    };
    match column {
        Column::Sha256 | Column::SpkiSha256 => {
            Fingerprint::parse(text).map(Value::Digest).map_err(|error| error.to_string())
        }
        Column::Serial => {
            SerialNumber::parse(text).map(Value::Serial).map_err(|error| error.to_string())
        }
        Column::Issuer | Column::Subject => DistinguishedName::parse(text, SlashForm::Accept)
            .map(|name| Value::Name(name.canonical().into()))
            .map_err(|error| error.to_string()),
        Column::IssuerKeyId => parse_key_id(text).map(Value::KeyId),
        Column::SanEmail => name(parse_email(text)),
        Column::SanUpn => name(parse_upn(text)),
        Column::SanDns => name(parse_dns(text)),
        Column::SanUri => name(parse_uri(text)),
        Column::CommonName => name(parse_text(text)),
    }
}

/// Longest keyIdentifier in bytes; RFC 5280 4.2.1.2 suggests 8 or 20, RFC 7093 up to 64.
const MAX_KEY_ID_BYTES: usize = 64;

/// A keyIdentifier as OpenSSL prints it: hex, colons allowed between pairs.
fn parse_key_id(text: &str) -> Result<Box<[u8]>, String> {
    let plain = if text.contains(':') {
        if text.split(':').any(|pair| pair.len() != 2) {
            return Err("colons must stand between pairs of hex digits".to_owned());
        }
        text.replace(':', "")
    } else {
        text.to_owned()
    };
    if plain.len() % 2 == 1 {
        return Err("has an odd number of hex digits".to_owned());
    }
    if plain.len() / 2 > MAX_KEY_ID_BYTES {
        return Err(format!("is longer than {MAX_KEY_ID_BYTES} bytes"));
    }
    let digits: Option<Vec<u8>> =
        plain.chars().map(|digit| digit.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.ok_or_else(|| "is not hexadecimal".to_owned())?;
    Ok(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}
