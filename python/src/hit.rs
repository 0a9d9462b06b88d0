//! What searches find: documents with their scores and places, and words that match a query.

use light_splade::Hit as FrontHit;
use light_splade::search::{HybridHit, Mark as FrontMark, MarkKind, Place as FrontPlace};
use pyo3::prelude::*;

/// The place of a document in a ranking.
#[pyclass(frozen, eq, get_all, from_py_object, module = "light_splade_rs._native")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    /// The rank, from 1.
    rank: usize,
    /// The score that the ranking gave the document.
    score: f32,
}

#[pymethods]
impl Place {
    #[new]
    fn new(rank: usize, score: f32) -> Self {
        Self { rank, score }
    }

    fn __repr__(&self) -> String {
        format!("Place(rank={}, score={:.4})", self.rank, self.score)
    }

    fn __getnewargs__(&self) -> (usize, f32) {
        (self.rank, self.score)
    }
}

impl From<FrontPlace> for Place {
    fn from(FrontPlace { rank, score }: FrontPlace) -> Self {
        Self { rank, score }
    }
}

/// A document that a search found.
#[pyclass(frozen, eq, get_all, module = "light_splade_rs._native")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hit {
    /// The id of the document.
    id: String,
    /// The score, by which hits are ordered, in the unit of the search.
    score: f32,
    /// The place among the hits of SPLADE, in a hybrid search.
    splade: Option<Place>,
    /// The place among the hits of BM25, in a hybrid search.
    bm25: Option<Place>,
    /// The place before a cross-encoder ranked the hits.
    before: Option<Place>,
}

#[pymethods]
impl Hit {
    #[new]
    #[pyo3(signature = (id, score, splade = None, bm25 = None, before = None))]
    fn new(
        id: String,
        score: f32,
        splade: Option<Place>,
        bm25: Option<Place>,
        before: Option<Place>,
    ) -> Self {
        Self { id, score, splade, bm25, before }
    }

    fn __repr__(&self) -> String {
        let places = [("splade", self.splade), ("bm25", self.bm25), ("before", self.before)];
        let place = |(name, place): (&str, Option<Place>)| {
            place.map(|place| format!(", {name}={}", place.__repr__()))
        };
        let places: String = places.into_iter().filter_map(place).collect();
        format!("Hit(id={:?}, score={:.4}{places})", self.id, self.score)
    }

    fn __getnewargs__(&self) -> (String, f32, Option<Place>, Option<Place>, Option<Place>) {
        (self.id.clone(), self.score, self.splade, self.bm25, self.before)
    }
}

impl From<FrontHit> for Hit {
    fn from(FrontHit { id, score }: FrontHit) -> Self {
        Self { id, score, splade: None, bm25: None, before: None }
    }
}

impl From<HybridHit> for Hit {
    fn from(HybridHit { id, score, splade, bm25 }: HybridHit) -> Self {
        Self {
            id,
            score,
            splade: splade.map(Place::from),
            bm25: bm25.map(Place::from),
            before: None,
        }
    }
}

/// A word that matches a query: its first character, the one after its last, whether the query has the word itself,
/// and the weight of its term as a share of the largest one.
pub(crate) type Mark = (usize, usize, bool, f32);

/// A passage of a text, and its marks by their characters in the passage.
pub(crate) type Passage = (String, Vec<Mark>);

/// The passage of a text that begins and ends at some bytes, with its marks.
pub(crate) fn passage(text: &str, range: std::ops::Range<usize>, marks: &[FrontMark]) -> Passage {
    let characters = |bytes: std::ops::Range<usize>| text[bytes].chars().count();
    let mark = |mark: &FrontMark| {
        let start = characters(range.start..mark.range.start);
        let stop = start + characters(mark.range.clone());
        (start, stop, mark.kind == MarkKind::Word, mark.weight)
    };
    (text[range.clone()].to_owned(), marks.iter().map(mark).collect())
}
