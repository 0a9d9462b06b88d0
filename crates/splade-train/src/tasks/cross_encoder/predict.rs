//! Scores the pairs of a file with a cross-encoder.
//!
//! The scores are appended to `lines.ndjson` in the folder `OUTPUT.parts`, one line for each query in
//! the order of the file, and every line is written before the next pairs are scored. A resumed run
//! continues after the last complete line, so no pair of a written line is scored again. At the end
//! the lines are copied to the output, compressed if its name asks for it, and the folder is
//! removed. `settings.json` in the folder marks it as ours; a run resumes only with the same
//! settings. One process at a time writes an output.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use hydra_compose::settings::SettingError;
use serde_json::{Value, json};
use splade_data::contents::folder_content;
use splade_data::{ScoreFile, TextKind, Texts};
use splade_io::settings::{difference, records_content};
use splade_io::{
    Event, MadeWith, NewFile, Observer, OutputFolder, Problem, Progress, counted, write_file,
};
use splade_model::{CrossEncoder, CrossEncoderOptions};

use crate::error::TrainError;
use crate::tasks::prepare::{ResolveModel, resolve_at_hub};

use super::lines::line;
use super::pairs::QUERIES_MAY_FILL_PAIRS;
use super::predict_config::PredictConfig;

/// A part of the queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// The number of the shard, counted from 0.
    pub number: usize,
    /// The number of all shards.
    pub of: usize,
}

impl Shard {
    /// Returns the range of the shard's lines out of `all` lines.
    fn lines(self, all: usize) -> Range<usize> {
        self.number * all / self.of..(self.number + 1) * all / self.of
    }

    /// Returns the file of the shard, in a folder named like `output` without its extensions.
    fn path(self, output: &Path) -> PathBuf {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        let (stem, ending) = match name.find(".ndjson") {
            Some(at) => name.split_at(at),
            None => (&*name, ".ndjson"),
        };
        let file = format!("{:05}-of-{:05}{ending}", self.number, self.of);
        output.with_file_name(stem).join(file)
    }
}

/// The options of [`predict`] beside the settings.
#[derive(Clone, Copy)]
pub struct PredictOptions<'a> {
    /// Returns the folder of a named model. The default accepts folders, and fetches other names
    /// from the Hugging Face hub.
    pub resolve: &'a ResolveModel<'a>,
    /// The shard to score; its scores go into a file of its own. `None` scores all queries.
    pub shard: Option<Shard>,
    /// Whether the run resumes from the partial output of an earlier run.
    pub resume: bool,
    /// Whether an existing output is replaced.
    pub force: bool,
}

impl Default for PredictOptions<'_> {
    fn default() -> Self {
        Self { resolve: &resolve_at_hub, shard: None, resume: false, force: false }
    }
}

impl std::fmt::Debug for PredictOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PredictOptions")
            .field("shard", &self.shard)
            .field("resume", &self.resume)
            .field("force", &self.force)
            .finish_non_exhaustive()
    }
}

/// The result of [`predict`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prediction {
    /// The path of the scores.
    pub output: PathBuf,
    /// The number of pairs that this run scored.
    pub scored: usize,
    /// The number of pairs that an earlier run had scored.
    pub kept: usize,
    /// The number of pairs that were truncated at the maximum number of tokens.
    pub truncated: usize,
    /// Whether the run was stopped before the end.
    pub stopped: bool,
    /// Whether the output was complete before, so that a resumed run had nothing to do.
    pub was_complete: bool,
}

