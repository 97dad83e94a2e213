//! The certificates of `tests/golden`, an instant at which they count, and what trusts them.

use std::sync::{Arc, OnceLock};

use certgate::pki::{Certificate, TrustStore, UnixTime};
use certgate::revocation::Authorities;

/// alice's.
pub(super) const SUCCESS: &[u8] = include_bytes!("../../tests/golden/certificates/success.pem");
/// carol's.
pub(super) const REVOKED: &[u8] = include_bytes!("../../tests/golden/certificates/revoked.pem");
/// mallory's, of a foreign CA.
pub(super) const UNTRUSTED: &[u8] = include_bytes!("../../tests/golden/certificates/untrusted.pem");
/// The CA of alice and carol.
pub(super) const INTERMEDIATE: &[u8] =
    include_bytes!("../../tests/golden/certificates/intermediate.pem");
/// The CA above it.
pub(super) const ROOT: &[u8] = include_bytes!("../../tests/golden/certificates/root.pem");

/// 2027-01-01: the certificates are valid.
pub(super) const NOW: UnixTime = UnixTime::from_seconds(1_798_761_600);

pub(super) fn certificate(pem: &[u8]) -> Certificate {
    match Certificate::from_pem(pem) {
        Ok(certificate) => certificate,
        Err(error) => panic!("tests/golden/certificates: {error}"),
    }
}

/// Trusts the root and knows the intermediate.
pub(super) fn authorities() -> &'static Authorities {
    static AUTHORITIES: OnceLock<Authorities> = OnceLock::new();
    AUTHORITIES.get_or_init(|| {
        let store = TrustStore::new(vec![certificate(ROOT)], vec![certificate(INTERMEDIATE)]);
        let store = Arc::new(store.unwrap_or_default());
        assert!(!store.is_empty());
        Authorities { store, ..Authorities::default() }
    })
}
