//! `database.url`: which database, without ever showing its password.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use super::error::StoreError;

/// Where the database is.
///
/// `Display` and `Debug` are for people and logs: no password, and nothing else that came after a
/// `?`.
#[derive(Clone)]
pub struct DatabaseUrl(Kind);

#[derive(Clone)]
enum Kind {
    Postgres(Servers),
    Sqlite(PathBuf),
}

/// The hosts of a cluster, in the order in which they are tried; at least one.
#[derive(Clone)]
pub(super) struct Servers {
    pub(super) hosts: Vec<PgConnectOptions>,
    pub(super) target: Target,
}

/// Which of several hosts to speak to: libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Target {
    /// Whichever answers first.
    Any,
    /// A primary, else a standby: what several hosts mean unless they say otherwise. A primary
    /// notifies, and can be written to.
    PreferPrimary,
    /// A standby, else a primary.
    PreferStandby,
    /// A primary or none.
    Primary,
    /// A standby or none.
    Standby,
}

impl Target {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "any" => Self::Any,
            "prefer-primary" => Self::PreferPrimary,
            "prefer-standby" => Self::PreferStandby,
            "primary" | "read-write" => Self::Primary,
            "standby" | "read-only" => Self::Standby,
            _ => return None,
        })
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "target_session_attrs=any",
            Self::PreferPrimary => "target_session_attrs=prefer-primary",
            Self::PreferStandby => "target_session_attrs=prefer-standby",
            Self::Primary => "target_session_attrs=primary",
            Self::Standby => "target_session_attrs=standby",
        }
    }
}

/// The same place, for this room alone.
pub(super) enum Place<'a> {
    Postgres(&'a Servers),
    Sqlite(&'a Path),
}

impl DatabaseUrl {
    /// Reads `sqlite://path` (relative or absolute, taken as it stands) or `postgres://..`, with
    /// a unix socket as `postgres:///name?host=/run/postgresql`. Several hosts are written as for
    /// libpq: `postgres://user@a:5432,b:5433/name`, or as lists after `host=` and `port=`.
    ///
    /// The error never repeats the URL: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let malformed = |reason: &str| StoreError::MalformedUrl { reason: reason.to_owned() };
        if let Some(path) = text.strip_prefix("sqlite:") {
            return sqlite_path(path.strip_prefix("//").unwrap_or(path))
                .map(|path| Self(Kind::Sqlite(path)))
                .map_err(malformed);
        }
        if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
            return Err(malformed("it starts with neither sqlite:// nor postgres://"));
        }
        check_parameters(text).map_err(malformed)?;
        servers(text).map(|servers| Self(Kind::Postgres(servers))).map_err(malformed)
    }

    /// The file, where the database is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Postgres(_) => None,
            Kind::Sqlite(path) => Some(path),
        }
    }

    pub(super) fn place(&self) -> Place<'_> {
        match &self.0 {
            Kind::Postgres(servers) => Place::Postgres(servers),
            Kind::Sqlite(path) => Place::Sqlite(path),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Kind::Postgres(servers) => {
                let Some(first) = servers.hosts.first() else { return Ok(()) };
                let (user, name) = (first.get_username(), database_name(first));
                if let (Some(socket), [_]) = (first.get_socket(), servers.hosts.as_slice()) {
                    return write!(f, "postgres://{user}@/{name}?host={}", socket.display());
                }
                let shown: Vec<String> = servers.hosts.iter().map(shown_host).collect();
                write!(f, "postgres://{user}@{}/{name}", shown.join(","))
            }
        }
    }
}

