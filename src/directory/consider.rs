//! Every mapping, block and rule that has something in common with what was presented, or nearly
//! so, and why it did or did not match.

use super::block::Block;
use super::kind::{Kind, Kinds};
use super::near::{Near, Outcome, Outcomes, Probe, Sibling, sentence};
use super::pattern::Column;
use super::rule::{Holder, Verdict};
use super::{Directory, Found, Mapping};
use crate::pki::{DistinguishedName, Identity, UnixTime};

/// One candidate, as `certgate explain` lists it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Considered {
    /// A mapping's kind, `block` or `rule`.
    pub kind: &'static str,
    /// The row's id, or a rule's priority.
    pub id: i64,
    /// Whom a mapping names, or a rule gives.
    pub username: Option<String>,
    /// Whether the row took part in the decision.
    pub matched: bool,
    /// Why, in a sentence without a subject.
    pub why: String,
    /// How it comes close, where it does not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near: Option<Near>,
    /// What of a mapping is as it is.
    #[serde(skip)]
    pub standing: Standing,
}

/// In what state a candidate is, for whoever wants to change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Active,
    /// Switched off.
    Disabled,
    /// Before or after its window.
    OutsideWindow,
    /// Revoked, for ever.
    Revoked,
    /// Of a kind that `identity.weak` does not name.
    WeakKind,
    /// No mapping, or one that differs.
    #[default]
    Other,
}

/// What was considered, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Blocks first, then mappings by strength, then rules in their order.
    pub rows: Vec<Considered>,
    /// How many more that do not match were left out.
    pub left_out: usize,
}

/// Most candidates that do not match, of each sort; a person reads no more.
const MAX_MISSES: usize = 100;

impl Directory {
    /// Every mapping and block of which at least one column agrees, or all nearly do, blocks
    /// first, then by strength, then every rule for this issuer in its order. All that match are
    /// there; of those that do not, the first of each kind.
    ///
    /// It reads every row once: for an operator's question, never for a request.
    #[must_use]
    pub fn consider(
        &self,
        holder: Holder<'_>,
        siblings: &[Sibling],
        now: UnixTime,
        kinds: Kinds,
    ) -> Candidates {
        let identity = holder.identity;
        let probe = Probe::new(identity, siblings);
        let blocks = self.blocks.rows().filter_map(|block| consider_block(block, &probe, now));
        let mut rows: Vec<_> = blocks.collect();
        let (mut matching, mut misses) = (Vec::new(), Misses::default());
        let mut outcomes = Outcomes::default();
        for mapping in self.mappings.iter() {
            outcomes.clear();
            for (column, want) in mapping.columns() {
                outcomes.push(column, probe.compare(column, want));
            }
            let near = outcomes.near();
            if near.is_none() && !outcomes.has_agreement() && !is_near_control(&mapping, identity) {
                continue;
            }
            if !self.users.holds(mapping.username) {
                continue;
            }
            match outcomes.first_disagreement() {
                None => matching.push((mapping, None, None)),
                Some(first) => misses.push((mapping, near, Some(first))),
            }
        }
        matching.extend(misses.rows);
        matching.sort_by_key(|(mapping, ..)| (mapping.kind, mapping.id));
        rows.extend(matching.into_iter().map(|(mapping, near, first)| {
            let (matched, why, standing) = why(&mapping, near, first, &probe, now, kinds);
            Considered {
                kind: mapping.kind.name(),
                id: mapping.id,
                username: Some(mapping.username.to_owned()),
                matched,
                why,
                near,
                standing,
            }
        }));
        let are_asked = matches!(self.find(identity, now, kinds), Found::Nothing);
        rows.extend(self.consider_rules(holder, now, are_asked));
        Candidates { rows, left_out: misses.left_out }
    }

