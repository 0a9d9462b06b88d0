//! The Common Index File Format (CIFF; Lin et al., SIGIR 2020), which PISA, BMP, JASS, Terrier and
//! Lucene import.
//!
//! A CIFF file has a header, a postings list for each term in the order of the terms' bytes, and
//! the documents. Each is a protobuf message that follows its length. A posting is the distance to
//! the previous document and an impact.
//!
//! Documents are inverted shard by shard: a shard is sorted in memory and written to its own file,
//! and all shards are merged at the end. The memory is therefore that of one shard or of the
//! longest list. An inverted shard has two sections, with little-endian numbers:
//!
//! 1. The documents: their number (8 bytes), then for each document the length of its id (4 bytes),
//!    the id, and the sum of its impacts (8).
//! 2. The lists in the order of the terms' bytes, each with the length of the term (4), the term,
//!    the number of postings (8), the sum of impacts (8), the first document (4), the last document
//!    (4), the impact of the first posting (4), the length of the other postings (4), and the other
//!    postings as in the CIFF file.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::lucene::push_repeated;
use super::quantize::{Quantisation, impacts};
use super::tokens::{TermNames, is_blank};
use splade_io::{FileError, NewFile, Problem};
use splade_sparse::files::{RowWriter, Shard, ShardForm};
use splade_sparse::{SparseVector, TermId};

/// The target CIFF: one inverted file of impacts.
///
/// ```
/// use splade_export::targets::Ciff;
/// use splade_export::{Target, TermNames};
/// use splade_sparse::{SparseVector, TermId};
///
/// let terms = TermNames::tokens(["night", "train"].map(str::to_owned).into())?;
/// let target = Target::Ciff(Ciff::new(terms, 100.0, 100.0));
/// let folder = tempfile::tempdir()?;
/// let mut queries = target.queries(&folder.path().join(target.queries_file()))?;
/// let vector = SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?;
/// queries.write("q1", &vector)?;
/// queries.finish()?;
/// let written = std::fs::read_to_string(folder.path().join(target.queries_file()))?;
/// assert!(written.contains("night"), "{written}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Ciff {
    terms: TermNames,
    scale: f32,
    query_scale: f32,
}

/// The largest number of shards that can be merged. Each is an open file during the merge.
const SHARDS: usize = 500;
/// The name of the CIFF file.
const INDEX: &str = "index.ciff";

impl Ciff {
    /// Makes the target of documents with weights times `scale` and of queries with weights times
    /// `query_scale`, rounded to impacts.
    pub fn new(terms: TermNames, scale: f32, query_scale: f32) -> Self {
        Self { terms: terms.without(is_blank), scale, query_scale }
    }

    /// Returns the names and the size of the inverted shards.
    pub(crate) fn form(&self) -> ShardForm {
        ShardForm {
            format: super::text::EXPORT,
            stem: "part",
            extension: "inverted",
            rows: 100_000,
        }
    }

    /// Returns the scales of documents and queries.
    pub(crate) fn quantisation(&self) -> Quantisation {
        Quantisation::Integers { documents: self.scale, queries: Some(self.query_scale) }
    }

    /// Appends a query in the form that PISA and BMP read.
    pub(crate) fn query(
        &self,
        id: &str,
        vector: &SparseVector,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        if id.is_empty() || id.contains(|mark| mark == ':' || is_blank(mark)) {
            return Err("its id is empty, or has white space or a colon, which end it".into());
        }
        push_repeated(out, (id, b':'), vector, self.query_scale, &self.terms)
    }

