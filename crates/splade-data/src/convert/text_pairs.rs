//! Converts pairs of a query and a document that answers it, in files of any form that is read: JSON, CSV, TSV or Parquet
//! with a field for each of the two texts.
//!
//! Equal queries are merged, and so are equal documents. A document of validation is the positive of no query of train;
//! evaluations search all documents. Documents are numbered from 1 and queries after them.

use std::path::PathBuf;

use rustc_hash::FxHashMap;
use splade_io::counted;
use splade_sparse::files::{TextFields, TextForm, TextReader};

use super::inputs::files_of_texts;
use super::output::{Master, Output};
use super::steps::Steps;
use crate::error::DataError;
use crate::random::{Random, Stream};

/// Options for converting pairs of a query and a document.
#[derive(Debug, Clone)]
pub struct PairsOptions {
    /// The files and folders of pairs.
    pub inputs: Vec<PathBuf>,
    /// The field, or column of a table, with the query.
    pub query_field: String,
    /// The field, or column of a table, with the document that answers it.
    pub document_field: String,
    /// The form of the inputs; by their first bytes and names if none is given.
    pub format: Option<TextForm>,
    /// The share of the documents whose queries become `validation`.
    pub validation_share: f64,
    /// The seed of that choice.
    pub seed: u64,
}

impl PairsOptions {
    /// Returns the files that are read.
    ///
    /// # Errors
    /// Returns an error if a folder cannot be read or has no file of texts.
    pub fn files(&self) -> Result<Vec<PathBuf>, DataError> {
        files_of_texts(&self.inputs, self.format)
    }
}

/// Distinct texts in the order in which they came.
#[derive(Default)]
struct Distinct {
    texts: Vec<String>,
    rows: FxHashMap<String, usize>,
}

impl Distinct {
    fn row(&mut self, text: &str) -> usize {
        if let Some(row) = self.rows.get(text) {
            return *row;
        }
        let row = self.texts.len();
        self.rows.insert(text.to_owned(), row);
        self.texts.push(text.to_owned());
        row
    }
}

/// The queries and documents of all inputs.
#[derive(Default)]
struct Pairs {
    queries: Distinct,
    documents: Distinct,
    /// The rows of the documents that answer each query.
    positives: Vec<Vec<usize>>,
    blank: u64,
    repeated: u64,
}

impl Pairs {
    fn add(&mut self, query: &str, document: &str) {
        let (query, document) = (query.trim(), document.trim());
        if query.is_empty() || document.is_empty() {
            self.blank += 1;
            return;
        }
        let (query, document) = (self.queries.row(query), self.documents.row(document));
        self.positives.resize_with(self.queries.texts.len(), Vec::new);
        match self.positives[query].contains(&document) {
            true => self.repeated += 1,
            false => self.positives[query].push(document),
        }
    }
}

/// The queries of `train` or `validation`, each with the rows of its documents.
type Part = Vec<(usize, Vec<usize>)>;

pub(super) fn convert(
    options: &PairsOptions,
    output: &Output,
    steps: &mut Steps<'_>,
) -> Result<Vec<String>, DataError> {
    let fields = TextFields {
        id: Some(options.query_field.clone()),
        text: Some(options.document_field.clone()),
        no_ids: false,
    };
    let mut pairs = Pairs::default();
    let mut read = 0;
    for path in options.files()? {
        let mut reader = TextReader::open(&path, &fields, options.format, None)?;
        while let Some(row) = reader.next_row()? {
            steps.count("pairs read", read, None)?;
            read += 1;
            pairs.add(&row.id, &row.text);
        }
    }
    let Pairs { queries, documents, positives, blank, repeated } = pairs;
    let [train, validation] = split(options, positives);
    let mut in_train = vec![false; documents.texts.len()];
    train.iter().flat_map(|(_, positives)| positives).for_each(|row| in_train[*row] = true);
    let first_query = documents.texts.len() + 1;
    let query_id = |row: usize| (first_query + row) as i64;
    let document_id = |row: usize| row as i64 + 1;
    let mut notes = Vec::new();
    for (name, part, all) in [("train", &train, false), ("validation", &validation, true)] {
        if part.is_empty() {
            let message = format!(
                "no query is left for {name}: there are {}, and the share of validation is {:.2}",
                counted(queries.texts.len(), "queries"),
                options.validation_share
            );
            return Err(DataError::NothingLeft(message));
        }
        let folder = output.split(name)?;
        let rows = part.iter().map(|(row, _)| Ok((query_id(*row), &queries.texts[*row])));
        folder.texts(Master::Queries, rows, steps)?;
        let rows = (0..documents.texts.len())
            .filter(|row| all || in_train[*row])
            .map(|row| Ok((document_id(row), &documents.texts[row])));
        let count = folder.texts(Master::Documents, rows, steps)?;
        folder.positives(part.iter().map(|(row, positives)| {
            (query_id(*row), positives.iter().map(|row| document_id(*row)).collect::<Vec<_>>())
        }))?;
        let (queries, documents) = (counted(part.len(), "queries"), counted(count, "documents"));
        notes.push(format!("{name}: {queries}, {documents}"));
        notes.extend(folder.check(None)?);
    }
    let skipped = [(blank, "pairs with a blank text"), (repeated, "repeated pairs")];
    for (count, what) in skipped.into_iter().filter(|(count, _)| *count > 0) {
        notes.push(format!("skipped {}", counted(count, what)));
    }
    Ok(notes)
}

