//! `identity.issuers`: each entry is a DN, or the PEM file of a CA.

use std::path::Path;

use super::problem::Fault;
use crate::decide::AllowedIssuer;
use crate::pki::{Certificate, DistinguishedName, SlashForm};

/// What an entry can be.
const FORMS: &str = "write a DN, as CN=Example CA,O=Example,C=FR, or the path of the CA's PEM file";

/// Bytes of a CA's certificate file at the most.
const CA_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Reads one entry. A DN holds `=`; a path holds none, or begins with `file:`.
pub(super) fn parse(text: &str) -> Result<AllowedIssuer, Fault> {
    if text.chars().any(char::is_control) {
        return Err(Fault::new(format!("{text:?} holds a control character"), FORMS));
    }
    if let Some(path) = text.strip_prefix("file:") {
        return from_file(Path::new(path));
    }
    if !text.contains('=') {
        return from_file(Path::new(text));
    }
    let name = DistinguishedName::parse(text, SlashForm::Accept)
        .map_err(|error| Fault::new(format!("cannot read the DN {text:?}: {error}"), FORMS))?;
    Ok(AllowedIssuer { name, key_id: None })
}

/// Reads the CA's own certificate: then name and key must agree.
fn from_file(path: &Path) -> Result<AllowedIssuer, Fault> {
    use std::io::Read as _;
    let fault = |what: &dyn std::fmt::Display, remedy: &str| {
        Fault::new(format!("{}: {what}", path.display()), remedy)
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(CA_FILE_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| fault(&error, FORMS))?;
    let certificate = Certificate::from_file_bytes(&bytes).map_err(|error| fault(&error, FORMS))?;
    if !certificate.is_ca {
        return Err(fault(&"is not the certificate of a CA", FORMS));
    }
    let key_id = certificate.subject_key_id.ok_or_else(|| {
        fault(&"has no subjectKeyIdentifier to tell its key by", "write the CA's DN instead")
    })?;
    Ok(AllowedIssuer { name: certificate.subject, key_id: Some(key_id) })
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::parse;

    fn pem(is_ca: IsCa) -> String {
        let mut params = CertificateParams::default();
        params.is_ca = is_ca;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_name_or_a_cas_certificate_is_an_issuer_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            format!("file:{}", path.display())
        };
        let named = parse("CN=Example CA,O=Example,C=FR").unwrap();
        assert_eq!(named.key_id, None);
        let authority = IsCa::Ca(BasicConstraints::Unconstrained);
        let keyed = parse(&file("ca.pem", &pem(authority))).unwrap();
        assert!(keyed.key_id.is_some_and(|id| !id.is_empty()));
        for bad in [
            file("leaf.pem", &pem(IsCa::NoCa)),
            file("junk.pem", "junk"),
            "/nonexistent.pem".to_owned(),
            "CN=a,Nope".to_owned(),
            "CN=a\u{7}".to_owned(),
        ] {
            assert!(parse(&bad).is_err(), "{bad:?}");
        }
    }
}
