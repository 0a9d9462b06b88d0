//! The agents of the HTTP library: one for each way to a server, because an agent has one proxy.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::config::{Config, IpFamily};
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectProxyConnector, Connector, NextTimeout, SocksConnector, TcpConnector,
};
use ureq::{Agent, ProxyProtocol};

use crate::address::Address;
use crate::error::HttpError;
use crate::forward::{ForwardConnector, ProxyResolver};
use crate::options::HttpOptions;
use crate::proxy::Proxy;
use crate::tls::{Tls, TlsConnector};

/// The time limit for a connection, with a proxy's part in it.
pub(crate) const CONNECT: Duration = Duration::from_secs(15);

/// The way of a request to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// Without a proxy.
    Direct,
    /// Through a connection that the proxy makes to the server.
    Tunnel(Proxy),
    /// By a request to the proxy.
    Forward(Proxy),
}

impl Route {
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        match self {
            Self::Direct => None,
            Self::Tunnel(proxy) | Self::Forward(proxy) => Some(proxy),
        }
    }
}

/// The agents that have been needed so far, and what they have in common.
#[derive(Debug)]
pub(crate) struct Agents {
    options: HttpOptions,
    tls: Arc<Tls>,
    made: Mutex<Vec<(Route, Agent)>>,
}

impl Agents {
    pub(crate) fn new(options: HttpOptions) -> Self {
        let tls = Arc::new(Tls::new(options.trust.clone()));
        Self { options, tls, made: Mutex::default() }
    }

    /// Returns the way to a server and the agent for it.
    pub(crate) fn choose(&self, address: &Address) -> Result<(Route, Agent), HttpError> {
        let route = match self.options.proxies.choose(address)? {
            None => Route::Direct,
            Some(proxy) if proxy.is_http() && !address.is_https() => Route::Forward(proxy),
            Some(proxy) => Route::Tunnel(proxy),
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, agent)) = made.iter().find(|(of, _)| *of == route) {
            return Ok((route, agent.clone()));
        }
        let agent = self.make(&route)?;
        made.push((route.clone(), agent.clone()));
        Ok((route, agent))
    }

    fn make(&self, route: &Route) -> Result<Agent, HttpError> {
        let silence = Some(self.options.silence);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect could send a secret to another server, so the client follows redirects itself.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(silence)
            .timeout_per_read(silence)
            .timeout_per_write(silence)
            .accept_encoding("identity")
            .user_agent(concat!("light-splade/", env!("CARGO_PKG_VERSION")));
        let tls = || TlsConnector(Arc::clone(&self.tls));
        let direct = || ().chain(TcpConnector::default()).chain(tls());
        Ok(match route {
            Route::Direct => {
                Agent::with_parts(config.proxy(None).build(), direct(), DefaultResolver::default())
            }
            Route::Forward(proxy) => {
                let proxy = proxy.to_ureq()?.uri().clone();
                let forward = ForwardConnector::new(proxy.clone(), Arc::clone(&self.tls));
                let connector = ().chain(TcpConnector::default()).chain(forward);
                Agent::with_parts(config.proxy(None).build(), connector, ProxyResolver(proxy))
            }
            Route::Tunnel(proxy) => {
                // SOCKS 4 has no IPv6 addresses.
                let family = match proxy.protocol {
                    ProxyProtocol::Socks4 => IpFamily::Ipv4Only,
                    _ => IpFamily::Any,
                };
                let config = config.proxy(Some(proxy.to_ureq()?)).ip_family(family).build();
                let connector =
                    ().chain(SocksConnector::default())
                        .chain(ConnectProxyConnector::default())
                        .chain(TcpConnector::default())
                        .chain(tls());
                Agent::with_parts(config, connector, Ipv4First)
            }
        })
    }
}

/// Puts IPv4 addresses first, because a SOCKS proxy is given the first address only, and fewer of them reach IPv6.
#[derive(Debug)]
struct Ipv4First;

impl Resolver for Ipv4First {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = DefaultResolver::default().resolve(uri, config, timeout)?;
        addresses.sort_by_key(std::net::SocketAddr::is_ipv6);
        Ok(addresses)
    }
}
