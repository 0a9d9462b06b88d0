//! Encoders, which turn texts into sparse vectors.
//!
//! A vector depends neither on the other texts of the batch nor on the number of threads. Beside
//! the token ids and the vectors, memory does not grow with the number of texts; `network.rs` gives
//! the size of the rest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use splade_nn::{Isa, PooledTerm, Precision};
use splade_sparse::{SparseVector, TermId};
use splade_text::{ModelFiles, Tokenizer, TokenizerOptions};

use crate::error::ModelError;
use crate::folder::{Method, ModelFolder, Tower};
use crate::head_kind::HeadKind;
use crate::heads::token_weights::TokenWeightNetwork;
use crate::loader::kernels;
use crate::lookup::Lookup;
use crate::network::Network;

/// The side of a model that an encoder is loaded for: documents or queries.
///
/// ```
/// use splade_model::{Encoder, EncoderOptions, Side};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference/inference-free");
/// let load = |side| Encoder::load(&model, &EncoderOptions { side, ..EncoderOptions::default() });
/// // Queries of this model are looked up in a table, so they have no terms but their own.
/// let query = load(Side::Query)?.encode(&["the train"])?;
/// let document = load(Side::Document)?.encode(&["the train"])?;
/// assert!(query[0].len() < document[0].len());
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// The encoder of documents.
    #[default]
    Document,
    /// The encoder of queries. Many models use the encoder of documents for queries too.
    Query,
}

/// Settings of [`Encoder::load`].
///
/// ```
/// use splade_model::{Encoder, EncoderOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let options = EncoderOptions { max_length: Some(8), threads: Some(1), ..EncoderOptions::default() };
/// let encoder = Encoder::load(&model, &options)?;
/// assert_eq!(encoder.encode_batch(&["東京の天気は明日の朝から晴れる"])?.truncated, 1);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct EncoderOptions {
    /// The side whose encoder is loaded. The default is the document side.
    pub side: Side,
    /// The precision of the matrix products.
    pub precision: Precision,
    /// The instruction set of the kernels. The default is the best one of this CPU.
    pub isa: Isa,
    /// The number of threads. `None` means one for each core.
    pub threads: Option<usize>,
    /// The longest text in tokens, special tokens included. `None` means the limit of the model.
    pub max_length: Option<usize>,
    /// The number of tokens in a micro-batch. The default is 512.
    pub batch_tokens: usize,
    /// The string that is put before every text. `None` means the prompt of the model.
    pub prompt: Option<String>,
    /// A MeCab dictionary that replaces the one that a Japanese model names: a folder with a
    /// compiled dictionary or a packed file.
    pub mecab_dicdir: Option<PathBuf>,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self {
            side: Side::default(),
            precision: Precision::default(),
            isa: Isa::detect(),
            threads: None,
            max_length: None,
            batch_tokens: 512,
            prompt: None,
            mecab_dicdir: None,
        }
    }
}

/// A SPLADE encoder on the CPU.
///
/// Cloning is cheap, because clones share the tokenizer, the weights and the threads.
///
/// ```
/// use splade_model::{Encoder, EncoderOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let encoder = Encoder::load(&model, &EncoderOptions::default())?;
/// let vector = &encoder.encode(&["東京の天気"])?[0];
/// let (term, weight) = vector.by_weight()[0];
/// assert!(weight > 0.0 && !encoder.token(term).is_empty());
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Encoder {
    tokenizer: Arc<Tokenizer>,
    core: Core,
    prompt: String,
    max_length: usize,
    /// The number of terms with the largest weights that a vector keeps, or `None` for all.
    max_active_dims: Option<usize>,
    threads: Threads,
}

/// The encoders of queries and of documents of one model.
#[derive(Debug, Clone)]
pub struct EncoderPair {
    /// The encoder of queries.
    pub query: Encoder,
    /// The encoder of documents.
    pub document: Encoder,
}

/// The part of an encoder that turns token ids into terms.
#[derive(Debug, Clone)]
enum Core {
    Network(Arc<Network>),
    Lookup(Arc<Lookup>),
    TokenWeights(Arc<TokenWeightNetwork>),
}

