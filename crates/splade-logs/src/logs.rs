//! Passes each record to all logs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use splade_page::Date;

use crate::dashboard::{Dashboard, Listener};
use crate::error::LogError;
use crate::json_lines::{JsonLog, Kind};
use crate::mlflow::{MlflowOptions, MlflowRun};
use crate::record::{Expansion, RunEnd, RunInfo, Status};
use crate::tensorboard::EventFile;
use crate::wandb::{WandbOptions, WandbRun};
use crate::{names, tensorboard};

/// The places that a run is logged to.
///
/// ```
/// use splade_logs::{LogOptions, Logs};
///
/// let folder = tempfile::tempdir()?;
/// let options = LogOptions {
///     tensorboard: Some(folder.path().join("runs")),
///     json: folder.path().join("log.jsonl"),
///     ..LogOptions::default()
/// };
/// let mut logs = Logs::open(&options)?;
/// logs.train(1, 0.5, &[("loss", 2.0)])?;
/// logs.flush()?;
/// assert_eq!(std::fs::read_dir(folder.path().join("runs"))?.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// The folder for a TensorBoard event file (see [`default_logging_dir`]), or `None` for no such
    /// file.
    pub tensorboard: Option<PathBuf>,
    /// The place of the run in a file store of MLflow, or `None` for no such run.
    pub mlflow: Option<MlflowOptions>,
    /// The place of an offline run of Weights & Biases, or `None` for no such run.
    pub wandb: Option<WandbOptions>,
    /// The path of the log of JSON lines. A new run replaces the file, a resumed one continues it.
    pub json: PathBuf,
    /// The port of this machine on which the live page is served (0 for any free port), or `None`
    /// for no page.
    pub dashboard: Option<u16>,
    /// The step after which a resumed run continues. Records of later steps are discarded.
    pub resumed_step: Option<u64>,
}

/// All logs of a run.
///
/// Every record is handed to the operating system before the call returns, so that it survives the
/// death of the process. Call [`flush`](Logs::flush) before a checkpoint is written: when a run is
/// resumed from it, the records of the checkpoint's step and of earlier steps must be on the disk.
///
/// ```
/// use splade_logs::{LogOptions, Logs, RunInfo};
///
/// let folder = tempfile::tempdir()?;
/// let json = folder.path().join("log.jsonl");
/// let mut logs = Logs::open(&LogOptions { json: json.clone(), ..LogOptions::default() })?;
/// logs.run(&RunInfo { command: "train".to_owned(), steps: 100, ..RunInfo::default() });
/// logs.train(10, 0.1, &[("loss", 2.0)])?;
/// logs.warning(10, "the loss does not fall", Some("lower the learning rate"));
/// logs.eval(10, 0.1, &[("eval_MRR@10", 0.25)])?;
/// logs.flush()?;
/// assert_eq!(std::fs::read_to_string(&json)?.lines().count(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Logs {
    json: JsonLog,
    tensorboard: Option<EventFile>,
    mlflow: Option<MlflowRun>,
    wandb: Option<WandbRun>,
    dashboard: Option<Dashboard>,
    /// The epoch of the last record that had one.
    epoch: f64,
    /// The error of a call that returns nothing. The next call that can fail returns it.
    error: Option<LogError>,
}

impl Logs {
    /// Opens the files and starts the live page.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be created, if the log of a resumed run is damaged, or if
    /// the port is taken. If the port is taken, no file has been changed.
    pub fn open(options: &LogOptions) -> Result<Self, LogError> {
        let now = now();
        let listener = options.dashboard.map(Listener::bind).transpose()?;
        let json = JsonLog::open(&options.json, options.resumed_step)?;
        let create = |folder: &PathBuf| EventFile::create(folder, options.resumed_step, now);
        let tensorboard = options.tensorboard.as_ref().map(create).transpose()?;
        let mlflow = options
            .mlflow
            .as_ref()
            .map(|mlflow| MlflowRun::open(mlflow, &options.json, options.resumed_step, now));
        let mlflow = mlflow.transpose()?;
        let is_resumed = options.resumed_step.is_some();
        let wandb = options.wandb.as_ref();
        let wandb = wandb.map(|wandb| WandbRun::open(wandb, &options.json, is_resumed, now));
        let wandb = wandb.transpose()?;
        let dashboard =
            listener.map(|listener| listener.serve(options.json.clone(), now)).transpose()?;
        Ok(Self { json, tensorboard, mlflow, wandb, dashboard, epoch: 0.0, error: None })
    }

    /// Sets the epoch at which a resumed run continues, for records that come before its first
    /// numbers.
    pub fn continue_at(&mut self, epoch: f64) {
        self.epoch = epoch;
    }

    /// Returns the address of the live page, which is at `http://<address>/`, or `None` if there is
    /// no page.
    pub fn dashboard_address(&self) -> Option<SocketAddr> {
        self.dashboard.as_ref().map(Dashboard::address)
    }

    /// Logs what is trained. TensorBoard does not get it.
    pub fn run(&mut self, run: &RunInfo) {
        let written = self.json.run(run, now());
        self.error = self.error.take().or(written.err());
    }

    /// Logs a warning of the watchdog and what to do about it. TensorBoard does not get it.
    pub fn warning(&mut self, step: u64, message: &str, hint: Option<&str>) {
        let written = self.json.warning(step, message, hint, now());
        self.error = self.error.take().or(written.err());
    }

