//! Turns errors of the HTTP library into those of this crate.

use std::error::Error;
use std::io::ErrorKind;

use rustls::CertificateError;
use ureq::Timeout;

use crate::address::Address;
use crate::agents::{CONNECT, Route};
use crate::error::HttpError;
use crate::options::HttpOptions;
use crate::tls::NotAmong;

/// Returns the error of a request to an address. `answered` says whether the answer had begun.
pub(crate) fn failed(
    error: &ureq::Error,
    address: &Address,
    route: &Route,
    answered: bool,
    options: &HttpOptions,
) -> HttpError {
    if let Some(own) = find::<HttpError>(error) {
        return own.clone();
    }
    if let Some(rustls::Error::InvalidCertificate(why)) = find(error) {
        let host = format!("{}:{}", address.host(), address.port());
        let proxy =
            route.proxy().map(|proxy| format!(" (through the proxy {proxy})")).unwrap_or_default();
        return HttpError::Certificate { host, message: format!("{}{proxy}", of_certificate(why)) };
    }
    let message = describe(error, options);
    let server = address.origin();
    match route.proxy() {
        Some(proxy) if !answered => HttpError::Proxy {
            server,
            host: address.host().to_owned(),
            proxy: proxy.to_string(),
            variable: proxy.variable,
            message,
        },
        _ => HttpError::Unreachable { server, message },
    }
}

/// Finds an error of a type in an error of the HTTP library.
fn find<E: Error + 'static>(error: &ureq::Error) -> Option<&E> {
    match error {
        ureq::Error::Other(other) => other.downcast_ref(),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

fn describe(error: &ureq::Error, options: &HttpOptions) -> String {
    match error {
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            format!("no connection within {} s", CONNECT.as_secs())
        }
        ureq::Error::Timeout(_) => format!("no byte for {} s", options.silence.as_secs_f32()),
        ureq::Error::ConnectProxyFailed(why) => of_proxy(why),
        ureq::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            "it closed the connection".to_owned()
        }
        ureq::Error::Io(error) => match find_message(error) {
            Some(message) => message,
            None => error.to_string(),
        },
        ureq::Error::Other(other) => other.to_string(),
        error => error.to_string(),
    }
}

/// Explains an answer that is not TLS, which has a usual cause.
fn find_message(error: &std::io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::InvalidMessage(_) => Some(
            "the answer is not one of TLS; does the server want http:// in place of https://?"
                .to_owned(),
        ),
        error => Some(error.to_string()),
    }
}

/// Explains a proxy's refusal, `proxy server responded 407/407`.
fn of_proxy(why: &str) -> String {
    match why.rsplit('/').next().and_then(|status| status.parse().ok()) {
        Some(status) => refused_by_proxy(status),
        None => why.to_owned(),
    }
}

/// Explains the status with which a proxy refuses a request or a connection.
pub(crate) fn refused_by_proxy(status: u16) -> String {
    match status {
        407 => "it wants a name and a password (407), which are given as http://NAME:PASSWORD@HOST:PORT".to_owned(),
        _ => format!("it answered {status}"),
    }
}

fn of_certificate(why: &CertificateError) -> String {
    use CertificateError as Why;
    match why {
        Why::Expired | Why::ExpiredContext { .. } => {
            "it has expired (or this computer's clock is wrong)".to_owned()
        }
        Why::NotValidYet | Why::NotValidYetContext { .. } => {
            "it is not valid yet (or this computer's clock is wrong)".to_owned()
        }
        Why::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            format!("it is one for {}", presented.join(", "))
        }
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "it is one for another host".to_owned()
        }
        Why::Other(other) => match other.0.downcast_ref::<NotAmong>() {
            Some(unknown) => unknown.to_string(),
            None => other.0.to_string(),
        },
        why => why.to_string(),
    }
}
