//! Random access to the lines of memory-mapped files by number, with half a byte of memory for each
//! line.
//!
//! Only the position of every sixteenth line is stored; the others are found by counting line ends
//! from there. Blank lines at the end of a file and a byte order mark are ignored.

use std::io::BufRead;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;

use super::files;
use super::problems::Findings;
use crate::error::{DataError, Place};

/// The number of lines between two stored positions.
const BLOCK: usize = 16;

/// The number of blocks that a thread reads at a time.
const TASK: usize = 256;

/// The lines of the files of a path, numbered from 0 across all files.
#[derive(Debug)]
pub(crate) struct Table {
    files: Vec<LineFile>,
}

#[derive(Debug)]
struct LineFile {
    path: PathBuf,
    map: Option<Mmap>,
    /// The byte position where the last line ends.
    end: usize,
    /// The numbers of this file's lines among those of all files.
    lines: Range<usize>,
    /// The byte positions where lines 0, 16, 32… of this file start.
    blocks: Vec<u64>,
}

impl Table {
    /// Maps the files of a path and finds their lines.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        Self::of(files::find(path)?, path)
    }

    /// Maps files with any names; those whose names end in `.gz` are decompressed. Errors name
    /// `path`.
    pub(crate) fn of(files: Vec<PathBuf>, path: &Path) -> Result<Self, DataError> {
        let files = files.into_par_iter().map(LineFile::open);
        let mut files = files.collect::<Result<Vec<_>, _>>()?;
        let mut first = 0;
        for file in &mut files {
            file.lines = first..first + file.lines.len();
            first = file.lines.end;
        }
        // Line numbers have 32 bits, and the largest number means that there is no line.
        match first < u32::MAX as usize {
            true => Ok(Self { files }),
            false => Err(DataError::TooLong {
                path: path.to_path_buf(),
                lines: first,
                limit: u32::MAX as usize - 1,
            }),
        }
    }

    /// Returns the number of lines in all files.
    pub(crate) fn len(&self) -> usize {
        self.files.last().map_or(0, |file| file.lines.end)
    }

    /// Returns the bytes of a line, which may include its line end.
    pub(crate) fn line(&self, line: usize) -> &[u8] {
        let file = self.file(line);
        let line = line - file.lines.start;
        let mut rest = file.from(line / BLOCK);
        for _ in 0..line % BLOCK {
            next(&mut rest);
        }
        next(&mut rest)
    }

    /// Returns the place of a line for messages.
    pub(crate) fn place(&self, line: usize) -> Place {
        let file = self.file(line);
        Place { path: file.path.clone(), line: line - file.lines.start + 1 }
    }

    /// Visits all lines on several threads. Each thread takes a group of lines at a time and
    /// collects them into a new state; the states are returned in the order of the lines.
    pub(super) fn scan<S: Default + Send>(
        &self,
        visit: impl Fn(&mut S, usize, &[u8]) + Sync,
    ) -> Vec<S> {
        let of_file = |file: &'_ LineFile| -> Vec<S> {
            let tasks = (0..file.blocks.len()).into_par_iter().step_by(TASK);
            tasks
                .map(|block| {
                    let mut state = S::default();
                    let first = file.lines.start + block * BLOCK;
                    let last = file.lines.end.min(first + TASK * BLOCK);
                    let mut rest = file.from(block);
                    (first..last).for_each(|line| visit(&mut state, line, next(&mut rest)));
                    state
                })
                .collect()
        };
        self.files.iter().flat_map(of_file).collect()
    }

    /// Computes one value for each line and adds the problems to `findings`.
    pub(crate) fn map<T: Clone + Default + Send>(
        &self,
        findings: &mut Findings,
        value: impl Fn(&mut Findings, usize, &[u8]) -> T + Sync,
    ) -> Vec<T> {
        let mut values = vec![T::default(); self.len()];
        for file in &self.files {
            let tasks = values[file.lines.clone()].par_chunks_mut(TASK * BLOCK).enumerate();
            let found: Vec<Findings> = tasks
                .map(|(task, values)| {
                    let mut found = Findings::default();
                    let first = file.lines.start + task * TASK * BLOCK;
                    let mut rest = file.from(task * TASK);
                    for (i, slot) in values.iter_mut().enumerate() {
                        *slot = value(&mut found, first + i, next(&mut rest));
                    }
                    found
                })
                .collect();
            found.into_iter().for_each(|found| findings.append(found));
        }
        values
    }

    /// Returns the bytes of memory in use, without the mapped files.
    pub(super) fn heap_bytes(&self) -> usize {
        self.files.iter().map(|file| file.blocks.capacity() * 8).sum()
    }

    fn file(&self, line: usize) -> &LineFile {
        &self.files[self.files.partition_point(|file| file.lines.end <= line)]
    }
}

