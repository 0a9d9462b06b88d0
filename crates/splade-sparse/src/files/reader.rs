//! A reader of vectors from files and folders in every supported form.

use std::path::{Path, PathBuf};

use super::VectorRow;
use super::ndjson::parse_row;
use super::parquet::ParquetReader;
use super::shard_spec::check_shards;
use super::shards::{Manifest, Shard, manifest_path};
use crate::TermId;
use splade_io::{FileError, Lines, Problem};

/// A function that maps a key of an NDJSON row to its term.
type TermOf<'a> = dyn Fn(&str) -> Option<TermId> + 'a;

/// An iterator over the rows of vectors in one or more files, in the order of the files.
///
/// ```
/// use splade_sparse::TermId;
/// use splade_sparse::files::VectorReader;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.ndjson");
/// std::fs::write(&path, "{\"id\": \"d1\", \"vector\": {\"night\": 1.5, \"train\": 0.5}}\n")?;
/// let vocabulary = ["train", "night"];
/// let term = |key: &str| vocabulary.iter().position(|token| *token == key).map(|id| TermId(id as u32));
/// let rows = VectorReader::open(&[path], &term)?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(rows[0].vector.weight(TermId(1)), 1.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VectorReader<'a> {
    /// The files that follow, each with its entry in a manifest if there is one.
    files: std::vec::IntoIter<(PathBuf, Option<Shard>)>,
    /// The file that is being read, if any.
    open: Option<Open>,
    /// The remaining rows of the current row group.
    group: std::vec::IntoIter<VectorRow>,
    term: &'a TermOf<'a>,
}

/// An open file of vectors.
enum Open {
    Parquet(ParquetReader),
    Ndjson(Lines),
}

impl std::fmt::Debug for VectorReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VectorReader").field("files", &self.files).finish_non_exhaustive()
    }
}

impl<'a> VectorReader<'a> {
    /// Makes a reader of files and folders of vectors, which are read one after another. A file of a
    /// folder with a manifest is compared with its checksum before its first row is returned. `term`
    /// maps a key of an NDJSON row to its term, for example [`VectorReader::id`] or a lookup in the
    /// vocabulary of a model.
    ///
    /// # Errors
    /// Returns an error if a path does not exist or has an unknown form, or if a folder contains no
    /// vectors or an incomplete set of them.
    pub fn open(paths: &[PathBuf], term: &'a TermOf<'a>) -> Result<Self, FileError> {
        let mut files = Vec::new();
        for path in paths {
            files.extend(files_and_shards(path)?);
        }
        let group = Vec::new().into_iter();
        Ok(Self { files: files.into_iter(), open: None, group, term })
    }

    /// Parses a key that is the id of a term.
    pub fn id(key: &str) -> Option<TermId> {
        key.parse().ok().map(TermId)
    }

    /// Reads the next row, or returns `None` at the end of the last file.
    fn next_row(&mut self) -> Result<Option<VectorRow>, FileError> {
        loop {
            if let Some(row) = self.group.next() {
                return Ok(Some(row));
            }
            match &mut self.open {
                Some(Open::Parquet(reader)) => match reader.next_group()? {
                    Some(rows) => self.group = rows.into_iter(),
                    None => self.open = None,
                },
                Some(Open::Ndjson(lines)) => match lines.next_line()? {
                    Some(line) if line.trim().is_empty() => {}
                    Some(line) => {
                        let row = parse_row(&line, self.term);
                        return row.map(Some).map_err(|message| lines.error(message));
                    }
                    None => self.open = None,
                },
                None => match self.files.next() {
                    None => return Ok(None),
                    Some((path, shard)) => {
                        let dir = path.parent().unwrap_or(Path::new(""));
                        shard.map_or(Ok(()), |shard| shard.check(dir))?;
                        self.open = Some(match is_parquet(&path) {
                            true => Open::Parquet(ParquetReader::open(&path)?),
                            false => Open::Ndjson(Lines::open(&path)?),
                        });
                    }
                },
            }
        }
    }
}

impl Iterator for VectorReader<'_> {
    type Item = Result<VectorRow, FileError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}

/// Returns whether a file has the extension of Parquet files.
fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "parquet")
}

/// Returns the files of vectors at a path. A file stands for itself. A folder with a manifest has
/// its shards, and any other folder has its files of vectors in the order of their names.
///
/// ```
/// use splade_sparse::files::vector_files;
///
/// let folder = tempfile::tempdir()?;
/// for name in ["b.parquet", "a.parquet", "README.md"] {
///     std::fs::write(folder.path().join(name), "")?;
/// }
/// let files = vector_files(folder.path())?;
/// assert_eq!(files, ["a.parquet", "b.parquet"].map(|name| folder.path().join(name)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the path does not exist, if a file has an unknown form, or if a folder
/// contains no vectors or an incomplete set of them.
pub fn vector_files(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    Ok(files_and_shards(path)?.into_iter().map(|(path, _)| path).collect())
}

/// Returns the files of [`vector_files`], each with its entry in the manifest if there is one.
fn files_and_shards(path: &Path) -> Result<Vec<(PathBuf, Option<Shard>)>, FileError> {
    let known = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
        let name = name.unwrap_or_default();
        let stem = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
        is_parquet(path) || [".ndjson", ".jsonl"].iter().any(|end| stem.ends_with(end))
    };
    if !path.is_dir() {
        std::fs::metadata(path).map_err(FileError::io("open", path))?;
        return match known(path) {
            true => Ok(vec![(path.to_path_buf(), None)]),
            false => Err(FileError::form(
                path,
                "vectors are read from .parquet, .ndjson and .jsonl (also .gz, .zst), and folders",
            )),
        };
    }
    if manifest_path(path).is_some() {
        let manifest = Manifest::read(path)?;
        if !manifest.complete {
            return Err(FileError::form(
                path,
                Problem::new("the vectors are not complete")
                    .with_remedy("run the command that writes them with --resume"),
            ));
        }
        let shards = manifest.shards.into_iter();
        return Ok(shards.map(|shard| (path.join(&shard.file), Some(shard))).collect());
    }
    let entries = std::fs::read_dir(path).map_err(FileError::io("list", path))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(FileError::io("list", path))?.path();
        if file.is_file() && known(&file) {
            files.push(file);
        }
    }
    files.sort();
    check_shards(path, &files)?;
    match files.is_empty() {
        true => Err(FileError::form(path, "there is no .parquet, .ndjson or .jsonl file")),
        false => Ok(files.into_iter().map(|file| (file, None)).collect()),
    }
}
