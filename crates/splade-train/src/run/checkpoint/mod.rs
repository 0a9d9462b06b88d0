//! Checkpoints: everything that a run needs to resume as if it had not been stopped.
//!
//! The folder `output_dir/checkpoint-N`, written after step `N`, is a model folder in the layout of
//! Hugging Face with these additional files:
//!
//! - `optimizer.safetensors`: the optimizer's moments, one tensor for each, named
//!   `document/exp_avg/<tensor>`;
//! - the records of its task. One of them is `light_splade.json`, which identifies the run and
//!   holds its exact state under `run`.
//!
//! A checkpoint holds no state of a random number generator and no position in the data, because
//! both follow from the seed and the step. `folder.rs` writes folders atomically, `tensors.rs` and
//! `moments.rs` read and write parameters and moments, `retention.rs` decides which checkpoints are
//! deleted, `differences.rs` decides whether a checkpoint belongs to a run, and `record.rs` is the
//! record of runs with transformers' settings.

pub(crate) mod folder;
mod tensors;

pub(crate) mod moments;

pub(crate) mod differences;
pub(crate) mod record;
mod retention;

use std::path::{Path, PathBuf};

use hydra_compose::settings::SettingError;

use crate::config::ResumeFrom;
use crate::error::TrainError;

#[cfg(test)]
pub(crate) use tensors::TensorFile;

/// The file of the optimizer's moments.
pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";

/// Returns the checkpoint to resume from: the given folder, or else the last checkpoint in the
/// output folder, if there is one.
///
/// # Errors
/// Returns an error if the folder cannot be read, or if the given folder does not exist.
pub(crate) fn checkpoint_to_resume(
    output: &Path,
    from: &ResumeFrom,
) -> Result<Option<PathBuf>, TrainError> {
    match from {
        ResumeFrom::Last => Ok(folder::checkpoints(output)?.pop().map(|(_, path)| path)),
        ResumeFrom::Folder(path) if path.is_dir() => Ok(Some(path.clone())),
        ResumeFrom::Folder(path) => {
            let rule = format!("the folder {} does not exist", path.display());
            Err(SettingError::new("training.resume_from_checkpoint", rule).into())
        }
    }
}

/// Deletes the checkpoints beyond `limit`, but never the last one or that of the best model.
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
