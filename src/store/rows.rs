//! The queries that read everything, the same on both databases, and rows as bytes.

use sqlx::{ColumnIndex, Decode, Error, Row, Type};

use super::value::{Flag, Moment, Text};
use crate::directory::row::{BlockRow, GroupRow, MappingRow, PatternRow, UserRow};

pub(super) const USERS: &str = "select username, display_name, email, origin, mapped_only, \
     enabled, valid_from, valid_until from app_user";
pub(super) const GROUPS: &str = "select username, group_name from user_group";
pub(super) const MAPPINGS: &str = "select sha256, spki_sha256, issuer, issuer_key_id, serial, \
     subject, san_email, san_upn, san_uri, san_dns, common_name, enabled, valid_from, \
     valid_until, id, username, revoked_at, revoked_reason, note from mapping";
pub(super) const BLOCKS: &str = "select sha256, spki_sha256, issuer, issuer_key_id, serial, \
     subject, san_email, san_upn, san_uri, san_dns, common_name, enabled, valid_from, \
     valid_until, id, reason from block";

/// Reads the columns of a row by position; the queries above say which is which.
pub(super) struct Columns<'r, R>(pub(super) &'r R);

impl<'r, R> Columns<'r, R>
where
    R: Row,
    usize: ColumnIndex<R>,
    Text: Decode<'r, R::Database> + Type<R::Database>,
    Flag: Decode<'r, R::Database> + Type<R::Database>,
    Moment: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    pub(super) fn user(&self) -> Result<UserRow, Error> {
        Ok(UserRow {
            username: self.text(0)?.unwrap_or_default(),
            display_name: self.text(1)?,
            email: self.text(2)?,
            origin: self.text(3)?.unwrap_or_default(),
            mapped_only: self.flag(4)?,
            enabled: self.flag(5)?,
            valid_from: self.moment(6)?,
            valid_until: self.moment(7)?,
        })
    }

    pub(super) fn group(&self) -> Result<GroupRow, Error> {
        Ok(GroupRow {
            username: self.text(0)?.unwrap_or_default(),
            group_name: self.text(1)?.unwrap_or_default(),
        })
    }

    pub(super) fn mapping(&self) -> Result<MappingRow, Error> {
        Ok(MappingRow {
            pattern: self.pattern()?,
            enabled: self.flag(11)?,
            valid_from: self.moment(12)?,
            valid_until: self.moment(13)?,
            id: self.0.try_get(14)?,
            username: self.text(15)?.unwrap_or_default(),
            revoked_at: self.moment(16)?,
            revoked_reason: self.text(17)?,
            note: self.text(18)?,
        })
    }

    pub(super) fn block(&self) -> Result<BlockRow, Error> {
        Ok(BlockRow {
            pattern: self.pattern()?,
            enabled: self.flag(11)?,
            valid_from: self.moment(12)?,
            valid_until: self.moment(13)?,
            id: self.0.try_get(14)?,
            reason: self.text(15)?,
        })
    }

    fn pattern(&self) -> Result<PatternRow, Error> {
        Ok(PatternRow {
            sha256: self.text(0)?,
            spki_sha256: self.text(1)?,
            issuer: self.text(2)?,
            issuer_key_id: self.text(3)?,
            serial: self.text(4)?,
            subject: self.text(5)?,
            san_email: self.text(6)?,
            san_upn: self.text(7)?,
            san_uri: self.text(8)?,
            san_dns: self.text(9)?,
            common_name: self.text(10)?,
        })
    }

    fn text(&self, column: usize) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.try_get::<Option<Text>, _>(column)?.map(|text| text.0))
    }

    fn moment(&self, column: usize) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.try_get::<Option<Moment>, _>(column)?.map(|moment| moment.0))
    }

    fn flag(&self, column: usize) -> Result<i64, Error> {
        Ok(self.0.try_get::<Flag, _>(column)?.0)
    }
}
