//! Texts into files of dense vectors.

use std::io::Write;
use std::path::PathBuf;

use splade_io::{Event, NewFile, Observer, counted};
use splade_model::{Embedder, HeadKind, Side};
use splade_sparse::files::{DenseForm, DenseWriter, row_json};

use crate::error::{Error, advised};
use crate::output_guard::check_output;
use crate::record::{IntoRecord, Position, Record};
use crate::stream::{Counts, Records};

/// Settings of [`encode_dense`].
#[derive(Debug, Clone)]
pub struct DenseOptions {
    /// The side whose prompt and rules apply.
    pub side: Side,
    /// The file, which ends in `.parquet`, `.safetensors`, `.npy`, `.ndjson` or `.jsonl`.
    pub output: PathBuf,
    /// Replaces a file that exists.
    pub force: bool,
    /// The files that the texts come from, which are never overwritten.
    pub inputs: Vec<PathBuf>,
}

impl Default for DenseOptions {
    fn default() -> Self {
        Self { side: Side::Document, output: PathBuf::new(), force: false, inputs: Vec::new() }
    }
}

impl DenseOptions {
    /// Checks the output, before a model is loaded for it: [`encode_dense`] does the same.
    ///
    /// # Errors
    /// If the name of the output has another ending, or a file exists and is not to be replaced.
    pub fn check(&self) -> Result<DenseForm, Error> {
        let form = DenseForm::of(&self.output).ok_or_else(|| {
            advised(
                format!(
                    "the name {} does not tell the form of dense vectors",
                    self.output.display()
                ),
                "give a file that ends in .parquet, .safetensors, .npy or .ndjson as --output",
            )
        })?;
        check_output(&self.output, &self.inputs, self.force)?;
        if form == DenseForm::Npy {
            check_output(&DenseForm::ids_beside(&self.output), &self.inputs, self.force)?;
        }
        Ok(form)
    }
}

/// Encodes texts into a file of dense vectors, which takes its name once it is complete; returns the
/// number of texts.
///
/// ```no_run
/// use light_splade::encode::{DenseOptions, encode_dense};
/// use light_splade::input::Position;
/// use light_splade::{DenseEncoder, SparseEncoderOptions};
///
/// let encoder = DenseEncoder::load("multilingual-e5-small", &SparseEncoderOptions::default())?;
/// let options = DenseOptions { output: "vectors.npy".into(), ..DenseOptions::default() };
/// let texts = [("1", "東京"), ("2", "大阪")];
/// encode_dense(encoder.embedder(), texts, Position::default(), &options, &mut ())?;
/// # Ok::<(), light_splade::Error>(())
/// ```
///
/// # Errors
/// If the output exists and is not to be replaced or is one of the inputs, a text cannot be read or
/// encoded, the file cannot be written, or the observer asks to stop; then nothing is kept.
pub fn encode_dense<D>(
    embedder: &Embedder,
    texts: D,
    position: Position,
    options: &DenseOptions,
    observer: &mut dyn Observer,
) -> Result<u64, Error>
where
    D: IntoIterator<Item: IntoRecord>,
{
    let form = options.check()?;
    let file = NewFile::create(&options.output)?;
    let ids = match form {
        DenseForm::Npy => Some(NewFile::create(&DenseForm::ids_beside(&options.output))?),
        _ => None,
    };
    let beside = ids.as_ref().map_or(file.temporary_path(), NewFile::temporary_path).to_path_buf();
    let is_matrix = embedder.kind() == HeadKind::MultiVector;
    let dim = embedder.dim();
    let mut writer = DenseWriter::create(file.temporary_path(), &beside, form, dim, is_matrix)?;
    let write = |id: &str, numbers: &[f32]| Ok(writer.write(id, numbers)?);
    let count = embed(embedder, options.side, texts, position, observer, write)?;
    writer.finish()?;
    if let Some(ids) = ids {
        ids.commit()?;
    }
    file.commit()?;
    Ok(count)
}

/// Encodes texts into rows of NDJSON on a writer, such as standard output; returns their number.
///
/// # Errors
/// If a text cannot be read or encoded, the writer fails, or the observer asks to stop; then the rows
/// so far are written.
pub fn encode_dense_to<D>(
    embedder: &Embedder,
    side: Side,
    texts: D,
    position: Position,
    mut writer: impl Write,
    observer: &mut dyn Observer,
) -> Result<u64, Error>
where
    D: IntoIterator<Item: IntoRecord>,
{
    let (dim, is_matrix) = (embedder.dim(), embedder.kind() == HeadKind::MultiVector);
    let write = |id: &str, numbers: &[f32]| {
        let line = row_json(id, numbers, dim, is_matrix);
        writeln!(writer, "{line}").map_err(Error::io("write", "standard output".as_ref()))
    };
    embed(embedder, side, texts, position, observer, write)
}

/// The texts that are embedded at a time.
const WINDOW: usize = 128;

/// Embeds all records and hands over the id and the numbers of each in order.
fn embed<D>(
    embedder: &Embedder,
    side: Side,
    texts: D,
    position: Position,
    observer: &mut dyn Observer,
    mut take: impl FnMut(&str, &[f32]) -> Result<(), Error>,
) -> Result<u64, Error>
where
    D: IntoIterator<Item: IntoRecord>,
{
    let mut records = Records::new(texts.into_iter().map(IntoRecord::into_record), position);
    let mut done = Counts::new("texts", records.share());
    let (mut count, mut truncated) = (0, 0);
    loop {
        let window: Vec<Record> = records.by_ref().take(WINDOW).collect::<Result<_, _>>()?;
        if window.is_empty() {
            break;
        }
        let texts: Vec<&str> = window.iter().map(|record| record.text.as_str()).collect();
        let embedded = embedder.embed_batch(side, &texts)?;
        for (record, embedding) in window.iter().zip(&embedded.embeddings) {
            take(&record.id, embedding.numbers())?;
        }
        count += window.len() as u64;
        truncated += embedded.truncated;
        done.add(window.len(), embedded.tokens, records.share());
        observer.event(done.event(false));
        if observer.stop() {
            return Err(Error::stopped());
        }
    }
    observer.event(done.event(true));
    if truncated > 0 {
        let limit = embedder.max_length(side);
        let texts = counted(truncated as u64, "texts");
        observer.event(Event::Note(&format!("cut off {texts} at {limit} tokens")));
    }
    Ok(count)
}
