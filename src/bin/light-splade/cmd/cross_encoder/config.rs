//! What the commands have in common: a config, threads, and how a run is continued.

use anyhow::{Context, Result, bail};
use hydra_compose::{ComposeOptions, Composed, compose};
use serde_json::Value;

use crate::args::TeacherArgs;
use crate::interrupt;

/// The values of a config with its changes.
pub(super) fn values(args: &TeacherArgs) -> Result<Value> {
    Ok(composed(args)?.value()?)
}

/// A config with its changes.
pub(super) fn composed(args: &TeacherArgs) -> Result<Composed> {
    let file = &args.config;
    let name = file.file_stem().filter(|_| file.extension().is_some_and(|end| end == "yaml"));
    let Some(name) = name.and_then(|name| name.to_str()) else {
        bail!("--config {} must be a file that ends in .yaml", file.display());
    };
    if !file.is_file() {
        bail!("--config {}: there is no such file", file.display());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(std::path::Path::new("."));
    Ok(compose(&ComposeOptions::new(folder, name, args.overrides.clone()))?)
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
    let overrides: Vec<String> = args.overrides.iter().map(|text| format!(" '{text}'")).collect();
    format!(
        "to go on:\n  light-splade cross-encoder {command} --config {}{}{more} --resume",
        args.config.display(),
        overrides.concat()
    )
}
