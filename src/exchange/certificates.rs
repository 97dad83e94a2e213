//! Files of certificates: PEM, DER, PKCS #7; one or many in each.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::feed::{Claim, Feed, Meant, Place, Placed, Whose};
use crate::pki::{Certificate, split_certificates};

/// Reads a file; whose its certificates are is said by them, or by the file's name.
///
/// Certificates of CAs are passed over with a remark: a chain that was put into the same file is
/// nobody's.
#[must_use]
pub fn read(file: &str, bytes: &[u8]) -> Feed {
    let found = match split_certificates(bytes) {
        Ok(found) => found,
        Err(error) => return Feed::unreadable(file, error.to_string()),
    };
    let (mut feed, place) = (Feed::default(), Place::file(file));
    let (stem, is_single) = (stem(file), found.len() == 1);
    let mut authorities = 0_u64;
    for (number, der) in (1..).zip(found) {
        let place = if is_single { place.clone() } else { place.at("certificate", number) };
        match Certificate::from_der(&der) {
            Ok(certificate) if certificate.is_ca => authorities += 1,
            Ok(certificate) => {
                let whose = Whose::Unnamed { stem: stem.to_owned() };
                let value = Claim::new(whose, Meant::Certificate(Arc::new(certificate)));
                feed.claims.push(Placed { place, value });
            }
            Err(error) => feed.refuse(place, error.to_string()),
        }
    }
    if authorities > 0 {
        feed.remarks.push(format!("{file}: passed over {authorities} certificates of CAs"));
    }
    feed
}

/// A certificate in a cell or a member: PEM, or the base64 of DER.
pub(super) fn one_certificate(text: &str) -> Result<Arc<Certificate>, String> {
    let text = text.trim_ascii();
    let read = if text.starts_with("-----") {
        Certificate::from_pem(text.as_bytes())
    } else {
        let der = STANDARD
            .decode(text)
            .map_err(|_| "certificate: neither PEM nor the base64 of DER".to_owned())?;
        Certificate::from_der(&der)
    };
    let certificate = read.map_err(|error| format!("certificate: {error}"))?;
    if certificate.is_ca {
        return Err("certificate: this is the certificate of a CA".to_owned());
    }
    Ok(Arc::new(certificate))
}

/// Whether a file of a folder is looked at, by the ending of its name.
#[must_use]
pub fn is_named_like_one(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// A file's name without its folder and its ending.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    match name.rsplit_once('.') {
        Some((stem, ending)) if ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) => stem,
        _ => name,
    }
}

/// How files of certificates are named.
const ENDINGS: [&str; 7] = ["cer", "crt", "der", "p7b", "p7c", "p7s", "pem"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_is_what_stands_before_its_ending() {
        for (file, expected) in [
            ("alice.pem", "alice"),
            ("people/alice.crt", "alice"),
            ("people/alice.dupont.CER", "alice.dupont"),
            ("alice", "alice"),
            ("alice.example", "alice.example"),
        ] {
            assert_eq!(stem(file), expected);
        }
        assert!(is_named_like_one("a.p7b") && !is_named_like_one("alice.key"));
    }

    #[test]
    fn one_broken_certificate_of_a_bundle_is_named_and_the_others_are_read() {
        let alice = include_bytes!("../../benches/alice.pem");
        let broken = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let feed = read("all.pem", &[&alice[..], broken, alice].concat());
        assert_eq!(feed.claims.len(), 2);
        assert_eq!(feed.claims[1].place.to_string(), "all.pem, certificate 3");
        let refused = &feed.refused[..];
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].place.to_string(), "all.pem, certificate 2");
    }

    #[test]
    fn a_cell_holds_pem_or_base64_and_nothing_else() {
        let pem = include_str!("../../benches/alice.pem");
        let certificate = one_certificate(pem).unwrap();
        assert_eq!(one_certificate(&STANDARD.encode(&certificate.der)), Ok(certificate));
        for text in ["", "alice", "-----BEGIN CERTIFICATE-----", "MAA="] {
            assert!(one_certificate(text).is_err(), "{text}");
        }
    }
}
