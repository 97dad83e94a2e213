//! The client of the demo, for tests: with a certificate made here, against an nginx started here.

pub(crate) use certgate::cli::demo::client::{
    Answer, Body, Caller, Credentials, Session, TlsVersion,
};

use super::nginx::Nginx;
use super::pki::Issued;

/// A caller of this nginx, with this certificate or none.
pub(crate) fn caller(nginx: &Nginx, certificate: Option<&Issued>, version: TlsVersion) -> Caller {
    let credentials =
        certificate.map(|issued| Credentials::read(&issued.pem, &issued.key).unwrap());
    Caller::new(nginx.address(), nginx.server_ca(), credentials, version).unwrap()
}

/// One request over a connection of its own.
pub(crate) fn get(
    nginx: &Nginx,
    certificate: Option<&Issued>,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let caller = caller(nginx, certificate, TlsVersion::Tls13);
    caller.connect().unwrap().get(path, headers).unwrap()
}
