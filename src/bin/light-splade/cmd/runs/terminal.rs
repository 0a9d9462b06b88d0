//! A run as the person at the terminal sees it: a bar on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use splade_io::{Event, Observer, Progress, StepProgress, counted};
use splade_train::Results;

use crate::input::Position;
use crate::interrupt;
use crate::log::{self, say};
use crate::progress::{self, clock};

/// The time between two plain lines where standard error is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The parts in which the share of an input is counted.
const PARTS: f64 = 1e6;

/// What is trained, which decides what is told of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::cmd) enum Kind {
    /// SPLADE, or a masked language model.
    Encoder,
    /// A cross-encoder.
    CrossEncoder,
}

/// Shows a run at standard error, and has Ctrl-C stop it.
pub(in crate::cmd) struct Terminal {
    kind: Kind,
    /// Whether there may be a bar of steps.
    bars: bool,
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
    counting: Option<Counting>,
}

/// Items that are being worked off.
struct Counting {
    progress: progress::Progress,
    position: Position,
    /// Items, tokens and parts of the input at the last event.
    last: (u64, u64, u64),
}

impl Terminal {
    pub(in crate::cmd) fn new(kind: Kind, no_bar: bool) -> Self {
        let bars = !no_bar && log::has_bars();
        Self { kind, bars, bar: None, last_line: None, counting: None }
    }

    /// Says something above the bars.
    pub(in crate::cmd) fn note(&self, text: &str) {
        self.above(|| say(text));
    }

    /// Clears the bars.
    pub(in crate::cmd) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if let Some(counting) = self.counting.take() {
            counting.progress.clear();
        }
    }

    /// Says how many items were worked off, where they were counted.
    pub(in crate::cmd) fn finish_counting(&mut self) {
        if let Some(counting) = self.counting.take() {
            counting.progress.finish();
        }
    }

    pub(super) fn results(&self, results: &Results) {
        self.note(&line("trained", &results.train));
        if let Some(eval) = &results.eval {
            self.note(&line("final model", eval));
        }
    }

    fn above(&self, say: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn begin(&mut self, sizes: (usize, usize), done: u64, total: u64, dashboard: Option<&str>) {
        let (samples, batches) = sizes;
        let before = if done > 0 { format!(", {done} of them made before") } else { String::new() };
        self.note(&match self.kind {
            Kind::Encoder => format!(
                "{}, {} an epoch, {}{before}",
                counted(samples, "samples"),
                counted(batches, "batches"),
                counted(total, "steps")
            ),
            Kind::CrossEncoder => format!(
                "{} an epoch, {}{before}",
                counted(samples, "samples"),
                counted(total, "steps")
            ),
        });
        if let Some(address) = dashboard {
            self.note(&format!("live page: {address}"));
        }
        if self.bars {
            let bar = ProgressBar::new(total).with_position(done);
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}");
            self.bar = Some(style.map_or_else(|_| bar.clone(), |s| bar.clone().with_style(s)));
        }
    }

    fn step(&mut self, progress: &StepProgress) {
        let rates = || match self.kind {
            Kind::Encoder => rates(progress),
            Kind::CrossEncoder => format!("loss {:.4}, {}", progress.loss, pace(progress)),
        };
        if let Some(bar) = &self.bar {
            bar.set_position(progress.step);
            bar.set_message(rates());
            return;
        }
        let last = progress.step == progress.total;
        if !(last || self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY)) {
            return;
        }
        say(&format!("step {} of {}: {}", progress.step, progress.total, rates()));
        self.last_line = Some(Instant::now());
    }

    fn evaluated(&self, step: u64, values: &[(String, f64)], best: bool) {
        self.note(&match self.kind {
            Kind::Encoder => line(&format!("step {step}"), values),
            Kind::CrossEncoder => {
                let values = values.iter().map(|(name, value)| {
                    format!("{} {value:.4}", name.strip_prefix("eval_").unwrap_or(name))
                });
                let values = values.collect::<Vec<_>>().join(", ");
                format!("step {step}: {values}{}", if best { ", the best so far" } else { "" })
            }
        });
    }

    fn count(&mut self, event: &Progress<'_>) {
        let parts = event.share.map_or(0, |share| (share * PARTS) as u64);
        let now = (event.done, event.tokens, parts);
        if let Some(Counting { progress, position, last }) = &mut self.counting {
            position.read(now.2.saturating_sub(last.2));
            // Work of another kind counts from the beginning.
            let more = |now: u64, last: u64| if now < last { now } else { now - last };
            progress.add(more(now.0, last.0) as usize, more(now.1, last.1) as usize);
            *last = now;
            return;
        }
        match event.total {
            Some(total) if event.done > 0 => {
                say(&format!("{total} {}, {} of them scored before", event.unit, event.done))
            }
            Some(total) => say(&format!("{total} {}", event.unit)),
            None => {}
        }
        let position = match event.share {
            Some(_) => Position::of(PARTS as u64),
            None => Position::default(),
        };
        position.read(parts);
        let unit = if event.unit == "pairs" { "pairs" } else { "texts" };
        let progress = progress::Progress::start(position.clone(), unit);
        self.counting = Some(Counting { progress, position, last: now });
    }
}

impl Observer for Terminal {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Progress(_) => {}
            // Whatever was counted before is done.
            _ => self.finish_counting(),
        }
        match event {
            Event::Progress(progress) => self.count(&progress),
            Event::RunBegins { samples, batches, done, total, dashboard } => {
                self.begin((samples, batches), done, total, dashboard);
            }
            Event::Step(progress) => self.step(&progress),
            Event::Evaluated { step, values, best } => self.evaluated(step, values, best),
            Event::Saved(folder) => self.note(&format!("wrote {}", folder.display())),
            // Said even if nothing else is: the run may be in vain.
            Event::Warning(text) => self.above(|| log::warn(text)),
            Event::Hint(text) => self.above(|| log::hint(text)),
            Event::Note(text) => self.note(text),
            _ => {}
        }
    }

    fn stop(&mut self) -> bool {
        interrupt::asked()
    }
}

fn rates(progress: &StepProgress) -> String {
    match progress.accuracy {
        Some(accuracy) => {
            format!("loss {:.4}, accuracy {accuracy:.3}, {}", progress.loss, pace(progress))
        }
        None => format!(
            "loss {:.4}, lambda {:.1e} {:.1e}, terms {:.0} {:.0}, {}",
            progress.loss,
            progress.lambda_q,
            progress.lambda_d,
            progress.query_terms,
            progress.document_terms,
            pace(progress)
        ),
    }
}

fn pace(progress: &StepProgress) -> String {
    format!("{:.0} tokens/s, {} left", progress.tokens_per_second, clock(progress.seconds_left))
}

fn line(what: &str, values: &[(String, f64)]) -> String {
    let values = values.iter().map(|(name, value)| {
        let value = if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.5}") };
        format!("{} {value}", name.strip_prefix("eval_").unwrap_or(name))
    });
    format!("{what}: {}", values.collect::<Vec<_>>().join(", "))
}
