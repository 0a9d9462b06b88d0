//! A writer of vectors to a folder of shards, which can be interrupted and resumed.
//!
//! A shard is written under a temporary name, synced and renamed. Only then is it listed in
//! `_manifest.json`, which is replaced by a rename too. The manifest therefore never lists rows that
//! are not on disk. It has a checksum of its own and those of the shards, which are compared when
//! the shards are read. A resumed command skips as many texts as the manifest has rows, so that no
//! row is lost or written twice, and compares the hashes of their contents.
//!
//! Readers of Parquet folders, such as pyarrow and Spark, pass over names that begin with an
//! underscore. Earlier versions wrote `manifest.json`; such folders are read and continued under
//! that name.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RowWriter;
use crate::SparseVector;
use splade_io::settings::{self, difference};
use splade_io::{
    ContentHash, ContentHasher, FileError, NewFile, OutputFolder, Problem, crc32_of, is_sealed,
    seal_json, write_file,
};

/// The file name of the manifest.
const MANIFEST: &str = "_manifest.json";
/// The file name that earlier versions gave to the manifest.
const OLD_MANIFEST: &str = "manifest.json";
/// The `format` of the manifest of a folder of vectors.
const VECTORS: &str = "light-splade vectors";
/// The `format` of the manifest of a folder of dense vectors.
const DENSE: &str = "light-splade dense vectors";
/// The version of the manifest that this module writes. Version 1, which is read as well, has no
/// hashes of contents.
const VERSION: u32 = 2;

/// The format, the file names and the size of the shards of a folder.
///
/// ```
/// use splade_sparse::files::ShardForm;
///
/// let form = ShardForm::vectors("parquet", 100_000);
/// assert_eq!((form.stem, form.rows), ("vectors", 100_000));
/// // A search engine that takes at most a thousand rows a request.
/// assert_eq!(form.with_rows(1000).extension, "parquet");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardForm {
    /// The `format` of the manifest.
    pub format: &'static str,
    /// The first part of the file names `stem-00000.extension`.
    pub stem: &'static str,
    /// The extension of the file names, without a dot.
    pub extension: &'static str,
    /// The number of rows per file, at least 1.
    pub rows: u64,
}

impl ShardForm {
    /// Returns the form of a folder of vectors, which [`VectorReader`](super::VectorReader) reads.
    pub fn vectors(extension: &'static str, rows: u64) -> Self {
        Self { format: VECTORS, stem: "vectors", extension, rows }
    }

    /// Returns the form of a folder of dense vectors.
    pub fn dense(extension: &'static str, rows: u64) -> Self {
        Self { format: DENSE, ..Self::vectors(extension, rows) }
    }

    /// Returns the name of the file with a number, counted from 0.
    fn file_name(&self, number: usize) -> String {
        format!("{}-{number:05}.{}", self.stem, self.extension)
    }

    /// Returns whether [`file_name`](Self::file_name) can return this name.
    fn is_shard(&self, name: &str) -> bool {
        let number = name.strip_prefix(self.stem).and_then(|rest| rest.strip_prefix('-'));
        let number = number.and_then(|rest| rest.strip_suffix(self.extension)?.strip_suffix('.'));
        number.and_then(|number| number.parse().ok()).is_some_and(|n| self.file_name(n) == name)
    }

    /// Returns the same form with another number of rows per file.
    #[must_use]
    pub fn with_rows(self, rows: u64) -> Self {
        Self { rows, ..self }
    }
}

