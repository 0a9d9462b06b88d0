//! Commands of the program one after another, each skipped while nothing changed that it depends on,
//! and a page about them all.
//!
//! A step is a process of its own. What it depends on and made is kept in `steps/NAME.json` of the
//! work folder from its start; its messages are in `steps/NAME.log`. One pipeline at a time uses a
//! work folder ([`lock`]), and a step does not outlive the pipeline that started it ([`step`]).

mod lock;
mod machine;
mod options;
mod plan;
mod record;
mod report;
mod step;
mod time;

use std::path::{Path, PathBuf};

use splade_io::{Event, Observer};

use crate::error::{Error, invalid};
use lock::Lock;
use plan::{Pipeline, Step};
use record::Record;
use report::{Row, State};

pub use options::{CommandSettings, PipelineOptions};
pub use time::clock;

/// What [`run_pipeline`] did.
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
/// assert!(report.page.is_none() && report.steps.len() == 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct PipelineReport {
    /// The steps in their order, up to the last one that was looked at.
    pub steps: Vec<PipelineStep>,
    /// The page about all steps; none for a dry run.
    pub page: Option<PathBuf>,
}

/// What became of a step.
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
/// let step = &report.steps[0];
/// assert_eq!((step.name.as_str(), step.seconds), ("inspect", 0.0));
/// assert!(step.reason.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PipelineStep {
    /// The name of the step.
    pub name: String,
    /// Why the step ran, or would run; none where nothing changed.
    pub reason: Option<String>,
    /// The seconds that the step took, now or when it ran last; 0 in a dry run.
    pub seconds: f64,
    /// The largest resident set of its process in MiB, where the system tells.
    pub peak_mib: Option<f64>,
}

/// Runs the steps of a pipeline whose inputs, settings or outputs changed since they ran last.
///
/// A step that was interrupted goes on when its command has `--resume`, and otherwise begins anew;
/// what it had made under its final name is moved to `PATH.old`. A second pipeline in the same work
/// folder is refused while the first one, or a step of it, still runs.
///
/// ```
/// use light_splade::pipelines::{PipelineOptions, run_pipeline};
///
/// let folder = tempfile::tempdir()?;
/// let at = folder.path().display();
/// let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/corpus.jsonl");
/// let file = folder.path().join("pipeline.yaml");
/// let steps = format!("steps:\n  - {{name: encode, run: encode {corpus}, stdout: {at}/vectors}}\n");
/// std::fs::write(&file, format!("work: {at}/work\n{steps}"))?;
/// let options = PipelineOptions { file, dry_run: true, ..PipelineOptions::default() };
/// let report = run_pipeline(&options, &mut ())?;
/// assert_eq!(report.steps[0].reason.as_deref(), Some("running"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the file is not a sound pipeline, another one uses its work folder, a step fails or does not
/// make its outputs, or the observer asks to stop; then the same call goes on with that step.
pub fn run_pipeline(
    options: &PipelineOptions,
    observer: &mut dyn Observer,
) -> Result<PipelineReport, Error> {
    let pipeline = Pipeline::read(options)?;
    for name in options.again.iter().chain(&options.until) {
        if !pipeline.steps.iter().any(|step| step.name == *name) {
            return Err(invalid(format!(
                "there is no step {name:?} in {}",
                options.file.display()
            )));
        }
    }
    pipeline.check_inputs()?;
    if options.dry_run {
        return dry_run(&pipeline, options, observer);
    }
    let folder = pipeline.work.join("steps");
    std::fs::create_dir_all(&folder).map_err(Error::io("make", &folder))?;
    let mut lock = Lock::take(&folder, &pipeline.work)?;
    let mut report = PipelineReport { page: Some(pipeline.report()), ..PipelineReport::default() };
    let count = pipeline.steps.len();
    let row = |step| Row { step, state: State::Waiting, record: None };
    let mut rows: Vec<Row<'_>> = pipeline.steps.iter().map(row).collect();
    for (index, step) in pipeline.steps.iter().enumerate() {
        let place = format!("step {} of {count}, {}", index + 1, step.name);
        let now = Record::of(step)?;
        let before = Record::read(&folder, &step.name)?;
        let reason = reason(step, before.as_ref(), &now, options)?;
        let record = match (&reason, before) {
            (None, Some(before)) => {
                observer.event(Event::Note(&format!("{place}: unchanged")));
                before
            }
            (reason, before) => {
                let why = reason.as_deref().unwrap_or_default();
                observer.event(Event::Note(&format!("{place}: {why}")));
                let doing = format!("{place}: light-splade {}", step.command.join(" "));
                let mut run = step::Run {
                    step,
                    program: &options.program,
                    folder: &folder,
                    lock: &mut lock,
                    observer,
                };
                rows[index].state = State::Running;
                report::write(&pipeline, &rows)?;
                let record = match make(&mut run, before, now) {
                    Ok(record) => record,
                    Err(error) => {
                        rows[index].state = match &error {
                            Error::Stopped { .. } => State::Stopped,
                            error => State::Failed(error.to_string()),
                        };
                        rows[index].record = Record::read(&folder, &step.name)?;
                        report::write(&pipeline, &rows)?;
                        return Err(Error::during(doing)(error));
                    }
                };
                let took = splade_page::duration(record.seconds);
                observer.event(Event::Note(&format!("{place}: done in {took}")));
                record
            }
        };
        rows[index].state = if reason.is_some() { State::Done } else { State::Unchanged };
        report.steps.push(PipelineStep {
            name: step.name.clone(),
            reason,
            seconds: record.seconds,
            peak_mib: record.peak_mib,
        });
        rows[index].record = Some(record);
        report::write(&pipeline, &rows)?;
        if observer.stop() {
            return Err(Error::Stopped { kept: "the same command goes on from here".to_owned() });
        }
        if options.until.as_ref() == Some(&step.name) {
            break;
        }
    }
    observer.event(Event::Note(&format!("{} is written", pipeline.report().display())));
    Ok(report)
}

