//! The one table of configuration keys.
//!
//! Unknown keys, the example file, `config show` and the README's table are all made from it, so
//! that they cannot disagree. It holds no parsing: what a value means is in `parse`.

/// How a value is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A TOML array of text; in a variable also comma-separated.
    List,
    /// One text, commas included, or a TOML array of text: for names that hold commas themselves.
    Names,
    /// One text.
    Text,
}

/// What holds when a key is not set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fallback {
    /// This TOML value.
    Value(&'static str),
    /// Something that depends on other settings, said in words; the sample shows how to write one.
    Words {
        /// What holds, for a reader.
        words: &'static str,
        /// A TOML value for the example file.
        sample: &'static str,
    },
}

/// One configuration key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key {
    /// The dotted name, as in `certgate.toml`.
    pub name: &'static str,
    /// How its value is written.
    pub shape: Shape,
    /// What holds when it is not set.
    pub fallback: Fallback,
    /// What it is for, in one line.
    pub meaning: &'static str,
}

impl Key {
    /// The section that the key stands in: everything before the last dot.
    pub fn section(&self) -> &'static str {
        self.name.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The name inside its section.
    pub fn leaf(&self) -> &'static str {
        self.name.rsplit_once('.').map_or(self.name, |(_, leaf)| leaf)
    }

    /// The environment variable that sets the key.
    pub fn variable(&self) -> String {
        let path = self.name.to_uppercase().replace('.', "__");
        format!("{VARIABLE_PREFIX}{path}")
    }
}

/// What every variable of ours begins with; only names that also hold `__` are settings.
pub const VARIABLE_PREFIX: &str = "CERTGATE_";

/// The key of that name, if there is one.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether `name` is a section: the beginning of a key, up to a dot.
pub fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

const fn key(
    name: &'static str,
    shape: Shape,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key { name, shape, fallback: Fallback::Value(default), meaning }
}

const fn open(
    name: &'static str,
    shape: Shape,
    words: &'static str,
    sample: &'static str,
    meaning: &'static str,
) -> Key {
    Key { name, shape, fallback: Fallback::Words { words, sample }, meaning }
}

