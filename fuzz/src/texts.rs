//! The small parsers: fingerprints, times, names, escapes, object identifiers, database URLs.

use certgate::directory::Name;
use certgate::pki::{
    AttributeType, Fingerprint, UnixTime, parse_dns, parse_email, parse_oid, parse_text, parse_upn,
    parse_uri,
};
use certgate::proxy::percent_decode_strict;
use certgate::store::DatabaseUrl;

/// What is read prints as text that reads back as the same value; what is canonical stays so.
pub fn check(data: &[u8]) {
    if let Ok(name) = Name::parse(data) {
        assert_eq!(name.as_str().as_bytes(), data);
        assert!(data.iter().all(|byte| (b'!'..=b'~').contains(byte) && *byte != b','));
    }
    if let Ok(decoded) = percent_decode_strict(data) {
        let escapes = data.iter().filter(|byte| **byte == b'%').count();
        assert_eq!(decoded.len() + 2 * escapes, data.len());
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(digest) = Fingerprint::parse(text) {
        assert_eq!(Fingerprint::parse(&digest.to_string()), Ok(digest));
    }
    if let Ok(time) = UnixTime::parse_rfc3339(text) {
        assert_eq!(UnixTime::parse_rfc3339(&time.to_string()), Ok(time));
        assert!(time.as_micros() >= 0);
    }
    for parse in [parse_dns, parse_email, parse_text, parse_upn, parse_uri] {
        if let Ok(canonical) = parse(text) {
            assert_eq!(parse(&canonical).as_ref(), Ok(&canonical));
            assert!(!canonical.is_empty() && !canonical.contains(char::is_control));
        }
    }
    if let Some(oid) = parse_oid(text) {
        assert_eq!(parse_oid(&oid).as_ref(), Some(&oid));
    }
    let _ = AttributeType::parse(text);
    let _ = DatabaseUrl::parse(text);
}
