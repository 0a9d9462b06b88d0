//! What was typed after `export`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand, ValueEnum};

use super::index::parse_size;
use super::{ExportModelArgs, OverwriteArgs, Terms};

/// What to write vectors for, or a model.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Export a model folder for transformers, sentence-transformers, servers and the hub
    Model(ExportModelArgs),
    /// Export to Lucene through Anserini or Pyserini: JSON lines and topics with integer weights
    Lucene(LuceneArgs),
    /// Export to Elasticsearch: bulk actions, a mapping and queries
    #[command(
        override_usage = "light-splade export elasticsearch [OPTIONS] -o <FOLDER> <VECTORS>..."
    )]
    Elasticsearch(ElasticsearchArgs),
    /// Export to OpenSearch: bulk actions, a mapping and queries
    Opensearch(OpensearchArgs),
    /// Export to Qdrant: points, a collection and queries
    Qdrant(QdrantArgs),
    /// Export to Milvus: rows, a collection and queries
    Milvus(MilvusArgs),
    /// Export to Vespa: a feed, a schema and queries
    Vespa(VespaArgs),
    /// Export to PISA, BMP, JASS or Terrier: an inverted file in CIFF, and queries
    Ciff(CiffArgs),
    /// Export to PostgreSQL with pgvector: files for COPY, SQL and queries
    Pgvector(PgvectorArgs),
    /// Export to Seismic: JSON lines
    Seismic(VectorsArgs),
    /// Export to Parquet, as `encode` writes it
    Parquet(VectorsArgs),
    /// Export to sparse matrices for SciPy, or as safetensors
    Csr(CsrArgs),
}

/// Vectors, where they go, and what their terms are called.
#[derive(Debug, Args)]
pub(crate) struct VectorsArgs {
    /// Files and folders of document vectors
    #[arg(value_name = "VECTORS", required = true)]
    pub(crate) vectors: Vec<PathBuf>,
    /// Output folder
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Files and folders of query vectors [default: an example query]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) queries: Vec<PathBuf>,
    /// Model of the vectors, for the tokens of their terms
    #[arg(long, short, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Accept vectors of different models or settings, and the tokens of any model
    #[arg(long, hide_short_help = true)]
    pub(crate) any_model: bool,
    /// File with the tokens in the order of their ids, one per line, instead of a model
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(crate) tokens: Option<PathBuf>,
    /// Names of terms, where the target leaves the choice
    #[arg(long, value_enum, default_value = "tokens")]
    pub(crate) terms: Terms,
    /// Continue where an earlier run into the same folder stopped
    #[arg(long, conflicts_with = "force")]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
    /// Documents per file [default: depends on the target]
    #[arg(
        long,
        value_name = "ROWS",
        value_parser = clap::value_parser!(u64).range(1..),
        hide_short_help = true
    )]
    pub(crate) shard_rows: Option<u64>,
    /// Skip the check for duplicate ids, which takes about 16 bytes of memory per document
    #[arg(long, hide_short_help = true)]
    pub(crate) no_id_check: bool,
}

/// Names in a search engine that takes dashes and dots in those of an index.
#[derive(Debug, Args)]
pub(crate) struct IndexArgs {
    /// Name of the index or collection that --push sends to; exported files do not contain it
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
    /// Address of a server, such as https://localhost:9200, to send documents to instead of writing
    /// files. The output folder records the progress and the documents that the server rejects
    #[arg(long, value_name = "URL")]
    pub(crate) push: Option<String>,
    /// Key for the server: an API key, or a whole "Basic …" or "Bearer …" header. Prefer the
    /// environment variable, since other users can see the arguments of a command
    #[arg(long, value_name = "KEY", env = "LIGHT_SPLADE_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<ApiKey>,
    /// CA certificates in PEM to trust for the server, instead of the usual ones
    #[arg(long, value_name = "FILE", requires = "push", hide_short_help = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Add documents to an existing index
    #[arg(long, requires = "push")]
    pub(crate) append: bool,
    /// Maximum documents per request
    #[arg(
        long,
        value_name = "COUNT",
        hide_short_help = true,
        requires = "push",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) batch_documents: u32,
    /// Maximum bytes per request, such as 512K or 5M
    #[arg(
        long,
        value_name = "SIZE",
        hide_short_help = true,
        requires = "push",
        default_value = "5M",
        value_parser = parse_size
    )]
    pub(crate) batch_bytes: usize,
    /// Retries of a request when the server is busy or unavailable
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
    /// Factor for weights, which are then rounded to integers
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
    /// With --type sparse-vector, the largest weight of documents [default: found in the vectors]
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
    /// Number of the first point. With --append, it must be above the numbers of the collection's
    /// points, which are overwritten otherwise [default: 0]
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
    /// Factor for the weights that find candidates, which are then rounded to integers
    #[arg(long, default_value_t = 100.0, value_parser = parse_scale)]
    pub(crate) scale: f32,
}

#[derive(Debug, Args)]
pub(crate) struct CiffArgs {
    #[command(flatten)]
    pub(crate) vectors: VectorsArgs,
    /// Factor for weights, which are then rounded to integers
    #[arg(long, default_value_t = 100.0, value_parser = parse_scale)]
    pub(crate) scale: f32,
    /// Largest rounded weight, from which the scale is chosen; BMP needs 255
    #[arg(long, value_name = "LARGEST", conflicts_with = "scale", value_parser = parse_scale)]
    pub(crate) fit: Option<f32>,
    /// Factor for query weights, which are then rounded to integers
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
    /// Number of terms in the vocabulary, if neither --model nor --tokens is given
    #[arg(long, value_name = "TERMS")]
    pub(crate) dimensions: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct CsrArgs {
    #[command(flatten)]
    pub(crate) vectors: VectorsArgs,
    /// Format of the matrices
    #[arg(long, value_enum, default_value = "npz")]
    pub(crate) format: MatrixFormat,
    /// Number of terms in the vocabulary, if neither --model nor --tokens is given
    #[arg(long, value_name = "TERMS")]
    pub(crate) dimensions: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatrixFormat {
    /// For scipy.sparse.load_npz
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
