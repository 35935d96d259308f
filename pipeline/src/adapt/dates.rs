//! The dates that webhooks send, as the JVM's libraries read them, and the one form in which events
//! have them.

use event::calendar::{DAY, of_civil};
use event::time;

use super::tree::Json;
use event::Bump;

/// A moment as JSON Schema wants it, `yyyy-MM-ddTHH:mm:ss.SSSZ`.
pub(super) fn json<'a>(ms: i64, arena: &'a Bump) -> Json<'a> {
    Json::string(&text(ms), arena)
}

/// The same without quotes.
pub(super) fn text(ms: i64) -> String {
    let mut out = Vec::with_capacity(24);
    time::write_instant_millis(ms, &mut out);
    String::from_utf8(out).expect("a time is ASCII")
}

/// A date of the form `yyyy-MM-dd HH:mm:ss`, UTC, in the form of events; any other text as it is.
pub(super) fn reformatted(date: &str) -> String {
    spaced(date).map_or_else(|| date.to_owned(), text)
}

/// Reads `yyyy-MM-dd HH:mm:ss`, UTC. Numbers may have fewer digits, and the year a sign and more.
fn spaced(date: &str) -> Option<i64> {
    let mut rest = Rest(date);
    let year = rest.year()?;
    let month = rest.after('-')?.number(2)?;
    let day = rest.after('-')?.number(2)?;
    let hour = rest.after(' ')?.number(2)?;
    let minute = rest.after(':')?.number(2)?;
    let second = rest.after(':')?.number(2)?;
    let ms = of_civil([year, month, day], [hour, minute, second])?;
    rest.0.is_empty().then_some(ms)
}

/// Reads an ISO 8601 date and time: parts may be left out from the end, the last may have a
/// fraction, and without an offset it is UTC.
pub(super) fn iso(date: &str) -> Option<i64> {
    let (date, clock) = match date.split_once('T') {
        Some((date, clock)) => (date, Some(clock)),
        None => (date, None),
    };
    let start = calendar(date)?;
    match clock {
        None | Some("") => Some(start),
        Some(clock) => start.checked_add(time_of_day(clock)?),
    }
}

/// `yyyy`, `yyyy-MM`, `yyyy-MM-dd` or `yyyy-DDD`.
fn calendar(date: &str) -> Option<i64> {
    let mut rest = Rest(date);
    let year = rest.year()?;
    let midnight = |month, day| of_civil([year, month, day], [0, 0, 0]);
    let Some(rest) = rest.after('-') else {
        return rest.0.is_empty().then(|| midnight(1, 1)).flatten();
    };
    if rest.0.len() == 3 && rest.0.bytes().all(|byte| byte.is_ascii_digit()) {
        let (start, next) = (midnight(1, 1)?, of_civil([year + 1, 1, 1], [0, 0, 0])?);
        let day = rest.number(3)? - 1;
        return (0..(next - start) / DAY).contains(&day).then_some(start + day * DAY);
    }
    let month = rest.number(2)?;
    let day = match rest.after('-') {
        Some(rest) => rest.number(2)?,
        None => 1,
    };
    rest.0.is_empty().then(|| midnight(month, day)).flatten()
}

/// Milliseconds since midnight, UTC: `HH`, `HH:mm` or `HH:mm:ss`, a fraction, an offset.
fn time_of_day(clock: &str) -> Option<i64> {
    const UNITS: [(i64, i64); 3] = [(3_600_000, 23), (60_000, 59), (1_000, 59)];
    let mut rest = Rest(clock);
    let mut ms = 0;
    for (place, (unit, most)) in UNITS.into_iter().enumerate() {
        if place > 0 && rest.after(':').is_none() {
            break;
        }
        // An offset may follow a `T` at once.
        if place == 0 && !rest.0.starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        let number = rest.number(2)?;
        if number > most {
            return None;
        }
        ms += number * unit;
        if let Some(rest) = rest.after('.') {
            ms += rest.fraction(unit)?;
            break;
        }
        if let Some(rest) = rest.after(',') {
            ms += rest.fraction(unit)?;
            break;
        }
    }
    let offset = match rest.0.chars().next() {
        None => return Some(ms),
        Some('Z') => {
            rest.after('Z');
            0
        }
        Some(sign @ ('+' | '-')) => {
            let rest = rest.after(sign)?;
            let hours = rest.number(2)?;
            rest.after(':');
            let minutes = if rest.0.is_empty() { 0 } else { rest.number(2)? };
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * 60_000 * if sign == '-' { -1 } else { 1 }
        }
        Some(_) => return None,
    };
    rest.0.is_empty().then_some(ms - offset)
}

