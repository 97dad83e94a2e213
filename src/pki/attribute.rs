//! Attribute types of names: object identifiers, and the words that OpenSSL has for them.
//!
//! The table is vocabulary, in OpenSSL 3's spelling: nginx prints its short names. It must not
//! hold a word that means two attributes in the same spelling.

use std::fmt::Write as _;

use super::der::is_oid;

/// An object identifier: the content octets of its DER.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Oid(Box<[u8]>);

impl Oid {
    /// Takes content octets; `None` if they are not an OID, or one that OpenSSL would cut off.
    pub(super) fn from_der(content: &[u8]) -> Option<Self> {
        let oid = is_oid(content).then(|| Self(content.into()))?;
        oid.to_dotted().map(|_| oid)
    }

    /// Reads `2.5.4.3`; every arc a decimal number without leading zeros.
    pub(super) fn from_dotted(text: &str) -> Option<Self> {
        if text.len() > MAX_DOTTED_BYTES {
            return None;
        }
        let mut arcs = text.split('.').map(decimal);
        let (first, second) = (arcs.next()??, arcs.next()??);
        // X.660: below the roots 0 and 1 there are 40 arcs.
        if first > 2 {
            return None;
        }
        if first < 2 && second > 39 {
            return None;
        }
        let mut octets = Vec::new();
        push_arc(&mut octets, (first * 40).checked_add(second)?);
        for arc in arcs {
            push_arc(&mut octets, arc?);
        }
        Some(Self(octets.into()))
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// `2.5.4.3`; `None` if an arc or the whole is beyond all reason.
    fn to_dotted(&self) -> Option<String> {
        let mut text = String::new();
        let mut arc: u128 = 0;
        for octet in &self.0 {
            arc = arc.checked_mul(128)? | u128::from(octet & 0x7f);
            if octet & 0x80 != 0 {
                continue;
            }
            if text.is_empty() {
                let root = (arc / 40).min(2);
                write!(text, "{root}.{}", arc - root * 40).ok()?;
            } else {
                write!(text, ".{arc}").ok()?;
            }
            arc = 0;
        }
        (text.len() <= MAX_DOTTED_BYTES).then_some(text)
    }

    /// OpenSSL's short name, if it has one.
    pub(super) fn short_name(&self) -> Option<&'static str> {
        ATTRIBUTES.iter().find(|(oid, ..)| **oid == *self.0).map(|(_, short, _)| *short)
    }
}

/// Dotted, always: `2.5.4.3`.
impl std::fmt::Display for Oid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_dotted().unwrap_or_default())
    }
}

/// The one spelling of a dotted object identifier, as certificates' usages and policies have it;
/// `None` if the text is not one.
#[must_use]
pub fn parse_oid(text: &str) -> Option<String> {
    Oid::from_dotted(text).and_then(|oid| oid.to_dotted())
}

/// What a word stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Lookup {
    /// This attribute, spelled exactly as OpenSSL spells it.
    Exact(Oid),
    /// This attribute, in other letter case.
    Folded(Oid),
    /// Several attributes, were it not for letter case.
    Ambiguous,
    /// None.
    Unknown,
}

/// Looks a word up: a short or long name in any case, or a dotted OID (perhaps after `OID.`).
pub(super) fn lookup(word: &str) -> Lookup {
    if word.starts_with(|first: char| first.is_ascii_digit()) {
        return Oid::from_dotted(word).map_or(Lookup::Unknown, Lookup::Exact);
    }
    if let Some(dotted) = word.strip_prefix("OID.").or_else(|| word.strip_prefix("oid.")) {
        return Oid::from_dotted(dotted).map_or(Lookup::Unknown, Lookup::Exact);
    }
    let oid = |octets: &&[u8]| Oid((*octets).into());
    let exact = ATTRIBUTES.iter().find(|(_, short, long)| word == *short || word == *long);
    if let Some((octets, ..)) = exact {
        return Lookup::Exact(oid(octets));
    }
    let same = |name: &str| word.eq_ignore_ascii_case(name);
    let mut folded = ATTRIBUTES.iter().filter(|(_, short, long)| same(short) || same(long));
    match (folded.next(), folded.next()) {
        (None, _) => Lookup::Unknown,
        (Some((octets, ..)), None) => Lookup::Folded(oid(octets)),
        (Some(_), Some(_)) => Lookup::Ambiguous,
    }
}

