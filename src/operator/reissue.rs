//! A CA is replaced: what is bound to the old one gets a twin that is bound to the new one.
//!
//! Only what is in force is carried over, and nothing that would let in whom the old rows keep out.
//! Serials and fingerprints name certificates of the old CA: of those there is only to tell.

use std::collections::{HashMap, HashSet};

use super::old_blocks::OldBlocks;
use super::rollover::{CarriedRule, carry_rules, hindrance, is_over};
use super::{Authority, Ground};
use crate::directory::row::MappingRow;
use crate::directory::{Column, Kind, Pattern, PatternValue, parse_pattern};
use crate::pki::UnixTime;
use crate::store::{Edit, MappingEdit, NewMapping, PatternText, StoreError, Work};

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reissue {
    /// The CA that goes.
    pub old: Authority,
    /// The CA that comes.
    pub new: Authority,
    /// From when on what was carried over no longer counts for the old one; none: as before.
    pub retire_at: Option<UnixTime>,
    /// Rules get a twin too, where that is simple.
    pub rules: bool,
    /// Who asks, for `created_by`.
    pub created_by: Option<String>,
}

/// What was done, and what not.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reissued {
    /// Mappings that have a twin.
    pub carried: Vec<Carried>,
    /// Mappings that have none, and why.
    pub not_carried: Vec<NotCarried>,
    /// Rules that are bound to the old CA.
    pub rules: Vec<CarriedRule>,
    /// Mappings whose window now ends.
    pub retired: Vec<i64>,
}

/// A mapping and its twin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Carried {
    /// The mapping.
    pub id: i64,
    /// Its twin.
    pub twin: i64,
    /// The twin was made now, and not at another time.
    pub is_new: bool,
    /// Whose.
    pub username: String,
    /// Of which kind.
    pub kind: &'static str,
    /// What the twin expects.
    pub pattern: PatternText,
}

/// A mapping that an operator has to look at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotCarried {
    /// The mapping.
    pub id: i64,
    /// Whose.
    pub username: String,
    /// Of which kind.
    pub kind: &'static str,
    /// Why.
    pub why: String,
}

/// Why nothing can be carried over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReissueError {
    /// Only their keys tell the two apart, and one is not known.
    #[error(
        "both CAs are named {name}: only their keys tell them apart, in the column issuer_key_id; \
         give the certificates of both as files, each with a subject key identifier"
    )]
    KeyNeeded {
        /// Their name.
        name: String,
    },
    /// The same CA twice.
    #[error("the old and the new CA are the same: {name}, with the same key")]
    Same {
        /// Its name.
        name: String,
    },
    /// A database that did not answer, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Carries over what is bound to the old CA.
///
/// # Errors
/// Nothing may be committed.
pub async fn reissue(
    work: &mut Work,
    ground: &Ground,
    wish: &Reissue,
) -> Result<Reissued, ReissueError> {
    check(wish)?;
    work.lock_approvals().await?;
    let rows = work.load().await?;
    let blocks = OldBlocks::of(work, &rows.blocks, ground, wish).await?;
    let plan = Plan::of(&rows.mappings, &blocks, ground, wish);
    let hindrance = hindrance(&blocks, &plan.still_out);
    let mut done = Reissued { not_carried: plan.not_carried, ..Reissued::default() };
    for one in plan.carry {
        let (twin, is_new) = match one.copy {
            Some(copy) => (copy, false),
            None => (work.mapping_add(&one.twin(wish)).await?, true),
        };
        if let Some(at) = wish.retire_at
            && ends_later(one.row, at)
        {
            let edit =
                MappingEdit { valid_until: Edit::Set(at.to_string()), ..MappingEdit::default() };
            work.mapping_edit(one.row.id, &edit).await?;
            done.retired.push(one.row.id);
        }
        let Pinned { row, kind, text, .. } = one;
        let (id, username, kind) = (row.id, text_of(&row.username), kind.name());
        done.carried.push(Carried { id, twin, is_new, username, kind, pattern: text });
    }
    tell_of_fingerprints(work, &rows.mappings, &wish.old, &mut done.not_carried).await?;
    done.not_carried.sort_by_key(|one| one.id);
    done.rules = carry_rules(work, ground, wish, hindrance.as_deref()).await?;
    Ok(done)
}

fn check(wish: &Reissue) -> Result<(), ReissueError> {
    let (old, new) = (&wish.old, &wish.new);
    if old.name != new.name {
        return Ok(());
    }
    let name = new.name.to_string();
    match (&old.key_id, &new.key_id) {
        (Some(old), Some(new)) if old == new => Err(ReissueError::Same { name }),
        (Some(_), Some(_)) => Ok(()),
        _ => Err(ReissueError::KeyNeeded { name }),
    }
}

