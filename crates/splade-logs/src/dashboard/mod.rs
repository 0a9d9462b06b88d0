//! The server of the live page of a run, which only this machine can reach.
//!
//! - `/`: the page, in one file
//! - `/data?since=N`: `{"run":…,"from":…,"next":…,"more":…,"records":[…],"status":{…}}` with the
//!   records of the JSON log from byte `N` on, and in `next` the offset for the following request.
//!   If no record begins at byte `N`, the response starts over with `from` 0. `run` is different
//!   for every start of the program.
//! - `/healthz`: `ok`
//!
//! Training never waits for a client: records are read from the log's file, and the status is
//! copied under a lock that no client holds while it communicates. At most [`MOST_CLIENTS`] clients
//! are served at once, each for a limited time.

mod http;

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use self::http::{Answer, Request};
use crate::error::LogError;
use crate::page::{array, live_html};
use crate::record::Status;

/// The number of clients that are served at once. Browsers open up to six connections.
const MOST_CLIENTS: usize = 8;
/// The number of bytes of the log in one response; a longer record is sent whole.
const CHUNK: u64 = 1 << 20;
/// The time that the end of a run waits for its own connection to the server.
const WAKE_TIME: Duration = Duration::from_secs(1);
/// The time within which a page that is open asks again; it asks every two seconds while it is seen.
const POLL_TIME: Duration = Duration::from_secs(3);
/// The time between two looks at whether an open page has got the end of the run.
const LOOK_TIME: Duration = Duration::from_millis(20);

