//! Cross-encoders: models that read a query and a document as one text and score the pair.
//!
//! The folders are those of transformers' `…ForSequenceClassification`, which
//! sentence-transformers' `CrossEncoder` reads and writes too. Scores are raw logits: the caller
//! applies the activation that the folder names, if the caller wants it. A score depends neither on
//! the other pairs of the batch nor on the number of threads.
//!
//! ```
//! use splade_model::{CrossEncoder, CrossEncoderOptions};
//!
//! # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cross_encoders/bert");
//! let ranker = CrossEncoder::load(&model, &CrossEncoderOptions::default())?;
//! let query = "the last train";
//! let scores = ranker.score(&[(query, "The night train crosses the bridge."), (query, "The baker")])?;
//! assert!(scores[0] != scores[1]);
//! # Ok::<(), splade_model::ModelError>(())
//! ```

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rayon::prelude::*;
use splade_io::Problem;
use splade_nn::{Isa, Precision};
use splade_text::{PairEncoding, Tokenizer, TokenizerOptions};

use crate::arch::{
    ArchitectureConfig, ClassifierConfig, PackedTexts, ScoreActivation, SequenceClassifier,
    Workspace,
};
use crate::encoder::start_of;
use crate::error::ModelError;
use crate::loader::kernels;
use crate::network::{are_finite, in_micro_batches, offsets};

/// Settings of [`CrossEncoder::load`].
///
/// ```
/// use splade_model::{CrossEncoder, CrossEncoderOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cross_encoders/bert");
/// let options = CrossEncoderOptions { max_length: Some(8), ..CrossEncoderOptions::default() };
/// let ranker = CrossEncoder::load(&model, &options)?;
/// let pairs = [("the last train", "The night train crosses the old bridge before dawn.")];
/// assert_eq!(ranker.score_batch(&pairs)?.truncated, 1);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CrossEncoderOptions {
    /// The precision of the matrix products.
    pub precision: Precision,
    /// The instruction set of the kernels. The default is the best one of this CPU.
    pub isa: Isa,
    /// The longest pair in tokens, special tokens included. `None` means the limit of the model.
    pub max_length: Option<usize>,
    /// The number of tokens in a micro-batch. The default is 512.
    pub batch_tokens: usize,
    /// A MeCab dictionary that replaces the one that a Japanese model names: a folder with a
    /// compiled dictionary or a packed file.
    pub mecab_dicdir: Option<PathBuf>,
}

impl Default for CrossEncoderOptions {
    fn default() -> Self {
        Self {
            precision: Precision::default(),
            isa: Isa::detect(),
            max_length: None,
            batch_tokens: BATCH_TOKENS,
            mecab_dicdir: None,
        }
    }
}

/// The default number of tokens in a micro-batch.
pub(crate) const BATCH_TOKENS: usize = 512;

/// A cross-encoder on the CPU. It computes on the threads of the current rayon pool.
///
/// ```
/// use splade_model::{CrossEncoder, CrossEncoderOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cross_encoders/bert-two-labels");
/// let ranker = CrossEncoder::load(&model, &CrossEncoderOptions::default())?;
/// let pairs = [("train", "The night train crosses the bridge.")];
/// // With two labels, a score is the difference of their logits.
/// let logits = &ranker.logits(&pairs)?[0];
/// assert_eq!(ranker.score(&pairs)?, [logits[1] - logits[0]]);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug)]
pub struct CrossEncoder {
    tokenizer: PairTokenizer,
    network: PairNetwork,
    classifier: ClassifierConfig,
}

/// The scores that [`CrossEncoder::score_batch`] returns, with counts.
///
/// ```
/// use splade_model::cross_encoder::ScoredPairs;
/// use splade_model::{CrossEncoder, CrossEncoderOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cross_encoders/bert");
/// let ranker = CrossEncoder::load(&model, &CrossEncoderOptions::default())?;
/// let ScoredPairs { scores, tokens, truncated } = ranker.score_batch(&[("train", "night train")])?;
/// // [CLS] train [SEP] night train [SEP]
/// assert_eq!((scores.len(), tokens, truncated), (1, 6, 0));
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ScoredPairs {
    /// One score for each pair, in the order of the pairs.
    pub scores: Vec<f32>,
    /// The number of tokens of all pairs, special tokens included.
    pub tokens: usize,
    /// The number of pairs that were truncated to the longest length.
    pub truncated: usize,
}

