//! Finding candidates by hash; whether they match is always checked on the values themselves.
//!
//! A collision costs time and cannot change an answer. The hash is keyed anew in each load; it is a
//! fast one, since only those who may write rows could make keys collide, and they see no hash.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::block::{Block, fold};
use super::kind::Kind;
use super::mapping::Mapping;
use super::name::MAX_NAME_BYTES;
use super::pattern::{Column, is_visible, shown_texts};
use super::shelf::{Records, SHARD_BITS, Shelf};
use super::user::User;
use crate::pki::{DistinguishedName, Fingerprint, Identity, SerialNumber, Shows};

/// Users by name.
#[derive(Clone, Debug, Default)]
pub(super) struct UserIndex {
    /// By the name in lower case: a name that differs only by case is found as well.
    shelf: Shelf,
    hasher: DefaultHashBuilder,
    separator: char,
}

impl UserIndex {
    pub(super) fn new(separator: char) -> Self {
        Self { separator, ..Self::default() }
    }

    pub(super) const fn len(&self) -> usize {
        self.shelf.len()
    }

    /// The user of exactly this name.
    pub(super) fn get(&self, username: &str) -> Option<User<'_>> {
        let mut users = self.shelf.find(self.hash(username.as_bytes()));
        let record = users.find(|record| User::is_named(record, username))?;
        User::unpack(record, self.separator)
    }

    /// As [`UserIndex::holds`], of a name as a row has it.
    pub(super) fn holds_bytes(&self, username: &[u8]) -> bool {
        std::str::from_utf8(username).is_ok_and(|username| self.holds(username))
    }

    /// Users whose names differ from this one by case at most.
    pub(super) fn of_any_case<'d, 'n>(
        &'d self,
        username: &'n str,
    ) -> impl Iterator<Item = User<'d>> + use<'d, 'n> {
        let users = self.shelf.find(self.hash(username.as_bytes()));
        users
            .filter_map(|record| User::unpack(record, self.separator))
            .filter(move |user| user.username.eq_ignore_ascii_case(username))
    }

    /// Whether there is a user of exactly this name.
    pub(super) fn holds(&self, username: &str) -> bool {
        let mut users = self.shelf.find(self.hash(username.as_bytes()));
        users.any(|record| User::is_named(record, username))
    }

    /// Puts a user in the place of who had exactly this name. False where there is no room.
    pub(super) fn put(&mut self, user: &User<'_>) -> bool {
        let hash = self.hash(user.username.as_bytes());
        self.shelf.remove(hash, |record| User::is_named(record, &user.username));
        self.shelf.insert(hash, &user.pack())
    }

    /// Takes a user away; true if there was one.
    pub(super) fn remove(&mut self, username: &str) -> bool {
        let is = |record: &[u8]| User::is_named(record, username);
        self.shelf.remove(self.hash(username.as_bytes()), is).is_some()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.shelf.iter()
    }

    /// The hash under which users of this name are found, whatever its case.
    pub(super) fn hash(&self, username: &[u8]) -> u32 {
        // The usual case needs no copy.
        if !username.iter().any(u8::is_ascii_uppercase) {
            return short(self.hasher.hash_one(username));
        }
        let mut folded = [0; MAX_NAME_BYTES];
        // A text that is longer than any name finds nobody, whatever its hash.
        let length = username.len().min(MAX_NAME_BYTES);
        let folded = folded.get_mut(..length).unwrap_or_default();
        folded.copy_from_slice(username.get(..length).unwrap_or_default());
        folded.make_ascii_lowercase();
        short(self.hasher.hash_one(&*folded))
    }
}

/// Mappings by kind and key, and by id.
#[derive(Clone, Debug, Default)]
pub(super) struct MappingIndex {
    shelf: Shelf,
    /// By id: where its record is, by hash.
    by_id: Shelf,
    /// How many of each kind, so that a kind nobody uses costs a request nothing.
    counts: [usize; Kind::ALL.len()],
    hasher: DefaultHashBuilder,
}

