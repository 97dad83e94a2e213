//! What is there, found by what it has in common with a claim.

use std::collections::HashMap;

use super::Existing;
use crate::directory::row::BlockRow;
use crate::directory::{
    Column, Directory, Kind, Pattern, PatternValue as Value, Rows, Settings, parse_pattern,
};
use crate::pki::{Fingerprint, Identity, SerialNumber, UnixTime};
use crate::store::{Block, HeldCertificate, Mapping, User};

/// Everything that is there, indexed.
pub(super) struct Known<'e> {
    users: HashMap<String, &'e User>,
    rows: Vec<Row<'e>>,
    by_value: HashMap<(Column, Box<[u8]>), Vec<usize>>,
    blocks: Blocks,
    certificates: &'e [HeldCertificate],
    by_sha256: HashMap<Fingerprint, usize>,
    by_spki: HashMap<Fingerprint, Vec<usize>>,
    by_serial: HashMap<SerialNumber, Vec<usize>>,
}

/// A mapping that can be read.
pub(super) struct Row<'e> {
    pub(super) mapping: &'e Mapping,
    pub(super) pattern: Pattern,
    pub(super) kind: Kind,
    pub(super) state: State,
}

/// Whether a mapping lets anybody in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// It is switched off.
    Disabled,
    /// Its window is over, or cannot be read.
    Ended,
    /// It does, or will.
    Live,
    /// It is revoked, or will be.
    Revoked,
}

impl State {
    /// Of a mapping with these columns.
    pub(super) fn of(
        enabled: bool,
        valid_until: Option<&str>,
        revoked_at: Option<&str>,
        now: UnixTime,
    ) -> Self {
        let until = valid_until.map(UnixTime::parse_rfc3339);
        if revoked_at.is_some() {
            Self::Revoked
        } else if !enabled {
            Self::Disabled
        } else {
            match until {
                None => Self::Live,
                Some(Ok(until)) if until > now => Self::Live,
                Some(_) => Self::Ended,
            }
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Ended => "ended",
            Self::Live => "in force",
            Self::Revoked => "revoked",
        }
    }
}

impl<'e> Known<'e> {
    pub(super) fn new(existing: &'e Existing, now: UnixTime) -> Self {
        let users = existing.users.iter();
        let users = users.map(|user| (user.username.to_ascii_lowercase(), user)).collect();
        let mut known = Self {
            users,
            rows: Vec::with_capacity(existing.mappings.len()),
            by_value: HashMap::new(),
            blocks: Blocks::new(&existing.blocks),
            certificates: &existing.certificates,
            by_sha256: HashMap::new(),
            by_spki: HashMap::new(),
            by_serial: HashMap::new(),
        };
        for mapping in &existing.mappings {
            // One that cannot be read matches nothing, so it neither lets in nor keeps out.
            let Ok(pattern) = parse_pattern(&mapping.pattern.row()) else { continue };
            let Some(kind) = pattern.kind() else { continue };
            let place = known.rows.len();
            for (column, value) in selective(&pattern) {
                known.by_value.entry((column, value.bytes().into())).or_default().push(place);
            }
            let state = State::of(
                mapping.enabled,
                mapping.valid_until.as_deref(),
                mapping.revoked_at.as_deref(),
                now,
            );
            known.rows.push(Row { mapping, pattern, kind, state });
        }
        for (place, held) in existing.certificates.iter().enumerate() {
            let certificate = &held.certificate;
            known.by_sha256.insert(certificate.sha256, place);
            known.by_spki.entry(certificate.spki_sha256).or_default().push(place);
            known.by_serial.entry(certificate.serial.clone()).or_default().push(place);
        }
        known
    }

