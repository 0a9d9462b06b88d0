//! The log of a run as JSON lines, with one object per record:
//!
//! - `{"kind":"run","time":…,"command":…,"config":…,"model":…,"data":…,"version":…,"steps":…}`: what is
//!   trained
//! - `{"kind":"text","tag":…,"text":…,"time":…}`: the config
//! - `{"kind":"train","step":…,"epoch":…,"time":…,<name>:<number>…}`, and the same with `eval` and
//!   `summary`
//! - `{"kind":"expansions","step":…,"time":…,"samples":[…]}`, where each sample is
//!   `{"side":…,"text":…,"terms":[[term,weight]…]}`
//! - `{"kind":"warning","step":…,"time":…,"message":…,"hint":…}`: what the watchdog noticed
//! - `{"kind":"end","time":…,"outcome":…,"step":…,"best":…,"message":…}`: how the run ended; a run that
//!   was killed has no such record
//!
//! `time` is in seconds since 1970 and is the only value that differs between two equal runs.
//! Numbers that are not finite are `null`. Each record is written with a single write, so a killed
//! run leaves at most one unfinished line, the last one.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::LogError;
use crate::record::{Expansion, RunEnd, RunInfo};

/// The kind of a record that holds numbers.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Train,
    Eval,
    Summary,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Eval => "eval",
            Self::Summary => "summary",
        }
    }
}

/// The fields that decide whether a record is kept when a run is resumed.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Head {
    Run(RunInfo),
    Text { tag: String, text: String },
    Train { step: u64 },
    Eval { step: u64 },
    Summary {},
    Expansions { step: u64 },
    Warning { step: u64 },
    End {},
}

#[derive(Serialize)]
struct TextRecord<'a> {
    kind: &'static str,
    tag: &'a str,
    text: &'a str,
    time: f64,
}

#[derive(Serialize)]
struct ExpansionsRecord<'a> {
    kind: &'static str,
    step: u64,
    time: f64,
    samples: &'a [Expansion],
}

#[derive(Serialize)]
struct RunRecord<'a> {
    kind: &'static str,
    time: f64,
    #[serde(flatten)]
    run: &'a RunInfo,
}

#[derive(Serialize)]
struct WarningRecord<'a> {
    kind: &'static str,
    step: u64,
    time: f64,
    message: &'a str,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct EndRecord<'a> {
    kind: &'static str,
    time: f64,
    #[serde(flatten)]
    end: &'a RunEnd,
}

/// What a resumed run has said already.
#[derive(Debug, Default)]
struct Said {
    /// The last text of each tag.
    texts: HashMap<String, String>,
    /// The last record of what is trained.
    run: Option<RunInfo>,
}

/// A log that records are appended to.
#[derive(Debug)]
pub(super) struct JsonLog {
    path: PathBuf,
    file: File,
    said: Said,
}

impl JsonLog {
    /// Starts a new log, or continues the log of a run that is resumed after `resumed_step`.
    /// Records of later steps are removed, and so are summaries, since the run will write a new
    /// one.
    pub(super) fn open(path: &Path, resumed_step: Option<u64>) -> Result<Self, LogError> {
        let error = |source| LogError::Io { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(error)?;
        let said = match resumed_step {
            Some(step) if path.exists() => cut(path, folder, step)?,
            _ => {
                File::create(path).map_err(error)?;
                Said::default()
            }
        };
        let file = OpenOptions::new().append(true).open(path).map_err(error)?;
        Ok(Self { path: path.to_owned(), file, said })
    }

    /// Appends a record of numbers. Values whose names are keys of the record itself (`kind`,
    /// `step`, `epoch`, `time`) are omitted.
    pub(super) fn numbers(
        &mut self,
        kind: Kind,
        step: u64,
        epoch: f64,
        time: f64,
        values: &[(&str, f64)],
    ) -> Result<(), LogError> {
        let mut record = Map::new();
        record.insert("kind".to_owned(), kind.name().into());
        record.insert("step".to_owned(), step.into());
        record.insert("epoch".to_owned(), epoch.into());
        record.insert("time".to_owned(), time.into());
        for (name, value) in values {
            record.entry(*name).or_insert_with(|| Value::from(*value));
        }
        self.write(&record)
    }

    /// Appends a text unless it is the last text of the tag already, since a resumed run logs its
    /// config again.
    pub(super) fn text(&mut self, tag: &str, text: &str, time: f64) -> Result<(), LogError> {
        if self.said.texts.get(tag).is_some_and(|last| last == text) {
            return Ok(());
        }
        self.said.texts.insert(tag.to_owned(), text.to_owned());
        self.write(&TextRecord { kind: "text", tag, text, time })
    }

    /// Appends what is trained, unless the log says so already.
    pub(super) fn run(&mut self, run: &RunInfo, time: f64) -> Result<(), LogError> {
        if self.said.run.as_ref() == Some(run) {
            return Ok(());
        }
        self.said.run = Some(run.clone());
        self.write(&RunRecord { kind: "run", time, run })
    }

    /// Appends what the watchdog noticed in a step.
    pub(super) fn warning(
        &mut self,
        step: u64,
        message: &str,
        hint: Option<&str>,
        time: f64,
    ) -> Result<(), LogError> {
        self.write(&WarningRecord { kind: "warning", step, time, message, hint })
    }

    /// Appends the end of the run.
    pub(super) fn end(&mut self, end: &RunEnd, time: f64) -> Result<(), LogError> {
        self.write(&EndRecord { kind: "end", time, end })
    }

    /// Appends sample expansions.
    pub(super) fn expansions(
        &mut self,
        step: u64,
        samples: &[Expansion],
        time: f64,
    ) -> Result<(), LogError> {
        self.write(&ExpansionsRecord { kind: "expansions", step, time, samples })
    }

    /// Waits until the log is on the disk.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        self.file.sync_data().map_err(|source| self.error(source))
    }

