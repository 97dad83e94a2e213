//! Certificates of real tools, and what hostile ones must not get past.

use super::*;

#[test]
fn a_certificate_of_rcgen_is_read_whole() {
    let mut params = rcgen::CertificateParams::new(vec!["alice.example".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CountryName, "FR");
    params.distinguished_name.push(rcgen::DnType::CommonName, "alice");
    params.serial_number = Some(vec![0xCA, 0x92].into());
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    let read = Certificate::from_pem(made.pem().as_bytes()).unwrap();
    assert_eq!(&*read.der, &**made.der());
    assert_eq!(read.subject.to_string(), "CN=alice,C=FR");
    assert_eq!(read.serial.to_string(), "CA92");
    assert_eq!(read.san.dns, ["alice.example"]);
    assert_eq!(read.common_name.as_deref(), Some("alice"));
    assert!(read.usage.allows_client_auth());
    assert_eq!(Certificate::from_der(made.der()), Ok(read.clone()));
    assert_eq!(Certificate::from_file_bytes(made.der()), Ok(read));
}
