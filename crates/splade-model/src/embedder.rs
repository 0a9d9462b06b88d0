//! Embedders, which turn texts into dense vectors: one for a text, or one for each token.
//!
//! As for [`Encoder`](crate::Encoder), a vector depends neither on the other texts of the batch nor on
//! the number of threads.

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use splade_text::{ModelFiles, Tokenizer, TokenizerOptions};

use crate::encoder::{EncoderOptions, Side, Threads, not_finite};
use crate::error::ModelError;
use crate::folder::{Method, ModelFolder, Tower};
use crate::head_kind::{HeadKind, Similarity};
use crate::heads::dense::DenseHead;
use crate::heads::late_interaction::TokenIds;
use crate::heads::steps::LoadedSteps;
use crate::heads::{HiddenNetwork, Prepared, Step};
use crate::loader::kernels;
use crate::network::are_finite;

/// A model that makes dense vectors, with its query and its document side, on the CPU.
///
/// Cloning is cheap, because clones share the tokenizers, the weights and the threads.
#[derive(Debug, Clone)]
pub struct Embedder {
    query: EmbedderSide,
    document: EmbedderSide,
    kind: HeadKind,
    similarity: Similarity,
    threads: Threads,
}

/// One side of an embedder.
#[derive(Debug, Clone)]
struct EmbedderSide {
    tokenizer: Arc<Tokenizer>,
    network: Arc<Network>,
    head: Head,
    prompt: String,
    max_length: usize,
}

/// A body with the weights of its head.
#[derive(Debug)]
struct Network {
    hidden: HiddenNetwork,
    steps: LoadedSteps,
}

#[derive(Debug, Clone)]
enum Head {
    Dense(DenseHead),
    LateInteraction(TokenIds),
}

/// The vectors of a text: one row for a dense vector, or a row for each token.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embedding {
    dim: usize,
    numbers: Vec<f32>,
}

/// The vectors that [`Embedder::embed_batch`] returns, with counts.
#[derive(Debug, Clone, Default)]
pub struct Embedded {
    /// The vectors of each text, in the order of the texts.
    pub embeddings: Vec<Embedding>,
    /// The number of tokens of all texts, special and appended tokens included.
    pub tokens: usize,
    /// The number of texts that were truncated to the longest length.
    pub truncated: usize,
}

impl Embedding {
    /// Returns the vectors whose numbers are stored row after row.
    ///
    /// # Panics
    /// Panics if the numbers are not whole rows.
    pub fn new(dim: usize, numbers: Vec<f32>) -> Self {
        assert!(dim > 0 && numbers.len().is_multiple_of(dim), "numbers must be whole rows");
        Self { dim, numbers }
    }

    /// Returns the number of dimensions of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Returns the number of vectors.
    pub fn len(&self) -> usize {
        self.numbers.len() / self.dim.max(1)
    }

    /// Returns whether there is no vector.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Returns the numbers, row after row.
    pub fn numbers(&self) -> &[f32] {
        &self.numbers
    }

    /// Returns the vectors.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.numbers.chunks_exact(self.dim.max(1))
    }

    /// Gives the numbers away, row after row.
    pub fn into_numbers(self) -> Vec<f32> {
        self.numbers
    }
}

impl Embedder {
    /// Loads a model that makes vectors of this kind, dense or multi-vector. Of the options,
    /// `side` is ignored and `prompt` applies to both sides.
    ///
    /// ```no_run
    /// use splade_model::{Embedder, EncoderOptions, HeadKind, Side};
    ///
    /// let folder = "multilingual-e5-small".as_ref();
    /// let embedder = Embedder::load(folder, HeadKind::Dense, &EncoderOptions::default())?;
    /// let vectors = embedder.embed(Side::Query, &["cheap flights"])?;
    /// assert_eq!(vectors[0].len(), 1);
    /// # Ok::<(), splade_model::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error if the folder does not hold a model that can be read, if the model does not
    /// make vectors of this kind, or if a setting does not fit the model.
    pub fn load(
        folder: &Path,
        kind: HeadKind,
        options: &EncoderOptions,
    ) -> Result<Self, ModelError> {
        Self::from_files(&folder.into(), kind, options)
    }

