//! The settings of the client.

use std::time::Duration;

use crate::error::HttpError;
use crate::proxy::Proxies;
use crate::trust::Trust;

/// The settings of [`Http`](crate::Http).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOptions {
    pub(crate) proxies: Proxies,
    pub(crate) trust: Trust,
    /// The maximum number of retries of a request; 5 by default.
    pub retries: u32,
    /// The wait before the first retry; 500 ms by default. Later waits are longer.
    pub wait: Duration,
    /// The time without a byte of an answer after which a request fails; 60 s by default.
    pub silence: Duration,
}

impl Default for HttpOptions {
    /// Returns options without proxies and with the certificates that the operating system trusts.
    fn default() -> Self {
        Self {
            proxies: Proxies::default(),
            trust: Trust::default(),
            retries: 5,
            wait: Duration::from_millis(500),
            silence: Duration::from_secs(60),
        }
    }
}

impl HttpOptions {
    /// Reads the proxies and the trusted certificates from the environment variables that curl and Python's tools
    /// read. An invalid value is an error of the requests that need it.
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `https_proxy`, `HTTPS_PROXY` | the proxy for `https` addresses |
    /// | `http_proxy`, `HTTP_PROXY` | the proxy for `http` addresses |
    /// | `all_proxy`, `ALL_PROXY` | the proxy for a scheme that has none of its own |
    /// | `no_proxy`, `NO_PROXY` | the servers that are reached without a proxy |
    /// | `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE` | trusted certificates: a file in PEM, or a folder |
    /// | `SSL_CERT_DIR` | trusted certificates: a list of folders |
    pub fn from_env() -> Self {
        Self::from_vars(&|name| std::env::var(name).ok())
    }

    /// Reads the same settings from variables that a function returns.
    pub fn from_vars(var: &dyn Fn(&str) -> Option<String>) -> Self {
        let (proxies, trust) = (Proxies::from_vars(var), Trust::from_vars(var));
        Self { proxies, trust, ..Self::default() }
    }

    /// Checks that the certificates of [`trusting`](Self::trusting) can be read, if there are any. Without this
    /// check, only the first request to an `https` address finds that they cannot.
    ///
    /// # Errors
    /// Returns an error if there is no certificate among them.
    pub fn check_certificates(&self) -> Result<(), HttpError> {
        match self.trust.given {
            Some(_) => self.trust.roots().map(drop),
            None => Ok(()),
        }
    }

    /// Trusts the certificates of a file in PEM in place of all others.
    #[must_use]
    pub fn trusting(mut self, pem: Vec<u8>) -> Self {
        self.trust.given = Some(pem);
        self
    }
}
