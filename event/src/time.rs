//! Times as texts: UTC, in milliseconds since the epoch, by the [`calendar`](crate::calendar).
//!
//! Every function is total over `i64`; whether a time is fit for a field is for the caller to ask
//! ([`is_redshift_compatible`]). Reading what people send as a time is [`crate::convert`]'s.

use bumpalo::Bump;

use crate::calendar::{DAY, civil, days_from_civil, days_in_month, of_civil};

/// The text of a timestamp field, `yyyy-MM-dd HH:mm:ss.SSS`.
///
/// A year outside 0 to 9999 has more digits or a sign; such a text is only fit for a message.
pub fn format_ms(ms: i64, arena: &Bump) -> &str {
    let mut text = Text::new();
    text.date_and_time(ms, b' ');
    text.fraction(ms);
    arena.alloc_str(text.as_str())
}

/// Reads the text of a timestamp field back.
pub fn parse_ms(text: &str) -> Option<i64> {
    let bytes: &[u8; 23] = text.as_bytes().try_into().ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':'), (19, b'.')];
    if marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().try_fold(0_i64, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    Some(of_civil([year, month, day], [hour, minute, second])? + number(20, 23)?)
}

/// Appends an ISO-8601 instant whose fraction has three digits or, where it is zero, is left out.
///
/// This is how the JVM's `Instant` prints itself, years beyond 9999 with a plus sign.
pub fn write_instant(ms: i64, out: &mut Vec<u8>) {
    let mut text = Text::new();
    if civil(ms.div_euclid(DAY)).0 > 9999 {
        text.push(b'+');
    }
    text.date_and_time(ms, b'T');
    if ms.rem_euclid(1000) != 0 {
        text.fraction(ms);
    }
    text.push(b'Z');
    out.extend_from_slice(text.as_str().as_bytes());
}

/// Appends an ISO-8601 instant whose fraction always has three digits.
pub fn write_instant_millis(ms: i64, out: &mut Vec<u8>) {
    let mut text = Text::new();
    text.date_and_time(ms, b'T');
    text.fraction(ms);
    text.push(b'Z');
    out.extend_from_slice(text.as_str().as_bytes());
}

/// When an event happened by the collector's clock: the time it was collected minus the time it
/// waited on the device.
///
/// The wait is a calendar period, not a duration: what lies between `created` and `sent` is
/// counted in whole years, whole months and a rest, and these are subtracted one after the other,
/// each landing on the last day of a month that is too short. Up to a month both are the same.
///
/// None where the result is no time of the years 1 to 9999: a clock that wrong says nothing.
pub fn derived(collector: i64, created: i64, sent: i64) -> Option<i64> {
    if ![collector, created, sent].into_iter().all(is_redshift_compatible) {
        return None;
    }
    let mut months = month_number(sent) - month_number(created);
    let years = if plus_years(created, months.div_euclid(12)) > sent {
        months.div_euclid(12) - 1
    } else {
        months.div_euclid(12)
    };
    let from = plus_years(created, years);
    months = month_number(sent) - month_number(from);
    if plus_months(from, months) > sent {
        months -= 1;
    }
    let rest = sent - plus_months(from, months);
    let derived = plus_months(plus_years(collector, -years), -months) - rest;
    (1..=9999).contains(&civil(derived.div_euclid(DAY)).0).then_some(derived)
}

/// Whether the year lies in 0 to 9999, which is what a timestamp column of a warehouse holds.
pub const fn is_redshift_compatible(ms: i64) -> bool {
    const FIRST: i64 = -62_167_219_200_000;
    const LAST: i64 = 253_402_300_799_999;
    FIRST <= ms && ms <= LAST
}

/// Months since the beginning of year 0.
fn month_number(ms: i64) -> i64 {
    let (year, month, _) = civil(ms.div_euclid(DAY));
    year * 12 + month - 1
}

fn plus_years(ms: i64, years: i64) -> i64 {
    plus_months(ms, years * 12)
}

/// The same day and time some months later, or the last day of that month where it is shorter.
fn plus_months(ms: i64, months: i64) -> i64 {
    if months == 0 {
        return ms;
    }
    let (year, month, day) = civil(ms.div_euclid(DAY));
    let number = year * 12 + month - 1 + months;
    let (year, month) = (number.div_euclid(12), number.rem_euclid(12) + 1);
    let day = day.min(days_in_month(year, month));
    days_from_civil(year, month, day) * DAY + ms.rem_euclid(DAY)
}

