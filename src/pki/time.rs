//! Instants, as certificates, CRLs and the database's windows use them.
//!
//! It must not read a clock: "now" is an argument everywhere.

use std::fmt;

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// An instant since the Unix epoch, in microseconds.
///
/// Certificates have whole seconds (RFC 5280, 4.1.2.5), database windows have microseconds.
#[derive(
    Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The instant that many microseconds after (negative: before) the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The instant that many seconds after the epoch; out of range it is the nearest possible one.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// Reads an RFC 3339 date and time, as an operator writes it into the database.
    ///
    /// Also accepted: a blank for the `T`, no zone (UTC), an offset in whole hours (`+00`, as
    /// PostgreSQL prints it) and a date alone (midnight). It must really be a date, between 1970
    /// and 9999 in UTC; a leap second is refused. Digits beyond the microsecond are cut off.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        if text.len() > MAX_TIME_TEXT_BYTES {
            return Err(TimeError::Syntax);
        }
        let mut cursor = Cursor { rest: text.as_bytes() };
        let date = cursor.date()?;
        let micros = if cursor.rest.is_empty() { 0 } else { cursor.micros_of_day()? };
        let days = i64::from(date.to_julian_day()) - i64::from(EPOCH_JULIAN_DAY);
        let micros = days * MICROS_PER_DAY + micros;
        if !(0..=LAST_MICRO_OF_9999).contains(&micros) {
            return Err(TimeError::OutOfRange);
        }
        Ok(Self(micros))
    }
}

/// RFC 3339 in UTC: `2026-11-23T10:00:00Z`, with a fraction only where it is not zero.
///
/// An instant that RFC 3339 cannot express (before year 0 or after 9999) is `@` and its seconds.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.as_seconds();
        let at = match OffsetDateTime::from_unix_timestamp(seconds) {
            Ok(at) if at.year() >= 0 => at.to_offset(UtcOffset::UTC),
            _ => return write!(f, "@{seconds}"),
        };
        let (year, month, day) = at.to_calendar_date();
        write!(f, "{year:04}-{:02}-{day:02}T", u8::from(month))?;
        write!(f, "{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())?;
        let fraction = self.0.rem_euclid(MICROS_PER_SECOND);
        if fraction != 0 {
            write!(f, ".{}", format!("{fraction:06}").trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// Why a text is not an instant.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The form is right, the date or the time of day does not exist.
    #[error("there is no such date or time of day")]
    NoSuchDate,
    /// The instant is before 1970 or after 9999.
    #[error("the time must lie between the years 1970 and 9999")]
    OutOfRange,
    /// The text does not have the form of RFC 3339.
    #[error("not a time: write it as 2026-11-23T10:00:00Z")]
    Syntax,
}

/// What is left of the text to read.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn date(&mut self) -> Result<Date, TimeError> {
        let year = self.number(4)?;
        self.expect(b"-")?;
        let month = self.number(2)?;
        self.expect(b"-")?;
        let day = self.number(2)?;
        let year = i32::try_from(year).map_err(|_| TimeError::Syntax)?;
        let month = u8::try_from(month).map_err(|_| TimeError::Syntax)?;
        let day = u8::try_from(day).map_err(|_| TimeError::Syntax)?;
        let month = Month::try_from(month).map_err(|_| TimeError::NoSuchDate)?;
        Date::from_calendar_date(year, month, day).map_err(|_| TimeError::NoSuchDate)
    }

    /// Reads `T10:00:00.25+01:00` to its end: microseconds since midnight UTC of the same date.
    fn micros_of_day(&mut self) -> Result<i64, TimeError> {
        self.expect(b"Tt ")?;
        let hour = self.number(2)?;
        self.expect(b":")?;
        let minute = self.number(2)?;
        self.expect(b":")?;
        let second = self.number(2)?;
        if hour > 23 || minute > 59 || second > 59 {
            return Err(TimeError::NoSuchDate);
        }
        let fraction = self.fraction()?;
        let offset_minutes = self.offset_minutes()?;
        if !self.rest.is_empty() {
            return Err(TimeError::Syntax);
        }
        let seconds = (hour * 60 + minute - offset_minutes) * 60 + second;
        Ok(seconds * MICROS_PER_SECOND + fraction)
    }

    fn fraction(&mut self) -> Result<i64, TimeError> {
        if !self.skip(b".") {
            return Ok(0);
        }
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=MAX_FRACTION_DIGITS).contains(&digits) {
            return Err(TimeError::Syntax);
        }
        let kept = digits.min(6);
        let mut micros = self.number(kept)?;
        self.number(digits - kept)?;
        for _ in kept..6 {
            micros *= 10;
        }
        Ok(micros)
    }

    fn offset_minutes(&mut self) -> Result<i64, TimeError> {
        if self.rest.is_empty() || self.skip(b"Zz") {
            return Ok(0);
        }
        let negative = self.rest.first() == Some(&b'-');
        self.expect(b"+-")?;
        let hours = self.number(2)?;
        let minutes = if self.skip(b":") { self.number(2)? } else { 0 };
        if hours > 23 || minutes > 59 {
            return Err(TimeError::NoSuchDate);
        }
        let total = hours * 60 + minutes;
        Ok(if negative { -total } else { total })
    }

    fn number(&mut self, digits: usize) -> Result<i64, TimeError> {
        let (head, rest) = self.rest.split_at_checked(digits).ok_or(TimeError::Syntax)?;
        self.rest = rest;
        head.iter().try_fold(0_i64, |number, byte| match byte {
            b'0'..=b'9' => Ok(number * 10 + i64::from(byte - b'0')),
            _ => Err(TimeError::Syntax),
        })
    }

    fn expect(&mut self, any_of: &[u8]) -> Result<(), TimeError> {
        if self.skip(any_of) { Ok(()) } else { Err(TimeError::Syntax) }
    }

    fn skip(&mut self, any_of: &[u8]) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if any_of.contains(first) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }
}