impl CrossEncoder {
    /// Loads the cross-encoder of a folder.
    ///
    /// # Errors
    /// Returns an error if the folder does not hold a model that can be read, or if a setting does
    /// not fit the model.
    pub fn load(folder: &Path, options: &CrossEncoderOptions) -> Result<Self, ModelError> {
        refuse_modules(folder)?;
        let config = ArchitectureConfig::open(folder)?;
        let classifier = ClassifierConfig::open(folder, &config)?;
        let dictionary = options.mecab_dicdir.clone();
        let tokenizer = PairTokenizer::load(folder, &config, options.max_length, dictionary)?;
        let kernels = kernels(options.isa, options.precision)?;
        let network =
            PairNetwork::load(folder, &config, &classifier, kernels, options.batch_tokens)?;
        Ok(Self { tokenizer, network, classifier })
    }

    /// Returns a score for each pair. For a model with one label it is the logit; for a model with
    /// two labels it is the second logit minus the first.
    ///
    /// # Errors
    /// Returns an error if a text cannot be tokenized, if the model has more than two labels or if a
    /// score is not finite.
    pub fn score<T: AsRef<str> + Sync>(&self, pairs: &[(T, T)]) -> Result<Vec<f32>, ModelError> {
        Ok(self.score_batch(pairs)?.scores)
    }

    /// Scores pairs and counts their tokens and the truncated pairs.
    ///
    /// # Errors
    /// Returns the same errors as [`score`](Self::score).
    pub fn score_batch<T: AsRef<str> + Sync>(
        &self,
        pairs: &[(T, T)],
    ) -> Result<ScoredPairs, ModelError> {
        let encoded = self.tokenizer.encode(pairs)?;
        let logits = self.logits_of(&encoded)?;
        let scores = logits.iter().map(|logits| score_of(logits)).collect::<Option<_>>();
        let scores = scores.ok_or_else(|| ModelError::Labels { labels: self.labels() })?;
        Ok(ScoredPairs {
            scores,
            tokens: encoded.iter().map(|pair| pair.ids.len()).sum(),
            truncated: encoded.iter().filter(|pair| pair.truncated).count(),
        })
    }

    /// Returns the logits of every pair, one for each label.
    ///
    /// # Errors
    /// Returns an error if a text cannot be tokenized or if a logit is not finite.
    pub fn logits<T: AsRef<str> + Sync>(
        &self,
        pairs: &[(T, T)],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        self.logits_of(&self.tokenizer.encode(pairs)?)
    }

    /// Returns the logits of every pair of which [`tokenizer`](Self::tokenizer) made the ids.
    ///
    /// # Errors
    /// Returns an error if a logit is not finite.
    pub fn logits_of(&self, encoded: &[PairEncoding]) -> Result<Vec<Vec<f32>>, ModelError> {
        let logits = self.network.logits(encoded);
        let broken = logits.iter().position(|logits| !are_finite(logits));
        match broken.and_then(|broken| encoded.get(broken)) {
            None => Ok(logits),
            Some(pair) => {
                let text = self.tokenizer.tokenizer.decode(&pair.ids, true);
                Err(ModelError::NotFinite { text: start_of(&text) })
            }
        }
    }

    /// Returns the number of labels, which is the number of logits of a pair.
    pub fn labels(&self) -> usize {
        self.classifier.labels
    }

    /// Returns the name of each label, as `id2label` of the folder's config gives it.
    pub fn label_names(&self) -> &[String] {
        &self.classifier.names
    }

