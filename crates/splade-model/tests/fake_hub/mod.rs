//! A fake hub with one model on a local port, and a server for large files ("CDN") on another port.
//! It answers like huggingface.co: the list of files is at `/api/models/…`; files are at
//! `/{id}/resolve/…` with `x-repo-commit` and `etag`; small files are behind a relative redirect
//! and large ones behind a redirect to the CDN with `x-linked-etag` and `x-linked-size`; parts of
//! files are sent for `Range`. It also accepts uploads (`upload.rs`).

#![allow(dead_code, reason = "each test program uses a part of it")]

mod upload;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
pub(crate) use upload::Uploads;
#[allow(unused_imports, reason = "only tests of uploads have use for it")]
pub(crate) use upload::WRITE_TOKEN;

/// The id of the model.
pub(crate) const ID: &str = "org/demo";
/// The commit of `main`.
pub(crate) const MAIN: &str = "00000000000000000000000000000000000000aa";
/// The commit of `v1`, which has the additional file `v1.json`.
pub(crate) const V1: &str = "00000000000000000000000000000000000000bb";

/// A request as the server received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Whether the CDN received the request.
    pub(crate) cdn: bool,
    /// The method: `GET`, `HEAD`, `POST` or `PUT`.
    pub(crate) method: String,
    /// The path with the query.
    pub(crate) path: String,
    /// The start `N` of the header `Range: bytes=N-`.
    pub(crate) range: Option<usize>,
    /// The value of the header `Authorization`.
    pub(crate) authorization: Option<String>,
}

/// The behaviour of the hub, which the tests set.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    /// The only token that may read the model. If it is set, the model is gated.
    pub(crate) token: Option<&'static str>,
    /// The files whose bodies are truncated: the number of missing bytes and the number of
    /// truncated answers.
    pub(crate) cut: BTreeMap<&'static str, (usize, usize)>,
    /// Whether the servers ignore `Range`.
    pub(crate) no_ranges: bool,
    /// The files whose first byte is changed in the answer.
    pub(crate) damaged: Vec<&'static str>,
    /// The number of requests to the hub that are answered with 503 before one succeeds.
    pub(crate) busy: usize,
    /// The URL of another hub, to which every request is redirected.
    pub(crate) moved: Option<String>,
    /// The ETag of a web page that is sent in place of every small file.
    pub(crate) page: Option<&'static str>,
    /// The number of uploads to the CDN that fail before one succeeds.
    pub(crate) failing_puts: usize,
}

/// A running hub. Its threads end with the test program.
#[derive(Debug, Clone)]
pub(crate) struct FakeHub {
    /// The URL of the hub, as in `HF_ENDPOINT`.
    pub(crate) endpoint: String,
    /// The behaviour of the hub.
    pub(crate) behaviour: Arc<Mutex<Behaviour>>,
    /// The uploads that the hub has received.
    pub(crate) uploads: Arc<Mutex<Uploads>>,
    files: Arc<BTreeMap<String, Vec<u8>>>,
    cdn: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// Returns the folder of the demo model in this repository.
pub(crate) fn demo() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    [root.join("models/demo"), root.join("../../models/demo")]
        .into_iter()
        .find(|path| path.is_dir())
        .expect("models/demo")
}

/// Returns the files of the demo model and other files that hub repositories often have.
pub(crate) fn demo_files() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(demo()).expect("models/demo") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        files.insert(name, std::fs::read(entry.path()).expect("a file"));
    }
    for name in ["pytorch_model.bin", "onnx/model.onnx", "training_args.bin", "tf_model.h5"] {
        files.insert(name.to_owned(), b"not to be fetched".to_vec());
    }
    files
}

impl FakeHub {
    /// Starts a hub with the demo model.
    pub(crate) fn start() -> Self {
        Self::with(demo_files())
    }

