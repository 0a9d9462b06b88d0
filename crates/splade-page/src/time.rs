//! Dates and durations as people read them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A date and time in UTC.
///
/// ```
/// assert_eq!(splade_page::Date::of(951_868_799).to_string(), "2000-02-29 23:59 UTC");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The year of our era.
    pub year: u64,
    /// The month, from 1.
    pub month: u64,
    /// The day of the month, from 1.
    pub day: u64,
    /// The hour, from 0.
    pub hour: u64,
    /// The minute, from 0.
    pub minute: u64,
    /// The second, from 0.
    pub second: u64,
}

impl Date {
    /// Returns the date of a number of seconds since 1970.
    ///
    /// The algorithm is from Howard Hinnant, "chrono-compatible low-level date algorithms". Years
    /// begin in March, so that the leap day is at their end, and are grouped in eras of 400 years.
    pub fn of(seconds: u64) -> Self {
        let days = seconds / 86_400 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            hour: seconds / 3600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, .. } = self;
        write!(f, "{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
    }
}

/// Returns the seconds since 1970.
///
/// ```
/// let made = splade_page::Date::of(splade_page::now());
/// assert!(made.year >= 2026);
/// ```
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Returns a duration with the two units that matter: `3 ms`, `4.2 s`, `2 min 5 s`, `1 h 2 min`.
///
/// ```
/// assert_eq!(splade_page::duration(0.0032), "3 ms");
/// assert_eq!(splade_page::duration(4.21), "4.2 s");
/// assert_eq!(splade_page::duration(125.4), "2 min 5 s");
/// assert_eq!(splade_page::duration(100_000.0), "1 d 3 h");
/// ```
pub fn duration(seconds: f64) -> String {
    if seconds < 0.9995 {
        return format!("{:.0} ms", seconds * 1000.0);
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {} s", whole % 60),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // The expected strings are from `date -u -d @SECONDS '+%F %R UTC'`.
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_700_000_000, "2023-11-14 22:13 UTC"),
            (1_735_689_599, "2024-12-31 23:59 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(Date::of(seconds).to_string(), expected, "{seconds}");
        }
    }

    #[test]
    fn durations_have_no_rounded_up_units() {
        for (seconds, expected) in [
            (0.0, "0 ms"),
            (0.9994, "999 ms"),
            (0.9996, "1.0 s"),
            (59.94, "59.9 s"),
            (59.96, "1 min 0 s"),
            (3599.6, "1 h 0 min"),
            (86_399.7, "1 d 0 h"),
        ] {
            assert_eq!(duration(seconds), expected, "{seconds}");
        }
    }
}
