//! The waits before a request is tried again.
//!
//! A wait doubles from one retry to the next and has a random share, so that not all clients return at once. If the
//! server names a time in `Retry-After`, the wait is at least as long.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use splade_io::{Event, Observer};

use crate::error::HttpError;
use crate::exchange::{LOOK, Response};

/// The longest wait before a retry, except for a longer `Retry-After`.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest `Retry-After` that is waited for. The Hugging Face hub counts requests in windows of five minutes.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// Waits before a retry, and asks the observer meanwhile whether to stop. `tries` is the number of earlier retries,
/// `first` the wait before the first of them, `asked` the time that the server asked for, and `trouble` the reason,
/// which the observer is told.
///
/// ```
/// use std::time::Duration;
///
/// use splade_http::{HttpError, pause};
/// use splade_io::{Event, Observer};
///
/// /// Does not want to wait.
/// struct Hurried;
///
/// impl Observer for Hurried {
///     fn event(&mut self, _: Event<'_>) {}
///     fn stop(&mut self) -> bool {
///         true
///     }
/// }
/// let minute = Duration::from_secs(60);
/// let stopped = pause(0, minute, None, "the server is busy", &mut Hurried);
/// assert_eq!(stopped, Err(HttpError::Stopped));
/// ```
///
/// # Errors
/// Returns [`HttpError::Stopped`] if the observer asks to stop.
pub fn pause(
    tries: u32,
    first: Duration,
    asked: Option<Duration>,
    trouble: &str,
    observer: &mut dyn Observer,
) -> Result<(), HttpError> {
    let own = first.saturating_mul(1 << tries.min(16)).min(LONGEST);
    // The wait is between half of `own` and all of it.
    let random = RandomState::new().hash_one(tries) as f64 / u64::MAX as f64;
    let own = own.mul_f64(0.5 + random / 2.0);
    let wait = asked.map_or(own, |asked| own.max(asked));
    observer.event(Event::Note(&format!("{trouble}; next try in {:.1} s", wait.as_secs_f64())));
    let mut waited = Duration::ZERO;
    while waited < wait {
        if observer.stop() {
            return Err(HttpError::Stopped);
        }
        let part = LOOK.min(wait - waited);
        std::thread::sleep(part);
        waited += part;
    }
    Ok(())
}

impl Response {
    /// Returns the time for which the server asks to wait: the header `Retry-After`, in seconds or as a date, or the
    /// seconds `t=` of the hub's `RateLimit`.
    pub fn retry_after(&self) -> Option<Duration> {
        asked(&|name| self.header(name), SystemTime::now())
    }
}

/// Reads the time to wait from the headers of an answer. `now` is used if the server does not tell its own time.
fn asked<'h>(header: &dyn Fn(&str) -> Option<&'h str>, now: SystemTime) -> Option<Duration> {
    if let Some(text) = header("retry-after").map(str::trim) {
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(text).ok()?;
        let now =
            header("date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
        return Some(date.duration_since(now).unwrap_or_default());
    }
    let limit = header("ratelimit")?.split(';');
    let seconds = limit.filter_map(|part| part.trim().strip_prefix("t=")).next()?;
    seconds.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_wait() {
        let (date, noon) = ("Sun, 06 Nov 1994 08:49:37 GMT", SystemTime::UNIX_EPOCH);
        for (headers, expected) in [
            (&[][..], None),
            (&[("retry-after", " 120 ")], Some(120)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), ("date", date)], Some(60)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:48:37 GMT"), ("date", date)], Some(0)),
            (&[("retry-after", "Thu, 01 Jan 1970 00:00:09 GMT")], Some(9)),
            (&[("ratelimit", "\"api\";r=0;t=55")], Some(55)),
        ] {
            let header =
                |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
            assert_eq!(asked(&header, noon), expected.map(Duration::from_secs), "{headers:?}");
        }
    }
}
