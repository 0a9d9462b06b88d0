//! `train`: runs that are described by configs.

mod prepare;
mod show;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use splade_train::config::{ComposeOptions, Composed, Config, ResumeFrom, compose, sweep};
use splade_train::trainer::{Outcome, Trainer};

use crate::args::TrainArgs;
use crate::interrupt::{self, Interrupted};
use crate::output;
use crate::progress::say;
use show::Show;

/// A run before it is made.
struct Job {
    composed: Composed,
    config: Config,
    notes: Vec<String>,
}

pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    let options = ComposeOptions::new(&args.config_dir, &args.config_name, args.overrides.clone());
    if args.cfg.is_some() {
        return output::print(&compose(&options)?.to_yaml());
    }
    let jobs = jobs(args, &options)?;
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build_global().context("cannot start the threads")?;
    }
    interrupt::listen()?;
    let count = jobs.len();
    for (number, job) in jobs.into_iter().enumerate() {
        if count > 1 && !args.quiet {
            say(&format!("job {} of {count}: {}", number + 1, job.composed.overrides().join(" ")));
        }
        job.run(args)?;
    }
    Ok(())
}

/// All jobs, read and checked: none starts if one of them is wrong.
fn jobs(args: &TrainArgs, options: &ComposeOptions) -> Result<Vec<Job>> {
    if !args.multirun {
        return Ok(vec![Job::read(compose(options)?, args.resume)?]);
    }
    let mut folders = HashSet::new();
    let mut jobs = Vec::new();
    for (overrides, composed) in sweep(options)? {
        let job = Job::read(composed, false)
            .with_context(|| format!("in the job of {}", overrides.join(" ")))?;
        if !folders.insert(job.config.training.output_dir.clone()) {
            bail!(
                "two jobs have the same training.output_dir, {}\nhint: give each its own: \
                 'training.output_dir=${{hydra:runtime.output_dir}}'",
                job.config.training.output_dir.display()
            );
        }
        jobs.push(job);
    }
    Ok(jobs)
}

impl Job {
    fn read(composed: Composed, resume: bool) -> Result<Self> {
        let (mut config, notes) = Config::from_value(&composed.value()?)?;
        if resume && config.training.resume_from_checkpoint.is_none() {
            config.training.resume_from_checkpoint = Some(ResumeFrom::Last);
        }
        Ok(Self { composed, config, notes })
    }

    fn run(self, args: &TrainArgs) -> Result<()> {
        let Self { composed, config, notes } = self;
        let mut show = Show::new(args.quiet, config.training.disable_tqdm);
        for note in &notes {
            show.note(&format!("note: {note}"));
        }
        let output = config.training.output_dir.clone();
        let options = prepare::options(config, args.dashboard, &mut show)?;
        let mut trainer = Trainer::new(options)?;
        record(&composed)?;
        let outcome = trainer.run(&mut show);
        show.clear();
        match outcome? {
            Outcome::Finished(results) => {
                show.results(&results);
                Ok(())
            }
            Outcome::Stopped(checkpoint) => {
                Err(Interrupted(how_to_go_on(args, &output, &checkpoint)).into())
            }
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
fn how_to_go_on(args: &TrainArgs, output: &Path, checkpoint: &Path) -> String {
    let others = args.overrides.iter().filter(|text| !text.contains("training.output_dir="));
    let others: Vec<String> = others.map(|text| format!(" '{text}'")).collect();
    format!(
        "{} is written; to go on:\n  light-splade train --config-dir {} --config-name {}{} \
         'training.output_dir={}' --resume",
        checkpoint.display(),
        args.config_dir.display(),
        args.config_name,
        others.concat(),
        output.display()
    )
}
