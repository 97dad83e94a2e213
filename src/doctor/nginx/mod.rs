//! nginx's configuration as nginx reads it: which lines a location really has after inheritance,
//! and what of them lets somebody in, or takes the user away.

mod asking;
mod inherit;
mod lexer;
mod passing;
mod server;
mod tree;

pub use lexer::SyntaxError;

use self::inherit::Scope;
use self::tree::{Directive, Files};
use super::Finding;

/// What of certgate's own configuration matters here.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Headers that carry what is decided on, with the variables whose values they must have.
    pub input: Vec<(String, &'static str)>,
    /// Where certgate listens, as nginx writes it: `127.0.0.1:9180`, `unix:/run/certgate.sock`.
    pub auth: String,
    /// Headers of the answer: user, groups, name, e-mail.
    pub output: [String; 4],
    /// Whether certgate itself verifies chains, so that nginx need not.
    pub verifies_chains: bool,
}

/// Most findings that are told; a configuration with more has one cause.
const MAX_FINDINGS: usize = 200;

/// Judges the output of `nginx -T`, or a single file.
///
/// # Errors
/// It is no configuration of nginx.
pub fn judge(text: &str, expected: &Expected) -> Result<Vec<Finding>, SyntaxError> {
    let files = Files::split(text)?;
    let (directives, unresolved) = files.resolve();
    let mut findings = Vec::new();
    for include in unresolved {
        findings.push(
            Finding::warning(
                "nginx-include",
                format!("{} is not in this output: give that of `nginx -T`", include.0),
            )
            .at(include.1),
        );
    }
    let http: Vec<&Directive> = directives.iter().filter(|one| one.name == "http").collect();
    let blocks: Vec<&Directive> = http.iter().flat_map(|one| one.block()).collect();
    let top = if http.is_empty() { directives.iter().collect() } else { blocks };
    let root = Scope::root(&top);
    let mut asks = false;
    for server in top.iter().filter(|one| one.name == "server") {
        let scope = root.enter(server);
        let judged = server::judge(server, &scope, expected);
        asks |= judged.is_some();
        findings.extend(judged.into_iter().flatten());
    }
    if !asks {
        findings.push(Finding::warning(
            "nginx-auth-request",
            "no server asks certgate: there is no auth_request that leads to it",
        ));
    }
    let mut seen = std::collections::HashSet::new();
    findings.retain(|one| seen.insert((one.check, one.what.clone(), one.place.clone())));
    findings.truncate(MAX_FINDINGS);
    Ok(findings)
}

/// Judges the version that `nginx -v` prints; `is_patched` is what the distribution says of the
/// one trouble that is known.
#[must_use]
pub fn judge_version(text: &str, is_patched: bool) -> Option<Finding> {
    let (_, version) = text.split_once("nginx/")?;
    let number = |text: &str| text.parse::<u32>().ok();
    let end = version.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(version.len());
    let version = version.get(..end)?;
    let mut parts = version.split('.').map(number);
    let of = (parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0));
    // CVE-2025-23419: fixed in 1.26.3 and 1.27.4.
    let is_old = of < (1, 26, 3) || ((1, 27, 0)..(1, 27, 4)).contains(&of);
    Some(match (is_old, is_patched) {
        (false, _) => Finding::ok("nginx-version", format!("nginx {version}")),
        (true, true) => Finding::ok(
            "nginx-version",
            format!("nginx {version}, with the distribution's fix for CVE-2025-23419"),
        ),
        (true, false) => Finding::warning(
            "nginx-version",
            format!(
                "nginx {version} is older than 1.26.3: a TLS session of one server may be resumed \
                 in another (CVE-2025-23419), unless your distribution has patched it"
            ),
        ),
    })
}