/// Splits the queries by their documents. A query with documents of both parts keeps those of train.
fn split(options: &PairsOptions, positives: Vec<Vec<usize>>) -> [Part; 2] {
    let held_out = |row: &usize| {
        Random::new(&[options.seed, Stream::SPLIT, *row as u64]).share() < options.validation_share
    };
    let mut parts = [Vec::new(), Vec::new()];
    for (query, rows) in positives.into_iter().enumerate() {
        let (out, own): (Vec<usize>, Vec<usize>) = rows.into_iter().partition(held_out);
        match own.is_empty() {
            true => parts[1].push((query, out)),
            false => parts[0].push((query, own)),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;
    use crate::convert::{Conversion, convert};

    fn rows(path: &std::path::Path) -> Vec<Value> {
        let text = fs::read_to_string(path).expect("read");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[test]
    fn pairs_become_train_and_validation() {
        let folder = tempfile::tempdir().expect("a folder");
        let csv = folder.path().join("pairs.csv");
        let mut text = "question,answer,note\n".to_owned();
        for i in 0..40 {
            text += &format!("question {i}, answer {i} ,x\n");
        }
        // A second answer, a pair that is there already, a blank one, and a query of two documents.
        text += "question 0,another answer,x\nquestion 1,answer 1,x\n ,answer 2,x\n";
        fs::write(&csv, text).expect("written");
        let options = PairsOptions {
            inputs: vec![csv],
            query_field: "question".to_owned(),
            document_field: "answer".to_owned(),
            format: None,
            validation_share: 0.2,
            seed: 7,
        };
        let out = folder.path().join("data");
        let made = convert(&Conversion::Pairs(options.clone()), &out, &json!({}), false, &mut ())
            .expect("converted");
        assert!(made.notes.contains(&"skipped 1 pair with a blank text".to_owned()), "{made:?}");
        assert!(made.notes.contains(&"skipped 1 repeated pair".to_owned()), "{made:?}");
        let part = |part: &str| {
            ["query_master", "doc_master", "positive_lists"]
                .map(|name| rows(&out.join(part).join(format!("{name}.ndjson"))))
        };
        let ([train, train_documents, train_positives], [validation, documents, positives]) =
            (part("train"), part("validation"));
        assert_eq!(train.len() + validation.len(), 40);
        assert!((2..20).contains(&validation.len()), "a fifth is {}", validation.len());
        assert_eq!(documents.len(), 41);
        assert_eq!(documents[0], json!({"doc_id": 1, "text": "answer 0"}));
        // Every query has the document that it came with.
        let all = train.iter().zip(&train_positives).chain(validation.iter().zip(&positives));
        for (query, positive) in all {
            assert_eq!(query["qid"], positive["qid"]);
            let number = query["text"].as_str().expect("a text").replace("question ", "");
            for id in positive["positive_doc_ids"].as_array().expect("ids") {
                let document = &documents[id.as_u64().expect("an id") as usize - 1];
                let text = document["text"].as_str().expect("a text");
                assert!(
                    text == format!("answer {number}") || number == "0" && text == "another answer"
                );
            }
        }
        // No document of validation is a positive of train, nor in its master.
        let in_train: Vec<&Value> = train_documents.iter().map(|row| &row["doc_id"]).collect();
        for row in &positives {
            let ids = row["positive_doc_ids"].as_array().expect("ids");
            assert!(ids.iter().all(|id| !in_train.contains(&id)), "{row}");
        }
        let nothing = PairsOptions { validation_share: 0.0, ..options };
        let error = convert(
            &Conversion::Pairs(nothing),
            &folder.path().join("b"),
            &json!({}),
            false,
            &mut (),
        );
        assert!(error.expect_err("no validation").to_string().contains("validation"));
    }
}
