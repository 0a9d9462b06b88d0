//! What was typed after `export`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand, ValueEnum};

use super::index::parse_size;
use super::{ExportModelArgs, OverwriteArgs, Terms};

/// What to write vectors for, or a model.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// A model folder for transformers, sentence-transformers, servers and the hub
    Model(ExportModelArgs),
    /// Lucene by Anserini and Pyserini: JSON lines and topics of integer weights
    Lucene(LuceneArgs),
    /// Elasticsearch: bulk actions, a mapping and queries
    #[command(
        override_usage = "light-splade export elasticsearch [OPTIONS] -o <FOLDER> <VECTORS>..."
    )]
    Elasticsearch(ElasticsearchArgs),
    /// OpenSearch: bulk actions, a mapping and queries
    Opensearch(OpensearchArgs),
    /// Qdrant: points, a collection and queries
    Qdrant(QdrantArgs),
    /// Milvus: rows, a collection and queries
    Milvus(MilvusArgs),
    /// Vespa: a feed, a schema and queries
    Vespa(VespaArgs),
    /// The inverted file that PISA, BMP, JASS and Terrier import, and queries
    Ciff(CiffArgs),
    /// PostgreSQL with pgvector: files for COPY, SQL and queries
    Pgvector(PgvectorArgs),
    /// Seismic: JSON lines
    Seismic(VectorsArgs),
    /// Parquet, as `encode` writes it
    Parquet(VectorsArgs),
    /// Sparse matrices for scipy, or as safetensors
    Csr(CsrArgs),
}

/// Vectors, where they go, and what their terms are called.
#[derive(Debug, Args)]
pub(crate) struct VectorsArgs {
    /// Files and folders of vectors of documents
    #[arg(value_name = "VECTORS", required = true)]
    pub(crate) vectors: Vec<PathBuf>,
    /// Folder for what is written
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Files and folders of vectors of queries; an example if not given
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) queries: Vec<PathBuf>,
    /// Model of the vectors, which has the tokens of their terms
    #[arg(long, short, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Take vectors of different models or settings, and the tokens of any model
    #[arg(long, hide_short_help = true)]
    pub(crate) any_model: bool,
    /// File with the tokens in the order of their ids, one a line, in place of a model
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(crate) tokens: Option<PathBuf>,
    /// What terms are called where the target leaves it open
    #[arg(long, value_enum, default_value = "tokens")]
    pub(crate) terms: Terms,
    /// Go on where an earlier run into the same folder ended
    #[arg(long, conflicts_with = "force")]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
    /// Documents of a file; the target's usual number if not given
    #[arg(
        long,
        value_name = "ROWS",
        value_parser = clap::value_parser!(u64).range(1..),
        hide_short_help = true
    )]
    pub(crate) shard_rows: Option<u64>,
    /// Do not look for ids that are there twice, which takes some 16 bytes of memory a document
    #[arg(long, hide_short_help = true)]
    pub(crate) no_id_check: bool,
}

/// Names in a search engine that takes dashes and dots in those of an index.
#[derive(Debug, Args)]
pub(crate) struct IndexArgs {
    /// Name of the index or collection that --push sends to; files do not hold it
    #[arg(long, value_name = "NAME", default_value = "splade", value_parser = parse_index)]
    pub(crate) index: String,
    /// Name of the field with the vectors
    #[arg(long, value_name = "NAME", default_value = "splade", value_parser = parse_name)]
    pub(crate) field: String,
}

/// Names in a search engine where they are identifiers.
#[derive(Debug, Args)]
pub(crate) struct NamesArgs {
    /// Name of the table, schema or collection in the files
    #[arg(long, value_name = "NAME", default_value = "splade", value_parser = parse_name)]
    pub(crate) index: String,
    /// Name of the field with the vectors
    #[arg(long, value_name = "NAME", default_value = "vector", value_parser = parse_name)]
    pub(crate) field: String,
}

