//! An HTTP client that retries a request if there is no connection, or if the server answers "too
//! many requests" (429) or an error of its own (5xx).
//!
//! The wait doubles from one retry to the next and has a random share, so that not all clients
//! return at once. A `Retry-After` in seconds is obeyed.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use serde_json::Value;
use splade_io::{Event, Observer};
use ureq::Agent;
use ureq::http;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::error::PushError;

/// The time limit for a connection.
const CONNECT: Duration = Duration::from_secs(15);
/// The time limit without any bytes of an answer. It is long, because a batch may wait for a busy
/// disk.
const SILENCE: Duration = Duration::from_secs(120);
/// The longest wait before a retry, except for a longer `Retry-After`.
const LONGEST: Duration = Duration::from_secs(60);
/// The largest answer in bytes. No expected answer is as large.
const MAX_ANSWER: u64 = 64 << 20;
/// The interval at which a wait asks the observer whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Options of a client.
#[derive(Clone)]
pub struct ClientOptions {
    /// The header and value of the key that authenticates the client; none by default.
    pub key: Option<(&'static str, String)>,
    /// The certificates of the trusted authorities in PEM; the usual authorities by default.
    pub authorities: Option<Vec<u8>>,
    /// The maximum number of retries of a request; 8 by default.
    pub retries: u32,
    /// The wait before the first retry; 500 ms by default.
    pub wait: Duration,
}

impl Default for ClientOptions {
    /// Returns options without a key, with the usual authorities, 8 retries and a wait of 500 ms.
    fn default() -> Self {
        Self { key: None, authorities: None, retries: 8, wait: Duration::from_millis(500) }
    }
}

/// Prints the options without the key.
impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientOptions").field("retries", &self.retries).finish_non_exhaustive()
    }
}

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    /// The address of the server without a slash at the end.
    url: String,
    options: ClientOptions,
}

/// A request to a server.
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
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as text; invalid UTF-8 is replaced.
    pub text: String,
    /// The seconds of the header `Retry-After`, if it has a number.
    pub(crate) retry_after: Option<u64>,
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
    /// Returns an error if the address is invalid or contains a name and password, or if the
    /// authorities contain no certificate.
    pub fn new(url: &str, options: ClientOptions) -> Result<Self, PushError> {
        let wrong = |message: &str| PushError::Options(message.to_owned());
        let server = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        match server {
            None | Some("") => {
                return Err(wrong("the server's address begins with http:// or https://"));
            }
            Some(server) if server.contains('@') => {
                return Err(wrong(
                    "leave name and password out of the server's address, and put \
                     \"Basic <base64 of name:password>\" into LIGHT_SPLADE_API_KEY",
                ));
            }
            Some(server) if server.contains(['?', '#']) => {
                return Err(wrong("the server's address must not contain ? or #"));
            }
            Some(_) => {}
        }
        let mut tls = TlsConfig::builder();
        if let Some(pem) = &options.authorities {
            let certificates: Vec<Certificate<'static>> = parse_pem(pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                return Err(wrong("the file of authorities contains no certificate in PEM"));
            }
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect could send the key to another server, so redirects are not followed.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .tls_config(tls.build())
            .user_agent(concat!("light-splade/", env!("CARGO_PKG_VERSION")))
            .build();
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { agent: agent.into(), url, options })
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
        let mut tries = 0;
        loop {
            let answer = self.once(request);
            let (trouble, asked) = match &answer {
                Ok(answer) if answer.status == 429 || answer.status >= 500 => {
                    (format!("{} answered {}", self.url, answer.status), answer.retry_after)
                }
                // A request that is not valid in HTTP will not be valid in the next try either.
                Ok(_) | Err(PushError::Options(_)) => break answer,
                Err(error) => (error.to_string(), None),
            };
            if tries == self.options.retries {
                break answer;
            }
            self.pause(tries, asked, &trouble, observer)?;
            tries += 1;
        }
    }

    /// Waits before a retry. `tries` is the number of earlier retries, `asked` the seconds of
    /// `Retry-After`, and `trouble` the reason for the observer.
    pub(crate) fn pause(
        &self,
        tries: u32,
        asked: Option<u64>,
        trouble: &str,
        observer: &mut dyn Observer,
    ) -> Result<(), PushError> {
        let own = self.options.wait.saturating_mul(1 << tries.min(16)).min(LONGEST);
        // The wait is between half of `own` and all of it.
        let random = RandomState::new().hash_one(tries) as f64 / u64::MAX as f64;
        let own = own.mul_f64(0.5 + random / 2.0);
        let wait = asked.map_or(own, |seconds| own.max(Duration::from_secs(seconds)));
        let note = format!("{trouble}; next try in {:.1} s", wait.as_secs_f64());
        observer.event(Event::Note(&note));
        let mut waited = Duration::ZERO;
        while waited < wait {
            if observer.stop() {
                return Err(PushError::Stopped);
            }
            let part = LOOK.min(wait - waited);
            std::thread::sleep(part);
            waited += part;
        }
        Ok(())
    }

    /// Returns the maximum number of retries of a request.
    pub(crate) fn retries(&self) -> u32 {
        self.options.retries
    }

    /// Sends a request once.
    fn once(&self, request: &Request<'_>) -> Result<Answer, PushError> {
        let unreachable =
            |message: String| PushError::Unreachable { url: self.url.clone(), message };
        let mut builder = http::Request::builder()
            .method(request.method)
            .uri(format!("{}{}", self.url, request.path));
        if let Some((header, key)) = &self.options.key {
            builder = builder.header(*header, key);
        }
        let response = if request.body.is_empty() {
            builder.body(()).map(|request| self.agent.run(request))
        } else {
            let builder = builder.header("Content-Type", request.content_type);
            builder.body(request.body).map(|request| self.agent.run(request))
        };
        // The library's error may contain the key, so it is not printed.
        let response = response.map_err(|_| {
            PushError::Options(
                "the address or the key has characters that HTTP does not allow".to_owned(),
            )
        })?;
        let mut response = response.map_err(|error| unreachable(error.to_string()))?;
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let body = body.map_err(|error| unreachable(error.to_string()))?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: response.status().as_u16(), text, retry_after })
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
        let authorities = Some(b"no certificate".to_vec());
        let options = ClientOptions { authorities, ..ClientOptions::default() };
        assert!(Client::new("https://localhost", options).is_err());
    }
}