    /// Loads a model whose files are in a folder or in memory.
    ///
    /// # Errors
    /// Returns the same errors as [`load`](Self::load).
    pub fn from_files(
        files: &ModelFiles,
        kind: HeadKind,
        options: &EncoderOptions,
    ) -> Result<Self, ModelError> {
        let folder = ModelFolder::with_head(files, kind)?;
        let threads = Threads::start(options.threads)?;
        let load = |tower: &Tower| load_side(&folder, tower, options, &threads);
        let document = load(&folder.document)?;
        let query = match folder.shares_weights() {
            true => EmbedderSide::new(
                (Arc::clone(&document.tokenizer), Arc::clone(&document.network)),
                &folder.query,
                options,
            )?,
            false => load(&folder.query)?,
        };
        let (documents, queries) = (document.dim(), query.dim());
        if documents != queries {
            let path = folder.path;
            return Err(ModelError::OtherDimensions { path, documents, queries });
        }
        Ok(Self { query, document, kind, similarity: folder.similarity, threads })
    }

    /// Embeds texts of a side and returns the vectors of each, in the order of the texts.
    ///
    /// # Errors
    /// Returns an error if a text cannot be tokenized or if the model gives numbers for it that are
    /// not finite.
    pub fn embed<T: AsRef<str> + Sync>(
        &self,
        side: Side,
        texts: &[T],
    ) -> Result<Vec<Embedding>, ModelError> {
        Ok(self.embed_batch(side, texts)?.embeddings)
    }

    /// Embeds texts and counts their tokens and the truncated texts.
    ///
    /// # Errors
    /// Returns the same errors as [`embed`](Self::embed).
    pub fn embed_batch<T: AsRef<str> + Sync>(
        &self,
        side: Side,
        texts: &[T],
    ) -> Result<Embedded, ModelError> {
        let side = self.side(side);
        self.threads.install(|| {
            let prepare = |text: &T| side.prepare(text.as_ref());
            let prepared: Vec<Prepared> =
                texts.par_iter().map(prepare).collect::<Result<_, _>>()?;
            let broken = |text: usize| not_finite(texts[text].as_ref());
            let made = side.run(&prepared).map_err(broken)?;
            if let Some(text) = made.iter().position(|numbers| !are_finite(numbers)) {
                return Err(broken(text));
            }
            let dim = side.dim();
            Ok(Embedded {
                embeddings: made.into_iter().map(|numbers| Embedding::new(dim, numbers)).collect(),
                tokens: prepared.iter().map(|text| text.ids.len()).sum(),
                truncated: prepared.iter().filter(|text| text.truncated).count(),
            })
        })
    }

    /// Returns the score of a document for a query by the similarity of the model.
    ///
    /// ```
    /// use splade_model::{Embedding, Similarity, similarity};
    ///
    /// let query = Embedding::new(2, vec![1.0, 0.0, 0.0, 1.0]);
    /// let document = Embedding::new(2, vec![0.5, 0.25]);
    /// // The best row of the document for each row of the query.
    /// assert_eq!(similarity(Similarity::MaxSim, &query, &document), 0.75);
    /// assert_eq!(similarity(Similarity::MeanMaxSim, &query, &document), 0.375);
    /// ```
    ///
    /// # Panics
    /// Panics if the two have other numbers of dimensions.
    pub fn similarity(&self, query: &Embedding, document: &Embedding) -> f32 {
        similarity(self.similarity, query, document)
    }

    /// Returns what the model makes of a text.
    pub fn kind(&self) -> HeadKind {
        self.kind
    }

