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

/// What an application makes of a header's name: CGI and WSGI know no case and no hyphen.
fn cgi_name(name: &str) -> String {
    let name = name.to_uppercase().replace('-', "_");
    name.strip_prefix("HTTP_").unwrap_or(&name).to_owned()
}

/// All values that the application could take for this header.
pub(crate) fn all_seen(answer: &Answer, name: &str) -> Vec<String> {
    let text = answer.text();
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    let same = pairs.filter(|(other, _)| cgi_name(other) == cgi_name(name));
    same.map(|(_, value)| value.to_owned()).collect()
}
