//! `light-splade mine`: hard negatives for the queries of a training set.

mod rankers;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use splade_index::eval::{Dataset, Qrels, Text};
use splade_model::ModelFolder;
use splade_train::data::{TextKind, Texts};
use splade_train::mine::{LeftOut, Mined, Miner, Parts, TeacherScores};
use splade_train::stamps::{file_stamp, weights_stamp};

use super::Records;
use crate::args::{MineArgs, MineFormat};
use crate::input::{Position, Record};
use crate::interrupt::{self, Interrupted};
use crate::progress::{Progress, say};
use rankers::Rankers;

/// Queries of a part.
const QUERIES_AT_A_TIME: usize = 1024;

/// What is mined out of: documents, queries and positives.
struct Data {
    dataset: Dataset,
    docs: Texts,
    queries: Texts,
    positives: Qrels,
}

impl Data {
    fn open(args: &MineArgs) -> Result<Self> {
        let there = args.data.metadata();
        there.with_context(|| format!("cannot open {}", args.data.display()))?;
        let dataset = Dataset::open(&args.data)?;
        if dataset.splits().next().is_some() {
            bail!(
                "{} is a folder of BEIR, whose ids are texts; make training data of it first: \
                 light-splade convert beir",
                args.data.display()
            );
        }
        let open = |name, kind| -> Result<Texts> {
            let (texts, warnings) = Texts::open(&part_of(&args.data, name)?, kind)?;
            warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
            Ok(texts)
        };
        let docs = open("doc_master", TextKind::Document)?;
        let queries = open("query_master", TextKind::Query)?;
        let positives = dataset.qrels(None)?;
        Ok(Self { dataset, docs, queries, positives })
    }

    fn documents(&self) -> Records {
        let record = |text: Text| Record { id: text.id, text: text.text };
        Box::new(self.dataset.documents().map(move |text| Ok(record(text?))))
    }

    /// The positives of a query, ascending. Those that are no documents here cannot be found.
    fn positives(&self, query: i64) -> Result<Vec<i64>> {
        let grades = self.positives.get(&query.to_string());
        let grades = grades.with_context(|| {
            format!("qid {query} from the query master does not exist in the positive list")
        })?;
        let id = |doc: &str| -> Result<i64> {
            let id = doc.parse().ok().filter(|id| self.docs.row(*id).is_some());
            id.with_context(|| {
                format!("doc_id {doc} from positive list does not exist in document master")
            })
        };
        let mut ids = grades.keys().map(|doc| id(doc)).collect::<Result<Vec<_>>>()?;
        ids.sort_unstable();
        Ok(ids)
    }
}

/// A file of the data, or a folder of such.
fn part_of(data: &Path, name: &str) -> Result<PathBuf> {
    let names = [format!("{name}.ndjson"), format!("{name}.ndjson.gz"), name.to_owned()];
    let mut paths = names.into_iter().map(|name| data.join(name));
    let path = paths.find(|path| path.exists());
    path.with_context(|| format!("there is no {name} in {}", data.display()))
}

