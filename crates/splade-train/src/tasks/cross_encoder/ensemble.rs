//! Combines the scores of several cross-encoders as the ensemble of SPLADE-v3 does (arXiv
//! 2403.06789, section 2).
//!
//! For each query, the scores of every teacher are scaled to the range from 0 to 1 by their minimum
//! and maximum, and then averaged over the teachers, with weights if they are given. All averages
//! are then shifted and scaled together, so that their mean and standard deviation over all pairs
//! are those of one teacher. The scores that a student's loss sees thus keep their scale.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use splade_data::ScoreFile;
use splade_io::{LineWriter, NewFile, Observer, Problem};

use crate::error::TrainError;

use super::lines::line;

/// The input files of [`ensemble`], and how they are combined.
#[derive(Debug, Clone)]
pub struct EnsembleOptions {
    /// The files of scores, at least two, with the same queries and documents.
    pub inputs: Vec<PathBuf>,
    /// The weight of each input, above 0. An empty list gives all inputs the same weight.
    pub weights: Vec<f64>,
    /// The output file of the scores.
    pub output: PathBuf,
    /// The number of the input, counted from 0, whose mean and standard deviation the output has.
    /// With `None` the scores stay between 0 and 1.
    pub like: Option<usize>,
    /// Whether an existing output is replaced.
    pub force: bool,
}

/// The size and the statistics of an ensemble.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnsembleReport {
    /// The number of queries.
    pub queries: usize,
    /// The number of pairs of a query and a document.
    pub pairs: usize,
    /// The mean of the written scores.
    pub mean: f64,
    /// The standard deviation of the written scores.
    pub deviation: f64,
}

/// Combines the scores of several cross-encoders. Before each query, the observer is asked whether
/// to stop.
///
/// # Errors
/// Returns an error if a file is missing or damaged, if the files do not have the same pairs, or if
/// the output cannot be written, and [`TrainError::Stopped`] if the observer asked to stop. A
/// partial output is deleted.
pub fn ensemble(
    options: &EnsembleOptions,
    observer: &mut dyn Observer,
) -> Result<EnsembleReport, TrainError> {
    let EnsembleOptions { inputs, output, force, .. } = options;
    let name = output.to_string_lossy();
    let refuse = |message: String| Err(TrainError::Data(message.into()));
    if !name.ends_with(".ndjson") && !name.ends_with(".ndjson.gz") {
        return refuse(format!("{name} must end in .ndjson or .ndjson.gz"));
    }
    if output.exists() && !force {
        return Err(TrainError::Exists(output.clone()));
    }
    if inputs.len() < 2 {
        return refuse("an ensemble needs at least two files".to_owned());
    }
    let (files, weights) = (inputs.len(), options.weights.len());
    if weights > 0 && weights != files {
        return refuse(format!(
            "the number of weights ({weights}) differs from that of files ({files})"
        ));
    }
    if let Some(wrong) =
        options.weights.iter().find(|weight| !(weight.is_finite() && **weight > 0.0))
    {
        return refuse(format!("the weight {wrong} is not a number above 0"));
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |dir| std::fs::create_dir_all(dir).map_err(TrainError::io(dir)))?;
    // The temporary file is created first, so that an output that cannot be written is reported
    // before the files are read.
    let new = NewFile::create(output)?;
    let mut file = LineWriter::create_as(new.temporary_path(), name.ends_with(".gz"))?;
    let report = join(options, &mut file, observer)?;
    file.finish()?;
    new.commit()?;
    Ok(report)
}

/// Writes the combined scores, unless the observer asks to stop.
fn join(
    options: &EnsembleOptions,
    file: &mut LineWriter,
    observer: &mut dyn Observer,
) -> Result<EnsembleReport, TrainError> {
    let EnsembleOptions { inputs, weights, like, .. } = options;
    let weight = |at| weights.get(at).copied().unwrap_or(1.0);
    let teachers = inputs.iter().enumerate().map(|(at, path)| Teacher::open(path, weight(at)));
    let teachers: Vec<Teacher> = teachers.collect::<Result<_, _>>()?;
    let queries = teachers[0].file.len();
    if let Some(other) = teachers.iter().find(|teacher| teacher.file.len() != queries) {
        let (a, b) = (teachers[0].path.display(), other.path.display());
        let count = other.file.len();
        let what = format!("{a} has {queries} queries, but {b} has {count}");
        return Err(TrainError::Data(what.into()));
    }

    // The files are read twice, because the mean and the deviation must be known before the first
    // line is written.
    let (mut joined, mut reference) = (Moments::default(), Moments::default());
    for line in 0..queries {
        if observer.stop() {
            return Err(TrainError::Stopped);
        }
        let scores = Query::read(&teachers, line)?;
        joined.add(scores.joined(&teachers).into_iter());
        if let Some(like) = like {
            reference.add(scores.own[*like].iter().map(|score| f64::from(*score)));
        }
    }
    let (scale, shift) = match like {
        None => (1.0, 0.0),
        Some(_) => {
            let scale = match joined.deviation() {
                0.0 => 0.0,
                deviation => reference.deviation() / deviation,
            };
            (scale, reference.mean - scale * joined.mean)
        }
    };
    let mut written = Moments::default();
    for at in 0..queries {
        if observer.stop() {
            return Err(TrainError::Stopped);
        }
        let query = Query::read(&teachers, at)?;
        let scores: Vec<f32> =
            query.joined(&teachers).into_iter().map(|s| (scale * s + shift) as f32).collect();
        written.add(scores.iter().map(|score| f64::from(*score)));
        let shown = scores.iter().map(f32::to_string);
        let text = line(query.qid, query.docs.iter().copied().zip(shown));
        file.line(format_args!("{}", text.trim_end()))?;
    }
    let (mean, deviation) = (written.mean, written.deviation());
    Ok(EnsembleReport { queries, pairs: written.count as usize, mean, deviation })
}