fn decimal(text: &str) -> Option<u128> {
    let canonical = match text.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical { text.parse().ok() } else { None }
}

fn push_arc(octets: &mut Vec<u8>, arc: u128) {
    let groups = (128 - arc.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let [.., low] = (arc >> (7 * group)).to_be_bytes();
        let more = if group == 0 { 0 } else { 0x80 };
        octets.push(low & 0x7f | more);
    }
}

/// `commonName`.
pub(super) const COMMON_NAME: &[u8] = b"\x55\x04\x03";
/// Content octets of emailAddress, PKCS#9.
pub(super) const EMAIL_ADDRESS: &[u8] = b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x01";

/// Bytes: OpenSSL prints an OID into a buffer of 80 and cuts off what is longer.
const MAX_DOTTED_BYTES: usize = 79;

/// Content octets, short name, long name (the short one again where the long one is a sentence):
/// X.520 (2.5.4), RFC 4524 and its forerunners (0.9.2342), PKCS #9, RFC 3739, the CA/Browser
/// Forum's jurisdictions, and the Russian identifiers. The usual ones come first.
#[rustfmt::skip]
const ATTRIBUTES: &[(&[u8], &str, &str)] = &[
    (b"\x55\x04\x03", "CN", "commonName"),
    (b"\x55\x04\x0A", "O", "organizationName"),
    (b"\x55\x04\x06", "C", "countryName"),
    (b"\x55\x04\x0B", "OU", "organizationalUnitName"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x19", "DC", "domainComponent"),
    (b"\x55\x04\x07", "L", "localityName"),
    (b"\x55\x04\x08", "ST", "stateOrProvinceName"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x01", "emailAddress", "emailAddress"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x01", "UID", "userId"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x02", "textEncodedORAddress", "textEncodedORAddress"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x03", "mail", "rfc822Mailbox"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x04", "info", "info"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x05", "favouriteDrink", "favouriteDrink"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x06", "roomNumber", "roomNumber"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x07", "photo", "photo"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x08", "userClass", "userClass"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x09", "host", "host"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x0A", "manager", "manager"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x0B", "documentIdentifier", "documentIdentifier"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x0C", "documentTitle", "documentTitle"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x0D", "documentVersion", "documentVersion"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x0E", "documentAuthor", "documentAuthor"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x0F", "documentLocation", "documentLocation"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x14", "homeTelephoneNumber", "homeTelephoneNumber"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x15", "secretary", "secretary"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x16", "otherMailbox", "otherMailbox"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x17", "lastModifiedTime", "lastModifiedTime"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x18", "lastModifiedBy", "lastModifiedBy"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x1A", "aRecord", "aRecord"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x1B", "pilotAttributeType27", "pilotAttributeType27"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x1C", "mXRecord", "mXRecord"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x1D", "nSRecord", "nSRecord"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x1E", "sOARecord", "sOARecord"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x1F", "cNAMERecord", "cNAMERecord"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x25", "associatedDomain", "associatedDomain"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x26", "associatedName", "associatedName"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x27", "homePostalAddress", "homePostalAddress"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x28", "personalTitle", "personalTitle"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x29", "mobileTelephoneNumber", "mobileTelephoneNumber"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x2A", "pagerTelephoneNumber", "pagerTelephoneNumber"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x2B", "friendlyCountryName", "friendlyCountryName"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x2C", "uid", "uniqueIdentifier"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x2D", "organizationalStatus", "organizationalStatus"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x2E", "janetMailbox", "janetMailbox"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x2F", "mailPreferenceOption", "mailPreferenceOption"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x30", "buildingName", "buildingName"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x31", "dSAQuality", "dSAQuality"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x32", "singleLevelQuality", "singleLevelQuality"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x33", "subtreeMinimumQuality", "subtreeMinimumQuality"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x34", "subtreeMaximumQuality", "subtreeMaximumQuality"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x35", "personalSignature", "personalSignature"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x36", "dITRedirect", "dITRedirect"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x37", "audio", "audio"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x38", "documentPublisher", "documentPublisher"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x03", "pilotObject", "pilotObject"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x04", "pilotPerson", "pilotPerson"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x05", "account", "account"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x06", "document", "document"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x07", "room", "room"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x09", "documentSeries", "documentSeries"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x0D", "domain", "Domain"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x0E", "rFC822localPart", "rFC822localPart"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x0F", "dNSDomain", "dNSDomain"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x11", "domainRelatedObject", "domainRelatedObject"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x12", "friendlyCountry", "friendlyCountry"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x13", "simpleSecurityObject", "simpleSecurityObject"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x14", "pilotOrganization", "pilotOrganization"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x15", "pilotDSA", "pilotDSA"),
    (b"\x09\x92\x26\x89\x93\xF2\x2C\x64\x04\x16", "qualityLabelledData", "qualityLabelledData"),
    (b"\x2A\x85\x03\x03\x81\x03\x01\x01", "INN", "INN"),
    (b"\x2A\x85\x03\x64\x01", "OGRN", "OGRN"),
    (b"\x2A\x85\x03\x64\x03", "SNILS", "SNILS"),
    (b"\x2A\x85\x03\x64\x05", "OGRNIP", "OGRNIP"),
    (b"\x2A\x85\x03\x64\x6F", "subjectSignTool", "subjectSignTool"),
    (b"\x2A\x85\x03\x64\x70", "issuerSignTool", "issuerSignTool"),
    (b"\x2A\x85\x03\x64\x71", "classSignTool", "classSignTool"),
    (b"\x2A\x85\x03\x64\x71\x01", "classSignToolKC1", "classSignToolKC1"),
    (b"\x2A\x85\x03\x64\x71\x02", "classSignToolKC2", "classSignToolKC2"),
    (b"\x2A\x85\x03\x64\x71\x03", "classSignToolKC3", "classSignToolKC3"),
    (b"\x2A\x85\x03\x64\x71\x04", "classSignToolKB1", "classSignToolKB1"),
    (b"\x2A\x85\x03\x64\x71\x05", "classSignToolKB2", "classSignToolKB2"),
    (b"\x2A\x85\x03\x64\x71\x06", "classSignToolKA1", "classSignToolKA1"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x02", "unstructuredName", "unstructuredName"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x03", "contentType", "contentType"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x04", "messageDigest", "messageDigest"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x05", "signingTime", "signingTime"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x06", "countersignature", "countersignature"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x07", "challengePassword", "challengePassword"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x08", "unstructuredAddress", "unstructuredAddress"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x09",
        "extendedCertificateAttributes", "extendedCertificateAttributes"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x0E", "extReq", "extReq"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x0F", "SMIME-CAPS", "SMIME-CAPS"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x10", "SMIME", "SMIME"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x14", "friendlyName", "friendlyName"),
    (b"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x15", "localKeyID", "localKeyID"),
    (b"\x2B\x06\x01\x04\x01\x82\x37\x14\x02\x03", "msUPN", "msUPN"),
    (b"\x2B\x06\x01\x04\x01\x82\x37\x3C\x02\x01\x01", "jurisdictionL", "jurisdictionLocalityName"),
    (b"\x2B\x06\x01\x04\x01\x82\x37\x3C\x02\x01\x02",
        "jurisdictionST", "jurisdictionStateOrProvinceName"),
    (b"\x2B\x06\x01\x04\x01\x82\x37\x3C\x02\x01\x03", "jurisdictionC", "jurisdictionCountryName"),
    (b"\x2B\x06\x01\x05\x05\x07\x09\x01", "id-pda-dateOfBirth", "id-pda-dateOfBirth"),
    (b"\x2B\x06\x01\x05\x05\x07\x09\x02", "id-pda-placeOfBirth", "id-pda-placeOfBirth"),
    (b"\x2B\x06\x01\x05\x05\x07\x09\x03", "id-pda-gender", "id-pda-gender"),
    (b"\x2B\x06\x01\x05\x05\x07\x09\x04",
        "id-pda-countryOfCitizenship", "id-pda-countryOfCitizenship"),
    (b"\x2B\x06\x01\x05\x05\x07\x09\x05", "id-pda-countryOfResidence", "id-pda-countryOfResidence"),
    (b"\x55\x04\x04", "SN", "surname"),
    (b"\x55\x04\x05", "serialNumber", "serialNumber"),
    (b"\x55\x04\x09", "street", "streetAddress"),
    (b"\x55\x04\x0C", "title", "title"),
    (b"\x55\x04\x0D", "description", "description"),
    (b"\x55\x04\x0E", "searchGuide", "searchGuide"),
    (b"\x55\x04\x0F", "businessCategory", "businessCategory"),
    (b"\x55\x04\x10", "postalAddress", "postalAddress"),
    (b"\x55\x04\x11", "postalCode", "postalCode"),
    (b"\x55\x04\x12", "postOfficeBox", "postOfficeBox"),
    (b"\x55\x04\x13", "physicalDeliveryOfficeName", "physicalDeliveryOfficeName"),
    (b"\x55\x04\x14", "telephoneNumber", "telephoneNumber"),
    (b"\x55\x04\x15", "telexNumber", "telexNumber"),
    (b"\x55\x04\x16", "teletexTerminalIdentifier", "teletexTerminalIdentifier"),
    (b"\x55\x04\x17", "facsimileTelephoneNumber", "facsimileTelephoneNumber"),
    (b"\x55\x04\x18", "x121Address", "x121Address"),
    (b"\x55\x04\x19", "internationaliSDNNumber", "internationaliSDNNumber"),
    (b"\x55\x04\x1A", "registeredAddress", "registeredAddress"),
    (b"\x55\x04\x1B", "destinationIndicator", "destinationIndicator"),
    (b"\x55\x04\x1C", "preferredDeliveryMethod", "preferredDeliveryMethod"),
    (b"\x55\x04\x1D", "presentationAddress", "presentationAddress"),
    (b"\x55\x04\x1E", "supportedApplicationContext", "supportedApplicationContext"),
    (b"\x55\x04\x1F", "member", "member"),
    (b"\x55\x04\x20", "owner", "owner"),
    (b"\x55\x04\x21", "roleOccupant", "roleOccupant"),
    (b"\x55\x04\x22", "seeAlso", "seeAlso"),
    (b"\x55\x04\x23", "userPassword", "userPassword"),
    (b"\x55\x04\x24", "userCertificate", "userCertificate"),
    (b"\x55\x04\x25", "cACertificate", "cACertificate"),
    (b"\x55\x04\x26", "authorityRevocationList", "authorityRevocationList"),
    (b"\x55\x04\x27", "certificateRevocationList", "certificateRevocationList"),
    (b"\x55\x04\x28", "crossCertificatePair", "crossCertificatePair"),
    (b"\x55\x04\x29", "name", "name"),
    (b"\x55\x04\x2A", "GN", "givenName"),
    (b"\x55\x04\x2B", "initials", "initials"),
    (b"\x55\x04\x2C", "generationQualifier", "generationQualifier"),
    (b"\x55\x04\x2D", "x500UniqueIdentifier", "x500UniqueIdentifier"),
    (b"\x55\x04\x2E", "dnQualifier", "dnQualifier"),
    (b"\x55\x04\x2F", "enhancedSearchGuide", "enhancedSearchGuide"),
    (b"\x55\x04\x30", "protocolInformation", "protocolInformation"),
    (b"\x55\x04\x31", "distinguishedName", "distinguishedName"),
    (b"\x55\x04\x32", "uniqueMember", "uniqueMember"),
    (b"\x55\x04\x33", "houseIdentifier", "houseIdentifier"),
    (b"\x55\x04\x34", "supportedAlgorithms", "supportedAlgorithms"),
    (b"\x55\x04\x35", "deltaRevocationList", "deltaRevocationList"),
    (b"\x55\x04\x36", "dmdName", "dmdName"),
    (b"\x55\x04\x41", "pseudonym", "pseudonym"),
    (b"\x55\x04\x48", "role", "role"),
    (b"\x55\x04\x61", "organizationIdentifier", "organizationIdentifier"),
    (b"\x55\x04\x62", "c3", "countryCode3c"),
    (b"\x55\x04\x63", "n3", "countryCode3n"),
    (b"\x55\x04\x64", "dnsName", "dnsName"),
];

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn only_uid_means_two_attributes_and_only_without_its_case() {
        let mut exact = HashMap::new();
        let mut folded: HashMap<String, HashSet<&[u8]>> = HashMap::new();
        for (oid, short, long) in ATTRIBUTES {
            for name in [short, long] {
                assert_eq!(*exact.entry(*name).or_insert(oid), oid, "{name}");
                folded.entry(name.to_ascii_lowercase()).or_default().insert(oid);
            }
        }
        let twice = folded.iter().filter(|(_, oids)| oids.len() > 1).map(|(name, _)| name);
        assert_eq!(twice.collect::<Vec<_>>(), ["uid"]);
    }

    #[test]
    fn every_object_identifier_of_the_table_is_one_and_is_there_once() {
        let mut seen = HashSet::new();
        for (octets, short, _) in ATTRIBUTES {
            let oid = Oid::from_der(octets).unwrap();
            assert_eq!(oid.short_name(), Some(*short));
            assert_eq!(Oid::from_dotted(&oid.to_string()), Some(oid));
            assert!(seen.insert(octets), "{short}");
        }
    }

    #[test]
    fn words_are_looked_up_in_any_case() {
        let oid = |dotted| Oid::from_dotted(dotted).unwrap();
        for (word, expected) in [
            ("CN", Lookup::Exact(oid("2.5.4.3"))),
            ("cn", Lookup::Folded(oid("2.5.4.3"))),
            ("commonname", Lookup::Folded(oid("2.5.4.3"))),
            ("STREET", Lookup::Folded(oid("2.5.4.9"))),
            ("EMAILADDRESS", Lookup::Folded(oid("1.2.840.113549.1.9.1"))),
            ("UID", Lookup::Exact(oid("0.9.2342.19200300.100.1.1"))),
            ("uid", Lookup::Exact(oid("0.9.2342.19200300.100.1.44"))),
            ("Uid", Lookup::Ambiguous),
            ("2.5.4.3", Lookup::Exact(oid("2.5.4.3"))),
            ("OID.2.5.4.3", Lookup::Exact(oid("2.5.4.3"))),
            ("Title", Lookup::Folded(oid("2.5.4.12"))),
            ("X", Lookup::Unknown),
            ("", Lookup::Unknown),
            ("2.5.4.", Lookup::Unknown),
            ("C\u{212A}", Lookup::Unknown),
        ] {
            assert_eq!(lookup(word), expected, "{word}");
        }
    }

    #[test]
    fn dotted_numbers_are_read_strictly() {
        for text in
            ["2.5.4.3", "0.0", "1.39", "2.999.1", "2.5.4.340282366920938463463374607431768211455"]
        {
            assert_eq!(Oid::from_dotted(text).unwrap().to_string(), text);
        }
        for text in [
            "2",
            "2.",
            ".5",
            "2..5",
            "3.1",
            "0.40",
            "1.40",
            "2.05",
            "2.5.4.3 ",
            "2.-5",
            "2.5.x",
            "2.5.4.340282366920938463463374607431768211456",
        ] {
            assert_eq!(Oid::from_dotted(text), None, "{text}");
        }
        assert_eq!(Oid::from_der(&[0x55, 0x84]), None);
        assert_eq!(Oid::from_der(&[0xff; 40]), None);
        assert_eq!(Oid::from_der(&[&[0xff; 39][..], &[0x7f]].concat()), None);
    }
}
