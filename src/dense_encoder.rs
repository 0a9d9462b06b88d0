//! Models that make dense vectors: one for a text, or one for each token.

use std::path::{Path, PathBuf};

use splade_io::Observer;
use splade_model::{Embedder, Embedding, HeadKind, ModelFiles, Side, Similarity};
use splade_text::TokenizerOptions;

use crate::encoder::SparseEncoderOptions;
use crate::error::Error;
use crate::model::{full, identify, load_embedder, model_files};
use crate::provenance::{Encoding, Provenance};
use crate::pruning::Pruning;

/// A model that makes one dense vector of a text, such as those of sentence-transformers.
///
/// Queries and documents have prompts of their own, which the model's folder names. A vector is the
/// same to the bit alone or in any batch, with any number of threads, on any CPU.
///
/// ```no_run
/// use light_splade::{DenseEncoder, SparseEncoderOptions};
///
/// let encoder = DenseEncoder::load("multilingual-e5-small", &SparseEncoderOptions::default())?;
/// let query = encoder.encode_query("日本の首都")?;
/// let document = encoder.encode_document("日本の首都は東京です。")?;
/// assert_eq!(query.len(), encoder.dimensions());
/// println!("{}", encoder.similarity(&query, &document));
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct DenseEncoder(Loaded);

/// A model of late interaction, which makes a vector for each token (ColBERT).
///
/// ```no_run
/// use light_splade::{MultiVectorEncoder, SparseEncoderOptions};
///
/// let encoder = MultiVectorEncoder::load("colbertv2.0", &SparseEncoderOptions::default())?;
/// let query = encoder.encode_query("cheap flights")?;
/// let document = encoder.encode_document("The night train is cheaper.")?;
/// println!("{} tokens: {}", document.len(), encoder.similarity(&query, &document));
/// # Ok::<(), light_splade::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MultiVectorEncoder(Loaded);

/// A loaded model with its name and the options it was loaded with.
#[derive(Debug, Clone)]
struct Loaded {
    name: PathBuf,
    files: ModelFiles,
    options: SparseEncoderOptions,
    embedder: Embedder,
}

impl Loaded {
    fn load(
        name: &Path,
        files: &ModelFiles,
        kind: HeadKind,
        options: &SparseEncoderOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let embedder = load_embedder(name, files, kind, &options.both(), observer)?;
        let embedder = with_prompts(embedder, options);
        let (name, files, options) = (name.to_path_buf(), files.clone(), options.clone());
        Ok(Self { name, files, options, embedder })
    }

    /// What the vectors of texts of one side depend on besides the texts.
    fn provenance(&self, side: Side) -> Result<Provenance, Error> {
        let (embedder, options) = (&self.embedder, &self.options);
        let tokenizer = TokenizerOptions { mecab_dicdir: options.mecab_dicdir.clone() };
        let identity = identify(&self.name, &self.files, embedder.kind(), &tokenizer, None)?;
        Ok(Provenance {
            model: Some(full(&self.name)),
            revision: identity.revision,
            content: Some(identity.content),
            encoding: Some(Encoding {
                side,
                precision: options.precision,
                max_length: embedder.max_length(side),
                prompt: embedder.prompt(side).to_owned(),
                pruning: Pruning::default(),
            }),
            ..Provenance::default()
        })
    }

    fn one(&self, side: Side, text: &str) -> Result<Embedding, Error> {
        let mut embeddings = self.embedder.embed(side, &[text])?;
        Ok(embeddings.pop().expect("a text has its vectors: this is a bug"))
    }
}

/// Gives an embedder the prompts of the options, where they name some.
pub(crate) fn with_prompts(embedder: Embedder, options: &SparseEncoderOptions) -> Embedder {
    let prompts =
        [(Side::Query, &options.query_prompt), (Side::Document, &options.document_prompt)];
    prompts.into_iter().fold(embedder, |embedder, (side, prompt)| match prompt {
        Some(prompt) => embedder.with_prompt(side, prompt.clone()),
        None => embedder,
    })
}

