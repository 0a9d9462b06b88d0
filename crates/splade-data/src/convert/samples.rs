//! Writes the training pairs of a cross-encoder, as the Python library's example reads them: a
//! pickle of `(dev_samples, train_samples)`, compressed with gzip.
//!
//! A dev sample is a dict of `query`, `positive` and `negative`, of which the last two are lists of
//! texts. A train sample is a tuple of query, document and label. The pickle has protocol 2
//! (Python's `pickletools`) and is written as a stream, so the memory does not grow with it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::DataError;

/// A file of samples that is being written: dev samples, then train samples.
pub(super) struct Samples {
    path: PathBuf,
    sink: GzEncoder<BufWriter<File>>,
}

const EMPTY_LIST: &[u8] = b"]";
const EMPTY_DICT: &[u8] = b"}";
const MARK: &[u8] = b"(";
/// The instruction that appends the items since the mark to the list below the mark.
const APPENDS: &[u8] = b"e";
/// The instruction that adds the keys and values since the mark to the dict below the mark.
const SET_ITEMS: &[u8] = b"u";
/// The instruction that appends the top of the stack to the list below it.
const APPEND: &[u8] = b"a";
/// The instruction that stores the top of the stack as memo 0.
const PUT: &[u8] = b"q\0";
/// The instruction that pushes memo 0.
const GET: &[u8] = b"h\0";

impl Samples {
    pub(super) fn create(path: &Path) -> Result<Self, DataError> {
        let file = File::create(path).map_err(DataError::io(path))?;
        let sink = GzEncoder::new(BufWriter::new(file), Compression::default());
        let mut this = Self { path: path.to_path_buf(), sink };
        this.write(b"\x80\x02")?;
        this.write(EMPTY_LIST)?;
        Ok(this)
    }

    pub(super) fn dev(
        &mut self,
        query: &str,
        positives: impl Iterator<Item = impl AsRef<str>>,
        negatives: impl Iterator<Item = impl AsRef<str>>,
    ) -> Result<(), DataError> {
        self.write(EMPTY_DICT)?;
        self.write(MARK)?;
        self.text("query")?;
        self.text(query)?;
        self.text("positive")?;
        self.list(positives)?;
        self.text("negative")?;
        self.list(negatives)?;
        self.write(SET_ITEMS)?;
        self.write(APPEND)
    }

    /// Ends the list of dev samples and begins that of train samples.
    pub(super) fn end_of_dev(&mut self) -> Result<(), DataError> {
        self.write(EMPTY_LIST)
    }

    /// Writes the train samples of a query: documents with their labels.
    pub(super) fn train(
        &mut self,
        query: &str,
        docs: impl Iterator<Item = (impl AsRef<str>, bool)>,
    ) -> Result<(), DataError> {
        for (place, (doc, label)) in docs.enumerate() {
            if place == 0 {
                self.text(query)?;
                self.write(PUT)?;
            } else {
                self.write(GET)?;
            }
            self.text(doc.as_ref())?;
            // The instructions push a byte as an integer and build a tuple of the last three
            // values.
            self.write(&[b'K', u8::from(label), 0x87])?;
            self.write(APPEND)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), DataError> {
        // The instructions build a tuple of the last two values and end the pickle.
        self.write(b"\x86.")?;
        let file = self.sink.finish().and_then(|file| file.into_inner()?.sync_all());
        file.map_err(DataError::io(&self.path))
    }

    fn list(&mut self, texts: impl Iterator<Item = impl AsRef<str>>) -> Result<(), DataError> {
        self.write(EMPTY_LIST)?;
        self.write(MARK)?;
        for text in texts {
            self.text(text.as_ref())?;
        }
        self.write(APPENDS)
    }

    fn text(&mut self, text: &str) -> Result<(), DataError> {
        let length = u32::try_from(text.len())
            .map_err(|_| DataError::form(&self.path, "a text is larger than 4 GB"))?;
        self.write(b"X")?;
        self.write(&length.to_le_bytes())?;
        self.write(text.as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.sink.write_all(bytes).map_err(DataError::io(&self.path))
    }
}
