//! Certificates made for one test: issuers, intermediates, leaves, as PEM files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

/// One issuer and the folder its files are in.
pub(crate) struct Issuer {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    /// The certificates between a leaf and the root, as PEM; empty for a root.
    chain: String,
    /// The issuer's own certificate, PEM.
    pub(crate) pem: PathBuf,
}

impl Issuer {
    /// A self-signed root, `CN=<name>,O=Example`.
    pub(crate) fn root(folder: &Path, name: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(issuer_params(name), key).unwrap();
        Self::write(folder, name, issuer, String::new())
    }

    /// An issuer below this one; what it issues carries the chain.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = issuer_params(name);
        let issuer = CertifiedIssuer::signed_by(params, key, &self.issuer).unwrap();
        let chain = format!("{}{}", issuer.pem(), self.chain);
        Self::write(&self.folder, name, issuer, chain)
    }

    /// Issues a certificate and writes `<file>.pem` (with its chain) and `<file>.key`.
    pub(crate) fn issue(&self, file: &str, leaf: Leaf) -> Issued {
        let key = leaf.key.unwrap_or_else(|| KeyPair::generate().unwrap());
        let certificate = leaf.params.signed_by(&key, &self.issuer).unwrap();
        let issued = Issued {
            pem: self.folder.join(format!("{file}.pem")),
            alone: self.folder.join(format!("{file}.alone.pem")),
            key: self.folder.join(format!("{file}.key")),
            text: certificate.pem(),
        };
        fs::write(&issued.pem, format!("{}{}", issued.text, self.chain)).unwrap();
        fs::write(&issued.alone, &issued.text).unwrap();
        fs::write(&issued.key, key.serialize_pem()).unwrap();
        issued
    }

    /// The key that signs, for a test that forges what this issuer would not issue.
    pub(crate) fn key(&self) -> &KeyPair {
        self.issuer.key()
    }

    /// Where this issuer writes its files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A certificate for a client, valid since yesterday and for a year.
    pub(crate) fn client(&self, name: &str) -> Issued {
        self.issue(name, Leaf::client(name))
    }

    /// A CRL of this issuer with this number, good for a day, as DER.
    pub(crate) fn list(&self, number: u64, revoked: &[&[u8]]) -> Vec<u8> {
        self.list_until(number, revoked, OffsetDateTime::now_utc() + Duration::DAY)
    }

    /// The same, good until then; issued long before.
    pub(crate) fn list_until(
        &self,
        number: u64,
        revoked: &[&[u8]],
        next_update: OffsetDateTime,
    ) -> Vec<u8> {
        let entry = |serial: &&[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: OffsetDateTime::now_utc() - Duration::HOUR,
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: next_update - Duration::days(2),
            next_update,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    fn write(
        folder: &Path,
        name: &str,
        issuer: CertifiedIssuer<'static, KeyPair>,
        chain: String,
    ) -> Self {
        let pem = folder.join(format!("{}.pem", name.to_lowercase().replace(' ', "-")));
        fs::write(&pem, issuer.pem()).unwrap();
        Self { issuer, folder: folder.to_owned(), chain, pem }
    }
}

/// A certificate on disk.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    /// The certificate and its chain.
    pub(crate) pem: PathBuf,
    /// The certificate alone.
    pub(crate) alone: PathBuf,
    /// The key.
    pub(crate) key: PathBuf,
    /// The certificate alone, PEM.
    pub(crate) text: String,
}

impl Issued {
    /// As nginx sends it: `$ssl_client_escaped_cert`.
    pub(crate) fn escaped(&self) -> String {
        percent_encoding::utf8_percent_encode(&self.text, UNRESERVED).to_string()
    }
}

/// What a certificate is to say; change what a test is about.
pub(crate) struct Leaf {
    params: CertificateParams,
    key: Option<KeyPair>,
}

impl Leaf {
    /// `CN=<name>,O=Example` with clientAuth, valid since yesterday and for a year.
    pub(crate) fn client(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished_name(name);
        params.not_before = OffsetDateTime::now_utc() - Duration::DAY;
        params.not_after = OffsetDateTime::now_utc() + Duration::days(365);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Self { params, key: None }
    }

    /// nginx's own certificate for 127.0.0.1.
    pub(crate) fn server() -> Self {
        let names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
        Self::client("nginx").usage(ExtendedKeyUsagePurpose::ServerAuth).names(names)
    }

    /// The validity; a certificate keeps whole seconds.
    pub(crate) fn valid(mut self, not_before: OffsetDateTime, not_after: OffsetDateTime) -> Self {
        self.params.not_before = not_before;
        self.params.not_after = not_after;
        self
    }

    /// The serial number, unsigned big-endian.
    pub(crate) fn serial(mut self, bytes: &[u8]) -> Self {
        self.params.serial_number = Some(SerialNumber::from_slice(bytes));
        self
    }

    /// The alternative names.
    pub(crate) fn names(mut self, names: Vec<SanType>) -> Self {
        self.params.subject_alt_names = names;
        self
    }

    /// The one extended key usage.
    pub(crate) fn usage(mut self, usage: ExtendedKeyUsagePurpose) -> Self {
        self.params.extended_key_usages = vec![usage];
        self
    }

    /// The key usage, all of it.
    pub(crate) fn key_usage(mut self, usages: &[KeyUsagePurpose]) -> Self {
        self.params.key_usages = usages.to_vec();
        self
    }

    /// A subject of attributes in their order.
    pub(crate) fn subject(mut self, attributes: &[(DnType, &str)]) -> Self {
        let mut name = DistinguishedName::new();
        for (kind, value) in attributes {
            name.push(kind.clone(), *value);
        }
        self.params.distinguished_name = name;
        self
    }

    /// A key that the test has.
    pub(crate) fn key(mut self, key: KeyPair) -> Self {
        self.key = Some(key);
        self
    }
}

fn issuer_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn distinguished_name(name: &str) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::OrganizationName, "Example");
    distinguished_name.push(DnType::CommonName, name);
    distinguished_name
}

/// What stays as it is in `$ssl_client_escaped_cert`.
const UNRESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
