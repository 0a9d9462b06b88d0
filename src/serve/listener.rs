//! Connections: accepted, encrypted, limited in number and time, and closed when the service stops.

use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use super::options::{Limits, TlsFiles};
use crate::error::{Error, advised};

/// The largest head of a request in bytes.
const LARGEST_HEAD: usize = 64 << 10;
/// The time before the next try when no connection can be accepted, for example because all file
/// descriptors are in use.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Reads the certificate and the key of HTTPS.
pub(crate) fn tls(files: &TlsFiles) -> Result<TlsAcceptor, Error> {
    let open = |path: &Path| File::open(path).map(BufReader::new).map_err(Error::io("open", path));
    let unusable = |path: &Path, why: String| {
        advised(
            format!("{} cannot be used for TLS: {why}", path.display()),
            "give a certificate chain and its private key, both in PEM",
        )
    };
    let chain = CertificateDer::pem_reader_iter(open(&files.certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(&files.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(&files.certificate, "it has no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_reader(open(&files.key)?)
        .map_err(|error| unusable(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable(&files.certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Binds a port before anything else is done, so that a port in use is told at once.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| {
        advised(
            format!("cannot listen on {address}: {error}"),
            "stop the program that uses the port, or give another with --port",
        )
    })
}

/// Accepts connections until `stop` is set, and then waits for the requests that are running.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let next = async {
            let place = place.await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        // Small replies are sent at once.
        _ = stream.set_nodelay(true);
        let (tls, router, limits) = (tls.clone(), router.clone(), limits.clone());
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let _place = place;
            let Some(stream) = encrypted(stream, tls, &limits).await else { return };
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(limits.read_timeout)
                .max_buf_size(LARGEST_HEAD);
            let connection =
                http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
            // A connection that the client breaks off concerns nobody else.
            _ = watcher.watch(connection).await;
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.stop_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were broken off");
    }
}

/// A connection, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// Begins TLS where it is used. A client that does not accept replies in time is dropped.
async fn encrypted(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    limits: &Limits,
) -> Option<std::pin::Pin<Box<dyn Stream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_timeout));
    match tls {
        None => Some(Box::pin(stream)),
        Some(tls) => {
            let handshake = tls.accept(Box::pin(stream));
            let stream = tokio::time::timeout(limits.read_timeout, handshake).await.ok()?.ok()?;
            Some(Box::pin(stream))
        }
    }
}
