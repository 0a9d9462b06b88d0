//! Pushing documents in batches without losing one.
//!
//! A document is done when the server has acknowledged it, or has rejected it for a reason that
//! concerns only this document. A rejected document is written to a file, which can be pushed
//! again. The state is written after that. A resumed push therefore sends at most one batch twice,
//! and it sends it with the same ids.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::client::{Answer, Client, Request};
use super::error::PushError;
use super::server::{Refused, Server};
use super::state::{STATE, State};
use crate::json::{push_object, push_string};
use splade_io::{FileError, Observer, OutputFolder, Problem};
use splade_sparse::files::{chained_hash, row_hash};
use splade_sparse::{SparseVector, TermId};

/// The name of the file of rejected documents.
const REJECTS: &str = "rejects.ndjson";

/// Options of a push.
///
/// ```
/// use splade_export::push::{Client, ClientOptions, PushOptions, Pusher};
/// use splade_export::targets::Qdrant;
/// use splade_sparse::{SparseVector, TermId};
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
/// #         let body = r#"{"result": {"status": "completed", "exists": true}, "status": "ok"}"#;
/// #         let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
/// #     }
/// # });
/// let client = Client::new(&url, ClientOptions::default())?;
/// let server = Qdrant::new("splade".to_owned(), 0);
/// let folder = tempfile::tempdir()?;
/// let options = PushOptions {
///     index: "texts".to_owned(),
///     documents: 500,
///     bytes: 8 << 20,
///     resume: false,
///     append: true,
///     settings: serde_json::json!({"model": "mini-ja-en"}),
///     tokens: Vec::new(),
/// };
/// let dir = folder.path().join("push");
/// let mut pusher = Pusher::open(&dir, &client, &server, options, &mut ())?;
/// let vector = SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?;
/// pusher.put(0, "d1", &vector, &mut ())?;
/// // Nothing was sent yet: a batch has 500 documents.
/// assert_eq!(pusher.done().0, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PushOptions {
    /// The name of the index or collection.
    pub index: String,
    /// The maximum number of documents per request.
    pub documents: usize,
    /// The maximum size of a request in bytes. A single larger document gets a request of its own.
    pub bytes: usize,
    /// Whether to continue an earlier push from the same folder.
    pub resume: bool,
    /// Whether documents may be added to an existing index.
    pub append: bool,
    /// The settings on which the documents depend. A push is resumed only if they are the same.
    pub settings: Value,
    /// The keys of the terms of rejected documents, in the order of the ids. A term beyond the end
    /// has its id as key.
    pub tokens: Vec<String>,
}

/// A push in progress.
///
/// ```
/// use splade_export::push::{Client, ClientOptions, PushOptions, Pusher};
/// use splade_export::targets::Qdrant;
/// use splade_sparse::{SparseVector, TermId};
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
/// #         let body = r#"{"result": {"status": "completed", "exists": true}, "status": "ok"}"#;
/// #         let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
/// #     }
/// # });
/// let client = Client::new(&url, ClientOptions::default())?;
/// let server = Qdrant::new("splade".to_owned(), 0);
/// let folder = tempfile::tempdir()?;
/// let options = PushOptions {
///     index: "texts".to_owned(),
///     documents: 500,
///     bytes: 8 << 20,
///     resume: false,
///     append: true,
///     settings: serde_json::json!({"model": "mini-ja-en"}),
///     tokens: Vec::new(),
/// };
/// let dir = folder.path().join("push");
/// let mut pusher = Pusher::open(&dir, &client, &server, options, &mut ())?;
/// let vector = SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?;
/// pusher.put(0, "d1", &vector, &mut ())?;
/// pusher.put(1, "d2", &vector, &mut ())?;
/// pusher.finish(&mut ())?;
/// assert!(pusher.is_complete());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pusher<'a> {
    /// The locked folder of the state and the rejected documents.
    folder: OutputFolder,
    client: &'a Client,
    server: &'a dyn Server,
    options: PushOptions,
    state: State,
    /// The documents of the next batch.
    waiting: Vec<Waiting>,
    /// The size of the next batch in bytes.
    bytes: usize,
}