/// Runs a step anew, or goes on with it if it was begun and nothing changed since.
fn make(run: &mut step::Run<'_>, before: Option<Record>, mut now: Record) -> Result<Record, Error> {
    let step = run.step;
    let had_record = before.is_some();
    let begun = before.filter(|before| !before.is_done() && before.difference(&now).is_none());
    let goes_on = begun.is_some();
    match begun {
        Some(begun) => {
            now.add(begun.seconds, begun.peak_mib);
            now.began_empty = begun.began_empty;
            // The pipeline was killed after the command had ended and before that was recorded.
            if begun.began_empty && step.has_all_files() {
                return run.record_done(now);
            }
            if !step.resumes() {
                step::move_finished_aside(step)?;
            }
        }
        None if had_record => step::move_aside(step)?,
        // What is there was made by somebody else, or its record is lost.
        None if !step.resumes() => step::move_finished_aside(step)?,
        None => step::move_stdout_aside(step)?,
    }
    if !goes_on {
        now.began_empty = step.has_no_output();
    }
    run.run(now, goes_on)
}

/// Why a step has to run; nothing if it need not.
fn reason(
    step: &Step,
    before: Option<&Record>,
    now: &Record,
    options: &PipelineOptions,
) -> Result<Option<String>, Error> {
    let Some(before) = before else { return Ok(Some("running".to_owned())) };
    if let Some(what) = before.difference(now) {
        return Ok(Some(format!("running, {what} changed")));
    }
    if !before.is_done() {
        return Ok(Some("going on".to_owned()));
    }
    if options.again.contains(&step.name) {
        return Ok(Some("running again, as asked".to_owned()));
    }
    let changed = before.changed_output(step)?;
    Ok(changed.map(|what| format!("running, {what} changed")))
}

/// Outputs of steps that would run count as changed.
fn dry_run(
    pipeline: &Pipeline,
    options: &PipelineOptions,
    observer: &mut dyn Observer,
) -> Result<PipelineReport, Error> {
    let folder = pipeline.work.join("steps");
    let mut made: Vec<&Path> = Vec::new();
    let mut report = PipelineReport::default();
    for step in &pipeline.steps {
        let after =
            step.inputs.iter().find(|input| made.iter().any(|made| input.starts_with(made)));
        let reason = match after {
            Some(input) => Some(format!("running, {} is made anew", input.display())),
            None => {
                let before = Record::read(&folder, &step.name)?;
                reason(step, before.as_ref(), &Record::of(step)?, options)?
            }
        };
        if reason.is_some() {
            made.extend(step.outputs.iter().map(|path| path.as_path()));
        }
        let why = reason.as_deref().unwrap_or("unchanged");
        observer.event(Event::Note(&format!("{}: {why}", step.name)));
        observer.event(Event::Note(&format!("  light-splade {}", step.command.join(" "))));
        let (name, seconds, peak_mib) = (step.name.clone(), 0.0, None);
        report.steps.push(PipelineStep { name, reason, seconds, peak_mib });
        if options.until.as_ref() == Some(&step.name) {
            break;
        }
    }
    Ok(report)
}
