//! One server that asks certgate: its locations, and what its own level does to them.

use std::collections::HashSet;

use super::inherit::Scope;
use super::tree::Directive;
use super::{Expected, asking, passing};
use crate::doctor::Finding;

/// A location and what holds in it.
pub(super) struct Place<'d> {
    pub(super) location: &'d Directive,
    pub(super) scope: Scope<'d>,
}

/// What several rooms ask about a server.
pub(super) struct Server<'d> {
    pub(super) places: Vec<Place<'d>>,
    /// Variables that some `auth_request_set` fills with the user, groups, ...
    pub(super) identity: HashSet<&'d str>,
    /// Whether the server's own level asks.
    pub(super) asks_everywhere: bool,
}

/// Judges a server; none if nothing in it asks certgate.
pub(super) fn judge(
    server: &Directive,
    scope: &Scope<'_>,
    expected: &Expected,
) -> Option<Vec<Finding>> {
    let mut places = Vec::new();
    collect(server, scope, &mut places);
    let identity = places
        .iter()
        .map(|place| &place.scope)
        .chain([scope])
        .flat_map(|scope| scope.list("auth_request_set"))
        .filter(|one| is_answer(one.arg(1), expected))
        .map(|one| one.arg(0))
        .collect();
    let asks =
        |scope: &Scope<'_>| leads_to_certgate(&places, scope.value("auth_request"), expected);
    let mirrors = |scope: &Scope<'_>| leads_to_certgate(&places, scope.value("mirror"), expected);
    let is_asked = places.iter().any(|place| asks(&place.scope) || mirrors(&place.scope));
    if !is_asked && !asks(scope) {
        return None;
    }
    let mut findings = Vec::new();
    let asking: Vec<&Place<'_>> =
        places.iter().filter(|place| is_asking(place, expected)).collect();
    for place in &asking {
        findings.extend(asking::judge(place, expected));
    }
    findings.extend(tls(server, scope, &asking, expected));
    findings.extend(rewrites(server));
    findings.extend(spellings(scope));
    let asks_everywhere = asks(scope);
    let is_protected: Vec<bool> = places.iter().map(|place| asks(&place.scope)).collect();
    let judged = Server { places, identity, asks_everywhere };
    findings.extend(passing::judge(&judged, &is_protected));
    let mut targets: Vec<&Directive> =
        judged.places.iter().filter_map(|place| place.scope.directive("auth_request")).collect();
    targets.extend(scope.directive("auth_request"));
    findings.extend(variables(&targets));
    findings.extend(split_lines(server, scope));
    Some(findings)
}

fn collect<'d>(block: &'d Directive, scope: &Scope<'d>, places: &mut Vec<Place<'d>>) {
    for location in block.block().filter(|one| one.name == "location") {
        let inner = scope.enter(location);
        collect(location, &inner, places);
        places.push(Place { location, scope: inner });
    }
}

/// Whether a value is a header of certgate's answer.
fn is_answer(value: &str, expected: &Expected) -> bool {
    let variable =
        |name: &String| format!("$upstream_http_{}", name.to_ascii_lowercase().replace('-', "_"));
    expected.output.iter().any(|name| value.eq_ignore_ascii_case(&variable(name)))
}

/// The path of a location as it is written, and whether it is only for exactly this path.
pub(super) fn path(location: &Directive) -> Option<(&str, bool)> {
    match location.args.as_slice() {
        [mark, path] if mark == "=" => Some((path, true)),
        [mark, path] if mark == "^~" => Some((path, false)),
        [path] if path.starts_with('/') => Some((path, false)),
        _ => None,
    }
}

/// The location that an internal path leads to: the exact one, or the longest beginning.
pub(super) fn find<'p, 'd>(places: &'p [Place<'d>], uri: &str) -> Option<&'p Place<'d>> {
    let uri = uri.split('?').next().unwrap_or_default();
    if uri.starts_with('@') {
        return places.iter().find(|place| place.location.arg(0) == uri);
    }
    let fits = places.iter().filter_map(|place| {
        let (path, is_exact) = path(place.location)?;
        let fits = if is_exact { uri == path } else { uri.starts_with(path) };
        fits.then_some((is_exact, path.len(), place))
    });
    fits.max_by_key(|(is_exact, length, _)| (*is_exact, *length)).map(|(.., place)| place)
}

