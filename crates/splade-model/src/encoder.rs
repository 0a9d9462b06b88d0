//! Texts to sparse vectors.
//!
//! Texts are tokenized, sorted by length and packed into micro-batches of a bounded number of
//! tokens. Threads take whole micro-batches, each with buffers of its own; only where there are
//! fewer micro-batches than threads do they share the layers of one. A vector never depends on
//! the texts beside it, nor on the number of threads.
//!
//! Peak memory beside the packed weights: `threads · tokens · (5 hidden + intermediate) · 4` bytes
//! for micro-batches of `tokens` tokens (the longest text, if that is more), the token ids, and
//! the vectors. It does not grow with the number of texts but for these two.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rayon::prelude::*;
use splade_nn::{Isa, PooledTerm, Precision, splade_head};
use splade_sparse::{SparseVector, TermId};
use splade_text::{Tokenizer, TokenizerOptions};

use crate::arch::{MaskedLm, PackedTexts, Workspace};
use crate::config::ArchitectureConfig;
use crate::error::ModelError;
use crate::folder::{ModelFolder, Tower};

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
#[derive(Debug)]
pub struct Encoder {
    model: MaskedLm,
    tokenizer: Tokenizer,
    tower: Tower,
    architecture: ArchitectureConfig,
    max_length: usize,
    batch_tokens: usize,
    pool: rayon::ThreadPool,
    workspaces: Mutex<Vec<Workspace>>,
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
        let folder = ModelFolder::open(folder)?;
        let mut tower = match options.side {
            Side::Document => folder.document,
            Side::Query => folder.query,
        };
        let architecture = ArchitectureConfig::open(&tower.dir)?;
        let tokenizer_options = TokenizerOptions { mecab_dicdir: options.mecab_dicdir.clone() };
        let mut pool = rayon::ThreadPoolBuilder::new();
        if let Some(threads) = options.threads {
            pool = pool.num_threads(threads);
        }
        let pool = pool
            .build()
            .map_err(|error| ModelError::Setting(format!("cannot start threads: {error}")))?;
        let (tokenizer, model) = pool.join(
            || Tokenizer::from_dir(&tower.dir, &tokenizer_options),
            || MaskedLm::load(&tower.dir, &architecture, options.isa, options.precision),
        );
        let (tokenizer, model) = (tokenizer?, model?);
        if tokenizer.len() > model.decoder.vocab() {
            return Err(ModelError::Setting(format!(
                "{}: the tokenizer has {} tokens but the model's vocabulary {}",
                tower.dir.display(),
                tokenizer.len(),
                model.decoder.vocab()
            )));
        }
        let limit = architecture.max_tokens();
        let own = tower.max_seq_length.or(tokenizer.model_max_length()).unwrap_or(limit).min(limit);
        let max_length = options.max_length.unwrap_or(own);
        if max_length > limit || max_length < 3 {
            return Err(ModelError::Setting(format!(
                "a maximum length of {max_length} tokens; the model takes 3 to {limit}"
            )));
        }
        if let Some(prompt) = &options.prompt {
            tower.prompt.clone_from(prompt);
        }
        let (batch_tokens, workspaces) = (options.batch_tokens.max(1), Mutex::default());
        Ok(Self {
            model,
            tokenizer,
            tower,
            architecture,
            max_length,
            batch_tokens,
            pool,
            workspaces,
        })
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
        self.pool.install(|| {
            let (ids, truncated) = self.tokenize(texts)?;
            let pooled = self.run(&ids);
            let vectors = pooled.into_iter().map(|terms| to_vector(&terms)).collect();
            Ok(Encoded { vectors, tokens: ids.iter().map(Vec::len).sum(), truncated })
        })
    }

    /// Encodes a text and tells for each term which token gave it.
    ///
    /// # Errors
    /// If the text cannot be tokenized.
    pub fn explain(&self, text: &str) -> Result<Explanation, ModelError> {
        self.pool.install(|| {
            let (ids, _) = self.tokenize(&[text])?;
            let pooled = self.run(&ids).pop().unwrap_or_default();
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

    /// The encoder's place in its folder, pooling and prompt.
    pub fn tower(&self) -> &Tower {
        &self.tower
    }

    /// The architecture.
    pub fn architecture(&self) -> &ArchitectureConfig {
        &self.architecture
    }

    /// Terms of the model's vocabulary: the dimension of the vectors.
    pub fn vocab(&self) -> usize {
        self.model.decoder.vocab()
    }

    /// The longest text in tokens.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Bytes of the packed weights.
    pub fn weight_bytes(&self) -> usize {
        self.model.bytes()
    }

    /// Tensors of the file that the model does not use.
    pub fn unexpected_tensors(&self) -> &[String] {
        &self.model.unexpected
    }

    /// Token ids of every text, and how many were cut off.
    fn tokenize<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<(Vec<Vec<u32>>, usize), ModelError> {
        let encoded: Vec<_> = texts
            .par_iter()
            .map(|text| {
                let text = text.as_ref();
                match self.tower.prompt.is_empty() {
                    true => self.tokenizer.encode(text, Some(self.max_length)),
                    false => {
                        let text = format!("{}{text}", self.tower.prompt);
                        self.tokenizer.encode(&text, Some(self.max_length))
                    }
                }
            })
            .collect::<Result<_, _>>()?;
        let truncated = encoded.iter().filter(|encoding| encoding.truncated).count();
        Ok((encoded.into_iter().map(|encoding| encoding.ids).collect(), truncated))
    }

    /// The pooled terms of every text.
    fn run(&self, texts: &[Vec<u32>]) -> Vec<Vec<PooledTerm>> {
        let threads = rayon::current_num_threads();
        let batches = micro_batches(texts, self.batch_tokens, threads);
        let encode = |batch: &Vec<usize>, parallel: bool| {
            let ids: Vec<u32> = batch.iter().flat_map(|text| &texts[*text]).copied().collect();
            let mut offsets = vec![0];
            offsets.extend(batch.iter().scan(0, |end, text| {
                *end += texts[*text].len();
                Some(*end)
            }));
            let mut workspace =
                self.workspaces.lock().ok().and_then(|mut w| w.pop()).unwrap_or_default();
            let packed = PackedTexts { ids: &ids, offsets: &offsets };
            let hidden = self.model.forward(&packed, &mut workspace, parallel);
            let Tower { pooling, saturation, .. } = self.tower;
            let output = &self.model.decoder.output;
            let pooled = splade_head(output, hidden, &offsets, pooling, saturation, parallel);
            if let Ok(mut workspaces) = self.workspaces.lock() {
                workspaces.push(workspace);
            }
            pooled
        };
        let results: Vec<_> = if batches.len() < threads {
            batches.iter().map(|batch| encode(batch, true)).collect()
        } else {
            batches.par_iter().with_max_len(1).map(|batch| encode(batch, false)).collect()
        };
        let mut all = vec![Vec::new(); texts.len()];
        for (batch, pooled) in batches.iter().zip(results) {
            for (text, terms) in batch.iter().zip(pooled) {
                all[*text] = terms;
            }
        }
        all
    }
}

/// Indices of texts, long ones first, in batches of at most `budget` tokens (or one longer text);
/// of few texts so many that every thread has one. Texts without any token are in none.
fn micro_batches(texts: &[Vec<u32>], budget: usize, threads: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts.len()).filter(|text| !texts[*text].is_empty()).collect();
    order.sort_by_key(|text| std::cmp::Reverse(texts[*text].len()));
    let total: usize = texts.iter().map(Vec::len).sum();
    let budget = budget.min(total.div_ceil(threads));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut tokens = usize::MAX;
    for text in order {
        let len = texts[text].len();
        match batches.last_mut() {
            Some(batch) if tokens + len <= budget => {
                batch.push(text);
                tokens += len;
            }
            _ => {
                batches.push(vec![text]);
                tokens = len;
            }
        }
    }
    batches
}

fn to_vector(terms: &[PooledTerm]) -> SparseVector {
    // A weight may overflow where weights of the model are damaged: it is no weight.
    let terms = terms.iter().filter(|term| term.weight.is_finite());
    let (terms, weights) = terms.map(|term| (TermId(term.term), term.weight)).unzip();
    SparseVector::new(terms, weights)
        .expect("the head's terms ascend, weights above zero: this is a bug")
}