/// What is left of a date.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    /// The rest behind a mark; none where another character stands, which then stays.
    fn after(&mut self, mark: char) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(mark)?;
        Some(self)
    }

    /// A number of one to so many digits.
    fn number(&mut self, most: usize) -> Option<i64> {
        let digits = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        number.parse().ok()
    }

    /// A year: up to nine digits, and perhaps a sign.
    fn year(&mut self) -> Option<i64> {
        let negative = self.0.starts_with('-');
        self.0 = self.0.strip_prefix(['-', '+']).unwrap_or(self.0);
        self.number(9).map(|year| if negative { -year } else { year })
    }

    /// The digits of a fraction of a unit, in milliseconds; digits beyond these are cut off.
    fn fraction(&mut self, unit: i64) -> Option<i64> {
        /// More would not change a millisecond of an hour.
        const COUNTED: usize = 9;
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, rest) = self.0.split_at(digits);
        self.0 = rest;
        let counted = &fraction[..digits.min(COUNTED)];
        let value: i64 = counted.parse().ok()?;
        Some(value * unit / 10_i64.pow(counted.len() as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spaced_dates_are_reformatted_and_others_stay() {
        for (date, expected) in [
            ("2014-10-22 13:50:00", "2014-10-22T13:50:00.000Z"),
            ("2014-1-2 3:4:5", "2014-01-02T03:04:05.000Z"),
            ("+12014-01-02 03:04:05", "12014-01-02T03:04:05.000Z"),
            ("2014-02-30 13:50:00", "2014-02-30 13:50:00"),
            ("2014-10-22 24:00:00", "2014-10-22 24:00:00"),
            ("2014-10-22 13:50:00 ", "2014-10-22 13:50:00 "),
            ("2014-10-22T13:50:00", "2014-10-22T13:50:00"),
            ("999999999-01-01 00:00:00", "999999999-01-01 00:00:00"),
            ("", ""),
        ] {
            assert_eq!(reformatted(date), expected);
        }
    }

    #[test]
    fn iso_dates_may_lack_their_ends() {
        let arena = Bump::new();
        for (date, expected) in [
            ("2015-11-13T16:31:52.393Z", Some("2015-11-13 16:31:52.393")),
            ("2015-11-13T16:31:52,3939+01:30", Some("2015-11-13 15:01:52.393")),
            ("2015-11-13T16:31:52-0100", Some("2015-11-13 17:31:52.000")),
            ("2015-11-13T16:31", Some("2015-11-13 16:31:00.000")),
            ("2015-11-13T16.5", Some("2015-11-13 16:30:00.000")),
            ("2015-11-13", Some("2015-11-13 00:00:00.000")),
            ("2015-11-13T", Some("2015-11-13 00:00:00.000")),
            ("2015-11", Some("2015-11-01 00:00:00.000")),
            ("2015", Some("2015-01-01 00:00:00.000")),
            ("2016-366", Some("2016-12-31 00:00:00.000")),
            ("2015-366", None),
            ("2015-11-13T24:00:00Z", None),
            ("2015-11-31T00:00:00Z", None),
            ("2015-11-13 16:31:52Z", None),
            ("2015-11-13T16:31:52Zx", None),
            ("noon", None),
            ("", None),
        ] {
            assert_eq!(iso(date).map(|ms| time::format_ms(ms, &arena)), expected, "{date}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_date_or_not(text in "[-+0-9T:.,Z ]{0,30}|.*") {
            let _ = (iso(&text), reformatted(&text));
        }

        #[test]
        fn what_is_printed_is_read(ms in -62_167_219_200_000_i64..=253_402_300_799_999) {
            prop_assert_eq!(iso(&text(ms)), Some(ms));
        }
    }
}