    /// Creates the file of a shard, which is written when the writer is finished.
    pub(crate) fn create(&self, path: &Path) -> Result<InvertedShardWriter<'_>, FileError> {
        let file = File::create(path).map_err(FileError::io("write", path))?;
        let (documents, lists) = (Vec::new(), BTreeMap::new());
        Ok(InvertedShardWriter { ciff: self, path: path.to_path_buf(), file, documents, lists })
    }

    /// Checks that another shard can be merged with these shards.
    pub(crate) fn check_room(&self, dir: &Path, shards: &[Shard]) -> Result<(), FileError> {
        if shards.len() < SHARDS {
            return Ok(());
        }
        let rows = shards.iter().map(|shard| shard.rows).max().unwrap_or(0);
        Err(FileError::form(
            dir,
            Problem::new(format!("the folder has {SHARDS} full shards, and more cannot be merged"))
                .with_remedy(format!(
                    "export to another folder with a --shard-rows above {rows}, which takes more \
                     memory"
                )),
        ))
    }

    /// Merges the shards into the CIFF file.
    pub(crate) fn merge(&self, dir: &Path, shards: &[Shard]) -> Result<(), FileError> {
        let result = dir.join(INDEX);
        let (documents, most) = (shards.iter().map(|shard| shard.rows).sum::<u64>(), i32::MAX);
        if documents > most as u64 {
            let message = format!("{documents} documents are too many; CIFF has at most {most}");
            return Err(FileError::form(&result, message));
        }
        if shards.len() > SHARDS {
            let rows = documents.div_ceil(SHARDS as u64);
            return Err(FileError::form(
                dir,
                Problem::new(format!(
                    "the folder has {} shards, but only {SHARDS} can be merged",
                    shards.len()
                ))
                .with_remedy(format!("export to another folder with --shard-rows {rows} or more")),
            ));
        }
        let paths: Vec<PathBuf> = shards.iter().map(|shard| dir.join(&shard.file)).collect();
        let (mut lists, mut tokens) = (0u64, 0u64);
        each_list(&paths, |list| {
            lists += 1;
            tokens += list.sum;
            Ok(())
        })?;
        let mut out = Messages { path: &result, writer: NewFile::create(&result)? };
        let mut header = Vec::new();
        for (field, number) in
            [(1, 1), (2, lists), (3, documents), (4, lists), (5, documents), (6, tokens)]
        {
            push_number(&mut header, field, number);
        }
        header.push(7 << 3 | 1);
        let mean = tokens as f64 / (documents as f64).max(1.0);
        header.extend_from_slice(&mean.to_le_bytes());
        let about = format!("SPLADE, weights times {}", self.scale);
        push_bytes(&mut header, 8, about.as_bytes());
        out.write(&header)?;
        each_list(&paths, |list| {
            let mut message = Vec::with_capacity(list.postings.len() + list.term.len() + 32);
            push_bytes(&mut message, 1, &list.term);
            push_number(&mut message, 2, list.count);
            push_number(&mut message, 3, list.sum);
            message.extend_from_slice(&list.postings);
            out.write(&message)
        })?;
        let mut number = 0;
        for path in &paths {
            let mut shard = InvertedShard::open(path)?;
            for _ in 0..shard.documents {
                let (id, sum) = shard.document()?;
                let mut message = Vec::new();
                push_number(&mut message, 1, number);
                push_bytes(&mut message, 2, &id);
                push_number(&mut message, 3, sum);
                out.write(&message)?;
                number += 1;
            }
        }
        out.writer.commit()
    }
}

/// A writer that inverts the documents of one shard in memory.
pub(crate) struct InvertedShardWriter<'a> {
    ciff: &'a Ciff,
    path: PathBuf,
    file: File,
    /// The id of each document and the sum of its impacts.
    documents: Vec<(String, u64)>,
    /// The postings of each term, as the number of the document in the shard and the impact.
    lists: BTreeMap<TermId, Vec<(u32, u32)>>,
}