fn shown_host(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => format!("{}:{}", socket.display(), options.get_port()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// The database that a connection without a name goes to is the one named like the user.
pub(super) fn database_name(options: &PgConnectOptions) -> &str {
    options.get_database().unwrap_or_else(|| options.get_username())
}

fn sqlite_path(path: &str) -> Result<PathBuf, &'static str> {
    if path.contains('?') {
        return Err("a SQLite URL takes no parameters: sqlite://path");
    }
    if path.contains('\0') {
        return Err("a path cannot hold a NUL");
    }
    match path {
        "" => Err("the path is missing: sqlite://certgate.db"),
        ":memory:" | ":memory" => Err("a database in memory is nobody else's: name a file"),
        // SQLite would read `file:` as a URI of its own.
        relative if !relative.starts_with('/') => Ok(Path::new("./").join(relative)),
        absolute => Ok(PathBuf::from(absolute)),
    }
}

/// A URL of several hosts, taken apart: the driver knows one.
struct Parts<'a> {
    scheme: &'a str,
    /// With its `@`, or empty.
    user: &'a str,
    hosts: Vec<&'a str>,
    /// From the `/` on, without parameters.
    path: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let (scheme, rest) = text.split_at(text.find("://").map_or(0, |at| at + 3));
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let pairs = parameters.split('&').filter(|parameter| !parameter.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let hosts = hosts.split(',').collect();
        Self { scheme, user, hosts, path, parameters: pairs.collect() }
    }

    /// The last value of a parameter, as a list.
    fn list(&self, name: &str) -> Option<Vec<String>> {
        let value = self.parameters.iter().rev().find(|(key, _)| *key == name)?.1;
        let value = value.replace("%2C", ",").replace("%2c", ",");
        Some(value.split(',').map(str::to_owned).collect())
    }

    /// The URL of one host, for the driver. libpq takes `user@/name?host=/run/postgresql`; the
    /// driver wants a host before the path, over which the parameter wins.
    fn url(&self, host: &str, lists: &[(&str, String)]) -> String {
        let Self { scheme, user, path, .. } = self;
        let host = if host.is_empty() && !user.is_empty() { "localhost" } else { host };
        let mut url = format!("{scheme}{user}{host}{path}");
        let others = self.parameters.iter().filter(|(key, _)| !LISTS.contains(key));
        let lists = lists.iter().map(|(key, value)| (*key, value.as_str()));
        let mut separator = '?';
        for (key, value) in others.copied().chain(lists) {
            url.push(separator);
            url.push_str(&format!("{key}={value}"));
            separator = '&';
        }
        url
    }
}

/// Reads all hosts. A list of one holds for all of them, as with libpq.
fn servers(text: &str) -> Result<Servers, &'static str> {
    let parts = Parts::of(text);
    let target = match parts.list(TARGET) {
        None => None,
        Some(words) => Some(words.first().and_then(|word| Target::from_word(word)).ok_or(
            "target_session_attrs is one of any, primary, standby, prefer-primary, \
                 prefer-standby, read-write and read-only",
        )?),
    };
    let lists: Vec<(&str, Vec<String>)> = ["host", "hostaddr", "port"]
        .into_iter()
        .filter_map(|name| parts.list(name).map(|list| (name, list)))
        .collect();
    let longest = lists.iter().map(|(_, list)| list.len()).max().unwrap_or(1);
    let count = longest.max(parts.hosts.len());
    if count > MAX_HOSTS {
        return Err("it names more than 16 hosts");
    }
    let mut hosts = Vec::with_capacity(count);
    for number in 0..count {
        let nth = |list: &[String]| match list {
            [only] => Some(only.clone()),
            list => list.get(number).cloned(),
        };
        let own: Option<Vec<(&str, String)>> =
            lists.iter().map(|(name, list)| Some((*name, nth(list)?))).collect();
        let host = match parts.hosts.as_slice() {
            [only] => Some(*only),
            several => several.get(number).copied(),
        };
        let (Some(own), Some(host)) = (own, host) else {
            return Err("its lists of hosts and ports differ in length");
        };
        // The parser's message does not hold the text; an unusual one could, so it stays unsaid.
        let options = PgConnectOptions::from_str(&parts.url(host, &own))
            .map_err(|_| "it is not a PostgreSQL URL: postgres://user@host:port/name")?;
        // A pooler refuses the float setting at start-up, and nothing here reads a float as text.
        hosts.push(options.application_name("certgate").extra_float_digits(None));
    }
    let usual = if count > 1 { Target::PreferPrimary } else { Target::Any };
    Ok(Servers { hosts, target: target.unwrap_or(usual) })
}

