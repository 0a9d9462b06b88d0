//! Makes training pairs of texts alone: queries are cut out of the documents that answer them.
//!
//! ```text
//! texts ─► words counted (for keywords) ─► documents cut ─► pairs ─► (scored elsewhere) ─► selected
//! ```
//!
//! The first part writes all pairs into a folder with the one part `train`, from which negatives can be mined and
//! which teachers can score. The second part, [`mod@select`], writes the folder that training reads, without the pairs
//! that the scores show to be false. Texts are read one at a time. In memory are 16 bytes for each different document,
//! 24 for each different query and 8 for each pair, and for keywords 12 for each different word.

mod cut;
mod keywords;
mod select;

pub use cut::PairKind;
pub(super) use select::convert as select;
pub use select::{PairFilter, SelectOptions};

use std::collections::HashMap;
use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use splade_io::{ContentHash, LineWriter, Lines, counted};
use splade_sparse::files::{TextFields, TextForm, TextReader, TextRow};

use super::inputs::files_of_texts;
use super::output::{Master, Output};
use super::steps::Steps;
use crate::error::DataError;
use crate::random::{Random, Stream};
use cut::{Cut, Cutter};
use keywords::{Keywords, Words};

/// The file of a folder of pairs that names the kind of each query: the id, a tab and the kind.
const KINDS: &str = "query_kinds.tsv";

/// Options for making pairs of texts.
///
/// ```
/// use splade_data::convert::{Conversion, CorpusPairs, PairKind, convert};
/// use serde_json::json;
///
/// let folder = tempfile::tempdir()?;
/// let texts = folder.path().join("texts.jsonl");
/// std::fs::write(&texts, concat!(
///     r#"{"id": 1, "title": "Night trains", "text": "They leave at ten. They arrive at dawn."}"#, "\n",
///     r#"{"id": 2, "title": "Gardens", "text": "Rain is good for them. Water them at night."}"#, "\n",
/// ))?;
/// let pairs = CorpusPairs {
///     inputs: vec![texts],
///     text_field: None,
///     format: None,
///     kinds: vec![PairKind::FirstSentence],
///     queries_per_document: 1,
///     whole_share: 0.0,
///     seed: 42,
/// };
/// assert_eq!(pairs.files()?.len(), 1);
/// let out = folder.path().join("pairs");
/// convert(&Conversion::Corpus(pairs), &out, &json!({}), false, &mut ())?;
/// let queries = std::fs::read_to_string(out.join("train/query_master.ndjson"))?;
/// assert!(queries.contains("They leave at ten."));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CorpusPairs {
    /// The files and folders of texts. They are read twice if keywords are wanted, so pipes are refused.
    pub inputs: Vec<PathBuf>,
    /// The field of the text; `title` and `text` if none is named.
    pub text_field: Option<String>,
    /// The form of the inputs; by their first bytes and names if none is given.
    pub format: Option<TextForm>,
    /// Where queries come from.
    pub kinds: Vec<PairKind>,
    /// The largest number of queries of a document, each of another kind.
    pub queries_per_document: usize,
    /// The share of documents that keep what became a query.
    pub whole_share: f64,
    /// The seed of all random choices.
    pub seed: u64,
}

impl CorpusPairs {
    /// Returns the files that are read, in their order.
    ///
    /// # Errors
    /// Returns an error if an input does not exist, is a pipe, or is a folder without files of texts.
    pub fn files(&self) -> Result<Vec<PathBuf>, DataError> {
        files_of_texts(&self.inputs, self.format)
    }
}

/// Reads the texts of files, one after another.
struct Reader<'a> {
    files: std::slice::Iter<'a, PathBuf>,
    open: Option<TextReader>,
    fields: TextFields,
    format: Option<TextForm>,
}

impl<'a> Reader<'a> {
    fn new(files: &'a [PathBuf], options: &CorpusPairs) -> Self {
        let fields = TextFields { id: None, text: options.text_field.clone(), no_ids: true };
        Self { files: files.iter(), open: None, fields, format: options.format }
    }

