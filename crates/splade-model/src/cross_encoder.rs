//! Cross-encoders: a query and a document as one text, to a score.
//!
//! The folders are those of transformers' `…ForSequenceClassification`, as sentence-transformers'
//! `CrossEncoder` has them. Scores are raw logits: what the activation of the folder would make of
//! them is left to the caller. A score never depends on the pairs beside it, nor on the threads.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rayon::prelude::*;
use splade_nn::{Isa, Precision};
use splade_text::{PairEncoding, Tokenizer, TokenizerOptions};

use crate::arch::{
    ArchitectureConfig, ClassifierConfig, PackedTexts, ScoreActivation, SequenceClassifier,
    Workspace,
};
use crate::error::ModelError;
use crate::network::{in_micro_batches, offsets};

/// Settings of [`CrossEncoder::load`].
#[derive(Debug, Clone)]
pub struct CrossEncoderOptions {
    /// The arithmetic of the products.
    pub precision: Precision,
    /// The kernels.
    pub isa: Isa,
    /// The longest pair in tokens, special tokens included; the model's limit if none.
    pub max_length: Option<usize>,
    /// Tokens of a micro-batch.
    pub batch_tokens: usize,
    /// A compiled MeCab dictionary for Japanese models.
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

/// Tokens of a micro-batch where nothing else is said.
pub(crate) const BATCH_TOKENS: usize = 512;

/// A cross-encoder on the CPU, on the threads of the current rayon pool.
#[derive(Debug)]
pub struct CrossEncoder {
    tokenizer: PairTokenizer,
    network: PairNetwork,
    classifier: ClassifierConfig,
}

/// What [`CrossEncoder::score_batch`] gives.
#[derive(Debug, Clone, Default)]
pub struct ScoredPairs {
    /// One a pair.
    pub scores: Vec<f32>,
    /// Tokens of all pairs, special tokens included.
    pub tokens: usize,
    /// Pairs that were cut off at the longest length.
    pub truncated: usize,
}

impl CrossEncoder {
    /// Loads the cross-encoder of a folder.
    ///
    /// # Errors
    /// If the folder is none that can be read, or a setting does not fit it.
    pub fn load(folder: &Path, options: &CrossEncoderOptions) -> Result<Self, ModelError> {
        let config = ArchitectureConfig::open(folder)?;
        let classifier = ClassifierConfig::open(folder, &config)?;
        let dictionary = options.mecab_dicdir.clone();
        let tokenizer = PairTokenizer::load(folder, &config, options.max_length, dictionary)?;
        let kernels = (options.isa, options.precision);
        let network =
            PairNetwork::load(folder, &config, &classifier, kernels, options.batch_tokens)?;
        Ok(Self { tokenizer, network, classifier })
    }

    /// A score for each pair: the logit of a model with one label, what the second label has over
    /// the first of a model with two.
    ///
    /// # Errors
    /// If a text cannot be tokenized, or the model has other labels.
    pub fn score<T: AsRef<str> + Sync>(&self, pairs: &[(T, T)]) -> Result<Vec<f32>, ModelError> {
        Ok(self.score_batch(pairs)?.scores)
    }

    /// Scores pairs and counts tokens and pairs that were cut off.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn score_batch<T: AsRef<str> + Sync>(
        &self,
        pairs: &[(T, T)],
    ) -> Result<ScoredPairs, ModelError> {
        let encoded = self.tokenizer.encode(pairs)?;
        let logits = self.network.logits(&encoded);
        let scores = logits.iter().map(|logits| score_of(logits)).collect::<Option<_>>();
        let scores = scores.ok_or_else(|| {
            ModelError::Setting(format!(
                "a score is made of one or two labels; this model has {}",
                self.labels()
            ))
        })?;
        Ok(ScoredPairs {
            scores,
            tokens: encoded.iter().map(|pair| pair.ids.len()).sum(),
            truncated: encoded.iter().filter(|pair| pair.truncated).count(),
        })
    }

