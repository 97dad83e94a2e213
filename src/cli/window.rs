//! The options of a validity window.

use clap::Args;

use crate::pki::UnixTime;
use crate::store::Edit;

/// When a row counts: `valid_from <= now < valid_until`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct WindowArgs {
    /// First instant at which it counts: RFC 3339, or a date, which means 00:00 UTC
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) valid_from: Option<String>,
    /// First instant at which it no longer counts
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) valid_until: Option<String>,
}

/// Reads a time and writes it the one way the store takes.
pub(super) fn time(text: &str) -> Result<String, String> {
    UnixTime::parse_rfc3339(text)
        .map(|time| time.to_string())
        .map_err(|error| format!("{error}; write 2027-01-31 or 2027-01-31T12:00:00Z"))
}

/// The change that an option and `--clear` ask for.
pub(super) fn edit(value: Option<&String>, clear: bool) -> Edit<String> {
    match (value, clear) {
        (Some(value), _) => Edit::Set(value.clone()),
        (None, true) => Edit::Clear,
        (None, false) => Edit::Keep,
    }
}
