//! Values that must not be seen: the proxy's secret and the database's URL.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::problem::Fault;

/// Bytes of a secret at the least: what cannot be guessed (128 bits).
pub const SECRET_BYTES_MIN: usize = 16;

/// Bytes of a secret or URL file at the most: more than any header or URL of use.
pub(super) const SECRET_FILE_BYTES_MAX: u64 = 4096;

/// Permission bits of everybody who is neither owner nor group.
const MODE_OTHERS: u32 = 0o007;

/// What the proxy sends as `X-Certgate-Secret`. Never shown, `Debug` included.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Reads the secret from a file that others cannot read. Anything doubtful is refused, as a
    /// secret that never matches locks everybody out and one that is known lets everybody in.
    pub fn from_file(path: &Path) -> Result<Self, Fault> {
        let file = read_small_file(path)?;
        if file.readable_by_all {
            return Err(Fault::new(
                format!("{} can be used by every user of this machine", path.display()),
                format!("chmod o= {}", path.display()),
            ));
        }
        let text = file.text.into_bytes();
        if text.len() < SECRET_BYTES_MIN {
            return Err(Fault::new(
                format!(
                    "the secret in {} has {} bytes, at least {SECRET_BYTES_MIN} are needed",
                    path.display(),
                    text.len()
                ),
                "make one with: openssl rand -hex 32",
            ));
        }
        if !text.iter().all(u8::is_ascii_graphic) {
            return Err(Fault::new(
                format!("the secret in {} holds more than visible ASCII", path.display()),
                "a header cannot carry it unchanged; make one with: openssl rand -hex 32",
            ));
        }
        Ok(Self(text))
    }

    /// The bytes, for a comparison in constant time.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Which database a URL names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DatabaseKind {
    /// A PostgreSQL server, or several of one cluster.
    Postgres,
    /// A SQLite file.
    Sqlite,
}

/// The database's URL. `Display` and `Debug` leave out every password.
#[derive(Clone, Eq, PartialEq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Reads a URL of a scheme that the store knows; the rest is the store's. The fault never
    /// repeats the text, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        const FORMS: &str = "write sqlite://PATH or postgres://USER@HOST/NAME";
        if text.chars().any(char::is_control) {
            return Err(Fault::new("the URL holds a control character", FORMS));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Fault::new("the URL has no scheme", FORMS));
        };
        if !["sqlite", "postgres", "postgresql"].contains(&scheme) {
            return Err(Fault::new("the URL's scheme is neither sqlite nor postgres", FORMS));
        }
        if rest.is_empty() {
            return Err(Fault::new("the URL names nothing", FORMS));
        }
        Ok(Self(text.to_owned()))
    }

    /// The whole URL, password included: for connecting, never for showing.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Which database it names.
    pub fn kind(&self) -> DatabaseKind {
        if self.0.starts_with("sqlite:") { DatabaseKind::Sqlite } else { DatabaseKind::Postgres }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.0))
    }
}

/// The URL without what may be a password. Rather too much is left out than too little: a password
/// may hold unescaped `/`, `?` or `@`.
fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "***".to_owned() };
    if scheme == "sqlite" {
        return url.to_owned();
    }
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let user = match user
        .map(|user| user.split_once(':').map_or((user, ""), |(name, _)| (name, ":***")))
    {
        Some((name, password)) => format!("{name}{password}@"),
        None => String::new(),
    };
    let (place, options) = match rest.split_once('?') {
        Some((place, options)) => (place, Some(options)),
        None => (rest, None),
    };
    let options = options.map_or(String::new(), |options| {
        let shown: Vec<String> = options.split('&').map(redacted_option).collect();
        format!("?{}", shown.join("&"))
    });
    format!("{scheme}://{user}{place}{options}")
}

fn redacted_option(option: &str) -> String {
    match option.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}=***"),
        _ => option.to_owned(),
    }
}

/// A small file's text and who may read it.
pub(super) struct SmallFile {
    /// The text without one line end at its end.
    pub(super) text: String,
    /// Whether it is open to users beside owner and group.
    pub(super) readable_by_all: bool,
}

/// Reads a regular file of at most [`SECRET_FILE_BYTES_MAX`] bytes; the mode is that of the very
/// file read. Opened without blocking, so that a pipe is refused instead of waited for.
pub(super) fn read_small_file(path: &Path) -> Result<SmallFile, Fault> {
    let fault = |what: &dyn fmt::Display| Fault::new(format!("{}: {what}", path.display()), "");
    let file = File::options()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(|error| fault(&error))?;
    let facts = file.metadata().map_err(|error| fault(&error))?;
    if !facts.is_file() {
        return Err(fault(&"is not a regular file"));
    }
    let mut text = String::new();
    file.take(SECRET_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| fault(&error))?;
    if text.len() as u64 > SECRET_FILE_BYTES_MAX {
        return Err(fault(&format_args!("is larger than {SECRET_FILE_BYTES_MAX} bytes")));
    }
    let trimmed = text.strip_suffix('\n').unwrap_or(&text);
    let trimmed = trimmed.strip_suffix('\r').unwrap_or(trimmed).len();
    text.truncate(trimmed);
    Ok(SmallFile { text, readable_by_all: facts.mode() & MODE_OTHERS != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let rows = [
            ("postgres://alice@db/certgate", "postgres://alice@db/certgate"),
            ("postgres://alice:hunter2@db/certgate", "postgres://alice:***@db/certgate"),
            (
                "postgres://alice:p@ss/w?rd@h1:1,h2:2/certgate",
                "postgres://alice:***@h1:1,h2:2/certgate",
            ),
            (
                "postgres://db/x?user=alice&password=hunter2",
                "postgres://db/x?user=alice&password=***",
            ),
            ("postgres:///x?sslpassword=hunter2", "postgres:///x?sslpassword=***"),
            ("sqlite:///var/lib/certgate.db", "sqlite:///var/lib/certgate.db"),
        ];
        for (url, shown) in rows {
            let url = DatabaseUrl::parse(url).expect("url");
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_fault_of_a_url_never_repeats_it() {
        for url in ["mysql://alice:hunter2@db/x", "hunter2", "postgres://", "postgres://hunter2\n"]
        {
            let fault = DatabaseUrl::parse(url).expect_err("fault");
            assert!(!format!("{fault:?}").contains("hunter2"));
        }
    }
}
