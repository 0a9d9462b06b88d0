//! Messages on standard error: lines for people, or JSON for programs.
//!
//! Every message is an event of `tracing`, so that what is said and in which form is decided in one
//! place. Data is no message: it goes to standard output.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

use splade_io::printable_lines;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::args::{GlobalArgs, LogFormatArg};
use crate::style::{self, Style};

/// The field that tells some messages from others, and its values.
const KIND: &str = "kind";
const HINT: &str = "hint";
const NEXT: &str = "next";

/// Whether bars may be drawn: people look on, and want to know how far the work is.
static BARS: AtomicBool = AtomicBool::new(false);

/// What a command's messages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Somebody who waits for the command.
    Terminal,
    /// A log, whose lines need their time.
    Service,
}

/// The least important messages that are wanted.
pub(crate) fn level(args: &GlobalArgs) -> LevelFilter {
    match (args.quiet, args.verbose) {
        (true, _) => LevelFilter::WARN,
        (_, true) => LevelFilter::DEBUG,
        _ => LevelFilter::INFO,
    }
}

/// Begins to write messages to standard error. The first call of a process counts.
pub(crate) fn start(level: LevelFilter, format: LogFormatArg, audience: Audience) {
    let bars = audience == Audience::Terminal
        && format == LogFormatArg::Text
        && level >= LevelFilter::INFO
        && std::io::stderr().is_terminal();
    BARS.store(bars, Ordering::Relaxed);
    let colour = style::on_stderr();
    // A terminal that was closed must not end what has yet to save what it did: failed writes are
    // ignored.
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(colour)
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A process of Python may run the command several times.
    _ = match (format, audience) {
        (LogFormatArg::Json, _) => log.json().flatten_event(true).try_init(),
        (LogFormatArg::Text, Audience::Service) => log.try_init(),
        (LogFormatArg::Text, Audience::Terminal) => log.event_format(Lines { colour }).try_init(),
    };
}

/// Whether people ask for more.
pub(crate) fn wants_details() -> bool {
    tracing::enabled!(Level::DEBUG)
}

/// Whether bars may be drawn.
pub(crate) fn has_bars() -> bool {
    BARS.load(Ordering::Relaxed)
}

/// Says something that people want to know.
pub(crate) fn say(message: &str) {
    tracing::info!("{message}");
}

/// Says something that only those want to know who ask for more.
pub(crate) fn detail(message: &str) {
    tracing::debug!("{message}");
}

/// Says what may be wrong.
pub(crate) fn warn(message: &str) {
    tracing::warn!("{message}");
}

/// Says what went wrong.
pub(crate) fn error(message: &str) {
    tracing::error!("{message}");
}

/// Says what can be done about the warning or the error before.
pub(crate) fn hint(message: &str) {
    tracing::warn!(kind = HINT, "{message}");
}

/// Says which command comes next.
pub(crate) fn next(command: &str) {
    tracing::info!(kind = NEXT, "{command}");
}

/// Messages as lines for people, without their time.
struct Lines {
    colour: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut message = Message::default();
        event.record(&mut message);
        let (name, style) = match *event.metadata().level() {
            _ if message.kind == HINT => ("hint: ", Style::Cyan),
            _ if message.kind == NEXT => ("next: ", Style::Green),
            Level::ERROR => ("error: ", Style::Red),
            Level::WARN => ("warning: ", Style::Yellow),
            _ => ("", Style::Dim),
        };
        if !name.is_empty() {
            writer.write_str(&style.paint(self.colour, name))?;
        }
        // Ids and names of files are part of messages.
        writeln!(writer, "{}", printable_lines(&message.text))
    }
}

/// The text of an event.
#[derive(Default)]
struct Message {
    text: String,
    kind: String,
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            KIND => value.clone_into(&mut self.kind),
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            _ = write!(self.text, "{value:?}");
        }
    }
}
