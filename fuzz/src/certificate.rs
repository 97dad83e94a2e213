//! Certificates: DER, PEM, and the files that operators name.

use certgate::pki::{Certificate, Identity, MAX_CERTIFICATE_DER_BYTES};

use super::dn::check_name;

/// What is read holds exactly the bytes it was read from, and its names and serial can be written
/// into a mapping and read back.
pub fn check(data: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(data) {
        assert_eq!(*certificate.der, *data);
        assert_eq!(Certificate::from_file_bytes(data).as_ref(), Ok(&certificate));
        check_certificate(&certificate);
    }
    if let Ok(certificate) = Certificate::from_pem(data) {
        check_certificate(&certificate);
    }
    if let Ok(certificates) = Certificate::all_from_file_bytes(data) {
        certificates.iter().for_each(check_certificate);
    }
    let _ = Certificate::from_file_bytes(data);
}

fn check_certificate(certificate: &Certificate) {
    assert!(certificate.der.len() <= MAX_CERTIFICATE_DER_BYTES);
    assert_eq!(Certificate::from_der(&certificate.der).as_ref(), Ok(certificate));
    assert!(!certificate.issuer.is_empty());
    check_name(&certificate.issuer);
    check_name(&certificate.subject);
    let info = certificate.public_key_info();
    assert!(certificate.der.windows(info.len()).any(|window| window == info));
    let identity = Identity::from_certificate(certificate);
    let san = [&identity.san_email, &identity.san_upn, &identity.san_uri, &identity.san_dns];
    for value in san.into_iter().flatten().chain(&identity.common_name) {
        assert!(!value.is_empty() && !value.contains(char::is_control), "{value:?}");
    }
}