    /// Returns how vectors are compared.
    pub fn similarity_kind(&self) -> Similarity {
        self.similarity
    }

    /// Returns the number of dimensions of a vector.
    pub fn dim(&self) -> usize {
        self.document.dim()
    }

    /// Returns the longest text of a side in tokens. Longer texts are truncated.
    pub fn max_length(&self, side: Side) -> usize {
        self.side(side).max_length
    }

    /// Returns the prompt of a side, which is put before every text. It is often empty.
    pub fn prompt(&self, side: Side) -> &str {
        &self.side(side).prompt
    }

    /// Returns the same embedder with another prompt for a side.
    #[must_use]
    pub fn with_prompt(mut self, side: Side, prompt: String) -> Self {
        match side {
            Side::Query => self.query.prompt = prompt,
            Side::Document => self.document.prompt = prompt,
        }
        self
    }

    /// Returns the tokenizer of a side.
    pub fn tokenizer(&self, side: Side) -> &Tokenizer {
        &self.side(side).tokenizer
    }

    /// Returns the size of the weights of the document side in bytes.
    pub fn weight_bytes(&self) -> usize {
        self.document.network.hidden.bytes() + self.document.network.steps.bytes()
    }

    /// Returns the names of the tensors in the weights file of documents that the model does not
    /// use.
    pub fn unexpected_tensors(&self) -> &[String] {
        &self.document.network.hidden.unexpected
    }

    fn side(&self, side: Side) -> &EmbedderSide {
        match side {
            Side::Query => &self.query,
            Side::Document => &self.document,
        }
    }
}