    /// The user of this name, in whatever case.
    pub(super) fn user(&self, username: &str) -> Option<&'e User> {
        self.users.get(&username.to_ascii_lowercase()).copied()
    }

    pub(super) fn users(&self) -> impl Iterator<Item = &'e User> {
        self.users.values().copied()
    }

    pub(super) fn rows(&self) -> &[Row<'e>] {
        &self.rows
    }

    /// Mappings of exactly this pattern.
    pub(super) fn same<'k>(&'k self, pattern: &'k Pattern) -> impl Iterator<Item = &'k Row<'e>> {
        self.near(pattern).filter(move |row| is_same(&row.pattern, pattern))
    }

    /// Mappings that may mean a certificate that this pattern means: what both name is equal.
    pub(super) fn overlapping<'k>(
        &'k self,
        pattern: &'k Pattern,
    ) -> impl Iterator<Item = &'k Row<'e>> {
        self.near(pattern).filter(move |row| overlap(&row.pattern, pattern))
    }

    fn near<'k>(&'k self, pattern: &'k Pattern) -> impl Iterator<Item = &'k Row<'e>> {
        let keys = selective(pattern).map(|(column, value)| (column, value.bytes().into()));
        self.at(keys.collect())
    }

    /// Mappings that match what a certificate shows, whatever their state.
    pub(super) fn matching<'k>(
        &'k self,
        identity: &'k Identity,
    ) -> impl Iterator<Item = &'k Row<'e>> {
        self.at(keys_of(identity)).filter(move |row| row.pattern.agrees(identity))
    }

    fn at<'k>(
        &'k self,
        keys: Vec<(Column, Box<[u8]>)>,
    ) -> impl Iterator<Item = &'k Row<'e>> + use<'k, 'e> {
        let mut places: Vec<usize> =
            keys.iter().filter_map(|key| self.by_value.get(key)).flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|place| self.rows.get(place))
    }

    /// The certificates of the table that a pattern means.
    pub(super) fn certificates_of(&self, pattern: &Pattern) -> Vec<&'e HeldCertificate> {
        let mut places: Vec<usize> = Vec::new();
        match (
            pattern.value(Column::Sha256),
            pattern.value(Column::SpkiSha256),
            pattern.value(Column::Serial),
        ) {
            (Some(Value::Digest(sha256)), _, _) => places.extend(self.by_sha256.get(sha256)),
            (_, Some(Value::Digest(spki)), _) => {
                places.extend(self.by_spki.get(spki).into_iter().flatten());
            }
            (_, _, Some(Value::Serial(serial))) => {
                places.extend(self.by_serial.get(serial).into_iter().flatten());
            }
            _ => {}
        }
        let held = places.into_iter().filter_map(|place| self.certificates.get(place));
        held.filter(|held| pattern.agrees(&Identity::from_certificate(&held.certificate))).collect()
    }

    /// The certificates of the table with this key.
    pub(super) fn certificates_of_key(
        &self,
        spki: &Fingerprint,
    ) -> impl Iterator<Item = &'e HeldCertificate> {
        let places = self.by_spki.get(spki).into_iter().flatten();
        places.filter_map(|place| self.certificates.get(*place))
    }

    pub(super) fn certificate(&self, sha256: &Fingerprint) -> Option<&'e HeldCertificate> {
        self.by_sha256.get(sha256).and_then(|place| self.certificates.get(*place))
    }

    /// The block in force that keeps this certificate out.
    pub(super) fn block(&self, identity: &Identity, now: UnixTime) -> Option<i64> {
        self.blocks.directory.find_block(identity, now).map(|block| block.id)
    }

    /// The block in force that may mean a certificate that this pattern means.
    pub(super) fn block_overlapping(&self, pattern: &Pattern, now: UnixTime) -> Option<i64> {
        let mut hits =
            self.blocks.near(pattern).filter(|row| row.is_in_force(now) && row.means(pattern));
        hits.next().map(|row| row.id)
    }

    /// Whether a block of exactly this pattern is in force, and if one is there but is not, its id.
    pub(super) fn same_block(&self, pattern: &Pattern, now: UnixTime) -> Option<(i64, bool)> {
        let mut same = self.blocks.near(pattern).filter(|row| is_same(&row.pattern, pattern));
        let first = same.next()?;
        let is_any = first.is_in_force(now) || same.any(|row| row.is_in_force(now));
        Some((first.id, is_any))
    }
}

/// The blocks, once as the service reads them and once by their values.
struct Blocks {
    directory: Directory,
    rows: Vec<BlockOf>,
    by_value: HashMap<(Column, Box<[u8]>), Vec<usize>>,
    /// Those that name an issuer alone.
    of_authorities: Vec<usize>,
}

struct BlockOf {
    id: i64,
    pattern: Pattern,
    enabled: bool,
    valid_from: Option<UnixTime>,
    valid_until: Option<UnixTime>,
}

impl BlockOf {
    fn is_in_force(&self, now: UnixTime) -> bool {
        self.enabled
            && self.valid_from.is_none_or(|from| from <= now)
            && self.valid_until.is_none_or(|until| now < until)
    }

    fn means(&self, pattern: &Pattern) -> bool {
        let is_of_authority = selective(&self.pattern).next().is_none();
        if is_of_authority {
            agree_in_common(&self.pattern, pattern) > 0
        } else {
            overlap(&self.pattern, pattern)
        }
    }
}

