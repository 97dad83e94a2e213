//! Whose a certificate is that a file does not name.

use super::Terms;
use super::known::{Known, State};
use crate::exchange::Whose;
use crate::pki::{Certificate, Identity};

/// What tells whose an unnamed certificate is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UserFrom {
    /// The only common name.
    CommonName,
    /// The name of the file.
    Filename,
    /// The user of a certificate with the same issuer, subject and names that a mapping in force is
    /// for.
    Renewal,
    /// What stands before the `@` of the only e-mail address.
    SanEmailLocal,
    /// What stands before the `@` of the only user principal name.
    SanUpnLocal,
}

/// Equal for two certificates exactly if one can be the renewal of the other: the same issuer,
/// subject and alternative names. None of a certificate without any name.
#[must_use]
pub fn name_key(certificate: &Certificate) -> Option<Vec<u8>> {
    let identity = Identity::from_certificate(certificate);
    let mut names: Vec<String> = Vec::new();
    for (kind, values) in [
        ("email", &identity.san_email),
        ("upn", &identity.san_upn),
        ("uri", &identity.san_uri),
        ("dns", &identity.san_dns),
    ] {
        names.extend(values.iter().map(|value| format!("{kind}\0{value}")));
    }
    if names.is_empty() && certificate.subject.is_empty() {
        return None;
    }
    names.sort_unstable();
    names.dedup();
    let mut key = Vec::new();
    let parts = [certificate.issuer.canonical(), certificate.subject.canonical()];
    for part in parts.into_iter().chain(names.iter().map(String::as_bytes)) {
        key.extend_from_slice(&part.len().to_be_bytes());
        key.extend_from_slice(part);
    }
    Some(key)
}

/// The certificates of the table by what a renewal keeps.
pub(super) type ByNames<'e> = std::collections::HashMap<Vec<u8>, Vec<&'e Certificate>>;

/// The user, and of a renewal the mappings that were for the predecessors.
pub(super) struct Named {
    pub(super) username: String,
    pub(super) predecessors: Vec<i64>,
}

impl From<String> for Named {
    fn from(username: String) -> Self {
        Self { username, predecessors: Vec::new() }
    }
}

/// Whose it is.
pub(super) fn username(
    whose: &Whose,
    certificate: Option<&Certificate>,
    known: &Known<'_>,
    by_names: &ByNames<'_>,
    terms: &Terms,
) -> Result<Named, String> {
    let stem = match whose {
        Whose::Named(username) => return Ok(username.clone().into()),
        Whose::Unnamed { stem } => stem,
    };
    let Some(certificate) = certificate else {
        return Err("nobody says whose it is".to_owned());
    };
    let san = &certificate.san;
    match terms.user_from {
        None => Err("whose it is has to be said: --user-from".to_owned()),
        Some(UserFrom::Filename) if stem.is_empty() => {
            Err("its file's name is a serial and names nobody; choose another --user-from"
                .to_owned())
        }
        Some(UserFrom::Filename) => Ok(stem.clone().into()),
        Some(UserFrom::CommonName) => {
            let name = certificate.common_name.clone();
            name.map(Named::from).ok_or_else(|| "it has not exactly one common name".to_owned())
        }
        Some(UserFrom::SanEmailLocal) => {
            local(&san.email, "e-mail address", &terms.domains).map(Named::from)
        }
        Some(UserFrom::SanUpnLocal) => {
            local(&san.upn, "user principal name", &terms.domains).map(Named::from)
        }
        Some(UserFrom::Renewal) => renewed(certificate, known, by_names, terms),
    }
}

/// What stands before the `@` of the only address in these domains.
fn local(names: &[String], what: &str, domains: &[String]) -> Result<String, String> {
    let parts = names.iter().filter_map(|name| name.rsplit_once('@'));
    let counts = |domain: &str| {
        domains.is_empty() || domains.iter().any(|one| one.eq_ignore_ascii_case(domain))
    };
    let mut locals: Vec<&str> =
        parts.filter(|(_, domain)| counts(domain)).map(|(local, _)| local).collect();
    locals.sort_unstable();
    locals.dedup();
    match locals.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(format!("it has no {what} of a domain that counts")),
        _ => Err(format!("it has several {what}s")),
    }
}

/// The domains of every address that would give a name, in lower case.
pub(super) fn domains<'c>(
    certificates: impl Iterator<Item = &'c Certificate>,
    user_from: Option<UserFrom>,
) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    for certificate in certificates {
        let names = match user_from {
            Some(UserFrom::SanEmailLocal) => &certificate.san.email,
            Some(UserFrom::SanUpnLocal) => &certificate.san.upn,
            _ => return domains,
        };
        for (_, domain) in names.iter().filter_map(|name| name.rsplit_once('@')) {
            let domain = domain.to_ascii_lowercase();
            if !domains.contains(&domain) && domains.len() < MAX_DOMAINS_TOLD {
                domains.push(domain);
            }
        }
    }
    domains
}

/// The user whose certificate this one renews. A predecessor that is blocked, or whose strongest
/// mapping is no longer in force, has no successor.
fn renewed(
    certificate: &Certificate,
    known: &Known<'_>,
    by_names: &ByNames<'_>,
    terms: &Terms,
) -> Result<Named, String> {
    let key = name_key(certificate).ok_or("it has neither a subject nor names to go by")?;
    let predecessors = by_names.get(&key).into_iter().flatten().copied();
    let (mut users, mut ids) = (Vec::new(), Vec::new());
    let own = Identity::from_certificate(certificate);
    for one in predecessors.chain([certificate]) {
        let identity = Identity::from_certificate(one);
        if known.block(&identity, terms.now).is_some() {
            continue;
        }
        let matching: Vec<_> = known.matching(&identity).collect();
        if matching.iter().any(|row| row.kind.is_strong() && row.state == State::Revoked) {
            continue;
        }
        let counting = matching.iter().filter(|row| terms.kinds.contains(row.kind));
        let Some(strongest) = counting.map(|row| row.kind).min() else { continue };
        let deciding = matching.iter().filter(|row| row.kind == strongest);
        for row in deciding.filter(|row| row.state == State::Live) {
            users.push(row.mapping.username.as_str());
            // One that is for the new certificate too has to stay.
            if strongest.is_strong() && !row.pattern.agrees(&own) {
                ids.push(row.mapping.id);
            }
        }
    }
    users.sort_unstable();
    users.dedup();
    ids.sort_unstable();
    ids.dedup();
    match users.as_slice() {
        [only] => Ok(Named { username: (*only).to_owned(), predecessors: ids }),
        [] => Err("it renews nothing: no mapping in force is for a certificate with the same \
                   issuer, subject and names"
            .to_owned()),
        several => Err(format!(
            "certificates with the same issuer, subject and names are of several users: {}",
            several.join(", ")
        )),
    }
}

/// Domains that a refusal names; more help nobody.
const MAX_DOMAINS_TOLD: usize = 8;
