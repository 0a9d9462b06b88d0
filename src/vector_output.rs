//! Where the vectors of texts go, sparse or dense: one file, a folder of shards that can be resumed, or one file of a
//! folder that several processes fill.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;
use splade_io::settings::{difference, records_content};
use splade_io::{ContentHash, ContentHasher, Event, FileError, NewFile, Observer, counted};
use splade_sparse::files::{
    RowWriter, Shard, ShardForm, ShardSpec, ShardedWriter, manifest_path, parquet_about, text_hash,
};

use crate::error::{Error, advised, invalid};
use crate::output_guard::{check_files, check_output, is_special, remove_shards};
use crate::provenance::FOOTER;
use crate::record::{IntoRecord, Record};
use crate::stream::Ended;

/// The form of a file of vectors.
pub(crate) trait OutputForm: Copy + PartialEq {
    /// The form of a file that processes write beside each other, and of shards if none is named.
    const PARQUET: Self;
    /// The form of a device or a pipe.
    const NDJSON: Self;
    /// The endings of the names of files, as a message lists them.
    const ENDINGS: &str;

    /// The form that the ending of a file name says.
    fn of_extension(extension: &str) -> Option<Self>;

    /// The ending of the names of shards.
    fn extension(self) -> &'static str;
}

/// What makes the files of an output.
pub(crate) trait Rows<F, V: ?Sized> {
    /// A file of rows.
    fn create(&self, path: &Path, form: F) -> Result<Box<dyn RowWriter<V> + '_>, FileError>;

    /// The form of the manifest of a folder of such files.
    fn shards(&self, extension: &'static str, rows: u64) -> ShardForm;
}

/// Where vectors go, and how.
pub(crate) struct Output<'a, F> {
    /// The file or folder.
    pub(crate) path: &'a Path,
    /// The form of the shards of a folder.
    pub(crate) form: Option<F>,
    /// The part of the texts that is written, as one file of a folder.
    pub(crate) part: Option<ShardSpec>,
    pub(crate) resume: bool,
    pub(crate) force: bool,
    pub(crate) shard_rows: u64,
    /// The files that the texts come from, which are never overwritten.
    pub(crate) inputs: &'a [PathBuf],
}

/// What became of a call of [`encode_files()`](crate::encode::encode_files()) or
/// [`encode_dense()`](crate::encode::encode_dense()).
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

/// Texts that are encoded, one after another.
pub(crate) type Texts<'a> = dyn Iterator<Item = Result<Record, Error>> + 'a;
/// Takes a record with its vector.
pub(crate) type Write<'a, V> = dyn FnMut(&Record, &V) -> Result<(), Error> + 'a;

impl<F: OutputForm> Output<'_, F> {
    /// Checks the name of the output, before a model is loaded for it.
    pub(crate) fn destination(&self) -> Result<Destination<F>, Error> {
        let mut destination = Destination::of(self.path, self.form)?;
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
        check_output(self.path, self.inputs, self.force)?;
        if let Destination::Folder(dir, form) = &destination
            && manifest_path(dir).is_none()
        {
            let first = format!("vectors-00000.{}", form.extension());
            check_files(dir, [first.as_str()], self.force)?;
        }
        Ok(destination)
    }

    /// Writes the rows of all texts that are not there yet. `settings` are kept beside the vectors and compared when a
    /// run is resumed; `encode` gets the texts and what takes their vectors in the same order.
    pub(crate) fn write<V: ?Sized, D>(
        &self,
        rows: &dyn Rows<F, V>,
        settings: &Value,
        texts: D,
        observer: &mut dyn Observer,
        encode: impl FnOnce(
            Box<Texts<'_>>,
            &mut Write<'_, V>,
            &mut dyn Observer,
        ) -> Result<Ended, Error>,
    ) -> Result<EncodedFiles, Error>
    where
        D: IntoIterator<Item: IntoRecord>,
    {
        let destination = self.destination()?;
        let part = self.part;
        let mut numbers = 0..;
        let mut records = texts.into_iter().map(IntoRecord::into_record).filter(move |record| {
            let own = |part: ShardSpec| numbers.next().is_some_and(|row| part.has(row));
            record.is_err() || part.is_none_or(own)
        });
        if !self.force
            && let Some(begun) = destination.part_settings(settings)?
        {
            check_part(self.path, &begun, &mut records, observer)?;
            observer.event(Event::Note("the shard is there already"));
            return Ok(EncodedFiles { was_complete: true, ..EncodedFiles::default() });
        }
        if let Destination::Folder(dir, form) = &destination
            && self.force
        {
            remove_shards(dir, rows.shards(form.extension(), self.shard_rows).format)?;
        }
        let mut sink = destination.open(rows, settings, self.resume, self.shard_rows)?;
        let kept: u64 = sink.finished().iter().map(|shard| shard.rows).sum();
        skip(&mut records, sink.finished())?;
        if sink.lacks_content() {
            observer.event(Event::Note(UNCHECKED));
        }
        if sink.is_complete() {
            if let Some(more) = records.next().transpose()? {
                return Err(Error::InputChanged(format!(
                    "{} is complete, but the input now has more texts, from {:?} on",
                    self.path.display(),
                    more.id
                )));
            }
            observer.event(Event::Note("all vectors are there already"));
            return Ok(EncodedFiles { kept, was_complete: true, ..EncodedFiles::default() });
        }
        if kept > 0 {
            let note = format!("keeping {} of an earlier run", counted(kept, "vectors"));
            observer.event(Event::Note(&note));
        }
        // The hashes of the texts that are read and not yet written: texts are read ahead.
        let ahead = Rc::new(RefCell::new(VecDeque::new()));
        let seen = Rc::clone(&ahead);
        let records = records.inspect(move |record| {
            if let Ok(Record { id, text, .. }) = record {
                seen.borrow_mut().push_back(text_hash(id, text));
            }
        });
        let mut written = 0;
        let mut write = |record: &Record, vector: &V| {
            written += 1;
            let text = ahead.borrow_mut().pop_front();
            sink.write(&record.id, vector, text.expect("a vector is of a text: this is a bug"))
        };
        match encode(Box::new(records), &mut write, observer)? {
            Ended::Whole => {
                sink.finish(settings)?;
                Ok(EncodedFiles { written, kept, was_complete: false })
            }
            Ended::Stopped => Err(Error::Stopped { kept: sink.stop()? }),
        }
    }
}

