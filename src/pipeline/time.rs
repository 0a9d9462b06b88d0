//! Formats the times of steps for people.

/// A time as people write it: `h:mm:ss`, or `m:ss` below an hour.
///
/// ```
/// assert_eq!(light_splade::pipelines::clock(75.9), "1:15");
/// assert_eq!(light_splade::pipelines::clock(36125.0), "10:02:05");
/// ```
pub fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}
