//! Texts into files of vectors: one file, a folder of shards that can be resumed, or one file of a
//! folder that several processes fill.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use splade_io::{FileError, Observer};
use splade_model::{Encoder, Side};
use splade_sparse::files::{
    NdjsonWriter, ParquetWriter, RowFormat, RowWriter, ShardForm, ShardSpec,
};
use splade_sparse::{SparseVector, TermId};

use crate::encoder::SparseEncoder;
use crate::error::Error;
use crate::provenance::Provenance;
use crate::pruning::Pruning;
use crate::record::{IntoRecord, Position};
use crate::stream::{self, Ended, Records};
use crate::texts::TextOptions;
use crate::vector_output::{EncodedFiles, Output, OutputForm, Rows};

/// The form of a file of vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VectorForm {
    /// Parquet with the columns `id`, `indices` and `values`; weights are exact.
    Parquet,
    /// A JSON object `{"id": …, "vector": {…}}` a line; weights are rounded to decimals.
    Ndjson,
}

/// What the terms of a vector are called in files of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TermKeys {
    /// The tokens of the vocabulary.
    #[default]
    Tokens,
    /// The ids of the terms.
    Ids,
}

impl TermKeys {
    /// Its name in settings and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Ids => "ids",
        }
    }
}

/// Settings of [`encode_files()`] and [`encode_to`].
///
/// ```
/// use light_splade::encode::{EncodeOptions, encode_files};
/// use light_splade::input::Position;
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let folder = tempfile::tempdir()?;
/// let output = folder.path().join("vectors.parquet");
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let options = EncodeOptions { output, ..EncodeOptions::default() };
/// let texts = [("1", "東京"), ("2", "大阪")];
/// let encoded = encode_files(&encoder, texts, Position::default(), &options, &mut ())?;
/// assert!(encoded.written == 2 && options.output.is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct EncodeOptions {
    /// The tower that encodes the texts.
    pub side: Side,
    /// The file or folder for the vectors. A file ends in `.parquet`, `.ndjson` or `.jsonl`; a name
    /// without an extension, or a folder that exists, is a folder of shards.
    pub output: PathBuf,
    /// The form of the shards of a folder; Parquet if none is given.
    pub form: Option<VectorForm>,
    /// Goes on where an earlier run into the same folder ended.
    pub resume: bool,
    /// Replaces a file that exists, or begins a folder anew.
    pub force: bool,
    /// The number of rows of a shard; at least one.
    pub shard_rows: u64,
    /// Encodes only the rows of this part of the texts, into one Parquet file of the folder. A file
    /// that exists already is kept.
    pub part: Option<ShardSpec>,
    /// The keys of vectors in NDJSON.
    pub keys: TermKeys,
    /// The decimals of weights in NDJSON; a weight that rounds to zero is left out.
    pub decimals: u8,
    /// Which weights are kept.
    pub pruning: Pruning,
    /// The files that the texts come from: they are kept beside the vectors, compared when a run is
    /// resumed, and never overwritten.
    pub inputs: Vec<PathBuf>,
    /// How the texts are read, kept beside the vectors as well.
    pub texts: TextOptions,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self {
            side: Side::Document,
            output: PathBuf::new(),
            form: None,
            resume: false,
            force: false,
            shard_rows: 10_000,
            part: None,
            keys: TermKeys::default(),
            decimals: 4,
            pruning: Pruning::default(),
            inputs: Vec::new(),
            texts: TextOptions::default(),
        }
    }
}

impl EncodeOptions {
    /// Checks the output, before a model is loaded for it: [`encode_files()`] does the same.
    ///
    /// # Errors
    /// If the name of the output does not fit the other settings, or a file exists and is not to be
    /// replaced.
    pub fn check(&self) -> Result<(), Error> {
        self.pruning.check()?;
        self.output().destination().map(drop)
    }

    /// Where the vectors go, and how.
    fn output(&self) -> Output<'_, VectorForm> {
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

