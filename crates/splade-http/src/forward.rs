//! Requests to `http` addresses through an HTTP proxy.
//!
//! Such a proxy is sent the request itself, with the whole address in its first line (RFC 9112, section 3.2.2), and
//! not the method CONNECT, which the HTTP library would use: many proxies allow CONNECT for encrypted connections
//! only.

use std::fmt;
use std::sync::Arc;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use crate::tls::{Tls, TlsConnector};

/// Resolves the name of the proxy in place of the server's, so that the connection is made to the proxy.
#[derive(Debug)]
pub(crate) struct ProxyResolver(pub(crate) Uri);

impl Resolver for ProxyResolver {
    fn resolve(
        &self,
        _: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        DefaultResolver::default().resolve(&self.0, config, timeout)
    }
}

/// Makes a connection to a proxy one on which requests are forwarded.
#[derive(Debug)]
pub(crate) struct ForwardConnector {
    proxy: Uri,
    tls: TlsConnector,
}

impl ForwardConnector {
    pub(crate) fn new(proxy: Uri, tls: Arc<Tls>) -> Self {
        Self { proxy, tls: TlsConnector(tls) }
    }
}

impl<In: Transport> Connector<In> for ForwardConnector {
    type Out = Forwarded;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let to_proxy = ConnectionDetails {
            uri: &self.proxy,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        let Some(connection) = self.tls.connect(&to_proxy, chained)? else { return Ok(None) };
        let server = details.uri.authority().map_or("", |authority| authority.as_str());
        let prefix = Some(format!("http://{server}"));
        Ok(Some(Forwarded { connection: connection.boxed(), prefix }))
    }
}

/// A connection to a proxy for one request, whose first line gets the scheme and the host of the server.
pub(crate) struct Forwarded {
    connection: Box<dyn Transport>,
    /// What the path of the first line is still to be prefixed with.
    prefix: Option<String>,
}

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Transport for Forwarded {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let Some(prefix) = self.prefix.take() else {
            return self.connection.transmit_output(amount, timeout);
        };
        let line = &self.connection.buffers().output()[..amount];
        let path = line.iter().position(|byte| *byte == b' ').map_or(0, |at| at + 1);
        let whole = [&line[..path], prefix.as_bytes(), &line[path..]].concat();
        let size = self.connection.buffers().output().len();
        for part in whole.chunks(size) {
            self.connection.buffers().output()[..part.len()].copy_from_slice(part);
            self.connection.transmit_output(part.len(), timeout)?;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.connection.await_input(timeout)
    }

    /// Returns `false`: the connection is not used for a second request, whose first line would not be seen.
    fn is_open(&mut self) -> bool {
        false
    }
}
