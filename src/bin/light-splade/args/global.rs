//! Options that every command has.

use clap::{Args, ValueEnum};

/// What is said on standard error, and how.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalArgs {
    /// Say only what went wrong
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: every step on the way, with its time
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// Form of the messages on standard error
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_enum,
        value_name = "FORM",
        default_value = "text"
    )]
    pub(crate) log_format: LogFormatArg,
    /// Whether output has colours; auto gives them to a terminal where NO_COLOR is not set
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub(crate) color: ColorArg,
}

impl Default for GlobalArgs {
    fn default() -> Self {
        let (log_format, color) = (LogFormatArg::Text, ColorArg::Auto);
        Self { quiet: false, verbose: false, log_format, color }
    }
}

/// The form of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormatArg {
    /// Lines for people
    Text,
    /// A JSON object a line, with time and level
    Json,
}

/// When output has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorArg {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Also in files and pipes
    Always,
    /// Nowhere
    Never,
}

/// JSON in place of a text for people.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct JsonArgs {
    /// Print JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}
