//! Reads a pipeline and checks it before anything runs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;
use hydra_compose::{ComposeOptions, compose, sweep};
use serde_json::{Map, Value};
use splade_train::config::{Config, PretrainConfig};

use crate::args::{Cli, Command, TrainArgs};
use crate::cmd::cross_encoder;
use crate::cmd::runs::Run;

/// A pipeline as its file has it.
pub(super) struct Pipeline {
    /// Of the report.
    pub(super) title: String,
    /// Where records, logs and the report go.
    pub(super) work: PathBuf,
    pub(super) steps: Vec<Step>,
}

/// One command.
pub(super) struct Step {
    pub(super) name: String,
    /// What follows `light-splade`.
    pub(super) command: Vec<String>,
    /// Files and folders that it reads.
    pub(super) inputs: Vec<PathBuf>,
    /// Files and folders that it makes.
    pub(super) outputs: Vec<PathBuf>,
    /// The file for its standard output, which is an output too.
    pub(super) stdout: Option<PathBuf>,
    /// JSON files with metrics, for the report.
    pub(super) metrics: Vec<PathBuf>,
    /// JSON-lines logs of training, for the report.
    pub(super) logs: Vec<PathBuf>,
    /// Settings that are not in the command itself: configs of training as they are composed.
    pub(super) settings: String,
}

impl Pipeline {
    /// Composes the file as Hydra does and checks every command.
    pub(super) fn read(path: &Path, overrides: &[String]) -> Result<Self> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        if !path.is_file() {
            bail!("there is no pipeline {}", path.display());
        }
        let name = path.file_name().context("a pipeline is a file")?.to_string_lossy();
        let options = ComposeOptions::new(folder, name.as_ref(), overrides.to_vec());
        let value = compose(&options)?.value()?;
        Self::from_value(&value).with_context(|| format!("in {}", path.display()))
    }

    fn from_value(value: &Value) -> Result<Self> {
        // Other keys are values that steps refer to.
        let work = value["work"].as_str().context("work: the folder of the pipeline is needed")?;
        let steps = value["steps"].as_array().context("steps: a list is needed")?;
        let mut steps: Vec<Step> = steps
            .iter()
            .enumerate()
            .map(|(i, step)| Step::from_value(step).with_context(|| format!("steps.{i}")))
            .collect::<Result<_>>()?;
        let mut names = HashSet::new();
        for step in &steps {
            if !names.insert(&step.name) {
                bail!("two steps are called {:?}", step.name);
            }
        }
        if steps.is_empty() {
            bail!("steps: there is none");
        }
        let mut made: Vec<PathBuf> = Vec::new();
        for step in &mut steps {
            step.add_named_inputs(&made);
            made.extend(step.outputs.iter().cloned());
        }
        let title = value["title"].as_str().unwrap_or("Pipeline").to_owned();
        Ok(Self { title, work: work.into(), steps })
    }

    /// Everything that is read is there, or made by an earlier step.
    pub(super) fn check_inputs(&self) -> Result<()> {
        let mut made: Vec<&PathBuf> = Vec::new();
        for step in &self.steps {
            for input in &step.inputs {
                if !input.exists() && !made.iter().any(|made| input.starts_with(made)) {
                    bail!(
                        "step {}: there is no {}, and no earlier step makes it\nhint: paths count \
                         from the working directory",
                        step.name,
                        input.display()
                    );
                }
            }
            made.extend(&step.outputs);
        }
        Ok(())
    }

    pub(super) fn report(&self) -> PathBuf {
        self.work.join("report.html")
    }
}

