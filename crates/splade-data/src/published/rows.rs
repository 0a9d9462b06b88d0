//! Reads the rows of a published data set: texts under any of the names that their columns have, and
//! judgements with and without grades.

use std::path::Path;

use serde_json::Value;
use splade_eval::Qrels;
use splade_io::Lines;
use splade_sparse::files::{
    TextFields, TextReader, TextRow, parquet_columns, parquet_lists, parquet_table,
};

use crate::error::DataError;

/// The names of the columns of queries and documents in judgements.
const QUERIES: [&str; 4] = ["query-id", "query_id", "qid", "_id"];
const DOCUMENTS: [&str; 5] = ["corpus-id", "corpus_id", "docid", "doc_id", "doc-id"];
/// The column of grades.
const GRADE: &str = "score";
/// The names of the column of ids of queries that list their documents.
const IDS: [&str; 4] = ["qid", "query_id", "_id", "id"];
/// The column that lists them.
const RELEVANT: &str = "relevant_docs";

/// Which texts a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Documents,
    Queries,
}

/// Reads the texts of a file.
pub(super) fn texts(
    path: &Path,
    kind: Kind,
    mut add: impl FnMut(TextRow) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut reader = open(path, kind)?;
    while let Some(row) = reader.next_row()? {
        add(row)?;
    }
    Ok(())
}

/// Opens a file of texts with the names of columns that it has.
fn open(path: &Path, kind: Kind) -> Result<TextReader, DataError> {
    let text = match kind {
        Kind::Documents => [None, Some("passage")],
        Kind::Queries => [None, Some("query")],
    };
    let ids = [None, Some("docid"), Some("query_id"), Some("query-id")];
    let mut first = None;
    for text in text {
        for id in ids {
            let named = |name: Option<&str>| name.map(str::to_owned);
            let fields = TextFields { id: named(id), text: named(text), no_ids: false };
            let open = || TextReader::open(path, &fields, None, None);
            // Files of lines tell the names of their fields with the first row.
            match open().and_then(|mut reader| reader.next_row()) {
                Ok(_) => return Ok(open()?),
                Err(error) => _ = first.get_or_insert(error),
            }
        }
    }
    Err(first.expect("the loops are not empty: this is a bug").into())
}

/// Reads the judgements of a file: a query, a document and a grade, which is 1 if the file has none.
pub(super) fn judgements(
    path: &Path,
    mut add: impl FnMut(&str, &str, i32) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let is_parquet = path.extension().is_some_and(|extension| extension == "parquet");
    if !is_parquet || parquet_columns(path)?.iter().any(|name| name == GRADE) {
        for (query, documents) in Qrels::open(path)?.iter() {
            documents.iter().try_for_each(|(document, grade)| add(query, document, *grade))?;
        }
        return Ok(());
    }
    let mut failed = None;
    let choose = |names: &[&str]| Ok([place(names, &QUERIES)?, place(names, &DOCUMENTS)?]);
    let read = parquet_table(path, choose, |_, [query, document]| {
        kept(add(&query, &document, 1), &mut failed)
    });
    read.map_err(|error| failed.unwrap_or_else(|| error.into()))
}

/// Keeps an error for the caller of a reader, whose callbacks end it with a message.
fn kept(added: Result<(), DataError>, failed: &mut Option<DataError>) -> Result<(), String> {
    added.map_err(|error| failed.insert(error).to_string())
}

/// Returns the place of the first of several names.
fn place(names: &[&str], wanted: &[&str]) -> Result<usize, String> {
    let found = wanted.iter().find_map(|wanted| names.iter().position(|name| name == wanted));
    found.ok_or_else(|| {
        format!("no column {}; the columns are: {}", wanted.join(", "), names.join(", "))
    })
}

/// Reads queries that list their documents: an id, which is empty if the file has none, a text and
/// the documents.
pub(super) fn queries_with_documents(
    path: &Path,
    mut add: impl FnMut(TextRow, Vec<String>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let mut failed = None;
        let names = parquet_columns(path)?;
        let id = IDS.into_iter().find(|id| names.iter().any(|name| name == id));
        let columns = ["query", id.unwrap_or("query")];
        let read = parquet_lists(path, &columns, RELEVANT, |[text, named], list| {
            let id = id.map_or_else(String::new, |_| named);
            kept(add(TextRow { id, title: String::new(), text }, list), &mut failed)
        });
        return read.map_err(|error| failed.unwrap_or_else(|| error.into()));
    }
    let mut lines = Lines::open(path)?;
    let mut number = 0;
    while let Some(line) = lines.next_line()? {
        number += 1;
        let wrong = |message: &str| DataError::Line {
            path: path.to_path_buf(),
            line: number,
            message: message.to_owned(),
        };
        let row: Value = serde_json::from_str(&line).map_err(|error| wrong(&error.to_string()))?;
        let text = row["query"].as_str().ok_or_else(|| wrong("no text named \"query\""))?;
        let id = IDS.iter().find_map(|name| cell(&row[*name]));
        let documents = match &row[RELEVANT] {
            Value::Array(documents) => documents.iter().map(cell).collect(),
            one => cell(one).map(|one| vec![one]),
        };
        let documents = documents.ok_or_else(|| wrong("no ids in \"relevant_docs\""))?;
        let text = text.to_owned();
        add(TextRow { id: id.unwrap_or_default(), title: String::new(), text }, documents)?;
    }
    Ok(())
}

/// Returns an id: a string or an integer.
fn cell(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
