//! Texts into files of dense vectors.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_io::{Event, FileError, NewFile, Observer, counted};
use splade_model::{Embedder, HeadKind, Side};
use splade_sparse::files::{DenseForm, DenseWriter, RowWriter, ShardForm, ShardSpec, row_json};

use crate::error::{Error, advised};
use crate::output_guard::check_output;
use crate::provenance::Provenance;
use crate::record::{IntoRecord, Position, Record};
use crate::stream::{Counts, Ended, Records};
use crate::texts::TextOptions;
use crate::vector_output::{EncodedFiles, Output, OutputForm, Rows};

/// Settings of [`encode_dense`].
#[derive(Debug, Clone)]
pub struct DenseOptions {
    /// The side whose prompt and rules apply.
    pub side: Side,
    /// The file or folder for the vectors. A file ends in `.parquet`, `.safetensors`, `.npy`, `.ndjson` or `.jsonl`; a
    /// name without an extension, or a folder that exists, is a folder of shards.
    pub output: PathBuf,
    /// The form of the shards of a folder, any but NumPy; Parquet if none is given.
    pub form: Option<DenseForm>,
    /// Goes on where an earlier run into the same folder ended.
    pub resume: bool,
    /// Replaces a file that exists, or begins a folder anew.
    pub force: bool,
    /// The number of rows of a shard; at least one.
    pub shard_rows: u64,
    /// Encodes only the rows of this part of the texts, into one Parquet file of the folder. A file
    /// that exists already is kept.
    pub part: Option<ShardSpec>,
    /// The files that the texts come from: they are kept beside the vectors, compared when a run is
    /// resumed, and never overwritten.
    pub inputs: Vec<PathBuf>,
    /// How the texts are read, kept beside the vectors as well.
    pub texts: TextOptions,
    /// The model, as [`DenseEncoder::provenance`](crate::DenseEncoder::provenance) tells it, kept beside the vectors and
    /// compared when a run is resumed.
    pub provenance: Option<Provenance>,
}

impl Default for DenseOptions {
    fn default() -> Self {
        Self {
            side: Side::Document,
            output: PathBuf::new(),
            form: None,
            resume: false,
            force: false,
            shard_rows: 10_000,
            part: None,
            inputs: Vec::new(),
            texts: TextOptions::default(),
            provenance: None,
        }
    }
}

impl DenseOptions {
    /// Checks the output, before a model is loaded for it: [`encode_dense`] does the same.
    ///
    /// # Errors
    /// If the name of the output does not fit the other settings, or a file exists and is not to be replaced.
    pub fn check(&self) -> Result<(), Error> {
        let output = self.output();
        output.destination()?;
        match DenseForm::of(&self.output).or(self.form) {
            Some(DenseForm::Npy) if self.output.extension().is_none() || self.output.is_dir() => {
                Err(advised(
                    "a folder of shards cannot be of NumPy, whose ids are in files beside the vectors",
                    "choose parquet, safetensors or ndjson as --format, or give a file that ends in .npy",
                ))
            }
            Some(DenseForm::Npy) => {
                check_output(&DenseForm::ids_beside(&self.output), &self.inputs, self.force)
            }
            _ => Ok(()),
        }
    }

    /// Where the vectors go, and how.
    fn output(&self) -> Output<'_, DenseForm> {
        Output {
            path: &self.output,
            form: self.form,
            part: self.part,
            resume: self.resume,
            force: self.force,
            shard_rows: self.shard_rows,
            inputs: &self.inputs,
        }
    }

    /// What the vectors depend on.
    fn settings(&self, embedder: &Embedder) -> Value {
        let inputs = self.inputs.iter().map(|path| path.to_string_lossy());
        let mut settings = self.provenance.clone().unwrap_or_default().to_json();
        settings["kind"] = embedder.kind().name().into();
        settings["inputs"] = json!(inputs.collect::<Vec<_>>());
        settings["text_field"] = json!(self.texts.text_field);
        settings["id_field"] = json!(self.texts.id_field);
        if let Some(part) = self.part {
            settings["shard"] = part.to_string().into();
        }
        settings
    }
}

impl OutputForm for DenseForm {
    const PARQUET: Self = Self::Parquet;
    const NDJSON: Self = Self::Ndjson;
    const ENDINGS: &str = ".parquet, .safetensors, .npy, .ndjson or .jsonl";

    fn of_extension(extension: &str) -> Option<Self> {
        let found = Self::ENDINGS.iter().find(|(own, _)| *own == extension);
        found.map(|(_, form)| *form)
    }

    fn extension(self) -> &'static str {
        let own = Self::ENDINGS.iter().find(|(_, form)| *form == self);
        own.map_or("", |(ending, _)| ending)
    }
}

/// Files of dense vectors of one width.
struct DenseRows<'a> {
    dim: usize,
    is_matrix: bool,
    /// The output, beside which the ids of a file of NumPy are.
    output: &'a Path,
}

impl Rows<DenseForm, [f32]> for DenseRows<'_> {
    fn create(
        &self,
        path: &Path,
        form: DenseForm,
    ) -> Result<Box<dyn RowWriter<[f32]> + '_>, FileError> {
        if form != DenseForm::Npy {
            return Ok(Box::new(DenseWriter::create(path, path, form, self.dim, self.is_matrix)?));
        }
        let ids = NewFile::create(&DenseForm::ids_beside(self.output))?;
        let beside = ids.temporary_path();
        let writer = DenseWriter::create(path, beside, form, self.dim, self.is_matrix)?;
        Ok(Box::new(NpyRows { writer: Box::new(writer), ids }))
    }

    fn shards(&self, extension: &'static str, rows: u64) -> ShardForm {
        ShardForm::dense(extension, rows)
    }
}

