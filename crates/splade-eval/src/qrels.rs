//! Relevance judgements (qrels): which documents answer a query, and with which grade.
//!
//! | format | rows |
//! |---|---|
//! | BEIR | query, document and grade, separated by tabs, commas or blanks |
//! | TREC | `query iteration document grade`, in the same way; the iteration is ignored |
//! | with a header | columns such as `query-id`, `corpus-id` and `score`, in any order |
//! | NDJSON | objects with fields of these names, as MTEB has them |
//! | JSON | a list of such objects, or `{"q1": {"d1": 1}}` |
//! | Parquet | columns of these names |
//! | light-splade | `{"qid": 1, "positive_doc_ids": [1, 2]}`, with grade 1 for every document |
//!
//! The first line decides which format is used; see [`table`]. A judgement that
//! occurs twice counts once, and two grades for one pair are an error.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use serde_json::{Map, Value};
use splade_io::counted;

use super::lines::{self, shown};
use super::table::{self, Item, Layout};
use crate::EvalError;

const LAYOUT: Layout = Layout {
    numbers: &[
        "score",
        "relevance",
        "rel",
        "grade",
        "label",
        "judgment",
        "judgement",
        "relevancescore",
        "relevancelabel",
        "relevancegrade",
        "rating",
    ],
    places: &[(3, [0, 1, 2]), (4, [0, 2, 3])],
    expected: "these are not qrels; expected a query, a document and a grade, as in BEIR's \
               files, or TREC's four fields, separated by tabs, commas or blanks, or JSON objects \
               such as {\"query-id\": …, \"corpus-id\": …, \"score\": …} or \
               {\"qid\": …, \"positive_doc_ids\": […]}",
};

/// The grades of documents for each query. A document is relevant if its grade is above zero.
///
/// ```
/// use splade_eval::Qrels;
///
/// let mut qrels = Qrels::read("q1 0 d1 2\nq1 0 d2 0\n".as_bytes(), "qrels")?;
/// assert!(qrels.insert("q2", "d3", 1));
/// let grades = qrels.get("q1").expect("a judged query");
/// assert_eq!(grades.values().filter(|grade| **grade > 0).count(), 1);
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Qrels {
    queries: BTreeMap<String, BTreeMap<String, i32>>,
    notes: Vec<String>,
}

impl Qrels {
    /// Reads a file: Parquet if its name ends in `.parquet`, else text, decompressed if its name
    /// ends in `.gz` or `.zst`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, a row cannot be parsed, or a pair has two
    /// grades.
    pub fn open(path: &Path) -> Result<Self, EvalError> {
        let mut qrels = Self::default();
        qrels.add_file(path)?;
        Ok(qrels)
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

    /// Adds the judgements of another file.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), EvalError> {
        if path.extension().is_some_and(|extension| extension == "parquet") {
            let mut repeated = 0;
            table::read_parquet(path, &LAYOUT, |_, item| self.add(item, &mut repeated))?;
            self.note_repeated(&path.to_string_lossy(), repeated);
            return Ok(());
        }
        self.extend(lines::open(path)?, &path.to_string_lossy())
    }

    /// Adds the judgements of another reader.
    fn extend(&mut self, reader: impl BufRead, name: &str) -> Result<(), EvalError> {
        let mut repeated = 0;
        let notes = table::read(reader, name, &LAYOUT, |_, item| self.add(item, &mut repeated))?;
        self.notes.extend(notes);
        self.note_repeated(name, repeated);
        Ok(())
    }

