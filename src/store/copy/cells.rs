//! One row on its way from one database to the other.

use sha2::{Digest as _, Sha256};
use sqlx::{Decode, Postgres, QueryBuilder, Sqlite, Type};

use super::CopyError;
use super::tables::{Kind, Table};
use crate::pki::UnixTime;
use crate::store::read::Readable;
use crate::store::value::{NewJson, NewMoment};
use crate::store::work::Side;

/// Stands for a row when both sides are compared.
pub(super) type Digest = [u8; 32];

/// A row.
pub(super) struct Line(Vec<Cell>);

/// A value that both databases can hold; none is null.
enum Cell {
    Bytes(Option<Vec<u8>>),
    Flag(Option<bool>),
    Id(Option<i64>),
    Json(Option<String>),
    Moment(Option<UnixTime>),
    Number(Option<i32>),
    Text(Option<String>),
}

/// A value that cannot be carried over.
pub(super) struct Fault {
    row: String,
    column: &'static str,
    why: &'static str,
}

impl Fault {
    pub(super) fn of(self, table: &'static Table) -> CopyError {
        let Self { row, column, why } = self;
        CopyError::Value { table: table.name, row, column, why }
    }
}

/// Reads a row; what only one of the databases could hold is a fault.
pub(super) fn lines<R>(row: &R, table: &'static Table) -> Result<Result<Line, Fault>, sqlx::Error>
where
    R: Readable,
    usize: sqlx::ColumnIndex<R>,
    for<'r> Option<Vec<u8>>: Decode<'r, R::Database>,
    for<'r> Option<i64>: Decode<'r, R::Database>,
    for<'r> Option<bool>: Decode<'r, R::Database>,
    Vec<u8>: Type<R::Database>,
    i64: Type<R::Database>,
    bool: Type<R::Database>,
{
    let mut cells = Vec::with_capacity(table.columns.len());
    for (at, (column, kind)) in table.columns.iter().enumerate() {
        let cell = match kind {
            Kind::Bytes => Ok(Cell::Bytes(row.try_get(at)?)),
            Kind::Flag => Ok(Cell::Flag(row.try_get(at)?)),
            Kind::Id => Ok(Cell::Id(row.try_get(at)?)),
            Kind::Json => text(row.text_or_null(at)?).map(Cell::Json),
            Kind::Moment => moment(row.moment(at)?).map(Cell::Moment),
            Kind::Number => number(row.try_get(at)?).map(Cell::Number),
            Kind::Text => text(row.text_or_null(at)?).map(Cell::Text),
        };
        match cell {
            Ok(cell) => cells.push(cell),
            Err(why) => {
                let row = cells.first().map(Cell::shown).unwrap_or_default();
                return Ok(Err(Fault { row, column, why }));
            }
        }
    }
    Ok(Ok(Line(cells)))
}

fn text(bytes: Option<Vec<u8>>) -> Result<Option<String>, &'static str> {
    bytes.map(String::from_utf8).transpose().map_err(|_| "is not UTF-8")
}

fn moment(text: Option<Vec<u8>>) -> Result<Option<UnixTime>, &'static str> {
    let read = |text: Vec<u8>| {
        let text = String::from_utf8(text).map_err(|_| "is no time")?;
        UnixTime::parse_rfc3339(&text).map_err(|_| "is no time between 1970 and 9999")
    };
    text.map(read).transpose()
}

fn number(value: Option<i64>) -> Result<Option<i32>, &'static str> {
    value.map(i32::try_from).transpose().map_err(|_| "is no number that fits")
}

impl Cell {
    /// For an error message.
    fn shown(&self) -> String {
        match self {
            Self::Id(Some(id)) => id.to_string(),
            Self::Number(Some(number)) => number.to_string(),
            Self::Text(Some(text)) => text.clone(),
            _ => String::new(),
        }
    }

    fn feed(&self, hash: &mut Sha256) {
        let mut push = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => {
                hash.update([1]);
                hash.update(bytes.len().to_be_bytes());
                hash.update(bytes);
            }
            None => hash.update([0]),
        };
        match self {
            Self::Bytes(bytes) => push(bytes.as_deref()),
            Self::Flag(flag) => {
                push(flag.map(|flag| [u8::from(flag)]).as_ref().map(|one| &one[..]))
            }
            Self::Id(id) => push(id.map(i64::to_be_bytes).as_ref().map(|one| &one[..])),
            Self::Json(text) | Self::Text(text) => push(text.as_deref().map(str::as_bytes)),
            Self::Moment(at) => {
                let at = at.map(|at| at.as_micros().to_be_bytes());
                push(at.as_ref().map(|one| &one[..]));
            }
            Self::Number(number) => push(number.map(i32::to_be_bytes).as_ref().map(|one| &one[..])),
        }
    }
}

impl Line {
    /// Equal for rows that are equal, to the microsecond.
    pub(super) fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        self.0.iter().for_each(|cell| cell.feed(&mut hash));
        hash.finalize().into()
    }
}

/// Writes rows with one statement.
pub(super) async fn insert(
    side: &mut Side,
    table: &'static Table,
    rows: &[Line],
) -> Result<(), sqlx::Error> {
    macro_rules! write {
        ($database:ty, $side:expr, $overriding:expr) => {{
            let head = format!("insert into {} ({}){} ", table.name, table.names(), $overriding);
            let mut query = QueryBuilder::<$database>::new(head);
            query.push_values(rows, |mut values, line| {
                for cell in &line.0 {
                    match cell {
                        Cell::Bytes(bytes) => values.push_bind(bytes.as_deref()),
                        Cell::Flag(flag) => values.push_bind(*flag),
                        Cell::Id(id) => values.push_bind(*id),
                        Cell::Json(text) => values.push_bind(text.as_deref().map(NewJson)),
                        Cell::Moment(at) => values.push_bind(at.and_then(new_moment)),
                        Cell::Number(number) => values.push_bind(*number),
                        Cell::Text(text) => values.push_bind(text.as_deref()),
                    };
                }
            });
            query.build().execute(&mut **$side).await.map(drop)
        }};
    }
    match side {
        // Ids that the database counts are given all the same.
        Side::Postgres(side) => write!(Postgres, side, " overriding system value"),
        Side::Sqlite(side) => write!(Sqlite, side, ""),
    }
}

fn new_moment(at: UnixTime) -> Option<NewMoment> {
    NewMoment::parse(&at.to_string())
}
