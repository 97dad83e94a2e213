//! The installed programs that the demo needs: where they are, and how nginx is called.
//!
//! It must not install anything: `deploy/demo` does that, after asking.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Finds a program on the path, or where servers are installed and an ordinary user's path
/// does not lead.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    let further = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(further)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// nginx with this folder as its prefix and `nginx.conf` in it, in the foreground.
///
/// `-e` keeps an ordinary user's nginx from complaining about the log of the installed one.
#[must_use]
pub fn nginx(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .arg("-e")
        .arg(folder.join("logs/error.log"));
    command
}

/// A certgate with exactly this configuration file: what the caller's environment says about
/// another certgate does not count here.
#[must_use]
pub fn certgate(program: &Path, config: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CERTGATE_") {
            command.env_remove(name);
        }
    }
    command.env("CERTGATE_CONFIG", config);
    command
}
