//! Settings into a [`Config`], section by section.
//!
//! Each section reads all of its keys before it gives up, so that every problem is found. What
//! spans sections is in `checks`.

use std::path::PathBuf;

use serde_json::Value;

use super::dialect::{Dialect, InputHeaders, OutputHeaders, Profile};
use super::issuers;
use super::problem::{Fault, Origin, Warning};
use super::reader::Reader;
use super::secret::{self, DatabaseUrl, Secret};
use super::usage;
use super::values::{self, HeaderName, Listen, MaxStaleness, SocketMode};
use super::words::{GroupSeparator, LogFormat, Policy, Source, TrustMode, WeakKind};
use super::{
    Admin, Config, Database, Directory, Identity, Listener, Log, Output, Proxy, Revocation, Trust,
};

/// Reads every section. `None` only where a default of our own does not parse, which a test
/// excludes.
pub(super) fn config(reader: &mut Reader, warnings: &mut Vec<Warning>) -> Option<Config> {
    let database = database(reader, warnings);
    let auth = listener(reader, ["auth.listen", "auth.socket_mode", "auth.socket_group"]);
    let ops = listener(reader, ["ops.listen", "ops.socket_mode", "ops.socket_group"]);
    let admin = admin(reader);
    let dialect = reader.one("proxy.dialect", Dialect::parse);
    let source = dialect.map(|dialect| source(reader, dialect));
    let proxy = dialect.zip(source).map(|(dialect, source)| proxy(reader, dialect, source));
    let identity = source.map(|source| identity(reader, source));
    let output = output(reader);
    let directory = directory(reader);
    let revocation = revocation(reader);
    let trust = trust(reader);
    let usage = usage::required(reader);
    let log = log(reader);
    Some(Config {
        database: database?,
        auth: auth?,
        ops: ops?,
        admin: admin?,
        proxy: proxy??,
        identity: identity?,
        output: output?,
        directory: directory?,
        revocation: revocation?,
        trust: trust?,
        usage,
        log: log?,
    })
}

fn database(reader: &mut Reader, warnings: &mut Vec<Warning>) -> Option<Database> {
    let url = reader.one("database.url", DatabaseUrl::parse);
    let file = reader.one("database.url_file", values::path);
    let Some(path) = file else {
        if let Some(url) = &url {
            let origin = reader.origin("database.url");
            reader.show("database.url", Value::from(url.to_string()), origin);
        }
        return url.map(|url| Database { url });
    };
    if reader.is_set("database.url") {
        let fault = Fault::new("both database.url and database.url_file are set", "keep one");
        reader.problem("database.url_file", fault);
    }
    match secret::read_small_file(&path) {
        Ok(file) => {
            if file.readable_by_all {
                warnings.push(Warning::ReadableByAll { key: "database.url_file", path });
            }
            match DatabaseUrl::parse(&file.text) {
                Ok(url) => {
                    let shown = Value::from(url.to_string());
                    reader.show("database.url", shown, Origin::Derived("database.url_file"));
                    return Some(Database { url });
                }
                Err(fault) => reader.problem("database.url_file", fault),
            }
        }
        Err(fault) => reader.problem("database.url_file", fault),
    }
    url.map(|url| Database { url })
}

