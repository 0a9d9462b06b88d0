//! An index of documents: built, changed and checked.

use std::path::{Path, PathBuf};

#[cfg(feature = "tools")]
use serde_json::json;
use splade_index::IndexError;
use splade_index::bm25::Bm25Options;
use splade_index::{
    Index as VectorIndex, IndexInfo, IndexOptions as VectorIndexOptions, IndexWriter, TokenCounter,
    Verified, WeightFormat, WriterOptions,
};
#[cfg(feature = "tools")]
use splade_io::Event;
#[cfg(feature = "tools")]
use splade_io::settings::difference;
use splade_io::{Observer, counted};
use splade_model::{Encoder, Side};
use splade_sparse::SparseVector;
#[cfg(feature = "tools")]
use splade_sparse::files::VectorReader;
use splade_text::{Tokenizer, TokenizerOptions};

use crate::document::StoredDocument;
use crate::encoder::SparseEncoder;
use crate::error::Error;
#[cfg(feature = "tools")]
use crate::error::advised;
#[cfg(feature = "tools")]
use crate::ids::Ids;
use crate::model::Vocabulary;
use crate::provenance::Provenance;
#[cfg(feature = "tools")]
use crate::provenance::VectorSources;
use crate::pruning::Pruning;
use crate::record::{IntoRecord, Position, Record};
#[cfg(feature = "tools")]
use crate::stream::Counts;
use crate::stream::{self, Ended, Records};

/// Settings of a new index.
///
/// ```
/// use light_splade::search::WeightFormat;
/// use light_splade::{Index, IndexOptions, SparseEncoder, SparseEncoderOptions};
///
/// let folder = tempfile::tempdir()?;
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// // The smaller index: every weight has eight bits.
/// let options = IndexOptions { weights: WeightFormat::U8, ..IndexOptions::default() };
/// let mut index = Index::create(folder.path().join("index"), &encoder, &options)?;
/// index.upsert(&encoder, [("tokyo", "日本の首都は東京です。")], &mut ())?;
/// assert_eq!(index.commit()?.documents, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct IndexOptions {
    /// How weights are kept: 8 bits, 16-bit floats, or exactly.
    pub weights: WeightFormat,
    /// Which weights of a document are kept at all.
    pub pruning: Pruning,
    /// The tower that encodes the documents.
    pub side: Side,
    /// The bytes that documents may take in memory until they are written, about.
    pub memory: usize,
    /// The number of threads that write; all cores if none.
    pub threads: Option<usize>,
    /// Leaves documents as they are that the last commit has; others are added.
    pub new_only: bool,
    /// Adds vectors of other models and settings than those of the index.
    pub any_model: bool,
    /// Keeps the title and the text of each document, for hits that show them, for re-ranking and
    /// for BM25. Of an index that is there already, it is known whether it does.
    pub store: bool,
    /// Keeps postings of BM25 beside the vectors, made of the stored texts, which the index must keep
    /// then, too. Of an index that is there already, it is known whether it does.
    pub bm25: Option<Bm25Options>,
}

impl Default for IndexOptions {
    fn default() -> Self {
        let WriterOptions { memory, threads } = WriterOptions::default();
        Self {
            weights: WeightFormat::U8,
            pruning: Pruning::default(),
            side: Side::Document,
            memory,
            threads,
            new_only: false,
            any_model: false,
            store: false,
            bm25: None,
        }
    }
}

impl IndexOptions {
    /// How the writer of the index works.
    pub(crate) fn writer(&self) -> WriterOptions {
        WriterOptions { memory: self.memory, threads: self.threads }
    }
}

/// An index of documents in a folder, open for changes.
///
/// Changes are collected and written by [`commit`](Self::commit); what is not committed is gone with
/// the value. Readers see the last commit and are never disturbed. An index has one writer at a
/// time, which holds its lock.
///
/// ```
/// use light_splade::{Index, IndexOptions, SearchOptions, Searcher, SparseEncoder};
/// use light_splade::SparseEncoderOptions;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("index");
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let mut index = Index::create(&path, &encoder, &IndexOptions::default())?;
/// let documents = [("tokyo", "日本の首都は東京です。"), ("osaka", "大阪万博は2025年に開催されます。")];
/// index.upsert(&encoder, documents, &mut ())?;
/// index.commit()?;
/// assert!(index.delete("osaka"));
/// assert_eq!(index.commit()?.documents, 1);
/// drop(index);
///
/// let searcher = Searcher::open(&path, Some(encoder))?;
/// let hits = searcher.search("首都", &SearchOptions::default())?;
/// assert_eq!(hits[0].id, "tokyo");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Index {
    folder: PathBuf,
    writer: IndexWriter,
    provenance: Provenance,
    /// Whether vectors of other models may be added.
    any_model: bool,
    /// The last commit, where documents that it has stay as they are.
    known: Option<VectorIndex>,
    /// The number of documents that were put since the index was opened.
    put: u64,
    /// Whether the writer can count the tokens of documents for BM25.
    counts_tokens: bool,
}

