//! What is wrong with a configuration, and where.
//!
//! Problems are collected, never returned one by one: an operator sees all of them at once.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Nothing sets it: the default holds.
    Default,
    /// It follows from another key.
    Derived(&'static str),
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Its line, counted from 1, where one is known.
        line: Option<usize>,
    },
    /// The command line.
    Option(&'static str),
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Derived(key) => write!(f, "from {key}"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Option(option) => f.write_str(option),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// Why one value cannot be used, without the place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Fault {
    /// A fault in words.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Where it stands; `None` where it is about several places or none.
    pub place: Option<Origin>,
    /// The key; `None` where it is about a whole file.
    pub key: Option<String>,
    /// What is wrong and what to do.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    /// One line: place, key, what, remedy. Control characters are escaped, so that it stays one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        if let Some(place) = &self.place {
            line.push_str(&format!("{place}: "));
        }
        if let Some(key) = &self.key {
            line.push_str(&format!("{key}: "));
        }
        line.push_str(&self.fault.what);
        if !self.fault.remedy.is_empty() {
            line.push_str("; ");
            line.push_str(&self.fault.remedy);
        }
        crate::telemetry::write_escaped(f, &line)
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Something that is allowed and that an operator should know; logged at start, shown by
/// `config check`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Warning {
    /// Identity comes from headers, so that this is not checked.
    HeaderMode {
        /// What is not checked.
        unchecked: &'static [&'static str],
    },
    /// The slash form of a DN is accepted.
    LegacyDn,
    /// A variable that is nearly the name of a setting, and sets nothing.
    NotASetting {
        /// Its name.
        name: String,
        /// The variable that would set something.
        meant: String,
    },
    /// The working folder holds a file that was not read, as it belongs to somebody else.
    NotOurs {
        /// That file.
        path: PathBuf,
    },
    /// A file with a password in it can be read by every user of the machine.
    ReadableByAll {
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Any issuer that the proxy trusts may make a certificate that matches one of these kinds.
    WeakWithoutIssuer {
        /// The kinds.
        kinds: Vec<&'static str>,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderMode { unchecked } => write!(
                f,
                "identity.source is headers: {} are not checked by certgate",
                unchecked.join(", ")
            ),
            Self::LegacyDn => f.write_str(
                "proxy.legacy_dn is on: OpenSSL before 3.0 does not escape a slash in a name, and no \
                 version marks a BMPString, whose bytes can spell somebody else's name; safe only \
                 with a newer one and with CAs that never issue such names",
            ),
            Self::NotASetting { name, meant } => {
                write!(f, "{name} sets nothing: did you mean {meant}?")
            }
            Self::NotOurs { path } => write!(
                f,
                "{} was not read: it belongs to another user; name it with --config to use it",
                path.display()
            ),
            Self::ReadableByAll { key, path } => {
                write!(f, "{key}: {} can be read by every user of this machine", path.display())
            }
            Self::WeakWithoutIssuer { kinds } => write!(
                f,
                "identity.issuers is empty while identity.weak has {}: any CA that the proxy \
                 trusts can make a certificate for any user mapped that way",
                kinds.join(", ")
            ),
        }
    }
}
