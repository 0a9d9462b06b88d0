//! Reads published hard negatives and teacher scores.
//!
//! | file | contents |
//! |---|---|
//! | `.pkl`, `.pickle` | `{query: {document: score}}`: the file `…-scores.pkl.gz` of sentence-transformers, which naver's programs read as well |
//! | `.json` | the same as one JSON object |
//! | `.ndjson`, `.jsonl` | lines of our format `{"qid", "scores"}`; hard negatives of sentence-transformers, `{"qid", "pos", "neg": {system: […]}}` with ids or with `{"pid", "ce-score"}`; lines of OpenSearch with texts, `{"query", "docs", "scores"}` and `{"query", "pos", "negs"}` |
//! | any other | a TREC run; or five fields separated by tabs: query, positive, negative and their scores (naver, texts or ids), or the two scores before three ids (Hofstätter et al., arXiv 2010.02666) |
//!
//! Each file may be compressed (`.gz`, `.zst`). All are converted to rows with a score, 12 bytes
//! each.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde_json::Value;
use splade_io::{Lines, open_text, repair_surrogates};

use super::collection::{ByText, Collection};
use super::inputs::error;
use super::pairs::Scored;
use super::pickle;
use super::steps::Steps;
use crate::error::DataError;

/// The pairs of a file whose query and document are known.
pub(super) struct Candidates<'a> {
    queries: &'a Collection,
    docs: &'a Collection,
    /// The indexes of queries and documents by text, built when the first text is looked up.
    texts: Option<[ByText; 2]>,
    pub(super) pairs: Vec<Scored>,
    /// The number of pairs with an unknown query or document.
    pub(super) left_out: u64,
    /// The number of halves of surrogate pairs that were read as U+FFFD.
    pub(super) repaired: u64,
}

impl<'a> Candidates<'a> {
    pub(super) fn read(
        path: &Path,
        queries: &'a Collection,
        docs: &'a Collection,
        steps: &mut Steps<'_>,
    ) -> Result<Self, DataError> {
        let (pairs, left_out, repaired) = (Vec::new(), 0, 0);
        let mut this = Self { queries, docs, texts: None, pairs, left_out, repaired };
        let name = path.to_string_lossy().to_lowercase();
        let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        match name.rsplit('.').next().unwrap_or_default() {
            "pkl" | "pickle" => this.read_pickle(path, steps)?,
            "json" => this.read_json(path, steps)?,
            "ndjson" | "jsonl" => this.read_lines(path, steps, Self::json_line)?,
            _ => this.read_lines(path, steps, Self::field_line)?,
        }
        match this.pairs.len() {
            0 => Err(error(path, "no pair has a query and a document that are known")),
            count if count >= u32::MAX as usize => {
                Err(error(path, "it has 4,294,967,295 pairs or more"))
            }
            _ => Ok(this),
        }
    }

