//! Texts to sparse vectors.
//!
//! A vector never depends on the texts beside it, nor on the number of threads. Memory does not grow
//! with the number of texts but for their token ids and vectors (`network.rs` has the rest).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use splade_nn::{Isa, PooledTerm, Precision};
use splade_sparse::{SparseVector, TermId};
use splade_text::{ModelFiles, Tokenizer, TokenizerOptions};

use crate::error::ModelError;
use crate::folder::{Method, ModelFolder, Tower};
use crate::lookup::Lookup;
use crate::network::Network;

/// Which encoder of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// The encoder of documents.
    #[default]
    Document,
    /// The encoder of queries, where the model has one of its own.
    Query,
}

/// Settings of [`Encoder::load`].
#[derive(Debug, Clone)]
pub struct EncoderOptions {
    /// Which encoder.
    pub side: Side,
    /// The arithmetic of the products.
    pub precision: Precision,
    /// The kernels.
    pub isa: Isa,
    /// Threads; all cores if none.
    pub threads: Option<usize>,
    /// The longest text in tokens, special tokens included; the model's limit if none.
    pub max_length: Option<usize>,
    /// Tokens of a micro-batch.
    pub batch_tokens: usize,
    /// Put before every text; the model's own prompt if none.
    pub prompt: Option<String>,
    /// A compiled MeCab dictionary for Japanese models.
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
/// A clone is cheap: it shares the tokenizer, the weights and the threads.
#[derive(Debug, Clone)]
pub struct Encoder {
    tokenizer: Arc<Tokenizer>,
    engine: Engine,
    prompt: String,
    max_length: usize,
    threads: Threads,
}

/// The encoders of queries and of documents of one model.
#[derive(Debug, Clone)]
pub struct EncoderPair {
    /// Encodes queries.
    pub query: Encoder,
    /// Encodes documents.
    pub document: Encoder,
}

/// What makes terms of ids.
#[derive(Debug, Clone)]
enum Engine {
    Network(Arc<Network>),
    Lookup(Arc<Lookup>),
}

/// The threads of an encoder; none where the system has no threads, as in browsers: the caller's
/// computes then.
#[derive(Debug, Clone)]
struct Threads(Option<Arc<rayon::ThreadPool>>);

impl Threads {
    fn start(count: Option<usize>) -> Result<Self, ModelError> {
        if cfg!(target_family = "wasm") {
            return Ok(Self(None));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count.unwrap_or(0)).build();
        Ok(Self(Some(Arc::new(pool.map_err(ModelError::Threads)?))))
    }

    /// Runs work on the threads.
    fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.0 {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// What [`Encoder::encode_batch`] gives.
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    /// One a text, in the order of the texts.
    pub vectors: Vec<SparseVector>,
    /// Tokens of all texts, special tokens included.
    pub tokens: usize,
    /// Texts that were cut off at the longest length.
    pub truncated: usize,
}

/// Where the terms of a text come from.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The tokens of the text, special tokens included.
    pub tokens: Vec<String>,
    /// The terms, by descending weight.
    pub terms: Vec<ExplainedTerm>,
}

/// A term, and the token that gave it its weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExplainedTerm {
    /// The term.
    pub term: TermId,
    /// Its weight.
    pub weight: f32,
    /// Index of the token with the largest logit for it.
    pub position: usize,
}

impl Encoder {
    /// Loads an encoder of a model folder.
    ///
    /// # Errors
    /// If the folder is no model that can be read, or a setting does not fit it.
    pub fn load(folder: &Path, options: &EncoderOptions) -> Result<Self, ModelError> {
        Self::from_files(&folder.into(), options)
    }

