//! The extension module of the Python package `light_splade_rs`: the front door of light-splade in the types of
//! Python and NumPy. The Python files beside it give it Python's manners; nothing here is for users directly.
//!
//! Every function that may take long releases the interpreter while it computes, tells `reporter` how far it is, and
//! stops when a signal such as Ctrl-C is pending.

mod cross_encoder;
mod csr;
mod data;
mod encoder;
mod errors;
mod evaluation;
mod files;
mod fusion;
mod hit;
mod index;
mod models;
mod observer;
mod records;
mod searcher;
mod settings;
mod training;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use pyo3::prelude::*;

/// Runs the program `light-splade` with the arguments of a command line and returns its exit code.
#[pyfunction]
fn run_command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    let program = PathBuf::from(arguments.first().cloned().unwrap_or_default());
    let code = py.detach(|| light_splade_command::run_as(Ok(program), arguments));
    // The interpreter ends the process and knows nothing of what the program has not written yet.
    let flushed = std::io::stdout().flush();
    if flushed.is_err() && code == 0 { 1 } else { code }
}

/// The extension module.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::cross_encoder::CrossEncoder;
    #[pymodule_export]
    use super::csr::{pairwise, similarity};
    #[pymodule_export]
    use super::data::{convert, mine, score};
    #[pymodule_export]
    use super::encoder::Encoder;
    #[pymodule_export]
    use super::evaluation::{bm25, evaluate, evaluate_run, fuse};
    #[pymodule_export]
    use super::files::{encode_files, export};
    #[pymodule_export]
    use super::hit::{Hit, Place};
    #[pymodule_export]
    use super::index::{Index, verify};
    #[pymodule_export]
    use super::models::{export_model, inspect, model_folder};
    #[pymodule_export]
    use super::run_command;
    #[pymodule_export]
    use super::searcher::Searcher;
    #[pymodule_export]
    use super::training::train;

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