    /// Returns whether sentence-transformers applies a sigmoid to the logits of this folder.
    pub fn has_sigmoid(&self) -> bool {
        self.classifier.score == ScoreActivation::Sigmoid
    }

    /// Returns the tokenizer, which encodes two texts as one sequence.
    pub fn tokenizer(&self) -> &PairTokenizer {
        &self.tokenizer
    }

    /// Returns the size of the packed weights in bytes.
    pub fn weight_bytes(&self) -> usize {
        self.network.model.bytes()
    }

    /// Returns the names of the tensors in the weights file that the model does not use.
    pub fn unexpected_tensors(&self) -> &[String] {
        &self.network.model.unexpected
    }
}

/// Returns the score for the logits of a pair, or `None` if there are more than two logits.
pub(crate) fn score_of(logits: &[f32]) -> Option<f32> {
    match *logits {
        [score] => Some(score),
        [no, yes] => Some(yes - no),
        _ => None,
    }
}

/// A tokenizer that turns pairs of texts into the ids and token types that the model of a folder
/// takes.
///
/// ```
/// use splade_model::cross_encoder::PairTokenizer;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cross_encoders/bert");
/// let tokenizer = PairTokenizer::open(&model, Some(8), None)?;
/// let pair = tokenizer.encode_one("train", "The night train crosses the bridge.")?;
/// assert_eq!((pair.ids.len(), pair.truncated), (8, true));
/// assert!(tokenizer.length_of("train", "The night train crosses the bridge.")? > 8);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug)]
pub struct PairTokenizer {
    tokenizer: Tokenizer,
    max_length: usize,
    /// Whether the model distinguishes the two texts of a pair by token types.
    typed: bool,
}

impl PairTokenizer {
    /// Loads the tokenizer of a folder.
    ///
    /// # Errors
    /// Returns an error if the folder has no tokenizer or if a setting does not fit the model.
    pub fn open(
        folder: &Path,
        max_length: Option<usize>,
        mecab_dicdir: Option<PathBuf>,
    ) -> Result<Self, ModelError> {
        Self::load(folder, &ArchitectureConfig::open(folder)?, max_length, mecab_dicdir)
    }

    fn load(
        folder: &Path,
        config: &ArchitectureConfig,
        max_length: Option<usize>,
        mecab_dicdir: Option<PathBuf>,
    ) -> Result<Self, ModelError> {
        let tokenizer = Tokenizer::from_dir(folder, &TokenizerOptions { mecab_dicdir })?;
        let (vocab, limit) = (config.vocab(), config.max_tokens());
        if tokenizer.len() > vocab {
            let (path, tokens) = (folder.to_path_buf(), tokenizer.len());
            return Err(ModelError::Vocabulary { path, tokens, vocab });
        }
        // A model with a single token type cannot distinguish the two texts, so all types are zero.
        let typed = config.token_types().filter(|rows| *rows > 1);
        let types = usize::from(tokenizer.max_token_type());
        if typed.is_some_and(|rows| types >= rows) {
            return Err(ModelError::Unsuitable {
                path: folder.to_path_buf(),
                doing: "score pairs",
                problem: Problem::new(format!(
                    "the tokenizer gives pairs the token type {types}, but the model has no \
                     embedding for it"
                ))
                .with_remedy(
                    "save the tokenizer without token types (\"model_input_names\" in \
                     tokenizer_config.json)",
                ),
            });
        }
        let own = tokenizer.model_max_length().unwrap_or(limit).min(limit);
        let max_length = max_length.unwrap_or(own);
        if !(6..=limit).contains(&max_length) {
            return Err(ModelError::MaxLength { got: max_length, shortest: 6, longest: limit });
        }
        Ok(Self { tokenizer, max_length, typed: typed.is_some() })
    }

    /// Returns the ids and the token types of every pair.
    ///
    /// # Errors
    /// Returns an error if a text cannot be tokenized.
    pub fn encode<T: AsRef<str> + Sync>(
        &self,
        pairs: &[(T, T)],
    ) -> Result<Vec<PairEncoding>, ModelError> {
        pairs.par_iter().map(|(a, b)| self.encode_one(a.as_ref(), b.as_ref())).collect()
    }

