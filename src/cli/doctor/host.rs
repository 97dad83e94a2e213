//! This machine: sockets, secrets, CRLs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::app;
use crate::config::{Listen, Loaded};
use crate::doctor::Finding;
use crate::pki::UnixTime;
use crate::revocation::{Loader, is_current};

/// Files that nobody else should read, by their settings.
const SECRETS: [&str; 3] = ["proxy.secret_file", "database.url_file", "directory.snapshot_file"];
/// A list of which less than a quarter of its life is left should have a successor by now.
const LATE_PART: i64 = 4;

pub(super) fn check(loaded: &Loaded) -> Vec<Finding> {
    let mut findings = Vec::new();
    let config = &loaded.config;
    for (name, listener) in
        [("auth", &config.auth), ("ops", &config.ops), ("admin", &config.admin.listener)]
    {
        if let Listen::Unix(path) = &listener.listen {
            findings.push(socket(name, path));
        }
    }
    for key in SECRETS {
        let set = loaded.effective.iter().find(|one| one.key == key);
        if let Some(path) = set.and_then(|one| one.value.as_str()) {
            findings.extend(secret(key, Path::new(path)));
        }
    }
    if !config.revocation.crl.is_empty() {
        findings.extend(lists(loaded, app::now()));
    }
    findings
}

fn mode(path: &Path) -> Result<u32, String> {
    let found = fs::metadata(path).map_err(|error| error.to_string())?;
    Ok(found.permissions().mode() & 0o777)
}

fn socket(name: &str, path: &Path) -> Finding {
    let shown = path.display();
    match mode(path) {
        Ok(mode) if mode & 0o007 != 0 && name != "ops" => Finding::failure(
            "socket",
            format!(
                "{shown} has mode {mode:04o}: everybody on this machine may ask; set \
                 {name}.socket_mode to 0660 and {name}.socket_group to nginx's group"
            ),
        ),
        Ok(mode) => Finding::ok("socket", format!("{shown}, mode {mode:04o}")),
        Err(error) => Finding::warning(
            "socket",
            format!("{shown} ({name}.listen): {error}; is `certgate serve` running?"),
        ),
    }
}

fn secret(key: &str, path: &Path) -> Option<Finding> {
    let mode = mode(path).ok()?;
    let shown = path.display();
    Some(if mode & 0o007 == 0 {
        Finding::ok("secret", format!("{key}: {shown}, mode {mode:04o}"))
    } else {
        Finding::warning(
            "secret",
            format!("{key}: {shown} has mode {mode:04o}: others may use it; make it 0640 or 0600"),
        )
    })
}

fn lists(loaded: &Loaded, now: UnixTime) -> Vec<Finding> {
    let mut loader = Loader::new(app::gate::sources(&loaded.config));
    loader.look(now);
    let unusable = loader.problems().iter();
    let mut findings: Vec<Finding> = unusable
        .map(|(path, why)| Finding::failure("crl", why.clone()).at(path.display().to_string()))
        .collect();
    let grace = loaded.config.revocation.grace;
    for list in loader.authorities().lists.iter() {
        let until = format!("the CRL of {} is good until {}", list.issuer, list.next_update);
        let life = list.next_update.as_seconds().saturating_sub(list.this_update.as_seconds());
        let left = list.next_update.as_seconds().saturating_sub(now.as_seconds());
        findings.push(if !is_current(list, now, grace) {
            Finding::failure("crl", format!("{until}, and its grace is over"))
        } else if left < 0 {
            Finding::warning("crl", format!("{until}, and lives on its grace"))
        } else if left < life / LATE_PART {
            Finding::warning("crl", format!("{until}, and has no successor yet"))
        } else {
            Finding::ok("crl", until)
        });
    }
    if findings.is_empty() {
        findings.push(Finding::failure("crl", "revocation.crl is set, and there is no CRL in it"));
    }
    findings
}
