//! Converts questions about paragraphs in the form of SQuAD (Rajpurkar et al., arXiv 1606.05250),
//! such as JaQuAD (So et al., arXiv 2202.01764): `{"data": [{"title", "paragraphs": [{"context",
//! "qas": [{"id", "question", "is_impossible"}]}]}]}`.
//!
//! A document is the title of its article, a blank and the paragraph; equal documents are merged.
//! The positive of a question is its paragraph. Questions that cannot be answered (SQuAD 2.0) are
//! skipped. Train contains its own paragraphs, and evaluations search those of train as well.
//! Documents are numbered from 1 and queries after them; `query_ids.tsv` lists the number and the
//! id of each query.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use splade_io::open_text;

use super::inputs::error;
use super::output::{Master, Output};
use super::steps::Steps;
use crate::error::DataError;
use splade_io::{LineWriter, counted};

/// Options for converting files in the form of SQuAD.
///
/// ```
/// use splade_data::convert::SquadOptions;
///
/// # let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert");
/// let options = SquadOptions::find(&fixtures.join("squad"), false)?;
/// assert!(!options.train.is_empty() && !options.dev.is_empty());
/// # Ok::<(), splade_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SquadOptions {
    /// The files that become `train`.
    pub train: Vec<PathBuf>,
    /// The files that become `validation`.
    pub dev: Vec<PathBuf>,
    /// Whether the text of a document begins with the title of its article.
    pub titles: bool,
}

impl SquadOptions {
    /// Finds the files in a folder or in its subfolder `data`. The parts `train` and `dev` (or
    /// `validation`) are folders of `.json` files, or files whose names begin with the name of the
    /// part.
    ///
    /// # Errors
    /// Returns an error if a part has no files.
    pub fn find(dir: &Path, titles: bool) -> Result<Self, DataError> {
        let part = |names: &[&str]| -> Result<Vec<PathBuf>, DataError> {
            for dir in [dir, &dir.join("data")] {
                for name in names {
                    let found = match json_files(&dir.join(name), "") {
                        files if !files.is_empty() => files,
                        _ => json_files(dir, name),
                    };
                    if !found.is_empty() {
                        return Ok(found);
                    }
                }
            }
            let names = names.join(" or ");
            Err(error(dir, &format!("there is no folder of .json files and no file {names}*.json")))
        };
        Ok(Self { train: part(&["train"])?, dev: part(&["dev", "validation"])?, titles })
    }
}

/// Returns the `.json` files of a folder whose names begin with `begin`, sorted by name.
fn json_files(dir: &Path, begin: &str) -> Vec<PathBuf> {
    let is_wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(begin) && (name.ends_with(".json") || name.ends_with(".json.gz"))
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(is_wanted).collect();
    files.sort();
    files
}

#[derive(serde::Deserialize)]
struct File {
    data: Vec<Article>,
}

#[derive(serde::Deserialize)]
struct Article {
    #[serde(default)]
    title: String,
    paragraphs: Vec<Paragraph>,
}

#[derive(serde::Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Question>,
}

#[derive(serde::Deserialize)]
struct Question {
    id: serde_json::Value,
    question: String,
    #[serde(default)]
    is_impossible: bool,
}

/// The distinct texts of documents, and the queries of the parts.
#[derive(Default)]
struct Data {
    docs: Vec<String>,
    rows: FxHashMap<String, usize>,
    queries: Vec<Query>,
    impossible: u64,
}

struct Query {
    id: String,
    text: String,
    /// The row of the document that answers the query.
    positive: usize,
}

/// A paragraph with the questions that it answers, each with its id.
pub(crate) struct Answered<'a> {
    pub(crate) title: &'a str,
    pub(crate) context: &'a str,
    pub(crate) questions: Vec<(String, String)>,
}

/// Reads the paragraphs of a file, and returns the number of questions that cannot be answered and
/// are skipped.
pub(crate) fn paragraphs(
    path: &Path,
    mut add: impl FnMut(Answered<'_>) -> Result<(), DataError>,
) -> Result<u64, DataError> {
    let file: File = serde_json::from_reader(open_text(path)?).map_err(|message| {
        error(path, &format!("it does not have the form of SQuAD: {message}"))
    })?;
    let mut impossible = 0;
    for Article { title, paragraphs } in file.data {
        for Paragraph { context, qas } in paragraphs {
            let mut questions = Vec::new();
            for Question { id, question, is_impossible } in qas {
                match is_impossible {
                    true => impossible += 1,
                    false => {
                        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
                        questions.push((id, question));
                    }
                }
            }
            add(Answered { title: &title, context: &context, questions })?;
        }
    }
    Ok(impossible)
}

impl Data {
    fn read(&mut self, path: &Path, titles: bool) -> Result<(), DataError> {
        let impossible = paragraphs(path, |Answered { title, context, questions }| {
            let text = match titles && !title.is_empty() {
                true => Cow::Owned(format!("{title} {context}")),
                false => Cow::Borrowed(context),
            };
            let text = text.trim();
            let positive = match self.rows.get(text) {
                Some(row) => *row,
                None => {
                    self.rows.insert(text.to_owned(), self.docs.len());
                    self.docs.push(text.to_owned());
                    self.docs.len() - 1
                }
            };
            let query = |(id, text)| Query { id, text, positive };
            self.queries.extend(questions.into_iter().map(query));
            Ok(())
        })?;
        self.impossible += impossible;
        Ok(())
    }
}

pub(super) fn convert(
    options: &SquadOptions,
    output: &Output,
    steps: &mut Steps<'_>,
) -> Result<Vec<String>, DataError> {
    let mut data = Data::default();
    let files = options.train.len() + options.dev.len();
    // The numbers of documents and queries at the end of each part.
    let mut ends = Vec::new();
    for part in [&options.train, &options.dev] {
        for path in part {
            steps.at("files read", ends.len(), files)?;
            data.read(path, options.titles)?;
        }
        ends.push((data.docs.len(), data.queries.len()));
    }
    let [(train_docs, train_queries), (all_docs, all_queries)] = ends[..] else {
        unreachable!("two parts: this is a bug")
    };
    let query_id = |row: usize| (all_docs + row + 1) as i64;
    let mut ids = LineWriter::create(&output.path("query_ids.tsv"))?;
    for (row, query) in data.queries.iter().enumerate() {
        ids.line(format_args!("{}\t{}", query_id(row), query.id.escape_default()))?;
    }
    ids.finish()?;
    let mut notes = Vec::new();
    for (name, queries, docs) in [
        ("train", 0..train_queries, 0..train_docs),
        ("validation", train_queries..all_queries, 0..all_docs),
    ] {
        if queries.is_empty() {
            let message = format!("no question of {name} can be answered");
            return Err(DataError::NothingLeft(message));
        }
        let part = output.split(name)?;
        let counts = (counted(queries.len(), "queries"), counted(docs.len(), "documents"));
        notes.push(format!("{name}: {}, {}", counts.0, counts.1));
        let rows = queries.clone().map(|row| Ok((query_id(row), &data.queries[row].text)));
        part.texts(Master::Queries, rows, steps)?;
        let rows = docs.map(|row| Ok((row as i64 + 1, &data.docs[row])));
        part.texts(Master::Documents, rows, steps)?;
        let positive = |row: usize| [data.queries[row].positive as i64 + 1];
        part.positives(queries.map(|row| (query_id(row), positive(row))))?;
        notes.extend(part.check(None)?);
    }
    if data.impossible > 0 {
        notes.push(format!("skipped {}", counted(data.impossible, "questions without an answer")));
    }
    Ok(notes)
}
