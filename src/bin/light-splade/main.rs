//! The `light-splade` command line.
//!
//! Data goes to standard output, everything else to standard error. Exit codes: 0 for success, 1
//! for a failure, 2 for a wrong call, 130 after Ctrl-C.

mod args;
mod cmd;
mod hint;
mod input;
mod interrupt;
mod output;
mod progress;
#[cfg(test)]
mod reference;
mod truncated;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use interrupt::Interrupted;

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
    match run(&Cli::parse_from(arguments), program) {
        Ok(()) => 0,
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) if error.is::<Interrupted>() => {
            progress::say(&error.to_string());
            interrupt::EXIT_CODE
        }
        Err(error) if stopped(&error).is_some() => {
            progress::say(&format!("interrupted; {}", stopped(&error).unwrap_or_default()));
            interrupt::EXIT_CODE
        }
        Err(error) if splade_io::ReadingStopped::caused(error.as_ref()) => {
            progress::say("interrupted; nothing is kept");
            interrupt::EXIT_CODE
        }
        Err(error) => {
            progress::say(&format!("error: {error:#}"));
            if let Some(hint) = hint::of(&error) {
                progress::say(&format!("hint: {hint}"));
            }
            1
        }
    }
}

fn run(cli: &Cli, program: std::io::Result<PathBuf>) -> anyhow::Result<()> {
    match &cli.command {
        Command::Encode(args) => cmd::encode::run(args),
        Command::Tokenize(args) => cmd::tokenize::run(args),
        Command::Explain(args) => cmd::explain::run(args),
        Command::Inspect(args) => cmd::inspect::run(args),
        Command::Index(command) => cmd::index::run(command),
        Command::Search(args) => cmd::search::run(args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => cmd::serve::run(args),
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
        Command::Vocab(command) => cmd::vocab::run(command),
        Command::Pipeline(args) => cmd::pipeline::run(args, program),
        Command::CrossEncoder(command) => cmd::cross_encoder::run(command),
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
