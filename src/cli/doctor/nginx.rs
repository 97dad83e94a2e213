//! nginx: where its configuration comes from, and what certgate's own says of it.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::cli::demo::programs;
use crate::cli::facts::read_bytes;
use crate::config::{Config, Listen, Source, TrustMode};
use crate::doctor::Finding;
use crate::doctor::nginx::{Expected, judge, judge_version};

/// Largest output of `nginx -T` that is read.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// What certgate's own headers are called in the shipped files, whatever another proxy is told.
const ANSWER: [&str; 4] = ["X-Remote-User", "X-Remote-Groups", "X-Remote-Name", "X-Remote-Email"];
/// Where Debian and its like tell of their patches.
const CHANGELOGS: [&str; 3] = [
    "/usr/share/doc/nginx/changelog.Debian.gz",
    "/usr/share/doc/nginx-common/changelog.Debian.gz",
    "/usr/share/doc/nginx-core/changelog.Debian.gz",
];

/// Judges what is named, or what nginx itself prints.
pub(super) fn check(file: Option<&Path>, config: &Config) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let text = match file {
        Some(file) => {
            let bytes = read_bytes(file, MAX_BYTES, "the output of `nginx -T`")?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        None => {
            let Some(program) = programs::find("nginx") else {
                let what = "nginx is not on this machine; give --nginx what `nginx -T` prints";
                return Ok(vec![Finding::ok("nginx", what)]);
            };
            findings.extend(version(&program)?);
            match dump(&program)? {
                Ok(text) => text,
                Err(error) => {
                    let what =
                        format!("`nginx -T` says: {error}; run this as root, or give --nginx");
                    findings.push(Finding::warning("nginx", what));
                    return Ok(findings);
                }
            }
        }
    };
    if let Some((first, _)) = text.split_once("# configuration file ")
        && first.contains("nginx/")
    {
        findings.extend(judge_version(first, false));
    }
    match judge(&text, &expected(config)) {
        Ok(found) if found.is_empty() => {
            findings.push(Finding::ok("nginx", "its configuration asks certgate as it should"));
        }
        Ok(found) => findings.extend(found),
        Err(error) => {
            let what = format!("this is no configuration of nginx: {error}");
            findings.push(Finding::failure("nginx", what));
        }
    }
    Ok(findings)
}

fn version(program: &Path) -> anyhow::Result<Option<Finding>> {
    let output = Command::new(program).arg("-v").output().context("cannot run nginx -v")?;
    Ok(judge_version(&String::from_utf8_lossy(&output.stderr), is_patched()))
}

/// Whether the distribution says that it has mended CVE-2025-23419.
fn is_patched() -> bool {
    let Some(program) = programs::find("zgrep") else { return false };
    CHANGELOGS.iter().filter(|path| Path::new(path).is_file()).any(|path| {
        let mut zgrep = Command::new(&program);
        zgrep.args(["-q", "CVE-2025-23419", path]);
        zgrep.output().is_ok_and(|output| output.status.success())
    })
}

fn dump(program: &Path) -> anyhow::Result<Result<String, String>> {
    let output = Command::new(program).arg("-T").output().context("cannot run nginx -T")?;
    if output.status.success() {
        return Ok(Ok(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = error.lines().rfind(|line| line.contains("[emerg]")).unwrap_or("it cannot start");
    Ok(Err(last.to_owned()))
}

/// What nginx has to tell certgate, as certgate is configured.
fn expected(config: &Config) -> Expected {
    let names = &config.proxy.headers;
    let mut input = vec![(&names.verify, "$ssl_client_verify")];
    match config.identity.source {
        Source::Certificate => input.push((&names.certificate, "$ssl_client_escaped_cert")),
        Source::Headers => input.extend([
            (&names.serial, "$ssl_client_serial"),
            (&names.subject, "$ssl_client_s_dn"),
            (&names.issuer, "$ssl_client_i_dn"),
        ]),
    }
    let input = input
        .into_iter()
        .filter_map(|(name, variable)| Some((name.as_ref()?.as_str().to_owned(), variable)))
        .collect();
    let mut output = ANSWER.map(str::to_owned);
    let named = &config.output.headers;
    for (to, from) in output.iter_mut().zip([&named.user, &named.groups, &named.name, &named.email])
    {
        from.as_str().clone_into(to);
    }
    Expected {
        input,
        auth: match &config.auth.listen {
            Listen::Tcp(address) => address.to_string(),
            Listen::Unix(path) => format!("unix:{}", path.display()),
            Listen::Off => "127.0.0.1:9180".to_owned(),
        },
        output,
        verifies_chains: config.trust.mode != TrustMode::Proxy,
    }
}