/// Scores every pair of `hard_negative_init_scores`, on the threads of the current rayon pool.
///
/// The observer receives [`Event::Progress`] in pairs; the first such event has the number of all
/// pairs and the number of those that an earlier run scored. If the observer asks to stop, the
/// scores so far stay on disk and can be resumed with `resume`.
///
/// # Errors
/// Returns an error if a file is missing, damaged or lacks a text, if the output already exists, if
/// an earlier run had other settings, or if a file cannot be written.
pub fn predict(
    config: &PredictConfig,
    options: &PredictOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<Prediction, TrainError> {
    let limits = config.pairs.limits();
    if limits.queries_may_fill_pairs() {
        observer.event(Event::Warning(QUERIES_MAY_FILL_PAIRS));
    }
    let output = &config.hard_negative_cross_encoder_scores;
    let output = options.shard.map_or_else(|| output.clone(), |shard| shard.path(output));
    let mut prediction = Prediction { output, ..Prediction::default() };
    let output = &prediction.output;
    let resolve = || (options.resolve)(&config.model_path).map_err(TrainError::Source);
    if options.resume && !options.force && output.is_file() && !Partial::is_begun(output) {
        let settings = settings(config, &resolve()?, options.shard)?;
        let unknown = match MadeWith::compare(output, &settings)? {
            MadeWith::Same => "",
            MadeWith::Unknown => ". Whether it was made with other settings is not known",
            MadeWith::Other(difference) => {
                let what =
                    format!("it is complete, but was made with other settings: {difference}");
                let remedy = "make it anew with --force, or choose another output";
                return Err(TrainError::checkpoint(output, Problem::new(what).with_remedy(remedy)));
            }
        };
        observer.event(Event::Note(&format!(
            "{} is complete already; nothing is to be done{unknown}",
            output.display()
        )));
        prediction.was_complete = true;
        return Ok(prediction);
    }
    check_output(output, options)?;
    let folder = resolve()?;
    let model_options = CrossEncoderOptions {
        max_length: Some(limits.max_token_len),
        mecab_dicdir: config.mecab_dicdir.clone(),
        ..CrossEncoderOptions::default()
    };
    let model = CrossEncoder::load(&folder, &model_options)
        .map_err(TrainError::failed(format!("cannot load the model {}", folder.display())))?;
    let docs = Masters::open(&config.doc_masters(), TextKind::Document, observer)?;
    let queries = Masters::open(&config.query_masters(), TextKind::Query, observer)?;
    let pairs = ScoreFile::open_known(
        &config.hard_negative_init_scores,
        |qid| queries.has(qid),
        |doc| docs.has(doc),
    )?;
    let lines = options.shard.map_or(0..pairs.len(), |shard| shard.lines(pairs.len()));
    let settings = settings(config, &folder, options.shard)?;
    let mut partial = Partial::open(output, &settings, options.resume, observer)?;
    let kept_lines = partial.lines;
    if kept_lines > lines.len() {
        return Err(partial.bad("it has more lines than the input has queries"));
    }
    let count = |lines: Range<usize>| lines.map(|line| pairs.documents(line)).sum::<usize>();
    let kept = count(lines.start..lines.start + kept_lines);
    let all = count(lines.clone());
    let before = if kept > 0 { format!(", {kept} of them scored before") } else { String::new() };
    observer.event(Event::Note(&format!("{}{before}", counted(all, "pairs"))));
    let mut progress = Progress {
        doing: "scoring pairs",
        unit: "pairs",
        done: kept as u64,
        total: Some(all as u64),
        share: (all > kept).then_some(0.0),
        ..Progress::default()
    };
    let share = |done: u64| (done - kept as u64) as f64 / (all - kept).max(1) as f64;
    observer.event(Event::Progress(progress));
    prediction.kept = kept;
    let mut next = lines.start + kept_lines;
    while next < lines.end {
        if observer.stop() {
            prediction.stopped = true;
            return Ok(prediction);
        }
        let mut of_queries = Vec::new();
        let mut texts: Vec<(String, String)> = Vec::new();
        while next < lines.end && texts.len() < config.predict_batch_size {
            let (qid, scores) = (pairs.query(next), pairs.scores(next)?);
            let query = queries.get(qid)?;
            for (doc, _) in &scores {
                let document = docs.get(*doc)?;
                let (query, document) = limits.cut(&query, &document);
                texts.push((query.to_owned(), document.to_owned()));
            }
            of_queries.push((qid, scores));
            next += 1;
        }
        let scored = model.score_batch(&texts)?;
        let mut rest = &scored.scores[..];
        let mut written = String::new();
        for (qid, scores) in of_queries {
            let (own, others) = rest.split_at(scores.len());
            rest = others;
            let docs = scores.iter().map(|(doc, _)| *doc);
            if let Some(doc) = docs.clone().zip(own).find(|(_, score)| !score.is_finite()) {
                let message = format!("the score of qid {qid} and doc_id {} is {}", doc.0, doc.1);
                return Err(TrainError::Run(message.into()));
            }
            let shown = own.iter().map(|score| match config.compat.inverse_sigmoid {
                true => python_score(*score, model.has_sigmoid()).to_string(),
                false => score.to_string(),
            });
            written += &line(qid, docs.zip(shown));
        }
        partial.write(&written)?;
        prediction.scored += texts.len();
        prediction.truncated += scored.truncated;
        progress.done += texts.len() as u64;
        progress.tokens += scored.tokens as u64;
        progress.share = Some(share(progress.done));
        observer.event(Event::Progress(progress));
    }
    observer.event(Event::Progress(Progress { finished: true, ..progress }));
    partial.finish(&prediction.output)?;
    Ok(prediction)
}

/// Returns the score that the Python library writes: a probability in 32 bits, converted back by
/// `ln p - ln (1 - p)` in 64 bits, and ±10⁶ where the probability is 1 or 0. If the model's
/// activation is the identity, the logit is used as the probability, as in Python.
fn python_score(logit: f32, sigmoid: bool) -> f64 {
    let p = if sigmoid { 1.0 / (1.0 + libm::expf(-logit)) } else { logit };
    match f64::from(p) {
        p if p >= 1.0 => 1e6,
        p if p <= 0.0 => -1e6,
        p => libm::log(p) - libm::log(1.0 - p),
    }
}

/// Masters that are searched one after another; the first one that has an id counts.
struct Masters(Vec<Texts>);

impl Masters {
    fn open(
        paths: &[PathBuf],
        kind: TextKind,
        observer: &mut dyn Observer,
    ) -> Result<Self, TrainError> {
        let mut masters = Vec::new();
        for path in paths {
            let (texts, warnings) = Texts::open(path, kind)?;
            warnings.iter().for_each(|warning| observer.event(Event::Warning(warning)));
            masters.push(texts);
        }
        Ok(Self(masters))
    }

    fn has(&self, id: i64) -> bool {
        self.0.iter().any(|texts| texts.row(id).is_some())
    }

    fn get(&self, id: i64) -> Result<Cow<'_, str>, TrainError> {
        let texts = self.0.iter().find(|texts| texts.row(id).is_some());
        texts.or(self.0.first()).map_or_else(
            || Err(TrainError::Data("no master is given".into())),
            |texts| Ok(texts.get(id)?),
        )
    }
}

