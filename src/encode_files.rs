//! Texts into files of vectors: one file, a folder of shards that can be resumed, or one file of a
//! folder that several processes fill.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Value, json};
use splade_io::settings::{difference, records_content};
use splade_io::{ContentHash, ContentHasher, Event, FileError, NewFile, Observer, counted};
use splade_model::{Encoder, Side};
use splade_sparse::files::{
    NdjsonWriter, ParquetReader, ParquetWriter, RowFormat, RowWriter, Shard, ShardForm, ShardSpec,
    ShardedWriter, manifest_path, text_hash,
};
use splade_sparse::{SparseVector, TermId};

use crate::encoder::SparseEncoder;
use crate::error::{Error, advised, invalid};
use crate::output_guard::{check_files, check_output, is_special, remove_shards};
use crate::provenance::{FOOTER, Provenance};
use crate::pruning::Pruning;
use crate::record::{IntoRecord, Position, Record};
use crate::stream::{self, Ended, Records};
use crate::texts::TextOptions;

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
        self.destination().map(drop)
    }

    /// Where the vectors go.
    fn destination(&self) -> Result<Destination, Error> {
        let mut destination = Destination::of(&self.output, self.form)?;
        if let Some(part) = self.part {
            destination = destination.part(part)?;
        }
        if self.resume && !matches!(destination, Destination::Folder(..)) {
            return Err(advised(
                "--resume needs shards: only finished shards can be kept",
                "give a folder as --output",
            ));
        }
        // A part that is there is kept, whatever it holds.
        check_output(&self.output, &self.inputs, self.force)?;
        if let Destination::Folder(dir, form) = &destination
            && manifest_path(dir).is_none()
        {
            let first = format!("vectors-00000.{}", extension(*form));
            check_files(dir, [first.as_str()], self.force)?;
        }
        Ok(destination)
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
    fn settings(&self, model: &SparseEncoder, to: &Destination) -> Result<Value, Error> {
        let ndjson = (!to.is_parquet()).then_some((self.keys, self.decimals));
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

/// What became of a call of [`encode_files()`].
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
/// assert_eq!((encoded.written, encoded.kept, encoded.was_complete), (2, 0, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodedFiles {
    /// The number of vectors that this call wrote.
    pub written: u64,
    /// The number of vectors that an earlier run had written; 0 for a part that was there already,
    /// which is not opened.
    pub kept: u64,
    /// Whether everything was there already, so that nothing was encoded.
    pub was_complete: bool,
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
    let destination = options.destination()?;
    let tower = encoder.tower(options.side)?;
    let settings = options.settings(encoder, &destination)?;
    let rows = Rows { format: options.rows(tower), settings };
    let part = options.part;
    let mut numbers = 0..;
    let mut records = texts.into_iter().map(IntoRecord::into_record).filter(move |record| {
        let own = |part: ShardSpec| numbers.next().is_some_and(|row| part.has(row));
        record.is_err() || part.is_none_or(own)
    });
    if !options.force
        && let Some(begun) = destination.part_settings(&rows.settings)?
    {
        check_part(&options.output, &begun, &mut records, observer)?;
        observer.event(Event::Note("the shard is there already"));
        return Ok(EncodedFiles { was_complete: true, ..EncodedFiles::default() });
    }
    if let Destination::Folder(dir, form) = &destination
        && options.force
    {
        remove_shards(dir, ShardForm::vectors(extension(*form), options.shard_rows).format)?;
    }
    let mut sink = destination.open(&rows, options.resume, options.shard_rows)?;
    let kept: u64 = sink.finished().iter().map(|shard| shard.rows).sum();
    skip(&mut records, sink.finished())?;
    if sink.lacks_content() {
        observer.event(Event::Note(UNCHECKED));
    }
    if sink.is_complete() {
        if let Some(more) = records.next().transpose()? {
            return Err(Error::InputChanged(format!(
                "{} is complete, but the input now has more texts, from {:?} on",
                options.output.display(),
                more.id
            )));
        }
        observer.event(Event::Note("all vectors are there already"));
        return Ok(EncodedFiles { kept, was_complete: true, ..EncodedFiles::default() });
    }
    if kept > 0 {
        observer
            .event(Event::Note(&format!("keeping {} of an earlier run", counted(kept, "vectors"))));
    }
    // The hashes of the texts that are read and not yet written: texts are read ahead.
    let ahead = Rc::new(RefCell::new(VecDeque::new()));
    let seen = Rc::clone(&ahead);
    let records = records.inspect(move |record| {
        if let Ok(Record { id, text, .. }) = record {
            seen.borrow_mut().push_back(text_hash(id, text));
        }
    });
    let mut records = Records::new(records, position);
    let mut written = 0;
    let ended = stream::encode(tower, &mut records, observer, |record, vector| {
        written += 1;
        let text = ahead.borrow_mut().pop_front().expect("a vector is of a text: this is a bug");
        sink.write(&record.id, &options.pruning.apply(vector), text)
    })?;
    match ended {
        Ended::Whole => {
            sink.finish()?;
            Ok(EncodedFiles { written, kept, was_complete: false })
        }
        Ended::Stopped => Err(Error::Stopped { kept: sink.stop()? }),
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

/// What is told of outputs of earlier versions.
const UNCHECKED: &str = "the vectors were begun by an earlier version of light-splade, which did not \
                         record what the model and the texts were: whether they have changed since \
                         is not checked";

/// Checks that a part that is there was made of the texts of this run.
fn check_part(
    path: &Path,
    begun: &Value,
    records: &mut dyn Iterator<Item = Result<Record, Error>>,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let Some(was) = begun[TEXTS].as_str() else {
        observer.event(Event::Note(UNCHECKED));
        return Ok(());
    };
    let mut texts = ContentHasher::new();
    for record in records {
        let record = record?;
        texts.hash(text_hash(&record.id, &record.text));
    }
    match texts.finish().to_string() == was {
        true => Ok(()),
        false => Err(Error::InputChanged(format!(
            "the texts of the shard in {} have changed since it was written",
            path.display()
        ))),
    }
}

/// Passes over the texts whose vectors are there, and checks that they are the same.
fn skip(
    records: &mut dyn Iterator<Item = Result<Record, Error>>,
    shards: &[Shard],
) -> Result<(), Error> {
    let mut rows = 0;
    for shard in shards {
        let first = rows + 1;
        rows += shard.rows;
        let (mut last, mut texts) = (None, ContentHasher::new());
        for _ in 0..shard.rows {
            last = records.next().transpose()?;
            last.iter().for_each(|Record { id, text, .. }| texts.hash(text_hash(id, text)));
        }
        let texts = texts.finish().to_string();
        match last {
            Some(record) if record.id == shard.last_id => {
                if shard.content.as_ref().is_some_and(|content| *content != texts) {
                    return Err(Error::InputChanged(format!(
                        "the input has changed since the vectors were begun: texts {first} to \
                         {rows} are others than those of {}",
                        shard.file
                    )));
                }
            }
            Some(record) => {
                return Err(Error::InputChanged(format!(
                    "the input has changed since the vectors were begun: text {rows} had the id \
                     {:?}, now {:?}",
                    shard.last_id, record.id
                )));
            }
            None => {
                return Err(Error::InputChanged(format!(
                    "the input has changed since the vectors were begun: it ends before text {rows}"
                )));
            }
        }
    }
    Ok(())
}

/// Where vectors go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Destination {
    File(PathBuf, VectorForm),
    /// Shards of a form.
    Folder(PathBuf, VectorForm),
    /// A Parquet file of a folder that other processes write to as well.
    Part(PathBuf),
}

/// The key of the settings of a part under which the hash of its texts is.
const TEXTS: &str = "texts";

fn extension(form: VectorForm) -> &'static str {
    match form {
        VectorForm::Parquet => "parquet",
        VectorForm::Ndjson => "ndjson",
    }
}

impl Destination {
    /// By the name of the output: `.parquet`, `.ndjson` or `.jsonl` is a file, a folder that is
    /// there or a name without an extension a folder. A device or a pipe receives NDJSON.
    fn of(path: &Path, form: Option<VectorForm>) -> Result<Self, Error> {
        let by_name = match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => None,
            Some("parquet") => Some(VectorForm::Parquet),
            Some("ndjson" | "jsonl") => Some(VectorForm::Ndjson),
            _ if path.metadata().is_ok_and(|found| is_special(&found)) => {
                Some(form.unwrap_or(VectorForm::Ndjson))
            }
            None if path.exists() => {
                return Err(advised(
                    format!("--output {} is there and is not a folder", path.display()),
                    "a file ends in .parquet, .ndjson or .jsonl",
                ));
            }
            None => None,
            Some(_) => {
                return Err(advised(
                    format!("--output {} has an unknown extension", path.display()),
                    "a file ends in .parquet, .ndjson or .jsonl, a folder has no extension",
                ));
            }
        };
        match (by_name, form) {
            (None, form) => {
                Ok(Self::Folder(path.to_path_buf(), form.unwrap_or(VectorForm::Parquet)))
            }
            (Some(by_name), Some(form)) if by_name != form => Err(invalid(format!(
                "--output {} is of another form than --format",
                path.display()
            ))),
            (Some(by_name), _) => Ok(Self::File(path.to_path_buf(), by_name)),
        }
    }

    /// The file of one part of the inputs, in a folder.
    fn part(self, part: ShardSpec) -> Result<Self, Error> {
        match self {
            Self::Folder(dir, VectorForm::Parquet) if manifest_path(&dir).is_some() => {
                Err(advised(
                    format!("{} holds the vectors of a run without --shard", dir.display()),
                    "name another folder",
                ))
            }
            Self::Folder(dir, VectorForm::Parquet) => Ok(Self::Part(dir.join(part.file_name()))),
            _ => Err(advised(
                "--shard writes Parquet into a folder",
                "give --output without an extension",
            )),
        }
    }

    /// The settings of the part if it is there, checked against those of this run.
    fn part_settings(&self, settings: &Value) -> Result<Option<Value>, Error> {
        let Self::Part(path) = self else { return Ok(None) };
        if !path.exists() {
            return Ok(None);
        }
        let begun = ParquetReader::open(path)?.about(FOOTER).map(serde_json::from_str::<Value>);
        let mut begun: Value = begun.and_then(Result::ok).unwrap_or_default();
        let texts = begun.as_object_mut().and_then(|begun| begun.remove(TEXTS));
        if let Some(difference) = difference(&begun, settings) {
            return Err(advised(
                format!("{} was made with other settings: {difference}", path.display()),
                "make it again with --force, or name another folder",
            ));
        }
        if let Some(texts) = texts.filter(|_| records_content(&begun)) {
            begun[TEXTS] = texts;
        }
        Ok(Some(begun))
    }

    /// Whether rows keep exact weights.
    fn is_parquet(&self) -> bool {
        match self {
            Self::Part(_) => true,
            Self::File(_, form) | Self::Folder(_, form) => *form == VectorForm::Parquet,
        }
    }

    /// Opens the destination; a folder that is begun already is continued with `resume`.
    fn open<'a>(&self, rows: &'a Rows, resume: bool, shard_rows: u64) -> Result<Sink<'a>, Error> {
        match self {
            Self::File(path, form) => {
                let file = NewFile::create(path)?;
                Ok(Sink::File(rows.create(file.temporary_path(), *form)?, file))
            }
            Self::Part(path) => {
                if let Some(dir) = path.parent() {
                    std::fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
                }
                let part = NewFile::create(path)?;
                let writer = rows.parquet(part.temporary_path())?;
                Ok(Sink::Part { writer, texts: Box::default(), rows, part })
            }
            Self::Folder(dir, form) => {
                let form = *form;
                let create = Box::new(move |path: &Path, _| rows.create(path, form));
                let shards = ShardForm::vectors(extension(form), shard_rows);
                let settings = rows.settings.clone();
                let writer = ShardedWriter::open(dir, settings, resume, shards, create)?;
                Ok(Sink::Folder(Box::new(writer)))
            }
        }
    }
}

