//! The extensions of a list and of its entries, RFC 5280 5.2 and 5.3.
//!
//! Everything that makes a list say less, or something about others, refuses the list.

use super::{CrlError, CrlNumber, ReasonCode, Scope};
use crate::pki::attribute::Oid;
use crate::pki::der::{self, Tlv};

/// What a list's extensions say.
pub(super) struct ListExtensions {
    pub(super) authority_key_id: Option<Vec<u8>>,
    pub(super) number: Option<CrlNumber>,
    pub(super) scope: Scope,
    pub(super) is_delta: bool,
}

impl ListExtensions {
    pub(super) fn read(explicit: Option<Tlv<'_>>) -> Result<Self, CrlError> {
        let mut read =
            Self { authority_key_id: None, number: None, scope: Scope::All, is_delta: false };
        let Some(explicit) = explicit else {
            return Ok(read);
        };
        der::check(explicit.content)?;
        for extension in list(der::single(explicit.content, der::SEQUENCE)?)? {
            match extension.oid {
                AUTHORITY_KEY_IDENTIFIER => read.authority_key_id = extension.authority_key_id()?,
                CRL_NUMBER => read.number = Some(extension.number()?),
                DELTA_CRL_INDICATOR => {
                    extension.number()?;
                    read.is_delta = true;
                }
                ISSUING_DISTRIBUTION_POINT => read.scope = extension.scope()?,
                _ => extension.refuse_if_critical()?,
            }
        }
        if read.is_delta && read.number.is_none() {
            return Err(CrlError::DeltaWithoutNumber);
        }
        Ok(read)
    }
}

/// The reason in an entry's extensions; without one it is "unspecified".
pub(super) fn entry_reason(extensions: Tlv<'_>) -> Result<ReasonCode, CrlError> {
    der::check(extensions.raw)?;
    let mut reason = ReasonCode::Unspecified;
    for extension in list(extensions)? {
        match extension.oid {
            CERTIFICATE_ISSUER => return Err(CrlError::Indirect),
            REASON_CODE => reason = extension.reason()?,
            // When the key was lost is for people: the certificate is revoked all the same.
            INVALIDITY_DATE => {}
            _ => extension.refuse_if_critical()?,
        }
    }
    Ok(reason)
}

#[derive(Clone, Copy)]
struct Extension<'a> {
    oid: &'a [u8],
    is_critical: bool,
    value: &'a [u8],
}