/// The threads of an encoder. The pool is `None` where the system has no threads, as in browsers;
/// the calling thread then does the work.
#[derive(Debug, Clone)]
pub(crate) struct Threads(Option<Arc<rayon::ThreadPool>>);

impl Threads {
    pub(crate) fn start(count: Option<usize>) -> Result<Self, ModelError> {
        if cfg!(target_family = "wasm") {
            return Ok(Self(None));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count.unwrap_or(0)).build();
        Ok(Self(Some(Arc::new(pool.map_err(ModelError::Threads)?))))
    }

    /// Runs `work` on the threads of the pool, or on the calling thread if there is no pool.
    pub(crate) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.0 {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// The vectors that [`Encoder::encode_batch`] returns, with counts.
///
/// ```
/// use splade_model::{Encoder, EncoderOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let encoder = Encoder::load(&model, &EncoderOptions::default())?;
/// let encoded = encoder.encode_batch(&["東京の天気", "天気"])?;
/// assert_eq!((encoded.vectors.len(), encoded.truncated), (2, 0));
/// assert!(encoded.tokens > 4, "[CLS] and [SEP] are counted");
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    /// One vector for each text, in the order of the texts.
    pub vectors: Vec<SparseVector>,
    /// The number of tokens of all texts, special tokens included.
    pub tokens: usize,
    /// The number of texts that were truncated to the longest length.
    pub truncated: usize,
}

/// An explanation of a vector: which token gave each term its weight.
///
/// ```
/// use splade_model::{Encoder, EncoderOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let encoder = Encoder::load(&model, &EncoderOptions::default())?;
/// let explanation = encoder.explain("東京の天気")?;
/// let first = &explanation.terms[0];
/// let token = &explanation.tokens[first.position];
/// println!("{} comes from {token}", encoder.token(first.term));
/// # assert!(!token.is_empty());
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The tokens of the text, special tokens included.
    pub tokens: Vec<String>,
    /// The terms by descending weight; equal weights are ordered by term id.
    pub terms: Vec<ExplainedTerm>,
}

/// A term with its weight and the token that gave it the weight.
///
/// ```
/// use splade_model::{Encoder, EncoderOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let encoder = Encoder::load(&model, &EncoderOptions::default())?;
/// let vector = &encoder.encode(&["東京の天気"])?[0];
/// for explained in encoder.explain("東京の天気")?.terms {
///     assert_eq!(explained.weight, vector.weight(explained.term));
/// }
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExplainedTerm {
    /// The id of the term.
    pub term: TermId,
    /// The weight of the term, above zero.
    pub weight: f32,
    /// The index, in [`Explanation::tokens`], of the token with the largest logit for the term.
    pub position: usize,
}

impl Encoder {
    /// Loads an encoder of a model folder.
    ///
    /// # Errors
    /// Returns an error if the folder does not hold a model that can be read, or if a setting does
    /// not fit the model.
    pub fn load(folder: &Path, options: &EncoderOptions) -> Result<Self, ModelError> {
        Self::from_files(&folder.into(), options)
    }

    /// Loads an encoder of a model whose files are in a folder or in memory.
    ///
    /// # Errors
    /// Returns the same errors as [`load`](Self::load).
    pub fn from_files(files: &ModelFiles, options: &EncoderOptions) -> Result<Self, ModelError> {
        let folder = ModelFolder::with_head(files, HeadKind::Sparse)?;
        let tower = match options.side {
            Side::Document => &folder.document,
            Side::Query => &folder.query,
        };
        let threads = Threads::start(options.threads)?;
        let (tokenizer, core) = load_tower(&folder, tower, options, &threads)?;
        Self::new(tokenizer, core, tower, options, threads)
    }

    /// Loads the encoders of queries and documents of a model folder. If both have the same
    /// weights, the weights are read and held once. `options.side` is ignored; the other options
    /// apply to both encoders.
    ///
    /// # Errors
    /// Returns the same errors as [`load`](Self::load).
    pub fn load_pair(folder: &Path, options: &EncoderOptions) -> Result<EncoderPair, ModelError> {
        Self::pair_from_files(&folder.into(), options)
    }