fn listener(reader: &mut Reader, keys: [&'static str; 3]) -> Option<Listener> {
    let [listen, mode, group] = keys;
    let listen = reader.one(listen, Listen::parse);
    let socket_mode = reader.one(mode, SocketMode::parse);
    let socket_group = reader.one(group, values::system_group);
    Some(Listener { listen: listen?, socket_mode: socket_mode?, socket_group })
}

fn admin(reader: &mut Reader) -> Option<Admin> {
    let listener = listener(reader, ["admin.listen", "admin.socket_mode", "admin.socket_group"]);
    let group = reader.one("admin.group", values::group_name);
    let origin = reader.one("admin.origin", values::origin);
    Some(Admin { listener: listener?, group: group?, origin })
}

/// The source of identity: as set, else what the dialect implies, else the certificate.
fn source(reader: &mut Reader, dialect: Dialect) -> Source {
    let set = reader.one("identity.source", Source::parse);
    if let Some(source) = set {
        return source;
    }
    let (source, origin) = match dialect.implied_source() {
        Some(source) => (source, Origin::Derived("proxy.dialect")),
        None => (Source::Certificate, Origin::Default),
    };
    reader.show("identity.source", Value::from(source.as_str()), origin);
    source
}

fn proxy(reader: &mut Reader, dialect: Dialect, source: Source) -> Option<Proxy> {
    let names = dialect.headers();
    let (certificate, chain) = match source {
        Source::Certificate => (names.certificate, names.chain),
        Source::Headers => (None, None),
    };
    let headers = InputHeaders {
        verify: input_header(reader, "proxy.headers.verify", names.verify),
        used: names.used,
        certificate: input_header(reader, "proxy.headers.certificate", certificate),
        chain,
        serial: input_header(reader, "proxy.headers.serial", names.serial),
        subject: input_header(reader, "proxy.headers.subject", names.subject),
        issuer: input_header(reader, "proxy.headers.issuer", names.issuer),
    };
    let legacy_dn = reader.one("proxy.legacy_dn", values::boolean);
    let trusted = reader.many("proxy.trusted", values::network);
    let secret_file = reader.one("proxy.secret_file", values::path);
    let secret = secret_file.and_then(|path| match Secret::from_file(&path) {
        Ok(secret) => Some(secret),
        Err(fault) => {
            reader.problem("proxy.secret_file", fault);
            None
        }
    });
    Some(Proxy { dialect, headers, legacy_dn: legacy_dn?, trusted, secret })
}

fn input_header(
    reader: &mut Reader,
    key: &'static str,
    name: Option<HeaderName>,
) -> Option<HeaderName> {
    let set = reader.one(key, HeaderName::parse);
    if set.is_some() {
        return set;
    }
    let shown = name.as_ref().map_or(Value::Null, |name| Value::from(name.as_str()));
    reader.show(key, shown, Origin::Derived("proxy.dialect"));
    name
}

fn identity(reader: &mut Reader, source: Source) -> Identity {
    let mut weak = reader.many("identity.weak", weak_kind);
    weak.sort_unstable();
    weak.dedup();
    let issuers = reader.many("identity.issuers", issuers::parse);
    Identity { source, weak, issuers }
}

/// Kinds that always match and need no leave.
const STRONG_KINDS: &[&str] = &["sha256", "spki", "issuer_serial"];

fn weak_kind(text: &str) -> Result<WeakKind, Fault> {
    if STRONG_KINDS.contains(&text) {
        return Err(Fault::new(format!("{text} is a strong kind and always on"), "take it out"));
    }
    WeakKind::parse(text)
}

fn output(reader: &mut Reader) -> Option<Output> {
    let profile = reader.one("output.profile", Profile::parse);
    let group_separator = reader.one("output.group_separator", GroupSeparator::parse);
    let names = profile?.headers();
    let headers = OutputHeaders {
        user: output_header(reader, "output.headers.user", names.user),
        groups: output_header(reader, "output.headers.groups", names.groups),
        name: output_header(reader, "output.headers.name", names.name),
        email: output_header(reader, "output.headers.email", names.email),
    };
    Some(Output { profile: profile?, headers, group_separator: group_separator? })
}

fn output_header(reader: &mut Reader, key: &'static str, name: HeaderName) -> HeaderName {
    if let Some(set) = reader.one(key, HeaderName::parse) {
        return set;
    }
    reader.show(key, Value::from(name.as_str()), Origin::Derived("output.profile"));
    name
}

fn directory(reader: &mut Reader) -> Option<Directory> {
    let max_staleness = reader.one("directory.max_staleness", MaxStaleness::parse);
    let snapshot_file = reader.one("directory.snapshot_file", values::path);
    let wait_for_database = reader.one("directory.wait_for_database", values::boolean);
    Some(Directory {
        max_staleness: max_staleness?,
        snapshot_file,
        wait_for_database: wait_for_database?,
    })
}

fn revocation(reader: &mut Reader) -> Option<Revocation> {
    let crl: Vec<PathBuf> = reader.many("revocation.crl", values::path);
    let unknown = reader.one("revocation.unknown", Policy::parse);
    let expired = reader.one("revocation.expired", Policy::parse);
    let grace = reader.one("revocation.grace", values::duration);
    Some(Revocation { crl, unknown: unknown?, expired: expired?, grace: grace? })
}

fn trust(reader: &mut Reader) -> Option<Trust> {
    let mode = reader.one("trust.mode", TrustMode::parse);
    let anchors = reader.many("trust.anchors", values::path);
    let intermediates = reader.many("trust.intermediates", values::path);
    Some(Trust { mode: mode?, anchors, intermediates })
}

fn log(reader: &mut Reader) -> Option<Log> {
    let format = reader.one("log.format", LogFormat::parse);
    let filter = reader.one("log.filter", |text| match crate::telemetry::check_filter(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(Fault::new(
            format!("{text:?} is no filter: {error}"),
            "write a level, or certgate=debug,info",
        )),
    });
    Some(Log { format, filter: filter? })
}
