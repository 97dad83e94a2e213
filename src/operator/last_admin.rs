//! That an administrator is left: somebody who could really come in after the change.
//!
//! Judged inside the transaction that changes, under one lock, by the directory's own matching of
//! the rows as they are then. Two answers are kept apart: who certainly comes in, and who perhaps
//! does, by a certificate that nobody has shown yet. Neither may lose its last one.
//!
//! Chains and revocation lists are not asked: they are files of the machine that serves.

use std::collections::BTreeSet;

use super::ground::Ground;
use crate::decide::is_issuer_allowed;
use crate::directory::row::MappingRow;
use crate::directory::{
    Directory, Found, Kind, Kinds, Name, Rows, parse_pattern, partial_identity,
};
use crate::pki::{Certificate, Fingerprint, Identity, UnixTime};
use crate::store::{Digits, StoreError, Work};

/// The change would leave nobody who can administer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nobody would be left who can come in as an administrator: put another user into the \
     administrators' group first, one with a mapping of sha256, spki or issuer and serial whose \
     certificate is known (`certgate mapping add --cert`)"
)]
pub struct LastAdministrator;

/// Who administers, as one transaction sees it.
#[derive(Debug)]
pub struct Administrators {
    directory: Directory,
    group: Name,
    ground: Ground,
    /// What would be shown by each certificate that a strong mapping of theirs names.
    shown: Vec<Shown>,
    /// When something begins or ends that counts here.
    edges: BTreeSet<UnixTime>,
}

/// What somebody shows.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What requests show of it.
    pub identity: Identity,
    /// None where the certificate itself is not known: then its dates and usages are not judged.
    pub certificate: Option<Certificate>,
    /// Whether such a certificate is known to exist. A fingerprint, or a key, may be of one that
    /// nobody has.
    pub is_certain: bool,
}

