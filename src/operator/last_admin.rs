//! That an administrator is left: somebody who could really come in after the change.
//!
//! Judged inside the transaction that changes, under one lock, by the directory's own matching of
//! the rows as they are then. Where it is not known whether somebody could come in, in doubt he
//! could not.

use std::collections::BTreeSet;

use crate::directory::row::MappingRow;
use crate::directory::{
    Directory, Found, Kind, Kinds, Name, Settings, parse_pattern, partial_identity,
};
use crate::pki::{Certificate, Fingerprint, Identity, UnixTime};
use crate::store::{StoreError, Work};

/// The change would leave nobody who can administer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nobody would be left who can come in as an administrator: put another user into the \
     administrators' group first, one with a mapping of sha256, spki or issuer and serial"
)]
pub struct LastAdministrator;

/// Who administers, as one transaction sees it.
#[derive(Debug)]
pub struct Administrators {
    directory: Directory,
    group: Name,
    /// What would be shown by each certificate that a strong mapping of theirs names.
    shown: Vec<Shown>,
}

#[derive(Debug)]
struct Shown {
    identity: Identity,
    /// None where the certificate itself is not known, or its dates were judged a moment ago.
    certificate: Option<Certificate>,
}

impl Administrators {
    /// Reads who administers. Nobody else who asks does so until this transaction ends.
    ///
    /// `caller` is what somebody who asks has shown. `touched` are mappings that count besides: one of another user can make an administrator's
    /// certificate ambiguous, or revoke it.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn read(
        work: &mut Work,
        settings: &Settings,
        caller: Option<&Identity>,
        touched: &[i64],
    ) -> Result<Self, StoreError> {
        let rows = work.administrator_rows(&settings.admin_group, touched).await?;
        let mut shown = Vec::new();
        for mapping in &rows.mappings {
            shown.extend(read_shown(work, mapping, caller).await?);
        }
        // A group that is no name has no member.
        let group = Name::parse(settings.admin_group.as_bytes()).map_err(|error| {
            StoreError::Unreadable { place: "admin.group".to_owned(), reason: error.to_string() }
        })?;
        Ok(Self { directory: Directory::build(&rows, settings), group, shown })
    }

    /// The users who could come in at `now`.
    #[must_use]
    pub fn able(&self, now: UnixTime) -> BTreeSet<String> {
        let able = self.shown.iter().filter(|shown| {
            shown.certificate.as_ref().is_none_or(|certificate| is_valid(certificate, now))
        });
        able.filter_map(|shown| self.admits(&shown.identity, now)).collect()
    }

    /// Who would come in as an administrator with what is shown.
    #[must_use]
    pub fn admits(&self, identity: &Identity, now: UnixTime) -> Option<String> {
        if self.directory.find_block(identity, now).is_some() {
            return None;
        }
        let Found::Active(_, user) = self.directory.find(identity, now, Kinds::with_weak(&[]))
        else {
            return None;
        };
        let is_open = user.window.is_some_and(|window| window.is_open(now));
        (is_open && user.is_member(self.group.as_str())).then(|| user.username.to_string())
    }

    /// Checks that a change has left somebody, if there was anybody before: now, and a day later,
    /// as the database's clock may be ahead and an end can be set for tomorrow.
    ///
    /// # Errors
    /// Nobody is left.
    pub fn check_left(&self, after: &Self, now: UnixTime) -> Result<(), LastAdministrator> {
        let later = UnixTime::from_micros(now.as_micros().saturating_add(FORESIGHT_MICROS));
        for instant in [now, later] {
            if after.able(instant).is_empty() && !self.able(instant).is_empty() {
                return Err(LastAdministrator);
            }
        }
        Ok(())
    }
}

/// How far ahead it is judged whether somebody is left: a day.
const FORESIGHT_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// By the certificate's own dates, as a request with it would be judged.
fn is_valid(certificate: &Certificate, now: UnixTime) -> bool {
    let seconds = now.as_seconds();
    certificate.not_before <= now && seconds <= certificate.not_after.as_seconds()
}

/// What a strong mapping's certificate would show: the certificate itself where it is known, else
/// what the row says of it.
async fn read_shown(
    work: &mut Work,
    mapping: &MappingRow,
    caller: Option<&Identity>,
) -> Result<Vec<Shown>, StoreError> {
    let Some(identity) = partial_identity(&mapping.pattern) else { return Ok(Vec::new()) };
    let Ok(pattern) = parse_pattern(&mapping.pattern) else { return Ok(Vec::new()) };
    if !pattern.kind().is_some_and(Kind::is_strong) {
        return Ok(Vec::new());
    }
    let digest = |digest: Option<Fingerprint>| digest.map(|digest| digest.to_string());
    let serial = identity.serial.as_ref().map(ToString::to_string);
    let ders = work
        .administrator_certificates(
            digest(identity.sha256).as_deref(),
            digest(identity.spki_sha256).as_deref(),
            serial.as_deref(),
        )
        .await?;
    let mut known: Vec<Shown> = ders
        .iter()
        .filter_map(|der| Certificate::from_der(der).ok())
        .map(|certificate| Shown {
            identity: Identity::from_certificate(&certificate),
            certificate: Some(certificate),
        })
        .filter(|shown| pattern.agrees(&shown.identity))
        .collect();
    if let Some(caller) = caller.filter(|caller| pattern.agrees(caller)) {
        known.push(Shown { identity: caller.clone(), certificate: None });
    }
    if known.is_empty() {
        return Ok(vec![Shown { identity, certificate: None }]);
    }
    Ok(known)
}
