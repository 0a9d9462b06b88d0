//! Where vectors go: standard output, a file, or a folder of shards that can be resumed.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use splade_sparse::SparseVector;
use splade_sparse::files::{
    FileError, NdjsonWriter, ParquetWriter, RowFormat, RowWriter, Shard, ShardForm, ShardedWriter,
    aside, sync_and_rename,
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
}

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

    /// Whether rows keep exact weights.
    pub(crate) fn is_parquet(&self) -> bool {
        matches!(self, Self::File(_, Format::Parquet) | Self::Folder(_, Format::Parquet))
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
                Box::new(ParquetWriter::create(path, &[("light-splade", &about)])?)
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
            Self::Stdout(writer) | Self::File(writer, _) => &mut **writer,
            Self::Folder(writer) => &mut **writer,
        };
        Ok(writer.write(id, vector)?)
    }

    /// Completes the output.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Stdout(writer) => writer.finish()?,
            Self::File(writer, path) => {
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
                let aside = aside(&path);
                std::fs::remove_file(&aside)
                    .with_context(|| format!("cannot remove {}", aside.display()))?;
                Ok("nothing is kept; an --output folder can be resumed".to_owned())
            }
            Self::Folder(writer) => {
                let rows = writer.pause()?.rows;
                Ok(format!("{rows} rows are kept; go on with --resume"))
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