    /// Returns the ids and the token types of a pair.
    ///
    /// # Errors
    /// Returns an error if a text cannot be tokenized.
    pub fn encode_one(&self, a: &str, b: &str) -> Result<PairEncoding, ModelError> {
        let mut encoded = self.tokenizer.encode_pair((a, b), Some(self.max_length))?;
        if !self.typed {
            encoded.types.fill(0);
        }
        Ok(encoded)
    }

    /// Returns the number of tokens of a pair that is not truncated, special tokens included.
    ///
    /// # Errors
    /// Returns an error if a text cannot be tokenized.
    pub fn length_of(&self, a: &str, b: &str) -> Result<usize, ModelError> {
        Ok(self.tokenizer.encode_pair((a, b), None)?.ids.len())
    }

    /// Returns the longest pair in tokens, special tokens included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }
}

/// Fails if a folder has the modules of sentence-transformers, which say how scores are made.
fn refuse_modules(folder: &Path) -> Result<(), ModelError> {
    let path = folder.join("modules.json");
    if !path.is_file() {
        return Ok(());
    }
    let problem = Problem::new("the modules of a cross-encoder are not implemented");
    let remedy = "save the model and its tokenizer with transformers' save_pretrained";
    Err(ModelError::Config { path, problem: problem.with_remedy(remedy) })
}

/// A sequence classifier that computes pairs in micro-batches.
#[derive(Debug)]
pub(crate) struct PairNetwork {
    pub(crate) model: SequenceClassifier,
    batch_tokens: usize,
    workspaces: Mutex<Vec<Workspace>>,
}

/// Pairs in one sequence of tokens: their ids, their types and the offset of each pair.
#[derive(Debug, Default)]
pub(crate) struct PackedPairs {
    ids: Vec<u32>,
    types: Vec<u8>,
    offsets: Vec<usize>,
}

impl PackedPairs {
    pub(crate) fn new(pairs: &[&PairEncoding]) -> Self {
        let ids: Vec<&[u32]> = pairs.iter().map(|pair| &*pair.ids).collect();
        let types = pairs.iter().flat_map(|pair| pair.types.iter().copied()).collect();
        Self { ids: ids.concat(), types, offsets: offsets(&ids) }
    }

    pub(crate) fn texts(&self) -> PackedTexts<'_> {
        PackedTexts { ids: &self.ids, types: &self.types, offsets: &self.offsets, attended: &[] }
    }
}

impl PairNetwork {
    pub(crate) fn load(
        folder: &Path,
        config: &ArchitectureConfig,
        classifier: &ClassifierConfig,
        (isa, precision): (Isa, Precision),
        batch_tokens: usize,
    ) -> Result<Self, ModelError> {
        let model = SequenceClassifier::load(&folder.into(), config, classifier, isa, precision)?;
        Ok(Self { model, batch_tokens: batch_tokens.max(1), workspaces: Mutex::default() })
    }

    /// Computes the logits of every pair.
    pub(crate) fn logits(&self, pairs: &[PairEncoding]) -> Vec<Vec<f32>> {
        let lengths: Vec<usize> = pairs.iter().map(|pair| pair.ids.len()).collect();
        in_micro_batches(&lengths, self.batch_tokens, |batch, parallel| {
            let pairs: Vec<&PairEncoding> = batch.iter().map(|pair| &pairs[*pair]).collect();
            let packed = PackedPairs::new(&pairs);
            let mut workspace =
                self.workspaces.lock().ok().and_then(|mut w| w.pop()).unwrap_or_default();
            let logits = self.model.forward(&packed.texts(), &mut workspace, parallel);
            if let Ok(mut workspaces) = self.workspaces.lock() {
                workspaces.push(workspace);
            }
            let labels = logits.len() / pairs.len();
            logits.chunks_exact(labels).map(<[f32]>::to_vec).collect()
        })
    }
}
