//! Checkpoints: everything that a run needs to go on as if it had not been stopped.
//!
//! `output_dir/checkpoint-N` after step `N` is a model folder in the layout of Hugging Face with
//!
//! - `optimizer.safetensors`: the optimizer's moments, a tensor each, named
//!   `document/exp_avg/<tensor>`;
//! - the records of its task, one of which is `light_splade.json`: which run it is, and under `run`
//!   its exact state.
//!
//! A checkpoint holds no state of random numbers and no position in the data: both follow from the
//! seed and the step. `folder.rs` writes aside and renames, `tensors.rs` and `moments.rs` hold
//! parameters and moments, `retention.rs` says which checkpoints are deleted, `differences.rs` whether
//! one belongs to a run, and `record.rs` is the record of the runs with transformers' settings.

pub(crate) mod folder;
mod tensors;

pub(crate) mod moments;

pub(crate) mod differences;
pub(crate) mod record;
mod retention;

use std::path::{Path, PathBuf};

use crate::config::ResumeFrom;
use crate::error::TrainError;

#[cfg(test)]
pub(crate) use tensors::TensorFile;

/// The file of the optimizer's moments.
pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";
/// The file that says how a model is used, and which run a checkpoint belongs to.
pub(crate) const OURS: &str = "light_splade.json";

/// Returns the checkpoint to continue: the folder that was named, or the last one of the output
/// folder, if it has any.
///
/// # Errors
/// If the folder cannot be read, or the one that was named does not exist.
pub(crate) fn checkpoint_to_resume(
    output: &Path,
    from: &ResumeFrom,
) -> Result<Option<PathBuf>, TrainError> {
    match from {
        ResumeFrom::Last => {
            folder::tidy(output)?;
            Ok(folder::checkpoints(output)?.pop().map(|(_, path)| path))
        }
        ResumeFrom::Folder(path) if path.is_dir() => Ok(Some(path.clone())),
        ResumeFrom::Folder(path) => Err(TrainError::Config {
            at: "training.resume_from_checkpoint".into(),
            message: format!("{} is no folder", path.display()),
        }),
    }
}

/// Deletes the checkpoints beyond `limit`, but never the last one nor that of the best model.
pub(crate) fn rotate(
    output: &Path,
    limit: Option<usize>,
    best: Option<&str>,
) -> Result<(), TrainError> {
    let all = folder::checkpoints(output)?;
    let steps: Vec<u64> = all.iter().map(|(step, _)| *step).collect();
    let best = all.iter().find(|(_, path)| best.is_some_and(|best| Path::new(best) == path));
    for step in retention::to_delete(&steps, limit, best.map(|(step, _)| *step)) {
        folder::delete(&folder::path(output, step))?;
    }
    Ok(())
}