    /// Everybody whom a mapping names for this certificate, whatever its state, or a rule does;
    /// each once. By the index: there may be many certificates to ask about.
    #[must_use]
    pub fn holders(&self, holder: Holder<'_>, now: UnixTime) -> Vec<String> {
        let of_kind = |kind| self.mappings.matches(kind, holder.identity);
        let mapped = Kind::ALL.into_iter().flat_map(of_kind);
        let mut names: Vec<String> = mapped.map(|mapping| mapping.username.to_owned()).collect();
        if names.is_empty()
            && let super::Ruled::User(user, _) = self.ask_rules(holder, now)
        {
            names.push(user.username.into_owned());
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    fn consider_rules(
        &self,
        holder: Holder<'_>,
        now: UnixTime,
        are_asked: bool,
    ) -> Vec<Considered> {
        let mut is_decided = false;
        let of_issuer = self.rules.rows().iter().filter(|rule| rule.is_of_issuer(holder));
        let considered = of_issuer.map(|rule| {
            let mut username = None;
            let mut matched = false;
            let why = if !rule.window.enabled {
                "is disabled".to_owned()
            } else if !rule.window.is_open(now) {
                "is outside its validity window".to_owned()
            } else if let Some(why) = rule.failing(holder) {
                why
            } else if !are_asked {
                "would hold; not asked, because a mapping matches".to_owned()
            } else if is_decided {
                "would hold; an earlier rule decides".to_owned()
            } else {
                is_decided = true;
                matched = true;
                match self.judge_rule(rule, holder) {
                    Verdict::User(user) => {
                        username = Some(user.username.to_string());
                        "its conditions hold and it decides".to_owned()
                    }
                    Verdict::Nowhere(why) => format!("its conditions hold, but {why}"),
                    Verdict::Wish(wish) => {
                        format!("its conditions hold; {} will be added, disabled", wish.username)
                    }
                }
            };
            Considered {
                kind: "rule",
                id: rule.priority,
                username,
                matched,
                why,
                near: None,
                standing: Standing::Other,
            }
        });
        considered.collect()
    }
}

/// A candidate that does not match: how it comes close, and the first column that differs.
type Miss<'d> = (Mapping<'d>, Option<Near>, Option<(Column, Outcome)>);

/// The candidates that do not match, the nearest and the strongest of them.
#[derive(Default)]
struct Misses<'d> {
    rows: Vec<Miss<'d>>,
    left_out: usize,
}

impl<'d> Misses<'d> {
    fn push(&mut self, miss: Miss<'d>) {
        self.rows.push(miss);
        if self.rows.len() < 2 * MAX_MISSES {
            return;
        }
        // What is near comes before what merely shares a value; among equals the older row.
        self.rows
            .sort_by_key(|(mapping, near, _)| (near.is_none(), *near, mapping.kind, mapping.id));
        self.left_out += self.rows.len() - MAX_MISSES;
        self.rows.truncate(MAX_MISSES);
    }
}

/// A block that matches, or nearly does: then it keeps nobody out, and somebody may think it does.
fn consider_block(block: &Block, probe: &Probe<'_>, now: UnixTime) -> Option<Considered> {
    let row = |matched, why, near| Considered {
        kind: "block",
        id: block.id,
        username: None,
        matched,
        why,
        near,
        standing: Standing::Other,
    };
    if block.matches(probe.identity) {
        let matched = block.is_in_force(now);
        let why = if matched { "matches and is in force" } else { "matches, not in force" };
        return Some(row(matched, why.to_owned(), None));
    }
    let (column, want, near) = block.near_column(probe)?;
    Some(row(false, sentence(column, near, want, probe.identity), Some(near)))
}

fn why(
    mapping: &Mapping<'_>,
    near: Option<Near>,
    first: Option<(Column, Outcome)>,
    probe: &Probe<'_>,
    now: UnixTime,
    kinds: Kinds,
) -> (bool, String, Standing) {
    if let Some((column, outcome)) = first {
        let want = mapping.columns().find(|(other, _)| *other == column).map(|(_, want)| want);
        let what = match (outcome, near) {
            (Outcome::Invisible, _) => format!("{} is not visible in this input", column.name()),
            (Outcome::Near(near), _) | (Outcome::Differs, Some(near)) => {
                sentence(column, near, want.unwrap_or_default(), probe.identity)
            }
            _ if has_control_character(column, probe.identity) => format!(
                "{} holds a control character, and no mapping agrees with such a name",
                column.name()
            ),
            _ => format!("{} differs", column.name()),
        };
        let standing = if mapping.is_revoked(now) { Standing::Revoked } else { Standing::Other };
        return (false, what, standing);
    }
    if !kinds.contains(mapping.kind) {
        let why = format!("matches, but identity.weak does not name {}", mapping.kind.name());
        return (false, why, Standing::WeakKind);
    }
    let (why, standing) = if mapping.is_revoked(now) {
        ("matches and is revoked", Standing::Revoked)
    } else if mapping.is_doubtful {
        let why = "cannot be read as a whole, and lets nobody in";
        return (false, why.to_owned(), Standing::Other);
    } else if !mapping.window.enabled {
        ("matches and is disabled", Standing::Disabled)
    } else if !mapping.is_active(now) {
        ("matches, outside its validity window", Standing::OutsideWindow)
    } else {
        ("matches and is active", Standing::Active)
    };
    (true, why.to_owned(), standing)
}

fn has_control_character(column: Column, identity: &Identity) -> bool {
    let name = match column {
        Column::Issuer => identity.issuer.as_ref(),
        Column::Subject => identity.subject.as_ref(),
        _ => None,
    };
    name.is_some_and(DistinguishedName::has_control_character)
}

/// A name that would agree without its control character is worth telling of.
fn is_near_control(mapping: &Mapping<'_>, identity: &Identity) -> bool {
    let subject = identity.subject.as_ref();
    subject.is_some_and(|name| {
        name.has_control_character()
            && mapping
                .columns()
                .any(|(column, want)| column == Column::Subject && name.canonical() == want)
    })
}
