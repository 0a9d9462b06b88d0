//! Runs: the ranked documents of each query, as a search returned them.
//!
//! | format | lines |
//! |---|---|
//! | TREC | `query Q0 document rank score tag`, separated by blanks, tabs or commas |
//! | with a header | columns such as `qid`, `docno` and `score`, in any order |
//! | NDJSON | `{"qid": "q1", "results": [{"doc_id": "d1", "score": 1.5}, …]}` |
//! | JSON | `{"q1": {"d1": 1.5}}`, as pytrec_eval and BEIR have it |
//! | Parquet | columns such as `qid`, `docno` and `score` |
//!
//! The first line decides which format is used; see [`table`]. Only NDJSON can
//! represent a query without results. A document that occurs twice for a query with the same score
//! counts once; with two scores it is an error.
//!
//! Documents are sorted by descending score. Documents with equal scores are sorted by descending
//! id, compared byte by byte. Ranks in a file are ignored and written anew. Scores have 32 bits.
//! All of this follows trec_eval (`form_res_rels.c`), so that a run has the same metrics in both
//! programs.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;

use serde_json::{Map, Value};
use splade_io::counted;

use super::lines::{self, shown};
use super::table::{self, Item, Layout};
use crate::EvalError;

const LAYOUT: Layout = Layout {
    numbers: &["score", "similarity", "sim"],
    places: &[(6, [0, 2, 4])],
    expected: "this is not a run; expected TREC's query, Q0, document, rank, score and tag, a \
               header with columns such as qid, docno and score, or JSON objects such as \
               {\"qid\": …, \"results\": [{\"doc_id\": …, \"score\": …}]}",
};

/// A document of a ranking and its score.
///
/// ```
/// use splade_eval::{Run, Scored};
///
/// let mut run = Run::default();
/// let scored = |document: &str, score| Scored { document: document.to_owned(), score };
/// run.insert("q1", vec![scored("d1", 1.5), scored("d2", 3.0)])?;
/// assert_eq!(run.get("q1").map(|ranking| &ranking[0]), Some(&scored("d2", 3.0)));
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The id of the document.
    pub document: String,
    /// The score, which is always finite in a [`Run`].
    pub score: f32,
}

/// The rankings of documents for all queries.
///
/// ```
/// use splade_eval::Run;
///
/// let mut run = Run::read("q1 Q0 d1 1 9.5 x\nq1 Q0 d2 2 8.5 x\n".as_bytes(), "run")?;
/// run.truncate(1);
/// let mut out = Vec::new();
/// run.write_trec(&mut out, "top-1")?;
/// assert_eq!(out, b"q1 Q0 d1 1 9.5 top-1\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// The ranking of each query, sorted and without repeated documents.
    queries: BTreeMap<String, Vec<Scored>>,
    notes: Vec<String>,
}

/// The rows of a run with their line numbers, by query. The rows of a query may be scattered.
type Rows = BTreeMap<String, Vec<(Scored, u64)>>;

impl Run {
    /// Reads a file: Parquet if its name ends in `.parquet`, else text, decompressed if its name
    /// ends in `.gz` or `.zst`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, a row cannot be parsed, or a document has two
    /// scores for a query.
    pub fn open(path: &Path) -> Result<Self, EvalError> {
        let name = path.to_string_lossy();
        if path.extension().is_none_or(|extension| extension != "parquet") {
            return Self::read(lines::open(path)?, &name);
        }
        let (mut run, mut rows) = (Self::default(), Rows::new());
        table::read_parquet(path, &LAYOUT, |row, item| run.add(item, row, &mut rows))?;
        run.add_rows(rows, &name)?;
        Ok(run)
    }

    /// Reads a run from a reader; `name` identifies the reader in error messages.
    ///
    /// # Errors
    /// Returns an error for the same reasons as [`open`](Self::open).
    pub fn read(reader: impl BufRead, name: &str) -> Result<Self, EvalError> {
        let (mut run, mut rows) = (Self::default(), Rows::new());
        let notes =
            table::read(reader, name, &LAYOUT, |line, item| run.add(item, line, &mut rows))?;
        run.notes = notes;
        run.add_rows(rows, name)?;
        Ok(run)
    }