/// Bits of an id in which neighbours differ: a shard of a million rows holds about so many.
const NEIGHBOUR_BITS: u32 = SHARD_BITS;
/// Bits of an id's hash that are its own: those that choose no shard.
const LOWER_BITS: u32 = u32::MAX >> SHARD_BITS;
/// An id and the hash of a key.
const PLACE_BYTES: usize = 12;

impl MappingIndex {
    /// False where there is no room.
    pub(super) fn insert(&mut self, mapping: &Mapping<'_>) -> bool {
        let hash = self.hash(mapping.kind, mapping.key());
        let is_put = self.shelf.insert(hash, &mapping.pack())
            && self.by_id.insert(self.id_hash(mapping.id), &place(mapping.id, hash));
        if let Some(count) = self.counts.get_mut(mapping.kind as usize) {
            *count += usize::from(is_put);
        }
        is_put
    }

    pub(super) fn remove(&mut self, id: i64) {
        let is_place = |record: &[u8]| record.first_chunk() == Some(&id.to_le_bytes());
        let Some(place) = self.by_id.remove(self.id_hash(id), is_place) else { return };
        let Some(hash) = place.last_chunk().copied().map(u32::from_le_bytes) else { return };
        let is = |record: &[u8]| Mapping::unpack(record).is_some_and(|mapping| mapping.id == id);
        let Some(record) = self.shelf.remove(hash, is) else { return };
        let kind = Mapping::unpack(&record).map(|mapping| mapping.kind);
        if let Some(count) = kind.and_then(|kind| self.counts.get_mut(kind as usize)) {
            *count -= 1;
        }
    }

    /// The mapping of that id.
    pub(super) fn get(&self, id: i64) -> Option<Mapping<'_>> {
        let is_place = |record: &&[u8]| record.first_chunk() == Some(&id.to_le_bytes());
        let place = self.by_id.find(self.id_hash(id)).find(is_place)?;
        let hash = u32::from_le_bytes(*place.last_chunk()?);
        self.shelf.find(hash).filter_map(Mapping::unpack).find(|mapping| mapping.id == id)
    }

    pub(super) const fn len(&self) -> usize {
        self.shelf.len()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.shelf.iter()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Mapping<'_>> {
        self.shelf.iter().filter_map(Mapping::unpack)
    }

    /// Whether there is any mapping of this kind.
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.counts.get(kind as usize).is_some_and(|count| *count > 0)
    }

    /// The mappings of one kind that match.
    pub(super) fn matches<'d, 'i>(&'d self, kind: Kind, identity: &'i Identity) -> Matches<'d, 'i> {
        let keys = Keys::of(kind, identity);
        Matches { index: self, kind, identity, keys, records: Records::NONE }
    }

    fn hash(&self, kind: Kind, key: Key<'_>) -> u32 {
        short(self.hasher.hash_one((kind, key)))
    }

    /// Neighbours share the upper bits, and so a shard: rows come in the order of their ids, and a
    /// load then writes where it has just written.
    fn id_hash(&self, id: i64) -> u32 {
        let upper = short(self.hasher.hash_one(id >> NEIGHBOUR_BITS));
        let lower = short(self.hasher.hash_one(id));
        upper & !LOWER_BITS | lower & LOWER_BITS
    }
}

fn place(id: i64, hash: u32) -> [u8; PLACE_BYTES] {
    let mut place = [0; PLACE_BYTES];
    let bytes = id.to_le_bytes().into_iter().chain(hash.to_le_bytes());
    for (to, from) in place.iter_mut().zip(bytes) {
        *to = from;
    }
    place
}

/// The upper half of a hash.
fn short(hash: u64) -> u32 {
    u32::try_from(hash >> u32::BITS).unwrap_or_default()
}

/// Positions of rows, each beside the hash of its key.
type Table = HashTable<(u64, i64)>;

/// A pair of canonical values, the second empty where the kind hangs on one column.
type Key<'i> = (&'i [u8], &'i [u8]);