    /// The form of rows in NDJSON.
    fn rows(&self, encoder: &Encoder) -> RowFormat {
        let terms = (0..encoder.vocab() as u32).map(|term| encoder.token(TermId(term)));
        match self.keys {
            TermKeys::Tokens => RowFormat::tokens(terms, self.decimals),
            TermKeys::Ids => RowFormat::ids(self.decimals),
        }
    }

    /// What the vectors depend on: kept beside them, and compared when a run is resumed.
    fn settings(&self, model: &SparseEncoder, is_exact: bool) -> Result<Value, Error> {
        let ndjson = (!is_exact).then_some((self.keys, self.decimals));
        let inputs = self.inputs.iter().map(|path| path.to_string_lossy());
        let mut settings = Provenance::of_encoder(model, self.side, &self.pruning)?.to_json();
        settings["inputs"] = json!(inputs.collect::<Vec<_>>());
        settings["text_field"] = json!(self.texts.text_field);
        settings["id_field"] = json!(self.texts.id_field);
        settings["terms"] = json!(ndjson.map(|(keys, _)| keys.name()));
        settings["decimals"] = json!(ndjson.map(|(_, decimals)| decimals));
        if let Some(part) = self.part {
            settings["shard"] = part.to_string().into();
        }
        Ok(settings)
    }
}

/// Encodes texts into a file of vectors or a folder of shards.
///
/// A file takes its name once it is complete. A folder keeps every finished shard, and a run with
/// [`resume`](EncodeOptions::resume) goes on behind the last one after it has checked that texts and
/// settings are the same.
///
/// ```
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
/// use light_splade::encode::EncodeOptions;
/// use light_splade::input::{TextOptions, Texts};
/// use light_splade::encode::encode_files;
///
/// let folder = tempfile::tempdir()?;
/// let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir/queries.jsonl");
/// let options = EncodeOptions {
///     output: folder.path().join("vectors.parquet"),
///     inputs: vec![corpus.into()],
///     ..EncodeOptions::default()
/// };
/// options.check()?;
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let texts = Texts::open(&options.inputs, TextOptions::default())?;
/// let position = texts.position();
/// let encoded = encode_files(&encoder, texts, position, &options, &mut ())?;
/// assert!(encoded.written > 0 && options.output.is_file());
/// // What exists is not overwritten by accident.
/// assert!(options.check().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the output exists and is not to be replaced or resumed, is one of the inputs, or belongs to
/// other settings or texts; if a text cannot be read or encoded or a file cannot be written; or if
/// the observer asks to stop, after which the error says what is kept.
pub fn encode_files<D>(
    encoder: &SparseEncoder,
    texts: D,
    position: Position,
    options: &EncodeOptions,
    observer: &mut dyn Observer,
) -> Result<EncodedFiles, Error>
where
    D: IntoIterator<Item: IntoRecord>,
{
    options.pruning.check()?;
    let output = options.output();
    let is_exact = output.destination()?.is_exact();
    let tower = encoder.tower(options.side)?;
    let settings = options.settings(encoder, is_exact)?;
    let rows = SparseRows(options.rows(tower));
    output.write(&rows, &settings, texts, observer, |records, write, observer| {
        let mut records = Records::new(records, position);
        stream::encode(tower, &mut records, observer, |record, vector| {
            write(record, &options.pruning.apply(vector))
        })
    })
}

/// Files of sparse vectors, with the keys and decimals of NDJSON.
struct SparseRows(RowFormat);

impl Rows<VectorForm, SparseVector> for SparseRows {
    fn create(&self, path: &Path, form: VectorForm) -> Result<Box<dyn RowWriter + '_>, FileError> {
        Ok(match form {
            VectorForm::Parquet => Box::new(ParquetWriter::create(path, &[])?),
            VectorForm::Ndjson => {
                let file = File::create(path).map_err(FileError::io("write", path))?;
                Box::new(NdjsonWriter::new(path.to_path_buf(), BufWriter::new(file), &self.0))
            }
        })
    }

    fn shards(&self, extension: &'static str, rows: u64) -> ShardForm {
        ShardForm::vectors(extension, rows)
    }
}