/// A mapping that is bound to the old CA and can be carried over.
struct Pinned<'r> {
    row: &'r MappingRow,
    kind: Kind,
    /// What its twin expects.
    text: PatternText,
    /// The same in canonical form.
    pattern: Pattern,
    /// A copy that is there already and counts.
    copy: Option<i64>,
}

struct Plan<'r> {
    carry: Vec<Pinned<'r>>,
    not_carried: Vec<NotCarried>,
    /// Those without a twin that decide at the old CA, and so keep its rules from being asked.
    still_out: Vec<i64>,
}

impl<'r> Plan<'r> {
    fn of(rows: &'r [MappingRow], blocks: &OldBlocks, ground: &Ground, wish: &Reissue) -> Self {
        let mut plan = Self { carry: Vec::new(), not_carried: Vec::new(), still_out: Vec::new() };
        let mut copies: HashMap<Pattern, Vec<&MappingRow>> = HashMap::new();
        let mut pinned = Vec::new();
        for row in rows {
            let is_bound = row.pattern.issuer.is_some() || row.pattern.issuer_key_id.is_some();
            let Some(pattern) = is_bound.then(|| parse_pattern(&row.pattern).ok()).flatten() else {
                continue;
            };
            if wish.old.is_pinned_by(&pattern) {
                pinned.push((row, pattern));
            } else if wish.new.is_pinned_by(&pattern) {
                copies.entry(pattern).or_default().push(row);
            }
        }
        // A stronger kind decides alone, and one that is off keeps people out.
        let mut kept_out: HashMap<&[u8], Kind> = HashMap::new();
        for (row, pattern) in &pinned {
            let Some(kind) = pattern.kind().filter(|kind| !kind.is_strong()) else { continue };
            if is_over(row, ground.now).is_some() {
                let strongest = kept_out.entry(&row.username).or_insert(kind);
                *strongest = kind.min(*strongest);
            }
        }
        for (row, pattern) in pinned {
            let Some(kind) = pattern.kind() else { continue };
            let judged =
                Self::judge(row, &pattern, kind, ground, wish, kept_out.get(&*row.username));
            let blocked = || blocks.keeping_out(row, &pattern, &wish.old);
            match judged.and_then(|twin| blocked().map_or(Ok(twin), Err)) {
                Ok((text, pattern)) => {
                    plan.carry.push(Pinned { row, kind, text, pattern, copy: None });
                }
                Err(why) => {
                    // One that holds for both goes on deciding, and one that never counts does not.
                    let has_key = row.pattern.issuer_key_id.is_some();
                    let holds_for_both = wish.old.name == wish.new.name && !has_key;
                    if kind.is_strong() || !ground.kinds.contains(kind) || holds_for_both {
                        plan.tell(row, kind, why);
                    } else {
                        plan.leave(row, kind, why);
                    }
                }
            }
        }
        plan.compare(&copies, ground.now);
        plan
    }

    /// What the twin expects, or why there is none.
    fn judge(
        row: &MappingRow,
        pattern: &Pattern,
        kind: Kind,
        ground: &Ground,
        wish: &Reissue,
        kept_out: Option<&Kind>,
    ) -> Result<(PatternText, Pattern), String> {
        if let Some(why) = is_over(row, ground.now) {
            return Err(why.to_owned());
        }
        let has_key = pattern.value(Column::IssuerKeyId).is_some();
        match kind {
            Kind::Sha256 => return Err(FINGERPRINT.to_owned()),
            Kind::Spki => {
                return Err("names one key; if the new CA certifies that key, map it anew".into());
            }
            Kind::IssuerSerial | Kind::Serial => {
                return Err("names a serial, and the new CA gives numbers of its own".to_owned());
            }
            _ if !ground.kinds.contains(kind) => {
                return Err(format!(
                    "counts for nothing: identity.weak does not name {}",
                    kind.name()
                ));
            }
            _ if wish.old.name == wish.new.name && !has_key => {
                return Err(
                    "names no key, so it holds for the new CA of the same name already".into()
                );
            }
            _ if has_key && wish.new.key_id.is_none() => {
                return Err(
                    "names the CA's key, and the new CA's certificate tells none".to_owned()
                );
            }
            _ => {}
        }
        if let Some(stronger) = kept_out.filter(|stronger| **stronger < kind) {
            return Err(format!(
                "another mapping of theirs, of the stronger kind {}, is off and decides for the old \
                 CA; look at both",
                stronger.name()
            ));
        }
        let mut text = PatternText::shown(row.pattern.clone());
        if text.issuer.is_some() {
            text.issuer = Some(wish.new.name.to_exact_text());
        }
        if text.issuer_key_id.is_some() {
            text.issuer_key_id = wish.new.key_id.as_deref().map(hex);
        }
        let pattern = parse_pattern(&text.row()).map_err(|error| error.to_string())?;
        Ok((text, pattern))
    }

