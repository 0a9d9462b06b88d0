//! Training passes of cross-encoders.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_nn::{Isa, Precision};
use splade_text::PairEncoding;

use super::save::{config_json, copy_tokenizer, write_json, write_weights};
use super::start::{Initial, find_tensor};
use crate::arch::{
    ArchitectureConfig, ClassifierConfig, ClassifierNames, Pass, Saved, SavedHead,
    SequenceClassifier, Work,
};
use crate::config::read_json;
use crate::cross_encoder::{BATCH_TOKENS, PackedPairs, PairNetwork, score_of};
use crate::error::ModelError;
use crate::parameter::Parameter;
use crate::weights::{FloatType, Weights, WeightsWriter};

/// A cross-encoder that can be trained. It holds the same parts as a
/// [`Trainable`](super::Trainable).
///
/// ```
/// use splade_model::Isa;
/// use splade_model::cross_encoder::PairTokenizer;
/// use splade_model::training::TrainableCrossEncoder;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cross_encoders/bert");
/// let pair = PairTokenizer::open(&model, None, None)?.encode_one("train", "The night train")?;
/// let mut ranker = TrainableCrossEncoder::load(&model, Isa::detect())?;
/// let logits = ranker.forward(&[&pair], &[0]);
/// // The derivative of the logistic loss of a relevant document.
/// ranker.backward(&[1.0 / (1.0 + (-logits[0]).exp()) - 1.0]);
/// assert!(ranker.parameters().iter().any(|(_, by)| by.numbers.iter().any(|by| *by != 0.0)));
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug)]
pub struct TrainableCrossEncoder {
    folder: PathBuf,
    config: ArchitectureConfig,
    classifier: ClassifierConfig,
    network: PairNetwork,
    gradients: SequenceClassifier,
    isa: Isa,
    saved: (Saved, SavedHead),
    work: Work,
    /// The inputs of the last forward pass, until the backward pass takes them.
    kept: Option<(PackedPairs, Vec<u64>)>,
}

impl TrainableCrossEncoder {
    /// Loads the cross-encoder of a folder.
    ///
    /// # Errors
    /// Returns an error if the model cannot be read or if its architecture cannot be trained.
    pub fn load(folder: &Path, isa: Isa) -> Result<Self, ModelError> {
        let config = ArchitectureConfig::open(folder)?;
        config.refuse_untrained(folder)?;
        let classifier = ClassifierConfig::open(folder, &config)?;
        let kernels = (isa, Precision::F32);
        let network = PairNetwork::load(folder, &config, &classifier, kernels, BATCH_TOKENS)?;
        let gradients = network.model.zeros_like();
        Ok(Self {
            folder: folder.to_path_buf(),
            config,
            classifier,
            network,
            gradients,
            isa,
            saved: Default::default(),
            work: Work::default(),
            kept: None,
        })
    }

    /// Returns the number of labels, which is the number of logits of a pair.
    pub fn labels(&self) -> usize {
        self.classifier.labels
    }

    /// Returns the scores of pairs, computed without dropout and without keeping anything for a
    /// backward pass. See [`CrossEncoder::score`](crate::CrossEncoder::score).
    ///
    /// # Errors
    /// Returns an error if the model has more than two labels.
    pub fn score(&self, pairs: &[PairEncoding]) -> Result<Vec<f32>, ModelError> {
        let logits = self.network.logits(pairs);
        let scores = logits.iter().map(|logits| score_of(logits)).collect::<Option<_>>();
        scores.ok_or_else(|| ModelError::Labels { labels: self.labels() })
    }

    /// Returns the logits of pairs, `(pairs, labels)`, computed with dropout, and keeps what
    /// [`backward`](Self::backward) needs. `keys` has one number for each pair, which determines
    /// what is dropped.
    ///
    /// # Panics
    /// Panics if the numbers of pairs and keys differ.
    pub fn forward(&mut self, pairs: &[&PairEncoding], keys: &[u64]) -> Vec<f32> {
        assert!(pairs.len() == keys.len(), "every pair needs a key");
        let packed = PackedPairs::new(pairs);
        let pass = Pass { texts: packed.texts(), keys, isa: self.isa };
        let (saved, saved_head) = &mut self.saved;
        let logits = self.network.model.forward_saved(&pass, saved, saved_head, &mut self.work);
        self.kept = Some((packed, keys.to_vec()));
        logits
    }