    fn add(&mut self, item: Item<'_>, line: u64, rows: &mut Rows) -> Result<(), String> {
        let [query, document, number] = match item {
            Item::Row(cells) => cells,
            Item::Object(object) => return self.add_object(object),
        };
        let scored = Scored { document: document.into_owned(), score: parse_score(&number)? };
        match rows.get_mut(&*query) {
            Some(rows) => rows.push((scored, line)),
            None => _ = rows.insert(query.into_owned(), vec![(scored, line)]),
        }
        Ok(())
    }

    /// Adds the rows of all queries. Equal rows count once.
    fn add_rows(&mut self, rows: Rows, name: &str) -> Result<(), EvalError> {
        let mut repeated = 0;
        for (query, mut rows) in rows {
            rows.sort_by(|(a, line_a), (b, line_b)| {
                a.document.cmp(&b.document).then(line_a.cmp(line_b))
            });
            let same = |pair: &[(Scored, u64)]| pair[0].0.document == pair[1].0.document;
            let differs = |pair: &&[(Scored, u64)]| same(pair) && pair[0].0 != pair[1].0;
            if let Some([(before, _), (scored, line)]) = rows.windows(2).find(differs) {
                let message = format!(
                    "document {} has the score {} for query {}, but {} before",
                    shown(&scored.document),
                    scored.score,
                    shown(&query),
                    before.score
                );
                return Err(EvalError::Line { name: name.to_owned(), line: *line, message });
            }
            let all = rows.len();
            rows.dedup_by(|(b, _), (a, _)| a.document == b.document);
            repeated += (all - rows.len()) as u64;
            self.insert(&query, rows.into_iter().map(|(scored, _)| scored).collect())?;
        }
        if repeated > 0 {
            let rows = counted(repeated, "rows");
            self.notes.push(format!("{name}: {rows} repeated, with the same score"));
        }
        Ok(())
    }

    fn add_object(&mut self, object: &Map<String, Value>) -> Result<(), String> {
        let (query, ranking) = parse_object(object)?;
        if self.queries.contains_key(&query) {
            return Err(format!("query {} occurs twice", shown(&query)));
        }
        self.insert(&query, ranking).map_err(|error| error.to_string())
    }

    /// Returns what was noticed while the run was read, such as repeated rows.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Sets the ranking of a query. The documents may be in any order.
    ///
    /// # Errors
    /// Returns an error if a document occurs twice or a score is not finite.
    pub fn insert(&mut self, query: &str, mut ranking: Vec<Scored>) -> Result<(), EvalError> {
        let error = |message| EvalError::Ranking { query: query.to_owned(), message };
        if let Some(scored) = ranking.iter().find(|scored| !scored.score.is_finite()) {
            let message =
                format!("the score of document {} is not finite", shown(&scored.document));
            return Err(error(message));
        }
        ranking.sort_unstable_by(|a, b| b.document.cmp(&a.document));
        if let Some(pair) = ranking.windows(2).find(|pair| pair[0].document == pair[1].document) {
            return Err(error(format!("document {} occurs twice", shown(&pair[0].document))));
        }
        // The sort is stable: of equal scores, the larger id stays first. `partial_cmp` treats 0
        // and -0 as equal.
        ranking.sort_by(|a, b| b.score.partial_cmp(&a.score).expect("finite: this is a bug"));
        self.queries.insert(query.to_owned(), ranking);
        Ok(())
    }

    /// Writes the run as a TREC file, with queries sorted by id and ranks counted from 1.
    ///
    /// # Errors
    /// Returns an error if writing fails, and one of the kind
    /// [`InvalidInput`](std::io::ErrorKind::InvalidInput) if the tag or an id is empty or contains
    /// a blank, which the format cannot represent.
    pub fn write_trec(&self, out: &mut impl Write, tag: &str) -> std::io::Result<()> {
        check_word("tag", tag)?;
        for (query, ranking) in &self.queries {
            check_word("query id", query)?;
            for (index, Scored { document, score }) in ranking.iter().enumerate() {
                check_word("document id", document)?;
                writeln!(out, "{query} Q0 {document} {} {score} {tag}", index + 1)?;
            }
        }
        Ok(())
    }

