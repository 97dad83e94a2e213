//! When a row counts.

use crate::pki::UnixTime;

/// Whether a row is switched on, and from when until when: `valid_from <= now < valid_until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// The operator's switch.
    pub enabled: bool,
    /// First instant at which the row counts; none means always before `valid_until`.
    pub valid_from: Option<UnixTime>,
    /// First instant at which it no longer does; none means for ever.
    pub valid_until: Option<UnixTime>,
}

impl Window {
    /// Whether the row counts at `now`; a switched-off row never does.
    #[must_use]
    pub fn is_open(&self, now: UnixTime) -> bool {
        if !self.enabled {
            return false;
        }
        if self.valid_from.is_some_and(|from| now < from) {
            return false;
        }
        self.valid_until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::Window;
    use crate::pki::UnixTime;

    #[test]
    fn a_window_includes_its_start_and_excludes_its_end() {
        let at = |micros| UnixTime::from_micros(micros);
        let window = |from: Option<i64>, until: Option<i64>| Window {
            enabled: true,
            valid_from: from.map(at),
            valid_until: until.map(at),
        };
        let table = [
            (None, None, 5, true),
            (Some(5), None, 4, false),
            (Some(5), None, 5, true),
            (None, Some(5), 4, true),
            (None, Some(5), 5, false),
            (Some(5), Some(6), 5, true),
            (Some(5), Some(6), 6, false),
        ];
        for (from, until, now, open) in table {
            assert_eq!(window(from, until).is_open(at(now)), open, "{from:?} {until:?} {now}");
            let off = Window { enabled: false, ..window(from, until) };
            assert!(!off.is_open(at(now)), "a switched-off row never counts");
        }
    }
}