    /// Loads the encoders of queries and documents like [`load_pair`](Self::load_pair), from files
    /// in a folder or in memory.
    ///
    /// # Errors
    /// Returns the same errors as [`load`](Self::load).
    pub fn pair_from_files(
        files: &ModelFiles,
        options: &EncoderOptions,
    ) -> Result<EncoderPair, ModelError> {
        let folder = ModelFolder::with_head(files, HeadKind::Sparse)?;
        let threads = Threads::start(options.threads)?;
        let load = |tower| load_tower(&folder, tower, options, &threads);
        let (tokenizer, core) = load(&folder.document)?;
        let queries = match folder.shares_towers() {
            true => (tokenizer.clone(), core.clone()),
            false => load(&folder.query)?,
        };
        let new =
            |(tokenizer, core), tower| Self::new(tokenizer, core, tower, options, threads.clone());
        let document = new((tokenizer, core), &folder.document)?;
        Ok(EncoderPair { query: new(queries, &folder.query)?, document })
    }

    /// Builds an encoder from the parts of a tower after checking that they fit each other.
    fn new(
        tokenizer: Arc<Tokenizer>,
        core: Core,
        tower: &Tower,
        options: &EncoderOptions,
        threads: Threads,
    ) -> Result<Self, ModelError> {
        let vocab = core.vocab();
        if tokenizer.len() > vocab {
            let (path, tokens) = (tower.dir.clone(), tokenizer.len());
            return Err(ModelError::Vocabulary { path, tokens, vocab });
        }
        let (_, limit) = core.lengths();
        let own = tower.max_seq_length.or(tokenizer.model_max_length()).unwrap_or(limit).min(limit);
        let prompt = options.prompt.clone().unwrap_or_else(|| tower.prompt.clone());
        let max_active_dims = tower.max_active_dims;
        let new = Self { tokenizer, core, prompt, max_length: own, max_active_dims, threads };
        new.with_max_length(options.max_length.unwrap_or(own))
    }

    /// Returns the encoder with another prompt, the string that is put before every text.
    pub fn with_prompt(self, prompt: String) -> Self {
        Self { prompt, ..self }
    }

    /// Returns the encoder with another longest text in tokens, special tokens included. The weights
    /// are shared with this encoder.
    ///
    /// # Errors
    /// Returns an error if the model does not take texts of this length.
    pub fn with_max_length(self, max_length: usize) -> Result<Self, ModelError> {
        let (shortest, longest) = self.core.lengths();
        if max_length > longest || max_length < shortest {
            return Err(ModelError::MaxLength { got: max_length, shortest, longest });
        }
        Ok(Self { max_length, ..self })
    }

