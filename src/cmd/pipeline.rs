//! `pipeline`: commands of this tool one after another, each skipped while nothing changed that it
//! depends on, and a report of them all.

mod plan;
mod record;
mod report;
mod step;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::args::PipelineArgs;
use crate::interrupt;
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
                let goes_on =
                    |before: Record| !before.is_done() && before.difference(&now).is_none();
                if !before.is_none_or(goes_on) {
                    step::move_aside(step)?;
                }
                let record = step::run(step, now, &folder)
                    .with_context(|| format!("{place}: light-splade {}", step.command.join(" ")))?;
                say(&format!("{place}: done in {}", clock(record.seconds)));
                record
            }
        };
        records.push((step, record));
        report::write(&pipeline, &records)?;
        if args.until.as_ref() == Some(&step.name) {
            break;
        }
    }
    say(&format!("{} is written", pipeline.report().display()));
    Ok(())
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