impl Index {
    /// Begins an index of a model's vectors in a folder that is empty or does not exist.
    ///
    /// # Errors
    /// If there is an index already, another writer, or the folder cannot be written, or if the
    /// options ask for BM25 without texts.
    pub fn create(
        folder: impl AsRef<Path>,
        encoder: &SparseEncoder,
        options: &IndexOptions,
    ) -> Result<Self, Error> {
        let provenance = Provenance::of_encoder(encoder, options.side, &options.pruning)?;
        let mut this = Self::create_with(folder.as_ref(), provenance, options)?;
        this.count_tokens_by(encoder.tower(options.side)?.clone());
        Ok(this)
    }

    /// Begins an index of vectors that come from elsewhere; `provenance` says what is known of them.
    ///
    /// # Errors
    /// If there is an index already, another writer, or the folder cannot be written.
    pub fn create_with(
        folder: &Path,
        provenance: Provenance,
        options: &IndexOptions,
    ) -> Result<Self, Error> {
        options.pruning.check()?;
        let settings = provenance.to_json();
        let IndexOptions { weights, store, bm25, any_model, .. } = *options;
        let vectors = VectorIndexOptions { weights, settings, store, bm25 };
        let writer = IndexWriter::create(folder, vectors, options.writer())?;
        Ok(Self::of(folder, writer, provenance, any_model))
    }

    fn of(folder: &Path, writer: IndexWriter, provenance: Provenance, any_model: bool) -> Self {
        let (folder, known, put, counts_tokens) = (folder.to_path_buf(), None, 0, false);
        Self { folder, writer, provenance, any_model, known, put, counts_tokens }
    }

    /// Goes on with an index that an earlier call with the same settings has begun, or begins it.
    /// Documents that the last commit has stay as they are and are not encoded again.
    ///
    /// # Errors
    /// If the index was begun with other settings, there is another writer, or the folder cannot be
    /// read or written.
    #[cfg(feature = "tools")]
    pub fn resume(
        folder: impl AsRef<Path>,
        encoder: &SparseEncoder,
        options: &IndexOptions,
    ) -> Result<Self, Error> {
        let provenance = Provenance::of_encoder(encoder, options.side, &options.pruning)?;
        Self::resume_with(folder.as_ref(), provenance, options)
    }

    /// Does the same with vectors that come from elsewhere; `provenance` says what is known of them.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    #[cfg(feature = "tools")]
    pub fn resume_with(
        folder: &Path,
        provenance: Provenance,
        options: &IndexOptions,
    ) -> Result<Self, Error> {
        let last = match VectorIndex::open(folder) {
            Ok(last) => last,
            Err(IndexError::Missing { .. } | IndexError::Unfinished { .. }) => {
                return Self::create_with(folder, provenance, options);
            }
            Err(error) => return Err(error.into()),
        };
        let info = last.info();
        let all = |settings, weights, store, bm25: Option<Bm25Options>| {
            let bm25 = bm25.map(|Bm25Options { k1, b }| json!({"k1": k1, "b": b}));
            json!({"settings": settings, "weights": format!("{weights:?}"), "store": store, "bm25": bm25})
        };
        let bm25 = info.bm25.map(|bm25| bm25.options);
        let was = all(last.settings().clone(), info.weights, last.stores(), bm25);
        let is = all(provenance.to_json(), options.weights, options.store, options.bm25);
        let differs = difference(&was["settings"], &is["settings"]);
        if let Some(differs) = differs.or_else(|| difference(&was, &is)) {
            return Err(advised(
                format!("{} was begun with other settings: {differs}", folder.display()),
                "build the index in another folder",
            ));
        }
        Self::open(folder, &IndexOptions { new_only: true, ..options.clone() })
    }

