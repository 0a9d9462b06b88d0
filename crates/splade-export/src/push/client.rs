//! HTTP requests that are tried again where that can help: no connection, "too many requests" (429),
//! and errors of the server (5xx). Waits double from one to the next, with a random share so that
//! clients do not come back all at once; a `Retry-After` in seconds is obeyed.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use serde_json::Value;
use splade_io::{Event, Observer};
use ureq::Agent;
use ureq::http;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::error::PushError;

const CONNECT: Duration = Duration::from_secs(15);
/// Without an answer: a batch may wait for a busy disk.
const SILENCE: Duration = Duration::from_secs(120);
/// The longest wait that is not the server's wish.
const LONGEST: Duration = Duration::from_secs(60);
/// Larger answers than any that is asked for.
const MAX_ANSWER: u64 = 64 << 20;
/// Between two questions whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// How to reach a server.
#[derive(Clone)]
pub struct ClientOptions {
    /// Header and value that say who asks.
    pub key: Option<(&'static str, String)>,
    /// Certificates in PEM of who may vouch for the server, in place of the usual ones.
    pub authorities: Option<Vec<u8>>,
    /// How often a request is tried again.
    pub retries: u32,
    /// The first wait.
    pub wait: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { key: None, authorities: None, retries: 8, wait: Duration::from_millis(500) }
    }
}

/// Without the key.
impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientOptions").field("retries", &self.retries).finish_non_exhaustive()
    }
}

/// A server that is asked.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    /// Without a slash at the end.
    url: String,
    options: ClientOptions,
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `PUT`, `POST` or `DELETE`.
    pub method: &'static str,
    /// Behind the server's address, with a slash first.
    pub path: &'a str,
    /// Of the body.
    pub content_type: &'static str,
    /// Nothing for requests without one.
    pub body: &'a [u8],
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// The body.
    pub text: String,
    /// Seconds of `Retry-After`.
    pub(crate) retry_after: Option<u64>,
}

impl Answer {
    /// The body; null if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Whether the request was done.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// An error that says so.
    pub fn refused(&self, request: &Request<'_>) -> PushError {
        let answer = self.text.chars().take(500).collect();
        let what = format!("{} {}", request.method, request.path);
        PushError::Refused { what, status: self.status, answer }
    }
}

impl Client {
    /// A client of the server at an address such as `https://localhost:9200`.
    ///
    /// # Errors
    /// If that is no address of a server, or the certificates cannot be read.
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
                return Err(wrong("the server's address has no ? or #"));
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
                return Err(wrong("there is no certificate in PEM in the file of authorities"));
            }
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // The key may go to this server alone.
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

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes a request until there is an answer that will not be another next time, or the tries are
    /// used up.
    ///
    /// # Errors
    /// If no answer came at all, or the observer asks to stop.
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
                // What HTTP does not take, it will not take next time.
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

    /// Waits before a try.
    pub(crate) fn pause(
        &self,
        tries: u32,
        asked: Option<u64>,
        trouble: &str,
        observer: &mut dyn Observer,
    ) -> Result<(), PushError> {
        let own = self.options.wait.saturating_mul(1 << tries.min(16)).min(LONGEST);
        // From half of the wait to all of it.
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

    /// How often a request is tried again.
    pub(crate) fn retries(&self) -> u32 {
        self.options.retries
    }

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
        // Of a key that is no header value not a letter may be printed.
        let response = response.map_err(|_| {
            PushError::Options(
                "the address or the key has marks that HTTP does not take".to_owned(),
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
