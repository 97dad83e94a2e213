//! What an operator says, read once and complete: a file, the environment and the defaults become a
//! [`Config`], or every problem at once.
//!
//! A `Config` that exists has been checked; nothing below this room looks at text of a setting
//! again. This room opens no socket and no database; it reads the configuration file and the files
//! that hold secrets. The environment and the file's places are arguments.

mod checks;
mod dialect;
mod example;
mod exposure;
mod file;
mod issuers;
pub mod keys;
mod parse;
mod problem;
mod reader;
mod secret;
mod source;
mod usage;
mod values;
mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::decide::{AllowedIssuer, RequiredUsage};

pub use self::checks::HEADER_MODE_UNCHECKED;
pub use self::dialect::{Dialect, InputHeaders, OutputHeaders, Profile};
pub use self::example::{example, markdown_table};
pub use self::exposure::{Callers, Exposure, Reach, Role, check as check_exposure};
pub use self::file::{CONFIG_VARIABLE, Places};
pub use self::problem::{ConfigErrors, Fault, Origin, Problem, Warning};
pub use self::reader::Effective;
pub use self::secret::{DatabaseUrl, SECRET_BYTES_MIN, Secret};
pub use self::source::{Environment, environment};
pub use self::values::{HeaderName, Listen, MaxStaleness, SOCKET_PATH_BYTES_MAX, SocketMode};
pub use self::words::{GroupSeparator, LogFormat, Policy, Source, TrustMode, WeakKind};

/// Everything that can be configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// `[database]`
    pub database: Database,
    /// `[auth]`: where nginx asks.
    pub auth: Listener,
    /// `[ops]`: health and metrics.
    pub ops: Listener,
    /// `[admin]`: the API.
    pub admin: Admin,
    /// `[proxy]`
    pub proxy: Proxy,
    /// `[identity]`
    pub identity: Identity,
    /// `[output]`
    pub output: Output,
    /// `[directory]`
    pub directory: Directory,
    /// `[revocation]`
    pub revocation: Revocation,
    /// `[trust]`
    pub trust: Trust,
    /// `[usage]`: what a certificate must be made for.
    pub usage: RequiredUsage,
    /// `[log]`
    pub log: Log,
}

/// Where users and mappings are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Database {
    /// The URL, from `url` or from the file that `url_file` names.
    pub url: DatabaseUrl,
}

/// One listener.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// Where it listens.
    pub listen: Listen,
    /// The mode of its unix socket; of no effect on TCP.
    pub socket_mode: SocketMode,
    /// The group of its unix socket; `None` is the process's own.
    pub socket_group: Option<String>,
}

/// The API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admin {
    /// Its listener; off by default.
    pub listener: Listener,
    /// The group of users who may use it.
    pub group: String,
    /// The only web origin whose pages may change anything; `None` is no page at all.
    pub origin: Option<String>,
}

/// What the proxy says and who may say it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proxy {
    /// How the proxy speaks.
    pub dialect: Dialect,
    /// Names of the headers, replacements made. In header mode there is no certificate header.
    pub headers: InputHeaders,
    /// Whether the slash form of a DN header is accepted.
    pub legacy_dn: bool,
    /// Networks of TCP peers that may ask; empty: the address is not looked at. Peers must be
    /// compared in canonical form (`IpAddr::to_canonical`).
    pub trusted: Vec<IpNet>,
    /// The secret that must come with every request; `None`: none is asked for.
    pub secret: Option<Secret>,
}

impl Proxy {
    /// What tells the proxy from anybody else who can connect.
    pub fn callers(&self) -> Callers {
        Callers { trusted: !self.trusted.is_empty(), secret: self.secret.is_some() }
    }
}

/// How an identity is derived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// From the certificate or from headers.
    pub source: Source,
    /// Weak kinds that may match, in the order of strength, none twice.
    pub weak: Vec<WeakKind>,
    /// Issuers allowed; empty: whatever the proxy trusts.
    pub issuers: Vec<AllowedIssuer>,
}

/// The answer's headers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Output {
    /// The set of names.
    pub profile: Profile,
    /// The names, replacements made.
    pub headers: OutputHeaders,
    /// What stands between two groups.
    pub group_separator: GroupSeparator,
}

/// The replica in memory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directory {
    /// How old it may be.
    pub max_staleness: MaxStaleness,
    /// A copy for a start without the database.
    pub snapshot_file: Option<PathBuf>,
    /// Whether to start although the database cannot be reached.
    pub wait_for_database: bool,
}

/// Revocation lists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revocation {
    /// Files or folders; empty: not checked.
    pub crl: Vec<PathBuf>,
    /// What holds when there is no list for an issuer.
    pub unknown: Policy,
    /// What holds when a list is past its next update plus `grace`.
    pub expired: Policy,
    /// How long a list counts after its next update.
    pub grace: Duration,
}

/// Verification of the chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trust {
    /// Who verifies.
    pub mode: TrustMode,
    /// PEM files of the CAs that a chain may end in.
    pub anchors: Vec<PathBuf>,
    /// PEM files of CAs in between.
    pub intermediates: Vec<PathBuf>,
}

/// The log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// How a line is written; `None`: JSON, unless standard error is a terminal.
    pub format: Option<LogFormat>,
    /// Which events are written; has been parsed once.
    pub filter: String,
}

/// A configuration with what is worth saying about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every key with what holds and where from, in the order of the table.
    pub effective: Vec<Effective>,
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    /// What is allowed and should be known.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// Reads the configuration from the standard places; `option` is `--config`.
    pub fn load(option: Option<&Path>, env: &Environment) -> Result<Loaded, ConfigErrors> {
        Self::load_from(option, env, &Places::standard())
    }

    /// Reads the configuration from given places. Any problem refuses the whole of it; all of them
    /// are returned.
    pub fn load_from(
        option: Option<&Path>,
        env: &Environment,
        places: &Places,
    ) -> Result<Loaded, ConfigErrors> {
        let mut problems = Vec::new();
        let (found, warning) = file::find_file(option, env, places);
        let file = found.unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let settings = source::Settings::collect(file.as_ref(), env, &mut problems);
        let mut reader = reader::Reader::new(settings, problems);
        let mut warnings: Vec<Warning> = warning.into_iter().collect();
        warnings.extend(source::nearly_settings(env));
        let config = parse::config(&mut reader, &mut warnings);
        if let Some(config) = &config {
            checks::check(config, &mut reader);
            warnings.extend(checks::warnings(config));
        }
        let (mut problems, effective) = reader.finish();
        if config.is_none() && problems.is_empty() {
            let fault = Fault::new("the defaults do not parse: a defect of this version", "");
            problems.push(Problem { place: None, key: None, fault });
        }
        match config {
            Some(config) if problems.is_empty() => {
                Ok(Loaded { config, effective, file: file.map(|file| file.path), warnings })
            }
            _ => Err(ConfigErrors(problems)),
        }
    }
}
