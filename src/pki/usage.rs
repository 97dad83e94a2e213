//! What a certificate says that its key may be used for.
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
}
