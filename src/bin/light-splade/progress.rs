//! What is said to the person at standard error: how far the work is, downloads, and notes.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use light_splade::Observer;
pub(crate) use light_splade::pipelines::clock;
use light_splade::progress::Event;
use splade_io::{counted, size};

use crate::input::Position;
use crate::interrupt;
use crate::log::{self, say};

/// Between two plain lines where standard error is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows what the library tells: progress as a bar or lines, notes and warnings as they come; and
/// asks it to stop after Ctrl-C.
pub(crate) struct Reporter {
    progress: Option<Progress>,
    transfers: Option<Transfers>,
    /// Whether Ctrl-C is listened for from the first work that is not a download: a download ends at
    /// once, and goes on the next time.
    listens: bool,
}

impl Reporter {
    pub(crate) fn new() -> Self {
        Self { progress: None, transfers: None, listens: false }
    }

    /// Listens for Ctrl-C once the downloads are done.
    pub(crate) fn interruptible() -> Self {
        Self { listens: true, ..Self::new() }
    }

    /// Says something above a bar that goes on.
    fn above(&self, say: impl FnOnce()) {
        match self.progress.as_ref().and_then(|progress| progress.bar.as_ref()) {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }
}

impl Observer for Reporter {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Note(text) => self.above(|| say(text)),
            Event::Warning(text) => self.above(|| log::warn(text)),
            Event::Hint(text) => self.above(|| log::hint(text)),
            Event::Progress(at) if ["fetching", "sending"].contains(&at.doing) => {
                let doing = if at.doing == "sending" { "sending" } else { "fetching" };
                let transfers = self.transfers.get_or_insert_with(|| Transfers::new(doing));
                let total = at.total.unwrap_or(0);
                transfers.show(at.unit, at.done, total);
            }
            Event::Progress(at) => {
                if std::mem::take(&mut self.listens)
                    && let Err(error) = interrupt::listen()
                {
                    self.above(|| log::warn(&format!("{error:#}")));
                }
                // Work of another kind begins.
                if let Some(before) = self.progress.take_if(|before| before.what != at.unit) {
                    before.clear();
                }
                let begin = || Progress::begin(at.share, at.unit);
                let progress = self.progress.get_or_insert_with(begin);
                progress.set(at.done as usize, at.tokens as usize, at.share);
                if at.finished
                    && let Some(progress) = self.progress.take()
                {
                    // How fast queries were searched is told with their latencies, and a step on the
                    // way to a result is not worth a line.
                    match at.unit == "queries" || !at.doing.is_empty() {
                        true => progress.clear(),
                        false => progress.finish(),
                    }
                }
            }
            _ => {}
        }
    }

    fn stop(&mut self) -> bool {
        interrupt::asked()
    }
}

/// How far texts or vectors are: a bar on a terminal, elsewhere a plain line now and then.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    /// Tells the share that has been read, where the caller does not.
    position: Position,
    /// The share that has been read.
    share: Option<f64>,
    /// The share of the inputs that had been read before the first text counted.
    skipped: f64,
    start: Instant,
    last_line: Instant,
    /// What is counted: `texts`, or another plural.
    what: String,
    count: usize,
    tokens: usize,
}

impl Progress {
    /// Starts to count; `position` tells how far the inputs have been read.
    pub(crate) fn start(position: Position, what: &str) -> Self {
        Self { position: position.clone(), ..Self::begin(position.share(), what) }
    }

    /// Starts to count where the caller tells the share that has been read.
    fn begin(share: Option<f64>, what: &str) -> Self {
        let bar = log::has_bars().then(|| {
            let bar = ProgressBar::new(1000);
            let template = match share {
                Some(_) => "{bar:30} {msg}",
                None => "{spinner} {msg}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let (now, skipped) = (Instant::now(), share.unwrap_or(0.0));
        let position = Position::default();
        let (what, count, tokens) = (what.to_owned(), 0, 0);
        Self { bar, position, share, skipped, start: now, last_line: now, what, count, tokens }
    }

    /// Counts; `tokens` is 0 where no text is tokenized.
    pub(crate) fn add(&mut self, count: usize, tokens: usize) {
        let share = self.position.share();
        self.set(self.count + count, self.tokens + tokens, share);
    }

    /// Sets the counts and the share that has been read.
    fn set(&mut self, count: usize, tokens: usize, share: Option<f64>) {
        (self.count, self.tokens, self.share) = (count, tokens, share);
        let line = || format!("{}{}", self.rates(), self.rest());
        match &self.bar {
            Some(bar) => {
                bar.set_position((self.share.unwrap_or(0.0) * 1000.0) as u64);
                bar.set_message(line());
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                say(&line());
                self.last_line = Instant::now();
            }
            None => {}
        }
    }

    /// Clears the bar and says the totals.
    pub(crate) fn finish(self) {
        let rates = self.rates();
        self.clear();
        say(&rates);
    }

    /// Clears the bar.
    pub(crate) fn clear(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn rates(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64().max(1e-9);
        let rate = |count: usize| count as f64 / seconds;
        let (what, count, tokens) = (&self.what, self.count, self.tokens);
        match tokens {
            0 => format!("{} in {seconds:.1} s: {:.0} {what}/s", counted(count, what), rate(count)),
            _ => format!(
                "{}, {} in {seconds:.1} s: {:.0} {what}/s, {:.0} tokens/s",
                counted(count, what),
                counted(tokens, "tokens"),
                rate(count),
                rate(tokens)
            ),
        }
    }

    /// The share and the time that is left, where the size of the inputs is known.
    fn rest(&self) -> String {
        let Some(share) = self.share else { return String::new() };
        let done = share - self.skipped;
        let rest = match done > 0.0 {
            true => format!(
                ", {} left",
                clock(self.start.elapsed().as_secs_f64() * (1.0 - share) / done)
            ),
            false => String::new(),
        };
        format!(", {:.0} %{rest}", share * 100.0)
    }
}

/// Files that come from the hub or go there: a bar for each on a terminal, a line for each elsewhere.
pub(crate) struct Transfers {
    /// `fetching` or `sending`.
    doing: &'static str,
    file: String,
    bar: Option<ProgressBar>,
}

impl Transfers {
    pub(crate) fn new(doing: &'static str) -> Self {
        Self { doing, file: String::new(), bar: None }
    }

    pub(crate) fn show(&mut self, file: &str, bytes: u64, total: u64) {
        if self.file != file {
            file.clone_into(&mut self.file);
            self.bar = None;
            match log::has_bars() {
                false => say(&format!("{} {file}, {}", self.doing, size(total))),
                true => {
                    let bar = ProgressBar::new(total).with_message(self.file.clone());
                    self.bar = Some(bar.with_style(style()));
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
