//! What a step depends on and made, kept in `steps/NAME.json` from its start.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::plan::Step;
use crate::output::Output;
use crate::stamp::stamp;

/// A step that is done, or was begun.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Record {
    /// Of this tool.
    version: String,
    command: Vec<String>,
    settings: String,
    /// Stamps of files and folders.
    inputs: BTreeMap<String, String>,
    /// None until it is done.
    outputs: Option<BTreeMap<String, String>>,
    /// How long it took, the parts of a step that was interrupted together.
    pub(super) seconds: f64,
    /// The largest resident set of its processes, where the system tells.
    pub(super) peak_mib: Option<f64>,
}

impl Record {
    /// The step as it would begin now.
    pub(super) fn of(step: &Step) -> Result<Self> {
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: step.command.clone(),
            settings: step.settings.clone(),
            inputs: stamps(&step.inputs)?,
            ..Self::default()
        })
    }

    /// Counts the time and the memory of a part of the step.
    pub(super) fn add(&mut self, seconds: f64, peak_mib: Option<f64>) {
        self.seconds += seconds;
        self.peak_mib = self.peak_mib.into_iter().chain(peak_mib).reduce(f64::max);
    }

    /// The step as it is when it is done.
    pub(super) fn done(self, step: &Step) -> Result<Self> {
        Ok(Self { outputs: Some(stamps(&step.outputs)?), ..self })
    }

    pub(super) fn is_done(&self) -> bool {
        self.outputs.is_some()
    }

    /// What the step depends on that is not as it was, or nothing.
    pub(super) fn difference(&self, now: &Self) -> Option<String> {
        if self.version != now.version {
            return Some("the version of light-splade".to_owned());
        }
        if self.command != now.command {
            return Some("the command".to_owned());
        }
        if self.settings != now.settings {
            return Some("the config".to_owned());
        }
        let changed = |path: &&String| self.inputs.get(*path) != now.inputs.get(*path);
        self.inputs.keys().chain(now.inputs.keys()).find(changed).cloned()
    }

    /// An output that is not as the step left it, or nothing.
    pub(super) fn changed_output(&self, step: &Step) -> Result<Option<String>> {
        let now = stamps(&step.outputs)?;
        let before = self.outputs.iter().flatten();
        Ok(before
            .filter(|(path, stamp)| now.get(*path) != Some(*stamp))
            .map(|(path, _)| path)
            .next()
            .cloned())
    }

    pub(super) fn read(folder: &Path, name: &str) -> Result<Option<Self>> {
        let path = path(folder, name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        // A record that cannot be read is as good as none: the step runs again.
        Ok(serde_json::from_str(&text).ok().and_then(|value: Value| Self::from_json(&value)))
    }

    pub(super) fn write(&self, folder: &Path, name: &str) -> Result<()> {
        let value = json!({
            "version": self.version,
            "command": self.command,
            "settings": self.settings,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "seconds": self.seconds,
            "peak_mib": self.peak_mib,
        });
        let mut output = Output::create(Some(&path(folder, name)))?;
        output.write(format!("{value:#}\n").as_bytes())?;
        output.finish()
    }

    fn from_json(value: &Value) -> Option<Self> {
        let stamps = |key: &str| -> Option<BTreeMap<String, String>> {
            let object = value[key].as_object()?.iter();
            object.map(|(path, stamp)| Some((path.clone(), stamp.as_str()?.to_owned()))).collect()
        };
        let command = value["command"].as_array()?.iter();
        Some(Self {
            version: value["version"].as_str()?.to_owned(),
            command: command.map(|word| word.as_str().map(str::to_owned)).collect::<Option<_>>()?,
            settings: value["settings"].as_str()?.to_owned(),
            inputs: stamps("inputs")?,
            outputs: if value["outputs"].is_null() { None } else { Some(stamps("outputs")?) },
            seconds: value["seconds"].as_f64()?,
            peak_mib: value["peak_mib"].as_f64(),
        })
    }
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

fn stamps(paths: &[PathBuf]) -> Result<BTreeMap<String, String>> {
    let stamp = |path: &PathBuf| Ok((path.display().to_string(), stamp(path)?));
    paths.iter().map(stamp).collect()
}