    fn note_repeated(&mut self, name: &str, repeated: u64) {
        if repeated > 0 {
            let judgements = counted(repeated, "judgements");
            self.notes.push(format!("{name}: {judgements} repeated, with the same grade"));
        }
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

    fn add(&mut self, item: Item<'_>, repeated: &mut u64) -> Result<(), String> {
        match item {
            Item::Row([query, document, number]) => {
                self.judge(&query, &document, grade(&number)?, repeated)
            }
            Item::Object(object) => self.add_positives(object, repeated),
        }
    }

    /// Adds a judgement, or counts it if it is there already with the same grade.
    fn judge(
        &mut self,
        query: &str,
        document: &str,
        grade: i32,
        repeated: &mut u64,
    ) -> Result<(), String> {
        let documents = match self.queries.get_mut(query) {
            Some(documents) => documents,
            None => self.queries.entry(query.to_owned()).or_default(),
        };
        match documents.get(document) {
            None => _ = documents.insert(document.to_owned(), grade),
            Some(before) if *before == grade => *repeated += 1,
            Some(before) => {
                return Err(format!(
                    "document {} has the grade {grade} for query {}, but {before} before",
                    shown(document),
                    shown(query)
                ));
            }
        }
        Ok(())
    }

    fn add_positives(
        &mut self,
        object: &Map<String, Value>,
        repeated: &mut u64,
    ) -> Result<(), String> {
        if !object.contains_key("qid") || !object.contains_key("positive_doc_ids") {
            let has: Vec<_> = object.keys().take(20).map(String::as_str).collect();
            return Err(format!(
                "expected the fields query-id, corpus-id and score, or qid and positive_doc_ids; \
                 the fields are: {}",
                has.join(", ")
            ));
        }
        let query = lines::id(lines::field(object, &["qid"])?)?;
        let positives = lines::field(object, &["positive_doc_ids"])?
            .as_array()
            .ok_or("\"positive_doc_ids\" is not a list")?;
        let positives = positives.iter().map(lines::id).collect::<Result<Vec<_>, _>>()?;
        if let Some(before) = self.queries.get(&query) {
            let same = positives.iter().all(|document| before.contains_key(document));
            if !same || positives.len() != before.len() {
                return Err(format!("query {} already has another list", shown(&query)));
            }
        }
        self.queries.entry(query.clone()).or_default();
        positives.iter().try_for_each(|document| self.judge(&query, document, 1, repeated))
    }

    /// Returns what was noticed while the judgements were read, such as repeated ones.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Checks that there is at least one query.
    ///
    /// # Errors
    /// Returns [`EvalError::NoQuery`] if there is none.
    pub fn require_queries(&self) -> Result<(), EvalError> {
        match self.is_empty() {
            true => Err(EvalError::NoQuery { what: "qrels" }),
            false => Ok(()),
        }
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

/// Parses a grade: an integer, or a number such as `1.0` that is one.
fn grade(text: &str) -> Result<i32, String> {
    let whole = |number: f64| (number.fract() == 0.0).then_some(number as i64);
    let float = || text.parse::<f64>().ok().filter(|number| number.abs() < 1e15).and_then(whole);
    let value = text.parse::<i64>().ok().or_else(float);
    value
        .and_then(|value| i32::try_from(value).ok())
        .ok_or_else(|| format!("the grade {} is not an integer of 32 bits", shown(text)))
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

    /// The same three judgements as other programs write them.
    #[test]
    fn reads_what_others_write() {
        let want = [("q 1", "a,\"b", 2), ("q 1", "c", 0), ("2", "c", 1)];
        let plain = [("q1", "a", 2), ("q1", "c", 0), ("2", "c", 1)];
        let rows = |want: [(&str, &str, i32); 3]| {
            let row = |(q, d, grade): (&str, &str, i32)| (q.to_owned(), d.to_owned(), grade);
            let mut rows = want.map(row).to_vec();
            rows.sort();
            rows
        };
        for text in [
            "query-id,corpus-id,score\n\"q 1\",\"a,\"\"b\",2\nq 1,c,0\n\"2\",\"c\",\"1\"\n",
            ",Query ID,Doc ID,Score\n0,q 1,\"a,\"\"b\",2\n1,q 1,c,0.0\n2,2,c,1.0\n",
            "\u{feff}query_id\tdoc_id\trelevance\titeration\r\nq 1\ta,\"b\t2\tQ0\r\nq 1\tc\t0\tQ0\r\n2\tc\t1\tQ0",
            "query\titer\tdoc\tgrade\nq 1\t0\ta,\"b\t2\nq 1\t0\tc\t0\n2\t0\tc\t1\n",
            "\"query-id\"\t\"corpus-id\"\t\"score\"\n\"q 1\"\t\"a,\"\"b\"\t2\nq 1\tc\t0\n2\tc\t1\n",
            "score\tcorpus-id\tquery-id\n2\ta,\"b\tq 1\n0\tc\tq 1\n1\tc\t2\n",
            "{\"query-id\":\"q 1\",\"corpus-id\":\"a,\\\"b\",\"score\":2}\n\
             {\"query-id\":\"q 1\",\"corpus-id\":\"c\",\"score\":0.0}\n\
             {\"score\":\"1\",\"corpus-id\":\"c\",\"query-id\":2,\"language\":\"en\"}",
            "[{\"qid\":\"q 1\",\"docid\":\"a,\\\"b\",\"rel\":2},\n\
             {\"qid\":\"q 1\",\"docid\":\"c\",\"rel\":0},{\"qid\":\"2\",\"docid\":\"c\",\"rel\":1}]",
            "{\n  \"q 1\": {\"a,\\\"b\": 2, \"c\": 0},\n  \"2\": {\"c\": 1}\n}\n",
        ] {
            assert_eq!(read(text).expect(text), rows(want), "{text}");
        }
        for text in [
            "q1 a 2\nq1 c 0\n2 c 1\n",
            "# by hand\nq1, a, 2\nq1, c, 0\n2, c, +1\n",
            "# made by a tool\n#\nq1 0 a 2\n# one more\nq1 0 c 0\n2 0 c 1\n",
            "Frage Dokument Note\nq1 a 2\nq1 c 0\n2 c 1\n",
            "#query Q0 doc rel\nq1 0 a 2\nq1\t0\tc\t0\n2 0 c 1\n",
            "q1\t0\ta\t2\nq1 0 c 0\n2 0\tc  1\n",
        ] {
            assert_eq!(read(text).expect(text), rows(plain), "{text}");
        }
    }

    #[test]
    fn says_what_was_passed_over() {
        for (text, want) in [
            ("1 0 a 1\n1 0 b 1\n", &[][..]),
            ("query-id\tcorpus-id\tscore\n1\ta\t1\n", &[]),
            (
                "1 0 a 1\n1 0 a 1\n1\t0\ta\t1.0\n",
                &["x: 2 judgements repeated, with the same grade"],
            ),
            (
                "{\"qid\": 1, \"positive_doc_ids\": [2, 2]}\n",
                &["x: 1 judgement repeated, with the same grade"],
            ),
            (
                "{\"qid\": 1, \"positive_doc_ids\": [2]}\n{\"qid\": 1, \"positive_doc_ids\": [2]}",
                &["x: 1 judgement repeated, with the same grade"],
            ),
            (
                "1 0 a one\n1 0 a 1\n# end\n",
                &[
                    "x, line 1: \"1 0 a one\" is passed over as a header",
                    "x: passed over 1 comment with # at the start",
                ],
            ),
        ] {
            let qrels = Qrels::read(text.as_bytes(), "x").expect(text);
            assert_eq!(qrels.notes(), want, "{text}");
            assert_eq!(qrels.len(), 1, "{text}");
        }
    }

    #[test]
    fn names_the_line_of_errors() {
        for (text, want) in [
            (
                "1 0 a 1\n1 0 a 2\n",
                "line 2: document \"a\" has the grade 2 for query \"1\", but 1 before",
            ),
            ("1 0 a 1\n\n1 0 b\n", "line 3: expected 4 fields as in the lines before, got 3"),
            ("1 0 a 1\n1 0 b x\n", "line 2: the grade \"x\" is not an integer of 32 bits"),
            ("1 0 a 1.5\n", "line 1: the grade \"1.5\" is not an integer"),
            ("1 0 a nan\n", "line 1: the grade \"nan\" is not an integer"),
            ("1 0 a 3000000000\n", "line 1: the grade \"3000000000\" is not an integer"),
            ("q\td\tx\nq\td\ty\n", "line 2: these are not qrels"),
            ("1\ta\t1\n1\tb\n", "line 2: expected 3 fields as in the lines before, got 2"),
            ("1,\"a\"b,1\n", "line 1: these are not qrels"),
            ("1,a,1\n1,\"a,1\n", "line 2: the quote in \"\"a,1\" is not closed"),
            ("1\t\t1\n", "line 1: an id is empty"),
            ("hello\n", "line 1: these are not qrels"),
            ("{\"qid\": 1}\n", "or qid and positive_doc_ids; the fields are: qid"),
            ("{\"query-id\": 1, \"corpus-id\": 2}\n", "the fields are: query-id, corpus-id"),
            (
                "{\"query-id\": 1, \"corpus-id\": 2, \"score\": true}\n",
                "line 1: true is not a number",
            ),
            ("[{\"qid\": 1, \"doc\": 2, \"rel\": 0.5}]", "line 1: the grade \"0.5\" is not"),
            ("[1]", "line 1: an element of the list is not a JSON object"),
            ("[\n{},\n{\"qid\" 1}]", "line 3: not valid JSON"),
            ("{\"qid\": 1, \"positive_doc_ids\": 2}", "line 1: \"positive_doc_ids\" is not a list"),
            ("{\"qid\": [], \"positive_doc_ids\": []}", "line 1: the id [] is neither"),
            (
                "{\"qid\": 99999999999999999999, \"positive_doc_ids\": []}",
                "line 1: the id 1e+20 is neither a text nor an integer of 64 bits",
            ),
            (
                "{\"qid\":1,\"positive_doc_ids\":[]}\n{\"qid\":1,\"positive_doc_ids\":[2]}",
                "line 2: query \"1\" already has another list",
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