/// A file of scores with the line number of each query.
struct Teacher {
    path: PathBuf,
    weight: f64,
    file: ScoreFile,
    lines: HashMap<i64, u32>,
}

impl Teacher {
    fn open(path: &Path, weight: f64) -> Result<Self, TrainError> {
        let file = ScoreFile::open(path, |qid, scores| {
            scores.is_empty().then(|| format!("qid {qid} has no documents"))
        })?;
        let lines = (0..file.len()).map(|line| (file.query(line), line as u32)).collect();
        Ok(Self { path: path.to_path_buf(), weight, file, lines })
    }
}

/// The scores of all teachers for the documents of one query.
struct Query {
    qid: i64,
    docs: Vec<i64>,
    /// The scores, shape `(teachers, documents)`.
    own: Vec<Vec<f32>>,
}

impl Query {
    /// Reads the query at a line of the first file from all files.
    fn read(teachers: &[Teacher], line: usize) -> Result<Self, TrainError> {
        let qid = teachers[0].file.query(line);
        let (mut docs, mut own) = (Vec::new(), Vec::new());
        for (number, teacher) in teachers.iter().enumerate() {
            let missing = |what: String| {
                let (first, other) = (teachers[0].path.display(), teacher.path.display());
                let what = format!("{what} has scores in only one of {first} and {other}");
                let remedy = "score the same pairs with every teacher";
                TrainError::Data(Problem::new(what).with_remedy(remedy))
            };
            let line = *teacher.lines.get(&qid).ok_or_else(|| missing(format!("qid {qid}")))?;
            let (these, scores): (Vec<i64>, Vec<f32>) =
                teacher.file.scores(line as usize)?.into_iter().unzip();
            if number == 0 {
                docs = these;
            } else if docs != these {
                let doc = docs.iter().find(|doc| !these.contains(doc));
                let doc = doc.or(these.iter().find(|doc| !docs.contains(doc)));
                let doc = doc.copied().unwrap_or_default();
                return Err(missing(format!("doc_id {doc} of qid {qid}")));
            }
            own.push(scores);
        }
        Ok(Self { qid, docs, own })
    }

    /// Returns the weighted means of the scaled scores. If a teacher gives all documents the same
    /// score, its scaled scores are 0.5.
    fn joined(&self, teachers: &[Teacher]) -> Vec<f64> {
        let mut sums = vec![0.0; self.docs.len()];
        for (scores, teacher) in self.own.iter().zip(teachers) {
            let least = f64::from(scores.iter().copied().fold(f32::INFINITY, f32::min));
            let most = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            for (sum, score) in sums.iter_mut().zip(scores) {
                let range = most - least;
                let normalised =
                    if range > 0.0 { (f64::from(*score) - least) / range } else { 0.5 };
                *sum += teacher.weight * normalised;
            }
        }
        let all: f64 = teachers.iter().map(|teacher| teacher.weight).sum();
        sums.iter_mut().for_each(|sum| *sum /= all);
        sums
    }
}