/// Defines what both types have in common.
macro_rules! common {
    ($type:ident, $kind:expr) => {
        impl $type {
            /// Loads a model by its name: a folder, or a name at the Hugging Face hub, `org/name` or
            /// `org/name@revision`.
            ///
            /// # Errors
            /// If the model cannot be found, fetched or read, does not make such vectors, or a
            /// setting does not fit it.
            pub fn load(
                name: impl AsRef<Path>,
                options: &SparseEncoderOptions,
            ) -> Result<Self, Error> {
                Self::load_observed(name, options, &mut ())
            }

            /// Does the same, and tells an observer of downloads and of tensors that are not used.
            ///
            /// # Errors
            /// As [`load`](Self::load).
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
            /// messages.
            ///
            /// # Errors
            /// If a file cannot be read or a setting does not fit the model.
            pub fn from_files(
                name: impl AsRef<Path>,
                files: &ModelFiles,
                options: &SparseEncoderOptions,
                observer: &mut dyn Observer,
            ) -> Result<Self, Error> {
                Ok(Self(Loaded::load(name.as_ref(), files, $kind, options, observer)?))
            }

            /// The name that the model was loaded by.
            pub fn name(&self) -> &Path {
                &self.0.name
            }

            /// The settings that the model was loaded with.
            pub fn options(&self) -> &SparseEncoderOptions {
                &self.0.options
            }

            /// The number of dimensions of a vector.
            pub fn dimensions(&self) -> usize {
                self.0.embedder.dim()
            }

            /// The provenance of the vectors of texts of one side: the model and how it encodes them.
            ///
            /// # Errors
            /// If the files of the model cannot be read.
            pub fn provenance(&self, side: Side) -> Result<Provenance, Error> {
                self.0.provenance(side)
            }

            /// How the model compares vectors.
            pub fn similarity_kind(&self) -> Similarity {
                self.0.embedder.similarity_kind()
            }

            /// The model itself, which embeds many texts at once and counts their tokens.
            pub fn embedder(&self) -> &Embedder {
                &self.0.embedder
            }
        }
    };
}

common!(DenseEncoder, HeadKind::Dense);
common!(MultiVectorEncoder, HeadKind::MultiVector);

impl DenseEncoder {
    /// Encodes a query.
    ///
    /// # Errors
    /// If the text cannot be tokenized.
    pub fn encode_query(&self, text: &str) -> Result<Vec<f32>, Error> {
        Ok(self.0.one(Side::Query, text)?.into_numbers())
    }

    /// Encodes a document.
    ///
    /// # Errors
    /// If the text cannot be tokenized.
    pub fn encode_document(&self, text: &str) -> Result<Vec<f32>, Error> {
        Ok(self.0.one(Side::Document, text)?.into_numbers())
    }

    /// Encodes many queries at once.
    ///
    /// # Errors
    /// If a text cannot be tokenized.
    pub fn encode_queries<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<Vec<Vec<f32>>, Error> {
        let embeddings = self.0.embedder.embed(Side::Query, texts)?;
        Ok(embeddings.into_iter().map(Embedding::into_numbers).collect())
    }

    /// Encodes many documents at once.
    ///
    /// # Errors
    /// If a text cannot be tokenized.
    pub fn encode_documents<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<Vec<Vec<f32>>, Error> {
        let embeddings = self.0.embedder.embed(Side::Document, texts)?;
        Ok(embeddings.into_iter().map(Embedding::into_numbers).collect())
    }

    /// The score of a document for a query by the model's similarity: the cosine or the dot product.
    ///
    /// # Panics
    /// Panics if a vector does not have the [`dimensions`](Self::dimensions) of the model.
    pub fn similarity(&self, query: &[f32], document: &[f32]) -> f32 {
        let embedding = |vector: &[f32]| Embedding::new(self.dimensions(), vector.to_vec());
        self.0.embedder.similarity(&embedding(query), &embedding(document))
    }
}

impl MultiVectorEncoder {
    /// Encodes a query.
    ///
    /// # Errors
    /// If the text cannot be tokenized.
    pub fn encode_query(&self, text: &str) -> Result<Embedding, Error> {
        self.0.one(Side::Query, text)
    }

    /// Encodes a document.
    ///
    /// # Errors
    /// If the text cannot be tokenized.
    pub fn encode_document(&self, text: &str) -> Result<Embedding, Error> {
        self.0.one(Side::Document, text)
    }

    /// The score of a document for a query: the sum (or the mean, for some models) over the tokens of
    /// the query of the largest dot product with a token of the document.
    pub fn similarity(&self, query: &Embedding, document: &Embedding) -> f32 {
        self.0.embedder.similarity(query, document)
    }
}
