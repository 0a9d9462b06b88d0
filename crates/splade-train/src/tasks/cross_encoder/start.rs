//! The folder that a cross-encoder starts from.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use splade_model::training::{add_classifier, lacks_classifier};

use crate::error::TrainError;
use splade_data::random::Random;

/// What keys of random numbers are for.
const START: u64 = 13;

/// Returns the folder of a model with a classifier of `labels` labels, and whether the classifier is
/// new: `model` itself if it has one, else a copy in `out` with one that is drawn by the seed.
///
/// # Errors
/// If the model cannot be read, or the copy not be written.
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
    // Box and Muller, "A note on the generation of random normal deviates", 1958.
    let mut normal = || (-2.0 * libm::log(unit())).sqrt() * libm::cos(TAU * unit());
    add_classifier(model, out, labels, &mut normal)?;
    Ok((out.to_path_buf(), true))
}
