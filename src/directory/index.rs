//! Finding candidates by hash; whether they match is always checked on the values themselves.
//!
//! A collision costs time and cannot change an answer. The hash is keyed anew in each directory.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::block::{Block, fold};
use super::kind::Kind;
use super::mapping::Mapping;
use super::pattern::{Column, Value, is_visible, shown_texts};
use crate::pki::{DistinguishedName, Fingerprint, Identity, SerialNumber, Shows};

/// Mappings by kind and key.
#[derive(Clone, Debug, Default)]
pub(super) struct MappingIndex {
    rows: Vec<Mapping>,
    /// One table for each kind, so that a kind nobody uses costs a request nothing.
    tables: [Table; Kind::ALL.len()],
    hasher: RandomState,
}

/// Positions of rows, each beside the hash of its key.
type Table = HashTable<(u64, usize)>;

impl MappingIndex {
    pub(super) fn insert(&mut self, mapping: Mapping) {
        let part = |column: &Column| mapping.pattern.value(*column).map_or(&[][..], Value::bytes);
        let parts = match mapping.kind.columns() {
            [first, second] => (part(first), part(second)),
            [only] => (part(only), &[][..]),
            _ => return,
        };
        let hash = self.hasher.hash_one(parts);
        if let Some(table) = self.tables.get_mut(mapping.kind as usize) {
            table.insert_unique(hash, (hash, self.rows.len()), |entry| entry.0);
        }
        self.rows.push(mapping);
    }

    pub(super) fn rows(&self) -> &[Mapping] {
        &self.rows
    }

    /// The mappings of one kind that match.
    pub(super) fn matches<'d, 'i>(
        &'d self,
        kind: Kind,
        identity: &'i Identity,
    ) -> impl Iterator<Item = &'d Mapping> + use<'d, 'i> {
        let table = self.tables.get(kind as usize).filter(|table| !table.is_empty());
        table
            .into_iter()
            .flat_map(move |table| {
                keys(kind, identity).map(|key| self.hasher.hash_one(key)).flat_map(move |hash| {
                    table.iter_hash(hash).filter(move |entry| entry.0 == hash)
                })
            })
            .filter_map(|entry| self.rows.get(entry.1))
            .filter(move |mapping| mapping.matches(identity))
    }
}

/// Every key of a kind that is shown: a pair of canonical values, the second empty where the kind
/// hangs on one column.
fn keys<'i>(kind: Kind, identity: &'i Identity) -> impl Iterator<Item = (&'i [u8], &'i [u8])> {
    let issuer = identity.issuer.as_ref().map(DistinguishedName::canonical);
    let subject = identity.subject.as_ref().map(DistinguishedName::canonical);
    let serial = identity.serial.as_ref().map(SerialNumber::as_bytes);
    let digest = |digest: &'i Option<Fingerprint>| digest.as_ref().map(|d| &d.as_bytes()[..]);
    let alone = |value: Option<&'i [u8]>| value.map(|value| (value, &[][..]));
    let none: &[String] = &[];
    let (single, texts) = match kind {
        Kind::Sha256 => (alone(digest(&identity.sha256)), none),
        Kind::Spki => (alone(digest(&identity.spki_sha256)), none),
        Kind::IssuerSerial => (issuer.zip(serial), none),
        Kind::IssuerSubject => (issuer.zip(subject), none),
        Kind::Subject => (alone(subject), none),
        Kind::Serial => (alone(serial), none),
        Kind::SanEmail => (None, shown_texts(Column::SanEmail, identity)),
        Kind::SanUpn => (None, shown_texts(Column::SanUpn, identity)),
        Kind::SanUri => (None, shown_texts(Column::SanUri, identity)),
        Kind::SanDns => (None, shown_texts(Column::SanDns, identity)),
        Kind::CommonName => (None, shown_texts(Column::CommonName, identity)),
    };
    single.into_iter().chain(texts.iter().map(|text| (text.as_bytes(), &[][..])))
}

/// Blocks by one column each.
///
/// Which column differs by what the input shows: the first of [`BY_CERTIFICATE`] for a
/// certificate, the first of [`BY_HEADERS`] for headers. Headers that show less than all three are
/// rare; for them every block is a candidate.
#[derive(Clone, Debug, Default)]
pub(super) struct BlockIndex {
    rows: Vec<Block>,
    by_certificate: HashMap<Column, Table>,
    by_headers: HashMap<Column, Table>,
    hasher: RandomState,
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
        let position = self.rows.len();
        file(&mut self.by_certificate, &BY_CERTIFICATE, &block, position, &self.hasher);
        file(&mut self.by_headers, &BY_HEADERS, &block, position, &self.hasher);
        self.rows.push(block);
    }

    pub(super) fn rows(&self) -> &[Block] {
        &self.rows
    }

    /// Every block that could match what was presented, and perhaps others.
    pub(super) fn candidates(&self, identity: &Identity) -> Vec<&Block> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let tables = match identity.shows {
            Shows::Certificate => &self.by_certificate,
            Shows::Headers if shows_all_headers(identity) => &self.by_headers,
            Shows::Headers => return self.rows.iter().collect(),
        };
        let mut found = Vec::new();
        for (column, table) in tables {
            for key in block_keys(*column, identity) {
                let hash = self.hasher.hash_one(&*key);
                let entries = table.iter_hash(hash).filter(|entry| entry.0 == hash);
                found.extend(entries.filter_map(|entry| self.rows.get(entry.1)));
            }
        }
        found
    }
}

/// Files a block under the first of these columns that it compares.
fn file(
    tables: &mut HashMap<Column, Table>,
    order: &[Column],
    block: &Block,
    position: usize,
    hasher: &RandomState,
) {
    let Some(column) = order.iter().find(|wanted| block.columns().any(|has| has == **wanted))
    else {
        return;
    };
    let table = tables.entry(*column).or_default();
    for key in block.keys(*column) {
        let hash = hasher.hash_one(key);
        table.insert_unique(hash, (hash, position), |entry| entry.0);
    }
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
