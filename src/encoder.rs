//! A SPLADE model with both of its towers.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use splade_io::Observer;
use splade_model::{
    Encoder, EncoderOptions, EncoderPair, Explanation, HeadKind, Isa, ModelFiles, Precision, Side,
};
use splade_sparse::{SparseVector, TermId};
use splade_text::TokenizerOptions;

use crate::error::{Error, advised};
use crate::model::{self, Identity, identify, model_files};
use crate::record::{IntoRecord, Position};
use crate::stream::{self, Ended, Records};

/// Settings of [`SparseEncoder::load`].
///
/// ```
/// use light_splade::encode::Precision;
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let options = SparseEncoderOptions {
///     precision: Precision::Int8,
///     max_length: Some(64),
///     ..SparseEncoderOptions::default()
/// };
/// let encoder = SparseEncoder::load("mini-ja-en", &options)?;
/// assert!(!encoder.encode_query("日本の首都")?.is_empty());
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SparseEncoderOptions {
    /// The arithmetic: 32-bit floats, or 8-bit integers for speed.
    pub precision: Precision,
    /// The longest text in tokens, special tokens included; the model's own limit if none.
    pub max_length: Option<usize>,
    /// The text that is put before every query; the model's own prompt if none.
    pub query_prompt: Option<String>,
    /// The text that is put before every document; the model's own prompt if none.
    pub document_prompt: Option<String>,
    /// The number of threads; all cores if none. Results do not depend on it.
    pub threads: Option<usize>,
    /// The number of tokens that a thread takes at a time. Results do not depend on it.
    pub batch_tokens: usize,
    /// The instruction set of the kernels. Results do not depend on it.
    pub isa: Isa,
    /// A compiled MeCab dictionary in UTF-8, in place of the model's.
    pub mecab_dicdir: Option<PathBuf>,
    /// Loads one tower only, where a model has two; both if none is named.
    pub only: Option<Side>,
}

impl Default for SparseEncoderOptions {
    fn default() -> Self {
        let EncoderOptions { precision, isa, threads, max_length, batch_tokens, .. } =
            EncoderOptions::default();
        Self {
            precision,
            max_length,
            query_prompt: None,
            document_prompt: None,
            threads,
            batch_tokens,
            isa,
            mecab_dicdir: None,
            only: None,
        }
    }
}

impl SparseEncoderOptions {
    /// The settings of both towers, with the model's own prompts.
    pub(crate) fn both(&self) -> EncoderOptions {
        EncoderOptions { prompt: None, ..self.tower(Side::Document) }
    }

    /// The settings of one tower.
    pub(crate) fn tower(&self, side: Side) -> EncoderOptions {
        let prompt = match side {
            Side::Query => self.query_prompt.clone(),
            Side::Document => self.document_prompt.clone(),
        };
        EncoderOptions {
            side,
            precision: self.precision,
            isa: self.isa,
            threads: self.threads,
            max_length: self.max_length,
            batch_tokens: self.batch_tokens,
            prompt,
            mecab_dicdir: self.mecab_dicdir.clone(),
        }
    }
}

/// A SPLADE model: texts in, sparse vectors over its vocabulary out.
///
/// A model has a tower for queries and one for documents. Where both have the same weights, these
/// are in memory once. A vector is the same to the bit alone or in any batch, with any number of
/// threads, on any CPU.
///
/// ```
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let query = encoder.encode_query("日本の首都")?;
/// let document = encoder.encode_document("日本の首都は東京です。")?;
/// assert!(encoder.similarity(&query, &document) > 1.0);
/// let terms: Vec<String> =
///     encoder.decode(&document, 3).into_iter().map(|(token, _)| token).collect();
/// assert_eq!(terms, ["首都", "東京", "日本"]);
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SparseEncoder {
    name: PathBuf,
    files: ModelFiles,
    options: SparseEncoderOptions,
    query: Option<Encoder>,
    document: Option<Encoder>,
    /// Read when it is first asked for.
    identity: Arc<OnceLock<Identity>>,
}

impl SparseEncoder {
    /// Loads a model by its name: the built-in model's ([`BUILT_IN`](crate::models::BUILT_IN)), a folder, or
    /// a name at the Hugging Face hub, `org/name` or `org/name@revision`.
    ///
    /// # Errors
    /// If the model cannot be found, fetched or read, or a setting does not fit it.
    pub fn load(name: impl AsRef<Path>, options: &SparseEncoderOptions) -> Result<Self, Error> {
        Self::load_observed(name, options, &mut ())
    }

    /// Does the same, and tells an observer of downloads and of tensors that are not used.
    ///
    /// # Errors
    /// If the model cannot be found, fetched or read, or a setting does not fit it.
    pub fn load_observed(
        name: impl AsRef<Path>,
        options: &SparseEncoderOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let name = name.as_ref();
        let files = model_files(name, observer)?;
        Self::from_files(name, &files, options, observer)
    }

    /// Loads a model whose files are in a folder or in memory; `name` is what it is called in
    /// messages and in the indexes that are made with it.
    ///
    /// ```
    /// use light_splade::models::ModelFiles;
    /// use light_splade::{SparseEncoder, SparseEncoderOptions};
    ///
    /// let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo"));
    /// let names = ["config.json", "tokenizer_config.json", "vocab.txt", "model.safetensors"];
    /// let read = |name: &str| std::fs::read(folder.join(name)).map(|bytes| (name.to_owned(), bytes));
    /// let files = ModelFiles::memory("demo", names.map(read).into_iter().collect::<Result<Vec<_>, _>>()?);
    ///
    /// let options = SparseEncoderOptions::default();
    /// let encoder = SparseEncoder::from_files("demo", &files, &options, &mut ())?;
    /// assert!(!encoder.encode_query("東京")?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a file cannot be read or a setting does not fit the model.
    pub fn from_files(
        name: impl AsRef<Path>,
        files: &ModelFiles,
        options: &SparseEncoderOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let name = name.as_ref().to_path_buf();
        let mut tower = |side| model::load_from(&name, files, &options.tower(side), observer);
        let (query, document) = match options.only {
            Some(Side::Query) => (Some(tower(Side::Query)?), None),
            Some(Side::Document) => (None, Some(tower(Side::Document)?)),
            None => {
                let EncoderPair { query, document } =
                    model::load_pair(&name, files, &options.both(), observer)?;
                let with = |tower: Encoder, prompt: &Option<String>| match prompt {
                    Some(prompt) => tower.with_prompt(prompt.clone()),
                    None => tower,
                };
                let query = with(query, &options.query_prompt);
                (Some(query), Some(with(document, &options.document_prompt)))
            }
        };
        let (options, identity) = (options.clone(), Arc::default());
        Ok(Self { name, files: files.clone(), options, query, document, identity })
    }

    /// The name that the model was loaded by.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Reads what identifies the model, once.
    pub(crate) fn identity(&self) -> Result<Identity, Error> {
        if let Some(known) = self.identity.get() {
            return Ok(known.clone());
        }
        let options = TokenizerOptions { mecab_dicdir: self.options.mecab_dicdir.clone() };
        let (query, document) = (self.query.as_ref(), self.document.as_ref());
        let loaded = document.map(|tower| (Side::Document, tower.tokenizer()));
        let loaded = loaded.or_else(|| query.map(|tower| (Side::Query, tower.tokenizer())));
        let identity = identify(&self.name, &self.files, HeadKind::Sparse, &options, loaded)?;
        Ok(self.identity.get_or_init(|| identity).clone())
    }

    /// The settings that the model was loaded with.
    pub fn options(&self) -> &SparseEncoderOptions {
        &self.options
    }

    /// The tower of a side.
    ///
    /// # Errors
    /// If the model was loaded for the other side only.
    pub fn tower(&self, side: Side) -> Result<&Encoder, Error> {
        let tower = match side {
            Side::Query => &self.query,
            Side::Document => &self.document,
        };
        tower.as_ref().ok_or_else(|| {
            advised(
                format!("{} was loaded for one side only", self.name.display()),
                format!("load it with `only: None` to encode {side:?} texts, too"),
            )
        })
    }

    /// Returns the encoder with another text before every text of one side. The weights are shared
    /// with this encoder.
    ///
    /// ```
    /// use light_splade::encode::Side;
    /// use light_splade::{SparseEncoder, SparseEncoderOptions};
    ///
    /// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
    /// let asking = encoder.with_prompt(Side::Query, "question: ");
    /// assert_eq!(asking.encode_query("Tokyo")?, encoder.encode_query("question: Tokyo")?);
    /// assert_eq!(asking.encode_document("Tokyo")?, encoder.encode_document("Tokyo")?);
    /// # Ok::<(), light_splade::Error>(())
    /// ```
    pub fn with_prompt(&self, side: Side, prompt: impl Into<String>) -> Self {
        let (mut new, prompt) = (self.clone(), prompt.into());
        let (tower, option) = match side {
            Side::Query => (&mut new.query, &mut new.options.query_prompt),
            Side::Document => (&mut new.document, &mut new.options.document_prompt),
        };
        *tower = tower.take().map(|tower| tower.with_prompt(prompt.clone()));
        *option = Some(prompt);
        new
    }

    /// Returns the encoder with another longest text in tokens, special tokens included, for both
    /// sides. The weights are shared with this encoder.
    ///
    /// ```
    /// use light_splade::encode::Side;
    /// use light_splade::{SparseEncoder, SparseEncoderOptions};
    ///
    /// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
    /// let short = encoder.with_max_length(4)?;
    /// assert_eq!(short.tokenize(Side::Document, "one two three four")?.len(), 4);
    /// # Ok::<(), light_splade::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the model does not take texts of this length.
    pub fn with_max_length(&self, max_length: usize) -> Result<Self, Error> {
        let mut new = self.clone();
        for tower in [&mut new.query, &mut new.document] {
            if let Some(loaded) = tower.take() {
                *tower = Some(loaded.with_max_length(max_length)?);
            }
        }
        new.options.max_length = Some(max_length);
        Ok(new)
    }

    /// Encodes texts that are token ids already, for those who tokenize by themselves. The ids are
    /// taken as they are: special tokens are the caller's, no prompt is put before them, and nothing
    /// is cut off.
    ///
    /// ```
    /// use light_splade::encode::Side;
    /// use light_splade::{SparseEncoder, SparseEncoderOptions};
    ///
    /// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
    /// let ids = encoder.tower(Side::Query)?.tokenizer().encode("東京の天気", None)?.ids;
    /// assert_eq!(encoder.encode_ids(Side::Query, &[ids])?[0], encoder.encode_query("東京の天気")?);
    /// # Ok::<(), light_splade::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a text has no token, more tokens than the model takes, or an id outside the vocabulary.
    pub fn encode_ids<T: AsRef<[u32]> + Sync>(
        &self,
        side: Side,
        texts: &[T],
    ) -> Result<Vec<SparseVector>, Error> {
        Ok(self.tower(side)?.encode_ids(texts)?)
    }

    /// Encodes a query.
    ///
    /// # Errors
    /// If the text cannot be tokenized.
    pub fn encode_query(&self, text: &str) -> Result<SparseVector, Error> {
        one(self.tower(Side::Query)?, text)
    }

    /// Encodes a document.
    ///
    /// # Errors
    /// If the text cannot be tokenized.
    pub fn encode_document(&self, text: &str) -> Result<SparseVector, Error> {
        one(self.tower(Side::Document)?, text)
    }

    /// Encodes queries one after another, a window of texts at a time; vectors come in the order of
    /// the texts, and memory does not grow with their number.
    ///
    /// ```
    /// use light_splade::{SparseEncoder, SparseEncoderOptions};
    ///
    /// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
    /// let vectors = encoder.encode_queries(["東京", "cheap flights"]).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(vectors[0], encoder.encode_query("東京")?);
    /// # Ok::<(), light_splade::Error>(())
    /// ```
    pub fn encode_queries<I>(&self, texts: I) -> EncodedTexts<'_, I::IntoIter>
    where
        I: IntoIterator<Item: AsRef<str> + Sync>,
    {
        EncodedTexts::new(self.tower(Side::Query), texts.into_iter())
    }

    /// Encodes documents as [`encode_queries`](Self::encode_queries) does queries.
    pub fn encode_documents<I>(&self, texts: I) -> EncodedTexts<'_, I::IntoIter>
    where
        I: IntoIterator<Item: AsRef<str> + Sync>,
    {
        EncodedTexts::new(self.tower(Side::Document), texts.into_iter())
    }

    /// Encodes records one after another and hands over each id and vector in order: the way for
    /// collections of any size, with progress and stopping. `take` may fail with an error of its own.
    ///
    /// # Errors
    /// If a record cannot be read or encoded, or `take` fails.
    pub fn encode_each<D, E>(
        &self,
        side: Side,
        records: D,
        position: Position,
        observer: &mut dyn Observer,
        mut take: impl FnMut(&str, SparseVector) -> Result<(), E>,
    ) -> Result<Ended, E>
    where
        D: IntoIterator<Item: IntoRecord>,
        E: From<Error>,
    {
        let records = records.into_iter().map(IntoRecord::into_record);
        let mut records = Records::new(records, position);
        stream::encode(self.tower(side)?, &mut records, observer, |record, vector| {
            take(&record.id, vector)
        })
    }

    /// Encodes a text and tells for each term which token of the text gave it its weight.
    ///
    /// # Errors
    /// If the text cannot be tokenized.
    pub fn explain(&self, side: Side, text: &str) -> Result<Explanation, Error> {
        Ok(self.tower(side)?.explain(text)?)
    }

    /// The tokens of a text as the model reads it, special tokens included, cut off at the longest
    /// length.
    ///
    /// # Errors
    /// If the text cannot be tokenized.
    pub fn tokenize(&self, side: Side, text: &str) -> Result<Vec<String>, Error> {
        let tower = self.tower(side)?;
        let encoding = tower.tokenizer().encode(text, Some(tower.max_length()))?;
        Ok(encoding.ids.iter().map(|id| tower.token(TermId(*id))).collect())
    }

    /// The largest weights of a vector with their tokens, in descending order.
    pub fn decode(&self, vector: &SparseVector, top_k: usize) -> Vec<(String, f32)> {
        let terms = vector.by_weight().into_iter().take(top_k);
        terms.map(|(term, weight)| (self.token(term), weight)).collect()
    }

    /// The token of a term; `[id]` where the model's vocabulary is larger than the tokenizer's.
    pub fn token(&self, term: TermId) -> String {
        self.any().token(term)
    }

    /// The number of terms of the vocabulary: the dimension of the vectors.
    pub fn vocab(&self) -> usize {
        self.any().vocab()
    }

    /// The score of a document for a query: the dot product of their vectors.
    pub fn similarity(&self, query: &SparseVector, document: &SparseVector) -> f32 {
        query.dot(document)
    }

    /// What each term gives to the score of a document for a query: the products of the weights of
    /// the terms that both have.
    pub fn intersection(&self, query: &SparseVector, document: &SparseVector) -> SparseVector {
        let products = query.iter().map(|(term, weight)| (term, weight * document.weight(term)));
        let products = products.filter(|(_, product)| *product > 0.0 && product.is_finite());
        SparseVector::from_pairs(products.collect())
            .expect("the terms of a vector are distinct and their products positive: this is a bug")
    }

    /// The share of the vocabulary that a vector has no weight for, from 0 to 1.
    pub fn sparsity(&self, vector: &SparseVector) -> f64 {
        1.0 - vector.len() as f64 / self.vocab() as f64
    }

    /// A tower that is there, for what both have in common.
    fn any(&self) -> &Encoder {
        let tower = self.document.as_ref().or(self.query.as_ref());
        tower.expect("one tower at least is loaded: this is a bug")
    }
}

fn one(tower: &Encoder, text: &str) -> Result<SparseVector, Error> {
    Ok(tower.encode(&[text])?.pop().expect("a text has a vector: this is a bug"))
}

/// The number of texts that are encoded together.
const WINDOW: usize = 256;

/// Vectors of texts that are encoded as they are asked for.
///
/// ```
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let mut vectors = encoder.encode_documents(["東京", "cheap flights"]);
/// assert!(!vectors.next().expect("a text")?.is_empty());
/// assert_eq!(vectors.count(), 1);
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug)]
pub struct EncodedTexts<'a, I> {
    tower: Result<&'a Encoder, Option<Error>>,
    texts: I,
    ready: VecDeque<SparseVector>,
}

impl<'a, I> EncodedTexts<'a, I> {
    fn new(tower: Result<&'a Encoder, Error>, texts: I) -> Self {
        Self { tower: tower.map_err(Some), texts, ready: VecDeque::new() }
    }
}

impl<I: Iterator<Item: AsRef<str> + Sync>> Iterator for EncodedTexts<'_, I> {
    type Item = Result<SparseVector, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(vector) = self.ready.pop_front() {
            return Some(Ok(vector));
        }
        let tower = match &mut self.tower {
            Ok(tower) => *tower,
            // The error is told once; after it there is nothing.
            Err(error) => return error.take().map(Err),
        };
        let window: Vec<I::Item> = self.texts.by_ref().take(WINDOW).collect();
        match tower.encode(&window) {
            Ok(vectors) => self.ready.extend(vectors),
            Err(error) => {
                self.tower = Err(None);
                return Some(Err(error.into()));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}
