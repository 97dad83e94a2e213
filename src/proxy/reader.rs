//! From headers to what was presented, in whichever dialect they are.

use super::dialect::Dialect;
use super::fields::{Fields, HeaderNames, Headers};
use super::memory::Memory;
use super::sent::Sent;
use super::shown::{Presented, Shown};
use super::verify::{Failure, VerifyResult};
use crate::pki::{DistinguishedName, Identity, SerialNumber, SlashForm};
use crate::reason::DenyReason;

/// Where an identity is read from (`identity.source`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the certificate; serial and name headers, if sent, must agree with it.
    Certificate,
    /// From the serial and name headers alone. Expiry, usage and CRLs cannot be checked.
    Headers,
}

/// Reads the headers of one dialect.
#[derive(Clone, Debug)]
pub struct Reader {
    /// How the proxy speaks.
    pub dialect: Dialect,
    /// Which headers carry what.
    pub names: HeaderNames,
    /// Where the identity comes from.
    pub source: Source,
    /// Whether a name header may have the slash form (`proxy.legacy_dn`).
    pub slash_form: SlashForm,
    /// Who says whether a chain leads to a trusted CA.
    pub chains: ChainsBy,
}

/// Who says whether a chain leads to a trusted CA (`trust.mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainsBy {
    /// The proxy: its "unknown issuer" denies.
    Proxy,
    /// We alone (`own`): its "unknown issuer" is no answer, and the decision verifies the chain.
    Us,
}

impl Reader {
    /// Reads what was presented.
    ///
    /// # Errors
    /// The reason to deny. Only an exact success of the proxy, and in certificate mode exactly one
    /// strict certificate with which every other header agrees, gets past.
    pub fn read(
        &self,
        headers: &impl Headers,
        memory: &mut Memory,
    ) -> Result<Presented, DenyReason> {
        let fields = Fields::collect(&self.names, self.dialect.nothing(), headers)?;
        match self.dialect.verify(&fields) {
            VerifyResult::Success => {}
            VerifyResult::Absent | VerifyResult::Unsaid if !fields.has_material() => {
                return Ok(Presented::Nobody);
            }
            // Whom to trust is ours to say then; any other failure stays the proxy's word.
            VerifyResult::Failed(Failure::UnknownIssuer) | VerifyResult::Unsaid
                if self.chains == ChainsBy::Us => {}
            VerifyResult::Absent | VerifyResult::Unsaid => {
                self.check_decodable(&fields)?;
                return Err(DenyReason::NotVerified);
            }
            VerifyResult::Failed(failure) => {
                self.check_decodable(&fields)?;
                return Err(failure.reason());
            }
        }
        match self.source {
            Source::Certificate => self.read_certificate(&fields, memory),
            Source::Headers => {
                fields.check_certificate()?;
                let (serial, subject, issuer) = self.parse_texts(&fields)?;
                let identity = Identity::from_headers(serial, subject, issuer);
                Ok(Presented::Headers(Box::new(identity)))
            }
        }
    }

    /// Whether reading needs no parse of a certificate: it is remembered, or there is none, or what
    /// there is cannot be one.
    pub fn knows(&self, headers: &impl Headers, memory: &Memory) -> bool {
        match Fields::collect(&self.names, self.dialect.nothing(), headers) {
            Ok(fields) => {
                fields.check_certificate().is_err()
                    || fields.material().is_none_or(|material| memory.knows(&material))
            }
            Err(_) => true,
        }
    }

    /// Sets the certificate of a request that was kept out aside: whoever comes in pushes it out of
    /// the memory, and it pushes out none of them. One that is not verified is forgotten, as what
    /// was found of it is remembered nowhere else either.
    pub fn set_aside(&self, headers: &impl Headers, memory: &mut Memory, is_verified: bool) {
        let fields = Fields::collect(&self.names, self.dialect.nothing(), headers);
        if let Some(material) = fields.ok().and_then(|fields| fields.material()) {
            memory.set_aside(&material, is_verified);
        }
    }

    fn read_certificate(
        &self,
        fields: &Fields<'_>,
        memory: &mut Memory,
    ) -> Result<Presented, DenyReason> {
        let material = fields.material().ok_or(DenyReason::CertificateMalformed)?;
        let shown = memory.recall(&material, |material| {
            fields.check_certificate()?;
            self.decode(material)?.parse()
        })?;
        if !self.agrees(fields, &shown)? {
            return Err(DenyReason::HeaderMismatch);
        }
        Ok(Presented::Certificate(shown))
    }

    /// Whether every serial or name header says what the certificate says. Equal text is the usual
    /// case; other spellings are compared as parsed.
    fn agrees(&self, fields: &Fields<'_>, shown: &Shown) -> Result<bool, DenyReason> {
        let is_text =
            |field: Option<&[u8]>, text: &str| field.is_none_or(|value| value == text.as_bytes());
        let serial_is_text = is_text(fields.serial, &shown.serial_text);
        let subject_is_text = is_text(fields.subject, &shown.subject_text);
        let issuer_is_text = is_text(fields.issuer, &shown.issuer_text);
        if serial_is_text && subject_is_text && issuer_is_text {
            return Ok(true);
        }
        let certificate = &shown.certificate;
        let (serial, subject, issuer) = self.parse_texts(&Fields {
            serial: fields.serial.filter(|_| !serial_is_text),
            subject: fields.subject.filter(|_| !subject_is_text),
            issuer: fields.issuer.filter(|_| !issuer_is_text),
            ..Fields::default()
        })?;
        Ok(serial.is_none_or(|serial| serial == certificate.serial)
            && subject.is_none_or(|subject| subject == certificate.subject)
            && issuer.is_none_or(|issuer| issuer == certificate.issuer))
    }

    /// A header that cannot be decoded is told of before what the proxy says of it: the order of
    /// the codes.
    fn check_decodable(&self, fields: &Fields<'_>) -> Result<(), DenyReason> {
        fields.check_certificate()?;
        self.parse_texts(fields)?;
        match fields.material() {
            Some(material) => self.decode(&material).map(drop),
            None => Ok(()),
        }
    }

    fn decode(&self, material: &[u8]) -> Result<Sent, DenyReason> {
        self.dialect.decode(material).map_err(|_| DenyReason::MalformedHeader)
    }

    /// Parses the serial and name headers that are there, strictly.
    fn parse_texts(&self, fields: &Fields<'_>) -> Result<Texts, DenyReason> {
        let serial = fields.serial.map(|text| {
            SerialNumber::parse(as_text(text)?).map_err(|_| DenyReason::MalformedHeader)
        });
        let name = |field: Option<&[u8]>| {
            field
                .map(|text| {
                    DistinguishedName::parse(as_text(text)?, self.slash_form)
                        .map_err(|_| DenyReason::MalformedHeader)
                })
                .transpose()
        };
        Ok((serial.transpose()?, name(fields.subject)?, name(fields.issuer)?))
    }
}

type Texts = (Option<SerialNumber>, Option<DistinguishedName>, Option<DistinguishedName>);

fn as_text(bytes: &[u8]) -> Result<&str, DenyReason> {
    std::str::from_utf8(bytes).map_err(|_| DenyReason::MalformedHeader)
}