/// What is told of outputs of earlier versions.
const UNCHECKED: &str = "the vectors were begun by an earlier version of light-splade, which did not \
                         record what the model and the texts were: whether they have changed since \
                         is not checked";

/// The key of the settings of a part under which the hash of its texts is.
const TEXTS: &str = "texts";

/// Checks that a part that is there was made of the texts of this run.
fn check_part(
    path: &Path,
    begun: &Value,
    records: &mut Texts<'_>,
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
fn skip(records: &mut Texts<'_>, shards: &[Shard]) -> Result<(), Error> {
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
pub(crate) enum Destination<F> {
    File(PathBuf, F),
    /// Shards of a form.
    Folder(PathBuf, F),
    /// A Parquet file of a folder that other processes write to as well.
    Part(PathBuf),
}

impl<F: OutputForm> Destination<F> {
    /// By the name of the output: one with a known ending is a file, a folder that is there or a name without an
    /// extension a folder. A device or a pipe receives NDJSON.
    pub(crate) fn of(path: &Path, form: Option<F>) -> Result<Self, Error> {
        let by_name = match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => None,
            Some(extension) if F::of_extension(extension).is_some() => F::of_extension(extension),
            _ if path.metadata().is_ok_and(|found| is_special(&found)) => {
                Some(form.unwrap_or(F::NDJSON))
            }
            None if path.exists() => {
                return Err(advised(
                    format!("--output {} is there and is not a folder", path.display()),
                    format!("a file ends in {}", F::ENDINGS),
                ));
            }
            None => None,
            Some(_) => {
                return Err(advised(
                    format!("--output {} has an unknown extension", path.display()),
                    format!("a file ends in {}, a folder has no extension", F::ENDINGS),
                ));
            }
        };
        match (by_name, form) {
            (None, form) => Ok(Self::Folder(path.to_path_buf(), form.unwrap_or(F::PARQUET))),
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
            Self::Folder(dir, form) if form == F::PARQUET && manifest_path(&dir).is_some() => {
                Err(advised(
                    format!("{} holds the vectors of a run without --shard", dir.display()),
                    "name another folder",
                ))
            }
            Self::Folder(dir, form) if form == F::PARQUET => {
                Ok(Self::Part(dir.join(part.file_name())))
            }
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
        let begun = parquet_about(path, FOOTER)?;
        let begun = begun.map(|begun| serde_json::from_str::<Value>(&begun));
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
    pub(crate) fn is_exact(&self) -> bool {
        match self {
            Self::Part(_) => true,
            Self::File(_, form) | Self::Folder(_, form) => *form != F::NDJSON,
        }
    }

    /// Opens the destination; a folder that is begun already is continued with `resume`.
    fn open<'a, V: ?Sized>(
        &self,
        rows: &'a dyn Rows<F, V>,
        settings: &Value,
        resume: bool,
        shard_rows: u64,
    ) -> Result<Sink<'a, V>, Error>
    where
        F: 'a,
    {
        match self {
            Self::File(path, form) => {
                let file = NewFile::create(path)?;
                let mut writer = rows.create(file.temporary_path(), *form)?;
                writer.set_about(FOOTER, &settings.to_string());
                Ok(Sink::File(writer, file))
            }
            Self::Part(path) => {
                if let Some(dir) = path.parent() {
                    std::fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
                }
                let part = NewFile::create(path)?;
                let writer = rows.create(part.temporary_path(), F::PARQUET)?;
                Ok(Sink::Part { writer, texts: Box::default(), part })
            }
            Self::Folder(dir, form) => {
                let (form, about) = (*form, settings.to_string());
                let create = Box::new(move |path: &Path, _| {
                    let mut writer = rows.create(path, form)?;
                    writer.set_about(FOOTER, &about);
                    Ok(writer)
                });
                let shards = rows.shards(form.extension(), shard_rows);
                let writer = ShardedWriter::open(dir, settings.clone(), resume, shards, create)?;
                Ok(Sink::Folder(Box::new(writer)))
            }
        }
    }
}

/// An open destination.
enum Sink<'a, V: ?Sized> {
    File(Box<dyn RowWriter<V> + 'a>, NewFile),
    Folder(Box<ShardedWriter<'a, V>>),
    Part {
        writer: Box<dyn RowWriter<V> + 'a>,
        /// The hash of the texts so far.
        texts: Box<ContentHasher>,
        part: NewFile,
    },
}

impl<V: ?Sized> Sink<'_, V> {
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
    fn write(&mut self, id: &str, vector: &V, text: ContentHash) -> Result<(), Error> {
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
    fn finish(self, settings: &Value) -> Result<(), Error> {
        match self {
            Self::File(writer, file) => {
                writer.finish()?;
                Ok(file.commit()?)
            }
            Self::Part { mut writer, texts, part } => {
                let mut settings = settings.clone();
                settings[TEXTS] = texts.finish().to_string().into();
                writer.set_about(FOOTER, &settings.to_string());
                writer.finish()?;
                Ok(part.commit()?)
            }
            Self::Folder(writer) => Ok(writer.complete()?),
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
