//! The options that say which certificates a mapping or block is about.
//!
//! Every value is parsed by the code that reads the database's rows, before it is written: what
//! is accepted here can match.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::facts::{hex, read_certificate};
use crate::directory::{Kind, parse_pattern};
use crate::pki::{Certificate, DistinguishedName, SerialNumber, SlashForm};
use crate::store::PatternText;

/// What of a certificate file becomes the pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// This certificate only
    #[default]
    Sha256,
    /// Its key: a renewal with the same key still matches
    Spki,
    /// Its issuer and serial number: this certificate, also where only headers are sent
    IssuerSerial,
    /// Its issuer and subject: a renewal of the same name matches (a weak kind, on by default)
    IssuerSubject,
    /// Its subject, whoever issued it (a weak kind)
    Subject,
}

/// Which certificates.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct PatternArgs {
    /// A certificate, PEM or DER, to take the values from
    #[arg(long, value_name = "FILE")]
    pub(super) cert: Option<PathBuf>,
    /// What of --cert counts
    #[arg(long, value_enum, requires = "cert")]
    pub(super) by: Option<By>,
    /// SHA-256 of the certificate, 64 hex digits
    #[arg(long, value_name = "HEX")]
    pub(super) sha256: Option<String>,
    /// SHA-256 of the public key (subjectPublicKeyInfo), 64 hex digits
    #[arg(long, value_name = "HEX")]
    pub(super) spki_sha256: Option<String>,
    /// The issuer: a DN, or the CA's certificate as a file, which pins its key too
    #[arg(long, value_name = "DN|FILE")]
    pub(super) issuer: Option<String>,
    /// The issuer's key identifier, hex
    #[arg(long, value_name = "HEX")]
    pub(super) issuer_key_id: Option<String>,
    /// The serial number, hexadecimal; decimal as dec:4097
    #[arg(long, value_name = "SERIAL")]
    pub(super) serial: Option<String>,
    /// The subject's DN
    #[arg(long, value_name = "DN")]
    pub(super) subject: Option<String>,
    /// An e-mail address among the alternative names
    #[arg(long, value_name = "EMAIL")]
    pub(super) san_email: Option<String>,
    /// A user principal name among the alternative names
    #[arg(long, value_name = "UPN")]
    pub(super) san_upn: Option<String>,
    /// A URI among the alternative names
    #[arg(long, value_name = "URI")]
    pub(super) san_uri: Option<String>,
    /// A DNS name among the alternative names
    #[arg(long, value_name = "NAME")]
    pub(super) san_dns: Option<String>,
    /// The common name, if the certificate has exactly one
    #[arg(long, value_name = "NAME")]
    pub(super) common_name: Option<String>,
}

/// A pattern that can match, and what it hangs on.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) text: PatternText,
    /// None where only the issuer is set: good for a block of a whole CA.
    pub(super) kind: Option<Kind>,
}

impl PatternArgs {
    /// Reads the options.
    ///
    /// # Errors
    /// A value that the directory could not read, named by its option.
    pub(super) fn read(&self) -> anyhow::Result<Chosen> {
        let mut text = match &self.cert {
            Some(path) => from_certificate(&read_certificate(path)?, self.by.unwrap_or_default()),
            None => PatternText::default(),
        };
        let set = |column: &mut Option<String>, value: &Option<String>| {
            if value.is_some() {
                column.clone_from(value);
            }
        };
        set(&mut text.sha256, &self.sha256);
        set(&mut text.spki_sha256, &self.spki_sha256);
        set(&mut text.issuer_key_id, &self.issuer_key_id);
        set(&mut text.subject, &self.subject);
        set(&mut text.san_email, &self.san_email);
        set(&mut text.san_upn, &self.san_upn);
        set(&mut text.san_uri, &self.san_uri);
        set(&mut text.san_dns, &self.san_dns);
        set(&mut text.common_name, &self.common_name);
        if let Some(serial) = &self.serial {
            let serial = SerialNumber::parse_cli(serial).context("--serial")?;
            text.serial = Some(serial.to_string());
        }
        if let Some(issuer) = &self.issuer {
            set_issuer(&mut text, issuer)?;
        }
        let pattern = parse_pattern(&text.row())?;
        anyhow::ensure!(!pattern.is_empty(), "name a certificate: --cert FILE, or columns of it");
        Ok(Chosen { kind: pattern.kind(), text })
    }
}

/// The columns of a certificate for that kind.
pub(super) fn from_certificate(certificate: &Certificate, by: By) -> PatternText {
    let issuer = || Some(certificate.issuer.to_exact_text());
    let subject = || Some(certificate.subject.to_exact_text());
    let none = PatternText::default();
    match by {
        By::Sha256 => PatternText { sha256: Some(certificate.sha256.to_string()), ..none },
        By::Spki => PatternText { spki_sha256: Some(certificate.spki_sha256.to_string()), ..none },
        By::IssuerSerial => {
            PatternText { issuer: issuer(), serial: Some(certificate.serial.to_string()), ..none }
        }
        By::IssuerSubject => PatternText { issuer: issuer(), subject: subject(), ..none },
        By::Subject => PatternText { subject: subject(), ..none },
    }
}

/// A DN as it stands, or name and key of the CA whose certificate is in the file.
fn set_issuer(text: &mut PatternText, issuer: &str) -> anyhow::Result<()> {
    if issuer.contains('=') {
        DistinguishedName::parse(issuer, SlashForm::Accept).context("--issuer")?;
        text.issuer = Some(issuer.to_owned());
        return Ok(());
    }
    let authority = read_certificate(&PathBuf::from(issuer)).context("--issuer")?;
    anyhow::ensure!(authority.is_ca, "--issuer: {issuer} is not the certificate of a CA");
    text.issuer = Some(authority.subject.to_exact_text());
    if text.issuer_key_id.is_none() {
        text.issuer_key_id = authority.subject_key_id.as_deref().map(hex);
    }
    Ok(())
}
