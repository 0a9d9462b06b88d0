//! The date and the time of day that `${now:%Y-%m-%d}` prints.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time in UTC. Local time zones are not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    year: i64,
    month: u32,
    day: u32,
    /// The seconds since midnight, 0 to 86,399.
    seconds: u32,
    microseconds: u32,
}

impl From<SystemTime> for Moment {
    /// Converts a system time. Times before 1970 become the first second of 1970.
    fn from(time: SystemTime) -> Moment {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let (year, month, day) = date(since.as_secs() / 86_400);
        Moment {
            year,
            month,
            day,
            seconds: (since.as_secs() % 86_400) as u32,
            microseconds: since.subsec_micros(),
        }
    }
}

impl Moment {
    /// Formats the moment with the `strftime` codes `%Y %y %m %d %H %M %S %f %%`.
    pub(crate) fn format(&self, format: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            out.push_str(&match chars.next() {
                Some('Y') => format!("{:04}", self.year),
                Some('y') => format!("{:02}", self.year % 100),
                Some('m') => format!("{:02}", self.month),
                Some('d') => format!("{:02}", self.day),
                Some('H') => format!("{:02}", self.seconds / 3600),
                Some('M') => format!("{:02}", self.seconds / 60 % 60),
                Some('S') => format!("{:02}", self.seconds % 60),
                Some('f') => format!("{:06}", self.microseconds),
                Some('%') => "%".to_owned(),
                other => {
                    let code = other.map(String::from).unwrap_or_default();
                    return Err(format!(
                        "%{code} is not implemented, only %Y %y %m %d %H %M %S %f and %%"
                    ));
                }
            });
        }
        Ok(out)
    }
}

/// Returns the year, month and day of a number of days since 1970-01-01.
fn date(mut days: u64) -> (i64, u32, u32) {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    // The Gregorian calendar repeats every 400 years, which have 146,097 days.
    let mut year = 1970 + 400 * (days / 146_097) as i64;
    days %= 146_097;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        // The expected strings are from `date -u -d @SECONDS +%Y-%m-%d_%H-%M-%S`.
        for (seconds, expected) in [
            (0, "1970-01-01_00-00-00"),
            (951_782_399, "2000-02-28_23-59-59"),
            (951_868_799, "2000-02-29_23-59-59"),
            (1_795_476_703, "2026-11-23_23-31-43"),
            (4_107_542_400, "2100-03-01_00-00-00"),
            (16_725_225_600, "2500-01-01_00-00-00"),
        ] {
            let moment = Moment::from(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(moment.format("%Y-%m-%d_%H-%M-%S").unwrap(), expected);
        }
        let moment = Moment::from(UNIX_EPOCH);
        assert_eq!(moment.format("%y%%").unwrap(), "70%");
        assert!(moment.format("%A").is_err());
        assert!(moment.format("%").is_err());
    }
}