/// The running mean and deviation of a sequence of numbers (Welford, "Note on a method for
/// calculating corrected sums of squares and products", 1962).
#[derive(Debug, Default)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, numbers: impl Iterator<Item = f64>) {
        for number in numbers {
            self.count += 1;
            let difference = number - self.mean;
            self.mean += difference / self.count as f64;
            self.squares += difference * (number - self.mean);
        }
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count.max(1) as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(files: &[&str], like: Option<usize>) -> Result<(String, EnsembleReport), String> {
        run_weighted(files, like, &[])
    }

    fn run_weighted(
        files: &[&str],
        like: Option<usize>,
        weights: &[f64],
    ) -> Result<(String, EnsembleReport), String> {
        let dir = tempfile::tempdir().expect("a folder");
        let inputs: Vec<PathBuf> =
            (0..files.len()).map(|i| dir.path().join(format!("{i}.ndjson"))).collect();
        for (path, text) in inputs.iter().zip(files) {
            std::fs::write(path, text).expect("written");
        }
        let output = dir.path().join("out.ndjson");
        let weights = weights.to_vec();
        let options = EnsembleOptions { inputs, weights, output, like, force: false };
        let report = ensemble(&options, &mut ()).map_err(|error| error.to_string())?;
        let text = std::fs::read_to_string(&options.output).expect("scores");
        Ok((text, report))
    }

    const A: &str = "{\"qid\": 1, \"scores\": {\"5\": 2, \"6\": 4, \"7\": 6}}\n\
                     {\"qid\": 2, \"scores\": {\"5\": -1, \"9\": 1}}\n";
    // The second file has its queries and documents in another order.
    const B: &str = "{\"qid\": 2, \"scores\": {\"9\": 3, \"5\": 3}}\n\
                     {\"qid\": 1, \"scores\": {\"7\": 0, \"6\": 10, \"5\": 5}}\n";

    #[test]
    fn scores_are_normalised_by_query_and_averaged() {
        let (text, report) = run(&[A, B], None).expect("joined");
        let want = "{\"qid\": 1, \"scores\": {\"5\": 0.25, \"6\": 0.75, \"7\": 0.5}}\n\
                    {\"qid\": 2, \"scores\": {\"5\": 0.25, \"9\": 0.75}}\n";
        assert_eq!((text.as_str(), report.queries, report.pairs), (want, 2, 5));
    }

    #[test]
    fn a_teacher_counts_as_much_as_its_weight() {
        let (text, _) = run_weighted(&[A, B], None, &[3.0, 1.0]).expect("joined");
        let want = "{\"qid\": 1, \"scores\": {\"5\": 0.125, \"6\": 0.625, \"7\": 0.75}}\n\
                    {\"qid\": 2, \"scores\": {\"5\": 0.125, \"9\": 0.875}}\n";
        assert_eq!(text, want);
        let refused = |weights: &[f64]| run_weighted(&[A, B], None, weights).expect_err("refused");
        assert!(refused(&[1.0]).contains("weights (1) differs from that of files (2)"));
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(refused(&[1.0, wrong]).contains("not a number above 0"));
        }
    }

    /// The expected values are the mean and deviation of 2, 4, 6, -1, 1 and of 0, 10, 5, 3, 3 as
    /// computed by numpy.
    #[test]
    fn the_whole_is_rescaled_as_one_teacher() {
        for (like, mean, deviation) in [(0, 2.4, 2.4166091947189146), (1, 4.2, 3.3105890714493698)]
        {
            let (text, report) = run(&[A, B], Some(like)).expect("joined");
            assert!((report.mean - mean).abs() < 1e-6, "{report:?}");
            assert!((report.deviation - deviation).abs() < 1e-6, "{report:?}");
            // The scaling is an affine map: the order stays the same, and equal differences stay
            // equal.
            let first: serde_json::Value =
                serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
            let of = |doc: &str| first["scores"][doc].as_f64().expect("a score");
            assert!((of("6") - of("7") - (of("7") - of("5"))).abs() < 1e-6 && of("6") > of("5"));
        }
    }

    #[test]
    fn the_output_comes_first() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.ndjson");
        std::fs::write(&file, A).expect("written");
        let run = |inputs: [&str; 2], output: &str| {
            let inputs = inputs.map(|name| dir.path().join(name)).to_vec();
            let (weights, output) = (Vec::new(), dir.path().join(output));
            ensemble(
                &EnsembleOptions { inputs, weights, output, like: None, force: false },
                &mut (),
            )
            .map_err(|error| error.to_string())
        };
        // Neither the input nor the output can be opened; the error about the output comes first.
        let message = run(["none.ndjson"; 2], "a.ndjson/b.ndjson").expect_err("refused");
        assert!(message.contains("a.ndjson") && !message.contains("none"), "{message}");
        let message = run(["none.ndjson"; 2], "new/b.ndjson").expect_err("refused");
        assert!(message.contains("none.ndjson"), "{message}");
        let left = || std::fs::read_dir(dir.path().join("new")).expect("a folder").count();
        assert_eq!(left(), 0);
        run(["a.ndjson"; 2], "new/b.ndjson.gz").expect("joined");
        assert_eq!(left(), 1);
    }

    #[test]
    fn other_pairs_are_refused() {
        let less = "{\"qid\": 2, \"scores\": {\"9\": 3}}\n{\"qid\": 1, \"scores\": {\"7\": 0}}\n";
        assert!(run(&[A, less], None).expect_err("refused").contains("doc_id 5 of qid 1 has"));
        let other = B.replace("\"qid\": 2", "\"qid\": 3");
        assert!(run(&[A, &other], None).expect_err("refused").contains("qid 2 has scores in"));
        let one = "{\"qid\": 1, \"scores\": {\"7\": 0}}\n";
        assert!(run(&[A, one], None).expect_err("refused").contains("has 2 queries"));
        assert!(run(&[A], None).expect_err("refused").contains("at least two files"));
        let twice = format!("{A}{A}");
        assert!(run(&[&twice, A], None).expect_err("refused").contains("already has scores"));
    }
}