    /// Returns the number of pairs without a score.
    pub(super) fn unscored(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.score.is_nan()).count()
    }

    fn add(&mut self, query: i64, doc: i64, score: Option<f64>) -> Result<(), String> {
        let rows = self.queries.row(query).zip(self.docs.row(doc));
        self.push(rows, score)
    }

    fn push(&mut self, rows: Option<(u32, u32)>, score: Option<f64>) -> Result<(), String> {
        if score.is_some_and(|score| !(score as f32).is_finite()) {
            return Err(format!(
                "a score is {}, which is not a finite number",
                score.unwrap_or(0.0)
            ));
        }
        match rows {
            Some((query, doc)) => {
                let score = score.map_or(f32::NAN, |score| score as f32);
                self.pairs.push(Scored { query, doc, score });
            }
            None => self.left_out += 1,
        }
        Ok(())
    }

    fn read_pickle(&mut self, path: &Path, steps: &mut Steps<'_>) -> Result<(), DataError> {
        let mut file = open_text(path)?;
        let mut stopped = Ok(());
        let read = pickle::read::<String>(&mut file, |query, scores| {
            stopped = steps.at("pairs read", self.pairs.len(), None);
            if stopped.is_err() {
                return Err(String::new());
            }
            scores.into_iter().try_for_each(|(doc, score)| self.add(query, doc, Some(score)))
        });
        stopped?;
        read.map_err(|message| error(path, &message))
    }

    fn read_json(&mut self, path: &Path, steps: &mut Steps<'_>) -> Result<(), DataError> {
        let file = open_text(path)?;
        let mut json = serde_json::Deserializer::from_reader(file);
        let mut stopped = Ok(());
        let run = Run {
            take: &mut |query: &str, doc: &str, score| {
                stopped = steps.count("pairs read", self.pairs.len(), None);
                if stopped.is_err() {
                    return Err(String::new());
                }
                self.add(id_of(query)?, id_of(doc)?, Some(score))
            },
        };
        let read = run.deserialize(&mut json).and_then(|()| json.end());
        stopped?;
        read.map_err(|message| error(path, &message.to_string()))
    }

    fn read_lines(
        &mut self,
        path: &Path,
        steps: &mut Steps<'_>,
        take: impl Fn(&mut Self, &str, &mut Steps<'_>) -> Result<(), LineError>,
    ) -> Result<(), DataError> {
        let mut lines = Lines::open(path)?;
        let mut number = 0;
        while let Some(line) = lines.next_line()? {
            steps.count("lines read", number, None)?;
            number += 1;
            match take(self, &line, steps) {
                Ok(()) => {}
                Err(LineError::Text(message)) => return Err(lines.error(message).into()),
                Err(LineError::Other(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn json_line(&mut self, line: &str, steps: &mut Steps<'_>) -> Result<(), LineError> {
        let mut object = match serde_json::from_str::<HashMap<String, Value>>(line) {
            Ok(object) => object,
            Err(error) => {
                let invalid = |error: serde_json::Error| format!("not a JSON object: {error}");
                let (line, count) =
                    repair_surrogates(line.as_bytes()).ok_or_else(|| invalid(error))?;
                self.repaired += count;
                serde_json::from_slice(&line).map_err(invalid)?
            }
        };
        let mut take = |key: &str| object.remove(key);
        if let Some(query) = take("query") {
            let query = query.as_str().ok_or("\"query\" is not a text")?.trim_end();
            let (docs, scores) = match (take("docs"), take("pos"), take("negs")) {
                (Some(docs), ..) => (texts(docs)?, Some(numbers(take("scores"))?)),
                (None, Some(positives), Some(negatives)) => {
                    ([texts(positives)?, texts(negatives)?].concat(), None)
                }
                _ => return Err("expected docs and scores, or pos and negs, with query".into()),
            };
            if scores.as_ref().is_some_and(|scores| scores.len() != docs.len()) {
                return Err("there are not as many scores as docs".into());
            }
            for (place, doc) in docs.iter().enumerate() {
                let rows = self.by_texts(query, doc, steps)?;
                self.push(rows, scores.as_ref().map(|scores| scores[place]))?;
            }
            return Ok(());
        }
        let query = id(&take("qid").ok_or("there is neither qid nor query")?)?;
        if let Some(Value::Object(scores)) = take("scores") {
            for (doc, score) in scores {
                let score = score.as_f64().ok_or("a score is not a number")?;
                self.add(query, id_of(&doc)?, Some(score))?;
            }
            return Ok(());
        }
        let (Some(Value::Array(positives)), Some(Value::Object(negatives))) =
            (take("pos"), take("neg"))
        else {
            return Err("expected scores, or pos and neg, with qid".into());
        };
        let negatives = negatives.into_iter().map(|(_, docs)| docs);
        for docs in std::iter::once(Value::Array(positives)).chain(negatives) {
            for doc in docs.as_array().ok_or("a system's negatives are not a list")? {
                match doc {
                    Value::Object(doc) => {
                        let pid = id(doc.get("pid").ok_or("a document has no pid")?)?;
                        self.add(query, pid, doc.get("ce-score").and_then(Value::as_f64))?;
                    }
                    doc => self.add(query, id(doc)?, None)?,
                }
            }
        }
        Ok(())
    }

    fn field_line(&mut self, line: &str, steps: &mut Steps<'_>) -> Result<(), LineError> {
        let tabbed: Vec<&str> = line.trim_end().split('\t').collect();
        if let [a, b, c, d, e] = tabbed[..] {
            let scores = |first: &str, second: &str| Some((number(first)?, number(second)?));
            let id = |text: &str| text.parse::<i64>().ok();
            if let (Some((first, second)), Some(query), Some(positive), Some(negative)) =
                (scores(a, b), id(c), id(d), id(e))
                // A line with three ids may have whole numbers as scores and then looks the same as
                // a line with three texts; a known query decides.
                && (self.queries.row(query).is_some() || scores(d, e).is_none())
            {
                self.add(query, positive, Some(first))?;
                return Ok(self.add(query, negative, Some(second))?);
            }
            let (first, second) = scores(d, e).ok_or("the last two fields are not scores")?;
            for (doc, score) in [(b, first), (c, second)] {
                let rows = match (id(a), id(doc)) {
                    (Some(query), Some(doc)) => self.queries.row(query).zip(self.docs.row(doc)),
                    _ => self.by_texts(a.trim(), doc.trim(), steps)?,
                };
                self.push(rows, Some(score))?;
            }
            return Ok(());
        }
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [query, _, doc, _, score, _] = fields[..] else {
            return Err("expected the six fields of a TREC run, or five separated by tabs: \
                        query, positive, negative and their scores"
                .into());
        };
        let score = number(score).ok_or("the fifth field is not a score")?;
        Ok(self.add(id_of(query)?, id_of(doc)?, Some(score))?)
    }

    fn by_texts(
        &mut self,
        query: &str,
        doc: &str,
        steps: &mut Steps<'_>,
    ) -> Result<Option<(u32, u32)>, DataError> {
        let (queries, docs) = (self.queries, self.docs);
        let [by_query, by_doc] = match &mut self.texts {
            Some(texts) => texts,
            None => self.texts.insert([index(queries, steps)?, index(docs, steps)?]),
        };
        let query = by_query.find(query, |row| queries.text(row));
        Ok(query.zip(by_doc.find(doc, |row| docs.text(row))))
    }
}

/// Builds the index of rows by text, in which the first of equal texts is preferred.
pub(super) fn index(texts: &Collection, steps: &mut Steps<'_>) -> Result<ByText, DataError> {
    ByText::new(0..texts.len() as u32, |row| texts.text(row), "texts compared", steps)
}

enum LineError {
    Text(String),
    Other(DataError),
}

impl From<String> for LineError {
    fn from(message: String) -> Self {
        Self::Text(message)
    }
}

impl From<&str> for LineError {
    fn from(message: &str) -> Self {
        Self::Text(message.to_owned())
    }
}

impl From<DataError> for LineError {
    fn from(error: DataError) -> Self {
        Self::Other(error)
    }
}

fn id_of(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("{text:?} is not an integer id"))
}

fn id(value: &Value) -> Result<i64, String> {
    match value {
        Value::String(text) => id_of(text),
        value => value.as_i64().ok_or_else(|| format!("{value} is not an integer id")),
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// Returns the texts of a value that is a text or a list of texts.
fn texts(value: Value) -> Result<Vec<String>, String> {
    let list = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    let text = |value| match value {
        Value::String(text) => Ok(text.trim_end().to_owned()),
        _ => Err("a document is not a text".to_owned()),
    };
    list.into_iter().map(text).collect()
}

fn numbers(value: Option<Value>) -> Result<Vec<f64>, String> {
    let list = value.as_ref().and_then(Value::as_array).ok_or("\"scores\" is not a list")?;
    let numbers = list.iter().map(Value::as_f64).collect::<Option<_>>();
    numbers.ok_or_else(|| "a score is not a number".to_owned())
}

/// A visitor for `{query: {document: score}}` that passes items on and stores nothing.
struct Run<F> {
    take: F,
}

impl<'de, F: FnMut(&str, &str, f64) -> Result<(), String>> DeserializeSeed<'de> for Run<F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, &str, f64) -> Result<(), String>> Visitor<'de> for Run<F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object from queries to objects from documents to scores")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(query) = map.next_key::<Cow<'_, str>>()? {
            map.next_value_seed(Docs { query: &query, take: &mut self.take })?;
        }
        Ok(())
    }
}

/// A visitor for the inner object, `{document: score}`.
struct Docs<'a, F> {
    query: &'a str,
    take: &'a mut F,
}

impl<'de, F: FnMut(&str, &str, f64) -> Result<(), String>> DeserializeSeed<'de> for Docs<'_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, &str, f64) -> Result<(), String>> Visitor<'de> for Docs<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object from documents to scores")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((doc, score)) = map.next_entry::<Cow<'_, str>, f64>()? {
            (self.take)(self.query, &doc, score).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}
