//! Formats of time: `date-time`, `date` and `duration`.

use event::calendar::days_in_month;

/// RFC 3339 with `T`, `t` or a space; a zone is required and `-00:00` is none; leap seconds only
/// where there was one or may be one.
pub(super) fn is_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || !matches!(bytes[10], b'T' | b't' | b' ') || !is_day(&bytes[..10]) {
        return false;
    }
    let clock = (bytes[13] == b':' && bytes[16] == b':')
        .then(|| Some((two(bytes, 11)?, two(bytes, 14)?, two(bytes, 17)?)));
    let Some((hour, minute, second)) = clock.flatten() else { return false };
    let Some(zone) = after_fraction(&bytes[19..]) else { return false };
    let Some(offset) = zone_minutes(zone) else { return false };
    if second == 60 {
        return is_leap_second(bytes, hour, minute, offset);
    }
    hour < 24 && minute < 60 && second < 60
}

/// What follows a fraction of up to nine digits, if there is one.
fn after_fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = rest.strip_prefix(b".") else { return Some(rest) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits <= 9).then(|| &fraction[digits..])
}

/// The offset from UTC.
fn zone_minutes(zone: &[u8]) -> Option<i32> {
    let sign = match zone {
        b"Z" | b"z" => return Some(0),
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return None,
    };
    let (hours, minutes) = (i32::from(two(zone, 1)?), i32::from(two(zone, 4)?));
    let total = hours * 60 + minutes;
    let unknown = sign < 0 && total == 0;
    (minutes < 60 && total <= 18 * 60 && !unknown).then_some(sign * total)
}

/// A second 60 stands at the end of June or December, 23:59 UTC; up to 2016 only where one was.
fn is_leap_second(bytes: &[u8], hour: u8, minute: u8, offset: i32) -> bool {
    let minutes = i32::from(hour) * 60 + i32::from(minute) - offset;
    // The zone may carry the moment into the next or previous day.
    let (time, days) = (minutes.rem_euclid(24 * 60), minutes.div_euclid(24 * 60));
    let date = (two(bytes, 0), two(bytes, 2), two(bytes, 5), two(bytes, 8));
    let (Some(century), Some(year), Some(month), Some(day)) = date else { return false };
    let year = u16::from(century) * 100 + u16::from(year);
    let last_day = match (days, month, day) {
        (0, 6, 30) | (1, 6, 29) | (-1, 7, 1) => Some((year, 6)),
        (0, 12, 31) | (1, 12, 30) => Some((year, 12)),
        (-1, 1, 1) => year.checked_sub(1).map(|year| (year, 12)),
        _ => None,
    };
    let inserted = last_day.is_some_and(|at| LEAP_SECONDS.contains(&at));
    inserted && time == 24 * 60 - 1 && hour < 24 && minute < 60
}

/// Year and month at whose end a leap second was inserted.
const LEAP_SECONDS: [(u16, u8); 27] = [
    (1972, 6),
    (1972, 12),
    (1973, 12),
    (1974, 12),
    (1975, 12),
    (1976, 12),
    (1977, 12),
    (1978, 12),
    (1979, 12),
    (1981, 6),
    (1982, 6),
    (1983, 6),
    (1985, 6),
    (1987, 12),
    (1989, 12),
    (1990, 12),
    (1992, 6),
    (1993, 6),
    (1994, 6),
    (1995, 12),
    (1997, 6),
    (1998, 12),
    (2005, 12),
    (2008, 12),
    (2012, 6),
    (2015, 6),
    (2016, 12),
];