/// How the rows of a sink are made: NDJSON's keys and decimals, and what they depend on.
struct Rows {
    format: RowFormat,
    settings: Value,
}

impl Rows {
    /// A file of Parquet without settings.
    fn parquet(&self, path: &Path) -> Result<Box<ParquetWriter<BufWriter<File>>>, FileError> {
        Ok(Box::new(ParquetWriter::create(path, &[])?))
    }

    /// A file of rows.
    fn create<'a>(
        &'a self,
        path: &Path,
        form: VectorForm,
    ) -> Result<Box<dyn RowWriter + 'a>, FileError> {
        Ok(match form {
            VectorForm::Parquet => {
                let mut file = self.parquet(path)?;
                file.set_about(FOOTER, &self.settings.to_string());
                file
            }
            VectorForm::Ndjson => {
                let file = File::create(path).map_err(FileError::io("write", path))?;
                Box::new(NdjsonWriter::new(path.to_path_buf(), BufWriter::new(file), &self.format))
            }
        })
    }
}

/// An open destination.
enum Sink<'a> {
    File(Box<dyn RowWriter + 'a>, NewFile),
    Folder(Box<ShardedWriter<'a>>),
    Part {
        writer: Box<ParquetWriter<BufWriter<File>>>,
        /// The hash of the texts so far.
        texts: Box<ContentHasher>,
        rows: &'a Rows,
        part: NewFile,
    },
}

impl Sink<'_> {
    /// The shards that are on the disk already.
    fn finished(&self) -> &[Shard] {
        match self {
            Self::Folder(writer) => &writer.manifest().shards,
            _ => &[],
        }
    }

    /// Whether an earlier run has written all rows.
    fn is_complete(&self) -> bool {
        matches!(self, Self::Folder(writer) if writer.manifest().complete)
    }

    /// Whether texts and model of what an earlier run has written are unknown.
    fn lacks_content(&self) -> bool {
        matches!(self, Self::Folder(writer) if writer.lacks_content())
    }

    /// Writes the vector of a text with a hash.
    fn write(&mut self, id: &str, vector: &SparseVector, text: ContentHash) -> Result<(), Error> {
        match self {
            Self::File(writer, _) => writer.write(id, vector)?,
            Self::Part { writer, texts, .. } => {
                texts.hash(text);
                writer.write(id, vector)?;
            }
            Self::Folder(writer) => writer.write_made_of(id, vector, text)?,
        }
        Ok(())
    }

    /// Completes the output.
    fn finish(self) -> Result<(), Error> {
        match self {
            Self::File(writer, file) => {
                writer.finish()?;
                Ok(file.commit()?)
            }
            Self::Part { mut writer, texts, rows, part } => {
                let mut settings = rows.settings.clone();
                settings[TEXTS] = texts.finish().to_string().into();
                writer.set_about(FOOTER, &settings.to_string());
                writer.finish()?;
                Ok(part.commit()?)
            }
            Self::Folder(writer) => Ok(writer.finish()?),
        }
    }

    /// Leaves the output as it is; says what is left of it.
    fn stop(self) -> Result<String, Error> {
        match self {
            // The temporary file is removed with its owner.
            Self::File(..) => Ok("nothing is kept; an --output folder can be resumed".to_owned()),
            Self::Part { .. } => {
                Ok("nothing of the shard is kept; the same call makes it anew".to_owned())
            }
            Self::Folder(writer) => {
                let rows = writer.pause()?.rows;
                Ok(format!("kept {}; go on with --resume", counted(rows, "rows")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
