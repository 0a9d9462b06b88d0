//! Runs that are described by configs: composed, checked, recorded and made, one or a sweep.

mod sweep;
mod terminal;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hydra_compose::{ComposeOptions, Composed, compose, sweep};
use serde_json::Value;
use splade_io::Observer;
use splade_train::config::{ResumeFrom, TrainingConfig};
use splade_train::{Outcome, Ready, Results, SourceError, TrainError};

use super::advised;
use crate::args::TrainArgs;
use crate::closing;
use crate::interrupt::{self, Interrupted};
use crate::log::say;
use crate::output;
use crate::quoting::quoted;
pub(super) use terminal::{Kind, Terminal};

/// The settings of one kind of run.
pub(super) trait Run: Sized {
    /// The command's name.
    const COMMAND: &'static str;
    /// Reads settings, with what is to be said once about them.
    fn read(value: &Value) -> Result<(Self, Vec<String>), TrainError>;
    /// The command that comes after a run whose model is in this folder.
    fn next(&self, config: &Value, model: &Path) -> String;
    /// The settings that all kinds have.
    fn training(&mut self) -> &mut TrainingConfig;
    /// Prepares the run, calls `ready` when nothing is wrong, and makes its steps.
    fn make(&self, how: &Making<'_>, observer: &mut dyn Observer) -> Result<Outcome, TrainError>;
}

/// How a run is made, besides its settings.
pub(super) struct Making<'a> {
    /// The name of the config.
    pub(super) name: &'a str,
    /// The port of the live page.
    pub(super) dashboard: Option<u16>,
    /// Called when nothing is wrong, before the first step.
    pub(super) ready: &'a Ready<'a>,
}

/// Returns the folder of a model as every command finds it.
pub(super) fn resolve(name: &str) -> Result<PathBuf, SourceError> {
    Ok(super::folder(Path::new(name))?)
}

/// A run before it is made.
struct Job<R> {
    composed: Composed,
    config: R,
    notes: Vec<String>,
}

/// Makes the runs that were asked for.
pub(super) fn run<R: Run>(args: &TrainArgs) -> Result<()> {
    let options = args.config.options();
    if args.cfg.is_some() {
        return output::print(&compose(&options)?.to_yaml());
    }
    let jobs = jobs::<R>(args, &options)?;
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build_global().context("cannot start the threads")?;
    }
    interrupt::listen()?;
    let count = jobs.len();
    let mut done = Vec::new();
    for (number, job) in jobs.into_iter().enumerate() {
        let overrides = job.composed.overrides().to_vec();
        if count > 1 {
            say(&format!("job {} of {count}: {}", number + 1, overrides.join(" ")));
        }
        done.push((overrides, job.run(args)?));
    }
    if args.multirun {
        sweep::tell(&done)?;
    }
    Ok(())
}

/// All jobs, read and checked: none starts if one of them is wrong.
fn jobs<R: Run>(args: &TrainArgs, options: &ComposeOptions) -> Result<Vec<Job<R>>> {
    if !args.multirun {
        return Ok(vec![Job::read(compose(options)?, args.resume)?]);
    }
    let mut folders = HashSet::new();
    let mut jobs = Vec::new();
    for (overrides, composed) in sweep(options)? {
        let mut job = Job::<R>::read(composed, false)
            .with_context(|| format!("in the job of {}", overrides.join(" ")))?;
        let output = job.config.training().output_dir.clone();
        if !folders.insert(output.clone()) {
            return Err(advised(
                format!("two jobs have the same training.output_dir, {}", output.display()),
                "give each its own: 'training.output_dir=${hydra:runtime.output_dir}'",
            ));
        }
        jobs.push(job);
    }
    Ok(jobs)
}

impl<R: Run> Job<R> {
    fn read(composed: Composed, resume: bool) -> Result<Self> {
        let (mut config, notes) = R::read(&composed.value()?)?;
        let training = config.training();
        if resume && training.resume_from_checkpoint.is_none() {
            training.resume_from_checkpoint = Some(ResumeFrom::Last);
        }
        Ok(Self { composed, config, notes })
    }

    fn run(self, args: &TrainArgs) -> Result<Option<Results>> {
        let Self { composed, mut config, notes } = self;
        let no_bar = config.training().disable_tqdm;
        let mut terminal = Terminal::new(Kind::Encoder, no_bar);
        for note in &notes {
            terminal.note(&format!("note: {note}"));
        }
        let output = config.training().output_dir.clone();
        let ready = || Ok(record(&composed)?);
        let name = args.config.name();
        let how = Making { name: &name, dashboard: args.dashboard, ready: &ready };
        let outcome = config.make(&how, &mut terminal);
        terminal.clear();
        let outcome = outcome.map_err(|error| match error {
            TrainError::Stopped => Interrupted("nothing was trained".to_owned()).into(),
            error => anyhow::Error::from(error),
        })?;
        match outcome {
            Outcome::Finished(results) => {
                terminal.results(&results);
                let training = config.training();
                let folder = training.final_output_dir.as_ref().unwrap_or(&training.output_dir);
                let model = folder.join("model");
                let next = config.next(&composed.value()?, &model);
                closing::made(&format!("the model {}", model.display()), Some(next));
                Ok(Some(results))
            }
            Outcome::Stopped(checkpoint) => {
                Err(Interrupted(how_to_go_on(R::COMMAND, args, &output, &checkpoint)).into())
            }
            _ => Ok(None),
        }
    }
}

/// What Hydra leaves in a run's folder: the config and what was changed in it.
fn record(composed: &Composed) -> Result<()> {
    let Some(folder) = composed.output_subdir()? else { return Ok(()) };
    let folder: PathBuf = composed.run_dir()?.join(folder);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, text) in
        [("config.yaml", composed.to_yaml()), ("overrides.yaml", composed.overrides_yaml())]
    {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The command that continues a run. The folder may have the time in its name: it is named again.
fn how_to_go_on(command: &str, args: &TrainArgs, output: &Path, checkpoint: &Path) -> String {
    format!(
        "{} is written; to go on:\n  light-splade {command} {} {} --resume",
        checkpoint.display(),
        args.config.as_typed(|text| !text.contains("training.output_dir=")),
        quoted(&format!("training.output_dir={}", output.display()))
    )
}
