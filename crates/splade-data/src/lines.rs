//! Files of lines that are written, packed or not.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::DataError;
use crate::scores::score_line;

/// Writes a file of lines, packed with gzip if its name ends in `.gz`.
#[derive(Debug)]
pub struct LineWriter {
    path: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Plain(BufWriter<File>),
    Packed(GzEncoder<BufWriter<File>>),
}

impl LineWriter {
    /// Creates the file, or overwrites it.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(path: &Path) -> Result<Self, DataError> {
        Self::create_as(path, path.extension().is_some_and(|end| end == "gz"))
    }

    /// Does the same for a file whose name does not say whether it is packed.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create_as(path: &Path, packed: bool) -> Result<Self, DataError> {
        let file = File::create(path).map_err(DataError::io(path))?;
        let file = BufWriter::with_capacity(1 << 18, file);
        let sink = match packed {
            true => Sink::Packed(GzEncoder::new(file, Compression::default())),
            false => Sink::Plain(file),
        };
        Ok(Self { path: path.to_path_buf(), sink })
    }

    /// Writes a line and its end.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn line(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), DataError> {
        let written = match &mut self.sink {
            Sink::Plain(file) => file.write_fmt(line).and_then(|()| file.write_all(b"\n")),
            Sink::Packed(file) => file.write_fmt(line).and_then(|()| file.write_all(b"\n")),
        };
        written.map_err(DataError::io(&self.path))
    }

    /// Writes the teacher scores of a query, `(doc_id, score)` each, as a line.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scores(
        &mut self,
        qid: i64,
        scores: impl IntoIterator<Item = (i64, f32)>,
    ) -> Result<(), DataError> {
        self.line(format_args!("{}", score_line(qid, scores)))
    }

    /// Completes the file and waits until its bytes have reached the disk.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> Result<(), DataError> {
        let file = match self.sink {
            Sink::Plain(file) => Ok(file),
            Sink::Packed(file) => file.finish(),
        };
        let synced = file.and_then(|file| file.into_inner()?.sync_all());
        synced.map_err(DataError::io(&self.path))
    }
}