/// A text under construction, long enough for any `i64`.
struct Text {
    bytes: [u8; 40],
    len: usize,
}

impl Text {
    const fn new() -> Text {
        Text { bytes: [0; 40], len: 0 }
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn two(&mut self, number: i64) {
        self.push(b'0' + (number / 10) as u8);
        self.push(b'0' + (number % 10) as u8);
    }

    fn date_and_time(&mut self, ms: i64, between: u8) {
        let (year, month, day) = civil(ms.div_euclid(DAY));
        self.year(year);
        self.push(b'-');
        self.two(month);
        self.push(b'-');
        self.two(day);
        self.push(between);
        let seconds = ms.rem_euclid(DAY) / 1000;
        self.two(seconds / 3600);
        self.push(b':');
        self.two(seconds / 60 % 60);
        self.push(b':');
        self.two(seconds % 60);
    }

    fn year(&mut self, year: i64) {
        if year < 0 {
            self.push(b'-');
        }
        let year = year.abs();
        let mut place = 1000;
        while year / place >= 10 {
            place *= 10;
        }
        while place > 0 {
            self.push(b'0' + (year / place % 10) as u8);
            place /= 10;
        }
    }

    fn fraction(&mut self, ms: i64) {
        let ms = ms.rem_euclid(1000);
        self.push(b'.');
        self.push(b'0' + (ms / 100) as u8);
        self.two(ms % 100);
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("only ASCII is pushed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        parse_ms(text).expect("a timestamp")
    }

    fn instant(ms: i64) -> String {
        let mut out = Vec::new();
        write_instant(ms, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    fn millis(ms: i64) -> String {
        let mut out = Vec::new();
        write_instant_millis(ms, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn times_print_in_their_three_forms() {
        let arena = Bump::new();
        for (ms, field, short, long) in [
            (0, "1970-01-01 00:00:00.000", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31 23:59:59.999", "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
            (
                1_709_210_096_007,
                "2024-02-29 12:34:56.007",
                "2024-02-29T12:34:56.007Z",
                "2024-02-29T12:34:56.007Z",
            ),
            (
                253_402_300_800_000,
                "10000-01-01 00:00:00.000",
                "+10000-01-01T00:00:00Z",
                "10000-01-01T00:00:00.000Z",
            ),
            (
                i64::MAX,
                "292278994-08-17 07:12:55.807",
                "+292278994-08-17T07:12:55.807Z",
                "292278994-08-17T07:12:55.807Z",
            ),
            (
                -62_167_219_200_001,
                "-0001-12-31 23:59:59.999",
                "-0001-12-31T23:59:59.999Z",
                "-0001-12-31T23:59:59.999Z",
            ),
        ] {
            assert_eq!((format_ms(ms, &arena), instant(ms).as_str()), (field, short));
            assert_eq!(millis(ms), long);
        }
    }

    #[test]
    fn the_range_of_a_field_is_the_years_0_to_9999() {
        let arena = Bump::new();
        let (first, last) = (-62_167_219_200_000, 253_402_300_799_999);
        assert_eq!(format_ms(first, &arena), "0000-01-01 00:00:00.000");
        assert_eq!(format_ms(last, &arena), "9999-12-31 23:59:59.999");
        assert!(is_redshift_compatible(first) && is_redshift_compatible(last));
        assert!(!is_redshift_compatible(first - 1) && !is_redshift_compatible(last + 1));
    }

    #[test]
    fn what_is_no_timestamp_does_not_parse() {
        for text in [
            "",
            "2024-01-01T00:00:00.000",
            "2024-13-01 00:00:00.000",
            "2023-02-29 00:00:00.000",
            "2024-01-01 24:00:00.000",
            "2024-01-01 00:00:00.00",
            "+024-01-01 00:00:00.000",
            "2024-01-00 00:00:00.000",
        ] {
            assert_eq!(parse_ms(text), None, "{text}");
        }
    }

    #[test]
    fn the_wait_on_the_device_is_a_calendar_period() {
        let arena = Bump::new();
        for (collector, created, sent, expected) in [
            // Under a month: plain arithmetic.
            (
                "2024-05-01 10:11:11.000",
                "2024-05-01 10:11:10.999",
                "2024-05-01 10:11:11.000",
                "2024-05-01 10:11:10.999",
            ),
            // A month and a day, out of a month with 31 days into February.
            (
                "2024-03-31 12:00:00.000",
                "2024-02-01 00:00:00.000",
                "2024-03-02 00:00:00.000",
                "2024-02-28 12:00:00.000",
            ),
            // Whole months land on the last day of a shorter one.
            (
                "2024-03-31 00:00:00.000",
                "2024-01-01 00:00:00.000",
                "2024-02-01 00:00:00.000",
                "2024-02-29 00:00:00.000",
            ),
            // A year from the leap day.
            (
                "2024-02-29 12:00:00.000",
                "2023-03-01 00:00:00.000",
                "2024-03-01 00:00:00.000",
                "2023-02-28 12:00:00.000",
            ),
            // The end of a month is a month after the end of a longer one.
            (
                "2024-05-01 00:00:00.000",
                "2024-01-31 00:00:00.000",
                "2024-02-29 00:00:00.000",
                "2024-04-01 00:00:00.000",
            ),
            // Twelve calendar months that are no year: eleven months and twenty days.
            (
                "2024-02-29 00:00:00.000",
                "2020-05-20 00:00:00.000",
                "2021-05-10 00:00:00.000",
                "2023-03-09 00:00:00.000",
            ),
            // From one leap day to the day before the next year's.
            (
                "2024-05-01 00:00:00.000",
                "2020-02-29 00:00:00.000",
                "2021-02-28 00:00:00.000",
                "2023-05-01 00:00:00.000",
            ),
        ] {
            let derived = derived(at(collector), at(created), at(sent)).expect("a time");
            assert_eq!(format_ms(derived, &arena), expected, "{created} to {sent}");
        }
    }

    #[test]
    fn a_wait_longer_than_all_time_says_nothing() {
        let now = at("2024-05-01 10:11:11.000");
        let (first, last) = (at("0000-01-01 00:00:00.000"), at("9999-12-31 23:59:59.999"));
        for (collector, created, sent, expected) in [
            (now, first, last, None),
            (now, 0, last, None),
            (now, at("0001-01-01 00:00:00.000"), at("2024-05-01 10:11:11.000"), Some(first + YEAR)),
            (now, at("0000-12-31 23:59:59.999"), at("2024-05-01 10:11:11.000"), None),
            (first, 0, 1, None),
            (now, i64::MIN, i64::MAX, None),
            (i64::MAX, 0, 1, None),
        ] {
            assert_eq!(derived(collector, created, sent), expected, "{created} to {sent}");
        }
    }

    /// The year 0, which the calendar has as a leap year.
    const YEAR: i64 = 366 * DAY;

    proptest! {
        #[test]
        fn timestamps_round_trip(ms in -62_167_219_200_000_i64..=253_402_300_799_999) {
            let arena = Bump::new();
            prop_assert_eq!(parse_ms(format_ms(ms, &arena)), Some(ms));
        }

        #[test]
        fn any_number_prints(ms in any::<i64>()) {
            prop_assert!(!instant(ms).is_empty());
        }

        #[test]
        fn any_text_parses_or_not(text in "[0-9: .-]{23}|.*") {
            let _ = parse_ms(&text);
        }

        #[test]
        fn a_wait_of_less_than_a_month_is_a_duration(
            collector in 0_i64..4_000_000_000_000,
            created in 0_i64..4_000_000_000_000,
            wait in 1_i64..28 * DAY,
        ) {
            prop_assert_eq!(derived(collector, created, created + wait), Some(collector - wait));
        }

        #[test]
        fn any_times_have_a_derived_one_within_the_years_or_none(
            collector in any::<i64>(), created in any::<i64>(), sent in any::<i64>(),
            within in any::<bool>(),
        ) {
            const SPAN: i64 = 315_569_520_000_000; // the years 0 to 9999
            let time = |ms: i64| if within { ms.rem_euclid(SPAN) - 62_167_219_200_000 } else { ms };
            let times = (time(collector), time(created), time(sent));
            if let Some(ms) = derived(times.0, times.1.min(times.2), times.2) {
                let arena = Bump::new();
                let text = format_ms(ms, &arena);
                prop_assert!(parse_ms(text) == Some(ms) && !text.starts_with("0000"), "{}", text);
            }
        }
    }
}