/// A document of the next batch.
#[derive(Debug)]
struct Waiting {
    id: String,
    vector: SparseVector,
    /// The document in the form of the search engine.
    text: Vec<u8>,
}

/// The result of a push so far.
///
/// ```
/// use splade_export::push::{Client, ClientOptions, PushOptions, Pusher};
/// use splade_export::targets::Qdrant;
/// use splade_sparse::{SparseVector, TermId};
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
/// #         let body = r#"{"result": {"status": "completed", "exists": true}, "status": "ok"}"#;
/// #         let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
/// #     }
/// # });
/// let client = Client::new(&url, ClientOptions::default())?;
/// let server = Qdrant::new("splade".to_owned(), 0);
/// let folder = tempfile::tempdir()?;
/// let options = PushOptions {
///     index: "texts".to_owned(),
///     documents: 500,
///     bytes: 8 << 20,
///     resume: false,
///     append: true,
///     settings: serde_json::json!({"model": "mini-ja-en"}),
///     tokens: Vec::new(),
/// };
/// let dir = folder.path().join("push");
/// let mut pusher = Pusher::open(&dir, &client, &server, options, &mut ())?;
/// let vector = SparseVector::new(vec![TermId(0), TermId(1)], vec![1.25, 0.5])?;
/// pusher.put(0, "d1", &vector, &mut ())?;
/// let pushed = pusher.finish(&mut ())?;
/// assert_eq!((pushed.documents, pushed.rejected), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The number of documents that the server stored or rejected.
    pub documents: u64,
    /// The number of documents that the server rejected.
    pub rejected: u64,
}

/// The rejected documents of a batch: the place in the batch, the status and the reason.
type Rejections = Vec<(usize, u16, String)>;