/// Straight to a server.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// Send documents to the server at this address, such as https://localhost:9200, in place of
    /// writing them; the folder keeps how far that is, and documents that the server refuses
    #[arg(long, value_name = "URL")]
    pub(crate) push: Option<String>,
    /// Key for the server, better not typed: an API key, or "Basic …" or "Bearer …" as it is
    #[arg(long, value_name = "KEY", env = "LIGHT_SPLADE_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<ApiKey>,
    /// Certificates in PEM of who may vouch for the server, in place of the usual ones
    #[arg(long, value_name = "FILE", requires = "push", hide_short_help = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Put documents into an index that is there already
    #[arg(long, requires = "push")]
    pub(crate) append: bool,
    /// Documents of a request
    #[arg(
        long,
        value_name = "COUNT",
        hide_short_help = true,
        requires = "push",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) batch_documents: u32,
    /// Bytes of a request: a number, or with K, M or G
    #[arg(
        long,
        value_name = "SIZE",
        hide_short_help = true,
        requires = "push",
        default_value = "5M",
        value_parser = parse_size
    )]
    pub(crate) batch_bytes: usize,
    /// How often a request is tried again when the server is busy or away
    #[arg(
        long,
        hide_short_help = true,
        value_name = "TIMES",
        requires = "push",
        default_value_t = 8
    )]
    pub(crate) retries: u32,
}

/// A key, which no message may show.
#[derive(Clone)]
pub(crate) struct ApiKey(pub(crate) String);

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey")
    }
}

impl std::str::FromStr for ApiKey {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.trim().to_owned()))
    }
}

#[derive(Debug, Args)]
pub(crate) struct LuceneArgs {
    #[command(flatten)]
    pub(crate) vectors: VectorsArgs,
    /// Weights are multiplied by this and rounded
    #[arg(long, default_value_t = 100.0, value_parser = parse_scale)]
    pub(crate) scale: f32,
}

#[derive(Debug, Args)]
pub(crate) struct ElasticsearchArgs {
    #[command(flatten)]
    pub(crate) vectors: VectorsArgs,
    #[command(flatten)]
    pub(crate) names: IndexArgs,
    #[command(flatten)]
    pub(crate) push: PushArgs,
    /// Type of the field
    #[arg(long = "type", value_enum, default_value = "sparse-vector")]
    pub(crate) kind: ElasticsearchType,
}