    /// Opens an index for changes.
    ///
    /// # Errors
    /// If there is none, it is damaged, or has another writer.
    pub fn open(folder: impl AsRef<Path>, options: &IndexOptions) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let last = VectorIndex::open(folder)?;
        let provenance = Provenance::from_json(last.settings());
        let writer = IndexWriter::open(folder, options.writer())?;
        let this = Self::of(folder, writer, provenance, options.any_model);
        Ok(Self { known: options.new_only.then_some(last), ..this })
    }

    /// Whether the index keeps the titles and texts of its documents.
    pub fn stores(&self) -> bool {
        self.writer.stores()
    }

    /// Whether the index keeps postings of BM25.
    pub fn has_bm25(&self) -> bool {
        self.writer.has_bm25()
    }

    /// Takes the tokens for BM25 from an encoder of the index's model. Only [`merge`](Self::merge)
    /// of an index that was opened needs this, and only where the model is no longer where the
    /// index was built from: [`upsert`](Self::upsert) has an encoder.
    ///
    /// # Errors
    /// If the index has vectors of another model.
    pub fn use_encoder(&mut self, encoder: &SparseEncoder) -> Result<(), Error> {
        let (side, pruning) = self.encoded_as();
        self.check(&Provenance::of_encoder(encoder, side, &pruning)?, "the encoder has")?;
        self.count_tokens_by(encoder.tower(side)?.clone());
        Ok(())
    }

    /// The side of the model and the pruning that documents are encoded with.
    fn encoded_as(&self) -> (Side, Pruning) {
        let side = self.provenance.encoding.as_ref().map_or(Side::Document, |how| how.side);
        (side, self.provenance.pruning())
    }

    /// Counts the tokens of documents by what has the tokenizer of the model.
    fn count_tokens_by(&mut self, owner: impl HasTokenizer) {
        self.counts_tokens = true;
        self.writer.set_token_counter(TokenCounter::new(move |bytes| {
            let document = StoredDocument::from_bytes(bytes)?.unwrap_or_default();
            Ok(owner.tokenizer().encode_plain(&document.full_text())?)
        }));
    }

    /// Loads the tokenizer of the index's model, if BM25 needs one and none is there.
    fn find_tokenizer(&mut self) -> Result<(), Error> {
        if self.counts_tokens || !self.writer.has_bm25() {
            return Ok(());
        }
        let model = self.provenance.model.as_deref().ok_or(Error::NoIndexModel)?;
        let side = self.encoded_as().0;
        let vocabulary = Vocabulary::open(model, side, &TokenizerOptions::default(), &mut ());
        let checked = vocabulary.and_then(|vocabulary| {
            self.check(&Provenance::of_vocabulary(&vocabulary)?, "there is now")?;
            Ok(vocabulary)
        });
        let vocabulary = checked.map_err(|error| Error::IndexModel(Box::new(error)))?;
        self.count_tokens_by(vocabulary);
        Ok(())
    }

    /// Whether documents of an earlier commit stay as they are (see [`IndexOptions::new_only`]).
    pub fn keeps_documents(&self) -> bool {
        self.known.is_some()
    }

    /// The folder of the index.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// What the index knows of the model of its vectors.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The number of documents that were added or replaced since the index was opened.
    pub fn put(&self) -> u64 {
        self.put
    }

    /// Encodes documents and adds them; a document whose id is there is replaced. Returns the number
    /// of documents.
    ///
    /// # Errors
    /// If a document cannot be read, encoded or written, the index has vectors of another model or
    /// of other settings, or the observer asks to stop. What was added before that is part of the next commit.
    pub fn upsert<D>(
        &mut self,
        encoder: &SparseEncoder,
        documents: D,
        observer: &mut dyn Observer,
    ) -> Result<u64, Error>
    where
        D: IntoIterator<Item: IntoRecord>,
    {
        self.upsert_read(encoder, documents, Position::default(), observer)
    }

    /// Does the same with documents whose source tells how far it has been read, so that the
    /// observer hears of it.
    ///
    /// # Errors
    /// As [`upsert`](Self::upsert).
    pub fn upsert_read<D>(
        &mut self,
        encoder: &SparseEncoder,
        documents: D,
        position: Position,
        observer: &mut dyn Observer,
    ) -> Result<u64, Error>
    where
        D: IntoIterator<Item: IntoRecord>,
    {
        self.use_encoder(encoder)?;
        let (side, pruning) = self.encoded_as();
        let tower = encoder.tower(side)?;
        let documents = documents.into_iter().map(IntoRecord::into_record);
        let records = Records::new(documents, position);
        self.put_all(Documents::Texts { encoder: tower, records, pruning }, observer)
    }

    /// Adds the vectors of files or folders that were written by `encode`. Keys of NDJSON are tokens
    /// of the vocabulary, or ids without one. Returns the number of vectors.
    ///
    /// # Errors
    /// If a vector cannot be read or written, has a term outside the vocabulary, or was made with
    /// another model or other settings than those of the index, or if the observer asks to stop.
    /// What was added before that is part of the next commit.
    #[cfg(feature = "tools")]
    pub fn upsert_vectors(
        &mut self,
        paths: Vec<PathBuf>,
        vocabulary: Option<&Vocabulary>,
        observer: &mut dyn Observer,
    ) -> Result<u64, Error> {
        if !self.any_model
            && let Some(provenance) = VectorSources::read(&paths)?.joined()?
        {
            self.check(&provenance, "the vectors were made with")?;
        }
        if self.stores() {
            observer.event(Event::Warning(
                "the index keeps texts, but vectors have none: these documents are shown and searched \
                 without them",
            ));
        }
        self.put_all(Documents::Vectors { paths, vocabulary }, observer)
    }

    /// Refuses what was made with another model or other settings.
    fn check(&self, other: &Provenance, what: &str) -> Result<(), Error> {
        match self.any_model {
            true => Ok(()),
            false => {
                let mine = format!("the index {} was made with", self.folder.display());
                self.provenance.check_vectors(&mine, other, what)
            }
        }
    }

    /// Adds a vector, or replaces the one with this id.
    ///
    /// # Errors
    /// If the id is too long or the index cannot be written.
    pub fn upsert_vector(&mut self, id: &str, vector: &SparseVector) -> Result<(), Error> {
        self.writer.put(id, vector)?;
        self.put += 1;
        Ok(())
    }

    /// Deletes a document; returns whether it was there.
    pub fn delete(&mut self, id: &str) -> bool {
        self.writer.delete(id)
    }

    /// Writes all changes, so that readers that open the index from now on see them.
    ///
    /// # Errors
    /// If the index cannot be written, or a text cannot be tokenized for BM25; then the last commit
    /// stays.
    pub fn commit(&mut self) -> Result<IndexInfo, Error> {
        if self.put > 0 {
            self.find_tokenizer()?;
        }
        Ok(self.writer.commit()?)
    }

    /// Joins the newest files where many of them are small, and commits; returns `None` where there
    /// is nothing to join. It keeps an index with many small commits quick.
    ///
    /// # Errors
    /// As [`merge`](Self::merge).
    pub fn join_recent(&mut self) -> Result<Option<IndexInfo>, Error> {
        match self.writer.join_recent() {
            Err(IndexError::NoTokenCounter { .. }) => {
                self.find_tokenizer()?;
                Ok(self.writer.join_recent()?)
            }
            joined => Ok(joined?),
        }
    }

    /// Commits and rewrites all documents into as few files as possible, without the deleted ones.
    /// BM25 is made anew of the stored texts, with the mean length that they have now.
    ///
    /// # Errors
    /// If the index cannot be read or written, or has BM25 and its model cannot be found (see
    /// [`use_encoder`](Self::use_encoder)); then the last commit stays.
    pub fn merge(&mut self) -> Result<IndexInfo, Error> {
        self.find_tokenizer()?;
        Ok(self.writer.merge()?)
    }

    /// Reads every byte of the last commit and compares it with its checksum.
    ///
    /// # Errors
    /// If the index is damaged; the message names the file.
    pub fn verify(folder: impl AsRef<Path>) -> Result<Verified, Error> {
        Ok(splade_index::verify(folder.as_ref())?)
    }

    fn put_all(
        &mut self,
        documents: Documents<'_>,
        observer: &mut dyn Observer,
    ) -> Result<u64, Error> {
        let before = self.put;
        let (put, writer) = (&mut self.put, &mut self.writer);
        let ended = documents.each(self.known.as_ref(), observer, |id, vector, record| {
            match record.filter(|_| writer.stores()) {
                Some(record) => {
                    let bytes = StoredDocument::from(record).to_bytes();
                    writer.put_stored(id, vector, &bytes)?;
                }
                None => writer.put(id, vector)?,
            }
            *put += 1;
            Ok(())
        })?;
        let added = self.put - before;
        match ended {
            Ended::Whole => Ok(added),
            Ended::Stopped => Err(Error::Stopped {
                kept: format!("{} can be committed", counted(added, "documents")),
            }),
        }
    }

    /// Removes a new index that was never committed. Files that are not the index's stay, and so does
    /// the folder where it has any.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn abandon(self) -> Result<(), Error> {
        Ok(self.writer.abandon()?)
    }
}