pub(crate) fn run(args: &MineArgs) -> Result<()> {
    let data = Data::open(args)?;
    let settings = settings(args)?;
    let teacher = args.teacher_scores.as_deref().map(TeacherScores::open).transpose()?;
    let sources = args.source.iter().map(|source| source.options.clone()).collect();
    let miner = Miner { sources, margins: args.margins(), seed: args.seed };
    // What is wrong with the data shows before anything is indexed.
    let most = (0..data.queries.len())
        .map(|row| Ok(data.positives(data.queries.id_at(row))?.len()))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .max()
        .unwrap_or(0);
    let mut parts = Parts::open(&args.out, &settings, args.resume, args.force)?;
    interrupt::listen()?;
    let stopped = || {
        let how = if args.force { "--resume in place of --force" } else { "--resume" };
        let message = format!(
            "the parts so far are kept in {}.parts; go on with the same command and {how}",
            args.out.display()
        );
        anyhow::Error::from(Interrupted(message))
    };
    let rankers = Rankers::open(args, &data, most);
    let mut rankers = rankers.map_err(|error| match error.is::<Interrupted>() {
        true => stopped(),
        false => error,
    })?;
    parts.remember(&rankers.inputs())?;
    let (rows, begin) = (data.queries.len(), parts.done() * QUERIES_AT_A_TIME);
    if begin > 0 {
        say(&format!("{} of {rows} queries were done before", begin.min(rows)));
    }
    let position = Position::of(rows as u64);
    position.read(begin.min(rows) as u64);
    let mut progress = Progress::start(position.clone(), "queries");
    let mut totals = Totals::default();
    for begin in (begin..rows).step_by(QUERIES_AT_A_TIME) {
        let end = rows.min(begin + QUERIES_AT_A_TIME);
        for begin in (begin..end).step_by(rankers.queries_at_once()) {
            if interrupt::asked() {
                progress.clear();
                return Err(stopped());
            }
            let window = begin..end.min(begin + rankers.queries_at_once());
            let rankings = rankers.rank(window.clone())?;
            let mut lines = Vec::new();
            for (row, rankings) in window.clone().zip(rankings) {
                let query = data.queries.id_at(row);
                let positives = data.positives(query)?;
                let mined = miner.choose(query, &positives, &rankings, teacher.as_ref());
                totals.add(&mined);
                if mined.negatives > 0 {
                    write(args.format, query, positives.len(), &mined, &mut lines);
                }
            }
            parts.write(&lines)?;
            position.read(window.len() as u64);
            progress.add(window.len(), 0);
        }
        parts.end_part()?;
    }
    progress.finish();
    parts.finish()?;
    totals.tell();
    Ok(())
}

/// What the parts of the same file must be of.
fn settings(args: &MineArgs) -> Result<Value> {
    let full = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let data = ["doc_master", "query_master", "positive_lists"];
    let stamp = |name: &str| -> Result<Value> { Ok(file_stamp(&part_of(&args.data, name)?)?) };
    Ok(json!({
        "data": full(&args.data),
        "data_files": data.into_iter().map(stamp).collect::<Result<Vec<_>>>()?,
        "model": args.model.as_deref().map(full),
        "model_files": args.model.as_deref().map(model_stamp).transpose()?,
        // Not followed through links: it may not be there yet.
        "index": args.index.as_deref().map(std::path::absolute).transpose()?,
        "sources": args.source.iter().map(|source| format!("{source:?}")).collect::<Vec<_>>(),
        "teacher_scores": args.teacher_scores.as_deref().map(full),
        "teacher_files": args.teacher_scores.as_deref().map(file_stamp).transpose()?,
        "margins": format!("{:?}", args.margins()),
        "format": format!("{:?}", args.format),
        "precision": args.engine.precision.to_string(),
        "max_length": args.engine.max_length,
        "mecab_dicdir": args.engine.run.mecab_dicdir.as_deref().map(full),
        "seed": args.seed,
        "queries_a_part": QUERIES_AT_A_TIME,
    }))
}

/// Sizes and times of a model's weights; none of a name at the hub, which has a revision.
fn model_stamp(model: &Path) -> Result<Value> {
    if !model.is_dir() {
        return Ok(Value::Null);
    }
    let folder = ModelFolder::open(model)?;
    Ok(json!([weights_stamp(&folder.document.dir)?, weights_stamp(&folder.query.dir)?]))
}

/// The lines of a query.
fn write(format: MineFormat, query: i64, positives: usize, mined: &Mined, lines: &mut Vec<String>) {
    let (own, negatives) = mined.scores.split_at(positives);
    match format {
        MineFormat::Scores => {
            // Debug's form has a point: 1.0, as Python writes.
            let pairs = mined.scores.iter().map(|(doc, score)| format!("\"{doc}\": {score:?}"));
            let pairs = pairs.collect::<Vec<_>>().join(", ");
            lines.push(format!("{{\"qid\": {query}, \"scores\": {{{pairs}}}}}"));
        }
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
        let index = before["index"].as_str().map(Path::new);
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