/// Returns the settings that determine the scores. A run resumes only with the same values.
fn settings(
    config: &PredictConfig,
    model: &Path,
    shard: Option<Shard>,
) -> Result<Value, TrainError> {
    let mut settings = config.fingerprint()?;
    settings["model"] = json!(model);
    settings["content"]["model"] = json!({ "weights": folder_content(model)? });
    settings["shard"] = shard.map(|shard| json!([shard.number, shard.of])).into();
    Ok(settings)
}

/// Makes all checks of the output before the long work.
fn check_output(output: &Path, options: &PredictOptions<'_>) -> Result<(), TrainError> {
    let wrong = |rule: &str| {
        let rule = format!("{} {rule}", output.display());
        SettingError::new("hard_negative_cross_encoder_scores", rule)
    };
    let name = output.to_string_lossy();
    if !name.ends_with(".ndjson") && !name.ends_with(".ndjson.gz") {
        return Err(wrong("must end in .ndjson or .ndjson.gz").into());
    }
    let begun = Partial::is_begun(output);
    // A run that was started with `force` and then stopped may be resumed.
    if output.exists() && !options.force && !(options.resume && begun) {
        return Err(wrong("is there already").with_remedy("add --force to replace it").into());
    }
    if begun && !options.resume && !options.force {
        let remedy = "add --resume to continue it, or --force to start again";
        return Err(wrong("was begun by an earlier run").with_remedy(remedy).into());
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| std::fs::create_dir_all(folder).map_err(TrainError::io(folder)))
}

/// The file with the settings, which marks the folder of a partial output.
const SETTINGS: &str = "settings.json";
/// The file with the lines so far.
const LINES: &str = "lines.ndjson";

/// Returns settings of an earlier version of the program, which had the sizes and times of files
/// beside their paths, without these.
fn without_stamps(mut settings: Value) -> Value {
    if records_content(&settings) {
        return settings;
    }
    let path = |value: &Value| value[0].clone();
    if settings["hard_negative_init_scores"].is_array() {
        settings["hard_negative_init_scores"] = path(&settings["hard_negative_init_scores"]);
    }
    for key in ["doc_masters", "query_masters"] {
        if let Some(files) = settings[key].as_array() {
            settings[key] = files.iter().map(path).collect();
        }
    }
    if let Some(settings) = settings.as_object_mut() {
        settings.remove("model");
    }
    settings
}