/// `yyyy-MM-dd`; years of more than four digits need their sign.
pub(super) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(start) = bytes.len().checked_sub(6) else { return false };
    let (year, rest) = bytes.split_at(start);
    let (digits, signed) = match year {
        [b'+' | b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    let plus = year.starts_with(b"+");
    let length = match digits.len() {
        4 => !plus,
        5..=9 => signed,
        _ => false,
    };
    let positive = digits.iter().any(|byte| *byte != b'0') || !year.starts_with(b"-");
    length
        && positive
        && digits.iter().all(u8::is_ascii_digit)
        && is_day_of(digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')), rest)
}

/// `yyyy-MM-dd` with a four-digit year.
fn is_day(bytes: &[u8]) -> bool {
    let (Some(century), Some(year)) = (two(bytes, 0), two(bytes, 2)) else { return false };
    is_day_of(u32::from(century) * 100 + u32::from(year), &bytes[4..])
}

/// `-MM-dd` of a year.
fn is_day_of(year: u32, bytes: &[u8]) -> bool {
    let (Some(month), Some(day)) = (two(bytes, 1), two(bytes, 4)) else { return false };
    let days = days_in_month(year.into(), month.into());
    bytes[0] == b'-' && bytes[3] == b'-' && (1..=days).contains(&day.into())
}

/// The number of the two digits at an index.
fn two(bytes: &[u8], at: usize) -> Option<u8> {
    match bytes.get(at..at + 2)? {
        [tens @ b'0'..=b'9', units @ b'0'..=b'9'] => Some((tens - b'0') * 10 + units - b'0'),
        _ => None,
    }
}

/// ISO 8601: at least one part; weeks or days; seconds may have a fraction.
pub(super) fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('-').unwrap_or(text).strip_prefix('P') else { return false };
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (rest, None),
    };
    let Some(dates) = parts(date, &["Y", "M", "WD"]) else { return false };
    match time.map(|time| parts(time, &["H", "M", "S"])) {
        None => dates > 0,
        Some(times) => times.is_some_and(|times| times > 0),
    }
}

/// How many of the parts, each a number and one letter of its group, the text consists of, in
/// order; `None` if of anything else.
fn parts(text: &str, groups: &[&str]) -> Option<usize> {
    let mut rest = text;
    let mut count = 0;
    for group in groups {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let unit = rest[end..].chars().next();
        let Some(unit) = unit.filter(|unit| group.contains(*unit)) else { continue };
        let number = &rest[..end];
        let fraction = unit == 'S'
            && number.split_once('.').is_some_and(|(a, b)| is_digits(a) && is_digits(b));
        if !is_digits(number) && !fraction {
            return None;
        }
        count += 1;
        rest = &rest[end + 1..];
    }
    rest.is_empty().then_some(count)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times_are_rfc_3339() {
        for text in [
            "2024-05-01T10:11:12Z",
            "2024-05-01t10:11:12z",
            "2024-05-01 10:11:12.123456789Z",
            "2024-05-01T10:11:12.Z",
            "2024-05-01T10:11:12.5-18:00",
            "2024-02-29T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2016-12-31T23:59:60Z",
            "2017-01-01T00:59:60+01:00",
            "2015-06-30T16:59:60-07:00",
        ] {
            assert!(is_date_time(text), "{text}");
        }
        for text in [
            "2024-05-01T10:11:12",
            "2024-05-01T24:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-05-01T10:11:60Z",
            "2016-12-31T22:59:60Z",
            "2024-05-01T10:60:00Z",
            "2024-05-01T10:11:12-00:00",
            "2024-05-01T10:11:12+18:01",
            "2024-05-01T10:11:12.1234567890Z",
            "1714557071",
            "2024-05-01_10:11:12Z",
            "2024-05-01T10:11Z",
            "2024/05/01T10:11:12Z",
            "2024-05-01T10:11:12é",
        ] {
            assert!(!is_date_time(text), "{text}");
        }
    }

    #[test]
    fn dates_and_durations_are_iso_8601() {
        for text in ["2024-05-01", "+12020-01-01", "-0001-02-28", "2000-02-29"] {
            assert!(is_date(text), "{text}");
        }
        for text in [
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "20240501",
            "2024-05-01Z",
            "",
            "12020-01-01",
            "+2024-01-01",
        ] {
            assert!(!is_date(text), "{text}");
        }
        for text in ["P1Y", "P3D", "P1W", "P1Y2M3DT4H5M6S", "PT0.5S", "-P1D"] {
            assert!(is_duration(text), "{text}");
        }
        for text in ["P", "PT", "P1H", "1D", "P1.5D", "P1DT", "PT1S2M", "P1Dx"] {
            assert!(!is_duration(text), "{text}");
        }
    }
}