    /// Starts a hub with these files.
    pub(crate) fn with(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listen = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let (hub, cdn) = (listen(), listen());
        let address = |l: &TcpListener| format!("http://{}", l.local_addr().expect("an address"));
        let this = Self {
            endpoint: address(&hub),
            behaviour: Arc::default(),
            uploads: Arc::default(),
            files: Arc::new(files),
            cdn: address(&cdn),
            requests: Arc::default(),
        };
        for (listener, is_cdn) in [(hub, false), (cdn, true)] {
            let this = this.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let this = this.clone();
                    std::thread::spawn(move || this.answer(&stream, is_cdn));
                }
            });
        }
        this
    }

    /// Returns the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().expect("no panic"))
    }

    fn answer(&self, stream: &TcpStream, cdn: bool) {
        let mut reader = BufReader::new(stream);
        let mut lines = reader.by_ref().lines().map_while(Result::ok);
        let Some(line) = lines.next() else { return };
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (mut range, mut authorization, mut length) = (None, None, 0);
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").expect("a header");
            match name.to_lowercase().as_str() {
                "range" => {
                    let start = value.strip_prefix("bytes=").and_then(|v| v.strip_suffix('-'));
                    range = Some(start.expect("bytes=N-").parse().expect("a number"));
                }
                "authorization" => authorization = Some(value.to_owned()),
                "content-length" => length = value.parse().expect("a number"),
                _ => {}
            }
        }
        let request = Request { cdn, method, path, range, authorization };
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the whole body");
        let answer = match (request.method.as_str(), cdn) {
            ("POST", false) => self.post(&request, &body),
            ("PUT", true) => self.put(&request, &body),
            (_, true) => self.cdn(&request),
            (_, false) => self.hub(&request),
        };
        self.requests.lock().expect("no panic").push(request.clone());
        let Answer { status, headers, body, cut } = answer;
        let headers: String = headers.iter().map(|(k, v)| format!("{k}: {v}\r\n")).collect();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        let mut stream = stream;
        // The client may have closed the connection.
        let _ = stream.write_all(head.as_bytes());
        if request.method != "HEAD" {
            let _ = stream.write_all(&body[..length - cut.min(length)]);
        }
    }

    fn hub(&self, request: &Request) -> Answer {
        {
            let mut behaviour = self.behaviour.lock().expect("no panic");
            if let Some(to) = &behaviour.moved {
                let headers = vec![("location", format!("{to}{}", request.path))];
                return Answer { status: 308, headers, ..Answer::ok(Vec::new()) };
            }
            if behaviour.busy > 0 {
                behaviour.busy -= 1;
                let headers = vec![("retry-after", "0".to_owned())];
                return Answer { status: 503, headers, ..Answer::ok(b"busy".to_vec()) };
            }
        }
        // The same repository is served as a model and as a data set.
        let path = request.path.replace("/api/datasets/", "/api/models/");
        let path = path.replace("/resolve-cache/datasets/", "/resolve-cache/models/");
        let path = path.strip_prefix("/datasets").unwrap_or(&path);
        if let Some(rest) = path.strip_prefix(&format!("/api/models/{ID}/revision/")) {
            let Some((commit, files)) = self.revision(rest) else {
                return Answer::error(404, "RevisionNotFound");
            };
            let siblings: Vec<_> =
                files.keys().map(|name| serde_json::json!({"rfilename": name})).collect();
            let list = serde_json::json!({"id": ID, "sha": commit, "siblings": siblings});
            return Answer::ok(list.to_string().into_bytes());
        }
        if path.starts_with("/api/models/") {
            return match request.authorization {
                Some(_) => Answer::error(404, "RepoNotFound"),
                None => Answer::error(401, "RepoNotFound"),
            };
        }
        let expected = self.behaviour.lock().expect("no panic").token;
        let expected = expected.map(|token| format!("Bearer {token}"));
        if expected.is_some() && request.authorization != expected {
            let status = if request.authorization.is_some() { 403 } else { 401 };
            return Answer::error(status, "GatedRepo");
        }
        let near = path.strip_prefix(&format!("/{ID}/resolve/"));
        let far = path.strip_prefix(&format!("/api/resolve-cache/models/{ID}/"));
        let found = near.or(far).and_then(|rest| {
            let (revision, file) = rest.split_once('/')?;
            let (commit, files) = self.revision(revision)?;
            Some((commit, file, files.get(file)?.clone()))
        });
        let Some((commit, file, content)) = found else {
            return Answer::error(404, "EntryNotFound");
        };
        let sha256 = sha256(&content);
        let commit_header = ("x-repo-commit", commit.to_owned());
        if is_large(file) {
            let location = format!("{}/{file}?X-Signature=secret", self.cdn);
            return Answer {
                status: 302,
                headers: vec![
                    commit_header,
                    ("location", location),
                    ("x-linked-size", content.len().to_string()),
                    ("x-linked-etag", format!("\"{sha256}\"")),
                    ("etag", "\"of-the-pointer\"".to_owned()),
                ],
                ..Answer::ok(b"Found".to_vec())
            };
        }
        if near.is_some() {
            let location = format!("/api/resolve-cache/models/{ID}/{commit}/{file}");
            let headers = vec![commit_header, ("location", location)];
            return Answer { status: 307, headers, ..Answer::ok(b"Redirect".to_vec()) };
        }
        if let Some(etag) = self.behaviour.lock().expect("no panic").page {
            let page = b"<!DOCTYPE html><title>Log in</title>".to_vec();
            return Answer { headers: vec![("etag", etag.to_owned())], ..Answer::ok(page) };
        }
        let headers = vec![commit_header, ("etag", format!("\"{}\"", git_hash(&content)))];
        self.body(request, file, content, headers)
    }

    fn cdn(&self, request: &Request) -> Answer {
        let file = request.path.trim_start_matches('/').split('?').next().unwrap_or_default();
        match self.files.get(file) {
            Some(content) => {
                let headers = vec![("etag", "\"an-etag-of-the-cdn\"".to_owned())];
                self.body(request, file, content.clone(), headers)
            }
            None => Answer::error(404, ""),
        }
    }

    fn body(
        &self,
        request: &Request,
        file: &str,
        mut content: Vec<u8>,
        mut headers: Vec<(&'static str, String)>,
    ) -> Answer {
        let mut behaviour = self.behaviour.lock().expect("no panic");
        if behaviour.damaged.contains(&file) {
            content[0] ^= 1;
        }
        let mut status = 200;
        if let Some(start) = request.range.filter(|_| !behaviour.no_ranges) {
            let total = content.len();
            status = 206;
            headers.push(("content-range", format!("bytes {start}-{}/{total}", total - 1)));
            content.drain(..start);
        }
        let cut = match behaviour.cut.get_mut(file) {
            Some((bytes, times)) if request.method == "GET" && *times > 0 => {
                *times -= 1;
                *bytes
            }
            _ => 0,
        };
        Answer { status, headers, body: content, cut }
    }

    fn revision(&self, name: &str) -> Option<(&'static str, BTreeMap<String, Vec<u8>>)> {
        let mut files = (*self.files).clone();
        match name {
            "main" | MAIN => Some((MAIN, files)),
            "v1" | "refs%2Fpr%2F1" | V1 => {
                files.insert("v1.json".to_owned(), b"{}".to_vec());
                Some((V1, files))
            }
            _ => None,
        }
    }
}

