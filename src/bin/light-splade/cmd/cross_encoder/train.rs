//! `cross-encoder train`.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use splade_model::cross_encoder::PairTokenizer;
use splade_train::teacher::{
    TeacherBeginning, TeacherConfig, TeacherData, TeacherEngine, TeacherEvent, TeacherOutcome,
    TeacherTrainer, TeacherWatch, prepare, started,
};

use crate::args::TeacherTrainArgs;
use crate::interrupt::{self, Interrupted};
use crate::progress::{clock, say};

/// Between two plain lines where standard error is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub(crate) fn run(args: &TeacherTrainArgs) -> Result<()> {
    let args = &args.run;
    let config = TeacherConfig::from_value(&super::config(args)?)?;
    super::begin(args)?;
    let mut show = Show { quiet: args.quiet, bar: None, last_line: None };
    let output = config.output_path.clone();
    let resumes = match prepare(&config, args.resume)? {
        TeacherBeginning::Finished => {
            show.note(&format!(
                "nothing is to be done: {} has the last model of this run",
                config.final_output_path.display()
            ));
            return Ok(());
        }
        TeacherBeginning::Continued(checkpoint) => {
            show.note(&format!("going on from {}", checkpoint.display()));
            true
        }
        TeacherBeginning::New if args.resume => {
            show.note(&format!(
                "there is no checkpoint in {}: beginning at the start",
                output.display()
            ));
            false
        }
        TeacherBeginning::New => false,
    };
    if config.limits.queries_may_fill_pairs() {
        show.warn("max_query_len is no limit: a long query may leave no room for its document");
    }
    let data = TeacherData::open(&config)?;
    data.warnings().iter().for_each(|warning| show.warn(warning));
    if let Some(positives) = data.positives() {
        show.note(&format!("{} pairs, {positives} of them positive", data.len()));
    }
    let model = super::super::folder(Path::new(&config.model_path))?;
    let what = || format!("cannot load the model {}", model.display());
    let (folder, new) = started(&model, config.num_labels, config.seed, &output.join("start"))
        .with_context(what)?;
    if new {
        show.note("the model has no classifier: a new one is drawn by the seed");
    }
    let (length, dictionary) = (config.limits.max_token_len, config.mecab_dicdir.clone());
    let tokenizer = PairTokenizer::open(&folder, Some(length), dictionary).with_context(what)?;
    let engine = TeacherEngine::load(&folder).with_context(what)?;
    let last = config.final_output_path.clone();
    let warmup = config.warmup_steps;
    let mut trainer = TeacherTrainer::new(config, data, tokenizer, engine, resumes)?;
    if warmup >= trainer.steps() {
        show.warn(&format!(
            "warmup_steps: {warmup} are not fewer than the run's {}: the learning rate never \
             reaches its height",
            trainer.steps()
        ));
    }
    let outcome = trainer.run(&mut show);
    show.clear();
    match outcome? {
        TeacherOutcome::Finished { steps, best } => {
            let best = match best {
                Some((best, step)) => format!("the best of step {step}, {best:.4}"),
                None => "the same, as nothing was measured".to_owned(),
            };
            show.note(&format!(
                "{steps} steps; the last model is in {}, in {} {best}",
                last.display(),
                output.display()
            ));
            if new {
                let start = output.join("start");
                std::fs::remove_dir_all(&start)
                    .with_context(|| format!("cannot delete {}", start.display()))?;
            }
            Ok(())
        }
        TeacherOutcome::Stopped(checkpoint) => Err(Interrupted(format!(
            "{} is written; {}",
            checkpoint.display(),
            super::how_to_go_on("train", args, "")
        ))
        .into()),
    }
}

/// A run as the person sees it.
struct Show {
    quiet: bool,
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl Show {
    fn note(&self, text: &str) {
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    /// Said even if nothing else is: the run may be in vain.
    fn warn(&self, text: &str) {
        let text = format!("warning: {text}");
        match &self.bar {
            Some(bar) => bar.suspend(|| say(&text)),
            None => say(&text),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl TeacherWatch for Show {
    fn event(&mut self, event: TeacherEvent<'_>) {
        match event {
            TeacherEvent::Begin { groups, steps, done } => {
                let before =
                    if done > 0 { format!(", {done} of them made before") } else { String::new() };
                self.note(&format!("{groups} samples an epoch, {steps} steps{before}"));
                if !self.quiet && std::io::stderr().is_terminal() {
                    let bar = ProgressBar::new(steps).with_position(done);
                    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}");
                    self.bar = Some(match style {
                        Ok(style) => bar.with_style(style),
                        Err(_) => bar,
                    });
                }
            }
            TeacherEvent::Step { step, steps, loss, tokens_per_second, seconds_left } => {
                let rates = format!(
                    "loss {loss:.4}, {tokens_per_second:.0} tokens/s, {} left",
                    clock(seconds_left)
                );
                if let Some(bar) = &self.bar {
                    bar.set_position(step);
                    bar.set_message(rates);
                } else if step == steps
                    || self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY)
                {
                    self.last_line = Some(Instant::now());
                    self.note(&format!("step {step} of {steps}: {rates}"));
                }
            }
            TeacherEvent::Evaluated { step, metrics, best } => self.note(&format!(
                "step {step}: mrr@10 {:.4}, ndcg@10 {:.4}, map {:.4}{}",
                metrics.mrr,
                metrics.ndcg,
                metrics.map,
                if best { ", the best so far" } else { "" }
            )),
            TeacherEvent::Saved(folder) => self.note(&format!("wrote {}", folder.display())),
            _ => {}
        }
    }

    fn stop(&mut self) -> bool {
        interrupt::asked()
    }
}
