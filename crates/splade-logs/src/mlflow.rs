//! Writes a run into a folder `mlruns`, MLflow's file store.
//!
//! ```text
//! mlruns/
//!   EXPERIMENT/meta.yaml                the experiment; 0 is "Default"
//!   EXPERIMENT/RUN/meta.yaml            the run: its name, its times, its status
//!   EXPERIMENT/RUN/metrics/NAME         a line `MILLISECONDS VALUE STEP` for each value
//!   EXPERIMENT/RUN/params/NAME          a setting
//!   EXPERIMENT/RUN/tags/NAME            a tag
//! ```
//!
//! MLflow 3 reads these folders if `MLFLOW_ALLOW_FILE_STORE` is `true`, and `mlflow
//! migrate-filestore` moves them into a database. Its servers are not spoken with.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{LogError, io_error};
use crate::names;

/// The folder of the experiment that every store has.
const DEFAULT: &str = "0";
/// The tag that tells a resumed run which folder it goes on with: the path of its other log.
const LOG_TAG: &str = "light_splade.log";
/// The longest value of a setting.
const LONGEST: usize = 6000;

/// The states of a run, as MLflow numbers them.
#[derive(Debug, Clone, Copy)]
enum State {
    Running = 1,
    Finished = 3,
}

/// The place of a run in a file store.
///
/// ```
/// use splade_logs::{LogOptions, Logs, MlflowOptions};
///
/// let folder = tempfile::tempdir()?;
/// let store = folder.path().join("mlruns");
/// let mlflow = MlflowOptions { store: store.clone(), experiment: None, run: Some("first".to_owned()) };
/// let json = folder.path().join("log.jsonl");
/// let mut logs = Logs::open(&LogOptions { mlflow: Some(mlflow), json, ..LogOptions::default() })?;
/// logs.train(1, 0.5, &[("loss", 2.0)])?;
/// logs.flush()?;
/// assert!(store.is_dir());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MlflowOptions {
    /// The store, often called `mlruns`.
    pub store: PathBuf,
    /// The name of the experiment; "Default" if none is given.
    pub experiment: Option<String>,
    /// The name of the run; the name of its folder of outputs if none is given.
    pub run: Option<String>,
}

/// A run in a file store.
#[derive(Debug)]
pub(super) struct MlflowRun {
    folder: PathBuf,
    id: String,
    experiment: String,
    name: String,
    /// The time at which the run began, in milliseconds since 1970.
    began: u64,
}

impl MlflowRun {
    /// Begins a run, or goes on with the run of the same JSON log if `resumed_step` is given: values
    /// of later steps are removed.
    pub(super) fn open(
        options: &MlflowOptions,
        log: &Path,
        resumed_step: Option<u64>,
        now: f64,
    ) -> Result<Self, LogError> {
        let store = std::path::absolute(&options.store).map_err(io_error(&options.store))?;
        let log = std::path::absolute(log).map_err(io_error(log))?;
        let experiment = experiment(&store, options.experiment.as_deref(), now)?;
        let above = store.join(&experiment);
        let earlier = resumed_step.and_then(|_| run_of(&above, &log));
        let began = match &earlier {
            Some(folder) => value_of(&folder.join("meta.yaml"), "start_time")
                .and_then(|value| value.parse().ok())
                .unwrap_or(milliseconds(now)),
            None => milliseconds(now),
        };
        let id = match &earlier {
            Some(folder) => folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            None => new_id(&log, now),
        };
        let name = names::run(options.run.as_deref(), &log);
        let this = Self { folder: above.join(&id), id, experiment, name, began };
        for part in ["metrics", "params", "tags", "artifacts"] {
            let folder = this.folder.join(part);
            fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        }
        if let Some(step) = resumed_step {
            cut(&this.folder.join("metrics"), step)?;
        }
        for (name, value) in [
            ("mlflow.runName", this.name.as_str()),
            ("mlflow.source.name", "light-splade"),
            ("mlflow.source.type", "LOCAL"),
            ("mlflow.user", &user()),
            (LOG_TAG, &log.to_string_lossy()),
        ] {
            write(&this.folder.join("tags").join(name), value)?;
        }
        this.write_state(State::Running, None)?;
        Ok(this)
    }

    /// Appends the numbers of a step. Their names are TensorBoard's tags with the characters that
    /// MLflow allows: `eval/MRR@10` becomes `eval/MRR_10`.
    pub(super) fn numbers<'a>(
        &mut self,
        step: u64,
        values: impl IntoIterator<Item = (&'a str, f64)>,
        now: f64,
    ) -> Result<(), LogError> {
        for (name, value) in values {
            let path = self.folder.join("metrics").join(allowed(&names::tag(name)));
            if let Some(above) = path.parent() {
                fs::create_dir_all(above).map_err(io_error(above))?;
            }
            let mut file =
                File::options().create(true).append(true).open(&path).map_err(io_error(&path))?;
            let line = format!("{} {} {step}\n", milliseconds(now), number(value));
            file.write_all(line.as_bytes()).map_err(io_error(&path))?;
        }
        Ok(())
    }

