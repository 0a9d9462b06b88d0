//! What was typed after `doctor`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::JsonArgs;
use super::export::ApiKey;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Address of the search engine, such as http://localhost:9200
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Kind of search engine [default: detected from its answer]
    #[arg(long, value_enum)]
    pub(crate) kind: Option<SearchEngineArg>,
    /// Key for the search engine: an API key, or a whole "Basic …" or "Bearer …" header. Prefer the
    /// environment variable, since other users can see the arguments of a command
    #[arg(long, value_name = "KEY", env = "LIGHT_SPLADE_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<ApiKey>,
    /// CA certificates in PEM to trust for the search engine, instead of the usual ones
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Document vectors to check with, of which the first 1,000 are used [default: generated
    /// vectors]
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "queries")]
    pub(crate) vectors: Vec<PathBuf>,
    /// Query vectors, of which the first 50 are used
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "vectors")]
    pub(crate) queries: Vec<PathBuf>,
    /// Model of the vectors, for the tokens of their terms
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
