//! Where vectors go: standard output, a file, a folder of shards that can be resumed, or one file of
//! a folder that several processes fill.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use splade_sparse::SparseVector;
use splade_sparse::files::{
    FileError, MANIFEST, NdjsonWriter, ParquetReader, ParquetWriter, RowFormat, RowWriter, Shard,
    ShardForm, ShardSpec, ShardedWriter, aside, difference, sync_and_rename,
};

/// The form of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Parquet: id, indices, values
    Parquet,
    /// NDJSON: {"id": …, "vector": {…}}
    Ndjson,
}

/// Where vectors are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// NDJSON to standard output.
    Stdout,
    File(PathBuf, Format),
    /// Shards of a form.
    Folder(PathBuf, Format),
    /// A Parquet file of a folder that other processes write to as well.
    Part(PathBuf),
}

/// The key of a Parquet file's footer under which its settings are.
const SETTINGS: &str = "light-splade";

impl Destination {
    /// By the name of the output: `.parquet`, `.ndjson` or `.jsonl` is a file, a folder that is
    /// there or a name without extension a folder.
    pub(crate) fn of(output: Option<&Path>, format: Option<Format>) -> Result<Self> {
        let Some(path) = output else {
            return match format {
                None | Some(Format::Ndjson) => Ok(Self::Stdout),
                Some(Format::Parquet) => bail!("Parquet goes to a file or folder: give --output"),
            };
        };
        let by_name = match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => None,
            None if path.exists() => bail!(
                "--output {} is there and no folder; a file ends in .parquet, .ndjson or .jsonl",
                path.display()
            ),
            Some("parquet") => Some(Format::Parquet),
            Some("ndjson" | "jsonl") => Some(Format::Ndjson),
            None => None,
            Some(_) => bail!(
                "--output {}: a file ends in .parquet, .ndjson or .jsonl, a folder has no extension",
                path.display()
            ),
        };
        match (by_name, format) {
            (None, format) => {
                Ok(Self::Folder(path.to_path_buf(), format.unwrap_or(Format::Parquet)))
            }
            (Some(by_name), Some(format)) if by_name != format => {
                bail!("--output {} is of another form than --format", path.display())
            }
            (Some(by_name), _) => Ok(Self::File(path.to_path_buf(), by_name)),
        }
    }

    /// The file of one part of the inputs, in a folder.
    pub(crate) fn part(self, part: ShardSpec) -> Result<Self> {
        match self {
            Self::Folder(dir, Format::Parquet) if dir.join(MANIFEST).exists() => bail!(
                "{} holds the vectors of a run without --shard; name another folder",
                dir.display()
            ),
            Self::Folder(dir, Format::Parquet) => Ok(Self::Part(dir.join(part.file_name()))),
            _ => bail!("--shard writes Parquet into a folder: give --output without an extension"),
        }
    }

    /// Whether the part is there, with these settings.
    pub(crate) fn has_part(&self, settings: &Value) -> Result<bool> {
        let Self::Part(path) = self else { return Ok(false) };
        if !path.exists() {
            return Ok(false);
        }
        let begun = ParquetReader::open(path)?.about(SETTINGS).map(serde_json::from_str::<Value>);
        let begun = begun.and_then(Result::ok).unwrap_or_default();
        match difference(&begun, settings) {
            None => Ok(true),
            Some(difference) => bail!(
                "{} was made with other settings: {difference}; remove it, or name another folder",
                path.display()
            ),
        }
    }

    /// Whether rows keep exact weights.
    pub(crate) fn is_parquet(&self) -> bool {
        match self {
            Self::Part(_) => true,
            Self::File(_, format) | Self::Folder(_, format) => *format == Format::Parquet,
            Self::Stdout => false,
        }
    }
}

/// How the rows of a sink are made: NDJSON's keys and decimals, and what they depend on.
pub(crate) struct Rows {
    pub(crate) format: RowFormat,
    pub(crate) settings: Value,
}

impl Rows {
    /// A file of rows.
    fn create<'a>(
        &'a self,
        path: &Path,
        format: Format,
    ) -> Result<Box<dyn RowWriter + 'a>, FileError> {
        Ok(match format {
            Format::Parquet => {
                let about = self.settings.to_string();
                Box::new(ParquetWriter::create(path, &[(SETTINGS, &about)])?)
            }
            Format::Ndjson => {
                let file = File::create(path).map_err(|source| FileError::Io {
                    doing: "write",
                    path: path.to_path_buf(),
                    source,
                })?;
                Box::new(NdjsonWriter::new(path.to_path_buf(), BufWriter::new(file), &self.format))
            }
        })
    }
}

