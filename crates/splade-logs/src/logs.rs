//! Hands each record to all logs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::dashboard::{Dashboard, Listener};
use crate::error::LogError;
use crate::json_lines::{JsonLog, Kind};
use crate::record::{Expansion, Status};
use crate::tensorboard::EventFile;
use crate::{names, tensorboard};

/// Where a run is logged.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// A folder for a file of TensorBoard's, see [`default_logging_dir`]; none: no such file.
    pub tensorboard: Option<PathBuf>,
    /// The log of JSON lines. A new run replaces it, a resumed one continues it.
    pub json: PathBuf,
    /// A port of this machine where the live page is served, 0 for any that is free.
    pub dashboard: Option<u16>,
    /// The step that a resumed run continues after: what was logged of later ones is void.
    pub resumed_step: Option<u64>,
}

/// Everything a run tells.
///
/// Every record is handed to the operating system before the call returns, so that it outlives the
/// process. Call [`flush`](Logs::flush) before a checkpoint is written: records of the checkpoint's
/// step and earlier ones must be on the disk when a run is resumed from it.
#[derive(Debug)]
pub struct Logs {
    json: JsonLog,
    tensorboard: Option<EventFile>,
    dashboard: Option<Dashboard>,
    /// The epoch of the last record that had one.
    epoch: f64,
    /// What went wrong in a call that returns nothing; the next one that can returns it.
    error: Option<LogError>,
}

impl Logs {
    /// Opens the files and starts the live page.
    ///
    /// # Errors
    /// If a file cannot be made, if the log of a run that is resumed is damaged, or if the port is
    /// taken; then no file was changed.
    pub fn open(options: &LogOptions) -> Result<Self, LogError> {
        let now = now();
        let listener = options.dashboard.map(Listener::bind).transpose()?;
        let json = JsonLog::open(&options.json, options.resumed_step)?;
        let create = |folder: &PathBuf| EventFile::create(folder, options.resumed_step, now);
        let tensorboard = options.tensorboard.as_ref().map(create).transpose()?;
        let dashboard =
            listener.map(|listener| listener.serve(options.json.clone(), now)).transpose()?;
        Ok(Self { json, tensorboard, dashboard, epoch: 0.0, error: None })
    }

    /// Tells the epoch that a resumed run continues at, for records that come before its first
    /// numbers.
    pub fn continue_at(&mut self, epoch: f64) {
        self.epoch = epoch;
    }

    /// Where the live page is, if there is one: `http://<address>/`.
    pub fn dashboard_address(&self) -> Option<SocketAddr> {
        self.dashboard.as_ref().map(Dashboard::address)
    }

    /// Adds a text such as the config, tagged `args` in transformers' runs.
    pub fn text(&mut self, tag: &str, text: &str) {
        let now = now();
        let written = self.json.text(tag, text, now).and_then(|()| match &mut self.tensorboard {
            Some(events) => events.text(tag, text, now).and_then(|()| events.flush()),
            None => Ok(()),
        });
        self.error = self.error.take().or(written.err());
    }

    /// Adds the numbers of a logging step, named as in [`names`].
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn train(&mut self, step: u64, epoch: f64, values: &[(&str, f64)]) -> Result<(), LogError> {
        self.epoch = epoch;
        self.numbers(Kind::Train, step, values)
    }

    /// Adds the numbers of an evaluation, whose names begin with `eval_`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn eval(&mut self, step: u64, epoch: f64, values: &[(&str, f64)]) -> Result<(), LogError> {
        self.epoch = epoch;
        self.numbers(Kind::Eval, step, values)
    }

    /// Adds the numbers of the whole run ([`names::SUMMARY`]).
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn summary(&mut self, step: u64, values: &[(&str, f64)]) -> Result<(), LogError> {
        self.numbers(Kind::Summary, step, values)
    }

    /// Says how far the run is, to the live page only; cheap enough for every step.
    pub fn status(&mut self, status: Status) {
        if let Some(dashboard) = &self.dashboard {
            dashboard.set_status(status);
        }
    }

    /// Adds what sample texts are expanded to; the page shows them beside those of the first step
    /// that has the same text. They are not in TensorBoard.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn expansions(&mut self, step: u64, samples: Vec<Expansion>) -> Result<(), LogError> {
        self.deferred()?;
        self.json.expansions(step, &samples, now())
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// If it cannot be written, also by a call before that had no way to say so.
    pub fn flush(&mut self) -> Result<(), LogError> {
        self.deferred()?;
        self.json.sync()?;
        self.tensorboard.as_mut().map_or(Ok(()), EventFile::sync)
    }

    fn numbers(&mut self, kind: Kind, step: u64, values: &[(&str, f64)]) -> Result<(), LogError> {
        self.deferred()?;
        let now = now();
        self.json.numbers(kind, step, self.epoch, now, values)?;
        let Some(events) = &mut self.tensorboard else { return Ok(()) };
        for (name, value) in values {
            events.scalar(&names::tag(name), step, *value, now)?;
        }
        events.scalar("train/epoch", step, self.epoch, now)?;
        events.flush()
    }

    fn deferred(&mut self) -> Result<(), LogError> {
        self.error.take().map_or(Ok(()), Err)
    }
}

/// TensorBoard's folder where the config names none, as transformers calls it:
/// `runs/<month><day>_<hour>-<minute>-<second>_<machine>` under `output_dir`, in UTC.
pub fn default_logging_dir(output_dir: &Path) -> PathBuf {
    let folder = format!("{}_{}", month_to_second(now() as u64), tensorboard::host_name());
    output_dir.join("runs").join(folder)
}

/// `%b%d_%H-%M-%S` of seconds since 1970.
fn month_to_second(seconds: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    // Howard Hinnant, "chrono-compatible low-level date algorithms": years that begin in March, in
    // eras of 400 of them, have their leap day at the end.
    let day_of_era = (seconds / 86_400 + 719_468) % 146_097;
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{}{day:02}_{hours:02}-{minutes:02}-{:02}", MONTHS[month as usize], seconds % 60)
}

/// Seconds since 1970, to the millisecond: the only place where the clock is read.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // `date -u -d @SECONDS +%b%d_%H-%M-%S`
        for (seconds, expected) in [
            (0, "Jan01_00-00-00"),
            (951_782_400, "Feb29_00-00-00"),
            (951_868_799, "Feb29_23-59-59"),
            (951_868_800, "Mar01_00-00-00"),
            (1_700_000_000, "Nov14_22-13-20"),
            (1_735_689_599, "Dec31_23-59-59"),
            (4_107_542_399, "Feb28_23-59-59"),
            (4_107_542_400, "Mar01_00-00-00"),
        ] {
            assert_eq!(month_to_second(seconds), expected, "{seconds}");
        }
    }
}
