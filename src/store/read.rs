//! Reads the whole directory; the SQL is the same on both databases.
//!
//! It must not judge a row, and must not leave one out.

use sqlx::{ColumnIndex, Decode, Type};

use super::value::{Flag, Moment, Text};
use crate::directory::row::{BlockRow, GroupRow, MappingRow, PatternRow, Row, RuleRow, UserRow};

/// PostgreSQL: one snapshot for all that follows, and nothing that a standby would refuse.
pub(super) const READ: &str = "begin isolation level repeatable read, read only";
/// PostgreSQL: the tables of the directory, before there is a snapshot. One that is truncated or
/// written anew is empty to every snapshot that is older, so nobody may do so while it is read.
pub(super) const HOLD: &str =
    "lock table app_user, user_group, mapping, block, rule in access share mode";
/// PostgreSQL: where row-level security applies to this role, and so rows may be hidden from it,
/// blocks among them, the server refuses the statement instead. It does not ask what the policies
/// let through.
pub(super) const WHOLE: &str = "set local row_security = off";
/// `READ` and `WHOLE`, said at once.
pub(super) const READ_WHOLE: &str =
    "begin isolation level repeatable read, read only; set local row_security = off";

/// Who takes the rows of a load, one by one.
pub trait Sink: Send {
    /// Takes a row; the reading goes on when this is done, so that a slow taker holds it up.
    fn take(&mut self, row: Row) -> impl Future<Output = ()> + Send;
}

impl<F: FnMut(Row) + Send> Sink for F {
    async fn take(&mut self, row: Row) {
        self(row);
    }
}

/// A database whose rows can be read by column number.
pub(super) trait Readable: sqlx::Row + Sized {
    fn text(&self, column: usize) -> Result<Vec<u8>, sqlx::Error>;
    fn text_or_null(&self, column: usize) -> Result<Option<Vec<u8>>, sqlx::Error>;
    fn flag(&self, column: usize) -> Result<i64, sqlx::Error>;
    fn id(&self, column: usize) -> Result<i64, sqlx::Error>;
    fn moment(&self, column: usize) -> Result<Option<Vec<u8>>, sqlx::Error>;
    fn octets(&self, column: usize) -> Result<Vec<u8>, sqlx::Error>;
}

impl<R: sqlx::Row> Readable for R
where
    usize: ColumnIndex<R>,
    for<'r> Text: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Flag: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Moment: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn text(&self, column: usize) -> Result<Vec<u8>, sqlx::Error> {
        self.try_get::<Text, _>(column).map(|text| text.0)
    }

    fn text_or_null(&self, column: usize) -> Result<Option<Vec<u8>>, sqlx::Error> {
        self.try_get::<Option<Text>, _>(column).map(|text| text.map(|text| text.0))
    }

    fn flag(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.try_get::<Flag, _>(column).map(|flag| flag.0)
    }

    fn id(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.try_get(column)
    }

    fn moment(&self, column: usize) -> Result<Option<Vec<u8>>, sqlx::Error> {
        self.try_get::<Option<Moment>, _>(column).map(|moment| moment.map(|moment| moment.0))
    }

    fn octets(&self, column: usize) -> Result<Vec<u8>, sqlx::Error> {
        self.try_get(column)
    }
}

pub(super) const USERS: &str = "select username, display_name, email, origin, mapped_only, \
     enabled, valid_from, valid_until from app_user";
pub(super) const GROUPS: &str = "select username, group_name from user_group";
pub(super) const MAPPINGS: &str = "select sha256, spki_sha256, issuer, issuer_key_id, serial, \
     subject, san_email, san_upn, san_uri, san_dns, common_name, id, enabled, valid_from, \
     valid_until, username, revoked_at, revoked_reason, note from mapping";
pub(super) const BLOCKS: &str = "select sha256, spki_sha256, issuer, issuer_key_id, serial, \
     subject, san_email, san_upn, san_uri, san_dns, common_name, id, enabled, valid_from, \
     valid_until, reason from block";
// A priority is no bigint, and JSON is no text, on PostgreSQL alone.
pub(super) const RULES: &str = "select cast(priority as bigint), name, issuer, issuer_key_id, \
     cast(conditions as text), username, display_name, email, group_names, users, enabled, \
     valid_from, valid_until from rule";

/// Reads a row of [`USERS`].
pub(super) fn user(row: &impl Readable) -> Result<Row, sqlx::Error> {
    Ok(Row::User(UserRow {
        username: row.text(0)?,
        display_name: row.text_or_null(1)?,
        email: row.text_or_null(2)?,
        origin: row.text(3)?,
        mapped_only: row.flag(4)?,
        enabled: row.flag(5)?,
        valid_from: row.moment(6)?,
        valid_until: row.moment(7)?,
    }))
}

/// Reads a row of [`GROUPS`].
pub(super) fn group(row: &impl Readable) -> Result<Row, sqlx::Error> {
    Ok(Row::Group(GroupRow { username: row.text(0)?, group_name: row.text(1)? }))
}

