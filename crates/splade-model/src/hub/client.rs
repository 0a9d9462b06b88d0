//! The HTTP requests to the hub: the files of a revision, the properties and bytes of a file, and
//! the JSON of an upload (`upload.rs` defines its content).
//!
//! Mirrors may redirect every request to another hub. The token is sent only to the hub itself. The
//! hub describes a large file (`x-linked-etag`, `x-linked-size`) in the headers of the redirect to
//! the server of its bytes, so a request for the properties of a file stops there.

use serde_json::Value;
use splade_http::{Address, Again, Content, Http, HttpError, Redirects, Request, Response, Secret};
use splade_io::Observer;

use super::cache::is_commit;
use super::content::is_web_page;
use super::name::{Kind, RepoName};
use super::options::HubOptions;
use crate::error::ModelError;

/// The content type of requests and answers about large files.
pub(super) const LFS: &str = "application/vnd.git-lfs+json";
/// The limit for the list of files and for other answers in bytes. No model has a longer list.
const MAX_ANSWER: usize = 32 << 20;

/// A client of the hub for one repository.
#[derive(Debug)]
pub(super) struct Client<'a> {
    options: &'a HubOptions,
    name: &'a RepoName,
    http: Http,
    /// The address of the hub.
    hub: Address,
}

/// The properties of a file at the hub.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// The identifier of the content. For large files it is the SHA-256, for small ones the hash
    /// that git gives them.
    pub(super) etag: String,
    /// The size in bytes.
    pub(super) size: u64,
}

/// The bytes of a file from some position on.
#[derive(Debug)]
pub(super) struct Bytes {
    /// The position of the first byte.
    pub(super) from: u64,
    pub(super) body: Response,
}

/// What to do where something else than a hub answered.
pub(super) const NO_HUB: &str =
    "check that HF_ENDPOINT is a hub, and that no proxy or login page answers in its place";

impl<'a> Client<'a> {
    pub(super) fn new(options: &'a HubOptions, name: &'a RepoName) -> Result<Self, ModelError> {
        let hub = Address::parse(&options.endpoint);
        let hub = hub.map_err(|error| name.advised(error.to_string(), "correct HF_ENDPOINT"))?;
        Ok(Self { options, name, http: Http::new(options.http.clone()), hub })
    }

    /// Returns the commit of a revision and the names of its files. `again` says after which
    /// failures the request is repeated.
    pub(super) fn list(
        &self,
        revision: &str,
        again: Again,
        observer: &mut dyn Observer,
    ) -> Result<(String, Vec<String>), ModelError> {
        let RepoName { id, kind, .. } = self.name;
        let (endpoint, kind) = (&self.options.endpoint, kind.plural());
        let url = format!("{endpoint}/api/{kind}/{id}/revision/{}", encode(revision, ""));
        let request = Request { again, ..self.request("GET", &url)? };
        let response = self.call(&request, observer)?;
        if !response.is_success() {
            return Err(self.refused(&response));
        }
        let at = response.address.to_string();
        let text = response.bytes(MAX_ANSWER, observer).map_err(|error| self.failed(&error))?;
        let list: Value = serde_json::from_slice(&text).unwrap_or_default();
        let commit = list["sha"].as_str().filter(|commit| is_commit(commit));
        let (Some(commit), Some(files)) = (commit, list["siblings"].as_array()) else {
            let page = if is_web_page(&text) { " but with a web page" } else { "" };
            return Err(self.name.advised(
                format!("{at} did not answer with a list of files{page}"),
                "check that HF_ENDPOINT is a hub",
            ));
        };
        let files = files.iter().filter_map(|file| file["rfilename"].as_str());
        Ok((commit.to_owned(), files.map(str::to_owned).collect()))
    }