impl LineFile {
    fn open(path: PathBuf) -> Result<Self, DataError> {
        let map = files::map(&path)?;
        let bytes = map.as_deref().unwrap_or_default();
        let start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let end = start + bytes[start..].trim_ascii_end().len();
        let (mut rest, mut lines, mut blocks) = (&bytes[start..end], 0, Vec::new());
        while !rest.is_empty() {
            if lines % BLOCK == 0 {
                blocks.push((end - rest.len()) as u64);
            }
            next(&mut rest);
            lines += 1;
        }
        blocks.shrink_to_fit();
        Ok(Self { path, map, end, lines: 0..lines, blocks })
    }

    /// Returns the bytes from the start of a block to the end of the last line.
    fn from(&self, block: usize) -> &[u8] {
        let start = self.blocks[block] as usize;
        &self.map.as_deref().unwrap_or_default()[start..self.end]
    }
}

/// Removes the first line from `rest` and returns it.
fn next<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let all = *rest;
    let length = rest.skip_until(b'\n').expect("memory can be read: this is a bug");
    &all[..length]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(texts: &[&str]) -> (tempfile::TempDir, Table) {
        let dir = tempfile::tempdir().expect("a folder");
        for (i, text) in texts.iter().enumerate() {
            let path = dir.path().join(format!("{i}.ndjson"));
            std::fs::write(path, text).expect("written");
        }
        let table = Table::open(dir.path()).expect("a table");
        (dir, table)
    }

    fn lines(table: &Table) -> Vec<String> {
        let text = |line| String::from_utf8_lossy(line).trim_end().to_owned();
        (0..table.len()).map(|line| text(table.line(line))).collect()
    }

    #[test]
    fn ends_of_files() {
        for (text, want) in [
            ("", &[][..]),
            ("\n \r\n", &[]),
            ("a", &["a"]),
            ("a\nb\r\n", &["a", "b"]),
            ("a\n\n \n", &["a"]),
            ("\u{feff}a\n", &["a"]),
            ("\na", &["", "a"]),
        ] {
            assert_eq!(lines(&table(&[text]).1), want, "{text:?}");
        }
    }

    #[test]
    fn places_count_from_one_in_each_file() {
        let (dir, table) = table(&["a\nb\n", "", "c\nd"]);
        assert_eq!(lines(&table), ["a", "b", "c", "d"]);
        let place =
            |name: &str, line| format!("({}, line {line})", dir.path().join(name).display());
        assert_eq!(table.place(1).to_string(), place("0.ndjson", 2));
        assert_eq!(table.place(2).to_string(), place("2.ndjson", 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn finds_every_line(lengths in prop::collection::vec(0usize..9000, 1..3)) {
            let texts: Vec<String> = lengths
                .iter()
                .enumerate()
                .map(|(f, n)| (0..*n).map(|i| format!("{f}.{i}{}\n", "x".repeat(i % 7))).collect())
                .collect();
            let (_dir, table) = table(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let want: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
            prop_assert_eq!(table.len(), want.len());
            for i in (0..want.len()).step_by(5) {
                prop_assert_eq!(table.line(i).trim_ascii_end(), want[i].as_bytes());
            }
            let seen = table.scan(|state: &mut Vec<(usize, Vec<u8>)>, line, text| {
                state.push((line, text.trim_ascii_end().to_vec()));
            });
            let seen: Vec<_> = seen.into_iter().flatten().collect();
            prop_assert_eq!(seen.len(), want.len());
            for (i, (line, text)) in seen.iter().enumerate() {
                prop_assert_eq!((*line, &text[..]), (i, want[i].as_bytes()));
            }
            let mut findings = Findings::default();
            let sizes = table.map(&mut findings, |found, line, text| {
                found.line(|| line.to_string());
                text.len()
            });
            let ends: Vec<_> = want.iter().map(|line| line.len()).collect();
            let sizes: Vec<_> = sizes.iter().map(|size| size - 1).collect();
            // The last line ends at the end of its file.
            for (got, want) in sizes.iter().zip(&ends) {
                prop_assert!(got == want || got + 1 == *want);
            }
            let shown: Vec<_> = (0..want.len().min(10)).map(|line| line.to_string()).collect();
            prop_assert_eq!(findings.problems(), (want.len() as u64, &shown[..]));
        }
    }
}
