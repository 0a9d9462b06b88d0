//! A client of one server, which repeats a request if there is no answer, or if the server answers
//! "too many requests" (429) or an error of its own (5xx).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use splade_http::{
    Address, Again, Content, Http, HttpError, HttpOptions, Redirects, Secret, pause,
};
use splade_io::{Observer, Problem};

use super::error::PushError;

/// The time limit without any bytes of an answer. It is long, because a batch may wait for a busy
/// disk.
const SILENCE: Duration = Duration::from_secs(120);
/// The largest answer in bytes. No expected answer is as large.
const MAX_ANSWER: usize = 64 << 20;

/// Options of a client.
///
/// ```
/// use splade_export::push::{Client, ClientOptions};
///
/// let key = Some(("Authorization", "ApiKey c2VjcmV0".to_owned()));
/// let client = Client::new("https://localhost:9200", ClientOptions { key, ..ClientOptions::default() })?;
/// assert!(!format!("{client:?}").contains("c2VjcmV0"), "keys are not shown");
/// # Ok::<(), splade_export::push::PushError>(())
/// ```
#[derive(Clone)]
pub struct ClientOptions {
    /// The header and value of the key that authenticates the client; none by default.
    pub key: Option<(&'static str, String)>,
    /// The proxies, the trusted certificates and the retries; 8 retries by default, and no proxy.
    pub http: HttpOptions,
}

impl Default for ClientOptions {
    /// Returns options without a key and a proxy, with the usual authorities and 8 retries.
    fn default() -> Self {
        Self { key: None, http: Self::http(HttpOptions::default()) }
    }
}

impl ClientOptions {
    /// Returns the options for requests to a server: those of the environment, or with the
    /// certificates of a file in PEM in place of all others.
    pub fn http_from_env(authorities: Option<Vec<u8>>) -> HttpOptions {
        let http = Self::http(HttpOptions::from_env());
        match authorities {
            Some(pem) => http.trusting(pem),
            None => http,
        }
    }

    /// Sets the limits that fit search engines.
    fn http(mut http: HttpOptions) -> HttpOptions {
        (http.retries, http.silence) = (8, SILENCE);
        http
    }
}

/// Prints the options without the key.
impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientOptions").field("http", &self.http).finish_non_exhaustive()
    }
}

/// A client of one server.
///
/// ```
/// use splade_export::push::{Client, ClientOptions};
///
/// let client = Client::new("https://localhost:9200/", ClientOptions::default())?;
/// assert_eq!(client.url(), "https://localhost:9200");
/// // Names and passwords in an address end up in logs, and are refused.
/// assert!(Client::new("https://me:secret@localhost:9200", ClientOptions::default()).is_err());
/// # Ok::<(), splade_export::push::PushError>(())
/// ```
#[derive(Debug)]
pub struct Client {
    http: Http,
    /// The address of the server without a slash at the end.
    url: String,
    server: Address,
    options: ClientOptions,
}

/// A request to a server.
///
/// ```
/// use splade_export::push::{Client, ClientOptions, Request};
///
/// # // A server that answers every request with the same document.
/// # use std::io::{Read, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let url = format!("http://{}", listener.local_addr()?);
/// # std::thread::spawn(move || {
/// #     for stream in listener.incoming() {
/// #         let mut stream = stream.unwrap();
/// #         let mut request = [0; 4096];
/// #         let _ = stream.read(&mut request);
/// #         let body = r#"{"count": 3}"#;
/// #         let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
/// #     }
/// # });
/// let client = Client::new(&url, ClientOptions::default())?;
/// let request = Request { method: "GET", path: "/texts/_count", content_type: "application/json", body: b"" };
/// assert!(client.call(&request, &mut ())?.is_success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The HTTP method: `GET`, `PUT`, `POST` or `DELETE`.
    pub method: &'static str,
    /// The path after the server's address, beginning with a slash.
    pub path: &'a str,
    /// The content type of the body.
    pub content_type: &'static str,
    /// The body, which is empty for a request without one.
    pub body: &'a [u8],
}

/// The answer of a server.
///
/// ```
/// use splade_export::push::{Client, ClientOptions, Request};
///
/// # // A server that answers every request with the same document.
/// # use std::io::{Read, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let url = format!("http://{}", listener.local_addr()?);
/// # std::thread::spawn(move || {
/// #     for stream in listener.incoming() {
/// #         let mut stream = stream.unwrap();
/// #         let mut request = [0; 4096];
/// #         let _ = stream.read(&mut request);
/// #         let body = r#"{"error": "no such index"}"#;
/// #         let _ = write!(stream, "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
/// #     }
/// # });
/// let client = Client::new(&url, ClientOptions::default())?;
/// let request = Request { method: "GET", path: "/texts/_count", content_type: "application/json", body: b"" };
/// let answer = client.call(&request, &mut ())?;
/// assert_eq!((answer.status, answer.json()["error"].as_str()), (404, Some("no such index")));
/// let error = answer.refused(&request);
/// assert!(error.to_string().contains("the server answered 404"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as text; invalid UTF-8 is replaced.
    pub text: String,
}

