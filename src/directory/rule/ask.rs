//! Asking the rules: who somebody is that no mapping names.

use std::borrow::Cow;

use super::template::Template;
use super::{Holder, MAX_RULES, Rule, Users};
use crate::directory::name::Name;
use crate::directory::row::RuleRow;
use crate::directory::unusable::RowError;
use crate::directory::user::{Groups, User};
use crate::directory::window::Window;
use crate::directory::{Directory, Settings, read};
use crate::pki::UnixTime;

/// The readable rules, in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub(in crate::directory) struct Rules {
    rows: Vec<Rule>,
    /// Every row, readable or not, in the same order.
    sources: Vec<RuleRow>,
}

/// What the rules say.
#[derive(Clone, Debug)]
pub enum Ruled<'d> {
    /// No rule's conditions hold, or those of one that leads to nobody.
    Nobody,
    /// This user, by the rule of that priority; its window is not judged yet. Never in the
    /// administrators' group.
    User(User<'d>, i64),
}

/// Somebody whom a rule asks to be added, disabled, for an operator to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The rule.
    pub priority: i64,
    /// The name.
    pub username: Name,
    /// The full name, if its template gives one.
    pub display_name: Option<Box<str>>,
    /// The mail address, if its template gives one.
    pub email: Option<Box<str>>,
    /// Groups to be in once enabled.
    pub groups: Vec<Name>,
}

/// Where one rule leads that was asked and decides.
#[derive(Clone, Debug)]
pub(in crate::directory) enum Verdict<'d> {
    /// Nobody, and why.
    Nowhere(String),
    User(User<'d>),
    Wish(Box<Wish>),
}

impl Rules {
    /// Reads rows into the order in which rules are asked; those that cannot be read, by priority.
    pub(in crate::directory) fn read(
        mut sources: Vec<RuleRow>,
        settings: &Settings,
    ) -> (Self, Vec<(i64, RowError)>) {
        sources.sort_by_key(|row| row.priority);
        let (mut rows, mut faults) = (Vec::new(), Vec::new());
        for row in &sources {
            let read = match rows.len() {
                ..MAX_RULES => Rule::read(row, settings),
                _ => Err(RowError::new("priority", format!("more than {MAX_RULES} rules"))),
            };
            match read {
                Ok(rule) => rows.push(rule),
                Err(error) => faults.push((row.priority, error)),
            }
        }
        (Self { rows, sources }, faults)
    }

    pub(in crate::directory) fn sources(&self) -> &[RuleRow] {
        &self.sources
    }

    pub(in crate::directory) fn rows(&self) -> &[Rule] {
        &self.rows
    }

    /// The first rule in force whose issuer and conditions agree.
    fn deciding(&self, holder: Holder<'_>, now: UnixTime) -> Option<&Rule> {
        self.rows.iter().find(|rule| {
            let agrees = rule.window.is_open(now) && rule.issuer.agrees(holder.identity);
            agrees && rule.conditions.hold(holder)
        })
    }
}

impl Rule {
    /// Whether this rule is about the certificate's issuer.
    pub(in crate::directory) fn is_of_issuer(&self, holder: Holder<'_>) -> bool {
        self.issuer.agrees(holder.identity)
    }

    /// The first condition that does not hold, for people.
    pub(in crate::directory) fn failing(&self, holder: Holder<'_>) -> Option<String> {
        let (number, what) = self.conditions.failing(holder)?;
        Some(format!("condition {number} ({what}) does not hold"))
    }

    fn optional(&self, template: Option<&Template>, holder: Holder<'_>) -> Option<Box<str>> {
        let text = template?.render(holder, &self.conditions).ok()?;
        read::text("", Some(text.as_bytes())).ok()?.map(Into::into)
    }
}

impl Directory {
    /// Who this is by the rules; ask only where no mapping matched.
    ///
    /// Fails closed: the first rule whose conditions hold decides alone, and where its template
    /// gives no name, or not one that may be used, there is nobody.
    #[must_use]
    pub fn ask_rules<'d>(&'d self, holder: Holder<'_>, now: UnixTime) -> Ruled<'d> {
        let Some(rule) = self.rules.deciding(holder, now) else { return Ruled::Nobody };
        match self.judge_rule(rule, holder) {
            Verdict::User(user) => Ruled::User(user, rule.priority),
            Verdict::Nowhere(_) | Verdict::Wish(_) => Ruled::Nobody,
        }
    }

    /// Whom the rules ask to be added; ask only where [`Directory::ask_rules`] found nobody.
    #[must_use]
    pub fn wish(&self, holder: Holder<'_>, now: UnixTime) -> Option<Wish> {
        match self.judge_rule(self.rules.deciding(holder, now)?, holder) {
            Verdict::Wish(wish) => Some(*wish),
            Verdict::Nowhere(_) | Verdict::User(_) => None,
        }
    }

    /// How many readable rules there are.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.rules.rows.len()
    }

    /// Where a rule leads whose conditions hold.
    pub(in crate::directory) fn judge_rule<'d>(
        &'d self,
        rule: &Rule,
        holder: Holder<'_>,
    ) -> Verdict<'d> {
        let username = match rule.username.render(holder, &rule.conditions) {
            Ok(text) => match Name::parse(text.as_bytes()) {
                Ok(name) => name,
                Err(error) => return Verdict::Nowhere(format!("the name it gives {error}")),
            },
            Err(blank) => return Verdict::Nowhere(blank.to_string()),
        };
        if let Some(user) = self.user(username.as_str()) {
            return self.judge_user(user);
        }
        if self.users.of_any_case(username.as_str()).next().is_some() {
            return Verdict::Nowhere(format!("a user {username} exists in another case"));
        }
        let display_name = rule.optional(rule.display_name.as_ref(), holder);
        let email = rule.optional(rule.email.as_ref(), holder);
        let mut groups = rule.groups.clone();
        match rule.users {
            Users::Existing => Verdict::Nowhere(format!("there is no user {username}")),
            Users::Any => Verdict::User(User {
                username: Cow::Owned(username.to_string()),
                display_name: display_name.map(|text| Cow::Owned(text.into_string())),
                email: email.map(|text| Cow::Owned(text.into_string())),
                mapped_only: false,
                groups: Groups::new(&mut groups, self.settings.group_separator),
                window: Some(Window { enabled: true, valid_from: None, valid_until: None }),
            }),
            Users::Provision => Verdict::Wish(Box::new(Wish {
                priority: rule.priority,
                username,
                display_name,
                email,
                groups,
            })),
        }
    }

    /// A user who is stored is what is stored, whichever rule leads there.
    fn judge_user<'d>(&self, user: User<'d>) -> Verdict<'d> {
        if user.mapped_only {
            return Verdict::Nowhere(format!("only mappings lead to {}", user.username));
        }
        if !user.groups.iter().any(|group| self.settings.is_admin(group)) {
            return Verdict::User(user);
        }
        let groups = user.groups.only(|group| !self.settings.is_admin(group));
        Verdict::User(User { groups, ..user })
    }
}

impl Settings {
    /// Whether this is the administrators' group, in any case: an application may fold it.
    pub(in crate::directory) fn is_admin(&self, group: &str) -> bool {
        group.eq_ignore_ascii_case(&self.admin_group)
    }
}
