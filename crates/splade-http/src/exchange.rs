//! One request and its answer, on a thread of its own.
//!
//! The HTTP library waits in the operating system for the server, where nothing but the server wakes it. The thread
//! of the caller therefore waits for the thread of the request, a moment at a time, and asks the observer in between.
//! A request that is given up ends its thread by its time limits.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use splade_io::{Event, Observer, Progress};
use ureq::http::{self, HeaderMap};
use ureq::{Agent, SendBody};

use crate::address::Address;
use crate::agents::Route;
use crate::error::HttpError;
use crate::failure::failed;
use crate::options::HttpOptions;

/// The interval at which a wait asks the observer whether to stop.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
/// The number of bytes that are received at a time.
const CHUNK: usize = 128 << 10;
/// The number of messages that may wait for the caller.
const AHEAD: usize = 4;

/// The content of a request.
///
/// ```
/// use splade_http::{Address, Content, Http, HttpOptions, Request};
///
/// # // A server that answers every request with the same text.
/// # use std::io::{Read, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let url = format!("http://{}/status", listener.local_addr()?);
/// # std::thread::spawn(move || {
/// #     for stream in listener.incoming() {
/// #         let mut stream = stream.unwrap();
/// #         let mut request = [0; 4096];
/// #         let _ = stream.read(&mut request);
/// #         let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 5\r\n\r\nready");
/// #     }
/// # });
/// let content = Content::Bytes(b"{\"text\": \"night train\"}"[..].into());
/// let request = Request { content, ..Request::new("POST", Address::parse(&url)?) };
/// assert!(Http::new(HttpOptions::default()).call(&request, &mut ())?.is_success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub enum Content {
    /// No content.
    #[default]
    None,
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
    /// A file, whose progress is reported to the observer as `sending`.
    File {
        /// The path of the file.
        path: PathBuf,
        /// The size of the file in bytes.
        size: u64,
        /// The name of the file in progress reports.
        name: String,
    },
}

/// A message from the thread of a request.
enum Message {
    /// The number of bytes of the content that were sent.
    Sent(u64),
    Head(Box<http::response::Parts>),
    Chunk(Vec<u8>),
    End,
    Failed(ureq::Error),
    NoFile(String),
}

/// An answer, whose body is still to be read.
///
/// ```
/// use splade_http::{Address, Http, HttpOptions, Request};
///
/// # // A server that answers every request with the same text.
/// # use std::io::{Read, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let url = format!("http://{}/status", listener.local_addr()?);
/// # std::thread::spawn(move || {
/// #     for stream in listener.incoming() {
/// #         let mut stream = stream.unwrap();
/// #         let mut request = [0; 4096];
/// #         let _ = stream.read(&mut request);
/// #         let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 5\r\n\r\nready");
/// #     }
/// # });
/// let request = Request::new("GET", Address::parse(&url)?);
/// let mut response = Http::new(HttpOptions::default()).call(&request, &mut ())?;
/// assert_eq!(response.header("content-type"), Some("text/plain"));
/// let mut length = 0;
/// while let Some(part) = response.chunk(&mut ())? {
///     length += part.len();
/// }
/// assert_eq!(length, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// The address that answered, after all redirects.
    pub address: Address,
    headers: HeaderMap,
    exchange: Exchange,
    /// Whether the body has been read to its end.
    done: bool,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Response {
    /// Returns whether the status is a success (2xx).
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns a header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the next part of the body, or `None` after its end.
    ///
    /// # Errors
    /// Returns an error if the body breaks off or the observer asks to stop.
    pub fn chunk(&mut self, observer: &mut dyn Observer) -> Result<Option<Vec<u8>>, HttpError> {
        if self.done {
            return Ok(None);
        }
        if observer.stop() {
            return Err(HttpError::Stopped);
        }
        match self.exchange.next(true, observer)? {
            Message::Chunk(bytes) => Ok(Some(bytes)),
            _ => {
                self.done = true;
                Ok(None)
            }
        }
    }

    /// Returns the whole body.
    ///
    /// # Errors
    /// Returns an error if the body breaks off or is longer than `limit` bytes, or if the observer asks to stop.
    pub fn bytes(
        mut self,
        limit: usize,
        observer: &mut dyn Observer,
    ) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(observer)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > limit {
                return Err(HttpError::Unreachable {
                    server: self.address.origin(),
                    message: format!("the answer is longer than {} MiB", limit >> 20),
                });
            }
        }
        Ok(bytes)
    }

    /// Returns the proxy that the answer came through.
    pub(crate) fn route(&self) -> &Route {
        &self.exchange.route
    }
}

