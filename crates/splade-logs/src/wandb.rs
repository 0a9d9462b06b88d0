//! Writes a run in the offline form of Weights & Biases, which `wandb sync` uploads and `wandb leet` shows.
//!
//! ```text
//! wandb/offline-run-DATE_TIME-ID/run-ID.wandb
//! ```
//!
//! The file begins with `:W&B`, 0xBEE1 and a zero. After that it is a log in LevelDB's form: blocks of 32768 bytes with
//! chunks, each with its CRC-32 (u32), its length (u16) and its kind (u8: whole, first, middle, last). A record is a
//! message `Record` of the client's `wandb_internal.proto`, whose field numbers stand beside their use below.
//!
//! Names and rows are those of transformers' `WandbCallback`: every logged record is a row, and
//! `train/global_step` is the axis. Nothing is sent.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use splade_page::Date;

use crate::error::{LogError, io_error};
use crate::names;
use crate::protobuf::Message;
use crate::record::EndKind;
use crate::tensorboard::host_name;

/// The first bytes of a file.
const MAGIC: [u8; 7] = *b":W&B\xE1\xBE\0";
const BLOCK: usize = 32768;
/// The length of a chunk's checksum, length and kind.
const CHUNK_HEAD: usize = 7;
/// The client whose form of records this is, and the oldest one that reads it.
const CLIENT: &str = "0.31.0";
const OLDEST_CLIENT: &str = "0.70.0";
/// The axis of all curves.
const STEP: &str = "train/global_step";

/// The place and the names of a run for Weights & Biases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WandbOptions {
    /// The folder `wandb`, with a folder for each run.
    pub folder: PathBuf,
    /// The project into which `wandb sync` puts the run.
    pub project: String,
    /// The user or team to which the project belongs; the one that `wandb sync` is logged in as if none is given.
    pub entity: Option<String>,
    /// The name of the run; the name of its folder of outputs if none is given.
    pub run: Option<String>,
}

/// A file of a run that records are appended to.
#[derive(Debug)]
pub(super) struct WandbRun {
    path: PathBuf,
    file: File,
    /// The length of the file.
    length: usize,
    /// The number of records and of rows so far.
    records: u64,
    rows: u64,
    /// The time at which the run began, in seconds since 1970.
    began: f64,
}

impl WandbRun {
    /// Begins a run. A run that is resumed is written anew, under its old id, from its JSON log, which has lost the
    /// records of later steps by then.
    pub(super) fn open(
        options: &WandbOptions,
        log: &Path,
        is_resumed: bool,
        now: f64,
    ) -> Result<Self, LogError> {
        let log = std::path::absolute(log).map_err(io_error(log))?;
        let prefix = format!("{:08x}", crc32fast::hash(log.to_string_lossy().as_bytes()));
        let earlier = is_resumed.then(|| earlier_run(&options.folder, &prefix)).flatten();
        let rows = match is_resumed {
            true => rows_of(&log)?,
            false => Vec::new(),
        };
        let began = rows.first().map_or(now, |row| row.time);
        let (folder, id) = earlier.unwrap_or_else(|| {
            let id = format!("{prefix}{:09x}", (now * 10.0) as u64);
            let Date { year, month, day, hour, minute, second } = Date::of(now as u64);
            let time = format!("{year}{month:02}{day:02}_{hour:02}{minute:02}{second:02}");
            (options.folder.join(format!("offline-run-{time}-{id}")), id)
        });
        fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        let path = folder.join(format!("run-{id}.wandb"));
        let aside = folder.join(format!(".run-{id}.new"));
        let mut file = File::create(&aside).map_err(io_error(&aside))?;
        file.write_all(&MAGIC).map_err(io_error(&aside))?;
        let length = MAGIC.len();
        let mut this = Self { path: aside, file, length, records: 0, rows: 0, began };

        let version = Message::new().text(1, CLIENT).text(2, OLDEST_CLIENT);
        this.write(21, Message::new().message(1, version))?; // Record.header, HeaderRecord.version_info
        let name = names::run(options.run.as_deref(), &log);
        this.write(17, run_message(options, &id, &name, &host_name(), began))?; // Record.run
        // Record.metric: MetricRecord.name, .glob_name, .step_metric, and .options with step_sync and defined.
        let defined = || Message::new().integer(3, 1);
        this.write(12, Message::new().text(1, STEP).message(6, defined()))?;
        let others = Message::new().text(2, "*").text(4, STEP);
        this.write(12, others.message(6, Message::new().integer(1, 1).integer(3, 1)))?;
        for row in rows {
            let values = row.values.iter().map(|(name, value)| (name.as_str(), *value));
            this.row(row.step, values, row.time)?;
        }
        fs::rename(&this.path, &path).map_err(io_error(&path))?;
        Ok(Self { path, ..this })
    }

