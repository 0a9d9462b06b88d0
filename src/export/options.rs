//! The settings of an export of documents: its files, the search engine that they are written for, and
//! the server that receives them.

use std::path::PathBuf;

use splade_export::targets::{CsrForm, ElasticsearchField};

use crate::encode_files::TermKeys;

/// Settings of [`export_documents`](crate::search_engines::export_documents).
///
/// ```
/// use light_splade::encode::{EncodeOptions, encode_files};
/// use light_splade::input::Position;
/// use light_splade::search_engines::{ExportOptions, ExportTarget, export_documents};
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let folder = tempfile::tempdir()?;
/// let vectors = folder.path().join("vectors.parquet");
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let options = EncodeOptions { output: vectors.clone(), ..EncodeOptions::default() };
/// encode_files(&encoder, [("1", "東京"), ("2", "大阪")], Position::default(), &options, &mut ())?;
///
/// let options = ExportOptions {
///     vectors: vec![vectors],
///     out: folder.path().join("out"),
///     target: ExportTarget::Seismic,
///     model: Some("mini-ja-en".into()),
///     ..ExportOptions::default()
/// };
/// let exported = export_documents(&options, &mut ())?;
/// assert_eq!(exported.documents, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The files and folders of vectors of documents.
    pub vectors: Vec<PathBuf>,
    /// The files and folders of vectors of queries; where none is given, an example query is made of
    /// the first document.
    pub queries: Vec<PathBuf>,
    /// The folder for what is written.
    pub out: PathBuf,
    /// What the files are written for.
    pub target: ExportTarget,
    /// The model of the vectors, which has the tokens of their terms.
    pub model: Option<PathBuf>,
    /// A file with the tokens in the order of their ids, one a line, in place of a model.
    pub tokens: Option<PathBuf>,
    /// What terms are called where the target leaves it open.
    pub terms: TermKeys,
    /// Goes on where an earlier run into the same folder ended.
    pub resume: bool,
    /// Replaces the files of an earlier export in the folder.
    pub force: bool,
    /// The number of documents of a file; the target's usual number if none is given.
    pub shard_rows: Option<u64>,
    /// Takes vectors of different models and settings, and the tokens of any model.
    pub any_model: bool,
    /// Looks for ids that repeat, which takes some 16 bytes of memory a document.
    pub check_ids: bool,
    /// Sends the documents to a server in place of writing them. The targets Elasticsearch,
    /// OpenSearch and Qdrant have one.
    pub push: Option<PushTarget>,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            vectors: Vec::new(),
            queries: Vec::new(),
            out: PathBuf::new(),
            target: ExportTarget::default(),
            model: None,
            tokens: None,
            terms: TermKeys::default(),
            resume: false,
            force: false,
            shard_rows: None,
            any_model: false,
            check_ids: true,
            push: None,
        }
    }
}

/// The server that receives documents, and how they are sent.
#[derive(Clone)]
pub struct PushTarget {
    /// The address of the server, such as `https://localhost:9200`.
    pub url: String,
    /// The name of the index or collection.
    pub index: String,
    /// An API key, or `Basic …` or `Bearer …` as it is. No message shows it.
    pub api_key: Option<String>,
    /// A file of certificates in PEM that may vouch for the server, in place of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Puts documents into an index that exists already.
    pub append: bool,
    /// The number of documents of a request; at least one.
    pub batch_documents: usize,
    /// The number of bytes of a request, unless one document has more.
    pub batch_bytes: usize,
    /// How often a request is tried again when the server is busy or away.
    pub retries: u32,
}

impl Default for PushTarget {
    fn default() -> Self {
        Self {
            url: String::new(),
            index: "splade".to_owned(),
            api_key: None,
            ca_file: None,
            append: false,
            batch_documents: 1000,
            batch_bytes: 5 << 20,
            retries: 8,
        }
    }
}

/// Without the key.
impl std::fmt::Debug for PushTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushTarget")
            .field("url", &self.url)
            .field("index", &self.index)
            .field("append", &self.append)
            .finish_non_exhaustive()
    }
}