/// The content of `manifest.json`, which describes a folder of vectors.
///
/// ```
/// use splade_sparse::files::{Manifest, ParquetWriter, RowWriter, ShardForm, ShardedWriter};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors");
/// let settings = serde_json::json!({"model": "mini-ja-en"});
/// let mut writer = ShardedWriter::open(&path, settings, false, ShardForm::vectors("parquet", 2), Box::new(
///     |path, _| Ok(Box::new(ParquetWriter::create(path, &[])?)),
/// ))?;
/// for id in ["d1", "d2", "d3"] {
///     writer.write(id, &SparseVector::new(vec![TermId(7)], vec![1.5])?)?;
/// }
/// writer.complete()?;
///
/// let manifest = Manifest::read(&path)?;
/// assert!(manifest.complete);
/// assert_eq!(manifest.shards.iter().map(|shard| shard.rows).collect::<Vec<_>>(), [2, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the folder: `light-splade vectors`, or the name of another format.
    pub format: String,
    /// The version of the format: 2, or 1 in folders that have no hashes of contents.
    pub version: u32,
    /// Whether the folder contains all rows.
    pub complete: bool,
    /// The number of rows of all shards.
    pub rows: u64,
    /// The model, settings and inputs on which the rows depend. A command resumes only if they are
    /// the same.
    pub settings: Value,
    /// The shards in the order of their rows.
    pub shards: Vec<Shard>,
}

/// A file of a folder of vectors.
///
/// ```
/// use splade_sparse::files::{Manifest, ParquetWriter, RowWriter, ShardForm, ShardedWriter};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors");
/// let mut writer = ShardedWriter::open(&path, serde_json::json!({}), false, ShardForm::vectors("parquet", 2), Box::new(
///     |path, _| Ok(Box::new(ParquetWriter::create(path, &[])?)),
/// ))?;
/// writer.write("d1", &SparseVector::new(vec![TermId(7)], vec![1.5])?)?;
/// writer.complete()?;
///
/// let shard = &Manifest::read(&path)?.shards[0];
/// shard.check(&path)?;
/// std::fs::write(path.join(&shard.file), "something else")?;
/// assert!(shard.check(&path).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shard {
    /// The file name in the folder.
    pub file: String,
    /// The number of rows.
    pub rows: u64,
    /// The id of the last row. A resumed command compares it with the input to detect changes.
    pub last_id: String,
    /// The CRC-32 of the file in hexadecimal digits. Manifests of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32: Option<String>,
    /// The hash of what the rows were made of: ids and texts, or ids and vectors. `None` in folders
    /// of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

impl Shard {
    /// Compares the shard in the folder `dir` with its checksum, if it has one.
    ///
    /// # Errors
    /// Returns an error if the file differs or cannot be read.
    pub fn check(&self, dir: &Path) -> Result<(), FileError> {
        let Some(wanted) = &self.crc32 else { return Ok(()) };
        let path = dir.join(&self.file);
        match format!("{:08x}", crc32_of(&path)?) == *wanted {
            true => Ok(()),
            false => Err(FileError::form(
                &path,
                format!(
                    "its checksum differs from that in {MANIFEST}: the file was changed or damaged"
                ),
            )),
        }
    }
}

/// Returns the path of a folder's manifest, or `None` if it has none.
///
/// ```
/// use splade_sparse::files::{Manifest, manifest_path};
///
/// let folder = tempfile::tempdir()?;
/// assert_eq!(manifest_path(folder.path()), None);
/// std::fs::write(folder.path().join(Manifest::FILE), "{}")?;
/// assert_eq!(manifest_path(folder.path()), Some(folder.path().join(Manifest::FILE)));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn manifest_path(dir: &Path) -> Option<PathBuf> {
    [MANIFEST, OLD_MANIFEST].iter().map(|name| dir.join(name)).find(|path| path.is_file())
}

/// Returns the hash of a row of a file of vectors.
///
/// ```
/// use splade_sparse::files::row_hash;
/// use splade_sparse::{SparseVector, TermId};
///
/// let one = SparseVector::new(vec![TermId(7)], vec![1.5])?;
/// let other = SparseVector::new(vec![TermId(7)], vec![1.25])?;
/// assert_eq!(row_hash("d1", &one), row_hash("d1", &one.clone()));
/// assert_ne!(row_hash("d1", &one), row_hash("d1", &other));
/// # Ok::<(), splade_sparse::VectorError>(())
/// ```
pub fn row_hash(id: &str, vector: &SparseVector) -> ContentHash {
    let mut hasher = ContentHasher::new();
    hasher.text(id);
    vector.terms().iter().for_each(|term| hasher.bytes(&term.0.to_le_bytes()));
    vector.weights().iter().for_each(|weight| hasher.bytes(&weight.to_le_bytes()));
    hasher.finish()
}

