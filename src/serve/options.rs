//! The settings of the service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::encoder::SparseEncoderOptions;

/// Settings of [`Server::start`](crate::serve::Server::start).
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The model: a folder, a hub name or the built-in model.
    pub model: PathBuf,
    /// How the model is loaded.
    pub encoder: SparseEncoderOptions,
    /// The name by which clients know the model; the model's own name if none.
    pub served_model_name: Option<String>,
    /// A cross-encoder for re-ranking.
    pub reranker: Option<PathBuf>,
    /// Indexes that are searched, each with its name.
    pub indexes: Vec<(String, PathBuf)>,
    /// A folder of indexes: those in it are served, and new ones are made there.
    pub index_root: Option<PathBuf>,
    /// The address to listen on; port 0 takes any free port.
    pub address: SocketAddr,
    /// The port of a second listener that answers `/metrics` only.
    pub metrics_port: Option<u16>,
    /// Who may do what.
    pub keys: Keys,
    /// The certificate and the key of HTTPS, as PEM files.
    pub tls: Option<TlsFiles>,
    /// The origins whose pages may call the service; `*` for all. None by default.
    pub cors: Vec<String>,
    /// Where traces are sent; nowhere by default. It needs the feature `otel`.
    pub otlp: Option<OtlpOptions>,
    /// What requests may take.
    pub limits: Limits,
    /// Whether a text that is too long is cut off when a request does not say; else it is an error.
    pub auto_truncate: bool,
    /// Whether texts count as queries when a request does not say.
    pub default_query: bool,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            model: crate::builtin::NAME.into(),
            encoder: SparseEncoderOptions::default(),
            served_model_name: None,
            reranker: None,
            indexes: Vec::new(),
            index_root: None,
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3000),
            metrics_port: None,
            keys: Keys::default(),
            tls: None,
            cors: Vec::new(),
            otlp: None,
            limits: Limits::default(),
            auto_truncate: true,
            default_query: false,
        }
    }
}

/// The keys that clients send as `Authorization: Bearer KEY`.
#[derive(Clone, Default)]
pub struct Keys {
    /// Keys that may read: encode and search. Without any, everybody may.
    pub read: Vec<String>,
    /// Keys that may also change indexes. Without any, every read key may.
    pub write: Vec<String>,
}

impl std::fmt::Debug for Keys {
    /// Keys are never shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({} to read, {} to write)", self.read.len(), self.write.len())
    }
}

/// The files of HTTPS.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain in PEM.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

/// The collector of OpenTelemetry that gets traces, by OTLP over HTTP.
#[derive(Clone)]
pub struct OtlpOptions {
    /// The address, such as `http://127.0.0.1:4318`. `/v1/traces` is put behind it if it does not end so.
    pub endpoint: String,
    /// The name by which the collector knows the service.
    pub service_name: String,
    /// More headers of requests to the collector, such as a key: names and percent-encoded values, as
    /// OpenTelemetry writes them.
    pub headers: Vec<(String, String)>,
}

impl Default for OtlpOptions {
    fn default() -> Self {
        Self {
            endpoint: "http://127.0.0.1:4318".to_owned(),
            service_name: "light-splade".to_owned(),
            headers: Vec::new(),
        }
    }
}

impl std::fmt::Debug for OtlpOptions {
    /// The values of headers are never shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("OtlpOptions")
            .field("endpoint", &self.endpoint)
            .field("service_name", &self.service_name)
            .field("headers", &names)
            .finish()
    }
}

/// What requests may take. Names and defaults are those of text-embeddings-inference.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The number of texts that may wait or be computed at a time; more are refused with status 429.
    pub max_concurrent_requests: usize,
    /// The largest number of tokens that are computed together.
    pub max_batch_tokens: usize,
    /// The largest number of texts that are computed together; no limit if none.
    pub max_batch_requests: Option<usize>,
    /// The largest number of texts in a request.
    pub max_client_batch_size: usize,
    /// The largest body of a request in bytes. The bodies of all requests together take at most 64
    /// times as much memory; requests beyond that are refused with status 429.
    pub payload_limit: usize,
    /// The largest number of open connections. More clients wait until one is closed.
    pub max_connections: usize,
    /// The time in which a client must have sent its headers, and again its body.
    pub read_timeout: Duration,
    /// The time in which a client must accept the next part of a reply.
    pub write_timeout: Duration,
    /// The time that running requests have when the service is stopped.
    pub stop_timeout: Duration,
    /// The longest time between a change of an index and its commit.
    pub commit_interval: Duration,
    /// The number of changed documents at which an index is committed earlier.
    pub commit_documents: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_concurrent_requests: 512,
            max_batch_tokens: 16_384,
            max_batch_requests: None,
            max_client_batch_size: 32,
            payload_limit: 2_000_000,
            max_connections: 1024,
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(30),
            commit_interval: Duration::from_millis(200),
            commit_documents: 1000,
        }
    }
}