/// The target of an export.
///
/// ```
/// use light_splade::encode::{EncodeOptions, encode_files};
/// use light_splade::input::Position;
/// use light_splade::search_engines::{ExportOptions, ExportTarget, export_documents};
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let folder = tempfile::tempdir()?;
/// let vectors = folder.path().join("vectors.parquet");
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let options = EncodeOptions { output: vectors.clone(), ..EncodeOptions::default() };
/// encode_files(&encoder, [("1", "東京"), ("2", "大阪")], Position::default(), &options, &mut ())?;
///
/// let options = ExportOptions {
///     vectors: vec![vectors],
///     out: folder.path().join("out"),
///     target: ExportTarget::Seismic,
///     model: Some("mini-ja-en".into()),
///     ..ExportOptions::default()
/// };
/// let exported = export_documents(&options, &mut ())?;
/// assert!(exported.documents == 2 && options.out.is_dir());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub enum ExportTarget {
    /// Lucene by Anserini and Pyserini: JSON lines and topics of integer weights.
    Lucene {
        /// Weights are multiplied by this and rounded; usually 100.
        scale: f32,
    },
    /// Elasticsearch: bulk actions, a mapping and queries.
    Elasticsearch {
        /// The name of the field with the vectors.
        field: String,
        /// The type of the field.
        kind: ElasticsearchField,
    },
    /// OpenSearch: bulk actions, a mapping and queries.
    OpenSearch {
        /// The name of the field with the vectors.
        field: String,
        /// The type of the field.
        kind: OpenSearchType,
    },
    /// Qdrant: points, a collection and queries.
    Qdrant {
        /// The name of the field with the vectors.
        field: String,
        /// The number of the first point, 0 if none is given. To append to a collection it must be
        /// above the numbers of its points, which would be overwritten.
        first_id: Option<u64>,
    },
    /// Milvus: rows, a collection and queries.
    Milvus {
        /// The name of the collection.
        collection: String,
        /// The name of the field with the vectors.
        field: String,
        /// The number of the first row.
        first_id: u64,
    },
    /// Vespa: a feed, a schema and queries.
    Vespa {
        /// The name of the schema.
        schema: String,
        /// The name of the field with the vectors.
        field: String,
        /// Weights that candidates are found by are multiplied by this and rounded; usually 100.
        scale: f32,
    },
    /// The inverted file that PISA, BMP, JASS and Terrier import, and queries.
    Ciff {
        /// How weights of documents become integers.
        scale: CiffScale,
        /// Weights of queries are multiplied by this and rounded; usually 100.
        query_scale: f32,
    },
    /// PostgreSQL with pgvector: files for COPY, SQL and queries.
    Pgvector {
        /// The name of the table.
        table: String,
        /// The name of the column with the vectors.
        field: String,
        /// The number of the first row.
        first_id: u64,
        /// The number of terms of the vocabulary, where there is no model and no file of tokens.
        dimensions: Option<usize>,
    },
    /// Seismic: JSON lines.
    Seismic,
    /// Parquet, as [`encode_files`](crate::encode::encode_files()) writes it.
    #[default]
    Parquet,
    /// Sparse matrices for scipy, or as safetensors.
    Csr {
        /// The form of the matrices.
        form: CsrForm,
        /// The number of terms of the vocabulary, where there is no model and no file of tokens.
        dimensions: Option<usize>,
    },
}

/// The type of a field of OpenSearch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum OpenSearchType {
    /// `rank_features`: exact search.
    #[default]
    RankFeatures,
    /// `sparse_vector` with Seismic, version 3.3 or later: approximate search.
    SparseVector {
        /// The largest weight of documents; it is looked for in the vectors if none is given.
        ceiling: Option<f32>,
        /// The largest weight of queries; 16 if none is given.
        query_ceiling: Option<f32>,
    },
}

/// How weights of documents become the integers of CIFF.
///
/// ```
/// use light_splade::encode::{EncodeOptions, encode_files};
/// use light_splade::input::Position;
/// use light_splade::search_engines::{ExportOptions, ExportTarget, CiffScale, export_documents};
/// use light_splade::{SparseEncoder, SparseEncoderOptions};
///
/// let folder = tempfile::tempdir()?;
/// let vectors = folder.path().join("vectors.parquet");
/// let encoder = SparseEncoder::load("mini-ja-en", &SparseEncoderOptions::default())?;
/// let options = EncodeOptions { output: vectors.clone(), ..EncodeOptions::default() };
/// encode_files(&encoder, [("1", "東京"), ("2", "大阪")], Position::default(), &options, &mut ())?;
///
/// let options = ExportOptions {
///     vectors: vec![vectors],
///     out: folder.path().join("out"),
///     target: ExportTarget::Ciff { scale: CiffScale::By(100.0), query_scale: 10.0 },
///     model: Some("mini-ja-en".into()),
///     ..ExportOptions::default()
/// };
/// let exported = export_documents(&options, &mut ())?;
/// assert_eq!(exported.documents, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CiffScale {
    /// Weights are multiplied by this and rounded.
    By(f32),
    /// The scale is chosen so that the largest weight becomes this: 255 for BMP.
    Fit(f32),
}
