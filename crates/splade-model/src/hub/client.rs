//! The HTTP requests to the hub: the files of a revision, the properties and bytes of a file, and
//! the JSON of an upload (`upload.rs` defines its content).
//!
//! This module follows redirects itself instead of the HTTP client, for two reasons: the token may
//! be sent only to the hub, and the hub describes a file (`x-linked-etag`, `x-linked-size`) in the
//! headers of the redirect.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body, SendBody};

use super::cache::is_commit;
use super::name::{Kind, RepoName};
use super::options::HubOptions;
use crate::error::ModelError;

/// The content type of requests and answers about large files.
pub(super) const LFS: &str = "application/vnd.git-lfs+json";
/// The limit for the list of files in bytes. No model has a longer list.
const MAX_LIST: u64 = 32 << 20;
const MAX_REDIRECTS: usize = 10;
const CONNECT: Duration = Duration::from_secs(15);
/// The time without a received byte after which a request fails.
const SILENCE: Duration = Duration::from_secs(60);

/// A client of the hub for one repository.
#[derive(Debug)]
pub(super) struct Client<'a> {
    options: &'a HubOptions,
    name: &'a RepoName,
    agent: Agent,
}

/// The properties of a file at the hub.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// The identifier of the content. For large files it is the SHA-256.
    pub(super) etag: String,
    /// The size in bytes.
    pub(super) size: u64,
}

