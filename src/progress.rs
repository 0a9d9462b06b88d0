//! What is said to the person at standard error: a running count, and notes.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

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