/// Every key of a kind that is shown.
#[derive(Debug)]
struct Keys<'i> {
    single: Option<Key<'i>>,
    texts: &'i [String],
}

impl<'i> Keys<'i> {
    fn of(kind: Kind, identity: &'i Identity) -> Self {
        let single = |single| Self { single, texts: &[] };
        let alone = |value: Option<&'i [u8]>| single(value.map(|value| (value, &[][..])));
        let texts = |column| Self { single: None, texts: shown_texts(column, identity) };
        let issuer = || identity.issuer.as_ref().map(DistinguishedName::canonical);
        let subject = || identity.subject.as_ref().map(DistinguishedName::canonical);
        let serial = || identity.serial.as_ref().map(SerialNumber::as_bytes);
        let digest = |digest: &'i Option<Fingerprint>| digest.as_ref().map(|d| &d.as_bytes()[..]);
        match kind {
            Kind::Sha256 => alone(digest(&identity.sha256)),
            Kind::Spki => alone(digest(&identity.spki_sha256)),
            Kind::IssuerSerial => single(issuer().zip(serial())),
            Kind::IssuerSubject => single(issuer().zip(subject())),
            Kind::Subject => alone(subject()),
            Kind::Serial => alone(serial()),
            Kind::SanEmail => texts(Column::SanEmail),
            Kind::SanUpn => texts(Column::SanUpn),
            Kind::SanUri => texts(Column::SanUri),
            Kind::SanDns => texts(Column::SanDns),
            Kind::CommonName => texts(Column::CommonName),
        }
    }
}

impl<'i> Iterator for Keys<'i> {
    type Item = Key<'i>;

    fn next(&mut self) -> Option<Key<'i>> {
        if let Some(key) = self.single.take() {
            return Some(key);
        }
        let (text, rest) = self.texts.split_first()?;
        self.texts = rest;
        Some((text.as_bytes(), &[]))
    }
}

/// The mappings of one kind that match. Plain loops, as in [`Records`].
#[derive(Debug)]
pub(super) struct Matches<'d, 'i> {
    index: &'d MappingIndex,
    kind: Kind,
    identity: &'i Identity,
    keys: Keys<'i>,
    records: Records<'d>,
}

impl<'d> Iterator for Matches<'d, '_> {
    type Item = Mapping<'d>;

    fn next(&mut self) -> Option<Mapping<'d>> {
        loop {
            for record in self.records.by_ref() {
                if let Some(mapping) = Mapping::unpack(record)
                    && mapping.kind == self.kind
                    && mapping.matches(self.identity)
                {
                    return Some(mapping);
                }
            }
            let key = self.keys.next()?;
            self.records = self.index.shelf.find(self.index.hash(self.kind, key));
        }
    }
}

/// Blocks by one column each.
///
/// Which column differs by what the input shows: the first of [`BY_CERTIFICATE`] for a
/// certificate, the first of [`BY_HEADERS`] for headers. Headers that show less than all three are
/// rare; for them every block is a candidate.
#[derive(Clone, Debug, Default)]
pub(super) struct BlockIndex {
    rows: HashMap<i64, Arc<Block>>,
    by_certificate: HashMap<Column, Table>,
    by_headers: HashMap<Column, Table>,
    hasher: DefaultHashBuilder,
}

/// The column that finds a block for a certificate, most telling first; all are visible there.
const BY_CERTIFICATE: [Column; 11] = [
    Column::Sha256,
    Column::SpkiSha256,
    Column::Serial,
    Column::Subject,
    Column::SanEmail,
    Column::SanUpn,
    Column::SanUri,
    Column::SanDns,
    Column::CommonName,
    Column::IssuerKeyId,
    Column::Issuer,
];

/// The same for headers; a block with none of these cannot be compared there.
const BY_HEADERS: [Column; 4] =
    [Column::Serial, Column::Subject, Column::CommonName, Column::Issuer];

