//! Hard negatives for the queries of a training set.

mod data;
mod options;
mod rankers;

use std::ops::Range;

use serde_json::{Value, json};
use splade_data::contents::file_content;
use splade_data::mine::{LeftOut, Margins, MineSource, Mined, Miner, TeacherScores};
use splade_data::scores::score_line;
use splade_io::settings::content;
use splade_io::{Observer, counted};

use crate::dense_vectors;
use crate::error::Error;
use crate::masters::contents;
use crate::model::{full, require_head};
use crate::parts::{self, QUERIES_AT_A_TIME};
use crate::ranker;
use data::Data;
use rankers::{Rankers, dense_model};

pub use options::{MineOptions, NegativeFormat, NegativeSource, RankerKind};

/// Finds hard negatives for every query, part by part, so that a run that is stopped goes on; returns
/// what was found.
///
/// ```
/// use light_splade::data::{MineOptions, PartsOptions, mine};
///
/// let folder = tempfile::tempdir()?;
/// let out = folder.path().join("negatives.ndjson");
/// let options = MineOptions {
///     data: concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train").into(),
///     output: PartsOptions { out: out.clone(), ..PartsOptions::default() },
///     ..MineOptions::default()
/// };
/// let mined = mine(&options, &mut ())?;
/// assert!(mined.negatives > mined.queries);
/// assert!(std::fs::read_to_string(out)?.starts_with("{\"qid\""));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If a file cannot be read or written, the data does not hold together, or the observer asks to
/// stop; then the parts so far are kept.
pub fn mine(options: &MineOptions, observer: &mut dyn Observer) -> Result<MinedNegatives, Error> {
    if parts::is_complete(&options.output, |observer| settings(options, observer), observer)? {
        return Ok(MinedNegatives::default());
    }
    // A source without a model, or with one that makes something else, is told before the data is
    // read.
    for source in &options.sources {
        if let Some((kind, model)) = dense_model(source, &options.ranker)? {
            require_head(model, kind, observer)?;
        }
    }
    let data = Data::open(options, observer)?;
    let settings = settings(options, observer)?;
    let teacher = options.teacher_scores.as_deref().map(TeacherScores::open).transpose()?;
    let sources = options.sources.iter().map(|source| source.options.clone()).collect();
    let miner = Miner { sources, margins: options.margins, seed: options.seed };
    let queries = &data.masters.queries;
    // What is wrong with the data shows before anything is indexed.
    let most = (0..queries.len())
        .map(|row| Ok(data.positives(queries.id_at(row))?.len()))
        .collect::<Result<Vec<_>, Error>>()?
        .into_iter()
        .max()
        .unwrap_or(0);
    let output = &options.output;
    let parts = parts::open(output, &settings, observer)?;
    let rankers = parts::or_stopped(Rankers::open(options, &data, most, observer), output)?;
    parts.remember(&rankers.inputs())?;
    let mut totals = MinedNegatives::default();
    let lines_of = |window: Range<usize>| {
        let rankings = rankers.rank(window.clone())?;
        let mut lines = Vec::new();
        for (row, rankings) in window.zip(rankings) {
            let query = queries.id_at(row);
            let positives = data.positives(query)?;
            let mined = miner.choose(query, &positives, &rankings, teacher.as_ref());
            totals.add(&mined);
            if mined.negatives > 0 {
                write(options.format, query, positives.len(), &mined, &mut lines);
            }
        }
        Ok(lines)
    };
    let at_once = rankers.queries_at_once();
    parts::write(output, parts, queries.len(), at_once, observer, lines_of)?;
    Ok(totals)
}

/// What the parts of the same file must be of.
fn settings(options: &MineOptions, observer: &mut dyn Observer) -> Result<Value, Error> {
    let Margins { absolute, relative, max_score, min_score } = options.margins;
    let margins = json!([absolute, relative, max_score, min_score]);
    let names = ["doc_master", "query_master", "positive_lists"];
    let teacher = options.teacher_scores.as_deref().map(file_content).transpose()?;
    let contents = content([
        ("data", contents(&options.data, &names)?),
        ("teacher_scores", teacher.unwrap_or_default()),
        ("model", ranker::model_content(&options.ranker, observer)?),
        ("dense_models", dense_contents(options, observer)?),
    ]);
    Ok(json!({
        "content": contents,
        "data": full(&options.data),
        "ranker": ranker::settings(&options.ranker)?,
        "sources": options.sources.iter().map(source_json).collect::<Vec<_>>(),
        "teacher_scores": options.teacher_scores.as_deref().map(full),
        "margins": margins,
        "format": options.format.name(),
        "seed": options.seed,
        "queries_a_part": QUERIES_AT_A_TIME,
    }))
}

/// The hashes of the dense models of the sources; null if there are none.
fn dense_contents(options: &MineOptions, observer: &mut dyn Observer) -> Result<Value, Error> {
    let mut all = Vec::new();
    for source in &options.sources {
        if let Some((kind, model)) = dense_model(source, &options.ranker)? {
            all.push(dense_vectors::model_content(model, kind, &options.ranker, observer)?);
        }
    }
    Ok(if all.is_empty() { Value::Null } else { all.into() })
}