impl<'a> Client<'a> {
    pub(super) fn new(options: &'a HubOptions, name: &'a RepoName) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .user_agent(concat!("light-splade/", env!("CARGO_PKG_VERSION")));
        Self { options, name, agent: config.build().into() }
    }

    /// Returns the commit of a revision and the names of its files.
    pub(super) fn list(&self, revision: &str) -> Result<(String, Vec<String>), ModelError> {
        let RepoName { id, kind, .. } = self.name;
        let (endpoint, kind) = (&self.options.endpoint, kind.plural());
        let url = format!("{endpoint}/api/{kind}/{id}/revision/{}", encode(revision, ""));
        let mut response = self.get(&url, 0)?;
        if !response.status().is_success() {
            return Err(self.refused(&response));
        }
        let body = response.body_mut().with_config().limit(MAX_LIST).read_to_vec();
        let text = body.map_err(|error| self.unreachable(&error))?;
        let list: Value = serde_json::from_slice(&text).unwrap_or_default();
        let commit = list["sha"].as_str().filter(|commit| is_commit(commit));
        let (Some(commit), Some(files)) = (commit, list["siblings"].as_array()) else {
            return Err(self.name.error(format!(
                "{} did not answer with a list of files; check that HF_ENDPOINT is a hub",
                self.options.endpoint
            )));
        };
        let files = files.iter().filter_map(|file| file["rfilename"].as_str());
        Ok((commit.to_owned(), files.map(str::to_owned).collect()))
    }

    /// Returns the properties of a file without downloading it.
    pub(super) fn head(&self, commit: &str, file: &str) -> Result<Remote, ModelError> {
        let mut url = self.url(commit, file);
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.agent.head(&url);
            if let Some(token) = self.token(&url) {
                request = request.header("Authorization", token);
            }
            let response = request.call().map_err(|error| self.unreachable(&error))?;
            let headers = response.headers();
            let next = redirect(&url, &response);
            if let (Some(next), None) = (&next, header(headers, "x-linked-etag"))
                && self.is_hub(next)
            {
                url.clone_from(next);
                continue;
            }
            if next.is_none() && !response.status().is_success() {
                return Err(self.refused(&response));
            }
            let etag = header(headers, "x-linked-etag").or_else(|| header(headers, "etag"));
            let size = header(headers, "x-linked-size").or_else(|| match next {
                Some(_) => None,
                None => header(headers, "content-length"),
            });
            let etag = etag.map(plain_etag).filter(|etag| is_file_name(etag));
            let size = size.and_then(|size| size.parse().ok());
            return match (etag, size) {
                (Some(etag), Some(size)) => Ok(Remote { etag: etag.to_owned(), size }),
                _ => Err(self.name.error(format!("the hub sent no ETag or size for {file}"))),
            };
        }
        Err(self.name.error(format!("too many redirects for {file}")))
    }

    /// Returns the bytes of a file from `start` on, and the position of the first byte, because a
    /// server may ignore the range and send the whole file.
    pub(super) fn bytes(
        &self,
        commit: &str,
        file: &str,
        start: u64,
    ) -> Result<(u64, Body), ModelError> {
        let mut response = self.get(&self.url(commit, file), start)?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            response = self.get(&self.url(commit, file), 0)?;
        }
        let from = match response.status() {
            StatusCode::PARTIAL_CONTENT => header(response.headers(), "content-range")
                .and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()),
            StatusCode::OK => Some(0),
            _ => return Err(self.refused(&response)),
        };
        match from {
            Some(from) if from <= start => Ok((from, response.into_body())),
            _ => Err(self.name.error(format!("the hub sent a wrong part of {file}; try again"))),
        }
    }

    /// Sends a POST request, with the token if the URL is the hub's, and returns the answer with
    /// any status.
    pub(super) fn post(
        &self,
        url: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Response<Body>, ModelError> {
        let mut request = self.agent.post(url).header("Content-Type", content_type);
        if content_type == LFS {
            request = request.header("Accept", LFS);
        }
        if let Some(token) = self.token(url) {
            request = request.header("Authorization", token);
        }
        request.send(body).map_err(|error| self.not_sent(&error))
    }

    /// Uploads the bytes of a file to a URL from the hub. The URL itself grants the right to do so,
    /// so no token is sent.
    pub(super) fn put(
        &self,
        url: &str,
        size: u64,
        body: &mut dyn std::io::Read,
    ) -> Result<Response<Body>, ModelError> {
        let request = self.agent.put(url).header("Content-Length", size.to_string());
        request.send(SendBody::from_reader(body)).map_err(|error| self.not_sent(&error))
    }

    /// Returns a URL of the hub's API: `endpoint/api/models/id/…`.
    pub(super) fn api(&self, what: &str, revision: &str) -> String {
        let revision = encode(revision, "");
        format!("{}/api/models/{}/{what}/{revision}", self.options.endpoint, self.name.id)
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.options.endpoint
    }

    fn not_sent(&self, error: &dyn std::fmt::Display) -> ModelError {
        self.name.error(format!(
            "cannot send to {}: {error}; check the connection and try again (completed files are \
             not sent again)",
            self.options.endpoint
        ))
    }

    pub(super) fn unreachable(&self, error: &dyn std::fmt::Display) -> ModelError {
        self.name.error(format!(
            "no local folder has this name, and it cannot be fetched from {}: {error}; check the \
             connection, and HF_ENDPOINT if it is set",
            self.options.endpoint
        ))
    }

    fn url(&self, commit: &str, file: &str) -> String {
        let HubOptions { endpoint, .. } = self.options;
        format!("{endpoint}/{}/resolve/{commit}/{}", self.page(), encode(file, "/"))
    }

    /// Returns the path of the repository at the hub.
    fn page(&self) -> String {
        match self.name.kind {
            Kind::Model => self.name.id.clone(),
            Kind::Dataset => format!("datasets/{}", self.name.id),
        }
    }

    /// Sends a GET request, follows redirects and returns the first answer that is not a redirect.
    fn get(&self, url: &str, start: u64) -> Result<Response<Body>, ModelError> {
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.agent.get(&url);
            if let Some(token) = self.token(&url) {
                request = request.header("Authorization", token);
            }
            if start > 0 {
                request = request.header("Range", format!("bytes={start}-"));
            }
            let response = request.call().map_err(|error| self.unreachable(&error))?;
            match redirect(&url, &response) {
                None => return Ok(response),
                Some(next) => url = next,
            }
        }
        Err(self.name.error("too many redirects"))
    }

    /// Returns whether a URL belongs to the hub and not to a server that it redirects to.
    fn is_hub(&self, url: &str) -> bool {
        origin(url).eq_ignore_ascii_case(origin(&self.options.endpoint))
    }

    fn token(&self, url: &str) -> Option<String> {
        let token = self.options.token.as_ref().filter(|_| self.is_hub(url))?;
        Some(format!("Bearer {token}"))
    }

    /// Returns the error for a refused request. Without a token, the hub answers 401 for models
    /// that do not exist.
    fn refused(&self, response: &Response<Body>) -> ModelError {
        let (status, HubOptions { endpoint, token, .. }) = (response.status(), self.options);
        let code = header(response.headers(), "x-error-code").unwrap_or_default();
        let (revision, page) = (&self.name.revision, self.page());
        let noun = self.name.kind.noun();
        self.name.error(match (status.as_u16(), code, token) {
            (401 | 403, "GatedRepo", None) => {
                format!("the {noun} is gated; accept its terms at {endpoint}/{page} and set HF_TOKEN")
            }
            (401 | 403, "GatedRepo", Some(_)) => format!(
                "the {noun} is gated and HF_TOKEN has no access; accept its terms at {endpoint}/{page}"
            ),
            (401, _, None) => format!(
                "no local folder has this name, and {endpoint} has no public {noun} of this name; \
                 check the name, or set HF_TOKEN if the {noun} is private or gated"
            ),
            (401, _, Some(_)) => {
                format!("{endpoint} does not accept the token; check HF_TOKEN and the name")
            }
            (403, ..) => {
                format!("{endpoint} does not allow the access; set HF_TOKEN to a token with access")
            }
            (404, "RevisionNotFound", _) => {
                format!("there is no revision {revision} of the {noun} at {endpoint}")
            }
            (404, "EntryNotFound", _) => {
                format!("{endpoint} lists a file of the {noun} but does not have it; try again")
            }
            (404, ..) => format!(
                "no local folder has this name, and there is no such {noun} or revision at \
                 {endpoint}; check the name, or set HF_TOKEN if the {noun} is private"
            ),
            (429, ..) => format!("too many requests to {endpoint}; try again later"),
            _ => format!("{endpoint} answered {status}; try again later"),
        })
    }
}

