//! What would change an answer: steps in words, and the exact command where there is one.
//!
//! It must never lead anybody around a block or a revocation, and it names no command for what may
//! be the work of somebody who wants to be taken for another.

use std::path::Path;

use serde::Serialize;

use super::Scene;
use crate::decide::{Decision, Options, Required};
use crate::directory::{Considered, Found, Holder, Kind, Near, Ruled, Standing};
use crate::pki::{Identity, UnixTime};
use crate::reason::DenyReason;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What to do or to look at.
    pub what: String,
    /// The command line that does it, for a POSIX shell.
    pub command: Option<String>,
}

/// How a command names the certificate.
#[derive(Clone, Copy, Debug)]
pub enum Handle<'h> {
    /// By its file.
    File(&'h Path),
    /// By what was presented of it.
    Values,
}

/// How long a window is opened that had ended: long enough to find out, not for ever.
const REOPENED_SECONDS: i64 = 30 * 24 * 60 * 60;

impl Step {
    fn say(what: impl Into<String>) -> Self {
        Self { what: what.into(), command: None }
    }

    fn run(what: impl Into<String>, words: &[&str]) -> Self {
        let command = words.iter().map(|word| quoted(word)).collect::<Option<Vec<_>>>();
        let command = command.map(|words| format!("certgate {}", words.join(" ")));
        Self { what: what.into(), command }
    }
}

/// A word as a POSIX shell reads it back; none for one with a character that a terminal acts on,
/// which cannot be shown and copied as it is.
#[must_use]
pub fn quoted(word: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Some(word.to_owned());
    }
    let is_shown = |c: char| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric();
    word.chars().all(is_shown).then(|| format!("'{}'", word.replace('\'', r"'\''")))
}

/// The steps, the most likely first.
pub(super) fn steps(
    decision: &Decision<'_>,
    holder: Option<Holder<'_>>,
    considered: &[Considered],
    options: &Options,
    scene: &Scene<'_>,
) -> Vec<Step> {
    let reason = match decision {
        Decision::Allow(_) => return Vec::new(),
        Decision::Undecided(_) => return vec![Step::say(UNDECIDED)],
        Decision::Deny(reason) => *reason,
    };
    if let Some(text) = in_words(reason) {
        return vec![Step::say(text)];
    }
    let Some(holder) = holder else { return Vec::new() };
    match reason {
        DenyReason::Ambiguous => ambiguous(considered),
        DenyReason::Blocked => kept_out(considered, "block"),
        DenyReason::GroupRequired => group_required(holder, options, scene),
        DenyReason::MappingDisabled => mapping_disabled(considered, scene.view.now),
        DenyReason::MappingRevoked => kept_out(considered, "mapping"),
        DenyReason::Unmapped => unmapped(holder.identity, considered, scene),
        DenyReason::UserDisabled => user_disabled(holder, scene),
        _ => Vec::new(),
    }
}

const UNDECIDED: &str = "there is no decision: look at /readyz and at the log of the service";

/// Reasons for which there is no command of ours.
fn in_words(reason: DenyReason) -> Option<&'static str> {
    Some(match reason {
        DenyReason::CertificateExpired => "the certificate has expired: its holder needs a new one",
        DenyReason::CertificateMalformed => {
            "the certificate cannot be read strictly: its CA has to issue a correct one"
        }
        DenyReason::CertificateNotYetValid => {
            "the certificate is not valid yet: wait, or look at this machine's clock and the CA's"
        }
        DenyReason::CertificateRevoked => {
            "its CA has revoked it: its holder needs a new certificate"
        }
        DenyReason::CertificateTooLarge => "the certificate is larger than 32 KiB: issue a smaller",
        DenyReason::ChainUntrusted => {
            "no trusted CA stands behind it: look at ssl_client_certificate and ssl_verify_depth \
             of the proxy, and at trust.anchors where trust.mode is both or own"
        }
        DenyReason::HeaderMismatch => {
            "a serial or name header disagrees with the certificate: see the proxy's configuration"
        }
        DenyReason::IssuerNotAllowed => "its issuer is not among identity.issuers",
        DenyReason::MalformedHeader => {
            "a security header came twice, is too long or cannot be decoded: compare the proxy's \
             configuration with the shipped one, and see `certgate doctor`"
        }
        DenyReason::NoCertificate => {
            "the client sent no certificate, or the proxy does not ask for one: see \
             ssl_verify_client and `certgate doctor`"
        }
        DenyReason::NotVerified => {
            "the proxy did not say that it verified the certificate: see the verify header, \
             ssl_verify_client and proxy.dialect"
        }
        DenyReason::ProxyNotTrusted => {
            "the proxy's address is not in proxy.trusted, or its secret is missing or wrong"
        }
        DenyReason::RevocationUnknown => {
            "there is no CRL in force for its issuer: see `certgate crl check`"
        }
        DenyReason::UsageNotAllowed => {
            "it is not made for this use (see usage): another one on the same card may be"
        }
        DenyReason::Ambiguous
        | DenyReason::Blocked
        | DenyReason::GroupRequired
        | DenyReason::MappingDisabled
        | DenyReason::MappingRevoked
        | DenyReason::Unmapped
        | DenyReason::UserDisabled => return None,
    })
}

