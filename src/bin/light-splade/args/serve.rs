//! What the service is started with. Names, defaults and environment variables are those of
//! text-embeddings-inference where it has them.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use light_splade::serve::Limits;

use super::numbers::{at_least_one, threads};

#[derive(Debug, Args)]
#[command(next_line_help = false)]
pub(crate) struct ServeArgs {
    /// Model folder, or a model of the Hugging Face hub: org/name or org/name@revision
    #[arg(long, short, visible_alias = "model-id", value_name = "MODEL", env = "MODEL_ID", default_value = light_splade::models::BUILT_IN)]
    pub(crate) model: PathBuf,
    /// Commit, branch or tag of a model of the hub
    #[arg(long, env = "REVISION", hide_env = true)]
    pub(crate) revision: Option<String>,
    /// Name of the model for clients [default: that of --model]
    #[arg(long, value_name = "NAME", env = "SERVED_MODEL_NAME", hide_env = true)]
    pub(crate) served_model_name: Option<String>,
    /// Cross-encoder that orders texts for /rerank: a folder or a model of the hub
    #[arg(long, value_name = "MODEL", env = "RERANKER", hide_env = true)]
    pub(crate) reranker: Option<PathBuf>,
    /// Index to search, under the name of its folder or another; may be given several times
    #[arg(long, value_name = "[NAME=]FOLDER")]
    pub(crate) index: Vec<String>,
    /// Folder of indexes: those in it are served, and new ones are made in it
    #[arg(long, value_name = "FOLDER", env = "INDEX_ROOT", hide_env = true)]
    pub(crate) index_root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) model_use: ModelUseArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) without_effect: WithoutEffectArgs,
}

/// Where the service listens.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkArgs {
    /// IP address to listen on; 0.0.0.0 for all [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) hostname: Option<std::net::IpAddr>,
    /// Port to listen on
    #[arg(long, short, env = "PORT", hide_env = true, default_value_t = light_splade::serve::ServeOptions::default().address.port())]
    pub(crate) port: u16,
    /// Another port, which answers /metrics only
    #[arg(long, value_name = "PORT", env = "PROMETHEUS_PORT", hide_env = true)]
    pub(crate) prometheus_port: Option<u16>,
    /// Origin whose pages may call the service, or *; may be given several times
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "CORS_ALLOW_ORIGIN",
        hide_env = true,
        value_delimiter = ','
    )]
    pub(crate) cors_allow_origin: Vec<String>,
    /// Certificate chain in PEM, for HTTPS
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "TLS_CERT", hide_env = true)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of the certificate in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "TLS_KEY", hide_env = true)]
    pub(crate) tls_key: Option<PathBuf>,
}

/// Who may use the service.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct KeyArgs {
    /// Key that clients must send: Authorization: Bearer KEY
    #[arg(long, value_name = "KEY", env = "API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
    /// File with such keys, one a line
    #[arg(long, value_name = "FILE", env = "API_KEY_FILE", hide_env = true)]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Key that clients must send to change indexes
    #[arg(long, value_name = "KEY", env = "WRITE_KEY", hide_env_values = true)]
    pub(crate) write_key: Option<String>,
    /// File with such keys, one a line
    #[arg(long, value_name = "FILE", env = "WRITE_KEY_FILE", hide_env = true)]
    pub(crate) write_key_file: Option<PathBuf>,
}

/// How the model is used.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelUseArgs {
    /// Arithmetic: float32, or int8 for speed; float16 and bfloat16 compute as float32
    #[arg(long, value_enum, env = "DTYPE", hide_env = true, default_value = "float32")]
    pub(crate) dtype: DtypeArg,
    /// Must be splade
    #[arg(long, value_enum, env = "POOLING", hide_env = true)]
    pub(crate) pooling: Option<PoolingArg>,
    /// Cut texts off at so many tokens, special tokens included; the model's limit if not given
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_length: Option<usize>,
    /// Whether a text that is too long is cut off where a request does not say; else it is an error
    #[arg(long, env = "AUTO_TRUNCATE", hide_env = true, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) auto_truncate: bool,
    /// What a text is where a request does not say: query or document
    #[arg(
        long,
        value_name = "SIDE",
        env = "DEFAULT_PROMPT_NAME",
        hide_env = true,
        conflicts_with = "default_prompt"
    )]
    pub(crate) default_prompt_name: Option<super::SideArg>,
    /// Put before every text, in place of the model's own prompts
    #[arg(long, value_name = "TEXT", env = "DEFAULT_PROMPT", hide_env = true)]
    pub(crate) default_prompt: Option<String>,
    /// Threads that compute; all cores if not given
    #[arg(long, value_parser = threads())]
    pub(crate) threads: Option<usize>,
    /// Compiled MeCab dictionary in UTF-8, in place of the model's
    #[arg(long, value_name = "FOLDER")]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    /// Token of the hub
    #[arg(long, value_name = "TOKEN", hide_env_values = true, hide_env = true)]
    pub(crate) hf_token: Option<String>,
    /// The same as --hf-token
    #[arg(long, hide = true, env = "HF_API_TOKEN", conflicts_with = "hf_token")]
    pub(crate) hf_api_token: Option<String>,
    /// Cache of models of the hub
    #[arg(long, value_name = "FOLDER", env = "HUGGINGFACE_HUB_CACHE", hide_env = true)]
    pub(crate) huggingface_hub_cache: Option<PathBuf>,
}

