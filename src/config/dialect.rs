//! The header names of each proxy's dialect and of each output profile.
//!
//! Only names live here; what a dialect's values mean is the `proxy` room's.

use super::values::HeaderName;
use super::words::{Source, words};

words! {
    /// How a proxy says whose certificate it is.
    Dialect {
        /// nginx with `$ssl_client_escaped_cert`; the default.
        Nginx = "nginx",
        /// `Client-Cert` and `Client-Cert-Chain` of RFC 9440.
        Rfc9440 = "rfc9440",
        /// Traefik's PassTLSClientCert; says nothing about verification.
        Traefik = "traefik",
        /// Caddy's `forward_auth`; says nothing about verification.
        Caddy = "caddy",
        /// HAProxy with OpenSSL's numbers.
        Haproxy = "haproxy",
        /// Apache's mod_ssl, where `(null)` is absent.
        Apache = "apache",
        /// The header names that django-x509 reads.
        DjangoX509 = "django-x509",
        /// The header names that django-tls-certificate-auth reads.
        DjangoTlsCertificateAuth = "django-tls-certificate-auth",
        /// The header names that django-ssl-auth reads.
        DjangoSslAuth = "django-ssl-auth",
    }
}

/// The names of a dialect's headers; `None` where it has none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InputHeaders {
    /// The result of the verification; `None` is a dialect without such a signal.
    pub verify: Option<HeaderName>,
    /// Whether a certificate was shown, where the result alone does not tell.
    pub used: Option<HeaderName>,
    /// The certificate.
    pub certificate: Option<HeaderName>,
    /// The certificates between it and a trusted CA.
    pub chain: Option<HeaderName>,
    /// The serial number.
    pub serial: Option<HeaderName>,
    /// The subject's DN.
    pub subject: Option<HeaderName>,
    /// The issuer's DN.
    pub issuer: Option<HeaderName>,
}

impl Dialect {
    /// The source of identity that the dialect implies, where it leaves no choice.
    pub fn implied_source(self) -> Option<Source> {
        match self {
            Self::DjangoX509 | Self::DjangoTlsCertificateAuth | Self::DjangoSslAuth => {
                Some(Source::Headers)
            }
            Self::Apache
            | Self::Caddy
            | Self::Haproxy
            | Self::Nginx
            | Self::Rfc9440
            | Self::Traefik => None,
        }
    }

    /// The names of its headers, before `proxy.headers` replaces any.
    pub fn headers(self) -> InputHeaders {
        let [verify, certificate, serial, subject, issuer] = match self {
            Self::Nginx | Self::Apache => [
                "x-ssl-client-verify",
                "x-ssl-client-cert",
                "x-ssl-client-serial",
                "x-ssl-client-s-dn",
                "x-ssl-client-i-dn",
            ],
            Self::Rfc9440 => ["x-ssl-client-verify", "client-cert", "", "", ""],
            Self::Traefik => ["", "x-forwarded-tls-client-cert", "", "", ""],
            Self::Caddy => ["", "x-client-cert", "", "", ""],
            Self::Haproxy => ["x-ssl-client-verify", "x-ssl-client-der", "", "", ""],
            Self::DjangoX509 => ["ssl-client-verify", "", "ssl-client-serial", "ssl-client-dn", ""],
            Self::DjangoTlsCertificateAuth => {
                ["x-client-cert-valid", "", "", "x-client-cert-dn", ""]
            }
            Self::DjangoSslAuth => ["x-ssl-authenticated", "", "", "x-ssl-user-dn", ""],
        }
        .map(|name| (!name.is_empty()).then(|| HeaderName::known(name)));
        let used = (self == Self::Haproxy).then(|| HeaderName::known("x-ssl-client-used"));
        let chain = (self == Self::Rfc9440).then(|| HeaderName::known("client-cert-chain"));
        InputHeaders { verify, used, certificate, chain, serial, subject, issuer }
    }
}

words! {
    /// A set of names for the answer's headers.
    Profile {
        /// `X-Remote-User` and so on; the default.
        XRemote = "x-remote",
        /// `Remote-User` and so on.
        Remote = "remote",
        /// `X-Auth-Request-User` and so on.
        XAuthRequest = "x-auth-request",
    }
}

/// The names of the answer's headers; all four are sent with every 200.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutputHeaders {
    /// The user.
    pub user: HeaderName,
    /// The groups.
    pub groups: HeaderName,
    /// The display name.
    pub name: HeaderName,
    /// The e-mail address.
    pub email: HeaderName,
}

impl Profile {
    /// The names of its headers, before `output.headers` replaces any.
    pub fn headers(self) -> OutputHeaders {
        let [user, groups, name, email] = match self {
            Self::XRemote => {
                ["x-remote-user", "x-remote-groups", "x-remote-name", "x-remote-email"]
            }
            Self::Remote => ["remote-user", "remote-groups", "remote-name", "remote-email"],
            Self::XAuthRequest => [
                "x-auth-request-user",
                "x-auth-request-groups",
                "x-auth-request-preferred-username",
                "x-auth-request-email",
            ],
        }
        .map(HeaderName::known);
        OutputHeaders { user, groups, name, email }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_tables_is_a_valid_header_name() {
        for dialect in Dialect::ALL {
            let headers = dialect.headers();
            let names = [
                headers.verify,
                headers.used,
                headers.certificate,
                headers.chain,
                headers.serial,
                headers.subject,
                headers.issuer,
            ];
            for name in names.into_iter().flatten() {
                assert_eq!(HeaderName::parse(name.as_str()), Ok(name));
            }
        }
        for profile in Profile::ALL {
            let headers = profile.headers();
            for name in [headers.user, headers.groups, headers.name, headers.email] {
                assert_eq!(HeaderName::parse(name.as_str()), Ok(name));
            }
        }
    }

    #[test]
    fn a_dialect_that_implies_headers_names_no_certificate() {
        for dialect in Dialect::ALL {
            if dialect.implied_source() == Some(Source::Headers) {
                assert_eq!(dialect.headers().certificate, None, "{dialect}");
                assert!(dialect.headers().verify.is_some(), "{dialect}");
            }
        }
    }
}