    /// Adds to the gradients of the weights. `gradients`, `(pairs, labels)`, are the derivatives of
    /// the loss with respect to the logits of the last forward pass, whose state is consumed.
    ///
    /// # Panics
    /// Panics if there was no forward pass or if it had another number of logits.
    pub fn backward(&mut self, gradients: &[f32]) {
        let (packed, keys) =
            self.kept.take().expect("a forward pass comes before its backward pass");
        let pass = Pass { texts: packed.texts(), keys: &keys, isa: self.isa };
        let saved = (&self.saved.0, &self.saved.1);
        let model = &self.network.model;
        model.backward(&pass, saved, gradients, &mut self.gradients, &mut self.work);
    }

    /// Returns every parameter with its gradient, always in the same order.
    pub fn parameters(&mut self) -> Vec<(Parameter<'_>, Parameter<'_>)> {
        let values = self.network.model.parameters(&self.config, &self.classifier);
        let gradients = self.gradients.parameters(&self.config, &self.classifier);
        values.into_iter().zip(gradients).collect()
    }

    /// Writes the folder of a sentence-transformers `CrossEncoder`: `config.json`,
    /// `model.safetensors` and the tokenizer's files. `max_length` is the longest pair in tokens.
    /// With `sigmoid`, the config tells readers to apply a sigmoid to the logit.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or written.
    pub fn save(
        &mut self,
        folder: &Path,
        max_length: usize,
        sigmoid: bool,
    ) -> Result<(), ModelError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| ModelError::Write { path: folder.into(), source })?;
        let mut config = config_json(&self.folder, "SequenceClassification", FloatType::F32)?;
        let activation = match sigmoid {
            true => "torch.nn.modules.activation.Sigmoid",
            false => "torch.nn.modules.linear.Identity",
        };
        config["sentence_transformers"] = json!({ "activation_fn": activation });
        write_json(&folder.join("config.json"), &config)?;
        copy_tokenizer(&self.folder, folder)?;
        let path = folder.join("tokenizer_config.json");
        let mut tokenizer = read_json(&path)?.unwrap_or_else(|| json!({}));
        tokenizer["model_max_length"] = Value::from(max_length);
        if self.config.token_types() == Some(1) {
            // Without this setting, transformers would look up the missing type of the second text
            // and fail.
            tokenizer["model_input_names"] = json!(["input_ids", "attention_mask"]);
        }
        write_json(&path, &tokenizer)?;
        let parameters = self.network.model.parameters(&self.config, &self.classifier);
        write_weights(&folder.join("model.safetensors"), &parameters, None)
    }
}

/// Returns whether the model in a folder lacks a classifier with `labels` labels.
///
/// ```
/// use splade_model::training::lacks_classifier;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// # let classifier = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cross_encoders/bert");
/// assert!(lacks_classifier(&model, 1)?);
/// assert!(!lacks_classifier(&classifier, 1)?);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
///
/// # Errors
/// Returns an error if the model cannot be read.
pub fn lacks_classifier(folder: &Path, labels: usize) -> Result<bool, ModelError> {
    let config = ArchitectureConfig::open(folder)?;
    let ClassifierNames { dense, output, .. } = config.0.classifier_names();
    let weights = Weights::open(folder)?;
    let has = |name: &str| weights.shape(&format!("{name}.weight"));
    let output = has(output).is_some_and(|shape| shape.first() == Some(&labels));
    Ok(!output || has(dense).is_none() || weights.shape(config.0.word_head().embedding).is_none())
}

