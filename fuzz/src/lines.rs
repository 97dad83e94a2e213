//! Requests as text: one header a line, as the files in `tests/golden` have them.

use certgate::config;
use certgate::pki::SlashForm;
use certgate::proxy::{ChainsBy, Dialect, HeaderNames, Headers, Reader, Source};

/// Header lines, names in lower case.
#[derive(Clone, Debug)]
pub(super) struct Lines<'d>(Vec<(String, &'d [u8])>);

impl Headers for Lines<'_> {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl<'d> Lines<'d> {
    /// Reads `Name: value` lines; what has no colon is a name without a value.
    pub(super) fn read(text: &'d [u8]) -> Self {
        Self(text.split(|byte| *byte == b'\n').map(line).collect())
    }

    pub(super) fn push(&mut self, name: &str, value: &'d [u8]) {
        self.0.push((name.to_owned(), value));
    }

    /// Every value of a header, empty ones too; none where the dialect has no such header.
    pub(super) fn values(&self, name: Option<&str>) -> Vec<&'d [u8]> {
        let is = |line: &&(String, &'d [u8])| Some(line.0.as_str()) == name;
        self.0.iter().filter(is).map(|line| line.1).collect()
    }
}

fn line(line: &[u8]) -> (String, &[u8]) {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let (name, rest) = line.split_at(colon);
    let name = String::from_utf8_lossy(name).to_lowercase();
    (name, rest.strip_prefix(b":").unwrap_or(rest).trim_ascii())
}

/// The reader of a configured dialect under its usual header names.
pub(super) fn reader(name: config::Dialect, chains: ChainsBy, slash_form: SlashForm) -> Reader {
    use config::Dialect as Name;
    let dialect = match name {
        Name::Apache => Dialect::Apache,
        Name::Caddy => Dialect::Caddy,
        Name::Haproxy => Dialect::Haproxy,
        Name::Nginx | Name::DjangoX509 | Name::DjangoTlsCertificateAuth | Name::DjangoSslAuth => {
            Dialect::Nginx
        }
        Name::Rfc9440 => Dialect::Rfc9440,
        Name::Traefik => Dialect::Traefik,
    };
    let names = name.headers();
    let text = |name: Option<config::HeaderName>| name.map(|name| name.as_str().to_owned());
    Reader {
        dialect,
        names: HeaderNames {
            verify: text(names.verify),
            used: text(names.used),
            certificate: text(names.certificate),
            chain: text(names.chain),
            serial: text(names.serial),
            subject: text(names.subject),
            issuer: text(names.issuer),
        },
        source: match name.implied_source() {
            Some(config::Source::Headers) => Source::Headers,
            Some(config::Source::Certificate) | None => Source::Certificate,
        },
        slash_form,
        chains,
    }
}

/// Whether the proxy said in so many words that the certificate verified; read from the lines
/// themselves, by other code than the reader's.
pub(super) fn says_success(reader: &Reader, lines: &Lines<'_>) -> bool {
    let verify = lines.values(reader.names.verify.as_deref());
    match reader.dialect {
        Dialect::Apache | Dialect::Nginx | Dialect::Rfc9440 => verify == [b"SUCCESS"],
        Dialect::Haproxy => {
            verify == [b"0"] && lines.values(reader.names.used.as_deref()) == [b"1"]
        }
        Dialect::Caddy | Dialect::Traefik => false,
    }
}