/// The arithmetic, as text-embeddings-inference names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DtypeArg {
    /// 32-bit floats
    Float32,
    /// Computes as float32
    Float16,
    /// Computes as float32
    Bfloat16,
    /// 8-bit integers
    Int8,
}

/// How tokens become a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PoolingArg {
    /// The maximum over the tokens
    Splade,
}

/// The library's limits, which are the defaults.
fn limits() -> Limits {
    Limits::default()
}

/// What requests may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Texts that may wait or be computed at a time; more are refused with status 429
    #[arg(long, value_name = "TEXTS", env = "MAX_CONCURRENT_REQUESTS", hide_env = true, default_value_t = limits().max_concurrent_requests, value_parser = at_least_one())]
    pub(crate) max_concurrent_requests: usize,
    /// Tokens that are computed together
    #[arg(long, value_name = "TOKENS", env = "MAX_BATCH_TOKENS", hide_env = true, default_value_t = limits().max_batch_tokens, value_parser = at_least_one())]
    pub(crate) max_batch_tokens: usize,
    /// Texts that are computed together [default: no limit]
    #[arg(long, value_name = "TEXTS", env = "MAX_BATCH_REQUESTS", hide_env = true, value_parser = at_least_one())]
    pub(crate) max_batch_requests: Option<usize>,
    /// Texts of a request
    #[arg(long, value_name = "TEXTS", env = "MAX_CLIENT_BATCH_SIZE", hide_env = true, default_value_t = limits().max_client_batch_size, value_parser = at_least_one())]
    pub(crate) max_client_batch_size: usize,
    /// Bytes of a request's body
    #[arg(long, value_name = "BYTES", env = "PAYLOAD_LIMIT", hide_env = true, default_value_t = limits().payload_limit, value_parser = at_least_one())]
    pub(crate) payload_limit: usize,
    /// Open connections
    #[arg(long, value_name = "CONNECTIONS", default_value_t = limits().max_connections, value_parser = at_least_one())]
    pub(crate) max_connections: usize,
    /// Seconds in which a client must send its headers, and again its body
    #[arg(long, value_name = "SECONDS", default_value_t = limits().read_timeout.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) read_timeout: u64,
    /// Seconds in which a client must accept the next part of a reply
    #[arg(long, value_name = "SECONDS", default_value_t = limits().write_timeout.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) write_timeout: u64,
    /// Seconds that running requests have when the service is stopped
    #[arg(long, value_name = "SECONDS", default_value_t = limits().stop_timeout.as_secs())]
    pub(crate) stop_timeout: u64,
    /// Longest time in milliseconds from a change of an index to its commit
    #[arg(long, value_name = "MS", default_value_t = limits().commit_interval.as_millis() as u64)]
    pub(crate) commit_interval: u64,
    /// Changed documents at which an index is committed earlier
    #[arg(long, value_name = "DOCUMENTS", default_value_t = limits().commit_documents, value_parser = at_least_one())]
    pub(crate) commit_documents: usize,
}

/// What is told.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// Write the log as JSON, one object a line, as --log-format json
    #[arg(long, env = "JSON_OUTPUT", hide_env = true)]
    pub(crate) json_output: bool,
    /// The least important messages that are written [default: info; warn with --quiet, debug with
    /// --verbose]
    #[arg(long, value_enum, env = "LOG_LEVEL", hide_env = true)]
    pub(crate) log_level: Option<LevelArg>,
}

/// How important a message is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LevelArg {
    Error,
    Warn,
    Info,
    Debug,
}

/// Options of text-embeddings-inference that have nothing to act on here. Those who give them are
/// told so.
#[derive(Debug, Args)]
pub(crate) struct WithoutEffectArgs {
    #[arg(long, hide = true, env = "TOKENIZATION_WORKERS")]
    pub(crate) tokenization_workers: Option<usize>,
    #[arg(long, hide = true, env = "UDS_PATH")]
    pub(crate) uds_path: Option<PathBuf>,
    #[arg(long, hide = true, env = "DISABLE_SPANS")]
    pub(crate) disable_spans: bool,
    #[arg(long, hide = true, env = "OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
    #[arg(long, hide = true, env = "OTLP_SERVICE_NAME")]
    pub(crate) otlp_service_name: Option<String>,
    #[arg(long, hide = true, env = "DENSE_PATH")]
    pub(crate) dense_path: Option<PathBuf>,
}
