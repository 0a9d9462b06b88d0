//! A folder of vectors in shards, which can be interrupted and resumed.
//!
//! A shard is written aside, synced and renamed, and only then named in `manifest.json`, itself
//! replaced as a whole. So the manifest never names a row that is not on the disk, and a run that
//! resumes skips as many texts as the manifest has rows: none is lost and none there twice.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RowWriter;
use super::error::FileError;
use super::whole::{aside, sync_and_rename};
use crate::SparseVector;

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
        std::fs::write(aside(&path), text + "\n").map_err(FileError::io("write", &path))?;
        sync_and_rename(&path)
    }
}

/// Creates the file of a shard at a path; the number is that of the rows before it.
pub type CreateShard<'a> = dyn Fn(&Path, u64) -> Result<Box<dyn RowWriter + 'a>, FileError> + 'a;

/// A folder of vectors that is being written.
pub struct ShardedWriter<'a> {
    dir: PathBuf,
    manifest: Manifest,
    form: ShardForm,
    create: Box<CreateShard<'a>>,
    open: Option<OpenShard<'a>>,
}

struct OpenShard<'a> {
    writer: Box<dyn RowWriter + 'a>,
    rows: u64,
    last_id: String,
}

impl std::fmt::Debug for ShardedWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardedWriter").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl<'a> ShardedWriter<'a> {
    /// Begins a folder, or continues one where `resume` is given. Its files are made by
    /// `create`.
    ///
    /// # Errors
    /// If the folder already has vectors and is not to be resumed, or was begun with other
    /// settings, or cannot be written.
    pub fn open(
        dir: &Path,
        settings: Value,
        resume: bool,
        form: ShardForm,
        create: Box<CreateShard<'a>>,
    ) -> Result<Self, FileError> {
        std::fs::create_dir_all(dir).map_err(FileError::io("create", dir))?;
        let manifest = if dir.join(MANIFEST).exists() {
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
        Ok(Self { dir: dir.to_path_buf(), manifest, form, create, open: None })
    }

    /// What is on the disk already.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn shard_path(&self) -> (String, PathBuf) {
        let ShardForm { stem, extension, .. } = self.form;
        let name = format!("{stem}-{:05}.{extension}", self.manifest.shards.len());
        let path = self.dir.join(&name);
        (name, path)
    }

    /// Ends the last shard though more rows may come: all rows so far are then on the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end_shard(&mut self) -> Result<(), FileError> {
        let Some(shard) = self.open.take() else { return Ok(()) };
        shard.writer.finish()?;
        let (file, path) = self.shard_path();
        sync_and_rename(&path)?;
        self.manifest.rows += shard.rows;
        self.manifest.shards.push(Shard { file, rows: shard.rows, last_id: shard.last_id });
        self.manifest.write(&self.dir)
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
            let writer = (self.create)(&aside(&path), self.manifest.rows)?;
            self.open = Some(OpenShard { writer, rows: 0, last_id: String::new() });
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
        self.manifest.write(&self.dir)
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
