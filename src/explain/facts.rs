//! A certificate as people and programs see it: names as nginx would send them, serials as nginx prints them.

use serde::Serialize;

use crate::pki::{Certificate, ExtendedKeyUsage, key_usage_names, purpose_text};

/// The facts of a certificate, in the order in which they are printed.
#[derive(Debug, Serialize)]
pub struct Facts {
    /// The subject, as nginx sends it.
    pub subject: String,
    /// The issuer, as nginx sends it.
    pub issuer: String,
    /// The serial, as nginx prints it.
    pub serial: String,
    /// SHA-256 of the certificate.
    pub sha256: String,
    /// SHA-256 of the public key.
    pub spki_sha256: String,
    /// When its validity begins.
    pub not_before: String,
    /// The last second of it.
    pub not_after: String,
    /// Hex of the issuer's key identifier.
    pub issuer_key_id: Option<String>,
    /// The common name, if there is exactly one.
    pub common_name: Option<String>,
    /// The key usages, if it is limited to some.
    pub key_usage: Option<Vec<&'static str>>,
    /// OIDs of the purposes, if it is limited to some.
    pub extended_key_usage: Option<Vec<String>>,
    /// OIDs of the policies.
    pub policies: Vec<String>,
    /// Whether it is a CA's.
    pub is_ca: bool,
    /// The alternative names.
    pub san: Names,
}

/// The names of the subjectAltName extension.
#[derive(Debug, Serialize)]
pub struct Names {
    /// `rfc822Name`.
    pub email: Vec<String>,
    /// User principal names.
    pub upn: Vec<String>,
    /// `uniformResourceIdentifier`.
    pub uri: Vec<String>,
    /// `dNSName`.
    pub dns: Vec<String>,
}

impl From<&Certificate> for Facts {
    fn from(certificate: &Certificate) -> Self {
        let san = &certificate.san;
        Self {
            subject: certificate.subject.to_string(),
            issuer: certificate.issuer.to_string(),
            serial: certificate.serial.to_string(),
            sha256: certificate.sha256.to_string(),
            spki_sha256: certificate.spki_sha256.to_string(),
            not_before: certificate.not_before.to_string(),
            not_after: certificate.not_after.to_string(),
            issuer_key_id: certificate.authority_key_id.as_deref().map(hex),
            common_name: certificate.common_name.clone(),
            key_usage: certificate.key_usage.map(key_usage_names),
            extended_key_usage: match &certificate.usage {
                ExtendedKeyUsage::Absent => None,
                ExtendedKeyUsage::Present { oids, .. } => Some(oids.clone()),
            },
            policies: certificate.policies.clone(),
            is_ca: certificate.is_ca,
            san: Names {
                email: san.email.clone(),
                upn: san.upn.clone(),
                uri: san.uri.clone(),
                dns: san.dns.clone(),
            },
        }
    }
}

impl Facts {
    /// One line each, for people; absent ones are left out.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("subject", self.subject.clone()),
            ("issuer", self.issuer.clone()),
            ("serial", self.serial.clone()),
            ("sha256", self.sha256.clone()),
            ("spki_sha256", self.spki_sha256.clone()),
            ("not_before", self.not_before.clone()),
            ("not_after", self.not_after.clone()),
        ];
        let one = |name, text: &Option<String>| text.clone().map(|text| (name, text));
        lines.extend(one("issuer_key_id", &self.issuer_key_id));
        lines.extend(one("common_name", &self.common_name));
        lines.extend(self.key_usage.as_ref().map(|names| ("key_usage", names.join(" "))));
        let purposes = |oids: &Vec<String>| {
            let names: Vec<&str> = oids.iter().map(|oid| purpose_text(oid)).collect();
            ("usages", names.join(" "))
        };
        lines.extend(self.extended_key_usage.as_ref().map(purposes));
        if !self.policies.is_empty() {
            lines.push(("policies", self.policies.join(" ")));
        }
        if self.is_ca {
            lines.push(("is_ca", "yes: a CA's certificate is never accepted as a client".into()));
        }
        let san = &self.san;
        for (name, values) in [
            ("san_email", &san.email),
            ("san_upn", &san.upn),
            ("san_uri", &san.uri),
            ("san_dns", &san.dns),
        ] {
            lines.extend(values.iter().map(|value| (name, value.clone())));
        }
        lines
    }
}

/// Bytes as lower-case hex, as the column `issuer_key_id` takes them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
