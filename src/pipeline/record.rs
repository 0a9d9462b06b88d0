//! What a step depends on and made, kept in `steps/NAME.json` from its start.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use splade_io::write_file;

use super::plan::Step;
use crate::error::Error;
use crate::stamp::stamp;

/// The version of the form of records. Another version is as good as no record.
const FORMAT: u32 = 1;

/// A step that is done, or was begun.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The version of this form; files from before it had one are of version 1.
    #[serde(default = "first_format")]
    format: u32,
    /// The version of the program.
    version: String,
    command: Vec<String>,
    /// The settings that the command reads from configs.
    settings: Value,
    /// Stamps of files and folders.
    inputs: BTreeMap<String, String>,
    /// Stamps of what the step made; none until it is done.
    outputs: Option<BTreeMap<String, String>>,
    /// Whether no output was there when the step began: then those that are there are its own.
    #[serde(default)]
    pub(super) began_empty: bool,
    /// How long it took, the parts of a step that was interrupted together.
    pub(super) seconds: f64,
    /// The largest resident set of its processes, where the system tells.
    pub(super) peak_mib: Option<f64>,
}

fn first_format() -> u32 {
    1
}

impl Record {
    /// The step as it would begin now.
    pub(super) fn of(step: &Step) -> Result<Self, Error> {
        Ok(Self {
            format: FORMAT,
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
    pub(super) fn done(self, step: &Step) -> Result<Self, Error> {
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
    pub(super) fn changed_output(&self, step: &Step) -> Result<Option<String>, Error> {
        let now = stamps(&step.outputs)?;
        let before = self.outputs.iter().flatten();
        Ok(before
            .filter(|(path, stamp)| now.get(*path) != Some(*stamp))
            .map(|(path, _)| path)
            .next()
            .cloned())
    }

    pub(super) fn read(folder: &Path, name: &str) -> Result<Option<Self>, Error> {
        let path = path(folder, name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        // A record that cannot be read is as good as none: the step runs again.
        let record = serde_json::from_str::<Self>(&text).ok();
        Ok(record.filter(|record| record.format == FORMAT))
    }

    pub(super) fn write(&self, folder: &Path, name: &str) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self)
            .expect("a record has string keys only: this is a bug");
        Ok(write_file(&path(folder, name), (text + "\n").as_bytes())?)
    }
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

fn stamps(paths: &[PathBuf]) -> Result<BTreeMap<String, String>, Error> {
    let stamp = |path: &PathBuf| Ok((path.display().to_string(), stamp(path)?));
    paths.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of earlier versions of the program, which had no number of their form.
    #[test]
    fn records_without_a_format_are_read_and_newer_ones_are_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |text: &str| fs::write(path(dir.path(), "a"), text).expect("written");
        let old = r#""version":"0.1.0","command":["encode"],"settings":"","inputs":{"x":"none"},
            "outputs":null,"seconds":1.5,"peak_mib":null}"#;
        write(&format!("{{{old}"));
        let record = Record::read(dir.path(), "a").expect("read").expect("a record");
        assert!(!record.is_done() && !record.began_empty && record.seconds == 1.5);
        record.write(dir.path(), "a").expect("written");
        let again = Record::read(dir.path(), "a").expect("read");
        assert_eq!(again, Some(record));
        write(&format!("{{\"format\":2,{old}"));
        assert_eq!(Record::read(dir.path(), "a").expect("read"), None);
        write("{");
        assert_eq!(Record::read(dir.path(), "a").expect("read"), None);
    }
}
