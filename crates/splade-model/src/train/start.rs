//! Builds a masked language model from an encoder that has no masked language modelling head (such
//! as MiniLM).
//!
//! The decoder starts as a copy of the word embeddings, centred (minus their mean) and normalised.
//! The transform before the decoder starts as the identity. With the layer norm of the transform,
//! the logits of a word have a standard deviation near 1 over the tokens of a text, for models of
//! every size, and [`Trainable::calibrate`] shifts the bias to reach a given number of terms.

use std::path::Path;

use serde_json::Value;
use splade_io::Problem;

use super::Trainable;
use super::save::{config_json, copy_tokenizer, write_json};
use crate::arch::ArchitectureConfig;
use crate::config::read_json;
use crate::error::ModelError;
use crate::weights::{FloatType, Weights, WeightsWriter};

/// Returns whether the model in a folder lacks a masked language modelling head.
///
/// ```
/// use splade_model::training::lacks_head;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// # let classifier = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cross_encoders/bert");
/// assert!(!lacks_head(&model)?);
/// assert!(lacks_head(&classifier)?);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
///
/// # Errors
/// Returns an error if the model cannot be read.
pub fn lacks_head(folder: &Path) -> Result<bool, ModelError> {
    let config = ArchitectureConfig::open(folder)?;
    let weights = Weights::open(folder)?;
    let dense = config.0.word_head().dense;
    Ok(config.0.is_trained() && weights.shape(&format!("{dense}.weight")).is_none())
}

/// Writes a copy of the encoder in `folder` with a masked language modelling head into `out`.
///
/// ```
/// use splade_model::training::{add_head, lacks_head};
///
/// # let classifier = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cross_encoders/bert");
/// let out = tempfile::tempdir()?;
/// add_head(&classifier, out.path())?;
/// assert!(!lacks_head(out.path())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the encoder cannot be read, if its family has a head that is narrower than
/// its layers or if the copy cannot be written.
pub fn add_head(folder: &Path, out: &Path) -> Result<(), ModelError> {
    let config = ArchitectureConfig::open(folder)?;
    let weights = Weights::open(folder)?;
    let no_head = |problem: Problem| ModelError::Unsuitable {
        path: folder.to_path_buf(),
        doing: "add a masked language modelling head",
        problem,
    };
    if !config.0.is_trained() {
        return Err(no_head(format!("{} models cannot be trained", config.name()).into()));
    }
    let head = config.0.word_head();
    let (hidden, _, _) = config.shape();
    let (vocab, prefix) = (config.vocab(), config.0.prefix());
    let embedding = find_tensor(&weights, head.embedding, prefix);
    let embedding = embedding
        .ok_or_else(|| no_head(format!("there is no tensor {}", head.embedding).into()))?;
    if weights.shape(embedding) != Some(&[vocab, hidden]) {
        let shape = weights.shape(embedding).unwrap_or_default();
        let what = format!("the word embeddings have shape {shape:?}, not ({vocab}, {hidden})");
        return Err(no_head(Problem::new(what).with_remedy(
            "use a model with a head of its own, or with embeddings as wide as its layers",
        )));
    }
    let mut tensors: Vec<(String, Vec<usize>, Initial)> = Vec::new();
    for name in
        weights.names().filter(|name| !name.contains("pooler") && !name.contains("position_ids"))
    {
        let shape = weights.shape(name).unwrap_or_default().to_vec();
        let full = match name.starts_with(prefix) {
            true => name.to_owned(),
            false => format!("{prefix}{name}"),
        };
        tensors.push((full, shape, Initial::Read(name)));
    }
    let mut add = |name: String, shape: Vec<usize>, source| tensors.push((name, shape, source));
    add(format!("{}.weight", head.dense), vec![hidden, hidden], Initial::Identity);
    if head.dense_bias {
        add(format!("{}.bias", head.dense), vec![hidden], Initial::Constant(0.0));
    }
    add(format!("{}.weight", head.norm), vec![hidden], Initial::Constant(1.0));
    if head.norm_bias {
        add(format!("{}.bias", head.norm), vec![hidden], Initial::Constant(0.0));
    }
    add(head.decoder.to_owned(), vec![vocab, hidden], Initial::Embeddings(embedding));
    add(head.bias[0].to_owned(), vec![vocab], Initial::Constant(0.0));

    let write = |path: &Path, source| ModelError::Write { path: path.into(), source };
    std::fs::create_dir_all(out).map_err(|source| write(out, source))?;
    let announced: Vec<_> =
        tensors.iter().map(|(name, shape, _)| (name.clone(), shape.clone())).collect();
    let mut file = WeightsWriter::create(&out.join("model.safetensors"), &announced)?;
    for (_, shape, source) in &tensors {
        // No tensor of this head is random, so the generator is never called.
        file.write(&source.numbers(shape, &weights, &mut || 0.0)?)?;
    }
    file.finish()?;
    let mut settings = config_json(folder, "MaskedLM", FloatType::F32)?;
    settings["tie_word_embeddings"] = Value::Bool(false);
    if let Some(key) = config.0.new_head_setting() {
        settings[key] = Value::Bool(true);
    }
    write_json(&out.join("config.json"), &settings)?;
    copy_tokenizer(folder, out)?;
    // This file gives the longest text for tokenizers that do not.
    if let Some(settings) = read_json(&folder.join("sentence_bert_config.json"))? {
        let path = out.join("sentence_bert_config.json");
        std::fs::write(&path, settings.to_string()).map_err(|source| write(&path, source))?;
    }
    Ok(())
}