/// Takes a SEQUENCE OF Extension apart; none may be there twice. Few of them each: the quadratic
/// search for doubles is the cheapest, and bounded.
fn list(sequence: Tlv<'_>) -> Result<Vec<Extension<'_>>, CrlError> {
    let mut reader = sequence.reader();
    let mut extensions: Vec<Extension<'_>> = Vec::new();
    while !reader.is_empty() || extensions.is_empty() {
        let mut fields = reader.expect(der::SEQUENCE)?.reader();
        let oid = fields.expect(der::OBJECT_IDENTIFIER)?.content;
        let is_critical = fields.optional(der::BOOLEAN)?.is_some_and(|value| value.content != [0]);
        let value = fields.expect(der::OCTET_STRING)?.content;
        fields.finish()?;
        if extensions.iter().any(|other| other.oid == oid) {
            return Err(CrlError::DuplicateExtension);
        }
        let extension = Extension { oid, is_critical, value };
        if extensions.len() == MAX_EXTENSIONS {
            return Err(extension.broken());
        }
        extensions.push(extension);
    }
    Ok(extensions)
}

impl<'a> Extension<'a> {
    fn broken(&self) -> CrlError {
        CrlError::Extension { oid: self.dotted() }
    }

    fn dotted(&self) -> String {
        Oid::from_der(self.oid).map(|oid| oid.to_string()).unwrap_or_default()
    }

    fn refuse_if_critical(&self) -> Result<(), CrlError> {
        if self.is_critical {
            return Err(CrlError::UnknownCriticalExtension { oid: self.dotted() });
        }
        Ok(())
    }

    /// The one value of strict DER that the extension is.
    fn single(&self, tag: u8) -> Result<Tlv<'a>, CrlError> {
        der::check(self.value).map_err(|_| self.broken())?;
        der::single(self.value, tag).map_err(|_| self.broken())
    }

    /// 5.2.1: only the key identifier counts.
    fn authority_key_id(&self) -> Result<Option<Vec<u8>>, CrlError> {
        let mut fields = self.single(der::SEQUENCE)?.reader();
        let key = fields.optional(KEY_IDENTIFIER).map_err(|_| self.broken())?;
        Ok(key.map(|key| key.content.to_vec()))
    }

    /// 5.2.3.
    fn number(&self) -> Result<CrlNumber, CrlError> {
        let octets = self.single(der::INTEGER)?.content;
        let number: Vec<u8> = octets.iter().copied().skip_while(|octet| *octet == 0).collect();
        let is_negative = octets.first().is_some_and(|first| *first >= 0x80);
        if is_negative || number.len() > MAX_NUMBER_OCTETS {
            return Err(self.broken());
        }
        Ok(CrlNumber(number.into()))
    }

    /// 5.2.5.
    fn scope(&self) -> Result<Scope, CrlError> {
        let mut fields = self.single(der::SEQUENCE)?.reader();
        let mut scope = Scope::All;
        while !fields.is_empty() {
            let field = fields.any()?;
            let says = field.content != [0];
            match field.tag {
                DISTRIBUTION_POINT => return Err(CrlError::Partitioned),
                ONLY_SOME_REASONS => return Err(CrlError::SomeReasons),
                ONLY_ATTRIBUTE_CERTS if says => return Err(CrlError::AttributeCertificates),
                INDIRECT_CRL if says => return Err(CrlError::Indirect),
                ONLY_USER_CERTS if says && scope == Scope::All => scope = Scope::Users,
                ONLY_CA_CERTS if says && scope == Scope::All => scope = Scope::Authorities,
                // False is the default, so that nothing is said.
                ONLY_ATTRIBUTE_CERTS | INDIRECT_CRL | ONLY_USER_CERTS | ONLY_CA_CERTS if !says => {}
                _ => return Err(self.broken()),
            }
        }
        Ok(scope)
    }

    /// 5.3.1.
    fn reason(&self) -> Result<ReasonCode, CrlError> {
        Ok(match self.single(der::ENUMERATED)?.content {
            [0] => ReasonCode::Unspecified,
            [1] => ReasonCode::KeyCompromise,
            [2] => ReasonCode::CaCompromise,
            [3] => ReasonCode::AffiliationChanged,
            [4] => ReasonCode::Superseded,
            [5] => ReasonCode::CessationOfOperation,
            [6] => ReasonCode::CertificateHold,
            [8] => ReasonCode::RemoveFromCrl,
            [9] => ReasonCode::PrivilegeWithdrawn,
            [10] => ReasonCode::AaCompromise,
            _ => return Err(self.broken()),
        })
    }
}

/// Content octets of object identifiers below id-ce, 2.5.29.
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];

/// Context-specific identifier octets: of the authority key identifier, and of the issuing
/// distribution point.
const KEY_IDENTIFIER: u8 = 0x80;
const DISTRIBUTION_POINT: u8 = 0xa0;
const ONLY_USER_CERTS: u8 = 0x81;
const ONLY_CA_CERTS: u8 = 0x82;
const ONLY_SOME_REASONS: u8 = 0x83;
const INDIRECT_CRL: u8 = 0x84;
const ONLY_ATTRIBUTE_CERTS: u8 = 0x85;

/// Octets of a cRLNumber, 5.2.3.
const MAX_NUMBER_OCTETS: usize = 20;
/// Extensions of a list or an entry; RFC 5280 knows seven and three.
const MAX_EXTENSIONS: usize = 32;