    /// Returns whether two encoders share one copy of the weights in memory. Equal weights in two
    /// copies give `false`.
    pub fn shares_weights(&self, other: &Self) -> bool {
        match (&self.core, &other.core) {
            (Core::Network(a), Core::Network(b)) => Arc::ptr_eq(a, b),
            (Core::Lookup(a), Core::Lookup(b)) => Arc::ptr_eq(a, b),
            (Core::TokenWeights(a), Core::TokenWeights(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Encodes texts and returns one vector for each, in the order of the texts.
    ///
    /// # Errors
    /// Returns an error if a text cannot be tokenized or if the model gives numbers for it that are
    /// not finite.
    pub fn encode<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<Vec<SparseVector>, ModelError> {
        Ok(self.encode_batch(texts)?.vectors)
    }

    /// Encodes texts and counts their tokens and the truncated texts.
    ///
    /// # Errors
    /// Returns the same errors as [`encode`](Self::encode).
    pub fn encode_batch<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Encoded, ModelError> {
        self.threads.install(|| {
            let (ids, truncated) = self.tokenize(texts)?;
            let pooled = self.core.run(&ids).map_err(|i| not_finite(texts[i].as_ref()))?;
            let vectors = pooled.into_iter().map(|terms| self.vector(&terms)).collect();
            Ok(Encoded { vectors, tokens: ids.iter().map(Vec::len).sum(), truncated })
        })
    }

    /// Returns the token ids of a text with the prompt and the special tokens, however long the text
    /// is. [`truncate`](Self::truncate) cuts them and [`encode_ids`](Self::encode_ids) encodes them.
    ///
    /// ```
    /// use splade_model::{Encoder, EncoderOptions};
    ///
    /// let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
    /// let encoder = Encoder::load(&model, &EncoderOptions::default())?;
    /// let ids = encoder.truncate(encoder.token_ids("東京の天気")?, false);
    /// assert_eq!(encoder.encode_ids(&[ids])?, encoder.encode(&["東京の天気"])?);
    /// # Ok::<(), splade_model::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the text cannot be tokenized.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let text = format!("{}{text}", self.prompt);
        match &self.core {
            Core::Network(_) | Core::TokenWeights(_) => Ok(self.tokenizer.encode(&text, None)?.ids),
            Core::Lookup(_) => Ok(self.tokenizer.encode_plain(&text)?),
        }
    }

    /// Cuts the ids of a text that is longer than [`max_length`](Self::max_length) at its end, or at
    /// its start if `left`. Special tokens stay.
    pub fn truncate(&self, mut ids: Vec<u32>, left: bool) -> Vec<u32> {
        let Some(excess) = ids.len().checked_sub(self.max_length).filter(|excess| *excess > 0)
        else {
            return ids;
        };
        let (before, after) = match &self.core {
            Core::Network(_) | Core::TokenWeights(_) => self.tokenizer.around(),
            Core::Lookup(_) => (&[][..], &[][..]),
        };
        let content = before.len()..ids.len() - after.len();
        let start = if left { content.start } else { content.end - excess };
        ids.drain(start..start + excess);
        ids
    }

    /// Encodes texts that are token ids already, and returns one vector for each. The ids are taken
    /// as they are: special tokens are the caller's, no prompt is put before them, and nothing is
    /// truncated.
    ///
    /// # Errors
    /// Returns an error if a text has no token, more tokens than the model takes or an id outside
    /// the vocabulary, or if the model gives numbers for it that are not finite.
    pub fn encode_ids<T: AsRef<[u32]> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<Vec<SparseVector>, ModelError> {
        self.check_ids(texts)?;
        self.threads.install(|| {
            let not_finite = |at: usize| not_finite(&self.shown(texts[at].as_ref()));
            let pooled = self.core.run(texts).map_err(not_finite)?;
            Ok(pooled.into_iter().map(|terms| self.vector(&terms)).collect())
        })
    }

    /// Encodes a text and returns for each term the token that gave it its weight.
    ///
    /// # Errors
    /// Returns the same errors as [`encode`](Self::encode).
    pub fn explain(&self, text: &str) -> Result<Explanation, ModelError> {
        let (ids, _) = self.threads.install(|| self.tokenize(&[text]))?;
        self.explained(&ids[0]).ok_or_else(|| not_finite(text))
    }

    /// Does the same with a text that is token ids already, as [`encode_ids`](Self::encode_ids) takes
    /// them. No ids give no terms.
    ///
    /// # Errors
    /// Returns an error if there are more ids than the model takes or one outside the vocabulary, or
    /// if the model gives numbers for them that are not finite.
    pub fn explain_ids(&self, ids: &[u32]) -> Result<Explanation, ModelError> {
        if ids.is_empty() {
            return Ok(Explanation { tokens: Vec::new(), terms: Vec::new() });
        }
        self.check_ids(&[ids])?;
        self.explained(ids).ok_or_else(|| not_finite(&self.shown(ids)))
    }

    /// Explains the vector of ids; `None` if it is not finite.
    fn explained(&self, ids: &[u32]) -> Option<Explanation> {
        let pooled = self.threads.install(|| self.core.run(&[ids])).ok()?;
        let pooled = pooled.into_iter().next().unwrap_or_default();
        let mut terms: Vec<ExplainedTerm> = pooled
            .iter()
            .map(|t| ExplainedTerm {
                term: TermId(t.term),
                weight: t.weight,
                position: t.position as usize,
            })
            .collect();
        terms.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.term.cmp(&b.term)));
        terms.truncate(self.max_active_dims.unwrap_or(usize::MAX));
        let tokens = ids.iter().map(|id| self.token(TermId(*id))).collect();
        Some(Explanation { tokens, terms })
    }

    /// Refuses texts of token ids that the model cannot take.
    fn check_ids<T: AsRef<[u32]>>(&self, texts: &[T]) -> Result<(), ModelError> {
        let ((_, longest), vocab) = (self.core.lengths(), self.vocab());
        for (text, ids) in texts.iter().map(AsRef::as_ref).enumerate() {
            if ids.is_empty() || ids.len() > longest {
                return Err(ModelError::TokenCount { text, got: ids.len(), longest });
            }
            if let Some(id) = ids.iter().find(|id| **id as usize >= vocab) {
                return Err(ModelError::TokenId { text, id: *id, vocab });
            }
        }
        Ok(())
    }

    /// The first tokens of a text of ids, for messages.
    fn shown(&self, ids: &[u32]) -> String {
        let tokens = ids.iter().take(20).map(|id| self.token(TermId(*id)));
        tokens.collect::<Vec<_>>().join(" ")
    }

    /// Returns the vector of pooled terms.
    fn vector(&self, terms: &[PooledTerm]) -> SparseVector {
        let vector = to_vector(terms);
        match self.max_active_dims {
            Some(count) if vector.len() > count => vector.top_k(count),
            _ => vector,
        }
    }

    /// Returns the token of a term, or `[id]` for an id that the tokenizer does not have. The
    /// model's vocabulary may be larger than the tokenizer's.
    pub fn token(&self, term: TermId) -> String {
        self.tokenizer.token(term.0).map_or_else(|| format!("[{term}]"), str::to_owned)
    }

    /// Returns the tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the size of the model's vocabulary, which is the dimension of the vectors.
    pub fn vocab(&self) -> usize {
        self.core.vocab()
    }

    /// Returns the longest text in tokens. Longer texts are truncated.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Returns the largest number of tokens that the model takes, which [`max_length`](Self::max_length)
    /// can be set to. A lookup table takes any number, `usize::MAX`.
    pub fn length_limit(&self) -> usize {
        self.core.lengths().1
    }

    /// Returns the number of terms with the largest weights that a vector keeps, or `None` for all.
    pub fn max_active_dims(&self) -> Option<usize> {
        self.max_active_dims
    }

    /// Returns the prompt, which is put before every text. It is often empty.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// Returns the size of the packed weights in bytes.
    pub fn weight_bytes(&self) -> usize {
        match &self.core {
            Core::Network(network) => network.model.bytes(),
            Core::Lookup(lookup) => lookup.bytes(),
            Core::TokenWeights(weights) => weights.network.bytes(),
        }
    }

    /// Returns the names of the tensors in the weights file that the model does not use.
    pub fn unexpected_tensors(&self) -> &[String] {
        match &self.core {
            Core::Network(network) => &network.model.tensors.unexpected,
            Core::Lookup(_) => &[],
            Core::TokenWeights(weights) => &weights.network.unexpected,
        }
    }

    /// Returns the names of the tensors in the weights file that the model uses. The list is empty
    /// for models that cannot be exported.
    pub(crate) fn tensors(&self) -> &[String] {
        match &self.core {
            Core::Network(network) => &network.model.tensors.read,
            Core::Lookup(_) | Core::TokenWeights(_) => &[],
        }
    }

    /// Returns the weights of all tokens by id if the encoder is a lookup table.
    pub(crate) fn table(&self) -> Option<&[f32]> {
        match &self.core {
            Core::Network(_) | Core::TokenWeights(_) => None,
            Core::Lookup(lookup) => Some(lookup.weights()),
        }
    }

    /// Returns the token ids of every text and the number of truncated texts.
    fn tokenize<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<(Vec<Vec<u32>>, usize), ModelError> {
        let encoded: Vec<(Vec<u32>, bool)> = texts
            .par_iter()
            .map(|text| match self.prompt.is_empty() {
                true => self.ids(text.as_ref()),
                false => self.ids(&format!("{}{}", self.prompt, text.as_ref())),
            })
            .collect::<Result<_, _>>()?;
        let truncated = encoded.iter().filter(|(_, truncated)| *truncated).count();
        Ok((encoded.into_iter().map(|(ids, _)| ids).collect(), truncated))
    }

    /// Returns the ids of a text and whether the text was truncated. A lookup table gets no special
    /// tokens.
    fn ids(&self, text: &str) -> Result<(Vec<u32>, bool), ModelError> {
        match &self.core {
            Core::Network(_) | Core::TokenWeights(_) => {
                let encoding = self.tokenizer.encode(text, Some(self.max_length))?;
                Ok((encoding.ids, encoding.truncated))
            }
            Core::Lookup(_) => {
                let mut ids = self.tokenizer.encode_plain(text)?;
                let truncated = ids.len() > self.max_length;
                ids.truncate(self.max_length);
                Ok((ids, truncated))
            }
        }
    }
}

impl Core {
    /// Returns the size of the vocabulary.
    fn vocab(&self) -> usize {
        match self {
            Self::Network(network) => network.model.decoder.vocab(),
            Self::Lookup(lookup) => lookup.vocab(),
            Self::TokenWeights(weights) => weights.network.vocab,
        }
    }

