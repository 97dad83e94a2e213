//! A certificate as people and programs see it: names as nginx would send them, serials as nginx prints them.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::pki::{Certificate, ExtendedKeyUsage, key_usage_names, purpose_text};

/// The facts of a certificate, in the order in which they are printed.
#[derive(Debug, Serialize)]
pub(super) struct Facts {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) serial: String,
    pub(super) sha256: String,
    pub(super) spki_sha256: String,
    pub(super) not_before: String,
    pub(super) not_after: String,
    pub(super) issuer_key_id: Option<String>,
    pub(super) common_name: Option<String>,
    pub(super) key_usage: Option<Vec<&'static str>>,
    pub(super) extended_key_usage: Option<Vec<String>>,
    pub(super) policies: Vec<String>,
    pub(super) is_ca: bool,
    pub(super) san: Names,
}

/// The names of the subjectAltName extension.
#[derive(Debug, Serialize)]
pub(super) struct Names {
    pub(super) email: Vec<String>,
    pub(super) upn: Vec<String>,
    pub(super) uri: Vec<String>,
    pub(super) dns: Vec<String>,
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
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
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
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Largest certificate file: PEM of the largest certificate, with `openssl x509 -text` before it.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Reads exactly one certificate from a PEM or DER file.
pub(super) fn read_certificate(path: &Path) -> anyhow::Result<Certificate> {
    use std::io::Read as _;
    let place = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(place)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).with_context(place)?;
    anyhow::ensure!(
        bytes.len() as u64 <= MAX_FILE_BYTES,
        "{} is longer than {MAX_FILE_BYTES} bytes: not a certificate",
        path.display()
    );
    Certificate::from_file_bytes(&bytes)
        .with_context(|| format!("{} does not hold one certificate", path.display()))
}
