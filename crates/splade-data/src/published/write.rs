//! Writes a published data set as a folder of BEIR.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use splade_io::LineWriter;
use splade_sparse::files::TextRow;

use super::layout::{Layout, Parts, RepoFile};
use super::rows::{self, Kind};
use crate::convert::{Answered, paragraphs};
use crate::error::DataError;

/// A line of `corpus.jsonl` or `queries.jsonl`.
#[derive(Serialize)]
struct Line<'a> {
    _id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
    text: &'a str,
}

impl Layout {
    /// Reads the files of the set and writes the folder. `roots` are the folders of the
    /// repositories. `go_on` is asked now and then whether to go on.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or written, or has another form than its name
    /// says, or [`DataError::Stopped`] if `go_on` returned false.
    pub fn write(
        &self,
        roots: &[PathBuf],
        out: &Path,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), DataError> {
        let mut set = Set::create(out, roots, go_on)?;
        match &self.parts {
            Parts::Tables { documents, queries, judgements } => {
                set.texts(documents, Kind::Documents)?;
                set.texts(queries, Kind::Queries)?;
                judgements.iter().try_for_each(|(split, files)| set.judgements(split, files))?;
            }
            Parts::WithDocuments { documents, queries } => {
                set.texts(documents, Kind::Documents)?;
                queries.iter().try_for_each(|(split, files)| set.with_documents(split, files))?;
            }
            Parts::Squad(splits) => set.squad(splits)?,
        }
        set.finish()
    }
}

/// A folder of BEIR that is written.
struct Set<'a> {
    roots: &'a [PathBuf],
    out: &'a Path,
    documents: LineWriter,
    queries: LineWriter,
    /// The ids of documents and of queries that are written: repeated ones are left out.
    seen: [FxHashSet<String>; 2],
    go_on: &'a mut dyn FnMut() -> bool,
    rows: u64,
}

/// The number of rows between two questions whether to go on.
const ROWS: u64 = 4096;

impl<'a> Set<'a> {
    fn create(
        out: &'a Path,
        roots: &'a [PathBuf],
        go_on: &'a mut dyn FnMut() -> bool,
    ) -> Result<Self, DataError> {
        let qrels = out.join("qrels");
        std::fs::create_dir_all(&qrels).map_err(splade_io::FileError::io("make", &qrels))?;
        Ok(Self {
            roots,
            out,
            documents: LineWriter::create(&out.join("corpus.jsonl"))?,
            queries: LineWriter::create(&out.join("queries.jsonl"))?,
            seen: Default::default(),
            go_on,
            rows: 0,
        })
    }

    fn path(&self, file: &RepoFile) -> PathBuf {
        self.roots[file.repository].join(&file.path)
    }

    fn texts(&mut self, files: &[RepoFile], kind: Kind) -> Result<(), DataError> {
        files
            .iter()
            .try_for_each(|file| rows::texts(&self.path(file), kind, |row| self.text(kind, &row)))
    }

    fn text(&mut self, kind: Kind, row: &TextRow) -> Result<(), DataError> {
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS) && !(self.go_on)() {
            return Err(DataError::Stopped);
        }
        let (place, file) = match kind {
            Kind::Documents => (0, &mut self.documents),
            Kind::Queries => (1, &mut self.queries),
        };
        if !self.seen[place].insert(row.id.clone()) {
            return Ok(());
        }
        let line = Line { _id: &row.id, title: &row.title, text: &row.text };
        let line = serde_json::to_string(&line).expect("strings are JSON: this is a bug");
        Ok(file.line(format_args!("{line}"))?)
    }

    fn split(&self, split: &str) -> Result<LineWriter, DataError> {
        let mut file = LineWriter::create(&self.out.join(format!("qrels/{split}.tsv")))?;
        file.line(format_args!("query-id\tcorpus-id\tscore"))?;
        Ok(file)
    }

    fn judgements(&mut self, split: &str, files: &[RepoFile]) -> Result<(), DataError> {
        let mut out = self.split(split)?;
        for file in files {
            rows::judgements(&self.path(file), |query, document, grade| {
                Ok(out.line(format_args!("{query}\t{document}\t{grade}"))?)
            })?;
        }
        Ok(out.finish()?)
    }

    fn with_documents(&mut self, split: &str, files: &[RepoFile]) -> Result<(), DataError> {
        let mut out = self.split(split)?;
        for file in files {
            let path = self.path(file);
            rows::queries_with_documents(&path, |mut row, documents| {
                // The rows of a set without ids are told apart by their number.
                if row.id.is_empty() {
                    row.id = format!("{split}-{}", self.seen[1].len());
                }
                self.text(Kind::Queries, &row)?;
                for document in documents {
                    out.line(format_args!("{}\t{document}\t1", row.id))?;
                }
                Ok(())
            })?;
        }
        Ok(out.finish()?)
    }

    fn squad(&mut self, splits: &BTreeMap<String, Vec<RepoFile>>) -> Result<(), DataError> {
        // Equal paragraphs are one document, as in `convert`.
        let mut numbers: FxHashMap<(String, String), usize> = FxHashMap::default();
        for (split, files) in splits {
            let mut out = self.split(split)?;
            for file in files {
                paragraphs(&self.path(file), |Answered { title, context, questions }| {
                    let next = numbers.len() + 1;
                    let key = (title.to_owned(), context.to_owned());
                    let id = numbers.entry(key).or_insert(next).to_string();
                    for (query, text) in questions {
                        out.line(format_args!("{query}\t{id}\t1"))?;
                        let (id, title) = (query, String::new());
                        self.text(Kind::Queries, &TextRow { id, title, text })?;
                    }
                    let (title, text) = (title.to_owned(), context.to_owned());
                    self.text(Kind::Documents, &TextRow { id, title, text })
                })?;
            }
            out.finish()?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), DataError> {
        self.documents.finish()?;
        Ok(self.queries.finish()?)
    }
}
