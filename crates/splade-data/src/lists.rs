//! A list for each query, all in one block of memory: positives and scores.

/// No list.
const NONE: u32 = u32::MAX;

/// Lists by the row of their query.
#[derive(Debug)]
pub(super) struct Lists<T> {
    /// By query the number of its list.
    of: Vec<u32>,
    /// Where each list starts, and where the last one ends.
    starts: Vec<usize>,
    items: Vec<T>,
}

/// What became of a list that was pushed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    New,
    /// The query has the same list already.
    Again,
    /// The query has another list already, which it keeps.
    Differs,
}

impl<T: PartialEq + Copy> Lists<T> {
    /// No list for any of so many queries.
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

    /// The list of a query.
    pub(super) fn get(&self, query: u32) -> Option<&[T]> {
        let list = *self.of.get(query as usize).filter(|list| **list != NONE)? as usize;
        Some(&self.items[self.starts[list]..self.starts[list + 1]])
    }

    /// Items of all lists.
    pub(super) fn items(&self) -> usize {
        self.items.len()
    }

    /// Gives back memory that was reserved for more.
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