/// A request under way.
pub(crate) struct Exchange {
    messages: Receiver<Message>,
    address: Address,
    route: Route,
    options: HttpOptions,
}

impl Exchange {
    /// Starts a request without waiting for its answer.
    pub(crate) fn start(
        agent: Agent,
        request: http::request::Builder,
        content: &Content,
        (address, route): (Address, Route),
        options: &HttpOptions,
    ) -> Result<Self, HttpError> {
        let (sender, messages) = sync_channel(AHEAD);
        let work = {
            let content = content.clone();
            move || match exchange(&agent, request, content, &sender) {
                // If nobody waits any more, there is nobody to tell.
                Ok(()) => _ = sender.send(Message::End),
                Err(message) => _ = sender.send(message),
            }
        };
        let thread = std::thread::Builder::new().name("request".to_owned()).spawn(work);
        thread.map_err(|error| {
            HttpError::Setting(format!("cannot start a thread for a request: {error}"))
        })?;
        Ok(Self { messages, address, route, options: options.clone() })
    }

    /// Waits for the head of the answer.
    pub(crate) fn response(
        self,
        content: &Content,
        observer: &mut dyn Observer,
    ) -> Result<Response, HttpError> {
        loop {
            match self.next(false, observer)? {
                Message::Sent(done) => {
                    if let Content::File { size, name, .. } = content {
                        observer.event(Event::Progress(Progress {
                            doing: "sending",
                            unit: name,
                            done,
                            total: Some(*size),
                            finished: done == *size,
                            ..Progress::default()
                        }));
                    }
                    if observer.stop() {
                        return Err(HttpError::Stopped);
                    }
                }
                Message::Head(head) => {
                    let (status, address) = (head.status.as_u16(), self.address.clone());
                    let headers = head.headers;
                    return Ok(Response { status, address, headers, exchange: self, done: false });
                }
                _ => {}
            }
        }
    }

    /// Waits for the next message; a failure becomes an error.
    fn next(&self, answered: bool, observer: &mut dyn Observer) -> Result<Message, HttpError> {
        loop {
            match self.messages.recv_timeout(LOOK) {
                Ok(Message::Failed(error)) => {
                    let Self { address, route, options, .. } = self;
                    return Err(failed(&error, address, route, answered, options));
                }
                Ok(Message::NoFile(message)) => {
                    return Err(HttpError::File { message });
                }
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Timeout) if observer.stop() => {
                    return Err(HttpError::Stopped);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let (server, message) =
                        (self.address.origin(), "the request ended early".to_owned());
                    return Err(HttpError::Unreachable { server, message });
                }
            }
        }
    }
}

/// Sends a request and passes its answer on. Returns early if nobody waits for it any more.
fn exchange(
    agent: &Agent,
    request: http::request::Builder,
    content: Content,
    sender: &SyncSender<Message>,
) -> Result<(), Message> {
    let invalid = |_| {
        let message = "an address, key or token has characters that HTTP does not allow".to_owned();
        Message::Failed(ureq::Error::Other(Box::new(HttpError::Setting(message))))
    };
    let response = match content {
        Content::None => agent.run(request.body(()).map_err(invalid)?),
        Content::Bytes(bytes) => agent.run(request.body(&*bytes).map_err(invalid)?),
        Content::File { path, size, .. } => {
            let no_file =
                |error| Message::NoFile(format!("cannot read {}: {error}", path.display()));
            let file = File::open(&path).map_err(no_file)?;
            let mut source = Source { file, sent: 0, sender: sender.clone() };
            let request = request.header("Content-Length", size);
            agent.run(request.body(SendBody::from_reader(&mut source)).map_err(invalid)?)
        }
    };
    let (head, body) = response.map_err(Message::Failed)?.into_parts();
    if sender.send(Message::Head(Box::new(head))).is_err() {
        return Ok(());
    }
    let mut body = body.into_reader();
    loop {
        let mut chunk = vec![0; CHUNK];
        match body.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                chunk.truncate(count);
                if sender.send(Message::Chunk(chunk)).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Message::Failed(ureq::Error::from(error))),
        }
    }
}

/// A file that tells how many of its bytes have been read. It ends with an error if nobody waits any more.
struct Source {
    file: File,
    sent: u64,
    sender: SyncSender<Message>,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.sent += count as u64;
        match self.sender.send(Message::Sent(self.sent)) {
            Ok(()) => Ok(count),
            Err(_) => Err(std::io::Error::other("the upload was given up")),
        }
    }
}
