//! The proleptic Gregorian calendar: days since 1970-01-01 as dates and back, and moments as dates
//! with times. All of its arithmetic is here.

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;

/// The date and time of a moment in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    /// Year of the Gregorian calendar.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
    /// 0 to 999.
    pub milli: u32,
}

impl Utc {
    /// Takes milliseconds since the epoch apart.
    pub fn from_ms(ms: i64) -> Utc {
        let (days, rest) = (ms.div_euclid(DAY), ms.rem_euclid(DAY) as u32);
        let (year, month, day) = civil(days);
        Utc {
            year,
            month: month as u32,
            day: day as u32,
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1000 % 60,
            milli: rest % 1000,
        }
    }
}

/// The moment of a date (year, month, day) and a time of day (hour, minute, second), if there are
/// such: years within some 290 million of year 0.
pub fn of_civil([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3]) -> Option<i64> {
    const YEARS: std::ops::RangeInclusive<i64> = -290_000_000..=290_000_000;
    let is_date = YEARS.contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day);
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    let seconds = (hour * 60 + minute) * 60 + second;
    (is_date && is_time).then(|| days_from_civil(year, month, day) * DAY + seconds * 1000)
}

/// How many days a month has; none, where the month is not one of 1 to 12.
pub const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Year, month and day of a day counted from the epoch. Years are taken to begin in March, so that
/// the leap day is the last of its year and months have lengths that a line approximates.
pub const fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_BEFORE_EPOCH: i64 = 719_468; // from 0000-03-01
    const DAYS_OF_ERA: i64 = 146_097; // 400 years
    let days = days + DAYS_BEFORE_EPOCH;
    let (era, day) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + carry, month, day)
}

/// The reverse of [`civil`]. A day beyond its month is one of the next.
pub const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_their_date() {
        let at = |ms| {
            let t = Utc::from_ms(ms);
            (t.year, t.month, t.day, t.hour, t.minute, t.second, t.milli)
        };
        assert_eq!(at(0), (1970, 1, 1, 0, 0, 0, 0));
        assert_eq!(at(951_782_400_000), (2000, 2, 29, 0, 0, 0, 0));
        assert_eq!(at(1_709_164_800_000 + 3_723_004), (2024, 2, 29, 1, 2, 3, 4));
        assert_eq!(at(-1), (1969, 12, 31, 23, 59, 59, 999));
    }

    #[test]
    fn a_day_is_its_date_and_back() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (-719_468, (0, 3, 1)),
            (11_016, (2000, 2, 29)),
            (2_932_896, (9999, 12, 31)),
        ] {
            assert_eq!(civil(days), date);
        }
        for days in (-800_000..3_000_000).step_by(37) {
            let (year, month, day) = civil(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!((1..=days_in_month(year, month)).contains(&day), "{days}");
        }
        assert_eq!([1900, 2000, 2023, 2024].map(|year| days_in_month(year, 2)), [28, 29, 28, 29]);
        assert_eq!((days_in_month(2024, 0), days_in_month(2024, 13)), (0, 0));
        assert_eq!(days_from_civil(2023, 2, 31), days_from_civil(2023, 3, 3));
    }
}
