//! Options that every command has.

use clap::{Args, ValueEnum};

/// What is said on standard error, and how.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Print warnings and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more messages, such as each step and its duration
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// Format of messages on standard error
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_enum,
        value_name = "FORM",
        default_value = "text"
    )]
    pub(crate) log_format: LogFormatArg,
    /// When to use colours
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
    /// Plain text
    Text,
    /// One JSON object per line, with time and level
    Json,
}

/// When output has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorArg {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always, including in files and pipes
    Always,
    /// Never
    Never,
}

/// JSON in place of a text for people.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct JsonArgs {
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}