/// Reads the content of a UTCTime (`YYMMDDHHMMSSZ`, RFC 5280 4.1.2.5.1: 50..99 is 19xx).
pub(super) fn from_utc_time(content: &[u8]) -> Option<UnixTime> {
    let (digits, zone) = content.split_at_checked(12)?;
    if zone != b"Z" {
        return None;
    }
    let (year, rest) = two_digits(digits)?;
    let century = if year >= 50 { 1900 } else { 2000 };
    from_fields(century + i32::from(year), rest)
}

/// Reads the content of a GeneralizedTime (`YYYYMMDDHHMMSSZ`, RFC 5280 4.1.2.5.2: no fraction).
pub(super) fn from_generalized_time(content: &[u8]) -> Option<UnixTime> {
    let (digits, zone) = content.split_at_checked(14)?;
    if zone != b"Z" {
        return None;
    }
    let (century, rest) = two_digits(digits)?;
    let (year, rest) = two_digits(rest)?;
    from_fields(i32::from(century) * 100 + i32::from(year), rest)
}

fn from_fields(year: i32, rest: &[u8]) -> Option<UnixTime> {
    let (month, rest) = two_digits(rest)?;
    let (day, rest) = two_digits(rest)?;
    let (hour, rest) = two_digits(rest)?;
    let (minute, rest) = two_digits(rest)?;
    let (second, rest) = two_digits(rest)?;
    if !rest.is_empty() {
        return None;
    }
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
    let time = Time::from_hms(hour, minute, second).ok()?;
    Some(UnixTime::from_seconds(date.with_time(time).assume_utc().unix_timestamp()))
}

