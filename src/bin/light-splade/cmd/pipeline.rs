//! `pipeline`: commands of this tool one after another, each skipped while nothing changed that it
//! depends on, and a report of them all.

mod plan;
mod record;
mod report;
mod step;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::args::PipelineArgs;
use crate::interrupt::{self, Interrupted};
use crate::progress::{clock, say};
use plan::{Pipeline, Step};
use record::Record;

pub(crate) fn run(args: &PipelineArgs) -> Result<()> {
    let pipeline = Pipeline::read(&args.file, &args.overrides)?;
    for name in args.again.iter().chain(&args.until) {
        if !pipeline.steps.iter().any(|step| step.name == *name) {
            bail!("there is no step {name:?} in {}", args.file.display());
        }
    }
    pipeline.check_inputs()?;
    if args.dry_run {
        return dry_run(&pipeline, args);
    }
    let folder = pipeline.work.join("steps");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    interrupt::listen()?;
    let count = pipeline.steps.len();
    let mut records = Vec::new();
    for (index, step) in pipeline.steps.iter().enumerate() {
        let place = format!("step {} of {count}, {}", index + 1, step.name);
        let now = Record::of(step)?;
        let before = Record::read(&folder, &step.name)?;
        let record = match (reason(step, before.as_ref(), &now, args)?, before) {
            (None, Some(before)) => {
                say(&format!("{place}: unchanged"));
                before
            }
            (reason, before) => {
                say(&format!("{place}: {}", reason.unwrap_or_default()));
                let command = || format!("{place}: light-splade {}", step.command.join(" "));
                let record = make(step, before, now, &folder).map_err(|error| {
                    if error.is::<Interrupted>() { error } else { error.context(command()) }
                })?;
                say(&format!("{place}: done in {}", clock(record.seconds)));
                record
            }
        };
        records.push((step, record));
        report::write(&pipeline, &records)?;
        if interrupt::asked() {
            return Err(Interrupted("the same command goes on from here".to_owned()).into());
        }
        if args.until.as_ref() == Some(&step.name) {
            break;
        }
    }
    say(&format!("{} is written", pipeline.report().display()));
    Ok(())
}

/// Runs a step anew, or goes on with it if it was begun and nothing changed since.
fn make(step: &Step, before: Option<Record>, mut now: Record, folder: &Path) -> Result<Record> {
    let begun =
        before.as_ref().filter(|before| !before.is_done() && before.difference(&now).is_none());
    let goes_on = begun.is_some();
    match begun {
        Some(begun) => now.add(begun.seconds, begun.peak_mib),
        None if before.is_some() => step::move_aside(step)?,
        None => {}
    }
    step::run(step, now, goes_on, folder)
}

/// Why a step has to run; nothing if it need not.
fn reason(
    step: &Step,
    before: Option<&Record>,
    now: &Record,
    args: &PipelineArgs,
) -> Result<Option<String>> {
    let Some(before) = before else { return Ok(Some("running".to_owned())) };
    if let Some(what) = before.difference(now) {
        return Ok(Some(format!("running, {what} changed")));
    }
    if !before.is_done() {
        return Ok(Some("going on".to_owned()));
    }
    if args.again.contains(&step.name) {
        return Ok(Some("running again, as asked".to_owned()));
    }
    let changed = before.changed_output(step)?;
    Ok(changed.map(|what| format!("running, {what} changed")))
}

/// Outputs of steps that would run count as changed.
fn dry_run(pipeline: &Pipeline, args: &PipelineArgs) -> Result<()> {
    let folder = pipeline.work.join("steps");
    let mut made: Vec<&Path> = Vec::new();
    for step in &pipeline.steps {
        let after =
            step.inputs.iter().find(|input| made.iter().any(|made| input.starts_with(made)));
        let reason = match after {
            Some(input) => Some(format!("running, {} is made anew", input.display())),
            None => {
                let before = Record::read(&folder, &step.name)?;
                reason(step, before.as_ref(), &Record::of(step)?, args)?
            }
        };
        if reason.is_some() {
            made.extend(step.outputs.iter().map(|path| path.as_path()));
        }
        say(&format!("{}: {}", step.name, reason.as_deref().unwrap_or("unchanged")));
        say(&format!("  light-splade {}", step.command.join(" ")));
        if args.until.as_ref() == Some(&step.name) {
            break;
        }
    }
    Ok(())
}