impl Blocks {
    /// Those that have a value in common with a pattern, and those of whole CAs.
    fn near(&self, pattern: &Pattern) -> impl Iterator<Item = &BlockOf> {
        let keys = selective(pattern).map(|(column, value)| (column, value.bytes().into()));
        let keys: Vec<(Column, Box<[u8]>)> = keys.collect();
        let places = keys.iter().filter_map(|key| self.by_value.get(key)).flatten();
        let places: Vec<usize> = places.chain(&self.of_authorities).copied().collect();
        places.into_iter().filter_map(|place| self.rows.get(place))
    }

    fn new(blocks: &[Block]) -> Self {
        let bytes = |text: &Option<String>| text.clone().map(String::into_bytes);
        let rows = Rows {
            blocks: blocks
                .iter()
                .map(|block| BlockRow {
                    pattern: block.pattern.row(),
                    id: block.id,
                    enabled: i64::from(block.enabled),
                    valid_from: bytes(&block.valid_from),
                    valid_until: bytes(&block.valid_until),
                    reason: None,
                })
                .collect(),
            ..Rows::default()
        };
        let mut made = Self {
            directory: Directory::build(&rows, &Settings::default()),
            rows: Vec::new(),
            by_value: HashMap::new(),
            of_authorities: Vec::new(),
        };
        let time = |text: &Option<String>| {
            text.as_deref().and_then(|text| UnixTime::parse_rfc3339(text).ok())
        };
        for block in blocks {
            let Ok(pattern) = parse_pattern(&block.pattern.row()) else { continue };
            let place = made.rows.len();
            let keys: Vec<_> = selective(&pattern)
                .map(|(column, value)| (column, Box::from(value.bytes())))
                .collect();
            if keys.is_empty() {
                made.of_authorities.push(place);
            }
            for key in keys {
                made.by_value.entry(key).or_default().push(place);
            }
            made.rows.push(BlockOf {
                id: block.id,
                pattern,
                enabled: block.enabled,
                valid_from: time(&block.valid_from),
                valid_until: time(&block.valid_until),
            });
        }
        made
    }
}

/// The columns that tell certificates of one CA apart.
fn selective(pattern: &Pattern) -> impl Iterator<Item = (Column, &Value)> {
    let is_of_authority = |column: Column| matches!(column, Column::Issuer | Column::IssuerKeyId);
    pattern.columns().filter(move |(column, _)| !is_of_authority(*column))
}

/// Whether both set the same columns to the same values.
fn is_same(one: &Pattern, other: &Pattern) -> bool {
    one == other
}

/// How many columns both set, all of them to the same value; 0 where one differs.
fn agree_in_common(one: &Pattern, other: &Pattern) -> usize {
    let mut common = 0;
    for (column, value) in one.columns() {
        match other.value(column) {
            Some(same) if same == value => common += 1,
            Some(_) => return 0,
            None => {}
        }
    }
    common
}

/// Whether both name at least one thing that tells certificates apart, and nothing differs.
fn overlap(one: &Pattern, other: &Pattern) -> bool {
    let shared = selective(one).any(|(column, value)| other.value(column) == Some(value));
    shared && agree_in_common(one, other) > 0
}

/// Everything by which a mapping could match what is shown.
fn keys_of(identity: &Identity) -> Vec<(Column, Box<[u8]>)> {
    let mut keys: Vec<(Column, Box<[u8]>)> = Vec::new();
    let mut push = |column, bytes: &[u8]| keys.push((column, bytes.into()));
    if let Some(sha256) = &identity.sha256 {
        push(Column::Sha256, sha256.as_bytes());
    }
    if let Some(spki) = &identity.spki_sha256 {
        push(Column::SpkiSha256, spki.as_bytes());
    }
    if let Some(serial) = &identity.serial {
        push(Column::Serial, serial.as_bytes());
    }
    if let Some(subject) = &identity.subject {
        push(Column::Subject, subject.canonical());
    }
    if let Some(name) = &identity.common_name {
        push(Column::CommonName, name.as_bytes());
    }
    for (column, names) in [
        (Column::SanEmail, &identity.san_email),
        (Column::SanUpn, &identity.san_upn),
        (Column::SanUri, &identity.san_uri),
        (Column::SanDns, &identity.san_dns),
    ] {
        names.iter().for_each(|name| push(column, name.as_bytes()));
    }
    keys
}
