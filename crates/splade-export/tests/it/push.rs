//! Tests of pushes to a fake server, which follows a script with an answer, or none, to each
//! request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use splade_export::TermNames;
use splade_export::push::{
    Client, ClientOptions, HttpOptions, PushError, PushOptions, Pusher, Request,
};
use splade_export::targets::{Elasticsearch, ElasticsearchField};
use splade_io::{Event, Observer};
use splade_sparse::{SparseVector, TermId};

use crate::advice;

/// A step of the script: the method and path of a request, and the status and body of the answer.
/// With `None`, the server closes the connection without an answer.
type Step = (&'static str, Option<(u16, Value)>);

/// Starts a server, and returns its address and the remaining steps of its script.
fn server(steps: Vec<Step>) -> (String, Arc<Mutex<Vec<Step>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let script = Arc::new(Mutex::new(steps));
    let steps = Arc::clone(&script);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(&stream, &steps);
        }
    });
    (url, script)
}

fn answer(mut stream: &TcpStream, steps: &Mutex<Vec<Step>>) {
    let (mut reader, mut head, mut length) = (BufReader::new(stream), Vec::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(bytes) = line.to_lowercase().strip_prefix("content-length: ") {
            length = bytes.trim_end().parse().expect("a length");
        }
        head.push(line);
    }
    reader.read_exact(&mut vec![0; length]).expect("a body");
    let (status, body) = {
        let mut steps = steps.lock().expect("no panic");
        match steps.first().filter(|(request, _)| head[0].starts_with(request)) {
            None => (500, json!({"unexpected": head[0]})),
            Some(_) => match steps.remove(0).1 {
                Some(answer) => answer,
                None => return,
            },
        }
    };
    let body = body.to_string();
    let head =
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}", body.len());
    write!(stream, "{head}\r\n\r\n{body}").expect("answered");
}

/// An observer that counts events.
#[derive(Default)]
struct Counter(usize);

impl Observer for Counter {
    fn event(&mut self, _: Event<'_>) {
        self.0 += 1;
    }
}

fn client(url: &str) -> Client {
    let mut http = HttpOptions::default();
    (http.retries, http.wait) = (2, Duration::from_millis(1));
    let options = ClientOptions { key: None, http };
    Client::new(url, options).expect("a client")
}

fn target() -> Elasticsearch {
    Elasticsearch::new(TermNames::ids(), "v".to_owned(), ElasticsearchField::SparseVector)
}

/// Pushes documents with one document per request.
fn push(dir: &Path, url: &str, documents: &[&str], resume: bool) -> Result<(), PushError> {
    let (client, target) = (client(url), target());
    let options = PushOptions {
        index: "toy".to_owned(),
        documents: 1,
        bytes: 1 << 20,
        resume,
        append: false,
        settings: Value::Null,
        tokens: vec!["a".to_owned(), "\"".to_owned()],
    };
    let mut observer = Counter::default();
    let mut pusher = Pusher::open(dir, &client, &target, options, &mut observer)?;
    let pairs = vec![(TermId(0), 1e-10), (TermId(1), 0.333_333_34), (TermId(9), 2.0)];
    let vector = SparseVector::from_pairs(pairs).expect("a vector");
    let done = pusher.done().0 as usize;
    for (row, id) in documents.iter().enumerate().skip(done) {
        pusher.put(row as u64, id, &vector, &mut observer)?;
    }
    pusher.finish(&mut observer).map(drop)
}

fn stored() -> Option<(u16, Value)> {
    Some((200, json!({"items": [{"index": {"status": 201}}]})))
}

fn refused() -> Option<(u16, Value)> {
    let error = json!({"type": "bad", "reason": "vector"});
    Some((200, json!({"items": [{"index": {"status": 400, "error": error}}]})))
}

/// Checks that a push goes on if the server created the index, but its answer was lost and the next
/// try is therefore refused.
#[test]
fn an_index_whose_answer_was_lost_is_there() {
    let missing = || Some((404, json!({})));
    let exists = || Some((400, json!({"error": {"type": "resource_already_exists_exception"}})));
    let ok = || Some((200, json!({})));
    let dir = tempfile::tempdir().expect("a folder");
    let (url, left) = server(vec![
        ("GET /toy ", missing()),
        ("PUT /toy ", None),
        ("PUT /toy ", exists()),
        ("GET /toy ", ok()),
        ("POST /toy/_bulk ", stored()),
        ("POST /toy/_refresh ", ok()),
    ]);
    push(dir.path(), &url, &["d1"], false).expect("pushed");
    assert!(left.lock().expect("no panic").is_empty());

    // If the server refuses to create the index for another reason, the error shows the reason.
    let dir = tempfile::tempdir().expect("a folder");
    let (url, _) = server(vec![
        ("GET /toy ", missing()),
        ("PUT /toy ", Some((400, json!({"error": "no such type"})))),
        ("GET /toy ", missing()),
    ]);
    let error = push(dir.path(), &url, &["d1"], false).expect_err("refused").to_string();
    assert!(error.contains("PUT /toy") && error.contains("no such type"), "{error}");
}

/// Checks that the file of rejected documents has their vectors, and that a push refuses to
/// continue if this file is missing.
#[test]
fn refused_documents_are_kept_whole() {
    let ok = || Some((200, json!({})));
    let dir = tempfile::tempdir().expect("a folder");
    let (url, left) = server(vec![
        ("GET /toy ", Some((404, json!({})))),
        ("PUT /toy ", ok()),
        ("POST /toy/_bulk ", stored()),
        ("POST /toy/_bulk ", refused()),
        ("POST /toy/_bulk ", Some((401, json!({})))),
        ("GET /toy ", ok()),
        ("POST /toy/_bulk ", refused()),
        ("POST /toy/_refresh ", ok()),
    ]);
    let documents = ["d1", "d2", "d3"];
    push(dir.path(), &url, &documents, false).expect_err("the key is wrong");
    let (rejects, away) = (dir.path().join("rejects.ndjson"), dir.path().join("away"));
    let line = "{\"id\":\"d2\",\"vector\":{\"a\":0.0000000001,\"\\\"\":0.33333334,\"9\":2},\
                \"status\":400,\"error\":\"bad: vector\"}\n";
    assert_eq!(std::fs::read_to_string(&rejects).expect("rejects"), line);

    std::fs::rename(&rejects, &away).expect("moved");
    let error = push(dir.path(), &url, &documents, true).expect_err("gone");
    let error = advice(&error, error.hint().as_deref());
    assert!(error.contains("rejected documents are missing from the file; restore it"), "{error}");
    std::fs::rename(&away, &rejects).expect("moved");
    push(dir.path(), &url, &documents, true).expect("pushed");
    let text = std::fs::read_to_string(&rejects).expect("rejects");
    assert_eq!(text, format!("{line}{}", line.replace("d2", "d3")));
    assert!(left.lock().expect("no panic").is_empty());
}

#[test]
fn what_http_does_not_take_is_tried_once() {
    let key = Some(("api-key", "two\nlines".to_owned()));
    let options = ClientOptions { key, ..ClientOptions::default() };
    let client = Client::new("http://localhost:9", options).expect("a client");
    let request = Request { method: "GET", path: "/", content_type: "", body: b"" };
    let mut observer = Counter::default();
    let error = client.call(&request, &mut observer).expect_err("no header");
    assert!(matches!(error, PushError::Options(_)), "{error}");
    assert_eq!(observer.0, 0);
}