impl OutputForm for VectorForm {
    const PARQUET: Self = Self::Parquet;
    const NDJSON: Self = Self::Ndjson;
    const ENDINGS: &str = ".parquet, .ndjson or .jsonl";

    fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "parquet" => Some(Self::Parquet),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Ndjson => "ndjson",
        }
    }
}

/// Encodes texts into rows of NDJSON on a writer, such as standard output; returns their number. Of
/// the options, those of files are not looked at.
///
/// ```
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
/// use light_splade::encode::{EncodeOptions, encode_to};
/// use light_splade::input::Position;
///
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let mut rows = Vec::new();
/// let options = EncodeOptions::default();
/// let texts = [("1", "東京"), ("2", "大阪")];
/// encode_to(&encoder, texts, Position::default(), &options, &mut rows, &mut ())?;
/// assert_eq!(String::from_utf8_lossy(&rows).lines().count(), 2);
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If a text cannot be read or encoded, the writer fails, or the observer asks to stop; then the rows
/// so far are written.
pub fn encode_to<D>(
    encoder: &SparseEncoder,
    texts: D,
    position: Position,
    options: &EncodeOptions,
    writer: impl Write,
    observer: &mut dyn Observer,
) -> Result<u64, Error>
where
    D: IntoIterator<Item: IntoRecord>,
{
    options.pruning.check()?;
    let tower = encoder.tower(options.side)?;
    let format = options.rows(tower);
    let writer = BufWriter::with_capacity(1 << 16, writer);
    let mut rows = Box::new(NdjsonWriter::new("standard output".into(), writer, &format));
    let records = texts.into_iter().map(IntoRecord::into_record);
    let mut records = Records::new(records, position);
    let mut written = 0;
    let ended = stream::encode(tower, &mut records, observer, |record, vector| {
        written += 1;
        rows.write(&record.id, &options.pruning.apply(vector)).map_err(Error::from)
    })?;
    rows.finish()?;
    match ended {
        Ended::Whole => Ok(written),
        Ended::Stopped => Err(Error::Stopped { kept: "the rows so far are written".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector_output::Destination;

    #[test]
    fn names_tell_the_destination() {
        let dir = tempfile::tempdir().expect("a folder");
        let there = dir.path().join("shards.v1");
        std::fs::create_dir(&there).expect("created");
        let of = |path: &str, form| Destination::of(Path::new(path), form);
        let file = |path: &str, form| Destination::File(path.into(), form);
        let folder = |path: &str, form| Destination::Folder(path.into(), form);
        let cases = [
            ("v.parquet", None, Some(file("v.parquet", VectorForm::Parquet))),
            ("v.jsonl", None, Some(file("v.jsonl", VectorForm::Ndjson))),
            ("v", None, Some(folder("v", VectorForm::Parquet))),
            ("v/", Some(VectorForm::Ndjson), Some(folder("v/", VectorForm::Ndjson))),
            ("v.parquet", Some(VectorForm::Ndjson), None),
            ("v.txt", None, None),
            ("v.ndjson.gz", None, None),
        ];
        for (path, form, want) in cases {
            assert_eq!(of(path, form).ok(), want, "{path} {form:?}");
        }
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("written");
        assert!(of(file.to_str().expect("UTF-8"), None).is_err());
        let there = there.to_str().expect("UTF-8");
        assert_eq!(of(there, None).ok(), Some(folder(there, VectorForm::Parquet)));
    }

    #[cfg(unix)]
    #[test]
    fn devices_receive_ndjson() {
        let null = Path::new("/dev/null");
        let want = Destination::File(null.into(), VectorForm::Ndjson);
        assert_eq!(Destination::of(null, None).ok(), Some(want));
        let parquet = Some(VectorForm::Parquet);
        let want = Destination::File(null.into(), VectorForm::Parquet);
        assert_eq!(Destination::of(null, parquet).ok(), Some(want));
    }
}