/// Returns whether the hub stores a file as a large one. The real hub decides this by rules of its
/// own.
fn is_large(file: &str) -> bool {
    [".safetensors", ".bin", ".onnx", ".h5", ".tsv"].iter().any(|end| file.ends_with(end))
}

/// Returns the SHA-256 in hexadecimal digits.
pub(crate) fn sha256(content: &[u8]) -> String {
    hex(digest(&SHA256, content).as_ref())
}

/// Returns the name that git gives to a content.
pub(crate) fn git_hash(content: &[u8]) -> String {
    let whole = [format!("blob {}\0", content.len()).as_bytes(), content].concat();
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &whole).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// The number of bytes that are announced but not sent.
    cut: usize,
}

impl Answer {
    fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, headers: Vec::new(), body, cut: 0 }
    }

    fn json(value: &serde_json::Value) -> Self {
        Self::ok(value.to_string().into_bytes())
    }

    /// Returns an error with a message in the body, as the hub's API does.
    fn said(status: u16, message: &str) -> Self {
        Self { status, ..Self::json(&serde_json::json!({"error": message})) }
    }

    fn error(status: u16, code: &str) -> Self {
        let headers = vec![("x-error-code", code.to_owned())];
        Self { status, headers, ..Self::ok(b"Error".to_vec()) }
    }
}