    /// Finds copies that are there, and leaves what two people would then share.
    fn compare(&mut self, copies: &HashMap<Pattern, Vec<&MappingRow>>, now: UnixTime) {
        let mut owners: HashMap<&Pattern, HashSet<&[u8]>> = HashMap::new();
        for one in &self.carry {
            owners.entry(&one.pattern).or_default().insert(&one.row.username);
        }
        let shared: HashSet<Pattern> = owners
            .into_iter()
            .filter(|(_, owners)| owners.len() > 1)
            .map(|(pattern, _)| pattern.clone())
            .collect();
        let mut seen = HashSet::new();
        for mut one in std::mem::take(&mut self.carry) {
            if shared.contains(&one.pattern) {
                self.leave(one.row, one.kind, "two users have the same one".to_owned());
                continue;
            }
            let there = copies.get(&one.pattern).map(Vec::as_slice).unwrap_or_default();
            if let Some(other) = there.iter().find(|row| row.username != one.row.username) {
                let (id, username) = (other.id, text_of(&other.username));
                self.leave(one.row, one.kind, format!("mapping {id} gives the same to {username}"));
                continue;
            }
            match there.iter().find(|row| is_over(row, now).is_none()) {
                Some(copy) => one.copy = Some(copy.id),
                None => {
                    if let Some(copy) = there.first() {
                        let why = is_over(copy, now).unwrap_or_default();
                        let why = format!("mapping {} is its copy and {why}", copy.id);
                        self.leave(one.row, one.kind, why);
                        continue;
                    }
                }
            }
            if one.copy.is_none() && !seen.insert(one.pattern.clone()) {
                self.tell(one.row, one.kind, "another mapping of theirs says the same".to_owned());
                continue;
            }
            self.carry.push(one);
        }
    }

    /// As [`Plan::tell`], of one that keeps people out without a twin.
    fn leave(&mut self, row: &MappingRow, kind: Kind, why: String) {
        self.still_out.push(row.id);
        self.tell(row, kind, why);
    }

    fn tell(&mut self, row: &MappingRow, kind: Kind, why: String) {
        let username = text_of(&row.username);
        self.not_carried.push(NotCarried { id: row.id, username, kind: kind.name(), why });
    }
}

impl Pinned<'_> {
    fn twin(&self, wish: &Reissue) -> NewMapping {
        let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(text_of);
        let note = text(&self.row.note);
        NewMapping {
            username: text_of(&self.row.username),
            pattern: self.text.clone(),
            valid_from: text(&self.row.valid_from),
            valid_until: text(&self.row.valid_until),
            note: Some(note.unwrap_or_else(|| format!("as mapping {}", self.row.id))),
            created_by: wish.created_by.clone(),
        }
    }
}

/// Fingerprints of certificates that the old CA is known to have issued.
async fn tell_of_fingerprints(
    work: &mut Work,
    rows: &[MappingRow],
    old: &Authority,
    told: &mut Vec<NotCarried>,
) -> Result<(), StoreError> {
    let mut issued = HashSet::new();
    work.each_issued(&old.name.to_string(), |der| {
        let certificate = crate::pki::Certificate::from_der(der).ok();
        issued.extend(certificate.filter(|one| old.issued(one)).map(|one| one.sha256));
    })
    .await?;
    for row in rows.iter().filter(|row| row.pattern.sha256.is_some()) {
        let Ok(pattern) = parse_pattern(&row.pattern) else { continue };
        let is_issued = match pattern.value(Column::Sha256) {
            Some(PatternValue::Digest(sha256)) => issued.contains(sha256),
            _ => false,
        };
        // Those that name the CA as well are told of already.
        if is_issued && !old.is_pinned_by(&pattern) {
            let (username, why) = (text_of(&row.username), FINGERPRINT.to_owned());
            told.push(NotCarried { id: row.id, username, kind: Kind::Sha256.name(), why });
        }
    }
    Ok(())
}

/// Whether its window can and must be made to end then.
fn ends_later(row: &MappingRow, at: UnixTime) -> bool {
    let time = |text: &Option<Vec<u8>>| {
        text.as_deref().and_then(|text| UnixTime::parse_rfc3339(&text_of(text)).ok())
    };
    let begins_before = time(&row.valid_from).is_none_or(|from| from < at);
    begins_before && time(&row.valid_until).is_none_or(|until| until > at)
}

pub(super) fn text_of(bytes: &(impl AsRef<[u8]> + ?Sized)) -> String {
    String::from_utf8_lossy(bytes.as_ref()).into_owned()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const FINGERPRINT: &str =
    "names one certificate by its fingerprint; the one that follows it needs a mapping of its own";