/// The partial output in its locked folder.
struct Partial {
    folder: OutputFolder,
    path: PathBuf,
    file: File,
    /// The number of complete lines that an earlier run wrote.
    lines: usize,
}

impl Partial {
    /// Returns the folder of the partial output.
    fn folder_of(output: &Path) -> PathBuf {
        output.with_added_extension("parts")
    }

    /// Returns whether an earlier run has left a partial output.
    fn is_begun(output: &Path) -> bool {
        Self::folder_of(output).join(SETTINGS).is_file()
    }

    /// Begins a partial output, or continues that of an earlier run.
    fn open(
        output: &Path,
        settings: &Value,
        resume: bool,
        observer: &mut dyn Observer,
    ) -> Result<Self, TrainError> {
        let folder = OutputFolder::open(&Self::folder_of(output), SETTINGS)?;
        folder.remove_temporaries(|_| false)?;
        let (path, about) = (folder.path().join(LINES), folder.path().join(SETTINGS));
        let (file, lines) = Self::lines(&path, resume).map_err(TrainError::io(&path))?;
        let this = Self { folder, path, file, lines };
        if this.lines > 0 {
            let text = std::fs::read_to_string(&about).map_err(TrainError::io(&about))?;
            let earlier: Value = serde_json::from_str(&text)
                .map_err(|error| this.bad(format!("its settings cannot be read: {error}")))?;
            if !earlier.is_object() {
                return Err(this.bad("its settings cannot be read"));
            }
            let earlier = without_stamps(earlier);
            if let Some(difference) = difference(&earlier, settings) {
                let what = format!("an earlier run had other settings or files: {difference}");
                let remedy = "add --force to start again";
                return Err(this.bad(Problem::new(what).with_remedy(remedy)));
            }
            if !records_content(&earlier) {
                observer.event(Event::Note(
                    "an earlier version of light-splade began the file and did not record what \
                     the model and the data were: whether they have changed since is not checked",
                ));
            }
        } else {
            write_file(&about, format!("{settings:#}\n").as_bytes())?;
        }
        this.file.sync_all().map_err(TrainError::io(&this.path))?;
        Ok(this)
    }

