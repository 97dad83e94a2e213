//! Finds the configuration file and reads it.
//!
//! What stands in it is not looked at here. A file that was named must be there: falling back to
//! another place would start with settings that nobody meant.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::problem::{Fault, Origin, Problem, Warning};
use super::source::Environment;

/// The variable that names the configuration file.
pub const CONFIG_VARIABLE: &str = "CERTGATE_CONFIG";

/// Bytes of a configuration file at the most; a real one has a few thousand.
pub(super) const CONFIG_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where the file is looked for when nothing names one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Places {
    /// The system's file.
    pub system: PathBuf,
    /// The working folder's file, read only if it belongs to `user`.
    pub working: PathBuf,
    /// The caller's user id.
    pub user: u32,
}

impl Places {
    /// `/etc/certgate/certgate.toml` and `certgate.toml` in the working folder.
    pub fn standard() -> Self {
        Self {
            system: PathBuf::from("/etc/certgate/certgate.toml"),
            working: PathBuf::from("certgate.toml"),
            user: nix::unistd::geteuid().as_raw(),
        }
    }
}

/// A configuration file that was read.
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Finds and reads the file. One that was named, and the system's, must be readable if it exists;
/// the working folder's is passed over, with a warning, if it belongs to somebody else.
pub(super) fn find_file(
    option: Option<&Path>,
    env: &Environment,
    places: &Places,
) -> (Result<Option<SourceFile>, Problem>, Option<Warning>) {
    if let Some(path) = option {
        return (read(path, Some(Origin::Option("--config"))).map(Some), None);
    }
    if let Some(path) = env.get(CONFIG_VARIABLE) {
        let origin = Origin::Variable(CONFIG_VARIABLE.to_owned());
        return (read(Path::new(path), Some(origin)).map(Some), None);
    }
    match places.system.try_exists() {
        Ok(false) => {}
        Ok(true) | Err(_) => return (read(&places.system, None).map(Some), None),
    }
    match belongs_to(&places.working, places.user) {
        None => (Ok(None), None),
        Some(true) => (read(&places.working, None).map(Some), None),
        Some(false) => (Ok(None), Some(Warning::NotOurs { path: places.working.clone() })),
    }
}

/// Whether the file, and the link that may stand for it, is this user's; `None` if there is none.
/// In a folder that others may write to, a name of theirs must not choose our settings.
fn belongs_to(path: &Path, user: u32) -> Option<bool> {
    let name = path.symlink_metadata().ok()?;
    if name.uid() != user {
        return Some(false);
    }
    Some(path.metadata().is_ok_and(|file| file.uid() == user))
}

fn read(path: &Path, named_by: Option<Origin>) -> Result<SourceFile, Problem> {
    let problem = |what: String| Problem {
        place: named_by.clone(),
        key: None,
        fault: Fault::new(
            format!("the configuration file {} cannot be read: {what}", path.display()),
            "",
        ),
    };
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(CONFIG_FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| problem(error.to_string()))?;
    if text.len() as u64 > CONFIG_FILE_BYTES_MAX {
        return Err(problem(format!("it is larger than {CONFIG_FILE_BYTES_MAX} bytes")));
    }
    Ok(SourceFile { path: path.to_owned(), text })
}
