//! Exact search among dense vectors: every document is compared with every query, in blocks, by the
//! matrix products of the engine.

use rayon::prelude::*;
use splade_nn::{Activation, Isa, PackedMatrix};

use crate::embedder::Embedding;
use crate::head_kind::Similarity;

/// The rows of documents that are multiplied at a time. With 1,024 rows of queries the products of a
/// thread take 1 MB.
const BLOCK_ROWS: usize = 256;
/// The rows of queries that are multiplied at a time.
const QUERY_ROWS: usize = 1024;

/// The vectors of documents, such as those of a file that is mapped into memory.
///
/// ```
/// use splade_model::{DocumentRows, Embedding, Isa, Similarity, nearest};
///
/// // Two documents of late interaction: the first has two rows, and the second one.
/// let numbers = [1.0, 0.0, 0.0, 1.0, 0.5, 0.5];
/// let documents = DocumentRows { dim: 2, numbers: &numbers, ends: &[2, 3] };
/// let query = Embedding::new(2, vec![1.0, 0.0, 0.0, 1.0]);
/// let hits = nearest(Isa::detect(), Similarity::MaxSim, &[query], &documents, 10, &|_| true);
/// assert_eq!(hits[0], [(0, 2.0), (1, 1.0)]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct DocumentRows<'a> {
    /// The number of dimensions of a row.
    pub dim: usize,
    /// The numbers of all documents, row after row.
    pub numbers: &'a [f32],
    /// The number of rows of all documents up to each one.
    pub ends: &'a [u64],
}

impl DocumentRows<'_> {
    fn rows(&self, document: usize) -> std::ops::Range<usize> {
        let start = document.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        start..self.ends[document] as usize
    }
}

/// Returns the `k` best documents of each query with their scores, the best first. Equal scores are
/// ordered by the number of the document. Documents that `is_wanted` refuses and documents without a
/// row are left out. The work is done on the threads of the current rayon pool; the result does not
/// depend on their number.
///
/// ```
/// use splade_model::{DocumentRows, Embedding, Isa, Similarity, nearest};
///
/// let numbers = [1.0, 0.0, 0.6, 0.8, 0.0, 1.0];
/// let documents = DocumentRows { dim: 2, numbers: &numbers, ends: &[1, 2, 3] };
/// let query = Embedding::new(2, vec![0.0, 1.0]);
/// // The last document is filtered out.
/// let wanted = |document| document != 2;
/// let hits = nearest(Isa::detect(), Similarity::Dot, &[query], &documents, 1, &wanted);
/// assert_eq!(hits[0][0].0, 1);
/// ```
///
/// # Panics
/// Panics if a query has another number of dimensions than the documents.
pub fn nearest(
    isa: Isa,
    similarity: Similarity,
    queries: &[Embedding],
    documents: &DocumentRows<'_>,
    k: usize,
    is_wanted: &(dyn Fn(usize) -> bool + Sync),
) -> Vec<Vec<(usize, f32)>> {
    let (mut found, mut first) = (Vec::new(), 0);
    while first < queries.len() {
        let mut rows = queries[first].len();
        let more = queries[first + 1..].iter().take_while(|query| {
            rows += query.len();
            rows <= QUERY_ROWS
        });
        let end = first + 1 + more.count();
        found.extend(search(isa, similarity, &queries[first..end], documents, k, is_wanted));
        first = end;
    }
    found
}

/// Searches queries whose rows are multiplied together.
fn search(
    isa: Isa,
    similarity: Similarity,
    queries: &[Embedding],
    documents: &DocumentRows<'_>,
    k: usize,
    is_wanted: &(dyn Fn(usize) -> bool + Sync),
) -> Vec<Vec<(usize, f32)>> {
    let dim = documents.dim;
    let mut rows = Vec::new();
    for query in queries {
        assert!(query.is_empty() || query.dim() == dim, "vectors of other numbers of dimensions");
        let start = rows.len();
        rows.extend_from_slice(query.numbers());
        if similarity == Similarity::Cosine {
            crate::heads::steps::normalize(&mut rows[start..]);
        }
    }
    let width = rows.len() / dim.max(1);
    let packed = PackedMatrix::pack(isa, &rows, width, dim);
    let blocks = blocks(documents);
    let search = |mut best: Vec<Best>, block: &std::ops::Range<usize>| {
        let rows = documents.rows(block.start).start..documents.rows(block.end - 1).end;
        let mut products = vec![0.0; rows.len() * width];
        let input = &documents.numbers[rows.start * dim..rows.end * dim];
        packed.multiply(input, None, Activation::Identity, &mut products, false);
        for document in block.clone().filter(|document| is_wanted(*document)) {
            let own = documents.rows(document);
            if own.is_empty() {
                continue;
            }
            let products =
                &products[(own.start - rows.start) * width..(own.end - rows.start) * width];
            let scale = match similarity {
                Similarity::Cosine => {
                    let row = &documents.numbers[own.start * dim..own.end * dim];
                    1.0 / row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12)
                }
                _ => 1.0,
            };
            let mut column = 0;
            for (query, best) in queries.iter().zip(&mut best) {
                let columns = column..column + query.len();
                column = columns.end;
                best.offer(document, scale * score(similarity, products, width, columns), k);
            }
        }
        best
    };
    let none = || vec![Best::default(); queries.len()];
    let merged = blocks.par_iter().fold(none, search).reduce(none, |mut all, other| {
        all.iter_mut().zip(other).for_each(|(best, other)| best.merge(other, k));
        all
    });
    merged.into_iter().map(|best| best.sorted(k)).collect()
}

