//! Values that cross the border to a database, so that one SQL text serves both.
//!
//! Reading never judges and never fails for what a row holds: that is the directory's work.
//! Nothing outside this room may need to know how either database stores a value.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Postgres, Sqlite, Type};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A text column as bytes; not checked to be UTF-8.
pub(super) struct Text(pub(super) Vec<u8>);

impl Type<Postgres> for Text {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        <str as Type<Postgres>>::compatible(ty)
    }
}

impl Decode<'_, Postgres> for Text {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(value.as_bytes()?.to_vec()))
    }
}

impl Type<Sqlite> for Text {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }

    fn compatible(_: &SqliteTypeInfo) -> bool {
        true
    }
}

impl<'r> Decode<'r, Sqlite> for Text {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        <Vec<u8> as Decode<'r, Sqlite>>::decode(value).map(Self)
    }
}

/// A boolean column; what is neither true nor false keeps its number.
pub(super) struct Flag(pub(super) i64);

impl Type<Postgres> for Flag {
    fn type_info() -> PgTypeInfo {
        <bool as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Flag {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        <bool as Decode<'r, Postgres>>::decode(value).map(|flag| Self(i64::from(flag)))
    }
}

impl Type<Sqlite> for Flag {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(_: &SqliteTypeInfo) -> bool {
        true
    }
}

impl<'r> Decode<'r, Sqlite> for Flag {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        <i64 as Decode<'r, Sqlite>>::decode(value).map(Self)
    }
}

/// A time column as RFC 3339 text; what has no such form becomes text that is no time.
pub(super) struct Moment(pub(super) Vec<u8>);

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl<'r> Decode<'r, Postgres> for Moment {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Ok(Self(value.as_bytes()?.to_vec()));
        }
        let text = match i64::from_be_bytes(value.as_bytes()?.try_into()?) {
            i64::MAX => "infinity".to_owned(),
            i64::MIN => "-infinity".to_owned(),
            micros => {
                let nanos = (i128::from(micros) + i128::from(POSTGRES_EPOCH_MICROS)) * 1_000;
                OffsetDateTime::from_unix_timestamp_nanos(nanos)
                    .ok()
                    .and_then(|at| at.format(&Rfc3339).ok())
                    .unwrap_or_else(|| format!("out of range: {micros}"))
            }
        };
        Ok(Self(text.into_bytes()))
    }
}

impl Type<Sqlite> for Moment {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }

    fn compatible(_: &SqliteTypeInfo) -> bool {
        true
    }
}

impl<'r> Decode<'r, Sqlite> for Moment {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        <Vec<u8> as Decode<'r, Sqlite>>::decode(value).map(Self)
    }
}

/// A time to write: a timestamp for PostgreSQL, RFC 3339 text in UTC for SQLite.
#[derive(Clone, Copy)]
pub(super) struct NewMoment(pub(super) OffsetDateTime);

impl NewMoment {
    /// Reads RFC 3339, zone included; `None` if it is not that.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let at =
            OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(time::UtcOffset::UTC)?;
        (1970..=9999).contains(&at.year()).then_some(Self(at))
    }
}

impl Type<Postgres> for NewMoment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl Encode<'_, Postgres> for NewMoment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = i64::try_from(self.0.unix_timestamp_nanos() / 1_000)?;
        buffer.extend_from_slice(&(micros - POSTGRES_EPOCH_MICROS).to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Type<Sqlite> for NewMoment {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }
}

impl<'q> Encode<'q, Sqlite> for NewMoment {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<'q, Sqlite>>::encode(self.0.format(&Rfc3339)?, buffer)
    }
}

/// JSON to write, as it stands.
#[derive(Clone, Copy)]
pub(super) struct NewJson<'t>(pub(super) &'t str);

impl Type<Postgres> for NewJson<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("json")
    }
}

impl Encode<'_, Postgres> for NewJson<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

impl Type<Sqlite> for NewJson<'_> {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }
}

impl<'q> Encode<'q, Sqlite> for NewJson<'_> {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<'q, Sqlite>>::encode(self.0.to_owned(), buffer)
    }
}

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01 (its binary timestamp format).
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;
