//! What is said to the person at standard error: how far the work is, downloads, and notes.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use light_splade::Observer;
use light_splade::pages::duration;
use light_splade::pipelines::clock;
use light_splade::progress::{Event, Progress};
use splade_io::{counted, cut_to_width, size};

use crate::interrupt;
use crate::log::{self, say};
use crate::screen::{columns_of_stderr, fit};

/// Between two plain lines where standard error is no terminal.
pub(crate) const LINE_EVERY: Duration = Duration::from_secs(10);

/// A step that took less is not worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// Shows what the library tells: progress as a bar or lines, notes and warnings as they come; and
/// asks it to stop after Ctrl-C.
pub(crate) struct Reporter {
    /// The step that goes on, as a phrase; empty where the command has one only.
    doing: String,
    work: Option<Work>,
    transfers: Option<Transfers>,
    /// Whether Ctrl-C is listened for from the first work that is not a download: a download ends at
    /// once, and goes on the next time.
    listens: bool,
}

impl Reporter {
    pub(crate) fn new() -> Self {
        Self { doing: String::new(), work: None, transfers: None, listens: false }
    }

    /// Listens for Ctrl-C once the downloads are done.
    pub(crate) fn interruptible() -> Self {
        Self { listens: true, ..Self::new() }
    }

    /// Says something above a bar that goes on.
    fn above(&self, say: impl FnOnce()) {
        match self.work.as_ref().and_then(|work| work.bar.as_ref()) {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    /// Ends work whose end was not told.
    pub(crate) fn end(&mut self) {
        if let Some(work) = self.work.take() {
            work.finish(false);
        }
        self.doing.clear();
    }

    fn progress(&mut self, at: &Progress<'_>) {
        if std::mem::take(&mut self.listens)
            && let Err(error) = interrupt::listen()
        {
            self.above(|| log::warn(&format!("{error:#}")));
        }
        // Work of another kind begins.
        if let Some(before) = self.work.take_if(|before| before.unit != at.unit) {
            before.finish(true);
        }
        let doing = if self.doing.is_empty() { at.doing } else { &self.doing };
        let work = self.work.get_or_insert_with(|| Work::begin(doing, at));
        work.set(at);
        if at.finished
            && let Some(work) = self.work.take()
        {
            // How fast queries were searched is told with their latencies.
            work.finish(at.unit == "queries");
            self.doing.clear();
        }
    }
}

impl Observer for Reporter {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Note(text) => self.above(|| say(text)),
            Event::Detail(text) => self.above(|| log::detail(text)),
            Event::Warning(text) => self.above(|| log::warn(text)),
            Event::Hint(text) => self.above(|| log::hint(text)),
            Event::Begins(doing) => {
                self.end();
                doing.clone_into(&mut self.doing);
                log::detail(doing);
            }
            Event::Progress(at) if ["fetching", "sending"].contains(&at.doing) => {
                let doing = if at.doing == "sending" { "sending" } else { "fetching" };
                let transfers = self.transfers.get_or_insert_with(|| Transfers::new(doing));
                transfers.show(at.unit, at.done, at.total.unwrap_or(0));
            }
            Event::Progress(at) => self.progress(&at),
            _ => {}
        }
    }

    fn stop(&mut self) -> bool {
        interrupt::asked()
    }
}

/// Work that goes on: a bar on a terminal, elsewhere a plain line now and then.
struct Work {
    bar: Option<ProgressBar>,
    doing: String,
    /// What is counted: `texts`, or another plural.
    unit: String,
    done: u64,
    total: Option<u64>,
    tokens: u64,
    /// The share that is done: of the items where their number is known, and else of the input.
    share: Option<f64>,
    /// How many items, and which share, were done when the work began here.
    before: (u64, f64),
    start: Instant,
    last_line: Instant,
}

impl Work {
    fn begin(doing: &str, at: &Progress<'_>) -> Self {
        let now = Instant::now();
        let share = share(at);
        Self {
            bar: log::has_bars().then(|| bar_of(share.is_some())),
            doing: doing.to_owned(),
            unit: at.unit.to_owned(),
            done: at.done,
            total: at.total,
            tokens: at.tokens,
            share,
            before: (at.done, share.unwrap_or(0.0)),
            start: now,
            last_line: now,
        }
    }

