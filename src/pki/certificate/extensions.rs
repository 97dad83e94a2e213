//! The extensions that decisions rest on, read strictly (RFC 5280 4.2).
//!
//! Others are left to the library, which must be able to parse those that it knows.

use super::CertificateError;
use crate::pki::attribute::Oid;
use crate::pki::der::{self, DerError, Reader, Tlv};
use crate::pki::names::{clean, clean_ascii};
use crate::pki::{ANY_PURPOSE, ExtendedKeyUsage, NameError, SubjectAltNames};

/// An extension as it came.
#[derive(Clone, Copy)]
pub(super) struct RawExtension<'a> {
    oid: &'a [u8],
    value: &'a [u8],
}

/// What the extensions say.
pub(super) struct Extensions {
    pub(super) san: SubjectAltNames,
    pub(super) authority_key_id: Option<Vec<u8>>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) is_ca: bool,
    pub(super) path_length: Option<u32>,
    pub(super) name_constraints: Option<Box<[u8]>>,
    pub(super) key_usage: Option<u16>,
    pub(super) usage: ExtendedKeyUsage,
    pub(super) policies: Vec<String>,
}

/// Takes `[3] EXPLICIT SEQUENCE SIZE (1..MAX) OF Extension` apart; none may be there twice.
pub(super) fn list(explicit: Tlv<'_>) -> Result<Vec<RawExtension<'_>>, CertificateError> {
    let mut reader = der::single(explicit.content, der::SEQUENCE)?.reader();
    let mut extensions: Vec<RawExtension<'_>> = Vec::new();
    while !reader.is_empty() || extensions.is_empty() {
        let mut fields = reader.expect(der::SEQUENCE)?.reader();
        let oid = fields.expect(der::OBJECT_IDENTIFIER)?.content;
        fields.optional(der::BOOLEAN)?;
        let value = fields.expect(der::OCTET_STRING)?.content;
        fields.finish()?;
        extensions.push(RawExtension { oid, value });
    }
    let mut oids = extensions.iter().map(|extension| extension.oid).collect::<Vec<_>>();
    oids.sort_unstable();
    match oids.windows(2).find(|pair| pair.first() == pair.last()) {
        Some(pair) => {
            let oid = pair.first().map(|oid| dotted(oid)).unwrap_or_default();
            Err(CertificateError::DuplicateExtension { oid })
        }
        None => Ok(extensions),
    }
}

impl Extensions {
    pub(super) fn read(list: &[RawExtension<'_>]) -> Result<Self, CertificateError> {
        let mut read = Self {
            san: SubjectAltNames::default(),
            authority_key_id: None,
            subject_key_id: None,
            is_ca: false,
            path_length: None,
            name_constraints: None,
            key_usage: None,
            usage: ExtendedKeyUsage::Absent,
            policies: Vec::new(),
        };
        for extension in list {
            read.take(*extension).map_err(|problem| match problem {
                Problem::Name(error) => CertificateError::SubjectAltName(error),
                Problem::Syntax => CertificateError::Extension { oid: dotted(extension.oid) },
            })?;
        }
        Ok(read)
    }

    fn take(&mut self, RawExtension { oid, value }: RawExtension<'_>) -> Result<(), Problem> {
        match oid {
            AUTHORITY_KEY_IDENTIFIER => self.authority_key_id = authority_key_id(value)?,
            BASIC_CONSTRAINTS => (self.is_ca, self.path_length) = basic_constraints(value)?,
            CERTIFICATE_POLICIES => self.policies = policies(value)?,
            EXTENDED_KEY_USAGE => self.usage = extended_key_usage(value)?,
            NAME_CONSTRAINTS => {
                checked(value, der::SEQUENCE)?;
                self.name_constraints = Some(value.into());
            }
            KEY_USAGE => self.key_usage = Some(key_usage(value)?),
            SUBJECT_ALT_NAME => self.san = subject_alt_names(value)?,
            SUBJECT_KEY_IDENTIFIER => {
                self.subject_key_id = Some(checked(value, der::OCTET_STRING)?.content.to_vec());
            }
            _ => {}
        }
        Ok(())
    }
}

/// Why an extension is not read.
enum Problem {
    Name(NameError),
    Syntax,
}

impl From<DerError> for Problem {
    fn from(_: DerError) -> Self {
        Self::Syntax
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

/// An extension's content: one value of strict DER.
fn checked(value: &[u8], tag: u8) -> Result<Tlv<'_>, Problem> {
    der::check(value)?;
    Ok(der::single(value, tag)?)
}

/// 4.2.1.1: only the key identifier counts; the issuer and serial beside it are the library's.
fn authority_key_id(value: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
    let mut fields = checked(value, der::SEQUENCE)?.reader();
    let key = fields.optional(CONTEXT_0)?;
    let issuer = fields.optional(CONTEXT_1 | CONSTRUCTED)?;
    let serial = fields.optional(CONTEXT_2)?;
    fields.finish()?;
    if issuer.is_some() != serial.is_some() {
        return Err(Problem::Syntax);
    }
    Ok(key.map(|key| key.content.to_vec()))
}

/// 4.2.1.9.
fn basic_constraints(value: &[u8]) -> Result<(bool, Option<u32>), Problem> {
    let mut fields = checked(value, der::SEQUENCE)?.reader();
    let is_ca = fields.optional(der::BOOLEAN)?.is_some_and(|value| value.content != [0]);
    let length = fields.optional(der::INTEGER)?.map(|length| match length.content {
        [0x80..=0xff, ..] => Err(Problem::Syntax),
        // A longer one than any chain is no limit.
        octets if octets.len() > size_of::<u32>() => Ok(u32::MAX),
        octets => Ok(octets.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet))),
    });
    fields.finish()?;
    Ok((is_ca, length.transpose()?))
}

/// 4.2.1.4: the identifiers; qualifiers are for people.
fn policies(value: &[u8]) -> Result<Vec<String>, Problem> {
    let mut reader = checked(value, der::SEQUENCE)?.reader();
    let mut policies = Vec::new();
    while !reader.is_empty() || policies.is_empty() {
        let mut fields = reader.expect(der::SEQUENCE)?.reader();
        policies.push(object_identifier(&mut fields)?);
        fields.optional(der::SEQUENCE)?;
        fields.finish()?;
    }
    Ok(policies)
}

/// 4.2.1.12.
fn extended_key_usage(value: &[u8]) -> Result<ExtendedKeyUsage, Problem> {
    let mut reader = checked(value, der::SEQUENCE)?.reader();
    let mut oids = Vec::new();
    while !reader.is_empty() || oids.is_empty() {
        oids.push(object_identifier(&mut reader)?);
    }
    let has = |wanted: &str| oids.iter().any(|oid| oid == wanted);
    Ok(ExtendedKeyUsage::Present { client_auth: has(CLIENT_AUTH), any: has(ANY_PURPOSE), oids })
}

/// 4.2.1.3: bit 0 (digitalSignature) is the lowest bit of the result.
fn key_usage(value: &[u8]) -> Result<u16, Problem> {
    let bits = checked(value, der::BIT_STRING)?;
    match der::bit_string(bits.content) {
        Some(([low], _)) => Ok(u16::from(low.reverse_bits())),
        Some(([low, high], _)) => {
            Ok(u16::from(low.reverse_bits()) | u16::from(high.reverse_bits()) << 8)
        }
        _ => Err(Problem::Syntax),
    }
}

/// 4.2.1.6: kinds of names that no mapping knows are passed over, but must be well formed.
fn subject_alt_names(value: &[u8]) -> Result<SubjectAltNames, Problem> {
    let mut reader = checked(value, der::SEQUENCE)?.reader();
    if reader.is_empty() {
        return Err(Problem::Syntax);
    }
    let mut names = SubjectAltNames::default();
    while !reader.is_empty() {
        let name = reader.any()?;
        match name.tag {
            OTHER_NAME => names.upn.extend(user_principal_name(name)?),
            RFC822_NAME => names.email.push(ia5(name)?),
            DNS_NAME => names.dns.push(ia5(name)?),
            URI => names.uri.push(ia5(name)?),
            // x400Address, directoryName, ediPartyName, iPAddress, registeredID.
            0xa3 | 0xa4 | 0xa5 | 0x87 | 0x88 => {}
            _ => return Err(Problem::Syntax),
        }
    }
    Ok(names)
}

/// `otherName`: an OID and a value in `[0] EXPLICIT`; the UPN is a UTF8String.
fn user_principal_name(name: Tlv<'_>) -> Result<Option<String>, Problem> {
    let mut fields = name.reader();
    let oid = fields.expect(der::OBJECT_IDENTIFIER)?.content;
    let value = fields.expect(CONTEXT_0 | CONSTRUCTED)?;
    fields.finish()?;
    if oid != USER_PRINCIPAL_NAME {
        return Ok(None);
    }
    let text = der::single(value.content, der::UTF8_STRING)?.content;
    let text = std::str::from_utf8(text).map_err(|_| Problem::Syntax)?;
    Ok(Some(clean(text)?.to_owned()))
}

fn ia5(name: Tlv<'_>) -> Result<String, Problem> {
    let text = std::str::from_utf8(name.content).map_err(|_| NameError::NotAscii)?;
    Ok(clean_ascii(text)?.to_owned())
}

fn object_identifier(reader: &mut Reader<'_>) -> Result<String, Problem> {
    let content = reader.expect(der::OBJECT_IDENTIFIER)?.content;
    Oid::from_der(content).map(|oid| oid.to_string()).ok_or(Problem::Syntax)
}

fn dotted(oid: &[u8]) -> String {
    Oid::from_der(oid).map(|oid| oid.to_string()).unwrap_or_default()
}

/// Content octets of object identifiers below id-ce, 2.5.29.
const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 14];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 32];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];

/// 1.3.6.1.4.1.311.20.2.3.
const USER_PRINCIPAL_NAME: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x03];
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

/// Context-specific identifier octets.
const CONTEXT_0: u8 = 0x80;
const CONTEXT_1: u8 = 0x81;
const CONTEXT_2: u8 = 0x82;
const CONSTRUCTED: u8 = 0x20;
/// Identifier octets of a GeneralName.
const OTHER_NAME: u8 = 0xa0;
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
