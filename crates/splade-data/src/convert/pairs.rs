//! Triples and scored pairs of rows, grouped by query.

use rustc_hash::FxHashSet;

use crate::random::Random;

/// The rows of a query, a positive document and a negative document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Triple {
    pub(super) query: u32,
    pub(super) positive: u32,
    pub(super) negative: u32,
}

/// The rows of a query and a document, with a score that is NaN if there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scored {
    pub(super) query: u32,
    pub(super) doc: u32,
    pub(super) score: f32,
}

/// The positions of a list's items grouped by query, 4 bytes an item. The positions of a query keep
/// the order of the list.
#[derive(Debug)]
pub(super) struct ByQuery {
    /// The start of each query's positions, followed by the end of the last.
    starts: Vec<u32>,
    places: Vec<u32>,
}

impl ByQuery {
    /// Groups the items of a list with a counting sort. The list must have fewer than 2^32 items.
    pub(super) fn new<I: Iterator<Item = u32>>(queries: usize, of: impl Fn() -> I) -> Self {
        let mut starts = vec![0u32; queries + 1];
        of().for_each(|query| starts[query as usize + 1] += 1);
        for query in 0..queries {
            starts[query + 1] += starts[query];
        }
        let mut next = starts.clone();
        let mut places = vec![0; starts[queries] as usize];
        for (place, query) in of().enumerate() {
            places[next[query as usize] as usize] = place as u32;
            next[query as usize] += 1;
        }
        Self { starts, places }
    }

    /// Returns the positions of a query's items.
    pub(super) fn get(&self, query: u32) -> &[u32] {
        let [start, end] = [query, query + 1].map(|query| self.starts[query as usize] as usize);
        &self.places[start..end]
    }
}

/// Returns the distinct rows in the order of their first occurrence.
pub(super) fn unique(rows: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut seen = FxHashSet::default();
    rows.filter(|row| seen.insert(*row)).collect()
}

/// Draws `count` of the rows without replacement. Returns all rows in their order if `count` is 0
/// or not below their number.
pub(super) fn sample(rows: Vec<u32>, count: usize, key: &[u64]) -> Vec<u32> {
    if count == 0 || rows.len() <= count {
        return rows;
    }
    let chosen = Random::new(key).choose(count, rows.len());
    chosen.into_iter().map(|place| rows[place]).collect()
}

/// A set of rows, stored as one bit for each row.
#[derive(Debug)]
pub(super) struct Rows(Vec<u64>);

impl Rows {
    pub(super) fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    /// Adds a row and returns whether it was new.
    pub(super) fn insert(&mut self, row: u32) -> bool {
        let (word, bit) = (&mut self.0[row as usize / 64], 1 << (row % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    pub(super) fn contains(&self, row: u32) -> bool {
        self.0[row as usize / 64] & 1 << (row % 64) != 0
    }

    /// Iterates over the rows of the set in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..self.0.len() as u32 * 64).filter(|row| self.contains(*row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_a_query_keep_their_order() {
        let queries = [3u32, 0, 3, 1, 3, 0];
        let by = ByQuery::new(5, || queries.iter().copied());
        let all: Vec<_> = (0..5).map(|query| by.get(query).to_vec()).collect();
        assert_eq!(all, [vec![1, 5], vec![3], vec![], vec![0, 2, 4], vec![]]);
    }

    #[test]
    fn samples_are_subsets() {
        assert_eq!(unique([5, 1, 5, 2, 1].into_iter()), [5, 1, 2]);
        let rows: Vec<u32> = (10..30).collect();
        assert_eq!(sample(rows.clone(), 0, &[1]), rows);
        assert_eq!(sample(rows.clone(), 20, &[1]), rows);
        let some = sample(rows.clone(), 7, &[1]);
        assert_eq!(unique(some.iter().copied()).len(), 7);
        assert!(some.iter().all(|row| rows.contains(row)));
        assert_eq!(some, sample(rows.clone(), 7, &[1]));
        assert_ne!(some, sample(rows, 7, &[2]));
    }

    #[test]
    fn rows_are_a_set() {
        let mut rows = Rows::new(130);
        for row in [129, 0, 64] {
            assert!(rows.insert(row) && !rows.insert(row));
        }
        assert_eq!(rows.iter().collect::<Vec<_>>(), [0, 64, 129]);
        assert!(rows.contains(64) && !rows.contains(65));
    }
}