/// Every key, in the order in which the example file shows them.
pub static KEYS: &[Key] = &[
    key(
        "database.url",
        Shape::Text,
        "\"sqlite://certgate.db\"",
        "Where users and mappings are kept: sqlite://PATH or postgres://USER@HOST/NAME",
    ),
    open(
        "database.url_file",
        Shape::Text,
        "none",
        "\"/run/secrets/database_url\"",
        "A file that holds the URL instead, for one with a password",
    ),
    key(
        "auth.listen",
        Shape::Text,
        "\"127.0.0.1:9180\"",
        "Where nginx asks: ADDRESS:PORT, unix:/PATH or off",
    ),
    key("auth.socket_mode", Shape::Text, "\"0660\"", "The mode of the auth listener's unix socket"),
    open(
        "auth.socket_group",
        Shape::Text,
        "the process's group",
        "\"www-data\"",
        "The group that owns the auth listener's unix socket",
    ),
    key(
        "ops.listen",
        Shape::Text,
        "\"127.0.0.1:9181\"",
        "Where /healthz, /readyz and /metrics are: ADDRESS:PORT, unix:/PATH or off",
    ),
    key("ops.socket_mode", Shape::Text, "\"0660\"", "The mode of the ops listener's unix socket"),
    open(
        "ops.socket_group",
        Shape::Text,
        "the process's group",
        "\"monitoring\"",
        "The group that owns the ops listener's unix socket",
    ),
    key(
        "admin.listen",
        Shape::Text,
        "\"off\"",
        "Where the API is: unix:/PATH, off, or ADDRESS:PORT with proxy.secret_file",
    ),
    key(
        "admin.socket_mode",
        Shape::Text,
        "\"0660\"",
        "The mode of the admin listener's unix socket",
    ),
    open(
        "admin.socket_group",
        Shape::Text,
        "the process's group",
        "\"www-data\"",
        "The group that owns the admin listener's unix socket",
    ),
    key("admin.group", Shape::Text, "\"certgate-admin\"", "The group of users who may use the API"),
    open(
        "admin.origin",
        Shape::Text,
        "none",
        "\"https://certgate.example.com\"",
        "The only web origin whose pages may change anything through the API",
    ),
    key(
        "proxy.dialect",
        Shape::Text,
        "\"nginx\"",
        "How the proxy says whose certificate it is: nginx, rfc9440, haproxy, apache, traefik, caddy, \
         django-x509, django-tls-certificate-auth or django-ssl-auth; traefik and caddy do not say \
         whether they verified it: they need trust.mode = \"own\" and proxy.trusted or \
         proxy.secret_file",
    ),
    key(
        "proxy.legacy_dn",
        Shape::Boolean,
        "false",
        "Accept the slash form of a DN header where it is unambiguous; needs OpenSSL 3.0 or newer at \
         the proxy, and CAs that never put a BMPString into a name: its bytes look like other letters",
    ),
    key(
        "proxy.trusted",
        Shape::List,
        "[]",
        "Networks of TCP peers that may ask, as CIDR; empty: the address is not checked",
    ),
    open(
        "proxy.secret_file",
        Shape::Text,
        "none",
        "\"/run/credentials/certgate.service/secret\"",
        "A file with the secret that the proxy sends as X-Certgate-Secret, at least 16 bytes",
    ),
    open(
        "proxy.headers.verify",
        Shape::Text,
        "from the dialect",
        "\"X-SSL-Client-Verify\"",
        "The header with the result of the verification",
    ),
    open(
        "proxy.headers.certificate",
        Shape::Text,
        "from the dialect",
        "\"X-SSL-Client-Cert\"",
        "The header with the certificate",
    ),
    open(
        "proxy.headers.serial",
        Shape::Text,
        "from the dialect",
        "\"X-SSL-Client-Serial\"",
        "The header with the serial number",
    ),
    open(
        "proxy.headers.subject",
        Shape::Text,
        "from the dialect",
        "\"X-SSL-Client-S-DN\"",
        "The header with the subject's DN",
    ),
    open(
        "proxy.headers.issuer",
        Shape::Text,
        "from the dialect",
        "\"X-SSL-Client-I-DN\"",
        "The header with the issuer's DN",
    ),
    open(
        "identity.source",
        Shape::Text,
        "certificate; headers with a django-* dialect",
        "\"certificate\"",
        "What identity is derived from: certificate, or headers (no expiry, usage or CRL check)",
    ),
    key(
        "identity.weak",
        Shape::List,
        "[\"issuer_subject\"]",
        "Weak kinds of mapping that may match: issuer_subject, subject, san_email, san_upn, \
         san_uri, san_dns, common_name, serial",
    ),
    key(
        "identity.issuers",
        Shape::Names,
        "[]",
        "Issuers allowed, each as DN or as the CA's PEM file; empty: whatever the proxy trusts",
    ),
    key(
        "output.profile",
        Shape::Text,
        "\"x-remote\"",
        "Names of the answer's headers: x-remote, remote or x-auth-request",
    ),
    key(
        "output.group_separator",
        Shape::Text,
        "\",\"",
        "What stands between two groups: one of , ; |",
    ),
    open(
        "output.headers.user",
        Shape::Text,
        "from the profile",
        "\"X-Remote-User\"",
        "The answer's header with the user",
    ),
    open(
        "output.headers.groups",
        Shape::Text,
        "from the profile",
        "\"X-Remote-Groups\"",
        "The answer's header with the groups",
    ),
    open(
        "output.headers.name",
        Shape::Text,
        "from the profile",
        "\"X-Remote-Name\"",
        "The answer's header with the display name",
    ),
    open(
        "output.headers.email",
        Shape::Text,
        "from the profile",
        "\"X-Remote-Email\"",
        "The answer's header with the e-mail address",
    ),
    key(
        "directory.max_staleness",
        Shape::Text,
        "\"24h\"",
        "How long answers go on from memory while the database is away; or unlimited",
    ),
    open(
        "directory.snapshot_file",
        Shape::Text,
        "none",
        "\"/var/lib/certgate/snapshot\"",
        "A copy of the directory, for a start without the database; its age counts as staleness",
    ),
    key(
        "directory.wait_for_database",
        Shape::Boolean,
        "false",
        "Start although the database cannot be reached, and answer 503 until it can",
    ),
    key(
        "revocation.crl",
        Shape::List,
        "[]",
        "CRL files or folders, re-read by themselves; empty means not checked",
    ),
    key(
        "revocation.unknown",
        Shape::Text,
        "\"deny\"",
        "What happens when no CRL is held for an issuer: deny or allow",
    ),
    key(
        "revocation.expired",
        Shape::Text,
        "\"deny\"",
        "What happens when a CRL is past its next update plus grace: deny or allow",
    ),
    key(
        "revocation.grace",
        Shape::Text,
        "\"24h\"",
        "How long a CRL still counts after its next update",
    ),
    key(
        "trust.mode",
        Shape::Text,
        "\"proxy\"",
        "Who verifies the chain: proxy, both, or own (needs proxy.trusted or proxy.secret_file)",
    ),
    key(
        "trust.anchors",
        Shape::List,
        "[]",
        "PEM files of the CAs that chains may end in; they also vouch for CRLs",
    ),
    key(
        "trust.intermediates",
        Shape::List,
        "[]",
        "PEM files of CAs between anchor and certificate; they also vouch for CRLs",
    ),
    key(
        "usage.require_extended_key_usage",
        Shape::List,
        "[]",
        "Purposes that a certificate must name, every one: OIDs, clientAuth, smartcardLogon, \
         pkInitClientAuth, emailProtection or serverAuth; \"any\" does not count",
    ),
    key(
        "usage.require_key_usage",
        Shape::List,
        "[]",
        "Key usages that a certificate must have, every one, as digitalSignature or \
         nonRepudiation: tells apart the certificates of a card",
    ),
    key(
        "usage.require_policies",
        Shape::List,
        "[]",
        "Policies (OIDs), one of which a certificate must name itself; any CA that the proxy trusts \
         can write one, so set identity.issuers too",
    ),
    open(
        "log.format",
        Shape::Text,
        "json, unless standard error is a terminal",
        "\"json\"",
        "How a log line is written: json or text",
    ),
    key(
        "log.filter",
        Shape::Text,
        "\"info\"",
        "Which events are logged: a level, or target=level pairs with commas between them",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_twice_and_sections_are_contiguous() {
        let mut seen: Vec<&str> = Vec::new();
        for key in KEYS {
            assert!(
                KEYS.iter().filter(|other| other.name == key.name).count() == 1,
                "{}",
                key.name
            );
            if seen.last() != Some(&key.section()) {
                assert!(!seen.contains(&key.section()), "{} is apart", key.name);
                seen.push(key.section());
            }
        }
    }

    #[test]
    fn a_variable_is_the_key_in_capitals() {
        let key = find("proxy.headers.verify").expect("key");
        assert_eq!(key.variable(), "CERTGATE_PROXY__HEADERS__VERIFY");
        assert_eq!(find("auth.socket_mode").expect("key").variable(), "CERTGATE_AUTH__SOCKET_MODE");
    }
}
