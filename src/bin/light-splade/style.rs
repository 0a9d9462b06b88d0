//! Colours of the terminal, and whether there are any.

use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::args::ColorArg;

/// The choice of the command line: one of `AUTO`, `ALWAYS` and `NEVER`.
static CHOICE: AtomicU8 = AtomicU8::new(AUTO);
const AUTO: u8 = 0;
const ALWAYS: u8 = 1;
const NEVER: u8 = 2;

/// How a part of a text looks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Style {
    /// The text in this style where `on`, and as it is elsewhere.
    pub(crate) fn paint(self, on: bool, text: impl Display) -> String {
        match on {
            true => format!("{}{text}\x1b[0m", self.code()),
            false => text.to_string(),
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Red => "\x1b[31m",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Cyan => "\x1b[36m",
        }
    }
}

/// Remembers what `--color` asks for.
pub(crate) fn choose(color: ColorArg) {
    let choice = match color {
        ColorArg::Auto => AUTO,
        ColorArg::Always => ALWAYS,
        ColorArg::Never => NEVER,
    };
    CHOICE.store(choice, Ordering::Relaxed);
}

/// Whether standard output has colours.
pub(crate) fn on_stdout() -> bool {
    is_on(|| std::io::stdout().is_terminal())
}

/// Whether standard error has colours.
pub(crate) fn on_stderr() -> bool {
    is_on(|| std::io::stderr().is_terminal())
}

fn is_on(is_terminal: impl Fn() -> bool) -> bool {
    match CHOICE.load(Ordering::Relaxed) {
        ALWAYS => true,
        NEVER => false,
        _ => is_terminal() && wants_colour(),
    }
}

/// Whether the environment leaves colours on (<https://no-color.org>).
fn wants_colour() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_color && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