    /// Appends the numbers of a step as a row, and as the latest values of the run.
    pub(super) fn row<'a>(
        &mut self,
        step: u64,
        values: impl IntoIterator<Item = (&'a str, f64)>,
        now: f64,
    ) -> Result<(), LogError> {
        let mut items: Vec<(String, String)> =
            values.into_iter().map(|(name, value)| (names::tag(name), number(value))).collect();
        items.push((STEP.to_owned(), step.to_string()));
        items.push(("_timestamp".to_owned(), number(now)));
        items.push(("_runtime".to_owned(), number((now - self.began).max(0.0))));
        items.push(("_step".to_owned(), self.rows.to_string()));
        self.update(&items)?;
        let history = items.iter().fold(Message::new(), |history, (name, value)| {
            history.message(1, Message::new().text(2, name).text(16, value))
        });
        // Record.history: HistoryRecord.item with HistoryItem.nested_key and .value_json, and HistoryRecord.step.
        self.write(2, history.message(2, Message::new().count(1, self.rows)))?;
        self.rows += 1;
        Ok(())
    }

    /// Sets the numbers of the whole run, which are no row, like transformers does.
    pub(super) fn summary<'a>(
        &mut self,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<(), LogError> {
        let items: Vec<(String, String)> =
            values.into_iter().map(|(name, value)| (name.to_owned(), number(value))).collect();
        self.update(&items)
    }

    /// Sets the settings of the run. Texts that are no JSON object are left out.
    pub(super) fn settings(&mut self, config: &str) -> Result<(), LogError> {
        let Ok(config) = serde_json::from_str::<Map<String, Value>>(config) else { return Ok(()) };
        let config = config.iter().fold(Message::new(), |update, (name, value)| {
            update.message(1, Message::new().text(1, name).text(16, &value.to_string()))
        });
        self.write(5, config) // Record.config: ConfigRecord.update with ConfigItem.key and .value_json
    }

    /// Writes that the run has ended, with the exit code that Weights & Biases makes a state of.
    pub(super) fn end(&mut self, kind: EndKind, now: f64) -> Result<(), LogError> {
        let code = match kind {
            EndKind::Finished => 0,
            EndKind::Failed => 1,
            EndKind::Stopped => 255,
        };
        let runtime = (now - self.began).max(0.0) as u64;
        // Record.exit: RunExitRecord.exit_code and .runtime
        self.write(18, Message::new().count(1, code).count(2, runtime))
    }

    /// Waits until all records are on the disk.
    pub(super) fn sync(&mut self) -> Result<(), LogError> {
        self.file.sync_data().map_err(io_error(&self.path))
    }

    /// Record.summary: SummaryRecord.update with SummaryItem.nested_key and .value_json
    fn update(&mut self, items: &[(String, String)]) -> Result<(), LogError> {
        let summary = items.iter().fold(Message::new(), |summary, (name, value)| {
            summary.message(1, Message::new().text(2, name).text(16, value))
        });
        self.write(3, summary)
    }

    /// Appends a record: Record.num, and the field of its kind.
    fn write(&mut self, field: u64, message: Message) -> Result<(), LogError> {
        self.records += 1;
        let record = Message::new().integer(1, self.records).message(field, message).into_bytes();
        let bytes = chunks(&record, self.length);
        self.file.write_all(&bytes).map_err(io_error(&self.path))?;
        self.length += bytes.len();
        Ok(())
    }
}

/// RunRecord: .run_id, .entity, .project, .display_name, .host and .start_time
fn run_message(options: &WandbOptions, id: &str, name: &str, host: &str, began: f64) -> Message {
    let mut run = Message::new().text(1, id);
    if let Some(entity) = &options.entity {
        run = run.text(2, entity);
    }
    let nanoseconds = (began.fract() * 1e9).round() as u64;
    let start = Message::new().count(1, began as u64).count(2, nanoseconds);
    run.text(3, &options.project).text(8, name).text(13, host).message(17, start)
}

/// Cuts a record into chunks for the end of a file of a length.
fn chunks(mut record: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(record.len() + 2 * CHUNK_HEAD);
    let mut is_first = true;
    loop {
        let left = BLOCK - (length + bytes.len()) % BLOCK;
        if left < CHUNK_HEAD {
            bytes.resize(bytes.len() + left, 0);
            continue;
        }
        let (part, rest) = record.split_at(record.len().min(left - CHUNK_HEAD));
        let kind: u8 = match (is_first, rest.is_empty()) {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => 4,
        };
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&[kind]);
        checksum.update(part);
        bytes.extend_from_slice(&checksum.finalize().to_le_bytes());
        bytes.extend_from_slice(&(part.len() as u16).to_le_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(part);
        if rest.is_empty() {
            return bytes;
        }
        (record, is_first) = (rest, false);
    }
}

/// The numbers of a line of the JSON log. The log of a resumed run has no summary.
struct Row {
    step: u64,
    time: f64,
    values: Vec<(String, f64)>,
}

