//! The locations that are protected, and what the applications behind them are told.

use std::collections::HashSet;

use super::asking::becomes_success;
use super::server::{Place, Server, find, is_success};
use super::tree::Directive;
use crate::doctor::Finding;

/// How a location reaches its application: the directive, and the list of what it is told.
const HANDLERS: [(&str, &str); 5] = [
    ("proxy_pass", "proxy_set_header"),
    ("fastcgi_pass", "fastcgi_param"),
    ("uwsgi_pass", "uwsgi_param"),
    ("scgi_pass", "scgi_param"),
    ("grpc_pass", "grpc_set_header"),
];

/// What applications are told of people; an application that reads others gets them renamed.
const IDENTITY: [&str; 4] = ["X-Remote-User", "X-Remote-Groups", "X-Remote-Name", "X-Remote-Email"];

/// Judges every location but those that ask.
pub(super) fn judge(server: &Server<'_>, is_protected: &[bool]) -> Vec<Finding> {
    let all = || server.places.iter().zip(is_protected);
    // An application that believes the header behind one location believes it behind another.
    let believers: HashSet<&str> = all()
        .filter(|(place, is_protected)| **is_protected && !is_internal(place))
        .filter_map(|(place, _)| handler(place.location).map(|(pass, _)| target(pass)))
        .collect();
    let mut findings = Vec::new();
    for (place, is_protected) in all() {
        let handler = handler(place.location);
        let is_ask = super::server::path(place.location)
            .is_some_and(|(path, _)| path.starts_with("/_certgate"));
        if is_ask {
            continue;
        }
        if let Some((pass, list)) = handler
            && (*is_protected || believers.contains(target(pass)))
        {
            findings.extend(identity(server, place, list));
        }
        if *is_protected {
            findings.extend(doors(server, place));
        }
    }
    findings
}

fn is_internal(place: &Place<'_>) -> bool {
    place.location.block().any(|one| one.name == "internal")
}

/// Where the requests of a location go, within its `if` and `limit_except` too.
fn handler(location: &Directive) -> Option<(&Directive, &'static str)> {
    let inner = location
        .block()
        .filter(|one| matches!(one.name.as_str(), "if" | "limit_except"))
        .flat_map(Directive::block);
    location.block().chain(inner).find_map(|one| {
        let (_, list) = HANDLERS.iter().find(|(name, _)| *name == one.name)?;
        Some((one, *list))
    })
}

/// The application, without scheme and path.
fn target(pass: &Directive) -> &str {
    let target = pass.arg(0);
    let target = target.split_once("://").map_or(target, |(_, rest)| rest);
    if target.starts_with("unix:") {
        return target;
    }
    target.split_once('/').map_or(target, |(host, _)| host)
}

/// Whether the application can be told somebody else's name.
fn identity(server: &Server<'_>, place: &Place<'_>, list: &'static str) -> Vec<Finding> {
    let (location, scope) = (place.location, &place.scope);
    let is_cgi = list.ends_with("_param");
    let lines = scope.list(list);
    let named = |name: &str| -> Option<&&Directive> {
        lines.iter().rev().find(|one| one.arg(0).eq_ignore_ascii_case(name))
    };
    let mut findings = Vec::new();
    let passes_headers = is_cgi || scope.value("proxy_pass_request_headers") != "off";
    let spelled = |name: &str| match is_cgi {
        true => format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_")),
        false => name.to_owned(),
    };
    let missing: Vec<&str> =
        IDENTITY.into_iter().filter(|name| named(&spelled(name)).is_none()).collect();
    if passes_headers && !missing.is_empty() {
        let what = format!(
            "`{}` does not set {}, so that the client's own reaches the application (nginx drops \
             all inherited {list} lines where there is one): include the identity snippet beside \
             it",
            location.shown(),
            missing.join(", ")
        );
        findings.push(Finding::failure("nginx-identity", what).at(location.place()));
    }
    let user =
        [spelled("X-Remote-User")].into_iter().chain(is_cgi.then(|| "REMOTE_USER".to_owned()));
    for name in user {
        let Some(one) = named(&name) else { continue };
        let is_ours = one.arg(1).is_empty() || server.identity.contains(one.arg(1));
        if !is_ours {
            let what = format!(
                "`{}` is not what certgate answered; the last line of a name wins: include the \
                 identity snippet after it",
                one.shown()
            );
            findings.push(Finding::failure("nginx-identity", what).at(one.place()));
        }
        let is_filled = || {
            let mut sets = scope.list("auth_request_set").iter();
            sets.any(|set| set.arg(0) == one.arg(1))
        };
        if is_ours && !one.arg(1).is_empty() && !is_filled() {
            let what = format!(
                "`{}` has no auth_request_set that fills {} (nginx drops all inherited ones where \
                 there is one): the user is lost",
                location.shown(),
                one.arg(1)
            );
            findings.push(Finding::warning("nginx-user-lost", what).at(location.place()));
        }
    }
    findings
}

/// What lets somebody past the answer of certgate.
fn doors(server: &Server<'_>, place: &Place<'_>) -> Vec<Finding> {
    let (location, scope) = (place.location, &place.scope);
    let mut findings = Vec::new();
    if let Some(one) = scope.directive("satisfy").filter(|one| one.arg(0) == "any") {
        let what = format!(
            "`satisfy any` holds in `{}`: an allowed address or a password comes in without a \
             certificate; say `satisfy all`",
            location.shown()
        );
        findings.push(Finding::failure("nginx-satisfy", what).at(one.place()));
    }
    for one in scope.list("error_page") {
        let to = one.args.last().map_or("", String::as_str);
        let leads_on = find(&server.places, to).is_some_and(|to| handler(to.location).is_some());
        let is_hit = |code| matches!(code, 401 | 403) || code == 500 && leads_on;
        if becomes_success(one, is_hit) {
            let what = format!(
                "`{}` turns a refusal into another answer, 200 among them, with the client's own \
                 headers: take the `=` away",
                one.shown()
            );
            findings.push(Finding::failure("nginx-error-page", what).at(one.place()));
        }
    }
    if is_internal(place) {
        return findings;
    }
    let inner = location.block().filter(|one| one.name == "if").flat_map(Directive::block);
    for one in location.block().chain(inner) {
        let is_return = one.name == "return" && is_success(one);
        let flag = one.args.last().map_or("", String::as_str);
        let stays = matches!(flag, "break" | "permanent" | "redirect");
        // Where the whole server asks, so does whatever a rewrite leads to.
        let is_rewrite = one.name == "rewrite" && !server.asks_everywhere && !stays;
        if is_return || is_rewrite {
            let what = format!(
                "`{}` in `{}` answers before certgate is asked; use try_files, or say \
                 `auth_request off;` where it is meant for everybody",
                one.shown(),
                location.shown()
            );
            findings.push(Finding::warning("nginx-return", what).at(one.place()));
        }
    }
    findings
}