fn two_digits(bytes: &[u8]) -> Option<(u8, &[u8])> {
    match bytes {
        [tens @ b'0'..=b'9', units @ b'0'..=b'9', rest @ ..] => {
            Some(((tens - b'0') * 10 + (units - b'0'), rest))
        }
        _ => None,
    }
}

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// 1970-01-01.
const EPOCH_JULIAN_DAY: i32 = 2_440_588;
/// 9999-12-31T23:59:59.999999Z.
const LAST_MICRO_OF_9999: i64 = 253_402_300_800 * MICROS_PER_SECOND - 1;
/// Bytes: the longest form, `2026-11-23T10:00:00.123456789+00:00`, has 35.
const MAX_TIME_TEXT_BYTES: usize = 35;
/// Digits: nanoseconds, more than any database or library writes.
const MAX_FRACTION_DIGITS: usize = 9;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_is_read_in_every_documented_form() {
        let ten = 1_795_428_000_000_000;
        for (text, expected) in [
            ("2026-11-23T10:00:00Z", ten),
            ("2026-11-23t10:00:00z", ten),
            ("2026-11-23 10:00:00", ten),
            ("2026-11-23 10:00:00+00", ten),
            ("2026-11-23T10:00:00", ten),
            ("2026-11-23T11:00:00+01:00", ten),
            ("2026-11-23T04:30:00-05:30", ten),
            ("2026-11-24T00:30:00+14:30", ten),
            ("2026-11-23T10:00:00.5Z", ten + 500_000),
            ("2026-11-23T10:00:00.000001Z", ten + 1),
            ("2026-11-23T10:00:00.123456789Z", ten + 123_456),
            ("2026-11-23", ten - 36_000_000_000),
            ("1970-01-01T00:00:00Z", 0),
            ("2024-02-29", 1_709_164_800_000_000),
            ("9999-12-31T23:59:59.999999Z", LAST_MICRO_OF_9999),
        ] {
            assert_eq!(UnixTime::parse_rfc3339(text), Ok(UnixTime(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        use TimeError::{NoSuchDate, OutOfRange, Syntax};
        for (text, expected) in [
            ("", Syntax),
            ("now", Syntax),
            ("infinity", Syntax),
            ("2026", Syntax),
            ("2026-11-23T", Syntax),
            ("2026-11-23 ", Syntax),
            (" 2026-11-23", Syntax),
            ("2026-11-23T10:00", Syntax),
            ("2026-11-23T10:00:00 Z", Syntax),
            ("2026-11-23T10:00:00ZZ", Syntax),
            ("2026-11-23T10:00:00.Z", Syntax),
            ("2026-11-23T10:00:00,5Z", Syntax),
            ("2026-11-23T10:00:00.1234567890Z", Syntax),
            ("2026-11-23T10:00:00+1", Syntax),
            ("2026-1-23", Syntax),
            ("+2026-11-23", Syntax),
            ("12026-11-23", Syntax),
            ("2026-11-2\u{0663}", Syntax),
            ("2026-02-29", NoSuchDate),
            ("2026-00-10", NoSuchDate),
            ("2026-13-10", NoSuchDate),
            ("2026-11-31", NoSuchDate),
            ("2026-11-23T24:00:00Z", NoSuchDate),
            ("2026-12-31T23:59:60Z", NoSuchDate),
            ("2026-11-23T10:00:00+24:00", NoSuchDate),
            ("1969-12-31T23:59:59Z", OutOfRange),
            ("1970-01-01T00:00:00+01:00", OutOfRange),
            ("9999-12-31T23:59:59-01:00", OutOfRange),
            ("0000-01-01", OutOfRange),
        ] {
            assert_eq!(UnixTime::parse_rfc3339(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn times_outside_of_rfc_3339_still_print() {
        assert_eq!(UnixTime::from_micros(1_500_000).to_string(), "1970-01-01T00:00:01.5Z");
        assert_eq!(UnixTime::from_micros(-1).to_string(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(UnixTime::from_micros(-1).as_seconds(), -1);
        assert_eq!(UnixTime::from_seconds(i64::MAX).as_micros(), i64::MAX);
        assert_eq!(UnixTime::from_seconds(i64::MAX).to_string(), "@9223372036854");
        assert_eq!(UnixTime::from_seconds(i64::MIN).as_micros(), i64::MIN);
    }

    #[test]
    fn asn1_times_are_read_as_rfc_5280_says() {
        let text = |time: Option<UnixTime>| time.map(|time| time.to_string());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(text(from_utc_time(b"261123100000Z")), some("2026-11-23T10:00:00Z"));
        assert_eq!(text(from_utc_time(b"491231235959Z")), some("2049-12-31T23:59:59Z"));
        assert_eq!(text(from_utc_time(b"500101000000Z")), some("1950-01-01T00:00:00Z"));
        assert_eq!(text(from_generalized_time(b"20500101000000Z")), some("2050-01-01T00:00:00Z"));
        assert_eq!(text(from_generalized_time(b"99991231235959Z")), some("9999-12-31T23:59:59Z"));
        for bad in [
            &b"2611231000Z"[..],
            b"261123100000",
            b"261123100000+0000",
            b"261323100000Z",
            b"260230100000Z",
            b"261123240000Z",
            b"26112310000aZ",
            b"261123100000ZZ",
            b"",
        ] {
            assert_eq!(from_utc_time(bad), None, "{bad:?}");
        }
        for bad in [&b"20261123100000.5Z"[..], b"20261123100000+01", b"202611231000Z", b""] {
            assert_eq!(from_generalized_time(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(micros in 0..=LAST_MICRO_OF_9999) {
            let time = UnixTime::from_micros(micros);
            prop_assert_eq!(UnixTime::parse_rfc3339(&time.to_string()), Ok(time));
        }
    }
}
