//! What must hold between settings. Every check fails closed: a combination that is not known to be
//! safe, or whose code does not exist yet, does not start.

use super::exposure::{self, Callers, Reach, Role};
use super::problem::{Fault, Warning};
use super::reader::Reader;
use super::values::Listen;
use super::words::{Source, TrustMode};
use super::{Config, Listener};

/// What nobody checks when identity comes from headers.
pub const HEADER_MODE_UNCHECKED: &[&str] =
    &["expiry", "key usage", "revocation lists", "blocks by fingerprint, key or alternative name"];

/// Finds every problem that spans settings.
pub(super) fn check(config: &Config, reader: &mut Reader) {
    check_exposure(config, reader);
    check_places(config, reader);
    check_source(config, reader);
    check_trust(config, reader);
    check_verify_signal(config, reader);
    check_input_headers(config, reader);
    check_output_headers(config, reader);
}

/// What is allowed and should be known.
pub(super) fn warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if config.identity.source == Source::Headers {
        warnings.push(Warning::HeaderMode { unchecked: HEADER_MODE_UNCHECKED });
    }
    if config.proxy.legacy_dn {
        warnings.push(Warning::LegacyDn);
    }
    let kinds: Vec<_> = config
        .identity
        .weak
        .iter()
        .filter(|kind| !kind.names_issuer())
        .map(|kind| kind.as_str())
        .collect();
    if config.identity.issuers.is_empty() && !kinds.is_empty() {
        warnings.push(Warning::WeakWithoutIssuer { kinds });
    }
    warnings
}

fn listeners(config: &Config) -> [(Role, &Listener); 3] {
    [(Role::Auth, &config.auth), (Role::Ops, &config.ops), (Role::Admin, &config.admin.listener)]
}

/// What tells callers apart, as the operator meant it: a network or a secret that cannot be read is
/// a problem of its own, and does not also count as absent.
fn callers_meant(reader: &Reader) -> Callers {
    Callers {
        trusted: reader.is_filled("proxy.trusted"),
        secret: reader.is_filled("proxy.secret_file"),
    }
}

fn check_exposure(config: &Config, reader: &mut Reader) {
    let callers = callers_meant(reader);
    for (role, listener) in listeners(config) {
        let reach = match &listener.listen {
            Listen::Off => continue,
            Listen::Tcp(address) => Reach::Tcp(*address),
            Listen::Unix(_) => Reach::Unix { mode: listener.socket_mode.bits() },
        };
        if let Err(exposure) = exposure::check(role, reach, callers) {
            reader.problem(role.key(), Fault::new(exposure.to_string(), ""));
        }
    }
}

fn check_places(config: &Config, reader: &mut Reader) {
    let [auth, ops, admin] = listeners(config);
    for ((first, one), (second, other)) in [(auth, ops), (auth, admin), (ops, admin)] {
        let same = match (&one.listen, &other.listen) {
            // Port 0 is any free port, never the same one.
            (Listen::Tcp(one), Listen::Tcp(other)) => one == other && one.port() != 0,
            (Listen::Unix(one), Listen::Unix(other)) => one == other,
            _ => false,
        };
        if same {
            let what = format!("is the same place as {}", first.key());
            reader.problem(second.key(), Fault::new(what, "the listeners are kept apart"));
        }
    }
}

fn check_source(config: &Config, reader: &mut Reader) {
    let dialect = config.proxy.dialect;
    if let Some(implied) = dialect.implied_source()
        && implied != config.identity.source
    {
        let what = format!("is {}, and {dialect} sends no certificate", config.identity.source);
        let remedy = format!("take it out, or choose another proxy.dialect than {dialect}");
        reader.problem("identity.source", Fault::new(what, remedy));
    }
    if config.identity.source == Source::Certificate {
        return;
    }
    let needs_certificate = [
        ("revocation.crl", !config.revocation.crl.is_empty()),
        ("trust.mode", config.trust.mode != TrustMode::Proxy),
        ("trust.anchors", !config.trust.anchors.is_empty()),
        ("trust.intermediates", !config.trust.intermediates.is_empty()),
        ("proxy.headers.certificate", config.proxy.headers.certificate.is_some()),
        ("usage.require_extended_key_usage", !config.usage.extended_key_usage.is_empty()),
        ("usage.require_key_usage", config.usage.key_usage != 0),
        ("usage.require_policies", !config.usage.policies.is_empty()),
        // Given as a file, the key must agree as well, and headers show no key.
        ("identity.issuers", config.identity.issuers.iter().any(|issuer| issuer.key_id.is_some())),
    ];
    for (key, set) in needs_certificate {
        if set {
            let what = "needs the certificate, and identity.source is headers";
            reader.problem(key, Fault::new(what, "take it out, or have the certificate sent"));
        }
    }
    let headers = &config.proxy.headers;
    if headers.subject.is_none() && headers.serial.is_none() {
        let what = format!("is headers, and the dialect {dialect} has no serial or DN header");
        reader.problem("identity.source", Fault::new(what, "have the certificate read"));
    }
}

