//! The Gregorian calendar: days since 1970-01-01 as dates, and moments as dates with times.

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
        const DAY: i64 = 86_400_000;
        let (days, rest) = (ms.div_euclid(DAY), ms.rem_euclid(DAY) as u32);
        let (year, month, day) = civil(days);
        Utc {
            year,
            month,
            day,
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1000 % 60,
            milli: rest % 1000,
        }
    }
}

/// The date of a day counted from 1970-01-01. Years are counted from March, so that the leap day
/// is the last of its year, in eras of 400 years, which all have the same number of days.
fn civil(days: i64) -> (i64, u32, u32) {
    const ERA: i64 = 146_097;
    let from_march_0 = days + 719_468;
    let (era, day) = (from_march_0.div_euclid(ERA), from_march_0.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let of_month = (in_year - (153 * month + 2) / 5 + 1) as u32;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + carry, month as u32, of_month)
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
}
