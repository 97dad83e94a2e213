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
    Postgres(Box<PgConnectOptions>),
    Sqlite(PathBuf),
}

/// The same place, for this room alone.
pub(super) enum Place<'a> {
    Postgres(&'a PgConnectOptions),
    Sqlite(&'a Path),
}

impl DatabaseUrl {
    /// Reads `sqlite://path` (relative or absolute, taken as it stands) or `postgres://..`, with
    /// a unix socket as `postgres:///name?host=/run/postgresql`.
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
        // The parser's message does not hold the text; an unusual one could, so it stays unsaid.
        let options = PgConnectOptions::from_str(&with_host(text))
            .map_err(|_| malformed("it is not a PostgreSQL URL: postgres://user@host:port/name"))?;
        let options = options.application_name("certgate");
        Ok(Self(Kind::Postgres(Box::new(options))))
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
            Kind::Postgres(options) => Place::Postgres(options),
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
            Kind::Postgres(options) => {
                let (user, name) = (options.get_username(), database_name(options));
                match options.get_socket() {
                    Some(socket) => {
                        write!(f, "postgres://{user}@/{name}?host={}", socket.display())
                    }
                    None => write!(
                        f,
                        "postgres://{user}@{}:{}/{name}",
                        options.get_host(),
                        options.get_port()
                    ),
                }
            }
        }
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

/// libpq takes `user@/name?host=/run/postgresql`; sqlx's parser wants a host between the two. The
/// parameter wins over it.
fn with_host(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(start);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    match authority.ends_with('@') {
        true => format!("{scheme}{authority}localhost{rest}"),
        false => text.to_owned(),
    }
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
             sslrootcert, sslcert, sslkey, application_name and options are known; \
             a `?` inside a password is written %3F"),
    }
}

const KNOWN_PARAMETERS: [&str; 12] = [
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
        ];
        for (text, shown) in rows {
            assert_eq!(DatabaseUrl::parse(text).unwrap().to_string(), shown);
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
        ] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
