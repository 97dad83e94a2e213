//! What a row tells of a certificate that is not at hand.
//!
//! It lets nobody in: it is there to tell beforehand who could be let in.

use super::pattern::{Column, Value, parse_pattern};
use super::row::PatternRow;
use crate::pki::{DistinguishedName, Identity, Shows, SlashForm};

/// The columns of a pattern as if a certificate had shown them; none for a row that cannot be read.
#[must_use]
pub fn partial_identity(row: &PatternRow) -> Option<Identity> {
    let pattern = parse_pattern(row).ok()?;
    let mut identity = Identity {
        shows: Shows::Parts,
        sha256: None,
        spki_sha256: None,
        issuer: name(row.issuer.as_deref())?,
        issuer_key_id: None,
        serial: None,
        subject: name(row.subject.as_deref())?,
        san_email: Vec::new(),
        san_upn: Vec::new(),
        san_uri: Vec::new(),
        san_dns: Vec::new(),
        common_name: None,
    };
    for (column, value) in pattern.columns() {
        match (column, value) {
            (Column::Sha256, Value::Digest(digest)) => identity.sha256 = Some(*digest),
            (Column::SpkiSha256, Value::Digest(digest)) => identity.spki_sha256 = Some(*digest),
            (Column::Serial, Value::Serial(serial)) => identity.serial = Some(serial.clone()),
            (Column::IssuerKeyId, Value::KeyId(id)) => identity.issuer_key_id = Some(id.to_vec()),
            (Column::SanEmail, Value::Text(text)) => identity.san_email.push(text.to_string()),
            (Column::SanUpn, Value::Text(text)) => identity.san_upn.push(text.to_string()),
            (Column::SanUri, Value::Text(text)) => identity.san_uri.push(text.to_string()),
            (Column::SanDns, Value::Text(text)) => identity.san_dns.push(text.to_string()),
            (Column::CommonName, Value::Text(text)) => {
                identity.common_name = Some(text.to_string());
            }
            // The names are read above.
            _ => {}
        }
    }
    Some(identity)
}

/// A name, if it is set; none at all if it cannot be read.
fn name(bytes: Option<&[u8]>) -> Option<Option<DistinguishedName>> {
    let Some(bytes) = bytes else { return Some(None) };
    let text = std::str::from_utf8(bytes).ok()?;
    DistinguishedName::parse(text, SlashForm::Accept).ok().map(Some)
}
