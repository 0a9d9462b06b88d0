//! `serve`: the HTTP service.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use light_splade::SparseEncoderOptions;
use light_splade::serve::{Keys, Limits, ServeOptions, Server, TlsFiles};
use splade_model::{Precision, Side};
use tracing_subscriber::filter::LevelFilter;

use super::{advised, ids};
use crate::args::{
    DtypeArg, GlobalArgs, KeyArgs, LevelArg, LimitArgs, LogArgs, LogFormatArg, ServeArgs,
};
use crate::interrupt;
use crate::log::{self, Audience};

/// The time between two looks at signals.
const LOOK: Duration = Duration::from_millis(50);

/// Set by SIGHUP.
static HUNG_UP: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(args: &ServeArgs, global: &GlobalArgs) -> Result<()> {
    start_log(&args.log, global);
    set_hub(args);
    let options = options(args)?;
    tell_of_options_without_effect(args);
    let is_open = options.keys.read.is_empty();
    let mut server = Server::start(options)?;
    interrupt::listen()?;
    listen_for_hang_up();
    let scheme = if args.network.tls_cert.is_some() { "https" } else { "http" };
    let address = server.address();
    tracing::info!("loading {}", args.model.display());
    server.ready()?;
    tracing::info!("ready at {scheme}://{address}: see /docs and /ui");
    if is_open && !address.ip().is_loopback() {
        tracing::warn!(
            "everybody who reaches {address} may use the service: give it a key with --api-key"
        );
    }
    let began_on_terminal = std::io::stdin().is_terminal();
    while !interrupt::asked() {
        if HUNG_UP.swap(false, Ordering::Relaxed) {
            // A terminal that was closed is none any more.
            if began_on_terminal && !std::io::stdin().is_terminal() {
                break;
            }
            tracing::info!("loading the model and the indexes anew");
            match server.reload() {
                Ok(()) => tracing::info!("loaded anew"),
                Err(error) => {
                    let error = anyhow::Error::from(error);
                    tracing::error!("what was loaded before stays: {error:#}");
                }
            }
        }
        std::thread::sleep(LOOK);
    }
    tracing::info!("finishing what is running; press Ctrl-C again to end at once");
    server.stop();
    tracing::info!("stopped");
    Ok(())
}

/// SIGHUP loads the model and the indexes anew. On other systems nothing does.
fn listen_for_hang_up() {
    #[cfg(unix)]
    {
        extern "C" fn note(_: libc::c_int) {
            HUNG_UP.store(true, Ordering::Relaxed);
        }
        // SAFETY: the handler stores into an atomic and does nothing else, which is allowed in a
        // handler of a signal.
        #[allow(unsafe_code, reason = "a call of the system")]
        unsafe {
            let handler = note as extern "C" fn(libc::c_int);
            libc::signal(libc::SIGHUP, handler as libc::sighandler_t);
        }
    }
}

/// Logs to standard error.
fn start_log(args: &LogArgs, global: &GlobalArgs) {
    let level = match args.log_level {
        Some(LevelArg::Error) => LevelFilter::ERROR,
        Some(LevelArg::Warn) => LevelFilter::WARN,
        Some(LevelArg::Info) => LevelFilter::INFO,
        Some(LevelArg::Debug) => LevelFilter::DEBUG,
        None => log::level(global),
    };
    let format = if args.json_output { LogFormatArg::Json } else { global.log_format };
    log::start(level, format, Audience::Service);
}

/// Passes the token and the cache of the hub on to the client of the hub, which reads them from the
/// environment.
fn set_hub(args: &ServeArgs) {
    let token = args.model_use.hf_token.as_ref().or(args.model_use.hf_api_token.as_ref());
    let cache = args.model_use.huggingface_hub_cache.as_ref().map(|path| path.as_os_str());
    let values = [("HF_TOKEN", token.map(std::ffi::OsStr::new)), ("HF_HUB_CACHE", cache)];
    for (name, value) in values {
        if let Some(value) = value {
            // SAFETY: the program has no other threads yet that could read the environment.
            #[allow(unsafe_code, reason = "the environment of this process")]
            unsafe {
                std::env::set_var(name, value);
            }
        }
    }
}