impl<'a> Pusher<'a> {
    /// Begins or continues a push. Its state and the rejected documents are in the folder `dir`.
    /// The index is created if it does not exist.
    ///
    /// # Errors
    /// Returns an error if the folder contains other files or another push, if another process has
    /// locked it, if the index exists and adding to it is not allowed, if the index of a resumed
    /// push no longer exists, or if the server refuses a request.
    pub fn open(
        dir: &Path,
        client: &'a Client,
        server: &'a dyn Server,
        options: PushOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, PushError> {
        let folder = OutputFolder::open(dir, STATE)?;
        let settings = json!({
            "server": client.url(), "index": options.index, "documents": options.settings,
        });
        let found = State::read(dir, &settings)?;
        if found.is_some() && !options.resume {
            let problem = Problem::new("the folder contains a push")
                .with_remedy("continue it with --resume, or name another folder");
            return Err(FileError::form(&dir.join(STATE), problem).into());
        }
        let begun = found.is_some();
        let state = found.unwrap_or_else(|| State::new(settings));
        let this = Self { folder, client, server, options, state, waiting: Vec::new(), bytes: 0 };
        if !this.state.complete {
            this.check_rejects()?;
            this.prepare_index(begun, observer)?;
            this.state.write(this.folder.path())?;
        }
        Ok(this)
    }

    /// Creates the index, or checks that an existing index may be used.
    fn prepare_index(&self, begun: bool, observer: &mut dyn Observer) -> Result<(), PushError> {
        let (index, path) = (&self.options.index, self.server.index(&self.options.index));
        let content_type = "application/json";
        let look = Request { method: "GET", path: &path, content_type, body: b"" };
        let answer = self.client.call(&look, observer)?;
        match (answer.status, begun, self.options.append) {
            (200..300, true, _) | (200..300, _, true) => Ok(()),
            (200..300, false, false) => {
                let append = self.server.append();
                Err(PushError::IndexExists { index: index.clone(), append })
            }
            (404, true, _) if self.state.documents > 0 => {
                let documents = self.state.documents;
                Err(PushError::IndexGone { index: index.clone(), documents })
            }
            (404, ..) => {
                let setup = self.server.setup(&[]);
                let body = setup.first().map_or("", |(_, text)| text).as_bytes();
                let create = Request { method: "PUT", path: &path, content_type, body };
                let answer = self.client.call(&create, observer)?;
                // If the answer to an earlier try was lost, the index may exist although this try
                // was refused.
                let is_there = answer.is_success()
                    || matches!(answer.status, 400 | 409)
                        && self.client.call(&look, observer)?.is_success();
                match is_there {
                    true => Ok(()),
                    false => Err(answer.refused(&create)),
                }
            }
            _ => Err(answer.refused(&look)),
        }
    }

    /// Returns whether the push is complete, possibly by an earlier execution.
    pub fn is_complete(&self) -> bool {
        self.state.complete
    }

    /// Returns the number of documents that are done, the id of the last of them, and the
    /// [`chained_hash`] of their rows, if it is known.
    pub fn done(&self) -> (u64, &str, Option<&str>) {
        (self.state.documents, &self.state.last_id, self.state.content.as_deref())
    }

    /// Returns the result of the push so far.
    pub fn pushed(&self) -> Pushed {
        Pushed { documents: self.state.documents, rejected: self.state.rejected }
    }

    /// Returns the path of the file of rejected documents. It exists only if there are any.
    pub fn rejects(&self) -> PathBuf {
        self.folder.path().join(REJECTS)
    }

    /// Adds the document with the number `row` to the next batch, and sends the batch if it is
    /// full.
    ///
    /// # Errors
    /// Returns an error if the search engine cannot store the document, or if a batch cannot be
    /// sent.
    pub fn put(
        &mut self,
        row: u64,
        id: &str,
        vector: &SparseVector,
        observer: &mut dyn Observer,
    ) -> Result<(), PushError> {
        let mut text = Vec::new();
        let written = self.server.document(row, id, vector, &mut text);
        written.map_err(|message| FileError::document(id, message))?;
        if self.bytes + text.len() > self.options.bytes {
            self.send(observer)?;
        }
        self.bytes += text.len();
        self.waiting.push(Waiting { id: id.to_owned(), vector: vector.clone(), text });
        match self.waiting.len() >= self.options.documents {
            true => self.send(observer),
            false => Ok(()),
        }
    }

    /// Sends the last batch, makes all documents searchable, and marks the push as complete.
    ///
    /// # Errors
    /// Returns an error if the batch cannot be sent or the server refuses a request.
    pub fn finish(&mut self, observer: &mut dyn Observer) -> Result<Pushed, PushError> {
        self.send(observer)?;
        if let Some(path) = self.server.refresh(&self.options.index) {
            let content_type = "application/json";
            let refresh = Request { method: "POST", path: &path, content_type, body: b"" };
            let answer = self.client.call(&refresh, observer)?;
            if !answer.is_success() {
                return Err(answer.refused(&refresh));
            }
        }
        self.state.complete = true;
        self.state.write(self.folder.path())?;
        Ok(self.pushed())
    }

    /// Sends the next batch, writes its rejected documents, and then writes the state.
    fn send(&mut self, observer: &mut dyn Observer) -> Result<(), PushError> {
        let batch = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        let Some(last) = batch.last() else { return Ok(()) };
        let mut rejections = Rejections::new();
        let all: Vec<usize> = (0..batch.len()).collect();
        self.store(&batch, &all, &mut rejections, observer)?;
        rejections.sort();
        if let Some((_, status, reason)) = rejections.first()
            && self.state.documents == 0
            && rejections.len() == batch.len()
        {
            let (status, reason) = (*status, reason.clone());
            return Err(PushError::AllRefused { status, reason });
        }
        self.state.rejects_bytes = self.keep(&batch, &rejections)?;
        self.state.rejected += rejections.len() as u64;
        if self.state.documents == 0 || self.state.content.is_some() {
            let before = self.state.content.take().unwrap_or_default();
            let add =
                |hash: String, row: &Waiting| chained_hash(&hash, row_hash(&row.id, &row.vector));
            self.state.content = Some(batch.iter().fold(before, add));
        }
        self.state.documents += batch.len() as u64;
        self.state.last_id.clone_from(&last.id);
        Ok(self.state.write(self.folder.path())?)
    }

    /// Sends the documents at `places` of a batch until each is stored or rejected.
    fn store(
        &self,
        batch: &[Waiting],
        places: &[usize],
        rejections: &mut Rejections,
        observer: &mut dyn Observer,
    ) -> Result<(), PushError> {
        let mut places = places.to_vec();
        let mut tries = 0;
        loop {
            let body = self.body(batch, &places);
            let (method, path, content_type) = self.server.load(&self.options.index);
            let request = Request { method, path: &path, content_type, body: &body };
            let answer = self.client.call(&request, observer)?;
            let json = answer.json();
            match answer.status {
                200..300 if !self.server.is_answer(&json, places.len()) => {
                    return Err(answer.refused(&request));
                }
                200..300 => {}
                // A document in the request is invalid. Sending the halves separately finds it.
                400 | 413 | 422 => {
                    if let [place] = places[..] {
                        let reason = answer.text.chars().take(500).collect();
                        rejections.push((place, answer.status, reason));
                        return Ok(());
                    }
                    let (first, second) = places.split_at(places.len() / 2);
                    self.store(batch, first, rejections, observer)?;
                    return self.store(batch, second, rejections, observer);
                }
                _ => return Err(answer.refused(&request)),
            }
            let mut again = Vec::new();
            for refused in self.server.refused(&json) {
                let place = places[refused.place];
                match refused.status {
                    429 | 500.. if tries < self.client.retries() => again.push(place),
                    429 | 500.. => {
                        let Refused { status, reason, .. } = refused;
                        let answer = Answer { status, text: reason };
                        return Err(answer.refused(&request));
                    }
                    _ => rejections.push((place, refused.status, refused.reason)),
                }
            }
            if again.is_empty() {
                return Ok(());
            }
            let trouble = format!("the server is too busy for {} documents", again.len());
            self.client.pause(tries, &trouble, observer)?;
            tries += 1;
            places = again;
        }
    }

    /// Returns the body of a request with the documents at `places` of a batch.
    fn body(&self, batch: &[Waiting], places: &[usize]) -> Vec<u8> {
        let frame = self.server.frame();
        let mut body = frame.head.into_bytes();
        for (number, place) in places.iter().enumerate() {
            if number > 0 {
                body.extend_from_slice(frame.between.as_bytes());
            }
            body.extend_from_slice(&batch[*place].text);
        }
        body.extend_from_slice(frame.tail.as_bytes());
        body
    }

    /// Checks that the file of rejected documents is at least as long as the state says.
    fn check_rejects(&self) -> Result<(), FileError> {
        let path = self.rejects();
        let bytes = std::fs::metadata(&path).map_or(0, |about| about.len());
        match bytes < self.state.rejects_bytes {
            true => Err(FileError::form(
                &path,
                Problem::new("rejected documents are missing from the file")
                    .with_remedy("restore it, or start again with another folder"),
            )),
            false => Ok(()),
        }
    }

    /// Appends rejected documents to their file after those that the state includes. Returns the
    /// new size of the file in bytes.
    fn keep(&self, batch: &[Waiting], rejections: &Rejections) -> Result<u64, FileError> {
        if rejections.is_empty() {
            return Ok(self.state.rejects_bytes);
        }
        self.check_rejects()?;
        let mut rows = Vec::new();
        for (place, status, reason) in rejections {
            let Waiting { id, vector, .. } = &batch[*place];
            rows.extend_from_slice(b"{\"id\":");
            push_string(&mut rows, id);
            rows.extend_from_slice(b",\"vector\":");
            let tokens = &self.options.tokens;
            let key = |term: TermId| match tokens.get(term.0 as usize) {
                Some(token) => Cow::Borrowed(token.as_str()),
                None => Cow::Owned(term.to_string()),
            };
            push_object(&mut rows, vector.iter().map(|(term, weight)| (key(term), weight)));
            let more = json!({"status": status, "error": reason}).to_string();
            rows.extend_from_slice(format!(",{}\n", &more[1..]).as_bytes());
        }
        let path = self.rejects();
        let write = || {
            let mut file =
                OpenOptions::new().create(true).write(true).truncate(false).open(&path)?;
            file.set_len(self.state.rejects_bytes)?;
            file.seek(SeekFrom::End(0))?;
            file.write_all(&rows)?;
            file.sync_all()
        };
        write().map_err(FileError::io("write", &path))?;
        Ok(self.state.rejects_bytes + rows.len() as u64)
    }
}
