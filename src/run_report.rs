//! The page about a training run that is finished, goes on, or ended early.

use std::path::{Path, PathBuf};

use splade_io::OutputLock;
use splade_logs::{LoggedRun, report_html};
use splade_train::TrainError;

use crate::error::{Error, advised};

/// The log and the lock in the folder of a run, by the names that training gives them.
const LOG: &str = "log.jsonl";
const LOCK: &str = "lock";

/// Returns a page about a run of `train`, `pretrain` or `cross-encoder train`: how it ended, its
/// warnings, curves, evaluations, expansions and settings. `run` is the run's folder or its log, and
/// the curves of `second` are laid over it. `made` is the time of the page in seconds since 1970.
///
/// The page is one HTML file that loads nothing from elsewhere.
///
/// ```
/// use light_splade::learning::run_report;
/// use light_splade::{train, train_config};
///
/// let output = tempfile::tempdir()?;
/// let overrides = [
///     format!("training.output_dir={}", output.path().display()),
///     "model.model_name_or_path=models/demo".to_owned(),
///     "training.max_steps=2".to_owned(),
///     "training.eval_strategy=no".to_owned(),
///     "training.load_best_model_at_end=false".to_owned(),
/// ];
/// let config = train_config("config".as_ref(), "toy_splade_ja", &overrides, &mut ())?;
/// train(&config, &mut ())?;
/// let page = run_report(output.path(), None, 1_700_000_000)?;
/// assert!(page.contains(": finished</title>"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If there is no log, or a line of it is not a record of training.
pub fn run_report(run: &Path, second: Option<&Path>, made: u64) -> Result<String, Error> {
    let first = Found::at(run)?;
    let second = second.map(Found::at).transpose()?;
    let page = report_html(first.logged(), second.as_ref().map(Found::logged), made);
    Ok(page.map_err(TrainError::from)?)
}

/// The log of a run and what is known of it.
struct Found {
    log: PathBuf,
    name: String,
    running: bool,
}

impl Found {
    /// Finds the log of a run that is named by its folder or by the log itself.
    fn at(run: &Path) -> Result<Self, Error> {
        let log = if run.is_dir() { run.join(LOG) } else { run.to_path_buf() };
        if !log.is_file() {
            return Err(advised(
                format!("there is no training log {}", log.display()),
                "name the folder that training.output_dir of the run names, or its log.jsonl",
            ));
        }
        let folder = log.parent().map(Path::to_path_buf).unwrap_or_default();
        let name = folder.canonicalize().unwrap_or(folder.clone());
        let name = name.file_name().unwrap_or(log.as_os_str()).to_string_lossy().into_owned();
        let running = OutputLock::is_held(&folder.join(LOCK));
        Ok(Self { log, name, running })
    }

    fn logged(&self) -> LoggedRun<'_> {
        LoggedRun { log: &self.log, name: &self.name, running: self.running }
    }
}