/// Returns the hash of rows one after another: that of all rows before a row, which is empty before
/// the first one, and the row's own.
///
/// ```
/// use splade_sparse::SparseVector;
/// use splade_sparse::files::{chained_hash, row_hash};
///
/// let row = |id: &str| row_hash(id, &SparseVector::default());
/// let hash = |ids: &[&str]| ids.iter().fold(String::new(), |all, id| chained_hash(&all, row(id)));
/// assert_ne!(hash(&["a", "b"]), hash(&["b", "a"]));
/// ```
pub fn chained_hash(before: &str, row: ContentHash) -> String {
    let mut hasher = ContentHasher::new();
    hasher.text(before);
    hasher.hash(row);
    hasher.finish().to_string()
}

/// Returns the hash of what a row is made of: an id and a text.
///
/// ```
/// use splade_sparse::files::text_hash;
///
/// assert_ne!(text_hash("d1", "night train"), text_hash("d1", "night bus"));
/// // Where the id ends counts, too.
/// assert_ne!(text_hash("d1", "2 trains"), text_hash("d12", " trains"));
/// ```
pub fn text_hash(id: &str, text: &str) -> ContentHash {
    let mut hasher = ContentHasher::new();
    hasher.text(id);
    hasher.text(text);
    hasher.finish()
}

impl Manifest {
    /// The name of the manifest's file.
    pub const FILE: &str = MANIFEST;

    /// Reads and checks the manifest of a folder of vectors.
    ///
    /// # Errors
    /// Returns an error if the manifest is missing or damaged, or has another format or version.
    pub fn read(dir: &Path) -> Result<Self, FileError> {
        Self::read_format(dir, VECTORS)
    }

    /// Reads and checks the manifest of a folder of the `expected` format.
    fn read_format(dir: &Path, expected: &str) -> Result<Self, FileError> {
        let path = manifest_path(dir).unwrap_or_else(|| dir.join(MANIFEST));
        let text = std::fs::read_to_string(&path).map_err(FileError::io("read", &path))?;
        let damaged = |message: String| FileError::form(&path, message);
        let manifest: Self = serde_json::from_str(&text)
            .map_err(|error| damaged(format!("the file is not a manifest of vectors: {error}")))?;
        if manifest.format != expected || !(1..=VERSION).contains(&manifest.version) {
            let Self { format, version, .. } = manifest;
            return Err(damaged(format!(
                "it has format {format:?} version {version}; this program reads {expected:?} \
                 versions 1 to {VERSION} here"
            )));
        }
        if !is_sealed(&text) {
            return Err(damaged(
                "its checksum differs: the file was changed or damaged".to_owned(),
            ));
        }
        // A name with a separator could lead out of the folder, so it is refused.
        if let Some(shard) = manifest.shards.iter().find(|shard| shard.file.contains(['/', '\\'])) {
            return Err(damaged(format!("{:?} is not a plain file name", shard.file)));
        }
        if manifest.rows != manifest.shards.iter().map(|shard| shard.rows).sum::<u64>() {
            return Err(damaged("\"rows\" is not the sum of the shards' rows".to_owned()));
        }
        Ok(manifest)
    }

    /// Replaces the manifest of a folder.
    fn write(&self, dir: &Path) -> Result<(), FileError> {
        let path = manifest_path(dir).unwrap_or_else(|| dir.join(MANIFEST));
        let text = serde_json::to_string_pretty(self)
            .expect("a manifest has string keys only: this is a bug");
        write_file(&path, seal_json(&text).as_bytes())
    }
}