#[derive(Debug, Args)]
pub(crate) struct OpensearchArgs {
    #[command(flatten)]
    pub(crate) vectors: VectorsArgs,
    #[command(flatten)]
    pub(crate) names: IndexArgs,
    #[command(flatten)]
    pub(crate) push: PushArgs,
    /// Type of the field
    #[arg(long = "type", value_enum, default_value = "rank-features")]
    pub(crate) kind: OpensearchType,
    /// With --type sparse-vector, the largest weight of documents; it is looked for if not given
    #[arg(long, value_name = "WEIGHT", value_parser = parse_scale)]
    pub(crate) ceiling: Option<f32>,
    /// With --type sparse-vector, the largest weight of queries [default: 16]
    #[arg(long, value_name = "WEIGHT", value_parser = parse_scale)]
    pub(crate) query_ceiling: Option<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ElasticsearchType {
    /// sparse_vector, version 8.15 or later
    SparseVector,
    /// rank_features
    RankFeatures,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OpensearchType {
    /// rank_features
    RankFeatures,
    /// sparse_vector with Seismic, version 3.3 or later: approximate
    SparseVector,
}

#[derive(Debug, Args)]
pub(crate) struct QdrantArgs {
    #[command(flatten)]
    pub(crate) vectors: VectorsArgs,
    #[command(flatten)]
    pub(crate) names: IndexArgs,
    #[command(flatten)]
    pub(crate) push: PushArgs,
    /// Number of the first point [default: 0]; to be given with --append, above those of the
    /// collection's points, which are overwritten otherwise
    #[arg(long, value_name = "NUMBER", value_parser = first_id())]
    pub(crate) first_id: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct MilvusArgs {
    #[command(flatten)]
    pub(crate) vectors: VectorsArgs,
    #[command(flatten)]
    pub(crate) names: NamesArgs,
    /// Number of the first row
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = first_id())]
    pub(crate) first_id: u64,
}

#[derive(Debug, Args)]
pub(crate) struct VespaArgs {
    #[command(flatten)]
    pub(crate) vectors: VectorsArgs,
    #[command(flatten)]
    pub(crate) names: NamesArgs,
    /// Weights that candidates are found by are multiplied by this and rounded
    #[arg(long, default_value_t = 100.0, value_parser = parse_scale)]
    pub(crate) scale: f32,
}

#[derive(Debug, Args)]
pub(crate) struct CiffArgs {
    #[command(flatten)]
    pub(crate) vectors: VectorsArgs,
    /// Weights are multiplied by this and rounded
    #[arg(long, default_value_t = 100.0, value_parser = parse_scale)]
    pub(crate) scale: f32,
    /// Choose the scale that makes the largest weight this: 255 for BMP
    #[arg(long, value_name = "LARGEST", conflicts_with = "scale", value_parser = parse_scale)]
    pub(crate) fit: Option<f32>,
    /// Weights of queries are multiplied by this and rounded
    #[arg(long, value_name = "SCALE", default_value_t = 100.0, value_parser = parse_scale)]
    pub(crate) query_scale: f32,
}

#[derive(Debug, Args)]
pub(crate) struct PgvectorArgs {
    #[command(flatten)]
    pub(crate) vectors: VectorsArgs,
    #[command(flatten)]
    pub(crate) names: NamesArgs,
    /// Number of the first row
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = first_id())]
    pub(crate) first_id: u64,
    /// Terms of the vocabulary, if there is no --model or --tokens
    #[arg(long, value_name = "TERMS")]
    pub(crate) dimensions: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct CsrArgs {
    #[command(flatten)]
    pub(crate) vectors: VectorsArgs,
    /// Form of the matrices
    #[arg(long, value_enum, default_value = "npz")]
    pub(crate) format: MatrixFormat,
    /// Terms of the vocabulary, if there is no --model or --tokens
    #[arg(long, value_name = "TERMS")]
    pub(crate) dimensions: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatrixFormat {
    /// scipy.sparse.load_npz reads it
    Npz,
    /// Tensors indptr, indices, data and shape
    Safetensors,
}

/// Search engines number rows in 63 bits.
fn first_id() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(..=i64::MAX as u64)
}

fn parse_scale(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|number: &f32| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "a number above zero".to_owned())
}

/// A name that every search engine takes; words that are reserved in SQL are quoted there.
fn parse_name(text: &str) -> Result<String, String> {
    let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    match letters && text.len() <= 63 && text.starts_with(|c: char| c.is_ascii_lowercase()) {
        true => Ok(text.to_owned()),
        false => Err("1 to 63 of a-z, 0-9 and _, and a letter first".to_owned()),
    }
}

/// A name of an index, which stands in URLs.
fn parse_index(text: &str) -> Result<String, String> {
    let mark = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    match text.bytes().all(mark) && text.len() <= 255 && text.starts_with(char::is_alphanumeric) {
        true => Ok(text.to_owned()),
        false => Err("a-z, 0-9 and . _ -, and a letter or digit first".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for (name, as_name, as_index) in [
            ("splade", true, true),
            ("a_1", true, true),
            ("1a", false, true),
            ("my-index.v2", false, true),
            ("", false, false),
            ("A", false, false),
            ("_a", false, false),
            ("a b", false, false),
            ("a/b", false, false),
        ] {
            assert_eq!(parse_name(name).is_ok(), as_name, "{name}");
            assert_eq!(parse_index(name).is_ok(), as_index, "{name}");
        }
        for (scale, want) in [("100", true), ("0", false), ("-1", false), ("inf", false)] {
            assert_eq!(parse_scale(scale).is_ok(), want, "{scale}");
        }
    }
}
