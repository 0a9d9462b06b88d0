//! The texts of a TSV file, with an id and a text in each line, found by row, by id and by the text
//! itself.
//!
//! The texts stay in the memory-mapped file; of 8.8 million passages only the line positions are in
//! memory, half a byte each. The index by text has 4 bytes a row, which name the row with the same
//! text, and 5 bytes more while it is built. It compares the texts and not only their hashes.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxBuildHasher;

use super::inputs::error;
use super::steps::Steps;
use crate::error::DataError;
use crate::{Findings, Ids, Table};

/// The texts of a file, found by row or id.
#[derive(Debug)]
pub(super) struct Collection {
    table: Table,
    ids: Ids,
}

impl Collection {
    /// Maps a file and reads the ids of its lines.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let table = Table::of(vec![PathBuf::from(path)], path)?;
        if table.len() == 0 {
            return Err(error(path, "the file is empty"));
        }
        let mut findings = Findings::default();
        let ids = table.map(&mut findings, |found, line, bytes| match parse(bytes) {
            Ok((id, _)) => id,
            Err(message) => {
                found.line(|| format!("{message} {}", table.place(line)));
                i64::default()
            }
        });
        findings.into_warnings(&path.display().to_string())?;
        let (ids, repeats) = Ids::new(ids);
        if let Some(repeat) = repeats.first() {
            let place = |line: u32| table.place(line as usize);
            return Err(error(
                path,
                &format!(
                    "the id of line {} occurs already in {}",
                    place(repeat.again),
                    place(repeat.first)
                ),
            ));
        }
        Ok(Self { table, ids })
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn id(&self, row: u32) -> i64 {
        self.ids.get(row as usize)
    }

    pub(super) fn row(&self, id: i64) -> Option<u32> {
        self.ids.find(id).map(|row| row as u32)
    }

    /// Returns the text of a row, which was checked to be UTF-8 when the file was opened.
    pub(super) fn text(&self, row: u32) -> Cow<'_, str> {
        match parse(self.table.line(row as usize)) {
            Ok((_, text)) => Cow::Borrowed(text),
            // The file was changed after it was opened.
            Err(_) => Cow::Borrowed(""),
        }
    }
}

/// Parses a line: an id, a tab and a text. Blanks at the end of the text are removed, as mMARCO's
/// own reader does.
fn parse(line: &[u8]) -> Result<(i64, &str), String> {
    let line = std::str::from_utf8(line)
        .map_err(|error| format!("byte {} is not UTF-8", error.valid_up_to() + 1))?;
    let (id, text) = line.trim_end().split_once('\t').unwrap_or((line.trim_end(), ""));
    match id.parse() {
        Ok(id) => Ok((id, text)),
        Err(_) => {
            let id: String = id.chars().take(40).collect();
            Err(format!("expected an integer id, a tab and a text, got {id:?}"))
        }
    }
}

/// An index that finds the preferred row of a text.
pub(super) struct ByText {
    rows: HashTable<u32>,
    /// For each row, the preferred row with the same text.
    same: Vec<u32>,
}

impl ByText {
    /// Builds the index from rows in order of preference: of equal texts the first row is
    /// preferred.
    pub(super) fn new<'a>(
        order: impl ExactSizeIterator<Item = u32>,
        text: impl Fn(u32) -> Cow<'a, str>,
        what: &'static str,
        steps: &mut Steps<'_>,
    ) -> Result<Self, DataError> {
        let count = order.len();
        let (mut rows, mut same) = (HashTable::with_capacity(count), vec![0; count]);
        for (done, row) in order.enumerate() {
            steps.count(what, done, count)?;
            let own = text(row);
            let entry = rows.entry(
                FxBuildHasher.hash_one(&*own),
                |other: &u32| text(*other) == own,
                |other: &u32| FxBuildHasher.hash_one(&*text(*other)),
            );
            same[row as usize] = match entry {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    entry.insert(row);
                    row
                }
            };
        }
        Ok(Self { rows, same })
    }

    /// Returns the preferred row with the text of a row.
    pub(super) fn same(&self, row: u32) -> u32 {
        self.same[row as usize]
    }

    /// Returns the preferred row of a text; `None` if no row has the text.
    pub(super) fn find<'a>(&self, wanted: &str, text: impl Fn(u32) -> Cow<'a, str>) -> Option<u32> {
        self.rows.find(FxBuildHasher.hash_one(wanted), |row| text(*row) == wanted).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(bytes: &[u8]) -> Result<Collection, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("c.tsv");
        std::fs::write(&path, bytes).expect("written");
        Collection::open(&path)
            .map_err(|error| error.to_string().replace(&format!("{}/", dir.path().display()), ""))
    }

    #[test]
    fn rows_ids_and_texts() {
        let texts = open("7\tあ b \t \n3\t\u{3000}x\u{3000}\r\n10\t\n".as_bytes()).expect("sound");
        let all: Vec<_> = (0..3).map(|row| (texts.id(row), texts.text(row))).collect();
        assert_eq!(all, [(7, "あ b".into()), (3, "\u{3000}x".into()), (10, "".into())]);
        assert_eq!((texts.row(3), texts.row(4), texts.len()), (Some(1), None, 3));
    }

    #[test]
    fn bad_lines_are_told() {
        for (bytes, want) in [
            (&b""[..], "c.tsv: the file is empty"),
            (
                b"1\ta\nx\tb\n",
                "expected an integer id, a tab and a text, got \"x\" (c.tsv, line 2)",
            ),
            (b"1\ta\n\n2\tb\n", "got \"\" (c.tsv, line 2)"),
            (b"1\t\xff\n", "byte 3 is not UTF-8 (c.tsv, line 1)"),
            (b"1\ta\n1\ta\n", "the id of line (c.tsv, line 2) occurs already in (c.tsv, line 1)"),
        ] {
            let error = open(bytes).expect_err("bad");
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn equal_texts_have_one_row() {
        let texts = ["a", "b", "a", "", "b", "c", ""];
        let text = |row: u32| Cow::Borrowed(texts[row as usize]);
        let mut observer = ();
        let mut index = |order: Vec<u32>| {
            let steps = &mut Steps(&mut observer);
            ByText::new(order.into_iter(), text, "texts", steps).expect("not stopped")
        };
        let (first, last) = (index((0..7).collect()), index((0..7).rev().collect()));
        let same = |index: &ByText| (0..7).map(|row| index.same(row)).collect::<Vec<_>>();
        assert_eq!(same(&first), [0, 1, 0, 3, 1, 5, 3]);
        assert_eq!(same(&last), [2, 4, 2, 6, 4, 5, 6]);
        assert_eq!((first.find("b", text), last.find("b", text)), (Some(1), Some(4)));
        assert_eq!(first.find("d", text), None);
    }
}
