//! What was typed after `doctor`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::JsonArgs;
use super::export::ApiKey;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Address of the search engine, as http://localhost:9200
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// What the search engine is, if it does not say so itself
    #[arg(long, value_enum)]
    pub(crate) kind: Option<SearchEngineArg>,
    /// Key for the search engine, better not typed: an API key, or "Basic …" or "Bearer …" as it is
    #[arg(long, value_name = "KEY", env = "LIGHT_SPLADE_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<ApiKey>,
    /// Certificates in PEM of who may vouch for the search engine, in place of the usual ones
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Vectors of documents to try it with, the first 1,000; invented ones if not given
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "queries")]
    pub(crate) vectors: Vec<PathBuf>,
    /// Vectors of queries, the first 50
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "vectors")]
    pub(crate) queries: Vec<PathBuf>,
    /// Model of the vectors, which has the tokens of their terms
    #[arg(long, short, value_name = "MODEL", requires = "vectors")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SearchEngineArg {
    /// A field of the type sparse_vector
    Elasticsearch,
    /// A field of the type rank_features
    Opensearch,
    /// A collection with a sparse vector
    Qdrant,
}