impl Answer {
    /// Parses the body as JSON. Returns null if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Returns whether the status is a success (2xx).
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Makes an error from the answer to a request, with the first 500 characters of the body.
    pub fn refused(&self, request: &Request<'_>) -> PushError {
        let answer = self.text.chars().take(500).collect();
        let what = format!("{} {}", request.method, request.path);
        PushError::Refused { what, status: self.status, answer }
    }
}

impl Client {
    /// Makes a client of the server at an address such as `https://localhost:9200`.
    ///
    /// # Errors
    /// Returns an error if the address is invalid or contains a name and password.
    pub fn new(url: &str, options: ClientOptions) -> Result<Self, PushError> {
        let wrong = |message: &str| PushError::Options(message.into());
        let server = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        match server {
            None | Some("") => {
                return Err(wrong("the server's address begins with http:// or https://"));
            }
            Some(server) if server.contains('@') => {
                let problem = Problem::new("the server's address has a name and a password");
                return Err(PushError::Options(problem.with_remedy(
                    "leave them out, and put \"Basic <base64 of name:password>\" into \
                     LIGHT_SPLADE_API_KEY",
                )));
            }
            Some(server) if server.contains(['?', '#']) => {
                return Err(wrong("the server's address must not contain ? or #"));
            }
            Some(_) => {}
        }
        let url = url.trim_end_matches('/').to_owned();
        let unusable = |error: HttpError| PushError::Options(error.to_string().into());
        let server = Address::parse(&url).map_err(unusable)?;
        options.http.check_certificates().map_err(unusable)?;
        Ok(Self { http: Http::new(options.http.clone()), url, server, options })
    }

    /// Returns the address of the server without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request, and retries it until the answer is final or no retries are left. Answers
    /// with status 429 or 5xx are not final; if no retries are left, the last answer is returned.
    ///
    /// # Errors
    /// Returns an error if the last try got no answer, if the request is not valid in HTTP, or if
    /// the observer asks to stop.
    pub fn call(
        &self,
        request: &Request<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Answer, PushError> {
        let address = format!("{}{}", self.url, request.path);
        let address = Address::parse(&address).map_err(|error| self.failed(error))?;
        let mut sent = splade_http::Request {
            // A key that was meant for this server is of no use to another, and a push that reaches
            // another server than the one that was named is an error.
            redirects: Redirects::SameServer,
            again: Again::Always,
            ..splade_http::Request::new(request.method, address)
        };
        sent.secret = self.options.key.clone().map(|(header, value)| {
            let server = self.server.clone();
            Secret { server, header, value }
        });
        if !request.body.is_empty() {
            sent.headers.push(("Content-Type", request.content_type.to_owned()));
            sent.content = Content::Bytes(Arc::from(request.body));
        }
        let response = self.http.call(&sent, observer).map_err(|error| self.failed(error))?;
        let status = response.status;
        let body = response.bytes(MAX_ANSWER, observer).map_err(|error| self.failed(error))?;
        Ok(Answer { status, text: String::from_utf8_lossy(&body).into_owned() })
    }

    /// Waits before a retry of a part of a request. `tries` is the number of earlier retries, and
    /// `trouble` the reason for the observer.
    pub(crate) fn pause(
        &self,
        tries: u32,
        trouble: &str,
        observer: &mut dyn Observer,
    ) -> Result<(), PushError> {
        let wait = self.options.http.wait;
        pause(tries, wait, None, trouble, observer).map_err(|error| self.failed(error))
    }

    /// Returns the maximum number of retries of a request.
    pub(crate) fn retries(&self) -> u32 {
        self.options.http.retries
    }

    fn failed(&self, error: HttpError) -> PushError {
        let remedy = error.remedy(Some("--ca-file"));
        let problem = Problem::new(error.to_string());
        let problem = match remedy {
            Some(remedy) => problem.with_remedy(remedy),
            None => problem,
        };
        match error {
            HttpError::Stopped => PushError::Stopped,
            HttpError::Unreachable { .. } | HttpError::Proxy { .. } => {
                PushError::Unreachable(problem)
            }
            _ => PushError::Options(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_servers() {
        for (url, sound) in [
            ("http://localhost:9200", true),
            ("https://search.example.com/prefix/", true),
            ("localhost:9200", false),
            ("https://", false),
            ("https://me:secret@localhost", false),
            ("https://localhost?x", false),
        ] {
            let client = Client::new(url, ClientOptions::default());
            assert_eq!(client.is_ok(), sound, "{url}");
            if let Err(error) = client {
                assert!(!error.to_string().contains("secret"), "{error}");
            }
        }
        let http = HttpOptions::default().trusting(b"no certificate".to_vec());
        let options = ClientOptions { http, ..ClientOptions::default() };
        let error = Client::new("http://127.0.0.1:9", options).expect_err("no certificate");
        assert!(error.to_string().contains("no certificate in PEM"), "{error}");
    }
}