/// Something that owns a tokenizer.
trait HasTokenizer: Send + Sync + 'static {
    fn tokenizer(&self) -> &Tokenizer;
}

impl HasTokenizer for Encoder {
    fn tokenizer(&self) -> &Tokenizer {
        self.tokenizer()
    }
}

impl HasTokenizer for Vocabulary {
    fn tokenizer(&self) -> &Tokenizer {
        self.tokenizer()
    }
}

/// Encodes documents into a new index: the one way to build an index of a model's texts. `look` sees
/// every vector. Where it fails, nothing of the index is left.
#[cfg(feature = "tools")]
pub(crate) fn build_new(
    folder: &Path,
    (provenance, encoder): (Provenance, &Encoder),
    options: &IndexOptions,
    records: Records<'_>,
    observer: &mut dyn Observer,
    mut look: impl FnMut(&SparseVector) -> Result<(), Error>,
) -> Result<VectorIndex, Error> {
    let mut index = Index::create_with(folder, provenance, options)?;
    let documents = Documents::Texts { encoder, records, pruning: options.pruning };
    let writer = &mut index.writer;
    let ended = documents.each(None, observer, |id, vector, _| {
        look(vector)?;
        Ok(writer.put(id, vector)?)
    });
    if let Err(error) = ended.and_then(Ended::or_nothing) {
        index.abandon()?;
        return Err(error);
    }
    index.commit()?;
    drop(index);
    Ok(VectorIndex::open(folder)?)
}

