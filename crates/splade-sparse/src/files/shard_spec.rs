//! The share of a corpus that one of several processes encodes with `--shard`: every n-th row.
//!
//! The rows of a file follow from its name alone, so each process can be repeated independently of
//! the others.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use splade_io::{FileError, Problem};

/// The rows of a corpus that a process encodes, given as `--shard 1/8` to `--shard 8/8`: those whose
/// number, counted from 0, has the remainder `index` when divided by `of`.
///
/// ```
/// use splade_sparse::files::ShardSpec;
///
/// let shard: ShardSpec = "3/64".parse()?;
/// assert_eq!((shard.index(), shard.of()), (2, 64));
/// assert!("0/64".parse::<ShardSpec>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardSpec {
    /// The index of the shard, counted from 0 as in the names of files, below `of`.
    index: u64,
    /// The number of shards, from 1 to [`MOST`].
    of: u64,
}

/// The largest number of shards, because file names have five digits for it.
const MOST: u64 = 99_999;

impl ShardSpec {
    /// Returns the index of the shard, counted from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Returns the number of shards.
    pub fn of(&self) -> u64 {
        self.of
    }

    /// Returns the name of the shard's Parquet file.
    pub fn file_name(&self) -> String {
        format!("vectors-{:05}-of-{:05}.parquet", self.index, self.of)
    }

    /// Returns whether a row, counted from 0, belongs to the shard.
    pub fn has(&self, row: u64) -> bool {
        row % self.of == self.index
    }

    /// Parses the name of a shard's file. Returns `None` for any other name.
    fn of_file(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (index, of) =
            name.strip_prefix("vectors-")?.strip_suffix(".parquet")?.split_once("-of-")?;
        Self::new(index.parse().ok()?, of.parse().ok()?)
    }

    /// The shard of this index, if there is such a one.
    fn new(index: u64, of: u64) -> Option<Self> {
        (index < of && of <= MOST).then_some(Self { index, of })
    }
}

impl std::fmt::Display for ShardSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

/// Parses `i/n`, where `i` counts from 1.
impl FromStr for ShardSpec {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/');
        let numbers =
            numbers.and_then(|(i, n)| Some((i.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
        let shard = numbers.and_then(|(i, of)| Self::new(i.checked_sub(1)?, of));
        match (shard, numbers) {
            (Some(shard), _) => Ok(shard),
            (_, Some((_, of))) if of > MOST => Err(format!("at most {MOST} shards are possible")),
            (_, Some((_, of))) if of > 0 => {
                Err(format!("the shards of {of} are 1/{of} to {of}/{of}, counted from 1"))
            }
            _ => Err("i/n is expected, such as 1/8 to 8/8".to_owned()),
        }
    }
}

/// Checks that a folder has all shards of one division, or none.
pub(super) fn check_shards(dir: &Path, files: &[PathBuf]) -> Result<(), FileError> {
    let shards: Vec<ShardSpec> = files.iter().filter_map(|file| ShardSpec::of_file(file)).collect();
    let Some(ShardSpec { of, .. }) = shards.first() else { return Ok(()) };
    if let Some(other) = shards.iter().find(|shard| shard.of != *of) {
        let message = format!("the folder mixes shards of {of} and of {}", other.of);
        return Err(FileError::form(dir, message));
    }
    let missing = (0..*of).find(|index| !shards.iter().any(|shard| shard.index == *index));
    match missing {
        None => Ok(()),
        Some(index) => Err(FileError::form(
            dir,
            Problem::new("the vectors are not complete")
                .with_remedy(format!("run the command for --shard {}/{of}, too", index + 1)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_divide_the_rows() {
        let shards: Vec<ShardSpec> =
            (1..=3).map(|number| format!("{number}/3").parse().expect("a shard")).collect();
        for row in 0..10 {
            assert_eq!(shards.iter().filter(|shard| shard.has(row)).count(), 1, "row {row}");
        }
        assert_eq!(shards[2].file_name(), "vectors-00002-of-00003.parquet");
        for text in ["", "1", "0/3", "4/3", "0/0", "-1/2", "1/100000", "a/b", "1/2/3"] {
            assert!(text.parse::<ShardSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn missing_and_mixed_shards_are_errors() {
        let check = |names: &[&str]| {
            let files: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
            let checked = check_shards(Path::new("dir"), &files);
            checked.map_err(|error| error.hint().unwrap_or_default().to_owned())
        };
        let (a, b) = ("vectors-00000-of-00002.parquet", "vectors-00001-of-00002.parquet");
        assert_eq!(check(&[a, b]), Ok(()));
        assert_eq!(check(&["other.parquet"]), Ok(()));
        assert!(check(&[a]).is_err_and(|error| error.ends_with("for --shard 2/2, too")));
        assert!(check(&[a, b, "vectors-00000-of-00001.parquet"]).is_err());
    }
}