    /// Returns the properties of a file without downloading it.
    pub(super) fn head(
        &self,
        commit: &str,
        file: &str,
        observer: &mut dyn Observer,
    ) -> Result<Remote, ModelError> {
        let is_wanted = |response: &Response| {
            response.header("x-linked-etag").is_some() && response.header("x-linked-size").is_some()
        };
        let request = Request { is_wanted, ..self.request("HEAD", &self.url(commit, file))? };
        let response = self.call(&request, observer)?;
        if !response.is_success() && !is_wanted(&response) {
            return Err(self.refused(&response));
        }
        let header = |linked, own| response.header(linked).or_else(|| response.header(own));
        let etag =
            header("x-linked-etag", "etag").map(plain_etag).filter(|etag| is_file_name(etag));
        let size = header("x-linked-size", "content-length").and_then(|size| size.parse().ok());
        match (etag, size) {
            (Some(etag), Some(size)) => Ok(Remote { etag: etag.to_owned(), size }),
            _ => {
                let html =
                    response.header("content-type").is_some_and(|kind| kind.contains("html"));
                let page = if html { " but with a web page" } else { "" };
                let at = &response.address;
                Err(self.name.advised(
                    format!("{at} did not answer with the ETag and the size of {file}{page}"),
                    NO_HUB,
                ))
            }
        }
    }

