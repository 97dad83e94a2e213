//! What a certificate says that its key may be used for, and the names of that.
//!
//! It only reports; whether a usage is good enough is decided elsewhere.

/// The extended key usage extension, RFC 5280 4.2.1.12.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ExtendedKeyUsage {
    /// There is no such extension: the key is not restricted.
    Absent,
    /// The key is restricted to these purposes.
    Present {
        /// `id-kp-clientAuth` is among them.
        client_auth: bool,
        /// `anyExtendedKeyUsage` is among them.
        any: bool,
        /// All of them, dotted, in the order of the certificate.
        oids: Vec<String>,
    },
}

impl ExtendedKeyUsage {
    /// Whether the extension lets the key authenticate a client: absent, clientAuth or any.
    pub const fn allows_client_auth(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Present { client_auth, any, .. } => *client_auth | *any,
        }
    }

    /// Whether the extension is there and names this very purpose; "any" names none.
    pub fn names(&self, oid: &str) -> bool {
        match self {
            Self::Absent => false,
            Self::Present { oids, .. } => oids.iter().any(|named| named == oid),
        }
    }
}

/// The special purpose that stands for any, 4.2.1.12.
pub const ANY_PURPOSE: &str = "2.5.29.37.0";

/// The special policy that stands for any, 4.2.1.4.
pub const ANY_POLICY: &str = "2.5.29.32.0";

/// Purposes that people know by a name; any other is written as its identifier.
pub const PURPOSES: [(&str, &str); 5] = [
    ("clientAuth", "1.3.6.1.5.5.7.3.2"),
    ("emailProtection", "1.3.6.1.5.5.7.3.4"),
    // RFC 4556 3.2.2: a smart card that signs in to Kerberos.
    ("pkInitClientAuth", "1.3.6.1.5.2.3.4"),
    ("serverAuth", "1.3.6.1.5.5.7.3.1"),
    // Microsoft's, on cards that sign in to Windows.
    ("smartcardLogon", "1.3.6.1.4.1.311.20.2.2"),
];

/// A purpose as people know it: its name, else its identifier.
pub fn purpose_text(oid: &str) -> &str {
    PURPOSES.iter().find(|(_, known)| *known == oid).map_or(oid, |(name, _)| name)
}

/// The bits of the key usage, 4.2.1.3, by number.
pub const KEY_USAGES: [&str; 9] = [
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
];

/// The names of these bits, with bit 0 of the extension as the lowest; unknown ones have none.
pub fn key_usage_names(bits: u16) -> Vec<&'static str> {
    let is_set = |number: &usize| bits >> number & 1 == 1;
    let names = KEY_USAGES.iter().enumerate();
    names.filter(|(number, _)| is_set(number)).map(|(_, name)| *name).collect()
}

/// The bit of that name; `contentCommitment` is the newer name of `nonRepudiation` (X.509).
pub fn key_usage_bit(name: &str) -> Option<u16> {
    let name = if name == "contentCommitment" { "nonRepudiation" } else { name };
    KEY_USAGES.iter().position(|known| *known == name).map(|number| 1 << number)
}

#[cfg(test)]
mod tests {
    use super::{KEY_USAGES, PURPOSES, key_usage_bit, key_usage_names, purpose_text};
    use crate::pki::parse_oid;

    #[test]
    fn every_bit_has_its_name_and_every_name_its_bit() {
        for (number, name) in KEY_USAGES.iter().enumerate() {
            assert_eq!(key_usage_bit(name), Some(1 << number));
            assert_eq!(key_usage_names(1 << number), [*name]);
        }
        assert_eq!(key_usage_bit("contentCommitment"), Some(0b10));
        assert_eq!(key_usage_bit("digitalsignature"), None);
        assert_eq!(key_usage_names(0b11), ["digitalSignature", "nonRepudiation"]);
        assert_eq!(key_usage_names(1 << 15), Vec::<&str>::new());
    }

    #[test]
    fn a_purpose_with_a_name_is_shown_by_it() {
        for (name, oid) in PURPOSES {
            assert_eq!(parse_oid(oid).as_deref(), Some(oid), "{name}");
            assert_eq!(purpose_text(oid), name);
        }
        assert_eq!(purpose_text("1.2.3"), "1.2.3");
    }
}
