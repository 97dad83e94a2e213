//! What the replacement of a CA means for rules, and when a row is out of force.

use std::collections::BTreeSet;

use super::old_blocks::{COPY, OldBlocks};
use super::reissue::{Reissue, hex, text_of};
use super::{Authority, Ground};
use crate::directory::row::{MappingRow, PatternRow};
use crate::directory::{Pattern, check_rule, parse_pattern};
use crate::pki::UnixTime;
use crate::store::{Rule, RuleText, StoreError, Work};

/// A rule that is bound to the old CA.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CarriedRule {
    /// Its priority.
    pub priority: i64,
    /// The priority of its twin, if it has one.
    pub twin: Option<i64>,
    /// What is to be known of it.
    pub why: String,
}

/// Why a mapping does not count any more, whatever it matches; none if it does, or will.
pub(super) fn is_over(row: &MappingRow, now: UnixTime) -> Option<&'static str> {
    if row.revoked_at.is_some() {
        return Some("is revoked");
    }
    match row.enabled {
        1 => is_past(row.valid_until.as_deref(), now),
        0 => Some("is disabled"),
        _ => Some("cannot be read"),
    }
}

fn is_past(valid_until: Option<&[u8]>, now: UnixTime) -> Option<&'static str> {
    match valid_until.map(|text| UnixTime::parse_rfc3339(&text_of(text))) {
        None => None,
        Some(Ok(until)) if until > now => None,
        Some(Ok(_)) => Some("is over"),
        Some(Err(_)) => Some("cannot be read"),
    }
}

/// Why no rule gets a twin: a rule asks nobody whom the old rows keep out.
pub(super) fn hindrance(blocks: &OldBlocks, still_out: &[i64]) -> Option<String> {
    if let Some(id) = blocks.first() {
        return Some(format!(
            "block {id} of the old CA would not keep out whom a copy lets in; {COPY}, or add the \
             rule by hand"
        ));
    }
    let id = still_out.first()?;
    Some(format!(
        "mapping {id} is not carried over, and a copy could let in whom it keeps out; look at that \
         mapping, or add the rule by hand"
    ))
}

/// Tells of the rules that are bound to the old CA, and gives them twins where it is asked for.
///
/// None gets one where there is a hindrance: somebody would come in whom the old rows keep out.
/// Twins keep the order among themselves. Where rules of the new CA are there already, their order
/// among those is for an operator to say.
pub(super) async fn carry_rules(
    work: &mut Work,
    ground: &Ground,
    wish: &Reissue,
    hindrance: Option<&str>,
) -> Result<Vec<CarriedRule>, StoreError> {
    let rules = work.rule_list().await?;
    let mut taken: BTreeSet<i64> = rules.iter().map(|rule| rule.text.priority).collect();
    let is_of = |authority: &Authority, rule: &Rule| {
        pattern(&rule.text).is_some_and(|pattern| authority.is_pinned_by(&pattern))
    };
    let of_new: Vec<&Rule> =
        rules.iter().filter(|rule| is_of(&wish.new, rule) && !is_of(&wish.old, rule)).collect();
    let of_old: Vec<&Rule> = rules.iter().filter(|rule| is_of(&wish.old, rule)).collect();
    let is_copy = |one: &Rule| of_old.iter().any(|old| is_twin(&old.text, &one.text));
    let is_alone = of_new.iter().all(|rule| is_copy(rule));
    let mut carried = Vec::new();
    let mut last = i64::MIN;
    for rule in &of_old {
        let priority = rule.text.priority;
        let mut told = |twin, why: &str| {
            carried.push(CarriedRule { priority, twin, why: why.to_owned() });
        };
        if let Some(copy) = of_new.iter().find(|new| is_twin(&rule.text, &new.text)) {
            let twin = Some(copy.text.priority);
            match copy.enabled {
                true => told(twin, "has a copy for the new CA"),
                false => told(twin, "has a copy for the new CA, which is disabled"),
            }
            last = last.max(copy.text.priority);
        } else if let Some(why) = out_of_force(rule, ground) {
            told(None, why);
        } else if wish.old.name == wish.new.name && rule.text.issuer_key_id.is_none() {
            told(None, "names no key, so it holds for the new CA of the same name already");
        } else if rule.text.issuer_key_id.is_some() && wish.new.key_id.is_none() {
            told(None, "names the CA's key, and the new CA's certificate tells none");
        } else if !wish.rules {
            told(None, "is bound to the old CA; --rules gives it a copy for the new one");
        } else if let Some(why) = hindrance {
            told(None, why);
        } else if !is_alone {
            told(None, "there are other rules of the new CA: say by hand where it stands");
        } else {
            let wanted = priority.max(last).saturating_add(1);
            let twin = (wanted..).find(|number| !taken.contains(number)).unwrap_or(wanted);
            work.rule_add(&copy_of(&rule.text, twin, wish), wish.created_by.as_deref()).await?;
            taken.insert(twin);
            last = twin;
            told(Some(twin), "has a new copy for the new CA");
        }
    }
    Ok(carried)
}

fn out_of_force(rule: &Rule, ground: &Ground) -> Option<&'static str> {
    if !rule.enabled {
        return Some("is disabled");
    }
    if check_rule(&rule.text.row(true), &ground.settings).is_err() {
        return Some("cannot be read");
    }
    is_past(rule.text.valid_until.as_ref().map(String::as_bytes), ground.now)
}

fn copy_of(rule: &RuleText, priority: i64, wish: &Reissue) -> RuleText {
    RuleText {
        priority,
        issuer: wish.new.name.to_exact_text(),
        issuer_key_id: rule.issuer_key_id.as_ref().and(wish.new.key_id.as_deref()).map(hex),
        ..rule.clone()
    }
}

/// The same but for the place and the issuer.
fn is_twin(one: &RuleText, other: &RuleText) -> bool {
    let anywhere = |rule: &RuleText| RuleText {
        priority: 0,
        issuer: String::new(),
        issuer_key_id: None,
        note: None,
        name: None,
        ..rule.clone()
    };
    anywhere(one) == anywhere(other)
}

fn pattern(rule: &RuleText) -> Option<Pattern> {
    let row = rule.row(true);
    let (issuer, issuer_key_id) = (Some(row.issuer), row.issuer_key_id);
    parse_pattern(&PatternRow { issuer, issuer_key_id, ..PatternRow::default() }).ok()
}
