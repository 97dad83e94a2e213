//! The options that say which certificates a mapping or block is about.
//!
//! Every value is read by the code that reads the database's rows, before it is written; what is
//! taken from a certificate is checked to match that certificate.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::facts::read_certificate;
use super::values::{self, IssuerValue};
use crate::config::{Config, Source};
use crate::directory::{Agreement, Column, Kind, Pattern, parse_pattern};
use crate::explain::hex;
use crate::operator::{Authority, Binding};
use crate::pki::{Certificate, DistinguishedName, Identity, SlashForm};
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

impl From<By> for Binding {
    fn from(by: By) -> Self {
        match by {
            By::Sha256 => Self::Sha256,
            By::Spki => Self::Spki,
            By::IssuerSerial => Self::IssuerSerial,
            By::IssuerSubject => Self::IssuerSubject,
            By::Subject => Self::Subject,
        }
    }
}

/// Which certificates.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which certificates")]
pub(super) struct PatternArgs {
    /// A certificate, PEM or DER, to take the values from
    #[arg(long, value_name = "FILE")]
    pub(super) cert: Option<PathBuf>,
    /// What of --cert counts [default: sha256]
    #[arg(long, value_enum, requires = "cert", value_name = "WHAT")]
    pub(super) by: Option<By>,
    /// SHA-256 of the certificate, 64 hex digits
    #[arg(long, value_name = "HEX", value_parser = values::digest)]
    pub(super) sha256: Option<String>,
    /// SHA-256 of the public key (subjectPublicKeyInfo), 64 hex digits
    #[arg(long, value_name = "HEX", value_parser = values::digest)]
    pub(super) spki_sha256: Option<String>,
    /// The issuer: a DN, or the CA's certificate as a file, which pins its key too
    #[arg(long, value_name = "DN|FILE", value_parser = values::issuer)]
    pub(super) issuer: Option<IssuerValue>,
    /// The issuer's key identifier, hex
    #[arg(long, value_name = "HEX", value_parser = values::key_id)]
    pub(super) issuer_key_id: Option<String>,
    /// The serial number, hexadecimal; decimal as dec:4097
    #[arg(long, value_name = "SERIAL", value_parser = values::serial, allow_hyphen_values = true)]
    pub(super) serial: Option<String>,
    /// The subject's DN
    #[arg(long, value_name = "DN", value_parser = values::distinguished_name)]
    pub(super) subject: Option<String>,
    /// An e-mail address among the alternative names
    #[arg(long, value_name = "EMAIL", value_parser = values::san_email)]
    pub(super) san_email: Option<String>,
    /// A user principal name among the alternative names
    #[arg(long, value_name = "UPN", value_parser = values::san_upn)]
    pub(super) san_upn: Option<String>,
    /// A URI among the alternative names
    #[arg(long, value_name = "URI", value_parser = values::san_uri)]
    pub(super) san_uri: Option<String>,
    /// A DNS name among the alternative names
    #[arg(long, value_name = "NAME", value_parser = values::san_dns)]
    pub(super) san_dns: Option<String>,
    /// The common name, if the certificate has exactly one
    #[arg(long, value_name = "NAME", value_parser = values::common_name)]
    pub(super) common_name: Option<String>,
}

/// A pattern that can be read back, and what it hangs on.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) text: PatternText,
    pub(super) pattern: Pattern,
    /// None where only the issuer is set: good for a block of a whole CA.
    pub(super) kind: Option<Kind>,
    /// What `--cert` named.
    pub(super) certificate: Option<Certificate>,
}

impl PatternArgs {
    /// Reads the options.
    ///
    /// # Errors
    /// No option, a file that cannot be read, or a value that `--cert` contradicts.
    pub(super) fn read(&self) -> anyhow::Result<Chosen> {
        let certificate = self.cert.as_deref().map(read_certificate).transpose()?;
        let mut text = match &certificate {
            Some(certificate) => Binding::from(self.by.unwrap_or_default()).pattern(certificate)?,
            None => PatternText::default(),
        };
        for (column, value) in [
            (&mut text.sha256, &self.sha256),
            (&mut text.spki_sha256, &self.spki_sha256),
            (&mut text.serial, &self.serial),
            (&mut text.subject, &self.subject),
            (&mut text.san_email, &self.san_email),
            (&mut text.san_upn, &self.san_upn),
            (&mut text.san_uri, &self.san_uri),
            (&mut text.san_dns, &self.san_dns),
            (&mut text.common_name, &self.common_name),
        ] {
            if value.is_some() {
                column.clone_from(value);
            }
        }
        if let Some(issuer) = &self.issuer {
            set_issuer(&mut text, issuer)?;
        }
        if self.issuer_key_id.is_some() {
            text.issuer_key_id.clone_from(&self.issuer_key_id);
        }
        let pattern = parse_pattern(&text.row())?;
        anyhow::ensure!(!pattern.is_empty(), "name a certificate: --cert FILE, or columns of it");
        if let Some(certificate) = &certificate {
            check_agreement(&pattern, certificate)?;
        }
        Ok(Chosen { kind: pattern.kind(), text, pattern, certificate })
    }
}

