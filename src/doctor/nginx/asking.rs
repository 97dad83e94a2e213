//! The location through which nginx asks certgate.

use super::Expected;
use super::server::Place;
use crate::doctor::Finding;

/// Judges what certgate is told, and what becomes of its answer.
pub(super) fn judge(place: &Place<'_>, expected: &Expected) -> Vec<Finding> {
    let mut findings = told(place, expected);
    let (location, scope) = (place.location, &place.scope);
    let at = location.place();
    if !location.block().any(|one| one.name == "internal") {
        let what = format!(
            "`{}` is not internal: anybody can ask whose certificate is mapped; say `internal;`",
            location.shown()
        );
        findings.push(Finding::warning("nginx-ask-internal", what).at(at.clone()));
    }
    if scope.value("proxy_pass_request_body") != "off" {
        let what = "the body of a request is announced to certgate and never sent: a POST waits \
                    for it; say `proxy_pass_request_body off;` and set Content-Length to \"\"";
        findings.push(Finding::warning("nginx-ask-body", what).at(at.clone()));
    }
    if !matches!(scope.value("proxy_cache"), "" | "off") {
        let what = "answers of certgate are cached: one client gets the identity of another; say \
                    `proxy_cache off;`";
        let place = scope.directive("proxy_cache").map_or(at.clone(), |one| one.place());
        findings.push(Finding::failure("nginx-ask-cache", what).at(place));
    }
    let intercepts = scope.value("proxy_intercept_errors") == "on";
    for one in scope.list("error_page") {
        // 401 and 403 are answers of certgate, which nginx passes on unless it intercepts them.
        let is_hit = |code: u16| code >= 500 && code != 599 || intercepts && code >= 300;
        if becomes_success(one, is_hit) {
            let what = format!(
                "`{}` holds in `{}`: an error of certgate becomes a 200, and 200 lets everybody \
                 in; give this location an error_page of its own, as certgate-ask.conf does",
                one.shown(),
                location.shown()
            );
            findings.push(Finding::failure("nginx-ask-error-page", what).at(one.place()));
        }
    }
    let pass = location.block().find(|one| one.name == "proxy_pass");
    let target = pass.map_or("", |one| one.arg(0));
    let path = target.split_once("://").map_or("", |(_, rest)| rest);
    let path = path
        .rsplit_once(":/")
        .filter(|_| path.starts_with("unix:"))
        .map_or_else(|| path.split_once('/').map_or("", |(_, path)| path), |(_, path)| path);
    if path != "auth" && !path.starts_with("auth?") {
        let what = format!(
            "`proxy_pass {target}` does not lead to /auth, and certgate answers 404 to anything \
             else: nobody gets in"
        );
        findings.push(Finding::failure("nginx-ask-path", what).at(at));
    }
    findings
}

/// The headers that are decided on.
fn told(place: &Place<'_>, expected: &Expected) -> Vec<Finding> {
    let (location, scope) = (place.location, &place.scope);
    let mut findings = Vec::new();
    let passes_headers = scope.value("proxy_pass_request_headers") != "off";
    let lines = scope.list("proxy_set_header");
    let asks_for_certificates = !matches!(scope.value("ssl_verify_client"), "" | "off");
    let is_behind =
        !asks_for_certificates && !lines.iter().any(|one| one.arg(1).contains("$ssl_client_"));
    for (name, variable) in &expected.input {
        let mut set = lines.iter().filter(|one| one.arg(0).eq_ignore_ascii_case(name));
        let value = set.next();
        if set.next().is_some() {
            let what = format!("{name} is set twice: certgate refuses everybody");
            findings.push(Finding::failure("nginx-ask-header", what).at(location.place()));
            continue;
        }
        match value {
            None if passes_headers => {
                let what = format!(
                    "{name} is not set in `{}` (nginx drops all inherited proxy_set_header lines \
                     where there is one), and the client's own passes: anybody can come in as \
                     anybody. Include certgate-ask.conf as it is",
                    location.shown()
                );
                findings.push(Finding::failure("nginx-ask-header", what).at(location.place()));
            }
            None => {
                let what = format!(
                    "{name} is not set in `{}` (nginx drops all inherited proxy_set_header lines \
                     where there is one): nobody gets in",
                    location.shown()
                );
                findings.push(Finding::failure("nginx-ask-header", what).at(location.place()));
            }
            Some(one) if one.arg(1) == *variable => {}
            // Behind another proxy nginx passes on what that one sent.
            Some(one) if is_behind && one.arg(1).starts_with("$http_") => {}
            Some(one) if one.arg(1).starts_with("$http_") => {
                let what = format!(
                    "`{}` passes on what the client itself sent: anybody can come in as anybody; \
                     say {variable}",
                    one.shown()
                );
                findings.push(Finding::failure("nginx-ask-header", what).at(one.place()));
            }
            Some(one) => {
                let what = format!("`{}` should have {variable}", one.shown());
                findings.push(Finding::failure("nginx-ask-header", what).at(one.place()));
            }
        }
    }
    if passes_headers {
        let what = "the client's own headers reach certgate: one lost line is a way in; say \
                    `proxy_pass_request_headers off;`";
        findings.push(Finding::warning("nginx-ask-pass-headers", what).at(location.place()));
    }
    findings
}

/// Whether an `error_page` turns one of these codes into a success: `=`, `=200`.
pub(super) fn becomes_success(page: &super::tree::Directive, is_hit: impl Fn(u16) -> bool) -> bool {
    let changes = page.args.iter().any(|arg| match arg.strip_prefix('=') {
        Some("") => true,
        Some(code) => code.starts_with('2'),
        None => false,
    });
    changes && page.args.iter().filter_map(|arg| arg.parse().ok()).any(is_hit)
}