/// A bound port that is not served yet.
pub(super) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds a port of this machine, or any free port if `port` is 0.
    pub(super) fn bind(port: u16) -> Result<Self, LogError> {
        let error = |source: io::Error| LogError::Port { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        Ok(Self { listener, address })
    }

    /// Starts to serve the page of the log at `json`. `run` identifies this start of the program.
    pub(super) fn serve(self, json: PathBuf, run: f64) -> Result<Dashboard, LogError> {
        let shared = Arc::new(Shared {
            json,
            run,
            status: Mutex::new(None),
            asked: Mutex::new(None),
            clients: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let thread = thread::Builder::new()
            .name("dashboard".to_owned())
            .spawn({
                let shared = shared.clone();
                move || accept(&self.listener, &shared)
            })
            .map_err(LogError::Thread)?;
        Ok(Dashboard { shared, address: self.address, thread: Some(thread) })
    }
}

/// A page that is served until this value is dropped.
#[derive(Debug)]
pub(super) struct Dashboard {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

/// The state that the server shares with its clients' threads.
#[derive(Debug)]
struct Shared {
    json: PathBuf,
    run: f64,
    status: Mutex<Option<Status>>,
    /// The time at which a page last asked for records.
    asked: Mutex<Option<Instant>>,
    clients: AtomicUsize,
    stopped: AtomicBool,
}

impl Dashboard {
    /// Returns the address of the server.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the status that the page shows.
    pub(super) fn set_status(&self, status: Status) {
        *self.shared.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    /// Waits until an open page has asked once more, so that it shows how the run ended. Without an
    /// open page it does not wait.
    pub(super) fn show_end(&self) {
        let begin = Instant::now();
        let is_open = |asked: Option<Instant>| asked.is_some_and(|at| at.elapsed() < POLL_TIME);
        while is_open(self.shared.asked()) && begin.elapsed() < POLL_TIME {
            let is_answered = self.shared.clients.load(Ordering::Acquire) == 0;
            if is_answered && self.shared.asked().is_some_and(|at| at > begin) {
                return;
            }
            thread::sleep(LOOK_TIME);
        }
    }
}

impl Shared {
    fn asked(&self) -> Option<Instant> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // The thread checks `stopped` only when a connection arrives.
        let woken = TcpStream::connect_timeout(&self.address, WAKE_TIME).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

/// Accepts clients until the server is stopped.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        let Ok(client) = client else {
            // This is an error such as too many open files, which an immediate retry would repeat.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let place = Place::take(shared);
        if let Some(place) = place {
            // If no thread can be started, the client is dropped, and its place is free again.
            let _ = thread::Builder::new()
                .name("dashboard client".to_owned())
                .spawn(move || answer(client, &place.0));
        }
    }
}

/// One of the places for clients, which is free again when the value is dropped.
struct Place(Arc<Shared>);

impl Place {
    /// Takes a place, or returns `None` if all are taken.
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let place = Self(shared.clone());
        (shared.clients.fetch_add(1, Ordering::AcqRel) < MOST_CLIENTS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Reads a request from a client and answers it.
fn answer(mut client: TcpStream, shared: &Shared) {
    let answer = match http::read_request(&mut client) {
        Ok(request) => route(&request, shared),
        Err(Some(refusal)) => refusal,
        Err(None) => return,
    };
    // A failure means that the client has gone, so it is ignored.
    let _ = http::send(&mut client, &answer);
}

/// Returns the response to a request.
fn route(request: &Request, shared: &Shared) -> Answer {
    match request.path.as_str() {
        "/" => Answer {
            status: "200 OK",
            content_type: "text/html; charset=utf-8",
            body: live_html(&shared.json).into_bytes(),
        },
        "/data" => data(&request.query, shared),
        "/healthz" => Answer::text("200 OK", "ok"),
        _ => Answer::text("404 Not Found", "no such page; see /"),
    }
}

/// Returns the records of the log from an offset on, and the status, as JSON.
fn data(query: &str, shared: &Shared) -> Answer {
    let since = query.split('&').find_map(|pair| pair.strip_prefix("since=")).unwrap_or("0");
    let Ok(since) = since.parse() else {
        return Answer::text("400 Bad Request", "since must be a number of bytes");
    };
    // Set before the log is read: whoever sees it later knows that the answer has all records of now.
    *shared.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    let chunk = match read_chunk(&shared.json, since) {
        Ok(chunk) => chunk,
        Err(why) => return Answer::text("500 Internal Server Error", &why.to_string()),
    };
    let status = shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let status = serde_json::to_string(&status).expect("a status can be serialized: this is a bug");
    let head = format!(
        "{{\"run\":{},\"from\":{},\"next\":{},\"more\":{},\"status\":{status},\"records\":",
        shared.run, chunk.from, chunk.next, chunk.more
    );
    let body = [head.as_bytes(), &array(&chunk.lines), b"}"].concat();
    Answer { status: "200 OK", content_type: "application/json", body }
}

/// A run of whole records of a log.
struct Chunk {
    /// The byte offset of the first record.
    from: u64,
    /// The byte offset after the last record.
    next: u64,
    /// Whether more records follow.
    more: bool,
    /// The records as JSON lines.
    lines: Vec<u8>,
}

/// Reads whole records from offset `since` on, or from the start if no record begins there.
fn read_chunk(log: &Path, since: u64) -> io::Result<Chunk> {
    let mut file = File::open(log)?;
    let mut from = 0;
    // A record begins after the line break of the one before.
    if (1..=file.metadata()?.len()).contains(&since) {
        file.seek(SeekFrom::Start(since - 1))?;
        let mut end = [0];
        if file.read(&mut end)? == 1 && end == *b"\n" {
            from = since;
        }
    }
    file.seek(SeekFrom::Start(from))?;
    let mut lines = Vec::new();
    let last = loop {
        let read = (&mut file).take(CHUNK).read_to_end(&mut lines)?;
        if let Some(last) = lines.iter().rposition(|byte| *byte == b'\n') {
            break last + 1;
        }
        if read == 0 {
            break 0;
        }
    };
    // The rest after the last whole record is longer than the chunk or still being written.
    let more = last > 0 && from + (lines.len() as u64) < file.metadata()?.len();
    lines.truncate(last);
    Ok(Chunk { from, next: from + last as u64, more, lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_whole_records_from_where_one_begins() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        let text = "{\"a\":1}\n{}\n{\"b\":\"unfinished";
        std::fs::write(&log, text).unwrap();
        for since in 0..text.len() as u64 + 3 {
            let chunk = read_chunk(&log, since).unwrap();
            let from = if [0, 8, 11].contains(&since) { since } else { 0 };
            assert_eq!((chunk.from, chunk.next, chunk.more), (from, 11, false), "{since}");
            assert_eq!(chunk.lines, text.as_bytes()[from as usize..11], "{since}");
        }
        assert_eq!(read_chunk(&log, u64::MAX).unwrap().from, 0);
    }

    #[test]
    fn long_logs_come_in_chunks_and_long_records_whole() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        let long = format!("\"{}\"\n", "x".repeat(CHUNK as usize * 5 / 2));
        let text = format!("{}{long}{}", "1\n".repeat(10), "2\n".repeat(CHUNK as usize));
        std::fs::write(&log, &text).unwrap();
        let (mut next, mut read, mut chunks) = (0, Vec::new(), 0);
        loop {
            let chunk = read_chunk(&log, next).unwrap();
            assert!(chunk.from == next && chunk.lines.ends_with(b"\n"));
            read.extend(chunk.lines);
            next = chunk.next;
            chunks += 1;
            if !chunk.more {
                break;
            }
        }
        assert!(read == text.as_bytes() && chunks > 3, "{chunks} chunks");
    }
}
