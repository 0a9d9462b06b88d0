//! Reads a pipeline and checks it before anything runs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use hydra_compose::{ComposeOptions, compose};
use serde_json::{Map, Value};

use super::options::{CommandSettings, PipelineOptions};
use crate::error::{Error, invalid};

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
    pub(super) settings: Value,
}

impl Pipeline {
    /// Composes the file as Hydra does and checks every command.
    pub(super) fn read(options: &PipelineOptions) -> Result<Self, Error> {
        let path = &options.file;
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        if !path.is_file() {
            return Err(invalid(format!("there is no pipeline {}", path.display())));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let composing = ComposeOptions::new(folder, name.as_ref(), options.overrides.clone());
        let value = compose(&composing)?.value()?;
        Self::from_value(&value, options.settings)
            .map_err(Error::during(format!("in {}", path.display())))
    }

    fn from_value(value: &Value, settings: CommandSettings) -> Result<Self, Error> {
        // Other keys are values that steps refer to.
        let work = value["work"].as_str();
        let work = work.ok_or_else(|| invalid("work: the folder of the pipeline is needed"))?;
        let steps = value["steps"].as_array();
        let steps = steps.ok_or_else(|| invalid("steps: a list is needed"))?;
        let mut steps: Vec<Step> = steps
            .iter()
            .enumerate()
            .map(|(i, step)| {
                Step::from_value(step, settings).map_err(Error::during(format!("steps.{i}")))
            })
            .collect::<Result<_, Error>>()?;
        let mut names = HashSet::new();
        for step in &steps {
            if !names.insert(&step.name) {
                return Err(invalid(format!("two steps are called {:?}", step.name)));
            }
        }
        if steps.is_empty() {
            return Err(invalid("steps: there is none"));
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
    pub(super) fn check_inputs(&self) -> Result<(), Error> {
        let mut made: Vec<&PathBuf> = Vec::new();
        for step in &self.steps {
            for input in &step.inputs {
                if !input.exists() && !made.iter().any(|made| input.starts_with(made)) {
                    return Err(invalid(format!(
                        "step {}: there is no {}, and no earlier step makes it\nhint: paths count \
                         from the working directory",
                        step.name,
                        input.display()
                    )));
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
    fn from_value(value: &Value, settings: CommandSettings) -> Result<Self, Error> {
        const KEYS: [&str; 7] = ["name", "run", "inputs", "outputs", "stdout", "metrics", "logs"];
        let fields = value.as_object().ok_or_else(|| invalid("a step is a mapping"))?;
        if let Some(key) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(invalid(format!(
                "{key}: there is no such key; a step has {}",
                KEYS.join(", ")
            )));
        }
        let name = fields.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| invalid("name is needed"))?;
        let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
            return Err(invalid(format!(
                "name: {name:?} must be letters, digits, -, _ and . (it names files)"
            )));
        }
        let command = words(fields, "run")?;
        let stdout = fields.get("stdout").map(|path| match path.as_str() {
            Some(path) => Ok(PathBuf::from(path)),
            None => Err(invalid("stdout: a path is needed")),
        });
        let stdout = stdout.transpose()?;
        let mut outputs = paths(fields, "outputs")?;
        outputs.extend(stdout.clone());
        if outputs.is_empty() {
            return Err(invalid(
                "outputs: a step makes something, or there is nothing to skip it by",
            ));
        }
        let settings = settings(&command).map_err(invalid).map_err(Error::during("run"))?;
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

    /// Whether the command goes on with what an earlier run of it left.
    pub(super) fn resumes(&self) -> bool {
        self.command.iter().any(|word| word.contains("resume"))
    }

    /// Whether all outputs are there as files. Commands give a file its name once it is complete;
    /// of a folder that cannot be said.
    pub(super) fn has_all_files(&self) -> bool {
        self.outputs.iter().all(|path| path.is_file())
    }

    /// Whether no output is there.
    pub(super) fn has_no_output(&self) -> bool {
        self.outputs.iter().all(|path| path.symlink_metadata().is_err())
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

/// A list of words, or a text that is split at white space.
fn words(fields: &Map<String, Value>, key: &str) -> Result<Vec<String>, Error> {
    let words: Option<Vec<String>> = match fields.get(key) {
        Some(Value::String(text)) => Some(text.split_whitespace().map(str::to_owned).collect()),
        Some(Value::Array(list)) => list.iter().map(word).collect(),
        _ => None,
    };
    words
        .filter(|words| !words.is_empty())
        .ok_or_else(|| invalid(format!("{key}: words are needed")))
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn paths(fields: &Map<String, Value>, key: &str) -> Result<Vec<PathBuf>, Error> {
    match fields.get(key) {
        None => Ok(Vec::new()),
        Some(Value::String(path)) => Ok(vec![path.into()]),
        Some(Value::Array(list)) => list
            .iter()
            .map(|path| path.as_str().map(PathBuf::from))
            .collect::<Option<_>>()
            .ok_or_else(|| invalid(format!("{key}: paths are needed"))),
        Some(_) => Err(invalid(format!("{key}: paths are needed"))),
    }
}