/// sqlx logs a parameter that it does not know, value and all; so it never gets one.
fn check_parameters(text: &str) -> Result<(), &'static str> {
    let Some((_, parameters)) = text.split_once('?') else {
        return Ok(());
    };
    let known = |parameter: &str| {
        let key = parameter.split_once('=').map_or(parameter, |(key, _)| key);
        KNOWN_PARAMETERS.contains(&key)
    };
    match parameters.split('&').all(known) {
        true => Ok(()),
        false => Err("after the `?`, only host, hostaddr, port, dbname, user, password, sslmode, \
             sslrootcert, sslcert, sslkey, application_name, options and target_session_attrs are \
             known; \
             a `?` inside a password is written %3F"),
    }
}

/// Most hosts of one URL: each that does not answer takes its time from the others.
const MAX_HOSTS: usize = 16;
/// Which host of several.
const TARGET: &str = "target_session_attrs";
/// What is said for each host apart, or is ours to read.
const LISTS: [&str; 4] = ["host", "hostaddr", "port", TARGET];

const KNOWN_PARAMETERS: [&str; 13] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "user",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for text in [
            "postgres://alice:s3cret@db.example.com/certgate",
            "postgresql://alice@db.example.com/certgate?password=s3cret",
            "postgres://alice:s3cret@/certgate?host=/run/postgresql",
        ] {
            let url = DatabaseUrl::parse(text).unwrap();
            assert!(!format!("{url} {url:?}").contains("s3cret"), "{url}");
        }
        for text in [
            "postgres://alice:s3cret@db.example.com:99999/certgate",
            "postgres://alice:s3?s3cret@db.example.com/certgate",
            "postgres://alice:x@db.example.com/certgate?pasword=s3cret",
            "mysql://alice:s3cret@db.example.com/certgate",
            "postgres://alice:x@db.example.com/certgate?sslmode=s3cret",
        ] {
            let error = DatabaseUrl::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_shown_url_says_where_the_database_is() {
        let rows = [
            ("sqlite://certgate.db", "sqlite://./certgate.db"),
            ("sqlite:certgate.db", "sqlite://./certgate.db"),
            ("sqlite:///var/lib/certgate.db", "sqlite:///var/lib/certgate.db"),
            ("postgres://bob@[::1]:5433/x", "postgres://bob@[::1]:5433/x"),
            (
                "postgres://bob@/x?host=/run/postgresql&port=5433",
                "postgres://bob@/x?host=/run/postgresql",
            ),
            ("postgres://bob@a:5432,b:5433/x", "postgres://bob@a:5432,b:5433/x"),
            ("postgres://bob@/x?host=a,b&port=5433", "postgres://bob@a:5433,b:5433/x"),
            (
                "postgres://bob:s3@[::1]:5432,[::2]:5433/x?target_session_attrs=any",
                "postgres://bob@[::1]:5432,[::2]:5433/x",
            ),
        ];
        for (text, shown) in rows {
            assert_eq!(DatabaseUrl::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn several_hosts_mean_the_primary_unless_they_say_otherwise() {
        let rows = [
            ("postgres://bob@a/x", Target::Any),
            ("postgres://bob@a,b/x", Target::PreferPrimary),
            ("postgres://bob@a,b/x?target_session_attrs=read-write", Target::Primary),
            ("postgres://bob@a/x?target_session_attrs=prefer-standby", Target::PreferStandby),
        ];
        for (text, target) in rows {
            let url = DatabaseUrl::parse(text).unwrap();
            let Place::Postgres(servers) = url.place() else { panic!("{text}") };
            assert_eq!(servers.target, target, "{text}");
        }
    }

    #[test]
    fn a_url_that_names_no_database_is_refused() {
        for text in [
            "",
            "certgate.db",
            "sqlite:",
            "sqlite://",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://a.db?mode=memory",
            "mysql://localhost/x",
            "postgres://localhost/x?unknown=1",
            "postgres://bob@a,b,c/x?port=5432,5433",
            "postgres://bob@a,b/x?target_session_attrs=mine",
        ] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