/// Chains are verified against something, and a verified chain is not possession: who alone verifies
/// chains must know that it is the proxy that asks.
fn check_trust(config: &Config, reader: &mut Reader) {
    let mode = config.trust.mode;
    if mode == TrustMode::Proxy {
        return;
    }
    if !reader.is_filled("trust.anchors") {
        let what = format!("is {mode}, and trust.anchors is empty: nobody could come in");
        reader.problem("trust.mode", Fault::new(what, "name the PEM files of the CAs there"));
    }
    let callers = callers_meant(reader);
    // A dialect without a word about verification is told of as a whole, below.
    let is_told = config.proxy.dialect.headers().verify.is_none();
    if mode == TrustMode::Own && !is_told && !callers.trusted && !callers.secret {
        let what = "is own, and nothing tells the proxy from anybody else: a certificate is public, \
                    and its chain proves nothing about who sends it";
        reader.problem("trust.mode", Fault::new(what, "set proxy.trusted or proxy.secret_file"));
    }
}

/// A certificate is public: without the proxy's word that its holder has the key and that the chain
/// holds, certgate must verify the chain itself and know who asks.
fn check_verify_signal(config: &Config, reader: &mut Reader) {
    let dialect = config.proxy.dialect;
    if dialect.headers().verify.is_some() {
        return;
    }
    if config.proxy.headers.verify.is_some() {
        let what = format!("the dialect {dialect} has no sign of verification to rename");
        reader.problem("proxy.headers.verify", Fault::new(what, "take it out"));
    }
    let callers = callers_meant(reader);
    let knows_caller = callers.trusted || callers.secret;
    let verifies = config.trust.mode == TrustMode::Own;
    if !verifies || !knows_caller {
        let what = format!("{dialect} does not say whether the certificate was verified");
        let remedy = "set trust.mode = \"own\" with trust.anchors, and proxy.trusted or \
                      proxy.secret_file";
        reader.problem("proxy.dialect", Fault::new(what, remedy));
    }
}

fn check_input_headers(config: &Config, reader: &mut Reader) {
    let headers = &config.proxy.headers;
    let names = [
        ("proxy.headers.verify", headers.verify.as_ref()),
        ("proxy.headers.certificate", headers.certificate.as_ref()),
        ("proxy.headers.serial", headers.serial.as_ref()),
        ("proxy.headers.subject", headers.subject.as_ref()),
        ("proxy.headers.issuer", headers.issuer.as_ref()),
        // These two names are the dialect's own and cannot be replaced.
        ("proxy.dialect", headers.used.as_ref()),
        ("proxy.dialect", headers.chain.as_ref()),
    ];
    check_distinct(&names, reader);
}

fn check_output_headers(config: &Config, reader: &mut Reader) {
    let headers = &config.output.headers;
    let names = [
        ("output.headers.user", Some(&headers.user)),
        ("output.headers.groups", Some(&headers.groups)),
        ("output.headers.name", Some(&headers.name)),
        ("output.headers.email", Some(&headers.email)),
    ];
    check_distinct(&names, reader);
}

fn check_distinct<T: PartialEq + std::fmt::Display>(
    names: &[(&str, Option<&T>)],
    reader: &mut Reader,
) {
    for (index, (key, name)) in names.iter().enumerate() {
        let Some(name) = name else { continue };
        let earlier = names.iter().take(index).find(|(_, other)| *other == Some(name));
        if let Some((other, _)) = earlier {
            // Blame the one an operator set: the dialect's own names are distinct.
            let (blamed, with) = if reader.is_set(key) { (key, other) } else { (other, key) };
            let what = format!("{name} is also the name in {with}");
            reader.problem(blamed, Fault::new(what, "each header needs a name of its own"));
        }
    }
}