    /// Writes the settings of a config, a file for each, named by its path such as
    /// `training.learning_rate`. Texts that are no JSON object are left out.
    pub(super) fn settings(&mut self, config: &str) -> Result<(), LogError> {
        let Ok(config) = serde_json::from_str::<Value>(config) else { return Ok(()) };
        let mut all = Vec::new();
        flatten(&config, "", &mut all);
        for (name, value) in all {
            let end = value.char_indices().map(|(at, _)| at).nth(LONGEST).unwrap_or(value.len());
            write(&self.folder.join("params").join(allowed(&name)), &value[..end])?;
        }
        Ok(())
    }

    /// Writes that the run has ended.
    pub(super) fn finish(&mut self, now: f64) -> Result<(), LogError> {
        self.write_state(State::Finished, Some(milliseconds(now)))
    }

    fn write_state(&self, state: State, ended: Option<u64>) -> Result<(), LogError> {
        let ended = ended.map_or("null".to_owned(), |ended| ended.to_string());
        let artifacts = self.folder.join("artifacts");
        let text = format!(
            "artifact_uri: {}\nend_time: {ended}\nentry_point_name: ''\nexperiment_id: '{}'\n\
             lifecycle_stage: active\nrun_id: {}\nrun_name: {}\nsource_name: ''\nsource_type: 4\n\
             source_version: ''\nstart_time: {}\nstatus: {}\ntags: []\nuser_id: {}\n",
            quoted(&uri(&artifacts)),
            self.experiment,
            self.id,
            quoted(&self.name),
            self.began,
            state as u8,
            quoted(&user())
        );
        // Readers see the old state or the new one.
        let (path, aside) = (self.folder.join("meta.yaml"), self.folder.join(".meta.yaml.new"));
        write(&aside, &text)?;
        fs::rename(&aside, &path).map_err(io_error(&path))
    }
}

/// Returns the folder of an experiment, which is created if the store has none of its name.
fn experiment(store: &Path, name: Option<&str>, now: f64) -> Result<String, LogError> {
    let name = name.unwrap_or("Default");
    let mut ids: Vec<String> = Vec::new();
    for entry in fs::read_dir(store).into_iter().flatten().flatten() {
        let id = entry.file_name().to_string_lossy().into_owned();
        if value_of(&entry.path().join("meta.yaml"), "name").as_deref() == Some(name) {
            return Ok(id);
        }
        ids.push(id);
    }
    let id = match name {
        "Default" => DEFAULT.to_owned(),
        // MLflow's own ids are of 18 digits.
        _ => milliseconds(now).to_string() + "00000",
    };
    let folder = store.join(&id);
    fs::create_dir_all(&folder).map_err(io_error(&folder))?;
    let now = milliseconds(now);
    let text = format!(
        "artifact_location: {}\ncreation_time: {now}\nexperiment_id: '{id}'\nlast_update_time: {now}\n\
         lifecycle_stage: active\nname: {}\n",
        quoted(&uri(&folder)),
        quoted(name)
    );
    write(&folder.join("meta.yaml"), &text)?;
    Ok(id)
}

/// Returns the folder of the run with this JSON log.
fn run_of(experiment: &Path, log: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(experiment).ok()?;
    let runs = entries.flatten().map(|entry| entry.path());
    let tag = |run: &PathBuf| fs::read_to_string(run.join("tags").join(LOG_TAG)).ok();
    runs.filter(|run| tag(run).as_deref() == Some(&*log.to_string_lossy()))
        .max_by_key(|run| value_of(&run.join("meta.yaml"), "start_time"))
}

/// Removes the values of steps after `step` from all files of metrics.
fn cut(folder: &Path, step: u64) -> Result<(), LogError> {
    for entry in fs::read_dir(folder).map_err(io_error(folder))? {
        let path = entry.map_err(io_error(folder))?.path();
        if path.is_dir() {
            cut(&path, step)?;
            continue;
        }
        let text = fs::read_to_string(&path).map_err(io_error(&path))?;
        let is_kept = |line: &&str| {
            let of = line.rsplit(' ').next().and_then(|of| of.parse::<u64>().ok());
            of.is_some_and(|of| of <= step)
        };
        let kept: String = text.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect();
        if kept.len() < text.len() {
            write(&path, &kept)?;
        }
    }
    Ok(())
}

