//! Dense and late-interaction models that compare queries with documents, found by exact search.

use std::collections::HashMap;
use std::path::Path;

use splade_io::Observer;
use splade_model::{DocumentRows, HeadKind, Isa, nearest};

use crate::dense_vectors::{DenseVectors, TextsOf};
use crate::error::Error;
use crate::ranker::RankerOptions;

/// A dense or late-interaction model with the vectors of its queries and documents.
pub(crate) struct DenseRanker {
    vectors: DenseVectors,
    isa: Isa,
    /// The ids of the documents that have each of the stored texts, ascending.
    ids: Vec<Vec<i64>>,
    /// The stored text of each document.
    places: HashMap<i64, usize>,
}

impl DenseRanker {
    /// Loads a model and embeds the texts that the folder of vectors does not have yet.
    pub(crate) fn open(
        model: &Path,
        kind: HeadKind,
        options: &RankerOptions,
        queries: &TextsOf<'_>,
        documents: &TextsOf<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let vectors = DenseVectors::open(model, kind, options, queries, documents, observer)?;
        let stored = &vectors.documents;
        let (mut ids, mut places) = (vec![Vec::new(); stored.ends().len()], HashMap::new());
        for id in documents.ids() {
            if let Some(place) = stored.index(&documents.texts.get(id)?) {
                ids[place].push(id);
                places.insert(id, place);
            }
        }
        ids.iter_mut().for_each(|ids| ids.sort_unstable());
        Ok(Self { vectors, isa: options.encoder.isa, ids, places })
    }

    /// The score of a document for a query; none if the document is unknown.
    pub(crate) fn score(&self, query: &str, document: i64) -> Result<Option<f32>, Error> {
        let Some(place) = self.places.get(&document) else { return Ok(None) };
        let query = self.vectors.query(query)?;
        Ok(Some(self.vectors.score(&query, &self.vectors.document_at(*place))))
    }

    /// The best documents of queries, found among all of them.
    pub(crate) fn rank(
        &self,
        queries: &[&str],
        depth: usize,
        pool: &rayon::ThreadPool,
    ) -> Result<Vec<Vec<i64>>, Error> {
        let queries = queries.iter().map(|text| self.vectors.query(text));
        let queries = queries.collect::<Result<Vec<_>, _>>()?;
        let stored = &self.vectors.documents;
        let documents =
            DocumentRows { dim: stored.dim(), numbers: stored.numbers(), ends: stored.ends() };
        // The folder may have texts of other data.
        let is_wanted = |place: usize| !self.ids[place].is_empty();
        let kind = self.vectors.similarity;
        let search = || nearest(self.isa, kind, &queries, &documents, depth, &is_wanted);
        let found = pool.install(search);
        let of = |found: Vec<(usize, f32)>| {
            let ids = found.into_iter().flat_map(|(place, _)| self.ids[place].iter().copied());
            ids.take(depth).collect()
        };
        Ok(found.into_iter().map(of).collect())
    }
}