/// Returns the score of a document by the products of its rows with the columns of a query.
fn score(
    similarity: Similarity,
    products: &[f32],
    width: usize,
    columns: std::ops::Range<usize>,
) -> f32 {
    let count = columns.len();
    let best = |column: usize| {
        products[column..].iter().step_by(width).copied().fold(f32::NEG_INFINITY, f32::max)
    };
    let sum: f32 = columns.map(best).sum();
    match similarity {
        Similarity::MeanMaxSim => sum / count.max(1) as f32,
        _ => sum,
    }
}

/// Returns ranges of documents with about [`BLOCK_ROWS`] rows each.
fn blocks(documents: &DocumentRows<'_>) -> Vec<std::ops::Range<usize>> {
    let (mut blocks, mut start) = (Vec::new(), 0);
    for document in 0..documents.ends.len() {
        let first = documents.rows(start).start as u64;
        if documents.ends[document] - first >= BLOCK_ROWS as u64 {
            blocks.push(start..document + 1);
            start = document + 1;
        }
    }
    if start < documents.ends.len() {
        blocks.push(start..documents.ends.len());
    }
    blocks
}

/// The best documents of a query so far. The list is cut to the best `k` when it has twice as many.
#[derive(Debug, Clone, Default)]
struct Best {
    found: Vec<(usize, f32)>,
    /// The worst score of the last cut: what is below is not among the best.
    bound: Option<f32>,
}

impl Best {
    fn offer(&mut self, document: usize, score: f32, k: usize) {
        if self.bound.is_none_or(|bound| score >= bound) {
            self.found.push((document, score));
            if self.found.len() >= 2 * k.max(1) {
                self.cut(k);
            }
        }
    }

    fn merge(&mut self, other: Self, k: usize) {
        self.found.extend(other.found);
        self.cut(k);
    }

    /// Keeps the best `k`.
    fn cut(&mut self, k: usize) {
        if self.found.len() > k {
            let place = k.saturating_sub(1);
            self.found.select_nth_unstable_by(place, order);
            self.found.truncate(k);
            self.bound = self.found.get(place).map(|(_, score)| *score);
        }
    }

    fn sorted(mut self, k: usize) -> Vec<(usize, f32)> {
        self.found.sort_by(order);
        self.found.truncate(k);
        self.found
    }
}

fn order(a: &(usize, f32), b: &(usize, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedder::similarity;

    /// Compares with the similarity of every pair, for documents of one row and of several.
    #[test]
    fn equals_the_similarity_of_every_pair() {
        let number = |i: usize| ((i * 7919 + 13) % 211) as f32 / 100.0 - 1.0;
        let dim = 19;
        for (kind, most) in [
            (Similarity::Dot, 1),
            (Similarity::Cosine, 1),
            (Similarity::MaxSim, 7),
            (Similarity::MeanMaxSim, 5),
        ] {
            let embedding = |seed: usize| {
                let rows = if most == 1 { 1 } else { seed % most };
                Embedding::new(dim, (0..rows * dim).map(|i| number(seed * 977 + i)).collect())
            };
            let queries: Vec<Embedding> = (1..40).map(embedding).collect();
            let documents: Vec<Embedding> = (100..900).map(embedding).collect();
            let numbers: Vec<f32> = documents.iter().flat_map(|d| d.numbers().to_vec()).collect();
            let mut total = 0;
            let ends: Vec<u64> = documents
                .iter()
                .map(|document| {
                    total += document.len() as u64;
                    total
                })
                .collect();
            let all = DocumentRows { dim, numbers: &numbers, ends: &ends };
            let wanted = |document: usize| !document.is_multiple_of(3);
            for isa in Isa::supported() {
                let found = nearest(isa, kind, &queries, &all, 25, &wanted);
                assert_eq!(found.len(), queries.len());
                for (query, found) in queries.iter().zip(&found) {
                    let mut scores: Vec<(usize, f32)> = (0..documents.len())
                        .filter(|i| wanted(*i) && !documents[*i].is_empty())
                        .map(|i| (i, similarity(kind, query, &documents[i])))
                        .collect();
                    scores.sort_by(order);
                    assert_eq!(found.len(), 25);
                    for (got, want) in found.iter().zip(&scores) {
                        // Documents with nearly equal scores may change places.
                        assert!((got.1 - want.1).abs() < 1e-4, "{kind:?} {isa}: {got:?} {want:?}");
                        let own = similarity(kind, query, &documents[got.0]);
                        assert!((got.1 - own).abs() < 1e-4, "{kind:?} {isa}: {got:?} {own}");
                    }
                }
            }
        }
    }
}
