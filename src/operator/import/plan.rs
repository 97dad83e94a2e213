//! The weighing: every person, claim and ban of a feed against what is there.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::known::{Known, Row, State};
use super::naming::{self, ByNames};
use super::prune;
use super::{Existing, Plan, Terms, Users, pattern_of};
use crate::directory::{MAX_USER_AND_GROUPS_BYTES, Name, Pattern, parse_pattern};
use crate::exchange::{Ban, Claim, Feed, Meant, Person, Place, Placed, Refused};
use crate::pki::{Certificate, Identity, UnixTime};
use crate::store::{
    GivenBlock, GivenMapping, HeldCertificate, Member, NewBlock, NewMapping, NewUser, PatternText,
    User,
};

/// Weighs a feed. Nothing is done yet, and nothing here can do it.
#[must_use]
pub fn plan(feed: &Feed, existing: &Existing, terms: &Terms) -> Plan {
    let known = Known::new(existing, terms.now);
    let mut desk = Desk {
        by_names: by_names(&existing.certificates),
        known: &known,
        terms,
        plan: Plan {
            refused: feed.refused.clone(),
            remarks: feed.remarks.clone(),
            ..Plan::default()
        },
        new_users: HashMap::new(),
        joined: HashSet::new(),
        claimed: HashMap::new(),
        banned: HashSet::new(),
        named: BTreeSet::new(),
        kept: HashSet::new(),
        given: HashSet::new(),
        is_incomplete: !feed.refused.is_empty(),
        differing: 0,
        staying_disabled: BTreeSet::new(),
    };
    desk.check_domains(feed);
    for person in &feed.people {
        let done = desk.person(&person.value);
        desk.told(&person.place, done);
    }
    for claim in &feed.claims {
        let done = desk.claim(claim);
        desk.told(&claim.place, done);
    }
    for ban in &feed.bans {
        let done = desk.ban(&ban.value);
        desk.told(&ban.place, done);
    }
    desk.finish()
}

fn by_names(held: &[HeldCertificate]) -> ByNames<'_> {
    let mut by_names = ByNames::new();
    for held in held {
        if let Some(key) = naming::name_key(&held.certificate) {
            by_names.entry(key).or_default().push(&held.certificate);
        }
    }
    by_names
}

/// The work in progress.
struct Desk<'e> {
    known: &'e Known<'e>,
    by_names: ByNames<'e>,
    terms: &'e Terms,
    plan: Plan,
    /// Users of the plan by name in lower case: where in the plan.
    new_users: HashMap<String, usize>,
    /// Memberships of the plan.
    joined: HashSet<(String, String)>,
    /// What the feed has claimed so far, by canonical columns: whose, where, and in which state.
    claimed: HashMap<Vec<u8>, Vec<(String, Place, State)>>,
    /// Blocks of the feed.
    banned: HashSet<Vec<u8>>,
    /// Every user that the feed names.
    named: BTreeSet<String>,
    /// Mappings that the feed still has.
    kept: HashSet<i64>,
    /// Certificates of the plan.
    given: HashSet<[u8; 32]>,
    /// Something in the feed could not be read, so nobody knows what it no longer has.
    is_incomplete: bool,
    /// Users whose name, address or window the feed has otherwise.
    differing: usize,
    staying_disabled: BTreeSet<String>,
}

impl<'e> Desk<'e> {
    fn told(&mut self, place: &Place, done: Result<(), String>) {
        if let Err(why) = done {
            self.plan.refused.push(Refused { place: place.clone(), why });
        }
    }

    /// `alice@` is somebody else in another domain.
    fn check_domains(&mut self, feed: &Feed) {
        if !self.terms.domains.is_empty() {
            return;
        }
        let certificates = feed.claims.iter().filter_map(|claim| match &claim.value.meant {
            Meant::Certificate(certificate) => Some(&**certificate),
            Meant::Pattern(_) => None,
        });
        let domains = naming::domains(certificates, self.terms.user_from);
        if domains.len() > 1 {
            self.plan.forbidden = Some(format!(
                "the addresses are of several domains ({}), and alice@ is somebody else in another \
                 one: name those that count with --domain",
                domains.join(", ")
            ));
        }
    }

