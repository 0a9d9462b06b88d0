//! The ids of inputs, to find those that are there twice.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The ids so far.
#[derive(Default)]
pub(crate) struct Ids {
    /// Hashes of ids; two of 10 million ids have the same with a chance of 1 in 370,000. Lines of
    /// plain text are not among them: their ids are numbers that count up.
    hashes: HashSet<u64>,
    repeats: u64,
    /// The first id that is there again, and its file, if that is known.
    first: Option<(String, Option<PathBuf>)>,
}

/// The largest number of ids that are kept, which take 300 MB. Later ids are compared with these.
const MOST_IDS: usize = (1 << 25) / 8 * 7;

impl Ids {
    /// Returns whether an id was added before.
    pub(crate) fn has(&self, id: &str) -> bool {
        !self.hashes.is_empty() && self.hashes.contains(&hash(id))
    }

    /// Adds an id; returns whether it is new.
    pub(crate) fn add(&mut self, id: &str) -> bool {
        match self.hashes.len() < MOST_IDS {
            true => self.hashes.insert(hash(id)),
            false => !self.has(id),
        }
    }

    /// Counts an id that was there before; `path` is its file.
    pub(crate) fn count(&mut self, id: &str, path: Option<&Path>) {
        self.repeats += 1;
        self.first.get_or_insert_with(|| (id.to_owned(), path.map(Path::to_path_buf)));
    }

    /// Returns what there is to say about ids that are there twice since the last call. `thing` is
    /// what has the ids, in the singular.
    pub(crate) fn warning(&mut self, thing: &str) -> Option<String> {
        let (id, path) = self.first.take()?;
        let count = std::mem::take(&mut self.repeats);
        let have = if count == 1 { " has" } else { "s have" };
        let least = if self.hashes.len() < MOST_IDS { "" } else { "at least " };
        let place = match path {
            None => String::new(),
            Some(path) if path == Path::new("-") => " in standard input".to_owned(),
            Some(path) => format!(" in {}", path.display()),
        };
        Some(format!(
            "{least}{count} {thing}{have} the id of an earlier {thing}, the first is {id:?}{place}"
        ))
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