/// A function that creates the file of a shard at a path. The number is that of the shard's first
/// row, counted from 0.
type CreateShard<'a, V = SparseVector> =
    dyn Fn(&Path, u64) -> Result<Box<dyn RowWriter<V> + 'a>, FileError> + 'a;

/// A writer of rows to a folder of shards. The folder is locked against other processes.
///
/// ```
/// use splade_sparse::files::{ParquetWriter, RowWriter, ShardForm, ShardedWriter, VectorReader};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors");
/// let open = |resume| {
///     let settings = serde_json::json!({"model": "mini-ja-en"});
///     ShardedWriter::open(&path, settings, resume, ShardForm::vectors("parquet", 1000), Box::new(
///         |path, _| Ok(Box::new(ParquetWriter::create(path, &[])?)),
///     ))
/// };
/// let vector = SparseVector::new(vec![TermId(7)], vec![1.5])?;
/// let mut writer = open(false)?;
/// writer.write("d1", &vector)?;
/// writer.pause()?;
/// // Another process goes on after the rows that are on disk.
/// let mut writer = open(true)?;
/// assert_eq!(writer.manifest().rows, 1);
/// writer.write("d2", &vector)?;
/// writer.complete()?;
/// assert_eq!(VectorReader::open(&[path], &VectorReader::id)?.count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ShardedWriter<'a, V: ?Sized = SparseVector> {
    folder: OutputFolder,
    manifest: Manifest,
    form: ShardForm,
    create: Box<CreateShard<'a, V>>,
    /// The shard that is being written, if any.
    open: Option<OpenShard<'a, V>>,
}

/// A shard that is being written.
struct OpenShard<'a, V: ?Sized> {
    writer: Box<dyn RowWriter<V> + 'a>,
    /// The temporary file that `writer` writes.
    file: NewFile,
    /// The number of rows written so far.
    rows: u64,
    last_id: String,
    /// The hash of the rows so far.
    content: ContentHasher,
}