/// A source as the settings of parts have it.
fn source_json(source: &NegativeSource) -> Value {
    let MineSource { skip, depth, take, at_random } = source.options;
    let mut value = json!({
        "ranker": source.ranker.name(),
        "skip": skip,
        "depth": depth,
        "take": take,
        "random": at_random,
    });
    if let Some(model) = &source.model {
        value["model"] = json!(full(model));
    }
    value
}

/// The lines of a query.
fn write(
    format: NegativeFormat,
    query: i64,
    positives: usize,
    mined: &Mined,
    lines: &mut Vec<String>,
) {
    let (own, negatives) = mined.scores.split_at(positives);
    match format {
        NegativeFormat::Scores => lines.push(score_line(query, mined.scores.iter().copied())),
        NegativeFormat::Triplets => {
            let pairs = own.iter().cycle().zip(negatives);
            lines.extend(pairs.map(|((positive, _), (negative, _))| {
                format!(
                    "{{\"qid\": {query}, \"pos_doc_id\": {positive}, \"neg_doc_id\": {negative}}}"
                )
            }));
        }
    }
}

/// What [`mine()`] found.
///
/// ```
/// use light_splade::data::{MineOptions, NegativeFormat, PartsOptions, mine};
///
/// let folder = tempfile::tempdir()?;
/// let out = folder.path().join("negatives.ndjson");
/// let options = MineOptions {
///     data: concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy/train").into(),
///     format: NegativeFormat::Triplets,
///     output: PartsOptions { out: out.clone(), ..PartsOptions::default() },
///     ..MineOptions::default()
/// };
/// let mined = mine(&options, &mut ())?;
/// mined.sentences().iter().for_each(|sentence| println!("{sentence}"));
/// assert!(mined.negatives > mined.queries);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MinedNegatives {
    /// The number of queries.
    pub queries: u64,
    /// The number of queries for which no negative was found; they are not in the file.
    pub without: u64,
    /// The number of negatives of all queries.
    pub negatives: u64,
    /// The number of positives that the teacher has not scored.
    pub unscored_positives: u64,
    /// The documents that were found and not taken.
    pub left_out: LeftOut,
}

impl MinedNegatives {
    fn add(&mut self, mined: &Mined) {
        self.queries += 1;
        self.without += u64::from(mined.negatives == 0);
        self.negatives += mined.negatives as u64;
        self.unscored_positives += mined.unscored_positives as u64;
        self.left_out += mined.left_out;
    }

    /// Sentences that tell a person what was found; none where nothing was left to do.
    pub fn sentences(&self) -> Vec<String> {
        let Self { queries, without, negatives, unscored_positives, left_out } = self;
        if *queries == 0 {
            return Vec::new();
        }
        let mean = *negatives as f64 / *queries as f64;
        let mut all = vec![format!(
            "{}, {}: {mean:.1} a query",
            counted(*queries, "queries"),
            counted(*negatives, "negatives")
        )];
        let LeftOut { of, positives, by_margin, unscored } = left_out;
        for (count, what) in [
            (positives, "are positives"),
            (by_margin, "are left out by their scores"),
            (unscored, "have no teacher's score and are left out"),
        ] {
            if *count > 0 {
                let share = 100.0 * *count as f64 / (*of).max(1) as f64;
                all.push(format!("{count} of {of} documents found ({share:.2} %) {what}"));
            }
        }
        if *unscored_positives > 0 {
            all.push(format!(
                "gave {} without a teacher's score the best of their query's negatives",
                counted(*unscored_positives, "positives")
            ));
        }
        if *without > 0 {
            all.push(format!(
                "left out {}; add a source that finds some: --source random,take=1",
                counted(*without, "queries without negatives")
            ));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::ranker::RankerOptions;

    /// Parts that were made of other files of the same names would be another set's.
    #[test]
    fn parts_know_their_files() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
        let files = ["doc_master", "query_master", "positive_lists", "teacher"];
        let files = files.map(|name| path(&format!("{name}.ndjson")));
        files.iter().for_each(|file| fs::write(file, "{}\n").expect("written"));
        fs::create_dir(path("model")).expect("made");
        for entry in fs::read_dir("models/demo").expect("a model") {
            let entry = entry.expect("an entry");
            let to = dir.path().join("model").join(entry.file_name());
            fs::copy(entry.path(), to).expect("copied");
        }
        let ranker = RankerOptions {
            model: Some(path("model").into()),
            index: Some("no/index/yet".into()),
            ..RankerOptions::default()
        };
        let options = MineOptions {
            data: dir.path().to_path_buf(),
            teacher_scores: Some(files[3].clone().into()),
            ranker,
            ..MineOptions::default()
        };
        let settings = || settings(&options, &mut ()).expect("settings");
        let mut before = settings();
        assert_eq!(settings(), before);
        let index = before["ranker"]["index"].as_str().map(Path::new);
        assert!(index.is_some_and(Path::is_absolute), "{before}");
        for file in files.iter().chain([&path("model/model.safetensors")]) {
            let mut bytes = fs::read(file).expect("read");
            // The size stays the same.
            *bytes.last_mut().expect("a byte") ^= 1;
            fs::write(file, bytes).expect("written");
            let after = settings();
            assert_ne!(after, before, "{file}");
            before = after;
        }
    }
}