    /// Returns the bytes of a file from `start` on, or from an earlier position, because a server
    /// may ignore the range and send the whole file.
    pub(super) fn bytes(
        &self,
        commit: &str,
        file: &str,
        start: u64,
        observer: &mut dyn Observer,
    ) -> Result<Bytes, ModelError> {
        let mut request = self.request("GET", &self.url(commit, file))?;
        if start > 0 {
            request.headers.push(("Range", format!("bytes={start}-")));
        }
        let mut body = self.call(&request, observer)?;
        if body.status == 416 {
            request.headers.clear();
            body = self.call(&request, observer)?;
        }
        let from = match body.status {
            206 => body
                .header("content-range")
                .and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()),
            200 => Some(0),
            _ => return Err(self.refused(&body)),
        };
        match from {
            Some(from) if from <= start => Ok(Bytes { from, body }),
            _ => {
                Err(self.name.advised(format!("the hub sent a wrong part of {file}"), "try again"))
            }
        }
    }

    /// Sends a POST request, with the token if the URL is the hub's, and returns the answer with
    /// any status. `again` says after which failures the request is repeated.
    pub(super) fn post(
        &self,
        url: &str,
        content_type: &'static str,
        body: &[u8],
        again: Again,
        observer: &mut dyn Observer,
    ) -> Result<Response, ModelError> {
        let mut request = self.request("POST", url)?;
        request.headers.push(("Content-Type", content_type.to_owned()));
        if content_type == LFS {
            request.headers.push(("Accept", LFS.to_owned()));
        }
        let (content, redirects) = (Content::Bytes(body.into()), Redirects::SameServer);
        self.send(&Request { content, redirects, again, ..request }, observer)
    }

    /// Uploads a file to a URL from the hub. The URL itself grants the right to do so, so no token
    /// is sent.
    pub(super) fn put(
        &self,
        url: &str,
        content: Content,
        observer: &mut dyn Observer,
    ) -> Result<Response, ModelError> {
        let request = self.request("PUT", url)?;
        let again = Again::Always;
        self.send(&Request { secret: None, content, again, ..request }, observer)
    }

    /// Returns the body of an answer.
    pub(super) fn read(
        &self,
        response: Response,
        observer: &mut dyn Observer,
    ) -> Result<Vec<u8>, ModelError> {
        response.bytes(MAX_ANSWER, observer).map_err(|error| self.not_sent(&error))
    }

    /// Returns a URL of the hub's API: `endpoint/api/models/id/…`.
    pub(super) fn api(&self, what: &str, revision: &str) -> String {
        let revision = encode(revision, "");
        format!("{}/api/models/{}/{what}/{revision}", self.options.endpoint, self.name.id)
    }

    /// Returns the URL of the hub as it was set.
    pub(super) fn endpoint(&self) -> &str {
        &self.options.endpoint
    }

    /// Returns the URL of the hub for messages.
    pub(super) fn shown(&self) -> String {
        self.hub.to_string().trim_end_matches('/').to_owned()
    }

    fn send(&self, request: &Request, observer: &mut dyn Observer) -> Result<Response, ModelError> {
        self.http.call(request, observer).map_err(|error| self.not_sent(&error))
    }

    fn not_sent(&self, error: &HttpError) -> ModelError {
        if *error == HttpError::Stopped {
            return ModelError::transfer_stopped();
        }
        let remedy = error.remedy(None);
        let remedy = remedy.unwrap_or_else(|| "check the connection and try again".to_owned());
        let hub = self.shown();
        self.name.advised(
            format!("cannot send to {hub}: {error}"),
            format!("{remedy} (completed files are not sent again)"),
        )
    }

    /// Returns the error of a download that got no answer.
    pub(super) fn failed(&self, error: &HttpError) -> ModelError {
        match (error, error.remedy(None)) {
            (HttpError::Stopped, _) => ModelError::transfer_stopped(),
            (_, Some(remedy)) => self.unreachable(error, &remedy),
            (HttpError::Setting(_), None) => self.unreachable(error, "correct the setting"),
            (_, None) => {
                self.unreachable(error, "check the connection, and HF_ENDPOINT if it is set")
            }
        }
    }

    /// Returns the error of a download that ended early.
    pub(super) fn unreachable(&self, why: &dyn std::fmt::Display, remedy: &str) -> ModelError {
        self.name.advised(
            format!(
                "no local folder has this name, and it cannot be fetched from {}: {why}",
                self.shown()
            ),
            remedy,
        )
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

    /// Makes a request with the token, which is sent to the hub only.
    fn request(&self, method: &'static str, url: &str) -> Result<Request, ModelError> {
        let address = Address::parse(url).map_err(|error| self.failed(&error))?;
        let secret = self.options.token.as_ref().map(|token| Secret {
            server: self.hub.clone(),
            header: "Authorization",
            value: format!("Bearer {token}"),
        });
        Ok(Request { secret, ..Request::new(method, address) })
    }

    fn call(&self, request: &Request, observer: &mut dyn Observer) -> Result<Response, ModelError> {
        self.http.call(request, observer).map_err(|error| self.failed(&error))
    }

    /// Returns the error for a refused request. Without a token, the hub answers 401 for models
    /// that do not exist.
    fn refused(&self, response: &Response) -> ModelError {
        let (status, token) = (response.status, &self.options.token);
        let code = response.header("x-error-code").unwrap_or_default();
        let (revision, page) = (&self.name.revision, self.page());
        let noun = self.name.kind.noun();
        // A mirror may have sent the request on to another hub.
        let endpoint = match response.address.is_same_server(&self.hub) {
            true => self.shown(),
            false => format!("{} (where {} redirects to)", response.address.origin(), self.shown()),
        };
        let (what, remedy) = match (status, code, token) {
            (401 | 403, "GatedRepo", None) => (
                format!("the {noun} is gated"),
                format!("accept its terms at {endpoint}/{page} and set HF_TOKEN"),
            ),
            (401 | 403, "GatedRepo", Some(_)) => (
                format!("the {noun} is gated and HF_TOKEN has no access"),
                format!("accept its terms at {endpoint}/{page}"),
            ),
            (401, _, None) => (
                format!(
                    "no local folder has this name, and {endpoint} has no public {noun} of this name"
                ),
                format!("check the name, or set HF_TOKEN if the {noun} is private or gated"),
            ),
            (401, _, Some(_)) => (
                format!("{endpoint} does not accept the token"),
                "check HF_TOKEN and the name".to_owned(),
            ),
            (403, ..) => (
                format!("{endpoint} does not allow the access"),
                "set HF_TOKEN to a token with access".to_owned(),
            ),
            (404, "RevisionNotFound", _) => (
                format!("there is no revision {revision} of the {noun} at {endpoint}"),
                "check the text after @".to_owned(),
            ),
            (404, "EntryNotFound", _) => (
                format!("{endpoint} lists a file of the {noun} but does not have it"),
                "try again".to_owned(),
            ),
            (404, ..) => (
                format!(
                    "no local folder has this name, and there is no such {noun} or revision at \
                     {endpoint}"
                ),
                format!("check the name, or set HF_TOKEN if the {noun} is private"),
            ),
            (429, ..) => {
                let set = "; more requests are allowed with a token (HF_TOKEN)";
                let set = if token.is_none() { set } else { "" };
                let what = format!("too many requests to {endpoint} (429)");
                (what, format!("{}{set}", later(response)))
            }
            _ => {
                (format!("{endpoint} answered {status} for {}", response.address), later(response))
            }
        };
        self.name.advised(what, remedy)
    }
}

/// Returns when a request that was refused should be sent again.
pub(super) fn later(response: &Response) -> String {
    match response.retry_after() {
        Some(wait) if !wait.is_zero() => format!("try again in {} s", wait.as_secs()),
        _ => "try again later".to_owned(),
    }
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
