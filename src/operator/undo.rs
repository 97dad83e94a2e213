//! Undoing a mistake: puts back what the audit says was there before.
//!
//! It refuses wherever anything happened to the row since, wherever somebody else would get what was
//! once alice's, and wherever what is kept of a certificate by now speaks against it. Judged while
//! nobody else writes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::approve::{ApproveError, objection};
use super::ground::Ground;
use crate::directory::row::PatternRow;
use crate::directory::{Directory, Kind, Mapping, Relation, parse_pattern, partial_identity};
use crate::pki::{Certificate, Identity};
use crate::store::{AuditRow, StoreError, Work};

/// What undoing one row of the audit did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Undone {
    /// The row of the audit.
    pub id: i64,
    /// What was done: `removed`, `changed back` or `put back`.
    pub what: &'static str,
    /// The table.
    pub relation: Relation,
    /// The row, as the audit names it.
    pub key: String,
}

/// Why a change is not undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// Something changed the row again, even if it looks the same by now.
    #[error(
        "audit row {id}: {relation} {key} is not what this change left, or was changed since; look at \
         `certgate audit list --relation {relation} --key {key}`"
    )]
    Changed {
        /// The row of the audit.
        id: i64,
        /// The table.
        relation: &'static str,
        /// The row.
        key: String,
    },
    /// The user was renamed or removed, and this row went along.
    #[error(
        "audit row {id}: {relation} {key} only followed its user, who was renamed or removed; undo \
         that change, with all that followed, by `certgate audit undo --transaction`"
    )]
    Followed {
        /// The row of the audit.
        id: i64,
        /// The table.
        relation: &'static str,
        /// The row.
        key: String,
    },
    /// Nothing that could be undone.
    #[error("audit row {id}: a {action} cannot be undone")]
    NotUndoable {
        /// The row of the audit.
        id: i64,
        /// What was done.
        action: String,
    },
    /// By now something speaks against the certificate being theirs.
    #[error("audit row {id}: mapping {key} is not put back: {why}")]
    Outdated {
        /// The row of the audit.
        id: i64,
        /// The mapping.
        key: String,
        /// What speaks against it.
        why: Box<ApproveError>,
    },
    /// There is a user of the name, but perhaps another one.
    #[error(
        "audit row {id}: somebody was added, renamed or removed as {username} since, who may not be \
         the one whom this was about; nothing is given to somebody else"
    )]
    SomebodyElse {
        /// The row of the audit.
        id: i64,
        /// The name.
        username: String,
    },
    /// A database that did not answer, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user to be taken away has got more since.
    #[error(
        "audit row {id}: {username} has mappings or groups by now, which would go with the user; \
         `certgate user remove {username}` says which"
    )]
    StillInUse {
        /// The row of the audit.
        id: i64,
        /// The user.
        username: String,
    },
}

/// Undoes one change, or all those of one transaction, newest first; the caller commits.
///
/// # Errors
/// The first row that cannot be undone: the transaction is then to be dropped.
pub async fn undo(
    work: &mut Work,
    ground: &Ground,
    rows: &[AuditRow],
) -> Result<Vec<Undone>, UndoError> {
    work.lock_directory().await?;
    let newest = work.audit_newest().await?;
    let ids = rows.iter().map(|row| row.id).collect();
    let mut undoing = Undoing { work, ground, rows, ids, newest, directory: None };
    let is_group = rows.len() > 1;
    let mut newest_first: Vec<_> = rows.iter().collect();
    newest_first.sort_by_key(|row| std::cmp::Reverse(row.id));
    let (followed, own): (Vec<_>, Vec<_>) = newest_first.into_iter().partition(|row| row.followed);
    let mut done = Vec::new();
    for row in own {
        done.push(undoing.undo_one(row).await?);
    }
    // The user is back: what went along comes back too. What was renamed along followed by itself.
    for row in followed {
        if is_group && row.action == "delete" {
            done.push(undoing.undo_one(row).await?);
        } else if !is_group {
            let (id, key) = (row.id, row.key.clone());
            return Err(UndoError::Followed { id, relation: relation(row)?.name(), key });
        }
    }
    Ok(done)
}

