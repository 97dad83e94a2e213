//! Blocks that are bound to a CA that goes: whom they keep out must not come in by the new one.

use super::reissue::Reissue;
use super::{Authority, Ground};
use crate::directory::row::{BlockRow, MappingRow};
use crate::directory::{Agreement, Block, Pattern, partial_identity};
use crate::pki::{Certificate, Identity, Shows};
use crate::store::{StoreError, Work};

/// Blocks of the old CA, in force or to come, that do not hold for the new one and have no copy
/// there. A block of the CA alone is none of them: it is about the CA and not about its holders.
pub(super) struct OldBlocks {
    blocks: Vec<OldBlock>,
}

struct OldBlock {
    block: Block,
    /// The certificates that it keeps out, as far as they are known; for one that names a
    /// certificate by its serial or its fingerprint.
    known: Vec<Identity>,
}

impl OldBlocks {
    pub(super) async fn of(
        work: &mut Work,
        rows: &[BlockRow],
        ground: &Ground,
        wish: &Reissue,
    ) -> Result<Self, StoreError> {
        let (old, new) = (ca(&wish.old), ca(&wish.new));
        let all = rows.iter().filter_map(Block::of).filter(|block| !block.is_over(ground.now));
        let all: Vec<Block> = all.collect();
        let is_carried = |block: &Block| {
            let is_copy = |other: &Block| {
                other.compare_ca(&new) == Agreement::Same && other.is_copy_of(block)
            };
            // The new CA gives serials of its own.
            !block.names_one_certificate() && all.iter().any(is_copy)
        };
        let bound = all.iter().filter(|block| {
            let is_lost = block.compare_ca(&old) != Agreement::Differs
                && block.compare_ca(&new) != Agreement::Same;
            is_lost && !block.is_of_ca_alone() && !is_carried(block)
        });
        let bound = bound.map(|block| OldBlock { block: block.clone(), known: Vec::new() });
        let mut blocks: Vec<OldBlock> = bound.collect();
        if blocks.iter().any(|one| one.block.names_one_certificate()) {
            work.each_issued(&wish.old.name.to_string(), |der| {
                let Ok(certificate) = Certificate::from_der(der) else { return };
                if !wish.old.issued(&certificate) {
                    return;
                }
                let identity = Identity::from_certificate(&certificate);
                for one in blocks.iter_mut().filter(|one| one.block.names_one_certificate()) {
                    if one.block.matches(&identity) {
                        one.known.push(identity.clone());
                    }
                }
            })
            .await?;
        }
        Ok(Self { blocks })
    }

    /// The first of them.
    pub(super) fn first(&self) -> Option<i64> {
        self.blocks.first().map(|one| one.block.id)
    }

    /// Which one keeps out the certificates of this mapping, or may: then it gets no twin.
    pub(super) fn keeping_out(
        &self,
        row: &MappingRow,
        pattern: &Pattern,
        old: &Authority,
    ) -> Option<String> {
        if self.blocks.is_empty() {
            return None;
        }
        let Some(mut identity) = partial_identity(&row.pattern) else {
            return Some("cannot be read".to_owned());
        };
        identity.issuer = Some(old.name.clone());
        identity.issuer_key_id = old.key_id.clone().or(identity.issuer_key_id);
        if identity.common_name.is_none() && identity.subject.is_some() {
            let subject = identity.subject.clone();
            identity.common_name = Identity::from_headers(None, subject, None).common_name;
        }
        self.blocks.iter().find_map(|one| one.keeps_out(&identity, pattern))
    }
}

impl OldBlock {
    fn keeps_out(&self, identity: &Identity, pattern: &Pattern) -> Option<String> {
        let id = self.block.id;
        let (agreement, column) = self.block.foresee(identity);
        match agreement {
            Agreement::Differs => None,
            Agreement::Invisible if self.block.names_one_certificate() => {
                if self.known.is_empty() {
                    return Some(format!(
                        "block {id} names a certificate of the old CA that is not known, perhaps \
                         theirs; tell it with `certgate certificate add FILE`"
                    ));
                }
                let is_theirs = self.known.iter().any(|known| pattern.agrees(known));
                is_theirs
                    .then(|| format!("block {id} keeps out a certificate of theirs; look at both"))
            }
            Agreement::Invisible => {
                let column = column.map(|column| column.name()).unwrap_or_default();
                Some(format!(
                    "block {id} of the old CA may keep it out, which the mapping does not tell ({column}); \
                     {COPY}"
                ))
            }
            Agreement::Same => Some(format!("block {id} of the old CA keeps it out; {COPY}")),
        }
    }
}

/// How a block goes on for the new CA.
pub(super) const COPY: &str = "give that block a copy for the new CA first";

fn ca(authority: &Authority) -> Identity {
    let (issuer, issuer_key_id) = (Some(authority.name.clone()), authority.key_id.clone());
    let nothing = Identity::from_headers(None, None, None);
    Identity { shows: Shows::Parts, issuer, issuer_key_id, ..nothing }
}