/// Reads a row of [`MAPPINGS`].
pub(super) fn mapping(row: &impl Readable) -> Result<Row, sqlx::Error> {
    Ok(Row::Mapping(MappingRow {
        pattern: pattern(row)?,
        id: row.id(11)?,
        enabled: row.flag(12)?,
        valid_from: row.moment(13)?,
        valid_until: row.moment(14)?,
        username: row.text(15)?,
        revoked_at: row.moment(16)?,
        revoked_reason: row.text_or_null(17)?,
        note: row.text_or_null(18)?,
    }))
}

/// Reads a row of [`BLOCKS`].
pub(super) fn block(row: &impl Readable) -> Result<Row, sqlx::Error> {
    Ok(Row::Block(BlockRow {
        pattern: pattern(row)?,
        id: row.id(11)?,
        enabled: row.flag(12)?,
        valid_from: row.moment(13)?,
        valid_until: row.moment(14)?,
        reason: row.text_or_null(15)?,
    }))
}

/// Reads a row of [`RULES`].
pub(super) fn rule(row: &impl Readable) -> Result<Row, sqlx::Error> {
    Ok(Row::Rule(RuleRow {
        priority: row.id(0)?,
        name: row.text_or_null(1)?,
        issuer: row.text(2)?,
        issuer_key_id: row.text_or_null(3)?,
        conditions: row.text(4)?,
        username: row.text(5)?,
        display_name: row.text_or_null(6)?,
        email: row.text_or_null(7)?,
        group_names: row.text_or_null(8)?,
        users: row.text(9)?,
        enabled: row.flag(10)?,
        valid_from: row.moment(11)?,
        valid_until: row.moment(12)?,
    }))
}

/// The first eleven columns of [`MAPPINGS`] and [`BLOCKS`].
pub(super) fn pattern(row: &impl Readable) -> Result<PatternRow, sqlx::Error> {
    Ok(PatternRow {
        sha256: row.text_or_null(0)?,
        spki_sha256: row.text_or_null(1)?,
        issuer: row.text_or_null(2)?,
        issuer_key_id: row.text_or_null(3)?,
        serial: row.text_or_null(4)?,
        subject: row.text_or_null(5)?,
        san_email: row.text_or_null(6)?,
        san_upn: row.text_or_null(7)?,
        san_uri: row.text_or_null(8)?,
        san_dns: row.text_or_null(9)?,
        common_name: row.text_or_null(10)?,
    })
}

/// Streams every table over one connection, inside the caller's transaction.
macro_rules! read_all {
    ($connection:expr, $each:expr) => {{
        use crate::store::read;
        // Memberships first: a builder then has them when their user comes.
        read::read_table!($connection, read::GROUPS, read::group, $each);
        read::read_table!($connection, read::USERS, read::user, $each);
        read::read_table!($connection, read::MAPPINGS, read::mapping, $each);
        read::read_table!($connection, read::BLOCKS, read::block, $each);
        read::read_table!($connection, read::RULES, read::rule, $each);
    }};
}

macro_rules! read_table {
    ($connection:expr, $sql:expr, $read:path, $each:expr) => {{
        let mut rows = sqlx::query($sql).persistent(false).fetch(&mut *$connection);
        while let Some(row) = std::future::poll_fn(|cx| rows.as_mut().poll_next(cx)).await {
            $each.take($read(&row?)?).await;
        }
    }};
}

/// Reads the rows under these keys, inside the caller's transaction. `$among` is how this database
/// says that a column is one of the bound values.
macro_rules! read_keys {
    ($connection:expr, $keys:expr, $bound:path, $among:expr) => {{
        use crate::store::read;
        let keys = $keys;
        let (names, mappings) = (keys.usernames(), keys.mappings());
        let (blocks, rules) = (keys.blocks(), keys.rules());
        read::read_some!(
            $connection,
            read::USERS,
            "username",
            $among,
            $bound(names.clone()),
            read::user,
            keys,
            names
        );
        read::read_some!(
            $connection,
            read::GROUPS,
            "username",
            $among,
            $bound(names.clone()),
            read::group,
            keys,
            names
        );
        read::read_some!(
            $connection,
            read::MAPPINGS,
            "id",
            $among,
            $bound(mappings.clone()),
            read::mapping,
            keys,
            mappings
        );
        read::read_some!(
            $connection,
            read::BLOCKS,
            "id",
            $among,
            $bound(blocks.clone()),
            read::block,
            keys,
            blocks
        );
        read::read_some!(
            $connection,
            read::RULES,
            "priority",
            $among,
            $bound(rules.clone()),
            read::rule,
            keys,
            rules
        );
    }};
}

macro_rules! read_some {
    ($connection:expr, $sql:expr, $column:expr, $among:expr, $bound:expr, $read:path, $keys:expr, $asked:expr) => {
        if !$asked.is_empty() {
            // Constants of ours, and no value.
            let sql = sqlx::AssertSqlSafe(format!("{} where {} {}", $sql, $column, $among));
            let mut rows = sqlx::query(sql).bind($bound).persistent(false).fetch(&mut *$connection);
            while let Some(row) = std::future::poll_fn(|cx| rows.as_mut().poll_next(cx)).await {
                $keys.found($read(&row?)?);
            }
        }
    };
}
pub(super) use {read_all, read_keys, read_some, read_table};