    fn write(&mut self, record: &impl Serialize) -> Result<(), LogError> {
        let mut line = serde_json::to_vec(record).expect("keys are strings: this is a bug");
        line.push(b'\n');
        self.file.write_all(&line).map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> LogError {
        LogError::Io { path: self.path.clone(), source }
    }
}

/// Removes the records after `step` and returns what the log says about the run. The remaining
/// records are written to a temporary file, which then replaces the log.
fn cut(path: &Path, folder: &Path, step: u64) -> Result<Said, LogError> {
    let error = |source| LogError::Io { path: path.to_owned(), source };
    let mut kept = BufWriter::new(tempfile::NamedTempFile::new_in(folder).map_err(error)?);
    let mut said = Said::default();
    for_each_record(path, |line, head| {
        let keep = match head {
            Head::Run(run) => {
                said.run = Some(run);
                true
            }
            Head::Text { tag, text } => {
                said.texts.insert(tag, text);
                true
            }
            Head::Train { step: of }
            | Head::Eval { step: of }
            | Head::Expansions { step: of }
            | Head::Warning { step: of } => of <= step,
            Head::Summary {} | Head::End {} => false,
        };
        if keep { kept.write_all(line).map_err(error) } else { Ok(()) }
    })?;
    let kept = kept.into_inner().map_err(|failed| error(failed.into_error()))?;
    // A temporary file is accessible only to its owner, so it gets the permissions of the log.
    let permissions = fs::metadata(path).map_err(error)?.permissions();
    kept.as_file().set_permissions(permissions).map_err(error)?;
    kept.as_file().sync_all().map_err(error)?;
    kept.persist(path).map_err(|failed| error(failed.error))?;
    Ok(said)
}

/// What a log says of its run, besides numbers.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Contents {
    /// All records, each as a line with its line break. An unfinished line at the end is omitted.
    pub(super) lines: Vec<u8>,
    /// What is trained; logs of early versions do not say it.
    pub(super) run: Option<RunInfo>,
    /// The end of the run, unless the run goes on or was killed.
    pub(super) end: Option<RunEnd>,
    /// The time of the first record, in seconds since 1970.
    pub(super) begin: Option<f64>,
    /// The last step of a record.
    pub(super) step: u64,
}