/// Returns the target of a redirect.
fn redirect(url: &str, response: &Response<Body>) -> Option<String> {
    let location = header(response.headers(), "location")?;
    match response.status().as_u16() {
        301 | 302 | 303 | 307 | 308 if location.starts_with("//") => {
            Some(format!("{}:{location}", url.split(':').next()?))
        }
        301 | 302 | 303 | 307 | 308 if location.starts_with('/') => {
            Some(format!("{}{location}", origin(url)))
        }
        301 | 302 | 303 | 307 | 308 => Some(location.to_owned()),
        _ => None,
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the scheme, the host and the port of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    &url[..end]
}

fn plain_etag(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

/// Returns whether an ETag is safe as the name of a blob.
fn is_file_name(etag: &str) -> bool {
    (1..=128).contains(&etag.len())
        && etag.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// Percent-encodes all bytes except letters, digits, `-_.~` and those in `keep`.
fn encode(text: &str, keep: &str) -> String {
    let byte = |b: u8| match b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
        true => char::from(b).to_string(),
        false if keep.as_bytes().contains(&b) => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (url, expected) in [
            ("https://huggingface.co/api/x?y", "https://huggingface.co"),
            ("http://localhost:80", "http://localhost:80"),
            ("https://huggingface.co.evil.com/a", "https://huggingface.co.evil.com"),
            ("https://huggingface.co@evil.com/a", "https://huggingface.co@evil.com"),
            ("https://evil.com?https://huggingface.co/", "https://evil.com"),
        ] {
            assert_eq!(origin(url), expected);
        }
    }

    /// The expected values are those of Python's `urllib.parse.quote`.
    #[test]
    fn encoded() {
        assert_eq!(encode("refs/pr/1", ""), "refs%2Fpr%2F1");
        assert_eq!(encode("1_Pooling/a b#c?é.json", "/"), "1_Pooling/a%20b%23c%3F%C3%A9.json");
    }

    #[test]
    fn etags() {
        assert_eq!(plain_etag("W/\"abc\""), "abc");
        assert!(is_file_name("45a2321a7ecfdaaf60a6c1fd7f5463994cc8907d"));
        assert!(!is_file_name("../x") && !is_file_name("") && !is_file_name("a.incomplete"));
    }
}
