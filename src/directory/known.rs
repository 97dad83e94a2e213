//! A certificate of which no more is known than its issuer and its serial.
//!
//! It lets nobody in: it is there to tell beforehand what revocation lists will say.

use super::pattern::{Column, Pattern, Value};
use super::read;
use super::row::MappingRow;
use super::unusable::RowError;
use crate::pki::{DistinguishedName, SerialNumber, SlashForm, UnixTime};

/// A certificate that is expected, and whose.
#[derive(Clone, Debug)]
pub struct KnownCertificate {
    /// Whose it is.
    pub username: String,
    /// Who issued it.
    pub issuer: DistinguishedName,
    /// By which key, where the row says so.
    pub issuer_key_id: Option<Box<[u8]>>,
    /// Its serial.
    pub serial: SerialNumber,
}

impl KnownCertificate {
    /// The certificate to which a mapping is bound by issuer and serial. None of a mapping that is
    /// bound to something else, or that lets nobody in at `now` whatever the lists say.
    ///
    /// # Errors
    /// The row cannot be read, so that it never lets anybody in.
    pub fn of_mapping(row: &MappingRow, now: UnixTime) -> Result<Option<Self>, RowError> {
        let read = Pattern::read(&row.pattern);
        if let Some(fault) = read.faults.into_iter().next() {
            return Err(RowError::new(fault.column.name(), fault.why));
        }
        let window =
            read::window(row.enabled, row.valid_from.as_deref(), row.valid_until.as_deref())?;
        let revoked_at = read::time("revoked_at", row.revoked_at.as_deref())?;
        let (Some(issuer), Some(Value::Serial(serial))) =
            (&row.pattern.issuer, read.pattern.value(Column::Serial))
        else {
            return Ok(None);
        };
        if !window.is_open(now) || revoked_at.is_some_and(|at| at <= now) {
            return Ok(None);
        }
        let issuer = DistinguishedName::parse(&String::from_utf8_lossy(issuer), SlashForm::Accept)
            .map_err(|error| RowError::new(Column::Issuer.name(), error.to_string()))?;
        Ok(Some(Self {
            username: String::from_utf8_lossy(&row.username).into_owned(),
            issuer,
            issuer_key_id: match read.pattern.value(Column::IssuerKeyId) {
                Some(Value::KeyId(id)) => Some(id.clone()),
                _ => None,
            },
            serial: serial.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{KnownCertificate, MappingRow};
    use crate::directory::row::PatternRow;
    use crate::pki::UnixTime;

    #[test]
    fn only_a_mapping_in_force_that_is_bound_to_issuer_and_serial_knows_a_certificate() {
        let now = UnixTime::parse_rfc3339("2026-06-01T00:00:00Z").unwrap();
        let row = || MappingRow {
            id: 1,
            username: b"alice".to_vec(),
            pattern: PatternRow {
                issuer: Some(b"CN=Example CA".to_vec()),
                issuer_key_id: Some(b"0A:0B".to_vec()),
                serial: Some(b"0A92".to_vec()),
                ..PatternRow::default()
            },
            enabled: 1,
            valid_from: None,
            valid_until: None,
            revoked_at: None,
            revoked_reason: None,
            note: None,
        };
        let known = KnownCertificate::of_mapping(&row(), now).unwrap().unwrap();
        assert_eq!((known.username.as_str(), known.serial.to_string()), ("alice", "0A92".into()));
        assert_eq!(known.issuer.to_string(), "CN=Example CA");
        assert_eq!(known.issuer_key_id.as_deref(), Some(&[0x0A, 0x0B][..]));
        let changes: [fn(&mut MappingRow); 5] = [
            |row| row.pattern.serial = None,
            |row| row.pattern.issuer = None,
            |row| row.enabled = 0,
            |row| row.valid_until = Some(b"2026-06-01T00:00:00Z".to_vec()),
            |row| row.revoked_at = Some(b"2026-01-01T00:00:00Z".to_vec()),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut row = row();
            change(&mut row);
            // A serial alone is a kind of its own, an issuer alone is none.
            if let Ok(known) = KnownCertificate::of_mapping(&row, now) {
                assert!(known.is_none(), "{number}");
            }
        }
        let mut broken = row();
        broken.pattern.issuer_key_id = Some(b"nothing".to_vec());
        assert!(KnownCertificate::of_mapping(&broken, now).is_err());
    }
}