/// The number of vectors between two looks at the observer.
#[cfg(feature = "tools")]
const VECTORS_AT_A_TIME: usize = 1000;

/// Documents that wait to be indexed: texts to encode, or vectors in files.
pub(crate) enum Documents<'a> {
    /// Texts, and what encodes them.
    Texts {
        /// The tower.
        encoder: &'a Encoder,
        /// The texts.
        records: Records<'a>,
        /// Which weights are kept.
        pruning: Pruning,
    },
    #[cfg(feature = "tools")]
    /// Files or folders of vectors; keys of NDJSON are tokens of the vocabulary, or ids if there is
    /// none.
    Vectors {
        /// The files.
        paths: Vec<PathBuf>,
        /// The model's tokens.
        vocabulary: Option<&'a Vocabulary>,
    },
}

impl<'a> Documents<'a> {
    /// Hands over the documents one after another, but not those that `known` has: the id, the vector,
    /// and the text if there is one.
    pub(crate) fn each(
        self,
        known: Option<&'a VectorIndex>,
        observer: &mut dyn Observer,
        mut take: impl FnMut(&str, &SparseVector, Option<&Record>) -> Result<(), Error>,
    ) -> Result<Ended, Error> {
        match self {
            Self::Texts { encoder, mut records, pruning } => {
                if let Some(known) = known {
                    records = records.filtered(move |id| known.vector(id).is_none());
                }
                stream::encode(encoder, &mut records, observer, |record, vector| {
                    take(&record.id, &pruning.apply(vector), Some(record))
                })
            }
            #[cfg(feature = "tools")]
            Self::Vectors { paths, vocabulary } => {
                let term = |key: &str| match vocabulary {
                    Some(vocabulary) => vocabulary.term(key),
                    None => VectorReader::id(key),
                };
                let size = vocabulary.map_or(usize::MAX, Vocabulary::size);
                let mut counts = Counts::new("vectors", None);
                observer.event(counts.event(false));
                let mut waiting = 0;
                let mut ended = Ended::Whole;
                let mut ids = Ids::default();
                for row in VectorReader::open(&paths, &term)? {
                    let row = row?;
                    if let Some(term) = row.vector.terms().last().filter(|t| t.0 as usize >= size) {
                        return Err(Error::UnknownTerm { id: row.id, term: *term, vocab: size });
                    }
                    if !ids.add(&row.id) {
                        ids.count(&row.id, None);
                    }
                    if known.is_none_or(|known| known.vector(&row.id).is_none()) {
                        take(&row.id, &row.vector, None)?;
                    }
                    waiting += 1;
                    if waiting == VECTORS_AT_A_TIME {
                        counts.add(std::mem::take(&mut waiting), 0, None);
                        observer.event(counts.event(false));
                        if observer.stop() {
                            ended = Ended::Stopped;
                            break;
                        }
                    }
                }
                counts.add(waiting, 0, None);
                observer.event(counts.event(true));
                if let Some(warning) = ids.warning("vector") {
                    observer.event(Event::Warning(&warning));
                }
                Ok(ended)
            }
        }
    }
}