impl Step {
    fn from_value(value: &Value) -> Result<Self> {
        const KEYS: [&str; 7] = ["name", "run", "inputs", "outputs", "stdout", "metrics", "logs"];
        let fields = value.as_object().context("a step is a mapping")?;
        if let Some(key) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
            bail!("{key}: there is no such key; a step has {}", KEYS.join(", "));
        }
        let name = fields.get("name").and_then(Value::as_str).context("name is needed")?;
        let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
            bail!("name: {name:?} must be letters, digits, -, _ and . (it names files)");
        }
        let command = words(fields, "run")?;
        let stdout = fields.get("stdout").map(|path| match path.as_str() {
            Some(path) => Ok(PathBuf::from(path)),
            None => bail!("stdout: a path is needed"),
        });
        let stdout = stdout.transpose()?;
        let mut outputs = paths(fields, "outputs")?;
        outputs.extend(stdout.clone());
        if outputs.is_empty() {
            bail!("outputs: a step makes something, or there is nothing to skip it by");
        }
        let settings = settings(&command).context("run")?;
        Ok(Self {
            name: name.to_owned(),
            inputs: paths(fields, "inputs")?,
            outputs,
            stdout,
            metrics: paths(fields, "metrics")?,
            logs: paths(fields, "logs")?,
            settings,
            command,
        })
    }

    /// Files that the command names (`FILE` or `key=FILE`) are inputs as well, unless it makes them.
    /// Those that earlier steps make, `made`, need not be there yet.
    fn add_named_inputs(&mut self, made: &[PathBuf]) {
        let is_in =
            |path: &Path, folders: &[PathBuf]| folders.iter().any(|one| path.starts_with(one));
        let words = self.command.iter().map(|word| match word.split_once('=') {
            Some((_, path)) => Path::new(path),
            None => Path::new(word),
        });
        let named = words.filter(|path| path.is_file() || is_in(path, made));
        self.inputs.extend(named.filter(|path| !is_in(path, &self.outputs)).map(Path::to_path_buf));
        self.inputs.sort();
        self.inputs.dedup();
    }
}

/// Checks that a command is one of ours; returns the settings that it reads from configs.
fn settings(command: &[String]) -> Result<String> {
    let typed = std::iter::once("light-splade").chain(command.iter().map(String::as_str));
    match Cli::try_parse_from(typed).map_err(|error| error.render().to_string()) {
        Err(message) => bail!("{}: {}", command.join(" "), message.trim_end()),
        Ok(Cli { command: Command::Pipeline(_) }) => bail!("a pipeline has no pipelines"),
        Ok(Cli { command: Command::Train(args) }) => configs::<Config>(args),
        Ok(Cli { command: Command::Pretrain(args) }) => configs::<PretrainConfig>(args),
        Ok(Cli { command: Command::CrossEncoder(command) }) => cross_encoder::settings(&command),
        Ok(_) => Ok(String::new()),
    }
}

/// Composes the config of training, or those of a sweep, and checks their settings.
fn configs<R: Run>(args: TrainArgs) -> Result<String> {
    let options = ComposeOptions::new(args.config_dir, args.config_name, args.overrides);
    let jobs = match args.multirun {
        true => sweep(&options)?.into_iter().map(|(_, composed)| composed).collect(),
        false => vec![compose(&options)?],
    };
    let mut text = String::new();
    for job in jobs {
        R::read(&job.value()?)?;
        text += &job.to_yaml();
    }
    Ok(text)
}

/// A list of words, or a text that is split at white space.
fn words(fields: &Map<String, Value>, key: &str) -> Result<Vec<String>> {
    let words: Option<Vec<String>> = match fields.get(key) {
        Some(Value::String(text)) => Some(text.split_whitespace().map(str::to_owned).collect()),
        Some(Value::Array(list)) => list.iter().map(word).collect(),
        _ => None,
    };
    words.filter(|words| !words.is_empty()).with_context(|| format!("{key}: words are needed"))
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn paths(fields: &Map<String, Value>, key: &str) -> Result<Vec<PathBuf>> {
    match fields.get(key) {
        None => Ok(Vec::new()),
        Some(Value::String(path)) => Ok(vec![path.into()]),
        Some(Value::Array(list)) => list
            .iter()
            .map(|path| path.as_str().map(PathBuf::from))
            .collect::<Option<_>>()
            .with_context(|| format!("{key}: paths are needed")),
        Some(_) => bail!("{key}: paths are needed"),
    }
}
