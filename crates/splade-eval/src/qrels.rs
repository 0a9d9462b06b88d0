//! Relevance judgements (qrels): which documents answer a query, and with which grade.
//!
//! | format | lines |
//! |---|---|
//! | BEIR | a header `query-id`, `corpus-id`, `score`, then these three fields, separated by tabs |
//! | TREC | `query iteration document grade`, separated by blanks; the iteration is ignored |
//! | light-splade | `{"qid": 1, "positive_doc_ids": [1, 2]}`, with grade 1 for every document |
//!
//! The first line decides which format is used; BEIR's header is optional. A pair that is judged
//! twice is an error, as in trec_eval.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use super::lines::{self, Lines, shown};
use crate::EvalError;

/// The grades of documents for each query. A document is relevant if its grade is above zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Qrels {
    queries: BTreeMap<String, BTreeMap<String, i32>>,
}

#[derive(Clone, Copy)]
enum Form {
    Beir,
    Trec,
    PositiveLists,
}

impl Qrels {
    /// Reads a file, decompressed if its name ends in `.gz` or `.zst`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, a line cannot be parsed, or a pair is judged
    /// twice.
    pub fn open(path: &Path) -> Result<Self, EvalError> {
        Self::read(lines::open(path)?, &path.to_string_lossy())
    }

    /// Reads judgements from a reader; `name` identifies the reader in error messages.
    ///
    /// # Errors
    /// Returns an error for the same reasons as [`open`](Self::open).
    pub fn read(reader: impl BufRead, name: &str) -> Result<Self, EvalError> {
        let mut qrels = Self::default();
        qrels.extend(reader, name)?;
        Ok(qrels)
    }

    /// Adds the judgements of another reader.
    pub(super) fn extend(&mut self, reader: impl BufRead, name: &str) -> Result<(), EvalError> {
        let mut lines = Lines::new(reader, name);
        let mut form = None;
        while let Some((_, line)) = lines.next_line()? {
            let result = match form {
                Some(form) => self.add_line(line, form),
                None if is_header(line) => {
                    form = Some(Form::Beir);
                    Ok(())
                }
                None => form_of(line).and_then(|found| {
                    form = Some(found);
                    self.add_line(line, found)
                }),
            };
            result.map_err(|message| lines.error(message))?;
        }
        Ok(())
    }

    /// Adds the grade of a document and returns true. If the document already has a grade, nothing
    /// changes and the result is false.
    pub fn insert(&mut self, query: &str, document: &str, grade: i32) -> bool {
        let documents = self.queries.entry(query.to_owned()).or_default();
        if documents.contains_key(document) {
            return false;
        }
        documents.insert(document.to_owned(), grade);
        true
    }

    fn add_line(&mut self, line: &str, form: Form) -> Result<(), String> {
        match form {
            Form::Beir => {
                let fields: Vec<_> = line.split('\t').map(str::trim).collect();
                let [query, document, grade] = fields[..] else {
                    return Err(format!(
                        "expected query, document and score separated by tabs, got {} fields",
                        fields.len()
                    ));
                };
                self.add(query, document, grade)
            }
            Form::Trec => {
                let fields: Vec<_> = line.split_ascii_whitespace().collect();
                let [query, _, document, grade] = fields[..] else {
                    return Err(format!(
                        "expected query, iteration, document and grade, got {} fields",
                        fields.len()
                    ));
                };
                self.add(query, document, grade)
            }
            Form::PositiveLists => self.add_positives(line),
        }
    }

    fn add(&mut self, query: &str, document: &str, grade: &str) -> Result<(), String> {
        let value = grade
            .parse()
            .map_err(|_| format!("the grade {} is not an integer of 32 bits", shown(grade)))?;
        if query.is_empty() || document.is_empty() {
            return Err("an id is empty".to_owned());
        }
        if !self.insert(query, document, value) {
            return Err(twice(query, document));
        }
        Ok(())
    }

    fn add_positives(&mut self, line: &str) -> Result<(), String> {
        let object = lines::object(line)?;
        let query = lines::id(lines::field(&object, &["qid"])?)?;
        let positives = lines::field(&object, &["positive_doc_ids"])?
            .as_array()
            .ok_or("\"positive_doc_ids\" is not a list")?;
        if self.queries.contains_key(&query) {
            return Err(format!("query {} already has a list", shown(&query)));
        }
        self.queries.insert(query.clone(), BTreeMap::new());
        for document in positives {
            let document = lines::id(document)?;
            if !self.insert(&query, &document, 1) {
                return Err(twice(&query, &document));
            }
        }
        Ok(())
    }

    /// Returns the grades of a query by document; `None` if the query is not judged.
    pub fn get(&self, query: &str) -> Option<&BTreeMap<String, i32>> {
        self.queries.get(query)
    }

    /// Returns an iterator over the queries, in ascending order, with the grades of their
    /// documents.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &BTreeMap<String, i32>)> {
        self.queries.iter().map(|(query, documents)| (query.as_str(), documents))
    }

    /// Returns the number of queries.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Returns whether there are no queries.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }
}

