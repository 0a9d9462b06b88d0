//! The HTTP service: vectors, search and a page, for the clients that people already have.
//!
//! [`Server::start`] listens at once and loads the model on a thread of its own; until then requests
//! get status 503. All routes are described at `/docs` of a running service.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//! use light_splade::serve::{ServeOptions, Server};
//!
//! let address = "127.0.0.1:0".parse()?;
//! let mut server = Server::start(ServeOptions { address, ..ServeOptions::default() })?;
//! server.ready()?;
//!
//! let body = r#"{"inputs": "東京の天気", "top_k": 3}"#;
//! let mut client = TcpStream::connect(server.address())?;
//! write!(
//!     client,
//!     "POST /embed_sparse HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
//!      Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
//!     body.len()
//! )?;
//! let mut reply = String::new();
//! client.read_to_string(&mut reply)?;
//! assert!(reply.starts_with("HTTP/1.1 200 OK"));
//! server.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod options;

mod error;
mod metrics;

mod trace;

mod blocking;

mod keys;

mod model;

mod compute;
mod hosted;
mod state;

mod body;
mod encode;
mod log;

mod routes;

mod listener;

use std::net::SocketAddr;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

pub use options::{Keys, Limits, OtlpOptions, ServeOptions, TlsFiles};

use crate::error::{Error, invalid};
use state::{App, Phase};

/// A running service.
///
/// Dropping it stops the service without waiting for requests.
#[derive(Debug)]
pub struct Server {
    app: App,
    runtime: Option<Runtime>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    listeners: Vec<tokio::task::JoinHandle<()>>,
    /// The thread of the first load, until somebody has waited for it.
    loading: Option<JoinHandle<Result<(), Error>>>,
}

impl Server {
    /// Listens, and begins to load the model.
    ///
    /// # Errors
    /// If the address is in use, a certificate or an origin cannot be used, or the system has no
    /// room for threads.
    pub fn start(options: ServeOptions) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .thread_name("http")
            .build()
            .map_err(|error| Error::Threads(Box::new(error)))?;
        let tls = options.tls.as_ref().map(listener::tls).transpose()?;
        let listener = runtime.block_on(listener::bind(options.address))?;
        let address = listener.local_addr().unwrap_or(options.address);
        let metrics_address = options.metrics_port.map(|port| SocketAddr::new(address.ip(), port));
        let metrics = metrics_address.map(|address| runtime.block_on(listener::bind(address)));
        let metrics = metrics.transpose()?;
        let limits = options.limits.clone();
        let app = App::new(options)?;
        let (stop, stopped) = watch::channel(false);
        let mut listeners = Vec::new();
        if let Some(metrics) = metrics {
            let router = routes::metrics_router(&app);
            let serve = listener::serve(metrics, None, router, limits.clone(), stopped.clone());
            listeners.push(runtime.spawn(serve));
        }
        let router = routes::router(&app)?;
        listeners.push(runtime.spawn(listener::serve(listener, tls, router, limits, stopped)));

        let state = app.clone();
        let load = move || {
            state.load()?;
            if state.phase() == Phase::Starting {
                state.set_phase(Phase::Ready);
            }
            Ok(())
        };
        let loading = std::thread::Builder::new().name("load".to_owned()).spawn(load);
        let loading = Some(loading.map_err(|error| Error::Threads(Box::new(error)))?);
        Ok(Self { app, runtime: Some(runtime), address, stop, listeners, loading })
    }

    /// The address that the service listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the model is loaded.
    ///
    /// # Errors
    /// If the model or an index cannot be loaded.
    pub fn ready(&mut self) -> Result<(), Error> {
        let Some(loading) = self.loading.take() else { return Ok(()) };
        loading.join().unwrap_or_else(|_| Err(invalid("the model was not loaded: this is a bug")))
    }

    /// Loads the model, the re-ranker and the indexes anew, as when their folders have changed.
    /// Requests go on with the old ones until the new ones are there, and after an error.
    ///
    /// # Errors
    /// If the model or an index cannot be loaded.
    pub fn reload(&self) -> Result<(), Error> {
        self.app.load()
    }

    /// Stops: accepts nothing new, finishes what is running, and commits the changes of indexes.
    pub fn stop(mut self) {
        self.app.set_phase(Phase::Draining);
        self.stop.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            for listener in std::mem::take(&mut self.listeners) {
                // A listener that panicked has nothing left to finish.
                _ = runtime.block_on(listener);
            }
            self.app.indexes.close();
            self.app.compute.close();
            runtime.shutdown_background();
        }
        self.app.tracer.close();
        if let Some(loading) = self.loading.take() {
            // Nobody waits for the model any more.
            _ = loading.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.app.compute.close();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
