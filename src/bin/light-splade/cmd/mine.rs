//! `light-splade mine`: hard negatives for the queries of a training set.

mod rankers;

use std::ops::Range;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use splade_data::mine::{LeftOut, Mined, Miner, TeacherScores};
use splade_data::scores::score_line;
use splade_data::stamps::file_stamp;
use splade_eval::{Dataset, Qrels};

use super::masters::{Masters, stamps};
use super::parts::{self, QUERIES_AT_A_TIME};
use super::{full, ranker};
use crate::args::{MineArgs, MineFormat};
use crate::interrupt;
use crate::progress::say;
use rankers::Rankers;

/// What is mined out of.
struct Data {
    masters: Masters,
    positives: Qrels,
}

impl Data {
    fn open(args: &MineArgs) -> Result<Self> {
        let masters = Masters::open(&args.data)?;
        let positives = Dataset::open(&args.data)?.qrels(None)?;
        Ok(Self { masters, positives })
    }

    /// The positives of a query, ascending. Those that are no documents here cannot be found.
    fn positives(&self, query: i64) -> Result<Vec<i64>> {
        let grades = self.positives.get(&query.to_string());
        let grades = grades.with_context(|| {
            format!("qid {query} from the query master does not exist in the positive list")
        })?;
        let id = |doc: &str| -> Result<i64> {
            let id = doc.parse().ok().filter(|id| self.masters.docs.row(*id).is_some());
            id.with_context(|| {
                format!("doc_id {doc} from positive list does not exist in document master")
            })
        };
        let mut ids = grades.keys().map(|doc| id(doc)).collect::<Result<Vec<_>>>()?;
        ids.sort_unstable();
        Ok(ids)
    }
}

pub(crate) fn run(args: &MineArgs) -> Result<()> {
    let data = Data::open(args)?;
    let settings = settings(args)?;
    let teacher = args.teacher_scores.as_deref().map(TeacherScores::open).transpose()?;
    let sources = args.source.iter().map(|source| source.options.clone()).collect();
    let miner = Miner { sources, margins: args.margins(), seed: args.seed };
    let queries = &data.masters.queries;
    // What is wrong with the data shows before anything is indexed.
    let most = (0..queries.len())
        .map(|row| Ok(data.positives(queries.id_at(row))?.len()))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .max()
        .unwrap_or(0);
    let parts = parts::open(&args.parts, &settings)?;
    interrupt::listen()?;
    let rankers = parts::or_stopped(Rankers::open(args, &data, most), &args.parts)?;
    parts.remember(&rankers.inputs())?;
    let mut totals = Totals::default();
    let lines_of = |window: Range<usize>| {
        let rankings = rankers.rank(window.clone())?;
        let mut lines = Vec::new();
        for (row, rankings) in window.zip(rankings) {
            let query = queries.id_at(row);
            let positives = data.positives(query)?;
            let mined = miner.choose(query, &positives, &rankings, teacher.as_ref());
            totals.add(&mined);
            if mined.negatives > 0 {
                write(args.format, query, positives.len(), &mined, &mut lines);
            }
        }
        Ok(lines)
    };
    parts::write(&args.parts, parts, queries.len(), rankers.queries_at_once(), lines_of)?;
    totals.tell();
    Ok(())
}

/// What the parts of the same file must be of.
fn settings(args: &MineArgs) -> Result<Value> {
    Ok(json!({
        "data": full(&args.data),
        "data_files": stamps(&args.data, &["doc_master", "query_master", "positive_lists"])?,
        "ranker": ranker::settings(&args.ranker)?,
        "sources": args.source.iter().map(|source| format!("{source:?}")).collect::<Vec<_>>(),
        "teacher_scores": args.teacher_scores.as_deref().map(full),
        "teacher_files": args.teacher_scores.as_deref().map(file_stamp).transpose()?,
        "margins": format!("{:?}", args.margins()),
        "format": format!("{:?}", args.format),
        "seed": args.seed,
        "queries_a_part": QUERIES_AT_A_TIME,
    }))
}

/// The lines of a query.
fn write(format: MineFormat, query: i64, positives: usize, mined: &Mined, lines: &mut Vec<String>) {
    let (own, negatives) = mined.scores.split_at(positives);
    match format {
        MineFormat::Scores => lines.push(score_line(query, mined.scores.iter().copied())),
        MineFormat::Triplets => {
            let pairs = own.iter().cycle().zip(negatives);
            lines.extend(pairs.map(|((positive, _), (negative, _))| {
                format!(
                    "{{\"qid\": {query}, \"pos_doc_id\": {positive}, \"neg_doc_id\": {negative}}}"
                )
            }));
        }
    }
}

/// What a person is told at the end.
#[derive(Default)]
struct Totals {
    queries: u64,
    without: u64,
    negatives: u64,
    unscored_positives: u64,
    left_out: LeftOut,
}

impl Totals {
    fn add(&mut self, mined: &Mined) {
        self.queries += 1;
        self.without += u64::from(mined.negatives == 0);
        self.negatives += mined.negatives as u64;
        self.unscored_positives += mined.unscored_positives as u64;
        self.left_out += mined.left_out;
    }

    fn tell(&self) {
        let Self { queries, without, negatives, unscored_positives, left_out } = self;
        if *queries == 0 {
            return;
        }
        let mean = *negatives as f64 / *queries as f64;
        say(&format!("{queries} queries, {negatives} negatives: {mean:.1} a query"));
        let LeftOut { of, positives, by_margin, unscored } = left_out;
        for (count, what) in [
            (positives, "are positives"),
            (by_margin, "are left out by their scores"),
            (unscored, "have no teacher's score and are left out"),
        ] {
            if *count > 0 {
                let share = 100.0 * *count as f64 / (*of).max(1) as f64;
                say(&format!("{count} of {of} documents found ({share:.2} %) {what}"));
            }
        }
        if *unscored_positives > 0 {
            say(&format!(
                "{unscored_positives} positives without a teacher's score got the best of their \
                 query's negatives"
            ));
        }
        if *without > 0 {
            say(&format!(
                "{without} queries have no negative and are not in the file; add a source that \
                 finds some: --source random,take=1"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: MineArgs,
    }

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
        let (data, model) = (path(""), path("model"));
        let typed = ["mine", "--data", &data, "--out", "x.ndjson", "--model", &model];
        let more = ["--teacher-scores", &files[3], "--index", "no/index/yet"];
        let Typed { args } = Typed::parse_from(typed.into_iter().chain(more));
        let mut before = settings(&args).expect("settings");
        assert_eq!(settings(&args).expect("settings"), before);
        let index = before["ranker"]["index"].as_str().map(Path::new);
        assert!(index.is_some_and(Path::is_absolute), "{before}");
        for file in files.iter().chain([&path("model/model.safetensors")]) {
            let mut bytes = fs::read(file).expect("read");
            bytes.push(b'\n');
            fs::write(file, bytes).expect("written");
            let after = settings(&args).expect("settings");
            assert_ne!(after, before, "{file}");
            before = after;
        }
    }
}
