//! The model folder from which the training of a cross-encoder starts.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use splade_model::training::{add_classifier, lacks_classifier};

use crate::error::TrainError;
use splade_data::random::Random;

/// The number that keeps the weights of a new classifier independent of other random choices.
const START: u64 = 13;

/// Returns the folder of a model with a classifier of `labels` labels, and whether the classifier
/// is new. The folder is `model` itself if it has a classifier, or else a copy in `out` with random
/// weights that follow from the seed.
///
/// # Errors
/// Returns an error if the model cannot be read or the copy cannot be written.
pub(super) fn started(
    model: &Path,
    labels: usize,
    seed: u64,
    out: &Path,
) -> Result<(PathBuf, bool), TrainError> {
    if !lacks_classifier(model, labels)? {
        return Ok((model.to_path_buf(), false));
    }
    let mut random = Random::new(&[seed, START]);
    let mut unit = move || ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    // This is the transform of Box and Muller, "A note on the generation of random normal
    // deviates", 1958.
    let mut normal = || (-2.0 * libm::log(unit())).sqrt() * libm::cos(TAU * unit());
    add_classifier(model, out, labels, &mut normal)?;
    Ok((out.to_path_buf(), true))
}