/// What is being undone, and what was there when that began.
struct Undoing<'a> {
    work: &'a mut Work,
    ground: &'a Ground,
    rows: &'a [AuditRow],
    ids: BTreeSet<i64>,
    /// The newest row of the audit before this undo wrote any.
    newest: i64,
    /// Read once, where a mapping goes back.
    directory: Option<Directory>,
}

impl Undoing<'_> {
    async fn undo_one(&mut self, row: &AuditRow) -> Result<Undone, UndoError> {
        let relation = relation(row)?;
        let what = match (row.before.as_deref(), row.after.as_deref()) {
            (None, Some(after)) => {
                self.check_stands(row, relation, after).await?;
                if relation == Relation::AppUser {
                    self.check_unused(row, after).await?;
                }
                self.work.row_take_away(relation, after).await?;
                "removed"
            }
            (Some(before), Some(after)) => {
                self.check_stands(row, relation, after).await?;
                self.check_owner(row, relation, before, Some(after)).await?;
                self.check_unopposed(row, relation, before).await?;
                self.work.row_change_back(relation, after, before).await?;
                "changed back"
            }
            (Some(before), None) => {
                self.check_last(row, relation).await?;
                self.check_owner(row, relation, before, None).await?;
                self.check_unopposed(row, relation, before).await?;
                self.work.row_put_back(relation, before).await?;
                "put back"
            }
            (None, None) => return Err(not_undoable(row)),
        };
        Ok(Undone { id: row.id, what, relation, key: row.key.clone() })
    }

    /// Whether somebody else wrote this row of the audit after that one: neither is it one of those
    /// that are undone, nor did undoing them write it.
    fn is_since(&self, id: i64, row: &AuditRow) -> bool {
        id > row.id && id <= self.newest && !self.ids.contains(&id)
    }

    async fn check_stands(
        &mut self,
        row: &AuditRow,
        relation: Relation,
        after: &str,
    ) -> Result<(), UndoError> {
        self.check_last(row, relation).await?;
        if self.work.row_stands(relation, after).await? {
            return Ok(());
        }
        Err(changed(row, relation))
    }

    /// Nothing happened to the row since: what was taken back, revoked and removed meanwhile must
    /// not come back as it once was.
    async fn check_last(&mut self, row: &AuditRow, relation: Relation) -> Result<(), UndoError> {
        let later = self.work.audit_later(relation, &row.key, row.id).await?;
        if later.into_iter().any(|id| self.is_since(id, row)) {
            return Err(changed(row, relation));
        }
        Ok(())
    }

    async fn check_unused(&mut self, row: &AuditRow, user: &str) -> Result<(), UndoError> {
        let Some(username) = text(user, "username") else { return Err(not_undoable(row)) };
        let groups = self.work.group_members(Some(&username)).await?;
        let mappings = self.work.mapping_list(Some(&username)).await?;
        if groups.is_empty() && mappings.is_empty() {
            return Ok(());
        }
        Err(UndoError::StillInUse { id: row.id, username })
    }

    /// A membership or a mapping goes back to whom it was taken from, and to nobody else of that
    /// name: nobody came by it, and nobody left it, since.
    async fn check_owner(
        &mut self,
        row: &AuditRow,
        relation: Relation,
        before: &str,
        after: Option<&str>,
    ) -> Result<(), UndoError> {
        if !matches!(relation, Relation::Mapping | Relation::UserGroup) {
            return Ok(());
        }
        let Some(username) = text(before, "username") else { return Err(not_undoable(row)) };
        if after.and_then(|after| text(after, "username")).as_ref() == Some(&username) {
            // The row is there as it was left, so its user is: rows go with their user.
            return Ok(());
        }
        let who = |side: &Option<String>| {
            let side = side.as_deref()?;
            (text(side, "username")? == username).then(|| text(side, "created_at"))
        };
        let later = self.work.audit_of_user_after(&username, row.id).await?;
        let is_somebody_new = later.iter().any(|one| {
            // A table that was emptied has no key.
            self.is_since(one.id, row)
                && (one.key.is_empty() || who(&one.before) != who(&one.after))
        });
        if is_somebody_new {
            return Err(UndoError::SomebodyElse { id: row.id, username });
        }
        Ok(())
    }

    /// A mapping that gives its user a certificate goes back only where nothing that is kept of the
    /// certificate speaks against it: a mapping that was revoked or switched off in its place, or
    /// one of somebody else.
    async fn check_unopposed(
        &mut self,
        row: &AuditRow,
        relation: Relation,
        before: &str,
    ) -> Result<(), UndoError> {
        if relation != Relation::Mapping {
            return Ok(());
        }
        let json: Value = serde_json::from_str(before).map_err(|_| not_undoable(row))?;
        if json.get("enabled") == Some(&Value::Bool(false))
            || json.get("revoked_at").is_some_and(|at| !at.is_null())
        {
            // It keeps out, or does nothing.
            return Ok(());
        }
        let Some(username) = text(before, "username") else { return Err(not_undoable(row)) };
        let own = |mapping: &Mapping<'_>| {
            let key = mapping.id.to_string();
            self.rows.iter().any(|row| row.relation == Relation::Mapping.name() && row.key == key)
        };
        let identities = shown(self.work, self.ground, &pattern(&json)).await?;
        if self.directory.is_none() {
            let rows = self.work.load().await?;
            self.directory = Some(Directory::build(&rows, &self.ground.settings));
        }
        let Some(directory) = &self.directory else { return Ok(()) };
        for identity in &identities {
            let matching: Vec<_> =
                directory.matching(identity).filter(|mapping| !own(mapping)).collect();
            match objection(&matching, &username, self.ground.now) {
                None | Some(ApproveError::AlreadyMapped { .. }) => {}
                Some(why) => {
                    let (id, key) = (row.id, row.key.clone());
                    return Err(UndoError::Outdated { id, key, why: Box::new(why) });
                }
            }
        }
        Ok(())
    }
}

