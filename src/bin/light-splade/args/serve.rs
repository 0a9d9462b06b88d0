//! What the service is started with. Names, defaults and environment variables are those of
//! text-embeddings-inference where it has them.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use light_splade::serve::{Limits, OtlpOptions};

use super::numbers::{at_least_one, threads};

#[derive(Debug, Args)]
#[command(next_line_help = false)]
pub(crate) struct ServeArgs {
    /// Model folder, or a model on the Hugging Face hub: org/name or org/name@revision
    #[arg(long, short, visible_alias = "model-id", value_name = "MODEL", env = "MODEL_ID", default_value = light_splade::models::BUILT_IN)]
    pub(crate) model: PathBuf,
    /// Commit, branch or tag of a model on the hub
    #[arg(long, env = "REVISION", hide_env = true)]
    pub(crate) revision: Option<String>,
    /// Name of the model for clients [default: the name in --model]
    #[arg(long, value_name = "NAME", env = "SERVED_MODEL_NAME", hide_env = true)]
    pub(crate) served_model_name: Option<String>,
    /// Cross-encoder for /rerank: a folder or a model on the hub
    #[arg(long, value_name = "MODEL", env = "RERANKER", hide_env = true)]
    pub(crate) reranker: Option<PathBuf>,
    /// Index to serve, under NAME or the name of its folder; can be repeated
    #[arg(long, value_name = "[NAME=]FOLDER")]
    pub(crate) index: Vec<String>,
    /// Folder of indexes to serve, in which clients can create new ones
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
    /// Separate port that serves /metrics only
    #[arg(long, value_name = "PORT", env = "PROMETHEUS_PORT", hide_env = true)]
    pub(crate) prometheus_port: Option<u16>,
    /// Origin whose pages may call the service, or *; can be repeated
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
    /// File with such keys, one per line
    #[arg(long, value_name = "FILE", env = "API_KEY_FILE", hide_env = true)]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Key that clients must send to change indexes
    #[arg(long, value_name = "KEY", env = "WRITE_KEY", hide_env_values = true)]
    pub(crate) write_key: Option<String>,
    /// File with such keys, one per line
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
    /// Maximum tokens per text, special tokens included; longer texts are truncated [default: the
    /// model's limit]
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_length: Option<usize>,
    /// Truncate texts that are too long, unless a request says otherwise; if false, they are an
    /// error
    #[arg(long, env = "AUTO_TRUNCATE", hide_env = true, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) auto_truncate: bool,
    /// Side of texts, unless a request says otherwise
    #[arg(
        long,
        value_name = "SIDE",
        env = "DEFAULT_PROMPT_NAME",
        hide_env = true,
        conflicts_with = "default_prompt"
    )]
    pub(crate) default_prompt_name: Option<super::SideArg>,
    /// Prompt put before every text, instead of the model's own
    #[arg(long, value_name = "TEXT", env = "DEFAULT_PROMPT", hide_env = true)]
    pub(crate) default_prompt: Option<String>,
    /// Number of compute threads [default: all cores]
    #[arg(long, value_parser = threads())]
    pub(crate) threads: Option<usize>,
    /// Compiled MeCab dictionary in UTF-8 that replaces the model's
    #[arg(long, value_name = "FOLDER")]
    pub(crate) mecab_dicdir: Option<PathBuf>,
    /// Access token for the hub
    #[arg(long, value_name = "TOKEN", hide_env_values = true, hide_env = true)]
    pub(crate) hf_token: Option<String>,
    /// Same as --hf-token
    #[arg(long, hide = true, env = "HF_API_TOKEN", conflicts_with = "hf_token")]
    pub(crate) hf_api_token: Option<String>,
    /// Cache folder for models from the hub
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
    /// Maximum texts waiting or being computed; more are refused with status 429
    #[arg(long, value_name = "TEXTS", env = "MAX_CONCURRENT_REQUESTS", hide_env = true, default_value_t = limits().max_concurrent_requests, value_parser = at_least_one())]
    pub(crate) max_concurrent_requests: usize,
    /// Maximum tokens per batch
    #[arg(long, value_name = "TOKENS", env = "MAX_BATCH_TOKENS", hide_env = true, default_value_t = limits().max_batch_tokens, value_parser = at_least_one())]
    pub(crate) max_batch_tokens: usize,
    /// Maximum texts per batch [default: no limit]
    #[arg(long, value_name = "TEXTS", env = "MAX_BATCH_REQUESTS", hide_env = true, value_parser = at_least_one())]
    pub(crate) max_batch_requests: Option<usize>,
    /// Maximum texts per request
    #[arg(long, value_name = "TEXTS", env = "MAX_CLIENT_BATCH_SIZE", hide_env = true, default_value_t = limits().max_client_batch_size, value_parser = at_least_one())]
    pub(crate) max_client_batch_size: usize,
    /// Maximum bytes of a request's body
    #[arg(long, value_name = "BYTES", env = "PAYLOAD_LIMIT", hide_env = true, default_value_t = limits().payload_limit, value_parser = at_least_one())]
    pub(crate) payload_limit: usize,
    /// Maximum open connections
    #[arg(long, value_name = "CONNECTIONS", default_value_t = limits().max_connections, value_parser = at_least_one())]
    pub(crate) max_connections: usize,
    /// Seconds a client may take to send its headers, and again its body
    #[arg(long, value_name = "SECONDS", default_value_t = limits().read_timeout.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) read_timeout: u64,
    /// Seconds a client may take to accept the next part of a reply
    #[arg(long, value_name = "SECONDS", default_value_t = limits().write_timeout.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) write_timeout: u64,
    /// Seconds that running requests may take when the service stops
    #[arg(long, value_name = "SECONDS", default_value_t = limits().stop_timeout.as_secs())]
    pub(crate) stop_timeout: u64,
    /// Maximum milliseconds from a change of an index to its commit
    #[arg(long, value_name = "MS", default_value_t = limits().commit_interval.as_millis() as u64)]
    pub(crate) commit_interval: u64,
    /// Number of changed documents that causes an earlier commit
    #[arg(long, value_name = "DOCUMENTS", default_value_t = limits().commit_documents, value_parser = at_least_one())]
    pub(crate) commit_documents: usize,
}

/// What is told.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// Write the log as JSON, one object per line, like --log-format json
    #[arg(long, env = "JSON_OUTPUT", hide_env = true)]
    pub(crate) json_output: bool,
    /// Lowest level of messages to write [default: info; warn with --quiet, debug with --verbose]
    #[arg(long, value_enum, env = "LOG_LEVEL", hide_env = true)]
    pub(crate) log_level: Option<LevelArg>,
    /// OpenTelemetry collector that receives traces by OTLP over HTTP, such as
    /// http://127.0.0.1:4318
    #[arg(long, value_name = "URL", env = "OTLP_ENDPOINT", hide_env = true)]
    pub(crate) otlp_endpoint: Option<String>,
    /// Name of the service in traces
    #[arg(long, value_name = "NAME", env = "OTLP_SERVICE_NAME", hide_env = true, default_value_t = OtlpOptions::default().service_name)]
    pub(crate) otlp_service_name: String,
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
    #[arg(long, hide = true, env = "DENSE_PATH")]
    pub(crate) dense_path: Option<PathBuf>,
}