impl<V: ?Sized> std::fmt::Debug for ShardedWriter<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardedWriter").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl<'a, V: ?Sized> ShardedWriter<'a, V> {
    /// Creates a folder, or continues an existing one if `resume` is true. `create` creates the
    /// file of a shard.
    ///
    /// # Errors
    /// Returns an error if the folder already contains rows and `resume` is false, if it was begun
    /// with other settings, if it contains files of another program, if another process has locked
    /// it, or if it cannot be written.
    pub fn open(
        dir: &Path,
        settings: Value,
        resume: bool,
        form: ShardForm,
        create: Box<CreateShard<'a, V>>,
    ) -> Result<Self, FileError> {
        let old = manifest_path(dir).is_some_and(|path| path.ends_with(OLD_MANIFEST));
        let folder = OutputFolder::open(dir, if old { OLD_MANIFEST } else { MANIFEST })?;
        // Exports have more files than shards.
        let has_others = ![VECTORS, DENSE].contains(&form.format);
        let is_ours = |name: &str| has_others || form.is_shard(name);
        let manifest = if folder.is_marked() {
            let mut manifest = Manifest::read_format(dir, form.format)?;
            let is_new = manifest.rows == 0 && manifest.shards.is_empty() && !manifest.complete;
            if !resume && is_new {
                // The folder has no rows yet, so nothing is lost.
                manifest.settings = settings.clone();
                manifest.write(dir)?;
            } else if !resume {
                return Err(FileError::form(
                    dir,
                    Problem::new("the folder already holds vectors")
                        .with_remedy("continue them with --resume, or name another folder"),
                ));
            }
            if let Some(difference) = difference(&manifest.settings, &settings) {
                return Err(FileError::form(
                    dir,
                    Problem::new(format!(
                        "the vectors were begun with other settings: {difference}"
                    ))
                    .with_remedy("name another folder, or begin this one anew with --force"),
                ));
            }
            folder.remove_temporaries(is_ours)?;
            manifest
        } else {
            folder.remove_temporaries(is_ours)?;
            let manifest = Manifest {
                format: form.format.to_owned(),
                version: VERSION,
                complete: false,
                rows: 0,
                settings,
                shards: Vec::new(),
            };
            manifest.write(dir)?;
            manifest
        };
        Ok(Self { folder, manifest, form, create, open: None })
    }

    /// Returns the manifest, which describes the shards that are on disk.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns whether the folder was begun by a version of the program that did not record hashes
    /// of contents, so that changed texts and models cannot be detected.
    pub fn lacks_content(&self) -> bool {
        let shards = &self.manifest.shards;
        let settings = &self.manifest.settings;
        !shards.is_empty()
            && (!settings::records_content(settings)
                || shards.iter().any(|shard| shard.content.is_none()))
    }

    /// Returns the name and the path of the next shard.
    fn shard_path(&self) -> (String, PathBuf) {
        let name = self.form.file_name(self.manifest.shards.len());
        let path = self.folder.path().join(&name);
        (name, path)
    }

    /// Ends the current shard, so that all rows written so far are on disk. More rows may follow.
    ///
    /// # Errors
    /// Returns an error if the shard or the manifest cannot be written.
    pub fn end_shard(&mut self) -> Result<(), FileError> {
        let Some(shard) = self.open.take() else { return Ok(()) };
        shard.writer.finish()?;
        let crc32 = Some(format!("{:08x}", crc32_of(shard.file.temporary_path())?));
        shard.file.commit()?;
        let (file, _) = self.shard_path();
        self.manifest.rows += shard.rows;
        let content = Some(shard.content.finish().to_string());
        let OpenShard { rows, last_id, .. } = shard;
        self.manifest.shards.push(Shard { file, rows, last_id, crc32, content });
        self.manifest.write(self.folder.path())
    }

    /// Ends the current shard and closes the folder without marking it as complete. A resumed
    /// writer goes on after this shard.
    ///
    /// # Errors
    /// Returns an error if the shard or the manifest cannot be written.
    pub fn pause(mut self) -> Result<Manifest, FileError> {
        self.end_shard()?;
        Ok(self.manifest)
    }
}

impl<V: ?Sized> ShardedWriter<'_, V> {
    /// Appends a row that was made of a content with the given hash, such as [`text_hash`].
    ///
    /// # Errors
    /// Returns an error if the row cannot be written.
    pub fn write_made_of(
        &mut self,
        id: &str,
        vector: &V,
        content: ContentHash,
    ) -> Result<(), FileError> {
        if self.open.is_none() {
            let (_, path) = self.shard_path();
            let file = NewFile::create_unlocked(&path)?;
            let writer = (self.create)(file.temporary_path(), self.manifest.rows)?;
            let content = ContentHasher::new();
            self.open = Some(OpenShard { writer, file, rows: 0, last_id: String::new(), content });
        }
        let Some(shard) = &mut self.open else { return Ok(()) };
        shard.writer.write(id, vector)?;
        shard.rows += 1;
        shard.content.hash(content);
        id.clone_into(&mut shard.last_id);
        match shard.rows >= self.form.rows {
            true => self.end_shard(),
            false => Ok(()),
        }
    }
}

impl<V: ?Sized> ShardedWriter<'_, V> {
    /// Ends the current shard and marks the folder as complete.
    ///
    /// # Errors
    /// Returns an error if the shard or the manifest cannot be written.
    pub fn complete(mut self) -> Result<(), FileError> {
        self.end_shard()?;
        self.manifest.complete = true;
        self.manifest.write(self.folder.path())
    }
}

impl RowWriter for ShardedWriter<'_> {
    fn write(&mut self, id: &str, vector: &SparseVector) -> Result<(), FileError> {
        self.write_made_of(id, vector, row_hash(id, vector))
    }

    fn finish(self: Box<Self>) -> Result<(), FileError> {
        self.complete()
    }
}