/// Reads the records of a log; the last line of a run that was killed may be cut off.
pub(super) fn read(path: &Path) -> Result<Contents, LogError> {
    #[derive(Deserialize)]
    struct Common {
        time: Option<f64>,
        step: Option<u64>,
    }
    let mut contents = Contents::default();
    for_each_record(path, |line, head| {
        contents.lines.extend_from_slice(line);
        if let Ok(Common { time, step }) = serde_json::from_slice(line) {
            contents.begin = contents.begin.or(time);
            contents.step = step.unwrap_or(contents.step);
        }
        match head {
            Head::Run(run) => contents.run = Some(run),
            Head::End {} => contents.end = serde_json::from_slice(line).ok(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(contents)
}

/// Calls `visit` with each record of a log as bytes and as its parsed head.
fn for_each_record(
    path: &Path,
    mut visit: impl FnMut(&[u8], Head) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let error = |source| LogError::Io { path: path.to_owned(), source };
    let mut lines = BufReader::new(File::open(path).map_err(error)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        lines.read_until(b'\n', &mut line).map_err(error)?;
        if line.last() != Some(&b'\n') {
            break;
        }
        match serde_json::from_slice(&line) {
            Ok(head) => visit(&line, head)?,
            // A crash of the machine may leave damage in the last record, which is dropped.
            Err(_) if lines.fill_buf().map_err(error)?.is_empty() => break,
            Err(source) => {
                return Err(LogError::Record { path: path.to_owned(), line: number, source });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, resumed_step: Option<u64>) -> JsonLog {
        JsonLog::open(path, resumed_step).unwrap()
    }

    fn fill(log: &mut JsonLog, steps: std::ops::RangeInclusive<u64>) {
        log.text("args", "{\"seed\": 1}", 0.0).unwrap();
        for step in steps {
            log.numbers(Kind::Train, step, step as f64 / 4.0, 0.5, &[("loss", 1.0 / step as f64)])
                .unwrap();
            if step % 2 == 0 {
                let values = [("eval_loss", 0.25), ("eval_MRR@10", 0.1)];
                log.numbers(Kind::Eval, step, step as f64 / 4.0, 0.5, &values).unwrap();
                let terms = vec![("朝".to_owned(), 0.1), ("\"<".to_owned(), 2.5e-7)];
                let sample = Expansion { side: "query", text: "朝の電車".to_owned(), terms };
                log.expansions(step, &[sample], 0.5).unwrap();
            }
        }
        log.numbers(Kind::Summary, 4, 1.0, 0.5, &[("train_loss", 0.5)]).unwrap();
    }

    #[test]
    fn records_are_as_specified() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/log.jsonl");
        let mut log = open(&path, None);
        fill(&mut log, 2..=2);
        let values = [("loss", f64::NAN), ("step", 7.0), ("x", f64::INFINITY)];
        log.numbers(Kind::Train, 3, 0.75, 0.5, &values).unwrap();
        log.sync().unwrap();
        let expected = concat!(
            r#"{"kind":"text","tag":"args","text":"{\"seed\": 1}","time":0.0}"#,
            "\n",
            r#"{"kind":"train","step":2,"epoch":0.5,"time":0.5,"loss":0.5}"#,
            "\n",
            r#"{"kind":"eval","step":2,"epoch":0.5,"time":0.5,"eval_loss":0.25,"eval_MRR@10":0.1}"#,
            "\n",
            r#"{"kind":"expansions","step":2,"time":0.5,"samples":[{"side":"query","text":"朝の電車","#,
            r#""terms":[["朝",0.1],["\"<",2.5e-7]]}]}"#,
            "\n",
            r#"{"kind":"summary","step":4,"epoch":1.0,"time":0.5,"train_loss":0.5}"#,
            "\n",
            r#"{"kind":"train","step":3,"epoch":0.75,"time":0.5,"loss":null,"x":null}"#,
            "\n",
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn a_killed_and_resumed_run_has_the_log_of_one_that_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        fill(&mut open(&path, None), 1..=4);
        let whole = fs::read(&path).unwrap();
        // The run is killed after any byte and resumed after any step whose records had been
        // written.
        let steps: Vec<usize> = whole
            .split_inclusive(|byte| *byte == b'\n')
            .scan(0, |end, line| {
                *end += line.len();
                Some(*end)
            })
            .collect();
        // The steps end after these records: text, 1, 2 with eval and expansions, 3, 4 with eval
        // and expansions, summary.
        for (resumed, end) in [(0, steps[0]), (1, steps[1]), (2, steps[4]), (3, steps[5])] {
            for killed in end..=whole.len() {
                fs::write(&path, &whole[..killed]).unwrap();
                fill(&mut open(&path, Some(resumed)), resumed + 1..=4);
                assert_eq!(fs::read(&path).unwrap(), whole, "resumed {resumed}, killed {killed}");
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a file was left behind");
    }

    #[test]
    fn a_new_run_starts_a_new_log_and_a_resumed_one_needs_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        drop(open(&path, Some(5)));
        fill(&mut open(&path, None), 1..=4);
        drop(open(&path, None));
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_changed_config_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        open(&path, None).text("args", "a", 0.0).unwrap();
        let mut log = open(&path, Some(0));
        log.text("args", "b", 0.0).unwrap();
        log.text("args", "b", 0.0).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn damage_before_the_end_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let record = "{\"kind\":\"train\",\"step\":1}\n";
        for damage in
            ["\n", "{}\n", "[]\n", "\0\0\n", "{\"kind\":\"train\"}\n", "{\"kind\":\"x\"}\n"]
        {
            fs::write(&path, format!("{record}{damage}{record}")).unwrap();
            let error = JsonLog::open(&path, Some(9)).unwrap_err().to_string();
            assert!(error.contains("log.jsonl:2: "), "{damage:?}: {error}");
            fs::write(&path, format!("{record}{damage}")).unwrap();
            drop(open(&path, Some(9)));
            assert_eq!(fs::read_to_string(&path).unwrap(), record, "{damage:?}");
        }
    }
}
