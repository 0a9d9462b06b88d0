//! The live page of a run: a small HTTP server of this machine only, and the same page as a file.
//!
//! - `/`: the page, with everything in it
//! - `/data?since=N`: `{"run":…,"from":…,"next":…,"more":…,"records":[…],"status":{…}}` with the
//!   records of the JSON log from byte `N` on, and `next` to ask for afterwards. `from` is not `N`
//!   where the log has no record that begins there: then it is 0, and so it begins anew. `run`
//!   differs for every start of the program.
//! - `/healthz`: `ok`
//!
//! Training never waits for a client: records are read from the log's file, and the status is
//! copied under a lock that no client holds. Clients are at most [`MOST_CLIENTS`], each for a
//! limited time.

mod http;

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::http::{Answer, Request};
use crate::error::LogError;
use crate::json_lines;
use crate::record::Status;

/// Browsers open up to six connections.
const MOST_CLIENTS: usize = 8;
/// Bytes of the log in an answer, but at least one record.
const CHUNK: u64 = 1 << 20;
/// How long ending a run waits for its own connection.
const WAKE_TIME: Duration = Duration::from_secs(1);

/// A port that is ours, not served yet.
pub(super) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Takes a port of this machine, 0 for any that is free.
    pub(super) fn bind(port: u16) -> Result<Self, LogError> {
        let error = |why: io::Error| LogError::Port { port, why };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        Ok(Self { listener, address })
    }

    /// Serves the page of the log at `json`; `run` tells this start of the program from others.
    pub(super) fn serve(self, json: PathBuf, run: f64) -> Result<Dashboard, LogError> {
        let shared = Arc::new(Shared {
            json,
            run,
            status: Mutex::new(None),
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

/// A page that is served until this is dropped.
#[derive(Debug)]
pub(super) struct Dashboard {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    json: PathBuf,
    run: f64,
    status: Mutex<Option<Status>>,
    clients: AtomicUsize,
    stopped: AtomicBool,
}

impl Dashboard {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn set_status(&self, status: Status) {
        *self.shared.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // The thread looks at `stopped` when a connection comes.
        let woken = TcpStream::connect_timeout(&self.address, WAKE_TIME).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        let Ok(client) = client else {
            // Such as too many open files: not to be tried again at once.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let place = Place::take(shared);
        if let Some(place) = place {
            // Without a thread the client is dropped, and its place with it.
            let _ = thread::Builder::new()
                .name("dashboard client".to_owned())
                .spawn(move || answer(client, &place.0));
        }
    }
}

/// One of the places for clients, free again when it is dropped.
struct Place(Arc<Shared>);

impl Place {
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

fn answer(mut client: TcpStream, shared: &Shared) {
    let answer = match http::read_request(&mut client) {
        Ok(request) => route(&request, shared),
        Err(Some(refusal)) => refusal,
        Err(None) => return,
    };
    // Who does not want the answer has gone.
    let _ = http::send(&mut client, &answer);
}

fn route(request: &Request, shared: &Shared) -> Answer {
    match request.path.as_str() {
        "/" => Answer {
            status: "200 OK",
            content_type: "text/html; charset=utf-8",
            body: page("null").into_bytes(),
        },
        "/data" => data(&request.query, shared),
        "/healthz" => Answer::text("200 OK", "ok"),
        _ => Answer::text("404 Not Found", "not here; see /"),
    }
}

fn data(query: &str, shared: &Shared) -> Answer {
    let since = query.split('&').find_map(|pair| pair.strip_prefix("since=")).unwrap_or("0");
    let Ok(since) = since.parse() else {
        return Answer::text("400 Bad Request", "since is a number of bytes");
    };
    let chunk = match read_chunk(&shared.json, since) {
        Ok(chunk) => chunk,
        Err(why) => return Answer::text("500 Internal Server Error", &why.to_string()),
    };
    let status = shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let status = serde_json::to_string(&status).expect("a plain struct: this is a bug");
    let head = format!(
        "{{\"run\":{},\"from\":{},\"next\":{},\"more\":{},\"status\":{status},\"records\":",
        shared.run, chunk.from, chunk.next, chunk.more
    );
    let body = [head.as_bytes(), &array(&chunk.lines), b"}"].concat();
    Answer { status: "200 OK", content_type: "application/json", body }
}

/// Whole records of a log.
struct Chunk {
    /// Where they begin.
    from: u64,
    /// Where they end.
    next: u64,
    /// Others follow.
    more: bool,
    lines: Vec<u8>,
}

fn read_chunk(log: &Path, since: u64) -> io::Result<Chunk> {
    let mut file = File::open(log)?;
    let mut from = 0;
    // A record begins behind the end of another.
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
    // Behind the last whole record is one that is longer than the chunk, or still being written.
    let more = last > 0 && from + (lines.len() as u64) < file.metadata()?.len();
    lines.truncate(last);
    Ok(Chunk { from, next: from + last as u64, more, lines })
}

/// JSON lines as one array.
fn array(lines: &[u8]) -> Vec<u8> {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    let mut array = Vec::with_capacity(lines.len() + 2);
    array.push(b'[');
    array.extend(lines.iter().map(|byte| if *byte == b'\n' { b',' } else { *byte }));
    array.push(b']');
    array
}

/// The page of a log as one file that needs no server.
///
/// # Errors
/// If the log cannot be read or has a line that is no record.
pub fn report_html(json_log: &Path) -> Result<String, LogError> {
    let records = array(&json_lines::read(json_log)?);
    let records = String::from_utf8(records).expect("records are JSON: this is a bug");
    Ok(page(&records))
}

/// The page with records in it, or with `null`: then it asks the server for them.
fn page(records: &str) -> String {
    // In JSON a `<` stands in strings only; written so it can end no script.
    let records = records.replace('<', "\\u003c");
    include_str!("page.html")
        .replace("/*STYLE*/", include_str!("page.css"))
        .replace("/*SCRIPT*/", include_str!("page.js"))
        // The last, as the records may hold any text.
        .replacen("/*RECORDS*/", &records, 1)
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
        assert_eq!(array(b"{}\n[]\n"), b"[{},[]]");
        assert_eq!(array(b""), b"[]");
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