/// An open destination.
pub(crate) enum Sink<'a> {
    Stdout(Box<dyn RowWriter + 'a>),
    File(Box<dyn RowWriter + 'a>, PathBuf),
    Folder(Box<ShardedWriter<'a>>),
    /// With what keeps other processes from the same part.
    Part(Box<dyn RowWriter + 'a>, PathBuf, File),
}

impl Destination {
    /// Opens the destination; a folder that is begun already is continued with `resume`.
    pub(crate) fn open<'a>(
        &self,
        rows: &'a Rows,
        resume: bool,
        shard_rows: u64,
    ) -> Result<Sink<'a>> {
        match self {
            Self::Stdout => {
                let stdout = BufWriter::with_capacity(1 << 16, std::io::stdout());
                let writer = NdjsonWriter::new("standard output".into(), stdout, &rows.format);
                Ok(Sink::Stdout(Box::new(writer)))
            }
            Self::File(path, format) => {
                Ok(Sink::File(rows.create(&aside(path), *format)?, path.clone()))
            }
            Self::Part(path) => {
                let lock = lock_part(path)?;
                Ok(Sink::Part(rows.create(&aside(path), Format::Parquet)?, path.clone(), lock))
            }
            Self::Folder(dir, format) => {
                let format = *format;
                let extension = match format {
                    Format::Parquet => "parquet",
                    Format::Ndjson => "ndjson",
                };
                let create = Box::new(move |path: &Path, _| rows.create(path, format));
                let form = ShardForm::vectors(extension, shard_rows);
                let settings = rows.settings.clone();
                let writer = ShardedWriter::open(dir, settings, resume, form, create)?;
                Ok(Sink::Folder(Box::new(writer)))
            }
        }
    }
}

/// Makes a part's folder and takes the file beside it: a killed process has left its lock, one that
/// still runs keeps it.
fn lock_part(path: &Path) -> Result<File> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let aside = aside(path);
    let file = File::options().write(true).create(true).truncate(false).open(&aside);
    let file = file.with_context(|| format!("cannot write {}", aside.display()))?;
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("{} is being written by another process", path.display())
        }
        // Some network file systems have no locks.
        _ => Ok(file),
    }
}

impl Sink<'_> {
    /// The shards that are on the disk already.
    pub(crate) fn finished(&self) -> &[Shard] {
        match self {
            Self::Folder(writer) => &writer.manifest().shards,
            _ => &[],
        }
    }

    /// Whether an earlier run has written all rows.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self, Self::Folder(writer) if writer.manifest().complete)
    }

    pub(crate) fn write(&mut self, id: &str, vector: &SparseVector) -> Result<()> {
        let writer: &mut dyn RowWriter = match self {
            Self::Stdout(writer) | Self::File(writer, _) | Self::Part(writer, ..) => &mut **writer,
            Self::Folder(writer) => &mut **writer,
        };
        Ok(writer.write(id, vector)?)
    }

    /// Completes the output.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Stdout(writer) => writer.finish()?,
            Self::File(writer, path) | Self::Part(writer, path, _) => {
                writer.finish()?;
                sync_and_rename(&path)?;
            }
            Self::Folder(writer) => writer.finish()?,
        }
        Ok(())
    }

    /// Leaves the output as it is; says what is left of it.
    pub(crate) fn stop(self) -> Result<String> {
        match self {
            Self::Stdout(writer) => {
                writer.finish()?;
                Ok("the rows so far are written".to_owned())
            }
            Self::File(writer, path) => {
                drop(writer);
                remove_aside(&path)?;
                Ok("nothing is kept; an --output folder can be resumed".to_owned())
            }
            Self::Part(writer, path, _lock) => {
                drop(writer);
                remove_aside(&path)?;
                Ok("nothing of the shard is kept; the same call makes it anew".to_owned())
            }
            Self::Folder(writer) => {
                let rows = writer.pause()?.rows;
                Ok(format!("{rows} rows are kept; go on with --resume"))
            }
        }
    }
}

fn remove_aside(path: &Path) -> Result<()> {
    let aside = aside(path);
    std::fs::remove_file(&aside).with_context(|| format!("cannot remove {}", aside.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_destination() {
        let dir = tempfile::tempdir().expect("a folder");
        let there = dir.path().join("shards.v1");
        std::fs::create_dir(&there).expect("created");
        let of = |path: &str, format| Destination::of(Some(Path::new(path)), format);
        let file = |path: &str, format| Destination::File(path.into(), format);
        let folder = |path: &str, format| Destination::Folder(path.into(), format);
        assert_eq!(Destination::of(None, None).ok(), Some(Destination::Stdout));
        assert!(Destination::of(None, Some(Format::Parquet)).is_err());
        let cases = [
            ("v.parquet", None, Some(file("v.parquet", Format::Parquet))),
            ("v.jsonl", None, Some(file("v.jsonl", Format::Ndjson))),
            ("v", None, Some(folder("v", Format::Parquet))),
            ("v/", Some(Format::Ndjson), Some(folder("v/", Format::Ndjson))),
            ("v.parquet", Some(Format::Ndjson), None),
            ("v.txt", None, None),
            ("v.ndjson.gz", None, None),
        ];
        for (path, format, want) in cases {
            assert_eq!(of(path, format).ok(), want, "{path} {format:?}");
        }
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("written");
        assert!(of(file.to_str().expect("UTF-8"), None).is_err());
        let there = there.to_str().expect("UTF-8");
        assert_eq!(of(there, None).ok(), Some(folder(there, Format::Parquet)));
    }
}