/// A file of NumPy with its file of ids, which takes its name with it.
struct NpyRows {
    writer: Box<DenseWriter>,
    ids: NewFile,
}

impl RowWriter<[f32]> for NpyRows {
    fn write(&mut self, id: &str, numbers: &[f32]) -> Result<(), FileError> {
        self.writer.write(id, numbers)
    }

    fn finish(self: Box<Self>) -> Result<(), FileError> {
        self.writer.finish()?;
        self.ids.commit()
    }
}

/// Encodes texts into a file of dense vectors or a folder of shards.
///
/// A file takes its name once it is complete. A folder keeps every finished shard, and a run with
/// [`resume`](DenseOptions::resume) goes on behind the last one after it has checked that texts and
/// settings are the same.
///
/// ```no_run
/// use light_splade::encode::{DenseOptions, Side, encode_dense};
/// use light_splade::input::Position;
/// use light_splade::{DenseEncoder, SparseEncoderOptions};
///
/// let encoder = DenseEncoder::load("multilingual-e5-small", &SparseEncoderOptions::default())?;
/// let options = DenseOptions {
///     output: "vectors".into(),
///     provenance: Some(encoder.provenance(Side::Document)?),
///     resume: true,
///     ..DenseOptions::default()
/// };
/// let texts = [("1", "東京"), ("2", "大阪")];
/// encode_dense(encoder.embedder(), texts, Position::default(), &options, &mut ())?;
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If the output exists and is not to be replaced or resumed, is one of the inputs, or belongs to
/// other settings or texts; if a text cannot be read or encoded or a file cannot be written; or if
/// the observer asks to stop, after which the error says what is kept.
pub fn encode_dense<D>(
    embedder: &Embedder,
    texts: D,
    position: Position,
    options: &DenseOptions,
    observer: &mut dyn Observer,
) -> Result<EncodedFiles, Error>
where
    D: IntoIterator<Item: IntoRecord>,
{
    options.check()?;
    let is_matrix = embedder.kind() == HeadKind::MultiVector;
    let rows = DenseRows { dim: embedder.dim(), is_matrix, output: &options.output };
    let settings = options.settings(embedder);
    options.output().write(&rows, &settings, texts, observer, |records, write, observer| {
        let records = Records::new(records, position);
        embed(embedder, options.side, records, observer, |record, numbers| write(record, numbers))
    })
}

/// Encodes texts into rows of NDJSON on a writer, such as standard output; returns their number.
///
/// # Errors
/// If a text cannot be read or encoded, the writer fails, or the observer asks to stop; then the rows
/// so far are written.
pub fn encode_dense_to<D>(
    embedder: &Embedder,
    side: Side,
    texts: D,
    position: Position,
    mut writer: impl Write,
    observer: &mut dyn Observer,
) -> Result<u64, Error>
where
    D: IntoIterator<Item: IntoRecord>,
{
    let (dim, is_matrix) = (embedder.dim(), embedder.kind() == HeadKind::MultiVector);
    let records = Records::new(texts.into_iter().map(IntoRecord::into_record), position);
    let mut written = 0;
    let ended = embed(embedder, side, records, observer, |record, numbers| {
        written += 1;
        let line = row_json(&record.id, numbers, dim, is_matrix);
        writeln!(writer, "{line}").map_err(Error::io("write", "standard output".as_ref()))
    })?;
    match ended {
        Ended::Whole => Ok(written),
        Ended::Stopped => Err(Error::Stopped { kept: "the rows so far are written".to_owned() }),
    }
}

/// The texts that are embedded at a time.
const WINDOW: usize = 128;

/// Embeds all records and hands over each one with its numbers in order.
fn embed(
    embedder: &Embedder,
    side: Side,
    mut records: Records<'_>,
    observer: &mut dyn Observer,
    mut take: impl FnMut(&Record, &[f32]) -> Result<(), Error>,
) -> Result<Ended, Error> {
    let mut done = Counts::new("texts", records.share());
    let mut truncated = 0;
    let mut ended = Ended::Whole;
    loop {
        let window = match records.by_ref().take(WINDOW).collect::<Result<Vec<Record>, _>>() {
            // Waiting for a pipe was stopped.
            Err(Error::Stopped { .. }) => {
                ended = Ended::Stopped;
                break;
            }
            window => window?,
        };
        if window.is_empty() {
            break;
        }
        let texts: Vec<&str> = window.iter().map(|record| record.text.as_str()).collect();
        let embedded = embedder.embed_batch(side, &texts)?;
        for (record, embedding) in window.iter().zip(&embedded.embeddings) {
            take(record, embedding.numbers())?;
        }
        truncated += embedded.truncated;
        done.add(window.len(), embedded.tokens, records.share());
        observer.event(done.event(false));
        if observer.stop() {
            ended = Ended::Stopped;
            break;
        }
    }
    observer.event(done.event(true));
    if truncated > 0 {
        let limit = embedder.max_length(side);
        let texts = counted(truncated as u64, "texts");
        observer.event(Event::Note(&format!("cut off {texts} at {limit} tokens")));
    }
    Ok(ended)
}
