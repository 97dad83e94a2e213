//! Every mapping and block that has something in common with what was presented, and why it did
//! or did not match.

use super::kind::Kinds;
use super::pattern::{Agreement, Column, compare};
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
}

impl Directory {
    /// Every mapping and block of which at least one column agrees, blocks first, then by
    /// strength, then every rule for this issuer in its order.
    ///
    /// It reads every row: for an operator's question, never for a request.
    #[must_use]
    pub fn consider(&self, holder: Holder<'_>, now: UnixTime, kinds: Kinds) -> Vec<Considered> {
        let identity = holder.identity;
        let blocks = self.blocks.rows().filter(|block| block.matches(identity)).map(|block| {
            let matched = block.is_in_force(now);
            let why = if matched { "matches and is in force" } else { "matches, not in force" };
            Considered { kind: "block", id: block.id, username: None, matched, why: why.to_owned() }
        });
        let mut mappings: Vec<_> = self
            .mappings
            .iter()
            .filter(|mapping| self.users.get(mapping.username).is_some())
            .filter(|mapping| has_agreement(mapping, identity))
            .collect();
        mappings.sort_by_key(|mapping| (mapping.kind, mapping.id));
        let mappings = mappings.into_iter().map(|mapping| {
            let (matched, why) = why(&mapping, identity, now, kinds);
            Considered {
                kind: mapping.kind.name(),
                id: mapping.id,
                username: Some(mapping.username.to_owned()),
                matched,
                why,
            }
        });
        let mut considered: Vec<_> = blocks.chain(mappings).collect();
        let are_asked = matches!(self.find(identity, now, kinds), Found::Nothing);
        considered.extend(self.consider_rules(holder, now, are_asked));
        considered
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
            Considered { kind: "rule", id: rule.priority, username, matched, why }
        });
        considered.collect()
    }
}

fn why(mapping: &Mapping<'_>, identity: &Identity, now: UnixTime, kinds: Kinds) -> (bool, String) {
    if let Some((column, agreement)) = disagreement(mapping, identity) {
        let what = match agreement {
            Agreement::Invisible => "is not visible in this input",
            _ if has_control_character(column, identity) => {
                "holds a control character, and no mapping agrees with such a name"
            }
            _ => "differs",
        };
        return (false, format!("{} {what}", column.name()));
    }
    if !kinds.contains(mapping.kind) {
        return (
            false,
            format!("matches, but identity.weak does not name {}", mapping.kind.name()),
        );
    }
    if mapping.is_revoked(now) {
        return (true, "matches and is revoked".to_owned());
    }
    if mapping.is_doubtful {
        return (false, "cannot be read as a whole, and lets nobody in".to_owned());
    }
    if !mapping.window.enabled {
        return (true, "matches and is disabled".to_owned());
    }
    if !mapping.is_active(now) {
        return (true, "matches, outside its validity window".to_owned());
    }
    (true, "matches and is active".to_owned())
}

fn has_control_character(column: Column, identity: &Identity) -> bool {
    let name = match column {
        Column::Issuer => identity.issuer.as_ref(),
        Column::Subject => identity.subject.as_ref(),
        _ => None,
    };
    name.is_some_and(DistinguishedName::has_control_character)
}

fn has_agreement(mapping: &Mapping<'_>, identity: &Identity) -> bool {
    // The issuer alone is shared by everybody whom this CA certified; it makes nobody a candidate.
    mapping
        .columns()
        .filter(|(column, _)| !matches!(column, Column::Issuer | Column::IssuerKeyId))
        .any(|(column, want)| {
            // A name that would agree without its control character is worth telling of.
            let is_near = || {
                let subject = identity.subject.as_ref();
                column == Column::Subject && subject.is_some_and(|name| name.canonical() == want)
            };
            compare(column, want, identity) == Agreement::Same || is_near()
        })
}

fn disagreement(mapping: &Mapping<'_>, identity: &Identity) -> Option<(Column, Agreement)> {
    mapping
        .columns()
        .map(|(column, want)| (column, compare(column, want, identity)))
        .find(|(_, agreement)| *agreement != Agreement::Same)
}