    fn person(&mut self, person: &Person) -> Result<(), String> {
        self.named.insert(person.username.clone());
        let Some(user) = self.existing(&person.username)? else {
            return self.new_person(person);
        };
        if user.enabled && person.disabled {
            return Err(format!(
                "{} is disabled in the file and enabled here; an import changes no user: \
                 `certgate user disable {0}`",
                person.username
            ));
        }
        if !user.enabled && !person.disabled {
            self.staying_disabled.insert(user.username.clone());
        }
        let differs =
            |here: &Option<String>, there: &Option<String>| there.is_some() && here != there;
        if differs(&user.display_name, &person.display_name)
            || differs(&user.email, &person.email)
            || differs(&user.valid_from, &person.valid_from)
            || differs(&user.valid_until, &person.valid_until)
        {
            self.differing += 1;
        }
        self.plan.already.users += 1;
        self.join(&person.username, &person.groups)
    }

    fn new_person(&mut self, person: &Person) -> Result<(), String> {
        let groups = self.groups_of(&person.groups)?;
        if let Some(place) = self.new_users.get(&person.username.to_ascii_lowercase()) {
            let there = self.plan.users.get(*place).map(|user| user.username.clone());
            if there.as_deref() != Some(&person.username) {
                return Err(format!("{} is in the file in another case too", person.username));
            }
            return self.join(&person.username, &person.groups);
        }
        self.add_user(NewUser {
            username: person.username.clone(),
            display_name: person.display_name.clone(),
            email: person.email.clone(),
            mapped_only: person.mapped_only,
            disabled: person.disabled,
            valid_from: person.valid_from.clone(),
            valid_until: person.valid_until.clone(),
            note: person.note.clone(),
            created_by: self.terms.created_by.clone(),
            groups,
        })
    }

    fn add_user(&mut self, user: NewUser) -> Result<(), String> {
        if self.terms.users == Users::Existing {
            return Err(format!("there is no user {}, and none is to be added", user.username));
        }
        let key = user.username.to_ascii_lowercase();
        for group in &user.groups {
            self.joined.insert((user.username.clone(), group.clone()));
        }
        self.new_users.insert(key, self.plan.users.len());
        self.plan.users.push(user);
        Ok(())
    }