/// What would be shown by the certificates that a mapping is about: what its row says, and those
/// that are known, if it is bound to one or to a key.
async fn shown(
    work: &mut Work,
    ground: &Ground,
    row: &PatternRow,
) -> Result<Vec<Identity>, StoreError> {
    let Some(identity) = partial_identity(row) else { return Ok(Vec::new()) };
    let Ok(pattern) = parse_pattern(row) else { return Ok(Vec::new()) };
    let mut shown = Vec::new();
    if pattern.kind().is_some_and(Kind::is_strong) {
        let sha256 = identity.sha256.map(|digest| digest.to_string());
        let spki = identity.spki_sha256.map(|digest| digest.to_string());
        let serial = identity.serial.as_ref().map(ToString::to_string);
        let ders =
            work.administrator_certificates(sha256.as_deref(), spki.as_deref(), serial.as_deref());
        let known = ders.await?;
        let known = known.iter().filter_map(|der| Certificate::from_der(der).ok());
        let known = known.map(|certificate| ground.identity(&certificate));
        shown.extend(known.filter(|identity| pattern.agrees(identity)));
    }
    shown.push(identity);
    Ok(shown)
}

/// The pattern of a mapping as the audit has it.
fn pattern(json: &Value) -> PatternRow {
    let bytes = |column: &str| json.get(column)?.as_str().map(|text| text.as_bytes().to_vec());
    PatternRow {
        sha256: bytes("sha256"),
        spki_sha256: bytes("spki_sha256"),
        issuer: bytes("issuer"),
        issuer_key_id: bytes("issuer_key_id"),
        serial: bytes("serial"),
        subject: bytes("subject"),
        san_email: bytes("san_email"),
        san_upn: bytes("san_upn"),
        san_uri: bytes("san_uri"),
        san_dns: bytes("san_dns"),
        common_name: bytes("common_name"),
    }
}

fn changed(row: &AuditRow, relation: Relation) -> UndoError {
    UndoError::Changed { id: row.id, relation: relation.name(), key: row.key.clone() }
}

fn relation(row: &AuditRow) -> Result<Relation, UndoError> {
    let known = Relation::ALL.into_iter().find(|relation| relation.name() == row.relation);
    known.ok_or_else(|| not_undoable(row))
}

fn not_undoable(row: &AuditRow) -> UndoError {
    UndoError::NotUndoable { id: row.id, action: row.action.clone() }
}

/// A column of a row of the audit, if it holds text.
fn text(row: &str, column: &str) -> Option<String> {
    let row: Value = serde_json::from_str(row).ok()?;
    row.get(column)?.as_str().map(str::to_owned)
}
