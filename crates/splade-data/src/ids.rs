//! A map between ids and rows that uses as few bytes as the ids allow.
//!
//! | ids | bytes for each row |
//! |---|---|
//! | consecutive (0, 1, 2…; 1, 2, 3…) | 0 |
//! | ascending, in a range below 2^32 | 4 |
//! | in any order, in a range below 2^32 | 8 |
//! | others | 8 if ascending, 12 in any order |

use rayon::prelude::*;

/// A list of distinct ids with lookups in both directions: from row to id and from id to row.
#[derive(Debug)]
pub(crate) struct Ids {
    column: Column,
    /// The rows sorted by ascending id; `None` if the rows are already in this order.
    order: Option<Vec<u32>>,
}

#[derive(Debug)]
enum Column {
    Consecutive { first: i64, len: usize },
    Offsets { base: i64, offsets: Vec<u32> },
    Wide(Vec<i64>),
}

/// Two rows that have the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeat {
    /// The row of the first occurrence.
    pub(crate) first: u32,
    /// The row of the repetition.
    pub(crate) again: u32,
}

impl Ids {
    /// Builds the index and returns it with the repeated ids, in the order of their rows. A row
    /// that repeats an earlier id is left out, and the rows after it move up.
    ///
    /// The number of ids must be below 2^32.
    pub(crate) fn new(mut ids: Vec<i64>) -> (Self, Vec<Repeat>) {
        let mut order = None;
        let mut repeats = Vec::new();
        if !ids.is_sorted_by(|a, b| a < b) {
            let mut rows = rows_by_id(&ids);
            let mut first = 0;
            for i in 1..rows.len() {
                if ids[rows[i] as usize] != ids[rows[first] as usize] {
                    first = i;
                } else {
                    repeats.push(Repeat { first: rows[first], again: rows[i] });
                }
            }
            if !repeats.is_empty() {
                repeats.sort_unstable_by_key(|repeat| repeat.again);
                let mut row = 0;
                let mut dropped = repeats.iter().map(|repeat| repeat.again).peekable();
                ids.retain(|_| {
                    row += 1;
                    dropped.next_if_eq(&(row - 1)).is_none()
                });
                rows = rows_by_id(&ids);
            }
            // The remaining ids may be ascending.
            order = Some(rows).filter(|rows| !rows.is_sorted());
        }
        (Self { column: Column::new(ids), order }, repeats)
    }

    pub(crate) fn len(&self) -> usize {
        match &self.column {
            Column::Consecutive { len, .. } => *len,
            Column::Offsets { offsets, .. } => offsets.len(),
            Column::Wide(ids) => ids.len(),
        }
    }

    /// Returns the id of a row.
    pub(crate) fn get(&self, row: usize) -> i64 {
        match &self.column {
            Column::Consecutive { first, .. } => first.wrapping_add(row as i64),
            Column::Offsets { base, offsets } => base.wrapping_add(i64::from(offsets[row])),
            Column::Wide(ids) => ids[row],
        }
    }

    /// Returns the row of an id; `None` if there is no such id.
    pub(crate) fn find(&self, id: i64) -> Option<usize> {
        if let Column::Consecutive { first, len } = self.column {
            let row = usize::try_from(id.checked_sub(first)?).ok()?;
            return (row < len).then_some(row);
        }
        let row_at = |i: usize| self.order.as_ref().map_or(i, |order| order[i] as usize);
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(row_at(middle)) < id {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        (low < self.len()).then(|| row_at(low)).filter(|row| self.get(*row) == id)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let column = match &self.column {
            Column::Consecutive { .. } => 0,
            Column::Offsets { offsets, .. } => offsets.capacity() * 4,
            Column::Wide(ids) => ids.capacity() * 8,
        };
        column + self.order.as_ref().map_or(0, |order| order.capacity() * 4)
    }
}

impl Column {
    fn new(ids: Vec<i64>) -> Self {
        let first = ids.first().copied().unwrap_or_default();
        let consecutive = |pair: &[i64]| pair[0].checked_add(1) == Some(pair[1]);
        if ids.windows(2).all(consecutive) {
            return Self::Consecutive { first, len: ids.len() };
        }
        let base = ids.iter().copied().min().unwrap_or_default();
        let top = ids.iter().copied().max().unwrap_or_default();
        match top.checked_sub(base).is_some_and(|span| u32::try_from(span).is_ok()) {
            true => {
                Self::Offsets { base, offsets: ids.iter().map(|id| (id - base) as u32).collect() }
            }
            false => Self::Wide(ids),
        }
    }
}

fn rows_by_id(ids: &[i64]) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..ids.len() as u32).collect();
    rows.par_sort_unstable_by_key(|row| (ids[*row as usize], *row));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn check(ids: &[i64]) -> (Ids, Vec<Repeat>) {
        let mut rows = HashMap::new();
        let (mut kept, mut repeats) = (Vec::new(), Vec::new());
        for (again, id) in ids.iter().enumerate() {
            match rows.get(id) {
                Some((_, first)) => repeats.push(Repeat { first: *first, again: again as u32 }),
                None => {
                    rows.insert(*id, (kept.len(), again as u32));
                    kept.push(*id);
                }
            }
        }
        let (index, found) = Ids::new(ids.to_vec());
        assert_eq!(found, repeats);
        assert_eq!((0..index.len()).map(|row| index.get(row)).collect::<Vec<_>>(), kept);
        for id in ids.iter().flat_map(|id| [*id, id.wrapping_add(1), id.wrapping_sub(1)]) {
            assert_eq!(index.find(id), rows.get(&id).map(|(row, _)| *row), "{id}");
        }
        (index, found)
    }

    #[test]
    fn sizes_are_those_of_the_table_above() {
        let bytes = |ids: &[i64]| check(ids).0.heap_bytes();
        assert_eq!(bytes(&[]), 0);
        assert_eq!(bytes(&[0, 1, 2, 3]), 0);
        assert_eq!(bytes(&[1, 2, 2, 3]), 0);
        assert_eq!(bytes(&[-2, -1, 0, 1]), 0);
        assert_eq!(bytes(&[1, 2, 4, 8]), 4 * 4);
        assert_eq!(bytes(&[4, 3, 2, 1]), 4 * 8);
        assert_eq!(bytes(&[0, 1 << 32, 1 << 33, 1 << 34]), 4 * 8);
        assert_eq!(bytes(&[i64::MAX, i64::MIN, 0, -1]), 4 * 12);
        assert_eq!(bytes(&[i64::MAX - 1, i64::MAX]), 0);
    }

    proptest! {
        #[test]
        fn finds_what_a_map_finds(
            ids in prop_oneof![
                prop::collection::vec(-9i64..9, 0..20),
                prop::collection::vec(0i64..1 << 33, 0..50),
                prop::collection::vec(any::<i64>(), 0..50),
                (any::<i64>(), 0i64..50).prop_map(|(first, n)| (0..n).map(|i| first.saturating_add(i)).collect()),
            ],
        ) {
            check(&ids);
        }
    }
}
