//! Traefik: the header of the PassTLSClientCert middleware with `pem: true`.
//! <https://doc.traefik.io/traefik/middlewares/http/passtlsclientcert/>
//!
//! There is no word about verification: `RequestClientCert` fills it with a certificate that
//! nobody has verified.

use super::percent::percent_decode_strict;
use super::sent::{HeaderError, MAX_CHAIN_CERTIFICATES, Sent, decode_base64};

/// Reads base64 DER without markers, separated by commas: the leaf, then its chain.
///
/// Since 2.9.4 the base64 is raw, before it was URL-encoded (traefik#9379). Percent-decoding alone
/// fits both; a form decoder would turn the raw `+` into a space. One bad element refuses all.
pub(super) fn decode(material: &[u8]) -> Result<Sent, HeaderError> {
    let mut elements = material.split(|byte| *byte == b',').map(decode_element);
    let leaf = elements.next().unwrap_or(Err(HeaderError::Base64))?;
    let chain = elements.take(MAX_CHAIN_CERTIFICATES + 1).collect::<Result<Vec<_>, _>>()?;
    if chain.len() > MAX_CHAIN_CERTIFICATES {
        return Err(HeaderError::ChainTooLong);
    }
    Ok(Sent::Der { leaf, chain })
}

fn decode_element(element: &[u8]) -> Result<Vec<u8>, HeaderError> {
    decode_base64(&percent_decode_strict(element)?)
}

#[cfg(test)]
mod tests {
    use super::{HeaderError, MAX_CHAIN_CERTIFICATES, Sent, decode};

    #[test]
    fn both_generations_say_the_same() {
        let leaf = vec![0xFB, 0xFF, 0xBF, 0x30];
        let expected = Sent::Der { leaf: leaf.clone(), chain: vec![leaf] };
        assert_eq!(decode(b"+/+/MA==,+/+/MA=="), Ok(expected.clone()));
        assert_eq!(decode(b"%2B%2F%2B%2FMA%3D%3D,%2b%2f+/MA=="), Ok(expected));
    }

    #[test]
    fn a_bad_element_refuses_all() {
        for text in [
            "",
            ",",
            "MAA=,",
            ",MAA=",
            "MAA=,,MAA=",
            "MAA=, MAA=",
            "MAA=%2CMAA=",
            "MAA=,-----BEGIN CERTIFICATE-----",
            "MAA=,x",
        ] {
            assert_eq!(decode(text.as_bytes()), Err(HeaderError::Base64), "{text:?}");
        }
        assert!(matches!(decode(b"MAA=,%2"), Err(HeaderError::Percent(_))));
    }

    #[test]
    fn a_chain_has_a_limit() {
        let list = |count: usize| vec!["MAA="; count].join(",");
        assert!(decode(list(1 + MAX_CHAIN_CERTIFICATES).as_bytes()).is_ok());
        let longer = list(2 + MAX_CHAIN_CERTIFICATES);
        assert_eq!(decode(longer.as_bytes()), Err(HeaderError::ChainTooLong));
    }
}
