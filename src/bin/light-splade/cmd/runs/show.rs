//! A run as the person sees it: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use splade_train::trainer::{Event, Progress, Results, Watch};

use crate::interrupt;
use crate::progress::{clock, say};

/// Between two plain lines where standard error is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub(in crate::cmd) struct Show {
    quiet: bool,
    /// Whether there may be a bar.
    bars: bool,
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl Show {
    pub(super) fn new(quiet: bool, no_bar: bool) -> Self {
        let bars = !quiet && !no_bar && std::io::stderr().is_terminal();
        Self { quiet, bars, bar: None, last_line: None }
    }

    /// Whether it may be said how far something is.
    pub(in crate::cmd) fn counts(&self) -> bool {
        !self.quiet
    }

    pub(in crate::cmd) fn note(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    pub(super) fn results(&mut self, results: &Results) {
        self.note(&line("trained", &results.train));
        if let Some(eval) = &results.eval {
            self.note(&line("final model", eval));
        }
    }

    fn step(&mut self, progress: &Progress) {
        if let Some(bar) = &self.bar {
            bar.set_position(progress.step);
            bar.set_message(rates(progress));
            return;
        }
        let last = progress.step == progress.total;
        if self.quiet || !(last || self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY)) {
            return;
        }
        self.last_line = Some(Instant::now());
        say(&format!("step {} of {}: {}", progress.step, progress.total, rates(progress)));
    }
}

impl Watch for Show {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Begin { plan, done, dashboard } => {
                self.note(&format!(
                    "{} samples, {} batches an epoch, {} steps{}",
                    plan.samples,
                    plan.batches,
                    plan.total,
                    if done > 0 { format!(", {done} of them made before") } else { String::new() }
                ));
                if let Some(address) = dashboard {
                    self.note(&format!("live page: http://{address}/"));
                }
                if self.bars {
                    let bar = ProgressBar::new(plan.total).with_position(done);
                    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}");
                    self.bar =
                        Some(style.map_or_else(|_| bar.clone(), |s| bar.clone().with_style(s)));
                }
            }
            Event::Step(progress) => self.step(&progress),
            Event::Evaluated { step, values } => self.note(&line(&format!("step {step}"), values)),
            Event::Saved(folder) => self.note(&format!("wrote {}", folder.display())),
            // Said even if nothing else is: the run may be in vain.
            Event::Warning(text) => {
                let text = format!("warning: {text}");
                match &self.bar {
                    Some(bar) => bar.suspend(|| say(&text)),
                    None => say(&text),
                }
            }
            Event::Note(text) => self.note(text),
            _ => {}
        }
    }

    fn stop(&mut self) -> bool {
        interrupt::asked()
    }
}

fn rates(progress: &Progress) -> String {
    if let Some(accuracy) = progress.accuracy {
        return format!(
            "loss {:.4}, accuracy {accuracy:.3}, {:.0} tokens/s, {} left",
            progress.loss,
            progress.tokens_per_second,
            clock(progress.seconds_left)
        );
    }
    format!(
        "loss {:.4}, lambda {:.1e} {:.1e}, terms {:.0} {:.0}, {:.0} tokens/s, {} left",
        progress.loss,
        progress.lambda_q,
        progress.lambda_d,
        progress.query_terms,
        progress.document_terms,
        progress.tokens_per_second,
        clock(progress.seconds_left)
    )
}

fn line(what: &str, values: &[(String, f64)]) -> String {
    let values = values.iter().map(|(name, value)| {
        let value = if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.5}") };
        format!("{} {value}", name.strip_prefix("eval_").unwrap_or(name))
    });
    format!("{what}: {}", values.collect::<Vec<_>>().join(", "))
}