/// A variable cannot be followed; where one is, certgate is meant in doubt.
fn leads_to_certgate(places: &[Place<'_>], uri: &str, expected: &Expected) -> bool {
    if uri.is_empty() || uri == "off" {
        return false;
    }
    if uri.contains('$') || uri.starts_with("/_certgate") {
        return true;
    }
    find(places, uri).is_some_and(|place| is_asking(place, expected))
}

/// Whether a location passes the question on to certgate.
fn is_asking(place: &Place<'_>, expected: &Expected) -> bool {
    let Some(pass) = place.location.block().find(|one| one.name == "proxy_pass") else {
        return false;
    };
    let target = pass.arg(0);
    let is_named = path(place.location).is_some_and(|(path, _)| path.starts_with("/_certgate"));
    let of_upstream = target.split_once("://").map_or("", |(_, rest)| rest);
    let is_upstream = of_upstream == "certgate" || of_upstream.starts_with("certgate/");
    is_named || is_upstream || of_upstream.starts_with(&expected.auth)
}

/// Whether the client's certificate is asked for at all.
fn tls(
    server: &Directive,
    scope: &Scope<'_>,
    asking: &[&Place<'_>],
    expected: &Expected,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_edge = asking.iter().any(|place| {
        let lines = place.scope.list("proxy_set_header");
        lines.iter().any(|one| one.arg(1).contains("$ssl_client_"))
    });
    let is_tls = server.block().any(|one| {
        let has = |word: &str| one.args.iter().any(|arg| arg == word);
        one.name == "listen" && (has("ssl") || has("quic"))
    });
    if is_edge && !is_tls {
        let what = "this server asks certgate and has no TLS: there is never a certificate; say \
                    `listen ... ssl`";
        findings.push(Finding::failure("nginx-tls", what).at(server.place()));
    } else if is_edge {
        let verify = scope.directive("ssl_verify_client");
        let place = verify.unwrap_or(server).place();
        match verify.map_or("off", |one| one.arg(0)) {
            "on" | "optional" => {}
            "optional_no_ca" if expected.verifies_chains => {}
            "optional_no_ca" => findings.push(
                Finding::warning(
                    "nginx-verify-client",
                    "ssl_verify_client optional_no_ca lets in what nginx could not verify, and \
                     trust.mode = \"proxy\" believes nginx: say optional",
                )
                .at(place),
            ),
            _ => findings.push(
                Finding::failure(
                    "nginx-verify-client",
                    "ssl_verify_client is off: no client is ever asked for a certificate; say \
                     optional",
                )
                .at(place),
            ),
        }
    }
    if let Some(early) = scope.directive("ssl_early_data").filter(|one| one.arg(0) == "on") {
        let what = "ssl_early_data is on: replayed early data carries the identity of the one who \
                    first sent it; say off";
        findings.push(Finding::warning("nginx-early-data", what).at(early.place()));
    }
    findings
}

/// Server level rewrites run for nginx's own question too, and could have something else answer it.
fn rewrites(server: &Directive) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in server.block() {
        let inner = one.block().filter(|_| one.name == "if");
        let is_guard = one.name == "if"
            && one.args.iter().any(|arg| arg.contains("/_certgate"))
            && one.block().any(|inner| inner.name == "break");
        if is_guard {
            break;
        }
        let moves = inner.chain([one]).find(|one| match one.name.as_str() {
            "rewrite" => may_match_question(one.arg(0)),
            _ => false,
        });
        let answers = one.name == "return" && is_success(one);
        if let Some(at) = moves.or(answers.then_some(one)) {
            let what = format!(
                "`{}` runs for nginx's own question as well, and what answers it then may let \
                 everybody in: include certgate-ask.conf before it",
                at.shown()
            );
            findings.push(Finding::failure("nginx-rewrite", what).at(at.place()));
        }
    }
    findings
}

/// Whether a rewrite's pattern takes nginx's question; a pattern that cannot be read may.
fn may_match_question(pattern: &str) -> bool {
    let pattern = regex::bytes::RegexBuilder::new(pattern).unicode(false).build();
    pattern.map_or(true, |pattern| {
        [&b"/_certgate"[..], b"/_certgate/require=group:ops"]
            .iter()
            .any(|uri| pattern.is_match(uri))
    })
}

/// Whether a `return` answers with a page rather than with an error or a redirect.
pub(super) fn is_success(one: &Directive) -> bool {
    match one.arg(0).parse::<u16>() {
        Ok(code) => (200..300).contains(&code),
        Err(_) => !one.arg(0).starts_with("http"),
    }
}

/// A second spelling of a header's name.
fn spellings(scope: &Scope<'_>) -> Vec<Finding> {
    let of = |name, bad, what| {
        let one = scope.directive(name).filter(|one| one.arg(0) == bad)?;
        Some(Finding::warning("nginx-underscores", what).at(one.place()))
    };
    [
        of(
            "underscores_in_headers",
            "on",
            "underscores_in_headers is on: X_Remote_User is a second spelling of X-Remote-User to \
             CGI, WSGI and PHP; take it away",
        ),
        of(
            "ignore_invalid_headers",
            "off",
            "ignore_invalid_headers is off: a client can send names that applications read as \
             X-Remote-User; take it away",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// nginx 1.22 takes a variable here for fixed text; where it does not, `set` does not run in a nested
/// location that inherits the line.
fn variables(targets: &[&Directive]) -> Vec<Finding> {
    let with_variable = targets.iter().filter(|one| one.arg(0).contains('$'));
    let finding = |one: &&Directive| {
        let what = format!(
            "`{}` has a variable, whose value is not what is asked in every location; write fixed \
             text",
            one.shown()
        );
        Finding::failure("nginx-auth-variable", what).at(one.place())
    };
    with_variable.map(finding).collect()
}

/// Variables that a client can put a line end into.
fn split_lines(server: &Directive, scope: &Scope<'_>) -> Vec<Finding> {
    const HEADERS: [&str; 3] = ["add_header", "grpc_set_header", "proxy_set_header"];
    let mut lines = Vec::new();
    walk(server, &mut lines);
    lines.extend(HEADERS.iter().flat_map(|name| scope.list(name)).copied());
    let captures = captures(server);
    let mut findings = Vec::new();
    for one in lines.into_iter().filter(|one| HEADERS.contains(&one.name.as_str())) {
        let value = one.args.get(1..).unwrap_or_default().join(" ");
        let used = names(&value);
        if let Some(name) = used.iter().find(|name| matches!(name.as_str(), "uri" | "document_uri"))
        {
            let what = format!(
                "`{}` has ${name}, into which %0d%0a of a request puts a header of the client's \
                 choosing: use $request_uri",
                one.shown()
            );
            findings.push(Finding::failure("nginx-header-split", what).at(one.place()));
        }
        let is_capture =
            |name: &&String| name.parse::<u8>().is_ok() || captures.contains(name.as_str());
        if let Some(name) = used.iter().find(is_capture) {
            let what = format!(
                "`{}` has ${name}, a part of a decoded path that may hold line ends: use a value \
                 that nginx does not decode",
                one.shown()
            );
            findings.push(Finding::failure("nginx-header-split", what).at(one.place()));
        }
    }
    findings
}

fn walk<'d>(block: &'d Directive, found: &mut Vec<&'d Directive>) {
    for one in block.block() {
        found.push(one);
        walk(one, found);
    }
}

/// Names that patterns of paths capture; those of host names hold no line end.
fn captures(server: &Directive) -> HashSet<String> {
    let mut all = Vec::new();
    walk(server, &mut all);
    let of_paths =
        all.iter().filter(|one| matches!(one.name.as_str(), "location" | "rewrite" | "if"));
    let texts = of_paths.flat_map(|one| &one.args);
    let names = texts.flat_map(|text| {
        text.split("(?").skip(1).filter_map(|rest| {
            let rest = rest.strip_prefix('P').unwrap_or(rest);
            let rest = rest.strip_prefix('<').or_else(|| rest.strip_prefix('\''))?;
            let end = rest.find(['>', '\''])?;
            let name = rest.get(..end)?;
            let is_name = !name.is_empty() && !name.starts_with(['=', '!']);
            is_name.then(|| name.to_owned())
        })
    });
    names.collect()
}

/// The variables in a text.
fn names(text: &str) -> Vec<String> {
    let parts = text.split('$').skip(1);
    parts
        .map(|part| {
            let part = part.strip_prefix('{').unwrap_or(part);
            part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
        })
        .collect()
}