    /// The logits of every pair, one a label.
    ///
    /// # Errors
    /// If a text cannot be tokenized.
    pub fn logits<T: AsRef<str> + Sync>(
        &self,
        pairs: &[(T, T)],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        Ok(self.network.logits(&self.tokenizer.encode(pairs)?))
    }

    /// Logits of a pair.
    pub fn labels(&self) -> usize {
        self.classifier.labels
    }

    /// Whether sentence-transformers applies a sigmoid to the logits of this folder.
    pub fn has_sigmoid(&self) -> bool {
        self.classifier.score == ScoreActivation::Sigmoid
    }

    /// The tokenizer of pairs.
    pub fn tokenizer(&self) -> &PairTokenizer {
        &self.tokenizer
    }

    /// Bytes of the weights.
    pub fn weight_bytes(&self) -> usize {
        self.network.model.bytes()
    }

    /// Tensors of the file that the model does not use.
    pub fn unexpected_tensors(&self) -> &[String] {
        &self.network.model.unexpected
    }
}

/// The score of a pair by its logits; none for more than two.
pub(crate) fn score_of(logits: &[f32]) -> Option<f32> {
    match *logits {
        [score] => Some(score),
        [no, yes] => Some(yes - no),
        _ => None,
    }
}

/// Pairs of texts to ids, as the model of a folder takes them.
#[derive(Debug)]
pub struct PairTokenizer {
    tokenizer: Tokenizer,
    max_length: usize,
    /// Whether the model tells the texts of a pair apart by the types of their tokens.
    typed: bool,
}

impl PairTokenizer {
    /// Loads the tokenizer of a folder.
    ///
    /// # Errors
    /// If there is none, or a setting does not fit the model.
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
        let setting = |message| Err(ModelError::Setting(message));
        let (place, vocab, limit) = (folder.display(), config.vocab(), config.max_tokens());
        if tokenizer.len() > vocab {
            let (path, tokens) = (folder.to_path_buf(), tokenizer.len());
            return Err(ModelError::Vocabulary { path, tokens, vocab });
        }
        // A model with one type has nothing to tell the texts apart by.
        let typed = config.token_types().filter(|rows| *rows > 1);
        let types = usize::from(tokenizer.max_token_type());
        if typed.is_some_and(|rows| types >= rows) {
            return setting(format!(
                "{place}: the tokenizer gives pairs the token type {types}, of which the model has \
                 no embedding; save it without token types (\"model_input_names\" in \
                 tokenizer_config.json)"
            ));
        }
        let own = tokenizer.model_max_length().unwrap_or(limit).min(limit);
        let max_length = max_length.unwrap_or(own);
        if !(6..=limit).contains(&max_length) {
            return Err(ModelError::MaxLength { got: max_length, shortest: 6, longest: limit });
        }
        Ok(Self { tokenizer, max_length, typed: typed.is_some() })
    }

    /// Ids and types of every pair.
    ///
    /// # Errors
    /// If a text cannot be tokenized.
    pub fn encode<T: AsRef<str> + Sync>(
        &self,
        pairs: &[(T, T)],
    ) -> Result<Vec<PairEncoding>, ModelError> {
        let encode = |(a, b): &(T, T)| {
            let pair = (a.as_ref(), b.as_ref());
            let mut encoded = self.tokenizer.encode_pair(pair, Some(self.max_length))?;
            if !self.typed {
                encoded.types.fill(0);
            }
            Ok(encoded)
        };
        pairs.par_iter().map(encode).collect()
    }

    /// The longest pair in tokens.
    pub fn max_length(&self) -> usize {
        self.max_length
    }
}

/// A classifier of pairs, in micro-batches.
#[derive(Debug)]
pub(crate) struct PairNetwork {
    pub(crate) model: SequenceClassifier,
    batch_tokens: usize,
    workspaces: Mutex<Vec<Workspace>>,
}

/// Pairs packed one after another: ids, types, offsets.
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
        PackedTexts { ids: &self.ids, types: &self.types, offsets: &self.offsets }
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

    /// The logits of every pair.
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