impl RowWriter for InvertedShardWriter<'_> {
    fn write(&mut self, id: &str, vector: &SparseVector) -> Result<(), FileError> {
        if id.is_empty() || id.contains(is_blank) {
            let message = "its id is empty or has white space, which ends it in lists of documents";
            return Err(FileError::document(id, message));
        }
        let refuse = |problem: Problem| FileError::document(id, problem);
        let impacts = impacts(vector, self.ciff.scale).map_err(refuse)?;
        let sum: u64 = impacts.iter().map(|(_, impact)| impact).sum();
        if sum > i32::MAX as u64 {
            let problem = Problem::new(format!("the sum of its weights is {sum}"));
            return Err(refuse(problem.with_remedy("give a smaller scale")));
        }
        let place = u32::try_from(self.documents.len())
            .map_err(|_| refuse("a shard has at most 4 billion documents".into()))?;
        for (term, impact) in impacts {
            self.lists.entry(term).or_default().push((place, impact as u32));
        }
        self.documents.push((id.to_owned(), sum));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), FileError> {
        let Self { ciff, path, file, documents, lists } = *self;
        let mut writer = BufWriter::with_capacity(1 << 16, file);
        let mut write = || -> std::io::Result<()> {
            writer.write_all(&(documents.len() as u64).to_le_bytes())?;
            for (id, sum) in &documents {
                write_bytes(&mut writer, id.as_bytes())?;
                writer.write_all(&sum.to_le_bytes())?;
            }
            let mut named: Vec<_> =
                lists.iter().map(|(term, list)| (ciff.terms.name(*term), list)).collect();
            named.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            for (name, list) in named {
                let [(first, first_weight), ..] = list[..] else { continue };
                let (last, sum) =
                    list.iter().fold((first, 0), |(_, sum), (d, w)| (*d, sum + u64::from(*w)));
                let mut rest = Vec::new();
                for pair in list.windows(2) {
                    push_posting(&mut rest, pair[1].0 - pair[0].0, pair[1].1);
                }
                write_bytes(&mut writer, name.as_bytes())?;
                writer.write_all(&(list.len() as u64).to_le_bytes())?;
                writer.write_all(&sum.to_le_bytes())?;
                for number in [first, last, first_weight] {
                    writer.write_all(&number.to_le_bytes())?;
                }
                write_bytes(&mut writer, &rest)?;
            }
            writer.flush()
        };
        write().map_err(FileError::io("write", &path))
    }
}

/// Writes the length of bytes in 4 bytes, and the bytes.
fn write_bytes(writer: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len())
        .map_err(|_| std::io::Error::other("a list has more than 4 GB; lower --shard-rows"))?;
    writer.write_all(&length.to_le_bytes())?;
    writer.write_all(bytes)
}

/// A reader of an inverted shard.
struct InvertedShard {
    path: PathBuf,
    reader: BufReader<File>,
    /// The number of documents.
    documents: u64,
}

/// The postings list of a term in a shard.
struct ShardList {
    term: Vec<u8>,
    /// The number of postings.
    count: u64,
    /// The sum of impacts.
    sum: u64,
    /// The first document, by its number in the shard.
    first: u32,
    /// The last document, by its number in the shard.
    last: u32,
    /// The impact of the first posting.
    first_weight: u32,
    /// The messages of the other postings.
    rest: Vec<u8>,
}

impl InvertedShard {
    /// Opens a shard and reads the number of documents.
    fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::io("open", path))?;
        let reader = BufReader::with_capacity(1 << 16, file);
        let mut shard = Self { path: path.to_path_buf(), reader, documents: 0 };
        shard.documents = u64::from_le_bytes(shard.array()?);
        Ok(shard)
    }

    /// Reads `N` bytes.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], FileError> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(FileError::io("read", &self.path))?;
        Ok(bytes)
    }

    /// Reads a little-endian number of 4 bytes.
    fn u32(&mut self) -> Result<u32, FileError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a length of 4 bytes and that many bytes.
    fn bytes(&mut self) -> Result<Vec<u8>, FileError> {
        let mut bytes = vec![0; self.u32()? as usize];
        self.reader.read_exact(&mut bytes).map_err(FileError::io("read", &self.path))?;
        Ok(bytes)
    }

    /// Reads the id and the sum of impacts of the next document.
    fn document(&mut self) -> Result<(Vec<u8>, u64), FileError> {
        Ok((self.bytes()?, u64::from_le_bytes(self.array()?)))
    }

    /// Reads the next list, or returns `None` at the end. All documents must be read before.
    fn list(&mut self) -> Result<Option<ShardList>, FileError> {
        let left = std::io::BufRead::fill_buf(&mut self.reader).map(|left| !left.is_empty());
        if !left.map_err(FileError::io("read", &self.path))? {
            return Ok(None);
        }
        Ok(Some(ShardList {
            term: self.bytes()?,
            count: u64::from_le_bytes(self.array()?),
            sum: u64::from_le_bytes(self.array()?),
            first: self.u32()?,
            last: self.u32()?,
            first_weight: self.u32()?,
            rest: self.bytes()?,
        }))
    }
}