/// Reads the numbers of a JSON log. Numbers that are not finite are `null` there, and not-a-number here.
fn rows_of(log: &Path) -> Result<Vec<Row>, LogError> {
    let text = fs::read_to_string(log).map_err(io_error(log))?;
    let mut rows = Vec::new();
    for line in text.lines() {
        let Ok(fields) = serde_json::from_str::<Map<String, Value>>(line) else { continue };
        let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
        if !["train", "eval"].contains(&kind) {
            continue;
        }
        let of = |name: &str| fields.get(name).and_then(Value::as_f64);
        let values =
            fields.keys().filter(|name| !["kind", "step", "time"].contains(&name.as_str()));
        rows.push(Row {
            step: of("step").unwrap_or_default() as u64,
            time: of("time").unwrap_or_default(),
            values: values.map(|name| (name.clone(), of(name).unwrap_or(f64::NAN))).collect(),
        });
    }
    Ok(rows)
}

/// Returns the folder and the id of the last run whose id begins so.
fn earlier_run(folder: &Path, prefix: &str) -> Option<(PathBuf, String)> {
    let entries = fs::read_dir(folder).ok()?;
    let runs = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.strip_prefix("offline-run-")?.split_once('-')?.1.to_owned();
        id.starts_with(prefix).then(|| (entry.path(), id))
    });
    runs.max_by(|a, b| a.0.cmp(&b.0))
}

/// A number in the JSON that Python reads.
fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => {
            if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The time that scripts/reference/wandb_runs.py uses.
    const CLOCK: f64 = 1_700_000_000.25;

    fn options(folder: &Path) -> WandbOptions {
        WandbOptions {
            folder: folder.join("wandb"),
            project: "toys".to_owned(),
            entity: Some("us".to_owned()),
            run: Some("it's a run".to_owned()),
        }
    }

    /// Puts the records of a file together again.
    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut records, mut record, mut at) = (Vec::new(), Vec::new(), MAGIC.len());
        assert_eq!(bytes[..at], MAGIC);
        bytes = &bytes[at..];
        while !bytes.is_empty() {
            let left = BLOCK - at % BLOCK;
            let length = if left < CHUNK_HEAD {
                left
            } else {
                let length = CHUNK_HEAD + usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
                record.extend_from_slice(&bytes[CHUNK_HEAD..length]);
                if [1, 4].contains(&bytes[6]) {
                    records.push(std::mem::take(&mut record));
                }
                length
            };
            bytes = &bytes[length..];
            at += length;
        }
        assert!(record.is_empty(), "the last record has no end");
        records
    }

    #[test]
    fn chunks_are_those_of_the_client() {
        // A file of the client with a record that is longer than two blocks.
        let file = include_bytes!("../tests/fixtures/wandb/client.wandb");
        let mut again = MAGIC.to_vec();
        let all = records(file);
        assert!(all.iter().any(|record| record.len() > 2 * BLOCK));
        for record in all {
            let bytes = chunks(&record, again.len());
            again.extend_from_slice(&bytes);
        }
        assert!(again == file, "the chunks differ");
    }

    #[test]
    fn chunks_at_the_end_of_a_block() {
        for left in 0..=2 * CHUNK_HEAD {
            let mut bytes = MAGIC.to_vec();
            let first = vec![1; BLOCK - MAGIC.len() - CHUNK_HEAD - left];
            bytes.extend(chunks(&first, bytes.len()));
            let second = vec![2; 20];
            bytes.extend(chunks(&second, bytes.len()));
            assert_eq!(records(&bytes), [first, second], "{left}");
        }
    }

    #[test]
    fn records_are_those_of_the_client() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        let mut run = WandbRun::open(&options(folder.path()), &log, false, CLOCK).unwrap();
        run.settings(r#"{"training": {"lr": 0.0001, "name": "文"}, "seed": 42}"#).unwrap();
        run.row(5, [("loss", 2.5), ("eval_MRR@10", f64::NAN), ("epoch", 0.5)], CLOCK + 1.5)
            .unwrap();
        run.summary([("train_loss", 2.0)]).unwrap();
        run.end(EndKind::Stopped, CLOCK + 9.0).unwrap();
        let found = records(&fs::read(&run.path).unwrap());
        // Each record that the client's own classes write, after its length.
        let mut wanted = Vec::new();
        let mut rest = include_bytes!("../tests/fixtures/wandb/records.bin").as_slice();
        while let Some((length, after)) = rest.split_first_chunk() {
            let (record, after) = after.split_at(u32::from_le_bytes(*length) as usize);
            wanted.push(record.to_vec());
            rest = after;
        }
        assert_eq!(found.len(), wanted.len());
        for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            // The record of the run has an id and the name of the machine.
            if at == 1 {
                let run =
                    run_message(&options(folder.path()), "abcd1234", "it's a run", "host", CLOCK);
                let record = Message::new().integer(1, 2).message(17, run).into_bytes();
                assert_eq!(&record, wanted);
            } else {
                assert_eq!(found, wanted, "record {at}");
            }
        }
    }
}
