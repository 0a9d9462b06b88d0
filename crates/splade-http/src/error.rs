//! The error type of the crate.

/// An error of a request. Messages name the server, and never contain a key, a token or a password.
///
/// [`remedy`](Self::remedy) says what to do; it is not part of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// An address, a header, or a setting for proxies or certificates is invalid.
    #[error("{0}")]
    Setting(String),
    /// The server gave no answer, or its answer broke off.
    #[error("{server} does not answer: {message}")]
    Unreachable {
        /// The scheme, the host and the port of the server.
        server: String,
        /// The reason.
        message: String,
    },
    /// The connection through a proxy failed.
    #[error("{server} cannot be reached through the proxy {proxy} of {variable}: {message}")]
    Proxy {
        /// The scheme, the host and the port of the server.
        server: String,
        /// The host of the server, as it would be listed in `NO_PROXY`.
        host: String,
        /// The address of the proxy without its name and password.
        proxy: String,
        /// The environment variable that names the proxy.
        variable: &'static str,
        /// The reason.
        message: String,
    },
    /// The certificate of a server is not trusted.
    #[error("the certificate of {host} is not accepted: {message}")]
    Certificate {
        /// The host and the port of the server.
        host: String,
        /// The reason.
        message: String,
    },
    /// A server redirects to an address that must not be followed, or in a circle.
    #[error("{from} redirects to {to}, {message}")]
    Redirect {
        /// The address that redirects.
        from: String,
        /// The address that it redirects to.
        to: String,
        /// The reason why the redirect is not followed.
        message: &'static str,
    },
    /// A file whose content should be sent cannot be read.
    #[error("{message}")]
    File {
        /// The path of the file and the error of the operating system.
        message: String,
    },
    /// The observer asked to stop.
    #[error("stopped")]
    Stopped,
}

impl HttpError {
    /// Returns what to do about the error, as a phrase without a full stop. `ca_option` is the option of the command
    /// that names a file of certificates, if it has one.
    pub fn remedy(&self, ca_option: Option<&str>) -> Option<String> {
        match self {
            Self::Proxy { host, variable, .. } => Some(format!(
                "check {variable}, or add {host} to NO_PROXY if it is reached without a proxy"
            )),
            Self::Certificate { .. } => {
                let option = ca_option.map(|option| format!(" or {option}")).unwrap_or_default();
                Some(format!(
                    "if your organisation has a certificate authority of its own, give the file of its certificate \
                     (PEM) in SSL_CERT_FILE or REQUESTS_CA_BUNDLE{option}"
                ))
            }
            _ => None,
        }
    }
}
