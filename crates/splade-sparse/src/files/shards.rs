//! A folder of vectors in shards, which can be interrupted and resumed.
//!
//! A shard is written under a temporary name, synced and renamed, and only then named in `manifest.json`, itself
//! replaced as a whole. So the manifest never names a row that is not on the disk, and a run that
//! resumes skips as many texts as the manifest has rows: none is lost and none there twice.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RowWriter;
use crate::SparseVector;
use splade_io::{FileError, NewFile, OutputFolder, write_file};

/// The name of the manifest in its folder.
pub const MANIFEST: &str = "manifest.json";
/// The format of a folder of vectors.
const VECTORS: &str = "light-splade vectors";
const VERSION: u32 = 1;

/// What the files of a folder are, their names, and when one ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardForm {
    /// The `format` of the manifest.
    pub format: &'static str,
    /// Files are called `stem-00000.extension`.
    pub stem: &'static str,
    /// The end of their names.
    pub extension: &'static str,
    /// Rows of a file; at least one.
    pub rows: u64,
}

impl ShardForm {
    /// Vectors that [`VectorReader`](super::VectorReader) reads.
    pub fn vectors(extension: &'static str, rows: u64) -> Self {
        Self { format: VECTORS, stem: "vectors", extension, rows }
    }

    /// The name of the file with a number.
    fn file_name(&self, number: usize) -> String {
        format!("{}-{number:05}.{}", self.stem, self.extension)
    }

    /// Whether a name is one of [`file_name`](Self::file_name).
    fn is_shard(&self, name: &str) -> bool {
        let number = name.strip_prefix(self.stem).and_then(|rest| rest.strip_prefix('-'));
        let number = number.and_then(|rest| rest.strip_suffix(self.extension)?.strip_suffix('.'));
        number.and_then(|number| number.parse().ok()).is_some_and(|n| self.file_name(n) == name)
    }

    /// The same with other numbers of rows in a file.
    #[must_use]
    pub fn with_rows(self, rows: u64) -> Self {
        Self { rows, ..self }
    }
}

/// What a folder of vectors holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `light-splade vectors`, or of another form of rows its name.
    pub format: String,
    /// The version of this format: 1.
    pub version: u32,
    /// Whether all rows are there.
    pub complete: bool,
    /// The rows of all shards.
    pub rows: u64,
    /// What the vectors depend on: model, settings, inputs. A run resumes only with the same.
    pub settings: Value,
    /// The shards in the order of their rows.
    pub shards: Vec<Shard>,
}

/// A file of a folder of vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shard {
    /// Its name in the folder.
    pub file: String,
    /// Its rows.
    pub rows: u64,
    /// The id of its last row: whoever resumes finds out by it if the input has changed.
    pub last_id: String,
}

impl Manifest {
    /// Reads the manifest of a folder of vectors.
    ///
    /// # Errors
    /// If it is missing, damaged or of a newer version.
    pub fn read(dir: &Path) -> Result<Self, FileError> {
        Self::read_format(dir, VECTORS)
    }

    fn read_format(dir: &Path, expected: &str) -> Result<Self, FileError> {
        let path = dir.join(MANIFEST);
        let text = std::fs::read_to_string(&path).map_err(FileError::io("read", &path))?;
        let damaged = |message: String| FileError::form(&path, message);
        let manifest: Self = serde_json::from_str(&text)
            .map_err(|error| damaged(format!("it is no manifest of vectors: {error}")))?;
        if manifest.format != expected || manifest.version != VERSION {
            let Self { format, version, .. } = manifest;
            return Err(damaged(format!(
                "format {format:?} version {version}; {expected:?} version {VERSION} is read here"
            )));
        }
        // A file name that leads out of the folder is nobody's shard.
        if let Some(shard) = manifest.shards.iter().find(|shard| shard.file.contains(['/', '\\'])) {
            return Err(damaged(format!("{:?} is no file name", shard.file)));
        }
        if manifest.rows != manifest.shards.iter().map(|shard| shard.rows).sum::<u64>() {
            return Err(damaged("\"rows\" is not the sum of the shards' rows".to_owned()));
        }
        Ok(manifest)
    }

    fn write(&self, dir: &Path) -> Result<(), FileError> {
        let path = dir.join(MANIFEST);
        let text = serde_json::to_string_pretty(self)
            .expect("a manifest has string keys only: this is a bug");
        write_file(&path, (text + "\n").as_bytes())
    }
}

