//! Columns of any row, read as bytes: the schema's promises are checked again, since an operator
//! can have dropped a constraint and SQLite keeps any bytes in a text column.

use super::unusable::RowError;
use super::window::Window;
use crate::pki::UnixTime;

/// Longest text of any column in bytes; the schema has the same bound.
const MAX_TEXT_BYTES: usize = 4096;

/// A text for people, if it is set.
pub(super) fn text<'r>(
    column: &'static str,
    bytes: Option<&'r [u8]>,
) -> Result<Option<&'r str>, RowError> {
    let Some(bytes) = bytes else { return Ok(None) };
    let text = std::str::from_utf8(bytes).map_err(|_| RowError::new(column, "is not UTF-8"))?;
    if text.is_empty() {
        return Err(RowError::new(column, "is empty"));
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(RowError::new(column, format!("is longer than {MAX_TEXT_BYTES} bytes")));
    }
    let is_odd = match text.is_ascii() {
        // Without an early end, so that it is many bytes at a time.
        true => text.bytes().fold(false, |is_odd, byte| is_odd | byte.is_ascii_control()),
        false => text.chars().any(char::is_control),
    };
    if is_odd {
        return Err(RowError::new(column, "holds a control character"));
    }
    Ok(Some(text))
}

/// An instant, if it is set.
pub(super) fn time(
    column: &'static str,
    bytes: Option<&[u8]>,
) -> Result<Option<UnixTime>, RowError> {
    let Some(bytes) = bytes else { return Ok(None) };
    let text = std::str::from_utf8(bytes).map_err(|_| RowError::new(column, "is not UTF-8"))?;
    UnixTime::parse_rfc3339(text)
        .map(Some)
        .map_err(|error| RowError::new(column, error.to_string()))
}

/// A switch, which SQLite keeps as a number.
pub(super) fn switch(column: &'static str, value: i64) -> Result<bool, RowError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(RowError::new(column, "is neither 0 nor 1")),
    }
}

/// The three columns of a window.
pub(super) fn window(
    enabled: i64,
    valid_from: Option<&[u8]>,
    valid_until: Option<&[u8]>,
) -> Result<Window, RowError> {
    Ok(Window {
        enabled: switch("enabled", enabled)?,
        valid_from: time("valid_from", valid_from)?,
        valid_until: time("valid_until", valid_until)?,
    })
}
