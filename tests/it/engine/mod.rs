//! A fake Elasticsearch or Qdrant server for tests of `--push`: an index that is created and looked
//! up, requests with documents, and the faults that a test asks for.
#![allow(unreachable_pub, reason = "a module of a test")]

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

/// A fault in the answer to a request with documents.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// The server answers with this status, and with `Retry-After` in seconds if there is one, and
    /// stores nothing.
    Status(u16, Option<u64>),
    /// The server closes the connection and stores nothing.
    Cut,
    /// The server stores all documents but closes the connection before the answer.
    CutAfter,
    /// The server rejects the documents at even positions with 429.
    BusyItems,
}

/// The state of the search engine, and the faults that tests set.
#[derive(Debug, Default)]
pub struct Engine {
    /// The body of the request that created the index.
    pub index: Option<Value>,
    /// The documents by their ids.
    pub documents: BTreeMap<String, Value>,
    /// The faults of the next requests with documents, in order.
    pub troubles: VecDeque<Trouble>,
    /// The ids that are always rejected.
    pub refused: Vec<&'static str>,
    /// The largest body in bytes, if there is a limit.
    pub largest: Option<usize>,
    /// The header that requests must have, if a key is required.
    pub key: Option<&'static str>,
    /// The method with the path and the number of documents, for each accepted request with
    /// documents.
    pub requests: Vec<(String, usize)>,
}

/// A running search engine. Its thread ends with the test program.
#[derive(Debug, Clone)]
pub struct Server {
    pub url: String,
    engine: Arc<Mutex<Engine>>,
}

impl Server {
    pub fn start(engine: Engine) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let this = Self { url, engine: Arc::new(Mutex::new(engine)) };
        let server = this.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                server.answer(&stream);
            }
        });
        this
    }

    pub fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().expect("no panic")
    }

    fn answer(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            // The client may have been killed.
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            }
            head.push(line);
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let mut words = head[0].split(' ');
        let request =
            format!("{} {}", words.next().expect("a method"), words.next().expect("a path"));
        let key = self.engine().key;
        let let_in = key.is_none_or(|key| head.iter().any(|line| line.eq_ignore_ascii_case(key)));
        let answer = match let_in {
            true => self.engine().act(&request, &body),
            false => Some((401, None, json!({"error": "who are you?"}))),
        };
        let Some((status, retry_after, answer)) = answer else { return };
        let answer = answer.to_string();
        let retry_after = retry_after.map(|s| format!("Retry-After: {s}\r\n")).unwrap_or_default();
        let text = format!(
            "HTTP/1.1 {status} X\r\nConnection: close\r\n{retry_after}Content-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        let mut stream = stream;
        _ = stream.write_all(text.as_bytes());
    }
}

/// The status, `Retry-After` in seconds and the body; `None` closes the connection.
type Answer = Option<(u16, Option<u64>, Value)>;

impl Engine {
    fn act(&mut self, request: &str, body: &[u8]) -> Answer {
        let ok = |answer| Some((200, None, answer));
        let json = || serde_json::from_slice::<Value>(body).expect("JSON");
        match request {
            "GET /toy" | "GET /collections/toy" => match &self.index {
                Some(index) => ok(index.clone()),
                None => Some((404, None, json!({"error": "no such index"}))),
            },
            "PUT /toy" | "PUT /collections/toy" => {
                self.index = Some(json());
                ok(json!({"acknowledged": true, "status": "ok"}))
            }
            "POST /toy/_refresh" => ok(json!({})),
            "POST /toy/_bulk" => {
                let lines: Vec<Value> = body
                    .split(|b| *b == b'\n')
                    .filter(|line| !line.is_empty())
                    .map(|line| serde_json::from_slice(line).expect("JSON"))
                    .collect();
                let pairs = lines.chunks(2).map(|pair| {
                    let id = pair[0]["index"]["_id"].as_str().expect("an id").to_owned();
                    (id, pair[1].clone())
                });
                self.load(request, body.len(), pairs.collect(), true)
            }
            "PUT /collections/toy/points?wait=true" => {
                let points = json()["points"].as_array().expect("points").clone();
                let points = points.into_iter().map(|point| {
                    (point["payload"]["docid"].as_str().expect("an id").to_owned(), point)
                });
                self.load(request, body.len(), points.collect(), false)
            }
            _ => Some((404, None, json!({"error": request}))),
        }
    }

    /// Stores documents: each separately, or all or none of them.
    fn load(
        &mut self,
        request: &str,
        bytes: usize,
        documents: Vec<(String, Value)>,
        each: bool,
    ) -> Answer {
        self.requests.push((request.to_owned(), documents.len()));
        let trouble = self.troubles.pop_front();
        match trouble {
            Some(Trouble::Status(status, retry_after)) => {
                return Some((status, retry_after, json!({"error": "trouble"})));
            }
            Some(Trouble::Cut) => return None,
            Some(Trouble::CutAfter | Trouble::BusyItems) | None => {}
        }
        if self.largest.is_some_and(|largest| bytes > largest) {
            return Some((413, None, json!({"error": "too large"})));
        }
        let refused = |id: &String| self.refused.contains(&id.as_str());
        if !each && documents.iter().any(|(id, _)| refused(id)) {
            return Some((400, None, json!({"status": {"error": "a bad point"}})));
        }
        let mut items = Vec::new();
        let mut stored = Vec::new();
        for (place, (id, document)) in documents.into_iter().enumerate() {
            let busy = matches!(trouble, Some(Trouble::BusyItems)) && place % 2 == 0;
            let error = match (refused(&id), busy) {
                (true, _) => Some((400, "document_parsing_exception", "a bad vector")),
                (_, true) => Some((429, "es_rejected_execution_exception", "busy")),
                _ => None,
            };
            items.push(match error {
                Some((status, kind, reason)) => json!({"index": {"_id": id, "status": status,
                    "error": {"type": kind, "reason": reason}}}),
                None => json!({"index": {"_id": id, "status": 201}}),
            });
            if error.is_none() {
                stored.push((id, document));
            }
        }
        self.documents.extend(stored);
        match trouble {
            Some(Trouble::CutAfter) => None,
            _ => Some((200, None, json!({"items": items, "status": "ok"}))),
        }
    }
}