/// Somebody decided that this certificate stays out; who wants it otherwise asks them.
fn kept_out(considered: &[Considered], noun: &'static str) -> Vec<Step> {
    let keeps_out = |one: &&Considered| match noun {
        "block" => one.kind == "block" && one.matched,
        _ => one.standing == Standing::Revoked && one.matched,
    };
    let what = "it is kept out on purpose: its holder needs another certificate. Who decided it:";
    let shown = considered.iter().filter(keeps_out);
    shown.map(|one| Step::run(what, &[noun, "show", &one.id.to_string()])).collect()
}

fn ambiguous(considered: &[Considered]) -> Vec<Step> {
    let active = || considered.iter().filter(|one| one.standing == Standing::Active);
    // The strongest kind decided; weaker ones that match as well are not at fault.
    let kind = active().map(|one| one.kind).next();
    let at_fault = active().filter(|one| Some(one.kind) == kind);
    let disable = |one: &Considered| {
        let username = one.username.as_deref().unwrap_or_default();
        let what = format!("if it is not {username}'s:");
        Step::run(what, &["mapping", "disable", &one.id.to_string()])
    };
    at_fault.map(disable).collect()
}

fn mapping_disabled(considered: &[Considered], now: UnixTime) -> Vec<Step> {
    let until = reopened(now);
    let step = |one: &Considered| {
        let (id, username) = (one.id.to_string(), one.username.as_deref().unwrap_or_default());
        match one.standing {
            Standing::Disabled => Some(Step::run(
                format!("if {username} should come in with it:"),
                &["mapping", "enable", &id],
            )),
            Standing::OutsideWindow => Some(Step::run(
                format!("if {username} should come in with it, for 30 days from now:"),
                &["mapping", "edit", &id, "--clear", "valid-from", "--valid-until", &until],
            )),
            _ => None,
        }
    };
    considered.iter().filter(|one| one.matched).filter_map(step).collect()
}

fn reopened(now: UnixTime) -> String {
    UnixTime::from_seconds(now.as_seconds().saturating_add(REOPENED_SECONDS)).to_string()
}

/// Whom a certificate leads to, in whatever state that user is.
fn whom(holder: Holder<'_>, scene: &Scene<'_>) -> Option<String> {
    let view = scene.view;
    let directory = view.directory?;
    match directory.find(holder.identity, view.now, view.policy.kinds) {
        Found::Active(_, user) => Some(user.username.to_string()),
        Found::Nothing => match directory.ask_rules(holder, view.now) {
            Ruled::User(user, _) => Some(user.username.to_string()),
            Ruled::Nobody => None,
        },
        Found::Ambiguous(_) | Found::Disabled(_) | Found::Revoked(_) => None,
    }
}

fn user_disabled(holder: Holder<'_>, scene: &Scene<'_>) -> Vec<Step> {
    let Some(username) = whom(holder, scene) else { return Vec::new() };
    let now = scene.view.now;
    let user = scene.view.directory.and_then(|directory| directory.user(&username));
    let window = user.and_then(|user| user.window);
    match window {
        Some(window) if window.enabled && !window.is_open(now) => vec![Step::run(
            format!("{username} is outside the time set for them; for 30 days from now:"),
            &with_name(
                &["user", "edit"],
                &username,
                &["--clear", "valid-from", "--valid-until", &reopened(now)],
            ),
        )],
        Some(window) if !window.enabled => vec![Step::run(
            format!("{username} is switched off; if they should come in:"),
            &with_name(&["user", "enable"], &username, &[]),
        )],
        _ => vec![Step::say(format!(
            "the row of {username} cannot be used: `certgate doctor` says why"
        ))],
    }
}

fn group_required(holder: Holder<'_>, options: &Options, scene: &Scene<'_>) -> Vec<Step> {
    let Some(username) = whom(holder, scene) else { return Vec::new() };
    let step = |required: &Required| match required {
        Required::Group(group) => {
            let what = format!("if {username} belongs into {group}:");
            let group = group.as_str();
            let is_hyphened = group.starts_with('-') || username.starts_with('-');
            let words: &[&str] = if is_hyphened {
                &["group", "add", "--", group, &username]
            } else {
                &["group", "add", group, &username]
            };
            Step::run(what, words)
        }
        Required::User(only) => Step::say(format!("this place is for {only} alone")),
    };
    options.required.iter().map(step).collect()
}

/// A name that begins with a hyphen is no option.
fn with_name<'w>(verb: &[&'w str], name: &'w str, options: &[&'w str]) -> Vec<&'w str> {
    if name.starts_with('-') {
        [verb, options, &["--", name]].concat()
    } else {
        [verb, &[name], options].concat()
    }
}