impl Chosen {
    /// The columns that requests cannot show as certgate is configured: all but a few names where
    /// the proxy sends no certificate.
    pub(super) fn invisible(&self, config: &Config) -> Vec<&'static str> {
        let columns = self.pattern.columns().map(|(column, _)| column);
        columns.filter(|column| !is_sent(*column, config)).map(Column::name).collect()
    }

    /// Whether every column is one that requests cannot show.
    pub(super) fn is_invisible(&self, config: &Config) -> bool {
        self.pattern.columns().all(|(column, _)| !is_sent(column, config))
    }
}

/// Whether a request can show this column at all (`identity.source`, `proxy.headers`).
pub(super) fn is_sent(column: Column, config: &Config) -> bool {
    if config.identity.source == Source::Certificate {
        return true;
    }
    let headers = &config.proxy.headers;
    match column {
        Column::Serial => headers.serial.is_some(),
        Column::Subject | Column::CommonName => headers.subject.is_some(),
        Column::Issuer => headers.issuer.is_some(),
        _ => false,
    }
}

/// The name as it is written, or name and key of the CA whose certificate is in the file.
fn set_issuer(text: &mut PatternText, issuer: &IssuerValue) -> anyhow::Result<()> {
    if let IssuerValue::Name(name) = issuer {
        text.issuer = Some(name.clone());
        return Ok(());
    }
    let authority = authority(issuer)?;
    text.issuer = Some(authority.name.to_exact_text());
    text.issuer_key_id = authority.key_id.as_deref().map(hex);
    Ok(())
}

/// The CA that is meant.
///
/// # Errors
/// The file cannot be read, or is not a CA's.
pub(super) fn authority(issuer: &IssuerValue) -> anyhow::Result<Authority> {
    let path = match issuer {
        IssuerValue::File(path) => path,
        IssuerValue::Name(name) => {
            let name = DistinguishedName::parse(name, SlashForm::Accept)?;
            return Ok(Authority { name, key_id: None });
        }
    };
    let certificate = read_certificate(path)
        .context("--issuer takes a DN such as 'CN=Example CA,O=Example', or a CA's file")?;
    authority_of(path, &certificate)
}

/// The CA whose certificate this is.
pub(super) fn authority_of(path: &Path, certificate: &Certificate) -> anyhow::Result<Authority> {
    let path = path.display();
    anyhow::ensure!(certificate.is_ca, "--issuer: {path} is not the certificate of a CA");
    Ok(Authority::of(certificate))
}

/// A pattern made from a certificate has to match it.
fn check_agreement(pattern: &Pattern, certificate: &Certificate) -> anyhow::Result<()> {
    let identity = Identity::from_certificate(certificate);
    let differing: Vec<_> = pattern
        .columns()
        .filter(|(column, value)| value.compare(*column, &identity) != Agreement::Same)
        .map(|(column, _)| column.name())
        .collect();
    anyhow::ensure!(
        differing.is_empty(),
        "this would not match the certificate of --cert, which says otherwise, or nothing, of: {}",
        differing.join(", ")
    );
    Ok(())
}

/// A pattern's columns by their names in the schema.
pub(super) fn columns(pattern: &PatternText) -> [(&'static str, Option<&str>); 11] {
    [
        ("sha256", pattern.sha256.as_deref()),
        ("spki_sha256", pattern.spki_sha256.as_deref()),
        ("issuer", pattern.issuer.as_deref()),
        ("issuer_key_id", pattern.issuer_key_id.as_deref()),
        ("serial", pattern.serial.as_deref()),
        ("subject", pattern.subject.as_deref()),
        ("san_email", pattern.san_email.as_deref()),
        ("san_upn", pattern.san_upn.as_deref()),
        ("san_uri", pattern.san_uri.as_deref()),
        ("san_dns", pattern.san_dns.as_deref()),
        ("common_name", pattern.common_name.as_deref()),
    ]
}

/// A pattern on one line.
pub(super) fn line(pattern: &PatternText) -> String {
    let set = columns(pattern).into_iter();
    let set = set.filter_map(|(name, value)| value.map(|value| format!("{name}={value}")));
    set.collect::<Vec<_>>().join(" ")
}