    /// Logs the end of the run, which the live page still shows, and waits until it is on the disk.
    ///
    /// # Errors
    ///
    /// Returns an error if the log cannot be written.
    pub fn end(&mut self, end: &RunEnd) -> Result<(), LogError> {
        self.deferred()?;
        let now = now();
        self.json.end(end, now)?;
        if let Some(run) = &mut self.wandb {
            run.end(end.outcome, now)?;
        }
        self.flush()?;
        if let Some(dashboard) = &self.dashboard {
            dashboard.show_end();
        }
        Ok(())
    }

    /// Logs a text such as the config, which transformers tags `args`.
    pub fn text(&mut self, tag: &str, text: &str) {
        let now = now();
        let written = self.json.text(tag, text, now).and_then(|()| match &mut self.tensorboard {
            Some(events) => events.text(tag, text, now).and_then(|()| events.flush()),
            None => Ok(()),
        });
        let written = written.and_then(|()| match &mut self.mlflow {
            Some(run) => run.settings(text),
            None => Ok(()),
        });
        let written = written.and_then(|()| match &mut self.wandb {
            Some(run) => run.settings(text),
            None => Ok(()),
        });
        self.error = self.error.take().or(written.err());
    }

    /// Logs the numbers of a training step, named as in [`Series`](crate::Series).
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be written.
    pub fn train(&mut self, step: u64, epoch: f64, values: &[(&str, f64)]) -> Result<(), LogError> {
        self.epoch = epoch;
        self.numbers(Kind::Train, step, values)
    }

    /// Logs the numbers of an evaluation, whose names begin with `eval_`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be written.
    pub fn eval(&mut self, step: u64, epoch: f64, values: &[(&str, f64)]) -> Result<(), LogError> {
        self.epoch = epoch;
        self.numbers(Kind::Eval, step, values)
    }

    /// Logs the numbers of the whole run ([`Series::SUMMARY`](crate::Series::SUMMARY)).
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be written.
    pub fn summary(&mut self, step: u64, values: &[(&str, f64)]) -> Result<(), LogError> {
        self.numbers(Kind::Summary, step, values)?;
        self.mlflow.as_mut().map_or(Ok(()), |run| run.finish(now()))
    }

    /// Sets the progress that the live page shows. It is not logged and is cheap enough for every
    /// step.
    pub fn status(&mut self, status: Status) {
        if let Some(dashboard) = &self.dashboard {
            dashboard.set_status(status);
        }
    }

    /// Logs the expansions of sample texts. The page shows them beside those of the first step that
    /// has the same text. TensorBoard does not get them.
    ///
    /// # Errors
    ///
    /// Returns an error if the log cannot be written.
    pub fn expansions(&mut self, step: u64, samples: Vec<Expansion>) -> Result<(), LogError> {
        self.deferred()?;
        self.json.expansions(step, &samples, now())
    }

    /// Waits until all records are on the disk.
    ///
    /// # Errors
    ///
    /// Returns an error if the records cannot be written, also if this happened in an earlier call
    /// that returns nothing.
    pub fn flush(&mut self) -> Result<(), LogError> {
        self.deferred()?;
        self.json.sync()?;
        self.wandb.as_mut().map_or(Ok(()), WandbRun::sync)?;
        self.tensorboard.as_mut().map_or(Ok(()), EventFile::sync)
    }

    fn numbers(&mut self, kind: Kind, step: u64, values: &[(&str, f64)]) -> Result<(), LogError> {
        self.deferred()?;
        let now = now();
        self.json.numbers(kind, step, self.epoch, now, values)?;
        if let Some(run) = &mut self.mlflow {
            run.numbers(step, values.iter().copied().chain([("epoch", self.epoch)]), now)?;
        }
        if let Some(run) = &mut self.wandb {
            match kind {
                Kind::Summary => run.summary(values.iter().copied())?,
                Kind::Train | Kind::Eval => {
                    let epoch = ("epoch", self.epoch);
                    run.row(step, values.iter().copied().chain([epoch]), now)?;
                }
            }
        }
        let Some(events) = &mut self.tensorboard else { return Ok(()) };
        for (name, value) in values {
            events.scalar(&names::tag(name), step, *value, now)?;
        }
        events.scalar("train/epoch", step, self.epoch, now)?;
        events.flush()
    }

    /// Returns the error of an earlier call that returns nothing, if there was one.
    fn deferred(&mut self) -> Result<(), LogError> {
        self.error.take().map_or(Ok(()), Err)
    }
}

/// Returns TensorBoard's folder for a config that names none, in the form that transformers uses:
/// `runs/<month><day>_<hour>-<minute>-<second>_<machine>` under `output_dir`, in UTC.
///
/// ```
/// use splade_logs::default_logging_dir;
///
/// // Such as `outputs/runs/Dec01_12-00-00_machine`.
/// let folder = default_logging_dir("outputs".as_ref());
/// assert!(folder.starts_with("outputs/runs"));
/// ```
pub fn default_logging_dir(output_dir: &Path) -> PathBuf {
    let folder = format!("{}_{}", month_to_second(now() as u64), tensorboard::host_name());
    output_dir.join("runs").join(folder)
}

/// Formats seconds since 1970 as `%b%d_%H-%M-%S`.
fn month_to_second(seconds: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Date { month, day, hour, minute, second, .. } = Date::of(seconds);
    format!("{}{day:02}_{hour:02}-{minute:02}-{second:02}", MONTHS[month as usize - 1])
}

/// Returns the seconds since 1970, to the millisecond. This is the only place that reads the clock.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // The expected strings are from `date -u -d @SECONDS +%b%d_%H-%M-%S`.
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
