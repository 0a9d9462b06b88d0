//! Hybrid search: the rankings of a SPLADE model and of BM25 joined into one, and re-ranking by a
//! cross-encoder.

use std::path::Path;

use splade_eval::fuse::{Fusion, Place, fuse_rankings};
use splade_index::{Filter, SearchMode, SearchOptions};
use splade_io::Observer;
use splade_model::{CrossEncoder, CrossEncoderOptions};
use splade_sparse::SparseVector;

use crate::error::{Error, advised, invalid};
use crate::model::model_folder;
use crate::searcher::{Searcher, ranking};

/// Options of a hybrid search.
#[derive(Debug, Clone)]
pub struct HybridOptions {
    /// The maximum number of hits; 10 by default.
    pub k: usize,
    /// The number of hits that each of both searches brings into the fusion, at least `k`; 100 by
    /// default.
    pub depth: usize,
    /// How the rankings of SPLADE and of BM25, in this order, become one; reciprocal rank fusion by
    /// default.
    pub fusion: Fusion,
    /// The documents that may be returned, made by [`Searcher::filter`]; all by default.
    pub filter: Option<Filter>,
    /// Whether the search in the vectors is exact, which is the default; that of BM25 always is.
    pub mode: SearchMode,
}

impl Default for HybridOptions {
    fn default() -> Self {
        let (fusion, filter, mode) = (Fusion::default(), None, SearchMode::Exact);
        Self { k: 10, depth: 100, fusion, filter, mode }
    }
}

/// A document that a hybrid search found.
#[derive(Debug, Clone, PartialEq)]
pub struct HybridHit {
    /// The id of the document.
    pub id: String,
    /// The score of the fusion.
    pub score: f32,
    /// The rank and the score among the hits of SPLADE, if the document is among them.
    pub splade: Option<Place>,
    /// The rank and the score among the hits of BM25, if the document is among them.
    pub bm25: Option<Place>,
}

/// A document after a cross-encoder has scored it.
#[derive(Debug, Clone, PartialEq)]
pub struct RerankedHit {
    /// The id of the document.
    pub id: String,
    /// The score of the cross-encoder: a logit, which may be negative.
    pub score: f32,
    /// The rank among the candidates, from 1.
    pub rank_before: usize,
}

/// Loads a cross-encoder by its name: a folder, or a name at the Hugging Face hub.
///
/// # Errors
/// If the model cannot be found, fetched or read, or is no cross-encoder.
pub fn load_cross_encoder(
    name: impl AsRef<Path>,
    options: &CrossEncoderOptions,
    observer: &mut dyn Observer,
) -> Result<CrossEncoder, Error> {
    let name = name.as_ref();
    let folder = model_folder(name, observer)?;
    CrossEncoder::load(&folder, options).map_err(Error::load(name))
}

impl Searcher {
    /// The best documents for a query text by SPLADE and BM25 together, the best first.
    ///
    /// ```
    /// use light_splade::search::{Bm25Options, HybridOptions};
    /// use light_splade::{Index, IndexOptions, Searcher, SparseEncoder, SparseEncoderOptions};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
    /// let bm25 = Some(Bm25Options::default());
    /// let options = IndexOptions { store: true, bm25, ..IndexOptions::default() };
    /// let mut index = Index::create(folder.path().join("index"), &encoder, &options)?;
    /// index.upsert(&encoder, [("1", "東京の天気"), ("2", "大阪の天気")], &mut ())?;
    /// index.commit()?;
    ///
    /// let searcher = Searcher::open(index.path(), Some(encoder))?;
    /// let hits = searcher.search_hybrid("東京", &HybridOptions::default())?;
    /// assert_eq!(hits[0].id, "1");
    /// assert_eq!(hits[0].bm25.map(|place| place.rank), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the index has no BM25, there is no encoder, the text cannot be tokenized, or the settings of
    /// the fusion do not fit two rankings.
    pub fn search_hybrid(
        &self,
        query: &str,
        options: &HybridOptions,
    ) -> Result<Vec<HybridHit>, Error> {
        let vector = self.encoder()?.encode_query(query)?;
        self.search_hybrid_with(&vector, query, options)
    }

    /// Does the same with the vector of the query, which the caller has.
    ///
    /// # Errors
    /// As [`search_hybrid`](Self::search_hybrid).
    pub fn search_hybrid_with(
        &self,
        vector: &SparseVector,
        query: &str,
        options: &HybridOptions,
    ) -> Result<Vec<HybridHit>, Error> {
        let HybridOptions { k, depth, fusion, filter, mode } = options;
        fusion.check(2)?;
        let (k, filter) = (*k, filter.clone());
        let exact = SearchOptions { k: k.max(*depth), filter, ..SearchOptions::default() };
        let splade = SearchOptions { mode: *mode, ..exact.clone() };
        let splade = ranking(self.search_vector(vector, &splade));
        let bm25 = ranking(self.search_bm25(query, &exact)?);
        let fused = fuse_rankings(&[&splade, &bm25], fusion)?;
        let hit = |fused: splade_eval::fuse::Fused| HybridHit {
            id: fused.document,
            score: fused.score as f32,
            splade: fused.places[0],
            bm25: fused.places[1],
        };
        Ok(fused.into_iter().take(k).map(hit).collect())
    }

    /// Scores documents with a cross-encoder, which reads the query and the stored text of each, and
    /// returns all of them, the best first. `candidates` are ids in the order of another search. The
    /// cross-encoder computes on the threads of the current rayon pool.
    ///
    /// # Errors
    /// If the index stores no text of a candidate, or a pair cannot be scored.
    pub fn rerank<'a>(
        &self,
        cross_encoder: &CrossEncoder,
        query: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<RerankedHit>, Error> {
        let ids: Vec<&str> = candidates.into_iter().collect();
        let mut pairs = Vec::with_capacity(ids.len());
        for id in &ids {
            let Some(document) = self.document(id)? else {
                return Err(match self.index().stores() {
                    true => invalid(format!("the index stores no text of document {id:?}")),
                    false => no_texts("re-ranking"),
                });
            };
            pairs.push((query.to_owned(), document.full_text()));
        }
        let scores = cross_encoder.score(&pairs)?;
        let hit = |((at, id), score): ((usize, &&str), f32)| RerankedHit {
            id: (*id).to_owned(),
            score,
            rank_before: at + 1,
        };
        let mut hits: Vec<RerankedHit> = ids.iter().enumerate().zip(scores).map(hit).collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(hits)
    }
}

/// The error of what needs stored texts in an index without any.
pub(crate) fn no_texts(what: &str) -> Error {
    advised(
        format!("the index stores no texts, which {what} needs"),
        "build the index again with --store",
    )
}
