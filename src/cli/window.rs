//! The options of a validity window, and what a window says at this moment.

use clap::Args;

use super::values;
use crate::pki::UnixTime;
use crate::store::Edit;

/// When a row counts: `valid_from <= now < valid_until`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct WindowArgs {
    /// First instant at which it counts: RFC 3339, or a date, which means 00:00 UTC
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(super) valid_from: Option<String>,
    /// First instant at which it no longer counts
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(super) valid_until: Option<String>,
}

impl WindowArgs {
    /// Whether no option is there.
    pub(super) fn is_empty(&self) -> bool {
        self.valid_from.is_none() && self.valid_until.is_none()
    }
}

/// The change that an option and `--clear` ask for.
///
/// # Errors
/// Both, which cannot be meant.
pub(super) fn edit(
    option: &str,
    value: Option<&String>,
    clear: bool,
) -> anyhow::Result<Edit<String>> {
    match (value, clear) {
        (Some(_), true) => {
            anyhow::bail!("--{option} and --clear {option} contradict each other")
        }
        (Some(value), false) => Ok(Edit::Set(value.clone())),
        (None, true) => Ok(Edit::Clear),
        (None, false) => Ok(Edit::Keep),
    }
}

/// A row's switch and window in one word. A time that cannot be read counts as closed.
pub(super) fn state(
    enabled: bool,
    valid_from: Option<&String>,
    valid_until: Option<&String>,
    now: UnixTime,
) -> &'static str {
    if !enabled {
        return "disabled";
    }
    let read = |text: Option<&String>| text.map(|text| UnixTime::parse_rfc3339(text)).transpose();
    match (read(valid_from), read(valid_until)) {
        (Ok(from), Ok(until)) => {
            if from.is_some_and(|from| now < from) {
                "not yet"
            } else if until.is_some_and(|until| now >= until) {
                "expired"
            } else {
                ENABLED
            }
        }
        _ => "unreadable",
    }
}

/// The state of a row that counts.
pub(super) const ENABLED: &str = "enabled";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_the_switch_first_and_then_the_window() {
        let text = |text: &str| Some(text.to_owned());
        let now = UnixTime::parse_rfc3339("2026-06-01").unwrap();
        let (past, future) = (text("2026-01-01T00:00:00Z"), text("2027-01-01 00:00:00"));
        for (enabled, from, until, expected) in [
            (true, &None, &None, "enabled"),
            (false, &None, &None, "disabled"),
            (false, &None, &past, "disabled"),
            (true, &past, &future, "enabled"),
            (true, &future, &None, "not yet"),
            (true, &None, &past, "expired"),
            (true, &None, &text("2026-06-01T00:00:00Z"), "expired"),
            (true, &text("2026-06-01T00:00:00Z"), &None, "enabled"),
            (true, &text("infinity"), &None, "unreadable"),
        ] {
            let found = state(enabled, from.as_ref(), until.as_ref(), now);
            assert_eq!(found, expected, "{enabled} {from:?} {until:?}");
        }
    }
}