fn options(args: &ServeArgs) -> Result<ServeOptions> {
    let model = match &args.revision {
        None => args.model.clone(),
        Some(revision) if args.model.is_dir() || args.model.to_string_lossy().contains('@') => {
            return Err(advised(
                format!("--revision {revision} is for a model of the hub without a revision"),
                "leave out --revision",
            ));
        }
        Some(revision) => PathBuf::from(format!("{}@{revision}", args.model.display())),
    };
    let using = &args.model_use;
    let encoder = SparseEncoderOptions {
        precision: match using.dtype {
            DtypeArg::Int8 => Precision::Int8,
            DtypeArg::Float32 | DtypeArg::Float16 | DtypeArg::Bfloat16 => Precision::F32,
        },
        max_length: using.max_length,
        query_prompt: using.default_prompt.clone(),
        document_prompt: using.default_prompt.clone(),
        threads: using.threads,
        mecab_dicdir: using.mecab_dicdir.clone(),
        ..SparseEncoderOptions::default()
    };
    let network = &args.network;
    let host = network.hostname.or_else(hostname_of_environment);
    let host = host.unwrap_or(ServeOptions::default().address.ip());
    let tls = network.tls_cert.clone().zip(network.tls_key.clone());
    Ok(ServeOptions {
        model,
        encoder,
        served_model_name: args.served_model_name.clone(),
        reranker: args.reranker.clone(),
        indexes: args.index.iter().map(|index| named_index(index)).collect::<Result<_>>()?,
        index_root: args.index_root.clone(),
        address: SocketAddr::new(host, network.port),
        metrics_port: network.prometheus_port,
        keys: keys(&args.keys)?,
        tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
        cors: network.cors_allow_origin.clone(),
        limits: limits(&args.limits),
        auto_truncate: using.auto_truncate,
        default_query: using
            .default_prompt_name
            .is_some_and(|side| Side::from(side) == Side::Query),
    })
}

/// The address in `HOSTNAME`. Systems put the name of the machine there, which is none.
fn hostname_of_environment() -> Option<IpAddr> {
    std::env::var("HOSTNAME").ok()?.parse().ok()
}

/// Reads `NAME=FOLDER` or `FOLDER`.
fn named_index(argument: &str) -> Result<(String, PathBuf)> {
    if let Some((name, folder)) = argument.split_once('=')
        && !Path::new(argument).is_dir()
    {
        return Ok((name.to_owned(), folder.into()));
    }
    let folder = PathBuf::from(argument);
    let full = std::path::absolute(&folder)?;
    match full.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok((name.to_owned(), folder)),
        None => Err(advised(
            format!("the folder {argument} has no name for an index"),
            "give one: --index NAME=FOLDER",
        )),
    }
}

fn keys(args: &KeyArgs) -> Result<Keys> {
    let all = |key: &Option<String>, file: &Option<PathBuf>| -> Result<Vec<String>> {
        let mut keys: Vec<String> = key.iter().cloned().collect();
        if let Some(file) = file {
            let read = ids(file)?;
            if read.is_empty() {
                return Err(advised(
                    format!("{} has no keys", file.display()),
                    "write one key a line into it",
                ));
            }
            keys.extend(read);
        }
        match keys.iter().any(String::is_empty) {
            true => Err(advised("a key is empty", "leave out the option, or give a key")),
            false => Ok(keys),
        }
    };
    Ok(Keys {
        read: all(&args.api_key, &args.api_key_file)?,
        write: all(&args.write_key, &args.write_key_file)?,
    })
}

fn limits(args: &LimitArgs) -> Limits {
    Limits {
        max_concurrent_requests: args.max_concurrent_requests,
        max_batch_tokens: args.max_batch_tokens,
        max_batch_requests: args.max_batch_requests,
        max_client_batch_size: args.max_client_batch_size,
        payload_limit: args.payload_limit,
        max_connections: args.max_connections,
        read_timeout: Duration::from_secs(args.read_timeout),
        write_timeout: Duration::from_secs(args.write_timeout),
        stop_timeout: Duration::from_secs(args.stop_timeout),
        commit_interval: Duration::from_millis(args.commit_interval),
        commit_documents: args.commit_documents,
    }
}

fn tell_of_options_without_effect(args: &ServeArgs) {
    let given = &args.without_effect;
    for (is_given, name, why) in [
        (
            given.tokenization_workers.is_some(),
            "--tokenization-workers",
            "texts are tokenized as they come",
        ),
        (given.uds_path.is_some(), "--uds-path", "the model runs in this process"),
        (given.disable_spans, "--disable-spans", "the log has no spans"),
        (given.otlp_endpoint.is_some(), "--otlp-endpoint", "traces are not sent"),
        (given.otlp_service_name.is_some(), "--otlp-service-name", "traces are not sent"),
        (given.dense_path.is_some(), "--dense-path", "SPLADE models have no dense module"),
    ] {
        if is_given {
            tracing::warn!("{name} has no effect: {why}");
        }
    }
    if matches!(args.model_use.dtype, DtypeArg::Float16 | DtypeArg::Bfloat16) {
        tracing::info!("the model computes with 32-bit floats");
    }
}