    /// Loads an encoder of a model whose files are in a folder or in memory.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_files(files: &ModelFiles, options: &EncoderOptions) -> Result<Self, ModelError> {
        let folder = ModelFolder::from_files(files)?;
        let tower = match options.side {
            Side::Document => &folder.document,
            Side::Query => &folder.query,
        };
        let threads = Threads::start(options.threads)?;
        let (tokenizer, engine) = load_tower(&folder, tower, options, &threads)?;
        Self::new(tokenizer, engine, tower, options, threads)
    }

    /// Loads the encoders of queries and documents of a model folder. Where they share their
    /// weights, these are read and held once. `options.side` means nothing here, and the other
    /// options hold for both.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_pair(folder: &Path, options: &EncoderOptions) -> Result<EncoderPair, ModelError> {
        Self::pair_from_files(&folder.into(), options)
    }

    /// As [`load_pair`](Self::load_pair), of a model whose files are in a folder or in memory.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn pair_from_files(
        files: &ModelFiles,
        options: &EncoderOptions,
    ) -> Result<EncoderPair, ModelError> {
        let folder = ModelFolder::from_files(files)?;
        let threads = Threads::start(options.threads)?;
        let load = |tower| load_tower(&folder, tower, options, &threads);
        let (tokenizer, engine) = load(&folder.document)?;
        let queries = match folder.shares_towers() {
            true => (tokenizer.clone(), engine.clone()),
            false => load(&folder.query)?,
        };
        let new = |(tokenizer, engine), tower| {
            Self::new(tokenizer, engine, tower, options, threads.clone())
        };
        let document = new((tokenizer, engine), &folder.document)?;
        Ok(EncoderPair { query: new(queries, &folder.query)?, document })
    }

    /// Puts the parts of a tower together, if they fit each other.
    fn new(
        tokenizer: Arc<Tokenizer>,
        engine: Engine,
        tower: &Tower,
        options: &EncoderOptions,
        threads: Threads,
    ) -> Result<Self, ModelError> {
        let (vocab, shortest, limit) = match &engine {
            Engine::Network(network) => (network.model.decoder.vocab(), 3, network.max_tokens),
            Engine::Lookup(lookup) => (lookup.vocab(), 1, usize::MAX),
        };
        if tokenizer.len() > vocab {
            let (path, tokens) = (tower.dir.clone(), tokenizer.len());
            return Err(ModelError::Vocabulary { path, tokens, vocab });
        }
        let own = tower.max_seq_length.or(tokenizer.model_max_length()).unwrap_or(limit).min(limit);
        let max_length = options.max_length.unwrap_or(own);
        if max_length > limit || max_length < shortest {
            return Err(ModelError::MaxLength { got: max_length, shortest, longest: limit });
        }
        let prompt = options.prompt.clone().unwrap_or_else(|| tower.prompt.clone());
        Ok(Self { tokenizer, engine, prompt, max_length, threads })
    }

    /// Returns the encoder with another prompt, which is put before every text.
    pub fn with_prompt(self, prompt: String) -> Self {
        Self { prompt, ..self }
    }

    /// Whether two encoders hold the same weights in memory, not only equal ones.
    pub fn shares_weights(&self, other: &Self) -> bool {
        match (&self.engine, &other.engine) {
            (Engine::Network(a), Engine::Network(b)) => Arc::ptr_eq(a, b),
            (Engine::Lookup(a), Engine::Lookup(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Encodes texts; vectors come in their order.
    ///
    /// # Errors
    /// If a text cannot be tokenized.
    pub fn encode<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<Vec<SparseVector>, ModelError> {
        Ok(self.encode_batch(texts)?.vectors)
    }

    /// Encodes texts and counts tokens and truncated texts.
    ///
    /// # Errors
    /// If a text cannot be tokenized.
    pub fn encode_batch<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Encoded, ModelError> {
        self.threads.install(|| {
            let (ids, truncated) = self.tokenize(texts)?;
            let pooled = self.engine.run(&ids);
            let vectors = pooled.into_iter().map(|terms| to_vector(&terms)).collect();
            Ok(Encoded { vectors, tokens: ids.iter().map(Vec::len).sum(), truncated })
        })
    }

    /// Encodes a text and tells for each term which token gave it.
    ///
    /// # Errors
    /// If the text cannot be tokenized.
    pub fn explain(&self, text: &str) -> Result<Explanation, ModelError> {
        self.threads.install(|| {
            let (ids, _) = self.tokenize(&[text])?;
            let pooled = self.engine.run(&ids).pop().unwrap_or_default();
            let mut terms: Vec<ExplainedTerm> = pooled
                .iter()
                .map(|t| ExplainedTerm {
                    term: TermId(t.term),
                    weight: t.weight,
                    position: t.position as usize,
                })
                .collect();
            terms.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.term.cmp(&b.term)));
            let tokens = ids[0].iter().map(|id| self.token(TermId(*id))).collect();
            Ok(Explanation { tokens, terms })
        })
    }

    /// The token of a term; `[id]` where the model's vocabulary is larger than the tokenizer's.
    pub fn token(&self, term: TermId) -> String {
        self.tokenizer.token(term.0).map_or_else(|| format!("[{term}]"), str::to_owned)
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Terms of the model's vocabulary: the dimension of the vectors.
    pub fn vocab(&self) -> usize {
        match &self.engine {
            Engine::Network(network) => network.model.decoder.vocab(),
            Engine::Lookup(lookup) => lookup.vocab(),
        }
    }

    /// The longest text in tokens.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// What is put before every text; often empty.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// Bytes of the packed weights.
    pub fn weight_bytes(&self) -> usize {
        match &self.engine {
            Engine::Network(network) => network.model.bytes(),
            Engine::Lookup(lookup) => lookup.bytes(),
        }
    }

    /// Tensors of the file that the model does not use.
    pub fn unexpected_tensors(&self) -> &[String] {
        match &self.engine {
            Engine::Network(network) => &network.model.tensors.unexpected,
            Engine::Lookup(_) => &[],
        }
    }

    /// Tensors of the file that the model is made of; none of a table.
    pub(crate) fn tensors(&self) -> &[String] {
        match &self.engine {
            Engine::Network(network) => &network.model.tensors.read,
            Engine::Lookup(_) => &[],
        }
    }

    /// The weight of every token, where they are looked up.
    pub(crate) fn table(&self) -> Option<&[f32]> {
        match &self.engine {
            Engine::Network(_) => None,
            Engine::Lookup(lookup) => Some(lookup.weights()),
        }
    }

    /// Token ids of every text, and how many were cut off.
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

    /// Ids of a text, without special tokens where they are looked up, and whether it was cut off.
    fn ids(&self, text: &str) -> Result<(Vec<u32>, bool), ModelError> {
        match &self.engine {
            Engine::Network(_) => {
                let encoding = self.tokenizer.encode(text, Some(self.max_length))?;
                Ok((encoding.ids, encoding.truncated))
            }
            Engine::Lookup(_) => {
                let mut ids = self.tokenizer.encode_plain(text)?;
                let truncated = ids.len() > self.max_length;
                ids.truncate(self.max_length);
                Ok((ids, truncated))
            }
        }
    }
}

impl Engine {
    fn run(&self, texts: &[Vec<u32>]) -> Vec<Vec<PooledTerm>> {
        match self {
            Self::Network(network) => network.run(texts),
            Self::Lookup(lookup) => lookup.run(texts),
        }
    }
}

/// Reads the tokenizer and the weights, side by side where they do not need one another.
fn load_tower(
    folder: &ModelFolder,
    tower: &Tower,
    options: &EncoderOptions,
    threads: &Threads,
) -> Result<(Arc<Tokenizer>, Engine), ModelError> {
    let files = folder.files().within(&tower.dir);
    let tokenizer_options = TokenizerOptions { mecab_dicdir: options.mecab_dicdir.clone() };
    let tokenizer = || Tokenizer::from_files(&files, &tokenizer_options);
    match &tower.method {
        Method::MaskedLm { pooling, saturation } => {
            let head = (*pooling, *saturation);
            let kernels = (options.isa, options.precision);
            let network = || Network::load(&files, head, kernels, options.batch_tokens);
            let (tokenizer, network) = threads.install(|| rayon::join(tokenizer, network));
            Ok((Arc::new(tokenizer?), Engine::Network(Arc::new(network?))))
        }
        Method::Lookup(table) => {
            let tokenizer = tokenizer()?;
            let lookup = Lookup::load(folder.files(), table, &tokenizer)?;
            Ok((Arc::new(tokenizer), Engine::Lookup(Arc::new(lookup))))
        }
    }
}

fn to_vector(terms: &[PooledTerm]) -> SparseVector {
    // A weight may overflow where weights of the model are damaged: it is no weight.
    let terms = terms.iter().filter(|term| term.weight.is_finite());
    let (terms, weights) = terms.map(|term| (TermId(term.term), term.weight)).unzip();
    SparseVector::new(terms, weights)
        .expect("the head's terms ascend, weights above zero: this is a bug")
}