impl BlockIndex {
    pub(super) fn insert(&mut self, block: Block) {
        for (table, hash) in self.places(&block) {
            let entry = (hash, block.id);
            self.tables(table).entry(table.column).or_default().insert_unique(hash, entry, |e| e.0);
        }
        self.rows.insert(block.id, Arc::new(block));
    }

    pub(super) fn remove(&mut self, id: i64) {
        let Some(block) = self.rows.remove(&id) else { return };
        for (table, hash) in self.places(&block) {
            let Some(entries) = self.tables(table).get_mut(&table.column) else { continue };
            if let Ok(entry) = entries.find_entry(hash, |entry| *entry == (hash, id)) {
                entry.remove();
            }
        }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Block> {
        self.rows.values().map(|block| &**block)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Every block that could match what was presented, and perhaps others.
    pub(super) fn candidates(&self, identity: &Identity) -> Vec<&Block> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let tables = match identity.shows {
            Shows::Certificate => &self.by_certificate,
            Shows::Headers if shows_all_headers(identity) => &self.by_headers,
            Shows::Headers | Shows::Parts => return self.rows().collect(),
        };
        let mut found = Vec::new();
        for (column, table) in tables.iter().filter(|(_, table)| !table.is_empty()) {
            for key in block_keys(*column, identity) {
                let hash = self.hasher.hash_one(&*key);
                let entries = table.iter_hash(hash).filter(|entry| entry.0 == hash);
                found.extend(entries.filter_map(|(_, id)| self.rows.get(id).map(|block| &**block)));
            }
        }
        found
    }

    fn tables(&mut self, place: Filed) -> &mut HashMap<Column, Table> {
        match place.shows {
            Shows::Certificate => &mut self.by_certificate,
            Shows::Headers | Shows::Parts => &mut self.by_headers,
        }
    }

    /// Where a block is filed: under the first column of each order that it compares, once for
    /// every form in which that may be shown.
    fn places(&self, block: &Block) -> Vec<(Filed, u64)> {
        let orders = [(Shows::Certificate, &BY_CERTIFICATE[..]), (Shows::Headers, &BY_HEADERS[..])];
        let mut places = Vec::new();
        for (shows, order) in orders {
            let mut wanted = order.iter().copied();
            let Some(column) = wanted.find(|wanted| block.columns().any(|has| has == *wanted))
            else {
                continue;
            };
            let hashes = block.keys(column).into_iter().map(|key| self.hasher.hash_one(key));
            places.extend(hashes.map(|hash| (Filed { shows, column }, hash)));
        }
        places
    }
}

/// One table of a [`BlockIndex`].
#[derive(Clone, Copy)]
struct Filed {
    shows: Shows,
    column: Column,
}

fn shows_all_headers(identity: &Identity) -> bool {
    [Column::Serial, Column::Subject, Column::Issuer]
        .into_iter()
        .all(|column| is_visible(column, identity))
}

/// The values shown in a column, in the form blocks are filed under.
fn block_keys(column: Column, identity: &Identity) -> Vec<Cow<'_, [u8]>> {
    match column {
        Column::Sha256 => {
            identity.sha256.iter().map(|d| Cow::Borrowed(&d.as_bytes()[..])).collect()
        }
        Column::SpkiSha256 => {
            identity.spki_sha256.iter().map(|d| Cow::Borrowed(&d.as_bytes()[..])).collect()
        }
        Column::Serial => identity.serial.iter().map(|s| Cow::Borrowed(s.as_bytes())).collect(),
        Column::Issuer => identity.issuer.iter().map(|n| Cow::Borrowed(n.canonical())).collect(),
        Column::Subject => identity.subject.iter().map(|n| Cow::Borrowed(n.canonical())).collect(),
        Column::IssuerKeyId => {
            identity.issuer_key_id.iter().map(|id| Cow::Borrowed(&id[..])).collect()
        }
        Column::SanEmail
        | Column::SanUpn
        | Column::SanUri
        | Column::SanDns
        | Column::CommonName => shown_texts(column, identity)
            .iter()
            .map(|text| Cow::Owned(fold(text).into_bytes()))
            .collect(),
    }
}