    /// Writes the run as NDJSON, with queries sorted by id and documents in ranking order.
    ///
    /// # Errors
    /// Returns an error if writing fails.
    pub fn write_ndjson(&self, out: &mut impl Write) -> std::io::Result<()> {
        for (query, ranking) in &self.queries {
            write!(out, "{{\"qid\":{},\"results\":[", Value::from(query.as_str()))?;
            for (index, Scored { document, score }) in ranking.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let document = Value::from(document.as_str());
                write!(out, "{comma}{{\"doc_id\":{document},\"score\":{score}}}")?;
            }
            writeln!(out, "]}}")?;
        }
        Ok(())
    }

    /// Keeps the first `k` documents of each query.
    pub fn truncate(&mut self, k: usize) {
        self.queries.values_mut().for_each(|ranking| ranking.truncate(k));
    }

    /// Returns the ranking of a query, best document first; `None` if the run does not contain the
    /// query.
    pub fn get(&self, query: &str) -> Option<&[Scored]> {
        self.queries.get(query).map(Vec::as_slice)
    }

    /// Returns an iterator over the queries, in ascending order, with their rankings.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[Scored])> {
        self.queries.iter().map(|(query, ranking)| (query.as_str(), ranking.as_slice()))
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

/// Parses a score, which has 32 bits.
fn parse_score(text: &str) -> Result<f32, String> {
    let value = text.parse::<f64>().ok().map(|score| score as f32).filter(|s| s.is_finite());
    value.ok_or_else(|| format!("the score {} is not a finite number", shown(text)))
}

/// Parses a ranking in JSON.
fn parse_object(object: &Map<String, Value>) -> Result<(String, Vec<Scored>), String> {
    let query = lines::id(lines::field(object, &["qid"])?)?;
    let results = lines::field(object, &["results"])?.as_array();
    let mut ranking = Vec::new();
    for result in results.ok_or("\"results\" is not a list")? {
        let result = result.as_object().ok_or("a result is not an object")?;
        let document = lines::id(lines::field(result, &["doc_id"])?)?;
        let score = lines::field(result, &["score"])?.as_f64().ok_or("a score is not a number")?;
        ranking.push(Scored { document, score: score as f32 });
    }
    Ok((query, ranking))
}

/// Checks that a TREC run can hold an id: it must not be empty or have a blank. `what` says what
/// the id is, such as `document id`.
///
/// ```
/// use splade_eval::check_trec_id;
///
/// check_trec_id("document id", "d1")?;
/// let error = check_trec_id("document id", "night train").expect_err("a blank");
/// assert!(error.to_string().contains("write NDJSON"));
/// # Ok::<(), splade_eval::EvalError>(())
/// ```
///
/// # Errors
/// Returns [`EvalError::TrecId`] if it cannot.
pub fn check_trec_id(what: &'static str, id: &str) -> Result<(), EvalError> {
    match id.is_empty() || id.contains(|c: char| c.is_ascii_whitespace()) {
        true => Err(EvalError::TrecId { what, id: shown(id) }),
        false => Ok(()),
    }
}