/// Creates the file of a shard at a path; the number is that of the rows before it.
pub type CreateShard<'a> = dyn Fn(&Path, u64) -> Result<Box<dyn RowWriter + 'a>, FileError> + 'a;

/// A folder of vectors that is being written, by one process at a time.
pub struct ShardedWriter<'a> {
    folder: OutputFolder,
    manifest: Manifest,
    form: ShardForm,
    create: Box<CreateShard<'a>>,
    open: Option<OpenShard<'a>>,
}

struct OpenShard<'a> {
    writer: Box<dyn RowWriter + 'a>,
    /// The file that `writer` writes.
    file: NewFile,
    rows: u64,
    last_id: String,
}

impl std::fmt::Debug for ShardedWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardedWriter").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl<'a> ShardedWriter<'a> {
    /// Begins a folder, or continues one where `resume` is given. Its files are made by
    /// `create`.
    ///
    /// # Errors
    /// If the folder already has vectors and is not to be resumed, was begun with other settings, has
    /// files of somebody else, is being written by another process, or cannot be written.
    pub fn open(
        dir: &Path,
        settings: Value,
        resume: bool,
        form: ShardForm,
        create: Box<CreateShard<'a>>,
    ) -> Result<Self, FileError> {
        let folder = OutputFolder::open(dir, MANIFEST)?;
        let manifest = if folder.is_marked() {
            let manifest = Manifest::read_format(dir, form.format)?;
            if !resume {
                return Err(FileError::form(
                    dir,
                    "the folder already holds vectors; continue them with --resume, or name another",
                ));
            }
            if let Some(difference) = difference(&manifest.settings, &settings) {
                return Err(FileError::form(
                    dir,
                    format!("the vectors were begun with other settings: {difference}"),
                ));
            }
            // Exports have more files than shards.
            let is_ours = |name: &str| form.format != VECTORS || form.is_shard(name);
            folder.remove_temporaries(is_ours)?;
            manifest
        } else {
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

    /// What is on the disk already.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn shard_path(&self) -> (String, PathBuf) {
        let name = self.form.file_name(self.manifest.shards.len());
        let path = self.folder.path().join(&name);
        (name, path)
    }

    /// Ends the last shard though more rows may come: all rows so far are then on the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end_shard(&mut self) -> Result<(), FileError> {
        let Some(shard) = self.open.take() else { return Ok(()) };
        shard.writer.finish()?;
        shard.file.commit()?;
        let (file, _) = self.shard_path();
        self.manifest.rows += shard.rows;
        self.manifest.shards.push(Shard { file, rows: shard.rows, last_id: shard.last_id });
        self.manifest.write(self.folder.path())
    }

    /// Ends the last shard though more rows are to come: whoever resumes goes on after it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn pause(mut self) -> Result<Manifest, FileError> {
        self.end_shard()?;
        Ok(self.manifest)
    }
}

impl RowWriter for ShardedWriter<'_> {
    fn write(&mut self, id: &str, vector: &SparseVector) -> Result<(), FileError> {
        if self.open.is_none() {
            let (_, path) = self.shard_path();
            let file = NewFile::create(&path)?;
            let writer = (self.create)(file.temporary_path(), self.manifest.rows)?;
            self.open = Some(OpenShard { writer, file, rows: 0, last_id: String::new() });
        }
        let Some(shard) = &mut self.open else { return Ok(()) };
        shard.writer.write(id, vector)?;
        shard.rows += 1;
        id.clone_into(&mut shard.last_id);
        match shard.rows >= self.form.rows {
            true => self.end_shard(),
            false => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), FileError> {
        self.end_shard()?;
        self.manifest.complete = true;
        self.manifest.write(self.folder.path())
    }
}

/// The first setting that differs, in words.
pub fn difference(begun: &Value, now: &Value) -> Option<String> {
    let (Value::Object(begun), Value::Object(now)) = (begun, now) else {
        return (begun != now).then(|| format!("{begun}, now {now}"));
    };
    let mut keys: Vec<&String> = begun.keys().chain(now.keys()).collect();
    keys.sort();
    let null = Value::Null;
    keys.into_iter().find_map(|key| {
        let (begun, now) = (begun.get(key).unwrap_or(&null), now.get(key).unwrap_or(&null));
        (begun != now).then(|| format!("\"{key}\" was {begun}, now {now}"))
    })
}