    fn set(&mut self, at: &Progress<'_>) {
        (self.done, self.total, self.tokens, self.share) =
            (at.done, at.total, at.tokens, share(at));
        match &self.bar {
            Some(bar) => {
                bar.set_position((self.share.unwrap_or(0.0) * PARTS) as u64);
                let columns = columns_of_stderr();
                bar.set_message(fit(
                    &self.parts(),
                    columns.saturating_sub(bar_columns(columns) + 2),
                ));
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                say(&fit(&self.parts(), usize::MAX));
                self.last_line = Instant::now();
            }
            None => {}
        }
    }

    /// Clears the bar and says the totals. A step on the way to a result, and one that took no time, is
    /// told only those who ask for more.
    fn finish(self, is_step: bool) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let doing = if self.doing.is_empty() { String::new() } else { format!("{}: ", self.doing) };
        let elapsed = self.start.elapsed();
        let mut counts = vec![counted(self.done - self.before.0, &self.unit)];
        let mut rates = vec![self.rate(self.done - self.before.0, &self.unit)];
        if self.tokens > 0 {
            counts.push(counted(self.tokens, "tokens"));
            rates.push(self.rate(self.tokens, "tokens"));
        }
        let (counts, rates) = (counts.join(", "), rates.join(", "));
        let line = format!("{doing}{counts} in {} ({rates})", duration(elapsed.as_secs_f64()));
        match is_step || elapsed < WORTH_A_LINE {
            true => log::detail(&line),
            false => say(&line),
        }
    }

    /// What there is to say, with its importance.
    fn parts(&self) -> Vec<(u8, String)> {
        let items = match self.total {
            Some(total) => format!("{} of {}", self.done, counted(total, &self.unit)),
            None => counted(self.done, &self.unit),
        };
        let percent = self.share.map_or(String::new(), |share| match self.total {
            Some(_) => format!("{:.0} %", share * 100.0),
            None => format!("{:.0} % read", share * 100.0),
        });
        let tokens = match self.tokens {
            0 => String::new(),
            tokens => self.rate(tokens, "tokens"),
        };
        vec![
            (3, self.doing.clone()),
            (0, items),
            (1, percent),
            (2, self.time_left().map_or(String::new(), |left| format!("{} left", clock(left)))),
            (4, self.rate(self.done - self.before.0, &self.unit)),
            (5, tokens),
        ]
    }

    fn rate(&self, count: u64, unit: &str) -> String {
        let seconds = self.start.elapsed().as_secs_f64().max(1e-9);
        format!("{:.0} {unit}/s", count as f64 / seconds)
    }

    /// The seconds that are left, as far as the share tells.
    fn time_left(&self) -> Option<f64> {
        let share = self.share?;
        let done = share - self.before.1;
        (done > 0.0).then(|| self.start.elapsed().as_secs_f64() * (1.0 - share) / done)
    }
}

/// The share that is done.
fn share(at: &Progress<'_>) -> Option<f64> {
    let of_items = at.total.filter(|total| *total > 0).map(|total| at.done as f64 / total as f64);
    of_items.or(at.share)
}

/// The steps of a bar.
const PARTS: f64 = 1000.0;

/// The columns of the bar itself.
pub(crate) fn bar_columns(columns: usize) -> usize {
    match columns {
        ..80 => 10,
        80..120 => 20,
        _ => 30,
    }
}

fn bar_of(has_share: bool) -> ProgressBar {
    let bar = ProgressBar::new(PARTS as u64);
    let template = match has_share {
        true => format!("{{bar:{}}} {{wide_msg}}", bar_columns(columns_of_stderr())),
        false => "{spinner} {wide_msg}".to_owned(),
    };
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Files that come from the hub or go there: a bar for each on a terminal, a line for each elsewhere.
struct Transfers {
    /// `fetching` or `sending`.
    doing: &'static str,
    file: String,
    bar: Option<ProgressBar>,
}

impl Transfers {
    fn new(doing: &'static str) -> Self {
        Self { doing, file: String::new(), bar: None }
    }

    fn show(&mut self, file: &str, bytes: u64, total: u64) {
        if self.file != file {
            file.clone_into(&mut self.file);
            self.bar = None;
            match log::has_bars() {
                false => say(&format!("{} {file}, {}", self.doing, size(total))),
                true => {
                    let name = cut_to_width(file, columns_of_stderr() / 3);
                    self.bar = Some(ProgressBar::new(total).with_message(name).with_style(style()));
                }
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            if bytes == total {
                bar.finish();
            }
        }
    }
}

fn style() -> ProgressStyle {
    let template = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