/// Returns the score of a document for a query.
///
/// ```
/// use splade_model::{Embedding, Similarity, similarity};
///
/// let query = Embedding::new(2, vec![1.0, 0.0, 0.0, 1.0]);
/// let document = Embedding::new(2, vec![0.5, 0.25]);
/// // The best row of the document for each row of the query.
/// assert_eq!(similarity(Similarity::MaxSim, &query, &document), 0.75);
/// assert_eq!(similarity(Similarity::MeanMaxSim, &query, &document), 0.375);
/// ```
///
/// # Panics
/// Panics if the two have other numbers of dimensions.
pub fn similarity(kind: Similarity, query: &Embedding, document: &Embedding) -> f32 {
    assert!(query.dim == document.dim, "vectors of other numbers of dimensions");
    let best = |row: &[f32]| {
        document.rows().map(|other| dot(row, other)).fold(f32::NEG_INFINITY, f32::max)
    };
    match kind {
        Similarity::Dot => dot(&query.numbers, &document.numbers),
        Similarity::Cosine => {
            let lengths = dot(&query.numbers, &query.numbers).sqrt()
                * dot(&document.numbers, &document.numbers).sqrt();
            dot(&query.numbers, &document.numbers) / lengths.max(1e-12)
        }
        // A document without a vector matches nothing.
        _ if document.is_empty() || query.is_empty() => 0.0,
        Similarity::MaxSim => query.rows().map(best).sum(),
        Similarity::MeanMaxSim => query.rows().map(best).sum::<f32>() / query.len() as f32,
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

impl EmbedderSide {
    /// Builds a side after checking that its parts fit each other.
    fn new(
        (tokenizer, network): (Arc<Tokenizer>, Arc<Network>),
        tower: &Tower,
        options: &EncoderOptions,
    ) -> Result<Self, ModelError> {
        let (vocab, limit) = (network.hidden.vocab, network.hidden.max_tokens);
        if tokenizer.len() > vocab {
            let (path, tokens) = (tower.dir.clone(), tokenizer.len());
            return Err(ModelError::Vocabulary { path, tokens, vocab });
        }
        let (before, after) = tokenizer.around();
        let special = before.len() + after.len();
        let (head, shortest) = match &tower.method {
            Method::Dense(head) => (Head::Dense(head.clone()), special + 1),
            Method::LateInteraction(head) => {
                let ids = head.tokens.resolve(&tokenizer)?;
                let shortest = ids.shortest(special);
                (Head::LateInteraction(ids), shortest)
            }
            _ => unreachable!("a folder with another head was refused: this is a bug"),
        };
        let own = tower.max_seq_length.or(tokenizer.model_max_length()).unwrap_or(limit).min(limit);
        let max_length = options.max_length.unwrap_or(own);
        if max_length > limit || max_length < shortest {
            return Err(ModelError::MaxLength { got: max_length, shortest, longest: limit });
        }
        let prompt = options.prompt.clone().unwrap_or_else(|| tower.prompt.clone());
        Ok(Self { tokenizer, network, head, prompt, max_length })
    }

    fn dim(&self) -> usize {
        let hidden = self.network.hidden.hidden;
        match &self.head {
            Head::Dense(head) => self.network.steps.width(head.pooled_width(hidden)),
            Head::LateInteraction(_) => self.network.steps.width(hidden),
        }
    }

    fn prepare(&self, text: &str) -> Result<Prepared, ModelError> {
        let prompted;
        let text = match self.prompt.is_empty() {
            true => text,
            false => {
                prompted = format!("{}{text}", self.prompt);
                &prompted
            }
        };
        match &self.head {
            Head::LateInteraction(ids) => ids.prepare(&self.tokenizer, text, self.max_length),
            Head::Dense(head) => {
                let encoded = self.tokenizer.encode(text, Some(self.max_length))?;
                let mut prepared = Prepared::plain(encoded.ids);
                prepared.truncated = encoded.truncated;
                if !head.include_prompt && !self.prompt.is_empty() {
                    let before = self.tokenizer.around().0.len();
                    prepared.prompt = before + self.tokenizer.encode_plain(&self.prompt)?.len();
                }
                Ok(prepared)
            }
        }
    }

    /// Returns the numbers of the vectors of every text, or the index of the first text for which
    /// the hidden states are not finite.
    fn run(&self, texts: &[Prepared]) -> Result<Vec<Vec<f32>>, usize> {
        let Network { hidden, steps } = &*self.network;
        hidden.run(texts, |batch| match &self.head {
            Head::Dense(head) => head.vectors(batch, hidden.hidden, steps),
            Head::LateInteraction(ids) => ids.matrices(batch, hidden.hidden, steps),
        })
    }
}

/// Reads the tokenizer and the weights of a side.
fn load_side(
    folder: &ModelFolder,
    tower: &Tower,
    options: &EncoderOptions,
    threads: &Threads,
) -> Result<EmbedderSide, ModelError> {
    let files = folder.files().within(&tower.dir);
    let tokenizer_options = TokenizerOptions { mecab_dicdir: options.mecab_dicdir.clone() };
    let (steps, pooled): (&[Step], _) = match &tower.method {
        Method::Dense(head) => (&head.steps, head.pooling.len()),
        Method::LateInteraction(head) => (&head.steps, 1),
        _ => unreachable!("a folder with another head was refused: this is a bug"),
    };
    let kernels = kernels(options.isa, options.precision)?;
    // The projection of colbert-ai is in the same file as the body.
    let known: &[&str] = match tower.method {
        Method::LateInteraction(_) => &["linear.weight"],
        _ => &[],
    };
    let network = || HiddenNetwork::load(&files, kernels, options.batch_tokens, known);
    let tokenizer = || Tokenizer::from_files(&files, &tokenizer_options);
    let (tokenizer, hidden) = threads.install(|| rayon::join(tokenizer, network));
    let hidden = hidden?;
    let width = pooled * hidden.hidden;
    let steps = LoadedSteps::load(folder.files(), steps, kernels.0, kernels.1, width)?;
    let network = Network { hidden, steps };
    EmbedderSide::new((Arc::new(tokenizer?), Arc::new(network)), tower, options)
}
