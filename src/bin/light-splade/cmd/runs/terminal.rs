//! A run as the person at the terminal sees it: a bar on a terminal, plain lines elsewhere.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use light_splade::pipelines::clock;
use splade_io::{Event, Observer, StepProgress, counted};
use splade_train::Results;

use crate::interrupt;
use crate::log::{self, say};
use crate::progress::{LINE_EVERY, Reporter, bar_columns};
use crate::screen::{columns_of_stderr, fit};

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
    /// Shows what is no step of training.
    reporter: Reporter,
}

impl Terminal {
    pub(in crate::cmd) fn new(kind: Kind, no_bar: bool) -> Self {
        let bars = !no_bar && log::has_bars();
        Self { kind, bars, bar: None, last_line: None, reporter: Reporter::new() }
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
        self.reporter.end();
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
            let columns = bar_columns(columns_of_stderr());
            let template = format!("{{bar:{columns}}} {{pos}}/{{len}} {{wide_msg}}");
            let style = ProgressStyle::with_template(&template);
            self.bar = Some(style.map_or_else(|_| bar.clone(), |s| bar.clone().with_style(s)));
        }
    }

    fn step(&mut self, progress: &StepProgress) {
        let parts = parts(progress, self.kind);
        if let Some(bar) = &self.bar {
            bar.set_position(progress.step);
            let columns = columns_of_stderr();
            let counts = format!(" {}/{} ", progress.step, progress.total).len();
            bar.set_message(fit(&parts, columns.saturating_sub(bar_columns(columns) + counts)));
            return;
        }
        let last = progress.step == progress.total;
        if !(last || self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY)) {
            return;
        }
        let said = fit(&parts, usize::MAX);
        say(&format!("step {} of {}: {said}", progress.step, progress.total));
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
}

impl Observer for Terminal {
    fn event(&mut self, event: Event<'_>) {
        match event {
            // Whatever was counted before is done.
            Event::RunBegins { .. } | Event::Step(_) | Event::Evaluated { .. } => {
                self.reporter.end();
            }
            _ => {}
        }
        match event {
            Event::RunBegins { samples, batches, done, total, dashboard } => {
                self.begin((samples, batches), done, total, dashboard);
            }
            Event::Step(progress) => self.step(&progress),
            Event::Evaluated { step, values, best } => self.evaluated(step, values, best),
            Event::Saved(folder) => {
                let said = format!("wrote {}", folder.display());
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                match name.starts_with("checkpoint") {
                    true => self.note(&said),
                    // The last line names the model.
                    false => self.above(|| log::detail(&said)),
                }
            }
            event => {
                let bar = self.bar.clone();
                let mut show = || self.reporter.event(event);
                match bar {
                    Some(bar) => bar.suspend(show),
                    None => show(),
                }
            }
        }
    }

    fn stop(&mut self) -> bool {
        interrupt::asked()
    }
}

/// What there is to say of a step, with its importance.
fn parts(progress: &StepProgress, kind: Kind) -> Vec<(u8, String)> {
    let left = format!("{} left", clock(progress.seconds_left));
    let mut parts = vec![(0, format!("loss {:.4}", progress.loss))];
    match (progress.accuracy, kind) {
        (Some(accuracy), _) => parts.push((1, format!("accuracy {accuracy:.3}"))),
        (None, Kind::CrossEncoder) => {}
        (None, Kind::Encoder) => {
            let (q, d) = (progress.query_terms, progress.document_terms);
            parts.push((2, format!("terms q {q:.0} d {d:.0}")));
            let (q, d) = (progress.lambda_q, progress.lambda_d);
            parts.push((3, format!("lambda q {q:.1e} d {d:.1e}")));
        }
    }
    parts.push((4, format!("{:.0} tokens/s", progress.tokens_per_second)));
    parts.push((1, left));
    parts
}

fn line(what: &str, values: &[(String, f64)]) -> String {
    let values = values.iter().map(|(name, value)| {
        let value = if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.5}") };
        format!("{} {value}", name.strip_prefix("eval_").unwrap_or(name))
    });
    format!("{what}: {}", values.collect::<Vec<_>>().join(", "))
}