    /// Returns the smallest and the largest number of tokens that a text can be truncated to.
    fn lengths(&self) -> (usize, usize) {
        match self {
            Self::Network(network) => (3, network.max_tokens),
            Self::Lookup(_) => (1, usize::MAX),
            Self::TokenWeights(weights) => (3, weights.network.max_tokens),
        }
    }

    /// Returns the terms of every text, or the index of the first text whose terms are not finite.
    fn run<T: AsRef<[u32]> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<PooledTerm>>, usize> {
        match self {
            Self::Network(network) => network.run_checked(texts),
            Self::Lookup(lookup) => Ok(lookup.run(texts)),
            Self::TokenWeights(weights) => weights.run(texts),
        }
    }
}

/// Reads the tokenizer and the weights of a tower, in parallel if neither needs the other.
fn load_tower(
    folder: &ModelFolder,
    tower: &Tower,
    options: &EncoderOptions,
    threads: &Threads,
) -> Result<(Arc<Tokenizer>, Core), ModelError> {
    let files = folder.files().within(&tower.dir);
    let tokenizer_options = TokenizerOptions { mecab_dicdir: options.mecab_dicdir.clone() };
    let tokenizer = || Tokenizer::from_files(&files, &tokenizer_options);
    match &tower.method {
        Method::MaskedLm { pooling, saturation } => {
            let head = (*pooling, *saturation);
            let kernels = kernels(options.isa, options.precision)?;
            let network = || Network::load(&files, head, kernels, options.batch_tokens);
            let (tokenizer, network) = threads.install(|| rayon::join(tokenizer, network));
            Ok((Arc::new(tokenizer?), Core::Network(Arc::new(network?))))
        }
        Method::Lookup(table) => {
            let tokenizer = tokenizer()?;
            let lookup = Lookup::load(folder.files(), table, &tokenizer)?;
            Ok((Arc::new(tokenizer), Core::Lookup(Arc::new(lookup))))
        }
        Method::TokenWeights(head) => {
            let (tokenizer, kernels) = (tokenizer()?, kernels(options.isa, options.precision)?);
            let (layer, tokens) = (&head.file, options.batch_tokens);
            let load = || TokenWeightNetwork::load(&files, layer, kernels, tokens, &tokenizer);
            let weights = threads.install(load)?;
            Ok((Arc::new(tokenizer), Core::TokenWeights(Arc::new(weights))))
        }
        _ => unreachable!("a folder with another head was refused: this is a bug"),
    }
}

/// Returns the error for a text for which the model gives numbers that are not finite.
pub(crate) fn not_finite(text: &str) -> ModelError {
    ModelError::NotFinite { text: start_of(text) }
}

/// Returns the first 60 characters of a text.
pub(crate) fn start_of(text: &str) -> String {
    match text.char_indices().nth(60) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn to_vector(terms: &[PooledTerm]) -> SparseVector {
    let (terms, weights) = terms.iter().map(|term| (TermId(term.term), term.weight)).unzip();
    SparseVector::new(terms, weights)
        .expect("the head's terms ascend, weights are finite and above zero: this is a bug")
}