    fn next_row(&mut self) -> Result<Option<TextRow>, DataError> {
        loop {
            let Some(reader) = &mut self.open else {
                let Some(path) = self.files.next() else { return Ok(None) };
                self.open = Some(TextReader::open(path, &self.fields, self.format, None)?);
                continue;
            };
            match reader.next_row()? {
                Some(row) => return Ok(Some(row)),
                None => self.open = None,
            }
        }
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<TextRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}

/// Makes all pairs of the texts.
pub(super) fn convert(
    options: &CorpusPairs,
    output: &Output,
    steps: &mut Steps<'_>,
) -> Result<Vec<String>, DataError> {
    let files = options.files()?;
    let keywords = match options.kinds.contains(&PairKind::Keywords) {
        true => Some(count_words(&files, options, steps)?),
        false => None,
    };
    let cutter = Cutter {
        kinds: &options.kinds,
        most: options.queries_per_document,
        whole_share: options.whole_share,
        keywords: keywords.as_ref(),
    };
    let part = output.split("train")?;
    let mut pairs = Pairs::create(&output.path("queries.tmp"))?;
    let mut seen = HashSet::new();
    let mut repeated = 0u64;
    let mut rows = Reader::new(&files, options).enumerate();
    let documents = std::iter::from_fn(|| {
        loop {
            let (number, row) = rows.next()?;
            let made = row.and_then(|row| {
                if !seen.insert(ContentHash::of(format!("{} {}", row.title, row.text).as_bytes())) {
                    repeated += 1;
                    return Ok(None);
                }
                let random = &mut Random::new(&[options.seed, Stream::CUT_PAIRS, number as u64]);
                let cut = cutter.cut(&row.title, &row.text, random)?;
                pairs.add(cut)
            });
            if let Some(document) = made.transpose() {
                return Some(document);
            }
        }
    });
    let documents = part.texts(Master::Documents, documents, steps)?;
    let made = pairs.pairs.len();
    if made == 0 {
        let message = format!("none of the {documents} texts gives a query");
        return Err(DataError::NothingLeft(message));
    }
    let mut notes = vec![format!(
        "{} out of {}: {}",
        counted(made, "pairs"),
        counted(documents, "documents"),
        by_kind(pairs.kinds.iter().copied())
    )];
    if repeated > 0 {
        notes.push(format!("skipped {}", counted(repeated, "repeated texts")));
    }
    pairs.write(documents, &part, output, steps)?;
    notes.extend(part.check(None)?);
    Ok(notes)
}

/// Counts the words of all texts.
fn count_words(
    files: &[PathBuf],
    options: &CorpusPairs,
    steps: &mut Steps<'_>,
) -> Result<Keywords, DataError> {
    let mut keywords = Keywords::new(Words::new()?);
    for (count, row) in Reader::new(files, options).enumerate() {
        steps.count("texts whose words are counted", count, None)?;
        keywords.add(&row?.text)?;
    }
    Ok(keywords)
}

/// The pairs so far. Their queries are in a temporary file, because their ids follow those of the documents, whose
/// number is not known yet.
struct Pairs {
    path: PathBuf,
    file: LineWriter,
    /// The number of each query by the hash of its text.
    numbers: HashMap<ContentHash, u32>,
    /// The kind of each query.
    kinds: Vec<PairKind>,
    /// The number of the document that was written last, counted from 1.
    document: u32,
    /// The number of a query, and of a document that answers it.
    pairs: Vec<(u32, u32)>,
}

impl Pairs {
    fn create(path: &Path) -> Result<Self, DataError> {
        Ok(Self {
            path: path.to_path_buf(),
            file: LineWriter::create(path)?,
            numbers: HashMap::new(),
            kinds: Vec::new(),
            document: 0,
            pairs: Vec::new(),
        })
    }

    /// Takes the next document with its queries, and returns the id and the text of the document; nothing if the text
    /// is empty.
    fn add(&mut self, cut: Cut) -> Result<Option<(i64, String)>, DataError> {
        if cut.text.is_empty() {
            return Ok(None);
        }
        self.document += 1;
        for (kind, query) in cut.queries {
            let next = self.kinds.len() as u32;
            let number = match self.numbers.entry(ContentHash::of(query.as_bytes())) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(free) => {
                    self.file.line(format_args!("{query}"))?;
                    self.kinds.push(kind);
                    *free.insert(next)
                }
            };
            self.pairs.push((number, self.document));
        }
        Ok(Some((i64::from(self.document), cut.text)))
    }

    /// Writes queries, positive lists and kinds. Queries are numbered after the documents.
    fn write(
        self,
        documents: usize,
        part: &super::output::SplitFolder,
        output: &Output,
        steps: &mut Steps<'_>,
    ) -> Result<(), DataError> {
        let Self { path, file, kinds, mut pairs, .. } = self;
        file.finish()?;
        let id = |number: u32| documents as i64 + 1 + i64::from(number);
        let mut lines = Lines::open(&path)?;
        let mut number = 0;
        let queries = std::iter::from_fn(|| {
            let query = lines.next_line().transpose()?;
            let row = query.map(|query| (id(number), query)).map_err(DataError::from);
            number += 1;
            Some(row)
        });
        part.texts(Master::Queries, queries, steps)?;
        std::fs::remove_file(&path).map_err(DataError::io(&path))?;
        // Equal titles are one query, which all their documents answer.
        pairs.sort_unstable();
        pairs.dedup();
        let lists = pairs.chunk_by(|a, b| a.0 == b.0);
        part.positives(
            lists
                .map(|list| (id(list[0].0), list.iter().map(|(_, document)| i64::from(*document)))),
        )?;
        let mut file = LineWriter::create(&output.path(KINDS))?;
        for (number, kind) in kinds.iter().enumerate() {
            file.line(format_args!("{}\t{}", id(number as u32), kind.name()))?;
        }
        Ok(file.finish()?)
    }
}

/// Counts by kind, as `12 title, 30 cloze`.
fn by_kind(kinds: impl Iterator<Item = PairKind>) -> String {
    let mut counts = [0u64; PairKind::NAMED.len()];
    for kind in kinds {
        let place = PairKind::NAMED.iter().position(|(_, own)| *own == kind);
        place.into_iter().for_each(|place| counts[place] += 1);
    }
    let named = PairKind::NAMED.iter().zip(counts).filter(|(_, count)| *count > 0);
    named.map(|((name, _), count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}