    /// The user who is there under exactly this name.
    fn existing(&self, username: &str) -> Result<Option<&'e User>, String> {
        match self.known.user(username) {
            Some(user) if user.username != username => {
                Err(format!("{username} is here as {}, in another case", user.username))
            }
            found => Ok(found),
        }
    }

    /// These groups and those that everybody joins, if an import may.
    fn groups_of(&self, groups: &[String]) -> Result<Vec<String>, String> {
        let all: BTreeSet<&String> = groups.iter().chain(&self.terms.groups).collect();
        let admin = &self.terms.admin;
        let is_admin = |group: &&&String| group.eq_ignore_ascii_case(&admin.group);
        match all.iter().find(is_admin) {
            Some(group) if !admin.is_allowed => Err(format!(
                "{group} is the administrators' group, which nobody joins by an import; \
                 `certgate group add`, or --allow-admin-group"
            )),
            _ => Ok(all.into_iter().cloned().collect()),
        }
    }

    /// Puts a user into groups, those of everybody too.
    fn join(&mut self, username: &str, groups: &[String]) -> Result<(), String> {
        let existing = self.existing(username)?;
        let has = |group: &String| existing.is_some_and(|user| user.groups.contains(group));
        // What somebody is in already is no joining, the administrators' group too.
        let wanted: BTreeSet<String> = groups.iter().chain(&self.terms.groups).cloned().collect();
        let (there, missing): (Vec<String>, Vec<String>) = wanted.into_iter().partition(has);
        self.plan.already.members += there.len();
        let admin = &self.terms.admin;
        let is_admin = |group: &&String| group.eq_ignore_ascii_case(&admin.group);
        if let (Some(group), false) = (missing.iter().find(is_admin), admin.is_allowed) {
            return Err(format!(
                "{group} is the administrators' group, which nobody joins by an import; \
                 `certgate group add`, or --allow-admin-group"
            ));
        }
        let place = self.new_users.get(&username.to_ascii_lowercase()).copied();
        for group in missing {
            if !self.joined.insert((username.to_owned(), group.clone())) {
                continue;
            }
            match place.and_then(|place| self.plan.users.get_mut(place)) {
                Some(user) => user.groups.push(group),
                None => self
                    .plan
                    .members
                    .push(Member { username: username.to_owned(), group_name: group }),
            }
        }
        Ok(())
    }

    fn claim(&mut self, placed: &Placed<Claim>) -> Result<(), String> {
        let claim = &placed.value;
        let certificate = match &claim.meant {
            Meant::Certificate(certificate) => Some(certificate),
            Meant::Pattern(_) => None,
        };
        let named = naming::username(
            &claim.whose,
            certificate.map(|certificate| &**certificate),
            self.known,
            &self.by_names,
            self.terms,
        );
        let named = named.inspect_err(|_| self.is_incomplete = true)?;
        let username = named.username;
        Name::parse(username.as_bytes())
            .inspect_err(|_| self.is_incomplete = true)
            .map_err(|error| format!("{username:?} is no name of a user: it {error}"))?;
        self.named.insert(username.clone());
        let (text, pattern) = self.pattern(claim)?;
        let wanted = State::of(
            !claim.disabled,
            claim.valid_until.as_deref(),
            claim.revoked_at.as_deref(),
            self.terms.now,
        );
        if !self.note_claim(&pattern, &username, &placed.place, wanted)? {
            self.plan.already.mappings += 1;
            return Ok(());
        }
        if self.is_there(&pattern, &username, claim, wanted)? {
            self.plan.already.mappings += 1;
            self.give(certificate);
            return self.meet(&username);
        }
        if wanted == State::Live {
            self.weigh(&pattern, certificate.map(|certificate| &**certificate), &username)?;
            self.check_admin(&username)?;
        }
        self.meet(&username)?;
        self.give(certificate);
        self.retire(&named.predecessors);
        self.plan.mappings.push(GivenMapping {
            new: NewMapping {
                username,
                pattern: text,
                valid_from: claim.valid_from.clone(),
                valid_until: claim.valid_until.clone(),
                note: claim.note.clone(),
                created_by: self.terms.created_by.clone(),
            },
            disabled: claim.disabled,
            revoked_at: claim.revoked_at.clone(),
            revoked_reason: claim.revoked_reason.clone(),
        });
        Ok(())
    }

    /// The columns, as they are written and as they are compared.
    fn pattern(&self, claim: &Claim) -> Result<(PatternText, Pattern), String> {
        let text = match &claim.meant {
            Meant::Certificate(certificate) => pattern_of(certificate, self.terms.by)?,
            Meant::Pattern(text) => (**text).clone(),
        };
        let pattern = parse_pattern(&text.row()).map_err(|error| error.to_string())?;
        let kind = pattern.kind().ok_or("the issuer alone names nobody")?;
        if !self.terms.kinds.contains(kind) {
            return Err(format!(
                "a mapping of kind {0} could not match: identity.weak does not name it; choose a \
                 stronger one, add {0} to identity.weak, or say --anyway",
                kind.name()
            ));
        }
        Ok((text, pattern))
    }

    /// Remembers a claim; false if the feed has made the very same one.
    fn note_claim(
        &mut self,
        pattern: &Pattern,
        username: &str,
        place: &Place,
        wanted: State,
    ) -> Result<bool, String> {
        let is_strong = pattern.kind().is_some_and(|kind| kind.is_strong());
        let claims = self.claimed.entry(canonical(pattern)).or_default();
        for (other, there, state) in claims.iter() {
            if other == username && *state == wanted {
                return Ok(false);
            }
            let both_live = *state == State::Live && wanted == State::Live;
            if is_strong && both_live {
                return Err(format!("{there} gives the same certificate to {other}"));
            }
        }
        claims.push((username.to_owned(), place.clone(), wanted));
        Ok(true)
    }

    /// Whether this user has this very mapping already.
    fn is_there(
        &mut self,
        pattern: &Pattern,
        username: &str,
        claim: &Claim,
        wanted: State,
    ) -> Result<bool, String> {
        let known = self.known;
        let same = known.same(pattern).filter(|row| row.mapping.username == username);
        let same: Vec<&Row<'_>> = same.collect();
        // Whatever becomes of this claim, the feed still has them.
        self.kept.extend(same.iter().map(|row| row.mapping.id));
        let Some(first) = same.first() else { return Ok(false) };
        let is_live = |row: &&&Row<'_>| row.state == State::Live;
        match (same.iter().find(is_live), wanted) {
            (Some(row), State::Live) => {
                let differs = |here: &Option<String>, there: &Option<String>| {
                    there.is_some() && here != there
                };
                let mapping = row.mapping;
                if differs(&mapping.valid_from, &claim.valid_from)
                    || differs(&mapping.valid_until, &claim.valid_until)
                {
                    return Err(format!(
                        "mapping {} has another window; an import changes none: \
                         `certgate mapping edit {0}`",
                        mapping.id
                    ));
                }
                Ok(true)
            }
            (None, State::Live) => Err(format!(
                "mapping {} of {username} for this is {}, and an import does not bring it back",
                first.mapping.id,
                first.state.word()
            )),
            // A twin that is in force does not matter, if this one is there as well.
            (_, _) if same.iter().any(|row| row.state != State::Live) => Ok(true),
            (row, wanted) => Err(format!(
                "it is {} in the file, and mapping {} is in force; an import changes none",
                wanted.word(),
                row.unwrap_or(first).mapping.id
            )),
        }
    }

    /// Refuses what would bring back what was taken away, or give away what is another's.
    fn weigh(
        &self,
        pattern: &Pattern,
        certificate: Option<&Certificate>,
        username: &str,
    ) -> Result<(), String> {
        for row in self.known.overlapping(pattern) {
            refuse_beside(row, username, "")?;
        }
        if let Some(id) = self.known.block_overlapping(pattern, self.terms.now) {
            return Err(format!("block {id} keeps it out"));
        }
        // A name stands for many certificates, and a stronger mapping of one of them decides anyway.
        if pattern.kind().is_none_or(|kind| !kind.is_strong()) {
            return Ok(());
        }
        let held = self.known.certificates_of(pattern);
        let held = held.iter().map(|held| &*held.certificate);
        for one in held.chain(certificate) {
            self.weigh_certificate(one, username)?;
        }
        Ok(())
    }

    fn weigh_certificate(&self, certificate: &Certificate, username: &str) -> Result<(), String> {
        let identity = Identity::from_certificate(certificate);
        if let Some(id) = self.known.block(&identity, self.terms.now) {
            return Err(format!("block {id} keeps it out"));
        }
        for row in self.known.matching(&identity) {
            refuse_beside(row, username, "")?;
        }
        // Whoever holds the key of one certificate holds that of the other.
        for held in self.known.certificates_of_key(&certificate.spki_sha256) {
            if held.certificate.sha256 == certificate.sha256 {
                continue;
            }
            let other = Identity::from_certificate(&held.certificate);
            if let Some(id) = self.known.block(&other, self.terms.now) {
                return Err(format!("block {id} keeps out a certificate with the same key"));
            }
            let strong = self.known.matching(&other).filter(|row| row.kind.is_strong());
            // A predecessor with the same key may have ended as it should.
            for row in strong.filter(|row| row.state != State::Ended) {
                refuse_beside(row, username, " (another certificate with the same key)")?;
            }
        }
        Ok(())
    }

    fn check_admin(&self, username: &str) -> Result<(), String> {
        let admin = &self.terms.admin;
        let groups = self.known.user(username).map(|user| user.groups.as_slice());
        let mut groups = groups.unwrap_or_default().iter();
        if !admin.is_allowed && groups.any(|group| group.eq_ignore_ascii_case(&admin.group)) {
            return Err(format!(
                "{username} is an administrator, who gets no certificate by an import; \
                 `certgate mapping add`, or --allow-admin-group"
            ));
        }
        Ok(())
    }

    /// The user of a claim is there, or comes with it.
    fn meet(&mut self, username: &str) -> Result<(), String> {
        let is_new = self.new_users.contains_key(&username.to_ascii_lowercase());
        match self.existing(username)? {
            None if !is_new => {
                let groups = self.groups_of(&[])?;
                self.add_user(NewUser {
                    username: username.to_owned(),
                    created_by: self.terms.created_by.clone(),
                    groups,
                    ..NewUser::default()
                })
            }
            None => {
                let place = self.new_users.get(&username.to_ascii_lowercase());
                let user = place.and_then(|place| self.plan.users.get(*place));
                if user.is_some_and(|user| user.username != username) {
                    return Err(format!("{username} is in the file in another case too"));
                }
                Ok(())
            }
            Some(user) => {
                if !user.enabled {
                    self.staying_disabled.insert(user.username.clone());
                }
                self.join(username, &[])
            }
        }
    }

    fn give(&mut self, certificate: Option<&Arc<Certificate>>) {
        let Some(certificate) = certificate else { return };
        let is_given =
            self.known.certificate(&certificate.sha256).is_some_and(|held| held.is_given);
        if !is_given && self.given.insert(*certificate.sha256.as_bytes()) {
            self.plan.certificates.push(Arc::clone(certificate));
        }
    }

    /// Ends the predecessors' windows, never later than they end already.
    fn retire(&mut self, predecessors: &[i64]) {
        let Some(seconds) = self.terms.retire_after_seconds else { return };
        let end = self.terms.now.as_micros().saturating_add(seconds.saturating_mul(1_000_000));
        let end = UnixTime::from_micros(end);
        for row in self.known.rows().iter().filter(|row| predecessors.contains(&row.mapping.id)) {
            let until = row.mapping.valid_until.as_deref().map(UnixTime::parse_rfc3339);
            let ends_before = matches!(until, Some(Ok(until)) if until <= end);
            let is_planned = self.plan.retired.iter().any(|(id, _)| *id == row.mapping.id);
            if !ends_before && !is_planned {
                self.plan.retired.push((row.mapping.id, end.to_string()));
            }
        }
    }

    fn ban(&mut self, ban: &Ban) -> Result<(), String> {
        let pattern = parse_pattern(&ban.pattern.row()).map_err(|error| error.to_string())?;
        if self.banned.contains(&canonical(&pattern)) {
            self.plan.already.blocks += 1;
            return Ok(());
        }
        let wanted = State::of(!ban.disabled, ban.valid_until.as_deref(), None, self.terms.now);
        match self.known.same_block(&pattern, self.terms.now) {
            // Blocking once more takes away, and an import may; a block that somebody lifted is
            // somebody's decision all the same.
            Some((id, false)) if wanted == State::Live => {
                return Err(format!(
                    "block {id} for this is lifted here; `certgate block enable {id}`"
                ));
            }
            Some(_) => {
                self.plan.already.blocks += 1;
                return Ok(());
            }
            None => {}
        }
        self.banned.insert(canonical(&pattern));
        self.plan.blocks.push(GivenBlock {
            new: NewBlock {
                pattern: ban.pattern.clone(),
                valid_from: ban.valid_from.clone(),
                valid_until: ban.valid_until.clone(),
                reason: ban.reason.clone(),
                note: ban.note.clone(),
                created_by: self.terms.created_by.clone(),
            },
            disabled: ban.disabled,
        });
        Ok(())
    }

    fn finish(mut self) -> Plan {
        self.refuse_long_headers();
        if self.differing > 0 {
            self.plan.remarks.push(format!(
                "{} users have another name, address or window here; they stay as they are",
                self.differing
            ));
        }
        if !self.staying_disabled.is_empty() {
            let names: Vec<&str> =
                self.staying_disabled.iter().take(MAX_NAMES_TOLD).map(String::as_str).collect();
            self.plan.remarks.push(format!(
                "{} users stay disabled: {}",
                self.staying_disabled.len(),
                names.join(", ")
            ));
        }
        if let Some(limit) = &self.terms.prune {
            prune::prune(
                &mut self.plan,
                self.known,
                self.terms,
                limit,
                &prune::Feed {
                    kept: &self.kept,
                    named: &self.named,
                    is_incomplete: self.is_incomplete,
                },
            );
        }
        self.plan
    }

    /// User and groups travel in one header, which has a limit.
    fn refuse_long_headers(&mut self) {
        let mut bytes: HashMap<&str, usize> = HashMap::new();
        for member in &self.plan.members {
            *bytes.entry(&member.username).or_default() += member.group_name.len() + 1;
        }
        let size = |name: &str, groups: &[String]| {
            name.len() + groups.iter().map(|group| group.len() + 1).sum::<usize>()
        };
        let mut long: Vec<String> = Vec::new();
        for (username, added) in bytes {
            let there = self.known.user(username).map_or(0, |user| size(username, &user.groups));
            if there + added > MAX_USER_AND_GROUPS_BYTES {
                long.push(username.to_owned());
            }
        }
        let new = self.plan.users.iter();
        let new = new.filter(|user| size(&user.username, &user.groups) > MAX_USER_AND_GROUPS_BYTES);
        long.extend(new.map(|user| user.username.clone()));
        if let Some(username) = long.first() {
            self.plan.forbidden = Some(format!(
                "{username} and the groups exceed {MAX_USER_AND_GROUPS_BYTES} bytes together"
            ));
        }
    }
}

/// No mapping is added beside one of another user, or beside one that was taken away.
fn refuse_beside(row: &Row<'_>, username: &str, which: &str) -> Result<(), String> {
    let (id, owner) = (row.mapping.id, row.mapping.username.as_str());
    if row.state != State::Live {
        return Err(format!(
            "mapping {id} of {owner}{which} is {}, and an import does not bring it back",
            row.state.word()
        ));
    }
    if owner != username {
        return Err(format!("mapping {id}{which} says it is {owner}'s"));
    }
    Ok(())
}

/// The columns of a pattern as one key.
fn canonical(pattern: &Pattern) -> Vec<u8> {
    let mut key = Vec::new();
    for (column, value) in pattern.columns() {
        key.extend_from_slice(column.name().as_bytes());
        key.extend_from_slice(&value.bytes().len().to_be_bytes());
        key.extend_from_slice(value.bytes());
    }
    key
}

/// Names that a remark repeats.
const MAX_NAMES_TOLD: usize = 10;