impl Administrators {
    /// Reads who administers. Whoever takes [`Work::lock_administrators`] waits until this
    /// transaction ends, if it took it first; raw SQL does not.
    ///
    /// `caller` is what somebody who asks has shown.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn read(
        work: &mut Work,
        ground: &Ground,
        caller: Option<&Shown>,
    ) -> Result<Self, StoreError> {
        let settings = &ground.settings;
        let mut rows = work.administrator_rows(&settings.admin_group).await?;
        let mut shown = Vec::new();
        for mapping in &rows.mappings {
            shown.extend(read_shown(work, mapping, ground, caller).await?);
        }
        // A mapping of somebody else can make a certificate of theirs ambiguous, or revoke it.
        let rivals = work.administrator_rivals(&settings.admin_group, digits(&shown, caller));
        let rivals = rivals.await?;
        rows.mappings.extend(rivals.mappings);
        rows.users.extend(rivals.users);
        // A group that is no name has no member.
        let group = Name::parse(settings.admin_group.as_bytes()).map_err(|error| {
            StoreError::Unreadable { place: "admin.group".to_owned(), reason: error.to_string() }
        })?;
        let directory = Directory::build(&rows, settings);
        let edges = edges(&rows, &shown);
        Ok(Self { directory, group, ground: ground.clone(), shown, edges })
    }

    /// The users who could come in at `now`; `certainly`: by a certificate that is known to exist.
    #[must_use]
    pub fn able(&self, now: UnixTime, certainly: bool) -> BTreeSet<String> {
        let able = self.shown.iter().filter(|shown| {
            (shown.is_certain || !certainly)
                && self.is_issuer_allowed(shown)
                && shown.certificate.as_ref().is_none_or(|certificate| {
                    is_valid(certificate, now) && self.ground.usage.judge(certificate).is_ok()
                })
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

    /// Where the certificate is not known, what is not told does not speak against it.
    fn is_issuer_allowed(&self, shown: &Shown) -> bool {
        let allowed = &self.ground.issuers;
        match (&shown.certificate, &shown.identity.issuer) {
            (Some(_), _) => is_issuer_allowed(&shown.identity, allowed),
            (None, Some(name)) => allowed.is_empty() || allowed.iter().any(|one| one.name == *name),
            (None, None) => true,
        }
    }

    /// Checks that a change has left somebody, if there was anybody before: now, a day later, and
    /// whenever something begins or ends in between, as the database's clock may be ahead and an
    /// end can be set for tomorrow.
    ///
    /// # Errors
    /// Nobody is left.
    pub fn check_left(&self, after: &Self, now: UnixTime) -> Result<(), LastAdministrator> {
        let later = UnixTime::from_micros(now.as_micros().saturating_add(FORESIGHT_MICROS));
        let mut instants = BTreeSet::from([now, later]);
        for edges in [&self.edges, &after.edges] {
            instants.extend(edges.range(now..later));
        }
        for instant in instants {
            for certainly in [true, false] {
                let is_lost = after.able(instant, certainly).is_empty();
                if is_lost && !self.able(instant, certainly).is_empty() {
                    return Err(LastAdministrator);
                }
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

/// The instants from which on the answer can be another one.
fn edges(rows: &Rows, shown: &[Shown]) -> BTreeSet<UnixTime> {
    let mut texts = Vec::new();
    for row in &rows.users {
        texts.extend([&row.valid_from, &row.valid_until]);
    }
    for row in &rows.mappings {
        texts.extend([&row.valid_from, &row.valid_until, &row.revoked_at]);
    }
    for row in &rows.blocks {
        texts.extend([&row.valid_from, &row.valid_until]);
    }
    // A time that cannot be read holds always, so it is no edge.
    let read = |text: &Option<Vec<u8>>| {
        UnixTime::parse_rfc3339(std::str::from_utf8(text.as_deref()?).ok()?).ok()
    };
    let mut edges: BTreeSet<UnixTime> = texts.into_iter().filter_map(read).collect();
    for certificate in shown.iter().filter_map(|shown| shown.certificate.as_ref()) {
        let end = certificate.not_after.as_seconds().saturating_add(1);
        edges.extend([certificate.not_before, UnixTime::from_seconds(end)]);
    }
    edges
}

/// What other people's mappings of the same certificates hang on.
fn digits(shown: &[Shown], caller: Option<&Shown>) -> Digits {
    let mut digits = Digits::default();
    for Shown { identity, .. } in shown.iter().chain(caller) {
        digits.sha256.extend(identity.sha256.map(|digest| digest.to_string()));
        digits.spki_sha256.extend(identity.spki_sha256.map(|digest| digest.to_string()));
        digits.serial.extend(identity.serial.as_ref().map(|serial| {
            serial.to_string().to_ascii_lowercase().trim_start_matches('0').to_owned()
        }));
    }
    digits
}

/// What a strong mapping's certificate would show: the certificate itself where it is known, else
/// what the row says of it.
async fn read_shown(
    work: &mut Work,
    mapping: &MappingRow,
    ground: &Ground,
    caller: Option<&Shown>,
) -> Result<Vec<Shown>, StoreError> {
    let Some(identity) = partial_identity(&mapping.pattern) else { return Ok(Vec::new()) };
    let Ok(pattern) = parse_pattern(&mapping.pattern) else { return Ok(Vec::new()) };
    let Some(kind) = pattern.kind().filter(|kind| kind.is_strong()) else {
        return Ok(Vec::new());
    };
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
            identity: ground.identity(&certificate),
            certificate: Some(certificate),
            is_certain: true,
        })
        .filter(|shown| pattern.agrees(&shown.identity))
        .collect();
    known.extend(caller.filter(|caller| pattern.agrees(&caller.identity)).cloned());
    if known.is_empty() {
        // Whoever writes down an issuer and a serial has them from a certificate.
        let is_certain = kind == Kind::IssuerSerial;
        return Ok(vec![Shown { identity, certificate: None, is_certain }]);
    }
    Ok(known)
}
