//! What the commands have in common: a config, threads, and how a run is continued.

use anyhow::{Context, Result};
use hydra_compose::{Composed, compose};
use serde_json::Value;

use crate::args::TeacherArgs;
use crate::interrupt;

/// The values of a config with its changes.
pub(super) fn values(args: &TeacherArgs) -> Result<Value> {
    Ok(composed(args)?.value()?)
}

/// A config with its changes.
pub(super) fn composed(args: &TeacherArgs) -> Result<Composed> {
    Ok(compose(&args.config.options())?)
}

/// Starts the threads, and listens for Ctrl-C.
pub(super) fn begin(args: &TeacherArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build_global().context("cannot start the threads")?;
    }
    interrupt::listen()
}

/// The command that goes on with a run.
pub(super) fn how_to_go_on(command: &str, args: &TeacherArgs, more: &str) -> String {
    let config = args.config.as_typed(|_| true);
    format!("to go on:\n  light-splade cross-encoder {command} {config}{more} --resume")
}