/// Returns the name under which the weights have a tensor: its full name, or the name without the
/// prefix if the encoder was saved alone.
pub(super) fn find_tensor<'a>(weights: &'a Weights, name: &str, prefix: &str) -> Option<&'a str> {
    let short = name.strip_prefix(prefix).unwrap_or(name);
    [name, short].into_iter().find_map(|name| weights.names().find(|has| *has == name))
}

/// The source of the numbers of a tensor.
pub(super) enum Initial<'a> {
    /// The tensor of that name in the weights of the folder.
    Read(&'a str),
    Identity,
    Constant(f32),
    /// Random numbers from a normal distribution with mean zero and this standard deviation.
    Normal(f32),
    /// The tensor of that name, with centred and normalised rows.
    Embeddings(&'a str),
}

impl Initial<'_> {
    /// Returns the numbers of a tensor. `normal` draws from the standard normal distribution.
    pub(super) fn numbers(
        &self,
        shape: &[usize],
        weights: &Weights,
        normal: &mut dyn FnMut() -> f64,
    ) -> Result<Vec<f32>, ModelError> {
        let size: usize = shape.iter().product();
        Ok(match self {
            Initial::Read(name) => weights.read_f32(name)?,
            Initial::Constant(value) => vec![*value; size],
            Initial::Normal(deviation) => (0..size).map(|_| normal() as f32 * deviation).collect(),
            Initial::Identity => {
                (0..size).map(|i| f32::from(u8::from(i / shape[0] == i % shape[0]))).collect()
            }
            Initial::Embeddings(name) => centred_and_normalized(weights.read_f32(name)?, shape[1]),
        })
    }
}

/// Subtracts the mean from every row and scales the rows to length 1. A row that equals the mean
/// becomes zero.
fn centred_and_normalized(mut rows: Vec<f32>, width: usize) -> Vec<f32> {
    let mut mean = vec![0.0f64; width];
    for row in rows.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x));
    }
    let count = (rows.len() / width) as f64;
    for row in rows.chunks_exact_mut(width) {
        row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= (mean / count) as f32);
        let norm = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        if norm > 1e-9 {
            row.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
    }
    rows
}

/// The value that is added to the bias during calibration so that all logits are above zero.
const LIFT: f32 = 64.0;

impl Trainable {
    /// Shifts the decoder's bias so that half of `texts` have at least `terms` terms, and returns
    /// the shift. With sum pooling, the shift is computed from the largest logits too.
    ///
    /// # Errors
    /// Returns an error if the decoder has no bias.
    pub fn calibrate(&mut self, texts: &[&[u32]], terms: usize) -> Result<f32, ModelError> {
        self.shift_bias(LIFT)?;
        let mut wanted: Vec<f32> = self
            .network
            .largest_logits(texts)
            .into_iter()
            .map(|mut logits| {
                logits.sort_by(|a, b| b.total_cmp(a));
                logits.get(terms).copied().unwrap_or(f32::NEG_INFINITY) - LIFT
            })
            .filter(|logit| logit.is_finite())
            .collect();
        wanted.sort_by(f32::total_cmp);
        let shift = wanted.get(wanted.len() / 2).map_or(0.0, |logit| -logit);
        self.shift_bias(shift - LIFT)?;
        Ok(shift)
    }

    fn shift_bias(&mut self, shift: f32) -> Result<(), ModelError> {
        let bias = self.network.model.decoder.output.bias.as_mut().ok_or(ModelError::NoBias)?;
        bias.iter_mut().for_each(|x| *x += shift);
        Ok(())
    }
}
