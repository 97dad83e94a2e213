//! Many rows at once, for an import: one statement for a few hundred rows.

use sqlx::{Postgres, QueryBuilder, Sqlite};

use super::{about, moment};
use crate::store::error::StoreError;
use crate::store::operator::{Member, NewBlock, NewMapping, NewUser, found};
use crate::store::value::NewMoment;
use crate::store::work::{Side, Work, act, on_side};

/// A mapping to add, perhaps one that lets nobody in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GivenMapping {
    /// The mapping.
    pub new: NewMapping,
    /// It is switched off.
    pub disabled: bool,
    /// It is revoked, RFC 3339.
    pub revoked_at: Option<String>,
    /// Why.
    pub revoked_reason: Option<String>,
}

/// A block to add, perhaps one that is switched off.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GivenBlock {
    /// The block.
    pub new: NewBlock,
    /// It is switched off.
    pub disabled: bool,
}

/// One statement with a row of values for each; nothing for no row.
macro_rules! insert_rows {
    ($work:expr, $subject:expr, $head:expr, $rows:expr, $tail:expr, |$values:ident, $row:ident| $bind:block) => {{
        let rows = $rows;
        if rows.is_empty() {
            return Ok(());
        }
        let work = async {
            match &mut $work.side {
                Side::Postgres(side) => {
                    let mut query = QueryBuilder::<Postgres>::new($head);
                    query.push_values(rows.iter(), |mut $values, $row| $bind);
                    query.push($tail);
                    query.build().execute(&mut **side).await?;
                }
                Side::Sqlite(side) => {
                    let mut query = QueryBuilder::<Sqlite>::new($head);
                    query.push_values(rows.iter(), |mut $values, $row| $bind);
                    query.push($tail);
                    query.build().execute(&mut **side).await?;
                }
            }
            Ok(())
        };
        act(&$work.url, &mut $work.broken, $subject, work).await
    }};
}
pub(in crate::store) use insert_rows;

/// Binds the eleven pattern columns into a row of values.
macro_rules! bind_columns {
    ($values:expr, $pattern:expr) => {
        $values
            .push_bind(&$pattern.sha256)
            .push_bind(&$pattern.spki_sha256)
            .push_bind(&$pattern.issuer)
            .push_bind(&$pattern.issuer_key_id)
            .push_bind(&$pattern.serial)
            .push_bind(&$pattern.subject)
            .push_bind(&$pattern.san_email)
            .push_bind(&$pattern.san_upn)
            .push_bind(&$pattern.san_uri)
            .push_bind(&$pattern.san_dns)
            .push_bind(&$pattern.common_name)
    };
}

impl Work {
    /// Keeps everybody else from changing users, memberships, mappings and blocks until the end of
    /// this transaction: what was weighed must still be so when it is written. SQLite has one
    /// writer anyway.
    pub async fn hold_writers(&mut self) -> Result<(), StoreError> {
        let work = async {
            if let Side::Postgres(side) = &mut self.side {
                sqlx::query(
                    "lock table app_user, user_group, mapping, block in share row exclusive mode",
                )
                .execute(&mut **side)
                .await?;
            }
            Ok(())
        };
        act(&self.url, &mut self.broken, about(""), work).await
    }

    /// Adds users and their memberships.
    pub async fn users_give(&mut self, users: &[NewUser]) -> Result<(), StoreError> {
        let role = self.role.clone();
        let mut rows = Vec::with_capacity(users.len());
        for user in users {
            let from = moment("valid_from", user.valid_from.as_ref())?;
            let until = moment("valid_until", user.valid_until.as_ref())?;
            rows.push((user, from, until));
        }
        let members = users.iter().flat_map(|user| {
            let of_user = |group: &String| Member {
                username: user.username.clone(),
                group_name: group.clone(),
            };
            user.groups.iter().map(of_user)
        });
        let members: Vec<Member> = members.collect();
        self.users_alone(&rows, role.as_deref()).await?;
        for chunk in members.chunks(MEMBERS_OF_A_STATEMENT) {
            self.members_give(chunk).await?;
        }
        Ok(())
    }

