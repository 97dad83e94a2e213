//! What a feed brought once and no longer has.
//!
//! Only mappings in force and users that nothing else hangs on are taken away. A block stays:
//! without it somebody would come in. A mapping that was disabled or revoked stays too: it is what
//! keeps a certificate from coming back with the next feed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::str::FromStr;

use super::known::{Known, State};
use super::{Plan, Terms};

/// How much may be taken away at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// So many rows.
    Rows(usize),
    /// That part of what the feed brought.
    Percent(usize),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = |digits: &str| digits.parse::<usize>().map_err(|_| "write 10% or 25".to_owned());
        match text.strip_suffix('%') {
            Some(digits) => match read(digits)? {
                percent @ 0..=100 => Ok(Self::Percent(percent)),
                _ => Err("more than 100% cannot go".to_owned()),
            },
            None => read(text).map(Self::Rows),
        }
    }
}

/// What the feed still has.
pub(super) struct Feed<'f> {
    pub(super) kept: &'f HashSet<i64>,
    pub(super) named: &'f BTreeSet<String>,
    pub(super) is_incomplete: bool,
}

pub(super) fn prune(
    plan: &mut Plan,
    known: &Known<'_>,
    terms: &Terms,
    limit: &Limit,
    feed: &Feed<'_>,
) {
    let Some(marker) = terms.created_by.as_deref() else { return };
    if feed.is_incomplete {
        plan.forbidden = Some(
            "something of the feed cannot be read, so nobody knows what it no longer has; mend it, \
             or leave out --prune"
                .to_owned(),
        );
        return;
    }
    let is_ours = |created_by: &Option<String>| created_by.as_deref() == Some(marker);
    let ours = known.rows().iter().filter(|row| is_ours(&row.mapping.created_by));
    let ours: Vec<_> = ours.filter(|row| row.state == State::Live).collect();
    let gone = ours.iter().map(|row| row.mapping.id).filter(|id| !feed.kept.contains(id));
    let gone: Vec<i64> = gone.collect();

    let mut left: HashMap<&str, usize> = HashMap::new();
    let is_gone: HashSet<i64> = gone.iter().copied().collect();
    for row in known.rows().iter().filter(|row| !is_gone.contains(&row.mapping.id)) {
        *left.entry(&row.mapping.username).or_default() += 1;
    }
    let users: Vec<_> = known.users().filter(|user| is_ours(&user.created_by)).collect();
    let goes = |user: &&&crate::store::User| {
        let is_admin =
            user.groups.iter().any(|group| group.eq_ignore_ascii_case(&terms.admin.group));
        // A user that was disabled is what keeps the name from coming back.
        user.enabled
            && !is_admin
            && !feed.named.contains(&user.username)
            && !left.contains_key(user.username.as_str())
    };
    let mut gone_users: Vec<String> =
        users.iter().filter(goes).map(|user| user.username.clone()).collect();
    gone_users.sort_unstable();

    let (total, removals) = (ours.len() + users.len(), gone.len() + gone_users.len());
    let is_too_much = match limit {
        Limit::Rows(rows) => removals > *rows,
        Limit::Percent(percent) => removals.saturating_mul(100) > total.saturating_mul(*percent),
    };
    if is_too_much {
        plan.forbidden = Some(format!(
            "{removals} of the {total} rows that this feed brought would go, more than \
             --max-removals allows; is the feed whole?"
        ));
        return;
    }
    plan.removed_mappings = gone;
    plan.removed_users = gone_users;
}
