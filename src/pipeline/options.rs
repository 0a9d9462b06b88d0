//! The settings of [`run_pipeline`](crate::pipelines::run_pipeline).

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

/// Checks a command and returns the settings that are not in the command itself, such as configs of
/// training as they are composed. A message says what is wrong with a command.
pub type CommandSettings = fn(command: &[String]) -> Result<Value, String>;

/// Settings of [`run_pipeline`](crate::pipelines::run_pipeline).
///
/// ```
/// use light_splade::pipelines::{PipelineOptions, run_pipeline};
///
/// let folder = tempfile::tempdir()?;
/// let at = folder.path().display();
/// let file = folder.path().join("pipeline.yaml");
/// let step = format!("{{name: inspect, run: inspect, stdout: {at}/model.txt}}");
/// std::fs::write(&file, format!("work: {at}/work\nsteps:\n  - {step}\n"))?;
/// // Says which steps would run, and runs none.
/// let options = PipelineOptions { file, dry_run: true, ..PipelineOptions::default() };
/// let report = run_pipeline(&options, &mut ())?;
/// assert_eq!(report.steps.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PipelineOptions {
    /// The pipeline: YAML with a work folder and steps.
    pub file: PathBuf,
    /// Changes of its values, as Hydra has them: `a.b=c`, `+a.b=c`, `~a.b`.
    pub overrides: Vec<String>,
    /// The program that runs the steps; `light-splade` as the shell finds it by default.
    pub program: PathBuf,
    /// Checks each command before anything runs; by default every command passes, and what it reads
    /// from configs is not compared.
    pub settings: CommandSettings,
    /// Tells which steps would run, and why, and does nothing.
    pub dry_run: bool,
    /// The names of steps that run though nothing changed.
    pub again: Vec<String>,
    /// The name of the last step that runs.
    pub until: Option<String>,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            file: PathBuf::new(),
            overrides: Vec::new(),
            program: "light-splade".into(),
            settings: |_| Ok(Value::String(String::new())),
            dry_run: false,
            again: Vec::new(),
            until: None,
        }
    }
}

impl fmt::Debug for PipelineOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineOptions")
            .field("file", &self.file)
            .field("overrides", &self.overrides)
            .field("program", &self.program)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}