/// The postings list of a term in the CIFF file.
struct List {
    term: Vec<u8>,
    /// The number of postings.
    count: u64,
    /// The sum of impacts.
    sum: u64,
    /// The messages of all postings.
    postings: Vec<u8>,
}

/// Merges the lists of all shards and passes each merged list to `take`, in the order of the terms'
/// bytes.
fn each_list(
    paths: &[PathBuf],
    mut take: impl FnMut(List) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let mut shards = Vec::new();
    // The number of each shard's first document in the CIFF file.
    let mut starts = Vec::new();
    let mut waiting = BinaryHeap::new();
    let mut lists = Vec::new();
    let mut start = 0;
    for path in paths {
        let mut shard = InvertedShard::open(path)?;
        for _ in 0..shard.documents {
            shard.document()?;
        }
        starts.push(start);
        start += shard.documents;
        shards.push(shard);
        lists.push(None);
    }
    let mut advance = |place: usize, waiting: &mut BinaryHeap<_>| -> Result<_, FileError> {
        let next: Option<ShardList> = shards[place].list()?;
        if let Some(list) = &next {
            waiting.push(Reverse((list.term.clone(), place)));
        }
        Ok(std::mem::replace(&mut lists[place], next))
    };
    for place in 0..paths.len() {
        advance(place, &mut waiting)?;
    }
    while let Some(Reverse((term, _))) = waiting.peek() {
        let mut joined = List { term: term.clone(), count: 0, sum: 0, postings: Vec::new() };
        let mut before = 0;
        while let Some(Reverse((term, place))) = waiting.peek()
            && *term == joined.term
        {
            let place = *place;
            waiting.pop();
            let Some(list) = advance(place, &mut waiting)? else { continue };
            let at = |document: u32| starts[place] + u64::from(document);
            push_posting(&mut joined.postings, (at(list.first) - before) as u32, list.first_weight);
            joined.postings.extend_from_slice(&list.rest);
            joined.count += list.count;
            joined.sum += list.sum;
            before = at(list.last);
        }
        take(joined)?;
    }
    Ok(())
}

/// A writer of messages, each preceded by its length.
struct Messages<'a> {
    path: &'a Path,
    writer: NewFile,
}

impl Messages<'_> {
    /// Writes the length of a message and the message.
    fn write(&mut self, message: &[u8]) -> Result<(), FileError> {
        let mut length = Vec::with_capacity(10);
        push_varint(&mut length, message.len() as u64);
        let written = self.writer.write_all(&length).and_then(|()| self.writer.write_all(message));
        written.map_err(FileError::io("write", self.path))
    }
}

/// Appends a number in protobuf's variable-length form.
fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a number as a field. As in protobuf, 0 is omitted.
fn push_number(out: &mut Vec<u8>, field: u8, number: u64) {
    if number > 0 {
        out.push(field << 3);
        push_varint(out, number);
    }
}

/// Appends bytes as a field.
fn push_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a posting: the distance to the previous document, and the impact.
fn push_posting(out: &mut Vec<u8>, distance: u32, weight: u32) {
    let mut posting = Vec::with_capacity(12);
    push_number(&mut posting, 1, u64::from(distance));
    push_number(&mut posting, 2, u64::from(weight));
    push_bytes(out, 4, &posting);
}
