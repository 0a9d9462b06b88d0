//! The `light-splade` command line.
//!
//! Data goes to standard output, everything else to standard error. Exit codes: 0 for success, 1
//! for a failure, 2 for a wrong call, 130 after Ctrl-C.

mod args;
mod closing;
mod cmd;
mod hint;
mod input;
mod interrupt;
mod log;
mod output;
mod progress;
mod quoting;
#[cfg(test)]
mod reference;
mod screen;
mod style;
mod truncated;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use args::{Cli, Command, GlobalArgs};
use interrupt::Interrupted;
use log::{Audience, say};

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    ExitCode::from(run_as(std::env::current_exe(), std::env::args_os()))
}

/// Runs the program and returns its exit code. `program` is the file that a pipeline starts for its
/// steps, and the first argument is the name of the program.
pub fn run_as(
    program: std::io::Result<PathBuf>,
    arguments: impl IntoIterator<Item = OsString>,
) -> u8 {
    truncated::watch();
    let (warnings, parsed) = args::parse(arguments);
    let global = parsed.as_ref().map_or_else(|_| GlobalArgs::default(), |cli| cli.global);
    style::choose(global.color);
    if !parsed.as_ref().is_ok_and(has_its_own_log) {
        log::start(log::level(&global), global.log_format, Audience::Terminal);
    }
    warnings.iter().for_each(|warning| log::warn(warning));
    let ended = match &parsed {
        // What is wrong with a call has exit code 2, and help has 0.
        Err(error) => {
            _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
        Ok(cli) => run(cli, program),
    };
    match ended {
        Ok(()) => 0,
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) if error.is::<Interrupted>() => {
            say(&error.to_string());
            interrupt::EXIT_CODE
        }
        Err(error) if stopped(&error).is_some() => {
            say(&format!("interrupted; {}", stopped(&error).unwrap_or_default()));
            interrupt::EXIT_CODE
        }
        Err(error) if splade_io::ReadingStopped::caused(error.as_ref()) => {
            say("interrupted; nothing is kept");
            interrupt::EXIT_CODE
        }
        Err(error) => {
            log::error(&format!("{error:#}"));
            if let Some(hint) = hint::of(&error) {
                log::hint(&hint);
            }
            1
        }
    }
}

/// Whether a command writes a log, with the time of each line, in place of messages.
fn has_its_own_log(cli: &Cli) -> bool {
    #[cfg(feature = "serve")]
    return matches!(cli.command, Command::Serve(_));
    #[cfg(not(feature = "serve"))]
    return {
        _ = cli;
        false
    };
}

fn run(cli: &Cli, program: std::io::Result<PathBuf>) -> anyhow::Result<()> {
    match &cli.command {
        Command::Demo(args) => cmd::demo::run(args, program),
        Command::Encode(args) => cmd::encode::run(args),
        Command::Tokenize(args) => cmd::tokenize::run(args),
        Command::Explain(args) => cmd::explain::run(args),
        Command::Inspect(args) => cmd::inspect::run(args),
        Command::Index(command) => cmd::index::run(command),
        Command::Search(args) => cmd::search::run(args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => cmd::serve::run(args, &cli.global),
        Command::Fuse(args) => cmd::fuse::run(args),
        Command::Evaluate(args) => cmd::evaluate::run(args),
        Command::CheckData(args) => cmd::check_data::run(args),
        Command::Export(command) => cmd::export::run(command),
        Command::Convert(command) => cmd::convert::run(command),
        Command::Mine(args) => cmd::mine::run(args),
        Command::Score(args) => cmd::score::run(args),
        #[cfg(feature = "push")]
        Command::Doctor(args) => cmd::doctor::run(args),
        Command::Train(args) => cmd::train::run(args),
        Command::Pretrain(args) => cmd::pretrain::run(args),
        Command::MergeModels(args) => cmd::merge_models::run(args),
        Command::Report(args) => cmd::report::run(args),
        Command::Vocab(command) => cmd::vocab::run(command),
        Command::Pipeline(args) => cmd::pipeline::run(args, program),
        Command::CrossEncoder(command) => cmd::cross_encoder::run(command),
        Command::Completions(args) => cmd::completions::run(args),
        Command::Man(args) => cmd::man::run(args),
    }
}

/// What the library kept of work that Ctrl-C stopped.
fn stopped(error: &anyhow::Error) -> Option<&str> {
    error.chain().find_map(|cause| {
        let boxed = || cause.downcast_ref::<Box<light_splade::Error>>().map(AsRef::as_ref);
        match cause.downcast_ref().or_else(boxed)? {
            light_splade::Error::Stopped { kept } => Some(kept.as_str()),
            _ => None,
        }
    })
}

/// Whoever reads the output may stop early (`| head`): that is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