    async fn users_alone(
        &mut self,
        rows: &[(&NewUser, Option<NewMoment>, Option<NewMoment>)],
        role: Option<&str>,
    ) -> Result<(), StoreError> {
        let first = rows.first().map_or("", |row| row.0.username.as_str());
        insert_rows!(
            self,
            about(first),
            "insert into app_user (username, display_name, email, mapped_only, enabled, \
             valid_from, valid_until, note, created_by) ",
            rows,
            "",
            |values, row| {
                let (user, from, until) = row;
                values
                    .push_bind(&user.username)
                    .push_bind(&user.display_name)
                    .push_bind(&user.email)
                    .push_bind(user.mapped_only)
                    .push_bind(!user.disabled)
                    .push_bind(*from)
                    .push_bind(*until)
                    .push_bind(&user.note)
                    .push_bind(user.created_by.as_deref().or(role));
            }
        )
    }

    /// Puts users into groups.
    pub async fn members_give(&mut self, members: &[Member]) -> Result<(), StoreError> {
        let first = members.first().map_or("", |member| member.username.as_str());
        insert_rows!(
            self,
            about(first),
            "insert into user_group (username, group_name) ",
            members,
            "",
            |values, row| {
                values.push_bind(&row.username).push_bind(&row.group_name);
            }
        )
    }

    /// Adds mappings.
    pub async fn mappings_give(&mut self, mappings: &[GivenMapping]) -> Result<(), StoreError> {
        let role = self.role.clone();
        let role = role.as_deref();
        let mut rows = Vec::with_capacity(mappings.len());
        for mapping in mappings {
            let from = moment("valid_from", mapping.new.valid_from.as_ref())?;
            let until = moment("valid_until", mapping.new.valid_until.as_ref())?;
            let revoked = moment("revoked_at", mapping.revoked_at.as_ref())?;
            rows.push((mapping, from, until, revoked));
        }
        insert_rows!(
            self,
            about(""),
            "insert into mapping (sha256, spki_sha256, issuer, issuer_key_id, serial, subject, \
             san_email, san_upn, san_uri, san_dns, common_name, username, enabled, valid_from, \
             valid_until, revoked_at, revoked_reason, note, created_by) ",
            &rows,
            "",
            |values, row| {
                let (mapping, from, until, revoked) = row;
                bind_columns!(values, mapping.new.pattern)
                    .push_bind(&mapping.new.username)
                    .push_bind(!mapping.disabled)
                    .push_bind(*from)
                    .push_bind(*until)
                    .push_bind(*revoked)
                    .push_bind(&mapping.revoked_reason)
                    .push_bind(&mapping.new.note)
                    .push_bind(mapping.new.created_by.as_deref().or(role));
            }
        )
    }

    /// Adds blocks.
    pub async fn blocks_give(&mut self, blocks: &[GivenBlock]) -> Result<(), StoreError> {
        let role = self.role.clone();
        let role = role.as_deref();
        let mut rows = Vec::with_capacity(blocks.len());
        for block in blocks {
            let from = moment("valid_from", block.new.valid_from.as_ref())?;
            let until = moment("valid_until", block.new.valid_until.as_ref())?;
            rows.push((block, from, until));
        }
        insert_rows!(
            self,
            about(""),
            "insert into block (sha256, spki_sha256, issuer, issuer_key_id, serial, subject, \
             san_email, san_upn, san_uri, san_dns, common_name, enabled, valid_from, valid_until, \
             reason, note, created_by) ",
            &rows,
            "",
            |values, row| {
                let (block, from, until) = row;
                bind_columns!(values, block.new.pattern)
                    .push_bind(!block.disabled)
                    .push_bind(*from)
                    .push_bind(*until)
                    .push_bind(&block.new.reason)
                    .push_bind(&block.new.note)
                    .push_bind(block.new.created_by.as_deref().or(role));
            }
        )
    }

    /// Ends a mapping's window.
    pub async fn mapping_end(&mut self, id: i64, until: &str) -> Result<(), StoreError> {
        let until = moment("valid_until", Some(&until.to_owned()))?;
        let work = async {
            Ok(on_side!(self.side, side => {
                sqlx::query("update mapping set valid_until = $2 where id = $1")
                    .bind(id)
                    .bind(until)
                    .execute(&mut **side)
                    .await?
                    .rows_affected()
            }))
        };
        found(act(&self.url, &mut self.broken, about(""), work).await?, "mapping", id)
    }
}

/// Two values each, far below the number that a statement may have.
const MEMBERS_OF_A_STATEMENT: usize = 2_000;