/// Rows that keep out a certificate that is nearly this one: whether it should come in is for
/// somebody to judge who has looked at them, and no command of ours leads around them.
fn nearly_kept_out(considered: &[Considered]) -> Vec<Step> {
    let keeps_out = |one: &&Considered| {
        one.near.is_some() && (one.kind == "block" || one.standing == Standing::Revoked)
    };
    let look = |one: &Considered| {
        let (row, what) = match one.kind {
            "block" => ("block", "keeps out"),
            _ => ("mapping", "revokes"),
        };
        Step::say(format!(
            "{row} {} {what} what is nearly this certificate ({}): look at {row} {} first",
            one.id, one.why, one.id
        ))
    };
    considered.iter().filter(keeps_out).map(look).collect()
}

fn unmapped(identity: &Identity, considered: &[Considered], scene: &Scene<'_>) -> Vec<Step> {
    let kept_out = nearly_kept_out(considered);
    if !kept_out.is_empty() {
        return kept_out;
    }
    let near = considered.iter().filter(|one| !one.matched && one.username.is_some());
    let mut steps = Vec::new();
    for one in near {
        let username = one.username.as_deref().unwrap_or_default();
        match one.near {
            Some(Near::LookAlike) => steps.push(Step::say(format!(
                "it looks like {username}'s (mapping {}) and is not: the letters differ. Ask \
                 {username} before you map it",
                one.id
            ))),
            Some(near) => steps.push(map(username, near_text(near, username), identity, scene)),
            None if one.standing == Standing::WeakKind => {
                let what = format!(
                    "mapping {} is of a kind that is not switched on; bind this certificate \
                     itself, if it is {username}'s:",
                    one.id
                );
                steps.push(map(username, what, identity, scene));
            }
            None => {}
        }
        steps.dedup();
    }
    let is_misread = |one: &&Considered| one.near == Some(Near::Decimal);
    // The row that was meant for it names another certificate of the same CA, today or some day.
    for one in considered.iter().filter(is_misread) {
        let what =
            format!("then remove mapping {}, unless a certificate really has its serial:", one.id);
        steps.push(Step::run(what, &["mapping", "remove", &one.id.to_string()]));
    }
    if steps.is_empty() {
        let named = identity.common_name.as_deref();
        let user = named.and_then(|name| scene.view.directory?.user(name));
        steps.push(match user {
            Some(user) => {
                let what = format!("a user has the name of its CN; if it is {}'s:", user.username);
                map(&user.username, what, identity, scene)
            }
            None => map("USERNAME", "to map it, with the name of a user:".into(), identity, scene),
        });
    }
    steps
}

fn near_text(near: Near, username: &str) -> String {
    let ask = if near.is_suspicious() { ", and the issuer may say so" } else { "" };
    let what = match near {
        Near::OtherCertificate | Near::SameName => "looks like a renewal",
        Near::Decimal => "was mapped by its serial in decimal",
        _ => "was nearly mapped",
    };
    format!("it {what}; if it is {username}'s{ask}:")
}

/// A mapping of this very certificate, as far as it is shown.
fn map(username: &str, what: String, identity: &Identity, scene: &Scene<'_>) -> Step {
    let verb = ["mapping", "add"];
    let sha256 = identity.sha256.map(|digest| digest.to_string());
    let file = match scene.handle {
        Handle::File(path) => path.to_str().filter(|path| !path.starts_with('-')),
        Handle::Values => None,
    };
    if let (Some(file), Some(_)) = (file.filter(|file| quoted(file).is_some()), &sha256) {
        return Step::run(what, &with_name(&verb, username, &["--cert", file]));
    }
    if let Some(sha256) = &sha256 {
        return Step::run(what, &with_name(&verb, username, &["--sha256", sha256]));
    }
    let serial = identity.serial.as_ref().filter(|serial| !serial.is_odd());
    let serial = serial.map(ToString::to_string);
    let issuer = identity.issuer.as_ref().map(|name| name.to_exact_text());
    let subject = identity.subject.as_ref().map(|name| name.to_exact_text());
    let mut options: Vec<&str> = Vec::new();
    options.extend(issuer.iter().flat_map(|issuer| ["--issuer", issuer.as_str()]));
    options.extend(serial.iter().flat_map(|serial| ["--serial", serial.as_str()]));
    let is_strong = issuer.is_some() && serial.is_some();
    if !is_strong {
        options.extend(subject.iter().flat_map(|subject| ["--subject", subject.as_str()]));
    }
    let kind = match (&issuer, &subject) {
        _ if is_strong => Some(Kind::IssuerSerial),
        (Some(_), Some(_)) => Some(Kind::IssuerSubject),
        (None, Some(_)) => Some(Kind::Subject),
        _ => None,
    };
    match kind.filter(|kind| scene.view.policy.kinds.contains(*kind)) {
        Some(_) => Step::run(what, &with_name(&verb, username, &options)),
        None => Step::say(
            "these headers show too little to map it: let the proxy send the issuer and the serial",
        ),
    }
}
