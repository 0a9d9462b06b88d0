//! Reads a pipeline and checks it before anything runs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use hydra_compose::settings::{
    Fields, Kind, Problem, SettingError, Settings, Written, optional, required_text, text, texts,
};
use hydra_compose::{ComposeOptions, compose, settings};
use serde_json::Value;

use super::options::{CommandSettings, PipelineOptions};
use crate::error::{Error, advised, invalid};

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
        let work = work.ok_or_else(|| {
            SettingError::of("work", Problem::Missing)
                .with_remedy("name the folder of the pipeline")
        })?;
        let steps = value["steps"].as_array();
        let steps = steps.ok_or_else(|| {
            SettingError::of("steps", Problem::Missing).with_remedy("list the steps")
        })?;
        let mut steps: Vec<Step> = steps
            .iter()
            .enumerate()
            .map(|(i, step)| Step::from_value(step, format!("steps.{i}"), settings))
            .collect::<Result<_, Error>>()?;
        let mut names = HashSet::new();
        for step in &steps {
            if !names.insert(&step.name) {
                let rule = format!("two steps are called {:?}", step.name);
                return Err(SettingError::new("steps", rule).into());
            }
        }
        if steps.is_empty() {
            return Err(SettingError::new("steps", "there is none").into());
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
                    let (step, input) = (&step.name, input.display());
                    return Err(advised(
                        format!("step {step}: there is no {input}, and no earlier step makes it"),
                        "paths count from the working directory",
                    ));
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
    fn from_value(value: &Value, at: String, settings: CommandSettings) -> Result<Self, Error> {
        let mut fields = Fields::new(at, Some(value))?;
        let step = StepSettings::read(&mut fields)?;
        let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if step.name.starts_with('.') || !step.name.chars().all(is_plain) {
            let rule = format!("{:?} must be letters, digits, -, _ and .", step.name);
            let remedy = "choose another name; it is also the name of files";
            return Err(fields.error("name", rule).with_remedy(remedy).into());
        }
        let mut outputs = step.outputs;
        outputs.extend(step.stdout.clone());
        if outputs.is_empty() {
            let rule = "a step must make something: its outputs decide whether it is skipped";
            return Err(fields.error("outputs", rule).into());
        }
        let run = fields.path("run");
        fields.finish()?;
        let settings = settings(&step.run).map_err(|rule| SettingError::new(run, rule))?;
        Ok(Self {
            name: step.name,
            command: step.run,
            inputs: step.inputs,
            outputs,
            stdout: step.stdout,
            metrics: step.metrics,
            logs: step.logs,
            settings,
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

    /// Files that the command names (`FILE` or `key=FILE`) are inputs as well, unless it makes them. A
    /// config is none: its settings are compared. Those that earlier steps make, `made`, need not be
    /// there yet.
    fn add_named_inputs(&mut self, made: &[PathBuf]) {
        let is_in =
            |path: &Path, folders: &[PathBuf]| folders.iter().any(|one| path.starts_with(one));
        let words = self.command.iter().map(|word| match word.split_once('=') {
            Some((_, path)) => Path::new(path),
            None => Path::new(word),
        });
        let has_settings = self.settings.as_str().is_none_or(|settings| !settings.is_empty());
        let is_config =
            |path: &Path| has_settings && path.extension().is_some_and(|ending| ending == "yaml");
        let named = words.filter(|path| (path.is_file() || is_in(path, made)) && !is_config(path));
        self.inputs.extend(named.filter(|path| !is_in(path, &self.outputs)).map(Path::to_path_buf));
        self.inputs.sort();
        self.inputs.dedup();
    }
}

settings! {
    /// A step as it stands in the file.
    struct StepSettings {
        name: String = required_text();
        run: Vec<String> = Words;
        inputs: Vec<PathBuf> = texts().or(Vec::new());
        outputs: Vec<PathBuf> = texts().or(Vec::new());
        stdout: Option<PathBuf> = optional(text());
        metrics: Vec<PathBuf> = texts().or(Vec::new());
        logs: Vec<PathBuf> = texts().or(Vec::new());
    }
}

/// The kind of a command: a list of words and numbers, or a text that is split at white space.
struct Words;

impl Kind<Vec<String>> for Words {
    fn unset(&self) -> Vec<String> {
        Vec::new()
    }

    fn read(
        &self,
        fields: &mut Fields<'_>,
        name: &'static str,
    ) -> Result<Vec<String>, SettingError> {
        let Some(value) = fields.value(name) else { return Err(fields.missing(name)) };
        let words: Option<Vec<String>> = match value {
            Value::String(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
            Value::Array(list) => list.iter().map(word).collect(),
            _ => None,
        };
        words
            .filter(|words| !words.is_empty())
            .ok_or_else(|| fields.wrong_type(name, value, "the words of a command"))
    }

    fn write(&self, name: &'static str, value: &Vec<String>, written: &mut Written) {
        written.set(name, value.as_slice().into());
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
