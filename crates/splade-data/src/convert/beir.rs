//! Converts a folder in the layout of BEIR (Thakur et al., arXiv 2104.08663): `corpus.jsonl`,
//! `queries.jsonl`, `qrels/<split>.tsv`.
//!
//! Both parts contain the whole corpus, because negatives are mined from it and evaluations search
//! it. With `judged_only`, train contains only the documents that its split judges. The text of a
//! document is its title, a blank and its text. Grades of at least 1 are positive, and queries
//! without a positive in the corpus are skipped. Ids are kept if all of them are integers.
//! Otherwise documents are numbered from 1 and queries after them, so that no query has the id of a
//! document, and the files `doc_ids.tsv` and `query_ids.tsv` list the number and the id of each.

use std::path::PathBuf;

use rustc_hash::{FxHashMap, FxHashSet};
use splade_eval::Dataset;
use splade_eval::dataset::Texts;

use super::inputs::error;
use super::output::{Master, Output};
use super::steps::Steps;
use crate::error::DataError;
use splade_io::{LineWriter, counted};

/// Options for converting a folder in the layout of BEIR.
///
/// ```
/// use splade_data::convert::{BeirOptions, Conversion, convert};
/// use serde_json::json;
///
/// # let toy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/toy-beir");
/// let out = tempfile::tempdir()?;
/// let beir = BeirOptions {
///     dir: toy,
///     train: "train".to_owned(),
///     validation: Some("test".to_owned()),
///     judged_only: true,
/// };
/// convert(&Conversion::Beir(beir), &out.path().join("data"), &json!({}), false, &mut ())?;
/// assert!(out.path().join("data/validation/positive_lists.ndjson").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BeirOptions {
    /// The folder with the corpus, the queries and the qrels.
    pub dir: PathBuf,
    /// The name of the split that becomes `train`.
    pub train: String,
    /// The name of the split that becomes `validation`; by default `dev`, or `test` if there is no
    /// `dev`.
    pub validation: Option<String>,
    /// Whether train contains only the documents that its split judges.
    pub judged_only: bool,
}

pub(super) fn convert(
    options: &BeirOptions,
    output: &Output,
    steps: &mut Steps<'_>,
) -> Result<Vec<String>, DataError> {
    let dataset = Dataset::open(&options.dir)?;
    let validation = match &options.validation {
        Some(split) => split.clone(),
        None => match ["dev", "test"].into_iter().find(|name| dataset.splits().any(|s| s == *name))
        {
            Some(split) => split.to_owned(),
            None => {
                let splits = dataset.splits().collect::<Vec<_>>().join(", ");
                let message = format!("there is no split dev or test; name one of: {splits}");
                return Err(error(&options.dir, &message));
            }
        },
    };
    // The qrels are read first, so that errors in them show soon.
    let splits = [("train", options.train.as_str()), ("validation", validation.as_str())];
    let qrels = splits.map(|(part, split)| Ok((part, dataset.qrels(Some(split))?)));
    let docs = Numbers::read(dataset.documents(), 1, "documents read", steps)?;
    let queries = Numbers::read(dataset.queries(), docs.next, "queries read", steps)?;
    let mut notes = vec![format!("train is the split {}, validation {validation}", options.train)];
    for (numbers, name) in [(&docs, "doc_ids.tsv"), (&queries, "query_ids.tsv")] {
        if numbers.write(output, name)? {
            notes.push(format!("ids are not integers: {name} lists the number of each"));
        }
    }
    let mut first = None;
    for read in qrels {
        let (name, qrels) = read.map_err(|error: splade_eval::EvalError| DataError::from(error))?;
        let part = output.split(name)?;
        let judged: Option<FxHashSet<&str>> = (options.judged_only && first.is_none()).then(|| {
            qrels.iter().flat_map(|(_, grades)| grades.keys().map(String::as_str)).collect()
        });
        let documents = match &first {
            Some(first) if !options.judged_only => {
                part.same_documents(first)?;
                docs.len()
            }
            _ => {
                let rows = dataset.documents().filter_map(|text| match (text, &judged) {
                    (Ok(text), Some(judged)) if !judged.contains(&*text.id) => None,
                    (Ok(text), _) => Some(docs.number(&text.id).map(|id| (id, text.text))),
                    (Err(error), _) => Some(Err(error.into())),
                });
                part.texts(Master::Documents, rows, steps)?
            }
        };
        let mut lists: Vec<(i64, Vec<i64>)> = Vec::new();
        let (mut unknown, mut without) = (0u64, 0u64);
        for (query, grades) in qrels.iter() {
            let relevant = grades.iter().filter(|(_, grade)| **grade >= 1);
            let all: Vec<Option<i64>> = relevant.map(|(doc, _)| docs.find(doc)).collect();
            let mut positives: Vec<i64> = all.iter().flatten().copied().collect();
            positives.sort_unstable();
            match queries.find(query) {
                Some(query) if !positives.is_empty() => {
                    unknown += (all.len() - positives.len()) as u64;
                    lists.push((query, positives));
                }
                Some(_) if all.is_empty() => without += 1,
                _ => unknown += all.len().max(1) as u64,
            }
        }
        lists.sort_unstable();
        let mut asked: FxHashMap<i64, ()> = lists.iter().map(|(query, _)| (*query, ())).collect();
        let rows = dataset.queries().filter_map(|text| match text {
            Ok(text) => match queries.number(&text.id) {
                Ok(id) => asked.remove(&id).map(|()| Ok((id, text.text))),
                Err(error) => Some(Err(error)),
            },
            Err(error) => Some(Err(error.into())),
        });
        let count = part.texts(Master::Queries, rows, steps)?;
        if count == 0 {
            return Err(error(
                &options.dir,
                &format!("no query of {name} has a positive document"),
            ));
        }
        let positives: usize = lists.iter().map(|(_, list)| list.len()).sum();
        notes.push(format!(
            "{name}: {}, {}, {}",
            counted(count, "queries"),
            counted(documents, "documents"),
            counted(positives, "positives")
        ));
        for (count, what) in [
            (unknown, "judgements of unknown queries or documents"),
            (without, "queries without a positive grade"),
        ] {
            if count > 0 {
                notes.push(format!("{name}: skipped {}", counted(count, what)));
            }
        }
        part.positives(lists)?;
        notes.extend(part.check(None)?);
        first.get_or_insert(part);
    }
    Ok(notes)
}