/// Reads a value of a flat YAML file, as this module and MLflow write them.
fn value_of(path: &Path, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))?;
    let inner = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    Some(inner.map_or_else(|| value.to_owned(), |inner| inner.replace("''", "'")))
}

/// Lists the values of a config with their paths.
fn flatten(value: &Value, path: &str, all: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(value, &path, all);
            }
        }
        Value::String(text) => all.push((path.to_owned(), text.clone())),
        other => all.push((path.to_owned(), other.to_string())),
    }
}

/// Replaces the characters that MLflow does not allow in names.
fn allowed(name: &str) -> String {
    let is_allowed = |c: char| c.is_alphanumeric() || "_-. :/".contains(c);
    name.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect()
}

/// A number as Python reads it.
fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "nan".to_owned(),
        value if value.is_infinite() => if value > 0.0 { "inf" } else { "-inf" }.to_owned(),
        value => value.to_string(),
    }
}

/// A string of YAML in single quotes, on one line.
fn quoted(text: &str) -> String {
    let one_line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("'{}'", one_line.replace('\'', "''"))
}

/// The address of a folder of this machine.
fn uri(folder: &Path) -> String {
    let path = folder.to_string_lossy().replace('\\', "/");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let escaped: String = path
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' | b':' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect();
    format!("file://{slash}{escaped}")
}

/// An id of 32 hexadecimal digits that no other run has: of the log, the time and the process.
fn new_id(log: &Path, now: f64) -> String {
    let place = log.to_string_lossy().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let moment = (milliseconds(now) << 20) | u64::from(std::process::id() & 0xf_ffff);
    format!("{place:016x}{moment:016x}")
}

fn user() -> String {
    let name =
        ["USER", "USERNAME", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    name.unwrap_or_else(|| "unknown".to_owned())
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

fn write(path: &Path, text: &str) -> Result<(), LogError> {
    fs::write(path, text).map_err(io_error(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: f64 = 1_700_000_000.25;

    #[test]
    fn a_run_is_resumed_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("it's a run/log.jsonl");
        let options =
            MlflowOptions { store: folder.path().join("mlruns"), experiment: None, run: None };
        let mut run = MlflowRun::open(&options, &log, None, CLOCK).unwrap();
        run.settings(r#"{"training": {"lr": 1e-4, "name": "文"}, "seed": 42}"#).unwrap();
        run.numbers(5, [("loss", 2.5), ("eval_MRR@10", f64::NAN)], CLOCK).unwrap();
        run.numbers(9, [("loss", 2.0)], CLOCK).unwrap();
        let read = |name: &str| fs::read_to_string(run.folder.join(name)).unwrap();
        assert_eq!(read("params/training.lr"), "0.0001");
        assert_eq!(read("params/training.name"), "文");
        assert_eq!(read("metrics/eval/MRR_10"), "1700000000250 nan 5\n");
        let meta = read("meta.yaml");
        assert!(meta.contains("\nrun_name: 'it''s a run'\n"), "{meta}");
        assert!(meta.contains("\nstatus: 1\n") && meta.contains("end_time: null\n"), "{meta}");

        let mut again = MlflowRun::open(&options, &log, Some(5), CLOCK + 60.0).unwrap();
        assert_eq!(again.folder, run.folder);
        again.numbers(6, [("loss", 1.5)], CLOCK + 61.0).unwrap();
        again.finish(CLOCK + 62.0).unwrap();
        assert_eq!(read("metrics/train/loss"), "1700000000250 2.5 5\n1700000061250 1.5 6\n");
        let meta = read("meta.yaml");
        assert!(meta.contains("start_time: 1700000000250\nstatus: 3\n"), "{meta}");
        assert!(meta.contains("end_time: 1700000062250\n"), "{meta}");

        let other = MlflowRun::open(&options, &log, None, CLOCK + 90.0).unwrap();
        assert_ne!(other.folder, run.folder, "a new run has a new folder");
    }

    #[test]
    fn experiments_have_names() {
        let folder = tempfile::tempdir().unwrap();
        let named = |experiment: Option<&str>| MlflowOptions {
            store: folder.path().join("mlruns"),
            experiment: experiment.map(str::to_owned),
            run: Some("a".to_owned()),
        };
        let log = folder.path().join("log.jsonl");
        let of = |name| MlflowRun::open(&named(name), &log, None, CLOCK).unwrap().experiment;
        assert_eq!(of(None), "0");
        let toys = of(Some("toys: 'small'"));
        assert_ne!(toys, "0");
        assert_eq!(of(Some("toys: 'small'")), toys);
        assert_eq!(of(Some("Default")), "0");
    }
}
