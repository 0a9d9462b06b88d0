//! What heads make of texts, and how it is compared.

use std::fmt;

/// What a head makes of a text.
///
/// ```
/// use splade_model::{HeadKind, ModelFolder};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let folder = ModelFolder::open(&model)?;
/// assert_eq!(folder.heads[0], HeadKind::Sparse);
/// assert_eq!(HeadKind::MultiVector.name(), "multi-vector");
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeadKind {
    /// A sparse vector over the vocabulary: SPLADE, token weights, or a table.
    Sparse,
    /// One vector.
    Dense,
    /// A vector for each token, compared by late interaction (ColBERT).
    MultiVector,
    /// A score for a pair of texts: a cross-encoder.
    Classifier,
}

impl HeadKind {
    /// All kinds with the names of settings and of the command line.
    pub const NAMED: [(&'static str, Self); 4] = [
        ("sparse", Self::Sparse),
        ("dense", Self::Dense),
        ("multi-vector", Self::MultiVector),
        ("classifier", Self::Classifier),
    ];

    /// Returns the name of the kind.
    pub fn name(self) -> &'static str {
        let own = Self::NAMED.iter().find(|(_, kind)| *kind == self);
        own.map_or("", |(name, _)| name)
    }
}

/// Writes what the head makes, for messages.
impl fmt::Display for HeadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sparse => "sparse vectors",
            Self::Dense => "dense vectors",
            Self::MultiVector => "a vector for each token",
            Self::Classifier => "scores of pairs",
        })
    }
}

/// How the vectors of a query and a document are compared.
///
/// ```
/// use splade_model::{Embedding, Similarity, similarity};
///
/// let (a, b) = (Embedding::new(2, vec![3.0, 4.0]), Embedding::new(2, vec![0.0, 2.0]));
/// assert_eq!(similarity(Similarity::Dot, &a, &b), 8.0);
/// assert!((similarity(Similarity::Cosine, &a, &b) - 0.8).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Similarity {
    /// The dot product.
    Dot,
    /// The dot product of the vectors at unit length.
    #[default]
    Cosine,
    /// The sum over the tokens of the query of the largest dot product with a token of the document
    /// (ColBERT, arXiv 2004.12832).
    MaxSim,
    /// The mean over the tokens of the query in place of the sum.
    MeanMaxSim,
}

impl Similarity {
    /// Returns the name in the files of sentence-transformers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dot => "dot",
            Self::Cosine => "cosine",
            Self::MaxSim => "maxsim",
            Self::MeanMaxSim => "meanmaxsim",
        }
    }
}