fn is_header(line: &str) -> bool {
    line.split('\t').map(str::trim).eq(["query-id", "corpus-id", "score"])
}

/// Returns the format of a first line that is not a header.
fn form_of(line: &str) -> Result<Form, String> {
    if line.trim_start().starts_with('{') {
        Ok(Form::PositiveLists)
    } else if line.split('\t').count() == 3 {
        Ok(Form::Beir)
    } else if line.split_ascii_whitespace().count() == 4 {
        Ok(Form::Trec)
    } else {
        Err("these are not qrels; expected BEIR's three fields separated by tabs, TREC's four, or \
             {\"qid\": …, \"positive_doc_ids\": […]}"
            .to_owned())
    }
}

fn twice(query: &str, document: &str) -> String {
    format!("document {} is judged twice for query {}", shown(document), shown(query))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<(String, String, i32)>, String> {
        let qrels = Qrels::read(text.as_bytes(), "qrels").map_err(|error| error.to_string())?;
        let rows = qrels.iter().flat_map(|(query, documents)| {
            documents.iter().map(move |(d, grade)| (query.to_owned(), d.clone(), *grade))
        });
        Ok(rows.collect())
    }

    #[test]
    fn reads_all_forms() {
        let want = vec![
            ("1".to_owned(), "a".to_owned(), 2),
            ("1".to_owned(), "b".to_owned(), -1),
            ("2".to_owned(), "a".to_owned(), 0),
        ];
        for text in [
            "query-id\tcorpus-id\tscore\n1\tb\t-1\n1\ta\t2\n2\ta\t0\n",
            "\u{feff}query-id\tcorpus-id\tscore\r\n1\tb\t-1\r\n\r\n1\ta\t2\r\n2\ta\t0",
            "1\ta\t2\n1\tb\t-1\n2\ta\t0\n",
            "1 0 a 2\n1\t0\tb   -1\n2 Q0 a 0\n",
        ] {
            assert_eq!(read(text).expect(text), want, "{text}");
        }
        let lists =
            "{\"qid\": 1, \"positive_doc_ids\": [7, 3]}\n{\"positive_doc_ids\": [], \"qid\": 2}";
        let one = |document: &str| ("1".to_owned(), document.to_owned(), 1);
        assert_eq!(read(lists).expect("lists"), [one("3"), one("7")]);
        assert_eq!(Qrels::read(lists.as_bytes(), "").expect("lists").len(), 2);
        assert_eq!(read("").expect("empty"), []);
    }

    #[test]
    fn names_the_line_of_errors() {
        for (text, want) in [
            ("1 0 a 1\n1 0 a 1\n", "line 2: document \"a\" is judged twice for query \"1\""),
            ("1 0 a 1\n\n1 0 b\n", "line 3: expected query, iteration, document and grade, got 3"),
            ("1 0 a x\n", "line 1: the grade \"x\" is not an integer of 32 bits"),
            ("1 0 a 1.5\n", "line 1: the grade \"1.5\" is not an integer"),
            ("q\td\tscore\n", "line 1: the grade \"score\" is not an integer"),
            ("1\ta\t1\n1\tb\n", "line 2: expected query, document and score separated by tabs"),
            ("1\t\t1\n", "line 1: an id is empty"),
            ("hello\n", "line 1: these are not qrels"),
            ("{\"qid\": 1}\n", "line 1: no field named positive_doc_ids; the fields are: qid"),
            ("{\"qid\": 1, \"positive_doc_ids\": 2}", "line 1: \"positive_doc_ids\" is not a list"),
            ("{\"qid\": [], \"positive_doc_ids\": []}", "line 1: the id [] is neither"),
            (
                "{\"qid\": 99999999999999999999, \"positive_doc_ids\": []}",
                "line 1: the id 1e+20 is neither a text nor an integer of 64 bits",
            ),
            (
                "{\"qid\": 1, \"positive_doc_ids\": [2, 2]}",
                "line 1: document \"2\" is judged twice",
            ),
            (
                "{\"qid\":1,\"positive_doc_ids\":[]}\n{\"qid\":1,\"positive_doc_ids\":[]}",
                "line 2: query \"1\" already has a list",
            ),
            ("{\"qid\": 1", "line 1: not valid JSON"),
        ] {
            let message = read(text).expect_err(text);
            assert!(message.starts_with("qrels, ") && message.contains(want), "{message}");
        }
        let bytes = Qrels::read(&b"1 0 a 1\n1 0 \xff 1\n"[..], "qrels");
        let message = bytes.expect_err("not UTF-8").to_string();
        assert_eq!(message, "qrels, line 2: byte 5 of the line is not UTF-8");
    }

    proptest! {
        #[test]
        fn any_bytes_give_qrels_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Qrels::read(&bytes[..], "qrels");
        }

        #[test]
        fn near_qrels_give_qrels_or_an_error(
            text in "((q|1|\\{\"qid\":1|\"positive_doc_ids\"|[0-9-]{1,12}|[ \t\n:,\\[\\]\\}]){1,4}){0,30}",
        ) {
            let _ = Qrels::read(text.as_bytes(), "qrels");
        }
    }
}
