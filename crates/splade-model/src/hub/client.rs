//! Requests to the hub: the files of a revision, what a file is, its bytes, and JSON to send
//! (`upload.rs` says what).
//!
//! Redirects are followed here, not by the HTTP client, since the token may go to the hub alone and
//! what the hub says of a file (`x-linked-etag`, `x-linked-size`) is in the redirect.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body, SendBody};

use super::cache::is_commit;
use super::name::{Kind, RepoName};
use super::options::HubOptions;
use crate::error::ModelError;

/// The type of questions and answers about large files.
pub(super) const LFS: &str = "application/vnd.git-lfs+json";
/// Larger lists of files than any model has.
const MAX_LIST: u64 = 32 << 20;
const MAX_REDIRECTS: usize = 10;
const CONNECT: Duration = Duration::from_secs(15);
/// Without a byte.
const SILENCE: Duration = Duration::from_secs(60);

/// The hub, asked about one model.
#[derive(Debug)]
pub(super) struct Client<'a> {
    options: &'a HubOptions,
    name: &'a RepoName,
    agent: Agent,
}

/// What the hub says of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// Names its content: SHA-256 for large files.
    pub(super) etag: String,
    /// In bytes.
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

    /// The commit of a revision, and its files.
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
                "{} did not answer with a list of files; is it a hub (HF_ENDPOINT)?",
                self.options.endpoint
            )));
        };
        let files = files.iter().filter_map(|file| file["rfilename"].as_str());
        Ok((commit.to_owned(), files.map(str::to_owned).collect()))
    }

    /// What the hub says of a file, without its bytes.
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
                _ => Err(self.name.error(format!("the hub does not tell etag and size of {file}"))),
            };
        }
        Err(self.name.error(format!("too many redirects of {file}")))
    }

    /// The bytes of a file from `start` on, and where they do start: a server may send all.
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
            _ => {
                Err(self.name.error(format!("the hub sent another part of {file} than asked for")))
            }
        }
    }

    /// Posts a body to a URL, with the token if it is the hub's; the answer, whatever its status.
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

    /// Puts the bytes of a file at a URL that the hub named; the URL itself is the right to do so.
    pub(super) fn put(
        &self,
        url: &str,
        size: u64,
        body: &mut dyn std::io::Read,
    ) -> Result<Response<Body>, ModelError> {
        let request = self.agent.put(url).header("Content-Length", size.to_string());
        request.send(SendBody::from_reader(body)).map_err(|error| self.not_sent(&error))
    }

    /// What the hub's API is asked at: `endpoint/api/models/id/…`.
    pub(super) fn api(&self, what: &str, revision: &str) -> String {
        let revision = encode(revision, "");
        format!("{}/api/models/{}/{what}/{revision}", self.options.endpoint, self.name.id)
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.options.endpoint
    }

    fn not_sent(&self, error: &dyn std::fmt::Display) -> ModelError {
        self.name.error(format!(
            "cannot send to {}: {error}; check the connection and try again: what has arrived is \
             not sent twice",
            self.options.endpoint
        ))
    }

    pub(super) fn unreachable(&self, error: &dyn std::fmt::Display) -> ModelError {
        self.name.error(format!(
            "it is no folder here, and cannot be fetched from {}: {error}; check the connection, \
             and HF_ENDPOINT if it is set",
            self.options.endpoint
        ))
    }

    fn url(&self, commit: &str, file: &str) -> String {
        let HubOptions { endpoint, .. } = self.options;
        format!("{endpoint}/{}/resolve/{commit}/{}", self.page(), encode(file, "/"))
    }

    /// The path of the repository at the hub.
    fn page(&self) -> String {
        match self.name.kind {
            Kind::Model => self.name.id.clone(),
            Kind::Dataset => format!("datasets/{}", self.name.id),
        }
    }

    /// The first answer that is no redirect.
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

    /// Whether a URL is of the hub and not of a server that it redirects to.
    fn is_hub(&self, url: &str) -> bool {
        origin(url).eq_ignore_ascii_case(origin(&self.options.endpoint))
    }

    fn token(&self, url: &str) -> Option<String> {
        let token = self.options.token.as_ref().filter(|_| self.is_hub(url))?;
        Some(format!("Bearer {token}"))
    }

    /// Why the hub refused. It answers 401 for models that do not exist where there is no token.
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
                "it is no folder here, and at {endpoint} no such {noun} that is public; check \
                 the name, or set HF_TOKEN if the {noun} is private or gated"
            ),
            (401, _, Some(_)) => {
                format!("{endpoint} does not accept the token; check HF_TOKEN and the name")
            }
            (403, ..) => {
                format!("{endpoint} does not allow it; set HF_TOKEN to a token with access")
            }
            (404, "RevisionNotFound", _) => {
                format!("there is no revision {revision} of the {noun} at {endpoint}")
            }
            (404, "EntryNotFound", _) => {
                format!("a file of the {noun}'s list is not at {endpoint}; try again")
            }
            (404, ..) => format!(
                "it is no folder here, and no such {noun} or revision at {endpoint}; check the \
                 name, or set HF_TOKEN if the {noun} is private"
            ),
            (429, ..) => format!("too many requests to {endpoint}; try again later"),
            _ => format!("{endpoint} answered {status}; try again later"),
        })
    }
}

/// Where an answer redirects to.
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

/// Scheme, host and port.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    &url[..end]
}

fn plain_etag(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

/// It becomes the name of a blob.
fn is_file_name(etag: &str) -> bool {
    (1..=128).contains(&etag.len())
        && etag.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// Percent-encodes all but letters, digits and some marks.
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

    /// The values of Python's `urllib.parse.quote`.
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
