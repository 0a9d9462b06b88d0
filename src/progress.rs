//! What is said to the person at standard error: a running count, downloads, and notes.

use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use splade_model::HubProgress;

/// One line on standard error.
#[allow(clippy::print_stderr, reason = "the one place where messages to the person are printed")]
pub(crate) fn say(message: &str) {
    eprintln!("{message}");
}

/// A running count of texts: a line that moves on a terminal, nothing elsewhere.
pub(crate) struct Progress {
    bar: ProgressBar,
    start: Instant,
    texts: usize,
    tokens: usize,
}

impl Progress {
    pub(crate) fn start() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, start: Instant::now(), texts: 0, tokens: 0 }
    }

    pub(crate) fn add(&mut self, texts: usize, tokens: usize) {
        self.texts += texts;
        self.tokens += tokens;
        self.bar.set_message(self.rates());
    }

    /// Clears the line and says the totals.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
        say(&self.rates());
    }

    fn rates(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64().max(1e-9);
        let rate = |count: usize| count as f64 / seconds;
        format!(
            "{} texts, {} tokens in {seconds:.1} s: {:.0} texts/s, {:.0} tokens/s",
            self.texts,
            self.tokens,
            rate(self.texts),
            rate(self.tokens)
        )
    }
}

/// Downloads of files: a bar for each on a terminal, a line for each elsewhere.
#[derive(Default)]
pub(crate) struct Downloads {
    file: String,
    bar: Option<ProgressBar>,
}

impl Downloads {
    pub(crate) fn show(&mut self, progress: HubProgress<'_>) {
        let HubProgress { file, bytes, total } = progress;
        if self.file != file {
            file.clone_into(&mut self.file);
            self.bar = None;
            let bar = ProgressBar::new(total).with_message(self.file.clone());
            match bar.is_hidden() {
                true => say(&format!("fetching {file}, {}", HumanBytes(total))),
                false => self.bar = Some(bar.with_style(style())),
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