    /// Opens the file of the lines and truncates it after its last complete line, or to zero bytes
    /// if the run does not resume. Returns the number of complete lines, too.
    fn lines(path: &Path, resume: bool) -> std::io::Result<(File, usize)> {
        let mut file = OpenOptions::new();
        let file = file.create(true).truncate(!resume).read(true).append(resume).write(true);
        let file = file.open(path)?;
        let (mut lines, mut whole) = (0, 0);
        let mut reader = BufReader::new(&file);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            if bytes.last() == Some(&b'\n') {
                (lines, whole) = (lines + 1, whole + bytes.len() as u64);
            }
            bytes.clear();
        }
        file.set_len(whole)?;
        Ok((file, lines))
    }

    fn bad(&self, problem: impl Into<Problem>) -> TrainError {
        TrainError::checkpoint(&self.path, problem)
    }

    fn write(&mut self, lines: &str) -> Result<(), TrainError> {
        self.file.write_all(lines.as_bytes()).map_err(TrainError::io(&self.path))
    }

    /// Copies the lines to the output and removes the partial output.
    fn finish(self, output: &Path) -> Result<(), TrainError> {
        let Self { folder, path, .. } = self;
        let mut new = NewFile::create(output)?;
        let packs = output.extension().is_some_and(|extension| extension == "gz");
        let copy = |new: &mut NewFile| {
            let mut lines = File::open(&path)?;
            if !packs {
                return std::io::copy(&mut lines, new).map(drop);
            }
            // The header has no time, so that equal scores give equal bytes.
            let mut sink = GzBuilder::new().write(new, Compression::default());
            std::io::copy(&mut lines, &mut sink)?;
            sink.finish().map(drop)
        };
        copy(&mut new).map_err(TrainError::io(output))?;
        new.commit()?;
        let about = folder.path().join(SETTINGS);
        let settings = std::fs::read(&about).map_err(TrainError::io(&about))?;
        let settings = serde_json::from_slice(&settings).unwrap_or_default();
        MadeWith::record(output, &without_stamps(settings))?;
        // The settings are removed last, so that a killed process leaves a folder that is
        // recognised.
        for file in [path, folder.path().join(SETTINGS)] {
            std::fs::remove_file(&file).map_err(TrainError::io(&file))?;
        }
        let path = folder.path().to_path_buf();
        drop(folder);
        // A folder in which somebody else has put a file stays.
        _ = std::fs::remove_dir(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use splade_io::settings::content;

    use super::*;

    #[test]
    fn shards_are_all_lines_once() {
        for (all, of) in [(0, 1), (1, 3), (10, 3), (7, 7), (100, 8)] {
            let lines: Vec<usize> =
                (0..of).flat_map(|number| Shard { number, of }.lines(all)).collect();
            assert_eq!(lines, (0..all).collect::<Vec<_>>());
        }
        let path = Shard { number: 2, of: 4 }.path(Path::new("a/scores.ndjson.gz"));
        assert_eq!(path, Path::new("a/scores/00002-of-00004.ndjson.gz"));
    }

    /// The expected values come from numpy and torch 2.6 (`scripts/reference/teacher.py`). Near 1,
    /// the last bit of a 32-bit probability changes its logarithm a lot, so a difference of one bit
    /// is allowed there.
    #[test]
    fn compat_scores_are_those_of_python() {
        let cases: Vec<(f32, f64)> = serde_json::from_str(include_str!(
            "../../../tests/fixtures/teacher/inverse_sigmoid.json"
        ))
        .expect("JSON");
        assert!(cases.len() > 50);
        for (logit, want) in cases {
            let got = python_score(logit, true);
            let p = 1.0 / (1.0 + (-f64::from(logit)).exp());
            // The tolerance is d(logit)/dp = 1 / (p (1 - p)), times two bits of p.
            let bit = 2.0 * f64::from(f32::EPSILON) * p.max(1.0 - p) / (p * (1.0 - p)).max(1e-30);
            let clamped = want.abs() == 1e6 || got.abs() == 1e6;
            assert!(
                (got - want).abs() <= bit.max(1e-6) || clamped && (16.0..17.5).contains(&logit),
                "{logit}: {got}, not {want}"
            );
        }
        assert_eq!((python_score(40.0, true), python_score(-120.0, true)), (1e6, -1e6));
        assert_eq!((python_score(2.0, false), python_score(0.5, false)), (1e6, 0.0));
    }

    #[test]
    fn a_broken_line_is_cut_off() {
        let dir = tempfile::tempdir().expect("a folder");
        let output = dir.path().join("s.ndjson");
        let model = |hash: &str| json!({"model": "a", "max_len": 9, "content": content([("model", json!({"weights": hash}))])});
        let settings = model("xxh3:1");
        let open = |settings: &Value, resume| Partial::open(&output, settings, resume, &mut ());
        let mut partial = open(&settings, false).expect("begun");
        partial.write("one\ntwo\nthr").expect("written");
        let second = open(&settings, true).err().expect("locked").to_string();
        assert!(second.contains("another process is writing to it (process "), "{second}");
        drop(partial);
        assert!(Partial::is_begun(&output));
        let mut partial = open(&settings, true).expect("continued");
        assert_eq!(partial.lines, 2);
        partial.write("three\n").expect("written");
        drop(partial);
        let other = open(&model("xxh3:2"), true).err();
        let message = other.map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains("the model a has changed since"), "{message}");
        // As an earlier version wrote them: with the sizes and times of files.
        let old = json!({
            "model": [["model.safetensors", 1, 2]], "max_len": 9, "query_masters": [["q", [1]]],
            "hard_negative_init_scores": ["s", [1]],
        });
        let about = Partial::folder_of(&output).join(SETTINGS);
        std::fs::write(&about, old.to_string()).expect("written");
        let mut now = settings;
        now["query_masters"] = json!(["q"]);
        now["hard_negative_init_scores"] = json!("s");
        let mut other = now.clone();
        other["query_masters"] = json!(["r"]);
        assert!(open(&other, true).is_err());
        let partial = open(&now, true).expect("continued");
        partial.finish(&output).expect("finished");
        assert_eq!(std::fs::read_to_string(&output).expect("scores"), "one\ntwo\nthree\n");
        // The output, and what it was made with.
        let left = std::fs::read_dir(dir.path()).expect("a folder").count();
        assert_eq!(left, 2);
    }
}