fn check_word(what: &'static str, word: &str) -> std::io::Result<()> {
    check_trec_id(what, word)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(run: &Run, query: &str) -> Vec<String> {
        run.get(query).into_iter().flatten().map(|scored| scored.document.clone()).collect()
    }

    #[test]
    fn orders_by_score_then_by_id_backwards() {
        // The ranks in the file differ from the order of the scores, the lines of q1 are scattered,
        // and 1.00000001 equals 1 in 32 bits.
        let text = "q1 Q0 b 1 1.00000001 x\nq2 Q0 a 1 -0.0 x\nq1 Q0 a 2 7 x\nq1 Q0 c 3 1 x\n\
                    q2 Q0 B 3 0 x\nq2\tQ0\tあ 9 0 x\n";
        let run = Run::read(text.as_bytes(), "run").expect("a run");
        assert_eq!(order(&run, "q1"), ["a", "c", "b"]);
        assert_eq!(order(&run, "q2"), ["あ", "a", "B"]);
        let mut trec = Vec::new();
        run.write_trec(&mut trec, "tag").expect("written");
        let want = "q1 Q0 a 1 7 tag\nq1 Q0 c 2 1 tag\nq1 Q0 b 3 1 tag\n\
                    q2 Q0 あ 1 0 tag\nq2 Q0 a 2 -0 tag\nq2 Q0 B 3 0 tag\n";
        assert_eq!(String::from_utf8(trec).expect("text"), want);
    }

    #[test]
    fn ndjson_keeps_queries_without_results() {
        let text = "{\"qid\":1,\"results\":[]}\n\
                    {\"results\":[{\"score\":0.1,\"doc_id\":7},{\"doc_id\":\"a b\",\"score\":2}],\"qid\":\"x\"}";
        let run = Run::read(text.as_bytes(), "run").expect("a run");
        assert_eq!(run.get("1"), Some(&[][..]));
        assert_eq!(order(&run, "x"), ["a b", "7"]);
        assert_eq!(run.get("2"), None);
        let mut out = Vec::new();
        run.write_ndjson(&mut out).expect("written");
        let want = "{\"qid\":\"1\",\"results\":[]}\n{\"qid\":\"x\",\"results\":[\
                    {\"doc_id\":\"a b\",\"score\":2},{\"doc_id\":\"7\",\"score\":0.1}]}\n";
        assert_eq!(String::from_utf8(out).expect("text"), want);
        let error = run.write_trec(&mut Vec::new(), "t").expect_err("a blank in an id");
        assert!(error.to_string().starts_with("the document id \"a b\" is empty or has a blank"));
        assert!(run.write_trec(&mut Vec::new(), "").is_err());
    }

    #[test]
    fn reads_what_others_write() {
        for text in [
            "q 1\tQ0\ta,\"b\t1\t2.5\tx\nq 1\tQ0\tc\t2\t1e-5\tx\n",
            "qid,docid,docno,rank,score,query\nq 1,0,\"a,\"\"b\",0,2.5,what\nq 1,1,c,1,1e-5,what\n",
            "query_id\tdoc_id\tscore\nq 1\ta,\"b\t2.5\n# x\nq 1\tc\t0.00001\n",
            "{\"q 1\": {\"c\": 1e-5, \"a,\\\"b\": 2.5}}",
            "{\"query_id\":\"q 1\",\"doc_id\":\"c\",\"score\":1e-5}\n\
             {\"query_id\":\"q 1\",\"doc_id\":\"a,\\\"b\",\"score\":2.5}\n",
        ] {
            let run = Run::read(text.as_bytes(), "run").expect(text);
            let scored = |document: &str, score| Scored { document: document.to_owned(), score };
            assert_eq!(
                run.get("q 1"),
                Some(&[scored("a,\"b", 2.5), scored("c", 1e-5)][..]),
                "{text}"
            );
        }
        let twice = Run::read("q Q0 a 1 2 x\nq Q0 a 2 2.0 x\n".as_bytes(), "run").expect("a run");
        assert_eq!(order(&twice, "q"), ["a"]);
        assert_eq!(twice.notes(), ["run: 1 row repeated, with the same score"]);
    }

    #[test]
    fn names_the_line_of_errors() {
        for (text, want) in [
            (
                "q Q0 b 1 1 x\nq Q0 a 2 1 x\nq Q0 a 3 2 x",
                "line 3: document \"a\" has the score 2 for query \"q\", but 1 before",
            ),
            ("q Q0 a 1 1", "line 1: this is not a run; expected TREC's query, Q0, document, rank"),
            ("q Q0 b 1 1 x\nq Q0 a 1 1", "line 2: expected 6 fields as in the lines before, got 5"),
            ("q Q0 b 1 1 x\nq Q0 a 1 one x", "line 2: the score \"one\" is not a finite number"),
            ("q Q0 a 1 nan x", "line 1: the score \"nan\" is not a finite number"),
            ("q Q0 a 1 1e39 x", "line 1: the score \"1e39\" is not a finite number"),
            ("{\"qid\":1}", "line 1: no field named results; the fields are: qid"),
            ("{\"qid\":1,\"results\":{}}", "line 1: \"results\" is not a list"),
            ("{\"qid\":1,\"results\":[7]}", "line 1: a result is not an object"),
            ("{\"qid\":1,\"results\":[{\"doc_id\":1,\"score\":\"a\"}]}", "a score is not a number"),
            ("{\"qid\":1,\"results\":[{\"doc_id\":1,\"score\":1e99}]}", "\"1\" is not finite"),
            (
                "{\"qid\":1,\"results\":[{\"doc_id\":1,\"score\":2},{\"doc_id\":\"1\",\"score\":1}]}",
                "line 1: query \"1\": document \"1\" occurs twice",
            ),
            (
                "{\"qid\":1,\"results\":[]}\n{\"qid\":1,\"results\":[]}",
                "line 2: query \"1\" occurs twice",
            ),
        ] {
            let message = Run::read(text.as_bytes(), "run").expect_err(text).to_string();
            assert!(message.starts_with("run, ") && message.contains(want), "{message}");
        }
    }

    #[test]
    fn opens_packed_files() {
        let dir = tempfile::tempdir().expect("a folder");
        let text = b"q Q0 a 1 2 x\n";
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(text).expect("packed");
        let zst = zstd::encode_all(&text[..], 1).expect("packed");
        for (name, bytes) in
            [("a.trec", text.to_vec()), ("a.gz", gz.finish().expect("packed")), ("a.zst", zst)]
        {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            assert_eq!(order(&Run::open(&path).expect(name), "q"), ["a"]);
        }
        // A browser may have unpacked the file while it saved it.
        std::fs::write(dir.path().join("b.gz"), text).expect("written");
        assert_eq!(order(&Run::open(&dir.path().join("b.gz")).expect("plain"), "q"), ["a"]);
        assert!(matches!(Run::open(&dir.path().join("no")), Err(EvalError::File(_))));
    }

    fn rankings() -> impl Strategy<Value = BTreeMap<String, BTreeMap<String, f32>>> {
        let id = "[!-~あ-ん]{1,3}";
        let score = prop_oneof![-1e30f32..1e30, -2f32..2.0, Just(0.0), Just(1.0)];
        let ranking = proptest::collection::btree_map(id, score, 1..8);
        proptest::collection::btree_map(
            id.prop_filter("NDJSON", |id| !id.starts_with(['{', '['])),
            ranking,
            0..6,
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rankings in rankings()) {
            let mut run = Run::default();
            for (query, ranking) in rankings {
                let scored = |(document, score)| Scored { document, score };
                run.insert(&query, ranking.into_iter().map(scored).collect()).expect("a ranking");
            }
            let (mut trec, mut ndjson) = (Vec::new(), Vec::new());
            run.write_trec(&mut trec, "t").expect("written");
            run.write_ndjson(&mut ndjson).expect("written");
            prop_assert_eq!(&Run::read(&trec[..], "trec").expect("a run"), &run);
            prop_assert_eq!(&Run::read(&ndjson[..], "ndjson").expect("a run"), &run);
        }

        #[test]
        fn any_bytes_give_a_run_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Run::read(&bytes[..], "run");
        }

        #[test]
        fn near_runs_give_a_run_or_an_error(
            text in "(((q|Q0|\\{\"qid\":1|\"results\":|\"score\":|[0-9e.-]{1,12}|nan|inf|[,:\\[\\]\\{\\}]) ?){1,6}\n?){0,20}",
        ) {
            let _ = Run::read(text.as_bytes(), "run");
        }
    }
}
