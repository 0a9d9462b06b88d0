//! Lists for queries, such as positives and scores, stored in one block of memory.

/// The value of `Lists::of` for a query without a list.
const NONE: u32 = u32::MAX;

/// At most one list of items for each query, found by the query's row.
#[derive(Debug)]
pub(super) struct Lists<T> {
    /// For each query the number of its list, or [`NONE`].
    of: Vec<u32>,
    /// The start of each list in `items`, followed by the end of the last list.
    starts: Vec<usize>,
    items: Vec<T>,
}

/// The result of adding a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    New,
    /// The query already has the same list.
    Again,
    /// The query already has another list, which it keeps.
    Differs,
}

impl<T: PartialEq + Copy> Lists<T> {
    /// Creates a collection for `queries` queries, without any list.
    pub(super) fn new(queries: usize) -> Self {
        Self { of: vec![NONE; queries], starts: vec![0], items: Vec::new() }
    }

    pub(super) fn push(&mut self, query: u32, list: &[T]) -> Pushed {
        match self.get(query) {
            Some(earlier) if earlier == list => Pushed::Again,
            Some(_) => Pushed::Differs,
            None => {
                self.of[query as usize] = self.starts.len() as u32 - 1;
                self.items.extend_from_slice(list);
                self.starts.push(self.items.len());
                Pushed::New
            }
        }
    }

    /// Returns the list of a query; `None` if it has none.
    pub(super) fn get(&self, query: u32) -> Option<&[T]> {
        let list = *self.of.get(query as usize).filter(|list| **list != NONE)? as usize;
        Some(&self.items[self.starts[list]..self.starts[list + 1]])
    }

    /// Returns the number of items in all lists.
    pub(super) fn items(&self) -> usize {
        self.items.len()
    }

    /// Releases memory that was reserved but not used.
    pub(super) fn shrink(mut self) -> Self {
        self.starts.shrink_to_fit();
        self.items.shrink_to_fit();
        self
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.of.capacity() * 4
            + self.starts.capacity() * size_of::<usize>()
            + self.items.capacity() * size_of::<T>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_keeps_its_first_list() {
        let mut lists = Lists::new(4);
        assert_eq!(lists.push(2, &[5, 6]), Pushed::New);
        assert_eq!(lists.push(0, &[]), Pushed::New);
        assert_eq!(lists.push(2, &[5, 6]), Pushed::Again);
        assert_eq!(lists.push(2, &[6, 5]), Pushed::Differs);
        assert_eq!(lists.push(3, &[7]), Pushed::New);
        let lists = lists.shrink();
        let all: Vec<_> = (0..5).map(|query| lists.get(query)).collect();
        assert_eq!(all, [Some(&[][..]), None, Some(&[5, 6]), Some(&[7]), None]);
        assert_eq!(lists.items(), 3);
    }
}