/// A mapping from ids to integers.
enum Form {
    /// The ids are integers and are kept.
    Same(FxHashSet<i64>),
    /// The ids are numbered in the order of reading.
    Counted { first: i64, places: FxHashMap<String, u32> },
}

struct Numbers {
    form: Form,
    /// The number after the largest one.
    next: i64,
}

impl Numbers {
    fn read(
        texts: Texts,
        first: i64,
        what: &'static str,
        steps: &mut Steps<'_>,
    ) -> Result<Self, DataError> {
        let mut places: FxHashMap<String, u32> = FxHashMap::default();
        for (count, text) in texts.enumerate() {
            steps.count(what, count, None)?;
            let id = text?.id;
            if u32::try_from(count).is_err() || places.contains_key(&id) {
                return Err(DataError::DuplicateId { what, id });
            }
            places.insert(id, count as u32);
        }
        // `007` and `7` are different ids, so only the canonical form counts as an integer.
        let integer = |id: &String| id.parse::<i64>().ok().filter(|n| n.to_string() == **id);
        let same: Option<_> = places.keys().map(integer).collect();
        let next = first + places.len() as i64;
        Ok(match same {
            Some(ids) => Self { form: Form::Same(ids), next },
            None => Self { form: Form::Counted { first, places }, next },
        })
    }

    fn len(&self) -> usize {
        match &self.form {
            Form::Same(ids) => ids.len(),
            Form::Counted { places, .. } => places.len(),
        }
    }

    fn find(&self, id: &str) -> Option<i64> {
        match &self.form {
            Form::Same(ids) => id.parse().ok().filter(|id| ids.contains(id)),
            Form::Counted { first, places } => Some(first + i64::from(*places.get(id)?)),
        }
    }

    /// Returns the number of an id that was read before.
    fn number(&self, id: &str) -> Result<i64, DataError> {
        self.find(id).ok_or_else(|| DataError::Changed { what: format!("{id} is new") })
    }

    /// Writes a file of numbers and ids unless the ids were kept, and returns whether it wrote one.
    fn write(&self, output: &Output, name: &str) -> Result<bool, DataError> {
        let Form::Counted { first, places } = &self.form else { return Ok(false) };
        let mut rows: Vec<(&String, &u32)> = places.iter().collect();
        rows.sort_unstable_by_key(|(_, place)| **place);
        let mut file = LineWriter::create(&output.path(name))?;
        for (id, place) in rows {
            file.line(format_args!("{}\t{id}", first + i64::from(*place)))?;
        }
        file.finish()?;
        Ok(true)
    }
}