/// Writes a copy of the encoder in `folder` with a classifier of `labels` labels into `out`,
/// initialised as in transformers: tensors of the classifier that the folder has are kept, and
/// other matrices are drawn from `normal`, a standard normal distribution, and multiplied by the
/// config's `initializer_range`.
///
/// ```
/// use splade_model::training::{add_classifier, lacks_classifier};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let out = tempfile::tempdir()?;
/// // A program draws from a normal distribution here.
/// let mut draws = [0.5, -0.25, 1.0, -1.25].iter().copied().cycle();
/// add_classifier(&model, out.path(), 1, &mut || draws.next().unwrap_or_default())?;
/// assert!(!lacks_classifier(out.path(), 1)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the encoder cannot be read, if its architecture cannot be trained or if the
/// copy cannot be written.
pub fn add_classifier(
    folder: &Path,
    out: &Path,
    labels: usize,
    normal: &mut dyn FnMut() -> f64,
) -> Result<(), ModelError> {
    let config = ArchitectureConfig::open(folder)?;
    config.refuse_untrained(folder)?;
    let mut settings = config_json(folder, "SequenceClassification", FloatType::F32)?;
    let names: Vec<String> = (0..labels).map(|label| format!("LABEL_{label}")).collect();
    settings["id2label"] = names
        .iter()
        .enumerate()
        .map(|(i, name)| (i.to_string(), Value::from(name.clone())))
        .collect();
    settings["label2id"] =
        names.iter().enumerate().map(|(i, name)| (name.clone(), Value::from(i))).collect();
    let write = |source| ModelError::Write { path: out.into(), source };
    std::fs::create_dir_all(out).map_err(write)?;
    write_json(&out.join("config.json"), &settings)?;
    copy_tokenizer(folder, out)?;

    let weights = Weights::open(folder)?;
    let head = config.0.classifier_names();
    let body = config.0.prefix();
    let parts = [Some(head.dense), head.norm, Some(head.output)];
    let of_head = |name: &str| parts.into_iter().flatten().any(|part| name.starts_with(part));
    let mut tensors: Vec<(String, Vec<usize>, Initial<'_>)> = Vec::new();
    // Only the encoder is copied, not its masked language modelling head.
    let whole = weights.names().any(|name| name.starts_with(body));
    for name in weights.names().filter(|name| !whole || name.starts_with(body)) {
        let full = if whole { name.to_owned() } else { format!("{body}{name}") };
        let shape = weights.shape(name).unwrap_or_default().to_vec();
        if !of_head(&full) && !full.ends_with("position_ids") {
            tensors.push((full, shape, Initial::Read(name)));
        }
    }
    let classifier = ClassifierConfig::open(out, &config)?;
    let (hidden, _, _) = config.shape();
    let deviation = settings["initializer_range"].as_f64().unwrap_or(0.02) as f32;
    let mut add = |name: String, shape: &[usize], new| {
        let kept = find_tensor(&weights, &name, body);
        let kept = kept.filter(|kept| weights.shape(kept) == Some(shape));
        tensors.push((name, shape.to_vec(), kept.map_or(new, Initial::Read)));
    };
    add(format!("{}.weight", head.dense), &[hidden, hidden], Initial::Normal(deviation));
    if classifier.head.dense_bias {
        add(format!("{}.bias", head.dense), &[hidden], Initial::Constant(0.0));
    }
    if let Some(norm) = head.norm {
        add(format!("{norm}.weight"), &[hidden], Initial::Constant(1.0));
        if classifier.head.norm_bias {
            add(format!("{norm}.bias"), &[hidden], Initial::Constant(0.0));
        }
    }
    add(format!("{}.weight", head.output), &[labels, hidden], Initial::Normal(deviation));
    add(format!("{}.bias", head.output), &[labels], Initial::Constant(0.0));
    let announced: Vec<_> =
        tensors.iter().map(|(name, shape, _)| (name.clone(), shape.clone())).collect();
    let mut file = WeightsWriter::create(&out.join("model.safetensors"), &announced)?;
    for (_, shape, source) in &tensors {
        file.write(&source.numbers(shape, &weights, normal)?)?;
    }
    file.finish()
}
